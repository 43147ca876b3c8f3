//! The tree that names are looked up in: what its directories hold, told by whoever knows. Nothing here asks a disk.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::file::RelPath;

/// The names in one directory: regular files and directories, nothing that a link stands for.
#[derive(Debug, Default)]
pub struct Directory {
    files: BTreeSet<Vec<u8>>,
    directories: BTreeSet<Vec<u8>>,
    folded_files: OnceLock<HashMap<Vec<u8>, Vec<u8>>>,
    folded_directories: OnceLock<HashMap<Vec<u8>, Vec<u8>>>,
}

impl Directory {
    /// A directory with these files and directories in it.
    #[must_use]
    pub fn new(
        files: impl IntoIterator<Item = Vec<u8>>,
        directories: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        Self {
            files: files.into_iter().collect(),
            directories: directories.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether there is a file of this very name.
    #[must_use]
    pub fn has_file(&self, name: &[u8]) -> bool {
        self.files.contains(name)
    }

    /// Whether there is a directory of this very name.
    #[must_use]
    pub fn has_directory(&self, name: &[u8]) -> bool {
        self.directories.contains(name)
    }

    /// The files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &[u8]> {
        self.files.iter().map(Vec::as_slice)
    }

    /// The file whose name differs at most in case; of several the first.
    fn file_like(&self, name: &[u8]) -> Option<&[u8]> {
        let folded = self.folded_files.get_or_init(|| fold_all(&self.files));
        folded.get(&folded_name(name)).map(Vec::as_slice)
    }

    fn directory_like(&self, name: &[u8]) -> Option<&[u8]> {
        let folded = self.folded_directories.get_or_init(|| fold_all(&self.directories));
        folded.get(&folded_name(name)).map(Vec::as_slice)
    }
}

fn fold_all(names: &BTreeSet<Vec<u8>>) -> HashMap<Vec<u8>, Vec<u8>> {
    names.iter().rev().map(|name| (folded_name(name), name.clone())).collect()
}

/// A name without regard to case, and to whether marks are one with their letters.
pub(super) fn folded_name(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) if text.is_ascii() => name.to_ascii_lowercase(),
        Ok(text) => crate::file::spelling::composed(&text.to_lowercase()).into_bytes(),
        Err(_) => name.to_ascii_lowercase(),
    }
}

/// All files of a base name.
type Named<'a> = dyn Fn(&[u8]) -> Vec<RelPath> + 'a;

/// A tree of directories below a root.
#[derive(Clone, Copy)]
pub struct Tree<'a> {
    list: &'a dyn Fn(&RelPath) -> Option<Arc<Directory>>,
    root: Option<&'a [u8]>,
    named: Option<&'a Named<'a>>,
    search: Search,
}

/// How far a file is searched that is not where its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// Beside the model, and where textures are kept by convention.
    #[default]
    Near,
    /// Anywhere in the mapping, if only one file has the name.
    Mapping,
}

impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("root", &self.root).field("search", &self.search).finish_non_exhaustive()
    }
}

impl<'a> Tree<'a> {
    /// A tree, by what lists one of its directories: none if it is no directory, or lies behind a link.
    #[must_use]
    pub fn new(list: &'a dyn Fn(&RelPath) -> Option<Arc<Directory>>) -> Self {
        Self { list, root: None, named: None, search: Search::Near }
    }

    /// The same, whose root has this absolute path: absolute names below it are no guesses.
    #[must_use]
    pub fn at(self, root: &'a [u8]) -> Self {
        Self { root: Some(root), ..self }
    }

    /// The same, with all files of a base name known: for `search`, and to tell where a missing file lies instead.
    #[must_use]
    pub fn knowing(self, named: &'a dyn Fn(&[u8]) -> Vec<RelPath>, search: Search) -> Self {
        Self { named: Some(named), search, ..self }
    }

    pub(super) fn root(&self) -> Option<&'a [u8]> {
        self.root
    }

    pub(super) fn search(&self) -> Search {
        self.search
    }

    /// All files of a base name, as far as they are known.
    pub(super) fn named(&self, name: &[u8]) -> Vec<RelPath> {
        self.named.map(|named| named(name)).unwrap_or_default()
    }

    /// What a directory holds.
    #[must_use]
    pub fn list(&self, directory: &RelPath) -> Option<Arc<Directory>> {
        (self.list)(directory)
    }

    /// The file at `components` below `from`, if there is one.
    pub(super) fn file(&self, from: &RelPath, components: &[&[u8]], case: Case) -> Option<RelPath> {
        let (name, directories) = components.split_last()?;
        let directory = self.directory(from, directories, case)?;
        let listing = self.list(&directory)?;
        let name = match case {
            Case::Exact => listing.has_file(name).then_some(*name)?,
            Case::Folded if listing.has_file(name) => name,
            Case::Folded => listing.file_like(name)?,
        };
        directory.join(name).ok()
    }

    /// The directory at `components` below `from`. Whether it exists shows when it is listed.
    pub(super) fn directory(&self, from: &RelPath, components: &[&[u8]], case: Case) -> Option<RelPath> {
        let mut at = from.clone();
        for name in components {
            at = match case {
                Case::Exact => at.join(name).ok()?,
                Case::Folded => {
                    let listing = self.list(&at)?;
                    let name =
                        if listing.has_directory(name) { name } else { listing.directory_like(name)? };
                    at.join(name).ok()?
                }
            };
        }
        Some(at)
    }
}

/// Whether case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    Folded,
}
