//! What can go wrong with the ledger, sorted by what follows from it. Knows no step and no exit code.

use std::io;
use std::path::{Path, PathBuf};

use crate::file::shown;
use crate::verdict::Blame;

/// Why the ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another instance holds the state directory.
    #[error("failed to lock the state directory: another instance holds it{}", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The process that said it holds the lock, if it could be read.
        pid: Option<u32>,
    },
    /// There is no ledger yet.
    #[error("failed to find a ledger at {}", escaped(.0))]
    Missing(PathBuf),
    /// A newer binary wrote this ledger.
    #[error("failed to read the ledger: its schema is {found}, this binary knows up to {known}")]
    Newer {
        /// The version that the ledger names.
        found: i64,
        /// The newest version that this binary knows.
        known: i64,
    },
    /// The state directory lies where a write-ahead log does not work: on a network or user-space file system.
    #[error("failed to use the state directory {}: it lies on {filesystem}, which cannot hold a ledger", escaped(.directory))]
    Network {
        /// The state directory.
        directory: PathBuf,
        /// The name of the file system.
        filesystem: &'static str,
    },
    /// Others could write into the state directory, or it belongs to another user.
    #[error("failed to trust the state directory {}: {why}", escaped(.directory))]
    Loose {
        /// The state directory.
        directory: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The state directory, or a file in it, cannot be made, read or written.
    #[error("failed to use {}", escaped(.path))]
    Directory {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite did not switch to a write-ahead log.
    #[error("failed to switch the ledger to a write-ahead log: its mode stays `{0}`")]
    NoWal(String),
    /// The SQLite library is one that may lose commits of a write-ahead log with two connections.
    #[error("failed to trust SQLite {0}: versions before 3.51.3 can lose commits")]
    OldSqlite(String),
    /// The state disk is full; nothing was written.
    #[error("failed to write the ledger: the disk is full")]
    Full,
    /// The path no longer leads to the ledger that is open.
    #[error("failed to find the open ledger at {}: it was moved, removed or replaced", escaped(.0))]
    Moved(PathBuf),
    /// An earlier write met an I/O error, after which nothing that the file seems to hold can be relied upon.
    #[error("failed to use the ledger: an earlier write to its disk failed")]
    Broken,
    /// The database file is damaged beyond single rows.
    #[error("failed to read the ledger: its file is damaged")]
    Damaged(#[source] rusqlite::Error),
    /// Anything else that SQLite says.
    #[error("failed to use the ledger")]
    Sqlite(#[source] rusqlite::Error),
}

impl Error {
    /// Who has to act: we stop, except that a person chooses which of two instances is to run, and can make room.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Locked { .. } => Blame::User,
            Self::Full => Blame::Room,
            Self::Missing(_)
            | Self::Newer { .. }
            | Self::Network { .. }
            | Self::Loose { .. }
            | Self::Directory { .. }
            | Self::NoWal(_)
            | Self::OldSqlite(_)
            | Self::Moved(_)
            | Self::Broken
            | Self::Damaged(_)
            | Self::Sqlite(_) => Blame::Us,
        }
    }

    /// Whether the file on disk cannot be relied upon after it, so that the handle must not be used again.
    pub(super) fn breaks_the_handle(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure),
            _ => false,
        }
    }

    /// Names the path that an I/O error is about.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Directory { path: path.to_owned(), source }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::Full,
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error),
            Some(_) | None => Self::Sqlite(error),
        }
    }
}

fn escaped(path: &Path) -> String {
    shown(&path.to_string_lossy()).to_string()
}
