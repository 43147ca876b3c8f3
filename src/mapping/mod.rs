//! A mapping: one local root directory tied to one 3dverse folder, with what it admits and how it treats what changes.
//!
//! `config` makes mappings; the rules and the flows read them. Nothing here touches the disk.

pub mod filter;
pub mod format;
pub mod junk;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::file::{Key, MappingName, RelPath};
use crate::id::FolderId;

pub use filter::{Admission, Filter, Ignored};

/// One local root directory tied to one 3dverse folder.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Its name, unique in the configuration.
    pub name: MappingName,
    /// The local root: absolute, as the configuration gives it.
    pub root: PathBuf,
    /// The remote folder.
    pub folder: FolderId,
    /// How directories below the root appear remotely.
    pub layout: Layout,
    /// What it admits.
    pub filter: Filter,
    /// How it treats what it admits.
    pub policy: Policy,
}

impl Mapping {
    /// The key of the bundle whose lead is `path`.
    #[must_use]
    pub fn key(&self, path: RelPath) -> Key {
        Key::new(self.name.clone(), path)
    }

    /// The path below the root that `absolute` names, if it names one: a plain comparison of components.
    #[must_use]
    pub fn relative(&self, absolute: &Path) -> Option<RelPath> {
        use std::os::unix::ffi::OsStrExt as _;
        let below = absolute.strip_prefix(&self.root).ok()?;
        RelPath::from_bytes(below.as_os_str().as_bytes()).ok()
    }

    /// What a person agrees to who lets this mapping take remote files away: another root, folder, filter or policy is another
    /// agreement.
    #[must_use]
    pub fn terms(&self) -> String {
        let Policy { on_change, keep_versions, on_delete, .. } = &self.policy;
        format!(
            "{:?} {} {:?} {:?} {} {keep_versions} {}",
            self.root,
            self.folder,
            self.layout,
            self.filter.rules(),
            on_change.word(),
            on_delete.word()
        )
    }

    /// The directory whose remote folder takes the bundle of `lead`.
    #[must_use]
    pub fn shelf_of(&self, lead: &RelPath) -> RelPath {
        match self.layout {
            Layout::Mirror => lead.parent(),
            Layout::Flat => RelPath::root(),
        }
    }
}

/// How directories below the root appear remotely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Each directory that holds a lead is a subfolder of the same name.
    #[default]
    Mirror,
    /// Everything goes into the mapping's folder itself.
    Flat,
}

/// How a mapping treats what it admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a file must stand still after it was closed by its writer before it is read.
    pub settle: Duration,
    /// How long it is waited for a file that never rests before that is told.
    pub settle_max: Duration,
    /// How long a path must stay away before it counts as gone.
    pub delete_settle: Duration,
    /// How often the tree is walked although no event asked for it; jittered by a quarter either way.
    pub rescan_interval: Duration,
    /// How changes are noticed.
    pub watch: Watch,
    /// Whether links to files are followed.
    pub symlinks: Symlinks,
    /// What is done about a remote file of the same name and size when a path is sent for the first time.
    pub adopt: Adopt,
    /// How long after a model was touched it is waited for files that it refers to and that are not there.
    pub bundle_wait: Duration,
    /// What becomes of a model that is still not whole then.
    pub on_missing: OnMissing,
    /// How the members of a bundle are called in its request.
    pub part_names: PartNames,
    /// How far a file is searched that is not where its name says.
    pub search: Search,
    /// What becomes of the remote files of a version that a newer one replaced.
    pub on_change: Fate,
    /// How many replaced versions of a file are left alone before `on_change` takes the older ones.
    pub keep_versions: u32,
    /// What becomes of the remote files of a file that is gone from disk.
    pub on_delete: Fate,
    /// How much may be sent anew because files changed that several models share; what would be more is held.
    pub max_refresh: Extent,
    /// How long such files must stand still until what is held for their sake is sent all the same.
    pub refresh_wait: Duration,
}

/// How much of a mapping something concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// How many models.
    pub models: u64,
    /// How many bytes they have together, each with all that travels with it.
    pub bytes: u64,
}

impl Extent {
    /// Whether it has more models or more bytes than `limit`.
    #[must_use]
    pub const fn exceeds(&self, limit: &Self) -> bool {
        self.models > limit.models || self.bytes > limit.bytes
    }
}

impl Policy {
    /// Whether it ever takes a remote file away from where it was.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        self.on_change != Fate::Keep || self.on_delete != Fate::Keep
    }
}

/// What becomes of remote files that are no longer current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// They stay where they are.
    #[default]
    Keep,
    /// They are moved to the folder [`ARCHIVE`] in the folder of the mapping.
    Archive,
    /// They are deleted, for ever; their assets stay.
    Delete,
    /// They are deleted, for ever, and with them those of their assets that nothing else uses.
    DeleteWithAssets,
}

impl Fate {
    /// The word of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Archive => "archive",
            Self::Delete => "delete",
            Self::DeleteWithAssets => "delete_with_assets",
        }
    }

    /// What was done to remote files, after their number.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Keep => "kept",
            Self::Archive => "archived",
            Self::Delete => "deleted",
            Self::DeleteWithAssets => "deleted, with those assets that nothing else uses",
        }
    }
}

/// The remote folder, in that of the mapping, that takes what is archived.
pub const ARCHIVE: &str = "_versync_archive";

impl Default for Policy {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(2),
            settle_max: Duration::from_secs(600),
            delete_settle: Duration::from_secs(60),
            rescan_interval: Duration::from_secs(3600),
            watch: Watch::default(),
            symlinks: Symlinks::default(),
            adopt: Adopt::default(),
            bundle_wait: Duration::from_secs(30),
            on_missing: OnMissing::default(),
            part_names: PartNames::default(),
            search: Search::default(),
            on_change: Fate::default(),
            keep_versions: 0,
            on_delete: Fate::default(),
            max_refresh: Extent { models: 100, bytes: 10 << 30 },
            refresh_wait: Duration::from_secs(3600),
        }
    }
}

/// What becomes of a model that refers to files which are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// It is sent with what is there, and what is missing is told.
    #[default]
    Warn,
    /// It is held until it is whole.
    Hold,
}

/// How the members of a bundle are called in its request. A lead always goes by its base name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartNames {
    /// By their base names.
    #[default]
    Base,
    /// By their paths from the directory of the lead.
    Path,
}

impl PartNames {
    /// The word of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Path => "path",
        }
    }
}

/// How far a file is searched that is not where its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// Beside the model, and where textures are kept by convention.
    #[default]
    Near,
    /// Anywhere in the mapping, if only one file has the name.
    Mapping,
}

impl Search {
    /// The word of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Mapping => "mapping",
        }
    }
}

/// How many times `settle` a file must have stood still when no close-after-write event vouches for it.
pub const UNVOUCHED: u32 = 5;

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// Events where the file system has them, else by walking.
    #[default]
    Auto,
    /// Events, whatever the file system is.
    Native,
    /// Only by walking, every `rescan_interval`.
    Poll,
}

/// What becomes of symbolic links below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// They are counted and not followed.
    #[default]
    Skip,
}

/// What is done about a remote file of the same name and size when a path is sent for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adopt {
    /// It is downloaded and hashed on the way; equal bytes are linked instead of sent.
    #[default]
    Verify,
    /// Its name and size are believed.
    Trust,
    /// It is left alone, and the file is sent.
    Never,
}
