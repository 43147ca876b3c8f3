//! The description of a geometry cache (`.xml`), whose data lie beside it under its own stem.
//!
//! Source: Autodesk's description of Maya's cache files: one `.mc` (32 bit) or `.mcx` (64 bit) file, or one per frame, called
//! `<stem>Frame<n>` and, for times between frames, `<stem>Frame<n>Tick<m>`. Nothing names them; the stem does.

use super::markup::{Event, Markup};
use super::stream::Stream;
use super::{Finding, Pattern, Reference};

/// One pass over the elements. Any other XML document names nothing.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut markup = Markup::new(stream, found.limits.depth, found.limits.name);
    let mut started = false;
    while let Some(event) = markup.next() {
        if event != Event::Open {
            continue;
        }
        let Some(element) = markup.stack.last() else { continue };
        if !std::mem::replace(&mut started, true) && element.name != b"Autodesk_Cache_File" {
            return;
        }
        if element.name == b"cacheType" {
            let extension: &[u8] = match element.attribute("Format") {
                Some(b"mcx") => b".mcx",
                Some(_) | None => b".mc",
            };
            let reference = match element.attribute("Type") {
                Some(b"OneFilePerFrame") => Reference::new("cache:data", [b"Frame*", extension].concat())
                    .pattern(Pattern::BesideFrames),
                Some(_) | None => Reference::new("cache:data", extension).pattern(Pattern::Beside),
            };
            found.push(reference);
            return;
        }
    }
}
