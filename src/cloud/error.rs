//! What goes wrong at the door to the cloud, and who has to act. Knows statuses and transport failures, no route and no plan.
//!
//! An error is made of texts that were cleaned when it was made: no URL with a query, no header, no credential.

use std::time::Duration;

use super::secret::{Secret, redacted};
use crate::file::shown;
use crate::timestamp::Timestamp;
use crate::verdict::{Blame, Failure};

/// How much of a server's message is kept, in characters.
const LONGEST_MESSAGE: usize = 500;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long to wait when a server asks for it in words that nobody understands.
const UNCLEAR_WAIT: Duration = Duration::from_secs(60);

/// A request that came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to {doing}: {kind}")]
pub struct Error {
    /// What was tried, finishing "failed to …".
    doing: String,
    /// Why it did not work.
    kind: Kind,
}

/// Why a request came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Kind {
    /// A status that is neither 2xx nor 3xx.
    #[error("the cloud answered {status}{}{message}{}", shown_code(*.code), cure_of(*.standing))]
    Refused {
        status: u16,
        code: Option<i64>,
        message: String,
        retry_after: Option<Duration>,
        standing: Standing,
    },
    /// A redirect where none is followed.
    #[error("the cloud answered {status} and points to {host}; no redirect is followed here: correct `url`")]
    Redirected { status: u16, host: String },
    /// No answer, or half of one.
    #[error("{0}")]
    Transport(String),
    /// The certificate of the far side is not trusted.
    #[error("{0}; if your network has its own certificate authority, set `ca_file`")]
    Certificate(String),
    /// A 2xx that is not what the route promises.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The bytes to be sent could not be had.
    #[error("{0}")]
    Body(String),
    /// No token that could be used.
    #[error("{0}; log in again")]
    Login(String),
    /// A setting that cannot work, or a request that must not be made.
    #[error("{0}")]
    Setting(String),
}

/// What a 401 says of the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The token may simply have grown old: the next request brings another.
    Stale,
    /// A fresh token was refused as well, or there is no other.
    Final,
}

/// Both causes that a steady 401 has: to the cloud a request whose header was dropped on the way looks like one without a token.
const fn cure_of(standing: Standing) -> &'static str {
    match standing {
        Standing::Stale => "",
        Standing::Final => {
            "; log in again, or, where the login is good, have each proxy on the way pass on headers with an underscore, which nginx drops by default"
        }
    }
}

fn shown_code(code: Option<i64>) -> String {
    code.map_or_else(|| ": ".into(), |code| format!(" (error code {code}): "))
}

impl Error {
    pub(super) fn new(doing: &str, kind: Kind) -> Self {
        Self { doing: doing.into(), kind }
    }

    pub(super) fn malformed(doing: &str, why: impl Into<String>) -> Self {
        Self::new(doing, Kind::Malformed(why.into()))
    }

    pub(super) fn login(why: impl Into<String>) -> Self {
        Self::new("get a user token", Kind::Login(why.into()))
    }

    pub(super) fn setting(doing: &str, why: impl Into<String>) -> Self {
        Self::new(doing, Kind::Setting(why.into()))
    }

    /// From an answer that is no 2xx: the documented error shape, or whatever a gateway wrote instead.
    pub(super) fn refused(
        doing: &str,
        status: u16,
        body: &[u8],
        secrets: &[Secret],
        wait: Option<Duration>,
    ) -> Self {
        let (code, text) = match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(serde_json::Value::Object(fields)) => (
                fields.get("errorCode").and_then(serde_json::Value::as_i64),
                fields.get("message").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
            ),
            _ => (None, String::from_utf8_lossy(body).into_owned()),
        };
        let message = match clean(&text, secrets) {
            message if message.trim().is_empty() => "without a word".into(),
            message => message,
        };
        let kind = Kind::Refused { status, code, message, retry_after: wait, standing: Standing::Stale };
        Self::new(doing, kind)
    }

    /// From a failure of the HTTP stack: with the host that it concerns, without the URL that its own display would tell.
    pub(super) fn transport(doing: &str, error: reqwest::Error, secrets: &[Secret]) -> Self {
        let host =
            error.url().and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
        let error = error.without_url();
        let mut text = String::new();
        let mut link: Option<&dyn std::error::Error> = Some(&error);
        while let Some(cause) = link {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            link = cause.source();
        }
        if let Some((host, port)) = host {
            text.push_str(&format!(" ({host}:{port})"));
        }
        let text = clean(&text, secrets);
        // rustls is not ours to name here, so its errors are told apart by their words; only the hint hangs on it.
        let certificate = error.is_connect() && text.contains("certificate");
        Self::new(doing, if certificate { Kind::Certificate(text) } else { Kind::Transport(text) })
    }

    pub(super) fn late(doing: &str, what: &str, after: Duration) -> Self {
        Self::new(doing, Kind::Transport(format!("{what} for {} s", after.as_secs_f32())))
    }

    /// The same refusal, now known to concern the login itself.
    pub(super) fn for_good(mut self) -> Self {
        if let Kind::Refused { standing, .. } = &mut self.kind {
            *standing = Standing::Final;
        }
        self
    }

    /// The HTTP status, if there was an answer with one that is no 2xx.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Refused { status, .. } | Kind::Redirected { status, .. } => Some(*status),
            Kind::Transport(_) | Kind::Certificate(_) | Kind::Malformed(_) => None,
            Kind::Body(_) | Kind::Login(_) | Kind::Setting(_) => None,
        }
    }

    /// The server's own number for what is wrong (`errorCode`); the catalogue is not public.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        match &self.kind {
            Kind::Refused { code, .. } => *code,
            Kind::Redirected { .. } | Kind::Transport(_) | Kind::Certificate(_) | Kind::Malformed(_) => None,
            Kind::Body(_) | Kind::Login(_) | Kind::Setting(_) => None,
        }
    }

    /// Whether nothing can be done until somebody logs in.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        self.blame() == Blame::User
    }

    /// How long the server asked us to stay away: at most an hour, 60 s if it asked unintelligibly.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Refused { retry_after, .. } => *retry_after,
            Kind::Redirected { .. } | Kind::Transport(_) | Kind::Certificate(_) | Kind::Malformed(_) => None,
            Kind::Body(_) | Kind::Login(_) | Kind::Setting(_) => None,
        }
    }

    /// Who has to act. A 403 or 404 on something made a moment ago may only be early: the caller knows its age.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match &self.kind {
            Kind::Refused { status, standing, .. } => match (status, standing) {
                (401, Standing::Final) => Blame::User,
                (401, Standing::Stale) => Blame::Cloud,
                (403 | 404, Standing::Stale | Standing::Final) => Blame::Mapping,
                (400 | 409 | 413 | 415 | 422, Standing::Stale | Standing::Final) => Blame::File,
                // 429, 5xx, and what only gateways say: nothing that one file could cure.
                (_, Standing::Stale | Standing::Final) => Blame::Cloud,
            },
            Kind::Redirected { .. } | Kind::Transport(_) | Kind::Certificate(_) | Kind::Malformed(_) => {
                Blame::Cloud
            }
            Kind::Body(_) => Blame::File,
            Kind::Login(_) => Blame::User,
            Kind::Setting(_) => Blame::Us,
        }
    }

    /// As the end of a step.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        Failure { blame: self.blame(), what: self.to_string(), retry_after: self.retry_after() }
    }
}

/// What the sender of an upload may conclude from its failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UploadError {
    /// The server cannot hold it: sending again later is safe.
    #[error("{0}")]
    NotTaken(Error),
    /// All bytes were handed over and no answer says what became of them: the cloud must be asked before anything is sent.
    #[error("{0}; the cloud may hold it all the same")]
    Unknown(Error),
}

impl UploadError {
    /// What went wrong, whatever may be concluded from it.
    #[must_use]
    pub fn error(&self) -> &Error {
        match self {
            Self::NotTaken(error) | Self::Unknown(error) => error,
        }
    }
}

/// A text from outside as it may be shown: without credentials, escaped, and not endless.
pub(super) fn clean(text: &str, secrets: &[Secret]) -> String {
    // Blacked out before it is cut, so that the cut cannot leave half a secret.
    let mut kept: String = redacted(text, secrets).chars().take(LONGEST_MESSAGE + 1).collect();
    if kept.chars().count() > LONGEST_MESSAGE {
        kept.pop();
        kept.push('…');
    }
    shown(kept.trim())
}

/// The wait that a `Retry-After` asks for: seconds, or a date that is compared with `now`, best the server's own.
#[must_use]
pub(super) fn wait_of(value: &str, now: Timestamp) -> Duration {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are more than an hour.
        return value.parse().map_or(LONGEST_WAIT, Duration::from_secs).min(LONGEST_WAIT);
    }
    http_date(value).map_or(UNCLEAR_WAIT, |then| then.since(now).min(LONGEST_WAIT))
}

/// A date as HTTP writes it (`IMF-fixdate` of RFC 9110).
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    let moment =
        jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value).ok()?;
    Some(Timestamp::from_stat(moment.as_second(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h10_a_server_may_ask_for_an_hour_at_most_and_is_understood_or_given_a_minute() {
        let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("0", 0),
            ("7", 7),
            (" 120 ", 120),
            ("1000000000", 3600),
            ("99999999999999999999999", 3600),
            ("-1", 60),
            ("1.5", 60),
            ("", 60),
            ("soon", 60),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
            ("Sun, 06 Nov 1994 08:49:40 GMT", 3),
            ("Sun, 06 Nov 1994 07:00:00 GMT", 0),
            ("Sun, 06 Nov 2094 08:49:37 GMT", 3600),
        ] {
            assert_eq!(wait_of(value, now), Duration::from_secs(seconds), "{value}");
        }
    }

    #[test]
    fn every_status_has_somebody_who_must_act() {
        for (status, blame) in [
            (400, Blame::File),
            (401, Blame::Cloud),
            (403, Blame::Mapping),
            (404, Blame::Mapping),
            (408, Blame::Cloud),
            (409, Blame::File),
            (413, Blame::File),
            (415, Blame::File),
            (422, Blame::File),
            (429, Blame::Cloud),
            (500, Blame::Cloud),
            (507, Blame::Cloud),
        ] {
            assert_eq!(Error::refused("try", status, b"", &[], None).blame(), blame, "{status}");
        }
        assert_eq!(Error::refused("try", 401, b"", &[], None).for_good().blame(), Blame::User);
    }

    #[test]
    fn n11_a_message_of_the_server_is_cut_escaped_and_without_our_token() {
        let secret = Secret::new("fake-token").unwrap();
        let body = format!(r#"{{"errorCode":7,"message":"\u001b[31mfake-token {}"}}"#, "x".repeat(600));
        let error = Error::refused("try", 400, body.as_bytes(), std::slice::from_ref(&secret), None);
        let text = error.to_string();
        assert!(
            text.starts_with(
                r"failed to try: the cloud answered 400 (error code 7): \u{1b}[31m[redacted] xxx"
            )
        );
        assert!(text.ends_with("x…") && text.chars().count() < 600, "{text}");
        assert!(!format!("{error:?}").contains("fake-token"));
    }
}
