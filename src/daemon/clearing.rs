//! Quiet moments, in which it is reckoned what the policies of a mapping may take away from the cloud: everything that
//! appeared has been dealt with, so whatever was only moved is no longer among what is gone.

use std::sync::Arc;

use super::round::Round;
use super::{Daemon, Mode, Trouble};
use crate::agenda::Voucher;
use crate::ambient;
use crate::delivery::{self, Ended};
use crate::file::{MappingName, State};
use crate::worker::blocking;

impl Daemon {
    /// Something ended after which there may be something to take away.
    pub(super) fn may_clear(&mut self, ended: &Ended) {
        if matches!(ended.is, State::Deleted | State::Synced) {
            self.owes_reckoning(&ended.key.mapping.clone());
        }
    }

    pub(super) fn owes_reckoning(&mut self, mapping: &MappingName) {
        let is_destructive =
            self.desk.posts.get(mapping).is_some_and(|post| post.mapping.policy.is_destructive());
        if is_destructive {
            self.reckonings.insert(mapping.clone());
        }
    }

    /// Grants what may be taken, and tells what has to wait for a person. Does nothing while anything is under way.
    pub(super) async fn reckon(&mut self) {
        if self.reckonings.is_empty() || self.is_cramped() || !self.is_quiet() {
            return;
        }
        for name in std::mem::take(&mut self.reckonings) {
            let Some(post) = self.desk.posts.get(&name).cloned() else { continue };
            // Without a whole view of the tree nobody knows what is gone; the survey that gives one reckons again.
            if !self.rounds.get(&name).is_some_and(Round::is_known) {
                continue;
            }
            let desk = Arc::clone(&self.desk);
            let reckoned = match blocking(move || delivery::reckon(&desk, &post)).await {
                Ok(reckoned) => reckoned,
                Err(error) => {
                    self.ledger_failed(&error);
                    return;
                }
            };
            for key in reckoned.granted {
                self.agenda.note(key, Voucher::Scanned, ambient::tick(), std::time::Duration::ZERO);
            }
            if let Some(round) = self.rounds.get_mut(&name) {
                round.hold_deletions(reckoned.waits.clone(), &mut self.observer);
            }
            match (reckoned.waits, self.mode) {
                (Some(why), Mode::Once(_)) => {
                    self.troubles.insert(name, Trouble::Halted(why));
                }
                (Some(_), Mode::Watch) | (None, Mode::Once(_) | Mode::Watch) => {}
            }
        }
    }
}
