//! Slices in every writing, and such as never were slices.

use std::io::Cursor;

use super::*;

const IMPLICIT: &str = "1.2.840.10008.1.2";
const LITTLE: &str = "1.2.840.10008.1.2.1";
const BIG: &str = "1.2.840.10008.1.2.2";
const JPEG: &str = "1.2.840.10008.1.2.4.50";

fn told(bytes: &[u8]) -> Sliced {
    slice(&mut Cursor::new(bytes)).unwrap()
}

fn why(bytes: &[u8]) -> &'static str {
    match told(bytes) {
        Sliced::Unknown(why) => why,
        Sliced::Of(slice) => panic!("{slice:?}"),
    }
}

fn series(bytes: &[u8]) -> String {
    match told(bytes) {
        Sliced::Of(slice) => slice.series,
        Sliced::Unknown(why) => panic!("{why}"),
    }
}

/// One element, as the transfer syntax has it; `u32::MAX` as a length is written as it is.
fn element(syntax: &str, (group, number): (u16, u16), kind: &[u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
    let is_big = syntax == BIG;
    let short = |it: u16| if is_big { it.to_be_bytes() } else { it.to_le_bytes() };
    let long = |it: u32| if is_big { it.to_be_bytes() } else { it.to_le_bytes() };
    let mut bytes = [short(group), short(number)].concat();
    if syntax == IMPLICIT || group == 0xfffe {
        bytes.extend(long(length));
    } else {
        bytes.extend(kind);
        if matches!(kind, b"OB" | b"OW" | b"SQ" | b"UN" | b"UT") {
            bytes.extend([0, 0]);
            bytes.extend(long(length));
        } else {
            bytes.extend(short(u16::try_from(length).unwrap()));
        }
    }
    bytes.extend(value);
    bytes
}

fn plain(syntax: &str, tag: (u16, u16), kind: &[u8; 2], value: &[u8]) -> Vec<u8> {
    element(syntax, tag, kind, u32::try_from(value.len()).unwrap(), value)
}

fn undefined(syntax: &str, tag: (u16, u16), kind: &[u8; 2], value: &[u8]) -> Vec<u8> {
    element(syntax, tag, kind, u32::MAX, value)
}

fn end(syntax: &str, number: u16) -> Vec<u8> {
    element(syntax, (0xfffe, number), b"  ", 0, b"")
}

fn file(syntax: &str, body: &[Vec<u8>]) -> Vec<u8> {
    let syntax = plain(LITTLE, (2, 0x10), b"UI", syntax.as_bytes());
    [&[0; 128][..], b"DICM", &plain(LITTLE, (2, 1), b"OB", &[0, 1]), &syntax, &body.concat()].concat()
}

fn body(syntax: &str) -> Vec<Vec<u8>> {
    vec![
        plain(syntax, (8, 0x18), b"UI", b"1.2.3.7\0"),
        plain(syntax, (8, 0x60), b"CS", b"CT"),
        plain(syntax, (0x20, 0xd), b"UI", b"1.2\0"),
        plain(syntax, (0x20, 0xe), b"UI", b"1.2.3\0"),
        plain(syntax, (0x20, 0x13), b"IS", b"42 "),
        plain(syntax, (0x7fe0, 0x10), b"OW", &[7; 64]),
    ]
}

#[test]
fn a_slice_is_read_in_every_writing() {
    for syntax in [IMPLICIT, LITTLE, BIG, JPEG] {
        let object = Some("1.2.3.7".to_owned());
        let expected = Slice { series: "1.2.3".to_owned(), object, number: Some(42) };
        assert_eq!(told(&file(syntax, &body(syntax))), Sliced::Of(expected), "{syntax}");
    }
}

#[test]
fn sequences_are_passed_over_whether_their_length_is_known_or_not() {
    let inner = |syntax| plain(syntax, (0x20, 0xe), b"UI", b"9.9.9\0");
    for syntax in [IMPLICIT, LITTLE, BIG] {
        let item = [undefined(syntax, (0xfffe, 0xe000), b"  ", &inner(syntax)), end(syntax, 0xe00d)].concat();
        let known = plain(syntax, (0xfffe, 0xe000), b"  ", &inner(syntax));
        let open =
            [undefined(syntax, (8, 0x1115), b"SQ", &[item, known.clone()].concat()), end(syntax, 0xe0dd)];
        let closed = plain(syntax, (8, 0x1140), b"SQ", &known);
        let body: Vec<_> = [open.concat(), closed].into_iter().chain(body(syntax)).collect();
        assert_eq!(series(&file(syntax, &body)), "1.2.3", "{syntax}");
    }
}

#[test]
fn what_is_of_unknown_type_and_length_is_written_without_types_within() {
    let inner = plain(IMPLICIT, (9, 0x10), b"LO", b"GE");
    let item = [undefined(IMPLICIT, (0xfffe, 0xe000), b"  ", &inner), end(IMPLICIT, 0xe00d)].concat();
    let unknown = [undefined(LITTLE, (9, 0x1001), b"UN", &item), end(LITTLE, 0xe0dd)].concat();
    let mut body = body(LITTLE);
    body.insert(2, unknown);
    assert_eq!(series(&file(LITTLE, &body)), "1.2.3");
}

#[test]
fn files_that_tell_no_series_say_why() {
    assert_eq!(why(b""), "it does not begin as a DICOM file");
    assert_eq!(why(&[b'x'; 4_000]), "it does not begin as a DICOM file");
    assert_eq!(why(&file(LITTLE, &[])), "it ends in the middle of its head");
    assert_eq!(why(&file(LITTLE, &body(LITTLE)[..2])), "its head tells no series");
    assert_eq!(
        why(&file("1.2.840.10008.1.2.1.99", &[vec![7; 500]])),
        "its head is deflated, which is not read"
    );
    let mut without = body(IMPLICIT);
    without.remove(3);
    assert_eq!(why(&file(IMPLICIT, &without)), "its head tells no series");
    let empty = plain(LITTLE, (0x20, 0xe), b"UI", b"");
    assert_eq!(why(&file(LITTLE, &[empty, body(LITTLE).remove(4)])), "its head tells no series");
}

#[test]
fn a_slice_that_is_cut_off_anywhere_costs_nothing_and_never_tells_another_series() {
    for syntax in [IMPLICIT, LITTLE, BIG] {
        let whole = file(syntax, &body(syntax));
        for length in 0..whole.len() {
            match told(&whole[..length]) {
                Sliced::Of(slice) => assert_eq!(slice.series, "1.2.3"),
                Sliced::Unknown(why) => assert!(!why.is_empty()),
            }
        }
    }
}

#[test]
fn lengths_that_lie_lead_nowhere() {
    let lie = element(LITTLE, (8, 8), b"UT", 0xffff_fff0, b"short");
    assert_eq!(why(&file(LITTLE, &[lie])), "it ends in the middle of its head");
    let long = plain(LITTLE, (0x20, 0xe), b"UI", &[b'1'; 500]);
    assert_eq!(why(&file(LITTLE, &[long, body(LITTLE).remove(4)])), "its head tells no series");
}

#[test]
fn sequences_that_never_end_are_given_up() {
    let deep = undefined(IMPLICIT, (8, 0x1115), b"SQ", b"").repeat(100_000);
    assert_eq!(why(&file(IMPLICIT, &[deep])), "its sequences nest too deep");
    let many = plain(IMPLICIT, (8, 8), b"CS", b"").repeat(100_000);
    assert_eq!(why(&file(IMPLICIT, &[many])), "its head has too many elements");
    let ends = end(IMPLICIT, 0xe0dd).repeat(100);
    assert_eq!(why(&file(IMPLICIT, &[ends])), "its head tells no series");
}

#[test]
fn noise_behind_a_good_beginning_does_no_harm() {
    let mut state = 1_u64;
    let mut dice = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    for syntax in [IMPLICIT, LITTLE, BIG] {
        for _ in 0..2_000 {
            let mut bytes = file(syntax, &body(syntax));
            for _ in 0..3 {
                let at = 132 + usize::from(dice()) % (bytes.len() - 132);
                bytes[at] = dice();
            }
            told(&bytes);
        }
    }
}

#[test]
fn a_source_that_fails_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
            Ok(500)
        }
    }
    assert!(slice(&mut Broken).is_err());
}
