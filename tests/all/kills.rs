//! The real binary killed at a moment that the cloud tells of: what is in the cloud already is found there, and nothing is there twice.

use versync::emulator::{Fault, FaultKind};
use versync::file::State;
use versync::id::FolderId;

use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

/// After the kill one more `sync` brings everything to its goal, with one remote file for the local one.
async fn comes_right(world: &World, path: &str) {
    world.emulator.clear_faults();
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let remote = world.remote();
    let whole: Vec<_> = remote.iter().map(|(path, stored)| (path.as_str(), stored.blake3.clone())).collect();
    assert_eq!(whole, [(path, hash_of(&world.root().join(path)))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_killed_in_the_middle_of_a_body_a_file_is_sent_once_more_and_is_there_once() {
    for bytes in [0, 1_000, 4_000_000] {
        let world = World::new().await;
        // More than the system holds back on a connection, so that the end of the body cannot have left.
        world.write("chair.obj", &vec![7; 32 << 20]);
        world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::StopReading { bytes }));
        let started = world.start(&["sync"]);
        world.until_requests("POST", UPLOAD, 1).await;
        started.signal("KILL");
        started.end().await;
        assert_eq!(world.remote(), [], "it never had a whole request");
        comes_right(&world, "chair.obj").await;
        assert_eq!(world.requests("POST", UPLOAD), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_c5_killed_before_the_answer_was_read_a_file_is_found_and_not_sent_again() {
    let world = World::new().await;
    world.write("chair.obj", b"chair");
    world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::SlowAnswer { ms_per_byte: 60_000 }));
    let started = world.start(&["sync"]);
    world.until_remote(1).await;
    started.signal("KILL");
    started.end().await;
    comes_right(&world, "chair.obj").await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_killed_while_it_waits_for_the_conversion_it_follows_the_same_task() {
    let world = World::new().await;
    world.write("chair.obj", b"chair");
    let mut knobs = world.emulator.knobs();
    knobs.set("conversion_ms", "2000").unwrap();
    world.emulator.set_knobs(knobs);
    let started = world.start(&["sync"]);
    let asks_for_the_task = |world: &World| {
        let requests = world.emulator.requests();
        let sent = requests.iter().position(|it| it.method == "POST" && it.route == UPLOAD);
        sent.is_some_and(|at| requests[at..].iter().filter(|it| it.route.contains("upload-task")).count() > 1)
    };
    world.until_some(asks_for_the_task).await;
    started.signal("KILL");
    started.end().await;
    comes_right(&world, "chair.obj").await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_killed_before_it_knows_the_folder_that_it_made_it_finds_that_one() {
    const MAKE: &str = "/folders/{id}/folders";
    let world = World::new().await;
    world.write("kit/chair.obj", b"chair");
    world.emulator.fault(Fault::next("POST", MAKE, FaultKind::SlowAnswer { ms_per_byte: 60_000 }));
    let started = world.start(&["sync"]);
    world.until_requests("POST", MAKE, 1).await;
    let root: FolderId = world.emulator.seeds().folder_id.parse().unwrap();
    let client = world.client();
    let made = async { while client.subfolders(root).await.unwrap().is_empty() {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), made).await.expect("no folder was made");
    started.signal("KILL");
    started.end().await;
    comes_right(&world, "kit/chair.obj").await;
    assert_eq!(world.requests("POST", MAKE), 1, "no second one is made");
    assert_eq!(client.subfolders(root).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_when_nobody_takes_what_is_printed_the_files_arrive_and_nothing_panics() {
    for flags in [&["-vv", "sync"][..], &["-vv", "sync", "--json"]] {
        let world = World::new().await;
        world.write("chair.obj", b"chair");
        let mut command = world.command(flags);
        let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        command.stdout(full()).stderr(full());
        let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
        assert!(status.code().is_some_and(|code| code != 101), "{status}");
        assert_eq!(world.remote().len(), 1, "{flags:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        world.write("table.obj", b"table");
        let mut command = world.command(flags);
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
        assert!(status.code() != Some(101), "{status}");
        assert_eq!(world.remote().len(), 2, "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_a_root_that_is_away_at_the_start_waits_and_the_other_mapping_runs() {
    let world = World::new().await;
    let chair = world.write("chair.obj", b"chair");
    let away = world.dir().join("away");
    world.configure(&format!(
        "{}\n[[mapping]]\nname = \"away\"\npath = \"{}\"\nfolder = \"{}\"\n",
        world.settings(),
        away.display(),
        world.emulator.seeds().public_folder_id,
    ));
    let mut run = world.start(&["-v", "run"]);
    world.until_remote(1).await;
    assert_eq!(world.remote()[0].1.blake3, hash_of(&chair));
    run.says("away").await;
    let told = world.versync(&["status", "--json"]).await.json();
    let states: Vec<_> = told["mappings"].as_array().unwrap().iter().map(|it| it["state"].clone()).collect();
    assert!(states.contains(&"offline".into()) && states.contains(&"watching".into()), "{told}");
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn c17_a_file_at_which_the_system_killed_us_three_times_for_want_of_memory_is_set_aside_until_retry() {
    if versync::ambient::oom_kills().is_none() {
        eprintln!("SKIPPED c17: this system does not tell of its kills for want of memory");
        return;
    }
    let world = World::new().await;
    let huge = world.root().join("huge.fbx");
    std::fs::File::create(&huge).unwrap().set_len(16 << 30).unwrap();
    let marks = world.config().state_dir.join("reading");
    let kills = versync::ambient::oom_kills().map(|kills| kills.to_string());
    // The marks of the life before are there until the next one has begun.
    let has_begun = |world: &World| {
        let reader = versync::ledger::Reader::open(&world.config().state_dir);
        reader.is_ok_and(|reader| reader.meta("oom_kills").is_ok_and(|it| it == kills))
    };
    let is_read = |world: &World| {
        has_begun(world) && std::fs::read(&marks).is_ok_and(|marks| marks.iter().any(|byte| *byte != 0))
    };
    for kill in 0..3 {
        let started = world.start(&["sync"]);
        world.until_some(is_read).await;
        started.signal("KILL");
        started.end().await;
        // What the kernel would have counted.
        world.ledger().put_meta("oom_kills", &format!("another number: {kill}")).unwrap();
    }
    world.write("chair.fbx", b"chair");
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 3, "{said:#?}");
    assert!(said.out.contains("want of memory") && said.out.contains("versync retry"), "{said:#?}");
    let entry = world.entry("huge.fbx");
    assert_eq!((entry.state(), entry.seen), (State::Blocked, None), "it was not read");
    assert_eq!(world.entry("chair.fbx").state(), State::Synced, "the others go on");

    std::fs::write(&huge, b"not so huge").unwrap();
    assert_eq!(world.versync(&["retry", "studio"]).await.code, 0);
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.remote().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn o9_a_crash_leaves_no_image_of_the_memory_whatever_the_shell_allows() {
    if std::fs::read_to_string("/proc/self/limits").is_err() {
        eprintln!("SKIPPED o9: this system does not show the limits of a process");
        return;
    }
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let allowing = ["sh", "-c", "ulimit -c unlimited 2>/dev/null; exec \"$@\"", "sh"];
    let run = world.start_behind(&allowing, &["run"]);
    world.until_standing("studio", |it| it["counts"]["synced"] == 1).await;
    let limits = run.limits();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    let before = names_in(world.dir());
    run.signal("ABRT");
    assert_eq!(run.end().await, None, "it was ended by the signal");
    assert_eq!(names_in(world.dir()), before);
}

fn names_in(directory: &std::path::Path) -> std::collections::BTreeSet<std::ffi::OsString> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}
