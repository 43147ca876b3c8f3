//! What a deed taught us: the new entry, and how the step ended.

use super::decide::poll_pause;
use super::{Action, Claim, Finding, GaveUp, HowItEnded, Outcome, clear};
use crate::file::entry::{
    Aside, AsideState, Conversion, Current, Doubt, RemoteCopy, RemotePart, Role, Title, Travels,
};
use crate::file::{Attempt, Entry, Intent, PartName};
use crate::id::SourceFileId;
use crate::mapping::format::is_unlisted;
use crate::patience::Patience;
use crate::timestamp::Timestamp;
use crate::verdict::{Blame, Verdict};
use std::time::Duration;

/// Why an attempt is in doubt that the cloud has certainly taken in.
pub const UNNAMED: &str = "the cloud took it in without naming an upload task; it is being looked up";

/// How many times `ambiguous_wait` somebody is waited for who would know more.
const UNTOLD: u32 = 10;

/// What the outcome of `action` makes of `entry`, and how the step ended.
#[must_use]
pub fn after(
    entry: &Entry,
    action: &Action,
    outcome: Outcome,
    patience: &Patience,
    now: Timestamp,
) -> (Entry, Verdict) {
    match action {
        Action::Rest => (rested(entry), Verdict::Done),
        Action::Forget => (Entry::default(), Verdict::Done),
        Action::Wait(again) => (entry.clone(), Verdict::LookAgain(*again)),
        Action::StandAside(aside, again) => {
            let entry = Entry { aside: Some(aside.clone()), ..entry.clone() };
            (entry, again.map_or(Verdict::Done, Verdict::LookAgain))
        }
        Action::Consult => match outcome {
            Outcome::Failed(failure) => (entry.clone(), Verdict::Failed(failure)),
            // The flow consults within a step; whatever else it says, another look does no harm.
            _ => (entry.clone(), Verdict::LookAgain(Duration::ZERO)),
        },
        Action::Verify(claim) => verified(entry, claim, outcome, now),
        Action::Relocate(relocation) => match outcome {
            Outcome::Relocated => (relocation.entry.clone(), Verdict::LookAgain(Duration::ZERO)),
            Outcome::Failed(failure) => (entry.clone(), Verdict::Failed(failure)),
            // The flow decides anew within the step where it cannot be moved.
            _ => (entry.clone(), Verdict::LookAgain(Duration::ZERO)),
        },
        Action::Restore(it) => match outcome {
            Outcome::Relocated => (it.entry.clone(), Verdict::LookAgain(Duration::ZERO)),
            Outcome::NotRelocated(_) => (it.without.clone(), Verdict::LookAgain(Duration::ZERO)),
            Outcome::Failed(failure) => (entry.clone(), Verdict::Failed(failure)),
            _ => (entry.clone(), Verdict::LookAgain(Duration::ZERO)),
        },
        Action::Clear(clearance) => match outcome {
            Outcome::Cleared(done) => (clear::cleared(entry, clearance, &done, now), Verdict::Done),
            Outcome::NotCleared(why) | Outcome::PartlyCleared(why) => {
                (not_cleared(entry, &why), Verdict::Done)
            }
            Outcome::Failed(failure) => (entry.clone(), Verdict::Failed(failure)),
            _ => (entry.clone(), Verdict::Done),
        },
        Action::Upload(intent) => uploaded(entry, intent, outcome, patience, now),
        Action::LookUp(intent, doubt) => looked_up(entry, intent, doubt, outcome, patience, now),
        Action::Follow(intent, conversion) => followed(entry, intent, conversion, outcome, patience, now),
    }
}

/// A file that is gone says why its remote copy is still there.
fn not_cleared(entry: &Entry, why: &str) -> Entry {
    let mut entry = entry.clone();
    if let Some(aside) = &mut entry.aside
        && aside.state == AsideState::Deleted
    {
        aside.reason = format!("gone from disk; its remote copy could not be taken away: {why}");
    }
    entry
}

/// The bundle is where it should be, or stands aside for a reason that still holds.
fn rested(entry: &Entry) -> Entry {
    let lives = entry.lives_as_seen();
    let aside = entry.aside.clone().filter(|_| !lives);
    Entry { aside, ..entry.clone() }
}

fn verified(entry: &Entry, claim: &Claim, outcome: Outcome, now: Timestamp) -> (Entry, Verdict) {
    match outcome {
        Outcome::Verified(parts) => {
            let mut parts = parts.into_iter();
            let Some(lead) = parts.next() else {
                return (entry.clone(), Verdict::LookAgain(Duration::ZERO));
            };
            let current = Current {
                version: claim.version,
                folder: claim.folder,
                task: None,
                since: now,
                lead,
                members: parts.collect(),
            };
            (
                Entry { current: Some(current), attempt: Attempt::Idle, aside: None, ..entry.clone() },
                Verdict::Done,
            )
        }
        // The flow remembers which candidates were refuted, so the next decision sends the file.
        Outcome::NoneVerified => (entry.clone(), Verdict::LookAgain(Duration::ZERO)),
        Outcome::Failed(failure) => (entry.clone(), Verdict::Failed(failure)),
        _ => (entry.clone(), Verdict::LookAgain(Duration::ZERO)),
    }
}

fn uploaded(
    entry: &Entry,
    intent: &Intent,
    outcome: Outcome,
    patience: &Patience,
    now: Timestamp,
) -> (Entry, Verdict) {
    let with = |attempt| Entry { attempt, ..entry.clone() };
    match outcome {
        Outcome::Taken(task) => {
            (with(Attempt::Sent(intent.clone(), task)), Verdict::LookAgain(patience.poll_first))
        }
        Outcome::TakenUnnamed => {
            let doubt = fresh_doubt(UNNAMED);
            (with(Attempt::Ambiguous(intent.clone(), doubt)), Verdict::LookAgain(patience.poll_first))
        }
        Outcome::Unanswered(failure) => {
            let doubt =
                fresh_doubt(&format!("the answer was lost ({}); it is being looked up", failure.what));
            let entry = with(Attempt::Ambiguous(intent.clone(), doubt));
            match failure.blame {
                // The way to the cloud is troubled: everybody waits, and this one is looked up first thing afterwards.
                Blame::Cloud => (entry, Verdict::Failed(failure)),
                Blame::File | Blame::Mapping | Blame::User | Blame::Room | Blame::Us => {
                    (entry, Verdict::LookAgain(patience.poll_first))
                }
            }
        }
        // Not at once: a file that goes on changing without an event would be read again and again.
        Outcome::Changed => (with(Attempt::Idle), Verdict::LookAgain(patience.retry_first)),
        Outcome::NotTaken(failure) | Outcome::Failed(failure) => match failure.blame {
            Blame::File => {
                let aside = Aside {
                    state: AsideState::Blocked,
                    reason: failure.what,
                    version: Some(intent.version),
                    since: now,
                };
                (Entry { attempt: Attempt::Idle, aside: Some(aside), ..entry.clone() }, Verdict::Done)
            }
            Blame::Mapping | Blame::Cloud | Blame::User | Blame::Room | Blame::Us => {
                (with(Attempt::Idle), Verdict::Failed(failure))
            }
        },
        // No other outcome tells whether the request arrived, so it is treated as one that may have.
        _ => (
            with(Attempt::Ambiguous(intent.clone(), fresh_doubt("its outcome is not known"))),
            Verdict::LookAgain(patience.poll_first),
        ),
    }
}

fn looked_up(
    entry: &Entry,
    intent: &Intent,
    doubt: &Doubt,
    outcome: Outcome,
    patience: &Patience,
    now: Timestamp,
) -> (Entry, Verdict) {
    let with = |attempt| Entry { attempt, ..entry.clone() };
    let pause = (patience.ambiguous_wait / 3).min(patience.poll_max);
    let outcome = match outcome {
        // Not for ever: the task may be somebody else's.
        Outcome::FoundUntold(_, why)
            if now.since(intent.at) < patience.ambiguous_wait.saturating_mul(UNTOLD) =>
        {
            Outcome::Unclear(why)
        }
        Outcome::FoundUntold(finding, _) => Outcome::Found(finding),
        told => told,
    };
    match outcome {
        Outcome::Found(finding) => {
            let mut copies = entry.copies.clone();
            copies.extend(surplus(&finding, intent, now));
            let conversion = Conversion {
                task: finding.task,
                files: finding.files,
                progress: "found".to_owned(),
                since: now,
            };
            (
                Entry { attempt: Attempt::Converting(intent.clone(), conversion), copies, ..entry.clone() },
                Verdict::LookAgain(Duration::ZERO),
            )
        }
        Outcome::NotThere => {
            let absent_since = doubt.absent_since.unwrap_or(now);
            let absences = doubt.absences.saturating_add(1);
            if absences >= 2 && now.since(absent_since) >= patience.ambiguous_wait {
                return (with(Attempt::Idle), Verdict::LookAgain(Duration::ZERO));
            }
            let doubt = Doubt { absent_since: Some(absent_since), absences, why: doubt.why.clone() };
            (with(Attempt::Ambiguous(intent.clone(), doubt)), Verdict::LookAgain(pause))
        }
        // An answer that tells nothing breaks the row of complete listings that agree.
        Outcome::Unclear(why) => {
            let doubt = Doubt { absent_since: None, absences: 0, why };
            (with(Attempt::Ambiguous(intent.clone(), doubt)), Verdict::LookAgain(pause))
        }
        Outcome::Failed(failure) => {
            (with(Attempt::Ambiguous(intent.clone(), doubt.clone())), Verdict::Failed(failure))
        }
        _ => (with(Attempt::Ambiguous(intent.clone(), doubt.clone())), Verdict::LookAgain(pause)),
    }
}

fn followed(
    entry: &Entry,
    intent: &Intent,
    conversion: &Conversion,
    outcome: Outcome,
    patience: &Patience,
    now: Timestamp,
) -> (Entry, Verdict) {
    let pause = poll_pause(now.since(intent.at), patience.poll_first, patience.poll_max);
    match outcome {
        Outcome::Converted(parts) => {
            (converted(entry, intent, conversion, parts, now), Verdict::LookAgain(Duration::ZERO))
        }
        // Without a task nothing ever tells that a conversion failed: what has made nothing for so long is taken to have.
        Outcome::Underway(news)
            if news.task.is_none()
                && now.since(intent.at) >= patience.ambiguous_wait.saturating_mul(UNTOLD) =>
        {
            let what = format!(
                "no upload task tells of it, and nothing has come of it since {}; `versync retry` sends it again",
                intent.at
            );
            // A set that the cloud may have rejected for its formats is tried without them, as if it had said so.
            let how = if has_unlisted(intent) { HowItEnded::Rejected } else { HowItEnded::Error };
            let end = GaveUp { how, what, files: news.files };
            (gave_up(entry, intent, end, now), Verdict::LookAgain(Duration::ZERO))
        }
        Outcome::Underway(news) => {
            let since = if news.progress == conversion.progress { conversion.since } else { now };
            let stalled = now.since(since) >= patience.stalled_after;
            let aside = stalled.then(|| Aside {
                state: AsideState::Stalled,
                reason: format!(
                    "{} has made no progress since {since} ({}); look at it in the console, or `versync retry` to send it again",
                    news.task.map_or_else(|| "its upload".to_owned(), |task| format!("upload task {task}")),
                    news.progress,
                ),
                version: Some(intent.version),
                since: now,
            });
            let attempt = Attempt::Converting(intent.clone(), Conversion { since, ..news });
            let pause = if stalled { patience.poll_max.saturating_mul(10) } else { pause };
            (Entry { attempt, aside, ..entry.clone() }, Verdict::LookAgain(pause))
        }
        Outcome::GaveUp(end) => (gave_up(entry, intent, end, now), Verdict::LookAgain(Duration::ZERO)),
        // The record may have been cleared away before we read it: the files themselves are the next witness.
        Outcome::TaskGone => {
            let doubt =
                fresh_doubt("the cloud no longer knows its upload task; its files are being looked up");
            let attempt = Attempt::Ambiguous(intent.clone(), doubt);
            (Entry { attempt, ..entry.clone() }, Verdict::LookAgain(Duration::ZERO))
        }
        Outcome::Failed(failure) => (entry.clone(), Verdict::Failed(failure)),
        _ => (entry.clone(), Verdict::LookAgain(pause)),
    }
}

/// The new version is current; what it replaced is superseded, unless the cloud kept the very same file for both.
fn converted(
    entry: &Entry,
    intent: &Intent,
    conversion: &Conversion,
    parts: Vec<RemotePart>,
    now: Timestamp,
) -> Entry {
    let mut parts = parts.into_iter();
    let Some(lead) = parts.next() else { return entry.clone() };
    let current = Current {
        version: intent.version,
        folder: intent.folder,
        task: conversion.task,
        since: now,
        lead,
        members: parts.collect(),
    };
    let current = keep_titles(entry, current);
    let lives = |id: SourceFileId| current.parts().any(|part| part.source_file == id);
    let mut copies: Vec<_> = entry.copies.iter().filter(|copy| !lives(copy.source_file)).cloned().collect();
    if let Some(old) = &entry.current {
        copies.extend(old.copies(Role::Superseded, now).filter(|copy| !lives(copy.source_file)));
    }
    Entry { current: Some(current), attempt: Attempt::Idle, copies, aside: None, ..entry.clone() }
}

/// Whether an attempt carries members of formats that the cloud does not list.
fn has_unlisted(intent: &Intent) -> bool {
    intent.parts.iter().skip(1).any(|part| is_unlisted(&part.path))
}

/// A file that was only linked stays so, also where the cloud put a new version under its id.
fn keep_titles(entry: &Entry, mut current: Current) -> Current {
    let known = |id| entry.current.iter().flat_map(Current::parts).find(|part| part.source_file == id);
    for part in std::iter::once(&mut current.lead).chain(&mut current.members) {
        part.title = known(part.source_file).map_or(part.title, |known| known.title);
    }
    current
}

fn gave_up(entry: &Entry, intent: &Intent, end: GaveUp, now: Timestamp) -> Entry {
    // A set with members of formats that the cloud does not list is tried once more without them.
    let is_tried_without = end.how == HowItEnded::Rejected && has_unlisted(intent);
    let state = match end.how {
        HowItEnded::Error => AsideState::ConversionFailed,
        HowItEnded::Rejected => AsideState::Blocked,
    };
    let mut copies = entry.copies.clone();
    copies.extend(
        end.files
            .iter()
            .filter(|(_, id)| {
                let known = entry.copies.iter().any(|copy| copy.source_file == *id);
                let live = entry.current.iter().flat_map(Current::parts).any(|part| part.source_file == *id);
                !known && !live
            })
            .map(|file| left_over(file, intent, Role::Torn, Title::Owned, now)),
    );
    let travels = if is_tried_without { Travels::WithoutUnlisted } else { entry.travels };
    let aside = Aside { state, reason: end.what, version: Some(intent.version), since: now };
    let aside = (!is_tried_without).then_some(aside);
    Entry { attempt: Attempt::Idle, copies, aside, travels, ..entry.clone() }
}

/// Files that may stem from an attempt and were not chosen. Nobody can prove that we sent them, so they are only linked.
fn surplus<'a>(
    finding: &'a Finding,
    intent: &'a Intent,
    now: Timestamp,
) -> impl Iterator<Item = RemoteCopy> + 'a {
    finding.surplus.iter().map(move |file| left_over(file, intent, Role::Orphan, Title::Linked, now))
}

fn left_over(
    (name, source_file): &(PartName, SourceFileId),
    intent: &Intent,
    role: Role,
    title: Title,
    since: Timestamp,
) -> RemoteCopy {
    RemoteCopy {
        source_file: *source_file,
        folder: intent.folder,
        name: name.clone(),
        role,
        title,
        version: None,
        assets: Vec::new(),
        since,
    }
}

fn fresh_doubt(why: &str) -> Doubt {
    Doubt { absent_since: None, absences: 0, why: why.to_owned() }
}
