//! What the commands print and how they end, with good input and bad, as a user types them.

use serde_json::json;

use crate::world::{World, hash_of};

#[tokio::test(flavor = "multi_thread")]
async fn sync_tells_one_object_and_a_second_one_asks_only_for_token_and_folder() {
    let world = World::new().await;
    let chair = world.write("props/chair.fbx", b"chair");
    let said = world.versync(&["sync", "--json"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let told = said.json();
    assert_eq!(told["schema_version"], 1);
    assert_eq!(told["exit_code"], 0);
    assert_eq!(told["mappings"][0]["states"]["synced"], 1);
    assert_eq!(told["not_synced"], json!([]));
    assert_eq!(world.remote()[0].1.blake3, hash_of(&chair));

    world.emulator.clear_requests();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let asked: Vec<_> =
        world.emulator.requests().into_iter().map(|it| format!("{} {}", it.method, it.route)).collect();
    assert_eq!(asked, ["GET /folders/{id}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_held_and_the_exit_code_says_so() {
    let world = World::new().await;
    world.write("empty.fbx", b"");
    world.write("psd.psd", b"unsupported");
    let said = world.versync(&["sync", "--json"]).await;
    assert_eq!(said.code, 3, "{said:#?}");
    let told = said.json();
    assert_eq!(told["not_synced"][0]["path"], "empty.fbx");
    assert_eq!(told["not_synced"][0]["state"], "held");
    assert_eq!(told["mappings"][0]["ignored"]["unsupported"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_conversion_has_an_exit_code_of_its_own() {
    let world = World::new().await;
    world.write("chair.fbx", b"BROKEN");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 4, "{said:#?}");
    assert!(said.out.contains("upload task"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c15_killed_in_the_middle_again_and_again_each_file_arrives_once() {
    let world = World::new().await;
    let paths: Vec<_> = (0..30).map(|n| format!("kit {}/part {n}.obj", n % 4)).collect();
    for path in &paths {
        world.write(path, &path.as_bytes().repeat(2_000));
    }
    for round in 0..10_u32 {
        let started = world.start(&["sync"]);
        // Killed once it has sent some more: the cloud's own journal is the signal.
        let sent = usize::try_from(round).unwrap() * 3 + 1;
        world.until_requests("POST", "/folders/{id}/source-files", sent).await;
        started.signal("KILL");
        started.end().await;
    }
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let remote = world.remote();
    assert_eq!(remote.len(), paths.len(), "{:?}", remote.iter().map(|it| &it.0).collect::<Vec<_>>());
    for path in &paths {
        let stored = remote.iter().find(|(remote, _)| remote == path).unwrap();
        assert_eq!(stored.1.blake3, hash_of(&world.root().join(path)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_watches_answers_status_and_stops_gently() {
    let world = World::new().await;
    world.write("chair.fbx", b"first");
    let mut run = world.start(&["-v", "run"]);
    run.says("watching").await;
    let second = world.versync(&["sync"]).await;
    assert_eq!(second.code, 0, "the running one does it: {second:#?}");
    let table = world.write("new/table.fbx", b"table");
    run.says("table.fbx").await;
    world.until_remote(2).await;
    let told = world.versync(&["status", "--json"]).await.json();
    assert_eq!(told["running"], true, "{told}");
    assert_eq!(told["mappings"][0]["state"], "watching", "{told}");
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
    assert!(world.remote().iter().any(|(_, stored)| stored.blake3 == hash_of(&table)));
    let told = world.versync(&["status", "--json"]).await.json();
    assert_eq!(told["running"], false, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_models_refer_to_is_told_with_its_models() {
    let world = World::new().await;
    world.write("crate.obj", b"mtllib crate.mtl\nv 0 0 0\n");
    world.write("barrel.obj", b"mtllib crate.mtl\nv 0 0 1\n");
    world.write("crate.mtl", b"newmtl wood\n");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let said = world.versync(&["status", "studio:crate.mtl"]).await;
    assert!(said.out.contains("part of a model: it is no file of its own"), "{said:#?}");
    let told = world.versync(&["status", "studio:crate.mtl", "--json"]).await.json();
    assert_eq!(told["file"]["travels_with"], serde_json::json!(["barrel.obj", "crate.obj"]), "{told}");
    let why = world.versync(&["why", "studio:crate.mtl", "--json"]).await.json();
    assert_eq!(why["why"], told["file"]["reason"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g2_g8_all_that_is_wrong_with_a_configuration_is_told_at_once_with_line_and_cure() {
    let world = World::new().await;
    let file = world.write("file.fbx", b"");
    world.configure(&format!(
        r#"
state_dir = "{dir}/state"
[server]
url = "http://example.com/app/v1"
[auth]
user_token_file = "{dir}/token"
[limits]
uplaods = 4
[[mapping]]
name = "a"
path = "{file}"
folder = "not-a-uuid"
[[mapping]]
name = "b"
path = "relative"
folder = 5
settle = "5 parsecs"
"#,
        dir = world.dir().display(),
        file = file.display(),
    ));
    for command in ["sync", "run", "check"] {
        let said = world.versync(&[command]).await;
        assert_eq!(said.code, 78, "{command}: {said:#?}");
        let told = format!("{}{}", said.out, said.err);
        for expected in ["uploads", "https", "UUID", "absolute", "versync.toml:8", "parsecs"] {
            assert!(told.contains(expected), "{command} does not say {expected:?}:\n{told}");
        }
    }
    assert_eq!(world.emulator.requests(), [], "nothing was asked of the cloud");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_surroundings_have_their_exit_codes_and_cures() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let settings = world.settings();
    let folder = &world.emulator.seeds().folder_id;
    let cases = [
        ("a missing root", settings.replace("/studio\"", "/elsewhere\""), 78, "elsewhere"),
        ("a root that is a file", settings.replace("/studio\"", "/studio/chair.fbx\""), 78, "directory"),
        (
            "a folder that does not exist",
            settings.replace(folder, "00000000-0000-4000-8000-000000000000"),
            78,
            "folder",
        ),
        (
            "a server that is not there",
            settings.replace(&world.emulator.url(), "http://127.0.0.1:9/app/v1"),
            5,
            "127.0.0.1:9",
        ),
    ];
    for (what, text, code, word) in cases {
        world.configure(&text);
        let said = world.versync(&["sync"]).await;
        assert_eq!(said.code, code, "{what}: {said:#?}");
        assert!(format!("{}{}", said.out, said.err).contains(word), "{what}: {said:#?}");
    }

    world.configure(&settings);
    world.secret("token", "emulator_user_token_that_nobody_minted");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 77, "a token that is refused: {said:#?}");
    let token = world.emulator.mint(versync::emulator::Level::Read, 3600);
    world.secret("token", &token);
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 77, "a token that may only read: {said:#?}");
    assert!(said.err.contains("write") || said.out.contains("write"), "{said:#?}");
    world.secret("token", &world.emulator.seeds().public_token);
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 77, "a public token: {said:#?}");
    assert!(said.err.contains("public"), "{said:#?}");

    std::fs::set_permissions(world.dir().join("token"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 78, "a secret that others may read: {said:#?}");
    assert!(said.err.contains("chmod"), "{said:#?}");
}
