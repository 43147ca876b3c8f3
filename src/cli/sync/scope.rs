//! What a `sync` is about: mappings by name, and files or directories by path. Pure but for the paths that it resolves.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::cli::failure::{Exit, Failure};
use crate::file::{MappingName, RelPath, shown};
use crate::mapping::Mapping;

/// What a `sync` is about, without anything twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Scope(Vec<(MappingName, RelPath)>);

impl Scope {
    /// All of these mappings.
    pub(in crate::cli) fn everything(mappings: &[Mapping]) -> Self {
        Self(mappings.iter().map(|mapping| (mapping.name.clone(), RelPath::root())).collect())
    }

    /// One thing alone.
    pub(super) fn only(mapping: MappingName, path: RelPath) -> Self {
        Self(vec![(mapping, path)])
    }

    /// What the words of a command line name; everything, if there are none. A mapping's name goes before a path.
    ///
    /// # Errors
    /// The first word that names neither a mapping nor anything below a root.
    pub(in crate::cli) fn of(words: &[OsString], mappings: &[Mapping]) -> Result<Self, Failure> {
        if words.is_empty() {
            return Ok(Self::everything(mappings));
        }
        let mut named = Vec::new();
        for word in words {
            let found = one(word, mappings);
            if found.is_empty() {
                return Err(stranger(word, mappings));
            }
            named.extend(found);
        }
        let mut scope: Vec<(MappingName, RelPath)> = Vec::new();
        for (name, path) in named {
            let covers = |(other, above): &(MappingName, RelPath)| *other == name && path.is_below(above);
            if scope.iter().any(covers) {
                continue;
            }
            scope.retain(|(other, below)| *other != name || !below.is_below(&path));
            scope.push((name, path));
        }
        Ok(Self(scope))
    }

    /// Where to look: whole mappings by the root's path.
    pub(in crate::cli) fn targets(&self) -> &[(MappingName, RelPath)] {
        &self.0
    }

    /// Whether anything of a mapping is in scope.
    pub(in crate::cli) fn concerns(&self, mapping: &MappingName) -> bool {
        self.0.iter().any(|(name, _)| name == mapping)
    }

    /// Whether all of a mapping is in scope.
    pub(in crate::cli) fn is_whole(&self, mapping: &MappingName) -> bool {
        self.0.iter().any(|(name, path)| name == mapping && path.is_root())
    }
}

fn one(word: &OsString, mappings: &[Mapping]) -> Vec<(MappingName, RelPath)> {
    if let Some(mapping) = mappings.iter().find(|mapping| word.to_str() == Some(mapping.name.as_str())) {
        return vec![(mapping.name.clone(), RelPath::root())];
    }
    // As it is written first: a root may be reached through a link, and what lies below it may be one.
    let Ok(written) = std::path::absolute(word) else { return Vec::new() };
    let found = below(&tidied(&written), mappings, |mapping| mapping.root.clone());
    if !found.is_empty() {
        return found;
    }
    below(&resolved(&written), mappings, |mapping| resolved(&mapping.root))
}

/// The mapping whose root `path` lies in, or all whose roots lie below it.
fn below(
    path: &Path,
    mappings: &[Mapping],
    root: impl Fn(&Mapping) -> PathBuf,
) -> Vec<(MappingName, RelPath)> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut found = Vec::new();
    for mapping in mappings {
        let root = root(mapping);
        if let Ok(inside) = path.strip_prefix(&root)
            && let Ok(inside) = RelPath::from_bytes(inside.as_os_str().as_bytes())
        {
            return vec![(mapping.name.clone(), inside)];
        }
        if root.starts_with(path) {
            found.push((mapping.name.clone(), RelPath::root()));
        }
    }
    found
}

/// Without `..`, as a shell would write it. Wrong behind a link to a directory, which is what [`resolved`] is for.
fn tidied(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                tidy.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => tidy.push(component),
        }
    }
    tidy
}

/// With the links on the way followed, as far as it exists: the last thing that was there may be gone by now.
fn resolved(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(parent), Some(name)) => resolved(parent).join(name),
        (Err(_), None, _) | (Err(_), _, None) => path.to_owned(),
    }
}

fn stranger(word: &OsString, mappings: &[Mapping]) -> Failure {
    let known: Vec<_> = mappings
        .iter()
        .map(|mapping| format!("{} ({})", mapping.name, shown(&mapping.root.to_string_lossy())))
        .collect();
    Failure::new(
        Exit::Usage,
        format!(
            "failed to find {}: it names no mapping and lies in no mapping's root",
            shown(&word.to_string_lossy())
        ),
    )
    .hint(format!("the mappings are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::FolderId;
    use crate::mapping::filter::Rules;
    use crate::mapping::{Filter, Layout, Policy};

    fn mapping(name: &str, root: &Path) -> Mapping {
        Mapping {
            name: MappingName::new(name),
            root: root.to_owned(),
            folder: FolderId::from_uuid(uuid::Uuid::from_u128(1)),
            layout: Layout::Mirror,
            filter: Filter::new(Rules::default()).unwrap(),
            policy: Policy::default(),
        }
    }

    fn of(words: &[&str], mappings: &[Mapping]) -> Result<Vec<String>, String> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let scope = Scope::of(&words, mappings).map_err(|failure| failure.heading().to_owned())?;
        Ok(scope.targets().iter().map(|(name, path)| format!("{name}:{path}")).collect())
    }

    fn two() -> [Mapping; 2] {
        [
            mapping("props", Path::new("/nowhere/studio/props")),
            mapping("sets", Path::new("/nowhere/studio/sets")),
        ]
    }

    #[test]
    fn nothing_named_is_everything() {
        assert_eq!(of(&[], &two()).unwrap(), ["props:.", "sets:."]);
    }

    #[test]
    fn a_mapping_is_named_by_its_name_or_by_a_path_in_it_or_above_it() {
        assert_eq!(of(&["sets"], &two()).unwrap(), ["sets:."]);
        assert_eq!(of(&["/nowhere/studio/sets/a/b.fbx"], &two()).unwrap(), ["sets:a/b.fbx"]);
        assert_eq!(of(&["/nowhere/studio/sets/a/../b.fbx"], &two()).unwrap(), ["sets:b.fbx"]);
        assert_eq!(of(&["/nowhere/studio"], &two()).unwrap(), ["props:.", "sets:."]);
    }

    #[test]
    fn what_lies_in_something_named_is_not_named_twice() {
        let words = ["/nowhere/studio/sets/a", "/nowhere/studio/sets/a/b", "sets", "sets"];
        assert_eq!(of(&words, &two()).unwrap(), ["sets:."]);
    }

    #[test]
    fn a_word_that_names_nothing_is_refused() {
        for word in ["stes", "/nowhere/studio/setsquare", "/nowhere/studio/sets/../../x"] {
            assert!(of(&[word], &two()).unwrap_err().contains("names no mapping"), "{word}");
        }
    }

    #[test]
    fn a_root_is_recognised_through_a_link_and_a_missing_file_below_it_too() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("disk");
        std::fs::create_dir_all(real.join("props")).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("studio")).unwrap();
        let mappings = [mapping("props", &dir.path().join("studio/props"))];
        let gone = real.join("props/gone.fbx");
        assert_eq!(of(&[gone.to_str().unwrap()], &mappings).unwrap(), ["props:gone.fbx"]);
    }
}
