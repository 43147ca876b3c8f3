//! The door to watched files: looks at them, lists them, reads them, streams them and waits for them to change.
//!
//! Nothing below a root is ever written, renamed, locked or deleted through this door, no link is followed, and no
//! descriptor on a root stays open between two calls, so that a disk can be ejected. It knows no ledger, no cloud and
//! no clock: a moment that is needed comes in as an argument.

mod bare;
mod browse;
mod hints;
mod kernel;
mod look;
mod outgoing;
mod root;
mod rules;
mod scan;
mod volume;
mod watch;
mod writers;

use std::path::PathBuf;

use rustix::io::Errno;

use crate::file::{RelPath, shown};
use crate::verdict::Blame;

pub use bare::is_bare;
pub use browse::{Listing, admitted, list, open};
pub use hints::{Hint, Hints, Signal};
pub use look::{Kind, Look, Stat, ends, read, stat};
pub use outgoing::{ByteStream, Confirmation, Outgoing, OutgoingPart, Sent, Taken, outgoing};
pub use root::Root;
pub use rules::{IGNORE_FILE, LONGEST_IGNORE_FILE, admits};
pub use scan::{Complete, Directory, Report, TOLD_TROUBLES, Visit, scan};
pub use volume::{Events, FileSystem, Inodes};
pub use watch::{WatchLimit, Watched, Watcher, watch_limit};
pub use writers::Writers;

/// What went wrong with a watched file. Each names the path, escaped, and finishes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The root itself is missing, is no directory, or its file system does not answer: says nothing about what is below.
    #[error("failed to reach the root {}: {why}", shown(&.root.to_string_lossy()))]
    Offline {
        /// The root.
        root: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is nothing at the path now. That alone is no proof of absence: the root may have been swapped.
    #[error("failed to find {path}: there is no such file")]
    Gone {
        /// The path.
        path: RelPath,
    },
    /// The system does not let us (EACCES, EPERM).
    #[error("failed to open {path}: permission denied")]
    Denied {
        /// The path.
        path: RelPath,
    },
    /// It is a directory, a FIFO, a socket or a device.
    #[error("failed to read {path}: it is no regular file")]
    NotRegular {
        /// The path.
        path: RelPath,
    },
    /// It should be a directory and is none.
    #[error("failed to list {path}: it is no directory")]
    NotDirectory {
        /// The path.
        path: RelPath,
    },
    /// It, or a directory on the way to it, is a symbolic link; links are not followed.
    #[error("failed to open {path}: a symbolic link is on the way, and links are not followed")]
    Link {
        /// The path.
        path: RelPath,
    },
    /// It lies on another file system than the root.
    #[error("failed to open {path}: it is on another file system than its root")]
    OtherFileSystem {
        /// The path.
        path: RelPath,
    },
    /// The system refuses the length of the path or of a name.
    #[error("failed to open {path}: the path or a name in it is too long for the system")]
    TooDeep {
        /// The path.
        path: RelPath,
    },
    /// This process or the machine has no file descriptor left. Never read as absence.
    #[error("failed to open {path}: no file descriptor is left")]
    Descriptors {
        /// The path.
        path: RelPath,
    },
    /// It is not what was announced: it changed since it was read.
    #[error("failed to send {path}: it changed since it was read")]
    Changed {
        /// The path.
        path: RelPath,
    },
    /// An ignore file that cannot be obeyed; what lies below its directory is unknown until it can.
    #[error("failed to obey the ignore file {path}: {why}")]
    IgnoreFile {
        /// The ignore file.
        path: RelPath,
        /// What is wrong with it.
        why: String,
    },
    /// Events cannot be had at all.
    #[error("failed to watch for changes: {why}")]
    Watch {
        /// What the system said.
        why: String,
    },
    /// Whoever asked no longer wants it.
    #[error("failed to finish: it was cancelled")]
    Cancelled,
    /// Anything else the system said.
    #[error("failed to read {path}: {why}")]
    Io {
        /// The path.
        path: RelPath,
        /// What the system said.
        why: String,
    },
}

impl Error {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Offline { .. } | Self::Watch { .. } => Blame::Mapping,
            Self::Gone { .. }
            | Self::Denied { .. }
            | Self::NotRegular { .. }
            | Self::NotDirectory { .. }
            | Self::Link { .. }
            | Self::OtherFileSystem { .. }
            | Self::TooDeep { .. }
            | Self::Descriptors { .. }
            | Self::Changed { .. }
            | Self::IgnoreFile { .. }
            | Self::Cancelled
            | Self::Io { .. } => Blame::File,
        }
    }

    /// Whether there is nothing at the path now.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }

    /// What an error number means for `path`, which lies below a root that could be opened.
    fn of(path: &RelPath, errno: Errno) -> Self {
        let path = path.clone();
        match errno {
            // A component that is a file where a directory was: the path names nothing.
            Errno::NOENT | Errno::NOTDIR => Self::Gone { path },
            Errno::ACCESS | Errno::PERM => Self::Denied { path },
            Errno::LOOP => Self::Link { path },
            Errno::XDEV => Self::OtherFileSystem { path },
            Errno::NAMETOOLONG => Self::TooDeep { path },
            Errno::MFILE | Errno::NFILE => Self::Descriptors { path },
            // What opening a socket says.
            Errno::NXIO => Self::NotRegular { path },
            other => Self::Io { path, why: why(other) },
        }
    }
}

/// An error number in the system's own words.
fn why(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

#[cfg(test)]
mod tests;
