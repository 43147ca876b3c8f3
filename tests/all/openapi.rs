//! The description of the API is true: it names the emulator's routes and no others, and holds what versync sends to it and what
//! it answers.

mod description;
mod tap;
mod tour;

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::TryStreamExt as _;
use versync::cloud::{self, Client, Scope, Secret, Source, TheirAssets, Tokens};
use versync::emulator::{Emulator, Fault, FaultKind, Knobs, Options};
use versync::file::PartName;

use crate::world::World;
use description::Description;
use tap::{Exchange, Message, Tap};

const UPLOAD: &str = "/folders/{id}/source-files";

/// Judges everything that was tapped, and answers with the operations that succeeded.
fn judged(tap: &Tap) -> BTreeSet<String> {
    let (description, exchanges) = (Description::of_the_emulator(), tap.exchanges());
    let wrong: Vec<_> = exchanges.iter().flat_map(|exchange| description.judge(exchange)).collect();
    assert!(wrong.is_empty(), "of {} requests: {wrong:#?}", exchanges.len());
    let operations = exchanges.iter().map(|exchange| description.operation(exchange));
    operations.filter(|(_, succeeded)| *succeeded).map(|(operation, _)| operation).collect()
}

fn assert_same(left: &BTreeSet<String>, right: &BTreeSet<String>) {
    assert_eq!(left.difference(right).collect::<Vec<_>>(), Vec::<&String>::new(), "only on the left");
    assert_eq!(right.difference(left).collect::<Vec<_>>(), Vec::<&String>::new(), "only on the right");
}

fn emulator_operations() -> BTreeSet<String> {
    let of = |(route, methods): &(&str, &[&str])| {
        methods.iter().map(|method| format!("{} {route}", method.to_uppercase())).collect::<Vec<_>>()
    };
    Emulator::routes().iter().flat_map(of).collect()
}

/// A studio whose versync speaks to the cloud through a tap, with its configuration.
async fn tapped() -> (World, Tap, String) {
    let world = World::new().await;
    let tap = Tap::before(world.emulator.address()).await;
    let through = world.settings().replace(&world.emulator.address().to_string(), &tap.address.to_string());
    world.configure(&through);
    (world, tap, through)
}

#[test]
fn the_description_has_the_routes_of_the_emulator_and_no_others() {
    assert_same(&Description::of_the_emulator().operations(), &emulator_operations());
}

#[test]
fn no_operation_has_the_name_of_another_and_each_wants_a_credential() {
    let description = Description::of_the_emulator();
    let paths = description.json()["paths"].as_object().unwrap().values();
    let all = paths.flat_map(|item| item.as_object().unwrap().iter());
    let operations: Vec<_> = all.filter(|(name, _)| *name != "parameters").map(|(_, it)| it).collect();
    let names: BTreeSet<_> = operations.iter().map(|it| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    assert!(operations.iter().all(|it| !it["security"].as_array().unwrap().is_empty()));
}

#[test]
fn the_judge_finds_what_is_wrong() {
    const ID: &str = "00000000-0000-4000-8000-000000000001";
    let description = Description::of_the_emulator();
    let folder = format!(r#"{{"folder_id":"{ID}","name":"a"}}"#);
    let exchange = |asked: (&str, &str, &str), body: &str, answer: (&str, &str)| Exchange {
        asked: Message::of(
            asked.0,
            &[("content-type", asked.1), ("content-length", "1"), (asked.2, "x")],
            body,
        ),
        answered: Some(Message::of(answer.0, &[("content-type", "application/json")], answer.1)),
    };
    let json = "application/json";
    let (get, post) = (format!("GET /app/v1/folders/{ID} HTTP/1.1"), "POST /app/v1/folders HTTP/1.1");
    let (ok, made) = ("HTTP/1.1 200 OK", "HTTP/1.1 201 Created");
    let right = [
        exchange((&get, "", "user_token"), "", (ok, &folder)),
        exchange((post, json, "api_key"), r#"{"name":"a"}"#, (made, &folder)),
        exchange((post, json, "api_key"), "{}", ("HTTP/1.1 400 X", r#"{"errorCode":1,"message":"no"}"#)),
    ];
    let verdicts: Vec<_> = right.iter().map(|it| description.judge(it).len()).collect();
    assert_eq!(verdicts, [0, 0, 1], "the last one asks for what must be refused");
    let wrong = [
        exchange((&get, "", "authorization"), "", (ok, &folder)),
        exchange((&get.replace(ID, "me"), "", "api_key"), "", (ok, &folder)),
        exchange((&get.replace(ID, &format!("{ID}?deep=1")), "", "api_key"), "", (ok, &folder)),
        exchange((&get.replace("GET", "TRACE"), "", "api_key"), "", (ok, &folder)),
        exchange((&get, "", "api_key"), "a body", (ok, &folder)),
        exchange((&get, "", "api_key"), "", (ok, r#"{"folder_id":"1","name":"a"}"#)),
        exchange((&get, "", "api_key"), "", (ok, &folder.replace("}", r#","x":1}"#))),
        exchange((&get, "", "api_key"), "", (made, &folder)),
        exchange((&get, "", "api_key"), "", ("HTTP/1.1 404 X", r#"{"message":"no"}"#)),
        exchange((post, "text/plain", "api_key"), r#"{"name":"a"}"#, (made, &folder)),
        exchange((post, json, "api_key"), r#"{"name":1}"#, (made, &folder)),
        exchange((post, json, "api_key"), r#"{"name":"a","x":1}"#, (made, &folder)),
    ];
    for (number, exchange) in wrong.iter().enumerate() {
        assert_eq!(description.judge(exchange).len(), 1, "{number}: {:?}", description.judge(exchange));
    }
}

/// The table that maps what we know of the API to what holds it names nothing that is gone, and forgets no knob.
#[test]
fn the_table_of_the_api_names_knobs_and_tests_that_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(top.join("docs/asset-api.md")).unwrap();
    let named = |kind: &str| -> BTreeSet<String> {
        let mark = format!("{kind} `");
        table.split(&mark).skip(1).map(|rest| rest.split('`').next().unwrap().to_owned()).collect()
    };
    assert_same(&named("knob"), &Knobs::names().into_iter().map(str::to_owned).collect());
    let code = text_of(&[&top.join("src"), &top.join("tests/all")], "rs");
    let client = text_of(&[&top.join("tests/conformance/test")], "mjs");
    let gone = named("test").into_iter().filter(|name| !code.contains(&format!("fn {name}(")));
    let untold = named("client").into_iter().filter(|name| !client.contains(&format!("test(\"{name}\"")));
    assert_eq!(gone.chain(untold).collect::<Vec<_>>(), Vec::<String>::new());
    assert!(named("test").len() > 50 && named("client").len() > 20);
}

/// All files of a kind below some directories, as one text.
fn text_of(directories: &[&Path], extension: &str) -> String {
    let mut text = String::new();
    let mut open: Vec<_> = directories.iter().map(|path| path.to_path_buf()).collect();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// The answers of the emulator to every operation there is.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_as_described() {
    let mut knobs = Knobs::default();
    knobs.set("conversion_ms", "0").unwrap();
    let emulator = Emulator::start(Options { knobs, ..Options::default() }).await.unwrap();
    let tap = Tap::before(emulator.address()).await;
    tour::take(&tap, emulator.seeds()).await;
    assert_same(&judged(&tap), &emulator_operations());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_emulator_serves_its_description() {
    let (world, tap, _) = tapped().await;
    let bytes = tour::plain(&tap, "/openapi.json").await;
    assert_eq!(String::from_utf8(bytes).unwrap(), versync::emulator::DESCRIPTION);
    drop(world);
}

/// First sync with new folders and a set of files, an edit, an answer that is lost, a ledger that is lost, a minted token: all
/// that the real binary sends.
#[tokio::test(flavor = "multi_thread")]
async fn what_versync_sends_in_its_life_is_described() {
    let (world, tap, settings) = tapped().await;
    let sync = async || {
        let said = world.versync(&["sync", "--json"]).await;
        assert_eq!(said.code, 0, "{said:#?}");
    };
    world.write("props/chair.obj", b"mtllib chair.mtl");
    world.write("props/chair.mtl", b"map_Kd oak.png");
    world.write("props/oak.png", b"oak");
    world.write("sets/Übung 1+2 & more/stage.glb", b"stage");
    sync().await;

    world.write("props/chair.obj", b"mtllib chair.mtl\nv 0 0 0");
    sync().await;

    world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenLose));
    world.write("props/table.fbx", b"table");
    world.versync(&["sync", "--json"]).await;
    sync().await;
    let uploads = world.requests("POST", UPLOAD);
    assert_eq!(world.remote().iter().filter(|(path, _)| path == "props/table.fbx").count(), 1);

    std::fs::remove_dir_all(world.config().state_dir).unwrap();
    sync().await;
    assert_eq!(world.requests("POST", UPLOAD), uploads, "what is there was adopted");
    assert!(world.requests("GET", "/source-files/{id}") > 0, "and compared byte by byte");

    let token = format!("user_token_file = \"{}/token\"", world.dir().display());
    let key = world.secret("key", &world.emulator.seeds().api_key);
    let minted =
        format!("api_key_file = \"{}\"\nuser_id = \"{}\"", key.display(), world.emulator.seeds().user_id);
    assert!(settings.contains(&token));
    world.configure(&settings.replace(&token, &minted));
    world.write("props/lamp.glb", b"lamp");
    sync().await;
    assert_eq!(world.requests("POST", "/users/{id}/tokens"), 1);

    let sent = judged(&tap);
    let wanted = [
        "GET /folders/{id}",
        "GET /folders/{id}/folders",
        "GET /folders/{id}/source-files",
        "GET /folders/{id}/upload-tasks",
        "GET /source-files/{id}",
        "GET /source-files/{id}/assets",
        "GET /upload-tasks/{id}",
        "POST /folders/{id}/folders",
        "POST /folders/{id}/source-files",
        "POST /users/{id}/tokens",
    ];
    let missing: Vec<_> = wanted.iter().filter(|it| !sent.contains(**it)).collect();
    assert!(missing.is_empty(), "the history never asked for {missing:?}, only for {sent:?}");
}

/// Every method of the door to the cloud, also those that no command uses yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_door_to_the_cloud_can_send_is_described() {
    let (world, tap, settings) = tapped().await;
    let config = versync::config::parse(&settings, "test", &versync::config::Environment::default()).unwrap();
    let seeds = world.emulator.seeds();
    let options = cloud::Options {
        url: config.server.url,
        upload_field: config.server.upload_field,
        ca_file_pem: None,
        proxy: cloud::Proxy::None,
        patience: config.patience.clone(),
    };
    let token = Secret::new(&seeds.user_token).unwrap();
    let client = Client::new(options, Tokens::new(Source::Fixed(token), config.patience)).unwrap();
    world.versync(&["sync"]).await;
    let root = seeds.folder_id.parse().unwrap();

    let one = client.make_folder(root, "one").await.unwrap();
    let two = client.make_folder(root, "two").await.unwrap();
    client.rename_folder(two.id, "second").await.unwrap();
    client.move_folders(one.id, &[two.id]).await.unwrap();
    client.folder(two.id).await.unwrap();
    client.subfolders(one.id).await.unwrap();
    world.write("chair.glb", b"chair");
    world.versync(&["sync"]).await;
    let file = client.source_files(root).await.unwrap().items.remove(0).id;
    client.move_source_files(two.id, &[file]).await.unwrap();
    client.rename_source_file(file, &PartName::from_text("stool.glb").unwrap()).await.unwrap();
    client.source_file(file).await.unwrap();
    client.assets_of(file).await.unwrap();
    let bytes: Vec<_> = client.download(file).await.unwrap().try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"chair");
    let task = client.upload_tasks(root, |_| true).await.unwrap().remove(0).id;
    client.upload_task(task).await.unwrap();
    client.delete_source_files(&[file], TheirAssets::Delete).await.unwrap();

    let setup = client.setup(Secret::new(&seeds.api_key).unwrap());
    assert!(setup.find_user("studio").await.unwrap().is_empty());
    let user = setup.register_user("studio").await.unwrap().id;
    let folder = setup.make_root_folder("Models").await.unwrap().id;
    assert!(setup.folders().await.unwrap().iter().any(|it| it.id == folder));
    setup.grant(folder, user, Scope::Write).await.unwrap();
    setup.mint_token(user, Scope::Write, Some(std::time::Duration::from_secs(7200))).await.unwrap();

    let sent = judged(&tap);
    assert!(sent.len() >= 20, "{sent:?}");
}
