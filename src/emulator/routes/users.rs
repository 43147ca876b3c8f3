//! Users and their tokens: for api_keys only.

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
use crate::emulator::clock::Millis;
use crate::emulator::knobs::choice::{Expiry, Switch, Ttl};
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::User;
use crate::emulator::{Site, render};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    username: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    scope: Level,
    ttl: Option<String>,
}

const SECOND: Millis = 1000;
const HOUR: Millis = 60 * 60 * SECOND;

pub(super) async fn list(State(site): State<Arc<Site>>, caller: Caller, mut query: Query) -> Answer {
    caller.must_be_api_key()?;
    let visit = site.visit(caller);
    let page = query.page(&visit.knobs)?;
    query.done()?;
    let mut users: Vec<&User> =
        visit.vault.users.iter().filter(|user| user.id != visit.vault.environment_user).collect();
    visit.order(&mut users, |user| user.id);
    Ok(Json(page.of(users).into_iter().map(|user| render::user(&visit.knobs, user)).collect()))
}

pub(super) async fn create(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Stated(body): Stated<Named>,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.must_be_api_key()?;
    let mut visit = site.visit(caller);
    let username = asked::name(&visit.knobs, &body.username)?.to_owned();
    must_be_free(&visit, &username, None)?;
    let user = User { id: visit.vault.dice.id(), username, registered_at: visit.now };
    let shown = render::user(&visit.knobs, &user);
    visit.vault.users.push(user);
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoQuery,
) -> Answer {
    caller.must_be_api_key()?;
    let visit = site.visit(caller);
    Ok(Json(render::user(&visit.knobs, known(&visit, &raw)?)))
}

pub(super) async fn rename(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(body): Stated<Named>,
) -> Answer<StatusCode> {
    caller.must_be_api_key()?;
    let mut visit = site.visit(caller);
    let id = known(&visit, &raw)?.id;
    let username = asked::name(&visit.knobs, &body.username)?.to_owned();
    must_be_free(&visit, &username, Some(id))?;
    if let Some(user) = visit.vault.users.get_mut(id) {
        user.username = username;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    _: NoBody,
) -> Answer {
    caller.must_be_api_key()?;
    let mut visit = site.visit(caller);
    let id = known(&visit, &raw)?.id;
    visit.vault.users.remove(id);
    visit.vault.tokens.retain(|_, token| token.user != id);
    // What a user made stays. Which form `deleted_assets` has is not documented; it may be left out.
    Ok(Json(json!({})))
}

pub(super) async fn mint(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(raw): Path<String>,
    Stated(body): Stated<Wish>,
) -> Answer {
    caller.must_be_api_key()?;
    let mut visit = site.visit(caller);
    let user = known(&visit, &raw)?.id;
    let ttl = ttl(&visit, body.ttl.as_deref().unwrap_or("1h"))?;
    if visit.knobs.mint_revokes == Switch::On {
        visit.vault.tokens.retain(|_, token| token.user != user);
    }
    let now = visit.now;
    let token = visit.vault.mint(user, body.scope, now, now + ttl);
    let expires_on = match visit.knobs.expires_on {
        Expiry::Seconds => (now + ttl) / SECOND,
        Expiry::Milliseconds => now + ttl,
        Expiry::Skewed => (now + ttl - 6 * HOUR) / SECOND,
    };
    Ok(Json(json!({ "user_token": token, "expires_in": ttl / SECOND, "expires_on": expires_on })))
}

/// How long a token shall live.
fn ttl(visit: &Visit<'_>, text: &str) -> Result<Millis, Refusal> {
    let wrong = || Refusal::malformed(format!("the ttl {text:?} is not understood; write it like 12h"));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let digits = text.strip_suffix(unit).unwrap_or_default();
    let unit = match (visit.knobs.ttl, unit) {
        (Ttl::Hours | Ttl::Units, 'h') => HOUR,
        (Ttl::Units, 's') => SECOND,
        (Ttl::Units, 'm') => 60 * SECOND,
        (Ttl::Units, 'd') => 24 * HOUR,
        (Ttl::Hours | Ttl::Units, _) => return Err(wrong()),
    };
    let number: Millis = digits.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
    let longest = Millis::try_from(visit.knobs.max_ttl_hours).unwrap_or(Millis::MAX).saturating_mul(HOUR);
    let ttl = number.checked_mul(unit).ok_or_else(wrong)?;
    if ttl > longest || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    Ok(ttl)
}

fn known<'a>(visit: &'a Visit<'_>, raw: &str) -> Result<&'a User, Refusal> {
    let id = asked::id("user", raw)?;
    let found = visit.vault.users.get(id).filter(|user| user.id != visit.vault.environment_user);
    found.ok_or_else(|| visit.missing("user", id))
}

/// One older text of the API calls user names unique; the stricter reading holds here.
fn must_be_free(visit: &Visit<'_>, username: &str, except: Option<Uuid>) -> Result<(), Refusal> {
    match visit.vault.users.iter().find(|user| user.username == username && Some(user.id) != except) {
        None => Ok(()),
        Some(_) => Err(Refusal::conflict(format!("a user is called {username:?}"))),
    }
}
