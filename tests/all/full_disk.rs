//! The disk of the ledger is full while the real binary runs: nothing is sent that could not be remembered, and all goes on once
//! there is room. The disk is a small one in a mount namespace of its own.

use crate::mounts::Namespace;
use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

/// A studio whose state directory and log lie on a disk of 16 MiB.
async fn on_a_small_disk(namespace: &mut Namespace) -> World {
    let world = World::new().await;
    let dir = world.dir().display().to_string();
    namespace
        .does(&format!("cd {dir} && mkdir disk && mount -t tmpfs -o size=16m,mode=700 versync-test disk"));
    let settings = world.settings().replace("/state\"", "/disk/state\"");
    world.configure(&format!("{settings}\n[log]\nfile = \"{dir}/disk/versync.log\"\n"));
    world
}

/// Fills the disk to its last byte.
fn fill(namespace: &mut Namespace) {
    assert_ne!(namespace.tries("cat /dev/zero > disk/filler 2>/dev/null"), 0, "the disk has no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_service_whose_state_disk_is_full_sends_nothing_and_goes_on_by_itself_once_there_is_room() {
    let Some(mut namespace) = Namespace::new("l1") else { return };
    let world = on_a_small_disk(&mut namespace).await;
    let wrapper = namespace.wrapper();
    world.write("chair.fbx", b"chair");
    let run = namespace.run(&world);
    let is_at_rest = |count: u64| {
        move |it: &serde_json::Value| it["state"] == "watching" && it["counts"]["synced"] == count
    };
    world.until_standing_behind(&wrapper, "studio", is_at_rest(1)).await;

    fill(&mut namespace);
    let count = 40;
    let arrive = |from: usize| {
        for n in from..from + count {
            world.write(&format!("part {n}.fbx"), format!("part {n}").as_bytes());
        }
    };
    arrive(0);
    let is_full = |it: &serde_json::Value| {
        it["state"] == "halted" && it["reason"].as_str().is_some_and(|it| it.contains("disk is full"))
    };
    let standing = world.until_standing_behind(&wrapper, "studio", is_full).await;
    assert!(standing["reason"].as_str().unwrap().contains("`state_dir`"), "{standing}");
    // A pass that somebody asks for is told at once, and more files wait as the first ones do.
    let said = world.versync_behind(&wrapper, &["sync"]).await;
    assert_eq!(said.code, 74, "{said:#?}");
    assert!(said.err.contains("disk is full"), "{said:#?}");
    let sent = world.requests("POST", UPLOAD);
    let known = world.versync_behind(&wrapper, &["status", "--json"]).await.json();
    let known = known["daemon"]["agenda"].as_u64().unwrap();
    arrive(count);
    let has_heard =
        |told: &serde_json::Value| told["daemon"]["agenda"].as_u64() >= Some(known + count as u64);
    world.until_told_behind(&wrapper, has_heard).await;
    assert_eq!(world.requests("POST", UPLOAD), sent, "what cannot be remembered is not sent");
    assert_eq!(world.requests("DELETE", "/source-files"), 0);

    namespace.does("rm disk/filler");
    let all = 2 * count as u64 + 1;
    world.until_standing_behind(&wrapper, "studio", is_at_rest(all)).await;
    assert_eq!(world.remote().len() as u64, all);
    assert_eq!(world.requests("POST", UPLOAD) as u64, all, "each was sent once");
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_pass_whose_state_disk_is_full_ends_with_74_and_the_next_one_sends_each_file_once() {
    let Some(mut namespace) = Namespace::new("l1, sync") else { return };
    let world = on_a_small_disk(&mut namespace).await;
    let wrapper = namespace.wrapper();
    let count = 60;
    for n in 0..count {
        world.write(&format!("kit {n}/part.fbx"), format!("part {n}").as_bytes());
    }
    fill(&mut namespace);
    let said = world.versync_behind(&wrapper, &["sync"]).await;
    assert_eq!(said.code, 74, "{said:#?}");
    assert_eq!(world.requests("POST", UPLOAD), 0);

    // Then there is room for some of it only.
    namespace.does("head -c 400000 /dev/zero > disk/spare; rm disk/filler");
    namespace.does("head -c 15600000 /dev/zero > disk/filler");
    let said = world.versync_behind(&wrapper, &["sync"]).await;
    assert_eq!(said.code, 74, "{said:#?}");
    assert!(said.err.contains("room on the disk"), "{said:#?}");
    let sent = world.requests("POST", UPLOAD);
    assert!(sent < count, "{sent}");

    namespace.does("rm disk/filler");
    let said = world.versync_behind(&wrapper, &["sync"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(world.remote().len(), count);
    assert_eq!(world.requests("POST", UPLOAD), count, "each was sent once");
}
