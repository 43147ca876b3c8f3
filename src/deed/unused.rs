//! Deletes the assets of files that go, but for those that something else uses: the cloud is asked who uses each, right before.
//!
//! What its delete does to a used asset is not known: it may refuse, or take with it what uses the asset. So only assets that
//! nobody uses (any more) are ever named, the users before what they use.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::clear::not_cleared;
use crate::cloud::{self, is_known_type};
use crate::desk::Desk;
use crate::file::entry::Asset;
use crate::file::shown;
use crate::id::{AssetId, SourceFileId};
use crate::plan::{self, Candidate, Clearance, Cleared, Outcome, Using};

/// How many assets are named in one request.
const BATCH: usize = 100;

/// Deletes what nothing else uses. The error is how the whole clearance ended then.
pub(super) async fn delete(desk: &Arc<Desk>, clearance: &Clearance) -> Result<Cleared, Outcome> {
    let made = made(desk, clearance).await?;
    let ids: BTreeSet<AssetId> = made.iter().map(|(_, asset)| asset.id).collect();
    let mut candidates = Vec::new();
    for (of, asset) in made {
        let using = using(desk, &asset, &ids).await?;
        candidates.push(Candidate { of, asset, using });
    }
    let parting = plan::part(candidates);
    let mut done = Cleared { kept: parting.kept, ..Cleared::default() };
    for layer in parting.layers {
        take(desk, layer, &mut done).await?;
    }
    Ok(done)
}

/// Everything that was made of the files that go, and what stayed of earlier ones; without what the living version has.
async fn made(desk: &Arc<Desk>, clearance: &Clearance) -> Result<Vec<(SourceFileId, Asset)>, Outcome> {
    let mut made = Vec::new();
    let mut unlisted: BTreeSet<SourceFileId> = clearance.assets.iter().map(|(file, _)| *file).collect();
    for file in &clearance.files {
        match desk.client.assets_of(*file).await {
            Ok(assets) => {
                unlisted.remove(file);
                made.extend(assets.into_iter().map(|asset| (*file, asset)));
            }
            // It is gone; what was made of it may be left.
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Err(not_cleared(error, 0)),
        }
    }
    for (file, asset) in &clearance.assets {
        if unlisted.contains(file) && is_of(desk, *file, asset).await? {
            made.push((*file, asset.clone()));
        }
    }
    let mut seen = clearance.spared.clone();
    made.retain(|(_, asset)| seen.insert(asset.id));
    Ok(made)
}

/// Whether an asset is still that of a file which is gone: a cloud that keeps ids from version to version may have made it of a
/// newer file since.
async fn is_of(desk: &Arc<Desk>, file: SourceFileId, asset: &Asset) -> Result<bool, Outcome> {
    if !is_known_type(&asset.kind) {
        return Ok(true);
    }
    match desk.client.source_of(asset).await {
        Ok(source) => Ok(source.id == file),
        Err(error) if error.status() == Some(404) => Ok(true),
        Err(error) => Err(not_cleared(error, 0)),
    }
}

/// Who uses an asset; one user that is not among `these` is as good as all.
async fn using(desk: &Arc<Desk>, asset: &Asset, these: &BTreeSet<AssetId>) -> Result<Using, Outcome> {
    if !is_known_type(&asset.kind) {
        let kind = shown(&asset.kind);
        return Ok(Using::Untold(format!("this version does not know assets of the type {kind}")));
    }
    let is_used = |users: &[Asset]| users.iter().any(|user| !these.contains(&user.id));
    match desk.client.users_of(asset, is_used).await {
        Ok(users) => Ok(Using::By(users)),
        Err(error) => match error.status() {
            Some(404) => Ok(Using::Gone),
            Some(400 | 403 | 405 | 422) => Ok(Using::Untold(format!(
                "the cloud does not tell who uses it: {}",
                error.into_failure().what
            ))),
            Some(_) | None => Err(Outcome::Failed(error.into_failure())),
        },
    }
}

/// Deletes a layer, but for what uses of it that stayed.
async fn take(desk: &Arc<Desk>, layer: Vec<Candidate>, done: &mut Cleared) -> Result<(), Outcome> {
    let mut free = Vec::new();
    for it in layer {
        free.extend(unless_used(it, done));
    }
    for batch in free.chunks(BATCH) {
        let ids: Vec<AssetId> = batch.iter().map(|it| it.asset.id).collect();
        match desk.client.delete_assets(&ids).await {
            Ok(()) => done.assets += ids.len(),
            // One of them is gone already, or was put to use a moment ago, or may not go in one request with the others.
            Err(error) if is_about_one(&error) => {
                for it in batch.iter().cloned() {
                    if let Some(it) = unless_used(it, done) {
                        one(desk, &it, done).await?;
                    }
                }
            }
            Err(error) => return Err(not_cleared(error, done.assets)),
        }
    }
    Ok(())
}

/// A candidate, unless something that stays uses it.
fn unless_used(it: Candidate, done: &mut Cleared) -> Option<Candidate> {
    let used = it.used_by(|user| done.kept.iter().any(|kept| kept.asset.id == user));
    let Some(why) = used else { return Some(it) };
    done.kept.push(it.kept(why));
    None
}

async fn one(desk: &Arc<Desk>, it: &Candidate, done: &mut Cleared) -> Result<(), Outcome> {
    match desk.client.delete_asset(&it.asset).await {
        Ok(()) => done.assets += 1,
        // It was there when its users were asked for: the request that named several has taken it, or somebody else a moment ago.
        Err(error) if error.status() == Some(404) => done.assets += 1,
        Err(error) if is_about_one(&error) => {
            done.kept.push(it.kept(format!("the cloud does not let it go: {}", error.into_failure().what)));
        }
        Err(error) => return Err(not_cleared(error, done.assets)),
    }
    Ok(())
}

/// Whether a refusal is about one of the assets, and not about who asks.
fn is_about_one(error: &cloud::Error) -> bool {
    matches!(error.status(), Some(400 | 404 | 409 | 422))
}
