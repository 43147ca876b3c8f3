//! The real models of other people's tools, synced as they are.

use std::collections::BTreeMap;

use versync::daemon::Why;
use versync::file::{RelPath, State};
use versync::mapping::format::{Standing, standing};

use crate::world::{World, hash_of, models};

#[tokio::test(flavor = "multi_thread")]
async fn every_supported_model_arrives_byte_for_byte_and_the_rest_is_counted() {
    let Some(models) = models() else { return };
    let world = World::around(models.clone()).await;
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);

    let ledger = world.ledger();
    let reader = ledger.reader().unwrap();
    let mut states: BTreeMap<State, Vec<RelPath>> = BTreeMap::new();
    reader
        .bundles(None, None, &mut |key, entry| {
            states.entry(entry.state()).or_default().push(key.path);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    drop(ledger);
    let remote: BTreeMap<_, _> = world.remote().into_iter().collect();
    assert_eq!(remote.len(), world.remote().len(), "each remote path once");

    let (mut synced, mut held) = (0, 0);
    for path in walk(&models) {
        let relative = path.strip_prefix(&models).unwrap().to_str().unwrap().to_owned();
        let key = RelPath::from_bytes(relative.as_bytes()).unwrap();
        let is_lead = key.extension().is_some_and(|it| matches!(standing(&it), Standing::Lead(_)));
        let is_empty = std::fs::metadata(&path).unwrap().len() == 0;
        match (is_lead, is_empty) {
            (true, false) => {
                let stored = remote.get(&relative).unwrap_or_else(|| panic!("{relative} did not arrive"));
                assert_eq!(stored.blake3, hash_of(&path), "{relative}");
                assert!(states[&State::Synced].contains(&key), "{relative}");
                synced += 1;
            }
            (true, true) => {
                assert!(states[&State::Held].contains(&key), "{relative} is empty");
                held += 1;
            }
            (false, _) => assert!(!remote.contains_key(&relative), "{relative} is not for the cloud"),
        }
    }
    assert_eq!(remote.len(), synced, "nothing else arrived");
    assert_eq!((states[&State::Synced].len(), states[&State::Held].len()), (synced, held));
    assert!(states.len() == 2, "{:?}", states.keys());
    println!("{synced} synced, {held} empty and held");

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "a second pass has nothing to ask");
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
