//! Time, dice and the names of this machine and of its boot enter here, and nowhere else. Rules take `now` as an argument; only flows come to this door.

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

/// The id of this boot of the machine, where the system tells one: on Linux `/proc/sys/kernel/random/boot_id`.
#[must_use]
pub fn boot_id() -> Option<String> {
    word("/proc/sys/kernel/random/boot_id")
}

/// How often the system has killed a process for want of memory since it was booted, where it tells: on Linux `oom_kill` in
/// `/proc/vmstat` (proc(5)).
#[must_use]
pub fn oom_kills() -> Option<u64> {
    let told = word("/proc/vmstat")?;
    told.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// An id of this machine, where it has one: made from `/etc/machine-id`, which itself is not to be shown to others
/// (machine-id(5)). Copied with a disk image, it names the copy as well.
#[must_use]
pub fn machine_id() -> Option<String> {
    let id = word("/etc/machine-id").or_else(|| word("/var/lib/dbus/machine-id"))?;
    let hash = blake3::derive_key("versync 2026 machine id of a ledger", id.as_bytes());
    Some(blake3::Hash::from_bytes(hash).to_hex()[..32].to_owned())
}

/// The one word in a small file of the system.
#[expect(clippy::disallowed_methods, reason = "this is the door for the names that the system gives")]
fn word(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|word| !word.is_empty())
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
