//! Slices as a scanner writes them, with as few elements as a slice can do with.

/// How the elements are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Implicit,
    Explicit,
}

/// A slice of this series.
pub(crate) fn slice(syntax: Syntax, series: &str, number: i32) -> Vec<u8> {
    let uid = match syntax {
        Syntax::Implicit => "1.2.840.10008.1.2",
        Syntax::Explicit => "1.2.840.10008.1.2.1",
    };
    let mut bytes = [&[0; 128][..], b"DICM"].concat();
    bytes.extend(element(Syntax::Explicit, 2, 0x10, *b"UI", &padded(uid, 0)));
    let object = format!("{series}.1.{number}");
    for (group, at, kind, value) in [
        (0x08, 0x18, *b"UI", padded(&object, 0)),
        (0x08, 0x60, *b"CS", padded("CT", b' ')),
        (0x10, 0x10, *b"PN", padded("Fake^Patient", b' ')),
        (0x20, 0x0e, *b"UI", padded(series, 0)),
        (0x20, 0x13, *b"IS", padded(&number.to_string(), b' ')),
        (0x7fe0, 0x10, *b"OW", number.to_le_bytes().repeat(64)),
    ] {
        bytes.extend(element(syntax, group, at, kind, &value));
    }
    bytes
}

fn padded(text: &str, with: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(with);
    }
    bytes
}

fn element(syntax: Syntax, group: u16, at: u16, kind: [u8; 2], value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap();
    let mut bytes = [group.to_le_bytes(), at.to_le_bytes()].concat();
    match syntax {
        Syntax::Implicit => bytes.extend(length.to_le_bytes()),
        Syntax::Explicit if &kind == b"OW" => {
            bytes.extend(kind);
            bytes.extend([0, 0]);
            bytes.extend(length.to_le_bytes());
        }
        Syntax::Explicit => {
            bytes.extend(kind);
            bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
        }
    }
    bytes.extend(value);
    bytes
}
