//! A visit to every operation of the API, so that each has answered by success once. It shows what the emulator answers, not what
//! versync asks.

use reqwest::Method;
use serde_json::{Value, json};
use versync::emulator::Seeds;

use super::tap::Tap;

/// A plain HTTP client with one credential.
struct Visitor {
    http: reqwest::Client,
    url: String,
    credential: (&'static str, String),
}

impl Visitor {
    fn with(tap: &Tap, name: &'static str, credential: &str) -> Self {
        let url = format!("http://{}/app/v1", tap.address);
        let http = reqwest::Client::builder().no_proxy().tls_certs_only(std::iter::empty()).build().unwrap();
        Self { http, url, credential: (name, credential.to_owned()) }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.send(request).await
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.http.request(method, format!("{}{path}", self.url)).header(self.credential.0, &self.credential.1)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        let (status, url) = (answer.status(), answer.url().clone());
        let body = answer.bytes().await.unwrap();
        assert!(status.is_success(), "{url}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }

    async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) {
        self.ask("PUT", path, Some(body)).await;
    }

    async fn patch(&self, path: &str, body: Value) {
        self.ask("PATCH", path, Some(body)).await;
    }

    async fn delete(&self, path: &str, body: Option<Value>) {
        self.ask("DELETE", path, body).await;
    }

    async fn upload(&self, folder: &str, names: &[&str]) {
        let mut form = reqwest::multipart::Form::new();
        for name in names {
            let part =
                reqwest::multipart::Part::bytes(name.as_bytes().to_vec()).file_name((*name).to_owned());
            form = form.part("file", part);
        }
        self.send(self.request("POST", &format!("/folders/{folder}/source-files")).multipart(form)).await;
    }
}

/// Asks for everything once, in an environment whose conversions take no time.
pub(crate) async fn take(tap: &Tap, seeds: &Seeds) {
    let key = Visitor::with(tap, "api_key", &seeds.api_key);
    let user = Visitor::with(tap, "user_token", &seeds.user_token);
    let folder = people(&key).await;
    folders(&user, &seeds.folder_id).await;
    files(&key, &folder, &seeds.user_id).await;
    assets_and_sessions(tap, &user, &seeds.folder_id).await;
}

/// Users, groups and grants; answers with a new folder.
async fn people(key: &Visitor) -> String {
    let user = text(&key.post("/users", json!({ "username": "visitor" })).await, "user_id");
    let other = text(&key.post("/users", json!({ "username": "other" })).await, "user_id");
    key.get("/users?offset=0&limit=100").await;
    key.patch(&format!("/users/{user}"), json!({ "username": "visitor 2" })).await;
    key.get(&format!("/users/{user}")).await;
    key.post(&format!("/users/{user}/tokens"), json!({ "scope": "write", "ttl": "2h" })).await;
    let folder = text(&key.post("/folders", json!({ "name": "Tour" })).await, "folder_id");
    let member = json!({ "user_id": user, "group_access": "manage", "folder_access": "write" });
    let group = json!({ "name": "visitors", "description": "see everything", "members": [member] });
    let group = text(&key.post("/groups", group).await, "group_id");
    key.patch(&format!("/groups/{group}"), json!({ "name": "guests", "description": "" })).await;
    let place = format!("/groups/{group}/members/users/{other}");
    key.put(&place, json!({ "group_access": "read", "folder_access": "read" })).await;
    key.get(&format!("/groups/{group}")).await;
    key.get(&format!("/users/{user}/groups")).await;
    for (kind, member) in [("users", &user), ("groups", &group)] {
        key.put(&format!("/folders/{folder}/access/{kind}/{member}"), json!({ "access": "write" })).await;
    }
    key.get(&format!("/folders/{folder}/access")).await;
    key.delete(&format!("/folders/{folder}/access/groups/{group}"), None).await;
    key.delete(&place, None).await;
    key.delete(&format!("/groups/{group}"), None).await;
    key.delete(&format!("/users/{other}"), None).await;
    folder
}

async fn folders(user: &Visitor, root: &str) {
    let sketch = json!({ "name": "a", "subfolders": [{ "name": "b" }] });
    let tree = user.post(&format!("/folders/{root}/folders"), sketch).await;
    let (outer, inner) = (text(&tree, "folder_id"), text(&tree["subfolders"][0], "folder_id"));
    user.get("/folders?offset=0&limit=10").await;
    user.get(&format!("/folders/{outer}/folders")).await;
    user.patch(&format!("/folders/{inner}"), json!({ "name": "c" })).await;
    user.get(&format!("/folders/{inner}")).await;
    user.put(&format!("/folders/{root}"), json!([inner])).await;
    user.delete(&format!("/folders/{outer}"), None).await;
}

async fn files(key: &Visitor, folder: &str, user: &str) {
    key.upload(folder, &["a.obj", "a.png"]).await;
    let list = key.get(&format!("/folders/{folder}/source-files?offset=0&limit=10")).await;
    let file = text(&list[0], "source_file_id");
    key.get("/source-files?filters%5Bsource_file_name%5D=a.obj").await;
    key.get(&format!("/source-files/{file}")).await;
    key.patch(&format!("/source-files/{file}/details"), json!({ "name": "b.obj" })).await;
    key.get(&format!("/source-files/{file}/details")).await;
    key.get(&format!("/source-files/{file}/assets")).await;
    let tasks = key.get("/upload-tasks?limit=3").await;
    key.get(&format!("/upload-tasks/{}", text(&tasks[0], "upload_task_id"))).await;
    key.get(&format!("/folders/{folder}/upload-tasks")).await;
    key.get(&format!("/users/{user}/upload-tasks")).await;
    let below =
        text(&key.post(&format!("/folders/{folder}/folders"), json!({ "name": "d" })).await, "folder_id");
    key.put(&format!("/folders/{below}/source-files"), json!([file])).await;
    let doomed = json!({ "source_file_ids": [file], "delete_assets": true });
    key.delete("/source-files", Some(doomed)).await;
}

async fn assets_and_sessions(tap: &Tap, user: &Visitor, root: &str) {
    user.upload(root, &["chair.obj", "oak.png"]).await;
    user.get("/assets?filter%5Basset_type%5D%5B0%5D=scene&filter%5Binclude_public_assets%5D=true").await;
    let list =
        user.get(&format!("/folders/{root}/assets?recursive=false&filter%5Basset_type%5D=scene")).await;
    let scene = text(&list["scenes"][0], "asset_id");
    let path = format!("/assets/scenes/{scene}");
    for detail in
        ["details", "source-file", "folder", "description", "thumbnail?size=tiny", "aabb", "settings"]
    {
        user.get(&format!("{path}/{detail}")).await;
    }
    user.patch(&format!("{path}/description"), json!({ "name": "Chair" })).await;
    let picture = user.request("PUT", &format!("{path}/thumbnail")).header("content-type", "image/png");
    user.send(picture.body("a picture")).await;
    let every = "properties%5B%5D=name&properties%5B%5D=count&properties%5B%5D=public";
    let more = "properties%5B%5D=dependencies&properties%5B%5D=accessible&properties%5B%5D=payload_info";
    let filter = "depth=all&filters%5Bwith_asset_types%5D%5B0%5D=mesh&filters%5Bpublic%5D=include";
    let uses = user.get(&format!("{path}/dependencies?{filter}&{every}&{more}")).await;
    let mesh = text(&uses[0], "asset_id");
    user.get(&format!("/assets/meshes/{mesh}/references?{every}")).await;

    let session =
        text(&user.post("/sessions", json!({ "scene_id": scene, "is_transient": true })).await, "session_id");
    user.post(&format!("/sessions/{session}/clients"), json!({ "is_headless": true })).await;
    let invited = text(&user.ask("POST", &format!("/sessions/{session}/guests"), None).await, "guest_token");
    Visitor::with(tap, "guest_token", &invited).ask("POST", "/sessions/guests", None).await;
    user.get(&format!("/sessions?filters%5Bscene_id%5D={scene}")).await;
    user.get(&format!("/folders/{root}/sessions")).await;
    user.get(&format!("{path}/sessions")).await;
    let client = text(&user.get(&format!("/sessions/{session}")).await["clients"][0], "client_id");
    user.get(&format!("/sessions/{session}/clients/{client}")).await;
    user.delete(&format!("/sessions/{session}/clients/{client}"), None).await;
    user.delete(&format!("/sessions/{session}"), None).await;

    let below =
        text(&user.post(&format!("/folders/{root}/folders"), json!({ "name": "e" })).await, "folder_id");
    user.put(&format!("/folders/{below}/assets"), json!([scene])).await;
    user.delete(&path, None).await;
    user.delete("/assets", Some(json!([mesh]))).await;
}

/// What lies outside of the API, without a credential.
pub(crate) async fn plain(tap: &Tap, path: &str) -> Vec<u8> {
    let visitor = Visitor::with(tap, "x-nobody", "");
    let answer = visitor.http.get(format!("http://{}{path}", tap.address)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.bytes().await.unwrap().to_vec()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}
