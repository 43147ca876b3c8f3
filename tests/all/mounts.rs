//! Roots that are mounted, unmounted, covered, hanging and ejected, in a mount namespace of their own against the real binary.
//! Where the machine allows no such namespace, each test says so and is skipped.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use versync::file::State;

use crate::process::Started;
use crate::world::World;

/// A shell in a mount namespace of its own, whose mounts nobody else sees.
pub(crate) struct Namespace {
    shell: Child,
    said: BufReader<ChildStdout>,
}

/// How a namespace is made here: as root, or in a user namespace.
fn unshare() -> Option<Vec<&'static str>> {
    let root: [&str; 4] = ["unshare", "-m", "--propagation", "private"];
    let user: [&str; 5] = ["unshare", "-Ur", "-m", "--propagation", "private"];
    [root.to_vec(), user.to_vec()].into_iter().find(|words| {
        let mut probe = Command::new(words[0]);
        probe.args(&words[1..]).args(["sh", "-c", "mount -t tmpfs versync-test /mnt"]);
        probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    })
}

impl Namespace {
    pub(crate) fn new(test: &str) -> Option<Self> {
        let Some(words) = unshare() else {
            eprintln!("SKIPPED {test}: this machine gives no mount namespace (unshare -m), not even to root");
            return None;
        };
        let mut shell = Command::new(words[0]);
        shell.args(&words[1..]).arg("sh").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let said = BufReader::new(shell.stdout.take().unwrap());
        Some(Self { shell, said })
    }

    /// Runs a line in the shell and says how it ended.
    pub(crate) fn tries(&mut self, line: &str) -> i32 {
        let stdin = self.shell.stdin.as_mut().unwrap();
        writeln!(stdin, "{{ {line}; }} </dev/null >/dev/null; echo $?").unwrap();
        let mut code = String::new();
        self.said.read_line(&mut code).unwrap();
        code.trim().parse().unwrap()
    }

    pub(crate) fn does(&mut self, line: &str) {
        assert_eq!(self.tries(line), 0, "{line}");
    }

    /// The words before a command that is to run in it.
    pub(crate) fn wrapper(&self) -> Vec<String> {
        let pid = self.shell.id().to_string();
        let user: &[&str] = &["nsenter", "-t", &pid, "-U", "--preserve-credentials", "-m"];
        let root: &[&str] = &["nsenter", "-t", &pid, "-m"];
        let words = if rustix::process::geteuid().is_root() { root } else { user };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// Starts `versync run` in it.
    pub(crate) fn run(&self, world: &World) -> Started {
        let wrapper = self.wrapper();
        let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
        world.start_behind(&wrapper, &["-v", "run"])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}

/// A studio whose root is a disk of its own, which is mounted there; a chair lies on it.
async fn on_a_disk(namespace: &mut Namespace) -> World {
    let world = World::new().await;
    let dir = world.dir().display().to_string();
    namespace.does(&format!("cd {dir} && mkdir disk && mount -t tmpfs versync-test disk"));
    namespace.does("mount --bind disk studio && echo chair > studio/chair.fbx");
    configure(&world);
    world
}

fn configure(world: &World) {
    let quick = "[defaults]\nrescan_interval = \"200ms\"";
    let settings = world.settings().replace("[defaults]", quick);
    world.configure(&settings.replace("[limits]", "[limits]\nroot_timeout = \"700ms\""));
}

fn is_watching(standing: &Value) -> bool {
    standing["state"] == "watching" && standing["counts"]["synced"].as_u64() >= Some(1)
}

fn is_halted(standing: &Value) -> bool {
    standing["state"] == "halted"
}

/// Nothing was concluded from what was seen: the chair is where it was.
fn untouched(world: &World, standing: &Value) {
    assert_eq!(standing["counts"]["synced"], 1, "{standing}");
    assert!(standing["counts"]["deleted"].is_null(), "{standing}");
    assert_eq!(world.remote().len(), 1);
    assert_eq!(world.requests("DELETE", "/source-files"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn w16_a_disk_at_rest_can_be_ejected_and_w6_comes_back_without_a_restart() {
    let Some(mut namespace) = Namespace::new("w16") else { return };
    let world = on_a_disk(&mut namespace).await;
    let run = namespace.run(&world);
    world.until_standing("studio", is_watching).await;
    // A walk is over in milliseconds and may just be under way; a descriptor that is kept would never go.
    assert!((0..200).any(|_| namespace.tries("umount studio") == 0), "versync keeps the disk busy");
    let standing = world.until_standing("studio", is_halted).await;
    assert!(standing["reason"].as_str().unwrap().contains("another directory"), "{standing}");
    untouched(&world, &standing);

    namespace.does("mount --bind disk studio && echo table > studio/table.fbx");
    world.until_standing("studio", is_watching).await;
    world.until_remote(2).await;
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_a_disk_that_is_unmounted_lazily_deletes_nothing_and_comes_back() {
    let Some(mut namespace) = Namespace::new("w6") else { return };
    let world = on_a_disk(&mut namespace).await;
    let _run = namespace.run(&world);
    world.until_standing("studio", is_watching).await;
    namespace.does("exec 7<studio/chair.fbx && umount -l studio");
    let standing = world.until_standing("studio", is_halted).await;
    untouched(&world, &standing);
    namespace.does("exec 7<&- && mount --bind disk studio");
    world.until_standing("studio", is_watching).await;
    // The watches lie on what is there now.
    namespace.does("echo table > studio/table.fbx");
    world.until_remote(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_a_root_that_is_mounted_over_deletes_and_sends_nothing_and_is_uncovered_again() {
    let Some(mut namespace) = Namespace::new("w7") else { return };
    let world = on_a_disk(&mut namespace).await;
    let _run = namespace.run(&world);
    world.until_standing("studio", is_watching).await;
    namespace.does("mount -t tmpfs versync-test studio && echo other > studio/chair.fbx");
    namespace.does("echo stranger > studio/stranger.fbx");
    let standing = world.until_standing("studio", is_halted).await;
    assert!(standing["reason"].as_str().unwrap().contains("versync approve studio"), "{standing}");
    untouched(&world, &standing);
    namespace.does("umount studio");
    let standing = world.until_standing("studio", is_watching).await;
    untouched(&world, &standing);
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_a_directory_that_is_mounted_over_hides_its_files_and_deletes_none() {
    let Some(mut namespace) = Namespace::new("w7, below the root") else { return };
    let world = World::new().await;
    configure(&world);
    world.write("props/chair.fbx", b"chair");
    world.write("table.fbx", b"table");
    let run = namespace.run(&world);
    world.until_standing("studio", |it| it["counts"]["synced"] == 2).await;
    namespace.does(&format!("cd {} && mount -t tmpfs versync-test studio/props", world.dir().display()));
    namespace.does("echo new > studio/lamp.fbx");
    world.until_standing("studio", |it| it["counts"]["synced"] == 3).await;
    namespace.does("umount studio/props && echo newer > studio/rug.fbx");
    let standing = world.until_standing("studio", |it| it["counts"]["synced"] == 4).await;
    assert!(standing["counts"]["deleted"].is_null(), "{standing}");
    run.signal("TERM");
    run.end().await;
    assert_eq!(world.entry("props/chair.fbx").state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn w9_a_root_whose_file_system_hangs_is_offline_and_the_others_go_on() {
    let Some(mut namespace) = Namespace::new("w9") else { return };
    let world = World::new().await;
    configure(&world);
    let dir = world.dir().display().to_string();
    namespace.does(&format!("cd {dir} && mkdir dead"));
    // A file system whose server never says a word: whoever asks it waits.
    if namespace.tries("exec 8<>/dev/fuse") != 0
        || namespace.tries("mount -i -t fuse -o fd=8,rootmode=40000,user_id=0,group_id=0 hang dead") != 0
    {
        eprintln!("SKIPPED w9: this machine mounts no FUSE file system");
        return;
    }
    let text = std::fs::read_to_string(world.dir().join("versync.toml")).unwrap();
    let folder = "00000000-0000-4000-8000-000000000000";
    world.configure(&format!(
        "{text}\n[[mapping]]\nname = \"dead\"\npath = \"{dir}/dead\"\nfolder = \"{folder}\"\nwatch = \"native\"\n"
    ));
    world.write("chair.fbx", b"chair");
    let run = namespace.run(&world);
    world.until_remote(1).await;
    let standing = world.until_standing("dead", |it| it["state"] == "offline").await;
    assert!(standing["reason"].as_str().unwrap().contains("not answered"), "{standing}");
    // The others go on, at start and later.
    for name in ["table.fbx", "lamp.fbx", "rug.fbx"] {
        world.write(name, name.as_bytes());
    }
    world.until_remote(4).await;
    world.until_standing("studio", |it| it["state"] == "watching").await;
    run.signal("TERM");
    assert_eq!(run.end().await, Some(0), "and it stops as it should");
}
