//! What a running daemon shows and takes over a unix socket in its state directory: one request on a line, answers on lines, JSON.
//!
//! It turns requests into commands to the loop and knows nothing of how they are obeyed. No request names a path to read, runs
//! anything or changes the configuration. Whoever talks too much, too slowly or not at all loses the line, and nobody else does.

mod call;
mod visit;
mod wire;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::daemon::Command;
use crate::file::shown;

pub use call::Call;
pub use wire::{
    Answer, Asked, End, Kind, MappingStanding, Numbers, Place, Root, Standing, Steered, Wait, When,
};

/// The socket in the state directory.
const SOCKET: &str = "versync.sock";

/// The longest path of a socket, in bytes: `sun_path` holds 104 on the BSDs and 108 on Linux, with a NUL at its end.
const LONGEST: usize = 103;

/// How many clients are heard at once.
pub const CLIENTS: usize = 8;

/// Why a panel cannot be opened or reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory's path is longer than that of a socket may be.
    #[error("failed to find a place for the control socket: {} is longer than {LONGEST} bytes; set `state_dir` to a shorter path, or XDG_RUNTIME_DIR to a directory of your own", shown(&.0.to_string_lossy()))]
    TooLong(PathBuf),
    /// Something else than a socket lies where it should be.
    #[error("failed to open the control socket {}: something else lies there", shown(&.0.to_string_lossy()))]
    Occupied(PathBuf),
    /// The system refuses it.
    #[error("failed to open the control socket {}: {why}", shown(&.path.to_string_lossy()))]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// Nobody answers.
    #[error("failed to reach the running versync at {}: {why}", shown(&.path.to_string_lossy()))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// What came back is no answer.
    #[error("failed to understand the running versync: {0}; is it of another version?")]
    Gibberish(String),
}

/// Where the socket of a state directory lies: in it, or where its path would be too long in the user's runtime directory.
///
/// # Errors
/// [`Error::TooLong`] if neither has room.
pub fn address(state_dir: &Path, runtime_dir: Option<&Path>) -> Result<PathBuf, Error> {
    let fits = |path: &Path| path.as_os_str().as_bytes().len() <= LONGEST;
    let usual = state_dir.join(SOCKET);
    if fits(&usual) {
        return Ok(usual);
    }
    // One name for each state directory, so that two services of one user do not meet.
    let hash = blake3::hash(state_dir.as_os_str().as_bytes()).to_hex();
    runtime_dir
        .map(|dir| dir.join(format!("versync-{}.sock", &hash[..16])))
        .filter(|path| fits(path))
        .ok_or(Error::TooLong(usual))
}

/// The open panel: it closes, and takes its socket away, when it is dropped.
#[derive(Debug)]
pub struct Panel {
    path: PathBuf,
    _doorman: JoinSet<()>,
}

impl Panel {
    /// Opens it. Only for the holder of the ledger's lock: a socket that already lies there is one of a dead daemon, and goes.
    ///
    /// # Errors
    /// [`Error::Occupied`] and [`Error::Socket`].
    pub fn open(path: PathBuf, commands: mpsc::Sender<Command>) -> Result<Self, Error> {
        let fault = |why| Error::Socket { path: path.clone(), why };
        match path.symlink_metadata() {
            Ok(there) if there.file_type().is_socket() => remove(&path).map_err(fault)?,
            Ok(_) => return Err(Error::Occupied(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fault(error)),
        }
        let listener = UnixListener::bind(&path).map_err(fault)?;
        // Until this is done somebody else may knock; `visit` asks everyone who they are.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
        let mut doorman = JoinSet::new();
        doorman.spawn(receive(listener, commands));
        Ok(Self { path, _doorman: doorman })
    }

    /// Where it is reached.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        // One that stays is replaced by the next start.
        drop(remove(&self.path));
    }
}

#[expect(clippy::disallowed_methods, reason = "the socket in the state directory is ours")]
fn remove(path: &Path) -> std::io::Result<()> {
    std::fs::remove_file(path)
}

/// Lets clients in, as many as there are chairs, and tells the others that there is none.
async fn receive(listener: UnixListener, commands: mpsc::Sender<Command>) {
    let chairs = Arc::new(Semaphore::new(CLIENTS));
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            came = listener.accept() => match came {
                Ok((line, _)) => match Arc::clone(&chairs).try_acquire_owned() {
                    Ok(chair) => drop(visits.spawn(visit::visit(line, commands.clone(), chair))),
                    Err(_) => visit::turn_away(&line),
                },
                // Too many open files, most likely: nothing that haste would mend.
                Err(error) => {
                    tracing::debug!(%error, "nobody could be let in at the control socket");
                    tokio::time::sleep(visit::PATIENCE).await;
                }
            },
            Some(_) = visits.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_too_long_moves_to_the_runtime_directory_or_tells_the_cure() {
        let runtime = Path::new("/run/user/1000");
        let short = Path::new("/var/lib/versync");
        assert_eq!(address(short, Some(runtime)).unwrap(), short.join("versync.sock"));
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));
        let moved = address(&long, Some(runtime)).unwrap();
        assert!(moved.starts_with(runtime), "{moved:?}");
        assert_ne!(moved, address(&long.join("y"), Some(runtime)).unwrap());
        let told = address(&long, None).unwrap_err().to_string();
        assert!(told.contains("state_dir") && told.contains("XDG_RUNTIME_DIR"), "{told}");
    }
}
