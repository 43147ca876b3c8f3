//! One entry, written to its rows. Knows no lock and no file; the caller holds the transaction.

use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::file::entry::{Asset, Attempt, Current, RemoteCopy, Title};
use crate::file::sighting::Seen;
use crate::file::{Content, Entry, Key, Part, Version};
use crate::id::SourceFileId;
use crate::timestamp::Timestamp;

use super::error::Error;
use super::load::{COLUMNS, is_open};
use super::row;
use super::seal::{Seals, Sum};
use super::tree;

/// Whether the groups of rows that a bundle has may be kept where their seals say that they are as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// Only what changed.
    Changed,
    /// Everything: some row below a good seal is known to be damaged.
    All,
}

/// What a row held before: its seals only.
#[derive(Default)]
struct Before {
    seen: Option<Sum>,
    current: Option<Sum>,
    attempt: Option<Sum>,
    copies: Option<Sum>,
}

/// Writes an entry. An entry that says nothing has no row, and reads as one that says nothing.
pub(super) fn save(
    db: &Connection,
    key: &Key,
    entry: &Entry,
    at: Timestamp,
    rewrite: Rewrite,
) -> Result<(), Error> {
    let mapping = tree::mapping(db, &key.mapping)?;
    let directory = tree::directory(db, mapping, &key.path.parent())?;
    let before = before(db, mapping, directory, key)?;
    let seals = Seals::of(key, entry);
    if before.seen != seals.seen || rewrite == Rewrite::All {
        save_seen(db, directory, key, entry.seen.as_ref().zip(seals.seen))?;
    }
    if *entry == Entry::default() {
        db.prepare_cached("DELETE FROM bundle WHERE mapping = ?1 AND path = ?2")?
            .execute(params![mapping, key.path.as_bytes()])?;
        return Ok(());
    }
    let bundle = save_bundle(db, (mapping, directory), key, entry, &seals, at)?;
    if before.current != seals.current || rewrite == Rewrite::All {
        save_current(db, key, bundle, entry.current.as_ref())?;
    }
    if before.attempt != seals.attempt || rewrite == Rewrite::All {
        save_attempt(db, key, bundle, &entry.attempt)?;
    }
    if before.copies != seals.copies || rewrite == Rewrite::All {
        save_copies(db, bundle, &entry.copies)?;
    }
    Ok(())
}

static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<_> = (5..5 + COLUMNS.len()).map(|place| format!("?{place}")).collect();
    format!(
        "INSERT INTO bundle (mapping, path, directory, written, {}) VALUES (?1, ?2, ?3, ?4, {})
         ON CONFLICT (mapping, path) DO UPDATE SET
         directory = excluded.directory, written = excluded.written, {} RETURNING id",
        COLUMNS.join(", "),
        places.join(", "),
        COLUMNS.map(|column| format!("{column} = excluded.{column}")).join(", ")
    )
});

fn before(db: &Connection, mapping: i64, directory: i64, key: &Key) -> Result<Before, Error> {
    let seen = db
        .prepare_cached("SELECT sum FROM file WHERE directory = ?1 AND name = ?2")?
        .query_row(params![directory, key.path.name()], |row| Ok(sum(row, 0)))
        .optional()?
        // A row whose seal cannot even be read is one that has to be written anew.
        .map(|sum| sum.unwrap_or_default());
    let groups = db
        .prepare_cached(
            "SELECT current_sum, attempt_sum, copies_sum FROM bundle WHERE mapping = ?1 AND path = ?2",
        )?
        .query_row(params![mapping, key.path.as_bytes()], |row| Ok((sum(row, 0), sum(row, 1), sum(row, 2))))
        .optional()?;
    let (current, attempt, copies) = groups.unwrap_or_default();
    Ok(Before { seen, current, attempt, copies })
}

fn sum(row: &Row<'_>, column: usize) -> Option<Sum> {
    row.get_ref(column).ok()?.as_blob().ok()?.try_into().ok()
}

pub(super) fn save_seen(
    db: &Connection,
    directory: i64,
    key: &Key,
    seen: Option<(&Seen, Sum)>,
) -> Result<(), Error> {
    let name = key.path.name();
    match seen {
        Some((Seen { fingerprint: at, content, trust }, sum)) => {
            db.prepare_cached(
                "INSERT OR REPLACE INTO file
                 (directory, name, size, mtime, ctime, inode, device, hash, hashed_size, trust, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                directory,
                name,
                at.size.cast_signed(),
                at.mtime.nanos(),
                at.ctime.nanos(),
                at.inode.cast_signed(),
                at.device.cast_signed(),
                content.hash.0,
                content.size.cast_signed(),
                row::trust_word(*trust),
                sum,
            ])?;
        }
        None => {
            db.prepare_cached("DELETE FROM file WHERE directory = ?1 AND name = ?2")?
                .execute(params![directory, name])?;
        }
    }
    db.prepare_cached("UPDATE directory SET digest = NULL WHERE id = ?1 AND digest IS NOT NULL")?
        .execute([directory])?;
    Ok(())
}

fn save_bundle(
    db: &Connection,
    (mapping, directory): (i64, i64),
    key: &Key,
    entry: &Entry,
    seals: &Seals,
    at: Timestamp,
) -> Result<i64, Error> {
    let current = entry.current.as_ref();
    let intent = entry.attempt.intent();
    let (doubt, task, conversion) = match &entry.attempt {
        Attempt::Idle | Attempt::Intended(_) => (None, None, None),
        Attempt::Ambiguous(_, doubt) => (Some(doubt), None, None),
        Attempt::Sent(_, task) => (None, Some(*task), None),
        Attempt::Converting(_, conversion) => (None, conversion.task, Some(conversion)),
    };
    let aside = entry.aside.as_ref();
    let state = entry.state();
    let id = db.prepare_cached(&UPSERT)?.query_row(
        params![
            mapping,
            key.path.as_bytes(),
            directory,
            at.nanos(),
            state.word(),
            is_open(entry, state),
            current.map(|it| version(it.version)),
            current.map(|it| it.folder.uuid().into_bytes()),
            current.and_then(|it| it.task).map(|task| task.uuid().into_bytes()),
            current.map(|it| it.since.nanos()),
            entry.attempt.word(),
            intent.map(|it| it.id.uuid().into_bytes()),
            intent.map(|it| it.at.nanos()),
            intent.map(|it| version(it.version)),
            intent.map(|it| it.folder.uuid().into_bytes()),
            task.map(|task| task.uuid().into_bytes()),
            doubt.and_then(|it| it.absent_since).map(Timestamp::nanos),
            doubt.map(|it| it.absences),
            doubt.map(|it| &it.why),
            conversion.map(|it| &it.progress),
            conversion.map(|it| it.since.nanos()),
            aside.map(|it| it.state.state().word()),
            aside.map(|it| &it.reason),
            aside.and_then(|it| it.version).map(version),
            aside.map(|it| it.since.nanos()),
            entry.wanted.map(version),
            row::travels_word(entry.travels),
            seals.current,
            seals.attempt,
            seals.copies,
            seals.whole,
        ],
        |row| row.get(0),
    )?;
    Ok(id)
}

fn version(version: Version) -> [u8; 32] {
    version.0.0
}

fn clear(db: &Connection, sql: &str, bundle: i64) -> Result<(), Error> {
    db.prepare_cached(sql)?.execute([bundle])?;
    Ok(())
}

fn save_current(db: &Connection, key: &Key, bundle: i64, current: Option<&Current>) -> Result<(), Error> {
    clear(db, "DELETE FROM part WHERE bundle = ?1 AND slot = 'current'", bundle)?;
    clear(db, "DELETE FROM asset WHERE bundle = ?1 AND slot = 'current'", bundle)?;
    for (remote, position) in current.into_iter().flat_map(Current::parts).zip(0_i64..) {
        save_part(
            db,
            key,
            (bundle, "current", position),
            &remote.part,
            Some((remote.source_file, remote.title)),
        )?;
        save_assets(db, (bundle, "current", position), &remote.assets)?;
    }
    Ok(())
}

fn save_attempt(db: &Connection, key: &Key, bundle: i64, attempt: &Attempt) -> Result<(), Error> {
    clear(db, "DELETE FROM part WHERE bundle = ?1 AND slot = 'attempt'", bundle)?;
    clear(db, "DELETE FROM fence WHERE bundle = ?1", bundle)?;
    clear(db, "DELETE FROM conversion WHERE bundle = ?1", bundle)?;
    let Some(intent) = attempt.intent() else { return Ok(()) };
    for (part, position) in intent.parts.iter().zip(0_i64..) {
        save_part(db, key, (bundle, "attempt", position), part, None)?;
    }
    for (file, position) in intent.fence.iter().zip(0_i64..) {
        db.prepare_cached("INSERT INTO fence (bundle, position, source_file) VALUES (?1, ?2, ?3)")?
            .execute(params![bundle, position, file.uuid().into_bytes()])?;
    }
    if let Attempt::Converting(_, conversion) = attempt {
        for ((name, file), position) in conversion.files.iter().zip(0_i64..) {
            db.prepare_cached(
                "INSERT INTO conversion (bundle, position, name, source_file) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![bundle, position, name.as_str(), file.uuid().into_bytes()])?;
        }
    }
    Ok(())
}

fn save_copies(db: &Connection, bundle: i64, copies: &[RemoteCopy]) -> Result<(), Error> {
    clear(db, "DELETE FROM copy WHERE bundle = ?1", bundle)?;
    clear(db, "DELETE FROM asset WHERE bundle = ?1 AND slot = 'copy'", bundle)?;
    for (copy, position) in copies.iter().zip(0_i64..) {
        let RemoteCopy { source_file, folder, name, role, title, version: of, assets, since } = copy;
        db.prepare_cached(
            "INSERT INTO copy (bundle, position, source_file, folder, name, role, title, version, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            bundle,
            position,
            source_file.uuid().into_bytes(),
            folder.uuid().into_bytes(),
            name.as_str(),
            row::role_word(*role),
            row::title_word(*title),
            of.map(version),
            since.nanos(),
        ])?;
        save_assets(db, (bundle, "copy", position), assets)?;
    }
    Ok(())
}

fn save_part(
    db: &Connection,
    key: &Key,
    (bundle, slot, position): (i64, &str, i64),
    part: &Part,
    remote: Option<(SourceFileId, Title)>,
) -> Result<(), Error> {
    let Part { name, path, content: Content { hash, size } } = part;
    // Most parts are the bundle's own lead under its own name: a million of them need not say so.
    let other_path = (*path != key.path).then(|| path.as_bytes());
    let other_name = (name.as_str().as_bytes() != path.name()).then(|| name.as_str());
    db.prepare_cached(
        "INSERT INTO part (bundle, slot, position, name, path, size, hash, source_file, title)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        bundle,
        slot,
        position,
        other_name,
        other_path,
        size.cast_signed(),
        hash.0,
        remote.map(|(file, _)| file.uuid().into_bytes()),
        remote.map(|(_, title)| row::title_word(title)),
    ])?;
    Ok(())
}

fn save_assets(
    db: &Connection,
    (bundle, slot, owner): (i64, &str, i64),
    assets: &[Asset],
) -> Result<(), Error> {
    for (asset, position) in assets.iter().zip(0_i64..) {
        db.prepare_cached(
            "INSERT INTO asset (bundle, slot, owner, position, id, kind, name)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            bundle,
            slot,
            owner,
            position,
            asset.id.uuid().into_bytes(),
            asset.kind,
            asset.name
        ])?;
    }
    Ok(())
}
