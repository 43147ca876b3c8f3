//! One mapping's share of the loop: which surveys it wants, which one is out, what state it is in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::walk::Work;
use super::{Event, Mode, Observer};
use crate::ambient;
use crate::desk::{Desk, Post};
use crate::disk::{self, Events, Root, Watcher, watch_limit};
use crate::file::{MappingName, RelPath};
use crate::ledger::{self, Standing};
use crate::mapping::{Mapping, Watch};
use crate::survey::{self, Found, Surveyed};
use crate::timestamp::Tick;
use crate::verdict::{Blame, Failure};

/// The state of a mapping, as `status` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingState {
    /// Its tree is being walked.
    Scanning,
    /// Events tell of changes.
    Watching,
    /// It is walked at intervals, for the reason given.
    Polling,
    /// Its root is away.
    Offline,
    /// A person has to log in.
    NeedsLogin,
    /// It was stopped for safety.
    Halted,
    /// A person has it wait.
    Paused,
    /// It was looked at once, and nobody watches it now.
    Idle,
}

impl MappingState {
    /// The word that the command line, the logs and `--json` use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scanning => "scanning",
            Self::Watching => "watching",
            Self::Polling => "polling",
            Self::Offline => "offline",
            Self::NeedsLogin => "needs_login",
            Self::Halted => "halted",
            Self::Paused => "paused",
            Self::Idle => "idle",
        }
    }
}

/// How often a mapping is walked that events do not tell enough of.
const POLL: Duration = Duration::from_secs(60);

/// How often a root that is away, or another one, is looked at.
const RETURN: Duration = Duration::from_secs(30);

/// How many directories are surveyed one by one before the whole mapping is surveyed instead.
const MANY: usize = 64;

/// Something to find out about a mapping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// What is in and below a directory.
    Survey(RelPath),
    /// What was known in and below a path that went away.
    Vanished(RelPath),
}

impl Job {
    pub(super) fn survey(directory: RelPath) -> Self {
        Self::Survey(directory)
    }

    pub(super) fn vanished(path: RelPath) -> Self {
        Self::Vanished(path)
    }
}

/// A job that is over.
#[derive(Debug)]
pub(super) struct JobEnd {
    pub(super) mapping: MappingName,
    pub(super) job: Job,
    pub(super) result: Result<Option<Surveyed>, survey::Error>,
    pub(super) limit_reached: bool,
}

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
    /// How many jobs have begun so far.
    begun: u64,
    next: Tick,
    interval: Duration,
    /// Why events do not tell enough, if they do not.
    polls: Option<String>,
    state: MappingState,
    base_reason: Option<String>,
    /// A state that comes from the cloud and hides the one that comes from the disk.
    hampered: Option<(MappingState, String)>,
    /// A person has it wait: that hides every other state.
    pause: Option<Paused>,
    standing: Standing,
    /// What was last written to the ledger.
    written: Option<Standing>,
    told: BTreeSet<String>,
}

impl Round {
    pub(super) fn new(post: &Post, watcher: Option<&Arc<Watcher>>) -> Self {
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
        let polls = reason_to_poll(&post.mapping, &post.root, watcher);
        Self {
            name: post.mapping.name.clone(),
            wanted: BTreeSet::new(),
            out: None,
            begun: 0,
            next: ambient::tick().plus(post.mapping.policy.rescan_interval),
            interval: post.mapping.policy.rescan_interval,
            polls,
            state: MappingState::Scanning,
            base_reason: None,
            hampered: None,
            pause: None,
            standing,
            written: None,
            told: BTreeSet::new(),
        }
    }

    /// Takes over what a reloaded configuration says.
    pub(super) fn renew(&mut self, post: &Post, watcher: Option<&Arc<Watcher>>) {
        self.interval = post.mapping.policy.rescan_interval;
        self.polls = reason_to_poll(&post.mapping, &post.root, watcher);
    }

    /// Nothing more is begun until it is resumed.
    pub(super) fn pause(&mut self, observer: &mut Observer) {
        self.pause = Some(Paused);
        self.wanted.clear();
        self.show(observer);
    }

    /// Goes on, and finds out first what has changed meanwhile.
    pub(super) fn resume(&mut self, observer: &mut Observer) {
        self.pause = None;
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
    }

    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.out.is_none()
    }

    pub(super) fn next_survey(&self) -> Option<Tick> {
        (self.out.is_none() && !self.is_paused()).then_some(self.next)
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
        if self.out.is_some() || self.is_paused() {
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
            watcher: watcher.filter(|_| self.polls.is_none()).cloned(),
            found: found.clone(),
            mode,
        };
        jobs.spawn_blocking(move || work.run(job));
    }

    /// Takes in a job that is over: the next survey, the state, what is to be told.
    pub(super) fn ended(&mut self, end: JobEnd, now: Tick, mode: Mode, observer: &mut Observer) -> Outcome {
        self.out = None;
        let is_whole = end.job == Job::survey(RelPath::root());
        if end.limit_reached && self.polls.is_none() {
            let why = limit_reason();
            tracing::warn!(mapping = %self.name, "{why}");
            self.polls = Some(why);
        }
        let outcome = match end.result {
            Ok(None) => Outcome::Well,
            Ok(Some(surveyed)) => {
                self.tell(&surveyed);
                if is_whole {
                    self.standing.scanned_at = Some(ambient::now());
                    self.standing.files = surveyed.files;
                    self.standing.directories = surveyed.directories;
                    self.standing.ignored = surveyed.ignored;
                    observer(&Event::Surveyed(self.name.clone(), surveyed.files, surveyed.directories));
                }
                Outcome::Well
            }
            Err(survey::Error::Ledger(error)) => Outcome::Ours(Failure::new(Blame::Us, error.to_string())),
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
        };
        let (state, reason) = match (&outcome, &self.polls, mode) {
            (Outcome::Offline(why), _, _) => (MappingState::Offline, Some(why.clone())),
            (Outcome::Halted(why), _, _) => (MappingState::Halted, Some(why.clone())),
            (
                Outcome::Well | Outcome::Gone | Outcome::NotADirectory(_) | Outcome::Ours(_),
                _,
                Mode::Once(_),
            ) => (MappingState::Idle, None),
            (
                Outcome::Well | Outcome::Gone | Outcome::NotADirectory(_) | Outcome::Ours(_),
                Some(why),
                Mode::Watch,
            ) => (MappingState::Polling, Some(why.clone())),
            (
                Outcome::Well | Outcome::Gone | Outcome::NotADirectory(_) | Outcome::Ours(_),
                None,
                Mode::Watch,
            ) => (MappingState::Watching, None),
        };
        let pause = match state {
            MappingState::Offline | MappingState::Halted => RETURN.min(self.interval),
            MappingState::Polling => ambient::jittered(POLL.min(self.interval)),
            MappingState::Scanning
            | MappingState::Watching
            | MappingState::NeedsLogin
            | MappingState::Paused
            | MappingState::Idle => ambient::jittered(self.interval),
        };
        if is_whole || !matches!(outcome, Outcome::Well | Outcome::Gone) {
            self.next = now.plus(pause);
        }
        self.state = state;
        self.base_reason = reason;
        self.show(observer);
        outcome
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
            (None, None) => (self.state, self.base_reason.clone()),
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

fn reason_to_poll(mapping: &Mapping, root: &Root, watcher: Option<&Arc<Watcher>>) -> Option<String> {
    let by_nature = || match root.filesystem() {
        Ok(filesystem) => match filesystem.events {
            Events::Local => None,
            Events::None(why) => Some(format!("{}: {why}", filesystem.name)),
        },
        Err(_) => None,
    };
    match (mapping.policy.watch, watcher) {
        (Watch::Poll, _) => Some("watch = \"poll\" in the configuration".to_owned()),
        (Watch::Auto | Watch::Native, None) => Some("the system gives no watcher".to_owned()),
        (Watch::Auto, Some(_)) => by_nature(),
        (Watch::Native, Some(_)) => None,
    }
}

fn limit_reason() -> String {
    let limit = watch_limit().map_or_else(String::new, |limit| format!(" of {limit}"));
    format!(
        "the limit{limit} watched directories (fs.inotify.max_user_watches) is reached; the tree is walked every {} s instead: raise the limit above the number of directories",
        POLL.as_secs()
    )
}
