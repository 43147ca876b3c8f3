//! What would be done about a bundle: a look and a decision, and nothing that changes anything but what is known of references.

use super::series::{self, Heir, Place};
use super::{look, moment, reckon, refresh, trace};
use crate::agenda::Errand;
use crate::desk::{Desk, Post, Walk};
use crate::file::part::version_of;
use crate::file::{Entry, Key, Sighting};
use crate::ledger;
use crate::mapping::Admission;
use crate::mapping::format::{is_dependent, is_slice};
use crate::plan::{self, Action, Origin, Remote};

/// What a bundle looks like and what would be done about it, without doing it.
#[derive(Debug, Clone)]
pub struct Considered {
    /// What the ledger believes, with what was just seen.
    pub entry: Entry,
    /// What the disk shows.
    pub sighting: Sighting,
    /// Where its bytes lay before, if it is new.
    pub origin: Origin,
    /// What would be done next.
    pub action: Action,
    /// Bundles that send it, where it is not sent by itself: they are what is to be looked at.
    pub instead: Vec<Key>,
    /// Who else has to look: files that it does not carry any more, or the bundle that carries it now.
    pub also: Vec<Key>,
    /// Who takes it over, if its lead is gone.
    pub heir: Heir,
}

/// Looks at a bundle and decides, asking the cloud nothing. Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says; what the disk says is in the sighting.
pub fn consider(desk: &Desk, errand: &Errand) -> Result<Considered, ledger::Error> {
    let stored = desk.ledger.entry(&errand.key)?;
    let leads = desk.ledger.leads_of(&errand.key.mapping, &errand.key.path)?;
    consider_with(desk, errand, stored, &leads, None)
}

/// As [`consider`], with what the ledger says; `walk` is over once it is known whether what changed travels with others.
pub(super) fn consider_with(
    desk: &Desk,
    errand: &Errand,
    stored: Entry,
    leads: &[Key],
    walk: Option<Walk>,
) -> Result<Considered, ledger::Error> {
    let key = &errand.key;
    let Some(post) = desk.posts.get(&key.mapping) else {
        return Ok(unconsidered(stored, Vec::new()));
    };
    let carriers = carriers(desk, post, &stored, key, leads)?;
    if !carriers.is_empty() {
        refresh::note(desk, post, errand, &carriers)?;
        return Ok(unconsidered(stored, carriers));
    }
    drop(walk);
    let place = series::place(desk, post, &stored, key)?;
    let also: Vec<Key> = match &place {
        Place::Carried(lead) => vec![Key::new(key.mapping.clone(), lead.clone())],
        Place::Leads(led) => {
            led.left.iter().map(|path| Key::new(key.mapping.clone(), path.clone())).collect()
        }
        Place::Outside | Place::Alone(_) | Place::Unread(_) => Vec::new(),
    };
    if matches!(place, Place::Carried(_)) && stored.is_unsent() {
        return Ok(unconsidered(stored, also));
    }
    let sighting = look::look(desk, post, &stored, errand, place)?;
    let heir = match &sighting {
        Sighting::Absent(_) => series::heir(desk, post, &stored, errand)?,
        _ => Heir::None,
    };
    let mut entry = absorb(stored.clone(), &sighting);
    let origin = match &sighting {
        Sighting::Whole(whole) if entry.is_unsent() => trace::origin(desk, key, whole)?,
        _ => Origin::Nowhere,
    };
    let policy = &post.mapping.policy;
    let mut action = plan::decide(&entry, &sighting, policy, &origin, &Remote::Unasked, moment());
    if let Heir::Pending(wait) = heir {
        action = Action::Wait(wait);
    }
    if let (Action::Consult, Origin::Nowhere, Sighting::Whole(whole)) = (&action, &origin, &sighting)
        && let Some(instead) = refresh::instead(desk, post, key, &stored, &entry, whole)?
    {
        (action, entry.wanted) = instead;
    }
    if let Some(clearance) = reckon::granted(desk, post, errand, &entry, &sighting, &action)? {
        action = Action::Clear(clearance);
    }
    Ok(Considered { entry, sighting, origin, action, instead: Vec::new(), also, heir })
}

fn unconsidered(entry: Entry, instead: Vec<Key>) -> Considered {
    Considered {
        entry,
        sighting: Sighting::Unlooked,
        origin: Origin::Nowhere,
        action: Action::Rest,
        instead,
        also: Vec::new(),
        heir: Heir::None,
    }
}

/// The bundles that send a file, where it is only sent with them: one that leads a bundle of its own never is, and neither is
/// one that was sent by itself before.
pub(super) fn carriers(
    desk: &Desk,
    post: &Post,
    stored: &Entry,
    key: &Key,
    leads: &[Key],
) -> Result<Vec<Key>, ledger::Error> {
    if is_slice(&key.path) {
        return series::carriers(desk, post, stored, key, leads);
    }
    let leads_itself =
        !is_dependent(&key.path) && post.mapping.filter.admits_file(&key.path) == Admission::Admitted;
    Ok(if stored.is_unsent() && !leads_itself { leads.to_vec() } else { Vec::new() })
}

/// The ledger's entry with what was just seen in it.
fn absorb(stored: Entry, sighting: &Sighting) -> Entry {
    match sighting {
        Sighting::Whole(whole) => {
            Entry { seen: Some(whole.seen), wanted: Some(version_of(&whole.parts)), ..stored }
        }
        Sighting::Empty(seen) => Entry { seen: Some(*seen), ..stored },
        Sighting::Unlooked
        | Sighting::Unknown(_)
        | Sighting::Absent(_)
        | Sighting::Excluded(_)
        | Sighting::Restless(_)
        | Sighting::NeverRests(_)
        | Sighting::Unfinished(..)
        | Sighting::Unreadable(_)
        | Sighting::Unfit(_) => stored,
    }
}
