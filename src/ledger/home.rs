//! Where the ledger lives: the state directory, whether it can be trusted with one, and the file as it is opened, found
//! damaged and set aside. Knows no table.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::Error;
use super::schema;

/// The database in the state directory.
pub(super) const FILE: &str = "ledger.db";

/// How many statements are kept prepared; a step uses about thirty.
const STATEMENTS: usize = 128;

/// How large the write-ahead log may be that is kept, in bytes. While somebody reads what only the log has, it grows beyond that.
pub const MOST_LOG: u64 = 64 << 20;

/// How long somebody else who reads or writes is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// SQLite before this version may lose commits of a write-ahead log that two connections use.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Makes the state directory if need be, and refuses one that cannot be trusted with a ledger.
pub(super) fn prepare(state_dir: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(Error::at(state_dir))?;
    examine(state_dir)
}

/// Whether an existing state directory can be trusted with a ledger. Changes nothing.
///
/// # Errors
/// [`Error::Loose`], [`Error::Network`], or [`Error::Directory`] if it cannot be looked at.
pub fn examine(state_dir: &Path) -> Result<(), Error> {
    let metadata = std::fs::metadata(state_dir).map_err(Error::at(state_dir))?;
    let loose = |why: String| Error::Loose { directory: state_dir.to_owned(), why };
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(loose(format!("it belongs to user {}", metadata.uid())));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(loose(format!("others can write into it (mode {:03o})", metadata.mode() & 0o777)));
    }
    if let Some(filesystem) = unfit_filesystem(state_dir)? {
        return Err(Error::Network { directory: state_dir.to_owned(), filesystem });
    }
    Ok(())
}

/// So much room, or a twentieth of a smaller disk, is more than the next few writes: work that begins again does not end at once.
const ROOM: u64 = 32 << 20;

/// Room on the disk of a state directory, in bytes.
pub(super) struct Room {
    /// What is free.
    pub(super) free: u64,
    /// How much has to be.
    pub(super) wanted: u64,
}

pub(super) fn room(state_dir: &Path) -> Result<Room, Error> {
    let stat = rustix::fs::statvfs(state_dir).map_err(|error| Error::at(state_dir)(error.into()))?;
    let of_disk = stat.f_blocks.saturating_mul(stat.f_frsize) / 20;
    Ok(Room { free: stat.f_bavail.saturating_mul(stat.f_frsize), wanted: ROOM.min(of_disk) })
}

#[cfg(target_os = "linux")]
fn unfit_filesystem(state_dir: &Path) -> Result<Option<&'static str>, Error> {
    let stat = rustix::fs::statfs(state_dir).map_err(|error| Error::at(state_dir)(error.into()))?;
    // The field is as wide as the platform pleases; the magic numbers are 32 bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "magic numbers are 32 bits")]
    Ok(unfit(stat.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn unfit_filesystem(_state_dir: &Path) -> Result<Option<&'static str>, Error> {
    Ok(None)
}

/// The name of a file system that several hosts, or none of this kernel, keep: shared memory and locks do not hold there.
/// The numbers are those of `statfs(2)`.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux tells file systems by number"))]
pub(super) const fn unfit(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x7375_7245 => Some("Coda"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x7461_636f => Some("OCFS2"),
        0x0116_1970 => Some("GFS2"),
        _ => None,
    }
}

/// What was opened.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Where the damaged ledger lies that this one replaces.
    pub(super) set_aside: Option<PathBuf>,
}

/// Opens the ledger for writing, or, if what is there is damaged, sets that aside and starts a fresh one.
/// Only for the holder of the lock.
pub(super) fn open(state_dir: &Path) -> Result<Opened, Error> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(Error::OldSqlite(rusqlite::version().to_owned()));
    }
    let path = state_dir.join(FILE);
    match writer(&path) {
        Ok(connection) => Ok(Opened { connection, set_aside: None }),
        Err(Error::Damaged(_)) => {
            let aside = set_aside(state_dir)?;
            Ok(Opened { connection: writer(&path)?, set_aside: Some(aside) })
        }
        Err(error) => Err(error),
    }
}

fn writer(path: &Path) -> Result<Connection, Error> {
    // SQLite would make it readable for others, and gives its log the mode that the database has.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::at(path))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(Error::at(path))?;
    drop(file);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    schema::refuse_newer(&connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::NoWal(mode));
    }
    // FULL: with NORMAL a power cut takes back commits that we have acted upon.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    connection.execute_batch(&format!("PRAGMA journal_size_limit = {MOST_LOG};"))?;
    check(&connection)?;
    schema::migrate(&mut connection).map_err(|error| match error {
        // A migration that the tables contradict: the version in the header is not the one of the tables.
        Error::Sqlite(error @ rusqlite::Error::SqlInputError { .. }) => Error::Damaged(error),
        error => error,
    })?;
    Ok(connection)
}

/// The size of the log, in bytes.
pub(super) fn log_size(state_dir: &Path) -> u64 {
    std::fs::metadata(with(&state_dir.join(FILE), "-wal")).map_or(0, |metadata| metadata.len())
}

/// Takes what the log holds over into the database and cuts it to nothing, unless somebody reads what only the log has.
pub(super) fn empty_log(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(Duration::ZERO)?;
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY)?;
    Ok(emptied?)
}

/// Opens a ledger that exists, for reading only.
pub(super) fn reader(state_dir: &Path) -> Result<Connection, Error> {
    let path = state_dir.join(FILE);
    if !path.try_exists().map_err(Error::at(&path))? {
        return Err(Error::Missing(path));
    }
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    schema::refuse_newer(&connection)?;
    if schema::version(&connection)? == 0 {
        return Err(Error::Missing(path));
    }
    Ok(connection)
}

#[expect(clippy::disallowed_methods, reason = "this is the door for SQLite connections")]
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // Neither CREATE (a ledger that vanished is an error) nor URI (a path is a path, whatever it begins with).
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    Ok(connection)
}

fn check(connection: &Connection) -> Result<(), Error> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if answer == "ok" {
        return Ok(());
    }
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(Error::Damaged(rusqlite::Error::SqliteFailure(corrupt, Some(answer))))
}

/// Moves the damaged ledger to a name that nothing has yet.
#[expect(
    clippy::disallowed_methods,
    reason = "the state directory is ours: a damaged ledger is kept under another name"
)]
fn set_aside(state_dir: &Path) -> Result<PathBuf, Error> {
    let is_free =
        |path: &Path| ["", "-wal", "-shm"].iter().all(|end| with(path, end).symlink_metadata().is_err());
    let aside = (1_u32..)
        .map(|number| state_dir.join(format!("ledger.corrupt-{number}")))
        .find(|path| is_free(path))
        .unwrap_or_else(|| state_dir.join("ledger.corrupt"));
    let path = state_dir.join(FILE);
    // The database goes first. After a crash in between, SQLite drops a log that it finds beside an empty database; an
    // old database without its log would pass for a sound one.
    for end in ["", "-wal", "-shm"] {
        match std::fs::rename(with(&path, end), with(&aside, end)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::at(&path)(error)),
        }
    }
    File::open(state_dir).and_then(|directory| directory.sync_all()).map_err(Error::at(state_dir))?;
    Ok(aside)
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
