//! What a request asks for: ids, query parameters, JSON bodies. Stricter than any real server: what is not in the
//! documents is refused, so that a client that sends it is found out here.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use uuid::Uuid;

use super::Site;
use super::knobs::Knobs;
use super::knobs::choice::{NameCase, NameFilter};
use super::refusal::Refusal;

/// The largest JSON body.
const JSON_MAX: usize = 4 * 1024 * 1024;

/// An id in its canonical form: the only one that the real API is known to give out.
pub(super) fn id(what: &str, raw: &str) -> Result<Uuid, Refusal> {
    match Uuid::try_parse(raw) {
        Ok(id) if id.to_string() == raw.to_ascii_lowercase() => Ok(id),
        Ok(_) | Err(_) => Err(Refusal::malformed(format!("{raw:?} is not the id of a {what}"))),
    }
}

/// Ids from a JSON array: at least one, none twice.
pub(super) fn ids(what: &str, raw: &[String]) -> Result<Vec<Uuid>, Refusal> {
    let mut ids = raw.iter().map(|raw| id(what, raw)).collect::<Result<Vec<_>, _>>()?;
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() < all {
        return Err(Refusal::malformed(format!("expected the ids of {what}s, at least one and none twice")));
    }
    Ok(ids)
}

/// A name for a folder or file, under the rules of the knobs.
pub(super) fn name<'a>(knobs: &Knobs, raw: &'a str) -> Result<&'a str, Refusal> {
    let forbidden = |letter: char| letter.is_control() || knobs.forbidden_characters.contains(letter);
    if raw.trim().is_empty() {
        return Err(Refusal::malformed("a name is empty"));
    }
    if raw.contains(forbidden) {
        return Err(Refusal::malformed(format!("the name {raw:?} holds a character that is not allowed")));
    }
    if raw.len() as u64 > knobs.max_name_bytes {
        return Err(Refusal::malformed(format!("a name is longer than {} bytes", knobs.max_name_bytes)));
    }
    Ok(raw)
}

/// Whether two names are the same name.
pub(super) fn same_name(knobs: &Knobs, one: &str, other: &str) -> bool {
    match knobs.name_case {
        NameCase::Sensitive => one == other,
        NameCase::Insensitive => one.to_lowercase() == other.to_lowercase(),
    }
}

/// Whether a name passes a filter; no filter lets all pass.
pub(super) fn passes(knobs: &Knobs, filter: Option<&str>, name: &str) -> bool {
    filter.is_none_or(|filter| match knobs.name_filter {
        NameFilter::Exact => same_name(knobs, filter, name),
        NameFilter::Substring => name.to_lowercase().contains(&filter.to_lowercase()),
        NameFilter::Ignored => true,
    })
}

/// The query of a request. Everything must be taken out before [`Query::done`].
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

/// One page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Page {
    /// The part of a list that lies on this page.
    pub(super) fn of<T>(self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// The page that is asked for: the first ten, unless it says otherwise.
    pub(super) fn page(&mut self, knobs: &Knobs) -> Result<Page, Refusal> {
        let offset = self.number("offset")?.unwrap_or(0);
        let limit = self.number("limit")?.unwrap_or(10);
        if limit == 0 {
            return Err(Refusal::malformed("limit must be at least 1"));
        }
        let limit = if knobs.page_max == 0 { limit } else { limit.min(knobs.page_max) };
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Page { offset: size(offset), limit: size(limit) })
    }

    /// Takes a parameter that may be given once.
    pub(super) fn one(&mut self, key: &str) -> Result<Option<String>, Refusal> {
        let mut found = self.0.extract_if(.., |(name, _)| name == key).map(|(_, value)| value);
        let (first, second) = (found.next(), found.next());
        drop(found);
        match (first, second) {
            (Some(_), Some(_)) => Err(Refusal::malformed(format!("the parameter {key} is given twice"))),
            (Some(value), None) if value.is_empty() => {
                Err(Refusal::malformed(format!("the parameter {key} is empty")))
            }
            (first, None) => Ok(first),
            (None, Some(_)) => Ok(None),
        }
    }

    /// Takes a parameter that may be a list inside a filter: `key=a`, or `key[0]=a&key[1]=b`.
    pub(super) fn several(&mut self, key: &str) -> Result<Vec<String>, Refusal> {
        let mut values: Vec<String> = self.one(key)?.into_iter().collect();
        while let Some(value) = self.one(&format!("{key}[{}]", values.len()))? {
            values.push(value);
        }
        Ok(values)
    }

    /// Takes a top-level list: `key[]=a&key[]=b`.
    pub(super) fn bracketed(&mut self, key: &str) -> Vec<String> {
        let key = format!("{key}[]");
        self.0.extract_if(.., |(name, _)| *name == key).map(|(_, value)| value).collect()
    }

    /// Takes a parameter that is `true` or `false`.
    pub(super) fn flag(&mut self, key: &str) -> Result<bool, Refusal> {
        match self.one(key)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Refusal::malformed(format!("{key} is true or false, not {other:?}"))),
        }
    }

    /// Refuses what nobody has taken out.
    pub(super) fn done(self) -> Result<(), Refusal> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(Refusal::malformed(format!("this route has no parameter {key:?}"))),
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.one(key)? else { return Ok(None) };
        match text.parse() {
            Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(number)),
            Ok(_) | Err(_) => Err(Refusal::malformed(format!("{key} is a whole number, not {text:?}"))),
        }
    }
}

/// Refuses a query where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Query::from_request_parts(parts, state).await?.done().map(|()| Self)
    }
}

/// A JSON body of exactly the documented form, and no query: no route has both.
#[derive(Debug)]
pub(super) struct Stated<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Stated<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let request = queryless(request, site).await?;
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::wrong_type(format!("expected application/json, not {kind:?}")));
        }
        let bytes = axum::body::to_bytes(request.into_body(), JSON_MAX).await;
        let bytes = bytes.map_err(|_| Refusal::too_large("the JSON body is too long or broke off"))?;
        let body = serde_json::from_slice(&bytes);
        let body =
            body.map_err(|fault| Refusal::malformed(format!("the JSON body does not fit: {fault}")))?;
        // For serde, null is as good as nothing.
        if let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(&bytes)
            && let Some((field, _)) = fields.iter().find(|(_, value)| value.is_null())
        {
            return Err(Refusal::malformed(format!("the JSON body does not fit: {field} is null")));
        }
        Ok(Self(body))
    }
}

async fn queryless(request: Request, site: &Arc<Site>) -> Result<Request, Refusal> {
    let (mut parts, body) = request.into_parts();
    NoQuery::from_request_parts(&mut parts, site).await?;
    Ok(Request::from_parts(parts, body))
}

/// Refuses a body and a query where there is none: some servers close such connections, others take a body as the next
/// request.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoBody;

impl FromRequest<Arc<Site>> for NoBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let request = queryless(request, site).await?;
        let bytes = axum::body::to_bytes(request.into_body(), JSON_MAX).await;
        let bytes = bytes.map_err(|_| Refusal::too_large("this route has no body"))?;
        match bytes.as_ref() {
            b"" | b"{}" => Ok(Self),
            _ => Err(Refusal::malformed("this route has no body")),
        }
    }
}
