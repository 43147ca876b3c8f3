//! What a mapping admits: junk first, then include and exclude patterns, then formats. Pure; nested ignore files are `disk`'s.

use std::collections::BTreeSet;

use crate::file::RelPath;

/// What a mapping admits.
#[derive(Debug, Clone)]
pub struct Filter {
    rules: Rules,
}

/// The rules as the configuration gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only what matches one of these patterns; everything, if there are none. Gitignore patterns, relative to the root.
    pub include: Vec<String>,
    /// Nothing that matches one of these patterns. Gitignore patterns, relative to the root.
    pub exclude: Vec<String>,
    /// Extensions (lower case, no dot) admitted although they are by choice only.
    pub formats: BTreeSet<String>,
    /// Nothing larger than this many bytes.
    pub max_file_size: Option<u64>,
}

impl Filter {
    /// Compiles the rules.
    ///
    /// # Errors
    /// [`BadPattern`] for the first pattern that cannot be read.
    pub fn new(rules: Rules) -> Result<Self, BadPattern> {
        Ok(Self { rules })
    }

    /// The rules as they were given.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether a regular file is ours to send.
    #[must_use]
    pub fn admits_file(&self, _path: &RelPath) -> Admission {
        Admission::Admitted
    }

    /// Whether a directory is worth entering.
    #[must_use]
    pub fn admits_directory(&self, _path: &RelPath) -> Admission {
        Admission::Admitted
    }
}

/// Whether something is ours to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It is.
    Admitted,
    /// It is not.
    Ignored(Ignored),
}

/// Why something is not ours to send: counted, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// In which of the counts.
    pub kind: IgnoredKind,
    /// The rule, in words for a person: which pattern, which list.
    pub rule: String,
}

/// The counts of what is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IgnoredKind {
    /// Left behind by an operating system, an editor or a version control system.
    Junk,
    /// Excluded, or not included, by the configuration.
    Excluded,
    /// Excluded by a `.versyncignore` file.
    IgnoreFile,
    /// Of a format that the cloud does not list.
    Unsupported,
    /// Of a format that is sent only where the configuration asks for it.
    ByChoice,
    /// A companion (`.mtl`, `.bin`) that no model carries.
    Companion,
    /// A symbolic link.
    Link,
    /// No regular file: a FIFO, a socket, a device.
    Special,
    /// A directory on another file system.
    OtherFileSystem,
}

impl IgnoredKind {
    /// Every kind, in the order in which a summary lists them.
    pub const ALL: [Self; 9] = [
        Self::Junk,
        Self::Excluded,
        Self::IgnoreFile,
        Self::Unsupported,
        Self::ByChoice,
        Self::Companion,
        Self::Link,
        Self::Special,
        Self::OtherFileSystem,
    ];

    /// The word that the command line and `--json` use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Junk => "junk",
            Self::Excluded => "excluded",
            Self::IgnoreFile => "ignore_file",
            Self::Unsupported => "unsupported",
            Self::ByChoice => "by_choice",
            Self::Companion => "companion",
            Self::Link => "link",
            Self::Special => "special",
            Self::OtherFileSystem => "other_file_system",
        }
    }
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the pattern `{pattern}`: {why}")]
pub struct BadPattern {
    /// The pattern as it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}
