//! Commands beside a running service, and the socket that they speak over, whoever else knocks at it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use versync::file::State;

use crate::process::Started;
use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

impl World {
    fn socket(&self) -> PathBuf {
        self.config().state_dir.join("versync.sock")
    }

    fn knob(&self, name: &str, value: &str) {
        let mut knobs = self.emulator.knobs();
        knobs.set(name, value).unwrap();
        self.emulator.set_knobs(knobs);
    }

    /// Starts the service, and waits until it watches.
    async fn serve(&self) -> Started {
        let mut run = self.start(&["-v", "run"]);
        run.says("mapping is watching").await;
        run
    }

    /// Puts one line to the socket and reads one.
    async fn put(&self, line: &str) -> Value {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await.unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    async fn why(&self, path: &str) -> Value {
        let said = self.versync(&["why", path, "--json"]).await;
        assert_eq!(said.code, 0, "{path}: {said:#?}");
        said.json()
    }
}

async fn stop(run: Started) {
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_has_the_running_service_do_it_and_tells_the_same() {
    let world = World::new().await;
    let run = world.serve().await;
    let chair = world.write("props/chair.fbx", b"chair");
    world.write("empty.fbx", b"");
    let said = world.versync(&["sync", "--json"]).await;
    assert_eq!(said.code, 3, "the empty file is held: {said:#?}");
    let told = said.json();
    assert_eq!(told["mappings"][0]["states"], json!({ "synced": 1, "held": 1 }), "{told}");
    assert_eq!(told["not_synced"][0]["path"], "empty.fbx");
    assert_eq!(world.requests("POST", UPLOAD), 1, "it was sent once");
    assert_eq!(world.remote()[0].1.blake3, hash_of(&chair));

    let said = world.versync(&["sync", "props/chair.fbx"]).await;
    assert_eq!(said.code, 2, "from the wrong directory: {said:#?}");
    let said = world.versync(&["sync", chair.to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.out.contains("1 synced"), "{said:#?}");
    std::fs::remove_file(&chair).unwrap();
    let said = world.versync(&["sync", chair.to_str().unwrap(), "--json"]).await;
    assert_eq!(
        (said.code, &said.json()["mappings"][0]["states"]),
        (0, &json!({ "deleted": 1 })),
        "{said:#?}"
    );
    assert_eq!(world.requests("POST", UPLOAD), 1);
    stop(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_beside_a_service_ends_as_one_of_its_own_would() {
    let world = World::new().await;
    world.write("broken.fbx", b"BROKEN");
    let run = world.serve().await;
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 4, "a conversion failed: {said:#?}");

    world.knob("task_end", "never");
    world.write("chair.fbx", b"chair");
    let said = world.versync(&["sync", "--no-wait", "studio/chair.fbx"]).await;
    assert_eq!(said.code, 0, "it is sent: {said:#?}");
    let said = world.versync(&["sync", "studio/chair.fbx", "--timeout", "1s"]).await;
    assert_eq!(said.code, 5, "it is not converted in time: {said:#?}");
    let said = world.versync(&["sync", "studio/chair.fbx"]).await;
    assert_eq!(said.code, 3, "a stalled task is not waited for: {said:#?}");

    world.secret("token", "emulator_user_token_that_nobody_minted");
    world.emulator.expire_tokens();
    world.write("table.fbx", b"table");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 77, "{said:#?}");
    stop(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_waiting_leaves_the_service_at_work_and_a_service_that_stops_says_so() {
    let world = World::new().await;
    world.configure(&world.settings().replace("stalled_after = \"3s\"", "stalled_after = \"1h\""));
    world.knob("task_end", "never");
    let mut run = world.serve().await;
    world.write("chair.fbx", b"chair");
    let first = world.start(&["sync"]);
    run.says("a pass was asked for").await;
    let second = world.start(&["sync"]);
    run.says("a pass was asked for").await;
    world.until_remote(1).await;
    first.signal("INT");
    assert_eq!(first.end().await, Some(130));
    let told = world.why("studio/chair.fbx").await;
    assert_eq!(told["state"], "converting", "{told}");
    assert!(told["next_attempt"].is_string(), "it is still followed: {told}");
    stop(run).await;
    assert_eq!(second.end().await, Some(5), "worth another try");
    assert_eq!(world.requests("POST", UPLOAD), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_ledger_without_a_socket_ends_sync_with_the_reason() {
    let world = World::new().await;
    let ledger = world.ledger();
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 11, "{said:#?}");
    assert!(said.err.contains("versync.sock"), "{said:#?}");
    drop(ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_what_failed_to_convert_is_tried_again_when_a_person_says_so() {
    let world = World::new().await;
    world.knob("task_end", "error");
    let chair = world.write("chair.fbx", b"chair");
    let run = world.serve().await;
    assert_eq!(world.versync(&["sync"]).await.code, 4);
    world.knob("task_end", "success");
    assert_eq!(world.versync(&["sync"]).await.code, 4, "the same bytes are not sent again by themselves");
    let said = world.versync(&["retry", chair.to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.out.contains("1 file is tried again"), "{said:#?}");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.requests("POST", UPLOAD), 2);
    let said = world.versync(&["retry", "--all", "--json"]).await;
    assert_eq!((said.code, said.json()), (0, json!({ "schema_version": 1, "retried": 0, "daemon": true })));
    stop(run).await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_without_a_service_is_done_by_the_next_sync() {
    let world = World::new().await;
    world.knob("task_end", "error");
    world.write("props/chair.fbx", b"chair");
    world.write("table.fbx", b"table");
    assert_eq!(world.versync(&["sync"]).await.code, 4);
    world.knob("task_end", "success");
    assert_eq!(world.versync(&["retry"]).await.code, 2, "what to try again has to be said");
    let said = world.versync(&["retry", "studio/props", "--json"]).await;
    assert_eq!(said.json(), json!({ "schema_version": 1, "retried": 1, "daemon": false }), "{said:#?}");
    assert_eq!(world.versync(&["sync"]).await.code, 4, "the other one was not named");
    assert_eq!(world.entry("props/chair.fbx").state(), State::Synced);
    let said = world.versync(&["retry", "--all", "studio"]).await;
    assert!(said.out.contains("1 file is ready again; `versync sync`"), "{said:#?}");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a_stalled_upload_that_is_retried_is_sent_anew_and_its_old_file_stays_known() {
    let world = World::new().await;
    world.knob("task_end", "never");
    world.write("chair.fbx", b"chair");
    assert_eq!(world.versync(&["sync"]).await.code, 3);
    let stalled = world.entry("chair.fbx");
    assert_eq!(stalled.state(), State::Stalled);
    world.knob("task_end", "success");
    let run = world.serve().await;
    let said = world.versync(&["retry", "studio/chair.fbx"]).await;
    assert!(said.out.contains("1 file is tried again"), "{said:#?}");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    stop(run).await;
    let entry = world.entry("chair.fbx");
    assert_eq!(entry.state(), State::Synced);
    let known: Vec<_> = entry.copies.iter().map(|it| it.source_file.to_string()).collect();
    let current = entry.current.unwrap().lead.source_file.to_string();
    for (path, stored) in world.remote() {
        assert!(stored.id == current || known.contains(&stored.id), "{path} is known to nobody");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_a_reload_adds_and_removes_mappings_while_an_upload_runs() {
    let world = World::new().await;
    let extra = world.dir().join("extra");
    std::fs::create_dir(&extra).unwrap();
    std::fs::write(extra.join("lamp.fbx"), b"lamp").unwrap();
    let folder = world.client().make_folder(world.config().mappings[0].folder, "extra").await.unwrap();
    let run = world.serve().await;
    world.knob("upload_bytes_per_second", "200000");
    let chair = world.write("chair.fbx", &vec![7; 400_000]);
    while world.put(r#"{"request":"status"}"#).await["status"]["meter"]["uploading"] != 1 {
        tokio::task::yield_now().await;
    }
    world.configure(&format!(
        "{}\n[[mapping]]\nname = \"extra\"\npath = \"{}\"\nfolder = \"{}\"\n",
        world.settings(),
        extra.display(),
        folder.id
    ));
    let said = world.versync(&["reload"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.out.contains("2 mappings"), "{said:#?}");
    let told = world.put(r#"{"request":"status"}"#).await;
    assert_eq!(told["status"]["meter"]["uploads"], 0, "it still runs: {told}");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(world.requests("POST", UPLOAD), 2, "the upload that ran went on");
    assert_eq!(world.remote().len(), 2);
    world.configure(&world.settings());
    assert_eq!(world.versync(&["reload", "--json"]).await.json()["mappings"], 1);
    std::fs::write(extra.join("late.fbx"), b"late").unwrap();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.remote().len(), 2, "the mapping is gone");
    assert!(world.remote().iter().any(|(_, stored)| stored.blake3 == hash_of(&chair)));
    stop(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_a_reload_of_a_bad_configuration_keeps_the_old_one_and_status_says_so() {
    let world = World::new().await;
    let mut run = world.serve().await;
    world.configure(&world.settings().replace("uplaods", "").replace("[limits]", "[limits]\nuplaods = 3"));
    assert_eq!(world.versync(&["reload"]).await.code, 78);
    run.signal("HUP");
    run.says("failed to reload").await;
    world.configure(&world.settings());
    let told = world.versync(&["status"]).await;
    assert!(told.out.contains("the old one stays in force") && told.out.contains("uplaods"), "{told:#?}");
    let told = world.versync(&["status", "--json"]).await.json();
    assert!(told["daemon"]["refused"].as_str().unwrap().contains("uplaods"), "{told}");
    world.write("chair.fbx", b"chair");
    assert_eq!(world.versync(&["sync"]).await.code, 0, "the old one works");
    assert_eq!(world.versync(&["reload"]).await.code, 0);
    let told = world.versync(&["status", "--json"]).await.json();
    assert_eq!(told["daemon"]["refused"], Value::Null, "{told}");
    stop(run).await;
    assert_eq!(world.versync(&["reload"]).await.code, 1, "nobody is there to read it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_mapping_sends_nothing_until_it_is_resumed_also_across_restarts() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let run = world.serve().await;
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let said = world.versync(&["pause", "studio"]).await;
    assert!(said.code == 0 && said.out.contains("paused: studio"), "{said:#?}");
    let said = world.versync(&["pause"]).await;
    assert!(said.code == 0 && said.out.contains("already paused: studio"), "{said:#?}");
    world.write("table.fbx", b"table");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 3, "{said:#?}");
    assert!(said.err.contains("studio is paused"), "{said:#?}");
    let told = world.versync(&["status", "--json"]).await.json();
    assert_eq!(told["mappings"][0]["state"], "paused", "{told}");
    stop(run).await;

    assert_eq!(world.versync(&["sync"]).await.code, 3, "a single pass holds to it");
    let mut run = world.start(&["-v", "run"]);
    run.says("mapping is paused").await;
    let told = world.why("studio/table.fbx").await;
    assert_eq!(told["waits_for"], "the mapping is paused", "{told}");
    assert_eq!(world.requests("POST", UPLOAD), 1, "nothing was sent since");
    let said = world.versync(&["resume", "studio", "--json"]).await;
    assert_eq!(said.json()["changed"], json!(["studio"]), "{said:#?}");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.requests("POST", UPLOAD), 2);
    stop(run).await;

    assert_eq!(world.versync(&["pause"]).await.code, 0);
    assert_eq!(world.versync(&["status", "--json"]).await.json()["mappings"][0]["state"], "paused");
    let said = world.versync(&["resume", "--json"]).await;
    assert_eq!(said.json()["daemon"], false, "{said:#?}");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.versync(&["pause", "elsewhere"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_approved_while_the_service_runs() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let mut run = world.serve().await;
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    std::fs::rename(world.root(), world.dir().join("aside")).unwrap();
    world.write("chair.fbx", b"another chair");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 13, "{said:#?}");
    assert_eq!(world.versync(&["approve", "studio"]).await.code, 13, "it has to be said");
    let said = world.versync(&["approve", "studio", "--yes"]).await;
    assert!(said.code == 0 && said.out.contains("goes on with this root now"), "{said:#?}");
    run.says("another").await;
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.requests("POST", UPLOAD), 2);
    stop(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_its_owners_alone_and_that_of_a_dead_service_is_replaced() {
    let world = World::new().await;
    let run = world.serve().await;
    let mode = std::fs::metadata(world.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    run.signal("KILL");
    run.end().await;
    assert!(world.socket().exists(), "nobody took it away");
    assert_eq!(world.versync(&["sync"]).await.code, 0, "a dead service is not asked");
    let run = world.serve().await;
    assert_eq!(world.put(r#"{"request":"status"}"#).await["status"]["mappings"][0]["state"], "watching");
    stop(run).await;
    assert!(!world.socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn o12_a_flood_of_clients_garbage_and_silence_leaves_the_service_at_work() {
    let world = World::new().await;
    let run = world.serve().await;
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..100_usize {
        let socket = world.socket();
        flood.spawn(async move {
            let Ok(mut stream) = UnixStream::connect(socket).await else { return };
            let said = match number % 5 {
                0 => b"{\"request\":".to_vec(),
                1 => vec![b'x'; 200_000],
                2 => b"{\"request\":\"exec\",\"path\":\"/etc/passwd\"}\n".to_vec(),
                3 => b"\xff\xfe\0\n".to_vec(),
                _ => Vec::new(),
            };
            drop(stream.write_all(&said).await);
            // Whatever comes back, the line is closed in the end, and that soon.
            let mut heard = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut heard)).await;
            assert!(closed.is_ok(), "client {number} still has its line");
        });
    }
    let chair = world.write("chair.fbx", b"chair");
    world.until_remote(1).await;
    assert_eq!(world.remote()[0].1.blake3, hash_of(&chair), "the service is at work");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 0, "a command gets its turn: {said:#?}");
    while let Some(client) = flood.join_next().await {
        client.unwrap();
    }
    let told = world.put(r#"{"request":"status"}"#).await;
    assert_eq!((&told["schema_version"], &told["status"]["out"]), (&json!(1), &json!(0)), "{told}");
    for (line, word) in [
        (r#"{"request":"sync","scope":[{"mapping":"studio","path":"../../etc"}]}"#, "take a path"),
        (r#"{"request":"sync","scope":[{"mapping":"nobody"}]}"#, "nobody"),
        (r#"{"request":"pause","mapping":"nobody"}"#, "nobody"),
        ("[]", "read a request"),
    ] {
        let told = world.put(line).await;
        assert!(told["error"].as_str().unwrap().contains(word), "{line}: {told}");
    }
    stop(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_the_rule_with_its_place_the_wait_and_what_happened() {
    let world = World::new().await;
    let settings =
        world.settings().replace("name = \"studio\"", "name = \"studio\"\nexclude = [\"*.bak.fbx\"]");
    world.configure(&settings);
    world.write(".versyncignore", b"# old\nwip_*\n");
    for (path, bytes) in [
        ("chair.fbx", &b"chair"[..]),
        ("wip_chair.fbx", b"x"),
        ("chair.bak.fbx", b"x"),
        ("notes.txt", b"x"),
        ("empty.fbx", b""),
        ("gone.fbx", b"gone"),
    ] {
        world.write(path, bytes);
    }
    assert_eq!(world.versync(&["sync"]).await.code, 3);
    std::fs::remove_file(world.root().join("gone.fbx")).unwrap();
    let run = world.serve().await;
    assert_eq!(world.versync(&["sync"]).await.code, 3);
    world.write("late.fbx", b"late");

    let told = world.why("studio/wip_chair.fbx").await;
    assert_eq!((&told["state"], &told["rule"]["kind"]), (&json!("ignored"), &json!("ignore_file")), "{told}");
    assert_eq!(
        (&told["rule"]["file"], &told["rule"]["line"]),
        (&json!(".versyncignore"), &json!(2)),
        "{told}"
    );
    let told = world.why("studio/chair.bak.fbx").await;
    let line = settings.lines().position(|line| line.contains("exclude")).unwrap() + 1;
    assert_eq!((&told["rule"]["kind"], &told["rule"]["line"]), (&json!("excluded"), &json!(line)), "{told}");
    assert!(told["rule"]["file"].as_str().unwrap().ends_with("versync.toml"), "{told}");
    assert_eq!(world.why("studio/notes.txt").await["rule"]["kind"], "unsupported");
    let told = world.why("studio/empty.fbx").await;
    assert_eq!((&told["state"], &told["on_disk"]), (&json!("held"), &json!("file")), "{told}");
    assert!(told["waits_for"].is_string(), "{told}");
    let told = world.why("studio/chair.fbx").await;
    assert_eq!((&told["state"], &told["waits_for"]), (&json!("synced"), &Value::Null), "{told}");
    assert!(told["file"]["source_file_id"].is_string() && !told["journal"].as_array().unwrap().is_empty());
    let told = world.why("studio/gone.fbx").await;
    assert_eq!((&told["state"], &told["on_disk"]), (&json!("deleted"), &json!("gone")), "{told}");
    let told = world.why("studio/never.fbx").await;
    assert_eq!((&told["state"], &told["file"], &told["journal"]), (&Value::Null, &Value::Null, &json!([])));
    assert!(told["why"].as_str().unwrap().contains("nothing is known of it"), "{told}");
    let said = world.versync(&["why", "studio/wip_chair.fbx"]).await;
    assert!(said.out.contains(".versyncignore:2"), "{said:#?}");
    let said = world.versync(&["why", "/elsewhere/x.fbx"]).await;
    assert_eq!(said.code, 1, "{said:#?}");
    stop(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_to_another_root_watches_that_one() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let mut run = world.serve().await;
    world.until_remote(1).await;
    let other = world.dir().join("elsewhere");
    std::fs::create_dir(&other).unwrap();
    let root = format!("path = \"{}\"", world.root().display());
    world.configure(&world.settings().replace(&root, &format!("path = \"{}\"", other.display())));
    assert_eq!(world.versync(&["reload"]).await.code, 0);
    run.says("another directory").await;
    assert_eq!(world.versync(&["approve", "studio", "--yes"]).await.code, 0);
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    std::fs::write(other.join("lamp.fbx"), b"lamp").unwrap();
    world.until_remote(2).await;
    stop(run).await;
}
