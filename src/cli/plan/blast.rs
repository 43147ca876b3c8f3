//! How far the change of a shared file reaches: how many models it sends anew, and whether that is held.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::{Deed, Pass, Planned, Refresh};
use crate::ambient;
use crate::cli::failure::Failure;
use crate::desk::Desk;
use crate::disk::{self, Kind, Look, Root};
use crate::file::content::Content;
use crate::file::{Entry, Key, RelPath, State};
use crate::ledger::{self, Reader};
use crate::mapping::Mapping;
use crate::plan::is_same_file;
use crate::plan::refresh;

/// Of a mapping that was walked: the files that were met and had changed.
pub(super) fn survey(
    desk: &Desk,
    mapping: &Mapping,
    planned: &BTreeMap<Key, Planned>,
) -> Result<BTreeMap<RelPath, Refresh>, Failure> {
    let mut changed = Vec::new();
    for (path, seen) in desk.refreshes.all(&mapping.name) {
        if desk.ledger.has_several_leads(&Key::new(mapping.name.clone(), path.clone()))? {
            changed.push((path, seen.map(|seen| seen.content)));
        }
    }
    let all = desk.ledger.outdated(&mapping.name, &changed)?;
    let mut refreshes = BTreeMap::new();
    for file in changed.into_iter().filter(|(path, _)| all.files.contains(path)) {
        let is_too_much = is_too_much(desk, mapping, &file.0)?;
        let is_held = |lead: &Key| {
            planned.get(lead).is_some_and(|it| match it.deed {
                // What does not rest yet is held once it does.
                Deed::Wait => is_too_much,
                _ => it.pass == Pass::Held,
            })
        };
        let is_held = desk.ledger.leads_of(&mapping.name, &file.0)?.iter().any(is_held);
        let pass = if is_held { Pass::Held } else { Pass::Open };
        let path = file.0.clone();
        let extent = desk.ledger.outdated(&mapping.name, &[file])?.extent;
        refreshes.insert(path, Refresh { extent, pass });
    }
    Ok(refreshes)
}

/// Whether a file sends too much anew, together with what changed in one go with it.
fn is_too_much(desk: &Desk, mapping: &Mapping, file: &RelPath) -> Result<bool, ledger::Error> {
    let (name, policy, now) = (&mapping.name, &mapping.policy, ambient::now());
    let waves = desk.refreshes.waves(name, std::iter::once(file), policy.settle_max, now);
    let known = desk.refreshes.of(name, &waves, policy.settle_max, now);
    let changed: Vec<_> =
        known.into_iter().map(|(path, seen)| (path, seen.map(|seen| seen.content))).collect();
    let extent = desk.ledger.outdated(name, &changed)?.extent;
    Ok(extent.exceeds(&policy.max_refresh) && !policy.refresh_wait.is_zero())
}

/// Of a mapping that somebody else works on: the files that what is held was sent with, and that are others now. Reads only
/// those whose stat has changed.
pub(super) fn read(reader: &Reader, mapping: &Mapping) -> Result<BTreeMap<RelPath, Refresh>, Failure> {
    let root = Root::new(mapping.root.clone());
    let mut members = BTreeSet::new();
    for key in reader.in_state(&mapping.name, State::Held, usize::MAX)? {
        let entry = reader.entry(&key)?;
        if refresh::held(&entry).is_some() {
            members.extend(carried(&entry));
        }
    }
    let mut refreshes = BTreeMap::new();
    for path in members {
        let key = Key::new(mapping.name.clone(), path.clone());
        if !reader.has_several_leads(&key)? {
            continue;
        }
        let Some(content) = content(reader, &root, &key)? else { continue };
        let extent = reader.outdated(&mapping.name, &[(path.clone(), Some(content))])?.extent;
        if extent.models > 0 {
            refreshes.insert(path, Refresh { extent, pass: Pass::Held });
        }
    }
    Ok(refreshes)
}

fn carried(entry: &Entry) -> impl Iterator<Item = RelPath> {
    entry.current.iter().flat_map(|current| &current.members).map(|member| member.part.path.clone())
}

/// What a file holds now; none if that cannot be said.
fn content(reader: &Reader, root: &Root, key: &Key) -> Result<Option<Content>, ledger::Error> {
    let Ok(stat) = disk::stat(root, &key.path) else { return Ok(None) };
    if stat.kind != Kind::File {
        return Ok(None);
    }
    if let Some(row) = reader.seen(key)?.filter(|row| is_same_file(row, &stat.fingerprint)) {
        return Ok(Some(row.content));
    }
    Ok(match disk::read(root, &key.path, ambient::now(), &CancellationToken::new()) {
        Ok(Look::Whole(seen)) => Some(seen.content),
        Ok(Look::Changed) | Err(_) => None,
    })
}
