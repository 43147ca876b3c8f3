//! Names in a small tree: where each leads, and by which rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::file::folded;

fn path(text: &str) -> RelPath {
    RelPath::from_bytes(text.as_bytes()).unwrap()
}

struct Wood(BTreeMap<RelPath, Arc<Directory>>, Vec<RelPath>);

impl Wood {
    fn named(&self, name: &[u8]) -> Vec<RelPath> {
        self.1.iter().filter(|path| folded(path.name()) == folded(name)).cloned().collect()
    }
}

/// A tree of these files.
fn wood(files: &[&str]) -> Wood {
    let mut tree = BTreeMap::<RelPath, (Vec<_>, Vec<_>)>::new();
    tree.entry(RelPath::root()).or_default();
    for file in files {
        let file = path(file);
        tree.entry(file.parent()).or_default().0.push(file.name().to_vec());
        let mut at = file.parent();
        while !at.is_root() {
            tree.entry(at.parent()).or_default().1.push(at.name().to_vec());
            at = at.parent();
        }
    }
    let all = tree.into_iter().map(|(path, (files, inner))| (path, Arc::new(Directory::new(files, inner))));
    Wood(all.collect(), files.iter().map(|file| path(file)).collect())
}

/// Where a reference leads: the paths and the rules, or what is said of a missing one.
fn leads(wood: &Wood, reference: &Reference, from: &str, lead: &str) -> String {
    let list = |path: &RelPath| wood.0.get(path).cloned();
    let named = |name: &[u8]| wood.named(name);
    let tree = Tree::new(&list).at(b"/studio").knowing(&named, Search::Near);
    match resolve(reference, &path(from), &path(lead), &tree) {
        Resolution::Found(found) => {
            let paths: Vec<String> = found.paths.iter().map(ToString::to_string).collect();
            let words: Vec<&str> = found.how.steps().iter().map(|step| step.word()).collect();
            let mark = if found.how.is_guess() { " guess" } else { "" };
            format!("{} [{}]{mark}", paths.join(" "), words.join(" "))
        }
        Resolution::Missing { likely, .. } => format!("missing: {likely}"),
        Resolution::Elsewhere(scheme) => format!("elsewhere: {scheme}"),
    }
}

fn plain(wood: &Wood, written: &str) -> String {
    leads(wood, &Reference::new("x", written), "props/chair.fbx", "props/chair.fbx")
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let wood = wood(&[
        "props/chair.fbx",
        "props/a b.png",
        "props/tex/Wood.PNG",
        "props/a%20b.png",
        "props/beside.png",
        "shared/s.png",
        "props/chair.fbm/inner.png",
        "props/Textures/t.png",
        "textures/up.png",
        "props/ä.png",
        "props/u\u{308}ber/é.png",
        "props/deep/er/x.png",
        "other/only.png",
    ]);
    for (written, expected) in [
        ("a b.png", "props/a b.png []"),
        ("./tex//Wood.PNG", "props/tex/Wood.PNG []"),
        ("a%20b.png", "props/a%20b.png []"),
        ("tex\\Wood.PNG", "props/tex/Wood.PNG [backslash]"),
        ("tex/wood.png", "props/tex/Wood.PNG [case]"),
        ("TEX%2fwood.png", "props/tex/Wood.PNG [percent case]"),
        ("../shared/s.png", "shared/s.png [dotdot]"),
        ("..\\SHARED\\s.png", "shared/s.png [backslash dotdot case]"),
        ("file:///studio/shared/s.png", "shared/s.png [file-uri rooted]"),
        ("/studio/props/a b.png", "props/a b.png [rooted]"),
        ("file:tex/Wood.PNG", "props/tex/Wood.PNG [file-uri]"),
        (" beside.png ", "props/beside.png [outer-spaces]"),
        ("C:\\art\\beside.png", "props/beside.png [backslash absolute basename] guess"),
        ("/home/me/deep/er/x.png", "props/deep/er/x.png [absolute suffix] guess"),
        ("Q:art/beside.png", "props/beside.png [absolute basename] guess"),
        ("\\\\server\\share\\t.png", "props/Textures/t.png [backslash absolute basename] guess"),
        ("C:/art/inner.png", "props/chair.fbm/inner.png [absolute basename] guess"),
        ("D:/art/up.png", "textures/up.png [absolute basename] guess"),
        ("nowhere/beside.png", "props/beside.png [wrong-dir basename] guess"),
        ("Über/e\u{301}.png", "props/u\u{308}ber/é.png [case]"),
        ("http://x.org/beside.png", "elsewhere: http"),
        ("model://chair/beside.png", "elsewhere: model"),
    ] {
        assert_eq!(plain(&wood, written), expected, "{written}");
    }
    let latin = Reference::new("x", &b"\xe4.png"[..]);
    assert_eq!(leads(&wood, &latin, "props/chair.fbx", "props/chair.fbx"), "props/ä.png [encoding]");
}

#[test]
fn what_is_missing_is_told_with_its_cure() {
    let wood = wood(&["props/chair.fbx", "props/tex/a.png", "shared/s.png", "shared/w.png", "x/W.png"]);
    for (written, cure) in [
        ("b.png", "put the file there"),
        ("C:\\b.png", "it is an absolute path"),
        ("../../../b.png", "it leads out of the root"),
        (
            "s.png",
            "the only file of that name lies elsewhere; refer to it, move it, or set `search = \"mapping\"`: shared/s.png",
        ),
        ("w.png", "a file of that name lies elsewhere; refer to it, or move it: shared/w.png, x/W.png"),
        ("tex", "it is a directory"),
        ("../..", "it leads out of the root"),
        (".", "it is a directory"),
        ("/etc/passwd", "it is an absolute path"),
        ("file://host/etc/passwd", "it is an absolute path"),
        ("tex/a.png/b.png", "put the file there"),
        ("a\0b", "put the file there"),
    ] {
        let told = plain(&wood, written);
        assert!(told.starts_with(&format!("missing: {cure}")), "{written}: {told}");
    }
}

#[test]
fn a_missing_file_beside_a_blender_file_is_no_absolute_path() {
    let wood = wood(&["m/a.blend"]);
    let told = leads(&wood, &Reference::new("blend:image", "//b.png"), "m/a.blend", "m/a.blend");
    assert!(told.starts_with("missing: put the file there"), "{told}");
}

#[test]
fn a_material_library_in_a_directory_of_its_own_is_also_read_from_its_model() {
    let wood = wood(&["m/a.obj", "m/mtl/a.mtl", "m/tex/t.png", "m/bare.png"]);
    let from = |written: &str| leads(&wood, &Reference::new("x", written), "m/mtl/a.mtl", "m/a.obj");
    assert_eq!(from("tex/t.png"), "m/tex/t.png [wrong-dir suffix] guess");
    assert_eq!(from("bare.png"), "m/bare.png [wrong-dir basename] guess");
}

#[test]
fn a_guess_is_never_the_file_that_refers() {
    let wood = wood(&["m/a.usda"]);
    assert!(leads(&wood, &Reference::new("x", "usd/a.usda"), "m/a.usda", "m/a.usda").starts_with("missing"));
    assert_eq!(leads(&wood, &Reference::new("x", "./a.usda"), "m/a.usda", "m/a.usda"), "m/a.usda []");
}

#[test]
fn a_second_name_counts_before_the_first_is_guessed() {
    let wood = wood(&["m/a.fbx", "m/t.png", "m/x/u.png"]);
    let reference = Reference::of_many("x", [b"gone/t.png".to_vec(), b"x\\u.png".to_vec()]).unwrap();
    assert_eq!(
        leads(&wood, &reference, "m/a.fbx", "m/a.fbx"),
        "m/x/u.png [backslash fallback-from-first-path]"
    );
}

#[test]
fn tiles_frames_and_companions_expand_to_what_is_there() {
    let wood = wood(&[
        "m/a.blend",
        "m/t.1001.png",
        "m/t.1012.png",
        "m/t.0999.png",
        "m/f_01.png",
        "m/f_02.png",
        "m/c.xml",
        "m/c.mcx",
        "m/cFrame1.mc",
        "m/cFrame2Tick5.mc",
        "m/x/v.1001.png",
    ]);
    let told = |kind, written: &str, pattern, from: &str| {
        leads(&wood, &Reference::new(kind, written).pattern(pattern), from, "m/a.blend")
    };
    let (blend, cache) = ("m/a.blend", "m/c.xml");
    assert_eq!(
        told("blend:image", "//t.<UDIM>.png", Pattern::Tiles, blend),
        "m/t.1001.png m/t.1012.png [blend-// udim]"
    );
    assert_eq!(
        told("blend:image", "//t.1001.png", Pattern::Tiles, blend),
        "m/t.1001.png m/t.1012.png [blend-// udim]"
    );
    assert_eq!(told("x", "t.1001.png", Pattern::Plain, blend), "m/t.1001.png []");
    assert_eq!(told("x", "X\\v.<UDIM>.png", Pattern::Plain, blend), "m/x/v.1001.png [backslash udim]");
    assert_eq!(told("x", "f_01.png", Pattern::Frames, blend), "m/f_01.png m/f_02.png [sequence]");
    assert_eq!(told("x", ".mcx", Pattern::Beside, cache), "m/c.mcx [implied]");
    assert_eq!(
        told("x", "Frame*.mc", Pattern::BesideFrames, cache),
        "m/cFrame1.mc m/cFrame2Tick5.mc [sequence implied]"
    );
    assert!(told("x", "none.<UDIM>.png", Pattern::Plain, blend).starts_with("missing"));
}

/// What a name leads to from `m/a.fbx` where everything is searched, with what was sent before for it.
fn anywhere(wood: &Wood, written: &str, sent: Option<&str>) -> (String, Resolution) {
    let list = |path: &RelPath| wood.0.get(path).cloned();
    let named = |name: &[u8]| wood.named(name);
    let kept = |name: &[u8]| sent.filter(|_| name == written.as_bytes()).map(path);
    let tree = Tree::new(&list).knowing(&named, Search::Mapping).keeping(&kept);
    let at = path("m/a.fbx");
    let resolution = resolve(&Reference::new("x", written), &at, &at, &tree);
    let told = match &resolution {
        Resolution::Found(found) => {
            let words: Vec<&str> = found.how.steps().iter().map(|step| step.word()).collect();
            assert_eq!(found.paths.len(), 1);
            format!("{} [{}] {}", found.paths[0], words.join(" "), found.how.is_guess())
        }
        Resolution::Missing { likely, .. } => format!("missing: {likely}"),
        Resolution::Elsewhere(_) => String::new(),
    };
    (told, resolution)
}

#[test]
fn anywhere_in_the_mapping_counts_only_if_there_is_one() {
    let wood = wood(&[
        "m/a.fbx",
        "x/one.png",
        "y/two.png",
        "z/two.png",
        "x/Case.png",
        "y/both.png",
        "z/Both.png",
        "far/m/a.fbx",
        "textures/near.png",
        "q/near.png",
    ]);
    for (written, expected) in [
        ("C:/q/one.png", "x/one.png [absolute anywhere] true"),
        ("gone/one.png", "x/one.png [wrong-dir anywhere] true"),
        ("../../x%20/one.png", "x/one.png [percent wrong-dir anywhere] true"),
        ("C:/q/case.png", "x/Case.png [absolute case anywhere] true"),
        ("C:/q/both.png", "y/both.png [absolute anywhere] true"),
        ("C:/q/near.png", "textures/near.png [absolute basename] true"),
        // Nobody means the file that refers by another path.
        ("C:/q/a.fbx", "far/m/a.fbx [absolute anywhere] true"),
    ] {
        assert_eq!(anywhere(&wood, written, None).0, expected, "{written}");
    }
    let (told, resolution) = anywhere(&wood, "C:/q/two.png", None);
    assert_eq!(
        told,
        "missing: several files have that name; refer to one, or put it beside the model: y/two.png, z/two.png"
    );
    let Resolution::Missing { sought, .. } = resolution else { panic!() };
    assert_eq!(sought, [b"two.png".to_vec()]);
    assert!(anywhere(&wood, "C:/q/BOTH.png", None).0.contains("y/both.png, z/Both.png"));
    let (_, Resolution::Missing { sought, .. }) = anywhere(&wood, "C:/q/not%20there.png", None) else {
        panic!()
    };
    assert_eq!(sought, [b"not there.png".to_vec(), b"not%20there.png".to_vec()]);
    let (_, Resolution::Found(found)) = anywhere(&wood, "C:/q/one.png", None) else { panic!() };
    assert_eq!(found.sought, [b"one.png".to_vec()], "a second one is worth a look");
}

#[test]
fn what_was_sent_for_a_name_is_kept_against_guesses_and_not_against_what_the_name_says() {
    let wood = wood(&[
        "m/a.fbx",
        "y/two.png",
        "z/two.png",
        "m/tex/t.png",
        "z/t.png",
        "m/n.png",
        "z/n.png",
        "x/one.png",
    ]);
    for (written, sent, expected) in [
        ("C:/q/two.png", "z/two.png", "z/two.png [kept] true"),
        ("C:/q/n.png", "z/n.png", "z/n.png [kept] true"),
        ("C:/q/n.png", "m/n.png", "m/n.png [absolute basename] true"),
        ("C:/q/one.png", "x/one.png", "x/one.png [absolute anywhere] true"),
        ("tex/t.png", "z/t.png", "m/tex/t.png [] false"),
        ("C:/q/gone.png", "z/t.png", "z/t.png [kept] true"),
    ] {
        assert_eq!(anywhere(&wood, written, Some(sent)).0, expected, "{written} {sent}");
    }
    let (_, Resolution::Found(found)) = anywhere(&wood, "C:/q/two.png", Some("z/two.png")) else { panic!() };
    assert_eq!(found.rivals, [path("y/two.png")]);
    let (_, Resolution::Found(found)) = anywhere(&wood, "C:/q/n.png", Some("z/n.png")) else { panic!() };
    assert_eq!(found.rivals, [path("m/n.png")]);
}

proptest::proptest! {
    #[test]
    fn no_name_panics_or_leads_to_what_is_not_in_the_tree(
        name in "([a-c]|\\.\\.|\\.|/|\\\\|%2f|%|:|C:|file:|//|<UDIM>|#|1001|\\$F|\\x00| |é|\\.png){0,12}",
        tail in proptest::collection::vec(proptest::num::u8::ANY, 0..4),
        blend in proptest::bool::ANY,
    ) {
        let wood = wood(&["a/b/c.png", "a/1001.png", "b.png", "a/b/a.blend", "textures/c.png"]);
        let list = |path: &RelPath| wood.0.get(path).cloned();
        let tree = Tree::new(&list).at(b"/a");
        let at = path("a/b/a.blend");
        for pattern in [Pattern::Plain, Pattern::Tiles, Pattern::Frames, Pattern::Beside, Pattern::BesideFrames] {
            let kind = if blend { "blend:image" } else { "x" };
            let written = [name.as_bytes(), &tail].concat();
            let reference = Reference::new(kind, written).pattern(pattern);
            if let Resolution::Found(found) = resolve(&reference, &at, &at, &tree) {
                proptest::prop_assert!(!found.paths.is_empty());
                proptest::prop_assert!(found.paths.iter().all(|path| wood.1.contains(path)));
            }
        }
    }
}
