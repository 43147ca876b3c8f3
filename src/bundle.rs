//! Which files travel with a lead, and what is missing of them. Pure: what a file names and what a directory holds is asked of
//! whoever calls.
//!
//! A file of a primary format that another one refers to is carried like any member, and stays the lead of its own bundle; that
//! two files name each other makes two bundles, each of which carries the other's lead.

pub mod series;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use crate::file::{RelPath, shown};
use crate::references::{
    Embedded, Format, Found, How, Reference, References, Resolution, Step, Tree, name_of, readable, resolve,
};

/// How far references are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Files on the longest chain from the lead.
    pub depth: usize,
    /// Members, and missing files.
    pub files: usize,
    /// Bytes of all members together.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { depth: 32, files: 10_000, bytes: 1 << 40 }
    }
}

/// What travels with a lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    /// The members, without the lead.
    pub needs: BTreeMap<RelPath, Need>,
    /// What is named and was not found, in the order in which it is named.
    pub missing: Vec<Absent>,
    /// Files that are named although their bytes are in the model already: they need not travel.
    pub embedded: BTreeMap<RelPath, Need>,
    /// The base names that a file is looked for by everywhere: one that comes or goes may change the bundle.
    pub sought: BTreeSet<Vec<u8>>,
    /// Members that further names lead to by convention: each of them is kept as it is.
    pub aliases: Vec<(RelPath, Vec<u8>)>,
    /// Names that could mean another file by now than the one that was sent for them and is kept.
    pub unclear: Vec<String>,
    /// What was odd, with the file it concerns.
    pub warnings: Vec<(RelPath, String)>,
}

/// Why a file is a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The file that names it: the lead, or another member.
    pub by: RelPath,
    /// The name as written there.
    pub written: Vec<u8>,
    /// Where in the format it stands.
    pub kind: &'static str,
    /// By which rules it was found.
    pub how: How,
}

/// A file that is named and was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// The file that names it.
    pub by: RelPath,
    /// The name as written there.
    pub written: Vec<u8>,
    /// Where in the format it stands.
    pub kind: &'static str,
    /// Where it was looked for, and what probably helps; or whose business it is.
    pub resolution: Resolution,
}

impl Bundle {
    /// Every file whose coming, going or changing makes the bundle another one, with the name that leads there: its members,
    /// and wherever something missing was looked for.
    #[must_use]
    pub fn watched(&self) -> Vec<(RelPath, String)> {
        let mut watched: Vec<_> =
            self.needs.iter().map(|(path, need)| (path.clone(), readable(&need.written))).collect();
        watched.extend(self.aliases.iter().map(|(path, written)| (path.clone(), readable(written))));
        for Absent { written, resolution, .. } in &self.missing {
            if let Resolution::Missing { tried, .. } = resolution {
                watched.extend(tried.iter().map(|path| (path.clone(), readable(written))));
            }
        }
        watched
    }

    /// Whether nothing is missing that could ever be found here: a URI of another scheme is not waited for.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.missing.iter().any(|absent| matches!(absent.resolution, Resolution::Missing { .. }))
    }
}

/// Tells what a file names; an error is a reason for a person.
pub type Reading<'a> = dyn FnMut(&RelPath, Format) -> Result<Arc<References>, String> + 'a;

/// Follows the references of `lead`. `size` tells how many bytes a file has.
pub fn gather(
    lead: &RelPath,
    tree: &Tree<'_>,
    read: &mut Reading<'_>,
    size: &dyn Fn(&RelPath) -> u64,
    bounds: &Bounds,
) -> Bundle {
    let mut walk = Walk {
        lead,
        tree,
        bundle: Bundle::default(),
        queue: VecDeque::new(),
        missed: HashSet::new(),
        bytes: 0,
        bounds,
        size,
    };
    let mut followed = BTreeSet::new();
    if let Some(format) = format_of(lead) {
        walk.queue.push_back((lead.clone(), format, 0));
    }
    while let Some((path, format, depth)) = walk.queue.pop_front() {
        if !followed.insert((path.clone(), format)) {
            continue;
        }
        let references = match read(&path, format) {
            Ok(references) => references,
            Err(why) => {
                walk.warn(&path, why);
                continue;
            }
        };
        for warning in &references.warnings {
            walk.warn(&path, warning.clone());
        }
        for reference in &references.names {
            walk.follow(&path, reference, depth);
        }
    }
    let Bundle { needs, embedded, .. } = &mut walk.bundle;
    embedded.retain(|path, _| !needs.contains_key(path));
    walk.bundle
}

fn format_of(path: &RelPath) -> Option<Format> {
    Format::of_extension(&path.extension()?)
}

struct Walk<'a, 't> {
    lead: &'a RelPath,
    tree: &'a Tree<'t>,
    bundle: Bundle,
    queue: VecDeque<(RelPath, Format, usize)>,
    missed: HashSet<(RelPath, Vec<u8>)>,
    bytes: u64,
    bounds: &'a Bounds,
    size: &'a dyn Fn(&RelPath) -> u64,
}

impl Walk<'_, '_> {
    fn follow(&mut self, by: &RelPath, reference: &Reference, depth: usize) {
        let resolution = self.look(by, reference);
        match resolution {
            Resolution::Found(found) => self.take(by, reference, found, depth),
            _ if reference.embedded == Embedded::Yes => {}
            Resolution::Missing { .. } if reference.list.len() > 1 => {
                for item in &reference.list {
                    let item = Reference {
                        written: item.clone(),
                        alternatives: Vec::new(),
                        list: Vec::new(),
                        ..reference.clone()
                    };
                    match self.look(by, &item) {
                        Resolution::Found(found) => {
                            let found = Found { how: found.how.and(Step::MultiMtllib), ..found };
                            self.take(by, &item, found, depth);
                        }
                        resolution => self.miss(by, &item, resolution),
                    }
                }
            }
            resolution => self.miss(by, reference, resolution),
        }
    }

    /// As [`resolve`], taking down what has to be watched for, and what is no longer clear.
    fn look(&mut self, by: &RelPath, reference: &Reference) -> Resolution {
        let resolution = resolve(reference, by, self.lead, self.tree);
        // What is inside already is worth no guess.
        if reference.embedded == Embedded::Yes {
            return resolution;
        }
        let sought: &[Vec<u8>] = match &resolution {
            Resolution::Found(found) => &found.sought,
            Resolution::Missing { sought, .. } => sought,
            Resolution::Elsewhere(_) => &[],
        };
        let room = self.bounds.files.saturating_sub(self.bundle.sought.len());
        self.bundle.sought.extend(sought.iter().take(room).cloned());
        if let Resolution::Found(Found { paths, rivals, .. }) = &resolution
            && let ([kept, ..], [rival, ..]) = (&**paths, &**rivals)
        {
            let written = shown(&readable(&reference.written));
            let others =
                if rivals.len() > 1 { format!(" and {} more", rivals.len() - 1) } else { String::new() };
            let what =
                format!("{written} could mean {rival}{others} by now; {kept} was sent for it and is kept");
            if !self.bundle.unclear.contains(&what) && self.bundle.unclear.len() < WARNINGS {
                self.bundle.unclear.push(what);
            }
        }
        resolution
    }

    fn take(&mut self, by: &RelPath, reference: &Reference, found: Found, depth: usize) {
        for path in found.paths {
            // A file that names itself or its lead needs nothing more.
            if path == *self.lead {
                continue;
            }
            let need = Need {
                by: by.clone(),
                written: name_of(reference, by),
                kind: reference.kind,
                how: found.how.clone(),
            };
            // What is inside already is worth no guess.
            if reference.embedded == Embedded::Yes && found.how.is_guess() {
                continue;
            }
            if reference.embedded == Embedded::Yes {
                self.bundle.embedded.entry(path).or_insert(need);
                continue;
            }
            let is_searched = need.how.steps().iter().any(|step| matches!(step, Step::Anywhere | Step::Kept));
            if let Some(known) = self.bundle.needs.get(&path)
                && is_searched
                && known.written != need.written
                && self.bundle.aliases.len() < self.bounds.files
            {
                let alias = (path.clone(), need.written.clone());
                if !self.bundle.aliases.contains(&alias) {
                    self.bundle.aliases.push(alias);
                }
            }
            if !self.bundle.needs.contains_key(&path) {
                let bytes = self.bytes.saturating_add((self.size)(&path));
                if self.bundle.needs.len() >= self.bounds.files || bytes > self.bounds.bytes {
                    let Bounds { files, bytes, .. } = self.bounds;
                    let what = format!(
                        "the bundle is larger than {files} files or {bytes} bytes; the rest is left out"
                    );
                    self.warn(&self.lead.clone(), what);
                    return;
                }
                self.bytes = bytes;
                self.bundle.needs.insert(path.clone(), need);
            }
            if let Some(format) = reference.expects.or_else(|| format_of(&path)) {
                if depth + 1 >= self.bounds.depth {
                    let what =
                        format!("references are followed over {} files and no further", self.bounds.depth);
                    self.warn(&path, what);
                } else {
                    self.queue.push_back((path, format, depth + 1));
                }
            }
        }
    }

    fn miss(&mut self, by: &RelPath, reference: &Reference, resolution: Resolution) {
        let (written, kind) = (name_of(reference, by), reference.kind);
        if self.bundle.missing.len() < self.bounds.files && self.missed.insert((by.clone(), written.clone()))
        {
            let absent = Absent { by: by.clone(), written, kind, resolution };
            self.bundle.missing.push(absent);
        }
    }

    fn warn(&mut self, path: &RelPath, what: String) {
        let warning = (path.clone(), what);
        if self.bundle.warnings.len() < WARNINGS && !self.bundle.warnings.contains(&warning) {
            self.bundle.warnings.push(warning);
        }
    }
}

/// How many warnings of one bundle are kept.
const WARNINGS: usize = 100;

#[cfg(test)]
mod tests;
