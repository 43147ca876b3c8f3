//! How a demonstration looks: headings, a table, a few colours. Pure but for what it prints.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::cli::paper::Paper;
use crate::file::{Current, Entry, Key, State, shown};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Where a demonstration is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show<'a> {
    paper: &'a Paper,
}

impl<'a> Show<'a> {
    pub(super) fn on(paper: &'a Paper) -> Self {
        Self { paper }
    }

    /// A line of text.
    pub(super) fn say(self, text: &str) {
        self.paper.line(text);
    }

    /// A line that may be skipped.
    pub(super) fn aside(self, text: &str) {
        self.paper.line(&format!("{DIM}{text}{DIM:#}"));
    }

    /// What begins here.
    pub(super) fn heading(self, text: &str) {
        self.paper.line("");
        self.paper.line(&format!("{BOLD}{text}{BOLD:#}"));
    }

    /// A step for machines.
    pub(super) fn step(self, step: &str, mut facts: Value) {
        facts["schema_version"] = 1.into();
        facts["step"] = step.into();
        self.paper.object(&facts);
    }

    /// Path, state, source file and assets of these bundles.
    pub(super) fn table(self, rows: &[(Key, Entry)]) {
        for line in table(rows) {
            self.paper.line(&line);
        }
    }

    /// How a file that could not be sent is told.
    pub(super) fn told(self, path: &str, state: State, reason: &str) {
        let style = style(state);
        self.paper.line(&format!("  {path:<24}  {style}{}{style:#}", state.word()));
        for line in wrapped(reason, 70) {
            self.aside(&format!("      {line}"));
        }
    }
}

/// A bundle for machines.
pub(super) fn object(key: &Key, entry: &Entry) -> Value {
    let current = entry.current.as_ref();
    let assets: Vec<_> = current
        .into_iter()
        .flat_map(Current::parts)
        .flat_map(|part| &part.assets)
        .map(|asset| json!({ "id": asset.id.to_string(), "type": shown(&asset.kind), "name": shown(&asset.name) }))
        .collect();
    json!({
        "path": key.path.to_string(),
        "state": entry.state().word(),
        "reason": entry.reason(),
        "source_file_id": current.map(|current| current.lead.source_file.to_string()),
        "assets": assets,
    })
}

/// The first eight digits of a source file's id: enough to tell a handful apart.
pub(super) fn short(entry: &Entry) -> String {
    let id = entry.current.as_ref().map(|current| current.lead.source_file.to_string());
    id.map_or_else(|| "-".to_owned(), |id| id.chars().take(8).collect())
}

/// What conversion made of a bundle: `scene, 2 × mesh`.
pub(super) fn assets(entry: &Entry) -> String {
    let mut counts: Vec<(String, u64)> = Vec::new();
    for asset in entry.current.iter().flat_map(Current::parts).flat_map(|part| &part.assets) {
        match counts.iter_mut().find(|(kind, _)| *kind == asset.kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((asset.kind.clone(), 1)),
        }
    }
    let words = counts.iter().map(|(kind, count)| match count {
        1 => shown(kind),
        count => format!("{count} × {}", shown(kind)),
    });
    let words: Vec<_> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// Counts by word: `2 companion, 1 unsupported`.
pub(super) fn counts<'w>(counts: impl IntoIterator<Item = (&'w str, u64)>) -> String {
    let counts: BTreeMap<_, _> = counts.into_iter().collect();
    let words: Vec<_> = counts.iter().map(|(word, n)| format!("{n} {}", word.replace('_', " "))).collect();
    words.join(", ")
}

fn table(rows: &[(Key, Entry)]) -> Vec<String> {
    let states = rows.iter().map(|(_, entry)| entry.state().word().len()).max().unwrap_or_default().max(5);
    // What is left of 80 columns beside the state, eleven for the source file, and the usual three assets.
    let room = 38_usize.saturating_sub(states).max(18);
    let paths: Vec<_> = rows.iter().map(|(key, _)| clipped(&key.path.to_string(), room)).collect();
    let width = paths.iter().map(|path| path.chars().count()).max().unwrap_or_default().max(4);
    let head = format!("  {:width$}  {:states$}  source file  assets", "path", "state");
    let mut lines = vec![format!("{DIM}{head}{DIM:#}")];
    for ((_, entry), path) in rows.iter().zip(&paths) {
        let state = entry.state();
        let style = style(state);
        lines.push(format!(
            "  {path:width$}  {style}{:states$}{style:#}  {:11}  {}",
            state.word(),
            short(entry),
            assets(entry)
        ));
        if let Some(reason) = entry.reason() {
            lines.extend(wrapped(reason, 70).iter().map(|line| format!("      {DIM}{line}{DIM:#}")));
        }
    }
    lines
}

/// The end of a path that has no room: its name tells more than its first directory.
fn clipped(path: &str, room: usize) -> String {
    let length = path.chars().count();
    if length <= room {
        return path.to_owned();
    }
    let tail: String = path.chars().skip(length + 1 - room).collect();
    format!("…{tail}")
}

/// Lines of at most `width` characters, broken at spaces where there are some.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn style(state: State) -> Style {
    let colour = match state {
        State::Synced => AnsiColor::Green,
        State::Settling | State::Ready | State::Uploading | State::Converting => AnsiColor::Cyan,
        State::Ambiguous | State::Held | State::Stalled | State::Suspect | State::Ignored => {
            AnsiColor::Yellow
        }
        State::Blocked | State::ConversionFailed => AnsiColor::Red,
        State::Detached | State::Deleted => return DIM,
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{MappingName, RelPath};

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(clipped("a/b.png", 7), "a/b.png");
        assert_eq!(clipped("characters/robot/paint.png", 12), "…t/paint.png");
    }

    #[test]
    fn a_table_of_long_paths_fits_eighty_columns() {
        let key = |path: &str| Key::new(MappingName::new("m"), RelPath::from_bytes(path.as_bytes()).unwrap());
        let rows = [(key(&format!("{}model.gltf", "long/".repeat(30))), Entry::default())];
        for line in table(&rows) {
            let plain = anstream::adapter::strip_str(&line).to_string();
            assert!(plain.chars().count() <= 65, "{plain}");
        }
    }

    #[test]
    fn a_reason_is_broken_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible", 7), ["incomprehensible"]);
    }
}
