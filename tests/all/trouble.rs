//! Requests that break, answers that are lost, processes that are killed: each file arrives all the same, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use versync::cloud::{self, Client, Secret, Source, Tokens};
use versync::daemon::Why;
use versync::emulator::{Fault, FaultKind, Kept};
use versync::file::State;
use versync::file::entry::Role;

use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

/// Syncs until a pass comes to its end; trouble that passes may end the first.
async fn sync_until_done(world: &World) {
    for _ in 0..5 {
        let (ending, _) = world.sync().await;
        if ending.why == Why::Finished {
            return;
        }
    }
    panic!("no pass came to its end");
}

async fn arrives_once_despite(kind: FaultKind) -> World {
    let what = format!("{kind:?}");
    let world = World::new().await;
    let path = world.write("props/chair.fbx", &vec![7; 300_000]);
    world.write("props/table.fbx", &vec![8; 200_000]);
    world.emulator.fault(Fault::next("POST", UPLOAD, kind));
    sync_until_done(&world).await;
    let remote = world.remote();
    let whole: Vec<_> = remote.iter().filter(|(_, stored)| stored.blake3 == hash_of(&path)).collect();
    assert_eq!(whole.len(), 1, "{what}: {remote:#?}");
    let entry = world.entry("props/chair.fbx");
    assert_eq!(entry.state(), State::Synced, "{what}");
    assert_eq!(entry.current.unwrap().lead.source_file.to_string(), whole[0].1.id, "{what}");
    assert_eq!(world.entry("props/table.fbx").state(), State::Synced, "{what}");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_h5_h17_h20_a4_an_answer_that_is_lost_is_looked_up_and_never_sent_again() {
    for kind in [
        FaultKind::AcceptThenLose,
        FaultKind::AcceptThenReset,
        FaultKind::AcceptThenHtml,
        FaultKind::Truncate { bytes: 5 },
        FaultKind::HugeHeader { bytes: 1 << 20 },
    ] {
        let world = arrives_once_despite(kind.clone()).await;
        assert_eq!(world.requests("POST", UPLOAD), 2, "{kind:?}: one request for each file");
        assert_eq!(world.remote().len(), 2, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_h9_h10_h17_a_request_that_broke_is_sent_again() {
    for kind in [
        FaultKind::ResetBefore,
        FaultKind::ResetAfterBytes { bytes: 1_000, kept: Kept::Nothing },
        FaultKind::ResetAfterBody,
        FaultKind::Status { status: 503, body: String::new() },
        FaultKind::StatusAfterBody { status: 500, body: String::new() },
        FaultKind::StatusAfterBody { status: 502, body: "<html>bad gateway</html>".into() },
        FaultKind::RateLimited { retry_after: Some("0".into()) },
        FaultKind::RateLimited { retry_after: None },
        FaultKind::Html,
    ] {
        let world = arrives_once_despite(kind.clone()).await;
        assert_eq!(world.remote().len(), 2, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_a_torn_copy_that_the_server_kept_is_never_adopted() {
    let kind = FaultKind::ResetAfterBytes { bytes: 100_000, kept: Kept::Partial };
    let world = arrives_once_despite(kind).await;
    let torn = world.remote().into_iter().filter(|(_, stored)| stored.size < 200_000).count();
    assert_eq!(torn, 1, "the emulator kept it");
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_a_file_that_is_too_large_for_the_cloud_is_blocked_and_the_rest_goes_on() {
    let world = World::new().await;
    world.write("huge.fbx", &vec![7; 300_000]);
    world.write("small.fbx", b"small");
    let mut knobs = world.emulator.knobs();
    knobs.set("max_upload_bytes", "100000").unwrap();
    world.emulator.set_knobs(knobs);
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    let entry = world.entry("huge.fbx");
    assert_eq!(entry.state(), State::Blocked);
    assert!(entry.reason().unwrap().contains("413"), "{:?}", entry.reason());
    assert_eq!(world.entry("small.fbx").state(), State::Synced);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "the same bytes are not offered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_failed_conversion_is_told_and_new_bytes_are_tried() {
    let world = World::new().await;
    world.write("chair.fbx", b"BROKEN by its exporter");
    world.sync().await;
    let entry = world.entry("chair.fbx");
    assert_eq!(entry.state(), State::ConversionFailed);
    assert!(entry.reason().unwrap().contains("retry"), "{:?}", entry.reason());
    assert_eq!(entry.copies.iter().map(|copy| copy.role).collect::<Vec<_>>(), [Role::Torn]);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "the same bytes would fail again");
    world.write("chair.fbx", b"exported anew");
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
}

/// The process is killed again and again, at whatever point it has reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_is_dropped_at_any_moment_leaves_one_remote_file_for_each_local_one() {
    let kills = std::env::var("VERSYNC_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(12_u64);
    let world = World::new().await;
    let paths: Vec<_> = (0..20).map(|n| format!("kit {}/part {n}.obj", n % 3)).collect();
    for path in &paths {
        world.write(path, &path.as_bytes().repeat(1_000));
    }
    for kill in 0..kills {
        // Dropping the future drops every step at the await it has reached, as a kill would, and closes the ledger.
        let pause = Duration::from_millis(3 + kill * 11 % 140);
        drop(tokio::time::timeout(pause, world.sync()).await);
        world.let_go().await;
    }
    sync_until_done(&world).await;
    let remote = world.remote();
    for path in &paths {
        let copies: Vec<_> = remote.iter().filter(|(remote, _)| remote == path).collect();
        assert_eq!(copies.len(), 1, "{path}: {copies:#?}");
        assert_eq!(copies[0].1.blake3, hash_of(&world.root().join(path)));
        let id = world.entry(path).current.unwrap().lead.source_file.to_string();
        assert_eq!(copies[0].1.id, id);
    }
    assert_eq!(remote.len(), paths.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_upload_is_not_taken_for_an_equal_file_of_another_name() {
    let world = World::new().await;
    world.write("chair.fbx", b"the same");
    world.sync().await;
    world.write("stool.fbx", b"the same");
    let lost = FaultKind::StatusAfterBody { status: 502, body: String::new() };
    world.emulator.fault(Fault::next("POST", UPLOAD, lost));
    world.sync().await;
    world.sync().await;
    let names: Vec<_> = world.remote().into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["chair.fbx", "stool.fbx"]);
}

/// Forty files and no cloud: a few tries, not one for each file, and everything arrives when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn h1_h2_while_nobody_answers_one_file_tries_for_all() {
    let world = World::new().await;
    for n in 0..40_u8 {
        world.write(&format!("{n}.fbx"), &[n]);
    }
    let tries = Arc::new(AtomicUsize::new(0));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/app/v1", nobody.local_addr().unwrap());
    let patience = world.config().patience;
    let options = cloud::Options {
        url: url.parse().unwrap(),
        upload_field: "file".to_owned(),
        ca_file_pem: None,
        proxy: cloud::Proxy::None,
        patience: patience.clone(),
    };
    let token = Source::Fixed(Secret::new("fake-user-token").unwrap());
    let client = Client::new(options, Tokens::new(token, patience)).unwrap();
    let counted = Arc::clone(&tries);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((socket, _)) = nobody.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(socket);
        }
    });
    let (ending, _) = world.sync_as(client).await;
    assert!(matches!(ending.why, Why::CloudTrouble(_)), "{:?}", ending.why);
    let tries = tries.load(Ordering::SeqCst);
    assert!((1..=24).contains(&tries), "{tries} connections");
    assert_eq!(world.sync().await.0.why, Why::Finished);
    assert_eq!(world.remote().len(), 40);
    assert_eq!(world.entry("0.fbx").state(), State::Synced);
}

/// The digest of the directory is as it was, so that no walk reads the row.
#[tokio::test(flavor = "multi_thread")]
async fn l4_a_damaged_row_that_no_walk_would_read_is_found_at_the_start_and_nothing_is_sent_for_it() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.write("table.fbx", b"table");
    world.sync().await;
    world.sync().await;
    world.let_go().await;
    let db = rusqlite::Connection::open(world.config().state_dir.join("ledger.db")).unwrap();
    let rot = "UPDATE part SET source_file = zeroblob(16) WHERE position = 0 AND slot = 'current'
               AND bundle = (SELECT id FROM bundle WHERE path = CAST('chair.fbx' AS BLOB))";
    assert_eq!(db.execute(rot, []).unwrap(), 1);
    drop(db);
    let sent = world.requests("POST", UPLOAD);
    let mut running = world.run().await;
    running.synced(&world, &["chair.fbx", "table.fbx"]).await;
    running.stop().await;
    assert_eq!(world.requests("POST", UPLOAD), sent, "it is recognised by its bytes");
    assert_eq!(world.remote().len(), 2);
}
