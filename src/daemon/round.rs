//! One mapping's share of the loop: which surveys it wants, which one is out, what state it is in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::hearing::{Hearing, POLL};
use super::state::{MappingState, View};
use super::walk::{Job, JobEnd, Work};
use super::{Event, Mode, Observer};
use crate::ambient;
use crate::desk::{Desk, Post};
use crate::disk::{self, Watcher};
use crate::file::{Key, MappingName, RelPath};
use crate::ledger::{self, Standing};
use crate::survey::{self, Found, Surveyed};
use crate::timestamp::Tick;
use crate::verdict::Failure;

/// How often a root that is away, or another one, is looked at.
const RETURN: Duration = Duration::from_secs(30);

/// How many directories are surveyed one by one before the whole mapping is surveyed instead.
const MANY: usize = 64;

/// What a job that is over means for the loop.
#[derive(Debug)]
pub(super) enum Outcome {
    Well,
    /// It went away since it was asked for: what was known in it is the next job.
    Gone,
    NotADirectory(RelPath),
    Offline(String),
    Halted(String),
    Ours(Failure),
}

/// The mark of a mapping whose file system does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Silence;

/// The mark of a mapping that a person has wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Paused;

/// One mapping's share of the loop.
#[derive(Debug)]
pub(super) struct Round {
    name: MappingName,
    wanted: BTreeSet<Job>,
    /// The job that is out, if one is.
    out: Option<Job>,
    /// Files that a bundle carries no more. Until the walk is over nobody knows whether another one carries them.
    released: BTreeSet<Key>,
    /// Its file system does not answer.
    silence: Option<Silence>,
    /// How many jobs have begun so far.
    begun: u64,
    next: Tick,
    interval: Duration,
    hearing: Hearing,
    state: MappingState,
    base_reason: Option<String>,
    /// A state that comes from the cloud and hides the one that comes from the disk.
    hampered: Option<(MappingState, String)>,
    /// Why nothing is taken away from the cloud until a person has looked, if it has to wait.
    deletions: Option<String>,
    /// Whether the whole tree was seen since we began.
    view: View,
    /// A person has it wait: that hides every other state.
    pause: Option<Paused>,
    standing: Standing,
    /// What was last written to the ledger.
    written: Option<Standing>,
    told: BTreeSet<String>,
}

impl Round {
    pub(super) fn new(post: &Post) -> Self {
        let now = ambient::now();
        let standing = Standing {
            state: MappingState::Scanning.word().to_owned(),
            reason: None,
            since: now,
            scanned_at: None,
            files: 0,
            directories: 0,
            ignored: std::collections::BTreeMap::new(),
            troubles: Vec::new(),
        };
        Self {
            name: post.mapping.name.clone(),
            wanted: BTreeSet::new(),
            out: None,
            released: BTreeSet::new(),
            silence: None,
            begun: 0,
            next: ambient::tick().plus(post.mapping.policy.rescan_interval),
            interval: post.mapping.policy.rescan_interval,
            hearing: Hearing::new(),
            state: MappingState::Scanning,
            base_reason: None,
            hampered: None,
            deletions: None,
            view: View::Partial,
            pause: None,
            standing,
            written: None,
            told: BTreeSet::new(),
        }
    }

    /// Takes over what a reloaded configuration says.
    pub(super) fn renew(&mut self, post: &Post) {
        self.interval = post.mapping.policy.rescan_interval;
        self.hearing.excuse();
    }

    /// Nothing more is begun until it is resumed.
    pub(super) fn pause(&mut self, observer: &mut Observer) {
        self.pause = Some(Paused);
        self.give_up();
        self.show(observer);
    }

    /// Goes on, and finds out first what has changed meanwhile.
    pub(super) fn resume(&mut self, observer: &mut Observer) {
        self.pause = None;
        self.hearing.excuse();
        self.want(Job::survey(RelPath::root()));
        self.show(observer);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// How many jobs have begun so far; the one that is out is the last of them.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// What `status` shows of it now.
    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What is wanted while it is paused is found by the survey that ends the pause.
    pub(super) fn want(&mut self, job: Job) {
        if self.is_paused() {
            return;
        }
        match &job {
            Job::Survey(directory) => {
                let covered =
                    |wanted: &Job| matches!(wanted, Job::Survey(above) if directory.is_below(above));
                if self.wanted.iter().any(covered) {
                    return;
                }
                self.wanted
                    .retain(|wanted| !matches!(wanted, Job::Survey(below) if below.is_below(directory)));
                self.wanted.insert(job);
                if self.wanted.len() > MANY {
                    self.wanted.retain(|wanted| matches!(wanted, Job::Vanished(_)));
                    self.wanted.insert(Job::Survey(RelPath::root()));
                }
            }
            Job::Vanished(_) => {
                self.wanted.insert(job);
                // A survey of everything finds all that vanished, too.
                if self.wanted.len() > MANY {
                    self.wanted.clear();
                    self.wanted.insert(Job::Survey(RelPath::root()));
                }
            }
        }
    }

    /// Nothing more is done for this mapping in a one-shot run.
    pub(super) fn give_up(&mut self) {
        self.wanted.clear();
        self.released.clear();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_walked() && self.released.is_empty()
    }

    fn is_walked(&self) -> bool {
        self.wanted.is_empty() && self.out.is_none()
    }

    /// A bundle carries a file no more that is sent by itself only where no other one does.
    pub(super) fn release(&mut self, file: Key) {
        self.released.insert(file);
    }

    /// Those of which it is known by now who carries them.
    pub(super) fn take_released(&mut self) -> BTreeSet<Key> {
        if self.is_walked() { std::mem::take(&mut self.released) } else { BTreeSet::new() }
    }

    pub(super) fn next_survey(&self) -> Option<Tick> {
        let is_free = self.out.is_none() && !self.is_paused() && self.silence.is_none();
        is_free.then(|| self.hearing.next().map_or(self.next, |next| next.min(self.next)))
    }

    /// Events were lost or a rule has changed: what the next scan finds says nothing about events.
    pub(super) fn excuse(&mut self) {
        self.hearing.excuse();
    }

    /// An event tells of a path. Where the root was last met in a state in which nothing could be done, it is looked at again.
    pub(super) fn heard(&mut self, path: &RelPath) {
        self.hearing.heard(path);
        if path.extension().is_none() {
            self.hearing.heard_below(path);
        }
        if matches!(self.state, MappingState::Offline | MappingState::Halted) {
            self.want(Job::survey(RelPath::root()));
        }
    }

    /// An event tells of a directory as a whole.
    pub(super) fn heard_below(&mut self, directory: &RelPath) {
        self.hearing.heard_below(directory);
    }

    /// A scan found a change of which nothing had been heard.
    pub(super) fn found_unheard(&mut self, path: &RelPath) {
        // A survey of one directory was itself asked for by an event.
        if self.out == Some(Job::Survey(RelPath::root())) {
            self.hearing.found(path);
        }
    }

    /// Whether a job is out.
    pub(super) fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// Whether its file system does not answer: nothing of it is begun until it does.
    pub(super) fn is_silent(&self) -> bool {
        self.silence.is_some()
    }

    /// Its file system has not answered for so long.
    pub(super) fn fall_silent(&mut self, why: String, observer: &mut Observer) {
        self.silence = Some(Silence);
        self.hearing.excuse();
        self.state = MappingState::Offline;
        self.base_reason = Some(why);
        self.show(observer);
    }

    /// Its file system answers again: what happened meanwhile is found out first.
    pub(super) fn answer(&mut self) {
        if self.silence.take().is_some() {
            self.want(Job::survey(RelPath::root()));
        }
    }

    /// What is due by the clock alone.
    pub(super) fn turn(&mut self, now: Tick, mode: Mode, observer: &mut Observer) {
        if mode != Mode::Watch || self.is_paused() || self.is_silent() {
            return;
        }
        for directory in self.hearing.due(now, self.interval) {
            self.want(Job::survey(directory));
        }
        if self.hearing.count(now) && matches!(self.state, MappingState::Watching | MappingState::Polling) {
            let (state, reason) = self.attention();
            self.next = now.plus(ambient::jittered(self.pause_in(state)));
            (self.state, self.base_reason) = (state, reason);
            self.show(observer);
        }
    }

    /// The state of a mapping whose root is well.
    fn attention(&self) -> (MappingState, Option<String>) {
        match self.hearing.reason() {
            Some(why) => (MappingState::Polling, Some(why)),
            None => (MappingState::Watching, None),
        }
    }

    /// How long until the whole tree is walked again.
    fn pause_in(&self, state: MappingState) -> Duration {
        match state {
            MappingState::Offline | MappingState::Halted => RETURN.min(self.interval),
            MappingState::Polling if self.hearing.needs_walks() => POLL.min(self.interval),
            MappingState::Polling
            | MappingState::Scanning
            | MappingState::Watching
            | MappingState::NeedsLogin
            | MappingState::Paused
            | MappingState::Idle => self.interval,
        }
    }

    pub(super) fn begin(
        &mut self,
        now: Tick,
        mode: Mode,
        desk: &Arc<Desk>,
        watcher: Option<&Arc<Watcher>>,
        found: &mpsc::Sender<Found>,
        jobs: &mut JoinSet<JobEnd>,
    ) {
        if self.out.is_some() || self.is_paused() || self.is_silent() {
            return;
        }
        if mode == Mode::Watch && self.next <= now {
            self.want(Job::survey(RelPath::root()));
            self.next = now.plus(ambient::jittered(self.interval));
        }
        let Some(job) = self.wanted.pop_first() else { return };
        let Some(post) = desk.posts.get(&self.name).cloned() else { return };
        self.out = Some(job.clone());
        self.begun += 1;
        let work = Work {
            desk: Arc::clone(desk),
            post,
            watcher: watcher.cloned(),
            is_deaf: self.hearing.is_deaf(),
            found: found.clone(),
            mode,
        };
        jobs.spawn_blocking(move || work.run(job));
    }

    /// Takes in a job that is over: the next survey, the state, what is to be told.
    pub(super) fn ended(&mut self, end: JobEnd, now: Tick, mode: Mode, observer: &mut Observer) -> Outcome {
        self.out = None;
        let is_whole = end.job == Job::survey(RelPath::root());
        self.answer();
        if let (Job::Survey(from), Ok(_)) = (&end.job, &end.result) {
            self.hearing.surveyed(from, end.unwatched, now);
        }
        let outcome = match end.result {
            Ok(None) => Outcome::Well,
            Ok(Some(surveyed)) => {
                self.tell(&surveyed);
                if is_whole {
                    let is_blind = !surveyed.troubles.is_empty();
                    self.view = if is_blind { View::Partial } else { View::Whole };
                    self.hearing.scanned(end.deaf, surveyed.directories, now);
                    self.standing.scanned_at = Some(ambient::now());
                    self.standing.files = surveyed.files;
                    self.standing.directories = surveyed.directories;
                    self.standing.ignored = surveyed.ignored;
                    observer(&Event::Surveyed(self.name.clone(), surveyed.files, surveyed.directories));
                }
                Outcome::Well
            }
            Err(survey::Error::Ledger(error)) => {
                Outcome::Ours(Failure::new(error.blame(), error.to_string()))
            }
            Err(survey::Error::Disk(disk::Error::NotDirectory { path })) => Outcome::NotADirectory(path),
            // It went away between the hint and the look; whatever it held is told as vanished.
            Err(survey::Error::Disk(disk::Error::Gone { path })) if mode == Mode::Watch && !is_whole => {
                self.want(Job::vanished(path));
                Outcome::Gone
            }
            Err(survey::Error::Disk(disk::Error::Gone { path })) => Outcome::NotADirectory(path),
            Err(survey::Error::Disk(disk::Error::Cancelled)) => Outcome::Well,
            Err(survey::Error::Disk(error)) => Outcome::Offline(error.to_string()),
            // Nothing follows from it, and it is tried again as when the root is away.
            Err(error @ survey::Error::Panicked) => Outcome::Offline(error.to_string()),
            Err(error @ survey::Error::AnotherRoot { .. }) => Outcome::Halted(format!(
                "{error}; if that is meant, `versync approve {}`, else put the right one back",
                self.name
            )),
            Err(error @ survey::Error::Emptied { .. }) => Outcome::Halted(format!(
                "{error}; if they are deleted on purpose, `versync approve {}`, else put them back",
                self.name
            )),
        };
        if matches!(outcome, Outcome::Offline(_) | Outcome::Halted(_)) {
            self.hearing.excuse();
        }
        let (state, reason) = match (&outcome, mode) {
            (Outcome::Offline(why), _) => (MappingState::Offline, Some(why.clone())),
            (Outcome::Halted(why), _) => (MappingState::Halted, Some(why.clone())),
            (Outcome::Well | Outcome::Gone | Outcome::NotADirectory(_) | Outcome::Ours(_), Mode::Once(_)) => {
                (MappingState::Idle, None)
            }
            (Outcome::Well | Outcome::Gone | Outcome::NotADirectory(_) | Outcome::Ours(_), Mode::Watch) => {
                self.attention()
            }
        };
        let pause = self.pause_in(state);
        let pause = if state == MappingState::Offline || state == MappingState::Halted {
            pause
        } else {
            ambient::jittered(pause)
        };
        if is_whole || !matches!(outcome, Outcome::Well | Outcome::Gone) {
            self.next = now.plus(pause);
        }
        self.state = state;
        self.base_reason = reason;
        self.show(observer);
        outcome
    }

    /// Whether it is known what is there and what is gone.
    pub(super) fn is_known(&self) -> bool {
        let is_well = match self.state {
            MappingState::Watching | MappingState::Polling | MappingState::Idle => true,
            MappingState::Scanning
            | MappingState::Offline
            | MappingState::NeedsLogin
            | MappingState::Halted
            | MappingState::Paused => false,
        };
        self.view == View::Whole && is_well && self.hampered.is_none() && !self.is_paused()
    }

    /// Nothing is taken away from the cloud until a person has looked, for this reason; or it is no longer so.
    pub(super) fn hold_deletions(&mut self, why: Option<String>, observer: &mut Observer) {
        self.deletions = why;
        self.show(observer);
    }

    /// The cloud keeps this mapping from working: that is its state until it is relieved.
    pub(super) fn hamper(&mut self, state: MappingState, reason: String, observer: &mut Observer) {
        self.hampered = Some((state, reason));
        self.show(observer);
    }

    /// The trouble that made this state is over.
    pub(super) fn relieve(&mut self, state: MappingState, observer: &mut Observer) {
        if self.hampered.as_ref().is_some_and(|(hampered, _)| *hampered == state) {
            self.hampered = None;
            self.show(observer);
        }
    }

    /// What `status` is to show, if it has changed since it was last asked for.
    pub(super) fn news(&mut self) -> Option<Standing> {
        let is_news = self.written.as_ref() != Some(&self.standing);
        is_news.then(|| {
            self.written = Some(self.standing.clone());
            self.standing.clone()
        })
    }

    fn show(&mut self, observer: &mut Observer) {
        let (state, reason) = match (self.pause, &self.hampered) {
            (Some(Paused), _) => (MappingState::Paused, None),
            (None, Some((state, reason))) => (*state, Some(reason.clone())),
            (None, None) => match (&self.deletions, self.state) {
                (Some(why), MappingState::Watching | MappingState::Polling | MappingState::Idle) => {
                    (MappingState::Halted, Some(format!("everything is sent, nothing is taken away: {why}")))
                }
                (_, state) => (state, self.base_reason.clone()),
            },
        };
        if self.standing.state == state.word() && self.standing.reason == reason {
            return;
        }
        let mapping = &self.name;
        match (&reason, state) {
            (Some(reason), MappingState::Polling) => {
                tracing::info!(%mapping, state = state.word(), "{reason}")
            }
            (Some(reason), _) => tracing::warn!(%mapping, state = state.word(), "{reason}"),
            (None, _) => tracing::info!(%mapping, state = state.word(), "mapping is {}", state.word()),
        }
        self.standing.state = state.word().to_owned();
        self.standing.reason.clone_from(&reason);
        self.standing.since = ambient::now();
        observer(&Event::Mapping(self.name.clone(), state, reason));
    }

    /// Each directory that cannot be listed is told once, and once more when it can.
    fn tell(&mut self, surveyed: &Surveyed) {
        let troubles: BTreeSet<String> = surveyed.troubles.iter().map(|(_, why)| why.clone()).collect();
        for new in troubles.difference(&self.told) {
            tracing::warn!(mapping = %self.name, "{new}; everything below it is left as it is");
        }
        self.standing.troubles = troubles.iter().take(ledger::MOST_TROUBLES).cloned().collect();
        self.told = troubles;
    }
}
