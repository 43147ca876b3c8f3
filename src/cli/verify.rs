//! `versync verify`: is what lies here also there? Disk, ledger and cloud compared one way, and nothing changed anywhere.

mod compare;
mod remote;
mod tell;

use std::ffi::OsString;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::sync::Scope;
use super::{Global, desk};
use crate::file::{MappingName, RelPath};
use crate::id::SourceFileId;
use crate::ledger::{self, Reader};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Sizes are compared, and what was sent with what lies on disk; with --download also the bytes in the cloud. Nothing is changed \
anywhere, and a running versync goes on. Exit code 0: everything that lies here is in the cloud as it is; 3: something is not. \
What is only in the cloud is told and changes no exit code. With --json one object is printed: schema_version, downloaded, \
is_same, mappings [{name, counts {finding: files}}], findings [{mapping, path, finding, detail, source_file_id}]. Findings are \
same (only counted), missing_remote, differs_in_size, content_differs, unknown_to_ledger, unreadable, and only in the cloud: \
foreign, superseded, torn, orphan, gone_here.")]
pub(super) struct Arguments {
    /// Verify only these mappings (by name), directories or files (by path)
    #[arg(value_name = "MAPPING|PATH")]
    what: Vec<OsString>,
    /// Also download every file and compare its bytes
    #[arg(long)]
    download: bool,
}

/// What was found of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    mapping: MappingName,
    /// Where it lies here, or below the mapping's folder if it is only there.
    path: String,
    finding: Finding,
    /// What a person should know.
    detail: String,
    source_file: Option<SourceFileId>,
}

/// How a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    /// It is in the cloud as it is here.
    Same,
    /// The cloud has it no more.
    MissingRemote,
    /// It has another size there.
    SizeDiffers,
    /// It holds other bytes there, or was changed here since it was sent.
    ContentDiffers,
    /// It lies here, and nothing is known of it in the cloud.
    Unknown,
    /// It cannot be read here.
    Unreadable,
    /// Only there: nothing of ours.
    Foreign,
    /// Only there: a version that was replaced.
    Superseded,
    /// Only there: part of a version that never became whole.
    Torn,
    /// Only there: left behind by a lost answer.
    Orphan,
    /// Only there: it lay here once.
    GoneHere,
}

impl Finding {
    const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::MissingRemote => "missing_remote",
            Self::SizeDiffers => "differs_in_size",
            Self::ContentDiffers => "content_differs",
            Self::Unknown => "unknown_to_ledger",
            Self::Unreadable => "unreadable",
            Self::Foreign => "foreign",
            Self::Superseded => "superseded",
            Self::Torn => "torn",
            Self::Orphan => "orphan",
            Self::GoneHere => "gone_here",
        }
    }

    /// Whether something that lies here is not in the cloud as it is.
    const fn is_amiss(self) -> bool {
        match self {
            Self::MissingRemote
            | Self::SizeDiffers
            | Self::ContentDiffers
            | Self::Unknown
            | Self::Unreadable => true,
            Self::Same | Self::Foreign | Self::Superseded | Self::Torn | Self::Orphan | Self::GoneHere => {
                false
            }
        }
    }
}

/// How sure the comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What the cloud lists is believed.
    Listing,
    /// Bytes are downloaded and hashed.
    Bytes,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let config = desk::configuration(global)?.config;
    let scope = Scope::of(&arguments.what, &config.mappings)?;
    let reader = match Reader::open(&config.state_dir) {
        Ok(reader) => Some(reader),
        Err(ledger::Error::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let client = desk::client(&config, &desk::options(global).environment)?;
    let depth = if arguments.download { Depth::Bytes } else { Depth::Listing };
    let mut found = Vec::new();
    let runtime = desk::runtime()?;
    for (name, path) in scope.targets() {
        let Some(mapping) = config.mappings.iter().find(|it| it.name == *name) else { continue };
        let compare = compare::Comparison { client: &client, reader: reader.as_ref(), mapping, depth };
        found.extend(runtime.block_on(compare.of(path))?);
    }
    tell::tell(&scope_names(&scope), &found, depth, *paper);
    let is_amiss = found.iter().any(|it| it.finding.is_amiss());
    Ok(if is_amiss { Exit::FilesFailed } else { Exit::Done })
}

fn scope_names(scope: &Scope) -> Vec<MappingName> {
    let mut names: Vec<_> =
        scope.targets().iter().map(|(name, _): &(MappingName, RelPath)| name.clone()).collect();
    names.dedup();
    names
}
