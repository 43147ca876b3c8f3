//! Models that look for a file by its name alone, and are called when one comes or goes.

use crate::assembly;
use crate::desk::{Desk, Post};
use crate::file::Key;
use crate::ledger;

/// Of how many it is written down at once what they refer to now: one that refers to the file keeps it from being sent by itself.
const FIRST: usize = 64;

/// Takes note of whether a file lies at the path of a bundle, and returns the bundles that look for one of its name, if that is
/// news. Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says.
pub(super) fn called(desk: &Desk, key: &Key) -> Result<Vec<Key>, ledger::Error> {
    let Some(post) = desk.posts.get(&key.mapping) else { return Ok(Vec::new()) };
    let Post { root, mapping } = &**post;
    let mut seekers = assembly::note_name(&desk.ledger, root, mapping, &key.path)?;
    seekers.retain(|lead| lead != key);
    for lead in seekers.iter().take(FIRST) {
        drop(assembly::noted(&desk.ledger, root, mapping, lead)?);
    }
    Ok(seekers)
}
