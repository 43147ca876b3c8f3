//! `versync emulator`: the emulated Asset API, for whoever wants to try without the cloud.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Global;
use super::desk;
use super::failure::{Exit, Failure};
use super::logging::{self, Reader};
use super::paper::Paper;
use crate::config::Log;
use crate::emulator::{Emulator, Knobs, Options, Seeds};
use crate::signals::{Signal, Signals};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Listen on this loopback address; port 0 stands for any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Keep everything in this directory instead of in memory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Let it behave differently from the start; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    knob: Vec<String>,
    /// List the knobs with their values and stop
    #[arg(long)]
    list_knobs: bool,
}

/// Its story.
pub(super) fn run(global: &Global, arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let knobs = knobs(&arguments.knob)?;
    if arguments.list_knobs {
        list(&knobs, paper);
        return Ok(Exit::Done);
    }
    if !arguments.listen.ip().is_loopback() {
        return Err(Failure::new(
            Exit::Usage,
            format!("failed to listen on {}: it is no loopback address", arguments.listen),
        )
        .hint("the emulator's credentials are no secrets, so it serves this machine only: use 127.0.0.1"));
    }
    let _logs = logging::init(&Log::default(), Reader::Waiting, global)?;
    desk::runtime()?.block_on(async {
        let mut signals = Signals::listen().map_err(|error| {
            Failure::new(Exit::Unclassified, format!("failed to listen to signals: {error}"))
        })?;
        let options =
            Options { listen: arguments.listen, data: arguments.data.clone(), knobs, ..Options::default() };
        let emulator = Box::pin(Emulator::start(options)).await.map_err(Failure::from)?;
        introduce(emulator.seeds(), paper);
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Gently | Signal::Now => break,
                    Signal::Reload => {}
                },
                () = emulator.join() => {
                    return Err(Failure::new(Exit::Unclassified, "failed to go on serving: the server has ended"));
                }
            }
        }
        emulator.stop().await;
        Ok(Exit::Done)
    })
}

impl From<crate::emulator::Error> for Failure {
    fn from(error: crate::emulator::Error) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::new(Exit::Unclassified, format!("{error}{cause}"))
            .hint("choose another --listen or --data, or leave it out")
    }
}

fn knobs(given: &[String]) -> Result<Knobs, Failure> {
    let mut knobs = Knobs::default();
    for setting in given {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(Failure::new(
                Exit::Usage,
                format!("failed to read --knob {setting}: it has the form NAME=VALUE"),
            )
            .hint("`versync emulator --list-knobs` lists them"));
        };
        knobs.set(name.trim(), value.trim()).map_err(|error| {
            Failure::new(Exit::Usage, format!("failed to set a knob: {error}"))
                .hint("`versync emulator --list-knobs` lists them with their values")
        })?;
    }
    Ok(knobs)
}

fn list(knobs: &Knobs, paper: &Paper) {
    // They serialize to a flat object; anything else would be a slip of ours, and shows nothing.
    let Ok(Value::Object(all)) = serde_json::to_value(knobs) else { return };
    let accepted = Knobs::accepted();
    let widest = accepted.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, values) in &accepted {
        let Some(value) = all.get(*name) else { continue };
        let value = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
        paper.line(&format!("{name:widest$}  {value}  ({values})"));
    }
    paper.object(&json!({ "schema_version": 1, "knobs": all }));
}

fn introduce(seeds: &Seeds, paper: &Paper) {
    if let Ok(value) = serde_json::to_value(seeds) {
        paper.object(&value);
    }
    let Seeds { url, folder_id, user_token, api_key, user_id, .. } = seeds;
    paper.line(&format!(
        "\
The emulator is ready. Everything in it is fake, its credentials included.

  url         {url}
  folder_id   {folder_id}
  user_id     {user_id}
  user_token  {user_token}
  api_key     {api_key}

To mirror a directory into it, write this to a file:

  [server]
  url = \"{url}\"
  [auth]
  user_token_env = \"VERSYNC_USER_TOKEN\"
  [[mapping]]
  name = \"studio\"
  path = \"/path/to/your/models\"
  folder = \"{folder_id}\"

and in another shell:

  export VERSYNC_USER_TOKEN={user_token}
  versync sync --config FILE

Ctrl-C stops it."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_that_does_not_exist_is_told_with_those_that_do() {
        let failure = knobs(&["same_nam=conflict".to_owned()]).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.heading().contains("same_name"), "{}", failure.heading());
        let failure = knobs(&["same_name".to_owned()]).unwrap_err();
        assert!(failure.heading().contains("NAME=VALUE"), "{}", failure.heading());
    }

    #[test]
    fn knobs_are_set_in_the_order_in_which_they_are_given() {
        let set = knobs(&["page_max=3".to_owned(), "page_max = 7".to_owned()]).unwrap();
        assert_eq!(set.page_max, 7);
    }
}
