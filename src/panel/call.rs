//! The other end of the line: how a command reaches the running daemon. It prints nothing and decides nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::Error;
use super::wire::{Answer, Asked, Kind};

/// How long a free chair is waited for.
const CHAIR: Duration = Duration::from_secs(10);

/// How often a chair is asked for.
const AGAIN: Duration = Duration::from_millis(100);

/// How long an answer may take. A loop that is busy with its ledger answers late; one that turns always answers.
const ANSWER: Duration = Duration::from_secs(60);

/// One request that was put, and the line on which the answers come.
#[derive(Debug)]
pub struct Call {
    line: BufReader<UnixStream>,
    path: PathBuf,
    /// What was heard already while a chair was waited for.
    heard: Option<Kind>,
}

impl Call {
    /// Puts a request to the daemon at this socket.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if nobody answers there.
    pub async fn put(path: &Path, asked: &Asked) -> Result<Self, Error> {
        let deadline = Instant::now() + CHAIR;
        loop {
            let mut call = Self::dial(path, asked).await?;
            match call.hear().await? {
                Kind::Busy(why) if Instant::now() >= deadline => return Err(call.unreachable(why)),
                Kind::Busy(_) => tokio::time::sleep(AGAIN).await,
                kind => return Ok(Self { heard: Some(kind), ..call }),
            }
        }
    }

    /// Puts a request that has one answer, and gives it back.
    ///
    /// # Errors
    /// [`Error`], if there is none. That the daemon refuses is an answer.
    pub async fn ask(path: &Path, asked: &Asked) -> Result<Kind, Error> {
        Self::put(path, asked).await?.next().await
    }

    /// The next answer.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the daemon is gone, [`Error::Gibberish`] if it says what nobody knows.
    pub async fn next(&mut self) -> Result<Kind, Error> {
        match self.heard.take() {
            Some(kind) => Ok(kind),
            None => self.hear().await,
        }
    }

    async fn dial(path: &Path, asked: &Asked) -> Result<Self, Error> {
        let unreachable =
            |why: std::io::Error| Error::Unreachable { path: path.to_owned(), why: why.to_string() };
        let mut line = UnixStream::connect(path).await.map_err(unreachable)?;
        let mut text = serde_json::to_vec(asked).map_err(|error| Error::Gibberish(error.to_string()))?;
        text.push(b'\n');
        // One that is turned away may have lost the line by now: why is on it all the same.
        drop(line.write_all(&text).await);
        Ok(Self { line: BufReader::new(line), path: path.to_owned(), heard: None })
    }

    async fn hear(&mut self) -> Result<Kind, Error> {
        let mut text = String::new();
        match timeout(ANSWER, self.line.read_line(&mut text)).await {
            Ok(Ok(0)) => Err(self.unreachable("it hung up".to_owned())),
            Ok(Ok(_)) => {
                let answer = serde_json::from_str::<Answer>(&text);
                Ok(answer.map_err(|error| Error::Gibberish(error.to_string()))?.kind)
            }
            Ok(Err(error)) => Err(self.unreachable(error.to_string())),
            Err(_) => Err(self.unreachable("it does not answer".to_owned())),
        }
    }

    fn unreachable(&self, why: String) -> Error {
        Error::Unreachable { path: self.path.clone(), why }
    }
}
