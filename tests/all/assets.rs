//! What conversion made of files that are taken away: it goes with them where nothing else uses it, and stays where something does.

use std::fs;

use versync::cloud::TheirAssets;
use versync::delivery;
use versync::emulator::{Fault, FaultKind, Outcome};
use versync::file::entry::{Asset, Role};
use versync::file::{Entry, State};
use versync::id::AssetId;

use crate::world::World;

const POLICY: &str = "on_delete = \"delete_with_assets\"\non_change = \"delete_with_assets\"";

/// A chair with a material and a texture, and a lamp beside it.
fn furnish(world: &World) {
    world.write("chair.obj", b"mtllib chair.mtl\nv 0 0 0\n");
    world.write("chair.mtl", b"newmtl wood\nmap_Kd wood.tga\n");
    world.write("wood.tga", b"wood");
    world.write("lamp.obj", b"lamp");
}

async fn furnished(knobs: &[(&str, &str)]) -> World {
    let world = World::new().await;
    let mut set = world.emulator.knobs();
    knobs.iter().for_each(|(knob, value)| set.set(knob, value).unwrap());
    world.emulator.set_knobs(set);
    world.options(POLICY);
    furnish(&world);
    world.sync().await;
    assert_eq!(world.remote().len(), 4);
    agree(&world).await;
    world
}

async fn agree(world: &World) {
    world.let_go().await;
    delivery::arm(&world.ledger(), &world.config().mappings[0]).unwrap();
}

fn remove_chair(world: &World) {
    for path in ["chair.obj", "chair.mtl", "wood.tga"] {
        fs::remove_file(world.root().join(path)).unwrap();
    }
}

/// What was made of a model, with that of its members.
fn made(world: &World, path: &str) -> Vec<Asset> {
    world.entry(path).current.unwrap().parts().flat_map(|part| part.assets.clone()).collect()
}

fn of_kind(assets: &[Asset], kind: &str) -> String {
    assets.iter().find(|it| it.kind == kind).unwrap().id.to_string()
}

fn names(world: &World) -> Vec<String> {
    world.remote().into_iter().map(|(path, _)| path).collect()
}

/// Puts some assets to use in a scene of somebody else's.
fn lobby(world: &World, uses: &[String]) -> String {
    world.emulator.compose_scene(&world.emulator.seeds().folder_id, "Lobby", uses).unwrap()
}

/// That something was refused because it is used: then it was named although it is.
fn was_refused(world: &World) -> bool {
    world.emulator.requests().iter().any(|it| it.outcome == Outcome::Answered(409))
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_that_nothing_uses_go_with_their_files() {
    for referenced in ["refuse", "cascade"] {
        let world = furnished(&[("referenced_assets", referenced)]).await;
        let mut lamp: Vec<_> = made(&world, "lamp.obj").iter().map(|it| it.id.to_string()).collect();
        lamp.sort();
        remove_chair(&world);
        world.sync().await;
        assert_eq!(names(&world), ["lamp.obj"]);
        let mut left = world.emulator.asset_ids();
        left.sort();
        assert_eq!(left, lamp, "{referenced}");
        assert_eq!(world.entry("chair.obj"), Entry::default());
        assert!(!was_refused(&world), "{referenced}");
        let told = world.versync(&["why", "studio:chair.obj"]).await;
        assert!(told.out.contains("3 remote files were deleted, and 4 assets with them"), "{told:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_a_scene_uses_stays_with_what_it_uses_and_why_names_the_scene() {
    for referenced in ["refuse", "cascade"] {
        for used in ["texture", "material", "scene"] {
            let world = furnished(&[("referenced_assets", referenced)]).await;
            let (chair, lamp) = (made(&world, "chair.obj"), made(&world, "lamp.obj"));
            let scene = lobby(&world, &[of_kind(&chair, used)]);
            remove_chair(&world);
            world.sync().await;
            assert_eq!(names(&world), ["lamp.obj"], "the source files go all the same");
            let mut stay: Vec<_> = lamp.iter().map(|it| it.id.to_string()).collect();
            let kept: &[&str] = match used {
                "texture" => &["texture"],
                "material" => &["material", "texture"],
                _ => &["scene", "mesh", "material", "texture"],
            };
            stay.extend(kept.iter().map(|kind| of_kind(&chair, kind)));
            stay.push(scene.clone());
            stay.sort();
            let mut found = world.emulator.asset_ids();
            found.sort();
            assert_eq!(found, stay, "{referenced}, {used}");
            assert!(!was_refused(&world), "what is used is never named");

            let entry = world.entry("chair.obj");
            assert_eq!((entry.state(), entry.copies[0].role), (State::Deleted, Role::Remains));
            let told = world.versync(&["why", "studio:chair.obj"]).await.out;
            assert!(told.contains(&format!("used by scene Lobby ({scene})")), "{told}");

            // They are not asked about again and again.
            world.emulator.clear_requests();
            world.sync().await;
            assert_eq!(world.requests("GET", "/assets/{container}/{id}/references"), 0);
            assert_eq!(world.entry("chair.obj"), entry);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stayed_goes_with_the_next_version_that_goes_if_nothing_uses_it_any_more() {
    let world = furnished(&[]).await;
    let first = made(&world, "chair.obj");
    let scene = lobby(&world, &[of_kind(&first, "texture")]);
    world.write("chair.obj", b"mtllib chair.mtl\nv 1 1 1\n");
    world.sync().await;
    assert_eq!(names(&world), ["chair.mtl", "chair.obj", "lamp.obj", "wood.tga"]);
    let entry = world.entry("chair.obj");
    assert_eq!((entry.state(), entry.copies.len()), (State::Synced, 1));
    assert_eq!((entry.copies[0].role, entry.copies[0].assets.len()), (Role::Remains, 1));
    assert_eq!(entry.copies[0].assets[0].id.to_string(), of_kind(&first, "texture"));
    let told = world.versync(&["why", "studio:chair.obj"]).await.out;
    assert!(told.contains("used by scene Lobby") && told.contains("remains"), "{told}");

    let scene = AssetId::from_uuid(scene.parse().unwrap());
    let scene = Asset { id: scene, kind: "scene".to_owned(), name: String::new() };
    world.client().delete_asset(&scene).await.unwrap();
    remove_chair(&world);
    world.sync().await;
    assert_eq!(names(&world), ["lamp.obj"]);
    assert_eq!(world.emulator.asset_ids().len(), 3, "only those of the lamp");
    assert_eq!(world.entry("chair.obj"), Entry::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_whose_ids_live_on_in_the_new_version_stay() {
    let world = furnished(&[("asset_ids", "stable"), ("referenced_assets", "cascade")]).await;
    let first = made(&world, "chair.obj");
    world.write("chair.obj", b"mtllib chair.mtl\nv 1 1 1\n");
    world.sync().await;
    assert_eq!(names(&world), ["chair.mtl", "chair.obj", "lamp.obj", "wood.tga"]);
    let ids = |assets: &[Asset]| assets.iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(&made(&world, "chair.obj")), ids(&first));
    assert_eq!(world.emulator.asset_ids().len(), 7, "nothing that lives was deleted");
    assert_eq!(world.requests("DELETE", "/assets"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_models_share_stays_until_both_are_gone() {
    let world = furnished(&[("dedup", "on"), ("referenced_assets", "cascade")]).await;
    world.write("table.obj", b"mtllib table.mtl\n");
    world.write("table.mtl", b"newmtl oak\nmap_Kd wood.tga\n");
    world.sync().await;
    let table = made(&world, "table.obj");
    let shared = world.entry("table.obj").current.unwrap().members;
    let shared = shared.iter().find(|it| it.part.name.as_str() == "wood.tga").unwrap().source_file;
    for path in ["chair.obj", "chair.mtl"] {
        fs::remove_file(world.root().join(path)).unwrap();
    }
    world.sync().await;
    assert_eq!(names(&world), ["lamp.obj", "table.mtl", "table.obj", "wood.tga"]);
    for asset in &table {
        assert!(world.emulator.asset_ids().contains(&asset.id.to_string()), "{asset:?}");
    }
    assert_eq!(world.entry("table.obj").state(), State::Synced);
    for path in ["table.obj", "table.mtl", "wood.tga"] {
        fs::remove_file(world.root().join(path)).unwrap();
    }
    world.sync().await;
    world.sync().await;
    assert_eq!(names(&world), ["lamp.obj"]);
    assert!(!world.remote().iter().any(|(_, it)| it.id == shared.to_string()));
    assert_eq!(world.emulator.asset_ids().len(), 3, "only those of the lamp");
    assert_eq!(world.entry("chair.obj"), Entry::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_a8_assets_of_linked_files_and_of_others_survive() {
    let world = furnished(&[("referenced_assets", "cascade")]).await;
    // Another machine's ledger: what it finds is linked.
    fs::remove_dir_all(world.config().state_dir).unwrap();
    world.sync().await;
    agree(&world).await;
    let before = world.emulator.asset_ids();
    remove_chair(&world);
    world.write("lamp.obj", b"another lamp");
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(names(&world).len(), 5);
    assert!(before.iter().all(|it| world.emulator.asset_ids().contains(it)));
    assert!(!world.emulator.requests().iter().any(|it| it.method == "DELETE"));
    assert_eq!(world.requests("GET", "/assets/{container}/{id}/references"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_of_which_nobody_tells_who_uses_them_stay() {
    let world = furnished(&[("referenced_assets", "cascade")]).await;
    let before = world.emulator.asset_ids();
    let refused = FaultKind::Status { status: 403, body: String::new() };
    let mut fault = Fault::next("GET", "/assets/{container}/{id}/references", refused);
    fault.turn = versync::emulator::Turn::Every;
    world.emulator.fault(fault);
    remove_chair(&world);
    world.sync().await;
    assert_eq!(names(&world), ["lamp.obj"]);
    assert_eq!(world.emulator.asset_ids(), before);
    let entry = world.entry("chair.obj");
    assert!(entry.reason().unwrap().contains("the cloud does not tell who uses it"), "{:?}", entry.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_of_a_file_that_somebody_deleted_go_all_the_same() {
    let world = furnished(&[]).await;
    let files: Vec<_> =
        world.entry("chair.obj").current.unwrap().parts().map(|part| part.source_file).collect();
    world.client().delete_source_files(&files, TheirAssets::Keep).await.unwrap();
    assert_eq!(world.emulator.asset_ids().len(), 7);
    remove_chair(&world);
    world.sync().await;
    assert_eq!((names(&world), world.emulator.asset_ids().len()), (vec!["lamp.obj".to_owned()], 3));
    assert_eq!(world.entry("chair.obj"), Entry::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_of_a_type_that_is_newer_than_this_version_stay_and_that_is_told() {
    let world = furnished(&[("referenced_assets", "cascade")]).await;
    let mut entry = world.entry("chair.obj");
    let current = entry.current.as_mut().unwrap();
    let files: Vec<_> = current.parts().map(|part| part.source_file).collect();
    let mesh = current.lead.assets.iter_mut().find(|it| it.kind == "mesh").unwrap();
    mesh.kind = "hologram".to_owned();
    let mesh = mesh.id.to_string();
    world.ledger().put_bundle(&World::key("chair.obj"), &entry, &[], None, versync::ambient::now()).unwrap();
    world.let_go().await;
    // So that the ledger is the only one who tells what was made of them.
    world.client().delete_source_files(&files, TheirAssets::Keep).await.unwrap();
    remove_chair(&world);
    world.sync().await;
    assert_eq!(world.emulator.asset_ids().len(), 4, "those of the lamp, and the hologram");
    assert!(world.emulator.asset_ids().contains(&mesh));
    let entry = world.entry("chair.obj");
    let reason = entry.reason().unwrap();
    assert!(reason.contains("does not know assets of the type hologram"), "{reason}");
}

/// Somebody puts an asset to use between the question and the deletion.
#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_the_cloud_refuses_to_delete_stays_and_the_others_go() {
    let world = furnished(&[]).await;
    let chair = made(&world, "chair.obj");
    for route in ["/assets", "/assets/{container}/{id}"] {
        let body = String::new();
        world.emulator.fault(Fault::next("DELETE", route, FaultKind::Status { status: 409, body }));
    }
    remove_chair(&world);
    world.sync().await;
    assert_eq!(names(&world), ["lamp.obj"]);
    // The scene stays, and with it everything that it uses.
    assert_eq!(world.emulator.asset_ids().len(), 7);
    let entry = world.entry("chair.obj");
    assert!(entry.reason().unwrap().contains("the cloud does not let it go"), "{:?}", entry.reason());
    let told: usize = entry.copies.iter().map(|copy| copy.assets.len()).sum();
    assert_eq!(told, chair.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_delete_assets_takes_nothing() {
    let world = furnished(&[]).await;
    let refused = FaultKind::Status { status: 403, body: String::new() };
    world.emulator.fault(Fault::next("DELETE", "/assets", refused));
    remove_chair(&world);
    world.sync().await;
    assert_eq!((names(&world).len(), world.emulator.asset_ids().len()), (4, 7));
    let entry = world.entry("chair.obj");
    assert_eq!(entry.state(), State::Deleted);
    assert!(entry.current.is_some(), "it is as it was");
    assert!(entry.reason().unwrap().contains("could not be taken away"), "{:?}", entry.reason());
}

/// Some of it is gone by then: it must not be taken for whole when its file comes back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_half_way_is_told_and_sent_anew_when_its_file_comes_back() {
    let world = furnished(&[]).await;
    let refused = FaultKind::Status { status: 403, body: String::new() };
    world.emulator.fault(Fault::next("DELETE", "/source-files", refused));
    remove_chair(&world);
    world.sync().await;
    assert_eq!((names(&world).len(), world.emulator.asset_ids().len()), (4, 3));
    let entry = world.entry("chair.obj");
    assert_eq!((entry.state(), entry.current.is_some()), (State::Deleted, false));
    assert!(entry.reason().unwrap().contains("could not be taken away"), "{:?}", entry.reason());
    furnish(&world);
    world.sync().await;
    assert_eq!(world.entry("chair.obj").state(), State::Synced);
    for asset in made(&world, "chair.obj") {
        assert!(world.emulator.asset_ids().contains(&asset.id.to_string()), "{asset:?}");
    }
    // What was left of the earlier one went, as a replaced version does.
    assert_eq!(names(&world), ["chair.mtl", "chair.obj", "lamp.obj", "wood.tga"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_models_share_goes_when_both_go_at_once() {
    let world = furnished(&[("dedup", "on")]).await;
    world.write("table.obj", b"mtllib table.mtl\n");
    world.write("table.mtl", b"newmtl oak\nmap_Kd wood.tga\n");
    world.sync().await;
    remove_chair(&world);
    for path in ["table.obj", "table.mtl"] {
        fs::remove_file(world.root().join(path)).unwrap();
    }
    for _ in 0..3 {
        world.sync().await;
    }
    assert_eq!((names(&world), world.emulator.asset_ids().len()), (vec!["lamp.obj".to_owned()], 3));
    assert_eq!((world.entry("chair.obj"), world.entry("table.obj")), (Entry::default(), Entry::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_approve_and_status_say_that_assets_go_too() {
    let world = World::new().await;
    world.options(POLICY);
    furnish(&world);
    world.sync().await;
    world.let_go().await;
    remove_chair(&world);
    let said = world.versync(&["sync"]).await;
    assert_eq!(said.code, 13, "{said:#?}");
    let plan = world.versync(&["plan"]).await.out;
    assert!(
        plan.contains("3 remote files to be deleted, with those assets that nothing else uses"),
        "{plan}"
    );
    let asked = world.versync(&["approve", "studio", "--yes", "--json"]).await;
    let told = asked.json();
    assert_eq!((&told["on_delete"], &told["gone"]), (&"delete_with_assets".into(), &1.into()), "{asked:#?}");
    assert!(asked.err.contains("assets"), "{asked:#?}");
    assert_eq!(world.versync(&["sync"]).await.code, 0);
    assert_eq!((names(&world), world.emulator.asset_ids().len()), (vec!["lamp.obj".to_owned()], 3));
}
