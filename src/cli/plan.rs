//! `versync plan`: what would be done, without doing it and without asking the cloud anything.

mod blast;
mod gather;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::{Global, desk};
use crate::config::Config;
use crate::file::{Key, MappingName, RelPath};
use crate::ledger::{self, Ledger, Occupancy, Reader};
use crate::mapping::Extent;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is sent, and no ledger is made where there is none. Files that a stat cannot vouch for are read. With --json one \
object is printed: schema_version, source (survey, or ledger while versync runs), mappings [{name, files, counts \
{action: {files, bytes}}, troubles []}], actions [{mapping, path, action, reason, bytes}], and refreshes [{mapping, path, \
models, bytes, held}]: the files that several models share and that have changed, with what they send anew. Actions are \
upload_new, upload_changed, move, look_up, follow, wait, hold, restore, clear, gone, detach and forget.")]
pub(super) struct Arguments {
    /// Only these mappings
    #[arg(value_name = "MAPPING")]
    mappings: Vec<String>,
}

/// What would be done about a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// Send what was never sent; or link it, where the remote folder holds the same bytes.
    UploadNew,
    /// Send a new version.
    UploadChanged,
    /// Rename or move its remote files, as its own was.
    Move,
    /// Ask the cloud what became of an attempt.
    LookUp,
    /// Ask the cloud how far a conversion is.
    Follow,
    /// Wait until it rests.
    Wait,
    /// Hold it back, for a reason.
    Hold,
    /// Make an earlier version current again.
    Restore,
    /// Archive or delete remote files that are no longer current, with their unused assets or without.
    Clear,
    /// Remember that it is gone; its remote copy is kept.
    Gone,
    /// Remember that a filter excludes it; its remote copy is kept.
    Detach,
    /// Forget it: it went before it was sent.
    Forget,
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Planned {
    deed: Deed,
    reason: String,
    bytes: u64,
    /// The bundle that it was, if it only moved.
    from: Option<Key>,
    /// Whether it is held because too many models would be sent with it.
    pass: Pass,
}

/// The plan of one mapping.
#[derive(Debug)]
struct Outlook {
    mapping: MappingName,
    /// How many files were met; none if nobody looked.
    files: Option<u64>,
    planned: BTreeMap<Key, Planned>,
    /// Files that models share and that have changed, by path.
    refreshes: BTreeMap<RelPath, Refresh>,
    troubles: Vec<String>,
}

/// What the change of one shared file sends anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refresh {
    extent: Extent,
    pass: Pass,
}

/// Whether the models of a shared file are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// In their turn.
    Open,
    /// Not before somebody says so, or time has gone by.
    Held,
}

/// Where a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The trees were walked.
    Survey,
    /// An instance is at work: what it has before it was read from its ledger.
    Ledger,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let found = desk::configuration(global)?;
    let config = &found.config;
    let mappings = desk::chosen(config, &arguments.mappings)?;
    // Deleted with what is in it when this command ends.
    let nowhere = tempfile::tempdir();
    let runtime = desk::runtime()?;
    let _inside = runtime.enter();
    let (origin, outlooks) = match open(config, &nowhere)? {
        Source::Writer(ledger) => {
            let desk = desk::desk(config, desk::mute_client(config)?, ledger);
            desk.departures.at_once();
            let outlooks = mappings.iter().map(|mapping| gather::survey(&desk, mapping));
            (Origin::Survey, outlooks.collect::<Result<Vec<_>, _>>()?)
        }
        Source::Reader(reader) => {
            let outlooks = mappings.iter().map(|mapping| gather::read(&reader, mapping));
            (Origin::Ledger, outlooks.collect::<Result<Vec<_>, _>>()?)
        }
    };
    tell::tell(origin, &outlooks, *paper);
    Ok(Exit::Done)
}

/// What a plan is made from.
enum Source {
    Writer(Ledger),
    Reader(Reader),
}

/// The ledger itself where nobody holds it; a view of it where somebody does; an empty one elsewhere where there is none.
fn open(config: &Config, nowhere: &std::io::Result<tempfile::TempDir>) -> Result<Source, Failure> {
    let state_dir = &config.state_dir;
    let is_held = matches!(ledger::occupancy(state_dir)?, Occupancy::Held(_));
    match Reader::open(state_dir) {
        Ok(reader) if is_held => Ok(Source::Reader(reader)),
        Ok(reader) => match Ledger::open(state_dir) {
            Ok(ledger) => Ok(Source::Writer(ledger)),
            Err(ledger::Error::Locked { .. }) => Ok(Source::Reader(reader)),
            Err(error) => Err(error.into()),
        },
        Err(ledger::Error::Missing(_)) => match nowhere {
            Ok(nowhere) => Ok(Source::Writer(Ledger::open(nowhere.path())?)),
            Err(error) => Err(Failure::new(
                Exit::Unclassified,
                format!("failed to make a temporary directory: {error}"),
            )),
        },
        Err(error) => Err(error.into()),
    }
}

impl Deed {
    /// Every deed, in the order in which a plan lists them.
    const ALL: [Self; 12] = [
        Self::UploadNew,
        Self::UploadChanged,
        Self::Move,
        Self::LookUp,
        Self::Follow,
        Self::Wait,
        Self::Hold,
        Self::Restore,
        Self::Clear,
        Self::Gone,
        Self::Detach,
        Self::Forget,
    ];

    /// The word that `--json` uses.
    const fn word(self) -> &'static str {
        match self {
            Self::UploadNew => "upload_new",
            Self::UploadChanged => "upload_changed",
            Self::Move => "move",
            Self::LookUp => "look_up",
            Self::Follow => "follow",
            Self::Wait => "wait",
            Self::Hold => "hold",
            Self::Restore => "restore",
            Self::Clear => "clear",
            Self::Gone => "gone",
            Self::Detach => "detach",
            Self::Forget => "forget",
        }
    }

    /// What it means, after a number of files.
    const fn meaning(self) -> &'static str {
        match self {
            Self::UploadNew => "new, to be uploaded, or linked where the folder holds the same bytes",
            Self::UploadChanged => "changed, to be uploaded as a new version",
            Self::Move => "renamed or moved, to be renamed or moved in the cloud too",
            Self::LookUp => "whose answer was lost, to be asked for",
            Self::Follow => "being converted, to be followed",
            Self::Wait => "not at rest yet",
            Self::Hold => "held back",
            Self::Restore => "whose bytes came back, to be made current again without sending",
            Self::Clear => "with remote files to be archived or deleted",
            Self::Gone => "gone from disk",
            Self::Detach => "now excluded; the remote copies are kept",
            Self::Forget => "gone before being sent",
        }
    }
}

impl Outlook {
    /// Files and bytes of each deed that has any.
    fn totals(&self) -> BTreeMap<Deed, (u64, u64)> {
        let mut totals: BTreeMap<Deed, (u64, u64)> = BTreeMap::new();
        for planned in self.planned.values() {
            let (files, bytes) = totals.entry(planned.deed).or_default();
            *files += 1;
            *bytes = bytes.saturating_add(planned.bytes);
        }
        totals
    }
}

/// What several threads plan together.
#[derive(Debug, Default)]
struct Plans {
    planned: Mutex<BTreeMap<Key, Planned>>,
    /// Bundles that were considered because of what they carry.
    asked: Mutex<BTreeSet<Key>>,
}

impl Plans {
    fn planned(&self) -> MutexGuard<'_, BTreeMap<Key, Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
