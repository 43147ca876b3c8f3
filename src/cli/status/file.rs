//! One path: what is believed of it, what happened to it, and if nothing is, why.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::View;
use crate::ambient;
use crate::cli::failure::{Exit, Failure};
use crate::cli::files::Listing;
use crate::cli::paper::Paper;
use crate::cli::render;
use crate::config::Config;
use crate::disk::{self, Root};
use crate::file::entry::{Attempt, Role};
use crate::file::{Entry, Key, RelPath, State, shown};
use crate::ledger::JournalLine;
use crate::mapping::{Admission, Mapping};
use crate::timestamp::Timestamp;

/// How many lines of its journal are shown.
const LINES: usize = 10;

pub(super) fn look(view: &View<'_>, path: &Path, paper: &Paper) -> Result<Vec<String>, Failure> {
    let (mapping, below) = find(view.config, path)?;
    let key = mapping.key(below);
    let (entry, journal) = match &view.reader {
        Some(reader) => (reader.entry(&key)?, reader.journal(&key, LINES)?),
        None => (Entry::default(), Vec::new()),
    };
    if entry != Entry::default() {
        return Ok(known(view, &key, &entry, &journal, paper));
    }
    if let Some(reader) = &view.reader {
        let mut listing = None;
        reader.bundles(Some(&key.mapping), Some(&key.path), &mut |found, entry| {
            listing.get_or_insert_with(|| Listing::new(*paper, false)).add(&found, &entry);
            ControlFlow::Continue(())
        })?;
        if let Some(mut listing) = listing {
            listing.end();
            return Ok(Vec::new());
        }
    }
    let leads = match &view.reader {
        Some(reader) => reader.leads_of(&key.mapping, &key.path)?,
        None => Vec::new(),
    };
    Ok(unknown(view, mapping, &key, &leads, paper))
}

/// Which mapping a path belongs to: as it is written, as the disk resolves it, as `mapping:path`, or below the only root.
pub(in crate::cli) fn find<'a>(config: &'a Config, path: &Path) -> Result<(&'a Mapping, RelPath), Failure> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let as_written = config.mappings.iter().find_map(|it| Some((it, it.relative(&absolute)?)));
    let resolved = || {
        let real = really(&absolute)?;
        config.mappings.iter().find_map(|it| {
            let root = it.root.canonicalize().ok()?;
            let below = Mapping { root, ..it.clone() }.relative(&real)?;
            Some((it, below))
        })
    };
    let qualified = || {
        let (name, below) = path.to_str()?.split_once(':')?;
        let mapping = config.mappings.iter().find(|it| it.name.as_str() == name)?;
        Some((mapping, RelPath::from_bytes(below.as_bytes()).ok()?))
    };
    as_written.or_else(resolved).or_else(qualified).ok_or_else(|| {
        let roots: Vec<_> = config.mappings.iter().map(|it| shown(&it.root.to_string_lossy())).collect();
        let path = shown(&path.to_string_lossy());
        Failure::new(Exit::Unclassified, format!("failed to find {path}: it lies below no root"))
            .hint(format!("the roots are {}; or write MAPPING:PATH", roots.join(", ")))
    })
}

/// The path with links in its directory followed; not those at its end, which may be gone.
fn really(path: &Path) -> Option<PathBuf> {
    let (parent, name) = (path.parent()?, path.file_name()?);
    path.canonicalize().ok().or_else(|| Some(parent.canonicalize().ok()?.join(name)))
}

fn known(view: &View<'_>, key: &Key, entry: &Entry, journal: &[JournalLine], paper: &Paper) -> Vec<String> {
    if paper.is_json() {
        let mut file = render::entry(key, entry);
        file["cure"] = render::cure(entry.state()).into();
        let line = |line: &JournalLine| json!({ "at": render::moment(line.at), "note": line.note });
        file["journal"] = journal.iter().map(line).collect::<Vec<_>>().into();
        print(view, file, paper);
        return Vec::new();
    }
    facts(key, entry, journal)
}

/// What is believed of a file and what happened to it, line by line.
pub(in crate::cli) fn facts(key: &Key, entry: &Entry, journal: &[JournalLine]) -> Vec<String> {
    let now = ambient::now();
    let state = entry.state();
    let mut lines = vec![format!("{}:{}", key.mapping, render::bundle(key, entry))];
    let mut say = |name: &str, what: String| lines.push(format!("  {name:<12}{what}"));
    say("state", render::spoken(state.word()));
    if let Some(reason) = entry.reason() {
        say("reason", shown(reason));
    }
    if let Some(cure) = render::cure(state) {
        say("cure", cure.to_owned());
    }
    if let Some(seen) = entry.seen {
        let content = seen.content;
        say("seen", format!("{}, BLAKE3 {}", render::bytes(content.size), content.hash));
    }
    if let Some(current) = &entry.current {
        say("version", format!("{}, since {}", current.version, render::ago(current.since, now)));
        say("folder", current.folder.to_string());
        if let Some(task) = current.task {
            say("upload task", task.to_string());
        }
        for part in current.parts() {
            say("source file", format!("{} {}", part.source_file, part.part.name));
            for asset in &part.assets {
                say("  asset", format!("{} {} {}", asset.id, shown(&asset.kind), shown(&asset.name)));
            }
        }
    }
    if let Some(attempt) = attempt(&entry.attempt, now) {
        say("attempt", attempt);
    }
    for copy in &entry.copies {
        let role = match copy.role {
            Role::Superseded => "superseded",
            Role::Archived => "archived",
            Role::Torn => "torn",
            Role::Orphan => "orphan",
            Role::Doomed => "doomed",
            Role::Remains => "remains",
        };
        say(role, format!("{} {}, since {}", copy.source_file, copy.name, render::ago(copy.since, now)));
        for asset in &copy.assets {
            say("  old asset", format!("{} {} {}", asset.id, shown(&asset.kind), shown(&asset.name)));
        }
    }
    if !journal.is_empty() {
        lines.push("  what happened, the latest first".to_owned());
        lines.extend(journal.iter().map(|line| format!("    {}  {}", line.at, shown(&line.note))));
    }
    lines
}

fn attempt(attempt: &Attempt, now: Timestamp) -> Option<String> {
    let intent = attempt.intent()?;
    let what = match attempt {
        Attempt::Idle => return None,
        Attempt::Intended(_) => "about to be sent".to_owned(),
        Attempt::Ambiguous(..) => "sent, and the answer was lost".to_owned(),
        Attempt::Sent(_, task) => format!("taken in as upload task {task}"),
        Attempt::Converting(_, conversion) => {
            let task = conversion.task.map(|task| format!(" as upload task {task}")).unwrap_or_default();
            format!("being converted{task} ({})", shown(&conversion.progress))
        }
    };
    Some(format!("{what}, begun {}", render::ago(intent.at, now)))
}

/// Nothing is believed of it by itself: the models that refer to it, the disk or the rules may tell why.
fn unknown(view: &View<'_>, mapping: &Mapping, key: &Key, leads: &[Key], paper: &Paper) -> Vec<String> {
    let (state, reason) = match disk::admits(&Root::new(mapping.root.clone()), mapping, &key.path) {
        Ok(admission) => match (render::carried(leads), admission) {
            (Some(carried), _) => (None, carried),
            (None, Admission::Ignored(ignored)) => (Some(State::Ignored), ignored.rule),
            (None, Admission::Admitted) => (None, "it is admitted, and was not noticed yet".to_owned()),
        },
        Err(error) => (None, error.to_string()),
    };
    if paper.is_json() {
        let mut file = render::path_fields(&key.path);
        file.insert("mapping".to_owned(), key.mapping.as_str().into());
        file.insert("state".to_owned(), state.map(State::word).into());
        file.insert("reason".to_owned(), reason.into());
        let leads = leads.iter().map(|lead| lead.path.to_string());
        file.insert("travels_with".to_owned(), leads.collect::<Vec<_>>().into());
        print(view, Value::Object(file), paper);
        return Vec::new();
    }
    let word = match state {
        Some(state) => state.word(),
        None if leads.is_empty() => "not known",
        None => "part of a model",
    };
    vec![key.to_string(), format!("  {word}: {}", shown(&reason))]
}

fn print(view: &View<'_>, file: Value, paper: &Paper) {
    let mut object = super::head(view);
    object["file"] = file;
    paper.object(&object);
}
