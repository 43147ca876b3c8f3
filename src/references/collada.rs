//! COLLADA 1.3 to 1.5: images, and elements that are instantiated from other documents.
//!
//! Source: the COLLADA 1.4.1 and 1.5.0 specifications. An `init_from` below `surface` names the id of an image, not a file. Any
//! URI may lead into another document (`other.dae#id`); what is addressed by `target` without a `#` is an id (a channel, a
//! light). FX Composer keeps the effect file of a material in an `import` of its own.

use super::markup::{Event, Markup};
use super::stream::Stream;
use super::{Finding, Reference, trimmed};

/// One pass over the elements.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut markup = Markup::new(stream, found.limits.depth, found.limits.name);
    let mut started = false;
    while let Some(event) = markup.next() {
        let Some(element) = markup.stack.last() else { continue };
        match event {
            Event::Open => {
                if !std::mem::replace(&mut started, true) && element.name != b"COLLADA" {
                    found.warn("the content is no COLLADA document");
                    return;
                }
                if element.name == b"image" {
                    if let Some(source) = element.attribute("source") {
                        found.push(Reference::new("dae:image", trimmed(source)));
                    }
                    continue;
                }
                let is_whole = element.name.starts_with(b"instance_")
                    || matches!(&*element.name, b"include" | b"import" | b"proxy");
                let uris = element.attributes.iter().filter(|(key, value)| match &**key {
                    b"url" => is_whole || value.contains(&b'#'),
                    b"source" | b"target" => value.contains(&b'#'),
                    _ => false,
                });
                for (_, uri) in uris {
                    found.push(Reference::new("dae:instance", without_fragment(uri)));
                }
            }
            Event::Text(text) => {
                let inside = |name: &[u8]| markup.stack.iter().any(|element| element.name == name);
                let parent = markup.stack.iter().rev().nth(1).map_or(&b""[..], |parent| &parent.name);
                let names_file = match &*element.name {
                    b"init_from" => parent == b"image",
                    b"ref" => parent == b"init_from" && inside(b"image"),
                    b"skeleton" => {
                        let text = if text.contains(&b'#') { &*text } else { &[] };
                        found.push(Reference::new("dae:instance", without_fragment(text)));
                        false
                    }
                    _ => false,
                };
                if names_file {
                    found.push(Reference::new("init_from", trimmed(&text)));
                }
            }
            Event::Close => {}
        }
    }
    if markup.too_deep {
        found.warn("the XML nests too deep; what follows is not known");
    }
    if !started {
        found.warn("the content is no COLLADA document");
    }
}

fn without_fragment(url: &[u8]) -> &[u8] {
    trimmed(url.split(|byte| *byte == b'#').next().unwrap_or_default())
}
