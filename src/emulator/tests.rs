//! The emulator over real HTTP: what a client of the API may count on, and what it must be ready for.

mod access;
mod assets;
mod data;
mod faults;
mod folders;
mod knobs;
mod uploads;

use std::io::Read;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use super::{Emulator, Knobs, Options};

/// A client with one credential, and the emulator's URL.
struct Client {
    http: reqwest::Client,
    url: String,
    credential: Option<(&'static str, String)>,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The ids of a listed array.
    fn ids(&self, key: &str) -> Vec<String> {
        let json = self.json();
        json.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
    }

    fn id(&self, key: &str) -> String {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        self.json()[key].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Asserts the status of a refusal and its shape.
    #[track_caller]
    fn refused(&self, status: u16) {
        let json = self.json();
        assert_eq!(self.status, status, "{json}");
        assert!(json["errorCode"].is_number() && json["message"].is_string(), "{json}");
    }

    #[track_caller]
    fn done(&self) {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
    }
}

async fn start(knobs: &[(&str, &str)]) -> Emulator {
    let mut set = Knobs::default();
    for (name, value) in knobs {
        set.set(name, value).unwrap();
    }
    Emulator::start(Options { knobs: set, ..Options::default() }).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test client that speaks to loopback only")]
fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only(std::iter::empty());
    builder.redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(20)).build().unwrap()
}

impl Client {
    fn with(emulator: &Emulator, header: &'static str, value: &str) -> Self {
        Self { http: http(), url: emulator.url(), credential: Some((header, value.into())) }
    }

    fn nobody(emulator: &Emulator) -> Self {
        Self { http: http(), url: emulator.url(), credential: None }
    }

    fn user(emulator: &Emulator) -> Self {
        Self::with(emulator, "user_token", &emulator.seeds().user_token)
    }

    fn key(emulator: &Emulator) -> Self {
        Self::with(emulator, "api_key", &emulator.seeds().api_key)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.credential {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        received(self.request(Method::GET, path)).await.unwrap()
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        received(self.request(method.parse().unwrap(), path).json(&body)).await.unwrap()
    }

    async fn bare(&self, method: &str, path: &str) -> Answer {
        received(self.request(method.parse().unwrap(), path)).await.unwrap()
    }

    async fn upload(&self, folder: &str, files: &[(&str, &[u8])]) -> Answer {
        self.try_upload(folder, files).await.unwrap()
    }

    async fn try_upload(&self, folder: &str, files: &[(&str, &[u8])]) -> Result<Answer, reqwest::Error> {
        let mut form = Form::new();
        for (name, bytes) in files {
            form = form.part("file", Part::bytes(bytes.to_vec()).file_name((*name).to_owned()));
        }
        received(self.request(Method::POST, &format!("/folders/{folder}/source-files")).multipart(form)).await
    }

    /// Makes a folder below the seeded one.
    async fn folder(&self, parent: &str, name: &str) -> String {
        self.send("POST", &format!("/folders/{parent}/folders"), serde_json::json!({ "name": name }))
            .await
            .id("folder_id")
    }
}

async fn received(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, bytes: response.bytes().await?.to_vec() })
}

fn content(emulator: &Emulator, id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    emulator.content(id).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Lets every conversion end.
fn converted(emulator: &Emulator) {
    emulator.advance(Duration::from_secs(60));
}

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_are_refused_in_the_error_shape() {
    let emulator = start(&[]).await;
    let client = Client::user(&emulator);
    client.get("/nothing/here").await.refused(404);
    client.send("PATCH", "/source-files", serde_json::json!({})).await.refused(405);
    assert_eq!(client.bare("HEAD", "/folders").await.status, 405);
    emulator.stop().await;
}

#[tokio::test]
async fn stopping_is_bounded_while_a_client_keeps_a_request_open() {
    let emulator = start(&[("stall_after_bytes", "1")]).await;
    let folder = emulator.seeds().folder_id.clone();
    let client = Client::user(&emulator);
    let upload = client.try_upload(&folder, &[("a.glb", &[1; 100_000])]);
    let stop = async {
        while emulator.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        emulator.stop().await
    };
    let (upload, ()) = tokio::join!(upload, async {
        stop.await;
    });
    upload.unwrap_err();
}

#[tokio::test]
async fn join_ends_with_the_server() {
    let mut emulator = start(&[]).await;
    emulator.tasks.abort_all();
    while emulator.tasks.join_next().await.is_some() {}
    emulator.join().await;
}
