//! versync mirrors local directories of 3D source files into 3dverse folders, and keeps them so.
//!
//! # The map
//!
//! A house of five floors. In brackets stands all that a room may import of the others; every name in brackets stands
//! further down, so there can be no circle. Nothing imports cli, which may import anything.
//! `tests/all/architecture.rs` holds the map: a new arrow is a change of both.
//!
//! ```text
//! -- face: says it
//! cli         the command line as types, one file per command, and where the desk is laid
//! panel       what a running daemon shows and takes over its socket, and how it is called   [daemon meter verdict file timestamp]
//! -- flows: carry it
//! checkup     is all well? configuration, folders, watches, ledger, token; changes nothing   [config ledger disk cloud ambient worker verdict mapping patience file timestamp id]
//! daemon      the one loop: hints, due bundles, ended steps, reload, stop   [delivery survey desk meter ledger manifest disk signals ambient worker agenda verdict mapping file timestamp id]
//! delivery    one step of one bundle: look, decide, write down, do, learn, write down   [deed desk assembly shelf ledger disk ambient worker agenda plan bundle container references verdict mapping file timestamp id]
//! survey      what is there: the scan joined with the ledger; hands out keys   [assembly ledger disk plan bundle references mapping file]
//! deed        performs an action and says what came of it; decides nothing, writes no entry   [desk disk cloud ambient worker plan verdict mapping file id]
//! desk        everything that a step works with   [assembly shelf board pace meter config ledger manifest disk cloud mapping patience file timestamp id]
//! assembly    which files travel with a model, found out on disk   [ledger disk bundle references mapping file timestamp]
//! shelf       the remote folder of a directory: found or made once, kept   [ledger cloud ambient worker plan verdict mapping patience file timestamp id]
//! board       a folder's upload tasks: one listing answers all bundles that wait for one   [cloud ambient timestamp id]
//! pace        how fast bytes may leave: one budget that all uploads share   []
//! meter       what has moved so far, for progress and metrics   []
//! -- doors: touch the world; they do not know each other, and may ask `ambient` for the time
//! config      what the user wrote, and what it means: checked, complete, immutable   [mapping patience file id]
//! ledger      SQLite: what was seen, sent, came back, and is open   [verdict mapping file timestamp id]
//! manifest    the file that names what became of every path, for others to keep: read, compared, replaced as a whole   [file id]
//! disk        watched files: looks, lists, reads, streams, waits for changes; writes nothing   [verdict mapping file timestamp id]
//! cloud       the Asset API: a method per route, each tries once; bytes and ids, no paths   [ambient verdict patience file timestamp id]
//! signals     what the system says to the process: gently, now, reload   []
//! emulator    the Asset API on loopback; written from its documents, shares no type with `cloud`   []
//! ambient     time and dice   [timestamp id]
//! worker      runs what blocks off the async threads   []
//! -- rules: decide it; pure
//! agenda      which bundle is due, which is out, what waits for whom; the one layer that retries   [verdict file timestamp]
//! plan        decide, before, after: the whole protocol of one bundle   [verdict mapping patience file timestamp id]
//! bundle      which files travel with a lead, and what is missing of them   [references file]
//! container   does a file look finished, as far as its format tells   [file]
//! references  which other files a content names, and where they lie   [file]
//! -- words: what we talk about; no I/O, no waiting
//! verdict     how a step ended, and who has to act   [file]
//! mapping     one root and one folder: what it admits, how it treats what changes   [file id]
//! patience    how long we wait for what   []
//! file        key, path, content, entry, sighting, state of what we carry   [timestamp id]
//! timestamp   a moment of wall time, a moment of monotonic time   []
//! id          names given by others   []
//! ```

pub mod cli;
pub mod panel;
pub mod checkup;
pub mod daemon;
pub mod delivery;
pub mod survey;
pub mod deed;
pub mod desk;
pub mod assembly;
pub mod shelf;
pub mod board;
pub mod pace;
pub mod meter;
pub mod config;
pub mod ledger;
pub mod manifest;
pub mod disk;
pub mod cloud;
pub mod signals;
pub mod emulator;
pub mod ambient;
pub mod worker;
pub mod agenda;
pub mod plan;
pub mod bundle;
pub mod container;
pub mod references;
pub mod verdict;
pub mod mapping;
pub mod patience;
pub mod file;
pub mod timestamp;
pub mod id;
