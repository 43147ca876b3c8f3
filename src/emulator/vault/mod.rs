//! What the emulated environment holds: users, tokens, groups, folders, source files, tasks, assets, sessions.
//!
//! Plain rows and what can be asked of them without knowing who asks: rights are `access`, HTTP is `routes`. Nothing
//! here waits, except for the bytes in `object`.

pub(super) mod admission;
pub(super) mod object;
pub(super) mod persistence;
pub(super) mod table;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::object::Object;
use self::table::{Row, Table};
use super::access::Level;
use super::asset_type::AssetType;
use super::clock::{Dice, Millis};
use super::conversion::{Conversion, Fate};

/// Everything the environment holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Vault {
    pub(super) dice: Dice,
    pub(super) api_key: String,
    pub(super) public_token: String,
    pub(super) environment: Uuid,
    /// The hidden user that stands for the environment.
    pub(super) environment_user: Uuid,
    pub(super) public_folder: Uuid,
    /// The seeded user and its folder.
    pub(super) first_user: Uuid,
    pub(super) studio: Uuid,
    pub(super) users: Table<User>,
    pub(super) tokens: HashMap<String, Token>,
    pub(super) groups: Table<Group>,
    pub(super) folders: Table<Folder>,
    pub(super) files: Table<SourceFile>,
    pub(super) tasks: Table<Task>,
    pub(super) assets: Table<Asset>,
    pub(super) sessions: Table<Session>,
    /// Whether bytes have lost their last user since the last snapshot.
    #[serde(skip)]
    pub(super) discarded: bool,
}

/// An identity of the environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) username: String,
    pub(super) registered_at: Millis,
}

/// A user token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) user: Uuid,
    pub(super) scope: Level,
    pub(super) since: Millis,
    pub(super) until: Millis,
}

/// Whom a grant or a membership is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MemberKind {
    Users,
    Groups,
}

/// A group of users and groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) created_at: Millis,
    pub(super) members: Vec<Member>,
}

/// One member of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) kind: MemberKind,
    pub(super) id: Uuid,
    pub(super) joined_at: Millis,
    /// What it may do with the group itself.
    pub(super) group_access: Level,
    /// The most it may do in folders that are granted to the group.
    pub(super) folder_access: Level,
}

/// A folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Folder {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) parent: Option<Uuid>,
    pub(super) created_at: Millis,
    pub(super) created_by: Option<Uuid>,
    pub(super) grants: Vec<Grant>,
}

/// A right on a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) kind: MemberKind,
    pub(super) member: Uuid,
    pub(super) access: Level,
    pub(super) since: Millis,
}

/// A source file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SourceFile {
    pub(super) id: Uuid,
    pub(super) folder: Uuid,
    pub(super) name: String,
    pub(super) original_name: String,
    pub(super) object: Object,
    pub(super) uploaded_at: Millis,
    pub(super) uploaded_by: Option<Uuid>,
    /// Deleted files are kept for a while, because listings may lag.
    pub(super) deleted_at: Option<Millis>,
}

/// An upload task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) id: Uuid,
    pub(super) folder: Uuid,
    pub(super) uploaded_at: Millis,
    pub(super) uploaded_by: Option<Uuid>,
    pub(super) fate: Fate,
    /// How long it takes, in milliseconds.
    pub(super) takes: Millis,
    pub(super) conversions: Vec<Conversion>,
}

/// An asset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asset {
    pub(super) id: Uuid,
    pub(super) kind: AssetType,
    pub(super) name: String,
    pub(super) folder: Uuid,
    pub(super) source_file: Option<Uuid>,
    /// Before this moment it does not exist: its conversion is under way.
    pub(super) born_at: Millis,
    pub(super) edited_at: Millis,
    pub(super) created_by: Option<Uuid>,
    /// The assets it refers to.
    pub(super) uses: Vec<Uuid>,
    /// A thumbnail that somebody has put there: its type and bytes.
    pub(super) thumbnail: Option<(String, Vec<u8>)>,
}

/// A rendering session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) scene: Uuid,
    pub(super) creator: Uuid,
    pub(super) created_at: Millis,
    pub(super) transient: bool,
    pub(super) clients: Vec<Client>,
    /// The guest tokens that may join, each with its guest.
    pub(super) guests: Vec<(String, Uuid)>,
    /// When the last client left.
    pub(super) empty_since: Millis,
}

/// Who takes part in a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) id: Uuid,
    pub(super) who: Who,
    pub(super) username: String,
}

/// Somebody in a session, with the id that stands for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Who {
    User(Uuid),
    Guest(Uuid),
}

macro_rules! rows {
    ($($kind:ty)+) => { $( impl Row for $kind { fn id(&self) -> Uuid { self.id } } )+ };
}
rows! { User Group Folder SourceFile Task Asset Session }

impl Vault {
    /// The folders below a folder, level by level, without itself.
    pub(super) fn below(&self, folder: Uuid) -> Vec<Uuid> {
        let mut found = vec![folder];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(
                self.folders.iter().filter(|child| child.parent == Some(parent)).map(|child| child.id),
            );
            next += 1;
        }
        found.remove(0);
        found
    }

    /// A folder and those it lies in, innermost first.
    pub(super) fn up_from(&self, folder: Uuid) -> impl Iterator<Item = &Folder> {
        std::iter::successors(self.folders.get(folder), |folder| self.folders.get(folder.parent?))
    }

    /// The names from the root-level folder down to this one.
    pub(super) fn path(&self, folder: Uuid) -> Vec<String> {
        let mut names: Vec<String> = self.up_from(folder).map(|folder| folder.name.clone()).collect();
        names.reverse();
        names
    }

    /// The existing source files of a folder.
    pub(super) fn files_in(&self, folder: Uuid) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(move |file| file.folder == folder && file.deleted_at.is_none())
    }

    /// What kind of thing carries this id: a friendlier 404 for ids that were mixed up.
    pub(super) fn kind_of(&self, id: Uuid) -> Option<&'static str> {
        None.or(self.folders.get(id).map(|_| "a folder"))
            .or(self.files.get(id).map(|_| "a source file"))
            .or(self.tasks.get(id).map(|_| "an upload task"))
            .or(self.assets.get(id).map(|asset| asset.kind.name()))
            .or(self.users.get(id).map(|_| "a user"))
            .or(self.groups.get(id).map(|_| "a group"))
            .or(self.sessions.get(id).map(|_| "a session"))
    }

    /// Mints a token.
    pub(super) fn mint(&mut self, user: Uuid, scope: Level, since: Millis, until: Millis) -> String {
        let token = format!("emulator_user_token_{}", self.dice.letters(40));
        self.tokens.insert(token.clone(), Token { user, scope, since, until });
        token
    }

    /// Makes a folder, without looking at anything. Who made it may manage it; an api_key's own user needs no grant.
    pub(super) fn make_folder(
        &mut self,
        name: &str,
        parent: Option<Uuid>,
        by: Option<Uuid>,
        now: Millis,
    ) -> Uuid {
        let id = self.dice.id();
        let grants = by
            .filter(|member| *member != self.environment_user)
            .map(|member| Grant { kind: MemberKind::Users, member, access: Level::Manage, since: now })
            .into_iter()
            .collect();
        self.folders.push(Folder { id, name: name.into(), parent, created_at: now, created_by: by, grants });
        id
    }

    /// Takes a source file out of sight. Assets that are not yet born are never born.
    pub(super) fn delete_file(&mut self, id: Uuid, now: Millis) {
        if let Some(file) = self.files.get_mut(id) {
            file.deleted_at = Some(now);
        }
        self.discarded = true;
        self.assets.retain(|asset| asset.source_file != Some(id) || asset.born_at <= now);
    }
}
