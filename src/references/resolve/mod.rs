//! A name as written → a file of this tree, and by which rule; or where it was looked for.
//!
//! Never outside the root: a path that climbs out is not followed, and a directory behind a link is not listed by whoever made
//! the [`Tree`]. The rules are tried in the order of their certainty, all that are certain for every name that is given for a
//! file, then those that guess.

mod outcome;
mod pattern;
mod reading;
mod tree;

use crate::file::RelPath;

use super::{Pattern, Reference};
use pattern::Series;
use reading::{Dialect, Kind, Reading};
use tree::Case;

pub use outcome::{Cure, Found, How, Resolution, Step};
pub use tree::{Directory, Search, Tree};

/// A name as a person reads it: what is not UTF-8 is taken for Windows-1252, as most programs of one byte per letter meant it.
#[must_use]
pub fn readable(written: &[u8]) -> String {
    let text = reading::western(written).unwrap_or_else(|| written.to_vec());
    String::from_utf8_lossy(&text).into_owned()
}

/// How many places are remembered that were looked at in vain.
const TRIED: usize = 32;

/// Where `reference`, found in `referring`, leads. `lead` is the model that the bundle is named by: what its own material
/// libraries fail to find is looked for beside it.
#[must_use]
pub fn resolve(reference: &Reference, referring: &RelPath, lead: &RelPath, tree: &Tree<'_>) -> Resolution {
    let mut look = Look { referring, lead, tree, tried: Vec::new(), outside: false, directory: false };
    if let Pattern::Beside | Pattern::BesideFrames = reference.pattern {
        let name = beside(referring, &reference.written);
        let found = look.at(&referring.parent(), &[&name], reference.pattern, Case::Exact);
        return match found {
            Some((paths, how)) => Resolution::Found(Found { paths, how: how.and(Step::Implied) }),
            None => look.missing(&name),
        };
    }
    let dialect = if reference.kind.starts_with("blend:") { Dialect::Blender } else { Dialect::Plain };
    let names = std::iter::once(&reference.written).chain(&reference.alternatives);
    let kinds: Vec<Kind> = names.map(|name| reading::readings(name, dialect)).collect();
    let paths = || {
        kinds.iter().enumerate().filter_map(|(index, kind)| match kind {
            Kind::Path(readings) => Some((index, &**readings)),
            Kind::Elsewhere(_) => None,
        })
    };
    for sureness in [Sureness::Certain, Sureness::Guess] {
        for (index, readings) in paths() {
            let found = match sureness {
                Sureness::Certain => look.certain(readings, reference.pattern),
                Sureness::Guess => look.guess(readings, reference.pattern),
            };
            if let Some(mut found) = found {
                if index > 0 {
                    found.how = found.how.and(Step::FallbackFromFirstPath);
                }
                return Resolution::Found(found);
            }
        }
    }
    match kinds.into_iter().next() {
        Some(Kind::Elsewhere(scheme)) => Resolution::Elsewhere(scheme),
        // The most literal reading: without what only marks it as relative. A host in a file URI is another machine.
        Some(Kind::Path(readings)) => match readings.first() {
            Some(Reading { path, steps }) if steps.contains(&Step::FileUri) && !path.starts_with(b".") => {
                look.missing(&[b"/", &path[..]].concat())
            }
            Some(Reading { path, .. }) => look.missing(path),
            None => look.missing(&reference.written),
        },
        None => look.missing(&reference.written),
    }
}

/// The name that `reference` stands for: as written, or for a companion that is only implied, the one it has to have.
#[must_use]
pub fn name_of(reference: &Reference, referring: &RelPath) -> Vec<u8> {
    match reference.pattern {
        Pattern::Beside | Pattern::BesideFrames => beside(referring, &reference.written),
        Pattern::Plain | Pattern::Tiles | Pattern::Frames => reference.written.clone(),
    }
}

#[derive(Clone, Copy)]
enum Sureness {
    Certain,
    Guess,
}

/// The name of a companion: the referring file's stem, and what follows it.
fn beside(referring: &RelPath, rest: &[u8]) -> Vec<u8> {
    let name = referring.name();
    let stem = name.iter().rposition(|byte| *byte == b'.').map_or(name, |dot| &name[..dot]);
    [stem, rest].concat()
}

struct Look<'a, 't> {
    referring: &'a RelPath,
    lead: &'a RelPath,
    tree: &'a Tree<'t>,
    tried: Vec<RelPath>,
    outside: bool,
    directory: bool,
}

impl Look<'_, '_> {
    /// By what the path says.
    fn certain(&mut self, readings: &[Reading], pattern: Pattern) -> Option<Found> {
        for case in [Case::Exact, Case::Folded] {
            for reading in readings {
                let Some((components, extra)) = self.components(&reading.path) else { continue };
                let components: Vec<&[u8]> = components.iter().map(Vec::as_slice).collect();
                if let Some((paths, how)) = self.at(&RelPath::root(), &components, pattern, case) {
                    let steps = reading.steps.iter().copied().chain(extra).chain(how.0);
                    let how = steps.fold(How::default(), How::and);
                    return Some(Found { paths, how });
                }
            }
        }
        None
    }

    /// The components below the root of a path as the referring file means it, unless it leads out.
    fn components(&mut self, path: &[u8]) -> Option<(Vec<Vec<u8>>, Option<Step>)> {
        let absolute = reading::is_absolute(path);
        let (mut components, rest, mut step): (Vec<Vec<u8>>, _, _) = if absolute {
            let root = self.tree.root()?;
            let below = path.strip_prefix(root).filter(|rest| rest.starts_with(b"/"))?;
            (Vec::new(), below, Some(Step::Rooted))
        } else {
            (self.referring.parent().components().map(<[u8]>::to_vec).collect(), path, None)
        };
        for component in rest.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => {
                    step = step.or(Some(Step::DotDot));
                    if components.pop().is_none() {
                        self.outside = true;
                        return None;
                    }
                }
                plain if plain.contains(&0) => return None,
                plain => components.push(plain.to_vec()),
            }
        }
        (!components.is_empty()).then_some((components, step))
    }

    /// By convention: an absolute path of another machine, or a directory that is not here.
    fn guess(&mut self, readings: &[Reading], pattern: Pattern) -> Option<Found> {
        let mut near = vec![self.referring.parent()];
        if !near.contains(&self.lead.parent()) {
            near.push(self.lead.parent());
        }
        // The last reading is the most decoded one, the first the most literal.
        for reading in readings.iter().rev() {
            let absolute = reading::is_absolute(&reading.path);
            let path = reading::without_volume(&reading.path);
            let parts: Vec<&[u8]> = path
                .split(|byte| *byte == b'/')
                .filter(|part| !matches!(*part, b"" | b"." | b"..") && !part.contains(&0))
                .collect();
            let Some(name) = parts.last().copied() else { continue };
            if name.contains(&b'\\') {
                continue;
            }
            let why = if absolute { Step::Absolute } else { Step::WrongDir };
            let how = |steps: How, step: Step| {
                let all = reading.steps.iter().copied().chain([why]).chain(steps.0).chain([step]);
                all.filter(|step| *step != Step::DotDot).fold(How::default(), How::and)
            };
            for length in (2..=parts.len().min(16)).rev() {
                for directory in &near {
                    let suffix = &parts[parts.len() - length..];
                    if let Some((paths, steps)) = self.other(directory, suffix, pattern) {
                        return Some(Found { paths, how: how(steps, Step::Suffix) });
                    }
                }
            }
            // A relative path is not foreign: it is only looked for beside the files that it was meant for.
            let places = if absolute { self.places(&near) } else { near.clone() };
            for directory in &places {
                if let Some((paths, steps)) = self.other(directory, &[name], pattern) {
                    return Some(Found { paths, how: how(steps, Step::Basename) });
                }
            }
            if self.tree.search() == Search::Mapping
                && pattern == Pattern::Plain
                && let [only] = &*self.tree.named(name)
            {
                return Some(Found { paths: vec![only.clone()], how: how(How::default(), Step::Anywhere) });
            }
        }
        None
    }

    /// As [`Look::at`], without regard to case, and never the file that refers or its lead: nobody means those by another path.
    fn other(
        &mut self,
        from: &RelPath,
        components: &[&[u8]],
        pattern: Pattern,
    ) -> Option<(Vec<RelPath>, How)> {
        let found = self.at(from, components, pattern, Case::Folded);
        found.filter(|(paths, _)| !paths.contains(self.referring) && !paths.contains(self.lead))
    }

    /// Where files lie by convention: beside the model, `textures/`, `<stem>.fbm/`, and `textures/` of its ancestors.
    fn places(&self, near: &[RelPath]) -> Vec<RelPath> {
        let mut places = near.to_vec();
        let mut add = |directory: &RelPath, name: &[u8]| {
            let place = self.tree.directory(directory, &[name], Case::Folded);
            places.extend(place.filter(|place| !place.is_root()));
        };
        for directory in near {
            add(directory, b"textures");
        }
        for file in [self.referring, self.lead] {
            add(&file.parent(), &beside(file, b".fbm"));
        }
        for directory in near {
            let mut at = directory.clone();
            while !at.is_root() {
                at = at.parent();
                add(&at, b"textures");
            }
        }
        places
    }

    /// The file, or the files of the series, at `components` below `from`.
    fn at(
        &mut self,
        from: &RelPath,
        components: &[&[u8]],
        pattern: Pattern,
        case: Case,
    ) -> Option<(Vec<RelPath>, How)> {
        let (name, directories) = components.split_last()?;
        let series = Series::of(name, pattern);
        if (series.is_none() || pattern == Pattern::Plain)
            && let Some(path) = self.tree.file(from, components, case)
        {
            let plain = self.tree.directory(from, components, Case::Exact);
            let how = How::default();
            let differs = case == Case::Folded && plain.as_ref() != Some(&path);
            return Some((vec![path], if differs { how.and(Step::Case) } else { how }));
        }
        let directory = self.tree.directory(from, directories, case);
        if let Some(path) = directory.as_ref().and_then(|directory| directory.join(name).ok()) {
            let listing = directory.as_ref().and_then(|directory| self.tree.list(directory));
            self.directory |= listing.is_some_and(|listing| listing.has_directory(name));
            if self.tried.len() < TRIED && !self.tried.contains(&path) {
                self.tried.push(path);
            }
        }
        let (series, directory) = (series?, directory?);
        let listing = self.tree.list(&directory)?;
        let files = listing.files().filter(|file| series.holds(file));
        let paths: Vec<RelPath> = files.filter_map(|file| directory.join(file).ok()).collect();
        let step = match pattern {
            Pattern::Frames | Pattern::BesideFrames => Step::Sequence,
            Pattern::Plain | Pattern::Tiles | Pattern::Beside => Step::Udim,
        };
        (!paths.is_empty()).then_some((paths, How::default().and(step)))
    }

    fn missing(self, written: &[u8]) -> Resolution {
        let name = written.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
        let elsewhere = self.tree.named(name);
        let likely = if self.directory {
            Cure::NameAFile
        } else if !elsewhere.is_empty() {
            Cure::Move(elsewhere)
        } else if reading::is_windows(written) || reading::is_absolute(written) {
            Cure::ExportRelative
        } else if self.outside {
            Cure::EnlargeMapping
        } else {
            Cure::Deliver
        };
        Resolution::Missing { tried: self.tried, likely }
    }
}

#[cfg(test)]
mod tests;
