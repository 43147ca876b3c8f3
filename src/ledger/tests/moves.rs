//! What moves is written down whole at its new place, under seals that hold there.

use super::*;
use crate::ledger::Swapped;

fn held() -> Entry {
    sample(|entry| entry.seen.is_some() && entry.state() == State::Held)
}

#[test]
fn a_directory_is_renamed_with_everything_that_is_known_below_it_and_no_seal_breaks() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let entry = held();
    // Bytes that are no text, and a neighbour whose name only begins alike.
    let odd = RelPath::from_bytes(b"kit/\xff/\x80").unwrap();
    let kept = ["kits/a", "top"];
    for path in ["kit/a", "kit/deep/b"].into_iter().map(rel).chain([odd]).chain(kept.map(rel)) {
        ledger.put(&Key::new(props(), path), &entry, Some("seen"), at(1)).unwrap();
    }
    let folder = FolderId::from_uuid(Uuid::from_u128(7));
    ledger.put_shelf(&props(), &rel("kit/deep"), folder).unwrap();
    ledger.put_references(&key("kit/a"), &[(rel("kit/deep/b"), "b".into())]).unwrap();
    ledger.put_references(&key("top"), &[(rel("kit/deep/b"), "b".into())]).unwrap();

    let torn = ledger.rename_directory(&props(), &rel("kit"), &rel("new/set"), at(2)).unwrap().unwrap();
    assert_eq!(torn, [key("top")], "what it refers to is gone; the model that moved took its own along");
    let below = |dir| ledger.keys_below(&props(), &rel(dir), None, 99).unwrap();
    assert!(below("kit").is_empty());
    let moved = RelPath::from_bytes(b"new/set/\xff/\x80").unwrap();
    let there = [key("new/set/a"), key("new/set/deep/b"), Key::new(props(), moved)];
    assert_eq!(below("new/set"), there);
    for key in there.iter().chain(&kept.map(key)) {
        assert_eq!(ledger.entry(key).unwrap().seen, entry.seen, "{key}");
    }
    assert_eq!(ledger.shelf(&props(), &rel("new/set/deep")).unwrap(), Some(folder));
    assert_eq!(ledger.references(&key("new/set/a")).unwrap(), [(rel("new/set/deep/b"), "b".to_owned())]);
    assert_eq!(ledger.damaged_keys(&props(), None, 99).unwrap().0, []);
    assert_eq!(ledger.damaged_rows(), 0);
}

#[test]
fn a_directory_is_not_renamed_over_something_that_is_known() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    for path in ["kit/a", "set/new"] {
        ledger.put(&key(path), &held(), None, at(1)).unwrap();
    }
    assert_eq!(ledger.rename_directory(&props(), &rel("kit"), &rel("set"), at(2)).unwrap(), None);
    for path in ["kit/a", "set/new"] {
        assert_eq!(ledger.entry(&key(path)).unwrap(), held(), "{path}");
    }
}

#[test]
fn a_bundle_moves_only_while_it_is_what_was_expected() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.put(&key("a"), &held(), None, at(1)).unwrap();
    let other = Entry { aside: None, ..held() };
    let relocate = |expected: &Entry| ledger.relocate(&key("a"), expected, &key("b"), &held(), &[], at(2));
    assert_eq!(relocate(&other).unwrap(), Swapped::Stale);
    assert_eq!(ledger.entry(&key("b")).unwrap(), Entry::default());
    assert_eq!(relocate(&held()).unwrap(), Swapped::Yes);
    assert_eq!(
        (ledger.entry(&key("a")).unwrap(), ledger.entry(&key("b")).unwrap()),
        (Entry::default(), held())
    );
    // Whoever found the old path gone in the meantime writes nothing that brings it back.
    let gone = ledger.put_unless_moved(&key("a"), &held(), &other, None, at(3)).unwrap();
    assert_eq!((gone, ledger.entry(&key("a")).unwrap()), (Swapped::Stale, Entry::default()));
}
