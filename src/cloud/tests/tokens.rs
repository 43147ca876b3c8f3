//! Where tokens come from, how often they are asked for, and where they must never turn up.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use super::*;
use crate::id::UserId;
use crate::verdict::Blame;

/// The script of a studio's login.
fn command(script: &str) -> Source {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    Source::Command { argv, timeout: Duration::from_secs(20) }
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A cloud that mints, that knows one folder, and that accepts only tokens for which `accepts` holds.
struct Cloud {
    server: Server,
    asked: Seen<Vec<String>>,
    minted: Seen<Value>,
}

impl Cloud {
    async fn accepting(accepts: fn(&str) -> bool) -> Self {
        let (asked, minted) = (Seen::new(), Seen::new());
        let (note, mint) = (asked.clone(), minted.clone());
        let read = move |headers: HeaderMap| async move {
            let told = credentials(&headers);
            note.note(told.clone());
            match told.as_slice() {
                [one] if one.strip_prefix("user_token=").is_some_and(accepts) => {
                    Json(serde_json::json!({ "folder_id": folder().to_string(), "name": "characters" }))
                        .into_response()
                }
                _ => (StatusCode::UNAUTHORIZED, told.join(" ")).into_response(),
            }
        };
        let mint = move |headers: HeaderMap, Json(body): Json<Value>| async move {
            assert_eq!(credentials(&headers), ["api_key=fake-key"]);
            let refuses = body.get("ttl").is_some_and(|ttl| ttl == "13h");
            let n = mint.note(body);
            if refuses {
                return StatusCode::BAD_REQUEST.into_response();
            }
            Json(
                serde_json::json!({ "user_token": format!("fake-{n}"), "expires_in": 3600, "expires_on": 0 }),
            )
            .into_response()
        };
        let router = Router::new()
            .route("/app/v1/folders/{id}", get(read))
            .route("/app/v1/users/{id}/tokens", post(mint));
        Self { server: Server::new(router).await, asked, minted }
    }
}

fn key_source(directory: &Path, hours: u64) -> Source {
    let key_file = directory.join("key");
    write(&key_file, "fake-key\n");
    let user_id = UserId::from_uuid(uuid::Uuid::from_u128(9));
    Source::ApiKey { key_file, user_id, scope: Scope::Write, ttl: Duration::from_secs(hours * 3600) }
}

#[tokio::test]
async fn x1_sixty_four_callers_at_once_mint_one_token() {
    let cloud = Cloud::accepting(|_| true).await;
    let directory = tempfile::tempdir().unwrap();
    let client = cloud.server.client_with(key_source(directory.path(), 1), patience());
    let calls = (0..64).map(|_| client.folder(folder()));
    futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(cloud.minted.take(), [serde_json::json!({ "scope": "write", "ttl": "1h" })]);
    assert_eq!(cloud.asked.take().len(), 64);
    let life = client.tokens().life();
    assert!(
        life.renewable && life.remaining.is_some_and(|left| left > Duration::from_secs(3500)),
        "{life:?}"
    );
}

#[tokio::test]
async fn h11_an_expired_token_is_replaced_once_for_all_who_used_it() {
    let cloud = Cloud::accepting(|token| token != "fake-0").await;
    let directory = tempfile::tempdir().unwrap();
    let client = cloud.server.client_with(key_source(directory.path(), 1), patience());
    let calls = (0..16).map(|_| client.folder(folder()));
    futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(cloud.minted.take().len(), 2);
}

/// No read-after-write: what the cloud has just minted may be unknown to the machine that is asked next.
#[tokio::test]
async fn a_token_minted_a_moment_ago_is_tried_again_before_anybody_is_called() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let cloud =
        Cloud::accepting(|token| token == "fake-1" && ASKED.fetch_add(1, Ordering::Relaxed) > 0).await;
    let directory = tempfile::tempdir().unwrap();
    let client = cloud.server.client_with(key_source(directory.path(), 1), patience());
    let error = client.folder(folder()).await.unwrap_err();
    assert_eq!((error.status(), error.blame()), (Some(401), Blame::Cloud), "it passes by itself");
    client.folder(folder()).await.unwrap();
    assert_eq!(cloud.minted.take().len(), 2, "the second token was given its time");
}

#[tokio::test]
async fn a_ttl_that_is_refused_is_left_to_the_server() {
    let cloud = Cloud::accepting(|_| true).await;
    let directory = tempfile::tempdir().unwrap();
    let client = cloud.server.client_with(key_source(directory.path(), 13), patience());
    client.folder(folder()).await.unwrap();
    let asked = cloud.minted.take();
    assert_eq!(
        asked,
        [serde_json::json!({ "scope": "write", "ttl": "13h" }), serde_json::json!({ "scope": "write" })]
    );
}

#[tokio::test]
async fn h12_a_cloud_that_refuses_every_token_is_asked_twice_and_then_the_user_is() {
    let cloud = Cloud::accepting(|_| false).await;
    let directory = tempfile::tempdir().unwrap();
    let slow = Patience {
        retry_first: Duration::from_secs(3600),
        retry_max: Duration::from_secs(3600),
        grace: Duration::ZERO,
        ..patience()
    };
    let client = cloud.server.client_with(key_source(directory.path(), 1), slow);
    let error = client.folder(folder()).await.unwrap_err();
    assert_eq!((error.status(), error.blame()), (Some(401), Blame::User));
    assert_eq!(cloud.asked.take().len(), 2);
    assert!(client.folder(folder()).await.unwrap_err().needs_login());
    assert!(cloud.asked.take().is_empty(), "left alone for an hour");
    assert_eq!(cloud.minted.take().len(), 2);
}

#[tokio::test]
async fn a_refused_token_that_is_given_again_waits_for_the_file_to_change() {
    let cloud = Cloud::accepting(|token| token == "fake-fresh").await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    write(&path, "fake-stale");
    let slow = Patience {
        retry_first: Duration::from_secs(3600),
        retry_max: Duration::from_secs(3600),
        ..patience()
    };
    let client = cloud.server.client_with(Source::File(path.clone()), slow);
    for _ in 0..3 {
        let error = client.folder(folder()).await.unwrap_err();
        assert!(error.needs_login() && error.to_string().contains("file"), "{error}");
    }
    assert_eq!(cloud.asked.take().len(), 1, "a token that was refused is not sent again");
    write(&path, r#"{"user_token":"fake-fresh","expires_in":3600}"#);
    client.folder(folder()).await.unwrap();
}

#[tokio::test]
async fn a_fixed_token_that_is_refused_needs_a_person() {
    let cloud = Cloud::accepting(|_| false).await;
    let error = cloud.server.client().folder(folder()).await.unwrap_err();
    assert_eq!(error.blame(), Blame::User);
    assert_eq!(cloud.asked.take().len(), 1);
}

#[tokio::test]
async fn a_public_token_is_refused_with_the_reason_before_it_is_sent() {
    let cloud = Cloud::accepting(|_| true).await;
    let client = cloud.server.client_with(command("echo public_not-a-real-token"), patience());
    let error = client.folder(folder()).await.unwrap_err();
    assert!(error.needs_login() && error.to_string().contains("may only read"), "{error}");
    assert!(cloud.asked.take().is_empty());
}

#[tokio::test]
async fn a_command_is_believed_only_if_it_ends_well_in_time_and_says_little() {
    let cloud = Cloud::accepting(|token| token == "fake-good").await;
    let good = r#"echo fake-stderr >&2; printf '{"user_token":"fake-good","expires_in":60}'"#;
    cloud.server.client_with(command(good), patience()).folder(folder()).await.unwrap();
    let quick = |script: &str| match command(script) {
        Source::Command { argv, .. } => Source::Command { argv, timeout: Duration::from_millis(200) },
        other => other,
    };
    for (source, why) in [
        (command("echo fake-good; exit 3"), "exit status: 3"),
        (command("true"), "printed no token"),
        (command("echo two words"), "printed no token"),
        (command("head -c 70000 /dev/zero"), "more than 64 KiB"),
        (quick("sleep 60 & sleep 60"), "did not end"),
        (quick("exec >&-; sleep 60"), "did not end"),
        (
            Source::Command { argv: vec!["/nonexistent/login".into()], timeout: Duration::from_secs(1) },
            "/nonexistent/login",
        ),
        (Source::Command { argv: vec![], timeout: Duration::from_secs(1) }, "empty"),
    ] {
        let error = cloud.server.client_with(source, patience()).folder(folder()).await.unwrap_err();
        assert!(error.needs_login() && error.to_string().contains(why), "{why}: {error}");
        assert!(!error.to_string().contains("fake-"), "{error}");
    }
}

#[tokio::test]
async fn x2_a_source_that_fails_is_left_alone_and_what_is_in_hand_is_used_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let (cloud, runs) = (Cloud::accepting(|_| true).await, directory.path().join("runs"));
    let script = format!("echo >> '{}'; exit 1", runs.display());
    let slow = Patience {
        retry_first: Duration::from_secs(3600),
        retry_max: Duration::from_secs(3600),
        ..patience()
    };
    let client = cloud.server.client_with(command(&script), slow.clone());
    for _ in 0..5 {
        assert!(client.folder(folder()).await.unwrap_err().needs_login());
    }
    assert_eq!(std::fs::metadata(&runs).unwrap().len(), 1, "run once");

    let once = directory.path().join("once");
    let script =
        format!("mkdir '{}' && echo '{{\"user_token\":\"fake-a\",\"expires_in\":3600}}'", once.display());
    let client = cloud.server.client_with(command(&script), slow);
    client.folder(folder()).await.unwrap();
    client.tokens().renew_if_shorter_than(Duration::from_secs(7200)).await.unwrap();
    client.folder(folder()).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_gets_its_bearer_and_no_other_credential() {
    let seen = Seen::new();
    let router = Router::new()
        .route(
            "/token",
            get(async |State(seen): State<Seen<Vec<String>>>, headers: HeaderMap| -> Response {
                seen.note(credentials(&headers));
                Json(serde_json::json!({ "user_token": "fake-a" })).into_response()
            }),
        )
        .with_state(seen.clone());
    let (studio, cloud) = (Server::new(router).await, Cloud::accepting(|token| token == "fake-a").await);
    let directory = tempfile::tempdir().unwrap();
    let bearer = directory.path().join("bearer");
    write(&bearer, "fake-bearer");
    let source = Source::Endpoint { url: studio.url.join("/token").unwrap(), bearer: Some(bearer) };
    cloud.server.client_with(source, patience()).folder(folder()).await.unwrap();
    assert_eq!(seen.take(), [["authorization=Bearer fake-bearer"]]);
    assert_eq!(cloud.asked.take(), [["user_token=fake-a"]]);
}

#[tokio::test]
async fn x6_a_server_that_echoes_the_token_teaches_no_log() {
    for (status, body) in [
        (400, format!(r#"{{"errorCode":1,"message":"bad token {TOKEN}"}}"#)),
        (502, format!("<html>user_token: {TOKEN}</html>")),
        (200, format!(r#"{{"folder_id":"{TOKEN}","name":"x"}}"#)),
        (200, format!(r#"{{"folder_id":["{TOKEN}"]}}"#)),
        (302, String::new()),
    ] {
        let answer = (
            StatusCode::from_u16(status).unwrap(),
            [("location", format!("https://{TOKEN}.example/"))],
            body,
        );
        let server = Server::new(Router::new().fallback(async move || answer)).await;
        let client = server.client();
        let error = client.folder(folder()).await.unwrap_err();
        for text in
            [error.to_string(), format!("{error:?}"), format!("{client:?}"), error.into_failure().what]
        {
            assert!(!text.contains(TOKEN), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_ahead_of_its_end_and_ahead_of_a_long_transfer() {
    let directory = tempfile::tempdir().unwrap();
    let count = directory.path().join("count");
    let script = format!(
        "echo >> '{0}'; n=$(wc -l < '{0}'); printf '{{\"user_token\":\"fake-%d\",\"expires_in\":3600}}' $n",
        count.display()
    );
    let source = match command(&script) {
        // Paused time runs while the command does.
        Source::Command { argv, .. } => Source::Command { argv, timeout: Duration::from_secs(1 << 30) },
        other => other,
    };
    let tokens = Tokens::new(source, patience());
    let number = |n: u32| Secret::new(&format!("fake-{n}")).unwrap();
    assert_eq!(tokens.current().await.unwrap(), number(1));
    tokens.renew_if_shorter_than(Duration::from_secs(1 << 20)).await.unwrap();
    assert_eq!(tokens.current().await.unwrap(), number(1), "a fresh one is the best there is");
    tokio::time::advance(Duration::from_secs(2000)).await;
    assert_eq!(tokens.current().await.unwrap(), number(1));
    tokens.renew_if_shorter_than(Duration::from_secs(1000)).await.unwrap();
    assert_eq!(tokens.current().await.unwrap(), number(1), "long enough for this one");
    tokens.renew_if_shorter_than(Duration::from_secs(3000)).await.unwrap();
    assert_eq!(tokens.current().await.unwrap(), number(2));
    tokio::time::advance(Duration::from_secs(2900)).await;
    assert_eq!(tokens.current().await.unwrap(), number(3));
}
