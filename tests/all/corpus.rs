//! The readers against real files of other people's tools, and against what nobody would write on purpose.
//!
//! The models and the list of what each needs lie beside the repository (`../shared/models`, or where `VERSYNC_MODELS` says).
//! Where they are not, the tests that need them say so and pass.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::filetype_is_file,
    reason = "these tests read the corpus, write scratch files, fail by panicking, and print their figures"
)]

mod deps;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use versync::bundle::{Bounds, Bundle, gather};
use versync::file::RelPath;
use versync::references::{self, Directory, Format, Limits, References, Tree};

/// What remains different from the list, each with its reason.
const KNOWN_DIFFERENCES: &[(&str, &str, &str)] = &[
    (MAX_5800, "found too much: props/fbx-lab/textures/tiny_clouds.png", IN_TEXTURES),
    (MAX_5800, "not missed: ..\\..\\tiny_clouds.png", IN_TEXTURES),
    (MAX_6100, "found too much: props/fbx-lab/textures/tiny_clouds.png", IN_TEXTURES),
    (MAX_6100, "not missed: ..\\..\\tiny_clouds.png", IN_TEXTURES),
];
const MAX_5800: &str = "props/fbx-lab/max2009_cube_texture_5800_ascii.fbx";
const MAX_6100: &str = "props/fbx-lab/max2009_cube_texture_6100_ascii.fbx";
const IN_TEXTURES: &str = "the same video has an absolute Windows path, whose base name we look for in textures/ beside the \
                           model and show as a guess; the list looks beside the model only";

struct Corpus {
    root: PathBuf,
    directories: BTreeMap<RelPath, Arc<Directory>>,
    files: BTreeMap<RelPath, u64>,
}

fn corpus() -> Option<Corpus> {
    let root = std::env::var_os("VERSYNC_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models"), PathBuf::from);
    if !root.join("DEPENDENCIES.json").exists() {
        eprintln!("SKIPPED: there is no corpus at {}; set VERSYNC_MODELS to where it lies", root.display());
        return None;
    }
    let mut corpus = Corpus { root, directories: BTreeMap::new(), files: BTreeMap::new() };
    corpus.walk(&RelPath::root());
    Some(corpus)
}

impl Corpus {
    fn walk(&mut self, at: &RelPath) {
        use std::os::unix::ffi::OsStringExt as _;
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(self.root.join(at.as_path())).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_vec();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(name);
            } else if kind.is_file() {
                let size = entry.metadata().unwrap().len();
                self.files.insert(at.join(&name).unwrap(), size);
                files.push(name);
            }
        }
        for name in &directories {
            self.walk(&at.join(name).unwrap());
        }
        self.directories.insert(at.clone(), Arc::new(Directory::new(files, directories)));
    }

    fn bytes(&self, path: &RelPath) -> Vec<u8> {
        std::fs::read(self.root.join(path.as_path())).unwrap()
    }

    /// The files that can be leads and name others.
    fn models(&self) -> impl Iterator<Item = (&RelPath, Format)> {
        self.files.keys().filter_map(|path| {
            let format = Format::of_extension(&path.extension()?)?;
            let is_part = matches!(format, Format::Mtl | Format::MaterialX | Format::GeometryCache);
            (!is_part).then_some((path, format))
        })
    }

    fn bundle(&self, lead: &RelPath, known: &mut BTreeMap<(RelPath, Format), Arc<References>>) -> Bundle {
        let list = |path: &RelPath| self.directories.get(path).cloned();
        let size = |path: &RelPath| self.files.get(path).copied().unwrap_or(0);
        let mut read = |path: &RelPath, format: Format| {
            let key = (path.clone(), format);
            if let Some(references) = known.get(&key) {
                return Ok(Arc::clone(references));
            }
            let mut file = std::fs::File::open(self.root.join(path.as_path())).map_err(|e| e.to_string())?;
            let references = references::read(format, &mut file, &Limits::default());
            let references = Arc::new(references.map_err(|e| e.to_string())?);
            known.insert(key, Arc::clone(&references));
            Ok(references)
        };
        gather(lead, &Tree::new(&list), &mut read, &size, &Bounds::default())
    }
}

#[derive(Default)]
struct Figures {
    expected: usize,
    found: usize,
    right: usize,
}

impl Figures {
    fn add(&mut self, expected: &BTreeSet<String>, tolerated: &BTreeSet<String>, ours: &BTreeSet<String>) {
        self.expected += expected.len();
        self.found += expected.intersection(ours).count();
        self.right +=
            ours.iter().filter(|path| !expected.contains(*path) && !tolerated.contains(*path)).count();
    }

    fn recall(&self) -> f64 {
        100.0 * self.found as f64 / self.expected.max(1) as f64
    }

    /// Of what we told, how much was right.
    fn precision(&self) -> f64 {
        100.0 * self.found as f64 / (self.found + self.right).max(1) as f64
    }
}

fn texts(entry: &Value, key: &str) -> BTreeSet<String> {
    let all = entry[key].as_array().into_iter().flatten();
    all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

#[test]
fn the_corpus_needs_what_its_list_says() {
    let Some(corpus) = corpus() else { return };
    let list: BTreeMap<String, Value> =
        serde_json::from_slice(&std::fs::read(corpus.root.join("DEPENDENCIES.json")).unwrap()).unwrap();
    let start = Instant::now();
    let mut known = BTreeMap::new();
    let bundles: Vec<(String, Bundle)> =
        corpus.models().map(|(path, _)| (path.to_string(), corpus.bundle(path, &mut known))).collect();
    let took = start.elapsed();

    let (mut needs, mut missing) = (Figures::default(), Figures::default());
    let mut differences = Vec::new();
    let mut seen = BTreeSet::new();
    for (model, bundle) in &bundles {
        let entry = list.get(model).cloned().unwrap_or_default();
        seen.insert(model.clone());
        let (expected, optional) = (texts(&entry, "needs"), texts(&entry, "optional"));
        let ours: BTreeSet<String> = bundle.needs.keys().map(ToString::to_string).collect();
        needs.add(&expected, &optional, &ours);
        for path in expected.difference(&ours) {
            differences.push((model.clone(), format!("not found: {path}")));
        }
        for path in ours.difference(&expected).filter(|path| !optional.contains(*path)) {
            differences.push((model.clone(), format!("found too much: {path}")));
        }
        let expected = texts(&entry, "missing");
        let ours: BTreeSet<String> =
            bundle.missing.iter().map(|absent| references::readable(&absent.written)).collect();
        missing.add(&expected, &BTreeSet::new(), &ours);
        for path in expected.difference(&ours) {
            differences.push((model.clone(), format!("not missed: {path}")));
        }
        for path in ours.difference(&expected) {
            differences.push((model.clone(), format!("missed too much: {path}")));
        }
        for (path, warning) in &bundle.warnings {
            eprintln!("warning: {model}: {path}: {warning}");
        }
    }
    for model in list.keys().filter(|model| !seen.contains(*model)) {
        differences.push((model.clone(), "not read at all".to_owned()));
    }
    eprintln!(
        "corpus: {} models, {} files read, in {took:.2?}\n  needs:   recall {:.2} % of {}, precision {:.2} %\n  \
         missing: recall {:.2} % of {}, precision {:.2} %",
        bundles.len(),
        known.len(),
        needs.recall(),
        needs.expected,
        needs.precision(),
        missing.recall(),
        missing.expected,
        missing.precision(),
    );
    let mut unexplained = 0;
    for (model, what) in &differences {
        let reason = KNOWN_DIFFERENCES.iter().find(|(of, difference, _)| of == model && difference == what);
        unexplained += usize::from(reason.is_none());
        eprintln!("  {model}: {what} ({})", reason.map_or("UNEXPLAINED", |(_, _, why)| why));
    }
    assert!(needs.recall() >= 99.0 && needs.precision() >= 99.0 && missing.recall() >= 97.0);
    assert_eq!(unexplained, 0);
}

/// A row of numbers that is the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let roll = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(roll).unwrap() % bound.max(1)
    }
}

/// Damages a content as transfers, disks and enemies do.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        // Headers and directories are where damage hurts.
        let at = if dice.below(2) == 0 { at.min(dice.below(600)) } else { at };
        match dice.below(9) {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
            2 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
            3 => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0),
            4 => {
                let end = (at + dice.below(400)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            5 => {
                let end = (at + dice.below(2_000)).min(bytes.len());
                let again: Vec<u8> = bytes[at.min(end)..end].repeat(1 + dice.below(20));
                bytes.splice(at..at, again);
            }
            6 => {
                let from = dice.below(other.len());
                let part = other[from..].iter().take(dice.below(4_000)).copied().collect::<Vec<u8>>();
                bytes.splice(at..at, part);
            }
            7 => {
                const MARKS: [&[u8]; 8] = [
                    b"\"",
                    b"@",
                    b"<",
                    b"{",
                    b"\0",
                    b"\xff\xfe",
                    b"../../../../etc/passwd\n",
                    b"\x7f\xff\xff\xff",
                ];
                bytes.splice(at..at, MARKS[dice.below(MARKS.len())].iter().copied());
            }
            _ => bytes.iter_mut().skip(at).take(400).for_each(|byte| {
                *byte = if *byte == 0 { b' ' } else { *byte };
            }),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// The most memory that this process ever held, in bytes, where the system tells.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

#[test]
fn mutated_models_of_every_format_break_nothing() {
    let Some(corpus) = corpus() else { return };
    let cases: u64 =
        std::env::var("VERSYNC_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let first: u64 = std::env::var("VERSYNC_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    // Small files hold as many structures as large ones, and leave time for more cases.
    let all: Vec<(RelPath, Format, Vec<u8>)> = corpus
        .files
        .iter()
        .filter(|(_, size)| (1..300_000).contains(*size))
        .filter_map(|(path, _)| Some((path.clone(), Format::of_extension(&path.extension()?)?)))
        .map(|(path, format)| (path.clone(), format, corpus.bytes(&path)))
        .collect();
    let mut by_format: BTreeMap<Format, Vec<usize>> = BTreeMap::new();
    for (index, (_, format, _)) in all.iter().enumerate() {
        by_format.entry(*format).or_default().push(index);
    }
    let formats: Vec<Format> = by_format.keys().copied().collect();
    let before = peak();
    let mut slowest = (Duration::ZERO, 0);
    for seed in first..first + cases {
        let mut dice = Dice::new(seed);
        let list = &by_format[&formats[dice.below(formats.len())]];
        let (path, format, bytes) = &all[list[dice.below(list.len())]];
        let mut bytes = bytes.clone();
        let other = &all[dice.below(all.len())].2;
        mutate(&mut bytes, other, &mut dice);
        let size = bytes.len();
        // Now and then a file carries the name of another format.
        let format = if dice.below(20) == 0 { formats[dice.below(formats.len())] } else { *format };
        let start = Instant::now();
        let limits = Limits { unpacked: 64 << 20, ..Limits::default() };
        let read = std::panic::catch_unwind(|| references::read(format, &mut Cursor::new(bytes), &limits));
        let took = start.elapsed();
        let found = read.unwrap_or_else(|_| panic!("seed {seed}: {path} as {format:?} panics"));
        let found = found.unwrap_or_else(|error| panic!("seed {seed}: {path}: {error}"));
        let named: usize = found.names.iter().map(|name| name.written.len()).sum();
        assert!(named <= 64 * (size + 1_000), "seed {seed}: {path}: {named} bytes of names");
        assert!(took < Duration::from_secs(20), "seed {seed}: {path} as {format:?} takes {took:?}");
        slowest = slowest.max((took, seed));
    }
    let grown = peak().saturating_sub(before);
    eprintln!(
        "{cases} mutated models; the slowest took {:.2?} (seed {}), memory grew by {grown} bytes",
        slowest.0, slowest.1
    );
    assert!(grown < 1 << 30, "memory grew by {grown} bytes");
}
