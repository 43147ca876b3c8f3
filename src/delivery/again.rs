//! Bundles that a person wants tried again: found in the ledger, and written down as ready. Tries nothing itself.

use std::collections::HashSet;

use crate::ambient;
use crate::file::entry::AsideState;
use crate::file::{Key, MappingName, RelPath};
use crate::ledger::{self, Ledger};
use crate::plan::{self, REARMED};

/// How many are written in one transaction.
const AT_ONCE: usize = 256;

/// Up to how many get a line in their journal, which costs each a transaction of its own.
const TOLD: usize = 64;

/// What is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rearmed {
    /// Written down as ready.
    pub keys: Vec<Key>,
    /// Left as they are, because a step of them is out that would write over it.
    pub out: Vec<Key>,
}

/// Lifts what keeps the bundles in and below a path of a mapping from being tried again. Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says.
pub fn rearm(
    ledger: &Ledger,
    mapping: &MappingName,
    below: &RelPath,
    out: &HashSet<Key>,
) -> Result<Rearmed, ledger::Error> {
    let now = ambient::now();
    // What a texture keeps back is lifted by its path, too.
    let carriers: HashSet<Key> = if below.is_root() {
        HashSet::new()
    } else {
        ledger.leads_below(mapping, below)?.into_iter().collect()
    };
    let mut rearmed = Rearmed::default();
    let mut batch = Vec::new();
    for state in REARMED {
        for key in ledger.keys_in_state(mapping, state.state())? {
            let is_carrier = state == AsideState::Held && carriers.contains(&key);
            if !is_carrier && !key.path.is_below(below) {
                continue;
            }
            if out.contains(&key) {
                rearmed.out.push(key);
            } else if let Some(entry) = plan::rearm(&ledger.entry(&key)?, now) {
                if state == AsideState::Suspect {
                    ledger.believe_members(&key)?;
                }
                ledger.absolve(&key)?;
                rearmed.keys.push(key.clone());
                batch.push((key, entry));
            }
        }
    }
    if batch.len() <= TOLD {
        for (key, entry) in &batch {
            ledger.put(key, entry, Some("to be tried again (versync retry)"), now)?;
        }
    } else {
        batch.chunks(AT_ONCE).try_for_each(|chunk| ledger.put_all(chunk, now))?;
    }
    Ok(rearmed)
}
