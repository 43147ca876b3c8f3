//! What a mapping's policies would take away from the cloud, and whether they may: a person has agreed to just these terms,
//! and the brake is not on. It grants steps the right to take; they look once more and do it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::agenda::Errand;
use crate::ambient;
use crate::desk::{Desk, IsGiven, Post};
use crate::file::entry::AsideState;
use crate::file::{Entry, Key, MappingName, Sighting, State};
use crate::ledger::{self, Ledger};
use crate::mapping::{Fate, Mapping};
use crate::plan::{Action, BRAKE_WINDOW, Cause, Clearance, Kept, Outcome, brake, clearance};
use crate::timestamp::Timestamp;
use crate::worker::blocking;

/// What came of a reckoning.
#[derive(Debug, Default)]
pub struct Reckoned {
    /// Bundles whose remote files may be taken now: each needs a step.
    pub granted: Vec<Key>,
    /// Why others have to wait for a person, if any do.
    pub waits: Option<String>,
}

/// What waits to be taken away, as a preview for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// How many files are gone whose remote files would go.
    pub gone: u64,
    /// Of how many files replaced versions would go.
    pub replaced: u64,
}

/// Reckons what may be taken of a mapping. Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says.
pub fn reckon(desk: &Desk, post: &Arc<Post>) -> Result<Reckoned, ledger::Error> {
    let mapping = &post.mapping;
    let mut reckoned = Reckoned::default();
    if !mapping.policy.is_destructive() {
        return Ok(reckoned);
    }
    desk.grants.withdraw(&mapping.name);
    let due = due(&desk.ledger, mapping)?;
    let name = &mapping.name;
    if due.is_empty() {
        // What a person agreed to is done; what comes later is counted afresh.
        if desk.ledger.meta(&approved_key(name))?.is_some_and(|approved| !approved.is_empty()) {
            desk.ledger.put_meta(&approved_key(name), "")?;
        }
        return Ok(reckoned);
    }
    if desk.ledger.is_foreign()? {
        reckoned.waits = Some(format!(
            "the state directory was copied from another machine; `versync approve {name}` if it is to go on here"
        ));
        return Ok(reckoned);
    }
    if !is_armed(&desk.ledger, mapping)? {
        let replaced = due.iter().filter(|(_, it)| it.cause == Cause::Replaced).count() as u64;
        let pending = Pending { gone: due.len() as u64 - replaced, replaced };
        reckoned.waits = Some(format!(
            "{}; look at it with `versync plan`, and agree with `versync approve {name}`",
            told(mapping, pending)
        ));
        return Ok(reckoned);
    }
    let files = desk.ledger.count(name)?;
    let executed = executed(&desk.ledger, name, ambient::now())?.len() as u64;
    let approved = approved(&desk.ledger, name)?;
    let unapproved =
        due.iter().filter(|(key, it)| it.cause == Cause::Gone && !approved.contains(&mark(key))).count()
            as u64;
    let is_braked = unapproved + executed > brake(files);
    if is_braked && unapproved > 0 {
        reckoned.waits = Some(format!(
            "{unapproved} files are gone from disk and {executed} remote files were taken within a day: more than {} at once need a person; `versync approve {name}` if that is meant",
            brake(files)
        ));
    }
    for (key, it) in due {
        let is_held = is_braked && it.cause == Cause::Gone && !approved.contains(&mark(&key));
        if !is_held && desk.grants.give(&key, ambient::tick()) == IsGiven::Now {
            reckoned.granted.push(key);
        }
    }
    Ok(reckoned)
}

/// What a step may take away now: it has a grant, would leave the bundle as it is otherwise, and sees with its own eyes what the
/// grant was given for. One that finds something else there spends the grant: it was for what was so then.
///
/// # Errors
/// What the ledger says.
pub(super) fn granted(
    desk: &Desk,
    post: &Post,
    errand: &Errand,
    entry: &Entry,
    sighting: &Sighting,
    action: &Action,
) -> Result<Option<Clearance>, ledger::Error> {
    let key = &errand.key;
    if !post.mapping.policy.is_destructive() || !desk.grants.is_open(key) {
        return Ok(None);
    }
    let idle =
        is_idle(action, entry).then(|| would_take(&desk.ledger, &post.mapping, key, entry)).transpose()?;
    if let Some(it) = idle.flatten().filter(|it| is_shown(it.cause, sighting)) {
        return Ok(desk.grants.take(key).then_some(it));
    }
    // Where nothing could be seen nothing is known to be otherwise.
    if !matches!(sighting, Sighting::Unknown(_)) {
        desk.grants.done(key);
    }
    Ok(None)
}

/// Whether a clearance would still take the same: another bundle may have come to use some of it meanwhile.
pub(super) async fn is_still(
    desk: &Arc<Desk>,
    post: &Arc<Post>,
    key: &Key,
    entry: &Entry,
    action: &Action,
) -> Result<bool, ledger::Error> {
    let Action::Clear(clearance) = action else { return Ok(true) };
    let (desk, post, key, entry) = (Arc::clone(desk), Arc::clone(post), key.clone(), entry.clone());
    let now = blocking(move || would_take(&desk.ledger, &post.mapping, &key, &entry)).await?;
    Ok(now.is_some_and(|now| now.files == clearance.files))
}

/// Whether a look leaves a bundle as it is: at its goal, or known to be gone.
fn is_idle(action: &Action, entry: &Entry) -> bool {
    match action {
        Action::Rest => true,
        Action::StandAside(aside, _) => aside.state == AsideState::Deleted && entry.state() == State::Deleted,
        Action::Forget
        | Action::Wait(_)
        | Action::Consult
        | Action::Verify(_)
        | Action::Relocate(_)
        | Action::Clear(_)
        | Action::Restore(_)
        | Action::Upload(_)
        | Action::LookUp(..)
        | Action::Follow(..) => false,
    }
}

/// Whether the disk shows, right now, what remote files are taken away for. That nothing could be seen shows nothing.
fn is_shown(cause: Cause, sighting: &Sighting) -> bool {
    match cause {
        Cause::Gone | Cause::LeftOver => matches!(sighting, Sighting::Absent(_)),
        Cause::Replaced => matches!(sighting, Sighting::Whole(_)),
    }
}

/// Everything that the policies of a mapping would take, as its ledger stands.
///
/// # Errors
/// What the ledger says.
fn due(ledger: &Ledger, mapping: &Mapping) -> Result<Vec<(Key, Clearance)>, ledger::Error> {
    // Each once: a file that is gone may have replaced versions, too.
    let mut keys = BTreeSet::new();
    if mapping.policy.on_delete != Fate::Keep {
        keys.extend(ledger.keys_in_state(&mapping.name, State::Deleted)?);
    }
    if mapping.policy.on_change != Fate::Keep {
        keys.extend(ledger.keys_with_replaced(&mapping.name, mapping.policy.keep_versions)?);
    }
    let mut due = Vec::new();
    for key in keys {
        if let Some(it) = would_take(ledger, mapping, &key, &ledger.entry(&key)?)? {
            due.push((key, it));
        }
    }
    Ok(due)
}

/// What would be taken of one bundle, without what other bundles use too.
///
/// # Errors
/// What the ledger says.
pub fn would_take(
    ledger: &Ledger,
    mapping: &Mapping,
    key: &Key,
    entry: &Entry,
) -> Result<Option<Clearance>, ledger::Error> {
    let Some(mut it) = clearance(entry, &mapping.policy) else { return Ok(None) };
    let mut files = Vec::new();
    for file in it.files.iter().copied() {
        // What is kept as an earlier version elsewhere is not this bundle's to take because its own file is gone.
        let is_kept = it.cause != Cause::Replaced && ledger.is_earlier_elsewhere(file, key)?;
        if !is_kept && !ledger.is_shared(file, key)? {
            files.push(file);
        } else if it.cause == Cause::Gone && it.fate == Fate::Archive {
            // Half a version in the archive is worth nothing to anybody.
            return Ok(None);
        }
    }
    let asked = it.files;
    it.assets.retain(|(file, _)| files.contains(file) || !asked.contains(file));
    it.files = files;
    Ok((!it.files.is_empty()).then_some(it))
}

/// What waits, for the preview that a person agrees to.
///
/// # Errors
/// What the ledger says.
pub fn pending(reader: &ledger::Reader, mapping: &Mapping) -> Result<Pending, ledger::Error> {
    let mut pending = Pending::default();
    for key in reader.in_state(&mapping.name, State::Deleted, usize::MAX)? {
        let it = clearance(&reader.entry(&key)?, &mapping.policy);
        pending.gone += u64::from(it.is_some_and(|it| it.cause == Cause::Gone));
    }
    for key in reader.keys_with_replaced(&mapping.name, mapping.policy.keep_versions)? {
        let it = clearance(&reader.entry(&key)?, &mapping.policy);
        pending.replaced += u64::from(it.is_some_and(|it| it.cause == Cause::Replaced));
    }
    Ok(pending)
}

/// What waits, in words.
#[must_use]
pub fn told(mapping: &Mapping, pending: Pending) -> String {
    let Pending { gone, replaced } = pending;
    let (on_delete, on_change) = (mapping.policy.on_delete.word(), mapping.policy.on_change.word());
    match (gone, replaced) {
        (gone, 0) => {
            format!("the remote files of {gone} files that are gone wait for on_delete = \"{on_delete}\"")
        }
        (0, replaced) => format!("older versions of {replaced} files wait for on_change = \"{on_change}\""),
        (gone, replaced) => format!(
            "the remote files of {gone} files that are gone wait for on_delete = \"{on_delete}\", and older versions of {replaced} files for on_change = \"{on_change}\""
        ),
    }
}

fn armed_key(mapping: &MappingName) -> String {
    format!("armed/{mapping}")
}

fn executed_key(mapping: &MappingName) -> String {
    format!("executed/{mapping}")
}

/// Whether a person has agreed to these very terms.
///
/// # Errors
/// What the ledger says.
fn is_armed(ledger: &Ledger, mapping: &Mapping) -> Result<bool, ledger::Error> {
    Ok(ledger.meta(&armed_key(&mapping.name))?.is_some_and(|terms| terms == mapping.terms()))
}

/// The same, where only a view of the ledger is to be had.
///
/// # Errors
/// What the ledger says.
pub fn is_armed_in(reader: &ledger::Reader, mapping: &Mapping) -> Result<bool, ledger::Error> {
    Ok(reader.meta(&armed_key(&mapping.name))?.is_some_and(|terms| terms == mapping.terms()))
}

/// A person has agreed: what waits may go, and what comes later is counted afresh.
///
/// # Errors
/// What the ledger says.
pub fn arm(ledger: &Ledger, mapping: &Mapping) -> Result<(), ledger::Error> {
    ledger.put_meta(&executed_key(&mapping.name), "")?;
    let due = due(ledger, mapping)?;
    let gone: Vec<_> =
        due.iter().filter(|(_, it)| it.cause == Cause::Gone).map(|(key, _)| mark(key)).collect();
    ledger.put_meta(&approved_key(&mapping.name), &gone.join(" "))?;
    ledger.put_meta(&armed_key(&mapping.name), &mapping.terms())
}

fn approved_key(mapping: &MappingName) -> String {
    format!("approved/{mapping}")
}

/// The files that were gone when a person last agreed: for them the brake is off.
fn approved(ledger: &Ledger, mapping: &MappingName) -> Result<BTreeSet<String>, ledger::Error> {
    let told = ledger.meta(&approved_key(mapping))?.unwrap_or_default();
    Ok(told.split_ascii_whitespace().map(str::to_owned).collect())
}

/// A file in a list of such: paths may be long and hold anything.
fn mark(key: &Key) -> String {
    blake3::hash(key.path.as_bytes()).to_hex().chars().take(32).collect()
}

/// When remote files of gone files were taken within the last day, since a person last agreed; without those that the person
/// was shown.
fn executed(ledger: &Ledger, mapping: &MappingName, now: Timestamp) -> Result<Vec<Timestamp>, ledger::Error> {
    let told = ledger.meta(&executed_key(mapping))?.unwrap_or_default();
    let times =
        told.split_ascii_whitespace().filter_map(|nanos| nanos.parse().ok()).map(Timestamp::from_nanos);
    Ok(times.filter(|at| now.since(*at) < BRAKE_WINDOW).collect())
}

/// Counts a bundle whose remote files were taken because its file is gone.
fn count_gone(ledger: &Ledger, key: &Key, now: Timestamp) -> Result<(), ledger::Error> {
    let mapping = &key.mapping;
    if approved(ledger, mapping)?.contains(&mark(key)) {
        return Ok(());
    }
    let mut times = executed(ledger, mapping, now)?;
    times.push(now);
    let told: Vec<_> = times.iter().map(|at| at.nanos().to_string()).collect();
    ledger.put_meta(&executed_key(mapping), &told.join(" "))
}

/// What the journal says of a clearance.
fn note(clearance: &Clearance, outcome: &Outcome) -> String {
    let files = clearance.files.len();
    let done = match clearance.fate {
        Fate::Archive => "archived",
        Fate::Delete | Fate::Keep | Fate::DeleteWithAssets => "deleted",
    };
    let cleared = match outcome {
        Outcome::Cleared(cleared) => cleared,
        Outcome::NotCleared(why) | Outcome::PartlyCleared(why) => {
            return format!("{files} remote files could not be {done}: {why}; it is tried again in an hour");
        }
        Outcome::Failed(failure) => {
            return format!("{files} remote files could not be {done} yet: {}", failure.what);
        }
        _ => return format!("{files} remote files could not be {done}"),
    };
    let assets = match clearance.fate {
        Fate::DeleteWithAssets => format!(", and {} assets with them", cleared.assets),
        Fate::Archive | Fate::Delete | Fate::Keep => String::new(),
    };
    let kept = Kept::told(&cleared.kept).map(|told| format!("; {told}")).unwrap_or_default();
    match clearance.cause {
        Cause::Gone | Cause::LeftOver => {
            format!("gone from disk: {files} remote files were {done}{assets}{kept}")
        }
        Cause::Replaced => format!("{files} remote files of older versions were {done}{assets}{kept}"),
    }
}

/// Tells how a clearance ended, and counts it. Returns what the journal says.
///
/// # Errors
/// What the ledger says.
pub(super) async fn close(
    desk: &Arc<Desk>,
    key: &Key,
    clearance: &Clearance,
    outcome: &Outcome,
) -> Result<String, ledger::Error> {
    let note = note(clearance, outcome);
    match outcome {
        Outcome::Cleared(_) => {
            tracing::info!(bundle = %key, "{note}");
            count(desk, key, clearance.cause).await?;
            desk.grants.done(key);
        }
        // It was not refused: it is granted again.
        Outcome::Failed(_) => desk.grants.done(key),
        _ => tracing::warn!(bundle = %key, "{note}"),
    }
    Ok(note)
}

/// Counts what the brake counts.
async fn count(desk: &Arc<Desk>, key: &Key, cause: Cause) -> Result<(), ledger::Error> {
    match cause {
        // What is left over was counted with the rest.
        Cause::Replaced | Cause::LeftOver => Ok(()),
        Cause::Gone => {
            let (ledger, key) = (desk.ledger.clone(), key.clone());
            blocking(move || count_gone(&ledger, &key, ambient::now())).await
        }
    }
}
