//! Which assets may be deleted, by who uses them: only what nothing outside of what is deleted uses, the users first. Pure.

use std::collections::BTreeSet;

use crate::file::entry::Asset;
use crate::file::shown;
use crate::id::{AssetId, SourceFileId};

/// An asset that is to go with its source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The source file that it was made of.
    pub of: SourceFileId,
    /// Which asset.
    pub asset: Asset,
    /// Who uses it.
    pub using: Using,
}

/// Who uses an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Using {
    /// These, and nobody else.
    By(Vec<Asset>),
    /// Nobody knows, for the reason given.
    Untold(String),
    /// There is no such asset (any more).
    Gone,
}

/// An asset that was to go and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The source file that it was made of.
    pub of: SourceFileId,
    /// Which asset.
    pub asset: Asset,
    /// Why, for a person.
    pub why: String,
}

/// How many are named in one sentence.
const NAMED: usize = 3;

impl Kept {
    /// All of them in one sentence; none if there are none.
    #[must_use]
    pub fn told(kept: &[Self]) -> Option<String> {
        let (first, more) = kept.split_at(kept.len().min(NAMED));
        let first: Vec<_> =
            first.iter().map(|it| format!("{} stays: {}", named(&it.asset), it.why)).collect();
        let more = if more.is_empty() { String::new() } else { format!("; {} more stay", more.len()) };
        (!kept.is_empty()).then(|| format!("{}{more}", first.join("; ")))
    }
}

/// What may go, and what stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parting {
    /// What may go, layer after layer: nothing uses the first, only the earlier ones use what comes later. The last layer may hold
    /// assets that use each other in a circle.
    pub layers: Vec<Vec<Candidate>>,
    /// What stays.
    pub kept: Vec<Kept>,
}

/// Parts what may go from what something else uses. What stays keeps what it uses.
#[must_use]
pub fn part(candidates: Vec<Candidate>) -> Parting {
    let mut parting = Parting::default();
    let mut doomed: Vec<Candidate> = candidates;
    doomed.retain(|it| match &it.using {
        Using::Gone => false,
        Using::Untold(why) => {
            parting.kept.push(it.kept(why.clone()));
            false
        }
        Using::By(_) => true,
    });
    loop {
        let ids: BTreeSet<AssetId> = doomed.iter().map(|it| it.asset.id).collect();
        let before = doomed.len();
        doomed.retain(|it| match it.used_by(|user| !ids.contains(&user)) {
            Some(why) => {
                parting.kept.push(it.kept(why));
                false
            }
            None => true,
        });
        if doomed.len() == before {
            break;
        }
    }
    while !doomed.is_empty() {
        let ids: BTreeSet<AssetId> = doomed.iter().map(|it| it.asset.id).collect();
        let (layer, rest): (Vec<_>, Vec<_>) =
            doomed.into_iter().partition(|it| it.used_by(|user| ids.contains(&user)).is_none());
        let is_circle = layer.is_empty();
        doomed = rest;
        parting.layers.push(if is_circle { std::mem::take(&mut doomed) } else { layer });
    }
    parting
}

impl Candidate {
    /// It stays, for a reason.
    #[must_use]
    pub fn kept(&self, why: String) -> Kept {
        Kept { of: self.of, asset: self.asset.clone(), why }
    }

    /// That some of those who use it are among these, in words; none if none is. What uses itself is not used.
    pub fn used_by(&self, is_among: impl Fn(AssetId) -> bool) -> Option<String> {
        let Using::By(users) = &self.using else { return None };
        let users: Vec<_> =
            users.iter().filter(|user| user.id != self.asset.id && is_among(user.id)).collect();
        let (first, more) = users.split_at(users.len().min(NAMED));
        let first: Vec<_> = first.iter().map(|user| named(user)).collect();
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        (!users.is_empty()).then(|| format!("used by {}{more}", first.join(", ")))
    }
}

/// An asset for a person: type, name, id.
fn named(asset: &Asset) -> String {
    let name = if asset.name.is_empty() { String::new() } else { format!(" {}", shown(&asset.name)) };
    format!("{}{name} ({})", shown(&asset.kind), asset.id)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn asset(number: u128) -> Asset {
        let id = AssetId::from_uuid(Uuid::from_u128(number));
        Asset { id, kind: "mesh".to_owned(), name: format!("{number}") }
    }

    fn used(number: u128, by: &[u128]) -> Candidate {
        let using = Using::By(by.iter().map(|user| asset(*user)).collect());
        Candidate { of: SourceFileId::from_uuid(Uuid::from_u128(1)), asset: asset(number), using }
    }

    fn numbers(parting: &Parting) -> (Vec<Vec<String>>, Vec<String>) {
        let names = |layer: &Vec<Candidate>| layer.iter().map(|it| it.asset.name.clone()).collect();
        let layers = parting.layers.iter().map(names).collect();
        (layers, parting.kept.iter().map(|it| it.asset.name.clone()).collect())
    }

    fn text(layers: &[&[&str]]) -> Vec<Vec<String>> {
        layers.iter().map(|layer| layer.iter().map(|it| (*it).to_owned()).collect()).collect()
    }

    #[test]
    fn what_only_uses_each_other_goes_together_the_users_first() {
        // A scene uses a mesh, a material and a texture, and the material uses the texture.
        let parting = part(vec![used(4, &[1, 3]), used(3, &[1]), used(2, &[1]), used(1, &[])]);
        assert_eq!(numbers(&parting), (text(&[&["1"], &["3", "2"], &["4"]]), vec![]));
    }

    #[test]
    fn what_something_else_uses_stays_and_so_does_what_it_uses() {
        // A scene of somebody uses the material 3, which uses the texture 4.
        let parting = part(vec![used(4, &[1, 3]), used(3, &[1, 9]), used(2, &[1]), used(1, &[])]);
        assert_eq!(numbers(&parting), (text(&[&["1"], &["2"]]), vec!["3".into(), "4".into()]));
        assert!(parting.kept[0].why.starts_with("used by mesh 9 ("), "{:?}", parting.kept[0].why);
        assert!(parting.kept[1].why.starts_with("used by mesh 3 ("), "{:?}", parting.kept[1].why);
    }

    #[test]
    fn what_nobody_can_tell_of_stays_with_what_it_uses_and_what_is_gone_is_named_no_more() {
        let untold = Candidate { using: Using::Untold("nobody knows".to_owned()), ..used(1, &[]) };
        let gone = Candidate { using: Using::Gone, ..used(3, &[]) };
        let parting = part(vec![untold, used(2, &[1]), gone, used(4, &[])]);
        assert_eq!(numbers(&parting), (text(&[&["4"]]), vec!["1".into(), "2".into()]));
        assert_eq!(parting.kept[0].why, "nobody knows");
    }

    #[test]
    fn a_circle_goes_as_one_and_what_uses_itself_is_not_used() {
        let parting = part(vec![used(1, &[2]), used(2, &[1, 3]), used(3, &[3])]);
        assert_eq!(numbers(&parting), (text(&[&["3"], &["1", "2"]]), vec![]));
        let outside = part(vec![used(1, &[2]), used(2, &[1, 9])]);
        assert_eq!(numbers(&outside), (text(&[]), vec!["2".into(), "1".into()]));
    }
}
