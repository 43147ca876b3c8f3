//! Which slices of a volume travel together, as disk and ledger show them, and which of them leads: a series of one directory
//! is one bundle. The slice that led stays the lead; when it is gone, its bundle is handed on to another slice.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::Ended;
use crate::agenda::{Errand, Reach};
use crate::ambient;
use crate::assembly::{Surveyed, candidates};
use crate::bundle::series::{Candidate, Incumbent, Series, leads};
use crate::bundle::{Bounds, Bundle};
use crate::desk::{Desk, Post};
use crate::disk;
use crate::file::{Attempt, Entry, Key, RelPath, State};
use crate::ledger::{self, Swapped};
use crate::mapping::Admission;
use crate::mapping::format::is_slice;
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;
use crate::worker::blocking;

/// What a file is among the slices of its directory.
#[derive(Debug)]
pub(super) enum Place {
    /// No slice, or nothing is asked of it now.
    Outside,
    /// It leads a series.
    Leads(Led),
    /// It is a slice of the series that this one leads.
    Carried(RelPath),
    /// It tells no series; why, for a person.
    Alone(String),
    /// Its directory cannot be read.
    Unread(disk::Error),
}

/// A series that a slice leads.
#[derive(Debug)]
pub(super) struct Led {
    /// The other slices.
    pub(super) bundle: Bundle,
    /// When a slice was last written, or may have become one.
    pub(super) touched: Timestamp,
    /// Slices that it carried and that are gone.
    pub(super) gone: Vec<RelPath>,
    /// Slices that it carried and that are of another series now.
    pub(super) left: Vec<RelPath>,
}

/// Who sends an unsent slice, if it is not itself: by the ledger where that knows, else by a look at its directory. What it says
/// may be old; a look at the lead says it anew.
pub(super) fn carriers(
    desk: &Desk,
    post: &Post,
    stored: &Entry,
    key: &Key,
    known: &[Key],
) -> Result<Vec<Key>, ledger::Error> {
    if !stored.is_unsent() || post.mapping.filter.admits_file(&key.path) != Admission::Admitted {
        return Ok(if stored.is_unsent() { known.to_vec() } else { Vec::new() });
    }
    let uid = uid(desk, post, &key.path);
    let mut sent = Vec::new();
    for lead in known {
        let is_its = uid.is_none() || self::uid(desk, post, &lead.path).is_none_or(|its| uid == Some(its));
        if is_its && !desk.ledger.entry(lead)?.is_unsent() {
            sent.push(lead.clone());
        }
    }
    if !sent.is_empty() {
        return Ok(sent);
    }
    let Some(uid) = uid else { return Ok(Vec::new()) };
    let directory = key.path.parent();
    let remembered = disk::stat(&post.root, &directory)
        .ok()
        .and_then(|stat| desk.slices.last(&post.root, &directory, &stat.fingerprint))
        .and_then(|last| last.leads.get(&uid).cloned())
        .filter(|lead| self::uid(desk, post, lead).is_some_and(|its| its == uid));
    let lead = match remembered {
        Some(lead) => Some(lead),
        // Where that fails its own look tells what is wrong.
        None => survey(desk, post, &directory)?.ok().and_then(|surveyed| surveyed.leads.get(&uid).cloned()),
    };
    let other = lead.filter(|lead| *lead != key.path);
    Ok(other.map(|lead| Key::new(key.mapping.clone(), lead)).into_iter().collect())
}

/// The series that the file at a path is of, if it is there and tells.
fn uid(desk: &Desk, post: &Post, path: &RelPath) -> Option<String> {
    let stat = disk::stat(&post.root, path).ok()?.fingerprint;
    let head = desk.slices.head(&post.root, path, &stat);
    Candidate { path: path.clone(), stat, head }.slice().map(|slice| slice.series.clone())
}

/// What may be a slice in a directory, and who leads. It may be as old as a file has to stand still at least: what has changed
/// since is not at rest.
fn survey(
    desk: &Desk,
    post: &Post,
    directory: &RelPath,
) -> Result<Result<Surveyed, disk::Error>, ledger::Error> {
    let stat = match disk::stat(&post.root, directory) {
        Ok(stat) => stat.fingerprint,
        Err(error) => return Ok(Err(error)),
    };
    let at = ambient::tick();
    if let Some(last) = desk.slices.last(&post.root, directory, &stat)
        && at.since(last.at) < post.mapping.policy.settle
    {
        return Ok(Ok(last));
    }
    let found = match candidates(&post.root, Some(&post.mapping), directory, &desk.slices) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let leads = leads(&found, &incumbents(desk, post, directory, &found)?);
    let surveyed = Surveyed { stat, at, found: Arc::new(found), leads: Arc::new(leads) };
    desk.slices.keep(&post.root, directory, surveyed.clone());
    Ok(Ok(surveyed))
}

/// The slices of a directory that lead a bundle of which something was sent.
fn incumbents(
    desk: &Desk,
    post: &Post,
    directory: &RelPath,
    found: &[Candidate],
) -> Result<Vec<Incumbent>, ledger::Error> {
    let name = &post.mapping.name;
    let mut incumbents = Vec::new();
    for known in desk.ledger.listing(name, directory)?.files {
        let Ok(lead) = directory.join(&known.name) else { continue };
        let key = Key::new(name.clone(), lead.clone());
        if is_slice(&lead) && was_sent(desk, &key, known.state)? {
            incumbents.push(Incumbent { lead, carries: BTreeSet::new() });
        }
    }
    let series = |it: &Incumbent| {
        let at = found.binary_search_by(|slice| slice.path.cmp(&it.lead)).ok()?;
        found.get(at)?.slice().map(|slice| slice.series.as_str())
    };
    let mut leads: HashMap<&str, usize> = HashMap::new();
    for it in &incumbents {
        if let Some(uid) = series(it) {
            *leads.entry(uid).or_default() += 1;
        }
    }
    // What one carries says something only if it does not tell its series, or is not alone in it.
    let alone: Vec<bool> =
        incumbents.iter().map(|it| series(it).is_some_and(|uid| leads.get(uid) == Some(&1))).collect();
    for (it, is_alone) in incumbents.iter_mut().zip(alone) {
        if !is_alone {
            let key = Key::new(name.clone(), it.lead.clone());
            it.carries = desk.ledger.references(&key)?.into_iter().map(|(path, _)| path).collect();
        }
    }
    Ok(incumbents)
}

/// Whether something of a bundle was sent, or is about to be.
fn was_sent(desk: &Desk, key: &Key, state: State) -> Result<bool, ledger::Error> {
    match state {
        State::Synced
        | State::Uploading
        | State::Converting
        | State::Ambiguous
        | State::Stalled
        | State::Detached
        | State::Deleted => Ok(true),
        State::Settling
        | State::Ready
        | State::Held
        | State::Blocked
        | State::ConversionFailed
        | State::Suspect
        | State::Ignored => Ok(!desk.ledger.entry(key)?.is_unsent()),
    }
}

/// What a file is among the slices of its directory, as disk and ledger show it now.
pub(super) fn place(desk: &Desk, post: &Post, stored: &Entry, key: &Key) -> Result<Place, ledger::Error> {
    let path = &key.path;
    let is_asked = is_slice(path) && stored.attempt == Attempt::Idle;
    if !is_asked || post.mapping.filter.admits_file(path) != Admission::Admitted {
        return Ok(Place::Outside);
    }
    // What is gone is for the look at the file itself to tell.
    let Ok(stat) = disk::stat(&post.root, path) else { return Ok(Place::Outside) };
    let carried: BTreeSet<RelPath> =
        desk.ledger.references(key)?.into_iter().map(|(member, _)| member).collect();
    let itself = Candidate {
        path: path.clone(),
        stat: stat.fingerprint,
        head: desk.slices.head(&post.root, path, &stat.fingerprint),
    };
    if carried.is_empty()
        && let Some(why) = itself.unknown()
    {
        return Ok(Place::Alone(why));
    }
    let Surveyed { found, leads, .. } = match survey(desk, post, &path.parent())? {
        Ok(surveyed) => surveyed,
        Err(error) => return Ok(Place::Unread(error)),
    };
    let its_own = Series::of(path, &found);
    let lead = its_own.as_ref().and_then(|series| leads.get(series.uid));
    let series = match (its_own, lead) {
        (Some(series), Some(lead)) if lead == path => series,
        (Some(_), Some(lead)) => return Ok(Place::Carried(lead.clone())),
        (Some(_), None) => return Ok(Place::Outside),
        // It does not tell any more, and leads what it led.
        (None, _) => match Series::all(&found).into_iter().find(|it| leads.get(it.uid) == Some(path)) {
            Some(series) => series,
            None => return Ok(itself.unknown().map_or(Place::Outside, Place::Alone)),
        },
    };
    Ok(Place::Leads(led(&series, path, &found, &carried, &itself)))
}

fn led(
    series: &Series<'_>,
    lead: &RelPath,
    found: &[Candidate],
    carried: &BTreeSet<RelPath>,
    itself: &Candidate,
) -> Led {
    let mut bundle = series.bundle(lead, &Bounds::default());
    let (mut gone, mut left) = (Vec::new(), Vec::new());
    let odd = |it: &Candidate| it.unknown().map(|why| (it.path.clone(), why));
    bundle.warnings.extend(odd(itself));
    for path in carried.iter().filter(|path| !series.holds(path) && *path != lead) {
        match found.binary_search_by(|it| it.path.cmp(path)).ok().and_then(|at| found.get(at)) {
            None => gone.push(path.clone()),
            Some(it) => match odd(it) {
                // It was a slice, and is damaged: leaving it out would tear the volume without a word.
                Some(odd) => {
                    bundle.warnings.push(odd);
                    bundle.needs.insert(path.clone(), series.need(lead));
                }
                None => left.push(path.clone()),
            },
        }
    }
    // A file that tells nothing yet may become a slice.
    let unknown = found.iter().filter(|it| it.slice().is_none());
    let touched = series.slices.iter().copied().chain(unknown).map(|it| it.stat.last_touched()).max();
    Led { bundle, touched: touched.unwrap_or(Timestamp::EPOCH), gone, left }
}

/// How much longer nothing may change for a series to count as complete: scanners write slices one after another, and a person
/// may be sorting some out.
pub(super) fn unrest(post: &Post, directory: &RelPath, touched: Timestamp, gone: &[RelPath]) -> Duration {
    let policy = &post.mapping.policy;
    let now = ambient::now();
    // A stamp from the future says nothing; such files have to stand still between two looks.
    let left = |needed: Duration, at: Timestamp| {
        if at > now { Duration::ZERO } else { needed.saturating_sub(now.since(at)) }
    };
    let mut wait = left(policy.bundle_wait, touched);
    if !gone.is_empty()
        && let Ok(stat) = disk::stat(&post.root, directory)
    {
        wait = wait.max(left(policy.bundle_wait.max(policy.delete_settle), stat.fingerprint.mtime));
    }
    wait
}

/// Who takes a bundle over whose lead is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heir {
    /// Nobody.
    None,
    /// This slice.
    Slice(Key),
    /// Somebody, unless the lead comes back; it is decided after this time.
    Pending(Duration),
}

/// The slice that leads a series once its lead, which is proven to be gone, leads it no more.
pub(super) fn heir(desk: &Desk, post: &Post, stored: &Entry, errand: &Errand) -> Result<Heir, ledger::Error> {
    let key = &errand.key;
    if !is_slice(&key.path) || stored.is_unsent() || stored.attempt != Attempt::Idle {
        return Ok(Heir::None);
    }
    let directory = key.path.parent();
    let Ok(Surveyed { found, leads, .. }) = survey(desk, post, &directory)? else { return Ok(Heir::None) };
    let Some(series) = Series::all(&found).into_iter().find(|it| leads.get(it.uid) == Some(&key.path)) else {
        return Ok(Heir::None);
    };
    let Some(first) = series.first() else { return Ok(Heir::None) };
    let heir = Key::new(key.mapping.clone(), first);
    if !desk.ledger.entry(&heir)?.is_unsent() {
        return Ok(Heir::None);
    }
    let wait = unrest(post, &directory, Timestamp::EPOCH, std::slice::from_ref(&key.path));
    let is_overdue = ambient::tick().since(errand.noted) >= post.mapping.policy.settle_max;
    Ok(if wait.is_zero() || is_overdue { Heir::Slice(heir) } else { Heir::Pending(wait) })
}

/// Hands a bundle on. What lives in the cloud is the heir's from now on, and replaced by what it sends.
pub(super) async fn hand_on(
    desk: &Arc<Desk>,
    post: &Post,
    key: &Key,
    stored: &Entry,
    heir: Key,
) -> Result<Ended, ledger::Error> {
    let handed = {
        let (ledger, from, expected, to) = (desk.ledger.clone(), key.clone(), stored.clone(), heir.clone());
        blocking(move || ledger.hand_on(&from, &expected, &to, ambient::now())).await?
    };
    desk.slices.forget(&post.root, &key.path.parent());
    let verdict = match handed {
        Swapped::Yes => {
            tracing::info!(bundle = %key, %heir, "it is gone; another slice leads its series now");
            Verdict::Done
        }
        Swapped::Stale => Verdict::LookAgain(desk.patience.retry_first),
    };
    let is = Entry::default().state();
    Ok(Ended {
        key: key.clone(),
        verdict,
        reach: Reach::Local,
        was: stored.state(),
        is,
        entry: None,
        also: vec![heir],
    })
}

/// A slice that another one carries leads nothing: what was written down of it as a lead is forgotten.
pub(super) fn demote(desk: &Desk, key: &Key, stored: &Entry) -> Result<(), ledger::Error> {
    if !is_slice(&key.path) {
        return Ok(());
    }
    // A bundle may have been handed on to it meanwhile.
    if *stored != Entry::default()
        && desk.ledger.put_unless_moved(key, stored, &Entry::default(), None, ambient::now())?
            == Swapped::Stale
    {
        return Ok(());
    }
    if desk.ledger.entry(key)? == Entry::default() && !desk.ledger.references(key)?.is_empty() {
        desk.ledger.put_references(key, &[])?;
    }
    Ok(())
}

/// Who leads the series of a directory has to be found out anew: a slice that led is gone, or not ours to send.
pub(super) fn forget(desk: &Desk, key: &Key) {
    if let Some(post) = desk.posts.get(&key.mapping)
        && is_slice(&key.path)
    {
        desk.slices.forget(&post.root, &key.path.parent());
    }
}
