//! A bundle whose steps panic again and again is set aside, so that the others go on and a person is told. Looks at nothing:
//! whatever looks at it may be what panics.

use std::sync::Arc;

use super::{Ended, put};
use crate::agenda::{Errand, Reach};
use crate::ambient;
use crate::desk::Desk;
use crate::file::entry::{Aside, AsideState};
use crate::file::{Entry, State};
use crate::ledger;
use crate::verdict::{Failure, Verdict};

/// Why such a bundle is blocked, for a person.
const REASON: &str = "internal error: versync failed at it again and again; please report it with the log, change the \
                      file or say `versync retry`";

/// Blocks a bundle in place of another step of it. What is known of it, and an attempt that is open, stay as they are.
pub async fn bar(desk: Arc<Desk>, errand: Errand) -> Ended {
    let key = errand.key.clone();
    let (verdict, was, entry) = match try_bar(&desk, &errand).await {
        Ok((was, entry)) => (Verdict::Done, was, Some(Arc::new(entry))),
        Err(error) => (Verdict::Failed(Failure::new(error.blame(), error.to_string())), State::Ready, None),
    };
    let is = entry.as_ref().map_or(State::Ready, |entry| entry.state());
    Ended { key, verdict, reach: Reach::Local, was, is, entry, also: Vec::new() }
}

async fn try_bar(desk: &Arc<Desk>, errand: &Errand) -> Result<(State, Entry), ledger::Error> {
    let stored = {
        let (ledger, key) = (desk.ledger.clone(), errand.key.clone());
        crate::worker::blocking(move || ledger.entry(&key)).await?
    };
    let was = stored.state();
    let aside = Aside {
        state: AsideState::Blocked,
        reason: REASON.to_owned(),
        version: stored.wanted,
        since: ambient::now(),
    };
    let entry = Entry { aside: Some(aside), ..stored };
    let note = format!("{}: {REASON}", State::Blocked);
    Ok((was, put(desk, &errand.key, entry, &[], Some(note)).await?))
}
