//! The walk tells all that is admitted, calls what it could not see unknown, and agrees with the answer for one path.

use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Mutex;

use super::super::tests::{permissions_bind, rel, tree, write};
use super::super::{LONGEST_IGNORE_FILE, admits};
use super::*;
use crate::file::MappingName;
use crate::id::FolderId;
use crate::mapping::filter::{Filter, Rules as FilterRules};
use crate::mapping::{Layout, Policy};

fn mapping(root: &Root) -> Mapping {
    let rules = FilterRules { exclude: vec!["build/".into()], ..FilterRules::default() };
    Mapping {
        name: MappingName::new("m"),
        root: root.path().to_owned(),
        folder: FolderId::from_uuid(uuid::Uuid::nil()),
        layout: Layout::Mirror,
        filter: Filter::new(rules).unwrap(),
        policy: Policy::default(),
    }
}

struct Walked {
    report: Report,
    entered: Vec<RelPath>,
    told: Vec<Directory>,
}

impl Walked {
    fn directory(&self, path: &str) -> &Directory {
        self.told.iter().find(|told| told.path == rel(path)).unwrap()
    }

    /// Every admitted path: files and directories.
    fn admitted(&self) -> Vec<RelPath> {
        let mut all = Vec::new();
        for told in &self.told {
            let files = told.files.iter().map(|(name, _)| name);
            all.extend(files.chain(&told.directories).map(|name| told.path.join(name).unwrap()));
        }
        all.sort();
        all
    }
}

fn walk_from(root: &Root, from: &RelPath) -> Result<Walked, Error> {
    let (entered, told) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let report = scan(
        root,
        &mapping(root),
        from,
        2,
        &CancellationToken::new(),
        Visit {
            enter: &|path| lock(&entered).push(path.clone()),
            directory: &|directory| {
                assert!(lock(&entered).contains(&directory.path) || directory.complete != Complete::Yes);
                lock(&told).push(directory);
            },
        },
    )?;
    let mut told = told.into_inner().unwrap();
    told.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Walked { report, entered: entered.into_inner().unwrap(), told })
}

fn walk(root: &Root) -> Walked {
    walk_from(root, &RelPath::root()).unwrap()
}

#[test]
fn every_file_is_told_once_with_the_stat_that_a_look_gives() {
    let (dir, root) = tree();
    for d in 0..20 {
        for f in 0..20 {
            write(dir.path(), &format!("d{d}/e{}/f{f}.fbx", d % 3), "x");
        }
    }
    let walked = walk(&root);
    assert_eq!((walked.report.files, walked.report.directories), (400, 41));
    assert_eq!(walked.entered.len(), 41);
    assert!(walked.report.before.is_same_root(&walked.report.after));
    for told in &walked.told {
        assert_eq!(told.complete, Complete::Yes);
        assert!(told.files.is_sorted_by(|a, b| a.0 < b.0));
        for (name, fingerprint) in &told.files {
            let path = told.path.join(name).unwrap();
            assert_eq!(super::super::stat(&root, &path).unwrap().fingerprint, *fingerprint);
        }
    }
}

#[test]
fn n1_n2_n5_links_and_special_files_are_counted_and_loops_of_links_end() {
    let (dir, root) = tree();
    write(dir.path(), "d/a.fbx", "x");
    symlink("b", dir.path().join("a")).unwrap();
    symlink("a", dir.path().join("b")).unwrap();
    symlink("..", dir.path().join("d/up")).unwrap();
    let fifo = dir.path().join("fifo.fbx");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, 0o644.into(), 0).unwrap();
    let walked = walk(&root);
    assert_eq!(walked.report.files, 1);
    assert_eq!(walked.report.ignored[&IgnoredKind::Link], 3);
    assert_eq!(walked.report.ignored[&IgnoredKind::Special], 1);
}

#[test]
fn w11_a_directory_that_cannot_be_listed_is_incomplete_and_not_empty() {
    let (dir, root) = tree();
    if !permissions_bind(dir.path()) {
        return;
    }
    write(dir.path(), "open/a.fbx", "x");
    write(dir.path(), "shut/a.fbx", "x");
    std::fs::set_permissions(dir.path().join("shut"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let walked = walk(&root);
    std::fs::set_permissions(dir.path().join("shut"), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(walked.directory("shut").complete, Complete::No(Error::Denied { path: rel("shut") }));
    assert_eq!((walked.report.files, walked.report.trouble_count), (1, 1));
}

#[test]
fn n18_an_ignore_file_that_cannot_be_obeyed_leaves_its_directory_unknown() {
    let (dir, root) = tree();
    write(dir.path(), "ok/a.fbx", "x");
    write(dir.path(), "long/.versyncignore", vec![b'\n'; LONGEST_IGNORE_FILE + 1]);
    write(dir.path(), "raw/.versyncignore", b"\xff");
    write(dir.path(), "bad/.versyncignore", "{a");
    write(dir.path(), "link/a.fbx", "x");
    symlink("/dev/null", dir.path().join("link/.versyncignore")).unwrap();
    let walked = walk(&root);
    for name in ["long", "raw", "bad", "link"] {
        write(dir.path(), &format!("{name}/a.fbx"), "x");
        let told = walked.directory(name);
        assert!(matches!(told.complete, Complete::No(Error::IgnoreFile { .. })), "{told:?}");
        assert!(told.files.is_empty());
        let one = admits(&root, &mapping(&root), &rel(format!("{name}/a.fbx")));
        assert!(matches!(one, Err(Error::IgnoreFile { .. })), "{one:?}");
    }
    assert_eq!((walked.report.files, walked.report.trouble_count), (1, 4));
}

#[test]
fn the_walk_and_the_answer_for_one_path_agree_on_nasty_rules() {
    let (dir, root) = tree();
    for path in [
        "a.fbx",
        "b.fbx",
        "keep.fbx",
        "out/a.fbx",
        "out/deep/b.fbx",
        "build/a.fbx",
        "x/build/a.fbx",
        "x/a.fbx",
        "x/y/a.fbx",
        "x/y/keep.fbx",
        "x/y/z/b.fbx",
        "x/*.fbx",
        "x/[q].fbx",
        "out.fbx",
        "x/out",
    ] {
        write(dir.path(), path, "x");
    }
    let sets = [
        ("", ""),
        ("out/\n", ""),
        ("*.fbx\n!keep.fbx\n", "a.fbx\n!b.fbx\n"),
        ("/a.fbx\n", "/y/\n"),
        ("x/**\n", "!y/\n"),
        ("**/y/*\n!**/keep.fbx\n", "out\n"),
        ("\\!x\n#no\n out \nout/**/b.fbx\n", "z\n"),
        ("*\n!*/\n!a.fbx\n", "*\n!keep.fbx\n"),
        ("\u{feff}b.fbx\r\n", "\\*.fbx\n[[]q].fbx\n"),
        ("*\n", "!*\n"),
    ];
    for (outer, inner) in sets {
        write(dir.path(), ".versyncignore", outer);
        write(dir.path(), "x/.versyncignore", inner);
        let admitted = walk(&root).admitted();
        let mut everything = Vec::new();
        for entry in ignore::WalkBuilder::new(dir.path()).standard_filters(false).build().skip(1) {
            everything.push(mapping(&root).relative(entry.unwrap().path()).unwrap());
        }
        assert!(everything.len() > 20);
        for path in everything {
            let one = admits(&root, &mapping(&root), &path).unwrap();
            let walked = admitted.binary_search(&path).is_ok();
            assert_eq!(one == Admission::Admitted, walked, "{path} under {outer:?} and {inner:?}: {one:?}");
        }
        // A walk that starts half-way sees the same.
        match walk_from(&root, &rel("x/y")) {
            Ok(part) => {
                let below = |path: &&RelPath| path.is_below(&rel("x/y")) && **path != rel("x/y");
                assert_eq!(part.admitted(), admitted.iter().filter(below).cloned().collect::<Vec<_>>());
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn n12_a_tree_deeper_than_a_path_may_be_long_is_walked_looked_at_and_judged() {
    let (dir, root) = tree();
    let name = "n".repeat(255);
    let levels = 40;
    let mut here = rustix::fs::open(dir.path(), kernel::LISTING, rustix::fs::Mode::empty()).unwrap();
    let mut path = RelPath::root();
    for _ in 0..levels {
        rustix::fs::mkdirat(&here, &name, 0o755.into()).unwrap();
        here = kernel::open_beneath(here.as_fd(), name.as_bytes(), kernel::LISTING).unwrap();
        path = path.join(name.as_bytes()).unwrap();
    }
    let create = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    drop(rustix::fs::openat(&here, "a.fbx", create, 0o644.into()).unwrap());
    let path = path.join(b"a.fbx").unwrap();
    assert!(path.as_bytes().len() > 10_000);
    let walked = walk(&root);
    assert_eq!((walked.report.files, walked.report.trouble_count), (1, 0));
    assert!(walked.admitted().contains(&path));
    assert_eq!(admits(&root, &mapping(&root), &path), Ok(Admission::Admitted));
    assert_eq!(super::super::stat(&root, &path).unwrap().kind, crate::disk::Kind::File);
}

#[test]
fn a_missing_root_or_start_is_an_error_and_a_cancelled_walk_ends() {
    let (dir, root) = tree();
    write(dir.path(), "a", "x");
    assert!(walk_from(&root, &rel("none")).err().unwrap().is_gone());
    assert_eq!(walk_from(&root, &rel("a")).err(), Some(Error::NotDirectory { path: rel("a") }));
    let away = Root::new(dir.path().join("none"));
    assert!(matches!(walk_from(&away, &RelPath::root()).err(), Some(Error::Offline { .. })));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let visit = Visit { enter: &|_| (), directory: &|_| () };
    let ended = scan(&root, &mapping(&root), &RelPath::root(), 2, &cancel, visit);
    assert_eq!(ended.err(), Some(Error::Cancelled));
}

#[test]
fn a_visitor_that_panics_stops_the_walk_instead_of_hanging_it() {
    let (dir, root) = tree();
    for d in 0..50 {
        write(dir.path(), &format!("d{d}/a.fbx"), "x");
    }
    let panicked = std::panic::catch_unwind(|| {
        let visit = Visit { enter: &|_| (), directory: &|told| assert!(told.path.is_root(), "as asked") };
        scan(&root, &mapping(&root), &RelPath::root(), 2, &CancellationToken::new(), visit)
    });
    assert!(panicked.is_err());
}
