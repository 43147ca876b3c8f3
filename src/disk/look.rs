//! One look at one file: what a stat says of it, and which bytes it holds. Knows no mapping; judges nothing.

use std::cell::Cell;
use std::os::fd::AsFd as _;

use rustix::fs::FileType;
use tokio_util::sync::CancellationToken;

use super::root::{Root, volume_of};
use super::{Error, kernel};
use crate::file::sighting::{Seen, Trust};
use crate::file::{Content, ContentHash, Fingerprint, RelPath};
use crate::timestamp::Timestamp;

/// What a stat says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What lies there.
    pub kind: Kind,
    /// Which one, and since when it is so.
    pub fingerprint: Fingerprint,
    /// The user id of its owner.
    pub owner: u32,
    /// How many names it has; more than one for a hard link.
    pub links: u64,
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket, a device.
    Special,
}

impl Kind {
    pub(super) fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            _ => Self::Special,
        }
    }
}

/// What a reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It was read whole, between two equal stats.
    Whole(Seen),
    /// It changed while it was read: nothing is known of its bytes.
    Changed,
}

/// How many bytes are read at once, at most.
const READ: usize = 1 << 20;

/// How large a buffer a thread keeps for its next file.
const KEPT: usize = 256 << 10;

thread_local! {
    /// Most source files are small: their readers should not pay for fresh pages each time.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What lies at `path` beneath `root`. Of a link, the link itself; a link or another file system on the way is an error.
///
/// # Errors
/// [`Error::Gone`] if nothing does, [`Error::Offline`] if the root is away, and what else the system says.
pub fn stat(root: &Root, path: &RelPath) -> Result<Stat, Error> {
    root.open()?.stat(path)
}

/// Reads the regular file at `path` whole. `now` is the wall clock just before, by which the stat's trust is judged.
///
/// Blocks: call it off the async threads.
///
/// # Errors
/// As [`stat`]; [`Error::NotRegular`], [`Error::Link`]; [`Error::Cancelled`] soon after `cancel` was.
pub fn read(root: &Root, path: &RelPath, now: Timestamp, cancel: &CancellationToken) -> Result<Look, Error> {
    let fault = |errno| Error::of(path, errno);
    let file = root.open()?.file(path)?;
    let tick = volume_of(file.as_fd()).map_err(fault)?.stamp_tick();
    let before = kernel::stat_of(file.as_fd()).map_err(fault)?.fingerprint;

    let mut hasher = blake3::Hasher::new();
    let mut length: u64 = 0;
    // One byte more than the file has, so that its end shows in the first read.
    let room = usize::try_from(before.size).unwrap_or(READ).saturating_add(1).min(READ);
    let mut buffer = BUFFER.take();
    if buffer.len() < room {
        buffer.resize(room, 0);
    }
    let outcome = loop {
        if cancel.is_cancelled() {
            break Err(Error::Cancelled);
        }
        match kernel::fill(file.as_fd(), &mut buffer[..room]) {
            Ok(filled) => {
                hasher.update(&buffer[..filled]);
                length += filled as u64;
                if filled < room || length > before.size {
                    break Ok(());
                }
            }
            Err(errno) => break Err(fault(errno)),
        }
    };
    if buffer.len() <= KEPT {
        BUFFER.set(buffer);
    }
    outcome?;

    let after = kernel::stat_of(file.as_fd()).map_err(fault)?.fingerprint;
    if before != after || length != before.size {
        return Ok(Look::Changed);
    }
    Ok(Look::Whole(Seen {
        fingerprint: before,
        content: Content { hash: ContentHash(*hasher.finalize().as_bytes()), size: length },
        trust: Trust::of(&before, now, tick),
    }))
}

/// The first and the last bytes of the regular file at `path`, up to so many of each, and how many it has in all.
///
/// # Errors
/// As [`read`].
pub fn ends(root: &Root, path: &RelPath, head: usize, tail: usize) -> Result<(u64, Vec<u8>, Vec<u8>), Error> {
    let fault = |errno| Error::of(path, errno);
    let file = root.open()?.file(path)?;
    let size = kernel::stat_of(file.as_fd()).map_err(fault)?.fingerprint.size;
    let piece = |from: u64, length: usize| {
        let length = usize::try_from(size).unwrap_or(length).min(length);
        let mut bytes = vec![0; length];
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(from)).map_err(fault)?;
        let filled = kernel::fill(file.as_fd(), &mut bytes).map_err(fault)?;
        bytes.truncate(filled);
        Ok::<_, Error>(bytes)
    };
    Ok((size, piece(0, head)?, piece(size.saturating_sub(tail as u64), tail)?))
}
