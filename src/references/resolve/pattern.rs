//! Names that stand for several files: UDIM tiles and numbered frames. Pure text; knows no tree.

use super::super::Pattern;

/// What a file's name has to look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series<'a> {
    before: &'a [u8],
    number: Number,
    after: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// 1001 and up, in four digits.
    Udim,
    /// `u1_v1`
    Pair,
    /// Digits, at least as many.
    Digits(usize),
    /// Digits, perhaps with a fraction of a frame behind (`Tick…`).
    Frame,
}

impl<'a> Series<'a> {
    /// The series that a name stands for, if it is the name of one.
    pub(super) fn of(name: &'a [u8], pattern: Pattern) -> Option<Self> {
        const TOKENS: &[(&[u8], Number)] = &[
            (b"<udim>", Number::Udim),
            (b"%(udim)d", Number::Udim),
            (b"<uvtile>", Number::Pair),
            (b"<frame>", Number::Digits(1)),
            (b"<f>", Number::Digits(1)),
            (b"{frame}", Number::Digits(1)),
        ];
        let lower = name.to_ascii_lowercase();
        for (token, number) in TOKENS {
            if let Some(at) = lower.windows(token.len()).position(|part| part == *token) {
                return Some(Self::split(name, at, token.len(), *number));
            }
        }
        if let Some((at, length, digits)) = placeholder(name) {
            return Some(Self::split(name, at, length, Number::Digits(digits)));
        }
        match pattern {
            Pattern::Plain | Pattern::Beside => None,
            Pattern::Tiles => {
                let stem = stem(name);
                let at = name[..stem].windows(4).rposition(|part| part == b"1001")?;
                Some(Self::split(name, at, 4, Number::Udim))
            }
            Pattern::Frames => {
                let stem = &name[..stem(name)];
                let end = stem.iter().rposition(u8::is_ascii_digit)? + 1;
                let start =
                    stem[..end].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
                Some(Self::split(name, start, end - start, Number::Digits(end - start)))
            }
            Pattern::BesideFrames => {
                let at = name.iter().position(|byte| *byte == b'*')?;
                Some(Self::split(name, at, 1, Number::Frame))
            }
        }
    }

    fn split(name: &'a [u8], at: usize, length: usize, number: Number) -> Self {
        Self { before: &name[..at], number, after: &name[at + length..] }
    }

    /// Whether a file of this name belongs to the series; case does not count.
    pub(super) fn holds(&self, name: &[u8]) -> bool {
        let Some(inner) = name.len().checked_sub(self.before.len() + self.after.len()) else { return false };
        let (before, rest) = name.split_at(self.before.len());
        let (number, after) = rest.split_at(inner);
        before.eq_ignore_ascii_case(self.before)
            && after.eq_ignore_ascii_case(self.after)
            && match self.number {
                Number::Udim => number.len() == 4 && all_digits(number) && number >= &b"1001"[..],
                Number::Pair => is_pair(number),
                Number::Digits(least) => number.len() >= least && all_digits(number),
                Number::Frame => {
                    let mut parts = number.splitn(2, |byte| *byte == b'T');
                    let frame = parts.next().unwrap_or_default();
                    let frame = frame.strip_prefix(b"-").unwrap_or(frame);
                    all_digits(frame)
                        && parts.next().is_none_or(|tick| tick.strip_prefix(b"ick").is_some_and(all_digits))
                }
            }
    }
}

fn all_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn is_pair(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let mut parts = lower.splitn(2, |byte| *byte == b'_');
    let is_part = |part: Option<&[u8]>, letter: &[u8]| {
        part.and_then(|part| part.strip_prefix(letter)).is_some_and(all_digits)
    };
    is_part(parts.next(), b"u") && is_part(parts.next(), b"v")
}

/// Where the extension begins.
fn stem(name: &[u8]) -> usize {
    name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len())
}

/// `####`, `%04d`, `$F4`: where it stands, how long it is, and how many digits it has at least.
fn placeholder(name: &[u8]) -> Option<(usize, usize, usize)> {
    if let Some(at) = name.iter().position(|byte| *byte == b'#') {
        let length = name[at..].iter().take_while(|byte| **byte == b'#').count();
        // One `#` alone is a character like any other.
        return (length > 1).then_some((at, length, length));
    }
    if let Some(at) = name.iter().position(|byte| *byte == b'%') {
        let digits = name[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if name.get(at + 1 + digits) == Some(&b'd') && digits <= 3 {
            let width = std::str::from_utf8(&name[at + 1..at + 1 + digits]).ok()?.parse().unwrap_or(1);
            return Some((at, digits + 2, width));
        }
    }
    let at = name.windows(2).position(|part| part == b"$F")?;
    let digit = name.get(at + 2).filter(|byte| byte.is_ascii_digit());
    Some(match digit {
        Some(digit) => (at, 3, usize::from(digit - b'0')),
        None => (at, 2, 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(name: &str, pattern: Pattern, file: &str) -> bool {
        Series::of(name.as_bytes(), pattern).is_some_and(|series| series.holds(file.as_bytes()))
    }

    #[test]
    fn tiles_and_frames_are_known_by_their_numbers() {
        for (name, pattern, yes, no) in [
            ("a.<UDIM>.png", Pattern::Plain, "a.1002.png", "a.1000.png"),
            ("a_<UVTILE>.png", Pattern::Plain, "a_u1_v2.png", "a_1_2.png"),
            ("a.1001.png", Pattern::Tiles, "a.1011.png", "b.1011.png"),
            ("f_0001.exr", Pattern::Frames, "f_0120.exr", "f_12.exr"),
            ("f.####.exr", Pattern::Plain, "f.0001.exr", "f.1.exr"),
            ("f.%04d.exr", Pattern::Plain, "F.0001.EXR", "f.x.exr"),
            ("f.$F4.exr", Pattern::Plain, "f.0001.exr", "f..exr"),
            ("cFrame*.mc", Pattern::BesideFrames, "cFrame12Tick3.mc", "cFrameT.mc"),
        ] {
            assert!(holds(name, pattern, yes), "{name} {yes}");
            assert!(!holds(name, pattern, no), "{name} {no}");
        }
    }

    #[test]
    fn a_name_without_a_number_is_no_series() {
        assert_eq!(Series::of(b"a.1001.png", Pattern::Plain), None);
        assert_eq!(Series::of(b"plain.png", Pattern::Frames), None);
        assert_eq!(Series::of(b"a#1.png", Pattern::Plain), None);
        assert_eq!(Series::of(b"50% done.png", Pattern::Plain), None);
    }
}
