//! Links into the console, from the address of the environment there. Pure; no link ever holds a credential.
//!
//! The shape is that of the links in 3dverse's own demonstrations; it is in no reference. So whoever writes `{folder_id}` or
//! `{asset_id}` into the template has it made their way.

use crate::cli::failure::{Exit, Failure};
use crate::file::entry::Asset;
use crate::file::shown;
use crate::id::FolderId;

/// What a template looks like.
pub(super) const EXAMPLE: &str = "https://console.3dverse.com/my-studio/my-project/default";

/// What is filled in; the rest is for the user to replace.
const FILLED: [&str; 3] = ["{folder_id}", "{asset_id}", "{asset_type}"];

/// A template in which nothing is left to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Console<'a>(&'a str);

impl<'a> Console<'a> {
    /// Takes the option `server.console`.
    ///
    /// # Errors
    /// A template that still holds a word in braces that only its owner can replace.
    pub(super) fn new(template: &'a str) -> Result<Self, Failure> {
        let rest = FILLED.iter().fold(template.to_owned(), |rest, name| rest.replace(name, ""));
        match rest.split_once('{') {
            None => Ok(Self(template)),
            Some((_, rest)) => {
                let word = shown(rest.split('}').next().unwrap_or_default());
                let heading = format!("failed to make a link: `console` still holds {{{word}}}");
                Err(Failure::new(Exit::Configuration, heading).hint(format!(
                    "write the names that your console shows in its address, like \"{EXAMPLE}\""
                )))
            }
        }
    }

    /// The link to an asset in its folder.
    pub(super) fn link(&self, folder: FolderId, asset: &Asset) -> String {
        let mut template = self.0.trim_end_matches('/').to_owned();
        if !FILLED.iter().any(|name| template.contains(name)) {
            template.push_str("/folders/{folder_id}?item={asset_id}.{asset_type}");
        }
        // The type is a word of the server's: nothing else may come into an address.
        let kind: String = asset.kind.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let [folder_id, asset_id, asset_type] = FILLED;
        template
            .replace(folder_id, &folder.to_string())
            .replace(asset_id, &asset.id.to_string())
            .replace(asset_type, &kind)
    }
}
