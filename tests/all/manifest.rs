//! What became of every path as a file for others: written where it is wanted, and enough to rebuild a lost ledger from.

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

fn studio(world: &World) {
    world.write("robot/robot.bin", b"\0\0\0\0");
    world.write("robot/paint.png", b"paint");
    world.write(
        "robot/robot.gltf",
        br#"{"asset":{"version":"2.0"},"buffers":[{"byteLength":4,"uri":"robot.bin"}],"images":[{"uri":"paint.png"}]}"#,
    );
    world.write("chair.fbx", b"Kaydara FBX Binary  \0 chair");
    world.write("poster.png", b"no model uses it");
    let file = world.dir().join("manifest.json");
    world.configure(&format!("{}\n[manifest]\npath = \"{}\"\n", world.settings(), file.display()));
}

fn kept(world: &World) -> String {
    std::fs::read_to_string(world.dir().join("manifest.json")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_is_rebuilt_from_the_manifest_without_an_upload_or_a_download() {
    let world = World::new().await;
    studio(&world);
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let before = kept(&world);
    assert!(!before.contains(world.dir().to_str().unwrap()), "no path of this machine");
    std::fs::remove_dir_all(world.dir().join("state")).unwrap();
    world.emulator.clear_requests();

    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let asked: Vec<_> = world.emulator.requests().into_iter().map(|it| (it.method, it.route)).collect();
    assert!(asked.iter().all(|(method, _)| method == "GET"), "{asked:#?}");
    assert!(
        asked.iter().all(|(_, route)| route != "/source-files/{id}"),
        "nothing is downloaded: {asked:#?}"
    );
    assert_eq!(kept(&world), before, "the same ids, byte for byte");
    let entry = world.entry("robot/robot.gltf");
    assert_eq!(entry.current.unwrap().lead.title, versync::file::entry::Title::Linked);

    world.emulator.clear_requests();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.requests("POST", UPLOAD), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_names_other_bytes_is_not_believed() {
    let world = World::new().await;
    studio(&world);
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    std::fs::remove_dir_all(world.dir().join("state")).unwrap();
    // Of the same length, so that only the bytes tell.
    world.write("chair.fbx", b"Kaydara FBX Binary  \0 CHAIR");
    world.emulator.clear_requests();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.requests("POST", UPLOAD), 1);
    let hash = crate::world::hash_of(&world.root().join("chair.fbx"));
    assert!(world.remote().iter().any(|(_, stored)| stored.blake3 == hash));
    assert!(kept(&world).contains(&hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_fails_after_the_ledger_was_lost_leaves_the_manifest_as_it_was() {
    let world = World::new().await;
    studio(&world);
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let before = kept(&world);
    std::fs::remove_dir_all(world.dir().join("state")).unwrap();
    let down = versync::emulator::FaultKind::Status { status: 503, body: String::new() };
    world.emulator.fault(versync::emulator::Fault::next("GET", UPLOAD, down).every());
    assert_ne!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(kept(&world), before);
    world.emulator.clear_faults();
    world.emulator.clear_requests();
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!(world.requests("POST", UPLOAD), 0);
    assert_eq!(kept(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_script_finds_an_asset_by_path_and_is_told_the_choices() {
    let world = World::new().await;
    studio(&world);
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let file = world.dir().join("manifest.json");
    let file = file.to_str().unwrap();
    let robot = world.entry("robot/robot.gltf").current.unwrap();
    let scene = robot.lead.assets.iter().find(|asset| asset.kind == "scene").unwrap();
    let said = world.versync(&["resolve", "robot/robot.gltf", "--manifest", file]).await;
    assert_eq!((said.code, said.out.trim()), (0, scene.id.to_string().as_str()), "{said:#?}");
    let said = world.versync(&["resolve", "studio:poster.png", "--json"]).await;
    assert_eq!(said.json()["type"], "texture", "{said:#?}");
    let said = world.versync(&["resolve", "chair.fbx#scene/9"]).await;
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.err.contains("#scene/0"), "{said:#?}");
    assert_eq!(world.versync(&["resolve", "nowhere.fbx"]).await.code, 3);

    let said = world.versync(&["manifest"]).await;
    assert_eq!(said.out, kept(&world));
    let inside = world.root().join("manifest.json");
    assert_eq!(world.versync(&["manifest", "--output", inside.to_str().unwrap()]).await.code, 2);
    assert!(!inside.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_below_a_root_is_refused() {
    let world = World::new().await;
    let inside = world.root().join("manifest.json");
    world.configure(&format!("{}\n[manifest]\npath = \"{}\"\n", world.settings(), inside.display()));
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 78, "{said:#?}");
    assert!(said.err.contains("the manifest"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_writes_it_whenever_all_is_done_and_once_more_at_its_end() {
    let world = World::new().await;
    studio(&world);
    let run = world.start(&["run"]);
    let tells = |world: &World, path: &str| {
        let hash = crate::world::hash_of(&world.root().join(path));
        std::fs::read_to_string(world.dir().join("manifest.json")).is_ok_and(|text| text.contains(&hash))
    };
    world.until_some(|world| tells(world, "robot/robot.gltf") && tells(world, "chair.fbx")).await;
    for coat in ["red", "blue", "green"] {
        world.write("robot/paint.png", coat.as_bytes());
        world.until_some(|world| tells(world, "robot/paint.png")).await;
    }
    let before = world.requests("POST", UPLOAD);
    world.write("lamp.fbx", b"Kaydara FBX Binary  \0 lamp");
    world.until_requests("POST", UPLOAD, before + 1).await;
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
    let listed = world.versync(&["manifest"]).await;
    assert_eq!(kept(&world), listed.out, "what the ledger says at the end");
}
