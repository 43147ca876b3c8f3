//! Which file extensions the cloud takes, and in which role. A table of facts; knows no file.
//!
//! Source: the list printed with the upload route of the Asset API (category and extension, lower case, no dot). That it
//! is matched without regard to case is inferred.

use crate::file::RelPath;

/// What the cloud makes of files with one extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// A scene, a mesh, an animation.
    Model,
    /// A cloud of points.
    PointCloud,
    /// A slice of a volume.
    Volume,
    /// An image.
    Texture,
    /// An image of all around.
    Cubemap,
    /// A sound.
    Sound,
}

/// How a file with one extension may travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It gives a bundle its name.
    Lead(Category),
    /// It would, but studios use the extension for other things too: only where the configuration asks for it.
    OptIn(Category),
    /// It travels only with a model that refers to it.
    Companion,
    /// The cloud does not list it.
    Unlisted,
}

const MODELS: &[&str] = &[
    "fbx", "obj", "stl", "ply", "ifc", "usd", "usda", "usdc", "usdz", "skp", "ptf", "3ds", "3mf", "ac3d",
    "acc", "amj", "b3d", "blend", "bvh", "cob", "dae", "dxf", "gltf", "glb", "enff", "hmb", "irr", "irrmesh",
    "lwo", "lws", "lxo", "m3d", "md2", "md3", "md5", "mdc", "ms3d", "ndo", "nff", "ogex", "pmx", "q3o",
    "q3s", "sib", "vta", "wrl", "x3d", "xgl", "zgl",
];
const MODELS_BY_CHOICE: &[&str] =
    &["xml", "raw", "prj", "scn", "uc", "x", "ac", "ask", "ase", "cms", "mot", "mdl", "off", "ter", "smd"];
const POINT_CLOUDS: &[&str] = &["e57", "ptx", "las", "laz"];
const POINT_CLOUDS_BY_CHOICE: &[&str] = &["xyz"];
const TEXTURES: &[&str] = &["jpg", "jpeg", "png", "tga", "dds", "tif", "tiff", "bmp", "rgbe"];
const SOUNDS: &[&str] = &["wav", "mp3", "ogg", "flac"];

/// How a file with this extension (lower case, no dot) may travel.
#[must_use]
pub fn standing(extension: &str) -> Standing {
    let is_in = |list: &[&str]| list.contains(&extension);
    if is_in(MODELS) {
        Standing::Lead(Category::Model)
    } else if is_in(TEXTURES) {
        Standing::Lead(Category::Texture)
    } else if is_in(POINT_CLOUDS) {
        Standing::Lead(Category::PointCloud)
    } else if is_in(SOUNDS) {
        Standing::Lead(Category::Sound)
    } else if extension == "hdr" {
        Standing::Lead(Category::Cubemap)
    } else if extension == "dcm" {
        Standing::Lead(Category::Volume)
    } else if matches!(extension, "bin" | "mtl") {
        Standing::Companion
    } else if is_in(MODELS_BY_CHOICE) {
        Standing::OptIn(Category::Model)
    } else if is_in(POINT_CLOUDS_BY_CHOICE) {
        Standing::OptIn(Category::PointCloud)
    } else {
        Standing::Unlisted
    }
}

/// Whether the cloud lists no format for a file of this name.
#[must_use]
pub fn is_unlisted(path: &RelPath) -> bool {
    path.extension().is_none_or(|extension| standing(&extension) == Standing::Unlisted)
}

/// Whether a file of this name is a slice of a volume, if its bytes say so: the slices of a series travel together.
#[must_use]
pub fn is_slice(path: &RelPath) -> bool {
    path.extension().is_some_and(|extension| standing(&extension) == Standing::Lead(Category::Volume))
}

/// Whether a file of this name can be a mere member of a bundle: an image, a slice, or a format that means nothing alone.
/// Everything else leads a bundle of its own, whoever carries it besides.
#[must_use]
pub fn is_dependent(path: &RelPath) -> bool {
    let Some(extension) = path.extension() else { return true };
    match standing(&extension) {
        Standing::Lead(Category::Texture | Category::Cubemap | Category::Volume)
        | Standing::Companion
        | Standing::Unlisted => true,
        Standing::Lead(Category::Model | Category::PointCloud | Category::Sound) | Standing::OptIn(_) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_stand_as_the_cloud_lists_them() {
        assert_eq!(standing("fbx"), Standing::Lead(Category::Model));
        assert_eq!(standing("hdr"), Standing::Lead(Category::Cubemap));
        assert_eq!(standing("e57"), Standing::Lead(Category::PointCloud));
        assert_eq!(standing("xml"), Standing::OptIn(Category::Model));
        assert_eq!(standing("xyz"), Standing::OptIn(Category::PointCloud));
        assert_eq!(standing("bin"), Standing::Companion);
        assert_eq!(standing("exr"), Standing::Unlisted);
    }

    #[test]
    fn no_extension_is_listed_twice() {
        let mut all: Vec<_> =
            [MODELS, MODELS_BY_CHOICE, POINT_CLOUDS, POINT_CLOUDS_BY_CHOICE, TEXTURES, SOUNDS].concat();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
    }
}
