//! One pass of the loop, watched: its progress is shown, signals and a deadline end it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::scope::Scope;
use crate::cli::progress::{DRAW_EVERY, Progress, Stage};
use crate::daemon::{self, Ending, Event, Goal, MappingState, Mode, Orders};
use crate::desk::Desk;
use crate::file::MappingName;
use crate::meter::Reading;
use crate::signals::{Signal, Signals};

/// A pass that is over.
#[derive(Debug)]
pub(in crate::cli) struct Passed {
    /// How the loop ended.
    pub(in crate::cli) ending: Ending,
    /// Who cut it short, if anybody did.
    pub(in crate::cli) cut: Option<Cut>,
    /// How long it took.
    pub(in crate::cli) time: Duration,
    /// What was moved.
    pub(in crate::cli) reading: Reading,
}

/// Who cut a pass short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Cut {
    /// A person or the system, by a signal.
    Signal,
    /// `--timeout`.
    Timeout,
}

/// Runs one pass. `stopping` is called when a signal asks it to end, before running steps are waited for.
pub(in crate::cli) async fn pass(
    desk: Arc<Desk>,
    scope: &Scope,
    goal: Goal,
    timeout: Option<Duration>,
    signals: &mut Signals,
    mut progress: Progress,
    stopping: impl Fn(),
) -> Passed {
    let meter = desk.meter.clone();
    let unsurveyed: BTreeSet<MappingName> =
        scope.targets().iter().filter(|(_, path)| path.is_root()).map(|(name, _)| name.clone()).collect();
    let unsurveyed = Arc::new(Mutex::new(unsurveyed));
    let orders = Orders { mode: Mode::Once(goal), scope: scope.targets().to_vec() };
    let (player, mut played) = Signals::by_hand();
    let observer = observer(Arc::clone(&unsurveyed));
    let mut work = Box::pin(daemon::run(desk, orders, None, &mut played, None, observer));
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut draw = tokio::time::interval(DRAW_EVERY);
    draw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut cut = None;
    let ending = loop {
        tokio::select! {
            ending = &mut work => break ending,
            signal = signals.next() => match signal {
                Signal::Reload => {}
                Signal::Gently | Signal::Now => {
                    cut = Some(Cut::Signal);
                    stopping();
                    // The loop is there as long as `work` is: the signal cannot get lost.
                    let _heard = player.send(signal).await;
                }
            },
            () = reached(deadline), if cut.is_none() => {
                cut = Some(Cut::Timeout);
                let _heard = player.send(Signal::Gently).await;
            }
            _ = draw.tick() => {
                let is_over = unsurveyed.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
                progress.show(meter.read(), if is_over { Stage::Working } else { Stage::Scanning });
            }
        }
    };
    let cut = cut.filter(|_| ending.why == daemon::Why::Stopped);
    Passed { ending, cut, time: progress.close(), reading: meter.read() }
}

/// Notes which mappings were walked: from then on the number of files stands.
fn observer(unsurveyed: Arc<Mutex<BTreeSet<MappingName>>>) -> daemon::Observer {
    Box::new(move |event| {
        let over = match event {
            Event::Surveyed(name, _, _) => name,
            Event::Mapping(name, state, _) if *state != MappingState::Scanning => name,
            Event::Mapping(..) | Event::Stepped(_) | Event::Quiet => return,
        };
        unsurveyed.lock().unwrap_or_else(PoisonError::into_inner).remove(over);
    })
}

/// Waits for the deadline; for ever, if there is none.
pub(super) async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
