//! The routes of the API, one file per noun, and those that steer the emulator.
//!
//! A route reads what is asked, pays a visit to the vault, and shows what it found. It must not know of faults.

mod assets;
mod control;
mod folders;
mod grants;
mod groups;
mod links;
mod sessions;
mod source_files;
mod tasks;
mod uploads;
mod users;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, Uri};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use axum::{Json, Router, middleware};
use serde_json::Value;

use super::access::Visit;
use super::clock::Millis;
use super::knobs::choice::Sorting;
use super::refusal::Refusal;
use super::{DESCRIPTION, PREFIX, Site, gate};

/// A route's answer.
type Answer<T = Json<Value>> = Result<T, Refusal>;

macro_rules! table {
    ($( $path:literal: $( $method:ident $handler:path, )+ )+) => {
        /// Every route of the API below its prefix, each with its methods in lower case.
        pub(super) const ROUTES: &[(&str, &[&str])] = &[$( ($path, &[$( stringify!($method), )+]), )+];

        fn api() -> Router<Arc<Site>> {
            Router::new()$( .route(&format!("{PREFIX}{}", $path), MethodRouter::new()$( .$method($handler) )+) )+
        }
    };
}

table! {
    "/users": get users::list, post users::create,
    "/users/{id}": get users::show, patch users::rename, delete users::delete,
    "/users/{id}/tokens": post users::mint,
    "/users/{id}/upload-tasks": get tasks::of_user,
    "/users/{id}/groups": get groups::of_user,
    "/groups": post groups::create,
    "/groups/{id}": get groups::show, patch groups::change, delete groups::delete,
    "/groups/{id}/members/{kind}/{member_id}": put groups::admit, delete groups::expel,
    "/folders": get folders::list, post folders::create_root,
    "/folders/{id}":
        get folders::show, patch folders::rename, put folders::move_here, delete folders::delete,
    "/folders/{id}/folders": get folders::below, post folders::create_below,
    "/folders/{id}/access": get grants::list,
    "/folders/{id}/access/{kind}/{member_id}": put grants::grant, delete grants::revoke,
    "/folders/{id}/source-files":
        get source_files::in_folder, put source_files::move_here, post uploads::receive,
    "/folders/{id}/upload-tasks": get tasks::of_folder,
    "/folders/{id}/assets": get assets::in_folder, put assets::move_here,
    "/folders/{id}/sessions": get sessions::in_folder,
    "/source-files": get source_files::list, delete source_files::delete,
    "/source-files/{id}": get source_files::download,
    "/source-files/{id}/details": get source_files::details, patch source_files::rename,
    "/source-files/{id}/assets": get source_files::assets,
    "/upload-tasks": get tasks::list,
    "/upload-tasks/{id}": get tasks::show,
    "/assets": get assets::list, delete assets::delete_many,
    "/assets/{container}/{id}": delete assets::delete,
    "/assets/{container}/{id}/details": get assets::details,
    "/assets/{container}/{id}/source-file": get assets::source_file,
    "/assets/{container}/{id}/folder": get assets::folder,
    "/assets/{container}/{id}/description": get assets::description, patch assets::rename,
    "/assets/{container}/{id}/thumbnail": get assets::thumbnail, put assets::put_thumbnail,
    "/assets/{container}/{id}/dependencies": get links::dependencies,
    "/assets/{container}/{id}/references": get links::references,
    "/assets/scenes/{id}/sessions": get sessions::of_scene,
    "/assets/scenes/{id}/aabb": get assets::bounds,
    "/assets/scenes/{id}/settings": get assets::settings,
    "/sessions": get sessions::list, post sessions::create,
    "/sessions/guests": post sessions::join_as_guest,
    "/sessions/{id}": get sessions::show, delete sessions::kill,
    "/sessions/{id}/clients": post sessions::join,
    "/sessions/{id}/clients/{client_id}": get sessions::client, delete sessions::kick,
    "/sessions/{id}/guests": post sessions::invite,
}

/// Everything that the server answers to: the API, its description, and what steers the emulator.
pub(super) fn router(site: Arc<Site>) -> Router {
    let description = || async { ([(CONTENT_TYPE, "application/json")], DESCRIPTION) };
    control::add(api())
        .route("/openapi.json", get(description))
        .fallback(|uri: Uri| async move { Refusal::not_found(format!("no route {}", uri.path())) })
        .method_not_allowed_fallback(|uri: Uri| async move {
            Refusal::wrong_method(format!("this method is not for {}", uri.path()))
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&site), gate::pass))
        // The routes have limits of their own, which answer in the API's error shape.
        .layer(DefaultBodyLimit::disable())
        .with_state(site)
}

/// A list with its total in a header, as the real API counts.
fn counted(header: &'static str, count: &str, list: Value) -> impl IntoResponse + use<> {
    let count = count.parse().unwrap_or_else(|_| axum::http::HeaderValue::from_static("0"));
    ([(HeaderName::from_static(header), count)], Json(list))
}

impl Visit<'_> {
    /// Puts a list into the order that the knobs ask for.
    fn order<T>(&self, list: &mut [T], id: impl Fn(&T) -> uuid::Uuid) {
        let mix = |now: Millis, row: &T| {
            self.vault.dice.weigh(&[&now.to_le_bytes(), &id(row).as_bytes()[..]].concat())
        };
        match self.knobs.order {
            Sorting::Insertion => {}
            Sorting::Newest => list.reverse(),
            Sorting::Random => list.sort_by_key(|row| mix(0, row)),
            Sorting::Unstable => list.sort_by_key(|row| mix(self.now, row)),
        }
    }
}
