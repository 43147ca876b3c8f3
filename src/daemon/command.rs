//! What a running loop can be asked, and what it answers. Knows neither who asks nor how the question travelled.

use tokio::sync::{mpsc, oneshot};

use super::{Ending, Goal};
use crate::file::sighting::RootIdentity;
use crate::file::{Key, MappingName, RelPath};
use crate::meter::Reading;
use crate::timestamp::Timestamp;

/// Something that a running loop is asked to do. Whoever asks may be gone when it answers.
#[derive(Debug)]
pub enum Command {
    /// Say how things stand.
    Look(oneshot::Sender<Snapshot>),
    /// Say when a bundle is looked at next; none if nothing is to be done about it.
    When(Key, oneshot::Sender<Option<Next>>),
    /// Look at everything in scope afresh, and say when it is done.
    Sync(Request),
    /// Try again what was refused in and below these paths; say how many bundles that concerns.
    Retry(Vec<(MappingName, RelPath)>, oneshot::Sender<Result<u64, String>>),
    /// Read the configuration again; say how many mappings it has, or why the old one stays.
    Reload(oneshot::Sender<Result<usize, String>>),
    /// Send nothing more of a mapping, or of all of them.
    Pause(Option<MappingName>, oneshot::Sender<Result<Changed, String>>),
    /// Go on with a mapping, or with all of them.
    Resume(Option<MappingName>, oneshot::Sender<Result<Changed, String>>),
    /// Let a mapping take remote files away on the terms that a person was shown.
    Agree(MappingName, String, oneshot::Sender<Result<(), String>>),
    /// Accept that the root of a mapping is this one now.
    Approve(MappingName, RootIdentity, oneshot::Sender<Result<(), String>>),
}

/// A pass that somebody waits for.
#[derive(Debug)]
pub struct Request {
    /// Where to look: whole mappings (the root's path), directories or files.
    pub scope: Vec<(MappingName, RelPath)>,
    /// What is waited for.
    pub goal: Goal,
    /// Told now and then how far it is; what does not fit is dropped.
    pub progress: mpsc::Sender<Progress>,
    /// Told once how it ended, or why it cannot begin.
    pub ended: oneshot::Sender<Result<Report, String>>,
}

/// How far a pass is that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bundles that were found to need a look, and those of them that need nothing more. What was sent counts everything that the
    /// process has sent since the pass began.
    pub reading: Reading,
    /// Whether trees are still being walked, so that the number of files still grows.
    pub stage: Stage,
}

/// Whether trees are still being walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// They are.
    Scanning,
    /// Everything that is to be looked at is known.
    Working,
}

/// How a pass ended that somebody waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How, as a one-shot run tells it.
    pub ending: Ending,
    /// What was moved meanwhile.
    pub reading: Reading,
}

/// When a bundle is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A step of it is out.
    Now,
    /// At this moment.
    At(Timestamp),
}

/// Which mappings were asked for, by whether that changed anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// These were otherwise.
    pub changed: Vec<MappingName>,
    /// These were so already.
    pub already: Vec<MappingName>,
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Each mapping.
    pub mappings: Vec<Standing>,
    /// How many bundles wait or are out.
    pub agenda: usize,
    /// How many steps are out.
    pub out: usize,
    /// What has moved since the start.
    pub reading: Reading,
    /// When the configuration was last read again and refused, and why, unless a later one was taken.
    pub refused: Option<(Timestamp, String)>,
}

/// How a mapping stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub name: MappingName,
    /// The word for its state.
    pub state: String,
    /// The reason, where there is one to tell.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// How many bundles of it wait or are out.
    pub agenda: usize,
}
