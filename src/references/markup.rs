//! XML as a row of events, in constant memory.
//!
//! quick-xml hands a run of text out whole, and a COLLADA file keeps all its geometry in a few such runs; this scanner keeps no
//! more of a run than a name may be long. It also reads on where tags do not match, since such files still name their images.

use super::stream::Stream;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// An element begins; it is the last of the stack now.
    Open,
    /// A run of text inside the last of the stack, cut at the room for a name.
    Text(Vec<u8>),
    /// The last of the stack ends, and is still there.
    Close,
}

/// An element that is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Element {
    /// Its name without a prefix.
    pub(super) name: Vec<u8>,
    /// Its attributes, without prefixes, entities resolved.
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&[u8]> {
        self.attributes.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| &**value)
    }
}

/// A row of events.
pub(super) struct Markup<'s, 'a> {
    stream: &'s mut Stream<'a>,
    /// What is open, from the outside in.
    pub(super) stack: Vec<Element>,
    /// Whether it nests deeper than it may: then nothing more comes.
    pub(super) too_deep: bool,
    closing: bool,
    empty: bool,
    depth: usize,
    room: usize,
}

/// How many attributes of one element are kept.
const ATTRIBUTES: usize = 64;

impl<'s, 'a> Markup<'s, 'a> {
    pub(super) fn new(stream: &'s mut Stream<'a>, depth: usize, room: usize) -> Self {
        Self { stream, stack: Vec::new(), too_deep: false, closing: false, empty: false, depth, room }
    }

    /// The next event; none at the end, and where it nests too deep.
    pub(super) fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.closing) {
            self.stack.pop();
        }
        if std::mem::take(&mut self.empty) {
            self.closing = true;
            return Some(Event::Close);
        }
        loop {
            if self.stream.peek()? != b'<' {
                let mut text = Vec::new();
                // The `<` is read with it.
                let met = self.stream.take_past(b'<', &mut text, self.room);
                if !text.trim_ascii().is_empty() {
                    if met {
                        self.stream.push_back(b'<');
                    }
                    return Some(Event::Text(unescaped(&text)));
                }
            } else {
                self.stream.consume(1);
            }
            match self.stream.peek()? {
                b'?' => self.skip_to(b"?>"),
                b'!' => {
                    if let Some(text) = self.declaration() {
                        return Some(Event::Text(text));
                    }
                }
                b'/' => {
                    self.stream.skip_past(b'>');
                    if !self.stack.is_empty() {
                        self.closing = true;
                        return Some(Event::Close);
                    }
                }
                _ => {
                    if self.stack.len() >= self.depth {
                        self.too_deep = true;
                        return None;
                    }
                    let element = self.element();
                    self.stack.push(element);
                    return Some(Event::Open);
                }
            }
        }
    }

    /// A comment, a document type or a CDATA section, of which the text is returned.
    fn declaration(&mut self) -> Option<Vec<u8>> {
        let mut start = Vec::new();
        while start.len() < 8 {
            let byte = self.stream.peek()?;
            if byte == b'>' {
                break;
            }
            self.stream.consume(1);
            start.push(byte);
            if start == b"!--" {
                self.skip_to(b"-->");
                return None;
            }
        }
        if start == b"![CDATA[" {
            let mut text = Vec::new();
            let mut tail = [0; 3];
            loop {
                let byte = self.stream.next()?;
                tail = [tail[1], tail[2], byte];
                if text.len() < self.room + 3 {
                    text.push(byte);
                }
                if &tail == b"]]>" {
                    text.truncate(text.len().saturating_sub(3));
                    return (!text.trim_ascii().is_empty()).then_some(text);
                }
            }
        }
        // A document type, whose inner subset holds declarations of its own.
        let mut nested = 0_u64;
        loop {
            match self.stream.next()? {
                b'[' => nested += 1,
                b']' => nested = nested.saturating_sub(1),
                b'>' if nested == 0 => return None,
                _ => {}
            }
        }
    }

    fn element(&mut self) -> Element {
        let mut element = Element { name: local(&self.word()), attributes: Vec::new() };
        loop {
            self.stream.skip_space();
            match self.stream.peek() {
                None => return element,
                Some(b'>') => {
                    self.stream.consume(1);
                    return element;
                }
                Some(b'/') => {
                    self.stream.consume(1);
                    if self.stream.peek() == Some(b'>') {
                        self.stream.consume(1);
                        self.empty = true;
                        return element;
                    }
                }
                Some(_) => {
                    let key = local(&self.word());
                    self.stream.skip_space();
                    if self.stream.peek() != Some(b'=') {
                        if key.is_empty() {
                            self.stream.consume(1);
                        }
                        continue;
                    }
                    self.stream.consume(1);
                    self.stream.skip_space();
                    let mut value = Vec::new();
                    match self.stream.peek() {
                        Some(quote @ (b'"' | b'\'')) => {
                            self.stream.consume(1);
                            self.stream.take_past(quote, &mut value, self.room);
                        }
                        Some(_) => value = self.word(),
                        None => {}
                    }
                    if element.attributes.len() < ATTRIBUTES {
                        element.attributes.push((key, unescaped(&value)));
                    }
                }
            }
        }
    }

    /// The bytes up to something that ends a name; 256 of them at most are kept.
    fn word(&mut self) -> Vec<u8> {
        let mut word = Vec::new();
        while let Some(byte) = self.stream.peek() {
            if byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'=' | b'"' | b'\'' | b'<') {
                break;
            }
            self.stream.consume(1);
            if word.len() < 256 {
                word.push(byte);
            }
        }
        word
    }

    fn skip_to(&mut self, end: &[u8]) {
        let mut tail: Vec<u8> = Vec::with_capacity(end.len() + 1);
        while let Some(byte) = self.stream.next() {
            tail.push(byte);
            if tail.len() > end.len() {
                tail.remove(0);
            }
            if tail == end {
                return;
            }
        }
    }
}

fn local(name: &[u8]) -> Vec<u8> {
    name.rsplit(|byte| *byte == b':').next().unwrap_or_default().to_vec()
}

/// Text with its entities resolved; what is no entity stays.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'&') {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let end = rest.iter().take(12).position(|byte| *byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((c, end)) => {
                plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[end + 1..];
            }
            None => {
                plain.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    plain.extend_from_slice(rest);
    plain
}

fn entity(name: &[u8]) -> Option<char> {
    Some(match name {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => {
            char::from_u32(u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?)?
        }
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    fn told(text: &str) -> String {
        let mut source = text.as_bytes();
        let mut stream = Stream::text(&mut source, &Limits::default()).unwrap();
        let mut markup = Markup::new(&mut stream, 8, 64);
        let mut told = String::new();
        while let Some(event) = markup.next() {
            let last = markup.stack.last().cloned().unwrap_or_default();
            let name = String::from_utf8_lossy(&last.name).into_owned();
            told += &match event {
                Event::Open => format!(
                    "<{name}{}",
                    last.attributes.iter().fold(String::new(), |all, (k, v)| {
                        format!("{all} {}={}", String::from_utf8_lossy(k), String::from_utf8_lossy(v))
                    })
                ),
                Event::Text(text) => format!("'{}'", String::from_utf8_lossy(&text)),
                Event::Close => format!("/{name}>"),
            };
        }
        told
    }

    #[test]
    fn elements_text_and_entities_come_in_order() {
        let text = r#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c>">]><a:x k="1&amp;2" l='3'><!-- <no> -->
            te &lt;xt&#x41; <y/><![CDATA[<raw>]]></a:x>"#;
        let squeezed: String = told(text).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed, "<x k=1&2 l=3' te <xtA '<y/y>'<raw>'/x>");
    }

    #[test]
    fn what_is_broken_is_read_as_far_as_it_goes() {
        assert_eq!(told("<a><b x=1 y></c>t</a"), "<a<b x=1/b>'t'/a>");
        assert_eq!(told("</a></b><a"), "<a");
        assert_eq!(told("<a b=\"never ends"), "<a b=never ends");
        assert_eq!(told("& &; &#xffffffff; <a/>").trim(), "'& &; &#xffffffff; '<a/a>");
        let mut deep = String::new();
        (0..100).for_each(|_| deep.push_str("<a>"));
        assert_eq!(told(&deep).matches('<').count(), 8);
    }
}
