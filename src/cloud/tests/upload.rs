//! Uploads: what is on the wire, and what may be concluded when they fail.

use std::io;
use std::time::Duration;

use axum::extract::{Multipart, Request};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::verdict::Blame;

fn part(name: &str, chunks: Vec<io::Result<Bytes>>, length: u64) -> ParcelPart {
    ParcelPart { name: PartName::from_text(name).unwrap(), length, body: stream::iter(chunks).boxed() }
}

fn whole(name: &str, bytes: &'static [u8]) -> ParcelPart {
    part(name, vec![Ok(Bytes::from_static(bytes))], bytes.len() as u64)
}

fn parcel() -> Parcel {
    Parcel { parts: vec![whole("a.fbx", b"hello")] }
}

const ROUTE: &str = "/app/v1/folders/00000000-0000-0000-0000-000000000001/source-files";
const TASK: &str = r#"{"upload_task_id":"00000000-0000-0000-0000-0000000000aa"}"#;

/// A server that reads uploads to their end and answers all of them alike.
async fn answering(status: u16, body: &'static str) -> Server {
    let answer = move |request: Request| async move {
        axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        (StatusCode::from_u16(status).unwrap(), body)
    };
    Server::new(Router::new().route(ROUTE, post(answer))).await
}

#[tokio::test]
async fn parts_travel_in_order_with_their_names_and_an_exact_length() {
    let seen = Seen::new();
    let noted = seen.clone();
    let take = move |headers: HeaderMap, mut form: Multipart| async move {
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await.unwrap() {
            let told = (
                field.name().unwrap().to_owned(),
                field.file_name().unwrap().to_owned(),
                field.content_type().unwrap().to_owned(),
            );
            parts.push((told, field.bytes().await.unwrap()));
        }
        noted.note((headers, parts));
        TASK
    };
    let server = Server::new(Router::new().route(ROUTE, post(take))).await;
    let big = vec![7u8; 100_000];
    let parts = vec![
        whole("a \"b\".gltf", b"lead"),
        part("Größe 人.bin", vec![Ok(big.clone().into()), Ok(Bytes::new()), Ok(big.into())], 200_000),
        whole("empty.mtl", b""),
    ];
    let receipt = server.client().upload(folder(), Parcel { parts }).await.unwrap();
    assert_eq!(receipt.task.unwrap().to_string(), "00000000-0000-0000-0000-0000000000aa");
    let (headers, parts) = seen.take().remove(0);
    let names: Vec<_> = parts.iter().map(|((_, name, _), bytes)| (name.as_str(), bytes.len())).collect();
    assert_eq!(names, [("a \"b\".gltf", 4), ("Größe 人.bin", 200_000), ("empty.mtl", 0)]);
    assert!(parts.iter().all(|((field, _, kind), _)| field == "file" && kind == "application/octet-stream"));
    assert!(headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
    assert_eq!(credentials(&headers), [format!("user_token={TOKEN}")]);
}

#[tokio::test]
async fn h18_an_accepted_upload_may_name_no_task() {
    assert_eq!(
        answering(201, "{}").await.client().upload(folder(), parcel()).await.unwrap(),
        Receipt { task: None }
    );
}

#[tokio::test]
async fn h17_after_the_whole_body_only_a_clear_refusal_says_that_nothing_was_taken() {
    for (status, body, taken) in [
        (200, "<html>welcome to the hotel</html>", "unknown"),
        (200, r#"{"upload_task_id":"#, "unknown"),
        (200, "", "unknown"),
        (200, r#"{"upload_task_id":"no id"}"#, "unknown"),
        (307, "", "unknown"),
        (408, "", "unknown"),
        (500, r#"{"errorCode":1,"message":"oops"}"#, "unknown"),
        (503, "", "unknown"),
        (400, "", "not taken"),
        (401, "", "not taken"),
        (403, "", "not taken"),
        (404, "", "not taken"),
        (409, "", "not taken"),
        (413, "", "not taken"),
        (415, "", "not taken"),
        (422, "", "not taken"),
        (429, "", "not taken"),
    ] {
        let told = match answering(status, body).await.client().upload(folder(), parcel()).await.unwrap_err()
        {
            UploadError::Unknown(_) => "unknown",
            UploadError::NotTaken(_) => "not taken",
        };
        assert_eq!(told, taken, "{status} {body}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_shrinks_or_grows_on_the_way_is_not_taken_and_is_to_blame() {
    let server = answering(200, TASK).await;
    for (chunks, why) in [
        (vec![Ok(Bytes::from_static(b"hel")), Err(io::Error::other("disk on fire"))], "disk on fire"),
        (vec![Ok(Bytes::from_static(b"hel"))], "ended 2 bytes before"),
        (vec![Ok(Bytes::from_static(b"hello")), Ok(Bytes::from_static(b"!"))], "more bytes"),
    ] {
        for broken_last in [vec![0, 1], vec![1, 0]] {
            let mut parts: Vec<_> = vec![whole("good.bin", b"good")];
            let chunks = chunks.iter().map(|chunk| match chunk {
                Ok(bytes) => Ok(bytes.clone()),
                Err(error) => Err(io::Error::other(error.to_string())),
            });
            parts.insert(broken_last[0], part("a.fbx", chunks.collect(), 5));
            match server.client().upload(folder(), Parcel { parts }).await.unwrap_err() {
                UploadError::NotTaken(error) => {
                    assert_eq!(error.blame(), Blame::File);
                    assert!(error.to_string().contains(why), "{error}");
                }
                UploadError::Unknown(error) => panic!("{error}"),
            }
        }
    }
}

/// Reads a request until the body's last bytes have come.
async fn read_whole(socket: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"--\r\n") {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn h4_h5_an_answer_lost_after_the_whole_body_leaves_a_question() {
    for half_an_answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 66\r\n\r\n{\"upload"] {
        let server = Server::with(async move |listener| {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_whole(&mut socket).await;
            socket.write_all(half_an_answer).await.unwrap();
        })
        .await;
        let error = server.client().upload(folder(), parcel()).await.unwrap_err();
        assert!(matches!(&error, UploadError::Unknown(error) if error.blame() == Blame::Cloud), "{error}");
    }
}

#[tokio::test]
async fn h6_an_answer_that_never_comes_ends_the_wait_and_leaves_a_question() {
    let server = Server::with(async move |listener| {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_whole(&mut socket).await;
        std::future::pending::<()>().await;
    })
    .await;
    let patience = Patience { answer_timeout: Duration::from_millis(200), ..patience() };
    let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), patience);
    let error = client.upload(folder(), parcel()).await.unwrap_err();
    assert!(
        matches!(&error, UploadError::Unknown(error) if error.to_string().contains("no answer came")),
        "{error}"
    );
}

#[tokio::test]
async fn h16_a_refusal_that_comes_early_is_the_answer() {
    let server = Server::with(async move |listener| {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut some = [0; 512];
        socket.read_exact(&mut some[..100]).await.unwrap();
        socket.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        // Goes on reading, so that no reset overtakes the answer.
        while socket.read(&mut some).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    // The second chunk never comes: only the answer can end this.
    let body = stream::iter([Ok(Bytes::from(vec![1; 1000]))]).chain(stream::pending()).boxed();
    let parts = vec![ParcelPart { name: PartName::from_text("a.fbx").unwrap(), length: 2000, body }];
    match server.client().upload(folder(), Parcel { parts }).await.unwrap_err() {
        UploadError::NotTaken(error) => assert_eq!((error.status(), error.blame()), (Some(413), Blame::File)),
        UploadError::Unknown(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_success_that_comes_before_the_files_is_not_believed() {
    let server = Server::with(async move |listener| {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_exact(&mut [0; 100]).await.unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{TASK}", TASK.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let body = stream::iter([Ok(Bytes::from(vec![1; 1000]))]).chain(stream::pending()).boxed();
    let parts = vec![ParcelPart { name: PartName::from_text("a.fbx").unwrap(), length: 2000, body }];
    let error = server.client().upload(folder(), Parcel { parts }).await.unwrap_err();
    assert!(matches!(error, UploadError::Unknown(_)), "{error}");
}

#[tokio::test]
async fn h7_a_server_that_stops_reading_and_a_file_that_stops_giving_are_told_apart() {
    let server = Server::with(async move |listener| {
        let mut open = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            open.push(socket);
        }
    })
    .await;
    let patience = Patience { stall_timeout: Duration::from_millis(300), ..patience() };
    let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), patience);
    let endless = stream::repeat_with(|| Ok(Bytes::from(vec![0; 1 << 20]))).boxed();
    for (body, blame) in [(endless, Blame::Cloud), (stream::pending().boxed(), Blame::File)] {
        let parts = vec![ParcelPart { name: PartName::from_text("a.fbx").unwrap(), length: 1 << 40, body }];
        match client.upload(folder(), Parcel { parts }).await.unwrap_err() {
            UploadError::NotTaken(error) => assert_eq!(error.blame(), blame, "{error}"),
            UploadError::Unknown(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn h8_a_slow_upload_that_moves_outlives_every_timeout() {
    let server = answering(200, TASK).await;
    let short = Duration::from_millis(400);
    let patience =
        Patience { stall_timeout: short, request_timeout: short, connect_timeout: short, ..patience() };
    let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), patience);
    // The pace is the matter here: twelve beats, together three times as long as any timeout.
    let pace = tokio::time::interval(short / 4);
    let body = stream::unfold((pace, 12u8), async |(mut pace, left)| {
        pace.tick().await;
        let left = left.checked_sub(1)?;
        Some((Ok(Bytes::from_static(b"x")), (pace, left)))
    });
    let parts =
        vec![ParcelPart { name: PartName::from_text("a.fbx").unwrap(), length: 12, body: body.boxed() }];
    assert!(client.upload(folder(), Parcel { parts }).await.unwrap().task.is_some());
}

#[tokio::test]
async fn h11_an_expired_token_costs_one_upload_and_a_second_one_is_a_matter_of_the_login() {
    let minted = Seen::new();
    let mint = minted.clone();
    let router = Router::new().route(ROUTE, post(async || StatusCode::UNAUTHORIZED.into_response())).route(
        "/token",
        axum::routing::get(async move || {
            let n = mint.note(());
            Json(
                serde_json::json!({ "user_token": format!("fake-{n}"), "expires_in": 3600, "expires_on": 0 }),
            )
        }),
    );
    let server = Server::new(router).await;
    let source = Source::Endpoint { url: server.url.join("/token").unwrap(), bearer: None };
    let client = server.client_with(source, patience());
    let first = client.upload(folder(), parcel()).await.unwrap_err();
    assert!(matches!(&first, UploadError::NotTaken(error) if error.blame() == Blame::Cloud), "{first}");
    let second = client.upload(folder(), parcel()).await.unwrap_err();
    assert!(matches!(&second, UploadError::NotTaken(error) if error.needs_login()), "{second}");
    assert_eq!(minted.take().len(), 2);
}
