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
        // Nothing is made before it is known that nothing is in the way.
        let (user, folder) = (find_user(setup, &wish.user).await?, find_folder(setup, &wish.folder).await?);
        let user = match user {
            Some(user) => (user, Origin::Found),
            None => (make_user(setup, &wish.user).await?, Origin::Made),
        };
        let folder = match folder {
            Some(folder) => (folder, Origin::Found),
            None => (make_folder(setup, &wish.folder).await?, Origin::Made),
        };
        let early = early(patience, &[user.1, folder.1]);
        let access = access(setup, folder.0.id, user.0.id, wish.access, early, patience).await?;
        Ok(Self { user, folder, access })
    }

    /// Whether anything was made.
    pub(super) fn is_new(&self) -> bool {
        self.user.1.is_new() || self.folder.1.is_new() || self.access.1.is_new()
    }

    /// Waits until what was made is listed, so that another run finds it. What is not listed in time is named.
    pub(super) async fn until_listed(
        &self,
        setup: &Setup,
        wish: &Wish,
        patience: &Patience,
    ) -> Result<Option<&'static str>, Failure> {
        let (mut waited, mut pause) = (Duration::ZERO, patience.retry_first);
        loop {
            let missing = if self.user.1.is_new() && find_user(setup, &wish.user).await?.is_none() {
                "user"
            } else if self.folder.1.is_new() && find_folder(setup, &wish.folder).await?.is_none() {
                "folder"
            } else {
                return Ok(None);
            };
            if waited >= patience.grace {
                return Ok(Some(missing));
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = pause.saturating_mul(2).min(patience.retry_max);
        }
    }

    /// Mints a token of the user and lists the folder with it.
    pub(super) async fn prove(
        &self,
        setup: &Setup,
        wish: &Wish,
        patience: &Patience,
        client: impl Fn(Secret) -> Result<Client, Failure>,
    ) -> Result<(), Failure> {
        let (user, folder) = (self.user.0.id, self.folder.0.id);
        let mint = || setup.mint_token(user, wish.access, Some(wish.ttl));
        let token = patiently(early(patience, &[self.user.1]), patience, is_early, mint).await;
        let token = token.map_err(refused)?;
        // A token may be as late as what it opens, and a client does not send one twice that was refused: each try has its own.
        let list = || {
            let client = client(token.clone());
            async move {
                client?.source_files(folder).await.map(drop).map_err(|error| {
                    let heading = format!("the token that was minted does not open the folder: {error}");
                    Failure::new(exit(&error), heading)
                })
            }
        };
        let is_early = |failure: &Failure| failure.exit() == Exit::LoginNeeded;
        // The token is new in any case.
        patiently(patience.grace, patience, is_early, list).await?;
        Ok(())
    }
}

async fn find_user(setup: &Setup, wanted: &str) -> Result<Option<User>, Failure> {
    let Ok(id) = wanted.parse::<UserId>() else {
        let named = setup.find_user(wanted).await.map_err(refused)?;
        return only("user", wanted, named, |user| user.id.to_string());
    };
    match setup.user(id).await {
        Ok(user) => Ok(Some(user)),
        Err(error) if error.status() == Some(404) => Err(unknown("user", wanted)),
        Err(error) => Err(refused(error)),
    }
}

async fn make_user(setup: &Setup, name: &str) -> Result<User, Failure> {
    match setup.register_user(name).await {
        Ok(user) => Ok(user),
        // Only its answer may be what was lost, or somebody was faster.
        Err(error) => find_user(setup, name).await?.ok_or_else(|| refused(error)),
    }
}

async fn find_folder(setup: &Setup, wanted: &str) -> Result<Option<Folder>, Failure> {
    let Ok(id) = wanted.parse::<FolderId>() else {
        let folders = setup.folders().await.map_err(refused)?.into_iter();
        let named = folders.filter(|folder| folder.parent.is_none() && folder.name == wanted).collect();
        return only("root folder", wanted, named, |folder| folder.id.to_string());
    };
    match setup.folder(id).await {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.status() == Some(404) => Err(unknown("folder", wanted)),
        Err(error) => Err(refused(error)),
    }
}

async fn make_folder(setup: &Setup, name: &str) -> Result<Folder, Failure> {
    match setup.make_root_folder(name).await {
        Ok(folder) => Ok(folder),
        Err(error) => find_folder(setup, name).await?.ok_or_else(|| refused(error)),
    }
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
    let held = patiently(early, patience, is_early, || setup.access(folder, user)).await.map_err(refused)?;
    if let Some(held) = held.filter(|held| *held >= wanted) {
        return Ok((held, Origin::Found));
    }
    patiently(early, patience, is_early, || setup.grant(folder, user, wanted)).await.map_err(refused)?;
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
        return Err(
            Failure::new(Exit::Usage, heading).hint(format!("name one by its id: {}", ids.join(", ")))
        );
    }
    Ok(found.pop())
}

/// How long a 403 or 404 may only mean that what was just made is not visible everywhere yet.
fn early(patience: &Patience, origins: &[Origin]) -> Duration {
    if origins.contains(&Origin::Made) { patience.grace } else { Duration::ZERO }
}

/// Whether it may only be that something is not visible yet.
fn is_early(error: &cloud::Error) -> bool {
    matches!(error.status(), Some(403 | 404))
}

/// Calls until it works, for at most `early` while the failure may pass by itself.
async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    early: Duration,
    patience: &Patience,
    is_early: impl Fn(&E) -> bool,
    call: impl Fn() -> F,
) -> Result<T, E> {
    let (mut waited, mut pause) = (Duration::ZERO, patience.retry_first);
    loop {
        match call().await {
            Err(error) if is_early(&error) && waited < early => {
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
        Exit::LoginNeeded => failure.hint(
            "the file must hold an API key of the environment: see the page \"API Access\" of the console",
        ),
        Exit::Temporary => failure.hint("run it again later: what was made is found then, not made twice"),
        _ => failure,
    }
}

fn exit(error: &cloud::Error) -> Exit {
    match error.blame() {
        Blame::User | Blame::Mapping => Exit::LoginNeeded,
        Blame::Cloud => Exit::Temporary,
        Blame::File => Exit::Unclassified,
        Blame::Room | Blame::Us => Exit::Configuration,
    }
}
