//! What the system and the service manager say to the process, and what it says back.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Something the process is asked to do from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Begin nothing new, finish what runs (SIGTERM, SIGINT).
    Gently,
    /// Stop now (the second SIGTERM or SIGINT).
    Now,
    /// Read the configuration again (SIGHUP).
    Reload,
}

/// The signals that arrive, in order. Whoever holds the [`Sender`] half of a pair can play them: tests do.
#[derive(Debug)]
pub struct Signals {
    receiver: mpsc::Receiver<Signal>,
    _listeners: JoinSet<()>,
}

/// Plays signals.
pub type Sender = mpsc::Sender<Signal>;

impl Signals {
    /// Listens to the system's signals.
    ///
    /// # Errors
    /// What the system says if it lets us not listen.
    pub fn listen() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(8);
        let mut listeners = JoinSet::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        listeners.spawn(async move {
            let mut next = Signal::Gently;
            loop {
                // Once a listener exists the default action never comes back, so the second one is ours to handle too.
                let heard = tokio::select! {
                    Some(()) = terminate.recv() => std::mem::replace(&mut next, Signal::Now),
                    Some(()) = interrupt.recv() => std::mem::replace(&mut next, Signal::Now),
                    Some(()) = hangup.recv() => Signal::Reload,
                    else => return,
                };
                if sender.send(heard).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { receiver, _listeners: listeners })
    }

    /// A pair whose signals are played by hand.
    #[must_use]
    pub fn by_hand() -> (Sender, Self) {
        let (sender, receiver) = mpsc::channel(8);
        (sender, Self { receiver, _listeners: JoinSet::new() })
    }

    /// The next signal; waits for ever once nobody can send one.
    pub async fn next(&mut self) -> Signal {
        match self.receiver.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// What the process tells its service manager; nothing where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// It is up and at work.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// Its loop turns.
    Alive,
    /// It is about to end.
    Stopping,
}

/// Tells the service manager. That nobody listens is no trouble.
#[cfg(target_os = "linux")]
pub fn tell(what: Tell) {
    use sd_notify::NotifyState;
    let told = match what {
        Tell::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Tell::Reloading => match NotifyState::monotonic_usec_now() {
            // systemd wants both in one message.
            Ok(moment) => sd_notify::notify(&[NotifyState::Reloading, moment]),
            Err(_) => Ok(()),
        },
        Tell::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        Tell::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// Tells the service manager, of which this system has none that we know.
#[cfg(not(target_os = "linux"))]
pub fn tell(_what: Tell) {}

/// How often the service manager wants to hear that the loop turns; none if it does not ask.
#[must_use]
#[cfg(target_os = "linux")]
pub fn watchdog() -> Option<std::time::Duration> {
    sd_notify::watchdog_enabled()
}

/// Nobody asks on this system.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn watchdog() -> Option<std::time::Duration> {
    None
}
