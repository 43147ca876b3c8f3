//! A model arrives with its textures in one request, and is refreshed when any of them changes: exactly then, exactly once.

use versync::daemon::{Event, Why};
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

/// An exporter writes the textures, the model and at last its buffer; the artist repaints one texture three times in a row,
/// renames one, and deletes one.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_at_work_causes_exactly_the_uploads_that_are_needed() {
    let world = World::new().await;
    world.write("other.fbx", b"Kaydara FBX Binary  \0 something else");
    let mut running = world.run().await;
    world.emulator.clear_requests();

    world.write("car/tex/body.png", b"body");
    world.write("car/tex/glass.png", b"glass");
    running
        .until(|event| matches!(event, Event::Stepped(step) if step.key.path.name() == b"glass.png"))
        .await;
    world.write("car/car.gltf", &gltf("car.bin", &["tex/body.png", "tex/glass.png"]));
    running.until(|event| matches!(event, Event::Stepped(step) if step.key.path.name() == b"car.gltf")).await;
    world.write("car/car.bin", b"\0\0\0\0");
    running.synced(&world, &["car/car.gltf"]).await;
    running.until(|event| matches!(event, Event::Quiet)).await;
    assert_eq!(uploads(&world), [["car.bin", "body.png", "glass.png", "car.gltf"]]);

    world.emulator.clear_requests();
    for coat in ["red", "blue", "green"] {
        world.write("car/tex/body.png", coat.as_bytes());
    }
    world.until_requests("POST", UPLOAD, 1).await;
    running.until(|event| matches!(event, Event::Quiet)).await;
    assert_eq!(
        uploads(&world),
        [["car.bin", "body.png", "glass.png", "car.gltf"]],
        "three saves, one refresh"
    );
    let green = blake3::hash(b"green").to_hex().to_string();
    assert!(world.remote().iter().any(|(_, stored)| stored.blake3 == green));

    world.emulator.clear_requests();
    std::fs::remove_file(world.root().join("car/tex/glass.png")).unwrap();
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Held)).await;
    assert_eq!(uploads(&world), Vec::<Vec<String>>::new());
    assert!(running.entry("car/car.gltf").current.is_some());
}
