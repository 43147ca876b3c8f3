//! Files that change under our hands, in ways that a stat may not show or that never end.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime};

use versync::daemon::Event;
use versync::file::{Entry, State};

use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

#[tokio::test(flavor = "multi_thread")]
async fn f8_an_edit_of_equal_size_whose_time_was_put_back_is_sent() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    world.sync().await;
    let file = File::options().write(true).open(&chair).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"again", 0).unwrap();
    file.set_modified(before).unwrap();
    drop(file);
    world.sync().await;
    let live = world.entry("chair.fbx").current.unwrap().lead;
    assert_eq!(live.part.content.hash.to_string(), hash_of(&chair));
    assert_eq!(world.requests("POST", UPLOAD), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_files_of_other_centuries_arrive_and_rest() {
    let world = World::new().await;
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    let times = [
        SystemTime::UNIX_EPOCH - Duration::from_secs(69 * 365 * 24 * 3600),
        SystemTime::UNIX_EPOCH - Duration::from_secs(1),
        SystemTime::UNIX_EPOCH,
        SystemTime::now() + century,
    ];
    for (n, time) in times.into_iter().enumerate() {
        let path = world.write(&format!("{n}.fbx"), &[u8::try_from(n).unwrap()]);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    world.sync().await;
    world.sync().await;
    for n in 0..times.len() {
        assert_eq!(world.entry(&format!("{n}.fbx")).state(), State::Synced, "{n}");
    }
    assert_eq!(world.requests("POST", UPLOAD), times.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_a_file_that_claims_to_be_larger_than_allowed_is_blocked_and_never_read() {
    let world = World::new().await;
    world.options("max_file_size = \"1GiB\"");
    world.write("chair.fbx", b"chair");
    let path = world.write("huge.las", b"");
    File::options().write(true).open(path).unwrap().set_len(10 << 40).unwrap();
    let (ending, _) = world.sync().await;
    assert_eq!(ending.mappings, Default::default());
    let huge = world.entry("huge.las");
    assert_eq!(huge.state(), State::Blocked);
    assert!(huge.reason().unwrap().contains("max_file_size"), "{:?}", huge.reason());
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_file_that_goes_before_its_turn_is_dropped_and_the_others_arrive() {
    let world = World::new().await;
    for n in 0..30_u8 {
        world.write(&format!("{n:02}.fbx"), &[n]);
    }
    let sync = world.sync();
    let remove = async {
        world.until_requests("POST", UPLOAD, 1).await;
        for n in 20..30 {
            // Some may have been sent by now.
            std::fs::remove_file(world.root().join(format!("{n:02}.fbx"))).unwrap();
        }
    };
    let _both = tokio::join!(sync, remove);
    world.sync().await;
    for n in 0..20 {
        assert_eq!(world.entry(&format!("{n:02}.fbx")).state(), State::Synced, "{n}");
    }
    for n in 20..30 {
        let entry = world.entry(&format!("{n:02}.fbx"));
        assert!(entry == Entry::default() || entry.state() == State::Deleted, "{n}: {:?}", entry.state());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w14_a_file_that_never_rests_is_told_and_not_sent_until_it_does() {
    let world = World::new().await;
    world.options("settle_max = \"200ms\"");
    world.write("chair.fbx", b"chair");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    let path = world.root().join("log.fbx");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = path.clone();
    let writing = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut file = File::create(writer).unwrap();
        while stopped.recv_timeout(Duration::from_millis(5)).is_err() {
            file.write_all(b"one more line").unwrap();
        }
    });
    running
        .until(|event| {
            matches!(event, Event::Stepped(step) if step.key == World::key("log.fbx") && step.is == State::Settling)
        })
        .await;
    assert_eq!(world.requests("POST", UPLOAD), 0);
    stop.send(()).unwrap();
    writing.join().unwrap();
    running.synced(&world, &["log.fbx"]).await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    running.stop().await;
}
