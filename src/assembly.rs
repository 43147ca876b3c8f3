//! Which files travel with a model, found out on disk: its references are read, resolved and followed below the root. The
//! slices of a series are found by their heads.
//!
//! It decides nothing about what becomes of them: the rules are `bundle`'s and `references`'.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bundle::series::{Candidate, Series};
use crate::bundle::{Bounds, Bundle, gather};
use crate::disk::{self, Kind, Root};
use crate::file::entry::Current;
use crate::file::{Entry, Fingerprint, Key, RelPath, folded};
use crate::ledger::{self, Ledger, Lies, Searches};
use crate::mapping::format::is_slice;
use crate::mapping::{Mapping, Search};
use crate::references::dicom::{self, Sliced};
use crate::references::{self, Directory, Format, Limits, References, Tree, read, readable};
use crate::timestamp::Tick;

/// What travels with a lead, written down: the files that make it another bundle, and the names that it looks for everywhere.
/// Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says; inside, what the disk says of the lead itself.
pub fn noted(
    ledger: &Ledger,
    root: &Root,
    mapping: &Mapping,
    lead: &Key,
) -> Result<Result<Bundle, disk::Error>, ledger::Error> {
    let mut assembly = Assembly::new(root.clone());
    let bundle = match mapping.policy.search {
        Search::Near => assembly.bundle(&lead.path),
        Search::Mapping => {
            let failed = Cell::new(None);
            let named = |name: &[u8]| {
                let mut found = ledger.named(&mapping.name, name).unwrap_or_else(|error| {
                    failed.set(Some(error));
                    Vec::new()
                });
                found.retain(|path| may_travel(root, mapping, path));
                found
            };
            let sent = Sent::of(&ledger.entry(lead)?, &ledger.references(lead)?);
            let kept = |written: &[u8]| sent.kept(written, root, mapping);
            let names = Names { named: &named, kept: &kept, search: Search::Mapping };
            let mut bundle = assembly.bundle_with(&lead.path, names);
            // A file may have come after it was looked for and before that was known.
            for _ in 0..ROUNDS {
                match &bundle {
                    Ok(found) if ledger.put_sought(lead, &found.sought)? => {}
                    Ok(_) | Err(_) => break,
                }
                bundle = assembly.bundle_with(&lead.path, names);
            }
            if let Some(error) = failed.into_inner() {
                return Err(error);
            }
            bundle
        }
    };
    if let Ok(bundle) = &bundle {
        ledger.put_references(lead, &bundle.watched())?;
    }
    Ok(bundle)
}

/// How many times what a lead looks for may become something else while it is looked at.
const ROUNDS: usize = 4;

/// Takes note of how a mapping names parts and how far it searches. Where that is not as it was, every model with members is
/// looked at again; the version tells whether anything is sent.
///
/// # Errors
/// What the ledger says.
pub fn note_naming(ledger: &Ledger, mapping: &Mapping) -> Result<(), ledger::Error> {
    let policy = &mapping.policy;
    let naming = format!("{} {}", policy.part_names.word(), policy.search.word());
    let searches = match policy.search {
        Search::Near => Searches::Nearby,
        Search::Mapping => Searches::Everywhere,
    };
    ledger.put_naming(&mapping.name, &naming, searches)
}

/// Takes note of whether a file lies at a path, where a mapping searches everywhere. Returns the leads that look for its name,
/// if that is news. Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says.
pub fn note_name(
    ledger: &Ledger,
    root: &Root,
    mapping: &Mapping,
    path: &RelPath,
) -> Result<Vec<Key>, ledger::Error> {
    match mapping.policy.search {
        Search::Near => Ok(Vec::new()),
        Search::Mapping => {
            let lies = if may_travel(root, mapping, path) { Lies::There } else { Lies::Nowhere };
            ledger.put_name(&mapping.key(path.clone()), lies)
        }
    }
}

/// Whether a file lies at a path that may travel with a model.
#[must_use]
pub fn may_travel(root: &Root, mapping: &Mapping, path: &RelPath) -> bool {
    disk::admits(root, mapping, path).is_ok_and(|admission| admission.may_travel())
        && disk::stat(root, path).is_ok_and(|stat| stat.kind == Kind::File)
}

/// The files that were sent with a lead, also those of an attempt that is open.
#[derive(Debug, Default)]
pub struct Sent {
    /// By the names as written that led to them.
    named: HashMap<String, RelPath>,
    /// Those that no name led to when it was last looked: they were not there.
    others: Vec<RelPath>,
}

impl Sent {
    /// What the ledger knows of it.
    #[must_use]
    pub fn of(entry: &Entry, references: &[(RelPath, String)]) -> Self {
        let current = entry.current.iter().flat_map(Current::parts).map(|part| &part.part.path);
        let attempt = entry.attempt.intent().into_iter().flat_map(|intent| &intent.parts);
        let paths: BTreeSet<&RelPath> = current.chain(attempt.map(|part| &part.path)).collect();
        let named = references.iter().filter(|(path, _)| paths.contains(path));
        let named: HashMap<_, _> = named.map(|(path, written)| (written.clone(), path.clone())).collect();
        let is_named = |path: &RelPath| named.values().any(|known| known == path);
        let others = paths.into_iter().filter(|path| !is_named(path)).cloned().collect();
        Self { named, others }
    }

    /// The file that was sent for a name, if it is still there. One that was away is known again by its base name.
    #[must_use]
    pub fn kept(&self, written: &[u8], root: &Root, mapping: &Mapping) -> Option<RelPath> {
        let name = written.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
        let again = || {
            let mut alike = self.others.iter().filter(|path| folded(path.name()) == folded(name));
            alike.next().filter(|_| alike.next().is_none())
        };
        let path = self.named.get(&readable(written)).or_else(again)?;
        may_travel(root, mapping, path).then(|| path.clone())
    }
}

/// What is known of names beyond the directories that a name leads to.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// All files of a base name, whatever its case.
    pub named: &'a dyn Fn(&[u8]) -> Vec<RelPath>,
    /// The file that a name as written led to when the bundle was sent.
    pub kept: &'a dyn Fn(&[u8]) -> Option<RelPath>,
    /// How far a name may be searched.
    pub search: Search,
}

impl std::fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("search", &self.search).finish_non_exhaustive()
    }
}

/// Reads the bundles below one root: directories and references are asked for once.
#[derive(Debug)]
pub struct Assembly {
    root: Root,
    directories: RefCell<HashMap<RelPath, Option<Arc<Directory>>>>,
    references: HashMap<(RelPath, Format), Result<Arc<References>, String>>,
}

impl Assembly {
    /// An assembly below `root` that has read nothing yet.
    #[must_use]
    pub fn new(root: Root) -> Self {
        Self { root, directories: RefCell::default(), references: HashMap::new() }
    }

    /// Whether files of this name can refer to others at all.
    #[must_use]
    pub fn may_refer(path: &RelPath) -> bool {
        path.extension().is_some_and(|extension| Format::of_extension(&extension).is_some())
    }

    /// What travels with `lead`, and what is missing of it. Blocks: call it off the async threads.
    ///
    /// # Errors
    /// What the disk says if the lead itself cannot be opened; what is wrong further down is told in the bundle.
    pub fn bundle(&mut self, lead: &RelPath) -> Result<Bundle, disk::Error> {
        self.bundle_with(lead, Names { named: &|_| Vec::new(), kept: &|_| None, search: Search::Near })
    }

    /// As [`Assembly::bundle`], with what is known of names.
    ///
    /// # Errors
    /// As there.
    pub fn bundle_with(&mut self, lead: &RelPath, known: Names<'_>) -> Result<Bundle, disk::Error> {
        // What cannot be opened at all is an error, not a model without references.
        drop(disk::open(&self.root, lead)?);
        if is_slice(lead) {
            return self.series(lead);
        }
        let Self { root, directories, references: known_references } = self;
        let list = |path: &RelPath| {
            let known = directories.borrow().get(path).cloned();
            known.unwrap_or_else(|| {
                let listed = disk::list(root, path).ok();
                let listed =
                    listed.map(|listing| Arc::new(Directory::new(listing.files, listing.directories)));
                directories.borrow_mut().insert(path.clone(), listed.clone());
                listed
            })
        };
        let size = |path: &RelPath| disk::stat(root, path).map_or(0, |stat| stat.fingerprint.size);
        let mut names = |path: &RelPath, format: Format| {
            let known = known_references.entry((path.clone(), format));
            known
                .or_insert_with(|| {
                    let mut file = disk::open(root, path).map_err(|error| error.to_string())?;
                    let found = read(format, &mut file, &Limits::default());
                    found.map(Arc::new).map_err(|error| error.to_string())
                })
                .clone()
        };
        let at = root.path().as_os_str().as_bytes();
        let search = match known.search {
            Search::Near => references::Search::Near,
            Search::Mapping => references::Search::Mapping,
        };
        let tree = Tree::new(&list).at(at).knowing(known.named, search).keeping(known.kept);
        Ok(gather(lead, &tree, &mut names, &size, &Bounds::default()))
    }

    /// The slices of the series that a slice belongs to.
    fn series(&self, slice: &RelPath) -> Result<Bundle, disk::Error> {
        let directory = candidates(&self.root, None, &slice.parent(), &Slices::default())?;
        if let Some(series) = Series::of(slice, &directory) {
            return Ok(series.bundle(slice, &Bounds::default()));
        }
        let unknown = directory.iter().find(|it| it.path == *slice).and_then(Candidate::unknown);
        let warnings = unknown.into_iter().map(|why| (slice.clone(), why)).collect();
        Ok(Bundle { warnings, ..Bundle::default() })
    }
}

/// The files right in a directory that may be slices, as far as the mapping admits them, sorted by path. Only their heads are
/// read. Blocks: call it off the async threads.
///
/// # Errors
/// What the disk says if the directory cannot be listed; of a file that cannot be read it is told with the file.
pub fn candidates(
    root: &Root,
    mapping: Option<&Mapping>,
    directory: &RelPath,
    slices: &Slices,
) -> Result<Vec<Candidate>, disk::Error> {
    let files = disk::admitted(root, mapping, directory, &is_slice)?;
    Ok(files
        .into_iter()
        .map(|(path, stat)| {
            let head = slices.head(root, &path, &stat);
            Candidate { path, stat, head }
        })
        .collect())
}

/// What was last found out of slices: while they arrive, one after another, their directory is looked at often.
#[derive(Debug, Default)]
pub struct Slices {
    heads: Mutex<HashMap<(Place, Fingerprint), Arc<Sliced>>>,
    directories: Mutex<HashMap<Place, Surveyed>>,
}

/// A path, and below which root.
type Place = (PathBuf, RelPath);

/// What was found in a directory.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The stat of the directory before it was listed.
    pub stat: Fingerprint,
    /// When that was.
    pub at: Tick,
    /// What may be a slice, sorted by path.
    pub found: Arc<Vec<Candidate>>,
    /// The lead of each series.
    pub leads: Arc<HashMap<String, RelPath>>,
}

/// How many heads are kept.
const HEADS: usize = 20_000;

/// Of how many directories it is kept what was found.
const DIRECTORIES: usize = 16;

impl Slices {
    /// What the head of a file tells, or why it could not be read. It is read once for each stat of the file.
    ///
    /// # Errors
    /// What the disk says, for a person.
    pub fn head(&self, root: &Root, path: &RelPath, stat: &Fingerprint) -> Result<Arc<Sliced>, String> {
        let place = ((root.path().to_path_buf(), path.clone()), *stat);
        let known = self.heads.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut file = disk::open(root, path).map_err(|error| error.to_string())?;
        let head = Arc::new(dicom::slice(&mut file).map_err(|error| error.to_string())?);
        // A file that tells nothing yet may be about to be written.
        if let Sliced::Of(_) = *head {
            let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
            if heads.len() >= HEADS {
                heads.clear();
            }
            heads.insert(place, Arc::clone(&head));
        }
        Ok(head)
    }

    /// What was last found in a directory, if its stat is what it was then: no file has come or gone since.
    #[must_use]
    pub fn last(&self, root: &Root, directory: &RelPath, stat: &Fingerprint) -> Option<Surveyed> {
        let directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        let last = directories.get(&(root.path().to_path_buf(), directory.clone()));
        last.filter(|last| last.stat == *stat).cloned()
    }

    /// Keeps what was found in a directory.
    pub fn keep(&self, root: &Root, directory: &RelPath, surveyed: Surveyed) {
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if directories.len() >= DIRECTORIES {
            directories.clear();
        }
        directories.insert((root.path().to_path_buf(), directory.clone()), surveyed);
    }

    /// Who leads what in a directory may have changed.
    pub fn forget(&self, root: &Root, directory: &RelPath) {
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        directories.remove(&(root.path().to_path_buf(), directory.clone()));
    }
}
