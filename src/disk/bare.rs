//! Whether a root holds anything at all: an empty one is more often a disk that is not there than a studio that threw all
//! of its work away. Judges by the mapping's own rules; knows no ledger.

use std::ops::ControlFlow;
use std::os::fd::AsFd as _;

use rustix::fs::FileType;

use super::look::Kind;
use super::root::Root;
use super::rules::{Rules, judge};
use super::{Error, kernel};
use crate::file::RelPath;
use crate::mapping::filter::IgnoredKind;
use crate::mapping::{Admission, Mapping};

/// Whether nothing lies in the root but junk and ignore files. What a filter excludes counts as something. Stops at the
/// first entry that is something, so it costs next to nothing where the root is as it should be.
///
/// # Errors
/// [`Error::Offline`] if the root is away, and what else the system says of listing it.
pub fn is_bare(root: &Root, mapping: &Mapping) -> Result<bool, Error> {
    let fault = |errno| Error::of(&RelPath::root(), errno);
    let directory = root.open()?.directory(&RelPath::root(), kernel::LISTING)?;
    let ended = kernel::Names::default()
        .each(directory.as_fd(), |name, kind| {
            let Ok(path) = RelPath::root().join(name.to_bytes()) else { return ControlFlow::Break(()) };
            let kind = match kind {
                FileType::Unknown => match kernel::stat_at(directory.as_fd(), name) {
                    Ok(stat) => stat.kind,
                    Err(_) => return ControlFlow::Break(()),
                },
                told => Kind::of(told),
            };
            match judge(mapping, &Rules::default(), &path, kind) {
                Admission::Ignored(why)
                    if matches!(why.kind, IgnoredKind::Junk | IgnoredKind::IgnoreFile) =>
                {
                    ControlFlow::Continue(())
                }
                Admission::Admitted | Admission::Ignored(_) => ControlFlow::Break(()),
            }
        })
        .map_err(fault)?;
    Ok(matches!(ended, ControlFlow::Continue(())))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{tree, write};
    use super::*;
    use crate::file::MappingName;
    use crate::id::FolderId;
    use crate::mapping::filter::Rules as FilterRules;
    use crate::mapping::{Filter, Layout, Policy};

    #[test]
    fn a_root_is_bare_if_only_junk_lies_in_it() {
        let (dir, root) = tree();
        let mapping = Mapping {
            name: MappingName::new("m"),
            root: root.path().to_owned(),
            folder: FolderId::from_uuid(uuid::Uuid::nil()),
            layout: Layout::Mirror,
            filter: Filter::new(FilterRules::default()).unwrap(),
            policy: Policy::default(),
        };
        assert!(is_bare(&root, &mapping).unwrap());
        write(dir.path(), ".DS_Store", "x");
        write(dir.path(), "lost+found/x.fbx", "x");
        assert!(is_bare(&root, &mapping).unwrap());
        write(dir.path(), "notes.txt", "x");
        assert!(!is_bare(&root, &mapping).unwrap());
    }
}
