//! The life of the process, as the ledger remembers it: what the last one left behind, signs of life, a clean end.

use std::time::Duration;

use super::{Daemon, Why};
use crate::ambient;
use crate::ledger::{self, Birth, Legacy};
use crate::timestamp::Tick;
use crate::verdict::{Blame, Failure};
use crate::worker::blocking;

/// How often a sign of life is written while something changes. At rest none is.
const BEAT: Duration = Duration::from_secs(60);

/// Whether a sign of life is due.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    last: Tick,
    stirred: Option<Stirred>,
}

/// The mark that something has changed since the last sign.
#[derive(Debug, Clone, Copy)]
struct Stirred;

impl Pulse {
    /// Something has changed.
    pub(super) fn stir(&mut self) {
        self.stirred = Some(Stirred);
    }
}

impl Daemon {
    /// Finds out what the last life left behind, and tells it.
    pub(super) async fn be_born(&mut self) {
        let ledger = self.desk.ledger.clone();
        let begun = blocking(move || {
            let (boot, machine, oom_kills) =
                (ambient::boot_id(), ambient::machine_id(), ambient::oom_kills());
            ledger.begin_life(&Birth { boot, machine, oom_kills, at: ambient::now() })
        });
        match begun.await {
            Ok(Legacy { doubted, is_foreign }) => {
                if let Some(doubted) = doubted {
                    tracing::warn!(
                        doubted,
                        "the machine went down without warning: files that were touched last are read again, whatever their stat says"
                    );
                }
                if is_foreign {
                    tracing::warn!(
                        "this state directory was kept on another machine: nothing in the cloud is renamed, moved or deleted \
                         until `versync approve` says that it is this machine's now"
                    );
                }
            }
            // The last life cannot be followed by one that leaves no trace, not even where there is no room.
            Err(error) => self.end = Some(Why::OurTrouble(Failure::new(error.blame(), error.to_string()))),
        }
        self.pulse.last = ambient::tick();
    }

    /// Writes a sign of life, if one is due.
    pub(super) async fn beat(&mut self) {
        let now = ambient::tick();
        if self.is_cramped() || self.pulse.stirred.is_none() || now.since(self.pulse.last) < BEAT {
            return;
        }
        self.pulse = Pulse { last: now, stirred: None };
        let ledger = self.desk.ledger.clone();
        let beat = move || ledger.beat(ambient::now()).and_then(|()| ledger.cut_log());
        match blocking(beat).await {
            Ok(log) if log > ledger::MOST_LOG => {
                let what = "failed to cut the log of the ledger, which grows: another program has been reading the \
                            ledger for a long time";
                self.chronicle.failure(&Failure::new(Blame::User, what), now);
            }
            Ok(_) => {}
            Err(error) => self.ledger_failed(&error),
        }
    }

    /// Writes down what `status` shows of the mappings whose state has changed.
    pub(super) async fn publish(&mut self) {
        if self.is_cramped() {
            return;
        }
        for (name, round) in &mut self.rounds {
            let Some(standing) = round.news() else { continue };
            let (ledger, mapping) = (self.desk.ledger.clone(), name.clone());
            let written = blocking(move || ledger.put_standing(&mapping, &standing)).await;
            if let Err(error) = written {
                self.ledger_failed(&error);
                return;
            }
        }
    }

    /// Ends the life in good order. A ledger that cannot be written any more knows of no good order.
    pub(super) async fn pass_away(&mut self, why: &Why) {
        if matches!(why, Why::OurTrouble(_)) {
            return;
        }
        let ledger = self.desk.ledger.clone();
        if let Err(error) = blocking(move || ledger.end_life()).await {
            tracing::debug!("the end was not written down: {error}");
        }
    }
}
