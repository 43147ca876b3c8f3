//! `versync adopt`: takes note of what the cloud already holds without sending anything, and takes over what was only noted.

use std::ffi::OsString;
use std::io::{BufRead as _, IsTerminal as _};
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::render::{self, SCHEMA, Table};
use super::sync::{self, Scope};
use super::{Global, desk, logging};
use crate::ambient;
use crate::config::{Config, Found};
use crate::daemon::Goal;
use crate::desk::Desk;
use crate::file::entry::{Current, RemoteCopy, RemotePart, Title};
use crate::file::{Entry, Key};
use crate::ledger::{self, Ledger, Occupancy};
use crate::meter::Meter;
use crate::signals::Signals;

/// How many ids a person is shown before they are taken over.
const SHOWN: usize = 50;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --own every file that is not synced is compared with the files of its name and size in its remote folder (by download, or \
as `adopt` of the mapping says), and those that are the same are noted as linked. Nothing is sent, and no folder is made. Linked \
files are never renamed, moved or deleted; --own makes the linked files in scope our own, after showing them. With --json one \
object is printed: schema_version, outcome, adopted, left, linked [{mapping, path, source_file_id}].")]
pub(super) struct Arguments {
    /// Only these mappings (by name), directories or files (by path)
    #[arg(value_name = "MAPPING|PATH")]
    what: Vec<OsString>,
    /// Take over what was found in the cloud and linked
    #[arg(long)]
    own: bool,
    /// Take it over without asking
    #[arg(short, long, requires = "own")]
    yes: bool,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let Found { config, roots, .. } = desk::configuration(global)?;
    let scope = Scope::of(&arguments.what, &config.mappings)?;
    if let Some(root) = roots.iter().find(|root| scope.concerns(&root.mapping)) {
        return Err(Failure::new(Exit::Configuration, root.to_string())
            .hint("mount it, or correct `path` of the mapping; nothing was changed anywhere"));
    }
    let ledger = open(&config, arguments)?;
    if arguments.own {
        own(&ledger, &scope, arguments, paper)
    } else {
        note(global, &config, ledger, &scope, paper)
    }
}

/// The ledger, for writing. A running versync adopts by itself whenever it is about to send something, so nothing is lost by
/// leaving it alone.
fn open(config: &Config, arguments: &Arguments) -> Result<Ledger, Failure> {
    let held = |pid: Option<u32>| {
        let pid = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let hint = if arguments.own {
            "stop it, repeat this, and start it again"
        } else {
            "it adopts by itself before it sends anything; to adopt without sending, stop it and repeat this"
        };
        Failure::new(Exit::Locked, format!("failed to adopt: a running versync holds the ledger{pid}"))
            .hint(hint)
    };
    if let Occupancy::Held(pid) = ledger::occupancy(&config.state_dir)? {
        return Err(held(pid));
    }
    match Ledger::open(&config.state_dir) {
        Err(ledger::Error::Locked { pid }) => Err(held(pid)),
        ledger => Ok(ledger?),
    }
}

/// One pass that sends nothing.
fn note(
    global: &Global,
    config: &Config,
    ledger: Ledger,
    scope: &Scope,
    paper: &Paper,
) -> Result<Exit, Failure> {
    let logs = logging::init(&config.log, logging::Reader::Waiting, global)?;
    let client = desk::client(config, &desk::options(global).environment)?;
    let before = lives(&ledger, scope)?;
    let laid = Desk::lay_to_adopt(config, client, ledger.clone(), Meter::default());
    let runtime = desk::runtime()?;
    let passed = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(|error| {
            Failure::new(Exit::Unclassified, format!("failed to listen to signals: {error}"))
        })?;
        sync::preflight(&laid, scope).await?;
        let progress = sync::progress(global, paper, &logs);
        let stopping = || paper.talk("stopping; once more stops at once");
        Ok::<_, Failure>(
            Box::pin(sync::pass(laid, scope, Goal::Synced, None, &mut signals, progress, stopping)).await,
        )
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    let passed = passed?;
    let adopted = lives(&ledger, scope)?.saturating_sub(before);
    let left = passed.reading.found.saturating_sub(adopted);
    let exit = sync::ended(&passed);
    paper.line(&format!(
        "{} adopted; {} left to be sent, or held back (`versync plan` tells)",
        render::things(adopted, "file", "files"),
        render::number(left)
    ));
    for (name, trouble) in &passed.ending.mappings {
        paper.talk(&format!("{name}: {}", told(trouble)));
    }
    let outcome = if exit == Exit::Done { "done" } else { "broken_off" };
    paper.object(&object(outcome, adopted, left, &linked(&ledger, scope)?));
    Ok(exit)
}

fn told(trouble: &crate::daemon::Trouble) -> String {
    use crate::daemon::Trouble;
    match trouble {
        Trouble::Offline(why) | Trouble::Halted(why) => why.clone(),
        Trouble::Paused => "paused".to_owned(),
        Trouble::Refused(failure) => failure.what.clone(),
    }
}

/// Takes over what is linked.
fn own(ledger: &Ledger, scope: &Scope, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let linked = linked(ledger, scope)?;
    if linked.is_empty() {
        paper.line("nothing to take over: no file in scope is only linked");
        paper.object(&object("nothing_to_own", 0, 0, &linked));
        return Ok(Exit::Done);
    }
    let files: usize = linked.iter().map(|(_, entry)| ids(entry).len()).sum();
    let count = render::things(files as u64, "remote file is", "remote files are");
    paper.talk(&format!(
        "{count} only linked: found in the cloud with our bytes, sent by somebody else or by a lost ledger."
    ));
    paper.talk("Taken over, they are renamed, moved and deleted as the policies of their mapping say, like what was sent from here:");
    let mut table = Table::default();
    for (key, entry) in linked.iter().take(SHOWN) {
        for id in ids(entry) {
            table.row(vec![key.to_string(), id]);
        }
    }
    table.lines().iter().for_each(|line| paper.talk(&format!("  {line}")));
    if let Some(more) = linked.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        paper.talk(&format!("  and those of {} more files", render::number(more as u64)));
    }
    if !arguments.yes && !is_confirmed(paper)? {
        paper.line("nothing was changed");
        paper.object(&object("declined", 0, 0, &linked));
        return Ok(Exit::Done);
    }
    for (key, entry) in &linked {
        let note = "its remote files were taken over (versync adopt --own)";
        ledger.put(key, &owned(entry), Some(note), ambient::now())?;
    }
    paper.line(&format!("{} taken over", render::things(files as u64, "remote file", "remote files")));
    paper.object(&object("owned", 0, 0, &linked));
    Ok(Exit::Done)
}

/// Asks on a terminal.
///
/// # Errors
/// Without one nobody can be asked.
fn is_confirmed(paper: &Paper) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !paper.is_watched() {
        return Err(Failure::new(Exit::Usage, "failed to ask: there is no terminal")
            .hint("look at the above, and repeat with --yes if it is meant"));
    }
    paper.talk("Take them over? [y/N]");
    let mut answer = String::new();
    // Whoever cannot be understood has not said yes.
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The bundles in scope of which something is only linked.
fn linked(ledger: &Ledger, scope: &Scope) -> Result<Vec<(Key, Entry)>, Failure> {
    let mut linked = Vec::new();
    each(ledger, scope, |key, entry| {
        if !ids(&entry).is_empty() {
            linked.push((key, entry));
        }
    })?;
    Ok(linked)
}

/// How many bundles in scope live in the cloud.
fn lives(ledger: &Ledger, scope: &Scope) -> Result<u64, Failure> {
    let mut count = 0;
    each(ledger, scope, |_, entry| count += u64::from(entry.lives_as_seen()))?;
    Ok(count)
}

fn each(ledger: &Ledger, scope: &Scope, mut each: impl FnMut(Key, Entry)) -> Result<(), Failure> {
    let reader = ledger.reader()?;
    for (name, path) in scope.targets() {
        // A file by itself is not below itself.
        if !path.is_root() {
            let key = Key::new(name.clone(), path.clone());
            let entry = reader.entry(&key)?;
            each(key, entry);
        }
        reader.bundles(Some(name), Some(path), &mut |key, entry| {
            each(key, entry);
            ControlFlow::Continue(())
        })?;
    }
    Ok(())
}

/// The remote files of a bundle that are only linked: what lives, and what it replaced. What a lost answer left behind stays as it
/// is, for nobody can tell whose that is.
fn ids(entry: &Entry) -> Vec<String> {
    let parts = entry.current.iter().flat_map(Current::parts).filter(|it| it.title == Title::Linked);
    let copies = entry.copies.iter().filter(|it| is_replaced(it) && it.title == Title::Linked);
    parts.map(|it| it.source_file.to_string()).chain(copies.map(|it| it.source_file.to_string())).collect()
}

fn is_replaced(copy: &RemoteCopy) -> bool {
    copy.role == crate::file::entry::Role::Superseded
}

fn owned(entry: &Entry) -> Entry {
    let part = |part: &RemotePart| RemotePart { title: Title::Owned, ..part.clone() };
    let current = entry.current.as_ref().map(|current| Current {
        lead: part(&current.lead),
        members: current.members.iter().map(part).collect(),
        ..current.clone()
    });
    let copy = |copy: &RemoteCopy| match is_replaced(copy) {
        true => RemoteCopy { title: Title::Owned, ..copy.clone() },
        false => copy.clone(),
    };
    Entry { current, copies: entry.copies.iter().map(copy).collect(), ..entry.clone() }
}

fn object(outcome: &str, adopted: u64, left: u64, linked: &[(Key, Entry)]) -> Value {
    let of = |(key, entry): &(Key, Entry)| {
        let key = key.clone();
        ids(entry).into_iter().map(move |id| {
            let mut fields = render::path_fields(&key.path);
            fields.insert("mapping".to_owned(), key.mapping.as_str().into());
            fields.insert("source_file_id".to_owned(), id.into());
            Value::Object(fields)
        })
    };
    json!({
        "schema_version": SCHEMA,
        "outcome": outcome,
        "adopted": adopted,
        "left": left,
        "linked": linked.iter().flat_map(of).collect::<Vec<_>>(),
    })
}
