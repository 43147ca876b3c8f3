//! Files that travel with others: what was last read of them, who refers to them, and who has to be looked at when they change.

use rusqlite::{Connection, params};

use crate::file::sighting::Seen;
use crate::file::{Key, MappingName, RelPath};

use crate::file::Entry;
use crate::timestamp::Timestamp;

use super::error::Error;
use super::row::{Cells, Fault};
use super::{Ledger, journal, rewrite, save, seal, tree};

/// A file that some lead refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Its name in its directory.
    pub name: Vec<u8>,
    /// What was last read of it, if it ever was.
    pub seen: Option<Seen>,
}

/// Who travels with whom.
impl Ledger {
    /// Whether a bundle is marked to be looked at because something that it carries was read with other bytes.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn is_marked(&self, key: &Key) -> Result<bool, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT 1 FROM bundle WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND path = ?2
                 AND marked = 1",
            )?;
            Ok(statement.exists(params![key.mapping.as_str(), key.path.as_bytes()])?)
        })
    }

    /// Takes the mark off a bundle that was looked at as a whole and rests.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn unmark(&self, key: &Key) -> Result<(), Error> {
        self.write(|db, _| {
            db.prepare_cached(
                "UPDATE bundle SET marked = 0 WHERE path = ?2
                 AND mapping = (SELECT id FROM mapping WHERE name = ?1)",
            )?
            .execute(params![key.mapping.as_str(), key.path.as_bytes()])?;
            Ok(())
        })
    }

    /// The files below `dir` that some lead refers to and that were read once.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn members_below(&self, mapping: &MappingName, dir: &RelPath) -> Result<Vec<RelPath>, Error> {
        self.read(|db| members_below(db, mapping, dir))
    }

    /// The leads that refer to a file, in path order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn leads_of(&self, mapping: &MappingName, member: &RelPath) -> Result<Vec<Key>, Error> {
        self.read(|db| tree::leads_of(db, mapping, member))
    }

    /// Replaces what a lead refers to: each file, with the reference as it is written in the lead. Writes nothing if it is
    /// known already.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn put_references(&self, lead: &Key, references: &[(RelPath, String)]) -> Result<(), Error> {
        if self.read(|db| known_references(db, lead))? == references {
            return Ok(());
        }
        self.write(|db, _| tree::put_references(db, lead, references))
    }

    /// What a lead refers to, as it was last put.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn references(&self, lead: &Key) -> Result<Vec<(RelPath, String)>, Error> {
        self.read(|db| known_references(db, lead))
    }

    /// What was last read of a file, whether it is a lead or only a member; none if it is not known or its row is damaged.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn seen(&self, file: &Key) -> Result<Option<Seen>, Error> {
        self.read(|db| seen(db, file))
    }

    /// The files right in `dir` that some lead refers to, with what was last read of them.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn members_in(&self, mapping: &MappingName, dir: &RelPath) -> Result<Vec<Carried>, Error> {
        self.read(|db| members_in(db, mapping, dir))
    }

    /// As [`Ledger::put`], with what was read of the bundle's members. In the same transaction every other bundle that carries
    /// something which has changed is marked to be looked at: a crash loses no refresh.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn put_bundle(
        &self,
        key: &Key,
        entry: &Entry,
        members: &[(RelPath, Seen)],
        note: Option<&str>,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.write(|db, damaged| {
            for (path, seen) in members {
                put_seen(db, key, path, seen)?;
            }
            let before = seen(db, key)?;
            save::save(db, key, entry, at, rewrite(damaged, key))?;
            if before.map(|it| it.content) != entry.seen.map(|it| it.content) {
                mark(db, tree::mapping(db, &key.mapping)?, &key.path, &key.path)?;
            }
            note.map_or(Ok(()), |note| journal::add(db, key, note, at))
        })?;
        self.mended(std::iter::once(key))
    }
}

/// What was last read of a file; none if it is not known, or if its row is damaged.
pub(super) fn seen(db: &Connection, file: &Key) -> Result<Option<Seen>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT size, mtime, ctime, inode, device, hash, hashed_size, trust, sum FROM file
         WHERE directory = (SELECT id FROM directory
             WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND path = ?2) AND name = ?3",
    )?;
    let parent = file.path.parent();
    let mut rows = statement.query(params![file.mapping.as_str(), parent.as_bytes(), file.path.name()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    undamaged(file, &Cells::of(row))
}

/// The files right in a directory that some lead refers to.
pub(super) fn members_in(
    db: &Connection,
    mapping: &MappingName,
    dir: &RelPath,
) -> Result<Vec<Carried>, Error> {
    let mut members = Vec::new();
    for path in referred_below(db, mapping, dir)? {
        if path.parent() == *dir {
            let name = path.name().to_vec();
            let seen = seen(db, &Key::new(mapping.clone(), path))?;
            members.push(Carried { name, seen });
        }
    }
    Ok(members)
}

pub(super) fn members_below(
    db: &Connection,
    mapping: &MappingName,
    dir: &RelPath,
) -> Result<Vec<RelPath>, Error> {
    let mut members = Vec::new();
    for path in referred_below(db, mapping, dir)? {
        if seen(db, &Key::new(mapping.clone(), path.clone()))?.is_some() {
            members.push(path);
        }
    }
    Ok(members)
}

/// Every path below a directory that some lead refers to, in path order.
fn referred_below(db: &Connection, mapping: &MappingName, dir: &RelPath) -> Result<Vec<RelPath>, Error> {
    let (from, to) = tree::below(dir);
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT member FROM reference
         WHERE mapping = (SELECT id FROM mapping WHERE name = ?1)
         AND member >= ?2 AND (?3 IS NULL OR member < ?3) ORDER BY member",
    )?;
    let mut rows = statement.query(params![mapping.as_str(), from, to])?;
    let mut paths = Vec::new();
    while let Some(row) = rows.next()? {
        paths.extend(RelPath::from_bytes(&row.get::<_, Vec<u8>>(0)?).ok());
    }
    Ok(paths)
}

/// What a lead refers to, in the order in which it was put.
pub(super) fn known_references(db: &Connection, lead: &Key) -> Result<Vec<(RelPath, String)>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT member, written FROM reference
         WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND lead = ?2 ORDER BY position",
    )?;
    let rows = statement.query_map(params![lead.mapping.as_str(), lead.path.as_bytes()], |row| {
        Ok((row.get_ref(0)?.as_blob()?.to_vec(), row.get::<_, String>(1)?))
    })?;
    let mut references = Vec::new();
    for row in rows {
        let (member, written) = row?;
        if let Ok(member) = RelPath::from_bytes(&member) {
            references.push((member, written));
        }
    }
    Ok(references)
}

/// Remembers what was read of a member of `lead`, unless it leads a bundle of its own, whose row it is. If its bytes are others
/// than before, every other bundle that carries it, and the one that it leads itself, is marked to be looked at.
pub(super) fn put_seen(db: &Connection, lead: &Key, member: &RelPath, now: &Seen) -> Result<(), Error> {
    let key = Key::new(lead.mapping.clone(), member.clone());
    let before = seen(db, &key)?;
    if before.as_ref() == Some(now) {
        return Ok(());
    }
    let mapping = tree::mapping(db, &key.mapping)?;
    if before.is_none_or(|before| before.content != now.content) {
        mark(db, mapping, member, &lead.path)?;
    }
    let leads_itself = db
        .prepare_cached("SELECT 1 FROM bundle WHERE mapping = ?1 AND path = ?2")?
        .exists(params![mapping, member.as_bytes()])?;
    if leads_itself {
        return Ok(());
    }
    let directory = tree::directory(db, mapping, &member.parent())?;
    save::save_seen(db, directory, &key, Some((now, seal::seen(&key, now))))
}

/// Marks the bundles that carry `file` to be looked at, and the one that it leads, but for the one that is looking.
pub(super) fn mark(db: &Connection, mapping: i64, file: &RelPath, but: &RelPath) -> Result<(), Error> {
    db.prepare_cached(
        "UPDATE bundle SET marked = 1 WHERE mapping = ?1 AND path <> ?3 AND (path = ?2 OR path IN
         (SELECT lead FROM reference WHERE mapping = ?1 AND member = ?2))",
    )?
    .execute(params![mapping, file.as_bytes(), but.as_bytes()])?;
    Ok(())
}

fn undamaged(key: &Key, cells: &Cells<'_>) -> Result<Option<Seen>, Error> {
    let read = cells.seen().and_then(|seen| Ok((seen, cells.maybe_array()?)));
    match read {
        Ok((Some(row), sum)) => Ok((sum == Some(seal::seen(key, &row))).then_some(row)),
        Ok((None, _)) | Err(Fault::Damage) => Ok(None),
        Err(Fault::Error(error)) => Err(error),
    }
}
