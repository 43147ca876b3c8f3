//! A job of a mapping, off the async threads: a walk of its tree, or of what was known below a path that went away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::Mode;
use super::round::{Job, JobEnd};
use crate::desk::{Desk, Post};
use crate::disk::{Watched, Watcher};
use crate::file::{Key, RelPath};
use crate::ledger;
use crate::survey::{self, Found, Surveyed, Visitor, survey};

/// How many keys of the ledger are read at once.
const PAGE: usize = 500;

/// What a job works with, off the async threads.
pub(super) struct Work {
    pub(super) desk: Arc<Desk>,
    pub(super) post: Arc<Post>,
    pub(super) watcher: Option<Arc<Watcher>>,
    pub(super) found: mpsc::Sender<Found>,
    pub(super) mode: Mode,
}

impl Work {
    pub(super) fn run(self, job: Job) -> JobEnd {
        let limit_reached = AtomicBool::new(false);
        // Whatever happens, its end must come back: until then no other job of the mapping begins.
        let result = caught(|| match &job {
            Job::Survey(from) => {
                let surveyed = self.survey(from, &limit_reached)?;
                if from.is_root() && self.mode == Mode::Watch {
                    self.sweep()?;
                }
                Ok(Some(surveyed))
            }
            Job::Vanished(path) => Ok(self.vanished(path).map(|()| None)?),
        });
        let mapping = self.post.mapping.name.clone();
        JobEnd { mapping, job, result, limit_reached: limit_reached.into_inner() }
    }

    fn survey(&self, from: &RelPath, limit_reached: &AtomicBool) -> Result<Surveyed, survey::Error> {
        let Post { mapping, root } = &*self.post;
        self.resume(from)?;
        let enter = |directory: &RelPath| {
            let Some(watcher) = &self.watcher else { return };
            match watcher.watch(&mapping.name, directory) {
                Watched::Yes => {}
                Watched::LimitReached => limit_reached.store(true, Ordering::Relaxed),
                Watched::Failed(why) => {
                    tracing::debug!(mapping = %mapping.name, %directory, "not watched: {why}")
                }
            }
        };
        let found = |found| self.hand_out(found);
        let visitor = Visitor { enter: &enter, found: &found };
        survey(&self.desk.ledger, root, mapping, from, &self.desk.cancel, visitor)
    }

    /// What was open when the process last ended is taken up again: the scan alone would not bring it up.
    fn resume(&self, from: &RelPath) -> Result<(), ledger::Error> {
        let name = &self.post.mapping.name;
        let mut after = None;
        loop {
            let page = self.desk.ledger.open_keys(name, after.as_ref(), PAGE)?;
            for key in &page {
                if key.path.is_below(from) {
                    self.hand_out(Found::There(key.clone(), 0));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.path.clone()),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Looks at every row now and then: damage hides a bundle from the walk as long as its directory is as it was.
    fn sweep(&self) -> Result<(), ledger::Error> {
        let name = &self.post.mapping.name;
        let mut after = None;
        while !self.desk.cancel.is_cancelled() {
            let (damaged, last) = self.desk.ledger.damaged_keys(name, after.as_ref(), PAGE)?;
            for key in damaged {
                tracing::warn!(bundle = %key, "its row in the ledger is damaged; it is looked at anew");
                self.hand_out(Found::There(key, 0));
            }
            let Some(last) = last else { break };
            after = Some(last);
        }
        Ok(())
    }

    fn vanished(&self, path: &RelPath) -> Result<(), ledger::Error> {
        let name = &self.post.mapping.name;
        if let Some(watcher) = &self.watcher {
            watcher.unwatch_below(name, path);
        }
        self.hand_out(Found::Away(Key::new(name.clone(), path.clone())));
        let mut after = None;
        loop {
            let page = self.desk.ledger.keys_below(name, path, after.as_ref(), PAGE)?;
            page.iter().for_each(|key| self.hand_out(Found::Away(key.clone())));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.path.clone()),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Blocks while the loop has enough to do; nobody listens any more once it stops.
    fn hand_out(&self, found: Found) {
        drop(self.found.blocking_send(found));
    }
}

/// A panic becomes an error.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, survey::Error>) -> Result<T, survey::Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!("a survey panicked; this is a fault of versync");
        Err(survey::Error::Panicked)
    })
}
