//! A folder's upload tasks: one listing answers all bundles that wait for one, so the cost does not grow with their number.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::ambient;
use crate::cloud::{Client, Error, UploadTask};
use crate::id::{FolderId, UploadTaskId};
use crate::timestamp::Tick;

/// The upload tasks of all folders.
#[derive(Debug)]
pub struct Board {
    client: Client,
    /// For how long a listing answers.
    fresh: Duration,
    folders: Mutex<HashMap<FolderId, Arc<Mutex<Reading>>>>,
}

/// What was last read of a folder, and who waits there for more.
#[derive(Debug, Default)]
struct Reading {
    wanted: HashMap<UploadTaskId, Tick>,
    tasks: HashMap<UploadTaskId, (UploadTask, Tick)>,
}

/// After how long somebody who no longer asks is no longer listed for.
const PATIENT: Duration = Duration::from_secs(120);

impl Board {
    /// An empty board whose listings answer for as long as `fresh`.
    #[must_use]
    pub fn new(client: Client, fresh: Duration) -> Self {
        Self { client, fresh, folders: Mutex::default() }
    }

    /// What is known of a task now; none if the cloud does not know it.
    ///
    /// # Errors
    /// What the cloud says, but for 404.
    pub async fn task(&self, folder: FolderId, task: UploadTaskId) -> Result<Option<UploadTask>, Error> {
        let asked = ambient::tick();
        let slot = Arc::clone(self.folders.lock().await.entry(folder).or_default());
        let mut reading = slot.lock().await;
        if let Some((known, read)) = reading.tasks.get(&task)
            && (known.status.is_final() || asked.since(*read) < self.fresh)
        {
            let known = known.clone();
            reading.done_with(task, &known);
            return Ok(Some(known));
        }
        reading.wanted.retain(|_, since| asked.since(*since) < PATIENT);
        reading.wanted.insert(task, asked);
        // One alone is asked for by its id, which is also believed to be newer than a listing.
        if reading.wanted.len() > 1 {
            let wanted: Vec<_> = reading.wanted.keys().copied().collect();
            let listed = self
                .client
                .upload_tasks(folder, |so_far| {
                    wanted.iter().all(|wanted| so_far.iter().any(|task| task.id == *wanted))
                })
                .await;
            match listed {
                Ok(tasks) => {
                    let read = ambient::tick();
                    let wanted = tasks.into_iter().filter(|task| wanted.contains(&task.id));
                    reading.tasks.extend(wanted.map(|task| (task.id, (task, read))));
                }
                // A token that may not list may still read by id.
                Err(error) if matches!(error.status(), Some(403 | 404)) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some((known, read)) = reading.tasks.get(&task)
            && *read >= asked
        {
            let known = known.clone();
            reading.done_with(task, &known);
            return Ok(Some(known));
        }
        match self.client.upload_task(task).await {
            Ok(known) => {
                reading.tasks.insert(task, (known.clone(), ambient::tick()));
                reading.done_with(task, &known);
                Ok(Some(known))
            }
            Err(error) if error.status() == Some(404) => {
                reading.wanted.remove(&task);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Reading {
    /// A task that has ended is asked for once more at most: nothing is kept of it.
    fn done_with(&mut self, task: UploadTaskId, known: &UploadTask) {
        if known.status.is_final() {
            self.wanted.remove(&task);
            self.tasks.remove(&task);
        }
    }
}
