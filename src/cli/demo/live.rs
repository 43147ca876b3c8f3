//! The live part of a demonstration: the loop watches while somebody works, and what arrives is told with its latency.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::show::{self, Show};
use super::stage::Stage;
use super::studio;
use crate::ambient;
use crate::cli::failure::{Exit, Failure};
use crate::cli::sync::stopped;
use crate::daemon::{self, Event, MappingState, Mode, Orders};
use crate::delivery::Ended;
use crate::disk::{Root, Watcher};
use crate::file::{Entry, Key, RelPath, State, shown};
use crate::mapping::Admission;
use crate::signals::{Signal, Signals};
use crate::timestamp::Timestamp;
use crate::worker::blocking;

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Play {
    /// Files are saved as an artist would.
    Artist,
    /// The user edits, or nobody does.
    Nothing,
}

/// What comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The end.
    End,
    /// Whatever the user does, until a signal.
    Keep,
}

/// How long something may take to arrive before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(15);

/// A file that is edited, and one that is added.
const EDITED: &str = "props/crate/crate.obj";
const ADDED: &str = "textures/neon_sign.png";

/// Files that cannot be synced, and what is in them. The emulator takes a file that begins with this word for a broken one.
const BAD: [(&str, &[u8]); 2] = [("props/lamp/lamp.fbx", b""), ("props/lamp/lamp_old.fbx", b"BROKEN")];
const UNSUPPORTED: &str = "props/lamp/lamp_sketch.psd";

/// Plays it. Breaks if a signal ends the demonstration.
///
/// # Errors
/// Whatever kept the loop from running, and what did not arrive in time.
pub(super) async fn live(
    stage: &Stage,
    show: Show<'_>,
    signals: &mut Signals,
    play: Play,
    then: Then,
) -> Result<ControlFlow<Exit>, Failure> {
    let mapping = stage.mapping()?;
    let (told, events) = unbounded_channel();
    let observer = Box::new(move |event: &Event| drop(told.send(event.clone())));
    let watching = Watcher::start(&[(mapping.name.clone(), Root::new(stage.root.clone()))], daemon::HINTS)?;
    let scope = vec![(mapping.name.clone(), RelPath::root())];
    let orders = Orders { mode: Mode::Watch, scope };
    let (player, mut played) = Signals::by_hand();
    let run = daemon::run(stage.desk(), orders, Some(watching), &mut played, None, observer);
    let mut work = Box::pin(run);
    let mut script = Box::pin(script(stage, show, events, play, then));
    let outcome = tokio::select! {
        outcome = &mut script => outcome.map(ControlFlow::Continue),
        ending = &mut work => {
            return Err(Failure::new(Exit::Unclassified, format!("failed to keep watching: {:?}", ending.why)));
        }
        () = stopped(signals) => match then {
            Then::Keep => Ok(ControlFlow::Continue(())),
            Then::End => Ok(ControlFlow::Break(Exit::Interrupted)),
        },
    };
    // The loop listens for as long as it is awaited below.
    let _heard = player.send(Signal::Gently).await;
    work.await;
    outcome
}

async fn script(
    stage: &Stage,
    show: Show<'_>,
    events: UnboundedReceiver<Event>,
    play: Play,
    then: Then,
) -> Result<(), Failure> {
    let mut watch = Watch { stage, show, events };
    watch
        .until("the watcher", |event| {
            matches!(event, Event::Mapping(_, MappingState::Watching | MappingState::Polling, _))
                .then_some(())
        })
        .await?;
    match play {
        Play::Artist => {
            show.heading("2  An artist at work, while versync watches");
            watch.saved(EDITED, studio::crate_obj(1.6).into_bytes(), "saves").await?;
            watch.saved(ADDED, studio::neon_sign(), "adds").await?;
            show.heading("3  Files that cannot be synced");
            watch.bad().await?;
        }
        Play::Nothing => {}
    }
    match then {
        Then::End => Ok(()),
        Then::Keep => watch.keep().await,
    }
}

/// Who watches the loop at work.
struct Watch<'a> {
    stage: &'a Stage,
    show: Show<'a>,
    events: UnboundedReceiver<Event>,
}

impl Watch<'_> {
    /// The first event that means something; what comes before it is let go.
    async fn until<T>(
        &mut self,
        what: &str,
        mut means: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Failure> {
        let search = async {
            while let Some(event) = self.events.recv().await {
                if let Some(meaning) = means(&event) {
                    return Some(meaning);
                }
            }
            None
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(Some(meaning)) => Ok(meaning),
            Ok(None) | Err(_) => Err(Failure::new(
                Exit::Unclassified,
                format!("failed to see {what} within {} s", PATIENCE.as_secs()),
            )
            .hint("run it once more with -v to see what versync does")),
        }
    }

    async fn entry(&self, key: &Key) -> Result<Entry, Failure> {
        let (ledger, key) = (self.stage.ledger.clone(), key.clone());
        Ok(blocking(move || ledger.entry(&key)).await?)
    }

    /// Saves a file and tells how long it takes to arrive.
    async fn saved(&mut self, path: &str, content: Vec<u8>, verb: &str) -> Result<(), Failure> {
        let key = self.stage.key(path)?;
        let before = self.entry(&key).await?;
        self.show.say(&format!("  The artist {verb} {path}"));
        let saved = self.save(path, content).await?;
        let version = before.current.as_ref().map(|current| current.version);
        let entry = self
            .until(path, |event| {
                let entry = arrived(event, &key, State::Synced)?.clone();
                (entry.current.as_ref().map(|current| current.version) != version).then_some(entry)
            })
            .await?;
        let synced = ambient::now().since(saved);
        let upload = self.upload_after(&key, saved);
        let settle = self.stage.mapping()?.policy.settle;
        if let Some(upload) = upload {
            self.show.say(&format!(
                "      {:5.2} s  later its upload begins (the first {:.2} s it has to stand still)",
                upload.as_secs_f64(),
                settle.as_secs_f64()
            ));
        }
        self.show
            .say(&format!("      {:5.2} s  later it is converted and in the ledger:", synced.as_secs_f64()));
        let ids = match before.current {
            Some(_) => format!("{} → {}", show::short(&before), show::short(&entry)),
            None => show::short(&entry),
        };
        self.show.say(&format!("               source file {ids}, assets {}", show::assets(&entry)));
        if before.current.is_some() {
            self.show
                .aside("               The old version stays in the cloud: scenes that use it are safe.");
        }
        self.show.step(
            "arrived",
            json!({
                "file": show::object(&key, &entry),
                "was": show::object(&key, &before),
                "save_to_upload_seconds": upload.map(|upload| upload.as_secs_f64()),
                "save_to_synced_seconds": synced.as_secs_f64(),
                "settle_seconds": settle.as_secs_f64(),
            }),
        );
        Ok(())
    }

    /// Saves files that cannot be synced, and shows how each is told.
    async fn bad(&mut self) -> Result<(), Failure> {
        for (path, content) in BAD {
            self.save(path, content.to_vec()).await?;
        }
        self.save(UNSUPPORTED, b"8BPS".to_vec()).await?;
        let mut open: Vec<Key> =
            BAD.iter().map(|(path, _)| self.stage.key(path)).collect::<Result<_, _>>()?;
        while !open.is_empty() {
            let (key, entry) = self
                .until("a bad file", |event| {
                    let key = open.iter().find(|key| is_about(event, key))?;
                    let entry = [State::Held, State::Blocked, State::ConversionFailed]
                        .into_iter()
                        .find_map(|state| arrived(event, key, state))?;
                    Some((key.clone(), entry.clone()))
                })
                .await?;
            let name = String::from_utf8_lossy(key.path.name()).into_owned();
            self.show.told(&name, entry.state(), entry.reason().unwrap_or_default());
            self.show.step("told", json!({ "file": show::object(&key, &entry) }));
            open.retain(|other| *other != key);
        }
        let key = self.stage.key(UNSUPPORTED)?;
        if let Admission::Ignored(ignored) = self.stage.mapping()?.filter.admits_file(&key.path) {
            let name = String::from_utf8_lossy(key.path.name()).into_owned();
            self.show.told(&name, State::Ignored, &ignored.rule);
            let file = json!({
                "path": key.path.to_string(),
                "state": State::Ignored.word(),
                "reason": ignored.rule,
                "source_file_id": null,
                "assets": [],
            });
            self.show.step("told", json!({ "file": file }));
        }
        self.show.say("");
        self.show.say("  No other file waits for them, and the next good save cures each.");
        Ok(())
    }

    /// Tells what arrives for as long as it is awaited.
    async fn keep(&mut self) -> Result<(), Failure> {
        let file = shown(&self.stage.file.to_string_lossy());
        self.show.heading("Still watching");
        self.show.say(&format!("  Change files in {}", shown(&self.stage.root.to_string_lossy())));
        self.show.say("  and look on from another shell:");
        self.show.say(&format!("      versync status --config {file}"));
        self.show.say(&format!("      versync files --config {file}"));
        self.show.say("  Ctrl-C ends it, and removes everything that the demonstration has made.");
        self.show.say("");
        let url = self.stage.emulator.url();
        self.show.step("watching", json!({ "config": file, "url": url }));
        while let Some(event) = self.events.recv().await {
            if let Event::Stepped(Ended { key, was, is, entry: Some(entry), .. }) = &event
                && was != is
                && !matches!(is, State::Uploading | State::Ready | State::Settling)
            {
                let reason = entry.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
                self.show.say(&format!("  {:10}  {}  {}{reason}", is.word(), key.path, show::short(entry)));
                self.show.step("changed", json!({ "file": show::object(key, entry) }));
            }
        }
        Ok(())
    }

    /// Returns the moment at which the file was in its place.
    async fn save(&self, path: &str, content: Vec<u8>) -> Result<Timestamp, Failure> {
        let (root, file) = (self.stage.root.clone(), path.to_owned());
        let saved = blocking(move || save_now(&root, &file, &content)).await;
        saved.map_err(|error| Failure::new(Exit::Unclassified, format!("failed to save {path}: {error}")))
    }

    /// How long after a moment the emulator saw an upload of a file begin.
    fn upload_after(&self, key: &Key, saved: Timestamp) -> Option<Duration> {
        let name = String::from_utf8_lossy(key.path.name()).into_owned();
        let at = |millis: i64| Timestamp::from_nanos(millis.saturating_mul(1_000_000));
        // Its clock counts whole milliseconds, so the request may seem to come in the one before.
        let earliest = saved.minus(Duration::from_millis(1));
        let requests = self.stage.emulator.requests();
        let upload = requests.iter().find(|request| {
            request.method == "POST"
                && at(request.at) >= earliest
                && request.parts.iter().any(|part| part.file_name == name)
        })?;
        Some(at(upload.at).since(saved))
    }
}

fn save_now(root: &Path, path: &str, content: &[u8]) -> std::io::Result<Timestamp> {
    studio::save(root, path, content)?;
    Ok(ambient::now())
}

fn is_about(event: &Event, key: &Key) -> bool {
    matches!(event, Event::Stepped(ended) if ended.key == *key)
}

/// What is believed of a bundle, if this event says that it is in this state.
fn arrived<'e>(event: &'e Event, key: &Key, state: State) -> Option<&'e Entry> {
    match event {
        Event::Stepped(ended) if ended.key == *key && ended.is == state => ended.entry.as_deref(),
        Event::Stepped(_) | Event::Surveyed(..) | Event::Mapping(..) | Event::Quiet => None,
    }
}
