//! The files of a directory that may be slices of a series, by their heads; what was found out is kept while they arrive.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bundle::series::Candidate;
use crate::disk::{self, Root};
use crate::file::{Fingerprint, RelPath};
use crate::mapping::Mapping;
use crate::mapping::format::is_slice;
use crate::references::dicom::{self, Sliced};
use crate::timestamp::Tick;

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
