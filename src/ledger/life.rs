//! The lives of those that work on a ledger: on which machine, since which boot, how far the last one came, and whether it
//! ended in good order. After an unclean boot the files that were touched last are not believed by their stat.

use rusqlite::{Connection, params};

use crate::file::sighting::{Seen, Trust};
use crate::file::{Entry, Key, MappingName, RelPath};
use crate::timestamp::Timestamp;
use std::time::Duration;

use super::error::Error;
use super::row::Fault;
use super::{Ledger, Reader, journal, load, members, reading, save, seal, tree};

/// How long before the last sign of life a file may have been touched whose bytes may not have reached the disk: a kernel
/// writes them back within half a minute by itself, and a busy one takes longer.
const UNWRITTEN: Duration = Duration::from_secs(120);

const BOOT: &str = "boot";
const CLEAN: &str = "clean";
const HEARTBEAT: &str = "heartbeat";
const MACHINE: &str = "machine";
const FOREIGN: &str = "foreign";
const OOM_KILLS: &str = "oom_kills";

/// Where and when a life begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// The id that the system gave to this boot, where it tells one.
    pub boot: Option<String>,
    /// The id of this machine, where it has one.
    pub machine: Option<String>,
    /// How often the system has killed a process for want of memory since it was booted, where it tells.
    pub oom_kills: Option<u64>,
    /// The wall clock.
    pub at: Timestamp,
}

/// What the last life left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legacy {
    /// How many files are read again although their stat may be the same; none unless the machine went down without warning.
    pub doubted: Option<u64>,
    /// Whether this ledger was kept on another machine, and nobody has approved that yet.
    pub is_foreign: bool,
}

impl Ledger {
    /// Begins a life, and says what the last one left behind. If the machine was booted since and the last life never ended, the
    /// files that were touched shortly before its last sign, or later, are doubted from now on.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written; nothing is then, and the next life finds the same.
    pub fn begin_life(&self, birth: &Birth) -> Result<Legacy, Error> {
        let Birth { boot, machine, oom_kills, at } = birth;
        self.write(|db, _| {
            let stored = |key| Ok::<_, Error>(journal::meta(db, key)?.filter(|it| !it.is_empty()));
            let (last_boot, last_machine) = (stored(BOOT)?, stored(MACHINE)?);
            let is_another_boot = matches!((&last_boot, boot), (Some(last), Some(boot)) if last != boot);
            let oom_kills = oom_kills.map(|kills| kills.to_string());
            let is_same_boot = last_boot.is_some() && last_boot == *boot;
            let end = match stored(OOM_KILLS)? {
                Some(then)
                    if is_same_boot && stored(CLEAN)?.is_none() && oom_kills.as_ref() != Some(&then) =>
                {
                    reading::End::WantOfMemory
                }
                Some(_) | None => reading::End::Otherwise,
            };
            reading::inherit(db, &self.shared.marks, end)?;
            journal::put_meta(db, OOM_KILLS, oom_kills.as_deref().unwrap_or_default())?;
            let mut doubted = None;
            if is_another_boot && stored(CLEAN)?.is_none() {
                let beat = stored(HEARTBEAT)?.and_then(|it| it.parse().ok()).map(Timestamp::from_nanos);
                doubted = Some(doubt(db, beat.unwrap_or(Timestamp::EPOCH).minus(UNWRITTEN), *at)?);
            }
            let is_foreign =
                matches!((&last_machine, machine), (Some(last), Some(machine)) if last != machine);
            journal::put_meta(db, BOOT, boot.as_deref().unwrap_or_default())?;
            journal::put_meta(db, CLEAN, "")?;
            journal::put_meta(db, HEARTBEAT, &at.nanos().to_string())?;
            journal::put_meta(db, FOREIGN, if is_foreign { "yes" } else { "" })?;
            if let (None, Some(machine)) = (&last_machine, machine) {
                journal::put_meta(db, MACHINE, machine)?;
            }
            Ok(Legacy { doubted, is_foreign })
        })
    }

    /// A sign of life: what was touched long before it has reached the disk.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn beat(&self, at: Timestamp) -> Result<(), Error> {
        self.put_meta(HEARTBEAT, &at.nanos().to_string())
    }

    /// Ends a life in good order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn end_life(&self) -> Result<(), Error> {
        self.put_meta(CLEAN, "yes")
    }

    /// Whether this ledger was kept on another machine, as a copied state directory was, and nobody has approved that yet: what it
    /// owns may be owned by the other one, so nothing of it is to be renamed, moved or deleted.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn is_foreign(&self) -> Result<bool, Error> {
        self.read(is_foreign)
    }

    /// A person approved that this machine keeps the ledger from now on. Writes nothing if nobody doubted it.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn accept_machine(&self) -> Result<(), Error> {
        if !self.is_foreign()? {
            return Ok(());
        }
        self.write(|db, _| {
            journal::put_meta(db, FOREIGN, "")?;
            journal::put_meta(db, MACHINE, "")
        })
    }

    /// Forgets what was read of the doubted members of a bundle: whatever they hold now is believed.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn believe_members(&self, lead: &Key) -> Result<(), Error> {
        let mut doubted = Vec::new();
        for (path, _) in self.references(lead)? {
            let key = Key::new(lead.mapping.clone(), path);
            if self.seen(&key)?.is_some_and(|seen| seen.trust == Trust::Doubted) {
                doubted.push(key);
            }
        }
        if doubted.is_empty() {
            return Ok(());
        }
        self.write(|db, _| doubted.iter().try_for_each(|key| put_seen(db, key, None)))
    }
}

impl Reader {
    /// As [`Ledger::is_foreign`].
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn is_foreign(&self) -> Result<bool, Error> {
        Ok(self.meta(FOREIGN)?.is_some_and(|it| !it.is_empty()))
    }
}

fn is_foreign(db: &Connection) -> Result<bool, Error> {
    Ok(journal::meta(db, FOREIGN)?.is_some_and(|it| !it.is_empty()))
}

/// Doubts what was read of all files that were touched after `since`; returns how many.
fn doubt(db: &Connection, since: Timestamp, at: Timestamp) -> Result<u64, Error> {
    let mut keys = Vec::new();
    {
        let mut statement = db.prepare(
            "SELECT mapping.name, directory.path, file.name FROM file
             JOIN directory ON directory.id = file.directory JOIN mapping ON mapping.id = directory.mapping
             WHERE file.mtime > ?1 OR file.ctime > ?1",
        )?;
        let mut rows = statement.query(params![since.nanos()])?;
        while let Some(row) = rows.next()? {
            let (mapping, directory, name): (String, Vec<u8>, Vec<u8>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let path = RelPath::from_bytes(&directory).and_then(|directory| directory.join(&name));
            // A damaged row is read again anyway.
            if let Ok(path) = path {
                keys.push(Key::new(MappingName::new(&mapping), path));
            }
        }
    }
    let mut doubted = 0;
    for key in keys {
        let Some(seen) = members::seen(db, &key)? else { continue };
        let seen = Seen { trust: Trust::Doubted, ..seen };
        match load::load(db, &key) {
            Ok(Some(entry)) => {
                let entry = Entry { seen: Some(seen), ..entry };
                save::save(db, &key, &entry, at, save::Rewrite::Changed)?;
            }
            Ok(None) => put_seen(db, &key, Some(&seen))?,
            Err(Fault::Damage) => continue,
            Err(Fault::Error(error)) => return Err(error),
        }
        doubted += 1;
    }
    Ok(doubted)
}

fn put_seen(db: &Connection, key: &Key, seen: Option<&Seen>) -> Result<(), Error> {
    let mapping = tree::mapping(db, &key.mapping)?;
    let directory = tree::directory(db, mapping, &key.path.parent())?;
    save::save_seen(db, directory, key, seen.map(|seen| (seen, seal::seen(key, seen))))
}

#[cfg(test)]
mod tests;
