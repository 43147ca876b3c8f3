//! Bytes that come back: a version of a bundle that was replaced, or whose file was gone, is made current again without being
//! sent.

use crate::file::entry::{Current, RemoteCopy, RemotePart, Role, Title};
use crate::file::part::version_of;
use crate::file::sighting::Whole;
use crate::file::{Entry, Part};
use crate::id::FolderId;
use crate::timestamp::Timestamp;

/// An earlier version that is to be made current again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// The folder that takes its files; none if they lie there already.
    pub into: Option<FolderId>,
    /// What the ledger will believe.
    pub entry: Entry,
    /// What it will believe if the files cannot be had any more.
    pub without: Entry,
}

/// The remote files of an earlier version that holds exactly what the disk shows now; none if there is none that is whole and
/// ours.
#[must_use]
pub(super) fn earlier(entry: &Entry, whole: &Whole) -> Option<Vec<(Part, RemoteCopy)>> {
    let version = version_of(&whole.parts);
    let is_it = |copy: &&RemoteCopy| {
        copy.version == Some(version)
            && copy.title == Title::Owned
            && matches!(copy.role, Role::Superseded | Role::Archived | Role::Doomed)
    };
    let of = |part: &Part| {
        let copy = entry.copies.iter().filter(is_it).find(|copy| copy.name == part.name)?;
        Some((part.clone(), copy.clone()))
    };
    let parts: Option<Vec<_>> = whole.parts.iter().map(of).collect();
    let parts = parts.filter(|parts| !parts.is_empty())?;
    let folder = parts.first().map(|(_, copy)| copy.folder);
    parts.iter().all(|(_, copy)| Some(copy.folder) == folder).then_some(parts)
}

impl Restoration {
    /// What makes these files of an earlier version current again in `folder`.
    #[must_use]
    pub fn of(
        entry: &Entry,
        parts: &[(Part, RemoteCopy)],
        whole: &Whole,
        folder: FolderId,
        now: Timestamp,
    ) -> Option<Self> {
        let version = version_of(&whole.parts);
        let mut remote = parts.iter().map(|(part, copy)| RemotePart {
            part: part.clone(),
            source_file: copy.source_file,
            title: copy.title,
            assets: copy.assets.clone(),
        });
        let lead = remote.next()?;
        let current = Current { version, folder, task: None, since: now, lead, members: remote.collect() };
        // What was about to be archived may lie in the archive by now, whatever is known of it.
        let is_elsewhere = |copy: &RemoteCopy| copy.folder != folder || copy.role == Role::Doomed;
        let into = parts.iter().any(|(_, copy)| is_elsewhere(copy)).then_some(folder);
        let is_back = |copy: &RemoteCopy| parts.iter().any(|(_, it)| it.source_file == copy.source_file);
        let mut copies: Vec<_> = entry.copies.iter().filter(|copy| !is_back(copy)).cloned().collect();
        let lives = |id| current.parts().any(|part| part.source_file == id);
        if let Some(old) = &entry.current {
            copies.extend(old.copies(Role::Superseded, now).filter(|copy| !lives(copy.source_file)));
        }
        let mut without = entry.clone();
        for copy in without.copies.iter_mut().filter(|copy| is_back(copy)) {
            copy.version = None;
        }
        let entry = Entry { current: Some(current), copies, aside: None, ..entry.clone() };
        Some(Self { into, entry, without })
    }
}
