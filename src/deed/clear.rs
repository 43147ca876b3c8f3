//! Archives or deletes remote files, with their assets or without. Everything here may be repeated: what is deleted already is not
//! there any more. Which files, and whether they may be taken at all, was decided before.

use std::sync::Arc;

use super::unused;
use crate::cloud::{self, TheirAssets};
use crate::desk::{Desk, Post};
use crate::file::RelPath;
use crate::id::SourceFileId;
use crate::mapping::{ARCHIVE, Fate};
use crate::plan::{Clearance, Cleared, Outcome, Remote};

/// Has the remote files of a clearance go.
pub(super) async fn clear(desk: &Arc<Desk>, post: &Post, clearance: &Clearance) -> Outcome {
    match clearance.fate {
        Fate::Keep => Outcome::NotCleared("the policy keeps it".to_owned()),
        Fate::Archive => archive(desk, post, &clearance.files).await,
        Fate::Delete => delete(desk, &clearance.files, Cleared::default()).await,
        // The files go last: as long as they are there the cloud tells what was made of them.
        Fate::DeleteWithAssets => match unused::delete(desk, clearance).await {
            Ok(done) => delete(desk, &clearance.files, done).await,
            Err(outcome) => outcome,
        },
    }
}

async fn archive(desk: &Arc<Desk>, post: &Post, files: &[SourceFileId]) -> Outcome {
    let Ok(dir) = RelPath::from_bytes(ARCHIVE.as_bytes()) else {
        return Outcome::NotCleared("there is no archive".to_owned());
    };
    let archive = match desk.shelf.consult(&post.mapping, &dir, &[]).await {
        Ok(Remote::Folder(archive, _)) => archive,
        Ok(Remote::Unasked) => return Outcome::NotCleared("there is no archive".to_owned()),
        Err(failure) => return Outcome::Failed(failure),
    };
    match desk.client.move_source_files(archive, files).await {
        Ok(()) => Outcome::Cleared(Cleared { archive: Some(archive), ..Cleared::default() }),
        Err(error) => not_cleared(error, 0),
    }
}

async fn delete(desk: &Arc<Desk>, files: &[SourceFileId], done: Cleared) -> Outcome {
    match desk.client.delete_source_files(files, TheirAssets::Keep).await {
        Ok(()) => Outcome::Cleared(done),
        Err(error) if error.status() == Some(404) => one_by_one(desk, files, done).await,
        Err(error) => not_cleared(error, done.assets),
    }
}

/// One of several files is not there any more: the others may be.
async fn one_by_one(desk: &Arc<Desk>, files: &[SourceFileId], done: Cleared) -> Outcome {
    for file in files {
        match desk.client.delete_source_files(&[*file], TheirAssets::Keep).await {
            Ok(()) => {}
            Err(error) if error.status() == Some(404) => {}
            // At least one was gone before.
            Err(error) => return not_cleared(error, 1),
        }
    }
    Outcome::Cleared(done)
}

/// What the cloud refuses after so many were taken is told to a person; everything else is tried again.
pub(super) fn not_cleared(error: cloud::Error, taken: usize) -> Outcome {
    match (error.status(), taken) {
        (Some(400 | 403 | 404 | 405 | 409 | 422), 0) => Outcome::NotCleared(error.into_failure().what),
        (Some(400 | 403 | 404 | 405 | 409 | 422), _) => Outcome::PartlyCleared(error.into_failure().what),
        (Some(_) | None, _) => Outcome::Failed(error.into_failure()),
    }
}
