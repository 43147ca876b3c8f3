//! JSON as a row of events, in constant memory: a string of a gigabyte (`data:` URIs are that long) is kept only in front.
//!
//! It forgives what a schema would not, since a file with a wrong type in it still names its images. Knows no glTF.

use super::stream::Stream;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// An object or array begins; it is the last of the stack now.
    Open,
    /// The last of the stack ends, and is still there.
    Close,
    /// A string that is a value, cut at the room for a name plus one.
    Text(Vec<u8>),
}

/// An object or array that is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Level {
    /// In an object: the key whose value comes or came last.
    pub(super) key: Vec<u8>,
    object: bool,
    wants_key: bool,
}

/// A row of events.
pub(super) struct Json<'s, 'a> {
    stream: &'s mut Stream<'a>,
    /// What is open, from the outside in.
    pub(super) stack: Vec<Level>,
    /// Whether it nests deeper than it may: then nothing more comes.
    pub(super) too_deep: bool,
    closing: bool,
    depth: usize,
    room: usize,
}

impl<'s, 'a> Json<'s, 'a> {
    pub(super) fn new(stream: &'s mut Stream<'a>, depth: usize, room: usize) -> Self {
        Self { stream, stack: Vec::new(), too_deep: false, closing: false, depth, room }
    }

    /// The next event; none at the end, and where it nests too deep.
    pub(super) fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.closing) {
            self.stack.pop();
        }
        loop {
            let byte = self.stream.next()?;
            match byte {
                b'{' | b'[' => {
                    if self.stack.len() >= self.depth {
                        self.too_deep = true;
                        return None;
                    }
                    let object = byte == b'{';
                    self.stack.push(Level { key: Vec::new(), object, wants_key: object });
                    return Some(Event::Open);
                }
                b'}' | b']' if !self.stack.is_empty() => {
                    self.closing = true;
                    return Some(Event::Close);
                }
                b',' => {
                    if let Some(level) = self.stack.last_mut() {
                        level.wants_key = level.object;
                    }
                }
                b'"' => {
                    let text = self.text();
                    match self.stack.last_mut() {
                        Some(level) if level.wants_key => (level.key, level.wants_key) = (text, false),
                        _ => return Some(Event::Text(text)),
                    }
                }
                _ => {}
            }
        }
    }

    /// The rest of a string whose first quote was read.
    fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut high: Option<u16> = None;
        loop {
            let shown = self.stream.fill();
            if shown.is_empty() {
                return text;
            }
            let plain = shown.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(shown.len());
            let fits = (self.room + 1).saturating_sub(text.len()).min(plain);
            text.extend_from_slice(&shown[..fits]);
            self.stream.consume(plain);
            if plain > 0 {
                high = None;
            }
            match self.stream.peek() {
                Some(b'"') => {
                    self.stream.consume(1);
                    return text;
                }
                Some(b'\\') => {
                    self.stream.consume(1);
                    let escaped = self.escape(&mut high);
                    if text.len() <= self.room {
                        text.extend_from_slice(escaped.as_bytes());
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    fn escape(&mut self, high: &mut Option<u16>) -> String {
        let c = match self.stream.next() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => {
                let mut unit: u16 = 0;
                for _ in 0..4 {
                    let digit = self.stream.peek().and_then(|b| char::from(b).to_digit(16));
                    let Some(digit) = digit else { break };
                    self.stream.consume(1);
                    unit = (unit << 4) | u16::try_from(digit).unwrap_or(0);
                }
                if (0xd800..0xdc00).contains(&unit) {
                    *high = Some(unit);
                    return String::new();
                }
                let units = high.take().into_iter().chain([unit]);
                return char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            }
            // `\"`, `\\` and `\/`, and what should not be escaped.
            Some(other) => char::from(other),
            None => return String::new(),
        };
        c.to_string()
    }
}
