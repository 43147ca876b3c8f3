//! Rendering sessions, as far as they are opened and listed. Joining one, and the token that comes of it, is Livelink's.
//!
//! Knows no file and no folder tree: whose scene it is, others find out.

use reqwest::Method;
use serde_json::json;

use super::error::Error;
use super::setup::listed;
use super::{Client, wire};
use crate::id::{AssetId, ClientId, FolderId, SessionId, UserId};
use crate::timestamp::Timestamp;

/// A scene that is being rendered for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which session.
    pub id: SessionId,
    /// The scene that it shows.
    pub scene: AssetId,
    /// The scene's name; not escaped.
    pub scene_name: String,
    /// The folder that holds the scene.
    pub folder: Option<FolderId>,
    /// How many may join.
    pub most_users: Option<u64>,
    /// Who opened it.
    pub creator: Option<UserId>,
    /// When, by the server's clock.
    pub created_at: Option<Timestamp>,
    /// Whether what is edited in it is thrown away at its end.
    pub is_transient: Option<bool>,
    /// Who is in it.
    pub clients: Vec<Participant>,
}

/// Somebody in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Which connection; the API leaves it optional.
    pub id: Option<ClientId>,
    /// `user` or `guest`, in the cloud's word.
    pub kind: Option<String>,
    /// Which user, if it is one.
    pub user: Option<UserId>,
    /// Its name; not escaped.
    pub name: String,
}

impl Client {
    /// The sessions that run on scenes that this user may see. Source: `GET /sessions`, which is not paged.
    ///
    /// # Errors
    /// Whatever kept them from being read.
    pub async fn sessions(&self) -> Result<Vec<Session>, Error> {
        let mut call = self.call("list the sessions".into(), Method::GET, &["sessions"], None);
        call.cap = wire::LIST_CAP;
        self.told(&call, |value| listed(&value, wire::session)).await
    }

    /// Opens a session whose edits are thrown away at its end. Not safe to repeat blindly: each costs rendering time. Without
    /// anybody in it the cloud closes it after some seconds. Source: `POST /sessions`.
    ///
    /// # Errors
    /// Whatever kept it from being opened, or from being known: without a readable answer it may run.
    pub async fn open_transient_session(&self, scene: AssetId) -> Result<SessionId, Error> {
        let json = json!({ "scene_id": scene.to_string(), "is_transient": true });
        let doing = format!("open a session on scene {scene}");
        self.told(&self.call(doing, Method::POST, &["sessions"], Some(json)), wire::opened).await
    }
}
