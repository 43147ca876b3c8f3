//! The table of structures that a Blender file ends with: which field lies where in a block.

use std::collections::HashMap;

use super::Layout;

/// A table of structures.
pub(super) struct Dna {
    pub(super) layout: Layout,
    names: Vec<Vec<u8>>,
    lengths: Vec<usize>,
    /// For each structure, the type and name of its fields.
    structures: Vec<Vec<(usize, usize)>>,
}

/// A field of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) offset: usize,
    pub(super) size: usize,
}

/// No structure of Blender has as many; the product of lengths must not overflow either.
const LARGEST_FIELD: usize = 1 << 24;

impl Dna {
    pub(super) fn read(table: &[u8], layout: Layout) -> Option<Self> {
        let mut cursor = Cursor { table, at: 0, layout };
        cursor.mark(b"SDNA")?;
        cursor.mark(b"NAME")?;
        let count = cursor.count()?;
        let names = (0..count).map(|_| cursor.text()).collect::<Option<Vec<_>>>()?;
        cursor.align();
        cursor.mark(b"TYPE")?;
        let types = cursor.count()?;
        for _ in 0..types {
            cursor.text()?;
        }
        cursor.align();
        cursor.mark(b"TLEN")?;
        let lengths = (0..types).map(|_| cursor.short()).collect::<Option<Vec<_>>>()?;
        cursor.align();
        cursor.mark(b"STRC")?;
        let count = cursor.count()?;
        let mut structures = Vec::new();
        for _ in 0..count {
            cursor.short()?;
            let fields = cursor.short()?;
            let fields = (0..fields).map(|_| Some((cursor.short()?, cursor.short()?)));
            structures.push(fields.collect::<Option<Vec<_>>>()?);
        }
        Some(Self { layout, names, lengths, structures })
    }

    /// The fields of a structure by their plain names.
    pub(super) fn fields(&self, structure: usize) -> Option<HashMap<&str, Field>> {
        let mut offset = 0_usize;
        let mut fields = HashMap::new();
        for (kind, name) in self.structures.get(structure)? {
            let name = self.names.get(*name)?;
            let is_pointer = name.starts_with(b"*") || name.starts_with(b"(");
            let one = if is_pointer { self.layout.pointer } else { *self.lengths.get(*kind)? };
            let size = name
                .split(|byte| *byte == b'[')
                .skip(1)
                .filter_map(|part| {
                    std::str::from_utf8(part.split(|byte| *byte == b']').next()?).ok()?.parse().ok()
                })
                .fold(one, |size: usize, times: usize| size.saturating_mul(times).min(LARGEST_FIELD));
            let start = name.iter().position(|byte| !matches!(byte, b'*' | b'(')).unwrap_or(name.len());
            let end = name.iter().position(|byte| matches!(byte, b'[' | b')')).unwrap_or(name.len());
            if let Some(plain) = name.get(start..end).and_then(|plain| std::str::from_utf8(plain).ok()) {
                fields.entry(plain).or_insert(Field { offset, size });
            }
            offset = offset.saturating_add(size).min(LARGEST_FIELD);
        }
        Some(fields)
    }
}

struct Cursor<'a> {
    table: &'a [u8],
    at: usize,
    layout: Layout,
}

impl Cursor<'_> {
    fn mark(&mut self, mark: &[u8; 4]) -> Option<()> {
        (self.table.get(self.at..self.at + 4)? == mark).then_some(())?;
        self.at += 4;
        Some(())
    }

    /// A number of things that follow, none of which is smaller than a byte.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.layout.number(self.table.get(self.at..self.at + 4)?)).ok()?;
        self.at += 4;
        (count <= self.table.len()).then_some(count)
    }

    fn short(&mut self) -> Option<usize> {
        let number = self.layout.number(self.table.get(self.at..self.at + 2)?);
        self.at += 2;
        usize::try_from(number).ok()
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let rest = self.table.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        self.at += end + 1;
        Some(rest[..end].to_vec())
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4);
    }
}
