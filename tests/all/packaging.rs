//! The service files agree with the defaults of the code, and the tools that read them accept them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use versync::patience::Patience;

const UNITS: [&str; 2] = ["systemd/system/versync.service", "systemd/user/versync.service"];
const PLIST: &str = "launchd/com.3dverse.versync.plist";

#[test]
fn units_wait_longer_for_the_end_than_running_uploads_may_take() {
    for unit in UNITS {
        let seconds: u64 = only(&unit_file(unit), "TimeoutStopSec").parse().unwrap();
        assert_waits_long_enough(unit, Duration::from_secs(seconds));
    }
    let plist = read(PLIST);
    let (_, rest) = plist.split_once("<key>ExitTimeOut</key>").unwrap();
    let (_, rest) = rest.split_once("<integer>").unwrap();
    let seconds: u64 = rest.split_once('<').unwrap().0.parse().unwrap();
    assert_waits_long_enough(PLIST, Duration::from_secs(seconds));
}

#[test]
fn units_do_not_restart_what_only_a_person_can_mend() {
    for unit in UNITS {
        let codes = only(&unit_file(unit), "RestartPreventExitStatus");
        let codes: Vec<&str> = codes.split_whitespace().collect();
        assert_eq!(codes, ["78", "77", "13"], "{unit}");
    }
}

#[test]
fn units_run_the_daemon_and_wait_until_it_is_ready() {
    for unit in UNITS {
        let settings = unit_file(unit);
        assert_eq!(only(&settings, "Type"), "notify", "{unit}");
        assert!(settings.contains_key("WatchdogSec"), "{unit}");
        let start = only(&settings, "ExecStart");
        let (program, arguments) = start.split_once(' ').unwrap();
        assert!(program.ends_with("/versync"), "{unit}: {start}");
        assert!(arguments == "run" || arguments.starts_with("run "), "{unit}: {start}");
    }
    let plist = read(PLIST);
    assert!(plist.contains("/versync</string>\n        <string>run</string>"), "{plist}");
}

#[test]
fn the_plist_is_well_formed() {
    assert_eq!(malformed(&read(PLIST)), None);
}

#[test]
fn xml_that_is_not_well_formed_is_told() {
    assert!(malformed("<a><b></a></b>").is_some());
    assert!(malformed("<a>").is_some());
    assert!(malformed("<a></a></a>").is_some());
    assert!(malformed("<a>b & c</a>").is_some());
    assert!(malformed("<a><!-- x -- y --></a>").is_some());
    assert_eq!(malformed("<?xml version=\"1.0\"?><a x=\"1\"><!-- <b> --><c/>&amp;</a>"), None);
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        let path = with_our_binary(folder.path(), unit);
        let scope = if unit.contains("/user/") { "--user" } else { "--system" };
        let Some(verified) = analyze(&[scope, "--man=no", "verify"], &path) else { return };
        let told = String::from_utf8_lossy(&verified.stderr);
        // systemd also tells about units of the machine; only what it says about ours counts.
        let ours: Vec<&str> = told.lines().filter(|line| line.contains(&*path.to_string_lossy())).collect();
        assert!(verified.status.success() && ours.is_empty(), "{unit}:\n{told}");
    }
}

#[test]
fn the_system_unit_is_locked_up_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_our_binary(folder.path(), UNITS[0]);
    let Some(judged) = analyze(&["security", "--offline=true", "--threshold=20"], &path) else { return };
    let table = String::from_utf8_lossy(&judged.stdout);
    let told = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{told}{table}");
}

fn assert_waits_long_enough(file: &str, stop: Duration) {
    let needed = Patience::default().shutdown_timeout;
    assert!(stop > needed, "{file} waits {stop:?}, running uploads may take {needed:?}");
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

fn read(file: &str) -> String {
    fs::read_to_string(packaging().join(file)).unwrap()
}

/// The settings of a unit, each with all its values.
fn unit_file(file: &str) -> BTreeMap<String, Vec<String>> {
    let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in read(file).lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            settings.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    settings
}

fn only(settings: &BTreeMap<String, Vec<String>>, name: &str) -> String {
    match settings.get(name).map(Vec::as_slice) {
        Some([value]) => value.clone(),
        other => panic!("{name} is set once, not {other:?}"),
    }
}

/// The unit with the program that was just built, because systemd looks whether the program is there.
fn with_our_binary(folder: &Path, unit: &str) -> PathBuf {
    let text = read(unit);
    let program = only(&unit_file(unit), "ExecStart").split(' ').next().unwrap().to_owned();
    let path = folder.join(Path::new(unit).file_name().unwrap());
    fs::write(&path, text.replace(&program, env!("CARGO_BIN_EXE_versync"))).unwrap();
    path
}

/// What systemd-analyze says about a file; none, and told, where there is no systemd-analyze.
fn analyze(arguments: &[&str], path: &Path) -> Option<Output> {
    match Command::new("systemd-analyze")
        .args(arguments)
        .arg(path)
        .env("XDG_RUNTIME_DIR", path.parent()?)
        .output()
    {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: there is no systemd-analyze on this machine, so nobody has read the units");
            None
        }
        Err(error) => panic!("failed to run systemd-analyze: {error}"),
    }
}

/// What is not well-formed about an XML text, as far as a property list uses XML.
fn malformed(text: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        if rest.as_bytes()[at] == b'&' {
            let name = rest[at + 1..].split(';').next().unwrap_or_default();
            if !["amp", "lt", "gt", "quot", "apos"].contains(&name) {
                return Some(format!("`&{name}` is no entity"));
            }
            rest = &rest[at + 1..];
            continue;
        }
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            let Some((inner, after)) = comment.split_once("--") else {
                return Some("an open comment".into());
            };
            let Some(after) = after.strip_prefix('>') else { return Some(format!("`--` within `{inner}`")) };
            rest = after;
            continue;
        }
        let Some((tag, after)) = rest.split_once('>') else { return Some("an open tag".into()) };
        rest = after;
        if tag.starts_with(['?', '!']) || tag.ends_with('/') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Some(format!("`</{name}>` closes nothing that is open"));
            }
        } else {
            open.extend(tag.split_whitespace().next());
        }
    }
    open.last().map(|name| format!("`<{name}>` is never closed"))
}
