//! A credential that can be sent and compared, and never shown: no `Display`, an empty `Debug`, wiped when dropped.
//!
//! Also the last net below it: what a server writes to us is searched for the very credentials that were sent to it. Knows
//! neither where credentials come from nor where they go.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

/// The longest credential that is taken for one, in bytes: a whole page by mistake is not.
const LONGEST: usize = 16 * 1024;

/// What every public token begins with. Source: tokens seen in public samples of 3dverse.
const PUBLIC_PREFIX: &str = "public_";

/// A token or key.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text as a credential; white space around it is the newline of a file, not part of it.
    ///
    /// # Errors
    /// [`NoSecret`] if it is empty, too long, or could not travel in a header. The text itself is not told.
    pub fn new(text: &str) -> Result<Self, NoSecret> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NoSecret("it is empty"));
        }
        if text.len() > LONGEST {
            return Err(NoSecret("it is longer than 16 KiB"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NoSecret("it holds white space or characters outside ASCII"));
        }
        Ok(Self(SecretString::from(text)))
    }

    /// Whether it is an environment's public token, which may only read.
    pub(super) fn is_public(&self) -> bool {
        self.0.expose_secret().starts_with(PUBLIC_PREFIX)
    }

    /// As the value of a header that no log of the HTTP stack prints.
    pub(super) fn header(&self) -> Result<HeaderValue, NoSecret> {
        Self::sensitive(self.0.expose_secret())
    }

    /// As [`Secret::header`], in the form of RFC 6750.
    pub(super) fn bearer(&self) -> Result<HeaderValue, NoSecret> {
        Self::sensitive(&format!("Bearer {}", self.0.expose_secret()))
    }

    fn sensitive(text: &str) -> Result<HeaderValue, NoSecret> {
        let mut value = HeaderValue::from_str(text).map_err(|_| NoSecret("it cannot travel in a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A text that is no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSecret(&'static str);

/// `text` with every occurrence of one of `secrets` blacked out.
#[must_use]
pub(super) fn redacted(text: &str, secrets: &[Secret]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.0.expose_secret(), "[redacted]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let secret = Secret::new(" not-a-real-token\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(!format!("{:?}", secret.header()).contains("real"));
        assert!(!format!("{:?}", secret.bearer()).contains("real"));
    }

    #[test]
    fn a_text_that_would_split_a_header_is_no_secret_and_is_not_repeated() {
        for text in ["", "  \n", "not\r\na: token", "töken", &"x".repeat(LONGEST + 1)] {
            let refusal = Secret::new(text).unwrap_err().to_string();
            assert!(text.trim().is_empty() || !refusal.contains(text));
        }
    }

    #[test]
    fn an_echoed_secret_is_blacked_out_wherever_it_stands() {
        let (a, b) = (Secret::new("aaaa-fake").unwrap(), Secret::new("bbbb-fake").unwrap());
        assert_eq!(redacted("x aaaa-fake,bbbb-fakeaaaa-fake", &[a, b]), "x [redacted],[redacted][redacted]");
    }
}
