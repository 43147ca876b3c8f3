//! Configurations good and bad, and what is said about them.

mod disk;
mod messages;

use std::time::Duration;

use super::*;
use crate::mapping::{Adopt, Extent, Layout, Watch};

const EXAMPLE: &str = include_str!("../../config/versync.toml");

fn environment(more: &[(&str, &str)]) -> Environment {
    [("HOME", "/home/ada")].iter().chain(more).copied().collect()
}

/// A configuration without fault, with room for more at the top, in `[auth]` and in the mapping.
fn with(top: &str, auth: &str, mapping: &str) -> String {
    format!(
        "{top}\n[auth]\n{auth}\n[[mapping]]\nname = \"a\"\npath = \"/a\"\nfolder = \"00000000-0000-4000-8000-000000000001\"\n{mapping}\n"
    )
}

const TOKEN_FILE: &str = "user_token_file = \"/etc/versync/t\"";

#[test]
fn the_shipped_example_loads() {
    let config = parse(EXAMPLE, "config/versync.toml", &environment(&[])).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.state_dir, PathBuf::from("/home/ada/.local/state/versync"));
    assert_eq!(config.server.url.as_str(), CLOUD);
    assert_eq!(config.auth, Auth::TokenFile("/home/ada/.config/versync/user-token".into()));
    assert_eq!(config.mappings.len(), 1);
    assert_eq!(config.mappings[0].filter.rules().exclude, ["wip/", "*_test.fbx"]);
}

#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    let shown: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{rest}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    assert_ne!(shown, EXAMPLE);
    let plain = parse(EXAMPLE, "plain", &environment(&[])).unwrap();
    let shown = parse(&shown, "shown", &environment(&[])).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(shown.state_dir, plain.state_dir);
    assert_eq!(shown.server, plain.server);
    assert_eq!(shown.patience, plain.patience);
    assert_eq!(shown.patience, Patience::default());
    assert_eq!((shown.rate, shown.log), (plain.rate, plain.log));
    let (shown, plain) = (&shown.mappings[0], &plain.mappings[0]);
    assert_eq!((shown.layout, &shown.policy), (plain.layout, &plain.policy));
    assert_eq!(shown.filter.rules(), plain.filter.rules());
}

#[test]
fn the_example_names_every_option() {
    let names = |line: &str, key: &str| {
        let line = line.trim_start_matches("# ").trim_start_matches('#');
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    for (table, options) in option::ALL {
        for key in options.iter().filter(|_| table != "auth.endpoint" && table != "mapping") {
            assert!(EXAMPLE.lines().any(|line| names(line, key)), "{table}.{key}");
        }
    }
}

#[test]
fn a_mapping_inherits_the_defaults_and_overrides_them() {
    let text = format!(
        "{}[defaults]\nsettle = \"5s\"\nwatch = \"poll\"\nexclude = [\"wip/\"]\nformats = [\".XYZ\", \"xml\"]\nmax_refresh = 7\n\
         max_refresh_size = \"1GiB\"\n",
        with(
            "",
            TOKEN_FILE,
            "settle = \"7s\"\nlayout = \"flat\"\nexclude = []\nmax_file_size = \"2 MiB\"\nmax_refresh_size = 5\nrefresh_wait = \"0s\""
        )
    );
    let config = parse(&text, "x", &environment(&[])).unwrap_or_else(|e| panic!("{e}"));
    let mapping = &config.mappings[0];
    assert_eq!(mapping.policy.settle, Duration::from_secs(7));
    assert_eq!(mapping.policy.watch, Watch::Poll);
    assert_eq!(mapping.policy.adopt, Adopt::Verify);
    assert_eq!(mapping.layout, Layout::Flat);
    assert_eq!(mapping.policy.max_refresh, Extent { models: 7, bytes: 5 });
    assert_eq!(mapping.policy.refresh_wait, Duration::ZERO);
    assert!(mapping.filter.rules().exclude.is_empty());
    assert_eq!(mapping.filter.rules().formats.iter().collect::<Vec<_>>(), ["xml", "xyz"]);
    assert_eq!(mapping.filter.rules().max_file_size, Some(2 << 20));
}

#[test]
fn the_environment_stands_above_the_file_and_a_flag_above_both() {
    let text = with("[limits]\nuploads = 2\nrate = \"1MiB/s\"", TOKEN_FILE, "settle = \"7s\"");
    let environment = environment(&[
        ("VERSYNC_LIMITS_UPLOADS", "3"),
        ("VERSYNC_LIMITS_RATE", ""),
        ("VERSYNC_SETTLE", "9s"),
        ("VERSYNC_STATE_DIR", "~/state"),
        ("VERSYNC_AUTH_USER_TOKEN_ENV", "CI_TOKEN"),
    ]);
    let config = parse(&text, "x", &environment).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.patience.uploads, 3);
    assert_eq!(config.rate, Some(1 << 20));
    assert_eq!(config.mappings[0].policy.settle, Duration::from_secs(9));
    assert_eq!(config.state_dir, PathBuf::from("/home/ada/state"));
    assert_eq!(config.auth, Auth::TokenEnv("CI_TOKEN".to_owned()));

    let flag = |value: &str| Override {
        flag: "--uploads".to_owned(),
        key: "limits.uploads".to_owned(),
        value: value.to_owned(),
    };
    let overrides = [flag("5")];
    let mut findings = Findings::new(&text, "x");
    let above = Above { environment: &environment, overrides: &overrides };
    assert_eq!(read(&text, above, &mut findings).unwrap().patience.uploads, 5);
    let overrides = [flag("many")];
    let above = Above { environment: &environment, overrides: &overrides };
    assert!(read(&text, above, &mut findings).is_none());
    assert_eq!(findings.close().unwrap_err().list()[0].origin, "--uploads");
}

#[test]
fn each_source_of_tokens_is_read() {
    let auth = |text: &str| {
        parse(&with("", text, ""), "x", &environment(&[])).unwrap_or_else(|e| panic!("{e}")).auth
    };
    assert_eq!(
        auth("command = [\"~/bin/login\", \"--print\"]\ntimeout = \"5s\""),
        Auth::Command {
            argv: vec!["/home/ada/bin/login".to_owned(), "--print".to_owned()],
            timeout: Duration::from_secs(5)
        }
    );
    assert_eq!(
        auth("endpoint = { url = \"http://127.0.0.1:9/t\", bearer_file = \"/b\" }"),
        Auth::Endpoint { url: "http://127.0.0.1:9/t".parse().unwrap(), bearer_file: Some("/b".into()) }
    );
    assert_eq!(auth("user_token_env = \"MY_TOKEN\""), Auth::TokenEnv("MY_TOKEN".to_owned()));
    assert_eq!(
        auth("api_key_file = \"/k\"\nuser_id = \"00000000-0000-4000-8000-000000000002\""),
        Auth::ApiKey {
            key_file: "/k".into(),
            user_id: "00000000-0000-4000-8000-000000000002".parse().unwrap(),
            scope: Scope::Write,
            ttl: Duration::from_secs(3600)
        }
    );
    let silent = parse(&with("", "", ""), "x", &environment(&[(USER_TOKEN, "fake")])).unwrap();
    assert_eq!(silent.auth, Auth::TokenEnv(USER_TOKEN.to_owned()));
}

#[test]
fn a_server_on_this_machine_is_reached_without_proxy() {
    let server = |url: &str| {
        let text = with(&format!("[server]\nurl = \"{url}\""), TOKEN_FILE, "");
        parse(&text, "x", &environment(&[])).unwrap_or_else(|e| panic!("{e}")).server
    };
    for url in ["http://127.0.0.9:1/app/v1", "http://[::1]:1/", "http://localhost:1", "https://127.0.0.1"] {
        assert_eq!(server(url).proxy, Proxy::None, "{url}");
    }
    assert_eq!(server("https://api.example/app").proxy, Proxy::Environment);
}
