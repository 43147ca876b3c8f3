//! What the user wrote, and what it means: a [`Config`] is checked, complete and does not change.
//!
//! [`parse`] judges text and touches nothing outside. [`load`] finds and reads the file, and then looks at what it names
//! on this machine. What is wrong is told all at once, in [`Problems`]. Nothing here knows the ledger, the cloud or the
//! command line, and no secret is ever read here.

mod auth;
mod mappings;
mod option;
mod place;
mod problem;
mod raw;
mod server;
mod survey;
mod value;

use std::path::{Path, PathBuf};

use crate::mapping::Mapping;
use crate::patience::Patience;

pub use auth::{Auth, Scope, USER_TOKEN};
pub use problem::{Problem, Problems};
pub use raw::{Environment, Override};
pub use server::{CLOUD, Log, LogFormat, Proxy, Server};
pub use survey::{RootFault, RootTrouble};

use problem::{Findings, Spot};
use raw::{Above, Section};

/// A configuration that holds together.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, if it was read from one.
    pub source: Option<PathBuf>,
    /// Where the ledger lies: absolute.
    pub state_dir: PathBuf,
    /// Where the cloud is.
    pub server: Server,
    /// Where user tokens come from.
    pub auth: Auth,
    /// How long we wait for what.
    pub patience: Patience,
    /// How many bytes a second all uploads together may take; as many as there are, if nothing is said.
    pub rate: Option<u64>,
    /// Where the log goes.
    pub log: Log,
    /// Where the manifest is kept up to date, if anywhere: absolute, outside every root.
    pub manifest: Option<PathBuf>,
    /// The mappings, in the order of the file; at least one.
    pub mappings: Vec<Mapping>,
}

/// What [`load`] goes by.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The file that the user named, if any; absolute or from the working directory.
    pub path: Option<PathBuf>,
    /// The environment, usually [`Environment::process`].
    pub environment: Environment,
    /// Options that flags set. They stand above environment and file.
    pub overrides: Vec<Override>,
}

/// A configuration that was found on this machine.
#[derive(Debug, Clone)]
pub struct Found {
    /// The configuration.
    pub config: Config,
    /// What is odd and no reason to stop; each finishes a line.
    pub warnings: Vec<String>,
    /// Roots that are not there now: the daemon waits for them, a single pass cannot do without.
    pub roots: Vec<RootTrouble>,
}

/// Finds the configuration, reads it, and looks at what it names. Changes nothing.
///
/// # Errors
/// [`Problems`], if there is no file, if it is not to be trusted, or for everything that is wrong with what it says.
pub fn load(options: &Options) -> Result<Found, Problems> {
    let path = find(options)?;
    let origin = path.display().to_string();
    let text =
        raw::read(&path).map_err(|(message, hint)| Problems::one(Problem::whole(&origin, message, hint)))?;
    let above = Above { environment: &options.environment, overrides: &options.overrides };
    let mut findings = Findings::new(&text, &origin);
    let Some(mut config) = read(&text, above, &mut findings) else {
        return Err(closed(findings, &origin));
    };
    config.source = Some(path.canonicalize().unwrap_or(path));
    let met = survey::survey(&config, &options.environment, &mut findings);
    findings.close()?;
    let mut warnings = met.warnings;
    let own = match &config.auth {
        Auth::TokenEnv(name) => name.as_str(),
        Auth::Command { .. } | Auth::Endpoint { .. } | Auth::TokenFile(_) | Auth::ApiKey { .. } => USER_TOKEN,
    };
    for name in options.environment.names().filter(|name| *name != own) {
        if let Some(meant) = option::misspelt(name) {
            warnings.push(format!("${name} is no option, and was not heeded; did you mean ${meant}?"));
        }
    }
    if let Auth::TokenEnv(name) = &config.auth
        && options.environment.get(name).is_none()
    {
        warnings.push(format!("failed to find a user token in ${name}: it is not set"));
    }
    Ok(Found { config, warnings, roots: met.roots })
}

/// Judges the text of a configuration, without looking at the disk. `origin` is what messages call it.
///
/// # Errors
/// [`Problems`] with everything that is wrong with it.
pub fn parse(text: &str, origin: &str, environment: &Environment) -> Result<Config, Problems> {
    let mut findings = Findings::new(text, origin);
    let config = read(text, Above { environment, overrides: &[] }, &mut findings);
    config.ok_or_else(|| closed(findings, origin))
}

/// Whether a file that holds a secret is guarded like one: there, ours, and closed to everybody else.
///
/// # Errors
/// What is the matter with it, and what to do about it.
pub fn guarded(path: &Path, environment: &Environment) -> Result<(), (String, &'static str)> {
    match path.metadata() {
        Ok(meta) if meta.is_file() => place::refuse_shared(path, &meta, environment),
        Ok(_) => Err((format!("failed to read {}: it is no file", path.display()), "name a file")),
        Err(error) => Err((format!("failed to find {}: {error}", path.display()), "make it, and chmod 600")),
    }
}

/// A text as the configuration has to write it: quoted, and escaped where need be.
#[must_use]
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The findings of a reading that came to nothing.
fn closed(findings: Findings<'_>, origin: &str) -> Problems {
    let unnamed = || Problems::one(Problem::whole(origin, "failed to read the configuration".to_owned(), ""));
    findings.close().err().unwrap_or_else(unnamed)
}

/// Everything but the disk. Nothing is answered without at least one finding.
fn read<'a>(text: &'a str, above: Above<'a>, findings: &mut Findings<'_>) -> Option<Config> {
    let document = match toml::de::DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let spot = error.span().map_or(Spot::Nowhere, Spot::File);
            findings.add(&spot, format!("failed to read TOML: {}", error.message()), "");
            return None;
        }
    };
    let environment = above.environment;
    let top = Section::top(document.get_ref(), above);
    top.refuse_unknown(findings);
    let state_dir = match top.get("state_dir", findings) {
        Some(given) => value::path(&given, environment, findings),
        None => {
            let usual = place::state_dir(environment);
            if usual.is_none() {
                let hint = "set `state_dir`, or $HOME";
                findings.add(&Spot::Nowhere, "failed to find a directory for the state", hint);
            }
            usual
        }
    };
    let server = server::read(&top, environment, findings);
    let auth = auth::read(&top, environment, findings);
    let (patience, rate) = server::read_limits(&top, findings);
    let log = server::read_log(&top, environment, findings);
    let table = top.table("manifest", "manifest", findings);
    table.refuse_unknown(findings);
    let manifest = table.get("path", findings).and_then(|given| value::path(&given, environment, findings));
    let mappings = mappings::read(&top, environment, findings);
    if findings.count() > 0 {
        return None;
    }
    Some(Config {
        source: None,
        state_dir: state_dir?,
        server: server?,
        auth: auth?,
        patience,
        rate,
        log,
        manifest,
        mappings,
    })
}

/// Where a first configuration of this user belongs: the first place that is looked at if none is named.
#[must_use]
pub fn usual_place(environment: &Environment) -> Option<PathBuf> {
    place::usual(environment)
}

/// The file that the user named, else the first that exists where one is looked for.
fn find(options: &Options) -> Result<PathBuf, Problems> {
    let named = options.path.clone().or_else(|| options.environment.get("VERSYNC_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        return Ok(path);
    }
    let candidates = place::candidates(&options.environment);
    if let Some(path) = candidates.iter().find(|path| path.exists()) {
        return Ok(path.clone());
    }
    let looked = candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let message = format!("failed to find a configuration; looked for {looked}");
    Err(Problems::one(Problem::whole("versync.toml", message, "name one with --config or $VERSYNC_CONFIG")))
}

#[cfg(test)]
mod tests;
