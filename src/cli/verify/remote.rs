//! What the folders of a mapping hold in the cloud, as far as the comparison needs it.

use std::collections::HashMap;

use crate::cli::failure::Failure;
use crate::cloud::Client;
use crate::id::{FolderId, SourceFileId};

/// A file in the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct There {
    /// Its path below the folder that was asked for; its name alone, if it was asked for by itself.
    pub(super) path: String,
    /// Its length in bytes.
    pub(super) size: u64,
}

/// Everything in and below a folder.
pub(super) async fn below(client: &Client, top: FolderId) -> Result<HashMap<SourceFileId, There>, Failure> {
    let mut files = HashMap::new();
    let mut waiting = vec![(top, String::new())];
    while let Some((folder, at)) = waiting.pop() {
        let listing = client.source_files(folder).await.map_err(|error| error.into_failure())?;
        for file in listing.items {
            files.insert(file.id, There { path: format!("{at}{}", file.name), size: file.size });
        }
        for child in client.subfolders(folder).await.map_err(|error| error.into_failure())? {
            waiting.push((child.id, format!("{at}{}/", child.name)));
        }
    }
    Ok(files)
}

/// One file by its id; none if there is none (any more).
pub(super) async fn one(client: &Client, file: SourceFileId) -> Result<Option<There>, Failure> {
    match client.source_file(file).await {
        Ok(file) => Ok(Some(There { path: file.name, size: file.size })),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into_failure().into()),
    }
}
