//! Wavefront OBJ: the libraries that `mtllib` names, and the files of `call`, `shadow_obj` and `trace_obj`.
//!
//! Source: appendix B1 of the Advanced Visualizer manual. Exporters write names with spaces unquoted, and several names in one
//! line, so the line is one name that may also be a list; which it is, only the tree can tell.

use super::stream::Stream;
use super::{Finding, Format, Reference, trimmed};

/// One pass over the lines; only those that name files are looked at.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut line = Vec::new();
    while stream.peek().is_some() {
        // Nearly every line is a vertex or a face: its first letter is enough to leave it.
        stream.skip_blank();
        match stream.peek() {
            Some(b'm' | b'M' | b'c' | b's' | b't') => {
                let room = found.limits.name + KEYWORD;
                stream.take_logical_line(&mut line, room);
                statement(&line, found);
            }
            Some(_) => stream.skip_past(b'\n'),
            None => {}
        }
    }
}

const KEYWORD: usize = 64;

fn statement(line: &[u8], found: &mut Finding) {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let kind = match &*keyword.to_ascii_lowercase() {
        b"mtllib" => "mtllib",
        b"shadow_obj" => "obj:shadow_obj",
        b"trace_obj" => "obj:trace_obj",
        // `call file arguments`
        b"call" => {
            let name = rest.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
            found.push(Reference::new("obj:call", trimmed(name)));
            return;
        }
        _ => return,
    };
    let name = trimmed(rest);
    let (list, expects) = match kind {
        "mtllib" => (pieces(name), Some(Format::Mtl)),
        _ => (Vec::new(), Some(Format::Obj)),
    };
    found.push(Reference { list, expects, ..Reference::new(kind, name) });
}

/// The names in a list whose names may hold spaces: each ends where a word has the extension of a library, or that of the last.
fn pieces(line: &[u8]) -> Vec<Vec<u8>> {
    let last = extension(trimmed(line)).unwrap_or_default();
    let ends_name = |word: &[u8]| {
        extension(word)
            .is_some_and(|found| found.eq_ignore_ascii_case(b"mtl") || found.eq_ignore_ascii_case(last))
    };
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < line.len() {
        let end = line[at..].iter().position(u8::is_ascii_whitespace).map_or(line.len(), |len| at + len);
        let word = trimmed(&line[at..end]);
        if ends_name(word) || end == line.len() {
            let piece = trimmed(&line[start..end]);
            if !piece.is_empty() {
                pieces.push(piece.to_vec());
            }
            start = end;
        }
        at = end + 1;
    }
    if pieces.len() > 1 { pieces } else { Vec::new() }
}

/// The extension of a name: a few letters behind a dot.
fn extension(word: &[u8]) -> Option<&[u8]> {
    let dot = word.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    let extension = &word[dot + 1..];
    let is_one = (1..=4).contains(&extension.len()) && extension.iter().all(u8::is_ascii_alphanumeric);
    is_one.then_some(extension)
}
