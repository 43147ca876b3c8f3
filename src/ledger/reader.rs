//! The ledger as others may see it: read-only, beside a running writer or without one. Every answer is of one moment.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::file::sighting::{RootIdentity, Seen};
use crate::file::{Entry, Key, MappingName, RelPath, State};

use super::error::Error;
use super::journal::{self, JournalLine};
use super::row::{Cells, Fault};
use super::standing::{self, Standing};
use super::tree::{self, Which};
use super::{home, load, members};

/// How many bundles are read in one transaction: a reader that stays in one keeps the writer's log from being emptied.
const PAGE: usize = 256;

/// A read-only view of an existing ledger.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    damaged: AtomicU64,
}

impl Reader {
    /// Opens the ledger in `state_dir` for reading.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, [`Error::Newer`] if a newer binary wrote it.
    pub fn open(state_dir: &Path) -> Result<Self, Error> {
        Ok(Self { connection: home::reader(state_dir)?, damaged: AtomicU64::new(0) })
    }

    /// What the ledger believes of a bundle. A damaged row is counted and believed in nothing.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn entry(&self, key: &Key) -> Result<Entry, Error> {
        self.at_one_moment(|db| self.load(db, key))
    }

    /// How many bundles of a mapping are in which state.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn summary(&self, mapping: &MappingName) -> Result<BTreeMap<State, u64>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT state, count(*) FROM bundle
             WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) GROUP BY state",
        )?;
        let mut rows = statement.query([mapping.as_str()])?;
        let mut summary = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let cells = Cells::of(row);
            // A word that names no state is a damaged row, which the daemon will take for a new file.
            let state = cells.state().unwrap_or(State::Ready);
            let count = row.get::<_, i64>(1)?.cast_unsigned();
            *summary.entry(state).or_default() += count;
        }
        Ok(summary)
    }

    /// Hands out the bundles of one mapping or all, below one directory or everywhere, mapping by mapping in path order,
    /// until `each` breaks. What changes meanwhile is seen or not.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn bundles(
        &self,
        mapping: Option<&MappingName>,
        below: Option<&RelPath>,
        each: &mut dyn FnMut(Key, Entry) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mappings = match mapping {
            Some(mapping) => vec![mapping.clone()],
            None => self.mappings()?,
        };
        let root = RelPath::root();
        let dir = below.unwrap_or(&root);
        for mapping in mappings {
            let mut after = None;
            loop {
                let page = self.at_one_moment(|db| {
                    let keys = tree::keys(db, &mapping, dir, Which::All, after.as_ref(), PAGE)?;
                    keys.into_iter().map(|key| Ok((self.load(db, &key)?, key))).collect::<Result<Vec<_>, _>>()
                })?;
                let Some((_, last)) = page.last() else { break };
                after = Some(last.path.clone());
                for (entry, key) in page {
                    if each(key, entry).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The bundles of a mapping that are not at rest, in path order: at most `limit` after `after`.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn open_keys(
        &self,
        mapping: &MappingName,
        after: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<Key>, Error> {
        tree::keys(&self.connection, mapping, &RelPath::root(), Which::Open, after, limit)
    }

    /// At most `limit` bundles of a mapping in a state, in path order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn in_state(&self, mapping: &MappingName, state: State, limit: usize) -> Result<Vec<Key>, Error> {
        tree::some_in_state(&self.connection, mapping, state, limit)
    }

    /// The `limit` bundles of a mapping whose current version last replaced one whose assets scenes may still use, the
    /// latest first.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn replaced(&self, mapping: &MappingName, limit: usize) -> Result<Vec<Key>, Error> {
        tree::replaced(&self.connection, mapping, limit)
    }

    /// The bundles with more than `kept` versions that were replaced, in path order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn keys_with_replaced(&self, mapping: &MappingName, kept: u32) -> Result<Vec<Key>, Error> {
        super::moves::with_replaced(&self.connection, mapping, kept)
    }

    /// The root that a mapping is pinned to; none until its first scan.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn root(&self, mapping: &MappingName) -> Result<Option<RootIdentity>, Error> {
        standing::root(&self.connection, mapping)
    }

    /// As [`super::Ledger::expects_files`].
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn expects_files(&self, mapping: &MappingName) -> Result<bool, Error> {
        standing::expects_files(&self.connection, mapping)
    }

    /// What was last told of a mapping.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn standing(&self, mapping: &MappingName) -> Result<Option<Standing>, Error> {
        self.at_one_moment(|db| standing::read(db, mapping))
    }

    /// The last `most` things that happened to a path, the latest first.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn journal(&self, key: &Key, most: usize) -> Result<Vec<JournalLine>, Error> {
        journal::read(&self.connection, key, most)
    }

    /// The leads that refer to a file, in path order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn leads_of(&self, mapping: &MappingName, member: &RelPath) -> Result<Vec<Key>, Error> {
        tree::leads_of(&self.connection, mapping, member)
    }

    /// As [`super::Ledger::seen`].
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn seen(&self, file: &Key) -> Result<Option<Seen>, Error> {
        members::seen(&self.connection, file)
    }

    /// The mappings that the ledger knows, by name.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn mappings(&self) -> Result<Vec<MappingName>, Error> {
        tree::mappings(&self.connection)
    }

    /// A value that belongs to the ledger as a whole.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        journal::meta(&self.connection, key)
    }

    /// How many damaged rows this reader has met.
    #[must_use]
    pub fn damaged_rows(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn load(&self, db: &Connection, key: &Key) -> Result<Entry, Error> {
        match load::load(db, key) {
            Ok(entry) => Ok(entry.unwrap_or_default()),
            Err(Fault::Damage) => {
                self.damaged.fetch_add(1, Ordering::Relaxed);
                Ok(Entry::default())
            }
            Err(Fault::Error(error)) => Err(error),
        }
    }

    /// Reads in one transaction: an entry lies in several tables, and the writer may be between two of our statements.
    fn at_one_moment<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let moment = Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)?;
        let answer = read(&moment)?;
        moment.commit()?;
        Ok(answer)
    }
}
