//! Which reader a file needs: told by its extension, and checked against its first bytes. Knows no reader.

use std::fmt;

/// A family of files that one reader understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// glTF as JSON.
    Gltf,
    /// glTF in one binary file, version 1 or 2.
    Glb,
    /// Wavefront geometry.
    Obj,
    /// Wavefront materials.
    Mtl,
    /// COLLADA, plain or gzipped.
    Collada,
    /// COLLADA in a ZIP archive.
    Zae,
    /// Autodesk FBX, binary or ASCII.
    Fbx,
    /// 3D Studio.
    Tds,
    /// Stanford polygons.
    Ply,
    /// X3D as XML.
    X3d,
    /// VRML 1 and 2, X3D in the classic encoding.
    Vrml,
    /// Universal Scene Description, text or crate.
    Usd,
    /// MaterialX.
    MaterialX,
    /// The description of a geometry cache, beside its data.
    GeometryCache,
    /// LightWave object.
    Lwo,
    /// LightWave scene.
    Lws,
    /// DirectX mesh.
    DirectX,
    /// Blender scene or library.
    Blend,
    /// Industry Foundation Classes as STEP text.
    Ifc,
    /// 3ds Max ASCII export.
    Ase,
    /// An archive that by its specification refers to nothing outside.
    SelfContained,
}

impl Format {
    /// The format that an extension (lower case, no dot) announces; none if files of that kind name no others.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension {
            "gltf" => Self::Gltf,
            "glb" | "vrm" => Self::Glb,
            "obj" => Self::Obj,
            "mtl" => Self::Mtl,
            "dae" => Self::Collada,
            "zae" => Self::Zae,
            "fbx" => Self::Fbx,
            "3ds" | "prj" => Self::Tds,
            "ply" => Self::Ply,
            "x3d" | "x3dz" => Self::X3d,
            "wrl" | "wrz" | "vrml" | "x3dv" | "x3dvz" => Self::Vrml,
            "usd" | "usda" | "usdc" => Self::Usd,
            "usdz" | "3mf" => Self::SelfContained,
            "mtlx" => Self::MaterialX,
            "xml" => Self::GeometryCache,
            "lwo" | "lxo" => Self::Lwo,
            "lws" | "mot" => Self::Lws,
            "x" => Self::DirectX,
            "blend" => Self::Blend,
            "ifc" => Self::Ifc,
            "ase" | "ask" => Self::Ase,
            _ => return None,
        })
    }

    /// The same, or its sister where the first bytes say so: exporters mix up the extensions of two writings of one format.
    pub(super) fn told_by(self, head: &[u8]) -> Self {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        match (self, text.first()) {
            (Self::Glb, Some(b'{')) => Self::Gltf,
            (Self::Gltf, Some(b'g')) if head.starts_with(b"glTF") => Self::Glb,
            (Self::X3d, Some(b'#')) => Self::Vrml,
            (Self::Vrml, Some(b'<')) => Self::X3d,
            (other, _) => other,
        }
    }

    /// Whether a file of this format may start with what was recognised.
    pub(super) fn may_be(self, seen: Foreign) -> bool {
        match seen {
            Foreign::Image | Foreign::Sound | Foreign::Document | Foreign::Pointer => false,
            Foreign::Zip => matches!(self, Self::SelfContained | Self::Zae | Self::Usd),
            Foreign::Gzip => matches!(self, Self::Collada | Self::X3d | Self::Vrml | Self::Blend),
            Foreign::Zstd => self == Self::Blend,
            Foreign::Gltf => matches!(self, Self::Gltf | Self::Glb),
            Foreign::Fbx => self == Self::Fbx,
            Foreign::Crate => self == Self::Usd,
            Foreign::Blend => self == Self::Blend,
        }
    }
}

/// A content that is recognised by its first bytes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    Image,
    Sound,
    Document,
    /// What stands in a checkout for a file that was not fetched.
    Pointer,
    Zip,
    Gzip,
    Zstd,
    Gltf,
    Fbx,
    Crate,
    Blend,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "an image",
            Self::Sound => "a sound",
            Self::Document => "a document",
            Self::Pointer => "a pointer of Git LFS that stands for a file which was not fetched",
            Self::Zip => "a ZIP archive",
            Self::Gzip => "gzipped",
            Self::Zstd => "compressed with zstd",
            Self::Gltf => "binary glTF",
            Self::Fbx => "binary FBX",
            Self::Crate => "a USD crate",
            Self::Blend => "a Blender file",
        })
    }
}

/// What these first bytes can be nothing else than; none for text and for what has no sure mark.
pub(super) fn foreign(head: &[u8]) -> Option<Foreign> {
    const MARKS: &[(&[u8], Foreign)] = &[
        (b"\x89PNG\r\n", Foreign::Image),
        (b"\xff\xd8\xff", Foreign::Image),
        (b"GIF8", Foreign::Image),
        (b"II*\0", Foreign::Image),
        (b"MM\0*", Foreign::Image),
        (b"DDS |", Foreign::Image),
        (b"8BPS", Foreign::Image),
        (b"\x76\x2f\x31\x01", Foreign::Image),
        (b"#?RADIANCE", Foreign::Image),
        (b"\xabKTX", Foreign::Image),
        (b"OggS", Foreign::Sound),
        (b"fLaC", Foreign::Sound),
        (b"ID3", Foreign::Sound),
        (b"%PDF", Foreign::Document),
        (b"\xd0\xcf\x11\xe0", Foreign::Document),
        (b"\x7fELF", Foreign::Document),
        (b"version https://git-lfs.github.com/spec/", Foreign::Pointer),
        (b"PK\x03\x04", Foreign::Zip),
        (b"\x1f\x8b", Foreign::Gzip),
        (b"\x28\xb5\x2f\xfd", Foreign::Zstd),
        (b"glTF", Foreign::Gltf),
        (b"Kaydara FBX Binary", Foreign::Fbx),
        (b"PXR-USDC", Foreign::Crate),
        (b"BLENDER", Foreign::Blend),
    ];
    MARKS.iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_called_fbx_is_no_fbx() {
        let png = foreign(b"\x89PNG\r\n\x1a\n").unwrap();
        assert!(!Format::Fbx.may_be(png));
        assert_eq!(foreign(b"; FBX 7.4.0 project file"), None);
    }

    #[test]
    fn a_pointer_of_git_lfs_is_no_model() {
        let pointer = foreign(b"version https://git-lfs.github.com/spec/v1\noid sha256:00").unwrap();
        assert!(!Format::Obj.may_be(pointer) && !Format::SelfContained.may_be(pointer));
    }

    #[test]
    fn a_mixed_up_extension_is_set_right_by_the_first_bytes() {
        assert_eq!(Format::Glb.told_by(b" {"), Format::Gltf);
        assert_eq!(Format::Gltf.told_by(b"glTF\x02"), Format::Glb);
        assert_eq!(Format::X3d.told_by(b"#X3D V3.0 utf8"), Format::Vrml);
        assert_eq!(Format::Vrml.told_by(b"\xef\xbb\xbf<?xml"), Format::X3d);
        assert_eq!(Format::Obj.told_by(b"{"), Format::Obj);
    }

    #[test]
    fn a_packed_blend_is_still_one() {
        assert!(Format::Blend.may_be(foreign(b"\x28\xb5\x2f\xfd").unwrap()));
        assert!(!Format::Obj.may_be(foreign(b"\x1f\x8b\x08").unwrap()));
    }
}
