//! ASCII FBX: `Key: value, value {` and so on, token by token, so that a line may be as long as a mesh.

use super::super::Finding;
use super::super::stream::Stream;
use super::{Harvest, Value};

/// How many values in front of a node's children are kept.
const VALUES: usize = 16;

/// One pass over the tokens.
pub(in super::super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut harvest = Harvest::new(found.limits.references);
    let mut depth = 0_usize;
    // What was read of a node, until it is known whether it has children.
    let mut node: Option<(Vec<u8>, Vec<Value>)> = None;
    let mut is_fbx = false;
    let room = found.limits.name;
    loop {
        stream.skip_space();
        let Some(byte) = stream.peek() else { break };
        match byte {
            b';' => stream.skip_past(b'\n'),
            b'"' => {
                stream.consume(1);
                let mut text = Vec::new();
                stream.take_past(b'"', &mut text, room + 1);
                if let Some((_, values)) = &mut node {
                    keep(values, Value::Text(unescaped(text)));
                }
            }
            b'{' => {
                stream.consume(1);
                let (name, values) = node.take().unwrap_or_default();
                harvest.open(&name, &values);
                depth += 1;
                if depth > found.limits.depth {
                    found.warn("the nodes nest too deep; what follows is not known");
                    break;
                }
            }
            b'}' => {
                stream.consume(1);
                leaf(&mut harvest, node.take());
                if depth > 0 {
                    harvest.close();
                    depth -= 1;
                }
            }
            b',' | b'*' | b':' => stream.consume(1),
            _ => {
                let word = word(stream);
                if stream.peek() == Some(b':') {
                    stream.consume(1);
                    leaf(&mut harvest, node.take());
                    is_fbx |= matches!(
                        &*word,
                        b"FBXHeaderExtension" | b"Objects" | b"Video" | b"Texture" | b"Model"
                    );
                    node = Some((word, Vec::new()));
                } else if let Some((_, values)) = &mut node
                    && values.len() < VALUES
                {
                    let number = std::str::from_utf8(&word).ok().and_then(|word| word.parse().ok());
                    values.push(number.map_or(Value::Other, Value::Number));
                }
            }
        }
    }
    if !is_fbx {
        found.warn("the content is no FBX: there is no node in it");
    }
    leaf(&mut harvest, node);
    if depth > 0 {
        found.warn("the file is cut off");
    }
    harvest.finish(found);
}

fn leaf(harvest: &mut Harvest, node: Option<(Vec<u8>, Vec<Value>)>) {
    if let Some((name, values)) = node {
        harvest.open(&name, &values);
        harvest.close();
    }
}

fn keep(values: &mut Vec<Value>, value: Value) {
    if values.len() < VALUES {
        values.push(value);
    }
}

/// A number, a keyword or a letter.
fn word(stream: &mut Stream<'_>) -> Vec<u8> {
    let mut word = Vec::new();
    loop {
        let shown = stream.fill();
        let ends =
            |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b':' | b',' | b'{' | b'}' | b'"' | b';');
        let length = shown.iter().position(ends).unwrap_or(shown.len());
        let fits = 128_usize.saturating_sub(word.len()).min(length);
        word.extend_from_slice(&shown[..fits]);
        let stops = length < shown.len() || shown.is_empty();
        stream.consume(length);
        if stops {
            return word;
        }
    }
}

/// A string with the few entities of this writing resolved.
fn unescaped(text: Vec<u8>) -> Vec<u8> {
    if !text.contains(&b'&') {
        return text;
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(first) = rest.first() {
        let (byte, length) = if rest.starts_with(b"&quot;") {
            (b'"', 6)
        } else if rest.starts_with(b"&cr;") {
            (b'\r', 4)
        } else if rest.starts_with(b"&lf;") {
            (b'\n', 4)
        } else {
            (*first, 1)
        };
        plain.push(byte);
        rest = &rest[length..];
    }
    plain
}
