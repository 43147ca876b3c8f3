//! Which bundle we speak of: a mapping and the path of the lead below the mapping's root. Knows no disk.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use icu_normalizer::ComposingNormalizerBorrowed;

/// A bundle, named by its lead: the mapping it belongs to and the lead's path below that mapping's root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The mapping, by the name that the configuration gives it.
    pub mapping: MappingName,
    /// The lead, relative to the mapping's root.
    pub path: RelPath,
}

impl Key {
    /// Names the bundle whose lead is `path` in `mapping`.
    #[must_use]
    pub fn new(mapping: MappingName, path: RelPath) -> Self {
        Self { mapping, path }
    }
}

impl fmt::Display for Key {
    /// `mapping:path`, with the path escaped for display.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.mapping, self.path)
    }
}

/// The name of a mapping, as the configuration gives it. Cheap to clone: every key carries one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingName(Arc<str>);

impl MappingName {
    /// Wraps a name; `config` has checked that it is not empty and shows well on a line.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path below a root: raw bytes, components joined by `/`, none of them empty, `.` or `..`; it cannot climb out.
///
/// The empty path names the root itself. Names are bytes because that is what the kernel keeps; they are escaped only
/// where they are shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelPath(Arc<[u8]>);

impl RelPath {
    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads raw bytes as a path below a root.
    ///
    /// # Errors
    /// [`Climbs`] if it is absolute, holds a NUL byte, or has a component that is empty, `.` or `..`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Climbs> {
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        let unsafe_component =
            |part: &[u8]| part.is_empty() || part == b"." || part == b".." || part.contains(&0);
        if bytes.split(|byte| *byte == b'/').any(unsafe_component) {
            return Err(Climbs);
        }
        Ok(Self(bytes.into()))
    }

    /// The path of an entry called `name` in this directory.
    ///
    /// # Errors
    /// [`Climbs`] if `name` is not one plain component.
    pub fn join(&self, name: &[u8]) -> Result<Self, Climbs> {
        if name.contains(&b'/') {
            return Err(Climbs);
        }
        if self.is_root() {
            return if name.is_empty() { Err(Climbs) } else { Self::from_bytes(name) };
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self::from_bytes(&bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as a relative `Path`; the empty path for the root.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The directory that holds it; the root for a path of one component and for the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => Self(self.0[..slash].into()),
            None => Self::root(),
        }
    }

    /// The components from the top down; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// Whether this path is `directory` or lies below it.
    #[must_use]
    pub fn is_below(&self, directory: &Self) -> bool {
        directory.is_root()
            || self.0.strip_prefix(&*directory.0).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// The same path with the directory `to` in place of `from`; none if it is neither `from` nor below it.
    #[must_use]
    pub fn rebased(&self, from: &Self, to: &Self) -> Option<Self> {
        if !self.is_below(from) || from.is_root() {
            return None;
        }
        Self::from_bytes(&[&*to.0, &self.0[from.0.len()..]].concat()).ok()
    }

    /// The extension in lower case, without the dot, if the name has one that is ASCII.
    #[must_use]
    pub fn extension(&self) -> Option<String> {
        let name = self.name();
        let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
        let extension = std::str::from_utf8(&name[dot + 1..]).ok()?;
        (!extension.is_empty() && extension.is_ascii()).then(|| extension.to_ascii_lowercase())
    }
}

impl fmt::Display for RelPath {
    /// Escaped for display: what is not UTF-8 as `\xNN`, control and bidirectional-override characters as `\u{…}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for chunk in self.0.utf8_chunks() {
            f.write_str(&shown(chunk.valid()))?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({self})")
    }
}

/// A base name without regard to case and to whether marks are one with their letters, as names are compared where that does not
/// count.
#[must_use]
pub fn folded(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) if text.is_ascii() => name.to_ascii_lowercase(),
        // Older Macs keep names with their marks apart, and archives made there carry them to other systems.
        Ok(text) => {
            ComposingNormalizerBorrowed::new_nfc().normalize(&text.to_lowercase()).into_owned().into_bytes()
        }
        Err(_) => name.to_ascii_lowercase(),
    }
}

/// A text from outside (a name, a server's message) with everything escaped that could steer a terminal or reorder a line.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if steers {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A path that is not plainly below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to take a path: it is absolute, or has a component that is empty, `.` or `..`")]
pub struct Climbs;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_are_one_whatever_their_case_and_however_their_marks_are_written() {
        for (one, other) in [
            ("Wood.PNG", "wood.png"),
            ("A\u{308}pfel.png", "äpfel.png"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("か\u{3099}", "が"),
            ("o\u{31b}\u{323}", "ợ"),
        ] {
            assert_eq!(folded(one.as_bytes()), folded(other.as_bytes()), "{one}");
        }
        assert_ne!(folded("a.png".as_bytes()), folded("ä.png".as_bytes()));
        assert_eq!(folded(b"\xffA"), b"\xffa");
    }

    #[test]
    fn n15_a_path_cannot_climb_out_of_its_root() {
        for bad in ["/etc/passwd", "..", "a/../b", "a//b", "./a", "a/.", "a/", "a\0b"] {
            assert_eq!(RelPath::from_bytes(bad.as_bytes()), Err(Climbs), "{bad:?}");
        }
        assert_eq!(path("a").join(b"../b"), Err(Climbs));
        assert_eq!(path("a").join(b".."), Err(Climbs));
        assert_eq!(RelPath::root().join(b""), Err(Climbs));
        assert_eq!(path("a").join(b""), Err(Climbs));
    }

    #[test]
    fn a_path_knows_its_name_directory_and_extension() {
        let chair = path("props/Chair.v2.FBX");
        assert_eq!(chair.name(), b"Chair.v2.FBX");
        assert_eq!(chair.parent(), path("props"));
        assert_eq!(chair.extension().as_deref(), Some("fbx"));
        assert_eq!(path("top").parent(), RelPath::root());
        assert_eq!(path(".hidden").extension(), None);
        assert_eq!(path("dir.x/plain").extension(), None);
        assert_eq!(chair.components().count(), 2);
        assert_eq!(RelPath::root().components().count(), 0);
    }

    #[test]
    fn a_sibling_with_a_longer_name_is_not_below_a_directory() {
        assert!(path("a/b").is_below(&path("a")));
        assert!(path("a").is_below(&path("a")));
        assert!(!path("ab").is_below(&path("a")));
        assert!(path("ab").is_below(&RelPath::root()));
    }

    #[test]
    fn n10_n11_a_name_that_would_steer_a_terminal_is_escaped() {
        let evil = RelPath::from_bytes(b"\x1b]0;x\x07\xff\xe2\x80\xaefbx").unwrap();
        assert_eq!(evil.to_string(), "\\u{1b}]0;x\\u{7}\\xff\\u{202e}fbx");
        assert_eq!(path("Größe/人.glb").to_string(), "Größe/人.glb");
    }
}
