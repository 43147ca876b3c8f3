//! What is wrong with a configuration: all of it at once, each with its line, its column, a caret and a cure.
//!
//! It decides what of the user's text may be shown. A line that may hold a secret is never quoted, and that is decided
//! here, once, from the text around it: a message elsewhere must not print the value of a key that [`is_secret`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use crate::file::shown;

/// Everything that is wrong with a configuration, in the order of its lines. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// One problem alone.
    #[must_use]
    pub fn one(problem: Problem) -> Self {
        Self { list: vec![problem] }
    }

    /// Every problem, in the order of its lines.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, the environment variable or the flag that is to be changed, for a person.
    pub origin: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// What is wrong: a fragment in lower case.
    pub message: String,
    /// What would cure it.
    pub hint: Option<String>,
    /// The line itself and the bytes of it that are meant; nothing, where it may hold a secret.
    pub snippet: Option<(String, Range<usize>)>,
}

impl Problem {
    /// A problem that lies with a whole file, or with nothing that has a line.
    #[must_use]
    pub fn whole(origin: &str, message: String, hint: &str) -> Self {
        let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        Self { origin: origin.to_owned(), line: None, column: None, message, hint, snippet: None }
    }
}

impl fmt::Display for Problem {
    /// As a report of several lines, without colour, control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = Level::ERROR.primary_title(shown(&self.message)).elements(None::<Origin<'_>>);
        let line = self.line.unwrap_or(1);
        let group = match &self.snippet {
            Some((text, span)) => group.element(
                Snippet::source(text)
                    .line_start(line)
                    .path(shown(&self.origin))
                    .annotation(AnnotationKind::Primary.span(span.clone())),
            ),
            None => {
                let origin = Origin::path(shown(&self.origin));
                group.element(match (self.line, self.column) {
                    (Some(line), Some(column)) => origin.line(line).char_column(column),
                    (Some(line), None) => origin.line(line),
                    (None, Some(_) | None) => origin,
                })
            }
        };
        let group = match &self.hint {
            Some(hint) => group.element(Level::HELP.with_name("hint").message(shown(hint))),
            None => group,
        };
        f.write_str(Renderer::plain().render(&[group]).trim_end())
    }
}

/// Where something that the user wrote stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spot {
    /// In the file: bytes of its text.
    File(Range<usize>),
    /// In an environment variable, or behind a flag; by its name.
    Outside(String),
    /// Nowhere: it is missing, or a default.
    Nowhere,
}

/// Collects what is wrong, so that one run tells everything.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    text: &'a str,
    origin: String,
    list: Vec<Problem>,
    spots: BTreeMap<String, Spot>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(text: &'a str, origin: &str) -> Self {
        Self { text, origin: origin.to_owned(), list: Vec::new(), spots: BTreeMap::new() }
    }

    /// Notes a problem; the same problem in the same place (a default that ten mappings inherit) is noted once.
    pub(super) fn add(&mut self, spot: &Spot, message: impl Into<String>, hint: impl Into<String>) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        let mut problem = Problem {
            origin: self.origin.clone(),
            line: None,
            column: None,
            message: message.into(),
            hint,
            snippet: None,
        };
        match spot {
            Spot::File(span) => self.place(&mut problem, span.clone()),
            Spot::Outside(name) => problem.origin.clone_from(name),
            Spot::Nowhere => {}
        }
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Remembers where the value of a key stands, for those who check it later.
    pub(super) fn remember(&mut self, key: &str, spot: &Spot) {
        self.spots.insert(key.to_owned(), spot.clone());
    }

    /// Where the value of a key stands.
    pub(super) fn spot(&self, key: &str) -> Spot {
        self.spots.get(key).cloned().unwrap_or(Spot::Nowhere)
    }

    /// How many were noted so far.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// All of them, if there are any.
    pub(super) fn close(mut self) -> Result<(), Problems> {
        self.list.sort_by_key(|problem| (problem.line.unwrap_or(usize::MAX), problem.column));
        if self.list.is_empty() { Ok(()) } else { Err(Problems { list: self.list }) }
    }

    fn place(&self, problem: &mut Problem, span: Range<usize>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let number = before.matches('\n').count() + 1;
        let line = self.text[start..].lines().next().unwrap_or_default();
        problem.line = Some(number);
        problem.column = Some(before[start..].chars().count() + 1);
        if !may_hold_secret(self.text, number) {
            let from = (span.start - start).min(line.len());
            let to = (span.end.max(span.start) - start).clamp(from, line.len());
            problem.snippet = Some((line.to_owned(), from..to));
        }
    }
}

/// Words in a key that make its value a secret. `command` is among them for what its arguments may hold.
const SECRET_WORDS: [&str; 7] = ["token", "key", "secret", "password", "passwd", "bearer", "command"];

/// Whether the value of this key must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.contains("auth") || SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// Whether a line (from 1) may hold a secret: by itself, by the statement that it continues, or by its table.
///
/// The text may be no TOML at all, so this goes by its looks and errs towards silence.
fn may_hold_secret(text: &str, number: usize) -> bool {
    if text.contains("\"\"\"") || text.contains("'''") {
        return true; // a line of a long string looks like anything
    }
    let above: Vec<&str> = text.lines().take(number).collect();
    let Some(line) = above.last() else { return false };
    if is_secret(line) || (line.contains("://") && line.contains('@')) {
        return true;
    }
    let statement = above.iter().rposition(|line| opens_statement(line)).unwrap_or(0);
    let header = above.iter().rev().find(|line| opens_table(line));
    above[statement..].iter().any(|line| is_secret(line)) || header.is_some_and(|line| is_secret(line))
}

/// `word =`, or the head of a table.
fn opens_statement(line: &str) -> bool {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let rest = line.trim_start().trim_start_matches(bare);
    (rest.len() < line.trim_start().len() && rest.trim_start().starts_with('=')) || opens_table(line)
}

fn opens_table(line: &str) -> bool {
    let inner = line.trim_start().trim_start_matches('[');
    inner.len() < line.trim_start().len() && inner.trim_start().starts_with(|c: char| c.is_ascii_alphabetic())
}
