//! How well events tell of what happens in one mapping: not at all, not in some directories, or less than a scan found.
//! It counts and judges; it neither walks nor watches.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::disk::{Events, Root, Watcher, watch_limit};
use crate::file::RelPath;
use crate::mapping::{Mapping, Watch};
use crate::timestamp::Tick;

/// How often a tree is walked that events do not tell enough of.
pub(super) const POLL: Duration = Duration::from_secs(60);

/// How long an event may be late before a change counts as unannounced.
const LATE: Duration = Duration::from_secs(5);

/// How many unannounced changes in one scan end the trust in events at once.
const MANY: usize = 10;

/// How many scans in a row with an unannounced change do.
const AGAIN: u32 = 2;

/// How many scans in a row without one bring it back.
const CLEAN: u32 = 10;

/// How many changes that wait to be announced, and directories without a watch, are kept in mind.
const KEPT: usize = 1_024;

/// How well one mapping is heard.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Why no event tells of it, if none does.
    deaf: Option<String>,
    /// Directories for which the system had no watch left.
    unwatched: BTreeSet<RelPath>,
    /// How many directories there are, as far as is known.
    directories: u64,
    /// When those are walked next.
    next: Tick,
    counts: Counts,
    /// Directories of which an event told since the last scan ended: what is found in them was announced.
    told: BTreeSet<RelPath>,
    /// Changes that the last scan found and no event has announced so far.
    unannounced: BTreeSet<RelPath>,
    /// When those are counted.
    counted: Option<Tick>,
    /// How many scans in a row had some.
    missed: u32,
    /// How many clean scans are left until events are trusted again.
    distrust: Option<u32>,
}

/// Whether what the next scan finds says anything about events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// It does: everything was watched since the last one.
    Yes,
    /// It does not: something else explains it.
    No,
}

impl Hearing {
    /// Nothing is known yet; the first scan tells.
    pub(super) fn new() -> Self {
        Self {
            deaf: None,
            unwatched: BTreeSet::new(),
            directories: 0,
            next: Tick::default(),
            counts: Counts::No,
            told: BTreeSet::new(),
            unannounced: BTreeSet::new(),
            counted: None,
            missed: 0,
            distrust: None,
        }
    }

    /// Whether watching is of no use.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.is_some()
    }

    /// Why events do not tell enough, if they do not.
    pub(super) fn reason(&self) -> Option<String> {
        if let Some(why) = &self.deaf {
            return Some(why.clone());
        }
        if !self.unwatched.is_empty() {
            return Some(limit_reason(self.unwatched.len(), self.directories));
        }
        self.distrust.map(|_| {
            format!(
                "scans found changes that no event had announced; the tree is walked every {} s until events are complete again",
                POLL.as_secs()
            )
        })
    }

    /// Whether the whole tree has to be walked again and again, and not only parts of it.
    pub(super) fn needs_walks(&self) -> bool {
        self.deaf.is_some() || self.distrust.is_some()
    }

    /// What the next scan finds has another explanation: events were lost, a rule changed, the root was away.
    pub(super) fn excuse(&mut self) {
        self.counts = Counts::No;
        self.unannounced.clear();
        self.counted = None;
    }

    /// A scan found a change of which nothing had been heard.
    pub(super) fn found(&mut self, path: &RelPath) {
        let is_told = || self.told.iter().any(|directory| path.is_below(directory));
        if self.counts == Counts::Yes && self.unannounced.len() < KEPT && !is_told() {
            self.unannounced.insert(path.clone());
        }
    }

    /// An event tells of a path, or of everything below it.
    pub(super) fn heard(&mut self, path: &RelPath) {
        if !self.unannounced.is_empty() {
            self.unannounced.retain(|found| !found.is_below(path));
        }
    }

    /// An event tells of a directory: what is in it may have changed without one.
    pub(super) fn heard_below(&mut self, directory: &RelPath) {
        self.told.insert(directory.clone());
        if self.told.len() > KEPT {
            self.told.clear();
            self.excuse();
        }
    }

    /// A survey of everything in and below `from` has ended, and found no watch for these directories.
    pub(super) fn surveyed(&mut self, from: &RelPath, unwatched: BTreeSet<RelPath>, now: Tick) {
        if self.unwatched.is_empty() && !unwatched.is_empty() {
            self.next = now.plus(POLL);
        }
        self.unwatched.retain(|directory| !directory.is_below(from));
        self.unwatched.extend(unwatched);
        if self.unwatched.len() > KEPT {
            self.unwatched = BTreeSet::from([RelPath::root()]);
        }
    }

    /// A survey of the whole tree has ended well. `deaf` tells why events are of no use on its file system.
    pub(super) fn scanned(&mut self, deaf: Option<String>, directories: u64, now: Tick) {
        self.deaf = deaf;
        self.directories = directories;
        self.told.clear();
        if self.deaf.is_some() {
            self.excuse();
            self.distrust = None;
            return;
        }
        self.counted = (self.counts == Counts::Yes).then(|| now.plus(LATE));
        self.counts = Counts::Yes;
    }

    /// When something is to be done next: directories without a watch walked, unannounced changes counted.
    pub(super) fn next(&self) -> Option<Tick> {
        let walk = (!self.unwatched.is_empty()).then_some(self.next);
        [walk, self.counted].into_iter().flatten().min()
    }

    /// The directories without a watch that are due to be walked, without those that lie in others of them.
    pub(super) fn due(&mut self, now: Tick, interval: Duration) -> Vec<RelPath> {
        if self.unwatched.is_empty() || self.next > now {
            return Vec::new();
        }
        self.next = now.plus(POLL.min(interval));
        let mut due: Vec<RelPath> = Vec::new();
        for directory in &self.unwatched {
            if !due.iter().any(|above| directory.is_below(above)) {
                due.push(directory.clone());
            }
        }
        due
    }

    /// Counts what no event has announced in time. Returns whether that changed the trust in events.
    pub(super) fn count(&mut self, now: Tick) -> bool {
        if self.counted.is_none_or(|due| due > now) {
            return false;
        }
        self.counted = None;
        let missed = std::mem::take(&mut self.unannounced).len();
        let before = self.distrust.is_some();
        if missed == 0 {
            self.missed = 0;
            self.distrust = self.distrust.and_then(|left| left.checked_sub(1)).filter(|left| *left > 0);
        } else {
            self.missed += 1;
            if self.missed >= AGAIN || missed >= MANY || before {
                self.distrust = Some(CLEAN);
            }
        }
        before != self.distrust.is_some()
    }
}

/// Why no event tells of what happens below a root, if none does. Asks the file system, so it may block.
pub(super) fn deafness(mapping: &Mapping, root: &Root, watcher: Option<&Watcher>) -> Option<String> {
    let by_nature = || match root.filesystem() {
        Ok(filesystem) => match filesystem.events {
            Events::Local => None,
            Events::None(why) => Some(format!("{}: {why}", filesystem.name)),
        },
        Err(_) => None,
    };
    match (mapping.policy.watch, watcher) {
        (Watch::Poll, _) => Some("watch = \"poll\" in the configuration".to_owned()),
        (Watch::Auto | Watch::Native, None) => Some(
            "the system gives no watcher (fs.inotify.max_user_instances, or user.max_inotify_instances, is used up): raise it and restart"
                .to_owned(),
        ),
        (Watch::Auto, Some(_)) => by_nature(),
        (Watch::Native, Some(_)) => None,
    }
}

fn limit_reason(unwatched: usize, directories: u64) -> String {
    let told = watch_limit();
    let sysctl = told.map_or("fs.inotify.max_user_watches", |limit| limit.sysctl);
    let of = told.map_or_else(String::new, |limit| format!(" of {}", limit.watches));
    // Other programs take from the same limit, and trees grow.
    let needed = directories.max(1).saturating_mul(2).next_power_of_two().max(8_192);
    format!(
        "the limit{of} watched directories ({sysctl}) is reached; {unwatched} directories are walked every {} s instead: sudo sysctl {sysctl}={needed}",
        POLL.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text.as_bytes()).unwrap()
    }

    fn tick(seconds: u64) -> Tick {
        Tick::new(Duration::from_secs(seconds))
    }

    /// A scan that finds these changes; true if it changed the trust.
    fn scan(hearing: &mut Hearing, at: u64, found: &[&str]) -> bool {
        found.iter().for_each(|it| hearing.found(&path(it)));
        hearing.scanned(None, 1, tick(at));
        assert!(!hearing.count(tick(at)), "an event may be late");
        hearing.count(tick(at + 5))
    }

    #[test]
    fn changes_that_no_event_announced_make_a_root_be_polled_until_ten_scans_were_clean() {
        let mut hearing = Hearing::new();
        assert!(!scan(&mut hearing, 0, &["new.fbx"]), "the first scan finds everything");
        assert!(!scan(&mut hearing, 10, &["a.fbx"]), "once may happen: a mapped file raises no event");
        assert!(!hearing.needs_walks());
        assert!(scan(&mut hearing, 20, &["b.fbx"]));
        assert!(hearing.needs_walks());
        assert!(hearing.reason().unwrap().contains("no event"));
        for round in 0..9 {
            assert!(!scan(&mut hearing, 30 + round * 10, &[]));
        }
        assert!(scan(&mut hearing, 200, &[]));
        assert_eq!(hearing.reason(), None);
    }

    #[test]
    fn an_event_that_comes_a_little_later_than_the_scan_counts() {
        let mut hearing = Hearing::new();
        assert!(!scan(&mut hearing, 0, &[]));
        for round in 1..5 {
            hearing.found(&path("a/b.fbx"));
            hearing.scanned(None, 1, tick(round * 10));
            hearing.heard(&path("a"));
            assert!(!hearing.count(tick(round * 10 + 5)));
        }
        assert!(!hearing.needs_walks());
    }

    #[test]
    fn a_scan_after_lost_events_says_nothing_about_events() {
        let mut hearing = Hearing::new();
        assert!(!scan(&mut hearing, 0, &[]));
        for round in 1..5 {
            hearing.excuse();
            assert!(!scan(&mut hearing, round * 10, &["a.fbx", "b.fbx"]));
        }
        assert!(!hearing.needs_walks());
    }

    #[test]
    fn w3_only_the_directories_without_a_watch_are_walked_and_the_reason_names_sysctl_and_value() {
        let mut hearing = Hearing::new();
        let unwatched = BTreeSet::from([path("a"), path("a/b"), path("c")]);
        hearing.surveyed(&RelPath::root(), unwatched, tick(0));
        hearing.scanned(None, 20_000, tick(0));
        let reason = hearing.reason().unwrap();
        assert!(reason.contains("max_user_watches") || reason.contains("max_inotify_watches"), "{reason}");
        assert!(reason.contains("=65536"), "{reason}");
        assert!(!hearing.needs_walks());
        assert_eq!(hearing.due(tick(59), POLL), []);
        assert_eq!(hearing.due(tick(60), POLL), [path("a"), path("c")]);
        assert_eq!(hearing.due(tick(61), POLL), []);
        // A watch was to be had: the limit was raised.
        hearing.surveyed(&path("a"), BTreeSet::new(), tick(62));
        assert_eq!(hearing.due(tick(120), POLL), [path("c")]);
        hearing.surveyed(&path("c"), BTreeSet::new(), tick(122));
        assert_eq!(hearing.reason(), None);
    }
}
