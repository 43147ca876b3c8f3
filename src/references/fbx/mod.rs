//! FBX, binary and ASCII: textures with their videos, sounds, geometry caches.
//!
//! Both writings are read into the same [`Harvest`]. A texture and the video that it shows are one file told twice, often with
//! different paths; `Content` in the video is the file itself. Scene documents, takes (`*.tak`) and shaders name paths too that
//! nothing needs. Sources: what the SDK of Autodesk writes in versions 5.8 to 7.7, and what Blender writes.

mod ascii;
mod binary;

use super::{Embedded, Finding, Pattern, Reference};

pub(super) use ascii::read as read_text;
pub(super) use binary::read as read_binary;

/// What binary files begin with.
pub(super) const MAGIC: &[u8] = b"Kaydara FBX Binary";

/// A value of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// A string, cut at the room for a name.
    Text(Vec<u8>),
    /// An integer.
    Number(i64),
    /// Bytes or base64, of which only the length counts.
    Content(u64),
    /// Anything else.
    Other,
}

/// What has been seen of a file's nodes.
struct Harvest {
    objects: Vec<Object>,
    /// The names of the nodes that are open, and whether each is the object that was begun last.
    open: Vec<bool>,
    /// How deep a subtree lies of which nothing is wanted.
    shut: Option<usize>,
    most: usize,
    /// Bytes of names that may still be kept.
    room: usize,
}

/// What a property may hold without being counted.
const SHORT: usize = 512;

/// How many bytes of names are kept of one file.
const ROOM: usize = 64 << 20;

/// A texture, a video, a sound or a cache.
#[derive(Debug, Default)]
struct Object {
    class: Class,
    name: Vec<u8>,
    media: Vec<u8>,
    relative: Vec<u8>,
    absolute: Vec<u8>,
    /// What the properties say; the nodes say the same, and count first.
    property_relative: Vec<u8>,
    property_absolute: Vec<u8>,
    shader_files: Vec<Vec<u8>>,
    embedded: bool,
    sequence: bool,
}

/// How many files the properties of one object may name.
const SHADER_FILES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Class {
    Texture,
    Video,
    Audio,
    #[default]
    Other,
}

/// Nodes below which no file is named, whatever they hold; most of them are large.
const SHUT: &[&[u8]] = &[
    b"FBXHeaderExtension",
    b"Definitions",
    b"Documents",
    b"References",
    b"Connections",
    b"Relations",
    b"Takes",
    b"GlobalSettings",
    b"Geometry",
    b"Deformer",
    b"Pose",
    b"AnimationCurve",
    b"AnimationCurveNode",
    b"AnimationLayer",
    b"AnimationStack",
    b"NodeAttribute",
    b"SceneInfo",
    b"PropertyTemplate",
];

impl Harvest {
    fn new(most: usize) -> Self {
        Self { objects: Vec::new(), open: Vec::new(), shut: None, most, room: ROOM }
    }

    /// Whether nothing is wanted below a node of this name, so that a reader may pass it over.
    fn passes_over(name: &[u8]) -> bool {
        SHUT.contains(&name)
    }

    fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    /// A node begins, with the values in front of its children.
    fn open(&mut self, name: &[u8], values: &[Value]) {
        let depth = self.open.len();
        let mut is_object = false;
        if !self.is_shut() && self.room > 0 {
            // An upper bound: most values are looked at and not kept.
            let size: usize = texts(values).map(<[u8]>::len).sum();
            let kept = match name {
                b"Content" => 0,
                // Properties are many and short.
                b"P" | b"Property" => size.saturating_sub(SHORT),
                _ => size,
            };
            self.room = self.room.saturating_sub(kept);
            if Self::passes_over(name) {
                self.shut = Some(depth);
            } else {
                is_object = self.begin(name, values);
                if !is_object {
                    self.field(name, values);
                }
            }
        }
        self.open.push(is_object);
    }

    /// The node that began last ends.
    fn close(&mut self) {
        self.open.pop();
        if self.shut.is_some_and(|depth| depth >= self.open.len()) {
            self.shut = None;
        }
    }

    fn begin(&mut self, name: &[u8], values: &[Value]) -> bool {
        let class = match name {
            b"Texture" => Class::Texture,
            b"Video" => Class::Video,
            b"Audio" => Class::Audio,
            // Every object may hold a cache's path; which are objects is told by their place.
            _ if self.open == [false] => Class::Other,
            _ => return false,
        };
        if self.objects.len() >= self.most.saturating_mul(4) {
            return false;
        }
        // A leaf that names an object (`Video: "Video::x"` in a list) is taken for one without paths, and is dropped later.
        if class == Class::Other && self.objects.last().is_some_and(Object::is_idle) {
            self.objects.pop();
        }
        let label = texts(values).next().unwrap_or_default();
        self.objects.push(Object { class, name: bare(label).to_vec(), ..Object::default() });
        true
    }

    fn field(&mut self, name: &[u8], values: &[Value]) {
        if !self.open.contains(&true) {
            return;
        }
        let Some(object) = self.objects.last_mut() else { return };
        let first = texts(values).next().unwrap_or_default();
        match name {
            b"FileName" | b"Filename" if object.class != Class::Other => set(&mut object.absolute, first),
            b"RelativeFilename" | b"RelativeFileName" if object.class != Class::Other => {
                set(&mut object.relative, first);
            }
            b"Media" => set(&mut object.media, bare(first)),
            b"ImageSequence" => object.sequence |= values.contains(&Value::Number(1)),
            b"Content" => {
                object.embedded |= values.iter().any(|value| match value {
                    Value::Content(length) => *length > 0,
                    Value::Text(text) => !text.is_empty(),
                    Value::Number(_) | Value::Other => false,
                });
            }
            // P: "RelPath", "KString", "XRefUrl", "", "…"; Property: "CacheFileName", "KString", "", "…"
            b"P" | b"Property" => {
                let value = texts(values).last().filter(|_| texts(values).count() > 3).unwrap_or_default();
                match first {
                    b"Path" if object.class != Class::Other => set(&mut object.property_absolute, value),
                    b"RelPath" if object.class != Class::Other => set(&mut object.property_relative, value),
                    b"ImageSequence" => object.sequence |= values.last() == Some(&Value::Number(1)),
                    b"CacheFileName" | b"Cache File Name" => set(&mut object.relative, value),
                    b"CacheAbsoluteFileName" => set(&mut object.absolute, value),
                    // A map of another renderer keeps its file in a property: `3dsMax|OSLBitmap2|Filename`.
                    name if is_shader_file(name) && object.shader_files.len() < SHADER_FILES => {
                        object.shader_files.push(value.to_vec());
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// What the objects name: one reference per file, however often it is told.
    fn finish(self, found: &mut Finding) {
        if self.room == 0 {
            found.warn("the names in the file are more than are kept; what follows is not known");
        }
        let shader_files: Vec<Object> = self
            .objects
            .iter()
            .flat_map(|object| &object.shader_files)
            .map(|file| Object { class: Class::Texture, absolute: file.clone(), ..Object::default() })
            .collect();
        let (textures, others): (Vec<_>, Vec<_>) = self
            .objects
            .into_iter()
            .chain(shader_files)
            .filter(|object| !object.names().is_empty())
            .partition(|o| o.class == Class::Texture);
        let mut files: Vec<(Object, Vec<Object>)> =
            others.into_iter().map(|object| (object, Vec::new())).collect();
        let mut by_name = std::collections::HashMap::new();
        let mut by_file = std::collections::HashMap::new();
        for (index, (object, _)) in files.iter().enumerate() {
            if object.class == Class::Video {
                by_name.entry(object.name.clone()).or_insert(index);
                for name in object.names() {
                    by_file.entry(base(&name).to_ascii_lowercase()).or_insert(index);
                }
            }
        }
        for texture in textures {
            let shown = by_name.get(&texture.media).filter(|_| !texture.media.is_empty()).or_else(|| {
                texture.names().into_iter().find_map(|name| by_file.get(&base(&name).to_ascii_lowercase()))
            });
            match shown {
                Some(index) => files[*index].1.push(texture),
                None => files.push((texture, Vec::new())),
            }
        }
        let mut references: Vec<Reference> = Vec::new();
        for (object, textures) in files {
            let kind = match object.class {
                Class::Texture => "fbx:Texture",
                Class::Video => "fbx:Video",
                Class::Audio => "fbx:Audio",
                Class::Other => "fbx:Cache",
            };
            let names = object.names().into_iter().chain(textures.iter().flat_map(Object::names));
            let Some(mut reference) = Reference::of_many(kind, names) else { continue };
            if object.embedded {
                reference.embedded = Embedded::Yes;
            }
            if object.sequence {
                reference.pattern = Pattern::Frames;
            }
            references.push(reference);
        }
        // Blender embeds a file once, in the first of several videos that show it.
        let inside: std::collections::HashSet<Vec<u8>> = references
            .iter()
            .filter(|reference| reference.embedded == Embedded::Yes)
            .map(|reference| reference.written.clone())
            .collect();
        for mut reference in references {
            if inside.contains(&reference.written) {
                reference.embedded = Embedded::Yes;
            }
            found.push(reference);
        }
    }
}

impl Object {
    /// Its paths, the relative ones first.
    fn names(&self) -> Vec<Vec<u8>> {
        [&self.relative, &self.property_relative, &self.absolute, &self.property_absolute]
            .into_iter()
            .filter(|name| !name.trim_ascii().is_empty())
            .cloned()
            .collect()
    }

    fn is_idle(&self) -> bool {
        self.names().is_empty() && self.shader_files.is_empty()
    }
}

fn is_shader_file(property: &[u8]) -> bool {
    let mut parts = property.rsplit(|byte| *byte == b'|');
    let is_file = parts.next().is_some_and(|last| last.eq_ignore_ascii_case(b"filename"));
    // `Original|FileName` and `LastSaved|FileName` are the scene itself.
    is_file && parts.next().is_some_and(|before| !matches!(before, b"Original" | b"LastSaved"))
}

fn set(slot: &mut Vec<u8>, value: &[u8]) {
    if slot.is_empty() {
        *slot = value.to_vec();
    }
}

fn texts(values: &[Value]) -> impl Iterator<Item = &[u8]> {
    values.iter().filter_map(|value| match value {
        Value::Text(text) => Some(&**text),
        Value::Number(_) | Value::Content(_) | Value::Other => None,
    })
}

/// A label without its class: `Video::x` in text, `x`, two marks and `Video` in binary files.
fn bare(label: &[u8]) -> &[u8] {
    if let Some(at) = label.windows(2).position(|pair| pair == b"\0\x01") {
        return &label[..at];
    }
    label.windows(2).position(|pair| pair == b"::").map_or(label, |at| &label[at + 2..])
}

fn base(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
