//! Where the configuration and the state lie if nobody says, and whose a file has to be before it is believed.
//!
//! The working directory is never searched: it may be a watched tree, or anybody's.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::raw::Environment;

/// Where a configuration is looked for, the first that exists; not called if the user names one.
pub(super) fn candidates(environment: &Environment) -> Vec<PathBuf> {
    const NAME: &str = "versync/versync.toml";
    let home = environment.directory("HOME");
    let user = environment.directory("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let mut candidates: Vec<_> = user.into_iter().map(|directory| directory.join(NAME)).collect();
    if cfg!(target_os = "macos") {
        candidates.extend(home.map(|home| home.join("Library/Application Support").join(NAME)));
    }
    candidates.push(Path::new("/etc").join(NAME));
    candidates
}

/// Where a first configuration of this user belongs.
pub(super) fn usual(environment: &Environment) -> Option<PathBuf> {
    candidates(environment).into_iter().next()
}

/// Where the ledger lies if nobody says: systemd's `StateDirectory=`, else the XDG directory for state.
pub(super) fn state_dir(environment: &Environment) -> Option<PathBuf> {
    // systemd joins several directories by colons; the first is ours.
    let given = environment.get("STATE_DIRECTORY").and_then(|value| value.to_str());
    let given = given.and_then(|value| value.split(':').next()).map(PathBuf::from);
    let own = || {
        let home = || Some(environment.directory("HOME")?.join(".local/state"));
        Some(environment.directory("XDG_STATE_HOME").or_else(home)?.join("versync"))
    };
    given.filter(|path| path.is_absolute()).or_else(own)
}

/// Refuses a file that somebody other than this user and root owns, or may write (git's CVE-2022-24765).
pub(super) fn refuse_stranger(path: &Path, meta: &Metadata) -> Result<(), (String, &'static str)> {
    let path = path.display();
    if !meta.is_file() {
        return Err((format!("failed to read {path}: no regular file"), ""));
    }
    if !is_ours(meta.uid(), us()) {
        return Err((
            format!("failed to trust {path}: it belongs to another user (uid {})", meta.uid()),
            "let it belong to the user that runs versync, or to root",
        ));
    }
    if meta.mode() & 0o022 != 0 {
        return Err((
            format!("failed to trust {path}: others may write it (mode {:03o})", meta.mode() & 0o777),
            "chmod go-w",
        ));
    }
    Ok(())
}

/// Refuses a file with a secret that others may read.
pub(super) fn refuse_shared(
    path: &Path,
    meta: &Metadata,
    environment: &Environment,
) -> Result<(), (String, &'static str)> {
    refuse_stranger(path, meta)?;
    // systemd hands credentials to one unit by an access control list, which shows as a readable group.
    let handed = environment.directory("CREDENTIALS_DIRECTORY").is_some_and(|given| path.starts_with(given));
    let forbidden = if handed { 0o007 } else { 0o077 };
    if meta.mode() & forbidden != 0 {
        let mode = meta.mode() & 0o777;
        let message =
            format!("failed to trust {}: others may read the secret (mode {mode:03o})", path.display());
        return Err((message, "chmod 600, and replace the secret if anybody may have read it"));
    }
    Ok(())
}

/// Who owns what we may believe: we ourselves, and root.
fn is_ours(owner: u32, us: u32) -> bool {
    owner == us || owner == 0
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    #[test]
    fn the_configuration_is_looked_for_at_home_and_then_in_etc() {
        let found = candidates(&environment(&[("HOME", "/home/ada")]));
        assert_eq!(found.first().unwrap(), Path::new("/home/ada/.config/versync/versync.toml"));
        assert_eq!(found.last().unwrap(), Path::new("/etc/versync/versync.toml"));
        let found = candidates(&environment(&[("HOME", "/home/ada"), ("XDG_CONFIG_HOME", "/cfg")]));
        assert_eq!(found[0], Path::new("/cfg/versync/versync.toml"));
        let relative = candidates(&environment(&[("XDG_CONFIG_HOME", "cfg")]));
        assert_eq!(relative, [Path::new("/etc/versync/versync.toml")]);
    }

    #[test]
    fn the_state_lies_where_systemd_says_and_else_at_home() {
        let home = ("HOME", "/home/ada");
        let of = |pairs: &[(&str, &str)]| state_dir(&environment(pairs)).unwrap();
        assert_eq!(of(&[home]), Path::new("/home/ada/.local/state/versync"));
        assert_eq!(of(&[home, ("XDG_STATE_HOME", "/state")]), Path::new("/state/versync"));
        assert_eq!(of(&[home, ("STATE_DIRECTORY", "/var/lib/versync:/x")]), Path::new("/var/lib/versync"));
        assert_eq!(state_dir(&environment(&[])), None);
    }

    #[test]
    fn only_we_and_root_are_believed() {
        assert!(is_ours(1000, 1000));
        assert!(is_ours(0, 1000));
        assert!(!is_ours(1001, 1000));
        assert!(!is_ours(1000, 0));
    }
}
