//! When the loop rests: nothing is left to do, or nothing may begin before a moment that is known. Begins nothing itself.

use std::time::Duration;

use super::round::Round;
use super::{Daemon, Event, FINDINGS, Mode, SURVEYS, Why, steer};
use crate::ambient;

impl Daemon {
    /// Notices that nothing is left to do: the end of a `sync`, a quiet moment of a `run`.
    pub(super) fn rest(&mut self) {
        let is_quiet = self.is_quiet();
        if is_quiet && !self.was_quiet {
            (self.observer)(&Event::Quiet);
        }
        self.was_quiet = is_quiet;
        if is_quiet && matches!(self.mode, Mode::Once(_)) {
            let left = self.pass.as_mut().and_then(|pass| pass.left.take());
            self.end = Some(left.map_or(Why::Finished, Why::CloudTrouble));
        }
        if is_quiet && !matches!(self.end, Some(Why::CloudTrouble(_))) {
            self.note_whole();
        }
        if is_quiet && self.mode == Mode::Watch {
            self.record.begin(&self.desk);
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        // What waits for a dead file system is over as far as anybody can tell.
        let (stuck, stuck_surveys) = self.stuck();
        self.agenda.len() == stuck
            && self.jobs.len() == stuck_surveys
            && self.rounds.values().all(|round| round.is_idle() || round.is_silent())
            && self.found.capacity() == FINDINGS
    }

    pub(super) fn next_wake(&self, watchdog: Option<Duration>) -> Option<Duration> {
        let now = ambient::tick();
        let (stuck, stuck_surveys) = self.stuck();
        let full = self.agenda.out() >= self.desk.patience.uploads * 2 + 8 + stuck;
        let may_begin = !full && !self.is_cramped();
        let may_survey = self.jobs.len() < SURVEYS + stuck_surveys && !self.is_cramped();
        let due = self.agenda.next_due().filter(|_| may_begin).map(|due| due.since(now));
        let surveys = match self.mode {
            Mode::Watch if may_survey => self.rounds.values().filter_map(Round::next_survey).min(),
            Mode::Watch | Mode::Once(_) => None,
        };
        let told = (!self.barriers.is_empty()).then_some(steer::TOLD_EVERY);
        let (vigil, lull) = (self.next_vigil(now), self.next_lull(now));
        let room = self.next_look_for_room().map(|next| next.since(now));
        let record = if self.was_quiet { self.record.pause(now) } else { None };
        let all = [room, due, surveys.map(|due| due.since(now)), watchdog, told, vigil, lull, record];
        all.into_iter().flatten().min()
    }
}
