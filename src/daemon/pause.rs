//! Which mappings a person has wait: kept in the ledger, so that it outlives a restart.

use crate::file::MappingName;
use crate::ledger::{self, Ledger};

/// Whether a mapping is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It is.
    Running,
    /// A person has it wait.
    Paused,
}

impl Flow {
    const fn word(self) -> &'static str {
        match self {
            Self::Running => "",
            Self::Paused => "paused",
        }
    }
}

/// Whether a mapping is worked on. Blocks.
///
/// # Errors
/// What the ledger says.
pub fn flow(ledger: &Ledger, mapping: &MappingName) -> Result<Flow, ledger::Error> {
    let is_paused = ledger.meta(&name(mapping))?.is_some_and(|word| word == Flow::Paused.word());
    Ok(if is_paused { Flow::Paused } else { Flow::Running })
}

/// Remembers whether a mapping is worked on; tells whether that is news. Blocks.
///
/// # Errors
/// What the ledger says.
pub fn put_flow(ledger: &Ledger, mapping: &MappingName, wanted: Flow) -> Result<bool, ledger::Error> {
    let is_news = flow(ledger, mapping)? != wanted;
    if is_news {
        ledger.put_meta(&name(mapping), wanted.word())?;
    }
    Ok(is_news)
}

fn name(mapping: &MappingName) -> String {
    format!("flow of {mapping}")
}
