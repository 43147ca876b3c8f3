//! `versync resolve`: from a path to the id of an asset that it became, by a manifest alone: for build scripts, without a ledger.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::{Global, desk, render};
use crate::file::shown;
use crate::manifest::{Listed, ListedAsset, ListedPart, Manifest};

/// How many choices are named.
const NAMED: usize = 20;

/// Extensions of images: what one of them becomes is a texture.
const IMAGES: [&str; 12] =
    ["png", "jpg", "jpeg", "tga", "bmp", "tif", "tiff", "dds", "hdr", "exr", "ktx", "webp"];

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`versync resolve props/chair.fbx#mesh/0` prints the id of its first mesh; they are counted from 0 in the order of the manifest, \
by name. Without a type the scene of a model, the texture of an image, or the only asset is meant. With --json one object is \
printed: schema_version, mapping, path, source_file_id, type, name, asset_id.")]
pub(super) struct Arguments {
    /// The path below the root, also MAPPING:PATH, and which asset of it
    #[arg(value_name = "PATH[#TYPE[/N]]")]
    what: String,
    /// The manifest [default: that of the configuration, else what the ledger says]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let manifest = manifest(global, arguments)?;
    let (path, wanted) = asked(&arguments.what, &manifest);
    let found = found(&manifest, path)?;
    let (part, asset) = chosen(path, &found, wanted)?;
    paper.line(&asset.id.to_string());
    paper.object(&json!({
        "schema_version": render::SCHEMA,
        "mapping": found.mapping,
        "path": part.path,
        "source_file_id": part.source_file_id.to_string(),
        "type": asset.kind,
        "name": asset.name,
        "asset_id": asset.id.to_string(),
    }));
    Ok(Exit::Done)
}

fn manifest(global: &Global, arguments: &Arguments) -> Result<Manifest, Failure> {
    if let Some(path) = &arguments.manifest {
        return read(path);
    }
    let config = desk::configuration(global)?.config;
    match &config.manifest {
        Some(path) => read(path),
        None => super::manifest::by_ledger(&config),
    }
}

fn read(path: &Path) -> Result<Manifest, Failure> {
    let manifest = Manifest::read(path).map_err(|error| super::manifest::unusable(&error))?;
    manifest.ok_or_else(|| {
        let what = format!("failed to find the manifest {}", path.display());
        Failure::new(Exit::FilesFailed, what).hint("`versync manifest --output FILE` writes one")
    })
}

/// Which asset is wanted: by its type, and of several by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted<'a> {
    kind: Option<&'a str>,
    number: Option<usize>,
}

/// A `#` may also be part of a file's name: what the manifest has under the whole text is meant by it.
fn asked<'a>(what: &'a str, manifest: &Manifest) -> (&'a str, Wanted<'a>) {
    let any = Wanted { kind: None, number: None };
    let Some((path, rest)) = what.rsplit_once('#').filter(|_| found(manifest, what).is_err()) else {
        return (what, any);
    };
    match rest.split_once('/') {
        Some((kind, number)) if number.parse::<usize>().is_ok() => {
            (path, Wanted { kind: Some(kind), number: number.parse().ok() })
        }
        Some(_) => (what, any),
        None => (path, Wanted { kind: Some(rest), number: None }),
    }
}

/// What was found under a path.
struct Found<'a> {
    mapping: &'a str,
    parts: Vec<&'a ListedPart>,
}

/// A lead of this path; else a file that travels with one lead only.
fn found<'a>(manifest: &'a Manifest, path: &str) -> Result<Found<'a>, Failure> {
    let mut leads = Vec::new();
    let mut members = Vec::new();
    for (mapping, listing) in manifest.mappings() {
        let inner = path.strip_prefix(mapping).and_then(|rest| rest.strip_prefix(':')).unwrap_or(path);
        if let Some(listed) = listing.files.get(inner) {
            leads.push((mapping, inner, Listed::parts(listed).collect::<Vec<_>>()));
        }
        for (lead, listed) in &listing.files {
            let carried = listed.members.iter().filter(|part| part.path == inner);
            members.extend(carried.map(|part| (mapping, lead.as_str(), vec![part])));
        }
    }
    let mut all = if leads.is_empty() { members } else { leads };
    match (all.pop(), all.is_empty()) {
        (Some((mapping, _, parts)), true) => Ok(Found { mapping, parts }),
        (Some(last), false) => {
            let of = all.iter().chain(std::iter::once(&last)).take(NAMED);
            let of: Vec<_> = of.map(|(mapping, lead, _)| format!("{mapping}:{}", shown(lead))).collect();
            let what = format!("failed to resolve {}: it is found more than once", shown(path));
            Err(Failure::new(Exit::Usage, what).hint(format!("name one of {}", of.join(", "))))
        }
        (None, _) => {
            let what = format!("failed to resolve {}: the manifest does not have it", shown(path));
            Err(Failure::new(Exit::FilesFailed, what)
                .hint("paths are relative to the root, as in `versync files`"))
        }
    }
}

fn chosen<'a>(
    path: &str,
    found: &Found<'a>,
    wanted: Wanted<'_>,
) -> Result<(&'a ListedPart, &'a ListedAsset), Failure> {
    let all = || found.parts.iter().flat_map(|part| part.assets.iter().map(move |asset| (*part, asset)));
    let of_kind = |kind: &str| all().filter(|(_, asset)| asset.kind == kind).collect::<Vec<_>>();
    let candidates = match wanted.kind {
        Some(kind) => of_kind(kind),
        None => {
            let extension = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            let usual = of_kind(if IMAGES.contains(&&*extension) { "texture" } else { "scene" });
            if usual.is_empty() { all().collect() } else { usual }
        }
    };
    match (wanted.number, candidates.as_slice()) {
        (None, [only]) => Ok(*only),
        (Some(number), them) if number < them.len() => Ok(them[number]),
        (None | Some(_), them) => Err(undecided(path, wanted, them, &all().collect::<Vec<_>>())),
    }
}

fn undecided(
    path: &str,
    wanted: Wanted<'_>,
    candidates: &[(&ListedPart, &ListedAsset)],
    all: &[(&ListedPart, &ListedAsset)],
) -> Failure {
    let why = match (candidates.is_empty(), wanted.number) {
        (true, _) => "it became no such asset".to_owned(),
        (false, Some(number)) => format!("there is no number {number}, only {} of them", candidates.len()),
        (false, None) => format!("it became {} assets", candidates.len()),
    };
    let choices = if candidates.is_empty() { all } else { candidates };
    let mut numbers = std::collections::BTreeMap::<&str, usize>::new();
    let named = choices.iter().take(NAMED).map(|(_, asset)| {
        let number = numbers.entry(asset.kind.as_str()).or_default();
        let choice = format!("#{}/{number} ({})", shown(&asset.kind), shown(&asset.name));
        *number += 1;
        choice
    });
    let named: Vec<_> = named.collect();
    let exit = if candidates.is_empty() { Exit::FilesFailed } else { Exit::Usage };
    let failure = Failure::new(exit, format!("failed to resolve {}: {why}", shown(path)));
    if named.is_empty() { failure } else { failure.hint(format!("choose one of {}", named.join(", "))) }
}
