//! `versync open`: from a local file to the scene that was made of it, as a link or as a session. It prints no credential.

mod console;

use std::path::PathBuf;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::{Global, desk, render, status};
use crate::cloud;
use crate::config::{Config, Environment};
use crate::file::entry::{Asset, Current};
use crate::file::{Entry, Key, State, shown};
use crate::id::{AssetId, SessionId};
use crate::ledger::{self, Reader};
use console::Console;

/// How many assets are named where there is no scene among them.
const NAMED: usize = 5;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The link is made from `console` in [server]. Rendering costs time of your organization, so a session is opened only on \
--session; nobody is in it yet, and without anybody the cloud closes it after some seconds. With --json one object is \
printed: schema_version, mapping, path, state, is_current, folder_id, scenes [{id, name, link}], session ({session_id, \
scene_id, is_transient} or null).")]
pub(super) struct Arguments {
    /// The file whose scene is wanted
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Open a rendering session on the scene; what is edited in it is thrown away at its end
    #[arg(long)]
    session: bool,
    /// Which scene, where the file became several
    #[arg(long, value_name = "ID")]
    scene: Option<AssetId>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let found = desk::configuration(global)?;
    let config = &found.config;
    let (mapping, below) = status::find(config, &arguments.path)?;
    let key = mapping.key(below);
    let entry = match Reader::open(&config.state_dir) {
        Ok(reader) => reader.entry(&key)?,
        Err(ledger::Error::Missing(_)) => Entry::default(),
        Err(error) => return Err(error.into()),
    };
    let console = config.server.console.as_deref().map(Console::new).transpose()?;
    let Some(current) = &entry.current else { return Err(not_yet(&key, &entry)) };
    let scenes = scenes(&key, current, arguments.scene, console.as_ref())?;
    let session = match scenes.as_slice() {
        [scene] if arguments.session => Some(open(config, scene.id)?),
        _ if arguments.session => return Err(which(&key, &scenes)),
        _ => None,
    };
    tell(&Opened { key: &key, entry: &entry, current, scenes, console, session }, *paper);
    Ok(Exit::Done)
}

/// What was found and opened.
struct Opened<'a> {
    key: &'a Key,
    entry: &'a Entry,
    current: &'a Current,
    scenes: Vec<&'a Asset>,
    console: Option<Console<'a>>,
    session: Option<SessionId>,
}

/// All scenes of the version that lives in the cloud, or the one that is wanted.
fn scenes<'a>(
    key: &Key,
    current: &'a Current,
    wanted: Option<AssetId>,
    console: Option<&Console<'_>>,
) -> Result<Vec<&'a Asset>, Failure> {
    let assets = || current.parts().flat_map(|part| &part.assets);
    let scenes: Vec<_> = assets().filter(|asset| asset.kind == "scene").collect();
    let Some(first) = scenes.first() else {
        let failure =
            Failure::new(Exit::Unclassified, format!("failed to open {key}: no scene was made of it"));
        let Some(other) = assets().next() else {
            return Err(failure.hint("no asset was made of it at all; look at it in the console"));
        };
        let link = console.map(|console| console.link(current.folder, other));
        let link = link.map(|link| format!("; in the console: {link}")).unwrap_or_default();
        return Err(failure.hint(format!("it became {}{link}", render::assets(assets(), NAMED))));
    };
    let Some(wanted) = wanted else { return Ok(scenes) };
    match scenes.iter().find(|scene| scene.id == wanted) {
        Some(scene) => Ok(vec![*scene]),
        None => {
            let heading = format!("failed to open {key}: it did not become the scene {wanted}");
            Err(Failure::new(Exit::Usage, heading).hint(format!("it became the scene {}", first.id)))
        }
    }
}

fn which(key: &Key, scenes: &[&Asset]) -> Failure {
    let heading = format!("failed to open a session on {key}: it became {} scenes", scenes.len());
    let named: Vec<_> = scenes.iter().map(|scene| format!("{} ({})", scene.id, shown(&scene.name))).collect();
    Failure::new(Exit::Usage, heading).hint(format!("choose one with --scene: {}", named.join(", ")))
}

/// Nothing of it lives in the cloud.
fn not_yet(key: &Key, entry: &Entry) -> Failure {
    if *entry == Entry::default() {
        let heading = format!("failed to open {key}: versync does not know it");
        return Failure::new(Exit::FilesFailed, heading)
            .hint(format!("`versync status {key}` tells why, `versync sync` sends what is new"));
    }
    let state = entry.state();
    let reason = entry.reason().map(|reason| format!(": {}", shown(reason))).unwrap_or_default();
    let heading =
        format!("failed to open {key}: it is not synced yet, but {}{reason}", render::spoken(state.word()));
    let failure = Failure::new(exit(state), heading);
    match render::cure(state) {
        Some(cure) => failure.hint(cure),
        None => failure,
    }
}

/// What waiting can bring, and what it cannot.
const fn exit(state: State) -> Exit {
    match state {
        State::Settling | State::Ready | State::Uploading | State::Converting | State::Ambiguous => {
            Exit::Temporary
        }
        State::ConversionFailed => Exit::ConversionsFailed,
        State::Synced
        | State::Held
        | State::Blocked
        | State::Stalled
        | State::Suspect
        | State::Detached
        | State::Ignored
        | State::Deleted => Exit::FilesFailed,
    }
}

fn open(config: &Config, scene: AssetId) -> Result<SessionId, Failure> {
    let client = desk::client(config, &Environment::process())?;
    let opened: Result<_, cloud::Error> = desk::runtime()?.block_on(client.open_transient_session(scene));
    Ok(opened?)
}

fn tell(opened: &Opened<'_>, paper: Paper) {
    let Opened { key, entry, current, scenes, console, session } = opened;
    let link = |scene: &Asset| console.as_ref().map(|console| console.link(current.folder, scene));
    let is_current = entry.state() == State::Synced;
    if paper.is_json() {
        let scene =
            |scene: &&Asset| json!({ "id": scene.id.to_string(), "name": scene.name, "link": link(scene) });
        let session = session.zip(scenes.first()).map(|(session, scene)| {
            json!({
                "session_id": session.to_string(),
                "scene_id": scene.id.to_string(),
                "is_transient": true,
            })
        });
        let mut object = render::path_fields(&key.path);
        object.insert("schema_version".to_owned(), render::SCHEMA.into());
        object.insert("mapping".to_owned(), key.mapping.as_str().into());
        object.insert("state".to_owned(), entry.state().word().into());
        object.insert("is_current".to_owned(), is_current.into());
        object.insert("folder_id".to_owned(), current.folder.to_string().into());
        object.insert("scenes".to_owned(), scenes.iter().map(scene).collect());
        object.insert("session".to_owned(), session.into());
        paper.object(&object.into());
        return;
    }
    if !is_current {
        let state = render::spoken(entry.state().word());
        paper.talk(&format!("this is the version before: the file as it is now is {state}"));
    }
    if let Some((session, scene)) = session.zip(scenes.first()) {
        paper.line(&format!("session_id {session}"));
        paper.line(&format!("scene_id   {}", scene.id));
        paper.talk(
            "join it within some seconds, with a user token of your own; edits are thrown away at its end",
        );
        return;
    }
    for scene in scenes {
        match link(scene) {
            Some(link) => paper.line(&link),
            None => {
                let name = shown(&scene.name);
                paper.line(&format!("scene {} in folder {}  {name}", scene.id, current.folder));
            }
        }
    }
    if console.is_none() {
        paper.talk(&format!("hint: for links, set `console` of [server], like \"{}\"", console::EXAMPLE));
    }
}

#[cfg(test)]
mod tests;
