//! COLLADA in a ZIP archive: what its documents name and the archive does not hold.
//!
//! Source: annex B of the COLLADA 1.5 specification, and PKWARE's APPNOTE for the archive, of which the directory at the end and
//! two ways of packing are read.

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};

use super::stream::{Stream, read_up_to};
use super::{Finding, Limits, Unreadable, collada};

/// How many entries of an archive are looked at.
const ENTRIES: usize = 20_000;

/// How many documents of an archive are read.
const DOCUMENTS: usize = 16;

/// The largest directory.
const LARGEST_DIRECTORY: u64 = 16 << 20;

struct Entry {
    name: Vec<u8>,
    method: u16,
    packed: u64,
    offset: u64,
}

/// Reads the directory, then the documents.
pub(super) fn read<R: Read + Seek>(source: &mut R, found: &mut Finding) -> Result<(), Unreadable> {
    let Some(entries) = entries(source)? else {
        found.warn("the content is no ZIP archive, or a damaged one");
        return Ok(());
    };
    let held: HashSet<Vec<u8>> = entries.iter().map(|entry| base(&entry.name).to_ascii_lowercase()).collect();
    let is_document = |entry: &&Entry| base(&entry.name).to_ascii_lowercase().ends_with(b".dae");
    for entry in entries.iter().filter(is_document).take(DOCUMENTS) {
        let mut header = [0; 30];
        source.seek(SeekFrom::Start(entry.offset))?;
        if read_up_to(source, &mut header)? < header.len() || !header.starts_with(b"PK\x03\x04") {
            found.warn("an entry of the archive is not where the directory says");
            continue;
        }
        let names = i64::try_from(number(&header[26..28]) + number(&header[28..30])).unwrap_or(0);
        source.seek(SeekFrom::Current(names))?;
        let packed = (&mut *source).take(entry.packed);
        let mut inner = Finding::new(found.limits);
        match entry.method {
            0 => document(packed, &found.limits, &mut inner)?,
            8 => document(flate2::read::DeflateDecoder::new(packed), &found.limits, &mut inner)?,
            _ => inner.warn("a document of the archive is packed in a way that is not understood"),
        }
        let inner = inner.done();
        inner.warnings.into_iter().for_each(|warning| found.warn(warning));
        let is_held = |name: &[u8]| held.contains(&base(name).to_ascii_lowercase());
        let is_outside = |name: &[u8]| {
            !is_held(name) && !is_held(&percent_encoding::percent_decode(name).collect::<Vec<u8>>())
        };
        found.extend(inner.names.into_iter().filter(|reference| is_outside(&reference.written)));
    }
    Ok(())
}

fn document(mut source: impl Read, limits: &Limits, found: &mut Finding) -> Result<(), Unreadable> {
    // All documents together may unpack to no more than one file.
    let limits = Limits { unpacked: limits.unpacked / DOCUMENTS as u64, ..*limits };
    let mut stream = Stream::unpacked(&mut source, &limits)?;
    collada::read(&mut stream, found);
    stream.finish_packed(found);
    Ok(())
}

/// The directory at the end of an archive.
fn entries<R: Read + Seek>(source: &mut R) -> Result<Option<Vec<Entry>>, Unreadable> {
    const END: usize = 22;
    let length = source.seek(SeekFrom::End(0))?;
    // A comment of up to 64 KiB may follow the record.
    let tail = length.min(END as u64 + 0xffff);
    source.seek(SeekFrom::Start(length - tail))?;
    let mut bytes = vec![0; usize::try_from(tail).unwrap_or(0)];
    read_up_to(source, &mut bytes)?;
    let end = bytes.windows(END).rposition(|window| window.starts_with(b"PK\x05\x06"));
    let Some(end) = end.and_then(|at| bytes.get(at..at + END)) else { return Ok(None) };
    let (size, offset) = (number(&end[12..16]), number(&end[16..20]));
    if size > LARGEST_DIRECTORY || offset.saturating_add(size) > length {
        return Ok(None);
    }
    source.seek(SeekFrom::Start(offset))?;
    let mut directory = vec![0; usize::try_from(size).unwrap_or(0)];
    read_up_to(source, &mut directory)?;
    let mut entries = Vec::new();
    let mut rest = &*directory;
    while let Some(header) = rest.get(..46).filter(|header| header.starts_with(b"PK\x01\x02")) {
        let [name, extra, comment] =
            [28, 30, 32].map(|at| usize::try_from(number(&header[at..at + 2])).unwrap_or(0));
        let Some(text) = rest.get(46..46 + name) else { break };
        if entries.len() >= ENTRIES {
            break;
        }
        entries.push(Entry {
            name: text.to_vec(),
            method: u16::from_le_bytes([header[10], header[11]]),
            packed: number(&header[20..24]),
            offset: number(&header[42..46]),
        });
        rest = rest.get(46 + name + extra + comment..).unwrap_or_default();
    }
    Ok(Some(entries))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn base(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default()
}
