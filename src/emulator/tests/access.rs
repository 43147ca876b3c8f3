//! Credentials, scopes and grants.

use serde_json::json;

use super::*;
use crate::emulator::Level;

#[tokio::test]
async fn a_request_carries_exactly_one_credential_that_is_known() {
    let emulator = start(&[]).await;
    let seeds = emulator.seeds().clone();
    Client::nobody(&emulator).get("/folders").await.refused(401);
    Client::with(&emulator, "user_token", "fake").get("/folders").await.refused(401);
    Client::with(&emulator, "api_key", &seeds.user_token).get("/folders").await.refused(401);
    Client::with(&emulator, "authorization", &seeds.user_token).get("/folders").await.refused(401);
    let both = Client::user(&emulator).request(Method::GET, "/folders").header("api_key", &seeds.api_key);
    received(both).await.unwrap().refused(400);
    Client::user(&emulator).get("/folders").await.done();
}

#[tokio::test]
async fn the_seeds_look_like_the_real_thing_and_are_plainly_fake() {
    let emulator = start(&[]).await;
    let seeds = emulator.seeds();
    let (id, secret) = seeds.api_key.split_once('.').unwrap();
    assert_eq!((id.len(), secret.len()), (36, 43));
    assert_eq!(seeds.public_token.strip_prefix("public_").unwrap().len(), 16);
    for credential in [&seeds.api_key, &seeds.public_token, &seeds.user_token] {
        assert!(credential.contains("emulator"), "{credential}");
    }
}

#[tokio::test]
async fn each_level_of_scope_allows_what_it_should() {
    let emulator = start(&[("conversion_ms", "0")]).await;
    let folder = emulator.seeds().folder_id.clone();
    let of = |scope| Client::with(&emulator, "user_token", &emulator.mint(scope, 3600));
    let (read, write, manage) = (of(Level::Read), of(Level::Write), of(Level::Manage));
    read.upload(&folder, &[("a.glb", b"glTF")]).await.refused(403);
    write.upload(&folder, &[("a.glb", b"glTF")]).await.done();
    let file = read.get(&format!("/folders/{folder}/source-files")).await.ids("source_file_id").remove(0);
    assert_eq!(read.get(&format!("/source-files/{file}")).await.bytes, b"glTF");
    let details = format!("/source-files/{file}/details");
    read.send("PATCH", &details, json!({"name": "b.glb"})).await.refused(403);
    write.send("PATCH", &details, json!({"name": "b.glb"})).await.done();
    let doomed = json!({"source_file_ids": [file]});
    write.send("DELETE", "/source-files", doomed.clone()).await.refused(403);
    manage.send("DELETE", "/source-files", doomed).await.done();
    read.send("POST", "/folders", json!({"name": "x"})).await.refused(403);
    write.get(&format!("/folders/{folder}/access")).await.refused(403);
    manage.get(&format!("/folders/{folder}/access")).await.done();
    manage.get("/users").await.refused(403);
}

#[tokio::test]
async fn a_user_sees_nothing_without_a_grant_and_loses_it_with_the_grant() {
    let emulator = start(&[]).await;
    let (key, folder) = (Client::key(&emulator), emulator.seeds().folder_id.clone());
    let user = key.send("POST", "/users", json!({"username": "anna"})).await.id("user_id");
    key.send("POST", "/users", json!({"username": "anna"})).await.refused(409);
    let mint = format!("/users/{user}/tokens");
    let token = key.send("POST", &mint, json!({"scope": "manage"})).await.id("user_token");
    let anna = Client::with(&emulator, "user_token", &token);
    let show = format!("/folders/{folder}");
    anna.get(&show).await.refused(403);
    assert!(anna.get("/folders").await.ids("folder_id").is_empty());
    let grant = format!("/folders/{folder}/access/users/{user}");
    key.send("PUT", &grant, json!({"access": "read"})).await.done();
    anna.get(&show).await.done();
    anna.upload(&folder, &[("a.glb", b"x")]).await.refused(403);
    let below = Client::user(&emulator).folder(&folder, "below").await;
    anna.get(&format!("/folders/{below}")).await.done();
    key.bare("DELETE", &grant).await.done();
    anna.get(&show).await.refused(403);
    key.bare("DELETE", &grant).await.refused(404);
}

#[tokio::test]
async fn without_inheritance_a_grant_stays_on_its_folder() {
    let emulator = start(&[("grant_inheritance", "off")]).await;
    let folder = emulator.seeds().folder_id.clone();
    let below = Client::key(&emulator).folder(&folder, "made by the key").await;
    Client::user(&emulator).get(&format!("/folders/{below}")).await.refused(403);
    let own = Client::user(&emulator).folder(&folder, "made by the user").await;
    Client::user(&emulator).get(&format!("/folders/{own}")).await.done();
}

#[tokio::test]
async fn a_group_passes_on_no_more_than_the_membership_and_the_grant() {
    let emulator = start(&[]).await;
    let key = Client::key(&emulator);
    let folder = key.send("POST", "/folders", json!({"name": "shared"})).await.id("folder_id");
    let user = emulator.seeds().user_id.clone();
    let member = json!({"user_id": user, "group_access": "read", "folder_access": "read"});
    let group =
        key.send("POST", "/groups", json!({"name": "team", "members": [member]})).await.id("group_id");
    let grant = format!("/folders/{folder}/access/groups/{group}");
    key.send("PUT", &grant, json!({"access": "manage"})).await.done();
    let client = Client::user(&emulator);
    client.get(&format!("/folders/{folder}")).await.done();
    client.upload(&folder, &[("a.glb", b"x")]).await.refused(403);
    let member = format!("/groups/{group}/members/users/{user}");
    key.send("PUT", &member, json!({"group_access": "read", "folder_access": "write"})).await.done();
    client.upload(&folder, &[("a.glb", b"x")]).await.done();
    key.bare("DELETE", &member).await.done();
    client.get(&format!("/folders/{folder}")).await.refused(403);
}

#[tokio::test]
async fn what_a_key_makes_is_made_by_the_environment_and_granted_to_nobody() {
    let emulator = start(&[]).await;
    let key = Client::key(&emulator);
    let folder = key.send("POST", "/folders", json!({"name": "shared"})).await.id("folder_id");
    let shown = key.get(&format!("/folders/{folder}")).await.json();
    assert_eq!(shown["created_by"]["username"], "emulator_versync_main");
    let granted = key.get(&format!("/folders/{folder}/access")).await.json();
    assert_eq!(granted, json!({"users": [], "groups": []}));
    key.upload(&folder, &[("a.glb", b"x")]).await.done();
    let tasks = |emulator: &Emulator| (Client::key(emulator), format!("/folders/{folder}/upload-tasks"));
    let (client, path) = tasks(&emulator);
    assert_eq!(client.get(&path).await.json()[0]["uploaded_by"]["username"], "emulator_versync_main");
    let mut knobs = emulator.knobs();
    knobs.set("api_key_uploader", "null").unwrap();
    emulator.set_knobs(knobs);
    key.upload(&folder, &[("b.glb", b"x")]).await.done();
    assert_eq!(client.get(&path).await.json()[1]["uploaded_by"], Value::Null);
}

#[tokio::test]
async fn the_public_token_reads_the_public_folder_and_nothing_else() {
    let emulator = start(&[]).await;
    let seeds = emulator.seeds().clone();
    let public = Client::with(&emulator, "user_token", &seeds.public_token);
    assert_eq!(public.get("/folders").await.ids("folder_id"), [seeds.public_folder_id.as_str()]);
    public.get(&format!("/folders/{}", seeds.folder_id)).await.refused(403);
    public.upload(&seeds.public_folder_id, &[("a.glb", b"x")]).await.refused(403);
    public.send("POST", "/folders", json!({"name": "x"})).await.refused(403);
}

#[tokio::test]
async fn a_token_dies_on_time_and_a_new_one_is_minted_by_the_key_only() {
    let emulator = start(&[("mint_revokes", "on")]).await;
    let (key, client) = (Client::key(&emulator), Client::user(&emulator));
    let mint = format!("/users/{}/tokens", emulator.seeds().user_id);
    client.send("POST", &mint, json!({"scope": "read"})).await.refused(403);
    for ttl in ["", "1", "h", "90m", "1.5h", "-1h", "+1h", "0h", "99999h"] {
        key.send("POST", &mint, json!({"scope": "read", "ttl": ttl})).await.refused(400);
    }
    key.send("POST", &mint, json!({"scope": "owner"})).await.refused(400);
    let minted = key.send("POST", &mint, json!({"scope": "read", "ttl": "2h"})).await;
    assert_eq!(minted.json()["expires_in"], 7200);
    client.get("/folders").await.refused(401);
    let fresh = Client::with(&emulator, "user_token", &minted.id("user_token"));
    fresh.get("/folders").await.done();
    emulator.advance(Duration::from_secs(7201));
    fresh.get("/folders").await.refused(401);
}

#[tokio::test]
async fn the_unit_of_expires_on_is_a_knob() {
    for (unit, ahead) in [("s", 3600), ("ms", 3_600_000), ("skewed", -18_000)] {
        let emulator = start(&[("expires_on", unit)]).await;
        let mint = format!("/users/{}/tokens", emulator.seeds().user_id);
        let before = jiff::Timestamp::now();
        let json = Client::key(&emulator).send("POST", &mint, json!({"scope": "read"})).await.json();
        let on = json["expires_on"].as_i64().unwrap();
        let now = if unit == "ms" { before.as_millisecond() } else { before.as_second() };
        let slack = if unit == "ms" { 20_000 } else { 20 };
        assert!((ahead..ahead + slack).contains(&(on - now)), "{unit}: {on}");
    }
}

#[tokio::test]
async fn a_proxy_that_drops_underscores_leaves_no_credential() {
    let emulator = start(&[("drop_underscore_headers", "on")]).await;
    Client::user(&emulator).get("/folders").await.refused(401);
}

#[tokio::test]
async fn a_new_grant_can_take_its_time() {
    let emulator = start(&[("grant_delay_ms", "5000")]).await;
    let client = Client::user(&emulator);
    let made = client.send("POST", "/folders", json!({"name": "own"})).await.id("folder_id");
    client.get(&format!("/folders/{made}")).await.refused(403);
    emulator.advance(Duration::from_secs(5));
    client.get(&format!("/folders/{made}")).await.done();
}
