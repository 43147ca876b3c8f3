//! The comparison of one mapping: every file here with what the ledger knows of it and the cloud holds of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::remote::{self, There};
use super::{Depth, Finding, Found};
use crate::ambient;
use crate::cli::failure::{Exit, Failure};
use crate::cloud::Client;
use crate::disk::{self, Directory, Kind, Look, Root, Visit};
use crate::file::entry::{RemotePart, Role};
use crate::file::{Attempt, Content, Entry, Fingerprint, Key, RelPath, shown};
use crate::id::SourceFileId;
use crate::ledger::Reader;
use crate::mapping::Mapping;
use crate::plan::is_same_file;

/// How many threads walk a tree.
const THREADS: usize = 2;

/// A comparison, and what it looks at.
pub(super) struct Comparison<'a> {
    pub(super) client: &'a Client,
    /// None if there is no ledger yet.
    pub(super) reader: Option<&'a Reader>,
    pub(super) mapping: &'a Mapping,
    pub(super) depth: Depth,
}

impl Comparison<'_> {
    /// Compares everything in and below `path`. What is only in the cloud is told for the mapping as a whole.
    pub(super) async fn of(&self, path: &RelPath) -> Result<Vec<Found>, Failure> {
        let root = Root::new(self.mapping.root.clone());
        self.refuse_another_root(&root)?;
        let mut here = self.here(&root, path)?;
        let bundles = self.bundles(path)?;
        let mut there = match path.is_root() {
            true => remote::below(self.client, self.mapping.folder).await?,
            false => HashMap::new(),
        };
        let mut found = Vec::new();
        let mut told = HashSet::new();
        for (key, entry) in &bundles {
            let is_here = here.remove(&key.path).is_some();
            let Some(current) = &entry.current else {
                if is_here {
                    let why = format!("{} and not in the cloud yet", entry.state());
                    found.push(self.found(&key.path, Finding::Unknown, why, None));
                }
                continue;
            };
            for part in current.parts() {
                if told.insert((part.source_file, part.part.path.clone())) {
                    found.push(self.part(&root, part, &mut there).await?);
                }
            }
        }
        for path in here.into_keys() {
            // A file that travels with a model was compared with it.
            if self.is_carried(&path)? {
                continue;
            }
            found.push(self.found(&path, Finding::Unknown, "never sent".to_owned(), None));
        }
        if path.is_root() {
            found.extend(self.only_there(&bundles, &there));
        }
        found.sort_by(|a, b| (a.finding, &a.path).cmp(&(b.finding, &b.path)));
        Ok(found)
    }

    fn refuse_another_root(&self, root: &Root) -> Result<(), Failure> {
        let unreachable = |error: disk::Error| {
            Failure::new(Exit::Configuration, error.to_string())
                .hint("mount it, or correct `path` of the mapping")
        };
        let now = root.identity().map_err(unreachable)?;
        let pinned = self.reader.map(|reader| reader.root(&self.mapping.name)).transpose()?.flatten();
        if pinned.is_some_and(|pinned| !pinned.is_same_root(&now)) {
            let name = &self.mapping.name;
            return Err(Failure::new(
                Exit::Halted,
                format!(
                    "failed to verify {name}: another directory lies at its root than the one that was synced"
                ),
            )
            .hint(format!("mount the right one, or accept this one with `versync approve {name}`")));
        }
        Ok(())
    }

    /// The admitted files on disk.
    fn here(&self, root: &Root, path: &RelPath) -> Result<BTreeMap<RelPath, Fingerprint>, Failure> {
        let files = Mutex::new(BTreeMap::new());
        let take = |directory: Directory| {
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, fingerprint) in directory.files {
                if let Ok(path) = directory.path.join(&name) {
                    files.insert(path, fingerprint);
                }
            }
        };
        let visit = Visit { enter: &|_| {}, directory: &take };
        let cancel = CancellationToken::new();
        let walked = disk::scan(root, self.mapping, path, THREADS, &cancel, visit);
        match walked {
            Ok(report) => {
                if let Some((path, why)) = report.troubles.first() {
                    return Err(Failure::new(
                        Exit::FilesFailed,
                        format!("failed to read all of {path}: {why}"),
                    )
                    .hint("nothing can be said of what is in it"));
                }
            }
            // A file by itself, or one that lay there once.
            Err(disk::Error::NotDirectory { .. } | disk::Error::Gone { .. }) => {
                if let Ok(stat) = disk::stat(root, path)
                    && stat.kind == Kind::File
                {
                    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                    files.insert(path.clone(), stat.fingerprint);
                }
            }
            Err(error) => return Err(Failure::new(Exit::Unclassified, error.to_string())),
        }
        Ok(files.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn bundles(&self, path: &RelPath) -> Result<Vec<(Key, Entry)>, Failure> {
        let mut bundles = Vec::new();
        if let Some(reader) = self.reader {
            // A file by itself is not below itself.
            if !path.is_root() {
                let key = self.mapping.key(path.clone());
                let entry = reader.entry(&key)?;
                bundles.extend((entry != Entry::default()).then_some((key, entry)));
            }
            reader.bundles(Some(&self.mapping.name), Some(path), &mut |key, entry| {
                bundles.push((key, entry));
                ControlFlow::Continue(())
            })?;
        }
        Ok(bundles)
    }

    fn is_carried(&self, path: &RelPath) -> Result<bool, Failure> {
        let Some(reader) = self.reader else { return Ok(false) };
        Ok(!reader.leads_of(&self.mapping.name, path)?.is_empty())
    }

    async fn part(
        &self,
        root: &Root,
        part: &RemotePart,
        there: &mut HashMap<SourceFileId, There>,
    ) -> Result<Found, Failure> {
        let (path, id) = (&part.part.path, part.source_file);
        let told = |finding, detail: String| Ok(self.found(path, finding, detail, Some(id)));
        if !there.contains_key(&id)
            && let Some(found) = remote::one(self.client, id).await?
        {
            there.insert(id, found);
        }
        let here = match disk::stat(root, path) {
            Ok(stat) if stat.kind == Kind::File => stat.fingerprint,
            Ok(_) => return told(Finding::GoneHere, "no file lies here any more".to_owned()),
            Err(error) if error.is_gone() => {
                return told(Finding::GoneHere, "it lies here no more".to_owned());
            }
            Err(error) => return told(Finding::Unreadable, error.to_string()),
        };
        let Some(remote) = there.get(&id) else {
            return told(Finding::MissingRemote, "the cloud does not have it any more".to_owned());
        };
        if remote.size != here.size {
            let detail = format!("{} bytes here, {} in the cloud", here.size, remote.size);
            return told(Finding::SizeDiffers, detail);
        }
        let content = match self.content(root, path, &here)? {
            Ok(content) => content,
            Err(why) => return told(Finding::Unreadable, why),
        };
        if content != part.part.content {
            return told(Finding::ContentDiffers, "changed here since it was sent".to_owned());
        }
        if self.depth == Depth::Bytes && self.hash_there(id).await? != content.hash.0 {
            return told(Finding::ContentDiffers, "the cloud holds other bytes than were sent".to_owned());
        }
        told(Finding::Same, String::new())
    }

    /// The bytes here: those of the row where the stat vouches for them, else they are read.
    fn content(
        &self,
        root: &Root,
        path: &RelPath,
        stat: &Fingerprint,
    ) -> Result<Result<Content, String>, Failure> {
        let key = self.mapping.key(path.clone());
        let row = self.reader.map(|reader| reader.seen(&key)).transpose()?.flatten();
        if let Some(row) = row.filter(|row| self.depth == Depth::Listing && is_same_file(row, stat)) {
            return Ok(Ok(row.content));
        }
        Ok(match disk::read(root, path, ambient::now(), &CancellationToken::new()) {
            Ok(Look::Whole(seen)) => Ok(seen.content),
            Ok(Look::Changed) => Err("it was changed while it was read".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    async fn hash_there(&self, file: SourceFileId) -> Result<[u8; 32], Failure> {
        let mut bytes = self.client.download(file).await.map_err(|error| error.into_failure())?;
        let mut hasher = blake3::Hasher::new();
        while let Some(chunk) = bytes.next().await {
            hasher.update(&chunk.map_err(|error| error.into_failure())?);
        }
        Ok(*hasher.finalize().as_bytes())
    }

    /// What is in the cloud and was not met from here.
    fn only_there(&self, bundles: &[(Key, Entry)], there: &HashMap<SourceFileId, There>) -> Vec<Found> {
        let mut ours: HashMap<SourceFileId, Option<Finding>> = HashMap::new();
        for (_, entry) in bundles {
            if let Attempt::Converting(_, conversion) = &entry.attempt {
                ours.extend(conversion.files.iter().map(|(_, id)| (*id, None)));
            }
            for copy in &entry.copies {
                let finding = match copy.role {
                    Role::Superseded | Role::Archived | Role::Doomed | Role::Remains => Finding::Superseded,
                    Role::Torn => Finding::Torn,
                    Role::Orphan => Finding::Orphan,
                };
                ours.insert(copy.source_file, Some(finding));
            }
        }
        let current = bundles.iter().flat_map(|(_, entry)| &entry.current);
        ours.extend(current.flat_map(|it| it.parts().map(|part| (part.source_file, None))));
        let is_ours = |(id, _): &(&SourceFileId, &There)| ours.contains_key(id);
        let known: HashSet<(&str, u64)> =
            there.iter().filter(is_ours).map(|(_, file)| (file.path.as_str(), file.size)).collect();
        let told = |(id, file): (&SourceFileId, &There)| {
            let (finding, detail) = match ours.get(id) {
                Some(None) => return None,
                Some(Some(finding)) => (*finding, "a copy of ours that is not current"),
                // An upload whose answer was lost may show only after its bytes were sent once more. Nobody can prove it.
                None if known.contains(&(file.path.as_str(), file.size)) => (
                    Finding::Orphan,
                    "like a file of ours: perhaps an upload whose answer was lost; it is kept",
                ),
                None => (Finding::Foreign, "not ours"),
            };
            Some(Found {
                path: shown(&file.path),
                ..self.found(&RelPath::root(), finding, detail.to_owned(), Some(*id))
            })
        };
        there.iter().filter_map(told).collect()
    }

    fn found(
        &self,
        path: &RelPath,
        finding: Finding,
        detail: String,
        source_file: Option<SourceFileId>,
    ) -> Found {
        Found { mapping: self.mapping.name.clone(), path: path.to_string(), finding, detail, source_file }
    }
}
