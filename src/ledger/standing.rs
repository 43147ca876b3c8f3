//! What the ledger keeps of a mapping as a whole: which root it is pinned to, and what `status` shows of it without a daemon.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::file::MappingName;
use crate::file::sighting::RootIdentity;
use crate::mapping::filter::IgnoredKind;
use crate::timestamp::Timestamp;

use super::error::Error;
use super::{Ledger, journal, tree};

/// How many troubles of a mapping are kept.
pub const MOST_TROUBLES: usize = 50;

/// What `status` shows of a mapping without a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The word for its state: `scanning`, `watching`, `polling`, `offline`, `needs_login`, `paused` or `halted`.
    pub state: String,
    /// The reason, where there is one to tell.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When the last complete scan ended; none until one did.
    pub scanned_at: Option<Timestamp>,
    /// How many files that scan met.
    pub files: u64,
    /// How many directories.
    pub directories: u64,
    /// How many of them were not ours to send, and why.
    pub ignored: BTreeMap<IgnoredKind, u64>,
    /// What a person should know; the first [`MOST_TROUBLES`] are kept.
    pub troubles: Vec<String>,
}

/// Replaces what is shown of a mapping.
pub(super) fn put(db: &Connection, mapping: &MappingName, standing: &Standing) -> Result<(), Error> {
    let mapping = tree::mapping(db, mapping)?;
    let Standing { state, reason, since, scanned_at, files, directories, ignored, troubles } = standing;
    db.prepare_cached(
        "INSERT OR REPLACE INTO standing (mapping, state, reason, since, scanned_at, files, directories)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        mapping,
        state,
        reason,
        since.nanos(),
        scanned_at.map(Timestamp::nanos),
        files.cast_signed(),
        directories.cast_signed()
    ])?;
    db.prepare_cached("DELETE FROM ignored WHERE mapping = ?1")?.execute([mapping])?;
    for (kind, count) in ignored {
        db.prepare_cached("INSERT INTO ignored (mapping, kind, count) VALUES (?1, ?2, ?3)")?
            .execute(params![mapping, kind.word(), count.cast_signed()])?;
    }
    db.prepare_cached("DELETE FROM trouble WHERE mapping = ?1")?.execute([mapping])?;
    for (text, position) in troubles.iter().take(MOST_TROUBLES).zip(0_i64..) {
        db.prepare_cached("INSERT INTO trouble (mapping, position, text) VALUES (?1, ?2, ?3)")?
            .execute(params![mapping, position, text])?;
    }
    Ok(())
}

/// What was last told of a mapping.
pub(super) fn read(db: &Connection, mapping: &MappingName) -> Result<Option<Standing>, Error> {
    let Some(mapping) = tree::find_mapping(db, mapping)? else { return Ok(None) };
    let mut statement = db.prepare_cached(
        "SELECT state, reason, since, scanned_at, files, directories FROM standing WHERE mapping = ?1",
    )?;
    let standing = statement.query_row([mapping], |row| {
        Ok(Standing {
            state: row.get(0)?,
            reason: row.get(1)?,
            since: Timestamp::from_nanos(row.get(2)?),
            scanned_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_nanos),
            files: row.get::<_, i64>(4)?.cast_unsigned(),
            directories: row.get::<_, i64>(5)?.cast_unsigned(),
            ignored: BTreeMap::new(),
            troubles: Vec::new(),
        })
    });
    let Some(mut standing) = standing.optional()? else { return Ok(None) };
    let mut statement = db.prepare_cached("SELECT kind, count FROM ignored WHERE mapping = ?1")?;
    let mut rows = statement.query([mapping])?;
    while let Some(row) = rows.next()? {
        let word = row.get_ref(0)?.as_str().unwrap_or_default();
        // A word of another version of this program is not counted.
        if let Some(kind) = IgnoredKind::ALL.into_iter().find(|kind| kind.word() == word) {
            standing.ignored.insert(kind, row.get::<_, i64>(1)?.cast_unsigned());
        }
    }
    let mut statement = db.prepare_cached("SELECT text FROM trouble WHERE mapping = ?1 ORDER BY position")?;
    standing.troubles = statement.query_map([mapping], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(standing))
}

/// The root that a mapping is pinned to.
///
/// It has no checksum: a damaged identity equals that of no root and so proves no absence, whereas none at all would.
pub(super) fn root(db: &Connection, mapping: &MappingName) -> Result<Option<RootIdentity>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT root_filesystem, root_inode, root_birth FROM mapping
         WHERE name = ?1 AND (root_filesystem IS NOT NULL OR root_inode IS NOT NULL)",
    )?;
    let root = statement.query_row([mapping.as_str()], |row| {
        Ok(RootIdentity {
            filesystem: row.get::<_, Option<i64>>(0)?.unwrap_or_default().cast_unsigned(),
            inode: row.get::<_, Option<i64>>(1)?.unwrap_or_default().cast_unsigned(),
            birth: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_nanos),
        })
    });
    Ok(root.optional()?)
}

/// Pins a mapping to a root.
pub(super) fn put_root(db: &Connection, mapping: &MappingName, root: &RootIdentity) -> Result<(), Error> {
    let mapping = tree::mapping(db, mapping)?;
    let RootIdentity { filesystem, inode, birth } = root;
    db.prepare_cached(
        "UPDATE mapping SET root_filesystem = ?2, root_inode = ?3, root_birth = ?4 WHERE id = ?1",
    )?
    .execute(params![
        mapping,
        filesystem.cast_signed(),
        inode.cast_signed(),
        birth.map(Timestamp::nanos)
    ])?;
    Ok(())
}

/// Whether anything of a mapping lives in the cloud that was there when it was last looked at.
fn knows_files(db: &Connection, mapping: &MappingName) -> Result<bool, Error> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM bundle WHERE mapping = (SELECT id FROM mapping WHERE name = ?1)
         AND current_version IS NOT NULL AND state NOT IN ('deleted', 'detached') LIMIT 1",
    )?;
    Ok(statement.exists([mapping.as_str()])?)
}

/// Under which name it is remembered that a person accepted that a root is empty.
fn emptied(mapping: &MappingName) -> String {
    format!("emptied/{mapping}")
}

/// Whether a root that holds nothing is to be distrusted: files are known in it, and nobody accepted that they are gone.
pub(super) fn expects_files(db: &Connection, mapping: &MappingName) -> Result<bool, Error> {
    let is_accepted = journal::meta(db, &emptied(mapping))?.is_some_and(|it| !it.is_empty());
    Ok(!is_accepted && knows_files(db, mapping)?)
}

impl Ledger {
    /// Whether a root of this mapping that holds nothing is to be distrusted: files are known in it, and nobody accepted
    /// that it is empty.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn expects_files(&self, mapping: &MappingName) -> Result<bool, Error> {
        self.read(|db| expects_files(db, mapping))
    }

    /// A person accepted that the root of a mapping is empty.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn accept_emptied(&self, mapping: &MappingName) -> Result<(), Error> {
        self.put_meta(&emptied(mapping), "accepted")
    }

    /// The root of a mapping holds something: that it was empty once is accepted no longer. Writes nothing if it never was.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn refilled(&self, mapping: &MappingName) -> Result<(), Error> {
        let key = emptied(mapping);
        match self.meta(&key)? {
            Some(accepted) if !accepted.is_empty() => self.put_meta(&key, ""),
            Some(_) | None => Ok(()),
        }
    }
}
