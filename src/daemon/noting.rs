//! From hints and findings to the agenda: what was heard of a path, and how long it is waited before it is looked at.

use std::time::Duration;

use super::walk::Job;
use super::{Daemon, Mode, Trouble};
use crate::agenda::Voucher;
use crate::ambient;
use crate::disk::{Hint, IGNORE_FILE, Signal as DiskSignal};
use crate::file::RelPath;
use crate::mapping::UNVOUCHED;
use crate::survey::Found;

impl Daemon {
    pub(super) fn note_found(&mut self, found: Found) {
        let now = ambient::tick();
        let (Found::There(key, _) | Found::Changed(key, _) | Found::Away(key)) = &found;
        let is_refused = matches!(self.troubles.get(&key.mapping), Some(Trouble::Refused(_)));
        if is_refused && matches!(self.mode, Mode::Once(_)) {
            return;
        }
        // The survey that ends the pause finds it again.
        let Some(round) = self.rounds.get_mut(&key.mapping) else { return };
        if round.is_paused() || round.is_silent() {
            return;
        }
        if matches!(found, Found::Changed(..)) && !self.agenda.contains(key) {
            round.found_unheard(&key.path);
        }
        let (key, bytes, wait) = match found {
            Found::There(key, bytes) | Found::Changed(key, bytes) => (key, bytes, Duration::ZERO),
            Found::Away(key) => {
                let wait = match self.mode {
                    // Somebody who waits for a pass does not wait for what may come back.
                    Mode::Watch if !self.is_awaited(&key) => self
                        .desk
                        .posts
                        .get(&key.mapping)
                        .map_or(Duration::ZERO, |post| post.mapping.policy.delete_settle),
                    Mode::Watch | Mode::Once(_) => Duration::ZERO,
                };
                (key, 0, wait)
            }
        };
        if !self.agenda.contains(&key) {
            self.desk.meter.found(bytes);
        }
        for barrier in &mut self.barriers {
            barrier.met(&key, bytes);
        }
        self.agenda.note(key, Voucher::Scanned, now, wait);
    }

    pub(super) fn note_hint(&mut self, hint: Hint) {
        let Some(post) = self.desk.posts.get(hint.mapping()) else { return };
        let Some(round) = self.rounds.get_mut(hint.mapping()) else { return };
        if round.is_paused() || round.is_silent() {
            return;
        }
        match &hint {
            Hint::Path { path, .. } | Hint::Below { path, .. } | Hint::Vanished { path, .. } => {
                round.heard(path);
                if matches!(hint, Hint::Below { .. }) {
                    round.heard_below(path);
                }
                if path.name() == IGNORE_FILE.as_bytes() {
                    round.excuse();
                }
            }
            Hint::Whole(_) => round.excuse(),
        }
        match hint {
            // Other files may be admitted now, or no longer.
            Hint::Path { path, .. } | Hint::Vanished { path, .. }
                if path.name() == IGNORE_FILE.as_bytes() =>
            {
                round.want(Job::survey(path.parent()));
            }
            Hint::Path { path, signal, .. } => {
                if !post.mapping.filter.admits_file(&path).may_travel() {
                    return;
                }
                if path.extension().is_none() {
                    // A directory that may be entered again is told like this, and what is in it was never seen.
                    if signal == DiskSignal::Touched {
                        round.want(Job::survey(path));
                    }
                    return;
                }
                let policy = &post.mapping.policy;
                let (voucher, quiet) = match signal {
                    DiskSignal::Closed => (Voucher::Closed, policy.settle),
                    DiskSignal::Touched => (Voucher::Touched, policy.settle * UNVOUCHED),
                };
                let key = post.mapping.key(path);
                if !self.agenda.contains(&key) {
                    self.desk.meter.found(0);
                }
                self.agenda.note_within(key, voucher, ambient::tick(), quiet, policy.settle_max);
            }
            Hint::Below { path, .. } => round.want(Job::survey(path)),
            Hint::Whole(_) => round.want(Job::survey(RelPath::root())),
            Hint::Vanished { path, .. } => round.want(Job::vanished(path)),
        }
    }

    pub(super) fn want_everything(&mut self) {
        for round in self.rounds.values_mut() {
            round.excuse();
            round.want(Job::survey(RelPath::root()));
        }
    }
}
