//! `versync files`: what became of every file, a line for each, however many there are.

use std::ops::ControlFlow;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use globset::{Glob, GlobMatcher};

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::render::{self, Table};
use super::{Global, desk};
use crate::file::{Entry, Key, State, shown};
use crate::ledger::{self, Reader};

/// How many assets of a file are named in a line.
const NAMED: usize = 3;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json every file is one object on a line of its own (NDJSON), each with `schema_version`: mapping, path, state, \
reason, since, size, hash, version, current_since, folder_id, upload_task_id, source_file_id, title, assets [{id, type, name}], parts, \
copies, attempt. `path_bytes` (base 16) comes with a path whose text had to be escaped.")]
pub(super) struct Arguments {
    /// Only paths that match this pattern; `*` also matches `/`, so `*.fbx` is every FBX file
    #[arg(value_name = "GLOB")]
    glob: Option<String>,
    /// Only files of this mapping
    #[arg(long, value_name = "NAME")]
    mapping: Vec<String>,
    /// Only files in this state
    #[arg(long, value_name = "STATE", value_parser = state_parser())]
    state: Vec<State>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let found = desk::configuration(global)?;
    let mappings = desk::chosen(&found.config, &arguments.mapping)?;
    let wanted = Wanted::new(arguments)?;
    let reader = match Reader::open(&found.config.state_dir) {
        Ok(reader) => reader,
        Err(ledger::Error::Missing(_)) => {
            paper.talk("nothing was synced yet: run `versync sync` or `versync run`");
            return Ok(Exit::Done);
        }
        Err(error) => return Err(error.into()),
    };
    let mut listing = Listing::new(*paper, mappings.len() > 1);
    for mapping in mappings {
        reader.bundles(Some(&mapping.name), None, &mut |key, entry| {
            if wanted.takes(&key, &entry) {
                listing.add(&key, &entry);
            }
            ControlFlow::Continue(())
        })?;
    }
    listing.end();
    Ok(Exit::Done)
}

/// Reads a state by its word, and knows all of them for help and completions.
fn state_parser() -> impl clap::builder::TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::word)).try_map(|word| word.parse::<State>())
}

/// Which files are wanted.
struct Wanted<'a> {
    glob: Option<GlobMatcher>,
    states: &'a [State],
}

impl<'a> Wanted<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let compile = |text: &String| {
            Glob::new(text).map(|glob| glob.compile_matcher()).map_err(|error| {
                Failure::new(
                    Exit::Unclassified,
                    format!("failed to read the pattern `{}`: {}", shown(text), error.kind()),
                )
                .hint("quote it, so that the shell leaves it alone")
            })
        };
        Ok(Self { glob: arguments.glob.as_ref().map(compile).transpose()?, states: &arguments.state })
    }

    fn takes(&self, key: &Key, entry: &Entry) -> bool {
        self.glob.as_ref().is_none_or(|glob| glob.is_match(key.path.as_path()))
            && (self.states.is_empty() || self.states.contains(&entry.state()))
    }
}

/// Prints files as they come.
pub(super) struct Listing {
    paper: Paper,
    table: Table,
    is_qualified: bool,
    files: u64,
}

impl Listing {
    /// A listing; `is_qualified` says whether the mapping stands before the path.
    pub(super) fn new(paper: Paper, is_qualified: bool) -> Self {
        let table = Table::headed(&["PATH", "STATE", "SOURCE FILE", "ASSETS"]);
        Self { paper, table, is_qualified, files: 0 }
    }

    /// One more file.
    pub(super) fn add(&mut self, key: &Key, entry: &Entry) {
        self.files += 1;
        if self.paper.is_json() {
            let mut object = render::entry(key, entry);
            object["schema_version"] = render::SCHEMA.into();
            self.paper.object(&object);
            return;
        }
        self.table.row(row(key, entry, self.is_qualified));
        was(entry).for_each(|row| self.table.row(row));
        self.print(Table::page);
    }

    /// Prints what is left.
    pub(super) fn end(&mut self) {
        if self.files > 0 {
            self.print(Table::lines);
        } else {
            self.paper.talk("no file matches");
        }
    }

    fn print(&mut self, lines: impl FnOnce(&mut Table) -> Vec<String>) {
        if !self.paper.is_json() {
            lines(&mut self.table).iter().for_each(|line| self.paper.line(line));
        }
    }
}

fn row(key: &Key, entry: &Entry, is_qualified: bool) -> Vec<String> {
    let bundle = render::bundle(key, entry);
    let path = if is_qualified { format!("{}:{bundle}", key.mapping) } else { bundle };
    let state = render::spoken(entry.state().word());
    match &entry.current {
        Some(current) => {
            let assets = render::assets(current.parts().flat_map(|part| &part.assets), NAMED);
            vec![path, state, current.lead.source_file.to_string(), assets]
        }
        None => vec![path, state, "-".to_owned(), entry.reason().map(shown).unwrap_or_default()],
    }
}

/// What a new version replaced: scenes that were made with those assets keep them.
fn was(entry: &Entry) -> impl Iterator<Item = Vec<String>> {
    let old = entry.copies.iter().filter(|copy| copy.may_be_in_use());
    old.map(|copy| {
        let assets = render::assets(&copy.assets, NAMED);
        vec!["  until then".to_owned(), "replaced".to_owned(), copy.source_file.to_string(), assets]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{MappingName, RelPath};

    fn takes(glob: &str, path: &str) -> bool {
        let arguments = Arguments { glob: Some(glob.to_owned()), mapping: Vec::new(), state: Vec::new() };
        let key = Key::new(MappingName::new("props"), RelPath::from_bytes(path.as_bytes()).unwrap());
        Wanted::new(&arguments).unwrap().takes(&key, &Entry::default())
    }

    #[test]
    fn a_pattern_of_a_name_matches_in_every_directory() {
        assert!(takes("*.fbx", "props/chairs/chair.fbx"));
        assert!(takes("props/**", "props/chairs/chair.fbx"));
        assert!(!takes("chairs/*", "props/chairs/chair.fbx"));
        assert!(!takes("*.obj", "props/chairs/chair.fbx"));
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_told() {
        let arguments = Arguments { glob: Some("[".to_owned()), mapping: Vec::new(), state: Vec::new() };
        assert!(Wanted::new(&arguments).is_err());
    }
}
