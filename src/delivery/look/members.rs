//! The members of a bundle: found by its references, looked at like the lead, or told as missing with the likely cure.

use std::collections::HashMap;
use std::time::Duration;

use super::finish::{reopened, unfinished};
use super::{Rested, bytes, cannot};
use crate::agenda::Errand;
use crate::ambient;
use crate::assembly;
use crate::bundle::{Absent, Bundle};
use crate::desk::{Desk, Post};
use crate::disk::{self, Kind};
use crate::file::entry::Travels;
use crate::file::sighting::{Seen, Whole};
use crate::file::{Entry, Fingerprint, Key, Part, PartName, RelPath, Sighting};
use crate::ledger;
use crate::mapping::format::is_unlisted;
use crate::mapping::{Admission, PartNames, UNVOUCHED};
use crate::plan::is_same_file;
use crate::references::{Resolution, readable};

/// The bundle of a lead whose own bytes are known: with its members, or what keeps it from being whole.
pub(super) fn join(
    desk: &Desk,
    post: &Post,
    entry: &Entry,
    errand: &Errand,
    whole: Whole,
) -> Result<Sighting, ledger::Error> {
    let lead = &errand.key;
    match assembly::noted(&desk.ledger, &post.root, &post.mapping, lead)? {
        Ok(bundle) => {
            for what in &bundle.unclear {
                if desk.ledger.note_once(lead, what, ambient::now())? {
                    tracing::warn!(bundle = %lead, "{what}");
                }
            }
            carry(desk, post, entry, errand, whole, &bundle)
        }
        Err(error) if error.is_gone() => Ok(Sighting::Restless(Duration::ZERO)),
        Err(error) => Ok(cannot(error)),
    }
}

/// The same, where it is known which files travel with it, and written down.
pub(super) fn carry(
    desk: &Desk,
    post: &Post,
    entry: &Entry,
    errand: &Errand,
    mut whole: Whole,
    bundle: &Bundle,
) -> Result<Sighting, ledger::Error> {
    let lead = &errand.key;
    let mut names: HashMap<PartName, RelPath> =
        whole.parts.iter().map(|part| (part.name.clone(), part.path.clone())).collect();
    for path in bundle.needs.keys() {
        if entry.travels == Travels::WithoutUnlisted && is_unlisted(path) {
            continue;
        }
        let key = Key::new(lead.mapping.clone(), path.clone());
        match member(desk, post, errand, &key)? {
            Member::Whole(part, seen, doubt) => {
                whole.doubts.extend(doubt);
                whole.members.push((path.clone(), seen));
                match names.get(&part.name) {
                    None => {
                        names.insert(part.name.clone(), path.clone());
                        whole.parts.push(part);
                    }
                    // Equal bytes under one name are sent once.
                    Some(first) if has_content(&whole, first, &part) => {}
                    Some(first) => {
                        return Ok(Sighting::Unfit(format!(
                            "two members of one name: {first} and {path} are both called {} and are not the same; rename one, or set `part_names = \"path\"`",
                            part.name
                        )));
                    }
                }
            }
            Member::Missing(why) => whole.missing.push(why),
            Member::Instead(sighting) => return Ok(sighting),
        }
    }
    let absent = bundle.missing.iter().filter_map(missing);
    whole.missing.extend(absent);
    if !whole.missing.is_empty() {
        // Exporters write the pieces one after another: a model that was written a moment ago may still become whole.
        let age = ambient::now().since(whole.seen.fingerprint.last_touched());
        let wait = post.mapping.policy.bundle_wait.saturating_sub(age);
        if !wait.is_zero() {
            return Ok(Sighting::Restless(wait));
        }
    }
    Ok(Sighting::Whole(whole))
}

fn has_content(whole: &Whole, path: &RelPath, part: &Part) -> bool {
    whole.parts.iter().any(|known| known.path == *path && known.content == part.content)
}

enum Member {
    Whole(Part, Seen, Option<String>),
    Missing(String),
    /// What the whole bundle looks like because of it.
    Instead(Sighting),
}

/// What is read of the member that the errand is about; none if it does not rest, or is nothing that travels.
pub(super) fn read(desk: &Desk, post: &Post, errand: &Errand) -> Result<Option<Seen>, ledger::Error> {
    Ok(match member(desk, post, errand, &errand.key)? {
        Member::Whole(_, seen, _) => Some(seen),
        Member::Missing(_) | Member::Instead(_) => None,
    })
}

fn member(desk: &Desk, post: &Post, errand: &Errand, key: &Key) -> Result<Member, ledger::Error> {
    let path = &key.path;
    match disk::admits(&post.root, &post.mapping, path) {
        Ok(admission) if admission.may_travel() => {}
        Ok(Admission::Admitted) => {}
        Ok(Admission::Ignored(ignored)) => {
            return Ok(Member::Missing(format!("{path} is left out: {}", ignored.rule)));
        }
        Err(error) if error.is_gone() => return Ok(Member::Missing(format!("{path} is not there"))),
        Err(error) => return Ok(Member::Instead(cannot(error))),
    }
    let stat = match disk::stat(&post.root, path) {
        Ok(stat) if stat.kind == Kind::File => stat.fingerprint,
        Ok(_) => return Ok(Member::Missing(format!("{path} is no regular file"))),
        Err(error) if error.is_gone() => return Ok(Member::Missing(format!("{path} is not there"))),
        Err(error) => return Ok(Member::Instead(cannot(error))),
    };
    let name = match post.mapping.policy.part_names {
        PartNames::Base => PartName::from_local(path.name()),
        PartNames::Path => PartName::relative(path, &errand.key.path),
    };
    let name = match name {
        Ok(name) => name,
        Err(unfit) => return Ok(Member::Instead(Sighting::Unfit(format!("member {path}: {unfit}")))),
    };
    let needed = post.mapping.policy.settle * UNVOUCHED;
    let wait = desk.restless.wait(key, &stat, needed, ambient::tick(), ambient::now());
    if !wait.is_zero() {
        let waited = ambient::tick().since(errand.noted);
        return Ok(Member::Instead(if waited >= post.mapping.policy.settle_max {
            Sighting::NeverRests(needed.max(wait))
        } else {
            Sighting::Restless(wait)
        }));
    }
    if stat.size == 0 {
        return Ok(Member::Missing(format!("{path} is empty")));
    }
    let row = last_read(desk, key, &stat)?;
    let rested = Rested::member(errand, &stat);
    let doubt = match unfinished(desk, post, row.as_ref(), path, &stat, rested) {
        Ok(doubt) => doubt,
        Err(sighting) => return Ok(Member::Instead(*sighting)),
    };
    Ok(match bytes(desk, post, row, path, &stat) {
        Ok(seen) => match reopened(desk, post, row.as_ref(), path, &seen, rested) {
            Some(unrest) => Member::Instead(unrest),
            None => {
                let is_changed = row.is_some_and(|row| row != seen) && desk.ledger.has_several_leads(key)?;
                if is_changed || desk.refreshes.read(key).is_some() {
                    desk.refreshes.changed(key, Some(seen));
                }
                Member::Whole(Part { name, path: path.clone(), content: seen.content }, seen, doubt)
            }
        },
        Err(sighting) => Member::Instead(*sighting),
    })
}

/// What was last read of a member: by the ledger, which learns of other bytes only when a model was sent with them, or by the step
/// of another model a moment ago, so that a texture is not read for each of a thousand.
fn last_read(desk: &Desk, key: &Key, stat: &Fingerprint) -> Result<Option<Seen>, ledger::Error> {
    match desk.refreshes.read(key).flatten().filter(|seen| is_same_file(seen, stat)) {
        Some(seen) => Ok(Some(seen)),
        None => desk.ledger.seen(key),
    }
}

/// What is missing, where it was looked for, and what probably helps; nothing for what lies elsewhere on purpose.
fn missing(absent: &Absent) -> Option<String> {
    match &absent.resolution {
        Resolution::Missing { tried, likely, sought: _ } => {
            let written = crate::file::shown(&readable(&absent.written));
            let looked = tried.first().map_or_else(String::new, |path| format!(", looked for {path}"));
            Some(format!("{written} is missing{looked}: {likely}"))
        }
        Resolution::Elsewhere(_) | Resolution::Found(_) => None,
    }
}
