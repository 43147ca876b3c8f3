//! Directories, and keys by where they lie: what a scan is compared with, and where a restart takes up its work.

use super::*;

fn held() -> Entry {
    static FOUND: std::sync::LazyLock<Entry> =
        std::sync::LazyLock::new(|| sample(|entry| entry.seen.is_some() && entry.state() == State::Held));
    FOUND.clone()
}

fn folder(number: u128) -> FolderId {
    FolderId::from_uuid(Uuid::from_u128(number))
}

fn names(keys: &[Key]) -> Vec<String> {
    keys.iter().map(|key| key.path.to_string()).collect()
}

#[test]
fn a_listing_shows_direct_children_by_name() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let entry = held();
    for path in ["a/z", "a/b", "a/b.d/e", "a/c/d/e", "ab/x", "top"] {
        ledger.put(&key(path), &entry, None, at(1)).unwrap();
    }
    ledger.put(&key("a/y"), &aside(AsideState::Deleted), None, at(1)).unwrap();
    let listing = ledger.listing(&props(), &rel("a")).unwrap();
    let files: Vec<_> = listing.files.iter().map(|file| (&file.name[..], file.seen, file.state)).collect();
    assert_eq!(
        files,
        [
            (&b"b"[..], entry.seen, State::Held),
            (&b"y"[..], None, State::Deleted),
            (&b"z"[..], entry.seen, State::Held)
        ]
    );
    assert_eq!(listing.directories, [b"b.d".to_vec(), b"c".to_vec()]);
    let top = ledger.listing(&props(), &RelPath::root()).unwrap();
    assert_eq!(top.files[0].name, b"top");
    assert_eq!(top.files[0].seen, entry.seen);
    assert_eq!(top.directories, [b"a".to_vec(), b"ab".to_vec()]);
    assert_eq!(ledger.listing(&props(), &rel("nowhere")).unwrap(), Listing::default());
    assert_eq!(ledger.listing(&MappingName::new("none"), &rel("a")).unwrap(), Listing::default());
}

#[test]
fn a_name_that_is_no_text_is_listed_by_its_bytes() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let odd = Key::new(props(), RelPath::from_bytes(b"\xff\xfe/\x80 x").unwrap());
    ledger.put(&odd, &held(), None, at(1)).unwrap();
    let listing = ledger.listing(&props(), &odd.path.parent()).unwrap();
    assert_eq!((&listing.files[0].name[..], listing.files[0].seen), (&b"\x80 x"[..], held().seen));
    assert_eq!(ledger.listing(&props(), &RelPath::root()).unwrap().directories, [b"\xff\xfe".to_vec()]);
}

#[test]
fn a_digest_lives_until_something_in_its_directory_is_seen_otherwise() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let (entry, digest) = (held(), Digest([7; 32]));
    ledger.put(&key("a/b"), &entry, None, at(1)).unwrap();
    let all = [(rel("a"), digest), (rel("a/c"), digest), (RelPath::root(), digest)];
    ledger.put_digests(&props(), &all).unwrap();
    let known = |dir: &str| ledger.digest(&props(), &rel(dir)).unwrap();

    let unmoved = Entry { current: rich().current, ..entry.clone() };
    ledger.put(&key("a/b"), &unmoved, Some("converted"), at(2)).unwrap();
    assert_eq!(known("a"), Some(digest));
    assert_eq!(ledger.listing(&props(), &rel("a")).unwrap().digest, Some(digest));

    let touched = Entry { seen: rich().seen, ..entry.clone() };
    ledger.put(&key("a/b"), &touched, None, at(3)).unwrap();
    assert_eq!(known("a"), None);
    assert_eq!((known("a/c"), known("")), (Some(digest), Some(digest)), "other directories are as they were");

    for gone in [Entry { seen: None, ..touched.clone() }, Entry::default()] {
        ledger.put(&key("a/b"), &touched, None, at(4)).unwrap();
        ledger.put_digests(&props(), &all).unwrap();
        ledger.put_all(&[(key("a/b"), gone)], at(5)).unwrap();
        assert_eq!(known("a"), None);
    }
    ledger.put_digests(&props(), &all).unwrap();
    ledger.forget_digest(&props(), &rel("a")).unwrap();
    ledger.forget_digest(&props(), &rel("unknown")).unwrap();
    assert_eq!((known("a"), known("a/c"), known("unknown")), (None, Some(digest), None));
}

#[test]
fn what_is_open_is_found_again_after_a_restart_page_by_page() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let ready = Entry { seen: rich().seen, ..Entry::default() };
    assert_eq!(ready.state(), State::Ready);
    let open = [rich(), ready, aside(AsideState::Settling)];
    let mut expected = Vec::new();
    for number in 0..30_usize {
        let path = format!("{}/f{number}", ["b", "a", "a/b", "a.b"][number % 4]);
        ledger.put(&key(&path), &open[number % 3], None, at(1)).unwrap();
        ledger.put(&key(&format!("{path}.rest")), &aside(AsideState::Blocked), None, at(1)).unwrap();
        expected.push(key(&path));
    }
    expected.sort();
    drop(ledger);
    let ledger = Ledger::open(home.path()).unwrap();
    let mut found: Vec<Key> = Vec::new();
    loop {
        let page = ledger.open_keys(&props(), found.last().map(|key| &key.path), 7).unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, expected);
    ledger.put(&expected[0], &aside(AsideState::Held), None, at(2)).unwrap();
    assert_eq!(ledger.open_keys(&props(), None, 1).unwrap(), expected[1..2]);
}

#[test]
fn what_is_below_a_directory_is_not_what_begins_like_it() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    for path in ["a", "a-b/x", "a/b", "a/b/c", "a/b0", "a/z/y", "a0", "b"] {
        ledger.put(&key(path), &aside(AsideState::Held), None, at(1)).unwrap();
    }
    let below = |dir: &str, after: Option<&str>, limit| {
        names(&ledger.keys_below(&props(), &rel(dir), after.map(rel).as_ref(), limit).unwrap())
    };
    assert_eq!(below("a", None, 99), ["a/b", "a/b/c", "a/b0", "a/z/y"]);
    assert_eq!(below("a", Some("a/b"), 2), ["a/b/c", "a/b0"]);
    assert_eq!(below("", Some("a"), 2), ["a-b/x", "a/b"]);
    assert_eq!(below("", None, 99).len(), 8);
    assert!(below("a", Some("b"), 99).is_empty());
    let held = ledger.keys_in_state(&props(), State::Held).unwrap();
    assert_eq!(held.len(), 8);
    assert!(ledger.keys_in_state(&props(), State::Blocked).unwrap().is_empty());
}

#[test]
fn the_leads_of_a_member_follow_what_is_written_in_them() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let wood = (rel("t/wood.png"), "..\\t\\wood.png".to_owned());
    let again = (rel("t/wood.png"), "wood.png".to_owned());
    ledger.put_references(&key("b.fbx"), &[wood.clone(), again]).unwrap();
    ledger.put_references(&key("a.fbx"), std::slice::from_ref(&wood)).unwrap();
    assert_eq!(names(&ledger.leads_of(&props(), &wood.0).unwrap()), ["a.fbx", "b.fbx"]);
    assert!(ledger.leads_of(&MappingName::new("other"), &wood.0).unwrap().is_empty());
    ledger.put_references(&key("b.fbx"), &[]).unwrap();
    assert_eq!(names(&ledger.leads_of(&props(), &wood.0).unwrap()), ["a.fbx"]);
}

#[test]
fn shelves_are_forgotten_with_all_that_is_below() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    for (dir, number) in ["", "a", "a/b", "a-b", "a0"].into_iter().zip(1..) {
        ledger.put_shelf(&props(), &rel(dir), folder(number)).unwrap();
    }
    let known = |dir: &str| ledger.shelf(&props(), &rel(dir)).unwrap();
    assert_eq!(known("a/b"), Some(folder(3)));
    ledger.forget_shelves(&props(), &rel("a")).unwrap();
    assert_eq!((known("a"), known("a/b")), (None, None));
    assert_eq!((known(""), known("a-b"), known("a0")), (Some(folder(1)), Some(folder(4)), Some(folder(5))));
    ledger.forget_shelves(&props(), &RelPath::root()).unwrap();
    assert_eq!((known(""), known("a0")), (None, None));
}

#[test]
fn a_directory_is_forgotten_once_it_holds_nothing_not_even_further_down() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    for path in ["a/b/c/x", "a/d/y", "e/z"] {
        ledger.put(&key(path), &aside(AsideState::Held), None, at(1)).unwrap();
    }
    ledger.put(&key("a/d/y"), &Entry::default(), None, at(2)).unwrap();
    ledger.forget_directories(&props(), &rel("a")).unwrap();
    let listing = |dir: &str| ledger.listing(&props(), &rel(dir)).unwrap().directories;
    assert_eq!(listing("a"), [b"b".to_vec()]);
    ledger.put(&key("a/b/c/x"), &Entry::default(), None, at(3)).unwrap();
    ledger.forget_directories(&props(), &RelPath::root()).unwrap();
    assert_eq!(listing(""), [b"e".to_vec()]);
}

#[test]
fn a_reader_streams_in_path_order_and_stops_when_it_is_told_to() {
    use std::ops::ControlFlow;
    let home = home();
    assert!(matches!(Reader::open(home.path()), Err(Error::Missing(_))));
    let ledger = Ledger::open(home.path()).unwrap();
    let batch: Vec<_> = (0..600).map(|number| (key(&format!("d{}/f{number}", number % 3)), held())).collect();
    ledger.put_all(&batch, at(1)).unwrap();
    ledger.put(&Key::new(MappingName::new("other"), rel("x")), &rich(), None, at(1)).unwrap();
    drop(ledger);
    let reader = Reader::open(home.path()).unwrap();
    let seen = |mapping: Option<&MappingName>, below: Option<&str>, most: usize| {
        let mut seen = Vec::new();
        let mut each = |key, entry| {
            assert!(entry == held() || entry == rich());
            seen.push(key);
            if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        reader.bundles(mapping, below.map(rel).as_ref(), &mut each).unwrap();
        seen
    };
    let all = seen(None, None, usize::MAX);
    assert_eq!(all.len(), 601);
    assert_eq!(all[0].mapping.as_str(), "other");
    assert!(all.is_sorted());
    assert_eq!(seen(Some(&props()), Some("d1"), usize::MAX).len(), 200);
    assert_eq!(seen(Some(&props()), None, 300).len(), 300);
    assert_eq!(reader.summary(&props()).unwrap().into_iter().collect::<Vec<_>>(), [(State::Held, 600)]);
    assert_eq!(reader.mappings().unwrap(), [MappingName::new("other"), props()]);
}

#[test]
fn a_reader_never_sees_half_of_a_put() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let (one, two) = (rich(), aside(AsideState::Held));
    ledger.put(&key("a"), &one, None, at(1)).unwrap();
    let reader = ledger.reader().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..150 {
                ledger.put(&key("a"), if number % 2 == 0 { &two } else { &one }, None, at(number)).unwrap();
            }
        });
        while !writer.is_finished() {
            let read = reader.entry(&key("a")).unwrap();
            assert!(read == one || read == two);
        }
    });
    assert_eq!(reader.damaged_rows(), 0);
}
