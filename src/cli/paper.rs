//! Where a command prints: results on stdout, talk on stderr. Nothing here fails when nobody reads.
//!
//! A closed pipe is a reader that has seen enough, and a full disk behind a redirect must not turn a finished sync into a
//! panic, so write errors are dropped.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::Value;

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paper {
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

impl Paper {
    pub(super) fn new(json: bool) -> Self {
        Self { form: if json { Form::Json } else { Form::Text } }
    }

    /// Whether a machine reads stdout.
    pub(super) fn is_json(self) -> bool {
        self.form == Form::Json
    }

    /// Whether a person watches stderr, where progress is shown.
    pub(super) fn is_watched(self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// A line of the result, where a person reads it.
    pub(super) fn line(self, text: &str) {
        if self.form == Form::Text {
            drop(writeln!(anstream::stdout().lock(), "{text}"));
        }
    }

    /// An object of the result, on one line, where a machine reads it.
    pub(super) fn object(self, value: &Value) {
        if self.form == Form::Json {
            drop(writeln!(std::io::stdout().lock(), "{value}"));
        }
    }

    /// Bytes of the result, as they are.
    pub(super) fn raw(self, bytes: &[u8]) {
        drop(std::io::stdout().lock().write_all(bytes));
    }

    /// Something said beside the result.
    pub(super) fn talk(self, text: &str) {
        drop(writeln!(anstream::stderr().lock(), "{text}"));
    }
}

/// Prints what clap has to say, help and version included, and returns its exit code.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    drop(error.print());
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}
