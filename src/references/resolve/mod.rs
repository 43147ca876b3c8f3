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
    let mut look = Look {
        referring,
        lead,
        tree,
        tried: Vec::new(),
        sought: Vec::new(),
        rivals: Vec::new(),
        outside: false,
        directory: false,
    };
    if let Pattern::Beside | Pattern::BesideFrames = reference.pattern {
        let name = beside(referring, &reference.written);
        let found = look.at(&referring.parent(), &[&name], reference.pattern, Case::Exact);
        return match found {
            Some((paths, how)) => Resolution::Found(Found::at(paths, how.and(Step::Implied))),
            None => look.missing(&name, reference.pattern),
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
    let mut guess = None;
    for sureness in [Sureness::Certain, Sureness::Guess, Sureness::Anywhere] {
        for (index, readings) in paths() {
            let found = match sureness {
                Sureness::Certain => look.certain(readings, reference.pattern),
                Sureness::Guess | Sureness::Anywhere if guess.is_some() => None,
                Sureness::Guess => look.guess(readings, reference.pattern),
                Sureness::Anywhere => look.anywhere(readings, reference.pattern),
            };
            let Some(mut found) = found else { continue };
            if index > 0 {
                found.how = found.how.and(Step::FallbackFromFirstPath);
            }
            match sureness {
                Sureness::Certain => return Resolution::Found(found),
                Sureness::Guess | Sureness::Anywhere => guess = Some(found),
            }
        }
    }
    if let Some(found) = look.kept(reference, guess) {
        return Resolution::Found(found);
    }
    match kinds.into_iter().next() {
        Some(Kind::Elsewhere(scheme)) => Resolution::Elsewhere(scheme),
        // The most literal reading: without what only marks it as relative. A host in a file URI is another machine.
        Some(Kind::Path(readings)) => match readings.first() {
            Some(Reading { path, steps }) if steps.contains(&Step::FileUri) && !path.starts_with(b".") => {
                look.missing(&[b"/", &path[..]].concat(), reference.pattern)
            }
            Some(Reading { path, .. }) => look.missing(path, reference.pattern),
            None => look.missing(&reference.written, reference.pattern),
        },
        None => look.missing(&reference.written, reference.pattern),
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
    Anywhere,
}

/// The components of a path that may be meant by another machine or directory: none if nothing of it can be a name here.
fn names_in(reading: &Reading) -> Option<Vec<&[u8]>> {
    let path = reading::without_volume(&reading.path);
    let is_name = |part: &&[u8]| !matches!(*part, b"" | b"." | b"..") && !part.contains(&0);
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(is_name).collect();
    parts.last().is_some_and(|name| !name.contains(&b'\\')).then_some(parts)
}

/// The rules of a guess.
fn guessed(reading: &Reading, steps: How, step: Step) -> How {
    let why = if reading::is_absolute(&reading.path) { Step::Absolute } else { Step::WrongDir };
    let all = reading.steps.iter().copied().chain([why]).chain(steps.0).chain([step]);
    all.filter(|step| *step != Step::DotDot).fold(How::default(), How::and)
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
    /// The base names that were looked for everywhere.
    sought: Vec<Vec<u8>>,
    /// The files that one of them may mean, if it is not clear which.
    rivals: Vec<RelPath>,
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
                    return Some(Found::at(paths, how));
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
            let Some(parts) = names_in(reading) else { continue };
            for length in (2..=parts.len().min(16)).rev() {
                for directory in &near {
                    let suffix = &parts[parts.len() - length..];
                    if let Some((paths, steps)) = self.other(directory, suffix, pattern) {
                        return Some(Found::at(paths, guessed(reading, steps, Step::Suffix)));
                    }
                }
            }
            // A relative path is not foreign: it is only looked for beside the files that it was meant for.
            let absolute = reading::is_absolute(&reading.path);
            let places = if absolute { self.places(&near) } else { near.clone() };
            for directory in &places {
                let name = &parts[parts.len() - 1..];
                if let Some((paths, steps)) = self.other(directory, name, pattern) {
                    return Some(Found::at(paths, guessed(reading, steps, Step::Basename)));
                }
            }
        }
        None
    }

    /// The only file of that name in the mapping: by the very name, else by one whose case differs.
    fn anywhere(&mut self, readings: &[Reading], pattern: Pattern) -> Option<Found> {
        if self.tree.search() != Search::Mapping || pattern != Pattern::Plain {
            return None;
        }
        for reading in readings.iter().rev() {
            let Some(name) = names_in(reading).and_then(|parts| parts.last().copied()) else { continue };
            if self.sought.iter().any(|sought| sought == name) {
                continue;
            }
            self.sought.push(name.to_vec());
            let all = self.others_named(name);
            let exact: Vec<&RelPath> = all.iter().filter(|path| path.name() == name).collect();
            let (path, steps) = match (&*exact, &*all) {
                ([only], _) => ((*only).clone(), How::default()),
                ([], [only]) => (only.clone(), How::default().and(Step::Case)),
                (_, []) => continue,
                ([..], [..]) => {
                    if self.rivals.is_empty() {
                        self.rivals = all;
                    }
                    continue;
                }
            };
            let (sought, how) = (self.sought.clone(), guessed(reading, steps, Step::Anywhere));
            return Some(Found { paths: vec![path], how, sought, rivals: Vec::new() });
        }
        None
    }

    /// What was sent for a name stays what it means: a guess that now leads elsewhere, or nowhere, is only told.
    fn kept(&self, reference: &Reference, guess: Option<Found>) -> Option<Found> {
        if self.tree.search() != Search::Mapping || reference.pattern != Pattern::Plain {
            return guess;
        }
        let Some(kept) = self.tree.kept(&name_of(reference, self.referring)) else { return guess };
        let mut rivals = match guess {
            Some(guess) if guess.paths == [kept.clone()] => return Some(guess),
            Some(guess) => guess.paths,
            None => self.rivals.clone(),
        };
        rivals.retain(|path| *path != kept);
        let how = How::default().and(Step::Kept);
        Some(Found { paths: vec![kept], how, sought: self.sought.clone(), rivals })
    }

    /// All files of a name but the one that refers and its lead.
    fn others_named(&self, name: &[u8]) -> Vec<RelPath> {
        let mut all = self.tree.named(name);
        all.retain(|path| path != self.referring && path != self.lead);
        all
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

    fn missing(self, written: &[u8], pattern: Pattern) -> Resolution {
        let name = written.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
        let mut elsewhere =
            if self.directory || !self.rivals.is_empty() { Vec::new() } else { self.others_named(name) };
        let likely = if self.directory {
            Cure::NameAFile
        } else if !self.rivals.is_empty() {
            Cure::Choose(self.rivals)
        } else if elsewhere.len() == 1 && self.tree.search() == Search::Near && pattern == Pattern::Plain {
            Cure::Search(elsewhere.remove(0))
        } else if !elsewhere.is_empty() {
            Cure::Move(elsewhere)
        } else if reading::is_windows(written) || reading::is_absolute(written) {
            Cure::ExportRelative
        } else if self.outside {
            Cure::EnlargeMapping
        } else {
            Cure::Deliver
        };
        Resolution::Missing { tried: self.tried, sought: self.sought, likely }
    }
}

#[cfg(test)]
mod tests;
