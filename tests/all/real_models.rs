//! The real models of other people's tools, synced as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use versync::daemon::Why;
use versync::file::entry::Role;
use versync::file::{Entry, RelPath, State};
use versync::mapping::format::{Standing, is_dependent, standing};

use crate::world::{World, hash_of, models};

#[tokio::test(flavor = "multi_thread")]
async fn every_supported_model_arrives_byte_for_byte_with_its_files_and_the_rest_is_counted() {
    let Some(models) = models() else { return };
    let world = World::around(models.clone()).await;
    // One of them is shorter than it says, for good: in a tree that was copied just now it would be waited for.
    world.options("settle_max = \"1s\"");
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);

    let entries = entries(&world);
    let remote: BTreeMap<_, _> = world.remote().into_iter().map(|(_, it)| (it.id.clone(), it)).collect();
    let mut parts = BTreeMap::new();
    let mut carried = BTreeSet::new();
    for (path, entry) in &entries {
        for part in entry.current.iter().flat_map(|current| current.parts()) {
            let id = part.source_file.to_string();
            let stored = remote.get(&id).unwrap_or_else(|| panic!("{path}: {id} is not in the cloud"));
            let local = models.join(part.part.path.as_path());
            assert_eq!(stored.blake3, hash_of(&local), "{path}: {}", part.part.path);
            assert!(parts.insert(id, path).is_none(), "{path}: every remote file belongs to one bundle");
            carried.insert(part.part.path.clone());
        }
    }
    // The emulator rejects sets with formats that it does not list: what is left of the first try is ours, and known.
    let torn: BTreeSet<_> = entries
        .values()
        .flat_map(|entry| &entry.copies)
        .filter(|copy| copy.role == Role::Torn)
        .map(|copy| copy.source_file.to_string())
        .collect();
    let stray: Vec<_> = remote
        .values()
        .filter(|it| !parts.contains_key(&it.id) && !torn.contains(&it.id))
        .map(|it| format!("{}/{}", it.folder_path.join("/"), it.name))
        .collect();
    assert!(stray.is_empty(), "nothing else arrived: {stray:#?}");

    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    for path in walk(&models) {
        let relative = path.strip_prefix(&models).unwrap().to_str().unwrap();
        let key = RelPath::from_bytes(relative.as_bytes()).unwrap();
        let leads = key.extension().is_some_and(|it| matches!(standing(&it), Standing::Lead(_)));
        let is_empty = std::fs::metadata(&path).unwrap().len() == 0;
        let state = entries.get(&key).map(Entry::state);
        if let Some(state) = state {
            *states.entry(state).or_default() += 1;
        }
        match (leads, is_empty) {
            (true, true) => assert_eq!(state, Some(State::Held), "{key} is empty"),
            (true, false) if is_dependent(&key) => assert!(carried.contains(&key), "{key} did not arrive"),
            (true, false) => match entries[&key].state() {
                State::Synced => assert!(carried.contains(&key)),
                State::Blocked => {
                    assert!(entries[&key].reason().unwrap().contains("two members of one name"))
                }
                state => panic!("{key} is {state}: {:?}", entries[&key].reason()),
            },
            (false, _) => assert!(state.is_none(), "{key} is not for the cloud by itself"),
        }
    }
    println!("{states:?}, {} remote files", remote.len());
    agrees_with_the_truth(&models, &entries);

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "a second pass has nothing to ask");
}

/// What was sent with each model against the list that other people's programs were asked for.
fn agrees_with_the_truth(models: &Path, entries: &BTreeMap<RelPath, Entry>) {
    let text = std::fs::read_to_string(models.join("DEPENDENCIES.json")).unwrap();
    let truth: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let (mut needed, mut sent) = (0, 0);
    for (model, told) in &truth {
        let key = RelPath::from_bytes(model.as_bytes()).unwrap();
        let Some(current) = entries.get(&key).and_then(|entry| entry.current.as_ref()) else { continue };
        let members: BTreeSet<_> = current.parts().map(|part| part.part.content.hash).collect();
        for need in told["needs"].as_array().unwrap() {
            let path = models.join(need.as_str().unwrap());
            // Equal bytes under one name are sent once, so it is the bytes that count. An empty file is none.
            let bytes = std::fs::read(&path).unwrap();
            let extension = path.extension().unwrap_or_default().to_str().unwrap().to_lowercase();
            let is_taken = standing(&extension) != Standing::Unlisted;
            if !bytes.is_empty() && is_taken {
                needed += 1;
                sent += usize::from(members.iter().any(|it| it.0 == *blake3::hash(&bytes).as_bytes()));
            }
        }
    }
    eprintln!("{sent} of {needed} needed files were sent with their models");
    assert!(needed > 700 && sent * 100 >= needed * 99, "{sent} of {needed}");
}

fn entries(world: &World) -> BTreeMap<RelPath, Entry> {
    let ledger = world.ledger();
    let mut entries = BTreeMap::new();
    let mut take = |key: versync::file::Key, entry| {
        entries.insert(key.path, entry);
        ControlFlow::Continue(())
    };
    ledger.reader().unwrap().bundles(None, None, &mut take).unwrap();
    entries
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
