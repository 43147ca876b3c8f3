//! X3D as XML: images, movies, sounds, shaders, inlined scenes and external prototypes.
//!
//! Source: ISO/IEC 19775-1 and 19776-1. A url list gives several places for one file, the best first. What an Anchor or a
//! GeoMetadata points at is a hyperlink, and a script may stand in the url itself.

use super::markup::{Event, Markup};
use super::stream::Stream;
use super::{Finding, Reference, is_inline};

/// One pass over the elements.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut markup = Markup::new(stream, found.limits.depth, found.limits.name);
    let mut started = false;
    while let Some(event) = markup.next() {
        if event != Event::Open {
            continue;
        }
        let Some(element) = markup.stack.last() else { continue };
        if !std::mem::replace(&mut started, true) && !element.name.eq_ignore_ascii_case(b"X3D") {
            found.warn("the content is no X3D document");
            return;
        }
        for (key, value) in &element.attributes {
            if let Some(kind) = kind(&element.name, key) {
                found.extend(of_list(kind, items(value)));
            }
        }
        let parent = markup.stack.iter().rev().nth(1).map_or(&b""[..], |parent| &parent.name);
        // What a prototype's field is by default, or for one instance; a script's own fields may be anything.
        let sets_field =
            element.name == b"fieldValue" || element.name == b"field" && parent == b"ProtoInterface";
        if let (true, Some(name), Some(value)) =
            (sets_field, element.attribute("name"), element.attribute("value"))
            && is_url(name)
        {
            found.extend(of_list("x3d:Proto", items(value)));
        }
    }
    if markup.too_deep {
        found.warn("the XML nests too deep; what follows is not known");
    }
    if !started {
        found.warn("the content is no X3D document");
    }
}

/// The kind of reference that a field of a node is, if it is one.
pub(super) fn kind(node: &[u8], field: &[u8]) -> Option<&'static str> {
    match field {
        b"url" => Some(match node {
            b"Anchor" | b"GeoMetadata" | b"DISEntityManager" => return None,
            b"ImageTexture" => "x3d:ImageTexture",
            b"MovieTexture" => "x3d:MovieTexture",
            b"AudioClip" => "x3d:AudioClip",
            b"Inline" | b"InlineLoadControl" | b"CADPart" => "x3d:Inline",
            b"ShaderPart" | b"PackagedShader" | b"ShaderProgram" => "x3d:Shader",
            b"Script" => "x3d:Script",
            b"ExternProtoDeclare" | b"EXTERNPROTO" => "x3d:ExternProto",
            _ => "x3d:url",
        }),
        b"frontUrl" | b"backUrl" | b"leftUrl" | b"rightUrl" | b"topUrl" | b"bottomUrl" => {
            Some("x3d:Background")
        }
        // GeoLOD
        b"rootUrl" | b"child1Url" | b"child2Url" | b"child3Url" | b"child4Url" => Some("x3d:GeoLOD"),
        // Geometry that x3dom keeps in binary files of its own.
        b"index" | b"coord" | b"normal" | b"texCoord" | b"color" | b"tangent" | b"binormal"
            if node == b"BinaryGeometry" || node == b"BitLODGeometry" =>
        {
            Some("x3d:Geometry")
        }
        b"src" if node == b"PopGeometryLevel" => Some("x3d:Geometry"),
        b"buffer" if node == b"BufferGeometry" => Some("x3d:Geometry"),
        b"urlIDMap" => Some("x3d:url"),
        _ => (is_url(field) && node != b"Anchor").then_some("x3d:url"),
    }
}

/// Whether a field of this name, of a prototype or of an extension, holds a url: `url`, `textureUrl`.
pub(super) fn is_url(field: &[u8]) -> bool {
    field == b"url" || field.ends_with(b"Url") || field.ends_with(b"URL")
}

/// One reference out of a url list, without scripts and the fragments that name a part of a file.
pub(super) fn of_list(kind: &'static str, items: impl IntoIterator<Item = Vec<u8>>) -> Option<Reference> {
    // `javascript:`, `ecmascript:`, `castlescript:` and what else a browser may understand.
    let is_code = |item: &[u8]| {
        let scheme = item.split(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
        item.contains(&b'\n') || item.contains(&b':') && (scheme.ends_with(b"script") || scheme == b"urn")
    };
    let items: Vec<Vec<u8>> = items.into_iter().collect();
    // A list with the content itself in it needs no file.
    if items.iter().any(|item| is_inline(item.trim_ascii())) {
        return None;
    }
    let named = items.into_iter().map(|item| item.trim_ascii().to_vec()).filter(|item| !is_code(item));
    Reference::of_many(kind, named.map(without_fragment))
}

fn without_fragment(url: Vec<u8>) -> Vec<u8> {
    let hash = url.iter().position(|byte| *byte == b'#');
    // A file may have `#` in its name: only a fragment behind an extension is one.
    match hash {
        Some(hash) if url[..hash].contains(&b'.') && !url[hash..].contains(&b'.') => url[..hash].to_vec(),
        Some(0) => Vec::new(),
        Some(_) | None => url,
    }
}

/// The items of `"a" "b"`; a value without quotes is one item.
fn items(value: &[u8]) -> Vec<Vec<u8>> {
    let value = value.trim_ascii();
    // Some writers quote with `'` inside `"`.
    let quote = if value.starts_with(b"'") { b'\'' } else { b'"' };
    if !value.contains(&quote) {
        return vec![value.to_vec()];
    }
    let mut items = Vec::new();
    let mut item: Option<Vec<u8>> = None;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match (&mut item, byte) {
            (None, byte) if byte == quote => item = Some(Vec::new()),
            (Some(_), byte) if byte == quote => items.extend(item.take()),
            (Some(text), b'\\') => match bytes.next() {
                Some(escaped @ (b'"' | b'\\')) => text.push(escaped),
                // Exporters write `\` as a separator without doubling it.
                Some(other) => text.extend([b'\\', other]),
                None => text.push(b'\\'),
            },
            (Some(text), other) => text.push(other),
            (None, _between) => {}
        }
    }
    items.extend(item);
    items
}
