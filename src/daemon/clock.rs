//! Both clocks side by side, to notice that the machine slept. Knows nothing of the loop.

use std::time::Duration;

use crate::ambient;
use crate::timestamp::{Tick, Timestamp};

/// Notices that the machine slept: monotonic time stands still then, and wall time does not.
pub(super) struct Clock {
    pub(super) wall: Timestamp,
    pub(super) tick: Tick,
}

impl Clock {
    /// How much further the wall clock may have gone before it counts as a sleep.
    const JUMP: Duration = Duration::from_secs(5);

    pub(super) fn start() -> Self {
        Self { wall: ambient::now(), tick: ambient::tick() }
    }

    pub(super) fn has_jumped(&mut self) -> bool {
        self.turn(Self::start())
    }

    pub(super) fn turn(&mut self, now: Self) -> bool {
        let jumped = now.wall.since(self.wall) > now.tick.since(self.tick) + Self::JUMP;
        *self = now;
        jumped
    }
}
