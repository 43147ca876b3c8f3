//! The documents say what the code does: every option has its heading, every link leads somewhere, every exit code is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An option of the example configuration, with its default where the example shows one.
type Options = BTreeMap<String, Option<String>>;

#[test]
fn every_option_of_the_example_has_its_heading_and_every_heading_its_option() {
    let options = options(&read("config/versync.toml"));
    assert!(options.len() > 40, "the example was not understood: {options:?}");
    let headings = headings(&read("docs/configuration.md"));
    let missing: Vec<_> = options.keys().filter(|name| !headings.contains_key(*name)).collect();
    let stray: Vec<_> = headings.keys().filter(|name| !options.contains_key(*name)).collect();
    assert!(
        missing.is_empty() && stray.is_empty(),
        "docs/configuration.md lacks {missing:?}, and tells of {stray:?}, which config/versync.toml does not have"
    );
}

#[test]
fn every_option_is_told_in_one_shape_with_the_default_of_the_example() {
    let options = options(&read("config/versync.toml"));
    for (name, section) in headings(&read("docs/configuration.md")) {
        for label in ["- Type: ", "- Default: ", "- Environment: ", "- Example: `"] {
            assert_eq!(section.matches(&format!("\n{label}")).count(), 1, "{name} has one line `{label}`");
        }
        let key = name.rsplit('.').next().unwrap();
        assert!(section.contains(&format!("\n- Example: `{key} = ")), "the example of {name} sets it");
        if let Some(Some(default)) = options.get(&name) {
            let told = section.lines().find(|line| line.starts_with("- Default: ")).unwrap();
            assert!(
                told.contains(&format!("`{default}`")),
                "{name}: the example says {default}, the page: {told}"
            );
        }
    }
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut wrong = Vec::new();
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if path.contains("://") || path.is_empty() {
                continue;
            }
            if !file.parent().unwrap().join(path).exists() {
                wrong.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere: {wrong:#?}");
}

#[test]
fn the_readme_names_every_state_and_every_exit_code() {
    let readme = read("README.md");
    for state in versync::file::State::ALL {
        assert!(readme.contains(&format!("`{}`", state.word())), "README.md does not tell of {state}");
    }
    for code in [0, 1, 2, 3, 4, 5, 11, 13, 74, 77, 78, 130] {
        assert!(readme.contains(&format!("| {code} |")), "README.md does not tell of exit code {code}");
    }
}

#[test]
fn what_one_command_tests_is_what_the_other_one_runs() {
    assert!(read("README.md").contains("\ncargo test\n"));
    assert!(read(".ci/run").contains("\nstep tests cargo test --locked\n"));
}

#[test]
fn options_are_read_from_an_example_with_and_without_their_marks() {
    let text =
        "# Prose = no\n#a = 1\n[t]\n# b = 2\nc = [3]\n#d_e = \"x\"\n# `f` = prose\n[[mapping]]\na = 4\n";
    let found: Vec<_> = options(text).into_iter().collect();
    let expected =
        [("a", Some("1")), ("mapping.a", None), ("t.b", None), ("t.c", None), ("t.d_e", Some("\"x\""))];
    assert_eq!(found, expected.map(|(name, default)| (name.to_owned(), default.map(str::to_owned))));
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(top().join(file)).unwrap()
}

/// All of ours: those at the top, in `docs` and in `packaging`.
fn documents() -> Vec<PathBuf> {
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|it| it == "md")).collect::<Vec<_>>()
    };
    let folders = ["", "docs", "docs/decisions", "packaging"];
    folders.iter().flat_map(|folder| list(&top().join(folder))).collect()
}

/// Options by their full names. `#name = value` shows a default; `# name = value` and `name = value` show an example.
fn options(text: &str) -> Options {
    let mut options = Options::new();
    let mut table = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            table = format!("{}.", line.trim_matches(['[', ']']));
            continue;
        }
        let bare = line.strip_prefix('#').unwrap_or(line);
        let is_default = line.starts_with('#') && !bare.starts_with(' ');
        let Some((key, value)) = bare.trim_start().split_once(" = ") else { continue };
        let is_key = key.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_');
        // What a mapping takes over from [defaults] is told there.
        let is_told = table == "mapping." && options.contains_key(&format!("defaults.{key}"));
        if is_key && !is_told {
            options.insert(format!("{table}{key}"), is_default.then(|| value.to_owned()));
        }
    }
    options
}

/// The sections of the page by the options that they tell of.
fn headings(text: &str) -> BTreeMap<String, String> {
    let sections = text.split("\n### `").skip(1);
    sections
        .filter_map(|section| section.split_once("`\n"))
        .map(|(name, body)| (name.to_owned(), body.split("\n## ").next().unwrap().to_owned()))
        .collect()
}
