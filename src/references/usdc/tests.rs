//! A crate file that OpenUSD wrote, whole and broken.

use std::io::Cursor;

use super::super::tests::{told, warnings};
use super::super::{Format, Limits, read as read_any};

/// Written by OpenUSD 26.11 in version 0.8.0 of the format: one layer with every kind of field that can hold a path.
const EVERY_KIND: &[u8] = include_bytes!("every_kind.usdc");

#[test]
fn every_kind_of_field_is_found_and_the_layers_own_identifier_is_not() {
    let mut names = told(Format::Usd, EVERY_KIND);
    names.sort();
    assert_eq!(
        names,
        [
            "./ref.usd [usd:reference]",
            "./sub.usda [usd:sublayer]",
            "arr1.png [usd:asset]",
            "arr2.png [usd:asset]",
            "custom.png [usd:asset]",
            "deep.png [usd:asset]",
            "dep1.usd [usd:asset]",
            "pay.usdc [usd:payload]",
            "ref2.usd [usd:reference]",
            "sub2.usdc [usd:sublayer]",
            "t1.png [usd:asset]",
            "t2.png [usd:asset]",
            "tex/a.png [usd:asset]",
        ]
    );
}

#[test]
fn an_empty_layer_is_not_damaged() {
    let word = |number: u64| number.to_le_bytes().to_vec();
    // One token of five bytes, as a run of LZ4 that is not packed; no strings; no fields, told by two zeros that are no list.
    let tokens = [word(1), word(5), word(7), b"\0\x50none\0".to_vec()].concat();
    let fields = [word(0), word(2), vec![0, 0], word(2), vec![0, 0]].concat();
    let sections: [(&[u8], &[u8]); 3] = [(b"TOKENS", &tokens), (b"STRINGS", &[0; 8]), (b"FIELDS", &fields)];
    let (mut body, mut contents) = (Vec::new(), word(sections.len() as u64));
    for (name, section) in sections {
        let mut name = name.to_vec();
        name.resize(16, 0);
        contents.extend([name, word(88 + body.len() as u64), word(section.len() as u64)].concat());
        body.extend_from_slice(section);
    }
    let head = [b"PXR-USDC\0\x08\0\0\0\0\0\0".to_vec(), word(88 + body.len() as u64), vec![0; 64]].concat();
    let file = [head, body, contents].concat();
    assert!(told(Format::Usd, &file).is_empty());
    assert_eq!(warnings(Format::Usd, &file), [""; 0]);
}

#[test]
fn a_crate_file_that_is_cut_off_anywhere_is_told_and_never_panics() {
    for length in 9..EVERY_KIND.len() {
        assert_eq!(warnings(Format::Usd, &EVERY_KIND[..length]).len(), 1, "{length}");
    }
}

#[test]
fn lengths_and_offsets_that_lie_cost_a_bounded_amount() {
    for at in (16..EVERY_KIND.len() - 8).step_by(4) {
        for lie in [u64::MAX, 1 << 40, 1 << 31, 0, 24] {
            let mut bytes = EVERY_KIND.to_vec();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            let found = read_any(Format::Usd, &mut Cursor::new(&bytes), &Limits::default()).unwrap();
            assert!(found.names.len() < 100, "{at} {lie}");
        }
    }
}
