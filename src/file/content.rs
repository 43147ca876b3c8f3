//! Which bytes: the hash and length of a file, what a stat says of it, and the version that a bundle's parts make together.

use std::fmt;

use crate::timestamp::Timestamp;

/// The BLAKE3 hash of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Display for ContentHash {
    /// Sixty-four lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// Which bytes a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content {
    /// Their hash.
    pub hash: ContentHash,
    /// Their number.
    pub size: u64,
}

/// What a stat says of a file: enough to believe that its bytes are the same, never enough to know which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// Length in bytes.
    pub size: u64,
    /// When the bytes changed, as far as anybody may set it.
    pub mtime: Timestamp,
    /// When the inode changed; not for users to set, so it sees through a restored mtime.
    pub ctime: Timestamp,
    /// Which inode.
    pub inode: u64,
    /// On which device; renumbered by a reboot, so compared within one boot only.
    pub device: u64,
}

impl Fingerprint {
    /// The later of the two stamps: nothing was written to the file after it, unless within the tick of the stamp.
    #[must_use]
    pub fn last_touched(&self) -> Timestamp {
        self.mtime.max(self.ctime)
    }
}

/// One content of a bundle: BLAKE3 over its sorted (part name, content hash).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub ContentHash);

impl Version {
    /// The version that these parts make, in whatever order they are given.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, ContentHash)>) -> Self {
        let mut sorted: Vec<_> = parts.into_iter().collect();
        sorted.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for (name, hash) in sorted {
            // The length in front keeps ("ab", h) and ("a", b‖h) apart.
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&hash.0);
        }
        Self(ContentHash(*hasher.finalize().as_bytes()))
    }
}

impl fmt::Display for Version {
    /// The first twelve hexadecimal digits: enough to tell versions of one bundle apart on a screen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_parts_makes_no_version() {
        let (a, b) = (ContentHash([1; 32]), ContentHash([2; 32]));
        assert_eq!(Version::of([("x", a), ("y", b)]), Version::of([("y", b), ("x", a)]));
        assert_ne!(Version::of([("x", a), ("y", b)]), Version::of([("x", b), ("y", a)]));
    }

    #[test]
    fn a_renamed_part_makes_another_version() {
        let a = ContentHash([1; 32]);
        assert_ne!(Version::of([("x", a)]), Version::of([("xx", a)]));
    }
}
