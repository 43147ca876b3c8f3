//! `versync run`.

use super::Global;
use super::failure::{Exit, Failure};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// Its story.
pub(super) fn run(_global: &Global, _arguments: &Arguments) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Unclassified, "to be written"))
}
