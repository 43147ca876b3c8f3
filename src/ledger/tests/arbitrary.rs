//! Entries as proptest makes them: everything that the types allow, sense or not, since the ledger judges nothing.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::file::entry::{
    Aside, AsideState, Asset, Conversion, Current, Doubt, RemoteCopy, RemotePart, Role, Title, Travels,
};
use crate::file::part::PartName;
use crate::file::sighting::{Seen, Trust};
use crate::file::{
    Attempt, Content, ContentHash, Entry, Fingerprint, Intent, Key, MappingName, Part, RelPath, State,
    Version,
};
use crate::id::{AssetId, AttemptId, FolderId, SourceFileId, UploadTaskId};
use crate::timestamp::Timestamp;

pub(super) fn keys() -> impl Strategy<Value = Key> {
    ("[a-z]{1,3}", paths()).prop_map(|(mapping, path)| Key::new(MappingName::new(&mapping), path))
}

pub(super) fn paths() -> impl Strategy<Value = RelPath> {
    let name = prop_oneof![
        "[a-c]{1,2}".prop_map(String::into_bytes),
        "\\PC{1,8}".prop_map(String::into_bytes),
        vec(1..=u8::MAX, 1..5),
    ];
    vec(name, 1..4).prop_filter_map("climbs", |names| RelPath::from_bytes(&names.join(&b'/')).ok())
}

pub(super) fn entries() -> impl Strategy<Value = Entry> {
    (
        option::of(seen()),
        option::of(current()),
        attempts(),
        vec(copies(), 0..3),
        option::of(asides()),
        (option::of(versions()), any::<bool>()),
    )
        .prop_map(|(seen, current, attempt, copies, aside, (wanted, is_whole))| Entry {
            seen,
            current,
            attempt,
            copies,
            aside,
            wanted,
            travels: if is_whole { Travels::Whole } else { Travels::WithoutUnlisted },
        })
}

fn ids<T: std::fmt::Debug>(wrap: fn(Uuid) -> T) -> impl Strategy<Value = T> {
    any::<u128>().prop_map(move |number| wrap(Uuid::from_u128(number)))
}

fn times() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_nanos)
}

fn hashes() -> impl Strategy<Value = ContentHash> {
    any::<[u8; 32]>().prop_map(ContentHash)
}

fn versions() -> impl Strategy<Value = Version> {
    hashes().prop_map(Version)
}

fn contents() -> impl Strategy<Value = Content> {
    (hashes(), any::<u64>()).prop_map(|(hash, size)| Content { hash, size })
}

pub(super) fn seen() -> impl Strategy<Value = Seen> {
    let fingerprint = (any::<u64>(), times(), times(), any::<u64>(), any::<u64>())
        .prop_map(|(size, mtime, ctime, inode, device)| Fingerprint { size, mtime, ctime, inode, device });
    let trust = prop_oneof![Just(Trust::Settled), Just(Trust::Racy), Just(Trust::Doubted)];
    (fingerprint, contents(), trust).prop_map(|(fingerprint, content, trust)| Seen {
        fingerprint,
        content,
        trust,
    })
}

fn part_names() -> impl Strategy<Value = PartName> {
    "\\PC{1,12}".prop_filter_map("unfit", |name| PartName::from_text(&name).ok())
}

fn parts() -> impl Strategy<Value = Part> {
    (part_names(), paths(), contents()).prop_map(|(name, path, content)| Part { name, path, content })
}

fn titles() -> impl Strategy<Value = Title> {
    prop_oneof![Just(Title::Owned), Just(Title::Linked)]
}

fn assets() -> impl Strategy<Value = Vec<Asset>> {
    let asset =
        (ids(AssetId::from_uuid), ".{0,6}", ".{0,6}").prop_map(|(id, kind, name)| Asset { id, kind, name });
    vec(asset, 0..3)
}

fn remote_parts() -> impl Strategy<Value = RemotePart> {
    (parts(), ids(SourceFileId::from_uuid), titles(), assets())
        .prop_map(|(part, source_file, title, assets)| RemotePart { part, source_file, title, assets })
}

fn current() -> impl Strategy<Value = Current> {
    (
        versions(),
        ids(FolderId::from_uuid),
        option::of(ids(UploadTaskId::from_uuid)),
        times(),
        remote_parts(),
        vec(remote_parts(), 0..3),
    )
        .prop_map(|(version, folder, task, since, lead, members)| Current {
            version,
            folder,
            task,
            since,
            lead,
            members,
        })
}

fn attempts() -> impl Strategy<Value = Attempt> {
    let doubt = (option::of(times()), any::<u32>(), ".{0,9}")
        .prop_map(|(absent_since, absences, why)| Doubt { absent_since, absences, why });
    let conversion = (
        option::of(ids(UploadTaskId::from_uuid)),
        vec((part_names(), ids(SourceFileId::from_uuid)), 0..3),
        ".{0,9}",
        times(),
    )
        .prop_map(|(task, files, progress, since)| Conversion { task, files, progress, since });
    prop_oneof![
        Just(Attempt::Idle),
        intents().prop_map(Attempt::Intended),
        (intents(), doubt).prop_map(|(intent, doubt)| Attempt::Ambiguous(intent, doubt)),
        (intents(), ids(UploadTaskId::from_uuid)).prop_map(|(intent, task)| Attempt::Sent(intent, task)),
        (intents(), conversion).prop_map(|(intent, conversion)| Attempt::Converting(intent, conversion)),
    ]
}

fn intents() -> impl Strategy<Value = Intent> {
    (
        ids(AttemptId::from_uuid),
        times(),
        versions(),
        ids(FolderId::from_uuid),
        vec(parts(), 0..3),
        vec(ids(SourceFileId::from_uuid), 0..3),
    )
        .prop_map(|(id, at, version, folder, parts, fence)| Intent {
            id,
            at,
            version,
            folder,
            parts,
            fence,
        })
}

fn copies() -> impl Strategy<Value = RemoteCopy> {
    (
        (ids(SourceFileId::from_uuid), ids(FolderId::from_uuid), part_names()),
        prop_oneof![
            Just(Role::Superseded),
            Just(Role::Archived),
            Just(Role::Torn),
            Just(Role::Orphan),
            Just(Role::Doomed),
            Just(Role::Remains),
        ],
        titles(),
        option::of(versions()),
        assets(),
        times(),
    )
        .prop_map(|((source_file, folder, name), role, title, version, assets, since)| RemoteCopy {
            source_file,
            folder,
            name,
            role,
            title,
            version,
            assets,
            since,
        })
}

fn asides() -> impl Strategy<Value = Aside> {
    let states: Vec<_> = State::ALL.into_iter().filter_map(AsideState::from_state).collect();
    (proptest::sample::select(states), ".{0,9}", option::of(versions()), times())
        .prop_map(|(state, reason, version, since)| Aside { state, reason, version, since })
}
