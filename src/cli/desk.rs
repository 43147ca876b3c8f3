//! The composition: from a configuration to the doors that the flows work with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Global;
use super::failure::{Exit, Failure};
use crate::cloud::{self, Client, Secret, Source, Tokens};
use crate::config::{self, Auth, Config, Environment, Found};
use crate::desk::Desk;
use crate::file::shown;
use crate::ledger::{self, Ledger, Occupancy};
use crate::mapping::Mapping;
use crate::meter::Meter;
use crate::panel::{self, Asked, Call, Kind};

/// Finds and reads the configuration that the flags, the environment and the file make together.
pub(super) fn configuration(global: &Global) -> Result<Found, Failure> {
    Ok(config::load(&options(global))?)
}

/// What the configuration is read by.
pub(super) fn options(global: &Global) -> config::Options {
    let state_dir = global.state_dir.as_ref().map(|path| config::Override {
        flag: "--state-dir".to_owned(),
        key: "state_dir".to_owned(),
        value: std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
    });
    config::Options {
        path: global.config.clone(),
        environment: Environment::process(),
        overrides: state_dir.into_iter().collect(),
    }
}

/// Where the socket of the daemon lies that works on this state directory.
pub(super) fn socket(global: &Global, config: &Config) -> Result<PathBuf, panel::Error> {
    let environment = options(global).environment;
    let runtime_dir = environment.get("XDG_RUNTIME_DIR").map(Path::new).filter(|path| path.is_absolute());
    panel::address(&config.state_dir, runtime_dir)
}

/// Why a daemon that holds the ledger cannot be asked.
pub(super) fn unreachable(error: &panel::Error) -> Failure {
    Failure::new(Exit::Locked, format!("failed to go on: another versync holds the ledger, and {error}"))
        .hint("another `versync sync` takes no questions: wait for it; a `versync run` of an older version has to be restarted")
}

/// Asks the daemon that works on this state directory something that has one answer; none if no daemon works there.
///
/// # Errors
/// That it cannot be asked although somebody holds the ledger, or that it refuses.
pub(super) async fn ask(global: &Global, config: &Config, asked: &Asked) -> Result<Option<Kind>, Failure> {
    if ledger::occupancy(&config.state_dir)? == Occupancy::Free {
        return Ok(None);
    }
    let answer = match socket(global, config) {
        Ok(socket) => Call::ask(&socket, asked).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(Kind::Error(why)) => Err(Failure::new(Exit::Unclassified, why)),
        Ok(kind) => Ok(Some(kind)),
        Err(error) => Err(unreachable(&error)),
    }
}

/// The mappings of these names, in the order of the configuration; all of them, if no name is given.
pub(super) fn chosen<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a Mapping>, Failure> {
    for name in names {
        if !config.mappings.iter().any(|mapping| mapping.name.as_str() == name) {
            let known: Vec<_> = config.mappings.iter().map(|mapping| mapping.name.as_str()).collect();
            let heading = format!("failed to find a mapping called `{}`", shown(name));
            return Err(Failure::new(Exit::Usage, heading)
                .hint(format!("the configuration has: {}", known.join(", "))));
        }
    }
    let is_wanted =
        |mapping: &&Mapping| names.is_empty() || names.iter().any(|name| mapping.name.as_str() == name);
    Ok(config.mappings.iter().filter(is_wanted).collect())
}

/// The runtime that a command waits on: two threads for the network, a bounded number for disk and ledger. There are many more
/// of those than work at once, because a file system that does not answer keeps those that have asked it.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(128)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Unclassified, format!("failed to start: {error}")))
}

/// The cloud as the configuration says it is reached, with the token source of `[auth]`.
pub(super) fn client(config: &Config, environment: &Environment) -> Result<Client, Failure> {
    client_with(config, source(&config.auth, environment)?)
}

/// A client for those who only look at the disk: it has no token to send, whatever the configuration says.
pub(super) fn mute_client(config: &Config) -> Result<Client, Failure> {
    client_with(config, Source::File(config.state_dir.join("no-token-is-needed-for-this")))
}

/// A client with a token source of its own.
pub(super) fn client_with(config: &Config, source: Source) -> Result<Client, Failure> {
    let tokens = Tokens::new(source, config.patience.clone());
    let ca_file_pem = config.server.ca_file.as_deref().map(certificates).transpose()?;
    let options = cloud::Options {
        url: config.server.url.clone(),
        upload_field: config.server.upload_field.clone(),
        ca_file_pem,
        proxy: match config.server.proxy {
            config::Proxy::None => cloud::Proxy::None,
            config::Proxy::Environment => cloud::Proxy::Environment,
        },
        patience: config.patience.clone(),
    };
    Ok(Client::new(options, tokens)?)
}

/// A desk with everything on it, and fresh counters.
pub(super) fn desk(config: &Config, client: Client, ledger: Ledger) -> Arc<Desk> {
    Desk::lay(config, client, ledger, Meter::default())
}

fn source(auth: &Auth, environment: &Environment) -> Result<Source, Failure> {
    Ok(match auth {
        Auth::Command { argv, timeout } => Source::Command { argv: argv.clone(), timeout: *timeout },
        Auth::Endpoint { url, bearer_file } => {
            Source::Endpoint { url: url.clone(), bearer: bearer_file.clone() }
        }
        Auth::TokenFile(path) => Source::File(path.clone()),
        Auth::TokenEnv(name) => {
            let token = environment.get(name).and_then(|token| token.to_str()).unwrap_or_default();
            let token = Secret::new(token).map_err(|error| {
                Failure::new(
                    Exit::LoginNeeded,
                    format!("failed to take the user token from ${name}: {error}"),
                )
                .hint(format!("set ${name} to a user token, or name another source in [auth]"))
            })?;
            Source::Fixed(token)
        }
        Auth::ApiKey { key_file, user_id, scope, ttl } => Source::ApiKey {
            key_file: key_file.clone(),
            user_id: *user_id,
            scope: match scope {
                config::Scope::Write => cloud::Scope::Write,
                config::Scope::Manage => cloud::Scope::Manage,
            },
            ttl: *ttl,
        },
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates that the configuration names, read once at start"
)]
fn certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Configuration, format!("failed to read ca_file {}: {error}", path.display()))
    })
}
