//! The short commands that only speak to a daemon or to a ledger: `retry`, `reload`, `pause`, `resume`.
//!
//! Where a daemon runs it does what is asked; where none does, the ledger is told, and the next one goes by it.

use std::collections::HashSet;
use std::ffi::OsString;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::render::{self, SCHEMA};
use super::sync::Scope;
use super::{Global, desk};
use crate::ambient;
use crate::config::Config;
use crate::daemon::{self, Flow, MappingState};
use crate::delivery;
use crate::file::MappingName;
use crate::ledger::{self, Ledger, Standing};
use crate::panel::{Asked, Kind, Place, Steered};

/// What `retry` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json one object is printed: schema_version, retried (how many files), daemon (whether a running versync tries them).")]
pub(super) struct Retry {
    /// Try these again: files or directories (by path), or mappings (by name)
    #[arg(value_name = "MAPPING|PATH", required_unless_present = "all")]
    what: Vec<OsString>,
    /// Try everything again, of the mappings that are named or of all
    #[arg(long)]
    all: bool,
}

/// What `reload` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Reload {}

/// What `pause` and `resume` are told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json one object is printed: schema_version, state (paused or running), changed [name], already [name], daemon.")]
pub(super) struct Flowing {
    /// Only this mapping; all of them, if none is named
    mapping: Option<String>,
}

/// Whether somebody took the command who is at work, or only the ledger did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taker {
    Daemon,
    Ledger,
}

/// The story of `retry`.
pub(super) fn retry(global: &Global, arguments: &Retry, paper: &Paper) -> Result<Exit, Failure> {
    let config = desk::configuration(global)?.config;
    let scope = Scope::of(&arguments.what, &config.mappings)?;
    let places = scope.targets().iter().map(|(name, path)| Place::new(name, path)).collect();
    let asked = desk::runtime()?.block_on(desk::ask(global, &config, &Asked::Retry { scope: places }))?;
    let (count, taker) = match asked {
        Some(Kind::Retried(count)) => (count, Taker::Daemon),
        Some(other) => return Err(strange(&other)),
        None => {
            let ledger = Ledger::open(&config.state_dir)?;
            let mut count = 0;
            for (name, path) in scope.targets() {
                count += delivery::rearm(&ledger, name, path, &HashSet::new())?.keys.len() as u64;
            }
            (count, Taker::Ledger)
        }
    };
    let files = render::things(count, "file is", "files are");
    paper.line(&match (count, taker) {
        (0, _) => {
            "nothing to retry: no file is blocked, stalled, suspect, held as part of a refresh, or failed to convert there".to_owned()
        }
        (_, Taker::Daemon) => format!("{files} tried again by the running versync"),
        (_, Taker::Ledger) => {
            format!("{files} ready again; `versync sync` or `versync run` sends what is ready")
        }
    });
    paper.object(&json!({ "schema_version": SCHEMA, "retried": count, "daemon": taker == Taker::Daemon }));
    Ok(Exit::Done)
}

/// The story of `reload`.
pub(super) fn reload(global: &Global, _arguments: &Reload, paper: &Paper) -> Result<Exit, Failure> {
    // What is refused here would be refused there; and here a person sees it with line and cure.
    let config = desk::configuration(global)?.config;
    let asked = desk::runtime()?.block_on(desk::ask(global, &config, &Asked::Reload {}));
    match asked {
        Ok(Some(Kind::Reloaded(mappings))) => {
            let mappings_told = render::things(mappings as u64, "mapping", "mappings");
            paper.line(&format!("the running versync has read its configuration again: {mappings_told}"));
            paper.object(&json!({ "schema_version": SCHEMA, "mappings": mappings }));
            Ok(Exit::Done)
        }
        Ok(Some(other)) => Err(strange(&other)),
        Ok(None) => Err(Failure::new(Exit::Unclassified, "failed to reload: no versync is running here")
            .hint("`versync run` reads the configuration when it starts")),
        Err(failure) if failure.exit() == Exit::Unclassified => {
            let what = format!("the running versync keeps its old configuration: {}", failure.heading());
            Err(Failure::new(Exit::Configuration, what))
        }
        Err(failure) => Err(failure),
    }
}

/// The story of `pause`.
pub(super) fn pause(global: &Global, arguments: &Flowing, paper: &Paper) -> Result<Exit, Failure> {
    steer(global, arguments, Flow::Paused, paper)
}

/// The story of `resume`.
pub(super) fn resume(global: &Global, arguments: &Flowing, paper: &Paper) -> Result<Exit, Failure> {
    steer(global, arguments, Flow::Running, paper)
}

fn steer(global: &Global, arguments: &Flowing, wanted: Flow, paper: &Paper) -> Result<Exit, Failure> {
    let config = desk::configuration(global)?.config;
    let named: Vec<String> = arguments.mapping.iter().cloned().collect();
    let names: Vec<MappingName> =
        desk::chosen(&config, &named)?.into_iter().map(|mapping| mapping.name.clone()).collect();
    let mapping = arguments.mapping.clone();
    let asked = match wanted {
        Flow::Paused => Asked::Pause { mapping },
        Flow::Running => Asked::Resume { mapping },
    };
    let (steered, taker) = match desk::runtime()?.block_on(desk::ask(global, &config, &asked))? {
        Some(Kind::Steered(steered)) => (steered, Taker::Daemon),
        Some(other) => return Err(strange(&other)),
        None => (write(&config, &names, wanted)?, Taker::Ledger),
    };
    let word = match wanted {
        Flow::Paused => "paused",
        Flow::Running => "running",
    };
    if !steered.changed.is_empty() {
        let end = match (wanted, taker) {
            (Flow::Paused, _) => ": nothing more is sent until `versync resume`",
            (Flow::Running, Taker::Daemon) => "",
            (Flow::Running, Taker::Ledger) => " at the next `versync sync` or `versync run`",
        };
        paper.line(&format!("{word}: {}{end}", steered.changed.join(", ")));
    }
    if !steered.already.is_empty() {
        paper.line(&format!("already {word}: {}", steered.already.join(", ")));
    }
    paper.object(&json!({
        "schema_version": SCHEMA,
        "state": word,
        "changed": steered.changed,
        "already": steered.already,
        "daemon": taker == Taker::Daemon,
    }));
    Ok(Exit::Done)
}

/// Nobody is at work: the ledger is told, and `status` too.
fn write(config: &Config, names: &[MappingName], wanted: Flow) -> Result<Steered, Failure> {
    let ledger = Ledger::open(&config.state_dir)?;
    let mut steered = Steered { changed: Vec::new(), already: Vec::new() };
    for name in names {
        if daemon::put_flow(&ledger, name, wanted)? {
            show(&ledger, name, wanted)?;
            steered.changed.push(name.as_str().to_owned());
        } else {
            steered.already.push(name.as_str().to_owned());
        }
    }
    Ok(steered)
}

fn show(ledger: &Ledger, name: &MappingName, wanted: Flow) -> Result<(), ledger::Error> {
    let state = match wanted {
        Flow::Paused => MappingState::Paused,
        Flow::Running => MappingState::Idle,
    };
    let Some(standing) = ledger.standing(name)? else { return Ok(()) };
    let state = state.word().to_owned();
    ledger.put_standing(name, &Standing { state, reason: None, since: ambient::now(), ..standing })
}

/// An answer to another question.
pub(super) fn strange(answer: &Kind) -> Failure {
    Failure::new(Exit::Unclassified, format!("failed to understand the running versync: it says {answer:?}"))
}
