//! Which paths below a root are admitted: the mapping's own filter first, then the ignore files found in the tree.
//!
//! The walk and the answer for a single path share every judgement made here, so they cannot disagree. An ignore file
//! can only exclude what the mapping admits. One that cannot be obeyed makes what is below its directory unknown rather
//! than admitted: sending what somebody meant to keep back is worse than waiting.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::io::Errno;

use super::look::Kind;
use super::root::{Base, Root};
use super::{Error, kernel};
use crate::file::{RelPath, shown};
use crate::mapping::filter::IgnoredKind;
use crate::mapping::{Admission, Ignored, Mapping};

/// The name of the files that hold ignore rules for their directory and what is below it. They are never sent themselves.
pub const IGNORE_FILE: &str = ".versyncignore";

/// The longest ignore file that is obeyed, in bytes.
pub const LONGEST_IGNORE_FILE: usize = 64 << 10;

/// Whether the walk would admit what lies at `path` now. The same answer, by the same rules, for the one path.
///
/// # Errors
/// [`Error::Gone`] if nothing lies there, and whatever keeps the question open: [`Error::Denied`],
/// [`Error::IgnoreFile`], [`Error::Offline`] and the like.
pub fn admits(root: &Root, mapping: &Mapping, path: &RelPath) -> Result<Admission, Error> {
    let base = root.open()?;
    let told = |error: Error| match error {
        Error::Link { .. } => Ok(Admission::Ignored(ignored(IgnoredKind::Link))),
        Error::OtherFileSystem { .. } => Ok(Admission::Ignored(ignored(IgnoredKind::OtherFileSystem))),
        other => Err(other),
    };
    let rules = match approach(&base, mapping, path) {
        Ok(Approach::Open(rules)) => rules,
        Ok(Approach::Closed(why)) => return Ok(Admission::Ignored(why)),
        Err(error) => return told(error),
    };
    if path.is_root() {
        return Ok(Admission::Admitted);
    }
    match base.stat(path) {
        Ok(stat) => Ok(judge(mapping, &rules, path, stat.kind)),
        Err(error) => told(error),
    }
}

/// Whether the way to a path is open.
pub(super) enum Approach {
    /// Every directory on it is admitted; these rules hold in the last.
    Open(Rules),
    /// A directory on it is not.
    Closed(Ignored),
}

/// Goes down to the directory that holds `path`, through every directory on the way and its ignore file.
pub(super) fn approach(base: &Base<'_>, mapping: &Mapping, path: &RelPath) -> Result<Approach, Error> {
    let mut rules = Rules::default();
    if path.is_root() {
        return Ok(Approach::Open(rules));
    }
    let mut here = RelPath::root();
    let mut directory = base.directory(&here, kernel::PLACE)?;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        rules = rules.within(directory.as_fd(), &here)?;
        if names.peek().is_none() {
            break;
        }
        here = here.join(name).map_err(|_| Error::Gone { path: path.clone() })?;
        if let Admission::Ignored(why) = judge(mapping, &rules, &here, Kind::Directory) {
            return Ok(Approach::Closed(why));
        }
        directory = kernel::open_beneath(directory.as_fd(), name, kernel::PLACE)
            .map_err(|errno| Error::of(&here, errno))?;
    }
    Ok(Approach::Open(rules))
}

/// The one judgement on an entry whose directory is admitted. `rules` are those that hold in that directory.
pub(super) fn judge(mapping: &Mapping, rules: &Rules, path: &RelPath, kind: Kind) -> Admission {
    let admission = match kind {
        Kind::Link => return Admission::Ignored(ignored(IgnoredKind::Link)),
        Kind::Special => return Admission::Ignored(ignored(IgnoredKind::Special)),
        Kind::File if path.name() == IGNORE_FILE.as_bytes() => {
            return Admission::Ignored(ignored(IgnoredKind::IgnoreFile));
        }
        Kind::File => mapping.filter.admits_file(path),
        Kind::Directory => mapping.filter.admits_directory(path),
    };
    // What may only travel with a model does not if a person keeps it out.
    if !admission.may_travel() {
        return admission;
    }
    rules.exclude(path, kind).map_or(admission, Admission::Ignored)
}

/// What is ignored for what it is, whatever the mapping says.
pub(super) fn ignored(kind: IgnoredKind) -> Ignored {
    let rule = match kind {
        IgnoredKind::Link => "symbolic links are not followed",
        IgnoredKind::Special => "not a regular file",
        IgnoredKind::OtherFileSystem => "on another file system than the root",
        IgnoredKind::IgnoreFile => "an ignore file is not sent itself",
        IgnoredKind::Junk
        | IgnoredKind::Excluded
        | IgnoredKind::Unsupported
        | IgnoredKind::ByChoice
        | IgnoredKind::Companion => "",
    };
    Ignored { kind, rule: rule.to_owned() }
}

/// The ignore files that hold in a directory, the outermost first. Cheap to clone; empty in most trees.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Option<Arc<[Arc<Level>]>>);

#[derive(Debug)]
struct Level {
    /// How many bytes of a path below the root come before the part that the patterns see.
    skipped: usize,
    /// The ignore file, for a person.
    file: RelPath,
    matcher: Gitignore,
}

impl Rules {
    /// These rules and those of the ignore file in `directory`, if there is one.
    pub(super) fn within(&self, directory: BorrowedFd<'_>, path: &RelPath) -> Result<Self, Error> {
        let Ok(file) = path.join(IGNORE_FILE.as_bytes()) else { return Ok(self.clone()) };
        let Some(text) = read_ignore_file(directory, &file)? else { return Ok(self.clone()) };
        let level = Level {
            skipped: if path.is_root() { 0 } else { path.as_bytes().len() + 1 },
            matcher: compile(&text, &file)?,
            file,
        };
        let outer = self.0.as_deref().unwrap_or_default();
        Ok(Self(Some(outer.iter().cloned().chain([Arc::new(level)]).collect())))
    }

    /// The innermost file that has something to say decides, as with git.
    fn exclude(&self, path: &RelPath, kind: Kind) -> Option<Ignored> {
        let is_directory = kind == Kind::Directory;
        for level in self.0.as_deref()?.iter().rev() {
            let seen = Path::new(OsStr::from_bytes(&path.as_bytes()[level.skipped..]));
            match level.matcher.matched(seen, is_directory) {
                ignore::Match::None => {}
                ignore::Match::Whitelist(_) => return None,
                ignore::Match::Ignore(glob) => {
                    let line = glob.from().map(|line| format!(":{}", line.display())).unwrap_or_default();
                    let rule = format!("`{}` in {}{line}", shown(glob.original()), level.file);
                    return Some(Ignored { kind: IgnoredKind::IgnoreFile, rule });
                }
            }
        }
        None
    }
}

fn read_ignore_file(directory: BorrowedFd<'_>, path: &RelPath) -> Result<Option<String>, Error> {
    let refuse = |why: &str| Error::IgnoreFile { path: path.clone(), why: why.to_owned() };
    let fault = |errno| match errno {
        Errno::MFILE | Errno::NFILE => Error::Descriptors { path: path.clone() },
        other => refuse(&super::why(other)),
    };
    match kernel::stat_beneath(directory, IGNORE_FILE.as_bytes()) {
        Err(Errno::NOENT) => return Ok(None),
        // It is the directory that does not let us: nothing is wrong with a file of that name, if there is one.
        Err(Errno::ACCESS | Errno::PERM) => return Err(Error::Denied { path: path.parent() }),
        Err(errno) => return Err(fault(errno)),
        // A directory of that name is a directory like any other.
        Ok(stat) if stat.kind == Kind::Directory => return Ok(None),
        Ok(stat) if stat.kind != Kind::File => return Err(refuse("it is no regular file")),
        Ok(_) => {}
    }
    let file = match kernel::open_beneath(directory, IGNORE_FILE.as_bytes(), kernel::READING) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(fault)?,
    };
    let mut bytes = vec![0; LONGEST_IGNORE_FILE + 1];
    let length = kernel::fill(file.as_fd(), &mut bytes).map_err(fault)?;
    if length > LONGEST_IGNORE_FILE {
        return Err(refuse("it is longer than 64 KiB"));
    }
    bytes.truncate(length);
    String::from_utf8(bytes).map(Some).map_err(|_| refuse("it is not UTF-8"))
}

fn compile(text: &str, path: &RelPath) -> Result<Gitignore, Error> {
    let refuse = |why: &ignore::Error| Error::IgnoreFile { path: path.clone(), why: shown(&why.to_string()) };
    // Paths are given relative to the ignore file's own directory, so that its absolute path plays no part.
    let mut builder = GitignoreBuilder::new("");
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1_u32..) {
        // Where a pattern comes from is kept with it, and all ours come from one file: the line tells more.
        let from = Some(number.to_string().into());
        builder.add_line(from, line).map_err(|why| refuse(&why))?;
    }
    builder.build().map_err(|why| refuse(&why))
}
