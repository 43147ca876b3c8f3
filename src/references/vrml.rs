//! VRML 1 and 2 and X3D in the classic encoding: the same fields as in X3D, told as tokens.
//!
//! Source: ISO/IEC 14772-1, ISO/IEC 19776-2, and the VRML 1.0 specification, where `filename` and `name` held one file each.

use super::stream::Stream;
use super::{Finding, x3d};

/// One pass over the tokens.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    if stream.peek() != Some(b'#') {
        found.warn("the content is no VRML: it does not begin with its mark");
        return;
    }
    let room = found.limits.name;
    let mut nodes: Vec<Vec<u8>> = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    let mut proto = Proto::None;
    while let Some(token) = token(stream, room) {
        match token {
            Token::Mark(b'{') => {
                if nodes.len() >= found.limits.depth {
                    found.warn("the nodes nest too deep; what follows is not known");
                    return;
                }
                nodes.push(std::mem::take(&mut last));
            }
            Token::Mark(b'}') => {
                nodes.pop();
                last.clear();
            }
            Token::Mark(b'[') if proto == Proto::Named => proto = Proto::Fields,
            Token::Mark(b']') if proto == Proto::Fields => {
                proto = Proto::None;
                let list = strings(stream, room, found.limits.references);
                found.extend(x3d::of_list("x3d:ExternProto", list));
            }
            Token::Mark(_) => {}
            Token::Word(word) => {
                if word == b"EXTERNPROTO" {
                    proto = Proto::Named;
                }
                let node = nodes.last().map_or(&b""[..], |node| node);
                let kind = if proto == Proto::Fields {
                    None
                } else {
                    match (node, &*word) {
                        (b"Texture2", b"filename") => Some("wrl:Texture2"),
                        (b"WWWInline", b"name") => Some("wrl:WWWInline"),
                        (b"ImageTexture", b"url") => Some("wrl:ImageTexture"),
                        (b"ProtoInterface", _) => None,
                        _ => x3d::kind(node, &word),
                    }
                };
                // `field MFString url []` declares a field of that name; it is no url of the node around it.
                let declared = last.starts_with(b"MF") || last.starts_with(b"SF");
                let is_default =
                    declared && proto != Proto::Fields && node != b"Script" && x3d::is_url(&word);
                if let (Some(kind), false) = (kind, declared) {
                    let mut list = strings(stream, room, found.limits.references);
                    // VRML 1.0 leaves the quotes to the writer where there is no space in a string.
                    if list.is_empty()
                        && kind.starts_with("wrl:")
                        && let Some(Token::Word(bare)) = bare(stream)
                    {
                        list.push(bare);
                    }
                    found.extend(x3d::of_list(kind, list));
                } else if is_default {
                    let list = strings(stream, room, found.limits.references);
                    found.extend(x3d::of_list("x3d:Proto", list));
                }
                last = word;
            }
            Token::Text => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Proto {
    None,
    Named,
    Fields,
}

/// A word, if that is what comes next.
fn bare(stream: &mut Stream<'_>) -> Option<Token> {
    skip_blank(stream);
    let is_word = stream.peek().is_some_and(|byte| !matches!(byte, b'{' | b'}' | b'[' | b']' | b'"'));
    if is_word { token(stream, 0) } else { None }
}

enum Token {
    Mark(u8),
    Word(Vec<u8>),
    Text,
}

/// A string, or a list of strings in brackets, if that is what comes next.
fn strings(stream: &mut Stream<'_>, room: usize, most: usize) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    skip_blank(stream);
    match stream.peek() {
        Some(b'"') => list.extend(text(stream, room)),
        Some(b'[') => {
            stream.consume(1);
            loop {
                skip_blank(stream);
                match stream.peek() {
                    Some(b'"') if list.len() < most.min(256) => list.extend(text(stream, room)),
                    Some(b'"') => drop(text(stream, 0)),
                    Some(b']') => {
                        stream.consume(1);
                        break;
                    }
                    Some(b'{' | b'}') | None => break,
                    Some(_) => stream.consume(1),
                }
            }
        }
        Some(_) | None => {}
    }
    list
}

fn token(stream: &mut Stream<'_>, _room: usize) -> Option<Token> {
    skip_blank(stream);
    match stream.peek()? {
        mark @ (b'{' | b'}' | b'[' | b']') => {
            stream.consume(1);
            Some(Token::Mark(mark))
        }
        b'"' => text(stream, 0).map(|_| Token::Text),
        _ => {
            let mut word = Vec::new();
            while let Some(byte) = stream.peek() {
                let ends =
                    byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}' | b'[' | b']' | b'"' | b',');
                if ends {
                    break;
                }
                stream.consume(1);
                if word.len() < 128 {
                    word.push(byte);
                }
            }
            Some(Token::Word(word))
        }
    }
}

/// White space, commas and comments.
fn skip_blank(stream: &mut Stream<'_>) {
    loop {
        stream.skip_space();
        match stream.peek() {
            Some(b',') => stream.consume(1),
            Some(b'#') => stream.skip_past(b'\n'),
            Some(_) | None => return,
        }
    }
}

fn text(stream: &mut Stream<'_>, room: usize) -> Option<Vec<u8>> {
    if stream.next() != Some(b'"') {
        return None;
    }
    let mut text = Vec::new();
    loop {
        let byte = match stream.next() {
            None | Some(b'"') => return Some(text),
            Some(b'\\') => match stream.next()? {
                escaped @ (b'"' | b'\\') => escaped,
                other => {
                    if text.len() <= room {
                        text.push(b'\\');
                    }
                    other
                }
            },
            Some(byte) => byte,
        };
        if text.len() <= room {
            text.push(byte);
        }
    }
}
