//! From a survey, or from the ledger of an instance at work, to what would be done about each bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::{Deed, Outlook, Pass, Planned, Plans, blast};
use crate::agenda::{Errand, Voucher};
use crate::ambient;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::delivery::{self, Considered, Heir};
use crate::desk::Desk;
use crate::file::entry::AsideState;
use crate::file::{Attempt, Entry, Key, MappingName, RelPath, Sighting, State};
use crate::ledger::{self, Reader};
use crate::mapping::Mapping;
use crate::mapping::format::is_slice;
use crate::plan::{Action, Cause, Origin};
use crate::survey::{self, Found, Visitor};

/// States that a survey does not bring up while their files stay as they are.
const STANDING: [State; 5] =
    [State::Held, State::Blocked, State::ConversionFailed, State::Stalled, State::Suspect];

/// How many keys of the ledger are read at once.
const PAGE: usize = 500;

/// Walks a mapping and considers all that a pass would look at.
pub(super) fn survey(desk: &Desk, mapping: &Mapping) -> Result<Outlook, Failure> {
    let Some(post) = desk.posts.get(&mapping.name) else {
        return Ok(Outlook {
            mapping: mapping.name.clone(),
            files: None,
            planned: BTreeMap::new(),
            refreshes: BTreeMap::new(),
            troubles: Vec::new(),
        });
    };
    let plans = Plans::default();
    let failed: Mutex<Option<ledger::Error>> = Mutex::default();
    let carriers: Mutex<BTreeSet<Key>> = Mutex::default();
    // It is called by the threads that walk, so that files are read side by side.
    let found = |found: Found| {
        let (key, size) = match found {
            Found::There(key, size) | Found::Changed(key, size) => (key, size),
            Found::Away(key) => (key, 0),
        };
        let carried = if is_slice(&key.path) { Ok(None) } else { delivery::carriers(desk, &errand(&key)) };
        let met = match carried {
            Ok(Some(leads)) => {
                carriers.lock().unwrap_or_else(PoisonError::into_inner).extend(leads);
                Ok(())
            }
            Ok(None) => consider(desk, key, size, &plans),
            Err(error) => Err(error),
        };
        if let Err(error) = met {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    let visitor = Visitor { enter: &|_| {}, found: &found };
    let surveyed = survey::survey(&desk.ledger, &post.root, mapping, &RelPath::root(), &desk.cancel, visitor);
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    let (files, mut troubles) = match surveyed {
        Ok(it) => {
            (Some(it.files), it.troubles.into_iter().map(|(path, why)| format!("{path}: {why}")).collect())
        }
        Err(survey::Error::Ledger(error)) => return Err(error.into()),
        Err(error @ (survey::Error::Disk(_) | survey::Error::Panicked)) => (None, vec![error.to_string()]),
        Err(error @ (survey::Error::AnotherRoot { .. } | survey::Error::Emptied { .. })) => {
            (None, vec![format!("{error}; nothing is sent until it is approved")])
        }
    };
    if files.is_some() {
        // Only now, when all files are known that have changed.
        for key in carriers.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if !is_planned(&plans, &key) {
                consider(desk, key, 0, &plans)?;
            }
        }
        the_rest(desk, &mapping.name, &plans)?;
        clearances(desk, mapping, &plans)?;
    } else {
        troubles.push("nothing would be done about this mapping".to_owned());
    }
    let mut planned = std::mem::take(&mut *plans.planned());
    // What only moved is not gone.
    let origins: BTreeSet<Key> = planned.values().filter_map(|it| it.from.clone()).collect();
    planned.retain(|key, it| it.deed != Deed::Gone || !origins.contains(key));
    let refreshes = blast::survey(desk, mapping, &planned)?;
    Ok(Outlook { mapping: mapping.name.clone(), files, planned, refreshes, troubles })
}

/// What the policies would take away of bundles that a survey does not bring up: it needs an agreement and a quiet moment.
fn clearances(desk: &Desk, mapping: &Mapping, plans: &Plans) -> Result<(), Failure> {
    if !mapping.policy.is_destructive() {
        return Ok(());
    }
    let mut keys = desk.ledger.keys_in_state(&mapping.name, State::Deleted)?;
    keys.extend(desk.ledger.keys_with_replaced(&mapping.name, mapping.policy.keep_versions)?);
    for key in keys {
        if let Some(it) = delivery::would_take(&desk.ledger, mapping, &key, &desk.ledger.entry(&key)?)? {
            let files = render::things(it.files.len() as u64, "remote file", "remote files");
            let why = match it.cause {
                Cause::Gone | Cause::LeftOver => "it is gone from disk",
                Cause::Replaced => "newer versions replaced them",
            };
            let reason = format!("{files} to be {}: {why}", it.fate.done());
            let planned = Planned { deed: Deed::Clear, reason, bytes: 0, from: None, pass: Pass::Open };
            plans.planned().entry(key).or_insert(planned);
        }
    }
    Ok(())
}

/// What a survey leaves out: attempts that are open, and files that stand aside.
fn the_rest(desk: &Desk, mapping: &MappingName, plans: &Plans) -> Result<(), Failure> {
    let mut after: Option<RelPath> = None;
    loop {
        let page = desk.ledger.open_keys(mapping, after.as_ref(), PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.path.clone());
        for key in page {
            if !is_planned(plans, &key) {
                consider(desk, key, 0, plans)?;
            }
        }
    }
    for state in STANDING {
        for key in desk.ledger.keys_in_state(mapping, state)? {
            if !is_planned(plans, &key) {
                consider(desk, key, 0, plans)?;
            }
        }
    }
    Ok(())
}

fn is_planned(plans: &Plans, key: &Key) -> bool {
    plans.planned().contains_key(key)
}

fn errand(key: &Key) -> Errand {
    let now = ambient::tick();
    Errand { key: key.clone(), voucher: Voucher::Scanned, heard: now, noted: now }
}

fn consider(desk: &Desk, key: Key, size: u64, plans: &Plans) -> Result<(), ledger::Error> {
    let errand = errand(&key);
    let considered = delivery::consider(desk, &errand)?;
    let mut others = considered.instead.clone();
    if is_slice(&errand.key.path) {
        // It may have left the series of one of them.
        others.extend(desk.ledger.leads_of(&errand.key.mapping, &errand.key.path)?);
    }
    for lead in others {
        // A thousand files of one bundle ask for one look.
        let is_first = !is_planned(plans, &lead) && plans.asked().insert(lead.clone());
        if is_first {
            consider(desk, lead, 0, plans)?;
        }
    }
    if let Some(planned) = planned(&considered, size) {
        plans.planned().insert(errand.key, planned);
    }
    Ok(())
}

/// What an action means to a person; none if there is nothing to do.
fn planned(considered: &Considered, size: u64) -> Option<Planned> {
    let Considered { entry, sighting, origin, action, heir, .. } = considered;
    if let Heir::Slice(heir) = heir {
        let reason = format!("it is gone from disk; {} leads the series now", heir.path);
        return Some(Planned { deed: Deed::UploadChanged, reason, bytes: 0, from: None, pass: Pass::Open });
    }
    let size = match (sighting, entry.attempt.intent()) {
        (_, Some(intent)) => intent.parts.iter().map(|part| part.content.size).sum(),
        (Sighting::Whole(whole), None) => whole.parts.iter().map(|part| part.content.size).sum(),
        (_, None) => size,
    };
    let (deed, reason, bytes) = match action {
        Action::Rest => (Deed::Hold, entry.reason()?.to_owned(), size),
        Action::Forget => (Deed::Forget, "it was never sent".to_owned(), 0),
        Action::Wait(pause) => (
            Deed::Wait,
            format!("it changed a moment ago; it is looked at again in {}", render::duration(*pause)),
            size,
        ),
        Action::StandAside(aside, _) => match aside.state {
            AsideState::Deleted => (Deed::Gone, aside.reason.clone(), 0),
            AsideState::Detached => (Deed::Detach, aside.reason.clone(), 0),
            AsideState::Settling => (Deed::Wait, aside.reason.clone(), size),
            AsideState::Held
            | AsideState::Blocked
            | AsideState::ConversionFailed
            | AsideState::Stalled
            | AsideState::Suspect => (Deed::Hold, aside.reason.clone(), size),
        },
        Action::Consult | Action::Verify(_) | Action::Upload(_) | Action::Relocate(_) => match origin {
            Origin::Moved(from) => (Deed::Move, format!("it was {}", from.key), 0),
            Origin::Nowhere | Origin::Pending(_) => {
                let (deed, reason) = sending(entry);
                (deed, format!("{reason}{}", series(sighting)), size)
            }
        },
        Action::Restore(_) => (Deed::Restore, "its bytes are those of an earlier version".to_owned(), 0),
        Action::Clear(clearance) => {
            (Deed::Clear, format!("{} remote files would be taken away", clearance.files.len()), 0)
        }
        Action::LookUp(_, doubt) => (Deed::LookUp, doubt.why.clone(), size),
        Action::Follow(_, conversion) => (Deed::Follow, conversion.progress.clone(), size),
    };
    let from = match (deed, origin) {
        (Deed::Move, Origin::Moved(from)) => Some(from.key.clone()),
        (_, Origin::Moved(_) | Origin::Nowhere | Origin::Pending(_)) => None,
    };
    let pass = match action {
        Action::StandAside(aside, _) if aside.state == AsideState::Held && aside.version.is_some() => {
            Pass::Held
        }
        _ => Pass::Open,
    };
    Some(Planned { deed, reason, bytes, from, pass })
}

/// Of how many slices a series consists.
fn series(sighting: &Sighting) -> String {
    let Sighting::Whole(whole) = sighting else { return String::new() };
    whole.parts.first().map_or_else(String::new, |lead| render::series(&lead.path, whole.parts.len()))
}

fn sending(entry: &Entry) -> (Deed, String) {
    match (&entry.current, entry.copies.is_empty()) {
        (Some(_), _) => (Deed::UploadChanged, "its bytes differ from what lives in the cloud".to_owned()),
        (None, true) => (Deed::UploadNew, "it was never sent".to_owned()),
        (None, false) => (Deed::UploadNew, "no version of it lives in the cloud".to_owned()),
    }
}

/// What an instance at work has before it, by its ledger.
pub(super) fn read(reader: &Reader, of: &Mapping) -> Result<Outlook, Failure> {
    let mapping = &of.name;
    let mut planned = BTreeMap::new();
    let mut after: Option<RelPath> = None;
    loop {
        let page = reader.open_keys(mapping, after.as_ref(), PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.path.clone());
        for key in page {
            let entry = reader.entry(&key)?;
            planned.insert(key, ahead(&entry));
        }
    }
    for state in STANDING {
        for key in reader.in_state(mapping, state, usize::MAX)? {
            let entry = reader.entry(&key)?;
            planned.insert(key, ahead(&entry));
        }
    }
    let files = reader.standing(mapping)?.map(|standing| standing.files);
    let refreshes = blast::read(reader, of)?;
    Ok(Outlook { mapping: mapping.clone(), files, planned, refreshes, troubles: Vec::new() })
}

/// What is ahead of a bundle, by its row alone.
fn ahead(entry: &Entry) -> Planned {
    let bytes = match (entry.attempt.intent(), entry.seen) {
        (Some(intent), _) => intent.parts.iter().map(|part| part.content.size).sum(),
        (None, Some(seen)) => seen.content.size,
        (None, None) => 0,
    };
    let told = entry.reason().map(str::to_owned);
    let (deed, reason) = match (&entry.attempt, entry.state()) {
        (Attempt::Intended(_), _) => (sending(entry).0, "it is being sent".to_owned()),
        (Attempt::Ambiguous(_, doubt), _) => (Deed::LookUp, doubt.why.clone()),
        (Attempt::Sent(..), _) => (Deed::Follow, told.unwrap_or_else(|| "taken in".to_owned())),
        (Attempt::Converting(_, conversion), _) => {
            (Deed::Follow, told.unwrap_or_else(|| conversion.progress.clone()))
        }
        (Attempt::Idle, State::Ready) => sending(entry),
        (Attempt::Idle, State::Settling) => (Deed::Wait, told.unwrap_or_default()),
        (
            Attempt::Idle,
            State::Uploading
            | State::Converting
            | State::Synced
            | State::Ambiguous
            | State::Held
            | State::Blocked
            | State::ConversionFailed
            | State::Stalled
            | State::Suspect
            | State::Detached
            | State::Ignored
            | State::Deleted,
        ) => (Deed::Hold, told.unwrap_or_default()),
    };
    Planned { deed, reason, bytes, from: None, pass: Pass::Open }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::entry::Aside;
    use crate::timestamp::Timestamp;

    fn considered(entry: Entry, action: Action) -> Considered {
        Considered {
            entry,
            sighting: Sighting::Unlooked,
            origin: Origin::Nowhere,
            action,
            instead: Vec::new(),
            also: Vec::new(),
            heir: Heir::None,
        }
    }

    fn aside(state: AsideState) -> Aside {
        Aside { state, reason: "a reason".to_owned(), version: None, since: Timestamp::EPOCH }
    }

    #[test]
    fn a_file_that_rests_is_no_part_of_the_plan_unless_it_stands_aside() {
        assert_eq!(planned(&considered(Entry::default(), Action::Rest), 5), None);
        let held = Entry { aside: Some(aside(AsideState::Blocked)), ..Entry::default() };
        assert_eq!(planned(&considered(held, Action::Rest), 5).unwrap().deed, Deed::Hold);
    }

    #[test]
    fn what_was_never_sent_is_new() {
        let plan = planned(&considered(Entry::default(), Action::Consult), 5).unwrap();
        assert_eq!((plan.deed, plan.bytes), (Deed::UploadNew, 5));
    }

    #[test]
    fn what_is_gone_costs_no_bytes() {
        let action = Action::StandAside(aside(AsideState::Deleted), None);
        let plan = planned(&considered(Entry::default(), action), 5).unwrap();
        assert_eq!((plan.deed, plan.bytes), (Deed::Gone, 0));
    }
}
