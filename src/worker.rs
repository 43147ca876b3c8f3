//! Blocking work off the async threads. Knows nothing of what the work is.

/// Runs what blocks off the async threads; a panic in it goes on as the panic of the step.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down: nothing after this point will be polled again.
            Err(_) => std::future::pending().await,
        },
    }
}
