//! The few routes that set up an environment for versync: users, roots, grants. They take an API key, and nothing else does.
//! Inferred: a key may use all of them; the documents say it of the routes for users.
//!
//! Knows no user token. Nothing here deletes.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::conversation::one_of;
use super::error::{Error, clean};
use super::exchange::{Answer, Call, Credential, Exchange};
use super::listing::{LIMIT, Next, Pages};
use super::remote::{Folder, Scope, User};
use super::secret::Secret;
use super::{source, wire};
use crate::file::shown;
use crate::id::{FolderId, UserId};

/// The door for an administrator's API key.
#[derive(Clone)]
pub struct Setup {
    pub(super) exchange: Exchange,
    pub(super) key: Secret,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

impl Setup {
    /// The users of this name; the API does not promise that there is at most one. Source: `GET /users`.
    ///
    /// # Errors
    /// Whatever kept the list from being read to its end.
    pub async fn find_user(&self, name: &str) -> Result<Vec<User>, Error> {
        let mut pages = Pages::new();
        loop {
            let doing = format!("look for the user {}", shown(name));
            let mut call = self.call(doing, Method::GET, &["users"], None);
            call.cap = wire::LIST_CAP;
            paged(&mut call, pages.offset());
            let answer = self.ask(&call).await?;
            let users =
                listed(&self.read(&call, &answer)?, wire::user).map_err(|why| self.unread(&call, &why))?;
            let page = users.into_iter().map(|user| (user.id.uuid(), user)).collect();
            match pages.take_uncounted(page) {
                Next::Page => {}
                Next::End => {
                    return Ok(pages.into_items().into_iter().filter(|user| user.name == name).collect());
                }
            }
        }
    }

    /// One user. Source: `GET /users/{id}`.
    ///
    /// # Errors
    /// Whatever kept it from being read; 404 as the server's word ([`Error::status`]).
    pub async fn user(&self, user: UserId) -> Result<User, Error> {
        let call = self.call(format!("read user {user}"), Method::GET, &["users", &user.to_string()], None);
        let answer = self.ask(&call).await?;
        let found = wire::user(self.read(&call, &answer)?).map_err(|why| self.unread(&call, &why))?;
        if found.id == user { Ok(found) } else { Err(self.unread(&call, "it is about another user")) }
    }

    /// Registers a user. Not safe to repeat blindly: look for it first. Source: `POST /users`.
    ///
    /// # Errors
    /// Whatever kept it from being registered.
    pub async fn register_user(&self, name: &str) -> Result<User, Error> {
        let doing = format!("register the user {}", shown(name));
        let call = self.call(doing, Method::POST, &["users"], Some(json!({ "username": name })));
        let answer = self.ask(&call).await?;
        wire::user(self.read(&call, &answer)?).map_err(|why| self.unread(&call, &why))
    }

    /// The folders that the key can reach, as a flat list. Source: `GET /folders`.
    ///
    /// # Errors
    /// Whatever kept the list from being read to its end.
    pub async fn folders(&self) -> Result<Vec<Folder>, Error> {
        let mut pages = Pages::new();
        loop {
            let mut call = self.call("list the folders".into(), Method::GET, &["folders"], None);
            call.cap = wire::LIST_CAP;
            paged(&mut call, pages.offset());
            let answer = self.ask(&call).await?;
            let value = self.read(&call, &answer)?;
            // The server pages over what it lists outermost, and may nest more below each.
            let outermost = value.as_array().map_or(1, Vec::len);
            let folders = wire::folders(value).map_err(|why| self.unread(&call, &why))?;
            let page = folders.into_iter().map(|folder| (folder.id.uuid(), folder)).collect();
            match pages.take_outermost(page, outermost) {
                Next::Page => {}
                Next::End => return Ok(pages.into_items()),
            }
        }
    }

    /// One folder, wherever it lies. Source: `GET /folders/{id}`.
    ///
    /// # Errors
    /// Whatever kept it from being read; 404 as the server's word ([`Error::status`]).
    pub async fn folder(&self, folder: FolderId) -> Result<Folder, Error> {
        let path = ["folders", &folder.to_string()];
        let call = self.call(format!("read folder {folder}"), Method::GET, &path, None);
        let answer = self.ask(&call).await?;
        let folders = wire::folders(self.read(&call, &answer)?).map_err(|why| self.unread(&call, &why))?;
        let found = folders.into_iter().find(|told| told.id == folder);
        found.ok_or_else(|| self.unread(&call, "it is about another folder"))
    }

    /// What a user was granted on a folder itself, if anything; not what comes from a group or a folder above.
    /// Source: `GET /folders/{id}/access`.
    ///
    /// # Errors
    /// Whatever kept it from being read.
    pub async fn access(&self, folder: FolderId, user: UserId) -> Result<Option<Scope>, Error> {
        let path = ["folders", &folder.to_string(), "access"];
        let doing = format!("read who may enter folder {folder}");
        let call = self.call(doing, Method::GET, &path, None);
        let answer = self.ask(&call).await?;
        wire::access_of(self.read(&call, &answer)?, user).map_err(|why| self.unread(&call, &why))
    }

    /// Makes a folder that lies in no other. Not safe to repeat blindly. Source: `POST /folders`.
    ///
    /// # Errors
    /// Whatever kept it from being made.
    pub async fn make_root_folder(&self, name: &str) -> Result<Folder, Error> {
        let doing = format!("make the root folder {}", shown(name));
        let call = self.call(doing, Method::POST, &["folders"], Some(json!({ "name": name })));
        let answer = self.ask(&call).await?;
        let folders = wire::folders(self.read(&call, &answer)?).map_err(|why| self.unread(&call, &why))?;
        one_of(folders, name, None).ok_or_else(|| self.unread(&call, "it does not hold the new folder"))
    }

    /// Lets a user into a folder; safe to repeat. Source: `PUT /folders/{id}/access/users/{id}`.
    ///
    /// # Errors
    /// Whatever kept it from being granted.
    pub async fn grant(&self, folder: FolderId, user: UserId, access: Scope) -> Result<(), Error> {
        let doing = format!("let user {user} into folder {folder}");
        let path = ["folders", &folder.to_string(), "access", "users", &user.to_string()];
        let call = self.call(doing, Method::PUT, &path, Some(json!({ "access": access.word() })));
        self.ask(&call).await.map(drop)
    }

    /// Mints a token of a user. Source: `POST /users/{id}/tokens`.
    ///
    /// # Errors
    /// Whatever kept it from being minted.
    pub async fn mint_token(
        &self,
        user: UserId,
        scope: Scope,
        ttl: Option<Duration>,
    ) -> Result<Secret, Error> {
        let minted = source::mint(&self.exchange, &self.key, user, scope, ttl).await;
        minted.map(|minted| minted.token).map_err(Error::for_good)
    }

    fn call(&self, doing: String, method: Method, path: &[&str], json: Option<Value>) -> Call {
        Call { doing, method, url: self.exchange.url(path), json, cap: wire::CAP }
    }

    async fn ask(&self, call: &Call) -> Result<Answer, Error> {
        let answer = self.exchange.control(call, Credential::ApiKey(&self.key)).await;
        // There is no other key to try.
        answer.map_err(Error::for_good)
    }

    fn read(&self, call: &Call, answer: &Answer) -> Result<Value, Error> {
        serde_json::from_slice(&answer.body).map_err(|error| self.unread(call, &error.to_string()))
    }

    fn unread(&self, call: &Call, why: &str) -> Error {
        Error::malformed(&call.doing, clean(why, std::slice::from_ref(&self.key)))
    }
}

/// Asks for the page that begins at `offset`.
pub(super) fn paged(call: &mut Call, offset: usize) {
    let mut query = call.url.query_pairs_mut();
    query.append_pair("offset", &offset.to_string()).append_pair("limit", &LIMIT.to_string());
}

/// The items of a JSON list.
pub(super) fn listed<T>(value: &Value, read: fn(Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items = value.as_array().ok_or("it is no JSON list")?;
    items.iter().cloned().map(read).collect()
}
