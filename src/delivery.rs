//! One step of one bundle: look, decide, write down, do, learn, write down. The only place where rules and doors meet.
//!
//! A step leaves a durable state behind at every seam, so it may be dropped or killed anywhere.

mod again;
mod barred;
mod consider;
mod hold;
mod look;
mod reckon;
mod refresh;
mod release;
mod seekers;
mod series;
mod trace;

use std::sync::Arc;

use crate::agenda::{Errand, Reach};
use crate::ambient;
use crate::deed;
use crate::desk::{Desk, Post, Sends, Walk};
use crate::file::entry::{AsideState, Entry, Travels};
use crate::file::sighting::Seen;
use crate::file::{Key, RelPath, Sighting, State};
use crate::ledger::{self, Swapped};
use crate::mapping::format::is_dependent;
use crate::plan::{self, Action, Moment, Origin, Outcome, Remote};
use crate::verdict::{Blame, Failure, Verdict};
use crate::worker::blocking;

pub use again::{Rearmed, rearm};
pub use barred::{Bars, bar};
pub use consider::{Considered, consider};
pub use reckon::{Pending, Reckoned, arm, is_armed_in, pending, reckon, told, would_take};
pub use refresh::{carriers, held_since};
pub use series::Heir;

/// How a step ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which bundle.
    pub key: Key,
    /// How.
    pub verdict: Verdict,
    /// Whether the cloud was asked anything.
    pub reach: Reach,
    /// Its state before.
    pub was: State,
    /// Its state now.
    pub is: State,
    /// What the ledger now believes of it; none where the ledger could not be read.
    pub entry: Option<Arc<Entry>>,
    /// Bundles that have to be looked at because of it: those that carry its lead, and what it carries no more.
    pub also: Vec<Key>,
}

/// Takes one step of one bundle.
pub fn step(desk: Arc<Desk>, errand: Errand) -> impl Future<Output = Ended> + Send {
    // Before anybody who was handed out later can ask whether all is known that has changed.
    let walk = is_dependent(&errand.key.path).then(|| desk.refreshes.walk(&errand.key.mapping));
    take(desk, errand, walk)
}

async fn take(desk: Arc<Desk>, errand: Errand, walk: Option<Walk>) -> Ended {
    let key = errand.key.clone();
    #[cfg(test)]
    assert!(!key.path.name().starts_with(b"panics"), "as the test wants it");
    match try_step(&desk, errand, walk).await {
        Ok(ended) => ended,
        // Without its ledger the process must not go on, or not until there is room: what it did could not be remembered.
        Err(error) => Ended {
            key,
            verdict: Verdict::Failed(Failure::new(error.blame(), error.to_string())),
            reach: Reach::Local,
            was: State::Ready,
            is: State::Ready,
            entry: None,
            also: Vec::new(),
        },
    }
}

async fn try_step(desk: &Arc<Desk>, errand: Errand, walk: Option<Walk>) -> Result<Ended, ledger::Error> {
    let key = errand.key.clone();
    let Some(post) = desk.posts.get(&key.mapping).cloned() else {
        return Ok(Ended {
            key,
            verdict: Verdict::Done,
            reach: Reach::Local,
            was: State::Ready,
            is: State::Ready,
            entry: None,
            also: Vec::new(),
        });
    };
    // Before anything is read: a thousand files of a directory that was renamed are known by their stats.
    if let Some(ended) = trace::directory(desk, &post, &key).await? {
        return Ok(ended);
    }
    let looked = {
        let desk = Arc::clone(desk);
        blocking(move || {
            let stored = desk.ledger.entry(&errand.key)?;
            let seekers = seekers::called(&desk, &errand.key)?;
            let leads = desk.ledger.leads_of(&errand.key.mapping, &errand.key.path)?;
            let reading = desk.ledger.reading(&errand.key);
            let mut considered = consider::consider_with(&desk, &errand, stored.clone(), &leads, walk)?;
            if !considered.instead.is_empty() {
                series::demote(&desk, &errand.key, &stored)?;
            }
            considered.also.extend(seekers);
            if matches!(considered.sighting, Sighting::Whole(_)) {
                reading.is_harmless()?;
            }
            Ok::<_, ledger::Error>((stored, leads, considered))
        })
        .await?
    };
    let (stored, leads, seen) = looked;
    if !seen.instead.is_empty() {
        let is = stored.state();
        return Ok(Ended {
            key,
            verdict: Verdict::Instead(seen.instead),
            reach: Reach::Local,
            was: is,
            is,
            entry: None,
            also: seen.also,
        });
    }
    if let Heir::Slice(heir) = seen.heir {
        return series::hand_on(desk, &post, &key, &stored, heir).await;
    }
    let was = stored.state();
    let Considered { entry, sighting, mut origin, mut action, also, .. } = seen;
    let mut reach = Reach::Local;
    let found = Found { stored, was, members: members_of(&sighting), leads, also };

    // What the remote folder holds is asked for only where something would be sent, and at most twice: once to know its
    // namesakes, once more after they were found to hold other bytes.
    let mut consulted = None;
    let mut hold = None;
    while let Action::Consult | Action::Verify(_) | Action::Relocate(_) = action {
        reach = Reach::Cloud;
        // Let go with each turn: an upload that follows may take hours.
        let mut adoption = None;
        let outcome = match &action {
            Action::Verify(claim) => {
                // Until the ledger says that they are used here, too.
                adoption = Some(Arc::clone(&desk.adoptions).read_owned().await);
                if hold::is_doomed(desk, claim).await? {
                    return Ok(again_later(desk, key, &found));
                }
                deed::verify(desk, claim).await
            }
            Action::Relocate(relocation) => {
                hold = hold::take(desk, &relocation.from.key, &relocation.from.entry).await?;
                if hold.is_none() {
                    return Ok(again_later(desk, key, &found));
                }
                deed::perform(desk, &post, &action).await
            }
            _ => match consult(desk, &post, &key, &sighting).await {
                Ok(remote) => {
                    action =
                        plan::decide(&entry, &sighting, &post.mapping.policy, &origin, &remote, moment());
                    consulted = Some(remote);
                    continue;
                }
                // Without a remote folder there is nothing to adopt.
                Err(failure) if desk.sends == Sends::Nothing && failure.blame == Blame::File => {
                    return Ok(left(key, &found));
                }
                Err(failure) => Outcome::Failed(failure),
            },
        };
        if let (Outcome::NotRelocated(why), Action::Relocate(relocation)) = (&outcome, &action) {
            tracing::info!(bundle = %key, from = %relocation.from.key, "moved, and sent anew: {why}");
            hold = None;
            origin = Origin::Nowhere;
            let remote = consulted.clone().unwrap_or(Remote::Unasked);
            action = plan::decide(&entry, &sighting, &post.mapping.policy, &origin, &remote, moment());
            continue;
        }
        if let (Outcome::NoneVerified, Some(Remote::Folder(folder, namesakes))) = (&outcome, &mut consulted) {
            for namesake in namesakes {
                if namesake.claim == plan::Claimed::Nobodys {
                    namesake.claim = plan::Claimed::Refuted;
                    desk.shelf.refute(*folder, namesake.source_file).await;
                }
            }
            let remote = consulted.clone().unwrap_or(Remote::Unasked);
            action = plan::decide(&entry, &sighting, &post.mapping.policy, &origin, &remote, moment());
            continue;
        }
        let ended = finish(desk, &key, found, entry, &action, outcome, reach).await;
        drop(adoption);
        return ended;
    }

    if desk.sends == Sends::Nothing && matches!(action, Action::Upload(_)) {
        return Ok(left(key, &found));
    }

    let mut alone = None;
    if let Action::Clear(_) = action {
        // Whoever verifies may be at it for long, and nothing presses: it is granted again once all is quiet.
        alone = Arc::clone(&desk.adoptions).try_write_owned().ok();
        hold = if alone.is_some() { hold::take(desk, &key, &found.stored).await? } else { None };
        if hold.is_none() || !reckon::is_still(desk, &post, &key, &entry, &action).await? {
            desk.grants.done(&key);
            return Ok(again_later(desk, key, &found));
        }
    }

    // The permit comes before the intent: what is written down is about to happen.
    let permit = match &action {
        Action::Upload(_) => Some(Arc::clone(&desk.uploads).acquire_owned().await),
        _ => None,
    };
    let untouched = entry.clone();
    let entry = match plan::before(&entry, &action, ambient::now()) {
        // The hold keeps everybody else from it meanwhile.
        Some(doomed) if matches!(action, Action::Clear(_)) => {
            if doomed == found.stored {
                doomed
            } else {
                put(desk, &key, doomed, &[], None).await?
            }
        }
        Some(intended) => {
            let note = match reservations(&sighting) {
                Some(reservations) => {
                    tracing::warn!(bundle = %key, "sent all the same: {reservations}");
                    format!("sending all the same: {reservations}")
                }
                None => "sending".to_owned(),
            };
            put(desk, &key, intended, &found.members, Some(note)).await?
        }
        None => entry,
    };
    drop(alone);
    let outcome = match &action {
        Action::Upload(_)
        | Action::LookUp(..)
        | Action::Follow(..)
        | Action::Clear(_)
        | Action::Restore(_) => {
            reach = Reach::Cloud;
            deed::perform(desk, &post, &action).await
        }
        Action::Rest
        | Action::Forget
        | Action::Wait(_)
        | Action::StandAside(..)
        | Action::Consult
        | Action::Verify(_)
        | Action::Relocate(_) => Outcome::Nothing,
    };
    drop(permit);
    let (found, entry) = match action {
        // What was refused altogether is as it was before; the ledger holds what was written down meanwhile.
        Action::Clear(_) if matches!(outcome, Outcome::NotCleared(_)) => {
            (Found { stored: entry, ..found }, untouched)
        }
        Action::Clear(_) => (Found { stored: entry.clone(), ..found }, entry),
        _ => (found, entry),
    };
    let ended = finish(desk, &key, found, entry, &action, outcome, reach).await;
    // Only now that it is written down may others have its remote files.
    drop(hold);
    ended
}

/// What a step found when it began: the ledger's entry and its state, the members that the bundle carries, and the bundles
/// that carry its lead, and who else has to look.
struct Found {
    stored: Entry,
    was: State,
    members: Vec<(RelPath, Seen)>,
    leads: Vec<Key>,
    /// Who else has to look: files that it does not carry any more, and bundles that look for a file of its name, if that is news.
    also: Vec<Key>,
}

/// The end of a step that found others at work on the remote files that it needs.
fn again_later(desk: &Desk, key: Key, found: &Found) -> Ended {
    Ended { verdict: Verdict::LookAgain(desk.patience.poll_first), reach: Reach::Local, ..left(key, found) }
}

/// The end of a step that leaves a bundle as it was, because nothing is to be sent.
fn left(key: Key, found: &Found) -> Ended {
    Ended {
        key,
        verdict: Verdict::Done,
        reach: Reach::Cloud,
        was: found.was,
        is: found.was,
        entry: Some(Arc::new(found.stored.clone())),
        also: found.also.clone(),
    }
}

fn members_of(sighting: &Sighting) -> Vec<(RelPath, Seen)> {
    match sighting {
        Sighting::Whole(whole) => whole.members.clone(),
        Sighting::Unlooked
        | Sighting::Unknown(_)
        | Sighting::Absent(_)
        | Sighting::Excluded(_)
        | Sighting::Restless(_)
        | Sighting::NeverRests(_)
        | Sighting::Unfinished(..)
        | Sighting::Empty(_)
        | Sighting::Unreadable(_)
        | Sighting::Unfit(_) => Vec::new(),
    }
}

/// What a bundle is sent without, and what of it may not be finished.
fn reservations(sighting: &Sighting) -> Option<String> {
    match sighting {
        Sighting::Whole(whole) => {
            let all: Vec<&str> = whole.doubts.iter().chain(&whole.missing).map(String::as_str).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        _ => None,
    }
}

/// The last third of a step: what the outcome taught, written down.
async fn finish(
    desk: &Arc<Desk>,
    key: &Key,
    found: Found,
    entry: Entry,
    action: &Action,
    outcome: Outcome,
    reach: Reach,
) -> Result<Ended, ledger::Error> {
    let is_relocated = outcome == Outcome::Relocated;
    let heard = matches!(action, Action::Clear(_)).then(|| outcome.clone()).unwrap_or(Outcome::Nothing);
    let (mut new, mut verdict) = plan::after(&entry, action, outcome, &desk.patience, ambient::now());
    if let (Verdict::Done, Some(tick)) = (&verdict, look::read_once_more(&new)) {
        verdict = Verdict::LookAgain(tick);
    }
    let is = new.state();
    let has_moved = new.seen.map(|seen| seen.content) != found.stored.seen.map(|seen| seen.content);
    // What was read of the members is remembered only where the entry says what follows from it: if the step failed, the walk
    // must find that they have changed.
    let members: &[_] = if is == State::Synced { &found.members } else { &[] };
    let mut also = Vec::new();
    let swapped = match action {
        Action::Relocate(relocation) if is_relocated => {
            also.extend(trace::leads_of(desk, &relocation.from.key).await?);
            tracing::info!(bundle = %key, from = %relocation.from.key, "moved; nothing was sent");
            trace::relocate(desk, key, relocation, &found.members).await?
        }
        // Another bundle's step may have taken its version over, should its file have moved there.
        Action::StandAside(aside, _) if aside.state == AsideState::Deleted => {
            if new == found.stored {
                Swapped::Yes
            } else {
                let note = (found.was != is).then(|| note(&new, is));
                trace::put_unless_moved(desk, key, &found.stored, &new, note).await?
            }
        }
        Action::Clear(clearance) => {
            let note = reckon::close(desk, key, clearance, &heard).await?;
            trace::put_unless_moved(desk, key, &found.stored, &new, Some(note)).await?
        }
        _ if new != found.stored || new != entry || !members.is_empty() => {
            let note = (found.was != is).then(|| note(&new, is));
            new = put(desk, key, new, members, note).await?;
            Swapped::Yes
        }
        _ => Swapped::Yes,
    };
    if let (Action::Restore(_), true) = (action, is_relocated) {
        tracing::info!(bundle = %key, "its earlier bytes are back: that version is current again, and nothing was sent");
    }
    if swapped == Swapped::Stale {
        verdict = Verdict::LookAgain(desk.patience.retry_first);
    }
    if verdict == Verdict::Done && is == State::Synced {
        unmark(desk, key).await?;
    }
    if release::releases(action) {
        also.extend(release::release(desk, key).await?);
    }
    also.extend(found.also);
    // What others carry too is theirs to send anew.
    if has_moved || is == State::Deleted {
        also.extend(found.leads);
    }
    if new.travels == Travels::WithoutUnlisted && found.stored.travels == Travels::Whole {
        tracing::warn!(
            bundle = %key,
            "the cloud rejects it with files of formats that it does not list; it is sent without them"
        );
    }
    Ok(Ended { key: key.clone(), verdict, reach, was: found.was, is, entry: Some(Arc::new(new)), also })
}

/// The bundle was looked at as a whole and rests: what marked it has been dealt with.
async fn unmark(desk: &Arc<Desk>, key: &Key) -> Result<(), ledger::Error> {
    let (ledger, key) = (desk.ledger.clone(), key.clone());
    blocking(move || if ledger.is_marked(&key)? { ledger.unmark(&key) } else { Ok(()) }).await
}

async fn consult(desk: &Arc<Desk>, post: &Post, key: &Key, sighting: &Sighting) -> Result<Remote, Failure> {
    let names: Vec<_> = match sighting {
        Sighting::Whole(whole) => whole.parts.iter().map(|part| part.name.clone()).collect(),
        _ => Vec::new(),
    };
    let mut remote = desk.shelf.consult(&post.mapping, &post.mapping.shelf_of(&key.path), &names).await?;
    if let (Remote::Folder(_, namesakes), Some(listed)) = (&mut remote, desk.vouched.get(key)) {
        for namesake in namesakes {
            let mut parts = listed.parts().filter(|part| part.source_file_id == namesake.source_file.uuid());
            namesake.vouched = parts.next().and_then(|part| part.content());
        }
    }
    Ok(remote)
}

/// One line of the journal for a change of state.
fn note(entry: &Entry, is: State) -> String {
    match (entry.reason(), &entry.current, is) {
        (Some(reason), _, _) => format!("{is}: {reason}"),
        (None, Some(current), State::Synced) => format!("synced as source file {}", current.lead.source_file),
        (None, _, _) => is.to_string(),
    }
}

async fn put(
    desk: &Arc<Desk>,
    key: &Key,
    entry: Entry,
    members: &[(RelPath, Seen)],
    note: Option<String>,
) -> Result<Entry, ledger::Error> {
    let (ledger, key, members) = (desk.ledger.clone(), key.clone(), members.to_vec());
    blocking(move || {
        ledger.put_bundle(&key, &entry, &members, note.as_deref(), ambient::now())?;
        Ok(entry)
    })
    .await
}

fn moment() -> Moment {
    Moment { now: ambient::now(), attempt: ambient::attempt_id() }
}
