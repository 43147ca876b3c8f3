//! Which files some other program holds open for writing, as far as the system lets us see.
//!
//! Linux shows each descriptor as a link whose permissions tell how it was opened (proc(5)). Nothing is opened, locked or leased, so
//! no artist notices. Where nothing can be seen nothing is known, and nothing fails. One look at all processes answers everybody who
//! asks within a moment. What another user's program holds, or a program on another machine, stays unseen.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::file::Fingerprint;
use crate::timestamp::Tick;

/// What was seen at the last look.
#[derive(Debug, Default)]
pub struct Writers(Mutex<Option<Taken>>);

#[derive(Debug)]
struct Taken {
    at: Tick,
    held: HashSet<(u64, u64)>,
}

/// How long one look answers.
const FRESH: Duration = Duration::from_millis(500);

impl Writers {
    /// Whether another process holds the file with this stat open for writing. `since` is when it was last heard of: a look that is
    /// older than that says nothing of it. Blocks shortly.
    ///
    /// The clock is read when it is one's turn: whoever looks then answers all who asked while they waited.
    pub fn hold(&self, file: &Fingerprint, since: Tick, clock: impl FnOnce() -> Tick) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock();
        let answers = |taken: &Taken| now.since(taken.at) < FRESH && taken.at >= since;
        let fresh = match taken.take().filter(answers) {
            Some(fresh) => fresh,
            None => Taken { at: now, held: look() },
        };
        let holds = fresh.held.contains(&(file.device, file.inode));
        *taken = Some(fresh);
        holds
    }
}

/// Device and inode of every file on disk that another process holds open for writing.
#[cfg(target_os = "linux")]
fn look() -> HashSet<(u64, u64)> {
    let mut held = HashSet::new();
    let ourselves = std::process::id().to_string();
    for process in names(c"/proc") {
        let is_process = process.iter().all(u8::is_ascii_digit);
        if is_process && process != ourselves.as_bytes() {
            written_by(&process, &mut held);
        }
    }
    held
}

/// Elsewhere nothing tells.
#[cfg(not(target_os = "linux"))]
fn look() -> HashSet<(u64, u64)> {
    HashSet::new()
}

/// A process that ends meanwhile, or that is not ours to look into, holds nothing that we know of.
#[cfg(target_os = "linux")]
fn written_by(process: &[u8], held: &mut HashSet<(u64, u64)>) {
    use std::os::fd::AsFd as _;

    use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, open, readlinkat, statx};

    let path = [b"/proc/", process, b"/fd"].concat();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = open(path.as_slice(), flags, Mode::empty()) else { return };
    for name in listed(directory.as_fd()) {
        let opened = statx(&directory, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MODE);
        // The owner's bit to write stands for O_WRONLY and O_RDWR.
        if !opened.is_ok_and(|link| link.stx_mode & 0o200 != 0) {
            continue;
        }
        // Sockets, pipes and the like name no path, and a file that has lost its name is nobody's any more.
        let Ok(target) = readlinkat(&directory, name.as_slice(), Vec::new()) else { continue };
        if !target.as_bytes().starts_with(b"/") || target.as_bytes().starts_with(b"/dev/") {
            continue;
        }
        // A server that does not answer must not keep us.
        if let Ok(file) = statx(&directory, name.as_slice(), AtFlags::STATX_DONT_SYNC, StatxFlags::INO) {
            held.insert((rustix::fs::makedev(file.stx_dev_major, file.stx_dev_minor), file.stx_ino));
        }
    }
}

#[cfg(target_os = "linux")]
fn names(directory: &std::ffi::CStr) -> Vec<Vec<u8>> {
    use std::os::fd::AsFd as _;

    use rustix::fs::{Mode, OFlags, open};

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(directory, flags, Mode::empty()).map(|fd| listed(fd.as_fd())).unwrap_or_default()
}

#[cfg(target_os = "linux")]
fn listed(directory: std::os::fd::BorrowedFd<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let each = |name: &std::ffi::CStr, _| {
        all.push(name.to_bytes().to_vec());
        std::ops::ControlFlow::<()>::Continue(())
    };
    match super::kernel::Names::default().each(directory, each) {
        // What cannot be listed to its end is known so far.
        Ok(_) | Err(_) => all,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
