//! USD as text: every asset path, `@…@` and `@@@…@@@`, by the field that it stands in.
//!
//! Source: the grammar of OpenUSD's text format. `assetInfo` has an `identifier` that names the layer itself and is nothing to
//! carry; an expression in backquotes is no path.

use super::stream::Stream;
use super::{Finding, Pattern, Reference};

/// One pass over the tokens.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut line = Vec::new();
    stream.take_past(b'\n', &mut line, 64);
    if !line.starts_with(b"#usda") && !line.starts_with(b"#sdf") {
        found.warn("the content is no USD text");
        return;
    }
    let room = found.limits.name;
    // The name that was last assigned to, whether its type is `asset`, and the last two words.
    let mut field: Vec<u8> = Vec::new();
    let mut is_asset = false;
    let (mut before, mut word) = (Vec::new(), Vec::new());
    while let Some(byte) = stream.peek() {
        match byte {
            b'#' => stream.skip_past(b'\n'),
            b'"' | b'\'' => {
                let text = string(stream, byte, room);
                if field == b"templateAssetPath" {
                    found.push(Reference::new("usd:clip", text).pattern(Pattern::Frames));
                } else if is_asset && field != b"identifier" {
                    // OpenUSD takes a plain string where an asset is wanted.
                    found.extend(reference(&field, &text));
                }
            }
            b'@' => {
                let path = asset(stream, room);
                if field != b"identifier" {
                    found.extend(reference(&field, &path));
                }
            }
            b'=' => {
                stream.consume(1);
                field = std::mem::take(&mut word);
                is_asset = before == b"asset";
            }
            b')' | b'}' => {
                stream.consume(1);
                field.clear();
                is_asset = false;
            }
            _ if is_word(byte) => {
                before = std::mem::take(&mut word);
                while let Some(byte) = stream.peek().filter(|byte| is_word(*byte)) {
                    stream.consume(1);
                    if word.len() < 128 {
                        word.push(byte);
                    }
                }
                // What begins with a letter is the next statement (`def Xform "Geom"`): its string is no value of the last.
                is_asset &= !word.first().is_some_and(u8::is_ascii_alphabetic) || word == b"None";
            }
            _ => stream.consume(1),
        }
    }
}

/// What an asset path refers to, without the arguments and the inner path that may follow a file's name.
pub(super) fn reference(field: &[u8], path: &[u8]) -> Option<Reference> {
    let path = path.trim_ascii();
    if path.is_empty() || path.starts_with(b"`") || path.starts_with(b"anon:") {
        return None;
    }
    let path = match path.windows(ARGUMENTS.len()).position(|part| part == ARGUMENTS) {
        Some(at) => &path[..at],
        None => path,
    };
    // `package.usdz[inner/file.png]`
    let path = match path.iter().position(|byte| *byte == b'[') {
        Some(at) if path.ends_with(b"]") && has_package(&path[..at]) => &path[..at],
        Some(_) | None => path,
    };
    let kind = match field {
        b"subLayers" => "usd:sublayer",
        b"references" => "usd:reference",
        b"payload" | b"payloads" => "usd:payload",
        _ => "usd:asset",
    };
    let reference = Reference::new(kind, path);
    // Value clips and image sequences write their frames as `#`.
    Some(if path.contains(&b'#') { reference.pattern(Pattern::Frames) } else { reference })
}

const ARGUMENTS: &[u8] = b":SDF_FORMAT_ARGS:";

fn has_package(path: &[u8]) -> bool {
    path.len() > 5 && path[path.len() - 5..].eq_ignore_ascii_case(b".usdz")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.')
}

/// A string in single or triple quotes of either kind.
fn string(stream: &mut Stream<'_>, quote: u8, room: usize) -> Vec<u8> {
    let mut text = Vec::new();
    stream.consume(1);
    if stream.peek() != Some(quote) {
        loop {
            match stream.next() {
                // A string of one line does not go on in the next: a lone quote must not swallow the file.
                None | Some(b'\n') => return text,
                Some(b'\\') => text.extend(stream.next().filter(|_| text.len() < room)),
                Some(byte) if byte == quote => return text,
                Some(byte) if text.len() < room => text.push(byte),
                Some(_) => {}
            }
        }
    }
    stream.consume(1);
    if stream.peek() != Some(quote) {
        return text;
    }
    stream.consume(1);
    let mut quotes = 0;
    while quotes < 3 {
        match stream.next() {
            None => return text,
            Some(b'\\') => drop(stream.next()),
            Some(byte) if byte == quote => {
                quotes += 1;
                continue;
            }
            Some(_) => {}
        }
        quotes = 0;
    }
    text
}

/// An asset path, whose marks are one or three `@`.
fn asset(stream: &mut Stream<'_>, room: usize) -> Vec<u8> {
    let mut path = Vec::new();
    stream.consume(1);
    if stream.peek() != Some(b'@') {
        while let Some(byte) = stream.next() {
            match byte {
                b'@' => return path,
                b'\n' => return Vec::new(),
                _ if path.len() <= room => path.push(byte),
                _ => {}
            }
        }
        return Vec::new();
    }
    stream.consume(1);
    if stream.peek() != Some(b'@') {
        return path;
    }
    stream.consume(1);
    while let Some(byte) = stream.next() {
        if path.len() <= room + 3 {
            path.push(byte);
        }
        if path.ends_with(b"@@@") {
            path.truncate(path.len() - 3);
            // `\@@@` stands for three of them.
            if path.ends_with(b"\\") {
                path.pop();
                path.extend_from_slice(b"@@@");
                continue;
            }
            // Up to two more belong to the path.
            while stream.peek() == Some(b'@') {
                stream.consume(1);
                path.push(b'@');
            }
            return path;
        }
        if byte == b'\n' {
            return Vec::new();
        }
    }
    Vec::new()
}
