//! Where which base name lies, for a mapping that searches everywhere: walked before anything else, since a name that only one
//! file has can be told from one that several have only when all are known.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Error, Found, THREADS, Visitor};
use crate::assembly;
use crate::disk::{self, Complete, Directory, Root, Visit};
use crate::file::{Key, RelPath};
use crate::ledger::{self, Ledger, Listed};
use crate::mapping::{Mapping, Search};

/// How many directories, and names, are written in one transaction.
const DIRECTORIES_AT_ONCE: usize = 256;
const NAMES_AT_ONCE: usize = 16_384;

/// How many keys of the ledger are read at once.
const PAGE: usize = 500;

/// Takes note of what the configuration says of names and searching: where that is new, models are marked to be looked at.
///
/// # Errors
/// What the ledger says.
pub fn renew(ledger: &Ledger, mapping: &Mapping) -> Result<(), Error> {
    Ok(assembly::note_naming(ledger, mapping)?)
}

/// Takes note of all names in and below `from`, or of all there are if they are not known yet, and hands out the leads that
/// look for one which came or went.
pub(super) fn walk(
    ledger: &Ledger,
    root: &Root,
    mapping: &Mapping,
    from: &RelPath,
    cancel: &CancellationToken,
    visitor: Visitor<'_>,
) -> Result<(), Error> {
    let is_first = !ledger.knows_names(&mapping.name)?;
    let top = RelPath::root();
    let from = if is_first { &top } else { from };
    // Handed out only when the walk is over: until then a name may look like the only one.
    let leads: Mutex<BTreeSet<Key>> = Mutex::default();
    let failed: Mutex<Option<ledger::Error>> = Mutex::default();
    let batch: Mutex<Vec<Listed>> = Mutex::default();
    let is_there =
        |path: &RelPath| disk::admits(root, mapping, path).is_ok_and(|admission| admission.may_travel());
    let flush = |listed: &[Listed]| match ledger.put_names(&mapping.name, listed, &is_there) {
        Ok(told) => leads.lock().unwrap_or_else(PoisonError::into_inner).extend(told),
        Err(error) => {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    let directory = |directory: Directory| {
        let Some(listed) = listed(directory) else { return };
        let full = {
            let mut batch = batch.lock().unwrap_or_else(PoisonError::into_inner);
            batch.push(listed);
            let names: usize = batch.iter().map(|it| it.names.len()).sum();
            (batch.len() >= DIRECTORIES_AT_ONCE || names >= NAMES_AT_ONCE)
                .then(|| std::mem::take(&mut *batch))
        };
        if let Some(full) = full {
            flush(&full);
        }
    };
    let visit = Visit { enter: visitor.enter, directory: &directory };
    disk::scan(root, mapping, from, THREADS, cancel, visit)?;
    flush(&std::mem::take(&mut *batch.lock().unwrap_or_else(PoisonError::into_inner)));
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    // What they refer to now is written down first: an image is handed out by this very survey, and must not be taken for one
    // that no model uses.
    let call = |lead: Key| {
        drop(assembly::noted(ledger, root, mapping, &lead)?);
        (visitor.found)(Found::There(lead, 0));
        Ok::<_, Error>(())
    };
    if !is_first {
        let leads = leads.into_inner().unwrap_or_else(PoisonError::into_inner);
        return leads.into_iter().try_for_each(call);
    }
    ledger.names_are_known(&mapping.name)?;
    let mut after = None;
    loop {
        let page = ledger.seekers(&mapping.name, after.as_ref(), PAGE)?;
        page.iter().cloned().try_for_each(call)?;
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.path.clone()),
            Some(_) | None => return Ok(()),
        }
    }
}

/// Forgets the names in and below a directory that went away. Returns the leads that look for one of them.
///
/// # Errors
/// What the ledger says.
pub fn forget_below(ledger: &Ledger, mapping: &Mapping, dir: &RelPath) -> Result<Vec<Key>, ledger::Error> {
    match mapping.policy.search {
        Search::Near => Ok(Vec::new()),
        Search::Mapping => ledger.drop_names(&mapping.name, dir),
    }
}

/// What may be found by its name in a directory; nothing is said of one that could not be listed as a whole.
fn listed(directory: Directory) -> Option<Listed> {
    if directory.complete != Complete::Yes {
        return None;
    }
    let admitted = directory.files.into_iter().map(|(name, _)| name);
    let others = directory.ignored.into_iter().filter(|(_, why)| why.may_travel()).map(|(name, _)| name);
    let names = admitted.chain(others).collect();
    Some(Listed { directory: directory.path, names, directories: directory.directories })
}
