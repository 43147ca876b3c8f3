//! The fault matrix and the tests agree: `docs/fault-matrix.md` names every test that shows a row, and every row that none shows.
//!
//! A test belongs to the rows whose ids its name begins with (`l3_…`, `n1_n2_…`). It reads source text and runs nothing of
//! versync. After a test was added or renamed: `VERSYNC_BLESS=1 cargo test --test all matrix`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The groups of rows, and how many each has.
const GROUPS: [(&str, u32); 11] = [
    ("C", 17),
    ("PW", 4),
    ("L", 13),
    ("W", 16),
    ("F", 20),
    ("N", 18),
    ("H", 27),
    ("A", 17),
    ("X", 6),
    ("G", 10),
    ("O", 12),
];

/// How the last cell of a row begins that no test shows.
const NOT_TESTED: &str = "not tested: ";

#[test]
fn the_document_names_every_test_of_every_row() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fault-matrix.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut tests = Vec::new();
    for root in ["src", "tests/all"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root), &mut tests);
    }
    let (shown, mut wrong) = by_row(&tests);
    let blessed = bless(&text, &shown);
    if std::env::var_os("VERSYNC_BLESS").is_some() && blessed != text {
        fs::write(&path, &blessed).unwrap();
    } else {
        wrong.extend(differences(&text, &blessed));
    }
    wrong.extend(faults_of(&blessed));
    assert!(
        wrong.is_empty(),
        "docs/fault-matrix.md and the tests disagree (VERSYNC_BLESS=1 rewrites the tests in it):\n  {}",
        wrong.join("\n  ")
    );
}

/// All ids, in their order.
fn rows() -> Vec<String> {
    GROUPS.iter().flat_map(|(group, count)| (1..=*count).map(move |n| format!("{group}{n}"))).collect()
}

/// The names of the test functions in a directory and below.
fn collect(directory: &Path, tests: &mut Vec<String>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(tests_of(&fs::read_to_string(&path).unwrap()));
        }
    }
}

fn tests_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next();
            found.extend(name.map(str::to_owned));
            is_test = false;
        }
    }
    found
}

/// The ids that a name begins with: letters of a group, digits, and so again. `x3d_…` is none, `h99_…` is one that does not exist.
fn ids_of(name: &str) -> Vec<String> {
    let is_id = |part: &&str| {
        let letters = part.trim_end_matches(|it: char| it.is_ascii_digit());
        letters.len() < part.len() && GROUPS.iter().any(|(group, _)| group.eq_ignore_ascii_case(letters))
    };
    name.split('_').take_while(is_id).map(str::to_ascii_uppercase).collect()
}

fn by_row(tests: &[String]) -> (BTreeMap<String, BTreeSet<String>>, Vec<String>) {
    let rows = rows();
    let (mut shown, mut wrong) = (BTreeMap::<_, BTreeSet<_>>::new(), Vec::new());
    for test in tests {
        for id in ids_of(test) {
            if !rows.contains(&id) {
                wrong.push(format!("{test}: there is no row {id}"));
            }
            shown.entry(id).or_default().insert(test.clone());
        }
    }
    (shown, wrong)
}

/// The id, the fault and the proof of a line of the table.
fn cells(line: &str) -> Option<[&str; 3]> {
    let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
    let row = [cells.next()?, cells.next()?, cells.next()?];
    let is_row = rows().iter().any(|id| id == row[0]) || !ids_of(&row[0].to_lowercase()).is_empty();
    is_row.then_some(row)
}

/// The document with the tests of today. The texts stay, and the reason of a row that still has no test.
fn bless(text: &str, shown: &BTreeMap<String, BTreeSet<String>>) -> String {
    let line = |line: &str| {
        let Some([id, fault, proof]) = cells(line) else { return line.to_owned() };
        let proof = match shown.get(id) {
            Some(tests) => tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>"),
            None if proof.starts_with(NOT_TESTED) => proof.to_owned(),
            None => NOT_TESTED.to_owned(),
        };
        format!("| {id} | {fault} | {proof} |")
    };
    text.lines().map(|it| line(it) + "\n").collect()
}

fn differences(text: &str, blessed: &str) -> Vec<String> {
    let pairs = text.lines().zip(blessed.lines()).filter(|(is, should)| is != should);
    pairs.map(|(is, should)| format!("it says   {is}\n  should be {should}")).collect()
}

/// Rows that are missing, told twice, out of order, or have neither test nor reason.
fn faults_of(text: &str) -> Vec<String> {
    let told: Vec<[&str; 3]> = text.lines().filter_map(cells).collect();
    let mut wrong = Vec::new();
    if told.iter().map(|[id, ..]| (*id).to_owned()).collect::<Vec<_>>() != rows() {
        let ids: BTreeSet<_> = told.iter().map(|[id, ..]| (*id).to_owned()).collect();
        let missing: Vec<_> = rows().into_iter().filter(|id| !ids.contains(id)).collect();
        wrong.push(format!("each row stands in it once, in order; missing: {missing:?}"));
    }
    for [id, fault, proof] in told {
        if fault.is_empty() {
            wrong.push(format!("{id} does not say what happens"));
        }
        if proof.strip_prefix(NOT_TESTED.trim_end()).is_some_and(|reason| reason.trim().is_empty()) {
            wrong.push(format!("{id} has neither a test nor a reason"));
        }
    }
    wrong
}

/// A rule that cannot fail holds nothing.
mod the_rules_themselves {
    use super::*;

    #[test]
    fn ids_are_read_from_the_front_of_a_name_alone() {
        assert_eq!(ids_of("n1_n2_links_of_c3"), ["N1", "N2"]);
        assert_eq!(ids_of("pw2_a_file"), ["PW2"]);
        assert_eq!(ids_of("x3d_lists_are_alternatives"), [""; 0]);
        assert_eq!(ids_of("a_file"), [""; 0]);
        let (_, wrong) = by_row(&["h99_it".to_owned()]);
        assert_eq!(wrong, ["h99_it: there is no row H99"]);
    }

    #[test]
    fn only_functions_that_are_tests_count() {
        let text = "fn c1_x() {}\n    #[test]\n    fn c2_y() {}\n#[tokio::test(a)]\nasync fn c3_z() {}";
        assert_eq!(tests_of(text), ["c2_y", "c3_z"]);
    }

    #[test]
    fn a_reason_goes_when_a_test_comes_and_a_row_without_either_is_told() {
        let line = "| C1 | killed | not tested: why |\n";
        let (shown, _) = by_row(&["c1_it".to_owned()]);
        assert_eq!(bless(line, &shown), "| C1 | killed | `c1_it` |\n");
        let none = BTreeMap::new();
        assert_eq!(bless(line, &none), line);
        let left = bless("| C1 | killed | `c1_it` |\n", &none);
        assert!(faults_of(&left).contains(&"C1 has neither a test nor a reason".to_owned()), "{left}");
    }
}
