//! LightWave scenes: the objects that they load and the images behind and before them.

use super::lwo::with_content_directory;
use super::stream::Stream;
use super::{Finding, Format, Reference};

/// One pass over the lines.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let room = found.limits.name + 64;
    let mut line = Vec::new();
    let mut first = true;
    while stream.peek().is_some() {
        line.clear();
        stream.take_past(b'\n', &mut line, room);
        let text = line.trim_ascii();
        if std::mem::take(&mut first) && text != b"LWSC" && text != b"LWMO" {
            found.warn("the content is no LightWave scene");
            return;
        }
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let (keyword, mut rest) = text.split_at(end);
        let (kind, expects) = match keyword {
            b"LoadObject" => ("lws:LoadObject", Some(Format::Lwo)),
            b"LoadObjectLayer" => {
                // A layer's number and, in newer scenes, an item's id of eight hexadecimal digits.
                rest = after_word(rest);
                let id = rest.trim_ascii_start().get(..8).unwrap_or_default();
                if id.len() == 8 && id.iter().all(u8::is_ascii_hexdigit) {
                    rest = after_word(rest);
                }
                ("lws:LoadObject", Some(Format::Lwo))
            }
            b"BGImage" | b"FGImage" | b"FGAlphaImage" | b"ProjectionImage" | b"FogImage" => {
                ("lws:Image", None)
            }
            _ => continue,
        };
        let name = rest.trim_ascii();
        if name.is_empty() || name == b"(none)" {
            continue;
        }
        found.extend(
            Reference::of_many(kind, with_content_directory(name)).map(|name| Reference { expects, ..name }),
        );
    }
}

fn after_word(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    &text[text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len())..]
}
