//! The agenda, told as a timetable.

use super::*;
use crate::file::RelPath;
use crate::verdict::Failure;
use proptest::prelude::*;

const SETTLE: Duration = Duration::from_secs(2);

fn key(name: &str) -> Key {
    Key::new(MappingName::new("m"), RelPath::from_bytes(name.as_bytes()).unwrap())
}

fn at(seconds: u64) -> Tick {
    Tick::new(Duration::from_secs(seconds))
}

fn agenda() -> Agenda {
    Agenda::new(Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) })
}

fn keys(errands: &[Errand]) -> Vec<Key> {
    errands.iter().map(|errand| errand.key.clone()).collect()
}

fn failed(blame: Blame) -> Verdict {
    Verdict::Failed(Failure::new(blame, "failed"))
}

#[test]
fn a_bundle_is_due_once_nothing_more_is_heard_of_it() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Closed, at(0), SETTLE);
    assert!(agenda.take_due(at(1), 9).is_empty());
    agenda.note(key("a"), Voucher::Touched, at(1), SETTLE);
    assert!(agenda.take_due(at(2), 9).is_empty(), "heard of again at 1, so due at 3");
    let errands = agenda.take_due(at(3), 9);
    assert_eq!(keys(&errands), [key("a")]);
    assert_eq!((errands[0].heard, errands[0].noted), (at(1), at(0)));
}

#[test]
fn what_is_noted_while_it_is_out_comes_back_afterwards() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Closed, at(0), SETTLE);
    assert_eq!(agenda.take_due(at(2), 9).len(), 1);
    agenda.note(key("a"), Voucher::Closed, at(3), SETTLE);
    assert!(agenda.take_due(at(9), 9).is_empty(), "at most one step of a bundle is out");
    agenda.close(&key("a"), &Verdict::Done, Reach::Cloud, at(9), 0.0);
    assert_eq!(agenda.take_due(at(9), 9).len(), 1);
    agenda.close(&key("a"), &Verdict::Done, Reach::Cloud, at(9), 0.0);
    assert!(agenda.is_empty());
}

#[test]
fn a_scan_does_not_put_off_what_an_event_brought_up() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Closed, at(0), SETTLE);
    agenda.note(key("a"), Voucher::Scanned, at(1), Duration::ZERO);
    assert_eq!(agenda.take_due(at(2), 9)[0].voucher, Voucher::Closed);
}

#[test]
fn h1_h2_trouble_with_the_cloud_holds_everybody_and_lets_one_try() {
    let mut agenda = agenda();
    for name in ["a", "b", "c"] {
        agenda.note(key(name), Voucher::Scanned, at(0), Duration::ZERO);
    }
    let out = agenda.take_due(at(0), 2);
    for errand in &out {
        agenda.close(&errand.key, &failed(Blame::Cloud), Reach::Cloud, at(0), 1.0);
    }
    assert_eq!(agenda.failures(), 1, "steps that were out together fail together");
    assert!(agenda.take_due(at(0), 9).is_empty());
    let probe = agenda.take_due(at(1), 9);
    assert_eq!(probe.len(), 1, "one tries whether it has passed");
    assert!(agenda.take_due(at(1), 9).is_empty());
    agenda.close(&probe[0].key, &failed(Blame::Cloud), Reach::Cloud, at(1), 1.0);
    assert!(agenda.take_due(at(2), 9).is_empty(), "the second pause is twice as long");
    let probe = agenda.take_due(at(3), 9);
    agenda.close(&probe[0].key, &Verdict::Done, Reach::Cloud, at(3), 1.0);
    assert_eq!(agenda.take_due(at(3), 9).len(), 2, "it has passed");
}

#[test]
fn a_step_that_needed_no_cloud_proves_nothing_about_it() {
    let mut agenda = agenda();
    for name in ["a", "b", "c"] {
        agenda.note(key(name), Voucher::Scanned, at(0), Duration::ZERO);
    }
    let out = agenda.take_due(at(0), 1);
    agenda.close(&out[0].key, &failed(Blame::Cloud), Reach::Cloud, at(0), 1.0);
    let probe = agenda.take_due(at(1), 9);
    agenda.close(&probe[0].key, &Verdict::Done, Reach::Local, at(1), 1.0);
    assert_eq!(agenda.take_due(at(1), 9).len(), 1, "still one at a time");
    assert_eq!(agenda.failures(), 1);
}

#[test]
fn trouble_of_one_mapping_leaves_the_others_alone() {
    let mut agenda = agenda();
    let other = Key::new(MappingName::new("other"), key("x").path);
    agenda.note(key("a"), Voucher::Scanned, at(0), Duration::ZERO);
    agenda.note(other.clone(), Voucher::Scanned, at(0), Duration::ZERO);
    let out = agenda.take_due(at(0), 1);
    assert_eq!(keys(&out), [key("a")]);
    agenda.close(&key("a"), &failed(Blame::Mapping), Reach::Cloud, at(0), 1.0);
    assert_eq!(keys(&agenda.take_due(at(0), 9)), [other]);
    assert_eq!(agenda.failures_of(&MappingName::new("m")), 1);
}

#[test]
fn a_mapping_that_is_held_does_not_keep_the_loop_asleep_for_the_others() {
    let mut agenda = agenda();
    let other = Key::new(MappingName::new("other"), key("x").path);
    for name in ["a", "b"] {
        agenda.note(key(name), Voucher::Scanned, at(0), Duration::ZERO);
    }
    let out = agenda.take_due(at(0), 1);
    agenda.close(&out[0].key, &failed(Blame::Mapping), Reach::Cloud, at(0), 1.0);
    agenda.note(other.clone(), Voucher::Closed, at(0), Duration::from_millis(500));
    assert_eq!(agenda.next_due(), Some(Tick::new(Duration::from_millis(500))));
    let probe = agenda.take_due(at(1), 9);
    assert!(keys(&probe).contains(&other));
    assert_eq!(probe.len(), 2, "one of the held mapping tries");
    assert_eq!(agenda.next_due(), None, "its end wakes the loop, not the clock");
}

#[test]
fn h10_the_wish_of_the_server_is_a_lower_bound_for_everybody() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Scanned, at(0), Duration::ZERO);
    agenda.take_due(at(0), 9);
    agenda.note(key("b"), Voucher::Scanned, at(0), Duration::ZERO);
    let wish = Failure { retry_after: Some(Duration::from_secs(30)), ..Failure::new(Blame::Cloud, "busy") };
    agenda.close(&key("a"), &Verdict::Failed(wish), Reach::Cloud, at(0), 0.0);
    assert_eq!(agenda.next_due(), Some(at(30)));
    assert!(agenda.take_due(at(29), 9).is_empty());
    agenda.release();
    let released = agenda.take_due(at(1), 9);
    assert_eq!(keys(&released), [key("b")], "a's own slot waits on; a new note would bring it up");
}

#[test]
fn a_file_that_fails_waits_alone_and_ever_longer() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Scanned, at(0), Duration::ZERO);
    let mut now = 0;
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(agenda.take_due(at(now), 9).len(), 1);
        agenda.close(&key("a"), &failed(Blame::File), Reach::Cloud, at(now), 1.0);
        assert_eq!(agenda.next_due(), Some(at(now + expected)));
        now += expected;
    }
}

#[test]
fn a_dropped_mapping_keeps_only_what_is_out() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Scanned, at(0), Duration::ZERO);
    agenda.note(key("b"), Voucher::Scanned, at(0), Duration::ZERO);
    agenda.take_due(at(0), 1);
    agenda.drop_mapping(&MappingName::new("m"));
    assert_eq!((agenda.len(), agenda.out()), (1, 1));
}

#[derive(Debug, Clone)]
enum Call {
    Note(u8, bool),
    Take(usize),
    Close(usize, u8),
    Pass(u64),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        (0..6_u8, any::<bool>()).prop_map(|(k, closed)| Call::Note(k, closed)),
        (1..4_usize).prop_map(Call::Take),
        (any::<usize>(), 0..5_u8).prop_map(|(which, how)| Call::Close(which, how)),
        (0..5_u64).prop_map(Call::Pass),
    ];
    proptest::collection::vec(call, 1..120)
}

proptest! {
    /// Whatever happens, no bundle is ever out twice, none is lost, and everything ends once the trouble does.
    #[test]
    fn no_key_is_ever_lost_or_out_twice(calls in calls()) {
        let mut agenda = agenda();
        let mut now = 0;
        let mut out: Vec<Key> = Vec::new();
        let mut unanswered: std::collections::BTreeSet<Key> = std::collections::BTreeSet::new();
        for call in calls {
            match call {
                Call::Note(k, closed) => {
                    let key = key(&k.to_string());
                    let voucher = if closed { Voucher::Closed } else { Voucher::Touched };
                    agenda.note(key.clone(), voucher, at(now), SETTLE);
                    unanswered.insert(key);
                }
                Call::Take(room) => for errand in agenda.take_due(at(now), room) {
                    prop_assert!(!out.contains(&errand.key));
                    unanswered.remove(&errand.key);
                    out.push(errand.key);
                },
                Call::Close(which, how) if !out.is_empty() => {
                    let key = out.swap_remove(which % out.len());
                    let verdict = match how {
                        0 => Verdict::Done,
                        1 => Verdict::LookAgain(SETTLE),
                        2 => failed(Blame::File),
                        3 => failed(Blame::Mapping),
                        _ => failed(Blame::Cloud),
                    };
                    if verdict != Verdict::Done { unanswered.insert(key.clone()); }
                    agenda.close(&key, &verdict, Reach::Cloud, at(now), 0.5);
                }
                Call::Close(..) => {}
                Call::Pass(seconds) => now += seconds,
            }
        }
        for key in out.drain(..) { agenda.close(&key, &Verdict::Done, Reach::Cloud, at(now), 0.5); }
        let mut rounds = 0;
        while let Some(due) = agenda.next_due() {
            rounds += 1;
            prop_assert!(rounds < 100, "the agenda does not run dry");
            now = now.max(due.since(at(0)).as_secs() + 1);
            for errand in agenda.take_due(at(now), 9) {
                unanswered.remove(&errand.key);
                agenda.close(&errand.key, &Verdict::Done, Reach::Cloud, at(now), 0.5);
            }
        }
        prop_assert!(unanswered.is_empty(), "{unanswered:?}");
        prop_assert!(agenda.is_empty());
    }
}

#[test]
fn a_bundle_that_is_hurried_is_due_at_once_and_says_when_it_is_looked_at() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Scanned, at(0), Duration::ZERO);
    assert_eq!(agenda.take_due(at(0), 9).len(), 1);
    assert_eq!(agenda.when(&key("a")), Some(When::Now));
    agenda.close(&key("a"), &failed(Blame::File), Reach::Cloud, at(0), 1.0);
    assert_eq!(agenda.when(&key("a")), Some(When::At(at(1))));
    assert_eq!(agenda.keys().collect::<Vec<_>>(), [&key("a")]);
    agenda.hurry(&key("a"), at(0));
    assert_eq!(agenda.take_due(at(0), 9).len(), 1);
    assert_eq!(agenda.when(&key("b")), None);
}

#[test]
fn pauses_are_spread_over_all_that_is_below_their_bound_and_are_never_none() {
    let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };
    for (failures, most) in [(1, 1), (2, 2), (5, 16), (7, 60), (u32::MAX, 60)] {
        assert_eq!(backoff.pause(failures, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.pause(failures, 1.0), Duration::from_secs(most));
    }
}

/// A thousand files, twelve at once, and a cloud that answers nobody for ten minutes.
#[test]
fn h9_h10_an_outage_of_ten_minutes_costs_few_tries_and_all_arrive_after_it() {
    for dice in [0.0, 0.1, 0.5, 1.0] {
        let mut agenda =
            Agenda::new(Backoff { first: Duration::from_secs(1), max: Duration::from_secs(300) });
        for n in 0..1_000 {
            agenda.note(key(&n.to_string()), Voucher::Scanned, at(0), Duration::ZERO);
        }
        let (mut now, mut tries, mut cast) = (at(0), 0, dice);
        while now < at(600) {
            for errand in agenda.take_due(now, 12) {
                tries += 1;
                // A spread of casts around the first one, the same in every run.
                cast = (cast + 0.618_f64).fract();
                agenda.close(&errand.key, &failed(Blame::Cloud), Reach::Cloud, now, cast);
            }
            now = now.max(agenda.next_due().unwrap());
        }
        assert!((15..=40).contains(&tries), "{tries} tries");
        let late = now.since(at(600));
        assert!(late <= Duration::from_secs(300), "somebody tries within the longest pause");
        while let Some(due) = agenda.next_due() {
            now = now.max(due);
            for errand in agenda.take_due(now, 12) {
                agenda.close(&errand.key, &Verdict::Done, Reach::Cloud, now, 0.5);
            }
        }
        assert!(agenda.is_empty());
    }
}

/// Every second answer is a failure, so a success ends every pause at once.
#[test]
fn h9_a_cloud_that_fails_now_and_then_is_not_asked_again_and_again_between_its_successes() {
    let mut agenda = agenda();
    let mut now = at(0);
    for n in 0..10 {
        agenda.note(key(&n.to_string()), Voucher::Scanned, now, Duration::ZERO);
    }
    let mut early = 0;
    let mut failures: HashMap<Key, Tick> = HashMap::new();
    for turn in 0..1_500 {
        now = now.max(agenda.next_due().unwrap());
        let errand = agenda.take_due(now, 1).remove(0);
        let failed_at = failures.remove(&errand.key);
        if failed_at.is_some_and(|then| now.since(then) < Duration::from_secs(60)) {
            early += 1;
        }
        if turn % 2 == 0 {
            failures.insert(errand.key.clone(), now);
            agenda.close(&errand.key, &failed(Blame::Cloud), Reach::Cloud, now, 0.0);
        } else {
            agenda.close(&errand.key, &Verdict::Done, Reach::Cloud, now, 0.0);
            agenda.note(errand.key, Voucher::Scanned, now, Duration::ZERO);
        }
    }
    // A hundred from the full bucket, and one for five successes.
    assert!(early <= 100 + 750 / 5, "{early} retries came early");
    assert!(early >= 100, "the full bucket was spent: {early}");
}

/// A proxy that resets what is too large for it, without a word.
#[test]
fn h16_what_breaks_again_while_others_get_through_waits_alone_and_ever_longer() {
    let mut agenda = agenda();
    for name in ["huge", "a", "b"] {
        agenda.note(key(name), Voucher::Scanned, at(0), Duration::ZERO);
    }
    assert_eq!(agenda.take_due(at(0), 9).len(), 3);
    agenda.close(&key("huge"), &failed(Blame::Cloud), Reach::Cloud, at(0), 1.0);
    assert_eq!(agenda.failures(), 1, "once, it may be the cloud");
    for name in ["a", "b"] {
        agenda.close(&key(name), &Verdict::Done, Reach::Cloud, at(0), 1.0);
    }
    let (mut now, mut pauses) = (at(1), Vec::new());
    for round in 0..8 {
        assert_eq!(keys(&agenda.take_due(now, 9)), [key("huge")], "{round}");
        agenda.close(&key("huge"), &failed(Blame::Cloud), Reach::Cloud, now, 1.0);
        assert_eq!(agenda.failures(), 0, "nobody waits for it");
        agenda.note(key("c"), Voucher::Scanned, now, Duration::ZERO);
        assert_eq!(keys(&agenda.take_due(now, 9)), [key("c")]);
        agenda.close(&key("c"), &Verdict::Done, Reach::Cloud, now, 1.0);
        let due = agenda.next_due().unwrap();
        pauses.push(due.since(now).as_secs());
        now = due;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn what_breaks_again_and_nobody_gets_through_is_the_clouds_trouble() {
    let mut agenda = agenda();
    agenda.note(key("a"), Voucher::Scanned, at(0), Duration::ZERO);
    for failures in 1..4 {
        let now = agenda.next_due().unwrap();
        agenda.take_due(now, 9);
        agenda.close(&key("a"), &failed(Blame::Cloud), Reach::Cloud, now, 1.0);
        assert_eq!(agenda.failures(), failures);
    }
}
