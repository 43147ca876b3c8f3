//! A temporary studio: a root, a state directory, an emulated cloud, and the flows between them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use versync::cloud::{self, Client, Secret, Source, Tokens};
use versync::config::{Config, Environment};
use versync::daemon::{self, Ending, Event, Goal, Mode, Orders};
use versync::desk::Desk;
use versync::disk::{Root, Watcher};
use versync::emulator::{Emulator, Options, Stored};
use versync::file::{Entry, Key, MappingName, RelPath, State};
use versync::ledger::Ledger;
use versync::meter::Meter;
use versync::signals::{self, Signal, Signals};

/// A temporary studio with one mapping called `studio`.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    dir: tempfile::TempDir,
    root: PathBuf,
    /// Lines for the mapping's table.
    options: Mutex<String>,
}

impl World {
    /// An empty root and an empty cloud.
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("studio")).unwrap();
        let root = dir.path().join("studio");
        let emulator = Emulator::start(options).await.unwrap();
        let world = Self { emulator, dir, root, options: Mutex::default() };
        world.secret("token", &world.emulator.seeds().user_token);
        world.configure(&world.settings());
        world
    }

    /// A studio whose root is somebody else's directory. Nothing is ever written there.
    pub(crate) async fn around(root: PathBuf) -> Self {
        let world = Self { root, ..Self::new().await };
        world.configure(&world.settings());
        world
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file below the root, as a tool does that is done with it long since.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Gives the mapping other options than the usual.
    pub(crate) fn options(&self, lines: &str) {
        *self.options.lock().unwrap() = lines.to_owned();
        self.configure(&self.settings());
    }

    /// The directory that holds everything of this studio.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A configuration with one mapping and short waits; the token lies in a file beside it.
    pub(crate) fn settings(&self) -> String {
        format!(
            r#"
state_dir = "{dir}/state"
[server]
url = "{url}"
[auth]
user_token_file = "{dir}/token"
[limits]
ambiguous_wait = "300ms"
poll_first = "20ms"
poll_max = "100ms"
retry_first = "20ms"
retry_max = "200ms"
stalled_after = "3s"
grace = "1s"
stall_timeout = "1s"
answer_timeout = "3s"
[defaults]
settle = "20ms"
delete_settle = "50ms"
bundle_wait = "300ms"
[[mapping]]
name = "studio"
path = "{root}"
folder = "{folder}"
{options}
"#,
            options = self.options.lock().unwrap(),
            dir = self.dir().display(),
            url = self.emulator.url(),
            root = self.root().display(),
            folder = self.emulator.seeds().folder_id,
        )
    }

    pub(crate) fn config(&self) -> Config {
        versync::config::parse(&self.settings(), "test", &Environment::default()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        let token = Secret::new(&self.emulator.seeds().user_token).unwrap();
        self.client_with(Source::Fixed(token))
    }

    /// A client whose tokens come from this source.
    pub(crate) fn client_with(&self, source: Source) -> Client {
        let config = self.config();
        let options = cloud::Options {
            url: config.server.url,
            upload_field: config.server.upload_field,
            ca_file_pem: None,
            proxy: cloud::Proxy::None,
            patience: config.patience.clone(),
        };
        Client::new(options, Tokens::new(source, config.patience)).unwrap()
    }

    /// The ledger. A process that another test starts just now holds our lock, too, until it is what it was started as.
    pub(crate) fn ledger(&self) -> Ledger {
        let state = self.config().state_dir;
        let began = std::time::Instant::now();
        loop {
            match Ledger::open(&state) {
                Err(versync::ledger::Error::Locked { .. }) if began.elapsed() < Duration::from_secs(10) => {
                    std::thread::yield_now();
                }
                ledger => return ledger.unwrap(),
            }
        }
    }

    /// One pass over everything, as `versync sync` makes it.
    pub(crate) async fn sync(&self) -> (Ending, Vec<Event>) {
        self.sync_as(self.client()).await
    }

    /// One pass over everything as another user, or with another source of tokens.
    pub(crate) async fn sync_as(&self, client: Client) -> (Ending, Vec<Event>) {
        self.let_go().await;
        let config = self.config();
        let desk = Desk::lay(&config, client, self.ledger(), Meter::default());
        let orders = Orders {
            mode: Mode::Once(Goal::Synced),
            scope: config.mappings.iter().map(|it| (it.name.clone(), RelPath::root())).collect(),
        };
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let observer = Box::new(move |event: &Event| seen.lock().unwrap().push(event.clone()));
        let (_sender, mut signals) = Signals::by_hand();
        let ending = daemon::run(desk, orders, None, &mut signals, None, observer).await;
        (ending, Arc::try_unwrap(events).unwrap().into_inner().unwrap())
    }

    /// Waits until nobody holds the ledger any more: what blocks off the async threads outlives a dropped pass for a moment.
    pub(crate) async fn let_go(&self) {
        let state = self.config().state_dir;
        let wait = async {
            while let Err(error) = Ledger::open(&state) {
                assert!(matches!(error, versync::ledger::Error::Locked { .. }), "{error}");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the ledger is still held");
    }

    /// Starts to watch, as `versync run` does, and waits until everything that is there has been dealt with.
    pub(crate) async fn run(&self) -> Running {
        let config = self.config();
        let ledger = self.ledger();
        let desk = Desk::lay(&config, self.client(), ledger.clone(), Meter::default());
        let orders = Orders {
            mode: Mode::Watch,
            scope: config.mappings.iter().map(|it| (it.name.clone(), RelPath::root())).collect(),
        };
        let roots: Vec<_> =
            config.mappings.iter().map(|it| (it.name.clone(), Root::new(it.root.clone()))).collect();
        let watching = Watcher::start(&roots, daemon::HINTS).unwrap();
        let (seen, events) = mpsc::unbounded_channel();
        let observer = Box::new(move |event: &Event| drop(seen.send(event.clone())));
        let (signals, mut heard) = Signals::by_hand();
        let mut task = JoinSet::new();
        task.spawn(
            async move { daemon::run(desk, orders, Some(watching), &mut heard, None, observer).await },
        );
        let mut running = Running { task, events, signals, ledger };
        running.until(|event| matches!(event, Event::Surveyed(..))).await;
        running.until(|event| matches!(event, Event::Quiet)).await;
        running
    }

    /// What the ledger believes of a file.
    pub(crate) fn entry(&self, path: &str) -> Entry {
        self.ledger().entry(&Self::key(path)).unwrap()
    }

    pub(crate) fn key(path: &str) -> Key {
        Key::new(MappingName::new("studio"), RelPath::from_bytes(path.as_bytes()).unwrap())
    }

    /// The files in the mapping's remote folder, by their path below it.
    pub(crate) fn remote(&self) -> Vec<(String, Stored)> {
        let mut files: Vec<_> = self
            .emulator
            .source_files()
            .into_iter()
            .map(|file| {
                let mut path: Vec<_> = file.folder_path.iter().skip(1).cloned().collect();
                path.push(file.name.clone());
                (path.join("/"), file)
            })
            .collect();
        files.sort_by(|a, b| a.0.cmp(&b.0));
        files
    }

    /// Waits until the cloud has seen so many requests of this method and route.
    pub(crate) async fn until_requests(&self, method: &str, route: &str, count: usize) {
        self.until(|| self.requests(method, route) >= count).await;
    }

    /// Waits until something is so.
    pub(crate) async fn until_some(&self, is_so: impl Fn(&Self) -> bool) {
        self.until(|| is_so(self)).await;
    }

    /// Waits until the cloud holds so many files.
    pub(crate) async fn until_remote(&self, count: usize) {
        self.until(|| self.remote().len() >= count).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it did not happen");
    }

    /// How many requests of this method and route the cloud has seen.
    pub(crate) fn requests(&self, method: &str, route: &str) -> usize {
        self.emulator.requests().iter().filter(|it| it.method == method && it.route == route).count()
    }
}

/// A daemon at work.
pub(crate) struct Running {
    task: JoinSet<Ending>,
    events: mpsc::UnboundedReceiver<Event>,
    signals: signals::Sender,
    ledger: Ledger,
}

impl Running {
    /// Waits for an event; everything before it is gone.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the daemon ended");
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the event did not come")
    }

    /// Waits until these files are synced with the bytes that are on disk now.
    pub(crate) async fn synced(&mut self, world: &World, paths: &[&str]) {
        let is_current = |path: &&str| {
            let hash = hash_of(&world.root().join(path));
            let entry = self.ledger.entry(&World::key(path)).unwrap();
            entry.state() == State::Synced
                && entry.current.is_some_and(|it| it.lead.part.content.hash.to_string() == hash)
        };
        let wait = async {
            while !paths.iter().all(is_current) {
                self.events.recv().await.expect("the daemon ended");
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("they did not arrive");
    }

    pub(crate) fn entry(&self, path: &str) -> Entry {
        self.ledger.entry(&World::key(path)).unwrap()
    }

    pub(crate) async fn stop(mut self) -> Ending {
        self.signals.send(Signal::Gently).await.unwrap();
        self.task.join_next().await.unwrap().unwrap()
    }
}

/// The real models, if they are there: beside the checkout, or where `VERSYNC_MODELS` says.
pub(crate) fn models() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    let path = std::env::var_os("VERSYNC_MODELS").map_or(beside, PathBuf::from);
    let found = path.is_dir().then(|| path.canonicalize().unwrap());
    if found.is_none() {
        eprintln!("SKIPPED: no real models at {}; set VERSYNC_MODELS to test with them", path.display());
    }
    found
}

/// The hash of a file on disk, as the emulator tells it of what it holds.
pub(crate) fn hash_of(path: &Path) -> String {
    blake3::hash(&std::fs::read(path).unwrap()).to_hex().to_string()
}
