//! Blender files, plain or compressed: images, libraries, sounds, fonts, movie clips, caches and volumes.
//!
//! Source: Blender's description of its file format. Where a field lies in a block is told by the file's own table of structures,
//! which comes last, so the few blocks that hold paths are kept until then; geometry is passed over.

mod dna;
mod frames;

use std::collections::HashMap;
use std::io::Read;

use super::stream::Stream;
use super::{Finding, Pattern, Reference, Unreadable};
use dna::{Dna, Field};

/// The most of one block that is kept; the largest that matters has a few kilobytes.
const LARGEST_BLOCK: u64 = 64 << 10;

/// The most of all blocks that is kept.
const LARGEST_BLOCKS: usize = 32 << 20;

/// The largest table of structures; Blender's own has about 150 KiB.
const LARGEST_TABLE: u64 = 2 << 20;

/// One pass over the blocks.
pub(super) fn read(source: &mut dyn Read, head: &[u8], found: &mut Finding) -> Result<(), Unreadable> {
    let limits = found.limits;
    if head.starts_with(&super::GZIP) {
        let mut unpacked = flate2::read::MultiGzDecoder::new(source);
        let mut stream = Stream::raw(&mut unpacked, limits.unpacked);
        blocks(&mut stream, found);
        stream.finish_packed(found);
        Ok(())
    } else if head.starts_with(&frames::MAGIC) {
        let mut unpacked = frames::Frames::new(source);
        let mut stream = Stream::raw(&mut unpacked, limits.unpacked);
        blocks(&mut stream, found);
        stream.finish_packed(found);
        Ok(())
    } else {
        let mut stream = Stream::raw(source, limits.bytes);
        blocks(&mut stream, found);
        stream.finish(found)
    }
}

/// How a file writes its numbers and block headers.
#[derive(Debug, Clone, Copy)]
struct Layout {
    pointer: usize,
    big: bool,
    header: Header,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    /// Code, length, old address, structure, count; four bytes each but the address.
    Classic,
    /// Blender 5: code, structure, old address, length, count, of which the last three have eight bytes.
    Large,
}

impl Layout {
    fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        if self.big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }
}

struct Block {
    kind: &'static str,
    structure: usize,
    bytes: Vec<u8>,
}

/// The blocks that hold a path, by their code.
fn kind(code: &[u8]) -> Option<&'static str> {
    Some(match code {
        b"IM\0\0" => "blend:image",
        b"LI\0\0" => "blend:library",
        b"SO\0\0" => "blend:sound",
        b"VF\0\0" => "blend:font",
        b"MC\0\0" => "blend:movieclip",
        b"CF\0\0" => "blend:cachefile",
        b"VO\0\0" => "blend:volume",
        _ => return None,
    })
}

fn layout(stream: &mut Stream<'_>) -> Option<Layout> {
    let mut head = [0; 12];
    if !stream.exactly(&mut head) || !head.starts_with(b"BLENDER") {
        return None;
    }
    match head[7] {
        b'_' | b'-' => Some(Layout {
            pointer: if head[7] == b'_' { 4 } else { 8 },
            big: head[8] == b'V',
            header: Header::Classic,
        }),
        // `BLENDER17-01v0500`: the length of this header, and the version of the format.
        b'1' if head[8] == b'7' && stream.skip(5) => {
            Some(Layout { pointer: 8, big: false, header: Header::Large })
        }
        _ => None,
    }
}

fn blocks(stream: &mut Stream<'_>, found: &mut Finding) {
    let Some(layout) = layout(stream) else {
        found.warn("the content is no Blender file, or of a version that is not understood");
        return;
    };
    let mut kept: Vec<Block> = Vec::new();
    let mut size = 0;
    let mut table: Option<Vec<u8>> = None;
    let mut header = [0; 32];
    let width = match layout.header {
        Header::Classic => 16 + layout.pointer,
        Header::Large => 32,
    };
    loop {
        if !stream.exactly(&mut header[..width]) {
            // Old versions end with the code of the last block and nothing behind it.
            if !header.starts_with(b"ENDB") {
                found.warn("the file is cut off");
            }
            break;
        }
        let code = &header[..4];
        if code == b"ENDB" {
            break;
        }
        let (length, structure) = match layout.header {
            Header::Classic => {
                let at = 8 + layout.pointer;
                (layout.number(&header[4..8]), layout.number(&header[at..at + 4]))
            }
            Header::Large => (layout.number(&header[16..24]), layout.number(&header[4..8])),
        };
        let (most, is_table) = match kind(code) {
            _ if code == b"DNA1" => (LARGEST_TABLE, true),
            Some(_) if size < LARGEST_BLOCKS && kept.len() < found.limits.references => {
                (LARGEST_BLOCK, false)
            }
            Some(_) | None => (0, false),
        };
        let take = length.min(most);
        let mut bytes = Vec::new();
        if !take_exactly(stream, take, &mut bytes) || !stream.skip(length - take) {
            found.warn("the file is cut off");
            break;
        }
        if is_table {
            table = Some(bytes);
        } else if let Some(kind) = kind(code).filter(|_| take > 0) {
            size += bytes.len();
            kept.push(Block { kind, structure: usize::try_from(structure).unwrap_or(usize::MAX), bytes });
        }
    }
    match table.as_deref().and_then(|table| Dna::read(table, layout)) {
        Some(dna) => {
            // Many blocks share a structure, and a lying table may give it any number of fields.
            let mut known = HashMap::new();
            for block in &kept {
                let fields = known.entry(block.structure).or_insert_with(|| dna.fields(block.structure));
                if let Some(fields) = fields {
                    found.extend(reference(block, fields, dna.layout));
                }
            }
        }
        None if kept.is_empty() => {}
        None => found.warn("the table of structures is missing or damaged: what the file names is not known"),
    }
}

/// Adds `length` bytes, growing only as far as they are there.
fn take_exactly(stream: &mut Stream<'_>, length: u64, into: &mut Vec<u8>) -> bool {
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    while left > 0 {
        let shown = stream.fill();
        if shown.is_empty() {
            return false;
        }
        let step = shown.len().min(left);
        into.extend_from_slice(&shown[..step]);
        stream.consume(step);
        left -= step;
    }
    true
}

const SEQUENCE: u64 = 2;
const GENERATED: u64 = 4;
const VIEWER: u64 = 5;
const TILED: u64 = 6;

fn reference(block: &Block, fields: &HashMap<&str, Field>, layout: Layout) -> Option<Reference> {
    let number = |name: &str| {
        let field = fields.get(name)?;
        Some(layout.number(block.bytes.get(field.offset..field.offset + field.size.min(8))?))
    };
    // The path was called `name` until it was called `filepath`; while there are both, `filepath` is where it was found last.
    let path = ["name", "filepath"].into_iter().find_map(|name| fields.get(name))?;
    let path = block.bytes.get(path.offset..path.offset + path.size)?;
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    // `<builtin>` is the font that Blender brings along.
    if path.is_empty() || path.starts_with(b"<builtin") {
        return None;
    }
    let source = if block.kind == "blend:image" { number("source").unwrap_or(0) } else { 0 };
    let pattern = match source {
        GENERATED | VIEWER => return None,
        SEQUENCE => Pattern::Frames,
        TILED => Pattern::Tiles,
        _ if block.kind == "blend:volume" && number("is_sequence").unwrap_or(0) != 0 => Pattern::Frames,
        _ => Pattern::Plain,
    };
    let reference = Reference::new(block.kind, path).pattern(pattern);
    let packed = ["packedfile", "packedfiles"].into_iter().any(|name| {
        // Of a list, its first link.
        fields
            .get(name)
            .and_then(|field| block.bytes.get(field.offset..field.offset + layout.pointer))
            .is_some_and(|pointer| pointer.iter().any(|byte| *byte != 0))
    });
    Some(if packed { reference.embedded() } else { reference })
}

#[cfg(test)]
mod tests;
