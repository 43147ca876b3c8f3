//! One entry, read from its rows. Knows no lock and no file; the caller holds the transaction.

use std::sync::LazyLock;

use rusqlite::{Connection, Row, params};

use crate::file::entry::{Aside, Asset, Attempt, Conversion, Current, Doubt, Intent, RemoteCopy, RemotePart};
use crate::file::part::PartName;
use crate::file::{Entry, Key, State};
use crate::id::{AttemptId, FolderId, SourceFileId, UploadTaskId};

use super::row::{self, Cells, Fault, present};
use super::seal::{Seals, Sum};

/// The columns of a bundle that an entry makes, in the order in which `save` gives and `load` takes them.
pub(super) const COLUMNS: [&str; 27] = [
    "state",
    "open",
    "current_version",
    "current_folder",
    "current_task",
    "current_since",
    "attempt",
    "attempt_id",
    "attempt_at",
    "attempt_version",
    "attempt_folder",
    "attempt_task",
    "absent_since",
    "absences",
    "doubt",
    "progress",
    "progress_since",
    "aside",
    "aside_reason",
    "aside_version",
    "aside_since",
    "wanted",
    "travels",
    "current_sum",
    "attempt_sum",
    "copies_sum",
    "sum",
];

const FILE: &str =
    "file.size, file.mtime, file.ctime, file.inode, file.device, file.hash, file.hashed_size, file.trust";

static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT bundle.id, {FILE}, {} FROM bundle
         JOIN mapping ON mapping.id = bundle.mapping
         LEFT JOIN file ON file.directory = bundle.directory AND file.name = ?3
         WHERE mapping.name = ?1 AND bundle.path = ?2",
        COLUMNS.map(|column| format!("bundle.{column}")).join(", ")
    )
});

/// Whether a restart has to look at a bundle of this entry.
pub(super) fn is_open(entry: &Entry, state: State) -> bool {
    entry.attempt.intent().is_some() || matches!(state, State::Ready | State::Settling)
}

/// What the ledger believes of a bundle; none if it has no row.
pub(super) fn load(db: &Connection, key: &Key) -> Result<Option<Entry>, Fault> {
    let mut statement = db.prepare_cached(&SELECT)?;
    let mut rows = statement.query(params![key.mapping.as_str(), key.path.as_bytes(), key.path.name()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    read(db, key, row).map(Some)
}

fn read(db: &Connection, key: &Key, row: &Row<'_>) -> Result<Entry, Fault> {
    let cells = Cells::of(row);
    let id = cells.number()?;
    let seen = cells.seen()?;
    let (state, open) = (cells.state()?, cells.number()?);
    let current = current(db, key, id, &cells)?;
    let attempt = attempt(db, key, id, &cells)?;
    let aside = aside(&cells)?;
    let wanted = cells.maybe_version()?;
    let travels = row::travels(cells.maybe_text()?)?;
    let (_current, _attempt) = (cells.maybe_bytes()?, cells.maybe_bytes()?);
    let copies = if cells.maybe_bytes()?.is_some() { copies(db, id)? } else { Vec::new() };
    let sum: Sum = cells.array()?;
    let entry = Entry { seen, current, attempt, copies, aside, wanted, travels };
    let is_whole = entry.state() == state
        && i64::from(is_open(&entry, state)) == open
        && Seals::of(key, &entry).whole == sum;
    if is_whole { Ok(entry) } else { Err(Fault::Damage) }
}

fn current(db: &Connection, key: &Key, bundle: i64, cells: &Cells<'_>) -> Result<Option<Current>, Fault> {
    let version = cells.maybe_version()?;
    let folder = cells.maybe_id(FolderId::from_uuid)?;
    let task = cells.maybe_id(UploadTaskId::from_uuid)?;
    let since = cells.maybe_time()?;
    let Some(version) = version else { return Ok(None) };
    let mut assets = assets(db, bundle, "current")?.into_iter().peekable();
    let mut parts = Vec::new();
    each_part(db, bundle, "current", |position, cells| {
        let part = cells.part(&key.path)?;
        let (source_file, title) = (cells.id(SourceFileId::from_uuid)?, cells.title()?);
        let assets = std::iter::from_fn(|| assets.next_if(|(owner, _)| *owner == position));
        let assets = assets.map(|(_, asset)| asset).collect();
        parts.push(RemotePart { part, source_file, title, assets });
        Ok(())
    })?;
    let mut parts = parts.into_iter();
    let (lead, folder, since) = (present(parts.next())?, present(folder)?, present(since)?);
    Ok(Some(Current { version, folder, task, since, lead, members: parts.collect() }))
}

fn attempt(db: &Connection, key: &Key, bundle: i64, cells: &Cells<'_>) -> Result<Attempt, Fault> {
    let word = cells.text()?;
    let id = cells.maybe_id(AttemptId::from_uuid)?;
    let at = cells.maybe_time()?;
    let version = cells.maybe_version()?;
    let folder = cells.maybe_id(FolderId::from_uuid)?;
    let task = cells.maybe_id(UploadTaskId::from_uuid)?;
    let absent_since = cells.maybe_time()?;
    let absences = cells.maybe_count()?;
    let why = cells.maybe_text()?;
    let progress = cells.maybe_text()?;
    let since = cells.maybe_time()?;
    if word == Attempt::Idle.word() {
        return Ok(Attempt::Idle);
    }
    let mut parts = Vec::new();
    each_part(db, bundle, "attempt", |_, cells| {
        parts.push(cells.part(&key.path)?);
        Ok(())
    })?;
    let intent = Intent {
        id: present(id)?,
        at: present(at)?,
        version: present(version)?,
        folder: present(folder)?,
        parts,
        fence: fence(db, bundle)?,
    };
    match word {
        "intended" => Ok(Attempt::Intended(intent)),
        "ambiguous" => {
            let (absences, why) = (present(absences)?, present(why)?.into());
            Ok(Attempt::Ambiguous(intent, Doubt { absent_since, absences, why }))
        }
        "sent" => Ok(Attempt::Sent(intent, present(task)?)),
        "converting" => {
            let files = conversion(db, bundle)?;
            let (progress, since) = (present(progress)?.into(), present(since)?);
            Ok(Attempt::Converting(intent, Conversion { task, files, progress, since }))
        }
        _ => Err(Fault::Damage),
    }
}

fn aside(cells: &Cells<'_>) -> Result<Option<Aside>, Fault> {
    let state = cells.maybe_text()?;
    let reason = cells.maybe_text()?;
    let version = cells.maybe_version()?;
    let since = cells.maybe_time()?;
    let Some(word) = state else { return Ok(None) };
    let state = Cells::aside_state(word)?;
    Ok(Some(Aside { state, reason: present(reason)?.into(), version, since: present(since)? }))
}

fn each_part(
    db: &Connection,
    bundle: i64,
    slot: &str,
    mut take: impl FnMut(i64, &Cells<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = db.prepare_cached(
        "SELECT position, name, path, size, hash, source_file, title FROM part
         WHERE bundle = ?1 AND slot = ?2 ORDER BY position",
    )?;
    let mut rows = statement.query(params![bundle, slot])?;
    while let Some(row) = rows.next()? {
        let cells = Cells::of(row);
        take(cells.number()?, &cells)?;
    }
    Ok(())
}

/// The assets of a slot, each with the position of the part or copy that it belongs to.
fn assets(db: &Connection, bundle: i64, slot: &str) -> Result<Vec<(i64, Asset)>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT owner, id, kind, name FROM asset WHERE bundle = ?1 AND slot = ?2 ORDER BY owner, position",
    )?;
    collect(statement.query(params![bundle, slot])?, |cells| Ok((cells.number()?, cells.asset()?)))
}

fn copies(db: &Connection, bundle: i64) -> Result<Vec<RemoteCopy>, Fault> {
    let mut assets = assets(db, bundle, "copy")?.into_iter().peekable();
    let mut statement = db.prepare_cached(
        "SELECT position, source_file, folder, name, role, title, version, since FROM copy
         WHERE bundle = ?1 ORDER BY position",
    )?;
    collect(statement.query([bundle])?, |cells| {
        let position = cells.number()?;
        Ok(RemoteCopy {
            source_file: cells.id(SourceFileId::from_uuid)?,
            folder: cells.id(FolderId::from_uuid)?,
            name: cells.part_name()?,
            role: cells.role()?,
            title: cells.title()?,
            version: cells.maybe_version()?,
            since: cells.time()?,
            assets: std::iter::from_fn(|| assets.next_if(|(owner, _)| *owner == position))
                .map(|(_, asset)| asset)
                .collect(),
        })
    })
}

fn fence(db: &Connection, bundle: i64) -> Result<Vec<SourceFileId>, Fault> {
    let mut statement =
        db.prepare_cached("SELECT source_file FROM fence WHERE bundle = ?1 ORDER BY position")?;
    collect(statement.query([bundle])?, |cells| cells.id(SourceFileId::from_uuid))
}

fn conversion(db: &Connection, bundle: i64) -> Result<Vec<(PartName, SourceFileId)>, Fault> {
    let mut statement =
        db.prepare_cached("SELECT name, source_file FROM conversion WHERE bundle = ?1 ORDER BY position")?;
    collect(statement.query([bundle])?, |cells| Ok((cells.part_name()?, cells.id(SourceFileId::from_uuid)?)))
}

fn collect<T>(
    mut rows: rusqlite::Rows<'_>,
    mut take: impl FnMut(&Cells<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(take(&Cells::of(row))?);
    }
    Ok(all)
}
