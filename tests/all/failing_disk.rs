//! Disks that are full and disks that fail, under the real binary: nothing is sent that could not be remembered, nothing that
//! could not be read whole, and all goes on once there is room. They are small ones in a mount namespace of their own.

use versync::file::State;

use crate::mounts::Namespace;
use crate::power_cut::on_ext4;
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
    let reason = standing["reason"].as_str().unwrap();
    assert!(reason.contains("until 819.2 KiB are free on the disk of `state_dir`"), "{standing}");
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

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_file_that_its_disk_does_not_give_is_told_and_its_remote_copy_is_kept() {
    let world = World::new().await;
    // The end of the disk is cut off below the file system, and with it the bytes of the file, but not its name.
    let script = r#"
        set -e
        truncate -s 64M disk.img && mkfs.ext4 -q disk.img && mount -o loop disk.img studio
        head -c 32M /dev/urandom > studio/chair.fbx
        "$BIN" -q sync
        head -c 32M /dev/urandom > studio/chair.fbx
        umount studio && mount -o loop,ro disk.img studio && ls -l studio >/dev/null
        truncate -s 12M disk.img
        if cat studio/chair.fbx >/dev/null 2>&1; then echo "this disk never fails" >&2; exit 1; fi
        code=0; "$BIN" -q sync || code=$?
        test $code = 3 || { echo "ended with $code" >&2; exit 1; }
        umount -l studio
    "#;
    if !on_ext4(&world, "f14", script).await {
        return;
    }
    let entry = world.entry("chair.fbx");
    assert_ne!(entry.state(), State::Synced);
    assert!(entry.reason().is_some_and(|it| it.contains("read")), "{:?}", entry.reason());
    let current = entry.current.unwrap();
    let remote = world.remote();
    assert_eq!(remote.len(), 1, "{remote:?}");
    assert_eq!(remote[0].1.blake3, current.lead.part.content.hash.to_string(), "the version before");
    assert_eq!(world.requests("DELETE", "/source-files"), 0);
}
