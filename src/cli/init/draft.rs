//! The text of a first configuration: short, commented, and such that it can be read back.

use std::path::{Path, PathBuf};

use crate::cli::failure::{Exit, Failure};
use crate::config::{CLOUD, Scope, quoted};
use crate::file::shown;
use crate::id::UserId;

/// What a first configuration says; what is open stands in it as an example.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Draft {
    pub(in crate::cli) path: Option<PathBuf>,
    pub(in crate::cli) folder: Option<String>,
    pub(in crate::cli) url: Option<String>,
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// Whether the token file was named by the user, so that it need not be asked for.
    pub(in crate::cli) token_file_given: bool,
    /// An API key, where that is the source of user tokens instead.
    pub(in crate::cli) key: Option<KeyDraft>,
}

/// How an API key makes user tokens.
#[derive(Debug, Clone)]
pub(in crate::cli) struct KeyDraft {
    pub(in crate::cli) file: PathBuf,
    pub(in crate::cli) user: UserId,
    pub(in crate::cli) scope: Scope,
    pub(in crate::cli) ttl: String,
}

/// The examples that stand for what is open.
const PATH: &str = "/path/to/your/models";
const FOLDER: &str = "00000000-0000-4000-8000-000000000000";
const TOKEN_FILE: &str = "~/.config/versync/user-token";

impl Draft {
    /// What still has to be filled in.
    pub(super) fn blanks(&self) -> Vec<&'static str> {
        let blanks = [(self.path.is_none(), "`path`"), (self.folder.is_none(), "`folder`")];
        blanks.into_iter().filter(|(is_open, _)| *is_open).map(|(_, name)| name).collect()
    }

    /// The configuration.
    pub(in crate::cli) fn text(&self) -> Result<String, Failure> {
        let path = self.path.as_deref().unwrap_or(Path::new(PATH));
        let name = quoted(&mapping_name(path));
        let path = quoted(as_text(path)?);
        let auth = self.auth()?;
        let folder = quoted(self.folder.as_deref().unwrap_or(FOLDER));
        let url = match &self.url {
            Some(url) => format!("url = {}", quoted(url)),
            None => format!("#url = {}", quoted(CLOUD)),
        };
        let [path_mark, folder_mark] = [self.path.is_none(), self.folder.is_none()]
            .map(|is_open| if is_open { " # an example: fill in yours" } else { "" });
        Ok(format!(
            "\
# The configuration of versync. `versync check` tells whether all is well with it.
# No secret belongs in here: it names the file that holds one. Unknown names are errors.

[server]
# The Asset API of 3dverse.
{url}

[auth]
{auth}
# One local directory and the 3dverse folder that mirrors it. Repeat this table for more.
[[mapping]]
name = {name}
path = {path}{path_mark}
folder = {folder}{folder_mark}

# Gitignore patterns of what is never sent. What programs leave behind is left out anyway.
#exclude = [\"wip/\", \"*_old.*\"]
"
        ))
    }
}

impl Draft {
    fn auth(&self) -> Result<String, Failure> {
        if let Some(KeyDraft { file, user, scope, ttl }) = &self.key {
            let (file, ttl) = (quoted(as_text(file)?), quoted(ttl));
            return Ok(format!(
                "\
# The API key mints tokens for this user. It opens the whole environment: only for hosts that are guarded like a server.
# Elsewhere let one such host mint, and name its `command` or `endpoint` here; exactly one source is named.
api_key_file = {file}
user_id = \"{user}\"
scope = \"{}\"
ttl = {ttl}
",
                scope.word()
            ));
        }
        let token_file = quoted(as_text(self.token_file.as_deref().unwrap_or(Path::new(TOKEN_FILE)))?);
        Ok(format!(
            "\
# A file that holds a user token, readable by yourself alone (chmod 600). It is read again when the token is refused.
# Other sources are `command`, `endpoint`, `user_token_env` and `api_key_file`; exactly one is named.
user_token_file = {token_file}
"
        ))
    }
}

/// A name for the mapping of a directory, by the rules of the configuration: the directory's own, as far as it fits.
pub(in crate::cli) fn mapping_name(path: &Path) -> String {
    let last = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || "_-. ".contains(c) { c } else { '_' };
    let name: String = last.trim_start_matches(['-', '.', '~', ' ']).chars().map(plain).take(64).collect();
    let name = name.trim();
    if name.is_empty() { "models".to_owned() } else { name.to_owned() }
}

fn as_text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        let path = shown(&path.to_string_lossy());
        Failure::new(Exit::Configuration, format!("failed to write down {path}: its name is not UTF-8"))
            .hint("rename it, or name a link to it")
    })
}
