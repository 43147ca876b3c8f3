//! What the watcher believes to have changed, on its way to whoever looks. A hint is never proof, and none is lost in
//! silence: where there is no room for one, its mapping is told that anything may have changed. Knows no disk.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::file::{MappingName, RelPath};

/// Something may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// At this path. It is a file, as a rule; a directory whose permissions changed comes this way too.
    Path {
        /// The mapping.
        mapping: MappingName,
        /// The path below its root.
        path: RelPath,
        /// What is known of the writer.
        signal: Signal,
    },
    /// A directory appeared or was changed: list it and what is below it, nothing there was watched before.
    Below {
        /// The mapping.
        mapping: MappingName,
        /// The directory.
        path: RelPath,
    },
    /// Anything may have changed: events were lost, the watcher failed, or something happened to the root itself.
    Whole(MappingName),
    /// A path went away; it may have been a directory.
    Vanished {
        /// The mapping.
        mapping: MappingName,
        /// The path below its root.
        path: RelPath,
    },
}

impl Hint {
    /// The mapping that it concerns.
    #[must_use]
    pub fn mapping(&self) -> &MappingName {
        match self {
            Self::Path { mapping, .. }
            | Self::Below { mapping, .. }
            | Self::Whole(mapping)
            | Self::Vanished { mapping, .. } => mapping,
        }
    }
}

/// What an event says of the writer of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// A writer closed the file, or a finished file was renamed onto the path.
    Closed,
    /// Something else: nobody vouches for the file being finished.
    Touched,
}

/// The receiving end.
#[derive(Debug)]
pub struct Hints {
    queue: Arc<Queue>,
}

impl Hints {
    /// The next hint; none once the watcher is gone and everything was taken. Nothing is lost if it is dropped half-way.
    pub async fn recv(&mut self) -> Option<Hint> {
        loop {
            let woken = self.queue.woken.notified();
            {
                let mut inner = self.queue.lock();
                if let Some(mapping) = inner.whole.pop_first() {
                    return Some(Hint::Whole(mapping));
                }
                if let Some(hint) = inner.hints.pop_front() {
                    return Some(hint);
                }
                if inner.closed {
                    return None;
                }
            }
            woken.await;
        }
    }
}

/// The queue between the watcher's thread, which must not wait, and the one receiver.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    inner: Mutex<Inner>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    hints: VecDeque<Hint>,
    whole: BTreeSet<MappingName>,
    closed: bool,
}

impl Queue {
    /// A queue with room for this many hints, and its receiving end.
    pub(super) fn new(capacity: usize) -> (Arc<Self>, Hints) {
        let queue = Arc::new(Self { capacity, inner: Mutex::default(), woken: Notify::new() });
        (Arc::clone(&queue), Hints { queue })
    }

    /// Takes a hint, or remembers that its mapping has changed in some way that there was no room for.
    pub(super) fn push(&self, hint: Hint) {
        let mut inner = self.lock();
        if let Hint::Whole(mapping) = hint {
            inner.forget(&mapping);
            inner.whole.insert(mapping);
        } else if inner.hints.back() == Some(&hint) {
            return;
        } else if inner.hints.len() >= self.capacity {
            let mapping = hint.mapping().clone();
            inner.forget(&mapping);
            inner.whole.insert(mapping);
        } else {
            inner.hints.push_back(hint);
        }
        drop(inner);
        self.woken.notify_one();
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.woken.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What is still queued for a mapping says nothing more once anything may have changed in it.
    fn forget(&mut self, mapping: &MappingName) {
        self.hints.retain(|hint| hint.mapping() != mapping);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(mapping: &str, path: &str) -> Hint {
        let path = RelPath::from_bytes(path.as_bytes()).unwrap();
        Hint::Path { mapping: MappingName::new(mapping), path, signal: Signal::Touched }
    }

    #[tokio::test]
    async fn a_full_queue_tells_that_anything_may_have_changed() {
        let (queue, mut hints) = Queue::new(3);
        queue.push(path("b", "kept"));
        for name in ["1", "2", "3", "4"] {
            queue.push(path("a", name));
        }
        assert_eq!(hints.recv().await, Some(Hint::Whole(MappingName::new("a"))));
        assert_eq!(hints.recv().await, Some(path("b", "kept")));
        assert_eq!(hints.recv().await, Some(path("a", "4")));
        queue.close();
        assert_eq!(hints.recv().await, None);
    }

    #[tokio::test]
    async fn the_same_hint_twice_in_a_row_is_told_once() {
        let (queue, mut hints) = Queue::new(3);
        queue.push(path("a", "1"));
        queue.push(path("a", "1"));
        queue.close();
        assert_eq!(hints.recv().await, Some(path("a", "1")));
        assert_eq!(hints.recv().await, None);
    }
}
