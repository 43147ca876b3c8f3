//! `versync deps`: which files a model needs, which are missing, and why we think so. Reads the disk, and of the ledger only what was
//! sent for a name that several files have by now.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Global;
use super::failure::{Exit, Failure};
use super::namesakes::Namesakes;
use super::paper::Paper;
use crate::bundle::{Absent, Bundle, Need};
use crate::config::Config;
use crate::disk::Root;
use crate::file::{RelPath, shown};
use crate::mapping::Mapping;
use crate::references::{How, Resolution, readable};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Models to look at
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Look for files below this directory only, and print paths relative to it [default: the mapping that holds the file, else
    /// the file's directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let config = configuration(global, arguments)?;
    let mappings = config.as_ref().map(|config| &*config.mappings).unwrap_or_default();
    let mut below: HashMap<PathBuf, Namesakes> = HashMap::new();
    let mut told = Vec::new();
    for file in &arguments.files {
        let (root, mapping, lead) = place(file, arguments.root.as_deref(), mappings)?;
        let models = below.entry(root.clone()).or_insert_with(|| Namesakes::new(Root::new(root)));
        let state_dir = config.as_ref().map(|config| &*config.state_dir);
        let bundle = models.bundle(&lead, mapping.zip(state_dir))?;
        if paper.is_json() {
            told.push(object(&lead, &bundle));
        } else {
            text(&lead, &bundle).iter().for_each(|line| paper.line(line));
        }
        for (path, warning) in &bundle.warnings {
            paper.talk(&format!("warning: {path}: {}", shown(warning)));
        }
        for warning in &bundle.unclear {
            paper.talk(&format!("warning: {lead}: {}", shown(warning)));
        }
    }
    match told.len() {
        1 => paper.object(&told[0]),
        _ => paper.object(&Value::Array(told)),
    }
    // What is missing is an answer, not a failure to give one.
    Ok(Exit::Done)
}

/// The configuration, if one is needed and there is one.
fn configuration(global: &Global, arguments: &Arguments) -> Result<Option<Config>, Failure> {
    if arguments.root.is_some() {
        return Ok(None);
    }
    match super::desk::configuration(global) {
        Ok(found) => Ok(Some(found.config)),
        // Nobody needs a configuration to look at a file; one that was named has to be right.
        Err(_) if global.config.is_none() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Below which root a file is looked at, the mapping that has this root, and its path there.
fn place<'a>(
    file: &Path,
    root: Option<&Path>,
    mappings: &'a [Mapping],
) -> Result<(PathBuf, Option<&'a Mapping>, RelPath), Failure> {
    let unfit =
        |why: String| Failure::new(Exit::Unclassified, format!("failed to take {}: {why}", file.display()));
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| unfit(error.to_string()));
    let parent = |path: &Path| path.parent().map(Path::to_path_buf).unwrap_or_default();
    let path = plain(&absolute(file)?);
    // The innermost of the mappings that hold it.
    let holds = |mapping: &&Mapping| root.is_none() && path.starts_with(&mapping.root);
    let mapping = mappings.iter().filter(holds).max_by_key(|mapping| mapping.root.as_os_str().len());
    let root = match (root, mapping) {
        (Some(root), _) => plain(&absolute(root)?),
        (None, Some(mapping)) => mapping.root.clone(),
        (None, None) => parent(&path),
    };
    let below = path.strip_prefix(&root).map_err(|_| {
        unfit(format!("it does not lie below {}", root.display())).hint("name another --root")
    })?;
    let lead = RelPath::from_bytes(below.as_os_str().as_bytes()).map_err(|error| unfit(error.to_string()))?;
    Ok((root, mapping, lead))
}

/// An absolute path without `.` and `..`: as it is written, since links are not followed below a root.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
        }
    }
    plain
}

/// The rules by which a file was found.
pub(super) fn words(how: &How) -> Vec<&'static str> {
    how.steps().iter().map(|step| step.word()).collect()
}

/// The answer for machines.
fn object(lead: &RelPath, bundle: &Bundle) -> Value {
    let paths = |all: &std::collections::BTreeMap<RelPath, Need>| -> Vec<String> {
        all.keys().map(|path| readable(path.as_bytes())).collect()
    };
    let mut missing: Vec<String> = Vec::new();
    for absent in &bundle.missing {
        let written = readable(&absent.written);
        if !missing.contains(&written) {
            missing.push(written);
        }
    }
    let mut by = Map::new();
    for (path, need) in bundle.needs.iter().chain(&bundle.embedded) {
        let told = json!({
            "in": readable(need.by.as_bytes()),
            "kind": need.kind,
            "written": readable(&need.written),
            "how": words(&need.how),
            "guess": need.how.is_guess(),
        });
        by.insert(readable(path.as_bytes()), told);
    }
    let sought: Vec<Value> = bundle.missing.iter().map(absent).collect();
    let warnings = bundle.warnings.iter().map(|(path, what)| format!("{path}: {}", shown(what)));
    let unclear = bundle.unclear.iter().map(|what| format!("{lead}: {}", shown(what)));
    let warnings: Vec<String> = warnings.chain(unclear).collect();
    json!({
        "schema_version": super::render::SCHEMA,
        "file": readable(lead.as_bytes()),
        "needs": paths(&bundle.needs),
        "missing": missing,
        "embedded": paths(&bundle.embedded),
        "by": by,
        "sought": sought,
        "warnings": warnings,
    })
}

fn absent(absent: &Absent) -> Value {
    let mut told = json!({
        "in": readable(absent.by.as_bytes()),
        "kind": absent.kind,
        "written": readable(&absent.written),
    });
    match &absent.resolution {
        Resolution::Elsewhere(scheme) => told["scheme"] = json!(scheme),
        Resolution::Missing { tried, likely, sought: _ } => {
            told["tried"] = tried.iter().map(|path| readable(path.as_bytes())).collect();
            told["cure"] = json!(likely.to_string());
        }
        Resolution::Found(_) => {}
    }
    told
}

/// The answer for a person.
fn text(lead: &RelPath, bundle: &Bundle) -> Vec<String> {
    let mut lines = vec![format!("{lead}")];
    let note = |need: &Need| {
        let mut notes = words(&need.how);
        if need.how.is_guess() {
            notes.insert(0, "a guess");
        }
        if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) }
    };
    for (path, need) in &bundle.needs {
        lines.push(format!("  needs     {path}{}", note(need)));
    }
    for (path, need) in &bundle.embedded {
        lines.push(format!("  embedded  {path}{}", note(need)));
    }
    for absent in &bundle.missing {
        lines.push(format!("  missing   {}  (in {})", shown(&readable(&absent.written)), absent.by));
        match &absent.resolution {
            Resolution::Missing { tried, likely, sought: _ } => {
                lines.extend(tried.iter().map(|path| format!("            looked for {path}")));
                lines.push(format!("            hint: {likely}"));
            }
            Resolution::Elsewhere(scheme) => {
                lines.push(format!("            it is a {scheme} URI, which is not followed"));
            }
            Resolution::Found(_) => {}
        }
    }
    if lines.len() == 1 {
        lines.push("  refers to no other file".to_owned());
    }
    lines
}
