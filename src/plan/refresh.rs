//! A model that would be sent only because files have changed that others carry too: sent at once, or held, since a texture that
//! a thousand models use sends a thousand models.
//!
//! A hold stands until a person lifts it, until the files have stood still for long enough, or until they or the limit change.
//! It does not end because fewer models are left to send: whoever tries one of them first has not asked for the others.

use bytesize::ByteSize;
use jiff::fmt::friendly::SpanPrinter;

use super::Action;
use super::returning::earlier;
use crate::file::entry::{Aside, AsideState};
use crate::file::sighting::Whole;
use crate::file::{Attempt, Entry, Part, RelPath, Version};
use crate::mapping::{Extent, Policy};
use crate::timestamp::Timestamp;

/// What a change of shared files would send anew, as far as it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blast {
    /// A file that has changed and that the bundle in question carries.
    pub file: RelPath,
    /// How many others have changed with it.
    pub others: usize,
    /// What they would send anew together.
    pub extent: Extent,
    /// Whether somebody is still finding out what else has changed.
    pub is_open: bool,
}

/// What differs between a bundle on disk and its live version, beside the lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference<'w> {
    /// Members that travel in the live version with other bytes.
    pub changed: Vec<&'w Part>,
    /// Members that do not travel in it.
    pub added: Vec<&'w Part>,
}

/// What of a bundle's members has changed; none if that is not why it would be sent: it never was, or its lead changed too. Nor
/// is anything sent where an earlier version came back.
#[must_use]
pub fn difference<'w>(entry: &Entry, whole: &'w Whole) -> Option<Difference<'w>> {
    let current = entry.current.as_ref()?;
    let (lead, members) = whole.parts.split_first()?;
    if lead.content != current.lead.part.content || lead.name != current.lead.part.name {
        return None;
    }
    if earlier(entry, whole).is_some() {
        return None;
    }
    let mut difference = Difference::default();
    for member in members {
        let live = current.members.iter().map(|live| &live.part);
        match live.clone().find(|live| live.path == member.path) {
            Some(live) if live.content == member.content => {}
            Some(_) => difference.changed.push(member),
            // One that only moved is the same part as before.
            None if live.clone().any(|live| live.name == member.name && live.content == member.content) => {}
            None => difference.added.push(member),
        }
    }
    (!difference.changed.is_empty()).then_some(difference)
}

/// Whether it was decided before that this very version is sent: nothing keeps it aside, and it is what is wanted. `stored` is the
/// ledger's entry before anything was seen.
#[must_use]
pub fn is_let_go(stored: &Entry, version: Version) -> bool {
    stored.aside.is_none() && stored.wanted == Some(version)
}

/// Whether the files have stood still for long enough. `touched` is when the last of them changed; a stamp from the future says
/// nothing, so there it is the hold that must have stood for so long.
#[must_use]
pub fn is_quiet(entry: &Entry, touched: Timestamp, policy: &Policy, now: Timestamp) -> bool {
    let since = if touched <= now { Some(touched) } else { held(entry).map(|aside| aside.since) };
    policy.refresh_wait.is_zero() || since.is_some_and(|since| now.since(since) >= policy.refresh_wait)
}

/// The hold that stands already for this version under this limit.
#[must_use]
pub fn standing<'e>(entry: &'e Entry, version: Version, policy: &Policy) -> Option<&'e Aside> {
    held(entry).filter(|aside| aside.version == Some(version) && aside.reason.contains(&limit(policy)))
}

/// Holds the bundle if too much would be sent, waits if that is not known yet; none if it may be sent.
#[must_use]
pub fn weigh(version: Version, blast: &Blast, policy: &Policy, now: Timestamp) -> Option<Action> {
    if blast.extent.exceeds(&policy.max_refresh) {
        let aside = Aside {
            state: AsideState::Held,
            reason: reason(blast, policy),
            version: Some(version),
            since: now,
        };
        return Some(Action::StandAside(aside, None));
    }
    blast.is_open.then_some(Action::Wait(policy.settle))
}

/// The hold of a bundle that is held because too much would be sent. Of all that is held it alone concerns one version.
#[must_use]
pub fn held(entry: &Entry) -> Option<&Aside> {
    let is_idle = entry.attempt == Attempt::Idle;
    entry.aside.as_ref().filter(|aside| is_idle && aside.state == AsideState::Held && aside.version.is_some())
}

fn reason(blast: &Blast, policy: &Policy) -> String {
    let Extent { models, bytes } = blast.extent;
    let models = counted(models);
    let (what, wait) = match blast.others {
        0 => (String::new(), "it has"),
        1 => (" and 1 other file".to_owned(), "they have"),
        others => (format!(" and {others} other files"), "they have"),
    };
    format!(
        "refresh of {models} ({}): {}{what} changed, {}; `versync retry` sends them now, else they are sent once {wait} not \
         changed for {}",
        size(bytes),
        blast.file,
        limit(policy),
        SpanPrinter::new().unsigned_duration_to_string(&policy.refresh_wait)
    )
}

/// The limit in words. It stands in the reason, so that a hold under another limit is weighed anew.
fn limit(policy: &Policy) -> String {
    let Extent { models, bytes } = policy.max_refresh;
    format!("and the limit is {} or {} (`max_refresh`)", counted(models), size(bytes))
}

fn counted(models: u64) -> String {
    if models == 1 { "1 model".to_owned() } else { format!("{models} models") }
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::file::content::{Content, ContentHash};
    use crate::file::entry::{Current, RemotePart, Title};
    use crate::file::part::version_of;
    use crate::file::sighting::{Seen, Trust};
    use crate::file::{Fingerprint, PartName};
    use crate::id::{FolderId, SourceFileId};

    const NOW: Timestamp = Timestamp::from_nanos(100_000_000_000_000);

    fn part(path: &str, byte: u8) -> Part {
        let path = RelPath::from_bytes(path.as_bytes()).unwrap();
        let name = PartName::from_local(path.name()).unwrap();
        Part { name, path, content: Content { hash: ContentHash([byte; 32]), size: 10 } }
    }

    fn whole(parts: &[(&str, u8)]) -> Whole {
        let parts: Vec<_> = parts.iter().map(|(path, byte)| part(path, *byte)).collect();
        let fingerprint = Fingerprint { size: 10, mtime: NOW, ctime: NOW, inode: 1, device: 1 };
        let seen = Seen { fingerprint, content: parts[0].content, trust: Trust::Settled };
        Whole { seen, parts, members: Vec::new(), missing: Vec::new(), doubts: Vec::new() }
    }

    fn live(parts: &[(&str, u8)]) -> Entry {
        let mut parts = parts.iter().map(|(path, byte)| RemotePart {
            part: part(path, *byte),
            source_file: SourceFileId::from_uuid(Uuid::from_u128(u128::from(*byte))),
            title: Title::Owned,
            assets: Vec::new(),
        });
        let lead = parts.next().unwrap();
        let folder = FolderId::from_uuid(Uuid::from_u128(1));
        let version = Version(ContentHash([0; 32]));
        let current = Current { version, folder, task: None, since: NOW, lead, members: parts.collect() };
        Entry { current: Some(current), ..Entry::default() }
    }

    fn paths(parts: &[&Part]) -> Vec<String> {
        parts.iter().map(|part| part.path.to_string()).collect()
    }

    fn blast(models: u64, bytes: u64) -> Blast {
        Blast { file: part("t/w.png", 1).path, others: 0, extent: Extent { models, bytes }, is_open: false }
    }

    fn policy(models: u64) -> Policy {
        Policy { max_refresh: Extent { models, bytes: 1000 }, ..Policy::default() }
    }

    fn held_for(action: Option<Action>) -> Entry {
        let Some(Action::StandAside(aside, None)) = action else { panic!("{action:?}") };
        Entry { aside: Some(aside), ..Entry::default() }
    }

    #[test]
    fn only_a_model_whose_lead_is_as_it_was_is_sent_for_the_sake_of_others() {
        let entry = live(&[("a.obj", 1), ("a.mtl", 2), ("w.png", 3)]);
        let disk = whole(&[("a.obj", 1), ("a.mtl", 2), ("w.png", 9), ("new.png", 4)]);
        let found = difference(&entry, &disk).unwrap();
        assert_eq!(
            (paths(&found.changed), paths(&found.added)),
            (vec!["w.png".into()], vec!["new.png".into()])
        );
        let edited = whole(&[("a.obj", 7), ("a.mtl", 2), ("w.png", 9)]);
        assert_eq!(difference(&entry, &edited), None, "its own lead changed");
        assert_eq!(difference(&Entry::default(), &disk), None, "it was never sent");
        let completed = whole(&[("a.obj", 1), ("a.mtl", 2), ("w.png", 3), ("new.png", 4)]);
        assert_eq!(difference(&entry, &completed), None, "what comes later completes it");
        let moved = whole(&[("a.obj", 1), ("a.mtl", 8), ("t/w.png", 3)]);
        assert_eq!(paths(&difference(&entry, &moved).unwrap().added), Vec::<String>::new(), "it only moved");
    }

    #[test]
    fn too_many_models_or_too_many_bytes_are_held_and_say_so() {
        let version = Version(ContentHash([5; 32]));
        assert_eq!(weigh(version, &blast(100, 1000), &policy(100), NOW), None);
        for much in [blast(101, 10), blast(1, 1001)] {
            let entry = held_for(weigh(version, &much, &policy(100), NOW));
            assert_eq!(held(&entry), entry.aside.as_ref());
        }
        let two = Blast { others: 2, ..blast(214, 3 << 30) };
        let entry = held_for(weigh(version, &two, &policy(100), NOW));
        assert_eq!(
            entry.reason().unwrap(),
            "refresh of 214 models (3.0 GiB): t/w.png and 2 other files changed, and the limit is 100 models or \
             1000 B (`max_refresh`); `versync retry` sends them now, else they are sent once they have not changed for 1h"
        );
    }

    #[test]
    fn while_it_is_not_known_what_else_changed_only_a_hold_is_certain() {
        let version = Version(ContentHash([5; 32]));
        let open = |models| Blast { is_open: true, ..blast(models, 10) };
        assert_eq!(weigh(version, &open(1), &policy(100), NOW), Some(Action::Wait(Policy::default().settle)));
        assert!(held(&held_for(weigh(version, &open(101), &policy(100), NOW))).is_some());
    }

    #[test]
    fn a_hold_stands_for_its_version_and_its_limit_however_few_are_left() {
        let version = Version(ContentHash([5; 32]));
        let entry = held_for(weigh(version, &blast(101, 10), &policy(100), NOW));
        assert!(standing(&entry, version, &policy(100)).is_some());
        assert!(standing(&entry, Version(ContentHash([6; 32])), &policy(100)).is_none(), "painted again");
        assert!(standing(&entry, version, &policy(200)).is_none(), "another limit");
        assert!(standing(&Entry::default(), version, &policy(100)).is_none());
    }

    #[test]
    fn what_was_let_go_is_not_held_again_for_the_same_bytes() {
        let version = version_of(&whole(&[("a.obj", 1)]).parts);
        let ready = Entry { wanted: Some(version), ..Entry::default() };
        assert!(is_let_go(&ready, version));
        assert!(!is_let_go(&ready, Version(ContentHash([6; 32]))), "other bytes are another change");
        assert!(!is_let_go(&Entry::default(), version));
        let held = held_for(weigh(version, &blast(101, 10), &policy(100), NOW));
        assert!(!is_let_go(&Entry { wanted: Some(version), ..held }, version));
    }

    #[test]
    fn an_hour_without_a_change_lifts_it_and_a_stamp_from_the_future_counts_from_the_hold() {
        let hour = Duration::from_secs(3600);
        let version = Version(ContentHash([5; 32]));
        let later = |by: Duration| NOW.plus(by);
        let entry = held_for(weigh(version, &blast(101, 10), &policy(100), NOW));
        assert!(!is_quiet(&entry, NOW, &policy(100), later(hour - Duration::from_secs(1))));
        assert!(is_quiet(&entry, NOW, &policy(100), later(hour)));
        let future = later(hour * 50);
        assert!(!is_quiet(&Entry::default(), future, &policy(100), later(hour)));
        assert!(!is_quiet(&entry, future, &policy(100), NOW));
        assert!(is_quiet(&entry, future, &policy(100), later(hour)));
        let at_once = Policy { refresh_wait: Duration::ZERO, ..policy(0) };
        assert!(is_quiet(&Entry::default(), future, &at_once, NOW));
    }
}
