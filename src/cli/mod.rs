//! The command line as types, and the way from a command to its story. Nothing imports this floor.

mod adopt;
mod approve;
mod check;
mod demo;
mod deps;
mod desk;
mod emulator;
mod failure;
mod files;
mod init;
mod logging;
mod manifest;
mod manual;
mod namesakes;
mod open;
mod paper;
mod plan;
mod progress;
mod provision;
mod render;
mod resolve;
mod run;
mod sessions;
mod status;
mod steer;
mod sync;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use failure::{Exit, Failure};
use paper::Paper;

/// Mirror local directories of 3D source files into 3dverse folders, and keep them so
#[derive(Debug, Parser)]
#[command(name = "versync", version, propagate_version = true, max_term_width = 100)]
struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
struct Global {
    /// Read the configuration from this file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep the ledger in this directory
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Print JSON for machines
    #[arg(long, global = true)]
    json: bool,
    /// Tell more; twice tells everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Tell only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the configured directories and upload what changes, until stopped
    Run(run::Arguments),
    /// Bring everything up to date once
    Sync(sync::Arguments),
    /// Show what would be done, without doing it
    Plan(plan::Arguments),
    /// Accept what stopped a mapping for safety, after showing it
    Approve(approve::Arguments),
    /// Take note of what the cloud already holds, without sending anything
    Adopt(adopt::Arguments),
    /// Compare what lies here with what is in the cloud, changing nothing
    Verify(verify::Arguments),
    /// Show how mappings or one path stand
    Status(status::Arguments),
    /// Tell why a path is where it is: what rule holds it back, what it waits for, what happened to it
    Why(why::Arguments),
    /// Try again what was blocked, stalled, suspect or failed to convert, and send what is held as part of a refresh
    Retry(steer::Retry),
    /// Have a mapping wait: nothing more of it is sent
    Pause(steer::Flowing),
    /// Have a paused mapping go on
    Resume(steer::Flowing),
    /// Have the running versync read its configuration again
    Reload(steer::Reload),
    /// List files with their source file ids and assets
    Files(files::Arguments),
    /// Print what became of every path as one file, fit to be kept beside code
    Manifest(manifest::Arguments),
    /// Print the id of an asset that a path became, for build scripts
    Resolve(resolve::Arguments),
    /// Show which files a model needs, and which of them are missing
    Deps(deps::Arguments),
    /// Check everything that could stop the job, and say what to do about it
    Check(check::Arguments),
    /// Write a first configuration
    Init(init::Arguments),
    /// Set up user, folder and access in the cloud once, with an API key
    Provision(provision::Arguments),
    /// Find the scene that a file became: its link, or a session on it
    Open(open::Arguments),
    /// List the rendering sessions on what was mirrored
    Sessions(sessions::Arguments),
    /// Serve an emulation of the 3dverse Asset API on loopback
    Emulator(emulator::Arguments),
    /// Show the whole job in seconds, without configuration or network
    Demo(demo::Arguments),
    /// Print completions for a shell
    Completions(manual::Completions),
    /// Print the manual page
    Man(manual::Man),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    leave_no_core();
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => return paper::usage(&error),
    };
    let paper = Paper::new(line.global.json);
    let exit = match dispatch(line, &paper) {
        Ok(exit) => exit,
        Err(failure) => failure.tell(&paper),
    };
    exit.into()
}

/// A crash writes no image of the memory, in which there are tokens. Nothing is lost where the system does not take that.
fn leave_no_core() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _refused = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

fn dispatch(line: Line, paper: &Paper) -> Result<Exit, Failure> {
    let Line { global, command } = line;
    match command {
        Command::Run(arguments) => run::run(&global, &arguments),
        Command::Sync(arguments) => sync::run(&global, &arguments, paper),
        Command::Plan(arguments) => plan::run(&global, &arguments, paper),
        Command::Approve(arguments) => approve::run(&global, &arguments, paper),
        Command::Adopt(arguments) => adopt::run(&global, &arguments, paper),
        Command::Verify(arguments) => verify::run(&global, &arguments, paper),
        Command::Status(arguments) => status::run(&global, &arguments, paper),
        Command::Why(arguments) => why::run(&global, &arguments, paper),
        Command::Retry(arguments) => steer::retry(&global, &arguments, paper),
        Command::Pause(arguments) => steer::pause(&global, &arguments, paper),
        Command::Resume(arguments) => steer::resume(&global, &arguments, paper),
        Command::Reload(arguments) => steer::reload(&global, &arguments, paper),
        Command::Files(arguments) => files::run(&global, &arguments, paper),
        Command::Manifest(arguments) => manifest::run(&global, &arguments, paper),
        Command::Resolve(arguments) => resolve::run(&global, &arguments, paper),
        Command::Deps(arguments) => deps::run(&global, &arguments, paper),
        Command::Check(arguments) => check::run(&global, &arguments, paper),
        Command::Init(arguments) => init::run(&global, &arguments, paper),
        Command::Provision(arguments) => provision::run(&global, &arguments, paper),
        Command::Open(arguments) => open::run(&global, &arguments, paper),
        Command::Sessions(arguments) => sessions::run(&global, &arguments, paper),
        Command::Emulator(arguments) => emulator::run(&global, &arguments, paper),
        Command::Demo(arguments) => demo::run(&global, &arguments, paper),
        Command::Completions(arguments) => manual::completions(&arguments, paper),
        Command::Man(_) => manual::man(paper),
    }
}

/// The command line as clap sees it, for completions and the manual page.
fn grammar() -> clap::Command {
    <Line as clap::CommandFactory>::command()
}
