//! What the user wrote: file, environment and flags are read here, and nowhere else.
//!
//! A [`Section`] answers for one table of the file and for the environment variables and flags that stand above it. It
//! knows which names there are, and nothing of what they mean.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::option;
use super::problem::{Findings, Spot, is_secret};

/// The environment of the process, as a value, so that only one place reads it and a test can write it.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The environment of this process; variables whose names are not UTF-8 are left out.
    #[must_use]
    pub fn process() -> Self {
        Self(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect(),
        )
    }

    /// The value of a variable; one that is set to nothing counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable that names an absolute path. Relative ones are ignored, as the XDG rules ask.
    pub(super) fn directory(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The same without these variables.
    #[must_use]
    pub fn without(&self, is_unwanted: impl Fn(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !is_unwanted(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    /// How many there are: a value may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

/// One option that a flag of the command line sets. Flags stand above environment and file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The flag as the user knows it (`--uploads`), for messages.
    pub flag: String,
    /// The option with its table: `state_dir`, `limits.uploads`, `defaults.settle`.
    pub key: String,
    /// The value as text, as in an environment variable.
    pub value: String,
}

/// What stands above the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Above<'a> {
    pub(super) environment: &'a Environment,
    pub(super) overrides: &'a [Override],
}

impl Above<'_> {
    /// What a flag or an environment variable says about an option (`limits.uploads`).
    fn get(&self, key: &str, findings: &mut Findings<'_>) -> Option<Given<'static>> {
        if let Some(flag) = self.overrides.iter().rfind(|flag| flag.key == key) {
            let spot = Spot::Outside(flag.flag.clone());
            return Some(Given { key: key.to_owned(), spot, value: Value::Outside(flag.value.clone()) });
        }
        let name = option::variable(key)?;
        let value = self.environment.get(&name)?;
        let spot = Spot::Outside(format!("${name}"));
        match value.to_str() {
            Some(text) => {
                Some(Given { key: key.to_owned(), spot, value: Value::Outside(text.trim().to_owned()) })
            }
            None => {
                findings.add(&spot, format!("failed to read `{key}`: not UTF-8"), "");
                None
            }
        }
    }
}

/// A value that the user gave, and where.
#[derive(Debug, Clone)]
pub(super) struct Given<'a> {
    /// The option with its table, for messages.
    pub(super) key: String,
    pub(super) spot: Spot,
    pub(super) value: Value<'a>,
}

/// What was given.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    /// In an environment variable or by a flag: text, whatever is meant.
    Outside(String),
    /// In the file.
    File(&'a Spanned<DeValue<'a>>),
}

impl Given<'_> {
    /// The text of a string, or what stands outside the file.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Outside(text) => Some(text),
            Value::File(value) => value.get_ref().as_str(),
        }
    }

    /// Notes that this value will not do. The value itself is told only where it cannot be a secret.
    pub(super) fn refuse(&self, findings: &mut Findings<'_>, why: &str, hint: &str) {
        findings.add(&self.spot, format!("failed to read `{}`: {why}", self.key), hint);
    }

    /// Notes that a value of another kind was wanted.
    pub(super) fn refuse_kind(&self, findings: &mut Findings<'_>, wanted: &str, hint: &str) {
        let found = match &self.value {
            Value::Outside(_) => "text",
            Value::File(value) => match value.get_ref() {
                DeValue::String(_) => "a string",
                DeValue::Integer(_) => "a number",
                DeValue::Float(_) => "a fraction",
                DeValue::Boolean(_) => "true or false",
                DeValue::Datetime(_) => "a date",
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
            },
        };
        self.refuse(findings, &format!("{wanted} is wanted, this is {found}"), hint);
    }
}

/// One table of the file, with what stands above it.
#[derive(Debug, Clone)]
pub(super) struct Section<'a> {
    /// Its name as in `option`: empty for the top, `limits`, `mapping`.
    pub(super) name: &'static str,
    /// Where it opens.
    pub(super) spot: Spot,
    /// The name under which its values are remembered; differs from `name` for the tables of a list.
    label: String,
    table: Option<&'a DeTable<'a>>,
    above: Above<'a>,
}

impl<'a> Section<'a> {
    /// The top of the file.
    pub(super) fn top(table: &'a DeTable<'a>, above: Above<'a>) -> Self {
        Self { name: "", spot: Spot::Nowhere, label: String::new(), table: Some(table), above }
    }

    /// A table of this one. Absent from the file, it still answers from environment and flags.
    pub(super) fn table(&self, key: &str, name: &'static str, findings: &mut Findings<'_>) -> Section<'a> {
        let mut below =
            Section { name, spot: Spot::Nowhere, label: name.to_owned(), table: None, above: self.above };
        if let Some(value) = self.table.and_then(|table| table.get(key)) {
            below.spot = Spot::File(value.span());
            match value.get_ref().as_table() {
                Some(table) => below.table = Some(table),
                None => {
                    let given =
                        Given { key: name.to_owned(), spot: below.spot.clone(), value: Value::File(value) };
                    given.refuse_kind(findings, "a table", &format!("write [{name}]"));
                }
            }
        }
        below
    }

    /// The tables `[[key]]` of this one.
    pub(super) fn tables(&self, key: &'static str, findings: &mut Findings<'_>) -> Option<Vec<Section<'a>>> {
        let value = self.table.and_then(|table| table.get(key))?;
        let spot = Spot::File(value.span());
        let given = Given { key: key.to_owned(), spot, value: Value::File(value) };
        let hint = format!("write [[{key}]], with two brackets on each side, once for each");
        let Some(array) = value.get_ref().as_array() else {
            given.refuse_kind(findings, "a list of tables", &hint);
            return None;
        };
        let mut tables = Vec::new();
        for (n, item) in array.iter().enumerate() {
            let spot = Spot::File(item.span());
            match item.get_ref().as_table() {
                Some(table) => tables.push(Section {
                    name: key,
                    spot,
                    label: format!("{key}[{n}]"),
                    table: Some(table),
                    above: self.above,
                }),
                None => Given { key: key.to_owned(), spot, value: Value::File(item) }
                    .refuse_kind(findings, "a table", &hint),
            }
        }
        Some(tables)
    }

    /// What the user says about one option: flag, else environment, else file.
    pub(super) fn get(&self, key: &str, findings: &mut Findings<'_>) -> Option<Given<'a>> {
        let given = self.outside(key, findings).or_else(|| self.inside(key))?;
        findings.remember(&self.label_of(key), &given.spot);
        Some(given)
    }

    /// The same, without the file.
    pub(super) fn outside(&self, key: &str, findings: &mut Findings<'_>) -> Option<Given<'a>> {
        self.above.get(&option::full(self.name, key), findings)
    }

    /// The same, from the file alone.
    pub(super) fn inside(&self, key: &str) -> Option<Given<'a>> {
        let value = self.table.and_then(|table| table.get(key))?;
        Some(Given {
            key: option::full(self.name, key),
            spot: Spot::File(value.span()),
            value: Value::File(value),
        })
    }

    /// The name under which [`Findings::spot`] finds a value of this table.
    pub(super) fn label_of(&self, key: &str) -> String {
        if self.label.is_empty() { key.to_owned() } else { format!("{}.{key}", self.label) }
    }

    /// Notes every name in the file that is no option here.
    pub(super) fn refuse_unknown(&self, findings: &mut Findings<'_>) {
        for (name, value) in self.table.into_iter().flatten() {
            let key: &str = name.get_ref();
            if option::of(self.name).contains(&key) || (self.name.is_empty() && option::is_table(key)) {
                continue;
            }
            let spot = Spot::File(name.span());
            let full = option::full(self.name, key);
            if let Some(what) = option::later(self.name, key) {
                findings.add(&spot, format!("`{full}` is not in this version yet"), what);
            } else if is_inline_secret(key, value.get_ref()) {
                findings.add(
                    &spot,
                    format!("`{full}` holds a secret, and a secret has no place in this file"),
                    option::SECRET_CURE,
                );
            } else {
                findings.add(&spot, format!("unknown option `{full}`"), option::cure(self.name, key));
            }
        }
    }
}

/// Whether somebody wrote a token, not the name of where it is kept.
fn is_inline_secret(key: &str, value: &DeValue<'_>) -> bool {
    let names_a_place = ["_file", "_env", "_url"].iter().any(|end| key.ends_with(end));
    value.is_str() && !names_a_place && key != "command" && is_secret(key)
}

/// The text of a configuration file that is as it should be: small, and nobody else's to write.
pub(super) fn read(path: &Path) -> Result<String, (String, &'static str)> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    const LARGEST: u64 = 1 << 20;
    let failed = |error: std::io::Error| (format!("failed to read {}: {error}", path.display()), "");
    // Without waiting: a FIFO that nobody writes would hold us for ever before it could be refused.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    super::place::refuse_stranger(path, &meta)?;
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err((format!("failed to read {}: larger than 1 MiB", path.display()), ""));
    }
    Ok(text)
}
