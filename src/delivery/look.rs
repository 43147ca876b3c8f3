//! What the disk shows of one bundle now: stat first, and read only what a stat cannot vouch for.

mod finish;
mod members;

use std::time::Duration;

use super::series::{Led, Place};
use crate::agenda::{Errand, Voucher};
use crate::ambient;
use crate::assembly::Assembly;
use crate::desk::{Desk, Post};
use crate::disk::{self, Kind, Look};
use crate::file::content::Content;
use crate::file::part::version_of;
use crate::file::sighting::{RootProof, Seen, Trust, Whole};
use crate::file::{Attempt, ContentHash, Entry, Fingerprint, Part, PartName, RelPath, Sighting};
use crate::ledger;
use crate::mapping::format::is_dependent;
use crate::mapping::{Admission, UNVOUCHED};
use crate::plan::is_same_file;
use crate::timestamp::Tick;

/// What the disk shows of the errand's bundle.
pub(super) fn look(
    desk: &Desk,
    post: &Post,
    entry: &Entry,
    errand: &Errand,
    place: Place,
) -> Result<Sighting, ledger::Error> {
    let path = &errand.key.path;
    if entry.attempt != Attempt::Idle {
        return Ok(Sighting::Unlooked);
    }
    if let Some(unknown) = another_root(desk, post)? {
        return Ok(unknown);
    }
    match disk::admits(&post.root, &post.mapping, path) {
        Ok(Admission::Admitted) => {}
        Ok(Admission::Ignored(ignored)) => return Ok(Sighting::Excluded(ignored.rule)),
        Err(error) if error.is_gone() => return gone(desk, post, path),
        Err(error) => return Ok(out_of_reach(entry, error)),
    }
    let stat = match disk::stat(&post.root, path) {
        Ok(stat) => stat,
        Err(error) if error.is_gone() => return gone(desk, post, path),
        Err(error) => return Ok(out_of_reach(entry, error)),
    };
    match stat.kind {
        Kind::File => {}
        Kind::Link => return Ok(Sighting::Excluded("a symbolic link is not followed".to_owned())),
        Kind::Directory | Kind::Special => {
            return Ok(Sighting::Excluded("not a regular file".to_owned()));
        }
    }
    if let Place::Carried(lead) = &place {
        return Ok(Sighting::Excluded(format!("it is a slice of the series that {lead} leads")));
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
    if let Some(unrest) = unrest(desk, post, entry, errand, &stat.fingerprint) {
        return Ok(unrest);
    }
    let rested = Rested::lead(errand, &stat.fingerprint);
    let doubt = match finish::unfinished(desk, post, entry.seen.as_ref(), path, &stat.fingerprint, rested) {
        Ok(doubt) => doubt,
        Err(sighting) => return Ok(*sighting),
    };
    let lead = match bytes(desk, post, entry.seen, path, &stat.fingerprint) {
        Ok(seen) => seen,
        Err(sighting) => return Ok(*sighting),
    };
    if let Some(unrest) = finish::reopened(desk, post, entry.seen.as_ref(), path, &lead, rested) {
        return Ok(unrest);
    }
    if lead.content.size == 0 {
        return Ok(Sighting::Empty(lead));
    }
    let part = Part { name, path: path.clone(), content: lead.content };
    let (parts, doubts) = (vec![part], Vec::from_iter(doubt));
    let mut whole = Whole { seen: lead, parts, members: Vec::new(), missing: Vec::new(), doubts };
    let sighting = match place {
        Place::Leads(led) => series(desk, post, entry, errand, whole, led)?,
        Place::Alone(why) => {
            whole.doubts.push(format!("{path} is sent by itself, and not as a slice of a series: {why}"));
            Sighting::Whole(whole)
        }
        Place::Unread(error) => cannot(error),
        Place::Outside | Place::Carried(_) if Assembly::may_refer(path) => {
            members::join(desk, post, entry, errand, whole)?
        }
        Place::Outside | Place::Carried(_) => Sighting::Whole(whole),
    };
    Ok(returned(entry, sighting))
}

/// The bundle of a slice that leads its series, once nothing of the series has changed for a while.
fn series(
    desk: &Desk,
    post: &Post,
    entry: &Entry,
    errand: &Errand,
    mut whole: Whole,
    led: Led,
) -> Result<Sighting, ledger::Error> {
    let Led { bundle, touched, gone: away, left } = led;
    if entry.is_unsent() {
        // So that those are known who have to look for another lead, should this one come to lead another series.
        desk.ledger.put_references(&errand.key, &bundle.watched())?;
    }
    let wait = super::series::unrest(post, &errand.key.path.parent(), touched, &away);
    if !wait.is_zero() {
        let is_overdue = ambient::tick().since(errand.noted) >= post.mapping.policy.settle_max;
        return Ok(if is_overdue { Sighting::NeverRests(wait) } else { Sighting::Restless(wait) });
    }
    // What a filter excludes is there all the same.
    if let Some(path) = away.iter().find(|path| disk::stat(&post.root, path).is_err()) {
        match gone(desk, post, path)? {
            Sighting::Absent(_) => {}
            unproven => return Ok(unproven),
        }
    }
    // What the version in the cloud holds is kept in mind until another one is there: else nobody would know after a restart
    // that it has to be sent anew.
    let lives = |path: &&RelPath| {
        entry.current.iter().flat_map(|it| &it.members).any(|member| member.part.path == **path)
    };
    let mut watched = bundle.watched();
    watched.extend(away.iter().chain(&left).filter(lives).map(|path| (path.clone(), String::new())));
    desk.ledger.put_references(&errand.key, &watched)?;
    let odd = bundle.warnings.iter().map(|(path, why)| format!("{path}: {why}"));
    whole.doubts.extend(odd);
    members::carry(desk, post, entry, errand, whole, &bundle)
}

/// What is read of a file that travels with others; none if it does not rest, or is nothing that travels.
pub(super) fn read_member(desk: &Desk, post: &Post, errand: &Errand) -> Result<Option<Seen>, ledger::Error> {
    members::read(desk, post, errand)
}

/// What lies below another root than the one we know is neither a new version of a file nor proof of anything.
fn another_root(desk: &Desk, post: &Post) -> Result<Option<Sighting>, ledger::Error> {
    let Some(pinned) = desk.ledger.root(&post.mapping.name)? else { return Ok(None) };
    Ok(match post.root.identity() {
        Ok(found) if pinned.is_same_root(&found) => None,
        Ok(_) => Some(Sighting::Unknown("the root is not the directory it was".to_owned())),
        Err(error) => Some(cannot(error)),
    })
}

/// How long a file has stood still, and when it was last heard of.
#[derive(Debug, Clone, Copy)]
struct Rested {
    lasting: Duration,
    heard: Tick,
}

impl Rested {
    /// Where an event told of the last change that is when it was, whatever the clock says; else the stamps have to do.
    fn lead(errand: &Errand, stat: &Fingerprint) -> Self {
        match errand.voucher {
            Voucher::Closed | Voucher::Touched => {
                Self { lasting: ambient::tick().since(errand.heard), heard: errand.heard }
            }
            Voucher::Scanned => Self::member(errand, stat),
        }
    }

    /// Of a member, no event is kept. A stamp from the future says nothing.
    fn member(errand: &Errand, stat: &Fingerprint) -> Self {
        let (now, touched) = (ambient::now(), stat.last_touched());
        let since_noted = ambient::tick().since(errand.noted);
        let lasting = if touched > now { since_noted } else { now.since(touched) };
        Self { lasting, heard: errand.heard }
    }
}

/// A path that is not there is absent only if the root is proven to be the one we know, before and after the look, and was
/// not emptied as a whole.
pub(super) fn gone(desk: &Desk, post: &Post, path: &RelPath) -> Result<Sighting, ledger::Error> {
    let pinned = desk.ledger.root(&post.mapping.name)?;
    let expects_files = desk.ledger.expects_files(&post.mapping.name)?;
    let proof = (|| {
        let before = post.root.identity()?;
        let Err(error) = disk::stat(&post.root, path) else { return Ok(None) };
        if !error.is_gone() {
            return Err(error);
        }
        if expects_files && disk::is_bare(&post.root, &post.mapping)? {
            return Ok(None);
        }
        let after = post.root.identity()?;
        Ok(RootProof::attest(pinned.as_ref(), &before, &after))
    })();
    Ok(match proof {
        Ok(Some(proof)) => Sighting::Absent(proof),
        Ok(None) => Sighting::Unknown("the root is not what it was".to_owned()),
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

/// A file that cannot be found out about because a directory on the way does not let us: nothing is concluded of what is known,
/// as a walk concludes nothing of what it cannot list.
fn out_of_reach(entry: &Entry, error: disk::Error) -> Sighting {
    match error {
        disk::Error::Denied { .. } if entry.current.is_some() => Sighting::Unknown(error.to_string()),
        error => cannot(error),
    }
}

/// Whether the file still has to come to rest, and for how long.
fn unrest(desk: &Desk, post: &Post, entry: &Entry, errand: &Errand, stat: &Fingerprint) -> Option<Sighting> {
    let policy = &post.mapping.policy;
    let unvouched = policy.settle * UNVOUCHED;
    let now = ambient::tick();
    let wait = match errand.voucher {
        Voucher::Closed => policy.settle.saturating_sub(now.since(errand.heard)),
        Voucher::Touched => unvouched.saturating_sub(now.since(errand.heard)),
        Voucher::Scanned => desk.restless.wait(&errand.key, stat, unvouched, now, ambient::now()),
    };
    let wait = if wait.is_zero() { lone_image(post, entry, errand, now) } else { wait };
    if wait.is_zero() {
        desk.restless.forget(&errand.key);
        return None;
    }
    let overdue = now.since(errand.noted) >= policy.settle_max;
    Some(if overdue { Sighting::NeverRests(unvouched.max(wait)) } else { Sighting::Restless(wait) })
}

/// How much longer a new image that nobody refers to waits for a model that does: exporters write textures first. What a scan
/// brings up does not wait, since a scan hands out images only when it knows all models.
fn lone_image(post: &Post, entry: &Entry, errand: &Errand, now: Tick) -> Duration {
    match errand.voucher {
        Voucher::Closed | Voucher::Touched if entry.is_unsent() && is_dependent(&errand.key.path) => {
            post.mapping.policy.bundle_wait.saturating_sub(now.since(errand.noted))
        }
        Voucher::Closed | Voucher::Touched | Voucher::Scanned => Duration::ZERO,
    }
}

/// The bytes of a file: those of its row where its stat vouches for them, else they are read. Where they cannot be had, what
/// is seen instead.
fn bytes(
    desk: &Desk,
    post: &Post,
    row: Option<Seen>,
    path: &RelPath,
    stat: &Fingerprint,
) -> Result<Seen, Box<Sighting>> {
    if stat.size == 0 {
        let content = Content { hash: ContentHash(*blake3::hash(b"").as_bytes()), size: 0 };
        return Ok(doubtful(row, Seen { fingerprint: *stat, content, trust: Trust::Settled }));
    }
    if let Some(row) = row.filter(|row| is_same_file(row, stat)) {
        return Ok(row);
    }
    match disk::read(&post.root, path, ambient::now(), &desk.cancel) {
        Ok(Look::Whole(seen)) => Ok(doubtful(row, trusted_at_last(row, seen))),
        Ok(Look::Changed) => Err(Box::new(Sighting::Restless(post.mapping.policy.settle))),
        Err(error) if error.is_gone() => Err(Box::new(Sighting::Restless(Duration::ZERO))),
        Err(error) => Err(Box::new(cannot(error))),
    }
}

/// A row that was racy and reads the same once more is trusted: a stamp from the future would make it racy for ever.
fn trusted_at_last(row: Option<Seen>, seen: Seen) -> Seen {
    let is_confirmed = row.is_some_and(|row| {
        row.trust == Trust::Racy && row.fingerprint == seen.fingerprint && row.content == seen.content
    });
    if is_confirmed { Seen { trust: Trust::Settled, ..seen } } else { seen }
}

/// After an unclean boot: whether what was read now looks as a power cut leaves it behind. Other bytes behind the same stat,
/// or none where there were some.
fn doubtful(row: Option<Seen>, seen: Seen) -> Seen {
    let is_doubtful = row.filter(|row| row.trust == Trust::Doubted).is_some_and(|row| {
        let stamps = |it: &Seen| {
            let Fingerprint { size, mtime, ctime, inode, device: _ } = it.fingerprint;
            (size, mtime, ctime, inode)
        };
        let is_same_stat = stamps(&row) == stamps(&seen);
        let is_emptied = seen.content.size == 0 && row.content.size > 0;
        is_emptied || (is_same_stat && (row.content != seen.content || seen.content.size == 0))
    });
    if is_doubtful { Seen { trust: Trust::Doubted, ..seen } } else { seen }
}

/// The same for a bundle as a whole: one that was written anew holds what it held once before.
fn returned(entry: &Entry, sighting: Sighting) -> Sighting {
    let was_doubted = entry.seen.is_some_and(|seen| seen.trust == Trust::Doubted);
    match sighting {
        Sighting::Whole(mut whole) if was_doubted => {
            let version = Some(version_of(&whole.parts));
            if entry.copies.iter().any(|copy| copy.version == version) {
                whole.seen.trust = Trust::Doubted;
            }
            Sighting::Whole(whole)
        }
        other => other,
    }
}

/// How long after reading a racy file it is read once more: longer than the coarsest time stamps stand.
const ONCE_MORE: Duration = Duration::from_millis(2_100);

/// The pause after which a bundle at rest is read once more before its row is trusted.
pub(super) fn read_once_more(entry: &Entry) -> Option<Duration> {
    let is_racy = entry.seen.is_some_and(|seen| seen.trust == Trust::Racy);
    (is_racy && entry.attempt == Attempt::Idle).then_some(ONCE_MORE)
}
