//! What travels with a model as its mapping searches for it, for commands that look for themselves: files of a name are found by
//! walking the mapping, and only if a name has to be looked for so. Writes nothing.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::assembly::{Assembly, Names, Sent};
use crate::bundle::Bundle;
use crate::disk::{self, Directory, Root, Visit};
use crate::file::{RelPath, folded};
use crate::ledger::{MOST_NAMESAKES, Reader};
use crate::mapping::{Mapping, Search};

/// How many times what was found names more that has to be looked for.
const ROUNDS: usize = 32;

/// The models below one root, and the files of the names that were looked for so far.
#[derive(Debug)]
pub(super) struct Namesakes {
    assembly: Assembly,
    root: Root,
    found: HashMap<Vec<u8>, Vec<RelPath>>,
}

impl Namesakes {
    /// Nothing is known of the files below `root` yet.
    pub(super) fn new(root: Root) -> Self {
        Self { assembly: Assembly::new(root.clone()), root, found: HashMap::new() }
    }

    /// What travels with `lead`. Without a mapping nothing is searched that its names do not lead to.
    pub(super) fn bundle(
        &mut self,
        lead: &RelPath,
        mapping: Option<(&Mapping, &Path)>,
    ) -> Result<Bundle, disk::Error> {
        let Some((mapping, state_dir)) = mapping else { return self.assembly.bundle(lead) };
        let sent = match mapping.policy.search {
            Search::Near => Sent::default(),
            Search::Mapping => sent(state_dir, mapping, lead),
        };
        let root = self.root.clone();
        let kept = |written: &[u8]| sent.kept(written, &root, mapping);
        let mut round = 0;
        loop {
            let wanted = RefCell::new(BTreeSet::new());
            let found = &self.found;
            let named = |name: &[u8]| {
                let name = folded(name);
                let known = found.get(&name).cloned();
                known.unwrap_or_else(|| {
                    wanted.borrow_mut().insert(name);
                    Vec::new()
                })
            };
            let names = Names { named: &named, kept: &kept, search: mapping.policy.search };
            let bundle = self.assembly.bundle_with(lead, names);
            let wanted = wanted.into_inner();
            round += 1;
            if wanted.is_empty() || bundle.is_err() || round > ROUNDS {
                return bundle;
            }
            let walked = walk(&self.root, mapping, &wanted);
            self.found.extend(wanted.into_iter().map(|name| (name, Vec::new())));
            self.found.extend(walked);
        }
    }
}

/// What was sent with a lead, where a ledger is there to tell.
fn sent(state_dir: &Path, mapping: &Mapping, lead: &RelPath) -> Sent {
    let key = mapping.key(lead.clone());
    let read = Reader::open(state_dir)
        .and_then(|reader| Ok(Sent::of(&reader.entry(&key)?, &reader.references(&key)?)));
    read.unwrap_or_default()
}

/// The files of these names, folded, that may travel with a model. What cannot be listed has none.
fn walk(root: &Root, mapping: &Mapping, wanted: &BTreeSet<Vec<u8>>) -> HashMap<Vec<u8>, Vec<RelPath>> {
    let found: Mutex<HashMap<Vec<u8>, Vec<RelPath>>> = Mutex::default();
    let directory = |directory: Directory| {
        let admitted = directory.files.iter().map(|(name, _)| name);
        let others = directory.ignored.iter().filter(|(_, why)| why.may_travel()).map(|(name, _)| name);
        for name in admitted.chain(others) {
            let is_wanted = Some(folded(name)).filter(|name| wanted.contains(name));
            if let (Some(of), Ok(path)) = (is_wanted, directory.path.join(name)) {
                found.lock().unwrap_or_else(PoisonError::into_inner).entry(of).or_default().push(path);
            }
        }
    };
    let visit = Visit { enter: &|_| {}, directory: &directory };
    // A tree that cannot be walked has no other file to offer; what a name leads to was looked at all the same.
    drop(disk::scan(root, mapping, &RelPath::root(), 2, &CancellationToken::new(), visit));
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    for paths in found.values_mut() {
        paths.sort_unstable();
        paths.truncate(MOST_NAMESAKES);
    }
    found
}
