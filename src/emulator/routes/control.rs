//! Steering the emulator itself, at the server's root and not in the API: knobs, faults, the journal, the clock.
//!
//! These routes need no credential, so they only answer to a loopback or numeric `Host`: a web page that a browser
//! was lured to cannot reach them under a name of its own.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Answer;
use crate::emulator::Site;
use crate::emulator::asked::{self, Stated};
use crate::emulator::asset_type::AssetType;
use crate::emulator::clock;
use crate::emulator::fault::Fault;
use crate::emulator::journal::Request as Journalled;
use crate::emulator::knobs::Knobs;
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::Asset;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Composed {
    folder_id: String,
    name: String,
    uses: Vec<String>,
}

/// Adds the control routes.
pub(super) fn add(router: Router<Arc<Site>>) -> Router<Arc<Site>> {
    let control = Router::new()
        .route("/_emulator/knobs", get(knobs).put(set_knobs))
        .route("/_emulator/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_emulator/requests", get(requests).delete(clear_requests))
        .route("/_emulator/clock", get(now).put(advance))
        .route("/_emulator/scenes", post(compose))
        .route("/_emulator/tokens", delete(expire_tokens))
        .route_layer(middleware::from_fn(only_local));
    router.merge(control)
}

async fn only_local(headers: HeaderMap, request: Request, next: Next) -> Result<Response, Refusal> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = url::Url::parse(&format!("http://{host}/"));
    match host.as_ref().ok().and_then(url::Url::host) {
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Ok(next.run(request).await),
        Some(url::Host::Domain("localhost")) => Ok(next.run(request).await),
        Some(url::Host::Domain(_)) | None => {
            Err(Refusal::forbidden("the emulator is steered from this machine only"))
        }
    }
}

async fn knobs(State(site): State<Arc<Site>>) -> Json<Knobs> {
    Json(site.knobs())
}

/// Sets the knobs that are named; all of them, or none if one does not fit.
async fn set_knobs(
    State(site): State<Arc<Site>>,
    Stated(body): Stated<Map<String, Value>>,
) -> Answer<Json<Knobs>> {
    let mut knobs = site.knobs.lock().unwrap_or_else(PoisonError::into_inner);
    let mut changed = knobs.clone();
    for (name, value) in body {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        changed.set(&name, &value).map_err(|fault| Refusal::malformed(fault.to_string()))?;
    }
    *knobs = changed.clone();
    Ok(Json(changed))
}

async fn faults(State(site): State<Arc<Site>>) -> Json<Vec<Fault>> {
    Json(site.faults.all())
}

async fn add_fault(State(site): State<Arc<Site>>, Stated(fault): Stated<Fault>) -> StatusCode {
    site.faults.add(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(site): State<Arc<Site>>) -> StatusCode {
    site.faults.clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(site): State<Arc<Site>>) -> Json<Vec<Journalled>> {
    Json(site.journal.all())
}

async fn clear_requests(State(site): State<Arc<Site>>) -> StatusCode {
    site.journal.clear();
    StatusCode::NO_CONTENT
}

/// Lets every user token die now.
async fn expire_tokens(State(site): State<Arc<Site>>) -> StatusCode {
    site.vault().tokens.clear();
    StatusCode::NO_CONTENT
}

async fn now(State(site): State<Arc<Site>>) -> Json<Value> {
    Json(json!({ "now": clock::date_time(site.now()) }))
}

async fn advance(State(site): State<Arc<Site>>, Stated(body): Stated<Advance>) -> Json<Value> {
    site.clock.advance(Duration::from_millis(body.advance_ms));
    now(State(site)).await
}

/// Makes a scene by hand that uses other assets, as an artist does in the editor.
async fn compose(State(site): State<Arc<Site>>, Stated(body): Stated<Composed>) -> Answer {
    let id = site.compose_scene(&body.folder_id, &body.name, &body.uses)?;
    site.save().await.map_err(|fault| Refusal::broken(format!("failed to save the environment: {fault}")))?;
    Ok(Json(json!({ "asset_id": id })))
}

impl Site {
    /// Puts a scene that uses other assets into a folder, and answers with its id.
    pub(in crate::emulator) fn compose_scene(
        &self,
        folder: &str,
        name: &str,
        uses: &[String],
    ) -> Result<uuid::Uuid, Refusal> {
        let folder = asked::id("folder", folder)?;
        let uses = asked::ids("asset", uses)?;
        let (mut vault, now) = (self.vault(), self.now());
        if vault.folders.get(folder).is_none() || uses.iter().any(|used| vault.assets.get(*used).is_none()) {
            return Err(Refusal::not_found("a scene needs an existing folder and existing assets"));
        }
        let id = vault.dice.id();
        let (kind, name, created_by) = (AssetType::Scene, name.to_owned(), Some(vault.environment_user));
        let (source_file, thumbnail) = (None, None);
        vault.assets.push(Asset {
            id,
            kind,
            name,
            folder,
            source_file,
            born_at: now,
            edited_at: now,
            created_by,
            uses,
            thumbnail,
        });
        Ok(id)
    }
}
