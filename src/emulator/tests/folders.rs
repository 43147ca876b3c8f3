//! Folders.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_whole_tree_is_made_in_one_request() {
    let emulator = start(&[]).await;
    let client = Client::user(&emulator);
    let sketch =
        json!({"name": "a", "subfolders": [{"name": "b", "subfolders": [{"name": "c"}]}, {"name": "d"}]});
    let tree = client.send("POST", "/folders", sketch).await.json();
    assert_eq!(tree["subfolders"][0]["subfolders"][0]["name"], "c");
    assert_eq!(tree["subfolders"][0]["parent_folder_id"], tree["folder_id"]);
    assert_eq!(tree["created_by"]["user_id"], emulator.seeds().user_id);
    let direct = client.get(&format!("/folders/{}/folders", tree["folder_id"].as_str().unwrap())).await;
    assert_eq!(direct.ids("name"), ["b", "d"]);
    assert!(direct.json()[0].get("subfolders").is_none());
}

#[tokio::test]
async fn what_the_documents_do_not_have_is_refused() {
    let emulator = start(&[]).await;
    let (client, folder) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    for body in
        [json!({}), json!({"name": ""}), json!({"name": 1}), json!({"name": "x", "colour": "red"}), json!([])]
    {
        client.send("POST", "/folders", body).await.refused(400);
    }
    client.get("/folders?sort=name").await.refused(400);
    client.get("/folders?limit=0").await.refused(400);
    client.get("/folders?limit=ten").await.refused(400);
    client.get("/folders?limit=1&limit=2").await.refused(400);
    client.get(&format!("/folders/{folder}/folders?recursive=true")).await.refused(400);
    client.get("/folders/nonsense").await.refused(400);
    client.get("/folders/%FF").await.refused(400);
    client.send("PATCH", &format!("/folders/{folder}"), json!({"name": null})).await.refused(400);
    client.send("PATCH", &format!("/folders/{folder}"), json!({})).await.done();
    client.send("POST", "/folders?limit=1", json!({"name": "x"})).await.refused(400);
    client.get(&format!("/folders/{folder}/sessions?limit=1")).await.refused(400);
    client.get(&format!("/folders/{}", folder.replace('-', ""))).await.refused(400);
    client.get("/folders/00000000-0000-4000-8000-000000000000").await.refused(404);
    let user = emulator.seeds().user_id.clone();
    let mixed_up = client.get(&format!("/folders/{user}")).await;
    mixed_up.refused(404);
    assert!(mixed_up.json()["message"].as_str().unwrap().contains("the id of a user"));
    let text = client.request(Method::POST, "/folders").body("{\"name\":\"x\"}");
    received(text).await.unwrap().refused(415);
}

#[tokio::test]
async fn put_moves_folders_and_never_into_themselves() {
    let emulator = start(&[]).await;
    let (client, studio) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let (a, b) = (client.folder(&studio, "a").await, client.folder(&studio, "b").await);
    client.send("PUT", &format!("/folders/{b}"), json!({"name": "c"})).await.refused(400);
    client.send("PUT", &format!("/folders/{b}"), json!([a, a])).await.refused(400);
    client.send("PUT", &format!("/folders/{b}"), json!([])).await.refused(400);
    client.send("PUT", &format!("/folders/{b}"), json!([a])).await.done();
    client.send("PUT", &format!("/folders/{a}"), json!([b])).await.refused(400);
    client.send("PUT", &format!("/folders/{a}"), json!([a])).await.refused(400);
    assert_eq!(client.get(&format!("/folders/{a}")).await.json()["parent_folder_id"], b.as_str());
    client.send("PATCH", &format!("/folders/{a}"), json!({"name": "z"})).await.done();
    assert_eq!(client.get(&format!("/folders/{b}/folders")).await.ids("name"), ["z"]);
}

#[tokio::test]
async fn only_an_empty_folder_can_be_deleted() {
    for status in [400, 403, 409] {
        let emulator = start(&[("non_empty_folder", &status.to_string())]).await;
        let (client, studio) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
        let (a, b) = (client.folder(&studio, "a").await, client.folder(&studio, "b").await);
        client.upload(&a, &[("x.png", b"p")]).await.done();
        client.bare("DELETE", &format!("/folders/{a}")).await.refused(status);
        client.bare("DELETE", &format!("/folders/{b}")).await.done();
        client.get(&format!("/folders/{b}")).await.refused(404);
    }
}

#[tokio::test]
async fn the_list_of_folders_has_three_shapes() {
    let emulator = start(&[]).await;
    let (client, studio) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let a = client.folder(&studio, "a").await;
    client.folder(&a, "b").await;
    assert_eq!(client.get("/folders").await.ids("name"), ["Studio", "a", "b"]);
    assert_eq!(Client::key(&emulator).get("/folders?limit=2").await.ids("name"), ["Public", "Assets"]);
    let mut knobs = emulator.knobs();
    knobs.set("folders", "roots").unwrap();
    emulator.set_knobs(knobs.clone());
    assert_eq!(client.get("/folders").await.ids("name"), ["Studio"]);
    knobs.set("folders", "nested").unwrap();
    knobs.set("subfolders", "recursive").unwrap();
    emulator.set_knobs(knobs);
    let nested = client.get("/folders").await.json();
    assert_eq!(nested[0]["subfolders"][0]["subfolders"][0]["name"], "b");
    assert_eq!(client.get(&format!("/folders/{studio}/folders")).await.ids("name"), ["a", "b"]);
}

#[tokio::test]
async fn sibling_names_can_be_unique_and_blind_to_case() {
    let emulator = start(&[("sibling_names", "reject"), ("name_case", "insensitive")]).await;
    let (client, studio) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    client.folder(&studio, "Props").await;
    let again = format!("/folders/{studio}/folders");
    client.send("POST", &again, json!({"name": "props"})).await.refused(409);
    let twins = json!({"name": "x", "subfolders": [{"name": "a"}, {"name": "A"}]});
    client.send("POST", &again, twins).await.refused(409);
    let other = client.folder(&studio, "other").await;
    client.send("PATCH", &format!("/folders/{other}"), json!({"name": "PROPS"})).await.refused(409);
}

#[tokio::test]
async fn a_new_folder_can_be_unknown_for_a_while() {
    let emulator = start(&[("id_delay_ms", "3000"), ("list_delay_ms", "9000")]).await;
    let (client, studio) = (Client::user(&emulator), emulator.seeds().folder_id.clone());
    let a = client.folder(&studio, "a").await;
    client.get(&format!("/folders/{a}")).await.refused(404);
    client.upload(&a, &[("a.glb", b"x")]).await.refused(404);
    emulator.advance(Duration::from_secs(3));
    client.get(&format!("/folders/{a}")).await.done();
    assert!(client.get(&format!("/folders/{studio}/folders")).await.ids("name").is_empty());
    emulator.advance(Duration::from_secs(6));
    assert_eq!(client.get(&format!("/folders/{studio}/folders")).await.ids("name"), ["a"]);
}
