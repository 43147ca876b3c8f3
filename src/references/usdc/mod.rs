//! USD as a crate file: the asset paths among the values of its fields.
//!
//! Source: OpenUSD's `crateFile.cpp` and `crateDataTypes.h`, versions 0.0 to 0.12, checked against files that OpenUSD wrote. Only
//! the tables of tokens, strings and fields are unpacked; geometry stays where it is.

mod packed;
mod value;

use std::io::{Read, Seek, SeekFrom};

use super::stream::read_up_to;
use super::{Finding, Unreadable};

/// What crate files begin with.
pub(super) const MAGIC: &[u8] = b"PXR-USDC";

/// The most that a table may unpack to.
const LARGEST_TABLE: u64 = 128 << 20;

/// The most tokens that are looked at.
const MOST_TOKENS: usize = 4 << 20;

/// The most that a table of fields may hold.
const MOST_FIELDS: u64 = 4 << 20;

/// What can be wrong with a crate file.
#[derive(Debug)]
enum Damage {
    /// Its bytes do not make sense, or are more than is read.
    File(&'static str),
    /// The disk failed.
    Disk(Unreadable),
}

impl From<Unreadable> for Damage {
    fn from(error: Unreadable) -> Self {
        Self::Disk(error)
    }
}

impl From<std::io::Error> for Damage {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error.into())
    }
}

/// Reads the tables, then the values that can hold a path.
pub(super) fn read<R: Read + Seek>(source: &mut R, found: &mut Finding) -> Result<(), Unreadable> {
    match tables(source, found) {
        Ok(()) => Ok(()),
        Err(Damage::Disk(error)) => Err(error),
        Err(Damage::File(what)) => {
            found.warn(what);
            Ok(())
        }
    }
}

fn tables<R: Read + Seek>(source: &mut R, found: &mut Finding) -> Result<(), Damage> {
    let length = source.seek(SeekFrom::End(0))?;
    let mut file = File { source, length, version: (0, 0) };
    let mut head = [0; 24];
    file.exactly(0, &mut head)?;
    file.version = (head[8], head[9]);
    if file.version.0 != 0 || !head.starts_with(MAGIC) {
        return Err(Damage::File("the crate file is of a version that is not understood"));
    }
    let contents = number(&head[16..24]);
    let count = file.number(contents)?;
    let (mut tokens, mut strings, mut fields) = (None, None, None);
    for index in 0..count.min(64) {
        let mut section = [0; 32];
        file.exactly(contents.saturating_add(8 + index * 32), &mut section)?;
        let place = (number(&section[16..24]), number(&section[24..32]));
        match section[..16].split(|byte| *byte == 0).next().unwrap_or_default() {
            b"TOKENS" => tokens = Some(place),
            b"STRINGS" => strings = Some(place),
            b"FIELDS" => fields = Some(place),
            _ => {}
        }
    }
    let missing = Damage::File("the crate file has no table of tokens, strings or fields");
    let (Some(tokens), Some(strings), Some(fields)) = (tokens, strings, fields) else { return Err(missing) };
    let text = file.tokens(tokens)?;
    let tokens: Vec<&[u8]> = text.split(|byte| *byte == 0).take(MOST_TOKENS).collect();
    let strings = file.strings(strings)?;
    let fields = file.fields(fields)?;
    value::harvest(&mut file, &tokens, &strings, &fields, found)
}

struct File<'r, R> {
    source: &'r mut R,
    length: u64,
    version: (u8, u8),
}

impl<R: Read + Seek> File<'_, R> {
    fn exactly(&mut self, at: u64, into: &mut [u8]) -> Result<(), Damage> {
        self.source.seek(SeekFrom::Start(at.min(self.length)))?;
        if read_up_to(self.source, into)? < into.len() {
            return Err(Damage::File("the crate file is cut off"));
        }
        Ok(())
    }

    fn number(&mut self, at: u64) -> Result<u64, Damage> {
        let mut word = [0; 8];
        self.exactly(at, &mut word)?;
        Ok(number(&word))
    }

    fn word(&mut self, at: u64) -> Result<u32, Damage> {
        let mut word = [0; 4];
        self.exactly(at, &mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    /// `length` bytes at an offset, if the file has as many and a table may be as large.
    fn bytes(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Damage> {
        if length > LARGEST_TABLE || at.saturating_add(length) > self.length {
            return Err(Damage::File("a table of the crate file claims more than there is, or than is read"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.exactly(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The texts of all tokens, a NUL behind each.
    fn tokens(&mut self, (start, _): (u64, u64)) -> Result<Vec<u8>, Damage> {
        let unpacked = self.number(start.saturating_add(8))?;
        if self.version < (0, 4) {
            return self.bytes(start.saturating_add(16), unpacked);
        }
        let packed = self.number(start.saturating_add(16))?;
        let bytes = self.bytes(start.saturating_add(24), packed)?;
        packed::unpack(&bytes, unpacked.min(LARGEST_TABLE))
    }

    /// Which token each string is.
    fn strings(&mut self, (start, size): (u64, u64)) -> Result<Vec<u32>, Damage> {
        let count = self.number(start)?;
        let length = count.saturating_mul(4).min(size.saturating_sub(8));
        let bytes = self.bytes(start.saturating_add(8), length)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// The token that names each field, and its value.
    fn fields(&mut self, (start, _): (u64, u64)) -> Result<Vec<(u32, u64)>, Damage> {
        let count = self.number(start)?;
        if count > MOST_FIELDS {
            return Err(Damage::File("the crate file has more fields than are read"));
        }
        // An empty layer; what is packed then is not even a list.
        if count == 0 {
            return Ok(Vec::new());
        }
        let at = start.saturating_add(8);
        if self.version < (0, 4) {
            let bytes = self.bytes(at, count * 16)?;
            let field = |field: &[u8; 16]| {
                (u32::from_le_bytes([field[4], field[5], field[6], field[7]]), number(&field[8..]))
            };
            return Ok(bytes.as_chunks::<16>().0.iter().map(field).collect());
        }
        let packed = self.number(at)?;
        let names = packed::integers(&self.bytes(at.saturating_add(8), packed)?, count)?;
        let at = at.saturating_add(8).saturating_add(packed);
        let packed = self.number(at)?;
        let values = packed::unpack(&self.bytes(at.saturating_add(8), packed)?, count * 8)?;
        let values = values.as_chunks::<8>().0.iter().map(|value| u64::from_le_bytes(*value));
        Ok(names.into_iter().zip(values).collect())
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
