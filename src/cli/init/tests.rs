//! What `init` writes can be read back, and nothing is lost by writing it.

#![expect(clippy::disallowed_methods, reason = "a test looks at what was written")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use draft::mapping_name;

fn environment() -> Environment {
    [("HOME", "/home/ada")].into_iter().collect()
}

#[test]
fn a_configuration_without_answers_can_be_read_back() {
    let text = Draft::default().text().unwrap();
    let config = config::parse(&text, "test", &environment()).unwrap();
    assert_eq!(config.mappings.len(), 1);
    assert_eq!(config.server.url.as_str(), CLOUD);
}

#[test]
fn every_answer_arrives_in_the_configuration() {
    let draft = Draft {
        path: Some("/studio/Größe \"x\"/.wip:chairs".into()),
        folder: Some("5f0c0000-0000-4000-8000-000000000001".to_owned()),
        url: Some("http://127.0.0.1:8080/app/v1".to_owned()),
        token_file: Some("/home/ada/it's a \\ token".into()),
        token_file_given: true,
        key: None,
    };
    let config = config::parse(&draft.text().unwrap(), "test", &environment()).unwrap();
    let mapping = &config.mappings[0];
    assert_eq!(mapping.name.as_str(), "wip_chairs");
    assert_eq!(mapping.root, draft.path.unwrap());
    assert_eq!(mapping.folder.to_string(), draft.folder.unwrap());
    assert_eq!(config.server.url.as_str(), draft.url.unwrap());
    assert_eq!(config.auth, config::Auth::TokenFile(draft.token_file.unwrap()));
}

#[test]
fn a_mapping_is_named_after_its_directory() {
    for (path, name) in [
        ("/studio/characters", "characters"),
        ("/studio/..hidden", "hidden"),
        ("/studio/a\nb", "a_b"),
        ("/", "models"),
        ("/studio/---", "models"),
    ] {
        assert_eq!(mapping_name(Path::new(path)), name, "{path:?}");
    }
}

#[test]
fn what_the_flags_leave_open_is_asked_for() {
    let mut draft = Draft { folder: Some("given".to_owned()), ..Draft::default() };
    let mut input = &b"/studio/props\n\n/home/ada/token\n"[..];
    ask(&mut draft, &mut input, &|_| {}).unwrap();
    assert_eq!(draft.path.as_deref(), Some(Path::new("/studio/props")));
    assert_eq!(draft.folder.as_deref(), Some("given"));
    assert_eq!(draft.url, None);
    assert_eq!(draft.token_file.as_deref(), Some(Path::new("/home/ada/token")));
}

#[test]
fn a_configuration_that_is_there_is_kept_unless_forced() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("versync/versync.toml");
    write(&target, "first", false).unwrap();
    assert!(write(&target, "second", false).is_err());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "first");
    write(&target, "second", true).unwrap();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "second");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&target), 0o600);
    assert_eq!(mode(target.parent().unwrap()), 0o700);
    assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
}
