//! What a mapping admits: junk first, then include and exclude patterns, then formats. Pure; nested ignore files are `disk`'s.
//!
//! It is asked for every entry of trees of a million files, so what is admitted costs no allocation, and patterns cost
//! only where the configuration has some. One path asked alone gets the answer that a walk from the root, which never
//! enters what [`Filter::admits_directory`] refuses, would have come to.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::file::RelPath;
use crate::mapping::format::{self, Standing};
use crate::mapping::junk::{self, Junk};

/// What a mapping admits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Filter {
    compiled: Arc<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    rules: Rules,
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
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
        let include = compile(&rules.include)?;
        let exclude = compile(&rules.exclude)?;
        Ok(Self { compiled: Arc::new(Compiled { rules, include, exclude }) })
    }

    /// The rules as they were given.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.compiled.rules
    }

    /// Whether a regular file is ours to send, from its path alone: every directory above it is asked about too.
    #[must_use]
    pub fn admits_file(&self, path: &RelPath) -> Admission {
        match self.refused_above(path.as_bytes()) {
            Some(ignored) => Admission::Ignored(ignored),
            None => self.admits_leaf(path),
        }
    }

    /// The same for a walk that has asked [`Self::admits_directory`] about every directory on its way down.
    #[must_use]
    pub fn admits_leaf(&self, path: &RelPath) -> Admission {
        let refused = junk::file(path.name())
            .map(|line| junked(line, None))
            .or_else(|| self.not_included(path))
            .or_else(|| self.excluded(path.as_bytes(), Kind::File))
            .or_else(|| self.format_refused(path.name()));
        refused.map_or(Admission::Admitted, Admission::Ignored)
    }

    /// Whether a directory is worth entering. The root always is.
    #[must_use]
    pub fn admits_directory(&self, path: &RelPath) -> Admission {
        let bytes = path.as_bytes();
        let refused = self.refused_above(bytes).or_else(|| self.directory_refused(bytes));
        refused.map_or(Admission::Admitted, Admission::Ignored)
    }

    /// The limit that a file of `size` bytes breaks, if it breaks it. Such a file is `blocked`, not ignored.
    #[must_use]
    pub fn too_large(&self, size: u64) -> Option<u64> {
        self.compiled.rules.max_file_size.filter(|limit| size > *limit)
    }

    /// The topmost directory above `path` that is refused. From the top down, because below an excluded directory no
    /// later pattern can bring anything back: that is gitignore's rule, and what a walk does that prunes.
    fn refused_above(&self, path: &[u8]) -> Option<Ignored> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(at, _)| &path[..at]).find_map(|directory| self.directory_refused(directory))
    }

    fn directory_refused(&self, path: &[u8]) -> Option<Ignored> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let junk = junk::directory(name).map(|line| junked(line, Some(path)));
        junk.or_else(|| self.excluded(path, Kind::Directory))
    }

    fn excluded(&self, path: &[u8], kind: Kind) -> Option<Ignored> {
        let exclude = self.compiled.exclude.as_ref().filter(|_| !path.is_empty())?;
        match exclude.matched(as_path(path), kind == Kind::Directory) {
            Match::None | Match::Whitelist(_) => None,
            Match::Ignore(glob) => {
                let below = match kind {
                    Kind::File => String::new(),
                    Kind::Directory => format!(", by the directory {}", displayed(path)),
                };
                let rule = format!("`{}` of `exclude`{below}", glob.original());
                Some(Ignored { kind: IgnoredKind::Excluded, rule })
            }
        }
    }

    /// A file is included by itself or by a directory above it. Directories are never refused for want of inclusion: a
    /// pattern such as `*.fbx` may match anywhere below.
    fn not_included(&self, path: &RelPath) -> Option<Ignored> {
        let include = self.compiled.include.as_ref()?;
        let rule = match include.matched_path_or_any_parents(path.as_path(), false) {
            Match::Ignore(_) => return None,
            Match::None => "no pattern of `include` matches".to_owned(),
            Match::Whitelist(glob) => format!("`{}` of `include`", glob.original()),
        };
        Some(Ignored { kind: IgnoredKind::Excluded, rule })
    }

    fn format_refused(&self, name: &[u8]) -> Option<Ignored> {
        let mut buffer = [0; LONGEST_EXTENSION];
        let Some(extension) = extension(name, &mut buffer) else {
            return Some(unsupported(name));
        };
        match format::standing(extension) {
            Standing::Lead(_) => None,
            Standing::OptIn(_) if self.compiled.rules.formats.contains(extension) => None,
            Standing::OptIn(_) => Some(Ignored {
                kind: IgnoredKind::ByChoice,
                rule: format!("`.{extension}` is sent only where `formats` names it"),
            }),
            Standing::Companion => Some(Ignored {
                kind: IgnoredKind::Companion,
                rule: format!("`.{extension}` travels only with a model that refers to it"),
            }),
            Standing::Unlisted => Some(unsupported(name)),
        }
    }
}

/// What kind of thing a pattern is held against; gitignore's `name/` means directories alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
}

fn compile(patterns: &[String]) -> Result<Option<Gitignore>, BadPattern> {
    if patterns.is_empty() {
        return Ok(None);
    }
    // With "." as its root the matcher takes paths as they are, relative, and cuts nothing off them.
    let mut builder = GitignoreBuilder::new(".");
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        let bad = |why: String| BadPattern { pattern: pattern.clone(), why };
        // The builder would silently skip these, and a pattern that does nothing is a mistake somebody made.
        if pattern.trim().is_empty() || pattern.trim() == "/" || pattern.trim() == "!" {
            return Err(bad("it matches nothing".to_owned()));
        }
        if pattern.starts_with('#') {
            return Err(bad("it is a comment; write `\\#` for a name that starts with `#`".to_owned()));
        }
        builder.add_line(None, pattern).map_err(|error| match error {
            ignore::Error::Glob { err, .. } => bad(err),
            other => bad(other.to_string()),
        })?;
    }
    let set = builder
        .build()
        .map_err(|error| BadPattern { pattern: patterns.join("`, `"), why: error.to_string() })?;
    Ok(Some(set))
}

/// No extension that `format` lists is longer.
const LONGEST_EXTENSION: usize = 16;

/// [`RelPath::extension`] without an allocation; nothing, if there is none or no list could hold it.
fn extension<'b>(name: &[u8], buffer: &'b mut [u8]) -> Option<&'b str> {
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    let lower = junk::lower_into(&name[dot + 1..], buffer).filter(|lower| lower.is_ascii())?;
    std::str::from_utf8(lower).ok().filter(|extension| !extension.is_empty())
}

fn unsupported(name: &[u8]) -> Ignored {
    let rule = match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => format!("the cloud does not list `{}`", displayed(&name[dot..])),
        Some(_) | None => "the name has no extension".to_owned(),
    };
    Ignored { kind: IgnoredKind::Unsupported, rule }
}

fn junked(line: Junk, directory: Option<&[u8]>) -> Ignored {
    let below = directory.map(|path| format!(", by the directory {}", displayed(path))).unwrap_or_default();
    let rule = format!("`{}` of the built-in list: {}{below}", line.pattern.escape_debug(), line.reason);
    Ignored { kind: IgnoredKind::Junk, rule }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Escaped for a person, as [`RelPath`] shows itself.
fn displayed(bytes: &[u8]) -> String {
    RelPath::from_bytes(bytes).map(|path| path.to_string()).unwrap_or_default()
}

/// Whether something is ours to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It is.
    Admitted,
    /// It is not.
    Ignored(Ignored),
}

impl Admission {
    /// Whether a file may travel with a model that refers to it.
    #[must_use]
    pub fn may_travel(&self) -> bool {
        match self {
            Self::Admitted => true,
            Self::Ignored(ignored) => ignored.may_travel(),
        }
    }
}

/// Why something is not ours to send: counted, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// In which of the counts.
    pub kind: IgnoredKind,
    /// The rule, in words for a person: which pattern, which list.
    pub rule: String,
}

impl Ignored {
    /// Whether it may travel with a model that refers to it. Whether the cloud lists a format says which files lead; a member
    /// goes with its model whatever it is. Nobody looks into what other tools keep for themselves, so a change there would
    /// never be noticed; and what a person keeps out stays out.
    #[must_use]
    pub fn may_travel(&self) -> bool {
        match self.kind {
            IgnoredKind::Unsupported | IgnoredKind::ByChoice | IgnoredKind::Companion => true,
            IgnoredKind::Junk
            | IgnoredKind::Excluded
            | IgnoredKind::IgnoreFile
            | IgnoredKind::Link
            | IgnoredKind::Special
            | IgnoredKind::OtherFileSystem => false,
        }
    }
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

#[cfg(test)]
mod tests;
