//! `versync run`: the daemon in the foreground. It prints no result; what happens is in the log.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Global;
use super::desk;
use super::failure::{Exit, Failure};
use super::logging::{self, Reader};
use super::paper::Paper;
use crate::config::{self, Config, Found};
use crate::daemon::{self, Command, Mode, Orders, Rebuild, Steering, Why};
use crate::desk::Desk;
use crate::disk::{Root, Watcher};
use crate::file::RelPath;
use crate::ledger::Ledger;
use crate::meter::Meter;
use crate::panel::{self, Panel};
use crate::signals::Signals;

/// How many commands may wait for the loop.
const COMMANDS: usize = 16;

/// How long what still reads from a disk is waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// Its story.
pub(super) fn run(global: &Global, _arguments: &Arguments) -> Result<Exit, Failure> {
    let Found { config, warnings, roots } = desk::configuration(global)?;
    let _logs = logging::init(&config.log, Reader::Operator, global)?;
    if let Some(path) = &config.log.file {
        Paper::new(false).talk(&format!("logging to {}", path.display()));
    }
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    for root in &roots {
        tracing::warn!("{root}; its mapping waits for it");
    }
    if rustix::process::geteuid().is_root() {
        tracing::warn!("running as root: a user that may only read the roots is enough");
    }
    let ledger = Ledger::open(&config.state_dir)?;
    if let Some(aside) = ledger.was_rebuilt() {
        tracing::warn!(
            "the ledger was damaged and lies aside at {}; everything is found out anew",
            aside.display()
        );
    }
    let options = desk::options(global);
    let client = desk::client(&config, &options.environment)?;
    let meter = Meter::default();
    let laid = Desk::lay(&config, client, ledger.clone(), meter.clone());
    let scope = config.mappings.iter().map(|mapping| (mapping.name.clone(), RelPath::root())).collect();
    let orders = Orders { mode: Mode::Watch, scope };
    let socket = desk::socket(global, &config);
    let rebuild = rebuild(options, config.state_dir.clone(), ledger, meter);

    let runtime = desk::runtime()?;
    let ending = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(|error| {
            Failure::new(Exit::Unclassified, format!("failed to listen to signals: {error}"))
        })?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            mappings = config.mappings.len(),
            server = %config.server.url,
            "versync is at work"
        );
        let watching = watcher(&config);
        let (sender, commands) = mpsc::channel(COMMANDS);
        let _panel = panel(socket, sender);
        let steering = Some(Steering { rebuild, commands });
        let ending = Box::pin(daemon::run(laid, orders, watching, &mut signals, steering, Box::new(|_| {})));
        Ok::<_, Failure>(ending.await)
    });
    // A thread that waits for a dead file system would be waited for without end.
    runtime.shutdown_timeout(LAST_WAIT);
    let ending = ending?;
    match ending.why {
        Why::Stopped | Why::Finished => {
            tracing::info!("versync has stopped");
            Ok(Exit::Done)
        }
        Why::NeedsLogin(failure) | Why::CloudTrouble(failure) | Why::OurTrouble(failure) => {
            tracing::error!("{}", failure.what);
            Err(failure.into())
        }
    }
}

/// The control socket. A daemon that cannot have one does its job all the same.
fn panel(socket: Result<PathBuf, panel::Error>, commands: mpsc::Sender<Command>) -> Option<Panel> {
    match socket.and_then(|path| Panel::open(path, commands)) {
        Ok(panel) => Some(panel),
        Err(error) => {
            tracing::warn!("{error}; no command reaches this versync but `status`, `files` and signals");
            None
        }
    }
}

/// Something that tells of changes, for all mappings; without it every mapping is walked at intervals.
fn watcher(config: &Config) -> Option<(Watcher, crate::disk::Hints)> {
    let roots: Vec<_> =
        config.mappings.iter().map(|it| (it.name.clone(), Root::new(it.root.clone()))).collect();
    match Watcher::start(&roots, daemon::HINTS) {
        Ok(watching) => Some(watching),
        Err(error) => {
            tracing::warn!("{error}; every tree is walked at intervals instead");
            None
        }
    }
}

/// Reads the configuration again and lays a new desk on the same ledger, or says why not and changes nothing.
fn rebuild(options: config::Options, state_dir: PathBuf, ledger: Ledger, meter: Meter) -> Rebuild {
    Box::new(move || {
        let Found { config, warnings, roots } = config::load(&options).map_err(|error| error.to_string())?;
        if config.state_dir != state_dir {
            return Err(format!(
                "`state_dir` is {} now and was {}: it changes with a restart only",
                config.state_dir.display(),
                state_dir.display()
            ));
        }
        let client =
            desk::client(&config, &options.environment).map_err(|failure| failure.heading().to_owned())?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        for root in &roots {
            tracing::warn!("{root}; its mapping waits for it");
        }
        Ok(Desk::lay(&config, client, ledger.clone(), meter.clone()))
    })
}
