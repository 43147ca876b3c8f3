//! Finds out which remote files are an attempt's: by tasks, by listings, and where these do not tell, by bytes.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;

use crate::ambient;
use crate::cloud::{self, UploadTask};
use crate::desk::Desk;
use crate::file::entry::Doubt;
use crate::file::part::called;
use crate::file::{ContentHash, Intent, Part, PartName};
use crate::id::{SourceFileId, UploadTaskId};
use crate::plan::{Finding, Outcome, UNNAMED};
use crate::verdict::Failure;
use crate::worker::blocking;

/// How many files of ours are compared with an attempt that left no new one.
const OLD_IDS: usize = 4;

/// What became of an attempt whose answer was lost: the folder's upload tasks first, then its source files.
pub(super) async fn look_up(desk: &Arc<Desk>, intent: &Intent, doubt: &Doubt) -> Outcome {
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
        Outcome::NotThere if has_waited(desk, doubt) => under_an_old_id(desk, intent, doubt).await,
        told => told,
    }
}

fn has_waited(desk: &Desk, doubt: &Doubt) -> bool {
    doubt.absent_since.is_some_and(|since| ambient::now().since(since) >= desk.patience.ambiguous_wait)
}

/// Whether the attempt arrived as a file that was there before: a cloud may put new bytes under the old id, or keep equal bytes
/// once. Neither is documented, so a file of ours with the right size is downloaded and compared before anything is sent again.
///
/// Under another name it is only believed where the cloud has certainly taken the attempt in: else an equal file beside it would
/// stand for one that never arrived.
async fn under_an_old_id(desk: &Arc<Desk>, intent: &Intent, doubt: &Doubt) -> Outcome {
    let [lead] = &*intent.parts else { return Outcome::NotThere };
    let listing = match desk.client.source_files(intent.folder).await {
        Ok(listing) => listing,
        Err(error) => return Outcome::Failed(error.into_failure()),
    };
    let is_taken = doubt.why == UNNAMED;
    let is_named = |file: &cloud::SourceFile| {
        file.original_name == lead.name.as_str() || file.name == lead.name.as_str()
    };
    let fits = |file: &&cloud::SourceFile| file.size == lead.content.size && (is_taken || is_named(file));
    let mut of_this_size: Vec<_> = listing.items.iter().filter(fits).collect();
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

/// Whether a task is what the attempt became: it names the lead, with a remote file that nobody knew before.
async fn by_task(desk: &Arc<Desk>, intent: &Intent, task: &UploadTask) -> Result<Option<Finding>, Failure> {
    let mut files = Vec::new();
    for part in &intent.parts {
        let is_it = |it: &&cloud::ConversionTask| called(&intent.parts, &it.source_file_name) == Some(part);
        let conversion = task.conversions.iter().find(is_it);
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

pub(super) async fn by_files(
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
            let is_called =
                file.original_name == part.name.as_str() || file.original_name == part.name.base();
            if !is_called || intent.fence.contains(&file.id) {
                continue;
            }
            match claimed(desk, file.id).await {
                Ok(true) => {}
                Ok(false) => candidates.push(file),
                Err(failure) => return Outcome::Failed(failure),
            }
        }
        // A cloud may cut directories off names. Where it does not, a base name is another file's.
        if candidates.iter().any(|file| file.original_name == part.name.as_str()) {
            candidates.retain(|file| file.original_name == part.name.as_str());
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
    blocking(move || ledger.claimed(id)).await.map_err(|error| Failure::new(error.blame(), error.to_string()))
}

async fn has_size(desk: &Arc<Desk>, id: SourceFileId, size: u64) -> Result<bool, Failure> {
    match desk.client.source_file(id).await {
        Ok(file) => Ok(file.size == size),
        Err(error) if error.status() == Some(404) => Ok(false),
        Err(error) => Err(error.into_failure()),
    }
}

/// Whether a remote file's bytes hash to `hash`; they are hashed as they arrive and not kept.
pub(super) async fn holds(
    desk: &Arc<Desk>,
    file: SourceFileId,
    hash: ContentHash,
) -> Result<bool, cloud::Error> {
    let mut bytes = desk.client.download(file).await?;
    let mut hasher = blake3::Hasher::new();
    while let Some(chunk) = bytes.next().await {
        hasher.update(&chunk?);
    }
    Ok(*hasher.finalize().as_bytes() == hash.0)
}

/// A file in the folder that holds a part's bytes, whoever brought it: those of its name first, and no more than a few.
pub(super) async fn shared(
    desk: &Arc<Desk>,
    intent: &Intent,
    part: &Part,
) -> Result<Option<SourceFileId>, cloud::Error> {
    let listing = desk.client.source_files(intent.folder).await?;
    let mut of_this_size: Vec<_> =
        listing.items.iter().filter(|file| file.size == part.content.size).collect();
    of_this_size.sort_by_key(|file| {
        (file.original_name != part.name.as_str(), file.original_name != part.name.base())
    });
    for file in of_this_size.into_iter().take(OLD_IDS) {
        if holds(desk, file.id, part.content.hash).await? {
            return Ok(Some(file.id));
        }
    }
    Ok(None)
}
