//! What was asked of the emulator, for tests and for people who wonder what versync sends.
//!
//! A bounded ring. It holds names and sizes, never values of headers, so it can be printed without care. It must not
//! know what the requests do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// As many requests are remembered; older ones are forgotten.
pub(super) const RING: usize = 10_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Request {
    /// Counts up from 1 and is never used twice.
    pub number: u64,
    /// When it came, in milliseconds since the epoch on the emulator's clock.
    pub at: i64,
    /// `GET`, `POST` …
    pub method: String,
    /// The path as asked for, below `/app/v1`, without the query.
    pub path: String,
    /// The route that took it, with `{…}` for ids; the path itself if no route did.
    pub route: String,
    /// The query as it came.
    pub query: String,
    /// The names of its headers, sorted.
    pub headers: Vec<String>,
    /// The parts of an upload, as far as they arrived.
    pub parts: Vec<Part>,
    /// What became of it.
    pub outcome: Outcome,
}

/// One part of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// The name of the form field.
    pub field: String,
    /// The file name as sent.
    pub file_name: String,
    /// Its bytes.
    pub size: u64,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Not answered yet.
    Open,
    /// Answered with this status (the answer may have been spoilt on its way by a fault).
    Answered(u16),
    /// The emulator hung up on purpose, without an answer.
    HungUp,
    /// The client went away first.
    Abandoned,
}

/// The ring.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    requests: VecDeque<Request>,
}

impl Journal {
    /// Writes a request down; its number is set here. The end must be told to the line that comes back.
    pub(super) fn open(&self, mut request: Request) -> Line {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last += 1;
        request.number = ring.last;
        if ring.requests.len() == RING {
            ring.requests.pop_front();
        }
        ring.requests.push_back(request);
        Line { journal: self.clone(), number: ring.last, closed: AtomicBool::new(false) }
    }

    /// All that is remembered, oldest first.
    pub(super) fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.iter().cloned().collect()
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests.clear();
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Request)) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(found) = ring.requests.binary_search_by_key(&number, |request| request.number) {
            change(&mut ring.requests[found]);
        }
    }
}

/// A request that is under way. Dropped without an end, it was abandoned by its client.
#[derive(Debug)]
pub(super) struct Line {
    journal: Journal,
    number: u64,
    closed: AtomicBool,
}

impl Line {
    /// Notes a part that has arrived, whole or not.
    pub(super) fn part(&self, part: Part) {
        self.journal.change(self.number, |request| request.parts.push(part));
    }

    /// Notes the end.
    pub(super) fn close(&self, outcome: Outcome) {
        self.closed.store(true, Ordering::Relaxed);
        self.journal.change(self.number, |request| request.outcome = outcome);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.closed.load(Ordering::Relaxed) {
            self.close(Outcome::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let (method, path, route, query) =
            ("GET".into(), "/folders".into(), "/folders".into(), String::new());
        let (headers, parts, outcome) = (Vec::new(), Vec::new(), Outcome::Open);
        Request { number: 0, at: 0, method, path, route, query, headers, parts, outcome }
    }

    #[test]
    fn the_oldest_requests_are_forgotten() {
        let journal = Journal::default();
        let first = journal.open(request());
        for _ in 0..RING {
            journal.open(request()).close(Outcome::Answered(200));
        }
        let all = journal.all();
        assert_eq!((all.len(), all[0].number), (RING, 2));
        // The end of a forgotten request changes no other.
        first.close(Outcome::HungUp);
        assert!(journal.all().iter().all(|request| request.outcome == Outcome::Answered(200)));
    }

    #[test]
    fn a_request_that_is_dropped_was_abandoned() {
        let journal = Journal::default();
        drop(journal.open(request()));
        assert_eq!(journal.all()[0].outcome, Outcome::Abandoned);
    }
}
