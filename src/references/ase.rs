//! 3ds Max ASCII export: the bitmaps of its maps.

use super::stream::Stream;
use super::{Finding, Reference, trimmed};

/// One pass over the lines.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let room = found.limits.name + 64;
    let mut line = Vec::new();
    let mut first = true;
    while stream.peek().is_some() {
        stream.skip_space();
        if std::mem::take(&mut first) && stream.peek() != Some(b'*') {
            found.warn("the content is no ASCII export of 3ds Max");
            return;
        }
        line.clear();
        stream.take_past(b'\n', &mut line, room);
        let Some(rest) = line.strip_prefix(b"*BITMAP") else { continue };
        if rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'"') {
            let name = trimmed(rest);
            if !name.eq_ignore_ascii_case(b"none") {
                found.push(Reference::new("ase:BITMAP", name));
            }
        }
    }
}
