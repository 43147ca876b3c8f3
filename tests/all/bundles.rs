//! A model arrives with its textures in one request, and is refreshed when any of them changes: exactly then, exactly once.

use std::time::Duration;

use versync::daemon::Why;
use versync::emulator::{Fault, FaultKind};
use versync::file::State;

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

fn gltf(buffer: &str, images: &[&str]) -> Vec<u8> {
    let images: Vec<_> = images.iter().map(|uri| format!(r#"{{"uri":"{uri}"}}"#)).collect();
    format!(
        r#"{{"asset":{{"version":"2.0"}},"buffers":[{{"byteLength":4,"uri":"{buffer}"}}],"images":[{}]}}"#,
        images.join(",")
    )
    .into_bytes()
}

/// The names of the parts of each upload, in the order of the wire.
fn uploads(world: &World) -> Vec<Vec<String>> {
    let requests = world.emulator.requests().into_iter();
    let uploads = requests.filter(|it| it.method == "POST" && it.route == UPLOAD);
    uploads.map(|it| it.parts.into_iter().map(|part| part.file_name).collect()).collect()
}

fn robot(world: &World) {
    world.write("robot/robot.bin", b"\0\0\0\0");
    world.write("robot/textures/paint.png", b"paint");
    world.write("robot/textures/rust.png", b"rust");
    let images = ["textures/paint.png", "textures/rust.png"];
    world.write("robot/robot.gltf", &gltf("robot.bin", &images));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_and_its_files_are_one_request_with_the_model_last() {
    let world = World::new().await;
    robot(&world);
    world.write("robot/textures/poster.png", b"no model uses it");
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    let mut sent = uploads(&world);
    sent.sort();
    assert_eq!(sent, [vec!["poster.png"], vec!["robot.bin", "paint.png", "rust.png", "robot.gltf"]]);
    let entry = world.entry("robot/robot.gltf");
    assert_eq!(entry.state(), State::Synced);
    let current = entry.current.unwrap();
    assert_eq!(current.members.len(), 3);
    for part in current.parts() {
        let id = part.source_file.to_string();
        let stored = world.remote().into_iter().find(|(_, stored)| stored.id == id).unwrap().1;
        assert_eq!(stored.name, part.part.name.as_str());
        assert_eq!(stored.blake3, part.part.content.hash.to_string());
    }

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "a second pass has nothing to ask");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_texture_that_three_models_share_refreshes_each_of_them_once() {
    let world = World::new().await;
    world.write("kit/colors.png", b"first");
    for model in ["a", "b", "c"] {
        world.write(&format!("kit/{model}.bin"), model.as_bytes());
        world.write(&format!("kit/{model}.gltf"), &gltf(&format!("{model}.bin"), &["colors.png"]));
    }
    world.sync().await;
    assert_eq!(uploads(&world).len(), 3, "the texture travels with each and not by itself");
    world.emulator.clear_requests();

    world.write("kit/colors.png", b"second");
    world.sync().await;
    let leads: std::collections::BTreeSet<_> =
        uploads(&world).into_iter().map(|mut parts| parts.pop().unwrap()).collect();
    assert_eq!(uploads(&world).len(), 3);
    assert_eq!(leads.into_iter().collect::<Vec<_>>(), ["a.gltf", "b.gltf", "c.gltf"]);
    world.emulator.clear_requests();
    world.write("kit/b.bin", b"other geometry");
    world.sync().await;
    assert_eq!(uploads(&world), [["b.bin", "colors.png", "b.gltf"]], "only the model whose buffer it is");
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_goes_never_replaces_a_whole_version_by_a_broken_one() {
    let world = World::new().await;
    robot(&world);
    world.sync().await;
    world.emulator.clear_requests();
    let rust = world.root().join("robot/textures/rust.png");
    std::fs::remove_file(&rust).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), Vec::<Vec<String>>::new());
    let entry = world.entry("robot/robot.gltf");
    assert_eq!(entry.state(), State::Held);
    assert!(entry.reason().unwrap().contains("member gone: robot/textures/rust.png"), "{:?}", entry.reason());
    assert!(entry.current.is_some(), "its last whole version stays");

    std::fs::write(&rust, b"rust").unwrap();
    world.sync().await;
    assert_eq!(world.entry("robot/robot.gltf").state(), State::Synced);
    assert_eq!(uploads(&world), Vec::<Vec<String>>::new(), "what came back is what was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_later_completes_a_model_that_was_sent_with_a_warning() {
    let world = World::new().await;
    world.write("chair.bin", b"\0\0\0\0");
    world.write("chair.gltf", &gltf("chair.bin", &["wood.png"]));
    world.sync().await;
    assert_eq!(uploads(&world), [["chair.bin", "chair.gltf"]]);
    assert_eq!(world.entry("chair.gltf").state(), State::Synced);
    world.emulator.clear_requests();
    world.write("wood.png", b"wood");
    world.sync().await;
    assert_eq!(uploads(&world), [["chair.bin", "wood.png", "chair.gltf"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_of_one_name_are_blocked_and_say_so() {
    let world = World::new().await;
    world.write("x/a.png", b"one");
    world.write("y/a.png", b"two");
    world.write("m.bin", b"\0\0\0\0");
    world.write("m.gltf", &gltf("m.bin", &["x/a.png", "y/a.png"]));
    world.sync().await;
    let entry = world.entry("m.gltf");
    assert_eq!(entry.state(), State::Blocked);
    assert!(entry.reason().unwrap().contains("two members of one name"), "{:?}", entry.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ledger_recognises_bundles_too() {
    let world = World::new().await;
    robot(&world);
    world.sync().await;
    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(uploads(&world), Vec::<Vec<String>>::new());
    let entry = world.entry("robot/robot.gltf");
    assert_eq!(entry.state(), State::Synced);
    assert_eq!(entry.current.unwrap().members.len(), 3);
}

fn chair(world: &World, texture: &[u8]) {
    world.write("chair.bin", b"\0\0\0\0");
    world.write("wood.png", texture);
    world.write("chair.gltf", &gltf("chair.bin", &["wood.png"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_texture_edit_survives_an_attempt_that_failed() {
    let world = World::new().await;
    chair(&world, b"oak");
    world.sync().await;
    let old = world.entry("chair.gltf").current.unwrap();
    world.write("wood.png", b"elm, and larger");
    world
        .emulator
        .fault(Fault::next("GET", UPLOAD, FaultKind::Status { status: 503, body: String::new() }).every());
    let (ending, _) = world.sync().await;
    assert!(matches!(ending.why, Why::CloudTrouble(_)), "{:?}", ending.why);
    assert_ne!(world.entry("chair.gltf").state(), State::Synced, "it is not what is on disk");
    world.emulator.clear_faults();
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(uploads(&world), [["chair.bin", "wood.png", "chair.gltf"]]);
    let entry = world.entry("chair.gltf");
    assert_eq!(entry.state(), State::Synced);
    assert!(
        entry.copies.iter().any(|copy| copy.source_file == old.lead.source_file),
        "the old ids stay known"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_textures_of_a_model_that_is_gone_are_their_own() {
    let world = World::new().await;
    chair(&world, b"oak");
    world
        .emulator
        .fault(Fault::next("POST", UPLOAD, FaultKind::Status { status: 503, body: String::new() }).every());
    world.sync().await;
    world.emulator.clear_faults();
    std::fs::remove_file(world.root().join("chair.gltf")).unwrap();
    world.sync().await;
    assert_eq!(world.entry("wood.png").state(), State::Synced, "the model was never sent");

    let world = World::new().await;
    chair(&world, b"oak");
    world.sync().await;
    std::fs::remove_file(world.root().join("chair.gltf")).unwrap();
    world.sync().await;
    world.write("wood.png", b"elm, and larger");
    world.sync().await;
    assert_eq!(world.entry("wood.png").state(), State::Synced);
    let elm = blake3::hash(b"elm, and larger").to_hex().to_string();
    assert!(world.remote().iter().any(|(_, stored)| stored.blake3 == elm));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_others_carry_leads_its_own_bundle_and_keeps_its_history() {
    let world = World::new().await;
    world.write("layer.usda", b"#usda 1.0\n(\n)\n");
    world.write("scene.usda", b"#usda 1.0\n(\n    subLayers = [@./layer.usda@]\n)\n");
    world.sync().await;
    let old = world.entry("layer.usda").current.unwrap();
    assert_eq!(world.entry("scene.usda").current.unwrap().members.len(), 1);
    world.emulator.clear_requests();
    world.write("layer.usda", b"#usda 1.0\n(\n    doc = \"edited\"\n)\n");
    world.sync().await;
    let mut sent = uploads(&world);
    sent.sort();
    assert_eq!(sent, [vec!["layer.usda"], vec!["layer.usda", "scene.usda"]]);
    let entry = world.entry("layer.usda");
    assert_eq!(entry.state(), State::Synced);
    assert!(
        entry.copies.iter().any(|copy| copy.source_file == old.lead.source_file),
        "the old ids stay known"
    );
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_of_one_texture_are_told_apart_by_their_bytes() {
    let world = World::new().await;
    let mut knobs = world.emulator.knobs();
    knobs.set("order", "newest").unwrap();
    knobs.conversion_ms = 1_500;
    world.emulator.set_knobs(knobs);
    world.write("wood.png", b"oak");
    world.write("a.bin", b"\0\0\0\0");
    world.write("a.gltf", &gltf("a.bin", &["wood.png"]));
    // The pass is dropped while the first model is being converted.
    drop(tokio::time::timeout(Duration::from_millis(700), world.sync()).await);
    world.let_go().await;
    world.write("wood.png", b"elm");
    world.write("b.bin", b"\x01\0\0\0");
    world.write("b.gltf", &gltf("b.bin", &["wood.png"]));
    world.sync().await;
    let remote = world.remote();
    for model in ["a.gltf", "b.gltf"] {
        let entry = world.entry(model);
        assert_eq!(entry.state(), State::Synced, "{model}: {:?}", entry.reason());
        for part in entry.current.unwrap().parts() {
            let id = part.source_file.to_string();
            let (_, stored) = remote.iter().find(|(_, stored)| stored.id == id).unwrap();
            assert_eq!(stored.blake3, part.part.content.hash.to_string(), "{model}: {}", part.part.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_keeps_equal_bytes_once_shares_a_texture_between_models() {
    let world = World::new().await;
    let mut knobs = world.emulator.knobs();
    knobs.set("dedup", "on").unwrap();
    world.emulator.set_knobs(knobs);
    world.write("wood.png", b"oak");
    for model in ["a", "b"] {
        world.write(&format!("{model}.bin"), model.as_bytes());
        world.write(&format!("{model}.gltf"), &gltf(&format!("{model}.bin"), &["wood.png"]));
    }
    world.sync().await;
    for model in ["a.gltf", "b.gltf"] {
        assert_eq!(world.entry(model).state(), State::Synced, "{:?}", world.entry(model).reason());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_model_that_the_cloud_rejects_takes_nothing_from_the_others() {
    let world = World::new().await;
    let mut knobs = world.emulator.knobs();
    world.write("a.bin", b"\0\0\0\0");
    world.write("a.gltf", &gltf("a.bin", &["map.exr"]));
    world.write("map.exr", b"not a format that the cloud lists");
    world.sync().await;
    let entry = world.entry("a.gltf");
    assert_eq!(
        entry.state(),
        State::Synced,
        "sent without what the cloud does not take: {:?}",
        entry.reason()
    );
    assert_eq!(entry.current.unwrap().members.len(), 1);

    // From here on the cloud rejects everything: neither format nor file is at fault.
    knobs.set("task_end", "rejected").unwrap();
    world.emulator.set_knobs(knobs);
    world.write("b.bin", b"\x01\0\0\0");
    world.write("b.gltf", &gltf("b.bin", &["other.exr"]));
    world.write("other.exr", b"another one");
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.entry("b.gltf").state(), State::Blocked);
    assert_eq!(uploads(&world), [vec!["b.bin", "other.exr", "b.gltf"], vec!["b.bin", "b.gltf"]]);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(uploads(&world), Vec::<Vec<String>>::new(), "the same bytes are not offered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_members_that_goes_is_noticed() {
    let world = World::new().await;
    world.write("parts/a.bin", b"\0\0\0\0");
    world.write("a.gltf", &gltf("parts/a.bin", &[]));
    world.sync().await;
    std::fs::remove_dir_all(world.root().join("parts")).unwrap();
    world.sync().await;
    assert_eq!(world.entry("a.gltf").state(), State::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_whose_texture_never_rests_is_told_and_keeps_nobody_waiting() {
    let world = World::new().await;
    world.configure(&format!("{}\nsettle_max = \"400ms\"\n", world.settings()));
    chair(&world, b"oak");
    let texture = world.root().join("wood.png");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let artist = tokio::task::spawn_blocking(move || {
        let mut strokes = 0_u32;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            strokes += 1;
            std::fs::write(&texture, strokes.to_string()).unwrap();
        }
    });
    let said = world.versync(&["sync", "--json"]).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    artist.await.unwrap();
    assert_eq!(said.code, 3, "{said:#?}");
    let told = said.json();
    assert_eq!(told["not_synced"][0]["path"], "chair.gltf", "{told}");
    assert_eq!(told["not_synced"][0]["state"], "settling", "{told}");
}
