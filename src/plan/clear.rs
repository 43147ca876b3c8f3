//! Which remote files a policy takes away, and what the ledger believes afterwards. Pure; only owned ids ever come out of here.
//!
//! That it may happen at all (a person agreed, the brake is not on, the whole tree was seen) is found out before.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::file::entry::{AsideState, Current, RemoteCopy, Role, Title};
use crate::file::{Attempt, Entry, State};
use crate::id::{FolderId, SourceFileId};
use crate::mapping::{Fate, Policy};
use crate::timestamp::Timestamp;

/// Remote files of one bundle that are to be archived or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearance {
    /// Why.
    pub cause: Cause,
    /// How; never [`Fate::Keep`].
    pub fate: Fate,
    /// Which: all of them owned.
    pub files: Vec<SourceFileId>,
}

/// Why remote files are taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A newer version replaced theirs and has converted.
    Replaced,
    /// Their file is gone from disk.
    Gone,
}

/// What the policy takes of a bundle, as its entry stands; none if it takes nothing.
#[must_use]
pub fn clearance(entry: &Entry, policy: &Policy) -> Option<Clearance> {
    if entry.attempt != Attempt::Idle {
        return None;
    }
    let (cause, fate, files) = match entry.state() {
        State::Deleted => {
            let current = entry.current.as_ref()?;
            let owned = current.parts().all(|part| part.title == Title::Owned);
            let files = current.parts().map(|part| part.source_file).collect();
            (Cause::Gone, policy.on_delete, if owned { files } else { Vec::new() })
        }
        State::Synced => (Cause::Replaced, policy.on_change, replaced(entry, policy.keep_versions)),
        State::Settling
        | State::Ready
        | State::Uploading
        | State::Converting
        | State::Ambiguous
        | State::Held
        | State::Blocked
        | State::ConversionFailed
        | State::Stalled
        | State::Suspect
        | State::Detached
        | State::Ignored => return None,
    };
    (fate != Fate::Keep && !files.is_empty()).then_some(Clearance { cause, fate, files })
}

/// The files of replaced versions but for the newest few, and for what lives on in the current one.
fn replaced(entry: &Entry, kept: u32) -> Vec<SourceFileId> {
    let is_due = |copy: &&RemoteCopy| copy.role == Role::Superseded && copy.title == Title::Owned;
    let ages: BTreeSet<Timestamp> = entry.copies.iter().filter(is_due).map(|copy| copy.since).collect();
    let spared: BTreeSet<Timestamp> = ages.into_iter().rev().take(kept as usize).collect();
    let lives = |id| entry.current.iter().flat_map(Current::parts).any(|part| part.source_file == id);
    let due = entry.copies.iter().filter(is_due);
    due.filter(|copy| !spared.contains(&copy.since) && !lives(copy.source_file))
        .map(|copy| copy.source_file)
        .collect()
}

/// The entry of a bundle whose remote files were taken away; `archive` is where they lie now, if they were archived.
#[must_use]
pub fn cleared(entry: &Entry, clearance: &Clearance, archive: Option<FolderId>, now: Timestamp) -> Entry {
    let mut entry = entry.clone();
    let is_taken = |id: SourceFileId| clearance.files.contains(&id);
    match archive {
        Some(folder) => {
            for copy in entry.copies.iter_mut().filter(|copy| is_taken(copy.source_file)) {
                (copy.role, copy.folder) = (Role::Archived, folder);
            }
        }
        None => entry.copies.retain(|copy| !is_taken(copy.source_file)),
    }
    if clearance.cause == Cause::Gone
        && let Some(current) = entry.current.take()
        && let Some(folder) = archive
    {
        entry.copies.extend(Current { folder, ..current }.copies(Role::Archived, now));
    }
    if let Some(aside) = &mut entry.aside
        && aside.state == AsideState::Deleted
    {
        aside.reason = match archive {
            Some(_) => "gone from disk; its remote copy was archived (on_delete = \"archive\")".to_owned(),
            None => "gone from disk, and its remote copy deleted (on_delete = \"delete\")".to_owned(),
        };
    }
    // Nothing remote is left of it: nothing is worth a row.
    if clearance.cause == Cause::Gone && entry.copies.is_empty() { Entry::default() } else { entry }
}

/// Within which time deletions count together.
pub const BRAKE_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// How many files may go within [`BRAKE_WINDOW`] of a mapping with so many before a person has to look.
#[must_use]
pub fn brake(files: u64) -> u64 {
    (files / 10).clamp(3, 20)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::file::content::{Content, ContentHash, Version};
    use crate::file::entry::{Aside, RemotePart};
    use crate::file::sighting::{Seen, Trust};
    use crate::file::{Fingerprint, Part, PartName, RelPath};

    fn id(number: u128) -> SourceFileId {
        SourceFileId::from_uuid(Uuid::from_u128(number))
    }

    fn folder(number: u128) -> FolderId {
        FolderId::from_uuid(Uuid::from_u128(number))
    }

    fn copy(number: u128, since: i64, title: Title) -> RemoteCopy {
        RemoteCopy {
            source_file: id(number),
            folder: folder(1),
            name: PartName::from_text("a.fbx").unwrap(),
            role: Role::Superseded,
            title,
            version: None,
            assets: Vec::new(),
            since: Timestamp::from_nanos(since),
        }
    }

    fn synced(copies: Vec<RemoteCopy>) -> Entry {
        let content = Content { hash: ContentHash([1; 32]), size: 1 };
        let fingerprint =
            Fingerprint { size: 1, mtime: Timestamp::EPOCH, ctime: Timestamp::EPOCH, inode: 1, device: 1 };
        let part = Part {
            name: PartName::from_text("a.fbx").unwrap(),
            path: RelPath::from_bytes(b"a.fbx").unwrap(),
            content,
        };
        let lead = RemotePart { part, source_file: id(100), title: Title::Owned, assets: Vec::new() };
        let current = Current {
            version: Version(ContentHash([1; 32])),
            folder: folder(1),
            task: None,
            since: Timestamp::EPOCH,
            lead,
            members: Vec::new(),
        };
        let seen = Seen { fingerprint, content, trust: Trust::Settled };
        Entry { seen: Some(seen), current: Some(current), copies, ..Entry::default() }
    }

    fn gone(entry: Entry) -> Entry {
        let aside = Aside {
            state: AsideState::Deleted,
            reason: "gone".into(),
            version: None,
            since: Timestamp::EPOCH,
        };
        Entry { aside: Some(aside), ..entry }
    }

    fn policy(on_change: Fate, keep_versions: u32, on_delete: Fate) -> Policy {
        Policy { on_change, keep_versions, on_delete, ..Policy::default() }
    }

    #[test]
    fn by_default_nothing_is_ever_taken_away() {
        let entry = synced(vec![copy(1, 1, Title::Owned)]);
        assert_eq!(clearance(&entry, &Policy::default()), None);
        assert_eq!(clearance(&gone(entry), &Policy::default()), None);
    }

    #[test]
    fn replaced_versions_go_but_for_the_newest_and_for_what_is_not_ours() {
        let copies = vec![copy(1, 1, Title::Owned), copy(2, 2, Title::Linked), copy(3, 3, Title::Owned)];
        let entry = synced(copies);
        let files = |kept| clearance(&entry, &policy(Fate::Delete, kept, Fate::Keep)).map(|it| it.files);
        assert_eq!(files(0), Some(vec![id(1), id(3)]));
        assert_eq!(files(1), Some(vec![id(1)]));
        assert_eq!(files(2), None);
    }

    #[test]
    fn what_is_not_synced_keeps_its_older_versions() {
        let entry = synced(vec![copy(1, 1, Title::Owned)]);
        let changed = Entry { wanted: Some(Version(ContentHash([9; 32]))), ..entry };
        assert_eq!(clearance(&changed, &policy(Fate::Delete, 0, Fate::Delete)), None);
    }

    #[test]
    fn a_linked_file_outlives_its_local_one() {
        let mut entry = gone(synced(Vec::new()));
        assert!(clearance(&entry, &policy(Fate::Keep, 0, Fate::Delete)).is_some());
        entry.current.as_mut().unwrap().lead.title = Title::Linked;
        assert_eq!(clearance(&entry, &policy(Fate::Keep, 0, Fate::Delete)), None);
    }

    #[test]
    fn what_was_deleted_is_forgotten_and_what_was_archived_is_remembered_there() {
        let entry = gone(synced(Vec::new()));
        let taken = clearance(&entry, &policy(Fate::Keep, 0, Fate::Delete)).unwrap();
        assert_eq!(cleared(&entry, &taken, None, Timestamp::EPOCH), Entry::default());
        let taken = clearance(&entry, &policy(Fate::Keep, 0, Fate::Archive)).unwrap();
        let after = cleared(&entry, &taken, Some(folder(7)), Timestamp::EPOCH);
        assert_eq!((after.copies[0].role, after.copies[0].folder), (Role::Archived, folder(7)));
        assert_eq!((after.current.clone(), after.state()), (None, State::Deleted));
        assert_eq!(
            clearance(&after, &policy(Fate::Archive, 0, Fate::Delete)),
            None,
            "it stays in the archive"
        );
    }

    #[test]
    fn the_brake_is_on_between_three_and_twenty() {
        let counted: Vec<_> = [0, 29, 30, 40, 199, 200, 100_000].into_iter().map(brake).collect();
        assert_eq!(counted, [3, 3, 3, 4, 19, 20, 20]);
    }
}
