//! The state of a mapping as a whole. It only names them.

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

/// How much of a tree was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Not all of it, or some directory could not be listed.
    Partial,
    /// All of it.
    Whole,
}
