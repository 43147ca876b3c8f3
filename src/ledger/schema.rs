//! The tables, as numbered migrations: added, never edited. Knows no domain type; `row` reads what these columns hold.
//!
//! Ids are 16-byte blobs, hashes 32, checksums 16; paths and names of files are blobs of raw bytes; times are nanoseconds
//! since the epoch; sizes, inodes and devices are unsigned numbers kept in signed columns bit by bit.

use rusqlite::{Connection, TransactionBehavior};

use super::error::Error;

/// Each brings the schema from its index to the next number. Never edit one that was released: append.
const MIGRATIONS: [&str; 4] = [FIRST, BUNDLES, MOVES, NAMES];

/// The schema that this binary reads and writes.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Brings the ledger to the newest schema, each step whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    for (migration, target) in MIGRATIONS.iter().zip(1_i64..) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version(&step)? < target {
            step.execute_batch(migration)?;
            step.pragma_update(None, "user_version", target)?;
        }
        step.commit()?;
    }
    Ok(())
}

/// Refuses a ledger that a newer binary wrote: its columns may mean what this one cannot know.
pub(super) fn refuse_newer(connection: &Connection) -> Result<(), Error> {
    let found = version(connection)?;
    if found > NEWEST { Err(Error::Newer { found, known: NEWEST }) } else { Ok(()) }
}

/// The schema that the ledger has now; 0 if it is fresh.
pub(super) fn version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// `marked`: something that the bundle carries was read with other bytes, so a restart has to look at it. It says nothing of
/// the entry, so no seal covers it.
const BUNDLES: &str = "
ALTER TABLE bundle ADD COLUMN wanted BLOB;
ALTER TABLE bundle ADD COLUMN travels TEXT;
ALTER TABLE bundle ADD COLUMN marked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX bundle_marked ON bundle (mapping, path) WHERE marked = 1;
";

/// A file that moved is found again by the bytes of its lead, a directory by the stat of a file in it.
const MOVES: &str = "
CREATE INDEX part_hash ON part (hash) WHERE position = 0;
CREATE INDEX file_inode ON file (inode);
";

/// For mappings that search everywhere: where which base name lies, and which leads look for one. `naming` is how the mapping
/// names parts and searches, as the bundles were last looked at; `indexed`: all names are known.
const NAMES: &str = "
ALTER TABLE mapping ADD COLUMN naming TEXT NOT NULL DEFAULT 'base near';
ALTER TABLE mapping ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE name (
    mapping INTEGER NOT NULL REFERENCES mapping ON DELETE CASCADE,
    directory BLOB NOT NULL, name BLOB NOT NULL, folded BLOB NOT NULL,
    PRIMARY KEY (mapping, directory, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX name_folded ON name (mapping, folded);
CREATE TABLE sought (
    mapping INTEGER NOT NULL REFERENCES mapping ON DELETE CASCADE,
    lead BLOB NOT NULL, folded BLOB NOT NULL,
    PRIMARY KEY (mapping, lead, folded)
) STRICT, WITHOUT ROWID;
CREATE INDEX sought_folded ON sought (mapping, folded);
";

const FIRST: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE mapping (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    root_filesystem INTEGER, root_inode INTEGER, root_birth INTEGER
) STRICT;

-- What `status` shows of a mapping while no daemon runs.
CREATE TABLE standing (
    mapping INTEGER PRIMARY KEY REFERENCES mapping ON DELETE CASCADE,
    state TEXT NOT NULL, reason TEXT, since INTEGER NOT NULL, scanned_at INTEGER,
    files INTEGER NOT NULL, directories INTEGER NOT NULL
) STRICT;
CREATE TABLE ignored (
    mapping INTEGER NOT NULL REFERENCES mapping ON DELETE CASCADE,
    kind TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (mapping, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE trouble (
    mapping INTEGER NOT NULL REFERENCES mapping ON DELETE CASCADE,
    position INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (mapping, position)
) STRICT, WITHOUT ROWID;

-- The root is a row with the empty path and no parent. The digest tells how a directory at rest was listed.
CREATE TABLE directory (
    id INTEGER PRIMARY KEY,
    mapping INTEGER NOT NULL REFERENCES mapping ON DELETE CASCADE,
    path BLOB NOT NULL,
    parent INTEGER REFERENCES directory ON DELETE CASCADE,
    digest BLOB,
    UNIQUE (mapping, path)
) STRICT;
CREATE INDEX directory_parent ON directory (parent);

CREATE TABLE file (
    directory INTEGER NOT NULL REFERENCES directory ON DELETE CASCADE,
    name BLOB NOT NULL,
    size INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL,
    inode INTEGER NOT NULL, device INTEGER NOT NULL,
    hash BLOB NOT NULL, hashed_size INTEGER NOT NULL,
    trust TEXT NOT NULL,
    sum BLOB NOT NULL,
    PRIMARY KEY (directory, name)
) STRICT, WITHOUT ROWID;

-- The whole path stands beside the directory because bundles are paged and streamed in path order.
-- `state` and `open` (a restart has to look at it) are derived when the row is written.
CREATE TABLE bundle (
    id INTEGER PRIMARY KEY,
    mapping INTEGER NOT NULL REFERENCES mapping ON DELETE CASCADE,
    path BLOB NOT NULL,
    directory INTEGER NOT NULL REFERENCES directory ON DELETE CASCADE,
    written INTEGER NOT NULL,
    state TEXT NOT NULL, open INTEGER NOT NULL,
    current_version BLOB, current_folder BLOB, current_task BLOB, current_since INTEGER,
    attempt TEXT NOT NULL,
    attempt_id BLOB, attempt_at INTEGER, attempt_version BLOB, attempt_folder BLOB,
    attempt_task BLOB,
    absent_since INTEGER, absences INTEGER, doubt TEXT,
    progress TEXT, progress_since INTEGER,
    aside TEXT, aside_reason TEXT, aside_version BLOB, aside_since INTEGER,
    current_sum BLOB, attempt_sum BLOB, copies_sum BLOB, sum BLOB NOT NULL,
    UNIQUE (mapping, path)
) STRICT;
CREATE INDEX bundle_directory ON bundle (directory);
CREATE INDEX bundle_state ON bundle (mapping, state);
CREATE INDEX bundle_open ON bundle (mapping, path) WHERE open = 1;

-- Slot `current`: what lives in the cloud, the lead at position 0. Slot `attempt`: what is being sent.
-- A path that is absent is the bundle's own, a name that is absent is the last component of the path.
CREATE TABLE part (
    bundle INTEGER NOT NULL REFERENCES bundle ON DELETE CASCADE,
    slot TEXT NOT NULL, position INTEGER NOT NULL,
    name TEXT, path BLOB, size INTEGER NOT NULL, hash BLOB NOT NULL,
    source_file BLOB, title TEXT,
    PRIMARY KEY (bundle, slot, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_source_file ON part (source_file) WHERE source_file IS NOT NULL;

-- Slot `current` belongs to the part, slot `copy` to the remote copy, at position `owner`.
CREATE TABLE asset (
    bundle INTEGER NOT NULL REFERENCES bundle ON DELETE CASCADE,
    slot TEXT NOT NULL, owner INTEGER NOT NULL, position INTEGER NOT NULL,
    id BLOB NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (bundle, slot, owner, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE copy (
    bundle INTEGER NOT NULL REFERENCES bundle ON DELETE CASCADE,
    position INTEGER NOT NULL,
    source_file BLOB NOT NULL, folder BLOB NOT NULL, name TEXT NOT NULL,
    role TEXT NOT NULL, title TEXT NOT NULL, version BLOB, since INTEGER NOT NULL,
    PRIMARY KEY (bundle, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX copy_source_file ON copy (source_file);

-- Remote files that were visible before an attempt.
CREATE TABLE fence (
    bundle INTEGER NOT NULL REFERENCES bundle ON DELETE CASCADE,
    position INTEGER NOT NULL, source_file BLOB NOT NULL,
    PRIMARY KEY (bundle, position)
) STRICT, WITHOUT ROWID;

-- Remote files that an attempt is known to have made.
CREATE TABLE conversion (
    bundle INTEGER NOT NULL REFERENCES bundle ON DELETE CASCADE,
    position INTEGER NOT NULL, name TEXT NOT NULL, source_file BLOB NOT NULL,
    PRIMARY KEY (bundle, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversion_source_file ON conversion (source_file);

CREATE TABLE reference (
    mapping INTEGER NOT NULL REFERENCES mapping ON DELETE CASCADE,
    lead BLOB NOT NULL, position INTEGER NOT NULL,
    member BLOB NOT NULL, written TEXT NOT NULL,
    PRIMARY KEY (mapping, lead, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_member ON reference (mapping, member);

-- The remote folder of a directory.
CREATE TABLE shelf (
    directory INTEGER PRIMARY KEY REFERENCES directory ON DELETE CASCADE,
    folder BLOB NOT NULL, sum BLOB NOT NULL
) STRICT;

CREATE TABLE journal (
    directory INTEGER NOT NULL REFERENCES directory ON DELETE CASCADE,
    name BLOB NOT NULL, number INTEGER NOT NULL,
    at INTEGER NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (directory, name, number)
) STRICT, WITHOUT ROWID;
";
