//! What the cloud has, in words that leave this door: folders, source files, tasks, users. Knows no JSON and no request.

use crate::id::{AssetId, FolderId, SourceFileId, UploadTaskId, UserId};
use crate::timestamp::Timestamp;

/// A folder of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Which folder.
    pub id: FolderId,
    /// Its name, as the cloud has it; not escaped.
    pub name: String,
    /// The folder it lies in; none for a root, or if it is not told.
    pub parent: Option<FolderId>,
    /// When it was made, by the server's clock.
    pub created_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// How many source files lie in it.
    pub source_files: Option<u64>,
}

/// A source file in the cloud. The API tells neither its folder nor a hash nor a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Which source file.
    pub id: SourceFileId,
    /// Its name now; not escaped.
    pub name: String,
    /// The name it was sent under; the name now, if it is not told.
    pub original_name: String,
    /// How many bytes it has, by the server's word.
    pub size: u64,
}

/// What became of an upload request.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadTask {
    /// Which task.
    pub id: UploadTaskId,
    /// The folder it was sent to.
    pub folder: Option<FolderId>,
    /// When it was taken in, by the server's clock.
    pub uploaded_at: Option<Timestamp>,
    /// Who sent it.
    pub uploaded_by: Option<UserId>,
    /// How far it is.
    pub status: TaskStatus,
    /// How far it is, on an undocumented scale: only good for seeing whether it moves.
    pub progress: Option<f64>,
    /// What its files are being made into. Inferred: may be empty at first, and names no companions of a model.
    pub conversions: Vec<ConversionTask>,
}

/// One file's conversion: the only link from an upload to the ids of its files.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversionTask {
    /// The asset it makes. Inferred: the main one, such as the scene of a model.
    pub asset: Option<AssetId>,
    /// The source file it makes it from.
    pub source_file: Option<SourceFileId>,
    /// The name of that file.
    pub source_file_name: String,
    /// Which converter works on it.
    pub pipeline: Pipeline,
    /// How far it is.
    pub status: TaskStatus,
    /// As [`UploadTask::progress`].
    pub progress: Option<f64>,
}

/// How far a task is. Words that we do not know are kept, and end nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStatus {
    /// In the queue.
    Waiting,
    /// The cloud fetches the files from where they were put.
    Downloading,
    /// About to be converted.
    Pending,
    /// Being converted.
    Converting,
    /// Could not be converted; the API never says why.
    Error,
    /// Converted.
    Success,
    /// Refused.
    Rejected,
    /// A word that is newer than this program.
    Unknown(String),
}

impl TaskStatus {
    /// The cloud's word.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Waiting => "waiting",
            Self::Downloading => "downloading",
            Self::Pending => "pending",
            Self::Converting => "converting",
            Self::Error => "error",
            Self::Success => "success",
            Self::Rejected => "rejected",
            Self::Unknown(word) => word,
        }
    }

    /// Whether it will not change any more. Inferred from the words: no document says which of them are the last.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Error | Self::Success | Self::Rejected => true,
            Self::Waiting | Self::Downloading | Self::Pending | Self::Converting | Self::Unknown(_) => false,
        }
    }

    pub(super) fn from_word(word: String) -> Self {
        match word.as_str() {
            "waiting" => Self::Waiting,
            "downloading" => Self::Downloading,
            "pending" => Self::Pending,
            "converting" => Self::Converting,
            "error" => Self::Error,
            "success" => Self::Success,
            "rejected" => Self::Rejected,
            _ => Self::Unknown(word),
        }
    }
}

/// Which converter works on a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pipeline {
    /// Not decided yet.
    AutoDetect,
    /// Volumes.
    Volume,
    /// Scenes.
    Scene,
    /// Textures.
    Texture,
    /// Animations.
    Animation,
    /// Point clouds.
    PointCloud,
    /// A word that is newer than this program, or none.
    Unknown(String),
}

impl Pipeline {
    pub(super) fn from_word(word: String) -> Self {
        match word.as_str() {
            "auto-detect" => Self::AutoDetect,
            "volume" => Self::Volume,
            "scene" => Self::Scene,
            "texture" => Self::Texture,
            "animation" => Self::Animation,
            "point-cloud" => Self::PointCloud,
            _ => Self::Unknown(word),
        }
    }
}

/// What a token or a grant allows; each level includes the ones before it. Inferred: a token may do what both its scope and the
/// user's grant on the folder allow, and which level each route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look.
    Read,
    /// Upload, rename, move.
    Write,
    /// Delete and grant.
    Manage,
}

impl Scope {
    /// The cloud's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }
}

/// A user of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Which user.
    pub id: UserId,
    /// Its name; not escaped.
    pub name: String,
}
