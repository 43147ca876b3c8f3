//! A tree arrives whole, once, and is known afterwards.

use versync::daemon::Why;
use versync::file::State;

use crate::world::{World, hash_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tree_arrives_whole_and_a_second_sync_sends_nothing() {
    let world = World::new().await;
    let chair = world.write("props/chair.fbx", b"chair, first version");
    let wood = world.write("props/textures/wood.png", b"wood");
    world.write("notes.txt", b"not for the cloud");
    world.write("props/empty.glb", b"");

    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    let remote = world.remote();
    let paths: Vec<_> = remote.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["props/chair.fbx", "props/textures/wood.png"]);
    assert_eq!(remote[0].1.blake3, hash_of(&chair));
    assert_eq!(remote[1].1.blake3, hash_of(&wood));
    let entry = world.entry("props/chair.fbx");
    assert_eq!(entry.state(), State::Synced);
    let current = entry.current.unwrap();
    assert_eq!(current.lead.source_file.to_string(), remote[0].1.id);
    assert!(current.lead.assets.iter().any(|asset| asset.kind == "scene"), "{:?}", current.lead.assets);
    assert_eq!(world.entry("props/empty.glb").state(), State::Held);

    world.emulator.clear_requests();
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!(world.emulator.requests().len(), 0, "{:?}", world.emulator.requests());
}
