//! `versync approve`: shows what stopped a mapping for safety, and accepts it if a person says so.

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::{Value, json};

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::render;
use super::{Global, desk, steer};
use crate::ambient;
use crate::config::Config;
use crate::daemon::MappingState;
use crate::delivery;
use crate::disk::{self, Root};
use crate::file::sighting::RootIdentity;
use crate::file::{State, shown};
use crate::ledger::{self, Ledger, Reader, Standing};
use crate::mapping::{Fate, Mapping};
use crate::panel::{Asked, Kind};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The mapping that was stopped
    name: String,
    /// Accept without asking
    #[arg(short, long)]
    yes: bool,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let config = desk::configuration(global)?.config;
    let Some(mapping) = config.mappings.iter().find(|it| it.name.as_str() == arguments.name) else {
        let names: Vec<_> = config.mappings.iter().map(|it| it.name.as_str()).collect();
        let name = shown(&arguments.name);
        return Err(Failure::new(Exit::Usage, format!("failed to find a mapping called {name}"))
            .hint(format!("the mappings are {}", names.join(", "))));
    };
    let (pinned, expects_files, is_foreign) = match Reader::open(&config.state_dir) {
        Ok(reader) => {
            (reader.root(&mapping.name)?, reader.expects_files(&mapping.name)?, reader.is_foreign()?)
        }
        // Without a ledger nothing was ever stopped.
        Err(ledger::Error::Missing(_)) => (None, false, false),
        Err(error) => return Err(error.into()),
    };
    let root = Root::new(mapping.root.clone());
    let unreachable = |error: disk::Error| {
        Failure::new(Exit::Configuration, error.to_string())
            .hint("only a root that is there can be approved: mount it, or correct `path` of the mapping")
    };
    let found = root.identity().map_err(unreachable)?;
    let is_emptied = expects_files && disk::is_bare(&root, mapping).map_err(unreachable)?;
    let Some(pinned) = pinned.filter(|pinned| is_emptied || is_foreign || !pinned.is_same_root(&found))
    else {
        if mapping.policy.is_destructive() {
            return removals(global, &config, mapping, arguments, paper);
        }
        paper.line(&format!("nothing to approve: {} is not stopped for its root", mapping.name));
        paper.object(&object(mapping, "nothing_to_approve", None, &found));
        return Ok(Exit::Done);
    };
    let summary = Reader::open(&config.state_dir)?.summary(&mapping.name)?;
    let known: u64 = summary.get(&State::Synced).copied().unwrap_or_default();
    if is_foreign {
        paper.talk("this state directory was kept on another machine; accepted, it is this machine's, and what it owns");
        paper.talk("in the cloud may be renamed, moved and deleted from here. Stop versync on the other machine first.");
    }
    if is_emptied || !pinned.is_same_root(&found) {
        explained(mapping, &pinned, &found, known).iter().for_each(|line| paper.talk(line));
    }
    if !arguments.yes && !is_confirmed(paper)? {
        paper.line("nothing was changed");
        paper.object(&object(mapping, "declined", Some(&pinned), &found));
        return Ok(Exit::Halted);
    }
    let asked = Asked::Approve { mapping: mapping.name.as_str().to_owned(), root: (&found).into() };
    let goes_on = match desk::runtime()?.block_on(desk::ask(global, &config, &asked))? {
        Some(Kind::Approved(_)) => "now",
        Some(other) => return Err(steer::strange(&other)),
        None => {
            let ledger = Ledger::open(&config.state_dir)?;
            if is_emptied {
                ledger.accept_emptied(&mapping.name)?;
            }
            ledger.accept_machine()?;
            ledger.put_root(&mapping.name, &found)?;
            settle(&ledger, mapping)?;
            "at the next `versync sync` or `run`"
        }
    };
    paper.line(&format!("approved: {} goes on with this root {goes_on}", mapping.name));
    paper.object(&object(mapping, "approved", Some(&pinned), &found));
    Ok(Exit::Done)
}

/// Shows what the policies of a mapping would take away from the cloud, and lets them if a person says so.
fn removals(
    global: &Global,
    config: &Config,
    mapping: &Mapping,
    arguments: &Arguments,
    paper: &Paper,
) -> Result<Exit, Failure> {
    let reader = match Reader::open(&config.state_dir) {
        Ok(reader) => Some(reader),
        Err(ledger::Error::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let (pending, was_armed) = match &reader {
        Some(reader) => (delivery::pending(reader, mapping)?, delivery::is_armed_in(reader, mapping)?),
        None => (delivery::Pending::default(), false),
    };
    drop(reader);
    let name = &mapping.name;
    let policy = &mapping.policy;
    let root = shown(&mapping.root.to_string_lossy());
    paper.talk(&format!("mapping {name} takes remote files away:"));
    paper
        .talk(&format!("  of files that are gone below {root}: on_delete = \"{}\"", policy.on_delete.word()));
    paper.talk(&format!(
        "  of versions that were replaced: on_change = \"{}\", keep_versions = {}",
        policy.on_change.word(),
        policy.keep_versions
    ));
    paper.talk(&format!(
        "now waiting: {} gone from disk, older versions of {}",
        render::things(pending.gone, "file", "files"),
        render::things(pending.replaced, "file", "files")
    ));
    if policy.on_delete == Fate::DeleteWithAssets || policy.on_change == Fate::DeleteWithAssets {
        paper.talk(
            "Their assets are deleted with them, but for those that something else uses at that moment.",
        );
    }
    if was_armed {
        paper.talk("this was agreed to before; agreeing again takes the brake off for what is waiting now");
    }
    paper.talk(
        "Only files that versync uploaded are ever taken. Another root, folder, filter or policy asks again.",
    );
    let told = |outcome: &str| {
        json!({
            "schema_version": 1,
            "mapping": name.as_str(),
            "root": root,
            "outcome": outcome,
            "on_delete": policy.on_delete.word(),
            "on_change": policy.on_change.word(),
            "keep_versions": policy.keep_versions,
            "gone": pending.gone,
            "replaced": pending.replaced,
        })
    };
    if !arguments.yes && !is_confirmed(paper)? {
        paper.line("nothing was changed");
        paper.object(&told("declined"));
        return Ok(Exit::Halted);
    }
    let asked = Asked::Agree { mapping: name.as_str().to_owned(), terms: mapping.terms() };
    let goes_on = match desk::runtime()?.block_on(desk::ask(global, config, &asked))? {
        Some(Kind::Approved(_)) => "now",
        Some(other) => return Err(steer::strange(&other)),
        None => {
            delivery::arm(&Ledger::open(&config.state_dir)?, mapping)?;
            "at the next `versync sync` or `run`"
        }
    };
    paper.line(&format!("approved: {name} takes them away {goes_on}"));
    paper.object(&told("approved"));
    Ok(Exit::Done)
}

/// What is different, and what accepting it means.
fn explained(mapping: &Mapping, pinned: &RootIdentity, found: &RootIdentity, known: u64) -> Vec<String> {
    let root = shown(&mapping.root.to_string_lossy());
    if pinned.is_same_root(found) {
        return vec![
            format!("mapping {} was stopped: nothing is left in its root {root}", mapping.name),
            format!("Accepted, the {known} files that are synced count as gone. Remote copies are kept."),
        ];
    }
    vec![
        format!("mapping {} was stopped: another directory lies at its root than before", mapping.name),
        format!("  root    {root}"),
        format!("  before  {}", told(pinned)),
        format!("  now     {}", told(found)),
        format!("Accepted, every file in it is compared with the {known} that are synced: equal bytes send"),
        "nothing, others are a new version, and what is missing counts as gone. Remote copies".to_owned(),
        "are kept.".to_owned(),
    ]
}

fn told(root: &RootIdentity) -> String {
    let birth = root.birth.map(|birth| format!(", made {birth}")).unwrap_or_default();
    format!("inode {} on file system {:016x}{birth}", root.inode, root.filesystem)
}

/// Asks on a terminal.
///
/// # Errors
/// Without one nobody can be asked.
fn is_confirmed(paper: &Paper) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !paper.is_watched() {
        return Err(Failure::new(Exit::Halted, "failed to ask: there is no terminal")
            .hint("look at the above, and repeat with --yes if it is meant"));
    }
    paper.talk("Accept this? [y/N]");
    let mut answer = String::new();
    // Whoever cannot be understood has not said yes.
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Takes the halt off what `status` shows: nobody else does until the next scan.
fn settle(ledger: &Ledger, mapping: &Mapping) -> Result<(), ledger::Error> {
    let Some(standing) = ledger.standing(&mapping.name)? else { return Ok(()) };
    if standing.state != MappingState::Halted.word() {
        return Ok(());
    }
    let state = MappingState::Idle.word().to_owned();
    ledger.put_standing(&mapping.name, &Standing { state, reason: None, since: ambient::now(), ..standing })
}

fn object(mapping: &Mapping, outcome: &str, pinned: Option<&RootIdentity>, found: &RootIdentity) -> Value {
    let root = |root: &RootIdentity| {
        json!({
            "filesystem": format!("{:016x}", root.filesystem),
            "inode": root.inode,
            "made": root.birth.map(|birth| birth.to_string()),
        })
    };
    json!({
        "schema_version": 1,
        "mapping": mapping.name.as_str(),
        "root": shown(&mapping.root.to_string_lossy()),
        "outcome": outcome,
        "before": pinned.map(root),
        "now": root(found),
    })
}
