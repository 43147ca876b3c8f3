//! The emulator's clock and dice: the only place where it asks for the time or for chance.
//!
//! The clock can be put forward, so that tests see tokens expire and conversions end without sleeping. It must not
//! know what is timed or drawn.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Milliseconds since the Unix epoch, on the emulator's own clock.
pub(super) type Millis = i64;

/// Wall time plus what tests have added to it.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead: AtomicI64,
}

impl Clock {
    /// The present moment.
    pub(super) fn now(&self) -> Millis {
        Timestamp::now().as_millisecond() + self.ahead.load(Ordering::Relaxed)
    }

    /// Puts the clock forward, for ever.
    pub(super) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(millis(by), Ordering::Relaxed);
    }
}

/// A duration in whole milliseconds, at most what fits.
pub(super) fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A moment as the API writes it in JSON: an ISO string in UTC.
pub(super) fn date_time(at: Millis) -> String {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// A moment as HTTP writes it in its `Date` header.
pub(super) fn http_date(at: Millis) -> String {
    let moment = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The source of ids and tokens: the same seed and the same order of calls give the same ids, also across a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Dice {
    key: [u8; 32],
    thrown: u64,
}

impl Dice {
    /// Dice for one seed; the seed 0 stands for dice that nobody can foretell.
    pub(super) fn new(seed: u64) -> Self {
        let key = if seed == 0 {
            *blake3::hash(Uuid::new_v4().as_bytes()).as_bytes()
        } else {
            *blake3::hash(&seed.to_le_bytes()).as_bytes()
        };
        Self { key, thrown: 0 }
    }

    /// A fresh id.
    pub(super) fn id(&mut self) -> Uuid {
        let hash = self.throw();
        let mut sixteen = [0; 16];
        sixteen.copy_from_slice(&hash.as_bytes()[..16]);
        uuid::Builder::from_random_bytes(sixteen).into_uuid()
    }

    /// `length` fresh characters (at most 64) for a credential.
    pub(super) fn letters(&mut self, length: usize) -> String {
        self.throw().to_hex().chars().take(length).collect()
    }

    /// A number that only depends on the seed and on `about`: it puts lists into an order of their own.
    pub(super) fn weigh(&self, about: &[u8]) -> u64 {
        let hash = blake3::keyed_hash(&self.key, about);
        let mut eight = [0; 8];
        eight.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(eight)
    }

    /// An id that only depends on the seed and on `about`.
    pub(super) fn fixed_id(&self, about: &str) -> Uuid {
        let hash = blake3::keyed_hash(&self.key, about.as_bytes());
        let mut sixteen = [0; 16];
        sixteen.copy_from_slice(&hash.as_bytes()[..16]);
        uuid::Builder::from_random_bytes(sixteen).into_uuid()
    }

    fn throw(&mut self) -> blake3::Hash {
        self.thrown += 1;
        blake3::keyed_hash(&self.key, &self.thrown.to_le_bytes())
    }
}
