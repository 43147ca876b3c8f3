//! Assets: listing, describing, moving, deleting. Which of them use which is `links`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, counted};
use crate::emulator::access::{Caller, Level, Visit};
use crate::emulator::asked::{self, NoBody, NoQuery, Page, Query, Stated};
use crate::emulator::asset_type::AssetType;
use crate::emulator::knobs::choice::{AssetPaging, Clash};
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::Asset;
use crate::emulator::{Site, render};

/// The thumbnail of every asset that has none of its own: one grey pixel.
const PIXEL: &[u8] =
    b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\
\x00\x00\x00\x0aIDATx\x9cch\x00\x00\x00\x82\x00\x81w\xcdr\xb6\x00\x00\x00\x00IEND\xaeB`\x82";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: Option<String>,
}

pub(super) async fn in_folder(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    mut query: Query,
) -> Answer<impl IntoResponse + use<>> {
    let visit = site.visit(caller);
    let id = visit.folder(asked::id("folder", &raw)?, Level::Read)?.id;
    let page = query.page(&visit.knobs)?;
    let folders = if query.flag("recursive")? {
        visit.vault.below(id).into_iter().filter(|below| visit.may(*below, Level::Read)).chain([id]).collect()
    } else {
        vec![id]
    };
    let (name, kinds) = (query.one("filter[asset_name]")?, kinds(&mut query)?);
    let sources = query.several("filter[source_file]")?;
    query.done()?;
    let without_source = sources == ["exclude"];
    let sources: Vec<Uuid> = match sources.as_slice() {
        [] => Vec::new(),
        [one] if one == "exclude" => Vec::new(),
        [..] => sources.iter().map(|raw| asked::id("source file", raw)).collect::<Result<_, _>>()?,
    };
    let wanted = |asset: &Asset| {
        folders.contains(&asset.folder)
            && (!without_source || asset.source_file.is_none())
            && (sources.is_empty() || asset.source_file.is_some_and(|source| sources.contains(&source)))
    };
    let all = visit.assets(name.as_deref(), &kinds, wanted);
    let counts = render::asset_counts(&all);
    Ok(counted("x-assets-count", &counts, visit.page_of_assets(page, all)))
}

pub(super) async fn list(State(site): State<Arc<Site>>, caller: Caller, mut query: Query) -> Answer {
    caller.must_not_be_guest()?;
    let visit = site.visit(caller);
    let page = query.page(&visit.knobs)?;
    let (name, kinds) = (query.one("filter[asset_name]")?, kinds(&mut query)?);
    // There are no public assets here: the environment is all there is.
    query.flag("filter[include_public_assets]")?;
    query.done()?;
    let all = visit.assets(name.as_deref(), &kinds, |asset| visit.may(asset.folder, Level::Read));
    Ok(Json(visit.page_of_assets(page, all)))
}

pub(super) async fn details(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    query: Query,
) -> Answer {
    query.done()?;
    let visit = site.visit(caller);
    let asset = visit.asset_at(&path, Level::Read)?;
    Ok(Json(render::asset(&visit.vault, &visit.knobs, asset)))
}

pub(super) async fn source_file(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let asset = visit.asset_at(&path, Level::Read)?;
    let source = asset.source_file.and_then(|id| visit.vault.files.get(id));
    let source = source.filter(|file| file.deleted_at.is_none());
    let source = source.ok_or_else(|| Refusal::not_found("this asset has no source file any more"))?;
    Ok(Json(render::source_file(&visit.knobs, source)))
}

pub(super) async fn folder(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let id = visit.asset_at(&path, Level::Read)?.folder;
    let folder = visit.vault.folders.get(id).ok_or_else(|| visit.missing("folder", id))?;
    Ok(Json(render::folder(&visit.vault, &visit.knobs, folder, None)))
}

pub(super) async fn description(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let asset = visit.asset_at(&path, Level::Read)?;
    Ok(Json(render::description(asset)))
}

pub(super) async fn rename(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Stated(body): Stated<Named>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = visit.asset_at(&path, Level::Write)?.id;
    let name = body.name.map(|name| asked::name(&visit.knobs, &name).map(str::to_owned)).transpose()?;
    let now = visit.now;
    if let (Some(asset), Some(name)) = (visit.vault.assets.get_mut(id), name) {
        asset.name = name;
        asset.edited_at = now;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn thumbnail(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    mut query: Query,
) -> Answer<Response> {
    let size = query.one("size")?.unwrap_or_default();
    let default = query.one("default_url")?;
    query.done()?;
    let default = default.map(|url| elsewhere(&url)).transpose()?;
    if !["large", "medium", "small", "tiny"].contains(&size.as_str()) {
        return Err(Refusal::malformed("size is large, medium, small or tiny"));
    }
    let visit = site.visit(caller);
    let asset = visit.asset_at(&path, Level::Read)?;
    Ok(match (&asset.thumbnail, default) {
        (Some((kind, bytes)), _) => ([(header::CONTENT_TYPE, kind.clone())], bytes.clone()).into_response(),
        (None, Some(default)) => (StatusCode::FOUND, [(header::LOCATION, default)]).into_response(),
        (None, None) => ([(header::CONTENT_TYPE, "image/png")], PIXEL).into_response(),
    })
}

pub(super) async fn put_thumbnail(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    _: NoQuery,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer<StatusCode> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind != "image/jpg" && kind != "image/png" {
        return Err(Refusal::wrong_type("a thumbnail is image/jpg or image/png"));
    }
    let mut visit = site.visit(caller);
    let id = visit.asset_at(&path, Level::Write)?.id;
    if let Some(asset) = visit.vault.assets.get_mut(id) {
        asset.thumbnail = Some((kind.into(), bytes.to_vec()));
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn move_here(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(raw_ids): Stated<Vec<String>>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let target = visit.folder(asked::id("folder", &raw)?, Level::Write)?.id;
    let ids = asked::ids("asset", &raw_ids)?;
    for id in &ids {
        visit.asset(None, *id, Level::Write)?;
    }
    for id in ids {
        if let Some(asset) = visit.vault.assets.get_mut(id) {
            asset.folder = target;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = visit.asset_at(&path, Level::Manage)?.id;
    visit.delete_assets(HashSet::from([id]))
}

pub(super) async fn delete_many(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Stated(raw_ids): Stated<Vec<String>>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let ids = asked::ids("asset", &raw_ids)?;
    for id in &ids {
        visit.asset(None, *id, Level::Manage)?;
    }
    visit.delete_assets(ids.into_iter().collect())
}

pub(super) async fn bounds(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    site.visit(caller).asset_at(&("scenes".into(), raw), Level::Read)?;
    Ok(Json(render::unit_box()))
}

pub(super) async fn settings(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    site.visit(caller).asset_at(&("scenes".into(), raw), Level::Read)?;
    Ok(Json(json!({})))
}

/// An address that a client may be sent to.
fn elsewhere(url: &str) -> Result<String, Refusal> {
    let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let parsed =
        parsed.ok_or_else(|| Refusal::malformed(format!("default_url is no web address: {url:?}")))?;
    Ok(parsed.into())
}

/// Reads the name of a type.
pub(super) fn kind(name: &str) -> Result<AssetType, Refusal> {
    AssetType::named(name).ok_or_else(|| Refusal::malformed(format!("no asset type is called {name:?}")))
}

fn kinds(query: &mut Query) -> Result<Vec<AssetType>, Refusal> {
    query.several("filter[asset_type]")?.iter().map(|name| kind(name)).collect()
}

impl Visit<'_> {
    /// The asset of a path `/assets/{container}/{id}`.
    pub(super) fn asset_at(
        &self,
        (container, raw): &(String, String),
        need: Level,
    ) -> Result<&Asset, Refusal> {
        let kind = AssetType::in_container(container);
        let kind = kind.ok_or_else(|| Refusal::not_found(format!("no assets are called {container:?}")))?;
        self.asset(Some(kind), asked::id(kind.name(), raw)?, need)
    }

    /// The living assets that pass the filters, type by type.
    fn assets(
        &self,
        name: Option<&str>,
        kinds: &[AssetType],
        wanted: impl Fn(&Asset) -> bool,
    ) -> Vec<&Asset> {
        let born = self.vault.assets.iter().filter(|asset| asset.born_at <= self.now);
        let all = born.filter(|asset| kinds.is_empty() || kinds.contains(&asset.kind));
        let all = all.filter(|asset| asked::passes(&self.knobs, name, &asset.name) && wanted(asset));
        let mut all: Vec<&Asset> = all.collect();
        self.order(&mut all, |asset| asset.id);
        all.sort_by_key(|asset| asset.kind);
        all
    }

    fn page_of_assets(&self, page: Page, all: Vec<&Asset>) -> Value {
        match self.knobs.asset_paging {
            AssetPaging::Global => render::asset_list(page.of(all)),
            AssetPaging::PerType => {
                let each = all.chunk_by(|one, next| one.kind == next.kind);
                render::asset_list(each.flat_map(|kind| page.of(kind.iter().copied())))
            }
        }
    }

    /// Deletes assets together, minding what others refer to.
    pub(super) fn delete_assets(&mut self, mut doomed: HashSet<Uuid>) -> Answer<StatusCode> {
        loop {
            let users = self.vault.assets.iter().filter(|asset| !doomed.contains(&asset.id));
            let users = users.filter(|asset| asset.uses.iter().any(|used| doomed.contains(used)));
            let users: Vec<Uuid> = users.map(|asset| asset.id).collect();
            match (self.knobs.referenced_assets, users.first()) {
                (_, None) => break,
                (Clash::Refuse, Some(user)) => {
                    return Err(Refusal::conflict(format!(
                        "the asset {user} refers to one that is to be deleted"
                    )));
                }
                (Clash::Cascade, Some(_)) => doomed.extend(users),
            }
        }
        self.vault.assets.retain(|asset| !doomed.contains(&asset.id));
        Ok(StatusCode::NO_CONTENT)
    }
}
