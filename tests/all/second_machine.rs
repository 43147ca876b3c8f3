//! What is already there is found again, not sent again: folders, files, and nothing of other people's.

use versync::daemon::Why;
use versync::file::State;
use versync::file::entry::Title;

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";
const FOLDER: &str = "/folders/{id}/folders";

#[tokio::test(flavor = "multi_thread")]
async fn l3_a_lost_ledger_sends_nothing_that_is_already_there() {
    let world = World::new().await;
    world.write("props/chair.fbx", b"chair");
    world.write("props/wood/oak.png", b"oak");
    world.sync().await;
    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    world.emulator.clear_requests();

    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!((world.requests("POST", UPLOAD), world.requests("POST", FOLDER)), (0, 0));
    for path in ["props/chair.fbx", "props/wood/oak.png"] {
        let entry = world.entry(path);
        assert_eq!(entry.state(), State::Synced);
        let lead = entry.current.unwrap().lead;
        assert_eq!(lead.title, Title::Linked, "nobody can prove that this installation sent it");
        assert!(!lead.assets.is_empty());
    }
    assert_eq!(world.remote().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_a_namesake_of_the_same_size_with_other_bytes_is_left_alone() {
    let world = World::new().await;
    world.write("chair.fbx", b"theirs");
    world.sync().await;
    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    world.write("chair.fbx", b"mine!!");
    world.sync().await;
    assert_eq!(world.remote().len(), 2, "the API tells them apart by id");
    let entry = world.entry("chair.fbx");
    assert_eq!(entry.state(), State::Synced);
    assert_eq!(entry.current.unwrap().lead.title, Title::Owned);
    assert!(entry.copies.is_empty(), "what is not ours is not in the ledger");
}
