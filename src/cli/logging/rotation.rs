//! A log file that does not outgrow its size: when it is full it becomes `FILE.1`, that one `FILE.2`, and so on.
//!
//! Only these names are ever touched, and none is deleted but by being replaced: the directory may be anybody's. Two
//! processes that write one file would rotate it twice; the state directory's lock keeps daemons apart.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The writing end of a log file.
#[derive(Debug)]
pub(super) struct Rotation {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    keep: usize,
}

impl Rotation {
    /// Opens the file for appending; makes it if it is not there. Others may not read it.
    pub(super) fn open(path: &Path, max_size: u64, keep: usize) -> io::Result<Self> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, max_size, keep: keep.max(1) })
    }

    /// Others rotate logs too: a file that was moved away or removed is written no further, and one that was cut starts anew. A
    /// file that cannot be opened again is written on wherever it is.
    fn follow(&mut self) {
        let Ok(ours) = self.file.metadata() else { return };
        self.size = ours.len();
        let is_in_place = std::fs::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if !is_in_place && let Ok(file) = append(&self.path) {
            self.size = file.metadata().map_or(0, |metadata| metadata.len());
            self.file = file;
        }
    }

    /// Makes room. If that fails, the full file is written on: a log that is too large is better than none.
    fn turn(&mut self) {
        for n in (1..self.keep).rev() {
            // A number that was not reached yet has nothing to be moved.
            drop(rename(&numbered(&self.path, n), &numbered(&self.path, n + 1)));
        }
        if rename(&self.path, &numbered(&self.path, 1)).is_ok()
            && let Ok(file) = append(&self.path)
        {
            self.file = file;
        }
        self.size = 0;
    }
}

impl Write for Rotation {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = line.len() as u64;
        self.follow();
        if self.size > 0 && self.size.saturating_add(length) > self.max_size {
            self.turn();
        }
        // Half a line would run into the next one.
        self.file.write_all(line)?;
        self.size = self.size.saturating_add(length);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn numbered(path: &Path, n: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

#[expect(clippy::disallowed_methods, reason = "our own log files, by the names that the configuration gives")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test reads what was logged")]
    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_full_log_moves_up_one_number_and_the_oldest_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("versync.log");
        let mut log = Rotation::open(&path, 8, 2).unwrap();
        for line in ["one 1\n", "two 2\n", "three\n", "four4\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "four4\n");
        assert_eq!(read(&numbered(&path, 1)), "three\n");
        assert_eq!(read(&numbered(&path, 2)), "two 2\n");
        assert!(!numbered(&path, 3).exists());
    }

    #[test]
    fn a_log_is_continued_by_the_next_process_and_its_size_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("versync.log");
        Rotation::open(&path, 8, 1).unwrap().write_all(b"12345\n").unwrap();
        let mut log = Rotation::open(&path, 8, 1).unwrap();
        log.write_all(b"678\n").unwrap();
        assert_eq!((read(&path).as_str(), read(&numbered(&path, 1)).as_str()), ("678\n", "12345\n"));
    }

    #[test]
    fn o7_a_log_that_another_tool_moves_removes_or_cuts_is_begun_anew_and_no_line_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("versync.log");
        let mut log = Rotation::open(&path, 20, 1).unwrap();
        log.write_all(b"before\n").unwrap();
        let moved = dir.path().join("versync.log-20200101");
        rename(&path, &moved).unwrap();
        log.write_all(b"after the move\n").unwrap();
        assert_eq!((read(&moved).as_str(), read(&path).as_str()), ("before\n", "after the move\n"));
        remove(&path);
        log.write_all(b"after the removal\n").unwrap();
        assert_eq!(read(&path), "after the removal\n");
        // Copied and cut: what is counted is what is left, so nothing is moved up.
        cut(&path);
        log.write_all(b"after the cut\n").unwrap();
        assert_eq!(read(&path), "after the cut\n");
        assert!(!numbered(&path, 1).exists());
    }

    #[expect(clippy::disallowed_methods, reason = "a test is the other tool")]
    fn remove(path: &Path) {
        std::fs::remove_file(path).unwrap();
    }

    fn cut(path: &Path) {
        OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
    }

    #[test]
    fn a_line_longer_than_the_whole_file_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("versync.log");
        let mut log = Rotation::open(&path, 4, 1).unwrap();
        log.write_all(b"longer than four\n").unwrap();
        assert_eq!(read(&path), "longer than four\n");
    }
}
