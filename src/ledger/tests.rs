//! What the ledger promises: that it gives back what it took, whatever happens in between, and never an id that it did not.

mod arbitrary;
mod damage;
mod directories;
mod log;
mod moves;
mod names;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use super::*;
use crate::file::entry::{Aside, AsideState, Attempt};
use crate::mapping::filter::IgnoredKind;
use crate::verdict::Blame;
use uuid::Uuid;

pub(super) fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn key(path: &str) -> Key {
    Key::new(props(), rel(path))
}

pub(super) fn rel(path: &str) -> RelPath {
    RelPath::from_bytes(path.as_bytes()).unwrap()
}

pub(super) fn props() -> MappingName {
    MappingName::new("props")
}

pub(super) fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Always the same entry that suits `wanted`.
pub(super) fn sample(wanted: impl Fn(&Entry) -> bool) -> Entry {
    let mut runner = TestRunner::deterministic();
    let entries = arbitrary::entries();
    (0..10_000)
        .map(|_| entries.new_tree(&mut runner).unwrap().current())
        .find(wanted)
        .expect("no such entry among ten thousand")
}

/// An entry with rows in every table.
pub(super) fn rich() -> Entry {
    static RICH: std::sync::LazyLock<Entry> = std::sync::LazyLock::new(find_rich);
    RICH.clone()
}

fn find_rich() -> Entry {
    sample(|entry| {
        let attempt_is_full = match &entry.attempt {
            Attempt::Converting(intent, conversion) => {
                !intent.fence.is_empty() && !intent.parts.is_empty() && !conversion.files.is_empty()
            }
            _ => false,
        };
        let current_is_full = entry
            .current
            .as_ref()
            .is_some_and(|it| !it.members.is_empty() && it.parts().all(|part| !part.assets.is_empty()));
        attempt_is_full
            && current_is_full
            && entry.seen.is_some()
            && entry.aside.is_some()
            && entry.copies.iter().any(|copy| !copy.assets.is_empty())
    })
}

pub(super) fn aside(state: AsideState) -> Entry {
    Entry {
        aside: Some(Aside { state, reason: "a reason".into(), version: None, since: at(1) }),
        ..Entry::default()
    }
}

/// The files of the ledger as a crash at this moment would leave them.
fn crash(from: &Path, to: &Path) {
    for name in ["ledger.db", "ledger.db-wal"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn what_is_put_is_what_is_read() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let reader = ledger.reader().unwrap();
    let rounds = Config { cases: 192, failure_persistence: None, ..Config::default() };
    let two = (arbitrary::keys(), arbitrary::entries(), arbitrary::entries(), any::<bool>());
    TestRunner::new(rounds)
        .run(&two, |(key, first, second, share)| {
            ledger.put(&key, &first, None, at(1)).unwrap();
            prop_assert_eq!(&ledger.entry(&key).unwrap(), &first);
            // Half of the time the second shares a group of rows with the first, which is then not written again.
            let second = if share { Entry { current: first.current, ..second } } else { second };
            ledger.put(&key, &second, Some("again"), at(2)).unwrap();
            prop_assert_eq!(&ledger.entry(&key).unwrap(), &second);
            prop_assert_eq!(&reader.entry(&key).unwrap(), &second);
            Ok(())
        })
        .unwrap();
    assert_eq!(ledger.damaged_rows() + reader.damaged_rows(), 0);
}

#[test]
fn an_unknown_bundle_is_believed_in_nothing() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    assert_eq!(ledger.entry(&key("a/b")).unwrap(), Entry::default());
    assert!(ledger.mappings().unwrap().is_empty());
}

#[test]
fn an_entry_that_says_nothing_leaves_no_row() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.put(&key("a/b"), &rich(), Some("sent"), at(1)).unwrap();
    ledger.put(&key("a/b"), &Entry::default(), Some("moved away"), at(2)).unwrap();
    assert_eq!(ledger.entry(&key("a/b")).unwrap(), Entry::default());
    assert!(ledger.keys_below(&props(), &RelPath::root(), None, 9).unwrap().is_empty());
    let notes = ledger.reader().unwrap().journal(&key("a/b"), 9).unwrap();
    assert_eq!(notes.len(), 2, "the journal outlives the row");
}

#[test]
fn c8_a_crash_right_after_a_put_loses_nothing() {
    let (home, after) = (home(), tempfile::tempdir().unwrap());
    let ledger = Ledger::open(home.path()).unwrap();
    let entry = rich();
    ledger.put(&key("a/b"), &entry, Some("intended"), at(7)).unwrap();
    crash(home.path(), after.path());
    drop(ledger);
    let again = Ledger::open(after.path()).unwrap();
    assert_eq!(again.entry(&key("a/b")).unwrap(), entry);
    assert_eq!(again.was_rebuilt(), None);
}

#[test]
fn c8_a_panic_in_the_middle_of_a_write_leaves_the_row_as_it_was() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.put(&key("a"), &aside(AsideState::Held), None, at(1)).unwrap();
    let half = ledger.clone();
    let panicked = std::thread::spawn(move || {
        half.write(|db, damaged| -> Result<(), Error> {
            save::save(db, &key("a"), &rich(), at(2), rewrite(damaged, &key("a")))?;
            panic!("in between");
        })
    });
    assert!(panicked.join().is_err());
    assert_eq!(ledger.entry(&key("a")).unwrap(), aside(AsideState::Held));
    ledger.put(&key("a"), &rich(), None, at(3)).unwrap();
}

#[test]
fn l5_a_second_instance_is_refused_at_once_and_told_by_whom() {
    let home = home();
    let first = Ledger::open(home.path()).unwrap();
    let refused = Ledger::open(home.path()).unwrap_err();
    assert!(matches!(refused, Error::Locked { pid: Some(pid) } if pid == std::process::id()), "{refused}");
    assert_eq!(refused.blame(), Blame::User);
    drop(first);
    Ledger::open(home.path()).unwrap();
}

#[test]
fn a_clone_keeps_the_lock() {
    let home = home();
    let first = Ledger::open(home.path()).unwrap();
    let clone = first.clone();
    drop(first);
    assert!(matches!(Ledger::open(home.path()), Err(Error::Locked { .. })));
    drop(clone);
    Ledger::open(home.path()).unwrap();
}

#[test]
fn nobody_else_can_read_the_state_directory() {
    let home = home();
    let state_dir = home.path().join("new/state");
    let ledger = Ledger::open(&state_dir).unwrap();
    ledger.put(&key("a"), &rich(), None, at(1)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state_dir), 0o700);
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "versync.lock"] {
        assert_eq!(mode(&state_dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn l7_a_state_directory_that_others_can_write_into_is_refused() {
    let home = home();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Ledger::open(home.path()).unwrap_err();
    assert!(matches!(refused, Error::Loose { .. }), "{refused}");
}

#[test]
fn l11_a_file_system_of_several_hosts_is_told_from_a_local_one() {
    assert_eq!(home::unfit(0x6969), Some("NFS"));
    assert_eq!(home::unfit(0xff53_4d42), Some("SMB"));
    assert_eq!(home::unfit(0x6573_5546), Some("FUSE"));
    for (local, magic) in
        [("ext4", 0xef53), ("xfs", 0x5846_5342), ("btrfs", 0x9123_683e), ("tmpfs", 0x0102_1994)]
    {
        assert_eq!(home::unfit(magic), None, "{local}");
    }
}

#[test]
fn l8_a_ledger_that_was_moved_away_takes_no_more_writes() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.check_in_place().unwrap();
    move_away(&home.path().join("ledger.db"), &home.path().join("elsewhere"));
    assert!(matches!(ledger.check_in_place(), Err(Error::Moved(_))));
    std::fs::copy(home.path().join("elsewhere"), home.path().join("ledger.db")).unwrap();
    let refused = ledger.put(&key("a"), &rich(), None, at(1)).unwrap_err();
    assert!(matches!(refused, Error::Moved(_)), "a copy in its place is another ledger: {refused}");
}

#[expect(clippy::disallowed_methods, reason = "the test does to the ledger what a person might")]
fn move_away(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[test]
fn a_remote_file_is_claimed_by_whatever_knows_it() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let entry = rich();
    ledger.put(&key("a/b"), &entry, None, at(1)).unwrap();
    let Attempt::Converting(intent, conversion) = &entry.attempt else { unreachable!("rich converts") };
    let current = entry.current.as_ref().unwrap();
    let known = current
        .parts()
        .map(|part| part.source_file)
        .chain(entry.copies.iter().map(|copy| copy.source_file))
        .chain(conversion.files.iter().map(|(_, file)| *file));
    for file in known {
        assert!(ledger.claimed(file).unwrap());
    }
    assert!(!ledger.claimed(intent.fence[0]).unwrap(), "what was there before is not ours");
    ledger.put(&key("a/b"), &Entry::default(), None, at(2)).unwrap();
    assert!(!ledger.claimed(current.lead.source_file).unwrap());
}

#[test]
fn the_journal_of_a_path_keeps_its_last_fifty_lines() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    for number in 0..60 {
        ledger
            .put(&key("a/b"), &aside(AsideState::Held), Some(&format!("line {number}")), at(number))
            .unwrap();
    }
    ledger.put(&key("a/c"), &aside(AsideState::Held), Some("another path"), at(99)).unwrap();
    let reader = ledger.reader().unwrap();
    let lines = reader.journal(&key("a/b"), 1_000).unwrap();
    assert_eq!(lines.len(), 50);
    assert_eq!(lines[0], JournalLine { at: at(59), note: "line 59".into() });
    assert_eq!(lines[49].note, "line 10");
    assert_eq!(reader.journal(&key("a/b"), 2).unwrap().len(), 2);
}

#[test]
fn what_is_told_of_a_mapping_is_what_a_reader_is_told() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let mut standing = Standing {
        state: "halted".into(),
        reason: Some("the root is another directory".into()),
        since: at(3),
        scanned_at: None,
        files: u64::MAX,
        directories: 2,
        ignored: IgnoredKind::ALL.into_iter().zip(1..).collect(),
        troubles: (0..80).map(|number| format!("trouble {number}")).collect(),
    };
    assert_eq!(ledger.standing(&props()).unwrap(), None);
    ledger.put_standing(&props(), &standing).unwrap();
    standing.troubles.truncate(MOST_TROUBLES);
    assert_eq!(ledger.reader().unwrap().standing(&props()).unwrap(), Some(standing.clone()));
    standing.ignored.clear();
    ledger.put_standing(&props(), &standing).unwrap();
    assert_eq!(ledger.standing(&props()).unwrap(), Some(standing));
}

#[test]
fn a_root_with_an_id_of_zero_is_still_pinned() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    assert_eq!(ledger.root(&props()).unwrap(), None);
    let root = RootIdentity { filesystem: 0, inode: u64::MAX, birth: None };
    ledger.put_root(&props(), &root).unwrap();
    assert_eq!(ledger.root(&props()).unwrap(), Some(root));
    let born = RootIdentity { birth: Some(at(-5)), ..root };
    ledger.put_root(&props(), &born).unwrap();
    assert_eq!(ledger.root(&props()).unwrap(), Some(born));
}

#[test]
fn a_forgotten_mapping_leaves_nothing_of_itself_and_all_of_the_others() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let other = Key::new(MappingName::new("other"), rel("a/b"));
    for key in [&key("a/b"), &other] {
        ledger.put(key, &rich(), Some("sent"), at(1)).unwrap();
        ledger.put_references(key, &[(rel("a/t.png"), "t.png".into())]).unwrap();
        ledger.put_shelf(&key.mapping, &rel("a"), FolderId::from_uuid(Uuid::from_u128(1))).unwrap();
    }
    ledger.forget_mapping(&props()).unwrap();
    assert_eq!(ledger.mappings().unwrap(), std::slice::from_ref(&other.mapping));
    assert_eq!(ledger.entry(&key("a/b")).unwrap(), Entry::default());
    assert_eq!(ledger.entry(&other).unwrap(), rich());
    ledger.forget_mapping(&other.mapping).unwrap();
    for table in [
        "directory",
        "file",
        "bundle",
        "part",
        "asset",
        "copy",
        "fence",
        "conversion",
        "reference",
        "shelf",
        "journal",
    ] {
        let count = ledger.read(|db| {
            Ok(db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(count.unwrap(), 0, "{table}");
    }
}

#[test]
fn a_value_of_the_whole_ledger_is_kept() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    assert_eq!(ledger.meta("boot").unwrap(), None);
    ledger.put_meta("boot", "one").unwrap();
    ledger.put_meta("boot", "two").unwrap();
    assert_eq!(ledger.reader().unwrap().meta("boot").unwrap().as_deref(), Some("two"));
}

/// Not a benchmark: it prints what a put costs, and notices only when a later put loses an earlier one.
#[test]
fn many_puts_are_all_kept() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let seen = Entry { seen: rich().seen, ..aside(AsideState::Held) };
    let sent = Entry { attempt: rich().attempt, ..seen.clone() };
    let keys: Vec<_> = (0..400).map(|number| key(&format!("d{}/f{number}", number % 20))).collect();
    let batch: Vec<_> = keys.iter().map(|key| (key.clone(), seen.clone())).collect();
    let start = crate::ambient::tick();
    ledger.put_all(&batch, at(1)).unwrap();
    let together = crate::ambient::tick().since(start);
    let start = crate::ambient::tick();
    keys.iter().for_each(|key| ledger.put(key, &sent, Some("sent"), at(2)).unwrap());
    let singly = crate::ambient::tick().since(start);
    println!("400 puts: {together:?} in one transaction, {singly:?} in one each");
    let summary = ledger.reader().unwrap().summary(&props()).unwrap();
    assert_eq!(summary.into_iter().collect::<Vec<_>>(), [(sent.state(), 400)]);
}

#[test]
fn whether_an_instance_is_at_work_is_known_without_disturbing_it() {
    let home = home();
    assert_eq!(occupancy(home.path()).unwrap(), Occupancy::Free);
    let ledger = Ledger::open(home.path()).unwrap();
    assert_eq!(occupancy(home.path()).unwrap(), Occupancy::Held(Some(std::process::id())));
    drop(ledger);
    assert_eq!(occupancy(home.path()).unwrap(), Occupancy::Free);
    assert!(Ledger::open(home.path()).is_ok());
}
