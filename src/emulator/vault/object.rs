//! Where uploaded bytes lie: small ones in memory, large ones on disk, all on disk if the emulator keeps its data.
//!
//! Bytes are hashed while they arrive and never held twice, so that a 2 GiB upload does not grow memory. What was
//! received but not stored disappears by itself when it is dropped. This file must not know what the bytes mean.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tempfile::{TempDir, TempPath};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::emulator::knobs::choice::Switch;

/// Uploads up to this size may stay in memory.
const IN_MEMORY: usize = 8 * 1024 * 1024;
/// How many of the first bytes are remembered for a look at the content.
const HEAD: usize = 16;
/// What the names of files begin with that are still arriving.
pub(super) const ARRIVING: &str = "incoming-";
/// The size of a piece of a download.
const PIECE: usize = 256 * 1024;

/// The bytes of one source file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::emulator) struct Object {
    /// How many.
    pub(in crate::emulator) size: u64,
    /// BLAKE3 of all, in hex.
    pub(in crate::emulator) hash: String,
    /// The first few.
    pub(in crate::emulator) head: Vec<u8>,
    place: Place,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Place {
    #[serde(skip)]
    Memory(Bytes),
    #[serde(skip)]
    Temporary(Arc<TempPath>),
    /// The name of a file among the kept objects.
    Kept(String),
    /// The first bytes are all there are.
    Head,
}

/// Where objects go.
#[derive(Debug)]
pub(in crate::emulator) enum Objects {
    /// Nothing outlives the emulator.
    Temporary(TempDir),
    /// Everything is kept in this directory.
    Kept(PathBuf),
}

impl Objects {
    /// Starts to receive one object.
    pub(in crate::emulator) fn receive(&self) -> io::Result<Incoming<'_>> {
        let bytes = match self {
            Self::Temporary(_) => Received::Memory(Vec::new()),
            Self::Kept(_) => self.spill()?,
        };
        Ok(Incoming { objects: self, bytes, size: 0, hasher: blake3::Hasher::new(), head: Vec::new() })
    }

    /// Gives a received object a place that survives a restart, where objects are kept.
    pub(in crate::emulator) fn keep(&self, object: Object) -> io::Result<Object> {
        let Self::Kept(directory) = self else { return Ok(object) };
        let path = match object.place {
            Place::Temporary(path) => path,
            Place::Memory(_) | Place::Kept(_) | Place::Head => return Ok(object),
        };
        let name = Uuid::new_v4().to_string();
        let path = Arc::into_inner(path)
            .ok_or_else(|| io::Error::other("an object that is in use cannot be kept"))?;
        path.persist(directory.join(&name)).map_err(|failed| failed.error)?;
        Ok(Object { place: Place::Kept(name), size: object.size, hash: object.hash, head: object.head })
    }

    /// The kept files that are not among those in use. What is still arriving is left alone.
    #[expect(
        clippy::disallowed_methods,
        reason = "the emulator lists its own data directory, never a watched one"
    )]
    pub(in crate::emulator) fn stray(&self, used: &HashSet<String>) -> io::Result<Vec<PathBuf>> {
        let Self::Kept(directory) = self else { return Ok(Vec::new()) };
        let mut stray = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !used.contains(&name) && !name.starts_with(ARRIVING) {
                stray.push(entry.path());
            }
        }
        Ok(stray)
    }

    /// The bytes as the body of an answer, with one wrong byte in the middle if `spoil` says so.
    pub(in crate::emulator) async fn body(&self, object: &Object, spoil: Switch) -> io::Result<Body> {
        let wrong = match spoil {
            Switch::On if object.size > 0 => Some(object.size / 2),
            Switch::On | Switch::Off => None,
        };
        if let (Place::Memory(bytes), None) = (&object.place, wrong) {
            return Ok(Body::from(bytes.clone()));
        }
        let bytes: std::pin::Pin<Box<dyn tokio::io::AsyncRead + Send>> = match self.path(object) {
            None => Box::pin(io::Cursor::new(object.memory())),
            Some(path) => Box::pin(tokio::fs::File::open(path).await?),
        };
        let mut at = 0;
        Ok(Body::from_stream(ReaderStream::with_capacity(bytes, PIECE).map(move |piece| {
            let mut piece = piece?;
            let end = at + piece.len() as u64;
            if let Some(wrong) = wrong.filter(|wrong| (at..end).contains(wrong)) {
                let mut spoilt = piece.to_vec();
                spoilt[usize::try_from(wrong - at).unwrap_or(0)] ^= 0x20;
                piece = spoilt.into();
            }
            at = end;
            io::Result::Ok(piece)
        })))
    }

    /// The bytes, to be read by a test.
    pub(in crate::emulator) fn read(&self, object: &Object) -> io::Result<Box<dyn Read + Send>> {
        match self.path(object) {
            None => Ok(Box::new(io::Cursor::new(object.memory()))),
            Some(path) => Ok(Box::new(std::fs::File::open(path)?)),
        }
    }

    fn path(&self, object: &Object) -> Option<PathBuf> {
        match (&object.place, self) {
            (Place::Memory(_) | Place::Head, Self::Temporary(_) | Self::Kept(_)) => None,
            (Place::Temporary(path), Self::Temporary(_) | Self::Kept(_)) => Some(path.to_path_buf()),
            (Place::Kept(name), Self::Kept(directory)) => Some(directory.join(name)),
            (Place::Kept(name), Self::Temporary(directory)) => Some(directory.path().join(name)),
        }
    }

    fn spill(&self) -> io::Result<Received> {
        let directory: &Path = match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(directory) => directory,
        };
        let (file, path) = tempfile::Builder::new().prefix(ARRIVING).tempfile_in(directory)?.into_parts();
        Ok(Received::Disk(tokio::fs::File::from_std(file), path))
    }
}

impl Object {
    /// The name of the kept file, if there is one.
    pub(in crate::emulator) fn kept(&self) -> Option<&str> {
        match &self.place {
            Place::Kept(name) => Some(name),
            Place::Memory(_) | Place::Temporary(_) | Place::Head => None,
        }
    }

    /// An object of at most sixteen bytes that nobody has uploaded.
    pub(in crate::emulator) fn tiny(bytes: &[u8]) -> Self {
        let head: Vec<u8> = bytes.iter().take(HEAD).copied().collect();
        Self {
            size: head.len() as u64,
            hash: blake3::hash(&head).to_hex().to_string(),
            head,
            place: Place::Head,
        }
    }

    fn memory(&self) -> Bytes {
        match &self.place {
            Place::Memory(bytes) => bytes.clone(),
            Place::Head => Bytes::from(self.head.clone()),
            Place::Temporary(_) | Place::Kept(_) => Bytes::new(),
        }
    }
}

/// An object that is arriving.
#[derive(Debug)]
pub(in crate::emulator) struct Incoming<'a> {
    objects: &'a Objects,
    bytes: Received,
    size: u64,
    hasher: blake3::Hasher,
    head: Vec<u8>,
}

#[derive(Debug)]
enum Received {
    Memory(Vec<u8>),
    Disk(tokio::fs::File, TempPath),
}

impl Incoming<'_> {
    /// How many bytes have arrived.
    pub(in crate::emulator) fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes.
    pub(in crate::emulator) async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hasher.update(piece);
        self.size += piece.len() as u64;
        let missing = HEAD - self.head.len();
        self.head.extend(piece.iter().take(missing));
        if let Received::Memory(bytes) = &mut self.bytes {
            if bytes.len() + piece.len() <= IN_MEMORY {
                bytes.extend_from_slice(piece);
                return Ok(());
            }
            let bytes = std::mem::take(bytes);
            self.bytes = self.objects.spill()?;
            self.append(&bytes).await?;
        }
        self.append(piece).await
    }

    /// Ends the object.
    pub(in crate::emulator) async fn finish(self) -> io::Result<Object> {
        let place = match self.bytes {
            Received::Memory(bytes) => Place::Memory(bytes.into()),
            Received::Disk(mut file, path) => {
                // tokio writes behind: without this the last bytes may come after the first reader.
                file.flush().await?;
                Place::Temporary(Arc::new(path))
            }
        };
        Ok(Object {
            size: self.size,
            hash: self.hasher.finalize().to_hex().to_string(),
            head: self.head,
            place,
        })
    }

    async fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.bytes {
            Received::Memory(bytes) => bytes.extend_from_slice(piece),
            Received::Disk(file, _) => file.write_all(piece).await?,
        }
        Ok(())
    }
}
