//! A bundle whose steps take versync down again and again is set aside, so that the others go on and a person is told. Looks at
//! nothing: whatever looks at it may be what does it.

use std::sync::Arc;

use super::{Ended, put};
use crate::agenda::{Errand, Reach};
use crate::ambient;
use crate::desk::Desk;
use crate::file::entry::{Aside, AsideState};
use crate::file::{Entry, State};
use crate::ledger;
use crate::verdict::{Failure, Verdict};

/// What happens when the bundle is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bars {
    /// A step panics.
    Panic,
    /// The system kills the process for want of memory.
    WantOfMemory,
}

impl Bars {
    /// Why the bundle is blocked, for a person.
    const fn reason(self) -> &'static str {
        match self {
            Self::Panic => {
                "internal error: versync failed at it again and again; please report it with the log, change the file or say \
                 `versync retry`"
            }
            Self::WantOfMemory => {
                "the system killed versync for want of memory three times while it read this; give it more memory or make the \
                 file smaller, then say `versync retry`"
            }
        }
    }
}

/// Blocks a bundle in place of another step of it. What is known of it, and an attempt that is open, stay as they are.
pub async fn bar(desk: Arc<Desk>, errand: Errand, bars: Bars) -> Ended {
    let key = errand.key.clone();
    let (verdict, was, entry) = match try_bar(&desk, &errand, bars.reason()).await {
        Ok((was, entry)) => (Verdict::Done, was, Some(Arc::new(entry))),
        Err(error) => (Verdict::Failed(Failure::new(error.blame(), error.to_string())), State::Ready, None),
    };
    let is = entry.as_ref().map_or(State::Ready, |entry| entry.state());
    Ended { key, verdict, reach: Reach::Local, was, is, entry, also: Vec::new() }
}

async fn try_bar(desk: &Arc<Desk>, errand: &Errand, reason: &str) -> Result<(State, Entry), ledger::Error> {
    let stored = {
        let (ledger, key) = (desk.ledger.clone(), errand.key.clone());
        crate::worker::blocking(move || ledger.entry(&key)).await?
    };
    let was = stored.state();
    if stored.aside.as_ref().is_some_and(|aside| aside.reason == reason) {
        return Ok((was, stored));
    }
    let aside = Aside {
        state: AsideState::Blocked,
        reason: reason.to_owned(),
        version: stored.wanted,
        since: ambient::now(),
    };
    let entry = Entry { aside: Some(aside), ..stored };
    let note = format!("{}: {reason}", State::Blocked);
    Ok((was, put(desk, &errand.key, entry, &[], Some(note)).await?))
}
