//! The map of `src/`, and the rules of the house, held: what may import what, how long a file may be, what it may be called.
//!
//! The map is also the documentation of the crate (`src/lib.rs`); a test compares the two. A new arrow is a change of both, in
//! a commit of its own. It reads source text (`imports`) and runs nothing of versync.

mod imports;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use imports::Source;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Face,
    Flows,
    Doors,
    Rules,
    Words,
}
use Floor::{Doors, Face, Flows, Rules, Words};

/// A file or folder of `src/`: its name, its floor, and all that it may import of the others.
type Room = (&'static str, Floor, &'static [&'static str]);

/// The house from top to bottom. Every name in brackets stands further down, so there can be no circle.
#[rustfmt::skip]
const MAP: &[Room] = &[
    ("cli", Face, &[
        "panel", "checkup", "daemon", "delivery", "survey", "deed", "desk", "assembly", "bundle", "references", "shelf", "board", "pace", "meter", "config", "ledger",
        "manifest", "disk", "cloud", "signals", "emulator", "ambient", "worker", "agenda", "plan", "verdict", "mapping", "patience", "file",
        "timestamp", "id",
    ]),
    ("panel", Face, &["daemon", "meter", "verdict", "file", "timestamp"]),
    ("checkup", Flows, &[
        "config", "ledger", "disk", "cloud", "ambient", "worker", "verdict", "mapping", "patience", "file", "timestamp", "id",
    ]),
    ("daemon", Flows, &[
        "delivery", "survey", "desk", "meter", "ledger", "manifest", "disk", "signals", "ambient", "worker", "agenda", "verdict", "mapping", "file",
        "timestamp", "id",
    ]),
    ("delivery", Flows, &[
        "deed", "desk", "assembly", "shelf", "ledger", "disk", "ambient", "worker", "agenda", "plan", "bundle", "container",
        "references", "verdict", "mapping", "file", "timestamp", "id",
    ]),
    ("survey", Flows, &["assembly", "ledger", "disk", "plan", "bundle", "references", "mapping", "file"]),
    ("deed", Flows, &["desk", "disk", "cloud", "ambient", "worker", "plan", "verdict", "mapping", "file", "id"]),
    ("desk", Flows, &[
        "assembly", "shelf", "board", "pace", "meter", "config", "ledger", "manifest", "disk", "cloud", "mapping", "patience", "file", "timestamp", "id",
    ]),
    ("assembly", Flows, &["ledger", "disk", "bundle", "references", "mapping", "file", "timestamp"]),
    ("shelf", Flows, &[
        "ledger", "cloud", "ambient", "worker", "plan", "verdict", "mapping", "patience", "file", "timestamp", "id",
    ]),
    ("board", Flows, &["cloud", "ambient", "timestamp", "id"]),
    ("pace", Flows, &[]),
    ("meter", Flows, &[]),
    ("config", Doors, &["mapping", "patience", "file", "id"]),
    ("ledger", Doors, &["verdict", "mapping", "file", "timestamp", "id"]),
    ("manifest", Doors, &["file", "id"]),
    ("disk", Doors, &["verdict", "mapping", "file", "timestamp", "id"]),
    ("cloud", Doors, &["ambient", "verdict", "patience", "file", "timestamp", "id"]),
    ("signals", Doors, &[]),
    ("emulator", Doors, &[]),
    ("ambient", Doors, &["timestamp", "id"]),
    ("worker", Doors, &[]),
    ("agenda", Rules, &["verdict", "file", "timestamp"]),
    ("plan", Rules, &["verdict", "mapping", "patience", "file", "timestamp", "id"]),
    ("bundle", Rules, &["references", "file"]),
    ("container", Rules, &["file"]),
    ("references", Rules, &["file"]),
    ("verdict", Words, &["file"]),
    ("mapping", Words, &["file", "id"]),
    ("patience", Words, &[]),
    ("file", Words, &["timestamp", "id"]),
    ("timestamp", Words, &[]),
    ("id", Words, &[]),
];

/// Rooms that are drawn and not yet built. Cross them off as they come.
const COMING: &[&str] = &[];

/// Arrows that are not on the map and still in the code: file, room, and what makes them go away.
const KNOWN_ARROWS: &[(&str, &str, &str)] = &[];

/// Files that are too long, with the length that they must not exceed until they are divided.
const KNOWN_LENGTHS: &[(&str, usize)] = &[];

/// Crates from outside that have one door, or a few, each with the rooms that may name them.
const CRATES: &[(&str, &[&str])] = &[
    ("reqwest", &["cloud"]),
    ("rusqlite", &["ledger"]),
    ("notify", &["disk"]),
    ("axum", &["emulator"]),
    ("sd_notify", &["signals"]),
    ("toml", &["config", "cli"]),
    ("annotate_snippets", &["config"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    ("secrecy", &["cloud"]),
];

/// What rules and words know nothing of: waiting, the disk, the network, the environment, shapes of outside.
const IMPURE: &[&str] =
    &["tokio", "tokio_util", "futures_util", "rustix", "serde", "serde_json", "tracing", "tempfile"];
const IMPURE_STD: &[&str] = &["fs", "env", "net", "process", "thread"];

const FORBIDDEN_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "types", "misc", "manager", "service"];

/// How many lines a file may have outside of its tests.
const LONGEST: usize = 500;

#[test]
fn every_import_is_an_arrow_of_the_map() {
    tell(&wrong_arrows(&source_files("src"), MAP, KNOWN_ARROWS));
}

#[test]
fn every_name_in_brackets_stands_further_down() {
    tell(&wrong_map(MAP));
}

#[test]
fn every_room_is_on_the_map_and_every_room_on_the_map_is_built() {
    let built: BTreeSet<String> =
        source_files("src").iter().filter_map(|source| source.module().into_iter().next()).collect();
    let mut wrong = Vec::new();
    for name in &built {
        if MAP.iter().all(|(room, ..)| room != name) {
            wrong.push(format!("src/{name} is not on the map"));
        }
    }
    for (room, ..) in MAP {
        if !built.contains(*room) && !COMING.contains(room) {
            wrong.push(format!("src/{room} is on the map and not built"));
        }
    }
    tell(&wrong);
}

#[test]
fn the_documentation_of_the_crate_is_the_map() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let mut wrong = Vec::new();
    let documented: Vec<(&str, Vec<&str>)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.trim_end().strip_suffix(']')?.rsplit_once('['))
        .filter_map(|(head, arrows)| Some((head.split_whitespace().next()?, arrows)))
        .map(|(room, arrows)| (room, arrows.split_whitespace().collect()))
        .collect();
    for (room, floor, arrows) in MAP.iter().filter(|(_, floor, _)| *floor != Face) {
        match documented.iter().find(|(name, _)| name == room) {
            None => wrong
                .push(format!("src/lib.rs: {room} ({floor:?}) is on the map and not in the documentation")),
            Some((_, said)) if said != arrows => wrong.push(format!(
                "src/lib.rs: the documentation says {room} [{}], the map says [{}]",
                said.join(" "),
                arrows.join(" ")
            )),
            Some(_) => {}
        }
    }
    let order: Vec<&str> = documented.iter().map(|(room, _)| *room).collect();
    wrong.extend(out_of_order("the documentation in src/lib.rs", &order));
    let lib = Source::read("lib.rs", &text);
    let order: Vec<&str> = lib.children.iter().map(|child| child.name.as_str()).collect();
    wrong.extend(out_of_order("the list of modules in src/lib.rs", &order));
    tell(&wrong);
}

#[test]
fn a_crate_from_outside_has_one_door() {
    let mut wrong = Vec::new();
    for source in source_files("src").iter().filter(|source| !source.is_test) {
        let Some(room) = source.module().into_iter().next() else { continue };
        for (name, doors) in CRATES {
            if doors.contains(&room.as_str()) {
                continue;
            }
            for line in source.mentions(name) {
                wrong.push(format!("src/{}:{line}: `{name}` belongs to {}", source.file, doors.join(", ")));
            }
        }
    }
    tell(&wrong);
}

#[test]
fn rules_and_words_neither_wait_nor_touch_the_world() {
    tell(&source_files("src").iter().flat_map(impurities).collect::<Vec<_>>());
}

#[test]
fn every_file_is_short_begins_with_its_purpose_and_is_a_noun_of_the_domain() {
    let mut wrong: Vec<String> =
        source_files("src").iter().flat_map(|source| untidy("src", source, KNOWN_LENGTHS)).collect();
    wrong.extend(source_files("tests/all").iter().flat_map(|source| untidy("tests/all", source, &[])));
    tell(&wrong);
}

#[test]
fn no_file_is_forgotten() {
    let mut wrong = forgotten(&source_files("src"), &["lib.rs", "main.rs"]);
    wrong.extend(forgotten(&source_files("tests/all"), &["main.rs"]));
    tell(&wrong);
}

fn wrong_arrows(sources: &[Source], map: &[Room], known: &[(&str, &str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        let home = source.module().into_iter().next();
        let allowed: &[&str] = match &home {
            Some(home) => map.iter().find(|(room, ..)| room == home).map_or(&[], |(_, _, arrows)| arrows),
            // main.rs hands over to the command line; lib.rs imports nothing.
            None => &["cli"],
        };
        for import in source.imports() {
            let Some(room) = import.path.first() else { continue };
            if home.as_ref() == Some(room) || allowed.contains(&room.as_str()) {
                continue;
            }
            let home = home.as_deref().unwrap_or("the crate");
            if let Some(known) = known.iter().find(|(file, to, _)| *file == source.file && to == room) {
                met.insert(known.0);
            } else if room == "*" {
                wrong.push(format!("src/{}:{}: takes the whole crate in", source.file, import.line));
            } else {
                wrong.push(format!(
                    "src/{}:{}: {home} may not import {room} (it may: {})",
                    source.file,
                    import.line,
                    allowed.join(" ")
                ));
            }
        }
    }
    for (file, room, _) in known {
        if !met.contains(file) {
            wrong.push(format!("src/{file} imports {room} no longer: cross it off KNOWN_ARROWS"));
        }
    }
    wrong
}

fn wrong_map(map: &[Room]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, (room, floor, arrows)) in map.iter().enumerate() {
        if map[..at].iter().any(|(_, above, _)| above > floor) {
            wrong.push(format!("{room} stands below a room of a lower floor"));
        }
        for arrow in *arrows {
            let Some(to) = map.iter().position(|(name, ..)| name == arrow) else {
                wrong.push(format!("{room} imports {arrow}, which is not on the map"));
                continue;
            };
            if to <= at {
                wrong.push(format!("{room} imports {arrow}, which does not stand further down"));
            }
            // Time is the one thing that a door may ask another door for.
            if *floor == Doors && map[to].1 == Doors && *arrow != "ambient" {
                wrong.push(format!("{room} imports {arrow}: doors do not know each other"));
            }
        }
    }
    wrong
}

fn out_of_order(what: &str, order: &[&str]) -> Vec<String> {
    let place = |name: &str| MAP.iter().position(|(room, ..)| *room == name);
    order
        .windows(2)
        .filter(|pair| place(pair[0]) > place(pair[1]))
        .map(|pair| format!("{what} names {} before {}, the map after it", pair[0], pair[1]))
        .collect()
}

fn impurities(source: &Source) -> Vec<String> {
    let home = source.module().into_iter().next();
    let floor = MAP.iter().find(|(room, ..)| home.as_deref() == Some(*room)).map(|(_, floor, _)| *floor);
    if source.is_test || !matches!(floor, Some(Rules | Words)) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for name in IMPURE {
        for line in source.mentions(name) {
            wrong.push(format!("src/{}:{line}: a rule or word knows no `{name}`", source.file));
        }
    }
    for tokens in source.tokens.windows(3) {
        let [first, second, third] = tokens else { continue };
        if first.text == "std" && second.text == "::" && IMPURE_STD.contains(&third.text.as_str()) {
            wrong.push(format!(
                "src/{}:{}: a rule or word knows no `std::{}`",
                source.file, third.line, third.text
            ));
        }
        if first.text == "async" {
            wrong.push(format!("src/{}:{}: a rule or word does not wait", source.file, first.line));
        }
    }
    wrong
}

fn untidy(root: &str, source: &Source, known: &[(&str, usize)]) -> Vec<String> {
    let file = format!("{root}/{}", source.file);
    let mut wrong = Vec::new();
    let length = source.text.lines().count() - source.test_lines;
    let longest = known.iter().find(|(name, _)| *name == source.file);
    if !source.is_test && length > longest.map_or(LONGEST, |(_, length)| *length) {
        wrong
            .push(format!("{file}: {length} lines without its tests, and {LONGEST} are the most: divide it"));
    }
    if longest.is_some() && length <= LONGEST {
        wrong.push(format!("{file}: is short enough now: cross it off KNOWN_LENGTHS"));
    }
    let is_empty = source.text.trim().is_empty();
    if !is_empty && !source.text.trim_start().starts_with("//! ") {
        wrong.push(format!("{file}:1: does not begin with `//!`: why it exists and what it must not know"));
    }
    for part in source.file.trim_end_matches(".rs").split('/') {
        if FORBIDDEN_NAMES.contains(&part) {
            wrong.push(format!("{file}: `{part}` is no noun of the domain: a noun is missing"));
        }
    }
    for tokens in source.tokens.windows(3) {
        let words = [tokens[0].text.as_str(), tokens[1].text.as_str(), tokens[2].text.as_str()];
        let what = match words {
            ["[", "allow", "("] => "says `allow`: use `#[expect(lint, reason = \"...\")]`",
            ["todo" | "unimplemented", "!", _] => "is not finished",
            _ => continue,
        };
        wrong.push(format!("{file}:{}: {what}", tokens[0].line));
    }
    wrong
}

/// Files that no `mod` line leads to. Cargo compiles them not, and says nothing.
fn forgotten(sources: &[Source], begin: &[&str]) -> Vec<String> {
    let mut reached: BTreeSet<&str> = begin.iter().copied().collect();
    let mut next: Vec<&str> = begin.to_vec();
    while let Some(file) = next.pop() {
        let Some(source) = sources.iter().find(|source| source.file == file) else { continue };
        let folder = source.module().join("/");
        for child in &source.children {
            let path =
                if folder.is_empty() { child.name.clone() } else { format!("{folder}/{}", child.name) };
            let found = sources
                .iter()
                .find(|it| it.file == format!("{path}.rs") || it.file == format!("{path}/mod.rs"));
            if let Some(found) = found
                && reached.insert(&found.file)
            {
                next.push(&found.file);
            }
        }
    }
    sources
        .iter()
        .filter(|source| !reached.contains(source.file.as_str()))
        .map(|source| format!("{}: no `mod` line leads to it, so it is never compiled", source.file))
        .collect()
}

fn source_files(root: &str) -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut sources = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(&top).unwrap().to_string_lossy().replace('\\', "/");
                sources.push(Source::read(&file, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!sources.is_empty(), "no source below {root}");
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    mark_tests(&mut sources);
    sources
}

/// Files that are declared for tests only, and all that lies in their folders.
fn mark_tests(sources: &mut [Source]) {
    let tests: Vec<Vec<String>> = sources
        .iter()
        .flat_map(|source| {
            let declared = source.children.iter().filter(|child| child.is_test);
            declared.map(|child| [source.module(), vec![child.name.clone()]].concat())
        })
        .collect();
    for source in sources {
        source.is_test = tests.iter().any(|test| source.module().starts_with(test));
    }
}

fn tell(wrong: &[String]) {
    let list = wrong.iter().fold(String::new(), |mut list, line| {
        let _ = write!(list, "\n  {line}");
        list
    });
    assert!(wrong.is_empty(), "the house is not in order:{list}");
}

/// A rule that cannot fail holds nothing.
mod the_rules_themselves {
    use super::*;

    fn room(file: &str, text: &str) -> Vec<Source> {
        vec![Source::read(file, text)]
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_told_with_file_and_line() {
        let wrong = wrong_arrows(&room("cloud/wire.rs", "\nuse crate::ledger::Row;"), MAP, &[]);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("src/cloud/wire.rs:2: cloud may not import ledger"), "{wrong:?}");
        assert_eq!(
            wrong_arrows(&room("cloud/wire.rs", "use crate::{file, cloud::error};"), MAP, &[]).len(),
            0
        );
        assert_eq!(wrong_arrows(&room("main.rs", "use versync::disk;"), MAP, &[]).len(), 1);
        assert_eq!(wrong_arrows(&room("deed.rs", "use super::*;"), MAP, &[]).len(), 1);
    }

    #[test]
    fn an_exception_holds_for_its_file_alone_and_must_still_be_needed() {
        let known = [("deed.rs", "delivery", "soon")];
        assert_eq!(wrong_arrows(&room("deed.rs", "use crate::delivery::Desk;"), MAP, &known).len(), 0);
        assert_eq!(wrong_arrows(&room("deed.rs", "use crate::disk;"), MAP, &known).len(), 1);
        let other = wrong_arrows(&room("board.rs", "use crate::delivery::Desk;"), MAP, &known);
        assert_eq!(other.len(), 2, "{other:?}");
    }

    #[test]
    fn a_circle_an_arrow_upwards_and_two_doors_that_know_each_other_are_told() {
        assert_eq!(wrong_map(&[("plan", Rules, &["file"]), ("file", Words, &["plan"])]).len(), 1);
        assert_eq!(wrong_map(&[("plan", Rules, &["plan"])]).len(), 1);
        assert_eq!(wrong_map(&[("disk", Doors, &["cloud"]), ("cloud", Doors, &[])]).len(), 1);
        assert_eq!(wrong_map(&[("cloud", Doors, &["ambient"]), ("ambient", Doors, &[])]).len(), 0);
        assert_eq!(wrong_map(&[("plan", Rules, &["nowhere"])]).len(), 1);
        assert_eq!(wrong_map(&[("file", Words, &[]), ("plan", Rules, &[])]).len(), 1);
    }

    #[test]
    fn a_file_that_is_long_headless_badly_named_or_unfinished_is_told() {
        let untidy = |file: &str, text: &str| untidy("src", &Source::read(file, text), &[]).len();
        assert_eq!(untidy("disk.rs", "//! Why.\nfn f() {}"), 0);
        assert_eq!(untidy("disk.rs", "fn f() {}"), 1);
        assert_eq!(untidy("disk/utils.rs", "//! Why."), 1);
        assert_eq!(untidy("disk.rs", &format!("//! Why.\n{}", "fn f() {}\n".repeat(500))), 1);
        assert_eq!(untidy("disk.rs", "//! Why.\n#[allow(dead_code)]\nfn f() { todo!() }"), 2);
        let tested = format!("//! Why.\n#[cfg(test)]\nmod tests {{\n{}}}", "fn f() {}\n".repeat(500));
        assert_eq!(untidy("disk.rs", &tested), 0);
    }

    #[test]
    fn a_file_that_is_declared_for_tests_may_be_long_and_import_what_it_likes() {
        let mut sources = [
            Source::read("plan/mod.rs", "#[cfg(test)]\nmod lives;"),
            Source::read("plan/lives.rs", "use crate::cloud;"),
            Source::read("plan/lives/deep.rs", "use crate::cloud;"),
            Source::read("plan/after.rs", "use crate::cloud;"),
        ];
        mark_tests(&mut sources);
        let wrong = wrong_arrows(&sources, MAP, &[]);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("src/plan/after.rs:1"), "{wrong:?}");
    }

    #[test]
    fn a_file_without_a_mod_line_is_told() {
        let sources = [
            Source::read("main.rs", "mod world;"),
            Source::read("world.rs", "mod inner;"),
            Source::read("world/inner.rs", ""),
            Source::read("lost.rs", ""),
        ];
        let wrong = forgotten(&sources, &["main.rs"]);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("lost.rs"), "{wrong:?}");
    }

    #[test]
    fn a_rule_that_waits_reads_the_disk_or_knows_a_shape_is_told() {
        let told = |file: &str, text: &str| impurities(&Source::read(file, text)).len();
        assert_eq!(told("plan/mod.rs", "async fn f() { tokio::time::sleep(x) }"), 2);
        assert_eq!(told("mapping.rs", "use std::fs::File;"), 1);
        assert_eq!(told("id.rs", "use serde::Serialize;"), 1);
        assert_eq!(told("disk/mod.rs", "use std::fs::File;"), 0);
        assert_eq!(told("plan/mod.rs", "#[cfg(test)] mod tests { use std::fs::File; }"), 0);
    }
}
