//! Which files are being read right now, for the life that follows a kill: one that was being read each of several times when the
//! system killed us for want of memory is not read once more until a person says so.
//!
//! The marks lie in a file of their own that is never synced: it has to outlive the process and not the machine. Where it cannot
//! be written nothing is set aside.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::file::Key;

use super::error::Error;
use super::{Ledger, journal};

/// The file in the state directory.
const FILE: &str = "reading";

/// The place of one mark: the hash of a key, or zeros.
const SLOT: usize = blake3::OUT_LEN;

/// How many marks are read after a kill; more files than that are never read at once.
const MOST: usize = 1_024;

/// How many kills in a row it takes.
const KILLS: u32 = 3;

/// What the names of the counts begin with, among the values that belong to the ledger as a whole.
const COUNT: &str = "killed/";

type Name = [u8; SLOT];

/// The marks of this life, and what earlier ones left.
#[derive(Debug, Default)]
pub(super) struct Marks {
    file: Option<File>,
    taken: Mutex<Vec<Option<Name>>>,
    pub(super) kills: Mutex<HashMap<Name, u32>>,
}

/// A file is being read, until this is dropped.
#[derive(Debug)]
pub struct Reading {
    ledger: Ledger,
    slot: usize,
    name: Name,
}

impl Ledger {
    /// Marks a file as being read, with all that is read because of it.
    #[must_use]
    pub fn reading(&self, key: &Key) -> Reading {
        let (marks, name) = (&self.shared.marks, name(key));
        let mut taken = marks.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = taken.iter().position(Option::is_none).unwrap_or(taken.len());
        if slot == taken.len() {
            taken.push(None);
        }
        taken[slot] = Some(name);
        marks.put(slot, &name);
        Reading { ledger: self.clone(), slot, name }
    }

    /// Whether the system has killed us for want of memory again and again while this file was being read.
    #[must_use]
    pub fn is_deadly(&self, key: &Key) -> bool {
        let kills = self.shared.marks.kills.lock().unwrap_or_else(PoisonError::into_inner);
        !kills.is_empty() && kills.get(&name(key)).is_some_and(|kills| *kills >= KILLS)
    }

    /// Has a file be read again whatever happened when it was.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn absolve(&self, key: &Key) -> Result<(), Error> {
        let name = name(key);
        // Whoever says so need not be whose life read the counts.
        if self.meta(&row(&name))?.is_none() {
            return Ok(());
        }
        self.shared.marks.kills.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        self.delete_kills(&name)
    }

    fn forget_kills(&self, name: &Name) -> Result<(), Error> {
        let was_known = {
            let mut kills = self.shared.marks.kills.lock().unwrap_or_else(PoisonError::into_inner);
            kills.remove(name).is_some()
        };
        if was_known { self.delete_kills(name) } else { Ok(()) }
    }

    fn delete_kills(&self, name: &Name) -> Result<(), Error> {
        self.write(|db, _| {
            db.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([row(name)])?;
            Ok(())
        })
    }
}

impl Reading {
    /// It was read to its end, with all that is read because of it: it kills nobody, and earlier kills are forgotten.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn is_harmless(self) -> Result<(), Error> {
        self.ledger.forget_kills(&self.name)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let marks = &self.ledger.shared.marks;
        marks.put(self.slot, &[0; SLOT]);
        if let Some(taken) = marks.taken.lock().unwrap_or_else(PoisonError::into_inner).get_mut(self.slot) {
            *taken = None;
        }
    }
}

impl Marks {
    pub(super) fn open(state_dir: &Path) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(state_dir.join(FILE))
            .ok();
        Self { file, ..Self::default() }
    }

    fn put(&self, slot: usize, name: &Name) {
        if let Some(file) = &self.file {
            drop(file.write_all_at(name, (slot * SLOT) as u64));
        }
    }

    /// Takes away what the last life left.
    fn take(&self) -> Vec<Name> {
        let Some(file) = &self.file else { return Vec::new() };
        let mut bytes = vec![0; MOST * SLOT];
        let length = file.read_at(&mut bytes, 0).unwrap_or(0);
        drop(file.set_len(0));
        let names = bytes[..length].chunks_exact(SLOT).filter_map(|chunk| chunk.try_into().ok());
        names.filter(|name| *name != [0; SLOT]).collect()
    }
}

/// What a life that the system killed for want of memory was reading is counted; then the counts are known.
pub(super) fn inherit(db: &Connection, marks: &Marks, end: End) -> Result<(), Error> {
    let left = marks.take();
    let mut kills = HashMap::new();
    {
        let mut statement = db.prepare("SELECT key, value FROM meta WHERE key GLOB ?1")?;
        let mut rows = statement.query([format!("{COUNT}*")])?;
        while let Some(found) = rows.next()? {
            let (key, value): (String, String) = (found.get(0)?, found.get(1)?);
            let name = key.strip_prefix(COUNT).and_then(|hex| blake3::Hash::from_hex(hex).ok());
            if let (Some(name), Ok(count)) = (name, value.parse()) {
                kills.insert(*name.as_bytes(), count);
            }
        }
    }
    if end == End::WantOfMemory {
        for name in left {
            let count = kills.entry(name).or_insert(0_u32);
            *count = count.saturating_add(1);
            journal::put_meta(db, &row(&name), &count.to_string())?;
        }
    }
    *marks.kills.lock().unwrap_or_else(PoisonError::into_inner) = kills;
    Ok(())
}

/// How the last life ended, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Without an end, and the system had killed something for want of memory meanwhile.
    WantOfMemory,
    /// In any other way.
    Otherwise,
}

fn name(key: &Key) -> Name {
    let bytes = [key.mapping.as_str().as_bytes(), b"\0", key.path.as_bytes()].concat();
    *blake3::hash(&bytes).as_bytes()
}

fn row(name: &Name) -> String {
    format!("{COUNT}{}", blake3::Hash::from_bytes(*name).to_hex())
}
