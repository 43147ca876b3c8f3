//! The values of a crate file's fields that can hold an asset path: paths and lists of them, references, payloads,
//! dictionaries and time samples.

use std::io::{Read, Seek};

use super::super::usda::reference;
use super::super::{Finding, Pattern, Reference};
use super::{Damage, File};

/// A value: three flags, a type, and 48 bits that are the value or its offset.
#[derive(Clone, Copy)]
struct Value(u64);

const STRING: u8 = 10;
const ASSET: u8 = 12;
const DICTIONARY: u8 = 31;
const REFERENCES: u8 = 35;
const SAMPLES: u8 = 46;
const PAYLOAD: u8 = 47;
const STRINGS: u8 = 50;
const NESTED: u8 = 52;
const PAYLOADS: u8 = 55;

impl Value {
    const fn may_name_files(self) -> bool {
        let kind = self.kind();
        matches!(
            kind,
            STRING | ASSET | DICTIONARY | REFERENCES | SAMPLES | PAYLOAD | STRINGS | NESTED | PAYLOADS
        )
    }

    const fn is_array(self) -> bool {
        self.0 >> 63 == 1
    }

    const fn is_inline(self) -> bool {
        (self.0 >> 62) & 1 == 1
    }

    const fn kind(self) -> u8 {
        self.0.to_be_bytes()[1]
    }

    const fn payload(self) -> u64 {
        self.0 & 0xffff_ffff_ffff
    }
}

struct Harvest<'f, 'r, 'a, R> {
    file: &'f mut File<'r, R>,
    tokens: &'a [&'a [u8]],
    strings: &'a [u32],
    /// How many items may still be looked at: lengths and cycles are not believed.
    left: u64,
}

/// Takes the paths out of all fields.
pub(super) fn harvest<'a, R: Read + Seek>(
    file: &mut File<'_, R>,
    tokens: &'a [&'a [u8]],
    strings: &'a [u32],
    fields: &[(u32, u64)],
    found: &mut Finding,
) -> Result<(), Damage> {
    let mut harvest = Harvest { file, tokens, strings, left: 4 << 20 };
    // Many specs share a field's value.
    let mut seen = std::collections::HashSet::new();
    for (name, value) in fields {
        let name = tokens.get(*name as usize).copied().unwrap_or_default();
        if Value(*value).may_name_files() && seen.insert((name, *value)) {
            harvest.value(name, Value(*value), 0, found)?;
        }
    }
    Ok(())
}

impl<'a, R: Read + Seek> Harvest<'_, '_, 'a, R> {
    fn value(&mut self, field: &[u8], value: Value, depth: usize, found: &mut Finding) -> Result<(), Damage> {
        if depth > found.limits.depth.min(32) {
            return Err(Damage::File("values of the crate file nest too deep; what follows is not known"));
        }
        self.spend(1)?;
        let at = value.payload();
        match value.kind() {
            ASSET if value.is_array() => self.assets(field, at, found),
            ASSET if value.is_inline() => {
                let path = self.tokens.get(usize::try_from(at).unwrap_or(usize::MAX)).copied();
                take(field, path.unwrap_or_default(), found);
                Ok(())
            }
            STRING if field == b"templateAssetPath" && value.is_inline() => {
                let text = self.string(u32::try_from(at).unwrap_or(u32::MAX));
                found.push(Reference::new("usd:clip", text).pattern(Pattern::Frames));
                Ok(())
            }
            // In a crate file sublayers are plain strings.
            STRINGS if field == b"subLayers" => {
                let count = self.file.number(at)?;
                for index in 0..count {
                    self.spend(1)?;
                    let string = self.file.word(at.saturating_add(8 + index * 4))?;
                    let path = self.string(string);
                    take(field, path, found);
                }
                Ok(())
            }
            REFERENCES => self.list(field, at, Item::Reference, found),
            PAYLOADS => self.list(field, at, Item::Payload, found),
            PAYLOAD => {
                let string = self.file.word(at)?;
                let path = self.string(string);
                take(b"payload", path, found);
                Ok(())
            }
            DICTIONARY if !value.is_inline() => self.dictionary(at, depth, found).map(drop),
            SAMPLES => self.samples(field, at, depth, found),
            NESTED if !value.is_inline() => {
                let inner = Value(self.file.number(at)?);
                self.value(field, inner, depth + 1, found)
            }
            _ => Ok(()),
        }
    }

    /// An array of paths, whose length has had three writings.
    fn assets(&mut self, field: &[u8], at: u64, found: &mut Finding) -> Result<(), Damage> {
        if at == 0 {
            return Ok(());
        }
        let (count, mut at) = match self.file.version {
            (0, ..5) => (self.file.word(at.saturating_add(4))?.into(), at.saturating_add(8)),
            (0, 5 | 6) => (self.file.word(at)?.into(), at.saturating_add(4)),
            _ => (self.file.number(at)?, at.saturating_add(8)),
        };
        for _ in 0..count {
            self.spend(1)?;
            let string = self.file.word(at)?;
            let path = self.string(string);
            take(field, path, found);
            at = at.saturating_add(4);
        }
        Ok(())
    }

    /// A list operation: a byte that says which lists follow, then each with its length.
    fn list(&mut self, field: &[u8], at: u64, item: Item, found: &mut Finding) -> Result<(), Damage> {
        let mut header = [0];
        self.file.exactly(at, &mut header)?;
        let mut at = at.saturating_add(1);
        // Explicit, added, deleted, ordered, prepended, appended; what is deleted is not needed.
        for (bit, is_wanted) in [(1, true), (2, true), (5, true), (6, true), (3, false), (4, true)] {
            if header[0] & (1 << bit) == 0 {
                continue;
            }
            let count = self.file.number(at)?;
            at = at.saturating_add(8);
            for _ in 0..count {
                self.spend(1)?;
                let string = self.file.word(at)?;
                if is_wanted {
                    let path = self.string(string);
                    take(field, path, found);
                }
                // Behind the asset's path: the prim's path, and a layer offset of two doubles.
                at = match (item, self.file.version) {
                    (Item::Payload, (0, ..8)) => at.saturating_add(8),
                    (Item::Payload, _) => at.saturating_add(24),
                    (Item::Reference, _) => self.dictionary(at.saturating_add(24), 0, found)?,
                };
            }
        }
        Ok(())
    }

    /// A dictionary: its length, then a key and the distance to its value for each. Returns where it ends.
    fn dictionary(&mut self, at: u64, depth: usize, found: &mut Finding) -> Result<u64, Damage> {
        let count = self.file.number(at)?;
        let mut at = at.saturating_add(8);
        for _ in 0..count {
            self.spend(1)?;
            let key = self.file.word(at)?;
            let distance = self.file.number(at.saturating_add(4))?;
            let place = at.saturating_add(4).wrapping_add(distance);
            let value = Value(self.file.number(place)?);
            let key = self.string(key);
            self.value(key, value, depth + 1, found)?;
            // The value lies between its distance and the next key.
            at = place.saturating_add(8);
        }
        Ok(at)
    }

    /// Time samples: the distance to the times, then the distance to the values.
    fn samples(&mut self, field: &[u8], at: u64, depth: usize, found: &mut Finding) -> Result<(), Damage> {
        let times = at.wrapping_add(self.file.number(at)?).saturating_add(8);
        let values = times.wrapping_add(self.file.number(times)?);
        let count = self.file.number(values)?;
        for index in 0..count {
            let value = Value(self.file.number(values.saturating_add(8 + index * 8))?);
            // All samples of one attribute are of one type.
            if value.kind() != ASSET {
                return Ok(());
            }
            self.value(field, value, depth + 1, found)?;
        }
        Ok(())
    }

    fn string(&self, index: u32) -> &'a [u8] {
        let token = self.strings.get(index as usize).and_then(|token| self.tokens.get(*token as usize));
        token.copied().unwrap_or_default()
    }

    fn spend(&mut self, items: u64) -> Result<(), Damage> {
        self.left =
            self.left.checked_sub(items).ok_or(Damage::File("the crate file holds more than is read"))?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Item {
    Reference,
    Payload,
}

fn take(field: &[u8], path: &[u8], found: &mut Finding) {
    // The identifier in `assetInfo` names the layer itself.
    if field != b"identifier" {
        found.extend(reference(field, path));
    }
}
