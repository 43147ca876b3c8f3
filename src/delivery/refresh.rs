//! A bundle that would be sent for the sake of files that it shares: what changed is kept in mind, what it would send anew is
//! counted, and the rule is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{consider, look};
use crate::agenda::Errand;
use crate::ambient;
use crate::assembly::Assembly;
use crate::desk::{Census, Changed, Desk, Post, Tally, Waves};
use crate::disk::{self, Kind};
use crate::file::content::Content;
use crate::file::part::version_of;
use crate::file::sighting::Whole;
use crate::file::{Entry, Key, MappingName, RelPath, Version};
use crate::ledger;
use crate::mapping::Policy;
use crate::plan::refresh::{self, Blast};
use crate::plan::{Action, is_same_file};
use crate::timestamp::Timestamp;

/// How many models wait until a walk has shown what else has changed. The walk itself waits while the agenda is full.
const PATIENT: u64 = 1_000;

/// What is done instead of sending a bundle, and which version is wanted then; none if it may be sent. `stored` is the ledger's
/// entry, `entry` the same with what was just seen.
pub(super) fn instead(
    desk: &Desk,
    post: &Post,
    lead: &Key,
    stored: &Entry,
    entry: &Entry,
    whole: &Whole,
) -> Result<Option<(Action, Option<Version>)>, ledger::Error> {
    let Some(difference) = refresh::difference(entry, whole) else { return Ok(None) };
    let key = |path: &RelPath| Key::new(lead.mapping.clone(), path.clone());
    // A changed file that names others may have brought new ones along: that this is the first model which is known to carry them
    // does not make them its own.
    let brings_others = difference.changed.iter().any(|part| Assembly::may_refer(&part.path));
    let added = difference.added.iter().filter(|_| !brings_others);
    for part in difference.changed.iter().chain(added) {
        // What it shares with nobody is its own.
        if !desk.ledger.has_several_leads(&key(&part.path))? {
            return Ok(None);
        }
    }
    let seen =
        |path: &RelPath| whole.members.iter().find(|(member, _)| member == path).map(|(_, seen)| *seen);
    let mut mine = BTreeMap::new();
    for part in &difference.changed {
        desk.refreshes.changed(&key(&part.path), seen(&part.path));
        mine.insert(part.path.clone(), Some(part.content));
    }
    let (version, policy, now) = (version_of(&whole.parts), &post.mapping.policy, ambient::now());
    if refresh::is_let_go(stored, version) {
        return Ok(None);
    }
    let (mapping, gap) = (&lead.mapping, policy.settle_max);
    let waves = desk.refreshes.waves(mapping, mine.keys(), gap, now);
    let known = desk.refreshes.of(mapping, &waves, gap, now);
    let touched = known.values().map(|seen| seen.map_or(now, |seen| seen.fingerprint.last_touched())).max();
    if refresh::is_quiet(entry, touched.unwrap_or(now), policy, now) {
        return Ok(None);
    }
    if let Some(aside) = refresh::standing(entry, version, policy) {
        return Ok(Some((Action::StandAside(aside.clone(), None), Some(version))));
    }
    let tally = tally(desk, mapping, &mine, waves, &known, policy)?;
    let Some(file) = mine.into_keys().next() else { return Ok(None) };
    let blast = Blast {
        file,
        others: tally.files.len().saturating_sub(1),
        extent: tally.extent,
        is_open: tally.extent.models <= PATIENT && !desk.refreshes.is_known(mapping),
    };
    Ok(refresh::weigh(version, &blast, policy, now).map(|action| {
        // What only waits is not decided: to want it now would be to let it go.
        let wanted = if matches!(action, Action::Wait(_)) { stored.wanted } else { Some(version) };
        (action, wanted)
    }))
}

/// What all that has changed together would send anew. What was counted a moment ago will do, if it has `mine` in it and is of all
/// that is known, or too much already.
fn tally(
    desk: &Desk,
    mapping: &MappingName,
    mine: &BTreeMap<RelPath, Option<Content>>,
    waves: Waves,
    known: &Changed,
    policy: &Policy,
) -> Result<Arc<Tally>, ledger::Error> {
    let now = ambient::tick();
    if let Some((tally, census)) = desk.refreshes.tally(mapping, &waves, now) {
        let has_mine = mine.iter().all(|(path, content)| tally.files.get(path) == Some(content));
        if has_mine && (census == Census::Complete || tally.extent.exceeds(&policy.max_refresh)) {
            return Ok(tally);
        }
    }
    let mut changed = Vec::new();
    for (path, seen) in known {
        if desk.ledger.has_several_leads(&Key::new(mapping.clone(), path.clone()))? {
            changed.push((path.clone(), seen.map(|seen| seen.content)));
        }
    }
    let outdated = desk.ledger.outdated(mapping, &changed)?;
    changed.retain(|(path, _)| outdated.files.contains(path));
    let tally =
        Arc::new(Tally { waves, files: changed.into_iter().collect(), extent: outdated.extent, at: now });
    desk.refreshes.counted(mapping, known, &tally);
    Ok(tally)
}

/// Keeps in mind a file that only travels with others, if it has changed since it was sent with one of them.
pub(super) fn note(desk: &Desk, post: &Post, errand: &Errand, leads: &[Key]) -> Result<(), ledger::Error> {
    let key = &errand.key;
    let [_, _, ..] = leads else { return Ok(()) };
    let Some(row) = desk.ledger.seen(key)? else { return Ok(()) };
    match disk::stat(&post.root, &key.path) {
        Ok(stat) if stat.kind == Kind::File && is_same_file(&row, &stat.fingerprint) => {
            if desk.refreshes.read(key).is_some() {
                desk.refreshes.changed(key, Some(row));
            }
        }
        Ok(stat) if stat.kind == Kind::File => {
            let seen = look::read_member(desk, post, errand)?;
            desk.refreshes.changed(key, seen);
        }
        Ok(_) => desk.refreshes.settled(key),
        Err(error) if error.is_gone() => desk.refreshes.settled(key),
        Err(_) => {}
    }
    Ok(())
}

/// Since when a bundle is held because too much would be sent; none if it is not.
#[must_use]
pub fn held_since(entry: &Entry) -> Option<Timestamp> {
    refresh::held(entry).map(|aside| aside.since)
}

/// The models with which a file is sent, if it is never sent by itself. If it has changed since, that is kept in mind. Blocks.
///
/// # Errors
/// What the ledger says.
pub fn carriers(desk: &Desk, errand: &Errand) -> Result<Option<Vec<Key>>, ledger::Error> {
    let key = &errand.key;
    let Some(post) = desk.posts.get(&key.mapping) else { return Ok(None) };
    let leads = desk.ledger.leads_of(&key.mapping, &key.path)?;
    let carriers = consider::carriers(desk, post, &desk.ledger.entry(key)?, key, &leads)?;
    if carriers.is_empty() {
        return Ok(None);
    }
    note(desk, post, errand, &carriers)?;
    Ok(Some(carriers))
}
