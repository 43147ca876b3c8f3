//! Whole reads of small files: what they name, and what is told of those that are not what they should be.

use std::io::Cursor;

use super::*;

/// What a content names, one line each: the name, then its kind, then what is special.
pub(super) fn told(format: Format, bytes: &[u8]) -> Vec<String> {
    let found = read(format, &mut Cursor::new(bytes), &Limits::default()).unwrap();
    found.names.iter().map(line).collect()
}

pub(super) fn warnings(format: Format, bytes: &[u8]) -> Vec<String> {
    read(format, &mut Cursor::new(bytes), &Limits::default()).unwrap().warnings
}

fn line(reference: &Reference) -> String {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut line = format!("{} [{}]", text(&reference.written), reference.kind);
    for alternative in &reference.alternatives {
        line += &format!(" | {}", text(alternative));
    }
    for item in &reference.list {
        line += &format!(" + {}", text(item));
    }
    if reference.embedded == Embedded::Yes {
        line += " embedded";
    }
    if reference.pattern != Pattern::Plain {
        line += &format!(" {:?}", reference.pattern);
    }
    line
}

#[test]
fn tmp() {
    let mut files: Vec<_> = std::fs::read_dir("/tmp/usdv").unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for f in files {
        let b = std::fs::read(&f).unwrap();
        eprintln!("{} {:?} {:?}", f.display(), told(Format::Usd, &b), warnings(Format::Usd, &b));
    }
}
