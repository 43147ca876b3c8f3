//! The bytes of one request, streamed from disk: exactly what was announced, or the request is broken off.
//!
//! The last chunk of the last part is held back until every part was streamed in its announced length, hashed to its
//! announced hash and still shows its announced size and the mtime it was opened with. On a difference an error takes
//! that chunk's place, so the far side never holds a complete request with torn content. Knows no HTTP.

use std::future::Future as _;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::JoinHandle;

use super::look::Stat;
use super::root::Root;
use super::{Error, kernel};
use crate::file::{Content, ContentHash, Fingerprint, Part, PartName, RelPath};
use crate::timestamp::Timestamp;

/// The parts of one request, open and not yet sent.
#[derive(Debug)]
pub struct Outgoing {
    request: Arc<Request>,
    names: Vec<PartName>,
}

/// One part as a request takes it.
pub struct OutgoingPart {
    /// The name that the cloud is told.
    pub name: PartName,
    /// How many bytes it has; the stream yields exactly that many, or fails.
    pub length: u64,
    /// Its bytes. Must be polled inside a tokio runtime; reads happen on its blocking threads.
    pub bytes: ByteStream,
}

/// A stream of a part's bytes.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>;

impl std::fmt::Debug for OutgoingPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingPart").field("name", &self.name).field("length", &self.length).finish()
    }
}

/// What became of a request's bytes, to be asked when the request is over.
#[derive(Debug, Clone)]
pub struct Confirmation {
    fate: Arc<Fate>,
}

/// What became of a request's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// All of them were handed over, and they are what was announced: the far side may hold the request.
    Whole,
    /// This file was not what was announced; the request was broken off before its end.
    Changed(RelPath),
    /// A file could not be read on; the request was broken off before its end.
    Unreadable(Error),
    /// Whoever took the bytes stopped before their end.
    Partial {
        /// How many were taken.
        bytes: u64,
    },
}

/// Who is told how many bytes were just taken.
pub type Taken = Arc<dyn Fn(u64) + Send + Sync>;

/// How many bytes a chunk has at most. One is on its way while the next is read: half a MiB a request, besides the sender's.
const CHUNK: u64 = 256 << 10;

/// How many files are held open for one request. Of a larger one each is opened when its turn comes: a volume has thousands of
/// slices, and a process a thousand descriptors.
const HELD: usize = 64;

/// Opens every part anew, in the order in which they travel; `sent` is told of bytes as they are taken.
///
/// Blocks shortly, for opening. Holds a descriptor a part until the streams are dropped, if they are few; else one at a time.
///
/// # Errors
/// [`Error::Changed`] if a file does not have its announced length now; what the system says of opening it.
pub fn outgoing(root: &Root, parts: &[Part], sent: Taken) -> Result<Outgoing, Error> {
    let base = root.open()?;
    let open = |part: &Part| {
        let file = base.file(&part.path)?;
        let stat = kernel::stat_of(file.as_fd()).map_err(|errno| Error::of(&part.path, errno))?;
        if stat.fingerprint.size != part.content.size {
            return Err(Error::Changed { path: part.path.clone() });
        }
        Ok(Opened {
            path: part.path.clone(),
            announced: part.content,
            file: (parts.len() <= HELD).then_some(file),
            mtime: stat.fingerprint.mtime,
            inode: stat.fingerprint.inode,
            streamed: AtomicBool::new(false),
        })
    };
    let opened = parts.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
    let request = Request { root: root.clone(), parts: opened, fate: Arc::default(), sent };
    Ok(Outgoing { request: Arc::new(request), names: parts.iter().map(|part| part.name.clone()).collect() })
}

impl Outgoing {
    /// One stream a part, in the order in which they must be taken, and what tells afterwards how it went.
    #[must_use]
    pub fn into_streams(self) -> (Vec<OutgoingPart>, Confirmation) {
        let stream = |(index, name): (usize, PartName)| {
            let length = self.request.parts[index].announced.size;
            let reader = Reader {
                request: Arc::clone(&self.request),
                index,
                left: length,
                hasher: blake3::Hasher::new(),
                file: None,
            };
            let bytes = PartStream {
                fate: Arc::clone(&self.request.fate),
                sent: Arc::clone(&self.request.sent),
                state: State::Ready(Box::new(reader)),
            };
            OutgoingPart { name, length, bytes: Box::pin(bytes) }
        };
        let streams = self.names.into_iter().enumerate().map(stream).collect();
        (streams, Confirmation { fate: Arc::clone(&self.request.fate) })
    }
}

impl Confirmation {
    /// What became of the bytes so far.
    #[must_use]
    pub fn outcome(&self) -> Sent {
        if self.fate.released.load(Ordering::Acquire) {
            return Sent::Whole;
        }
        match self.fate.broken().clone() {
            Some(Error::Changed { path }) => Sent::Changed(path),
            Some(error) => Sent::Unreadable(error),
            None => Sent::Partial { bytes: self.fate.taken.load(Ordering::Acquire) },
        }
    }
}

/// What is shared by the streams of one request. The descriptors close with the last stream.
struct Request {
    root: Root,
    parts: Vec<Opened>,
    fate: Arc<Fate>,
    sent: Taken,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("parts", &self.parts).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Opened {
    path: RelPath,
    announced: Content,
    /// None if it is opened anew when its turn comes.
    file: Option<OwnedFd>,
    mtime: Timestamp,
    inode: u64,
    /// All of it was read for the request, and hashed to what was announced.
    streamed: AtomicBool,
}

#[derive(Debug, Default)]
struct Fate {
    /// The end of the last part was handed over.
    released: AtomicBool,
    taken: AtomicU64,
    broken: Mutex<Option<Error>>,
}

impl Fate {
    fn broken(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    /// Whether every part is what was announced. Asked once, before the last chunk goes.
    fn confirm(&self) -> Result<(), Error> {
        for part in &self.parts {
            part.still_shows(&self.root)?;
            if !part.streamed.load(Ordering::Acquire) {
                let why = "the parts of its request were taken out of order".to_owned();
                return Err(Error::Io { path: part.path.clone(), why });
            }
        }
        Ok(())
    }
}

impl Opened {
    fn changed(&self) -> Error {
        Error::Changed { path: self.path.clone() }
    }

    fn still_shows(&self, root: &Root) -> Result<(), Error> {
        let Some(file) = &self.file else {
            let stat = root.open()?.stat(&self.path);
            let stat = stat.map_err(|error| if error.is_gone() { self.changed() } else { error })?;
            return self.shows(&stat);
        };
        self.shows(&kernel::stat_of(file.as_fd()).map_err(|errno| Error::of(&self.path, errno))?)
    }

    fn shows(&self, stat: &Stat) -> Result<(), Error> {
        let Fingerprint { size, mtime, inode, .. } = stat.fingerprint;
        let same = size == self.announced.size && mtime == self.mtime && inode == self.inode;
        if same { Ok(()) } else { Err(self.changed()) }
    }
}

/// Reads one part, a chunk at a time, on a blocking thread.
struct Reader {
    request: Arc<Request>,
    index: usize,
    left: u64,
    hasher: blake3::Hasher,
    /// The file, if it was opened for this part alone.
    file: Option<OwnedFd>,
}

/// A chunk, or none at the end of a part.
type Step = Result<Option<Bytes>, Error>;

impl Reader {
    fn step(mut self: Box<Self>) -> (Box<Self>, Step) {
        let step = self.chunk();
        (self, step)
    }

    fn chunk(&mut self) -> Step {
        let part = &self.request.parts[self.index];
        let file = match (&part.file, &self.file) {
            (Some(held), _) => held,
            (None, Some(own)) => own,
            (None, None) => {
                let file = self.request.root.open()?.file(&part.path);
                let file = file.map_err(|error| if error.is_gone() { part.changed() } else { error })?;
                self.file.insert(file)
            }
        };
        let length = self.left.min(CHUNK);
        let mut buffer = vec![0; usize::try_from(length).unwrap_or(0)];
        let filled = kernel::fill(file.as_fd(), &mut buffer).map_err(|errno| Error::of(&part.path, errno))?;
        if filled < buffer.len() {
            return Err(part.changed());
        }
        self.hasher.update(&buffer);
        self.left -= length;
        if self.left == 0 {
            self.finish()?;
            self.file = None;
        }
        Ok((length > 0).then(|| buffer.into()))
    }

    /// Before the last chunk of a part goes. That of the last part goes only if all are well.
    fn finish(&self) -> Result<(), Error> {
        let part = &self.request.parts[self.index];
        if ContentHash(*self.hasher.finalize().as_bytes()) != part.announced.hash {
            return Err(part.changed());
        }
        part.still_shows(&self.request.root)?;
        part.streamed.store(true, Ordering::Release);
        if self.is_last_part() { self.request.confirm() } else { Ok(()) }
    }

    fn is_last_part(&self) -> bool {
        self.index + 1 == self.request.parts.len()
    }
}

struct PartStream {
    fate: Arc<Fate>,
    sent: Taken,
    state: State,
}

enum State {
    /// Nothing was asked of it yet.
    Ready(Box<Reader>),
    /// A chunk is being read.
    Reading(JoinHandle<(Box<Reader>, Step)>),
    /// Its end was reached, one way or the other.
    Over,
}

impl PartStream {
    fn break_off(&mut self, error: Error) -> Option<io::Result<Bytes>> {
        self.state = State::Over;
        let told = io::Error::other(error.to_string());
        self.fate.broken().get_or_insert(error);
        Some(Err(told))
    }
}

impl Stream for PartStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // The state is put back by every way out but the end.
        let mut task = match std::mem::replace(&mut this.state, State::Over) {
            State::Over => return Poll::Ready(None),
            State::Ready(reader) => tokio::task::spawn_blocking(move || reader.step()),
            State::Reading(task) => task,
        };
        let Poll::Ready(joined) = Pin::new(&mut task).poll(cx) else {
            this.state = State::Reading(task);
            return Poll::Pending;
        };
        let (reader, step) = match joined {
            Ok(done) => done,
            // The runtime is shutting down.
            Err(_) => return Poll::Ready(this.break_off(Error::Cancelled)),
        };
        let chunk = match step {
            Ok(chunk) => chunk,
            Err(error) => return Poll::Ready(this.break_off(error)),
        };
        // Whoever broke off one part has broken off the request.
        if let Some(error) = this.fate.broken().clone() {
            return Poll::Ready(Some(Err(io::Error::other(error.to_string()))));
        }
        if reader.left > 0 {
            // The next chunk is read while this one is on its way.
            this.state = State::Reading(tokio::task::spawn_blocking(move || reader.step()));
        } else if reader.is_last_part() {
            this.fate.released.store(true, Ordering::Release);
        }
        if let Some(chunk) = &chunk {
            this.fate.taken.fetch_add(chunk.len() as u64, Ordering::AcqRel);
            (this.sent)(chunk.len() as u64);
        }
        Poll::Ready(chunk.map(Ok))
    }
}

#[cfg(test)]
mod tests;
