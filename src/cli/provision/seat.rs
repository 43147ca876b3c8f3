//! What an installation needs in the cloud: a user of its own, a folder, access to it. Found where it is there, made where not.
//!
//! Everything is looked for before it is made, and what was made is looked for again if its answer was lost, so that it can
//! be repeated. Nothing is ever taken away or lowered. Knows no configuration and prints nothing.

use std::time::Duration;

use crate::cli::failure::{Exit, Failure};
use crate::cloud::{self, Client, Folder, Scope, Secret, Setup, User};
use crate::file::shown;
use crate::id::{FolderId, UserId};
use crate::patience::Patience;
use crate::verdict::Blame;

/// What is wanted: each by its name or its id.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) user: String,
    pub(super) folder: String,
    pub(super) access: Scope,
    /// How long a token lives.
    pub(super) ttl: Duration,
}

/// Whether something was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was there.
    Found,
    /// It was made now.
    Made,
}

impl Origin {
    pub(super) const fn is_new(self) -> bool {
        match self {
            Self::Found => false,
            Self::Made => true,
        }
    }
}

/// The seat of an installation.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) user: (User, Origin),
    pub(super) folder: (Folder, Origin),
    /// What the user may do there, which may be more than was wanted.
    pub(super) access: (Scope, Origin),
}

impl Seat {
    /// Finds or makes all of it.
    pub(super) async fn take(setup: &Setup, wish: &Wish, patience: &Patience) -> Result<Self, Failure> {
        let user = user(setup, &wish.user).await?;
        let folder = folder(setup, &wish.folder).await?;
        let early = early(patience, &[user.1, folder.1]);
        let access = access(setup, folder.0.id, user.0.id, wish.access, early, patience).await?;
        Ok(Self { user, folder, access })
    }

    /// Whether anything was made.
    pub(super) fn is_new(&self) -> bool {
        self.user.1.is_new() || self.folder.1.is_new() || self.access.1.is_new()
    }

    /// Mints a token of the user and lists the folder with it.
    pub(super) async fn prove(
        &self,
        setup: &Setup,
        wish: &Wish,
        patience: &Patience,
        client: impl FnOnce(Secret) -> Result<Client, Failure>,
    ) -> Result<(), Failure> {
        let (user, folder) = (self.user.0.id, self.folder.0.id);
        let mint = || setup.mint_token(user, wish.access, Some(wish.ttl));
        let minted = patiently(early(patience, &[self.user.1]), patience, mint).await;
        let client = client(minted.map_err(refused)?)?;
        let early = early(patience, &[self.user.1, self.folder.1, self.access.1]);
        patiently(early, patience, || client.source_files(folder)).await.map_err(|error| {
            Failure::new(exit(&error), format!("the token that was minted does not open the folder: {error}"))
        })?;
        Ok(())
    }
}

async fn user(setup: &Setup, wanted: &str) -> Result<(User, Origin), Failure> {
    if let Ok(id) = wanted.parse::<UserId>() {
        return match setup.user(id).await {
            Ok(user) => Ok((user, Origin::Found)),
            Err(error) if error.status() == Some(404) => Err(unknown("user", wanted)),
            Err(error) => Err(refused(error)),
        };
    }
    if let Some(user) = only("user", wanted, named_users(setup, wanted).await?, |user| user.id.to_string())? {
        return Ok((user, Origin::Found));
    }
    match setup.register_user(wanted).await {
        Ok(user) => Ok((user, Origin::Made)),
        // The answer may be what was lost, or somebody was faster.
        Err(error) => {
            let found = named_users(setup, wanted).await?;
            let found = only("user", wanted, found, |user| user.id.to_string())?;
            found.map(|user| (user, Origin::Made)).ok_or_else(|| refused(error))
        }
    }
}

async fn named_users(setup: &Setup, name: &str) -> Result<Vec<User>, Failure> {
    setup.find_user(name).await.map_err(refused)
}

async fn folder(setup: &Setup, wanted: &str) -> Result<(Folder, Origin), Failure> {
    if let Ok(id) = wanted.parse::<FolderId>() {
        return match setup.folder(id).await {
            Ok(folder) => Ok((folder, Origin::Found)),
            Err(error) if error.status() == Some(404) => Err(unknown("folder", wanted)),
            Err(error) => Err(refused(error)),
        };
    }
    let id = |folder: &Folder| folder.id.to_string();
    if let Some(folder) = only("root folder", wanted, named_roots(setup, wanted).await?, id)? {
        return Ok((folder, Origin::Found));
    }
    match setup.make_root_folder(wanted).await {
        Ok(folder) => Ok((folder, Origin::Made)),
        Err(error) => {
            let found = only("root folder", wanted, named_roots(setup, wanted).await?, id)?;
            found.map(|folder| (folder, Origin::Made)).ok_or_else(|| refused(error))
        }
    }
}

async fn named_roots(setup: &Setup, name: &str) -> Result<Vec<Folder>, Failure> {
    let folders = setup.folders().await.map_err(refused)?;
    Ok(folders.into_iter().filter(|folder| folder.parent.is_none() && folder.name == name).collect())
}

/// Grants what is missing; what is there is never lowered.
async fn access(
    setup: &Setup,
    folder: FolderId,
    user: UserId,
    wanted: Scope,
    early: Duration,
    patience: &Patience,
) -> Result<(Scope, Origin), Failure> {
    let held = patiently(early, patience, || setup.access(folder, user)).await.map_err(refused)?;
    if let Some(held) = held.filter(|held| *held >= wanted) {
        return Ok((held, Origin::Found));
    }
    patiently(early, patience, || setup.grant(folder, user, wanted)).await.map_err(refused)?;
    Ok((wanted, Origin::Made))
}

/// The only one of a name, if there is one.
fn only<T>(
    kind: &str,
    name: &str,
    mut found: Vec<T>,
    id: impl Fn(&T) -> String,
) -> Result<Option<T>, Failure> {
    if found.len() > 1 {
        let ids: Vec<_> = found.iter().map(id).collect();
        let heading = format!("failed to choose a {kind}: {} are called {}", ids.len(), shown(name));
        return Err(Failure::new(Exit::Usage, heading).hint(format!("name one by its id: {}", ids.join(", "))));
    }
    Ok(found.pop())
}

/// How long a 403 or 404 may only mean that what was just made is not visible everywhere yet.
fn early(patience: &Patience, origins: &[Origin]) -> Duration {
    if origins.contains(&Origin::Made) { patience.grace } else { Duration::ZERO }
}

/// Calls until it works, or fails for a reason that time does not cure.
async fn patiently<T, F: Future<Output = Result<T, cloud::Error>>>(
    early: Duration,
    patience: &Patience,
    call: impl Fn() -> F,
) -> Result<T, cloud::Error> {
    let (mut waited, mut pause) = (Duration::ZERO, patience.retry_first);
    loop {
        match call().await {
            Err(error) if matches!(error.status(), Some(403 | 404)) && waited < early => {
                tokio::time::sleep(pause).await;
                waited += pause;
                pause = pause.saturating_mul(2).min(patience.retry_max);
            }
            outcome => return outcome,
        }
    }
}

fn unknown(kind: &str, id: &str) -> Failure {
    Failure::new(Exit::Usage, format!("failed to find the {kind} {id}: the cloud has none of this id"))
        .hint("copy the id from the console, or give a name instead: then it is made if it is not there")
}

/// Why the cloud did not do what the key asked for.
fn refused(error: cloud::Error) -> Failure {
    let exit = exit(&error);
    let failure = Failure::new(exit, error.to_string());
    match exit {
        Exit::LoginNeeded => {
            failure.hint("the file must hold an API key of the environment: see the page \"API Access\" of the console")
        }
        Exit::Temporary => failure.hint("run it again later: what was made is found then, not made twice"),
        _ => failure,
    }
}

fn exit(error: &cloud::Error) -> Exit {
    match error.blame() {
        Blame::User | Blame::Mapping => Exit::LoginNeeded,
        Blame::Cloud => Exit::Temporary,
        Blame::File => Exit::Unclassified,
        Blame::Us => Exit::Configuration,
    }
}
