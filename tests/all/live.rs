//! What an artist does while versync watches, and what arrives of it.

use versync::daemon::{Event, Why};
use versync::file::State;

use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_one_upload_and_the_old_version_stays_known() {
    let world = World::new().await;
    let chair = world.write("props/chair.fbx", b"first");
    let mut running = world.run().await;
    let old = running.entry("props/chair.fbx").current.unwrap();
    world.emulator.clear_requests();

    std::fs::write(&chair, b"second").unwrap();
    running.synced(&world, &["props/chair.fbx"]).await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    let entry = running.entry("props/chair.fbx");
    assert_eq!(entry.copies.len(), 1, "the old version is superseded, and kept");
    assert_eq!(entry.copies[0].source_file, old.lead.source_file);
    assert_eq!(entry.copies[0].assets, old.lead.assets, "scenes may still use them");
    assert_eq!(world.remote().len(), 2);
    assert_eq!(running.stop().await.why, Why::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_sends_nothing() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    let file = std::fs::File::options().append(true).open(&chair).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
    drop(file);
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Synced)).await;
    running.until(|event| matches!(event, Event::Quiet)).await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_directory_of_fifty_files_arrives_complete_in_one_folder() {
    let world = World::new().await;
    world.write("chair.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    let paths: Vec<_> = (0..50).map(|n| format!("new/kit/part {n}.obj")).collect();
    for path in &paths {
        world.write(path, path.as_bytes());
    }
    running.synced(&world, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(world.requests("POST", UPLOAD), 50);
    assert_eq!(world.requests("POST", "/folders/{id}/folders"), 2, "new, and new/kit");
    let remote = world.remote();
    for path in &paths {
        let (_, stored) = remote.iter().find(|(remote, _)| remote == path).unwrap();
        assert_eq!(stored.blake3, hash_of(&world.root().join(path)));
    }
    assert_eq!(remote.len(), 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_saved_by_renaming_a_finished_one_over_it_is_one_upload() {
    let world = World::new().await;
    let chair = world.write("chair.blend", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    let temporary = world.write("chair.blend@", b"second, by way of a temporary file");
    std::fs::rename(temporary, &chair).unwrap();
    running.synced(&world, &["chair.blend"]).await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    assert_eq!(world.remote().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_is_told_and_its_remote_copy_kept() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    world.write("table.fbx", b"table");
    let mut running = world.run().await;
    std::fs::remove_file(&chair).unwrap();
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Deleted)).await;
    assert!(running.entry("chair.fbx").reason().unwrap().contains("kept"));
    assert_eq!(world.remote().len(), 2);

    std::fs::write(&chair, b"first").unwrap();
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Synced)).await;
    assert_eq!(world.remote().len(), 2, "the same bytes came back: nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_in_many_pieces_arrives_once_and_whole() {
    let world = World::new().await;
    world.write("chair.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    let path = world.root().join("scan.las");
    let writer = path.clone();
    tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let mut file = std::fs::File::create(writer).unwrap();
        for piece in 1..=200_u32 {
            file.write_all(&[piece.to_le_bytes()[0]; 4096]).unwrap();
            file.flush().unwrap();
        }
    })
    .await
    .unwrap();
    running.synced(&world, &["scan.las"]).await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    let (_, stored) = world.remote().into_iter().find(|(path, _)| path == "scan.las").unwrap();
    assert_eq!(stored.blake3, hash_of(&path));
}
