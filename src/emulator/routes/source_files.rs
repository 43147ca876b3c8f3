//! Source files: listing, downloading, renaming, moving, deleting.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, counted};
use crate::emulator::access::{Caller, Level, Visit, span};
use crate::emulator::asked::{self, Query, Stated};
use crate::emulator::knobs::choice::Switch;
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::SourceFile;
use crate::emulator::vault::object::Object;
use crate::emulator::{Site, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doomed {
    source_file_ids: Vec<String>,
    #[serde(default)]
    delete_assets: bool,
}

pub(super) async fn in_folder(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer<impl IntoResponse + use<>> {
    let mut visit = site.visit(caller);
    let id = visit.folder(asked::id("folder", &raw)?, Level::Read)?.id;
    visit.page_of_files(query, Some(id))
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    query: Query,
) -> Answer<impl IntoResponse + use<>> {
    caller.must_not_be_guest()?;
    site.visit(caller).page_of_files(query, None)
}

pub(super) async fn move_here(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(raw_ids): Stated<Vec<String>>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let target = visit.folder(asked::id("folder", &raw)?, Level::Write)?.id;
    let ids = asked::ids("source file", &raw_ids)?;
    for id in &ids {
        visit.file(*id, Level::Write)?;
    }
    let now = visit.now;
    for id in ids {
        if let Some(file) = visit.vault.files.get_mut(id) {
            file.folder = target;
        }
        // What is still being converted comes to life where its source file then is.
        let unborn = visit
            .vault
            .assets
            .iter_mut()
            .filter(|asset| asset.source_file == Some(id) && asset.born_at > now);
        unborn.for_each(|asset| asset.folder = target);
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Stated(body): Stated<Doomed>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let ids = asked::ids("source file", &body.source_file_ids)?;
    for id in &ids {
        visit.file(*id, Level::Manage)?;
    }
    if body.delete_assets {
        let of_these = |source: Option<Uuid>| source.is_some_and(|source| ids.contains(&source));
        let assets = visit.vault.assets.iter().filter(|asset| of_these(asset.source_file));
        let assets: HashSet<Uuid> = assets.map(|asset| asset.id).collect();
        visit.delete_assets(assets)?;
    }
    let now = visit.now;
    ids.into_iter().for_each(|id| visit.vault.delete_file(id, now));
    visit.forget_deleted();
    Ok(StatusCode::NO_CONTENT)
}

/// The bare id is the file itself, not what is known about it.
pub(super) async fn download(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer<Response> {
    query.done()?;
    let (object, knobs) = {
        let visit = site.visit(caller);
        let file = visit.file(asked::id("source file", &raw)?, Level::Read)?;
        (file.object.clone(), visit.knobs.clone())
    };
    if !knobs.download_redirect.is_empty() {
        let to = format!("{}{raw}", knobs.download_redirect);
        return Ok((StatusCode::FOUND, [(header::LOCATION, to)]).into_response());
    }
    let body = site.objects.body(&object, knobs.corrupt_downloads).await;
    let body = body.map_err(|fault| Refusal::broken(format!("failed to read a source file: {fault}")))?;
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    Ok(([kind, (header::CONTENT_LENGTH, object.size.to_string())], body).into_response())
}

pub(super) async fn details(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    query.done()?;
    let visit = site.visit(caller);
    let file = visit.file(asked::id("source file", &raw)?, Level::Read)?;
    Ok(Json(render::source_file(&visit.knobs, file)))
}

pub(super) async fn rename(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(body): Stated<Named>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = visit.file(asked::id("source file", &raw)?, Level::Write)?.id;
    let name = asked::name(&visit.knobs, &body.name)?.to_owned();
    if let Some(file) = visit.vault.files.get_mut(id) {
        file.name = name;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn assets(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    query.done()?;
    let visit = site.visit(caller);
    let id = visit.file(asked::id("source file", &raw)?, Level::Read)?.id;
    let born = visit.vault.assets.iter().filter(|asset| asset.born_at <= visit.now);
    Ok(Json(render::asset_list(born.filter(|asset| asset.source_file == Some(id)))))
}

impl Visit<'_> {
    fn page_of_files(&mut self, mut query: Query, folder: Option<Uuid>) -> Answer<impl IntoResponse + use<>> {
        let page = query.page(&self.knobs)?;
        let filter = query.one("filters[source_file_name]")?;
        query.done()?;
        let within = |file: &SourceFile| match folder {
            Some(folder) => file.folder == folder,
            None => self.may(file.folder, Level::Read),
        };
        let all = self.vault.files.iter().filter(|file| self.shows(file) && within(file));
        let mut all: Vec<&SourceFile> =
            all.filter(|file| asked::passes(&self.knobs, filter.as_deref(), &file.name)).collect();
        self.order(&mut all, |file| file.id);
        let count = all.len();
        let list: Vec<Value> =
            page.of(all).into_iter().map(|file| render::source_file(&self.knobs, file)).collect();
        if let (Switch::On, Some(folder), true) =
            (self.knobs.insert_during_paging, folder, page.offset + list.len() < count)
        {
            self.intrude(folder);
        }
        Ok(counted("x-source-files-count", &count.to_string(), list.into()))
    }

    /// Whether a listing shows this file: new ones come late and deleted ones linger, by the knob.
    fn shows(&self, file: &SourceFile) -> bool {
        let lag = span(self.knobs.listing_lag_ms);
        file.uploaded_at + lag <= self.now && file.deleted_at.is_none_or(|at| self.now < at + lag)
    }

    /// Forgets deleted files that no listing shows any more.
    fn forget_deleted(&mut self) {
        let (now, lag) = (self.now, span(self.knobs.listing_lag_ms));
        self.vault.files.retain(|file| file.deleted_at.is_none_or(|at| now < at + lag));
    }

    /// Somebody else puts a file at the front of a list that is being paged.
    fn intrude(&mut self, folder: Uuid) {
        let id = self.vault.dice.id();
        let name = format!("intruder-{}.png", self.vault.dice.letters(6));
        let (object, uploaded_by) = (Object::tiny(b"not yours"), Some(self.vault.environment_user));
        let (original_name, uploaded_at, deleted_at) = (name.clone(), self.now, None);
        self.vault.files.push_front(SourceFile {
            id,
            folder,
            name,
            original_name,
            object,
            uploaded_at,
            uploaded_by,
            deleted_at,
        });
    }
}
