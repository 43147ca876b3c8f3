//! How the programs of artists save: each save arrives once, as it was when it was finished, and nothing half-written ever leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use versync::daemon::Event;
use versync::file::State;

use crate::dice::Dice;
use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

/// Longer than the `settle` of these tests, and than five times that.
const A_PAUSE: Duration = Duration::from_millis(200);

/// A binary glTF of this many bytes, which begins by saying how many they are.
fn glb(bytes: u32, fill: u8) -> Vec<u8> {
    let mut glb = b"glTF\x02\0\0\0".to_vec();
    glb.extend_from_slice(&bytes.to_le_bytes());
    glb.resize(bytes as usize, fill);
    glb
}

fn write(path: PathBuf, bytes: &[u8]) -> PathBuf {
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The pace of a program, not a wait for us.
async fn pause() {
    tokio::time::sleep(A_PAUSE).await;
}

/// Another program that writes what it is given, and holds the file open meanwhile.
struct Program(std::process::Child);

impl Program {
    fn onto(path: &Path) -> Self {
        let file = std::fs::File::create(path).unwrap();
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::from(file)).spawn().unwrap())
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn close(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// Saves what lies in a directory once more, in the manner of one program; what it saved.
async fn save_as(program: &str, dir: &Path) -> &'static str {
    let bytes = format!("saved in the manner of {program}").into_bytes();
    let at = |name: &str| dir.join(name);
    match program {
        "blender" => {
            write(at("chair.blend@"), &bytes);
            std::fs::rename(at("chair.blend"), at("chair.blend1")).unwrap();
            std::fs::rename(at("chair.blend@"), at("chair.blend")).unwrap();
            "chair.blend"
        }
        // Maya and 3ds Max: the old one aside, the new one in its place, the old one away.
        "maya" => {
            write(at("chair.tmp"), &bytes);
            std::fs::rename(at("chair.fbx"), at("chair.bak")).unwrap();
            pause().await;
            std::fs::rename(at("chair.tmp"), at("chair.fbx")).unwrap();
            std::fs::remove_file(at("chair.bak")).unwrap();
            "chair.fbx"
        }
        "photoshop" => {
            write(at("ps7F3A.tmp"), &bytes);
            std::fs::remove_file(at("wood.png")).unwrap();
            std::fs::rename(at("ps7F3A.tmp"), at("wood.png")).unwrap();
            "wood.png"
        }
        "truncate and rewrite" => {
            let mut program = Program::onto(&at("table.obj"));
            pause().await;
            program.write(&bytes[..10]);
            pause().await;
            program.write(&bytes[10..]);
            program.close();
            "table.obj"
        }
        "rsync" => {
            let mut program = Program::onto(&at(".lamp.fbx.Ab12Cd"));
            program.write(&bytes[..10]);
            pause().await;
            program.write(&bytes[10..]);
            program.close();
            std::fs::rename(at(".lamp.fbx.Ab12Cd"), at("lamp.fbx")).unwrap();
            "lamp.fbx"
        }
        "cp" => {
            let whole = glb(400_000, 7);
            let mut program = Program::onto(&at("hall.glb"));
            for piece in whole.chunks(100_000) {
                program.write(piece);
                pause().await;
            }
            program.close();
            "hall.glb"
        }
        other => panic!("{other}"),
    }
}

const PROGRAMS: [&str; 6] = ["blender", "maya", "photoshop", "truncate and rewrite", "rsync", "cp"];

fn furnish(world: &World) {
    for name in ["chair.blend", "chair.fbx", "wood.png", "table.obj", "lamp.fbx"] {
        world.write(name, b"first");
    }
    world.write("hall.glb", &glb(5_000, 1));
}

fn stored(world: &World, path: &str) -> Vec<String> {
    world.remote().into_iter().filter(|(remote, _)| remote == path).map(|(_, it)| it.blake3).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_each_save_of_each_program_is_one_upload_of_what_it_finished() {
    let world = World::new().await;
    furnish(&world);
    let mut running = world.run().await;
    for program in PROGRAMS {
        world.emulator.clear_requests();
        let saved = save_as(program, world.root()).await;
        running.synced(&world, &[saved]).await;
        assert_eq!(world.requests("POST", UPLOAD), 1, "{program}");
        assert_eq!(stored(&world, saved).len(), 2, "{program}: the first and the saved");
        assert!(stored(&world, saved).contains(&hash_of(&world.root().join(saved))), "{program}");
    }
    let names: BTreeSet<_> = world.remote().into_iter().map(|(path, _)| path).collect();
    assert_eq!(names.len(), 6, "no temporary file and no backup: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_the_program_itself_sends_each_save_once_and_why_tells_of_one_that_is_held_open() {
    let world = World::new().await;
    furnish(&world);
    let mut running = world.start(&["run"]);
    world.until_remote(6).await;
    let mut writer = Program::onto(&world.root().join("lobby.fbx"));
    writer.write(b"the first half ");
    world.until_why("lobby.fbx", "holds lobby.fbx open for writing").await;
    assert_eq!(stored(&world, "lobby.fbx"), [] as [String; 0]);
    writer.write(b"and the second");
    writer.close();
    world.until_remote(7).await;
    for (program, count) in PROGRAMS.into_iter().zip(8..) {
        let saved = save_as(program, world.root()).await;
        world.until_remote(count).await;
        assert!(stored(&world, saved).contains(&hash_of(&world.root().join(saved))), "{program}");
    }
    assert_eq!(stored(&world, "lobby.fbx"), [hash_of(&world.root().join("lobby.fbx"))]);
    running.says("synced").await;
    running.signal("TERM");
    running.end().await;
    assert_eq!(world.requests("POST", UPLOAD), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn f20_a_model_whose_pieces_are_written_one_after_another_is_one_upload_of_all_of_them() {
    let world = World::new().await;
    world.write("first.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    let gltf =
        br#"{"asset":{"version":"2.0"},"buffers":[{"uri":"hall.bin","byteLength":4}],"images":[{"uri":"wall.png"}]}"#;
    let mut exporter = Program::onto(&world.root().join("hall.gltf"));
    exporter.write(&gltf[..40]);
    pause().await;
    exporter.write(&gltf[40..]);
    exporter.close();
    let mut exporter = Program::onto(&world.root().join("hall.bin"));
    exporter.write(b"12");
    pause().await;
    exporter.write(b"34");
    exporter.close();
    let mut exporter = Program::onto(&world.root().join("wall.png"));
    exporter.write(b"\x89PNG\r\n\x1a\n some");
    pause().await;
    exporter.write(b" pixels IEND\xaeB`\x82");
    exporter.close();
    running.synced(&world, &["hall.gltf"]).await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    for name in ["hall.gltf", "hall.bin", "wall.png"] {
        assert_eq!(stored(&world, name), [hash_of(&world.root().join(name))], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_stands_still_half_way_is_waited_for_although_nobody_is_seen_to_hold_it() {
    let world = World::new().await;
    world.write("first.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    let whole = glb(300_000, 3);
    let hall = world.write("hall.glb", &whole[..150_000]);
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Settling)).await;
    let why = running.entry("hall.glb").reason().unwrap().to_owned();
    assert!(why.contains("it says that it has 300000 bytes and has 150000"), "{why}");
    std::fs::File::options().append(true).open(&hall).unwrap().write_all(&whole[150_000..]).unwrap();
    running.synced(&world, &["hall.glb"]).await;
    assert_eq!(world.requests("POST", UPLOAD), 1);
    assert_eq!(stored(&world, "hall.glb"), [hash_of(&hall)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_never_looks_whole_is_sent_after_settle_max_and_that_is_told_once() {
    let world = World::new().await;
    let settings = world.settings().replace("settle = \"20ms\"", "settle = \"20ms\"\nsettle_max = \"1s\"");
    world.configure(&settings);
    let running = world.start(&["run"]);
    world.write("hall.glb", &glb(300_000, 3)[..150_000]);
    world.until_why("hall.glb", "looks unfinished").await;
    world.until_remote(1).await;
    let why = world.until_why("hall.glb", "\"state\":\"synced\"").await;
    assert_eq!(why.matches("sending all the same: hall.glb looks unfinished").count(), 1, "{why}");
    assert_eq!(world.requests("POST", UPLOAD), 1);
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_file_that_becomes_empty_is_held_and_its_remote_copy_is_kept() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    std::fs::write(&chair, b"").unwrap();
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Held)).await;
    let entry = running.entry("chair.fbx");
    assert!(entry.reason().unwrap().contains("empty"), "{:?}", entry.reason());
    assert!(entry.current.is_some(), "what lives in the cloud lives on");
    assert_eq!(world.emulator.requests(), []);
    assert_eq!(world.remote().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_file_that_is_changed_and_changed_back_sends_nothing() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    let mut running = world.run().await;
    world.emulator.clear_requests();
    std::fs::write(&chair, b"other").unwrap();
    std::fs::write(&chair, b"first").unwrap();
    running.until(|event| matches!(event, Event::Stepped(step) if step.is == State::Synced)).await;
    running.until(|event| matches!(event, Event::Quiet)).await;
    assert_eq!(world.requests("POST", UPLOAD), 0);
}

const FILES: u64 = 12;

/// Not a test by itself: the process that saves, for the test below. Before it begins a save it writes down what it will hold.
#[test]
fn an_artist_in_a_process_of_their_own() {
    let Some(dir) = std::env::var_os("VERSYNC_ARTIST").map(PathBuf::from) else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (mut dice, saves) = (Dice::new(number("VERSYNC_SEED")), number("VERSYNC_SAVES"));
    let mut book = std::fs::File::create(dir.join("saved")).unwrap();
    let root = dir.join("studio");
    for save in 0..saves {
        let name = format!("file {}.fbx", dice.roll(FILES));
        let path = root.join(&name);
        let mut bytes =
            vec![u8::try_from(dice.roll(256)).unwrap(); 1 + usize::try_from(dice.roll(40_000)).unwrap()];
        bytes.extend_from_slice(&save.to_le_bytes());
        let how = dice.roll(10);
        // The same size as before, where the file is rewritten in place.
        if let (5..7, Ok(old)) = (how, std::fs::metadata(&path)) {
            bytes.resize(usize::try_from(old.len()).unwrap().max(16), 9);
            let end = bytes.len() - 8;
            bytes[end..].copy_from_slice(&save.to_le_bytes());
        }
        writeln!(book, "{}\t{name}", blake3::hash(&bytes).to_hex()).unwrap();
        let wait = |dice: &mut Dice| {
            let most = if dice.roll(20) == 0 { 150 } else { 4 };
            std::thread::sleep(Duration::from_millis(dice.roll(most)));
        };
        let mut onto = |path: &Path, options: &mut std::fs::OpenOptions| {
            let mut file = options.write(true).create(true).open(path).unwrap();
            let piece = bytes.len() / (1 + usize::try_from(dice.roll(4)).unwrap()) + 1;
            for piece in bytes.chunks(piece) {
                file.write_all(piece).unwrap();
                wait(&mut dice);
            }
            file.set_len(bytes.len() as u64).unwrap();
        };
        match how {
            0..5 => onto(&path, std::fs::File::options().truncate(true)),
            5..7 => onto(&path, std::fs::File::options().truncate(false)),
            7..9 => {
                onto(&root.join("save.tmp"), std::fs::File::options().truncate(true));
                std::fs::rename(root.join("save.tmp"), &path).unwrap();
            }
            _ => {
                onto(&path, std::fs::File::options().truncate(true));
                std::fs::remove_file(&path).unwrap();
            }
        }
        wait(&mut dice);
    }
}

/// `VERSYNC_SAVES=10000` makes a campaign of it, `VERSYNC_SEED` another one.
#[tokio::test(flavor = "multi_thread")]
async fn f4_saves_at_random_moments_never_send_what_no_save_ever_held() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |it| it.parse().unwrap());
    let (saves, seed) = (number("VERSYNC_SAVES", 300), number("VERSYNC_SEED", 42));
    let world = World::new().await;
    world.write("first.fbx", b"first");
    let mut running = world.run().await;
    let mut artist = Command::new(std::env::current_exe().unwrap());
    artist.args(["saves::an_artist_in_a_process_of_their_own", "--exact"]).stdout(Stdio::null());
    artist.env("VERSYNC_ARTIST", world.dir()).env("VERSYNC_SAVES", saves.to_string());
    artist.env("VERSYNC_SEED", seed.to_string());
    let ended = tokio::task::spawn_blocking(move || artist.status().unwrap()).await.unwrap();
    assert!(ended.success());
    let left: Vec<String> = std::fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("file "))
        .collect();
    running.synced(&world, &left.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let book = std::fs::read_to_string(world.dir().join("saved")).unwrap();
    let mut saved: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (hash, name) in book.lines().filter_map(|line| line.split_once('\t')) {
        saved.entry(name).or_default().insert(hash);
    }
    let remote = world.remote();
    let torn: Vec<_> = remote
        .iter()
        .filter(|(path, it)| path != "first.fbx" && !saved[path.as_str()].contains(it.blake3.as_str()))
        .collect();
    assert!(torn.is_empty(), "seed {seed}: {} of {} uploads are torn: {torn:#?}", torn.len(), remote.len());
    let uploads = world.requests("POST", UPLOAD);
    eprintln!("{saves} saves, seed {seed}: {uploads} requests, {} stored, none torn", remote.len());
    assert!(remote.len() > 1, "something was sent");
}

impl World {
    /// Waits until `why --json` says this of a file; what it says then.
    async fn until_why(&self, path: &str, text: &str) -> String {
        let path = format!("studio/{path}");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let said = self.versync(&["why", "--json", &path]).await.out;
            if said.contains(text) {
                return said;
            }
            assert!(tokio::time::Instant::now() < deadline, "it never said {text:?}: {said}");
        }
    }
}
