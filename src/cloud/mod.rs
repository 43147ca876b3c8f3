//! The door to the 3dverse Asset API: a method per route, each of which tries once.
//!
//! It deals in bytes and ids, never in paths, and plans nothing: what an answer means for a file is decided elsewhere. Only
//! here are credentials put on requests, exactly one on each, and only for the configured origin.
//!
//! What no document says and we rely on all the same is marked `Inferred:` in the one place that relies on it;
//! `docs/asset-api.md` says what holds each of them.

mod assets;
mod conversation;
mod error;
mod exchange;
mod listing;
mod parcel;
mod remote;
mod secret;
mod sessions;
mod setup;
mod source;
mod token;
mod wire;

use std::fmt;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::Method;
use serde_json::json;
use url::Url;

use self::conversation::one_of;
use self::exchange::{Credential, Exchange};
use self::listing::{Next, Pages};
use self::setup::{listed, paged};
use crate::file::{PartName, shown};
use crate::id::{FolderId, SourceFileId, UploadTaskId};
use crate::patience::Patience;

pub use self::assets::is_known_type;
pub use self::error::{Error, UploadError};
pub use self::listing::{Complete, Listing};
pub use self::parcel::{Body, Parcel, ParcelPart};
pub use self::remote::{ConversionTask, Folder, Pipeline, Scope, SourceFile, TaskStatus, UploadTask, User};
pub use self::secret::{NoSecret, Secret};
pub use self::sessions::{Participant, Session};
pub use self::setup::Setup;
pub use self::source::{Source, key_from};
pub use self::token::{TokenLife, Tokens};

/// Where the cloud is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The base address; https, or plain http on loopback.
    pub url: Url,
    /// The form field that files are sent in. The API does not document its name.
    pub upload_field: String,
    /// Certificates that are trusted besides the system's, in PEM form.
    pub ca_file_pem: Option<Vec<u8>>,
    /// Whether there is a proxy on the way.
    pub proxy: Proxy,
    /// How long to wait for what.
    pub patience: Patience,
}

/// Whether there is a proxy on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// None, whatever the environment says.
    None,
    /// The one that the environment names.
    Environment,
}

/// What becomes of the assets of source files that are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TheirAssets {
    /// They stay, for the scenes that use them.
    Keep,
    /// They go as well.
    Delete,
}

/// What an accepted upload was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The task that the request became, if the answer names one; the API leaves it optional.
    pub task: Option<UploadTaskId>,
}

/// The cloud, as one user sees it.
#[derive(Clone)]
pub struct Client {
    exchange: Exchange,
    tokens: Tokens,
    upload_field: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("exchange", &self.exchange)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Sets up the way; nothing is sent yet.
    ///
    /// # Errors
    /// An address that is neither https nor loopback, certificates that cannot be read, a system without a trust store.
    pub fn new(options: Options, tokens: Tokens) -> Result<Self, Error> {
        let exchange = Exchange::new(&options, tokens.endpoint())?;
        tokens.travel_by(&exchange);
        Ok(Self { exchange, tokens, upload_field: options.upload_field })
    }

    /// The tokens that it sends.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The same cloud through an administrator's API key, for setting things up.
    #[must_use]
    pub fn setup(&self, api_key: Secret) -> Setup {
        Setup { exchange: self.exchange.clone(), key: api_key }
    }

    /// One folder. Source: `GET /folders/{id}`.
    ///
    /// # Errors
    /// Whatever kept it from being read; 403 and 404 as the server's word ([`Error::status`]).
    pub async fn folder(&self, folder: FolderId) -> Result<Folder, Error> {
        let call =
            self.call(format!("read folder {folder}"), Method::GET, &["folders", &folder.to_string()], None);
        self.told(&call, |value| {
            let found = wire::folders(value)?.into_iter().find(|told| told.id == folder);
            found.ok_or_else(|| "it is about another folder".into())
        })
        .await
    }

    /// The folders right below `parent`, each once. Source: `GET /folders/{id}/folders`, whose answer may be direct, nested or
    /// recursive. A folder that tells no parent at the outermost level is taken for a direct child.
    ///
    /// # Errors
    /// Whatever kept them from being read.
    pub async fn subfolders(&self, parent: FolderId) -> Result<Vec<Folder>, Error> {
        let path = ["folders", &parent.to_string(), "folders"];
        let mut call = self.call(format!("list the folders in folder {parent}"), Method::GET, &path, None);
        call.cap = wire::LIST_CAP;
        self.told(&call, |value| {
            let below = |told: &Folder| told.id != parent && told.parent.is_none_or(|of| of == parent);
            let found = wire::folders(value)?.into_iter().filter(below);
            Ok(found.map(|told| Folder { parent: Some(parent), ..told }).collect())
        })
        .await
    }

    /// Makes a folder in `parent`. Not safe to repeat blindly: the API may make another. Source: `POST /folders/{id}/folders`.
    /// Inferred: who makes a folder may upload to it, be it by a grant of its own or by that of the folder around it.
    ///
    /// # Errors
    /// Whatever kept it from being made, or from being known: without a readable answer it may exist.
    pub async fn make_folder(&self, parent: FolderId, name: &str) -> Result<Folder, Error> {
        let path = ["folders", &parent.to_string(), "folders"];
        let doing = format!("make folder {} in folder {parent}", shown(name));
        let call = self.call(doing, Method::POST, &path, Some(json!({ "name": name })));
        self.told(&call, |value| {
            let made = one_of(wire::folders(value)?, name, Some(parent));
            made.ok_or_else(|| "it does not hold the new folder".into())
        })
        .await
    }

    /// Renames a folder. Source: `PATCH /folders/{id}`.
    ///
    /// # Errors
    /// Whatever kept it from being renamed.
    pub async fn rename_folder(&self, folder: FolderId, name: &str) -> Result<(), Error> {
        let doing = format!("rename folder {folder} to {}", shown(name));
        self.done(&self.call(
            doing,
            Method::PATCH,
            &["folders", &folder.to_string()],
            Some(json!({ "name": name })),
        ))
        .await
    }

    /// Moves folders into another; safe to repeat. Source: `PUT /folders/{id}`, which takes a bare list.
    ///
    /// # Errors
    /// Whatever kept them from being moved.
    pub async fn move_folders(&self, to: FolderId, folders: &[FolderId]) -> Result<(), Error> {
        let ids: Vec<String> = folders.iter().map(FolderId::to_string).collect();
        let doing = format!("move {} folders into folder {to}", ids.len());
        self.done(&self.call(doing, Method::PUT, &["folders", &to.to_string()], Some(json!(ids)))).await
    }

    /// The source files of a folder. Source: `GET /folders/{id}/source-files` with the header `x-source-files-count`.
    /// Inferred: those right in it and none below, as the route has no word for depth. A list of several pages is read twice.
    ///
    /// # Errors
    /// Whatever kept a page from being read.
    pub async fn source_files(&self, folder: FolderId) -> Result<Listing<SourceFile>, Error> {
        let (listing, read) = self.source_files_once(folder).await?;
        if read == 1 {
            return Ok(listing);
        }
        let (again, _) = self.source_files_once(folder).await?;
        Ok(listing.confirmed_by(again, |file| file.id.uuid()))
    }

    /// One reading, and how many pages it took.
    async fn source_files_once(&self, folder: FolderId) -> Result<(Listing<SourceFile>, usize), Error> {
        let mut pages = Pages::new();
        let mut read = 0;
        loop {
            read += 1;
            let path = ["folders", &folder.to_string(), "source-files"];
            let mut call =
                self.call(format!("list the source files of folder {folder}"), Method::GET, &path, None);
            call.cap = wire::LIST_CAP;
            paged(&mut call, pages.offset());
            let heard = self.ask(&call).await?;
            let count = heard.answer.headers.get("x-source-files-count");
            let count = count.and_then(|count| count.to_str().ok()?.trim().parse().ok());
            let files = heard.read(&call, |value| listed(&value, wire::source_file))?;
            let page = files.into_iter().map(|file| (file.id.uuid(), file)).collect();
            match pages.take_counted(page, count) {
                Next::Page => {}
                Next::End => return Ok((pages.finish(), read)),
            }
        }
    }

    /// What is known of a source file. Source: `GET /source-files/{id}/details`.
    ///
    /// # Errors
    /// Whatever kept it from being read.
    pub async fn source_file(&self, file: SourceFileId) -> Result<SourceFile, Error> {
        let path = ["source-files", &file.to_string(), "details"];
        self.told(&self.call(format!("read source file {file}"), Method::GET, &path, None), wire::source_file)
            .await
    }

    /// Renames a source file. Source: `PATCH /source-files/{id}/details`. Inferred: its original name stays.
    ///
    /// # Errors
    /// Whatever kept it from being renamed.
    pub async fn rename_source_file(&self, file: SourceFileId, name: &PartName) -> Result<(), Error> {
        let path = ["source-files", &file.to_string(), "details"];
        let doing = format!("rename source file {file} to {name}");
        self.done(&self.call(doing, Method::PATCH, &path, Some(json!({ "name": name.as_str() })))).await
    }

    /// Moves source files into a folder; safe to repeat. Source: `PUT /folders/{id}/source-files`, which takes a bare list.
    ///
    /// # Errors
    /// Whatever kept them from being moved.
    pub async fn move_source_files(&self, to: FolderId, files: &[SourceFileId]) -> Result<(), Error> {
        let ids: Vec<String> = files.iter().map(SourceFileId::to_string).collect();
        let doing = format!("move {} source files into folder {to}", ids.len());
        let path = ["folders", &to.to_string(), "source-files"];
        self.done(&self.call(doing, Method::PUT, &path, Some(json!(ids)))).await
    }

    /// Deletes source files for ever; safe to repeat. Source: `DELETE /source-files`, which takes a body.
    /// What it does about assets that something else uses is not known, so the flows delete assets by their ids.
    ///
    /// # Errors
    /// Whatever kept them from being deleted.
    pub async fn delete_source_files(
        &self,
        files: &[SourceFileId],
        assets: TheirAssets,
    ) -> Result<(), Error> {
        let ids: Vec<String> = files.iter().map(SourceFileId::to_string).collect();
        let doing = format!("delete {} source files", ids.len());
        let json = json!({ "source_file_ids": ids, "delete_assets": assets == TheirAssets::Delete });
        self.done(&self.call(doing, Method::DELETE, &["source-files"], Some(json))).await
    }

    /// The bytes of a source file. Redirects are followed, without the token as soon as they leave the origin.
    /// Source: `GET /source-files/{id}`.
    ///
    /// # Errors
    /// Whatever kept it from being begun; in the stream, what broke it off.
    pub async fn download(
        &self,
        file: SourceFileId,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let path = ["source-files", &file.to_string()];
        let call = self.call(format!("download source file {file}"), Method::GET, &path, None);
        let token = self.tokens.current().await?;
        match self.exchange.download(&call, Credential::UserToken(&token)).await {
            Err(error) if error.status() == Some(401) => {
                let next = self.another_token(&token, error).await?;
                let again = self.exchange.download(&call, Credential::UserToken(&next)).await;
                again.map_err(|error| self.twice_refused(&next, error))
            }
            outcome => outcome.inspect(|_| self.tokens.accepted(&token)),
        }
    }

    /// One upload task. Source: `GET /upload-tasks/{id}`.
    ///
    /// # Errors
    /// Whatever kept it from being read.
    pub async fn upload_task(&self, task: UploadTaskId) -> Result<UploadTask, Error> {
        let path = ["upload-tasks", &task.to_string()];
        self.told(&self.call(format!("read upload task {task}"), Method::GET, &path, None), wire::upload_task)
            .await
    }

    /// The upload tasks of a folder, page by page until there are no more or `enough` says of those so far that they are.
    /// Source: `GET /folders/{id}/upload-tasks`, which tells neither count nor order.
    ///
    /// # Errors
    /// Whatever kept a page from being read.
    pub async fn upload_tasks(
        &self,
        folder: FolderId,
        mut enough: impl FnMut(&[UploadTask]) -> bool,
    ) -> Result<Vec<UploadTask>, Error> {
        let mut pages = Pages::new();
        loop {
            let path = ["folders", &folder.to_string(), "upload-tasks"];
            let mut call =
                self.call(format!("list the upload tasks of folder {folder}"), Method::GET, &path, None);
            call.cap = wire::LIST_CAP;
            paged(&mut call, pages.offset());
            let heard = self.ask(&call).await?;
            let tasks = heard.read(&call, |value| listed(&value, wire::upload_task))?;
            let page = tasks.into_iter().map(|task| (task.id.uuid(), task)).collect();
            match pages.take_uncounted(page) {
                Next::Page if !enough(pages.items()) => {}
                Next::Page | Next::End => return Ok(pages.into_items()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
