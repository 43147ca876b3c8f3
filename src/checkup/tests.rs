//! What a checkup concludes from what it finds.

use super::*;
use crate::file::MappingName;
use crate::id::FolderId;
use crate::mapping::filter::Rules;
use crate::mapping::{Filter, Layout, Policy};

fn mapping(watch: Watch) -> Mapping {
    Mapping {
        name: MappingName::new("props"),
        root: "/studio/props".into(),
        folder: FolderId::from_uuid(uuid::Uuid::from_u128(1)),
        layout: Layout::Mirror,
        filter: Filter::new(Rules::default()).unwrap(),
        policy: Policy { watch, ..Policy::default() },
    }
}

#[test]
fn the_first_way_that_applies_gives_the_exit_code() {
    let fail = |stops| Finding::fail(stops, "x", "y", "z");
    assert_eq!(stops(&[fail(Stops::Cloud), fail(Stops::Login), Finding::ok("a", "b")]), Some(Stops::Login));
    assert_eq!(stops(&[Finding::warn("a", "b", ""), Finding::ok("a", "b")]), None);
    assert!(Stops::Configuration < Stops::State && Stops::State < Stops::Login);
    assert!(Stops::Login < Stops::Halt && Stops::Halt < Stops::Cloud);
}

fn limit(watches: u64) -> Option<WatchLimit> {
    Some(WatchLimit { watches, sysctl: "fs.inotify.max_user_watches" })
}

#[test]
fn too_few_watches_are_told_with_the_number_that_would_do() {
    assert_eq!(watches(8_000, limit(10_000)).unwrap().verdict, Verdict::Ok);
    let told = watches(9_000, limit(10_000)).unwrap();
    assert_eq!(told.verdict, Verdict::Warn);
    assert!(told.remedy.unwrap().contains("fs.inotify.max_user_watches=32768"));
    assert_eq!(watches(9_000, None), None);
    assert_eq!(watches(0, limit(0)), None);
}

#[test]
fn a_network_root_is_polled_and_only_worth_a_warning_if_events_were_asked_for() {
    let nfs = FileSystem::of_magic(0x6969);
    let ext4 = FileSystem::of_magic(0xef53);
    for (watch, found, verdict, events) in [
        (Watch::Auto, &ext4, Verdict::Ok, true),
        (Watch::Auto, &nfs, Verdict::Ok, false),
        (Watch::Poll, &ext4, Verdict::Ok, false),
        (Watch::Native, &nfs, Verdict::Warn, true),
    ] {
        assert_eq!(filesystem(&mapping(watch), found).verdict, verdict, "{watch:?} {found:?}");
        assert_eq!(uses_events(found, watch), events, "{watch:?} {found:?}");
    }
}

#[test]
fn a_token_that_nobody_renews_is_a_warning_in_its_last_hour() {
    let life = |minutes: u64, renewable| TokenLife {
        source: "file",
        remaining: Some(Duration::from_secs(60 * minutes)),
        renewable,
    };
    assert_eq!(token(None, life(59, false)).verdict, Verdict::Warn);
    assert_eq!(token(None, life(61, false)).verdict, Verdict::Ok);
    assert_eq!(token(None, life(5, true)).verdict, Verdict::Ok);
    assert_eq!(token(None, life(0, false)).verdict, Verdict::Fail(Stops::Login));
}

#[test]
fn a_state_directory_is_looked_at_and_not_made() {
    let home = tempfile::tempdir().unwrap();
    let state_dir = home.path().join("not/yet");
    let findings = state(&state_dir);
    assert_eq!(stops(&findings), None);
    assert!(!home.path().join("not").exists());
}

#[test]
fn a_state_directory_that_others_may_write_is_a_fault_of_the_configuration() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(stops(&state(home.path())), Some(Stops::Configuration));
}

#[test]
fn a_daemon_that_holds_the_ledger_is_no_fault() {
    let home = tempfile::tempdir().unwrap();
    let _held = ledger::Ledger::open(home.path()).unwrap();
    let findings = state(home.path());
    assert_eq!(stops(&findings), None, "{findings:?}");
    assert!(findings.iter().any(|finding| finding.what == "instance"));
}

#[test]
fn a_root_that_is_away_halts_its_mapping() {
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "state_dir = \"{0}/state\"\n[auth]\nuser_token_file = \"{0}/token\"\n[[mapping]]\nname = \"props\"\npath = \"{0}/away\"\nfolder = \"00000000-0000-4000-8000-000000000001\"\n",
        home.path().display()
    );
    let config = crate::config::parse(&text, "test", &crate::config::Environment::default()).unwrap();
    let findings = roots(&config, &CancellationToken::new());
    assert_eq!(stops(&findings), Some(Stops::Halt));
}
