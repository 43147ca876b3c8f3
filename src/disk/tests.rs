//! What the door as a whole keeps out: links, other kinds of files, and names that would steer somebody.

use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::file::sighting::Trust;
use crate::timestamp::Timestamp;

pub(super) fn rel(text: impl AsRef<[u8]>) -> RelPath {
    RelPath::from_bytes(text.as_ref()).unwrap()
}

pub(super) fn tree() -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path().to_owned());
    (dir, root)
}

#[expect(clippy::disallowed_methods, reason = "a test makes the tree that is looked at")]
pub(super) fn write(dir: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test changes the tree that is looked at")]
pub(super) fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

/// Whether permissions bind this process; says so if they do not, for then a test proves nothing.
pub(super) fn permissions_bind(dir: &Path) -> bool {
    let probe = dir.join("probe");
    std::fs::create_dir(&probe).unwrap();
    std::fs::set_permissions(&probe, std::fs::Permissions::from_mode(0o000)).unwrap();
    let binds = rustix::fs::open(&probe, kernel::LISTING, rustix::fs::Mode::empty()).is_err();
    std::fs::remove_dir(&probe).unwrap();
    if !binds {
        println!("SKIPPED: permissions do not bind this user, so nothing was proven");
    }
    binds
}

/// Tells a meddling thread to end, also when the test fails: its scope waits for it.
struct Ended<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test plays the caller, who reads the clock")]
fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::EPOCH.plus(since)
}

fn read_now(root: &Root, path: &str) -> Result<Look, Error> {
    read(root, &rel(path), Timestamp::from_nanos(i64::MAX), &CancellationToken::new())
}

#[test]
fn a_file_is_read_whole_with_its_hash_and_length() {
    let (dir, root) = tree();
    for size in [0_usize, 1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20] {
        let bytes: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
        write(dir.path(), "a.fbx", &bytes);
        let Ok(Look::Whole(seen)) = read_now(&root, "a.fbx") else { panic!("{size}") };
        assert_eq!(seen.content.size, size as u64);
        assert_eq!(seen.content.hash.0, *blake3::hash(&bytes).as_bytes());
        assert_eq!(seen.trust, Trust::Settled);
        assert_eq!(seen.fingerprint, stat(&root, &rel("a.fbx")).unwrap().fingerprint);
    }
}

#[test]
fn a_file_touched_at_the_moment_of_the_look_is_racy() {
    let (dir, root) = tree();
    write(dir.path(), "a.fbx", "x");
    let now = stat(&root, &rel("a.fbx")).unwrap().fingerprint.last_touched();
    let looked = read(&root, &rel("a.fbx"), now, &CancellationToken::new()).unwrap();
    assert!(matches!(looked, Look::Whole(seen) if seen.trust == Trust::Racy));
}

#[test]
fn a_cancelled_read_ends() {
    let (dir, root) = tree();
    write(dir.path(), "a.fbx", "x");
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(read(&root, &rel("a.fbx"), Timestamp::EPOCH, &cancel), Err(Error::Cancelled));
}

#[test]
fn f1_a_file_that_changes_while_it_is_read_is_changed_or_at_least_racy() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (dir, root) = tree();
    write(dir.path(), "a.fbx", vec![0; 1 << 20]);
    let path = dir.path().join("a.fbx");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::os::unix::fs::FileExt as _;
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            let mut fill = 0_u8;
            // The whole file has one byte value before and after each round.
            while !over.load(Ordering::Relaxed) {
                fill = fill.wrapping_add(1);
                for block in 0..16 {
                    file.write_all_at(&[fill; 64 << 10], block << 16).unwrap();
                }
            }
        });
        let same: Vec<[u8; 32]> =
            (0..=u8::MAX).map(|fill| *blake3::hash(&vec![fill; 1 << 20]).as_bytes()).collect();
        let _ended = Ended(&over);
        let mut changed = 0;
        for _ in 0..40 {
            let now = clock();
            match read(&root, &rel("a.fbx"), now, &CancellationToken::new()).unwrap() {
                Look::Changed => changed += 1,
                // A write is stamped when it begins: one that was under way at the first stat may hide behind it, which
                // is what settling and the racy rule are for.
                Look::Whole(seen) => {
                    let racy = Trust::of(&seen.fingerprint, now, Duration::from_secs(1)) == Trust::Racy;
                    assert!(racy || same.contains(&seen.content.hash.0), "torn bytes were believed");
                }
            }
        }
        assert!(changed > 0);
    });
}

#[test]
fn n1_a_link_is_seen_as_a_link_and_never_followed() {
    let (dir, root) = tree();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.fbx", "canary");
    symlink(outside.path().join("secret.fbx"), dir.path().join("a.fbx")).unwrap();
    symlink(outside.path(), dir.path().join("d")).unwrap();
    assert_eq!(stat(&root, &rel("a.fbx")).unwrap().kind, Kind::Link);
    assert_eq!(read_now(&root, "a.fbx"), Err(Error::Link { path: rel("a.fbx") }));
    assert_eq!(stat(&root, &rel("d/secret.fbx")), Err(Error::Link { path: rel("d/secret.fbx") }));
    assert_eq!(read_now(&root, "d/secret.fbx"), Err(Error::Link { path: rel("d/secret.fbx") }));
}

#[test]
fn n3_n4_a_file_or_parent_swapped_for_a_link_leaks_no_byte() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (dir, root) = tree();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "a.fbx", "canary");
    write(dir.path(), "d/a.fbx", "honest");
    std::fs::create_dir(dir.path().join("e")).unwrap();
    symlink(outside.path().join("a.fbx"), dir.path().join("e/link")).unwrap();
    symlink(outside.path(), dir.path().join("evil")).unwrap();
    let over = AtomicBool::new(false);
    let exchange = |a: &str, b: &str| {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, dir.path().join(a), CWD, dir.path().join(b), RenameFlags::EXCHANGE).unwrap();
    };
    let honest = *blake3::hash(b"honest").as_bytes();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for (a, b) in [("d", "evil"), ("d", "evil"), ("d/a.fbx", "e/link"), ("d/a.fbx", "e/link")] {
                    exchange(a, b);
                }
            }
        });
        let _ended = Ended(&over);
        for _ in 0..3_000 {
            if let Ok(Look::Whole(seen)) = read_now(&root, "d/a.fbx") {
                assert_eq!(seen.content.hash.0, honest);
            }
            let base = rustix::fs::open(dir.path(), kernel::PLACE, rustix::fs::Mode::empty()).unwrap();
            let found = kernel::open_step_by_step(base.as_fd(), b"d/a.fbx", kernel::READING);
            if let Ok(found) = found {
                let mut bytes = [0; 6];
                kernel::fill(found.as_fd(), &mut bytes).unwrap();
                assert_eq!(&bytes, b"honest");
            }
        }
    });
}

#[test]
fn n1_n7_opening_step_by_step_finds_and_refuses_the_same() {
    let (dir, _root) = tree();
    write(dir.path(), "d/e/a.fbx", "x");
    symlink("d", dir.path().join("link")).unwrap();
    symlink("e/a.fbx", dir.path().join("d/file")).unwrap();
    let base = rustix::fs::open(dir.path(), kernel::PLACE, rustix::fs::Mode::empty()).unwrap();
    for path in ["", "d", "d/e", "d/e/a.fbx", "link", "link/e", "d/file", "none", "d/e/a.fbx/x", "d/none/x"] {
        let bytes = path.as_bytes();
        let in_one = kernel::stat_beneath(base.as_fd(), bytes);
        assert_eq!(kernel::stat_step_by_step(base.as_fd(), bytes), in_one, "{path}");
        let in_one = kernel::open_beneath(base.as_fd(), bytes, kernel::READING);
        let stepped = kernel::open_step_by_step(base.as_fd(), bytes, kernel::READING);
        assert_eq!(stepped.as_ref().err(), in_one.as_ref().err(), "{path}");
        assert_eq!(stepped.is_ok(), in_one.is_ok());
    }
    let base = rustix::fs::open("/", kernel::PLACE, rustix::fs::Mode::empty()).unwrap();
    for open in [kernel::open_beneath, kernel::open_step_by_step] {
        let refused = open(base.as_fd(), b"proc/self", kernel::READING);
        assert!(matches!(refused, Err(Errno::XDEV | Errno::LOOP)), "{refused:?}");
    }
}

#[test]
fn n5_a_fifo_a_socket_or_a_directory_called_like_a_model_blocks_nobody() {
    let (dir, root) = tree();
    let fifo = dir.path().join("fifo.fbx");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket.fbx")).unwrap();
    std::fs::create_dir(dir.path().join("dir.fbx")).unwrap();
    for name in ["fifo.fbx", "socket.fbx", "dir.fbx"] {
        assert_eq!(read_now(&root, name), Err(Error::NotRegular { path: rel(name) }));
    }
    assert_eq!(stat(&root, &rel("fifo.fbx")).unwrap().kind, Kind::Special);
    assert_eq!(stat(&root, &rel("dir.fbx")).unwrap().kind, Kind::Directory);
}

#[test]
fn a_missing_file_is_gone_and_a_missing_root_is_offline() {
    let (dir, root) = tree();
    assert!(stat(&root, &rel("a")).unwrap_err().is_gone());
    write(dir.path(), "a", "x");
    assert!(stat(&root, &rel("a/b")).unwrap_err().is_gone());
    for away in [dir.path().join("none"), dir.path().join("a")] {
        let away = Root::new(away);
        assert!(matches!(away.identity(), Err(Error::Offline { .. })));
        assert!(matches!(stat(&away, &rel("x")), Err(Error::Offline { .. })));
        assert!(matches!(read_now(&away, "x"), Err(Error::Offline { .. })));
        assert_eq!(away.identity().unwrap_err().blame(), Blame::Mapping);
    }
}

#[test]
fn l13_a_lack_of_descriptors_is_no_absence() {
    for errno in [Errno::MFILE, Errno::NFILE] {
        let error = Error::of(&rel("a"), errno);
        assert_eq!(error, Error::Descriptors { path: rel("a") });
        assert!(!error.is_gone());
    }
}

#[test]
fn a_root_made_anew_at_the_same_path_has_another_identity() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root");
    std::fs::create_dir(&path).unwrap();
    let root = Root::new(path.clone());
    let before = root.identity().unwrap();
    assert!(before.is_same_root(&root.identity().unwrap()));
    rename(&path, &dir.path().join("old"));
    std::fs::create_dir(&path).unwrap();
    assert!(!before.is_same_root(&root.identity().unwrap()));
}

#[test]
fn a_root_knows_its_file_system() {
    let (_dir, root) = tree();
    assert!(!root.filesystem().unwrap().name.is_empty());
    assert_eq!(Root::new("/proc".into()).filesystem().unwrap().name, "unknown");
}

#[test]
fn n8_n11_an_odd_name_is_found_by_its_raw_bytes_and_shown_escaped() {
    let (dir, root) = tree();
    let long = vec![b'n'; 255];
    for name in [&b"\xff\xfe.fbx"[..], b"a\r\nb.fbx", b"\x1b]0;x\x07.fbx", &long] {
        std::fs::File::create(dir.path().join(OsStr::from_bytes(name))).unwrap();
        assert_eq!(stat(&root, &rel(name)).unwrap().kind, Kind::File);
        let missing = stat(&root, &rel([name, &b"x"[..]].concat())).unwrap_err().to_string();
        assert!(missing.chars().all(|c| !c.is_control()), "{missing}");
    }
    let too_long = stat(&root, &rel(vec![b'n'; 256]));
    assert!(matches!(too_long, Err(Error::TooDeep { .. })));
}

#[test]
fn f12_an_unreadable_file_is_denied() {
    let (dir, root) = tree();
    if !permissions_bind(dir.path()) {
        return;
    }
    write(dir.path(), "a.fbx", "x");
    std::fs::set_permissions(dir.path().join("a.fbx"), std::fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(read_now(&root, "a.fbx"), Err(Error::Denied { path: rel("a.fbx") }));
}
