//! Where user tokens come from: a command, an endpoint of the studio, a file, the environment, or an API key that mints them.
//!
//! Each is asked when a token is wanted and remembers nothing. Knows nothing of when a token is stale.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use url::Url;

use super::error::{Error, Kind};
use super::exchange::{Call, Credential, Exchange};
use super::remote::Scope;
use super::secret::Secret;
use super::wire::{self, Minted};
use crate::ambient;
use crate::file::shown;
use crate::id::UserId;
use crate::timestamp::Timestamp;

/// The most that a command or a file may say.
const CAP: u64 = 64 * 1024;
/// How often a command that closed its output is asked whether it has ended.
const REAP_EVERY: Duration = Duration::from_millis(20);

/// A source of user tokens.
#[derive(Debug, Clone)]
pub enum Source {
    /// A program that prints a token, started without a shell.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// After how long it is killed, with all that it started.
        timeout: Duration,
    },
    /// An address of the studio's own that answers `GET` with a token.
    Endpoint {
        /// Where; https, or loopback.
        url: Url,
        /// A file with the bearer token that it asks for.
        bearer: Option<PathBuf>,
    },
    /// A file that somebody else keeps fresh.
    File(PathBuf),
    /// A token given once, such as by the environment.
    Fixed(Secret),
    /// An API key that mints tokens; for trusted hosts only.
    ApiKey {
        /// The file that holds the key; read again for every token.
        key_file: PathBuf,
        /// The user whose tokens are minted.
        user_id: UserId,
        /// What they may do.
        scope: Scope,
        /// How long they shall live; whole hours are asked for.
        ttl: Duration,
    },
}

/// By what a changed file is told from the one that was read: when it was written, its size, and its inode, since a clock
/// that ticks in milliseconds does not tell two logins in a row apart.
pub(super) type Stamp = (SystemTime, u64, u64);

impl Source {
    /// Whether the cloud mints its tokens, so that one may be younger than what all of the cloud knows.
    pub(super) const fn mints(&self) -> bool {
        matches!(self, Self::ApiKey { .. })
    }

    /// The word for it in what `check` prints.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
            Self::Endpoint { .. } => "endpoint",
            Self::File(_) => "file",
            Self::Fixed(_) => "fixed",
            Self::ApiKey { .. } => "api_key",
        }
    }

    /// Whether asking it again can bring a new token by itself.
    #[must_use]
    pub const fn renews(&self) -> bool {
        match self {
            Self::Command { .. } | Self::Endpoint { .. } | Self::ApiKey { .. } => true,
            Self::File(_) | Self::Fixed(_) => false,
        }
    }

    /// The address that it asks, where it is not the API's.
    pub(super) fn endpoint(&self) -> Option<&Url> {
        match self {
            Self::Endpoint { url, .. } => Some(url),
            Self::Command { .. } | Self::File(_) | Self::Fixed(_) | Self::ApiKey { .. } => None,
        }
    }

    /// The stamp of its file, for the source that is one and while it can be read.
    pub(super) async fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::File(path) => {
                let meta = tokio::fs::metadata(path).await.ok()?;
                Some((meta.modified().ok()?, meta.len(), meta.ino()))
            }
            Self::Command { .. } | Self::Endpoint { .. } | Self::Fixed(_) | Self::ApiKey { .. } => None,
        }
    }

    /// Asks for a token.
    pub(super) async fn acquire(&self, exchange: Option<&Exchange>) -> Result<Minted, Error> {
        let way =
            || exchange.ok_or_else(|| Error::setting("get a user token", "no client uses these tokens yet"));
        match self {
            Self::Command { argv, timeout } => printed(argv.clone(), *timeout).await,
            Self::Endpoint { url, bearer } => endpoint(way()?, url, bearer.as_deref()).await,
            Self::File(path) => {
                let (text, written) = read_secret_file(path.clone()).await?;
                wire::minted(&text, written, ambient::now())
                    .map_err(|why| Error::login(format!("{} {why}", place(path))))
            }
            Self::Fixed(secret) => Ok(Minted { token: secret.clone(), life: None }),
            Self::ApiKey { key_file, user_id, scope, ttl } => {
                let key = key_from(key_file).await?;
                mint(way()?, &key, *user_id, *scope, Some(*ttl)).await.map_err(refused_login)
            }
        }
    }
}

/// `POST /users/{id}/tokens`. The grammar of `ttl` is not documented; if ours is refused the server's default is taken.
/// Inferred: a user token cannot mint another, so it takes a key.
pub(super) async fn mint(
    exchange: &Exchange,
    key: &Secret,
    user: UserId,
    scope: Scope,
    ttl: Option<Duration>,
) -> Result<Minted, Error> {
    let doing = format!("mint a token for user {user}");
    let url = exchange.url(&["users", &user.to_string(), "tokens"]);
    let mut json = serde_json::json!({ "scope": scope.word() });
    if let Some(ttl) = ttl {
        let hours = ttl.as_secs().div_ceil(3600).clamp(1, 24);
        json["ttl"] = format!("{hours}h").into();
    }
    let mut call = Call { doing, method: Method::POST, url, json: Some(json), cap: wire::CAP };
    let mut answer = exchange.control(&call, Credential::ApiKey(key)).await;
    if ttl.is_some() && answer.as_ref().is_err_and(|error| error.status() == Some(400)) {
        call.json = Some(serde_json::json!({ "scope": scope.word() }));
        answer = exchange.control(&call, Credential::ApiKey(key)).await;
    }
    let answer = answer?;
    let text = String::from_utf8_lossy(&answer.body);
    wire::minted_json(&text, ambient::now()).map_err(|why| Error::malformed(&call.doing, why))
}

/// The API key that a file holds, for [`super::Client::setup`].
///
/// # Errors
/// A file that cannot be read, or that holds none. What it holds is not told.
pub async fn key_from(path: &Path) -> Result<Secret, Error> {
    let (text, _) = read_secret_file(path.to_owned()).await?;
    Secret::new(&text).map_err(|why| Error::login(format!("{} holds no key: {why}", place(path))))
}

async fn endpoint(exchange: &Exchange, url: &Url, bearer: Option<&Path>) -> Result<Minted, Error> {
    let secret = match bearer {
        Some(path) => {
            let (text, _) = read_secret_file(path.to_owned()).await?;
            let secret = Secret::new(&text)
                .map_err(|why| Error::login(format!("{} holds no token: {why}", place(path))))?;
            Some(secret)
        }
        None => None,
    };
    let doing = "get a user token from the token endpoint".to_owned();
    let call = Call { doing, method: Method::GET, url: url.clone(), json: None, cap: wire::CAP };
    let credential = secret.as_ref().map_or(Credential::None, Credential::Bearer);
    let answer = exchange.control(&call, credential).await.map_err(refused_login)?;
    let text = String::from_utf8_lossy(&answer.body);
    wire::minted(&text, ambient::now(), ambient::now()).map_err(|why| Error::malformed(&call.doing, why))
}

/// Where tokens are made, every refusal of who asks is a matter of the login.
fn refused_login(error: Error) -> Error {
    match error.status() {
        Some(400 | 401 | 403 | 404) => {
            Error::login(error.to_string().replacen("failed to ", "could not ", 1))
        }
        Some(_) | None => error,
    }
}

/// The text of a file that holds a credential, and when it was written.
async fn read_secret_file(path: PathBuf) -> Result<(String, Timestamp), Error> {
    let shown = place(&path);
    let read = move || -> io::Result<(String, Timestamp)> {
        let file = std::fs::File::open(path)?;
        let written = file.metadata()?.modified()?;
        let written = match written.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Timestamp::EPOCH.plus(since),
            Err(_) => Timestamp::EPOCH,
        };
        Ok((capped(file)?, written))
    };
    let text = tokio::task::spawn_blocking(read).await.map_err(io::Error::other).and_then(|read| read);
    text.map_err(|error| Error::login(format!("{shown} could not be read: {error}")))
}

fn capped(from: impl io::Read) -> io::Result<String> {
    let mut text = Vec::new();
    from.take(CAP + 1).read_to_end(&mut text)?;
    if text.len() as u64 > CAP {
        return Err(io::Error::other("it says more than 64 KiB"));
    }
    String::from_utf8(text).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn place(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

/// What a command prints.
async fn printed(argv: Vec<String>, timeout: Duration) -> Result<Minted, Error> {
    let name = argv.first().map(|program| shown(program)).unwrap_or_default();
    let said = |why: String| Error::login(format!("the command {name} {why}"));
    let deadline = tokio::time::Instant::now() + timeout;
    let started = tokio::task::spawn_blocking(move || start(&argv)).await.map_err(io::Error::other);
    let mut group =
        started.and_then(|child| child).map_err(|error| said(format!("could not be started: {error}")))?;
    let late = || said(format!("did not end within {} s", timeout.as_secs_f32()));
    let Some(output) = group.0.stdout.take() else {
        return Err(said("has no output".into()));
    };
    let reading = tokio::task::spawn_blocking(move || capped(output));
    let text = match tokio::time::timeout_at(deadline, reading).await {
        Ok(read) => {
            read.map_err(io::Error::other).and_then(|read| read).map_err(|error| said(error.to_string()))?
        }
        Err(_) => return Err(late()),
    };
    let status = loop {
        match group.0.try_wait().map_err(|error| said(error.to_string()))? {
            Some(status) => break status,
            None if tokio::time::Instant::now() >= deadline => return Err(late()),
            None => tokio::time::sleep(REAP_EVERY).await,
        }
    };
    if !status.success() {
        return Err(said(format!("ended with {status}")));
    }
    wire::minted(&text, ambient::now(), ambient::now())
        .map_err(|why| said(format!("printed no token: {why}")))
}

/// A command and all that it started, killed together when it is no longer wanted: a grandchild that keeps the output open
/// would hold the thread that reads it for ever.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Once it was reaped its number may belong to somebody else.
        if matches!(self.0.try_wait(), Ok(None)) {
            if let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
                // Only fails if everyone is gone already.
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }
}

fn start(argv: &[String]) -> io::Result<Group> {
    let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("it is empty"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy();
        if ours.starts_with("VERSYNC_") && ours.contains("TOKEN") {
            command.env_remove(&name);
        }
    }
    command.spawn().map(Group)
}

/// Why a public token is not taken.
pub(super) fn not_for_uploads() -> Error {
    Error::new(
        "get a user token",
        Kind::Login("a public token was given, and it may only read; uploads need a user token".into()),
    )
}
