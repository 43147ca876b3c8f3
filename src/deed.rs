//! Performs an action on the cloud and says what came of it. It decides nothing and writes no entry.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;

use crate::ambient;
use crate::cloud::{self, ConversionTask, Parcel, ParcelPart, TaskStatus, UploadError, UploadTask};
use crate::desk::{Desk, Post};
use crate::disk;
use crate::file::entry::{Conversion, Doubt, RemotePart, Title};
use crate::file::{ContentHash, Intent, Part, PartName};
use crate::id::{SourceFileId, UploadTaskId};
use crate::plan::{Action, Claim, Finding, GaveUp, HowItEnded, Outcome, Proof};
use crate::verdict::{Blame, Failure};
use crate::worker::blocking;

/// Performs an upload, a look-up or a question for a task; everything else needs no deed.
pub async fn perform(desk: &Arc<Desk>, post: &Post, action: &Action) -> Outcome {
    match action {
        Action::Upload(intent) => upload(desk, post, intent).await,
        Action::LookUp(intent, doubt) => look_up(desk, intent, doubt).await,
        Action::Follow(intent, conversion) => follow(desk, intent, conversion).await,
        Action::Rest
        | Action::Forget
        | Action::Wait(_)
        | Action::StandAside(..)
        | Action::Consult
        | Action::Verify(_) => Outcome::Nothing,
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
            Proof::Download => holds(desk, *candidate, part.content.hash).await,
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

/// Whether a remote file's bytes hash to `hash`; they are hashed as they arrive and not kept.
async fn holds(desk: &Arc<Desk>, file: SourceFileId, hash: ContentHash) -> Result<bool, cloud::Error> {
    let mut bytes = desk.client.download(file).await?;
    let mut hasher = blake3::Hasher::new();
    while let Some(chunk) = bytes.next().await {
        hasher.update(&chunk?);
    }
    Ok(*hasher.finalize().as_bytes() == hash.0)
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
        _ => failure,
    }
}

/// How long an upload may take on a slow line (1 MiB/s), with the least life that a token should have left.
fn estimate(bytes: u64) -> std::time::Duration {
    std::time::Duration::from_secs((bytes >> 20).max(30))
}

/// What became of an attempt whose answer was lost: the folder's upload tasks first, then its source files.
async fn look_up(desk: &Arc<Desk>, intent: &Intent, doubt: &Doubt) -> Outcome {
    let tasks = match desk.client.upload_tasks(intent.folder, |_| false).await {
        Ok(tasks) => tasks,
        // A token that may not read tasks may still list files.
        Err(error) if matches!(error.status(), Some(403 | 404)) => Vec::new(),
        Err(error) => return Outcome::Failed(error.into_failure()),
    };
    for task in &tasks {
        match by_task(desk, intent, task).await {
            Ok(Some(finding)) => return Outcome::Found(finding),
            Ok(None) => {}
            Err(failure) => return Outcome::Failed(failure),
        }
    }
    let untold = tasks.iter().find(|task| task.conversions.is_empty() && !task.status.is_final());
    match by_files(desk, intent, None, untold).await {
        // Only when listings have had their time: until then a new file may simply not be listed yet.
        Outcome::NotThere if has_waited(desk, doubt) => under_an_old_id(desk, intent).await,
        told => told,
    }
}

fn has_waited(desk: &Desk, doubt: &Doubt) -> bool {
    doubt.absent_since.is_some_and(|since| ambient::now().since(since) >= desk.patience.ambiguous_wait)
}

/// Whether the attempt arrived as a file that was there before: a cloud may put new bytes under the old id, or keep equal bytes
/// once. Neither is documented, so a file of ours with the right size is downloaded and compared before anything is sent again.
async fn under_an_old_id(desk: &Arc<Desk>, intent: &Intent) -> Outcome {
    let [lead] = &*intent.parts else { return Outcome::NotThere };
    let listing = match desk.client.source_files(intent.folder).await {
        Ok(listing) => listing,
        Err(error) => return Outcome::Failed(error.into_failure()),
    };
    let mut of_this_size: Vec<_> =
        listing.items.iter().filter(|file| file.size == lead.content.size).collect();
    of_this_size.sort_by_key(|file| file.original_name != lead.name.as_str());
    for file in of_this_size.into_iter().take(OLD_IDS) {
        match claimed(desk, file.id).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(failure) => return Outcome::Failed(failure),
        }
        match holds(desk, file.id, lead.content.hash).await {
            Ok(true) => {
                let files = vec![(lead.name.clone(), file.id)];
                return Outcome::Found(Finding { task: None, files, surplus: Vec::new() });
            }
            Ok(false) => {}
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Outcome::Failed(error.into_failure()),
        }
    }
    Outcome::NotThere
}

/// How many files of ours are compared with an attempt that left no new one.
const OLD_IDS: usize = 4;

/// Whether a task is what the attempt became: it names the lead, with a remote file that nobody knew before.
async fn by_task(desk: &Arc<Desk>, intent: &Intent, task: &UploadTask) -> Result<Option<Finding>, Failure> {
    let mut files = Vec::new();
    for part in &intent.parts {
        let conversion = task.conversions.iter().find(|it| it.source_file_name == part.name.as_str());
        if let Some(id) = conversion.and_then(|conversion| conversion.source_file)
            && !intent.fence.contains(&id)
            && !claimed(desk, id).await?
            && has_size(desk, id, part.content.size).await?
        {
            files.push((part.name.clone(), id));
        }
    }
    let names_the_lead =
        intent.parts.first().is_some_and(|lead| files.iter().any(|(name, _)| *name == lead.name));
    Ok(names_the_lead.then_some(Finding { task: Some(task.id), files, surplus: Vec::new() }))
}

async fn by_files(
    desk: &Arc<Desk>,
    intent: &Intent,
    own: Option<UploadTaskId>,
    untold: Option<&UploadTask>,
) -> Outcome {
    let listing = match desk.client.source_files(intent.folder).await {
        Ok(listing) => listing,
        Err(error) => return Outcome::Failed(error.into_failure()),
    };
    let mut files: Vec<(PartName, SourceFileId)> = Vec::new();
    let mut surplus = Vec::new();
    let mut others: Option<HashSet<SourceFileId>> = None;
    for part in &intent.parts {
        let mut candidates = Vec::new();
        for file in &listing.items {
            if file.original_name != part.name.as_str() || intent.fence.contains(&file.id) {
                continue;
            }
            match claimed(desk, file.id).await {
                Ok(true) => {}
                Ok(false) => candidates.push(file),
                Err(failure) => return Outcome::Failed(failure),
            }
        }
        // Two bundles that send one texture to one folder at once make two files that look alike. What another task says is
        // its own is not ours, and of the rest each takes one.
        if candidates.len() > 1 {
            if others.is_none() {
                others = Some(of_other_tasks(desk, intent, own).await);
            }
            candidates.retain(|file| others.as_ref().is_none_or(|others| !others.contains(&file.id)));
        }
        let is_lead = intent.parts.first() == Some(part);
        // Of several of one size the bytes tell: another bundle may have sent another version of the same texture.
        candidates.sort_by_key(|file| file.size != part.content.size);
        let is_disputed = candidates.iter().filter(|file| file.size == part.content.size).count() > 1;
        for file in candidates {
            let is_first = files.iter().all(|(name, _)| *name != part.name);
            if is_first && is_disputed && file.size == part.content.size {
                match holds(desk, file.id, part.content.hash).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) => return Outcome::Failed(error.into_failure()),
                }
            }
            if file.size == part.content.size && is_first && desk.reserved.take(file.id, intent.id) {
                files.push((part.name.clone(), file.id));
            } else if is_lead {
                // Namesakes of a member may well be another bundle's.
                surplus.push((part.name.clone(), file.id));
            }
        }
    }
    let has_lead = intent.parts.first().is_some_and(|lead| files.iter().any(|(name, _)| *name == lead.name));
    let untold =
        untold.map(|task| format!("upload task {} does not say yet which files it brought", task.id));
    match (has_lead, untold, listing.complete) {
        (true, Some(why), _) => Outcome::FoundUntold(Finding { task: None, files, surplus }, why),
        (false, Some(why), _) => Outcome::Unclear(why),
        (true, None, _) => Outcome::Found(Finding { task: None, files, surplus }),
        (false, None, cloud::Complete::No(why)) => Outcome::Unclear(why),
        (false, None, cloud::Complete::Yes) => Outcome::NotThere,
    }
}

/// The files that the folder's other upload tasks name as theirs. Where tasks cannot be read nothing is known of them.
async fn of_other_tasks(
    desk: &Arc<Desk>,
    intent: &Intent,
    own: Option<UploadTaskId>,
) -> HashSet<SourceFileId> {
    let tasks = desk.client.upload_tasks(intent.folder, |_| false).await.unwrap_or_default();
    let others = tasks.iter().filter(|task| Some(task.id) != own);
    others.flat_map(|task| &task.conversions).filter_map(|it| it.source_file).collect()
}

async fn claimed(desk: &Arc<Desk>, id: SourceFileId) -> Result<bool, Failure> {
    let ledger = desk.ledger.clone();
    blocking(move || ledger.claimed(id)).await.map_err(|error| Failure::new(Blame::Us, error.to_string()))
}

async fn has_size(desk: &Arc<Desk>, id: SourceFileId, size: u64) -> Result<bool, Failure> {
    match desk.client.source_file(id).await {
        Ok(file) => Ok(file.size == size),
        Err(error) if error.status() == Some(404) => Ok(false),
        Err(error) => Err(error.into_failure()),
    }
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
        let part = intent.parts.iter().find(|part| part.name.as_str() == it.source_file_name);
        if let (Some(part), Some(source_file)) = (part, it.source_file)
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
        match by_files(desk, &unknown, Some(task.id), None).await {
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
        match by_files(desk, &unknown, news.task, None).await {
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
        match shared(desk, intent, &part).await {
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
            Ok(file) if file.size == part.content.size => {}
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

/// A file in the folder that holds a part's bytes, whoever brought it: those of its name first, and no more than a few.
async fn shared(
    desk: &Arc<Desk>,
    intent: &Intent,
    part: &Part,
) -> Result<Option<SourceFileId>, cloud::Error> {
    let listing = desk.client.source_files(intent.folder).await?;
    let mut of_this_size: Vec<_> =
        listing.items.iter().filter(|file| file.size == part.content.size).collect();
    of_this_size.sort_by_key(|file| file.original_name != part.name.as_str());
    for file in of_this_size.into_iter().take(OLD_IDS) {
        if holds(desk, file.id, part.content.hash).await? {
            return Ok(Some(file.id));
        }
    }
    Ok(None)
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
