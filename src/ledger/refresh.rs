//! How much a change of files that models share would send anew: found along the reverse index. Knows no limit.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::file::content::Content;
use crate::file::{Key, MappingName, RelPath};
use crate::mapping::Extent;

use super::error::Error;
use super::{Ledger, Reader, tree};

/// What a change of shared files would send anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outdated {
    /// The bundles whose live version holds other bytes of at least one of the files, and what they have with the new ones.
    pub extent: Extent,
    /// Those of the files that are to blame, in the order in which they were asked about.
    pub files: Vec<RelPath>,
}

/// Files with what they hold now, or without where that is not known and any live version counts as another.
type Changed = [(RelPath, Option<Content>)];

impl Ledger {
    /// What would be sent anew because these files have changed: each bundle once, whatever it carries of them.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn outdated(&self, mapping: &MappingName, changed: &Changed) -> Result<Outdated, Error> {
        self.read(|db| outdated(db, mapping, changed))
    }

    /// Whether at least two leads refer to a file.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn has_several_leads(&self, file: &Key) -> Result<bool, Error> {
        self.read(|db| has_several_leads(db, file))
    }

    /// The leads that refer to a path, or to something below it, in path order.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn leads_below(&self, mapping: &MappingName, path: &RelPath) -> Result<Vec<Key>, Error> {
        self.read(|db| {
            let (from, to) = tree::below(path);
            let mut statement = db.prepare_cached(
                "SELECT lead FROM reference
                 WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND member = ?2
                 UNION
                 SELECT lead FROM reference
                 WHERE mapping = (SELECT id FROM mapping WHERE name = ?1)
                 AND member >= ?3 AND (?4 IS NULL OR member < ?4) ORDER BY 1",
            )?;
            tree::paths(statement.query(params![mapping.as_str(), path.as_bytes(), from, to])?, mapping)
        })
    }
}

impl Reader {
    /// As [`Ledger::outdated`].
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn outdated(&self, mapping: &MappingName, changed: &Changed) -> Result<Outdated, Error> {
        outdated(self.connection(), mapping, changed)
    }

    /// As [`Ledger::has_several_leads`].
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn has_several_leads(&self, file: &Key) -> Result<bool, Error> {
        has_several_leads(self.connection(), file)
    }
}

/// From the file to its leads, from each lead to its row: CROSS keeps SQLite from beginning at the bundles. A file may stand
/// in a lead more than once.
const OUTDATED: &str = "
SELECT DISTINCT bundle.id, part.size,
    (SELECT sum(size) FROM part WHERE part.bundle = bundle.id AND part.slot = 'current')
FROM reference CROSS JOIN bundle ON bundle.mapping = reference.mapping AND bundle.path = reference.lead
CROSS JOIN part ON part.bundle = bundle.id AND part.slot = 'current' AND part.path = ?2
WHERE reference.mapping = (SELECT id FROM mapping WHERE name = ?1) AND reference.member = ?2
AND part.hash IS NOT ?3";

fn outdated(db: &Connection, mapping: &MappingName, changed: &Changed) -> Result<Outdated, Error> {
    let mut bundles: HashMap<i64, u64> = HashMap::new();
    let mut files = Vec::new();
    for (path, content) in changed {
        let mut statement = db.prepare_cached(OUTDATED)?;
        let hash = content.map(|content| content.hash.0);
        let mut rows = statement.query(params![mapping.as_str(), path.as_bytes(), hash])?;
        let mut is_to_blame = None;
        while let Some(row) = rows.next()? {
            let number = |column| Ok::<_, Error>(row.get::<_, i64>(column)?.cast_unsigned());
            let (live, all) = (number(1)?, number(2)?);
            let bytes = bundles.entry(row.get(0)?).or_insert(all);
            *bytes = bytes.saturating_sub(live).saturating_add(content.map_or(live, |content| content.size));
            is_to_blame = Some(path.clone());
        }
        files.extend(is_to_blame);
    }
    let bytes = bundles.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
    Ok(Outdated { extent: Extent { models: bundles.len() as u64, bytes }, files })
}

fn has_several_leads(db: &Connection, file: &Key) -> Result<bool, Error> {
    let mut statement = db.prepare_cached(
        "SELECT count(*) FROM (SELECT DISTINCT lead FROM reference
         WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND member = ?2 LIMIT 2)",
    )?;
    let leads: i64 =
        statement.query_row(params![file.mapping.as_str(), file.path.as_bytes()], |row| row.get(0))?;
    Ok(leads >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_of_a_texture_are_found_by_indexes_alone() {
        let mut db = Connection::open_in_memory().unwrap();
        super::super::schema::migrate(&mut db).unwrap();
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {OUTDATED}")).unwrap();
        let steps = statement.query_map(params!["m", b"a.png", [0_u8; 32]], |row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.unwrap().map(Result::unwrap).collect();
        assert!(
            steps.iter().any(|step| step.contains("reference_member (mapping=? AND member=?)")),
            "{steps:#?}"
        );
        assert!(steps.iter().all(|step| !step.contains("SCAN")), "{steps:#?}");
        assert!(
            steps
                .iter()
                .filter(|step| step.contains("SEARCH part"))
                .all(|step| step.contains("bundle=? AND slot=?")),
            "{steps:#?}"
        );
    }
}
