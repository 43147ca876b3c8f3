//! A machine that went down without warning: what it left of files, and of our own state.

use versync::disk;
use versync::file::sighting::Trust;
use versync::file::{Entry, State};

use crate::world::World;

/// The machine goes down now and comes up again: the last life has no end, and the next begins on another boot.
fn power_cut(world: &World) {
    let ledger = world.ledger();
    ledger.put_meta("clean", "").unwrap();
    ledger.put_meta("boot", "the boot before").unwrap();
}

/// The ledger's row of a file as it would be if its old stat were the one that it has now: other bytes behind an equal stat,
/// which no test can make on a disk without cutting its power.
fn same_stat_as_now(world: &World, path: &str) -> Entry {
    let ledger = world.ledger();
    let entry = ledger.entry(&World::key(path)).unwrap();
    let root = disk::Root::new(world.root().to_owned());
    let stat = disk::stat(&root, &World::key(path).path).unwrap();
    let mut seen = entry.seen.unwrap();
    seen.fingerprint = stat.fingerprint;
    seen.trust = Trust::Settled;
    let entry = Entry { seen: Some(seen), ..entry };
    ledger.put(&World::key(path), &entry, None, versync::ambient::now()).unwrap();
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn pw2_other_bytes_behind_an_equal_stat_are_suspect_until_the_next_edit() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"the model");
    world.write("table.fbx", b"the table");
    world.sync().await;
    std::fs::write(&chair, b"\0\0\0\0\0\0\0\0\0").unwrap();
    same_stat_as_now(&world, "chair.fbx");
    world.sync().await;
    assert_eq!(
        world.entry("chair.fbx").state(),
        State::Synced,
        "without a power cut an equal stat is believed"
    );

    power_cut(&world);
    world.emulator.clear_requests();
    world.sync().await;
    let entry = world.entry("chair.fbx");
    assert_eq!(entry.state(), State::Suspect);
    assert!(entry.current.is_some(), "what lives in the cloud is kept");
    assert!(entry.reason().unwrap().contains("versync retry"), "{:?}", entry.reason());
    assert_eq!(world.entry("table.fbx").state(), State::Synced, "read again, and the same");
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 0);
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Suspect, "time alone lifts no doubt");

    std::fs::write(&chair, b"saved anew").unwrap();
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
    assert_eq!(world.remote().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pw2_a_file_that_came_back_empty_or_as_it_once_was_is_suspect_and_retry_sends_it() {
    let world = World::new().await;
    let chair = world.write("chair.fbx", b"first");
    let table = world.write("table.fbx", b"table");
    world.sync().await;
    std::fs::write(&chair, b"second").unwrap();
    world.sync().await;
    std::fs::write(&chair, b"first").unwrap();
    std::fs::write(&table, b"").unwrap();
    power_cut(&world);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Suspect, "old bytes with new stamps");
    assert_eq!(world.entry("table.fbx").state(), State::Suspect, "no bytes any more");
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 0);
    let said = world.versync(&["status"]).await;
    assert!(said.out.contains("suspect"), "{said:#?}");

    let said = world.versync(&["retry", "studio"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    world.sync().await;
    assert_eq!(world.entry("chair.fbx").state(), State::Synced, "a person says that it is meant");
    assert_eq!(world.entry("table.fbx").state(), State::Held, "an empty file waits for bytes like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn pw2_a_texture_that_changed_behind_an_equal_stat_keeps_its_model_from_being_sent() {
    let world = World::new().await;
    world.write("chair.obj", b"mtllib chair.mtl\nv 0 0 0\n");
    let material = world.write("chair.mtl", b"newmtl oak\n");
    world.sync().await;
    assert_eq!(world.entry("chair.obj").state(), State::Synced);
    let before = std::fs::metadata(&material).unwrap().modified().unwrap();
    let ledger = world.ledger();
    std::fs::write(&material, b"\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    std::fs::File::options().append(true).open(&material).unwrap().set_modified(before).unwrap();
    // The row of the texture gets the stat that the file has now.
    let root = disk::Root::new(world.root().to_owned());
    let key = World::key("chair.mtl");
    let mut seen = ledger.seen(&key).unwrap().unwrap();
    seen.fingerprint = disk::stat(&root, &key.path).unwrap().fingerprint;
    seen.trust = Trust::Settled;
    let lead = World::key("chair.obj");
    let entry = ledger.entry(&lead).unwrap();
    ledger.put_bundle(&lead, &entry, &[(key.path, seen)], None, versync::ambient::now()).unwrap();
    drop(ledger);
    power_cut(&world);
    world.emulator.clear_requests();
    world.sync().await;
    assert_eq!(world.entry("chair.obj").state(), State::Suspect);
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 0);
    assert_eq!(world.versync(&["retry", "studio"]).await.code, 0);
    world.sync().await;
    assert_eq!(world.entry("chair.obj").state(), State::Synced);
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 1);
}

/// Cuts the power of a file system: what is not on it yet never will be. It is the ioctl FS_IOC_SHUTDOWN with NOLOGFLUSH.
const CUT: &str = "import fcntl,os,struct,sys\n\
    fd=os.open(sys.argv[1],os.O_RDONLY)\n\
    fcntl.ioctl(fd,0x8004587d,struct.pack('I',2))\n";

/// Runs a script in a mount namespace of its own, with a small ext4 file system mounted at `disk` beside the studio. False, and
/// said aloud, where this machine cannot do that.
pub(crate) async fn on_ext4(world: &World, test: &str, script: &str) -> bool {
    let probe = "truncate -s 48M probe.img && mkfs.ext4 -q probe.img && mkdir probe && mount -o loop probe.img probe \
        && python3 -c 'import fcntl' && umount probe";
    let shell = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", script]).current_dir(world.dir());
        command.env("BIN", env!("CARGO_BIN_EXE_versync")).env("CUT", CUT);
        command.env("VERSYNC_CONFIG", world.dir().join("versync.toml"));
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        command
    };
    let mut probe = shell(probe);
    if !tokio::task::spawn_blocking(move || probe.status().is_ok_and(|it| it.success())).await.unwrap() {
        eprintln!("SKIPPED {test}: it needs root, loop devices, mkfs.ext4 and python3");
        return false;
    }
    let mut command = shell(script);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn pw1_pw4_a_power_cut_below_the_ledger_ends_the_service_and_leaves_one_remote_file_for_each() {
    let world = World::new().await;
    let settings = world.settings();
    world.configure(&settings.replace("/state\"", "/disk/state\""));
    let count = 12;
    for n in 0..count {
        world.write(&format!("part {n}.fbx"), format!("part {n}").as_bytes());
    }
    // Three cuts, each while uploads are under way: the ledger's disk is gone from one moment to the next, and comes back with
    // what had reached it. Whoever runs then ends with 74.
    let script = r#"
        set -e
        truncate -s 64M disk.img && mkfs.ext4 -q disk.img && mkdir disk
        for pause in 0.15 0.3 0.5; do
            mount -o loop disk.img disk
            "$BIN" -q run & pid=$!
            sleep $pause
            python3 -c "$CUT" disk
            echo new > "studio/cut $pause.fbx"
            code=0; wait $pid || code=$?
            test $code = 74 || { echo "ended with $code" >&2; exit 1; }
            umount disk
        done
        mount -o loop disk.img disk
        "$BIN" -q sync
        umount disk
    "#;
    if !on_ext4(&world, "pw1, pw4", script).await {
        return;
    }
    let remote = world.remote();
    let mut paths: Vec<_> = remote.iter().map(|(path, _)| path.clone()).collect();
    paths.sort();
    let before = paths.len();
    paths.dedup();
    assert_eq!(paths.len(), before, "nothing arrived twice: {paths:?}");
    assert_eq!(paths.len(), count + 3, "{paths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pw3_a_power_cut_while_the_state_directory_is_made_leaves_none_or_a_sound_one() {
    let world = World::new().await;
    let settings = world.settings();
    world.configure(&settings.replace("/state\"", "/disk/state\""));
    world.write("chair.fbx", b"chair");
    let script = r#"
        set -e
        truncate -s 64M disk.img && mkdir disk
        for pause in 0 0.01 0.02 0.03 0.05 0.08; do
            mkfs.ext4 -qF disk.img && mount -o loop disk.img disk
            "$BIN" -q sync & pid=$!
            sleep $pause
            python3 -c "$CUT" disk
            wait $pid || true
            umount disk && mount -o loop disk.img disk
            "$BIN" -q sync
            test -z "$(ls disk/state | grep corrupt)" || { echo "a damaged ledger" >&2; exit 1; }
            umount disk
        done
    "#;
    if on_ext4(&world, "pw3", script).await {
        assert_eq!(world.remote().len(), 1, "a lost ledger sends nothing twice");
    }
}
