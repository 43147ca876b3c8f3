//! A texture that many models share: its change sends all of them, or none until somebody says so or time has gone by.

use std::collections::BTreeSet;

use versync::daemon::{Event, Why};
use versync::emulator::{Fault, FaultKind};
use versync::file::State;

use crate::world::World;

const UPLOAD: &str = "/folders/{id}/source-files";

/// A model and its material, which names one texture; written long since, as far as the stamps may say so.
fn model(world: &World, name: &str, texture: &str) {
    world.write(&format!("{name}.obj"), format!("mtllib {name}.mtl\no {name}\n").as_bytes());
    world.write(&format!("{name}.mtl"), format!("newmtl m\nmap_Kd {texture}\n").as_bytes());
}

fn kit(world: &World, models: &[&str], texture: &str) {
    world.write(texture, b"first coat");
    models.iter().for_each(|name| model(world, name, texture));
}

/// The leads that were sent, in the order of their names; each as often as it was.
fn sent(world: &World) -> Vec<String> {
    let uploads =
        world.emulator.requests().into_iter().filter(|it| it.method == "POST" && it.route == UPLOAD);
    let mut leads: Vec<_> = uploads.map(|it| it.parts.last().unwrap().file_name.clone()).collect();
    leads.sort();
    leads
}

fn states(world: &World, models: &[&str]) -> Vec<State> {
    models.iter().map(|name| world.entry(&format!("{name}.obj")).state()).collect()
}

const THREE: [&str; 3] = ["a", "b", "c"];
const SENT: [&str; 3] = ["a.obj", "b.obj", "c.obj"];

/// Three synced models that share a texture, a limit of two, and the texture painted anew.
async fn painted() -> World {
    let world = World::new().await;
    world.options("max_refresh = 2");
    kit(&world, &THREE, "wood.png");
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!(sent(&world), SENT, "the first time nothing is refreshed, and nothing held");
    world.emulator.clear_requests();
    world.write("wood.png", b"second coat");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn more_models_than_the_limit_are_held_and_sent_once_when_somebody_says_so() {
    let world = painted().await;
    for _ in 0..2 {
        let said = world.versync(&["sync", "--json"]).await;
        assert_eq!(said.code, 3, "{said:#?}");
        assert_eq!(sent(&world), Vec::<String>::new());
        assert_eq!(states(&world, &THREE), [State::Held; 3]);
    }
    let why = world.entry("b.obj").reason().unwrap().to_owned();
    assert!(why.starts_with("refresh of 3 models ("), "{why}");
    assert!(why.contains("wood.png changed") && why.contains("`versync retry`"), "{why}");

    let retried = world.versync(&["retry", "--json", "studio"]).await;
    assert_eq!(retried.json()["retried"], 3, "{retried:#?}");
    world.sync().await;
    assert_eq!(sent(&world), SENT);
    assert_eq!(states(&world, &THREE), [State::Synced; 3]);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.emulator.requests(), [], "it was sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_the_texture_or_of_its_directory_lifts_all_its_models() {
    for path in ["t/wood.png", "t"] {
        let world = World::new().await;
        world.options("max_refresh = 2");
        kit(&world, &THREE, "t/wood.png");
        world.sync().await;
        world.write("t/wood.png", b"second coat");
        world.sync().await;
        world.emulator.clear_requests();
        let path = world.root().join(path);
        let retried = world.versync(&["retry", "--json", path.to_str().unwrap()]).await;
        assert_eq!(retried.json()["retried"], 3, "{retried:#?}");
        world.sync().await;
        assert_eq!(sent(&world), SENT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_one_of_them_first_has_not_asked_for_the_others() {
    let world = painted().await;
    world.sync().await;
    let path = world.root().join("b.obj");
    world.versync(&["retry", path.to_str().unwrap()]).await;
    for _ in 0..2 {
        world.sync().await;
        assert_eq!(sent(&world), ["b.obj"], "two are left, and two would be within the limit");
        assert_eq!(states(&world, &THREE), [State::Held, State::Synced, State::Held]);
    }
    world.versync(&["retry", "--all"]).await;
    world.sync().await;
    assert_eq!(sent(&world), SENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_let_go_is_sent_once_although_the_cloud_was_in_trouble_at_first() {
    let world = painted().await;
    world.sync().await;
    world.versync(&["retry", "studio"]).await;
    let trouble = FaultKind::Status { status: 503, body: String::new() };
    world.emulator.fault(Fault::next("POST", UPLOAD, trouble).every());
    let (ending, _) = world.sync().await;
    assert!(matches!(ending.why, Why::CloudTrouble(_)), "{:?}", ending.why);
    world.emulator.clear_faults();
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(sent(&world), SENT);
    assert_eq!(states(&world, &THREE), [State::Synced; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_leads_a_bundle_is_sent_itself_and_what_carries_it_is_held() {
    let world = World::new().await;
    world.options("max_refresh = 1");
    world.write("layer.usda", b"#usda 1.0\n(\n)\n");
    for scene in ["one", "two"] {
        let text = format!("#usda 1.0\n(\n    doc = \"{scene}\"\n    subLayers = [@./layer.usda@]\n)\n");
        world.write(&format!("{scene}.usda"), text.as_bytes());
    }
    world.sync().await;
    world.emulator.clear_requests();
    world.write("layer.usda", b"#usda 1.0\n(\n    doc = \"edited\"\n)\n");
    for _ in 0..2 {
        world.sync().await;
        assert_eq!(sent(&world), ["layer.usda"]);
        let held = ["one.usda", "two.usda"].map(|scene| world.entry(scene).state());
        assert_eq!(held, [State::Held; 2]);
    }
    let path = world.root().join("layer.usda");
    world.versync(&["retry", path.to_str().unwrap()]).await;
    world.sync().await;
    assert_eq!(sent(&world), ["layer.usda", "one.usda", "two.usda"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn painting_on_while_it_is_held_is_one_refresh_in_the_end() {
    let world = painted().await;
    for coat in ["red, and larger", "blue", "green!"] {
        world.sync().await;
        assert_eq!(states(&world, &THREE), [State::Held; 3]);
        world.write("wood.png", coat.as_bytes());
    }
    world.sync().await;
    assert_eq!(sent(&world), Vec::<String>::new());
    world.versync(&["retry", "studio"]).await;
    world.sync().await;
    assert_eq!(sent(&world), SENT);
    let green = blake3::hash(b"green!").to_hex().to_string();
    assert_eq!(world.remote().iter().filter(|(_, stored)| stored.blake3 == green).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_come_back_lift_the_hold_and_send_nothing() {
    let world = painted().await;
    world.sync().await;
    world.write("wood.png", b"first coat");
    world.sync().await;
    assert_eq!(states(&world, &THREE), [State::Synced; 3]);
    assert_eq!(sent(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_limit_it_is_sent_at_once() {
    let world = painted().await;
    world.options("max_refresh = 3");
    world.sync().await;
    assert_eq!(sent(&world), SENT);
    assert_eq!(states(&world, &THREE), [State::Synced; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_limit_is_another_decision() {
    let world = painted().await;
    world.sync().await;
    assert_eq!(states(&world, &THREE), [State::Held; 3]);
    world.options("max_refresh = 3");
    world.sync().await;
    assert_eq!(sent(&world), SENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_changed_itself_or_is_new_is_sent_as_ever() {
    let world = painted().await;
    world.write("b.obj", b"mtllib b.mtl\no edited\n");
    world.write("c.mtl", b"newmtl other\nmap_Kd wood.png\n");
    model(&world, "d", "wood.png");
    world.sync().await;
    assert_eq!(sent(&world), ["b.obj", "c.obj", "d.obj"], "its own lead, its own material, and a new one");
    assert_eq!(world.entry("a.obj").state(), State::Held);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(sent(&world), Vec::<String>::new());
    assert_eq!(world.entry("a.obj").state(), State::Held, "that others have the new bytes sends it nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_the_limit_are_held_too() {
    let world = World::new().await;
    world.options("max_refresh_size = \"64KiB\"");
    world.write("wood.png", b"thin");
    THREE.iter().for_each(|name| model(&world, name, "wood.png"));
    world.sync().await;
    world.emulator.clear_requests();
    world.write("wood.png", &[1; 30 * 1024]);
    world.sync().await;
    assert_eq!(sent(&world), Vec::<String>::new());
    let entry = world.entry("a.obj");
    assert!(entry.reason().unwrap().starts_with("refresh of 3 models (90."), "{:?}", entry.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_textures_that_change_together_count_together() {
    let world = World::new().await;
    world.options("max_refresh = 3");
    kit(&world, &["a", "b"], "wood.png");
    kit(&world, &["x", "y"], "steel.png");
    model(&world, "both", "wood.png");
    world.write("both.mtl", b"newmtl m\nmap_Kd wood.png\nmap_Bump steel.png\n");
    world.sync().await;
    world.emulator.clear_requests();
    world.write("wood.png", b"second coat");
    world.write("steel.png", b"rusty now");
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, Why::Finished);
    assert_eq!(sent(&world), Vec::<String>::new(), "three and three models, five together");
    assert_eq!(states(&world, &["a", "b", "both", "x", "y"]), [State::Held; 5]);
    let why = world.entry("x.obj").reason().unwrap().to_owned();
    assert!(why.starts_with("refresh of 5 models (") && why.contains("and 1 other file changed"), "{why}");
    world.versync(&["retry", "studio"]).await;
    world.sync().await;
    assert_eq!(sent(&world), ["a.obj", "b.obj", "both.obj", "x.obj", "y.obj"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_holds_hears_a_retry_and_holds_again_after_a_restart() {
    let world = World::new().await;
    world.options("max_refresh = 2");
    kit(&world, &THREE, "wood.png");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    for coat in ["red", "blue", "green"] {
        world.write("wood.png", coat.as_bytes());
    }
    let mut held = BTreeSet::new();
    while held.len() < 3 {
        let event =
            running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Held)).await;
        if let Event::Stepped(step) = event {
            held.insert(step.key.path);
        }
    }
    assert_eq!(running.stop().await.why, Why::Stopped);
    world.let_go().await;

    let running = world.run().await;
    for name in THREE {
        assert_eq!(running.entry(&format!("{name}.obj")).state(), State::Held, "{name}");
    }
    assert_eq!(sent(&world), Vec::<String>::new());
    assert_eq!(running.stop().await.why, Why::Stopped);
    world.let_go().await;

    world.versync(&["retry", "studio"]).await;
    let running = world.run().await;
    assert_eq!(sent(&world), SENT);
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_hour_sends_them_by_itself() {
    let world = World::new().await;
    world.options("max_refresh = 2\nrefresh_wait = \"3s\"");
    kit(&world, &THREE, "wood.png");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    world.write("wood.png", b"second coat");
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Held)).await;
    assert_eq!(sent(&world), Vec::<String>::new());
    // One is sent for its own sake, so that the ledger knows the new bytes, and the others wait on.
    world.write("b.obj", b"mtllib b.mtl\no edited\n");
    world.until_requests("POST", UPLOAD, 3).await;
    running.synced(&world, &SENT).await;
    running.until(|event| matches!(event, Event::Quiet)).await;
    assert_eq!(sent(&world), SENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_repaint_is_not_held_since_nothing_is_sent() {
    let world = painted().await;
    world.sync().await;
    world.versync(&["retry", "studio"]).await;
    world.sync().await;
    assert_eq!(sent(&world), SENT);
    world.emulator.clear_requests();
    world.write("wood.png", b"first coat");
    world.sync().await;
    assert_eq!(states(&world, &THREE), [State::Synced; 3]);
    assert_eq!(sent(&world), Vec::<String>::new());
}

/// A plan once everything rests.
async fn rested_plan(world: &World) -> serde_json::Value {
    let begun = std::time::Instant::now();
    loop {
        let plan = world.versync(&["plan", "--json"]).await.json();
        if plan["actions"].as_array().unwrap().iter().all(|it| it["action"] != "wait") {
            return plan;
        }
        assert!(begun.elapsed().as_secs() < 20, "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_how_far_each_shared_file_reaches_and_what_is_held() {
    let world = World::new().await;
    world.options("max_refresh = 2");
    kit(&world, &THREE, "t/wood.png");
    kit(&world, &["x", "y"], "t/steel.png");
    world.sync().await;
    let nothing = world.versync(&["plan", "--json"]).await.json();
    assert_eq!(nothing["refreshes"], serde_json::json!([]), "{nothing}");

    world.write("t/wood.png", b"second coat");
    let said = world.versync(&["plan"]).await;
    assert!(said.out.contains("t/wood.png -> 3 models, ") && said.out.contains(", held"), "{said:#?}");
    let plan = rested_plan(&world).await;
    let refreshes = plan["refreshes"].as_array().unwrap();
    assert_eq!(refreshes.len(), 1, "{plan}");
    assert_eq!((&refreshes[0]["path"], &refreshes[0]["models"]), (&"t/wood.png".into(), &3.into()));
    assert_eq!((&refreshes[0]["held"], &refreshes[0]["mapping"]), (&true.into(), &"studio".into()));
    let bytes: usize = ["a", "b", "c"].map(|_| "second coat".len() + 17 + 27).iter().sum();
    assert_eq!(refreshes[0]["bytes"], bytes, "{plan}");
    let held = plan["actions"].as_array().unwrap().iter().filter(|it| it["action"] == "hold").count();
    assert_eq!(held, 3, "{plan}");
    assert_eq!(plan["upload_files"], 0, "{plan}");

    world.sync().await;
    let again = world.versync(&["plan", "--json"]).await.json();
    assert_eq!(again["refreshes"], plan["refreshes"], "it is held now, and shown as before");
    let why = world.versync(&["why", world.root().join("t/wood.png").to_str().unwrap()]).await;
    assert!(why.out.contains("refresh of 3 models"), "{why:#?}");

    world.options("max_refresh = 3");
    world.write("t/wood.png", b"third coat");
    let plan = rested_plan(&world).await;
    assert_eq!(plan["refreshes"][0]["held"], false, "{plan}");
    assert_eq!(plan["upload_files"], 3, "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_beside_a_running_service_shows_what_it_holds() {
    let world = painted().await;
    world.sync().await;
    let running = world.run().await;
    let plan = world.versync(&["plan", "--json"]).await.json();
    assert_eq!(plan["source"], "ledger", "{plan}");
    assert_eq!(plan["refreshes"][0]["path"], "wood.png", "{plan}");
    assert_eq!((&plan["refreshes"][0]["models"], &plan["refreshes"][0]["held"]), (&3.into(), &true.into()));
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_material_library_that_all_share_and_that_names_another_texture_now_is_held_too() {
    let world = World::new().await;
    world.options("max_refresh = 2");
    world.write("wood.png", b"wood");
    world.write("steel.png", b"steel");
    world.write("all.mtl", b"newmtl m\nmap_Kd wood.png\n");
    for name in THREE {
        world.write(&format!("{name}.obj"), format!("mtllib all.mtl\no {name}\n").as_bytes());
    }
    world.sync().await;
    world.emulator.clear_requests();
    world.write("all.mtl", b"newmtl m\nmap_Kd steel.png\n");
    for _ in 0..2 {
        world.sync().await;
        assert!(sent(&world).iter().all(|lead| !lead.ends_with(".obj")), "{:?}", sent(&world));
        assert_eq!(states(&world, &THREE), [State::Held; 3]);
    }
}
