//! What happened to a path, in sentences for a person: the last few lines of each. Nothing is decided by them.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::file::Key;
use crate::timestamp::Timestamp;

use super::error::Error;
use super::{Ledger, tree};

/// How many lines are kept of one path.
pub const MOST_LINES: i64 = 50;

/// Something that happened to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    /// When.
    pub at: Timestamp,
    /// What, for a person.
    pub note: String,
}

impl Ledger {
    /// Adds a line to what happened to a path, unless it says so already. Returns whether it was added.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn note_once(&self, key: &Key, note: &str, at: Timestamp) -> Result<bool, Error> {
        let most = usize::try_from(MOST_LINES).unwrap_or(usize::MAX);
        let is_told = self.read(|db| Ok(read(db, key, most)?.iter().any(|line| line.note == note)))?;
        if !is_told {
            self.write(|db, _| add(db, key, note, at))?;
        }
        Ok(!is_told)
    }
}

/// Adds a line, and drops the one that is [`MOST_LINES`] older.
pub(super) fn add(db: &Connection, key: &Key, note: &str, at: Timestamp) -> Result<(), Error> {
    let mapping = tree::mapping(db, &key.mapping)?;
    let directory = tree::directory(db, mapping, &key.path.parent())?;
    let name = key.path.name();
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO journal (directory, name, number, at, note)
             SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4 FROM journal WHERE directory = ?1 AND name = ?2
             RETURNING number",
        )?
        .query_row(params![directory, name, at.nanos(), note], |row| row.get(0))?;
    if number > MOST_LINES {
        db.prepare_cached("DELETE FROM journal WHERE directory = ?1 AND name = ?2 AND number <= ?3")?
            .execute(params![directory, name, number - MOST_LINES])?;
    }
    Ok(())
}

/// The last `most` lines of a path, the latest first.
pub(super) fn read(db: &Connection, key: &Key, most: usize) -> Result<Vec<JournalLine>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT at, note FROM journal WHERE name = ?3 AND directory = (
             SELECT directory.id FROM directory JOIN mapping ON mapping.id = directory.mapping
             WHERE mapping.name = ?1 AND directory.path = ?2)
         ORDER BY number DESC LIMIT ?4",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let parent = key.path.parent();
    let lines = statement
        .query_map(params![key.mapping.as_str(), parent.as_bytes(), key.path.name(), most], |row| {
            Ok(JournalLine { at: Timestamp::from_nanos(row.get(0)?), note: row.get(1)? })
        })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

/// A value that belongs to the ledger as a whole.
pub(super) fn meta(db: &Connection, key: &str) -> Result<Option<String>, Error> {
    let mut statement = db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Remembers a value that belongs to the ledger as a whole.
pub(super) fn put_meta(db: &Connection, key: &str, value: &str) -> Result<(), Error> {
    db.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?.execute([key, value])?;
    Ok(())
}
