//! What every request passes: the journal, the rate limit, the scripted faults, and the saving of what it changed.
//!
//! Faults on the way in spoil the body before a route reads it; faults on the way out spoil the answer after the
//! route has done its work. This file must not know what any route does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::clock::{Millis, http_date};
use super::fault::{FaultKind, Kept};
use super::journal::{self, Outcome};
use super::knobs::Knobs;
use super::knobs::choice::Switch;
use super::refusal::Refusal;
use super::wire::Wire;
use super::{PREFIX, Site};

/// How many requests came in the current second.
#[derive(Debug, Default)]
pub(super) struct Rate(Mutex<(Millis, u64)>);

impl Rate {
    /// Whether one more request is within the limit.
    fn admits(&self, now: Millis, limit: u64) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let second = now.div_euclid(1000);
        *window = if window.0 == second { (second, window.1 + 1) } else { (second, 1) };
        limit == 0 || window.1 <= limit
    }
}

/// The line of the journal that a route may add to.
#[derive(Clone, Debug)]
pub(super) struct Noted(pub(super) Arc<journal::Line>);

/// Says to the upload route that a body that breaks off is to be stored as far as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepPartial;

/// How a request ends after its route has answered.
enum Exit {
    Answer(Box<Response>),
    /// No answer: the wire has been told to end.
    HangUp,
}

/// Lets a request of the API through to its route.
pub(super) async fn pass(
    State(site): State<Arc<Site>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    matched: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    if !request.uri().path().starts_with(PREFIX) {
        return next.run(request).await;
    }
    let below = |path: &str| path.strip_prefix(PREFIX).unwrap_or(path).to_owned();
    let path = below(request.uri().path());
    let route = matched.map_or_else(|| path.clone(), |matched| below(matched.as_str()));
    let method = request.method().clone();
    let line = Arc::new(open(&site, &request, path, &route));
    request.extensions_mut().insert(Noted(Arc::clone(&line)));
    let knobs = site.knobs();
    let exit = if !site.rate.admits(site.now(), knobs.requests_per_second) {
        Exit::Answer(Box::new(Refusal::too_many(Some("1".into())).into_response()))
    } else if method == Method::HEAD {
        // axum would answer HEAD by GET; no document says that the API does.
        Exit::Answer(Box::new(Refusal::wrong_method("HEAD is not in the API").into_response()))
    } else if percent_encoding::percent_decode_str(request.uri().path()).decode_utf8().is_err() {
        // axum would say so as well, but not in the API's error shape.
        Exit::Answer(Box::new(Refusal::malformed("the path is not UTF-8").into_response()))
    } else {
        let fault = site.faults.hit(method.as_str(), &route);
        let request = if is_upload(&method, &route) { on_knobs(request, &knobs, &wire) } else { request };
        act(&site, &wire, fault, request, next).await
    };
    match exit {
        Exit::HangUp => {
            line.close(Outcome::HungUp);
            // Never sent: the attempt to write it is what ends the connection.
            StatusCode::NO_CONTENT.into_response()
        }
        Exit::Answer(response) => {
            line.close(Outcome::Answered(response.status().as_u16()));
            dressed(*response, &site, &knobs).await
        }
    }
}

fn is_upload(method: &Method, route: &str) -> bool {
    method == Method::POST && route.starts_with("/folders/") && route.ends_with("/source-files")
}

fn open(site: &Site, request: &Request, path: String, route: &str) -> journal::Line {
    let mut headers: Vec<String> = request.headers().keys().map(|name| name.as_str().to_owned()).collect();
    headers.sort_unstable();
    site.journal.open(journal::Request {
        number: 0,
        at: site.now(),
        method: request.method().to_string(),
        path,
        route: route.into(),
        query: request.uri().query().unwrap_or_default().into(),
        headers,
        parts: Vec::new(),
        outcome: Outcome::Open,
    })
}

/// Acts a fault out around a request.
async fn act(site: &Site, wire: &Wire, fault: Option<FaultKind>, request: Request, next: Next) -> Exit {
    let answer = |response: Response| Exit::Answer(Box::new(response));
    let Some(fault) = fault else { return answer(run(site, request, next).await) };
    match fault {
        FaultKind::Status { status, body } => answer(spoken(status, body)),
        FaultKind::StatusAfterBody { status, body } => {
            drain(request).await;
            answer(spoken(status, body))
        }
        FaultKind::Delay { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            answer(run(site, request, next).await)
        }
        FaultKind::ResetBefore => {
            wire.reset();
            Exit::HangUp
        }
        FaultKind::ResetAfterBytes { bytes, kept } => {
            let (mut head, body) = request.into_parts();
            if kept == Kept::Partial {
                head.extensions.insert(KeepPartial);
            }
            let body = spoilt(body.into_data_stream(), bytes, Then::Break(None));
            run(site, Request::from_parts(head, body), next).await;
            wire.reset();
            Exit::HangUp
        }
        FaultKind::ResetAfterBody => {
            drain(request).await;
            wire.reset();
            Exit::HangUp
        }
        FaultKind::StopReading { bytes } => {
            let body = spoilt(request.into_body().into_data_stream(), bytes, Then::Stall);
            drop(axum::body::to_bytes(body, usize::MAX).await);
            Exit::HangUp
        }
        FaultKind::AcceptThenLose => {
            run(site, request, next).await;
            wire.close();
            Exit::HangUp
        }
        FaultKind::AcceptThenReset => {
            run(site, request, next).await;
            wire.reset();
            Exit::HangUp
        }
        FaultKind::AcceptThenDelay { ms } => {
            let noted = request.extensions().get::<Noted>().cloned();
            let response = run(site, request, next).await;
            if let Some(Noted(line)) = noted {
                line.close(Outcome::Answered(response.status().as_u16()));
            }
            tokio::time::sleep(Duration::from_millis(ms)).await;
            answer(response)
        }
        FaultKind::Truncate { bytes } => answer(truncated(run(site, request, next).await, bytes).await),
        FaultKind::SlowAnswer { ms_per_byte } => {
            answer(slow(run(site, request, next).await, ms_per_byte).await)
        }
        FaultKind::Html => {
            drain(request).await;
            answer(html())
        }
        FaultKind::AcceptThenHtml => {
            run(site, request, next).await;
            answer(html())
        }
        FaultKind::RateLimited { retry_after } => {
            drain(request).await;
            answer(Refusal::too_many(retry_after).into_response())
        }
        FaultKind::Redirect { status, location } => {
            drain(request).await;
            let mut response = spoken(status, "elsewhere".into());
            response
                .headers_mut()
                .extend(HeaderValue::from_str(&location).ok().map(|to| (header::LOCATION, to)));
            answer(response)
        }
        FaultKind::HugeHeader { bytes } => {
            run(site, request, next).await;
            let name_and_value = format!("x-huge: {}\r\n", "h".repeat(bytes));
            wire.replace_answer(raw_answer(&name_and_value));
            Exit::HangUp
        }
        FaultKind::ManyHeaders { count } => {
            run(site, request, next).await;
            let many: String = (0..count).map(|n| format!("x-many-{n}: {n}\r\n")).collect();
            wire.replace_answer(raw_answer(&many));
            Exit::HangUp
        }
        FaultKind::Raw { text } => {
            drain(request).await;
            wire.replace_answer(text.into_bytes());
            Exit::HangUp
        }
        FaultKind::Flood { bytes } => {
            drain(request).await;
            answer(flood(bytes))
        }
    }
}

/// Lets the route do its work, and saves what it changed before anybody hears of it.
async fn run(site: &Site, request: Request, next: Next) -> Response {
    let reads = request.method() == Method::GET;
    let response = next.run(request).await;
    if reads || !response.status().is_success() {
        return response;
    }
    match site.save().await {
        Ok(()) => response,
        Err(fault) => Refusal::broken(format!("failed to save the environment: {fault}")).into_response(),
    }
}

/// Reads a body to its end, for an answer that shall not come early.
pub(super) async fn drain(request: Request) {
    let mut body = request.into_body().into_data_stream();
    while let Some(Ok(_)) = body.next().await {}
}

/// Lets an upload's body pass as the knobs say.
fn on_knobs(request: Request, knobs: &Knobs, wire: &Wire) -> Request {
    let (head, mut body) = request.into_parts();
    if knobs.upload_bytes_per_second > 0 {
        body = paced(body.into_data_stream(), knobs.upload_bytes_per_second);
    }
    if knobs.stall_after_bytes > 0 {
        body = spoilt(body.into_data_stream(), knobs.stall_after_bytes, Then::Stall);
    }
    if knobs.cut_after_bytes > 0 {
        body = spoilt(body.into_data_stream(), knobs.cut_after_bytes, Then::Break(Some(wire.clone())));
    }
    Request::from_parts(head, body)
}

fn broken_off() -> axum::Error {
    axum::Error::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
}

/// What comes after the first bytes of a body.
enum Then {
    /// An error, as if the client had gone; the wire is reset if there is one.
    Break(Option<Wire>),
    /// Nothing ever. The real body is held but not read, so that the client's bytes pile up.
    Stall,
}

/// A body that goes wrong after so many bytes. A shorter body passes unharmed.
fn spoilt(body: BodyDataStream, bytes: u64, then: Then) -> Body {
    Body::from_stream(stream::unfold(Some((body, bytes, then)), |state| async move {
        let (mut body, left, then) = state?;
        if left == 0 {
            return match then {
                Then::Stall => std::future::pending().await,
                Then::Break(Some(wire)) => {
                    wire.reset();
                    Some((Err(broken_off()), None))
                }
                Then::Break(None) => {
                    // The multipart reader takes all that is ready before it hands anything on, and forgets it on an
                    // error: the pause lets it hand on what has arrived.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Some((Err(broken_off()), None))
                }
            };
        }
        match body.next().await? {
            Ok(mut piece) => {
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - piece.len() as u64;
                Some((Ok(piece), Some((body, left, then))))
            }
            Err(fault) => Some((Err(fault), None)),
        }
    }))
}

fn paced(body: BodyDataStream, bytes_per_second: u64) -> Body {
    Body::from_stream(body.then(move |piece| async move {
        let length = piece.as_ref().map_or(0, Bytes::len) as u64;
        tokio::time::sleep(Duration::from_millis(length.saturating_mul(1000) / bytes_per_second)).await;
        piece
    }))
}

fn spoken(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if body.is_empty() {
        return Refusal::new(status, "a scripted fault").into_response();
    }
    (status, body).into_response()
}

fn html() -> Response {
    let page = "<!doctype html><title>Welcome</title><p>Please accept the terms of this network.";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

fn raw_answer(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: 2\r\n\r\n{{}}")
        .into_bytes()
}

/// The right head, and a body that breaks off: the connection is aborted before the promised length.
async fn truncated(response: Response, bytes: usize) -> Response {
    let (mut head, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, whole.len().max(bytes + 1).into());
    let start = whole.slice(..bytes.min(whole.len()));
    // The pause lets hyper send the start before it learns of the end.
    let end = stream::once(async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(broken_off())
    });
    Response::from_parts(head, Body::from_stream(stream::once(async { Ok(start) }).chain(end)))
}

async fn slow(response: Response, ms_per_byte: u64) -> Response {
    let (head, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let bytes = stream::iter(whole).then(move |byte| async move {
        tokio::time::sleep(Duration::from_millis(ms_per_byte)).await;
        Ok::<_, axum::Error>(Bytes::copy_from_slice(&[byte]))
    });
    Response::from_parts(head, Body::from_stream(bytes))
}

fn flood(bytes: u64) -> Response {
    const PIECE: &[u8] = &[b' '; 64 * 1024];
    let pieces = stream::iter(
        (0..bytes / PIECE.len() as u64).map(|_| Ok::<_, axum::Error>(Bytes::from_static(PIECE))),
    );
    let end = stream::once(async { Ok(Bytes::from_static(b"[]")) });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces.chain(end))).into_response()
}

/// Puts on an answer what the knobs want on every answer.
async fn dressed(mut response: Response, site: &Site, knobs: &Knobs) -> Response {
    if knobs.clock_skew_s != 0
        && let Ok(date) = http_date(site.now() + knobs.clock_skew_s * 1000).parse()
    {
        response.headers_mut().insert(header::DATE, date);
    }
    let json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if knobs.extra_fields == Switch::Off || !json || !response.status().is_success() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let objects = match &mut value {
        serde_json::Value::Array(all) => all.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for object in objects.iter_mut().filter_map(serde_json::Value::as_object_mut) {
        object.insert("x_undocumented".into(), serde_json::json!({ "by": "emulator" }));
    }
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(value.to_string()))
}
