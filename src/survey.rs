//! What is there: the scan joined with the ledger. It hands out the bundles that need a look, and decides nothing about them.
//!
//! A directory is compared as a whole first: where its listing hashes to what it hashed to when everything in it was at
//! rest, no row is touched. Only where it differs are its rows read.

mod missed;
mod names;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use crate::assembly::{self, Assembly};
use crate::disk::{self, Complete, Directory, Kind, Root, Visit};
use crate::file::sighting::{RootIdentity, RootProof, Seen};
use crate::file::{Fingerprint, Key, RelPath, State};
use crate::ledger::{self, Carried, Digest, Known, Ledger};
use crate::mapping::filter::IgnoredKind;
use crate::mapping::format::is_dependent;
use crate::mapping::{Mapping, Search};
use crate::plan::is_same_file;

/// A bundle that needs a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its lead is there, with this many bytes, and is not what the ledger knows, or the ledger has something open.
    There(Key, u64),
    /// As [`Found::There`], and it is new or has another size or time of change than the ledger knows: an event should have
    /// told of it.
    Changed(Key, u64),
    /// Its lead was known and was not listed.
    Away(Key),
}

/// What a survey came to.
#[derive(Debug)]
pub struct Surveyed {
    /// How many files were admitted.
    pub files: u64,
    /// How many directories were listed.
    pub directories: u64,
    /// What was ignored, by kind.
    pub ignored: BTreeMap<IgnoredKind, u64>,
    /// Directories that could not be listed, with the reason; everything below them is unknown.
    pub troubles: Vec<(RelPath, String)>,
}

/// Why a survey came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root cannot be listed.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// It panicked, which is a fault of versync: nothing is known.
    #[error("failed to look at the mapping: internal error; please report it with the log")]
    Panicked,
    /// The root is not the directory that the ledger knows.
    #[error("failed to recognise the root {root}: another directory lies at its path than before")]
    AnotherRoot {
        /// The root's path, escaped for display.
        root: String,
        /// What lies there now.
        found: RootIdentity,
    },
    /// The root is the one that the ledger knows, and nothing is left in it.
    #[error("failed to believe the root {root}: nothing is left in it, and files are known that were")]
    Emptied {
        /// The root's path, escaped for display.
        root: String,
    },
}

/// Who is told of what a survey finds. All are called from several threads at once, and may block to slow it down.
#[derive(Clone, Copy)]
pub struct Visitor<'a> {
    /// Told of a directory that is about to be listed, so that a watch can be set first.
    pub enter: &'a (dyn Fn(&RelPath) + Sync),
    /// Given a bundle that needs a look.
    pub found: &'a (dyn Fn(Found) + Sync),
}

impl std::fmt::Debug for Visitor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visitor").finish_non_exhaustive()
    }
}

pub use names::{forget_below, renew};

/// How many threads walk a tree.
const THREADS: usize = 2;

/// How many digests are written in one transaction.
const DIGESTS_AT_ONCE: usize = 256;

/// Surveys everything in and below `from`. Blocks: call it off the async threads.
///
/// # Errors
/// [`Error::AnotherRoot`] and [`Error::Emptied`] before anything is handed out; otherwise what disk and ledger say. Directories that cannot be listed are no error: they are told in the result.
pub fn survey(
    ledger: &Ledger,
    root: &Root,
    mapping: &Mapping,
    from: &RelPath,
    cancel: &CancellationToken,
    visitor: Visitor<'_>,
) -> Result<Surveyed, Error> {
    let pinned = ledger.root(&mapping.name)?;
    let before = root.identity()?;
    if pinned.as_ref().is_some_and(|pinned| !pinned.is_same_root(&before)) {
        return Err(Error::AnotherRoot {
            root: crate::file::shown(&root.path().to_string_lossy()),
            found: before,
        });
    }
    refuse_emptied(ledger, root, mapping)?;
    renew(ledger, mapping)?;
    if mapping.policy.search == Search::Mapping {
        names::walk(ledger, root, mapping, from, cancel, visitor)?;
    }
    // Whose a file is to send can only be said when all models are known.
    let graph = format!("graph/{}", mapping.name);
    if !from.is_root() && ledger.meta(&graph)?.is_none() {
        let join = Join::new(ledger, mapping, root, visitor, Stage::References);
        let visit = Visit { enter: &|_| {}, directory: &|directory: Directory| join.take(&directory) };
        disk::scan(root, mapping, &RelPath::root(), THREADS, cancel, visit)?;
        join.close()?;
    }
    let mut stage = Stage::Leads;
    let report = loop {
        let join = Join::new(ledger, mapping, root, visitor, stage);
        let directory = |directory: Directory| join.take(&directory);
        let visit = Visit { enter: visitor.enter, directory: &directory };
        let report = disk::scan(root, mapping, from, THREADS, cancel, visit)?;
        let saw_dependents = join.close()?;
        // Images are handed out only when it is known which models carry them. Walking once more costs less than keeping
        // them all in mind.
        if stage == Stage::Dependents || !saw_dependents {
            break report;
        }
        stage = Stage::Dependents;
    };
    if from.is_root() && ledger.meta(&graph)?.is_none() {
        ledger.put_meta(&graph, "known")?;
    }
    if pinned.is_none() && RootProof::attest(None, &report.before, &report.after).is_some() {
        ledger.put_root(&mapping.name, &report.before)?;
    }
    Ok(Surveyed {
        files: report.files,
        directories: report.directories,
        ignored: report.ignored,
        troubles: report.troubles,
    })
}

/// Refuses a root that was emptied although files are known in it: each of them would look deleted.
///
/// # Errors
/// [`Error::Emptied`], and what disk and ledger say.
pub fn refuse_emptied(ledger: &Ledger, root: &Root, mapping: &Mapping) -> Result<(), Error> {
    if !disk::is_bare(root, mapping)? {
        return Ok(ledger.refilled(&mapping.name)?);
    }
    if ledger.expects_files(&mapping.name)? {
        return Err(Error::Emptied { root: crate::file::shown(&root.path().to_string_lossy()) });
    }
    Ok(())
}

/// What a walk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Only what models refer to is written down; nothing is handed out.
    References,
    /// Models and what else leads a bundle, whoever carries it; and all that is away.
    Leads,
    /// What may be a mere member.
    Dependents,
}

/// A file that travels with models and leads nothing: what was read of it, and what its stat says if it is there.
struct Companion {
    name: Vec<u8>,
    seen: Option<Seen>,
    stat: Option<Fingerprint>,
}

struct Join<'a> {
    ledger: &'a Ledger,
    mapping: &'a Mapping,
    root: &'a Root,
    visitor: Visitor<'a>,
    stage: Stage,
    saw_dependents: AtomicBool,
    failed: Mutex<Option<ledger::Error>>,
    at_rest: Mutex<Vec<(RelPath, Digest)>>,
}

impl<'a> Join<'a> {
    fn new(
        ledger: &'a Ledger,
        mapping: &'a Mapping,
        root: &'a Root,
        visitor: Visitor<'a>,
        stage: Stage,
    ) -> Self {
        Self {
            ledger,
            mapping,
            root,
            visitor,
            stage,
            saw_dependents: AtomicBool::new(false),
            failed: Mutex::new(None),
            at_rest: Mutex::new(Vec::new()),
        }
    }

    /// Writes down what is left. Returns whether something was left to another walk.
    fn close(self) -> Result<bool, ledger::Error> {
        self.flush()?;
        match self.failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(self.saw_dependents.into_inner()),
        }
    }

    /// Writes down what the models of a directory refer to.
    fn note_references(&self, directory: &Directory) -> Result<(), ledger::Error> {
        for (file, _) in &directory.files {
            let Ok(path) = directory.path.join(file) else { continue };
            if !is_dependent(&path) {
                self.note_references_of(&self.mapping.key(path))?;
            }
        }
        Ok(())
    }

    /// Writes down what a model refers to. One that kills us while it is read is left as it is.
    fn note_references_of(&self, key: &Key) -> Result<(), ledger::Error> {
        if !Assembly::may_refer(&key.path) || self.ledger.is_deadly(key) {
            return Ok(());
        }
        let _reading = self.ledger.reading(key);
        // What cannot be opened is told where it is looked at.
        drop(assembly::noted(self.ledger, self.root, self.mapping, key)?);
        Ok(())
    }

    fn take(&self, directory: &Directory) {
        if let Err(error) = self.try_take(directory) {
            let mut failed = self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            failed.get_or_insert(error);
        }
    }

    fn try_take(&self, directory: &Directory) -> Result<(), ledger::Error> {
        if self.stage == Stage::References {
            return self.note_references(directory);
        }
        let name = &self.mapping.name;
        // What is not ours to send may still travel with a model: its stat belongs to the picture.
        let mut members = Vec::new();
        if !directory.ignored.is_empty() {
            members = self.members(directory)?;
        }
        let digest = digest(directory, &members);
        if self.ledger.digest(name, &directory.path)? == Some(digest) {
            return Ok(());
        }
        if directory.ignored.is_empty() {
            members = self.members(directory)?;
        }
        let listing = self.ledger.listing(name, &directory.path)?;
        let mut is_at_rest = true;
        for Companion { name: member, seen, stat } in &members {
            let rests = match (seen, stat) {
                (Some(seen), Some(stat)) => is_same_file(seen, stat),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if !rests {
                is_at_rest = false;
                self.member_moved(directory, member, stat.as_ref());
            }
        }
        let mut known = listing.files.iter().peekable();
        for (file, fingerprint) in &directory.files {
            while let Some(gone) = known.next_if(|known| known.name < *file) {
                is_at_rest &= self.missed(directory, gone);
            }
            let row = known.next_if(|known| known.name == *file);
            if !self.rests(directory, file, fingerprint, row)? {
                is_at_rest = false;
                self.bring_up(directory, file, fingerprint, row)?;
            }
        }
        for gone in known {
            is_at_rest &= self.missed(directory, gone);
        }
        for child in &listing.directories {
            if directory.directories.binary_search(child).is_err() {
                is_at_rest &= self.missed_below(directory, child)?;
            }
        }
        if is_at_rest && directory.complete == Complete::Yes {
            self.rest(directory.path.clone(), digest)?;
        }
        Ok(())
    }

    /// Whether a file is what the ledger knows, as a lead or as a member of others, and nothing is open about it.
    fn rests(
        &self,
        directory: &Directory,
        file: &[u8],
        fingerprint: &Fingerprint,
        row: Option<&Known>,
    ) -> Result<bool, ledger::Error> {
        if let Some(row) = row {
            let is_same = row.seen.is_some_and(|seen| is_same_file(&seen, fingerprint));
            return Ok(is_same && stays(row.state));
        }
        let Ok(path) = directory.path.join(file) else { return Ok(true) };
        if !is_dependent(&path) {
            return Ok(false);
        }
        let key = self.mapping.key(path);
        let is_same = self.ledger.seen(&key)?.is_some_and(|seen| is_same_file(&seen, fingerprint));
        // A file that nobody carries any more is its own.
        Ok(is_same && !self.ledger.leads_of(&key.mapping, &key.path)?.is_empty())
    }

    /// Hands a file out in the walk that is for it; of a model it is first written down what it refers to.
    fn bring_up(
        &self,
        directory: &Directory,
        file: &[u8],
        fingerprint: &Fingerprint,
        row: Option<&Known>,
    ) -> Result<(), ledger::Error> {
        let Ok(path) = directory.path.join(file) else { return Ok(()) };
        let key = self.mapping.key(path);
        match (self.stage, is_dependent(&key.path)) {
            (Stage::Leads, true) => self.saw_dependents.store(true, Ordering::Relaxed),
            (Stage::Dependents, false) | (Stage::References, _) => {}
            (Stage::Leads, false) => {
                self.note_references_of(&key)?;
                let found = if is_news(row, fingerprint) { Found::Changed } else { Found::There };
                (self.visitor.found)(found(key, fingerprint.size));
            }
            (Stage::Dependents, true) => (self.visitor.found)(Found::There(key, fingerprint.size)),
        }
        Ok(())
    }

    /// Files of this directory that some model refers to and that were not listed as admitted, with row and stat: they are not
    /// admitted by themselves, or not there.
    fn members(&self, directory: &Directory) -> Result<Vec<Companion>, ledger::Error> {
        let mut members = Vec::new();
        for Carried { name, seen } in self.ledger.members_in(&self.mapping.name, &directory.path)? {
            let is_listed = directory.files.binary_search_by(|(file, _)| file.cmp(&name)).is_ok();
            let Ok(path) = directory.path.join(&name) else { continue };
            if !is_listed {
                let stat = disk::stat(self.root, &path).ok().filter(|stat| stat.kind == Kind::File);
                members.push(Companion { name, seen, stat: stat.map(|stat| stat.fingerprint) });
            }
        }
        Ok(members)
    }

    fn member_moved(&self, directory: &Directory, name: &[u8], fingerprint: Option<&Fingerprint>) {
        let Ok(path) = directory.path.join(name) else { return };
        let key = self.mapping.key(path);
        let found = match fingerprint {
            Some(fingerprint) => Found::There(key, fingerprint.size),
            None if directory.complete == Complete::Yes => Found::Away(key),
            None => return,
        };
        if self.stage == Stage::Leads {
            (self.visitor.found)(found);
        }
    }

    fn rest(&self, path: RelPath, digest: Digest) -> Result<(), ledger::Error> {
        let full = {
            let mut at_rest = self.at_rest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            at_rest.push((path, digest));
            at_rest.len() >= DIGESTS_AT_ONCE
        };
        if full { self.flush() } else { Ok(()) }
    }

    fn flush(&self) -> Result<(), ledger::Error> {
        let batch = {
            let mut at_rest = self.at_rest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *at_rest)
        };
        if batch.is_empty() { Ok(()) } else { self.ledger.put_digests(&self.mapping.name, &batch) }
    }
}

/// Whether a file is new, or was written since it was last read. Inodes are left out: on some file systems they are made up.
fn is_news(row: Option<&Known>, stat: &Fingerprint) -> bool {
    row.is_none_or(|row| {
        row.seen
            .is_some_and(|seen| (seen.fingerprint.size, seen.fingerprint.mtime) != (stat.size, stat.mtime))
    })
}

/// Whether a bundle in this state stays in it while its file stays as it is, so that a scan need not bring it up.
fn stays(state: State) -> bool {
    match state {
        State::Synced
        | State::Converting
        | State::Uploading
        | State::Ambiguous
        | State::ConversionFailed
        | State::Stalled
        | State::Suspect
        | State::Held
        | State::Ignored => true,
        // A rule may have changed, or permission was given, or the file came back: a look is cheap.
        State::Blocked | State::Detached | State::Deleted | State::Settling | State::Ready => false,
    }
}

/// What a directory's listing looks like.
fn digest(directory: &Directory, members: &[Companion]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let members = members.iter().filter_map(|it| Some((&it.name, it.stat.as_ref()?)));
    let files = directory.files.iter().map(|(name, fingerprint)| (name, fingerprint));
    for (name, fingerprint) in files.chain(members) {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(&fingerprint.size.to_le_bytes());
        hasher.update(&fingerprint.mtime.nanos().to_le_bytes());
        hasher.update(&fingerprint.ctime.nanos().to_le_bytes());
        hasher.update(&fingerprint.inode.to_le_bytes());
    }
    hasher.update(b"/");
    for name in &directory.directories {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
    }
    Digest(*hasher.finalize().as_bytes())
}
