//! `versync plan`.

use super::Global;
use super::failure::{Exit, Failure};
use super::paper::Paper;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// Its story.
pub(super) fn run(_global: &Global, _arguments: &Arguments, _paper: &Paper) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Unclassified, "to be written"))
}
