//! The emulator's memory across restarts: one JSON snapshot, replaced as a whole before a change is answered.
//!
//! Simple beats fast here: the emulator with `--data` is for people, not for load. Changes that come together share
//! one snapshot.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::Vault;
use super::object::{ARRIVING, Objects};
use crate::emulator::Site;

const SNAPSHOT: &str = "environment.json";
const OBJECTS: &str = "objects";

/// The directory that the environment is kept in.
#[derive(Debug)]
pub(in crate::emulator) struct Keeper {
    directory: PathBuf,
    /// One snapshot at a time, or an older one could overtake a newer one.
    turn: tokio::sync::Mutex<()>,
}

impl Keeper {
    /// Opens the directory, making it if need be: the objects, and the vault if there was one.
    pub(in crate::emulator) async fn open(directory: &Path) -> io::Result<(Self, Objects, Option<Vault>)> {
        let objects = directory.join(OBJECTS);
        tokio::fs::create_dir_all(&objects).await?;
        let vault = match tokio::fs::read_to_string(directory.join(SNAPSHOT)).await {
            Ok(text) => Some(serde_json::from_str(&text).map_err(io::Error::other)?),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => None,
            Err(fault) => return Err(fault),
        };
        let mut entries = tokio::fs::read_dir(&objects).await?;
        while let Some(entry) = entries.next_entry().await? {
            // An upload was under way when the emulator was killed.
            if entry.file_name().to_string_lossy().starts_with(ARRIVING) {
                tokio::fs::remove_file(entry.path()).await?;
            }
        }
        let keeper = Self { directory: directory.into(), turn: tokio::sync::Mutex::new(()) };
        Ok((keeper, Objects::Kept(objects), vault))
    }

    /// Writes down what the site holds now.
    pub(in crate::emulator) async fn save(&self, site: &Site) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let (text, stray) = snapshot(site)?;
        let directory = self.directory.clone();
        let written = tokio::task::spawn_blocking(move || replace(&directory, &text)).await;
        written.map_err(io::Error::other)??;
        for path in stray {
            tokio::fs::remove_file(path).await?;
        }
        Ok(())
    }
}

fn snapshot(site: &Site) -> io::Result<(Vec<u8>, Vec<PathBuf>)> {
    let mut vault = site.vault();
    let stray = if std::mem::take(&mut vault.discarded) {
        let used: HashSet<String> =
            vault.files.iter().filter_map(|file| file.object.kept().map(str::to_owned)).collect();
        site.objects.stray(&used)?
    } else {
        Vec::new()
    };
    Ok((serde_json::to_vec(&*vault)?, stray))
}

fn replace(directory: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    io::Write::write_all(&mut file, text)?;
    file.persist(directory.join(SNAPSHOT))?;
    Ok(())
}
