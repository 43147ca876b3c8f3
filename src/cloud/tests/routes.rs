//! Reading, listing, downloading and setting up; redirects and gateways that pretend.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum::{Json, Router};
use futures_util::TryStreamExt as _;
use serde_json::json;

use super::*;
use crate::file::entry::Asset;
use crate::id::AssetId;
use crate::verdict::Blame;

fn id(n: usize) -> String {
    uuid::Uuid::from_u128(n as u128).to_string()
}

/// A folder with `total` files, of which the server hands out at most `clamp` at once and counts `count(offset)`.
async fn folder_of(total: usize, clamp: usize, count: fn(usize) -> usize) -> (Server, Seen<usize>) {
    let seen = Seen::new();
    let asked = seen.clone();
    let list = move |Query(query): Query<HashMap<String, usize>>| async move {
        let (offset, limit) = (query["offset"], query["limit"].min(clamp));
        asked.note(offset);
        let page: Vec<_> = (offset..total.min(offset + limit))
            .map(|n| json!({ "source_file_id": id(n), "name": "x.fbx", "source_file_original_name": "x.fbx", "size": n }))
            .collect();
        ([("x-source-files-count", count(offset).to_string())], Json(page))
    };
    (Server::new(Router::new().route("/app/v1/folders/{id}/source-files", get(list))).await, seen)
}

#[tokio::test]
async fn a_listing_advances_by_what_it_received() {
    let (server, asked) = folder_of(45, 20, |_| 45).await;
    let listing = server.client().source_files(folder()).await.unwrap();
    assert_eq!((listing.items.len(), listing.complete), (45, Complete::Yes));
    assert_eq!(asked.take(), [0, 20, 40, 0, 20, 40], "what takes several pages is read twice");
}

#[tokio::test]
async fn a6_a_listing_whose_count_moves_is_not_complete() {
    let (server, _) = folder_of(45, 20, |offset| if offset < 20 { 44 } else { 45 }).await;
    let listing = server.client().source_files(folder()).await.unwrap();
    assert_eq!(listing.items.len(), 45);
    assert!(matches!(listing.complete, Complete::No(why) if why.contains("44")));
}

/// Between the first and the second page one file goes and another comes: the count stands still, and one file is on neither page.
#[tokio::test]
async fn a6_a_listing_from_which_a_file_slipped_between_two_pages_is_not_complete_and_a_second_reading_finds_it()
 {
    let seen = Seen::new();
    let asked = seen.clone();
    let list = move |Query(query): Query<HashMap<String, usize>>| async move {
        let nth = asked.note(());
        let (offset, limit) = (query["offset"], query["limit"].min(20));
        let files: Vec<usize> = if nth == 0 { (0..40).collect() } else { (1..41).collect() };
        let page: Vec<_> = files.into_iter().skip(offset).take(limit)
            .map(|n| json!({ "source_file_id": id(n), "name": "x.fbx", "source_file_original_name": "x.fbx", "size": n }))
            .collect();
        ([("x-source-files-count", "40")], Json(page))
    };
    let server = Server::new(Router::new().route("/app/v1/folders/{id}/source-files", get(list))).await;
    let listing = server.client().source_files(folder()).await.unwrap();
    assert!(
        matches!(&listing.complete, Complete::No(why) if why.contains("two readings")),
        "{:?}",
        listing.complete
    );
    assert!(listing.items.iter().any(|file| file.size == 20), "the one that slipped");
    assert_eq!(listing.items.len(), 41, "what either reading saw");
    let again = server.client().source_files(folder()).await.unwrap();
    assert_eq!((again.items.len(), again.complete), (40, Complete::Yes), "it stands still now");
}

#[tokio::test]
async fn tasks_are_read_until_there_are_no_more_or_enough() {
    let list = async |Query(query): Query<HashMap<String, usize>>| {
        let (offset, limit) = (query["offset"], query["limit"].min(20));
        Json(
            (offset..45.min(offset + limit))
                .map(|n| json!({ "upload_task_id": id(n), "status": "success" }))
                .collect::<Vec<_>>(),
        )
    };
    let server = Server::new(Router::new().route("/app/v1/folders/{id}/upload-tasks", get(list))).await;
    assert_eq!(server.client().upload_tasks(folder(), |_| false).await.unwrap().len(), 45);
    assert_eq!(server.client().upload_tasks(folder(), |tasks| tasks.len() > 5).await.unwrap().len(), 20);
}

#[tokio::test]
async fn subfolders_are_the_direct_ones_however_the_answer_is_built() {
    let parent = folder().to_string();
    let child =
        |n: usize, of: &str| json!({ "folder_id": id(n), "name": n.to_string(), "parent_folder_id": of });
    let answers = [
        json!([{ "folder_id": id(5), "name": "5" }, { "folder_id": id(6), "name": "6" }]),
        json!([child(5, &parent), child(6, &parent), child(5, &parent), child(7, &id(5))]),
        json!([{ "folder_id": id(5), "name": "5", "subfolders": [{ "folder_id": id(7), "name": "7" }] }, child(6, &parent)]),
        json!({ "folder_id": parent, "name": "p", "subfolders": [child(5, &parent), { "folder_id": id(6), "name": "6" }] }),
    ];
    for answer in answers {
        let told = answer.clone();
        let server = Server::new(Router::new().fallback(async move || Json(told.clone()))).await;
        let found = server.client().subfolders(folder()).await.unwrap();
        let names: Vec<_> = found.iter().map(|folder| folder.name.as_str()).collect();
        assert_eq!(names, ["5", "6"], "{answer}");
        assert!(found.iter().all(|found| found.parent == Some(folder())));
    }
}

#[tokio::test]
async fn a_made_folder_is_found_in_the_tree_around_it() {
    let made = json!({ "folder_id": id(5), "name": "new" });
    let around = json!({ "folder_id": folder().to_string(), "name": "new", "subfolders": [{ "folder_id": id(4), "name": "old" }, made] });
    for answer in [made.clone(), json!([made]), around] {
        let server = Server::new(Router::new().fallback(async move || Json(answer.clone()))).await;
        let found = server.client().make_folder(folder(), "new").await.unwrap();
        assert_eq!((found.id.to_string(), found.parent), (id(5), Some(folder())));
    }
    let twice = json!([{ "folder_id": id(5), "name": "new" }, { "folder_id": id(6), "name": "new" }]);
    let server = Server::new(Router::new().fallback(async move || Json(twice.clone()))).await;
    assert!(server.client().make_folder(folder(), "new").await.is_err(), "which of the two is not known");
}

#[tokio::test]
async fn what_changes_things_says_so_in_the_documented_way() {
    let seen = Seen::new();
    let noted = seen.clone();
    let server =
        Server::new(Router::new().fallback(any(move |request: axum::extract::Request| async move {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            noted.note(format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body)));
        })))
        .await;
    let client = server.client();
    let name = PartName::from_text("b.fbx").unwrap();
    client.rename_folder(folder(), "b").await.unwrap();
    client.move_folders(folder(), &[folder()]).await.unwrap();
    client.rename_source_file(file(), &name).await.unwrap();
    client.move_source_files(folder(), &[file()]).await.unwrap();
    client.delete_source_files(&[file()], TheirAssets::Keep).await.unwrap();
    let (folder, file) = (folder().to_string(), file().to_string());
    assert_eq!(
        seen.take(),
        [
            format!(r#"PATCH /app/v1/folders/{folder} {{"name":"b"}}"#),
            format!(r#"PUT /app/v1/folders/{folder} ["{folder}"]"#),
            format!(r#"PATCH /app/v1/source-files/{file}/details {{"name":"b.fbx"}}"#),
            format!(r#"PUT /app/v1/folders/{folder}/source-files ["{file}"]"#),
            format!(r#"DELETE /app/v1/source-files {{"delete_assets":false,"source_file_ids":["{file}"]}}"#),
        ]
    );
}

#[tokio::test]
async fn an_asset_tells_who_uses_it_page_by_page_and_is_deleted_by_its_id() {
    let seen = Seen::new();
    let noted = seen.clone();
    let user = |n: usize| json!({ "asset_id": id(n), "asset_type": "scene", "properties": { "name": format!("{n}") } });
    let pages = [json!((0..100).map(user).collect::<Vec<_>>()), json!([user(100), { "asset_id": id(101) }])];
    let router = Router::new().fallback(any(move |request: axum::extract::Request| async move {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        noted.note(format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body)));
        let is_second = head.uri.query().is_some_and(|query| query.contains("offset=100"));
        axum::Json(pages[usize::from(is_second)].clone())
    }));
    let server = Server::new(router).await;
    let client = server.client();
    let asset = |kind: &str| Asset {
        id: AssetId::from_uuid(id(7).parse().unwrap()),
        kind: kind.to_owned(),
        name: String::new(),
    };
    let mesh = asset("mesh");
    let users = client.users_of(&mesh, |_| false).await.unwrap();
    let (first, last) = (&users[0], &users[101]);
    assert_eq!(
        (users.len(), &*first.kind, &*first.name, &*last.kind, &*last.name),
        (102, "scene", "0", "asset", "")
    );
    assert_eq!(client.users_of(&mesh, |users| !users.is_empty()).await.unwrap().len(), 100, "that is enough");
    client.delete_assets(&[mesh.id]).await.unwrap();
    client.delete_asset(&mesh).await.unwrap();
    let at = format!("/app/v1/assets/meshes/{}", id(7));
    let question =
        |offset: u32| format!("GET {at}/references?offset={offset}&limit=100&properties%5B%5D=name ");
    assert_eq!(
        seen.take(),
        [
            question(0),
            question(100),
            question(0),
            format!(r#"DELETE /app/v1/assets ["{}"]"#, id(7)),
            format!("DELETE {at} "),
        ]
    );
    let unknown = asset("hologram");
    let error = client.users_of(&unknown, |_| false).await.unwrap_err().to_string();
    assert!(error.contains("does not know its type") && error.contains("hologram"), "{error}");
    assert!(client.delete_asset(&unknown).await.is_err());
    assert_eq!(seen.take(), Vec::<String>::new(), "nothing was asked");
}

#[tokio::test]
async fn a_download_follows_redirects_and_leaves_the_token_at_home() {
    let seen = Seen::new();
    let noted = seen.clone();
    let storage = Server::new(Router::new().fallback(async move |headers: HeaderMap| {
        noted.note(credentials(&headers));
        "bytes"
    }))
    .await;
    let (there, here) = (storage.url.join("/blob?signature=fake").unwrap(), Seen::new());
    let noted = here.clone();
    let router = Router::new()
        .route(
            "/app/v1/source-files/{id}",
            get(async || (StatusCode::FOUND, [("location", "/app/v1/moved")])),
        )
        .route(
            "/app/v1/moved",
            get(async move |headers: HeaderMap| {
                noted.note(credentials(&headers));
                (StatusCode::TEMPORARY_REDIRECT, [("location", there.to_string())])
            }),
        );
    let server = Server::new(router).await;
    let bytes: Vec<Bytes> = server.client().download(file()).await.unwrap().try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"bytes");
    assert_eq!(here.take(), [[format!("user_token={TOKEN}")]], "the same origin gets it");
    assert_eq!(seen.take(), [Vec::<String>::new()], "another port does not");
}

#[tokio::test]
async fn a_download_does_not_follow_to_plain_http_in_circles_or_to_a_login_page() {
    let refusing = Server::new(Router::new().fallback(async || StatusCode::UNAUTHORIZED)).await;
    for (location, why) in [
        ("http://storage.example/x".to_owned(), "https"),
        ("https://user:fake@storage.example/x".to_owned(), "password"),
        ("ftp://storage.example/x".to_owned(), "https"),
        ("/app/v1/round".to_owned(), "more than 5 times"),
        (refusing.url.to_string(), "answered 401"),
    ] {
        let server =
            Server::new(Router::new().fallback(async move || (StatusCode::FOUND, [("location", location)])))
                .await;
        let error = server.client().download(file()).await.map(drop).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.blame(), Blame::Cloud);
    }
}

#[tokio::test]
async fn h21_nothing_but_a_download_follows_a_redirect_and_the_host_is_named() {
    let seen = Seen::new();
    let noted = seen.clone();
    let other = Server::new(Router::new().fallback(async move || noted.note(()).to_string())).await;
    let there = other.url.join("/stolen?x=1").unwrap();
    for status in [301, 302, 303, 307, 308] {
        let (status, there) = (StatusCode::from_u16(status).unwrap(), there.to_string());
        let server = Server::new(Router::new().fallback(async move || (status, [("location", there)]))).await;
        let error = server.client().folder(folder()).await.unwrap_err();
        assert_eq!((error.status(), error.blame()), (Some(status.as_u16()), Blame::Cloud));
        assert!(error.to_string().contains("127.0.0.1") && !error.to_string().contains("x=1"), "{error}");
        assert!(server.client().make_folder(folder(), "x").await.is_err());
    }
    assert!(seen.take().is_empty());
}

#[tokio::test]
async fn h17_a_page_that_is_no_answer_is_the_clouds_fault() {
    for body in
        ["<html>welcome to the hotel</html>", "", "[]", "{}", "null", r#"{"folder_id":"x","name":"y"}"#]
    {
        let server = Server::new(Router::new().fallback(async move || body)).await;
        let error = server.client().folder(folder()).await.unwrap_err();
        assert_eq!(error.blame(), Blame::Cloud, "{error}");
    }
}

#[tokio::test]
async fn h19_an_answer_without_end_is_cut_off() {
    let server = Server::new(Router::new().fallback(async || "x".repeat(2 << 20))).await;
    let error = server.client().folder(folder()).await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
    let server =
        Server::new(Router::new().fallback(async || (StatusCode::BAD_REQUEST, "x".repeat(2 << 20)))).await;
    assert_eq!(server.client().folder(folder()).await.unwrap_err().status(), Some(400));
}

#[tokio::test]
async fn h10_a12_a_server_that_asks_for_a_pause_is_heard() {
    let server = Server::new(Router::new().fallback(async || {
        let headers =
            [("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
        (StatusCode::TOO_MANY_REQUESTS, headers).into_response()
    }))
    .await;
    let failure = server.client().folder(folder()).await.unwrap_err().into_failure();
    assert_eq!((failure.blame, failure.retry_after), (Blame::Cloud, Some(Duration::from_secs(20))));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let server = Server::with(async move |listener| {
        let mut open = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            open.push(socket);
        }
    })
    .await;
    let patience = Patience { request_timeout: Duration::from_millis(200), ..patience() };
    let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), patience);
    assert!(client.folder(folder()).await.unwrap_err().to_string().contains("no whole answer"));
    assert!(client.download(file()).await.map(drop).unwrap_err().to_string().contains("no answer"));
}

#[test]
fn only_encrypted_and_local_addresses_are_spoken_to() {
    for (url, fine) in [
        ("http://127.0.0.1:1/app/v1", true),
        ("http://[::1]:1/app/v1", true),
        ("http://localhost:1/", true),
        ("http://api.example/app/v1", false),
        ("http://127.0.0.1.example/app/v1", false),
        ("http://user:fake@127.0.0.1/", false),
        ("http://127.0.0.1/?x=1", false),
        ("file:///tmp", false),
    ] {
        let tokens = Tokens::new(Source::Fixed(Secret::new(TOKEN).unwrap()), patience());
        let built = Client::new(options(url.parse().unwrap(), patience()), tokens);
        assert_eq!(built.is_ok(), fine, "{url}");
        if let Err(error) = built {
            assert_eq!(error.blame(), Blame::Us);
            assert!(!error.to_string().contains("fake"), "{error}");
        }
    }
}

#[tokio::test]
async fn setting_up_uses_the_key_and_nothing_else() {
    let seen = Seen::new();
    let noted = seen.clone();
    let server = Server::new(Router::new().fallback(any(move |request: axum::extract::Request| async move {
        let path = request.uri().path().to_owned();
        let told = credentials(request.headers());
        noted.note(told);
        match (request.method().as_str(), path.as_str()) {
            ("GET", "/app/v1/users") => Json(json!([{ "user_id": id(8), "username": "b" }, { "user_id": id(9), "username": "a" }])),
            ("POST", "/app/v1/users") => Json(json!({ "user_id": id(9), "username": "a" })),
            ("GET", "/app/v1/folders") => Json(json!([{ "folder_id": id(1), "name": "r", "subfolders": [{ "folder_id": id(2), "name": "s" }] }])),
            ("POST", "/app/v1/folders") => Json(json!({ "folder_id": id(1), "name": "r" })),
            _ => Json(json!({ "user_token": "fake-a" })),
        }
    })))
    .await;
    let setup = server.client().setup(Secret::new("fake-key").unwrap());
    let user = setup.find_user("a").await.unwrap().remove(0);
    assert_eq!(setup.register_user("a").await.unwrap(), user);
    assert_eq!(setup.folders().await.unwrap().len(), 2);
    let root = setup.make_root_folder("r").await.unwrap();
    setup.grant(root.id, user.id, Scope::Write).await.unwrap();
    assert_eq!(setup.mint_token(user.id, Scope::Write, None).await.unwrap(), Secret::new("fake-a").unwrap());
    assert!(seen.take().iter().all(|told| told == &["api_key=fake-key"]));
}

#[tokio::test]
async fn every_conversation_may_be_carried_on_by_another_thread() {
    fn carried<T: Send>(_: &T) {}
    let server = Server::new(Router::new()).await;
    let client = server.client();
    carried(&client.folder(folder()));
    carried(&client.source_files(folder()));
    carried(&client.upload_tasks(folder(), |_| true));
    carried(&client.download(file()));
    carried(&client.upload(folder(), Parcel { parts: Vec::new() }));
    carried(&client.tokens().renew_if_shorter_than(Duration::ZERO));
    carried(&client.setup(Secret::new("fake-key").unwrap()).folders());
}
