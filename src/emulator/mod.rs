//! The emulator of the 3dverse Asset API: a real HTTP server on loopback, for tests, demonstrations and dry runs.
//!
//! It is written from the API's documentation alone and shares no type with the client, so that a misreading on one
//! side does not hide one on the other. It is stricter than the API: what is not documented is refused. What is
//! unknown about the API is a [knob](Knobs), what can go wrong on the way is a [fault](Fault). It must not know any
//! other module of versync.
//!
//! The API lies below `/app/v1`, as in the cloud. Below `/_emulator` lie the routes that steer the emulator itself, and
//! `/openapi.json` describes the API.

mod access;
mod asked;
mod asset_type;
mod clock;
mod conversion;
mod fault;
mod gate;
mod journal;
mod knobs;
mod refusal;
mod render;
mod routes;
mod seeds;
#[cfg(test)]
mod tests;
mod vault;
mod wire;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

pub use self::access::Level;
use self::clock::{Clock, Millis};
pub use self::fault::{Fault, FaultKind, Kept, Turn};
pub use self::journal::{Outcome, Part, Request};
pub use self::knobs::{KnobError, Knobs, choice};
pub use self::seeds::Seeds;
use self::vault::Vault;
use self::vault::object::Objects;
use self::vault::persistence::Keeper;
use self::wire::{Wire, WireListener, Wires};

/// Where the API lies, as in the cloud.
const PREFIX: &str = "/app/v1";
/// The description of the API in OpenAPI 3.1, as `/openapi.json` tells it. Written by hand from the documentation; tests hold
/// it against the routes, against what they answer, and against what versync sends.
pub const DESCRIPTION: &str = include_str!("openapi.json");
/// How long [`Emulator::stop`] waits for requests that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// How to start an emulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 stands for any free port.
    pub listen: SocketAddr,
    /// A directory that keeps everything across restarts; `None` keeps everything in memory (large files in a
    /// temporary directory).
    pub data: Option<PathBuf>,
    /// The knobs to start with.
    pub knobs: Knobs,
    /// Ids and tokens follow from it; 0 stands for ids that nobody can foretell. Ignored if `data` holds something.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), data: None, knobs: Knobs::default(), seed: 0 }
    }
}

/// Why an emulator could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("failed to listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error("failed to open the emulator's data in {}", path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// What the system says, or where the snapshot cannot be read.
        source: std::io::Error,
    },
}

/// A source file as the emulator holds it, for tests that ask for the truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stored {
    /// Its source file id.
    pub id: String,
    /// The folder it lies in.
    pub folder_id: String,
    /// The names of its folders, from the root-level folder down.
    pub folder_path: Vec<String>,
    /// Its name now.
    pub name: String,
    /// Its name when it was uploaded.
    pub original_name: String,
    /// Its bytes.
    pub size: u64,
    /// BLAKE3 of its content, in hex.
    pub blake3: String,
    /// The user that uploaded it; `None` for an api_key.
    pub uploaded_by: Option<String>,
    /// When, in milliseconds since the epoch on the emulator's clock.
    pub uploaded_at: i64,
    /// Whether listings show it by now.
    pub visible: bool,
}

/// A running emulator. Dropping it stops it at once; [`Emulator::stop`] lets running requests end.
#[derive(Debug)]
pub struct Emulator {
    site: Arc<Site>,
    seeds: Seeds,
    address: SocketAddr,
    stop: watch::Sender<()>,
    ended: watch::Receiver<()>,
    tasks: JoinSet<()>,
}

/// What all requests share.
#[derive(Debug)]
struct Site {
    vault: Mutex<Vault>,
    knobs: Mutex<Knobs>,
    objects: Objects,
    keeper: Option<Keeper>,
    clock: Clock,
    faults: fault::Faults,
    journal: journal::Journal,
    rate: gate::Rate,
    wires: Wires,
    address: SocketAddr,
}

impl Emulator {
    /// Starts an emulator; when this returns, it answers.
    ///
    /// # Errors
    /// An address that cannot be bound, a data directory that cannot be used.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let listen = options.listen;
        let unheard = |source| Error::Listen { listen, source };
        let inner = TcpListener::bind(listen).await.map_err(unheard)?;
        let address = inner.local_addr().map_err(unheard)?;
        let clock = Clock::default();
        let (keeper, objects, vault) = match &options.data {
            Some(path) => {
                let opened = Keeper::open(path).await;
                let (keeper, objects, vault) =
                    opened.map_err(|source| Error::Data { path: path.clone(), source })?;
                (Some(keeper), objects, vault)
            }
            None => {
                let directory = tempfile::Builder::new().prefix("versync-emulator-").tempdir();
                let failed = |source| Error::Data { path: std::env::temp_dir(), source };
                (None, Objects::Temporary(directory.map_err(failed)?), None)
            }
        };
        let mut vault = vault.unwrap_or_else(|| Vault::founded(options.seed, clock.now()));
        let seeds = Seeds::of(&mut vault, format!("http://{address}{PREFIX}"), clock.now());
        let site = Arc::new(Site {
            vault: Mutex::new(vault),
            knobs: Mutex::new(options.knobs),
            objects,
            keeper,
            clock,
            faults: fault::Faults::default(),
            journal: journal::Journal::default(),
            rate: gate::Rate::default(),
            wires: Wires::default(),
            address,
        });
        site.save().await.map_err(|source| Error::Data { path: options.data.unwrap_or_default(), source })?;
        let (stop, mut stopped) = watch::channel(());
        let (ending, ended) = watch::channel(());
        let router = routes::router(Arc::clone(&site));
        let listener = WireListener { inner, wires: site.wires.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let service = router.into_make_service_with_connect_info::<Wire>();
            let server = axum::serve(listener, service);
            // The sender's end is as good as its word: both mean stop.
            let until = async move { drop(stopped.changed().await) };
            let _never_fails = server.with_graceful_shutdown(until).await;
            drop(ending);
        });
        Ok(Self { site, seeds, address, stop, ended, tasks })
    }

    /// The base URL of the API, with its path prefix.
    pub fn url(&self) -> String {
        self.seeds.url.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it holds from the start.
    pub fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    /// Every route of the API below its prefix, with the methods it takes in lower case.
    pub fn routes() -> &'static [(&'static str, &'static [&'static str])] {
        routes::ROUTES
    }

    /// The knobs as they stand.
    pub fn knobs(&self) -> Knobs {
        self.site.knobs()
    }

    /// Sets all knobs.
    pub fn set_knobs(&self, knobs: Knobs) {
        *self.site.knobs.lock().unwrap_or_else(PoisonError::into_inner) = knobs;
    }

    /// Scripts a fault, behind those already scripted.
    pub fn fault(&self, fault: Fault) {
        self.site.faults.add(fault);
    }

    /// Forgets all faults that are still to come.
    pub fn clear_faults(&self) {
        self.site.faults.clear();
    }

    /// What was asked so far, oldest first; the last 10,000 requests.
    pub fn requests(&self) -> Vec<Request> {
        self.site.journal.all()
    }

    /// Forgets what was asked so far.
    pub fn clear_requests(&self) {
        self.site.journal.clear();
    }

    /// Puts the emulator's clock forward: tokens expire, conversions end, delays pass.
    pub fn advance(&self, by: Duration) {
        self.site.clock.advance(by);
    }

    /// Every source file that is not deleted, in the order of upload.
    pub fn source_files(&self) -> Vec<Stored> {
        let (vault, knobs, now) = (self.site.vault(), self.site.knobs(), self.site.now());
        let files = vault.files.iter().filter(|file| file.deleted_at.is_none());
        files
            .map(|file| Stored {
                id: file.id.to_string(),
                folder_id: file.folder.to_string(),
                folder_path: vault.path(file.folder),
                name: file.name.clone(),
                original_name: file.original_name.clone(),
                size: file.object.size,
                blake3: file.object.hash.clone(),
                uploaded_by: file.uploaded_by.map(|user| user.to_string()),
                uploaded_at: file.uploaded_at,
                visible: file.uploaded_at + access::span(knobs.listing_lag_ms) <= now,
            })
            .collect()
    }

    /// The ids of all assets that are there by now, in the order in which they were made.
    pub fn asset_ids(&self) -> Vec<String> {
        let (vault, now) = (self.site.vault(), self.site.now());
        vault.assets.iter().filter(|asset| asset.born_at <= now).map(|asset| asset.id.to_string()).collect()
    }

    /// The bytes of a source file; `None` if there is no such file.
    pub fn content(&self, source_file_id: &str) -> Option<Box<dyn Read + Send>> {
        let id = Uuid::try_parse(source_file_id).ok()?;
        let object = self.site.vault().files.get(id)?.object.clone();
        self.site.objects.read(&object).ok()
    }

    /// Mints a token for the seeded user.
    pub fn mint(&self, scope: Level, ttl_seconds: u64) -> String {
        let now = self.site.now();
        let until = now.saturating_add(clock::millis(Duration::from_secs(ttl_seconds)));
        let user = Uuid::try_parse(&self.seeds.user_id).unwrap_or_default();
        self.site.vault().mint(user, scope, now, until)
    }

    /// Lets every user token die now.
    pub fn expire_tokens(&self) {
        self.site.vault().tokens.clear();
    }

    /// Puts a scene that uses other assets into a folder, as an artist does by hand; answers with its asset id, or
    /// with `None` if the folder or an asset does not exist.
    pub fn compose_scene(&self, folder_id: &str, name: &str, uses: &[String]) -> Option<String> {
        self.site.compose_scene(folder_id, name, uses).ok().map(|id| id.to_string())
    }

    /// Ends when the server has ended.
    pub async fn join(&self) {
        let mut ended = self.ended.clone();
        // Nothing is ever sent: the end of the sender is the message.
        while ended.changed().await.is_ok() {}
    }

    /// Stops: takes no new connections, lets running requests end for two seconds, then hangs up on the rest.
    pub async fn stop(mut self) {
        // An error means that the server has ended already.
        let _ended = self.stop.send(());
        if tokio::time::timeout(STOP_WITHIN, self.tasks.join_next()).await.is_err() {
            self.site.wires.close_all();
            drop(tokio::time::timeout(STOP_WITHIN, self.tasks.join_next()).await);
        }
        // A token minted through this handle is the only change that no request has saved.
        drop(self.site.save().await);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.site.wires.close_all();
    }
}

impl Site {
    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knobs(&self) -> Knobs {
        self.knobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    async fn save(&self) -> std::io::Result<()> {
        match &self.keeper {
            Some(keeper) => keeper.save(self).await,
            None => Ok(()),
        }
    }
}
