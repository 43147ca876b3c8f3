//! Who asks, and what they may do.
//!
//! Access is decided per folder: the right on a folder is the lower of the token's scope and the best grant that the
//! user has there. Files and assets inherit the right of their folder. This file must not know routes or bodies.

use std::sync::{Arc, MutexGuard};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Site;
use super::asset_type::AssetType;
use super::clock::{Millis, millis};
use super::knobs::Knobs;
use super::knobs::choice::{Pinned, Switch, Uploader};
use super::refusal::Refusal;
use super::vault::{Asset, Folder, MemberKind, SourceFile, Task, Vault};

/// How much somebody may do; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// List, download, open.
    Read,
    /// Upload, create, rename, move.
    Write,
    /// Delete, grant.
    Manage,
}

impl Level {
    /// The level as the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }
}

/// The one credential of a request, found valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    ApiKey,
    User { user: Uuid, scope: Level },
    Public,
    Guest { session: Uuid, guest: Uuid },
}

const CREDENTIALS: [&str; 3] = ["api_key", "user_token", "guest_token"];

impl FromRequestParts<Arc<Site>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        site.caller(&parts.headers)
    }
}

impl Caller {
    /// Refuses everybody but an api_key.
    pub(super) fn must_be_api_key(self) -> Result<(), Refusal> {
        match self {
            Self::ApiKey => Ok(()),
            Self::User { .. } | Self::Public | Self::Guest { .. } => {
                Err(Refusal::forbidden("this route takes an api_key only"))
            }
        }
    }

    /// Refuses guests, whose token is for one session only.
    pub(super) fn must_not_be_guest(self) -> Result<(), Refusal> {
        match self {
            Self::Guest { .. } => {
                Err(Refusal::forbidden("a guest_token finds and joins its session, nothing else"))
            }
            Self::ApiKey | Self::User { .. } | Self::Public => Ok(()),
        }
    }

    /// Refuses tokens of a lower scope, whatever the folder.
    pub(super) fn must_have_scope(self, need: Level) -> Result<(), Refusal> {
        let has = match self {
            Self::ApiKey => Some(Level::Manage),
            Self::User { scope, .. } => Some(scope),
            Self::Public => Some(Level::Read),
            Self::Guest { .. } => None,
        };
        if has >= Some(need) {
            return Ok(());
        }
        Err(Refusal::forbidden(format!("this needs the scope {}", need.name())))
    }
}

impl Site {
    /// Who is behind these headers.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let knobs = self.knobs();
        let mut given = Vec::new();
        if knobs.drop_underscore_headers == Switch::Off {
            for name in CREDENTIALS {
                given.extend(headers.get_all(name).iter().map(|value| (name, value)));
            }
        }
        let (name, value) = match given.as_slice() {
            [] => {
                return Err(Refusal::unauthorized(
                    "no credential: send one of api_key, user_token, guest_token",
                ));
            }
            [one] => *one,
            [..] => return Err(Refusal::malformed("more than one credential")),
        };
        let value = value.to_str().map_err(|_| Refusal::unauthorized("the credential is not ASCII"))?;
        let vault = self.vault();
        let unknown = || Refusal::unauthorized(format!("this {name} is unknown or has expired"));
        match name {
            "api_key" if value == vault.api_key => Ok(Caller::ApiKey),
            "user_token" if value == vault.public_token => Ok(Caller::Public),
            "user_token" => {
                let token = vault.tokens.get(value).ok_or_else(unknown)?;
                let (now, delay) = (self.now(), span(knobs.grant_delay_ms));
                if token.until <= now || token.since + delay > now || vault.users.get(token.user).is_none() {
                    return Err(unknown());
                }
                Ok(Caller::User { user: token.user, scope: token.scope })
            }
            "guest_token" => {
                let all = vault
                    .sessions
                    .iter()
                    .flat_map(|session| session.guests.iter().map(|guest| (session.id, guest)));
                let found = all.into_iter().find(|(_, (token, _))| token == value);
                let (session, (_, guest)) = found.ok_or_else(unknown)?;
                Ok(Caller::Guest { session, guest: *guest })
            }
            _ => Err(unknown()),
        }
    }

    /// Lets a caller in: the vault is theirs until the visit is dropped.
    pub(super) fn visit(&self, caller: Caller) -> Visit<'_> {
        Visit { knobs: self.knobs(), now: self.now(), vault: self.vault(), caller }
    }
}

/// A number of milliseconds from a knob.
pub(super) fn span(knob: u64) -> Millis {
    millis(std::time::Duration::from_millis(knob))
}

/// A request's hold on the vault, with what decides about it.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) vault: MutexGuard<'a, Vault>,
    pub(super) knobs: Knobs,
    pub(super) now: Millis,
    pub(super) caller: Caller,
}

impl Visit<'_> {
    /// What the caller may do in a folder, if anything.
    pub(super) fn right(&self, folder: Uuid) -> Option<Level> {
        match self.caller {
            Caller::ApiKey => Some(Level::Manage),
            Caller::Guest { .. } => None,
            Caller::Public => {
                let public = self.vault.public_folder;
                self.vault.up_from(folder).any(|folder| folder.id == public).then_some(Level::Read)
            }
            Caller::User { user, scope } => {
                let reach = if self.knobs.grant_inheritance == Switch::On { usize::MAX } else { 1 };
                let granted =
                    self.vault.up_from(folder).take(reach).filter_map(|folder| self.granted(folder, user));
                granted.max().map(|granted| granted.min(scope))
            }
        }
    }

    fn granted(&self, folder: &Folder, user: Uuid) -> Option<Level> {
        let known = |since: Millis| since + span(self.knobs.grant_delay_ms) <= self.now;
        let grants = folder.grants.iter().filter(|grant| known(grant.since));
        grants
            .filter_map(|grant| match grant.kind {
                MemberKind::Users => (grant.member == user).then_some(grant.access),
                MemberKind::Groups => Some(grant.access.min(self.in_group(grant.member, user, 8)?)),
            })
            .max()
    }

    /// The most that a membership lets a user do; groups in groups are followed to a depth.
    fn in_group(&self, group: Uuid, user: Uuid, depth: usize) -> Option<Level> {
        let members = &self.vault.groups.get(group)?.members;
        members
            .iter()
            .filter_map(|member| match member.kind {
                MemberKind::Users => (member.id == user).then_some(member.folder_access),
                MemberKind::Groups if depth == 0 => None,
                MemberKind::Groups => {
                    Some(member.folder_access.min(self.in_group(member.id, user, depth - 1)?))
                }
            })
            .max()
    }

    /// Whether the caller may do this in a folder.
    pub(super) fn may(&self, folder: Uuid, need: Level) -> bool {
        self.right(folder) >= Some(need)
    }

    /// Refuses what the caller may not do in a folder.
    pub(super) fn must(&self, folder: Uuid, need: Level) -> Result<(), Refusal> {
        if self.may(folder, need) {
            return Ok(());
        }
        Err(Refusal::forbidden(format!("this needs {} access to the folder {folder}", need.name())))
    }

    /// A folder in which the caller may do this.
    pub(super) fn folder(&self, id: Uuid, need: Level) -> Result<&Folder, Refusal> {
        let found = self.vault.folders.get(id).filter(|folder| self.is_known(folder.created_at));
        let folder = found.ok_or_else(|| self.missing("folder", id))?;
        self.must(id, need)?;
        Ok(folder)
    }

    /// A source file with which the caller may do this.
    pub(super) fn file(&self, id: Uuid, need: Level) -> Result<&SourceFile, Refusal> {
        let found = self.vault.files.get(id);
        let found = found.filter(|file| file.deleted_at.is_none() && self.is_known(file.uploaded_at));
        let file = found.ok_or_else(|| self.missing("source file", id))?;
        self.must(file.folder, need)?;
        Ok(file)
    }

    /// An asset with which the caller may do this.
    pub(super) fn asset(&self, kind: Option<AssetType>, id: Uuid, need: Level) -> Result<&Asset, Refusal> {
        let found = self.vault.assets.get(id).filter(|asset| asset.born_at <= self.now);
        let found = found.filter(|asset| kind.is_none_or(|kind| asset.kind == kind));
        let asset = found.ok_or_else(|| self.missing(kind.map_or("asset", AssetType::name), id))?;
        self.must(asset.folder, need)?;
        Ok(asset)
    }

    /// Refuses user tokens where upload tasks are for api_keys only.
    pub(super) fn must_see_tasks(&self) -> Result<(), Refusal> {
        self.caller.must_not_be_guest()?;
        match self.knobs.task_routes {
            Pinned::Allow => Ok(()),
            Pinned::Forbid => self.caller.must_be_api_key(),
        }
    }

    /// An upload task that the caller may read.
    pub(super) fn task(&self, id: Uuid) -> Result<&Task, Refusal> {
        let found =
            self.vault.tasks.get(id).filter(|task| self.is_known(task.uploaded_at) && self.is_kept(task));
        let task = found.ok_or_else(|| self.missing("upload task", id))?;
        self.must(task.folder, Level::Read)?;
        Ok(task)
    }

    /// Whether a finished task is still remembered.
    pub(super) fn is_kept(&self, task: &Task) -> bool {
        let keep = span(self.knobs.task_retention_ms);
        keep == 0 || self.now < task.uploaded_at + task.takes + keep
    }

    /// Whether a new row may be asked for by its id.
    pub(super) fn is_known(&self, since: Millis) -> bool {
        since + span(self.knobs.id_delay_ms) <= self.now
    }

    /// Whether a new row is in lists.
    pub(super) fn is_listed(&self, since: Millis) -> bool {
        since + span(self.knobs.list_delay_ms) <= self.now
    }

    /// The user that stands behind what the caller does.
    pub(super) fn actor(&self) -> Option<Uuid> {
        match self.caller {
            Caller::User { user, .. } => Some(user),
            Caller::ApiKey if self.knobs.api_key_uploader == Uploader::Environment => {
                Some(self.vault.environment_user)
            }
            Caller::ApiKey | Caller::Public | Caller::Guest { .. } => None,
        }
    }

    /// 404 for an id, with a hint if it names something else.
    pub(super) fn missing(&self, what: &str, id: Uuid) -> Refusal {
        match self.vault.kind_of(id).filter(|kind| !kind.ends_with(what)) {
            Some(kind) => Refusal::not_found(format!("no {what} has the id {id}; it is the id of {kind}")),
            None => Refusal::not_found(format!("no {what} has the id {id}")),
        }
    }
}
