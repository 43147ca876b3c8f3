//! Which bundle is due, which is out, and what waits for whom. Pure: every call is told the time.
//!
//! A bundle is on the agenda from the moment somebody notes it until its step ends with [`Verdict::Done`]. At most one step
//! of a bundle is out at a time; whatever is noted meanwhile brings it back afterwards. This is the one layer that retries.

mod budget;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use self::budget::{Budget, Retry};
use crate::file::{Key, MappingName};
use crate::timestamp::Tick;
use crate::verdict::{Blame, Verdict};

/// How often and how long failures are waited out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row. Its bound doubles each time; `dice` in 0..=1 picks a pause below the bound, so that
    /// those who failed together do not come back together. Half the first pause is kept always, or an unlucky cast is a hot loop.
    #[must_use]
    pub fn pause(&self, failures: u32, dice: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)));
        let (least, most) = ((self.first / 2).min(self.max), doubled.min(self.max));
        least + most.saturating_sub(least).mul_f64(dice.clamp(0.0, 1.0))
    }
}

/// What vouches for a file being finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voucher {
    /// Its writer closed it, or renamed it into place.
    Closed,
    /// It was touched, and nothing says that the writer is done.
    Touched,
    /// A scan found it; when it was last touched is for its time stamps to say.
    Scanned,
}

/// How far a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The cloud was asked something.
    Cloud,
    /// Disk and ledger sufficed.
    Local,
}

/// A bundle that is handed out to be stepped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Which bundle.
    pub key: Key,
    /// What was last heard of it.
    pub voucher: Voucher,
    /// When that was.
    pub heard: Tick,
    /// When it was first heard of since it was last at rest.
    pub noted: Tick,
}

/// When a bundle is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A step of it is out.
    Now,
    /// At this moment, or later if something holds it up.
    At(Tick),
}

/// Everything that is to be looked at, and when.
#[derive(Debug)]
pub struct Agenda {
    slots: HashMap<Key, Slot>,
    due: BTreeSet<(Tick, Key)>,
    out: usize,
    backoff: Backoff,
    budget: Budget,
    /// How often the cloud has done what it was asked.
    successes: u64,
    everybody: Hold,
    mappings: HashMap<MappingName, Hold>,
}

#[derive(Debug)]
struct Slot {
    place: Place,
    voucher: Voucher,
    heard: Tick,
    noted: Tick,
    failures: u32,
    /// How many successes there had been when it last failed with the cloud to blame.
    failed_at: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In `due`, at this moment.
    Waiting(Tick),
    Out,
    /// Out, and noted again since: due at this moment once it is back.
    OutAndNoted(Tick),
}

/// Whether work is given out: after a failure that concerns all, one bundle at a time tries whether it has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Hold {
    failures: u32,
    until: Tick,
    probing: Option<Probe>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe;

/// The next whole number of `most` after `noted`.
fn next_turn(noted: Tick, now: Tick, most: Duration) -> Tick {
    let (since, most) = (now.since(noted).as_nanos(), most.as_nanos().max(1));
    let turns = (since / most).saturating_add(1);
    let after = u64::try_from(turns.saturating_mul(most)).map_or(Duration::MAX, Duration::from_nanos);
    noted.plus(after)
}

impl Agenda {
    /// An empty agenda.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        Self {
            slots: HashMap::new(),
            due: BTreeSet::new(),
            out: 0,
            backoff,
            budget: Budget::full(),
            successes: 0,
            everybody: Hold::default(),
            mappings: HashMap::new(),
        }
    }

    /// Something was heard of a bundle: it is due once nothing more is heard for `quiet`.
    pub fn note(&mut self, key: Key, voucher: Voucher, now: Tick, quiet: Duration) {
        self.note_within(key, voucher, now, quiet, Duration::MAX);
    }

    /// As [`Agenda::note`], but a bundle of which something is heard all the time is looked at every `most` all the same.
    pub fn note_within(&mut self, key: Key, voucher: Voucher, now: Tick, quiet: Duration, most: Duration) {
        let noted = self.slots.get(&key).map_or(now, |slot| slot.noted);
        let due = now.plus(quiet).min(next_turn(noted, now, most));
        match self.slots.get_mut(&key) {
            None => {
                self.due.insert((due, key.clone()));
                let slot = Slot {
                    place: Place::Waiting(due),
                    voucher,
                    heard: now,
                    noted: now,
                    failures: 0,
                    failed_at: None,
                };
                self.slots.insert(key, slot);
            }
            // What a scan says of a file that already waits is no news.
            Some(Slot { place: Place::Waiting(_), .. }) if voucher == Voucher::Scanned => {}
            Some(slot) => {
                slot.voucher = voucher;
                slot.heard = now;
                match slot.place {
                    Place::Waiting(earlier) => {
                        self.due.remove(&(earlier, key.clone()));
                        self.due.insert((due, key));
                        slot.place = Place::Waiting(due);
                    }
                    Place::Out | Place::OutAndNoted(_) => slot.place = Place::OutAndNoted(due),
                }
            }
        }
    }

    /// Up to `room` bundles that are due. While everybody is held nothing is; when the hold has run out, one bundle tries.
    pub fn take_due(&mut self, now: Tick, room: usize) -> Vec<Errand> {
        let mut taken = Vec::new();
        let mut passed_over = Vec::new();
        while taken.len() < room && self.everybody.gives(now) {
            let Some((due, _)) = self.due.first() else { break };
            if *due > now {
                break;
            }
            let Some((due, key)) = self.due.pop_first() else { break };
            let mapping = self.mappings.entry(key.mapping.clone()).or_default();
            if !mapping.gives(now) {
                passed_over.push((due, key));
                continue;
            }
            mapping.given();
            self.everybody.given();
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.place = Place::Out;
                self.out += 1;
                taken.push(Errand { voucher: slot.voucher, heard: slot.heard, noted: slot.noted, key });
            }
        }
        self.due.extend(passed_over);
        taken
    }

    /// A step is over. `dice` in 0..=1 spreads the pauses of failures.
    ///
    /// Only a step that reached the cloud and did not fail proves that a trouble with the cloud is over.
    pub fn close(&mut self, key: &Key, verdict: &Verdict, reach: Reach, now: Tick, dice: f64) {
        self.out = self.out.saturating_sub(1);
        let backoff = self.backoff;
        let mapping = self.mappings.entry(key.mapping.clone()).or_default();
        let failures = self.slots.get(key).map_or(0, |slot| slot.failures);
        let failed_at = self.slots.get(key).and_then(|slot| slot.failed_at);
        // The cloud is blamed for it again, and did for others meanwhile what they asked: most likely it does not take this one and
        // breaks off before it says so (a proxy with a limit does). Nobody else waits for that.
        let is_alone = failed_at.is_some_and(|then| then < self.successes);
        let retry = match (verdict, reach) {
            (Verdict::Failed(_), Reach::Cloud) => self.budget.spend(),
            (Verdict::Done | Verdict::LookAgain(_) | Verdict::Instead(_), Reach::Cloud) => {
                self.budget.earn();
                self.successes = self.successes.saturating_add(1);
                Retry::Soon
            }
            (
                Verdict::Failed(_) | Verdict::Done | Verdict::LookAgain(_) | Verdict::Instead(_),
                Reach::Local,
            ) => Retry::Soon,
        };
        let again = match verdict {
            Verdict::Failed(failure) => {
                let asked = failure.retry_after.unwrap_or_default();
                let pause = match failure.blame {
                    Blame::File => {
                        mapping.came_back(reach);
                        self.everybody.came_back(reach);
                        backoff.pause(failures + 1, dice)
                    }
                    Blame::Mapping => {
                        self.everybody.came_back(reach);
                        mapping.failed(&backoff, now, asked, dice)
                    }
                    Blame::Cloud if is_alone && failure.retry_after.is_none() => {
                        mapping.probing = None;
                        self.everybody.probing = None;
                        backoff.pause(failures + 1, dice)
                    }
                    Blame::Cloud | Blame::User | Blame::Room | Blame::Us => {
                        mapping.probing = None;
                        self.everybody.failed(&backoff, now, asked, dice)
                    }
                };
                // First tries of others may go on; this one has had its share of the retries.
                let late = match retry {
                    Retry::Soon => Duration::ZERO,
                    Retry::Late => backoff.max,
                };
                Some(pause.max(asked).max(late))
            }
            Verdict::LookAgain(after) => {
                mapping.came_back(reach);
                self.everybody.came_back(reach);
                Some(*after)
            }
            Verdict::Done | Verdict::Instead(_) => {
                mapping.came_back(reach);
                self.everybody.came_back(reach);
                None
            }
        };
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.failures = if matches!(verdict, Verdict::Failed(_)) { failures + 1 } else { 0 };
        slot.failed_at = match verdict {
            Verdict::Failed(failure) if failure.blame == Blame::Cloud => Some(self.successes),
            Verdict::Failed(_) | Verdict::Done | Verdict::LookAgain(_) | Verdict::Instead(_) => None,
        };
        let due = match (slot.place, again) {
            (Place::OutAndNoted(noted), Some(again)) => Some(noted.max(now.plus(again))),
            (Place::OutAndNoted(noted), None) => Some(noted),
            (Place::Out | Place::Waiting(_), Some(again)) => Some(now.plus(again)),
            (Place::Out | Place::Waiting(_), None) => None,
        };
        match due {
            Some(due) => {
                slot.place = Place::Waiting(due);
                self.due.insert((due, key.clone()));
            }
            None => {
                self.slots.remove(key);
            }
        }
        if let Verdict::Instead(leads) = verdict {
            for lead in leads {
                self.note(lead.clone(), Voucher::Scanned, now, Duration::ZERO);
            }
        }
    }

    /// Ends every hold at once: something changed that makes trying worth while (a new token, a new configuration).
    pub fn release(&mut self) {
        self.everybody = Hold::default();
        self.mappings.clear();
    }

    /// Takes a mapping's bundles off the agenda, but for those that are out: they come back and are closed.
    pub fn drop_mapping(&mut self, mapping: &MappingName) {
        self.due.retain(|(_, key)| key.mapping != *mapping);
        self.slots.retain(|key, slot| key.mapping != *mapping || !matches!(slot.place, Place::Waiting(_)));
        self.mappings.remove(mapping);
    }

    /// A bundle that waits is due at once, whatever it waited for.
    pub fn hurry(&mut self, key: &Key, now: Tick) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        match slot.place {
            Place::Waiting(due) if due > now => {
                self.due.remove(&(due, key.clone()));
                self.due.insert((now, key.clone()));
                slot.place = Place::Waiting(now);
            }
            Place::OutAndNoted(due) if due > now => slot.place = Place::OutAndNoted(now),
            Place::Waiting(_) | Place::Out | Place::OutAndNoted(_) => {}
        }
    }

    /// The bundles on it, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.slots.keys()
    }

    /// When a bundle is looked at next; none if it is not on the agenda.
    #[must_use]
    pub fn when(&self, key: &Key) -> Option<When> {
        let held = self.mappings.get(&key.mapping).map_or(Tick::default(), |hold| hold.until);
        self.slots.get(key).map(|slot| match slot.place {
            Place::Waiting(due) => When::At(due.max(self.everybody.until).max(held)),
            Place::Out | Place::OutAndNoted(_) => When::Now,
        })
    }

    /// When `take_due` may next give something out; none if nothing waits.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        let everybody = self.everybody.opens()?;
        let mut next: Option<Tick> = None;
        for (due, key) in &self.due {
            if next.is_some_and(|next| *due >= next) {
                break;
            }
            // One that tries whether a trouble has passed is out, and its end wakes the loop.
            let Some(opens) = self.mappings.get(&key.mapping).map_or(Some(Tick::default()), Hold::opens)
            else {
                continue;
            };
            let may = (*due).max(everybody).max(opens);
            next = Some(next.map_or(may, |next| next.min(may)));
        }
        next
    }

    /// Whether a bundle is on it, waiting or out.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.slots.contains_key(key)
    }

    /// How many bundles are on it, waiting or out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing waits and nothing is out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many steps are out.
    #[must_use]
    pub fn out(&self) -> usize {
        self.out
    }

    /// How many failures in a row concerned everybody.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.everybody.failures
    }

    /// How many failures in a row concerned this mapping alone.
    #[must_use]
    pub fn failures_of(&self, mapping: &MappingName) -> u32 {
        self.mappings.get(mapping).map_or(0, |hold| hold.failures)
    }
}

impl Hold {
    fn gives(&self, now: Tick) -> bool {
        self.failures == 0 || (self.until <= now && self.probing.is_none())
    }

    /// From when on it gives anything; none while one is out to try.
    fn opens(&self) -> Option<Tick> {
        match self.probing {
            Some(Probe) => None,
            None => Some(if self.failures == 0 { Tick::default() } else { self.until }),
        }
    }

    fn given(&mut self) {
        if self.failures > 0 {
            self.probing = Some(Probe);
        }
    }

    fn came_back(&mut self, reach: Reach) {
        match reach {
            Reach::Cloud => *self = Self::default(),
            Reach::Local => self.probing = None,
        }
    }

    /// Steps that were out together fail together: only the first failure of such a volley counts.
    fn failed(&mut self, backoff: &Backoff, now: Tick, asked: Duration, dice: f64) -> Duration {
        self.probing = None;
        if self.until <= now {
            self.failures = self.failures.saturating_add(1);
            self.until = now.plus(backoff.pause(self.failures, dice).max(asked));
        } else {
            self.until = self.until.max(now.plus(asked));
        }
        self.until.since(now)
    }
}

#[cfg(test)]
mod tests;
