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

/// A file name that is fit to travel: UTF-8, not empty, without control characters. It may stand behind directories, joined by
/// `/`, none of which is `.` or `..`: a server might follow those.
///
/// A control character would break the header of its part (measured with reqwest 0.13: a newline goes out raw).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName(Arc<str>);

/// The longest component of a part name that is sent, in bytes of UTF-8. The cloud's own limit is not documented; file systems
/// stop at 255.
pub const LONGEST_NAME: usize = 255;

/// The longest part name with its directories, in bytes.
const LONGEST_PATH: usize = 1024;

/// What stands for a step up in a part name.
const UP: &str = "_up";

impl PartName {
    /// Takes a local base name as it is, or says why it cannot travel.
    ///
    /// # Errors
    /// [`Unfit`] with the reason, in words for a person.
    pub fn from_local(name: &[u8]) -> Result<Self, Unfit> {
        if name.contains(&b'/') {
            return Err(Unfit::NoName);
        }
        let text = std::str::from_utf8(name).map_err(|_| Unfit::NotUtf8)?;
        Self::from_text(text)
    }

    /// The path of a member relative to the directory of its lead.
    ///
    /// A step up is called `_up`. A directory or file of the disk that is called so where it could be mistaken for one gets one
    /// more `_` in front, as does one that is called like that: two members never get one name, and none is called `..`.
    ///
    /// # Errors
    /// [`Unfit`] with the reason, in words for a person.
    pub fn relative(member: &RelPath, lead: &RelPath) -> Result<Self, Unfit> {
        let home = lead.parent();
        let (home, path): (Vec<_>, Vec<_>) = (home.components().collect(), member.components().collect());
        let directories = path.len().saturating_sub(1);
        let common = home.iter().zip(&path[..directories]).take_while(|(one, other)| one == other).count();
        let mut name = vec![UP; home.len() - common].join("/");
        for (position, component) in path[common..].iter().enumerate() {
            let text = std::str::from_utf8(component).map_err(|_| Unfit::NotUtf8)?;
            if !name.is_empty() {
                name.push('/');
            }
            if position == 0 && text.trim_start_matches('_') == &UP[1..] && text.starts_with('_') {
                name.push('_');
            }
            name.push_str(text);
        }
        Self::from_text(&name)
    }

    /// As [`PartName::from_local`], for a name that is text already (a row of the ledger), perhaps behind directories.
    ///
    /// # Errors
    /// [`Unfit`] with the reason, in words for a person.
    pub fn from_text(text: &str) -> Result<Self, Unfit> {
        if text.split('/').any(|component| matches!(component, "" | "." | "..")) {
            return Err(Unfit::NoName);
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(Unfit::Control(control));
        }
        let unfit = |component: &str| component.trim().is_empty() || component.len() > LONGEST_NAME;
        if text.len() > LONGEST_PATH || text.split('/').any(unfit) {
            return Err(Unfit::Length(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// The last component: what is left of the name in a cloud that cuts directories off.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether directories stand before it.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.0.contains('/')
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

/// The part that a cloud means by a name: that of this very name, else the only one that is called so without its directories.
#[must_use]
pub fn called<'p>(parts: &'p [Part], told: &str) -> Option<&'p Part> {
    let exact = parts.iter().find(|part| part.name.as_str() == told);
    exact.or_else(|| {
        let mut cut = parts.iter().filter(|part| part.name.base() == told);
        cut.next().filter(|_| cut.next().is_none())
    })
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

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_name_of_a_member_is_its_path_from_its_lead_and_never_climbs() {
        for (member, lead, name) in [
            ("m.png", "m.gltf", "m.png"),
            ("a/m.png", "a/m.gltf", "m.png"),
            ("a/tex/m.png", "a/m.gltf", "tex/m.png"),
            ("a/tex/m.png", "m.gltf", "a/tex/m.png"),
            ("shared/m.png", "a/m.gltf", "_up/shared/m.png"),
            ("m.png", "a/b/m.gltf", "_up/_up/m.png"),
            ("a/c/m.png", "a/b/m.gltf", "_up/c/m.png"),
            ("a/_up/m.png", "a/m.gltf", "__up/m.png"),
            ("a/__up/m.png", "a/m.gltf", "___up/m.png"),
            ("_up/m.png", "a/m.gltf", "_up/__up/m.png"),
            ("_up", "a/m.gltf", "_up/__up"),
            ("a/x/_up/m.png", "a/m.gltf", "x/_up/m.png"),
            ("a/_upper/up/m.png", "a/m.gltf", "_upper/up/m.png"),
            ("a/up/m.png", "a/m.gltf", "up/m.png"),
        ] {
            assert_eq!(PartName::relative(&path(member), &path(lead)).unwrap().as_str(), name, "{member}");
        }
        let latin = RelPath::from_bytes(b"a/\xff/m.png").unwrap();
        assert_eq!(PartName::relative(&latin, &path("a/m.gltf")), Err(Unfit::NotUtf8));
        let long = path(&format!("{}/m.png", vec!["long"; 300].join("/")));
        assert!(matches!(PartName::relative(&long, &path("m.gltf")), Err(Unfit::Length(_))));
    }

    proptest::proptest! {
        #[test]
        fn two_members_never_get_one_name_and_a_name_survives_the_ledger(
            one in proptest::collection::vec("_{0,3}up|a|b|c[.]png", 1..5),
            other in proptest::collection::vec("_{0,3}up|a|b|c[.]png", 1..5),
            lead in proptest::collection::vec("_{0,2}up|a|b", 0..4),
        ) {
            let lead = path(&[lead, vec!["lead.gltf".to_owned()]].concat().join("/"));
            let (one, other) = (path(&one.join("/")), path(&other.join("/")));
            let name = |member: &RelPath| PartName::relative(member, &lead).unwrap();
            proptest::prop_assert_eq!(one == other, name(&one) == name(&other));
            proptest::prop_assert!(name(&one).as_str() != "lead.gltf");
            proptest::prop_assert_eq!(PartName::from_text(name(&one).as_str()).unwrap(), name(&one));
        }
    }

    #[test]
    fn a_name_that_a_cloud_has_cut_is_known_where_only_one_part_can_be_meant() {
        let content = Content { hash: crate::file::ContentHash([0; 32]), size: 1 };
        let part = |name: &str| Part { name: PartName::from_text(name).unwrap(), path: path("x"), content };
        let parts = [part("m.gltf"), part("a/t.png"), part("b/t.png"), part("c/u.png"), part("u.png")];
        let told = |name: &str| called(&parts, name).map(|part| part.name.as_str());
        assert_eq!(told("a/t.png"), Some("a/t.png"));
        assert_eq!(told("t.png"), None, "it may be either");
        assert_eq!(told("u.png"), Some("u.png"));
        assert_eq!(told("m.gltf"), Some("m.gltf"));
        assert_eq!(called(&parts[..4], "u.png").map(|part| part.name.as_str()), Some("c/u.png"));
    }

    #[test]
    fn a_name_with_quotes_spaces_or_other_scripts_travels_as_it_is() {
        for name in ["a \"b\".obj", "Größe 人.glb", "\u{202e}x.fbx"] {
            assert_eq!(PartName::from_local(name.as_bytes()).unwrap().as_str(), name);
        }
    }
}
