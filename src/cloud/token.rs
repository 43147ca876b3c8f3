//! The user token in hand: is it stale, and one renewal for all who wait. Knows neither routes nor where tokens come from.
//!
//! Age is measured on the monotonic clock, and on the wall clock as well: the monotonic one stands still while a machine
//! sleeps. A wall clock that jumps costs one early renewal, no more.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::exchange::Exchange;
use super::secret::Secret;
use super::source::{Source, Stamp, not_for_uploads};
use crate::ambient;
use crate::patience::Patience;
use crate::timestamp::Timestamp;

/// At which share of its life a token is renewed ahead.
const RENEW_AT: f64 = 0.8;
/// A token with this share of its life behind it is not renewed for a long transfer: another would hardly live longer.
const STILL_FRESH: f64 = 0.1;
/// How many refused tokens are remembered.
const REMEMBERED: usize = 8;

/// For how long a 401 says nothing of a token that the cloud itself has just minted. That what it makes is not visible
/// everywhere at once is inferred from the official client, which asks again for ids that are refused.
const NEWBORN: Duration = Duration::from_secs(10);

/// The user's tokens, shared by all who send requests.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    source: Source,
    patience: Patience,
    exchange: OnceLock<Exchange>,
    state: Mutex<State>,
    /// Held by the one who renews.
    gate: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The stamp of the file that `held` was read from.
    stamp: Option<Stamp>,
    /// Tokens that were answered by 401, the newest last.
    rejected: Vec<Secret>,
    /// How many tokens in a row were answered by 401 without one that worked between them.
    refusals: u32,
    /// How often in a row the source gave nothing that could be used, what it said last, and until when it is left alone.
    failures: u32,
    failure: Option<(Instant, Error)>,
}

struct Held {
    token: Secret,
    born: Instant,
    born_wall: Timestamp,
    life: Option<Duration>,
    /// Whether the cloud has taken it once.
    proven: bool,
}

impl Held {
    fn age(&self) -> Duration {
        self.born.elapsed().max(ambient::now().since(self.born_wall))
    }

    fn remaining(&self) -> Option<Duration> {
        self.life.map(|life| life.saturating_sub(self.age()))
    }

    fn is_young(&self) -> bool {
        self.life.is_none_or(|life| self.age() < life.mul_f64(RENEW_AT))
    }
}

/// How long the token in hand lives, for `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLife {
    /// The word for its source.
    pub source: &'static str,
    /// What is left of its life; none if nobody said how long it lives, or while there is none.
    pub remaining: Option<Duration>,
    /// Whether its source makes new ones by itself.
    pub renewable: bool,
}

/// What a 401 means for who got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The next token may do.
    TryAnother,
    /// The tokens are not what is wrong: two in a row were refused.
    Hopeless,
    /// The cloud minted it a moment ago, and may not know it everywhere yet.
    NotYet,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("life", &self.life()).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens from `source`; nothing is asked for until one is needed.
    #[must_use]
    pub fn new(source: Source, patience: Patience) -> Self {
        let (exchange, state, gate) = (OnceLock::new(), Mutex::default(), tokio::sync::Mutex::new(()));
        Self(Arc::new(Inner { source, patience, exchange, state, gate }))
    }

    /// Tells by which way tokens are fetched, for the sources that need one. The first client's is kept.
    pub(super) fn travel_by(&self, exchange: &Exchange) {
        self.0.exchange.get_or_init(|| exchange.clone());
    }

    /// The address that the source asks, where it is not the API's.
    pub(super) fn endpoint(&self) -> Option<&url::Url> {
        self.0.source.endpoint()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state valid at each step, so a poisoned one is still a true one.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token to send: the one in hand, or a new one where that is past 80 % of its life or was refused.
    ///
    /// # Errors
    /// What the source said, if it gave none; that it gave a refused one again. Who caused it is its [`Error::blame`].
    pub async fn current(&self) -> Result<Secret, Error> {
        let stamp = self.0.source.stamp().await;
        if let Some(answer) = self.at_hand(stamp) {
            return answer;
        }
        let _gate = self.0.gate.lock().await;
        // Whoever was here before may have brought it.
        match self.at_hand(stamp) {
            Some(answer) => answer,
            None => self.fetch(stamp).await,
        }
    }

    /// The answer that needs no question to the source, if there is one.
    fn at_hand(&self, stamp: Option<Stamp>) -> Option<Result<Secret, Error>> {
        let state = self.state();
        if state.stamp != stamp {
            // Somebody wrote the file anew: that ends every wait.
            return None;
        }
        let held = state.held.as_ref();
        if let Some(held) = held.filter(|held| held.is_young()) {
            return Some(Ok(held.token.clone()));
        }
        match &state.failure {
            Some((until, error)) if Instant::now() < *until => {
                Some(held.map_or_else(|| Err(error.clone()), |held| Ok(held.token.clone())))
            }
            Some(_) | None => None,
        }
    }

    /// Asks the source. Called by whoever holds the gate.
    async fn fetch(&self, stamp: Option<Stamp>) -> Result<Secret, Error> {
        let acquired = self.0.source.acquire(self.0.exchange.get()).await;
        let mut state = self.state();
        state.stamp = stamp;
        let acquired = acquired.and_then(|minted| {
            if minted.token.is_public() {
                Err(not_for_uploads())
            } else if state.rejected.contains(&minted.token) {
                let word = self.0.source.word();
                Err(Error::login(format!(
                    "the token source ({word}) gives a token again that the cloud refused, if no proxy on the way dropped it, as \
                     nginx does by default with headers that have an underscore"
                )))
            } else {
                Ok(minted)
            }
        });
        match acquired {
            Ok(minted) => {
                let token = minted.token.clone();
                let (born, born_wall) = (Instant::now(), ambient::now());
                state.held =
                    Some(Held { token: minted.token, born, born_wall, life: minted.life, proven: false });
                state.failure = None;
                if state.refusals == 0 {
                    state.failures = 0;
                }
                Ok(token)
            }
            Err(error) => {
                self.leave_alone(&mut state, error.clone());
                // What is in hand was not refused yet, so it is used until it is.
                state.held.as_ref().map_or(Err(error), |held| Ok(held.token.clone()))
            }
        }
    }

    /// Leaves the source alone for a while, the longer the more often it failed.
    fn leave_alone(&self, state: &mut State, error: Error) {
        let patience = &self.0.patience;
        let pause = patience.retry_first.saturating_mul(1 << state.failures.min(16)).min(patience.retry_max);
        state.failures = state.failures.saturating_add(1);
        state.failure = Some((Instant::now() + pause, error));
    }

    /// Says that `token` was answered by 401: it is not used again.
    pub fn reject(&self, token: &Secret) {
        self.refused(token);
    }

    pub(super) fn refused(&self, token: &Secret) -> Rejection {
        let mut state = self.state();
        let newborn = self.0.patience.grace.min(NEWBORN);
        let is_newborn = |held: &Held| held.token == *token && !held.proven && held.born.elapsed() < newborn;
        // The first refusal is met with another token, as ever; a second one of a token this young proves nothing.
        if state.refusals > 0 && self.0.source.mints() && state.held.as_ref().is_some_and(is_newborn) {
            return Rejection::NotYet;
        }
        if !state.rejected.contains(token) {
            if state.rejected.len() == REMEMBERED {
                state.rejected.remove(0);
            }
            state.rejected.push(token.clone());
            state.refusals = state.refusals.saturating_add(1);
            if state.refusals >= 2 {
                // New tokens do not help: mint no faster than a failing source would be asked.
                self.leave_alone(
                    &mut state,
                    Error::login("the cloud refuses every token that the token source gives"),
                );
            }
        }
        if state.held.as_ref().is_some_and(|held| held.token == *token) {
            state.held = None;
        }
        if state.refusals >= 2 { Rejection::Hopeless } else { Rejection::TryAnother }
    }

    /// Says that `token` was accepted.
    pub(super) fn accepted(&self, token: &Secret) {
        let mut state = self.state();
        if let Some(held) = state.held.as_mut().filter(|held| held.token == *token) {
            held.proven = true;
            state.refusals = 0;
            if state.failure.is_none() {
                state.failures = 0;
            }
        }
    }

    /// Renews ahead of a long transfer if less than `needed` is left, unless the token is fresh or cannot be renewed. The
    /// transfer may start in any case that gives a token: a fresh one is the best there is.
    ///
    /// # Errors
    /// As [`Tokens::current`].
    pub async fn renew_if_shorter_than(&self, needed: Duration) -> Result<(), Error> {
        let token = self.current().await?;
        let short = |held: &Held| {
            let left_too_little = held.remaining().is_some_and(|remaining| remaining < needed);
            left_too_little && held.life.is_some_and(|life| held.age() > life.mul_f64(STILL_FRESH))
        };
        let wanted = |state: &State| {
            state.held.as_ref().is_some_and(|held| held.token == token && short(held))
                && state.failure.as_ref().is_none_or(|(until, _)| Instant::now() >= *until)
        };
        if !self.0.source.renews() || !wanted(&self.state()) {
            return Ok(());
        }
        let stamp = self.0.source.stamp().await;
        let _gate = self.0.gate.lock().await;
        if wanted(&self.state()) {
            self.fetch(stamp).await?;
        }
        Ok(())
    }

    /// How long the token in hand lives; asks nobody.
    #[must_use]
    pub fn life(&self) -> TokenLife {
        let remaining = self.state().held.as_ref().and_then(Held::remaining);
        TokenLife { source: self.0.source.word(), remaining, renewable: self.0.source.renews() }
    }
}
