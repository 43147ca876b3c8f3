//! Mappings and directories as the ledger knows them, what lies in them, and the keys found by where they lie. Knows no
//! entry from within: only its state and what was seen of its lead.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::file::sighting::Seen;
use crate::file::{Key, MappingName, RelPath, State};
use crate::id::FolderId;

use super::error::Error;
use super::row::{Cells, Fault};
use super::seal::{self, Sum};

/// What a listing of a directory looked like when everything in it was at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// What the ledger knows of a directory: its direct children, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The leads of bundles in it.
    pub files: Vec<Known>,
    /// The directories in it that hold, or once held, something that is known.
    pub directories: Vec<Vec<u8>>,
    /// What it looked like at rest, if nothing has changed since.
    pub digest: Option<Digest>,
}

/// A lead in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: Vec<u8>,
    /// What was last read of it; none if that row is damaged, so that it is read again.
    pub seen: Option<Seen>,
    /// Where the bundle stands.
    pub state: State,
}

/// The id of a mapping; none if nothing was ever written of it.
pub(super) fn find_mapping(db: &Connection, name: &MappingName) -> Result<Option<i64>, Error> {
    let mut statement = db.prepare_cached("SELECT id FROM mapping WHERE name = ?1")?;
    Ok(statement.query_row([name.as_str()], |row| row.get(0)).optional()?)
}

/// The id of a mapping, which is made if it is new.
pub(super) fn mapping(db: &Connection, name: &MappingName) -> Result<i64, Error> {
    if let Some(id) = find_mapping(db, name)? {
        return Ok(id);
    }
    db.prepare_cached("INSERT INTO mapping (name) VALUES (?1)")?.execute([name.as_str()])?;
    Ok(db.last_insert_rowid())
}

/// The names of all mappings, in their order.
pub(super) fn mappings(db: &Connection) -> Result<Vec<MappingName>, Error> {
    let mut statement = db.prepare_cached("SELECT name FROM mapping ORDER BY name")?;
    let names = statement.query_map([], |row| Ok(MappingName::new(row.get_ref(0)?.as_str()?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn find_directory(db: &Connection, mapping: i64, path: &RelPath) -> Result<Option<i64>, Error> {
    let mut statement = db.prepare_cached("SELECT id FROM directory WHERE mapping = ?1 AND path = ?2")?;
    Ok(statement.query_row(params![mapping, path.as_bytes()], |row| row.get(0)).optional()?)
}

/// The id of a directory, which is made with all that are above it if it is new.
pub(super) fn directory(db: &Connection, mapping: i64, path: &RelPath) -> Result<i64, Error> {
    if let Some(id) = find_directory(db, mapping, path)? {
        return Ok(id);
    }
    // Paths may be deep, so this climbs in a loop: up to a directory that is known, then down again.
    let mut missing = vec![path.clone()];
    let mut parent = None;
    while let Some(lowest) = missing.last().filter(|path| !path.is_root()) {
        let above = lowest.parent();
        parent = find_directory(db, mapping, &above)?;
        if parent.is_some() {
            break;
        }
        missing.push(above);
    }
    for path in missing.iter().rev() {
        db.prepare_cached("INSERT INTO directory (mapping, path, parent) VALUES (?1, ?2, ?3)")?
            .execute(params![mapping, path.as_bytes(), parent])?;
        parent = Some(db.last_insert_rowid());
    }
    Ok(parent.unwrap_or_default())
}

/// The direct children of a directory.
pub(super) fn listing(db: &Connection, mapping: &MappingName, dir: &RelPath) -> Result<Listing, Error> {
    let Some(id) = find_mapping(db, mapping)? else { return Ok(Listing::default()) };
    let Some(directory) = find_directory(db, id, dir)? else { return Ok(Listing::default()) };
    // Bundles of one directory share all of their path but the name, so path order is name order.
    let mut statement = db.prepare_cached(
        "SELECT bundle.path, bundle.state, file.size, file.mtime, file.ctime, file.inode, file.device, file.hash,
                file.hashed_size, file.trust, file.sum
         FROM bundle LEFT JOIN file
              ON file.directory = ?1 AND file.name = substr(bundle.path, ?2)
         WHERE bundle.directory = ?1 ORDER BY bundle.path",
    )?;
    let prefix = if dir.is_root() { 0 } else { dir.as_bytes().len() + 1 };
    let from = i64::try_from(prefix).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = statement.query(params![directory, from])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        // A row without a readable path is no child; the file it stood for will look like a new one.
        match known(mapping, dir, &Cells::of(row)) {
            Ok(known) => files.push(known),
            Err(Fault::Damage) => {}
            Err(Fault::Error(error)) => return Err(error),
        }
    }
    let mut statement = db.prepare_cached("SELECT path FROM directory WHERE parent = ?1 ORDER BY path")?;
    let children = statement.query_map([directory], |row| {
        Ok(row.get_ref(0)?.as_blob()?.get(prefix..).unwrap_or_default().to_vec())
    })?;
    let directories = children.collect::<Result<_, _>>()?;
    Ok(Listing { files, directories, digest: digest(db, mapping, dir)? })
}

fn known(mapping: &MappingName, dir: &RelPath, cells: &Cells<'_>) -> Result<Known, Fault> {
    let path = cells.path()?;
    if path.parent() != *dir {
        return Err(Fault::Damage);
    }
    // An unknown word, like a damaged file row, makes the bundle one that has to be looked at.
    let state = cells.state().ok();
    let seen = cells.seen().ok().flatten();
    let sum = cells.maybe_array().ok().flatten();
    let name = path.name().to_vec();
    let key = Key::new(mapping.clone(), path);
    let seen = seen.filter(|seen| state.is_some() && sum == Some(seal::seen(&key, seen)));
    Ok(Known { name, seen, state: state.unwrap_or(State::Ready) })
}

/// What a directory looked like at rest.
pub(super) fn digest(db: &Connection, mapping: &MappingName, dir: &RelPath) -> Result<Option<Digest>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT digest FROM directory
         WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND path = ?2",
    )?;
    let mut rows = statement.query(params![mapping.as_str(), dir.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    // A digest that cannot be read is none: the directory is compared file by file.
    Ok(Cells::of(row).maybe_array().ok().flatten().map(Digest))
}

/// Remembers what a directory looks like at rest, or forgets it.
pub(super) fn put_digest(
    db: &Connection,
    mapping: &MappingName,
    dir: &RelPath,
    digest: Option<Digest>,
) -> Result<(), Error> {
    let mapping = self::mapping(db, mapping)?;
    let directory = match digest {
        Some(_) => directory(db, mapping, dir)?,
        None => match find_directory(db, mapping, dir)? {
            Some(directory) => directory,
            None => return Ok(()),
        },
    };
    db.prepare_cached("UPDATE directory SET digest = ?2 WHERE id = ?1")?
        .execute(params![directory, digest.map(|digest| digest.0)])?;
    Ok(())
}

/// Forgets the directories at and below `dir` that hold no bundle any more, not even further down.
pub(super) fn forget_directories(db: &Connection, mapping: &MappingName, dir: &RelPath) -> Result<(), Error> {
    let Some(mapping) = find_mapping(db, mapping)? else { return Ok(()) };
    let (from, to) = below(dir);
    // Joining two blobs makes a text, which is never equal to a blob: hence the casts.
    db.prepare_cached(
        "DELETE FROM directory WHERE mapping = ?1 AND (path = ?2 OR (path >= ?3 AND (?4 IS NULL OR path < ?4)))
         AND path <> x'' AND NOT EXISTS (
             SELECT 1 FROM bundle WHERE bundle.mapping = ?1
             AND bundle.path > CAST(directory.path || x'2f' AS BLOB)
             AND bundle.path < CAST(directory.path || x'30' AS BLOB))",
    )?
    .execute(params![mapping, dir.as_bytes(), from, to])?;
    Ok(())
}

/// Bounds of the paths strictly below a directory: from the first up to the second, which is open for the root.
pub(super) fn below(dir: &RelPath) -> (Vec<u8>, Option<Vec<u8>>) {
    if dir.is_root() {
        return (Vec::new(), None);
    }
    let bound = |last: u8| [dir.as_bytes(), &[last]].concat();
    (bound(b'/'), Some(bound(b'/' + 1)))
}

/// Which bundles are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    /// Every one.
    All,
    /// Those that a restart has to look at.
    Open,
}

/// The bundles below `dir` that come after `after`, in path order, at most `limit`.
pub(super) fn keys(
    db: &Connection,
    mapping: &MappingName,
    dir: &RelPath,
    which: Which,
    after: Option<&RelPath>,
    limit: usize,
) -> Result<Vec<Key>, Error> {
    let Some(id) = find_mapping(db, mapping)? else { return Ok(Vec::new()) };
    let (from, _) = below(dir);
    let mut statement = db.prepare_cached(match which {
        Which::All => "SELECT path FROM bundle WHERE mapping = ?1 AND path > ?2 ORDER BY path LIMIT ?3",
        Which::Open => {
            "SELECT path FROM bundle WHERE mapping = ?1 AND (open = 1 OR marked = 1) AND path > ?2
             ORDER BY path LIMIT ?3"
        }
    })?;
    // One bound, or each page would begin at the first: SQLite seeks by one of two. No path ends in a slash, so none is lost.
    let after = after.map(RelPath::as_bytes).unwrap_or_default().max(&from);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![id, after, limit])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let path = match Cells::of(row).path() {
            Ok(path) => path,
            Err(Fault::Damage) => continue,
            Err(Fault::Error(error)) => return Err(error),
        };
        // Paths below a directory stand together, so the first that is elsewhere is the end.
        if !path.is_below(dir) {
            break;
        }
        keys.push(Key::new(mapping.clone(), path));
    }
    Ok(keys)
}

/// The bundles in a state, in path order.
pub(super) fn keys_in_state(db: &Connection, mapping: &MappingName, state: State) -> Result<Vec<Key>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT path FROM bundle WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND state = ?2
         ORDER BY +path", // the plus keeps SQLite from walking all paths in order: few are in the state that is asked for
    )?;
    paths(statement.query(params![mapping.as_str(), state.word()])?, mapping)
}

/// At most `limit` bundles in a state, in path order; of more, those that were known first. Sorting all of a million to
/// show twenty would take seconds.
pub(super) fn some_in_state(
    db: &Connection,
    mapping: &MappingName,
    state: State,
    limit: usize,
) -> Result<Vec<Key>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT path FROM bundle WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND state = ?2 LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut keys = paths(statement.query(params![mapping.as_str(), state.word(), limit])?, mapping)?;
    keys.sort_unstable();
    Ok(keys)
}

/// The bundles with a superseded version that left assets behind, the latest replacement first.
pub(super) fn replaced(db: &Connection, mapping: &MappingName, limit: usize) -> Result<Vec<Key>, Error> {
    // It begins at the copies, which are few beside the bundles; CROSS keeps SQLite from turning that round.
    let mut statement = db.prepare_cached(
        "SELECT bundle.path FROM (
             SELECT DISTINCT copy.bundle AS id FROM copy WHERE copy.role = 'superseded' AND EXISTS (
                 SELECT 1 FROM asset
                 WHERE asset.bundle = copy.bundle AND asset.slot = 'copy' AND asset.owner = copy.position)
         ) AS old CROSS JOIN bundle ON bundle.id = old.id
         WHERE bundle.mapping = (SELECT id FROM mapping WHERE name = ?1) AND bundle.current_since IS NOT NULL
         ORDER BY bundle.current_since DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    paths(statement.query(params![mapping.as_str(), limit])?, mapping)
}

/// The leads that refer to a file, in path order.
pub(super) fn leads_of(db: &Connection, mapping: &MappingName, member: &RelPath) -> Result<Vec<Key>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT lead FROM reference
         WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND member = ?2 ORDER BY lead",
    )?;
    paths(statement.query(params![mapping.as_str(), member.as_bytes()])?, mapping)
}

pub(super) fn paths(mut rows: rusqlite::Rows<'_>, mapping: &MappingName) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        match Cells::of(row).path() {
            Ok(path) => keys.push(Key::new(mapping.clone(), path)),
            Err(Fault::Damage) => {}
            Err(Fault::Error(error)) => return Err(error),
        }
    }
    Ok(keys)
}

/// Replaces what a lead refers to: each file with the reference as it is written.
pub(super) fn put_references(
    db: &Connection,
    lead: &Key,
    references: &[(RelPath, String)],
) -> Result<(), Error> {
    let mapping = mapping(db, &lead.mapping)?;
    // Whose a file is to send may change with this, so where it lies is compared file by file once more.
    let before = "SELECT member FROM reference WHERE mapping = ?1 AND lead = ?2";
    let mut before = db.prepare_cached(before)?;
    let before = before
        .query_map(params![mapping, lead.path.as_bytes()], |row| Ok(row.get_ref(0)?.as_blob()?.to_vec()))?;
    let mut members = before.collect::<Result<Vec<_>, _>>()?;
    members.extend(references.iter().map(|(member, _)| member.as_bytes().to_vec()));
    let parents: std::collections::BTreeSet<_> =
        members.iter().filter_map(|member| Some(RelPath::from_bytes(member).ok()?.parent())).collect();
    for parent in parents {
        db.prepare_cached("UPDATE directory SET digest = NULL WHERE mapping = ?1 AND path = ?2")?
            .execute(params![mapping, parent.as_bytes()])?;
    }
    db.prepare_cached("DELETE FROM reference WHERE mapping = ?1 AND lead = ?2")?
        .execute(params![mapping, lead.path.as_bytes()])?;
    for ((member, written), position) in references.iter().zip(0_i64..) {
        db.prepare_cached(
            "INSERT INTO reference (mapping, lead, position, member, written) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![mapping, lead.path.as_bytes(), position, member.as_bytes(), written])?;
    }
    Ok(())
}

/// The remote folder of a directory; none if it is not known, or if the row is damaged.
pub(super) fn shelf(
    db: &Connection,
    mapping: &MappingName,
    dir: &RelPath,
) -> Result<Option<FolderId>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT shelf.folder, shelf.sum FROM directory JOIN shelf ON shelf.directory = directory.id
         WHERE directory.mapping = (SELECT id FROM mapping WHERE name = ?1) AND directory.path = ?2",
    )?;
    let mut rows = statement.query(params![mapping.as_str(), dir.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let cells = Cells::of(row);
    let folder = cells.id(FolderId::from_uuid).ok();
    let sum: Option<Sum> = cells.array().ok();
    let key = Key::new(mapping.clone(), dir.clone());
    Ok(folder.filter(|folder| sum == Some(seal::shelf(&key, *folder))))
}

/// Remembers the remote folder of a directory.
pub(super) fn put_shelf(
    db: &Connection,
    mapping: &MappingName,
    dir: &RelPath,
    folder: FolderId,
) -> Result<(), Error> {
    let id = self::mapping(db, mapping)?;
    let directory = directory(db, id, dir)?;
    let sum = seal::shelf(&Key::new(mapping.clone(), dir.clone()), folder);
    db.prepare_cached("INSERT OR REPLACE INTO shelf (directory, folder, sum) VALUES (?1, ?2, ?3)")?
        .execute(params![directory, folder.uuid().into_bytes(), sum])?;
    Ok(())
}

/// Forgets the remote folders of a directory and of all below it.
pub(super) fn forget_shelves(db: &Connection, mapping: &MappingName, dir: &RelPath) -> Result<(), Error> {
    let Some(mapping) = find_mapping(db, mapping)? else { return Ok(()) };
    let (from, to) = below(dir);
    db.prepare_cached(
        "DELETE FROM shelf WHERE directory IN (
             SELECT id FROM directory WHERE mapping = ?1
             AND (path = ?2 OR (path >= ?3 AND (?4 IS NULL OR path < ?4))))",
    )?
    .execute(params![mapping, dir.as_bytes(), from, to])?;
    Ok(())
}
