//! Every mapping: its state, its counts, what is not at its goal and why, and which assets a new version replaced.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::View;
use crate::ambient;
use crate::cli::failure::Failure;
use crate::cli::paper::Paper;
use crate::cli::render::{self, Table};
use crate::file::{Entry, Key, MappingName, State, shown};
use crate::ledger::{Occupancy, Reader, Standing};
use crate::mapping::Mapping;
use crate::panel;
use crate::timestamp::Timestamp;

/// How many files of a state are shown.
const SHOWN: usize = 20;

/// How many troubles of a mapping a person is shown.
const TROUBLES: usize = 10;

/// How many replaced versions a person is shown.
const REPLACED: usize = 5;

/// What is known of one mapping.
struct Facts {
    standing: Option<Standing>,
    summary: BTreeMap<State, u64>,
    attention: Vec<(State, Vec<(Key, Entry)>)>,
    replaced: Vec<(Key, Entry)>,
}

pub(super) fn look(view: &View<'_>, paper: &Paper) -> Result<Vec<String>, Failure> {
    let now = ambient::now();
    let mut lines = vec![heading(view)];
    lines.extend(view.live.iter().flat_map(live));
    let mut objects = Vec::new();
    let mut is_foreign = false;
    match &view.reader {
        None => {
            let hint = if view.is_running() {
                "the first scan has just begun"
            } else {
                "run `versync sync` or `versync run`"
            };
            lines.push(format!("nothing was synced yet: {hint}"));
        }
        Some(reader) => {
            for mapping in &view.config.mappings {
                let mut facts = gather(reader, &mapping.name)?;
                if let (Some(live), Some(standing)) = (&view.live, &mut facts.standing) {
                    overrule(standing, &mapping.name, live);
                }
                if paper.is_json() {
                    objects.push(object(mapping, &facts));
                } else {
                    lines.push(String::new());
                    lines.extend(text(view, mapping, &facts, now));
                }
            }
            if let Some(aside) = reader.meta(crate::ledger::REBUILT)?.filter(|aside| !aside.is_empty()) {
                lines.push(format!(
                    "the ledger was damaged and is being rebuilt; the old one lies at {}",
                    shown(&aside)
                ));
            }
            is_foreign = reader.is_foreign()?;
            if is_foreign {
                lines.push("this state directory was kept on another machine: nothing in the cloud is renamed, moved or deleted until `versync approve NAME` says that it is this machine's now".to_owned());
            }
            lines.extend(strangers(view, reader)?);
        }
    }
    if paper.is_json() {
        let mut object = super::head(view);
        object["daemon"] = view.live.as_ref().and_then(|live| serde_json::to_value(live).ok()).into();
        object["mappings"] = objects.into();
        object["foreign"] = is_foreign.into();
        paper.object(&object);
        return Ok(Vec::new());
    }
    Ok(lines)
}

fn gather(reader: &Reader, mapping: &MappingName) -> Result<Facts, Failure> {
    let summary = reader.summary(mapping)?;
    let with_entries = |keys: Vec<Key>| -> Result<Vec<(Key, Entry)>, Failure> {
        keys.into_iter()
            .map(|key| Ok((reader.entry(&key)?, key)))
            .map(|it| it.map(|(entry, key)| (key, entry)))
            .collect()
    };
    let mut attention = Vec::new();
    for state in summary.keys().filter(|state| !matches!(state, State::Synced | State::Ignored)) {
        attention.push((*state, with_entries(reader.in_state(mapping, *state, SHOWN)?)?));
    }
    Ok(Facts {
        standing: reader.standing(mapping)?,
        summary,
        attention,
        replaced: with_entries(reader.replaced(mapping, SHOWN)?)?,
    })
}

/// What the daemon itself says of a mapping is newer than what it wrote down: it may have no room to write.
fn overrule(standing: &mut Standing, mapping: &MappingName, live: &panel::Standing) {
    let Some(now) = live.mappings.iter().find(|it| it.name == mapping.as_str()) else { return };
    standing.state.clone_from(&now.state);
    standing.reason.clone_from(&now.reason);
    if let Ok(since) = now.since.parse::<jiff::Timestamp>()
        && let Ok(nanos) = i64::try_from(since.as_nanosecond())
    {
        standing.since = Timestamp::from_nanos(nanos);
    }
}

fn heading(view: &View<'_>) -> String {
    let state_dir = shown(&view.config.state_dir.to_string_lossy());
    match view.occupancy {
        Occupancy::Free => {
            format!("versync is not running; this is what was last known (state in {state_dir})")
        }
        Occupancy::Held(Some(pid)) => format!("versync is running as process {pid} (state in {state_dir})"),
        Occupancy::Held(None) => format!("versync is running (state in {state_dir})"),
    }
}

/// What only the daemon itself knows.
fn live(live: &panel::Standing) -> Vec<String> {
    let meter = live.meter.reading();
    let mut lines = vec![format!(
        "  {} waiting or at work, {} now, {} under way; {} sent since the start",
        render::things(live.agenda as u64, "file", "files"),
        render::number(live.out as u64),
        render::things(meter.uploading, "upload", "uploads"),
        render::bytes(meter.sent_bytes),
    )];
    if let Some(why) = &live.refused {
        let at = live.refused_at.as_deref().unwrap_or_default();
        lines.push(format!("  the configuration was refused at {at}; the old one stays in force:"));
        lines.extend(why.lines().map(|line| format!("    {}", shown(line))));
    }
    lines
}

/// Mappings that the ledger knows and the configuration does not.
fn strangers(view: &View<'_>, reader: &Reader) -> Result<Vec<String>, Failure> {
    let is_configured = |name: &MappingName| view.config.mappings.iter().any(|it| it.name == *name);
    let known = reader.mappings()?;
    Ok(known
        .iter()
        .filter(|name| !is_configured(name))
        .map(|name| {
            format!("the ledger also knows the mapping `{name}`, which the configuration does not name")
        })
        .collect())
}

fn text(view: &View<'_>, mapping: &Mapping, facts: &Facts, now: Timestamp) -> Vec<String> {
    let mut lines = vec![title(view, mapping, facts.standing.as_ref(), now)];
    let root = shown(&mapping.root.to_string_lossy());
    lines.push(format!("  {root} -> folder {}", mapping.folder));
    lines.push(format!("  {}", render::states(&facts.summary)));
    if let Some(standing) = &facts.standing {
        if !standing.ignored.is_empty() {
            let ignored = standing.ignored.iter().map(|(kind, count)| (kind.word(), *count));
            lines.push(format!("  ignored: {}", render::counts(ignored)));
        }
        lines.push(match standing.scanned_at {
            Some(at) => format!(
                "  last scan {}: {} in {}",
                render::ago(at, now),
                render::things(standing.files, "file", "files"),
                render::things(standing.directories, "directory", "directories"),
            ),
            None => "  no scan was finished yet".to_owned(),
        });
        for trouble in standing.troubles.iter().take(TROUBLES) {
            lines.push(format!("  trouble: {}", shown(trouble)));
        }
        if let Some(more) = standing.troubles.len().checked_sub(TROUBLES).filter(|more| *more > 0) {
            lines.push(format!("  and {more} more troubles"));
        }
    }
    for (state, files) in &facts.attention {
        lines.extend(attention(*state, files, facts.summary.get(state).copied().unwrap_or_default()));
    }
    lines.extend(replaced(&facts.replaced, now));
    lines
}

fn title(view: &View<'_>, mapping: &Mapping, standing: Option<&Standing>, now: Timestamp) -> String {
    let Some(standing) = standing else {
        return format!("{}  nothing is known of it yet", mapping.name);
    };
    let last = if view.is_running() { "" } else { "not running; last " };
    let reason = standing.reason.as_ref().map(|reason| format!(": {}", shown(reason))).unwrap_or_default();
    let state = render::spoken(&shown(&standing.state));
    format!("{}  {last}{state} since {}{reason}", mapping.name, render::ago(standing.since, now))
}

/// The files of one state, and what to do about them: once for all of them, because it is the same.
fn attention(state: State, files: &[(Key, Entry)], total: u64) -> Vec<String> {
    let cure = render::cure(state).map(|cure| format!(": {cure}")).unwrap_or_default();
    let mut lines = vec![format!("  {} {}{cure}", render::number(total), render::spoken(state.word()))];
    let mut table = Table::default();
    for (key, entry) in files {
        table.row(vec![render::bundle(key, entry), entry.reason().map(shown).unwrap_or_default()]);
    }
    lines.extend(table.lines().into_iter().map(|line| format!("    {line}")));
    let told = u64::try_from(files.len()).unwrap_or(u64::MAX);
    if let Some(more) = total.checked_sub(told).filter(|more| *more > 0) {
        lines.push(format!("    and {} more: versync files --state {state}", render::number(more)));
    }
    lines
}

/// Scenes refer to assets by id, so whoever made one has to be told which ids are old.
fn replaced(files: &[(Key, Entry)], now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, entry) in files.iter().take(REPLACED) {
        let Some(current) = &entry.current else { continue };
        if lines.is_empty() {
            lines.push("  new versions; scenes that were made with the old assets keep them".to_owned());
        }
        lines.push(format!("    {}  {}", render::bundle(key, entry), render::ago(current.since, now)));
        let assets = render::assets(current.parts().flat_map(|part| &part.assets), SHOWN);
        lines.push(format!("      new: {assets}"));
        for copy in entry.copies.iter().filter(|copy| copy.may_be_in_use()) {
            lines.push(format!("      old: {}", render::assets(&copy.assets, SHOWN)));
        }
    }
    if files.len() > REPLACED {
        lines.push("    and others: --json tells them".to_owned());
    }
    lines
}

fn object(mapping: &Mapping, facts: &Facts) -> Value {
    let standing = facts.standing.as_ref();
    let count = |words: &mut dyn Iterator<Item = (&'static str, u64)>| -> Value {
        Value::Object(words.map(|(word, count)| (word.to_owned(), count.into())).collect())
    };
    let attention = facts.attention.iter().flat_map(|(_, files)| files);
    json!({
        "name": mapping.name.as_str(),
        "root": mapping.root.to_string_lossy(),
        "folder_id": mapping.folder.to_string(),
        "state": standing.map(|it| &it.state),
        "reason": standing.and_then(|it| it.reason.as_ref()),
        "since": standing.map(|it| render::moment(it.since)),
        "scanned_at": standing.and_then(|it| it.scanned_at).map(render::moment),
        "files": standing.map(|it| it.files),
        "directories": standing.map(|it| it.directories),
        "counts": count(&mut facts.summary.iter().map(|(state, count)| (state.word(), *count))),
        "ignored": count(&mut standing.iter().flat_map(|it| &it.ignored).map(|(kind, count)| (kind.word(), *count))),
        "troubles": standing.map(|it| it.troubles.clone()).unwrap_or_default(),
        "attention": attention.map(|(key, entry)| with_cure(key, entry)).collect::<Vec<_>>(),
        "replaced": facts.replaced.iter().map(|(key, entry)| replacement(key, entry)).collect::<Vec<_>>(),
    })
}

fn with_cure(key: &Key, entry: &Entry) -> Value {
    let mut object = render::entry(key, entry);
    object["cure"] = render::cure(entry.state()).into();
    object
}

/// The fields of an entry that tell which ids are new and which old.
fn replacement(key: &Key, entry: &Entry) -> Value {
    let Value::Object(mut whole) = render::entry(key, entry) else { return Value::Null };
    let mut fields = render::path_fields(&key.path);
    for (name, from) in
        [("since", "current_since"), ("source_file_id", "source_file_id"), ("assets", "assets")]
    {
        fields.insert(name.to_owned(), whole.remove(from).unwrap_or_default());
    }
    let copies = whole.remove("copies");
    let copies = copies.as_ref().and_then(Value::as_array).into_iter().flatten();
    let previous: Vec<_> =
        copies.filter(|copy| copy["role"] == "superseded" || copy["role"] == "remains").cloned().collect();
    fields.insert("previous".to_owned(), previous.into());
    Value::Object(fields)
}
