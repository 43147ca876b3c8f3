//! Groups, as far as grants need them. For api_keys, and for members that manage the group.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Answer;
use crate::emulator::access::{Caller, Level, Visit};
use crate::emulator::asked::{self, NoBody, NoQuery, Stated};
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::{Group, Member, MemberKind};
use crate::emulator::{Site, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    name: String,
    #[serde(default)]
    description: String,
    members: Vec<NewMember>,
}

/// The first members of a group are users; groups join by the member route.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    user_id: String,
    group_access: Level,
    folder_access: Level,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    name: String,
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Membership {
    group_access: Level,
    folder_access: Level,
}

pub(super) async fn create(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Stated(body): Stated<NewGroup>,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.must_be_api_key()?;
    let mut visit = site.visit(caller);
    let name = asked::name(&visit.knobs, &body.name)?.to_owned();
    let mut members = Vec::new();
    for new in body.members {
        let (kind, joined_at) = (MemberKind::Users, visit.now);
        let id = member(&visit, kind, &new.user_id)?;
        let (group_access, folder_access) = (new.group_access, new.folder_access);
        members.push(Member { kind, id, joined_at, group_access, folder_access });
    }
    let (id, description, created_at) = (visit.vault.dice.id(), body.description, visit.now);
    let group = Group { id, name, description, created_at, members };
    let json = shown(&visit, &group);
    visit.vault.groups.push(group);
    Ok((StatusCode::CREATED, Json(json)))
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let group = group(&visit, &raw, Level::Read)?;
    Ok(Json(shown(&visit, group)))
}

pub(super) async fn change(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(body): Stated<Changes>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = group(&visit, &raw, Level::Manage)?.id;
    let name = asked::name(&visit.knobs, &body.name)?.to_owned();
    if let Some(group) = visit.vault.groups.get_mut(id) {
        group.name = name;
        group.description = body.description;
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
    let id = group(&visit, &raw, Level::Manage)?.id;
    visit.vault.groups.remove(id);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn admit(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path((raw, kind, raw_member)): Path<(String, String, String)>,
    Stated(body): Stated<Membership>,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = group(&visit, &raw, Level::Manage)?.id;
    let kind = member_kind(&kind)?;
    let member = member(&visit, kind, &raw_member)?;
    let joined_at = visit.now;
    if let Some(group) = visit.vault.groups.get_mut(id) {
        group.members.retain(|other| (other.kind, other.id) != (kind, member));
        let (group_access, folder_access) = (body.group_access, body.folder_access);
        group.members.push(Member { kind, id: member, joined_at, group_access, folder_access });
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn expel(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path((raw, kind, raw_member)): Path<(String, String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    let mut visit = site.visit(caller);
    let id = group(&visit, &raw, Level::Manage)?.id;
    let kind = member_kind(&kind)?;
    let member = member(&visit, kind, &raw_member)?;
    if let Some(group) = visit.vault.groups.get_mut(id) {
        group.members.retain(|other| (other.kind, other.id) != (kind, member));
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn of_user(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    let visit = site.visit(caller);
    let user = asked::id("user", &raw)?;
    if visit.actor() != Some(user) {
        caller.must_be_api_key()?;
    }
    let user = visit.vault.users.get(user).ok_or_else(|| visit.missing("user", user))?.id;
    let groups =
        visit.vault.groups.iter().filter(|group| group.members.iter().any(|member| member.id == user));
    Ok(Json(groups.map(|group| shown(&visit, group)).collect()))
}

/// Reads `users` or `groups` in a path.
pub(super) fn member_kind(raw: &str) -> Result<MemberKind, Refusal> {
    match raw {
        "users" => Ok(MemberKind::Users),
        "groups" => Ok(MemberKind::Groups),
        _ => Err(Refusal::malformed(format!("members are users or groups, not {raw:?}"))),
    }
}

/// The id of an existing user or group.
pub(super) fn member(visit: &Visit<'_>, kind: MemberKind, raw: &str) -> Result<Uuid, Refusal> {
    let id = asked::id("member", raw)?;
    let (what, exists) = match kind {
        MemberKind::Users => ("user", visit.vault.users.get(id).is_some()),
        MemberKind::Groups => ("group", visit.vault.groups.get(id).is_some()),
    };
    if exists { Ok(id) } else { Err(visit.missing(what, id)) }
}

fn group<'a>(visit: &'a Visit<'_>, raw: &str, need: Level) -> Result<&'a Group, Refusal> {
    let id = asked::id("group", raw)?;
    let group = visit.vault.groups.get(id).ok_or_else(|| visit.missing("group", id))?;
    if let Caller::User { user, scope } = visit.caller {
        let access =
            group.members.iter().filter(|member| member.id == user).map(|member| member.group_access);
        if access.max().map(|access| access.min(scope)) >= Some(need) {
            return Ok(group);
        }
    }
    visit.caller.must_be_api_key().map(|()| group)
}

/// A group with its users: the documented form has no words for groups in it.
fn shown(visit: &Visit<'_>, group: &Group) -> Value {
    let users = group.members.iter().filter(|member| member.kind == MemberKind::Users);
    let members = users.map(|member| {
        json!({
            "user_id": member.id,
            "joined_at": render::moment(&visit.knobs, member.joined_at),
            "group_access": member.group_access,
            "folder_access": member.folder_access,
        })
    });
    json!({
        "group_id": group.id,
        "name": group.name,
        "description": group.description,
        "created_at": render::moment(&visit.knobs, group.created_at),
        "members": members.collect::<Vec<_>>(),
    })
}
