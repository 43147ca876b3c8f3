//! Who may do what in a folder.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use super::groups::{member, member_kind};
use crate::emulator::access::{Caller, Level};
use crate::emulator::asked::{self, NoBody, Query, Stated};
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::{Grant, MemberKind};
use crate::emulator::{Site, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Access {
    access: Level,
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    query: Query,
) -> Answer {
    query.done()?;
    let visit = site.visit(caller);
    let folder = visit.folder(asked::id("folder", &raw)?, Level::Manage)?;
    let of = |kind| folder.grants.iter().filter(move |grant| grant.kind == kind);
    let users: Vec<Value> = of(MemberKind::Users)
        .map(|grant| {
            let username = render::username(&visit.vault, grant.member);
            json!({ "user_id": grant.member, "username": username, "access": grant.access })
        })
        .collect();
    let groups: Vec<Value> = of(MemberKind::Groups)
        .filter_map(|grant| Some((grant, visit.vault.groups.get(grant.member)?)))
        .map(|(grant, group)| json!({ "group_id": group.id, "name": group.name, "access": grant.access }))
        .collect();
    Ok(Json(json!({ "users": users, "groups": groups })))
}

pub(super) async fn grant(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path((raw, kind, raw_member)): Path<(String, String, String)>,
    Stated(body): Stated<Access>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = visit.folder(asked::id("folder", &raw)?, Level::Manage)?.id;
    let kind = member_kind(&kind)?;
    let member = member(&visit, kind, &raw_member)?;
    let since = visit.now;
    if let Some(folder) = visit.vault.folders.get_mut(id) {
        folder.grants.retain(|other| (other.kind, other.member) != (kind, member));
        folder.grants.push(Grant { kind, member, access: body.access, since });
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path((raw, kind, raw_member)): Path<(String, String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = visit.folder(asked::id("folder", &raw)?, Level::Manage)?.id;
    let kind = member_kind(&kind)?;
    let member = member(&visit, kind, &raw_member)?;
    let Some(folder) = visit.vault.folders.get_mut(id) else { return Ok(StatusCode::NO_CONTENT) };
    let before = folder.grants.len();
    folder.grants.retain(|other| (other.kind, other.member) != (kind, member));
    if folder.grants.len() == before {
        return Err(Refusal::not_found(format!("{member} has no access to this folder of its own")));
    }
    Ok(StatusCode::NO_CONTENT)
}
