//! Is all well? Every thing that could stop the job, looked at without changing anything, each with its remedy.
//!
//! It judges and does not print. What it cannot know without a deed (whether the folder may be written) it says.

use std::path::Path;
use std::time::Duration;

use rustix::fs::Access;
use tokio_util::sync::CancellationToken;

use crate::cloud::{self, Client, TokenLife};
use crate::config::{Config, Found};
use crate::disk::{self, Events, FileSystem, Inodes, Report, Root, Visit, WatchLimit};
use crate::file::shown;
use crate::ledger::{self, Occupancy, Reader};
use crate::mapping::{Mapping, Watch};
use crate::verdict::Blame;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in one or two words.
    pub what: String,
    /// Whether it is well.
    pub verdict: Verdict,
    /// What was found, for a person.
    pub detail: String,
    /// What to do about it, where there is something to do.
    pub remedy: Option<String>,
}

/// Whether a thing is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Ok,
    /// The job goes on, worse than it could.
    Warn,
    /// It stops the job.
    Fail(Stops),
}

/// In which way a thing stops the job. The first that applies gives the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stops {
    /// The configuration is at fault.
    Configuration,
    /// The state directory cannot be used.
    State,
    /// A person has to log in, or the login may not do what it must.
    Login,
    /// A mapping is halted until an operator looks.
    Halt,
    /// The cloud cannot be reached now.
    Cloud,
}

impl Finding {
    /// Something that is well.
    #[must_use]
    pub fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    /// Something that could be better.
    #[must_use]
    pub fn warn(what: impl Into<String>, detail: impl Into<String>, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty());
        Self { verdict: Verdict::Warn, remedy, ..Self::ok(what, detail) }
    }

    /// Something that stops the job.
    #[must_use]
    pub fn fail(stops: Stops, what: impl Into<String>, detail: impl Into<String>, remedy: &str) -> Self {
        Self { verdict: Verdict::Fail(stops), ..Self::warn(what, detail, remedy) }
    }
}

/// The worst of the ways in which these stop the job.
#[must_use]
pub fn stops(findings: &[Finding]) -> Option<Stops> {
    let stops = findings.iter().filter_map(|finding| match finding.verdict {
        Verdict::Fail(stops) => Some(stops),
        Verdict::Ok | Verdict::Warn => None,
    });
    stops.min()
}

/// The configuration, once it was read without a fault, and who runs us.
#[must_use]
pub fn configuration(found: &Found) -> Vec<Finding> {
    let source = found.config.source.as_deref().map(display).unwrap_or_default();
    let mappings = found.config.mappings.len();
    let plural = if mappings == 1 { "mapping" } else { "mappings" };
    let mut findings = vec![Finding::ok("configuration", format!("{source}, {mappings} {plural}"))];
    findings.extend(found.warnings.iter().map(|warning| Finding::warn("configuration", warning, "")));
    if rustix::process::geteuid().is_root() {
        findings.push(Finding::warn(
            "user",
            "versync runs as root and can read every file of this machine",
            "run it as a user of its own that may read the roots",
        ));
    }
    findings
}

/// The state directory and the ledger in it. Blocks.
#[must_use]
pub fn state(state_dir: &Path) -> Vec<Finding> {
    let (what, place) = ("state directory", display(state_dir));
    if !state_dir.exists() {
        return vec![first_time(state_dir, &place)];
    }
    let mut findings = Vec::new();
    match ledger::examine(state_dir) {
        Ok(()) if rustix::fs::access(state_dir, Access::WRITE_OK | Access::EXEC_OK).is_ok() => {
            findings.push(Finding::ok(what, format!("{place}, writable")));
        }
        Ok(()) => findings.push(Finding::fail(
            Stops::State,
            what,
            format!("{place} cannot be written"),
            "give it to the user that runs versync, or name another as `state_dir`",
        )),
        Err(error @ (ledger::Error::Loose { .. } | ledger::Error::Network { .. })) => {
            let remedy = "set `state_dir` to a directory of your own on a local disk";
            findings.push(Finding::fail(Stops::Configuration, what, error.to_string(), remedy));
        }
        Err(error) => findings.push(Finding::fail(Stops::State, what, told(&error), "check the disk")),
    }
    match ledger::occupancy(state_dir) {
        Ok(Occupancy::Free) => {}
        Ok(Occupancy::Held(pid)) => {
            let process = pid.map(|pid| format!(" as process {pid}")).unwrap_or_default();
            findings.push(Finding::ok("instance", format!("versync is running{process}")));
        }
        Err(error) => {
            findings.push(Finding::fail(Stops::State, "instance", told(&error), "check the permissions"));
        }
    }
    findings.extend(ledger(state_dir));
    findings
}

/// A state directory that nothing was ever kept in: can it be made?
fn first_time(state_dir: &Path, place: &str) -> Finding {
    let above = state_dir.ancestors().find(|path| path.exists());
    let can = above.is_some_and(|path| rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok());
    if can {
        Finding::ok("state directory", format!("{place} will be made by the first sync"))
    } else {
        let above = above.map(display).unwrap_or_default();
        Finding::fail(
            Stops::State,
            "state directory",
            format!("{place} is not there and cannot be made: {above} cannot be written"),
            "make it and give it to the user that runs versync, or name another as `state_dir`",
        )
    }
}

fn ledger(state_dir: &Path) -> Vec<Finding> {
    let what = "ledger";
    let reader = match Reader::open(state_dir) {
        Ok(reader) => reader,
        Err(ledger::Error::Missing(_)) => {
            return vec![Finding::ok(what, "none yet; the first sync makes it")];
        }
        Err(error @ ledger::Error::Newer { .. }) => {
            let remedy = "use the newer versync that wrote it";
            return vec![Finding::fail(Stops::Configuration, what, error.to_string(), remedy)];
        }
        Err(error @ ledger::Error::Damaged(_)) => {
            let remedy = "the next sync sets it aside and finds everything out anew; nothing is sent twice";
            return vec![Finding::warn(what, told(&error), remedy)];
        }
        Err(error) => {
            return vec![Finding::fail(
                Stops::State,
                what,
                told(&error),
                "check the disk and the permissions",
            )];
        }
    };
    let known = reader.mappings().and_then(|names| {
        let mut bundles = 0;
        for name in &names {
            bundles += reader.summary(name)?.values().sum::<u64>();
        }
        Ok(bundles)
    });
    match known {
        Ok(bundles) => vec![Finding::ok(what, format!("readable, {bundles} files known"))],
        Err(error) => vec![Finding::fail(Stops::State, what, told(&error), "check the disk")],
    }
}

/// Every root: there, the one that the ledger knows, readable, on what file system, and whether there are watches enough
/// for all of them. Walks every tree. Blocks.
#[must_use]
pub fn roots(config: &Config, cancel: &CancellationToken) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut watched = 0;
    for mapping in &config.mappings {
        let root = Root::new(mapping.root.clone());
        let what = format!("root {}", mapping.name);
        let nothing = |_: disk::Directory| {};
        let visit = Visit { enter: &|_| {}, directory: &nothing };
        let walked = disk::scan(&root, mapping, &crate::file::RelPath::root(), 2, cancel, visit);
        let report = match walked {
            Ok(report) => report,
            Err(error) => {
                let remedy =
                    "mount or make it, or correct `path`; until then nothing below it is sent or deleted";
                findings.push(Finding::fail(Stops::Halt, what, error.to_string(), remedy));
                continue;
            }
        };
        findings.push(readable(what, mapping, &report));
        findings.extend(replaced(config, mapping, &report));
        match root.filesystem() {
            Ok(found) => {
                if uses_events(&found, mapping.policy.watch) {
                    watched += report.directories;
                }
                findings.push(filesystem(mapping, &found));
            }
            Err(error) => findings.push(Finding::warn("file system", error.to_string(), "")),
        }
    }
    findings.extend(watches(watched, disk::watch_limit()));
    findings
}

fn readable(what: String, mapping: &Mapping, report: &Report) -> Finding {
    let place = display(&mapping.root);
    let Report { files, directories, .. } = report;
    let Some((path, why)) = report.troubles.first() else {
        return Finding::ok(what, format!("{place}, readable: {files} files in {directories} directories"));
    };
    let more = match report.trouble_count {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    Finding::warn(
        what,
        format!(
            "{place}: {} of {directories} directories cannot be read: {path}: {why}{more}",
            report.trouble_count
        ),
        "let the user that runs versync read them, or exclude them; what is in them is left as it is",
    )
}

/// Whether another directory lies at the root's path than the ledger knows.
fn replaced(config: &Config, mapping: &Mapping, report: &Report) -> Option<Finding> {
    let pinned = Reader::open(&config.state_dir).ok()?.root(&mapping.name).ok()??;
    (!pinned.is_same_root(&report.before)).then(|| {
        Finding::fail(
            Stops::Halt,
            format!("root {}", mapping.name),
            format!("{} is another directory than the one that was synced", display(&mapping.root)),
            &format!("mount the right one, or accept this one with `versync approve {}`", mapping.name),
        )
    })
}

fn uses_events(found: &FileSystem, watch: Watch) -> bool {
    match (watch, found.events) {
        (Watch::Native, _) | (Watch::Auto, Events::Local) => true,
        (Watch::Poll, _) | (Watch::Auto, Events::None(_)) => false,
    }
}

/// How changes are noticed on a file system.
fn filesystem(mapping: &Mapping, found: &FileSystem) -> Finding {
    let what = format!("file system {}", mapping.name);
    let inodes = match found.inodes {
        Inodes::Stable => "",
        Inodes::Unstable => "; its inode numbers are made up and are not compared",
    };
    let name = found.name;
    match (mapping.policy.watch, found.events) {
        (Watch::Auto | Watch::Native, Events::Local) => {
            Finding::ok(what, format!("{name}: changes are noticed by events{inodes}"))
        }
        (Watch::Poll, Events::Local) => {
            Finding::ok(what, format!("{name}: it is walked again and again, as `watch` says{inodes}"))
        }
        (Watch::Auto | Watch::Poll, Events::None(why)) => {
            Finding::ok(what, format!("{name}: it is walked again and again, because {why}{inodes}"))
        }
        (Watch::Native, Events::None(why)) => Finding::warn(
            what,
            format!("{name}: `watch = \"native\"` relies on events, but {why}{inodes}"),
            "set `watch = \"auto\"`",
        ),
    }
}

/// Whether the system lets this user watch so many directories.
fn watches(directories: u64, limit: Option<WatchLimit>) -> Option<Finding> {
    let WatchLimit { watches: limit, sysctl } = limit.filter(|_| directories > 0)?;
    let what = "watches";
    let detail = format!("{directories} directories to watch, and the system allows {limit}");
    // Other programs of this user take from the same limit, and trees grow.
    if directories.saturating_mul(5) <= limit.saturating_mul(4) {
        return Some(Finding::ok(what, detail));
    }
    let needed = directories.saturating_mul(2).next_power_of_two();
    let remedy = format!(
        "sudo sysctl {sysctl}={needed}, and keep it in a file in /etc/sysctl.d; until then the rest is walked again and again"
    );
    Some(Finding::warn(what, detail, &remedy))
}

/// The token and the folders. Asks the cloud, and leaves nothing behind there.
pub async fn cloud(config: &Config, client: &Client) -> Vec<Finding> {
    let tokens = client.tokens();
    let acquired = tokens.current().await;
    let mut findings = vec![token(acquired.as_ref().err(), tokens.life())];
    if acquired.is_err() {
        return findings;
    }
    for mapping in &config.mappings {
        let what = format!("folder {}", mapping.name);
        let asked = async {
            let folder = client.folder(mapping.folder).await?;
            client.subfolders(mapping.folder).await.map(|below| (folder, below.len()))
        };
        match asked.await {
            Ok((folder, below)) => findings.push(Finding::ok(
                what,
                format!(
                    "{} ({}), readable, {below} subfolders; whether it may be written shows at the first upload",
                    shown(&folder.name),
                    mapping.folder
                ),
            )),
            Err(error) => {
                let is_far = error.blame() == Blame::Cloud;
                findings.push(refused(what, &error));
                if is_far {
                    // The others would only wait for the same time-out.
                    break;
                }
            }
        }
    }
    findings
}

/// A token that was had, or why not.
fn token(error: Option<&cloud::Error>, life: TokenLife) -> Finding {
    const SHORT: Duration = Duration::from_secs(3600);
    let TokenLife { source, remaining, renewable } = life;
    if let Some(error) = error {
        return refused("token".to_owned(), error);
    }
    let from = match source {
        "file" => "from the file of `user_token_file`",
        "command" => "from `command`",
        "endpoint" => "from `endpoint`",
        "api_key" => "made with the API key",
        _ => "from the environment",
    };
    match remaining {
        None => Finding::ok("token", format!("{from}; nobody says how long it lives")),
        Some(left) if left.is_zero() => {
            Finding::fail(Stops::Login, "token", format!("{from}, expired"), "log in again")
        }
        Some(left) if renewable => {
            Finding::ok("token", format!("{from}, {} left, renewed by itself", life_in_words(left)))
        }
        Some(left) if left < SHORT => {
            let detail = format!("{from}, only {} left", life_in_words(left));
            Finding::warn(
                "token",
                detail,
                "log in again soon, or name a source that renews: `command` or `endpoint`",
            )
        }
        Some(left) => Finding::ok("token", format!("{from}, {} left", life_in_words(left))),
    }
}

fn life_in_words(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// What the cloud, or the way to it, said.
fn refused(what: String, error: &cloud::Error) -> Finding {
    let (stops, remedy) = match (error.blame(), error.status()) {
        (Blame::User, _) => (Stops::Login, "renew the token source of [auth]"),
        (Blame::Mapping, Some(404)) => {
            (Stops::Login, "correct `folder`, or let its owner share it with this user")
        }
        (Blame::Mapping, _) => {
            (Stops::Login, "let the owner of the folder give this user the right to write")
        }
        (Blame::Cloud, Some(_)) => (Stops::Cloud, "try again later; if it stays so, ask who runs the server"),
        (Blame::Cloud, None) => (Stops::Cloud, "check `url` of [server], the network and the proxy"),
        (Blame::File | Blame::Room | Blame::Us, _) => (Stops::Configuration, "correct [server] and [auth]"),
    };
    Finding::fail(stops, what, error.to_string(), remedy)
}

fn display(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

/// An error with what led to it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
