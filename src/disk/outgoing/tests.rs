//! Whatever happens to a file while it is sent, its last chunk goes only if all that went is what was announced.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use futures_util::StreamExt as _;
use tempfile::TempDir;

use super::super::tests::{rel, rename, tree, write};
use super::*;

const FULL: usize = 256 << 10;
const SIZE: usize = 5 * FULL / 2;

struct Request {
    dir: TempDir,
    root: Root,
    parts: Vec<Part>,
}

fn bytes_of(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i % 253).unwrap()).collect()
}

fn request(parts: &[(&str, usize)]) -> Request {
    let (dir, root) = tree();
    let parts = parts
        .iter()
        .map(|(name, size)| {
            let bytes = bytes_of(*size);
            write(dir.path(), name, &bytes);
            let hash = ContentHash(*blake3::hash(&bytes).as_bytes());
            let content = Content { hash, size: *size as u64 };
            Part { name: PartName::from_text(name).unwrap(), path: rel(name), content }
        })
        .collect();
    Request { dir, root, parts }
}

impl Request {
    fn open(&self) -> Result<(Vec<OutgoingPart>, Confirmation), Error> {
        outgoing(&self.root, &self.parts, Arc::new(|_| {})).map(Outgoing::into_streams)
    }

    /// Takes everything as a request does, and meddles just before the chunk of this number is asked for.
    async fn send(&self, at: usize, meddle: impl Fn(&Path)) -> (u64, Result<(), String>, Sent) {
        let (parts, confirmation) = self.open().unwrap();
        let (mut taken, mut asked) = (0, 0);
        for mut part in parts {
            loop {
                if asked == at {
                    meddle(self.dir.path());
                }
                asked += 1;
                match part.bytes.next().await {
                    None => break,
                    Some(Ok(chunk)) => taken += chunk.len() as u64,
                    Some(Err(error)) => return (taken, Err(error.to_string()), confirmation.outcome()),
                }
            }
        }
        (taken, Ok(()), confirmation.outcome())
    }

    fn announced(&self) -> u64 {
        self.parts.iter().map(|part| part.content.size).sum()
    }
}

fn writable(path: &Path) -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open(path).unwrap()
}

#[tokio::test]
async fn an_unchanged_file_is_sent_whole() {
    for size in [0, 1, FULL, SIZE] {
        let request = request(&[("a.fbx", size)]);
        let counted = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&counted);
        let sent = Arc::new(move |bytes| {
            counter.fetch_add(bytes, Ordering::Relaxed);
        });
        let (parts, confirmation) = outgoing(&request.root, &request.parts, sent).unwrap().into_streams();
        assert_eq!(confirmation.outcome(), Sent::Partial { bytes: 0 });
        let mut got = Vec::new();
        for mut part in parts {
            assert_eq!(part.length, size as u64);
            while let Some(chunk) = part.bytes.next().await {
                got.extend_from_slice(&chunk.unwrap());
            }
        }
        assert!(got == bytes_of(size));
        assert_eq!(counted.load(Ordering::Relaxed), size as u64);
        assert_eq!(confirmation.outcome(), Sent::Whole);
    }
}

#[tokio::test]
async fn a_changed_file_never_lets_its_last_chunk_go() {
    type Meddle = fn(&Path);
    let truncate: Meddle = |dir| writable(&dir.join("a.fbx")).set_len(1).unwrap();
    let grow: Meddle = |dir| writable(&dir.join("a.fbx")).set_len(SIZE as u64 + 1).unwrap();
    let rewrite: Meddle = |dir| writable(&dir.join("a.fbx")).write_all_at(b"!", SIZE as u64 - 1).unwrap();
    let touch: Meddle =
        |dir| filetime::set_file_mtime(dir.join("a.fbx"), filetime::FileTime::from_unix_time(1, 0)).unwrap();
    for (what, meddle) in [("truncate", truncate), ("grow", grow), ("rewrite", rewrite), ("touch", touch)] {
        // Before the first and the second chunk: the third is the last, and is read while the second is on its way.
        for at in [0, 1] {
            let request = request(&[("a.fbx", SIZE)]);
            let (taken, ended, outcome) = request.send(at, meddle).await;
            assert!(ended.is_err(), "{what} at {at}");
            assert!(taken < request.announced(), "{what} at {at}: {taken}");
            assert_eq!(outcome, Sent::Changed(rel("a.fbx")), "{what} at {at}");
        }
    }
}

#[tokio::test]
async fn a_change_at_any_moment_sends_the_announced_bytes_or_no_end() {
    let announced = bytes_of(SIZE);
    for at in 0..4 {
        for offset in [0, SIZE / 2, SIZE - 1] {
            let request = request(&[("a.fbx", SIZE)]);
            let (parts, confirmation) = request.open().unwrap();
            let mut got = Vec::new();
            let mut asked = 0;
            for mut part in parts {
                loop {
                    if asked == at {
                        let file = writable(&request.dir.path().join("a.fbx"));
                        file.write_all_at(b"!", offset as u64).unwrap();
                    }
                    asked += 1;
                    match part.bytes.next().await {
                        Some(Ok(chunk)) => got.extend_from_slice(&chunk),
                        Some(Err(_)) | None => break,
                    }
                }
            }
            match confirmation.outcome() {
                Sent::Whole => assert!(got == announced),
                Sent::Changed(_) => assert!(got.len() < SIZE),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_first_part_that_changed_breaks_off_the_request_although_the_last_is_well() {
    let request = request(&[("a.png", SIZE), ("b.png", 3), ("c.fbx", SIZE)]);
    // The first part was taken whole; the last is on its way.
    let (taken, ended, outcome) =
        request.send(6, |dir| writable(&dir.join("a.png")).write_all_at(b"!", 7).unwrap()).await;
    assert!(ended.is_err());
    assert!(taken < request.announced());
    assert_eq!(outcome, Sent::Changed(rel("a.png")));
}

#[tokio::test]
async fn a_last_part_without_bytes_confirms_the_request_at_its_end() {
    let request = request(&[("a.bin", SIZE), ("b.fbx", 0)]);
    let (taken, ended, outcome) = request.send(99, |_| {}).await;
    assert_eq!((taken, ended, outcome), (SIZE as u64, Ok(()), Sent::Whole));
    let (_, ended, outcome) =
        request.send(4, |dir| writable(&dir.join("a.bin")).write_all_at(b"!", 0).unwrap()).await;
    assert!(ended.is_err());
    assert_eq!(outcome, Sent::Changed(rel("a.bin")));
}

#[tokio::test]
async fn f5_a_file_replaced_by_another_is_still_sent_as_it_was() {
    let request = request(&[("a.fbx", SIZE)]);
    let (taken, ended, outcome) = request
        .send(1, |dir| {
            write(dir, "new", "other bytes");
            rename(&dir.join("new"), &dir.join("a.fbx"));
        })
        .await;
    assert_eq!((taken, ended, outcome), (SIZE as u64, Ok(()), Sent::Whole));
}

#[tokio::test]
async fn a_file_of_another_length_is_not_even_opened_for_sending() {
    let request = request(&[("a.fbx", 10)]);
    write(request.dir.path(), "a.fbx", "short");
    assert_eq!(request.open().unwrap_err(), Error::Changed { path: rel("a.fbx") });
}

#[tokio::test]
async fn a_request_that_is_dropped_half_way_is_partial() {
    let request = request(&[("a.fbx", SIZE)]);
    let (mut parts, confirmation) = request.open().unwrap();
    assert_eq!(parts[0].bytes.next().await.unwrap().unwrap().len() as u64, CHUNK);
    drop(parts);
    assert_eq!(confirmation.outcome(), Sent::Partial { bytes: CHUNK });
}

#[tokio::test]
async fn parts_taken_out_of_order_never_make_a_whole_request() {
    let request = request(&[("a.bin", 5), ("b.fbx", 5)]);
    let (mut parts, confirmation) = request.open().unwrap();
    assert!(parts[1].bytes.next().await.unwrap().is_err());
    assert!(parts[0].bytes.next().await.unwrap().is_err());
    assert!(matches!(confirmation.outcome(), Sent::Unreadable(_)));
}

#[tokio::test]
async fn f2_f3_f4_a_file_cut_grown_or_rewritten_at_1_50_and_99_percent_never_arrives_whole() {
    const CHUNKS: usize = 100;
    let size = CHUNKS * FULL;
    type Meddle = fn(&Path, u64);
    let truncate: Meddle = |path, size| writable(path).set_len(size / 3).unwrap();
    let grow: Meddle = |path, size| writable(path).set_len(size + 1).unwrap();
    let rewrite: Meddle = |path, _| writable(path).write_all_at(b"!", 0).unwrap();
    // As `touch -r` does: only the bytes tell.
    let hide: Meddle = |path, size| {
        let file = writable(path);
        let mtime = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"!", size - 1).unwrap();
        file.set_modified(mtime).unwrap();
    };
    for (what, meddle) in [("truncate", truncate), ("grow", grow), ("rewrite", rewrite), ("hide", hide)] {
        // Before the last chunk but one: the last is read after that.
        for at in [1, CHUNKS / 2, CHUNKS - 2] {
            let request = request(&[("a.fbx", size)]);
            let (taken, ended, outcome) =
                request.send(at, |dir| meddle(&dir.join("a.fbx"), size as u64)).await;
            assert!(ended.is_err(), "{what} at {at}");
            assert!(taken < request.announced(), "{what} at {at}");
            assert_eq!(outcome, Sent::Changed(rel("a.fbx")), "{what} at {at}");
        }
    }
}

/// A request of as many parts as a volume has slices.
fn large() -> Request {
    let names: Vec<String> = (0..HELD + 2).map(|number| format!("{number:03}.dcm")).collect();
    request(&names.iter().map(|name| (name.as_str(), 10)).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_request_of_many_parts_holds_none_of_their_files_open_before_their_turn() {
    let request = large();
    let (parts, _) = request.open().unwrap();
    assert!(request.parts.len() > HELD && parts.len() == request.parts.len());
    let opened = outgoing(&request.root, &request.parts, Arc::new(|_| {})).unwrap();
    assert!(opened.request.parts.iter().all(|part| part.file.is_none()));
    let (taken, ended, outcome) = request.send(usize::MAX, |_| {}).await;
    assert_eq!((taken, ended, outcome), (request.announced(), Ok(()), Sent::Whole));
}

#[tokio::test]
async fn a_request_of_many_parts_is_broken_off_if_a_file_went_or_was_replaced_before_or_after_its_turn() {
    type Meddle = fn(&Path);
    let remove: Meddle = |dir| rename(&dir.join("005.dcm"), &dir.join("elsewhere"));
    let replace: Meddle = |dir| {
        write(dir, "new", bytes_of(10));
        rename(&dir.join("new"), &dir.join("005.dcm"));
    };
    for meddle in [remove, replace] {
        for at in [0, 100] {
            let request = large();
            let (taken, ended, outcome) = request.send(at, meddle).await;
            assert!(ended.is_err() && taken < request.announced(), "{at}");
            assert_eq!(outcome, Sent::Changed(rel("005.dcm")), "{at}");
        }
    }
}
