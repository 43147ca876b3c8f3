//! What a pass with a goal waits for, and what it leaves: the rules of a one-shot run, and of whoever asks a running loop for one.

use std::collections::HashMap;

use super::Goal;
use crate::delivery::Ended;
use crate::file::{Key, State};
use crate::verdict::{Blame, Failure, Verdict};

/// How many failures in a row end a pass that concern everybody, and how many leave a bundle that it concerns alone.
pub(super) const PATIENCE: u32 = 3;

/// The patience of one pass.
#[derive(Debug)]
pub(super) struct Pass {
    goal: Goal,
    /// How often each bundle failed.
    failures: HashMap<Key, u32>,
    /// The trouble for which a bundle was left.
    pub(super) left: Option<Failure>,
}

/// Why a pass waits for a bundle no longer that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// It came as far as the pass wants it, or as far as anybody can tell when it goes on.
    Reached,
    /// It failed again and again.
    Left,
}

impl Pass {
    pub(super) fn new(goal: Goal) -> Self {
        Self { goal, failures: HashMap::new(), left: None }
    }

    /// Whether the pass waits no longer for a bundle whose step ended like this.
    pub(super) fn releases(&mut self, ended: &Ended) -> Option<Release> {
        match ended.is {
            // No file that never rests is waited for, and no task that makes no progress.
            State::Settling | State::Stalled => return Some(Release::Reached),
            State::Converting if self.goal == Goal::Sent => return Some(Release::Reached),
            State::Converting
            | State::Ready
            | State::Uploading
            | State::Synced
            | State::Ambiguous
            | State::Held
            | State::Blocked
            | State::ConversionFailed
            | State::Suspect
            | State::Detached
            | State::Ignored
            | State::Deleted => {}
        }
        // Nor what fails again and again between questions that are answered.
        let Verdict::Failed(failure) = &ended.verdict else { return None };
        match (failure.blame, &ended.entry) {
            // A step that panicked leaves no entry.
            (Blame::Cloud, _) | (Blame::File, None) => {}
            // The cloud may only need a moment to know what it has just taken in.
            (Blame::File, Some(_)) | (Blame::Mapping | Blame::User | Blame::Room | Blame::Us, _) => {
                return None;
            }
        }
        let failures = self.failures.entry(ended.key.clone()).or_default();
        *failures += 1;
        if *failures < PATIENCE {
            return None;
        }
        if failure.blame == Blame::Cloud {
            self.left = Some(failure.clone());
        }
        Some(Release::Left)
    }
}
