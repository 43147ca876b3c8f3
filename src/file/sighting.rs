//! What the disk shows of a bundle at one moment. `disk` and `survey` make sightings; the rules judge them.

use std::time::Duration;

use super::content::{Content, Fingerprint};
use super::key::RelPath;
use super::part::Part;
use crate::timestamp::Timestamp;

/// What the disk shows of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// Nobody looked: an attempt is open, and what became of it is the first question.
    Unlooked,
    /// Nothing can be said: the root is away, or a directory on the way cannot be read. Never taken for absence.
    Unknown(String),
    /// It is not there, and that is proven.
    Absent(RootProof),
    /// A filter excludes it; the rule, in words for a person.
    Excluded(String),
    /// It is there and not at rest; look again after this time.
    Restless(Duration),
    /// It has not come to rest within `settle_max`; look again after this time.
    NeverRests(Duration),
    /// It is at rest and does not look finished, for this reason, for a person; look again after this time.
    Unfinished(String, Duration),
    /// It is there, at rest, and has no bytes.
    Empty(Seen),
    /// It is there and cannot be read, or is larger than the mapping allows; the reason, for a person.
    Unreadable(String),
    /// It cannot travel under its name, whatever its bytes are.
    Unfit(String),
    /// Its bytes are known: it was read whole between two equal stats, now or when its trusted row was written.
    Whole(Whole),
}

/// A bundle whose bytes are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// What was seen of the lead.
    pub seen: Seen,
    /// The parts as they would travel, the lead first. (On the wire the lead goes last.)
    pub parts: Vec<Part>,
    /// What was seen of the members.
    pub members: Vec<(RelPath, Seen)>,
    /// What the bundle refers to and what is not there: each with its likely cure, for a person.
    pub missing: Vec<String>,
    /// Why some of it may not be finished, although it was waited for: each for a person.
    pub doubts: Vec<String>,
}

/// What was seen of one file when it was last read: the row that a later stat is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The stat before and after reading, which were equal.
    pub fingerprint: Fingerprint,
    /// The bytes that were read.
    pub content: Content,
    /// Whether an equal stat will be believed.
    pub trust: Trust,
}

/// Whether a row's stat alone proves that the bytes are the row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The file had been quiet before it was read: an equal stat means equal bytes.
    Settled,
    /// It was touched within the tick of its own time stamps, so a later write could hide behind an equal stat: read once more.
    Racy,
    /// The machine went down without warning soon after the file was touched, so its bytes may be others behind an equal stat:
    /// read once more. In what was read now: the bytes are such as a power cut leaves behind, and are not to be sent.
    Doubted,
}

impl Trust {
    /// What to trust of a file that was statted at `moment` and then read: racy if it was touched within one `tick` of that.
    ///
    /// `tick` is how coarse the file system's stamps may be: 10 ms covers a kernel that stamps in jiffies, FAT needs 2 s.
    #[must_use]
    pub fn of(fingerprint: &Fingerprint, moment: Timestamp, tick: Duration) -> Self {
        if fingerprint.last_touched() >= moment.minus(tick) { Self::Racy } else { Self::Settled }
    }
}

/// Proof that the root was the one we know, from the start to the end of a complete listing: without it nothing is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootProof {
    identity: RootIdentity,
}

impl RootProof {
    /// Attests absence below a root: `pinned` is the identity that the ledger knows (none on the very first scan), `before`
    /// and `after` were read around a listing that succeeded down to the path in question.
    #[must_use]
    pub fn attest(
        pinned: Option<&RootIdentity>,
        before: &RootIdentity,
        after: &RootIdentity,
    ) -> Option<Self> {
        let known = pinned.is_none_or(|pinned| pinned.is_same_root(before));
        (known && before.is_same_root(after)).then_some(Self { identity: *before })
    }

    /// The root that was proven.
    #[must_use]
    pub fn identity(&self) -> &RootIdentity {
        &self.identity
    }
}

/// Which directory a root is, told so that it survives a reboot and is not met by another directory on the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootIdentity {
    /// The file system's own id (`f_fsid`), which does not depend on the order of mounting; 0 where it has none.
    pub filesystem: u64,
    /// The root's inode.
    pub inode: u64,
    /// When the root was made, where the file system tells.
    pub birth: Option<Timestamp>,
}

impl RootIdentity {
    /// Whether both describe one directory.
    ///
    /// An inode with its birth time to the nanosecond is proof enough, and outlives a file system id that is made from
    /// the device number (as XFS does) when disks are renumbered. Where a birth time is not told the id has to agree.
    #[must_use]
    pub fn is_same_root(&self, other: &Self) -> bool {
        self.inode == other.inode
            && match (self.birth, other.birth) {
                (Some(mine), Some(theirs)) => mine == theirs,
                (None, Some(_)) | (Some(_), None) | (None, None) => self.filesystem == other.filesystem,
            }
    }
}

/// A file that a scan or an event brought up, with the stat it had then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spotted {
    /// Where it lies.
    pub path: RelPath,
    /// What its stat said.
    pub fingerprint: Fingerprint,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(inode: u64) -> RootIdentity {
        RootIdentity { filesystem: 1, inode, birth: None }
    }

    #[test]
    fn another_directory_on_the_same_path_proves_no_absence() {
        assert!(RootProof::attest(Some(&root(2)), &root(3), &root(3)).is_none());
        assert!(RootProof::attest(Some(&root(2)), &root(2), &root(3)).is_none());
        assert!(RootProof::attest(Some(&root(2)), &root(2), &root(2)).is_some());
    }

    #[test]
    fn a_renumbered_disk_does_not_make_another_root() {
        let born = RootIdentity { birth: Some(Timestamp::from_nanos(1)), ..root(2) };
        assert!(born.is_same_root(&RootIdentity { filesystem: 9, ..born }));
        assert!(!root(2).is_same_root(&RootIdentity { filesystem: 9, ..root(2) }));
    }

    #[test]
    fn a_root_made_anew_on_the_same_inode_is_another_root() {
        let born = |at| RootIdentity { birth: Some(Timestamp::from_nanos(at)), ..root(2) };
        assert!(!born(1).is_same_root(&born(2)));
        assert!(born(1).is_same_root(&root(2)));
    }

    #[test]
    fn f9_a_file_touched_within_the_tick_of_its_stamps_is_racy() {
        let at = |nanos| Fingerprint {
            size: 1,
            mtime: Timestamp::from_nanos(nanos),
            ctime: Timestamp::EPOCH,
            inode: 1,
            device: 1,
        };
        let moment = Timestamp::from_nanos(1_000_000_000);
        let tick = Duration::from_millis(10);
        assert_eq!(Trust::of(&at(989_999_999), moment, tick), Trust::Settled);
        assert_eq!(Trust::of(&at(990_000_000), moment, tick), Trust::Racy);
        assert_eq!(Trust::of(&at(i64::MAX), moment, tick), Trust::Racy);
    }
}
