//! `versync status`: how mappings stand, or one path, whether a daemon runs or not. It only reads.

mod file;
mod overview;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::{Global, desk, render};
use crate::config::Config;
use crate::ledger::{self, Occupancy, Reader};
use crate::panel::{Asked, Kind, Standing};

pub(super) use file::{facts, find};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json one object is printed: schema_version, running, pid, state_dir, foreign, daemon (or null) and mappings [{name, root, \
folder_id, state, reason, since, scanned_at, files, directories, counts {state: n}, ignored {kind: n}, troubles [], attention [file], \
replaced [{path, since, source_file_id, assets [], previous []}]}]. `attention` holds at most 20 files of each state that \
is not the goal; `versync files --state STATE` lists all. With PATH: schema_version, running, pid, state_dir and file {…, journal []}.")]
pub(super) struct Arguments {
    /// One file in detail, or what lies below a directory
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Look again every second, until interrupted
    #[arg(long)]
    watch: bool,
}

/// What there is to see: the ledger, if there is one, and whether somebody is at work on it.
struct View<'a> {
    config: &'a Config,
    reader: Option<Reader>,
    occupancy: Occupancy,
    /// What the daemon itself says, if one answers.
    live: Option<Standing>,
}

impl View<'_> {
    fn is_running(&self) -> bool {
        matches!(self.occupancy, Occupancy::Held(_))
    }
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let found = desk::configuration(global)?;
    desk::runtime()?.block_on(async {
        loop {
            let lines = look(&found.config, arguments, live(global, &found.config).await, paper)?;
            if !arguments.watch {
                lines.iter().for_each(|line| paper.line(line));
                return Ok(Exit::Done);
            }
            if std::io::stdout().is_terminal() && !paper.is_json() {
                // Each line is cleared behind its end, and the rest of the screen at last: no flicker.
                let screen = lines.join("\x1b[K\n");
                paper.raw(format!("\x1b[H{screen}\x1b[K\n\x1b[J").as_bytes());
            } else {
                lines.iter().for_each(|line| paper.line(line));
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            }
        }
    })
}

/// What the daemon says of itself. One that does not answer is no trouble: a single pass takes no questions.
async fn live(global: &Global, config: &Config) -> Option<Standing> {
    match desk::ask(global, config, &Asked::Status {}).await {
        Ok(Some(Kind::Status(standing))) => Some(standing),
        Ok(_) | Err(_) => None,
    }
}

/// One look: prints the object that a machine reads, or gives the lines that a person reads.
fn look(
    config: &Config,
    arguments: &Arguments,
    live: Option<Standing>,
    paper: &Paper,
) -> Result<Vec<String>, Failure> {
    let reader = match Reader::open(&config.state_dir) {
        Ok(reader) => Some(reader),
        Err(ledger::Error::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let view = View { config, reader, occupancy: ledger::occupancy(&config.state_dir)?, live };
    match &arguments.path {
        Some(path) => file::look(&view, path, paper),
        None => overview::look(&view, paper),
    }
}

/// What both shapes of the object begin with.
fn head(view: &View<'_>) -> serde_json::Value {
    let pid = match view.occupancy {
        Occupancy::Held(pid) => pid,
        Occupancy::Free => None,
    };
    json!({
        "schema_version": render::SCHEMA,
        "running": view.is_running(),
        "pid": pid,
        "state_dir": view.config.state_dir.to_string_lossy(),
    })
}

#[cfg(test)]
mod tests;
