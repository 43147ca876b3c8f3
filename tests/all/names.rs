//! How the members of a model are called on their way, and what clouds may make of it.

use versync::daemon::Why;
use versync::emulator::{Fault, FaultKind};
use versync::file::State;

use crate::world::World;

pub(crate) const UPLOAD: &str = "/folders/{id}/source-files";

pub(crate) fn gltf(images: &[&str]) -> Vec<u8> {
    let images: Vec<_> = images.iter().map(|uri| format!(r#"{{"uri":"{uri}"}}"#)).collect();
    format!(r#"{{"asset":{{"version":"2.0"}},"images":[{}]}}"#, images.join(",")).into_bytes()
}

/// The names of the parts of each upload that carries this lead, in the order of the wire.
pub(crate) fn uploads_of(world: &World, lead: &str) -> Vec<Vec<String>> {
    let requests = world.emulator.requests().into_iter();
    let uploads = requests.filter(|it| it.method == "POST" && it.route == UPLOAD);
    let names = uploads.map(|it| it.parts.into_iter().map(|part| part.file_name).collect::<Vec<_>>());
    names.filter(|names| names.last().is_some_and(|name| name == lead)).collect()
}

pub(crate) fn uploads(world: &World) -> usize {
    world.requests("POST", UPLOAD)
}

fn knob_to(world: &World, word: &str) {
    let mut knobs = world.emulator.knobs();
    knobs.set("part_path", word).unwrap();
    world.emulator.set_knobs(knobs);
}

/// A model with two textures of one name, and one beside the directory that it lies in.
fn house(world: &World) {
    world.write("house/wall/color.png", b"plaster");
    world.write("house/roof/color.png", b"tiles");
    world.write("shared/glass.png", b"glass");
    world.write("house/house.gltf", &gltf(&["wall/color.png", "roof/color.png", "../shared/glass.png"]));
}

const HOUSE: [&str; 4] = ["roof/color.png", "wall/color.png", "_up/shared/glass.png", "house.gltf"];

pub(crate) fn reason(world: &World, path: &str) -> String {
    world.entry(path).reason().unwrap_or_default().to_owned()
}

/// The remote names of a model's current version, whose bytes are all there.
fn current(world: &World, path: &str) -> Vec<String> {
    let current = world.entry(path).current.unwrap();
    let remote = world.remote();
    let mut names = Vec::new();
    for part in current.parts() {
        let id = part.source_file.to_string();
        let stored = &remote.iter().find(|(_, stored)| stored.id == id).unwrap().1;
        assert_eq!(stored.blake3, part.part.content.hash.to_string(), "{}", part.part.path);
        names.push(stored.name.clone());
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_of_one_name_are_blocked_until_parts_are_named_by_their_paths() {
    let world = World::new().await;
    house(&world);
    world.sync().await;
    assert_eq!(world.entry("house/house.gltf").state(), State::Blocked);
    let why = reason(&world, "house/house.gltf");
    assert!(why.contains("two members of one name"), "{why}");
    assert!(why.contains("rename one, or set `part_names = \"path\"`"), "{why}");
    assert_eq!(uploads_of(&world, "house.gltf"), Vec::<Vec<String>>::new());

    world.options("part_names = \"path\"");
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!(world.entry("house/house.gltf").state(), State::Synced);
    assert_eq!(uploads_of(&world, "house.gltf"), [HOUSE]);
    assert_eq!(
        current(&world, "house/house.gltf"),
        ["house.gltf", "roof/color.png", "wall/color.png", "_up/shared/glass.png"]
    );

    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "a second pass has nothing to ask");
    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), 0, "a lost ledger finds the files under their names");
    assert_eq!(world.entry("house/house.gltf").state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_way_to_name_parts_sends_only_what_is_named_otherwise() {
    let world = World::new().await;
    world.write("flat/wood.png", b"wood");
    world.write("flat/flat.gltf", &gltf(&["wood.png"]));
    world.write("deep/tex/wood.png", b"oak");
    world.write("deep/deep.gltf", &gltf(&["tex/wood.png"]));
    world.write("alone.glb", b"glTF");
    world.sync().await;
    assert_eq!(uploads_of(&world, "deep.gltf"), [["wood.png", "deep.gltf"]]);
    world.emulator.clear_requests();

    world.options("part_names = \"path\"");
    world.sync().await;
    assert_eq!(uploads_of(&world, "deep.gltf"), [["tex/wood.png", "deep.gltf"]]);
    assert_eq!(uploads(&world), 1, "what has no subdirectories is not sent again");
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), []);

    world.options("part_names = \"base\"");
    world.sync().await;
    assert_eq!(uploads(&world), 0, "the version of before is made current again");
    assert_eq!(current(&world, "deep/deep.gltf"), ["deep.gltf", "wood.png"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_option_is_taken_over_by_a_restart() {
    let world = World::new().await;
    world.write("deep/tex/wood.png", b"oak");
    world.write("deep/deep.gltf", &gltf(&["tex/wood.png"]));
    world.sync().await;
    world.options("part_names = \"path\"");
    let running = world.run().await;
    world.until_some(|world| uploads_of(world, "deep.gltf").len() == 2).await;
    running.stop().await;
    assert_eq!(uploads_of(&world, "deep.gltf")[1], ["tex/wood.png", "deep.gltf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_cuts_directories_off_gets_what_can_be_told_apart_and_no_more() {
    for knob in ["strip", "cut"] {
        let world = World::new().await;
        knob_to(&world, knob);
        world.options("part_names = \"path\"");
        house(&world);
        world.write("deep/tex/wood.png", b"oak");
        world.write("deep/deep.gltf", &gltf(&["tex/wood.png"]));
        world.sync().await;
        assert_eq!(world.entry("deep/deep.gltf").state(), State::Synced, "{knob}");
        assert_eq!(current(&world, "deep/deep.gltf"), ["deep.gltf", "wood.png"], "{knob}");
        assert_eq!(world.entry("house/house.gltf").state(), State::Blocked, "{knob}");
        let why = reason(&world, "house/house.gltf");
        let told = if knob == "strip" { "set `part_names = \"base\"`" } else { "the cloud cuts directories" };
        assert!(why.contains(told), "{knob}: {why}");

        let held = world.remote().len();
        world.emulator.clear_requests();
        world.sync().await;
        assert_eq!(uploads(&world), 0, "{knob}: what is refused is not sent again");
        assert_eq!(world.remote().len(), held, "{knob}");

        // The cure: other names.
        std::fs::rename(world.root().join("house/roof/color.png"), world.root().join("house/roof/tiles.png"))
            .unwrap();
        world.write("house/house.gltf", &gltf(&["wall/color.png", "roof/tiles.png", "../shared/glass.png"]));
        world.sync().await;
        assert_eq!(world.entry("house/house.gltf").state(), State::Synced, "{knob}");
        assert_eq!(
            current(&world, "house/house.gltf"),
            ["house.gltf", "tiles.png", "color.png", "glass.png"],
            "{knob}"
        );
        world.emulator.clear_requests();
        std::fs::remove_dir_all(world.config().state_dir).unwrap();
        world.sync().await;
        assert_eq!(uploads(&world), 0, "{knob}: a lost ledger finds them under what is left of their names");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_refuses_directories_is_told_of_with_the_cure() {
    let world = World::new().await;
    knob_to(&world, "reject");
    world.options("part_names = \"path\"");
    house(&world);
    world.write("flat/wood.png", b"wood");
    world.write("flat/flat.gltf", &gltf(&["wood.png"]));
    world.write("deep/tex/wood.png", b"oak");
    world.write("deep/deep.gltf", &gltf(&["tex/wood.png"]));
    world.sync().await;
    assert_eq!(world.entry("flat/flat.gltf").state(), State::Synced);
    for path in ["house/house.gltf", "deep/deep.gltf"] {
        assert_eq!(world.entry(path).state(), State::Blocked);
        let why = reason(&world, path);
        assert!(why.contains("the cloud may take no directories in names"), "{why}");
        assert!(why.contains("set `part_names = \"base\"`"), "{why}");
    }
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(uploads(&world), 0);

    world.options("part_names = \"base\"");
    world.sync().await;
    assert_eq!(world.entry("deep/deep.gltf").state(), State::Synced);
    assert_eq!(uploads_of(&world, "deep.gltf"), [["wood.png", "deep.gltf"]]);
    assert_eq!(world.entry("house/house.gltf").state(), State::Blocked);
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_a4_a_lost_answer_to_parts_named_by_their_paths_is_found_again_and_not_sent_twice() {
    for (knob, companions) in
        [("keep", "off"), ("keep", "on"), ("strip", "off"), ("strip", "on"), ("cut", "off")]
    {
        let world = World::new().await;
        let mut knobs = world.emulator.knobs();
        knobs.set("part_path", knob).unwrap();
        knobs.set("companion_tasks", companions).unwrap();
        world.emulator.set_knobs(knobs);
        world.options("part_names = \"path\"");
        world.write("deep/tex/wood.png", b"oak");
        world.write("deep/up.png", b"up");
        world.write("deep/deep.gltf", &gltf(&["tex/wood.png", "up.png"]));
        world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenReset));
        world.sync().await;
        assert_eq!(world.entry("deep/deep.gltf").state(), State::Synced, "{knob}");
        assert_eq!(uploads_of(&world, "deep.gltf").len(), 1, "{knob}: it was there");
        assert_eq!(world.remote().len(), 3, "{knob}");
        current(&world, "deep/deep.gltf");
        if knob == "keep" {
            house(&world);
            world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenReset));
            world.sync().await;
            assert_eq!(world.entry("house/house.gltf").state(), State::Synced);
            assert_eq!(uploads_of(&world, "house.gltf").len(), 1);
            current(&world, "house/house.gltf");
        }
    }
}
