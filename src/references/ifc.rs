//! IFC as STEP text: part models and documents that are files, and image textures.
//!
//! Source: ISO 10303-21 for the text, IFC 2x3 and 4 for the entities. A federated model names its parts as documents; a document
//! that is a hyperlink is nothing to carry.

use super::stream::Stream;
use super::{Finding, Reference};

/// How much of a statement is kept.
const ROOM: usize = 32 << 10;

/// One pass over the statements.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut statement = Vec::new();
    let mut first = true;
    while stream.peek().is_some() {
        stream.skip_space();
        statement.clear();
        stream.take_past(b';', &mut statement, ROOM);
        if std::mem::take(&mut first) && !statement.starts_with(b"ISO-10303-21") {
            found.warn("the content is no STEP text");
            return;
        }
        let Some(entity) = entity(&statement) else { continue };
        // A semicolon inside a string does not end the statement.
        while statement.iter().filter(|byte| **byte == b'\'').count() % 2 == 1 && statement.len() < ROOM {
            statement.push(b';');
            if !stream.take_past(b';', &mut statement, ROOM) {
                break;
            }
        }
        let texts = texts(&statement);
        let (kind, candidates): (_, Vec<Vec<u8>>) = match entity {
            // The name, the description and (IFC 4) the location; whichever looks like a file.
            Entity::Document => {
                ("ifc:documentinformation", texts.into_iter().filter(|t| is_file(t)).collect())
            }
            Entity::Reference => {
                ("ifc:documentreference", texts.into_iter().filter(|t| is_file(t)).collect())
            }
            Entity::Library => ("ifc:library", texts.into_iter().filter(|t| is_file(t)).collect()),
            Entity::Image => ("ifc:imagetexture", texts.into_iter().next_back().into_iter().collect()),
        };
        found.extend(Reference::of_many(kind, candidates));
    }
}

#[derive(Clone, Copy)]
enum Entity {
    Document,
    Reference,
    Library,
    Image,
}

/// `#12=IFCNAME(…`
fn entity(statement: &[u8]) -> Option<Entity> {
    let equals = statement.iter().take(32).position(|byte| *byte == b'=')?;
    let rest = statement[equals + 1..].trim_ascii_start();
    let open = rest.iter().take(64).position(|byte| *byte == b'(')?;
    match &*rest[..open].trim_ascii().to_ascii_uppercase() {
        b"IFCDOCUMENTINFORMATION" => Some(Entity::Document),
        b"IFCDOCUMENTREFERENCE" => Some(Entity::Reference),
        // A library of product types, and a style that is kept in a file of another program.
        b"IFCLIBRARYINFORMATION" | b"IFCLIBRARYREFERENCE" | b"IFCEXTERNALLYDEFINEDSURFACESTYLE" => {
            Some(Entity::Library)
        }
        b"IFCIMAGETEXTURE" => Some(Entity::Image),
        _ => None,
    }
}

/// Whether a text is the path of a file: an extension at its end, no sentence, no hyperlink.
fn is_file(text: &[u8]) -> bool {
    const LONGEST_EXTENSION: usize = 6;
    if text.windows(3).any(|part| part == b"://") && !text.starts_with(b"file:") {
        return false;
    }
    let name = text.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let extension = &name[dot + 1..];
    dot > 0
        && (1..=LONGEST_EXTENSION).contains(&extension.len())
        && extension.iter().all(u8::is_ascii_alphanumeric)
        && extension.iter().any(u8::is_ascii_alphabetic)
        && !text.starts_with(b"www.")
        && !text.contains(&b'@')
}

/// The strings of a statement, decoded.
fn texts(statement: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    let mut rest = statement;
    while let Some(start) = rest.iter().position(|byte| *byte == b'\'') {
        rest = &rest[start + 1..];
        let mut raw = Vec::new();
        loop {
            match rest {
                [b'\'', b'\'', after @ ..] => {
                    raw.push(b'\'');
                    rest = after;
                }
                [b'\'', after @ ..] => {
                    rest = after;
                    break;
                }
                [byte, after @ ..] => {
                    raw.push(*byte);
                    rest = after;
                }
                [] => break,
            }
        }
        texts.push(decoded(&raw));
    }
    texts
}

/// A string with its directives resolved: `\X2\…\X0\`, `\X4\…\X0\`, `\X\hh`, `\S\c`. A `\` that begins none is itself, since
/// exporters write Windows paths without doubling it.
fn decoded(raw: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            plain.push(*first);
            rest = after;
        } else if let Some((text, next)) = wide(rest, b"\\X2\\", 4).or_else(|| wide(rest, b"\\X4\\", 8)) {
            plain.extend_from_slice(text.as_bytes());
            rest = next;
        } else if let Some((byte, next)) = rest.strip_prefix(b"\\X\\").and_then(hex_byte) {
            push_latin1(&mut plain, byte);
            rest = next;
        } else if let Some([c, next @ ..]) = rest.strip_prefix(b"\\S\\") {
            push_latin1(&mut plain, c | 0x80);
            rest = next;
        } else {
            plain.push(b'\\');
            rest = after.strip_prefix(b"\\").unwrap_or(after);
        }
    }
    plain
}

fn wide<'a>(text: &'a [u8], start: &[u8], digits: usize) -> Option<(String, &'a [u8])> {
    let inner = text.strip_prefix(start)?;
    let end = inner.windows(4).position(|part| part == b"\\X0\\")?;
    let hex = std::str::from_utf8(&inner[..end]).ok()?;
    let units: Option<Vec<u32>> = (0..hex.len() / digits)
        .map(|i| u32::from_str_radix(hex.get(i * digits..(i + 1) * digits)?, 16).ok())
        .collect();
    let units = units?;
    let text = if digits == 8 {
        units.iter().map(|unit| char::from_u32(*unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        let units = units.iter().map(|unit| u16::try_from(*unit).unwrap_or(0));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    Some((text, &inner[end + 4..]))
}

fn hex_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, &text[2..]))
}

fn push_latin1(plain: &mut Vec<u8>, byte: u8) {
    plain.extend_from_slice(char::from(byte).encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_decoded_and_stray_backslashes_kept() {
        let told = |raw: &str| String::from_utf8(decoded(raw.as_bytes())).unwrap();
        assert_eq!(told(r"C:\\a\\b.ifc"), r"C:\a\b.ifc");
        assert_eq!(told(r"C:\a\Bau.ifc"), r"C:\a\Bau.ifc");
        assert_eq!(told(r"Geb\X2\00E4\X0\ude\X\E4\S\d.ifc"), "Gebäudeää.ifc");
        assert_eq!(told(r"\X2\zz"), r"\X2\zz");
        assert_eq!(texts(b"#1=X('it''s',$,'b')"), [b"it's".to_vec(), b"b".to_vec()]);
    }

    #[test]
    fn only_what_looks_like_a_file_is_one() {
        for yes in ["P1_cm.ifc", r"C:\x y\P2.ifc", "file:///a/b.pdf", "a.ifczip"] {
            assert!(is_file(yes.as_bytes()), "{yes}");
        }
        for no in ["https://a.b/c.html", "Version 1.0", "A sentence. It ends", "", "m@x.org", "www.x.org"] {
            assert!(!is_file(no.as_bytes()), "{no}");
        }
    }
}
