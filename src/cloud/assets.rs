//! What conversion made: listing it, who uses it, deleting it. Knows no plan: what may go is decided elsewhere.

use reqwest::Method;
use serde_json::json;

use super::error::Error;
use super::exchange::Call;
use super::listing::{Next, Pages};
use super::setup::{listed, paged};
use super::{Client, SourceFile, wire};
use crate::file::entry::Asset;
use crate::file::shown;
use crate::id::{AssetId, SourceFileId};

/// Whether the routes for single assets are known for this type: without its plural no address can be made.
#[must_use]
pub fn is_known_type(kind: &str) -> bool {
    wire::container_of(kind).is_some()
}

impl Client {
    /// What conversion made of a source file. Source: `GET /source-files/{id}/assets`, which is not paged.
    /// Inferred: all of it, where a conversion task names the main asset only.
    ///
    /// # Errors
    /// Whatever kept them from being read.
    pub async fn assets_of(&self, file: SourceFileId) -> Result<Vec<Asset>, Error> {
        let path = ["source-files", &file.to_string(), "assets"];
        let mut call = self.call(format!("list the assets of source file {file}"), Method::GET, &path, None);
        call.cap = wire::LIST_CAP;
        self.told(&call, wire::assets).await
    }

    /// The assets that use one, page by page until there are no more or `enough` says of those so far that they are.
    /// Source: `GET /assets/{container}/{id}/references`, which tells neither count nor order. Inferred: those that use it
    /// directly, whoever made them and wherever they lie.
    ///
    /// # Errors
    /// An asset of a type that is not known; whatever kept a page from being read; 404 if there is no such asset.
    pub async fn users_of(
        &self,
        asset: &Asset,
        mut enough: impl FnMut(&[Asset]) -> bool,
    ) -> Result<Vec<Asset>, Error> {
        let mut pages = Pages::new();
        loop {
            let mut call = self.about(asset, "read who uses", Method::GET, &["references"])?;
            call.cap = wire::LIST_CAP;
            paged(&mut call, pages.offset());
            call.url.query_pairs_mut().append_pair("properties[]", "name");
            let heard = self.ask(&call).await?;
            let users = heard.read(&call, |value| listed(&value, wire::user_of_asset))?;
            let page = users.into_iter().map(|user| (user.id.uuid(), user)).collect();
            match pages.take_uncounted(page) {
                Next::Page if !enough(pages.items()) => {}
                Next::Page | Next::End => return Ok(pages.into_items()),
            }
        }
    }

    /// The source file that an asset was made of. Source: `GET /assets/{container}/{id}/source-file`.
    ///
    /// # Errors
    /// As for [`Client::users_of`]; 404 also if its source file is deleted.
    pub async fn source_of(&self, asset: &Asset) -> Result<SourceFile, Error> {
        let call = self.about(asset, "read the source file of", Method::GET, &["source-file"])?;
        self.told(&call, wire::source_file).await
    }

    /// Deletes assets for ever, none of which may be used. Source: `DELETE /assets`, which takes a bare list.
    /// Whether it refuses used ones or deletes what uses them too is not known.
    ///
    /// # Errors
    /// Whatever kept them from being deleted; 404 if one of them is not there.
    pub async fn delete_assets(&self, assets: &[AssetId]) -> Result<(), Error> {
        let ids: Vec<String> = assets.iter().map(AssetId::to_string).collect();
        let doing = format!("delete {} assets", ids.len());
        self.done(&self.call(doing, Method::DELETE, &["assets"], Some(json!(ids)))).await
    }

    /// Deletes an asset for ever, which must not be used; safe to repeat. Source: `DELETE /assets/{container}/{id}`.
    ///
    /// # Errors
    /// As for [`Client::delete_assets`].
    pub async fn delete_asset(&self, asset: &Asset) -> Result<(), Error> {
        self.done(&self.about(asset, "delete", Method::DELETE, &[])?).await
    }

    fn about(&self, asset: &Asset, doing: &str, method: Method, below: &[&str]) -> Result<Call, Error> {
        let doing = format!("{doing} {} {}", shown(&asset.kind), asset.id);
        let Some(container) = wire::container_of(&asset.kind) else {
            return Err(Error::setting(&doing, "this version does not know its type"));
        };
        let id = asset.id.to_string();
        let path: Vec<&str> = ["assets", container, &id].into_iter().chain(below.iter().copied()).collect();
        Ok(self.call(doing, method, &path, None))
    }
}
