//! The ways in which one written name can be read as a path. Pure text; knows no tree.

use super::Step;

/// One way to read a name: a path with `/` between its components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) path: Vec<u8>,
    pub(super) steps: Vec<Step>,
}

/// What a name is, before it is looked up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A path, read in these ways, the most literal first.
    Path(Vec<Reading>),
    /// Something that another program resolves: the scheme of its URI.
    Elsewhere(String),
}

/// The ways in which `written` can be read. In a Blender file (`blend`) a leading `//` means the file's own directory.
pub(super) fn readings(written: &[u8], dialect: Dialect) -> Kind {
    let mut start = written;
    let mut steps = Vec::new();
    match scheme(written) {
        Some((b"file", rest)) => {
            steps.push(Step::FileUri);
            start = file_uri(rest);
        }
        Some((scheme, _)) => return Kind::Elsewhere(String::from_utf8_lossy(scheme).to_ascii_lowercase()),
        None => {}
    }
    if dialect == Dialect::Blender
        && let Some(rest) = written.strip_prefix(b"//").or_else(|| written.strip_prefix(b"\\\\"))
    {
        steps.push(Step::BlendRelative);
        start = rest;
    }
    let mut all = vec![Reading { path: start.to_vec(), steps }];
    let add = |all: &mut Vec<Reading>, step: Step, change: fn(&[u8]) -> Option<Vec<u8>>| {
        let more: Vec<Reading> = all
            .iter()
            .filter_map(|reading| {
                let path = change(&reading.path)?;
                let steps = reading.steps.iter().copied().chain([step]).collect();
                Some(Reading { path, steps })
            })
            .collect();
        all.extend(more);
    };
    add(&mut all, Step::Escape, unescaped);
    add(&mut all, Step::Backslash, |path| path.contains(&b'\\').then(|| slashes(path)));
    add(&mut all, Step::Percent, percent_decoded);
    if std::str::from_utf8(start).is_err() {
        for decode in [western, japanese, chinese, traditional, korean, cyrillic, central] {
            add(&mut all, Step::Encoding, decode);
        }
    }
    add(&mut all, Step::OuterSpaces, |path| {
        let trimmed = path.trim_ascii();
        (trimmed.len() < path.len()).then(|| trimmed.to_vec())
    });
    Kind::Path(all)
}

/// Whose habits a name follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Plain,
    Blender,
}

/// Whether a path does not begin at the referring file: `/…`, `\…`, `C:…`, `Volume:…`, `~/…`.
pub(super) fn is_absolute(path: &[u8]) -> bool {
    matches!(path.first(), Some(b'/' | b'\\')) || path.starts_with(b"~/") || volume(path).is_some()
}

/// A path without the drive or volume in front of it.
pub(super) fn without_volume(path: &[u8]) -> &[u8] {
    volume(path).map_or(path, |length| &path[length..])
}

/// Whether an absolute path is one of Windows.
pub(super) fn is_windows(path: &[u8]) -> bool {
    path.starts_with(b"\\\\") || volume(path) == Some(2)
}

/// The length of `C:` or, in LightWave, of a volume's name.
fn volume(path: &[u8]) -> Option<usize> {
    let colon = path.iter().take(32).position(|byte| *byte == b':')?;
    let name = &path[..colon];
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' '));
    is_name.then_some(colon + 1)
}

/// `scheme:` and what follows; a single letter is a drive, and a word without `//` behind it a volume.
fn scheme(written: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = written.iter().take(32).position(|byte| *byte == b':')?;
    let (scheme, rest) = (&written[..colon], &written[colon + 1..]);
    let is_scheme = scheme.len() > 1
        && scheme[0].is_ascii_alphabetic()
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !is_scheme {
        None
    } else if scheme.eq_ignore_ascii_case(b"file") {
        Some((b"file", rest))
    } else if rest.starts_with(b"//") || matches!(&*scheme.to_ascii_lowercase(), b"urn" | b"mailto" | b"blob")
    {
        Some((scheme, rest))
    } else {
        None
    }
}

/// The path of a file URI behind `file:`. Exporters put relative paths there, which no specification has.
fn file_uri(rest: &[u8]) -> &[u8] {
    let Some(after) = rest.strip_prefix(b"//") else { return rest };
    let after = after.strip_prefix(b"localhost").filter(|rest| rest.starts_with(b"/")).unwrap_or(after);
    // `file:///C:/…`
    match after.strip_prefix(b"/") {
        Some(path) if volume(path) == Some(2) => path,
        Some(_) | None => after,
    }
}

fn slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

/// Spaces and quotes that a backslash stands before, as a shell writes them; elsewhere it separates.
fn unescaped(path: &[u8]) -> Option<Vec<u8>> {
    let is_escape = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b' ' | b'"' | b'\'');
    let plain = |(at, byte): (usize, &u8)| (!path[at..].get(..2).is_some_and(is_escape)).then_some(*byte);
    path.windows(2).any(is_escape).then(|| path.iter().enumerate().filter_map(plain).collect())
}

fn percent_decoded(path: &[u8]) -> Option<Vec<u8>> {
    if !path.contains(&b'%') {
        return None;
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(path).collect();
    (decoded != path && !decoded.contains(&0)).then_some(decoded)
}

/// A name in Windows-1252, which most programs of one byte per letter meant, in UTF-8.
pub(super) fn western(path: &[u8]) -> Option<Vec<u8>> {
    decoded(path, encoding_rs::WINDOWS_1252)
}

// What programs in other countries meant. A wrong one of these names no file, or by the strangest of chances.

fn japanese(path: &[u8]) -> Option<Vec<u8>> {
    decoded(path, encoding_rs::SHIFT_JIS)
}

fn chinese(path: &[u8]) -> Option<Vec<u8>> {
    decoded(path, encoding_rs::GB18030)
}

fn traditional(path: &[u8]) -> Option<Vec<u8>> {
    decoded(path, encoding_rs::BIG5)
}

fn korean(path: &[u8]) -> Option<Vec<u8>> {
    decoded(path, encoding_rs::EUC_KR)
}

fn cyrillic(path: &[u8]) -> Option<Vec<u8>> {
    decoded(path, encoding_rs::WINDOWS_1251)
}

fn central(path: &[u8]) -> Option<Vec<u8>> {
    decoded(path, encoding_rs::WINDOWS_1250)
}

fn decoded(path: &[u8], encoding: &'static encoding_rs::Encoding) -> Option<Vec<u8>> {
    if std::str::from_utf8(path).is_ok() {
        return None;
    }
    let (text, had_errors) = encoding.decode_without_bom_handling(path);
    (!had_errors).then(|| text.into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(written: &[u8]) -> Vec<String> {
        match readings(written, Dialect::Plain) {
            Kind::Path(all) => all.iter().map(|r| String::from_utf8_lossy(&r.path).into_owned()).collect(),
            Kind::Elsewhere(scheme) => vec![format!("({scheme})")],
        }
    }

    #[test]
    fn the_literal_reading_comes_first() {
        assert_eq!(paths(b"a%20b.png"), ["a%20b.png", "a b.png"]);
        assert_eq!(paths(b"t\\a%20b.png"), ["t\\a%20b.png", "t/a%20b.png", "t\\a b.png", "t/a b.png"]);
        assert_eq!(paths(b"\xe4\x80.png")[1], "ä€.png");
        assert!(paths(b"\x96\xd8.png").contains(&"木.png".to_owned()));
        assert_eq!(paths(b"100%.png"), ["100%.png"]);
        assert_eq!(paths(b" a.png "), [" a.png ", "a.png"]);
        assert_eq!(paths(b"a\\ b.mtl")[1], "a b.mtl");
    }

    #[test]
    fn uris_are_told_from_drives_and_volumes() {
        assert_eq!(paths(b"http://x/y.png"), ["(http)"]);
        assert_eq!(paths(b"MODEL://x/y.png"), ["(model)"]);
        assert_eq!(paths(b"urn:x:y"), ["(urn)"]);
        assert_eq!(paths(b"file:///C:/a.png"), ["C:/a.png"]);
        assert_eq!(paths(b"file:///home/a.png"), ["/home/a.png"]);
        assert_eq!(paths(b"file://localhost/home/a.png"), ["/home/a.png"]);
        assert_eq!(paths(b"FILE:a.png"), ["a.png"]);
        assert_eq!(paths(b"file://..\\x.jpg"), ["..\\x.jpg", "../x.jpg"]);
        assert_eq!(paths(b"C:\\a.png")[0], "C:\\a.png");
        assert!(is_absolute(b"C:a.png") && is_absolute(b"Content:a.png") && is_absolute(b"\\\\host\\a.png"));
        assert!(!is_absolute(b"a/b:c.png") && !is_absolute(b"a.png"));
        assert!(is_windows(b"C:\\a") && is_windows(b"\\\\host\\a") && !is_windows(b"/a"));
    }

    #[test]
    fn a_leading_double_slash_is_the_files_directory_only_in_blender() {
        let Kind::Path(blend) = readings(b"//..\\a.png", Dialect::Blender) else { panic!() };
        assert_eq!(blend[1].path, b"../a.png");
        assert_eq!(blend[1].steps, [Step::BlendRelative, Step::Backslash]);
        assert_eq!(paths(b"//host/a.png"), ["//host/a.png"]);
    }
}
