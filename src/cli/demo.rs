//! `versync demo`: the whole job in seconds, without configuration or network. The first thing that a new user sees.
//!
//! It is the real thing but for the cloud: the same loop, ledger and client that `sync` and `run` use.

mod live;
mod show;
mod stage;
mod studio;

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::json;

use super::Global;
use super::desk;
use super::failure::{Exit, Failure};
use super::logging::{self, Logs, Reader};
use super::paper::Paper;
use super::progress::bytes;
use super::sync::{self, Cut, Passed, Scope, pass};
use crate::config::Log;
use crate::daemon::{Goal, Why};
use crate::file::{Entry, Key, State, shown};
use crate::signals::Signals;
use show::Show;
use stage::Stage;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Show it with this directory, which is read and never written to
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Stay running and watching until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// How many rows of a user's directory are shown.
const ROWS: usize = 20;

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let logs = logging::init(&Log::default(), Reader::Waiting, global)?;
    desk::runtime()?.block_on(async {
        let mut signals = Signals::listen().map_err(|error| {
            Failure::new(Exit::Unclassified, format!("failed to listen to signals: {error}"))
        })?;
        let stage = Box::pin(Stage::set(arguments.path.as_deref())).await?;
        let told = Box::pin(tell(global, arguments, paper, &logs, &stage, &mut signals)).await;
        let Stage { emulator, .. } = stage;
        emulator.stop().await;
        told
    })
}

async fn tell(
    global: &Global,
    arguments: &Arguments,
    paper: &Paper,
    logs: &Logs,
    stage: &Stage,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let show = Show::on(paper);
    introduce(show, stage, arguments);
    let scope = Scope::everything(&stage.config.mappings);
    let progress = sync::progress(global, paper, logs);
    let passed = pass(stage.desk(), &scope, Goal::Synced, None, signals, progress, || {}).await;
    match (&passed.ending.why, passed.cut) {
        (Why::Finished, _) => {}
        (Why::Stopped, Some(Cut::Signal | Cut::Timeout) | None) => return Ok(Exit::Interrupted),
        (Why::NeedsLogin(failure) | Why::CloudTrouble(failure) | Why::OurTrouble(failure), _) => {
            return Err(failure.clone().into());
        }
    }
    table(show, stage, &passed)?;
    let live = match (&arguments.path, arguments.keep) {
        (None, _) => Some(live::Play::Artist),
        (Some(_), true) => Some(live::Play::Nothing),
        (Some(_), false) => None,
    };
    match live {
        Some(play) => {
            let keep = if arguments.keep { live::Then::Keep } else { live::Then::End };
            match Box::pin(live::live(stage, show, signals, play, keep)).await? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(exit) => return Ok(exit),
            }
        }
        None => {
            show.say("");
            show.say("The live part is left out: nothing is ever written into a directory of yours.");
            show.say("See it with `versync demo`, or stay and edit files yourself with --keep.");
        }
    }
    farewell(show);
    Ok(Exit::Done)
}

fn introduce(show: Show<'_>, stage: &Stage, arguments: &Arguments) {
    let root = shown(&stage.root.to_string_lossy());
    show.heading("versync demo");
    match arguments.path {
        None => {
            show.say("A small studio on disk, an emulated 3dverse on this machine, and versync between");
            show.say("them. Nothing of yours is touched, and nothing leaves this machine.");
        }
        Some(_) => {
            show.say("Your directory, an emulated 3dverse on this machine, and versync between them.");
            show.say("Your files are only read, and nothing leaves this machine.");
        }
    }
    show.step("started", json!({ "root": root, "url": stage.emulator.url() }));
    show.heading("1  The first sync");
    show.aside(&format!("  from  {root}"));
    show.aside(&format!("  to    folder Studio at {}", stage.emulator.url()));
    show.say("");
}

/// What the ledger knows after the first sync.
fn table(show: Show<'_>, stage: &Stage, passed: &Passed) -> Result<(), Failure> {
    let name = &stage.mapping()?.name;
    let reader = stage.ledger.reader()?;
    let mut rows: Vec<(Key, Entry)> = Vec::new();
    reader.bundles(Some(name), None, &mut |key, entry| {
        rows.push((key, entry));
        if rows.len() < ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let states = reader.summary(name)?;
    let total: u64 = states.values().sum();
    let synced = states.get(&State::Synced).copied().unwrap_or_default();
    if rows.is_empty() {
        show.say("  There is no file here that 3dverse could convert.");
    } else {
        show.table(&rows);
    }
    if total > rows.len() as u64 {
        show.aside(&format!("  … and {} more", total - rows.len() as u64));
    }
    let ignored = reader.standing(name)?.map(|standing| standing.ignored).unwrap_or_default();
    let left = show::counts(ignored.iter().map(|(kind, n)| (kind.word(), *n)));
    show.say("");
    show.say(&format!(
        "  {synced} of {total} files synced in {:.1} s, {} sent",
        passed.time.as_secs_f64(),
        bytes(passed.reading.sent_bytes)
    ));
    if !left.is_empty() {
        show.say(&format!("  not files of their own: {left}"));
    }
    show.aside("  Synced means converted: what 3dverse made of a file can be used in scenes.");
    let files: Vec<_> = rows.iter().map(|(key, entry)| show::object(key, entry)).collect();
    let states = states.iter().map(|(state, n)| (state.word().to_owned(), (*n).into()));
    show.step(
        "synced",
        json!({
            "files": files,
            "states": states.collect::<serde_json::Map<_, _>>(),
            "seconds": passed.time.as_secs_f64(),
            "sent_bytes": passed.reading.sent_bytes,
            "uploads": passed.reading.uploads,
        }),
    );
    Ok(())
}

fn farewell(show: Show<'_>) {
    show.heading("What now");
    show.say("  versync init     writes a first configuration for your directory and folder");
    show.say("  versync check    says what is still missing, and what to do about it");
    show.say("  versync sync     brings everything up to date once");
    show.say("  versync run      watches, and keeps it so");
    show.say("");
    show.step("done", json!({ "exit_code": Exit::Done.code() }));
}
