//! `verify` and `adopt`: what lies here compared with what is there, and what is there taken note of, without a byte sent.

use serde_json::{Value, json};
use versync::file::State;
use versync::file::entry::Title;

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

/// What `verify --json` found of each path, but for what is the same.
fn findings(told: &Value) -> Vec<(String, String)> {
    let of =
        |it: &Value| (it["path"].as_str().unwrap().to_owned(), it["finding"].as_str().unwrap().to_owned());
    let mut findings: Vec<_> = told["findings"].as_array().unwrap().iter().map(of).collect();
    findings.sort();
    findings
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(path, finding)| ((*path).to_owned(), (*finding).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_what_is_the_same_and_changes_nothing() {
    let world = World::new().await;
    world.write("chair.obj", b"mtllib chair.mtl\nv 0 0 0\n");
    world.write("chair.mtl", b"newmtl oak\n");
    world.write("props/table.fbx", b"table");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    world.emulator.clear_requests();
    for arguments in [&["verify", "--json"][..], &["verify", "--json", "--download"]] {
        let said = world.versync(arguments).await;
        assert_eq!(said.code, 0, "{said:#?}");
        let told = said.json();
        assert_eq!(told["is_same"], true, "{told}");
        assert_eq!(told["mappings"][0]["counts"]["same"], 3, "{told}");
        assert_eq!(told["findings"], json!([]));
    }
    assert!(world.emulator.requests().iter().all(|it| it.method == "GET"));
    let said = world.versync(&["verify"]).await;
    assert!(said.out.contains("everything that lies here"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_each_way_in_which_here_and_there_differ() {
    let world = World::new().await;
    // Somebody else's file, as far as this ledger knows.
    let stranger = world.write("stranger.fbx", b"not ours");
    world.sync().await;
    std::fs::remove_file(stranger).unwrap();
    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    let names = ["gone_there.fbx", "edited.fbx", "longer.fbx", "gone_here.fbx", "kept.fbx"];
    for name in names {
        world.write(name, b"first");
    }
    world.sync().await;
    // A version that is replaced.
    std::fs::write(world.root().join("kept.fbx"), b"second").unwrap();
    world.sync().await;
    let id = world.entry("gone_there.fbx").current.unwrap().lead.source_file;
    world.client().delete_source_files(&[id], versync::cloud::TheirAssets::Keep).await.unwrap();
    std::fs::write(world.root().join("edited.fbx"), b"other").unwrap();
    std::fs::write(world.root().join("longer.fbx"), b"much longer").unwrap();
    std::fs::remove_file(world.root().join("gone_here.fbx")).unwrap();
    world.write("new.fbx", b"new");

    let said = world.versync(&["verify", "--json"]).await;
    assert_eq!(said.code, 3, "{said:#?}");
    let expected = [
        ("edited.fbx", "content_differs"),
        ("gone_here.fbx", "gone_here"),
        ("gone_there.fbx", "missing_remote"),
        ("kept.fbx", "superseded"),
        ("longer.fbx", "differs_in_size"),
        ("new.fbx", "unknown_to_ledger"),
        ("stranger.fbx", "foreign"),
    ];
    assert_eq!(findings(&said.json()), pairs(&expected), "{said:#?}");
    let one = world.versync(&["verify", world.root().join("kept.fbx").to_str().unwrap()]).await;
    assert_eq!(one.code, 0, "{one:#?}");
    let text = world.versync(&["verify"]).await;
    assert!(text.out.contains("missing remote") && text.out.contains("gone_there.fbx"), "{text:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopt_takes_note_of_what_is_there_and_sends_nothing() {
    let world = World::new().await;
    world.write("props/chair.fbx", b"chair");
    world.write("table.fbx", b"table");
    world.sync().await;
    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    world.write("new/lamp.fbx", b"never sent");
    world.write("rug.fbx", b"never sent either");
    world.emulator.clear_requests();
    let said = world.versync(&["adopt", "--json"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let told = said.json();
    assert_eq!((&told["adopted"], &told["left"]), (&json!(2), &json!(2)), "{told}");
    assert_eq!(told["linked"].as_array().unwrap().len(), 2);
    assert!(world.emulator.requests().iter().all(|it| it.method == "GET"), "no file, no folder");
    assert_eq!(world.entry("props/chair.fbx").state(), State::Synced);
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.requests("POST", UPLOAD), 2, "what was left is sent by the next sync");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopt_own_shows_what_it_takes_over_and_takes_it_only_when_told() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.sync().await;
    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    world.sync().await;
    let title = |world: &World| world.entry("chair.fbx").current.unwrap().lead.title;
    assert_eq!(title(&world), Title::Linked);
    let said = world.versync(&["adopt", "--own"]).await;
    assert_eq!(said.code, 2, "nobody can be asked: {said:#?}");
    assert!(said.err.contains("chair.fbx") && said.err.contains("--yes"), "{said:#?}");
    assert_eq!(title(&world), Title::Linked);
    let said = world.versync(&["adopt", "--own", "--yes"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(title(&world), Title::Owned);
    let said = world.versync(&["adopt", "--own", "--yes", "--json"]).await;
    assert_eq!(said.json()["outcome"], "nothing_to_own");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopt_beside_a_running_service_says_what_to_do_and_verify_needs_not_ask_it() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let _run = world.start(&["-v", "run"]);
    world.until_standing("studio", |it| it["counts"]["synced"] == 1).await;
    let said = world.versync(&["adopt"]).await;
    assert_eq!(said.code, 11, "{said:#?}");
    assert!(said.err.contains("by itself"), "{said:#?}");
    assert_eq!(world.versync(&["verify", "--download"]).await.code, 0);
}
