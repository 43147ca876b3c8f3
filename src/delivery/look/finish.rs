//! A file at rest that may not be finished: somebody holds it open for writing, or its format says that its end is missing.
//!
//! That lengthens settling, by `settle_max` at most from its last change, and never prevents sending: programs leave files open, and
//! some files are damaged for good. Asked only of a file that would be read and sent now.

use std::time::Duration;

use super::Rested;
use crate::ambient;
use crate::container::{Container, Ends};
use crate::desk::{Desk, Post};
use crate::disk;
use crate::file::sighting::Seen;
use crate::file::{Fingerprint, RelPath, Sighting};
use crate::mapping::UNVOUCHED;
use crate::plan::is_same_file;

/// Nothing if the file looks finished; what is unfinished about it if it was waited for long enough; else the file settles on.
pub(super) fn unfinished(
    desk: &Desk,
    post: &Post,
    row: Option<&Seen>,
    path: &RelPath,
    stat: &Fingerprint,
    rested: Rested,
) -> Result<Option<String>, Box<Sighting>> {
    if stat.size == 0 || row.is_some_and(|row| is_same_file(row, stat)) {
        return Ok(None);
    }
    let Some(why) = doubt(desk, post, path, stat, rested) else { return Ok(None) };
    let policy = &post.mapping.policy;
    let left = policy.settle_max.saturating_sub(rested.lasting);
    if left.is_zero() {
        return Ok(Some(why));
    }
    // Closing it is an event where there are events; elsewhere it has to be looked for.
    let again =
        (policy.settle * UNVOUCHED).clamp(Duration::from_millis(50), left.max(Duration::from_millis(50)));
    Err(Box::new(Sighting::Unfinished(why, again)))
}

/// How long ago a file must have changed last for nobody to be just about to write it.
const WATCHFUL: Duration = Duration::from_secs(60);

/// Whether somebody began to write the file while it was read, so that half of the next save was taken for the whole of the last.
///
/// If nobody holds it after it was read and it still shows the same stat, then whoever wrote it was done with these very bytes.
pub(super) fn reopened(
    desk: &Desk,
    post: &Post,
    row: Option<&Seen>,
    path: &RelPath,
    seen: &Seen,
    rested: Rested,
) -> Option<Sighting> {
    let policy = &post.mapping.policy;
    if row == Some(seen) || seen.content.size == 0 || rested.lasting >= WATCHFUL.min(policy.settle_max) {
        return None;
    }
    let is_held = desk.writers.hold(&seen.fingerprint, ambient::tick(), ambient::tick);
    let is_same = disk::stat(&post.root, path).is_ok_and(|stat| stat.fingerprint == seen.fingerprint);
    (is_held || !is_same).then_some(Sighting::Restless(policy.settle))
}

fn doubt(desk: &Desk, post: &Post, path: &RelPath, stat: &Fingerprint, rested: Rested) -> Option<String> {
    if desk.writers.hold(stat, rested.heard, ambient::tick) {
        return Some(format!("another program holds {path} open for writing"));
    }
    let container = Container::of(path)?;
    let (head, tail) = container.reach();
    // Whatever keeps us from reading is told by whoever reads it whole.
    let (size, head, tail) = disk::ends(&post.root, path, head, tail).ok()?;
    let why = container.unfinished(&Ends { size, head: &head, tail: &tail })?;
    Some(format!("{path} looks unfinished: {why}"))
}
