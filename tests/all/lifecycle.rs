//! A service as the system treats it: signals once and twice, stopped and continued, watched by a watchdog, beside a second one.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use versync::emulator::{Fault, FaultKind};
use versync::file::State;

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

/// Waits for the end, which must come within this time.
async fn ends_within(run: crate::process::Started, time: Duration) -> Option<i32> {
    tokio::time::timeout(time, run.end()).await.expect("it did not end in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn o1_a_service_at_rest_stops_at_once_with_a_clean_mark() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let run = world.start(&["-v", "run"]);
    world.until_standing("studio", |it| it["counts"]["synced"] == 1).await;
    assert_eq!(
        versync::ledger::Reader::open(&world.config().state_dir).unwrap().meta("clean").unwrap().unwrap(),
        ""
    );
    run.signal("TERM");
    // A second for the process, and some for a machine that is busy.
    assert_eq!(ends_within(run, Duration::from_secs(5)).await, Some(0));
    assert_eq!(world.ledger().meta("clean").unwrap().unwrap(), "yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn o2_o3_a_stop_in_the_middle_of_an_upload_ends_in_time_a_second_one_at_once_and_nothing_is_sent_twice()
{
    let world = World::new().await;
    for (signals, grace) in [(1_u8, "700ms"), (2, "1h")] {
        let name = format!("chair {signals}.fbx");
        world.configure(
            &world.settings().replace("[limits]", &format!("[limits]\nshutdown_timeout = \"{grace}\"")),
        );
        world.write(&name, &vec![signals; 300_000]);
        let hold = FaultKind::StopReading { bytes: 1_000 };
        world.emulator.fault(Fault::next("POST", UPLOAD, hold));
        world.emulator.clear_requests();
        let run = world.start(&["-v", "run"]);
        world.until_requests("POST", UPLOAD, 1).await;
        for _ in 0..signals {
            run.signal("TERM");
        }
        assert_eq!(ends_within(run, Duration::from_secs(15)).await, Some(0));
        world.emulator.clear_faults();
        let state = world.entry(&name).state();
        assert!(matches!(state, State::Uploading | State::Ready | State::Ambiguous), "{state}");
        let said = world.versync(&["sync"]).await;
        assert_eq!(said.code, 0, "{said:#?}");
        let remote: Vec<_> = world.remote().into_iter().map(|(path, _)| path).collect();
        assert_eq!(remote.iter().filter(|path| **path == name).count(), 1, "{remote:?} {said:#?} {state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn o2_a_stop_while_the_server_answers_429_ends_in_time() {
    let world = World::new().await;
    world.configure(&world.settings().replace("[limits]", "[limits]\nshutdown_timeout = \"1s\""));
    world.write("chair.fbx", b"chair");
    let slow = FaultKind::Status { status: 429, body: String::new() };
    world.emulator.fault(Fault::next("POST", UPLOAD, slow).every());
    let run = world.start(&["-v", "run"]);
    world.until_requests("POST", UPLOAD, 2).await;
    run.signal("TERM");
    assert_eq!(ends_within(run, Duration::from_secs(10)).await, Some(0));
    world.emulator.clear_faults();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.remote().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn o4_a_hundred_hangups_leave_the_uploads_alone() {
    let world = World::new().await;
    world.write("chair.fbx", &vec![7; 100_000]);
    world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::Delay { ms: 600 }));
    let run = world.start(&["-v", "run"]);
    world.until_requests("POST", UPLOAD, 1).await;
    for _ in 0..100 {
        run.signal("HUP");
    }
    world.until_remote(1).await;
    world.until_standing("studio", |it| it["counts"]["synced"] == 1).await;
    world.write("table.fbx", b"table");
    world.until_remote(2).await;
    run.signal("TERM");
    assert_eq!(ends_within(run, Duration::from_secs(10)).await, Some(0));
    assert_eq!(world.requests("POST", UPLOAD), 2, "each was sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn o8_an_error_that_repeats_itself_is_told_once_with_a_count() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let broken = FaultKind::Status { status: 500, body: String::new() };
    world.emulator.fault(Fault::next("GET", UPLOAD, broken).every());
    let mut command = world.command(&["-v", "run"]);
    let log = world.dir().join("log");
    command.stdout(std::process::Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
    let mut run = command.spawn().unwrap();
    world.until_requests("GET", UPLOAD, 25).await;
    run.kill().unwrap();
    run.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    let told = log.lines().filter(|line| line.contains("500")).count();
    assert!((1..=3).contains(&told), "{told} lines:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn o10_the_watchdog_is_fed_by_the_loop_itself_and_hungers_when_that_stands_still() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let socket = UnixDatagram::bind(world.dir().join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = world.command(&["run"]);
    command.env("NOTIFY_SOCKET", world.dir().join("notify")).env("WATCHDOG_USEC", "200000");
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut run = command.spawn().unwrap();
    let listen = move |wanted: &str, count: usize| {
        let mut heard = 0;
        let mut buffer = [0; 256];
        while heard < count {
            let length = socket.recv(&mut buffer).expect("nothing was said");
            heard += usize::from(String::from_utf8_lossy(&buffer[..length]).contains(wanted));
        }
        socket.try_clone().unwrap()
    };
    let socket = tokio::task::spawn_blocking(move || {
        drop(listen("READY=1", 1));
        listen("WATCHDOG=1", 5)
    })
    .await
    .unwrap();
    // All of it stands still, the loop included: nobody else feeds the dog.
    let pid = run.id().to_string();
    assert!(std::process::Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    let silent = tokio::task::spawn_blocking(move || {
        socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let mut buffer = [0; 256];
        // What was under way when it was stopped may still arrive.
        (0..20).any(|_| socket.recv(&mut buffer).is_err())
    })
    .await
    .unwrap();
    assert!(silent);
    run.kill().unwrap();
    run.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn o11_running_as_root_is_warned_about() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED o11: these tests do not run as root");
        return;
    }
    let world = World::new().await;
    let mut run = world.start(&["run"]);
    run.says("running as root").await;
    let said = world.versync(&["check"]).await;
    assert!(said.out.contains("runs as root"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_second_service_on_one_state_directory_ends_at_once_and_asks_the_cloud_nothing() {
    let world = World::new().await;
    let _first = world.start(&["run"]);
    world.until_standing("studio", |it| it["state"] == "watching").await;
    world.emulator.clear_requests();
    let said = world.versync(&["run"]).await;
    assert_eq!(said.code, 11, "{said:#?}");
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_a_state_directory_that_cannot_be_used_ends_with_its_code_before_any_request() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.sync().await;
    world.emulator.clear_requests();
    let state = world.config().state_dir;
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
    for command in ["sync", "run"] {
        let said = world.versync(&[command]).await;
        assert_eq!(said.code, 78, "{said:#?}");
    }
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, b"a file").unwrap();
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 74, "{said:#?}");
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_ledger_that_is_taken_away_from_a_running_service_ends_it_and_nothing_is_sent_twice() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let run = world.start(&["-v", "run"]);
    world.until_standing("studio", |it| it["counts"]["synced"] == 1).await;
    let state = world.config().state_dir;
    std::fs::rename(state.join("ledger.db"), state.join("elsewhere.db")).unwrap();
    world.write("table.fbx", b"table");
    assert_eq!(ends_within(run, Duration::from_secs(30)).await, Some(74));
    assert_eq!(world.remote().len(), 1, "what could not be written down was not sent");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.remote().len(), 2, "and what is there is found again");
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_an_older_ledger_from_a_backup_sends_nothing_that_is_already_there() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.sync().await;
    world.let_go().await;
    let state = world.config().state_dir;
    let backup = world.dir().join("backup");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&state, &backup);
    for n in 0..20 {
        world.write(&format!("kit/part {n}.fbx"), format!("part {n}").as_bytes());
    }
    world.sync().await;
    world.let_go().await;
    std::fs::remove_dir_all(&state).unwrap();
    copy(&backup, &state);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.requests("POST", UPLOAD), 0);
    assert_eq!((world.remote().len(), world.entry("kit/part 7.fbx").state()), (21, State::Synced));
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_a_state_directory_from_another_machine_is_told_until_it_is_approved() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.sync().await;
    if versync::ambient::machine_id().is_none() {
        eprintln!("SKIPPED l10: this machine has no id (/etc/machine-id)");
        return;
    }
    world.ledger().put_meta("machine", "another machine").unwrap();
    world.sync().await;
    let told = world.versync(&["status", "--json"]).await.json();
    assert_eq!(told["foreign"], true, "{told}");
    let said = world.versync(&["status"]).await;
    assert!(said.out.contains("another machine"), "{said:#?}");
    let said = world.versync(&["approve", "studio", "--yes"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.err.contains("another machine"), "{said:#?}");
    world.sync().await;
    assert_eq!(world.versync(&["status", "--json"]).await.json()["foreign"], false);
}
