//! A program that holds a file open is seen, and no longer than it does.

use std::process::{Command, Stdio};

use super::super::tests::{rel, tree, write};
use super::*;

fn tick(seconds: u64) -> Tick {
    Tick::new(Duration::from_secs(seconds))
}

#[test]
fn a_file_that_another_program_holds_open_for_writing_is_told_until_it_closes_it() {
    let (dir, root) = tree();
    write(dir.path(), "a.fbx", "bytes");
    write(dir.path(), "b.fbx", "bytes");
    let open = std::fs::File::options().append(true).open(dir.path().join("a.fbx")).unwrap();
    let read = std::fs::File::open(dir.path().join("b.fbx")).unwrap();
    let start = |input, output| Command::new("cat").stdin(input).stdout(output).spawn().unwrap();
    let mut writer = start(Stdio::piped(), Stdio::from(open));
    let mut reader = start(Stdio::from(read), Stdio::null());
    let stat = |path| super::super::stat(&root, &rel(path)).unwrap().fingerprint;

    let writers = Writers::default();
    assert!(writers.hold(&stat("a.fbx"), tick(0), || tick(1)));
    assert!(!writers.hold(&stat("b.fbx"), tick(0), || tick(1)), "who reads is no writer");
    drop(writer.stdin.take());
    writer.wait().unwrap();
    assert!(writers.hold(&stat("a.fbx"), tick(0), || tick(1)), "one look answers all who ask in a moment");
    assert!(!writers.hold(&stat("a.fbx"), tick(0), || tick(2)));
    reader.wait().unwrap();
}

#[test]
fn what_we_hold_open_ourselves_is_not_told() {
    let (dir, root) = tree();
    write(dir.path(), "a.fbx", "bytes");
    let open = std::fs::File::options().append(true).open(dir.path().join("a.fbx")).unwrap();
    let stat = super::super::stat(&root, &rel("a.fbx")).unwrap().fingerprint;
    assert!(!Writers::default().hold(&stat, tick(0), || tick(1)));
    drop(open);
}

/// A thousand files that were read a moment ago do not cost a thousand looks.
#[test]
fn a_look_that_was_taken_while_others_waited_their_turn_answers_them_too() {
    let (dir, root) = tree();
    write(dir.path(), "a.fbx", "bytes");
    let open = std::fs::File::options().append(true).open(dir.path().join("a.fbx")).unwrap();
    let mut writer = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::from(open)).spawn().unwrap();
    let stat = super::super::stat(&root, &rel("a.fbx")).unwrap().fingerprint;
    let writers = Writers::default();
    // It asked at 1, and its turn came at 5; the next asked at 3, before that look.
    assert!(writers.hold(&stat, tick(1), || tick(5)));
    drop(writer.stdin.take());
    writer.wait().unwrap();
    assert!(writers.hold(&stat, tick(3), || tick(5)), "the look at 5 answers who asked at 3");
    assert!(!writers.hold(&stat, tick(6), || tick(6)), "and not who asks later");
}
