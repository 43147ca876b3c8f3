//! The protocol of one bundle: what is to be done, what must be written down before it is done, and what it taught us.
//!
//! Three pure functions: [`decide`], [`before`], [`after`]. Between the last two stands `deed::perform`, which decides nothing.
//! Nothing here knows a clock, a disk, a table or a URL; what they found out comes in as arguments.

mod after;
mod clear;
mod decide;
#[cfg(test)]
mod lives;
mod moves;
mod rearm;
pub mod refresh;
mod returning;
mod unused;

use std::time::Duration;

pub use after::{UNNAMED, after};
pub use clear::{BRAKE_WINDOW, Cause, Clearance, Cleared, brake, clearance, cleared};
pub use decide::{before, decide, is_same_file};
pub use moves::{Departed, Origin, Relocation, is_settled, origin, renamed_directories};
pub use rearm::{REARMED, rearm};
pub use returning::Restoration;
pub use unused::{Candidate, Kept, Parting, Using, part};

use crate::file::entry::{Aside, Conversion, Doubt, RemotePart};
use crate::file::{ContentHash, Intent, Part, PartName, Version};
use crate::id::{AttemptId, FolderId, SourceFileId, UploadTaskId};
use crate::timestamp::Timestamp;
use crate::verdict::Failure;

/// What is to be done about a bundle now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing; what was seen is remembered.
    Rest,
    /// Nothing is known of it any more that is worth a row.
    Forget,
    /// Nothing yet: look again after this time.
    Wait(Duration),
    /// It stands aside, for the reason given; look again after this time, or when something changes.
    StandAside(Aside, Option<Duration>),
    /// Find out which remote folder takes it and what that folder holds under its name, then decide again.
    Consult,
    /// See whether one of these remote files already holds its bytes.
    Verify(Claim),
    /// Let the remote files of the path that it came from follow it: nothing is sent.
    Relocate(Box<Relocation>),
    /// Make an earlier version of it current again: its bytes came back.
    Restore(Box<Restoration>),
    /// Archive or delete remote files of it that are no longer current.
    Clear(Clearance),
    /// Send it.
    Upload(Intent),
    /// Ask the cloud what became of an attempt.
    LookUp(Intent, Doubt),
    /// Ask the cloud how far the conversion is.
    Follow(Intent, Conversion),
}

/// Remote files that may already hold a bundle's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The folder that holds them.
    pub folder: FolderId,
    /// The version that the parts make.
    pub version: Version,
    /// Each part, the lead first, with the remote files of its name and size in the order in which the cloud lists them.
    pub parts: Vec<(Part, Vec<SourceFileId>)>,
    /// How sure we have to be.
    pub proof: Proof,
}

/// How sure we have to be that a remote file holds our bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its bytes are downloaded and hashed.
    Download,
    /// Its name and size are believed.
    NameAndSize,
}

/// What is known of the remote folder that takes a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// Nobody asked yet.
    Unasked,
    /// Its id, and the files in it that bear the name of one of the parts.
    Folder(FolderId, Vec<Namesake>),
}

/// A remote file that bears the name of one of a bundle's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namesake {
    /// Which file.
    pub source_file: SourceFileId,
    /// Its name.
    pub name: PartName,
    /// Its length in bytes.
    pub size: u64,
    /// Whose it is, as far as the ledger knows.
    pub claim: Claimed,
    /// The bytes that the manifest says it holds, if it tells of this bundle.
    pub vouched: Option<ContentHash>,
}

/// Whose a remote file is, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// A row of the ledger knows it.
    Ours,
    /// No row does.
    Nobodys,
    /// Its bytes were looked at and are others.
    Refuted,
}

/// What the rules are told of the moment: they read no clock and throw no dice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub now: Timestamp,
    /// A fresh name, should an attempt begin.
    pub attempt: AttemptId,
}

/// What a deed found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// For each part one of the candidates holds its bytes; the lead comes first.
    Verified(Vec<RemotePart>),
    /// For some part none of the candidates does.
    NoneVerified,
    /// The remote files are gone, or lie in the archive.
    Cleared(Cleared),
    /// They cannot be taken away, for the reason given.
    NotCleared(String),
    /// Some are gone, and others cannot be taken away, for the reason given.
    PartlyCleared(String),
    /// The remote files bear their new name and lie in their new folder.
    Relocated,
    /// They cannot be renamed or moved, for the reason given.
    NotRelocated(String),
    /// The request was taken in, as this task.
    Taken(UploadTaskId),
    /// The request was taken in, and the cloud did not say as which task.
    TakenUnnamed,
    /// A part changed while it was being sent: the request was aborted before its end.
    Changed,
    /// The request certainly was not taken in.
    NotTaken(Failure),
    /// The request may have been taken in.
    Unanswered(Failure),
    /// The cloud's listings show what became of an attempt.
    Found(Finding),
    /// The cloud's files show what became of an attempt, while a task of the same folder, named in the reason, does not
    /// tell its files yet: it may be the attempt's own, and would also tell how the conversion ends.
    FoundUntold(Finding, String),
    /// Complete listings show nothing of it.
    NotThere,
    /// The listings do not tell, one way or the other.
    Unclear(String),
    /// The conversion is under way.
    Underway(Conversion),
    /// Everything was converted; the lead comes first.
    Converted(Vec<RemotePart>),
    /// The cloud gave up on it.
    GaveUp(GaveUp),
    /// The cloud knows no such task (any more).
    TaskGone,
    /// The question could not be put.
    Failed(Failure),
}

/// What the cloud's listings show of an attempt whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The task it became, if a task tells.
    pub task: Option<UploadTaskId>,
    /// The remote files it became, as far as they are listed.
    pub files: Vec<(PartName, SourceFileId)>,
    /// Further files that may stem from the same attempt: they are remembered, and never touched.
    pub surplus: Vec<(PartName, SourceFileId)>,
}

/// How the cloud gave up on a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaveUp {
    /// Whether the same bytes are worth another try.
    pub how: HowItEnded,
    /// What the cloud said, and what to do, for a person.
    pub what: String,
    /// The remote files that are left of it.
    pub files: Vec<(PartName, SourceFileId)>,
}

/// The ways in which the cloud gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowItEnded {
    /// Conversion failed.
    Error,
    /// The upload was refused after it had been taken in.
    Rejected,
}
