//! One directory's names, and one file to be read here and there: what following references asks of a disk.
//! Knows no format; judges nothing.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;

use rustix::fs::FileType;

use super::look::Kind;
use super::root::Root;
use super::{Error, kernel};
use crate::file::RelPath;

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
