//! The ledger: what was seen locally, what was sent, what came back and what is open, kept in SQLite. The only door to it.
//!
//! It stores what it is told and judges nothing: it knows no rule, no disk below a root and no cloud. Everything here
//! blocks, and is called from `spawn_blocking` only. One process writes; a [`Reader`] may look on at any time.

mod error;
mod home;
mod journal;
mod life;
mod load;
mod lock;
mod members;
mod moves;
mod names;
mod reader;
mod reading;
mod refresh;
mod room;
mod row;
mod save;
mod schema;
mod seal;
mod standing;
mod tree;

use std::collections::HashSet;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use crate::file::sighting::RootIdentity;
use crate::file::{Entry, Key, MappingName, RelPath, State};
use crate::id::{FolderId, SourceFileId};
use crate::timestamp::Timestamp;

pub use error::Error;
pub use home::{MOST_LOG, examine};
pub use journal::{JournalLine, MOST_LINES};
pub use life::{Birth, Legacy};
pub use lock::{Occupancy, occupancy};
pub use members::Carried;
pub use moves::Swapped;
pub use names::{Lies, Listed, MOST_NAMESAKES, Searches};
pub use reader::Reader;
pub use reading::Reading;
pub use refresh::Outdated;
pub use standing::{MOST_TROUBLES, Standing};
pub use tree::{Digest, Known, Listing};

use lock::Lock;
use reading::Marks;
use row::Fault;
use save::Rewrite;
use tree::Which;

/// The [`Ledger::meta`] of a ledger that replaced a damaged one: where that lies. Whoever has found everything out anew may
/// overwrite it with nothing.
pub const REBUILT: &str = "rebuilt";

/// The ledger, open for writing. There is one in all processes; clones share it.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Mutex<Writer>,
    state_dir: PathBuf,
    path: PathBuf,
    /// Device and inode of the file that is open.
    identity: (u64, u64),
    set_aside: Option<PathBuf>,
    damaged: AtomicU64,
    broken: AtomicBool,
    marks: Marks,
    /// Below the connection, so that it is let go after the last write.
    _lock: Lock,
}

struct Writer {
    connection: Connection,
    /// Bundles that were met damaged and not written since: none of their rows is to be kept.
    damaged: HashSet<Key>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// Opening it, and whether it is well.
impl Ledger {
    /// Opens the ledger in `state_dir`; makes both if they are not there. A damaged one is set aside and a fresh one started.
    ///
    /// # Errors
    /// [`Error::Locked`] at once if another instance holds it, [`Error::Newer`] if a newer binary wrote it,
    /// [`Error::Network`], [`Error::Loose`] or [`Error::Directory`] if the directory cannot be used.
    pub fn open(state_dir: &Path) -> Result<Self, Error> {
        home::prepare(state_dir)?;
        let lock = Lock::take(state_dir)?;
        let home::Opened { connection, set_aside } = home::open(state_dir)?;
        let path = state_dir.join(home::FILE);
        let identity = identity(&path)?;
        let ledger = Self {
            shared: Arc::new(Shared {
                writer: Mutex::new(Writer { connection, damaged: HashSet::new() }),
                state_dir: state_dir.to_owned(),
                path,
                identity,
                set_aside,
                damaged: AtomicU64::new(0),
                broken: AtomicBool::new(false),
                marks: Marks::open(state_dir),
                _lock: lock,
            }),
        };
        if let Some(aside) = ledger.was_rebuilt() {
            // A start that dies early must not make the next one believe that this ledger always knew everything.
            ledger.put_meta(REBUILT, &aside.to_string_lossy())?;
        }
        Ok(ledger)
    }

    /// Where the damaged ledger lies that this one replaced when it was opened, if it did: everything has to be found out anew.
    #[must_use]
    pub fn was_rebuilt(&self) -> Option<&Path> {
        self.shared.set_aside.as_deref()
    }

    /// How many bundles were met with damaged rows since it was opened.
    #[must_use]
    pub fn damaged_rows(&self) -> u64 {
        self.shared.damaged.load(Ordering::Relaxed)
    }

    /// Whether the path still leads to the file that is open: SQLite would go on writing into one that was moved or removed.
    /// Every write asks it first.
    ///
    /// # Errors
    /// [`Error::Moved`] if it does not.
    pub fn check_in_place(&self) -> Result<(), Error> {
        match identity(&self.shared.path) {
            Ok(identity) if identity == self.shared.identity => Ok(()),
            Ok(_) | Err(_) => Err(Error::Moved(self.shared.path.clone())),
        }
    }

    /// A read-only view of it.
    ///
    /// # Errors
    /// [`Error`] if it cannot be opened once more.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.shared.state_dir)
    }
}

/// Entries, which are all that a step reads and writes.
impl Ledger {
    /// What is believed of a bundle: nothing, if it is not known.
    ///
    /// A bundle whose checksum fails is counted and believed in nothing, so that its ids are never used.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn entry(&self, key: &Key) -> Result<Entry, Error> {
        let found = self.read(|db| match load::load(db, key) {
            Ok(entry) => Ok(Some(entry.unwrap_or_default())),
            Err(Fault::Damage) => Ok(None),
            Err(Fault::Error(error)) => Err(error),
        })?;
        match found {
            Some(entry) => Ok(entry),
            None => self.met_damage(key).map(|()| Entry::default()),
        }
    }

    /// Writes what is believed of a bundle, durable on return, with a line for its journal: the only write of a step.
    /// An entry that says nothing leaves no row.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; then nothing of it was.
    pub fn put(&self, key: &Key, entry: &Entry, note: Option<&str>, at: Timestamp) -> Result<(), Error> {
        self.put_bundle(key, entry, &[], note, at)
    }

    /// Writes many entries in one transaction: all of them or none.
    ///
    /// # Errors
    /// [`Error`] if they cannot be written.
    pub fn put_all(&self, batch: &[(Key, Entry)], at: Timestamp) -> Result<(), Error> {
        self.write(|db, damaged| {
            batch.iter().try_for_each(|(key, entry)| save::save(db, key, entry, at, rewrite(damaged, key)))
        })?;
        self.mended(batch.iter().map(|(key, _)| key))
    }

    /// Whether a remote file is known of any bundle: as current, as a copy, or as what an attempt made.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn claimed(&self, file: SourceFileId) -> Result<bool, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM part WHERE source_file = ?1)
                     OR EXISTS (SELECT 1 FROM copy WHERE source_file = ?1)
                     OR EXISTS (SELECT 1 FROM conversion WHERE source_file = ?1)",
            )?;
            Ok(statement.query_row([file.uuid().into_bytes()], |row| row.get(0))?)
        })
    }

    /// The damaged ones among the `limit` bundles of a mapping after `after`, and where to go on; none at the end.
    ///
    /// A flipped bit can hide a bundle from [`Ledger::open_keys`] or behind the digest of its directory, so somebody has to
    /// look at every row now and then. Each one found also takes the digest of its directory with it.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn damaged_keys(
        &self,
        mapping: &MappingName,
        after: Option<&RelPath>,
        limit: usize,
    ) -> Result<(Vec<Key>, Option<RelPath>), Error> {
        let (page, damaged) = self.read(|db| {
            let page = tree::keys(db, mapping, &RelPath::root(), Which::All, after, limit)?;
            let mut damaged = Vec::new();
            for key in &page {
                match load::load(db, key) {
                    Ok(_) => {}
                    Err(Fault::Damage) => damaged.push(key.clone()),
                    Err(Fault::Error(error)) => return Err(error),
                }
            }
            Ok((page, damaged))
        })?;
        damaged.iter().try_for_each(|key| self.met_damage(key))?;
        Ok((damaged, page.last().map(|key| key.path.clone())))
    }
}

/// Directories, and the keys found by where they lie.
impl Ledger {
    /// What is known of a directory: its direct children.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn listing(&self, mapping: &MappingName, dir: &RelPath) -> Result<Listing, Error> {
        self.read(|db| tree::listing(db, mapping, dir))
    }

    /// What a directory looked like when everything in it was at rest, if no bundle in it was seen otherwise since.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn digest(&self, mapping: &MappingName, dir: &RelPath) -> Result<Option<Digest>, Error> {
        self.read(|db| tree::digest(db, mapping, dir))
    }

    /// Remembers what directories look like at rest.
    ///
    /// # Errors
    /// [`Error`] if they cannot be written; then none of them was.
    pub fn put_digests(&self, mapping: &MappingName, digests: &[(RelPath, Digest)]) -> Result<(), Error> {
        self.write(|db, _| {
            digests.iter().try_for_each(|(dir, digest)| tree::put_digest(db, mapping, dir, Some(*digest)))
        })
    }

    /// Has a directory compared file by file the next time.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn forget_digest(&self, mapping: &MappingName, dir: &RelPath) -> Result<(), Error> {
        self.write(|db, _| tree::put_digest(db, mapping, dir, None))
    }

    /// Forgets a directory and those below it, as far as they hold no bundle any more.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn forget_directories(&self, mapping: &MappingName, dir: &RelPath) -> Result<(), Error> {
        self.write(|db, _| tree::forget_directories(db, mapping, dir))
    }

    /// The bundles that are not at rest (an attempt is open, or they are ready or settling), in path order: at most `limit`
    /// after `after`. This is where a restart takes up what was under way.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn open_keys(
        &self,
        mapping: &MappingName,
        after: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<Key>, Error> {
        self.read(|db| tree::keys(db, mapping, &RelPath::root(), Which::Open, after, limit))
    }

    /// The bundles in or below a directory, in path order: at most `limit` after `after`.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn keys_below(
        &self,
        mapping: &MappingName,
        dir: &RelPath,
        after: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<Key>, Error> {
        self.read(|db| tree::keys(db, mapping, dir, Which::All, after, limit))
    }

    /// The bundles in a state, in path order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn keys_in_state(&self, mapping: &MappingName, state: State) -> Result<Vec<Key>, Error> {
        self.read(|db| tree::keys_in_state(db, mapping, state))
    }

    /// The remote folder of a directory.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn shelf(&self, mapping: &MappingName, dir: &RelPath) -> Result<Option<FolderId>, Error> {
        self.read(|db| tree::shelf(db, mapping, dir))
    }

    /// Remembers the remote folder of a directory.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn put_shelf(&self, mapping: &MappingName, dir: &RelPath, folder: FolderId) -> Result<(), Error> {
        self.write(|db, _| tree::put_shelf(db, mapping, dir, folder))
    }

    /// Forgets the remote folders of a directory and of all below it.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn forget_shelves(&self, mapping: &MappingName, below: &RelPath) -> Result<(), Error> {
        self.write(|db, _| tree::forget_shelves(db, mapping, below))
    }
}

/// Mappings, and what belongs to the ledger as a whole.
impl Ledger {
    /// The mappings of which anything is known, by name.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn mappings(&self) -> Result<Vec<MappingName>, Error> {
        self.read(tree::mappings)
    }

    /// Forgets all that is known of a mapping. Remote files stay where they are, and are known no more.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn forget_mapping(&self, mapping: &MappingName) -> Result<(), Error> {
        self.write(|db, _| {
            db.prepare_cached("DELETE FROM mapping WHERE name = ?1")?.execute([mapping.as_str()])?;
            Ok(())
        })
    }

    /// The root that a mapping is pinned to; none until its first scan.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn root(&self, mapping: &MappingName) -> Result<Option<RootIdentity>, Error> {
        self.read(|db| standing::root(db, mapping))
    }

    /// Pins a mapping to a root.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn put_root(&self, mapping: &MappingName, root: &RootIdentity) -> Result<(), Error> {
        self.write(|db, _| standing::put_root(db, mapping, root))
    }

    /// What was last told of a mapping.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn standing(&self, mapping: &MappingName) -> Result<Option<Standing>, Error> {
        self.read(|db| standing::read(db, mapping))
    }

    /// Replaces what `status` shows of a mapping without a daemon.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn put_standing(&self, mapping: &MappingName, standing: &Standing) -> Result<(), Error> {
        self.write(|db, _| standing::put(db, mapping, standing))
    }

    /// A value that belongs to the ledger as a whole.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        self.read(|db| journal::meta(db, key))
    }

    /// Remembers a value that belongs to the ledger as a whole.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn put_meta(&self, key: &str, value: &str) -> Result<(), Error> {
        self.write(|db, _| journal::put_meta(db, key, value))
    }
}

impl Ledger {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let writer = self.lock()?;
        self.noting(read(&writer.connection))
    }

    /// One transaction that is durable when this returns. It takes the write lock at once: one that first reads and then
    /// writes would be refused without waiting.
    fn write<T>(
        &self,
        write: impl FnOnce(&Connection, &HashSet<Key>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut writer = self.lock()?;
        self.check_in_place()?;
        let Writer { connection, damaged } = &mut *writer;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        self.noting(transaction.map_err(Error::from).and_then(|transaction| {
            let answer = write(&transaction, damaged)?;
            transaction.commit()?;
            Ok(answer)
        }))
    }

    /// A step that panicked left no half of a transaction: it was rolled back while it unwound. So the lock stays usable.
    fn lock(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        if self.shared.broken.load(Ordering::Relaxed) {
            return Err(Error::Broken);
        }
        Ok(self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// After a failed write or sync, pages that never reached the disk may look clean: only a new start can tell.
    fn noting<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        if answer.as_ref().is_err_and(Error::breaks_the_handle) {
            self.shared.broken.store(true, Ordering::Relaxed);
        }
        answer
    }

    fn met_damage(&self, key: &Key) -> Result<(), Error> {
        if self.lock()?.damaged.insert(key.clone()) {
            self.shared.damaged.fetch_add(1, Ordering::Relaxed);
            self.forget_digest(&key.mapping, &key.path.parent())?;
        }
        Ok(())
    }

    fn mended<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Result<(), Error> {
        let mut writer = self.lock()?;
        if !writer.damaged.is_empty() {
            keys.for_each(|key| {
                writer.damaged.remove(key);
            });
        }
        Ok(())
    }
}

fn rewrite(damaged: &HashSet<Key>, key: &Key) -> Rewrite {
    if damaged.contains(key) { Rewrite::All } else { Rewrite::Changed }
}

fn identity(path: &Path) -> Result<(u64, u64), Error> {
    let metadata = std::fs::metadata(path).map_err(Error::at(path))?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests;
