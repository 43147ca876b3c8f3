//! Bytes of text as they come, in one buffer: what the readers of text formats are written on.
//!
//! It counts what it reads, turns UTF-16 into UTF-8, and makes an end of the file out of everything that stops it; why it
//! ended is told at the finish. So the readers are loops without error paths.

use std::io::{self, BufRead as _, Cursor, Read};

use super::{Finding, Limits, Unreadable};

/// How much is read at once.
const ROOM: usize = 64 << 10;

/// Bytes of text as they come.
pub(super) struct Stream<'a> {
    source: Box<dyn Read + 'a>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    left: u64,
    ending: Option<Ending>,
}

enum Ending {
    Reached,
    OverLimit,
    Failed(io::Error),
}

impl<'a> Stream<'a> {
    /// Text in UTF-8, in any single-byte encoding, or in UTF-16 (told by its mark, or by the zeros between ASCII).
    pub(super) fn text(source: &'a mut dyn Read, limits: &Limits) -> Result<Self, Unreadable> {
        Self::new(source, limits.bytes)
    }

    /// The same out of a decompressor: errors are left for the finish.
    pub(super) fn unpacked(source: &'a mut dyn Read, limits: &Limits) -> Result<Self, Unreadable> {
        Self::new(source, limits.unpacked).or_else(|error| {
            let failed = io::Error::new(io::ErrorKind::InvalidData, error.0);
            Ok(Self::over(Box::new(io::empty()), 0, Some(Ending::Failed(failed))))
        })
    }

    fn new(source: &'a mut dyn Read, limit: u64) -> Result<Self, Unreadable> {
        let mut head = [0; 4];
        let length = read_up_to(source, &mut head)?;
        let order = match head[..length] {
            [0xff, 0xfe, ..] | [1..=0x7f, 0, 1..=0x7f, 0] => Some(Order::Little),
            [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f] => Some(Order::Big),
            _ => None,
        };
        let skip = if head.starts_with(b"\xef\xbb\xbf") {
            3
        } else if matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            2
        } else {
            0
        };
        let whole = Cursor::new(head[skip.min(length)..length].to_vec()).chain(source);
        Ok(match order {
            Some(order) => Self::over(Box::new(Utf16 { source: whole, order, high: None }), limit, None),
            None => Self::over(Box::new(whole), limit, None),
        })
    }

    /// Bytes as they are: no mark is looked for.
    pub(super) fn raw(source: &'a mut dyn Read, limit: u64) -> Self {
        Self::over(Box::new(source), limit, None)
    }

    fn over(source: Box<dyn Read + 'a>, left: u64, ending: Option<Ending>) -> Self {
        Self { source, buffer: vec![0; ROOM].into(), start: 0, end: 0, left, ending }
    }

    /// What is there to be looked at: empty only at the end.
    pub(super) fn fill(&mut self) -> &[u8] {
        while self.start == self.end && self.ending.is_none() {
            if self.left == 0 {
                self.ending = Some(Ending::OverLimit);
                break;
            }
            let room = usize::try_from(self.left).unwrap_or(ROOM).min(ROOM);
            match self.source.read(&mut self.buffer[..room]) {
                Ok(0) => self.ending = Some(Ending::Reached),
                Ok(length) => (self.start, self.end, self.left) = (0, length, self.left - length as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.ending = Some(Ending::Failed(error)),
            }
        }
        &self.buffer[self.start..self.end]
    }

    /// Goes on behind the next `length` bytes of what [`Stream::fill`] showed.
    pub(super) fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
    }

    /// Goes back by the byte that was read last. (It is still in the buffer: reading begins a new one only when it is empty.)
    pub(super) fn push_back(&mut self, byte: u8) {
        if let Some(before) = self.start.checked_sub(1) {
            self.start = before;
            self.buffer[before] = byte;
        }
    }

    /// The next byte, left where it is.
    pub(super) fn peek(&mut self) -> Option<u8> {
        if self.start == self.end {
            return self.fill().first().copied();
        }
        self.buffer.get(self.start).copied()
    }

    /// The next byte.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.start += 1;
        Some(byte)
    }

    /// Goes on behind the next `stop`, or to the end.
    pub(super) fn skip_past(&mut self, stop: u8) {
        self.take_past(stop, &mut Vec::new(), 0);
    }

    /// Goes on behind the next `stop`; what stands before it is added to `into`, up to `room` bytes in all.
    /// Says whether there was one.
    pub(super) fn take_past(&mut self, stop: u8, into: &mut Vec<u8>, room: usize) -> bool {
        loop {
            let shown = self.fill();
            if shown.is_empty() {
                return false;
            }
            // `skip_until` finds the byte as fast as the standard library can.
            let mut rest = shown;
            let passed = rest.skip_until(stop).unwrap_or(shown.len());
            let found = passed > 0 && shown[passed - 1] == stop;
            let text = if found { passed - 1 } else { passed };
            let fits = room.saturating_sub(into.len()).min(text);
            into.extend_from_slice(&shown[..fits]);
            self.consume(passed);
            if found {
                return true;
            }
        }
    }

    /// Goes on behind the next `length` bytes; says whether there were as many.
    pub(super) fn skip(&mut self, mut length: u64) -> bool {
        while length > 0 {
            let shown = self.fill().len();
            if shown == 0 {
                return false;
            }
            let step = usize::try_from(length).unwrap_or(shown).min(shown);
            self.consume(step);
            length -= step as u64;
        }
        true
    }

    /// Fills `into` whole, or says that there is not as much.
    pub(super) fn exactly(&mut self, into: &mut [u8]) -> bool {
        let mut filled = 0;
        while filled < into.len() {
            let shown = self.fill();
            if shown.is_empty() {
                return false;
            }
            let step = shown.len().min(into.len() - filled);
            into[filled..filled + step].copy_from_slice(&shown[..step]);
            self.consume(step);
            filled += step;
        }
        true
    }

    /// Goes on behind white space.
    pub(super) fn skip_space(&mut self) {
        loop {
            let shown = self.fill();
            let spaces = shown.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let all = spaces == shown.len();
            self.consume(spaces);
            if !all || spaces == 0 {
                return;
            }
        }
    }

    /// Goes on behind spaces and tabs.
    pub(super) fn skip_blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.consume(1);
        }
    }

    /// Takes the rest of the line into `line`, up to `room` bytes, with the lines that a backslash at its end continues.
    pub(super) fn take_logical_line(&mut self, line: &mut Vec<u8>, room: usize) {
        line.clear();
        loop {
            let ended = self.take_past(b'\n', line, room);
            let text = line.trim_ascii_end().len();
            // A backslash before a line's end is a separator only if a name ended with one, and none does.
            if ended && line.len() < room && text > 0 && line[text - 1] == b'\\' {
                line.truncate(text - 1);
                line.push(b' ');
                continue;
            }
            return;
        }
    }

    /// Tells why it ended, if not because the file did.
    pub(super) fn finish(self, found: &mut Finding) -> Result<(), Unreadable> {
        match self.ending {
            Some(Ending::Failed(error)) => Err(error.into()),
            Some(Ending::OverLimit) => {
                found.warn("the file is larger than may be read; what follows is not known");
                Ok(())
            }
            Some(Ending::Reached) | None => Ok(()),
        }
    }

    /// As [`Stream::finish`], for bytes that come out of a decompressor.
    pub(super) fn finish_packed(self, found: &mut Finding) {
        if let Err(error) = self.finish(found) {
            found.warn(format!("the compressed content is damaged: {}", error.0));
        }
    }
}

/// Reads until `into` is full or the source ends, and says how much that was.
pub(super) fn read_up_to(source: &mut dyn Read, into: &mut [u8]) -> Result<usize, Unreadable> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// UTF-16 read as UTF-8; a lone surrogate becomes U+FFFD.
struct Utf16<R> {
    source: R,
    order: Order,
    high: Option<u16>,
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // A unit becomes at most three bytes, a lone high surrogate before it three more.
        let mut raw = [0; 4096];
        let units = (into.len() / 6).min(raw.len() / 2);
        if units == 0 {
            return Ok(0);
        }
        let length =
            read_up_to(&mut self.source, &mut raw[..units * 2]).map_err(|e| io::Error::other(e.0))?;
        let mut text = String::new();
        for pair in raw[..length].chunks(2) {
            let pair = [pair[0], pair.get(1).copied().unwrap_or(0)];
            let unit = match self.order {
                Order::Little => u16::from_le_bytes(pair),
                Order::Big => u16::from_be_bytes(pair),
            };
            if (0xd800..0xdc00).contains(&unit) {
                if self.high.replace(unit).is_some() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                continue;
            }
            let units: Vec<u16> = self.high.take().into_iter().chain([unit]).collect();
            text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
        if text.is_empty() && length > 0 {
            // Only half of a pair so far.
            return self.read(into);
        }
        into[..text.len()].copy_from_slice(text.as_bytes());
        Ok(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<u8> {
        let mut source = bytes;
        let mut stream = Stream::text(&mut source, &Limits::default()).unwrap();
        let mut text = Vec::new();
        while let Some(byte) = stream.next() {
            text.push(byte);
        }
        text
    }

    #[test]
    fn utf16_is_read_as_utf8_with_and_without_a_mark() {
        let units: Vec<u16> = "mtllib ä😂.mtl".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [&little, &big, &[b"\xff\xfe", &little[..]].concat(), &[b"\xfe\xff", &big[..]].concat()]
        {
            assert_eq!(all(bytes), "mtllib ä😂.mtl".as_bytes());
        }
        assert_eq!(all(b"\xef\xbb\xbfa\xe4"), b"a\xe4");
        assert_eq!(all(b""), b"");
        assert_eq!(all(b"\xff\xfe\x3d\xd8"), b"");
    }

    #[test]
    fn what_is_over_the_limit_is_not_read_and_told() {
        let mut source = io::repeat(b'x');
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        let mut stream = Stream::text(&mut source, &limits).unwrap();
        let mut line = Vec::new();
        assert!(!stream.take_past(b'\n', &mut line, 10));
        assert_eq!(line, b"xxxxxxxxxx");
        let mut found = Finding::new(limits);
        stream.finish(&mut found).unwrap();
        assert_eq!(found.done().warnings.len(), 1);
    }

    #[test]
    fn a_failing_source_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let mut source = (&b"abcdef"[..]).chain(Broken);
        let mut stream = Stream::text(&mut source, &Limits::default()).unwrap();
        stream.skip_past(b'\n');
        assert!(stream.finish(&mut Finding::new(Limits::default())).is_err());
    }
}
