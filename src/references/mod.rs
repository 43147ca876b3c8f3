//! Which other files does this content name? One reader per format: bytes in, names as written out.
//!
//! Readers see nothing but the bytes: they know no tree, no mapping and no disk, and load no geometry. Every file is read in
//! one pass and in constant memory, and a hostile one costs no more than its [`Limits`]: what lies beyond them is left out
//! with a warning. Whether a name leads anywhere is asked by [`mod@resolve`].

mod ase;
mod blend;
mod cache;
mod collada;
pub mod dicom;
mod directx;
mod fbx;
mod format;
mod gltf;
mod ifc;
mod json;
mod lwo;
mod lws;
mod markup;
mod mtl;
mod mtlx;
mod obj;
mod ply;
pub mod resolve;
mod stream;
mod tds;
mod usda;
mod usdc;
mod vrml;
mod x3d;
mod zae;

use std::io::{Read, Seek};

pub use format::Format;
pub use resolve::{Cure, Directory, Found, How, Resolution, Search, Step, Tree, name_of, readable, resolve};

use stream::Stream;

/// The names that a content holds, in the order in which they stand in it, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// The names.
    pub names: Vec<Reference>,
    /// What was odd, for a person: the file is damaged, of another format, or exceeds a limit.
    pub warnings: Vec<String>,
}

/// One file that a content names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The name as it is written, in the bytes of the file; text in UTF-16 is told in UTF-8.
    pub written: Vec<u8>,
    /// Where in the format it stands, such as `mtllib` or `fbx:Video`.
    pub kind: &'static str,
    /// Other names that the content gives for the same file, in the order in which they are worth trying.
    pub alternatives: Vec<Vec<u8>>,
    /// If the name leads nowhere: the names that it may be a list of (`mtllib a.mtl b.mtl`). Empty if it cannot be one.
    pub list: Vec<Vec<u8>>,
    /// Whether the bytes of the named file are in the content already.
    pub embedded: Embedded,
    /// How many files the name may stand for.
    pub pattern: Pattern,
    /// What the named file is, where its extension does not tell.
    pub expects: Option<Format>,
}

impl Reference {
    /// A plain reference.
    #[must_use]
    pub fn new(kind: &'static str, written: impl Into<Vec<u8>>) -> Self {
        Self {
            written: written.into(),
            kind,
            alternatives: Vec::new(),
            list: Vec::new(),
            embedded: Embedded::No,
            pattern: Pattern::Plain,
            expects: None,
        }
    }

    /// One reference out of several names for one file, the best first; none if there is none.
    #[must_use]
    pub fn of_many(kind: &'static str, names: impl IntoIterator<Item = Vec<u8>>) -> Option<Self> {
        let mut one: Option<Self> = None;
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            match &mut one {
                None => one = Some(Self::new(kind, name)),
                Some(one) if one.written == name || one.alternatives.contains(&name) => {}
                Some(one) => one.alternatives.push(name),
            }
        }
        one
    }

    /// The same, with its bytes inside the content.
    #[must_use]
    pub fn embedded(self) -> Self {
        Self { embedded: Embedded::Yes, ..self }
    }

    /// The same, standing for several files.
    #[must_use]
    pub fn pattern(self, pattern: Pattern) -> Self {
        Self { pattern, ..self }
    }
}

/// Whether the bytes of a named file are in the content already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Embedded {
    /// The file is needed.
    No,
    /// The content carries it; the file may exist or not.
    Yes,
}

/// How many files a name may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// One.
    Plain,
    /// A tile of a UDIM set: `<UDIM>`, or 1001 as the name of its first tile.
    Tiles,
    /// A frame of an image sequence: the last digits of the stem count.
    Frames,
    /// A companion that is known by the referring file's own stem: the name is what follows the stem.
    Beside,
    /// As `Beside`, one file per frame: the name is what stands between the stem and the frame, and after it, split by `*`.
    BesideFrames,
}

/// What a reader may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes read from the file.
    pub bytes: u64,
    /// Bytes that may come out of a compressed file.
    pub unpacked: u64,
    /// References kept.
    pub references: usize,
    /// How deep structures may nest.
    pub depth: usize,
    /// The longest name, in bytes; a longer one is no name.
    pub name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 30, unpacked: 4 << 30, references: 20_000, depth: 128, name: 8 << 10 }
    }
}

/// The bytes could not be had: nothing is known of what they name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the references of a file: {0}")]
pub struct Unreadable(pub String);

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Which files the bytes of `source` name, if they are what `format` says. Reads from the start, whatever the position is.
///
/// A file that is damaged, truncated or of another format is no error: it names what was found in it, with a warning.
///
/// # Errors
/// [`Unreadable`] if `source` fails.
pub fn read<R: Read + Seek>(
    format: Format,
    source: &mut R,
    limits: &Limits,
) -> Result<References, Unreadable> {
    source.rewind()?;
    let mut head = [0; 64];
    let length = stream::read_up_to(source, &mut head)?;
    source.rewind()?;
    let head = &head[..length];
    let format = format.told_by(head);
    let mut found = Finding::new(*limits);
    if head.is_empty() {
        found.warn("the file is empty");
        return Ok(found.done());
    }
    if let Some(other) = format::foreign(head)
        && !format.may_be(other)
    {
        found.warn(format!("the content is {other}, whatever its name says"));
        return Ok(found.done());
    }
    match format {
        Format::SelfContained => {}
        Format::Glb => gltf::read_binary(source, &mut found)?,
        Format::Usd if head.starts_with(usdc::MAGIC) => usdc::read(source, &mut found)?,
        Format::Usd if head.starts_with(b"PK") => {}
        Format::Fbx if head.starts_with(fbx::MAGIC) => fbx::read_binary(source, &mut found)?,
        Format::Tds => tds::read(source, &mut found)?,
        Format::Lwo => lwo::read(source, &mut found)?,
        Format::Zae => zae::read(source, &mut found)?,
        Format::Blend => blend::read(source, head, &mut found)?,
        Format::Collada | Format::X3d | Format::Vrml if head.starts_with(&GZIP) => {
            let mut unpacked = flate2::read::MultiGzDecoder::new(source);
            let mut stream = Stream::unpacked(&mut unpacked, limits)?;
            read_text(format, &mut stream, &mut found);
            // What is broken in the packing is the file's fault, not the disk's.
            stream.finish_packed(&mut found);
        }
        _ => {
            let mut stream = Stream::text(source, limits)?;
            read_text(format, &mut stream, &mut found);
            stream.finish(&mut found)?;
        }
    }
    Ok(found.done())
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

fn read_text(format: Format, stream: &mut Stream<'_>, found: &mut Finding) {
    match format {
        Format::Gltf => gltf::read_text(stream, found),
        Format::Obj => obj::read(stream, found),
        Format::Mtl => mtl::read(stream, found),
        Format::Collada => collada::read(stream, found),
        Format::Fbx => fbx::read_text(stream, found),
        Format::Ply => ply::read(stream, found),
        Format::X3d => x3d::read(stream, found),
        Format::Vrml => vrml::read(stream, found),
        Format::Usd => usda::read(stream, found),
        Format::MaterialX => mtlx::read(stream, found),
        Format::GeometryCache => cache::read(stream, found),
        Format::Lws => lws::read(stream, found),
        Format::DirectX => directx::read(stream, found),
        Format::Ifc => ifc::read(stream, found),
        Format::Ase => ase::read(stream, found),
        Format::SelfContained | Format::Glb | Format::Tds | Format::Lwo | Format::Zae | Format::Blend => {}
    }
}

/// What a reader has found so far, and how much more it may.
#[derive(Debug)]
struct Finding {
    limits: Limits,
    found: References,
    known: std::collections::HashSet<Reference>,
    /// Bytes of names that may still be kept.
    room: usize,
}

/// How many bytes of names are kept of one file.
const ROOM: usize = 32 << 20;

/// How many warnings of one file are kept.
const WARNINGS: usize = 20;

impl Finding {
    fn new(limits: Limits) -> Self {
        Self { limits, found: References::default(), known: std::collections::HashSet::new(), room: ROOM }
    }

    /// Takes a reference that names something, once. What is inside the content itself (`data:`) names nothing.
    fn push(&mut self, mut reference: Reference) {
        let limit = self.limits.name;
        let is_name = |name: &[u8]| !name.is_empty() && !is_inline(name) && !name.contains(&0);
        if !is_name(&reference.written) {
            return;
        }
        if reference.written.len() > limit {
            self.warn("a name is too long to be one");
            return;
        }
        reference.alternatives.retain(|name| is_name(name) && name.len() <= limit);
        if self.known.contains(&reference) {
            return;
        }
        let names = std::iter::once(&reference.written).chain(&reference.alternatives).chain(&reference.list);
        let size: usize = names.map(Vec::len).sum();
        if self.found.names.len() >= self.limits.references || size > self.room {
            self.warn(format!(
                "more than {} references; the others are not followed",
                self.limits.references
            ));
            return;
        }
        self.room -= size;
        self.known.insert(reference.clone());
        self.found.names.push(reference);
    }

    fn extend(&mut self, references: impl IntoIterator<Item = Reference>) {
        references.into_iter().for_each(|reference| self.push(reference));
    }

    fn warn(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.found.warnings.len() < WARNINGS && !self.found.warnings.contains(&what) {
            self.found.warnings.push(what);
        }
    }

    fn done(self) -> References {
        self.found
    }
}

/// Whether a URI carries its content in itself.
fn is_inline(name: &[u8]) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"data:"))
}

/// A name without white space and quotes around it.
fn trimmed(name: &[u8]) -> &[u8] {
    let name = name.trim_ascii();
    match name {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner.trim_ascii(),
        _ => name,
    }
}

#[cfg(test)]
mod tests;
