//! Rendering sessions, as far as a tool opens, lists and ends them. Nothing is rendered.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Answer;
use crate::emulator::access::{Caller, Level, Visit};
use crate::emulator::asked::{self, NoBody, NoQuery, Query, Stated};
use crate::emulator::asset_type::AssetType;
use crate::emulator::clock::Millis;
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::{Client, Session, Who};
use crate::emulator::{Site, render};

/// How long a session lives without a client.
const LONELY: Millis = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opening {
    scene_id: String,
    #[expect(dead_code, reason = "checked to be a text, then ignored: nothing is rendered")]
    renderer_version: Option<String>,
    #[serde(default)]
    is_transient: bool,
    #[expect(dead_code, reason = "checked to be an object, then ignored: nothing is rendered")]
    options: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Joining {
    #[serde(default)]
    #[expect(dead_code, reason = "checked to be a bool, then ignored: nothing is rendered")]
    is_headless: bool,
}

pub(super) async fn list(State(site): State<Arc<Site>>, caller: Caller, mut query: Query) -> Answer {
    let visit = site.visit(caller);
    let mut filter = |key: &str| -> Result<Option<Uuid>, Refusal> {
        query.one(&format!("filters[{key}]"))?.map(|raw| asked::id(key, &raw)).transpose()
    };
    let (user, scene, folder) = (filter("user_id")?, filter("scene_id")?, filter("folder_id")?);
    query.done()?;
    let wanted = |session: &Session| {
        user.is_none_or(|user| session.clients.iter().any(|client| client.who == Who::User(user)))
            && scene.is_none_or(|scene| session.scene == scene)
            && folder.is_none_or(|folder| visit.folder_of(session) == Some(folder))
    };
    Ok(Json(visit.sessions(wanted)))
}

pub(super) async fn in_folder(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let folder = visit.folder(asked::id("folder", &raw)?, Level::Read)?.id;
    Ok(Json(visit.sessions(|session| visit.folder_of(session) == Some(folder))))
}

pub(super) async fn of_scene(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let scene = visit.asset(Some(AssetType::Scene), asked::id("scene", &raw)?, Level::Read)?.id;
    Ok(Json(visit.sessions(|session| session.scene == scene)))
}

pub(super) async fn create(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Stated(body): Stated<Opening>,
) -> Answer<(StatusCode, Json<Value>)> {
    let mut visit = site.visit(caller);
    let scene = visit.asset(Some(AssetType::Scene), asked::id("scene", &body.scene_id)?, Level::Read)?.id;
    // A public token acts as a user that is named after the environment, and so may an api_key.
    let creator = visit.actor().unwrap_or(visit.vault.environment_user);
    let (id, now) = (visit.vault.dice.id(), visit.now);
    visit.vault.sessions.push(Session {
        id,
        scene,
        creator,
        created_at: now,
        transient: body.is_transient,
        clients: Vec::new(),
        guests: Vec::new(),
        empty_since: now,
    });
    Ok((StatusCode::CREATED, Json(json!({ "session_id": id }))))
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let session = visit.session(&raw, Level::Read)?;
    Ok(Json(render::session(&visit.vault, &visit.knobs, session)))
}

pub(super) async fn kill(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoBody,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let session = visit.session(&raw, Level::Read)?;
    let (id, own) = (session.id, Some(session.creator) == visit.actor());
    if !own {
        visit.session(&raw, Level::Manage)?;
    }
    visit.vault.sessions.remove(id);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn join(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(_): Stated<Joining>,
) -> Answer {
    caller.must_not_be_guest()?;
    let mut visit = site.visit(caller);
    let id = visit.session(&raw, Level::Read)?.id;
    let user = visit.actor().unwrap_or(visit.vault.environment_user);
    let username = render::username(&visit.vault, user);
    visit.enter(&site, id, Who::User(user), username)
}

/// A guest's token says which session it is for.
pub(super) async fn join_as_guest(State(site): State<Arc<Site>>, caller: Caller, _: NoBody) -> Answer {
    let Caller::Guest { session, guest } = caller else {
        return Err(Refusal::unauthorized("this route takes a guest_token"));
    };
    site.visit(caller).enter(&site, session, Who::Guest(guest), format!("guest-{guest}"))
}

pub(super) async fn client(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path((raw, raw_client)): Path<(String, String)>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let session = visit.session(&raw, Level::Read)?;
    let id = asked::id("client", &raw_client)?;
    let client = session.clients.iter().find(|client| client.id == id);
    Ok(Json(render::client(client.ok_or_else(|| visit.missing("client", id))?)))
}

pub(super) async fn kick(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path((raw, raw_client)): Path<(String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = visit.session(&raw, Level::Manage)?.id;
    let gone = asked::id("client", &raw_client)?;
    let now = visit.now;
    let Some(session) = visit.vault.sessions.get_mut(id) else { return Ok(StatusCode::NO_CONTENT) };
    let before = session.clients.len();
    session.clients.retain(|client| client.id != gone);
    if session.clients.len() == before {
        return Err(visit.missing("client", gone));
    }
    session.empty_since = now;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn invite(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoBody,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.must_not_be_guest()?;
    let mut visit = site.visit(caller);
    let id = visit.session(&raw, Level::Read)?.id;
    let guest = visit.vault.dice.id();
    let token = format!("emulator_guest_token_{}", visit.vault.dice.letters(40));
    if let Some(session) = visit.vault.sessions.get_mut(id) {
        session.guests.push((token.clone(), guest));
    }
    Ok((StatusCode::CREATED, Json(json!({ "guest_token": token }))))
}

impl Visit<'_> {
    fn folder_of(&self, session: &Session) -> Option<Uuid> {
        self.vault.assets.get(session.scene).map(|scene| scene.folder)
    }

    fn is_open(&self, session: &Session) -> bool {
        // A session ends with its scene.
        self.vault.assets.get(session.scene).is_some()
            && (!session.clients.is_empty() || self.now < session.empty_since + LONELY)
    }

    fn may_enter(&self, session: &Session, need: Level) -> bool {
        match self.caller {
            Caller::Guest { session: own, .. } => own == session.id && need == Level::Read,
            Caller::ApiKey | Caller::User { .. } | Caller::Public => {
                self.folder_of(session).is_some_and(|folder| self.may(folder, need))
            }
        }
    }

    /// The open sessions that the caller may enter.
    fn sessions(&self, wanted: impl Fn(&Session) -> bool) -> Value {
        let open = self.vault.sessions.iter().filter(|session| self.is_open(session));
        let open = open.filter(|session| self.may_enter(session, Level::Read) && wanted(session));
        open.map(|session| render::session(&self.vault, &self.knobs, session)).collect()
    }

    fn session(&self, raw: &str, need: Level) -> Result<&Session, Refusal> {
        let id = asked::id("session", raw)?;
        let session = self.vault.sessions.get(id).filter(|session| self.is_open(session));
        let session = session.ok_or_else(|| Refusal::not_found(format!("no session {id} is open")))?;
        if self.may_enter(session, need) {
            return Ok(session);
        }
        Err(Refusal::forbidden(format!("this needs {} access to the session's scene", need.name())))
    }

    fn enter(&mut self, site: &Site, session: Uuid, who: Who, username: String) -> Answer {
        let (id, token) = (self.vault.dice.id(), self.vault.dice.letters(40));
        let open = self.vault.sessions.get(session).is_some_and(|session| self.is_open(session));
        match self.vault.sessions.get_mut(session).filter(|_| open) {
            None => Err(Refusal::not_found(format!("no session {session} is open"))),
            Some(session) => {
                session.clients.push(Client { id, who, username });
                let (ip, port) = (site.address.ip().to_string(), site.address.port());
                Ok(Json(json!({
                    "session_token": format!("emulator_session_token_{token}"),
                    // No TLS, and nothing that speaks the rendering protocol either.
                    "endpoint_info": { "ip": ip, "port": port, "ssl_port": 0 },
                })))
            }
        }
    }
}
