//! Where user tokens come from: exactly one source. It never sees a secret, only the name of where one is kept.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::option::{self, SECRET_CURE};
use super::problem::Findings;
use super::raw::{Environment, Given, Section};
use super::value;
use crate::id::UserId;

/// The one source of user tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// A program that prints `{"user_token", "expires_in"}` or a bare token. No shell has a part in it.
    Command {
        /// The program by its absolute path, and its arguments.
        argv: Vec<String>,
        /// How long it may take.
        timeout: Duration,
    },
    /// A broker that hands out user tokens.
    Endpoint {
        /// Its address.
        url: Url,
        /// The file with the bearer secret that it asks for, if it asks for one.
        bearer_file: Option<PathBuf>,
    },
    /// A file that holds a user token and is read again when the token is refused.
    TokenFile(PathBuf),
    /// An environment variable that holds a user token, by its name.
    TokenEnv(String),
    /// An API key, with which versync mints user tokens itself. Only for hosts that are trusted like a server.
    ApiKey {
        /// The file that holds the key.
        key_file: PathBuf,
        /// For whom tokens are minted.
        user_id: UserId,
        /// How much a token may do.
        scope: Scope,
        /// How long a token lives.
        ttl: Duration,
    },
}

impl Auth {
    /// The file that holds this source's secret, with the option that names it.
    #[must_use]
    pub fn secret_file(&self) -> Option<(&'static str, &PathBuf)> {
        match self {
            Self::Command { .. } | Self::TokenEnv(_) => None,
            Self::Endpoint { bearer_file, .. } => {
                bearer_file.as_ref().map(|path| ("auth.endpoint.bearer_file", path))
            }
            Self::TokenFile(path) => Some(("auth.user_token_file", path)),
            Self::ApiKey { key_file, .. } => Some(("auth.api_key_file", key_file)),
        }
    }
}

/// How much a minted token may do. `read` is a scope of the cloud too, but nothing could be sent with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Make folders, upload, follow.
    #[default]
    Write,
    /// And move, rename, delete.
    Manage,
}

impl Scope {
    /// The word that the cloud knows it by.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }
}

/// The variable that is read where the file names no source at all.
pub const USER_TOKEN: &str = "VERSYNC_USER_TOKEN";

const SOURCES: [&str; 5] = ["command", "endpoint", "user_token_file", "user_token_env", "api_key_file"];

/// Reads `[auth]`.
pub(super) fn read(
    top: &Section<'_>,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<Auth> {
    let section = top.table("auth", "auth", findings);
    let before = findings.count();
    section.refuse_unknown(findings);
    let endpoint = section.table("endpoint", "auth.endpoint", findings);
    endpoint.refuse_unknown(findings);

    // A source from flags or environment stands in the place of whatever the file names.
    let mut sources = Vec::new();
    for source in SOURCES {
        let outside = match source {
            "endpoint" => endpoint.outside("url", findings),
            source => section.outside(source, findings),
        };
        sources.extend(outside.map(|given| (source, given)));
    }
    if sources.is_empty() {
        sources.extend(SOURCES.iter().filter_map(|source| Some((*source, section.inside(source)?))));
    }
    match sources.as_slice() {
        // What was written instead has been told; that this leaves no source would only be noise.
        [] if findings.count() > before => None,
        [] => {
            if environment.get(USER_TOKEN).is_some() {
                return Some(Auth::TokenEnv(USER_TOKEN.to_owned()));
            }
            let hint = format!(
                "write one of {} into [auth], or set ${USER_TOKEN}",
                option::listed(SOURCES.into_iter())
            );
            findings.add(&section.spot, "no source of user tokens is named", hint);
            None
        }
        [(source, given)] => {
            refuse_strays(&section, source, findings);
            one(source, given, &section, &endpoint, environment, findings)
        }
        [(first, _), .., (_, last)] => {
            let all = option::listed(sources.iter().map(|(source, _)| *source));
            let message = format!("{} sources of user tokens are named: {all}", sources.len());
            findings.add(&last.spot, message, format!("keep one of them, such as `{first}`"));
            None
        }
    }
}

fn one(
    source: &str,
    given: &Given<'_>,
    section: &Section<'_>,
    endpoint: &Section<'_>,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<Auth> {
    findings.remember(&section.label_of(source), &given.spot);
    match source {
        "command" => {
            let argv = command(given, environment, findings);
            let timeout = section
                .get("timeout", findings)
                .and_then(|given| {
                    value::duration(&given, Duration::from_millis(100)..=Duration::from_secs(600), findings)
                })
                .unwrap_or(Duration::from_secs(30));
            Some(Auth::Command { argv: argv?, timeout })
        }
        "endpoint" => {
            let Some(url) = endpoint.get("url", findings) else {
                findings.add(&endpoint.spot, "failed to read `auth.endpoint`: it has no `url`", "");
                return None;
            };
            let url = value::address(&url, findings);
            let file = endpoint.get("bearer_file", findings);
            let bearer_file = match file {
                Some(given) => Some(value::path(&given, environment, findings)?),
                None => None,
            };
            Some(Auth::Endpoint { url: url?, bearer_file })
        }
        "user_token_file" => value::path(given, environment, findings).map(Auth::TokenFile),
        "user_token_env" => variable(given, findings).map(Auth::TokenEnv),
        "api_key_file" => api_key(given, section, environment, findings),
        _ => None,
    }
}

fn api_key(
    given: &Given<'_>,
    section: &Section<'_>,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<Auth> {
    let key_file = value::path(given, environment, findings);
    let user_id = match section.get("user_id", findings) {
        Some(given) => value::text(&given, findings).and_then(|text| {
            let id = text.parse::<UserId>();
            if id.is_err() {
                given.refuse(findings, "no UUID", "copy the id of the user from the console");
            }
            id.ok()
        }),
        None => {
            findings.add(
                &given.spot,
                "`auth.api_key_file` needs a `user_id`: for whom tokens are minted",
                "",
            );
            None
        }
    };
    let scope = section.get("scope", findings).and_then(|given| {
        if given.as_text() == Some("read") {
            given.refuse(findings, "nothing can be sent with the scope \"read\"", "write \"write\"");
            return None;
        }
        value::word(&given, &[("write", Scope::Write), ("manage", Scope::Manage)], &[], findings)
    });
    let ttl = section.get("ttl", findings).and_then(|given| {
        value::duration(&given, Duration::from_secs(1)..=Duration::from_secs(24 * 3600), findings)
    });
    Some(Auth::ApiKey {
        key_file: key_file?,
        user_id: user_id?,
        scope: scope.unwrap_or_default(),
        ttl: ttl.unwrap_or(Duration::from_secs(3600)),
    })
}

/// Options that belong to another source than the one in use would silently do nothing.
fn refuse_strays(section: &Section<'_>, source: &str, findings: &mut Findings<'_>) {
    let owners = [
        ("timeout", "command"),
        ("user_id", "api_key_file"),
        ("scope", "api_key_file"),
        ("ttl", "api_key_file"),
    ];
    for (key, owner) in owners {
        if owner != source
            && let Some(given) = section.inside(key)
            && section.inside(owner).is_none()
        {
            let message = format!("`auth.{key}` belongs to `{owner}`, and the source is `{source}`");
            findings.add(&given.spot, message, "remove it");
        }
    }
}

fn command(given: &Given<'_>, environment: &Environment, findings: &mut Findings<'_>) -> Option<Vec<String>> {
    let mut argv = value::list(given, findings)?;
    let Some((program, spot)) = argv.first_mut() else {
        given.refuse(findings, "it is empty", "name the program and its arguments");
        return None;
    };
    match value::absolute(program, environment) {
        Ok(path) => *program = path.to_string_lossy().into_owned(),
        Err(_) => {
            findings.add(
                spot,
                "failed to read `auth.command`: the program is named by no absolute path",
                "write it from `/`, so that nothing else on $PATH can take its place",
            );
            return None;
        }
    }
    if let Some((_, spot)) = argv.iter().find(|(argument, _)| looks_like_secret(argument)) {
        findings.add(
            spot,
            "failed to read `auth.command`: an argument looks like a secret, and every user of this machine can read it",
            SECRET_CURE,
        );
        return None;
    }
    Some(argv.into_iter().map(|(argument, _)| argument).collect())
}

/// By their looks, API keys of the cloud (a UUID, a dot, 43 letters of URL-safe base64) and JSON web tokens.
fn looks_like_secret(text: &str) -> bool {
    let value = text.rsplit('=').next().unwrap_or(text);
    let (head, tail) = value.split_once('.').unwrap_or((value, ""));
    let key = head.len() == 36 && head.parse::<UserId>().is_ok() && tail.len() >= 40;
    key || (value.starts_with("eyJ") && value.matches('.').count() == 2)
}

fn variable(given: &Given<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let name = value::text(given, findings)?;
    let sane = !name.starts_with(|c: char| c.is_ascii_digit())
        && (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if sane {
        return Some(name);
    }
    // Not told: somebody may have put the token itself here.
    findings.add(
        &given.spot,
        "failed to read `auth.user_token_env`: no name of an environment variable (capitals, digits and `_`)",
        format!("write the name of the variable, such as {USER_TOKEN}, never the token"),
    );
    None
}
