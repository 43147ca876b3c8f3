//! `versync provision`: the side of the cloud, set up once with an API key. The only command that takes one.

mod seat;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::failure::{Exit, Failure};
use super::init::{self, draft};
use super::paper::Paper;
use super::{Global, desk, render};
use crate::cloud::{self, Source};
use crate::config::{self, Auth, Config, Environment, USER_TOKEN};
use crate::file::shown;
use crate::id::UserId;
use draft::{Draft, KeyDraft};
use seat::{Origin, Seat, Wish};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is there already is found, not made again, so that a second run changes nothing; what somebody may do is never \
lowered. The key itself is never an argument: its file must be readable by you alone (chmod 600). With --json one object \
is printed: schema_version, changed, user {id, name, is_new}, folder {id, name, is_new}, access {level, is_new}, path \
(the file that was written, or null) and configuration (its text).")]
pub(super) struct Arguments {
    /// The file that holds an API key of the environment
    #[arg(long, value_name = "FILE")]
    api_key_file: PathBuf,
    /// The Asset API, if it is not the public one
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The user of this installation; without it `versync-` and the name of this machine
    #[arg(long, value_name = "NAME|ID")]
    user: Option<String>,
    /// The root folder, or any folder by its id; without it the last name of --path, else the name of the user
    #[arg(long, value_name = "NAME|ID")]
    folder: Option<String>,
    /// How much tokens may do
    #[arg(long, value_name = "LEVEL", default_value = "write")]
    scope: Level,
    /// How long a token lives, in whole hours
    #[arg(long, value_name = "TIME", default_value = "1h")]
    ttl: String,
    /// The directory to mirror
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Write the configuration here instead of printing it; `-` prints it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace another configuration that is there
    #[arg(long)]
    force: bool,
}

/// What a token, and the user, may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// Make folders, upload, follow
    Write,
    /// And move, rename, delete
    Manage,
}

/// Its story.
pub(super) fn run(_global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    // A flag stands above the environment, and the one source of tokens is the key.
    let environment = Environment::process().without(|name| {
        name.starts_with("VERSYNC_AUTH_")
            || name == USER_TOKEN
            || (name == "VERSYNC_SERVER_URL" && arguments.url.is_some())
    });
    let (mut draft, target) = draft(arguments)?;
    config::guarded(&arguments.api_key_file, &environment)
        .map_err(|(message, hint)| Failure::new(Exit::Configuration, message).hint(hint))?;
    // What is wrong with the flags is told before anything is asked of the cloud.
    let config = config::parse(&draft.text()?, "the new configuration", &environment)?;
    let wish = wish(arguments, &draft, &config)?;
    let (seat, unlisted) = desk::runtime()?.block_on(seat(&config, &wish, &arguments.api_key_file))?;
    draft.folder = Some(seat.folder.0.id.to_string());
    if let Some(key) = &mut draft.key {
        key.user = seat.user.0.id;
    }
    let text = draft.text()?;
    config::parse(&text, "the new configuration", &environment)?;
    let written = target.as_deref().map(|target| write(target, &text, arguments)).transpose()?;
    if let Some(what) = unlisted {
        paper.talk(&format!(
            "the new {what} is not listed yet: for another run name it by its id, or it is made again"
        ));
    }
    tell(&seat, &draft, &text, target.as_deref().zip(written), *paper);
    Ok(Exit::Done)
}

/// What the flags say, with ids that stand for those that the cloud will tell; and where it is to be written.
fn draft(arguments: &Arguments) -> Result<(Draft, Option<PathBuf>), Failure> {
    let file = init::absolute(&arguments.api_key_file)?;
    let path = arguments.path.as_deref().map(init::absolute).transpose()?;
    let given = arguments.output.as_deref().filter(|output| *output != Path::new("-"));
    let target = given.map(init::absolute).transpose()?;
    for (what, inside) in [("the API key", Some(&file)), ("the configuration", target.as_ref())] {
        if let (Some(root), Some(inside)) = (&path, inside)
            && inside.starts_with(root)
        {
            let inside = shown(&inside.to_string_lossy());
            let heading = format!("failed to use {inside}: {what} must not lie in the directory to mirror");
            return Err(Failure::new(Exit::Configuration, heading).hint("move it out of there"));
        }
    }
    let scope = match arguments.scope {
        Level::Write => config::Scope::Write,
        Level::Manage => config::Scope::Manage,
    };
    let user = UserId::from_uuid(uuid::Uuid::nil());
    let key = Some(KeyDraft { file, user, scope, ttl: arguments.ttl.clone() });
    Ok((Draft { path, url: arguments.url.clone(), key, ..Draft::default() }, target))
}

fn wish(arguments: &Arguments, draft: &Draft, config: &Config) -> Result<Wish, Failure> {
    let Auth::ApiKey { scope, ttl, .. } = &config.auth else {
        return Err(Failure::new(Exit::Unclassified, "failed to read the new configuration back"));
    };
    let access = match scope {
        config::Scope::Write => cloud::Scope::Write,
        config::Scope::Manage => cloud::Scope::Manage,
    };
    let user = match &arguments.user {
        Some(name) => name.trim().to_owned(),
        None => format!("versync-{}", rustix::system::uname().nodename().to_string_lossy()),
    };
    let folder = match (&arguments.folder, &draft.path) {
        (Some(name), _) => name.trim().to_owned(),
        (None, Some(path)) => draft::mapping_name(path),
        (None, None) => user.clone(),
    };
    for (flag, name) in [("--user", &user), ("--folder", &folder)] {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Failure::new(Exit::Usage, format!("failed to read {flag}: it is no name")));
        }
    }
    Ok(Wish { user, folder, access, ttl: *ttl })
}

/// A seat, and what of it the cloud does not list yet.
type Taken = (Seat, Option<&'static str>);

async fn seat(config: &Config, wish: &Wish, key_file: &Path) -> Result<Taken, Failure> {
    let key = cloud::key_from(key_file).await.map_err(|error| {
        Failure::new(Exit::Configuration, error.to_string()).hint("it must hold an API key and nothing else")
    })?;
    let setup = desk::mute_client(config)?.setup(key);
    let seat = Seat::take(&setup, wish, &config.patience).await?;
    let client = |token| desk::client_with(config, Source::Fixed(token));
    seat.prove(&setup, wish, &config.patience, client).await?;
    let unlisted = seat.until_listed(&setup, wish, &config.patience).await?;
    Ok((seat, unlisted))
}

/// Writes the file unless it says the same already.
fn write(target: &Path, text: &str, arguments: &Arguments) -> Result<Origin, Failure> {
    if is_there(target, text) {
        return Ok(Origin::Found);
    }
    init::write(target, text, arguments.force)?;
    Ok(Origin::Made)
}

#[expect(clippy::disallowed_methods, reason = "a configuration of ours, compared before it is written anew")]
fn is_there(target: &Path, text: &str) -> bool {
    std::fs::read(target).is_ok_and(|there| there == text.as_bytes())
}

fn tell(seat: &Seat, draft: &Draft, text: &str, written: Option<(&Path, Origin)>, paper: Paper) {
    let Seat { user, folder, access } = seat;
    paper.object(&json!({
        "schema_version": render::SCHEMA,
        "changed": seat.is_new(),
        "user": { "id": user.0.id.to_string(), "name": user.0.name, "is_new": user.1.is_new() },
        "folder": { "id": folder.0.id.to_string(), "name": folder.0.name, "is_new": folder.1.is_new() },
        "access": { "level": access.0.word(), "is_new": access.1.is_new() },
        "path": written.map(|(target, _)| target.to_string_lossy()),
        "configuration": text,
    }));
    // Where the configuration is the result, the rest is talk.
    let say = |text: &str| if written.is_some() { paper.line(text) } else { talk(text, paper) };
    let word = |origin, found, made| if origin == Origin::Made { made } else { found };
    say(&format!("{} user {} {}", word(user.1, "found", "registered"), user.0.id, shown(&user.0.name)));
    say(&format!("{} folder {} {}", word(folder.1, "found", "made"), folder.0.id, shown(&folder.0.name)));
    say(&format!("{} the access `{}`", word(access.1, "found", "granted"), access.0.word()));
    say("minted a token and listed the folder with it");
    if !seat.is_new() {
        say("everything was there: nothing was changed in the cloud");
    }
    match written {
        None => paper.line(text.trim_end()),
        Some((target, origin)) => {
            let target = shown(&target.to_string_lossy());
            say(&match origin {
                Origin::Made => format!("wrote {target}"),
                Origin::Found => format!("{target} says all of it already"),
            });
        }
    }
    if draft.path.is_none() {
        say("fill in `path` of the mapping: it is only an example yet");
    }
}

fn talk(text: &str, paper: Paper) {
    if !paper.is_json() {
        paper.talk(text);
    }
}
