//! How far a file is searched that is not where its name says: anywhere in the mapping, if that is wanted and clear.

use std::time::Duration;

use versync::daemon::Event;
use versync::file::State;

use crate::names::{gltf, reason, uploads, uploads_of};
use crate::world::{Running, World};

fn chair(world: &World, texture: &str) {
    world.write("props/chair.gltf", &gltf(&[texture]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_file_of_a_name_is_found_anywhere_in_the_mapping_if_that_is_wanted() {
    let world = World::new().await;
    world.write("library/wood/Oak.png", b"oak");
    chair(&world, "C:/old/machine/oak.png");
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["chair.gltf"]], "nobody looks that far by default");
    world.emulator.clear_requests();

    world.options("search = \"mapping\"");
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["Oak.png", "chair.gltf"]]);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "a second pass has nothing to ask");

    world.write("library/wood/Oak.png", b"darker oak");
    world.sync().await;
    assert_eq!(
        uploads_of(&world, "chair.gltf"),
        [["Oak.png", "chair.gltf"]],
        "it is a member like any other"
    );

    world.options("search = \"near\"");
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.entry("props/chair.gltf").state(), State::Held, "its last whole version stays");
    assert_eq!(uploads_of(&world, "chair.gltf"), Vec::<Vec<String>>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_several_files_have_is_missing_and_the_candidates_are_told() {
    let world = World::new().await;
    world.options("search = \"mapping\"\non_missing = \"hold\"");
    world.write("a/oak.png", b"one oak");
    world.write("b/OAK.png", b"another oak");
    chair(&world, "C:/old/Oak.png");
    world.sync().await;
    assert_eq!(world.entry("props/chair.gltf").state(), State::Held);
    let why = reason(&world, "props/chair.gltf");
    assert!(why.contains("several files have that name") && why.contains("a/oak.png, b/OAK.png"), "{why}");
    assert_eq!(uploads(&world), 2, "the images are their own");

    // The very name is preferred, and one that is gone leaves the other.
    std::fs::rename(world.root().join("b/OAK.png"), world.root().join("b/Oak.png")).unwrap();
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["Oak.png", "chair.gltf"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_goes_leaves_the_other_one() {
    let world = World::new().await;
    world.options("search = \"mapping\"\non_missing = \"hold\"");
    world.write("a/oak.png", b"one oak");
    world.write("b/c/oak.png", b"another oak");
    chair(&world, "C:/old/oak.png");
    world.sync().await;
    assert_eq!(world.entry("props/chair.gltf").state(), State::Held);
    std::fs::remove_dir_all(world.root().join("b")).unwrap();
    world.sync().await;
    assert_eq!(world.entry("props/chair.gltf").state(), State::Synced);
    let members = world.entry("props/chair.gltf").current.unwrap().members;
    assert_eq!(members[0].part.path.to_string(), "a/oak.png");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_excluded_or_junk_is_never_found_by_its_name() {
    let world = World::new().await;
    world.options("search = \"mapping\"\nexclude = [\"private/\"]");
    world.write("private/oak.png", b"not yours");
    world.write(".git/oak.png", b"junk");
    world.write("kept/.versyncignore", b"*.exr\n");
    world.write("kept/elm.exr", b"not yours either");
    std::os::unix::fs::symlink(world.root().join("private"), world.root().join("link")).unwrap();
    world.write("props/chair.gltf", &gltf(&["C:/old/oak.png", "C:/old/elm.exr"]));
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["chair.gltf"]]);
    world.write("here/elm.exr", b"a format that only travels with models");
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf")[1], ["elm.exr", "chair.gltf"]);
}

async fn quiet(running: &mut Running) {
    running.until(|event| matches!(event, Event::Quiet)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_texture_that_turns_up_anywhere_completes_the_models_that_miss_it() {
    let world = World::new().await;
    world.options("search = \"mapping\"");
    chair(&world, "C:/old/oak.png");
    world.write("props/table.gltf", &gltf(&["C:/old/oak.png", "C:/old/elm.png"]));
    let mut running = world.run().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["chair.gltf"]]);
    world.emulator.clear_requests();

    world.write("library/oak.png", b"oak");
    running
        .until(|_| uploads_of(&world, "table.gltf").len() + uploads_of(&world, "chair.gltf").len() == 2)
        .await;
    quiet(&mut running).await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["oak.png", "chair.gltf"]]);
    assert_eq!(uploads_of(&world, "table.gltf"), [["oak.png", "table.gltf"]]);
    assert_eq!(uploads(&world), 2, "it is nobody's own");

    // Into a directory that is there already, and in a new one.
    world.emulator.clear_requests();
    world.write("library/elm.png", b"elm");
    running.until(|_| !uploads_of(&world, "table.gltf").is_empty()).await;
    quiet(&mut running).await;
    assert_eq!(uploads_of(&world, "table.gltf"), [["elm.png", "oak.png", "table.gltf"]]);
    assert_eq!(uploads(&world), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_texture_that_turns_up_while_nobody_watches_is_found_by_the_next_pass() {
    let world = World::new().await;
    world.options("search = \"mapping\"");
    chair(&world, "C:/old/oak.png");
    world.sync().await;
    world.emulator.clear_requests();
    world.write("library/deep/er/oak.png", b"oak");
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["oak.png", "chair.gltf"]]);
    assert_eq!(uploads(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_for_a_name_is_kept_when_another_file_of_that_name_turns_up() {
    let world = World::new().await;
    world.options("search = \"mapping\"");
    world.write("library/oak.png", b"oak");
    chair(&world, "C:/old/oak.png");
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf").len(), 1);
    world.emulator.clear_requests();

    let mut running = world.run().await;
    world.write("attic/oak.png", b"another oak");
    running
        .until(|event| matches!(event, Event::Stepped(step) if step.key.path.name() == b"chair.gltf"))
        .await;
    running.synced(&world, &["attic/oak.png"]).await;
    quiet(&mut running).await;
    running.stop().await;
    // One beside the model is a guess, too.
    world.write("props/oak.png", b"a third oak");
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), Vec::<Vec<String>>::new());
    assert_eq!(world.entry("props/chair.gltf").state(), State::Synced);
    let journal = world.ledger().reader().unwrap().journal(&World::key("props/chair.gltf"), 20).unwrap();
    let told =
        journal.iter().filter(|line| line.note.contains("library/oak.png was sent for it and is kept"));
    assert!(told.count() >= 1, "{journal:?}");

    // Another change of the model sends it with what it had.
    world.write("props/chair.gltf", &[gltf(&["C:/old/oak.png"]), b" ".to_vec()].concat());
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["oak.png", "chair.gltf"]]);
    let entry = world.entry("props/chair.gltf");
    assert_eq!(entry.current.unwrap().members[0].part.path.to_string(), "library/oak.png");

    // Once it is gone, the name may mean another.
    std::fs::remove_file(world.root().join("library/oak.png")).unwrap();
    world.sync().await;
    let entry = world.entry("props/chair.gltf");
    assert_eq!(entry.current.unwrap().members[0].part.path.to_string(), "props/oak.png");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_searches_nearby_keeps_no_names() {
    let world = World::new().await;
    world.write("library/oak.png", b"oak");
    chair(&world, "C:/old/oak.png");
    world.sync().await;
    assert!(!world.ledger().knows_names(&World::key("x").mapping).unwrap());
    world.options("search = \"mapping\"");
    world.sync().await;
    assert!(world.ledger().knows_names(&World::key("x").mapping).unwrap());
    assert_eq!(world.ledger().named(&World::key("x").mapping, b"OAK.png").unwrap().len(), 1);
    world.options("");
    world.sync().await;
    assert!(!world.ledger().knows_names(&World::key("x").mapping).unwrap());
    assert_eq!(world.ledger().named(&World::key("x").mapping, b"oak.png").unwrap(), []);
    tokio::time::timeout(Duration::from_secs(1), world.let_go()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deps_and_why_show_what_was_guessed_and_what_is_not_clear_any_more() {
    let world = World::new().await;
    world.write("library/oak.png", b"oak");
    chair(&world, "C:/old/oak.png");
    let chair_path = world.root().join("props/chair.gltf").display().to_string();
    let deps = async || world.versync(&["deps", "--json", &chair_path]).await.json();

    let told = deps().await;
    assert_eq!(told["missing"], serde_json::json!(["C:/old/oak.png"]));
    let cure = told["sought"][0]["cure"].as_str().unwrap();
    assert!(cure.contains("set `search = \"mapping\"`: library/oak.png"), "{cure}");

    world.options("search = \"mapping\"");
    world.configure(&world.settings());
    let told = deps().await;
    assert_eq!(told["needs"], serde_json::json!(["library/oak.png"]), "also before the first pass");
    assert_eq!(told["by"]["library/oak.png"]["guess"], true);
    assert_eq!(told["by"]["library/oak.png"]["how"], serde_json::json!(["absolute", "anywhere"]));
    let root = world.root().display().to_string();
    let told = world.versync(&["deps", "--json", "--root", &root, &chair_path]).await.json();
    assert_eq!(told["needs"], serde_json::json!([]), "a root of one's own is no mapping");

    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let told = world.versync(&["why", "--json", &chair_path]).await.json();
    assert_eq!(told["guesses"][0]["path"], "library/oak.png");
    assert_eq!(told["unclear"], serde_json::json!([]));
    world.write("attic/oak.png", b"another oak");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    let said = world.versync(&["why", &chair_path]).await.out;
    assert!(said.contains("library/oak.png for C:/old/oak.png (kept)"), "{said}");
    assert!(said.contains("could mean attic/oak.png by now; library/oak.png was sent for it"), "{said}");
    let told = deps().await;
    assert_eq!(told["by"]["library/oak.png"]["how"], serde_json::json!(["kept"]));
    assert!(told["warnings"][0].as_str().unwrap().contains("could mean attic/oak.png"), "{told}");
    world.write("props/table.gltf", &gltf(&["C:/old/oak.png"]));
    let table = world.root().join("props/table.gltf").display().to_string();
    let told = world.versync(&["deps", "--json", &table]).await.json();
    let cure = told["sought"][0]["cure"].as_str().unwrap();
    assert!(cure.contains("several files have that name"), "{cure}");
    assert!(cure.ends_with("attic/oak.png, library/oak.png"), "{cure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_material_library_that_is_found_by_its_name_names_textures_that_are() {
    let world = World::new().await;
    world.options("search = \"mapping\"\npart_names = \"path\"");
    world.write("models/a/box.obj", b"mtllib C:\\proj\\box.mtl\nv 0 0 0\n");
    world.write("materials/box.mtl", b"newmtl x\nmap_Kd D:\\tex\\paint.png\n");
    world.write("images/2026/paint.png", b"paint");
    world.sync().await;
    assert_eq!(
        uploads_of(&world, "box.obj"),
        [["_up/_up/images/2026/paint.png", "_up/_up/materials/box.mtl", "box.obj"]]
    );
    world.emulator.clear_requests();
    // A directory above has another name: what the members are called has not changed, and nothing is sent.
    std::fs::rename(world.root().join("models"), world.root().join("assets")).unwrap();
    world.sync().await;
    assert_eq!(uploads(&world), 0);
    assert_eq!(world.entry("assets/a/box.obj").state(), State::Synced);
    world.sync().await;
    assert_eq!(uploads(&world), 0);
    world.write("images/2025/paint.png", b"older paint");
    world.sync().await;
    assert_eq!(
        uploads_of(&world, "box.obj"),
        Vec::<Vec<String>>::new(),
        "what was sent is kept after the move too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_for_a_name_and_was_away_is_what_it_means_when_it_is_back() {
    let world = World::new().await;
    world.options("search = \"mapping\"");
    world.write("library/oak.png", b"oak");
    world.write("props/chair.gltf", &gltf(&["C:/old/oak.png", "D:/older/oak.png"]));
    world.sync().await;
    assert_eq!(uploads_of(&world, "chair.gltf"), [["oak.png", "chair.gltf"]]);
    world.emulator.clear_requests();
    world.write("attic/oak.png", b"another oak");
    world.write("cellar/oak.png", b"a third oak");
    world.sync().await;
    assert_eq!(world.entry("props/chair.gltf").state(), State::Synced, "both names are kept");

    let oak = world.root().join("library/oak.png");
    std::fs::rename(&oak, world.dir().join("away.png")).unwrap();
    world.sync().await;
    assert_eq!(world.entry("props/chair.gltf").state(), State::Held);
    let why = reason(&world, "props/chair.gltf");
    assert!(why.contains("member gone: library/oak.png"), "{why}");
    std::fs::rename(world.dir().join("away.png"), &oak).unwrap();
    world.sync().await;
    assert_eq!(
        world.entry("props/chair.gltf").state(),
        State::Synced,
        "{}",
        reason(&world, "props/chair.gltf")
    );
    assert_eq!(uploads_of(&world, "chair.gltf"), Vec::<Vec<String>>::new());
}
