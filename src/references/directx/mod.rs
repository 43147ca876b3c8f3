//! DirectX meshes, as text and as tokens: texture names and effect files.
//!
//! Source: the DirectX 9 documentation of the file format.

mod mszip;

use super::stream::Stream;
use super::{Finding, Reference};

/// One pass over the tokens.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut head = [0; 16];
    if !stream.exactly(&mut head) || !head.starts_with(b"xof ") {
        found.warn("the content is no DirectX mesh");
        return;
    }
    let float = if &head[12..] == b"0064" { 8 } else { 4 };
    match &head[8..12] {
        b"txt " => text(stream, found),
        b"bin " => binary(stream, found, float),
        b"tzip" | b"bzip" => {
            let limit = found.limits.unpacked;
            let mut blocks = mszip::Blocks::new(stream);
            let mut unpacked = Stream::raw(&mut blocks, limit);
            match &head[8..12] {
                b"tzip" => text(&mut unpacked, found),
                _ => binary(&mut unpacked, found, float),
            }
            unpacked.finish_packed(found);
        }
        _ => found.warn("the DirectX mesh is written in a way that is not understood"),
    }
}

/// The kind of reference that the first string of a data object is.
fn kind(object: &[u8]) -> Option<&'static str> {
    match &*object.to_ascii_lowercase() {
        b"texturefilename" => Some("x:TextureFilename"),
        b"effectinstance" => Some("x:EffectInstance"),
        b"effectparamstring" => Some("x:EffectParamString"),
        _ => None,
    }
}

fn take(object: &[u8], strings: &[Vec<u8>], found: &mut Finding) {
    let Some(kind) = kind(object) else { return };
    // A parameter is a name and a value, of which the value may be a texture.
    let written = match kind {
        "x:EffectParamString" => strings.get(1).filter(|value| value.contains(&b'.')),
        _ => strings.first(),
    };
    let Some(written) = written else { return };
    found.extend(Reference::of_many(kind, [unescaped(written), written.clone()]));
}

fn text(stream: &mut Stream<'_>, found: &mut Finding) {
    let room = found.limits.name;
    let mut objects: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    // `Template Name {`: the template is the first word of the row that ends with the brace.
    let mut first: Vec<u8> = Vec::new();
    loop {
        stream.skip_space();
        let Some(byte) = stream.peek() else { return };
        match byte {
            b'#' | b'/' => stream.skip_past(b'\n'),
            b'"' => {
                stream.consume(1);
                let mut text = Vec::new();
                stream.take_past(b'"', &mut text, room + 1);
                if let Some((_, strings)) = objects.last_mut().filter(|(_, strings)| strings.len() < 2) {
                    strings.push(text);
                }
            }
            b'{' => {
                stream.consume(1);
                if objects.len() >= found.limits.depth {
                    found.warn("the objects nest too deep; what follows is not known");
                    return;
                }
                objects.push((std::mem::take(&mut first), Vec::new()));
            }
            b'}' => {
                stream.consume(1);
                first.clear();
                if let Some((object, strings)) = objects.pop() {
                    take(&object, &strings, found);
                }
            }
            b';' | b',' => {
                stream.consume(1);
                first.clear();
            }
            _ => {
                let mut word = Vec::new();
                while let Some(byte) = stream.peek() {
                    if byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}' | b';' | b',' | b'"') {
                        break;
                    }
                    stream.consume(1);
                    if word.len() < 64 {
                        word.push(byte);
                    }
                }
                if first.is_empty() {
                    first = word;
                }
            }
        }
    }
}

fn binary(stream: &mut Stream<'_>, found: &mut Finding, float: u64) {
    let mut objects: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    let mut first: Vec<u8> = Vec::new();
    let mut word = [0; 2];
    let mut count = [0; 4];
    while stream.exactly(&mut word) {
        let token = u16::from_le_bytes(word);
        let length = match token {
            1..=3 | 6 | 7 => {
                if !stream.exactly(&mut count) {
                    return;
                }
                u64::from(u32::from_le_bytes(count))
            }
            5 => 16,
            _ => 0,
        };
        let complete = match token {
            1 | 2 => {
                let mut text = vec![0; usize::try_from(length).unwrap_or(0).min(found.limits.name + 1)];
                let complete = stream.exactly(&mut text) && stream.skip(length - text.len() as u64);
                if token == 1 && first.is_empty() {
                    first = text;
                } else if token == 2
                    && let Some((_, strings)) = objects.last_mut().filter(|(_, strings)| strings.len() < 2)
                {
                    strings.push(text);
                }
                complete
            }
            3 => true,
            5 => stream.skip(length),
            6 => stream.skip(length * 4),
            7 => stream.skip(length * float),
            0x0a => {
                if objects.len() >= found.limits.depth {
                    found.warn("the objects nest too deep; what follows is not known");
                    return;
                }
                objects.push((std::mem::take(&mut first), Vec::new()));
                true
            }
            0x0b => {
                first.clear();
                if let Some((object, strings)) = objects.pop() {
                    take(&object, &strings, found);
                }
                true
            }
            0x0c..=0x14 | 0x1f | 0x28..=0x34 => true,
            _ => {
                found.warn("a token of the DirectX mesh is not known; what follows is left out");
                return;
            }
        };
        if !complete {
            found.warn("the file is cut off");
            return;
        }
    }
}

/// A string with `\\` read as one: exporters differ in whether they double it.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        plain.push(*first);
        rest = &rest[if rest.starts_with(b"\\\\") { 2 } else { 1 }..];
    }
    plain
}
