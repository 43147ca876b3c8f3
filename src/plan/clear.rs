//! Which remote files a policy takes away, and what the ledger believes afterwards. Pure; only owned ids ever come out of here.
//!
//! That it may happen at all (a person agreed, the brake is not on, the whole tree was seen) is found out before.

use std::collections::BTreeSet;
use std::time::Duration;

use super::unused::Kept;
use crate::file::entry::{AsideState, Asset, Current, RemoteCopy, RemotePart, Role, Title};
use crate::file::{Attempt, Entry, State};
use crate::id::{AssetId, FolderId, SourceFileId};
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
    /// What the ledger knows that conversion made of them, each with its source file, and what stayed of files that were deleted
    /// before; empty unless assets go too.
    pub assets: Vec<(SourceFileId, Asset)>,
    /// Assets of the version that lives on: a cloud may keep their ids from version to version.
    pub spared: BTreeSet<AssetId>,
}

/// What came of a clearance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleared {
    /// Where the files lie now, if they were archived.
    pub archive: Option<FolderId>,
    /// How many assets were deleted with them.
    pub assets: usize,
    /// Assets that stay although they were to go.
    pub kept: Vec<Kept>,
}

/// Why remote files are taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A newer version replaced theirs and has converted.
    Replaced,
    /// Their file is gone from disk.
    Gone,
    /// Their file is gone from disk, and most of its version was taken before: another bundle used these then.
    LeftOver,
}

/// What the policy takes of a bundle, as its entry stands; none if it takes nothing.
#[must_use]
pub fn clearance(entry: &Entry, policy: &Policy) -> Option<Clearance> {
    if entry.attempt != Attempt::Idle {
        return None;
    }
    let (cause, fate, files) = match entry.state() {
        State::Deleted => {
            let is_left = |copy: &RemoteCopy| copy.role != Role::Doomed || copy.version.is_none();
            let is_rest = entry.current.is_none() && entry.copies.iter().all(is_left);
            let cause = if is_rest { Cause::LeftOver } else { Cause::Gone };
            (cause, policy.on_delete, gone(entry))
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
    if fate == Fate::Keep || files.is_empty() {
        return None;
    }
    let assets = if fate == Fate::DeleteWithAssets { assets(entry, &files) } else { Vec::new() };
    let lives = |part: &&RemotePart| !files.contains(&part.source_file);
    let spared = entry.current.iter().flat_map(Current::parts).filter(lives).flat_map(|part| &part.assets);
    let spared = spared.map(|asset| asset.id).collect();
    Some(Clearance { cause, fate, files, assets, spared })
}

/// The files of the version whose file is gone, if all of it is ours, and those that were about to go before.
fn gone(entry: &Entry) -> Vec<SourceFileId> {
    let current = entry.current.as_ref().filter(|it| it.parts().all(|part| part.title == Title::Owned));
    let current = current.into_iter().flat_map(Current::parts).map(|part| part.source_file);
    let mut files: Vec<_> = current.collect();
    let is_doomed = |copy: &&RemoteCopy| copy.role == Role::Doomed && copy.title == Title::Owned;
    for copy in entry.copies.iter().filter(is_doomed) {
        if !files.contains(&copy.source_file) {
            files.push(copy.source_file);
        }
    }
    files
}

/// What is known to have been made of these files, and what stayed of earlier ones.
fn assets(entry: &Entry, files: &[SourceFileId]) -> Vec<(SourceFileId, Asset)> {
    let parts = entry.current.iter().flat_map(Current::parts).map(|it| (it.source_file, &it.assets));
    let parts = parts.filter(|(file, _)| files.contains(file));
    let copies = entry.copies.iter().filter(|it| files.contains(&it.source_file) || it.role == Role::Remains);
    let copies = copies.map(|it| (it.source_file, &it.assets));
    let all = parts.chain(copies).flat_map(|(file, made)| made.iter().map(move |it| (file, it.clone())));
    let mut seen = BTreeSet::new();
    all.filter(|(_, asset)| seen.insert(asset.id)).collect()
}

/// The files of replaced versions but for the newest few, and for what lives on in the current one; what was about to go before
/// goes in any case.
fn replaced(entry: &Entry, kept: u32) -> Vec<SourceFileId> {
    let is_doomed = |copy: &&RemoteCopy| copy.role == Role::Doomed && copy.title == Title::Owned;
    let is_due = |copy: &&RemoteCopy| copy.role == Role::Superseded && copy.title == Title::Owned;
    let ages: BTreeSet<Timestamp> = entry.copies.iter().filter(is_due).map(|copy| copy.since).collect();
    let spared: BTreeSet<Timestamp> = ages.into_iter().rev().take(kept as usize).collect();
    let lives = |id| entry.current.iter().flat_map(Current::parts).any(|part| part.source_file == id);
    let is_next = |copy: &&RemoteCopy| is_doomed(copy) || (is_due(copy) && !spared.contains(&copy.since));
    let due = entry.copies.iter().filter(is_next).filter(|copy| !lives(copy.source_file));
    due.map(|copy| copy.source_file).collect()
}

/// The entry of a bundle whose remote files are about to be taken away. What is written down is about to happen: a file that comes
/// back meanwhile must not be taken for one that lives in the cloud.
#[must_use]
pub(super) fn doomed(entry: &Entry, clearance: &Clearance, now: Timestamp) -> Entry {
    let mut entry = entry.clone();
    let is_taken = |id: SourceFileId| clearance.files.contains(&id);
    for copy in entry.copies.iter_mut().filter(|copy| is_taken(copy.source_file)) {
        copy.role = Role::Doomed;
    }
    let is_current = entry.current.iter().flat_map(Current::parts).any(|part| is_taken(part.source_file));
    if is_current && let Some(current) = entry.current.take() {
        // Also what stays for now since another bundle uses it: it goes once nobody does.
        entry.copies.extend(current.copies(Role::Doomed, now));
    }
    entry
}

/// The entry of a bundle whose remote files were taken away.
#[must_use]
pub fn cleared(entry: &Entry, clearance: &Clearance, done: &Cleared, now: Timestamp) -> Entry {
    let mut entry = doomed(entry, clearance, now);
    for copy in entry.copies.iter_mut().filter(|copy| clearance.files.contains(&copy.source_file)) {
        match done.archive {
            Some(folder) => (copy.role, copy.folder) = (Role::Archived, folder),
            None => (copy.role, copy.since) = (Role::Remains, now),
        }
    }
    if clearance.fate == Fate::DeleteWithAssets {
        for copy in entry.copies.iter_mut().filter(|copy| copy.role == Role::Remains) {
            let stay = done.kept.iter().filter(|kept| kept.of == copy.source_file);
            copy.assets = stay.map(|kept| kept.asset.clone()).collect();
        }
    } else {
        // Nobody asked for their assets, so they are nobody's business.
        let files = &clearance.files;
        entry.copies.retain(|copy| copy.role != Role::Remains || !files.contains(&copy.source_file));
    }
    entry.copies.retain(|copy| copy.role != Role::Remains || !copy.assets.is_empty());
    for copy in entry.copies.iter_mut().filter(|copy| copy.role == Role::Doomed) {
        // The rest of it is gone.
        copy.version = None;
    }
    if let Some(aside) = &mut entry.aside
        && aside.state == AsideState::Deleted
    {
        aside.reason = match (clearance.fate, Kept::told(&done.kept)) {
            (Fate::Archive | Fate::Keep, _) => {
                "gone from disk; its remote copy was archived (on_delete = \"archive\")".to_owned()
            }
            (Fate::Delete, _) => {
                "gone from disk, and its remote copy deleted (on_delete = \"delete\")".to_owned()
            }
            (Fate::DeleteWithAssets, None) => {
                "gone from disk, and its remote copy deleted with its assets (on_delete = \"delete_with_assets\")"
                    .to_owned()
            }
            (Fate::DeleteWithAssets, Some(kept)) => {
                format!("gone from disk, and its remote copy deleted (on_delete = \"delete_with_assets\"); {kept}")
            }
        };
    }
    // Nothing remote is left of it: nothing is worth a row.
    if clearance.cause != Cause::Replaced && entry.copies.is_empty() { Entry::default() } else { entry }
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
        assert_eq!(cleared(&entry, &taken, &Cleared::default(), Timestamp::EPOCH), Entry::default());
        let taken = clearance(&entry, &policy(Fate::Keep, 0, Fate::Archive)).unwrap();
        let after = cleared(&entry, &taken, &archived(7), Timestamp::EPOCH);
        assert_eq!((after.copies[0].role, after.copies[0].folder), (Role::Archived, folder(7)));
        assert_eq!((after.current.clone(), after.state()), (None, State::Deleted));
        assert_eq!(
            clearance(&after, &policy(Fate::Archive, 0, Fate::Delete)),
            None,
            "it stays in the archive"
        );
    }

    fn archived(number: u128) -> Cleared {
        Cleared { archive: Some(folder(number)), ..Cleared::default() }
    }

    fn asset(number: u128) -> Asset {
        let id = AssetId::from_uuid(Uuid::from_u128(number));
        Asset { id, kind: "mesh".to_owned(), name: String::new() }
    }

    #[test]
    fn what_is_about_to_go_is_current_no_more_and_goes_whatever_is_kept_of_others() {
        let entry = gone(synced(Vec::new()));
        let taken = clearance(&entry, &policy(Fate::Keep, 0, Fate::Delete)).unwrap();
        let doomed = doomed(&entry, &taken, Timestamp::EPOCH);
        assert_eq!((doomed.current.clone(), doomed.copies[0].role), (None, Role::Doomed));
        assert_eq!(clearance(&doomed, &policy(Fate::Keep, 0, Fate::Delete)), Some(taken.clone()));
        assert_eq!(cleared(&doomed, &taken, &Cleared::default(), Timestamp::EPOCH), Entry::default());
        // Its file came back with other bytes: the version that was to go is one that was replaced.
        let back = Entry { current: synced(Vec::new()).current, aside: None, ..doomed.clone() };
        let mut back = Entry { seen: entry.seen, ..back };
        back.current.as_mut().unwrap().lead.source_file = id(200);
        let next = clearance(&back, &policy(Fate::Delete, 9, Fate::Keep)).unwrap();
        assert_eq!((next.cause, next.files), (Cause::Replaced, vec![id(100)]));
        assert_eq!(clearance(&back, &policy(Fate::Keep, 9, Fate::Delete)), None);
    }

    #[test]
    fn assets_that_stay_are_remembered_and_asked_about_again_and_those_that_live_on_are_spared() {
        let mut entry =
            synced(vec![RemoteCopy { assets: vec![asset(1), asset(2)], ..copy(1, 1, Title::Owned) }]);
        entry.current.as_mut().unwrap().lead.assets = vec![asset(2)];
        assert!(clearance(&entry, &policy(Fate::Delete, 0, Fate::Keep)).unwrap().assets.is_empty());
        let with_assets = policy(Fate::DeleteWithAssets, 0, Fate::DeleteWithAssets);
        let taken = clearance(&entry, &with_assets).unwrap();
        assert_eq!((taken.assets.len(), taken.spared.len()), (2, 1));
        let kept = vec![Kept { of: id(1), asset: asset(1), why: "used by a scene".to_owned() }];
        let done = Cleared { kept, ..Cleared::default() };
        let after = cleared(&entry, &taken, &done, Timestamp::EPOCH);
        assert_eq!((after.copies[0].role, after.copies[0].assets.clone()), (Role::Remains, vec![asset(1)]));
        assert_eq!(clearance(&after, &with_assets), None, "there is nothing new to take");
        let entry = gone(after);
        let taken = clearance(&entry, &with_assets).unwrap();
        assert_eq!((taken.files.clone(), taken.spared.len()), (vec![id(100)], 0));
        assert_eq!(taken.assets, [(id(100), asset(2)), (id(1), asset(1))]);
        let told = cleared(&entry, &taken, &done, Timestamp::EPOCH);
        assert_eq!((told.copies.len(), told.current.clone()), (1, None));
        assert!(told.reason().unwrap().contains("stays: used by a scene"), "{:?}", told.reason());
        assert_eq!(cleared(&entry, &taken, &Cleared::default(), Timestamp::EPOCH), Entry::default());
    }

    #[test]
    fn the_brake_is_on_between_three_and_twenty() {
        let counted: Vec<_> = [0, 29, 30, 40, 199, 200, 100_000].into_iter().map(brake).collect();
        assert_eq!(counted, [3, 3, 3, 4, 19, 20, 20]);
    }
}
