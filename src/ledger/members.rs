//! Files that travel with others: what was last read of them, who refers to them, and who has to be looked at when they change.

use rusqlite::{Connection, params};

use crate::file::sighting::Seen;
use crate::file::{Key, MappingName, RelPath};

use super::error::Error;
use super::row::{Cells, Fault};
use super::{save, seal, tree};

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
) -> Result<Vec<(Vec<u8>, Option<Seen>)>, Error> {
    let (from, to) = tree::below(dir);
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT member FROM reference
         WHERE mapping = (SELECT id FROM mapping WHERE name = ?1)
         AND member >= ?2 AND (?3 IS NULL OR member < ?3) ORDER BY member",
    )?;
    let found = statement
        .query_map(params![mapping.as_str(), from, to], |row| Ok(row.get_ref(0)?.as_blob()?.to_vec()))?;
    let mut members = Vec::new();
    for path in found {
        let Ok(path) = RelPath::from_bytes(&path?) else { continue };
        if path.parent() == *dir {
            let name = path.name().to_vec();
            members.push((name, seen(db, &Key::new(mapping.clone(), path))?));
        }
    }
    Ok(members)
}

/// What a lead refers to, in the order in which it was put.
pub(super) fn references(db: &Connection, lead: &Key) -> Result<Vec<(RelPath, String)>, Error> {
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

/// Remembers what was read of a member of `lead`. If its bytes are others than before, every other bundle that carries it, and
/// the one that it leads itself, is marked to be looked at.
pub(super) fn put_seen(db: &Connection, lead: &Key, member: &RelPath, now: &Seen) -> Result<(), Error> {
    let key = Key::new(lead.mapping.clone(), member.clone());
    let before = seen(db, &key)?;
    if before.as_ref() == Some(now) {
        return Ok(());
    }
    let mapping = tree::mapping(db, &key.mapping)?;
    let directory = tree::directory(db, mapping, &member.parent())?;
    save::save_seen(db, directory, &key, Some((now, seal::seen(&key, now))))?;
    if before.is_none_or(|before| before.content != now.content) {
        db.prepare_cached(
            "UPDATE bundle SET open = 1 WHERE mapping = ?1 AND path <> ?3 AND (path = ?2 OR path IN
             (SELECT lead FROM reference WHERE mapping = ?1 AND member = ?2))",
        )?
        .execute(params![mapping, member.as_bytes(), lead.path.as_bytes()])?;
    }
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
