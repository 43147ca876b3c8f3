//! Names that stand for several files: UDIM tiles and numbered frames. Pure text; knows no tree.

use super::super::Pattern;

/// What a file's name has to look like: text and numbers in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series<'a>(Vec<Piece<'a>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// These bytes, without regard to case.
    Text(&'a [u8]),
    /// 1001 and up, in four digits.
    Udim,
    /// `u1_v1`
    Pair,
    /// Digits, at least as many.
    Digits(usize),
    /// Digits, perhaps with a fraction of a frame behind: `12`, `12Tick3`.
    Frame,
}

impl<'a> Series<'a> {
    /// The series that a name stands for, if it is the name of one.
    pub(super) fn of(name: &'a [u8], pattern: Pattern) -> Option<Self> {
        const TOKENS: &[(&[u8], Piece<'static>)] = &[
            (b"<udim>", Piece::Udim),
            (b"%(udim)d", Piece::Udim),
            (b"<uvtile>", Piece::Pair),
            (b"<frame>", Piece::Digits(1)),
            (b"<f>", Piece::Digits(1)),
            (b"{frame}", Piece::Digits(1)),
        ];
        let lower = name.to_ascii_lowercase();
        for (token, number) in TOKENS {
            if let Some(at) = lower.windows(token.len()).position(|part| part == *token) {
                return Some(Self::split(name, at, token.len(), *number));
            }
        }
        // Value clips have one or two rows of `#`, which may be shorter than the numbers, and longer.
        if pattern == Pattern::Frames && name.contains(&b'#') {
            return Some(Self::hashes(name));
        }
        if let Some((at, length, digits)) = placeholder(name) {
            return Some(Self::split(name, at, length, Piece::Digits(digits)));
        }
        match pattern {
            Pattern::Plain | Pattern::Beside => None,
            Pattern::Tiles => {
                let stem = stem(name);
                let at = name[..stem].windows(4).rposition(|part| part == b"1001")?;
                Some(Self::split(name, at, 4, Piece::Udim))
            }
            Pattern::Frames => {
                let stem = &name[..stem(name)];
                let end = stem.iter().rposition(u8::is_ascii_digit)? + 1;
                let start =
                    stem[..end].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
                Some(Self::split(name, start, end - start, Piece::Digits(end - start)))
            }
            Pattern::BesideFrames => {
                let at = name.iter().position(|byte| *byte == b'*')?;
                Some(Self::split(name, at, 1, Piece::Frame))
            }
        }
    }

    fn split(name: &'a [u8], at: usize, length: usize, number: Piece<'a>) -> Self {
        Self(vec![Piece::Text(&name[..at]), number, Piece::Text(&name[at + length..])])
    }

    fn hashes(name: &'a [u8]) -> Self {
        let runs = name.chunk_by(|a, b| (*a == b'#') == (*b == b'#'));
        Self(runs.map(|run| if run[0] == b'#' { Piece::Digits(1) } else { Piece::Text(run) }).collect())
    }

    /// Whether a file of this name belongs to the series.
    pub(super) fn holds(&self, name: &[u8]) -> bool {
        let rest = self.0.iter().try_fold(name, |rest, piece| piece.passed(rest));
        rest.is_some_and(<[u8]>::is_empty)
    }
}

impl Piece<'_> {
    /// What follows the piece at the beginning of `name`, if that begins with it.
    fn passed<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match self {
            Self::Text(text) => {
                let (start, rest) = name.split_at_checked(text.len())?;
                start.eq_ignore_ascii_case(text).then_some(rest)
            }
            Self::Udim => {
                let (number, rest) = name.split_at_checked(4)?;
                (digits(number) == 4 && number >= &b"1001"[..]).then_some(rest)
            }
            Self::Pair => {
                let part = |text: &'n [u8], letter: u8| {
                    let rest = text.split_first().filter(|(first, _)| first.eq_ignore_ascii_case(&letter))?.1;
                    let length = digits(rest);
                    (length > 0).then(|| &rest[length..])
                };
                part(part(name, b'u')?.strip_prefix(b"_")?, b'v')
            }
            Self::Digits(least) => {
                let length = digits(name);
                (length >= *least).then(|| &name[length..])
            }
            Self::Frame => {
                let name = name.strip_prefix(b"-").unwrap_or(name);
                let rest = Self::Digits(1).passed(name)?;
                let tick = rest.strip_prefix(b"Tick").and_then(|rest| Self::Digits(1).passed(rest));
                Some(tick.unwrap_or(rest))
            }
        }
    }
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
            ("c.#.###.usd", Pattern::Frames, "c.12.5.usd", "c.12.usd"),
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
