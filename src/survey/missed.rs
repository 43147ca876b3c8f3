//! What is known and was not listed: every file below it is brought up, and a closer look says whether it is gone.

use super::{Found, Join, Stage};
use crate::disk::{Complete, Directory};
use crate::file::State;
use crate::ledger::{self, Known};

impl Join<'_> {
    /// A known file was not listed. Whether that means anything is for a closer look to say. Returns whether all is well.
    pub(super) fn missed(&self, directory: &Directory, known: &Known) -> bool {
        if is_told_gone(known.state) || self.stage == Stage::Dependents {
            return is_told_gone(known.state);
        }
        if directory.complete == Complete::Yes
            && let Ok(path) = directory.path.join(&known.name)
        {
            (self.visitor.found)(Found::Away(self.mapping.key(path)));
        }
        false
    }

    /// A known subdirectory was not listed: everything that is known below it needs a closer look.
    pub(super) fn missed_below(&self, directory: &Directory, child: &[u8]) -> Result<bool, ledger::Error> {
        const PAGE: usize = 500;
        let Ok(below) = directory.path.join(child) else { return Ok(true) };
        if directory.complete != Complete::Yes {
            return Ok(false);
        }
        let mut all_told = true;
        for member in self.ledger.members_below(&self.mapping.name, &below)? {
            all_told = false;
            if self.stage == Stage::Leads {
                (self.visitor.found)(Found::Away(self.mapping.key(member)));
            }
        }
        let mut after = None;
        loop {
            let page = self.ledger.keys_below(&self.mapping.name, &below, after.as_ref(), PAGE)?;
            for key in &page {
                if !is_told_gone(self.ledger.entry(key)?.state()) {
                    all_told = false;
                    if self.stage == Stage::Dependents {
                        continue;
                    }
                    (self.visitor.found)(Found::Away(key.clone()));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.path.clone()),
                Some(_) | None => return Ok(all_told),
            }
        }
    }
}

/// Whether the ledger already says that the file is not there, or not ours.
pub(super) fn is_told_gone(state: State) -> bool {
    matches!(state, State::Deleted | State::Detached)
}
