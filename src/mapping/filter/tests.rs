//! What is admitted and what is not, in tables; and that a path asked alone and a walk that prunes agree.

use proptest::prelude::*;

use super::*;

fn path(text: &str) -> RelPath {
    RelPath::from_bytes(text.as_bytes()).unwrap()
}

fn filter(include: &[&str], exclude: &[&str]) -> Filter {
    let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Filter::new(Rules { include: own(include), exclude: own(exclude), ..Rules::default() }).unwrap()
}

fn rule(admission: Admission) -> (&'static str, String) {
    match admission {
        Admission::Admitted => ("admitted", String::new()),
        Admission::Ignored(ignored) => (ignored.kind.word(), ignored.rule),
    }
}

/// The answer of a walk from the root that does not enter what is refused.
fn walked(filter: &Filter, file: &RelPath) -> Admission {
    let mut directory = RelPath::root();
    let names: Vec<_> = file.components().map(<[u8]>::to_vec).collect();
    for name in &names[..names.len() - 1] {
        directory = directory.join(name).unwrap();
        let admission = filter.admits_directory(&directory);
        if admission != Admission::Admitted {
            return admission;
        }
    }
    filter.admits_leaf(file)
}

#[test]
fn without_rules_the_format_decides() {
    let mut rules = Rules::default();
    rules.formats.insert("xyz".to_owned());
    let filter = Filter::new(rules).unwrap();
    let table = [
        ("chair.fbx", "admitted"),
        ("props/Chair.GLB", "admitted"),
        (".hidden/chair.obj", "admitted"),
        ("scan.xyz", "admitted"),
        ("data.xml", "by_choice"),
        ("chair.mtl", "companion"),
        ("chair.psd", "unsupported"),
        ("README", "unsupported"),
        (".fbx", "unsupported"),
        ("chair.", "unsupported"),
        ("chair.fbx.averyverylongextension", "unsupported"),
        ("chair.blend1", "junk"),
        (".git/objects/chair.fbx", "junk"),
        ("a/.mayaSwatches/b/chair.png", "junk"),
    ];
    for (file, expected) in table {
        assert_eq!(rule(filter.admits_file(&path(file))).0, expected, "{file}");
    }
    assert_eq!(filter.admits_directory(&RelPath::root()), Admission::Admitted);
}

#[test]
fn an_excluded_directory_takes_everything_below_it_along() {
    let filter = filter(&[], &["build/", "/wip", "*.old.fbx", "!build/keep.fbx", "!/a/wip"]);
    let table = [
        ("chair.fbx", "admitted"),
        ("build/keep.fbx", "excluded"),
        ("a/build/deep/chair.fbx", "excluded"),
        ("build.fbx", "admitted"),
        ("wip/chair.fbx", "excluded"),
        ("a/wip/chair.fbx", "admitted"),
        ("x/chair.old.fbx", "excluded"),
    ];
    for (file, expected) in table {
        assert_eq!(rule(filter.admits_file(&path(file))).0, expected, "{file}");
    }
    assert_eq!(rule(filter.admits_directory(&path("a/build"))).0, "excluded");
    assert_eq!(rule(filter.admits_directory(&path("build/inside"))).0, "excluded");
    assert_eq!(filter.admits_directory(&path("a")), Admission::Admitted);
}

#[test]
fn only_what_is_included_is_sent_and_no_directory_is_closed_by_it() {
    let filter = filter(&["/heroes/", "*.usd", "!/heroes/old/"], &["*_test.usd"]);
    let table = [
        ("heroes/a/b.fbx", "admitted"),
        ("villains/b.usd", "admitted"),
        ("villains/b_test.usd", "excluded"),
        ("villains/b.fbx", "excluded"),
        ("heroes/old/b.fbx", "excluded"),
        ("b.fbx", "excluded"),
    ];
    for (file, expected) in table {
        assert_eq!(rule(filter.admits_file(&path(file))).0, expected, "{file}");
    }
    assert_eq!(filter.admits_directory(&path("villains")), Admission::Admitted);
}

#[test]
fn the_rule_is_named_for_a_person() {
    let filter = filter(&["*.fbx", "*.xml", "*.mtl"], &["build/", "b.fbx"]);
    let told = |file: &str| rule(filter.admits_file(&path(file))).1;
    assert_eq!(told("a/build/c.fbx"), "`build/` of `exclude`, by the directory a/build");
    assert_eq!(told("b.fbx"), "`b.fbx` of `exclude`");
    assert_eq!(told("b.obj"), "no pattern of `include` matches");
    assert_eq!(told(".git/a.fbx"), "`.git/` of the built-in list: Git repository, by the directory .git");
    assert_eq!(told("a.fbx.tmp"), "`*.tmp` of the built-in list: temporary file");
    assert_eq!(told("a.xml"), "`.xml` is sent only where `formats` names it");
    assert_eq!(told("a.mtl"), "`.mtl` travels only with a model that refers to it");
}

#[test]
fn a_pattern_that_cannot_be_read_or_does_nothing_is_refused() {
    for bad in ["[a", "{a", "", "  ", "# note", "/", "!"] {
        let rules = Rules { exclude: vec![bad.to_owned()], ..Rules::default() };
        assert_eq!(Filter::new(rules).unwrap_err().pattern, bad);
    }
}

#[test]
fn a_file_is_too_large_only_above_the_limit() {
    let filter = Filter::new(Rules { max_file_size: Some(10), ..Rules::default() }).unwrap();
    assert_eq!(filter.too_large(10), None);
    assert_eq!(filter.too_large(11), Some(10));
    assert_eq!(Filter::new(Rules::default()).unwrap().too_large(u64::MAX), None);
}

proptest! {
    #[test]
    fn a_path_asked_alone_and_a_walk_that_prunes_agree(
        parts in prop::collection::vec("(a|b|build|\\.git|wip|c\\.fbx)", 0..4),
        leaf in "(a|b)\\.(fbx|obj|tmp|mtl)",
        exclude in prop::collection::vec("!?/?(a|b|build|wip|\\*)(/|/a|/\\*\\*|\\.fbx|)", 0..4),
        include in prop::collection::vec("!?/?(a|b|\\*)(/|\\.fbx)", 0..2),
    ) {
        let filter = Filter::new(Rules { include, exclude, ..Rules::default() }).unwrap();
        let mut file = parts.join("/");
        if !file.is_empty() { file.push('/'); }
        let file = path(&(file + &leaf));
        prop_assert_eq!(filter.admits_file(&file), walked(&filter, &file));
    }
}
