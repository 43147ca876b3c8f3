//! Where files of which base name lie, and which leads look for one by its name alone. Kept only for mappings that search
//! everywhere; what is written here is a copy of what the last walk saw, and whoever uses it looks at the disk once more.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::Error;
use super::{Ledger, Reader, tree};
use crate::file::{Key, MappingName, RelPath, folded};

/// The naming of a mapping of which nothing is known, as in the schema.
const USUAL: &str = "base near";

/// How many files of one name are told of.
pub const MOST_NAMESAKES: usize = 64;

/// Base names, and who looks for them.
impl Ledger {
    /// Takes note of how a mapping names parts and how far it searches. Where that is not as it was, every bundle with members
    /// is marked to be looked at; and what `searches` no more forgets the names.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn put_naming(&self, mapping: &MappingName, naming: &str, searches: Searches) -> Result<(), Error> {
        let known = self.read(|db| known_naming(db, mapping))?;
        if known.as_deref().unwrap_or(USUAL) == naming {
            return Ok(());
        }
        self.write(|db, _| {
            let id = tree::mapping(db, mapping)?;
            // A mapping of which nothing is known has no bundle: then nothing is marked.
            db.prepare_cached(
                "UPDATE bundle SET marked = 1 WHERE mapping = ?1
                 AND path IN (SELECT lead FROM reference WHERE mapping = ?1)",
            )?
            .execute([id])?;
            if searches == Searches::Nearby {
                db.prepare_cached("DELETE FROM name WHERE mapping = ?1")?.execute([id])?;
                db.prepare_cached("DELETE FROM sought WHERE mapping = ?1")?.execute([id])?;
            }
            db.prepare_cached(
                "UPDATE mapping SET naming = ?2, indexed = CASE WHEN ?3 THEN indexed ELSE 0 END WHERE id = ?1",
            )?
            .execute(params![id, naming, searches == Searches::Everywhere])?;
            Ok(())
        })
    }

    /// Whether all names of a mapping are known.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn knows_names(&self, mapping: &MappingName) -> Result<bool, Error> {
        self.read(|db| knows_names(db, mapping))
    }

    /// A walk has told all names. Everybody who looked for one before that has to look again; a restart sees to it.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn names_are_known(&self, mapping: &MappingName) -> Result<(), Error> {
        self.write(|db, _| {
            let id = tree::mapping(db, mapping)?;
            db.prepare_cached("UPDATE mapping SET indexed = 1 WHERE id = ?1")?.execute([id])?;
            db.prepare_cached(
                "UPDATE bundle SET marked = 1 WHERE mapping = ?1
                 AND path IN (SELECT lead FROM sought WHERE mapping = ?1)",
            )?
            .execute([id])?;
            Ok(())
        })
    }

    /// Replaces what is known of the names right in some directories, and forgets directories in them that are not there any
    /// more, in one transaction. Writes nothing if all is known already. Returns the leads that look for a name which came or
    /// went; a restart looks at them too.
    ///
    /// What came since a directory was listed may be known already: what was not listed is forgotten only if `is_there` says that
    /// nothing is there that may travel.
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn put_names(
        &self,
        mapping: &MappingName,
        listed: &[Listed],
        is_there: &dyn Fn(&RelPath) -> bool,
    ) -> Result<Vec<Key>, Error> {
        let mut news = Vec::new();
        for it in listed {
            let (known, children) = self.read(|db| match tree::find_mapping(db, mapping)? {
                Some(id) => Ok((names_in(db, id, &it.directory)?, children(db, id, &it.directory)?)),
                None => Ok((BTreeSet::new(), BTreeSet::new())),
            })?;
            let is_gone = |name: &Vec<u8>| it.directory.join(name).is_ok_and(|path| !is_there(&path));
            let mut lost = known.difference(&it.names).cloned().collect::<Vec<_>>();
            lost.retain(is_gone);
            let mut left: Vec<_> = children.into_iter().collect();
            left.retain(|child| it.directories.binary_search(child).is_err() && is_gone(child));
            let new: Vec<_> = it.names.iter().filter(|name| !known.contains(*name)).collect();
            if !new.is_empty() || !lost.is_empty() || !left.is_empty() {
                news.push((&it.directory, new, lost, left));
            }
        }
        if news.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|db, _| {
            let id = tree::mapping(db, mapping)?;
            let mut changed = BTreeSet::new();
            for (directory, new, lost, left) in &news {
                for name in new {
                    insert(db, id, directory, name)?;
                    changed.insert(folded(name));
                }
                for name in lost {
                    remove(db, id, directory, name)?;
                    changed.insert(folded(name));
                }
                for child in left.iter().filter_map(|child| directory.join(child).ok()) {
                    remove_below(db, id, &child, &mut changed)?;
                }
            }
            seekers(db, mapping, id, &changed)
        })
    }

    /// Adds or removes one name. Returns as [`Ledger::put_names`].
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn put_name(&self, file: &Key, lies: Lies) -> Result<Vec<Key>, Error> {
        let (dir, name) = (file.path.parent(), file.path.name());
        let is_known = self.read(|db| {
            let Some(id) = tree::find_mapping(db, &file.mapping)? else { return Ok(false) };
            let mut statement =
                db.prepare_cached("SELECT 1 FROM name WHERE mapping = ?1 AND directory = ?2 AND name = ?3")?;
            Ok(statement.exists(params![id, dir.as_bytes(), name])?)
        })?;
        if is_known == (lies == Lies::There) {
            return Ok(Vec::new());
        }
        self.write(|db, _| {
            let id = tree::mapping(db, &file.mapping)?;
            match lies {
                Lies::There => insert(db, id, &dir, name)?,
                Lies::Nowhere => remove(db, id, &dir, name)?,
            }
            seekers(db, &file.mapping, id, &BTreeSet::from([folded(name)]))
        })
    }

    /// Forgets all names in and below a directory. Returns as [`Ledger::put_names`].
    ///
    /// # Errors
    /// [`Error`] if it cannot be written; nothing is then.
    pub fn drop_names(&self, mapping: &MappingName, dir: &RelPath) -> Result<Vec<Key>, Error> {
        let has_some = self.read(|db| match tree::find_mapping(db, mapping)? {
            Some(id) => Ok(!names_in(db, id, dir)?.is_empty() || !children(db, id, dir)?.is_empty()),
            None => Ok(false),
        })?;
        if !has_some {
            return Ok(Vec::new());
        }
        self.write(|db, _| {
            let id = tree::mapping(db, mapping)?;
            let mut changed = BTreeSet::new();
            remove_below(db, id, dir, &mut changed)?;
            seekers(db, mapping, id, &changed)
        })
    }

    /// The files whose base name is `name`, whatever its case: at most [`MOST_NAMESAKES`], those of this very name first. None
    /// as long as not all names are known.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn named(&self, mapping: &MappingName, name: &[u8]) -> Result<Vec<RelPath>, Error> {
        self.read(|db| named(db, mapping, name))
    }

    /// Replaces the base names that a lead looks for everywhere. Returns whether they were others before: then a name may have
    /// come meanwhile of which nobody has told the lead.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be written.
    pub fn put_sought(&self, lead: &Key, names: &BTreeSet<Vec<u8>>) -> Result<bool, Error> {
        let names: BTreeSet<_> = names.iter().map(|name| folded(name)).collect();
        if self.read(|db| sought(db, lead))? == names {
            return Ok(false);
        }
        self.write(|db, _| put_sought(db, lead, &names))?;
        Ok(true)
    }

    /// Leads that look for some name, in path order: at most `limit` after `after`.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn seekers(
        &self,
        mapping: &MappingName,
        after: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<Key>, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT DISTINCT lead FROM sought WHERE mapping = (SELECT id FROM mapping WHERE name = ?1)
                 AND lead > ?2 ORDER BY lead LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let after = after.map(RelPath::as_bytes).unwrap_or_default();
            tree::paths(statement.query(params![mapping.as_str(), after, limit])?, mapping)
        })
    }
}

/// What others may read of names.
impl Reader {
    /// As [`Ledger::named`].
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be read.
    pub fn named(&self, mapping: &MappingName, name: &[u8]) -> Result<Vec<RelPath>, Error> {
        named(self.connection(), mapping, name)
    }
}

/// What a walk found right in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which directory.
    pub directory: RelPath,
    /// Its files that may travel with a model.
    pub names: BTreeSet<Vec<u8>>,
    /// Its directories, sorted.
    pub directories: Vec<Vec<u8>>,
}

/// How far a mapping searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searches {
    /// Near the model: no name is kept.
    Nearby,
    /// Everywhere.
    Everywhere,
}

/// Whether a file that may travel lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    /// One does.
    There,
    /// None does.
    Nowhere,
}

/// The names that a lead looks for, without regard to case.
pub(super) fn sought(db: &Connection, lead: &Key) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT folded FROM sought WHERE mapping = (SELECT id FROM mapping WHERE name = ?1) AND lead = ?2",
    )?;
    blobs(statement.query(params![lead.mapping.as_str(), lead.path.as_bytes()])?)
}

/// Replaces the names that a lead looks for, which are folded.
pub(super) fn put_sought(db: &Connection, lead: &Key, names: &BTreeSet<Vec<u8>>) -> Result<(), Error> {
    let id = tree::mapping(db, &lead.mapping)?;
    db.prepare_cached("DELETE FROM sought WHERE mapping = ?1 AND lead = ?2")?
        .execute(params![id, lead.path.as_bytes()])?;
    for name in names {
        db.prepare_cached("INSERT INTO sought (mapping, lead, folded) VALUES (?1, ?2, ?3)")?
            .execute(params![id, lead.path.as_bytes(), name])?;
    }
    Ok(())
}

fn known_naming(db: &Connection, mapping: &MappingName) -> Result<Option<String>, Error> {
    let mut statement = db.prepare_cached("SELECT naming FROM mapping WHERE name = ?1")?;
    Ok(statement.query_row([mapping.as_str()], |row| row.get(0)).optional()?)
}

fn knows_names(db: &Connection, mapping: &MappingName) -> Result<bool, Error> {
    let mut statement = db.prepare_cached("SELECT 1 FROM mapping WHERE name = ?1 AND indexed = 1")?;
    Ok(statement.exists([mapping.as_str()])?)
}

fn named(db: &Connection, mapping: &MappingName, name: &[u8]) -> Result<Vec<RelPath>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT directory, name FROM name WHERE folded = ?2
         AND mapping = (SELECT id FROM mapping WHERE name = ?1 AND indexed = 1)
         ORDER BY name <> ?3, directory, name LIMIT ?4",
    )?;
    let most = i64::try_from(MOST_NAMESAKES).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![mapping.as_str(), folded(name), name, most])?;
    let mut paths = Vec::new();
    while let Some(row) = rows.next()? {
        let (dir, name): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        paths.extend(RelPath::from_bytes(&dir).and_then(|dir| dir.join(&name)).ok());
    }
    Ok(paths)
}

fn names_in(db: &Connection, mapping: i64, dir: &RelPath) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut statement = db.prepare_cached("SELECT name FROM name WHERE mapping = ?1 AND directory = ?2")?;
    blobs(statement.query(params![mapping, dir.as_bytes()])?)
}

/// The directories right in `dir` with names in or below them: a seek for each, however many names there are.
fn children(db: &Connection, mapping: i64, dir: &RelPath) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut statement = db.prepare_cached(
        "SELECT directory FROM name WHERE mapping = ?1 AND directory >= ?2 ORDER BY directory LIMIT 1",
    )?;
    let prefix = if dir.is_root() { Vec::new() } else { [dir.as_bytes(), b"/"].concat() };
    let mut children = BTreeSet::new();
    // No component is empty, so this leaves out the directory itself.
    let mut from = [&prefix[..], b"\0"].concat();
    while let Some(found) =
        statement.query_row(params![mapping, from], |row| row.get::<_, Vec<u8>>(0)).optional()?
    {
        let Some(below) = found.strip_prefix(&prefix[..]) else { break };
        match below.iter().position(|byte| *byte == b'/') {
            // Everything below the child begins with it and a slash: past that.
            Some(slash) => {
                children.insert(below[..slash].to_vec());
                from = [&prefix[..], &below[..slash], &[b'/' + 1]].concat();
            }
            None => {
                children.insert(below.to_vec());
                from = [&found[..], b"\0"].concat();
            }
        }
    }
    Ok(children)
}

fn insert(db: &Connection, mapping: i64, dir: &RelPath, name: &[u8]) -> Result<(), Error> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO name (mapping, directory, name, folded) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![mapping, dir.as_bytes(), name, folded(name)])?;
    Ok(())
}

fn remove(db: &Connection, mapping: i64, dir: &RelPath, name: &[u8]) -> Result<(), Error> {
    db.prepare_cached("DELETE FROM name WHERE mapping = ?1 AND directory = ?2 AND name = ?3")?
        .execute(params![mapping, dir.as_bytes(), name])?;
    Ok(())
}

/// Removes the names in and below a directory that somebody looks for into `changed`, and all others without a word.
fn remove_below(
    db: &Connection,
    mapping: i64,
    dir: &RelPath,
    changed: &mut BTreeSet<Vec<u8>>,
) -> Result<(), Error> {
    let (from, to) = tree::below(dir);
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT folded FROM name WHERE mapping = ?1
         AND (directory = ?2 OR (directory >= ?3 AND (?4 IS NULL OR directory < ?4)))
         AND folded IN (SELECT folded FROM sought WHERE mapping = ?1)",
    )?;
    changed.extend(blobs(statement.query(params![mapping, dir.as_bytes(), from, to])?)?);
    db.prepare_cached(
        "DELETE FROM name WHERE mapping = ?1
         AND (directory = ?2 OR (directory >= ?3 AND (?4 IS NULL OR directory < ?4)))",
    )?
    .execute(params![mapping, dir.as_bytes(), from, to])?;
    Ok(())
}

/// The leads that look for one of these names, which are marked to be looked at.
fn seekers(
    db: &Connection,
    mapping: &MappingName,
    id: i64,
    names: &BTreeSet<Vec<u8>>,
) -> Result<Vec<Key>, Error> {
    let mut leads = BTreeSet::new();
    for name in names {
        let mut statement =
            db.prepare_cached("SELECT lead FROM sought WHERE mapping = ?1 AND folded = ?2")?;
        leads.extend(tree::paths(statement.query(params![id, name])?, mapping)?);
    }
    for lead in &leads {
        db.prepare_cached("UPDATE bundle SET marked = 1 WHERE mapping = ?1 AND path = ?2")?
            .execute(params![id, lead.path.as_bytes()])?;
    }
    Ok(leads.into_iter().collect())
}

fn blobs(mut rows: rusqlite::Rows<'_>) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut blobs = BTreeSet::new();
    while let Some(row) = rows.next()? {
        blobs.insert(row.get(0)?);
    }
    Ok(blobs)
}
