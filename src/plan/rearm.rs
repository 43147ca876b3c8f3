//! What it means that a person wants a bundle tried again: what refused it is forgotten, what was sent of it is not.

use crate::file::entry::{AsideState, Current, RemoteCopy, Role, Title, Travels};
use crate::file::{Attempt, Entry};
use crate::timestamp::Timestamp;

/// The entry of a bundle that is to be tried again although its bytes are the same; none if nothing keeps it from its goal that
/// trying again could end.
///
/// A stalled attempt is given up, and its bytes are sent anew. Its task may still come to an end by itself, so the files that are
/// known of it stay remembered as torn copies, linked: nothing of ours ever touches them.
#[must_use]
pub fn rearm(entry: &Entry, now: Timestamp) -> Option<Entry> {
    let aside = entry.aside.as_ref()?;
    match (aside.state, &entry.attempt) {
        // Whatever is read of it next is believed.
        (AsideState::Suspect, Attempt::Idle) => Some(Entry { aside: None, seen: None, ..entry.clone() }),
        (AsideState::Blocked | AsideState::ConversionFailed, Attempt::Idle)
        | (AsideState::Stalled, Attempt::Idle) => {
            Some(Entry { aside: None, travels: Travels::Whole, ..entry.clone() })
        }
        (AsideState::Stalled, Attempt::Sent(..)) => {
            Some(Entry { attempt: Attempt::Idle, aside: None, ..entry.clone() })
        }
        (AsideState::Stalled, Attempt::Converting(intent, conversion)) => {
            let is_known = |id| {
                let lives = entry.current.iter().flat_map(Current::parts).any(|part| part.source_file == id);
                lives || entry.copies.iter().any(|copy| copy.source_file == id)
            };
            let left =
                conversion.files.iter().filter(|(_, id)| !is_known(*id)).map(|(name, id)| RemoteCopy {
                    source_file: *id,
                    folder: intent.folder,
                    name: name.clone(),
                    role: Role::Torn,
                    title: Title::Linked,
                    version: None,
                    assets: Vec::new(),
                    since: now,
                });
            let copies = entry.copies.iter().cloned().chain(left).collect();
            Some(Entry { attempt: Attempt::Idle, copies, aside: None, ..entry.clone() })
        }
        // It goes to the cloud as it is, however many go with it.
        (AsideState::Held, Attempt::Idle) if aside.version.is_some() => {
            Some(Entry { aside: None, wanted: aside.version, ..entry.clone() })
        }
        // What is under way comes to its end by itself; what waits for something local is looked at whenever that changes.
        (
            AsideState::Blocked | AsideState::ConversionFailed | AsideState::Suspect,
            Attempt::Intended(_) | Attempt::Ambiguous(..) | Attempt::Sent(..) | Attempt::Converting(..),
        )
        | (AsideState::Stalled, Attempt::Intended(_) | Attempt::Ambiguous(..))
        | (
            AsideState::Settling | AsideState::Held | AsideState::Detached | AsideState::Deleted,
            Attempt::Idle
            | Attempt::Intended(_)
            | Attempt::Ambiguous(..)
            | Attempt::Sent(..)
            | Attempt::Converting(..),
        ) => None,
    }
}

/// The states that [`rearm`] may lift.
pub const REARMED: [AsideState; 5] = [
    AsideState::Blocked,
    AsideState::ConversionFailed,
    AsideState::Stalled,
    AsideState::Suspect,
    AsideState::Held,
];

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::file::content::{ContentHash, Version};
    use crate::file::entry::{Aside, Conversion};
    use crate::file::{Intent, PartName, State};
    use crate::id::{AttemptId, FolderId, SourceFileId};

    fn aside(state: AsideState) -> Entry {
        let version = Some(Version(ContentHash([1; 32])));
        let aside = Aside { state, reason: "no".into(), version, since: Timestamp::EPOCH };
        Entry { aside: Some(aside), ..Entry::default() }
    }

    fn file(number: u128) -> SourceFileId {
        SourceFileId::from_uuid(Uuid::from_u128(number))
    }

    fn converting(files: Vec<(PartName, SourceFileId)>) -> Attempt {
        let intent = Intent {
            id: AttemptId::from_uuid(Uuid::from_u128(1)),
            at: Timestamp::EPOCH,
            version: Version(ContentHash([1; 32])),
            folder: FolderId::from_uuid(Uuid::from_u128(2)),
            parts: Vec::new(),
            fence: Vec::new(),
        };
        let progress = "converting".to_owned();
        Attempt::Converting(intent, Conversion { task: None, files, progress, since: Timestamp::EPOCH })
    }

    #[test]
    fn what_was_refused_is_ready_again_and_twice_is_once() {
        for state in REARMED {
            let again = rearm(&aside(state), Timestamp::EPOCH).unwrap();
            assert_eq!(again.state(), State::Ready, "{state:?}");
            assert_eq!(rearm(&again, Timestamp::EPOCH), None, "{state:?}");
        }
    }

    #[test]
    fn a_refresh_that_is_held_is_what_is_wanted_again() {
        let version = Some(Version(ContentHash([1; 32])));
        let again = rearm(&aside(AsideState::Held), Timestamp::EPOCH).unwrap();
        assert_eq!((again.aside, again.wanted), (None, version));
    }

    #[test]
    fn what_waits_for_something_local_or_is_gone_is_left_as_it_is() {
        for state in [AsideState::Settling, AsideState::Held, AsideState::Detached, AsideState::Deleted] {
            let mut entry = aside(state);
            // A hold of one version is a refresh that waits for somebody to say so.
            entry.aside.as_mut().unwrap().version = None;
            assert_eq!(rearm(&entry, Timestamp::EPOCH), None, "{state:?}");
        }
        assert_eq!(rearm(&Entry::default(), Timestamp::EPOCH), None);
    }

    #[test]
    fn a1_a_stalled_attempt_is_given_up_and_what_it_sent_stays_known_and_is_never_touched() {
        let name = PartName::from_text("chair.fbx").unwrap();
        let stalled = Entry { attempt: converting(vec![(name, file(7))]), ..aside(AsideState::Stalled) };
        assert_eq!(stalled.state(), State::Stalled);
        let again = rearm(&stalled, Timestamp::EPOCH).unwrap();
        assert_eq!((again.attempt.clone(), again.state()), (Attempt::Idle, State::Ready));
        let copies: Vec<_> = again.copies.iter().map(|it| (it.source_file, it.role, it.title)).collect();
        assert_eq!(copies, [(file(7), Role::Torn, Title::Linked)]);
    }

    #[test]
    fn an_attempt_that_is_under_way_is_not_disturbed() {
        let entry = Entry { attempt: converting(Vec::new()), ..aside(AsideState::Blocked) };
        assert_eq!(rearm(&entry, Timestamp::EPOCH), None);
    }
}
