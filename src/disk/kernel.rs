//! The system calls that the rest of this door is made of, with the differences between kernels kept in here.
//!
//! Opening beneath a directory is one `openat2` where the kernel has it (Linux 5.6) and a walk component by component
//! elsewhere; both refuse links and other file systems. Knows no mapping and no error but the kernel's.

use std::ffi::CStr;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use super::look::{Kind, Stat};
use crate::file::Fingerprint;
use crate::timestamp::Timestamp;

/// For opening a directory only to go on from it: needs no permission to list it.
#[cfg(target_os = "linux")]
pub(super) const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// For opening a directory only to go on from it.
#[cfg(not(target_os = "linux"))]
pub(super) const PLACE: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// For listing a directory.
pub(super) const LISTING: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// For reading a file.
pub(super) const READING: OFlags = OFlags::RDONLY;

/// Never wait for a FIFO's other end, never hand a descriptor to a child, never follow.
const ALWAYS: OFlags = OFlags::NONBLOCK.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// How many bytes of path go into one call: below PATH_MAX (4,096 with its NUL) everywhere, and macOS has 1,024.
const PIECE: usize = if cfg!(target_os = "linux") { 4_000 } else { 1_000 };

/// Opens `path` beneath `base` without following a link or leaving the file system; the empty path is `base` itself.
pub(super) fn open_beneath(base: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut held: Option<OwnedFd> = None;
    let mut rest = path;
    while rest.len() > PIECE {
        let cut = rest[..PIECE].iter().rposition(|byte| *byte == b'/').ok_or(Errno::NAMETOOLONG)?;
        let from = held.as_ref().map_or(base, |fd| fd.as_fd());
        held = Some(open_piece(from, &rest[..cut], PLACE)?);
        rest = &rest[cut + 1..];
    }
    open_piece(held.as_ref().map_or(base, |fd| fd.as_fd()), rest, flags)
}

/// What lies at `path` beneath `base`; of a link, the link itself.
pub(super) fn stat_beneath(base: BorrowedFd<'_>, path: &[u8]) -> Result<Stat, Errno> {
    #[cfg(target_os = "linux")]
    if has_openat2() {
        let place = open_beneath(base, path, OFlags::PATH)?;
        return stat_of(place.as_fd());
    }
    stat_step_by_step(base, path)
}

fn open_piece(base: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    if has_openat2() {
        return open_in_one(base, if path.is_empty() { b"." } else { path }, flags);
    }
    open_step_by_step(base, path, flags)
}

#[cfg(target_os = "linux")]
fn open_in_one(base: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    // openat2 refuses what has no meaning for a descriptor that only names a place, where openat overlooks it.
    let flags = if flags.contains(OFlags::PATH) {
        flags | ALWAYS.difference(OFlags::NONBLOCK)
    } else {
        flags | ALWAYS
    };
    let mut tries = 0;
    loop {
        match openat2(base, path, flags, Mode::empty(), resolve) {
            // EAGAIN: a rename raced with the look-up, or somebody's lease is being broken.
            Err(Errno::INTR | Errno::AGAIN) if tries < 8 => tries += 1,
            done => return done,
        }
    }
}

/// Whether the kernel has `openat2`. Old sandboxes answer EPERM to what they do not know, so it is tried once.
#[cfg(target_os = "linux")]
fn has_openat2() -> bool {
    use rustix::fs::{CWD, ResolveFlags, openat2};
    static HAS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *HAS.get_or_init(|| {
        let tried = openat2(CWD, c"/", PLACE | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::empty());
        !matches!(tried, Err(Errno::NOSYS | Errno::PERM))
    })
}

/// The same as `openat2` does, without it. Each component is looked at before it is opened, and again through the descriptor.
pub(super) fn open_step_by_step(base: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let device = stat_of(base)?.fingerprint.device;
    let mut held: Option<OwnedFd> = None;
    let mut components = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
    if components.peek().is_none() {
        return openat(base, c".", flags | ALWAYS, Mode::empty());
    }
    while let Some(name) = components.next() {
        let from = held.as_ref().map_or(base, |fd| fd.as_fd());
        let flags = if components.peek().is_some() { PLACE } else { flags };
        if stat_named(from, name)?.kind == Kind::Link {
            return Err(Errno::LOOP);
        }
        let next = openat(from, name, flags | ALWAYS, Mode::empty())?;
        if stat_of(next.as_fd())?.fingerprint.device != device {
            return Err(Errno::XDEV);
        }
        held = Some(next);
    }
    held.ok_or(Errno::NOENT)
}

/// The same as [`stat_beneath`], for kernels without descriptors that only name a place.
pub(super) fn stat_step_by_step(base: BorrowedFd<'_>, path: &[u8]) -> Result<Stat, Errno> {
    if path.is_empty() {
        return stat_of(base);
    }
    let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&path[..0], path),
    };
    let parent = open_step_by_step(base, parent, PLACE)?;
    let stat = stat_named(parent.as_fd(), name)?;
    if stat.fingerprint.device != stat_of(base)?.fingerprint.device {
        return Err(Errno::XDEV);
    }
    Ok(stat)
}

fn stat_named(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Stat, Errno> {
    let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    stat_at(directory, &name)
}

/// What an open descriptor shows.
#[cfg(target_os = "linux")]
pub(super) fn stat_of(fd: BorrowedFd<'_>) -> Result<Stat, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(|found| from_statx(&found))
}

/// What the entry `name` of a directory shows; of a link, the link itself.
#[cfg(target_os = "linux")]
pub(super) fn stat_at(directory: BorrowedFd<'_>, name: &CStr) -> Result<Stat, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(directory, name, flags, StatxFlags::BASIC_STATS).map(|found| from_statx(&found))
}

/// When a directory was made, where the file system tells.
#[cfg(target_os = "linux")]
pub(super) fn birth_of(fd: BorrowedFd<'_>) -> Result<Option<Timestamp>, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let found = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME)?;
    let told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    Ok(told.then(|| Timestamp::from_stat(found.stx_btime.tv_sec, found.stx_btime.tv_nsec)))
}

#[cfg(target_os = "linux")]
fn from_statx(found: &rustix::fs::Statx) -> Stat {
    Stat {
        kind: Kind::of(FileType::from_raw_mode(u32::from(found.stx_mode))),
        fingerprint: Fingerprint {
            size: found.stx_size,
            mtime: Timestamp::from_stat(found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            ctime: Timestamp::from_stat(found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
            inode: found.stx_ino,
            device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        },
        owner: found.stx_uid,
        links: u64::from(found.stx_nlink),
    }
}

/// What an open descriptor shows.
#[cfg(not(target_os = "linux"))]
pub(super) fn stat_of(fd: BorrowedFd<'_>) -> Result<Stat, Errno> {
    rustix::fs::fstat(fd).map(|found| from_stat(&found))
}

/// What the entry `name` of a directory shows; of a link, the link itself.
#[cfg(not(target_os = "linux"))]
pub(super) fn stat_at(directory: BorrowedFd<'_>, name: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map(|found| from_stat(&found))
}

/// When a directory was made; not asked for here.
#[cfg(not(target_os = "linux"))]
pub(super) fn birth_of(_fd: BorrowedFd<'_>) -> Result<Option<Timestamp>, Errno> {
    Ok(None)
}

#[cfg(not(target_os = "linux"))]
fn from_stat(found: &rustix::fs::Stat) -> Stat {
    let stamp = |seconds, nanos| Timestamp::from_stat(seconds, u32::try_from(nanos).unwrap_or(0));
    Stat {
        kind: Kind::of(FileType::from_raw_mode(found.st_mode)),
        fingerprint: Fingerprint {
            size: u64::try_from(found.st_size).unwrap_or(0),
            mtime: stamp(found.st_mtime, found.st_mtime_nsec),
            ctime: stamp(found.st_ctime, found.st_ctime_nsec),
            inode: found.st_ino,
            device: u64::from(found.st_dev.unsigned_abs()),
        },
        owner: found.st_uid,
        links: u64::from(found.st_nlink),
    }
}

/// How many bytes of names are taken from the kernel at once.
#[cfg(target_os = "linux")]
const NAMES: usize = 64 * 1024;

/// The names of one directory after the other, through one buffer.
#[derive(Debug, Default)]
pub(super) struct Names {
    buffer: Vec<u8>,
}

impl Names {
    /// Calls `each` for every entry but `.` and `..`, from the start, until it breaks; the type may be `Unknown`.
    #[cfg(target_os = "linux")]
    pub(super) fn each<B>(
        &mut self,
        directory: BorrowedFd<'_>,
        mut each: impl FnMut(&CStr, FileType) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, Errno> {
        self.buffer.clear();
        self.buffer.reserve(NAMES);
        rustix::fs::seek(directory, rustix::fs::SeekFrom::Start(0))?;
        let mut entries = rustix::fs::RawDir::new(directory, self.buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if let ControlFlow::Break(why) = each(name, entry.file_type()) {
                return Ok(ControlFlow::Break(why));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Calls `each` for every entry but `.` and `..`, from the start, until it breaks; the type may be `Unknown`.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn each<B>(
        &mut self,
        directory: BorrowedFd<'_>,
        mut each: impl FnMut(&CStr, FileType) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, Errno> {
        self.buffer.clear();
        for entry in rustix::fs::Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if let ControlFlow::Break(why) = each(name, entry.file_type()) {
                return Ok(ControlFlow::Break(why));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Reads into `buffer` until it is full or the file ends, and says how many bytes that were.
pub(super) fn fill(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::read(fd, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}
