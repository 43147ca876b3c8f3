//! What an environment holds from the start, and the credentials that open it. All of them are plainly fake.

use serde::Serialize;
use uuid::Uuid;

use super::access::Level;
use super::clock::{Dice, Millis};
use super::vault::table::Table;
use super::vault::{User, Vault};

/// The first user's name.
const USERNAME: &str = "versync-demo";
/// The root-level folder that the first user manages.
const STUDIO: &str = "Studio";
/// How long the first token lives.
const DAY: Millis = 24 * 60 * 60 * 1000;

/// What a client needs to begin: `versync emulator --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Seeds {
    /// The base URL of the API.
    pub url: String,
    /// The environment's api_key.
    pub api_key: String,
    /// The environment's public token.
    pub public_token: String,
    /// The first user.
    pub user_id: String,
    /// Its name.
    pub username: String,
    /// A token of that user: scope `manage`, for 24 hours from the start.
    pub user_token: String,
    /// The folder `Studio`, which that user manages.
    pub folder_id: String,
    /// The folder `Public`.
    pub public_folder_id: String,
    /// The environment.
    pub environment_id: String,
}

impl Seeds {
    /// Reads the seeds out of a vault, and mints the first token.
    pub(super) fn of(vault: &mut Vault, url: String, now: Millis) -> Self {
        let user = vault.first_user;
        let user_token = vault.mint(user, Level::Manage, now - DAY, now + DAY);
        Self {
            url,
            api_key: vault.api_key.clone(),
            public_token: vault.public_token.clone(),
            user_id: user.to_string(),
            username: USERNAME.into(),
            user_token,
            folder_id: vault.studio.to_string(),
            public_folder_id: vault.public_folder.to_string(),
            environment_id: vault.environment.to_string(),
        }
    }
}

impl Vault {
    /// A new environment with what every environment has, one user, and that user's folder.
    pub(super) fn founded(seed: u64, now: Millis) -> Self {
        let mut dice = Dice::new(seed);
        let api_key = format!("{}.fake-emulator-api-key-{}", dice.id(), dice.letters(21));
        let public_token = format!("public_emulator{}", dice.letters(8));
        let (environment, environment_user, first) = (dice.id(), dice.id(), dice.id());
        let mut vault = Self {
            dice,
            api_key,
            public_token,
            environment,
            environment_user,
            public_folder: Uuid::nil(),
            first_user: first,
            studio: Uuid::nil(),
            users: Table::default(),
            tokens: Default::default(),
            groups: Table::default(),
            folders: Table::default(),
            files: Table::default(),
            tasks: Table::default(),
            assets: Table::default(),
            sessions: Table::default(),
            discarded: false,
        };
        let username = "emulator_versync_main".into();
        vault.users.push(User { id: environment_user, username, registered_at: now });
        vault.users.push(User { id: first, username: USERNAME.into(), registered_at: now });
        // Old enough for every delay that a knob may ask for.
        let before = now - DAY;
        vault.public_folder = vault.make_folder("Public", None, None, before);
        vault.make_folder("Assets", None, None, before);
        vault.studio = vault.make_folder(STUDIO, None, Some(first), before);
        vault
    }
}
