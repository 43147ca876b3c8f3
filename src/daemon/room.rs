//! No room on the disk of the ledger: nothing begins until there is some again. What cannot be remembered is not sent, and a
//! step whose last write failed has left behind what a kill would have left. It is told once, and ends by itself.

use std::time::Duration;

use bytesize::ByteSize;

use super::{Daemon, MappingState, Mode, Why};
use crate::ambient;
use crate::ledger;
use crate::timestamp::Tick;
use crate::verdict::{Blame, Failure};
use crate::worker::blocking;

/// How often it is looked for room.
const LOOK: Duration = Duration::from_secs(5);

/// There is no room.
#[derive(Debug)]
pub(super) struct Cramped {
    failure: Failure,
    /// When it is looked for room again.
    next: Tick,
}

impl Daemon {
    /// The ledger could not be used. A loop that watches outlives a full disk; everything else ends it, and so does a full disk a
    /// loop for which somebody waits.
    pub(super) fn ledger_failed(&mut self, error: &ledger::Error) {
        self.ours(Failure::new(error.blame(), error.to_string()));
    }

    /// As [`Daemon::ledger_failed`], for a failure that was told already.
    pub(super) fn ours(&mut self, failure: Failure) {
        if failure.blame != Blame::Room || self.mode != Mode::Watch {
            self.end = Some(Why::OurTrouble(failure));
            return;
        }
        if self.cramped.is_some() {
            return;
        }
        // A disk may stay between full and enough for ever, so a person is told how much that is.
        let wanted = match self.desk.ledger.wanted_room() {
            Ok(bytes) => format!("{} are free", ByteSize(bytes).display().iec()),
            Err(_) => "there is room".to_owned(),
        };
        let why = format!("{}: nothing is sent until {wanted} on the disk of `state_dir`", failure.what);
        for round in self.rounds.values_mut() {
            round.hamper(MappingState::Halted, why.clone(), &mut self.observer);
        }
        self.cramped = Some(Cramped { failure, next: ambient::tick().plus(self.look_for_room_every()) });
    }

    /// Whether nothing may begin.
    pub(super) fn is_cramped(&self) -> bool {
        self.cramped.is_some()
    }

    /// When it is looked for room again.
    pub(super) fn next_look_for_room(&self) -> Option<Tick> {
        self.cramped.as_ref().map(|cramped| cramped.next)
    }

    /// Goes on if there is room again. Whoever waits for a pass meanwhile is told why there is none.
    pub(super) async fn look_for_room(&mut self) {
        let Some(Cramped { failure, next }) = &self.cramped else { return };
        let (why, next) = (Why::OurTrouble(failure.clone()), *next);
        self.dismiss(&why);
        if ambient::tick() < next {
            return;
        }
        let ledger = self.desk.ledger.clone();
        let look = move || if ledger.has_room()? { ledger.beat(ambient::now()).map(Some) } else { Ok(None) };
        match blocking(look).await {
            Ok(Some(())) => self.go_on(),
            Ok(None) | Err(ledger::Error::Full) => {
                let next = ambient::tick().plus(self.look_for_room_every());
                if let Some(cramped) = &mut self.cramped {
                    cramped.next = next;
                }
            }
            Err(error) => self.ledger_failed(&error),
        }
    }

    /// What was under way is taken up where the ledger has it, and what changed meanwhile is found out.
    fn go_on(&mut self) {
        self.cramped = None;
        tracing::info!("there is room for the ledger again: everything is looked at again");
        for round in self.rounds.values_mut() {
            round.relieve(MappingState::Halted, &mut self.observer);
        }
        // What a step had taken when it could not go on is given anew.
        self.desk.grants.renew();
        self.agenda.release();
        self.want_everything();
    }

    fn look_for_room_every(&self) -> Duration {
        LOOK.min(self.desk.patience.retry_max)
    }
}
