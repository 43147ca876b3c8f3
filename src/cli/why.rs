//! `versync why`: one path, there or gone, and what keeps it from its goal: the rule, the wait, the next look, what happened to it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::deps::words;
use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::render::{self, SCHEMA};
use super::{Global, desk, status};
use crate::assembly::{self, Assembly, Names, Sent};
use crate::bundle::{Bundle, Need};
use crate::config::Config;
use crate::disk::{self, Kind as OnDisk, Root};
use crate::file::{Entry, Key, RelPath, State, shown};
use crate::ledger::{self, JournalLine, Occupancy, Reader};
use crate::mapping::filter::IgnoredKind;
use crate::mapping::{Admission, Ignored, Mapping};
use crate::panel::{Asked, Kind, Place, When};
use crate::plan::refresh::held;
use crate::references::readable;

/// How many lines of its journal are shown.
const LINES: usize = 10;

/// How many of the models that carry a file are asked why they wait.
const LEADS: usize = 256;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json one object is printed: schema_version, running, mapping, path, on_disk (file, directory, other, gone, ignored or unknown), \
state (or null), why, travels_with [path], guesses [{path, written, how}], unclear, rule (or null: {kind, text, file, line}), waits_for, next_attempt (or null), file (as in `versync files`, or \
null) and journal [{at, note}], the latest first.")]
pub(super) struct Arguments {
    /// The path, also MAPPING:PATH; it need not be there
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Everything that is known of a path.
struct Known {
    key: Key,
    entry: Entry,
    journal: Vec<JournalLine>,
    /// Models that refer to it.
    leads: Vec<Key>,
    /// Why they wait, if they do since it changed.
    refresh: Option<String>,
    on_disk: &'static str,
    rule: Option<Rule>,
    /// What keeps the mapping as a whole from working.
    hampered: Option<String>,
    occupancy: Occupancy,
    /// What the daemon says, if one answers: when it looks next.
    next: Option<Option<When>>,
    /// Why the disk does not tell, if it does not.
    trouble: Option<String>,
    /// What travels with it.
    bundle: Bundle,
}

/// A rule that keeps a path out, and where it is written.
struct Rule {
    kind: &'static str,
    text: String,
    file: Option<String>,
    line: Option<usize>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let config = desk::configuration(global)?.config;
    let (mapping, path) = status::find(&config, &arguments.path)?;
    let key = mapping.key(path);
    let (entry, journal, leads, refresh, standing, bundle) = match Reader::open(&config.state_dir) {
        Ok(reader) => {
            let leads = reader.leads_of(&key.mapping, &key.path)?;
            let refresh = refresh_of(&reader, &key, &leads)?;
            let (entry, journal) = (reader.entry(&key)?, reader.journal(&key, LINES)?);
            let bundle = travelling(&reader, mapping, &key)?;
            (entry, journal, leads, refresh, reader.standing(&mapping.name)?, bundle)
        }
        Err(ledger::Error::Missing(_)) => {
            (Entry::default(), Vec::new(), Vec::new(), None, None, Bundle::default())
        }
        Err(error) => return Err(error.into()),
    };
    let asked = Asked::Next { of: Place::new(&key.mapping, &key.path) };
    let next = match desk::runtime()?.block_on(desk::ask(global, &config, &asked)) {
        Ok(Some(Kind::Next(next))) => Some(next),
        // A single pass takes no questions; then the ledger has to do.
        Ok(_) | Err(_) => None,
    };
    let hampered = standing
        .filter(|it| matches!(it.state.as_str(), "paused" | "offline" | "halted" | "needs_login"))
        .map(|it| {
            let reason = it.reason.map(|reason| format!(": {}", shown(&reason))).unwrap_or_default();
            format!("the mapping is {}{reason}", render::spoken(&it.state))
        });
    let (on_disk, rule, trouble) = look(&config, mapping, &key);
    let occupancy = ledger::occupancy(&config.state_dir)?;
    let known = Known {
        key,
        entry,
        journal,
        leads,
        refresh,
        on_disk,
        rule,
        hampered,
        occupancy,
        next,
        trouble,
        bundle,
    };
    if paper.is_json() {
        paper.object(&known.object());
    } else {
        known.lines().iter().for_each(|line| paper.line(line));
    }
    Ok(Exit::Done)
}

/// What travels with a model, by the names that the ledger knows; nothing, if it is none or cannot be read.
fn travelling(reader: &Reader, mapping: &Mapping, key: &Key) -> Result<Bundle, Failure> {
    if !Assembly::may_refer(&key.path) {
        return Ok(Bundle::default());
    }
    let root = Root::new(mapping.root.clone());
    let sent = Sent::of(&reader.entry(key)?, &reader.references(key)?);
    let kept = |written: &[u8]| sent.kept(written, &root, mapping);
    let named = |name: &[u8]| {
        let mut found = reader.named(&mapping.name, name).unwrap_or_default();
        found.retain(|path| assembly::may_travel(&root, mapping, path));
        found
    };
    let names = Names { named: &named, kept: &kept, search: mapping.policy.search };
    Ok(Assembly::new(root.clone()).bundle_with(&key.path, names).unwrap_or_default())
}

/// Why models wait since a file of theirs changed; none if they do not. Asks the first of them only.
fn refresh_of(reader: &Reader, file: &Key, leads: &[Key]) -> Result<Option<String>, ledger::Error> {
    let path = file.path.to_string();
    for lead in leads.iter().take(LEADS) {
        let entry = reader.entry(lead)?;
        if let Some(aside) = held(&entry).filter(|aside| aside.reason.contains(&path)) {
            return Ok(Some(aside.reason.clone()));
        }
    }
    Ok(None)
}

/// What lies there now, and whether a rule keeps it out.
fn look(config: &Config, mapping: &Mapping, key: &Key) -> (&'static str, Option<Rule>, Option<String>) {
    let root = Root::new(mapping.root.clone());
    match disk::admits(&root, mapping, &key.path) {
        Ok(Admission::Ignored(ignored)) => ("ignored", Some(Rule::of(ignored, config)), None),
        Ok(Admission::Admitted) => match disk::stat(&root, &key.path).map(|stat| stat.kind) {
            Ok(OnDisk::File) => ("file", None, None),
            Ok(OnDisk::Directory) => ("directory", None, None),
            Ok(OnDisk::Link | OnDisk::Special) => ("other", None, None),
            Err(error) if error.is_gone() => ("gone", None, None),
            Err(error) => ("unknown", None, Some(error.to_string())),
        },
        Err(error) if error.is_gone() => {
            // Nothing is there; what would be there may be kept out all the same.
            let rule = match mapping.filter.admits_file(&key.path) {
                Admission::Ignored(ignored) => Some(Rule::of(ignored, config)),
                Admission::Admitted => None,
            };
            ("gone", rule, None)
        }
        Err(error) => ("unknown", None, Some(error.to_string())),
    }
}

impl Rule {
    fn of(ignored: Ignored, config: &Config) -> Self {
        let place = match ignored.kind {
            IgnoredKind::IgnoreFile => ignored.rule.rsplit_once(" in ").and_then(|(_, place)| {
                let (file, line) = place.rsplit_once(':')?;
                Some((file.to_owned(), line.parse().ok()?))
            }),
            IgnoredKind::Excluded => written(&ignored.rule, config),
            IgnoredKind::Junk
            | IgnoredKind::Unsupported
            | IgnoredKind::ByChoice
            | IgnoredKind::Companion
            | IgnoredKind::Link
            | IgnoredKind::Special
            | IgnoredKind::OtherFileSystem => None,
        };
        let (file, line) = place.unzip();
        Self { kind: ignored.kind.word(), text: ignored.rule, file, line }
    }

    fn told(&self) -> String {
        match (&self.file, self.line) {
            // The rule of an ignore file tells its place itself.
            (Some(file), Some(line)) if !self.text.ends_with(&format!("{file}:{line}")) => {
                format!("{}, {}:{line}", shown(&self.text), shown(file))
            }
            (Some(_) | None, Some(_) | None) => shown(&self.text),
        }
    }
}

/// Where the configuration has a pattern: the first line that quotes it.
fn written(rule: &str, config: &Config) -> Option<(String, usize)> {
    let pattern = rule.split('`').nth(1)?;
    let source = config.source.as_ref()?;
    let text = read(source)?;
    let quotes = [format!("\"{pattern}\""), format!("'{pattern}'")];
    let line = text.lines().position(|line| quotes.iter().any(|quoted| line.contains(quoted)))?;
    Some((source.display().to_string(), line + 1))
}

#[expect(clippy::disallowed_methods, reason = "the configuration, to show where a rule is written")]
fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

impl Known {
    fn is_known(&self) -> bool {
        self.entry != Entry::default()
    }

    fn state(&self) -> Option<State> {
        match (self.is_known(), &self.rule, self.on_disk) {
            (true, _, _) => Some(self.entry.state()),
            (false, Some(_), "ignored") if self.leads.is_empty() => Some(State::Ignored),
            (false, _, _) => None,
        }
    }

    /// The one sentence that answers the question.
    fn why(&self) -> String {
        let rule = self.rule.as_ref().map(Rule::told);
        if let Some(reason) = self.entry.reason() {
            return shown(reason);
        }
        if let (false, Some(carried)) = (self.is_known(), render::carried(&self.leads)) {
            let held =
                self.refresh.as_deref().map(|why| format!("; held: {}", shown(why))).unwrap_or_default();
            return format!("{carried}{held}");
        }
        match (self.state(), rule, self.on_disk) {
            (Some(State::Ignored), Some(rule), _) => format!("a rule keeps it out: {rule}"),
            (Some(_), Some(rule), _) => format!("a rule keeps it out now: {rule}"),
            (Some(State::Synced), None, "gone") => {
                "it is gone from disk; it counts as deleted once it has stayed away".to_owned()
            }
            (Some(State::Synced), None, _) => "it is converted, and its bytes are those on disk".to_owned(),
            (Some(state), None, _) => render::cure(state).unwrap_or("it is on its way").to_owned(),
            (None, Some(rule), _) => {
                format!("nothing is there and nothing is known of it; a rule keeps it out: {rule}")
            }
            (None, None, "gone") => "nothing is there, and nothing is known of it".to_owned(),
            (None, None, "directory") => {
                "it is a directory: `versync files` lists what lies in it".to_owned()
            }
            (None, None, "unknown") => self.trouble.as_deref().map(shown).unwrap_or_default(),
            (None, None, _) => "no rule keeps it out, and it was not noticed yet".to_owned(),
        }
    }

    fn waits_for(&self) -> Option<String> {
        if let Some(hampered) = &self.hampered {
            return Some(hampered.clone());
        }
        match (&self.next, self.occupancy) {
            (Some(Some(When { now: true, .. })), _) => Some("nothing: it is being worked on now".to_owned()),
            (Some(Some(When { at, .. })), _) => {
                Some(format!("its next look at {}", at.as_deref().unwrap_or("an unknown time")))
            }
            (Some(None), _) if self.is_at_rest() => None,
            (Some(None), _) => Some("the next scan, or a change of the file".to_owned()),
            (None, _) if self.is_at_rest() => None,
            (None, Occupancy::Held(_)) => Some("the pass that is at work".to_owned()),
            (None, Occupancy::Free) => {
                Some("somebody who does it: `versync sync` or `versync run`; none is running".to_owned())
            }
        }
    }

    /// Whether nothing is to be done about it.
    fn is_at_rest(&self) -> bool {
        match self.state() {
            Some(
                State::Synced
                | State::Ignored
                | State::Detached
                | State::Deleted
                | State::Blocked
                | State::ConversionFailed
                | State::Suspect,
            ) => true,
            Some(
                State::Settling
                | State::Ready
                | State::Uploading
                | State::Converting
                | State::Ambiguous
                | State::Held
                | State::Stalled,
            ) => false,
            None => self.on_disk != "file" || !self.leads.is_empty(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = if self.is_known() {
            status::facts(&self.key, &self.entry, &self.journal)
        } else {
            let word = self.state().map_or("not known", State::word);
            let mut lines = vec![self.key.to_string(), format!("  {:<12}{word}", "state")];
            if !self.journal.is_empty() {
                lines.push("  what happened, the latest first".to_owned());
                lines.extend(self.journal.iter().map(|it| format!("    {}  {}", it.at, shown(&it.note))));
            }
            lines
        };
        let mut answer = vec![format!("  {:<12}{}", "why", self.why())];
        if let Some(rule) = &self.rule {
            answer.push(format!("  {:<12}{} ({})", "rule", rule.told(), render::spoken(rule.kind)));
        }
        answer.push(format!("  {:<12}{}", "on disk", self.on_disk));
        let leads = self.leads.iter().take(LINES);
        answer.extend(leads.map(|lead| format!("  {:<12}{}", "part of", lead.path)));
        for (path, need) in self.guesses().take(LINES) {
            let written = shown(&readable(&need.written));
            answer.push(format!("  {:<12}{path} for {written} ({})", "guess", words(&need.how).join(", ")));
        }
        let unclear = self.bundle.unclear.iter().take(LINES);
        answer.extend(unclear.map(|what| format!("  {:<12}{}", "unclear", shown(what))));
        if let Some(waits_for) = self.waits_for() {
            answer.push(format!("  {:<12}{waits_for}", "waits for"));
        }
        // The answer says it already.
        lines.retain(|line| !line.starts_with("  reason "));
        lines.splice(1..1, answer);
        lines
    }

    /// The members that were found by convention only.
    fn guesses(&self) -> impl Iterator<Item = (&RelPath, &Need)> {
        self.bundle.needs.iter().filter(|(_, need)| need.how.is_guess())
    }

    fn object(&self) -> Value {
        let guess = |(path, need): (&RelPath, &Need)| json!({ "path": path.to_string(), "written": readable(&need.written), "how": words(&need.how) });
        let mut object = render::path_fields(&self.key.path);
        let next = self.next.as_ref().and_then(Option::as_ref).map(|when| match &when.at {
            Some(at) => at.clone(),
            None => "now".to_owned(),
        });
        let line = |line: &JournalLine| json!({ "at": render::moment(line.at), "note": line.note });
        let rest = json!({
            "schema_version": SCHEMA,
            "running": matches!(self.occupancy, Occupancy::Held(_)),
            "mapping": self.key.mapping.as_str(),
            "state": self.state().map(State::word),
            "on_disk": self.on_disk,
            "why": self.why(),
            "travels_with": self.leads.iter().map(|lead| lead.path.to_string()).collect::<Vec<_>>(),
            "guesses": self.guesses().map(guess).collect::<Vec<_>>(),
            "unclear": self.bundle.unclear,
            "rule": self.rule.as_ref().map(|it| {
                json!({ "kind": it.kind, "text": it.text, "file": it.file, "line": it.line })
            }),
            "waits_for": self.waits_for(),
            "next_attempt": next,
            "file": self.is_known().then(|| render::entry(&self.key, &self.entry)),
            "journal": self.journal.iter().map(line).collect::<Vec<_>>(),
        });
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        Value::Object(object)
    }
}
