//! What is renamed or moved keeps its remote file and its assets, and no byte is sent again.

use std::fs;

use versync::daemon::Event;
use versync::emulator::{Fault, FaultKind};
use versync::file::{Entry, State};

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

/// How many files the directory holds that is renamed.
fn many() -> usize {
    std::env::var("VERSYNC_RENAMED").ok().and_then(|it| it.parse().ok()).unwrap_or(150)
}

fn ids(entry: &Entry) -> (String, Vec<String>) {
    let lead = &entry.current.as_ref().expect("a version lives").lead;
    (lead.source_file.to_string(), lead.assets.iter().map(|asset| asset.id.to_string()).collect())
}

fn names(world: &World) -> Vec<String> {
    world.remote().into_iter().map(|(path, _)| path).collect()
}

/// Checks that a file is at `to` with the ids that it had, that `from` is forgotten, and that no byte was sent.
fn moved(world: &World, from: &str, to: &str, old: &Entry) {
    let entry = world.entry(to);
    assert_eq!(entry.state(), State::Synced, "{to}: {:?}", entry.reason());
    assert_eq!(ids(&entry), ids(old), "{to}");
    assert_eq!(world.entry(from), Entry::default(), "{from}");
    assert_eq!(world.requests("POST", UPLOAD), 0, "no byte was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_is_one_rename_in_the_cloud() {
    let world = World::new().await;
    world.write("props/chair.fbx", b"chair");
    world.write("props/table.fbx", b"table");
    world.sync().await;
    let old = world.entry("props/chair.fbx");
    world.emulator.clear_requests();
    fs::rename(world.root().join("props/chair.fbx"), world.root().join("props/stool.fbx")).unwrap();
    world.sync().await;
    moved(&world, "props/chair.fbx", "props/stool.fbx", &old);
    assert_eq!(names(&world), ["props/stool.fbx", "props/table.fbx"]);
    assert_eq!(world.requests("PATCH", "/source-files/{id}/details"), 1);

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests().iter().filter(|it| it.method != "GET").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_renamed_while_versync_watches_follows_once_the_old_path_has_stayed_away() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"chair");
    let mut running = world.run().await;
    let old = running.entry("chair.fbx");
    world.emulator.clear_requests();
    fs::rename(chair, world.root().join("Chair.fbx")).unwrap();
    running.synced(&world, &["Chair.fbx"]).await;
    running.stop().await;
    world.let_go().await;
    moved(&world, "chair.fbx", "Chair.fbx", &old);
    assert_eq!(names(&world), ["Chair.fbx"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_differ_only_in_case_or_in_composition_are_renamed() {
    for (from, to) in [("chair.fbx", "CHAIR.fbx"), ("caf\u{e9}.fbx", "cafe\u{301}.fbx")] {
        let world = World::new().await;
        world.write(from, b"chair");
        world.sync().await;
        let old = world.entry(from);
        world.emulator.clear_requests();
        fs::rename(world.root().join(from), world.root().join(to)).unwrap();
        world.sync().await;
        moved(&world, from, to, &old);
        assert_eq!(names(&world), [to]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_moved_to_another_directory_changes_its_remote_folder_and_keeps_its_ids() {
    let world = World::new().await;
    world.write("a/chair.fbx", b"chair");
    world.write("a/table.fbx", b"table");
    world.sync().await;
    let old = world.entry("a/chair.fbx");
    world.emulator.clear_requests();
    fs::create_dir(world.root().join("b")).unwrap();
    fs::rename(world.root().join("a/chair.fbx"), world.root().join("b/stool.fbx")).unwrap();
    world.sync().await;
    moved(&world, "a/chair.fbx", "b/stool.fbx", &old);
    assert_eq!(names(&world), ["a/table.fbx", "b/stool.fbx"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_directory_is_one_call_and_no_file_is_read_or_sent() {
    let world = World::new().await;
    let count = many();
    for n in 0..count {
        world.write(&format!("kit/part {n}.obj"), format!("part {n}").as_bytes());
    }
    world.sync().await;
    let old = world.entry("kit/part 0.obj");
    for (from, to) in [("kit", "set"), ("set", "kept/sets")] {
        world.emulator.clear_requests();
        fs::create_dir_all(world.root().join(to).parent().unwrap()).unwrap();
        fs::rename(world.root().join(from), world.root().join(to)).unwrap();
        world.sync().await;
        moved(&world, &format!("{from}/part 0.obj"), &format!("{to}/part 0.obj"), &old);
        let last = format!("{to}/part {}.obj", count - 1);
        assert_eq!(world.entry(&last).state(), State::Synced);
        let requests = world.emulator.requests();
        assert!(requests.len() <= 10, "{count} files, {} requests: {requests:#?}", requests.len());
        assert!(names(&world).iter().all(|name| name.starts_with(&format!("{to}/"))), "{:?}", names(&world));
        eprintln!("{count} files renamed from {from} to {to} with {} requests", requests.len());
    }
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests().iter().filter(|it| it.method != "GET").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_renamed_while_versync_watches_is_one_call() {
    let world = World::new().await;
    let count = many();
    for n in 0..count {
        world.write(&format!("kit/deep/part {n}.obj"), format!("part {n}").as_bytes());
    }
    world.sync().await;
    let mut running = world.run().await;
    let old = running.entry("kit/deep/part 0.obj");
    world.emulator.clear_requests();
    fs::rename(world.root().join("kit"), world.root().join("set")).unwrap();
    let last = format!("set/deep/part {}.obj", count - 1);
    running.synced(&world, &["set/deep/part 0.obj", &last]).await;
    running.until(|event| matches!(event, Event::Quiet)).await;
    running.stop().await;
    world.let_go().await;
    moved(&world, "kit/deep/part 0.obj", "set/deep/part 0.obj", &old);
    let requests = world.emulator.requests();
    assert!(requests.len() <= 10, "{} requests: {requests:#?}", requests.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_and_its_textures_move_together_and_nothing_is_sent() {
    let world = World::new().await;
    world.write("kit/chair.obj", b"mtllib chair.mtl\nv 0 0 0\n");
    world.write("kit/chair.mtl", b"newmtl wood\nmap_Kd wood.png\n");
    world.write("kit/wood.png", b"wood");
    world.write("kit/lone.fbx", b"lone");
    world.sync().await;
    let old = world.entry("kit/chair.obj");
    assert_eq!(old.current.as_ref().unwrap().members.len(), 2);
    world.emulator.clear_requests();

    // As a whole.
    fs::rename(world.root().join("kit"), world.root().join("set")).unwrap();
    world.sync().await;
    moved(&world, "kit/chair.obj", "set/chair.obj", &old);
    // File by file: the directory stays.
    fs::create_dir(world.root().join("old")).unwrap();
    for name in ["chair.obj", "chair.mtl", "wood.png"] {
        fs::rename(world.root().join("set").join(name), world.root().join("old").join(name)).unwrap();
    }
    world.sync().await;
    moved(&world, "set/chair.obj", "old/chair.obj", &old);
    assert_eq!(names(&world), ["old/chair.mtl", "old/chair.obj", "old/wood.png", "set/lone.fbx"]);

    // The texture is known at its new place: an edit refreshes the model.
    world.write("old/wood.png", b"wood, painted anew");
    world.sync().await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    assert_eq!(world.entry("old/chair.obj").state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_leaves_its_texture_behind_keeps_its_whole_version() {
    let world = World::new().await;
    world.write("kit/chair.obj", b"mtllib chair.mtl\nv 0 0 0\n");
    world.write("kit/chair.mtl", b"newmtl wood\n");
    world.sync().await;
    let old = world.entry("kit/chair.obj");
    world.emulator.clear_requests();
    fs::create_dir(world.root().join("old")).unwrap();
    fs::rename(world.root().join("kit/chair.obj"), world.root().join("old/chair.obj")).unwrap();
    world.sync().await;
    let entry = world.entry("old/chair.obj");
    assert_eq!(ids(&entry), ids(&old));
    assert_eq!(entry.state(), State::Held, "{:?}", entry.reason());
    assert_eq!(world.requests("POST", UPLOAD), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_save_sends_the_copy_as_a_new_file_and_the_scene_keeps_its_ids() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    world.sync().await;
    let old = world.entry("chair.fbx");
    fs::rename(&chair, world.root().join("chair_v1.fbx")).unwrap();
    world.write("chair.fbx", b"second");
    world.sync().await;
    let now = world.entry("chair.fbx");
    assert_eq!(now.state(), State::Synced);
    assert_eq!(now.copies[0].source_file, old.current.unwrap().lead.source_file);
    assert_eq!(world.entry("chair_v1.fbx").state(), State::Synced);
    assert_eq!(world.remote().len(), 3, "the first version, the second, and the copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_that_are_swapped_end_with_the_right_bytes_each() {
    let world = World::new().await;
    let (a, b) = (world.write("a.fbx", b"one"), world.write("b.fbx", b"two"));
    world.sync().await;
    let third = world.root().join("c");
    fs::rename(&a, &third).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&third, &b).unwrap();
    world.sync().await;
    for path in ["a.fbx", "b.fbx"] {
        let entry = world.entry(path);
        assert_eq!(entry.state(), State::Synced);
        let hash = crate::world::hash_of(&world.root().join(path));
        assert_eq!(entry.current.unwrap().lead.part.content.hash.to_string(), hash, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_file_renamed_while_it_converts_is_one_remote_file_under_its_new_name() {
    let world = World::new().await;
    let mut knobs = versync::emulator::Knobs::default();
    knobs.conversion_ms = 400;
    world.emulator.set_knobs(knobs);
    let chair = world.write("chair.fbx", b"chair");
    let sync = world.sync();
    let rename = async {
        world.until_requests("POST", UPLOAD, 1).await;
        fs::rename(&chair, world.root().join("stool.fbx")).unwrap();
    };
    let _both = tokio::join!(sync, rename);
    world.sync().await;
    assert_eq!(world.entry("stool.fbx").state(), State::Synced);
    assert_eq!(world.requests("POST", UPLOAD), 1);
    assert_eq!(names(&world), ["stool.fbx"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_holds_a_file_of_others_stays_and_ours_are_moved_out_of_it() {
    let world = World::new().await;
    world.write("kit/chair.fbx", b"chair");
    world.write("kit/table.fbx", b"table");
    world.sync().await;
    let folder = world.entry("kit/chair.fbx").current.unwrap().folder;
    let theirs = versync::cloud::Parcel {
        parts: vec![versync::cloud::ParcelPart {
            name: versync::file::PartName::from_text("theirs.fbx").unwrap(),
            length: 6,
            body: Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"theirs"))])),
        }],
    };
    world.client().upload(folder, theirs).await.unwrap();
    let old = world.entry("kit/chair.fbx");
    world.emulator.clear_requests();
    fs::rename(world.root().join("kit"), world.root().join("set")).unwrap();
    world.sync().await;
    moved(&world, "kit/chair.fbx", "set/chair.fbx", &old);
    assert_eq!(names(&world), ["kit/theirs.fbx", "set/chair.fbx", "set/table.fbx"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_linked_is_never_renamed() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.sync().await;
    fs::remove_dir_all(world.config().state_dir).unwrap();
    world.sync().await;
    world.emulator.clear_requests();
    fs::rename(world.root().join("chair.fbx"), world.root().join("stool.fbx")).unwrap();
    world.sync().await;
    assert_eq!(names(&world), ["chair.fbx", "stool.fbx"]);
    assert_eq!(world.requests("PATCH", "/source-files/{id}/details"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_whose_answer_is_lost_is_repeated_and_sends_nothing() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.sync().await;
    let old = world.entry("chair.fbx");
    world.emulator.clear_requests();
    let route = "/source-files/{id}/details";
    world.emulator.fault(Fault::next("PATCH", route, FaultKind::AcceptThenLose));
    fs::rename(world.root().join("chair.fbx"), world.root().join("stool.fbx")).unwrap();
    world.sync().await;
    moved(&world, "chair.fbx", "stool.fbx", &old);
    assert_eq!(world.requests("PATCH", route), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_the_cloud_refuses_is_sent_as_a_new_file() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.sync().await;
    let route = "/source-files/{id}/details";
    world.emulator.fault(Fault::next("PATCH", route, FaultKind::Status { status: 403, body: String::new() }));
    fs::rename(world.root().join("chair.fbx"), world.root().join("stool.fbx")).unwrap();
    world.sync().await;
    assert_eq!(world.entry("stool.fbx").state(), State::Synced);
    assert_eq!(names(&world), ["chair.fbx", "stool.fbx"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_dropped_anywhere_in_a_directory_rename_ends_in_the_same_place() {
    let world = World::new().await;
    for n in 0..6 {
        world.write(&format!("kit/part {n}.obj"), format!("part {n}").as_bytes());
    }
    world.sync().await;
    let old = world.entry("kit/part 0.obj");
    world.emulator.clear_requests();
    fs::rename(world.root().join("kit"), world.root().join("set")).unwrap();
    for requests in 1..6 {
        let dropped = world.until_some(move |world| world.emulator.requests().len() >= requests);
        tokio::select! {
            _ = world.sync() => {}
            () = dropped => {}
        }
        world.let_go().await;
    }
    world.sync().await;
    moved(&world, "kit/part 0.obj", "set/part 0.obj", &old);
    assert!(names(&world).iter().all(|name| name.starts_with("set/")), "{:?}", names(&world));
}

/// Two files ask for the one remote file at once: one has it, the other is sent, and each bears its own name.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_renamed_and_copied_leaves_each_under_its_own_name() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.write("other.fbx", b"other");
    world.sync().await;
    world.emulator.clear_requests();
    fs::rename(world.root().join("chair.fbx"), world.root().join("stool.fbx")).unwrap();
    for name in ["copy 1.fbx", "copy 2.fbx", "copy 3.fbx"] {
        fs::copy(world.root().join("stool.fbx"), world.root().join(name)).unwrap();
    }
    world.sync().await;
    assert_eq!(names(&world), ["copy 1.fbx", "copy 2.fbx", "copy 3.fbx", "other.fbx", "stool.fbx"]);
    assert_eq!(world.requests("POST", UPLOAD), 3);
    let remote = world.remote();
    for name in ["copy 1.fbx", "copy 2.fbx", "copy 3.fbx", "stool.fbx"] {
        let lead = world.entry(name).current.unwrap().lead;
        let at = remote.iter().find(|(_, stored)| stored.id == lead.source_file.to_string()).unwrap();
        assert_eq!(at.0, name, "the ledger and the cloud agree on the name");
    }
}
