//! A bundle as the ledger keeps it: which files make it another one, which names it looks for everywhere, and what it was sent with.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use super::{Assembly, Names};
use crate::bundle::Bundle;
use crate::disk::{self, Kind, Root};
use crate::file::entry::Current;
use crate::file::{Entry, Key, RelPath, folded};
use crate::ledger::{self, Ledger, Lies, Searches};
use crate::mapping::{Mapping, Search};
use crate::references::readable;

/// What travels with a lead, written down: the files that make it another bundle, and the names that it looks for everywhere.
/// Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says; inside, what the disk says of the lead itself.
pub fn noted(
    ledger: &Ledger,
    root: &Root,
    mapping: &Mapping,
    lead: &Key,
) -> Result<Result<Bundle, disk::Error>, ledger::Error> {
    let mut assembly = Assembly::new(root.clone());
    let bundle = match mapping.policy.search {
        Search::Near => assembly.bundle(&lead.path),
        Search::Mapping => {
            let failed = Cell::new(None);
            let named = |name: &[u8]| {
                let mut found = ledger.named(&mapping.name, name).unwrap_or_else(|error| {
                    failed.set(Some(error));
                    Vec::new()
                });
                found.retain(|path| may_travel(root, mapping, path));
                found
            };
            let sent = Sent::of(&ledger.entry(lead)?, &ledger.references(lead)?);
            let kept = |written: &[u8]| sent.kept(written, root, mapping);
            let names = Names { named: &named, kept: &kept, search: Search::Mapping };
            let mut bundle = assembly.bundle_with(&lead.path, names);
            // A file may have come after it was looked for and before that was known.
            for _ in 0..ROUNDS {
                match &bundle {
                    Ok(found) if ledger.put_sought(lead, &found.sought)? => {}
                    Ok(_) | Err(_) => break,
                }
                bundle = assembly.bundle_with(&lead.path, names);
            }
            if let Some(error) = failed.into_inner() {
                return Err(error);
            }
            bundle
        }
    };
    if let Ok(bundle) = &bundle {
        ledger.put_references(lead, &bundle.watched())?;
    }
    Ok(bundle)
}

/// How many times what a lead looks for may become something else while it is looked at.
const ROUNDS: usize = 4;

/// Takes note of how a mapping names parts and how far it searches. Where that is not as it was, every model with members is
/// looked at again; the version tells whether anything is sent.
///
/// # Errors
/// What the ledger says.
pub fn note_naming(ledger: &Ledger, mapping: &Mapping) -> Result<(), ledger::Error> {
    let policy = &mapping.policy;
    let naming = format!("{} {}", policy.part_names.word(), policy.search.word());
    let searches = match policy.search {
        Search::Near => Searches::Nearby,
        Search::Mapping => Searches::Everywhere,
    };
    ledger.put_naming(&mapping.name, &naming, searches)
}

/// Takes note of whether a file lies at a path, where a mapping searches everywhere. Returns the leads that look for its name,
/// if that is news. Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says.
pub fn note_name(
    ledger: &Ledger,
    root: &Root,
    mapping: &Mapping,
    path: &RelPath,
) -> Result<Vec<Key>, ledger::Error> {
    match mapping.policy.search {
        Search::Near => Ok(Vec::new()),
        Search::Mapping => {
            let lies = if may_travel(root, mapping, path) { Lies::There } else { Lies::Nowhere };
            ledger.put_name(&mapping.key(path.clone()), lies)
        }
    }
}

/// Whether a file lies at a path that may travel with a model.
#[must_use]
pub fn may_travel(root: &Root, mapping: &Mapping, path: &RelPath) -> bool {
    disk::admits(root, mapping, path).is_ok_and(|admission| admission.may_travel())
        && disk::stat(root, path).is_ok_and(|stat| stat.kind == Kind::File)
}

/// The files that were sent with a lead, also those of an attempt that is open.
#[derive(Debug, Default)]
pub struct Sent {
    /// By the names as written that led to them.
    named: HashMap<String, RelPath>,
    /// Those that no name led to when it was last looked: they were not there.
    others: Vec<RelPath>,
}

impl Sent {
    /// What the ledger knows of it.
    #[must_use]
    pub fn of(entry: &Entry, references: &[(RelPath, String)]) -> Self {
        let current = entry.current.iter().flat_map(Current::parts).map(|part| &part.part.path);
        let attempt = entry.attempt.intent().into_iter().flat_map(|intent| &intent.parts);
        let paths: BTreeSet<&RelPath> = current.chain(attempt.map(|part| &part.path)).collect();
        let named = references.iter().filter(|(path, _)| paths.contains(path));
        let named: HashMap<_, _> = named.map(|(path, written)| (written.clone(), path.clone())).collect();
        let is_named = |path: &RelPath| named.values().any(|known| known == path);
        let others = paths.into_iter().filter(|path| !is_named(path)).cloned().collect();
        Self { named, others }
    }

    /// The file that was sent for a name, if it is still there. One that was away is known again by its base name.
    #[must_use]
    pub fn kept(&self, written: &[u8], root: &Root, mapping: &Mapping) -> Option<RelPath> {
        let name = written.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
        let again = || {
            let mut alike = self.others.iter().filter(|path| folded(path.name()) == folded(name));
            alike.next().filter(|_| alike.next().is_none())
        };
        let path = self.named.get(&readable(written)).or_else(again)?;
        may_travel(root, mapping, path).then(|| path.clone())
    }
}
