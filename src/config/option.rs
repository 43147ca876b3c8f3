//! Which options there are: their names, the environment variables they mirror, and what to say about other names.
//!
//! Pure tables. What a value means is not known here.

/// Every table with its options, the order being that of the documentation. The top has the empty name.
pub(super) const ALL: [(&str, &[&str]); 9] = [
    ("", &["state_dir"]),
    ("server", &["url", "upload_field", "console", "ca_file", "proxy"]),
    (
        "auth",
        &[
            "command",
            "timeout",
            "endpoint",
            "user_token_file",
            "user_token_env",
            "api_key_file",
            "user_id",
            "scope",
            "ttl",
        ],
    ),
    ("auth.endpoint", &["url", "bearer_file"]),
    (
        "limits",
        &[
            "uploads",
            "rate",
            "ambiguous_wait",
            "poll_first",
            "poll_max",
            "stalled_after",
            "grace",
            "retry_first",
            "retry_max",
            "connect_timeout",
            "request_timeout",
            "stall_timeout",
            "answer_timeout",
            "root_timeout",
            "shutdown_timeout",
        ],
    ),
    ("log", &["format", "file", "max_size", "keep"]),
    ("manifest", &["path"]),
    (
        "defaults",
        &[
            "layout",
            "include",
            "exclude",
            "formats",
            "max_file_size",
            "symlinks",
            "watch",
            "settle",
            "settle_max",
            "delete_settle",
            "rescan_interval",
            "adopt",
            "bundle_wait",
            "on_missing",
            "part_names",
            "search",
            "on_change",
            "keep_versions",
            "on_delete",
            "max_refresh",
            "max_refresh_size",
            "refresh_wait",
        ],
    ),
    (
        "mapping",
        &[
            "name",
            "path",
            "folder",
            "layout",
            "include",
            "exclude",
            "formats",
            "max_file_size",
            "symlinks",
            "watch",
            "settle",
            "settle_max",
            "delete_settle",
            "rescan_interval",
            "adopt",
            "bundle_wait",
            "on_missing",
            "part_names",
            "search",
            "on_change",
            "keep_versions",
            "on_delete",
            "max_refresh",
            "max_refresh_size",
            "refresh_wait",
        ],
    ),
];

/// Options whose value is no scalar: they have no environment variable.
const LISTS: [&str; 5] = ["command", "endpoint", "include", "exclude", "formats"];

/// Options of the documentation that this version does not honour yet, by table.
const LATER: [(&str, &str, &str); 4] = [
    ("", "control_group", "remove it: only the user that runs versync may steer it"),
    ("limits", "timetable", "remove it, and set `rate` for all day"),
    ("limits", "batch_max_files", "remove it: every file travels in a request of its own"),
    ("limits", "batch_max_bytes", "remove it: every file travels in a request of its own"),
];

/// What to do with a secret that stands in the file.
pub(super) const SECRET_CURE: &str = "keep it in a file that only you can read and name that: `user_token_file` or \
    `api_key_file`; and replace the secret, for it may have been read";

/// The options of a table.
pub(super) fn of(table: &str) -> &'static [&'static str] {
    ALL.iter().find(|(name, _)| *name == table).map_or(&[], |(_, options)| options)
}

/// Whether the top of the file may hold a table of this name.
pub(super) fn is_table(key: &str) -> bool {
    !key.is_empty() && ALL.iter().any(|(name, _)| *name == key)
}

/// An option with its table.
pub(super) fn full(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// The environment variable of an option with its table, if it is a scalar of a table that has such.
///
/// `VERSYNC_`, table, option, in capitals, joined by `_`; options of `[defaults]` go without their table. Those of one
/// `[[mapping]]` have none.
pub(super) fn variable(full: &str) -> Option<String> {
    let (table, key) = full.rsplit_once('.').unwrap_or(("", full));
    if table == "mapping" || LISTS.contains(&key) || !of(table).contains(&key) {
        return None;
    }
    let table = if table == "defaults" { "" } else { table };
    Some(format!("VERSYNC_{}", self::full(table, key).replace('.', "_").to_ascii_uppercase()))
}

/// What to do about an option that this version does not honour yet.
pub(super) fn later(table: &str, key: &str) -> Option<&'static str> {
    let table = if table == "defaults" { "mapping" } else { table };
    LATER.iter().find(|(of, name, _)| *of == table && *name == key).map(|(_, _, cure)| *cure)
}

/// What somebody who wrote this unknown name may have meant.
pub(super) fn cure(table: &str, key: &str) -> String {
    let tables = ALL.iter().map(|(name, _)| *name).filter(|name| !name.is_empty() && !name.contains('.'));
    let here = of(table).iter().copied();
    if table == "defaults" && matches!(key, "name" | "path" | "folder") {
        return format!("every [[mapping]] has a `{key}` of its own");
    }
    if let Some((home, _)) = ALL.iter().find(|(name, options)| *name != "defaults" && options.contains(&key))
    {
        return match *home {
            "" => format!("`{key}` belongs to the top of the file, above the first [table]"),
            "mapping" => format!("`{key}` belongs to a [[mapping]] or to [defaults]"),
            home => format!("`{key}` belongs to [{home}]"),
        };
    }
    let near = if table.is_empty() { nearest(key, here.chain(tables)) } else { nearest(key, here) };
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if table.is_empty() => {
            let all: Vec<_> = of("").iter().copied().chain(ALL.iter().map(|(name, _)| *name)).collect();
            format!("known here: {}", listed(all.into_iter().filter(|name| !name.contains('.'))))
        }
        None => format!("known here: {}", listed(of(table).iter().copied())),
    }
}

/// Names in a row, for a message.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Variables that look like options and are none, with what they may have meant.
pub(super) fn misspelt(name: &str) -> Option<String> {
    let known = ALL
        .iter()
        .flat_map(|(table, options)| options.iter().filter_map(|key| variable(&full(table, key))))
        .chain(["VERSYNC_CONFIG", "VERSYNC_USER_TOKEN"].map(str::to_owned))
        .collect::<Vec<_>>();
    if !name.starts_with("VERSYNC_") || known.iter().any(|known| known == name) {
        return None;
    }
    known.into_iter().find(|known| distance(name, known) <= 2)
}

/// The name that is nearest, if one is near enough to be meant.
pub(super) fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let near = names.map(|name| (distance(&word, name), name)).min()?;
    (near.0 <= (word.chars().count() / 3).clamp(1, 3)).then_some(near.1)
}

/// How many letters have to be changed, added, left out or swapped with a neighbour to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().take(64).collect(), other.chars().collect());
    let mut rows = vec![vec![0_usize; other.len() + 1]; one.len() + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
                let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_strange_word_is_not() {
        assert_eq!(nearest("settel", of("mapping").iter().copied()), Some("settle"));
        assert_eq!(nearest("on-delete", of("mapping").iter().copied()), Some("on_delete"));
        assert_eq!(nearest("banana", of("mapping").iter().copied()), None);
        assert_eq!(
            cure("server", "state_dir"),
            "`state_dir` belongs to the top of the file, above the first [table]"
        );
    }

    #[test]
    fn variables_have_mechanical_names() {
        assert_eq!(variable("state_dir").as_deref(), Some("VERSYNC_STATE_DIR"));
        assert_eq!(variable("limits.uploads").as_deref(), Some("VERSYNC_LIMITS_UPLOADS"));
        assert_eq!(variable("auth.endpoint.url").as_deref(), Some("VERSYNC_AUTH_ENDPOINT_URL"));
        assert_eq!(variable("defaults.settle").as_deref(), Some("VERSYNC_SETTLE"));
        assert_eq!(variable("mapping.path"), None);
        assert_eq!(variable("auth.command"), None);
        assert_eq!(misspelt("VERSYNC_LIMIT_UPLOADS").as_deref(), Some("VERSYNC_LIMITS_UPLOADS"));
        assert_eq!(misspelt("VERSYNC_LIMITS_UPLOADS"), None);
    }
}
