//! Somebody else's server: it remembers every byte that reached it, and answers as a test wants.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server on a port of its own; it ends with the test.
pub(crate) struct Stranger {
    port: u16,
    heard: Arc<Mutex<String>>,
    _tasks: JoinSet<()>,
}

impl Stranger {
    /// Answers every request, given its head, with these bytes, and hangs up.
    pub(crate) async fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(String::new()));
        let note = Arc::clone(&heard);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut piece = [0; 4096];
                    match socket.read(&mut piece).await {
                        Ok(0) | Err(_) => break,
                        Ok(length) => head.extend_from_slice(&piece[..length]),
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                note.lock().unwrap().push_str(&head);
                let _ = socket.write_all(answer(&head).as_bytes()).await;
                let _ = socket.shutdown().await;
            }
        });
        Self { port, heard, _tasks: tasks }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address under the usual number of this machine.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything that reached it.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

/// An answer of HTTP/1.1, as bytes.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}
