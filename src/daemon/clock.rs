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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o6_a_machine_that_slept_is_told_from_one_that_was_busy_once() {
        let at = |wall: i64, tick: u64| Clock {
            wall: Timestamp::from_stat(wall, 0),
            tick: Tick::new(Duration::from_secs(tick)),
        };
        let mut clock = at(1_000, 10);
        assert!(!clock.turn(at(1_600, 610)), "ten minutes of work");
        assert!(clock.turn(at(2_200, 611)), "ten minutes of sleep");
        assert!(!clock.turn(at(2_201, 612)));
        assert!(!clock.turn(at(1_000, 613)), "a clock that was set back is no sleep");
    }
}
