//! Which assets use which. It must not know how they came to.
//!
//! The words are those of the official client; what the counts count is our reading of them.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Answer;
use super::assets::kind;
use crate::emulator::Site;
use crate::emulator::access::{Caller, Level, Visit};
use crate::emulator::asked::Query;
use crate::emulator::asset_type::AssetType;
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::Asset;

/// What may be told of an asset that another one uses.
const OF_DEPENDENCIES: &[&str] = &["name", "dependencies", "count", "public", "accessible", "payload_info"];
/// What may be told of an asset that uses another one.
const OF_REFERENCES: &[&str] = &["name", "count", "public"];

pub(super) async fn dependencies(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    mut query: Query,
) -> Answer {
    let visit = site.visit(caller);
    let page = query.page(&visit.knobs)?;
    let depth = match query.one("depth")?.as_deref() {
        None | Some("all") => usize::MAX,
        Some("direct") => 1,
        Some(number) => number.parse().map_err(|_| Refusal::malformed("depth is all, direct or a number"))?,
    };
    let (with, without) = (kinds(&mut query, "with")?, kinds(&mut query, "without")?);
    let publicity = query.one("filters[public]")?;
    let wants_public: &[bool] = match publicity.as_deref() {
        None | Some("include") => &[true, false],
        Some("exclude") => &[false],
        Some("restrict-to") => &[true],
        Some(_) => return Err(Refusal::malformed("filters[public] is include, exclude or restrict-to")),
    };
    let properties = properties(&mut query, OF_DEPENDENCIES)?;
    query.done()?;
    let root = visit.asset_at(&path, Level::Read)?;
    let found = visit.used_by(root, depth);
    let passes = |asset: &&Asset| {
        (with.is_empty() || with.contains(&asset.kind))
            && !without.contains(&asset.kind)
            && wants_public.contains(&visit.is_public(asset))
    };
    let indirect = |asset: &Asset| found.iter().filter(|other| other.uses.contains(&asset.id)).count();
    let shown = |asset: &Asset| {
        visit.linked(asset, &properties, |property| match property {
            "name" => vec![("name", json!(asset.name))],
            "count" => vec![
                ("direct_count", json!(usize::from(root.uses.contains(&asset.id)))),
                ("indirect_count", json!(indirect(asset))),
            ],
            "public" => vec![("is_public", json!(visit.is_public(asset)))],
            "accessible" => vec![("is_accessible", json!(visit.may(asset.folder, Level::Read)))],
            "dependencies" => {
                let uses = asset.uses.iter().map(|id| json!({ "asset_id": id, "count": 1 }));
                vec![("dependencies", uses.collect())]
            }
            // There are no payloads here; both fields of the information are optional.
            _ => vec![("payload_info", json!({}))],
        })
    };
    Ok(Json(page.of(found.iter().copied().filter(passes)).into_iter().map(shown).collect()))
}

pub(super) async fn references(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    mut query: Query,
) -> Answer {
    let visit = site.visit(caller);
    let page = query.page(&visit.knobs)?;
    let properties = properties(&mut query, OF_REFERENCES)?;
    query.done()?;
    let id = visit.asset_at(&path, Level::Read)?.id;
    let users =
        visit.vault.assets.iter().filter(|asset| asset.born_at <= visit.now && asset.uses.contains(&id));
    let shown = |asset: &Asset| {
        visit.linked(asset, &properties, |property| match property {
            "name" => vec![("name", json!(asset.name))],
            "count" => vec![("direct_count", json!(1))],
            _ => vec![("is_public", json!(visit.is_public(asset)))],
        })
    };
    Ok(Json(page.of(users).into_iter().map(shown).collect()))
}

fn kinds(query: &mut Query, which: &str) -> Result<Vec<AssetType>, Refusal> {
    query.several(&format!("filters[{which}_asset_types]"))?.iter().map(|name| kind(name)).collect()
}

fn properties(query: &mut Query, known: &[&str]) -> Result<Vec<String>, Refusal> {
    let asked = query.bracketed("properties");
    match asked.iter().find(|property| !known.contains(&property.as_str())) {
        None => Ok(asked),
        Some(unknown) => {
            Err(Refusal::malformed(format!("properties are {}, not {unknown:?}", known.join(", "))))
        }
    }
}

impl Visit<'_> {
    /// The assets that one uses, level by level down to a depth, each once and without itself.
    fn used_by(&self, root: &Asset, depth: usize) -> Vec<&Asset> {
        let mut seen = HashSet::from([root.id]);
        let mut found: Vec<&Asset> = Vec::new();
        let mut level: Vec<Uuid> = root.uses.clone();
        for _ in 0..depth {
            level.retain(|id| seen.insert(*id));
            let here: Vec<&Asset> = level.iter().filter_map(|id| self.vault.assets.get(*id)).collect();
            level = here.iter().flat_map(|asset| asset.uses.iter().copied()).collect();
            found.extend(here);
            if level.is_empty() {
                break;
            }
        }
        found
    }

    fn is_public(&self, asset: &Asset) -> bool {
        self.vault.up_from(asset.folder).any(|folder| folder.id == self.vault.public_folder)
    }

    /// An asset at the end of a link, with the properties that were asked for.
    fn linked(
        &self,
        asset: &Asset,
        properties: &[String],
        tell: impl Fn(&str) -> Vec<(&'static str, Value)>,
    ) -> Value {
        let mut json = json!({ "asset_id": asset.id, "asset_type": asset.kind.name() });
        if !properties.is_empty() {
            let told = properties.iter().flat_map(|property| tell(property));
            json["properties"] =
                told.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into();
        }
        json
    }
}
