//! The slices of a DICOM series arrive as one volume: one upload for each series of a directory, whatever becomes of its slices.

pub(crate) mod slices;

use std::collections::BTreeSet;

use slices::{Syntax, slice};
use versync::daemon::{Event, Why};
use versync::file::State;

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

/// The names of the parts of each upload, sorted by name, the lead (which goes last) marked.
fn uploads(world: &World) -> Vec<String> {
    let requests = world.emulator.requests().into_iter();
    let uploads = requests.filter(|it| it.method == "POST" && it.route == UPLOAD);
    let mut told: Vec<_> = uploads
        .map(|it| {
            let mut parts: Vec<_> = it.parts.into_iter().map(|part| part.file_name).collect();
            let lead = parts.pop().unwrap();
            parts.push(format!("{lead}*"));
            parts.sort();
            parts.join(" ")
        })
        .collect();
    told.sort();
    told
}

fn write(world: &World, path: &str, series: &str, number: i32) {
    let syntax = if number % 2 == 0 { Syntax::Implicit } else { Syntax::Explicit };
    world.write(path, &slice(syntax, series, number));
}

/// The bundles in a state, by path.
fn bundles(world: &World, state: State) -> Vec<String> {
    let keys = world.ledger().keys_in_state(&World::key("x").mapping, state).unwrap();
    keys.iter().map(|key| key.path.to_string()).collect()
}

/// How many volumes the cloud has made.
fn volumes(world: &World, lead: &str) -> usize {
    let current = world.entry(lead).current.unwrap();
    current.parts().flat_map(|part| &part.assets).filter(|asset| asset.kind == "texture_3d").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_series_of_one_directory_are_two_uploads_and_a_restart_sends_nothing() {
    let world = World::new().await;
    for number in 1..=3 {
        write(&world, &format!("scan/ct{number}.dcm"), "1.2.3", number);
        write(&world, &format!("scan/mr{number}.dcm"), "1.2.4", number);
    }
    write(&world, "other/ct9.dcm", "1.2.3", 9);
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!(uploads(&world), ["ct1.dcm* ct2.dcm ct3.dcm", "ct9.dcm*", "mr1.dcm* mr2.dcm mr3.dcm"]);
    assert_eq!(bundles(&world, State::Synced), ["other/ct9.dcm", "scan/ct1.dcm", "scan/mr1.dcm"]);
    assert_eq!(world.entry("scan/ct1.dcm").current.unwrap().members.len(), 2);
    assert_eq!((volumes(&world, "scan/ct1.dcm"), volumes(&world, "scan/mr1.dcm")), (1, 1));
    let names: BTreeSet<_> = world.remote().into_iter().map(|(path, _)| path).collect();
    assert_eq!(names.len(), 7, "the slices keep their names: {names:?}");

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "a second pass has nothing to ask");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_comes_goes_or_changes_is_one_new_version_of_the_same_bundle() {
    let world = World::new().await;
    for number in 2..=4 {
        write(&world, &format!("scan/{number}.dcm"), "1.2.3", number);
    }
    world.sync().await;
    assert_eq!(uploads(&world), ["2.dcm* 3.dcm 4.dcm"]);

    world.emulator.clear_requests();
    write(&world, "scan/5.dcm", "1.2.3", 5);
    world.sync().await;
    assert_eq!(uploads(&world), ["2.dcm* 3.dcm 4.dcm 5.dcm"]);

    world.emulator.clear_requests();
    write(&world, "scan/1.dcm", "1.2.3", 1);
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm 2.dcm* 3.dcm 4.dcm 5.dcm"], "who led leads on");

    world.emulator.clear_requests();
    write(&world, "scan/4.dcm", "1.2.3", 44);
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm 2.dcm* 3.dcm 4.dcm 5.dcm"]);

    world.emulator.clear_requests();
    std::fs::remove_file(world.root().join("scan/3.dcm")).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm 2.dcm* 4.dcm 5.dcm"], "nothing refers to it: the rest is whole");

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
    assert_eq!(bundles(&world, State::Synced), ["scan/2.dcm"]);
    for state in [State::Deleted, State::Held, State::Ready, State::Detached, State::Blocked] {
        assert_eq!(bundles(&world, state), [""; 0], "{state}");
    }
    let entry = world.entry("scan/2.dcm");
    assert_eq!(entry.copies.len(), 3 + 4 + 5 + 5, "the versions before are superseded, and kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_that_is_removed_hands_its_bundle_on() {
    let world = World::new().await;
    for number in 1..=3 {
        write(&world, &format!("scan/{number}.dcm"), "1.2.3", number);
    }
    world.sync().await;
    let before = world.entry("scan/1.dcm").current.unwrap();
    world.emulator.clear_requests();

    std::fs::remove_file(world.root().join("scan/1.dcm")).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), ["2.dcm* 3.dcm"]);
    assert_eq!(bundles(&world, State::Synced), ["scan/2.dcm"]);
    assert_eq!(bundles(&world, State::Deleted), [""; 0], "nothing is gone that anybody would miss");
    let entry = world.entry("scan/2.dcm");
    let old: BTreeSet<_> = before.parts().map(|part| part.source_file).collect();
    assert_eq!(entry.copies.iter().map(|copy| copy.source_file).collect::<BTreeSet<_>>(), old);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);

    std::fs::remove_dir_all(world.root().join("scan")).unwrap();
    world.write("chair.fbx", b"so that the root is not empty");
    world.sync().await;
    assert_eq!(bundles(&world, State::Deleted), ["scan/2.dcm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_renamed_takes_its_series_along_and_nothing_is_sent() {
    let world = World::new().await;
    for number in 1..=4 {
        write(&world, &format!("in/scan/{number}.dcm"), "1.2.3", number);
    }
    world.sync().await;
    world.emulator.clear_requests();
    std::fs::rename(world.root().join("in/scan"), world.root().join("in/patient 7")).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), [""; 0]);
    assert_eq!(bundles(&world, State::Synced), ["in/patient 7/1.dcm"]);
    assert_eq!(world.entry("in/patient 7/1.dcm").current.unwrap().members.len(), 3);
    let remote: Vec<_> = world.remote().into_iter().map(|(path, _)| path).collect();
    assert_eq!(remote.len(), 4);
    assert!(remote.iter().all(|path| path.starts_with("in/patient 7/")), "{remote:?}");
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_tell_no_series_are_sent_by_themselves_with_a_warning() {
    let world = World::new().await;
    write(&world, "scan/1.dcm", "1.2.3", 1);
    write(&world, "scan/2.dcm", "1.2.3", 2);
    world.write("scan/noise.dcm", b"no DICOM at all");
    world.write("scan/cut.dcm", &slice(Syntax::Explicit, "1.2.3", 3)[..150]);
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm* 2.dcm", "cut.dcm*", "noise.dcm*"]);
    let reader = versync::ledger::Reader::open(&world.config().state_dir).unwrap();
    let journal = reader.journal(&World::key("scan/noise.dcm"), 9).unwrap();
    drop(reader);
    assert!(
        journal.iter().any(|line| line.note.contains("it does not begin as a DICOM file")),
        "{journal:?}"
    );

    // Once it tells, it is a slice like the others; what was sent of it by itself is kept.
    world.emulator.clear_requests();
    write(&world, "scan/cut.dcm", "1.2.3", 3);
    world.sync().await;
    assert_eq!(bundles(&world, State::Detached), ["scan/cut.dcm"]);
    assert_eq!(uploads(&world), ["1.dcm* 2.dcm cut.dcm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_is_damaged_stays_in_its_series_and_one_of_another_series_leaves_it() {
    let world = World::new().await;
    for number in 1..=3 {
        write(&world, &format!("scan/{number}.dcm"), "1.2.3", number);
    }
    world.sync().await;
    world.emulator.clear_requests();
    world.write("scan/2.dcm", &slice(Syntax::Explicit, "1.2.3", 2)[..150]);
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm* 2.dcm 3.dcm"], "sent with a warning, and no volume is torn");

    world.emulator.clear_requests();
    write(&world, "scan/2.dcm", "1.2.9", 2);
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm* 3.dcm", "2.dcm*"]);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

/// What `versync plan` writes into the ledger must not make a pass overlook what it planned.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_made_before_does_not_keep_a_pass_from_seeing_what_went_or_left() {
    let world = World::new().await;
    for number in 1..=5 {
        write(&world, &format!("scan/{number}.dcm"), "1.2.3", number);
    }
    world.sync().await;
    world.emulator.clear_requests();
    std::fs::remove_file(world.root().join("scan/4.dcm")).unwrap();
    write(&world, "scan/5.dcm", "1.2.9", 5);
    let say = |arguments: &[&str]| {
        let said = world.command(arguments).output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    world.let_go().await;
    let plan = loop {
        let plan = say(&["plan"]);
        if !plan.iter().any(|line| line.starts_with("wait ")) {
            break plan.join("\n");
        }
    };
    assert!(plan.contains("upload changed scan/1.dcm"), "{plan}");
    assert!(plan.contains("(series of 3 slices)"), "{plan}");
    assert!(plan.contains("upload new scan/5.dcm"), "{plan}");
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm* 2.dcm 3.dcm", "5.dcm*"]);
    world.let_go().await;
    let files = say(&["files"]).join("\n");
    assert!(files.contains("scan/1.dcm (series of 3 slices) synced"), "{files}");
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);

    let deps = say(&["deps", "studio/scan/2.dcm"]);
    assert_eq!(deps, ["scan/2.dcm", "needs scan/1.dcm", "needs scan/3.dcm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_comes_back_makes_the_earlier_version_current_and_a_lost_ledger_sends_nothing() {
    let world = World::new().await;
    for number in 1..=3 {
        write(&world, &format!("scan/{number}.dcm"), "1.2.3", number);
    }
    world.sync().await;
    let gone = world.root().join("scan/2.dcm");
    let bytes = std::fs::read(&gone).unwrap();
    std::fs::remove_file(&gone).unwrap();
    world.sync().await;
    world.emulator.clear_requests();
    std::fs::write(&gone, bytes).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), [""; 0]);
    assert_eq!(world.entry("scan/1.dcm").current.unwrap().members.len(), 2);

    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), [""; 0]);
    assert_eq!(bundles(&world, State::Synced), ["scan/1.dcm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_is_emptied_holds_its_series_and_an_excluded_one_is_none_of_it() {
    let world = World::new().await;
    for number in 1..=4 {
        write(&world, &format!("scan/{number}.dcm"), "1.2.3", number);
    }
    world.write("scan/.versyncignore", b"4.dcm\n");
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm* 2.dcm 3.dcm"]);
    world.emulator.clear_requests();
    world.write("scan/2.dcm", b"");
    world.sync().await;
    assert_eq!(uploads(&world), [""; 0]);
    let entry = world.entry("scan/1.dcm");
    assert_eq!(entry.state(), State::Held);
    assert!(entry.reason().unwrap().contains("member gone: scan/2.dcm is empty;"), "{:?}", entry.reason());

    world.write("scan/.versyncignore", b"2.dcm\n");
    write(&world, "scan/3.dcm", "1.2.3", 33);
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm* 3.dcm 4.dcm"]);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_that_becomes_another_series_leaves_its_old_one_to_another_slice() {
    let world = World::new().await;
    for number in 1..=3 {
        write(&world, &format!("scan/{number}.dcm"), "1.2.3", number);
    }
    world.sync().await;
    world.emulator.clear_requests();
    write(&world, "scan/1.dcm", "1.2.9", 1);
    world.sync().await;
    assert_eq!(uploads(&world), ["1.dcm*", "2.dcm* 3.dcm"]);
    assert_eq!(bundles(&world, State::Synced), ["scan/1.dcm", "scan/2.dcm"]);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_slices_are_one_request() {
    let world = World::new().await;
    for number in 0..300 {
        write(&world, &format!("scan/IM{number}.dcm"), "1.2.3", number);
    }
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!(world.requests("POST", UPLOAD), 1);
    assert_eq!(world.remote().len(), 300);
    assert_eq!(world.entry("scan/IM0.dcm").current.unwrap().members.len(), 299);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_writes_slice_after_slice_causes_one_upload() {
    let world = World::new().await;
    world.options("settle = \"5ms\"\nbundle_wait = \"3s\"");
    world.write("chair.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    // Backwards, so that the first comes last, and each only when the one before was looked at and would be sent if it were all.
    for number in (0..12).rev() {
        let path = format!("scan/{number:02}.dcm");
        write(&world, &path, "1.2.3", number);
        let key = World::key(&path);
        running.until(|event| matches!(event, Event::Stepped(step) if step.key == key)).await;
    }
    running.synced(&world, &["scan/00.dcm"]).await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    assert_eq!(running.entry("scan/00.dcm").current.unwrap().members.len(), 11);

    world.emulator.clear_requests();
    std::fs::remove_file(world.root().join("scan/07.dcm")).unwrap();
    let sent = |event: &Event| matches!(event, Event::Stepped(step) if step.is == State::Synced && step.was == State::Converting);
    running.until(sent).await;
    assert_eq!(running.entry("scan/00.dcm").current.unwrap().members.len(), 10);

    std::fs::remove_file(world.root().join("scan/00.dcm")).unwrap();
    running.until(sent).await;
    assert_eq!(running.entry("scan/01.dcm").current.unwrap().members.len(), 9);
    assert_eq!(world.requests("POST", UPLOAD), 2);
    assert_eq!(running.stop().await.why, Why::Stopped);
}
