//! One mapping's share of the loop: which surveys it wants, which one is out, what state it is in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Event, Mode, Observer};
use crate::ambient;
use crate::delivery::{Desk, Post};
use crate::disk::{self, Events, Root, Watched, Watcher, watch_limit};
use crate::file::{Key, MappingName, RelPath};
use crate::ledger::{self, Ledger, Standing};
use crate::mapping::{Mapping, Watch};
use crate::survey::{self, Found, Surveyed, Visitor, survey};
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

/// How many keys of the ledger are read at once.
const PAGE: usize = 500;

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
    job: Job,
    result: Result<Option<Surveyed>, survey::Error>,
    limit_reached: bool,
}

/// What a job that is over means for the loop.
#[derive(Debug)]
pub(super) enum Outcome {
    Well,
    NotADirectory(RelPath),
    Offline(String),
    Halted(String),
    Ours(Failure),
}

/// One mapping's share of the loop.
#[derive(Debug)]
pub(super) struct Round {
    wanted: BTreeSet<Job>,
    /// The job that is out, if one is.
    out: Option<Job>,
    next: Tick,
    interval: Duration,
    /// Why events do not tell enough, if they do not.
    polls: Option<String>,
    state: MappingState,
    /// A state that comes from the cloud and hides the one that comes from the disk.
    hampered: Option<(MappingState, Option<String>)>,
    standing: Standing,
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
        let polls = reason_to_poll(post, watcher);
        Self {
            wanted: BTreeSet::new(),
            out: None,
            next: ambient::tick().plus(post.mapping.policy.rescan_interval),
            interval: post.mapping.policy.rescan_interval,
            polls,
            state: MappingState::Scanning,
            hampered: None,
            standing,
            told: BTreeSet::new(),
        }
    }

    /// Takes over what a reloaded configuration says.
    pub(super) fn renew(&mut self, post: &Post, watcher: Option<&Arc<Watcher>>) {
        self.interval = post.mapping.policy.rescan_interval;
        self.polls = reason_to_poll(post, watcher);
    }

    pub(super) fn want(&mut self, job: Job) {
        match &job {
            Job::Survey(directory) => {
                let covered = |wanted: &Job| matches!(wanted, Job::Survey(above) if directory.is_below(above));
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
        self.out.is_none().then_some(self.next)
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
        if self.out.is_some() {
            return;
        }
        if mode == Mode::Watch && self.next <= now {
            self.want(Job::survey(RelPath::root()));
            self.next = now.plus(ambient::jittered(self.interval));
        }
        let Some(job) = self.wanted.pop_first() else { return };
        let Some(post) = self.post(desk) else { return };
        self.out = Some(job.clone());
        let work = Work {
            desk: Arc::clone(desk),
            post,
            watcher: watcher.filter(|_| self.polls.is_none()).cloned(),
            found: found.clone(),
        };
        jobs.spawn_blocking(move || work.run(job));
    }

    fn post(&self, desk: &Arc<Desk>) -> Option<Arc<Post>> {
        // The round does not hold its mapping: a reload may have replaced it.
        desk.posts.iter().find(|(name, _)| self.standing_of(name)).map(|(_, post)| Arc::clone(post))
    }
}
