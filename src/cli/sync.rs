//! `versync sync`: one pass over what is configured or named, and how it came out.

mod asked;
mod pass;
mod scope;
mod summary;

use std::ffi::OsString;
use std::time::Duration;

use super::Global;
use super::desk;
use super::failure::{Exit, Failure};
use super::logging::{self, Logs};
use super::paper::Paper;
use super::progress::Progress;
use crate::cloud;
use crate::config::{Config, Found};
use crate::daemon::Goal;
use crate::desk::Desk;
use crate::ledger::{self, Ledger, Occupancy, Reader};
use crate::mapping::Mapping;
use crate::signals::{Signal, Signals};
use crate::verdict::Blame;

pub(in crate::cli) use pass::{Cut, Passed, pass};
pub(in crate::cli) use scope::Scope;
use summary::Tally;
pub(in crate::cli) use summary::ended;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Sync only these mappings (by name), directories or files (by path)
    #[arg(value_name = "MAPPING|PATH")]
    what: Vec<OsString>,
    /// Wait until everything is converted (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Wait only until everything is sent
    #[arg(long)]
    no_wait: bool,
    /// Begin nothing more after this time, for example 30m; running uploads may finish
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let Found { config, warnings, roots } = desk::configuration(global)?;
    let logs = logging::init(&config.log, logging::Reader::Waiting, global)?;
    if !global.quiet {
        warnings.iter().for_each(|warning| paper.talk(&format!("warning: {warning}")));
    }
    let scope = Scope::of(&arguments.what, &config.mappings)?;
    if let Some(root) = roots.iter().find(|root| scope.concerns(&root.mapping)) {
        return Err(Failure::new(Exit::Configuration, root.to_string())
            .hint("mount it, or correct `path` of the mapping; nothing was changed anywhere"));
    }
    let goal = if arguments.no_wait { Goal::Sent } else { Goal::Synced };
    let Some(ledger) = open(&config)? else {
        let passed = ask(global, arguments, &config, &scope, goal, paper, &logs)?;
        return conclude(global, &passed, &Reader::open(&config.state_dir)?, &scope, goal, paper);
    };
    if let Some(aside) = ledger.was_rebuilt() {
        paper.talk(&format!(
            "warning: the ledger was damaged and lies aside at {}; everything is found out anew",
            aside.display()
        ));
    }
    refuse_missing(&scope, &config, &ledger.reader()?)?;
    let client = desk::client(&config, &desk::options(global).environment)?;
    let desk = desk::desk(&config, client, ledger.clone());

    let runtime = desk::runtime()?;
    let passed = runtime.block_on(async {
        let mut signals = listen()?;
        tokio::select! {
            looked = preflight(&desk, &scope) => looked?,
            () = stopped(&mut signals) => return Err(Failure::new(Exit::Interrupted, "interrupted")),
        }
        let progress = progress(global, paper, &logs);
        let stopping = || logs.screen().suspend(|| paper.talk("stopping; once more stops at once"));
        let pass = pass(desk, &scope, goal, arguments.timeout, &mut signals, progress, stopping);
        Ok(Box::pin(pass).await)
    });
    // A thread that waits for a dead file system would be waited for without end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    let passed = passed?;
    conclude(global, &passed, &ledger.reader()?, &scope, goal, paper)
}

/// The ledger, unless somebody holds it: who may ask the holder need not be one who may open the ledger, as root looks at a
/// service.
fn open(config: &Config) -> Result<Option<Ledger>, Failure> {
    if let Occupancy::Held(_) = ledger::occupancy(&config.state_dir)? {
        return Ok(None);
    }
    match Ledger::open(&config.state_dir) {
        Err(ledger::Error::Locked { .. }) => Ok(None),
        ledger => Ok(Some(ledger?)),
    }
}

/// Has the daemon do it that holds the ledger.
fn ask(
    global: &Global,
    arguments: &Arguments,
    config: &Config,
    scope: &Scope,
    goal: Goal,
    paper: &Paper,
    logs: &Logs,
) -> Result<Passed, Failure> {
    let socket = desk::socket(global, config).map_err(|error| desk::unreachable(&error))?;
    // A ledger that has just been made knows nothing yet that could be missed.
    match Reader::open(&config.state_dir) {
        Ok(reader) => refuse_missing(scope, config, &reader)?,
        Err(ledger::Error::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    desk::runtime()?.block_on(async {
        let mut signals = listen()?;
        let progress = progress(global, paper, logs);
        Box::pin(asked::asked(&socket, scope, goal, arguments.timeout, &mut signals, progress)).await
    })
}

/// How it came out, by what the ledger says now.
fn conclude(
    global: &Global,
    passed: &Passed,
    reader: &Reader,
    scope: &Scope,
    goal: Goal,
    paper: &Paper,
) -> Result<Exit, Failure> {
    let tally = Tally::take(reader, scope, goal)?;
    let exit = summary::exit(passed, &tally);
    // Quiet means that only what went wrong is told; a machine is answered in any case.
    if exit != Exit::Done || !global.quiet || paper.is_json() {
        summary::tell(passed, &tally, exit, paper);
    }
    Ok(exit)
}

fn listen() -> Result<Signals, Failure> {
    Signals::listen()
        .map_err(|error| Failure::new(Exit::Unclassified, format!("failed to listen to signals: {error}")))
}

/// What is shown while somebody waits: nothing where only the result is wanted.
pub(super) fn progress(global: &Global, paper: &Paper, logs: &Logs) -> Progress {
    if paper.is_json() || global.quiet {
        Progress::nothing()
    } else if paper.is_watched() {
        Progress::bar(logs.screen())
    } else {
        Progress::lines(*paper)
    }
}

/// Waits until somebody wants the process to end.
pub(super) async fn stopped(signals: &mut Signals) {
    while signals.next().await == Signal::Reload {}
}

/// A path that is neither there nor known was mistyped: a sync of it would report success over nothing.
fn refuse_missing(scope: &Scope, config: &Config, reader: &Reader) -> Result<(), Failure> {
    for (name, path) in scope.targets() {
        let Some(mapping) = config.mappings.iter().find(|it| it.name == *name && !path.is_root()) else {
            continue;
        };
        let absolute = mapping.root.join(path.as_path());
        if absolute.symlink_metadata().is_ok() {
            continue;
        }
        let one = Scope::only(name.clone(), path.clone());
        if Tally::take(reader, &one, Goal::Synced)?.is_empty() {
            let message =
                format!("failed to find {path} in the mapping {name}: it is not there, and never was");
            return Err(Failure::new(Exit::Usage, message).hint("check the spelling of the path"));
        }
    }
    Ok(())
}

/// What would make every upload fail is found out first: one request per folder, with the token that uploads will use.
pub(super) async fn preflight(desk: &Desk, scope: &Scope) -> Result<(), Failure> {
    for post in desk.posts.values().filter(|post| scope.concerns(&post.mapping.name)) {
        if let Err(error) = desk.client.folder(post.mapping.folder).await {
            return Err(refused(&error, &post.mapping));
        }
    }
    Ok(())
}

/// Why a folder cannot be used, with the cure.
fn refused(error: &cloud::Error, mapping: &Mapping) -> Failure {
    let Mapping { name, folder, .. } = mapping;
    let of = format!("folder {folder} of the mapping {name}");
    let (exit, hint) = match (error.blame(), error.status()) {
        (Blame::User, _) => (
            Exit::LoginNeeded,
            "renew the token source of [auth]; `versync check` shows what it gives".to_owned(),
        ),
        (Blame::Mapping, Some(404)) => {
            (Exit::Configuration, format!("there is no {of}: correct `folder` in the configuration"))
        }
        (Blame::Mapping, _) => (
            Exit::LoginNeeded,
            format!("this user may not use {of}: grant write access to it, or use another token"),
        ),
        (Blame::Cloud, Some(_)) => (Exit::Temporary, "try again later".to_owned()),
        (Blame::Cloud, None) => {
            (Exit::Temporary, "check `url` of [server] and the network, or try again later".to_owned())
        }
        (Blame::File, _) => (Exit::Configuration, format!("correct the {of}")),
        (Blame::Room | Blame::Us, _) => {
            (Exit::Configuration, "correct [server] in the configuration".to_owned())
        }
    };
    Failure::new(exit, error.to_string()).hint(hint)
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "a time looks like 90s, 30m or 1h30m".to_owned())?;
    match Duration::try_from(span) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) | Err(_) => Err("the time must be longer than nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_written_as_people_write_it() {
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "30", "0s", "-5s", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
