//! Trees of many files: killed in the middle of the first pass, what was read is not read again, however the files lie. How many
//! there are is for `VERSYNC_TREE` to say; the usual number takes seconds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use notify::event::{AccessKind, EventKind};
use notify::{RecursiveMode, Watcher as _};
use versync::file::{MappingName, State};

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

fn size() -> usize {
    std::env::var("VERSYNC_TREE").ok().and_then(|it| it.parse().ok()).unwrap_or(240)
}

/// Which files below a root are opened from now on, by whomever.
struct Opened {
    paths: Arc<Mutex<BTreeSet<PathBuf>>>,
    _watcher: notify::RecommendedWatcher,
}

impl Opened {
    fn below(root: &std::path::Path) -> Self {
        let paths = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&paths);
        let note = move |event: notify::Result<notify::Event>| {
            let event = event.unwrap();
            assert!(!event.need_rescan(), "the queue of events is too short for this tree");
            if matches!(event.kind, EventKind::Access(AccessKind::Open(_))) {
                seen.lock().unwrap().extend(event.paths);
            }
        };
        let mut watcher = notify::recommended_watcher(note).unwrap();
        watcher.watch(root, RecursiveMode::Recursive).unwrap();
        Self { paths, _watcher: watcher }
    }
}

/// How many files the ledger of the running service calls synced.
fn synced(world: &World) -> usize {
    let Ok(reader) = versync::ledger::Reader::open(&world.config().state_dir) else { return 0 };
    let counts = reader.summary(&MappingName::new("studio")).unwrap_or_default();
    counts.get(&State::Synced).map_or(0, |count| usize::try_from(*count).unwrap())
}

async fn killed_in_the_middle(paths: &[String]) {
    let world = World::new().await;
    for path in paths {
        world.write(path, path.as_bytes());
    }
    for part in [10, 2] {
        let run = world.start(&["run"]);
        // What was sent is not yet known to have arrived: on a busy machine that may come much later.
        world.until_some(|world| synced(world) >= paths.len() / part).await;
        run.signal("KILL");
        run.end().await;
    }
    let ledger = world.ledger();
    let known: Vec<_> = paths
        .iter()
        .filter(|path| ledger.entry(&World::key(path)).unwrap().state() == State::Synced)
        .collect();
    drop(ledger);
    assert!(known.len() > paths.len() / 20, "{} of {}", known.len(), paths.len());

    let opened = Opened::below(world.root());
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let opened = opened.paths.lock().unwrap().clone();
    let again: Vec<_> = known.iter().filter(|path| opened.contains(&world.root().join(path))).collect();
    assert!(again.is_empty(), "read again: {again:?}");
    assert!(opened.contains(&world.root().join(paths.iter().find(|it| !known.contains(it)).unwrap())));
    assert_eq!(world.remote().len(), paths.len());
    // At each kill up to four requests were under way, which may have to be sent again.
    let sent = world.requests("POST", UPLOAD);
    assert!((paths.len()..=paths.len() + 8).contains(&sent), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c14_killed_in_the_middle_of_a_first_pass_over_many_directories_nothing_is_read_twice() {
    let paths: Vec<_> = (0..size()).map(|n| format!("kit {}/part {n}.fbx", n / 5)).collect();
    killed_in_the_middle(&paths).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c14_killed_in_the_middle_of_a_first_pass_over_one_directory_nothing_is_read_twice() {
    let paths: Vec<_> = (0..size()).map(|n| format!("part {n}.fbx")).collect();
    killed_in_the_middle(&paths).await;
}
