//! Connections that can be spoilt on purpose: reset, closed without an answer, or given bytes that are no HTTP.
//!
//! A handler only sees requests and answers, but the faults worth having lie below them. So the listener hands out a
//! [`Wire`] with each connection, and the connection obeys it. This file must not know which faults there are.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const ALIVE: u8 = 0;
const CLOSE: u8 = 1;
const RESET: u8 = 2;

/// The handle on one connection. After any of its methods the handler should return some answer: the attempt to
/// write it is what brings the connection down.
#[derive(Clone, Debug)]
pub(super) struct Wire(Arc<State>);

#[derive(Debug, Default)]
struct State {
    doom: AtomicU8,
    raw: Mutex<Option<Vec<u8>>>,
    waker: Mutex<Option<Waker>>,
}

impl Wire {
    /// Ends the connection by RST: what the peer has not read yet is lost.
    pub(super) fn reset(&self) {
        self.0.end(RESET);
    }

    /// Ends the connection without another byte.
    pub(super) fn close(&self) {
        self.0.end(CLOSE);
    }

    /// Sends `bytes` in place of the answer, then closes.
    pub(super) fn replace_answer(&self, bytes: Vec<u8>) {
        *self.0.raw.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }
}

impl State {
    fn end(&self, how: u8) {
        self.doom.store(how, Ordering::SeqCst);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

/// Every open connection, so that stopping is bounded also when a client keeps one open.
#[derive(Clone, Debug, Default)]
pub(super) struct Wires(Arc<Mutex<Vec<Weak<State>>>>);

impl Wires {
    /// Closes all connections now.
    pub(super) fn close_all(&self) {
        let open = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        open.iter().filter_map(Weak::upgrade).for_each(|state| state.end(CLOSE));
    }

    fn add(&self, state: &Arc<State>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(state));
    }
}

/// A TCP listener whose connections obey a [`Wire`].
#[derive(Debug)]
pub(super) struct WireListener {
    pub(super) inner: TcpListener,
    pub(super) wires: Wires,
}

impl Listener for WireListener {
    type Io = Io;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Io, SocketAddr) {
        loop {
            match self.inner.accept().await {
                Ok((stream, from)) => {
                    // Small answers to many small requests: waiting for more to send only costs time.
                    let _unimportant = stream.set_nodelay(true);
                    let state = Arc::new(State::default());
                    self.wires.add(&state);
                    return (Io { stream, state, sent: 0 }, from);
                }
                // Out of descriptors, or a client that left again: there is nothing to do but to go on.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        Self(Arc::clone(&stream.io().state))
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Io {
    stream: TcpStream,
    state: Arc<State>,
    /// How much of the raw answer is out.
    sent: usize,
}

impl Io {
    fn obey(&self, context: &Context<'_>) -> io::Result<()> {
        *self.state.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match self.state.doom.load(Ordering::SeqCst) {
            ALIVE => Ok(()),
            RESET => {
                self.stream.set_zero_linger()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn raw(&self) -> Option<Vec<u8>> {
        self.state.raw.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.obey(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.obey(context)?;
        if let Some(raw) = self.raw() {
            while self.sent < raw.len() {
                let from = self.sent;
                self.sent += ready!(Pin::new(&mut self.stream).poll_write(context, &raw[from..]))?;
            }
            self.state.end(CLOSE);
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.obey(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.obey(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
