//! A machine that went down without warning: what it left of files, and of our own state.

use versync::disk;
use versync::file::sighting::Trust;
use versync::file::{Entry, State};

use crate::world::World;

/// The machine goes down now and comes up again: the last life has no end, and the next begins on another boot.
fn power_cut(world: &World) {
    let ledger = world.ledger();
    ledger.put_meta("clean", "").unwrap();
    ledger.put_meta("boot", "the boot before").unwrap();
}

/// The ledger's row of a file as it would be if its old stat were the one that it has now: other bytes behind an equal stat,
/// which no test can make on a disk without cutting its power.
fn same_stat_as_now(world: &World, path: &str) -> Entry {
    let ledger = world.ledger();
    let entry = ledger.entry(&World::key(path)).unwrap();
    let root = disk::Root::new(world.root().to_owned());
    let stat = disk::stat(&root, &World::key(path).path).unwrap();
    let mut seen = entry.seen.unwrap();
    seen.fingerprint = stat.fingerprint;
    seen.trust = Trust::Settled;
    let entry = Entry { seen: Some(seen), ..entry };
    ledger.put(&World::key(path), &entry, None, versync::ambient::now()).unwrap();
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn pw2_other_bytes_behind_an_equal_stat_are_suspect_until_the_next_edit() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"the model");
    world.write("table.fbx", b"the table");
    world.sync().await;
    std::fs::write(&chair, b"\0\0\0\0\0\0\0\0\0").unwrap();
    same_stat_as_now(&world, "chair.fbx");
    world.sync().await;
    assert_eq!(
        world.entry("chair.fbx").state(),
        State::Synced,
        "without a power cut an equal stat is believed"
    );

    power_cut(&world);
    world.emulator.clear_requests();
    world.sync().await;
    let entry = world.entry("chair.fbx");
    assert_eq!(entry.state(), State::Suspect);
    assert!(entry.current.is_some(), "what lives in the cloud is kept");
    assert!(entry.reason().unwrap().contains("versync retry"), "{:?}", entry.reason());
    assert_eq!(world.entry("table.fbx").state(), State::Synced, "read again, and the same");
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 0);
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Suspect, "time alone lifts no doubt");

    std::fs::write(&chair, b"saved anew").unwrap();
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
    assert_eq!(world.remote().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pw2_a_file_that_came_back_empty_or_as_it_once_was_is_suspect_and_retry_sends_it() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    let table = world.write("table.fbx", b"table");
    world.sync().await;
    std::fs::write(&chair, b"second").unwrap();
    world.sync().await;
    std::fs::write(&chair, b"first").unwrap();
    std::fs::write(&table, b"").unwrap();
    power_cut(&world);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Suspect, "old bytes with new stamps");
    assert_eq!(world.entry("table.fbx").state(), State::Suspect, "no bytes any more");
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 0);
    let said = world.versync(&["status"]).await;
    assert!(said.out.contains("suspect"), "{said:#?}");

    let said = world.versync(&["retry", "studio"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced, "a person says that it is meant");
    assert_eq!(world.entry("table.fbx").state(), State::Held, "an empty file waits for bytes like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn pw2_a_texture_that_changed_behind_an_equal_stat_keeps_its_model_from_being_sent() {
    let world = World::new().await;
    world.write("chair.obj", b"mtllib chair.mtl\nv 0 0 0\n");
    let material = world.write("chair.mtl", b"newmtl oak\n");
    world.sync().await;
    assert_eq!(world.entry("chair.obj").state(), State::Synced);
    let before = std::fs::metadata(&material).unwrap().modified().unwrap();
    let ledger = world.ledger();
    std::fs::write(&material, b"\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    std::fs::File::options().append(true).open(&material).unwrap().set_modified(before).unwrap();
    // The row of the texture gets the stat that the file has now.
    let root = disk::Root::new(world.root().to_owned());
    let key = World::key("chair.mtl");
    let mut seen = ledger.seen(&key).unwrap().unwrap();
    seen.fingerprint = disk::stat(&root, &key.path).unwrap().fingerprint;
    seen.trust = Trust::Settled;
    let lead = World::key("chair.obj");
    let entry = ledger.entry(&lead).unwrap();
    ledger.put_bundle(&lead, &entry, &[(key.path, seen)], None, versync::ambient::now()).unwrap();
    drop(ledger);
    power_cut(&world);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.entry("chair.obj").state(), State::Suspect);
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 0);
    assert_eq!(world.versync(&["retry", "studio"]).await.code, 0);
    world.sync().await;
    assert_eq!(world.entry("chair.obj").state(), State::Synced);
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 1);
}
