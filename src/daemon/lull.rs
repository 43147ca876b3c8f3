//! Lulls: what is held because shared files have changed is looked at again once they may have stood still for long enough. One
//! appointment for each mapping, since there may be ten thousand models.

use std::time::Duration;

use super::walk::Job;
use super::{Daemon, Mode};
use crate::ambient;
use crate::delivery::{self, Ended};
use crate::file::{MappingName, RelPath};
use crate::timestamp::Tick;

/// The shortest time to the next look, as a part of what is waited for: something else of the mapping was touched since.
const AT_LEAST: u32 = 8;

impl Daemon {
    /// A step may have found a bundle held, or left it so.
    pub(super) fn may_lull(&mut self, ended: &Ended) {
        let Some(since) = ended.entry.as_deref().and_then(delivery::held_since) else { return };
        let Some(post) = self.desk.posts.get(&ended.key.mapping) else { return };
        let wait = post.mapping.policy.refresh_wait;
        let left = wait.saturating_sub(ambient::now().since(since)).max(wait / AT_LEAST);
        let due = ambient::tick().plus(left);
        let lull = self.lulls.entry(ended.key.mapping.clone()).or_insert(due);
        *lull = due.min(*lull);
    }

    /// Has the mappings walked whose time has come: the files are met that are not what the models were sent with.
    pub(super) fn end_lulls(&mut self) {
        let now = ambient::tick();
        let over: Vec<MappingName> =
            self.lulls.iter().filter(|(_, due)| **due <= now).map(|(name, _)| name.clone()).collect();
        for name in over {
            self.lulls.remove(&name);
            if let (Some(round), Mode::Watch) = (self.rounds.get_mut(&name), self.mode) {
                round.want(Job::survey(RelPath::root()));
            }
        }
    }

    pub(super) fn next_lull(&self, now: Tick) -> Option<Duration> {
        self.lulls.values().min().map(|due| due.since(now))
    }
}
