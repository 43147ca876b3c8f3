//! What a demonstration is played on: an emulated cloud, a temporary directory, and a configuration between them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::studio;
use crate::cli::desk;
use crate::cli::failure::{Exit, Failure};
use crate::cloud::Client;
use crate::config::{self, Config, Environment};
use crate::desk::Desk;
use crate::emulator::{Emulator, Knobs, Options};
use crate::file::{Key, MappingName, RelPath, shown};
use crate::ledger::Ledger;
use crate::mapping::Mapping;
use crate::meter::Meter;

/// The name of the one mapping.
const NAME: &str = "studio";

/// Everything that a demonstration needs; gone without a trace when it is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) emulator: Emulator,
    pub(super) config: Config,
    /// The same configuration as a file, for other commands that look on.
    pub(super) file: PathBuf,
    pub(super) root: PathBuf,
    pub(super) ledger: Ledger,
    client: Client,
    /// Last, so that everything else is closed before it goes.
    _dir: TempDir,
}

impl Stage {
    /// Sets it up for a directory of the user's, which is never written to, or for a studio tree of our own.
    ///
    /// # Errors
    /// A directory that cannot be used, a temporary directory that cannot be written.
    pub(super) async fn set(given: Option<&Path>) -> Result<Self, Failure> {
        let dir =
            tempfile::Builder::new().prefix("versync-demo-").tempdir().map_err(|error| failed(&error))?;
        let root = match given {
            Some(given) => theirs(given, dir.path())?,
            None => ours(dir.path()).map_err(|error| failed(&error))?,
        };
        // Long enough to be seen, short enough not to bore.
        let knobs = Knobs { conversion_ms: 600, ..Knobs::default() };
        let options = Options { knobs, ..Options::default() };
        let emulator = Box::pin(Emulator::start(options)).await.map_err(Failure::from)?;
        let token = dir.path().join("user_token");
        write(&token, &emulator.seeds().user_token).map_err(|error| failed(&error))?;
        let text = configuration(&emulator, dir.path(), &token, &root)?;
        let file = dir.path().join("versync.toml");
        write(&file, &text).map_err(|error| failed(&error))?;
        let environment = Environment::default();
        let config = config::parse(&text, "the demonstration", &environment)?;
        let ledger = Ledger::open(&config.state_dir)?;
        let client = desk::client(&config, &environment)?;
        Ok(Self { emulator, config, file, root, ledger, client, _dir: dir })
    }

    /// A desk of its own for each run of the loop: the last one closes its desk.
    pub(super) fn desk(&self) -> Arc<Desk> {
        Desk::lay(&self.config, self.client.clone(), self.ledger.clone(), Meter::default())
    }

    pub(super) fn mapping(&self) -> Result<&Mapping, Failure> {
        let first = self.config.mappings.first();
        first.ok_or_else(|| Failure::new(Exit::Unclassified, "failed to find the demonstration's mapping"))
    }

    pub(super) fn key(&self, path: &str) -> Result<Key, Failure> {
        let path = RelPath::from_bytes(path.as_bytes())
            .map_err(|error| Failure::new(Exit::Unclassified, error.to_string()))?;
        Ok(Key::new(MappingName::new(NAME), path))
    }
}

fn ours(dir: &Path) -> std::io::Result<PathBuf> {
    // Links in the way to temporary directories are common, and would show as two spellings of one path.
    let root = dir.canonicalize()?.join(NAME);
    DirBuilder::new().create(&root)?;
    studio::build(&root)?;
    Ok(root)
}

fn theirs(given: &Path, dir: &Path) -> Result<PathBuf, Failure> {
    let name = shown(&given.to_string_lossy());
    let root = given
        .canonicalize()
        .map_err(|error| Failure::new(Exit::Usage, format!("failed to open {name}: {error}")))?;
    if !root.is_dir() {
        return Err(Failure::new(Exit::Usage, format!("failed to sync {name}: it is no directory")));
    }
    if dir.canonicalize().is_ok_and(|dir| dir.starts_with(&root)) {
        return Err(Failure::new(
            Exit::Usage,
            format!("failed to sync {name}: the demonstration's own files lie below it"),
        )
        .hint("name a directory that holds models, not one above the temporary directory"));
    }
    Ok(root)
}

fn configuration(emulator: &Emulator, dir: &Path, token: &Path, root: &Path) -> Result<String, Failure> {
    let quoted = |path: &Path| match path.to_str() {
        Some(text) => Ok(config::quoted(text)),
        None => Err(Failure::new(
            Exit::Usage,
            format!("failed to name {} in a configuration: it is not UTF-8", shown(&path.to_string_lossy())),
        )),
    };
    Ok(format!(
        r#"# Made by `versync demo`; gone when it ends. The waits are short so that there is something to see.
state_dir = {state}

[server]
url = "{url}"

[auth]
user_token_file = {token}

[limits]
poll_first = "60ms"
poll_max = "500ms"
retry_first = "100ms"

[defaults]
settle = "250ms"
delete_settle = "2s"
bundle_wait = "250ms"

[[mapping]]
name = "{NAME}"
path = {root}
folder = "{folder}"
"#,
        state = quoted(&dir.join("state"))?,
        url = emulator.url(),
        token = quoted(token)?,
        root = quoted(root)?,
        folder = emulator.seeds().folder_id,
    ))
}

/// Others may not read it: one of the files is a token, if only a fake one.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unclassified, format!("failed to set up the demonstration: {error}"))
        .hint("it needs a few MiB in the temporary directory ($TMPDIR)")
}
