//! Columns and the words in them, read back into domain types. What cannot be read is damage, never a guess.

use std::cell::Cell;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use crate::file::entry::{AsideState, Asset, Role, Title, Travels};
use crate::file::part::PartName;
use crate::file::sighting::{Seen, Trust};
use crate::file::{Content, ContentHash, Fingerprint, Part, RelPath, State, Version};
use crate::id::AssetId;
use crate::timestamp::Timestamp;

use super::error::Error;

/// Why a row could not be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// It holds what was never written, or its checksum fails.
    Damage,
    /// SQLite failed.
    Error(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Error(error.into())
    }
}

/// The cells of a row, taken one after the other in the order in which they were selected.
pub(super) struct Cells<'r> {
    row: &'r Row<'r>,
    next: Cell<usize>,
}

impl<'r> Cells<'r> {
    pub(super) fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: Cell::new(0) }
    }

    fn next(&self) -> Result<ValueRef<'r>, Fault> {
        let index = self.next.get();
        self.next.set(index + 1);
        self.row.get_ref(index).map_err(|_| Fault::Damage)
    }

    pub(super) fn maybe_number(&self) -> Result<Option<i64>, Fault> {
        self.next()?.as_i64_or_null().map_err(|_| Fault::Damage)
    }

    pub(super) fn maybe_text(&self) -> Result<Option<&'r str>, Fault> {
        self.next()?.as_str_or_null().map_err(|_| Fault::Damage)
    }

    pub(super) fn maybe_bytes(&self) -> Result<Option<&'r [u8]>, Fault> {
        self.next()?.as_blob_or_null().map_err(|_| Fault::Damage)
    }

    pub(super) fn maybe_array<const N: usize>(&self) -> Result<Option<[u8; N]>, Fault> {
        self.maybe_bytes()?.map(|bytes| bytes.try_into().map_err(|_| Fault::Damage)).transpose()
    }

    pub(super) fn maybe_id<T>(&self, wrap: fn(Uuid) -> T) -> Result<Option<T>, Fault> {
        Ok(self.maybe_array()?.map(|bytes| wrap(Uuid::from_bytes(bytes))))
    }

    pub(super) fn maybe_time(&self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.maybe_number()?.map(Timestamp::from_nanos))
    }

    pub(super) fn maybe_version(&self) -> Result<Option<Version>, Fault> {
        Ok(self.maybe_array()?.map(|hash| Version(ContentHash(hash))))
    }

    pub(super) fn maybe_count(&self) -> Result<Option<u32>, Fault> {
        self.maybe_number()?.map(|number| number.try_into().map_err(|_| Fault::Damage)).transpose()
    }

    pub(super) fn number(&self) -> Result<i64, Fault> {
        present(self.maybe_number()?)
    }

    pub(super) fn unsigned(&self) -> Result<u64, Fault> {
        Ok(self.number()?.cast_unsigned())
    }

    pub(super) fn time(&self) -> Result<Timestamp, Fault> {
        present(self.maybe_time()?)
    }

    pub(super) fn text(&self) -> Result<&'r str, Fault> {
        present(self.maybe_text()?)
    }

    pub(super) fn bytes(&self) -> Result<&'r [u8], Fault> {
        present(self.maybe_bytes()?)
    }

    pub(super) fn array<const N: usize>(&self) -> Result<[u8; N], Fault> {
        present(self.maybe_array()?)
    }

    pub(super) fn id<T>(&self, wrap: fn(Uuid) -> T) -> Result<T, Fault> {
        present(self.maybe_id(wrap)?)
    }

    pub(super) fn path(&self) -> Result<RelPath, Fault> {
        path(self.bytes()?)
    }

    pub(super) fn part_name(&self) -> Result<PartName, Fault> {
        PartName::from_text(self.text()?).map_err(|_| Fault::Damage)
    }

    pub(super) fn state(&self) -> Result<State, Fault> {
        self.text()?.parse().map_err(|_| Fault::Damage)
    }

    pub(super) fn aside_state(word: &str) -> Result<AsideState, Fault> {
        present(word.parse().ok().and_then(AsideState::from_state))
    }

    pub(super) fn title(&self) -> Result<Title, Fault> {
        find([Title::Owned, Title::Linked], title_word, self.text()?)
    }

    pub(super) fn role(&self) -> Result<Role, Fault> {
        find(ROLES, role_word, self.text()?)
    }

    /// The columns of a file row; none where a left join found no such row.
    pub(super) fn seen(&self) -> Result<Option<Seen>, Fault> {
        let Some(size) = self.maybe_number()? else {
            self.next.set(self.next.get() + 7);
            return Ok(None);
        };
        let fingerprint = Fingerprint {
            size: size.cast_unsigned(),
            mtime: self.time()?,
            ctime: self.time()?,
            inode: self.unsigned()?,
            device: self.unsigned()?,
        };
        let content = Content { hash: ContentHash(self.array()?), size: self.unsigned()? };
        let trust = find([Trust::Settled, Trust::Racy, Trust::Doubted], trust_word, self.text()?)?;
        Ok(Some(Seen { fingerprint, content, trust }))
    }

    /// The columns `name, path, size, hash` of a part of the bundle whose lead is `lead`.
    pub(super) fn part(&self, lead: &RelPath) -> Result<Part, Fault> {
        let name = self.maybe_text()?;
        let path = self.maybe_bytes()?.map_or_else(|| Ok(lead.clone()), path)?;
        let name = name
            .map_or_else(|| PartName::from_local(path.name()), PartName::from_text)
            .map_err(|_| Fault::Damage)?;
        let size = self.unsigned()?;
        Ok(Part { name, path, content: Content { size, hash: ContentHash(self.array()?) } })
    }

    /// The columns `id, kind, name` of an asset.
    pub(super) fn asset(&self) -> Result<Asset, Fault> {
        Ok(Asset { id: self.id(AssetId::from_uuid)?, kind: self.text()?.into(), name: self.text()?.into() })
    }
}

pub(super) const fn title_word(title: Title) -> &'static str {
    match title {
        Title::Owned => "owned",
        Title::Linked => "linked",
    }
}

const ROLES: [Role; 6] =
    [Role::Superseded, Role::Archived, Role::Torn, Role::Orphan, Role::Doomed, Role::Remains];

pub(super) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Superseded => "superseded",
        Role::Archived => "archived",
        Role::Torn => "torn",
        Role::Orphan => "orphan",
        Role::Doomed => "doomed",
        Role::Remains => "remains",
    }
}

/// The word for how a bundle travels; none for the usual way.
pub(super) const fn travels_word(travels: Travels) -> Option<&'static str> {
    match travels {
        Travels::Whole => None,
        Travels::WithoutUnlisted => Some("without_unlisted"),
    }
}

/// How a bundle travels, by its word.
pub(super) fn travels(word: Option<&str>) -> Result<Travels, Fault> {
    [Travels::Whole, Travels::WithoutUnlisted]
        .into_iter()
        .find(|travels| travels_word(*travels) == word)
        .ok_or(Fault::Damage)
}

pub(super) const fn trust_word(trust: Trust) -> &'static str {
    match trust {
        Trust::Settled => "settled",
        Trust::Racy => "racy",
        Trust::Doubted => "doubted",
    }
}

/// A value that the column must have.
pub(super) fn present<T>(value: Option<T>) -> Result<T, Fault> {
    value.ok_or(Fault::Damage)
}

fn path(bytes: &[u8]) -> Result<RelPath, Fault> {
    RelPath::from_bytes(bytes).map_err(|_| Fault::Damage)
}

fn find<T: Copy, const N: usize>(all: [T; N], word: fn(T) -> &'static str, text: &str) -> Result<T, Fault> {
    present(all.into_iter().find(|one| word(*one) == text))
}
