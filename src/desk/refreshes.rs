//! Files that several models carry and that have changed since they were sent: kept in mind together, so that what they would
//! send anew is counted together. Lost with the process: a scan finds them again. Counts nothing itself.

use std::collections::{BTreeMap, HashMap};
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

/// Changed files that models share, by mapping.
#[derive(Debug, Default)]
pub struct Refreshes(Mutex<HashMap<MappingName, Wave>>);

#[derive(Debug, Default)]
struct Wave {
    changed: Changed,
    /// Counts what happened to `changed`.
    turns: u64,
    tally: Option<(u64, Arc<Tally>)>,
    walks: usize,
}

/// What was counted for a set of changed files.
#[derive(Debug, Clone)]
pub struct Tally {
    /// The files with what they held; none where that was not known.
    pub files: BTreeMap<RelPath, Option<Content>>,
    /// What they send anew together.
    pub extent: Extent,
    /// When it was counted.
    pub at: Tick,
}

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
        self.with(&file.mapping, |wave| {
            if wave.changed.get(&file.path) == Some(&seen) {
                return;
            }
            if wave.changed.len() >= KEPT {
                wave.changed.clear();
            }
            let before = wave.changed.insert(file.path.clone(), seen);
            let content = |seen: Option<Seen>| seen.map(|seen| seen.content);
            if before.is_none_or(|before| content(before) != content(seen)) {
                wave.turns += 1;
            }
        });
    }

    /// It is gone, or nobody has to be sent for its sake.
    pub fn settled(&self, file: &Key) {
        self.with(&file.mapping, |wave| {
            let _was_kept = wave.changed.remove(&file.path);
        });
    }

    /// What was last read of a changed file; the outer none if it is not kept in mind.
    #[must_use]
    pub fn read(&self, file: &Key) -> Option<Option<Seen>> {
        self.with(&file.mapping, |wave| wave.changed.get(&file.path).copied())
    }

    /// When the last of them was written to, `now` standing for what does not rest; none if none is kept in mind.
    #[must_use]
    pub fn touched(&self, mapping: &MappingName, now: Timestamp) -> Option<Timestamp> {
        self.with(mapping, |wave| {
            let touched = |seen: &Option<Seen>| seen.map_or(now, |seen| seen.fingerprint.last_touched());
            wave.changed.values().map(touched).max()
        })
    }

    /// All that is kept in mind of a mapping.
    #[must_use]
    pub fn of(&self, mapping: &MappingName) -> Changed {
        self.with(mapping, |wave| wave.changed.clone())
    }

    /// What was last counted, unless that is too long ago.
    #[must_use]
    pub fn tally(&self, mapping: &MappingName, now: Tick) -> Option<(Arc<Tally>, Census)> {
        self.with(mapping, |wave| {
            let (turn, tally) = wave.tally.as_ref()?;
            let census = if *turn == wave.turns { Census::Complete } else { Census::Partial };
            (now.since(tally.at) < BELIEVED).then(|| (Arc::clone(tally), census))
        })
    }

    /// Remembers a count of what [`Refreshes::of`] said, and drops all that was to no effect. What has changed meanwhile stays.
    pub fn counted(&self, mapping: &MappingName, counted: &Changed, tally: &Arc<Tally>) {
        self.with(mapping, |wave| {
            let is_idle = |path: &RelPath, seen: &Option<Seen>| {
                counted.get(path) == Some(seen) && !tally.files.contains_key(path)
            };
            wave.changed.retain(|path, seen| !is_idle(path, seen));
            let is_news = |(path, seen): (&RelPath, &Option<Seen>)| counted.get(path) != Some(seen);
            let turn = if wave.changed.iter().any(is_news) { wave.turns.wrapping_sub(1) } else { wave.turns };
            wave.tally = Some((turn, Arc::clone(tally)));
        });
    }

    /// Somebody is finding out what has changed in a mapping, until the walk is dropped.
    #[must_use]
    pub fn walk(&self, mapping: &MappingName) -> Walk<'_> {
        self.with(mapping, |wave| wave.walks += 1);
        Walk { refreshes: self, mapping: mapping.clone() }
    }

    /// Whether nobody is any more.
    #[must_use]
    pub fn is_known(&self, mapping: &MappingName) -> bool {
        self.with(mapping, |wave| wave.walks == 0)
    }

    fn with<T>(&self, mapping: &MappingName, at: impl FnOnce(&mut Wave) -> T) -> T {
        let mut waves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waves.get_mut(mapping) {
            Some(wave) => at(wave),
            None => at(waves.entry(mapping.clone()).or_default()),
        }
    }
}

/// Somebody is finding out what has changed.
#[derive(Debug)]
pub struct Walk<'r> {
    refreshes: &'r Refreshes,
    mapping: MappingName,
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.refreshes.with(&self.mapping, |wave| wave.walks = wave.walks.saturating_sub(1));
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

    fn seen(byte: u8) -> Option<Seen> {
        let at = Timestamp::EPOCH;
        let fingerprint = Fingerprint { size: 1, mtime: at, ctime: at, inode: 1, device: 1 };
        let content = Content { hash: ContentHash([byte; 32]), size: 1 };
        Some(Seen { fingerprint, content, trust: Trust::Settled })
    }

    fn count(refreshes: &Refreshes, files: &[(&str, u8)]) {
        let files = files.iter().map(|(path, byte)| (key(path).path, seen(*byte).map(|it| it.content)));
        let tally = Tally { files: files.collect(), extent: Extent::default(), at: Tick::default() };
        let mapping = key("x").mapping;
        refreshes.counted(&mapping, &refreshes.of(&mapping), &Arc::new(tally));
    }

    #[test]
    fn a_count_is_of_all_that_is_known_until_something_else_changes() {
        let refreshes = Refreshes::default();
        let mapping = key("x").mapping;
        let census = |now| refreshes.tally(&mapping, now).map(|(_, census)| census);
        refreshes.changed(&key("a"), seen(1));
        assert_eq!(census(Tick::default()), None);
        count(&refreshes, &[("a", 1)]);
        refreshes.changed(&key("a"), seen(1));
        assert_eq!(census(Tick::default()), Some(Census::Complete));
        refreshes.changed(&key("b"), None);
        assert_eq!(census(Tick::default()), Some(Census::Partial));
        assert_eq!(census(Tick::new(BELIEVED)), None);
    }

    #[test]
    fn what_was_counted_to_no_effect_is_forgotten() {
        let refreshes = Refreshes::default();
        refreshes.changed(&key("a"), seen(1));
        refreshes.changed(&key("b"), seen(2));
        count(&refreshes, &[("a", 1)]);
        assert_eq!(refreshes.of(&key("x").mapping).into_keys().collect::<Vec<_>>(), [key("a").path]);
        assert_eq!(refreshes.read(&key("b")), None);
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
