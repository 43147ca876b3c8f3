//! What has moved so far: counters that a flow turns and that anybody may read, for progress and for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one process, shared by cloning.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    found: AtomicU64,
    found_bytes: AtomicU64,
    finished: AtomicU64,
    finished_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    uploads: AtomicU64,
    uploading: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Bundles that were found to need a look.
    pub found: u64,
    /// Their bytes, as far as a stat tells.
    pub found_bytes: u64,
    /// Of those, how many need nothing more.
    pub finished: u64,
    /// Their bytes.
    pub finished_bytes: u64,
    /// Bytes of file content that were handed to the network, those of aborted requests included.
    pub sent_bytes: u64,
    /// Uploads that were taken in.
    pub uploads: u64,
    /// Uploads that are under way.
    pub uploading: u64,
}

impl Meter {
    /// The counters now.
    #[must_use]
    pub fn read(&self) -> Reading {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let it = &*self.0;
        Reading {
            found: now(&it.found),
            found_bytes: now(&it.found_bytes),
            finished: now(&it.finished),
            finished_bytes: now(&it.finished_bytes),
            sent_bytes: now(&it.sent_bytes),
            uploads: now(&it.uploads),
            uploading: now(&it.uploading),
        }
    }

    /// A bundle of this many bytes needs a look.
    pub fn found(&self, bytes: u64) {
        self.0.found.fetch_add(1, Ordering::Relaxed);
        self.0.found_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A bundle of this many bytes needs nothing more.
    pub fn finished(&self, bytes: u64) {
        self.0.finished.fetch_add(1, Ordering::Relaxed);
        self.0.finished_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// This many bytes were handed to the network.
    pub fn sent(&self, bytes: u64) {
        self.0.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An upload was taken in.
    pub fn uploaded(&self) {
        self.0.uploads.fetch_add(1, Ordering::Relaxed);
    }

    /// An upload begins; it ends when the value is dropped.
    #[must_use]
    pub fn uploading(&self) -> Underway {
        self.0.uploading.fetch_add(1, Ordering::Relaxed);
        Underway(self.clone())
    }
}

/// An upload that is under way.
#[derive(Debug)]
pub struct Underway(Meter);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.0.uploading.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_counts_as_under_way_until_it_is_dropped() {
        let meter = Meter::default();
        let underway = meter.uploading();
        assert_eq!(meter.read().uploading, 1);
        drop(underway);
        assert_eq!(meter.read().uploading, 0);
    }
}
