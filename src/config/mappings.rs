//! The mappings: each `[[mapping]]` over `[defaults]`, and what they must not do to each other. Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problem::{Findings, Spot};
use super::raw::{Environment, Given, Section};
use super::value;
use crate::file::MappingName;
use crate::id::FolderId;
use crate::mapping::filter::Rules;
use crate::mapping::format::{self, Standing};
use crate::mapping::{
    Adopt, Fate, Filter, Layout, Mapping, OnMissing, PartNames, Policy, Search, Symlinks, Watch,
};

/// Reads every `[[mapping]]`.
pub(super) fn read(
    top: &Section<'_>,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Vec<Mapping> {
    let defaults = top.table("defaults", "defaults", findings);
    defaults.refuse_unknown(findings);
    let Some(tables) = top.tables("mapping", findings) else {
        if top.inside("mapping").is_none() {
            findings.add(
                &Spot::Nowhere,
                "there is no mapping: nothing would be mirrored",
                "write a [[mapping]] with `name`, `path` and `folder`",
            );
        }
        return Vec::new();
    };
    let mut read = Vec::new();
    for table in &tables {
        table.refuse_unknown(findings);
        let layered = Layered { table, defaults: &defaults };
        let name = name(table, findings);
        let root = root(table, environment, findings);
        let folder = folder(table, findings);
        let layout =
            layered.word("layout", &[("mirror", Layout::Mirror), ("flat", Layout::Flat)], &[], findings);
        let filter = filter(&layered, findings);
        let policy = policy(&layered, findings);
        read.push(Partial { table, name, root, folder, layout: layout.unwrap_or_default(), filter, policy });
    }
    refuse_conflicts(&read, findings);
    read.into_iter().filter_map(Partial::complete).collect()
}

/// What could be read of one mapping.
struct Partial<'s, 'a> {
    table: &'s Section<'a>,
    name: Option<String>,
    root: Option<PathBuf>,
    folder: Option<FolderId>,
    layout: Layout,
    filter: Option<Filter>,
    policy: Policy,
}

impl Partial<'_, '_> {
    fn complete(self) -> Option<Mapping> {
        Some(Mapping {
            name: MappingName::new(&self.name?),
            root: self.root?,
            folder: self.folder?,
            layout: self.layout,
            filter: self.filter?,
            policy: self.policy,
        })
    }

    fn title(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| "another mapping".to_owned(), |name| format!("the mapping `{name}`"))
    }
}

/// One mapping's table over `[defaults]`. A flag or an environment variable stands above both, for every mapping.
struct Layered<'s, 'a> {
    table: &'s Section<'a>,
    defaults: &'s Section<'a>,
}

impl<'a> Layered<'_, 'a> {
    fn get(&self, key: &str, findings: &mut Findings<'_>) -> Option<Given<'a>> {
        let outside = self.defaults.outside(key, findings);
        let given = outside.or_else(|| self.table.inside(key)).or_else(|| self.defaults.inside(key))?;
        findings.remember(&self.table.label_of(key), &given.spot);
        Some(given)
    }

    fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        later: &[&str],
        findings: &mut Findings<'_>,
    ) -> Option<T> {
        self.get(key, findings).and_then(|given| value::word(&given, words, later, findings))
    }

    fn list(&self, key: &str, findings: &mut Findings<'_>) -> Vec<(String, Spot)> {
        self.get(key, findings).and_then(|given| value::list(&given, findings)).unwrap_or_default()
    }
}

/// What a mapping cannot be without.
fn needed<'a>(table: &Section<'a>, key: &str, findings: &mut Findings<'_>) -> Option<Given<'a>> {
    let given = table.get(key, findings);
    if given.is_none() {
        findings.add(&table.spot, format!("a mapping has no `{key}`"), "");
    }
    given
}

fn name(table: &Section<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let given = needed(table, "name", findings)?;
    let name = value::line(&given, findings)?;
    // `name:path` is how a file is named, and on the command line a mapping stands beside paths and flags.
    if name.contains(['/', ':']) || name.starts_with(['-', '.', '~']) || name.chars().count() > 64 {
        given.refuse(
            findings,
            &format!("`{name}` is no name for a mapping"),
            "at most 64 characters, without `/` and `:`, and not beginning with `-`, `.` or `~`",
        );
        return None;
    }
    Some(name)
}

fn root(table: &Section<'_>, environment: &Environment, findings: &mut Findings<'_>) -> Option<PathBuf> {
    let given = needed(table, "path", findings)?;
    let path = value::path(&given, environment, findings)?;
    if path == Path::new("/") {
        given.refuse(findings, "`/` is the whole machine", "name the directory that holds the work");
        return None;
    }
    Some(path)
}

fn folder(table: &Section<'_>, findings: &mut Findings<'_>) -> Option<FolderId> {
    let given = needed(table, "folder", findings)?;
    let text = value::text(&given, findings)?;
    let folder = text.parse().ok();
    if folder.is_none() {
        given.refuse(findings, "no UUID", "copy the id of the folder from the console");
    }
    folder
}

fn filter(layered: &Layered<'_, '_>, findings: &mut Findings<'_>) -> Option<Filter> {
    let mut rules = Rules::default();
    let before = findings.count();
    for (key, patterns) in [("include", &mut rules.include), ("exclude", &mut rules.exclude)] {
        for (pattern, spot) in layered.list(key, findings) {
            // One at a time, so that each bad one is shown in its own place.
            let alone = Rules { exclude: vec![pattern.clone()], ..Rules::default() };
            match Filter::new(alone) {
                Ok(_) => patterns.push(pattern),
                Err(bad) => findings.add(&spot, bad.to_string(), format!("`{key}` takes gitignore patterns")),
            }
        }
    }
    for (extension, spot) in layered.list("formats", findings) {
        let bare = extension.trim_start_matches('.').to_ascii_lowercase();
        match format::standing(&bare) {
            Standing::Lead(_) | Standing::OptIn(_) => {
                rules.formats.insert(bare);
            }
            Standing::Companion => findings.add(
                &spot,
                format!(
                    "failed to read `formats`: `{extension}` travels only with a model that refers to it"
                ),
                "remove it",
            ),
            Standing::Unlisted => findings.add(
                &spot,
                format!("failed to read `formats`: the cloud does not list `{extension}`"),
                "remove it",
            ),
        }
    }
    rules.max_file_size =
        layered.get("max_file_size", findings).and_then(|given| value::size(&given, 1..=1 << 50, findings));
    match Filter::new(rules) {
        Ok(filter) => Some(filter),
        Err(bad) => {
            if findings.count() == before {
                findings.add(&layered.table.spot, bad.to_string(), "");
            }
            None
        }
    }
}

fn policy(layered: &Layered<'_, '_>, findings: &mut Findings<'_>) -> Policy {
    let mut policy = Policy::default();
    let day = 24 * 3600;
    let waits = [
        ("settle", &mut policy.settle, 1, 3600),
        ("settle_max", &mut policy.settle_max, 1, 7 * day),
        ("delete_settle", &mut policy.delete_settle, 1, 7 * day),
        ("rescan_interval", &mut policy.rescan_interval, 10, 30 * day),
        ("bundle_wait", &mut policy.bundle_wait, 0, day),
        ("refresh_wait", &mut policy.refresh_wait, 0, 30 * day),
    ];
    for (key, wait, least, most) in waits {
        let range = Duration::from_millis(least)..=Duration::from_secs(most);
        if let Some(given) = layered.get(key, findings)
            && let Some(duration) = value::duration(&given, range, findings)
        {
            *wait = duration;
        }
    }
    if policy.settle > policy.settle_max {
        let spot = match findings.spot(&layered.table.label_of("settle_max")) {
            Spot::Nowhere => findings.spot(&layered.table.label_of("settle")),
            spot => spot,
        };
        findings.add(&spot, "`settle` is longer than `settle_max`", "");
    }
    let watches = [("auto", Watch::Auto), ("native", Watch::Native), ("poll", Watch::Poll)];
    policy.watch = layered.word("watch", &watches, &[], findings).unwrap_or_default();
    let adopts = [("verify", Adopt::Verify), ("trust", Adopt::Trust), ("never", Adopt::Never)];
    policy.adopt = layered.word("adopt", &adopts, &[], findings).unwrap_or_default();
    let missing = [("warn", OnMissing::Warn), ("hold", OnMissing::Hold)];
    policy.on_missing = layered.word("on_missing", &missing, &[], findings).unwrap_or_default();
    let names = [PartNames::Base, PartNames::Path].map(|names| (names.word(), names));
    policy.part_names = layered.word("part_names", &names, &[], findings).unwrap_or_default();
    let searches = [Search::Near, Search::Mapping].map(|search| (search.word(), search));
    policy.search = layered.word("search", &searches, &[], findings).unwrap_or_default();
    let links = [("skip", Symlinks::Skip)];
    policy.symlinks = layered.word("symlinks", &links, &["follow"], findings).unwrap_or_default();
    let fates = [Fate::Keep, Fate::Archive, Fate::Delete, Fate::DeleteWithAssets];
    let fates = fates.map(|fate| (fate.word(), fate));
    policy.on_change = layered.word("on_change", &fates, &[], findings).unwrap_or_default();
    policy.on_delete = layered.word("on_delete", &fates, &[], findings).unwrap_or_default();
    policy.keep_versions = layered
        .get("keep_versions", findings)
        .and_then(|given| value::count(&given, 0..=1_000, findings))
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_default();
    if let Some(models) = layered
        .get("max_refresh", findings)
        .and_then(|given| value::count(&given, 0..=1_000_000_000, findings))
    {
        policy.max_refresh.models = models as u64;
    }
    if let Some(bytes) =
        layered.get("max_refresh_size", findings).and_then(|given| value::size(&given, 0..=1 << 60, findings))
    {
        policy.max_refresh.bytes = bytes;
    }
    policy
}

/// Names are unique, roots do not overlap, and no two mappings fill one folder in one layout.
fn refuse_conflicts(mappings: &[Partial<'_, '_>], findings: &mut Findings<'_>) {
    for (n, later) in mappings.iter().enumerate() {
        for earlier in &mappings[..n] {
            let spot = |key: &str, findings: &Findings<'_>| findings.spot(&later.table.label_of(key));
            if later.name.is_some() && later.name == earlier.name {
                let spot = spot("name", findings);
                let name = later.name.as_deref().unwrap_or_default();
                findings.add(
                    &spot,
                    format!("two mappings are called `{name}`"),
                    "give each a name of its own",
                );
            }
            if let (Some(one), Some(other)) = (&later.root, &earlier.root)
                && let Some(message) = overlap(&later.title(), one, &earlier.title(), other)
            {
                let spot = spot("path", findings);
                findings.add(&spot, message, "a file must lie below one root only");
            }
            if later.folder.is_some() && later.folder == earlier.folder && later.layout == earlier.layout {
                let spot = spot("folder", findings);
                let message = format!("{} and {} fill the same folder", earlier.title(), later.title());
                findings.add(&spot, message, "give each a folder of its own");
            }
        }
    }
}

/// How two roots overlap, if they do.
pub(super) fn overlap(one: &str, root: &Path, other: &str, other_root: &Path) -> Option<String> {
    if root == other_root {
        Some(format!("{one} and {other} have the same root {}", root.display()))
    } else if value::is_below(root, other_root) {
        Some(format!(
            "the root {} of {one} lies inside the root {} of {other}",
            root.display(),
            other_root.display()
        ))
    } else if value::is_below(other_root, root) {
        Some(format!(
            "the root {} of {other} lies inside the root {} of {one}",
            other_root.display(),
            root.display()
        ))
    } else {
        None
    }
}
