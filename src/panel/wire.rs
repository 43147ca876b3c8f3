//! The shapes on the line, and how they become commands and answers. Everything that comes in is checked here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::daemon::{Changed, Ending, Goal, Next, Progress, Report, Snapshot, Stage, Trouble, Why};
use crate::file::sighting::RootIdentity;
use crate::file::{Key, MappingName, RelPath};
use crate::meter::Reading;
use crate::timestamp::Timestamp;
use crate::verdict::{Blame, Failure};

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Asked {
    /// How things stand.
    Status {},
    /// When a file is looked at next.
    Next {
        /// Which file.
        of: Place,
    },
    /// To look at everything in scope afresh.
    Sync {
        /// Mappings, directories and files.
        scope: Vec<Place>,
        /// What to wait for.
        #[serde(default)]
        wait: Wait,
    },
    /// To try again what was refused.
    Retry {
        /// Mappings, directories and files.
        scope: Vec<Place>,
    },
    /// To read the configuration again.
    Reload {},
    /// To have a mapping wait, or all of them.
    Pause {
        /// Which.
        mapping: Option<String>,
    },
    /// To go on with a mapping, or with all of them.
    Resume {
        /// Which.
        mapping: Option<String>,
    },
    /// To let a mapping take remote files away.
    Agree {
        /// Which.
        mapping: String,
        /// The terms that a person was shown.
        terms: String,
    },
    /// To accept the root of a mapping.
    Approve {
        /// Which.
        mapping: String,
        /// The root that a person was shown.
        root: Root,
    },
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Until everything is converted.
    #[default]
    Synced,
    /// Until everything is sent.
    Sent,
    /// Not at all.
    None,
}

/// A place in a mapping. Bytes in base 16 where the path is not UTF-8; neither for the mapping as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    mapping: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
}

impl Place {
    /// How a path in a mapping travels.
    #[must_use]
    pub fn new(mapping: &MappingName, path: &RelPath) -> Self {
        let mapping = mapping.as_str().to_owned();
        match std::str::from_utf8(path.as_bytes()) {
            Ok("") => Self { mapping, ..Self::default() },
            Ok(text) => Self { mapping, path: Some(text.to_owned()), path_bytes: None },
            Err(_) => {
                let bytes = path.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                Self { mapping, path: None, path_bytes: Some(bytes) }
            }
        }
    }

    /// The place, if it is plainly below the root.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self) -> Result<(MappingName, RelPath), String> {
        let bytes = match (&self.path, &self.path_bytes) {
            (None, None) => Vec::new(),
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(digits)) => hex(digits).ok_or("failed to read path_bytes: no base 16")?,
            (Some(_), Some(_)) => return Err("failed to take both path and path_bytes".to_owned()),
        };
        let path = RelPath::from_bytes(&bytes).map_err(|error| error.to_string())?;
        Ok((MappingName::new(&self.mapping), path))
    }

    /// The same as the key of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn key(&self) -> Result<Key, String> {
        self.read().map(|(mapping, path)| Key::new(mapping, path))
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = digits.chars().map(|it| it.to_digit(16)).collect::<Option<_>>()?;
    let pair = |pair: &[u32]| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok();
    digits.chunks(2).map(pair).collect()
}

/// The identity of a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    filesystem: u64,
    inode: u64,
    made_nanos: Option<i64>,
}

impl From<&RootIdentity> for Root {
    fn from(root: &RootIdentity) -> Self {
        Self { filesystem: root.filesystem, inode: root.inode, made_nanos: root.birth.map(Timestamp::nanos) }
    }
}

impl From<Root> for RootIdentity {
    fn from(root: Root) -> Self {
        let birth = root.made_nanos.map(Timestamp::from_nanos);
        Self { filesystem: root.filesystem, inode: root.inode, birth }
    }
}

/// What a client is answered. Fields are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The version of these shapes.
    pub schema_version: u32,
    /// What is answered.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Answer {
    /// An answer in the shapes of today.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { schema_version: 1, kind }
    }

    /// A refusal.
    #[must_use]
    pub fn error(why: impl Into<String>) -> Self {
        Self::new(Kind::Error(why.into()))
    }
}

/// What is answered: one field that is named after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Not done, and why.
    Error(String),
    /// All chairs are taken: worth another try.
    Busy(String),
    /// How things stand.
    Status(Standing),
    /// When a file is looked at next.
    Next(Option<When>),
    /// A pass was begun that nobody waits for.
    Begun(u64),
    /// How far a pass is.
    Progress(Numbers),
    /// How a pass ended.
    Ended(End),
    /// How many bundles are tried again.
    Retried(u64),
    /// How many mappings the new configuration has.
    Reloaded(usize),
    /// Which mappings were otherwise before, and which were so already.
    Steered(Steered),
    /// The root of this mapping was accepted.
    Approved(String),
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Each mapping.
    pub mappings: Vec<MappingStanding>,
    /// How many files wait or are worked on.
    pub agenda: usize,
    /// How many are worked on.
    pub out: usize,
    /// What has moved since the start.
    pub meter: Numbers,
    /// When a new configuration was refused.
    pub refused_at: Option<String>,
    /// Why.
    pub refused: Option<String>,
}

/// How a mapping stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingStanding {
    /// Which.
    pub name: String,
    /// In which state.
    pub state: String,
    /// Why, where there is something to tell.
    pub reason: Option<String>,
    /// Since when.
    pub since: String,
    /// How many files of it wait or are worked on.
    pub agenda: usize,
}

/// When a file is looked at next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct When {
    /// Whether that is now.
    pub now: bool,
    /// Otherwise when.
    pub at: Option<String>,
}

/// Counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// Whether trees are still being walked.
    #[serde(default)]
    pub scanning: bool,
    found: u64,
    found_bytes: u64,
    finished: u64,
    finished_bytes: u64,
    sent_bytes: u64,
    uploads: u64,
    uploading: u64,
}

impl Numbers {
    fn new(reading: Reading, stage: Stage) -> Self {
        let Reading { found, found_bytes, finished, finished_bytes, sent_bytes, uploads, uploading } =
            reading;
        let scanning = stage == Stage::Scanning;
        Self { scanning, found, found_bytes, finished, finished_bytes, sent_bytes, uploads, uploading }
    }

    /// As the meter has them.
    #[must_use]
    pub fn reading(self) -> Reading {
        let Self {
            scanning: _,
            found,
            found_bytes,
            finished,
            finished_bytes,
            sent_bytes,
            uploads,
            uploading,
        } = self;
        Reading { found, found_bytes, finished, finished_bytes, sent_bytes, uploads, uploading }
    }
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    why: String,
    failure: Option<Blamed>,
    mappings: BTreeMap<String, Troubled>,
    meter: Numbers,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Blamed {
    blame: String,
    what: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Troubled {
    state: String,
    failure: Blamed,
}

const BLAMES: [(Blame, &str); 6] = [
    (Blame::File, "file"),
    (Blame::Mapping, "mapping"),
    (Blame::Cloud, "cloud"),
    (Blame::User, "user"),
    (Blame::Room, "room"),
    (Blame::Us, "us"),
];

impl Blamed {
    fn new(failure: &Failure) -> Self {
        let blame = BLAMES.iter().find(|(blame, _)| *blame == failure.blame).map_or("us", |(_, word)| word);
        Self { blame: blame.to_owned(), what: failure.what.clone() }
    }

    fn read(self) -> Failure {
        let blame =
            BLAMES.iter().find(|(_, word)| *word == self.blame).map_or(Blame::Us, |(blame, _)| *blame);
        Failure::new(blame, self.what)
    }
}

impl End {
    fn new(report: &Report) -> Self {
        let (why, failure) = match &report.ending.why {
            Why::Finished => ("finished", None),
            Why::Stopped => ("stopped", None),
            Why::NeedsLogin(failure) => ("needs_login", Some(failure)),
            Why::CloudTrouble(failure) => ("cloud_trouble", Some(failure)),
            Why::OurTrouble(failure) => ("our_trouble", Some(failure)),
        };
        let local = |why: &str| Blamed { blame: "mapping".to_owned(), what: why.to_owned() };
        let troubled = |(name, trouble): (&MappingName, &Trouble)| {
            let (state, failure) = match trouble {
                Trouble::Offline(why) => ("offline", local(why)),
                Trouble::Halted(why) => ("halted", local(why)),
                Trouble::Paused => ("paused", local("")),
                Trouble::Refused(failure) => ("refused", Blamed::new(failure)),
            };
            (name.as_str().to_owned(), Troubled { state: state.to_owned(), failure })
        };
        Self {
            why: why.to_owned(),
            failure: failure.map(Blamed::new),
            mappings: report.ending.mappings.iter().map(troubled).collect(),
            meter: Numbers::new(report.reading, Stage::Working),
        }
    }

    /// As the loop told it.
    ///
    /// # Errors
    /// The word that is not known.
    pub fn read(self) -> Result<Report, String> {
        let failure = self.failure.map(Blamed::read);
        let why = match (self.why.as_str(), failure) {
            ("finished", _) => Why::Finished,
            ("stopped", _) => Why::Stopped,
            ("needs_login", Some(failure)) => Why::NeedsLogin(failure),
            ("cloud_trouble", Some(failure)) => Why::CloudTrouble(failure),
            ("our_trouble", Some(failure)) => Why::OurTrouble(failure),
            (word, _) => return Err(format!("a pass ended by `{word}`")),
        };
        let mut mappings = BTreeMap::new();
        for (name, Troubled { state, failure }) in self.mappings {
            let trouble = match state.as_str() {
                "offline" => Trouble::Offline(failure.what),
                "halted" => Trouble::Halted(failure.what),
                "paused" => Trouble::Paused,
                "refused" => Trouble::Refused(failure.read()),
                word => return Err(format!("a mapping is `{word}`")),
            };
            mappings.insert(MappingName::new(&name), trouble);
        }
        Ok(Report { ending: Ending { why, mappings }, reading: self.meter.reading() })
    }
}

/// Which mappings were steered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steered {
    /// These were otherwise before.
    pub changed: Vec<String>,
    /// These were so already.
    pub already: Vec<String>,
}

impl From<Changed> for Kind {
    fn from(changed: Changed) -> Self {
        let names = |names: Vec<MappingName>| names.iter().map(|name| name.as_str().to_owned()).collect();
        Self::Steered(Steered { changed: names(changed.changed), already: names(changed.already) })
    }
}

impl From<Snapshot> for Kind {
    fn from(snapshot: Snapshot) -> Self {
        let mapping = |it: crate::daemon::Standing| MappingStanding {
            name: it.name.as_str().to_owned(),
            state: it.state,
            reason: it.reason,
            since: it.since.to_string(),
            agenda: it.agenda,
        };
        let (refused_at, refused) = snapshot.refused.unzip();
        Self::Status(Standing {
            mappings: snapshot.mappings.into_iter().map(mapping).collect(),
            agenda: snapshot.agenda,
            out: snapshot.out,
            meter: Numbers::new(snapshot.reading, Stage::Working),
            refused_at: refused_at.map(|at| at.to_string()),
            refused,
        })
    }
}

impl From<Option<Next>> for Kind {
    fn from(next: Option<Next>) -> Self {
        Self::Next(next.map(|next| match next {
            Next::Now => When { now: true, at: None },
            Next::At(at) => When { now: false, at: Some(at.to_string()) },
        }))
    }
}

impl From<Progress> for Kind {
    fn from(progress: Progress) -> Self {
        Self::Progress(Numbers::new(progress.reading, progress.stage))
    }
}

impl From<&Report> for Kind {
    fn from(report: &Report) -> Self {
        Self::Ended(End::new(report))
    }
}

impl Wait {
    /// What the loop is to wait for, if it is to wait.
    #[must_use]
    pub fn goal(self) -> Option<Goal> {
        match self {
            Self::Synced => Some(Goal::Synced),
            Self::Sent => Some(Goal::Sent),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests;
