//! Which path that went away a new one came from: a file that was renamed or moved keeps its remote file and its assets.
//!
//! Pure: what is gone, and for how long, was found out before.

use std::time::Duration;

use crate::file::entry::{Current, RemotePart};
use crate::file::part::version_of;
use crate::file::sighting::Whole;
use crate::file::{Attempt, Entry, Key, RelPath};
use crate::id::{FolderId, SourceFileId};

/// Where the bytes of a bundle that was never sent lay before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is new.
    Nowhere,
    /// Perhaps at a path that is away and may come back, or whose upload has not ended: it is decided after this time.
    Pending(Duration),
    /// At this path, which is proven to be gone.
    Moved(Box<Departed>),
}

/// A bundle whose path is gone, with what the ledger knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    /// Which bundle it was.
    pub key: Key,
    /// What the ledger believes of it.
    pub entry: Entry,
}

/// A remote version that is to follow its file to another path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Whose version it is.
    pub from: Departed,
    /// The folder that takes it; none if it lies there already.
    pub into: Option<FolderId>,
    /// What the ledger will believe of the new path.
    pub entry: Entry,
}

impl Relocation {
    /// The relocation of `from` to the bundle that `whole` shows, whose remote folder is `folder`.
    #[must_use]
    pub fn of(from: &Departed, whole: &Whole, folder: FolderId) -> Option<Self> {
        let current = from.entry.current.as_ref()?;
        let into = (current.folder != folder).then_some(folder);
        let mut lead = current.lead.clone();
        lead.part = whole.parts.first()?.clone();
        let at = |member: &RemotePart| {
            let same = |part: &&crate::file::Part| {
                part.name == member.part.name && part.content == member.part.content
            };
            whole.parts.iter().skip(1).find(same).map_or_else(|| member.part.clone(), Clone::clone)
        };
        let members: Vec<_> =
            current.members.iter().map(|member| RemotePart { part: at(member), ..member.clone() }).collect();
        let parts: Vec<_> = std::iter::once(&lead).chain(&members).map(|it| it.part.clone()).collect();
        let moved = Current { version: version_of(&parts), folder, lead, members, ..current.clone() };
        let entry = Entry {
            seen: Some(whole.seen),
            current: Some(moved),
            aside: None,
            wanted: Some(version_of(&whole.parts)),
            ..from.entry.clone()
        };
        Some(Self { from: from.clone(), into, entry })
    }

    /// The remote files that have to change their folder.
    #[must_use]
    pub fn files(&self) -> Vec<SourceFileId> {
        self.entry.current.iter().flat_map(Current::parts).map(|part| part.source_file).collect()
    }
}

/// Which of several departed bundles with the bytes of a new file is the one that it was: the inode decides, then an equal
/// base name, then none.
#[must_use]
pub fn origin(to: &RelPath, inode: u64, departed: Vec<Departed>) -> Option<Departed> {
    let is_inode = |it: &&Departed| it.entry.seen.is_some_and(|seen| seen.fingerprint.inode == inode);
    let is_name = |it: &&Departed| it.key.path.name() == to.name();
    let only = |mut them: Vec<&Departed>| if them.len() == 1 { them.pop().cloned() } else { None };
    only(departed.iter().filter(is_inode).collect())
        .or_else(|| only(departed.iter().filter(is_name).collect()))
        .or_else(|| only(departed.iter().collect()))
}

/// Whether nothing is open about a departed bundle, so that its version can follow its file.
#[must_use]
pub fn is_settled(entry: &Entry) -> bool {
    entry.attempt == Attempt::Idle
}

/// The directories that may have become one another if the file `from` became `to`, the outermost pair first: below each
/// the rest of both paths is the same.
#[must_use]
pub fn renamed_directories(from: &RelPath, to: &RelPath) -> Vec<(RelPath, RelPath)> {
    let mut pairs = Vec::new();
    let (mut old, mut new) = (from.clone(), to.clone());
    while old.name() == new.name() {
        (old, new) = (old.parent(), new.parent());
        if old.is_root() || new.is_root() || old == new {
            break;
        }
        pairs.push((old.clone(), new.clone()));
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::sighting::{Seen, Trust};
    use crate::file::{Content, ContentHash, Fingerprint, MappingName};
    use crate::timestamp::Timestamp;

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text.as_bytes()).unwrap()
    }

    fn departed(at: &str, inode: u64) -> Departed {
        let fingerprint =
            Fingerprint { size: 1, mtime: Timestamp::EPOCH, ctime: Timestamp::EPOCH, inode, device: 1 };
        let content = Content { hash: ContentHash([1; 32]), size: 1 };
        let seen = Some(Seen { fingerprint, content, trust: Trust::Settled });
        Departed { key: Key::new(MappingName::new("m"), path(at)), entry: Entry { seen, ..Entry::default() } }
    }

    #[test]
    fn among_several_the_inode_decides_then_the_name_then_none() {
        let chosen = |to: &str, inode, from: &[(&str, u64)]| {
            let departed = from.iter().map(|(at, inode)| departed(at, *inode)).collect();
            origin(&path(to), inode, departed).map(|it| it.key.path.to_string())
        };
        assert_eq!(chosen("b.fbx", 7, &[("a.fbx", 7), ("x/b.fbx", 8)]), Some("a.fbx".into()));
        assert_eq!(chosen("b.fbx", 9, &[("a.fbx", 7), ("x/b.fbx", 8)]), Some("x/b.fbx".into()));
        assert_eq!(chosen("c.fbx", 9, &[("a.fbx", 7), ("x/b.fbx", 8)]), None);
        assert_eq!(chosen("c.fbx", 9, &[("a.fbx", 7)]), Some("a.fbx".into()));
        assert_eq!(chosen("c.fbx", 9, &[]), None);
    }

    #[test]
    fn directories_that_may_have_been_renamed_are_told_the_outermost_first() {
        let pairs = |from: &str, to: &str| {
            let told = |(old, new): &(RelPath, RelPath)| format!("{old} {new}");
            renamed_directories(&path(from), &path(to)).iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(pairs("a/b/f", "x/b/f"), ["a x", "a/b x/b"]);
        assert_eq!(pairs("a/f", "b/f"), ["a b"]);
        assert_eq!(pairs("top/a/f", "top/b/f"), ["top/a top/b"]);
        assert_eq!(pairs("a/f", "a/g"), [""; 0]);
        assert_eq!(pairs("f", "a/f"), [""; 0]);
        assert_eq!(pairs("a/b/f", "b/f"), ["a/b b"]);
    }
}
