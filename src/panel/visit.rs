//! One client at the socket: who it is, what it asks line by line, what it is answered. It may say anything, or nothing.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;

use super::wire::{Answer, Asked, Kind, Place, Wait};
use crate::daemon::{Command, Goal, Request};
use crate::file::{MappingName, RelPath};

/// How long a client may take to say something, and to take in what it is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The longest request, in bytes with its end of line.
const LONGEST: u64 = 64 << 10;

/// How many lines of progress may wait for a client.
const PROGRESS: usize = 4;

/// A client that loses its line: whatever is wrong with it, there is nobody to tell.
struct Gone;

/// Hears one client until it has nothing more to say. The chair is free when this ends.
pub(super) async fn visit(line: UnixStream, commands: mpsc::Sender<Command>, chair: OwnedSemaphorePermit) {
    if !is_ours(&line) {
        return;
    }
    let (read, write) = line.into_split();
    let mut visit = Visit { read: BufReader::new(read), write, commands };
    while let Ok(true) = visit.turn().await {}
    drop(chair);
}

/// Tells a client that all chairs are taken, if it can be told without waiting.
pub(super) fn turn_away(line: &UnixStream) {
    let told = format!("failed to answer: {} others are being answered", super::CLIENTS);
    if let Ok(text) = serde_json::to_string(&Answer::new(Kind::Busy(told))) {
        drop(line.try_write(format!("{text}\n").as_bytes()));
    }
}

/// The mode of the socket keeps others out; this does where a file system does not hold to modes.
fn is_ours(line: &UnixStream) -> bool {
    line.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw())
}

struct Visit {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    commands: mpsc::Sender<Command>,
}

impl Visit {
    /// Hears one request and answers it. False when the client has nothing more to say.
    async fn turn(&mut self) -> Result<bool, Gone> {
        let mut request = Vec::new();
        let mut limited = (&mut self.read).take(LONGEST);
        let heard = timeout(PATIENCE, limited.read_until(b'\n', &mut request)).await;
        match heard {
            Ok(Ok(0)) | Ok(Err(_)) | Err(_) => return Ok(false),
            Ok(Ok(_)) if request.last() != Some(&b'\n') && request.len() as u64 >= LONGEST => {
                self.tell(&Answer::error("failed to read a request: it is longer than 64 KiB")).await?;
                return Ok(false);
            }
            Ok(Ok(_)) => {}
        }
        match serde_json::from_slice::<Asked>(&request) {
            Ok(asked) => self.answer(asked).await?,
            Err(error) => {
                self.tell(&Answer::error(format!("failed to read a request: {error}"))).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn answer(&mut self, asked: Asked) -> Result<(), Gone> {
        let kind = match asked {
            Asked::Status {} => self.ask(Command::Look).await?.into(),
            Asked::Next { of } => match of.key() {
                Ok(key) => self.ask(|answer| Command::When(key, answer)).await?.into(),
                Err(why) => Kind::Error(why),
            },
            Asked::Sync { scope, wait } => match read(&scope) {
                Ok(scope) => return self.sync(scope, wait).await,
                Err(why) => Kind::Error(why),
            },
            Asked::Retry { scope } => match read(&scope) {
                Ok(scope) => result(self.ask(|answer| Command::Retry(scope, answer)).await?, Kind::Retried),
                Err(why) => Kind::Error(why),
            },
            Asked::Reload {} => result(self.ask(Command::Reload).await?, Kind::Reloaded),
            Asked::Pause { mapping } => {
                let mapping = mapping.as_deref().map(MappingName::new);
                result(self.ask(|answer| Command::Pause(mapping, answer)).await?, Kind::from)
            }
            Asked::Resume { mapping } => {
                let mapping = mapping.as_deref().map(MappingName::new);
                result(self.ask(|answer| Command::Resume(mapping, answer)).await?, Kind::from)
            }
            Asked::Agree { mapping, terms } => {
                let name = MappingName::new(&mapping);
                let agreed = self.ask(|answer| Command::Agree(name, terms, answer)).await?;
                result(agreed, |()| Kind::Approved(mapping))
            }
            Asked::Approve { mapping, root } => {
                let name = MappingName::new(&mapping);
                let approved = self.ask(|answer| Command::Approve(name, root.into(), answer)).await?;
                result(approved, |()| Kind::Approved(mapping))
            }
        };
        self.tell(&Answer::new(kind)).await
    }

    /// Has the loop make a pass, and tells how far it is until it has ended.
    async fn sync(&mut self, scope: Vec<(MappingName, RelPath)>, wait: Wait) -> Result<(), Gone> {
        let (progress, mut told) = mpsc::channel(PROGRESS);
        let (ended, mut end) = oneshot::channel();
        let goal = wait.goal().unwrap_or(Goal::Sent);
        let places = scope.len() as u64;
        self.command(Command::Sync(Request { scope, goal, progress, ended })).await?;
        if wait == Wait::None {
            // The loop surveys before it notices that nobody waits.
            return self.tell(&Answer::new(Kind::Begun(places))).await;
        }
        loop {
            let kind = tokio::select! {
                biased;
                end = &mut end => match end.map_err(|_| Gone)? {
                    Ok(report) => Kind::from(&report),
                    Err(why) => Kind::Error(why),
                },
                Some(progress) = told.recv() => progress.into(),
            };
            let is_last = !matches!(kind, Kind::Progress(_));
            self.tell(&Answer::new(kind)).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Asks the loop, and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        self.command(command(answer)).await?;
        answered.await.map_err(|_| Gone)
    }

    async fn command(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).await.map_err(|_| Gone)
    }

    async fn tell(&mut self, answer: &Answer) -> Result<(), Gone> {
        let mut text = serde_json::to_vec(answer).map_err(|_| Gone)?;
        text.push(b'\n');
        timeout(PATIENCE, self.write.write_all(&text)).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }
}

fn read(scope: &[Place]) -> Result<Vec<(MappingName, RelPath)>, String> {
    scope.iter().map(Place::read).collect()
}

fn result<T>(result: Result<T, String>, kind: impl FnOnce(T) -> Kind) -> Kind {
    result.map_or_else(Kind::Error, kind)
}
