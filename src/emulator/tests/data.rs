//! What outlives the emulator.

use serde_json::json;

use super::*;
use crate::emulator::Seeds;

async fn open(directory: &std::path::Path) -> Emulator {
    let options = Options { data: Some(directory.into()), ..Options::default() };
    Emulator::start(options).await.unwrap()
}

fn lasting(seeds: &Seeds) -> [String; 5] {
    let Seeds { api_key, public_token, user_id, folder_id, environment_id, .. } = seeds.clone();
    [api_key, public_token, user_id, folder_id, environment_id]
}

#[tokio::test]
async fn with_a_data_directory_everything_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let emulator = open(directory.path()).await;
    let (client, seeds) = (Client::user(&emulator), emulator.seeds().clone());
    let below = client.folder(&seeds.folder_id, "below").await;
    client.upload(&below, &[("a.glb", b"content"), ("b.glb", b"gone soon")]).await.done();
    let stored = emulator.source_files();
    client.send("DELETE", "/source-files", json!({"source_file_ids": [stored[1].id]})).await.done();
    // Killed, not stopped: what was answered must be on disk.
    drop(emulator);
    let emulator = open(directory.path()).await;
    assert_eq!(lasting(emulator.seeds()), lasting(&seeds));
    assert_eq!(emulator.source_files(), stored[..1]);
    assert_eq!(content(&emulator, &stored[0].id), b"content");
    let old_token = Client::with(&emulator, "user_token", &seeds.user_token);
    assert_eq!(old_token.get(&format!("/source-files/{}", stored[0].id)).await.bytes, b"content");
    assert_eq!(old_token.folder(&below, "new").await.len(), 36);
    emulator.stop().await;
    let objects = directory.path().join("objects").read_dir().unwrap().count();
    assert_eq!(objects, 1, "the deleted file's bytes are gone");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let start = || Emulator::start(Options { seed: 7, ..Options::default() });
    let (one, other) = (start().await.unwrap(), start().await.unwrap());
    assert_eq!(lasting(one.seeds()), lasting(other.seeds()));
    let foreign = Emulator::start(Options::default()).await.unwrap();
    assert_ne!(lasting(one.seeds()), lasting(foreign.seeds()));
}

#[tokio::test]
async fn a_spoilt_snapshot_is_an_error_that_names_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    tokio::fs::write(directory.path().join("environment.json"), "{").await.unwrap();
    let options = Options { data: Some(directory.path().into()), ..Options::default() };
    let fault = Emulator::start(options).await.unwrap_err();
    assert!(fault.to_string().contains(&directory.path().display().to_string()));
}
