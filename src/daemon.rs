//! The one loop: hints, due bundles, ended steps, ended surveys, reload, stop. It owns every task and decides nothing about a
//! bundle; it only schedules.
//!
//! `run` and `sync` are the same loop. `sync` surveys its scope once and ends when the agenda is empty.

mod barrier;
mod chronicle;
mod clearing;
mod clock;
mod command;
mod hearing;
mod life;
mod lull;
mod noting;
mod once;
mod pause;
mod record;
mod rest;
mod returned;
mod room;
mod round;
mod state;
mod steer;
mod stop;
mod vigil;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};

use crate::agenda::{Agenda, Backoff};
use crate::ambient;
use crate::delivery::{self, Bars, Ended};
use crate::desk::Desk;
use crate::disk::{Hint, Hints, Watcher};
use crate::file::{Key, MappingName, RelPath};
use crate::signals::{self, Signal, Signals, Tell};
use crate::survey::Found;
use crate::timestamp::{Tick, Timestamp};
use crate::verdict::Failure;

use barrier::{Barrier, Walked};
use chronicle::Chronicle;
use clock::Clock;
use life::Pulse;
use once::Pass;
use record::Record;
use room::Cramped;
use round::Round;
use vigil::Vigil;
use walk::{Job, JobEnd};

pub use command::{Changed, Command, Next, Progress, Report, Request, Snapshot, Stage, Standing};
pub use pause::{Flow, flow, put_flow};
pub use record::listed;
pub use state::MappingState;

/// What the loop is to do.
#[derive(Debug, Clone)]
pub struct Orders {
    /// For how long.
    pub mode: Mode,
    /// Where to look first: whole mappings (the root's path), directories or files.
    pub scope: Vec<(MappingName, RelPath)>,
}

/// For how long the loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is stopped, watching for changes.
    Watch,
    /// Until everything in scope has reached this goal, or cannot reach it.
    Once(Goal),
}

/// When a bundle counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// When it was converted.
    Synced,
    /// When the cloud has taken it in.
    Sent,
}

/// Something happened that somebody may want to show.
#[derive(Debug, Clone)]
pub enum Event {
    /// A bundle's step ended.
    Stepped(Ended),
    /// A survey of a mapping ended: how many files and directories it met.
    Surveyed(MappingName, u64, u64),
    /// A mapping's state changed.
    Mapping(MappingName, MappingState, Option<String>),
    /// Every survey is over and nothing is left to do for now.
    Quiet,
}

/// Who is shown what happens. Called on the loop's own task, so it must be quick.
pub type Observer = Box<dyn FnMut(&Event) + Send>;

/// Makes a new desk from the configuration as it is now; the error is for a person.
pub type Rebuild = Box<dyn Fn() -> Result<Arc<Desk>, String> + Send + Sync>;

/// How a loop is steered from outside: the configuration read anew, and commands.
pub struct Steering {
    /// Makes a new desk.
    pub rebuild: Rebuild,
    /// What the loop is asked to do. Bounded, so that nobody can ask faster than it answers.
    pub commands: mpsc::Receiver<Command>,
}

impl fmt::Debug for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steering").finish_non_exhaustive()
    }
}

/// How the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub why: Why,
    /// Mappings that could not be worked on, with the reason.
    pub mappings: BTreeMap<MappingName, Trouble>,
}

/// Why the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Everything in scope was done, or could not be.
    Finished,
    /// It was asked to stop.
    Stopped,
    /// A person has to log in.
    NeedsLogin(Failure),
    /// The cloud was in trouble for too long.
    CloudTrouble(Failure),
    /// The ledger or this program failed.
    OurTrouble(Failure),
}

/// Why a mapping could not be worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Its root is away.
    Offline(String),
    /// It was stopped for safety.
    Halted(String),
    /// A person has it wait.
    Paused,
    /// Its remote folder is missing or may not be used.
    Refused(Failure),
}

/// How many bundles the agenda holds before surveys and events have to wait.
const FULL: usize = 10_000;

/// How many surveys are out at once. They may wait for the agenda on a blocking thread, of which steps need some too.
const SURVEYS: usize = 4;

/// How many findings of surveys may wait to be noted.
const FINDINGS: usize = 1_024;

/// How many hints may wait to be taken.
pub const HINTS: usize = 8_192;

/// Runs the loop until it is done or stopped.
pub async fn run(
    desk: Arc<Desk>,
    orders: Orders,
    watching: Option<(Watcher, Hints)>,
    signals: &mut Signals,
    steering: Option<Steering>,
    observer: Observer,
) -> Ending {
    let (watcher, mut hints) = match watching {
        Some((watcher, hints)) => (Some(Arc::new(watcher)), Some(hints)),
        None => (None, None),
    };
    let (rebuild, mut commands) = match steering {
        Some(Steering { rebuild, commands }) => (Some(rebuild), Some(commands)),
        None => (None, None),
    };
    let (found, mut findings) = mpsc::channel(FINDINGS);
    let mut daemon = Daemon::new(desk, orders.mode, watcher, found, observer);
    if matches!(daemon.mode, Mode::Once(_)) {
        daemon.desk.departures.at_once();
    }
    daemon.be_born().await;
    daemon.remember_pauses().await;
    for (mapping, path) in &orders.scope {
        if daemon.rounds.get(mapping).is_some_and(Round::is_paused) {
            daemon.troubles.insert(mapping.clone(), Trouble::Paused);
        }
        if let Some(round) = daemon.rounds.get_mut(mapping) {
            round.want(Job::survey(path.clone()));
        }
    }
    let watchdog = signals::watchdog().map(|interval| interval / 2);
    let mut clock = Clock::start();
    if daemon.mode == Mode::Watch {
        signals::tell(Tell::Ready);
    }

    while daemon.end.is_none() {
        daemon.look_for_room().await;
        daemon.settle_owed().await;
        daemon.end_lulls();
        daemon.begin();
        daemon.publish().await;
        daemon.beat().await;
        daemon.tell_waiting();
        daemon.reckon().await;
        daemon.rest();
        if daemon.end.is_some() {
            break;
        }
        let wake = daemon.next_wake(watchdog);
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Gently | Signal::Now => daemon.end = Some(Why::Stopped),
                // Whether it was taken is in the log.
                Signal::Reload => drop(daemon.reload(rebuild.as_ref()).await),
            },
            Some(command) = next(&mut commands) => daemon.obey(command, rebuild.as_ref()).await,
            Some(stepped) = daemon.steps.join_next_with_id() => daemon.stepped(stepped),
            answered = daemon.vigil.answered() => daemon.heard_answer(&answered),
            Some(job) = daemon.jobs.join_next() => {
                // What it handed out counts before its end does.
                while let Ok(found) = findings.try_recv() {
                    daemon.note_found(found);
                }
                daemon.job_ended(job);
            }
            Some(found) = findings.recv(), if daemon.agenda.len() < FULL => {
                daemon.note_found(found);
                // Findings come in bursts: take what is there before the loop turns.
                while daemon.agenda.len() < FULL && let Ok(found) = findings.try_recv() {
                    daemon.note_found(found);
                }
            }
            Some(hint) = next_hint(&mut hints), if daemon.agenda.len() < FULL => daemon.note_hint(hint),
            () = sleep(wake) => {}
        }
        if watchdog.is_some() {
            signals::tell(Tell::Alive);
        }
        if clock.has_jumped() {
            tracing::info!("the machine slept: everything is looked at again");
            daemon.agenda.release();
            daemon.want_everything();
        }
    }
    drop((findings, commands));
    daemon.close(signals).await
}

struct Daemon {
    desk: Arc<Desk>,
    mode: Mode,
    agenda: Agenda,
    rounds: BTreeMap<MappingName, Round>,
    steps: JoinSet<Ended>,
    /// Which bundle a step is about, should it panic.
    out: HashMap<Id, Key>,
    /// How often the steps of a bundle panicked since one of them ended well.
    panics: HashMap<Key, u32>,
    jobs: JoinSet<JobEnd>,
    found: mpsc::Sender<Found>,
    watcher: Option<Arc<Watcher>>,
    observer: Observer,
    chronicle: Chronicle,
    troubles: BTreeMap<MappingName, Trouble>,
    end: Option<Why>,
    was_quiet: bool,
    /// What a one-shot run waits for.
    pass: Option<Pass>,
    /// Passes that somebody waits for.
    barriers: Vec<Barrier>,
    /// When those were last told how far they are.
    told: Tick,
    /// Bundles to be tried again as soon as the step is back that is out of them.
    owed: BTreeSet<Key>,
    /// Mappings of which it has to be reckoned what may be taken away from the cloud.
    reckonings: BTreeSet<MappingName>,
    /// When it is looked at again what is held until shared files have stood still.
    lulls: BTreeMap<MappingName, Tick>,
    /// When the configuration was read again and refused, and why.
    refused: Option<(Timestamp, String)>,
    /// Whether file systems answer.
    vigil: Vigil,
    pulse: Pulse,
    /// Whether the manifest has to be written.
    record: Record,
    /// The disk of the ledger is full.
    cramped: Option<Cramped>,
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Daemon {
    fn new(
        desk: Arc<Desk>,
        mode: Mode,
        watcher: Option<Arc<Watcher>>,
        found: mpsc::Sender<Found>,
        observer: Observer,
    ) -> Self {
        Self {
            agenda: Agenda::new(Backoff { first: desk.patience.retry_first, max: desk.patience.retry_max }),
            rounds: desk.posts.values().map(|post| (post.mapping.name.clone(), Round::new(post))).collect(),
            steps: JoinSet::new(),
            out: HashMap::new(),
            panics: HashMap::new(),
            jobs: JoinSet::new(),
            found,
            watcher,
            observer,
            chronicle: Chronicle::default(),
            troubles: BTreeMap::new(),
            end: None,
            was_quiet: false,
            pass: match mode {
                Mode::Watch => None,
                Mode::Once(goal) => Some(Pass::new(goal)),
            },
            barriers: Vec::new(),
            told: Tick::default(),
            owed: BTreeSet::new(),
            reckonings: BTreeSet::new(),
            lulls: BTreeMap::new(),
            refused: None,
            vigil: Vigil::default(),
            pulse: Pulse::default(),
            record: Record::default(),
            cramped: None,
            mode,
            desk,
        }
    }

    /// Starts every survey and step that is due and has room.
    fn begin(&mut self) {
        let now = ambient::tick();
        self.keep_vigil(now);
        if self.is_cramped() {
            return;
        }
        let (stuck, stuck_surveys) = self.stuck();
        for round in self.rounds.values_mut() {
            round.turn(now, self.mode, &mut self.observer);
            // The end of one wakes the loop.
            if self.jobs.len() >= SURVEYS + stuck_surveys {
                continue;
            }
            round.begin(now, self.mode, &self.desk, self.watcher.as_ref(), &self.found, &mut self.jobs);
        }
        let room = (self.desk.patience.uploads * 2 + 8 + stuck).saturating_sub(self.agenda.out());
        for errand in self.agenda.take_due(now, room) {
            let key = errand.key.clone();
            // The only spawn of steps.
            let handle = match self.panics.get(&key) {
                Some(panics) if *panics >= returned::PANICS => {
                    self.steps.spawn(delivery::bar(Arc::clone(&self.desk), errand, Bars::Panic))
                }
                Some(_) | None if self.desk.ledger.is_deadly(&key) => {
                    self.steps.spawn(delivery::bar(Arc::clone(&self.desk), errand, Bars::WantOfMemory))
                }
                Some(_) | None => self.steps.spawn(delivery::step(Arc::clone(&self.desk), errand)),
            };
            self.out.insert(handle.id(), key);
        }
    }

    fn job_ended(&mut self, job: Result<JobEnd, JoinError>) {
        let end = match job {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(%error, "a survey panicked; this is a fault of versync");
                return;
            }
        };
        let name = end.mapping.clone();
        let Some(round) = self.rounds.get_mut(&name) else { return };
        let now = ambient::tick();
        let (job, number) = (end.job.clone(), round.begun());
        let outcome = round.ended(end, now, self.mode, &mut self.observer);
        let walked = match outcome {
            round::Outcome::Gone => Walked::Gone,
            round::Outcome::Well
            | round::Outcome::NotADirectory(_)
            | round::Outcome::Offline(_)
            | round::Outcome::Halted(_)
            | round::Outcome::Ours(_) => Walked::Through,
        };
        match outcome {
            round::Outcome::Well | round::Outcome::Gone => {
                if matches!(self.troubles.get(&name), Some(Trouble::Offline(_) | Trouble::Halted(_))) {
                    self.troubles.remove(&name);
                }
                self.owes_reckoning(&name);
                // A manifest that was never written, or that somebody removed, is written too.
                self.record.touch();
            }
            // A path that is no directory: it is looked at by itself.
            round::Outcome::NotADirectory(path) => {
                let key = Key::new(name.clone(), path);
                self.note_found(Found::There(key, 0));
            }
            round::Outcome::Offline(why) => {
                self.give_up(&name, &Trouble::Offline(why.clone()));
                self.troubles.insert(name.clone(), Trouble::Offline(why));
            }
            round::Outcome::Halted(why) => {
                self.give_up(&name, &Trouble::Halted(why.clone()));
                self.troubles.insert(name.clone(), Trouble::Halted(why));
            }
            round::Outcome::Ours(failure) => self.ours(failure),
        }
        self.note_released(&name);
        for barrier in &mut self.barriers {
            barrier.walked(&name, &job, number, walked);
        }
    }

    fn give_up(&mut self, mapping: &MappingName, trouble: &Trouble) {
        self.barriers.iter_mut().for_each(|barrier| barrier.give_up(mapping, trouble.clone()));
    }
}

async fn next(commands: &mut Option<mpsc::Receiver<Command>>) -> Option<Command> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_hint(hints: &mut Option<Hints>) -> Option<Hint> {
    match hints {
        Some(hints) => hints.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
