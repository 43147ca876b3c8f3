//! Assets and sessions.

use serde_json::json;

use super::*;

async fn with_a_scene() -> (Emulator, Client, String, Value) {
    let emulator = start(&[("conversion_ms", "0")]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.upload(&folder, &[("a.obj", b"x"), ("wood.png", b"y")]).await.done();
    let assets = client.get(&format!("/folders/{folder}/assets")).await.json();
    (emulator, client, folder, assets)
}

fn first(assets: &Value, container: &str) -> String {
    assets[container][0]["asset_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn assets_are_found_by_type_name_source_and_below() {
    let (emulator, client, folder, _) = with_a_scene().await;
    let below = client.folder(&folder, "below").await;
    client.upload(&below, &[("b.hdr", b"x")]).await.done();
    let source = emulator.source_files().remove(1).id;
    let keys = |query: String| {
        let (client, folder) = (&client, &folder);
        async move {
            let json = client.get(&format!("/folders/{folder}/assets?{query}")).await.json();
            json.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        }
    };
    assert_eq!(keys("filter[asset_type]=mesh".into()).await, ["meshes"]);
    let two = "filter%5Basset_type%5D%5B0%5D=scene&filter%5Basset_type%5D%5B1%5D=mesh";
    assert_eq!(keys(two.into()).await, ["meshes", "scenes"]);
    assert_eq!(keys("filter[asset_name]=Main+Scene".into()).await, ["scenes"]);
    assert_eq!(keys(format!("filter[source_file]={source}")).await, ["textures"]);
    assert!(keys("filter[source_file]=exclude".into()).await.is_empty());
    assert!(keys("recursive=true".into()).await.contains(&"cubemaps".to_owned()));
    assert_eq!(keys("limit=1&offset=1".into()).await.len(), 1);
    client.get(&format!("/folders/{folder}/assets?filters[asset_type]=mesh")).await.refused(400);
    client.get(&format!("/folders/{folder}/assets?filter[asset_type]=meshes")).await.refused(400);
    client.get("/assets?filter[asset_type]=cubemap").await.done();
}

#[tokio::test]
async fn an_asset_tells_its_file_folder_and_description_and_can_be_renamed() {
    let (_emulator, client, folder, assets) = with_a_scene().await;
    let mesh = format!("/assets/meshes/{}", first(&assets, "meshes"));
    assert_eq!(client.get(&format!("{mesh}/source-file")).await.json()["name"], "a.obj");
    assert_eq!(client.get(&format!("{mesh}/folder")).await.json()["folder_id"], folder.as_str());
    client.send("PATCH", &format!("{mesh}/description"), json!({"name": "Leg"})).await.done();
    assert_eq!(client.get(&format!("{mesh}/description")).await.json()["name"], "Leg");
    assert_eq!(client.get(&format!("{mesh}/details")).await.json()["type"], "mesh");
    client.get(&format!("/assets/scenes/{}/details", first(&assets, "meshes"))).await.refused(404);
    client.get(&format!("/assets/mesh/{}/details", first(&assets, "meshes"))).await.refused(404);
}

#[tokio::test]
async fn a_thumbnail_needs_a_size_and_can_be_replaced() {
    let (_emulator, client, _folder, assets) = with_a_scene().await;
    let path = format!("/assets/scenes/{}/thumbnail", first(&assets, "scenes"));
    client.get(&path).await.refused(400);
    client.get(&format!("{path}?size=tiny&default_url=%0A")).await.refused(400);
    let elsewhere = client.get(&format!("{path}?size=tiny&default_url=http://127.0.0.1:9/x")).await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (302, "http://127.0.0.1:9/x"));
    let answer = client.get(&format!("{path}?size=tiny")).await;
    assert_eq!(answer.header("content-type"), "image/png");
    assert!(answer.bytes.starts_with(b"\x89PNG") && answer.bytes.ends_with(b"IEND\xaeB`\x82"));
    let put = |kind: &str| client.request(Method::PUT, &path).header("content-type", kind).body("fake");
    received(put("image/gif")).await.unwrap().refused(415);
    received(put("image/jpg")).await.unwrap().done();
    assert_eq!(client.get(&format!("{path}?size=large")).await.bytes, b"fake");
}

#[tokio::test]
async fn what_is_in_use_is_told_and_not_deleted() {
    let (emulator, client, folder, assets) = with_a_scene().await;
    let (scene, mesh) = (first(&assets, "scenes"), first(&assets, "meshes"));
    let users = client.get(&format!("/assets/meshes/{mesh}/references")).await;
    assert_eq!(users.ids("asset_id"), [scene.as_str()]);
    let uses =
        client.get(&format!("/assets/scenes/{scene}/dependencies?depth=direct&properties[]=name")).await;
    assert_eq!(uses.ids("asset_type").len(), 3);
    client.bare("DELETE", &format!("/assets/meshes/{mesh}")).await.refused(409);
    client.send("DELETE", "/assets", json!([mesh, scene])).await.done();
    let texture = first(&assets, "textures");
    let composed = json!({"folder_id": folder, "name": "Set", "uses": [texture]});
    let compose = client.http.post(format!("http://{}/_emulator/scenes", emulator.address())).json(&composed);
    let by_hand = received(compose).await.unwrap().id("asset_id");
    let user = client.get(&format!("/assets/textures/{texture}/references")).await.ids("asset_id");
    assert!(user.contains(&by_hand));
    let mut knobs = emulator.knobs();
    knobs.set("referenced_assets", "cascade").unwrap();
    emulator.set_knobs(knobs);
    client.bare("DELETE", &format!("/assets/textures/{texture}")).await.done();
    client.get(&format!("/assets/scenes/{by_hand}/details")).await.refused(404);
}

#[tokio::test]
async fn links_are_filtered_and_tell_what_is_asked_for() {
    let (_emulator, client, _folder, assets) = with_a_scene().await;
    let path = format!("/assets/scenes/{}/dependencies", first(&assets, "scenes"));
    let types = |query: &str| {
        let (client, path) = (&client, format!("{path}?{query}"));
        async move { client.get(&path).await.ids("asset_type") }
    };
    assert_eq!(types("filters[with_asset_types][0]=mesh&filters[with_asset_types][1]=scene").await, ["mesh"]);
    assert!(!types("filters[without_asset_types][0]=mesh").await.contains(&"mesh".to_owned()));
    assert_eq!(types("filters[public]=restrict-to").await, Vec::<String>::new());
    assert_eq!(types("depth=0").await, Vec::<String>::new());
    assert!(client.get(&path).await.json()[0].get("properties").is_none());
    let told = client.get(&format!("{path}?properties[]=count&properties[]=public&limit=1")).await.json();
    assert_eq!(
        told[0]["properties"],
        json!({"direct_count": 1, "indirect_count": told[0]["properties"]["indirect_count"], "is_public": false})
    );
    client.get(&format!("{path}?properties[]=size")).await.refused(400);
    client.get(&format!("{path}?filters[asset_type]=mesh")).await.refused(400);
}

#[tokio::test]
async fn a_session_ends_with_its_scene_and_a_guest_has_an_id() {
    let (emulator, client, _folder, assets) = with_a_scene().await;
    let scene = first(&assets, "scenes");
    let session = client.send("POST", "/sessions", json!({"scene_id": scene})).await.id("session_id");
    let token = client.bare("POST", &format!("/sessions/{session}/guests")).await.id("guest_token");
    let guest = Client::with(&emulator, "guest_token", &token);
    guest.bare("POST", "/sessions/guests").await.done();
    let shown = client.get(&format!("/sessions/{session}")).await.json();
    assert_eq!(shown["clients"][0]["client_type"], "guest");
    assert!(shown["clients"][0]["user_id"].is_string());
    client.bare("DELETE", &format!("/assets/scenes/{scene}")).await.done();
    guest.bare("POST", "/sessions/guests").await.refused(404);
    assert_eq!(guest.get("/sessions").await.json(), json!([]));
}

#[tokio::test]
async fn assets_move_by_a_bare_array() {
    let (_emulator, client, folder, assets) = with_a_scene().await;
    let other = client.folder(&folder, "other").await;
    let scene = first(&assets, "scenes");
    client.send("PUT", &format!("/folders/{other}/assets"), json!([scene])).await.done();
    let moved = client.get(&format!("/folders/{other}/assets")).await.json();
    assert_eq!(first(&moved, "scenes"), scene);
}

#[tokio::test]
async fn a_session_is_opened_joined_listed_and_killed() {
    let (emulator, client, folder, assets) = with_a_scene().await;
    let scene = first(&assets, "scenes");
    client.send("POST", "/sessions", json!({"scene_id": first(&assets, "meshes")})).await.refused(404);
    let session = client
        .send("POST", "/sessions", json!({"scene_id": scene, "is_transient": true}))
        .await
        .id("session_id");
    let joined = client.send("POST", &format!("/sessions/{session}/clients"), json!({})).await.json();
    assert_eq!(joined["endpoint_info"]["ssl_port"], 0);
    emulator.advance(Duration::from_secs(60));
    let list = client.get(&format!("/sessions?filters[scene_id]={scene}")).await.json();
    assert_eq!(list[0]["clients"][0]["username"], "versync-demo");
    assert_eq!(
        client.get(&format!("/folders/{folder}/sessions")).await.ids("session_id"),
        [session.as_str()]
    );
    assert_eq!(
        client.get(&format!("/assets/scenes/{scene}/sessions")).await.ids("session_id"),
        [session.as_str()]
    );
    let token = client.bare("POST", &format!("/sessions/{session}/guests")).await.id("guest_token");
    let guest = Client::with(&emulator, "guest_token", &token);
    assert_eq!(guest.get("/sessions").await.ids("session_id"), [session.as_str()]);
    guest.get("/folders").await.refused(403);
    guest.bare("POST", "/sessions/guests").await.done();
    client.bare("POST", "/sessions/guests").await.refused(401);
    client.bare("DELETE", &format!("/sessions/{session}")).await.done();
    client.get(&format!("/sessions/{session}")).await.refused(404);
    let lonely = client.send("POST", "/sessions", json!({"scene_id": scene})).await.id("session_id");
    emulator.advance(Duration::from_secs(11));
    client.get(&format!("/sessions/{lonely}")).await.refused(404);
}
