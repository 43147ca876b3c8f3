//! The one loop: hints, due bundles, ended steps, ended surveys, reload, stop. It owns every task and decides nothing about a
//! bundle; it only schedules.
//!
//! `run` and `sync` are the same loop. `sync` surveys its scope once and ends when the agenda is empty.

mod chronicle;
mod round;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};

use crate::agenda::{Agenda, Backoff, Reach, Voucher};
use crate::ambient;
use crate::delivery::{self, Ended};
use crate::desk::Desk;
use crate::disk::{Hint, Hints, IGNORE_FILE, Signal as DiskSignal, Watcher};
use crate::file::{Key, MappingName, RelPath, State};
use crate::mapping::filter::IgnoredKind;
use crate::mapping::{Admission, UNVOUCHED};
use crate::signals::{self, Signal, Signals, Tell};
use crate::survey::Found;
use crate::timestamp::{Tick, Timestamp};
use crate::verdict::{Blame, Failure, Verdict};
use crate::worker::blocking;

use chronicle::Chronicle;
use round::{Job, JobEnd, Round};

pub use round::MappingState;

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
pub type Rebuild = Box<dyn Fn() -> Result<Arc<Desk>, String> + Send>;

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
    /// Its remote folder is missing or may not be used.
    Refused(Failure),
}

/// How many bundles the agenda holds before surveys and events have to wait.
const FULL: usize = 10_000;

/// How many failures in a row that concern everybody end a `sync`.
const PATIENCE_OF_ONCE: u32 = 3;

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
    rebuild: Option<Rebuild>,
    observer: Observer,
) -> Ending {
    let (watcher, mut hints) = match watching {
        Some((watcher, hints)) => (Some(Arc::new(watcher)), Some(hints)),
        None => (None, None),
    };
    let (found, mut findings) = mpsc::channel(FINDINGS);
    let mut daemon = Daemon {
        agenda: Agenda::new(Backoff { first: desk.patience.retry_first, max: desk.patience.retry_max }),
        rounds: BTreeMap::new(),
        steps: JoinSet::new(),
        out: HashMap::new(),
        jobs: JoinSet::new(),
        found,
        watcher,
        observer,
        chronicle: Chronicle::default(),
        troubles: BTreeMap::new(),
        end: None,
        was_quiet: false,
        failures: HashMap::new(),
        left: None,
        mode: orders.mode,
        desk,
    };
    for post in daemon.desk.posts.values() {
        let round = Round::new(post, daemon.watcher.as_ref());
        daemon.rounds.insert(post.mapping.name.clone(), round);
    }
    for (mapping, path) in &orders.scope {
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
        daemon.begin();
        daemon.publish().await;
        daemon.rest();
        if daemon.end.is_some() {
            break;
        }
        let wake = daemon.next_wake(watchdog);
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Gently | Signal::Now => daemon.end = Some(Why::Stopped),
                Signal::Reload => daemon.reload(rebuild.as_ref()),
            },
            Some(stepped) = daemon.steps.join_next_with_id() => daemon.stepped(stepped),
            Some(job) = daemon.jobs.join_next() => daemon.job_ended(job),
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
    drop(findings);
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
    jobs: JoinSet<JobEnd>,
    found: mpsc::Sender<Found>,
    watcher: Option<Arc<Watcher>>,
    observer: Observer,
    chronicle: Chronicle,
    troubles: BTreeMap<MappingName, Trouble>,
    end: Option<Why>,
    was_quiet: bool,
    /// How often each bundle failed in a one-shot run, which leaves it after a few times.
    failures: HashMap<Key, u32>,
    /// The trouble for which a one-shot run left a bundle.
    left: Option<Failure>,
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Daemon {
    /// Starts every survey and step that is due and has room.
    fn begin(&mut self) {
        let now = ambient::tick();
        for round in self.rounds.values_mut() {
            if self.jobs.len() >= SURVEYS {
                break;
            }
            round.begin(now, self.mode, &self.desk, self.watcher.as_ref(), &self.found, &mut self.jobs);
        }
        let room = (self.desk.patience.uploads * 2 + 8).saturating_sub(self.agenda.out());
        for errand in self.agenda.take_due(now, room) {
            let key = errand.key.clone();
            // The only spawn of a step.
            let handle = self.steps.spawn(delivery::step(Arc::clone(&self.desk), errand));
            self.out.insert(handle.id(), key);
        }
    }

    /// Notices that nothing is left to do: the end of a `sync`, a quiet moment of a `run`.
    fn rest(&mut self) {
        let is_quiet = self.agenda.is_empty()
            && self.jobs.is_empty()
            && self.rounds.values().all(Round::is_idle)
            && self.found.capacity() == FINDINGS;
        if is_quiet && !self.was_quiet {
            (self.observer)(&Event::Quiet);
        }
        self.was_quiet = is_quiet;
        if is_quiet && matches!(self.mode, Mode::Once(_)) {
            self.end = Some(self.left.take().map_or(Why::Finished, Why::CloudTrouble));
        }
    }

    fn next_wake(&self, watchdog: Option<Duration>) -> Option<Duration> {
        let now = ambient::tick();
        let full = self.agenda.out() >= self.desk.patience.uploads * 2 + 8;
        let due = self.agenda.next_due().filter(|_| !full).map(|due| due.since(now));
        let surveys = match self.mode {
            Mode::Watch => self.rounds.values().filter_map(Round::next_survey).min(),
            Mode::Once(_) => None,
        };
        [due, surveys.map(|due| due.since(now)), watchdog].into_iter().flatten().min()
    }

    fn note_found(&mut self, found: Found) {
        let now = ambient::tick();
        let (Found::There(key, _) | Found::Away(key)) = &found;
        let is_refused = matches!(self.troubles.get(&key.mapping), Some(Trouble::Refused(_)));
        if is_refused && matches!(self.mode, Mode::Once(_)) {
            return;
        }
        match found {
            Found::There(key, bytes) => {
                if !self.agenda.contains(&key) {
                    self.desk.meter.found(bytes);
                }
                self.agenda.note(key, Voucher::Scanned, now, Duration::ZERO);
            }
            Found::Away(key) => {
                let wait = match self.mode {
                    Mode::Once(_) => Duration::ZERO,
                    Mode::Watch => self
                        .desk
                        .posts
                        .get(&key.mapping)
                        .map_or(Duration::ZERO, |post| post.mapping.policy.delete_settle),
                };
                if !self.agenda.contains(&key) {
                    self.desk.meter.found(0);
                }
                self.agenda.note(key, Voucher::Scanned, now, wait);
            }
        }
    }

    fn note_hint(&mut self, hint: Hint) {
        let Some(post) = self.desk.posts.get(hint.mapping()) else { return };
        let Some(round) = self.rounds.get_mut(hint.mapping()) else { return };
        match hint {
            // Other files may be admitted now, or no longer.
            Hint::Path { path, .. } | Hint::Vanished { path, .. }
                if path.name() == IGNORE_FILE.as_bytes() =>
            {
                round.want(Job::survey(path.parent()));
            }
            Hint::Path { path, signal, .. } => {
                if !may_travel(&post.mapping.filter.admits_file(&path)) {
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
                self.agenda.note(key, voucher, ambient::tick(), quiet);
            }
            Hint::Below { path, .. } => round.want(Job::survey(path)),
            Hint::Whole(_) => round.want(Job::survey(RelPath::root())),
            Hint::Vanished { path, .. } => round.want(Job::vanished(path)),
        }
    }

    fn want_everything(&mut self) {
        for round in self.rounds.values_mut() {
            round.want(Job::survey(RelPath::root()));
        }
    }

    fn stepped(&mut self, stepped: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match stepped {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => (error.id(), None),
        };
        let Some(key) = self.out.remove(&id) else { return };
        let now = ambient::tick();
        let Some(mut ended) = ended else {
            // A panic takes one bundle's step down and nothing else; it comes round again, ever later.
            tracing::error!(bundle = %key, "a step panicked; this is a fault of versync");
            let failure = Failure::new(Blame::File, "failed to finish a step: internal error");
            self.agenda.close(&key, &Verdict::Failed(failure), Reach::Local, now, ambient::dice());
            return;
        };
        let is_sent = matches!(ended.is, State::Converting | State::Stalled);
        if self.mode == Mode::Once(Goal::Sent) && is_sent {
            ended.verdict = Verdict::Done;
        }
        // A one-shot run waits for no file that never rests, and for no task that makes no progress.
        if matches!(self.mode, Mode::Once(_)) && matches!(ended.is, State::Settling | State::Stalled) {
            ended.verdict = Verdict::Done;
        }
        // Nor does it try for ever what fails again and again between questions that are answered.
        let told = ended.verdict.clone();
        if matches!(self.mode, Mode::Once(_))
            && let Verdict::Failed(failure) = &told
            && failure.blame == Blame::Cloud
        {
            let failures = self.failures.entry(key.clone()).or_default();
            *failures += 1;
            if *failures >= PATIENCE_OF_ONCE {
                self.left = Some(failure.clone());
                ended.verdict = Verdict::Done;
            }
        }
        self.agenda.close(&key, &ended.verdict, ended.reach, now, ambient::dice());
        if !self.agenda.contains(&key) {
            let bytes = ended.entry.as_ref().and_then(|entry| entry.seen).map_or(0, |seen| seen.content.size);
            self.desk.meter.finished(bytes);
        }
        self.chronicle.step(&ended, now);
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

    fn failed(&mut self, key: &Key, failure: Failure) {
        match (failure.blame, self.mode) {
            (Blame::Us, _) => self.end = Some(Why::OurTrouble(failure)),
            (Blame::User, Mode::Once(_)) => self.end = Some(Why::NeedsLogin(failure)),
            (Blame::User, Mode::Watch) => {
                for round in self.rounds.values_mut() {
                    round.hamper(MappingState::NeedsLogin, failure.what.clone(), &mut self.observer);
                }
            }
            (Blame::Cloud, Mode::Once(_)) if self.agenda.failures() >= PATIENCE_OF_ONCE => {
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
        let outcome = round.ended(end, now, self.mode, &mut self.observer);
        match outcome {
            round::Outcome::Well => {
                if matches!(self.troubles.get(&name), Some(Trouble::Offline(_) | Trouble::Halted(_))) {
                    self.troubles.remove(&name);
                }
            }
            // A path that is no directory: it is looked at by itself.
            round::Outcome::NotADirectory(path) => {
                let key = Key::new(name.clone(), path);
                self.note_found(Found::There(key, 0));
            }
            round::Outcome::Offline(why) => {
                self.troubles.insert(name.clone(), Trouble::Offline(why));
            }
            round::Outcome::Halted(why) => {
                self.troubles.insert(name.clone(), Trouble::Halted(why));
            }
            round::Outcome::Ours(failure) => self.end = Some(Why::OurTrouble(failure)),
        }
    }

    /// Writes down what `status` shows of the mappings whose state has changed.
    async fn publish(&mut self) {
        for (name, round) in &mut self.rounds {
            let Some(standing) = round.news() else { continue };
            let (ledger, mapping) = (self.desk.ledger.clone(), name.clone());
            let written = blocking(move || ledger.put_standing(&mapping, &standing)).await;
            if let Err(error) = written {
                self.end = Some(Why::OurTrouble(Failure::new(Blame::Us, error.to_string())));
                return;
            }
        }
    }

    /// Swaps the configuration in whole, or keeps the old one.
    fn reload(&mut self, rebuild: Option<&Rebuild>) {
        let Some(rebuild) = rebuild else { return };
        signals::tell(Tell::Reloading);
        match rebuild() {
            Ok(desk) => {
                let gone: Vec<_> =
                    self.rounds.keys().filter(|name| !desk.posts.contains_key(*name)).cloned().collect();
                for name in gone {
                    self.agenda.drop_mapping(&name);
                    self.rounds.remove(&name);
                    self.troubles.remove(&name);
                    if let Some(watcher) = &self.watcher {
                        watcher.remove(&name);
                    }
                }
                self.desk = desk;
                for post in self.desk.posts.values() {
                    let name = &post.mapping.name;
                    if let Some(watcher) = &self.watcher
                        && !self.rounds.contains_key(name)
                    {
                        watcher.add(name, &post.root);
                    }
                    let round = Round::new(post, self.watcher.as_ref());
                    self.rounds.entry(name.clone()).or_insert(round).renew(post, self.watcher.as_ref());
                }
                self.agenda.release();
                self.want_everything();
                tracing::info!(mappings = self.rounds.len(), "configuration reloaded");
            }
            Err(problems) => {
                tracing::error!(
                    "failed to reload the configuration; the old one stays in force:\n{problems}"
                );
            }
        }
        signals::tell(Tell::Ready);
    }

    /// The two-step stop: nothing new, what runs may finish until the deadline or the second signal.
    async fn close(mut self, signals: &mut Signals) -> Ending {
        let why = self.end.take().unwrap_or(Why::Finished);
        signals::tell(Tell::Stopping);
        // Reads and walks can be had again; only requests are worth waiting for.
        self.desk.cancel.cancel();
        self.jobs.abort_all();
        let deadline = tokio::time::Instant::now() + self.desk.patience.shutdown_timeout;
        let mut tell = tokio::time::interval(Duration::from_secs(5));
        tell.tick().await;
        while !self.steps.is_empty() {
            tokio::select! {
                Some(stepped) = self.steps.join_next_with_id() => {
                    let end = self.end.take();
                    self.stepped(stepped);
                    self.end = end;
                }
                _ = tell.tick() => {
                    let late: Vec<_> = self.out.values().map(ToString::to_string).collect();
                    tracing::info!(late = late.join(", "), "waiting for running steps to finish");
                }
                () = tokio::time::sleep_until(deadline) => break,
                signal = signals.next() => match signal {
                    Signal::Gently | Signal::Now => break,
                    Signal::Reload => {}
                },
            }
        }
        if !self.steps.is_empty() {
            tracing::warn!(
                left = self.steps.len(),
                "stopped before these steps finished; they are taken up again at the next start"
            );
        }
        self.steps.abort_all();
        while self.steps.join_next().await.is_some() {}
        Ending { why, mappings: self.troubles }
    }
}

/// Whether a file may be sent at all, if only with a model that refers to it.
fn may_travel(admission: &Admission) -> bool {
    match admission {
        Admission::Admitted => true,
        Admission::Ignored(ignored) => {
            matches!(ignored.kind, IgnoredKind::Unsupported | IgnoredKind::ByChoice | IgnoredKind::Companion)
        }
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

/// Notices that the machine slept: monotonic time stands still then, and wall time does not.
struct Clock {
    wall: Timestamp,
    tick: Tick,
}

impl Clock {
    /// How much further the wall clock may have gone before it counts as a sleep.
    const JUMP: Duration = Duration::from_secs(5);

    fn start() -> Self {
        Self { wall: ambient::now(), tick: ambient::tick() }
    }

    fn has_jumped(&mut self) -> bool {
        let now = Self::start();
        let jumped = now.wall.since(self.wall) > now.tick.since(self.tick) + Self::JUMP;
        *self = now;
        jumped
    }
}
