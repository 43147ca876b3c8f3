//! When the manifest is written: after changes, once nothing is left to do, off the loop's own task.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Daemon;
use crate::ambient;
use crate::desk::Desk;
use crate::file::MappingName;
use crate::id::FolderId;
use crate::ledger::{self, Reader};
use crate::manifest::{self, Manifest, Written};
use crate::timestamp::Tick;

/// Whether the manifest has to be written.
#[derive(Debug, Default)]
pub(super) struct Record {
    stale: Option<Stale>,
    /// Each tells how long it took.
    writing: JoinSet<Duration>,
    /// It is not written again before.
    next: Option<Tick>,
    whole: Vec<MappingName>,
}

/// How many times as long as the last writing took nothing is written: it reads the whole ledger.
const PAUSES: u32 = 20;

/// The shortest such pause, and how often a writing that goes on is looked after.
const SHORTEST: Duration = Duration::from_millis(100);

/// The mark of a manifest that may say something else than the ledger.
#[derive(Debug)]
struct Stale;

/// What the ledger says of these mappings, as a manifest.
///
/// # Errors
/// What the ledger says.
pub fn listed(reader: &Reader, mappings: &[(MappingName, FolderId)]) -> Result<Manifest, ledger::Error> {
    let mut manifest = Manifest::default();
    for (name, folder) in mappings {
        manifest.open(name, *folder);
        reader.bundles(Some(name), None, &mut |key, entry| {
            manifest.add(&key, &entry);
            std::ops::ControlFlow::Continue(())
        })?;
    }
    Ok(manifest)
}

impl Record {
    /// Something changed that the manifest may tell of.
    pub(super) fn touch(&mut self) {
        self.stale = Some(Stale);
    }

    /// Writes it in the background, unless that is being done already or was done just now: then it is done again later.
    pub(super) fn begin(&mut self, desk: &Arc<Desk>) {
        let now = ambient::tick();
        while let Some(took) = self.writing.try_join_next() {
            self.next = Some(now.plus((took.unwrap_or_default() * PAUSES).max(SHORTEST)));
        }
        let is_early = self.next.is_some_and(|next| now < next);
        if self.writing.is_empty() && !is_early && self.stale.take().is_some() {
            self.spawn(desk);
        }
    }

    /// How long until it may be written again, if it has to be.
    pub(super) fn pause(&self, now: Tick) -> Option<Duration> {
        self.stale.as_ref()?;
        let left = self.next.map_or(Duration::ZERO, |next| next.since(now));
        Some(if self.writing.is_empty() { left } else { SHORTEST })
    }

    fn spawn(&mut self, desk: &Arc<Desk>) {
        let (desk, whole) = (Arc::clone(desk), std::mem::take(&mut self.whole));
        self.writing.spawn_blocking(move || {
            let began = ambient::tick();
            write(&desk, &whole);
            ambient::tick().since(began)
        });
    }

    /// Writes what is left to write, before the process ends.
    pub(super) async fn close(&mut self, desk: &Arc<Desk>) {
        while self.writing.join_next().await.is_some() {}
        self.spawn(desk);
        while self.writing.join_next().await.is_some() {}
    }
}

impl Daemon {
    /// Nothing is left to do: what was surveyed and is in no trouble is known as a whole.
    pub(super) fn note_whole(&mut self) {
        if self.desk.manifest.is_none() {
            return;
        }
        for (name, round) in &self.rounds {
            let is_troubled = self.troubles.contains_key(name);
            if round.standing().scanned_at.is_some() && !is_troubled && !self.record.whole.contains(name) {
                self.record.whole.push(name.clone());
            }
        }
    }
}

/// A manifest that cannot be written stops nothing: it is told, and written after the next change.
fn write(desk: &Desk, whole: &[MappingName]) {
    if let Some(path) = &desk.manifest {
        match try_write(desk, path, whole) {
            Ok(Written::Replaced) => tracing::debug!("manifest written"),
            Ok(Written::Same) => {}
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

fn try_write(desk: &Desk, path: &std::path::Path, whole: &[MappingName]) -> Result<Written, String> {
    let told = |error: ledger::Error| error.to_string();
    for name in whole {
        let key = manifest::seen_whole(name);
        if desk.ledger.meta(&key).map_err(told)?.is_none() {
            desk.ledger.put_meta(&key, "yes").map_err(told)?;
        }
    }
    let mappings: Vec<_> =
        desk.posts.values().map(|post| (post.mapping.name.clone(), post.mapping.folder)).collect();
    let mut manifest = listed(&desk.ledger.reader().map_err(told)?, &mappings).map_err(told)?;
    // A ledger that was lost must not take with it what the manifest still knows of it.
    let mut earlier: Option<Manifest> = None;
    for (name, _) in &mappings {
        if desk.ledger.meta(&manifest::seen_whole(name)).map_err(told)?.is_none() {
            if earlier.is_none() {
                earlier = Manifest::read(path).map_err(|error| error.to_string())?;
            }
            if let Some(earlier) = &earlier {
                manifest.keep(name, earlier);
            }
        }
    }
    manifest.write(path).map_err(|error| error.to_string())
}
