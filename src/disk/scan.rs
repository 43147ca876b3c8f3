//! The walk: every admitted file below a root with its stat, a directory at a time.
//!
//! A few threads share one stack of directories. Each directory is opened beneath the root's own descriptor, listed in
//! one pass and forgotten; nothing recurses, and what is remembered is bounded by the directories still waiting. A
//! directory that cannot be listed is told as incomplete: what is below it is unknown, not gone.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::FileType;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::kernel::{self, Names};
use super::look::Kind;
use super::root::{Base, Root};
use super::rules::{Approach, IGNORE_FILE, Rules, approach, judge};
use crate::file::sighting::RootIdentity;
use crate::file::{Fingerprint, RelPath};
use crate::mapping::filter::IgnoredKind;
use crate::mapping::{Admission, Ignored, Mapping};

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Which directory.
    pub path: RelPath,
    /// Its admitted regular files by name, sorted.
    pub files: Vec<(Vec<u8>, Fingerprint)>,
    /// Its admitted subdirectories by name, sorted; they are told later, each by itself.
    pub directories: Vec<Vec<u8>>,
    /// What else is in it, and why that is not ours; sorted by name.
    pub ignored: Vec<(Vec<u8>, Ignored)>,
    /// Whether that is all: only then is something absent that is not listed.
    pub complete: Complete,
}

/// Whether a listing has everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complete {
    /// It has.
    Yes,
    /// It broke off, or never began; everything in the directory and below it that is not listed is unknown.
    No(Error),
}

/// Who is told of what the walk finds. Both are called from several threads at once.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// Told of a directory that could be opened and is about to be listed, so that a watch can be set first.
    pub enter: &'a (dyn Fn(&RelPath) + Sync),
    /// Given what a directory holds.
    pub directory: &'a (dyn Fn(Directory) + Sync),
}

impl std::fmt::Debug for Visit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit").finish_non_exhaustive()
    }
}

/// What a walk came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which directory was walked: that of the descriptor through which everything was opened.
    pub before: RootIdentity,
    /// Which directory lay at the root's path when the walk was over.
    pub after: RootIdentity,
    /// How many files were admitted.
    pub files: u64,
    /// How many directories were told of, the incomplete ones included.
    pub directories: u64,
    /// How many entries were ignored, by kind.
    pub ignored: BTreeMap<IgnoredKind, u64>,
    /// The first [`TOLD_TROUBLES`] directories that could not be listed, with the reason.
    pub troubles: Vec<(RelPath, String)>,
    /// How many there were in all.
    pub trouble_count: u64,
}

/// How many troubles a report names.
pub const TOLD_TROUBLES: usize = 100;

/// Walks everything below `from`, with this many threads (at least one: the caller's).
///
/// Blocks: call it off the async threads. If the way down to `from` is not admitted, nothing is visited and the reason
/// is counted.
///
/// # Errors
/// [`Error::Offline`] if the root is away before or after, [`Error::Cancelled`] soon after `cancel` was, and what the
/// system says of the way down to `from`. What goes wrong further down is told in the directory that it concerns.
pub fn scan(
    root: &Root,
    mapping: &Mapping,
    from: &RelPath,
    threads: usize,
    cancel: &CancellationToken,
    visit: Visit<'_>,
) -> Result<Report, Error> {
    let base = root.open()?;
    let before = base.identity()?;
    let walk = Walk {
        base: &base,
        mapping,
        cancel,
        visit,
        stack: Mutex::new(Stack::default()),
        changed: Condvar::new(),
        tally: Mutex::new(Tally::default()),
    };
    let rules = match approach(&base, mapping, from)? {
        Approach::Open(rules) if from.is_root() => Ok(rules),
        Approach::Open(rules) => match judge(mapping, &rules, from, Kind::Directory) {
            Admission::Admitted => Ok(rules),
            Admission::Ignored(why) => Err(why),
        },
        Approach::Closed(why) => Err(why),
    };
    match rules {
        Ok(rules) => {
            // What is wrong with the top itself is the caller's to know, not one trouble among others.
            drop(base.directory(from, kernel::LISTING)?);
            lock(&walk.stack).waiting.push(Waiting { path: from.clone(), rules });
            walk.run(threads.max(1))?;
        }
        Err(why) => lock(&walk.tally).ignore(why.kind, 1),
    }
    let tally = std::mem::take(&mut *lock(&walk.tally));
    Ok(Report {
        before,
        after: root.identity()?,
        files: tally.files,
        directories: tally.directories,
        ignored: tally.ignored,
        troubles: tally.troubles,
        trouble_count: tally.trouble_count,
    })
}

struct Walk<'a> {
    base: &'a Base<'a>,
    mapping: &'a Mapping,
    cancel: &'a CancellationToken,
    visit: Visit<'a>,
    stack: Mutex<Stack>,
    changed: Condvar,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Stack {
    waiting: Vec<Waiting>,
    /// How many directories are being listed; while one is, more may come.
    busy: usize,
    /// A thread panicked: nobody takes another directory.
    broken: bool,
}

struct Waiting {
    path: RelPath,
    /// The rules that hold in the directory that holds it.
    rules: Rules,
}

#[derive(Default)]
struct Tally {
    files: u64,
    directories: u64,
    ignored: BTreeMap<IgnoredKind, u64>,
    troubles: Vec<(RelPath, String)>,
    trouble_count: u64,
}

impl Tally {
    fn ignore(&mut self, kind: IgnoredKind, how_many: u64) {
        *self.ignored.entry(kind).or_default() += how_many;
    }

    fn add(&mut self, directory: &Directory) {
        self.directories += 1;
        self.files += directory.files.len() as u64;
        for (_, why) in &directory.ignored {
            self.ignore(why.kind, 1);
        }
        match &directory.complete {
            // That it went away while the walk was on its way is no trouble; the next walk sees it clearly.
            Complete::Yes | Complete::No(Error::Gone { .. } | Error::Cancelled) => {}
            Complete::No(Error::OtherFileSystem { .. }) => self.ignore(IgnoredKind::OtherFileSystem, 1),
            Complete::No(error) => {
                self.trouble_count += 1;
                if self.troubles.len() < TOLD_TROUBLES {
                    self.troubles.push((directory.path.clone(), error.to_string()));
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Walk<'_> {
    fn run(&self, threads: usize) -> Result<(), Error> {
        std::thread::scope(|scope| {
            for number in 1..threads {
                let builder = std::thread::Builder::new().name(format!("scan {number}"));
                // One thread less is slower, and nothing else.
                if builder.spawn_scoped(scope, || self.work()).is_err() {
                    break;
                }
            }
            self.work();
        });
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn work(&self) {
        let mut scratch = Scratch::default();
        while let Some(next) = self.take() {
            let mut turn = Turn { walk: self, panicking: true };
            let mut found = self.list(next, &mut scratch);
            turn.panicking = false;
            lock(&self.stack).waiting.append(&mut found);
        }
    }

    fn take(&self) -> Option<Waiting> {
        let mut stack = lock(&self.stack);
        loop {
            if stack.broken || self.cancel.is_cancelled() {
                self.changed.notify_all();
                return None;
            }
            if let Some(next) = stack.waiting.pop() {
                stack.busy += 1;
                return Some(next);
            }
            if stack.busy == 0 {
                return None;
            }
            stack = self.changed.wait(stack).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lists one directory, tells of it, and returns the directories in it.
    fn list(&self, waiting: Waiting, scratch: &mut Scratch) -> Vec<Waiting> {
        let Waiting { path, rules } = waiting;
        let mut directory = Directory {
            path,
            files: Vec::new(),
            directories: Vec::new(),
            ignored: Vec::new(),
            complete: Complete::Yes,
        };
        let rules = match self.base.directory(&directory.path, kernel::LISTING) {
            Ok(fd) => {
                (self.visit.enter)(&directory.path);
                self.fill(&mut directory, fd.as_fd(), rules, scratch)
            }
            Err(error) => Err(error),
        };
        let mut found = Vec::new();
        match rules {
            Ok(rules) => {
                for name in directory.directories.iter().rev() {
                    if let Ok(path) = directory.path.join(name) {
                        found.push(Waiting { path, rules: rules.clone() });
                    }
                }
            }
            Err(error) => directory.complete = Complete::No(error),
        }
        if !self.cancel.is_cancelled() {
            lock(&self.tally).add(&directory);
            (self.visit.directory)(directory);
        }
        found
    }

    /// Lists an open directory. What goes wrong with the listing is noted in it, and what was found is gone on with;
    /// an error means that its rules are not known, so that nothing in it can be judged.
    fn fill(
        &self,
        directory: &mut Directory,
        fd: BorrowedFd<'_>,
        outer: Rules,
        scratch: &mut Scratch,
    ) -> Result<Rules, Error> {
        let mut rules = outer;
        let mut has_rules = HasRules::NotSeen;
        loop {
            scratch.begin(&directory.path);
            let Scratch { names, path } = scratch;
            let mut pass =
                Pass { walk: self, fd, rules: &rules, has_rules, directory: &mut *directory, path, seen: 0 };
            match names.each(fd, |name, kind| pass.entry(name, kind)) {
                Ok(ControlFlow::Continue(())) => break,
                Ok(ControlFlow::Break(Stop::Cancelled)) => return Err(Error::Cancelled),
                // An ignore file came to light among the names: judge them all by it, from the first.
                Ok(ControlFlow::Break(Stop::Rules)) => {
                    directory.files.clear();
                    directory.directories.clear();
                    directory.ignored.clear();
                    directory.complete = Complete::Yes;
                    rules = rules.within(fd, &directory.path)?;
                    has_rules = HasRules::Read;
                }
                Err(errno) => {
                    directory.complete = Complete::No(Error::of(&directory.path, errno));
                    // The ignore file may be among the names that were not told.
                    if has_rules == HasRules::NotSeen {
                        rules = rules.within(fd, &directory.path)?;
                        directory.files.clear();
                        directory.directories.clear();
                        directory.ignored.clear();
                    }
                    break;
                }
            }
        }
        directory.files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        directory.directories.sort_unstable();
        directory.ignored.sort_by(|a, b| a.0.cmp(&b.0));
        // A directory that changes while it is listed may tell a name twice.
        directory.files.dedup_by(|a, b| a.0 == b.0);
        directory.directories.dedup();
        Ok(rules)
    }
}

/// Gives a taken directory back, also if listing it panicked: the other threads must not wait for it for ever.
struct Turn<'a> {
    walk: &'a Walk<'a>,
    panicking: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut stack = lock(&self.walk.stack);
        stack.busy -= 1;
        stack.broken |= self.panicking;
        drop(stack);
        self.walk.changed.notify_all();
    }
}

/// What a thread uses again for each directory.
#[derive(Default)]
struct Scratch {
    names: Names,
    path: PathOf,
}

impl Scratch {
    fn begin(&mut self, directory: &RelPath) {
        self.path.bytes.clear();
        self.path.bytes.extend_from_slice(directory.as_bytes());
        if !directory.is_root() {
            self.path.bytes.push(b'/');
        }
        self.path.prefix = self.path.bytes.len();
    }
}

/// The paths of one directory's entries, made in one place.
#[derive(Default)]
struct PathOf {
    bytes: Vec<u8>,
    prefix: usize,
}

impl PathOf {
    fn entry(&mut self, name: &[u8]) -> Result<RelPath, Error> {
        self.bytes.truncate(self.prefix);
        self.bytes.extend_from_slice(name);
        // The kernel hands out no name that climbs; were it to, the listing is not to be believed.
        RelPath::from_bytes(&self.bytes)
            .map_err(|climbs| Error::Io { path: RelPath::root(), why: climbs.to_string() })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HasRules {
    NotSeen,
    Read,
}

enum Stop {
    Rules,
    Cancelled,
}

/// After how many entries it is asked whether the walk was cancelled: asking takes a lock.
const ASK: u32 = 256;

struct Pass<'p, 'w> {
    walk: &'p Walk<'w>,
    fd: BorrowedFd<'p>,
    rules: &'p Rules,
    has_rules: HasRules,
    directory: &'p mut Directory,
    path: &'p mut PathOf,
    seen: u32,
}

impl Pass<'_, '_> {
    fn entry(&mut self, name: &CStr, kind: FileType) -> ControlFlow<Stop> {
        self.seen = self.seen.wrapping_add(1);
        if self.seen.is_multiple_of(ASK) && self.walk.cancel.is_cancelled() {
            return ControlFlow::Break(Stop::Cancelled);
        }
        if self.has_rules == HasRules::NotSeen && name.to_bytes() == IGNORE_FILE.as_bytes() {
            return ControlFlow::Break(Stop::Rules);
        }
        match self.judged(name, kind) {
            Ok(()) => {}
            // It went away since it was listed.
            Err(Error::Gone { .. }) => {}
            // One entry that cannot be looked at leaves the listing incomplete, and the others as they are.
            Err(error) => self.directory.complete = Complete::No(error),
        }
        ControlFlow::Continue(())
    }

    fn judged(&mut self, name: &CStr, listed: FileType) -> Result<(), Error> {
        let path = self.path.entry(name.to_bytes())?;
        // Where the listing tells the kind, what is ignored costs no stat, and neither does a directory.
        if listed != FileType::Unknown && !self.admitted(name, &path, Kind::of(listed)) {
            return Ok(());
        }
        if listed == FileType::Directory {
            self.directory.directories.push(name.to_bytes().to_vec());
            return Ok(());
        }
        let stat = kernel::stat_at(self.fd, name).map_err(|errno| Error::of(&path, errno))?;
        // It may be something else by now than it was listed as.
        let judged = listed != FileType::Unknown && Kind::of(listed) == stat.kind;
        if !judged && !self.admitted(name, &path, stat.kind) {
            return Ok(());
        }
        match stat.kind {
            Kind::Directory => self.directory.directories.push(name.to_bytes().to_vec()),
            Kind::File => self.directory.files.push((name.to_bytes().to_vec(), stat.fingerprint)),
            Kind::Link | Kind::Special => {}
        }
        Ok(())
    }

    fn admitted(&mut self, name: &CStr, path: &RelPath, kind: Kind) -> bool {
        match judge(self.walk.mapping, self.rules, path, kind) {
            Admission::Admitted => true,
            Admission::Ignored(why) => {
                self.directory.ignored.push((name.to_bytes().to_vec(), why));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
