//! A file of a bundle as it travels in a request: its remote name, where it lies, which bytes it holds.

use std::fmt;
use std::sync::Arc;

use super::content::{Content, Version};
use super::key::RelPath;

/// A lead or member as it travels in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The name that the cloud is told.
    pub name: PartName,
    /// Where the file lies, below the mapping's root.
    pub path: RelPath,
    /// Which bytes are announced; the request ends only if just these were sent.
    pub content: Content,
}

/// A file name that is fit to travel: UTF-8, not empty, without control characters and slashes.
///
/// A control character would break the header of its part (measured with reqwest 0.13: a newline goes out raw).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName(Arc<str>);

/// The longest part name that is sent, in bytes of UTF-8. The cloud's own limit is not documented; file systems stop at 255.
pub const LONGEST_NAME: usize = 255;

impl PartName {
    /// Takes a local base name as it is, or says why it cannot travel.
    ///
    /// # Errors
    /// [`Unfit`] with the reason, in words for a person.
    pub fn from_local(name: &[u8]) -> Result<Self, Unfit> {
        let text = std::str::from_utf8(name).map_err(|_| Unfit::NotUtf8)?;
        Self::from_text(text)
    }

    /// As [`PartName::from_local`], for a name that is text already (a row of the ledger, an answer of the cloud).
    ///
    /// # Errors
    /// [`Unfit`] with the reason, in words for a person.
    pub fn from_text(text: &str) -> Result<Self, Unfit> {
        if text.is_empty() || text.contains('/') {
            return Err(Unfit::NoName);
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(Unfit::Control(control));
        }
        if text.trim().is_empty() || text.len() > LONGEST_NAME {
            return Err(Unfit::Length(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartName {
    /// Escaped for display.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::key::shown(&self.0))
    }
}

/// Why a name cannot travel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its bytes are not UTF-8.
    #[error("the name is not UTF-8; rename the file")]
    NotUtf8,
    /// It holds a control character.
    #[error("the name holds the control character {}; rename the file", .0.escape_unicode())]
    Control(char),
    /// It is only white space, or longer than [`LONGEST_NAME`].
    #[error("the name is blank or too long ({0} bytes); rename the file")]
    Length(usize),
    /// It is empty or no single path component.
    #[error("the name is not a plain file name")]
    NoName,
}

/// The version that these parts make together.
#[must_use]
pub fn version_of(parts: &[Part]) -> Version {
    Version::of(parts.iter().map(|part| (part.name.as_str(), part.content.hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n9_a_name_that_would_break_a_part_header_does_not_travel() {
        assert_eq!(PartName::from_local(b"a\r\nb.obj"), Err(Unfit::Control('\r')));
        assert_eq!(PartName::from_local(b"\xff.obj"), Err(Unfit::NotUtf8));
        assert_eq!(PartName::from_local(b""), Err(Unfit::NoName));
        assert_eq!(PartName::from_local(b"a/b"), Err(Unfit::NoName));
        assert!(PartName::from_local(&[b'a'; 256]).is_err());
        assert!(PartName::from_local(b"   ").is_err());
    }

    #[test]
    fn a_name_with_quotes_spaces_or_other_scripts_travels_as_it_is() {
        for name in ["a \"b\".obj", "Größe 人.glb", "\u{202e}x.fbx"] {
            assert_eq!(PartName::from_local(name.as_bytes()).unwrap().as_str(), name);
        }
    }
}
