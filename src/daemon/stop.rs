//! The two-step stop: nothing new, what runs may finish until the deadline or the second signal.

use std::time::Duration;

use super::{Daemon, Ending, Why};
use crate::signals::{self, Signal, Signals, Tell};

/// How often it is told what is waited for.
const TELL: Duration = Duration::from_secs(5);

impl Daemon {
    pub(super) async fn close(mut self, signals: &mut Signals) -> Ending {
        let why = self.end.take().unwrap_or(Why::Finished);
        signals::tell(Tell::Stopping);
        // Whoever waits is told now; what they waited for is in the ledger.
        self.dismiss(&why);
        // Reads and walks can be had again; only requests are worth waiting for.
        self.desk.cancel.cancel();
        self.jobs.abort_all();
        self.vigil.end();
        let deadline = tokio::time::Instant::now() + self.desk.patience.shutdown_timeout;
        let mut tell = tokio::time::interval(TELL);
        tell.tick().await;
        while !self.steps.is_empty() {
            tokio::select! {
                Some(stepped) = self.steps.join_next_with_id() => {
                    let end = self.end.take();
                    self.stepped(stepped);
                    self.end = end;
                }
                _ = tell.tick() => {
                    let late: Vec<_> = self.out.values().map(ToString::to_string).collect();
                    tracing::info!(late = late.join(", "), "waiting for running steps to finish");
                }
                () = tokio::time::sleep_until(deadline) => break,
                signal = signals.next() => match signal {
                    Signal::Gently | Signal::Now => break,
                    Signal::Reload => {}
                },
            }
        }
        if !self.steps.is_empty() {
            tracing::warn!(
                left = self.steps.len(),
                "stopped before these steps finished; they are taken up again at the next start"
            );
        }
        self.steps.abort_all();
        while self.steps.join_next().await.is_some() {}
        self.record.close(&self.desk).await;
        self.pass_away(&why).await;
        Ending { why, mappings: self.troubles }
    }
}
