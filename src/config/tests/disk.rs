//! What a configuration meets on a machine.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests lay out a machine of their own in a temporary directory"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// A home with a configuration, a token and one root.
struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { home: tempfile::tempdir().unwrap() };
        for directory in ["root", "cfg", "state"] {
            fs::create_dir(machine.at(directory)).unwrap();
        }
        machine.write("cfg/token", "fake", 0o600);
        machine.configure("", &[("a", "root")]);
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        fs::write(self.at(path), text).unwrap();
        self.chmod(path, mode);
    }

    fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn configure(&self, top: &str, mappings: &[(&str, &str)]) {
        let mut text = format!("state_dir = \"~/state\"\n{top}\n[auth]\nuser_token_file = \"~/cfg/token\"\n");
        for (n, (name, root)) in mappings.iter().enumerate() {
            text += &format!(
                "[[mapping]]\nname = \"{name}\"\npath = \"~/{root}\"\nfolder = \"00000000-0000-4000-8000-00000000000{n}\"\n"
            );
        }
        self.write("cfg/versync.toml", &text, 0o600);
    }

    fn options(&self) -> Options {
        let environment = [("HOME".to_owned(), self.home.path().to_owned())].into_iter().collect();
        Options { path: Some(self.at("cfg/versync.toml")), environment, overrides: Vec::new() }
    }

    fn refusal(&self) -> String {
        let problems = load(&self.options()).unwrap_err();
        assert_eq!(problems.list().len(), 1, "{problems}");
        problems.to_string()
    }
}

#[test]
fn a_sound_machine_is_accepted_without_a_word() {
    let machine = Machine::new();
    let found = load(&machine.options()).unwrap_or_else(|e| panic!("{e}"));
    assert!(found.warnings.is_empty() && found.roots.is_empty(), "{found:?}");
    assert!(found.config.source.unwrap().ends_with("cfg/versync.toml"));
}

#[test]
fn the_file_is_found_by_variable_and_at_home_and_its_absence_is_told() {
    let machine = Machine::new();
    let home = machine.home.path().to_owned();
    let named = |pairs: Vec<(&str, PathBuf)>| Options {
        environment: pairs.into_iter().collect(),
        ..Options::default()
    };
    let by_variable = named(vec![("HOME", home.clone()), ("VERSYNC_CONFIG", machine.at("cfg/versync.toml"))]);
    assert!(load(&by_variable).is_ok());
    let at_home = named(vec![("HOME", home.clone()), ("XDG_CONFIG_HOME", machine.at("xdg"))]);
    assert!(load(&at_home).is_err());
    fs::create_dir_all(machine.at("xdg/versync")).unwrap();
    fs::copy(machine.at("cfg/versync.toml"), machine.at("xdg/versync/versync.toml")).unwrap();
    assert!(load(&at_home).is_ok());
    let lost = Options { path: Some(machine.at("nowhere.toml")), ..machine.options() };
    assert!(load(&lost).unwrap_err().to_string().contains("failed to read"));
}

#[test]
fn g7_a_configuration_that_others_may_write_is_refused() {
    let machine = Machine::new();
    for mode in [0o620, 0o602, 0o666] {
        machine.chmod("cfg/versync.toml", mode);
        assert!(machine.refusal().contains("others may write it"));
    }
    machine.chmod("cfg/versync.toml", 0o644);
    assert!(load(&machine.options()).is_ok());
}

#[test]
fn g7_a_stranger_s_configuration_is_refused() {
    let machine = Machine::new();
    // Only root can give a file away; for all others the rule itself is tested in `place`.
    if std::os::unix::fs::chown(machine.at("cfg/versync.toml"), Some(12_345), None).is_ok() {
        assert!(machine.refusal().contains("belongs to another user (uid 12345)"));
    }
}

#[test]
fn g6_a_secret_that_others_may_read_is_refused() {
    let machine = Machine::new();
    for mode in [0o640, 0o604, 0o644] {
        machine.chmod("cfg/token", mode);
        let told = machine.refusal();
        assert!(told.contains("others may read the secret") && told.contains("chmod 600"), "{told}");
    }
    machine.chmod("cfg/token", 0o400);
    assert!(load(&machine.options()).is_ok());
    fs::remove_file(machine.at("cfg/token")).unwrap();
    let found = load(&machine.options()).unwrap();
    assert!(found.warnings[0].contains("log in to make it"), "{found:?}");
}

#[test]
fn a_missing_root_is_told_apart_from_a_fault_and_a_file_is_no_root() {
    let machine = Machine::new();
    machine.configure("", &[("a", "root"), ("b", "gone")]);
    let found = load(&machine.options()).unwrap();
    assert_eq!(found.roots.len(), 1);
    assert_eq!((found.roots[0].mapping.as_str(), &found.roots[0].why), ("b", &RootFault::Missing));
    machine.write("gone", "", 0o600);
    let told = machine.refusal();
    assert!(told.contains("is no directory") && told.contains("versync.toml:11:8"), "{told}");
}

#[test]
fn g3_two_spellings_of_one_root_are_refused() {
    let machine = Machine::new();
    fs::create_dir(machine.at("root/inside")).unwrap();
    symlink(machine.at("root"), machine.at("same")).unwrap();
    symlink(machine.at("root/inside"), machine.at("below")).unwrap();
    for (link, expected) in [("same", "have the same root"), ("below", "lies inside the root")] {
        machine.configure("", &[("a", "root"), ("b", link)]);
        let told = machine.refusal();
        assert!(told.contains(expected), "{told}");
        machine.configure("", &[("b", link), ("a", "root")]);
        let told = machine.refusal();
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn g6_w15_nothing_of_ours_may_lie_inside_a_root() {
    let machine = Machine::new();
    machine.configure("[log]\nfile = \"~/root/new/versync.log\"", &[("a", "root")]);
    assert!(machine.refusal().contains("the log "));
    machine.configure("", &[("a", "state")]);
    assert!(machine.refusal().contains("the state directory "));
    machine.configure("", &[("a", "cfg")]);
    let told = load(&machine.options()).unwrap_err().to_string();
    assert!(told.contains("the configuration ") && told.contains("the file with the secret "), "{told}");
    symlink(machine.at("state"), machine.at("linked")).unwrap();
    machine.configure("", &[("a", "linked")]);
    assert!(machine.refusal().contains("the state directory "));
}

#[test]
fn a_program_that_prints_tokens_must_be_ours_and_out_of_reach() {
    let machine = Machine::new();
    let configure = |program: &str| {
        let text = format!(
            "state_dir = \"~/state\"\n[auth]\ncommand = [\"~/{program}\"]\n[[mapping]]\nname = \"a\"\n\
             path = \"~/root\"\nfolder = \"00000000-0000-4000-8000-000000000001\"\n"
        );
        machine.write("cfg/versync.toml", &text, 0o600);
    };
    machine.write("cfg/login", "", 0o700);
    configure("cfg/login");
    assert!(load(&machine.options()).is_ok());
    machine.chmod("cfg/login", 0o770);
    assert!(machine.refusal().contains("others may write it"));
    machine.write("root/login", "", 0o700);
    configure("root/login");
    assert!(machine.refusal().contains("the program that prints tokens "));
    configure("cfg/nowhere");
    assert!(machine.refusal().contains("failed to find the file of `auth.command`"));
}

#[test]
fn a_credential_that_systemd_hands_over_may_show_a_readable_group() {
    let machine = Machine::new();
    machine.chmod("cfg/token", 0o440);
    assert!(machine.refusal().contains("others may read the secret"));
    let mut options = machine.options();
    let home = machine.home.path().to_owned();
    options.environment =
        [("HOME", home), ("CREDENTIALS_DIRECTORY", machine.at("cfg"))].into_iter().collect();
    assert!(load(&options).is_ok());
}

#[test]
fn a_pipe_is_no_configuration_and_does_not_hold_us() {
    let machine = Machine::new();
    let made = std::process::Command::new("mkfifo").arg(machine.at("cfg/pipe")).status();
    if made.is_ok_and(|status| status.success()) {
        let options = Options { path: Some(machine.at("cfg/pipe")), ..machine.options() };
        assert!(load(&options).unwrap_err().to_string().contains("no regular file"));
    }
}

#[test]
fn a_misspelt_variable_is_warned_about() {
    let machine = Machine::new();
    let mut options = machine.options();
    options.environment = [
        ("HOME".to_owned(), machine.home.path().to_owned().into_os_string()),
        ("VERSYNC_LIMIT_UPLOADS".to_owned(), "3".into()),
        ("VERSYNC_SOMETHING_ELSE".to_owned(), "3".into()),
    ]
    .into_iter()
    .collect();
    let found = load(&options).unwrap();
    assert_eq!(found.warnings.len(), 1);
    assert!(found.warnings[0].contains("did you mean $VERSYNC_LIMITS_UPLOADS?"), "{found:?}");
}
