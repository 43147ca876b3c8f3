//! Which files travel with a model, found out on disk: its references are read, resolved and followed below the root.
//!
//! It decides nothing about what becomes of them: the rules are `bundle`'s and `references`'.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use crate::bundle::{Bounds, Bundle, gather};
use crate::disk::{self, Root};
use crate::file::RelPath;
use crate::references::{Directory, Format, Limits, References, Tree, read};

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
        // What cannot be opened at all is an error, not a model without references.
        drop(disk::open(&self.root, lead)?);
        let Self { root, directories, references } = self;
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
            let known = references.entry((path.clone(), format));
            known
                .or_insert_with(|| {
                    let mut file = disk::open(root, path).map_err(|error| error.to_string())?;
                    let found = read(format, &mut file, &Limits::default());
                    found.map(Arc::new).map_err(|error| error.to_string())
                })
                .clone()
        };
        let at = root.path().as_os_str().as_bytes();
        Ok(gather(lead, &Tree::new(&list).at(at), &mut names, &size, &Bounds::default()))
    }
}
