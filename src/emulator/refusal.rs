//! How the emulator says no: an HTTP status and the API's error shape `{"errorCode": number, "message": string}`.
//!
//! The catalogue of the real codes is not public; these are three digits of status and two of our own.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refused request.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: u32,
    message: String,
    /// Sent as it stands, for 429 only.
    retry_after: Option<String>,
}

impl Refusal {
    /// 400: the request cannot mean anything.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: no credential, or one that is unknown, expired or revoked.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403: a valid credential that may not do this.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: no such thing, or not yet.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 405: this path exists, with other methods.
    pub(super) fn wrong_method(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    /// 409: the state of the cloud forbids it.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 413: more bytes than the server takes.
    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 415: the body is of a type that this route does not take.
    pub(super) fn wrong_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 429: too many requests.
    pub(super) fn too_many(retry_after: Option<String>) -> Self {
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests") }
    }

    /// 500: the emulator itself failed, for example because its disk is full.
    pub(super) fn broken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// A refusal with any status.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code: u32::from(status.as_u16()) * 100, message, retry_after: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "errorCode": self.code, "message": self.message }));
        let mut response = (self.status, body).into_response();
        if let Some(value) = self.retry_after.and_then(|text| text.parse().ok()) {
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, value);
        }
        response
    }
}
