//! Upload tasks: by id, by folder, by user, all.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::Answer;
use crate::emulator::access::{Caller, Level, Visit};
use crate::emulator::asked::{self, Query};
use crate::emulator::vault::Task;
use crate::emulator::{Site, render};

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    query.done()?;
    let visit = site.visit(caller);
    visit.must_see_tasks()?;
    let task = visit.task(asked::id("upload task", &raw)?)?;
    Ok(Json(render::task(&visit.vault, &visit.knobs, task, visit.now)))
}

pub(super) async fn of_folder(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    let visit = site.visit(caller);
    visit.must_see_tasks()?;
    let folder = visit.folder(asked::id("folder", &raw)?, Level::Read)?.id;
    page_of(&visit, query, |task| task.folder == folder)
}

pub(super) async fn list(State(site): State<Arc<Site>>, caller: Caller, query: Query) -> Answer {
    let visit = site.visit(caller);
    visit.must_see_tasks()?;
    page_of(&visit, query, |task| visit.may(task.folder, Level::Read))
}

pub(super) async fn of_user(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    let visit = site.visit(caller);
    visit.must_see_tasks()?;
    let user = asked::id("user", &raw)?;
    visit.vault.users.get(user).ok_or_else(|| visit.missing("user", user))?;
    if visit.actor() != Some(user) {
        // Whose uploads one may see is not documented: one's own is the stricter reading.
        caller.must_be_api_key()?;
    }
    page_of(&visit, query, |task| task.uploaded_by == Some(user))
}

fn page_of(visit: &Visit<'_>, mut query: Query, wanted: impl Fn(&Task) -> bool) -> Answer {
    let page = query.page(&visit.knobs)?;
    query.done()?;
    let all =
        visit.vault.tasks.iter().filter(|task| visit.is_listed(task.uploaded_at) && visit.is_kept(task));
    let mut all: Vec<&Task> = all.filter(|task| wanted(task)).collect();
    visit.order(&mut all, |task| task.id);
    let shown =
        page.of(all).into_iter().map(|task| render::task(&visit.vault, &visit.knobs, task, visit.now));
    Ok(Json(shown.collect()))
}
