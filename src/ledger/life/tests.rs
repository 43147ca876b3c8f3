//! What a life leaves to the next one.

use super::*;
use crate::file::{Content, ContentHash, Fingerprint};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_stat(seconds, 0)
}

fn birth(boot: &str, seconds: i64) -> Birth {
    Birth {
        boot: Some(boot.to_owned()),
        machine: Some("here".to_owned()),
        oom_kills: Some(0),
        at: at(seconds),
    }
}

fn key(name: &str) -> Key {
    Key::new(MappingName::new("m"), RelPath::from_bytes(name.as_bytes()).unwrap())
}

/// A ledger in which a file was touched at each of these seconds, and is called after it.
fn ledger(touched: &[i64]) -> (tempfile::TempDir, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("state")).unwrap();
    for seconds in touched {
        let fingerprint = Fingerprint { size: 1, mtime: at(*seconds), ctime: at(0), inode: 1, device: 1 };
        let content = Content { hash: ContentHash([1; 32]), size: 1 };
        let entry =
            Entry { seen: Some(Seen { fingerprint, content, trust: Trust::Settled }), ..Entry::default() };
        ledger.put(&key(&seconds.to_string()), &entry, None, at(0)).unwrap();
    }
    (dir, ledger)
}

fn trust(ledger: &Ledger, name: &str) -> Trust {
    ledger.entry(&key(name)).unwrap().seen.unwrap().trust
}

#[test]
fn pw2_after_an_unclean_boot_what_was_touched_last_is_doubted() {
    let (_dir, ledger) = ledger(&[800, 900, 5_000]);
    ledger.begin_life(&birth("one", 10)).unwrap();
    ledger.beat(at(1_000)).unwrap();
    let legacy = ledger.begin_life(&birth("two", 6_000)).unwrap();
    assert_eq!(legacy, Legacy { doubted: Some(2), is_foreign: false });
    assert_eq!(trust(&ledger, "800"), Trust::Settled);
    assert_eq!((trust(&ledger, "900"), trust(&ledger, "5000")), (Trust::Doubted, Trust::Doubted));
}

#[test]
fn pw2_neither_a_killed_process_nor_a_clean_stop_casts_doubt() {
    let (_dir, ledger) = ledger(&[5_000]);
    ledger.begin_life(&birth("one", 10)).unwrap();
    assert_eq!(
        ledger.begin_life(&birth("one", 20)).unwrap().doubted,
        None,
        "killed, and the machine went on"
    );
    ledger.end_life().unwrap();
    assert_eq!(ledger.begin_life(&birth("two", 30)).unwrap().doubted, None, "stopped before the reboot");
    assert_eq!(ledger.begin_life(&birth("three", 40)).unwrap().doubted, Some(1), "the mark is used up");
}

#[test]
fn l10_a_ledger_from_another_machine_is_foreign_until_that_is_approved() {
    let (_dir, ledger) = ledger(&[]);
    let on = |machine: &str| Birth { machine: Some(machine.to_owned()), ..birth("one", 1) };
    assert!(!ledger.begin_life(&on("here")).unwrap().is_foreign);
    assert!(ledger.begin_life(&on("there")).unwrap().is_foreign);
    assert!(ledger.begin_life(&on("there")).unwrap().is_foreign, "time alone approves nothing");
    assert!(ledger.is_foreign().unwrap() && ledger.reader().unwrap().is_foreign().unwrap());
    assert!(!ledger.begin_life(&on("here")).unwrap().is_foreign, "it is back");
    ledger.begin_life(&on("there")).unwrap();
    ledger.accept_machine().unwrap();
    assert!(!ledger.is_foreign().unwrap());
    assert!(!ledger.begin_life(&on("there")).unwrap().is_foreign);
    assert!(ledger.begin_life(&on("here")).unwrap().is_foreign, "now it is the other way round");
    let nowhere = Birth { machine: None, ..birth("one", 1) };
    assert!(!ledger.begin_life(&nowhere).unwrap().is_foreign, "a machine without an id proves nothing");
}

#[test]
fn c17_a_file_that_was_being_read_at_three_kills_for_want_of_memory_is_deadly_until_it_is_absolved() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let marks = state.join("reading");
    let open = |kills: u64| {
        let ledger = Ledger::open(&state).unwrap();
        ledger.begin_life(&Birth { oom_kills: Some(kills), ..birth("one", 1) }).unwrap();
        ledger
    };
    // What a life leaves that is killed while it reads: the marks as they are then.
    let killed_while_reading = |ledger: Ledger, files: &[&str]| {
        let reading: Vec<_> = files.iter().map(|file| ledger.reading(&key(file))).collect();
        let left = read(&marks);
        drop((reading, ledger));
        write(&marks, &left);
    };
    killed_while_reading(open(0), &["huge", "small"]);
    killed_while_reading(open(0), &["huge"]);
    assert!(!open(0).is_deadly(&key("huge")), "it was killed by somebody, and not for want of memory");

    killed_while_reading(open(0), &["huge", "small"]);
    killed_while_reading(open(1), &["huge", "small"]);
    let ledger = open(2);
    drop(ledger.reading(&key("huge")));
    ledger.reading(&key("small")).is_harmless().unwrap();
    killed_while_reading(ledger, &["huge", "small"]);
    let ledger = open(3);
    assert!(ledger.is_deadly(&key("huge")));
    assert!(!ledger.is_deadly(&key("small")), "it was read to its end in between");
    drop(ledger);
    let ledger = open(3);
    assert!(ledger.is_deadly(&key("huge")), "time alone absolves nobody");
    ledger.absolve(&key("huge")).unwrap();
    assert!(!ledger.is_deadly(&key("huge")));
    drop(ledger);
    assert!(!open(3).is_deadly(&key("huge")));

    let ledger = open(3);
    let reading = ledger.reading(&key("huge"));
    let left = read(&marks);
    ledger.end_life().unwrap();
    drop((reading, ledger));
    write(&marks, &left);
    let ledger = open(4);
    let counted = ledger.shared.marks.kills.lock().unwrap().len();
    assert_eq!(counted, 1, "`small`, of before: a life that ended well was not killed");
}

#[expect(clippy::disallowed_methods, reason = "a test keeps what a killed process would have left")]
fn read(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test keeps what a killed process would have left")]
fn write(path: &std::path::Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
