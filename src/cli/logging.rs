//! Logs, set up before the first thing that may be worth logging. Knows nothing of what is logged, but whose it is.
//!
//! What other crates say of their work is cut off at warnings, however much is asked for: below that, HTTP stacks print
//! requests. Nobody can be hurt by a log that cannot be written, so every failure to write one is swallowed, and lines that
//! find no room are counted.

mod rotation;

use std::fmt;
use std::io::{IsTerminal as _, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use jiff::tz::TimeZone;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use super::Global;
use super::failure::{Exit, Failure};
use super::paper::Paper;
use crate::ambient;
use crate::config::{Environment, Log, LogFormat};
use crate::file::shown;
use rotation::Rotation;

/// Who reads along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// An operator, or the journal: what `run` does is told as it happens.
    Operator,
    /// Somebody who waits for a summary: what that will tell is not told twice.
    Waiting,
}

/// How much is told: of everything, and of the flows whose outcome a summary tells again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Levels {
    ours: LevelFilter,
    flows: LevelFilter,
}

impl Levels {
    fn of(reader: Reader, global: &Global) -> Self {
        let same = |level| Self { ours: level, flows: level };
        match (reader, global.verbose, global.quiet) {
            (_, 1, _) => same(LevelFilter::DEBUG),
            (_, 2.., _) => same(LevelFilter::TRACE),
            (Reader::Operator, 0, false) => same(LevelFilter::INFO),
            (Reader::Operator, 0, true) => same(LevelFilter::WARN),
            (Reader::Waiting, 0, false) => Self { ours: LevelFilter::WARN, flows: LevelFilter::ERROR },
            (Reader::Waiting, 0, true) => same(LevelFilter::ERROR),
        }
    }

    fn targets(self) -> Targets {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("versync", self.ours)
            .with_target("versync::daemon", self.flows)
    }
}

/// The logs of this process, until it is dropped: then what is still on its way to a file is written.
pub(super) struct Logs {
    screen: MultiProgress,
    file: Option<(ErrorCounter, WorkerGuard)>,
}

impl Logs {
    /// Where progress is to be drawn, so that no line of a log tears it.
    pub(super) fn screen(&self) -> &MultiProgress {
        &self.screen
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let Some((lost, guard)) = self.file.take() else { return };
        drop(guard);
        let lost = lost.dropped_lines();
        if lost > 0 {
            Paper::new(false).talk(&format!("{lost} lines of the log were lost: its disk was too slow"));
        }
    }
}

/// Sets up the logs of this process. A second call changes nothing but where progress is drawn.
///
/// # Errors
/// A log file that cannot be opened, which is a fault of the configuration.
pub(super) fn init(log: &Log, reader: Reader, global: &Global) -> Result<Logs, Failure> {
    let environment = Environment::process();
    let is_set = |name| environment.get(name).is_some();
    let is_terminal = std::io::stderr().is_terminal();
    let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let targets = Levels::of(reader, global).targets();
    let is_json = match (log.format, reader) {
        (LogFormat::Json, _) => true,
        (LogFormat::Text, _) | (LogFormat::Auto, Reader::Waiting) => false,
        (LogFormat::Auto, Reader::Operator) => log.file.is_some() || !is_terminal,
    };
    if let Some(path) = &log.file {
        let rotation = Rotation::open(path, log.max_size, log.keep).map_err(|error| {
            Failure::new(
                Exit::Configuration,
                format!("failed to open the log file {}: {error}", shown(&path.to_string_lossy())),
            )
            .hint("correct `log.file`, or its directory's permissions")
        })?;
        let builder = NonBlockingBuilder::default().lossy(true).thread_name("versync-log");
        let (writer, guard) = builder.finish(rotation);
        let lost = writer.error_counter();
        let look = Look { clock: Clock::Full, colour: Colour::None, is_json };
        let layer = layer(look, writer).with_filter(targets);
        drop(set_global_default(tracing_subscriber::registry().with(layer)));
        return Ok(Logs { screen, file: Some((lost, guard)) });
    }
    let clock = match (is_set("JOURNAL_STREAM") && !is_terminal, is_terminal) {
        // The journal stamps every line itself.
        (true, _) => Clock::None,
        (false, true) => Clock::OfDay,
        (false, false) => Clock::Full,
    };
    let colour = if is_terminal && !is_set("NO_COLOR") { Colour::Some } else { Colour::None };
    let look = Look { clock, colour, is_json };
    let layer = layer(look, Screen(screen.clone())).with_filter(targets);
    drop(set_global_default(tracing_subscriber::registry().with(layer)));
    Ok(Logs { screen, file: None })
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
struct Look {
    clock: Clock,
    colour: Colour,
    is_json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    None,
    Some,
}

fn layer<S, W>(look: Look, writer: W) -> Box<dyn tracing_subscriber::Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let base = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(look.clock)
        .with_target(false)
        .log_internal_errors(false)
        .with_ansi(look.colour == Colour::Some);
    match (look.is_json, look.clock) {
        (true, Clock::None) => base.json().flatten_event(true).with_span_list(false).without_time().boxed(),
        (true, Clock::OfDay | Clock::Full) => {
            base.json().flatten_event(true).with_span_list(false).with_timer(Clock::Full).boxed()
        }
        (false, Clock::None) => base.compact().without_time().boxed(),
        (false, Clock::OfDay | Clock::Full) => base.compact().boxed(),
    }
}

/// Which part of the time a line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    None,
    /// The local time of day, for somebody who watches.
    OfDay,
    /// Date and time in UTC, to the millisecond.
    Full,
}

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let nanos = i128::from(ambient::now().nanos());
        let Ok(now) = jiff::Timestamp::from_nanosecond(nanos) else { return Ok(()) };
        match self {
            Self::None => Ok(()),
            Self::OfDay => write!(w, "{}", now.to_zoned_datetime(TimeZone::system()).strftime("%H:%M:%S")),
            Self::Full => write!(w, "{now:.3}"),
        }
    }
}

/// Stderr, with progress bars taken away while a line is written.
#[derive(Clone)]
struct Screen(MultiProgress);

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Screen {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        // Nobody is told that stderr cannot be written: there is nowhere to tell it.
        drop(self.0.suspend(|| std::io::stderr().lock().write_all(line)));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(verbose: u8, quiet: bool) -> Global {
        Global { config: None, state_dir: None, json: false, verbose, quiet }
    }

    #[test]
    fn however_much_is_asked_for_the_http_stack_tells_warnings_only() {
        let targets = Levels::of(Reader::Operator, &global(2, false)).targets();
        for stack in ["hyper", "reqwest::connect", "h2::codec", "rustls"] {
            assert!(!targets.would_enable(stack, &tracing::Level::INFO), "{stack}");
            assert!(targets.would_enable(stack, &tracing::Level::WARN), "{stack}");
        }
        assert!(targets.would_enable("versync::cloud", &tracing::Level::TRACE));
    }

    #[test]
    fn what_a_summary_will_tell_is_not_logged_before_it() {
        let targets = Levels::of(Reader::Waiting, &global(0, false)).targets();
        assert!(!targets.would_enable("versync::daemon::chronicle", &tracing::Level::WARN));
        assert!(targets.would_enable("versync::cloud", &tracing::Level::WARN));
        let asked = Levels::of(Reader::Waiting, &global(1, false)).targets();
        assert!(asked.would_enable("versync::daemon::chronicle", &tracing::Level::DEBUG));
    }
}
