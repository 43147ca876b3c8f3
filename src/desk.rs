//! What the flows work at: mappings and doors, laid out once. Holds, and does nothing.

mod refreshes;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{RwLock, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::assembly::Slices;
use crate::board::Board;
use crate::cloud::Client;
use crate::config::Config;
use crate::disk::{Root, Writers};
use crate::file::{Fingerprint, Key, MappingName};
use crate::id::{AttemptId, SourceFileId};
use crate::ledger::Ledger;
use crate::manifest::{self, Manifest};
use crate::mapping::{Adopt, Mapping};
use crate::meter::Meter;
use crate::pace::Pace;
use crate::patience::Patience;
use crate::shelf::Shelf;
use crate::timestamp::{Tick, Timestamp};

pub use refreshes::{Census, Changed, Refreshes, Tally, Walk, Waves};

/// Everything that a step works with. Replaced as a whole by a reload; steps that are out keep theirs.
#[derive(Debug)]
pub struct Desk {
    /// The mappings, by name.
    pub posts: BTreeMap<MappingName, Arc<Post>>,
    /// The ledger.
    pub ledger: Ledger,
    /// The cloud.
    pub client: Client,
    /// The remote folders.
    pub shelf: Shelf,
    /// The upload tasks.
    pub board: Board,
    /// How long is waited for what.
    pub patience: Patience,
    /// What has moved.
    pub meter: Meter,
    /// How fast bytes may leave.
    pub pace: Pace,
    /// Files that were seen and not yet at rest.
    pub restless: Restless,
    /// Files that other programs hold open for writing.
    pub writers: Writers,
    /// What was last found out of the slices of volumes.
    pub slices: Slices,
    /// Files that models share and that have changed.
    pub refreshes: Refreshes,
    /// Paths that held something and are away.
    pub departures: Departures,
    /// Bundles whose remote files may be taken away.
    pub grants: Grants,
    /// Held by whoever takes note that remote files are there, until the ledger says so; alone by whoever writes down that some are to
    /// be taken away.
    pub adoptions: Arc<RwLock<()>>,
    /// Remote files that an attempt has taken for its own and not written down yet.
    pub reserved: Reserved,
    /// One permit for each upload that may run at once.
    pub uploads: Arc<Semaphore>,
    /// Whether anything is sent at all.
    pub sends: Sends,
    /// Where the manifest is kept up to date, if anywhere.
    pub manifest: Option<PathBuf>,
    /// What the manifest said when the desk was laid, for a ledger that does not know everything yet; else nothing.
    pub vouched: Manifest,
    /// Cancelled when long reads are no longer worth finishing.
    pub cancel: CancellationToken,
}

impl Desk {
    /// Lays out everything that `config` asks for. The counters may go on from another desk.
    #[must_use]
    pub fn lay(config: &Config, client: Client, ledger: Ledger, meter: Meter) -> Arc<Self> {
        Arc::new(Self::new(config, client, ledger, meter))
    }

    /// Lays out everything for a pass that only takes note of what the cloud already holds: nothing is sent, no folder is made.
    #[must_use]
    pub fn lay_to_adopt(config: &Config, client: Client, ledger: Ledger, meter: Meter) -> Arc<Self> {
        let mut config = config.clone();
        for mapping in &mut config.mappings {
            // Whoever asks for it wants it, whatever is done before sending.
            if mapping.policy.adopt == Adopt::Never {
                mapping.policy.adopt = Adopt::Verify;
            }
        }
        let desk = Self::new(&config, client, ledger, meter);
        Arc::new(Self { sends: Sends::Nothing, shelf: desk.shelf.making_nothing(), ..desk })
    }

    fn new(config: &Config, client: Client, ledger: Ledger, meter: Meter) -> Self {
        let posts = config.mappings.iter().map(|mapping| {
            let post = Post { mapping: mapping.clone(), root: Root::new(mapping.root.clone()) };
            (mapping.name.clone(), Arc::new(post))
        });
        let vouched = vouched(config, &ledger);
        Self {
            manifest: config.manifest.clone(),
            vouched,
            posts: posts.collect(),
            shelf: Shelf::new(client.clone(), ledger.clone(), config.patience.clone()),
            board: Board::new(client.clone(), config.patience.poll_first / 2),
            client,
            ledger,
            patience: config.patience.clone(),
            meter,
            pace: Pace::new(config.rate),
            restless: Restless::default(),
            writers: Writers::default(),
            slices: Slices::default(),
            refreshes: Refreshes::default(),
            departures: Departures::default(),
            grants: Grants::default(),
            adoptions: Arc::default(),
            reserved: Reserved::default(),
            uploads: Arc::new(Semaphore::new(config.patience.uploads)),
            sends: Sends::Everything,
            cancel: CancellationToken::new(),
        }
    }
}

/// Whether anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// Whatever is due.
    Everything,
    /// What would be sent is left as it is.
    Nothing,
}

/// The manifest, where the ledger has not seen some mapping whole yet: it may be one that was lost.
fn vouched(config: &Config, ledger: &Ledger) -> Manifest {
    let Some(path) = &config.manifest else { return Manifest::default() };
    let is_new =
        |mapping: &Mapping| ledger.meta(&manifest::seen_whole(&mapping.name)).ok().flatten().is_none();
    if !config.mappings.iter().any(is_new) {
        return Manifest::default();
    }
    match Manifest::read(path) {
        Ok(manifest) => manifest.unwrap_or_default(),
        Err(error) => {
            tracing::warn!("{error}; what the cloud holds is recognised without it");
            Manifest::default()
        }
    }
}

/// Which attempt has taken which remote file: between a listing and the row that remembers it, nobody else may take it.
#[derive(Debug, Default)]
pub struct Reserved(Mutex<HashMap<SourceFileId, AttemptId>>);

/// How many reservations are kept. By then the ledger has long known the first.
const RESERVED: usize = 10_000;

impl Reserved {
    /// Takes a file for an attempt; false if another attempt has taken it.
    pub fn take(&self, file: SourceFileId, attempt: AttemptId) -> bool {
        let mut reserved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reserved.len() >= RESERVED {
            reserved.clear();
        }
        *reserved.entry(file).or_insert(attempt) == attempt
    }
}

/// Paths that held something and are away, since when: what is renamed may be only half done.
#[derive(Debug, Default)]
pub struct Departures {
    since: Mutex<HashMap<Key, Tick>>,
    /// Set once nobody waits for what may come back.
    at_once: OnceLock<()>,
    /// Renames that were refused. Written while a directory is being renamed, since a thousand files of it ask for the same; read
    /// by whoever needs that none is.
    pub renaming: Arc<RwLock<BTreeSet<(Key, Key)>>>,
    /// Bundles whose remote files somebody is renaming, moving or removing.
    claimed: Arc<Mutex<HashSet<Key>>>,
}

/// How many paths that are away are kept in mind.
const DEPARTED: usize = 100_000;

impl Departures {
    /// Has nothing wait for what may come back: a pass looks once.
    pub fn at_once(&self) {
        let _was_set = self.at_once.set(());
    }

    /// How much longer a path that is away now has to stay so, until it has been for `needed`.
    pub fn wait(&self, key: &Key, needed: Duration, now: Tick) -> Duration {
        if self.at_once.get().is_some() {
            return Duration::ZERO;
        }
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.len() >= DEPARTED {
            since.clear();
        }
        needed.saturating_sub(now.since(*since.entry(key.clone()).or_insert(now)))
    }

    /// Claims the remote files of a bundle, until the claim is dropped; none if somebody else has.
    #[must_use]
    pub fn claim(&self, key: &Key) -> Option<Claim> {
        let is_free = self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        is_free.then(|| Claim { key: key.clone(), claimed: Arc::clone(&self.claimed) })
    }

    /// It is there.
    pub fn returned(&self, key: &Key) {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// The sole right to change the remote files of a bundle.
#[derive(Debug)]
pub struct Claim {
    key: Key,
    claimed: Arc<Mutex<HashSet<Key>>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Bundles whose remote files may be archived or deleted, each once: what fails is not tried again at every turn.
#[derive(Debug, Default)]
pub struct Grants(Mutex<HashMap<Key, (Tick, Granted)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Granted {
    Open,
    Used,
}

/// How long a grant that was used is not given again.
const AGAIN: Duration = Duration::from_secs(3_600);

impl Grants {
    /// Gives a grant, unless it was given a short while ago.
    pub fn give(&self, key: &Key, now: Tick) -> IsGiven {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match grants.get(key) {
            Some((at, _)) if now.since(*at) < AGAIN => IsGiven::Before,
            Some(_) | None => {
                grants.insert(key.clone(), (now, Granted::Open));
                IsGiven::Now
            }
        }
    }

    /// Whether a bundle has a grant that nobody has taken.
    #[must_use]
    pub fn is_open(&self, key: &Key) -> bool {
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.get(key).is_some_and(|(_, granted)| *granted == Granted::Open)
    }

    /// Takes the grant of a bundle, if it has one.
    pub fn take(&self, key: &Key) -> bool {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match grants.get_mut(key) {
            Some((_, granted)) if *granted == Granted::Open => {
                *granted = Granted::Used;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Nothing of a mapping is under way: a grant that nobody took (its file came back) is worth nothing any more.
    pub fn withdraw(&self, mapping: &MappingName) {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|key, (_, granted)| key.mapping != *mapping || *granted == Granted::Used);
    }

    /// It was done: should the same come up again, it may be granted again.
    pub fn done(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// A person has agreed anew.
    pub fn renew(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Whether a grant was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsGiven {
    /// Just now.
    Now,
    /// A short while ago, and it is not given again so soon.
    Before,
}

/// One mapping and its root.
#[derive(Debug)]
pub struct Post {
    /// The mapping.
    pub mapping: Mapping,
    /// Its root.
    pub root: Root,
}

/// Files that a scan brought up before they were at rest: what they looked like, and since when.
///
/// For a file whose stamps lie well back its stamps are proof enough; for the others only standing still between two looks is.
#[derive(Debug, Default)]
pub struct Restless(Mutex<HashMap<Key, (u64, Timestamp, Tick)>>);

impl Restless {
    /// How much longer a file that nobody vouches for has to stand still; zero if it has stood still for `needed`.
    pub fn wait(
        &self,
        key: &Key,
        stat: &Fingerprint,
        needed: Duration,
        tick: Tick,
        now: Timestamp,
    ) -> Duration {
        let touched = stat.last_touched();
        let is_from_the_future = touched > now;
        let by_stamps = needed.saturating_sub(now.since(touched));
        if !is_from_the_future && by_stamps.is_zero() {
            return Duration::ZERO;
        }
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = looks.entry(key.clone()).or_insert((stat.size, stat.mtime, tick));
        if (look.0, look.1) != (stat.size, stat.mtime) {
            *look = (stat.size, stat.mtime, tick);
        }
        let by_looks = needed.saturating_sub(tick.since(look.2));
        if is_from_the_future { by_looks } else { by_looks.min(by_stamps) }
    }

    /// It is at rest, or gone.
    pub fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{MappingName, RelPath};

    const NEEDED: Duration = Duration::from_secs(10);

    fn stat(size: u64, mtime: i64) -> Fingerprint {
        let mtime = Timestamp::from_stat(mtime, 0);
        Fingerprint { size, mtime, ctime: mtime, inode: 1, device: 1 }
    }

    fn key() -> Key {
        Key::new(MappingName::new("m"), RelPath::from_bytes(b"a").unwrap())
    }

    fn tick(seconds: u64) -> Tick {
        Tick::new(Duration::from_secs(seconds))
    }

    #[test]
    fn a_file_whose_stamps_lie_well_back_does_not_wait() {
        let restless = Restless::default();
        let now = Timestamp::from_stat(1_000, 0);
        assert_eq!(restless.wait(&key(), &stat(1, 990), NEEDED, tick(0), now), Duration::ZERO);
        assert_eq!(restless.wait(&key(), &stat(1, 994), NEEDED, tick(0), now), Duration::from_secs(4));
    }

    #[test]
    fn a_file_from_the_future_has_to_stand_still_between_two_looks() {
        let restless = Restless::default();
        let now = Timestamp::from_stat(1_000, 0);
        assert_eq!(restless.wait(&key(), &stat(1, 9_000), NEEDED, tick(0), now), NEEDED);
        assert_eq!(restless.wait(&key(), &stat(2, 9_000), NEEDED, tick(9), now), NEEDED, "it grew");
        assert_eq!(restless.wait(&key(), &stat(2, 9_000), NEEDED, tick(19), now), Duration::ZERO);
    }
}
