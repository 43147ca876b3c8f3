//! Uploads, source files and tasks.

use serde_json::json;

use super::*;
use crate::emulator::Outcome;

#[tokio::test]
async fn several_files_in_one_request_make_one_task_and_as_many_source_files() {
    let emulator = start(&[]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let files: [(&str, &[u8]); 3] =
        [("chair \"x\" é.obj", b"mtllib"), ("chair.mtl", b"map_Kd"), ("wood.png", b"png")];
    let answer = client.upload(&folder, &files).await;
    let json = answer.json();
    assert_eq!(json.as_object().unwrap().len(), 1, "no file ids in the answer: {json}");
    let list = client.get(&format!("/folders/{folder}/source-files")).await;
    assert_eq!(list.header("x-source-files-count"), "3");
    assert_eq!(list.ids("name"), files.map(|(name, _)| name));
    assert_eq!(list.json()[0].as_object().unwrap().len(), 4, "four fields and no more");
    let stored = emulator.source_files();
    assert_eq!(stored[0].folder_path, ["Studio"]);
    assert_eq!(stored[0].blake3, blake3::hash(b"mtllib").to_hex().as_str());
    assert_eq!(stored[0].uploaded_by.as_deref(), Some(emulator.seeds().user_id.as_str()));
    assert_eq!(content(&emulator, &stored[2].id), b"png");
    let journal = emulator.requests();
    assert_eq!(journal[0].route, "/folders/{id}/source-files");
    assert_eq!(journal[0].outcome, Outcome::Answered(201));
    assert_eq!(journal[0].parts.iter().map(|part| part.size).collect::<Vec<_>>(), [6, 6, 3]);
    assert!(journal[0].headers.contains(&"user_token".to_owned()));
    assert!(!format!("{journal:?}").contains(&emulator.seeds().user_token));
}

#[tokio::test]
async fn a_task_walks_through_its_states_and_then_the_assets_appear() {
    let emulator = start(&[("conversion_ms", "100000")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let task =
        client.upload(&folder, &[("chair.obj", b"mtllib"), ("wood.png", b"png")]).await.id("upload_task_id");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let json = client.get(&format!("/upload-tasks/{task}")).await.json();
        let conversions = json["conversion_tasks"].as_array().unwrap().len();
        seen.push((json["status"].as_str().unwrap().to_owned(), conversions));
        emulator.advance(Duration::from_millis(15_500));
    }
    let seen: Vec<_> = seen.iter().map(|(status, count)| (status.as_str(), *count)).collect();
    assert_eq!(seen, [("waiting", 0), ("downloading", 0), ("pending", 1), ("converting", 1)]);
    let assets = format!("/folders/{folder}/assets");
    assert_eq!(client.get(&assets).await.json(), json!({}));
    emulator.advance(Duration::from_secs(60));
    let json = client.get(&format!("/upload-tasks/{task}")).await.json();
    assert_eq!(json["status"], "success");
    assert_eq!(json["uploaded_by"]["username"], "versync-demo");
    let conversion = &json["conversion_tasks"][0];
    assert_eq!(conversion["source_file_name"], "chair.obj");
    assert_eq!(conversion["conversion_pipeline"], "scene");
    let answer = client.get(&assets).await;
    let list = answer.json();
    assert_eq!(list["scenes"][0]["asset_id"], conversion["asset_id"]);
    assert_eq!(list["scenes"][0]["name"], "Main Scene");
    assert_eq!(list["textures"].as_array().unwrap().len(), 1);
    let counts: Value = serde_json::from_str(answer.header("x-assets-count")).unwrap();
    assert_eq!(counts, json!({"total": 4, "scene": 1, "mesh": 1, "material": 1, "texture": 1}));
    let of_file = format!("/source-files/{}/assets", conversion["source_file_id"].as_str().unwrap());
    assert_eq!(client.get(&of_file).await.json()["scenes"], list["scenes"]);
    for tasks in [format!("/folders/{folder}/upload-tasks"), "/upload-tasks".into()] {
        assert_eq!(client.get(&tasks).await.ids("upload_task_id"), [task.as_str()]);
    }
    let own = format!("/users/{}/upload-tasks", emulator.seeds().user_id);
    assert_eq!(client.get(&own).await.ids("upload_task_id"), [task]);
}

#[tokio::test]
async fn the_end_of_a_task_follows_from_what_was_sent() {
    let emulator = start(&[("conversion_ms", "0")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a str, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (&[("a.GLB", b"x")], "success", &["scene"]),
        (&[("a.glb", b"x"), ("b.png", b"y")], "success", &["scene", "texture"]),
        (&[("a.fbx", b"BROKEN fbx")], "error", &["scene"]),
        (&[("empty.png", b"")], "error", &["texture"]),
        (&[("notes.txt", b"x")], "rejected", &[]),
        (&[("alone.bin", b"x")], "rejected", &[]),
        (&[("sky.hdr", b"x")], "success", &["texture"]),
        (&[("scan.e57", b"x")], "success", &["point-cloud"]),
        (&[("1.dcm", b"x"), ("2.dcm", b"y")], "success", &["volume"]),
        (&[("hum.wav", b"x")], "success", &["auto-detect"]),
    ];
    for (files, status, pipelines) in cases {
        let task = client.upload(&folder, files).await.id("upload_task_id");
        let json = client.get(&format!("/upload-tasks/{task}")).await.json();
        assert_eq!(json["status"], *status, "{files:?}");
        let conversions = json["conversion_tasks"].as_array().unwrap();
        let seen: Vec<&str> =
            conversions.iter().map(|one| one["conversion_pipeline"].as_str().unwrap()).collect();
        assert_eq!(seen, *pipelines, "{files:?}");
    }
}

#[tokio::test]
async fn malformed_uploads_are_refused_and_leave_nothing() {
    let emulator = start(&[("upload_field", "file"), ("part_path", "reject")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let path = format!("/folders/{folder}/source-files");
    let part = || Part::bytes(b"x".to_vec()).file_name("a.glb");
    let form = |form: Form| received(client.request(Method::POST, &path).multipart(form));
    form(Form::new()).await.unwrap().refused(400);
    form(Form::new().part("other", part())).await.unwrap().refused(400);
    form(Form::new().part("file", part()).text("note", "hi")).await.unwrap().refused(400);
    form(Form::new().part("file", part()).part("file", part())).await.unwrap().refused(400);
    client.upload(&folder, &[("textures/a.png", b"x")]).await.refused(400);
    client.send("POST", &path, json!({})).await.refused(415);
    client.upload(&emulator.seeds().user_id.clone(), &[("a.glb", b"x")]).await.refused(404);
    assert!(emulator.source_files().is_empty());
}

#[tokio::test]
async fn a_body_that_the_client_breaks_off_leaves_nothing() {
    let emulator = start(&[]).await;
    let seeds = emulator.seeds().clone();
    let head = format!(
        "POST /app/v1/folders/{}/source-files HTTP/1.1\r\nhost: 127.0.0.1\r\nuser_token: {}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: 5000\r\n\r\n--b\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"a.glb\"\r\n\r\nsome bytes",
        seeds.folder_id, seeds.user_token
    );
    let mut raw = tokio::net::TcpStream::connect(emulator.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut raw, head.as_bytes()).await.unwrap();
    drop(raw);
    loop {
        let last = emulator.requests().last().map(|request| request.outcome);
        match last {
            None | Some(Outcome::Open) => tokio::task::yield_now().await,
            Some(_) => break,
        }
    }
    assert!(emulator.source_files().is_empty());
}

#[tokio::test]
async fn a_large_file_arrives_whole() {
    let emulator = start(&[]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let large: Vec<u8> = (0..9 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[1]).collect();
    client.upload(&folder, &[("large.glb", &large), ("small.glb", b"s")]).await.done();
    let stored = emulator.source_files();
    assert_eq!(stored[0].blake3, blake3::hash(&large).to_hex().as_str());
    assert!(client.get(&format!("/source-files/{}", stored[0].id)).await.bytes == large);
    assert!(content(&emulator, &stored[0].id) == large);
}

#[tokio::test]
async fn lists_are_paged_by_ten_and_filtered_by_name() {
    let emulator = start(&[]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    for n in 0..12 {
        client.upload(&folder, &[(&format!("f {n}+.png"), b"x")]).await.done();
    }
    let path = format!("/folders/{folder}/source-files");
    assert_eq!(client.get(&path).await.ids("name").len(), 10);
    let second = client.get(&format!("{path}?offset=10&limit=10")).await;
    assert_eq!(second.ids("name"), ["f 10+.png", "f 11+.png"]);
    assert_eq!(second.header("x-source-files-count"), "12");
    let filtered = client.get(&format!("{path}?filters%5Bsource_file_name%5D=f+3%2B.png")).await;
    assert_eq!((filtered.ids("name").len(), filtered.header("x-source-files-count")), (1, "1"));
    client.get(&format!("{path}?filter[source_file_name]=x")).await.refused(400);
    assert_eq!(client.get("/source-files?limit=100").await.ids("name").len(), 12);
}

#[tokio::test]
async fn a_rename_keeps_the_original_name_and_a_move_keeps_the_id() {
    let emulator = start(&[]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let other = client.folder(&folder, "other").await;
    client.upload(&folder, &[("a.png", b"x")]).await.done();
    let id = emulator.source_files().remove(0).id;
    let details = format!("/source-files/{id}/details");
    client.send("PATCH", &details, json!({"name": "b.png"})).await.done();
    client.send("PATCH", &details, json!({"name": " "})).await.refused(400);
    let json = client.get(&details).await.json();
    assert_eq!((&json["name"], &json["source_file_original_name"]), (&json!("b.png"), &json!("a.png")));
    let target = format!("/folders/{other}/source-files");
    client.send("PUT", &target, json!({"source_file_ids": [id]})).await.refused(400);
    client.send("PUT", &target, json!([id])).await.done();
    assert_eq!(client.get(&target).await.ids("source_file_id"), [id.as_str()]);
    converted(&emulator);
    let assets = client.get(&format!("/folders/{other}/assets")).await.json();
    assert!(assets["textures"].is_array(), "what converts comes to life where its file then is: {assets}");
}

#[tokio::test]
async fn deleting_a_source_file_leaves_its_assets_unless_told_otherwise() {
    let emulator = start(&[("conversion_ms", "0")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.upload(&folder, &[("a.glb", b"x")]).await.done();
    client.upload(&folder, &[("b.glb", b"y")]).await.done();
    let ids: Vec<String> = emulator.source_files().into_iter().map(|file| file.id).collect();
    let scenes = || async {
        let json = client.get(&format!("/folders/{folder}/assets")).await.json();
        json["scenes"].as_array().map_or(0, Vec::len)
    };
    client.send("DELETE", "/source-files", json!({"source_file_ids": [ids[0]]})).await.done();
    assert_eq!(scenes().await, 2);
    let with_assets = json!({"source_file_ids": [ids[1]], "delete_assets": true});
    client.send("DELETE", "/source-files", with_assets.clone()).await.done();
    assert_eq!(scenes().await, 1);
    client.send("DELETE", "/source-files", with_assets).await.refused(404);
    client.send("DELETE", "/source-files", json!([ids[0]])).await.refused(400);
    client.get(&format!("/source-files/{}", ids[0])).await.refused(404);
}
