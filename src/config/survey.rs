//! What a configuration meets on this machine: whose its files are, and what lies inside what.
//!
//! It looks and changes nothing. What is written wrongly was found before, without the disk.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mappings::overlap;
use super::problem::{Findings, Spot};
use super::raw::Environment;
use super::{Auth, Config, place, value};
use crate::file::MappingName;

/// A mapping whose root is not there to be read. The other mappings are none the worse for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootTrouble {
    /// The mapping.
    pub mapping: MappingName,
    /// Its root.
    pub root: PathBuf,
    /// What is the matter.
    pub why: RootFault,
}

impl std::fmt::Display for RootTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match &self.why {
            RootFault::Missing => "it is not there",
            RootFault::Unreadable(why) => why,
        };
        write!(f, "failed to find the root {} of the mapping `{}`: {why}", self.root.display(), self.mapping)
    }
}

/// What is the matter with a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootFault {
    /// It does not exist, at least not now.
    Missing,
    /// It cannot be looked at, in the words of the operating system.
    Unreadable(String),
}

/// What was met that is no fault of the configuration.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) warnings: Vec<String>,
    pub(super) roots: Vec<RootTrouble>,
}

/// Looks at everything that the configuration names.
pub(super) fn survey(config: &Config, environment: &Environment, findings: &mut Findings<'_>) -> Met {
    let mut met = Met::default();
    let roots = roots(config, findings, &mut met);
    refuse_overlaps(&roots, findings);
    secrets(config, environment, findings, &mut met);
    if let Some(path) = &config.server.ca_file {
        trusted(path, "server.ca_file", findings);
    }
    if let Auth::Command { argv, .. } = &config.auth
        && let Some(program) = argv.first()
    {
        trusted(Path::new(program), "auth.command", findings);
    }
    refuse_inside(config, &roots, findings);
    met
}

/// A root as the disk has it.
struct Root {
    name: MappingName,
    /// As the configuration has it.
    given: PathBuf,
    /// With links followed, as far as it exists.
    real: PathBuf,
    /// Whether it is a directory now.
    is_there: bool,
    /// Device and inode of the root and of every directory above it; from the root upwards.
    above: Vec<(u64, u64)>,
    spot: Spot,
}

fn roots(config: &Config, findings: &mut Findings<'_>, met: &mut Met) -> Vec<Root> {
    let mut roots = Vec::new();
    for (n, mapping) in config.mappings.iter().enumerate() {
        let spot = findings.spot(&format!("mapping[{n}].path"));
        let trouble = |why| RootTrouble { mapping: mapping.name.clone(), root: mapping.root.clone(), why };
        let Some(looked) = in_time(&mapping.root, config.patience.root_timeout.min(ANSWER)) else {
            met.roots.push(trouble(RootFault::Unreadable("its file system does not answer".to_owned())));
            let real = mapping.root.clone();
            let (name, given) = (mapping.name.clone(), real.clone());
            roots.push(Root { name, given, real, is_there: false, above: Vec::new(), spot });
            continue;
        };
        match &looked {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                let message = format!(
                    "the root {} of the mapping `{}` is no directory",
                    mapping.root.display(),
                    mapping.name
                );
                findings.add(&spot, message, "name the directory that holds it");
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                met.roots.push(trouble(RootFault::Missing));
            }
            Err(error) => met.roots.push(trouble(RootFault::Unreadable(error.to_string()))),
        }
        let real = resolved(&mapping.root);
        let identity = |meta: Metadata| (meta.dev(), meta.ino());
        let above = real.ancestors().filter_map(|path| path.metadata().ok()).map(identity).collect();
        let is_there = looked.is_ok_and(|meta| meta.is_dir());
        let (name, given) = (mapping.name.clone(), mapping.root.clone());
        roots.push(Root { name, given, real, is_there, above, spot });
    }
    roots
}

/// How long a root may take to show itself when the configuration is read.
const ANSWER: Duration = Duration::from_secs(5);

/// What lies at a path; none if its file system does not answer in time. Whoever asks a dead server waits for ever, so that is
/// left to a thread of its own.
fn in_time(path: &Path, patience: Duration) -> Option<std::io::Result<Metadata>> {
    let (sender, answer) = std::sync::mpsc::channel();
    let of = path.to_owned();
    let asked = std::thread::Builder::new().name("root".to_owned()).spawn(move || {
        // Nobody may be left who waits for it.
        drop(sender.send(of.metadata()));
    });
    match asked {
        Ok(_) => answer.recv_timeout(patience).ok(),
        Err(_) => Some(path.metadata()),
    }
}

/// Two spellings of one root, through links or bind mounts, that the text alone did not show (G3).
fn refuse_overlaps(roots: &[Root], findings: &mut Findings<'_>) {
    for (n, later) in roots.iter().enumerate() {
        for earlier in &roots[..n] {
            let title = |root: &Root| format!("the mapping `{}`", root.name);
            let by_path = overlap(&title(later), &later.real, &title(earlier), &earlier.real);
            let holds = |outer: &Root, inner: &Root| {
                // A root that is missing has only the directories above it, and those say nothing.
                outer.is_there && outer.above.first().is_some_and(|top| inner.above.contains(top))
            };
            let message = by_path.or_else(|| {
                (holds(earlier, later) || holds(later, earlier)).then(|| {
                    format!(
                        "the roots {} of {} and {} of {} overlap on the disk",
                        earlier.given.display(),
                        title(earlier),
                        later.given.display(),
                        title(later)
                    )
                })
            });
            if let Some(message) = message {
                findings.add(&later.spot, message, "a file must lie below one root only");
            }
        }
    }
}

fn secrets(config: &Config, environment: &Environment, findings: &mut Findings<'_>, met: &mut Met) {
    let Some((option, path)) = config.auth.secret_file() else { return };
    let spot = findings.spot(option);
    match path.metadata() {
        Ok(meta) => {
            if let Err((message, hint)) = place::refuse_shared(path, &meta, environment) {
                findings.add(&spot, message, hint);
            }
        }
        // A user token may come later, by a login: until then versync waits for it.
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound && matches!(config.auth, Auth::TokenFile(_)) =>
        {
            met.warnings
                .push(format!("failed to find the user token in {}: log in to make it", path.display()));
        }
        Err(error) => {
            findings.add(
                &spot,
                format!("failed to find the file of `{option}`, {}: {error}", path.display()),
                "",
            );
        }
    }
}

/// A file that could turn us against the user, if others could write it.
fn trusted(path: &Path, option: &str, findings: &mut Findings<'_>) {
    let spot = findings.spot(option);
    match path.metadata() {
        Ok(meta) => {
            if let Err((message, hint)) = place::refuse_stranger(path, &meta) {
                findings.add(&spot, message, hint);
            }
        }
        Err(error) => {
            findings.add(
                &spot,
                format!("failed to find the file of `{option}`, {}: {error}", path.display()),
                "",
            );
        }
    }
}

/// What versync writes inside a root would be noticed and cause more writing; what it believes there, any artist could
/// change; and a secret there could be sent (W15, G6, G7).
fn refuse_inside(config: &Config, roots: &[Root], findings: &mut Findings<'_>) {
    let program = match &config.auth {
        Auth::Command { argv, .. } => argv.first().map(PathBuf::from),
        Auth::Endpoint { .. } | Auth::TokenFile(_) | Auth::TokenEnv(_) | Auth::ApiKey { .. } => None,
    };
    let secret = config.auth.secret_file();
    let named = [
        ("the state directory", "state_dir", Some(&config.state_dir)),
        ("the log", "log.file", config.log.file.as_ref()),
        ("the manifest", "manifest.path", config.manifest.as_ref()),
        ("the configuration", "", config.source.as_ref()),
        ("the file of certificates", "server.ca_file", config.server.ca_file.as_ref()),
        ("the program that prints tokens", "auth.command", program.as_ref()),
        ("the file with the secret", secret.map_or("", |(option, _)| option), secret.map(|(_, path)| path)),
    ];
    for (what, option, path) in named {
        let Some(path) = path else { continue };
        let real = resolved(path);
        for root in roots {
            if value::is_below(path, &root.given) || value::is_below(&real, &root.real) {
                let message =
                    format!("{what} {} lies inside the root of the mapping `{}`", path.display(), root.name);
                findings.add(&findings.spot(option), message, "move it out of every root");
            }
        }
    }
}

/// The path with links followed, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return real.join(rest).components().collect();
        }
    }
    path.to_owned()
}
