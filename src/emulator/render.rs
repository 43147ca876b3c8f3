//! Rows as the API's JSON. Pure; it must not know who asks.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::asset_type::AssetType;
use super::clock::{Millis, date_time};
use super::conversion::standing;
use super::knobs::Knobs;
use super::vault::{Asset, Client, Folder, Session, SourceFile, Task, User, Vault, Who};

/// A moment, as far off as the server's clock is.
pub(super) fn moment(knobs: &Knobs, at: Millis) -> String {
    date_time(at + knobs.clock_skew_s * 1000)
}

/// A user.
pub(super) fn user(knobs: &Knobs, user: &User) -> Value {
    json!({
        "user_id": user.id,
        "username": user.username,
        "registered_at": moment(knobs, user.registered_at),
    })
}

/// A folder; subfolders only where they are given.
pub(super) fn folder(vault: &Vault, knobs: &Knobs, folder: &Folder, subfolders: Option<Vec<Value>>) -> Value {
    let mut json = json!({
        "folder_id": folder.id,
        "name": folder.name,
        "created_at": moment(knobs, folder.created_at),
        "source_file_count": vault.files_in(folder.id).count(),
        "asset_count": vault.assets.iter().filter(|asset| asset.folder == folder.id).count(),
    });
    if let Some(parent) = folder.parent {
        json["parent_folder_id"] = json!(parent);
    }
    if let Some(creator) = folder.created_by.and_then(|id| vault.users.get(id)) {
        json["created_by"] = user(knobs, creator);
    }
    if let Some(subfolders) = subfolders {
        json["subfolders"] = subfolders.into();
    }
    json
}

/// A folder with everything below it that passes.
pub(super) fn tree(vault: &Vault, knobs: &Knobs, root: &Folder, passes: &dyn Fn(&Folder) -> bool) -> Value {
    let children = vault.folders.iter().filter(|child| child.parent == Some(root.id) && passes(child));
    folder(vault, knobs, root, Some(children.map(|child| tree(vault, knobs, child, passes)).collect()))
}

/// A source file: four fields, and that is all.
pub(super) fn source_file(knobs: &Knobs, file: &SourceFile) -> Value {
    json!({
        "source_file_id": file.id,
        "source_file_original_name": file.original_name,
        "name": file.name,
        "size": file.object.size.saturating_add_signed(knobs.size_error),
    })
}

/// An upload task at a moment.
pub(super) fn task(vault: &Vault, knobs: &Knobs, task: &Task, now: Millis) -> Value {
    let standing = standing(task, now, knobs.progress);
    let conversions = task.conversions.iter().zip(&standing.conversions);
    let conversions: Vec<Value> = conversions
        .map(|(conversion, (status, progress))| {
            json!({
                "asset_id": conversion.asset,
                "source_file_id": conversion.source_file,
                "source_file_name": conversion.name,
                "conversion_pipeline": conversion.pipeline,
                "progress": progress,
                "status": status,
            })
        })
        .collect();
    let by = task.uploaded_by.map(|id| json!({ "user_id": id, "username": username(vault, id) }));
    json!({
        "upload_task_id": task.id,
        "folder_id": task.folder,
        "uploaded_at": moment(knobs, task.uploaded_at),
        "uploaded_by": by,
        "status": standing.status,
        "progress": standing.progress,
        "download_progress": standing.download_progress,
        "conversion_tasks": conversions,
    })
}

/// Assets by their containers; containers without an asset are left out.
pub(super) fn asset_list<'a>(assets: impl IntoIterator<Item = &'a Asset>) -> Value {
    let mut lists: Map<String, Value> = Map::new();
    for asset in assets {
        let list = lists.entry(asset.kind.container()).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!({ "asset_id": asset.id, "name": asset.name }));
        }
    }
    lists.into()
}

/// How many assets there are: in all, and of each type.
pub(super) fn asset_counts(assets: &[&Asset]) -> String {
    let mut counts = json!({ "total": assets.len() });
    for kind in AssetType::ALL {
        let count = assets.iter().filter(|asset| asset.kind == *kind).count();
        if count > 0 {
            counts[kind.name()] = count.into();
        }
    }
    counts.to_string()
}

/// The details of an asset.
pub(super) fn asset(vault: &Vault, knobs: &Knobs, asset: &Asset) -> Value {
    let mut json = json!({
        "asset_id": asset.id,
        "name": asset.name,
        "type": asset.kind.name(),
        "created_at": moment(knobs, asset.born_at),
        "last_edited_at": moment(knobs, asset.edited_at),
    });
    if let Some(creator) = asset.created_by.and_then(|id| vault.users.get(id)) {
        json["created_by"] = user(knobs, creator);
        json["contributors"] = json!([{ "contribution_count": 1, "user": user(knobs, creator) }]);
    }
    json
}

/// What an asset is made of: the fields that every description of its type has, empty where conversion would fill them.
/// Types that no upload makes tell their id and name only.
pub(super) fn description(asset: &Asset) -> Value {
    let mut own = match asset.kind {
        AssetType::Scene => json!({ "aabb": unit_box(), "entities": [] }),
        AssetType::Mesh => json!({ "payloadSize": 0, "submeshes": [] }),
        AssetType::Material => json!({ "dataJson": {}, "isDoubleSided": false, "shaderRef": Uuid::nil() }),
        AssetType::Texture | AssetType::Texture1d | AssetType::Texture3d => {
            json!({ "format": 0, "mips": [], "payloadTotalSize": 0 })
        }
        AssetType::Cubemap => json!({ "faces": [] }),
        AssetType::PointCloud => json!({ "format": 0, "payloadTotalSize": 0, "pointCount": 0 }),
        AssetType::Sound => json!({
            "bitDepth": 16, "channelCount": 1, "durationInMs": 0, "payloadSize": 0,
            "sampleCount": 0, "sampleFrequencyInHz": 44_100,
        }),
        AssetType::VolumeMaterial => json!({ "rangeMax": 1.0, "rangeMin": 0.0 }),
        AssetType::ActionMap
        | AssetType::Animation
        | AssetType::AnimationGraph
        | AssetType::AnimationSequence
        | AssetType::AnimationSet
        | AssetType::CollisionGeometry
        | AssetType::EventMap
        | AssetType::Module
        | AssetType::RenderGraph
        | AssetType::Script
        | AssetType::Shader
        | AssetType::Skeleton => json!({}),
    };
    own["uuid"] = json!(asset.id);
    own["name"] = asset.name.as_str().into();
    own
}

/// The box of every scene: nothing is rendered, so nothing has an extent.
pub(super) fn unit_box() -> Value {
    json!({ "min": [-1.0, -1.0, -1.0], "max": [1.0, 1.0, 1.0] })
}

/// A session.
pub(super) fn session(vault: &Vault, knobs: &Knobs, session: &Session) -> Value {
    let scene = vault.assets.get(session.scene);
    json!({
        "session_id": session.id,
        "scene_id": session.scene,
        "scene_name": scene.map(|scene| scene.name.as_str()).unwrap_or_default(),
        "folder_id": scene.map(|scene| scene.folder),
        "max_users": 10,
        "creator_user_id": session.creator,
        "created_at": moment(knobs, session.created_at),
        "country_code": "FR",
        "continent_code": "EU",
        "is_transient_session": session.transient,
        "clients": session.clients.iter().map(client).collect::<Vec<_>>(),
    })
}

/// A client of a session. A guest has an id in the place of a user's.
pub(super) fn client(client: &Client) -> Value {
    let (kind, id) = match client.who {
        Who::User(id) => ("user", id),
        Who::Guest(id) => ("guest", id),
    };
    json!({
        "client_id": client.id,
        "client_type": kind,
        "user_id": id,
        "username": client.username,
    })
}

/// A user's name, also if the user is gone.
pub(super) fn username(vault: &Vault, id: Uuid) -> String {
    vault.users.get(id).map(|user| user.username.clone()).unwrap_or_default()
}
