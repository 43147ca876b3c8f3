//! Where which base name lies, and who looks for it.

use std::collections::BTreeSet;

use super::*;
use crate::ledger::{Lies, Listed, Searches};

fn listed(directory: &str, all: &[&str], below: &[&str]) -> Listed {
    let bytes = |name: &&str| name.as_bytes().to_vec();
    Listed {
        directory: rel(directory),
        names: all.iter().map(bytes).collect(),
        directories: below.iter().map(bytes).collect(),
    }
}

fn sought(all: &[&str]) -> BTreeSet<Vec<u8>> {
    all.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn told(ledger: &Ledger, name: &str) -> Vec<String> {
    ledger.named(&props(), name.as_bytes()).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_told_without_regard_to_case_once_all_are_known() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let both = [listed("", &["oak.png"], &["a"]), listed("a", &["Oak.png", "elm.png"], &[])];
    ledger.put_names(&props(), &both, &|_| false).unwrap();
    assert_eq!(told(&ledger, "oak.png"), Vec::<String>::new());
    ledger.names_are_known(&props()).unwrap();
    assert_eq!(told(&ledger, "oak.png"), ["oak.png", "a/Oak.png"]);
    assert_eq!(told(&ledger, "Oak.png"), ["a/Oak.png", "oak.png"], "the very name first");
    assert_eq!(ledger.reader().unwrap().named(&props(), b"ELM.PNG").unwrap(), [rel("a/elm.png")]);
    ledger.put_name(&key("a/elm.png"), Lies::Nowhere).unwrap();
    assert_eq!(told(&ledger, "elm.png"), Vec::<String>::new());
    ledger.put_naming(&props(), "path near", Searches::Nearby).unwrap();
    assert_eq!(told(&ledger, "oak.png"), Vec::<String>::new());
    assert!(!ledger.knows_names(&props()).unwrap());
}

#[test]
fn a_name_that_comes_or_goes_calls_those_who_look_for_it_and_marks_them() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let entry = aside(AsideState::Held);
    for lead in ["m.fbx", "n.fbx", "o.fbx"] {
        ledger.put(&key(lead), &entry, None, at(1)).unwrap();
    }
    assert!(ledger.put_sought(&key("m.fbx"), &sought(&["OAK.png", "elm.png"])).unwrap());
    assert!(!ledger.put_sought(&key("m.fbx"), &sought(&["oak.PNG", "elm.png"])).unwrap());
    ledger.put_sought(&key("n.fbx"), &sought(&["oak.png"])).unwrap();
    let leads = ledger.put_name(&key("far/Oak.png"), Lies::There).unwrap();
    assert_eq!(leads, [key("m.fbx"), key("n.fbx")]);
    assert!(ledger.is_marked(&key("n.fbx")).unwrap() && !ledger.is_marked(&key("o.fbx")).unwrap());
    assert_eq!(ledger.put_name(&key("far/Oak.png"), Lies::There).unwrap(), [], "it is no news");
    assert_eq!(ledger.put_name(&key("far/ash.png"), Lies::There).unwrap(), []);

    // Directories that are not listed any more go with all that was in them.
    for dir in ["a", "a-b", "a/x", "a/x/y", "b\u{ff}", "b"] {
        ledger.put_names(&props(), &[listed(dir, &["elm.png"], &["x", "y"])], &|_| false).unwrap();
    }
    let root = listed("", &[], &["a-b", "b", "b\u{ff}", "far"]);
    let leads = ledger.put_names(&props(), &[root], &|_| false).unwrap();
    assert_eq!(leads, [key("m.fbx")]);
    ledger.names_are_known(&props()).unwrap();
    assert_eq!(told(&ledger, "elm.png"), ["a-b/elm.png", "b/elm.png", "b\u{ff}/elm.png"]);
    assert_eq!(ledger.drop_names(&props(), &rel("far")).unwrap(), [key("m.fbx"), key("n.fbx")]);
    assert_eq!(ledger.drop_names(&props(), &rel("far")).unwrap(), []);
    // One that came since the directory was listed is not forgotten.
    ledger.put_name(&key("b/young.png"), Lies::There).unwrap();
    let stale = [listed("b", &[], &[])];
    ledger.put_names(&props(), &stale, &|path| *path == rel("b/young.png")).unwrap();
    assert_eq!(told(&ledger, "young.png"), ["b/young.png"]);
    assert!(!told(&ledger, "elm.png").contains(&"b/elm.png".to_owned()));
    assert_eq!(ledger.seekers(&props(), Some(&rel("m.fbx")), 9).unwrap(), [key("n.fbx")]);
}

#[test]
fn another_naming_marks_models_with_members_once() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let entry = aside(AsideState::Held);
    for lead in ["m.fbx", "n.fbx"] {
        ledger.put(&key(lead), &entry, None, at(1)).unwrap();
    }
    ledger.put_references(&key("m.fbx"), &[(rel("t.png"), "t.png".to_owned())]).unwrap();
    ledger.put_naming(&props(), "base near", Searches::Nearby).unwrap();
    assert!(!ledger.is_marked(&key("m.fbx")).unwrap(), "as it was");
    ledger.put_naming(&props(), "path near", Searches::Nearby).unwrap();
    assert!(ledger.is_marked(&key("m.fbx")).unwrap());
    assert!(!ledger.is_marked(&key("n.fbx")).unwrap());
    ledger.unmark(&key("m.fbx")).unwrap();
    ledger.put_naming(&props(), "path near", Searches::Nearby).unwrap();
    assert!(!ledger.is_marked(&key("m.fbx")).unwrap());
}
