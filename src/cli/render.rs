//! What the rules and the ledger say, as text or JSON for a reader. Pure.
//!
//! It is handed values and gives back text; it knows neither where they were read nor where they are printed.

mod json;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::file::entry::Asset;
use crate::file::{Entry, Key, RelPath, State};
use crate::mapping::format::is_slice;
use crate::timestamp::Timestamp;

pub(super) use json::{entry, moment, path_fields};
pub(super) use table::Table;

/// The version of every JSON shape that the command line prints. Fields are only ever added within one version.
pub(super) const SCHEMA: u32 = 1;

/// Counts in one line: `1,204 synced, 3 converting, 1 conversion failed`.
pub(super) fn counts<'a>(of: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let words = of.into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<_> = words.map(|(word, count)| format!("{} {}", number(count), spoken(word))).collect();
    if words.is_empty() { "nothing yet".to_owned() } else { words.join(", ") }
}

/// How many bundles are in which state, in one line.
pub(super) fn states(summary: &BTreeMap<State, u64>) -> String {
    // The goal first: that is what most people want to know.
    let goal = summary.get_key_value(&State::Synced);
    let rest = State::ALL.iter().filter(|state| **state != State::Synced);
    counts(
        goal.into_iter()
            .chain(rest.filter_map(|state| summary.get_key_value(state)))
            .map(|(state, count)| (state.word(), *count)),
    )
}

/// What a file is that only models refer to; nothing if none does.
pub(super) fn carried(leads: &[Key]) -> Option<String> {
    let [lead, others @ ..] = leads else { return None };
    let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    Some(format!("it is no file of its own: it travels with {}{others}", lead.path))
}

/// A word of `--json` as a person reads it.
pub(super) fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

/// A number with a comma between its thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut spaced = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    spaced
}

/// A number of things: `1 file`, `2 files`.
pub(super) fn things(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// A number of bytes with three digits that matter, in units of 1024.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Kept as tenths in integers: a size is not a matter of rounding modes.
    let (mut unit, mut tenths) = (0, u128::from(bytes) * 10 / 1024);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let name = UNITS[unit];
    if tenths >= 1000 {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// A duration in its one or two largest units: `850 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    let two = |large: u64, one: &str, small: u64, other: &str| {
        if small == 0 { format!("{large} {one}") } else { format!("{large} {one} {small} {other}") }
    };
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", millis / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// How long ago something was, in its largest unit: `just now`, `3 min ago`, `2 d ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..2 => "just now".to_owned(),
        2..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// Assets in one line, at most `most` of them by name.
pub(super) fn assets<'a>(of: impl IntoIterator<Item = &'a Asset>, most: usize) -> String {
    let mut assets = of.into_iter();
    let mut words: Vec<_> = assets
        .by_ref()
        .take(most)
        .map(|asset| format!("{} {}", crate::file::shown(&asset.kind), asset.id))
        .collect();
    match assets.count() {
        0 => {}
        more => words.push(format!("{more} more")),
    }
    words.join(", ")
}

/// A bundle by the path of its lead; a series of slices says of how many.
pub(super) fn bundle(key: &Key, entry: &Entry) -> String {
    let sent = entry.current.as_ref().map(|current| current.members.len() + 1);
    let under_way = entry.attempt.intent().map(|intent| intent.parts.len());
    format!("{}{}", key.path, series(&key.path, under_way.or(sent).unwrap_or(1)))
}

/// What is said of a slice that leads a series, behind its path.
pub(super) fn series(lead: &RelPath, slices: usize) -> String {
    if slices > 1 && is_slice(lead) { format!(" (series of {slices} slices)") } else { String::new() }
}

/// What a person can do about a state, where there is something to do.
pub(super) const fn cure(state: State) -> Option<&'static str> {
    match state {
        State::Settling => Some("it is sent once nobody writes it any more"),
        State::Ready => Some("it is sent in its turn, by `versync run` or the next `versync sync`"),
        State::Uploading | State::Converting => {
            Some("`versync run` or the next `versync sync` sees it through")
        }
        State::Ambiguous => Some("the cloud is asked before anything is sent again; there is nothing to do"),
        State::Held => Some("it goes on by itself once what it waits for is there"),
        State::Blocked => {
            Some("change the file, its name or the setting; or `versync retry` if only the cloud has changed")
        }
        State::ConversionFailed => {
            Some("open it in its program and export it anew; `versync retry` sends the same bytes again")
        }
        State::Stalled => Some("look for the upload task in the console; `versync retry` sends it anew"),
        State::Suspect => Some("open it in its program; `versync retry` if it is as it should be"),
        State::Detached => Some("change the filter if it should be mirrored; its remote copy is kept"),
        State::Deleted => Some("put it back if it should live on"),
        State::Synced | State::Ignored => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_words_in_a_line_with_the_goal_first() {
        let summary = BTreeMap::from([
            (State::Ready, 2),
            (State::Synced, 1_204),
            (State::ConversionFailed, 1),
            (State::Held, 0),
        ]);
        assert_eq!(states(&summary), "1,204 synced, 2 ready, 1 conversion failed");
        assert_eq!(states(&BTreeMap::new()), "nothing yet");
    }

    #[test]
    fn numbers_have_a_comma_between_their_thousands() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn sizes_are_told_in_units_of_1024() {
        for (size, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (10 << 20, "10.0 MiB"),
            (300 << 20, "300 MiB"),
            (1_048_575, "1023 KiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(size), text, "{size}");
        }
    }

    #[test]
    fn durations_are_told_in_their_largest_units() {
        for (millis, text) in [
            (0, "0 ms"),
            (850, "850 ms"),
            (4_250, "4.2 s"),
            (59_900, "59 s"),
            (60_000, "1 min"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_moment_of_a_clock_that_ran_ahead_is_just_now() {
        let now = Timestamp::from_stat(10_000, 0);
        assert_eq!(ago(Timestamp::from_stat(20_000, 0), now), "just now");
        assert_eq!(ago(Timestamp::from_stat(9_800, 0), now), "3 min ago");
        assert_eq!(ago(Timestamp::from_stat(2_000, 0), now), "2 h ago");
        assert_eq!(ago(Timestamp::from_stat(-200_000, 0), now), "2 d ago");
    }

    #[test]
    fn every_state_but_the_goal_tells_what_to_do() {
        for state in State::ALL {
            assert_eq!(cure(state).is_none(), matches!(state, State::Synced | State::Ignored), "{state}");
        }
    }
}
