//! Any error as a person reads it: a heading, the causes, a hint, and the exit code that a script goes by.

use std::error::Error;
use std::process::ExitCode;

use super::paper::Paper;
use crate::config::Problems;
use crate::verdict::{self, Blame};
use crate::{cloud, disk, ledger};

/// How a command ended, as a script is told. The first that applies counts, in the order of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Every file in scope reached its goal.
    Done,
    /// Something failed that has no code of its own.
    Unclassified,
    /// The command line asks for something that does not exist.
    Usage,
    /// Some files failed or were held.
    FilesFailed,
    /// Some conversions failed.
    ConversionsFailed,
    /// Temporary trouble: worth another try.
    Temporary,
    /// Another instance holds the ledger.
    Locked,
    /// Stopped for safety: an operator has to look.
    Halted,
    /// The state directory cannot be written.
    StateDirectory,
    /// A person has to log in.
    LoginNeeded,
    /// The configuration is at fault.
    Configuration,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unclassified => 1,
            Self::Usage => 2,
            Self::FilesFailed => 3,
            Self::ConversionsFailed => 4,
            Self::Temporary => 5,
            Self::Locked => 11,
            Self::Halted => 13,
            Self::StateDirectory => 74,
            Self::LoginNeeded => 77,
            Self::Configuration => 78,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// One line: what failed.
    heading: String,
    /// What led to it, the nearest first.
    causes: Vec<String>,
    /// What to do about it.
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// A failure of one line.
    pub(super) fn new(exit: Exit, heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), causes: Vec::new(), hint: None, exit }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What failed, as it is told first.
    pub(super) fn heading(&self) -> &str {
        &self.heading
    }

    /// What to do about it.
    pub(super) fn cure(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// How the command ends by it.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints it to stderr, and as an object to stdout where JSON is wanted. Returns its exit code.
    pub(super) fn tell(&self, paper: &Paper) -> Exit {
        if paper.is_json() {
            paper.object(&serde_json::json!({
                "schema_version": 1,
                "error": self.heading,
                "causes": self.causes,
                "hint": self.hint,
                "exit_code": self.exit.code(),
            }));
        }
        paper.talk(&format!("error: {}", self.heading));
        for cause in &self.causes {
            paper.talk(&format!("  caused by: {cause}"));
        }
        if let Some(hint) = &self.hint {
            paper.talk(&format!("hint: {hint}"));
        }
        self.exit
    }
}

fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::new(Exit::Configuration, format!("the configuration cannot be used\n\n{problems}"))
    }
}

impl From<ledger::Error> for Failure {
    fn from(error: ledger::Error) -> Self {
        let (exit, hint) = match &error {
            ledger::Error::Locked { .. } => {
                (Exit::Locked, "another versync is at work; wait for it, or look with `versync status`")
            }
            ledger::Error::Missing(_) => {
                (Exit::Unclassified, "nothing was synced yet: run `versync sync` or `versync run`")
            }
            ledger::Error::Newer { .. } => (Exit::Configuration, "use the newer versync that wrote it"),
            ledger::Error::Network { .. } | ledger::Error::Loose { .. } => {
                (Exit::Configuration, "set `state_dir` to a directory of your own on a local disk")
            }
            ledger::Error::Full => (Exit::StateDirectory, "make room on the disk of the state directory"),
            _ => (Exit::StateDirectory, "check the disk and the permissions of the state directory"),
        };
        Self { causes: causes(&error), ..Self::new(exit, error.to_string()).hint(hint) }
    }
}

impl From<cloud::Error> for Failure {
    fn from(error: cloud::Error) -> Self {
        error.into_failure().into()
    }
}

impl From<verdict::Failure> for Failure {
    fn from(failure: verdict::Failure) -> Self {
        let (exit, hint) = match failure.blame {
            Blame::File => (Exit::FilesFailed, None),
            Blame::Mapping => (Exit::LoginNeeded, None),
            Blame::Cloud => {
                (Exit::Temporary, Some("try again later; `versync check` looks at the way to the cloud"))
            }
            Blame::User => {
                (Exit::LoginNeeded, Some("renew the token source of [auth]; `versync check` shows it"))
            }
            Blame::Room => (Exit::StateDirectory, Some("make room on the disk of the state directory")),
            Blame::Us => (Exit::StateDirectory, None),
        };
        Self { hint: hint.map(str::to_owned), ..Self::new(exit, failure.what) }
    }
}

impl From<disk::Error> for Failure {
    fn from(error: disk::Error) -> Self {
        Self { causes: causes(&error), ..Self::new(Exit::Unclassified, error.to_string()) }
    }
}
