//! A pass that a running daemon makes: asked for over its socket, watched and told as one of our own.

use std::path::Path;
use std::time::Duration;

use super::pass::{Cut, Passed};
use super::scope::Scope;
use crate::cli::failure::{Exit, Failure};
use crate::cli::progress::{DRAW_EVERY, Progress, Stage};
use crate::daemon::{Ending, Goal, Report, Why};
use crate::meter::Reading;
use crate::panel::{Asked, Call, Kind, Place, Wait};
use crate::signals::{Signal, Signals};

/// Has the daemon at this socket make a pass, and waits for its end. Whoever leaves early leaves the daemon at work.
///
/// # Errors
/// Why it cannot be asked, or does not do it.
pub(super) async fn asked(
    socket: &Path,
    scope: &Scope,
    goal: Goal,
    timeout: Option<Duration>,
    signals: &mut Signals,
    mut progress: Progress,
) -> Result<Passed, Failure> {
    let places = scope.targets().iter().map(|(mapping, path)| Place::new(mapping, path)).collect();
    let wait = match goal {
        Goal::Synced => Wait::Synced,
        Goal::Sent => Wait::Sent,
    };
    let deadline = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
    let mut reading = Reading::default();
    let mut stage = Stage::Scanning;
    let cut = |cut, time, reading| {
        let ending = Ending { why: Why::Stopped, mappings: std::collections::BTreeMap::new() };
        Ok(Passed { ending, cut: Some(cut), time, reading })
    };
    let asked = Asked::Sync { scope: places, wait };
    let mut draw = tokio::time::interval(DRAW_EVERY);
    draw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut call = tokio::select! {
        call = Call::put(socket, &asked) => call.map_err(unreachable)?,
        () = super::stopped(signals) => return cut(Cut::Signal, progress.close(), reading),
    };
    loop {
        tokio::select! {
            kind = call.next() => match kind.map_err(unreachable)? {
                Kind::Progress(numbers) => {
                    reading = numbers.reading();
                    stage = if numbers.scanning { Stage::Scanning } else { Stage::Working };
                }
                Kind::Ended(end) => return ended(end.read(), progress),
                Kind::Error(why) => return Err(Failure::new(Exit::Usage, why)
                    .hint("if the configuration was edited, `versync reload` has the running versync read it")),
                other => return Err(Failure::new(Exit::Locked, format!("failed to understand {other:?}"))),
            },
            signal = signals.next() => match signal {
                Signal::Reload => {}
                Signal::Gently | Signal::Now => return cut(Cut::Signal, progress.close(), reading),
            },
            () = super::pass::reached(deadline) => return cut(Cut::Timeout, progress.close(), reading),
            _ = draw.tick() => progress.show(reading, stage),
        }
    }
}

fn ended(report: Result<Report, String>, progress: Progress) -> Result<Passed, Failure> {
    let Report { ending, reading } = report.map_err(|why| {
        Failure::new(Exit::Locked, format!("failed to understand the running versync: {why}"))
    })?;
    if ending.why == Why::Stopped {
        return Err(Failure::new(Exit::Temporary, "failed to finish: the running versync was stopped")
            .hint("nothing is lost: the next sync goes on where it stood"));
    }
    Ok(Passed { ending, cut: None, time: progress.close(), reading })
}

fn unreachable(error: crate::panel::Error) -> Failure {
    super::desk::unreachable(&error)
}
