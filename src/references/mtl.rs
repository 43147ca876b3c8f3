//! Wavefront MTL: the textures of a material library, with the options in front of or behind the name taken off.
//!
//! Source: the MTL format of the Advanced Visualizer, the PBR extension (`map_Pr`, `norm` …), and what exporters write: names
//! with spaces, unquoted, options that belong to no specification, numbers fewer than an option asks for.

use super::stream::Stream;
use super::{Finding, Reference, trimmed};

/// One pass over the lines.
pub(super) fn read(stream: &mut Stream<'_>, found: &mut Finding) {
    let mut line = Vec::new();
    while stream.peek().is_some() {
        stream.skip_blank();
        let room = found.limits.name + 256;
        stream.take_logical_line(&mut line, room);
        statement(&line, found);
    }
}

fn statement(line: &[u8], found: &mut Finding) {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let Some(kind) = kind(&keyword.to_ascii_lowercase()) else { return };
    let whole = rest.trim_ascii();
    let name = trimmed(without_options(whole));
    if name.is_empty() {
        return;
    }
    let mut reference = Reference::new(kind, name);
    // A name that only looks as if it had options is tried as it stands.
    if name != whole {
        reference.alternatives.push(whole.to_vec());
    }
    // How many words an unknown option takes is not known: the name may be any end of the line.
    if name.starts_with(b"-") {
        reference.alternatives.extend(words(name).skip(1).take(UNKNOWN).map(|(at, _)| name[at..].to_vec()));
    }
    found.push(reference);
}

/// How many words may belong to options that are not known.
const UNKNOWN: usize = 16;

/// The keywords that a texture follows, in lower case.
fn kind(keyword: &[u8]) -> Option<&'static str> {
    Some(match keyword {
        b"map_aat" => return None,
        b"map_ka" => "map_Ka",
        b"map_kd" => "map_Kd",
        b"map_ks" => "map_Ks",
        b"map_ke" => "map_Ke",
        b"map_ns" => "map_Ns",
        b"map_bump" => "map_Bump",
        b"map_d" => "map_d",
        b"map_pr" => "map_Pr",
        b"map_pm" => "map_Pm",
        b"map_ps" => "map_Ps",
        b"map_refl" => "map_refl",
        b"bump" => "bump",
        b"disp" => "disp",
        b"decal" => "decal",
        b"refl" => "refl",
        b"norm" => "norm",
        _ if keyword.starts_with(b"map_") => "map_*",
        _ => return None,
    })
}

/// What an option is followed by.
enum Values {
    /// As many words, whatever they are.
    Words(usize),
    /// One to three numbers.
    Numbers,
}

fn option(word: &[u8]) -> Option<Values> {
    Some(match &*word.to_ascii_lowercase() {
        b"-blendu" | b"-blendv" | b"-bm" | b"-boost" | b"-cc" | b"-clamp" | b"-imfchan" | b"-texres"
        | b"-type" | b"-colorspace" => Values::Words(1),
        b"-mm" => Values::Words(2),
        b"-o" | b"-s" | b"-t" => Values::Numbers,
        _ => return None,
    })
}

/// The name between its options.
fn without_options(text: &[u8]) -> &[u8] {
    let name = without_options_before(text);
    // Behind the name an option counts only if nothing but options follows.
    let mut starts = words(name).filter(|(start, word)| *start > 0 && option(word).is_some());
    starts
        .find(|(start, _)| without_options_before(&name[*start..]).is_empty())
        .map_or(name, |(start, _)| name[..start].trim_ascii_end())
}

fn without_options_before(mut text: &[u8]) -> &[u8] {
    loop {
        let (word, mut rest) = first_word(text);
        let Some(values) = option(word) else { return text };
        match values {
            Values::Words(count) => {
                for _ in 0..count {
                    rest = first_word(rest).1;
                }
            }
            Values::Numbers => {
                for _ in 0..3 {
                    let (word, after) = first_word(rest);
                    if !is_number(word) {
                        break;
                    }
                    rest = after;
                }
            }
        }
        text = rest;
    }
}

fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

fn words(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let start = at;
        at += text[at..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        (start < at).then(|| (start, &text[start..at]))
    })
}

fn is_number(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_front_and_behind_are_no_part_of_the_name() {
        for (text, name) in [
            ("tex.png", "tex.png"),
            ("-s 2 2 2 -o 0 0 0 tex one.png", "tex one.png"),
            ("-bm 0.2 bump.png", "bump.png"),
            ("-s 1 tex.png", "tex.png"),
            ("-mm 0 1 a b.png -s 1 1 1", "a b.png"),
            ("tex.png -clamp on -bm 1", "tex.png"),
            ("-colorspace sRGB -o 0.1 x.jpg", "x.jpg"),
            ("-type sphere -mm 0 1 clouds.mpc", "clouds.mpc"),
            ("wood -o plain.png", "wood -o plain.png"),
            ("-unknown.png", "-unknown.png"),
            ("-s 1 1 1", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(without_options(text.as_bytes())), name, "{text}");
        }
    }
}
