//! Time and dice enter here, and nowhere else. Rules take `now` as an argument; only flows come to this door.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::id::AttemptId;
use crate::timestamp::{Tick, Timestamp};

/// The wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the door for wall time")]
pub fn now() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp::EPOCH.plus(since),
        Err(before) => Timestamp::EPOCH.minus(before.duration()),
    }
}

/// The monotonic clock, counted from the first time that anybody asked. Stands still when tokio's time is paused.
#[must_use]
pub fn tick() -> Tick {
    static START: OnceLock<tokio::time::Instant> = OnceLock::new();
    let start = *START.get_or_init(tokio::time::Instant::now);
    Tick::new(tokio::time::Instant::now().saturating_duration_since(start))
}

/// A fresh name for an attempt.
#[must_use]
pub fn attempt_id() -> AttemptId {
    AttemptId::from_uuid(Uuid::new_v4())
}

/// `interval`, longer or shorter by up to a quarter, so that a fleet of machines does not knock in step.
#[must_use]
pub fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.75 + dice() / 2.0)
}

/// A number from 0 to 1, for spreading things out; not for secrets.
#[must_use]
pub fn dice() -> f64 {
    let bytes = Uuid::new_v4().into_bytes();
    f64::from(u16::from_le_bytes([bytes[0], bytes[1]])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jittered_interval_stays_within_a_quarter() {
        for _ in 0..1_000 {
            let jittered = jittered(Duration::from_secs(100));
            assert!((75..=125).contains(&jittered.as_secs()), "{jittered:?}");
        }
    }

    #[test]
    fn the_monotonic_clock_does_not_run_backwards() {
        let first = tick();
        assert!(tick() >= first);
    }
}
