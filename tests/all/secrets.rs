//! The canary gate: a whole history with secrets that are looked for afterwards wherever they must not be. And the rows X6,
//! H21, H22 and H24 of the fault matrix: what a server says, where it points, what it shows, what stands between.
//!
//! The canaries are the emulator's own credentials, which all begin with words that nothing else begins with.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use versync::emulator::{Fault, FaultKind, Level, Outcome, Turn};

use crate::strangers::{Stranger, answer};
use crate::world::World;

/// What every user token, session token and guest token of the emulator begins with, and what its key holds.
const WORDS: [&str; 4] =
    ["emulator_user_token_", "emulator_session_token_", "emulator_guest_token_", "fake-emulator-api-key-"];
const BEARER: &str = "vs_canary_bearer_0123456789";
const BY_ENVIRONMENT: &str = "vs_canary_environment_0123456789";

/// Everything that was printed and written, by where.
#[derive(Default)]
struct Sinks(BTreeMap<String, Vec<u8>>);

impl Sinks {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.entry(place.into()).or_default().extend(bytes.into());
    }

    /// All files in a directory and below.
    fn add_tree(&mut self, directory: &Path) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add_tree(&path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                self.add(path.display().to_string(), bytes);
            }
        }
    }

    fn hold(&self, word: &str) -> Vec<&str> {
        let holds = |bytes: &Vec<u8>| bytes.windows(word.len()).any(|it| it == word.as_bytes());
        self.0.iter().filter(|(_, bytes)| holds(bytes)).map(|(place, _)| place.as_str()).collect()
    }

    fn must_hold_no(&self, canaries: &[&str]) {
        for canary in canaries {
            assert_eq!(self.hold(canary), [] as [&str; 0], "these places hold {canary:?}");
        }
    }
}

/// A history that is being written.
struct Gate {
    world: World,
    sinks: Sinks,
    stranger: Stranger,
}

impl Gate {
    async fn new() -> Self {
        let world = World::new().await;
        let stranger = Stranger::answering(|_| answer("200 OK", "{}")).await;
        std::fs::create_dir(world.dir().join("logs")).unwrap();
        Self { world, sinks: Sinks::default(), stranger }
    }

    /// Runs a command as loudly as it can, with a canary in the environment, and keeps what it says.
    async fn run(&mut self, arguments: &[&str]) -> i32 {
        let mut command = self.world.command(&[&["-vv"], arguments].concat());
        command.env("VERSYNC_USER_TOKEN", BY_ENVIRONMENT);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let line = arguments.join(" ");
        self.sinks.add(format!("stdout of {line}"), output.stdout);
        self.sinks.add(format!("stderr of {line}"), output.stderr);
        output.status.code().unwrap()
    }

    fn fault(&self, method: &str, route: &str, turn: Turn, kind: FaultKind) {
        self.world.emulator.fault(Fault { method: method.into(), route: route.into(), turn, kind });
    }

    /// The next request is answered by a status whose body repeats a secret, as a careless server does.
    fn echo(&self, method: &str, route: &str, status: u16, secret: &str) {
        let body = match status {
            400 => format!(r#"{{"errorCode":{status},"message":"rejected: {secret} is not good"}}"#),
            _ => format!("<html>user_token: {secret}; api_key={secret}</html>"),
        };
        self.fault(method, route, Turn::Nth(1), FaultKind::StatusAfterBody { status, body });
    }

    fn redirect(&self, method: &str, route: &str, status: u16, turn: Turn) {
        let location = self.stranger.url("/app/v1/stolen");
        self.fault(method, route, turn, FaultKind::Redirect { status, location });
    }

    fn configure(&self, auth: &str, state: &str) {
        let (dir, settings) = (self.world.dir().display().to_string(), self.world.settings());
        let settings = settings.replace(&format!("user_token_file = \"{dir}/token\""), auth);
        let settings = settings.replace("/state\"", &format!("/{state}\""));
        self.world.configure(&format!("{settings}\n[log]\nfile = \"{dir}/logs/versync.log\"\n"));
    }

    fn token_file(&self) -> String {
        format!("user_token_file = \"{}/token\"", self.world.dir().display())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_anywhere_after_a_whole_history() {
    let mut gate = Gate::new().await;
    let (token, key) = {
        let seeds = gate.world.emulator.seeds();
        (seeds.user_token.clone(), seeds.api_key.clone())
    };
    for n in 0..6 {
        gate.world.write(&format!("props/chair {n}.fbx"), format!("chair {n}").as_bytes());
    }
    by_file(&mut gate, &token).await;
    by_watching(&mut gate).await;
    by_key(&mut gate, &key).await;
    by_endpoint(&mut gate).await;
    by_command(&mut gate).await;
    by_second_machine(&mut gate).await;

    let dir = gate.world.dir().to_owned();
    gate.sinks.add("another origin", gate.stranger.heard());
    for state in ["state", "state-2", "logs"] {
        gate.sinks.add_tree(&dir.join(state));
    }
    // The search does find what is there, where it looks.
    assert!(gate.sinks.hold("chair 3.fbx").iter().any(|place| place.ends_with(".db")), "the ledger was read");
    assert!(gate.sinks.hold("chair 3.fbx").iter().any(|place| place.contains("versync.log")), "and the log");
    assert!(gate.sinks.hold("[redacted]").len() > 3, "and what a server repeated was blacked out");
    let mut canaries = vec![BEARER, BY_ENVIRONMENT, &token, &key];
    canaries.extend(WORDS);
    gate.sinks.must_hold_no(&canaries);
    assert!(gate.stranger.heard().contains("GET /"), "a download did go there, and brought nothing");
}

/// Requests that fail in every way that repeats or carries a token elsewhere.
async fn by_file(gate: &mut Gate, token: &str) {
    let upload = "/folders/{id}/source-files";
    gate.configure(&gate.token_file(), "state");
    for status in [400, 401, 403, 500] {
        gate.echo("GET", "/folders/{id}", status, token);
        gate.run(&["check"]).await;
    }
    assert_eq!(gate.run(&["plan"]).await, 0);
    for status in [400, 401, 500] {
        gate.echo("POST", upload, status, token);
        gate.run(&["sync"]).await;
    }
    gate.redirect("*", "*", 307, Turn::Nth(1));
    assert_eq!(gate.run(&["sync", "--json"]).await, 5);
    gate.redirect("POST", upload, 308, Turn::Nth(1));
    gate.fault("POST", upload, Turn::Nth(2), FaultKind::AcceptThenLose);
    gate.world.write("table.fbx", b"table");
    gate.world.write("lamp.fbx", b"lamp");
    gate.run(&["sync"]).await;
    gate.run(&["sync"]).await;
    gate.world.emulator.clear_faults();
    gate.run(&["retry-never-existed"]).await;
    for line in [&["status", "--json"][..], &["status", "studio:lamp.fbx"], &["files", "--json"], &["sync"]] {
        gate.run(line).await;
    }
}

/// A service whose token is rotated while it runs.
async fn by_watching(gate: &mut Gate) {
    let dir = gate.world.dir().to_owned();
    let mut command = gate.world.command(&["-vv", "run"]);
    command.stdout(File::create(dir.join("logs/run.out")).unwrap());
    command.stderr(File::create(dir.join("logs/run.err")).unwrap());
    let mut child = Guard(command.spawn().unwrap());
    let before = gate.world.remote().len();
    gate.world.write("during/first.fbx", b"first");
    gate.world.until_remote(before + 1).await;
    gate.sinks.add("cmdline of run", std::fs::read(format!("/proc/{}/cmdline", child.0.id())).unwrap());
    // A token that was refused is not sent again: one request is all that comes.
    let refused = |world: &World| {
        world.emulator.requests().iter().filter(|it| it.outcome == Outcome::Answered(401)).count()
    };
    let before_it = refused(&gate.world);
    gate.world.emulator.expire_tokens();
    gate.world.write("during/second.fbx", b"second");
    gate.world.until_some(|world| refused(world) > before_it).await;
    // The ledger as it lies while somebody is at work on it.
    gate.sinks.add_tree(&dir.join("state"));
    let next = gate.world.emulator.mint(Level::Write, 3600);
    std::fs::rename(gate.world.secret("next", &next), dir.join("token")).unwrap();
    gate.world.until_remote(before + 2).await;
    gate.run(&["status", "--json"]).await;
    let pid = child.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.0.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "{ended}");
}

/// Setting up, with servers that repeat the key, and scenes opened by what was set up.
async fn by_key(gate: &mut Gate, key: &str) {
    let file = gate.world.secret("api-key", key).display().to_string();
    let url = gate.world.emulator.url();
    let root = gate.world.root().display().to_string();
    let line =
        ["provision", "--api-key-file", &file, "--url", &url, "--path", &root, "--output", "made.toml"];
    for (method, route, status) in
        [("GET", "/users", 401), ("POST", "/users", 400), ("GET", "/folders", 500), ("POST", "/folders", 403)]
    {
        gate.echo(method, route, status, key);
        gate.run(&line).await;
    }
    gate.redirect("*", "*", 302, Turn::Nth(1));
    assert_eq!(gate.run(&line).await, 5);
    assert_eq!(gate.run(&line).await, 0);
    gate.sinks.add("the new configuration", std::fs::read(gate.world.dir().join("made.toml")).unwrap());

    let ids = &gate.world.emulator.seeds().user_id;
    gate.configure(&format!("api_key_file = \"{file}\"\nuser_id = \"{ids}\""), "state");
    gate.echo("POST", "/users/{id}/tokens", 400, key);
    gate.echo("POST", "/users/{id}/tokens", 403, key);
    gate.run(&["sync"]).await;
    gate.world.emulator.clear_faults();
    gate.redirect("POST", "/sessions", 307, Turn::Nth(1));
    gate.run(&["open", "studio:lamp.fbx", "--session"]).await;
    gate.echo("POST", "/sessions", 400, key);
    gate.run(&["open", "studio:lamp.fbx", "--session", "--json"]).await;
    assert_eq!(gate.run(&["open", "studio:lamp.fbx", "--session"]).await, 0);
    assert_eq!(gate.run(&["sessions"]).await, 0);
    assert_eq!(gate.run(&["sessions", "--json"]).await, 0);
}

/// The studio's own server hands out tokens for a bearer secret, and may repeat that as well.
async fn by_endpoint(gate: &mut Gate) {
    let token = gate.world.emulator.mint(Level::Write, 3600);
    let bearer = gate.world.secret("bearer", BEARER).display().to_string();
    for (status, body) in [
        ("400 Bad Request", format!("who is {BEARER}?")),
        ("200 OK", format!("<html>{BEARER}</html>")),
        ("200 OK", format!(r#"{{"user_token":"{token}","expires_in":3600}}"#)),
    ] {
        let studio = Stranger::answering(move |_| answer(status, &body)).await;
        let auth = format!("endpoint = {{ url = \"{}\", bearer_file = \"{bearer}\" }}", studio.url("/token"));
        gate.configure(&auth, "state");
        gate.run(&["check"]).await;
        gate.run(&["sync"]).await;
        let heard = studio.heard();
        assert!(heard.contains(BEARER), "it is who the bearer secret is for");
        gate.sinks.add("the token endpoint", heard.replace(BEARER, ""));
    }
}

/// A program that prints a token and looks around.
async fn by_command(gate: &mut Gate) {
    let (dir, token) = (gate.world.dir().to_owned(), gate.world.emulator.mint(Level::Write, 3600));
    let seen = dir.join("logs/seen-by-command");
    let held = gate.world.secret("held-by-login", &token);
    let login = dir.join("login");
    let script = format!(
        "#!/bin/sh\n{{ cat /proc/$$/environ /proc/$PPID/cmdline; }} >> '{}'\necho secret on stderr >&2\ncat '{}'\n",
        seen.display(),
        held.display()
    );
    std::fs::write(&login, script).unwrap();
    std::fs::set_permissions(&login, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    gate.configure(&format!("command = [\"{}\", \"--print\"]", login.display()), "state");
    assert_eq!(gate.run(&["check"]).await, 0);
    assert_eq!(gate.run(&["sync"]).await, 3, "one file was refused in the beginning, and stays so");
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("HOME=") && seen.contains("versync"), "it did look around: {seen:?}");
}

/// The files are there already: they are downloaded to be compared, from wherever the cloud points to.
async fn by_second_machine(gate: &mut Gate) {
    gate.world.secret("token", &gate.world.emulator.mint(Level::Manage, 3600));
    gate.configure(&gate.token_file(), "state-2");
    gate.redirect("GET", "/source-files/{id}", 302, Turn::Every);
    gate.run(&["sync", "--timeout", "2s"]).await;
    gate.world.emulator.clear_faults();
    assert_eq!(gate.run(&["sync"]).await, 0);
}

/// A process that is killed when nobody waits for it any more.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x6_a_token_that_a_server_repeats_is_blacked_out_and_the_rest_of_its_words_is_told() {
    let mut gate = Gate::new().await;
    gate.configure(&gate.token_file(), "state");
    gate.world.write("chair.fbx", b"chair");
    let token = gate.world.emulator.seeds().user_token.clone();
    gate.echo("POST", "/folders/{id}/source-files", 400, &token);
    assert_eq!(gate.run(&["sync", "--json"]).await, 3);
    gate.run(&["status", "studio:chair.fbx"]).await;
    gate.sinks.add_tree(&gate.world.dir().join("state"));
    gate.sinks.must_hold_no(&[&token]);
    let told = gate.sinks.hold("rejected: [redacted] is not good");
    assert!(told.iter().any(|place| place.starts_with("stdout of sync")), "{told:?}");
    assert!(told.iter().any(|place| place.starts_with("stdout of status")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h21_no_redirect_is_followed_to_wherever_it_points_and_its_host_is_named() {
    let gate = Gate::new().await;
    gate.world.write("chair.fbx", b"chair");
    let port = gate.stranger.port();
    let home = gate.world.emulator.url();
    for (location, host) in [
        (format!("http://127.0.0.1:{port}/"), "127.0.0.1"),
        (format!("http://localhost:{port}/"), "localhost"),
        (format!("//localhost:{port}/"), "localhost"),
        ("http://cloud.invalid/app/v1".to_owned(), "cloud.invalid"),
        ("https://cloud.invalid/app/v1".to_owned(), "cloud.invalid"),
        (format!("{home}/folders"), "127.0.0.1"),
        ("/app/v1/folders".to_owned(), "127.0.0.1"),
        ("ftp://cloud.invalid/".to_owned(), "cloud.invalid"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            gate.world.emulator.clear_requests();
            let kind = FaultKind::Redirect { status, location: location.clone() };
            gate.fault("*", "*", Turn::Every, kind);
            let client = gate.world.client();
            let folder = gate.world.emulator.seeds().folder_id.parse().unwrap();
            let error = client.folder(folder).await.unwrap_err().to_string();
            assert!(error.contains(host) && error.contains("no redirect is followed"), "{location}: {error}");
            let setup = client.setup(versync::cloud::Secret::new("fake-key").unwrap());
            let error = setup.make_root_folder("x").await.unwrap_err().to_string();
            assert!(error.contains(host), "{location}: {error}");
            assert_eq!(gate.world.emulator.requests().len(), 2, "each was asked once, {status} {location}");
            gate.world.emulator.clear_faults();
        }
    }
    gate.redirect("*", "*", 307, Turn::Every);
    let said = gate.world.versync(&["sync"]).await;
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(said.err.contains("127.0.0.1"), "{said:#?}");
    assert_eq!(gate.stranger.heard(), "");
}

/// A certificate of `openssl`, made for this address.
struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn new(world: &World, name: &str, address: &str, more: &[&str]) -> Option<Self> {
        let [certificate, key] = ["pem", "key"].map(|kind| world.dir().join(format!("{name}.{kind}")));
        let subject = format!("subjectAltName={address}");
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        command.args([
            "-subj",
            "/CN=fake",
            "-addext",
            &subject,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        command.args(more);
        command.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
        let made = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        made.is_ok_and(|status| status.success()).then_some(Self { certificate, key })
    }

    /// A server that shows it.
    fn serve(&self, more: &[&str]) -> (Guard, u16) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{free}")]).args(more);
        command.arg("-cert").arg(&self.certificate).arg("-key").arg(&self.key);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Guard(command.spawn().unwrap());
        while std::net::TcpStream::connect(("127.0.0.1", free)).is_err() {
            std::thread::yield_now();
        }
        (server, free)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h22_a_certificate_that_is_not_right_is_refused_whatever_is_configured() {
    let world = World::new().await;
    let made = |name: &str, address: &str, more: &[&str]| Certificate::new(&world, name, address, more);
    let Some(right) = made("right", "IP:127.0.0.1", &["-days", "2"]) else {
        eprintln!("SKIPPED: no openssl to make certificates with");
        return;
    };
    let wrong_name = made("wrong", "DNS:elsewhere.invalid", &["-days", "2"]).unwrap();
    let expired =
        made("expired", "IP:127.0.0.1", &["-not_before", "20200101000000Z", "-not_after", "20210101000000Z"]);
    let check = async |certificate: &Certificate, is_trusted: bool, more: &[&str]| {
        let (_server, port) = certificate.serve(more);
        let mut settings =
            world.settings().replace(&world.emulator.url(), &format!("https://127.0.0.1:{port}/app/v1"));
        if is_trusted {
            let trust = format!("[server]\nca_file = \"{}\"", certificate.certificate.display());
            settings = settings.replace("[server]", &trust);
        }
        world.configure(&settings);
        let said = world.versync(&["sync"]).await;
        assert_eq!(said.code, 5, "{said:#?}");
        said.err
    };
    let trusted = check(&right, true, &[]).await;
    assert!(trusted.contains("cannot be read"), "its web page was reached, which is no answer: {trusted}");
    let stranger = check(&right, false, &[]).await;
    assert!(stranger.contains("certificate") && stranger.contains("ca_file"), "{stranger}");
    let named = check(&wrong_name, true, &[]).await;
    assert!(named.contains("certificate"), "{named}");
    if let Some(expired) = expired {
        let old = check(&expired, true, &[]).await;
        assert!(old.contains("certificate"), "{old}");
    }
    let outdated = check(&right, true, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]).await;
    assert!(!outdated.contains("cannot be read"), "nothing is said in an old protocol: {outdated}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_a_proxy_of_the_environment_is_used_only_when_asked_and_only_for_https() {
    let world = World::new().await;
    world.write("chair.fbx", b"chair");
    let proxy = Stranger::answering(|_| answer("403 Forbidden", "")).await;
    let address = format!("http://ada:vs_canary_proxy@127.0.0.1:{}", proxy.port());
    let run = async || {
        let mut command = world.command(&["sync"]);
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(name, &address);
        }
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let with = |proxy: &str, url: &str| {
        let settings = world.settings().replace("[server]", &format!("[server]\n{proxy}"));
        world.configure(&settings.replace(&world.emulator.url(), url));
    };
    let (home, away) = (world.emulator.url(), "https://cloud.invalid/app/v1");
    for (setting, url, code) in [
        ("", &*home, 0),
        ("proxy = \"none\"", &home, 0),
        ("proxy = \"env\"", &home, 0),
        ("proxy = \"none\"", away, 5),
    ] {
        with(setting, url);
        let output = run().await;
        assert_eq!(output.status.code(), Some(code), "{setting} {url}: {output:?}");
        assert_eq!(proxy.heard(), "", "{setting} {url}");
    }
    for setting in ["", "proxy = \"env\""] {
        with(setting, away);
        let output = run().await;
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(!told.contains("vs_canary_proxy") && !told.contains("ada:"), "{told}");
        assert!(proxy.heard().starts_with("CONNECT cloud.invalid:443 "), "{}", proxy.heard());
        assert!(!proxy.heard().contains(WORDS[0]), "only the name of the host is told to it");
    }
}
