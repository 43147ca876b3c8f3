//! What the API may answer, row by row of the fault matrix: refusals (H), and answers that are late, odd, wrong or gone (A).

use versync::daemon::{MappingState, Why};
use versync::emulator::{Fault, FaultKind};
use versync::file::State;
use versync::file::entry::Role;

use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";
const TASKS: &str = "/folders/{id}/upload-tasks";
const TASK: &str = "/upload-tasks/{id}";

impl World {
    fn turn(&self, knobs: &[(&str, &str)]) {
        let mut all = self.emulator.knobs();
        for (name, value) in knobs {
            all.set(name, value).unwrap();
        }
        self.emulator.set_knobs(all);
    }

    async fn sync_to_the_end(&self) {
        for _ in 0..8 {
            if self.sync().await.0.why == Why::Finished {
                return;
            }
        }
        panic!("no pass came to its end");
    }

    fn reason(&self, path: &str) -> String {
        self.entry(path).reason().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_a_401_without_end_stops_everything_and_both_of_its_causes_are_named() {
    let world = World::new().await;
    for n in 0..20 {
        world.write(&format!("{n}.fbx"), &[n]);
    }
    world.turn(&[("drop_underscore_headers", "on")]);
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 77, "{said:#?}");
    assert!(said.err.contains("log in again") && said.err.contains("underscore"), "{said:#?}");
    assert!(world.emulator.requests().len() <= 20, "{} requests", world.emulator.requests().len());
    assert!(world.remote().is_empty());
    world.turn(&[("drop_underscore_headers", "off")]);
    assert_eq!(world.versync(&["sync"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn h13_h14_a_folder_that_is_forbidden_or_missing_stops_its_mapping_and_makes_no_other() {
    for (status, word) in [(403, "may not be used"), (404, "correct `folder`")] {
        let world = World::new().await;
        world.write("chair.fbx", b"chair");
        for route in ["/folders/{id}", UPLOAD, "/folders/{id}/folders"] {
            world
                .emulator
                .fault(Fault::next("*", route, FaultKind::Status { status, body: String::new() }).every());
        }
        let (_, events) = world.sync().await;
        let told = events.iter().any(|event| match event {
            versync::daemon::Event::Mapping(_, MappingState::Halted, Some(why)) => why.contains(word),
            _ => false,
        });
        assert!(told, "{status}: {events:#?}");
        assert_eq!(world.requests("POST", "/folders/{id}/folders") + world.requests("POST", "/folders"), 0);
        assert!(world.emulator.requests().len() <= 4, "{status}: {:#?}", world.emulator.requests());
        world.emulator.clear_faults();
        world.sync_to_the_end().await;
        assert_eq!(world.entry("chair.fbx").state(), State::Synced, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_what_the_cloud_refuses_is_blocked_with_its_words_until_the_file_changes() {
    for status in [400, 409, 422] {
        let world = World::new().await;
        world.write("chair.fbx", b"chair");
        world.write("lamp.fbx", b"lamp");
        let body = r#"{"errorCode":7,"message":"not this one"}"#.to_owned();
        world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::StatusAfterBody { status, body }));
        world.sync_to_the_end().await;
        let (blocked, fine): (Vec<_>, Vec<_>) = ["chair.fbx", "lamp.fbx"]
            .into_iter()
            .partition(|path| world.entry(path).state() == State::Blocked);
        let ([blocked], [fine]) = (&*blocked, &*fine) else { panic!("{status}: {blocked:?} {fine:?}") };
        assert_eq!(world.entry(fine).state(), State::Synced);
        assert!(world.reason(blocked).contains("not this one"), "{}", world.reason(blocked));
        world.emulator.clear_requests();
        world.sync_to_the_end().await;
        assert_eq!(world.requests("POST", UPLOAD), 0, "{status}: the same bytes are not offered again");
        world.write(blocked, b"other bytes");
        world.sync_to_the_end().await;
        assert_eq!(world.entry(blocked).state(), State::Synced, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_an_upload_that_names_no_task_is_looked_up_and_never_sent_again() {
    let world = World::new().await;
    world.turn(&[("omit_upload_task_id", "on")]);
    world.write("chair.fbx", b"chair");
    world.sync_to_the_end().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
    assert_eq!((world.requests("POST", UPLOAD), world.remote().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn h20_an_answer_with_headers_without_measure_is_an_error_of_the_cloud() {
    let world = World::new().await;
    for kind in [FaultKind::HugeHeader { bytes: 1 << 20 }, FaultKind::ManyHeaders { count: 100_000 }] {
        world.emulator.fault(Fault::next("GET", "/folders/{id}", kind.clone()));
        let client = world.client();
        let folder = world.emulator.seeds().folder_id.parse().unwrap();
        let error = client.folder(folder).await.unwrap_err();
        assert_eq!(
            (error.status(), error.blame()),
            (None, versync::verdict::Blame::Cloud),
            "{kind:?}: {error}"
        );
        client.folder(folder).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a_task_that_never_ends_is_stalled_and_many_of_them_cost_one_list() {
    let world = World::new().await;
    world.turn(&[("task_end", "never")]);
    for n in 0..12 {
        world.write(&format!("{n}.fbx"), &[n]);
    }
    world.sync_to_the_end().await;
    for n in 0..12 {
        assert_eq!(world.entry(&format!("{n}.fbx")).state(), State::Stalled);
        assert!(world.reason(&format!("{n}.fbx")).contains("retry"));
    }
    assert_eq!((world.requests("POST", UPLOAD), world.remote().len()), (12, 12), "nothing is sent again");
    let (lists, alone) = (world.requests("GET", TASKS), world.requests("GET", TASK));
    assert!(alone < lists * 4, "{alone} tasks were asked for one by one, and {lists} lists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_rejected_file_is_blocked_for_these_bytes() {
    let world = World::new().await;
    world.turn(&[("task_end", "rejected")]);
    world.write("chair.fbx", b"chair");
    world.sync_to_the_end().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Blocked);
    assert!(world.reason("chair.fbx").contains("rejected"));
    world.emulator.clear_requests();
    world.sync_to_the_end().await;
    assert_eq!(world.requests("POST", UPLOAD), 0);
    world.turn(&[("task_end", "by_content")]);
    world.write("chair.fbx", b"a better chair");
    world.sync_to_the_end().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
}

/// The files are sent once where listings lag less than `ambiguous_wait` (300 ms here), and found again as orphans where they lag more.
#[tokio::test(flavor = "multi_thread")]
async fn a5_a_listing_that_lags_makes_no_second_file_within_the_wait_and_an_orphan_beyond_it() {
    for (lag, most) in [("0", 1), ("100", 1), ("250", 1), ("2000", 2)] {
        let world = World::new().await;
        world.turn(&[("listing_lag_ms", lag), ("list_delay_ms", lag)]);
        world.write("chair.fbx", b"chair");
        world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenLose));
        world.sync_to_the_end().await;
        let entry = world.entry("chair.fbx");
        assert_eq!(entry.state(), State::Synced, "{lag}");
        let sent = world.requests("POST", UPLOAD);
        assert!((1..=most).contains(&sent), "{lag}: sent {sent} times");
        assert_eq!(world.remote().len(), sent, "{lag}");
        let orphans = entry.copies.iter().filter(|copy| copy.role == Role::Orphan).count();
        assert!(orphans < sent, "{lag}: {orphans} orphans");
        // What shows up later is told by a comparison.
        world.turn(&[("listing_lag_ms", "0"), ("list_delay_ms", "0")]);
        let told = world.versync(&["verify", "--json"]).await.json();
        let told = told.to_string().matches(r#""finding":"orphan""#).count();
        assert!(told >= sent - 1, "{lag}: sent {sent} times, {told} orphans");
    }
}

/// Somebody else uploads while pages are read, and an answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a6_a_list_that_moves_while_it_is_read_proves_no_absence() {
    let world = World::new().await;
    world.turn(&[("page_max", "2")]);
    for n in 0..5 {
        world.write(&format!("{n}.fbx"), &[n]);
    }
    world.sync_to_the_end().await;
    world.turn(&[("insert_during_paging", "on"), ("task_routes", "403")]);
    let path = world.write("chair.fbx", b"chair");
    world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenLose));
    world.emulator.clear_requests();
    world.sync_to_the_end().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
    let hash = hash_of(&path);
    assert_eq!(world.remote().iter().filter(|(_, stored)| stored.blake3 == hash).count(), 1);
    assert_eq!(world.requests("POST", UPLOAD), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_a_status_that_is_newer_than_we_are_ends_nothing() {
    let world = World::new().await;
    world.turn(&[("task_end", "unknown_status")]);
    world.write("chair.fbx", b"chair");
    world.sync_to_the_end().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Stalled);
    assert_eq!(world.requests("POST", UPLOAD), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_where_the_record_of_a_task_is_gone_the_files_tell_and_nothing_is_sent() {
    let world = World::new().await;
    world.turn(&[("task_retention_ms", "1"), ("conversion_ms", "1")]);
    world.write("chair.fbx", b"chair");
    world.emulator.fault(Fault::next("GET", TASK, FaultKind::Delay { ms: 200 }));
    world.sync_to_the_end().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
    assert_eq!((world.requests("POST", UPLOAD), world.remote().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a_server_whose_clock_is_hours_off_is_understood_also_when_an_answer_is_lost() {
    for skew in ["21600", "-21600"] {
        let world = World::new().await;
        world.turn(&[("clock_skew_s", skew)]);
        world.write("chair.fbx", b"chair");
        world.write("lamp.fbx", b"lamp");
        world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenLose));
        world.sync_to_the_end().await;
        for path in ["chair.fbx", "lamp.fbx"] {
            assert_eq!(world.entry(path).state(), State::Synced, "{skew}");
        }
        assert_eq!((world.requests("POST", UPLOAD), world.remote().len()), (2, 2), "{skew}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_fields_that_nobody_knows_are_passed_over() {
    let world = World::new().await;
    world.turn(&[("extra_fields", "on")]);
    world.write("chair.fbx", b"chair");
    world.sync_to_the_end().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_a_size_that_is_not_what_was_sent_blocks_the_new_version_and_the_old_one_stays() {
    let world = World::new().await;
    world.write("chair.fbx", b"first");
    world.sync_to_the_end().await;
    let first = world.entry("chair.fbx").current.unwrap();
    world.turn(&[("size_error", "1")]);
    world.write("chair.fbx", b"second");
    world.emulator.clear_requests();
    world.sync_to_the_end().await;
    let entry = world.entry("chair.fbx");
    assert_eq!(entry.state(), State::Blocked);
    assert!(world.reason("chair.fbx").contains("bytes"), "{}", world.reason("chair.fbx"));
    assert_eq!(entry.current.unwrap().lead.source_file, first.lead.source_file);
    assert!(world.remote().iter().any(|(_, stored)| stored.id == first.lead.source_file.to_string()));
    assert_eq!(world.requests("POST", UPLOAD), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_a_mapping_that_is_pointed_at_another_folder_changes_nothing_in_the_old_one() {
    let world = World::new().await;
    world.write("props/chair.fbx", b"chair");
    world.configure(&world.settings());
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let setup = world.client().setup(versync::cloud::Secret::new(&world.emulator.seeds().api_key).unwrap());
    let other = setup.make_root_folder("other").await.unwrap();
    let user = world.emulator.seeds().user_id.parse().unwrap();
    setup.grant(other.id, user, versync::cloud::Scope::Write).await.unwrap();
    let before = world.remote();
    world.configure(&world.settings().replace(&world.emulator.seeds().folder_id, &other.id.to_string()));
    world.emulator.clear_requests();
    world.write("props/lamp.fbx", b"lamp");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.emulator.requests().iter().filter(|it| it.method == "DELETE").count(), 0);
    let after = world.emulator.source_files();
    assert!(
        before
            .iter()
            .all(|(_, old)| after.iter().any(|now| now.id == old.id && now.folder_path == old.folder_path))
    );
    let lamp = after.iter().find(|it| it.name == "lamp.fbx").unwrap();
    assert_eq!(lamp.folder_path, ["other", "props"], "what is new goes to the new folder");
}
