//! LightWave objects, LWOB, LWO2 and LWO3: still images, sequences and movies.
//!
//! Source: the LightWave SDK's description of its object files. Paths are relative to a content directory, which is the parent
//! of the one that holds the objects, unless the object lies beside its images.

use std::io::{BufReader, Read, Seek};

use super::stream::read_up_to;
use super::{Finding, Pattern, Reference, Unreadable};

/// One walk over the chunks.
pub(super) fn read<R: Read + Seek>(source: &mut R, found: &mut Finding) -> Result<(), Unreadable> {
    let mut source = BufReader::with_capacity(4 << 10, source);
    let mut header = [0; 12];
    if read_up_to(&mut source, &mut header)? < header.len() || &header[..4] != b"FORM" {
        found.warn("the content is no LightWave object");
        return Ok(());
    }
    let nested = match &header[8..] {
        b"LWOB" | b"LWLO" => return surfaces(&mut source, found),
        b"LWO2" | b"LXOB" => false,
        b"LWO3" => true,
        _ => {
            found.warn("the content is no LightWave object");
            return Ok(());
        }
    };
    while let Some((tag, size)) = chunk(&mut source)? {
        match &tag {
            // LWO3 holds its chunks in forms; reading on behind the header enters them.
            b"FORM" if nested => drop(read_up_to(&mut source, &mut [0; 4])?),
            b"STIL" if nested => still(&content(&mut source, size)?, found),
            b"CLIP" => clip(&content(&mut source, size)?, found),
            _ => pass(&mut source, size)?,
        }
    }
    Ok(())
}

/// A clip: an index, then what it shows.
fn clip(bytes: &[u8], found: &mut Finding) {
    let mut rest = bytes.get(4..).unwrap_or_default();
    while let [a, b, c, d, high, low, after @ ..] = rest {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let content = after.get(..size).unwrap_or(after);
        match &[*a, *b, *c, *d] {
            b"STIL" => still(content, found),
            b"STCC" => still(content.get(4..).unwrap_or_default(), found),
            b"ANIM" => name("lwo:ANIM", text(content), found),
            b"ISEQ" => sequence(content, found),
            _ => {}
        }
        rest = after.get(size + size % 2..).unwrap_or_default();
    }
}

fn still(content: &[u8], found: &mut Finding) {
    name("lwo:STIL", text(content), found);
}

/// Digits, flags, offset, a reserved word, first and last frame, then what stands before and behind the number.
fn sequence(content: &[u8], found: &mut Finding) {
    let (Some(digits), Some(rest)) = (content.first(), content.get(12..)) else { return };
    let first = content.get(6..8).map_or(0, |bytes| i16::from_be_bytes([bytes[0], bytes[1]]));
    let before = text(rest);
    let behind = text(rest.get((before.len() + 2) & !1..).unwrap_or_default());
    let number = format!("{:0width$}", first.max(0), width = usize::from(*digits).min(9));
    let written = [before, number.as_bytes(), behind].concat();
    found.push(Reference::new("lwo:ISEQ", written).pattern(Pattern::Frames));
}

/// The surfaces of the first version, whose texture and reflection images are named in sub-chunks.
fn surfaces<R: Read + Seek>(source: &mut BufReader<R>, found: &mut Finding) -> Result<(), Unreadable> {
    while let Some((tag, size)) = chunk(source)? {
        if &tag != b"SURF" {
            pass(source, size)?;
            continue;
        }
        let bytes = content(source, size)?;
        let mut rest = bytes.get((text(&bytes).len() + 2) & !1..).unwrap_or_default();
        while let [a, b, c, d, high, low, after @ ..] = rest {
            let size = usize::from(u16::from_be_bytes([*high, *low]));
            let content = after.get(..size).unwrap_or(after);
            if matches!(&[*a, *b, *c, *d], b"TIMG" | b"RIMG" | b"CTIM" | b"BIMG") {
                let image = text(content);
                match image.strip_suffix(b" (sequence)") {
                    Some(_) => {}
                    None if image == b"(none)" => {}
                    None => name("lwo:TIMG", image, found),
                }
            }
            rest = after.get(size + size % 2..).unwrap_or_default();
        }
    }
    Ok(())
}

fn name(kind: &'static str, written: &[u8], found: &mut Finding) {
    found.extend(Reference::of_many(kind, with_content_directory(written)));
}

/// A path as it stands, and as seen from the content directory.
pub(super) fn with_content_directory(written: &[u8]) -> Vec<Vec<u8>> {
    let mut names = vec![written.to_vec()];
    let is_relative = !written.contains(&b':') && !matches!(written.first(), Some(b'/' | b'\\'));
    if is_relative && !written.starts_with(b"..") && written.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
        names.push([b"../", written].concat());
    }
    names
}

fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn chunk<R: Read>(source: &mut R) -> Result<Option<([u8; 4], u32)>, Unreadable> {
    let mut header = [0; 8];
    if read_up_to(source, &mut header)? < header.len() {
        return Ok(None);
    }
    let [a, b, c, d, size @ ..] = header;
    Ok(Some(([a, b, c, d], u32::from_be_bytes(size))))
}

/// The content of a small chunk; of a large one its beginning.
fn content<R: Read + Seek>(source: &mut BufReader<R>, size: u32) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = vec![0; size.min(64 << 10) as usize];
    let length = read_up_to(source, &mut bytes)?;
    bytes.truncate(length);
    source.seek_relative(i64::from(size) + i64::from(size % 2) - length as i64)?;
    Ok(bytes)
}

fn pass<R: Read + Seek>(source: &mut BufReader<R>, size: u32) -> Result<(), Unreadable> {
    Ok(source.seek_relative(i64::from(size) + i64::from(size % 2))?)
}
