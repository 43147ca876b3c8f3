//! What the ledger believes of one bundle: the version that lives in the cloud, one attempt, the remote copies that are ours.
//!
//! An entry is a current version × one attempt. A current version *has* its remote ids and keeps them while the next one is
//! under way, so a file that is sent again is never without its live ids.

use super::content::{Content, Version};
use super::part::{Part, PartName};
use super::sighting::Seen;
use super::state::State;
use crate::id::{AssetId, AttemptId, FolderId, SourceFileId, UploadTaskId};
use crate::timestamp::Timestamp;

/// What the ledger believes of one bundle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// What was last read of the lead.
    pub seen: Option<Seen>,
    /// The version that lives in the cloud, converted.
    pub current: Option<Current>,
    /// The one attempt to replace it.
    pub attempt: Attempt,
    /// Remote files that are ours and not current.
    pub copies: Vec<RemoteCopy>,
    /// Why it stands aside, if it does.
    pub aside: Option<Aside>,
    /// The version that the disk held when the whole bundle was last looked at: the goal. None until it was, or if the bundle is
    /// judged by its lead alone.
    pub wanted: Option<Version>,
    /// Whether it travels with all that it refers to.
    pub travels: Travels,
}

/// With what a bundle travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Travels {
    /// With everything that it refers to.
    #[default]
    Whole,
    /// Without members of formats that the cloud does not list, since it rejected the set with them.
    WithoutUnlisted,
}

/// A version that lives in the cloud and has been converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Which version.
    pub version: Version,
    /// The remote folder that holds its files.
    pub folder: FolderId,
    /// The upload task that brought it; none if it was found there and no task told of it.
    pub task: Option<UploadTaskId>,
    /// Since when it is current.
    pub since: Timestamp,
    /// The lead's remote file.
    pub lead: RemotePart,
    /// The members' remote files.
    pub members: Vec<RemotePart>,
}

impl Current {
    /// The lead, then the members.
    pub fn parts(&self) -> impl Iterator<Item = &RemotePart> {
        std::iter::once(&self.lead).chain(&self.members)
    }

    /// Its remote files once it is current no more.
    pub fn copies(&self, role: Role, since: Timestamp) -> impl Iterator<Item = RemoteCopy> {
        self.parts().map(move |part| RemoteCopy {
            source_file: part.source_file,
            folder: self.folder,
            name: part.part.name.clone(),
            role,
            title: part.title,
            version: Some(self.version),
            assets: part.assets.clone(),
            since,
        })
    }
}

/// A part that lives in the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePart {
    /// What was sent, and where it lay then.
    pub part: Part,
    /// The remote file.
    pub source_file: SourceFileId,
    /// Whether it is ours to rename, move or remove.
    pub title: Title,
    /// What conversion made of it, in the order in which the cloud lists it.
    pub assets: Vec<Asset>,
}

/// Something that conversion made of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Which asset.
    pub id: AssetId,
    /// Its type in the cloud's words: `scene`, `mesh`, `texture` …
    pub kind: String,
    /// Its name in the cloud, which is not the file's name.
    pub name: String,
}

/// By what right we know a remote file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Title {
    /// This installation uploaded it.
    Owned,
    /// It was there, and its bytes are ours: known, never touched.
    Linked,
}

/// A remote file of ours that is not current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCopy {
    /// The remote file.
    pub source_file: SourceFileId,
    /// The folder it was sent to.
    pub folder: FolderId,
    /// The name it was sent under.
    pub name: PartName,
    /// What it is to us.
    pub role: Role,
    /// By what right we know it.
    pub title: Title,
    /// The version it belonged to, if it belonged to a whole one.
    pub version: Option<Version>,
    /// The assets it left behind, which scenes may still use.
    pub assets: Vec<Asset>,
    /// Since when it has this role.
    pub since: Timestamp,
}

impl RemoteCopy {
    /// Whether scenes that were made with an earlier version may still show what this left behind.
    #[must_use]
    pub fn may_be_in_use(&self) -> bool {
        matches!(self.role, Role::Superseded | Role::Remains) && !self.assets.is_empty()
    }
}

/// What a remote file that is not current is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A whole version that a newer one replaced.
    Superseded,
    /// A whole version that lies in the archive: a newer one replaced it, or its file is gone.
    Archived,
    /// Part of a version that never became whole, or that failed to convert.
    Torn,
    /// A surplus copy that a lost answer left behind.
    Orphan,
    /// About to be archived or deleted, written down before it is: it may be gone by now, or lie in the archive.
    Doomed,
    /// Its source file is deleted; its assets that are told of stay, since something uses them.
    Remains,
}

/// The one attempt of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Attempt {
    /// Nothing is under way.
    #[default]
    Idle,
    /// Written down before the request. Found after a restart it is a question to the cloud.
    Intended(Intent),
    /// The request may have arrived: the cloud is asked before anything is sent again.
    Ambiguous(Intent, Doubt),
    /// Taken in: the cloud gave the task's id.
    Sent(Intent, UploadTaskId),
    /// The source files are known; conversion is under way.
    Converting(Intent, Conversion),
}

impl Attempt {
    /// The intent of an attempt that is under way.
    #[must_use]
    pub fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Idle => None,
            Self::Intended(intent)
            | Self::Ambiguous(intent, _)
            | Self::Sent(intent, _)
            | Self::Converting(intent, _) => Some(intent),
        }
    }

    /// The word that the ledger and `--json` use.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Intended(..) => "intended",
            Self::Ambiguous(..) => "ambiguous",
            Self::Sent(..) => "sent",
            Self::Converting(..) => "converting",
        }
    }
}

/// What is about to be sent, written down before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Which attempt.
    pub id: AttemptId,
    /// When it was written, by our clock.
    pub at: Timestamp,
    /// Which version it sends.
    pub version: Version,
    /// To which remote folder.
    pub folder: FolderId,
    /// What it sends, the lead first.
    pub parts: Vec<Part>,
    /// Remote files that were visible in that folder under one of these names before: they are not what this attempt sent.
    pub fence: Vec<SourceFileId>,
}

/// What is known of an attempt whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// When the cloud was first asked and listed nothing of it; none until then.
    pub absent_since: Option<Timestamp>,
    /// How many complete listings in a row had nothing of it.
    pub absences: u32,
    /// Why the answer is not known, for a person.
    pub why: String,
}

/// What is known of a version that is being converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The task, unless only the source files could be found.
    pub task: Option<UploadTaskId>,
    /// The remote files that are known so far, by part name.
    pub files: Vec<(PartName, SourceFileId)>,
    /// The cloud's word for how far it is, with the progress it reports: it is stalled when this stands still.
    pub progress: String,
    /// Since when it says so.
    pub since: Timestamp,
}

/// Why a bundle stands aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// In which state.
    pub state: AsideState,
    /// The reason and the cure, for a person.
    pub reason: String,
    /// The version that it concerns: new content lifts it. None if it concerns the file whatever its bytes are.
    pub version: Option<Version>,
    /// Since when.
    pub since: Timestamp,
}

/// The states aside that an entry itself remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsideState {
    /// It never came to rest within `settle_max`.
    Settling,
    /// Waits for something local.
    Held,
    /// The server or a rule refuses it.
    Blocked,
    /// The cloud could not convert it.
    ConversionFailed,
    /// Its task made no progress past the deadline.
    Stalled,
    /// Changed as an unclean boot would.
    Suspect,
    /// A filter now excludes it.
    Detached,
    /// Gone from disk, proven.
    Deleted,
}

impl AsideState {
    /// The state that is shown for it.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Settling => State::Settling,
            Self::Held => State::Held,
            Self::Blocked => State::Blocked,
            Self::ConversionFailed => State::ConversionFailed,
            Self::Stalled => State::Stalled,
            Self::Suspect => State::Suspect,
            Self::Detached => State::Detached,
            Self::Deleted => State::Deleted,
        }
    }

    /// The aside that `state` names, if it is one.
    #[must_use]
    pub fn from_state(state: State) -> Option<Self> {
        match state {
            State::Settling => Some(Self::Settling),
            State::Held => Some(Self::Held),
            State::Blocked => Some(Self::Blocked),
            State::ConversionFailed => Some(Self::ConversionFailed),
            State::Stalled => Some(Self::Stalled),
            State::Suspect => Some(Self::Suspect),
            State::Detached => Some(Self::Detached),
            State::Deleted => Some(Self::Deleted),
            State::Ready
            | State::Uploading
            | State::Converting
            | State::Synced
            | State::Ambiguous
            | State::Ignored => None,
        }
    }
}

impl Entry {
    /// Where the bundle stands.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.aside, &self.attempt) {
            (Some(aside), Attempt::Idle) => aside.state.state(),
            // A stalled task is still followed: the attempt stays open beside the aside.
            (Some(Aside { state: AsideState::Stalled, .. }), Attempt::Sent(..) | Attempt::Converting(..)) => {
                State::Stalled
            }
            (_, Attempt::Intended(_)) => State::Uploading,
            (_, Attempt::Ambiguous(..)) => State::Ambiguous,
            (_, Attempt::Sent(..) | Attempt::Converting(..)) => State::Converting,
            (None, Attempt::Idle) if self.lives_as_seen() => State::Synced,
            (None, Attempt::Idle) => State::Ready,
        }
    }

    /// Whether nothing of it was ever sent, and nothing is under way.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.current.is_none() && self.copies.is_empty() && self.attempt == Attempt::Idle
    }

    /// Whether the current version is what the disk held when it was last looked at.
    #[must_use]
    pub fn lives_as_seen(&self) -> bool {
        match (&self.current, &self.seen) {
            (Some(current), Some(seen)) => {
                current.lead.part.content == seen.content
                    && self.wanted.is_none_or(|wanted| wanted == current.version)
            }
            (Some(_), None) | (None, Some(_)) | (None, None) => false,
        }
    }

    /// The content of the lead that lives in the cloud.
    #[must_use]
    pub fn live_content(&self) -> Option<Content> {
        self.current.as_ref().map(|current| current.lead.part.content)
    }

    /// The reason for its state, where there is one to tell.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match (&self.aside, &self.attempt) {
            (_, Attempt::Ambiguous(_, doubt)) => Some(&doubt.why),
            (Some(aside), _) => Some(&aside.reason),
            (None, _) => None,
        }
    }
}
