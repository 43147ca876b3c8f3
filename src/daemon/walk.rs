//! A job of a mapping, off the async threads: a walk of its tree, or of what was known below a path that went away.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::Mode;
use super::hearing::deafness;
use crate::desk::{Desk, Post, Walk};
use crate::disk::{Watched, Watcher};
use crate::file::{Key, MappingName, RelPath};
use crate::ledger;
use crate::survey::{self, Found, Surveyed, Visitor, survey};

/// How many keys of the ledger are read at once.
const PAGE: usize = 500;

/// Something to find out about a mapping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// What is in and below a directory.
    Survey(RelPath),
    /// What was known in and below a path that went away.
    Vanished(RelPath),
}

impl Job {
    pub(super) fn survey(directory: RelPath) -> Self {
        Self::Survey(directory)
    }

    pub(super) fn vanished(path: RelPath) -> Self {
        Self::Vanished(path)
    }
}

/// A job that is over.
#[derive(Debug)]
pub(super) struct JobEnd {
    pub(super) mapping: MappingName,
    pub(super) job: Job,
    pub(super) result: Result<Option<Surveyed>, survey::Error>,
    /// Why events tell nothing of its file system; known after a survey of the whole tree.
    pub(super) deaf: Option<String>,
    /// Directories for which the system had no watch left.
    pub(super) unwatched: BTreeSet<RelPath>,
    /// Until its end is taken in it is not known what has changed: something that it handed out may still be on its way.
    pub(super) _walk: Option<Walk>,
}

/// What a job works with, off the async threads.
pub(super) struct Work {
    pub(super) desk: Arc<Desk>,
    pub(super) post: Arc<Post>,
    pub(super) watcher: Option<Arc<Watcher>>,
    /// Events tell nothing of this mapping, as far as is known.
    pub(super) is_deaf: bool,
    pub(super) found: mpsc::Sender<Found>,
    pub(super) mode: Mode,
}

impl Work {
    pub(super) fn run(mut self, job: Job) -> JobEnd {
        let walk = match &job {
            Job::Survey(_) => Some(self.desk.refreshes.walk(&self.post.mapping.name)),
            Job::Vanished(_) => None,
        };
        let mut deaf = None;
        // What lies at the root may be another file system than it was.
        if job == Job::survey(RelPath::root()) {
            deaf = deafness(&self.post.mapping, &self.post.root, self.watcher.as_deref());
            self.is_deaf = deaf.is_some();
        }
        let unwatched = Mutex::new(BTreeSet::new());
        // Whatever happens, its end must come back: until then no other job of the mapping begins.
        let result = caught(|| match &job {
            Job::Survey(from) => {
                let surveyed = self.survey(from, &unwatched)?;
                if from.is_root() && self.mode == Mode::Watch {
                    self.sweep()?;
                }
                Ok(Some(surveyed))
            }
            Job::Vanished(path) => self.vanished(path).map(|()| None),
        });
        let mapping = self.post.mapping.name.clone();
        let unwatched = unwatched.into_inner().unwrap_or_else(PoisonError::into_inner);
        JobEnd { mapping, job, result, deaf, unwatched, _walk: walk }
    }

    fn survey(
        &self,
        from: &RelPath,
        unwatched: &Mutex<BTreeSet<RelPath>>,
    ) -> Result<Surveyed, survey::Error> {
        let Post { mapping, root } = &*self.post;
        survey::renew(&self.desk.ledger, mapping)?;
        self.resume(from)?;
        let enter = |directory: &RelPath| {
            let Some(watcher) = self.watcher.as_ref().filter(|_| !self.is_deaf) else { return };
            match watcher.watch(&mapping.name, directory) {
                Watched::Yes => {}
                Watched::LimitReached => {
                    let mut unwatched = unwatched.lock().unwrap_or_else(PoisonError::into_inner);
                    unwatched.insert(directory.clone());
                }
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

    fn vanished(&self, path: &RelPath) -> Result<(), survey::Error> {
        let name = &self.post.mapping.name;
        // It may be the last of all: then none of them is believed to be gone.
        survey::refuse_emptied(&self.desk.ledger, &self.post.root, &self.post.mapping)?;
        if let Some(watcher) = &self.watcher {
            watcher.unwatch_below(name, path);
        }
        self.hand_out(Found::Away(Key::new(name.clone(), path.clone())));
        for lead in survey::forget_below(&self.desk.ledger, &self.post.mapping, path)? {
            self.hand_out(Found::There(lead, 0));
        }
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
