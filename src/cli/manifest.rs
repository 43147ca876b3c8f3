//! `versync manifest`: the ledger as one sorted file of paths, ids and assets, without times and paths of this machine.

use std::path::PathBuf;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::{Global, desk, render};
use crate::config::Config;
use crate::daemon;
use crate::ledger::{self, Reader};
use crate::manifest::{self, Manifest, Written};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The manifest is JSON: schema_version and mappings {name: {folder_id, files {path: {path, hash, size, source_file_id, assets \
[{type, name, id}], members []}}}}. `run` and `sync` keep one up to date where [manifest] `path` is set. With --output and \
--json one object is printed: schema_version, path, changed.")]
pub(super) struct Arguments {
    /// Write it to this file, if that changes it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let config = desk::configuration(global)?.config;
    let manifest = by_ledger(&config)?;
    let Some(path) = &arguments.output else {
        let bytes = manifest
            .to_bytes()
            .map_err(|error| Failure::new(Exit::Unclassified, format!("failed to write JSON: {error}")))?;
        paper.raw(&bytes);
        return Ok(Exit::Done);
    };
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    if let Some(mapping) = config.mappings.iter().find(|it| lies_below(&whole, &it.root)) {
        let what = format!("failed to write {}: it lies inside the root of {}", path.display(), mapping.name);
        return Err(
            Failure::new(Exit::Usage, what).hint("versync never writes below a root; name another file")
        );
    }
    let written = manifest.write(&whole).map_err(|error| unusable(&error))?;
    paper.line(&match written {
        Written::Replaced => format!("wrote {}", path.display()),
        Written::Same => format!("{} is up to date", path.display()),
    });
    paper.object(&json!({
        "schema_version": render::SCHEMA,
        "path": path.display().to_string(),
        "changed": written == Written::Replaced,
    }));
    Ok(Exit::Done)
}

/// What the ledger says now.
pub(super) fn by_ledger(config: &Config) -> Result<Manifest, Failure> {
    let reader = match Reader::open(&config.state_dir) {
        Ok(reader) => reader,
        Err(ledger::Error::Missing(_)) => {
            return Err(Failure::new(Exit::FilesFailed, "failed to make a manifest: nothing was synced yet")
                .hint("run `versync sync` or `versync run`"));
        }
        Err(error) => return Err(error.into()),
    };
    let mappings: Vec<_> = config.mappings.iter().map(|it| (it.name.clone(), it.folder)).collect();
    Ok(daemon::listed(&reader, &mappings)?)
}

pub(super) fn unusable(error: &manifest::Error) -> Failure {
    Failure::new(Exit::Unclassified, error.to_string())
}

/// Also where links lead there.
fn lies_below(path: &std::path::Path, root: &std::path::Path) -> bool {
    let real = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.starts_with(root) || path.parent().is_some_and(|parent| real(parent).starts_with(real(root)))
}
