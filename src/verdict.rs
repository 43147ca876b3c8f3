//! How a step ended, and who has to act. The agenda schedules by it, the logs and the exit code follow from it.

use std::time::Duration;

use crate::file::Key;

/// How a step of one bundle ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is left to do until something changes.
    Done,
    /// Go on after this time; nothing went wrong.
    LookAgain(Duration),
    /// Look at these bundles instead: the file is only a member of theirs.
    Instead(Vec<Key>),
    /// It did not work.
    Failed(Failure),
}

/// What went wrong, who has to act, and how long the far side asked us to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who has to act.
    pub blame: Blame,
    /// What happened and, where there is one, the cure; beginning "failed to …", without secrets and escaped for display.
    pub what: String,
    /// How long the server asked us to stay away (`Retry-After`), capped where it was read.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure without a wish of the far side.
    #[must_use]
    pub fn new(blame: Blame, what: impl Into<String>) -> Self {
        Self { blame, what: what.into(), retry_after: None }
    }
}

/// Who has to act before it can work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// This file or its content: it waits alone.
    File,
    /// The remote folder of its mapping (missing, forbidden): the mapping waits.
    Mapping,
    /// The cloud or the way to it: everybody waits, and tries again by themselves.
    Cloud,
    /// The person who runs it (no valid login): everybody waits for them.
    User,
    /// Whoever can make room on the disk of our own state: everybody waits, and tries again by themselves.
    Room,
    /// This program or its state directory: it stops.
    Us,
}
