//! The remote folder of a directory: found or made once, kept; and which files it held when it was last looked at.
//!
//! The API finds no folder by name or path and does not say whether names are unique among siblings, so folders are found
//! level by level, made one at a time, and remembered by id in the ledger.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::ambient;
use crate::cloud::{self, Client, Folder};
use crate::file::{MappingName, PartName, RelPath, shown};
use crate::id::{FolderId, SourceFileId};
use crate::ledger::Ledger;
use crate::mapping::Mapping;
use crate::patience::Patience;
use crate::plan::{Claimed, Namesake, Remote};
use crate::timestamp::Tick;
use crate::verdict::{Blame, Failure};
use crate::worker::blocking;

/// The remote folders of all mappings.
#[derive(Debug)]
pub struct Shelf {
    client: Client,
    ledger: Ledger,
    patience: Patience,
    makes: Makes,
    /// One lock for each directory: ten files of a new directory wait for the one that makes its folder.
    places: Mutex<HashMap<(MappingName, RelPath), Place>>,
    holdings: Mutex<HashMap<FolderId, Arc<Mutex<Option<Holding>>>>>,
    refuted: Mutex<HashMap<FolderId, Vec<SourceFileId>>>,
}

/// What the shelf may make in the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Makes {
    Folders,
    Nothing,
}

type Place = Arc<Mutex<Option<Found>>>;

/// A folder that was found or made.
#[derive(Debug, Clone, Copy)]
struct Found {
    folder: FolderId,
    made: Option<Tick>,
}

/// What a folder held when it was looked at: by both names that a source file has.
#[derive(Debug)]
struct Holding {
    looked: Tick,
    files: HashMap<String, Vec<(SourceFileId, u64)>>,
}

/// Whether a remote folder followed its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renamed {
    /// It did.
    Yes,
    /// It stays where it is, for the reason given.
    No(String),
}

/// How long a look at a folder's files is good enough to tell what was there before an upload.
const FRESH: Duration = Duration::from_secs(60);

/// How many folders' files are kept in mind.
const KEPT: usize = 256;

impl Shelf {
    /// An empty shelf: everything is asked for when it is first wanted.
    #[must_use]
    pub fn new(client: Client, ledger: Ledger, patience: Patience) -> Self {
        Self {
            client,
            ledger,
            patience,
            makes: Makes::Folders,
            places: Mutex::default(),
            holdings: Mutex::default(),
            refuted: Mutex::default(),
        }
    }

    /// The same shelf, which makes no folder: what has none yet cannot be found there.
    #[must_use]
    pub fn making_nothing(self) -> Self {
        Self { makes: Makes::Nothing, ..self }
    }

    /// The remote folder for leads in `dir`, made if need be, and the files in it that bear one of `names`.
    ///
    /// # Errors
    /// A failure with its blame: `Mapping` if the mapping's own folder is missing or may not be written.
    pub async fn consult(
        &self,
        mapping: &Mapping,
        dir: &RelPath,
        names: &[PartName],
    ) -> Result<Remote, Failure> {
        let found = self.folder(mapping, dir).await?;
        let namesakes = match self.namesakes(found.folder, names).await {
            Ok(namesakes) => namesakes,
            Err(error) => return Err(self.judge(mapping, dir, found, error).await),
        };
        Ok(Remote::Folder(found.folder, namesakes))
    }

    /// Remembers that a remote file was looked into and holds other bytes.
    pub async fn refute(&self, folder: FolderId, file: SourceFileId) {
        self.refuted.lock().await.entry(folder).or_default().push(file);
    }

    /// Whether we made this folder so recently that the cloud may not know it everywhere yet.
    pub async fn is_young(&self, mapping: &MappingName, dir: &RelPath) -> bool {
        let place = self.place(mapping, dir).await;
        let found = *place.lock().await;
        let made = found.and_then(|found| found.made);
        made.is_some_and(|made| ambient::tick().since(made) < self.patience.grace)
    }

    /// The folder's files changed by our own doing: the next look is a fresh one.
    pub async fn changed(&self, folder: FolderId) {
        self.holdings.lock().await.remove(&folder);
    }

    /// Renames or moves the remote folder of a directory that was renamed, and forgets where everything below it lay. It is
    /// left as it is where the cloud holds anything in it that is not among `owned`, or has the new name taken.
    ///
    /// `owned` maps each folder to the remote files of ours that lie right in it.
    ///
    /// # Errors
    /// A failure with its blame, if the cloud cannot be asked.
    pub async fn rename(
        &self,
        mapping: &Mapping,
        from: &RelPath,
        to: &RelPath,
        owned: &HashMap<FolderId, HashSet<SourceFileId>>,
    ) -> Result<Renamed, Failure> {
        let (ledger, name, path) = (self.ledger.clone(), mapping.name.clone(), from.clone());
        let Some(folder) = blocking(move || ledger.shelf(&name, &path)).await.map_err(us)? else {
            return Ok(Renamed::No("its remote folder is not known".to_owned()));
        };
        let Ok(name) = PartName::from_local(to.name()) else {
            return Ok(Renamed::No("its new name cannot travel".to_owned()));
        };
        if let Some(foreign) = self.foreign(folder, owned).await.map_err(cloud::Error::into_failure)? {
            return Ok(Renamed::No(foreign));
        }
        let parent = self.folder(mapping, &to.parent()).await?.folder;
        let siblings = self.client.subfolders(parent).await.map_err(cloud::Error::into_failure)?;
        if siblings.iter().any(|it| it.name == name.as_str() && it.id != folder) {
            return Ok(Renamed::No(format!("the cloud has a folder {name} there already")));
        }
        if from.parent() != to.parent()
            && let Err(error) = self.client.move_folders(parent, &[folder]).await
        {
            return not_renamed(error);
        }
        if from.name() != to.name()
            && let Err(error) = self.client.rename_folder(folder, name.as_str()).await
        {
            return not_renamed(error);
        }
        let mut places = self.places.lock().await;
        places.retain(|(name, path), _| *name != mapping.name || !(path.is_below(from) || path.is_below(to)));
        Ok(Renamed::Yes)
    }

    /// What lies in or below a folder and is not ours, for a person; none if everything is. Where the cloud tells how many
    /// files a folder holds, and that is as many as ours, they are not listed one by one.
    async fn foreign(
        &self,
        folder: FolderId,
        owned: &HashMap<FolderId, HashSet<SourceFileId>>,
    ) -> Result<Option<String>, cloud::Error> {
        let none = HashSet::new();
        let mut open = vec![folder];
        while let Some(folder) = open.pop() {
            let ours = owned.get(&folder).unwrap_or(&none);
            let count = self.client.folder(folder).await?.source_files;
            if count != Some(ours.len() as u64) {
                let listed = self.client.source_files(folder).await?.items;
                if let Some(file) = listed.iter().find(|file| !ours.contains(&file.id)) {
                    return Ok(Some(format!(
                        "the cloud holds {} in it, which is not ours",
                        shown(&file.name)
                    )));
                }
            }
            for child in self.client.subfolders(folder).await? {
                if !owned.contains_key(&child.id) {
                    return Ok(Some(format!(
                        "the cloud has a folder {} in it, which is not ours",
                        shown(&child.name)
                    )));
                }
                open.push(child.id);
            }
        }
        Ok(None)
    }

    async fn place(&self, mapping: &MappingName, dir: &RelPath) -> Place {
        let mut places = self.places.lock().await;
        Arc::clone(places.entry((mapping.clone(), dir.clone())).or_default())
    }

    /// Walks down from the mapping's folder; each level is found in the ledger, in the cloud, or made.
    async fn folder(&self, mapping: &Mapping, dir: &RelPath) -> Result<Found, Failure> {
        self.anchor(mapping).await?;
        let mut found = Found { folder: mapping.folder, made: None };
        let mut at = RelPath::root();
        for component in dir.components() {
            let Ok(next) = at.join(component) else { break };
            at = next;
            let place = self.place(&mapping.name, &at).await;
            let mut slot = place.lock().await;
            let known = match *slot {
                Some(known) => known,
                None => {
                    let known = self.find_or_make(mapping, &at, found).await?;
                    *slot = Some(known);
                    known
                }
            };
            found = known;
        }
        Ok(found)
    }

    /// What is remembered holds for the folder below which it was found. Where the mapping is pointed at another one it is all forgotten, or
    /// new files of a known directory would go on to the old place.
    async fn anchor(&self, mapping: &Mapping) -> Result<(), Failure> {
        let place = self.place(&mapping.name, &RelPath::root()).await;
        let mut slot = place.lock().await;
        if slot.is_some_and(|found| found.folder == mapping.folder) {
            return Ok(());
        }
        let (ledger, name, folder) = (self.ledger.clone(), mapping.name.clone(), mapping.folder);
        let anchored = blocking(move || {
            match ledger.shelf(&name, &RelPath::root())? {
                Some(before) if before == folder => return Ok(()),
                Some(_) => ledger.forget_shelves(&name, &RelPath::root())?,
                // A ledger of a version that did not write it down.
                None => {}
            }
            ledger.put_shelf(&name, &RelPath::root(), folder)
        });
        anchored.await.map_err(us)?;
        *slot = Some(Found { folder: mapping.folder, made: None });
        Ok(())
    }

    async fn find_or_make(&self, mapping: &Mapping, dir: &RelPath, parent: Found) -> Result<Found, Failure> {
        let (ledger, name, path) = (self.ledger.clone(), mapping.name.clone(), dir.clone());
        let known = blocking(move || ledger.shelf(&name, &path)).await.map_err(us)?;
        if let Some(folder) = known {
            return Ok(Found { folder, made: None });
        }
        let name = PartName::from_local(dir.name()).map_err(|unfit| {
            Failure::new(Blame::File, format!("failed to make a remote folder for {dir}: {unfit}"))
        })?;
        let found = self.find(mapping, dir, parent, &name).await?;
        let (ledger, mapping, path, folder) =
            (self.ledger.clone(), mapping.name.clone(), dir.clone(), found.folder);
        blocking(move || ledger.put_shelf(&mapping, &path, folder)).await.map_err(us)?;
        Ok(found)
    }

    async fn find(
        &self,
        mapping: &Mapping,
        dir: &RelPath,
        parent: Found,
        name: &PartName,
    ) -> Result<Found, Failure> {
        let above = dir.parent();
        match self.client.subfolders(parent.folder).await {
            Ok(children) => {
                if let Some(folder) = oldest(children, name.as_str()) {
                    return Ok(Found { folder, made: None });
                }
            }
            Err(error) => return Err(self.judge(mapping, &above, parent, error).await),
        }
        if self.makes == Makes::Nothing {
            return Err(Failure::new(
                Blame::File,
                format!("failed to find a remote folder for {dir}: there is none yet"),
            ));
        }
        match self.client.make_folder(parent.folder, name.as_str()).await {
            Ok(made) => Ok(Found { folder: made.id, made: Some(ambient::tick()) }),
            // Somebody else made it meanwhile, in a cloud where names are unique.
            Err(error) if error.status() == Some(409) => match self.client.subfolders(parent.folder).await {
                Ok(children) => oldest(children, name.as_str())
                    .map(|folder| Found { folder, made: None })
                    .ok_or_else(|| error.into_failure()),
                Err(error) => Err(self.judge(mapping, &above, parent, error).await),
            },
            Err(error) => Err(self.judge(mapping, &above, parent, error).await),
        }
    }

    async fn namesakes(&self, folder: FolderId, names: &[PartName]) -> Result<Vec<Namesake>, cloud::Error> {
        let slot = {
            let mut holdings = self.holdings.lock().await;
            if holdings.len() >= KEPT && !holdings.contains_key(&folder) {
                holdings.clear();
            }
            Arc::clone(holdings.entry(folder).or_default())
        };
        let mut slot = slot.lock().await;
        let is_fresh = slot.as_ref().is_some_and(|held| ambient::tick().since(held.looked) < FRESH);
        if !is_fresh {
            let looked = ambient::tick();
            let mut files: HashMap<String, Vec<(SourceFileId, u64)>> = HashMap::new();
            for file in self.client.source_files(folder).await?.items {
                if file.original_name != file.name {
                    files.entry(file.original_name).or_default().push((file.id, file.size));
                }
                files.entry(file.name).or_default().push((file.id, file.size));
            }
            *slot = Some(Holding { looked, files });
        }
        let refuted = self.refuted.lock().await.get(&folder).cloned().unwrap_or_default();
        let mut namesakes = Vec::new();
        for name in names {
            // A cloud may cut directories off names; then what is left may stand for one of them only.
            let is_alone = || names.iter().filter(|other| other.base() == name.base()).count() == 1;
            let held = slot.as_ref().and_then(|held| {
                let exact = held.files.get(name.as_str());
                exact.or_else(|| held.files.get(name.base()).filter(|_| name.is_path() && is_alone()))
            });
            for (source_file, size) in held.into_iter().flatten() {
                let (ledger, id) = (self.ledger.clone(), *source_file);
                let known = blocking(move || {
                    Ok::<_, crate::ledger::Error>((ledger.claimed(id)?, ledger.is_doomed(id)?))
                });
                let claim = match known.await.unwrap_or((true, false)) {
                    // What is about to be taken away is nobody's to rely on.
                    (_, true) => Claimed::Refuted,
                    (true, false) => Claimed::Ours,
                    (false, false) if refuted.contains(source_file) => Claimed::Refuted,
                    (false, false) => Claimed::Nobodys,
                };
                namesakes.push(Namesake {
                    vouched: None,
                    source_file: *source_file,
                    name: name.clone(),
                    size: *size,
                    claim,
                });
            }
        }
        Ok(namesakes)
    }

    /// Whose fault a failure at the folder of `dir` is: a folder that we have just made may not be visible everywhere yet,
    /// one that we only remember may be gone, and the mapping's own is for a person to mend.
    async fn judge(&self, mapping: &Mapping, dir: &RelPath, found: Found, error: cloud::Error) -> Failure {
        let is_missing = error.status() == Some(404);
        let is_young = found.made.is_some_and(|made| ambient::tick().since(made) < self.patience.grace);
        match error.status() {
            Some(403 | 404) if is_young => Failure::new(
                Blame::File,
                format!("{}; the folder was made a moment ago", error.into_failure().what),
            ),
            Some(404) if !dir.is_root() && is_missing => {
                self.forget(mapping, dir).await;
                Failure::new(
                    Blame::File,
                    format!("failed to find the remote folder of {dir} any more; it is looked for again"),
                )
            }
            Some(403) => {
                let what = error.into_failure().what;
                let name = shown(mapping.name.as_str());
                let cure = "use a token of a user with write access to it";
                Failure::new(
                    Blame::Mapping,
                    format!("{what}; the folder of mapping {name} may not be used: {cure}"),
                )
            }
            Some(404) => {
                let name = shown(mapping.name.as_str());
                let what = format!(
                    "failed to find the folder {} of mapping {name}; correct `folder` in the configuration",
                    mapping.folder
                );
                Failure::new(Blame::Mapping, what)
            }
            Some(_) | None => error.into_failure(),
        }
    }

    async fn forget(&self, mapping: &Mapping, dir: &RelPath) {
        let (ledger, name, path) = (self.ledger.clone(), mapping.name.clone(), dir.clone());
        // A row that stays is found to be stale again, so a ledger that cannot be written now costs only time.
        let _forgotten = blocking(move || ledger.forget_shelves(&name, &path)).await;
        self.places.lock().await.retain(|(name, path), _| *name != mapping.name || !path.is_below(dir));
    }
}

fn not_renamed(error: cloud::Error) -> Result<Renamed, Failure> {
    match error.status() {
        Some(400 | 403 | 404 | 405 | 409 | 422) => Ok(Renamed::No(error.into_failure().what)),
        Some(_) | None => Err(error.into_failure()),
    }
}

/// Of several folders with one name the oldest, then the one with the smallest id: every machine chooses alike.
fn oldest(children: Vec<Folder>, name: &str) -> Option<FolderId> {
    let namesakes = children.into_iter().filter(|child| child.name == name);
    namesakes
        .min_by_key(|child| (child.created_at.is_none(), child.created_at, child.id))
        .map(|child| child.id)
}

fn us(error: crate::ledger::Error) -> Failure {
    Failure::new(error.blame(), error.to_string())
}
