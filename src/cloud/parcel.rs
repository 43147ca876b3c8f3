//! What one upload carries, and how far it got. The place that knows whether the server can possibly hold the whole of it.
//!
//! Knows no route and no path: names, lengths and streams of bytes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::{Error, Kind};
use crate::file::PartName;
use crate::patience::Patience;

/// A stream of a part's bytes.
pub type Body = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + 'static>>;

/// The files of one upload request, in the order in which they go over the wire. Inferred: files that need each other travel in one
/// request, as nothing links those of two.
#[derive(Debug)]
pub struct Parcel {
    /// The members first, the lead last: when it is there, everything is.
    pub parts: Vec<ParcelPart>,
}

/// One file of an upload request.
pub struct ParcelPart {
    /// The file name that the cloud is told.
    pub name: PartName,
    /// How many bytes are announced. A stream that gives more or fewer ends the request.
    pub length: u64,
    /// The bytes.
    pub body: Body,
}

impl fmt::Debug for ParcelPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParcelPart")
            .field("name", &self.name)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// The most bytes handed over at once. Small, so that a slow line shows that it moves long before the stall timeout.
const PIECE: usize = 16 * 1024;

/// The multipart body of a parcel and the eye that is kept on it.
pub(super) fn packed(
    parcel: Parcel,
    field: &str,
) -> Result<(reqwest::multipart::Form, Arc<Progress>), reqwest::Error> {
    let progress = Arc::new(Progress::new());
    let count = parcel.parts.len();
    let mut form = reqwest::multipart::Form::new();
    for (index, part) in parcel.parts.into_iter().enumerate() {
        let place = if index + 1 == count { Place::Last } else { Place::Before };
        let name = part.name.as_str().to_owned();
        let stream = Watched {
            inner: part.body,
            held: Bytes::new(),
            left: part.length,
            place,
            progress: progress.clone(),
        };
        let body = reqwest::Body::wrap_stream(stream);
        let part = reqwest::multipart::Part::stream_with_length(body, part.length)
            .file_name(name)
            .mime_str("application/octet-stream")?;
        form = form.part(field.to_owned(), part);
    }
    Ok((form, progress))
}

/// How far an upload got.
#[derive(Debug)]
pub(super) struct Progress {
    course: Mutex<Course>,
    whole: Notify,
}

#[derive(Debug)]
struct Course {
    stage: Stage,
    /// When the HTTP stack last took bytes: it asks for more only once it had room for what it got before.
    moved: Instant,
    /// What went wrong with our own bytes.
    fault: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The line is busy with what it has.
    Moving,
    /// The line would take more; our own stream has nothing.
    Starved,
    /// Everything was handed over.
    Whole,
    /// Given up before everything was handed over: nothing more is.
    Abandoned,
}

impl Progress {
    fn new() -> Self {
        let course = Course { stage: Stage::Moving, moved: Instant::now(), fault: None };
        Self { course: Mutex::new(course), whole: Notify::new() }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        // Every change is a plain assignment, so a poisoned course is still a true one.
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything was handed over. If it was not, it never will be after this: the HTTP stack may go on sending in
    /// the background after an early answer, and what was concluded from here must stay true.
    pub(super) fn settle(&self) -> Handed {
        let mut course = self.course();
        match course.stage {
            Stage::Whole => Handed::Whole,
            Stage::Moving | Stage::Starved | Stage::Abandoned => {
                course.stage = Stage::Abandoned;
                Handed::InPart
            }
        }
    }

    /// What went wrong with our own bytes, if it was they.
    pub(super) fn fault(&self) -> Option<Kind> {
        self.course().fault.clone().map(Kind::Body)
    }

    /// Ends when the upload stands still for too long, with the reason. An upload that moves never ends it, however slow.
    pub(super) async fn standstill(&self, doing: &str, patience: &Patience) -> Error {
        loop {
            let (stage, moved) = {
                let course = self.course();
                (course.stage, course.moved)
            };
            let allowed = match stage {
                Stage::Moving | Stage::Starved | Stage::Abandoned => patience.stall_timeout,
                // The system may still be draining its buffers in this time; they are small where the line is slow.
                Stage::Whole => patience.answer_timeout,
            };
            let deadline = moved + allowed;
            if Instant::now() >= deadline {
                return match stage {
                    Stage::Starved => Error::new(
                        doing,
                        Kind::Body(format!("its bytes stood still for {} s", allowed.as_secs_f32())),
                    ),
                    Stage::Moving | Stage::Abandoned => {
                        Error::late(doing, "the server accepted no byte", allowed)
                    }
                    Stage::Whole => Error::late(doing, "no answer came after the last byte", allowed),
                };
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                () = self.whole.notified() => {}
            }
        }
    }
}

/// How much of an upload was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    /// Not all, and no more will be.
    InPart,
    /// All of it.
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Last,
}

/// A part's stream that keeps its word about the length and tells how far it got.
struct Watched {
    inner: Body,
    held: Bytes,
    left: u64,
    place: Place,
    progress: Arc<Progress>,
}

impl Watched {
    fn fault(&self, why: impl Into<String>) -> Poll<Option<io::Result<Bytes>>> {
        let why = crate::file::shown(&why.into());
        self.progress.course().fault = Some(why.clone());
        Poll::Ready(Some(Err(io::Error::other(why))))
    }
}

impl Stream for Watched {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.progress.course().stage == Stage::Abandoned {
            return Poll::Ready(Some(Err(io::Error::other("the upload was given up"))));
        }
        while self.held.is_empty() {
            match self.inner.as_mut().poll_next(cx) {
                Poll::Pending => {
                    self.progress.course().stage = Stage::Starved;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(bytes))) if bytes.len() as u64 > self.left => {
                    // Without this the HTTP stack would cut the body at the announced length and report success.
                    return self.fault("the file gave more bytes than were announced");
                }
                Poll::Ready(Some(Ok(bytes))) => {
                    self.left -= bytes.len() as u64;
                    self.held = bytes;
                }
                Poll::Ready(Some(Err(error))) => return self.fault(error.to_string()),
                Poll::Ready(None) if self.left > 0 => {
                    return self
                        .fault(format!("the file ended {} bytes before what was announced", self.left));
                }
                Poll::Ready(None) => {
                    let mut course = self.progress.course();
                    match (self.place, course.stage) {
                        // Only now does the closing boundary go out, so before this no server can have the whole.
                        (Place::Last, Stage::Moving | Stage::Starved) => {
                            course.stage = Stage::Whole;
                            course.moved = Instant::now();
                            self.progress.whole.notify_one();
                        }
                        (_, Stage::Abandoned) => {
                            return Poll::Ready(Some(Err(io::Error::other("the upload was given up"))));
                        }
                        (Place::Before, Stage::Moving | Stage::Starved) | (_, Stage::Whole) => {}
                    }
                    return Poll::Ready(None);
                }
            }
        }
        let size = self.held.len().min(PIECE);
        let piece = self.held.split_to(size);
        let mut course = self.progress.course();
        match course.stage {
            Stage::Moving | Stage::Starved => course.stage = Stage::Moving,
            Stage::Whole | Stage::Abandoned => {}
        }
        course.moved = Instant::now();
        drop(course);
        Poll::Ready(Some(Ok(piece)))
    }
}
