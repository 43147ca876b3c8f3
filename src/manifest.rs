//! The manifest: a file for others to keep, beside a studio's code, that names what became of every path. The only door to it.
//!
//! It holds no time and no path of this machine, and equal contents are equal bytes. It knows no ledger and no cloud: it is told
//! entries, and tells what it was told.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::file::entry::{Asset, RemotePart};
use crate::file::{ContentHash, Entry, Key, MappingName, RelPath, State};
use crate::id::FolderId;

/// The version of the format: fields are only ever added within it.
pub const SCHEMA: u32 = 1;

/// What became of every path of some mappings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema_version: u32,
    mappings: BTreeMap<String, Listing>,
}

/// One mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The remote folder of the mapping.
    pub folder_id: Uuid,
    /// What became of each lead, by its path below the root, escaped for display.
    pub files: BTreeMap<String, Listed>,
}

/// A bundle that lives in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The lead.
    #[serde(flatten)]
    pub lead: ListedPart,
    /// The files that travel with it.
    #[serde(default)]
    pub members: Vec<ListedPart>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPart {
    /// Its path below the root, escaped for display.
    pub path: String,
    /// BLAKE3 of its bytes in base 16.
    pub hash: String,
    /// How many bytes it has.
    pub size: u64,
    /// The remote file.
    pub source_file_id: Uuid,
    /// What conversion made of it, sorted.
    pub assets: Vec<ListedAsset>,
}

/// Something that conversion made of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListedAsset {
    /// Its type in the cloud's words.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name in the cloud.
    pub name: String,
    /// Which asset.
    pub id: Uuid,
}

/// Why a manifest cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("failed to read the manifest {0}: {1}")]
    Read(PathBuf, String),
    /// It cannot be written.
    #[error("failed to write the manifest {0}: {1}")]
    Write(PathBuf, std::io::Error),
}

/// The [`crate::ledger`]'s word for having dealt with all of a mapping once: from then on the ledger knows better than a manifest.
#[must_use]
pub fn seen_whole(mapping: &MappingName) -> String {
    format!("whole/{mapping}")
}

impl Default for Manifest {
    fn default() -> Self {
        Self { schema_version: SCHEMA, mappings: BTreeMap::new() }
    }
}

impl Manifest {
    /// Names a mapping, also if nothing of it lives in the cloud yet.
    pub fn open(&mut self, mapping: &MappingName, folder: FolderId) {
        let listing = || Listing { folder_id: folder.uuid(), files: BTreeMap::new() };
        self.mappings.entry(mapping.as_str().to_owned()).or_insert_with(listing);
    }

    /// Adds a bundle of a mapping that was named, if it lives in the cloud and on disk.
    pub fn add(&mut self, key: &Key, entry: &Entry) {
        let is_ours = !matches!(entry.state(), State::Deleted | State::Detached);
        let Some(current) = entry.current.as_ref().filter(|_| is_ours) else { return };
        let Some(listing) = self.mappings.get_mut(key.mapping.as_str()) else { return };
        let mut members: Vec<_> = current.members.iter().map(part).collect();
        members.sort_by(|one, other| one.path.cmp(&other.path));
        listing.files.insert(key.path.to_string(), Listed { lead: part(&current.lead), members });
    }

    /// Takes over what an earlier manifest said of a mapping's paths of which this one says nothing.
    pub fn keep(&mut self, mapping: &MappingName, earlier: &Self) {
        let Some(old) = earlier.mappings.get(mapping.as_str()) else { return };
        let Some(listing) = self.mappings.get_mut(mapping.as_str()) else { return };
        for (path, listed) in old.files.iter().filter(|_| old.folder_id == listing.folder_id) {
            listing.files.entry(path.clone()).or_insert_with(|| listed.clone());
        }
    }

    /// What is said of a bundle.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Listed> {
        self.mappings.get(key.mapping.as_str())?.files.get(&key.path.to_string())
    }

    /// The mappings, by name.
    pub fn mappings(&self) -> impl Iterator<Item = (&str, &Listing)> {
        self.mappings.iter().map(|(name, listing)| (name.as_str(), listing))
    }

    /// The file as it is written.
    ///
    /// # Errors
    /// What the writer of JSON says.
    pub fn to_bytes(&self) -> Result<Vec<u8>, std::io::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest; none if there is no such file.
    ///
    /// # Errors
    /// [`Error::Read`] if it is there and cannot be understood.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let wrong = |why: String| Error::Read(path.to_owned(), why);
        let Some(bytes) = bytes(path)? else { return Ok(None) };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if manifest.schema_version != SCHEMA {
            return Err(wrong(format!("it has schema_version {}, not {SCHEMA}", manifest.schema_version)));
        }
        Ok(Some(manifest))
    }

    /// Replaces the file as a whole, if that changes it. Returns whether it did.
    ///
    /// # Errors
    /// [`Error::Write`]; then the file is as it was.
    pub fn write(&self, path: &Path) -> Result<Written, Error> {
        let failed = |error| Error::Write(path.to_owned(), error);
        let new = self.to_bytes().map_err(failed)?;
        if bytes(path)?.is_some_and(|old| old == new) {
            return Ok(Written::Same);
        }
        replace(path, &new).map_err(failed)?;
        Ok(Written::Replaced)
    }
}

/// Whether a manifest was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is another one now.
    Replaced,
    /// It was so already.
    Same,
}

impl Listed {
    /// The lead, then the members.
    pub fn parts(&self) -> impl Iterator<Item = &ListedPart> {
        std::iter::once(&self.lead).chain(&self.members)
    }
}

impl ListedPart {
    /// The hash of its bytes, if the text is one.
    #[must_use]
    pub fn content(&self) -> Option<ContentHash> {
        let hash: [u8; 32] = *blake3::Hash::from_hex(&self.hash).ok()?.as_bytes();
        Some(ContentHash(hash))
    }
}

fn part(remote: &RemotePart) -> ListedPart {
    let mut assets: Vec<_> = remote.assets.iter().map(asset).collect();
    assets.sort();
    ListedPart {
        path: shown(&remote.part.path),
        hash: remote.part.content.hash.to_string(),
        size: remote.part.content.size,
        source_file_id: remote.source_file.uuid(),
        assets,
    }
}

fn asset(asset: &Asset) -> ListedAsset {
    ListedAsset { kind: asset.kind.clone(), name: asset.name.clone(), id: asset.id.uuid() }
}

fn shown(path: &RelPath) -> String {
    path.to_string()
}

#[expect(clippy::disallowed_methods, reason = "the manifest is a file of ours, outside every root")]
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Read(path.to_owned(), error.to_string())),
    }
}

/// Written beside it first, so that nobody ever reads half of it.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let readable = std::fs::Permissions::from_mode(0o644);
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.unwrap_or_else(|| Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(".versync-manifest").permissions(readable).tempfile_in(beside)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
