//! Events that are lost, come too late, are limited or not to be had: every change is found all the same, and it is told how.

use std::process::{Command, Stdio};

use versync::daemon::Event;
use versync::file::State;

use crate::world::World;

/// A number of things to make, smaller than in the real thing unless the environment asks for more.
fn scaled(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|it| it.parse().ok()).unwrap_or(usual)
}

fn quick(world: &World, interval: &str) {
    let interval = format!("[defaults]\nrescan_interval = \"{interval}\"");
    world.configure(&world.settings().replace("[defaults]", &interval));
}

#[tokio::test(flavor = "multi_thread")]
async fn w1_o5_after_the_queue_of_events_overflowed_everything_is_found_and_watched() {
    let limit: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .ok()
        .and_then(|it| it.trim().parse().ok())
        .unwrap_or(16_384);
    if limit > 100_000 {
        eprintln!("SKIPPED w1: the queue of events holds {limit}; it would take too long to fill");
        return;
    }
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let run = world.start(&["-v", "run"]);
    world.until_standing("studio", |it| it["state"] == "watching" && it["counts"]["synced"] == 1).await;
    run.signal("STOP");
    // Each file is three events: made, changed, closed.
    for n in 0..limit / 3 + 500 {
        std::fs::write(world.root().join(format!("note {n}.txt")), b"x").unwrap();
    }
    for n in 0..20 {
        world.write(&format!("new {n}/deep/part.fbx"), format!("part {n}").as_bytes());
    }
    run.signal("CONT");
    world.until_remote(21).await;
    // The directories that were born meanwhile are watched: no scan is due for an hour.
    for n in 0..20 {
        world.write(&format!("new {n}/deep/later.fbx"), format!("later {n}").as_bytes());
    }
    world.until_remote(41).await;
    let standing = world.until_standing("studio", |it| it["counts"]["synced"] == 41).await;
    assert_eq!(standing["state"], "watching", "lost events are no reason for distrust: {standing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_a_burst_of_nested_directories_loses_no_file() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let mut running = world.run().await;
    let bursts = scaled("VERSYNC_TEST_BURSTS", 60);
    let paths: Vec<_> = (0..bursts).map(|n| format!("t{n}/a/b/c/part.fbx")).collect();
    for path in &paths {
        world.write(path, path.as_bytes());
    }
    // However many there are, each gets its time.
    let mut arrived = std::collections::BTreeSet::new();
    while arrived.len() < bursts {
        let event =
            running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Synced)).await;
        let Event::Stepped(step) = event else { unreachable!() };
        arrived.insert(step.key);
    }
    assert_eq!(world.remote().len(), bursts + 1);
}

/// Whether a limit of inotify can be set for a user namespace of our own.
fn limits(test: &str) -> bool {
    let mut probe = Command::new("unshare");
    probe.args(["-Ur", "sh", "-c", "echo 16 > /proc/sys/user/max_inotify_watches"]).stderr(Stdio::null());
    let can = probe.status().is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED {test}: this machine gives no user namespace (unshare -Ur)");
    }
    can
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_beyond_the_limit_of_watches_changes_are_found_by_walking_and_the_sysctl_is_named() {
    if !limits("w3") {
        return;
    }
    let world = World::new().await;
    quick(&world, "400ms");
    for n in 0..12 {
        world.write(&format!("kit {n}/part.fbx"), format!("part {n}").as_bytes());
    }
    let script = "echo 6 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
    let _run = world.start_behind(&["unshare", "-Ur", "sh", "-c", script, "sh"], &["-v", "run"]);
    let standing =
        world.until_standing("studio", |it| it["state"] == "polling" && it["counts"]["synced"] == 12).await;
    let reason = standing["reason"].as_str().unwrap();
    assert!(reason.contains("user.max_inotify_watches") && reason.contains("limit of 6"), "{reason}");
    assert!(reason.contains("sysctl user.max_inotify_watches=8192"), "{reason}");
    for n in 0..12 {
        world.write(&format!("kit {n}/later.fbx"), format!("later {n}").as_bytes());
    }
    world.until_remote(24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_without_a_watcher_the_tree_is_walked_and_the_sysctl_is_named() {
    if !limits("w4") {
        return;
    }
    let world = World::new().await;
    quick(&world, "400ms");
    world.write("chair.fbx", b"chair");
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
    let _run = world.start_behind(&["unshare", "-Ur", "sh", "-c", script, "sh"], &["-v", "run"]);
    let standing = world.until_standing("studio", |it| it["state"] == "polling").await;
    assert!(standing["reason"].as_str().unwrap().contains("max_inotify_instances"), "{standing}");
    world.write("table.fbx", b"table");
    world.until_remote(2).await;
}

/// A million files in a hundred thousand directories must not cost more.
const MOST_MEMORY: u64 = 256 << 20;

/// Starts to watch a tree that the caller has made, while files are added to these directories of it, and stops at rest.
async fn starts_to_be_watched(world: &World, directories: &[String]) -> serde_json::Value {
    let run = world.start(&["-v", "run"]);
    let made = 60;
    for n in 0..made {
        let place = &directories[n * directories.len() / made];
        world.write(&format!("{place}/new {n}/part {n}.fbx"), format!("part {n}").as_bytes());
    }
    world.until_remote(made).await;
    world.until_standing("studio", |it| it["counts"]["synced"] == made && it["state"] != "scanning").await;
    let standing = world.until_standing("studio", |it| it["state"] == "watching").await;
    if let Some(peak) = run.peak_memory() {
        assert!(peak < MOST_MEMORY, "{} MiB", peak >> 20);
    }
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
    standing
}

// Most of the files are not for the cloud, because it is walking and watching that is looked at, and not sending.

#[tokio::test(flavor = "multi_thread")]
async fn n16_a_large_tree_starts_to_be_watched_without_missing_what_happens_meanwhile() {
    // Five files to a directory: a million files are VERSYNC_TEST_DIRECTORIES=200000.
    let directories: Vec<_> =
        (0..scaled("VERSYNC_TEST_DIRECTORIES", 1_500)).map(|n| format!("{}/{n}", n % 40)).collect();
    let world = World::new().await;
    for directory in &directories {
        for name in ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"] {
            world.write(&format!("{directory}/{name}"), b"x");
        }
    }
    let standing = starts_to_be_watched(&world, &directories).await;
    let expected = directories.len() + 40 + 60 + 1;
    assert_eq!(standing["directories"].as_u64(), Some(expected as u64), "{standing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn n17_a_directory_of_many_entries_starts_to_be_watched_without_missing_what_happens_meanwhile() {
    let world = World::new().await;
    for n in 0..scaled("VERSYNC_TREE", 8_000) {
        world.write(&format!("all/note {n}.txt"), b"x");
    }
    let standing = starts_to_be_watched(&world, &["all".to_owned()]).await;
    assert_eq!(standing["directories"].as_u64(), Some(62), "{standing}");
}
