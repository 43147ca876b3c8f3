//! Names, links, pipes and permissions that stop nothing: each has its state, and the rest arrives.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use versync::daemon::Why;
use versync::file::{Entry, Key, MappingName, RelPath, State};

use crate::world::World;

fn raw(world: &World, path: &[u8]) -> Entry {
    let key = Key::new(MappingName::new("studio"), RelPath::from_bytes(path).unwrap());
    world.ledger().entry(&key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn n8_n9_n10_n12_names_that_cannot_travel_are_blocked_with_the_reason_and_the_others_arrive() {
    let world = World::new().await;
    let long = [b'a'; 251].iter().chain(b".fbx").copied().collect::<Vec<_>>();
    let names: [&[u8]; 4] = [b"\xff\xfe.fbx", b"two\nlines.fbx", b"bell\x07.fbx", &long];
    for name in names {
        std::fs::write(world.root().join(OsStr::from_bytes(name)), b"bytes").unwrap();
    }
    for name in ["with \"quotes\".fbx", "Gr\u{f6}\u{df}e \u{4eba}.fbx", "bidi \u{202e}.fbx"] {
        world.write(name, b"bytes");
    }
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    for name in &names[..3] {
        let entry = raw(&world, name);
        assert_eq!(entry.state(), State::Blocked, "{name:?}");
        assert!(entry.reason().unwrap().contains("rename the file"), "{:?}", entry.reason());
    }
    assert_eq!(raw(&world, &long).state(), State::Synced, "255 bytes are a name like any other");
    let remote: Vec<_> = world.remote().into_iter().map(|(path, _)| path).collect();
    assert_eq!(remote.len(), 4, "{remote:?}");
    assert!(remote.contains(&"with \"quotes\".fbx".to_owned()));

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn n1_n2_n5_pipes_and_loops_of_links_stop_nothing() {
    let world = World::new().await;
    world.write("chair.fbx", b"bytes");
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.fbx"), b"not ours").unwrap();
    std::os::unix::fs::symlink(".", world.root().join("loop")).unwrap();
    std::os::unix::fs::symlink("b.fbx", world.root().join("a.fbx")).unwrap();
    std::os::unix::fs::symlink("a.fbx", world.root().join("b.fbx")).unwrap();
    std::os::unix::fs::symlink(outside.path(), world.root().join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.fbx"), world.root().join("link.fbx")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(world.root().join("pipe.fbx")).status().unwrap();
    assert!(made.success());
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    let remote: Vec<_> = world.remote().into_iter().map(|(path, _)| path).collect();
    assert_eq!(remote, ["chair.fbx"], "no byte leaves through a link");
    let standing = world.ledger().standing(&MappingName::new("studio")).unwrap().unwrap();
    let counts: std::collections::BTreeMap<_, _> =
        standing.ignored.iter().map(|(kind, count)| (kind.word(), *count)).collect();
    assert_eq!(counts["link"], 5);
    assert_eq!(counts["special"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn w11_what_may_not_be_read_is_told_and_arrives_once_it_may() {
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: root may read everything");
        return;
    }
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"bytes");
    let table = world.write("closed/table.fbx", b"bytes");
    std::fs::set_permissions(&chair, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(table.parent().unwrap(), std::fs::Permissions::from_mode(0o000)).unwrap();
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Blocked);
    let standing = world.ledger().standing(&MappingName::new("studio")).unwrap().unwrap();
    assert_eq!(standing.troubles.len(), 1, "{:?}", standing.troubles);
    std::fs::set_permissions(&chair, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(table.parent().unwrap(), std::fs::Permissions::from_mode(0o700)).unwrap();
    world.sync().await;
    assert_eq!(world.remote().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_a_root_that_is_another_directory_than_before_halts_its_mapping_and_nothing_is_concluded() {
    let world = World::new().await;
    world.write("chair.fbx", b"bytes");
    world.sync().await;
    std::fs::rename(world.root(), world.root().with_extension("away")).unwrap();
    std::fs::create_dir(world.root()).unwrap();
    let (ending, _) = world.sync().await;
    assert!(
        matches!(ending.mappings.values().next(), Some(versync::daemon::Trouble::Halted(_))),
        "{:?}",
        ending.mappings
    );
    assert_eq!(world.entry("chair.fbx").state(), State::Synced, "absence needs proof");

    std::fs::remove_dir(world.root()).unwrap();
    std::fs::rename(world.root().with_extension("away"), world.root()).unwrap();
    let (ending, _) = world.sync().await;
    assert!(ending.mappings.is_empty(), "it is back, and nobody had to say so");
}

#[tokio::test(flavor = "multi_thread")]
async fn n13_n14_names_that_differ_only_in_case_or_unicode_form_are_two_files_and_rest() {
    let world = World::new().await;
    let names = ["A.obj", "a.obj", "caf\u{e9}.obj", "cafe\u{301}.obj"];
    for name in names {
        world.write(name, name.as_bytes());
    }
    if std::fs::read_dir(world.root()).unwrap().count() < names.len() {
        eprintln!("SKIPPED: this file system takes some of them for one name");
        return;
    }
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    let remote: std::collections::BTreeMap<_, _> =
        world.remote().into_iter().map(|(path, stored)| (path, stored.blake3)).collect();
    assert_eq!(remote.len(), names.len(), "{remote:?}");
    for name in names {
        assert_eq!(remote[name], crate::world::hash_of(&world.root().join(name)), "{name:?}");
    }
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "none of them is taken for another");
}
