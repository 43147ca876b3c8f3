//! From what was given to what it means, one scalar at a time: durations, sizes, paths, addresses, words.
//!
//! Each function either answers or notes why it cannot, and then the caller goes on with the default, so that the next
//! problem is found too. Nothing here knows which options there are, and nothing touches the disk.

use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use toml::Spanned;
use toml::de::DeValue;
use url::{Host, Url};

use super::option;
use super::problem::{Findings, Spot, is_secret};
use super::raw::{Environment, Given, Value};

/// A string.
pub(super) fn text(given: &Given<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let text = given.as_text();
    if text.is_none() {
        given.refuse_kind(findings, "a string", "");
    }
    text.map(str::to_owned)
}

/// A string that is not empty and shows well on one line.
pub(super) fn line(given: &Given<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let text = text(given, findings)?;
    if text.trim().is_empty() {
        given.refuse(findings, "it is empty", "");
        return None;
    }
    if crate::file::shown(&text) != text || text.trim() != text {
        given.refuse(findings, "it holds characters that do not show, or spaces at an end", "");
        return None;
    }
    Some(text)
}

/// A whole number within bounds.
pub(super) fn count(
    given: &Given<'_>,
    range: RangeInclusive<usize>,
    findings: &mut Findings<'_>,
) -> Option<usize> {
    let number = match &given.value {
        Value::Outside(text) => text.parse::<i128>().ok(),
        Value::File(value) => value
            .get_ref()
            .as_integer()
            .and_then(|number| i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()),
    };
    let Some(number) = number else {
        given.refuse_kind(findings, "a whole number", "");
        return None;
    };
    let fits = usize::try_from(number).ok().filter(|number| range.contains(number));
    if fits.is_none() {
        given.refuse(
            findings,
            &format!("{} is out of range", told(given, &number.to_string())),
            &format!("from {} to {}", range.start(), range.end()),
        );
    }
    fits
}

/// A duration such as `2s` or `1h 30m`, within bounds.
pub(super) fn duration(
    given: &Given<'_>,
    range: RangeInclusive<Duration>,
    findings: &mut Findings<'_>,
) -> Option<Duration> {
    const HINT: &str = "a number with a unit, such as \"2s\", \"5m\" or \"1h 30m\"";
    let Some(text) = given.as_text() else {
        given.refuse_kind(findings, "a duration", HINT);
        return None;
    };
    let Ok(duration) = SpanParser::new().parse_unsigned_duration(text) else {
        given.refuse(findings, &format!("{} is no duration", told(given, text)), HINT);
        return None;
    };
    if !range.contains(&duration) {
        let show = |duration: &Duration| SpanPrinter::new().unsigned_duration_to_string(duration);
        given.refuse(
            findings,
            &format!("{} is out of range", told(given, text)),
            &format!("from {} to {}", show(range.start()), show(range.end())),
        );
        return None;
    }
    Some(duration)
}

/// A size in bytes such as `64MiB`, within bounds; a bare number counts bytes.
pub(super) fn size(
    given: &Given<'_>,
    range: RangeInclusive<u64>,
    findings: &mut Findings<'_>,
) -> Option<u64> {
    const HINT: &str = "a number with a unit, such as \"64MiB\"";
    let written = match &given.value {
        Value::Outside(text) => text.clone(),
        Value::File(value) => match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string().replace('_', ""),
            _ => {
                given.refuse_kind(findings, "a size", HINT);
                return None;
            }
        },
    };
    let Ok(size) = written.parse::<ByteSize>() else {
        given.refuse(findings, &format!("{} is no size", told(given, &written)), HINT);
        return None;
    };
    if !range.contains(&size.as_u64()) {
        let show = |bytes: &u64| ByteSize(*bytes).display().iec().to_string();
        given.refuse(
            findings,
            &format!("{} is out of range", told(given, &written)),
            &format!("from {} to {}", show(range.start()), show(range.end())),
        );
        return None;
    }
    Some(size.as_u64())
}

/// A size for each second, such as `20MiB/s`.
pub(super) fn rate(given: &Given<'_>, findings: &mut Findings<'_>) -> Option<u64> {
    const HINT: &str = "a size for each second, such as \"20MiB/s\"";
    let Some(text) = given.as_text() else {
        given.refuse_kind(findings, "a rate", HINT);
        return None;
    };
    let size = text.strip_suffix("/s").unwrap_or(text).trim().to_owned();
    let given = Given { value: Value::Outside(size), ..given.clone() };
    self::size(&given, 1024..=1 << 40, findings)
}

/// One of a few words. `later` are words of the documentation that this version does not honour yet.
pub(super) fn word<T: Copy>(
    given: &Given<'_>,
    words: &[(&str, T)],
    later: &[&str],
    findings: &mut Findings<'_>,
) -> Option<T> {
    let allowed = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let Some(text) = given.as_text() else {
        given.refuse_kind(findings, "a word", &format!("one of {allowed}"));
        return None;
    };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() && later.contains(&text) {
        let verb = if words.len() == 1 { "is" } else { "are" };
        let message =
            format!("`{} = \"{text}\"` is not in this version yet; only {allowed} {verb}", given.key);
        findings.add(&given.spot, message, "");
    } else if found.is_none() {
        let hint = match option::nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of {allowed}"),
        };
        given.refuse(findings, &format!("{} is not one of its words", told(given, text)), &hint);
    }
    found
}

/// A list of strings, each with its place.
pub(super) fn list<'g>(given: &Given<'g>, findings: &mut Findings<'_>) -> Option<Vec<(String, Spot)>> {
    let items: Option<&[Spanned<DeValue<'g>>]> = match &given.value {
        Value::Outside(_) => None,
        Value::File(value) => value.get_ref().as_array().map(|array| &**array),
    };
    let Some(items) = items else {
        given.refuse_kind(findings, "a list of strings", "write [\"…\", \"…\"]");
        return None;
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let spot = Spot::File(item.span());
        match item.get_ref().as_str() {
            Some(text) => texts.push((text.to_owned(), spot)),
            None => Given { key: given.key.clone(), spot, value: Value::File(item) }.refuse_kind(
                findings,
                "a list of strings",
                "put each in quotes",
            ),
        }
    }
    Some(texts)
}

/// An absolute path, `~/` standing for the home directory; without `.` and `..`, and without a slash at its end.
pub(super) fn path(
    given: &Given<'_>,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<PathBuf> {
    let text = text(given, findings)?;
    match absolute(&text, environment) {
        Ok(path) => Some(path),
        Err((why, hint)) => {
            // Somebody may have put the secret where its file was wanted.
            given.refuse(findings, &format!("{} {why}", told(given, &text)), hint);
            None
        }
    }
}

/// What [`path`] does with a text that has no place of its own.
pub(super) fn absolute(
    text: &str,
    environment: &Environment,
) -> Result<PathBuf, (&'static str, &'static str)> {
    let path = match text.strip_prefix('~') {
        None => PathBuf::from(text),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = environment.directory("HOME").ok_or(("needs $HOME, and that is not set", ""))?;
            home.join(rest.trim_start_matches('/'))
        }
        Some(_) => {
            return Err(("names the home of another user", "write the path of that directory in full"));
        }
    };
    if text.contains('\0') {
        return Err(("holds a NUL character", ""));
    }
    if !path.is_absolute() {
        return Err((
            "is no absolute path",
            "write it from `/` or from `~/`; it is not taken from anywhere else",
        ));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(("goes up by `..`", "write the path that it means"));
    }
    Ok(path.components().collect())
}

/// An address that a secret may be sent to: https, or plain http to this very machine; no user, no query.
///
/// The address itself is never told: somebody may have put a password into it.
pub(super) fn address(given: &Given<'_>, findings: &mut Findings<'_>) -> Option<Url> {
    let text = text(given, findings)?;
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => {
            given.refuse(findings, &format!("no address: {error}"), "write https://…");
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        given.refuse(findings, "it holds a user or a password", "remove what stands before the `@`");
        return None;
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            given.refuse(findings, "plain http would show tokens to the network", "write https://…");
            return None;
        }
        _ => {
            given.refuse(findings, "neither https nor http", "write https://…");
            return None;
        }
    }
    if url.query().is_some() || url.fragment().is_some() {
        given.refuse(findings, "it holds a `?` or a `#`", "end it after the path");
        return None;
    }
    Some(url)
}

/// Whether an address names this very machine, by what it says and without asking anybody.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// A value for a message, unless it may be a secret that was put in the wrong place.
fn told(given: &Given<'_>, text: &str) -> String {
    if is_secret(&given.key) { "the value".to_owned() } else { format!("`{text}`") }
}

/// Whether `path` is `directory` or lies below it, by its components alone.
pub(super) fn is_below(path: &Path, directory: &Path) -> bool {
    path.starts_with(directory)
}
