//! The JSON shapes of the API, as tolerant as they can be read safely.
//!
//! Unknown fields are ignored, unknown words kept, a missing or retyped field matters only where the value is needed. Nothing
//! outside `cloud` sees a shape; knows no request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use super::remote::{ConversionTask, Folder, Pipeline, Scope, SourceFile, TaskStatus, UploadTask, User};
use super::secret::Secret;
use super::sessions::{Participant, Session};
use crate::file::entry::Asset;
use crate::id::{AssetId, ClientId, FolderId, SessionId, SourceFileId, UploadTaskId, UserId};
use crate::timestamp::Timestamp;

/// The most that is read of an answer about one thing, in bytes.
pub(super) const CAP: usize = 1024 * 1024;
/// The most that is read of a page of a listing, in bytes.
pub(super) const LIST_CAP: usize = 8 * 1024 * 1024;

/// A token and how long it lives from now.
#[derive(Debug, Clone)]
pub(super) struct Minted {
    /// The token.
    pub token: Secret,
    /// Its life from now; none if nothing is told of it.
    pub life: Option<Duration>,
}

/// What a source of tokens says: the answer of the API as JSON, or a bare token. The refusal does not repeat the text.
pub(super) fn minted(text: &str, written: Timestamp, now: Timestamp) -> Result<Minted, String> {
    if !text.trim_start().starts_with('{') {
        if text.trim_start().starts_with(['<', '[', '"']) {
            return Err("holds no token: it is markup".into());
        }
        let token = Secret::new(text).map_err(|why| format!("holds no token: {why}"))?;
        return Ok(Minted { token, life: None });
    }
    #[derive(Deserialize)]
    struct Shape {
        user_token: String,
        #[serde(default, deserialize_with = "lenient")]
        expires_in: Option<f64>,
        #[serde(default, deserialize_with = "lenient")]
        expires_on: Option<f64>,
    }
    // serde's own words may quote the token.
    let shape: Shape =
        serde_json::from_str(text).map_err(|_| "holds no JSON with a `user_token`".to_owned())?;
    let token = Secret::new(&shape.user_token).map_err(|why| format!("holds no token: {why}"))?;
    Ok(Minted { token, life: life(shape.expires_in, shape.expires_on, written, now) })
}

/// As [`minted`], where only JSON is an answer.
pub(super) fn minted_json(text: &str, now: Timestamp) -> Result<Minted, String> {
    if text.trim_start().starts_with('{') {
        minted(text, now, now)
    } else {
        Err("it holds no JSON object".into())
    }
}

/// How long a token lives from `now`. Inferred, as neither unit is documented: `expires_in` is taken for seconds since `written`,
/// `expires_on` for an epoch in seconds, or in milliseconds where it is too large for that. The earlier one in the future
/// counts, within 30 s and 24 h: a wrong guess costs a renewal or a 401, never more.
fn life(
    expires_in: Option<f64>,
    expires_on: Option<f64>,
    written: Timestamp,
    now: Timestamp,
) -> Option<Duration> {
    const SHORTEST: f64 = 30.0;
    const LONGEST: f64 = 24.0 * 3600.0;
    const MILLISECONDS_FROM: f64 = 1e11;
    #[expect(clippy::cast_precision_loss, reason = "seconds of this era are exact in a double")]
    let seconds = |moment: Timestamp| moment.seconds() as f64;
    if expires_in.is_none() && expires_on.is_none() {
        return None;
    }
    let by_span = expires_in.map(|span| seconds(written) + span - seconds(now));
    let by_epoch =
        expires_on.map(|epoch| if epoch > MILLISECONDS_FROM { epoch / 1000.0 } else { epoch } - seconds(now));
    let left =
        [by_span, by_epoch].into_iter().flatten().filter(|left| *left > 0.0).fold(f64::INFINITY, f64::min);
    // With nothing left in the future the shortest life makes the next look come soon.
    let left = if left.is_finite() { left } else { SHORTEST };
    Some(Duration::from_secs_f64(left.clamp(SHORTEST, LONGEST)))
}

/// A value of any type, or none: an optional field that was retyped is as good as absent.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// A list, or none.
fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(lenient(deserializer)?.unwrap_or_default())
}

/// A moment as the API writes it.
fn moment(text: Option<String>) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text?.parse().ok()?;
    i64::try_from(moment.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

#[derive(Deserialize)]
struct RawUser {
    user_id: Uuid,
    #[serde(default, deserialize_with = "lenient")]
    username: Option<String>,
}

#[derive(Deserialize)]
struct RawFolder {
    folder_id: Uuid,
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    parent_folder_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    created_by: Option<RawUser>,
    #[serde(default, deserialize_with = "lenient_subfolders")]
    subfolders: Vec<Self>,
    #[serde(default, deserialize_with = "lenient")]
    source_file_count: Option<u64>,
}

/// Folders in a folder may be left out, but where they are told they must be readable: a folder that is not seen is made again.
fn lenient_subfolders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RawFolder>, D::Error> {
    Ok(Option::<Vec<RawFolder>>::deserialize(deserializer)?.unwrap_or_default())
}

/// All folders of an answer, whether it is one folder, a list or a tree; each with the parent it tells or the one around it,
/// each once, in the order of the answer.
pub(super) fn folders(value: Value) -> Result<Vec<Folder>, String> {
    let roots: Vec<RawFolder> = match value {
        Value::Array(_) => serde_json::from_value(value),
        _ => serde_json::from_value(value).map(|folder| vec![folder]),
    }
    .map_err(|error| error.to_string())?;
    let mut found: Vec<Folder> = Vec::new();
    let mut places: HashMap<FolderId, usize> = HashMap::new();
    let mut open: Vec<(RawFolder, Option<FolderId>)> =
        roots.into_iter().rev().map(|root| (root, None)).collect();
    while let Some((raw, around)) = open.pop() {
        let id = FolderId::from_uuid(raw.folder_id);
        open.extend(raw.subfolders.into_iter().rev().map(|inner| (inner, Some(id))));
        let parent = raw.parent_folder_id.map(FolderId::from_uuid).or(around);
        match places.entry(id) {
            Entry::Occupied(place) => {
                if let Some(known) = found.get_mut(*place.get()) {
                    known.parent = known.parent.or(parent);
                }
            }
            Entry::Vacant(place) => {
                place.insert(found.len());
                found.push(Folder {
                    id,
                    name: raw.name,
                    parent,
                    created_at: moment(raw.created_at),
                    created_by: raw.created_by.map(|user| UserId::from_uuid(user.user_id)),
                    source_files: raw.source_file_count,
                });
            }
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
struct RawSourceFile {
    source_file_id: Uuid,
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    source_file_original_name: Option<String>,
    size: f64,
}

/// One source file.
pub(super) fn source_file(value: Value) -> Result<SourceFile, String> {
    let raw: RawSourceFile = serde_json::from_value(value).map_err(|error| error.to_string())?;
    // The API says "number": up to 2^53 a double tells every length apart.
    if raw.size < 0.0 || raw.size.fract() != 0.0 || raw.size > 9_007_199_254_740_992.0 {
        return Err(format!("{} is no length of a file", raw.size));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let size = raw.size as u64;
    let original_name = raw.source_file_original_name.unwrap_or_else(|| raw.name.clone());
    Ok(SourceFile { id: SourceFileId::from_uuid(raw.source_file_id), name: raw.name, original_name, size })
}

#[derive(Deserialize)]
struct RawTask {
    upload_task_id: Uuid,
    #[serde(default, deserialize_with = "lenient")]
    folder_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    uploaded_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    uploaded_by: Option<RawUser>,
    status: String,
    #[serde(default, deserialize_with = "lenient")]
    progress: Option<f64>,
    #[serde(default, deserialize_with = "lenient_list")]
    conversion_tasks: Vec<RawConversion>,
}

#[derive(Deserialize)]
struct RawConversion {
    #[serde(default, deserialize_with = "lenient")]
    asset_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    source_file_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    source_file_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    conversion_pipeline: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    progress: Option<f64>,
}

/// One upload task.
pub(super) fn upload_task(value: Value) -> Result<UploadTask, String> {
    let raw: RawTask = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let conversion = |raw: RawConversion| ConversionTask {
        asset: raw.asset_id.map(AssetId::from_uuid),
        source_file: raw.source_file_id.map(SourceFileId::from_uuid),
        source_file_name: raw.source_file_name.unwrap_or_default(),
        pipeline: Pipeline::from_word(raw.conversion_pipeline.unwrap_or_default()),
        status: TaskStatus::from_word(raw.status.unwrap_or_default()),
        progress: raw.progress,
    };
    Ok(UploadTask {
        id: UploadTaskId::from_uuid(raw.upload_task_id),
        folder: raw.folder_id.map(FolderId::from_uuid),
        uploaded_at: moment(raw.uploaded_at),
        uploaded_by: raw.uploaded_by.map(|user| UserId::from_uuid(user.user_id)),
        status: TaskStatus::from_word(raw.status),
        progress: raw.progress,
        conversions: raw.conversion_tasks.into_iter().map(conversion).collect(),
    })
}

/// One user.
pub(super) fn user(value: Value) -> Result<User, String> {
    let raw: RawUser = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok(User { id: UserId::from_uuid(raw.user_id), name: raw.username.unwrap_or_default() })
}

/// What a user was given on a folder by name, in an access list; none if it is not in it, or has a level that we do not know.
pub(super) fn access_of(value: Value, user: UserId) -> Result<Option<Scope>, String> {
    #[derive(Deserialize)]
    struct RawGrant {
        user_id: Uuid,
        #[serde(default, deserialize_with = "lenient")]
        access: Option<String>,
    }
    #[derive(Deserialize)]
    struct RawAccess {
        #[serde(default)]
        users: Option<Vec<RawGrant>>,
    }
    let raw: RawAccess = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let level =
        |word: &str| [Scope::Read, Scope::Write, Scope::Manage].into_iter().find(|it| it.word() == word);
    let grants = raw.users.unwrap_or_default().into_iter();
    Ok(grants.filter(|grant| grant.user_id == user.uuid()).filter_map(|grant| level(&grant.access?)).max())
}

/// One rendering session.
pub(super) fn session(value: Value) -> Result<Session, String> {
    #[derive(Deserialize)]
    struct RawClient {
        #[serde(default, deserialize_with = "lenient")]
        client_id: Option<Uuid>,
        #[serde(default, deserialize_with = "lenient")]
        client_type: Option<String>,
        #[serde(default, deserialize_with = "lenient")]
        user_id: Option<Uuid>,
        #[serde(default, deserialize_with = "lenient")]
        username: Option<String>,
    }
    #[derive(Deserialize)]
    struct RawSession {
        session_id: Uuid,
        scene_id: Uuid,
        #[serde(default, deserialize_with = "lenient")]
        scene_name: Option<String>,
        #[serde(default, deserialize_with = "lenient")]
        folder_id: Option<Uuid>,
        #[serde(default, deserialize_with = "lenient")]
        max_users: Option<u64>,
        #[serde(default, deserialize_with = "lenient")]
        creator_user_id: Option<Uuid>,
        #[serde(default, deserialize_with = "lenient")]
        created_at: Option<String>,
        #[serde(default, deserialize_with = "lenient")]
        is_transient_session: Option<bool>,
        #[serde(default, deserialize_with = "lenient_list")]
        clients: Vec<RawClient>,
    }
    let raw: RawSession = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let client = |raw: RawClient| Participant {
        id: raw.client_id.map(ClientId::from_uuid),
        kind: raw.client_type,
        user: raw.user_id.map(UserId::from_uuid),
        name: raw.username.unwrap_or_default(),
    };
    Ok(Session {
        id: SessionId::from_uuid(raw.session_id),
        scene: AssetId::from_uuid(raw.scene_id),
        scene_name: raw.scene_name.unwrap_or_default(),
        folder: raw.folder_id.map(FolderId::from_uuid),
        most_users: raw.max_users,
        creator: raw.creator_user_id.map(UserId::from_uuid),
        created_at: moment(raw.created_at),
        is_transient: raw.is_transient_session,
        clients: raw.clients.into_iter().map(client).collect(),
    })
}

/// The id of a session that was opened.
pub(super) fn opened(value: Value) -> Result<SessionId, String> {
    #[derive(Deserialize)]
    struct RawOpened {
        session_id: Uuid,
    }
    let raw: RawOpened = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok(SessionId::from_uuid(raw.session_id))
}

/// The task of an accepted upload, if the answer names one; the API leaves it optional.
pub(super) fn receipt(value: &Value) -> Result<Option<UploadTaskId>, String> {
    match value.as_object().ok_or("it is no JSON object")?.get("upload_task_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            text.parse().map(Some).map_err(|_| "its `upload_task_id` is no UUID".into())
        }
        Some(_) => Err("its `upload_task_id` is no text".into()),
    }
}

/// Everything in an asset list, by container name and then as the cloud lists it. A container that is newer than this
/// program is kept under its own name.
pub(super) fn assets(value: Value) -> Result<Vec<Asset>, String> {
    #[derive(Deserialize)]
    struct RawAsset {
        asset_id: Uuid,
        #[serde(default, deserialize_with = "lenient")]
        name: Option<String>,
    }
    let Value::Object(containers) = value else { return Err("it is no JSON object".into()) };
    let mut containers: Vec<(String, Value)> = containers.into_iter().collect();
    containers.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut found = Vec::new();
    for (container, list) in containers {
        let kind = CONTAINERS.iter().find(|(name, _)| *name == container).map(|(_, kind)| *kind);
        match (serde_json::from_value::<Option<Vec<RawAsset>>>(list), kind) {
            (Ok(list), _) => found.extend(list.unwrap_or_default().into_iter().map(|raw| Asset {
                id: AssetId::from_uuid(raw.asset_id),
                kind: kind.map_or_else(|| container.clone(), str::to_owned),
                name: raw.name.unwrap_or_default(),
            })),
            (Err(error), Some(_)) => return Err(format!("{container}: {error}")),
            // Some field beside the lists, such as a count.
            (Err(_), None) => {}
        }
    }
    Ok(found)
}

/// An asset that uses another one, with its name where it is told.
pub(super) fn user_of_asset(value: Value) -> Result<Asset, String> {
    #[derive(Deserialize)]
    struct RawProperties {
        #[serde(default, deserialize_with = "lenient")]
        name: Option<String>,
    }
    #[derive(Deserialize)]
    struct RawUser {
        asset_id: Uuid,
        #[serde(default, deserialize_with = "lenient")]
        asset_type: Option<String>,
        #[serde(default, deserialize_with = "lenient")]
        properties: Option<RawProperties>,
    }
    let raw: RawUser = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok(Asset {
        id: AssetId::from_uuid(raw.asset_id),
        kind: raw.asset_type.unwrap_or_else(|| "asset".to_owned()),
        name: raw.properties.and_then(|it| it.name).unwrap_or_default(),
    })
}

/// The container of a type, if it is one of those that are known.
pub(super) fn container_of(kind: &str) -> Option<&'static str> {
    CONTAINERS.iter().find(|(_, it)| *it == kind).map(|(container, _)| *container)
}

/// Container → type. Source: the official client's table of 22 types.
const CONTAINERS: [(&str, &str); 22] = [
    ("action_maps", "action_map"),
    ("animation_graphs", "animation_graph"),
    ("animation_sequences", "animation_sequence"),
    ("animation_sets", "animation_set"),
    ("animations", "animation"),
    ("collision_geometries", "collision_geometry"),
    ("cubemaps", "cubemap"),
    ("event_maps", "event_map"),
    ("materials", "material"),
    ("meshes", "mesh"),
    ("modules", "module"),
    ("point_clouds", "point_cloud"),
    ("render_graphs", "render_graph"),
    ("scenes", "scene"),
    ("scripts", "script"),
    ("shaders", "shader"),
    ("skeletons", "skeleton"),
    ("sounds", "sound"),
    ("textures", "texture"),
    ("textures_1d", "texture_1d"),
    ("textures_3d", "texture_3d"),
    ("volume_materials", "volume_material"),
];

#[cfg(test)]
mod tests;
