//! The tables about the process as a whole: where the cloud is, how long we wait, and where the log goes.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::problem::{Findings, Spot};
use super::raw::{Environment, Given, Section, Value};
use super::value;
use crate::patience::Patience;

/// Where the cloud is and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The Asset API: https, or http to a loopback address; without user, query and fragment.
    pub url: Url,
    /// The name of the form field that carries a file.
    pub upload_field: String,
    /// The console's address as a template, for links to what was sent.
    pub console: Option<String>,
    /// Certificates that are trusted besides those of the system, in a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Whether a proxy stands between.
    pub proxy: Proxy,
}

/// Whether a proxy stands between us and the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// None, whatever the environment says. The default for a server on this machine.
    None,
    /// As `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say. The default for all other servers.
    Environment,
}

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// In which shape.
    pub format: LogFormat,
    /// The file; stderr, if there is none.
    pub file: Option<PathBuf>,
    /// How large the file may grow before another is begun, in bytes.
    pub max_size: u64,
    /// How many full files are kept.
    pub keep: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, file: None, max_size: 10 << 20, keep: 5 }
    }
}

/// In which shape a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The Asset API as the public knows it.
pub const CLOUD: &str = "https://api.3dverse.com/app/v1";

/// Reads `[server]`.
pub(super) fn read(
    top: &Section<'_>,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<Server> {
    let section = top.table("server", "server", findings);
    section.refuse_unknown(findings);
    let url = match section.get("url", findings) {
        Some(given) => value::address(&given, findings),
        None => Url::parse(CLOUD).ok(),
    };
    let upload_field = section.get("upload_field", findings).and_then(|given| {
        let text = value::line(&given, findings)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
        if !text.chars().all(plain) {
            given.refuse(findings, &format!("`{text}` is no plain name of a form field"), "");
            return None;
        }
        Some(text)
    });
    let console = section.get("console", findings).and_then(|given| {
        let template = value::line(&given, findings)?;
        let filled = value::text(&given, findings)?.replace(['{', '}'], "");
        let filled = Given { value: Value::Outside(filled), ..given };
        value::address(&filled, findings).map(|_| template)
    });
    let ca_file =
        section.get("ca_file", findings).and_then(|given| value::path(&given, environment, findings));
    let proxy = section.get("proxy", findings).and_then(|given| {
        value::word(&given, &[("env", Proxy::Environment), ("none", Proxy::None)], &[], findings)
    });
    let url = url?;
    let usual = if value::is_loopback(&url) { Proxy::None } else { Proxy::Environment };
    Some(Server {
        url,
        upload_field: upload_field.unwrap_or_else(|| "file".to_owned()),
        console,
        ca_file,
        proxy: proxy.unwrap_or(usual),
    })
}

/// Reads `[log]`.
pub(super) fn read_log(top: &Section<'_>, environment: &Environment, findings: &mut Findings<'_>) -> Log {
    let section = top.table("log", "log", findings);
    section.refuse_unknown(findings);
    let usual = Log::default();
    let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = section.get("format", findings);
    let format = format.and_then(|given| value::word(&given, &formats, &[], findings));
    let file = section.get("file", findings);
    let file = file.and_then(|given| value::path(&given, environment, findings));
    let max_size = section.get("max_size", findings);
    let max_size = max_size.and_then(|given| value::size(&given, 1024..=1 << 40, findings));
    let keep = section.get("keep", findings).and_then(|given| value::count(&given, 1..=1000, findings));
    Log {
        format: format.unwrap_or(usual.format),
        file,
        max_size: max_size.unwrap_or(usual.max_size),
        keep: keep.unwrap_or(usual.keep),
    }
}

/// Reads `[limits]`: every wait, and the rate in bytes a second.
pub(super) fn read_limits(top: &Section<'_>, findings: &mut Findings<'_>) -> (Patience, Option<u64>) {
    let section = top.table("limits", "limits", findings);
    section.refuse_unknown(findings);
    let mut patience = Patience::default();
    if let Some(given) = section.get("uploads", findings)
        && let Some(uploads) = value::count(&given, 1..=64, findings)
    {
        patience.uploads = uploads;
    }
    // The bounds keep out slips of the pen. The lower ones are low on purpose: tests wait for none of the real waits.
    let (minute, hour, day) = (60, 3600, 24 * 3600);
    let waits = [
        ("ambiguous_wait", &mut patience.ambiguous_wait, 1, day),
        ("poll_first", &mut patience.poll_first, 1, hour),
        ("poll_max", &mut patience.poll_max, 1, day),
        ("stalled_after", &mut patience.stalled_after, 1, 30 * day),
        ("grace", &mut patience.grace, 0, hour),
        ("retry_first", &mut patience.retry_first, 1, hour),
        ("retry_max", &mut patience.retry_max, 1, day),
        ("connect_timeout", &mut patience.connect_timeout, 10, 10 * minute),
        ("request_timeout", &mut patience.request_timeout, 10, hour),
        ("stall_timeout", &mut patience.stall_timeout, 10, hour),
        ("answer_timeout", &mut patience.answer_timeout, 10, day),
        ("root_timeout", &mut patience.root_timeout, 10, hour),
        ("shutdown_timeout", &mut patience.shutdown_timeout, 0, hour),
    ];
    for (key, wait, least, most) in waits {
        let range = Duration::from_millis(least)..=Duration::from_secs(most);
        if let Some(given) = section.get(key, findings)
            && let Some(duration) = value::duration(&given, range, findings)
        {
            *wait = duration;
        }
    }
    for (first, most, longer) in [
        ("poll_first", "poll_max", patience.poll_first > patience.poll_max),
        ("retry_first", "retry_max", patience.retry_first > patience.retry_max),
    ] {
        if longer {
            let spots = [first, most].map(|key| findings.spot(&section.label_of(key)));
            let [first_spot, most_spot] = spots;
            let spot = if most_spot == Spot::Nowhere { first_spot } else { most_spot };
            findings.add(&spot, format!("`limits.{first}` is longer than `limits.{most}`"), "");
        }
    }
    let rate = section.get("rate", findings).and_then(|given| value::rate(&given, findings));
    (patience, rate)
}
