//! A moment of wall time, and one of monotonic time, as numbers. Knows no clock and no file system; `ambient` reads the one, `disk` the other.

use std::fmt;
use std::time::Duration;

/// Nanoseconds since the Unix epoch, negative before 1970; moments that do not fit (before 1677, after 2262) saturate.
///
/// Wall time may jump, so a moment is compared for equality or shown, and is never the only reason to send something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From the seconds and nanoseconds of a stat; saturates outside the years 1677 to 2262.
    #[must_use]
    pub fn from_stat(seconds: i64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos)))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The moment `by` later; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The moment `by` earlier; saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is in fact later, as after a jump of the clock.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.seconds()) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "@{}", self.seconds()),
        }
    }
}

/// A moment of monotonic time: how long after some fixed moment of this process. Never runs backwards, never survives one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(Duration);

impl Tick {
    /// The moment this long after the fixed one.
    #[must_use]
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The moment `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_dated_outside_the_range_saturates_instead_of_panicking() {
        assert_eq!(Timestamp::from_stat(i64::MAX, 999_999_999).nanos(), i64::MAX);
        assert_eq!(Timestamp::from_stat(i64::MIN, 0).nanos(), i64::MIN);
        assert!(!Timestamp::from_stat(i64::MIN, 0).to_string().is_empty());
    }

    #[test]
    fn time_does_not_run_backwards_when_the_clock_does() {
        assert_eq!(Timestamp::from_nanos(5).since(Timestamp::from_nanos(9)), Duration::ZERO);
    }

    #[test]
    fn a_moment_is_shown_as_rfc_3339() {
        assert_eq!(Timestamp::from_stat(0, 5).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_stat(-1, 999).to_string(), "1969-12-31T23:59:59Z");
    }
}
