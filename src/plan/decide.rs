//! What is to be done about a bundle now, and what must be written down first.

use std::time::Duration;

use super::clear::doomed;
use super::returning::{Restoration, earlier};
use super::{Action, Claim, Claimed, Moment, Namesake, Origin, Proof, Relocation, Remote};
use crate::file::entry::{Aside, AsideState, Conversion, Doubt};
use crate::file::part::version_of;
use crate::file::sighting::{Seen, Trust, Whole};
use crate::file::{Attempt, Entry, Fingerprint, Intent, Part, RelPath, Sighting, Version};
use crate::id::SourceFileId;
use crate::mapping::{Adopt, Fate, OnMissing, Policy};
use crate::timestamp::Timestamp;

/// What is to be done about a bundle: the open attempt comes first, then what the disk shows.
///
/// `entry` is the ledger's entry with what was just seen already in it.
#[must_use]
pub fn decide(
    entry: &Entry,
    sighting: &Sighting,
    policy: &Policy,
    origin: &Origin,
    remote: &Remote,
    moment: Moment,
) -> Action {
    match &entry.attempt {
        // The process ended between the intent and the answer: a question, not a failure.
        Attempt::Intended(intent) => Action::LookUp(intent.clone(), interrupted()),
        Attempt::Ambiguous(intent, doubt) => Action::LookUp(intent.clone(), doubt.clone()),
        Attempt::Sent(intent, task) => Action::Follow(
            intent.clone(),
            Conversion {
                task: Some(*task),
                files: Vec::new(),
                progress: "sent".to_owned(),
                since: moment.now,
            },
        ),
        Attempt::Converting(intent, conversion) => Action::Follow(intent.clone(), conversion.clone()),
        Attempt::Idle => by_sighting(entry, sighting, policy, origin, remote, moment),
    }
}

/// What must be durable before the action is performed: an upload's intent, and what is about to be taken away.
#[must_use]
pub fn before(entry: &Entry, action: &Action, now: Timestamp) -> Option<Entry> {
    match action {
        Action::Upload(intent) => {
            Some(Entry { attempt: Attempt::Intended(intent.clone()), aside: None, ..entry.clone() })
        }
        Action::Clear(clearance) => Some(doomed(entry, clearance, now)),
        Action::Rest
        | Action::Forget
        | Action::Wait(_)
        | Action::StandAside(..)
        | Action::Consult
        | Action::Verify(_)
        | Action::Relocate(_)
        | Action::Restore(_)
        | Action::LookUp(..)
        | Action::Follow(..) => None,
    }
}

/// Whether a stat alone proves that the bytes are those of the row.
///
/// The device is left out: it is renumbered by a reboot, and a file below a root whose identity was proven, on the root's own
/// file system, cannot be on another one.
#[must_use]
pub fn is_same_file(row: &Seen, stat: &Fingerprint) -> bool {
    let Fingerprint { size, mtime, ctime, inode, device: _ } = row.fingerprint;
    row.trust == Trust::Settled
        && size == stat.size
        && mtime == stat.mtime
        && ctime == stat.ctime
        && inode == stat.inode
}

fn by_sighting(
    entry: &Entry,
    sighting: &Sighting,
    policy: &Policy,
    origin: &Origin,
    remote: &Remote,
    moment: Moment,
) -> Action {
    let aside = |state, reason: &str| Aside {
        state,
        reason: reason.to_owned(),
        version: None,
        // A state that only repeats itself has been so since it began.
        since: match &entry.aside {
            Some(standing) if standing.state == state && standing.reason == reason => standing.since,
            Some(_) | None => moment.now,
        },
    };
    let is_known_remotely = entry.current.is_some() || !entry.copies.is_empty();
    match sighting {
        // Nothing is concluded: what stands aside stays so.
        Sighting::Unlooked | Sighting::Unknown(_) => {
            entry.aside.clone().map_or(Action::Rest, |aside| Action::StandAside(aside, None))
        }
        Sighting::Absent(_) if is_known_remotely => Action::StandAside(
            // What was told of its remote copy since stays so.
            entry.aside.clone().filter(|standing| standing.state == AsideState::Deleted).unwrap_or_else(
                || {
                    aside(
                        AsideState::Deleted,
                        match policy.on_delete {
                            Fate::Keep => "gone from disk; its remote copy is kept (on_delete = \"keep\")",
                            Fate::Archive => {
                                "gone from disk; its remote copy is to be archived (on_delete = \"archive\")"
                            }
                            Fate::Delete => {
                                "gone from disk; its remote copy is to be deleted (on_delete = \"delete\")"
                            }
                            Fate::DeleteWithAssets => {
                                "gone from disk; its remote copy is to be deleted with its assets, but for those that something else uses (on_delete = \"delete_with_assets\")"
                            }
                        },
                    )
                },
            ),
            None,
        ),
        Sighting::Excluded(rule) if is_known_remotely => {
            Action::StandAside(aside(AsideState::Detached, &format!("{rule}; its remote copy is kept")), None)
        }
        Sighting::Absent(_) | Sighting::Excluded(_) => Action::Forget,
        Sighting::Restless(again) => Action::Wait(*again),
        Sighting::NeverRests(again) => Action::StandAside(
            aside(AsideState::Settling, "still being written; it is sent once it rests"),
            Some(*again),
        ),
        Sighting::Empty(seen) if seen.trust == Trust::Doubted => {
            Action::StandAside(aside(AsideState::Suspect, SUSPECT), None)
        }
        Sighting::Unfinished(why, again) => Action::StandAside(
            aside(
                AsideState::Settling,
                &format!("{why}; it is sent once that has changed, or after `settle_max` with a warning"),
            ),
            Some(*again),
        ),
        Sighting::Empty(_) => Action::StandAside(
            aside(AsideState::Held, "the file is empty; it is sent once it has bytes"),
            None,
        ),
        Sighting::Unreadable(why) | Sighting::Unfit(why) => {
            Action::StandAside(aside(AsideState::Blocked, why), None)
        }
        Sighting::Whole(whole) => weigh(entry, whole, policy, origin, remote, moment),
    }
}

/// The bytes are known: are they the ones that live in the cloud, and if not, may they be sent?
fn weigh(
    entry: &Entry,
    whole: &Whole,
    policy: &Policy,
    origin: &Origin,
    remote: &Remote,
    moment: Moment,
) -> Action {
    let version = version_of(&whole.parts);
    if entry.current.as_ref().is_some_and(|current| current.version == version) {
        return Action::Rest;
    }
    if entry.aside.as_ref().is_some_and(|aside| refuses(aside, version)) {
        return Action::Rest;
    }
    if whole.parts.is_empty() {
        return Action::Rest;
    }
    let mut seen = std::iter::once(&whole.seen).chain(whole.members.iter().map(|(_, seen)| seen));
    if seen.any(|seen| seen.trust == Trust::Doubted) {
        let (state, reason) = (AsideState::Suspect, SUSPECT.to_owned());
        return Action::StandAside(Aside { state, reason, version: Some(version), since: moment.now }, None);
    }
    match (origin, remote) {
        (Origin::Nowhere, _) => {}
        (Origin::Pending(pause), _) => return Action::Wait(*pause),
        (Origin::Moved(_), Remote::Unasked) => return Action::Consult,
        (Origin::Moved(from), Remote::Folder(folder, _)) => {
            if let Some(relocation) = Relocation::of(from, whole, *folder) {
                return Action::Relocate(Box::new(relocation));
            }
        }
    }
    if let Some(reason) = not_whole(entry, whole, policy) {
        let since = match &entry.aside {
            Some(aside) if aside.reason == reason => aside.since,
            Some(_) | None => moment.now,
        };
        return Action::StandAside(Aside { state: AsideState::Held, reason, version: None, since }, None);
    }
    if let Some(parts) = earlier(entry, whole) {
        match remote {
            Remote::Unasked => return Action::Consult,
            Remote::Folder(folder, _) => {
                if let Some(it) = Restoration::of(entry, &parts, whole, *folder, moment.now) {
                    return Action::Restore(Box::new(it));
                }
            }
        }
    }
    match remote {
        Remote::Unasked => Action::Consult,
        Remote::Folder(folder, namesakes) => {
            let candidates = adoptable(entry, policy, namesakes, &whole.parts);
            let claim = |proof| {
                let parts = whole.parts.iter().cloned().zip(candidates.clone()).collect();
                Action::Verify(Claim { folder: *folder, version, parts, proof })
            };
            let lead_is_there = !candidates.is_empty() && candidates.iter().all(|them| !them.is_empty());
            // What the manifest says of an id is believed where the bytes here and the listing there agree with it.
            let vouched = vouched(namesakes, &whole.parts, &candidates);
            match policy.adopt {
                Adopt::Verify if lead_is_there && vouched.iter().all(|them| !them.is_empty()) => {
                    let parts = whole.parts.iter().cloned().zip(vouched).collect();
                    Action::Verify(Claim { folder: *folder, version, parts, proof: Proof::NameAndSize })
                }
                Adopt::Verify if lead_is_there => claim(Proof::Download),
                Adopt::Trust if lead_is_there => claim(Proof::NameAndSize),
                Adopt::Verify | Adopt::Trust | Adopt::Never => Action::Upload(Intent {
                    id: moment.attempt,
                    at: moment.now,
                    version,
                    folder: *folder,
                    parts: whole.parts.clone(),
                    fence: namesakes.iter().map(|namesake| namesake.source_file).collect(),
                }),
            }
        }
    }
}

/// Why nothing is sent of what a power cut may have left behind.
const SUSPECT: &str = "its bytes are others than before the machine went down, and nothing says that anybody wrote them; \
    what lives in the cloud is kept: look at it, and save it anew or `versync retry` to send it as it is";

/// Why a bundle that misses something must not be sent: a whole version that lives is not replaced by a broken one while the
/// model itself is the same, and some studios would rather wait.
fn not_whole(entry: &Entry, whole: &Whole, policy: &Policy) -> Option<String> {
    if whole.missing.is_empty() {
        return None;
    }
    let missing = whole.missing.join("; ");
    let gone = entry.current.as_ref().and_then(|current| {
        let is_same_model = whole.parts.first().is_some_and(|lead| lead.content == current.lead.part.content);
        let left = |path: &RelPath| whole.parts.iter().any(|part| part.path == *path);
        let gone = current.members.iter().find(|member| !left(&member.part.path))?;
        is_same_model.then_some(gone)
    });
    match (gone, policy.on_missing) {
        (Some(gone), _) => {
            let path = &gone.part.path;
            // It may be there and of no use: empty, excluded, no regular file.
            let why = whole.missing.iter().find(|why| why.starts_with(&format!("{path} is ")));
            let why = why.cloned().unwrap_or_else(|| format!("{path} is not there any more"));
            Some(format!(
                "member gone: {why}; the last whole version stays until it returns or the model changes"
            ))
        }
        (None, OnMissing::Hold) => Some(format!("not whole: {missing}")),
        (None, OnMissing::Warn) => None,
    }
}

/// Whether this very content was refused before, so that only new content, a new rule or a person changes anything.
fn refuses(aside: &Aside, version: Version) -> bool {
    match aside.state {
        AsideState::Blocked | AsideState::ConversionFailed | AsideState::Suspect | AsideState::Stalled => {
            aside.version == Some(version)
        }
        AsideState::Settling | AsideState::Held | AsideState::Detached | AsideState::Deleted => false,
    }
}

/// Remote files that might already hold these parts, for each part: only for a path that was never sent. The lead must be
/// nobody's; a member may be shared with other bundles.
fn adoptable(
    entry: &Entry,
    policy: &Policy,
    namesakes: &[Namesake],
    parts: &[Part],
) -> Vec<Vec<SourceFileId>> {
    let is_first = entry.current.is_none() && entry.copies.is_empty();
    let may_be = |position: usize, claim: Claimed| match claim {
        Claimed::Nobodys => true,
        Claimed::Ours => position > 0,
        Claimed::Refuted => false,
    };
    let candidates = |(position, part): (usize, &Part)| {
        let fits = |it: &&Namesake| {
            it.name == part.name && it.size == part.content.size && may_be(position, it.claim)
        };
        namesakes.iter().filter(fits).map(|it| it.source_file).collect()
    };
    match policy.adopt {
        Adopt::Verify | Adopt::Trust if is_first => parts.iter().enumerate().map(candidates).collect(),
        Adopt::Verify | Adopt::Trust | Adopt::Never => Vec::new(),
    }
}

/// Of each part's candidates those that the manifest knows with the very bytes that lie here.
fn vouched(
    namesakes: &[Namesake],
    parts: &[Part],
    candidates: &[Vec<SourceFileId>],
) -> Vec<Vec<SourceFileId>> {
    let knows = |part: &Part, id: SourceFileId| {
        let hash = Some(part.content.hash);
        namesakes.iter().any(|it| it.source_file == id && it.name == part.name && it.vouched == hash)
    };
    let of_part = |(part, ids): (&Part, &Vec<SourceFileId>)| {
        ids.iter().copied().filter(|id| knows(part, *id)).collect()
    };
    parts.iter().zip(candidates).map(of_part).collect()
}

fn interrupted() -> Doubt {
    Doubt {
        absent_since: None,
        absences: 0,
        why: "versync was stopped while it was being sent; the cloud is asked whether it arrived".to_owned(),
    }
}

/// How long after an attempt began it is asked for again: more rarely the longer it takes.
pub(super) fn poll_pause(elapsed: Duration, first: Duration, max: Duration) -> Duration {
    (elapsed / 2).clamp(first, max.max(first))
}
