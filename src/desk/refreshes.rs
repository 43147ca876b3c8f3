//! Files that several models carry and that have changed since they were sent: kept in mind together, so that what they would
//! send anew is counted together. Lost with the process: a scan finds them again. Counts nothing itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::file::content::Content;
use crate::file::sighting::Seen;
use crate::file::{Key, MappingName, RelPath};
use crate::mapping::Extent;
use crate::timestamp::{Tick, Timestamp};

/// Changed files of a mapping, with what was last read of each; none for one that does not rest yet.
pub type Changed = BTreeMap<RelPath, Option<Seen>>;

/// How many files are kept in mind for each mapping.
const KEPT: usize = 100_000;

/// How long a count is believed while nothing more changes: counting for each of ten thousand models would take hours.
const BELIEVED: Duration = Duration::from_secs(30);

/// How many counts are kept, of different waves.
const TALLIES: usize = 16;

/// Changed files that models share, by mapping.
#[derive(Debug, Default)]
pub struct Refreshes(Arc<Mutex<HashMap<MappingName, Shared>>>);

#[derive(Debug, Default)]
struct Shared {
    changed: Changed,
    /// Counts what happened to `changed`.
    turns: u64,
    /// When each wave began, by the files in it, as of a turn.
    waves: Option<(u64, HashMap<RelPath, Timestamp>)>,
    /// The last first.
    tallies: VecDeque<(u64, Arc<Tally>)>,
    walks: usize,
}

/// What was counted for files that changed together.
#[derive(Debug, Clone)]
pub struct Tally {
    /// When the waves began that were counted.
    pub waves: Waves,
    /// The files with what they held; none where that was not known.
    pub files: BTreeMap<RelPath, Option<Content>>,
    /// What they send anew together.
    pub extent: Extent,
    /// When it was counted.
    pub at: Tick,
}

/// Some of the waves in which the files of a mapping changed, each by when it began: between two of them lies a time in which no
/// shared file changed. What somebody repaints while another change is held for long is no part of that.
pub type Waves = BTreeSet<Timestamp>;

/// Whether a count is of all that is known by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Census {
    /// It is.
    Complete,
    /// More has changed since.
    Partial,
}

impl Refreshes {
    /// A file that may be shared has changed, to these bytes if they are known.
    pub fn changed(&self, file: &Key, seen: Option<Seen>) {
        self.with(&file.mapping, |shared| {
            if shared.changed.get(&file.path) == Some(&seen) {
                return;
            }
            if shared.changed.len() >= KEPT {
                shared.changed.clear();
            }
            shared.changed.insert(file.path.clone(), seen);
            shared.turns = shared.turns.wrapping_add(1);
        });
    }

    /// It is gone, or nobody has to be sent for its sake.
    pub fn settled(&self, file: &Key) {
        self.with(&file.mapping, |shared| {
            if shared.changed.remove(&file.path).is_some() {
                shared.turns = shared.turns.wrapping_add(1);
            }
        });
    }

    /// What was last read of a changed file; the outer none if it is not kept in mind.
    #[must_use]
    pub fn read(&self, file: &Key) -> Option<Option<Seen>> {
        self.with(&file.mapping, |shared| shared.changed.get(&file.path).copied())
    }

    /// The waves that these files are in, if `gap` without a change ends one. What does not rest changed `now`.
    #[must_use]
    pub fn waves<'p>(
        &self,
        mapping: &MappingName,
        files: impl Iterator<Item = &'p RelPath>,
        gap: Duration,
        now: Timestamp,
    ) -> Waves {
        self.with(mapping, |shared| {
            let waves = shared.waves(gap, now);
            files.filter_map(|path| waves.get(path).copied()).collect()
        })
    }

    /// The files of these waves.
    #[must_use]
    pub fn of(&self, mapping: &MappingName, of: &Waves, gap: Duration, now: Timestamp) -> Changed {
        self.with(mapping, |shared| {
            let waves = shared.waves(gap, now).iter();
            let paths: Vec<_> =
                waves.filter(|(_, wave)| of.contains(*wave)).map(|(it, _)| it.clone()).collect();
            let seen = |path: RelPath| shared.changed.get(&path).map(|seen| (path.clone(), *seen));
            paths.into_iter().filter_map(seen).collect()
        })
    }

    /// All that is kept in mind of a mapping.
    #[must_use]
    pub fn all(&self, mapping: &MappingName) -> Changed {
        self.with(mapping, |shared| shared.changed.clone())
    }

    /// What was last counted of these waves, unless that is too long ago.
    #[must_use]
    pub fn tally(&self, mapping: &MappingName, waves: &Waves, now: Tick) -> Option<(Arc<Tally>, Census)> {
        self.with(mapping, |shared| {
            let is_it =
                |(_, tally): &&(u64, Arc<Tally>)| tally.waves == *waves && now.since(tally.at) < BELIEVED;
            let (turn, tally) = shared.tallies.iter().find(is_it)?;
            let census = if *turn == shared.turns { Census::Complete } else { Census::Partial };
            Some((Arc::clone(tally), census))
        })
    }

    /// Remembers a count of what [`Refreshes::of`] said, and drops all that was to no effect. What has changed meanwhile stays.
    pub fn counted(&self, mapping: &MappingName, counted: &Changed, tally: &Arc<Tally>) {
        self.with(mapping, |shared| {
            let is_same = |path: &RelPath| shared.changed.get(path) == counted.get(path);
            let is_complete = counted.keys().all(is_same);
            shared.changed.retain(|path, seen| {
                let is_idle = counted.get(path) == Some(seen) && !tally.files.contains_key(path);
                !is_idle
            });
            // A turn that is past: it is counted again when the next one asks.
            let turn = if is_complete { shared.turns } else { shared.turns.wrapping_sub(1) };
            shared.tallies.retain(|(_, before)| before.waves != tally.waves);
            shared.tallies.push_front((turn, Arc::clone(tally)));
            shared.tallies.truncate(TALLIES);
        });
    }

    /// Somebody is finding out what has changed in a mapping, until the walk is dropped.
    #[must_use]
    pub fn walk(&self, mapping: &MappingName) -> Walk {
        self.with(mapping, |shared| shared.walks += 1);
        Walk { refreshes: Self(Arc::clone(&self.0)), mapping: mapping.clone() }
    }

    /// Whether nobody is any more.
    #[must_use]
    pub fn is_known(&self, mapping: &MappingName) -> bool {
        self.with(mapping, |shared| shared.walks == 0)
    }

    fn with<T>(&self, mapping: &MappingName, at: impl FnOnce(&mut Shared) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(mapping) {
            Some(shared) => at(shared),
            None => at(all.entry(mapping.clone()).or_default()),
        }
    }
}

impl Shared {
    fn waves(&mut self, gap: Duration, now: Timestamp) -> &HashMap<RelPath, Timestamp> {
        let waves = match self.waves.take() {
            Some((turn, waves)) if turn == self.turns => waves,
            Some(_) | None => {
                let touched = |seen: &Option<Seen>| seen.map_or(now, |seen| seen.fingerprint.last_touched());
                let mut by_time: Vec<_> =
                    self.changed.iter().map(|(path, seen)| (touched(seen), path.clone())).collect();
                by_time.sort_unstable();
                let mut waves = HashMap::with_capacity(by_time.len());
                let mut last: Option<(Timestamp, Timestamp)> = None;
                for (touched, path) in by_time {
                    let began = match last {
                        Some((began, before)) if touched.since(before) <= gap => began,
                        Some(_) | None => touched,
                    };
                    last = Some((began, touched));
                    waves.insert(path, began);
                }
                waves
            }
        };
        &self.waves.insert((self.turns, waves)).1
    }
}

/// Somebody is finding out what has changed.
#[derive(Debug)]
pub struct Walk {
    refreshes: Refreshes,
    mapping: MappingName,
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.refreshes.with(&self.mapping, |shared| shared.walks = shared.walks.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::sighting::Trust;
    use crate::file::{ContentHash, Fingerprint};

    fn key(path: &str) -> Key {
        Key::new(MappingName::new("m"), RelPath::from_bytes(path.as_bytes()).unwrap())
    }

    fn seen(byte: u8, second: i64) -> Option<Seen> {
        let at = Timestamp::from_stat(second, 0);
        let fingerprint = Fingerprint { size: 1, mtime: at, ctime: at, inode: 1, device: 1 };
        let content = Content { hash: ContentHash([byte; 32]), size: 1 };
        Some(Seen { fingerprint, content, trust: Trust::Settled })
    }

    const GAP: Duration = Duration::from_secs(10);

    fn waves(refreshes: &Refreshes, of: &str) -> Waves {
        let now = Timestamp::from_stat(100, 0);
        refreshes.waves(&key("x").mapping, [key(of).path].iter(), GAP, now)
    }

    fn files(refreshes: &Refreshes, of: &str) -> Vec<String> {
        let of = waves(refreshes, of);
        let files = refreshes.of(&key("x").mapping, &of, GAP, Timestamp::from_stat(100, 0));
        files.into_keys().map(|path| path.to_string()).collect()
    }

    fn census(refreshes: &Refreshes, of: &str, now: Tick) -> Option<Census> {
        let of = waves(refreshes, of);
        refreshes.tally(&key("x").mapping, &of, now).map(|(_, census)| census)
    }

    /// Counts the wave of a file; `blamed` of it send something anew.
    fn count(refreshes: &Refreshes, of: &str, blamed: &[&str]) {
        let waves = waves(refreshes, of);
        let mapping = key("x").mapping;
        let counted = refreshes.of(&mapping, &waves, GAP, Timestamp::from_stat(100, 0));
        let files = blamed.iter().map(|path| (key(path).path, None)).collect();
        let tally = Tally { waves, files, extent: Extent::default(), at: Tick::default() };
        refreshes.counted(&mapping, &counted, &Arc::new(tally));
    }

    #[test]
    fn what_changed_in_one_go_is_one_wave_and_what_changed_long_after_is_another() {
        let refreshes = Refreshes::default();
        for (path, second) in [("a", 1), ("b", 9), ("c", 18), ("d", 40)] {
            refreshes.changed(&key(path), seen(1, second));
        }
        refreshes.changed(&key("e"), None);
        assert_eq!(files(&refreshes, "b"), ["a", "b", "c"]);
        assert_eq!(files(&refreshes, "d"), ["d"]);
        assert_eq!(files(&refreshes, "e"), ["e"], "it changes now");
        refreshes.changed(&key("d"), seen(1, 25));
        assert_eq!(files(&refreshes, "a"), ["a", "b", "c", "d"]);
        refreshes.settled(&key("b"));
        refreshes.settled(&key("c"));
        assert_eq!(files(&refreshes, "a"), ["a"]);
    }

    #[test]
    fn a_count_is_of_all_that_is_known_until_something_else_changes() {
        let refreshes = Refreshes::default();
        let now = Tick::default();
        refreshes.changed(&key("a"), seen(1, 1));
        assert_eq!(census(&refreshes, "a", now), None);
        count(&refreshes, "a", &["a"]);
        refreshes.changed(&key("a"), seen(1, 1));
        assert_eq!(census(&refreshes, "a", now), Some(Census::Complete));
        refreshes.changed(&key("b"), seen(1, 2));
        assert_eq!(census(&refreshes, "a", now), Some(Census::Partial));
        assert_eq!(census(&refreshes, "a", Tick::new(BELIEVED)), None);
        refreshes.changed(&key("z"), seen(1, 50));
        assert_eq!(census(&refreshes, "z", now), None, "another wave");
    }

    #[test]
    fn what_was_counted_to_no_effect_is_forgotten() {
        let refreshes = Refreshes::default();
        for path in ["a", "b"] {
            refreshes.changed(&key(path), seen(1, 1));
        }
        count(&refreshes, "a", &["a"]);
        assert_eq!(files(&refreshes, "a"), ["a"]);
        assert_eq!(refreshes.read(&key("b")), None);
        assert_eq!(census(&refreshes, "a", Tick::default()), Some(Census::Complete));
    }

    #[test]
    fn a_walk_is_over_when_the_last_of_those_at_work_is_done() {
        let refreshes = Refreshes::default();
        let mapping = key("x").mapping;
        let (one, other) = (refreshes.walk(&mapping), refreshes.walk(&mapping));
        drop(one);
        assert!(!refreshes.is_known(&mapping));
        drop(other);
        assert!(refreshes.is_known(&mapping));
    }
}
