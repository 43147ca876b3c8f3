//! What is said about a configuration that is wrong.

use super::*;

fn told(text: &str) -> String {
    parse(text, "versync.toml", &environment(&[])).expect_err(text).to_string()
}

#[test]
fn every_kind_of_fault_is_named_with_its_cure() {
    let top = |text: &str| with(text, TOKEN_FILE, "");
    let auth = |text: &str| with("", text, "");
    let mapping = |text: &str| with("", TOKEN_FILE, text);
    let second = |name: &str, path: &str, folder: u8| {
        mapping(&format!(
            "[[mapping]]\nname = \"{name}\"\npath = \"{path}\"\nfolder = \"00000000-0000-4000-8000-00000000000{folder}\""
        ))
    };
    let table = [
        // Names.
        (mapping("settel = \"5s\""), "unknown option `mapping.settel`", "did you mean `settle`?"),
        (top("[limit]"), "unknown option `limit`", "did you mean `limits`?"),
        (top("uploads = 4"), "unknown option `uploads`", "`uploads` belongs to [limits]"),
        (top("[server]\nstate_dir = \"/s\""), "unknown option `server.state_dir`", "above the first [table]"),
        (top("[defaults]\nfolder = \"x\""), "unknown option `defaults.folder`", "a `folder` of its own"),
        (top("banana = 1"), "unknown option `banana`", "known here: state_dir, server"),
        // Not yet.
        (mapping("symlinks = \"follow\""), "only \"skip\" is", ""),
        (mapping("keep_versions = 3000"), "`3000` is out of range", "from 0 to 1000"),
        (mapping("max_refresh = -1"), "`-1` is out of range", "from 0 to 1000000000"),
        (mapping("max_refresh = \"10GiB\""), "a whole number", ""),
        (mapping("max_refresh_size = \"many\""), "`many` is no size", ""),
        (mapping("max_refresh_szie = 1"), "unknown option `mapping.max_refresh_szie`", "did you mean `max_refresh_size`?"),
        (top("control_group = \"studio\""), "`control_group` is not in this version yet", "remove it"),
        (top("[manifest]\npth = \"/m\""), "unknown option `manifest.pth`", "did you mean `path`?"),
        (top("[limits]\ntimetable = []"), "`limits.timetable` is not in this version yet", ""),
        // Kinds and ranges.
        (mapping("settle = 5"), "a duration is wanted, this is a number", "a number with a unit"),
        (mapping("settle = \"5 parsecs\""), "`5 parsecs` is no duration", "such as \"2s\""),
        (mapping("settle = \"100h\""), "`100h` is out of range", "from 1ms to 1h"),
        (mapping("settle = \"20m\""), "`settle` is longer than `settle_max`", ""),
        (mapping("max_file_size = \"big\""), "`big` is no size", "64MiB"),
        (mapping("max_file_size = 0"), "`0` is out of range", "1 B to 1.0 PiB"),
        (mapping("exclude = \"wip\""), "a list of strings is wanted, this is a string", ""),
        (mapping("exclude = [1]"), "a list of strings is wanted, this is a number", ""),
        (mapping("exclude = [\"[a\"]"), "failed to read the pattern `[a`", "gitignore"),
        (mapping("formats = [\"mtl\"]"), "`mtl` travels only with a model", ""),
        (mapping("formats = [\"psd\"]"), "the cloud does not list `psd`", ""),
        (mapping("watch = \"nativ\""), "`nativ` is not one of its words", "did you mean \"native\"?"),
        (top("[limits]\nuploads = 0"), "`0` is out of range", "from 1 to 64"),
        (top("[limits]\nuploads = 99999999999999999999999"), "`99999999999999999999999` is out of range", ""),
        (top("[limits]\nuploads = true"), "a whole number is wanted, this is true or false", ""),
        (top("[limits]\nrate = \"1B/s\""), "`1B` is out of range", "1.0 KiB"),
        (top("[limits]\npoll_first = \"1m\""), "`limits.poll_first` is longer than `limits.poll_max`", ""),
        (top("limits = 4"), "a table is wanted, this is a number", "write [limits]"),
        ("[auth]\nuser_token_env = \"X\"\n[mapping]\nname = \"a\"".to_owned(), "a list of tables is wanted", "write [[mapping]]"),
        // Paths.
        (top("state_dir = \"state\""), "`state` is no absolute path", "from `/` or from `~/`"),
        (top("state_dir = \"~bob/s\""), "names the home of another user", ""),
        (top("state_dir = \"/a/../b\""), "goes up by `..`", ""),
        // Mappings.
        ("[auth]\nuser_token_env = \"X\"".to_owned(), "there is no mapping", "[[mapping]]"),
        ("[auth]\nuser_token_env = \"X\"\n[[mapping]]\nname = \"a\"\nfolder = \"00000000-0000-4000-8000-000000000001\"".to_owned(), "a mapping has no `path`", ""),
        (second("a", "/b", 2), "two mappings are called `a`", ""),
        (second("", "/b", 2), "failed to read `mapping.name`: it is empty", ""),
        (second("x:y", "/b", 2), "`x:y` is no name for a mapping", "without `/` and `:`"),
        (second("\\u001b[1m", "/b", 2), "characters that do not show", ""),
        (second("b", "/a/x", 2), "the root /a/x of the mapping `b` lies inside the root /a of the mapping `a`", ""),
        (second("b", "/a/", 2), "the mapping `b` and the mapping `a` have the same root /a", ""),
        (second("b", "/", 2), "`/` is the whole machine", ""),
        (second("b", "/b", 1), "the mapping `a` and the mapping `b` fill the same folder", ""),
        (mapping("").replace("0000-4000", "wrong"), "failed to read `mapping.folder`: no UUID", ""),
        // Addresses.
        (top("[server]\nurl = \"http://api.example\""), "plain http would show tokens", "https"),
        (top("[server]\nurl = \"ftp://api.example\""), "neither https nor http", ""),
        (top("[server]\nurl = \"https://ada:fake@api.example\""), "it holds a user or a password", ""),
        (top("[server]\nurl = \"api.example\""), "no address", ""),
        (top("[server]\nurl = \"https://api.example/?a=b\""), "it holds a `?`", ""),
        (top("[server]\nconsole = \"http://x/{org}\""), "plain http", ""),
        (top("[server]\nupload_field = \"a\\\"b\""), "no plain name of a form field", ""),
        // Tokens.
        (auth(""), "no source of user tokens is named", "user_token_file"),
        (auth("user_token_file = \"/t\"\nuser_token_env = \"T\""), "2 sources of user tokens are named", "keep one"),
        (auth("user_token = \"fake\""), "`auth.user_token` holds a secret", "replace the secret"),
        (auth("command = [\"login\"]"), "the program is named by no absolute path", "$PATH"),
        (auth("command = []"), "failed to read `auth.command`: it is empty", ""),
        (auth("endpoint = {}"), "it has no `url`", ""),
        (auth("api_key_file = \"/k\""), "needs a `user_id`", ""),
        (auth("api_key_file = \"/k\"\nuser_id = \"ada\""), "failed to read `auth.user_id`: no UUID", ""),
        (auth("user_token_env = \"not a name\""), "no name of an environment variable", "never the token"),
        (auth("user_token_env = \"T\"\nttl = \"1h\""), "`auth.ttl` belongs to `api_key_file`", "remove it"),
        (auth("api_key_file = \"/k\"\nuser_id = \"00000000-0000-4000-8000-000000000001\"\nscope = \"read\""), "nothing can be sent", ""),
    ];
    for (text, message, cure) in table {
        let problems = parse(&text, "versync.toml", &environment(&[])).expect_err(&text);
        assert_eq!(problems.list().len(), 1, "{text}\n{problems}");
        let problem = &problems.list()[0];
        assert!(problem.message.contains(message), "{text}\n{problems}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(cure), "{text}\n{problems}");
    }
}

#[test]
fn g2_g9_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_lines() {
    let text = "stat_dir = \"/s\"\n[limits]\nuploads = 900\n[auth]\nuser_token_file = \"/t\"\n[[mapping]]\nname = \"a\"\n\
                path = \"a\"\nfolder = \"x\"\n\tsettle = \"soon\"\n";
    insta::assert_snapshot!(told(text), @r#"
    error: unknown option `stat_dir`
     --> versync.toml:1:1
      |
    1 | stat_dir = "/s"
      | ^^^^^^^^
      |
      = hint: did you mean `state_dir`?

    error: failed to read `limits.uploads`: `900` is out of range
     --> versync.toml:3:11
      |
    3 | uploads = 900
      |           ^^^
      |
      = hint: from 1 to 64

    error: failed to read `mapping.path`: `a` is no absolute path
     --> versync.toml:8:8
      |
    8 | path = "a"
      |        ^^^
      |
      = hint: write it from `/` or from `~/`; it is not taken from anywhere else

    error: failed to read `mapping.folder`: no UUID
     --> versync.toml:9:10
      |
    9 | folder = "x"
      |          ^^^
      |
      = hint: copy the id of the folder from the console

    error: failed to read `mapping.settle`: `soon` is no duration
      --> versync.toml:10:11
       |
    10 |     settle = "soon"
       |              ^^^^^^
       |
       = hint: a number with a unit, such as "2s", "5m" or "1h 30m"
    "#);
}

#[test]
fn g1_broken_toml_is_shown_where_it_breaks() {
    insta::assert_snapshot!(told("[limits]\nuploads = = 4\n"), @r#"
    error: failed to read TOML: extra `=`, expected nothing
     --> versync.toml:2:11
      |
    2 | uploads = = 4
      |           ^
    "#);
}

#[test]
fn one_mistake_in_the_defaults_is_told_once_for_all_mappings() {
    let text = with("[defaults]\nsettle = \"soon\"", TOKEN_FILE, "")
        + "[[mapping]]\nname = \"b\"\npath = \"/b\"\nfolder = \"00000000-0000-4000-8000-000000000002\"\n";
    let problems = parse(&text, "x", &environment(&[])).unwrap_err();
    assert_eq!(problems.list().len(), 1, "{problems}");
    assert_eq!((problems.list()[0].line, problems.list()[0].column), (Some(2), Some(10)));
}

#[test]
fn a_secret_is_never_quoted() {
    let key = "00000000-0000-4000-8000-000000000001.hunter2hunter2hunter2hunter2hunter2hunter2h";
    let texts = [
        "[auth]\nuser_token = \"hunter2\"".to_owned(),
        "[auth]\nuser_token = [\"hunter2\"]".to_owned(),
        "[auth]\napi_key = 'hunter2'".to_owned(),
        "[auth]\nuser_token_file = \"hunter2\"".to_owned(),
        "[auth]\nuser_token_env = \"hunter2\"".to_owned(),
        "[auth]\napi_key_file = \"/k\"\nscope = \"hunter2\"\nttl = \"hunter2\"\nuser_id = \"hunter2\""
            .to_owned(),
        "[auth]\nuser_token_env = 5 # hunter2".to_owned(),
        "[auth]\nuser_token = \"hunter2\n".to_owned(),
        "[auth]\nuser_token = hunter2\n".to_owned(),
        "[auth]\nuser_token = \"\"\"\nhunter2\"\"\" x\n".to_owned(),
        "[auth]\nwhatever = \"hunter2\" \"x\"\n".to_owned(),
        "[auth]\npasword = \"hunter2\"".to_owned(),
        "[auth]\ncommand = [\"/bin/login\",\n  \"--pass\", \"hunter2\" x]".to_owned(),
        format!("[auth]\ncommand = [\"/bin/login\",\n \"--pass={key}\"]"),
        format!("[auth]\ncommand = [\"/bin/login\",\n \"{key}\"]"),
        "api_key = \"hunter2\"".to_owned(),
        "password = [\n \"hunter2\" \"x\"\n]".to_owned(),
        "auth = { user_token = \"hunter2\" }".to_owned(),
        "auth.user_token = \"hunter2\"".to_owned(),
        "[server]\nurl = \"https://ada:hunter2@api.example\"".to_owned(),
        "[server]\nurl = \"https://ada:hunter2@api.example\" x".to_owned(),
        "[server]\nconsole = \"https://ada:hunter2@api.example/{a}\"".to_owned(),
        "[auth]\nendpoint = { url = \"https://ada:hunter2@api.example\" }".to_owned(),
        "[auth]\nendpoint = { url = \"https://x.example\", bearer = \"hunter2\" }".to_owned(),
        "[auth.endpoint]\nurl = \"https://x.example\"\nbearer_file = \"hunter2\"".to_owned(),
    ];
    for text in texts {
        let message = told(&text);
        assert!(!message.contains("hunter2"), "{text}\n--\n{message}");
        assert!(message.contains("versync.toml"), "{message}");
    }
    let outside = environment(&[("VERSYNC_AUTH_USER_TOKEN_FILE", "hunter2")]);
    let message = parse(&with("", "", ""), "x", &outside).unwrap_err().to_string();
    assert!(message.contains("$VERSYNC_AUTH_USER_TOKEN_FILE") && !message.contains("hunter2"), "{message}");
    assert!(!format!("{outside:?}").contains("hunter2"));
}

#[test]
fn what_would_steer_a_terminal_is_escaped() {
    let message = told("\"\\u001b[31mred\" = 1\nbad\u{202e} = 2");
    assert!(!message.contains(['\u{1b}', '\u{202e}']), "{message}");
    let message = told(&with("\"\\u001b[31mred\" = 1", TOKEN_FILE, ""));
    assert!(!message.contains('\u{1b}'), "{message}");
}
