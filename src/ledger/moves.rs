//! Bundles that moved: found again by their bytes or by their stat, and written down at their new place as a whole.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use crate::file::part::version_of;
use crate::file::sighting::Seen;
use crate::file::{ContentHash, Entry, Fingerprint, Key, MappingName, RelPath};
use crate::id::{FolderId, SourceFileId};
use crate::timestamp::Timestamp;

use super::error::Error;
use super::load;
use super::row::{Cells, Fault};
use super::save::{self, Rewrite};
use super::tree::{self, Which};
use super::{Ledger, journal, members, names, seal};

/// How many bundles with equal bytes are looked at: a thousand equal files tell nothing of where one of them came from.
const MOST: i64 = 64;

/// Whether a write that expected a certain state of the ledger found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// It did, and everything was written.
    Yes,
    /// Somebody else wrote meanwhile; nothing was written.
    Stale,
}

/// Bundles that moved.
impl Ledger {
    /// The bundles whose lead holds these bytes, in the cloud or in an attempt that is open, in any mapping.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn holders(&self, hash: ContentHash) -> Result<Vec<Key>, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT DISTINCT mapping.name, bundle.path FROM part
                 JOIN bundle ON bundle.id = part.bundle JOIN mapping ON mapping.id = bundle.mapping
                 WHERE part.hash = ?1 AND part.position = 0 LIMIT ?2",
            )?;
            keys(statement.query(params![hash.0, MOST])?)
        })
    }

    /// The files of a mapping that were last seen with exactly this stat.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn seen_as(&self, mapping: &MappingName, at: &Fingerprint) -> Result<Vec<RelPath>, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT directory.path, file.name FROM file JOIN directory ON directory.id = file.directory
                 WHERE file.inode = ?2 AND file.size = ?3 AND file.mtime = ?4 AND file.ctime = ?5
                 AND directory.mapping = (SELECT id FROM mapping WHERE name = ?1) LIMIT ?6",
            )?;
            let mut rows = statement.query(params![
                mapping.as_str(),
                at.inode.cast_signed(),
                at.size.cast_signed(),
                at.mtime.nanos(),
                at.ctime.nanos(),
                MOST
            ])?;
            let mut paths = Vec::new();
            while let Some(row) = rows.next()? {
                let (dir, name): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
                paths.extend(RelPath::from_bytes(&dir).and_then(|dir| dir.join(&name)).ok());
            }
            Ok(paths)
        })
    }

    /// How many bundles of a mapping are known.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn count(&self, mapping: &MappingName) -> Result<u64, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT count(*) FROM bundle WHERE mapping = (SELECT id FROM mapping WHERE name = ?1)",
            )?;
            let count: i64 = statement.query_row([mapping.as_str()], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
    }

    /// The bundles with more than `kept` versions that were replaced, in path order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn keys_with_replaced(&self, mapping: &MappingName, kept: u32) -> Result<Vec<Key>, Error> {
        self.read(|db| with_replaced(db, mapping, kept))
    }

    /// The remote folders of a directory and of those below it.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn shelves_below(&self, mapping: &MappingName, dir: &RelPath) -> Result<Vec<FolderId>, Error> {
        self.read(|db| {
            let mut shelves = Vec::new();
            for dir in directories(db, mapping, dir)? {
                shelves.extend(tree::shelf(db, mapping, &dir)?);
            }
            Ok(shelves)
        })
    }

    /// Whether a remote file is current for another bundle, too.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn is_shared(&self, file: SourceFileId, owner: &Key) -> Result<bool, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT 1 FROM part JOIN bundle ON bundle.id = part.bundle
                 JOIN mapping ON mapping.id = bundle.mapping
                 WHERE part.source_file = ?1 AND NOT (mapping.name = ?2 AND bundle.path = ?3)",
            )?;
            let file = file.uuid().into_bytes();
            Ok(statement.exists(params![file, owner.mapping.as_str(), owner.path.as_bytes()])?)
        })
    }

    /// Whether a remote file is about to be taken away.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn is_doomed(&self, file: SourceFileId) -> Result<bool, Error> {
        self.read(|db| {
            let mut statement =
                db.prepare_cached("SELECT 1 FROM copy WHERE source_file = ?1 AND role = 'doomed'")?;
            Ok(statement.exists([file.uuid().into_bytes()])?)
        })
    }

    /// Whether a remote file is part of an earlier version of another bundle.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn is_earlier_elsewhere(&self, file: SourceFileId, owner: &Key) -> Result<bool, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT 1 FROM copy JOIN bundle ON bundle.id = copy.bundle
                 JOIN mapping ON mapping.id = bundle.mapping
                 WHERE copy.source_file = ?1 AND copy.role IN ('superseded', 'archived')
                     AND NOT (mapping.name = ?2 AND bundle.path = ?3)",
            )?;
            let file = file.uuid().into_bytes();
            Ok(statement.exists(params![file, owner.mapping.as_str(), owner.path.as_bytes()])?)
        })
    }

    /// Writes a bundle that moved at its new place and forgets the old one, in one transaction; only if the old one is still as
    /// `expected`.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn relocate(
        &self,
        from: &Key,
        expected: &Entry,
        to: &Key,
        entry: &Entry,
        members: &[(RelPath, Seen)],
        at: Timestamp,
    ) -> Result<Swapped, Error> {
        self.write(|db, _| {
            if current(db, from)?.as_ref() != Some(expected) {
                return Ok(Swapped::Stale);
            }
            save::save(db, from, &Entry::default(), at, Rewrite::All)?;
            tree::put_references(db, from, &[])?;
            names::put_sought(db, from, &BTreeSet::new())?;
            for (path, seen) in members {
                members::put_seen(db, to, path, seen)?;
            }
            save::save(db, to, entry, at, Rewrite::All)?;
            journal::add(db, to, &format!("moved here from {from}; nothing was sent"), at)?;
            journal::add(db, from, &format!("moved to {to}"), at)?;
            Ok(Swapped::Yes)
        })
    }

    /// Hands a bundle on to one of its members, whose lead is gone: what lives in the cloud is that one's from now on, and so is
    /// what it refers to. In one transaction, and only if the old lead is still as `expected`.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn hand_on(&self, from: &Key, expected: &Entry, to: &Key, at: Timestamp) -> Result<Swapped, Error> {
        self.write(|db, _| {
            let is_heir_free = current(db, to)?.is_none_or(|it| it.is_unsent());
            if current(db, from)?.as_ref() != Some(expected) || !is_heir_free {
                return Ok(Swapped::Stale);
            }
            let mut references = members::known_references(db, from)?;
            references.retain(|(member, _)| *member != to.path);
            let seen = members::seen(db, to)?;
            let entry = Entry { seen, ..handed_on(expected, from, to) };
            save::save(db, from, &Entry::default(), at, Rewrite::All)?;
            tree::put_references(db, from, &[])?;
            save::save(db, to, &entry, at, Rewrite::All)?;
            tree::put_references(db, to, &references)?;
            journal::add(db, to, &format!("leads the series now, since {from} is gone"), at)?;
            journal::add(db, from, &format!("gone from disk; {to} leads the series now"), at)?;
            Ok(Swapped::Yes)
        })
    }

    /// As [`Ledger::put_bundle`], only if the bundle is still as `expected`: for what was found out while others may have
    /// moved it.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn put_unless_moved(
        &self,
        key: &Key,
        expected: &Entry,
        entry: &Entry,
        note: Option<&str>,
        at: Timestamp,
    ) -> Result<Swapped, Error> {
        self.write(|db, damaged| {
            match current(db, key)? {
                Some(found) if found != *expected => return Ok(Swapped::Stale),
                Some(_) | None => {}
            }
            save::save(db, key, entry, at, super::rewrite(damaged, key))?;
            note.map_or(Ok(()), |note| journal::add(db, key, note, at))?;
            Ok(Swapped::Yes)
        })
    }

    /// Renames a directory with everything that is known in and below it, in one transaction. Returns the bundles that have to
    /// be looked at since something that they refer to did not move with them; a restart looks at them too. None if something is
    /// known below `to` by now, which would be lost; then nothing is written.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn rename_directory(
        &self,
        mapping: &MappingName,
        from: &RelPath,
        to: &RelPath,
        at: Timestamp,
    ) -> Result<Option<Vec<Key>>, Error> {
        self.write(|db, _| rename_directory(db, mapping, from, to, at))
    }
}

/// The bundles with more than `kept` versions that were replaced, or with one that was about to be taken away, in path order.
/// Files of one version were replaced at one moment.
pub(super) fn with_replaced(db: &Connection, mapping: &MappingName, kept: u32) -> Result<Vec<Key>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT mapping.name, bundle.path FROM copy JOIN bundle ON bundle.id = copy.bundle
         JOIN mapping ON mapping.id = bundle.mapping
         WHERE copy.role IN ('superseded', 'doomed') AND mapping.name = ?1
         GROUP BY bundle.id
         HAVING count(DISTINCT CASE copy.role WHEN 'superseded' THEN copy.since END) > ?2
             OR sum(copy.role = 'doomed') > 0
         ORDER BY bundle.path",
    )?;
    keys(statement.query(params![mapping.as_str(), kept])?)
}

/// What lives in the cloud, as the heir's: its part leads if it has one, or the version would never count as the heir's again
/// should the old lead come back. What is wanted is what is left, so that a restart looks at it.
fn handed_on(entry: &Entry, from: &Key, to: &Key) -> Entry {
    let mut entry = Entry { wanted: None, aside: None, ..entry.clone() };
    if let Some(current) = &mut entry.current {
        if let Some(heir) = current.members.iter_mut().find(|member| member.part.path == to.path) {
            std::mem::swap(&mut current.lead, heir);
        }
        let left = current.parts().map(|it| &it.part).filter(|part| part.path != from.path).cloned();
        entry.wanted = Some(version_of(&left.collect::<Vec<_>>()));
    }
    entry
}

/// What the ledger believes of a bundle; none if its row is damaged.
fn current(db: &Connection, key: &Key) -> Result<Option<Entry>, Error> {
    match load::load(db, key) {
        Ok(entry) => Ok(Some(entry.unwrap_or_default())),
        Err(Fault::Damage) => Ok(None),
        Err(Fault::Error(error)) => Err(error),
    }
}

fn keys(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let (mapping, path): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let mapping = MappingName::new(&mapping);
        keys.extend(RelPath::from_bytes(&path).ok().map(|path| Key::new(mapping, path)));
    }
    Ok(keys)
}

/// What is known below a directory, in the form that its seals cover: paths are part of them.
struct Luggage {
    entries: Vec<(RelPath, Entry)>,
    members: Vec<(RelPath, Seen)>,
    shelves: Vec<(RelPath, FolderId)>,
    references: Vec<(RelPath, Vec<(RelPath, String)>)>,
    sought: Vec<(RelPath, BTreeSet<Vec<u8>>)>,
}

fn rename_directory(
    db: &Connection,
    mapping: &MappingName,
    from: &RelPath,
    to: &RelPath,
    at: Timestamp,
) -> Result<Option<Vec<Key>>, Error> {
    if !tree::keys(db, mapping, to, Which::All, None, 1)?.is_empty() {
        return Ok(None);
    }
    let luggage = pack(db, mapping, from)?;
    let id = tree::mapping(db, mapping)?;
    let parent = tree::directory(db, id, &to.parent())?;
    rename_rows(db, id, parent, from, to)?;
    let moved = |path: &RelPath| path.rebased(from, to).unwrap_or_else(|| path.clone());
    for (path, entry) in &luggage.entries {
        let key = Key::new(mapping.clone(), moved(path));
        save::save(db, &key, &rebased(entry, from, to), at, Rewrite::All)?;
    }
    for (path, seen) in &luggage.members {
        let key = Key::new(mapping.clone(), moved(path));
        let directory = tree::directory(db, id, &key.path.parent())?;
        save::save_seen(db, directory, &key, Some((seen, seal::seen(&key, seen))))?;
    }
    for (path, folder) in &luggage.shelves {
        tree::put_shelf(db, mapping, &moved(path), *folder)?;
    }
    let mut torn = BTreeSet::new();
    for (lead, references) in &luggage.references {
        let key = Key::new(mapping.clone(), moved(lead));
        let references: Vec<_> =
            references.iter().map(|(member, written)| (moved(member), written.clone())).collect();
        if references.iter().any(|(member, _)| !member.is_below(to)) {
            torn.insert(key.clone());
        }
        tree::put_references(db, &Key::new(mapping.clone(), lead.clone()), &[])?;
        tree::put_references(db, &key, &references)?;
    }
    for (lead, sought) in &luggage.sought {
        names::put_sought(db, &Key::new(mapping.clone(), lead.clone()), &BTreeSet::new())?;
        names::put_sought(db, &Key::new(mapping.clone(), moved(lead)), sought)?;
    }
    torn.extend(left_behind(db, mapping, from)?);
    for key in &torn {
        db.prepare_cached("UPDATE bundle SET marked = 1 WHERE mapping = ?1 AND path = ?2")?
            .execute(params![id, key.path.as_bytes()])?;
    }
    let note = format!("the directory {from} was renamed to {to}; nothing was sent");
    for (path, _) in &luggage.entries {
        journal::add(db, &Key::new(mapping.clone(), moved(path)), &note, at)?;
    }
    Ok(Some(torn.into_iter().collect()))
}

fn pack(db: &Connection, mapping: &MappingName, from: &RelPath) -> Result<Luggage, Error> {
    let keys = tree::keys(db, mapping, from, Which::All, None, usize::MAX)?;
    let mut entries = Vec::new();
    let mut references = Vec::new();
    let mut sought = Vec::new();
    for key in keys {
        // A damaged row is believed in nothing, also at its new place.
        if let Some(entry) = current(db, &key)? {
            entries.push((key.path.clone(), entry));
        }
        let looked_for = names::sought(db, &key)?;
        if !looked_for.is_empty() {
            sought.push((key.path.clone(), looked_for));
        }
        let carried = members::known_references(db, &key)?;
        if !carried.is_empty() {
            references.push((key.path, carried));
        }
    }
    let mut seen = Vec::new();
    for path in members::members_below(db, mapping, from)? {
        let is_lead = entries.binary_search_by(|(lead, _)| lead.cmp(&path)).is_ok();
        if let (false, Some(it)) = (is_lead, members::seen(db, &Key::new(mapping.clone(), path.clone()))?) {
            seen.push((path, it));
        }
    }
    let mut shelves = Vec::new();
    for dir in directories(db, mapping, from)? {
        if let Some(folder) = tree::shelf(db, mapping, &dir)? {
            shelves.push((dir, folder));
        }
    }
    Ok(Luggage { entries, members: seen, shelves, references, sought })
}

/// A directory and those below it that are known.
fn directories(db: &Connection, mapping: &MappingName, dir: &RelPath) -> Result<Vec<RelPath>, Error> {
    let (from, to) = tree::below(dir);
    let mut statement = db.prepare_cached(
        "SELECT path FROM directory WHERE mapping = (SELECT id FROM mapping WHERE name = ?1)
         AND (path = ?2 OR (path >= ?3 AND (?4 IS NULL OR path < ?4)))",
    )?;
    let mut rows = statement.query(params![mapping.as_str(), dir.as_bytes(), from, to])?;
    let mut paths = Vec::new();
    while let Some(row) = rows.next()? {
        match Cells::of(row).path() {
            Ok(path) => paths.push(path),
            Err(Fault::Damage) => {}
            Err(Fault::Error(error)) => return Err(error),
        }
    }
    Ok(paths)
}

/// The paths of the rows themselves. What hangs on a directory or a bundle goes with it.
fn rename_rows(
    db: &Connection,
    mapping: i64,
    parent: i64,
    from: &RelPath,
    to: &RelPath,
) -> Result<(), Error> {
    let (low, high) = tree::below(from);
    let (new_low, new_high) = tree::below(to);
    // Directories that a walk has met at the new place hold no bundle yet: those that come take theirs.
    db.prepare_cached(
        "DELETE FROM directory WHERE mapping = ?1 AND (path = ?2 OR (path >= ?3 AND path < ?4))",
    )?
    .execute(params![mapping, to.as_bytes(), new_low, new_high])?;
    let length = i64::try_from(from.as_bytes().len()).unwrap_or(i64::MAX);
    db.prepare_cached(
        "UPDATE directory SET path = CAST(?2 || substr(path, ?3 + 1) AS BLOB), digest = NULL,
                parent = CASE WHEN path = ?4 THEN ?7 ELSE parent END
         WHERE mapping = ?1 AND (path = ?4 OR (path >= ?5 AND path < ?6))",
    )?
    .execute(params![mapping, to.as_bytes(), length, from.as_bytes(), low, high, parent])?;
    db.prepare_cached(
        "UPDATE bundle SET path = CAST(?2 || substr(path, ?3 + 1) AS BLOB)
         WHERE mapping = ?1 AND path >= ?4 AND path < ?5",
    )?
    .execute(params![mapping, to.as_bytes(), length, low, high])?;
    db.prepare_cached("UPDATE directory SET digest = NULL WHERE mapping = ?1 AND path IN (?2, ?3)")?
        .execute(params![mapping, from.parent().as_bytes(), to.parent().as_bytes()])?;
    Ok(())
}

/// An entry whose parts lie at their new paths.
fn rebased(entry: &Entry, from: &RelPath, to: &RelPath) -> Entry {
    let mut entry = entry.clone();
    if let Some(current) = &mut entry.current {
        for part in std::iter::once(&mut current.lead).chain(&mut current.members) {
            if let Some(path) = part.part.path.rebased(from, to) {
                part.part.path = path;
            }
        }
    }
    entry
}

/// Bundles elsewhere that refer to something that was below a directory.
fn left_behind(db: &Connection, mapping: &MappingName, from: &RelPath) -> Result<Vec<Key>, Error> {
    let (low, high) = tree::below(from);
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT mapping.name, reference.lead FROM reference JOIN mapping ON mapping.id = reference.mapping
         WHERE mapping.name = ?1 AND reference.member >= ?2 AND (?3 IS NULL OR reference.member < ?3)",
    )?;
    keys(statement.query(params![mapping.as_str(), low, high])?)
}
