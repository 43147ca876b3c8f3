//! What crate files pack: LZ4 blocks in OpenUSD's own frame, and lists of integers as differences of one to four bytes.

use super::Damage;

const BROKEN: Damage = Damage::File("a table of the crate file cannot be unpacked");

/// LZ4 cannot pack tighter than this, so that a claim beyond it is a lie.
const TIGHTEST: u64 = 256;

/// Unpacks to at most `most` bytes.
pub(super) fn unpack(packed: &[u8], most: u64) -> Result<Vec<u8>, Damage> {
    let Some((chunks, mut rest)) = packed.split_first() else { return Err(BROKEN) };
    let most = most.min((packed.len() as u64).saturating_mul(TIGHTEST));
    let mut unpacked = vec![0; usize::try_from(most).unwrap_or(0)];
    let mut filled = 0;
    if *chunks == 0 {
        filled = lz4_flex::block::decompress_into(rest, &mut unpacked).map_err(|_| BROKEN)?;
    }
    for _ in 0..*chunks {
        let Some((size, after)) = rest.split_first_chunk::<4>() else { return Err(BROKEN) };
        let size = u32::from_le_bytes(*size) as usize;
        let chunk = after.get(..size).ok_or(BROKEN)?;
        filled += lz4_flex::block::decompress_into(chunk, &mut unpacked[filled..]).map_err(|_| BROKEN)?;
        rest = &after[size..];
    }
    unpacked.truncate(filled);
    Ok(unpacked)
}

/// `count` integers: a common difference, two bits for the width of each, then those that are not common.
pub(super) fn integers(packed: &[u8], count: u64) -> Result<Vec<u32>, Damage> {
    let count = usize::try_from(count).map_err(|_| BROKEN)?;
    let widths = count.div_ceil(4);
    let bytes = unpack(packed, 4 + widths as u64 + count as u64 * 4)?;
    let (common, rest) = bytes.split_first_chunk::<4>().ok_or(BROKEN)?;
    let common = i32::from_le_bytes(*common);
    let (widths, mut rest) = rest.split_at_checked(widths).ok_or(BROKEN)?;
    let mut integers = Vec::with_capacity(count.min(packed.len().saturating_mul(1024)));
    let mut last = 0_i32;
    for index in 0..count {
        let width = (widths[index / 4] >> (index % 4 * 2)) & 3;
        let (difference, length) = match (width, rest) {
            (0, _) => (common, 0),
            (1, [a, ..]) => (i32::from(a.cast_signed()), 1),
            (2, [a, b, ..]) => (i32::from(i16::from_le_bytes([*a, *b])), 2),
            (3, [a, b, c, d, ..]) => (i32::from_le_bytes([*a, *b, *c, *d]), 4),
            _ => return Err(BROKEN),
        };
        rest = &rest[length..];
        last = last.wrapping_add(difference);
        integers.push(last.cast_unsigned());
    }
    Ok(integers)
}
