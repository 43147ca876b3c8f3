//! Performs an action on the cloud and says what came of it. It decides nothing and writes no entry.

mod clear;
mod search;
mod unused;

use std::sync::Arc;

use crate::ambient;
use crate::cloud::{self, ConversionTask, Parcel, ParcelPart, TaskStatus, UploadError, UploadTask};
use crate::desk::{Desk, Post};
use crate::disk;
use crate::file::entry::{Conversion, RemotePart, Title};
use crate::file::part::called;
use crate::file::{Intent, Part, PartName};
use crate::id::SourceFileId;
use crate::plan::{Action, Claim, GaveUp, HowItEnded, Outcome, Proof, Relocation, Restoration};
use crate::verdict::{Blame, Failure};
use crate::worker::blocking;

/// Performs an upload, a look-up or a question for a task; everything else needs no deed.
pub async fn perform(desk: &Arc<Desk>, post: &Post, action: &Action) -> Outcome {
    match action {
        Action::Upload(intent) => upload(desk, post, intent).await,
        Action::LookUp(intent, doubt) => search::look_up(desk, intent, doubt).await,
        Action::Follow(intent, conversion) => follow(desk, intent, conversion).await,
        Action::Rest
        | Action::Forget
        | Action::Wait(_)
        | Action::StandAside(..)
        | Action::Consult
        | Action::Verify(_) => Outcome::Nothing,
        Action::Relocate(relocation) => relocate(desk, relocation).await,
        Action::Restore(it) => restore(desk, it).await,
        Action::Clear(clearance) => clear::clear(desk, post, clearance).await,
    }
}

/// Has remote files follow their local ones to another name or folder. Both requests may be repeated.
async fn relocate(desk: &Arc<Desk>, relocation: &Relocation) -> Outcome {
    let (Some(old), Some(new)) = (&relocation.from.entry.current, &relocation.entry.current) else {
        return Outcome::NotRelocated("no version of it lives in the cloud".to_owned());
    };
    if let Some(folder) = relocation.into {
        if let Err(error) = desk.client.move_source_files(folder, &relocation.files()).await {
            return not_relocated(error);
        }
        desk.shelf.changed(folder).await;
    }
    if old.lead.part.name != new.lead.part.name
        && let Err(error) = desk.client.rename_source_file(new.lead.source_file, &new.lead.part.name).await
    {
        return not_relocated(error);
    }
    desk.shelf.changed(old.folder).await;
    // A file that somebody removed can only be sent.
    match desk.client.source_file(new.lead.source_file).await {
        Ok(file) if file.size == new.lead.part.content.size => Outcome::Relocated,
        Ok(_) => Outcome::NotRelocated("the cloud holds another number of bytes".to_owned()),
        Err(error) => not_relocated(error),
    }
}

/// Has the files of an earlier version lie where the current one's do. Safe to repeat.
async fn restore(desk: &Arc<Desk>, it: &Restoration) -> Outcome {
    let Some(current) = &it.entry.current else {
        return Outcome::NotRelocated("there is no earlier version".to_owned());
    };
    // Somebody may have deleted them, or put others in their place.
    for part in current.parts() {
        match desk.client.source_file(part.source_file).await {
            Ok(file) if file.size == part.part.content.size => {}
            Ok(_) => return Outcome::NotRelocated("the cloud holds another number of bytes".to_owned()),
            Err(error) => return not_relocated(error),
        }
        // A version is worth nothing without what was made of it.
        match desk.client.assets_of(part.source_file).await {
            Ok(found) if part.assets.iter().all(|known| found.iter().any(|it| it.id == known.id)) => {}
            Ok(_) => return Outcome::NotRelocated("some of its assets are gone".to_owned()),
            Err(error) => return not_relocated(error),
        }
    }
    if let Some(folder) = it.into {
        let files: Vec<_> = current.parts().map(|part| part.source_file).collect();
        if let Err(error) = desk.client.move_source_files(folder, &files).await {
            return not_relocated(error);
        }
        desk.shelf.changed(folder).await;
    }
    Outcome::Relocated
}

/// What the cloud refuses is sent anew instead; everything else is tried again.
fn not_relocated(error: cloud::Error) -> Outcome {
    match error.status() {
        Some(400 | 403 | 404 | 405 | 409 | 422) => Outcome::NotRelocated(error.into_failure().what),
        Some(_) | None => Outcome::Failed(error.into_failure()),
    }
}

/// Looks for a remote file that already holds a bundle's bytes.
pub async fn verify(desk: &Arc<Desk>, claim: &Claim) -> Outcome {
    let mut verified = Vec::new();
    for (part, candidates) in &claim.parts {
        match verify_part(desk, part, candidates, claim.proof).await {
            Ok(Some(part)) => verified.push(part),
            Ok(None) => return Outcome::NoneVerified,
            Err(error) => return Outcome::Failed(error.into_failure()),
        }
    }
    Outcome::Verified(verified)
}

async fn verify_part(
    desk: &Arc<Desk>,
    part: &Part,
    candidates: &[SourceFileId],
    proof: Proof,
) -> Result<Option<RemotePart>, cloud::Error> {
    for candidate in candidates {
        let is_equal = match proof {
            Proof::NameAndSize => Ok(true),
            Proof::Download => search::holds(desk, *candidate, part.content.hash).await,
        };
        match is_equal {
            Ok(true) => return remote_part(desk, part, *candidate, Title::Linked).await.map(Some),
            Ok(false) => {}
            // It was listed and is gone: no candidate any more.
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn upload(desk: &Arc<Desk>, post: &Post, intent: &Intent) -> Outcome {
    // On the wire the lead goes last: when it is there, everything is.
    let mut parts = intent.parts.clone();
    let members = parts.len().min(1);
    parts.rotate_left(members);
    let bytes = parts.iter().map(|part| part.content.size).sum::<u64>();
    if let Err(error) = desk.client.tokens().renew_if_shorter_than(estimate(bytes)).await {
        return Outcome::NotTaken(error.into_failure());
    }
    let meter = desk.meter.clone();
    let taken: disk::Taken = Arc::new(move |bytes| meter.sent(bytes));
    let (root, wire) = (post.root.clone(), parts);
    let opened = blocking(move || disk::outgoing(&root, &wire, taken)).await;
    let (streams, confirmation) = match opened {
        Ok(outgoing) => outgoing.into_streams(),
        Err(disk::Error::Gone { .. } | disk::Error::Changed { .. }) => return Outcome::Changed,
        Err(error) => return Outcome::NotTaken(Failure::new(error.blame(), error.to_string())),
    };
    let parcel = Parcel {
        parts: streams
            .into_iter()
            .map(|part| ParcelPart { name: part.name, length: part.length, body: desk.pace.keep(part.bytes) })
            .collect(),
    };
    let underway = desk.meter.uploading();
    let answer = desk.client.upload(intent.folder, parcel).await;
    drop(underway);
    match (answer, confirmation.outcome()) {
        (Ok(receipt), _) => {
            desk.meter.uploaded();
            receipt.task.map_or(Outcome::TakenUnnamed, Outcome::Taken)
        }
        // The last chunk never left, so the server holds no whole request, whatever else went wrong.
        (Err(_), disk::Sent::Changed(_)) => Outcome::Changed,
        (Err(_), disk::Sent::Unreadable(error)) => {
            Outcome::NotTaken(Failure::new(error.blame(), error.to_string()))
        }
        (Err(UploadError::NotTaken(error)), disk::Sent::Whole | disk::Sent::Partial { .. }) => {
            Outcome::NotTaken(refusal(desk, post, intent, error).await)
        }
        (Err(UploadError::Unknown(error)), disk::Sent::Whole | disk::Sent::Partial { .. }) => {
            Outcome::Unanswered(error.into_failure())
        }
    }
}

/// Whose fault a refused upload is: a folder that we made a moment ago may not be known everywhere yet.
async fn refusal(desk: &Arc<Desk>, post: &Post, intent: &Intent, error: cloud::Error) -> Failure {
    let status = error.status();
    let failure = error.into_failure();
    match (status, intent.parts.first()) {
        (Some(403 | 404), Some(lead)) => {
            let dir = post.mapping.shelf_of(&lead.path);
            if desk.shelf.is_young(&post.mapping.name, &dir).await {
                // It concerns nobody else, and passes by itself.
                return Failure::new(Blame::Cloud, failure.what);
            }
            failure
        }
        // What it refuses may be the slashes; nothing in its answer tells so for certain.
        (Some(400 | 422), _) if intent.parts.iter().any(|part| part.name.is_path()) => Failure {
            what: format!(
                "{}; it was sent with `part_names = \"path\"`, and the cloud may take no directories in names: if so, rename \
                 members of one name and set `part_names = \"base\"`",
                failure.what
            ),
            ..failure
        },
        _ => failure,
    }
}

/// How long an upload may take on a slow line (1 MiB/s), with the least life that a token should have left.
fn estimate(bytes: u64) -> std::time::Duration {
    std::time::Duration::from_secs((bytes >> 20).max(30))
}

/// How far the conversion is; when it has ended, everything that came of it.
async fn follow(desk: &Arc<Desk>, intent: &Intent, conversion: &Conversion) -> Outcome {
    let Some(id) = conversion.task else {
        return gather(desk, intent, conversion).await;
    };
    let task = match desk.board.task(intent.folder, id).await {
        Ok(Some(task)) => task,
        // What the cloud has just made may not be known everywhere yet.
        Ok(None) if is_young(desk, intent) => {
            return Outcome::Underway(Conversion {
                progress: "taken in, waiting for its task to be readable".to_owned(),
                ..conversion.clone()
            });
        }
        Ok(None) => return Outcome::TaskGone,
        // A token that may not read tasks: the files are the only witness.
        Err(error) if error.status() == Some(403) => return Outcome::TaskGone,
        Err(error) => return Outcome::Failed(error.into_failure()),
    };
    let mut files = conversion.files.clone();
    // A cloud that keeps equal bytes once answers with the file that it has, under the name that it has.
    if let ([part], [it]) = (&*intent.parts, &*task.conversions)
        && let (true, Some(source_file)) = (files.is_empty(), it.source_file)
    {
        files.push((part.name.clone(), source_file));
    }
    for it in &task.conversions {
        if let (Some(part), Some(source_file)) = (called(&intent.parts, &it.source_file_name), it.source_file)
            && files.iter().all(|(name, _)| *name != part.name)
        {
            files.push((part.name.clone(), source_file));
        }
    }
    let news = Conversion { task: Some(id), files, progress: progress(&task), since: conversion.since };
    let failed = task.conversions.iter().find(|it| it.status == TaskStatus::Error);
    match (&task.status, failed) {
        (TaskStatus::Rejected, _) => gave_up(desk, intent, HowItEnded::Rejected, &task, None, news).await,
        (TaskStatus::Error, failed) => gave_up(desk, intent, HowItEnded::Error, &task, failed, news).await,
        (TaskStatus::Success, Some(failed)) => {
            gave_up(desk, intent, HowItEnded::Error, &task, Some(failed), news).await
        }
        (TaskStatus::Success, None) => gather(desk, intent, &news).await,
        (
            TaskStatus::Waiting
            | TaskStatus::Downloading
            | TaskStatus::Pending
            | TaskStatus::Converting
            | TaskStatus::Unknown(_),
            _,
        ) => Outcome::Underway(news),
    }
}

/// Whether the attempt is so young that the cloud's "no such task" may mean "not yet".
fn is_young(desk: &Desk, intent: &Intent) -> bool {
    ambient::now().since(intent.at) < desk.patience.grace
}

/// The cloud's words for how far a task is; a change in any of them is progress.
fn progress(task: &UploadTask) -> String {
    let done = task.conversions.iter().filter(|it| it.status.is_final()).count();
    let share = task.progress.map_or_else(String::new, |share| format!(", progress {share}"));
    format!(
        "{}{share}, {done} of {} conversions done",
        crate::file::shown(task.status.word()),
        task.conversions.len()
    )
}

async fn gave_up(
    desk: &Arc<Desk>,
    intent: &Intent,
    how: HowItEnded,
    task: &UploadTask,
    failed: Option<&ConversionTask>,
    news: Conversion,
) -> Outcome {
    // What is left of it in the folder is ours to know, and must not be taken for the next try's.
    let mut files = news.files;
    let unknown = without(intent, &files);
    if !unknown.parts.is_empty() {
        match search::by_files(desk, &unknown, Some(task.id), None).await {
            Outcome::Found(finding) => files.extend(finding.files),
            Outcome::Failed(failure) => return Outcome::Failed(failure),
            _ => {}
        }
    }
    desk.shelf.changed(intent.folder).await;
    let of = failed.map_or_else(String::new, |failed| {
        format!(" of {} ({:?} pipeline)", crate::file::shown(&failed.source_file_name), failed.pipeline)
    });
    let what = match how {
        HowItEnded::Error => format!(
            "conversion{of} failed in upload task {}; the cloud gives no reason: open the file in its tool, export it anew, or `versync retry`",
            task.id
        ),
        HowItEnded::Rejected => format!(
            "upload task {} was rejected; the cloud gives no reason: check that the format is supported and the file is not damaged",
            task.id
        ),
    };
    Outcome::GaveUp(GaveUp { how, what, files })
}

/// Everything was converted: the remote file of each part, proven by its size, and what came of it.
async fn gather(desk: &Arc<Desk>, intent: &Intent, news: &Conversion) -> Outcome {
    let mut files = news.files.clone();
    let unknown = without(intent, &files);
    if !unknown.parts.is_empty() {
        match search::by_files(desk, &unknown, news.task, None).await {
            Outcome::Found(finding) | Outcome::FoundUntold(finding, _) => files.extend(finding.files),
            Outcome::Failed(failure) => return Outcome::Failed(failure),
            // Listings lag: a file that was taken in shows up sooner or later.
            _ if ambient::now().since(intent.at) < desk.patience.ambiguous_wait => {
                return waits_for("its files to be listed", files, news);
            }
            _ => {}
        }
    }
    // A cloud that keeps equal bytes once leaves no file of its own for a member that another bundle brought.
    for part in without(intent, &files).parts {
        if ambient::now().since(intent.at) < desk.patience.ambiguous_wait {
            return waits_for("its files to be listed", files, news);
        }
        match search::shared(desk, intent, &part).await {
            Ok(Some(id)) => files.push((part.name, id)),
            Ok(None) => return waits_for("its files to be listed", files, news),
            Err(error) => return Outcome::Failed(error.into_failure()),
        }
    }
    let mut parts = Vec::new();
    for part in &intent.parts {
        let Some((_, id)) = files.iter().find(|(name, _)| *name == part.name) else {
            return waits_for("its files to be listed", files, news);
        };
        match desk.client.source_file(*id).await {
            Ok(file) if file.size == part.content.size => {
                if let Some(what) = merged(intent, part, &file.original_name) {
                    return Outcome::GaveUp(GaveUp { how: HowItEnded::Rejected, what, files });
                }
            }
            Ok(file) => {
                let what = format!(
                    "the cloud holds {} bytes of {} and {} were sent; `versync retry` sends it again",
                    file.size, part.name, part.content.size
                );
                return Outcome::GaveUp(GaveUp { how: HowItEnded::Rejected, what, files });
            }
            // What the cloud has just made may not be readable everywhere yet.
            Err(error) if matches!(error.status(), Some(403 | 404)) => {
                return waits_for("its files to be readable", files, news);
            }
            Err(error) => return Outcome::Failed(error.into_failure()),
        }
        match remote_part(desk, part, *id, Title::Owned).await {
            // Where no task can be read, assets are the only sign that the conversion is over.
            Ok(part) if news.task.is_none() && parts.is_empty() && part.assets.is_empty() => {
                return waits_for("its first asset", files, news);
            }
            Ok(part) => parts.push(part),
            Err(error) if matches!(error.status(), Some(403 | 404)) => {
                return waits_for("its assets to be readable", files, news);
            }
            Err(error) => return Outcome::Failed(error.into_failure()),
        }
    }
    Outcome::Converted(parts)
}

/// What is wrong with a bundle whose members are one to the cloud, because it cut the directories off their names.
fn merged(intent: &Intent, part: &Part, told: &str) -> Option<String> {
    if part.name.as_str() == told || part.name.base() != told {
        return None;
    }
    let other = intent.parts.iter().find(|other| other.name != part.name && other.name.base() == told)?;
    Some(format!(
        "two members of one name: the cloud cuts directories off names, so {} and {} are both called {told} there; rename one",
        part.path, other.path
    ))
}

/// The intent with those parts only whose remote files are not known.
fn without(intent: &Intent, files: &[(PartName, SourceFileId)]) -> Intent {
    let is_unknown = |part: &&Part| files.iter().all(|(name, _)| *name != part.name);
    Intent { parts: intent.parts.iter().filter(is_unknown).cloned().collect(), ..intent.clone() }
}

fn waits_for(what: &str, files: Vec<(PartName, SourceFileId)>, news: &Conversion) -> Outcome {
    Outcome::Underway(Conversion {
        files,
        progress: format!("converted, waiting for {what}"),
        ..news.clone()
    })
}

async fn remote_part(
    desk: &Arc<Desk>,
    part: &Part,
    source_file: SourceFileId,
    title: Title,
) -> Result<RemotePart, cloud::Error> {
    let assets = desk.client.assets_of(source_file).await?;
    Ok(RemotePart { part: part.clone(), source_file, title, assets })
}
