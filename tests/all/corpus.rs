//! The readers against real files of other people's tools, and against what nobody would write on purpose.
//!
//! The models and the list of what each needs lie beside the repository (`../shared/models`, or where `VERSYNC_MODELS` says).
//! Where they are not, the tests that need them say so and pass.

#![expect(clippy::disallowed_methods, reason = "the corpus is read, and scratch files written, by the tests themselves")]

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
    let root = std::env::var_os("VERSYNC_MODELS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models"),
        PathBuf::from,
    );
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
        self.right += ours.iter().filter(|path| !expected.contains(*path) && !tolerated.contains(*path)).count();
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
        bundles.len(), known.len(), needs.recall(), needs.expected, needs.precision(),
        missing.recall(), missing.expected, missing.precision(),
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
