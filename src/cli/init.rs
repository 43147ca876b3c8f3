//! `versync init`: a first configuration, asked for on a terminal, made from flags elsewhere. It never sees a secret.

pub(super) mod draft;

use std::fs::DirBuilder;
use std::io::{BufRead, IsTerminal as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::{Global, render};
use crate::config::{self, CLOUD, Environment};
use crate::file::shown;
use draft::Draft;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
On a terminal, what the flags leave open is asked for. The file is for your eyes only (mode 600) and holds no secret: it \
names the file that a user token is read from. With --json one object is printed: schema_version, path, and next [] (the \
commands to go on with).")]
pub(super) struct Arguments {
    /// The directory to mirror
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The 3dverse folder that takes it
    #[arg(long, value_name = "ID")]
    folder: Option<String>,
    /// The Asset API, if it is not the public one
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The file that user tokens are read from
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Write here instead of the usual place; `-` prints it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a configuration that is there
    #[arg(long)]
    force: bool,
}

/// What to go on with.
const NEXT: [&str; 3] = ["versync check", "versync sync", "systemctl --user enable --now versync"];

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let environment = Environment::process();
    let is_printed = arguments.output.as_deref() == Some(Path::new("-"));
    let target = target(global, arguments, &environment)?;
    if !is_printed && !arguments.force && target.symlink_metadata().is_ok() {
        return Err(there_already(&target));
    }
    let mut draft = draft(arguments, &target)?;
    if std::io::stdin().is_terminal() && paper.is_watched() && !paper.is_json() {
        ask(&mut draft, &mut std::io::stdin().lock(), &|question| paper.talk(question))?;
    }
    if !is_printed && draft.path.as_ref().is_some_and(|root| target.starts_with(root)) {
        let place = shown(&target.to_string_lossy());
        return Err(Failure::new(
            Exit::Configuration,
            format!("failed to write {place}: it lies inside the directory to mirror"),
        )
        .hint("name a place outside of it with --output"));
    }
    let text = draft.text()?;
    // What cannot be read back is not written.
    config::parse(&text, "the new configuration", &environment)?;
    if is_printed {
        paper.raw(text.as_bytes());
        return Ok(Exit::Done);
    }
    write(&target, &text, arguments.force)?;
    tell(&draft, &target, *paper);
    Ok(Exit::Done)
}

fn target(global: &Global, arguments: &Arguments, environment: &Environment) -> Result<PathBuf, Failure> {
    let given = arguments.output.as_ref().or(global.config.as_ref());
    // What is printed is meant for the usual place.
    match given.filter(|path| path.as_path() != Path::new("-")) {
        Some(path) => absolute(path),
        None => config::usual_place(environment).ok_or_else(|| {
            Failure::new(Exit::Configuration, "failed to find a place for the configuration")
                .hint("name one with --output")
        }),
    }
}

/// A path from the command line, from the root on.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        let path = shown(&path.to_string_lossy());
        Failure::new(Exit::Unclassified, format!("failed to find {path}: {error}"))
    })
}

/// What the flags say.
fn draft(arguments: &Arguments, target: &Path) -> Result<Draft, Failure> {
    let beside = || target.parent().map(|directory| directory.join("user-token"));
    let token_file = match &arguments.token_file {
        Some(path) => Some(absolute(path)?),
        None => beside(),
    };
    Ok(Draft {
        path: arguments.path.as_deref().map(absolute).transpose()?,
        folder: arguments.folder.clone(),
        url: arguments.url.clone(),
        token_file,
        token_file_given: arguments.token_file.is_some(),
        key: None,
    })
}

/// Asks for what the flags leave open. An empty answer, or no answer at all, leaves it open.
fn ask(draft: &mut Draft, input: &mut dyn BufRead, say: &dyn Fn(&str)) -> Result<(), Failure> {
    let mut answer = |question: &str| -> Result<Option<String>, Failure> {
        say(question);
        let mut line = String::new();
        input.read_line(&mut line).map_err(|error| {
            Failure::new(Exit::Unclassified, format!("failed to read an answer: {error}"))
        })?;
        Ok(Some(line.trim().to_owned()).filter(|line| !line.is_empty()))
    };
    if draft.path.is_none()
        && let Some(path) = answer("Which directory shall be mirrored?")?
    {
        draft.path = Some(absolute(Path::new(&path))?);
    }
    if draft.folder.is_none() {
        draft.folder = answer("Into which 3dverse folder? Its id, from the console:")?;
    }
    if draft.url.is_none() {
        draft.url = answer(&format!("Where is the Asset API? Empty for {CLOUD}:"))?;
    }
    if !draft.token_file_given {
        let usual = draft.token_file.as_deref().map(|path| shown(&path.to_string_lossy()));
        let usual = usual.unwrap_or_default();
        if let Some(path) = answer(&format!("Which file holds a user token? Empty for {usual}:"))? {
            draft.token_file = Some(absolute(Path::new(&path))?);
        }
    }
    Ok(())
}

fn there_already(target: &Path) -> Failure {
    let target = shown(&target.to_string_lossy());
    Failure::new(Exit::Unclassified, format!("failed to write {target}: it is there already"))
        .hint("look at it with `versync check`, or replace it with --force")
}

/// Whole or not at all: written beside its place, then put there. Readable by its owner alone.
pub(super) fn write(target: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let place = shown(&target.to_string_lossy());
    let failed = |error: &std::io::Error| {
        Failure::new(Exit::Unclassified, format!("failed to write {place}: {error}"))
    };
    let directory = target.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| failed(&error))?;
    // Such a file has the mode 600 from its first moment.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    file.as_file().sync_all().map_err(|error| failed(&error))?;
    if force {
        file.persist(target).map(drop).map_err(|error| failed(&error.error))
    } else {
        file.persist_noclobber(target).map(drop).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => there_already(target),
            _ => failed(&error.error),
        })
    }
}

fn tell(draft: &Draft, target: &Path, paper: Paper) {
    paper.object(&json!({
        "schema_version": render::SCHEMA,
        "path": target.to_string_lossy(),
        "next": NEXT,
    }));
    paper.line(&format!("wrote {}", shown(&target.to_string_lossy())));
    for blank in draft.blanks() {
        paper.line(&format!("fill in {blank}: it is only an example yet"));
    }
    if let Some(root) = draft.path.as_ref().filter(|root| !root.is_dir()) {
        paper.line(&format!("make {}: it is not there yet", shown(&root.to_string_lossy())));
    }
    if let Some(file) = draft.token_file.as_ref().filter(|file| !file.exists()) {
        let file = shown(&file.to_string_lossy());
        paper.line(&format!("put a user token into {file}, and let only yourself read it (chmod 600)"));
    }
    paper.line("then:");
    NEXT.iter().for_each(|command| paper.line(&format!("  {command}")));
}

#[cfg(test)]
mod tests;
