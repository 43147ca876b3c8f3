//! MaterialX: the values of type `filename`, with the prefix that is in force for them, and included documents.
//! The source code that implements a node belongs to renderers.
//!
//! Source: the MaterialX specification 1.38. The nearest `fileprefix` counts, which may be the element's own.

use super::markup::{Event, Markup};
use super::stream::Stream;
use super::{Finding, Format, Reference};

/// Whether a part of the name is only known when the material is used: `[interface]`, `{geometry}`, `<attribute>`.
fn has_token(name: &[u8]) -> bool {
    let inner = |open: u8, close: u8| {
        let start = name.iter().position(|byte| *byte == open)?;
        let length = name[start..].iter().position(|byte| *byte == close)?;
        Some(&name[start + 1..start + length])
    };
    let is_series =
        |token: &[u8]| matches!(&*token.to_ascii_uppercase(), b"UDIM" | b"UVTILE" | b"FRAME" | b"F");
    [(b'[', b']'), (b'{', b'}'), (b'<', b'>')]
        .into_iter()
        .filter_map(|(open, close)| inner(open, close))
        .any(|token| !is_series(token))
}

/// One pass over the elements.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut markup = Markup::new(stream, found.limits.depth, found.limits.name);
    let mut started = false;
    while let Some(event) = markup.next() {
        if event != Event::Open {
            continue;
        }
        let Some(element) = markup.stack.last() else { continue };
        if !std::mem::replace(&mut started, true) && element.name != b"materialx" {
            found.warn("the content is no MaterialX document");
            return;
        }
        if element.name == b"include" {
            if let Some(href) = element.attribute("href") {
                found.push(Reference {
                    expects: Some(Format::MaterialX),
                    ..Reference::new("mtlx:include", href)
                });
            }
        } else if element.attribute("type") == Some(b"filename") {
            let value = element.attribute("value").unwrap_or_default().trim_ascii();
            if value.is_empty() || has_token(value) {
                continue;
            }
            let prefix = markup.stack.iter().rev().find_map(|element| element.attribute("fileprefix"));
            found.push(Reference::new("mtlx:file", [prefix.unwrap_or_default(), value].concat()));
        }
    }
    if markup.too_deep {
        found.warn("the XML nests too deep; what follows is not known");
    }
}
