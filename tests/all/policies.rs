//! What is taken away from the cloud, and what never is: only what is ours, only after a person agreed, and never many at once.

use std::fs;

use versync::agenda::{Errand, Voucher};
use versync::ambient;
use versync::daemon::{Ending, Trouble};
use versync::delivery;
use versync::desk::{Desk, IsGiven};
use versync::emulator::{Fault, FaultKind};
use versync::file::entry::Role;
use versync::file::{Entry, State};
use versync::meter::Meter;

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

fn names(world: &World) -> Vec<String> {
    world.remote().into_iter().map(|(path, _)| path).collect()
}

/// A person looks at what waits, and agrees.
async fn agree(world: &World) {
    world.let_go().await;
    delivery::arm(&world.ledger(), &world.config().mappings[0]).unwrap();
}

fn halted(ending: &Ending) -> Option<String> {
    ending.mappings.values().find_map(|trouble| match trouble {
        Trouble::Halted(why) => Some(why.clone()),
        _ => None,
    })
}

fn remove(world: &World, path: &str) {
    fs::remove_file(world.root().join(path)).unwrap();
}

async fn with(options: &str, files: usize) -> World {
    let world = World::new().await;
    world.options(options);
    for n in 0..files {
        world.write(&format!("part {n}.obj"), format!("part {n}").as_bytes());
    }
    world.sync().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_nothing_is_taken_away() {
    let world = with("", 2).await;
    remove(&world, "part 0.obj");
    world.write("part 1.obj", b"changed");
    let (ending, _) = world.sync().await;
    assert_eq!(halted(&ending), None);
    assert_eq!(names(&world), ["part 0.obj", "part 1.obj", "part 1.obj"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_before_a_person_agreed_to_just_these_terms() {
    let world = with("on_delete = \"delete\"", 3).await;
    remove(&world, "part 0.obj");
    let (ending, _) = world.sync().await;
    assert!(halted(&ending).unwrap().contains("versync approve studio"), "{ending:?}");
    assert_eq!(names(&world).len(), 3);

    agree(&world).await;
    let (ending, _) = world.sync().await;
    assert_eq!(halted(&ending), None);
    assert_eq!(names(&world), ["part 1.obj", "part 2.obj"]);
    assert_eq!(world.entry("part 0.obj"), Entry::default());

    // Other terms are another agreement.
    world.options("on_delete = \"delete\"\nexclude = [\"*.fbx\"]");
    remove(&world, "part 1.obj");
    let (ending, _) = world.sync().await;
    assert!(halted(&ending).is_some());
    assert_eq!(names(&world), ["part 1.obj", "part 2.obj"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brake_stops_deletions_and_no_uploads() {
    let world = with("on_delete = \"delete\"", 12).await;
    agree(&world).await;
    for n in 0..4 {
        remove(&world, &format!("part {n}.obj"));
    }
    world.write("new.obj", b"new");
    let (ending, _) = world.sync().await;
    assert!(halted(&ending).unwrap().contains("4 files are gone"), "{ending:?}");
    assert_eq!(names(&world).len(), 13, "nothing went, and the new file came");

    agree(&world).await;
    let (ending, _) = world.sync().await;
    assert_eq!(halted(&ending), None);
    assert_eq!(names(&world).len(), 9);

    // What comes later is counted afresh: three go, then the day is used up.
    for n in 4..7 {
        remove(&world, &format!("part {n}.obj"));
        world.sync().await;
    }
    assert_eq!(names(&world).len(), 6);
    remove(&world, "part 7.obj");
    let (ending, _) = world.sync().await;
    assert!(halted(&ending).unwrap().contains("3 remote files were taken within a day"), "{ending:?}");
    assert_eq!(names(&world).len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_only_renamed_is_not_counted_as_gone() {
    let world = World::new().await;
    world.options("on_delete = \"delete\"");
    for n in 0..8 {
        world.write(&format!("kit/part {n}.obj"), format!("part {n}").as_bytes());
    }
    world.sync().await;
    agree(&world).await;
    fs::rename(world.root().join("kit"), world.root().join("set")).unwrap();
    let (ending, _) = world.sync().await;
    assert_eq!(halted(&ending), None);
    assert_eq!(names(&world).len(), 8);
    assert_eq!(world.requests("DELETE", "/source-files"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_files_lie_in_the_archive_and_come_back_without_a_byte() {
    let world = with("on_delete = \"archive\"", 2).await;
    agree(&world).await;
    let old = world.entry("part 0.obj").current.unwrap().lead;
    remove(&world, "part 0.obj");
    world.sync().await;
    assert_eq!(names(&world), ["_versync_archive/part 0.obj", "part 1.obj"]);
    let entry = world.entry("part 0.obj");
    assert_eq!((entry.state(), entry.copies[0].role), (State::Deleted, Role::Archived));
    assert!(entry.reason().unwrap().contains("archived"));

    world.emulator.clear_requests();
    world.write("part 0.obj", b"part 0");
    world.sync().await;
    assert_eq!(world.requests("POST", UPLOAD), 0, "its bytes are there already");
    assert_eq!(names(&world), ["part 0.obj", "part 1.obj"]);
    let entry = world.entry("part 0.obj");
    assert_eq!(entry.state(), State::Synced);
    assert_eq!(entry.current.unwrap().lead.source_file, old.source_file);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_return_make_the_earlier_version_current_again() {
    let world = with("", 1).await;
    let first = world.entry("part 0.obj").current.unwrap().lead;
    world.write("part 0.obj", b"second");
    world.sync().await;
    let second = world.entry("part 0.obj").current.unwrap().lead;
    world.emulator.clear_requests();
    world.write("part 0.obj", b"part 0");
    world.sync().await;
    assert_eq!(world.requests("POST", UPLOAD), 0);
    let entry = world.entry("part 0.obj");
    assert_eq!(entry.current.as_ref().unwrap().lead.source_file, first.source_file);
    assert_eq!(entry.current.as_ref().unwrap().lead.assets, first.assets, "scenes find it again");
    assert_eq!(entry.copies[0].source_file, second.source_file);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_that_somebody_deleted_is_sent_anew() {
    let world = with("", 1).await;
    let first = world.entry("part 0.obj").current.unwrap().lead;
    world.write("part 0.obj", b"second");
    world.sync().await;
    let keep = versync::cloud::TheirAssets::Keep;
    world.client().delete_source_files(&[first.source_file], keep).await.unwrap();
    world.write("part 0.obj", b"part 0");
    world.sync().await;
    let entry = world.entry("part 0.obj");
    assert_eq!(entry.state(), State::Synced);
    assert_ne!(entry.current.unwrap().lead.source_file, first.source_file);
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_versions_go_after_the_new_one_has_converted_but_for_those_that_are_kept() {
    let world = with("on_change = \"delete\"\nkeep_versions = 1", 1).await;
    agree(&world).await;
    for bytes in [b"two".as_slice(), b"three"] {
        world.write("part 0.obj", bytes);
        world.sync().await;
    }
    assert_eq!(names(&world).len(), 2, "the current version, and one before it");
    let entry = world.entry("part 0.obj");
    assert_eq!(entry.copies.len(), 1);
    assert!(entry.copies[0].version.is_some());
}

/// Each pass opens the ledger anew, as a start after a kill does.
#[tokio::test(flavor = "multi_thread")]
async fn c9_a_replaced_version_that_was_left_is_cleared_by_the_next_pass_and_the_new_one_lives() {
    let world = with("on_change = \"delete\"", 1).await;
    let old = world.entry("part 0.obj").current.unwrap().lead.source_file.to_string();
    world.write("part 0.obj", b"two");
    world.sync().await;
    assert!(world.remote().iter().any(|(_, stored)| stored.id == old), "nobody agreed yet");
    agree(&world).await;
    world.sync().await;
    let live = world.entry("part 0.obj").current.unwrap().lead.source_file.to_string();
    let left: Vec<_> = world.remote().into_iter().map(|(_, stored)| stored.id).collect();
    assert_eq!(left, [live]);
    assert!(!left.contains(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_to_convert_takes_nothing_away() {
    let world = with("on_change = \"delete\"", 1).await;
    agree(&world).await;
    let mut knobs = versync::emulator::Knobs::default();
    knobs.set("task_end", "error").unwrap();
    world.emulator.set_knobs(knobs);
    let live = world.entry("part 0.obj").current.unwrap().lead.source_file;
    world.write("part 0.obj", b"broken");
    world.sync().await;
    assert_eq!(world.entry("part 0.obj").state(), State::ConversionFailed);
    assert!(world.remote().iter().any(|(_, stored)| stored.id == live.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_a8_files_of_others_and_linked_ones_survive_every_policy() {
    let world = with("on_delete = \"delete\"\non_change = \"delete\"", 2).await;
    // Another machine's ledger: what it finds is linked.
    fs::remove_dir_all(world.config().state_dir).unwrap();
    world.sync().await;
    agree(&world).await;
    remove(&world, "part 0.obj");
    world.write("part 1.obj", b"changed");
    world.sync().await;
    assert_eq!(names(&world), ["part 0.obj", "part 1.obj", "part 1.obj"]);
    assert_eq!(world.requests("DELETE", "/source-files"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn c10_a_deletion_whose_answer_is_lost_is_repeated_and_hits_nothing_else() {
    let world = with("on_delete = \"delete\"", 2).await;
    agree(&world).await;
    world.emulator.fault(Fault::next("DELETE", "/source-files", FaultKind::AcceptThenLose));
    remove(&world, "part 0.obj");
    let (ending, _) = world.sync().await;
    let (again, _) = world.sync().await;
    assert_eq!((halted(&ending), halted(&again)), (None, None));
    assert_eq!(names(&world), ["part 1.obj"]);
    assert_eq!(world.entry("part 0.obj"), Entry::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_refuses_to_delete_is_told_and_asked_once() {
    let world = with("on_delete = \"delete\"", 2).await;
    agree(&world).await;
    let refused = FaultKind::Status { status: 403, body: String::new() };
    world.emulator.fault(Fault::next("DELETE", "/source-files", refused));
    remove(&world, "part 0.obj");
    world.sync().await;
    assert_eq!(world.requests("DELETE", "/source-files"), 1);
    let entry = world.entry("part 0.obj");
    assert_eq!(entry.state(), State::Deleted);
    assert!(entry.reason().unwrap().contains("could not be taken away"), "{:?}", entry.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_w11_a_root_that_is_away_or_cannot_be_read_takes_nothing_away() {
    let world = with("on_delete = \"delete\"", 2).await;
    agree(&world).await;
    let aside = world.dir().join("aside");
    fs::rename(world.root(), &aside).unwrap();
    world.sync().await;
    fs::create_dir(world.root()).unwrap();
    let (ending, _) = world.sync().await;
    assert!(!ending.mappings.is_empty(), "another directory lies there");
    assert_eq!(names(&world).len(), 2);
    assert_eq!(world.requests("DELETE", "/source-files"), 0);
    fs::remove_dir(world.root()).unwrap();
    fs::rename(&aside, world.root()).unwrap();
    let (ending, _) = world.sync().await;
    assert_eq!(halted(&ending), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_versync_watches_a_deleted_file_goes_once_it_has_stayed_away() {
    let world = with("on_delete = \"delete\"", 4).await;
    agree(&world).await;
    let running = world.run().await;
    remove(&world, "part 0.obj");
    world.until_some(|world| world.remote().len() == 3).await;
    running.stop().await;
    world.let_go().await;
    assert_eq!(world.entry("part 0.obj"), Entry::default());
}

/// Whoever reckoned saw the root; who takes the step sees it once more.
#[tokio::test(flavor = "multi_thread")]
async fn w5_w6_a_grant_is_worth_nothing_while_the_root_is_away() {
    let world = with("on_delete = \"delete\"", 2).await;
    remove(&world, "part 0.obj");
    world.sync().await;
    agree(&world).await;
    let desk = Desk::lay(&world.config(), world.client(), world.ledger(), Meter::default());
    let key = World::key("part 0.obj");
    let errand = || {
        let now = ambient::tick();
        Errand { key: key.clone(), voucher: Voucher::Scanned, heard: now, noted: now }
    };
    assert_eq!(desk.grants.give(&key, ambient::tick()), IsGiven::Now);
    let aside = world.dir().join("aside");
    fs::rename(world.root(), &aside).unwrap();
    delivery::step(std::sync::Arc::clone(&desk), errand()).await;
    assert_eq!(world.requests("DELETE", "/source-files"), 0, "nothing can be seen, so nothing is gone");
    fs::rename(&aside, world.root()).unwrap();
    delivery::step(std::sync::Arc::clone(&desk), errand()).await;
    assert_eq!(world.requests("DELETE", "/source-files"), 1);
    assert_eq!(names(&world), ["part 1.obj"]);
}

/// The brake counts afresh what goes a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_spent_once_its_file_is_back_whatever_it_holds() {
    let world = with("on_delete = \"delete\"", 2).await;
    remove(&world, "part 0.obj");
    world.sync().await;
    agree(&world).await;
    let desk = Desk::lay(&world.config(), world.client(), world.ledger(), Meter::default());
    let key = World::key("part 0.obj");
    let step = || {
        let now = ambient::tick();
        let errand = Errand { key: key.clone(), voucher: Voucher::Scanned, heard: now, noted: now };
        delivery::step(std::sync::Arc::clone(&desk), errand)
    };
    assert_eq!(desk.grants.give(&key, ambient::tick()), IsGiven::Now);
    world.write("part 0.obj", b"");
    while step().await.is != State::Held {}
    remove(&world, "part 0.obj");
    while step().await.is != State::Deleted {}
    step().await;
    assert_eq!(world.requests("DELETE", "/source-files"), 0);
    assert_eq!(names(&world).len(), 2);
}

/// Its file turns up elsewhere while its remote file is being deleted: it must not take over what is about to be gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_turns_up_while_its_remote_file_is_deleted_is_sent_anew() {
    let world = with("on_delete = \"delete\"", 4).await;
    agree(&world).await;
    let mut running = world.run().await;
    world.emulator.fault(Fault::next("DELETE", "/source-files", FaultKind::Delay { ms: 1_500 }));
    world.emulator.clear_requests();
    remove(&world, "part 0.obj");
    world.until_requests("DELETE", "/source-files", 1).await;
    assert_eq!(running.entry("part 0.obj").state(), State::Deleted, "it is on its way");
    world.write("kept/part 0.obj", b"part 0");
    running.synced(&world, &["kept/part 0.obj"]).await;
    let live = running.entry("kept/part 0.obj").current.unwrap().lead.source_file.to_string();
    running.stop().await;
    assert!(world.remote().iter().any(|(_, stored)| stored.id == live), "what is synced is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_without_its_texture_does_not_replace_a_whole_one() {
    let world = World::new().await;
    world.write("chair.obj", b"mtllib chair.mtl\nv 0 0 0\n");
    world.sync().await;
    world.sync().await;
    world.write("chair.mtl", b"newmtl wood\n");
    world.sync().await;
    let whole = world.entry("chair.obj").current.unwrap();
    assert_eq!((whole.members.len(), world.requests("POST", UPLOAD)), (1, 2));
    remove(&world, "chair.mtl");
    world.sync().await;
    let entry = world.entry("chair.obj");
    assert_eq!(entry.state(), State::Held, "{:?}", entry.reason());
    assert_eq!(entry.current.unwrap().version, whole.version);
}
