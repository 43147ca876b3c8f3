//! Exit codes and words of a summary, without a pass.

use std::time::Duration;

use super::*;
use crate::daemon::Ending;
use crate::file::RelPath;
use crate::meter::Reading;
use crate::verdict::{Blame, Failure};

fn failure() -> Failure {
    Failure::new(Blame::Cloud, "failed to reach the cloud")
}

fn passed(why: Why, cut: Option<Cut>, troubles: &[Trouble]) -> Passed {
    let mappings =
        troubles.iter().zip(0..).map(|(it, n)| (MappingName::new(&format!("m{n}")), it.clone())).collect();
    let ending = Ending { why, mappings };
    Passed { ending, cut, time: Duration::from_millis(1500), reading: Reading::default() }
}

fn tally(unfinished: u64, conversions_failed: u64) -> Tally {
    Tally { unfinished, conversions_failed, ..Tally::default() }
}

#[test]
fn the_first_exit_code_that_applies_is_taken() {
    let halted = Trouble::Halted("another root".to_owned());
    let offline = Trouble::Offline("gone".to_owned());
    let refused = Trouble::Refused(failure());
    let stopped = |cut| passed(Why::Stopped, Some(cut), &[]);
    let finished = |troubles: &[Trouble]| passed(Why::Finished, None, troubles);
    for (passed, tally, expected) in [
        (
            passed(Why::OurTrouble(failure()), None, std::slice::from_ref(&halted)),
            tally(1, 1),
            Exit::StateDirectory,
        ),
        (
            passed(Why::NeedsLogin(failure()), None, std::slice::from_ref(&halted)),
            tally(1, 1),
            Exit::LoginNeeded,
        ),
        (finished(&[halted.clone(), refused]), tally(1, 1), Exit::LoginNeeded),
        (finished(&[offline.clone(), halted]), tally(1, 1), Exit::Halted),
        (finished(&[offline]), tally(1, 1), Exit::Temporary),
        (passed(Why::CloudTrouble(failure()), None, &[]), tally(1, 1), Exit::Temporary),
        (stopped(Cut::Timeout), tally(1, 1), Exit::Temporary),
        (stopped(Cut::Signal), tally(1, 1), Exit::Interrupted),
        (finished(&[]), tally(1, 1), Exit::FilesFailed),
        (finished(&[]), tally(0, 1), Exit::ConversionsFailed),
        (finished(&[]), Tally { unreadable: 1, ..Tally::default() }, Exit::FilesFailed),
        (finished(&[]), tally(0, 0), Exit::Done),
    ] {
        assert_eq!(exit(&passed, &tally), expected, "{passed:?} {tally:?}");
    }
}

#[test]
fn what_is_converting_is_at_its_goal_only_if_nobody_waits_for_it() {
    assert!(is_there(State::Converting, Goal::Sent) && !is_there(State::Converting, Goal::Synced));
    assert!(is_there(State::Deleted, Goal::Synced) && is_there(State::Ignored, Goal::Synced));
    assert!(!is_there(State::Held, Goal::Sent) && !is_there(State::ConversionFailed, Goal::Sent));
}

#[test]
fn a_long_list_is_cut_and_says_how_much_is_left() {
    let mut tally = tally(0, 0);
    for n in 0..25 {
        let path = RelPath::from_bytes(format!("{n}.fbx").as_bytes()).unwrap();
        tally.note(Key::new(MappingName::new("m"), path), &Entry::default(), State::Ready, Goal::Synced);
    }
    let lines = lines(&passed(Why::Finished, None, &[]), &tally);
    assert_eq!(lines.first().unwrap(), "nothing sent, 1.5 s");
    assert!(lines.contains(&"25 files are not at the goal:".to_owned()), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "  … and 5 more: versync status");
}
