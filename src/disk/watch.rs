//! Events from the system, turned into hints: one watcher for all roots, a watch for each directory that a walk enters.
//!
//! Watches are set directory by directory because a recursive watch misses files in new folders and fails as a whole on
//! one folder that cannot be read. An event says where to look and never what is there. Keeps no descriptor on a root.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, MetadataKind, ModifyKind, RenameMode};
use notify::{Config, Event, EventHandler, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Error;
use super::hints::{Hint, Hints, Queue, Signal};
use super::root::Root;
use crate::file::{MappingName, RelPath};

/// Watches directories of all mappings, and turns what happens there into hints.
#[derive(Debug)]
pub struct Watcher {
    // Its own thread calls back into `places`, so `places` is never locked while this is used.
    system: Mutex<RecommendedWatcher>,
    places: Arc<Places>,
}

/// What became of a wish to watch a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// It is watched.
    Yes,
    /// The system has no watch left (`fs.inotify.max_user_watches`): it must be polled.
    LimitReached,
    /// It cannot be watched, for this reason: it must be polled, or it is gone.
    Failed(String),
}

impl Watcher {
    /// Starts to listen; nothing is watched yet. At most `capacity` hints wait to be taken.
    ///
    /// # Errors
    /// [`Error::Watch`] if the system gives no watcher at all (`fs.inotify.max_user_instances`): everything is polled.
    pub fn start(mappings: &[(MappingName, Root)], capacity: usize) -> Result<(Self, Hints), Error> {
        let (queue, hints) = Queue::new(capacity);
        let places = Arc::new(Places { mappings: Mutex::default(), queue });
        let config = Config::default().with_follow_symlinks(false);
        let system = RecommendedWatcher::new(Ear(Arc::clone(&places)), config)
            .map_err(|error| Error::Watch { why: error.to_string() })?;
        let watcher = Self { system: Mutex::new(system), places };
        for (name, root) in mappings {
            watcher.add(name, root);
        }
        Ok((watcher, hints))
    }

    /// Takes another mapping; nothing of it is watched yet.
    pub fn add(&self, mapping: &MappingName, root: &Root) {
        let place = Place { root: root.path().to_owned(), watched: BTreeSet::new() };
        self.places.lock().insert(mapping.clone(), place);
    }

    /// Forgets a mapping and drops its watches.
    pub fn remove(&self, mapping: &MappingName) {
        self.unwatch_below(mapping, &RelPath::root());
        self.places.lock().remove(mapping);
    }

    /// Watches one directory of a mapping, not what is below it. Watching it again is right whenever it may be another
    /// directory than it was. Blocks until the watcher's thread has done it.
    pub fn watch(&self, mapping: &MappingName, directory: &RelPath) -> Watched {
        let Some(path) = self.places.absolute(mapping, directory) else {
            return Watched::Failed("its mapping is not watched".to_owned());
        };
        let outcome = lock(&self.system).watch(&path, RecursiveMode::NonRecursive);
        match outcome {
            Ok(()) => {
                if let Some(place) = self.places.lock().get_mut(mapping) {
                    place.watched.insert(directory.clone());
                }
                Watched::Yes
            }
            Err(error) => match error.kind {
                notify::ErrorKind::MaxFilesWatch => Watched::LimitReached,
                notify::ErrorKind::Generic(_)
                | notify::ErrorKind::Io(_)
                | notify::ErrorKind::PathNotFound
                | notify::ErrorKind::WatchNotFound
                | notify::ErrorKind::InvalidConfig(_) => Watched::Failed(error.kind_in_words()),
            },
        }
    }

    /// Drops the watches on a directory and on everything below it.
    pub fn unwatch_below(&self, mapping: &MappingName, directory: &RelPath) {
        let mut gone = Vec::new();
        {
            let mut places = self.places.lock();
            let Some(place) = places.get_mut(mapping) else { return };
            let root = place.root.clone();
            gone.extend(place.forget_below(directory).into_iter().map(|path| absolute(&root, &path)));
            // Another mapping may watch the same directory by the same path.
            gone.retain(|path| !places.values().any(|other| other.watches(path)));
        }
        let mut system = lock(&self.system);
        for path in gone {
            // It may have gone by itself, with its directory.
            drop(system.unwatch(&path));
        }
    }

    /// How many directories are watched.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.places.lock().values().map(|place| place.watched.len()).sum()
    }
}

/// A limit of the system on watched directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimit {
    /// How many directories may be watched in all.
    pub watches: u64,
    /// The sysctl that says so.
    pub sysctl: &'static str,
}

/// How many directories this user may watch in all, where the system has such a limit. Linux has two: one for each user, and
/// one for each user in a user namespace (a container has its own); the smaller holds.
#[must_use]
pub fn watch_limit() -> Option<WatchLimit> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let limits = [
        (c"/proc/sys/fs/inotify/max_user_watches", "fs.inotify.max_user_watches"),
        (c"/proc/sys/user/max_inotify_watches", "user.max_inotify_watches"),
    ];
    let known =
        limits.into_iter().filter_map(|(file, sysctl)| Some(WatchLimit { watches: number(file)?, sysctl }));
    known.min_by_key(|limit| limit.watches)
}

/// The number in a file of the system.
fn number(file: &std::ffi::CStr) -> Option<u64> {
    let open = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(file, open, rustix::fs::Mode::empty()).ok()?;
    let mut text = [0; 32];
    let length = rustix::io::read(&file, &mut text).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
}

trait InWords {
    fn kind_in_words(&self) -> String;
}

impl InWords for notify::Error {
    /// The reason without the path, which is not escaped in it.
    fn kind_in_words(&self) -> String {
        match &self.kind {
            notify::ErrorKind::Generic(why) => crate::file::shown(why),
            notify::ErrorKind::Io(error) => error.to_string(),
            notify::ErrorKind::PathNotFound => "there is no such directory".to_owned(),
            notify::ErrorKind::WatchNotFound => "there is no such watch".to_owned(),
            notify::ErrorKind::InvalidConfig(_) => "the watcher refuses its settings".to_owned(),
            notify::ErrorKind::MaxFilesWatch => "no watch is left".to_owned(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn absolute(root: &Path, path: &RelPath) -> PathBuf {
    if path.is_root() { root.to_owned() } else { root.join(path.as_path()) }
}

/// Where the mappings lie and what of them is watched.
#[derive(Debug)]
struct Places {
    mappings: Mutex<BTreeMap<MappingName, Place>>,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Place {
    root: PathBuf,
    watched: BTreeSet<RelPath>,
}

impl Place {
    fn relative(&self, path: &Path) -> Option<RelPath> {
        RelPath::from_bytes(path.strip_prefix(&self.root).ok()?.as_os_str().as_bytes()).ok()
    }

    fn watches(&self, path: &Path) -> bool {
        self.relative(path).is_some_and(|path| self.watched.contains(&path))
    }

    fn forget_below(&mut self, directory: &RelPath) -> Vec<RelPath> {
        let starts = |path: &RelPath| path.as_bytes().starts_with(directory.as_bytes());
        let below: Vec<RelPath> = self
            .watched
            .range(directory.clone()..)
            .take_while(|path| starts(path))
            .filter(|path| path.is_below(directory))
            .cloned()
            .collect();
        for path in &below {
            self.watched.remove(path);
        }
        below
    }
}

/// The end that the system's thread calls. It must never wait for anybody.
struct Ear(Arc<Places>);

impl EventHandler for Ear {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        match event {
            // Before anything else: such an event has no path, and a kind that says nothing.
            Ok(event) if event.need_rescan() => self.0.all_of(&event.paths),
            Ok(event) => self.0.heard(&event),
            Err(error) => self.0.all_of(&error.paths),
        }
    }
}

impl Drop for Ear {
    /// The system's thread has ended, by our wish or not: no event will tell of anything any more.
    fn drop(&mut self) {
        self.0.all_of(&[]);
        self.0.queue.close();
    }
}

/// What an event says, before it is known whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Signal(Signal),
    Directory,
    /// Something is there that may be a file or a directory.
    Arrived,
    Vanished,
    /// Permissions and the like.
    Metadata,
}

impl Heard {
    fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Self::Signal(Signal::Closed)),
            // Our own reading causes these.
            EventKind::Access(_) => None,
            EventKind::Create(CreateKind::Folder) => Some(Self::Directory),
            EventKind::Create(CreateKind::File) => Some(Self::Signal(Signal::Touched)),
            EventKind::Create(CreateKind::Any | CreateKind::Other) => Some(Self::Arrived),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(Self::Vanished),
            // Told already, as From and To.
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
            EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Any | RenameMode::Other)) => {
                Some(Self::Arrived)
            }
            EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime)) => None,
            EventKind::Modify(ModifyKind::Metadata(_)) => Some(Self::Metadata),
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Other) => {
                Some(Self::Signal(Signal::Touched))
            }
            EventKind::Remove(_) => Some(Self::Vanished),
            EventKind::Any | EventKind::Other => Some(Self::Arrived),
        }
    }
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<MappingName, Place>> {
        lock(&self.mappings)
    }

    fn absolute(&self, mapping: &MappingName, path: &RelPath) -> Option<PathBuf> {
        self.lock().get(mapping).map(|place| absolute(&place.root, path))
    }

    /// Anything may have changed in the mappings that these paths touch; in all of them, if there are none.
    fn all_of(&self, paths: &[PathBuf]) {
        for (name, place) in self.lock().iter() {
            let touched = |path: &PathBuf| path.starts_with(&place.root) || place.root.starts_with(path);
            if paths.is_empty() || paths.iter().any(touched) {
                self.queue.push(Hint::Whole(name.clone()));
            }
        }
    }

    fn heard(&self, event: &Event) {
        let Some(heard) = Heard::of(event.kind) else { return };
        if event.paths.is_empty() {
            return self.all_of(&[]);
        }
        for path in &event.paths {
            // Only what arrived by a rename needs a look at the disk, for no event tells what it is.
            let heard = if heard == Heard::Arrived { arrived(path) } else { heard };
            for (name, place) in self.lock().iter_mut() {
                if let Some(relative) = place.relative(path) {
                    self.queue.push(place.hint(name, relative, heard));
                }
            }
        }
    }
}

/// What lies where something arrived. What cannot be told is left to whoever looks next.
fn arrived(path: &Path) -> Heard {
    match rustix::fs::lstat(path) {
        Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() => Heard::Directory,
        Ok(_) => Heard::Signal(Signal::Closed),
        Err(rustix::io::Errno::NOENT) => Heard::Vanished,
        Err(_) => Heard::Signal(Signal::Touched),
    }
}

impl Place {
    fn hint(&mut self, name: &MappingName, path: RelPath, heard: Heard) -> Hint {
        let mapping = name.clone();
        if path.is_root() {
            // The root was removed, renamed or given other permissions: its watch may be gone or lie.
            return Hint::Whole(mapping);
        }
        match heard {
            Heard::Signal(signal) => Hint::Path { mapping, path, signal },
            Heard::Directory | Heard::Arrived => Hint::Below { mapping, path },
            Heard::Metadata if self.watched.contains(&path) => Hint::Below { mapping, path },
            Heard::Metadata => Hint::Path { mapping, path, signal: Signal::Touched },
            Heard::Vanished => {
                // With its directory, a watch goes by itself.
                self.forget_below(&path);
                Hint::Vanished { mapping, path }
            }
        }
    }
}

#[cfg(test)]
mod tests;
