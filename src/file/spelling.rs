//! One spelling for what is one letter: `ä` is one character, or `a` and a mark above it. Pure text.
//!
//! The file system of older Macs keeps names taken apart, and archives made there carry them to other systems, while the names
//! inside the models are put together. The tables hold the letters of the languages that are written with marks in file names.

/// The letters that a mark changes, and what it makes of them, in lower case.
const MARKED: &[(char, &str, &str)] = &[
    ('\u{300}', "aeiounwyâêôăơưü", "àèìòùǹẁỳầềồằờừǜ"),
    ('\u{301}', "aeiouycgklmnprswzαεηιουωâêôăơưüå", "áéíóúýćǵḱĺḿńṕŕśẃźάέήίόύώấếốắớứǘǻ"),
    ('\u{302}', "aeiouwycghjszạẹọ", "âêîôûŵŷĉĝĥĵŝẑậệộ"),
    ('\u{303}', "anoieuvyâêôăơư", "ãñõĩẽũṽỹẫễỗẵỡữ"),
    ('\u{304}', "aeiouyäöü", "āēīōūȳǟȫǖ"),
    ('\u{306}', "aeiougиуạ", "ăĕĭŏŭğйўặ"),
    ('\u{307}', "acegnoyz", "ȧċėġṅȯẏż"),
    ('\u{308}', "aeiouywxhеіиιυ", "äëïöüÿẅẍḧёїӥϊϋ"),
    ('\u{309}', "aeiouyâêôăơư", "ảẻỉỏủỷẩểổẳởử"),
    ('\u{30a}', "auwy", "åůẘẙ"),
    ('\u{30b}', "ou", "őű"),
    ('\u{30c}', "acdeghiklnorstuz", "ǎčďěǧȟǐǩľňǒřšťǔž"),
    ('\u{31b}', "ou", "ơư"),
    ('\u{323}', "aeiouyơưâê", "ạẹịọụỵợựậệ"),
    ('\u{327}', "cgklnrste", "çģķļņŗşţȩ"),
    ('\u{328}', "aeiou", "ąęįǫų"),
];

/// `text`, in lower case, with its marks put together with their letters.
#[must_use]
pub fn composed(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    for c in text.chars() {
        match whole.chars().next_back().and_then(|last| pair(last, c)) {
            Some(one) => {
                whole.pop();
                whole.push(one);
            }
            None => whole.push(c),
        }
    }
    whole
}

/// What a letter and the mark behind it are together.
fn pair(letter: char, mark: char) -> Option<char> {
    let (l, m) = (u32::from(letter), u32::from(mark));
    match m {
        // Ordinary names end here.
        ..0x300 => None,
        0x300..0x370 => {
            let (_, plain, marked) = MARKED.iter().find(|(known, _, _)| *known == mark)?;
            let at = plain.chars().position(|known| known == letter)?;
            marked.chars().nth(at)
        }
        // A Korean syllable: a leading consonant, a vowel, perhaps a trailing consonant.
        0x1161..=0x1175 if (0x1100..=0x1112).contains(&l) => {
            char::from_u32(0xac00 + ((l - 0x1100) * 21 + (m - 0x1161)) * 28)
        }
        0x11a8..=0x11c2 if (0xac00..=0xd7a3).contains(&l) && (l - 0xac00).is_multiple_of(28) => {
            char::from_u32(l + m - 0x11a7)
        }
        // Kana: the voiced letter stands behind the plain one, the half-voiced behind that.
        0x3099 | 0x309a => {
            let row = if (0x30a1..=0x30fa).contains(&l) { l - 0x60 } else { l };
            let is_half = (0x306f..=0x307b).contains(&row) && row.is_multiple_of(3);
            let is_voiced = matches!(row, 0x304b..=0x3061 if row % 2 == 1)
                || matches!(row, 0x3064 | 0x3066 | 0x3068)
                || is_half;
            match m {
                0x3099 if row == 0x3046 => char::from_u32(l + 0x4e),
                0x3099 if is_voiced => char::from_u32(l + 1),
                0x309a if is_half => char::from_u32(l + 2),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_their_marks_become_one() {
        for (apart, together) in [
            ("a\u{308}pfel.png", "äpfel.png"),
            ("cafe\u{301}", "café"),
            ("и\u{306}", "й"),
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "한글"),
            ("か\u{3099}は\u{309a}ハ\u{3099}ウ\u{3099}つ\u{3099}", "がぱバヴづ"),
            ("o\u{31b}\u{323}", "ợ"),
            ("a\u{302}\u{323}a\u{323}\u{302}o\u{302}\u{301}", "ậậố"),
            ("plain.png", "plain.png"),
            ("\u{308}x\u{308}\u{308}\u{3099}", "\u{308}ẍ\u{308}\u{3099}"),
        ] {
            assert_eq!(composed(apart), together, "{apart}");
        }
    }

    #[test]
    fn the_tables_are_of_one_length() {
        for (mark, plain, marked) in MARKED {
            assert_eq!(plain.chars().count(), marked.chars().count(), "{mark:?}");
        }
    }
}
