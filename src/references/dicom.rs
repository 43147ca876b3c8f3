//! DICOM: which series a file is a slice of, and which slice of it.
//!
//! A slice names no other file, and no file names a slice: that they belong together is told by a number that all slices of
//! a series hold. It stands among the first elements, long before the pixels, so a reader of the element headers alone finds
//! it: values are passed over unread, and neither a dictionary nor a crate for images is needed.
//!
//! Source: DICOM PS3.5, chapter 7 (elements, sequences) and PS3.10, chapter 7 (the head of a file).

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::Unreadable;
use super::stream::read_up_to;

/// A slice, as far as it tells where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slice {
    /// Series Instance UID: the same in all slices of a series, and in no other.
    pub series: String,
    /// SOP Instance UID: this slice and its copies.
    pub object: Option<String>,
    /// Instance Number: where it stands in its series, if that is told.
    pub number: Option<i64>,
}

/// What the head of a file tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sliced {
    /// It is a slice of this series.
    Of(Slice),
    /// It is of none, or does not tell; why, for a person.
    Unknown(&'static str),
}

/// What the head of a DICOM file tells of its series. Reads from the start, whatever the position is, and stops before the
/// pixels or after a bounded number of elements and bytes.
///
/// A file that is damaged, truncated or no DICOM at all is no error: it tells nothing.
///
/// # Errors
/// [`Unreadable`] if `source` fails.
pub fn slice<R: Read + Seek>(source: &mut R) -> Result<Sliced, Unreadable> {
    let length = source.seek(SeekFrom::End(0))?;
    source.rewind()?;
    let mut head = Head {
        source: BufReader::with_capacity(BUFFER, source),
        at: 0,
        length,
        elements: 0,
        series: None,
        object: None,
        number: None,
    };
    Ok(match head.read() {
        Ok(()) => head.told("its head tells no series"),
        Err(Stop::Enough) => head.told("its head tells no series"),
        Err(Stop::Odd(why)) => head.told(why),
        Err(Stop::Failed(failed)) => return Err(failed),
    })
}

/// How much is read at once: most heads fit in it.
const BUFFER: usize = 4 << 10;

/// How many elements are looked at, those inside of sequences included.
const ELEMENTS: usize = 65_536;

/// How deep sequences of undefined length may nest.
const DEPTH: usize = 64;

/// The longest value that is kept, in bytes: a UID has 64 at most.
const VALUE: u32 = 64;

const UNDEFINED: u32 = u32::MAX;

const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);
const TRANSFER_SYNTAX: Tag = Tag(0x0002, 0x0010);
const OBJECT: Tag = Tag(0x0008, 0x0018);
const SERIES: Tag = Tag(0x0020, 0x000e);
const NUMBER: Tag = Tag(0x0020, 0x0013);

/// Group and element. Elements stand in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tag(u16, u16);

/// How elements are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Lengths of four bytes, the least significant first, and no types.
    Implicit,
    /// With types, the least significant byte first.
    Little,
    /// With types, the most significant byte first. Retired, and still met.
    Big,
}

/// Why reading ended.
enum Stop {
    /// What follows tells nothing more.
    Enough,
    /// It is not as it should be; how, for a person.
    Odd(&'static str),
    Failed(Unreadable),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

struct Element {
    /// The type that is written down, if one is.
    kind: Option<[u8; 2]>,
    length: u32,
}

struct Head<R> {
    source: BufReader<R>,
    /// The position, and where the file ends.
    at: u64,
    length: u64,
    elements: usize,
    series: Option<String>,
    object: Option<String>,
    number: Option<i64>,
}

impl<R: Read + Seek> Head<R> {
    fn told(self, otherwise: &'static str) -> Sliced {
        let Self { series, object, number, .. } = self;
        series.map_or(Sliced::Unknown(otherwise), |series| Sliced::Of(Slice { series, object, number }))
    }

    fn read(&mut self) -> Result<(), Stop> {
        let mut start = [0; 132];
        let filled = read_up_to(&mut self.source, &mut start).map_err(Stop::Failed)?;
        self.at += filled as u64;
        if &start[128..] != b"DICM" {
            return Err(Stop::Odd("it does not begin as a DICOM file"));
        }
        let (writing, first) = self.meta()?;
        let mut next = Some(first);
        // For each sequence or item of undefined length that is open: how it is written.
        let mut open: Vec<Writing> = Vec::new();
        loop {
            let writing = open.last().copied().unwrap_or(writing);
            let tag = match next.take() {
                Some(bytes) => tag(bytes, writing),
                None if self.at >= self.length => return Ok(()),
                None => {
                    let mut bytes = [0; 4];
                    self.fill(&mut bytes)?;
                    tag(bytes, writing)
                }
            };
            let element = self.element(tag, writing)?;
            if open.is_empty() && (tag > NUMBER || tag.0 == 0xfffe) {
                return Err(Stop::Enough);
            }
            match (tag, element.length) {
                (ITEM_END | SEQUENCE_END, _) => drop(open.pop()),
                (_, UNDEFINED) => {
                    if open.len() >= DEPTH {
                        return Err(Stop::Odd("its sequences nest too deep"));
                    }
                    // What is of unknown type is written without types within (PS3.5, 6.2.2).
                    let is_unknown = element.kind == Some(*b"UN");
                    open.push(if is_unknown { Writing::Implicit } else { writing });
                }
                (OBJECT, length) if open.is_empty() => self.object = self.uid(length)?,
                (SERIES, length) if open.is_empty() => self.series = self.uid(length)?,
                (NUMBER, length) if open.is_empty() => {
                    self.number = self.text(length)?.and_then(|text| text.trim().parse().ok());
                    return Err(Stop::Enough);
                }
                (_, length) => self.pass(length)?,
            }
        }
    }

    /// The group that tells how the others are written: that, and the first tag behind it.
    fn meta(&mut self) -> Result<(Writing, [u8; 4]), Stop> {
        let mut writing = Writing::Implicit;
        loop {
            let mut bytes = [0; 4];
            self.fill(&mut bytes)?;
            let tag = tag(bytes, Writing::Little);
            if tag.0 != 0x0002 {
                return Ok((writing, bytes));
            }
            let element = self.element(tag, Writing::Little)?;
            if tag != TRANSFER_SYNTAX {
                self.pass(element.length)?;
                continue;
            }
            writing = match self.uid(element.length)?.as_deref() {
                Some("1.2.840.10008.1.2") | None => Writing::Implicit,
                Some("1.2.840.10008.1.2.2") => Writing::Big,
                Some("1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205") => {
                    return Err(Stop::Odd("its head is deflated, which is not read"));
                }
                // Whatever the pixels are packed with, the elements are written like this.
                Some(_) => Writing::Little,
            };
        }
    }

    /// What stands between a tag and its value.
    fn element(&mut self, tag: Tag, writing: Writing) -> Result<Element, Stop> {
        self.elements += 1;
        if self.elements > ELEMENTS {
            return Err(Stop::Odd("its head has too many elements"));
        }
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        // Items have no type.
        if writing == Writing::Implicit || tag.0 == 0xfffe {
            return Ok(Element { kind: None, length: number(bytes, writing) });
        }
        let [a, b, short @ ..] = bytes;
        let kind = [a, b];
        if !kind.iter().all(u8::is_ascii_uppercase) {
            return Err(Stop::Odd("its head is damaged"));
        }
        let length = match &kind {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT"
            | b"UV" => {
                self.fill(&mut bytes)?;
                number(bytes, writing)
            }
            _ if writing == Writing::Big => u32::from(u16::from_be_bytes(short)),
            _ => u32::from(u16::from_le_bytes(short)),
        };
        Ok(Element { kind: Some(kind), length })
    }

    /// A short value as text; none if there is nothing in it, or too much.
    fn text(&mut self, length: u32) -> Result<Option<String>, Stop> {
        if length > VALUE {
            self.pass(length)?;
            return Ok(None);
        }
        let mut bytes = [0; VALUE as usize];
        let value = &mut bytes[..length as usize];
        self.fill(value)?;
        // Values are padded to an even length, with a zero or a space.
        let text = String::from_utf8_lossy(value);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace());
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn uid(&mut self, length: u32) -> Result<Option<String>, Stop> {
        let text = self.text(length)?;
        Ok(text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic())))
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), Stop> {
        let filled = read_up_to(&mut self.source, into).map_err(Stop::Failed)?;
        self.at += filled as u64;
        if filled < into.len() { Err(Stop::Odd("it ends in the middle of its head")) } else { Ok(()) }
    }

    fn pass(&mut self, length: u32) -> Result<(), Stop> {
        self.at += u64::from(length);
        if self.at > self.length {
            return Err(Stop::Odd("it ends in the middle of its head"));
        }
        Ok(self.source.seek_relative(i64::from(length))?)
    }
}

fn tag([a, b, c, d]: [u8; 4], writing: Writing) -> Tag {
    match writing {
        Writing::Implicit | Writing::Little => Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
        Writing::Big => Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
    }
}

fn number(bytes: [u8; 4], writing: Writing) -> u32 {
    match writing {
        Writing::Implicit | Writing::Little => u32::from_le_bytes(bytes),
        Writing::Big => u32::from_be_bytes(bytes),
    }
}

#[cfg(test)]
mod tests;
