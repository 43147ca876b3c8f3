//! One directory's names, and one file to be read here and there: what following references asks of a disk.
//! Knows no format; what is admitted is for `rules` to say.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::look::Kind;
use super::root::Root;
use super::rules::{Approach, approach, judge};
use super::{Error, kernel};
use crate::file::{Fingerprint, RelPath};
use crate::mapping::{Admission, Mapping};

/// The names in one directory, by what lies there. Links, FIFOs, sockets and devices are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Regular files, unsorted.
    pub files: Vec<Vec<u8>>,
    /// Directories, unsorted.
    pub directories: Vec<Vec<u8>>,
}

/// What the directory at `path` beneath `root` holds. No link on the way is followed.
///
/// # Errors
/// [`Error::Gone`], [`Error::NotDirectory`], [`Error::Link`], [`Error::Offline`], and what else the system says.
pub fn list(root: &Root, path: &RelPath) -> Result<Listing, Error> {
    let fault = |errno| Error::of(path, errno);
    let directory = root.open()?.directory(path, kernel::LISTING)?;
    let mut listing = Listing::default();
    let ended = kernel::Names::default()
        .each(directory.as_fd(), |name, kind| {
            let kind = match kind {
                // Not every file system tells the type with the name.
                FileType::Unknown => match kernel::stat_at(directory.as_fd(), name) {
                    Ok(stat) => stat.kind,
                    Err(errno) => return ControlFlow::Break(errno),
                },
                told => Kind::of(told),
            };
            match kind {
                Kind::File => listing.files.push(name.to_bytes().to_vec()),
                Kind::Directory => listing.directories.push(name.to_bytes().to_vec()),
                Kind::Link | Kind::Special => {}
            }
            ControlFlow::Continue(())
        })
        .map_err(fault)?;
    match ended {
        ControlFlow::Continue(()) => Ok(listing),
        ControlFlow::Break(errno) => Err(fault(errno)),
    }
}

/// The regular files right in `directory` whose names are `wanted` and which `mapping` admits, with their stats, sorted by
/// path. Without a mapping everything is admitted.
///
/// # Errors
/// As [`list`], and [`Error::IgnoreFile`] where an ignore file cannot be obeyed.
pub fn admitted(
    root: &Root,
    mapping: Option<&Mapping>,
    directory: &RelPath,
    wanted: &dyn Fn(&RelPath) -> bool,
) -> Result<Vec<(RelPath, Fingerprint)>, Error> {
    let base = root.open()?;
    let at = base.directory(directory, kernel::LISTING)?;
    let rules = match mapping {
        None => None,
        Some(mapping) => {
            // The rules that hold in a directory are those for any name in it.
            let Ok(any) = directory.join(b"any") else { return Ok(Vec::new()) };
            match approach(&base, mapping, &any)? {
                Approach::Open(rules) => Some((mapping, rules)),
                Approach::Closed(_) => return Ok(Vec::new()),
            }
        }
    };
    let mut files = Vec::new();
    let ended = kernel::Names::default()
        .each(at.as_fd(), |name, _| {
            let Ok(path) = directory.join(name.to_bytes()) else { return ControlFlow::Continue(()) };
            if !wanted(&path) {
                return ControlFlow::Continue(());
            }
            match kernel::stat_at(at.as_fd(), name) {
                Ok(stat) if stat.kind == Kind::File => files.push((path, stat.fingerprint)),
                // It went away since its name was read, or is no file.
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return ControlFlow::Break(errno),
            }
            ControlFlow::Continue(())
        })
        .map_err(|errno| Error::of(directory, errno))?;
    if let ControlFlow::Break(errno) = ended {
        return Err(Error::of(directory, errno));
    }
    if let Some((mapping, rules)) = rules {
        files.retain(|(path, _)| judge(mapping, &rules, path, Kind::File) == Admission::Admitted);
    }
    files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

/// Opens the regular file at `path` beneath `root` for reading in any order. No link on the way is followed.
///
/// # Errors
/// [`Error::Gone`], [`Error::NotRegular`], [`Error::Link`], [`Error::Denied`], and what else the system says.
pub fn open(root: &Root, path: &RelPath) -> Result<File, Error> {
    Ok(File::from(root.open()?.file(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_shows_files_and_directories_and_no_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("textures")).unwrap();
        File::create(at("a.obj")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("passwd")).unwrap();
        std::os::unix::fs::symlink("textures", at("link")).unwrap();
        let root = Root::new(dir.path().to_path_buf());
        let listing = list(&root, &RelPath::root()).unwrap();
        assert_eq!(
            listing,
            Listing { files: vec![b"a.obj".to_vec()], directories: vec![b"textures".to_vec()] }
        );
        let path = |name: &str| RelPath::from_bytes(name.as_bytes()).unwrap();
        assert!(matches!(list(&root, &path("link")), Err(Error::Link { .. } | Error::NotDirectory { .. })));
        assert!(matches!(open(&root, &path("passwd")), Err(Error::Link { .. })));
        assert!(matches!(open(&root, &path("textures")), Err(Error::NotRegular { .. })));
        assert!(open(&root, &path("a.obj")).is_ok());
    }
}
