//! How the client asks: with a token, once more with another if that one was refused, and what may be concluded from an
//! answer. Knows no route but the upload's, whose outcome is a question of its own.

use reqwest::Method;
use serde_json::Value;

use super::error::{Error, UploadError, clean};
use super::exchange::{Answer, Call, Credential};
use super::parcel::{Handed, Parcel};
use super::remote::Folder;
use super::secret::Secret;
use super::token::Rejection;
use super::{Client, Receipt, wire};
use crate::id::FolderId;

/// An answer and the credentials that must not turn up in what is said about it.
pub(super) struct Heard {
    pub(super) answer: Answer,
    secrets: Vec<Secret>,
}

impl Heard {
    /// Reads the answer as JSON and then as what the route promises.
    pub(super) fn read<T>(
        &self,
        call: &Call,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<T, Error> {
        let value = serde_json::from_slice(&self.answer.body).map_err(|error| error.to_string());
        value.and_then(read).map_err(|why| Error::malformed(&call.doing, clean(&why, &self.secrets)))
    }
}

impl Client {
    /// Sends files into a folder as one request. Source: `POST /folders/{id}/source-files`.
    ///
    /// There is no limit for the whole, only for standing still and for the answer. A token that grew old is replaced for the
    /// next upload, not for this one: its bytes cannot be had twice.
    ///
    /// # Errors
    /// [`UploadError`] says whether the cloud may hold the files all the same.
    pub async fn upload(&self, folder: FolderId, parcel: Parcel) -> Result<Receipt, UploadError> {
        let path = ["folders", &folder.to_string(), "source-files"];
        let call = self.call(format!("upload to folder {folder}"), Method::POST, &path, None);
        if parcel.parts.is_empty() {
            return Err(UploadError::NotTaken(Error::setting(&call.doing, "there is nothing to send")));
        }
        let token = self.tokens.current().await.map_err(UploadError::NotTaken)?;
        let credential = Credential::UserToken(&token);
        let (outcome, handed) = self.exchange.upload(&call, credential, parcel, &self.upload_field).await;
        match (outcome, handed) {
            (Ok(answer), Handed::Whole) => {
                self.tokens.accepted(&token);
                let heard = Heard { answer, secrets: self.exchange.remember(credential) };
                let task = heard.read(&call, |value| wire::receipt(&value)).map_err(UploadError::Unknown)?;
                Ok(Receipt { task })
            }
            (Ok(_), Handed::InPart) => {
                // It calls that done which it cannot have: better to look than to believe either.
                Err(UploadError::Unknown(Error::malformed(&call.doing, "it came before the files were sent")))
            }
            (Err(error), _) if error.status() == Some(401) => {
                Err(UploadError::NotTaken(self.stale(&token, error)))
            }
            (Err(error), Handed::Whole | Handed::InPart) if is_refusal(error.status()) => {
                Err(UploadError::NotTaken(error))
            }
            (Err(error), Handed::InPart) => Err(UploadError::NotTaken(error)),
            (Err(error), Handed::Whole) => Err(UploadError::Unknown(error)),
        }
    }

    pub(super) fn call(&self, doing: String, method: Method, path: &[&str], json: Option<Value>) -> Call {
        Call { doing, method, url: self.exchange.url(path), json, cap: wire::CAP }
    }

    /// Asks, and reads what it is told.
    pub(super) async fn told<T>(
        &self,
        call: &Call,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<T, Error> {
        self.ask(call).await?.read(call, read)
    }

    /// Asks for something to be done; any 2xx says that it is.
    pub(super) async fn done(&self, call: &Call) -> Result<(), Error> {
        self.ask(call).await.map(drop)
    }

    /// Asks; a 401 did nothing, so it is asked once more with another token.
    pub(super) async fn ask(&self, call: &Call) -> Result<Heard, Error> {
        let token = self.tokens.current().await?;
        match self.exchange.control(call, Credential::UserToken(&token)).await {
            Ok(answer) => {
                self.tokens.accepted(&token);
                Ok(Heard { answer, secrets: self.exchange.remember(Credential::UserToken(&token)) })
            }
            Err(error) if error.status() == Some(401) => {
                let token = self.another_token(&token, error).await?;
                let again = self.exchange.control(call, Credential::UserToken(&token)).await;
                let answer = again.map_err(|error| self.twice_refused(&token, error))?;
                self.tokens.accepted(&token);
                Ok(Heard { answer, secrets: self.exchange.remember(Credential::UserToken(&token)) })
            }
            Err(error) => Err(error),
        }
    }

    /// A token to try after `refused` was answered by 401, unless there is no point.
    pub(super) async fn another_token(&self, refused: &Secret, error: Error) -> Result<Secret, Error> {
        match self.tokens.refused(refused) {
            Rejection::TryAnother => self.tokens.current().await,
            Rejection::Hopeless => Err(error.for_good()),
            Rejection::NotYet => Err(error),
        }
    }

    /// The failure of a second try: a 401 is then a matter of the login, unless the token was born for that try.
    pub(super) fn twice_refused(&self, token: &Secret, error: Error) -> Error {
        if error.status() != Some(401) {
            return error;
        }
        match self.tokens.refused(token) {
            Rejection::TryAnother | Rejection::Hopeless => error.for_good(),
            Rejection::NotYet => error,
        }
    }

    /// A 401 where no second try is made.
    fn stale(&self, token: &Secret, error: Error) -> Error {
        match self.tokens.refused(token) {
            Rejection::TryAnother | Rejection::NotYet => error,
            Rejection::Hopeless => error.for_good(),
        }
    }
}

/// Whether a server that says this has surely taken nothing, whatever it was sent.
const fn is_refusal(status: Option<u16>) -> bool {
    matches!(status, Some(400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429))
}

/// The folder that was made, in an answer that may be a tree around it: the only one of that name in the right place.
pub(super) fn one_of(found: Vec<Folder>, name: &str, parent: Option<FolderId>) -> Option<Folder> {
    let lone = found.len() == 1;
    let fits = |told: &Folder| {
        let placed = match (parent, told.parent) {
            (Some(parent), Some(of)) => parent == of && told.id != parent,
            (Some(parent), None) => told.id != parent,
            (None, of) => of.is_none(),
        };
        // The server may have trimmed or changed the name of what it was asked for.
        placed && (told.name == name || lone)
    };
    let mut fitting = found.into_iter().filter(fits);
    let made = fitting.next()?;
    match fitting.next() {
        None => Some(Folder { parent: parent.or(made.parent), ..made }),
        Some(_) => None,
    }
}
