//! Roots that are deleted, emptied, replaced, closed half-way, and come back: nothing is concluded from any of it.

use std::os::unix::fs::PermissionsExt as _;

use versync::daemon::{Event, MappingState, Trouble};
use versync::file::State;

use crate::world::World;

fn is_halted(event: &Event) -> bool {
    matches!(event, Event::Mapping(_, MappingState::Halted, _))
}

fn is_watching(event: &Event) -> bool {
    matches!(event, Event::Mapping(_, MappingState::Watching, _))
}

/// Short enough for a test to wait for it.
fn quick(world: &World) {
    world.configure(&world.settings().replace("[defaults]", "[defaults]\nrescan_interval = \"200ms\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_a_root_that_is_deleted_deletes_nothing_remote_and_is_worked_on_again_when_it_returns() {
    let world = World::new().await;
    quick(&world);
    world.write("props/chair.fbx", b"chair");
    let run = world.start(&["-v", "run"]);
    world.until_standing("studio", |it| it["counts"]["synced"] == 1).await;
    let aside = world.root().with_extension("aside");
    std::fs::rename(world.root(), &aside).unwrap();
    let standing = world.until_standing("studio", |it| it["state"] == "offline").await;
    assert!(standing["reason"].as_str().unwrap().contains("failed to reach the root"), "{standing}");
    assert_eq!(standing["counts"]["synced"], 1, "{standing}");
    std::fs::rename(&aside, world.root()).unwrap();
    world.until_standing("studio", |it| it["state"] == "watching").await;
    world.write("props/table.fbx", b"table");
    world.until_standing("studio", |it| it["counts"]["synced"] == 2).await;

    // Deleted in earnest, file by file, while it is watched.
    std::fs::remove_dir_all(world.root()).unwrap();
    let standing = world.until_standing("studio", |it| it["state"] == "offline").await;
    assert_eq!(standing["counts"]["synced"], 2, "{standing}");
    run.signal("TERM");
    run.end().await;
    assert_eq!(world.remote().len(), 2);
    assert_eq!(world.entry("props/chair.fbx").state(), State::Synced, "absence needs proof");
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_a_root_that_is_emptied_halts_its_mapping_until_that_is_approved() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.write("table.fbx", b"table");
    let mut running = world.run().await;
    for name in ["chair.fbx", "table.fbx"] {
        std::fs::remove_file(world.root().join(name)).unwrap();
    }
    world.write(".DS_Store", b"junk");
    let Event::Mapping(_, _, Some(why)) = running.until(is_halted).await else { panic!("no reason") };
    assert!(why.contains("nothing is left") && why.contains("versync approve studio"), "{why}");
    for name in ["chair.fbx", "table.fbx"] {
        assert_eq!(running.entry(name).state(), State::Synced, "{name}");
    }
    running.stop().await;
    world.let_go().await;
    let (ending, _) = world.sync().await;
    assert!(matches!(ending.mappings.values().next(), Some(Trouble::Halted(_))), "{:?}", ending.mappings);

    let said = world.versync(&["approve", "studio", "--yes"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.err.contains("nothing is left"), "{said:#?}");
    let (ending, _) = world.sync().await;
    assert!(ending.mappings.is_empty(), "{:?}", ending.mappings);
    assert_eq!(world.entry("chair.fbx").state(), State::Deleted);
    assert_eq!(world.remote().len(), 2, "and kept all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_a_root_that_is_filled_again_goes_on_by_itself() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"chair");
    let mut running = world.run().await;
    std::fs::remove_file(&chair).unwrap();
    running.until(is_halted).await;
    std::fs::write(&chair, b"chair").unwrap();
    running.until(is_watching).await;
    assert_eq!(running.entry("chair.fbx").state(), State::Synced);
    assert_eq!(world.remote().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_a_root_whose_link_leads_elsewhere_sends_and_deletes_nothing() {
    let world = World::new().await;
    let releases = world.dir().join("releases");
    for (release, name) in [("one", "chair.fbx"), ("two", "stranger.fbx")] {
        std::fs::create_dir_all(releases.join(release)).unwrap();
        std::fs::write(releases.join(release).join(name), name).unwrap();
    }
    std::fs::write(releases.join("two/chair.fbx"), b"another chair").unwrap();
    std::fs::remove_dir(world.root()).unwrap();
    std::os::unix::fs::symlink(releases.join("one"), world.root()).unwrap();
    quick(&world);
    let _run = world.start(&["-v", "run"]);
    world.until_standing("studio", |it| it["state"] == "watching" && it["counts"]["synced"] == 1).await;

    let link = world.dir().join("link");
    std::os::unix::fs::symlink(releases.join("two"), &link).unwrap();
    std::fs::rename(&link, world.root()).unwrap();
    world.until_standing("studio", |it| it["state"] == "halted").await;
    // Below the old root, which is still watched, something changes: it says nothing about what is at the path now.
    std::fs::write(releases.join("one/chair.fbx"), b"edited").unwrap();
    std::fs::write(releases.join("two/chair.fbx"), b"edited too").unwrap();
    let scans = world.until_standing("studio", |it| it["state"] == "halted").await;
    assert_eq!(scans["counts"]["synced"], 1, "{scans}");
    assert_eq!(world.remote().len(), 1, "nothing of the other root was sent");

    std::os::unix::fs::symlink(releases.join("one"), &link).unwrap();
    std::fs::rename(&link, world.root()).unwrap();
    world.until_remote(2).await;
    world.until_standing("studio", |it| it["state"] == "watching").await;
    assert!(world.remote().iter().all(|(path, _)| path == "chair.fbx"));
}

#[tokio::test(flavor = "multi_thread")]
async fn w11_a_directory_that_cannot_be_listed_any_more_deletes_nothing_and_arrives_once_it_can() {
    let world = World::new().await;
    quick(&world);
    let chair = world.write("props/chair.fbx", b"chair");
    world.write("table.fbx", b"table");
    // Root reads everything, unless it is told not to.
    let setpriv = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
    let root = rustix::process::geteuid().is_root();
    let can = std::process::Command::new("setpriv").args(&setpriv[1..]).arg("true").status();
    if root && !can.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED w11: root reads everything, and this machine has no setpriv to keep it from that");
        return;
    }
    let _run = if root { world.start_behind(&setpriv, &["-v", "run"]) } else { world.start(&["-v", "run"]) };
    world.until_standing("studio", |it| it["counts"]["synced"] == 2).await;
    let props = chair.parent().unwrap();
    let mode = |mode| std::fs::set_permissions(props, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let standing =
        world.until_standing("studio", |it| it["troubles"].as_array().is_some_and(|it| !it.is_empty())).await;
    assert_eq!(standing["counts"]["synced"], 2, "what cannot be seen is not gone: {standing}");
    assert!(standing["counts"]["deleted"].is_null(), "{standing}");
    mode(0o700);
    world.write("props/lamp.fbx", b"lamp");
    world
        .until_standing("studio", |it| it["counts"]["synced"] == 3 && it["troubles"] == serde_json::json!([]))
        .await;
}
