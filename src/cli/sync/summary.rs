//! How a pass came out, from the ledger: counts of states, what is not at its goal and why, and the exit code.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::pass::{Cut, Passed};
use super::scope::Scope;
use crate::cli::failure::Exit;
use crate::cli::paper::Paper;
use crate::cli::progress::{bytes, time};
use crate::daemon::{Goal, Trouble, Why};
use crate::file::{Entry, Key, MappingName, State};
use crate::ledger::{self, Reader, Standing};
use crate::verdict::Blame;

/// How many files that are not at their goal a person is shown.
const SHOWN: usize = 20;
/// How many of them JSON lists; how many there are is told in any case.
const LISTED: usize = 10_000;

/// How the mappings and files in scope stand.
#[derive(Debug, Default)]
pub(super) struct Tally {
    mappings: Vec<Counted>,
    /// The first [`LISTED`] that are not at their goal.
    not_there: Vec<NotThere>,
    /// How many are not at their goal, apart from conversions that failed.
    unfinished: u64,
    conversions_failed: u64,
    /// Directories that could not be listed: what lies below them is not known.
    unreadable: u64,
}

#[derive(Debug)]
struct Counted {
    name: MappingName,
    states: BTreeMap<State, u64>,
    standing: Option<Standing>,
    is_whole: bool,
}

#[derive(Debug)]
struct NotThere {
    key: Key,
    state: State,
    reason: String,
}

impl Tally {
    /// Counts what the ledger says of everything in scope.
    ///
    /// # Errors
    /// What the ledger says if it cannot be read.
    pub(super) fn take(reader: &Reader, scope: &Scope, goal: Goal) -> Result<Self, ledger::Error> {
        let mut tally = Self::default();
        for (name, path) in scope.targets() {
            let mut states = BTreeMap::new();
            if path.is_root() {
                // Counted by the database: entries are read only of what a person has to be told of.
                states = reader.summary(name)?;
                for state in State::ALL {
                    if states.contains_key(&state) && !is_there(state, goal) {
                        for key in reader.in_state(name, state, usize::MAX)? {
                            let entry = reader.entry(&key)?;
                            tally.note(key, &entry, state, goal);
                        }
                    }
                }
            } else {
                let mut count = |key: Key, entry: Entry| {
                    *states.entry(entry.state()).or_default() += 1;
                    tally.note(key, &entry, entry.state(), goal);
                    ControlFlow::Continue(())
                };
                let itself = Key::new(name.clone(), path.clone());
                let entry = reader.entry(&itself)?;
                if entry != Entry::default() {
                    let _goes_on = count(itself, entry);
                }
                reader.bundles(Some(name), Some(path), &mut count)?;
            }
            let standing = reader.standing(name)?;
            match tally.mappings.iter_mut().find(|counted| counted.name == *name) {
                Some(counted) => {
                    for (state, n) in states {
                        *counted.states.entry(state).or_default() += n;
                    }
                }
                None => {
                    tally.unreadable += standing.as_ref().map_or(0, |it| it.troubles.len() as u64);
                    let is_whole = scope.is_whole(name);
                    tally.mappings.push(Counted { name: name.clone(), states, standing, is_whole });
                }
            }
        }
        Ok(tally)
    }

    /// Whether the ledger knows nothing of anything in scope.
    pub(super) fn is_empty(&self) -> bool {
        self.mappings.iter().all(|counted| counted.states.is_empty())
    }

    fn note(&mut self, key: Key, entry: &Entry, state: State, goal: Goal) {
        if is_there(state, goal) {
            return;
        }
        match state {
            State::ConversionFailed => self.conversions_failed += 1,
            _ => self.unfinished += 1,
        }
        if self.not_there.len() < LISTED {
            let reason = entry.reason().map_or_else(|| usual_reason(state).to_owned(), str::to_owned);
            self.not_there.push(NotThere { key, state, reason });
        }
    }
}

/// Whether a bundle in this state needs nothing more. What was deleted or excluded keeps its remote copy, as it should.
fn is_there(state: State, goal: Goal) -> bool {
    match state {
        State::Synced | State::Ignored | State::Deleted | State::Detached => true,
        State::Converting | State::Stalled => goal == Goal::Sent,
        State::Settling
        | State::Ready
        | State::Uploading
        | State::Ambiguous
        | State::Held
        | State::Blocked
        | State::ConversionFailed
        | State::Suspect => false,
    }
}

fn usual_reason(state: State) -> &'static str {
    match state {
        State::Settling => "it did not come to rest",
        State::Ready => "waits for its turn",
        State::Uploading => "stopped while it was being sent; the next sync asks what became of it",
        State::Converting => "the cloud is still converting it",
        State::Ambiguous => "an answer was lost, and the cloud is asked what became of it",
        State::Held => "waits for something local",
        State::Blocked => "refused",
        State::ConversionFailed => "the cloud could not convert it",
        State::Stalled => "its conversion makes no progress",
        State::Suspect => "its bytes changed as after an unclean shutdown",
        State::Synced | State::Detached | State::Ignored | State::Deleted => "",
    }
}

/// How a pass ended by itself, whatever became of single files.
pub(in crate::cli) fn ended(passed: &Passed) -> Exit {
    exit(passed, &Tally::default())
}

/// The exit code, the first that applies.
pub(super) fn exit(passed: &Passed, tally: &Tally) -> Exit {
    let troubles = || passed.ending.mappings.values();
    match &passed.ending.why {
        Why::OurTrouble(_) => return Exit::StateDirectory,
        Why::NeedsLogin(_) => return Exit::LoginNeeded,
        Why::Finished | Why::Stopped | Why::CloudTrouble(_) => {}
    }
    if troubles().any(|trouble| matches!(trouble, Trouble::Refused(_))) {
        return Exit::LoginNeeded;
    }
    if troubles().any(|trouble| matches!(trouble, Trouble::Halted(_))) {
        return Exit::Halted;
    }
    match (&passed.ending.why, passed.cut) {
        (Why::Stopped, Some(Cut::Signal) | None) => return Exit::Interrupted,
        (Why::Stopped, Some(Cut::Timeout)) | (Why::CloudTrouble(_), _) => return Exit::Temporary,
        (Why::Finished | Why::NeedsLogin(_) | Why::OurTrouble(_), _) => {}
    }
    if troubles().any(|trouble| matches!(trouble, Trouble::Offline(_))) {
        Exit::Temporary
    } else if troubles().any(|trouble| matches!(trouble, Trouble::Paused)) {
        // What it has to do was held back, and nobody looked what that is.
        Exit::FilesFailed
    } else if tally.unfinished > 0 || tally.unreadable > 0 {
        Exit::FilesFailed
    } else if tally.conversions_failed > 0 {
        Exit::ConversionsFailed
    } else {
        Exit::Done
    }
}

/// What kept the pass as a whole from its goal, with the cure.
fn error(passed: &Passed) -> Option<(String, Option<&'static str>)> {
    let told = match (&passed.ending.why, passed.cut) {
        (Why::Finished, _) => return None,
        (Why::Stopped, Some(Cut::Timeout)) => (
            "failed to finish within --timeout".to_owned(),
            Some("nothing is lost: the next sync goes on where this one stood"),
        ),
        (Why::Stopped, Some(Cut::Signal) | None) => {
            ("interrupted".to_owned(), Some("nothing is lost: the next sync goes on where this one stood"))
        }
        (Why::NeedsLogin(failure), _) => {
            (failure.what.clone(), Some("renew the token source of [auth]; `versync check` shows it"))
        }
        (Why::CloudTrouble(failure), _) => {
            (failure.what.clone(), Some("try again later; `versync check` looks at the way to the cloud"))
        }
        (Why::OurTrouble(failure), _) if failure.blame == Blame::Room => {
            (failure.what.clone(), Some("make room on the disk of the state directory"))
        }
        (Why::OurTrouble(failure), _) => {
            (failure.what.clone(), Some("check the disk and the permissions of the state directory"))
        }
    };
    Some(told)
}

/// Prints how it came out.
pub(super) fn tell(passed: &Passed, tally: &Tally, exit: Exit, paper: &Paper) {
    if paper.is_json() {
        paper.object(&object(passed, tally, exit));
    }
    for line in lines(passed, tally) {
        paper.line(&line);
    }
    for (name, trouble) in &passed.ending.mappings {
        let (state, why) = words(trouble);
        paper.talk(&format!("error: mapping {name} is {state}: {why}"));
    }
    if let Some((error, hint)) = error(passed) {
        paper.talk(&format!("error: {error}"));
        hint.into_iter().for_each(|hint| paper.talk(&format!("hint: {hint}")));
    }
}

fn words(trouble: &Trouble) -> (&'static str, &str) {
    match trouble {
        Trouble::Offline(why) => ("offline", why),
        Trouble::Halted(why) => ("halted", why),
        Trouble::Paused => ("paused", "`versync resume` has it go on"),
        Trouble::Refused(failure) => ("refused", &failure.what),
    }
}

fn lines(passed: &Passed, tally: &Tally) -> Vec<String> {
    let mut lines = Vec::new();
    let widest = tally.mappings.iter().map(|it| it.name.as_str().chars().count()).max().unwrap_or_default();
    for counted in &tally.mappings {
        let states: Vec<_> = counted.states.iter().map(|(state, n)| counted_word(*n, state.word())).collect();
        let states = if states.is_empty() { "no files".to_owned() } else { states.join(", ") };
        let mut line = format!("{:widest$}  {states}", counted.name.as_str());
        let ignored = counted.standing.as_ref().filter(|_| counted.is_whole).map(|it| &it.ignored);
        let ignored: Vec<_> =
            ignored.into_iter().flatten().map(|(kind, n)| counted_word(*n, kind.word())).collect();
        if !ignored.is_empty() {
            line += &format!("; ignored: {}", ignored.join(", "));
        }
        lines.push(line);
        for trouble in counted.standing.iter().flat_map(|standing| &standing.troubles) {
            lines.push(format!("{:widest$}  {trouble}", ""));
        }
    }
    lines.push(moved(passed));
    let total = tally.unfinished + tally.conversions_failed;
    if total > 0 {
        lines.push(String::new());
        let are = if total == 1 { "1 file is" } else { &format!("{total} files are") };
        lines.push(format!("{are} not at the goal:"));
    }
    let widest = tally.not_there.iter().take(SHOWN).map(|it| it.state.word().len()).max().unwrap_or_default();
    for it in tally.not_there.iter().take(SHOWN) {
        let path = if tally.mappings.len() > 1 { it.key.to_string() } else { it.key.path.to_string() };
        lines.push(format!("  {:widest$}  {path}", it.state.word()));
        lines.push(format!("  {:widest$}  {}", "", it.reason));
    }
    if total > SHOWN as u64 {
        lines.push(format!("  … and {} more: versync status", total - SHOWN as u64));
    }
    lines
}

fn moved(passed: &Passed) -> String {
    let took = if passed.time.as_secs() < 60 {
        format!("{:.1} s", passed.time.as_secs_f64())
    } else {
        time(passed.time.as_secs())
    };
    match (passed.reading.uploads, passed.reading.sent_bytes) {
        (0, 0) => format!("nothing sent, {took}"),
        (1, sent) => format!("{} sent in 1 upload, {took}", bytes(sent)),
        (uploads, sent) => format!("{} sent in {uploads} uploads, {took}", bytes(sent)),
    }
}

fn counted_word(n: u64, word: &str) -> String {
    format!("{n} {}", word.replace('_', " "))
}

fn object(passed: &Passed, tally: &Tally, exit: Exit) -> Value {
    let mappings: Vec<_> = tally.mappings.iter().map(|it| mapping(it, passed)).collect();
    let not_synced: Vec<_> = tally
        .not_there
        .iter()
        .map(|it| {
            json!({
                "mapping": it.key.mapping.as_str(),
                "path": it.key.path.to_string(),
                "state": it.state.word(),
                "reason": it.reason,
            })
        })
        .collect();
    let mut object = json!({
        "schema_version": 1,
        "exit_code": exit.code(),
        "mappings": mappings,
        "sent_bytes": passed.reading.sent_bytes,
        "uploads": passed.reading.uploads,
        "seconds": passed.time.as_secs_f64(),
        "not_synced": not_synced,
        "not_synced_total": tally.unfinished + tally.conversions_failed,
    });
    if let Some((error, hint)) = error(passed) {
        object["error"] = error.into();
        object["hint"] = hint.into();
    }
    object
}

fn mapping(counted: &Counted, passed: &Passed) -> Value {
    let states: BTreeMap<_, _> = counted.states.iter().map(|(state, n)| (state.word(), n)).collect();
    let standing = counted.standing.as_ref();
    let ignored: BTreeMap<_, _> =
        standing.into_iter().flat_map(|it| &it.ignored).map(|(kind, n)| (kind.word(), n)).collect();
    let (state, reason) = match (passed.ending.mappings.get(&counted.name), standing) {
        (Some(trouble), _) => {
            let (state, reason) = words(trouble);
            (state, Some(reason))
        }
        (None, Some(standing)) => (standing.state.as_str(), standing.reason.as_deref()),
        (None, None) => ("unknown", None),
    };
    json!({
        "name": counted.name.as_str(),
        "state": state,
        "reason": reason,
        "states": states,
        "ignored": ignored,
        "troubles": standing.map(|it| it.troubles.clone()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
