//! The seeds' workflow: the cloud is set up with an API key, a file is opened as its scene, and it is seen who looks at it.

use serde_json::{Value, json};
use versync::emulator::{Fault, FaultKind, Knobs, Options, Turn};

use crate::process::Said;
use crate::world::World;

impl World {
    /// `versync provision` with the emulator's key, its address, and more.
    pub(crate) async fn provision(&self, more: &[&str]) -> Said {
        self.secret("api-key", &self.emulator.seeds().api_key);
        let (key, url) = (self.dir().join("api-key").display().to_string(), self.emulator.url());
        let mut arguments = vec!["provision", "--api-key-file", &key, "--url", &url];
        arguments.extend(more);
        self.versync(&arguments).await
    }

    /// Asks the emulator as the first user, in the way of a browser.
    async fn asks(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
        let url = format!("{}{path}", self.emulator.url());
        let token = &self.emulator.seeds().user_token;
        let answer = client.request(method, url).header("user_token", token).json(&body).send();
        answer.await.unwrap().json().await.unwrap()
    }

    /// All requests that change something in the cloud but for minting, since the journal was cleared.
    fn changes(&self) -> Vec<String> {
        let requests = self.emulator.requests().into_iter();
        let changing = requests.filter(|it| it.method != "GET" && it.route != "/users/{id}/tokens");
        changing.map(|it| format!("{} {}", it.method, it.route)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_sets_up_the_cloud_and_what_it_writes_syncs() {
    let world = World::new().await;
    world.write("props/chair.fbx", b"chair");
    let root = world.root().display().to_string();
    let said = world.provision(&["--path", &root, "--output", "new.toml"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    for word in ["registered", "made folder", "granted", "versync-", "wrote"] {
        assert!(said.out.contains(word), "{word}: {said:#?}");
    }
    assert!(!said.out.contains(&world.emulator.seeds().api_key));
    let expected = ["POST /users", "POST /folders", "PUT /folders/{id}/access/{kind}/{member_id}"];
    assert_eq!(world.changes().len(), expected.len(), "{:?}", world.changes());

    let config = world.dir().join("new.toml").display().to_string();
    for command in ["check", "sync"] {
        let said = world.versync(&["--config", &config, command]).await;
        assert_eq!(said.code, 0, "{command}: {said:#?}");
    }
    let (_, stored) = world.remote().remove(0);
    assert_eq!(stored.folder_path, ["studio", "props"]);
    assert_ne!(stored.uploaded_by.as_deref(), Some(&*world.emulator.seeds().user_id), "by its own user");

    world.emulator.clear_requests();
    let again = world.provision(&["--path", &root, "--output", "new.toml", "--json"]).await;
    assert_eq!(again.code, 0, "{again:#?}");
    let told = again.json();
    assert_eq!(told["changed"], false, "{told}");
    assert_eq!(told["access"], json!({ "level": "write", "is_new": false }));
    assert_eq!(world.changes(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_to_write_the_configuration_is_the_result() {
    let world = World::new().await;
    let folder = world.emulator.seeds().folder_id.clone();
    let said = world.provision(&["--user", "workstation 7", "--folder", &folder, "--scope", "manage"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let config = versync::config::parse(&said.out, "test", &[("HOME", "/home/ada")].into_iter().collect());
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.mappings[0].folder.to_string(), folder);
    assert!(matches!(
        config.auth,
        versync::config::Auth::ApiKey { scope: versync::config::Scope::Manage, .. }
    ));
    assert!(said.err.contains("found folder") && said.err.contains("workstation 7"), "{said:#?}");

    // Less is asked for than was granted: nothing is lowered.
    let said = world.provision(&["--user", "workstation 7", "--folder", &folder, "--json"]).await;
    assert_eq!(said.json()["access"], json!({ "level": "manage", "is_new": false }), "{said:#?}");
    assert_eq!(said.json()["changed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_says_otherwise_is_kept() {
    let world = World::new().await;
    world.secret("mine.toml", "# mine");
    let said = world.provision(&["--output", "mine.toml"]).await;
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.err.contains("--force"), "{said:#?}");
    assert_eq!(std::fs::read_to_string(world.dir().join("mine.toml")).unwrap(), "# mine");
    assert_eq!(world.provision(&["--output", "mine.toml", "--force"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_two_folders_of_one_name_are_told_apart_by_their_ids() {
    let world = World::new().await;
    for _ in 0..2 {
        world.asks(reqwest::Method::POST, "/folders", json!({ "name": "Twin" })).await;
    }
    let said = world.provision(&["--folder", "Twin", "--json"]).await;
    assert_eq!(said.code, 2, "{said:#?}");
    let hint = said.json()["hint"].as_str().unwrap().to_owned();
    let ids: Vec<_> = hint.split([' ', ',']).filter(|word| word.len() == 36).collect();
    assert_eq!(ids.len(), 2, "{hint}");
    assert_eq!(world.provision(&["--folder", ids[0]]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_made_may_be_late_and_an_answer_may_be_lost() {
    let mut knobs = Knobs::default();
    (knobs.id_delay_ms, knobs.grant_delay_ms) = (300, 300);
    let world = World::with(Options { knobs, ..Options::default() }).await;
    for route in ["/users", "/folders"] {
        world.emulator.fault(Fault {
            method: "POST".into(),
            route: route.into(),
            turn: Turn::Nth(1),
            kind: FaultKind::AcceptThenLose,
        });
    }
    let mut said = world.provision(&["--json"]).await;
    // A listing that lags behind may not show it yet: then the next run finds it.
    for _ in 0..20 {
        if said.code != 5 {
            break;
        }
        said = world.provision(&["--json"]).await;
    }
    assert_eq!(said.code, 0, "{said:#?}");
    let name = said.json()["user"]["name"].as_str().unwrap().to_owned();
    let posts = |route: &str| world.requests("POST", route);
    assert_eq!((posts("/users"), posts("/folders")), (1, 1), "{name} was made once");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_another_run_would_find_what_it_made() {
    let mut knobs = Knobs::default();
    knobs.list_delay_ms = 700;
    let world = World::with(Options { knobs, ..Options::default() }).await;
    assert_eq!(world.provision(&["--folder", "late"]).await.code, 0);
    let again = world.provision(&["--folder", "late", "--json"]).await;
    assert_eq!(again.json()["changed"], false, "{again:#?}");
    assert_eq!(world.requests("POST", "/folders"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_from_being_set_up_has_its_exit_code_and_its_cure() {
    let world = World::new().await;
    let key = world.secret("key", &world.emulator.seeds().api_key).display().to_string();
    let wrong = world.secret("wrong", "not-the-key").display().to_string();
    let empty = world.secret("empty", "").display().to_string();
    let url = world.emulator.url();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (arguments, code, word) in [
        (vec!["--api-key-file", "nowhere"], 78, "nowhere"),
        (vec!["--api-key-file", &empty], 78, "no key"),
        (vec!["--api-key-file", "."], 78, "no file"),
        (vec!["--api-key-file", &wrong], 77, "API Access"),
        (vec!["--api-key-file", &key, "--ttl", "5 parsecs"], 78, "duration"),
        (vec!["--api-key-file", &key, "--path", "."], 78, "API key"),
        (vec!["--api-key-file", &key, "--folder", nobody], 2, nobody),
        (vec!["--api-key-file", &key, "--user", nobody], 2, nobody),
        (vec!["--api-key-file", &key, "--user", " "], 2, "--user"),
        (vec!["--api-key-file", &key, "--url", "http://127.0.0.1:9/app/v1"], 5, "127.0.0.1:9"),
        (vec!["--api-key-file", &key, "--url", "http://example.com/app/v1"], 78, "https"),
        (vec![], 2, "--api-key-file"),
    ] {
        let mut line = vec!["provision"];
        line.extend(&arguments);
        if !arguments.contains(&"--url") {
            line.extend(["--url", &url]);
        }
        let said = world.versync(&line).await;
        assert_eq!(said.code, code, "{arguments:?}: {said:#?}");
        assert!(said.err.contains(word), "{arguments:?}: {said:#?}");
        assert!(!said.err.contains("not-the-key"));
    }
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let said = world.versync(&["provision", "--api-key-file", &key, "--url", &url]).await;
    assert_eq!(said.code, 78, "{said:#?}");
    assert!(said.err.contains("chmod 600"), "{said:#?}");
    assert_eq!(world.changes(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_prints_the_link_to_the_scene_of_a_file() {
    let world = World::new().await;
    let chair = world.write("props/chair.fbx", b"chair").display().to_string();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let told = world.versync(&["open", &chair, "--json"]).await.json();
    let (scene, folder) = (told["scenes"][0]["id"].as_str().unwrap(), told["folder_id"].as_str().unwrap());
    assert_eq!((&told["is_current"], &told["session"]), (&Value::Bool(true), &Value::Null));
    let plain = world.versync(&["open", &chair]).await;
    assert!(plain.out.contains(scene) && plain.err.contains("console"), "{plain:#?}");

    let base = "https://console.3dverse.com/studio/film/default";
    let with =
        |console: &str| world.settings().replace("[auth]", &format!("console = \"{console}\"\n[auth]"));
    world.configure(&with(base));
    let said = world.versync(&["open", "studio:props/chair.fbx"]).await;
    assert_eq!(said.out, format!("{base}/folders/{folder}?item={scene}.scene\n"));
    assert!(world.emulator.requests().iter().all(|it| it.route != "/sessions"), "no session for a link");

    world.configure(&with("https://console.3dverse.com/{org}/{project}/{env}"));
    let said = world.versync(&["open", &chair]).await;
    assert_eq!(said.code, 78, "{said:#?}");
    assert!(said.err.contains("{org}"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_opened_seen_with_its_users_and_named_by_its_file() {
    let world = World::new().await;
    let chair = world.write("props/chair.fbx", b"chair").display().to_string();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let none = world.versync(&["sessions", "--json"]).await;
    assert_eq!((none.code, none.json()["sessions"].clone()), (0, json!([])), "{none:#?}");

    let opened = world.versync(&["open", &chair, "--session", "--json"]).await;
    assert_eq!(opened.code, 0, "{opened:#?}");
    let session = opened.json()["session"].clone();
    assert_eq!(session["scene_id"], opened.json()["scenes"][0]["id"]);
    assert_eq!(session["is_transient"], true);
    let id = session["session_id"].as_str().unwrap();
    world.asks(reqwest::Method::POST, &format!("/sessions/{id}/clients"), json!({})).await;

    let told = world.versync(&["sessions", "--json"]).await.json();
    let seen = &told["sessions"][0];
    assert_eq!((&seen["session_id"], &seen["path"]), (&session["session_id"], &json!("props/chair.fbx")));
    assert_eq!(seen["is_transient"], true, "{told}");
    assert_eq!(seen["clients"][0]["username"], "versync-demo", "{told}");
    let said = world.versync(&["sessions"]).await;
    assert!(said.out.contains("versync-demo") && said.out.contains(id), "{said:#?}");

    // A scene that was put together by hand in the folder belongs to the mapping, and one elsewhere does not.
    let used = [session["scene_id"].as_str().unwrap().to_owned()];
    let folders = [&world.emulator.seeds().folder_id, &world.emulator.seeds().public_folder_id];
    for folder in folders {
        let scene = world.emulator.compose_scene(folder, "by hand", &used).unwrap();
        world.asks(reqwest::Method::POST, "/sessions", json!({ "scene_id": scene })).await;
    }
    let told = world.versync(&["sessions", "--json"]).await.json();
    let mut paths: Vec<_> = told["sessions"].as_array().unwrap().iter().map(|it| &it["path"]).collect();
    paths.sort_by_key(|path| path.is_null());
    assert_eq!(paths, [&json!("props/chair.fbx"), &Value::Null], "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_refuses_kindly_what_has_no_scene() {
    let world = World::new().await;
    let wood = world.write("wood.png", b"wood").display().to_string();
    let empty = world.write("empty.fbx", b"").display().to_string();
    let broken = world.write("broken.fbx", b"BROKEN").display().to_string();
    let unsupported = world.write("notes.txt", b"notes").display().to_string();
    let before = world.versync(&["open", &wood]).await;
    assert_eq!(before.code, 3, "{before:#?}");
    world.versync(&["sync"]).await;
    for (path, code, words) in [
        (wood.as_str(), 1, ["no scene", "texture"]),
        (&empty, 3, ["held", "empty"]),
        (&broken, 4, ["conversion failed", "export"]),
        (&unsupported, 3, ["does not know", "versync status"]),
        ("studio:never.fbx", 3, ["does not know", "versync status"]),
        ("/elsewhere/x.fbx", 1, ["below no root", "studio"]),
    ] {
        for session in [&[][..], &["--session"][..]] {
            let said = world.versync(&[&["open", path], session].concat()).await;
            assert_eq!(said.code, code, "{path}: {said:#?}");
            assert!(words.iter().all(|word| said.err.contains(word)), "{path}: {said:#?}");
        }
    }
    assert_eq!(world.requests("POST", "/sessions"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_waits_tells_for_what_and_one_that_changes_still_opens_as_it_was() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"chair").display().to_string();
    let mut slow = Knobs::default();
    slow.conversion_ms = 3_600_000;
    world.emulator.set_knobs(slow);
    world.versync(&["sync", "--no-wait"]).await;
    let said = world.versync(&["open", &chair]).await;
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(said.err.contains("converting"), "{said:#?}");

    world.emulator.advance(std::time::Duration::from_secs(3_601));
    world.secret("token", &world.emulator.mint(versync::emulator::Level::Manage, 3600));
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let first = world.versync(&["open", &chair, "--json"]).await.json();
    world.write("chair.fbx", b"another chair");
    world.versync(&["sync", "--no-wait"]).await;
    let said = world.versync(&["open", &chair, "--json"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(said.json()["is_current"], false);
    assert_eq!(said.json()["scenes"], first["scenes"]);
}
