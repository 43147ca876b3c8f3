//! The client against tiny servers on loopback. They share no type with it: what they say is written out by hand.

mod connections;
mod encrypted;
mod routes;
mod tokens;
mod upload;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

pub(super) const TOKEN: &str = "fake-user-token-1";

/// A server that ends with the test.
pub(super) struct Server {
    pub url: Url,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn new(router: Router) -> Self {
        Self::with(async move |listener| axum::serve(listener, router).await.unwrap()).await
    }

    /// A server that speaks bytes, for what no decent one would say.
    pub(super) async fn with<F>(serve: impl FnOnce(TcpListener) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/app/v1/", listener.local_addr().unwrap()).parse().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener));
        Self { url, _tasks: tasks }
    }

    pub(super) fn client(&self) -> Client {
        self.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), patience())
    }

    pub(super) fn client_with(&self, source: Source, patience: Patience) -> Client {
        Client::new(options(self.url.clone(), patience.clone()), Tokens::new(source, patience)).unwrap()
    }
}

pub(super) fn options(url: Url, patience: Patience) -> Options {
    Options { url, upload_field: "file".into(), ca_file_pem: None, proxy: Proxy::None, patience }
}

/// Patience that a test can await to the end, and no healthy loopback exhausts.
pub(super) fn patience() -> Patience {
    Patience {
        retry_first: Duration::from_millis(1),
        retry_max: Duration::from_millis(1),
        ..Patience::default()
    }
}

pub(super) fn folder() -> FolderId {
    FolderId::from_uuid(uuid::Uuid::from_u128(1))
}

pub(super) fn file() -> SourceFileId {
    SourceFileId::from_uuid(uuid::Uuid::from_u128(2))
}

/// What servers saw, in order.
pub(super) struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Seen<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Notes it down, and says how many were before.
    pub(super) fn note(&self, what: T) -> usize {
        let mut seen = self.0.lock().unwrap();
        seen.push(what);
        seen.len() - 1
    }

    pub(super) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The credentials of a request.
pub(super) fn credentials(headers: &HeaderMap) -> Vec<String> {
    let names = ["user_token", "api_key", "guest_token", "authorization", "cookie"];
    names.iter().filter_map(|name| Some(format!("{name}={}", headers.get(*name)?.to_str().ok()?))).collect()
}
