//! The real binary in a cleared environment: what a user types, and what comes back.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::world::World;

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its result as the one JSON object that it is.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl World {
    /// Writes a file that only its owner may read, beside the root.
    pub(crate) fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes the usual configuration for the binary, or another one.
    pub(crate) fn configure(&self, text: &str) {
        self.secret("versync.toml", text);
    }

    /// The command, ready to run: nothing of the environment reaches it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_versync"));
        command.args(arguments).env_clear().env("HOME", self.dir()).env("PATH", "/usr/bin:/bin");
        command.env("VERSYNC_CONFIG", self.dir().join("versync.toml")).current_dir(self.dir());
        command.stdin(Stdio::null());
        command
    }

    /// The command in an environment of its own: behind another program, such as `unshare`, that runs it.
    pub(crate) fn behind(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_versync")).args(arguments);
        command.env_clear().env("HOME", self.dir()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("VERSYNC_CONFIG", self.dir().join("versync.toml")).current_dir(self.dir());
        command.stdin(Stdio::null());
        command
    }

    /// Starts a command that goes on, behind another program.
    pub(crate) fn start_behind(&self, wrapper: &[&str], arguments: &[&str]) -> Started {
        let mut command = self.behind(wrapper, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Started(command.spawn().unwrap())
    }

    /// Waits until `status --json` says of the mapping `name` what is wanted, and gives it back.
    pub(crate) async fn until_standing(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.until_standing_behind(&[], name, is_so).await
    }

    /// As [`World::until_standing`], asked behind another program.
    pub(crate) async fn until_standing_behind(
        &self,
        wrapper: &[String],
        name: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let standing = |told: &Value| {
            let mappings = told["mappings"].as_array().cloned().unwrap_or_default();
            mappings.into_iter().find(|it| it["name"] == name)
        };
        let told = self
            .until_told_behind(wrapper, |told| {
                told["running"] == true && standing(told).is_some_and(|it| is_so(&it))
            })
            .await;
        standing(&told).unwrap()
    }

    /// Waits until `status --json` says what is wanted, asked behind another program, and gives it back.
    pub(crate) async fn until_told_behind(
        &self,
        wrapper: &[String],
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let wait = async {
            loop {
                let said = self.versync_behind(wrapper, &["status", "--json"]).await;
                last = serde_json::from_str(&said.out).unwrap_or_default();
                if is_so(&last) {
                    return;
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(40), wait).await.is_err() {
            panic!("it did not come to that: {last}");
        }
        last
    }

    /// Runs a command to its end.
    pub(crate) async fn versync(&self, arguments: &[&str]) -> Said {
        self.versync_behind(&[], arguments).await
    }

    /// Runs a command to its end, behind another program if there is one.
    pub(crate) async fn versync_behind(&self, wrapper: &[String], arguments: &[&str]) -> Said {
        let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
        let mut command =
            if wrapper.is_empty() { self.command(arguments) } else { self.behind(&wrapper, arguments) };
        tokio::task::spawn_blocking(move || Said::of(command.output().unwrap())).await.unwrap()
    }

    /// Starts a command that goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Started(command.spawn().unwrap())
    }
}

/// A command that goes on; killed when it is dropped.
pub(crate) struct Started(Child);

impl Started {
    /// Waits until it says a line on stderr that holds this text.
    pub(crate) async fn says(&mut self, text: &str) {
        let stderr = self.0.stderr.take().unwrap();
        let text = text.to_owned();
        let heard = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stderr);
            let mut heard = String::new();
            loop {
                let mut line = String::new();
                assert!(lines.read_line(&mut line).unwrap() > 0, "it never said {text:?}:\n{heard}");
                heard.push_str(&line);
                if line.contains(&text) {
                    return lines.into_inner();
                }
            }
        });
        self.0.stderr = Some(heard.await.unwrap());
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    /// The most memory that it has had so far, in bytes, where the system tells.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    }

    /// What the system lets it do, as `/proc` shows it.
    pub(crate) fn limits(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/limits", self.0.id())).unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Option<i32> {
        tokio::task::spawn_blocking(move || self.0.wait().unwrap().code()).await.unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
