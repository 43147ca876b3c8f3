//! One instance per state directory: a lock on a file of its own. Never on the database itself, whose locks are SQLite's.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::Error;

/// The file in the state directory that is locked.
pub(super) const FILE: &str = "versync.lock";

/// The lock, held until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says at once who holds it.
    pub(super) fn take(state_dir: &Path) -> Result<Self, Error> {
        let path = state_dir.join(FILE);
        // A file that is removed between opening and locking leaves us with a lock that nobody else meets: look again.
        for round in 0..8 {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(Error::at(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                // `occupancy` holds it for a moment; who holds it for longer is an instance.
                Err(TryLockError::WouldBlock) if round < 4 => {
                    std::thread::yield_now();
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Err(Error::Locked { pid: holder(&mut file) }),
                Err(TryLockError::Error(error)) => return Err(Error::at(&path)(error)),
            }
            let ours = file.metadata().map_err(Error::at(&path))?;
            let is_in_place = std::fs::metadata(&path)
                .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
            if is_in_place {
                write_pid(&mut file).map_err(Error::at(&path))?;
                return Ok(Self { _file: file });
            }
        }
        Err(Error::Locked { pid: None })
    }
}

/// Whether somebody holds a state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupancy {
    /// Nobody does.
    Free,
    /// Somebody does, a daemon or a single pass; the process that said so, if it could be read.
    Held(Option<u32>),
}

/// Whether an instance is at work in `state_dir` now. Makes nothing, and asks for the lock only as one of many.
///
/// # Errors
/// [`Error::Directory`] if the lock cannot be looked at.
pub fn occupancy(state_dir: &Path) -> Result<Occupancy, Error> {
    let path = state_dir.join(FILE);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Occupancy::Free),
        Err(error) => return Err(Error::at(&path)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Occupancy::Free),
        Err(TryLockError::WouldBlock) => Ok(Occupancy::Held(holder(&mut file))),
        Err(TryLockError::Error(error)) => Err(Error::at(&path)(error)),
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The pid in the file: a hint for a person, never a proof of anything.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
