//! `versync sessions`: who looks at what was made of the mapped files, right now.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::render::{self, Table};
use super::{Global, desk};
use crate::ambient;
use crate::cloud::{Participant, Session};
use crate::config::Environment;
use crate::file::{Key, MappingName, RelPath, shown};
use crate::id::{AssetId, FolderId};
use crate::ledger::{self, Reader};
use crate::mapping::Mapping;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A session belongs to a mapping if its scene was made of a file of it, or lies in a folder that the mapping uses. With \
--json one object is printed: schema_version and sessions [{session_id, mapping, path (null for a scene that no file \
became), scene_id, scene_name, folder_id, creator_user_id, created_at, is_transient, max_users, clients [{client_id, \
type, user_id, username}]}].")]
pub(super) struct Arguments {
    /// Only sessions of this mapping
    #[arg(long, value_name = "NAME")]
    mapping: Vec<String>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let found = desk::configuration(global)?;
    let mappings = desk::chosen(&found.config, &arguments.mapping)?;
    let client = desk::client(&found.config, &Environment::process())?;
    let sessions = desk::runtime()?.block_on(client.sessions())?;
    let places = match Reader::open(&found.config.state_dir) {
        // The ledger may be long: it is not read where nothing is looked for.
        Ok(reader) if !sessions.is_empty() => Places::read(&mappings, &reader, &sessions)?,
        Ok(_) | Err(ledger::Error::Missing(_)) => Places::of(&mappings),
        Err(error) => return Err(error.into()),
    };
    let ours = sessions.iter().filter_map(|session| Some((session, places.of_session(session)?)));
    tell(&ours.collect::<Vec<_>>(), *paper);
    Ok(Exit::Done)
}

/// What a session is about: a mapping, and the file if one became its scene.
type Place<'a> = (&'a MappingName, Option<&'a RelPath>);

/// Where scenes and folders belong.
struct Places {
    folders: HashMap<FolderId, MappingName>,
    scenes: HashMap<AssetId, Key>,
}

impl Places {
    fn of(mappings: &[&Mapping]) -> Self {
        let folders = mappings.iter().map(|mapping| (mapping.folder, mapping.name.clone())).collect();
        Self { folders, scenes: HashMap::new() }
    }

    /// Keeps of the ledger only what the sessions are about.
    fn read(mappings: &[&Mapping], reader: &Reader, sessions: &[Session]) -> Result<Self, Failure> {
        let folders: HashSet<_> = sessions.iter().filter_map(|session| session.folder).collect();
        let scenes: HashSet<_> = sessions.iter().map(|session| session.scene).collect();
        let mut places = Self::of(mappings);
        for mapping in mappings {
            reader.bundles(Some(&mapping.name), None, &mut |key, entry| {
                if let Some(current) = &entry.current {
                    if folders.contains(&current.folder) {
                        places.folders.entry(current.folder).or_insert_with(|| key.mapping.clone());
                    }
                    let assets = current.parts().flat_map(|part| &part.assets);
                    let assets = assets.chain(entry.copies.iter().flat_map(|copy| &copy.assets));
                    for asset in assets.filter(|asset| scenes.contains(&asset.id)) {
                        places.scenes.insert(asset.id, key.clone());
                    }
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(places)
    }

    fn of_session(&self, session: &Session) -> Option<Place<'_>> {
        if let Some(key) = self.scenes.get(&session.scene) {
            return Some((&key.mapping, Some(&key.path)));
        }
        Some((self.folders.get(&session.folder?)?, None))
    }
}

fn tell(sessions: &[(&Session, Place<'_>)], paper: Paper) {
    if paper.is_json() {
        let sessions: Vec<_> = sessions.iter().map(|(session, place)| object(session, *place)).collect();
        paper.object(&json!({ "schema_version": render::SCHEMA, "sessions": sessions }));
        return;
    }
    if sessions.is_empty() {
        paper.talk("nobody looks at anything: no session runs on the mapped folders");
        return;
    }
    let now = ambient::now();
    let mut table = Table::headed(&["FILE", "SCENE", "SESSION", "SINCE", "WHO"]);
    for (session, (mapping, path)) in sessions {
        let file = path.map_or_else(|| format!("{mapping}: (by hand)"), |path| format!("{mapping}:{path}"));
        let since = session.created_at.map_or_else(|| "-".to_owned(), |at| render::ago(at, now));
        table.row(vec![
            file,
            session.scene.to_string(),
            session.id.to_string(),
            since,
            who(&session.clients),
        ]);
    }
    table.lines().iter().for_each(|line| paper.line(line));
}

fn who(clients: &[Participant]) -> String {
    if clients.is_empty() {
        return "nobody yet".to_owned();
    }
    let name = |client: &Participant| match (client.name.as_str(), client.user) {
        ("", Some(user)) => user.to_string(),
        ("", None) => "a guest".to_owned(),
        (name, Some(_) | None) => shown(name),
    };
    clients.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn object(session: &Session, (mapping, path): Place<'_>) -> Value {
    let client = |client: &Participant| {
        json!({
            "client_id": client.id.map(|id| id.to_string()),
            "type": client.kind,
            "user_id": client.user.map(|id| id.to_string()),
            "username": client.name,
        })
    };
    let mut fields = path.map(render::path_fields).unwrap_or_default();
    fields.entry("path").or_insert(Value::Null);
    let rest = json!({
        "session_id": session.id.to_string(),
        "mapping": mapping.as_str(),
        "scene_id": session.scene.to_string(),
        "scene_name": session.scene_name,
        "folder_id": session.folder.map(|id| id.to_string()),
        "creator_user_id": session.creator.map(|id| id.to_string()),
        "created_at": session.created_at.map(render::moment),
        "is_transient": session.is_transient,
        "max_users": session.most_users,
        "clients": session.clients.iter().map(client).collect::<Vec<_>>(),
    });
    if let Value::Object(rest) = rest {
        fields.extend(rest);
    }
    Value::Object(fields)
}
