//! Small files with a table of structures of their own, in every layout of headers.

use std::io::Write as _;

use super::super::Format;
use super::super::tests::{told, warnings};

struct Shape {
    head: &'static [u8],
    pointer: usize,
    big: bool,
    large: bool,
}

const SHAPES: [Shape; 4] = [
    Shape { head: b"BLENDER-v402", pointer: 8, big: false, large: false },
    Shape { head: b"BLENDER_v248", pointer: 4, big: false, large: false },
    Shape { head: b"BLENDER-V269", pointer: 8, big: true, large: false },
    Shape { head: b"BLENDER17-01v0500", pointer: 8, big: false, large: true },
];

impl Shape {
    fn number(&self, number: usize, width: usize) -> Vec<u8> {
        let bytes = (number as u64).to_le_bytes()[..width].to_vec();
        if self.big { bytes.into_iter().rev().collect() } else { bytes }
    }

    fn block(&self, code: &[u8; 4], structure: usize, content: &[u8]) -> Vec<u8> {
        let address = self.number(7, self.pointer);
        let (length, structure) = (content.len(), self.number(structure, 4));
        let header = if self.large {
            [code.to_vec(), structure, address, self.number(length, 8), self.number(1, 8)].concat()
        } else {
            [code.to_vec(), self.number(length, 4), address, structure, self.number(1, 4)].concat()
        };
        [header, content.to_vec()].concat()
    }

    /// Image { int id; char name[16]; short source; short pad; void *packedfile; } and Library { int id; char name[16]; }
    fn table(&self) -> Vec<u8> {
        let padded = |mut bytes: Vec<u8>| {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let texts = |all: &[&str]| {
            let texts: Vec<u8> = all.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect();
            padded([self.number(all.len(), 4), texts].concat())
        };
        let shorts = |all: &[usize]| all.iter().flat_map(|n| self.number(*n, 2)).collect::<Vec<u8>>();
        let image = 24 + self.pointer;
        [
            b"SDNANAME".to_vec(),
            texts(&["id", "name[16]", "source", "pad", "*packedfile"]),
            b"TYPE".to_vec(),
            texts(&["int", "char", "short", "void", "Image", "Library"]),
            b"TLEN".to_vec(),
            padded(shorts(&[4, 1, 2, 0, image, 20])),
            b"STRC".to_vec(),
            self.number(2, 4),
            shorts(&[4, 5, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4]),
            shorts(&[5, 2, 0, 0, 1, 1]),
        ]
        .concat()
    }

    fn image(&self, name: &str, source: usize, packed: usize) -> Vec<u8> {
        let mut text = name.as_bytes().to_vec();
        text.resize(16, 0);
        let content = [
            self.number(1, 4),
            text,
            self.number(source, 2),
            self.number(0, 2),
            self.number(packed, self.pointer),
        ]
        .concat();
        self.block(b"IM\0\0", 0, &content)
    }

    fn file(&self) -> Vec<u8> {
        let library = [self.number(1, 4), b"//lib.blend\0\0\0\0\0".to_vec()].concat();
        [
            self.head.to_vec(),
            self.block(b"REND", 9, &[0; 100]),
            self.image("//a.png", 1, 0),
            self.image("C:\\p.png", 1, 99),
            self.image("//t.<UDIM>.png", 6, 0),
            self.image("//f_01.png", 2, 0),
            self.image("Render", 5, 0),
            self.image("", 1, 0),
            self.block(b"LI\0\0", 1, &library),
            self.block(b"DNA1", 0, &self.table()),
            self.block(b"ENDB", 0, &[]),
        ]
        .concat()
    }
}

const EXPECTED: [&str; 5] = [
    "//a.png [blend:image]",
    "C:\\p.png [blend:image] embedded",
    "//t.<UDIM>.png [blend:image] Tiles",
    "//f_01.png [blend:image] Frames",
    "//lib.blend [blend:library]",
];

#[test]
fn every_layout_of_headers_tells_the_same_names() {
    for shape in &SHAPES {
        assert_eq!(told(Format::Blend, &shape.file()), EXPECTED, "{:?}", String::from_utf8_lossy(shape.head));
    }
}

#[test]
fn a_gzipped_file_is_read_and_a_broken_packing_is_told() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&SHAPES[0].file()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(told(Format::Blend, &packed), EXPECTED);
    assert!(!warnings(Format::Blend, &packed[..packed.len() / 2]).is_empty());
}

#[test]
fn a_file_in_zstd_frames_with_an_index_behind_is_read() {
    let whole = SHAPES[0].file();
    // Frames whose one block is raw: a header for a window of 1 KiB, a block header, the bytes.
    let frame = |bytes: &[u8]| {
        let header = u32::try_from(bytes.len() << 3 | 1).unwrap().to_le_bytes();
        [&super::frames::MAGIC[..], &[0, 0], &header[..3], bytes].concat()
    };
    let (first, second) = whole.split_at(300);
    let index = [&[0x5e, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"seek"].concat();
    let packed = [frame(first), frame(second), index].concat();
    assert_eq!(told(Format::Blend, &packed), EXPECTED);
    assert!(!warnings(Format::Blend, &packed[..400]).is_empty());
}

#[test]
fn a_file_cut_off_anywhere_is_told() {
    let whole = SHAPES[0].file();
    for length in 1..whole.len() - 30 {
        assert!(!warnings(Format::Blend, &whole[..length]).is_empty(), "{length}");
    }
}

#[test]
fn a_table_of_structures_that_lies_names_nothing_wrong() {
    let whole = SHAPES[0].file();
    let table = whole.windows(4).position(|part| part == b"SDNA").unwrap();
    for at in table..whole.len() - 4 {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&[0xff; 4]);
        assert!(told(Format::Blend, &bytes).len() <= 6);
    }
}
