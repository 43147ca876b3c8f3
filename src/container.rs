//! Does a file look finished? A few formats say how long they are or how they end; a look at both ends of the file is enough.
//!
//! An answer of "unfinished" only ever lengthens settling. What does not begin as its format does is not judged: the cloud knows
//! better than we do what it can convert. Bytes in, verdict out; knows no disk and no clock.

use crate::file::RelPath;

/// A format that tells whether a file of it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Binary glTF: its header holds the length of the file.
    Glb,
    /// glTF: an object of JSON, which ends as it began.
    Gltf,
    /// A ZIP archive (USDZ, 3MF, ZAE): its directory stands at the end.
    Zip,
    /// PNG ends with the chunk `IEND`.
    Png,
    /// JPEG ends with the marker FF D9.
    Jpeg,
    /// LAS: its header counts points of one length. (Compressed points, LAZ, do not tell.)
    Las,
    /// IFC as a STEP file ends with `END-ISO-10303-21;`.
    Ifc,
}

/// The two ends of a file.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// How many bytes the file has.
    pub size: u64,
    /// Its first bytes.
    pub head: &'a [u8],
    /// Its last bytes; they overlap the first in a short file.
    pub tail: &'a [u8],
}

/// How much of a glTF is read to see whether its brackets close. A larger one is judged by its last byte.
const WHOLE_JSON: usize = 4 << 20;

/// The longest comment of a ZIP archive, and the record before it (APPNOTE.TXT 4.3.16).
const ZIP_END: usize = 65_535 + 22;

impl Container {
    /// What the name of a file promises.
    #[must_use]
    pub fn of(path: &RelPath) -> Option<Self> {
        match path.extension()?.as_str() {
            "glb" => Some(Self::Glb),
            "gltf" => Some(Self::Gltf),
            "usdz" | "3mf" | "zae" => Some(Self::Zip),
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "las" => Some(Self::Las),
            "ifc" => Some(Self::Ifc),
            _ => None,
        }
    }

    /// How many bytes of the beginning and of the end it takes to judge.
    #[must_use]
    pub const fn reach(self) -> (usize, usize) {
        match self {
            Self::Glb => (12, 0),
            Self::Gltf => (WHOLE_JSON, 64),
            Self::Zip => (4, ZIP_END),
            // Some tools append to an image what is no part of it.
            Self::Png | Self::Jpeg => (8, 64 << 10),
            Self::Las => (375, 0),
            Self::Ifc => (64, 4 << 10),
        }
    }

    /// What is unfinished about a file with these ends, in words for a person; nothing if it looks whole or cannot be judged.
    #[must_use]
    pub fn unfinished(self, ends: &Ends<'_>) -> Option<String> {
        if !ends.head.is_empty() && ends.head.iter().all(|byte| *byte == 0) {
            return Some("it begins with zeros, as a file does whose room was only set aside".to_owned());
        }
        match self {
            Self::Glb => glb(ends),
            Self::Gltf => gltf(ends),
            Self::Zip => zip(ends),
            Self::Png => {
                let is_cut =
                    ends.head.starts_with(b"\x89PNG\r\n\x1a\n") && !holds(ends.tail, b"IEND\xaeB`\x82");
                is_cut.then(|| "the end of the PNG is missing".to_owned())
            }
            Self::Jpeg => {
                let is_cut = ends.head.starts_with(b"\xff\xd8\xff") && !holds(ends.tail, b"\xff\xd9");
                is_cut.then(|| "the end of the JPEG is missing".to_owned())
            }
            Self::Las => las(ends),
            Self::Ifc => {
                let begins = text(ends.head).starts_with(b"ISO-10303-21");
                let is_cut = begins && !holds(ends.tail, b"END-ISO-10303-21");
                is_cut.then(|| "the line END-ISO-10303-21 is missing".to_owned())
            }
        }
    }
}

fn glb(ends: &Ends<'_>) -> Option<String> {
    let length = number(ends.head.get(8..12)?);
    // Trailing bytes do no harm; a length of nothing is filled in last.
    let is_cut = ends.head.starts_with(b"glTF") && (length < 12 || ends.size < length);
    is_cut.then(|| format!("it says that it has {length} bytes and has {}", ends.size))
}

fn gltf(ends: &Ends<'_>) -> Option<String> {
    let json = text(ends.head);
    if !json.starts_with(b"{") {
        return None;
    }
    let last = ends.tail.iter().rev().find(|byte| !byte.is_ascii_whitespace());
    let closes = last == Some(&b'}') && (ends.size > ends.head.len() as u64 || is_balanced(json));
    (!closes).then(|| "its JSON does not close".to_owned())
}

/// Whether every bracket outside of strings is closed, the first one by the last.
fn is_balanced(json: &[u8]) -> bool {
    let (mut open, mut in_string, mut escaped) = (Vec::new(), false, false);
    for byte in json {
        match (in_string, *byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'{') => open.push(b'}'),
            (false, b'[') => open.push(b']'),
            (false, closing @ (b'}' | b']')) => {
                if open.pop() != Some(closing) {
                    return false;
                }
            }
            (false, _) => {}
        }
    }
    open.is_empty() && !in_string
}

/// The last record of an archive tells where its directory is (APPNOTE.TXT 4.3.16).
fn zip(ends: &Ends<'_>) -> Option<String> {
    if !ends.head.starts_with(b"PK\x03\x04") {
        return None;
    }
    let is_end = |at: &usize| ends.tail[*at..].starts_with(b"PK\x05\x06");
    let told = || {
        let at = (0..ends.tail.len().saturating_sub(21)).rev().find(is_end)?;
        let record = &ends.tail[at..];
        let (size, offset) = (number(record.get(12..16)?), number(record.get(16..20)?));
        // ZIP64 tells them elsewhere.
        Some(size + offset <= ends.size || size == u64::from(u32::MAX) || offset == u64::from(u32::MAX))
    };
    (!told().unwrap_or(false)).then(|| "the directory at the end of the archive is missing".to_owned())
}

/// The public header block of LAS 1.0 to 1.4 (ASPRS, R15): where the points begin, how long each is and how many there are.
fn las(ends: &Ends<'_>) -> Option<String> {
    let head = ends.head;
    if !head.starts_with(b"LASF") {
        return None;
    }
    let Some(fixed) = head.get(..227) else {
        return Some("its header is cut short".to_owned());
    };
    let (minor, format) = (fixed[25], fixed[104]);
    if format & 0xc0 != 0 {
        return None;
    }
    let (begin, length) = (number(&fixed[96..100]), number(&fixed[105..107]));
    let count = match number(&fixed[107..111]) {
        0 if minor >= 4 => number(head.get(247..255)?),
        count => count,
    };
    let needed = begin.saturating_add(length.saturating_mul(count));
    (ends.size < needed).then(|| {
        format!("its header counts {count} points, for which {needed} bytes are needed; it has {}", ends.size)
    })
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// Text without what may stand before it.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests;
