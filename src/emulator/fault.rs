//! What can go wrong on the way, on demand: the next request to a route, the n-th from now, or every one.
//!
//! The catalogue and the script. How a fault is acted out is `gate`. Resets are real: the connection below is told to
//! end by RST (see `wire`).

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// A scripted fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The method it is for; `*` for any.
    #[serde(default = "any")]
    pub method: String,
    /// The route it is for, as `/folders/{id}/source-files`; the names in braces do not matter. `*` for any.
    #[serde(default = "any")]
    pub route: String,
    /// Which of the requests that fit, counted from now.
    #[serde(default)]
    pub turn: Turn,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// Which request a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// The n-th that fits, once; 1 is the next.
    Nth(u32),
    /// Every one that fits.
    Every,
}

impl Default for Turn {
    fn default() -> Self {
        Self::Nth(1)
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FaultKind {
    /// Answers before the body is read; nothing is done.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body; empty for the API's error shape.
        #[serde(default)]
        body: String,
    },
    /// Reads the whole body, then answers; nothing is done.
    StatusAfterBody {
        /// The HTTP status.
        status: u16,
        /// The body; empty for the API's error shape.
        #[serde(default)]
        body: String,
    },
    /// Waits, then does what was asked.
    Delay {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// Resets the connection before the body is read.
    ResetBefore,
    /// Reads so much of the body, then resets the connection.
    ResetAfterBytes {
        /// How much of the body.
        bytes: u64,
        /// What becomes of it.
        #[serde(default)]
        kept: Kept,
    },
    /// Reads the whole body, stores nothing and resets the connection.
    ResetAfterBody,
    /// Reads so much of the body and no more; the connection stays open.
    StopReading {
        /// How much of the body.
        bytes: u64,
    },
    /// Does what was asked, then closes the connection without an answer.
    AcceptThenLose,
    /// Does what was asked, then resets the connection.
    AcceptThenReset,
    /// Does what was asked, and answers later. The journal tells the answer as soon as it is done.
    AcceptThenDelay {
        /// How much later, in milliseconds.
        ms: u64,
    },
    /// Does what was asked and answers with the right head, but the body breaks off.
    Truncate {
        /// How much of the body is sent.
        bytes: usize,
    },
    /// Does what was asked and answers byte by byte.
    SlowAnswer {
        /// The pause before each byte, in milliseconds.
        ms_per_byte: u64,
    },
    /// Answers 200 with a web page, as captive portals do; nothing is done.
    Html,
    /// Does what was asked, then answers 200 with a web page.
    AcceptThenHtml,
    /// Answers 429; nothing is done.
    RateLimited {
        /// `Retry-After` as it is to be sent; `None` for no such header.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// Redirects; nothing is done.
    Redirect {
        /// The HTTP status.
        #[serde(default = "found")]
        status: u16,
        /// Where to.
        location: String,
    },
    /// Does what was asked and answers with a header of this size.
    HugeHeader {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Does what was asked and answers with so many headers.
    ManyHeaders {
        /// How many.
        count: usize,
    },
    /// Sends this text in place of an answer, then closes; nothing is done.
    Raw {
        /// What is sent.
        text: String,
    },
    /// Answers 200 with JSON of about this size; nothing is done.
    Flood {
        /// Its length in bytes.
        bytes: u64,
    },
}

/// What becomes of an upload that broke off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Nothing is kept.
    #[default]
    Nothing,
    /// A badly made server: what has arrived is stored as if it were whole.
    Partial,
}

impl Fault {
    /// A fault for the next request to a route.
    pub fn next(method: &str, route: &str, kind: FaultKind) -> Self {
        Self { method: method.into(), route: route.into(), turn: Turn::Nth(1), kind }
    }

    /// The same for the n-th request from now.
    #[must_use]
    pub fn nth(self, n: u32) -> Self {
        Self { turn: Turn::Nth(n), ..self }
    }

    /// The same for every request.
    #[must_use]
    pub fn every(self) -> Self {
        Self { turn: Turn::Every, ..self }
    }

    fn fits(&self, method: &str, route: &str) -> bool {
        (self.method == "*" || self.method.eq_ignore_ascii_case(method))
            && (self.route == "*" || nameless(&self.route) == nameless(route))
    }
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Puts a fault behind the others.
    pub(super) fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Those still to come.
    pub(super) fn all(&self) -> Vec<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What hits this request: the first whose turn it is. All others that fit come one request nearer.
    pub(super) fn hit(&self, method: &str, route: &str) -> Option<FaultKind> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hit = None;
        faults.retain_mut(|fault| {
            if !fault.fits(method, route) {
                return true;
            }
            match fault.turn {
                Turn::Every => {
                    hit.get_or_insert_with(|| fault.kind.clone());
                    true
                }
                Turn::Nth(0 | 1) if hit.is_some() => true,
                Turn::Nth(0 | 1) => {
                    hit = Some(fault.kind.clone());
                    false
                }
                Turn::Nth(n) => {
                    fault.turn = Turn::Nth(n - 1);
                    true
                }
            }
        });
        hit
    }
}

fn any() -> String {
    "*".into()
}

fn found() -> u16 {
    302
}

/// A route without the names of its ids.
fn nameless(route: &str) -> String {
    let parts = route.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_its_turn_and_strikes_once() {
        let faults = Faults::default();
        faults.add(Fault::next("GET", "/folders/{folder_id}", FaultKind::Html).nth(2));
        assert_eq!(faults.hit("GET", "/folders/{id}"), None);
        assert_eq!(faults.hit("POST", "/folders/{id}"), None);
        assert_eq!(faults.hit("GET", "/folders"), None);
        assert_eq!(faults.hit("GET", "/folders/{id}"), Some(FaultKind::Html));
        assert_eq!(faults.hit("GET", "/folders/{id}"), None);
    }

    #[test]
    fn two_faults_for_the_next_request_strike_one_after_the_other() {
        let faults = Faults::default();
        faults.add(Fault::next("*", "*", FaultKind::Html));
        faults.add(Fault::next("*", "*", FaultKind::ResetBefore));
        faults.add(Fault::next("*", "*", FaultKind::ResetAfterBody).every());
        assert_eq!(faults.hit("GET", "/folders"), Some(FaultKind::Html));
        assert_eq!(faults.hit("GET", "/folders"), Some(FaultKind::ResetBefore));
        assert_eq!(faults.hit("GET", "/folders"), Some(FaultKind::ResetAfterBody));
        assert_eq!(faults.hit("GET", "/folders"), Some(FaultKind::ResetAfterBody));
    }

    #[test]
    fn a_fault_can_be_written_in_json() {
        let text = r#"{"method":"POST","route":"/folders/{id}/source-files","turn":{"nth":2},
            "kind":{"reset_after_bytes":{"bytes":100,"kept":"partial"}}}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(fault.kind, FaultKind::ResetAfterBytes { bytes: 100, kept: Kept::Partial });
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"html","rout":"*"}"#).is_err());
        assert_eq!(serde_json::from_str::<Fault>(r#"{"kind":"html"}"#).unwrap().turn, Turn::Nth(1));
    }
}
