//! Completions and the manual page, made from the grammar of the command line.

use clap_complete::Shell;

use super::failure::{Exit, Failure};
use super::paper::Paper;

/// The arguments of `versync completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

/// The arguments of `versync man`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {}

/// Prints completions for a shell.
pub(super) fn completions(arguments: &Completions, paper: &Paper) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::grammar(), "versync", &mut script);
    paper.raw(&script);
    Ok(Exit::Done)
}

/// Prints the manual page in roff.
pub(super) fn man(paper: &Paper) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(super::grammar()).render(&mut page).map_err(|error| {
        Failure::new(Exit::Unclassified, format!("failed to write the manual page: {error}"))
    })?;
    paper.raw(&page);
    Ok(Exit::Done)
}
