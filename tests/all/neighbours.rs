//! What other people do in the cloud while we look away, and two mappings that want one folder.

use versync::cloud::TheirAssets;
use versync::file::{PartName, State};

use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

#[tokio::test(flavor = "multi_thread")]
async fn a10_what_others_delete_or_rename_in_the_cloud_is_not_undone_and_the_next_version_is_sent() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    world.write("lamp.fbx", b"lamp");
    world.sync().await;
    let id = |path: &str| world.entry(path).current.unwrap().lead.source_file;
    let others = world.client();
    others.delete_source_files(&[id("chair.fbx")], TheirAssets::Keep).await.unwrap();
    others.rename_source_file(id("lamp.fbx"), &PartName::from_text("licht.fbx").unwrap()).await.unwrap();
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.requests("POST", UPLOAD), 0);
    let names = || world.remote().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(names(), ["licht.fbx"]);

    let chair = world.write("chair.fbx", b"a better chair");
    world.write("lamp.fbx", b"a better lamp");
    world.sync().await;
    assert_eq!(world.requests("POST", UPLOAD), 2);
    for path in ["chair.fbx", "lamp.fbx"] {
        assert_eq!(world.entry(path).state(), State::Synced, "{:?}", world.entry(path).reason());
    }
    assert_eq!(names(), ["chair.fbx", "lamp.fbx", "licht.fbx"], "what they renamed stays so");
    assert_eq!(world.remote()[0].1.blake3, hash_of(&chair));
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_two_mappings_that_would_send_one_name_to_one_folder_are_refused_before_anything_is_sent() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let second = world.dir().join("second");
    std::fs::create_dir(&second).unwrap();
    std::fs::write(second.join("chair.fbx"), b"another chair").unwrap();
    let folder = &world.emulator.seeds().folder_id;
    let more =
        format!("[[mapping]]\nname = \"second\"\npath = \"{}\"\nfolder = \"{folder}\"\n", second.display());
    world.configure(&(world.settings() + &more));
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 78, "{said:#?}");
    assert!(said.err.contains("fill the same folder"), "{said:#?}");
    assert!(world.emulator.requests().is_empty());
}
