//! Which files travel with a model, found out on disk: its references are read, resolved and followed below the root. The
//! slices of a series are found by their heads.
//!
//! It decides nothing about what becomes of them: the rules are `bundle`'s and `references`'.

mod naming;
mod slices;

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use crate::bundle::series::{Candidate, Series};
use crate::bundle::{Bounds, Bundle, gather};
use crate::disk::{self, Root};
use crate::file::RelPath;
use crate::mapping::Search;
use crate::mapping::format::is_slice;
use crate::references::{self, Directory, Format, Limits, References, Tree, read};

pub use naming::{Sent, may_travel, note_name, note_naming, noted};
pub use slices::{Slices, Surveyed, candidates};

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
