//! Every change leads to a hint, and where it cannot, to the hint that anything may have changed.

use std::time::Duration;

use tempfile::TempDir;

use super::super::tests::{rel, rename, tree, write};
use super::*;

fn name() -> MappingName {
    MappingName::new("m")
}

fn start(capacity: usize) -> (TempDir, Watcher, Hints) {
    let (dir, root) = tree();
    let (watcher, hints) = Watcher::start(&[(name(), root)], capacity).unwrap();
    assert_eq!(watcher.watch(&name(), &RelPath::root()), Watched::Yes);
    (dir, watcher, hints)
}

async fn next(hints: &mut Hints) -> Hint {
    tokio::time::timeout(Duration::from_secs(20), hints.recv()).await.expect("no hint came").unwrap()
}

async fn until(hints: &mut Hints, wanted: impl Fn(&Hint) -> bool) -> Hint {
    loop {
        let hint = next(hints).await;
        if wanted(&hint) {
            return hint;
        }
    }
}

fn at(path: &str, signal: Signal) -> Hint {
    Hint::Path { mapping: name(), path: rel(path), signal }
}

#[tokio::test]
async fn a_written_file_is_told_as_closed_and_reading_it_is_not_told() {
    let (dir, _watcher, mut hints) = start(100);
    write(dir.path(), "a.fbx", "x");
    until(&mut hints, |hint| *hint == at("a.fbx", Signal::Closed)).await;
    drop(std::fs::File::open(dir.path().join("a.fbx")).unwrap());
    write(dir.path(), "b.fbx", "x");
    assert_eq!(next(&mut hints).await, at("b.fbx", Signal::Touched));
}

#[tokio::test]
async fn an_atomic_save_is_told_as_closed_at_its_target() {
    let (dir, _watcher, mut hints) = start(100);
    write(dir.path(), "a.tmp", "x");
    rename(&dir.path().join("a.tmp"), &dir.path().join("a.fbx"));
    until(&mut hints, |hint| *hint == at("a.fbx", Signal::Closed)).await;
}

#[tokio::test]
async fn w2_new_nested_directories_are_found_by_watching_before_listing() {
    let (dir, watcher, mut hints) = start(1_000);
    let made: BTreeSet<String> = (0..40).map(|i| format!("t{i}/a/b/f.fbx")).collect();
    for path in &made {
        write(dir.path(), path, "x");
    }
    let mut found = BTreeSet::new();
    while found.len() < made.len() {
        match next(&mut hints).await {
            Hint::Path { path, .. } => drop(found.insert(path.to_string())),
            Hint::Below { path, .. } => {
                let mut pending = vec![path];
                while let Some(here) = pending.pop() {
                    assert_eq!(watcher.watch(&name(), &here), Watched::Yes);
                    for entry in ignore::WalkBuilder::new(dir.path().join(here.as_path()))
                        .max_depth(Some(1))
                        .build()
                        .skip(1)
                    {
                        let entry = entry.unwrap();
                        let path = here.join(entry.file_name().as_encoded_bytes()).unwrap();
                        if entry.path().is_dir() {
                            pending.push(path);
                        } else {
                            found.insert(path.to_string());
                        }
                    }
                }
            }
            Hint::Whole(_) | Hint::Vanished { .. } => {}
        }
        found.retain(|path| made.contains(path));
    }
    assert_eq!(watcher.watches(), 1 + 3 * 40);
    watcher.unwatch_below(&name(), &rel("t1"));
    assert_eq!(watcher.watches(), 1 + 3 * 39);
}

#[tokio::test]
async fn a_directory_moved_in_is_to_be_listed_and_one_moved_out_vanished() {
    let (dir, watcher, mut hints) = start(100);
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "d/a.fbx", "x");
    rename(&outside.path().join("d"), &dir.path().join("d"));
    assert_eq!(next(&mut hints).await, Hint::Below { mapping: name(), path: rel("d") });
    assert_eq!(watcher.watch(&name(), &rel("d")), Watched::Yes);
    rename(&dir.path().join("d"), &outside.path().join("d"));
    until(&mut hints, |hint| *hint == Hint::Vanished { mapping: name(), path: rel("d") }).await;
    assert_eq!(watcher.watches(), 1);
}

#[tokio::test]
async fn lost_events_and_a_lost_root_make_the_whole_mapping_suspect() {
    let (dir, _watcher, mut hints) = start(4);
    for i in 0..200 {
        write(dir.path(), &format!("f{i}.fbx"), "x");
    }
    until(&mut hints, |hint| *hint == Hint::Whole(name())).await;

    let (dir, root) = tree();
    let path = dir.path().join("root");
    std::fs::create_dir(&path).unwrap();
    drop(root);
    let (watcher, mut hints) = Watcher::start(&[(name(), Root::new(path.clone()))], 100).unwrap();
    assert_eq!(watcher.watch(&name(), &RelPath::root()), Watched::Yes);
    std::fs::remove_dir(&path).unwrap();
    until(&mut hints, |hint| *hint == Hint::Whole(name())).await;
}

#[tokio::test]
async fn w1_w12_a_rescan_flag_or_an_error_without_a_path_concerns_every_mapping() {
    let (_dir, watcher, mut hints) = start(100);
    let mut ear = std::mem::ManuallyDrop::new(Ear(Arc::clone(&watcher.places)));
    ear.handle_event(Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    assert_eq!(next(&mut hints).await, Hint::Whole(name()));
    ear.handle_event(Err(notify::Error::generic("as asked")));
    assert_eq!(next(&mut hints).await, Hint::Whole(name()));
}

#[tokio::test]
async fn a_dropped_watcher_ends_the_hints() {
    let (_dir, watcher, mut hints) = start(100);
    drop(watcher);
    assert_eq!(next(&mut hints).await, Hint::Whole(name()));
    let ended = tokio::time::timeout(Duration::from_secs(20), hints.recv()).await.unwrap();
    assert_eq!(ended, None);
}

#[test]
fn a_directory_that_is_not_there_is_not_watched() {
    let (_dir, watcher, _hints) = start(100);
    assert!(matches!(watcher.watch(&name(), &rel("none")), Watched::Failed(_)));
    assert_eq!(
        watcher.watch(&MappingName::new("other"), &rel("x")),
        Watched::Failed("its mapping is not watched".into())
    );
}
