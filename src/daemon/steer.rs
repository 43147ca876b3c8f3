//! Commands to a running loop, obeyed one after another between two turns of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::barrier::{Barrier, unknown};
use super::command::{Changed, Command, Next, Request, Snapshot, Standing};
use super::pause::{self, Flow};
use super::round::Round;
use super::walk::Job;
use super::{Daemon, Rebuild, Trouble, Why};
use crate::agenda::{Voucher, When};
use crate::ambient;
use crate::delivery;
use crate::disk;
use crate::file::sighting::RootIdentity;
use crate::file::{Key, MappingName, RelPath};
use crate::ledger;
use crate::signals::{self, Tell};
use crate::worker::blocking;

/// How often somebody who waits for a pass is told how far it is.
pub(super) const TOLD_EVERY: Duration = Duration::from_secs(1);

impl Daemon {
    /// Does what is asked. Nobody may be left who hears the answer, and that is no trouble.
    pub(super) async fn obey(&mut self, command: Command, rebuild: Option<&Rebuild>) {
        match command {
            Command::Look(answer) => drop(answer.send(self.snapshot())),
            Command::When(key, answer) => drop(answer.send(self.next_look(&key))),
            Command::Sync(request) => self.begin_pass(request),
            Command::Retry(scope, answer) => drop(answer.send(self.retry(scope).await)),
            Command::Reload(answer) => drop(answer.send(self.reload(rebuild).await)),
            Command::Pause(mapping, answer) => {
                drop(answer.send(self.steer(mapping, Flow::Paused).await));
            }
            Command::Resume(mapping, answer) => {
                drop(answer.send(self.steer(mapping, Flow::Running).await));
            }
            Command::Agree(mapping, terms, answer) => {
                drop(answer.send(self.agree(mapping, terms).await));
            }
            Command::Approve(mapping, root, answer) => {
                drop(answer.send(self.approve(mapping, root).await));
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut on_agenda: BTreeMap<&MappingName, usize> = BTreeMap::new();
        for key in self.agenda.keys() {
            *on_agenda.entry(&key.mapping).or_default() += 1;
        }
        let mapping = |(name, round): (&MappingName, &Round)| {
            let ledger::Standing { state, reason, since, .. } = round.standing().clone();
            let agenda = on_agenda.get(name).copied().unwrap_or_default();
            Standing { name: name.clone(), state, reason, since, agenda }
        };
        Snapshot {
            mappings: self.rounds.iter().map(mapping).collect(),
            agenda: self.agenda.len(),
            out: self.agenda.out(),
            reading: self.desk.meter.read(),
            refused: self.refused.clone(),
        }
    }

    fn next_look(&self, key: &Key) -> Option<Next> {
        let now = ambient::tick();
        self.agenda.when(key).map(|when| match when {
            When::Now => Next::Now,
            When::At(due) => Next::At(ambient::now().plus(due.since(now))),
        })
    }

    /// Surveys the scope afresh; the rest is what the loop does anyway.
    fn begin_pass(&mut self, request: Request) {
        if let Some((stranger, _)) = request.scope.iter().find(|(name, _)| !self.rounds.contains_key(name)) {
            drop(request.ended.send(Err(unknown(stranger).what)));
            return;
        }
        tracing::debug!(places = request.scope.len(), "a pass was asked for");
        let begun = |name: &MappingName| self.rounds.get(name).map_or(0, Round::begun);
        let mut barrier = Barrier::new(request, self.desk.meter.read(), begun);
        for (name, round) in &mut self.rounds {
            if round.is_paused() {
                barrier.give_up(name, Trouble::Paused);
            }
        }
        // Somebody waits: what was put off is tried now, as a pass of its own would.
        let now = ambient::tick();
        self.agenda.release();
        let known: Vec<_> = self.agenda.keys().filter(|key| barrier.concerns(key)).cloned().collect();
        for key in &known {
            barrier.met(key, 0);
            self.agenda.hurry(key, now);
        }
        for (mapping, path) in barrier.scope() {
            if let Some(round) = self.rounds.get_mut(mapping) {
                round.want(Job::survey(path.clone()));
            }
        }
        self.barriers.push(barrier);
    }

    /// Whether somebody waits for a bundle.
    pub(super) fn is_awaited(&self, key: &Key) -> bool {
        self.barriers.iter().any(|barrier| barrier.concerns(key))
    }

    /// Tells those who wait for a pass how far it is, and those whose pass is over how it ended.
    pub(super) fn tell_waiting(&mut self) {
        if self.barriers.is_empty() {
            return;
        }
        let (now, reading) = (ambient::tick(), self.desk.meter.read());
        let (over, waiting) = std::mem::take(&mut self.barriers).into_iter().partition(Barrier::is_over);
        self.barriers = waiting;
        for barrier in over {
            barrier.close(None, reading);
        }
        if now.since(self.told) >= TOLD_EVERY {
            self.told = now;
            self.barriers.iter().for_each(|barrier| barrier.tell(reading));
        }
    }

    /// The loop ends: nobody waits any longer.
    pub(super) fn dismiss(&mut self, why: &Why) {
        let reading = self.desk.meter.read();
        for barrier in self.barriers.drain(..) {
            barrier.close(Some(why), reading);
        }
    }

    /// Lifts what keeps bundles from being tried again.
    async fn retry(&mut self, scope: Vec<(MappingName, RelPath)>) -> Result<u64, String> {
        if let Some((stranger, _)) = scope.iter().find(|(name, _)| !self.rounds.contains_key(name)) {
            return Err(unknown(stranger).what);
        }
        let mut count = 0;
        for (mapping, path) in scope {
            count += self.rearm(mapping, path).await.map_err(|error| error.to_string())?;
        }
        Ok(count)
    }

    /// A step that is out would write over what is lifted: its bundle has to wait until it is back.
    async fn rearm(&mut self, mapping: MappingName, path: RelPath) -> Result<u64, ledger::Error> {
        let out: HashSet<Key> = self.out.values().cloned().collect();
        let ledger = self.desk.ledger.clone();
        let rearmed = blocking(move || delivery::rearm(&ledger, &mapping, &path, &out)).await?;
        let now = ambient::tick();
        for key in &rearmed.keys {
            // The survey that ends a pause finds it.
            if self.rounds.get(&key.mapping).is_some_and(Round::is_paused) {
                continue;
            }
            if !self.agenda.contains(key) {
                self.desk.meter.found(0);
            }
            self.agenda.note(key.clone(), Voucher::Scanned, now, Duration::ZERO);
            self.agenda.hurry(key, now);
        }
        let count = rearmed.keys.len() + rearmed.out.len();
        self.owed.extend(rearmed.out);
        Ok(count as u64)
    }

    /// Lifts what was to be lifted while a step was out that is back now.
    pub(super) async fn settle_owed(&mut self) {
        if self.is_cramped() {
            return;
        }
        let is_out: HashSet<&Key> = self.out.values().collect();
        let back: Vec<Key> = self.owed.iter().filter(|key| !is_out.contains(key)).cloned().collect();
        for key in back {
            self.owed.remove(&key);
            if let Err(error) = self.rearm(key.mapping.clone(), key.path.clone()).await {
                self.owed.insert(key);
                self.ledger_failed(&error);
                return;
            }
        }
    }

    /// Has mappings wait, or go on.
    async fn steer(&mut self, mapping: Option<MappingName>, wanted: Flow) -> Result<Changed, String> {
        let names: Vec<MappingName> = match mapping {
            Some(name) if !self.rounds.contains_key(&name) => return Err(unknown(&name).what),
            Some(name) => vec![name],
            None => self.rounds.keys().cloned().collect(),
        };
        let mut changed = Changed::default();
        for name in names {
            let (ledger, of) = (self.desk.ledger.clone(), name.clone());
            let is_news = blocking(move || pause::put_flow(&ledger, &of, wanted)).await;
            if is_news.map_err(|error| error.to_string())? {
                self.flow(&name, wanted);
                changed.changed.push(name);
            } else {
                changed.already.push(name);
            }
        }
        Ok(changed)
    }

    /// Takes over which mappings wait, as the ledger has it.
    pub(super) async fn remember_pauses(&mut self) {
        let names: Vec<MappingName> = self.rounds.keys().cloned().collect();
        let ledger = self.desk.ledger.clone();
        let flows = blocking(move || {
            let flow = |name: MappingName| Ok((pause::flow(&ledger, &name)?, name));
            names.into_iter().map(flow).collect::<Result<Vec<_>, ledger::Error>>()
        });
        match flows.await {
            Ok(flows) => {
                for (flow, name) in flows {
                    let is_paused = self.rounds.get(&name).is_some_and(Round::is_paused);
                    if flow == Flow::Paused && !is_paused {
                        self.flow(&name, flow);
                    }
                }
            }
            Err(error) => self.ledger_failed(&error),
        }
    }

    fn flow(&mut self, name: &MappingName, wanted: Flow) {
        let Some(round) = self.rounds.get_mut(name) else { return };
        match wanted {
            Flow::Running => round.resume(&mut self.observer),
            Flow::Paused => {
                round.pause(&mut self.observer);
                self.agenda.drop_mapping(name);
                self.barriers.iter_mut().for_each(|barrier| barrier.give_up(name, Trouble::Paused));
            }
        }
    }

    /// Lets a mapping take remote files away on the terms that a person was shown.
    async fn agree(&mut self, mapping: MappingName, terms: String) -> Result<(), String> {
        let Some(post) = self.desk.posts.get(&mapping).map(Arc::clone) else {
            return Err(unknown(&mapping).what);
        };
        if post.mapping.terms() != terms {
            return Err(format!(
                "failed to approve {mapping}: the running service has another configuration; `versync reload` it first"
            ));
        }
        let ledger = self.desk.ledger.clone();
        let armed = blocking(move || delivery::arm(&ledger, &post.mapping)).await;
        armed.map_err(|error| error.to_string())?;
        self.desk.grants.renew();
        self.owes_reckoning(&mapping);
        Ok(())
    }

    /// Pins a mapping to the root that a person was shown.
    async fn approve(&mut self, mapping: MappingName, shown: RootIdentity) -> Result<(), String> {
        let Some(post) = self.desk.posts.get(&mapping).map(Arc::clone) else {
            return Err(unknown(&mapping).what);
        };
        let (ledger, name) = (self.desk.ledger.clone(), mapping.clone());
        let approved = blocking(move || {
            let found = post.root.identity().map_err(|error| error.to_string())?;
            if !found.is_same_root(&shown) {
                return Err(format!("failed to approve {name}: its root has changed once more meanwhile"));
            }
            if disk::is_bare(&post.root, &post.mapping).map_err(|error| error.to_string())? {
                ledger.accept_emptied(&name).map_err(|error| error.to_string())?;
            }
            ledger.accept_machine().map_err(|error| error.to_string())?;
            ledger.put_root(&name, &found).map_err(|error| error.to_string())
        });
        // A file system that does not answer must not hold the loop.
        tokio::time::timeout(self.desk.patience.root_timeout, approved)
            .await
            .map_err(|_| format!("failed to approve {mapping}: its file system does not answer"))??;
        if let Some(round) = self.rounds.get_mut(&mapping) {
            round.want(Job::survey(RelPath::root()));
        }
        Ok(())
    }

    /// Swaps the configuration in whole, or keeps the old one and says why.
    pub(super) async fn reload(&mut self, rebuild: Option<&Rebuild>) -> Result<usize, String> {
        let Some(rebuild) = rebuild else { return Err("failed to reload: there is no configuration".into()) };
        signals::tell(Tell::Reloading);
        let reloaded = match rebuild() {
            Ok(desk) => {
                self.swap(desk);
                self.remember_pauses().await;
                self.refused = None;
                tracing::info!(mappings = self.rounds.len(), "configuration reloaded");
                Ok(self.rounds.len())
            }
            Err(problems) => {
                tracing::error!(
                    "failed to reload the configuration; the old one stays in force:\n{problems}"
                );
                self.refused = Some((ambient::now(), problems.clone()));
                Err(problems)
            }
        };
        signals::tell(Tell::Ready);
        reloaded
    }

    fn swap(&mut self, desk: Arc<crate::desk::Desk>) {
        let gone: Vec<_> =
            self.rounds.keys().filter(|name| !desk.posts.contains_key(*name)).cloned().collect();
        for name in gone {
            self.agenda.drop_mapping(&name);
            self.rounds.remove(&name);
            self.troubles.remove(&name);
            for barrier in &mut self.barriers {
                barrier.give_up(&name, Trouble::Refused(unknown(&name)));
            }
            if let Some(watcher) = &self.watcher {
                watcher.remove(&name);
            }
        }
        let before = std::mem::replace(&mut self.desk, desk);
        for post in self.desk.posts.values() {
            let name = &post.mapping.name;
            let is_same_root =
                before.posts.get(name).is_some_and(|before| before.root.path() == post.root.path());
            if let Some(watcher) = &self.watcher
                && !is_same_root
            {
                watcher.remove(name);
                watcher.add(name, &post.root);
            }
            self.rounds.entry(name.clone()).or_insert_with(|| Round::new(post)).renew(post);
        }
        self.agenda.release();
        self.want_everything();
    }
}
