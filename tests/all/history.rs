//! A morning of one artist, seen from outside: the real binary watches, and each upload of the morning is accounted for.

use std::time::Duration;

use serde_json::Value;

use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

/// An exporter takes its time between two files: more than a file has to rest, and less than a model waits for its pieces.
const BETWEEN_FILES: Duration = Duration::from_millis(600);

/// An artist saves while painting: sooner than what was saved has come to rest.
const BETWEEN_SAVES: Duration = Duration::from_millis(200);

const TEXTURES: [&str; 5] = ["body.png", "dirt.png", "glass.png", "rims.png", "seats.png"];

fn settings(world: &World) -> String {
    let waits = [
        ("settle = \"20ms\"", "settle = \"100ms\""),
        ("delete_settle = \"50ms\"", "delete_settle = \"300ms\""),
        ("bundle_wait = \"300ms\"", "bundle_wait = \"6s\""),
    ];
    waits.into_iter().fold(world.settings(), |text, (short, real)| {
        assert!(text.contains(short), "{short}");
        text.replace(short, real)
    })
}

fn gltf(buffer: &str, images: &[&str]) -> Vec<u8> {
    let images: Vec<_> = images.iter().map(|name| format!(r#"{{"uri":"textures/{name}"}}"#)).collect();
    let buffer = format!(r#"{{"byteLength":4,"uri":"{buffer}"}}"#);
    format!(r#"{{"asset":{{"version":"2.0"}},"buffers":[{buffer}],"images":[{}]}}"#, images.join(","))
        .into_bytes()
}

/// A picture that ends as one; what is in it does not matter.
fn picture(of: &str) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n", of.as_bytes(), b"\0\0\0\0IEND\xaeB`\x82"].concat()
}

/// What was uploaded since the last look, a line for each request with its parts in the order of the wire, sorted.
fn uploads(world: &World) -> Vec<String> {
    let requests = world.emulator.requests();
    let uploads = requests.into_iter().filter(|it| it.method == "POST" && it.route == UPLOAD);
    let names = uploads.map(|it| it.parts.into_iter().map(|part| part.file_name).collect::<Vec<_>>());
    let mut lines: Vec<_> = names.map(|it| it.join(" ")).collect();
    lines.sort();
    world.emulator.clear_requests();
    lines
}

/// The program's pace, not a wait for us.
async fn pace(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// Waits until `status` of the running service tells this of a file.
async fn told(world: &World, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let wait = async {
        loop {
            let said = world.versync(&["status", &format!("studio:{path}"), "--json"]).await;
            last = serde_json::from_str(&said.out).unwrap_or_default();
            if is_so(&last["file"]) {
                return;
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(40), wait).await.is_err() {
        panic!("{path}: it did not come to that: {last:#}");
    }
    last["file"].clone()
}

/// Waits until a model is synced with just these files, each with the bytes that it has on disk; so is what the cloud holds.
async fn arrives(world: &World, lead: &str, members: &[&str]) {
    let mut wanted: Vec<_> = members.iter().map(|it| it.to_string()).chain([lead.to_owned()]).collect();
    wanted.sort();
    let file = told(world, lead, |it| {
        let parts = it["parts"].as_array().cloned().unwrap_or_default();
        let is_as_on_disk =
            |part: &Value| hash_of(&world.root().join(part["path"].as_str().unwrap())) == part["hash"];
        let mut paths: Vec<_> = parts.iter().map(|it| it["path"].as_str().unwrap().to_owned()).collect();
        paths.sort();
        it["state"] == "synced" && paths == wanted && parts.iter().all(is_as_on_disk)
    })
    .await;
    let remote = world.remote();
    for part in file["parts"].as_array().unwrap() {
        let (path, stored) = remote.iter().find(|(_, it)| part["source_file_id"] == it.id.as_str()).unwrap();
        assert_eq!(part["hash"], stored.blake3.as_str(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_morning_of_exports_and_paint_causes_exactly_these_uploads() {
    let world = World::new().await;
    world.configure(&settings(&world));
    world.write("shed/shed.bin", b"\x01\0\0\0");
    world.write("shed/textures/wood.png", &picture("wood"));
    world.write("shed/shed.gltf", &gltf("shed.bin", &["wood.png"]));
    world.write("cars/van.bin", b"\x02\0\0\0");
    let run = world.start(&["run"]);
    world.until_standing("studio", |it| it["state"] == "watching").await;
    arrives(&world, "shed/shed.gltf", &["shed/shed.bin", "shed/textures/wood.png"]).await;
    assert_eq!(uploads(&world), ["shed.bin wood.png shed.gltf"], "what was there before");

    world.write("cars/car.gltf", &gltf("car.bin", &TEXTURES));
    pace(BETWEEN_FILES).await;
    world.write("cars/car.bin", b"\x03\0\0\0");
    for name in TEXTURES {
        pace(BETWEEN_FILES).await;
        world.write(&format!("cars/textures/{name}"), &picture(name));
    }
    let all = TEXTURES.map(|name| format!("cars/textures/{name}"));
    let members: Vec<_> = all.iter().map(String::as_str).chain(["cars/car.bin"]).collect();
    arrives(&world, "cars/car.gltf", &members).await;
    world.write("cars/van.gltf", &gltf("van.bin", &["body.png"]));
    arrives(&world, "cars/van.gltf", &["cars/van.bin", "cars/textures/body.png"]).await;
    let car = "car.bin body.png dirt.png glass.png rims.png seats.png car.gltf";
    assert_eq!(
        uploads(&world),
        ["body.png van.bin van.gltf", car],
        "seven files written over seconds are one upload"
    );

    for coat in ["red", "blue", "green"] {
        world.write("cars/textures/body.png", &picture(coat));
        pace(BETWEEN_SAVES).await;
    }
    arrives(&world, "cars/car.gltf", &members).await;
    arrives(&world, "cars/van.gltf", &["cars/van.bin", "cars/textures/body.png"]).await;
    assert_eq!(
        uploads(&world),
        ["body.png van.bin van.gltf", car],
        "three saves refresh each of its two models once"
    );

    let at = |name: &str| world.root().join("cars/textures").join(name);
    std::fs::rename(at("glass.png"), at("windows.png")).unwrap();
    let held = told(&world, "cars/car.gltf", |it| it["state"] == "held").await;
    assert!(held["reason"].as_str().unwrap().contains("member gone: cars/textures/glass.png"), "{held:#}");
    arrives(&world, "cars/textures/windows.png", &[]).await;
    assert_eq!(uploads(&world), ["windows.png"], "no model names it, and the whole car stays as it is");
    let textures = TEXTURES.map(|name| if name == "glass.png" { "windows.png" } else { name });
    world.write("cars/car.gltf", &gltf("car.bin", &textures));
    let all = textures.map(|name| format!("cars/textures/{name}"));
    let members: Vec<_> = all.iter().map(String::as_str).chain(["cars/car.bin"]).collect();
    arrives(&world, "cars/car.gltf", &members).await;
    let car = "car.bin body.png dirt.png rims.png seats.png windows.png car.gltf";
    assert_eq!(uploads(&world), [car], "the model names it now");

    std::fs::remove_file(at("dirt.png")).unwrap();
    let held = told(&world, "cars/car.gltf", |it| it["state"] == "held").await;
    assert!(held["reason"].as_str().unwrap().contains("member gone: cars/textures/dirt.png"), "{held:#}");
    assert_eq!(held["parts"].as_array().unwrap().len(), 7, "its last whole version stays");

    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
    let said = world.versync(&["sync", "--json"]).await;
    assert_eq!(said.code, 3, "a model is not as its artist wants it: {said:#?}");
    assert_eq!(uploads(&world), Vec::<String>::new(), "and nothing is left to send");
}
