//! A comparison as text, counts first, or as one object.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Depth, Finding, Found};
use crate::cli::paper::Paper;
use crate::cli::render::{self, Table};
use crate::file::MappingName;

/// How many files of a finding a person is shown.
const SHOWN: usize = 100;

pub(super) fn tell(names: &[MappingName], found: &[Found], depth: Depth, paper: Paper) {
    if paper.is_json() {
        paper.object(&object(names, found, depth));
        return;
    }
    for name in names {
        paper.line(&format!("{name}  {}", render::counts(words(&counts(name, found)))));
    }
    let mut table = Table::default();
    let mut shown: BTreeMap<Finding, usize> = BTreeMap::new();
    for it in found.iter().filter(|it| it.finding != Finding::Same) {
        let count = shown.entry(it.finding).or_default();
        *count += 1;
        if *count <= SHOWN {
            let word = render::spoken(it.finding.word());
            table.row(vec![word, it.mapping.to_string(), it.path.clone(), it.detail.clone()]);
        }
    }
    table.lines().iter().for_each(|line| paper.line(&format!("  {line}")));
    if shown.values().any(|count| *count > SHOWN) {
        paper.line(&format!("  of each, {SHOWN} are shown; --json tells all"));
    }
    if found.iter().all(|it| !it.finding.is_amiss()) {
        paper.line(match depth {
            Depth::Listing => {
                "everything that lies here is in the cloud (bytes there were not compared: --download)"
            }
            Depth::Bytes => "everything that lies here is in the cloud, byte for byte",
        });
    }
}

fn counts(name: &MappingName, found: &[Found]) -> BTreeMap<Finding, u64> {
    let mut counts = BTreeMap::from([(Finding::Same, 0)]);
    for it in found.iter().filter(|it| it.mapping == *name) {
        *counts.entry(it.finding).or_default() += 1;
    }
    counts
}

fn words(counts: &BTreeMap<Finding, u64>) -> impl Iterator<Item = (&'static str, u64)> {
    counts.iter().map(|(finding, count)| (finding.word(), *count))
}

fn object(names: &[MappingName], found: &[Found], depth: Depth) -> Value {
    let mapping = |name: &MappingName| {
        let counts: serde_json::Map<String, Value> =
            words(&counts(name, found)).map(|(word, count)| (word.to_owned(), count.into())).collect();
        json!({ "name": name.as_str(), "counts": counts })
    };
    let findings = found.iter().filter(|it| it.finding != Finding::Same).map(|it| {
        json!({
            "mapping": it.mapping.as_str(),
            "path": it.path,
            "finding": it.finding.word(),
            "detail": it.detail,
            "source_file_id": it.source_file.map(|id| id.to_string()),
        })
    });
    json!({
        "schema_version": render::SCHEMA,
        "downloaded": depth == Depth::Bytes,
        "is_same": found.iter().all(|it| !it.finding.is_amiss()),
        "mappings": names.iter().map(mapping).collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
    })
}
