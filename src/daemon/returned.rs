//! Steps that are back: what their ends mean for the agenda, for the mapping, for those who wait and for the loop itself.

use std::time::Duration;

use tokio::task::{Id, JoinError};

use super::once::{self, Release};
use super::round::Round;
use super::{Daemon, Event, MappingState, Mode, Trouble, Why};
use crate::agenda::Reach;
use crate::ambient;
use crate::delivery::Ended;
use crate::file::{Key, MappingName, State};
use crate::mapping::format::is_dependent;
use crate::survey::Found;
use crate::verdict::{Blame, Failure, Verdict};

/// How often the steps of a bundle may panic in a row before it is set aside.
pub(super) const PANICS: u32 = 3;

impl Daemon {
    pub(super) fn stepped(&mut self, stepped: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match stepped {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => (error.id(), None),
        };
        let Some(key) = self.out.remove(&id) else { return };
        let now = ambient::tick();
        self.pulse.stir();
        let mut ended = match ended {
            Some(ended) => {
                self.forgive(&ended);
                ended
            }
            None => self.panicked(&key),
        };
        let release = self.pass.as_mut().and_then(|pass| pass.releases(&ended));
        let told = match release {
            Some(Release::Reached) => Verdict::Done,
            Some(Release::Left) | None => ended.verdict.clone(),
        };
        if release.is_some() {
            ended.verdict = Verdict::Done;
        }
        self.agenda.close(&key, &ended.verdict, ended.reach, now, ambient::dice());
        for also in &ended.also {
            match self.rounds.get_mut(&also.mapping) {
                Some(round) if is_dependent(&also.path) => round.release(also.clone()),
                Some(_) | None => self.note_found(Found::There(also.clone(), 0)),
            }
        }
        self.note_released(&key.mapping);
        if self.rounds.get(&key.mapping).is_some_and(Round::is_paused) {
            self.agenda.drop_mapping(&key.mapping);
        }
        for barrier in &mut self.barriers {
            barrier.stepped(&ended, &self.agenda);
        }
        if !self.agenda.contains(&key) {
            let bytes = ended.entry.as_ref().and_then(|entry| entry.seen).map_or(0, |seen| seen.content.size);
            self.desk.meter.finished(bytes);
        }
        self.may_clear(&ended);
        self.may_lull(&ended);
        self.chronicle.step(&ended, now);
        if ended.was != ended.is || ended.reach == Reach::Cloud {
            self.record.touch();
        }
        match &told {
            Verdict::Failed(failure) => self.failed(&key, failure.clone()),
            Verdict::Done | Verdict::LookAgain(_) | Verdict::Instead(_) => {
                if ended.reach == Reach::Cloud {
                    self.went_well(&key.mapping);
                }
            }
        }
        (self.observer)(&Event::Stepped(ended));
    }

    /// Notes the files that bundles of a mapping carry no more, unless it is being walked.
    pub(super) fn note_released(&mut self, mapping: &MappingName) {
        let released = self.rounds.get_mut(mapping).map(Round::take_released);
        for key in released.into_iter().flatten() {
            self.note_found(Found::There(key, 0));
        }
    }

    fn failed(&mut self, key: &Key, failure: Failure) {
        match (failure.blame, self.mode) {
            (Blame::Room | Blame::Us, _) => self.ours(failure),
            (Blame::User, Mode::Once(_)) => self.end = Some(Why::NeedsLogin(failure)),
            (Blame::User, Mode::Watch) => {
                for round in self.rounds.values_mut() {
                    round.hamper(MappingState::NeedsLogin, failure.what.clone(), &mut self.observer);
                }
            }
            (Blame::Cloud, Mode::Once(_)) if self.agenda.failures() >= once::PATIENCE => {
                self.end = Some(Why::CloudTrouble(failure));
            }
            (Blame::Mapping, mode) => {
                if let Some(round) = self.rounds.get_mut(&key.mapping) {
                    round.hamper(MappingState::Halted, failure.what.clone(), &mut self.observer);
                }
                self.troubles.insert(key.mapping.clone(), Trouble::Refused(failure));
                if matches!(mode, Mode::Once(_)) {
                    self.agenda.drop_mapping(&key.mapping);
                    if let Some(round) = self.rounds.get_mut(&key.mapping) {
                        round.give_up();
                    }
                }
            }
            (Blame::File | Blame::Cloud, _) => {}
        }
    }

    fn went_well(&mut self, mapping: &MappingName) {
        for (name, round) in &mut self.rounds {
            round.relieve(MappingState::NeedsLogin, &mut self.observer);
            if name == mapping {
                round.relieve(MappingState::Halted, &mut self.observer);
            }
        }
        if matches!(self.troubles.get(mapping), Some(Trouble::Refused(_))) {
            self.troubles.remove(mapping);
        }
    }

    /// A panic takes one bundle's step down and nothing else; it comes round again, ever later, and is set aside in the end.
    fn panicked(&mut self, key: &Key) -> Ended {
        tracing::error!(bundle = %key, "a step panicked; this is a fault of versync");
        let panics = self.panics.entry(key.clone()).or_default();
        *panics += 1;
        let verdict = if *panics >= PANICS {
            Verdict::LookAgain(Duration::ZERO)
        } else {
            Verdict::Failed(Failure::new(Blame::File, "failed to finish a step: internal error"))
        };
        Ended {
            key: key.clone(),
            verdict,
            reach: Reach::Local,
            was: State::Ready,
            is: State::Ready,
            entry: None,
            also: Vec::new(),
        }
    }

    /// A bundle that was set aside gets one try at a time from then on; one that went well starts anew.
    fn forgive(&mut self, ended: &Ended) {
        match self.panics.get_mut(&ended.key) {
            Some(panics) if *panics >= PANICS => *panics = PANICS - 1,
            Some(_) => drop(self.panics.remove(&ended.key)),
            None => {}
        }
    }
}
