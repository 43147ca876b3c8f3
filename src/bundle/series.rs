//! The slices of one directory, put together by series: which travel together, and which of them leads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Bounds, Bundle, Need};
use crate::file::{Fingerprint, RelPath};
use crate::references::How;
use crate::references::dicom::{Slice, Sliced};

/// A file that may be a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it lies.
    pub path: RelPath,
    /// Its stat when its head was read.
    pub stat: Fingerprint,
    /// What its head tells, or why it could not be read.
    pub head: Result<Arc<Sliced>, String>,
}

impl Candidate {
    /// The slice that it is, if it tells.
    #[must_use]
    pub fn slice(&self) -> Option<&Slice> {
        match self.head.as_deref() {
            Ok(Sliced::Of(slice)) => Some(slice),
            Ok(Sliced::Unknown(_)) | Err(_) => None,
        }
    }

    /// Why nothing is known of its series; none if it is.
    #[must_use]
    pub fn unknown(&self) -> Option<String> {
        match &self.head {
            Ok(head) => match &**head {
                Sliced::Of(_) => None,
                Sliced::Unknown(why) => Some((*why).to_owned()),
            },
            Err(why) => Some(why.clone()),
        }
    }
}

/// A bundle that is known of the directory, sent or about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incumbent {
    /// Its lead.
    pub lead: RelPath,
    /// What it carries.
    pub carries: BTreeSet<RelPath>,
}

/// The slices of one series in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series<'a> {
    /// What all of them name.
    pub uid: &'a str,
    /// The slices, sorted by path; at least one.
    pub slices: Vec<&'a Candidate>,
    /// All candidates of the directory, sorted by path.
    directory: &'a [Candidate],
}

impl<'a> Series<'a> {
    /// The series of the slice at `path`, if that tells one.
    #[must_use]
    pub fn of(path: &RelPath, directory: &'a [Candidate]) -> Option<Self> {
        let uid = &directory.iter().find(|it| it.path == *path)?.slice()?.series;
        let is_of = |it: &&Candidate| it.slice().is_some_and(|slice| slice.series == *uid);
        Some(Self { uid, slices: directory.iter().filter(is_of).collect(), directory })
    }

    /// All series of a directory, whose candidates are sorted by path.
    #[must_use]
    pub fn all(directory: &'a [Candidate]) -> Vec<Self> {
        let mut series: BTreeMap<&str, Self> = BTreeMap::new();
        for it in directory {
            if let Some(slice) = it.slice() {
                let uid = slice.series.as_str();
                let new = || Self { uid, slices: Vec::new(), directory };
                series.entry(uid).or_insert_with(new).slices.push(it);
            }
        }
        series.into_values().collect()
    }

    /// Whether a file is one of its slices.
    #[must_use]
    pub fn holds(&self, path: &RelPath) -> bool {
        self.slices.binary_search_by(|it| it.path.cmp(path)).is_ok()
    }

    /// Which slice leads. The one that led stays the lead, or the series would be another bundle whenever a slice comes before
    /// it; also one that is gone or does not tell its series any more. Else the first by instance number and name.
    #[must_use]
    pub fn lead(&self, known: &[Incumbent]) -> Option<RelPath> {
        let carried =
            |it: &Incumbent| self.slices.iter().filter(|slice| it.carries.contains(&slice.path)).count();
        let is_its =
            |it: &&Incumbent| self.holds(&it.lead) || (!self.is_of_another(&it.lead) && carried(it) > 0);
        // Two of them were one series each until now: the larger goes on.
        let largest = known.iter().filter(is_its).min_by_key(|it| (usize::MAX - carried(it), &it.lead));
        largest.map(|it| it.lead.clone()).or_else(|| self.first())
    }

    /// Whether a file is there and tells that it is of another series.
    fn is_of_another(&self, path: &RelPath) -> bool {
        let at = self.directory.binary_search_by(|it| it.path.cmp(path));
        let it = at.ok().and_then(|at| self.directory.get(at));
        it.and_then(Candidate::slice).is_some_and(|slice| slice.series != self.uid)
    }

    /// The first by instance number and name.
    #[must_use]
    pub fn first(&self) -> Option<RelPath> {
        let number = |it: &Candidate| it.slice().and_then(|slice| slice.number);
        let order = |it: &&&Candidate| (number(it).is_none(), number(it));
        // Of equals the first counts, and they are sorted by path.
        self.slices.iter().min_by_key(order).map(|it| it.path.clone())
    }

    /// What travels with `lead`: the other slices, and what is odd about them.
    #[must_use]
    pub fn bundle(&self, lead: &RelPath, bounds: &Bounds) -> Bundle {
        let mut bundle = Bundle::default();
        let mut bytes: u64 = 0;
        for slice in self.slices.iter().filter(|slice| slice.path != *lead) {
            bytes = bytes.saturating_add(slice.stat.size);
            if bundle.needs.len() >= bounds.files || bytes > bounds.bytes {
                let Bounds { files, bytes, .. } = bounds;
                let what =
                    format!("the series is larger than {files} files or {bytes} bytes; the rest is left out");
                bundle.warnings.push((lead.clone(), what));
                break;
            }
            bundle.needs.insert(slice.path.clone(), self.need(lead));
        }
        bundle.warnings.extend(self.copies());
        bundle
    }

    /// Why a file is a member of this series.
    #[must_use]
    pub fn need(&self, lead: &RelPath) -> Need {
        Need { by: lead.clone(), written: self.uid.as_bytes().to_vec(), kind: KIND, how: How::default() }
    }

    /// Slices that are in the series twice: a copy of a file beside it spoils the volume.
    fn copies(&self) -> Vec<(RelPath, String)> {
        let mut first: HashMap<&str, &RelPath> = HashMap::new();
        let mut copies = Vec::new();
        for it in &self.slices {
            let Some(object) = it.slice().and_then(|slice| slice.object.as_deref()) else { continue };
            match first.get(object) {
                Some(first) if copies.len() < COPIES => {
                    copies.push((it.path.clone(), format!("it is the same slice of its series as {first}")));
                }
                Some(_) => {}
                None => drop(first.insert(object, &it.path)),
            }
        }
        copies
    }
}

/// How many slices that are there twice are told.
const COPIES: usize = 5;

/// Where the name of a series stands.
const KIND: &str = "dicom:SeriesInstanceUID";

/// The lead of each series of a directory.
#[must_use]
pub fn leads(directory: &[Candidate], known: &[Incumbent]) -> HashMap<String, RelPath> {
    let series = Series::all(directory).into_iter();
    series.filter_map(|it| Some((it.uid.to_owned(), it.lead(known)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text.as_bytes()).unwrap()
    }

    fn slice(at: &str, series: &str, number: Option<i64>) -> Candidate {
        let stat =
            Fingerprint { size: 10, mtime: Timestamp::EPOCH, ctime: Timestamp::EPOCH, inode: 1, device: 1 };
        let slice = Slice { series: series.to_owned(), object: Some(at.to_owned()), number };
        Candidate { path: path(at), stat, head: Ok(Arc::new(Sliced::Of(slice))) }
    }

    fn incumbent(lead: &str, carries: &[&str]) -> Incumbent {
        Incumbent { lead: path(lead), carries: carries.iter().map(|it| path(it)).collect() }
    }

    fn lead(of: &str, directory: &[Candidate], known: &[Incumbent]) -> String {
        Series::of(&path(of), directory).unwrap().lead(known).unwrap().to_string()
    }

    #[test]
    fn a_new_series_is_led_by_its_first_slice_by_number_then_by_name() {
        let directory = [slice("a", "1", Some(7)), slice("b", "1", Some(3)), slice("c", "2", Some(1))];
        assert_eq!(lead("a", &directory, &[]), "b");
        let directory = [slice("a", "1", None), slice("b", "1", None), slice("c", "1", Some(9))];
        assert_eq!(lead("b", &directory, &[]), "c", "a slice that tells its number goes first");
        assert_eq!(lead("b", &directory[..2], &[]), "a");
    }

    #[test]
    fn the_slice_that_led_stays_the_lead_also_when_it_is_gone() {
        let directory = [slice("a", "1", Some(1)), slice("b", "1", Some(2)), slice("c", "1", Some(3))];
        assert_eq!(lead("a", &directory, &[incumbent("b", &["c"])]), "b");
        assert_eq!(lead("a", &directory, &[incumbent("gone", &["b", "c"])]), "gone");
        assert_eq!(lead("a", &directory, &[incumbent("gone", &["x"])]), "a", "that was another series");
    }

    #[test]
    fn a_lead_that_became_a_slice_of_another_series_leads_its_old_one_no_more() {
        let directory = [slice("a", "2", None), slice("b", "1", None), slice("c", "1", None)];
        let known = [incumbent("a", &["b", "c"])];
        assert_eq!(leads(&directory, &known)["2"], path("a"));
        assert_eq!(leads(&directory, &known)["1"], path("b"));
    }

    #[test]
    fn of_two_that_became_one_series_the_larger_goes_on() {
        let directory = [slice("a", "1", None), slice("b", "1", None), slice("c", "1", None)];
        assert_eq!(lead("c", &directory, &[incumbent("a", &[]), incumbent("b", &["c"])]), "b");
        assert_eq!(lead("c", &directory, &[incumbent("b", &[]), incumbent("a", &[])]), "a");
    }

    #[test]
    fn a_bundle_is_the_other_slices_up_to_the_bounds_and_tells_of_copies() {
        let mut directory = vec![slice("a", "1", None), slice("b", "1", None), slice("c", "1", None)];
        directory[2].head = directory[1].head.clone();
        let series = Series::of(&path("b"), &directory).unwrap();
        let bundle = series.bundle(&path("b"), &Bounds::default());
        assert_eq!(bundle.needs.keys().map(ToString::to_string).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(bundle.warnings.len(), 1);
        let bundle = series.bundle(&path("b"), &Bounds { files: 1, ..Bounds::default() });
        assert_eq!(bundle.needs.len(), 1);
        assert!(bundle.warnings[0].1.contains("left out"));
    }
}
