//! What the loop does when its own parts fail: steps that panic, surveys that panic.

use std::sync::Mutex;

use super::*;
use crate::cloud::{self, Client, Secret, Source, Tokens};
use crate::config::{Config, Environment};
use crate::emulator::{Emulator, Options};
use crate::ledger::Ledger;
use crate::meter::Meter;

#[expect(clippy::disallowed_methods, reason = "a test lays out a studio of its own")]
async fn studio(files: &[&str]) -> (tempfile::TempDir, Emulator, Config, Client) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("studio")).unwrap();
    for file in files {
        std::fs::write(dir.path().join("studio").join(file), file).unwrap();
    }
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let text = format!(
        "state_dir = \"{dir}/state\"\n[server]\nurl = \"{url}\"\n[auth]\nuser_token_file = \"{dir}/token\"\n\
         [limits]\npoll_first = \"20ms\"\npoll_max = \"100ms\"\nretry_first = \"10ms\"\nretry_max = \"20ms\"\n\
         [defaults]\nsettle = \"20ms\"\n[[mapping]]\nname = \"studio\"\npath = \"{dir}/studio\"\nfolder = \"{folder}\"\n",
        dir = dir.path().display(),
        url = emulator.url(),
        folder = emulator.seeds().folder_id,
    );
    let config = crate::config::parse(&text, "test", &Environment::default()).unwrap();
    let options = cloud::Options {
        url: config.server.url.clone(),
        upload_field: config.server.upload_field.clone(),
        ca_file_pem: None,
        proxy: cloud::Proxy::None,
        patience: config.patience.clone(),
    };
    let token = Secret::new(&emulator.seeds().user_token).unwrap();
    let client = Client::new(options, Tokens::new(Source::Fixed(token), config.patience.clone())).unwrap();
    (dir, emulator, config, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn c16_a_bundle_whose_steps_panic_is_blocked_after_three_and_the_others_go_on() {
    let (_dir, emulator, config, client) = studio(&["panics.obj", "chair.obj"]).await;
    let ledger = Ledger::open(&config.state_dir).unwrap();
    let name = MappingName::new("studio");
    let panics = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&panics);
    let observer = Box::new(move |event: &Event| {
        if matches!(event, Event::Stepped(ended) if ended.entry.is_none()) {
            *seen.lock().unwrap() += 1;
        }
    });
    let orders = Orders { mode: Mode::Once(Goal::Synced), scope: vec![(name.clone(), RelPath::root())] };
    let (_sender, mut signals) = Signals::by_hand();
    let desk = Desk::lay(&config, client, ledger.clone(), Meter::default());
    let ending = run(desk, orders, None, &mut signals, None, observer).await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!(*panics.lock().unwrap(), 3);
    let entry = |path: &str| {
        ledger.entry(&Key::new(name.clone(), RelPath::from_bytes(path.as_bytes()).unwrap())).unwrap()
    };
    assert_eq!(entry("panics.obj").state(), crate::file::State::Blocked);
    assert!(entry("panics.obj").reason().unwrap().starts_with("internal error"));
    assert_eq!(entry("chair.obj").state(), crate::file::State::Synced);
    assert_eq!(emulator.source_files().len(), 1);
}

#[test]
fn c16_a_survey_that_panics_comes_back_as_an_error_and_the_next_one_may_begin() {
    let ended = walk::caught::<()>(|| panic!("as the test wants it"));
    assert!(matches!(ended, Err(crate::survey::Error::Panicked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_that_is_due_while_as_many_as_may_are_out_does_not_keep_the_loop_turning() {
    let (_dir, _emulator, config, client) = studio(&[]).await;
    let ledger = Ledger::open(&config.state_dir).unwrap();
    let mut config = config;
    config.mappings[0].policy.rescan_interval = Duration::from_millis(10);
    let desk = Desk::lay(&config, client, ledger, Meter::default());
    let (found, _findings) = mpsc::channel(FINDINGS);
    let mut daemon = Daemon::new(desk, Mode::Watch, None, found, Box::new(|_| {}));
    for _ in 0..SURVEYS {
        daemon.jobs.spawn(std::future::pending());
    }
    let is_due =
        |daemon: &Daemon| daemon.rounds.values().any(|round| round.next_survey() <= Some(ambient::tick()));
    while !is_due(&daemon) {
        tokio::task::yield_now().await;
    }
    daemon.begin();
    assert!(is_due(&daemon), "there is no room for it");
    assert_eq!(daemon.next_wake(None), None);
    daemon.jobs.abort_all();
    while daemon.jobs.join_next().await.is_some() {}
    assert_eq!(daemon.next_wake(None), Some(Duration::ZERO));
}

/// A renamed model was gone before the walk came to its new place: its textures were sent by themselves now and then.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_bundle_carries_no_more_waits_until_the_walk_tells_who_else_carries_it() {
    let (_dir, _emulator, config, client) = studio(&[]).await;
    let ledger = Ledger::open(&config.state_dir).unwrap();
    let desk = Desk::lay(&config, client, ledger, Meter::default());
    let (found, _findings) = mpsc::channel(FINDINGS);
    let mut daemon = Daemon::new(desk, Mode::Watch, None, found, Box::new(|_| {}));
    let name = MappingName::new("studio");
    let texture = Key::new(name.clone(), RelPath::from_bytes(b"wood.png").unwrap());
    let round = daemon.rounds.get_mut(&name).unwrap();
    round.want(Job::survey(RelPath::root()));
    round.release(texture.clone());
    daemon.note_released(&name);
    assert!(!daemon.agenda.contains(&texture), "the tree is to be walked");
    daemon.begin();
    daemon.note_released(&name);
    assert!(!daemon.agenda.contains(&texture), "the tree is being walked");
    let job = daemon.jobs.join_next().await.unwrap();
    daemon.job_ended(job);
    assert!(daemon.agenda.contains(&texture));
    assert!(!daemon.is_quiet());
}
