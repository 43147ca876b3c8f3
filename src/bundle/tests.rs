//! Chains, cycles, lists and bounds, over files that only name others.

use std::collections::HashMap;

use super::*;
use crate::references::{Directory, Pattern};

fn path(text: &str) -> RelPath {
    RelPath::from_bytes(text.as_bytes()).unwrap()
}

/// The bundle of the first file: each is told with what it names; all lie in the root.
fn bundle(files: &[(&str, Vec<Reference>)], bounds: &Bounds) -> Bundle {
    let names: Vec<Vec<u8>> = files.iter().map(|(name, _)| name.as_bytes().to_vec()).collect();
    let root = Arc::new(Directory::new(names, []));
    let list = |path: &RelPath| path.is_root().then(|| Arc::clone(&root));
    let known: HashMap<RelPath, Arc<References>> = files
        .iter()
        .map(|(name, names)| (path(name), Arc::new(References { names: names.clone(), warnings: vec![] })))
        .collect();
    let mut read =
        |path: &RelPath, _: Format| known.get(path).cloned().ok_or_else(|| "it is broken".to_owned());
    gather(&path(files[0].0), &Tree::new(&list), &mut read, &|_| 10, bounds)
}

fn to(names: &[&str]) -> Vec<Reference> {
    names.iter().map(|name| Reference::new("x", *name)).collect()
}

fn members(bundle: &Bundle) -> Vec<String> {
    bundle.needs.keys().map(ToString::to_string).collect()
}

fn missing(bundle: &Bundle) -> Vec<String> {
    bundle.missing.iter().map(|absent| String::from_utf8_lossy(&absent.written).into_owned()).collect()
}

#[test]
fn a_chain_is_followed_to_its_end_and_tells_who_names_whom() {
    let files = [("a.obj", to(&["a.mtl"])), ("a.mtl", to(&["t.png", "gone.png"])), ("t.png", vec![])];
    let bundle = bundle(&files, &Bounds::default());
    assert_eq!(members(&bundle), ["a.mtl", "t.png"]);
    assert_eq!(bundle.needs[&path("t.png")].by, path("a.mtl"));
    assert_eq!(missing(&bundle), ["gone.png"]);
    assert!(!bundle.is_whole());
}

#[test]
fn a_cycle_ends_and_the_lead_is_no_member_of_its_own_bundle() {
    let files = [
        ("a.usda", to(&["b.usda", "a.usda"])),
        ("b.usda", to(&["a.usda", "c.usda"])),
        ("c.usda", to(&["b.usda"])),
    ];
    let whole = bundle(&files, &Bounds::default());
    assert_eq!(members(&whole), ["b.usda", "c.usda"]);
    assert!(whole.is_whole());
    let turned = [files[1].clone(), files[0].clone(), files[2].clone()];
    assert_eq!(members(&bundle(&turned, &Bounds::default())), ["a.usda", "c.usda"]);
}

#[test]
fn a_list_is_one_name_if_that_exists_and_several_otherwise() {
    let list = |written: &str, items: &[&str]| Reference {
        list: items.iter().map(|item| item.as_bytes().to_vec()).collect(),
        ..Reference::new("mtllib", written)
    };
    let names = vec![list("a.mtl b.mtl", &["a.mtl", "b.mtl"]), list("c.mtl d.mtl", &["c.mtl", "d.mtl"])];
    let files = [("x.obj", names), ("a.mtl b.mtl", vec![]), ("a.mtl", vec![]), ("c.mtl", vec![])];
    let bundle = bundle(&files, &Bounds::default());
    assert_eq!(members(&bundle), ["a.mtl b.mtl", "c.mtl"]);
    assert_eq!(missing(&bundle), ["d.mtl"]);
}

#[test]
fn what_is_embedded_need_not_travel_unless_another_needs_it() {
    let embedded = |name: &str| Reference::new("x", name).embedded();
    let names =
        vec![embedded("in.png"), embedded("gone.png"), embedded("both.png"), Reference::new("x", "both.png")];
    let bundle = bundle(&[("a.fbx", names), ("in.png", vec![]), ("both.png", vec![])], &Bounds::default());
    assert_eq!(members(&bundle), ["both.png"]);
    assert_eq!(bundle.embedded.keys().map(ToString::to_string).collect::<Vec<_>>(), ["in.png"]);
    assert!(bundle.missing.is_empty());
}

#[test]
fn a_member_that_cannot_be_read_is_carried_with_a_warning() {
    let files = [("a.obj", to(&["a.mtl"]))];
    let names: Vec<Vec<u8>> = vec![b"a.obj".to_vec(), b"a.mtl".to_vec()];
    let root = Arc::new(Directory::new(names, []));
    let list = |path: &RelPath| path.is_root().then(|| Arc::clone(&root));
    let mut read = |path: &RelPath, _: Format| match path.name() {
        b"a.obj" => Ok(Arc::new(References { names: files[0].1.clone(), warnings: vec![] })),
        _ => Err("permission denied".to_owned()),
    };
    let bundle = gather(&path("a.obj"), &Tree::new(&list), &mut read, &|_| 0, &Bounds::default());
    assert_eq!(members(&bundle), ["a.mtl"]);
    assert_eq!(bundle.warnings, [(path("a.mtl"), "permission denied".to_owned())]);
}

#[test]
fn depth_count_and_bytes_are_bounded_and_told() {
    let chain: Vec<(String, Vec<Reference>)> =
        (0..100).map(|n| (format!("{n}.usda"), to(&[&format!("{}.usda", n + 1)]))).collect();
    let chain: Vec<(&str, Vec<Reference>)> = chain.iter().map(|(name, to)| (&**name, to.clone())).collect();
    let deep = bundle(&chain, &Bounds { depth: 5, ..Bounds::default() });
    assert_eq!((deep.needs.len(), deep.warnings.len()), (5, 1));
    let many = bundle(&chain, &Bounds { files: 3, ..Bounds::default() });
    assert_eq!((many.needs.len(), many.warnings.len()), (3, 1));
    let large = bundle(&chain, &Bounds { bytes: 25, ..Bounds::default() });
    assert_eq!((large.needs.len(), large.warnings.len()), (2, 1));
}

#[test]
fn a_uri_of_another_scheme_is_told_and_not_waited_for() {
    let bundle = bundle(&[("a.gltf", to(&["http://x.org/a.png"]))], &Bounds::default());
    assert_eq!(missing(&bundle), ["http://x.org/a.png"]);
    assert!(bundle.is_whole());
}

#[test]
fn a_companion_is_known_by_the_stem_of_the_file_that_implies_it() {
    let implied = Reference::new("cache:data", ".mcx").pattern(Pattern::Beside);
    let files = [("a.fbx", to(&["c.xml"])), ("c.xml", vec![implied]), ("c.mcx", vec![])];
    assert_eq!(members(&bundle(&files, &Bounds::default())), ["c.mcx", "c.xml"]);
}
