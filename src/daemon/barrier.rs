//! A pass that somebody waits for while the loop goes on: what it still waits for, how far it is, how it ended.

use std::collections::{BTreeMap, HashMap};

use super::command::{Progress, Report, Request, Stage};
use super::once::{PATIENCE, Pass};
use super::walk::Job;
use super::{Ending, Trouble, Why};
use crate::agenda::Agenda;
use crate::delivery::Ended;
use crate::file::{Key, MappingName, RelPath};
use crate::meter::Reading;
use crate::verdict::{Blame, Failure, Verdict};

/// A pass that somebody waits for.
#[derive(Debug)]
pub(super) struct Barrier {
    request: Request,
    targets: Vec<Target>,
    pass: Pass,
    /// Bundles that it waits for, with their bytes. Each is on the agenda.
    waiting: HashMap<Key, u64>,
    found: (u64, u64),
    finished: (u64, u64),
    /// The counters when it began.
    began: Reading,
    troubles: BTreeMap<MappingName, Trouble>,
    why: Option<Why>,
}

#[derive(Debug)]
struct Target {
    mapping: MappingName,
    path: RelPath,
    /// Only a survey with a higher number began after the question.
    after: u64,
    waits_for: Waits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For a survey of it.
    Survey,
    /// It is gone: for what was known below it.
    Vanished,
    Nothing,
}

/// How a job ended, as far as a barrier cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walked {
    /// What is there was handed out.
    Through,
    /// Nothing is there; what was known is handed out by the next job.
    Gone,
}

impl Barrier {
    /// `begun` tells how many jobs of a mapping have begun so far.
    pub(super) fn new(request: Request, began: Reading, begun: impl Fn(&MappingName) -> u64) -> Self {
        let target = |(mapping, path): &(MappingName, RelPath)| Target {
            mapping: mapping.clone(),
            path: path.clone(),
            after: begun(mapping),
            waits_for: Waits::Survey,
        };
        Self {
            targets: request.scope.iter().map(target).collect(),
            pass: Pass::new(request.goal),
            request,
            waiting: HashMap::new(),
            found: (0, 0),
            finished: (0, 0),
            began,
            troubles: BTreeMap::new(),
            why: None,
        }
    }

    /// Where it looks.
    pub(super) fn scope(&self) -> &[(MappingName, RelPath)] {
        &self.request.scope
    }

    /// Whether a bundle is in scope.
    pub(super) fn concerns(&self, key: &Key) -> bool {
        self.targets.iter().any(|it| it.mapping == key.mapping && key.path.is_below(&it.path))
    }

    /// A bundle was found to need a look, or does already.
    pub(super) fn met(&mut self, key: &Key, bytes: u64) {
        let is_news = self.concerns(key) && !self.waiting.contains_key(key);
        if is_news && !self.troubles.contains_key(&key.mapping) {
            self.found = (self.found.0 + 1, self.found.1 + bytes);
            self.waiting.insert(key.clone(), bytes);
        }
    }

    /// A job of a mapping ended; it was the mapping's `number`th.
    pub(super) fn walked(&mut self, mapping: &MappingName, job: &Job, number: u64, walked: Walked) {
        for target in self.targets.iter_mut().filter(|it| it.mapping == *mapping && number > it.after) {
            let is_covered = match (job, target.waits_for) {
                (Job::Survey(from), Waits::Survey) => target.path.is_below(from),
                (Job::Vanished(path), Waits::Vanished) => target.path.is_below(path),
                (Job::Survey(_), Waits::Vanished | Waits::Nothing)
                | (Job::Vanished(_), Waits::Survey | Waits::Nothing) => false,
            };
            if is_covered {
                target.waits_for = match walked {
                    Walked::Through => Waits::Nothing,
                    Walked::Gone => Waits::Vanished,
                };
            }
        }
    }

    /// A step ended.
    pub(super) fn stepped(&mut self, ended: &Ended, agenda: &Agenda) {
        self.concerns_everybody(ended, agenda);
        if !self.waiting.contains_key(&ended.key) {
            return;
        }
        let instead = match &ended.verdict {
            Verdict::Instead(leads) => leads.as_slice(),
            Verdict::Done | Verdict::LookAgain(_) | Verdict::Failed(_) => &[],
        };
        for other in instead.iter().chain(&ended.also).filter(|other| agenda.contains(other)) {
            self.found.0 += u64::from(self.waiting.insert(other.clone(), 0).is_none());
        }
        let is_released = self.pass.releases(ended).is_some();
        if is_released || !agenda.contains(&ended.key) {
            self.done(&ended.key);
            return;
        }
        if let Verdict::Failed(failure) = &ended.verdict
            && failure.blame == Blame::Mapping
        {
            self.give_up(&ended.key.mapping, Trouble::Refused(failure.clone()));
        }
    }

    /// A trouble of everybody is also the trouble of whoever waits for something, whichever bundle met it.
    fn concerns_everybody(&mut self, ended: &Ended, agenda: &Agenda) {
        let Verdict::Failed(failure) = &ended.verdict else { return };
        if self.waiting.is_empty() {
            return;
        }
        match failure.blame {
            Blame::User => self.why = Some(Why::NeedsLogin(failure.clone())),
            Blame::Cloud if agenda.failures() >= PATIENCE => {
                self.why = Some(Why::CloudTrouble(failure.clone()));
            }
            Blame::Mapping | Blame::File | Blame::Cloud | Blame::Room | Blame::Us => {}
        }
    }

    /// Nothing more is waited for of a mapping.
    pub(super) fn give_up(&mut self, mapping: &MappingName, trouble: Trouble) {
        if self.targets.iter().all(|target| target.mapping != *mapping) {
            return;
        }
        for target in self.targets.iter_mut().filter(|it| it.mapping == *mapping) {
            target.waits_for = Waits::Nothing;
        }
        self.waiting.retain(|key, _| key.mapping != *mapping);
        self.troubles.entry(mapping.clone()).or_insert(trouble);
    }

    /// Whether there is nothing left to wait for, or nobody who waits.
    pub(super) fn is_over(&self) -> bool {
        let is_known = self.targets.iter().all(|target| target.waits_for == Waits::Nothing);
        self.why.is_some() || (is_known && self.waiting.is_empty()) || self.request.ended.is_closed()
    }

    /// Tells how far it is.
    pub(super) fn tell(&self, moved: Reading) {
        let is_scanning = self.targets.iter().any(|target| target.waits_for != Waits::Nothing);
        let stage = if is_scanning { Stage::Scanning } else { Stage::Working };
        // Whoever does not listen misses one line of many.
        let _missed = self.request.progress.try_send(Progress { reading: self.reading(moved), stage });
    }

    /// Tells how it ended.
    pub(super) fn close(mut self, cut: Option<&Why>, moved: Reading) {
        let left = self.pass.left.take().map(Why::CloudTrouble);
        let why = cut.cloned().or(self.why.take()).or(left).unwrap_or(Why::Finished);
        let reading = self.reading(moved);
        let ending = Ending { why, mappings: self.troubles };
        drop(self.request.ended.send(Ok(Report { ending, reading })));
    }

    fn done(&mut self, key: &Key) {
        if let Some(bytes) = self.waiting.remove(key) {
            self.finished = (self.finished.0 + 1, self.finished.1 + bytes);
        }
    }

    fn reading(&self, moved: Reading) -> Reading {
        Reading {
            found: self.found.0,
            found_bytes: self.found.1,
            finished: self.finished.0,
            finished_bytes: self.finished.1,
            sent_bytes: moved.sent_bytes.saturating_sub(self.began.sent_bytes),
            uploads: moved.uploads.saturating_sub(self.began.uploads),
            uploading: moved.uploading,
        }
    }
}

/// A failure, for a mapping that is not there any more.
pub(super) fn unknown(mapping: &MappingName) -> Failure {
    Failure::new(
        Blame::Mapping,
        format!("failed to find the mapping {mapping}: the configuration in force has none of that name"),
    )
}
