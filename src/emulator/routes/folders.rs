//! Folders: making, listing, renaming, moving, deleting.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::Answer;
use crate::emulator::access::{Caller, Level, Visit};
use crate::emulator::asked::{self, NoBody, Query, Stated};
use crate::emulator::knobs::choice::{FolderDepth, FolderShape, NonEmpty, Siblings};
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::Folder;
use crate::emulator::{Site, render};

/// How deep a tree may be made in one request.
const DEEPEST: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sketch {
    name: String,
    #[serde(default)]
    subfolders: Vec<Sketch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: Option<String>,
}

pub(super) async fn list(State(site): State<Arc<Site>>, caller: Caller, mut query: Query) -> Answer {
    caller.must_not_be_guest()?;
    let visit = site.visit(caller);
    let page = query.page(&visit.knobs)?;
    query.done()?;
    let within = |folder: &Folder| visit.is_listed(folder.created_at) && visit.may(folder.id, Level::Read);
    let mut all: Vec<&Folder> = visit.vault.folders.iter().filter(|folder| within(folder)).collect();
    visit.order(&mut all, |folder| folder.id);
    let topmost = |folder: &&Folder| {
        folder.parent.and_then(|parent| visit.vault.folders.get(parent)).is_none_or(|parent| !within(parent))
    };
    let plain = |folder: &Folder| render::folder(&visit.vault, &visit.knobs, folder, None);
    let deep = |folder: &Folder| render::tree(&visit.vault, &visit.knobs, folder, &within);
    let list: Vec<Value> = match visit.knobs.folders {
        FolderShape::Flat => page.of(all).into_iter().map(plain).collect(),
        FolderShape::Roots => page.of(all.into_iter().filter(topmost)).into_iter().map(plain).collect(),
        FolderShape::Nested => page.of(all.into_iter().filter(topmost)).into_iter().map(deep).collect(),
    };
    Ok(Json(list.into()))
}

pub(super) async fn create_root(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Stated(sketch): Stated<Sketch>,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.must_have_scope(Level::Write)?;
    site.visit(caller).create(None, &sketch)
}

pub(super) async fn create_below(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(sketch): Stated<Sketch>,
) -> Answer<(StatusCode, Json<Value>)> {
    let mut visit = site.visit(caller);
    let parent = visit.folder(asked::id("folder", &raw)?, Level::Write)?.id;
    visit.create(Some(parent), &sketch)
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    query.done()?;
    let visit = site.visit(caller);
    let folder = visit.folder(asked::id("folder", &raw)?, Level::Read)?;
    Ok(Json(render::folder(&visit.vault, &visit.knobs, folder, None)))
}

pub(super) async fn below(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    query.done()?;
    let visit = site.visit(caller);
    let id = visit.folder(asked::id("folder", &raw)?, Level::Read)?.id;
    let found: Vec<Uuid> = match visit.knobs.subfolders {
        FolderDepth::Direct => visit
            .vault
            .folders
            .iter()
            .filter(|child| child.parent == Some(id))
            .map(|child| child.id)
            .collect(),
        FolderDepth::Recursive => visit.vault.below(id),
    };
    let found = found.into_iter().filter_map(|id| visit.vault.folders.get(id));
    let within = |folder: &&Folder| visit.is_listed(folder.created_at) && visit.may(folder.id, Level::Read);
    let mut list: Vec<&Folder> = found.filter(within).collect();
    visit.order(&mut list, |folder| folder.id);
    Ok(Json(
        list.into_iter().map(|folder| render::folder(&visit.vault, &visit.knobs, folder, None)).collect(),
    ))
}

pub(super) async fn rename(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(body): Stated<Named>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let folder = visit.folder(asked::id("folder", &raw)?, Level::Write)?;
    let (id, parent) = (folder.id, folder.parent);
    let Some(name) = body.name else { return Ok(StatusCode::NO_CONTENT) };
    let name = asked::name(&visit.knobs, &name)?.to_owned();
    visit.must_be_free(parent, &name, Some(id))?;
    if let Some(folder) = visit.vault.folders.get_mut(id) {
        folder.name = name;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT` on a folder does not change it: it moves other folders into it.
pub(super) async fn move_here(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(raw_ids): Stated<Vec<String>>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let target = visit.folder(asked::id("folder", &raw)?, Level::Write)?.id;
    let ids = asked::ids("folder", &raw_ids)?;
    for id in &ids {
        let folder = visit.folder(*id, Level::Write)?;
        if visit.vault.up_from(target).any(|above| above.id == *id) {
            return Err(Refusal::malformed(format!("the folder {id} cannot be moved into itself")));
        }
        visit.must_be_free(Some(target), &folder.name, Some(*id))?;
    }
    for id in ids {
        if let Some(folder) = visit.vault.folders.get_mut(id) {
            folder.parent = Some(target);
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoBody,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = visit.folder(asked::id("folder", &raw)?, Level::Manage)?.id;
    let vault = &visit.vault;
    let holds_folders = vault.folders.iter().any(|child| child.parent == Some(id));
    let holds_assets = vault.assets.iter().any(|asset| asset.folder == id);
    if holds_folders || holds_assets || vault.files_in(id).next().is_some() {
        let status = match visit.knobs.non_empty_folder {
            NonEmpty::Malformed => StatusCode::BAD_REQUEST,
            NonEmpty::Forbidden => StatusCode::FORBIDDEN,
            NonEmpty::Conflict => StatusCode::CONFLICT,
        };
        return Err(Refusal::new(status, format!("the folder {id} is not empty")));
    }
    visit.vault.folders.remove(id);
    Ok(StatusCode::NO_CONTENT)
}

impl Visit<'_> {
    fn create(&mut self, parent: Option<Uuid>, sketch: &Sketch) -> Answer<(StatusCode, Json<Value>)> {
        self.caller.must_not_be_guest()?;
        self.check(sketch, DEEPEST)?;
        self.must_be_free(parent, &sketch.name, None)?;
        let id = self.build(parent, sketch);
        let folder = self.vault.folders.get(id).ok_or_else(|| self.missing("folder", id))?;
        Ok((StatusCode::CREATED, Json(render::tree(&self.vault, &self.knobs, folder, &|_| true))))
    }

    /// Looks at a whole tree before any of it is made.
    fn check(&self, sketch: &Sketch, depth: usize) -> Result<(), Refusal> {
        asked::name(&self.knobs, &sketch.name)?;
        if depth == 0 {
            return Err(Refusal::malformed(format!("the folders are nested more than {DEEPEST} deep")));
        }
        for (at, child) in sketch.subfolders.iter().enumerate() {
            let before = &sketch.subfolders[..at];
            if self.knobs.sibling_names == Siblings::Reject
                && before.iter().any(|other| asked::same_name(&self.knobs, &other.name, &child.name))
            {
                return Err(Refusal::conflict(format!("two subfolders are called {:?}", child.name)));
            }
            self.check(child, depth - 1)?;
        }
        Ok(())
    }

    fn build(&mut self, parent: Option<Uuid>, sketch: &Sketch) -> Uuid {
        let (by, now) = (self.actor(), self.now);
        let id = self.vault.make_folder(&sketch.name, parent, by, now);
        for child in &sketch.subfolders {
            self.build(Some(id), child);
        }
        id
    }

    fn must_be_free(&self, parent: Option<Uuid>, name: &str, except: Option<Uuid>) -> Result<(), Refusal> {
        if self.knobs.sibling_names == Siblings::Allow {
            return Ok(());
        }
        let mut siblings = self.vault.folders.iter().filter(|folder| folder.parent == parent);
        match siblings
            .find(|other| Some(other.id) != except && asked::same_name(&self.knobs, &other.name, name))
        {
            None => Ok(()),
            Some(_) => Err(Refusal::conflict(format!("a folder called {name:?} is there already"))),
        }
    }
}
