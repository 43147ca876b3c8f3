//! Whether file systems answer. A dead server or a sleeping disk holds whoever asks it for ever, so it is asked by a thread
//! that nobody waits for; while it is silent nothing more of its mapping is begun, and the others go on.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;

use super::round::Round;
use super::{Daemon, Trouble};
use crate::ambient;
use crate::file::MappingName;
use crate::timestamp::Tick;

/// The questions to file systems.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    asked: BTreeMap<MappingName, Asked>,
    questions: JoinSet<MappingName>,
}

#[derive(Debug)]
struct Asked {
    at: Tick,
    answered: Option<Tick>,
}

impl Vigil {
    /// The next file system that answered.
    pub(super) async fn answered(&mut self) -> MappingName {
        loop {
            match self.questions.join_next().await {
                Some(Ok(mapping)) => return mapping,
                // It panicked, which is silence like any other.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Nobody waits for the answers any more.
    pub(super) fn end(&mut self) {
        self.questions.detach_all();
    }
}

impl Daemon {
    /// Asks the file systems of all mappings of which something has been out for a while, and counts those as silent that
    /// have not answered in time. A mapping that rests is not asked.
    pub(super) fn keep_vigil(&mut self, now: Tick) {
        let patience = self.desk.patience.root_timeout;
        let mut silent = Vec::new();
        for (name, round) in &self.rounds {
            let is_out = round.is_out() || self.out.values().any(|key| key.mapping == *name);
            let last = self.vigil.asked.get(name);
            match last {
                Some(Asked { at, answered: None }) => {
                    if now.since(*at) >= patience && !round.is_silent() {
                        silent.push(name.clone());
                    }
                }
                Some(Asked { answered: Some(at), .. }) if now.since(*at) < patience / 2 => {}
                Some(Asked { .. }) | None if is_out => {
                    let Some(post) = self.desk.posts.get(name).cloned() else { continue };
                    self.vigil.asked.insert(name.clone(), Asked { at: now, answered: None });
                    let name = name.clone();
                    self.vigil.questions.spawn_blocking(move || {
                        // Whatever it says, it answers.
                        drop(post.root.identity());
                        drop(post.root.filesystem());
                        name
                    });
                }
                Some(Asked { .. }) | None => {}
            }
        }
        for name in silent {
            let why = format!(
                "failed to reach the root: its file system has not answered for {} s; it is looked at again when it does",
                patience.as_secs_f64()
            );
            self.agenda.drop_mapping(&name);
            self.give_up(&name, &Trouble::Offline(why.clone()));
            self.troubles.insert(name.clone(), Trouble::Offline(why.clone()));
            if let Some(round) = self.rounds.get_mut(&name) {
                round.fall_silent(why, &mut self.observer);
            }
        }
    }

    /// A file system answers.
    pub(super) fn heard_answer(&mut self, name: &MappingName) {
        if let Some(asked) = self.vigil.asked.get_mut(name) {
            asked.answered = Some(ambient::tick());
        }
        if let Some(round) = self.rounds.get_mut(name) {
            round.answer();
        }
    }

    /// When the next answer is overdue, or the next question is to be asked.
    pub(super) fn next_vigil(&self, now: Tick) -> Option<Duration> {
        let patience = self.desk.patience.root_timeout;
        let open = self.vigil.asked.iter().filter_map(|(name, asked)| match asked.answered {
            None if !self.is_silent(name) => Some(asked.at.plus(patience)),
            Some(at) if self.is_at_work(name) => Some(at.plus(patience / 2)),
            None | Some(_) => None,
        });
        // Nobody has asked yet, and somebody waits already.
        let unasked = self.rounds.iter().any(|(name, round)| {
            !round.is_silent() && self.is_at_work(name) && !self.vigil.asked.contains_key(name)
        });
        let open = open.chain(unasked.then_some(now));
        open.min().map(|due| due.since(now).max(Duration::from_millis(1)))
    }

    /// How many steps, and how many surveys, wait for a file system that does not answer. They take nobody's place.
    pub(super) fn stuck(&self) -> (usize, usize) {
        let steps = self.out.values().filter(|key| self.is_silent(&key.mapping)).count();
        let jobs = self.rounds.values().filter(|round| round.is_silent() && round.is_out()).count();
        (steps, jobs)
    }

    fn is_silent(&self, name: &MappingName) -> bool {
        self.rounds.get(name).is_some_and(Round::is_silent)
    }

    fn is_at_work(&self, name: &MappingName) -> bool {
        let round = self.rounds.get(name);
        round.is_some_and(Round::is_out) || self.out.values().any(|key| key.mapping == *name)
    }
}
