//! What looking a name up comes to: files and the rules that found them, or where it was looked and what helps.

use crate::file::RelPath;

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// To these files, several only for tiles and frames.
    Found(Found),
    /// Nowhere.
    Missing {
        /// Where it was looked for, in order.
        tried: Vec<RelPath>,
        /// The base names that it was looked for by everywhere: a file of such a name may change the outcome.
        sought: Vec<Vec<u8>>,
        /// What probably helps.
        likely: Cure,
    },
    /// To what another program resolves: the scheme of its URI (`http`, `model`).
    Elsewhere(String),
}

/// The files that a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The files, sorted, at least one.
    pub paths: Vec<RelPath>,
    /// How they were found.
    pub how: How,
    /// The base names that it was looked for by everywhere: a file of such a name may change the outcome.
    pub sought: Vec<Vec<u8>>,
    /// Other files that it could be taken for by now, if it is only kept because it was sent.
    pub rivals: Vec<RelPath>,
}

impl Found {
    /// Files that were found by what the name says, whatever else is called so.
    #[must_use]
    pub(super) fn at(paths: Vec<RelPath>, how: How) -> Self {
        Self { paths, how, sought: Vec::new(), rivals: Vec::new() }
    }
}

/// The rules, beyond the plain one, by which a name was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct How(pub(super) Vec<Step>);

impl How {
    /// The rules, in the order in which they were needed.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether it is a guess by convention, which no specification covers.
    #[must_use]
    pub fn is_guess(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Basename | Step::Suffix | Step::Anywhere | Step::Kept))
    }

    /// The same with one more rule behind.
    #[must_use]
    pub fn and(mut self, step: Step) -> Self {
        if !self.0.contains(&step) {
            self.0.push(step);
        }
        self
    }
}

/// A rule by which a name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// `%20` was read as what it stands for.
    Percent,
    /// `\` was read as `/`.
    Backslash,
    /// Only the case differs.
    Case,
    /// The path climbs.
    DotDot,
    /// A `file:` URI.
    FileUri,
    /// Blender's `//`: relative to its file.
    BlendRelative,
    /// A tile of a UDIM set.
    Udim,
    /// A frame of a numbered sequence.
    Sequence,
    /// White space around the name was left out.
    OuterSpaces,
    /// One of several names in one line.
    MultiMtllib,
    /// Known only by the referring file's stem.
    Implied,
    /// Bytes of one letter each were read as text.
    Encoding,
    /// `\ ` was read as a space.
    Escape,
    /// An absolute path that lies below the root.
    Rooted,
    /// An absolute path of another machine.
    Absolute,
    /// A relative path whose directory is not there.
    WrongDir,
    /// By its last component.
    Basename,
    /// By its last components.
    Suffix,
    /// The only file of that name in the mapping.
    Anywhere,
    /// By its last component, as before: the file that was sent, although others could be meant by now.
    Kept,
    /// The first path given for the file led nowhere, another one did.
    FallbackFromFirstPath,
}

impl Step {
    /// The word that the command line and `--json` use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Percent => "percent",
            Self::Backslash => "backslash",
            Self::Case => "case",
            Self::DotDot => "dotdot",
            Self::FileUri => "file-uri",
            Self::BlendRelative => "blend-//",
            Self::Udim => "udim",
            Self::Sequence => "sequence",
            Self::OuterSpaces => "outer-spaces",
            Self::MultiMtllib => "multi-mtllib",
            Self::Implied => "implied",
            Self::Encoding => "encoding",
            Self::Escape => "escape",
            Self::Rooted => "rooted",
            Self::Absolute => "absolute",
            Self::WrongDir => "wrong-dir",
            Self::Basename => "basename",
            Self::Suffix => "suffix",
            Self::Anywhere => "anywhere",
            Self::Kept => "kept",
            Self::FallbackFromFirstPath => "fallback-from-first-path",
        }
    }
}

/// What probably helps against a missing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cure {
    /// An absolute path of another machine: export with relative paths, or put the file beside the model.
    ExportRelative,
    /// The path leads out of the root: move the file below it, or map a directory further up.
    EnlargeMapping,
    /// Files of that name lie here: refer to one, or move it.
    Move(Vec<RelPath>),
    /// The only file of that name in the mapping lies here, and nobody has searched so far: `search = "mapping"` takes it.
    Search(RelPath),
    /// Several files of that name lie here, and nobody knows which is meant.
    Choose(Vec<RelPath>),
    /// It is a directory.
    NameAFile,
    /// It was never delivered.
    Deliver,
}

impl std::fmt::Display for Cure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ExportRelative => f.write_str(
                "it is an absolute path of another machine: export with relative paths, or put the file beside the model",
            ),
            Self::EnlargeMapping => {
                f.write_str("it leads out of the root: move the file below the root, or map a directory further up")
            }
            Self::Move(paths) => {
                f.write_str("a file of that name lies elsewhere; refer to it, or move it: ")?;
                listed(f, paths)
            }
            Self::Search(path) => write!(
                f,
                "the only file of that name lies elsewhere; refer to it, move it, or set `search = \"mapping\"`: {path}"
            ),
            Self::Choose(paths) => {
                f.write_str("several files have that name; refer to one, or put it beside the model: ")?;
                listed(f, paths)
            }
            Self::NameAFile => f.write_str("it is a directory"),
            Self::Deliver => f.write_str("put the file there, or remove the reference"),
        }
    }
}

/// The first few of these paths.
fn listed(f: &mut std::fmt::Formatter<'_>, paths: &[RelPath]) -> std::fmt::Result {
    for (position, path) in paths.iter().take(3).enumerate() {
        write!(f, "{}{path}", if position > 0 { ", " } else { "" })?;
    }
    if paths.len() > 3 { f.write_str(" and more") } else { Ok(()) }
}
