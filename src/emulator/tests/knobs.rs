//! What knobs change.

use serde_json::json;

use super::*;

async fn twice(knobs: &[(&str, &str)]) -> (Emulator, Client, u16) {
    let emulator = start(&[knobs, &[("conversion_ms", "0")]].concat()).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.upload(&folder, &[("a.glb", b"one")]).await.done();
    let status = client.upload(&folder, &[("a.glb", b"two")]).await.status;
    (emulator, client, status)
}

#[tokio::test]
async fn a_second_upload_of_a_name_duplicates_replaces_or_conflicts() {
    for (policy, count, status) in
        [("duplicate", 2, 201), ("replace_same_id", 1, 201), ("replace_new_id", 1, 201), ("conflict", 1, 409)]
    {
        let (emulator, _, seen) = twice(&[("same_name", policy)]).await;
        let stored = emulator.source_files();
        assert_eq!((stored.len(), seen), (count, status), "{policy}");
        let last = content(&emulator, &stored.last().unwrap().id);
        assert_eq!(last, if policy == "conflict" { b"one" } else { b"two" }, "{policy}");
    }
}

#[tokio::test]
async fn asset_ids_can_be_stable_over_versions() {
    for (knob, scenes) in [("new", 2), ("stable", 1)] {
        let (emulator, client, _) = twice(&[("asset_ids", knob)]).await;
        let json = client.get(&format!("/folders/{}/assets", emulator.seeds().folder_id)).await.json();
        assert_eq!(json["scenes"].as_array().unwrap().len(), scenes, "{knob}");
        let last = emulator.source_files().pop().unwrap().id;
        let assets = client.get(&format!("/source-files/{last}/assets")).await.json();
        assert!(assets["scenes"].is_array(), "the newest file has the assets");
    }
}

#[tokio::test]
async fn equal_bytes_can_be_one_source_file() {
    let emulator = start(&[("dedup", "on"), ("conversion_ms", "0")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.upload(&folder, &[("a.glb", b"same")]).await.done();
    let task = client.upload(&folder, &[("b.glb", b"same")]).await.id("upload_task_id");
    let stored = emulator.source_files();
    assert_eq!(stored.len(), 1);
    let json = client.get(&format!("/upload-tasks/{task}")).await.json();
    assert_eq!(json["conversion_tasks"][0]["source_file_id"], stored[0].id.as_str());
}

#[tokio::test]
async fn a_listing_can_lag_for_new_and_deleted_files() {
    let emulator = start(&[("listing_lag_ms", "30000")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let path = format!("/folders/{folder}/source-files");
    client.upload(&folder, &[("a.glb", b"x")]).await.done();
    assert!(client.get(&path).await.ids("name").is_empty());
    let stored = emulator.source_files().remove(0);
    assert!(!stored.visible);
    client.get(&format!("/source-files/{}/details", stored.id)).await.done();
    emulator.advance(Duration::from_secs(30));
    assert_eq!(client.get(&path).await.ids("name"), ["a.glb"]);
    client.send("DELETE", "/source-files", json!({"source_file_ids": [stored.id]})).await.done();
    assert_eq!(client.get(&path).await.ids("name"), ["a.glb"]);
    client.get(&format!("/source-files/{}", stored.id)).await.refused(404);
    emulator.advance(Duration::from_secs(30));
    assert!(client.get(&path).await.ids("name").is_empty());
}

#[tokio::test]
async fn pages_can_shift_while_they_are_read() {
    let emulator = start(&[("insert_during_paging", "on"), ("page_max", "2")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    for name in ["a.png", "b.png", "c.png"] {
        client.upload(&folder, &[(name, b"x")]).await.done();
    }
    let path = format!("/folders/{folder}/source-files?limit=50");
    let first = client.get(&path).await;
    let second = client.get(&format!("{path}&offset=2")).await;
    assert_eq!(
        (first.ids("name"), second.ids("name")),
        (vec!["a.png".into(), "b.png".into()], vec!["b.png".into(), "c.png".into()])
    );
    assert_eq!((first.header("x-source-files-count"), second.header("x-source-files-count")), ("3", "4"));
}

#[tokio::test]
async fn lists_come_in_the_order_of_the_knob() {
    let names: Vec<String> = (0..8).map(|n| format!("{n}.png")).collect();
    for order in ["insertion", "newest", "random", "unstable"] {
        let emulator = start(&[("order", order)]).await;
        let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
        for name in &names {
            client.upload(&folder, &[(name, b"x")]).await.done();
        }
        let path = format!("/folders/{folder}/source-files");
        let mut seen = client.get(&path).await.ids("name");
        match order {
            "insertion" => assert_eq!(seen, names),
            "newest" => assert!(seen.iter().rev().eq(&names)),
            "random" => assert_eq!(seen, client.get(&path).await.ids("name")),
            _ => {}
        }
        seen.sort();
        assert_eq!(seen, names, "{order}");
    }
}

#[tokio::test]
async fn a_task_can_end_in_every_way_or_never() {
    for (end, status) in [
        ("success", "success"),
        ("error", "error"),
        ("rejected", "rejected"),
        ("never", "converting"),
        ("unknown_status", "quarantined"),
    ] {
        let emulator = start(&[("task_end", end), ("progress", "percent")]).await;
        let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
        let task = client.upload(&folder, &[("a.glb", b"x")]).await.id("upload_task_id");
        converted(&emulator);
        let json = client.get(&format!("/upload-tasks/{task}")).await.json();
        assert_eq!(json["status"], status);
        if end == "success" {
            assert_eq!(json["progress"], 100.0);
        }
    }
}

#[tokio::test]
async fn tasks_can_be_hidden_from_user_tokens_and_forgotten() {
    let emulator = start(&[("task_routes", "403"), ("task_retention_ms", "1000")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let task = client.upload(&folder, &[("a.glb", b"x")]).await.id("upload_task_id");
    client.get(&format!("/upload-tasks/{task}")).await.refused(403);
    client.get(&format!("/folders/{folder}/upload-tasks")).await.refused(403);
    Client::key(&emulator).get(&format!("/upload-tasks/{task}")).await.done();
    converted(&emulator);
    Client::key(&emulator).get(&format!("/upload-tasks/{task}")).await.refused(404);
}

#[tokio::test]
async fn uploads_can_be_too_large_too_many_or_too_late() {
    let emulator = start(&[("max_upload_bytes", "1000")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.upload(&folder, &[("a.glb", &[0; 9_000_000])]).await.refused(413);
    let nobody = Client::with(&emulator, "user_token", "fake");
    nobody.upload(&folder, &[("a.glb", &[0; 9_000_000])]).await.refused(401);
    client.upload(&folder, &[("a.glb", &[0; 20])]).await.done();
    let emulator = start(&[("late_expiry", "checked")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let pieces = futures_util::stream::unfold(0, |n| {
        if n == 1 {
            emulator.expire_tokens();
        }
        std::future::ready((n < 2).then(|| (std::io::Result::Ok(vec![0_u8; 10]), n + 1)))
    });
    let pieces: Vec<_> = futures_util::StreamExt::collect(pieces).await;
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let form = Form::new().part("file", Part::stream_with_length(body, 20).file_name("a.glb"));
    let path = format!("/folders/{folder}/source-files");
    received(client.request(Method::POST, &path).multipart(form)).await.unwrap().refused(401);
    let emulator = start(&[("late_expiry", "always")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.upload(&folder, &[("a.glb", b"x")]).await.refused(401);
    assert!(emulator.source_files().is_empty());
}

#[tokio::test]
async fn the_request_rate_can_be_limited() {
    let emulator = start(&[("requests_per_second", "3")]).await;
    let client = Client::user(&emulator);
    let mut refused = None;
    for _ in 0..8 {
        refused = refused.or(Some(client.get("/folders").await).filter(|answer| answer.status == 429));
    }
    let refused = refused.unwrap();
    refused.refused(429);
    assert_eq!(refused.header("retry-after"), "1");
    emulator.advance(Duration::from_secs(1));
    client.get("/folders").await.done();
}

#[tokio::test]
async fn a_download_can_be_wrong_or_elsewhere_and_a_size_a_lie() {
    let emulator = start(&[("corrupt_downloads", "on"), ("size_error", "-1")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.upload(&folder, &[("a.png", b"abcdef")]).await.done();
    let id = emulator.source_files().remove(0).id;
    assert_eq!(client.get(&format!("/source-files/{id}")).await.bytes, b"abcDef");
    assert_eq!(client.get(&format!("/source-files/{id}/details")).await.json()["size"], 5);
    let mut knobs = emulator.knobs();
    knobs.set("download_redirect", "http://127.0.0.2:9/").unwrap();
    emulator.set_knobs(knobs);
    let elsewhere = client.get(&format!("/source-files/{id}")).await;
    assert_eq!(
        (elsewhere.status, elsewhere.header("location")),
        (302, format!("http://127.0.0.2:9/{id}").as_str())
    );
}

#[tokio::test]
async fn answers_can_hold_unknown_fields_and_a_clock_that_is_wrong() {
    let emulator = start(&[("extra_fields", "on"), ("clock_skew_s", "-21600")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let answer = client.get(&format!("/folders/{folder}")).await;
    assert!(answer.json()["x_undocumented"].is_object());
    let listed = client.get("/folders").await.json();
    assert!(listed[0]["x_undocumented"].is_object());
    let told = answer.header("date").to_owned();
    let told = jiff::fmt::rfc2822::parse(&told.replace("GMT", "+0000")).unwrap().timestamp();
    let behind = jiff::Timestamp::now().as_second() - told.as_second();
    assert!((21_590..21_700).contains(&behind), "{behind}");
}

#[tokio::test]
async fn knobs_are_read_and_set_over_http_all_or_none() {
    let emulator = start(&[]).await;
    let client = Client::nobody(&emulator);
    let url = format!("http://{}/_emulator/knobs", emulator.address());
    let put = |body: Value| received(client.http.put(&url).json(&body));
    put(json!({"page_max": 5, "order": "sideways"})).await.unwrap().refused(400);
    assert_eq!(emulator.knobs(), Knobs::default());
    put(json!({"page_max": 5, "order": "newest"})).await.unwrap().done();
    let shown = received(client.http.get(&url)).await.unwrap().json();
    assert_eq!((&shown["page_max"], &shown["order"]), (&json!(5), &json!("newest")));
    let lured = client.http.get(&url).header("host", "evil.example");
    received(lured).await.unwrap().refused(403);
}
