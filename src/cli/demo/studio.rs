//! A small studio tree, made of bytes that are computed here: a textured glTF, an OBJ with its material, a few textures and a
//! sound. Everything is tiny, valid and ours.
//!
//! It plays the artist: the only code of versync that writes files that versync watches, and only ever below a temporary
//! directory of its own.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes the whole tree below `root`, which exists and is empty.
pub(super) fn build(root: &Path) -> io::Result<()> {
    for (path, bytes) in tree() {
        let path = root.join(path);
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).create(directory)?;
        }
        File::create(path)?.write_all(&bytes)?;
    }
    Ok(())
}

/// Saves a file as most tools do: under another name first, which then takes the file's place.
pub(super) fn save(root: &Path, path: &str, bytes: &[u8]) -> io::Result<()> {
    let target = root.join(path);
    let directory = target.parent().unwrap_or(root);
    DirBuilder::new().recursive(true).create(directory)?;
    let mut draft = tempfile::Builder::new().prefix(".draft-").suffix("~").tempfile_in(directory)?;
    draft.write_all(bytes)?;
    draft.persist(target).map_err(|error| error.error)?;
    Ok(())
}

fn tree() -> Vec<(&'static str, Vec<u8>)> {
    let triangle = triangle();
    vec![
        ("characters/robot/robot.gltf", gltf(triangle.len()).into_bytes()),
        ("characters/robot/robot.bin", triangle),
        ("characters/robot/textures/robot_paint.png", png(64, checker([226, 88, 62], [244, 232, 216]))),
        ("props/crate/crate.obj", crate_obj(1.0).into_bytes()),
        ("props/crate/crate.mtl", MATERIAL.to_vec()),
        ("props/crate/crate_wood.png", png(64, planks)),
        ("textures/floor_tiles.png", png(128, checker([92, 107, 124], [168, 181, 190]))),
        ("textures/sky_gradient.png", png(128, |_, y| [96, 120_u8.saturating_add(y), 200])),
        ("sounds/switch_on.wav", wav()),
        ("notes.txt", b"Robot: second paint job is the approved one.\n".to_vec()),
    ]
}

const MATERIAL: &[u8] = b"# crate\nnewmtl wood\nKd 0.8 0.8 0.8\nmap_Kd crate_wood.png\n";

/// A box of this height, as an OBJ file.
pub(super) fn crate_obj(height: f32) -> String {
    let mut obj = String::from("# crate\nmtllib crate.mtl\no crate\n");
    for corner in 0..8 {
        let at = |bit: i32, most: f32| if corner & bit == 0 { 0.0 } else { most };
        obj += &format!("v {:.3} {:.3} {:.3}\n", at(1, 1.0), at(2, height), at(4, 1.0));
    }
    obj += "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl wood\n";
    for [a, b, c, d] in [[1, 3, 4, 2], [5, 6, 8, 7], [1, 2, 6, 5], [3, 7, 8, 4], [1, 5, 7, 3], [2, 4, 8, 6]] {
        obj += &format!("f {a}/1 {b}/2 {c}/3 {d}/4\n");
    }
    obj
}

/// A texture that is not there at first.
pub(super) fn neon_sign() -> Vec<u8> {
    png(96, |x, y| if (x / 8 + y / 8) % 3 == 0 { [255, 64, 160] } else { [24, 16, 40] })
}

/// Positions and texture coordinates of one triangle, and its indices, little-endian as glTF wants them.
fn triangle() -> Vec<u8> {
    let floats: [f32; 15] = [0., 0., 0., 1., 0., 0., 0., 1., 0., /* uv */ 0., 1., 1., 1., 0., 0.];
    let mut bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    bytes.extend([0_u16, 1, 2].iter().flat_map(|index| index.to_le_bytes()));
    bytes
}

fn gltf(bytes: usize) -> String {
    let json = serde_json::json!({
        "asset": { "version": "2.0", "generator": "versync demo" },
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "name": "robot", "mesh": 0 }],
        "meshes": [{ "name": "robot", "primitives": [{
            "attributes": { "POSITION": 0, "TEXCOORD_0": 1 }, "indices": 2, "material": 0,
        }] }],
        "materials": [{ "name": "paint", "pbrMetallicRoughness": { "baseColorTexture": { "index": 0 } } }],
        "textures": [{ "source": 0 }],
        "images": [{ "uri": "textures/robot_paint.png" }],
        "buffers": [{ "uri": "robot.bin", "byteLength": bytes }],
        "bufferViews": [
            { "buffer": 0, "byteOffset": 0, "byteLength": 36 },
            { "buffer": 0, "byteOffset": 36, "byteLength": 24 },
            { "buffer": 0, "byteOffset": 60, "byteLength": 6 },
        ],
        "accessors": [
            { "bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0] },
            { "bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2" },
            { "bufferView": 2, "componentType": 5123, "count": 3, "type": "SCALAR" },
        ],
    });
    format!("{json:#}\n")
}

fn checker(a: [u8; 3], b: [u8; 3]) -> impl Fn(u8, u8) -> [u8; 3] {
    move |x, y| if (x / 16 + y / 16) % 2 == 0 { a } else { b }
}

fn planks(x: u8, y: u8) -> [u8; 3] {
    let grain = (x.wrapping_mul(7) ^ y.wrapping_mul(3)) % 24;
    if y.is_multiple_of(16) { [70, 44, 22] } else { [150 + grain, 104 + grain, 58] }
}

/// A square RGB picture as a PNG file with stored (not compressed) data: a few lines instead of a dependency.
/// Source of the layout: the PNG specification, and RFC 1950 and 1951 for the data in it.
fn png(size: u8, colour: impl Fn(u8, u8) -> [u8; 3]) -> Vec<u8> {
    let mut rows = Vec::new();
    for y in 0..size {
        rows.push(0);
        (0..size).for_each(|x| rows.extend(colour(x, y)));
    }
    let mut data = vec![0x78, 0x01];
    let mut blocks = rows.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        data.push(u8::from(blocks.peek().is_none()));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(block);
    }
    data.extend(adler(&rows).to_be_bytes());
    let side = u32::from(size).to_be_bytes();
    let mut header = [side, side].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let checked = [kind.as_slice(), &body].concat();
        png.extend(length.to_be_bytes());
        png.extend(&checked);
        png.extend(crc(&checked).to_be_bytes());
    }
    png
}

fn adler(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

fn crc(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), fold))
}

/// A tenth of a second of a falling square wave, as a WAV file with 8-bit samples.
fn wav() -> Vec<u8> {
    let samples: Vec<u8> = (0..800_u32).map(|n| if n / (4 + n / 100) % 2 == 0 { 160 } else { 96 }).collect();
    let length = u32::try_from(samples.len()).unwrap_or_default();
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend([1, 0, 8, 0]);
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.extend(samples);
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_specifications() {
        assert_eq!(crc(b"IEND"), 0xae42_6082);
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn the_buffer_is_as_long_as_the_model_says() {
        assert_eq!(triangle().len(), 66);
        let model: serde_json::Value = serde_json::from_str(&gltf(66)).unwrap();
        assert_eq!(model["buffers"][0]["byteLength"], 66);
    }

    #[test]
    fn a_saved_file_takes_the_place_of_the_old_one_and_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path()).unwrap();
        save(dir.path(), "props/crate/crate.obj", b"new").unwrap();
        let crate_dir = dir.path().join("props/crate");
        #[expect(clippy::disallowed_methods, reason = "a test looks at its own directory")]
        let names = std::fs::read_dir(&crate_dir).unwrap().count();
        assert_eq!(names, 3);
        assert_eq!(crate_dir.join("crate.obj").metadata().unwrap().len(), 3);
    }
}
