//! A hold on a bundle's remote files, for a step that renames, moves or removes them: the step of another bundle may be about to
//! do the same, since a file that moved takes over what its old path had.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::OwnedRwLockReadGuard;

use crate::desk::{Claim, Desk};
use crate::file::{Entry, Key};
use crate::id::SourceFileId;
use crate::ledger;
use crate::plan;
use crate::worker::blocking;

/// Nobody else renames, moves or removes the bundle's remote files, nor renames a directory, until it is dropped.
pub(super) struct Hold {
    _claim: Claim,
    _no_renaming: OwnedRwLockReadGuard<BTreeSet<(Key, Key)>>,
}

/// Takes hold of the remote files of `key`; none if somebody else has, or if the ledger believes something else of it than
/// `expected` by now: whatever was decided was decided of that.
///
/// # Errors
/// What the ledger says.
pub(super) async fn take(
    desk: &Arc<Desk>,
    key: &Key,
    expected: &Entry,
) -> Result<Option<Hold>, ledger::Error> {
    let no_renaming = Arc::clone(&desk.departures.renaming).read_owned().await;
    let Some(claim) = desk.departures.claim(key) else { return Ok(None) };
    let (ledger, key) = (desk.ledger.clone(), key.clone());
    let found = blocking(move || ledger.entry(&key)).await?;
    Ok((found == *expected).then_some(Hold { _claim: claim, _no_renaming: no_renaming }))
}

/// Whether one of the remote files that are to be taken note of is about to be taken away.
///
/// # Errors
/// What the ledger says.
pub(super) async fn is_doomed(desk: &Arc<Desk>, claim: &plan::Claim) -> Result<bool, ledger::Error> {
    let files: Vec<SourceFileId> = claim.parts.iter().flat_map(|(_, files)| files).copied().collect();
    let ledger = desk.ledger.clone();
    blocking(move || {
        for file in files {
            if ledger.is_doomed(file)? {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
}
