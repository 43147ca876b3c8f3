//! Small files in both writings: the same nodes have to tell the same names.

use super::super::tests::{told, warnings};
use super::super::{Format, Limits, read as read_any};

/// A node of a binary file.
struct Node {
    name: &'static str,
    values: Vec<u8>,
    count: u32,
    children: Vec<Node>,
}

fn node(name: &'static str, texts: &[&str], children: Vec<Node>) -> Node {
    let mut values = Vec::new();
    for text in texts {
        values.push(b'S');
        values.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        values.extend(text.as_bytes());
    }
    Node { name, values, count: u32::try_from(texts.len()).unwrap(), children }
}

fn raw(name: &'static str, content: &[u8]) -> Node {
    let mut values = vec![b'R'];
    values.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    values.extend(content);
    Node { name, values, count: 1, children: Vec::new() }
}

fn write(node: &Node, wide: bool, into: &mut Vec<u8>) {
    let start = into.len();
    let word = |number: usize, into: &mut Vec<u8>| {
        if wide {
            into.extend((number as u64).to_le_bytes());
        } else {
            into.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
    };
    word(0, into);
    word(node.count as usize, into);
    word(node.values.len(), into);
    into.push(u8::try_from(node.name.len()).unwrap());
    into.extend(node.name.as_bytes());
    into.extend(&node.values);
    if !node.children.is_empty() {
        node.children.iter().for_each(|child| write(child, wide, into));
        into.extend(vec![0; if wide { 25 } else { 13 }]);
    }
    let end = into.len();
    let mut head = Vec::new();
    word(end, &mut head);
    into[start..start + head.len()].copy_from_slice(&head);
}

fn binary(version: u32, nodes: &[Node]) -> Vec<u8> {
    let mut bytes = b"Kaydara FBX Binary  \0\x1a\0".to_vec();
    bytes.extend(version.to_le_bytes());
    nodes.iter().for_each(|node| write(node, version >= 7500, &mut bytes));
    bytes.extend(vec![0; if version >= 7500 { 25 } else { 13 }]);
    bytes
}

fn objects() -> Vec<Node> {
    let video = |name, path, relative, content: &[u8]| {
        node(
            "Video",
            &[name, "Clip"],
            vec![
                node("Filename", &[path], vec![]),
                node("RelativeFilename", &[relative], vec![]),
                raw("Content", content),
            ],
        )
    };
    let texture = |media, path, relative| {
        node(
            "Texture",
            &["t\0\x01Texture", ""],
            vec![
                node("Media", &[media], vec![]),
                node("FileName", &[path], vec![]),
                node("RelativeFilename", &[relative], vec![]),
            ],
        )
    };
    vec![
        node("Takes", &[], vec![node("Take", &["x"], vec![node("FileName", &["x.tak"], vec![])])]),
        node(
            "Objects",
            &[],
            vec![
                video("wood\0\x01Video", "C:\\a\\wood.png", "tex\\wood.png", b""),
                video("cloth\0\x01Video", "C:\\a\\cloth.png", "cloth.png", b"\x89PNG"),
                texture("wood\0\x01Video", "C:\\b\\wood.png", "..\\wood.png"),
                texture("", "C:\\c\\CLOTH.png", ""),
                texture("", "alone.png", ""),
                node(
                    "Cache",
                    &["c\0\x01Cache", ""],
                    vec![node(
                        "Properties70",
                        &[],
                        vec![
                            node("P", &["CacheFileName", "KString", "XRefUrl", "", "c\\c.xml"], vec![]),
                            node(
                                "P",
                                &["CacheAbsoluteFileName", "KString", "XRefUrl", "", "D:\\c\\c.xml"],
                                vec![],
                            ),
                        ],
                    )],
                ),
            ],
        ),
    ]
}

const EXPECTED: [&str; 4] = [
    "tex\\wood.png [fbx:Video] | C:\\a\\wood.png | ..\\wood.png | C:\\b\\wood.png",
    "cloth.png [fbx:Video] | C:\\a\\cloth.png | C:\\c\\CLOTH.png embedded",
    "c\\c.xml [fbx:Cache] | D:\\c\\c.xml",
    "alone.png [fbx:Texture]",
];

#[test]
fn narrow_and_wide_offsets_tell_the_same_names() {
    for version in [6100, 7100, 7400, 7500, 7700] {
        assert_eq!(told(Format::Fbx, &binary(version, &objects())), EXPECTED, "{version}");
    }
}

#[test]
fn ascii_tells_the_same_names() {
    let text = r#"; FBX 7.4.0 project file
        Takes: { Take: "x" { FileName: "x.tak" } }
        Objects:  {
            Geometry: 1, "Geometry::", "Mesh" { Vertices: *9 { a: 0,1.5,-2e3,
                4,5,6,7,8,9 } }
            Video: 2, "Video::wood", "Clip" {
                Filename: "C:\a\wood.png"
                RelativeFilename: "tex\wood.png"
                Content: ,
            }
            Video: 3, "Video::cloth", "Clip" {
                Filename: "C:\a\cloth.png"
                RelativeFilename: "cloth.png"
                Content: , "iVBORw0KGgo="
            }
            Texture: 4, "Texture::t", "" {
                Media: "Video::wood"
                FileName: "C:\b\wood.png"
                RelativeFilename: "..\wood.png"
            }
            Texture: 5, "Texture::t", "" { FileName: "C:\c\CLOTH.png" }
            Texture: 6, "Texture::t", "" { FileName: "alone.png" }
            Cache: 7, "Cache::c", "" { Properties70:  {
                P: "CacheFileName", "KString", "XRefUrl", "", "c\c.xml"
                P: "CacheAbsoluteFileName", "KString", "XRefUrl", "", "D:\c\c.xml"
            } }
        }"#;
    assert_eq!(told(Format::Fbx, text.as_bytes()), EXPECTED);
}

#[test]
fn an_old_file_without_objects_around_its_nodes_is_read() {
    let text = "; FBX 5.8.0\nVideo: \"v\" { FileName: \"a&quot;b.png\" }\nTexture: \"t\" { Media: \"v\" RelativeFilename: \"c.png\" }";
    assert_eq!(told(Format::Fbx, text.as_bytes()), ["a\"b.png [fbx:Video] | c.png"]);
}

#[test]
fn a_map_of_another_renderer_keeps_its_file_in_a_property() {
    let text = r#"; FBX
        Objects: { Texture: 1, "Texture::t", "" { Properties70: {
            P: "3dsMax|OSLBitmap2|Filename", "KString", "", "A", "D:\a\wood.png"
            P: "3dsMax|ai_image Parameters/Connections|filename", "KString", "", "A", "b.png"
            P: "3dsMax|params|OSLPath", "KString", "", "A", "no.osl"
            P: "Original|FileName", "KString", "", "", "no.fbx"
            } FileName: "" } }"#;
    assert_eq!(told(Format::Fbx, text.as_bytes()), ["D:\\a\\wood.png [fbx:Texture]", "b.png [fbx:Texture]"]);
}

#[test]
fn an_image_sequence_stands_for_its_frames() {
    let text = r#"; FBX
        Objects: { Video: 1, "Video::v", "Clip" { Filename: "f_001.png"  ImageSequence: 1 } }"#;
    assert_eq!(told(Format::Fbx, text.as_bytes()), ["f_001.png [fbx:Video] Frames"]);
}

#[test]
fn a_file_cut_off_anywhere_never_panics_and_one_with_a_damaged_header_names_nothing() {
    for version in [7400, 7700] {
        let whole = binary(version, &objects());
        for length in 1..whole.len() {
            let found =
                read_any(Format::Fbx, &mut std::io::Cursor::new(&whole[..length]), &Limits::default());
            assert!(found.unwrap().names.len() <= EXPECTED.len());
        }
    }
    let mut spaces = binary(7400, &objects());
    spaces[20] = b' ';
    assert!(told(Format::Fbx, &spaces).is_empty());
    assert_eq!(warnings(Format::Fbx, &spaces).len(), 1);
}

#[test]
fn nodes_that_nest_without_end_or_claim_too_much_are_left() {
    let mut deep = node("A", &[], vec![]);
    for _ in 0..300 {
        deep = node("A", &[], vec![deep]);
    }
    assert!(told(Format::Fbx, &binary(7400, &[deep])).is_empty());
    let text = "; FBX\nObjects: {".to_owned() + &"A: {".repeat(100_000);
    assert_eq!(warnings(Format::Fbx, text.as_bytes()).len(), 2);
    let mut lie = binary(7400, &objects());
    lie[27..31].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(warnings(Format::Fbx, &lie).len(), 1);
}
