//! What a cloud makes of an upload: which files are models, which travel with them, how long it takes, how it ends.
//!
//! Pure: a task's standing follows from its age, so there are no timers. This file must not know where files and
//! assets are kept.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::asset_type::AssetType;
use super::clock::Millis;
use super::knobs::choice::{Progress, Switch, TaskEnd};
use super::vault::Task;

/// How an upload task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fate {
    Success,
    Error,
    Rejected,
    /// It converts for ever.
    Never,
    /// It ends in a status that is in no document.
    Unknown,
}

/// One conversion task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Conversion {
    pub(super) asset: Uuid,
    pub(super) source_file: Uuid,
    pub(super) name: String,
    pub(super) pipeline: String,
    pub(super) fate: Fate,
}

/// What a file is by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A model that may refer to other files.
    Model,
    /// A model that carries all it needs.
    Whole,
    PointCloud,
    Volume,
    Texture,
    Cubemap,
    Sound,
    /// A file that only means something beside a model.
    Companion,
    Unlisted,
}

const MODELS: &[&str] = &[
    "fbx", "obj", "usd", "usda", "usdc", "skp", "ptf", "3ds", "ac", "ac3d", "acc", "amj", "ase", "ask",
    "b3d", "blend", "bvh", "cms", "cob", "dae", "dxf", "gltf", "enff", "hmb", "irr", "irrmesh", "lwo", "lws",
    "lxo", "m3d", "md2", "md3", "md5", "mdc", "mdl", "xml", "mot", "ms3d", "ndo", "nff", "off", "ogex",
    "pmx", "prj", "q3o", "q3s", "raw", "scn", "sib", "smd", "ter", "uc", "vta", "wrl", "x", "x3d", "xgl",
    "zgl",
];
const WHOLE: &[&str] = &["glb", "stl", "ply", "ifc", "3mf", "usdz"];
const POINT_CLOUDS: &[&str] = &["e57", "ptx", "xyz", "las", "laz"];
const TEXTURES: &[&str] = &["jpg", "jpeg", "png", "tga", "dds", "tif", "tiff", "bmp", "rgbe"];
const SOUNDS: &[&str] = &["wav", "mp3", "ogg", "flac"];

fn format(name: &str) -> Format {
    let extension =
        name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    let among = |list: &[&str]| list.contains(&extension.as_str());
    match extension.as_str() {
        "dcm" => Format::Volume,
        "hdr" => Format::Cubemap,
        "mtl" | "bin" => Format::Companion,
        _ if among(MODELS) => Format::Model,
        _ if among(WHOLE) => Format::Whole,
        _ if among(POINT_CLOUDS) => Format::PointCloud,
        _ if among(TEXTURES) => Format::Texture,
        _ if among(SOUNDS) => Format::Sound,
        _ => Format::Unlisted,
    }
}

/// A file of an upload, as far as conversion looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived<'a> {
    pub(super) name: &'a str,
    pub(super) size: u64,
    pub(super) head: &'a [u8],
}

impl Arrived<'_> {
    fn broken(&self) -> bool {
        self.size == 0 || self.head.starts_with(b"BROKEN")
    }
}

/// One conversion that an upload leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Its main file, by its place in the upload.
    pub(super) file: usize,
    pub(super) pipeline: &'static str,
    pub(super) fate: Fate,
    /// The assets it makes, the main one first, each with its name and the file it comes from.
    pub(super) makes: Vec<(AssetType, String, usize)>,
}

/// What an upload leads to, and how its task ends. An upload with one file of an unlisted format is rejected whole.
pub(super) fn read(files: &[Arrived<'_>], companions: Switch, end: TaskEnd) -> (Fate, Vec<Job>) {
    let formats: Vec<Format> = files.iter().map(|file| format(file.name)).collect();
    let modelled = formats.contains(&Format::Model);
    let rejected = formats.iter().any(|format| match format {
        Format::Unlisted => true,
        Format::Companion => !modelled,
        Format::Model | Format::Whole | Format::PointCloud | Format::Volume => false,
        Format::Texture | Format::Cubemap | Format::Sound => false,
    });
    let forced = match end {
        TaskEnd::ByContent if rejected => Some(Fate::Rejected),
        TaskEnd::ByContent => None,
        TaskEnd::Success => Some(Fate::Success),
        TaskEnd::Error => Some(Fate::Error),
        TaskEnd::Rejected => Some(Fate::Rejected),
        TaskEnd::Never => Some(Fate::Never),
        TaskEnd::Unknown => Some(Fate::Unknown),
    };
    let mut jobs = Vec::new();
    let mut sliced = false;
    for (at, (file, format)) in files.iter().zip(&formats).enumerate() {
        let is_companion = modelled && matches!(format, Format::Texture | Format::Companion);
        let later_slice = *format == Format::Volume && std::mem::replace(&mut sliced, true);
        if later_slice || (is_companion && companions == Switch::Off) {
            continue;
        }
        let fate = forced.unwrap_or(if file.broken() { Fate::Error } else { Fate::Success });
        jobs.push(Job { file: at, pipeline: pipeline(*format), fate, makes: makes(at, &formats) });
    }
    if companions == Switch::On {
        // Each texture is made by its own conversion then, not by the model's.
        for job in &mut jobs {
            let own = job.file;
            job.makes.retain(|(_, _, from)| *from == own);
        }
    }
    let failed = jobs.iter().any(|job| job.fate == Fate::Error);
    (forced.unwrap_or(if failed { Fate::Error } else { Fate::Success }), jobs)
}

fn pipeline(format: Format) -> &'static str {
    match format {
        Format::Model | Format::Whole => "scene",
        Format::PointCloud => "point-cloud",
        Format::Volume => "volume",
        Format::Texture | Format::Cubemap => "texture",
        Format::Sound | Format::Companion | Format::Unlisted => "auto-detect",
    }
}

/// The assets of a file. Their names are not file names, as in the real cloud.
fn makes(file: usize, formats: &[Format]) -> Vec<(AssetType, String, usize)> {
    let one = |kind, name: &str| (kind, name.to_owned(), file);
    let model = || {
        [(AssetType::Scene, "Main Scene"), (AssetType::Mesh, "Mesh 0"), (AssetType::Material, "Material 0")]
            .map(|(kind, name)| one(kind, name))
    };
    match formats[file] {
        Format::Model => {
            let textures = formats.iter().enumerate().filter(|(_, format)| **format == Format::Texture);
            let textures = textures.map(|(at, _)| (AssetType::Texture, format!("Texture of part {at}"), at));
            model().into_iter().chain(textures).collect()
        }
        Format::Whole => model().into(),
        Format::PointCloud => {
            vec![one(AssetType::PointCloud, "Point Cloud"), one(AssetType::Scene, "Main Scene")]
        }
        Format::Volume => {
            vec![one(AssetType::Texture3d, "Volume"), one(AssetType::VolumeMaterial, "Volume Material")]
        }
        Format::Texture => vec![one(AssetType::Texture, "Texture")],
        Format::Cubemap => vec![one(AssetType::Cubemap, "Environment")],
        Format::Sound => vec![one(AssetType::Sound, "Sound")],
        Format::Companion | Format::Unlisted => Vec::new(),
    }
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) status: &'static str,
    pub(super) progress: f64,
    pub(super) download_progress: f64,
    /// The status and progress of each conversion; none before they are known.
    pub(super) conversions: Vec<(&'static str, f64)>,
}

/// How far a task is at a moment. The first tenth of its time it waits, then its files are fetched, then it stands in
/// line, and from four tenths on it converts.
pub(super) fn standing(task: &Task, now: Millis, scale: Progress) -> Standing {
    let age = now.saturating_sub(task.uploaded_at).max(0);
    let full = age >= task.takes;
    #[expect(clippy::cast_precision_loss, reason = "a progress bar")]
    let share = if full { 1.0 } else { age as f64 / task.takes as f64 };
    let converting = ((share - 0.4) / 0.6).clamp(0.0, 1.0);
    let (status, progress) = match (full, task.fate) {
        (false, _) if share < 0.1 => ("waiting", 0.0),
        (false, _) if share < 0.25 => ("downloading", 0.0),
        (false, _) if share < 0.4 => ("pending", 0.0),
        (false, _) => ("converting", converting),
        (true, Fate::Success) => ("success", 1.0),
        (true, Fate::Error) => ("error", 1.0),
        (true, Fate::Rejected) => ("rejected", 0.0),
        (true, Fate::Never) => ("converting", 0.99),
        (true, Fate::Unknown) => ("quarantined", 1.0),
    };
    let of = |conversion: &Conversion| match (status, conversion.fate) {
        ("pending", _) => ("pending", 0.0),
        ("converting", _) => ("converting", scaled(progress, scale, age)),
        (_, Fate::Success) => ("success", scaled(1.0, scale, age)),
        (_, Fate::Unknown) => ("quarantined", scaled(1.0, scale, age)),
        (_, Fate::Error | Fate::Rejected | Fate::Never) => ("error", scaled(progress, scale, age)),
    };
    let early = matches!(status, "waiting" | "downloading") || (full && task.fate == Fate::Rejected);
    let conversions = if early { Vec::new() } else { task.conversions.iter().map(of).collect() };
    let download = ((share - 0.1) / 0.15).clamp(0.0, 1.0);
    let progress = scaled(progress, scale, age);
    Standing { status, progress, download_progress: scaled(download, scale, age), conversions }
}

fn scaled(progress: f64, scale: Progress, age: Millis) -> f64 {
    match scale {
        Progress::Fraction => progress,
        Progress::Percent => progress * 100.0,
        Progress::NonMonotonic if age % 2 == 1 => progress / 2.0,
        Progress::NonMonotonic => progress,
    }
}
