//! How one request travels: once, to the configured origin, with one credential, and with an end to every wait.
//!
//! The only place that builds an HTTP client. It retries nothing, follows no redirect but a download's, and reads no answer
//! to the end of memory. Knows no route and no JSON shape.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt as _};
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use url::{Host, Url};

use super::error::{Error, Kind, clean, http_date, wait_of};
use super::parcel::{Handed, Parcel, Progress, packed};
use super::secret::Secret;
use super::{Options, Proxy};
use crate::ambient;
use crate::patience::Patience;

/// The header of a user's token. Source: the official client.
const USER_TOKEN: HeaderName = HeaderName::from_static("user_token");
/// The header of an environment's key. Source: the official client.
const API_KEY: HeaderName = HeaderName::from_static("api_key");
/// How much of an answer that is no success is read.
const ERROR_CAP: usize = 64 * 1024;
/// How many credentials are looked for in what a server says.
const REMEMBERED: usize = 16;
/// How many redirects a download may take.
const MOST_HOPS: usize = 5;
/// Shorter than servers keep idle connections, so that a request seldom meets one that was just closed.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The way to one origin.
#[derive(Clone)]
pub(super) struct Exchange {
    /// For https, through a proxy where there is one.
    http: reqwest::Client,
    /// For plain http to this very machine: what it carries is readable, so no proxy ever sees it.
    local: reqwest::Client,
    base: Url,
    patience: Patience,
    /// What was sent lately, the newest last: a server may repeat any of it, not only what came with the request at hand.
    sent: Arc<Mutex<Vec<Secret>>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// The one credential of a request.
#[derive(Clone, Copy)]
pub(super) enum Credential<'a> {
    /// A user's token, for the configured origin only.
    UserToken(&'a Secret),
    /// The environment's key, for the configured origin only.
    ApiKey(&'a Secret),
    /// A bearer token for the studio's own token endpoint.
    Bearer(&'a Secret),
    /// None: another origin, or an endpoint that asks for none.
    None,
}

impl<'a> Credential<'a> {
    const fn secret(self) -> Option<&'a Secret> {
        match self {
            Self::UserToken(secret) | Self::ApiKey(secret) | Self::Bearer(secret) => Some(secret),
            Self::None => None,
        }
    }
}

/// A request that may be made again with another token.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// What it is for, finishing "failed to …".
    pub doing: String,
    pub method: Method,
    pub url: Url,
    pub json: Option<serde_json::Value>,
    /// How many bytes of an answer are read.
    pub cap: usize,
}

/// A 2xx, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Exchange {
    /// Builds the client. `also` is another address that it will be sent to (the studio's token endpoint).
    #[expect(clippy::disallowed_methods, reason = "this is the door for HTTP: the only client is built here")]
    pub(super) fn new(options: &Options, also: Option<&Url>) -> Result<Self, Error> {
        let doing = "set up the way to the cloud";
        checked(&options.url).map_err(|why| Error::setting(doing, format!("`url` {why}")))?;
        if options.url.cannot_be_a_base() || options.url.query().is_some() || options.url.fragment().is_some()
        {
            return Err(Error::setting(doing, "`url` must be a plain base address without `?` and `#`"));
        }
        if let Some(also) = also {
            checked(also).map_err(|why| Error::setting(doing, format!("the token endpoint {why}")))?;
        }
        let patience = options.patience.clone();
        let secure = |url: &Url| url.scheme() == "https";
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("versync/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .connect_timeout(patience.connect_timeout)
                .pool_idle_timeout(POOL_IDLE)
                .tcp_keepalive(Duration::from_secs(30))
                // A request that ran out of time ends its stream only: without this the next ones take the same dead
                // connection for ever. The wait is the longer one, as a ping queues behind the bytes of a slow upload.
                .http2_keep_alive_interval(patience.stall_timeout)
                .http2_keep_alive_timeout(patience.answer_timeout);
            #[cfg(target_os = "linux")]
            // Catches a peer that vanished while the kernel still buffers for it.
            let builder = builder.tcp_user_timeout(patience.stall_timeout);
            builder
        };
        let local = builder().no_proxy().tls_certs_only([]).build();
        let local = local.map_err(|error| Error::setting(doing, error.to_string()))?;
        let mut builder = builder().https_only(true);
        if options.proxy == Proxy::None {
            builder = builder.no_proxy();
        }
        let certificates = match &options.ca_file_pem {
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|_| Error::setting(doing, "`ca_file` holds no readable PEM certificates"))?,
            None => Vec::new(),
        };
        builder = if !secure(&options.url) && !also.is_some_and(secure) {
            // Plain loopback needs no trust store, and must work on a machine that has none.
            builder.tls_certs_only(certificates)
        } else {
            builder.tls_certs_merge(certificates)
        };
        let http = builder.build().map_err(|error| {
            // Most often a machine without a trust store.
            Error::setting(doing, format!("{error}; are the system's CA certificates installed?"))
        })?;
        Ok(Self { http, local, base: options.url.clone(), patience, sent: Arc::default() })
    }

    /// What must not turn up in what is said of an answer: the credential of this request, and those before it.
    pub(super) fn remember(&self, credential: Credential<'_>) -> Vec<Secret> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = credential.secret()
            && !sent.contains(secret)
        {
            if sent.len() == REMEMBERED {
                sent.remove(0);
            }
            sent.push(secret.clone());
        }
        sent.clone()
    }

    /// The address of a route: the base and these segments, each escaped.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A request with a small body and a small answer, within the request timeout.
    pub(super) async fn control(&self, call: &Call, credential: Credential<'_>) -> Result<Answer, Error> {
        let doing = &call.doing;
        let mut request = self.request(call.method.clone(), call.url.clone(), credential, doing)?;
        if let Some(json) = &call.json {
            request = request.json(json);
        }
        let secrets = self.remember(credential);
        let limit = self.patience.request_timeout;
        let travel = async {
            let response = request.send().await.map_err(|error| Error::transport(doing, error, &secrets))?;
            read(response, doing, call.cap, &secrets).await
        };
        tokio::time::timeout(limit, travel)
            .await
            .unwrap_or_else(|_| Err(Error::late(doing, "no whole answer came", limit)))
    }

    /// A request with a long body: no limit for the whole, but an end to every standstill.
    pub(super) async fn upload(
        &self,
        call: &Call,
        credential: Credential<'_>,
        parcel: Parcel,
        field: &str,
    ) -> (Result<Answer, Error>, Handed) {
        let doing = &call.doing;
        let secrets = self.remember(credential);
        let request = self.request(call.method.clone(), call.url.clone(), credential, doing);
        let packed = packed(parcel, field).map_err(|error| Error::transport(doing, error, &[]));
        let (request, (form, progress)) = match (request, packed) {
            (Ok(request), Ok(packed)) => (request, packed),
            (Err(error), _) | (Ok(_), Err(error)) => return (Err(error), Handed::InPart),
        };
        let limit = self.patience.answer_timeout;
        let travel = async {
            let response = match request.multipart(form).send().await {
                Ok(response) => response,
                Err(error) => return Err(faulty(&progress, Error::transport(doing, error, &secrets), doing)),
            };
            tokio::time::timeout(limit, read(response, doing, call.cap, &secrets))
                .await
                .unwrap_or_else(|_| Err(Error::late(doing, "no whole answer came", limit)))
        };
        let outcome = tokio::select! {
            outcome = travel => outcome,
            error = progress.standstill(doing, &self.patience) => Err(error),
        };
        (outcome, progress.settle())
    }

    /// A request whose answer is long. Redirects are followed by hand; the credential stays with the configured origin.
    pub(super) async fn download(
        &self,
        call: &Call,
        credential: Credential<'_>,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let doing = &call.doing;
        let secrets = self.remember(credential);
        let limit = self.patience.request_timeout;
        let mut url = call.url.clone();
        let mut carried = credential;
        for _ in 0..=MOST_HOPS {
            let request = self.request(Method::GET, url.clone(), carried, doing)?;
            let head = tokio::time::timeout(limit, request.send())
                .await
                .map_err(|_| Error::late(doing, "no answer came", limit))?
                .map_err(|error| Error::transport(doing, error, &secrets))?;
            if head.status().is_redirection() {
                let next = location(&head, &url)
                    .ok_or_else(|| Error::malformed(doing, "a redirect leads nowhere"))?;
                checked(&next)
                    .map_err(|why| Error::malformed(doing, format!("a redirect's target {why}")))?;
                if loopback(&next) && !loopback(&url) {
                    return Err(Error::malformed(doing, "a redirect leads to this machine"));
                }
                // Once it has left, it does not come back, even if a later hop points home.
                if next.origin() != self.base.origin() {
                    carried = Credential::None;
                }
                url = next;
                continue;
            }
            if head.status().is_success() && head.status() != reqwest::StatusCode::PARTIAL_CONTENT {
                return Ok(chunks(head, doing.clone(), self.patience.stall_timeout));
            }
            if matches!(carried, Credential::None) {
                // Not the API's own word: it says nothing of our token, the folder or the file.
                let status = head.status().as_u16();
                return Err(Error::malformed(
                    doing,
                    format!("the storage that it points to answered {status}"),
                ));
            }
            return Err(tokio::time::timeout(limit, read(head, doing, ERROR_CAP, &secrets))
                .await
                .unwrap_or_else(|_| Err(Error::late(doing, "no whole answer came", limit)))
                .err()
                .unwrap_or_else(|| Error::malformed(doing, "the answer holds only a part of the file")));
        }
        Err(Error::malformed(doing, format!("it was redirected more than {MOST_HOPS} times")))
    }

    fn request(
        &self,
        method: Method,
        url: Url,
        credential: Credential<'_>,
        doing: &str,
    ) -> Result<RequestBuilder, Error> {
        checked(&url).map_err(|why| Error::setting(doing, format!("the address {why}")))?;
        let ours = url.origin() == self.base.origin();
        let header = match (credential, ours) {
            (Credential::UserToken(secret), true) => Some((USER_TOKEN, secret.header())),
            (Credential::ApiKey(secret), true) => Some((API_KEY, secret.header())),
            (Credential::UserToken(_) | Credential::ApiKey(_), false) => {
                return Err(Error::setting(doing, "a credential would leave for another origin"));
            }
            (Credential::Bearer(secret), true | false) => Some((AUTHORIZATION, secret.bearer())),
            (Credential::None, true | false) => None,
        };
        let way = if url.scheme() == "https" { &self.http } else { &self.local };
        let mut request = way.request(method, url);
        if let Some((name, value)) = header {
            request = request.header(name, value.map_err(|error| Error::setting(doing, error.to_string()))?);
        }
        if matches!(credential, Credential::Bearer(_)) {
            request = request.header(CACHE_CONTROL, "no-store");
        }
        Ok(request)
    }
}

/// The fault of our own bytes, if it is why the transport failed.
fn faulty(progress: &Progress, error: Error, doing: &str) -> Error {
    progress.fault().map_or(error, |kind| Error::new(doing, kind))
}

/// Reads an answer: a 2xx up to `cap` bytes, anything else as an error.
async fn read(mut response: Response, doing: &str, cap: usize, secrets: &[Secret]) -> Result<Answer, Error> {
    let status = response.status();
    if status.is_redirection() {
        let host = location(&response, response.url()).and_then(|url| url.host_str().map(str::to_owned));
        let host = clean(host.as_deref().unwrap_or("nowhere"), secrets);
        return Err(Error::new(doing, Kind::Redirected { status: status.as_u16(), host }));
    }
    let headers = response.headers().clone();
    let cap = if status.is_success() { cap } else { ERROR_CAP };
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= cap => body.extend_from_slice(&chunk),
            Ok(Some(_)) if status.is_success() => {
                return Err(Error::malformed(doing, format!("it is longer than {cap} bytes")));
            }
            Err(error) if status.is_success() => return Err(Error::transport(doing, error, secrets)),
            // A refusal stands, also where its words were cut off.
            Ok(Some(_) | None) | Err(_) => break,
        }
    }
    if status.is_success() {
        return Ok(Answer { headers, body: body.freeze() });
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // Its own clock may be hours off ours: where it tells the time, its date is compared with that.
    let now = text(DATE).and_then(http_date).unwrap_or_else(ambient::now);
    let wait = headers.get(RETRY_AFTER).map(|value| wait_of(value.to_str().unwrap_or_default(), now));
    Err(Error::refused(doing, status.as_u16(), &body, secrets, wait))
}

fn chunks(head: Response, doing: String, stall: Duration) -> BoxStream<'static, Result<Bytes, Error>> {
    futures_util::stream::unfold(Some(head), move |state| {
        let doing = doing.clone();
        async move {
            let mut response = state?;
            match tokio::time::timeout(stall, response.chunk()).await {
                Ok(Ok(Some(bytes))) => Some((Ok(bytes), Some(response))),
                Ok(Ok(None)) => None,
                Ok(Err(error)) => Some((Err(Error::transport(&doing, error, &[])), None)),
                Err(_) => Some((Err(Error::late(&doing, "no byte came", stall)), None)),
            }
        }
    })
    .boxed()
}

fn location(response: &Response, from: &Url) -> Option<Url> {
    from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}

/// Whether an address may be spoken to at all: encrypted, or on this very machine, and without a login inside it.
fn checked(url: &Url) -> Result<(), &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback(url) => Ok(()),
        _ => Err("is not https, and plain http is for loopback only"),
    }
}

fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
