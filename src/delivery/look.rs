//! What the disk shows of one bundle now: stat first, and read only what a stat cannot vouch for.

use std::time::Duration;

use crate::agenda::{Errand, Voucher};
use crate::ambient;
use crate::desk::{Desk, Post};
use crate::disk::{self, Kind, Look};
use crate::file::content::Content;
use crate::file::sighting::{RootProof, Seen, Trust, Whole};
use crate::file::{Attempt, ContentHash, Entry, Fingerprint, Part, PartName, RelPath, Sighting};
use crate::ledger;
use crate::mapping::{Admission, UNVOUCHED};
use crate::plan::is_same_file;

/// What the disk shows of the errand's bundle.
pub(super) fn look(
    desk: &Desk,
    post: &Post,
    entry: &Entry,
    errand: &Errand,
) -> Result<Sighting, ledger::Error> {
    let path = &errand.key.path;
    if entry.attempt != Attempt::Idle {
        return Ok(Sighting::Unlooked);
    }
    match disk::admits(&post.root, &post.mapping, path) {
        Ok(Admission::Admitted) => {}
        Ok(Admission::Ignored(ignored)) => return Ok(Sighting::Excluded(ignored.rule)),
        Err(error) if error.is_gone() => return gone(desk, post, path),
        Err(error) => return Ok(cannot(error)),
    }
    let stat = match disk::stat(&post.root, path) {
        Ok(stat) => stat,
        Err(error) if error.is_gone() => return gone(desk, post, path),
        Err(error) => return Ok(cannot(error)),
    };
    match stat.kind {
        Kind::File => {}
        Kind::Link => return Ok(Sighting::Excluded("a symbolic link is not followed".to_owned())),
        Kind::Directory | Kind::Special => {
            return Ok(Sighting::Excluded("not a regular file".to_owned()));
        }
    }
    let name = match PartName::from_local(path.name()) {
        Ok(name) => name,
        Err(unfit) => return Ok(Sighting::Unfit(unfit.to_string())),
    };
    if let Some(limit) = post.mapping.filter.too_large(stat.fingerprint.size) {
        return Ok(Sighting::Unreadable(format!(
            "larger than max_file_size ({} bytes of {limit})",
            stat.fingerprint.size
        )));
    }
    if let Some(unrest) = unrest(desk, post, errand, &stat.fingerprint) {
        return Ok(unrest);
    }
    Ok(bytes(desk, post, entry, path, name, &stat.fingerprint))
}

/// A path that is not there is absent only if the root is proven to be the one we know, before and after the look.
fn gone(desk: &Desk, post: &Post, path: &RelPath) -> Result<Sighting, ledger::Error> {
    let pinned = desk.ledger.root(&post.mapping.name)?;
    let proof = (|| {
        let before = post.root.identity()?;
        let Err(error) = disk::stat(&post.root, path) else { return Ok(None) };
        if !error.is_gone() {
            return Err(error);
        }
        let after = post.root.identity()?;
        Ok(RootProof::attest(pinned.as_ref(), &before, &after))
    })();
    Ok(match proof {
        Ok(Some(proof)) => Sighting::Absent(proof),
        Ok(None) => Sighting::Unknown("the root is not the directory it was".to_owned()),
        Err(error) => Sighting::Unknown(error.to_string()),
    })
}

/// A file that cannot be looked at: it waits with the reason, or nothing is concluded at all.
fn cannot(error: disk::Error) -> Sighting {
    match error {
        disk::Error::Offline { .. } | disk::Error::Descriptors { .. } | disk::Error::Cancelled => {
            Sighting::Unknown(error.to_string())
        }
        error => Sighting::Unreadable(error.to_string()),
    }
}

/// Whether the file still has to come to rest, and for how long.
fn unrest(desk: &Desk, post: &Post, errand: &Errand, stat: &Fingerprint) -> Option<Sighting> {
    let policy = &post.mapping.policy;
    let unvouched = policy.settle * UNVOUCHED;
    let now = ambient::tick();
    let wait = match errand.voucher {
        Voucher::Closed => policy.settle.saturating_sub(now.since(errand.heard)),
        Voucher::Touched => unvouched.saturating_sub(now.since(errand.heard)),
        Voucher::Scanned => desk.restless.wait(&errand.key, stat, unvouched, now, ambient::now()),
    };
    if wait.is_zero() {
        desk.restless.forget(&errand.key);
        return None;
    }
    let overdue = now.since(errand.noted) >= policy.settle_max;
    Some(if overdue { Sighting::NeverRests(unvouched.max(wait)) } else { Sighting::Restless(wait) })
}

fn bytes(
    desk: &Desk,
    post: &Post,
    entry: &Entry,
    path: &RelPath,
    name: PartName,
    stat: &Fingerprint,
) -> Sighting {
    let whole = |seen: Seen| {
        let part = Part { name: name.clone(), path: path.clone(), content: seen.content };
        Sighting::Whole(Whole { seen, parts: vec![part] })
    };
    if stat.size == 0 {
        let content = Content { hash: ContentHash(*blake3::hash(b"").as_bytes()), size: 0 };
        return Sighting::Empty(Seen { fingerprint: *stat, content, trust: Trust::Settled });
    }
    if let Some(row) = entry.seen.filter(|row| is_same_file(row, stat)) {
        return whole(row);
    }
    match disk::read(&post.root, path, ambient::now(), &desk.cancel) {
        Ok(Look::Whole(seen)) => whole(trusted_at_last(entry, seen)),
        Ok(Look::Changed) => Sighting::Restless(post.mapping.policy.settle),
        Err(error) if error.is_gone() => Sighting::Restless(Duration::ZERO),
        Err(error) => cannot(error),
    }
}

/// A row that was racy and reads the same once more is trusted: a stamp from the future would make it racy for ever.
fn trusted_at_last(entry: &Entry, seen: Seen) -> Seen {
    let is_confirmed = entry.seen.is_some_and(|row| {
        row.trust == Trust::Racy && row.fingerprint == seen.fingerprint && row.content == seen.content
    });
    if is_confirmed { Seen { trust: Trust::Settled, ..seen } } else { seen }
}

/// How long after reading a racy file it is read once more: longer than the coarsest time stamps stand.
const ONCE_MORE: Duration = Duration::from_millis(2_100);

/// The pause after which a bundle at rest is read once more before its row is trusted.
pub(super) fn read_once_more(entry: &Entry) -> Option<Duration> {
    let is_racy = entry.seen.is_some_and(|seen| seen.trust == Trust::Racy);
    (is_racy && entry.attempt == Attempt::Idle).then_some(ONCE_MORE)
}
