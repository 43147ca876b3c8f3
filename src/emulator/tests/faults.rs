//! Scripted faults.

use super::*;
use crate::emulator::{Fault, FaultKind, Kept, Outcome};

const UPLOAD: &str = "/folders/{id}/source-files";

/// Uploads once under a fault; a second upload must always work.
async fn upload_under(kind: FaultKind) -> (Emulator, Result<Answer, reqwest::Error>) {
    let emulator = start(&[]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    emulator.fault(Fault::next("POST", UPLOAD, kind));
    let answer = client.try_upload(&folder, &[("a.glb", &[7; 50_000])]).await;
    let before = emulator.source_files().len();
    client.upload(&folder, &[("b.glb", b"x")]).await.done();
    assert_eq!(emulator.source_files().len(), before + 1);
    (emulator, answer)
}

fn first_outcome(emulator: &Emulator) -> Outcome {
    emulator.requests()[0].outcome
}

#[tokio::test]
async fn a_reset_before_or_in_or_after_the_body_stores_nothing() {
    for kind in [
        FaultKind::ResetBefore,
        FaultKind::ResetAfterBytes { bytes: 10_000, kept: Kept::Nothing },
        FaultKind::ResetAfterBody,
    ] {
        let (emulator, answer) = upload_under(kind.clone()).await;
        answer.unwrap_err();
        assert_eq!(emulator.source_files().len(), 1, "{kind:?}");
        assert_eq!(first_outcome(&emulator), Outcome::HungUp);
    }
}

#[tokio::test]
async fn a_bad_server_can_keep_half_a_file() {
    let (emulator, answer) =
        upload_under(FaultKind::ResetAfterBytes { bytes: 10_000, kept: Kept::Partial }).await;
    answer.unwrap_err();
    let stored = emulator.source_files();
    assert_eq!(stored[0].name, "a.glb");
    assert!((9_000..10_000).contains(&stored[0].size), "{}", stored[0].size);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_upload_is_stored() {
    for kind in [FaultKind::AcceptThenLose, FaultKind::AcceptThenReset] {
        let (emulator, answer) = upload_under(kind.clone()).await;
        answer.unwrap_err();
        assert_eq!(emulator.source_files()[0].size, 50_000, "{kind:?}");
        assert_eq!(first_outcome(&emulator), Outcome::HungUp);
    }
}

#[tokio::test]
async fn an_answer_can_break_off_or_be_a_web_page() {
    let (emulator, answer) = upload_under(FaultKind::Truncate { bytes: 5 }).await;
    answer.unwrap_err();
    assert_eq!(emulator.source_files().len(), 2);
    let (emulator, answer) = upload_under(FaultKind::Html).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(emulator.source_files().len(), 1);
    let (emulator, answer) = upload_under(FaultKind::AcceptThenHtml).await;
    assert_eq!((answer.unwrap().status, emulator.source_files().len()), (200, 2));
}

#[tokio::test]
async fn an_answer_can_be_any_status_before_or_after_the_body() {
    let (_, answer) = upload_under(FaultKind::StatusAfterBody { status: 503, body: String::new() }).await;
    answer.unwrap().refused(503);
    let (_, answer) = upload_under(FaultKind::StatusAfterBody { status: 502, body: "<h1>".into() }).await;
    assert_eq!(answer.unwrap().bytes, b"<h1>");
    let emulator = start(&[]).await;
    emulator.fault(Fault::next("GET", "*", FaultKind::Status { status: 500, body: String::new() }).every());
    let client = Client::user(&emulator);
    client.get("/folders").await.refused(500);
    client.get("/folders").await.refused(500);
    emulator.clear_faults();
    client.get("/folders").await.done();
}

#[tokio::test]
async fn a_rate_limit_says_what_it_is_told_to_say() {
    for text in [Some("7"), Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some("-1"), Some("soon"), None] {
        let kind = FaultKind::RateLimited { retry_after: text.map(str::to_owned) };
        let (_, answer) = upload_under(kind).await;
        let answer = answer.unwrap();
        answer.refused(429);
        assert_eq!(answer.header("retry-after"), text.unwrap_or_default());
    }
}

#[tokio::test]
async fn a_redirect_names_the_place_it_was_given() {
    let location = "http://127.0.0.1:9/elsewhere".to_owned();
    let (_, answer) = upload_under(FaultKind::Redirect { status: 307, location }).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.header("location")), (307, "http://127.0.0.1:9/elsewhere"));
}

#[tokio::test]
async fn an_answer_can_be_slow_huge_or_no_http_at_all() {
    let (emulator, answer) = upload_under(FaultKind::SlowAnswer { ms_per_byte: 1 }).await;
    answer.unwrap().done();
    assert_eq!(emulator.source_files().len(), 2);
    let (_, answer) = upload_under(FaultKind::HugeHeader { bytes: 1024 * 1024 }).await;
    answer.unwrap_err();
    let (_, answer) = upload_under(FaultKind::ManyHeaders { count: 5000 }).await;
    answer.unwrap_err();
    let (_, answer) = upload_under(FaultKind::Raw { text: "220 mail.example ESMTP\r\n".into() }).await;
    answer.unwrap_err();
    let (_, answer) = upload_under(FaultKind::Flood { bytes: 1_000_000 }).await;
    assert!(answer.unwrap().bytes.len() > 900_000);
    let (_, answer) = upload_under(FaultKind::Delay { ms: 1 }).await;
    answer.unwrap().done();
}

#[tokio::test]
async fn a_server_that_stops_reading_keeps_the_client_waiting() {
    let emulator = start(&[]).await;
    let folder = emulator.seeds().folder_id.clone();
    emulator.fault(Fault::next("POST", UPLOAD, FaultKind::StopReading { bytes: 1000 }));
    let client = Client::user(&emulator);
    let large = vec![7; 32 * 1024 * 1024];
    let files: [(&str, &[u8]); 1] = [("a.glb", &large)];
    let upload = tokio::time::timeout(Duration::from_millis(300), client.try_upload(&folder, &files));
    assert!(upload.await.is_err(), "nobody reads, so nobody answers");
    assert!(emulator.source_files().is_empty());
}

#[tokio::test]
async fn knobs_cut_and_slow_only_what_is_long_enough() {
    let emulator = start(&[("cut_after_bytes", "5000"), ("upload_bytes_per_second", "1000000")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.try_upload(&folder, &[("a.glb", &[7; 20_000])]).await.unwrap_err();
    client.upload(&folder, &[("b.glb", b"short")]).await.done();
    assert_eq!(emulator.source_files().len(), 1);
}

#[tokio::test]
async fn faults_and_the_journal_are_steered_over_http() {
    let emulator = start(&[]).await;
    let client = Client::user(&emulator);
    let root = format!("http://{}/_emulator", emulator.address());
    let fault = serde_json::json!({"method": "GET", "route": "/folders", "kind": "html"});
    received(client.http.post(format!("{root}/faults")).json(&fault)).await.unwrap().done();
    let wrong = serde_json::json!({"kind": "explode"});
    received(client.http.post(format!("{root}/faults")).json(&wrong)).await.unwrap().refused(400);
    assert_eq!(client.get("/folders").await.header("content-type"), "text/html; charset=utf-8");
    client.get("/folders?limit=1").await.done();
    let journal = received(client.http.get(format!("{root}/requests"))).await.unwrap().json();
    assert_eq!(journal.as_array().unwrap().len(), 2, "steering is not journalled");
    assert_eq!((&journal[1]["query"], &journal[1]["outcome"]["answered"]), (&"limit=1".into(), &200.into()));
    received(client.http.delete(format!("{root}/requests"))).await.unwrap().done();
    assert!(emulator.requests().is_empty());
}
