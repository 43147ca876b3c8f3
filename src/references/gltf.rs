//! glTF 1 and 2, as JSON and as one binary file: the URIs of buffers, images and shaders, also inside extensions.
//!
//! Source: the glTF 1.0 and 2.0 specifications of Khronos, and `KHR_binary_glTF` for binary files of version 1. Any object may
//! hold a `uri`, so that extensions are heard that are not known yet; `extras` belong to applications and are not.

use std::io::{Read, Seek};

use super::json::{Event, Json};
use super::stream::Stream;
use super::{Finding, Reference, Unreadable};

/// glTF as JSON.
pub(super) fn read_text(stream: &mut Stream<'_>, found: &mut Finding) {
    stream.skip_space();
    if stream.peek() != Some(b'{') {
        found.warn("the content is no glTF: it does not begin with an object");
        return;
    }
    scan(stream, found, Packing::Loose);
}

/// glTF in one binary file: only its JSON is read.
pub(super) fn read_binary<R: Read + Seek>(source: &mut R, found: &mut Finding) -> Result<(), Unreadable> {
    let limits = found.limits;
    let mut stream = Stream::raw(source, limits.bytes);
    let mut header = [0; 20];
    let complete = stream.exactly(&mut header);
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if !complete || &header[..4] != b"glTF" {
        found.warn("the content is no binary glTF");
        return stream.finish(found);
    }
    let (version, length, mark) = (word(4), word(12), word(16));
    let packing = match version {
        // In version 1 the mark is the format of the content, and 0 is JSON.
        1 if mark == 0 => Packing::Binary1,
        2 if mark == u32::from_le_bytes(*b"JSON") => Packing::Loose,
        _ => {
            found.warn(format!("binary glTF of version {version} without JSON in front is not understood"));
            return stream.finish(found);
        }
    };
    {
        let mut json = AtMost { stream: &mut stream, left: length.into() };
        let mut inner = Stream::text(&mut json, &limits)?;
        scan(&mut inner, found, packing);
        inner.finish(found)?;
    }
    stream.finish(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// What has a `uri` lies outside.
    Loose,
    /// Version 1 in a binary file: what is inside keeps a `uri` that must be ignored.
    Binary1,
}

/// A name, the depth of the object that holds it, and the list it belongs to.
struct Pending {
    depth: usize,
    reference: Reference,
}

/// How many names may wait for the end of their object; no sane object has more than one.
const PENDING: usize = 64;

fn scan(stream: &mut Stream<'_>, found: &mut Finding, packing: Packing) {
    let mut json = Json::new(stream, found.limits.depth, found.limits.name);
    let mut pending: Vec<Pending> = Vec::new();
    let mut inside: Option<usize> = None;
    while let Some(event) = json.next() {
        let depth = json.stack.len();
        match event {
            Event::Text(text) => {
                let stack = &json.stack;
                let Some(level) = stack.last() else { continue };
                let is_uri = matches!(&*level.key, b"uri" | b"schemaUri");
                if !is_uri || stack.iter().any(|level| level.key == b"extras") {
                    continue;
                }
                let list = |level: usize| stack.get(level).map_or(&b""[..], |level| &level.key);
                if packing == Packing::Binary1 && list(0) == b"buffers" && list(1) == b"binary_glTF" {
                    continue;
                }
                let kind = match list(0) {
                    b"buffers" => "gltf:buffer",
                    b"images" => "gltf:image",
                    b"shaders" => "gltf:shader",
                    _ => "gltf:extension",
                };
                let reference = Reference::new(kind, text);
                if pending.len() < PENDING {
                    pending.push(Pending { depth, reference });
                } else {
                    found.push(reference);
                }
            }
            Event::Open => {
                // {"uri": …, "extensions": {"KHR_binary_glTF": {"bufferView": …}}}: two levels further out.
                let holder = depth.checked_sub(2).and_then(|level| json.stack.get(level));
                if packing == Packing::Binary1 && holder.is_some_and(|level| level.key == b"KHR_binary_glTF")
                {
                    inside = Some(depth.saturating_sub(2));
                }
            }
            Event::Close => {
                let is_inside = inside == Some(depth);
                if is_inside {
                    inside = None;
                }
                while pending.last().is_some_and(|last| last.depth >= depth) {
                    let Some(Pending { reference, .. }) = pending.pop() else { break };
                    if !is_inside {
                        found.push(reference);
                    }
                }
            }
        }
    }
    if json.too_deep {
        found.warn("the JSON nests too deep; what follows is not known");
    }
    for Pending { reference, .. } in pending {
        found.push(reference);
    }
}

/// The next bytes of a stream, up to a number.
struct AtMost<'s, 'a> {
    stream: &'s mut Stream<'a>,
    left: u64,
}

impl Read for AtMost<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let shown = self.stream.fill();
        let length = shown.len().min(into.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        into[..length].copy_from_slice(&shown[..length]);
        self.stream.consume(length);
        self.left -= length as u64;
        Ok(length)
    }
}
