//! A watched root: which directory it is, on which file system it lies, and how to open what is beneath it.
//! Keeps a path and nothing else; every use opens the root anew and closes it again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::volume::FileSystem;
use super::{Error, kernel, why};
use crate::file::RelPath;
use crate::file::sighting::RootIdentity;

/// A watched root, by its path alone. No descriptor is kept, so the disk can be ejected while nothing is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Root {
    path: PathBuf,
}

impl Root {
    /// The root at this absolute path. Nothing is opened yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which directory lies at the path now.
    ///
    /// # Errors
    /// [`Error::Offline`] if it is missing or no directory; [`Error::Denied`], [`Error::Descriptors`].
    pub fn identity(&self) -> Result<RootIdentity, Error> {
        self.open()?.identity()
    }

    /// Which file system it lies on.
    ///
    /// # Errors
    /// As [`Root::identity`].
    pub fn filesystem(&self) -> Result<FileSystem, Error> {
        let base = self.open()?;
        volume_of(base.fd.as_fd()).map_err(|errno| base.fault(errno))
    }

    /// Opens the root for as long as the caller holds the answer. A link at the root's own path is followed: that path
    /// is the operator's choice, and the identity tells when it leads elsewhere.
    pub(super) fn open(&self) -> Result<Base<'_>, Error> {
        match rustix::fs::open(&self.path, kernel::PLACE | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Base { root: self, fd }),
            Err(errno) => Err(self.fault(errno)),
        }
    }

    fn fault(&self, errno: Errno) -> Error {
        match errno {
            Errno::ACCESS | Errno::PERM => Error::Denied { path: RelPath::root() },
            Errno::MFILE | Errno::NFILE => Error::Descriptors { path: RelPath::root() },
            other => Error::Offline { root: self.path.clone(), why: why(other) },
        }
    }
}

/// A root that is open: every look beneath it goes through this one descriptor, whatever happens to its path meanwhile.
#[derive(Debug)]
pub(super) struct Base<'a> {
    root: &'a Root,
    fd: OwnedFd,
}

impl Base<'_> {
    /// Which directory this is.
    pub(super) fn identity(&self) -> Result<RootIdentity, Error> {
        let told = || -> Result<RootIdentity, Errno> {
            Ok(RootIdentity {
                filesystem: rustix::fs::fstatvfs(&self.fd)?.f_fsid,
                inode: kernel::stat_of(self.fd.as_fd())?.fingerprint.inode,
                birth: kernel::birth_of(self.fd.as_fd())?,
            })
        };
        told().map_err(|errno| self.fault(errno))
    }

    /// Opens a directory beneath it.
    pub(super) fn directory(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, Error> {
        kernel::open_beneath(self.fd.as_fd(), path.as_bytes(), flags).map_err(|errno| match errno {
            Errno::NOTDIR if self.is_there(path) => Error::NotDirectory { path: path.clone() },
            other => Error::of(path, other),
        })
    }

    /// Opens a regular file beneath it for reading. Whatever is no regular file is left untouched: opening a FIFO or a
    /// device for reading is an act that its other end may notice.
    pub(super) fn file(&self, path: &RelPath) -> Result<OwnedFd, Error> {
        use super::look::Kind;
        match self.stat(path)?.kind {
            Kind::File => {}
            Kind::Link => return Err(Error::Link { path: path.clone() }),
            Kind::Directory | Kind::Special => return Err(Error::NotRegular { path: path.clone() }),
        }
        let fd = kernel::open_beneath(self.fd.as_fd(), path.as_bytes(), kernel::READING)
            .map_err(|errno| Error::of(path, errno))?;
        // It may have been swapped in between; O_NONBLOCK has kept us from waiting for it.
        match kernel::stat_of(fd.as_fd()).map_err(|errno| Error::of(path, errno))?.kind {
            Kind::File => Ok(fd),
            Kind::Directory | Kind::Special | Kind::Link => Err(Error::NotRegular { path: path.clone() }),
        }
    }

    /// What lies at a path beneath it; of a link, the link itself.
    pub(super) fn stat(&self, path: &RelPath) -> Result<super::Stat, Error> {
        kernel::stat_beneath(self.fd.as_fd(), path.as_bytes()).map_err(|errno| Error::of(path, errno))
    }

    fn is_there(&self, path: &RelPath) -> bool {
        kernel::stat_beneath(self.fd.as_fd(), path.as_bytes()).is_ok()
    }

    fn fault(&self, errno: Errno) -> Error {
        self.root.fault(errno)
    }
}

/// The file system that an open descriptor lies on.
#[cfg(target_os = "linux")]
pub(super) fn volume_of(fd: BorrowedFd<'_>) -> Result<FileSystem, Errno> {
    Ok(FileSystem::of_magic(rustix::fs::fstatfs(fd)?.f_type.cast_unsigned()))
}

/// The file system that an open descriptor lies on.
#[cfg(not(target_os = "linux"))]
pub(super) fn volume_of(fd: BorrowedFd<'_>) -> Result<FileSystem, Errno> {
    let told = rustix::fs::fstatfs(fd)?;
    let name: Vec<u8> =
        told.f_fstypename.iter().map(|c| c.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    Ok(FileSystem::of_name(&String::from_utf8_lossy(&name)))
}
