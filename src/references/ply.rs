//! PLY: the textures that the comments of the header name, as MeshLab and photogrammetry programs write them.

use super::stream::Stream;
use super::{Finding, Pattern, Reference, trimmed};

/// How many lines a header may have.
const LINES: usize = 10_000;

/// The header, and nothing behind it.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let room = found.limits.name + 64;
    let mut line = Vec::new();
    for number in 0..LINES {
        line.clear();
        // Old exporters end lines with a carriage return alone.
        if !take_line(stream, &mut line, room) && line.is_empty() {
            break;
        }
        let text = line.trim_ascii();
        if number == 0 && text != b"ply" {
            found.warn("the content is no PLY: it does not begin with `ply`");
            return;
        }
        if text == b"end_header" {
            return;
        }
        let Some(comment) = text.strip_prefix(b"comment").or_else(|| text.strip_prefix(b"obj_info")) else {
            continue;
        };
        let comment = comment.trim_ascii();
        let key = comment.get(..b"TextureFile".len()).unwrap_or_default();
        let rest = comment.get(b"TextureFile".len()..).unwrap_or_default();
        if key.eq_ignore_ascii_case(b"TextureFile") && rest.first().is_some_and(u8::is_ascii_whitespace) {
            let name = trimmed(rest);
            // MeshLab writes `<this>` for the stem of the file itself.
            found.push(match name.strip_prefix(b"<this>") {
                Some(rest) => Reference::new("ply:TextureFile", rest).pattern(Pattern::Beside),
                None => Reference::new("ply:TextureFile", name),
            });
        }
    }
    found.warn("the header does not end");
}

fn take_line(stream: &mut Stream<'_>, line: &mut Vec<u8>, room: usize) -> bool {
    while let Some(byte) = stream.next() {
        match byte {
            b'\n' => return true,
            b'\r' => {
                if stream.peek() == Some(b'\n') {
                    stream.consume(1);
                }
                return true;
            }
            _ if line.len() < room => line.push(byte),
            _ => {}
        }
    }
    false
}
