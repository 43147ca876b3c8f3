//! The state of a bundle as a person is shown it. Words only: `entry` derives it, `cli` prints it.

use std::fmt;
use std::str::FromStr;

/// Where a bundle stands. All but `Synced` and `Ignored` carry a reason that a person can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Seen, and not yet at rest.
    Settling,
    /// At rest and waiting for its turn.
    Ready,
    /// Its bytes are on their way.
    Uploading,
    /// Taken in by the cloud; conversion is under way.
    Converting,
    /// Converted: the goal.
    Synced,
    /// An answer was lost, and the cloud is being asked what became of it.
    Ambiguous,
    /// Waits for something local.
    Held,
    /// The server or a rule refuses this content.
    Blocked,
    /// The cloud could not convert it.
    ConversionFailed,
    /// Its task made no progress past the deadline.
    Stalled,
    /// Changed in a way that an unclean boot explains better than an artist.
    Suspect,
    /// A filter now excludes it; what is remote stays.
    Detached,
    /// Not ours to send: unsupported, junk, or a companion without a model.
    Ignored,
    /// Gone from disk.
    Deleted,
}

impl State {
    /// Every state, in the order in which a summary lists them.
    pub const ALL: [Self; 14] = [
        Self::Settling,
        Self::Ready,
        Self::Uploading,
        Self::Converting,
        Self::Synced,
        Self::Ambiguous,
        Self::Held,
        Self::Blocked,
        Self::ConversionFailed,
        Self::Stalled,
        Self::Suspect,
        Self::Detached,
        Self::Ignored,
        Self::Deleted,
    ];

    /// The word that the command line, the logs and `--json` use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Ready => "ready",
            Self::Uploading => "uploading",
            Self::Converting => "converting",
            Self::Synced => "synced",
            Self::Ambiguous => "ambiguous",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::ConversionFailed => "conversion_failed",
            Self::Stalled => "stalled",
            Self::Suspect => "suspect",
            Self::Detached => "detached",
            Self::Ignored => "ignored",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.word() == text).ok_or_else(|| UnknownState(text.into()))
    }
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read a state: `{0}` is none")]
pub struct UnknownState(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_again_by_its_word() {
        for state in State::ALL {
            assert_eq!(state.word().parse(), Ok(state));
        }
    }
}
