//! How fast bytes may leave: one budget that all uploads share. Knows no file and no request.

use std::io;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// A stream of a file's bytes.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The budget of bytes a second, shared by cloning.
#[derive(Debug, Clone, Default)]
pub struct Pace(Option<Arc<DefaultDirectRateLimiter>>);

/// The most bytes that go at once: small, so that a slow line shows that it moves long before it counts as stalled.
const PIECE: u32 = 16 * 1024;

impl Pace {
    /// At most this many bytes a second on average; as many as there are, if nothing is said. Rates beyond 4 GiB/s are none.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        let rate = bytes_per_second.and_then(|rate| u32::try_from(rate).ok()).and_then(NonZeroU32::new);
        let piece = NonZeroU32::new(PIECE).unwrap_or(NonZeroU32::MIN);
        Self(rate.map(|rate| Arc::new(RateLimiter::direct(Quota::per_second(rate).allow_burst(piece)))))
    }

    /// The same bytes, no faster than the budget allows.
    #[must_use]
    pub fn keep(&self, bytes: ByteStream) -> ByteStream {
        let Some(limiter) = self.0.clone() else { return bytes };
        let pieces = bytes.flat_map(|chunk| futures_util::stream::iter(cut(chunk)));
        Box::pin(pieces.then(move |piece| {
            let limiter = Arc::clone(&limiter);
            async move {
                let length = piece.as_ref().map_or(0, Bytes::len);
                let turn = u32::try_from(length).ok().and_then(NonZeroU32::new);
                match turn.map(|length| limiter.until_n_ready(length)) {
                    // A piece is never longer than the burst, so it always has its turn.
                    Some(turn) => turn.await.map_err(io::Error::other).and(piece),
                    None => piece,
                }
            }
        }))
    }
}

fn cut(chunk: io::Result<Bytes>) -> Vec<io::Result<Bytes>> {
    match chunk {
        Ok(mut bytes) => {
            let mut pieces = Vec::with_capacity(bytes.len() / PIECE as usize + 1);
            while bytes.len() > PIECE as usize {
                pieces.push(Ok(bytes.split_to(PIECE as usize)));
            }
            pieces.push(Ok(bytes));
            pieces
        }
        Err(error) => vec![Err(error)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient;
    use std::time::Duration;

    fn bytes(length: usize) -> ByteStream {
        Box::pin(futures_util::stream::iter([Ok(Bytes::from(vec![7; length]))]))
    }

    #[tokio::test]
    async fn a_budget_slows_the_bytes_and_changes_none() {
        let pace = Pace::new(Some(256 * 1024));
        let start = ambient::tick();
        let sent: Vec<_> = pace.keep(bytes(64 * 1024)).collect().await;
        let took = ambient::tick().since(start);
        assert!(
            took >= Duration::from_millis(150),
            "48 KiB beyond the burst at 256 KiB/s take 187 ms, took {took:?}"
        );
        assert_eq!(sent.iter().map(|piece| piece.as_ref().unwrap().len()).sum::<usize>(), 64 * 1024);
    }

    #[tokio::test]
    async fn without_a_budget_nothing_is_cut() {
        let sent: Vec<_> = Pace::new(None).keep(bytes(64 * 1024)).collect().await;
        assert_eq!(sent.len(), 1);
    }
}
