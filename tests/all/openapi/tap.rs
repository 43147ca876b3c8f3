//! A tap on the wire: a proxy that copies bytes both ways and remembers them, so that what is judged is what was sent.
//!
//! It reads HTTP/1.1 afterwards, as far as client and emulator speak it, and knows nothing of the API.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A proxy to one server; it ends when it is dropped.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    wires: Arc<Mutex<Vec<Wire>>>,
    _task: JoinSet<()>,
}

/// What went over one connection so far.
#[derive(Default, Clone)]
struct Wire {
    asked: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

/// A request or an answer.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Its first line.
    pub(crate) line: String,
    /// Its headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// One that nobody sent.
    pub(crate) fn of(line: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().filter(|(_, value)| !value.is_empty());
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { line: line.to_owned(), headers, body: body.as_bytes().to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A word of its first line.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.line.split(' ').nth(index).unwrap_or_default()
    }
}

/// A request with its answer; `None` if the answer was lost on its way.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) asked: Message,
    pub(crate) answered: Option<Message>,
}

impl Tap {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wires: Arc<Mutex<Vec<Wire>>> = Arc::default();
        let kept = Arc::clone(&wires);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let wire = Wire::default();
                kept.lock().unwrap().push(wire.clone());
                open.spawn(async move {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
                    // As soon as one side ends, both do: a lost answer is to be lost.
                    tokio::select! {
                        () = copy(from_client, to_server, wire.asked) => {}
                        () = copy(from_server, to_client, wire.answered) => {}
                    }
                });
            }
        });
        Self { address, wires, _task: task }
    }

    /// All that was asked and answered so far, connection by connection.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        let wires = self.wires.lock().unwrap().clone();
        wires
            .iter()
            .flat_map(|wire| {
                let mut answers = messages(&wire.answered.lock().unwrap()).into_iter();
                let asked = messages(&wire.asked.lock().unwrap());
                asked.into_iter().map(move |asked| Exchange { asked, answered: answers.next() })
            })
            .collect()
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        kept.lock().unwrap().extend(&piece[..length]);
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// The whole messages at the start of `bytes`; a last one that breaks off is left out.
fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((message, after)) = message(rest) {
        found.push(message);
        rest = after;
    }
    found
}

fn message(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let (head, rest) = cut(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8(head.to_vec()).unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let headers = headers.lines().map(|header| {
        let (name, value) = header.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    let mut message = Message { line: line.to_owned(), headers: headers.collect(), body: Vec::new() };
    let length = message.header("content-length").map(|length| length.parse::<usize>().unwrap());
    let chunked = message.header("transfer-encoding") == Some("chunked");
    let rest = match (length, chunked) {
        (Some(length), _) => {
            message.body = rest.get(..length)?.to_vec();
            &rest[length..]
        }
        (None, true) => unchunked(rest, &mut message.body)?,
        (None, false) => rest,
    };
    Some((message, rest))
}

fn unchunked<'a>(mut rest: &'a [u8], body: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (size, after) = cut(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap().trim(), 16).unwrap();
        body.extend(after.get(..size)?);
        rest = after.get(size + 2..)?;
        if size == 0 {
            return Some(rest);
        }
    }
}

/// What lies before and behind a mark.
pub(super) fn cut<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

#[test]
fn messages_are_read_with_and_without_a_length_and_in_chunks() {
    let bytes = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc\
        POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\nPUT /d HTTP/1.1\r\n";
    let found: Vec<_> = messages(bytes).into_iter().map(|it| (it.line, it.body)).collect();
    let wanted = [("GET /a", &b""[..]), ("POST /b", b"abc"), ("POST /c", b"def")];
    assert_eq!(found, wanted.map(|(line, body)| (format!("{line} HTTP/1.1"), body.to_vec())));
}
