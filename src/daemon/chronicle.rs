//! What the log is told: one line per finished delivery and per change of state, and repeated failures once with their count.

use std::collections::HashMap;
use std::time::Duration;

use crate::delivery::{Ended, held_since};
use crate::file::State;
use crate::timestamp::Tick;
use crate::verdict::{Blame, Failure, Verdict};

/// How often a failure that repeats itself is told.
const AGAIN: Duration = Duration::from_secs(30);

/// How often a failure is told that only a person can end.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// How many different failures are kept in mind.
const KEPT: usize = 64;

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    failures: HashMap<String, Told>,
}

#[derive(Debug)]
struct Told {
    at: Tick,
    since: u64,
}

impl Chronicle {
    /// Tells of a step what is worth telling.
    pub(super) fn step(&mut self, ended: &Ended, now: Tick) {
        if let Verdict::Failed(failure) = &ended.verdict {
            self.failure(failure, now);
        }
        if ended.was == ended.is {
            return;
        }
        let Some(entry) = &ended.entry else { return };
        let bundle = &ended.key;
        match ended.is {
            State::Synced => {
                let Some(current) = &entry.current else { return };
                tracing::info!(
                    %bundle,
                    source_file = %current.lead.source_file,
                    assets = current.parts().map(|part| part.assets.len()).sum::<usize>(),
                    bytes = current.parts().map(|part| part.part.content.size).sum::<u64>(),
                    "synced"
                );
            }
            // A thousand models wait for one reason: it is told once.
            State::Held
                if held_since(entry).is_some() && self.is_told(entry.reason().unwrap_or_default(), now) =>
            {
                tracing::debug!(%bundle, state = ended.is.word(), "state changed");
            }
            State::Held
            | State::Blocked
            | State::ConversionFailed
            | State::Stalled
            | State::Suspect
            | State::Ambiguous => {
                tracing::warn!(%bundle, state = ended.is.word(), "{}", entry.reason().unwrap_or_default());
            }
            State::Deleted | State::Detached => {
                tracing::info!(%bundle, state = ended.is.word(), "{}", entry.reason().unwrap_or_default());
            }
            State::Settling | State::Ready | State::Uploading | State::Converting | State::Ignored => {
                tracing::debug!(%bundle, state = ended.is.word(), "state changed");
            }
        }
    }

    /// Whether this was told a short while ago; if not, it counts as told now.
    fn is_told(&mut self, what: &str, now: Tick) -> bool {
        match self.failures.get_mut(what) {
            Some(told) if now.since(told.at) < AGAIN => true,
            Some(told) => {
                told.at = now;
                false
            }
            None => {
                if self.failures.len() >= KEPT {
                    self.failures.clear();
                }
                self.failures.insert(what.to_owned(), Told { at: now, since: 0 });
                false
            }
        }
    }

    /// Tells of a failure, unless it was told a short while ago.
    pub(super) fn failure(&mut self, Failure { blame, what, .. }: &Failure, now: Tick) {
        let again = match blame {
            // Somebody has to come; telling them more often brings nobody sooner.
            Blame::User | Blame::Mapping => AN_HOUR,
            Blame::File | Blame::Cloud | Blame::Room | Blame::Us => AGAIN,
        };
        if let Some(told) = self.failures.get_mut(what) {
            told.since += 1;
            if now.since(told.at) < again {
                return;
            }
            tracing::warn!(times = told.since, "{what}");
            *told = Told { at: now, since: 0 };
            return;
        }
        if self.failures.len() >= KEPT {
            self.failures.clear();
        }
        tracing::warn!("{what}");
        self.failures.insert(what.clone(), Told { at: now, since: 0 });
    }
}
