//! How far a pass is: bars on a terminal, a line every half minute elsewhere. Reads the meter, and knows no bundle.

use std::time::Duration;

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::paper::Paper;
use crate::meter::Reading;

/// How often a line is told where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// How often bars are drawn.
pub(super) const DRAW_EVERY: Duration = Duration::from_millis(100);
/// Over how long a time the rate is measured: long enough to stand still, short enough to follow.
const WINDOW: Duration = Duration::from_secs(5);

/// What is shown of a pass.
#[derive(Debug)]
pub(super) struct Progress {
    form: Form,
    start: Instant,
    /// What was read, and when; the oldest first, all within the window.
    past: std::collections::VecDeque<(Instant, Reading)>,
}

#[derive(Debug)]
enum Form {
    Bar(ProgressBar),
    Lines { paper: Paper, last: Instant },
    Nothing,
}

impl Progress {
    /// A bar on this screen.
    pub(super) fn bar(screen: &MultiProgress) -> Self {
        let bar = screen.add(ProgressBar::new(0));
        // A template that cannot be read is a slip of ours; the plain style then says the same with less grace.
        let style = ProgressStyle::with_template("  {spinner:.cyan} [{bar:20.cyan/dim}] {wide_msg}");
        bar.set_style(
            style
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─")
                .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "),
        );
        Self::with(Form::Bar(bar))
    }

    /// A line every half minute.
    pub(super) fn lines(paper: Paper) -> Self {
        Self::with(Form::Lines { paper, last: Instant::now() })
    }

    /// Nothing at all.
    pub(super) fn nothing() -> Self {
        Self::with(Form::Nothing)
    }

    fn with(form: Form) -> Self {
        Self { form, start: Instant::now(), past: std::collections::VecDeque::new() }
    }

    /// Shows the counters as they are now.
    pub(super) fn show(&mut self, reading: Reading, stage: Stage) {
        let now = Instant::now();
        while self.past.front().is_some_and(|(at, _)| now - *at > WINDOW) {
            self.past.pop_front();
        }
        self.past.push_back((now, reading));
        let rate = self.past.front().map_or(0, |(at, then)| rate(*then, reading, now - *at));
        match &mut self.form {
            Form::Bar(bar) => {
                bar.set_length(reading.found.max(1));
                bar.set_position(reading.finished);
                bar.set_message(line(reading, rate, stage));
                bar.tick();
            }
            Form::Lines { paper, last } => {
                if now - *last >= LINE_EVERY {
                    *last = now;
                    paper.talk(&line(reading, rate, stage));
                }
            }
            Form::Nothing => {}
        }
    }

    /// Takes everything off the screen, and tells how long it was there.
    pub(super) fn close(self) -> Duration {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
        self.start.elapsed()
    }
}

/// How far a pass is, apart from numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Trees are being walked: the number of files is still growing.
    Scanning,
    /// Everything that is to be looked at is known.
    Working,
}

/// Bytes a second between two readings.
fn rate(then: Reading, now: Reading, time: Duration) -> u64 {
    let bytes = u128::from(now.sent_bytes.saturating_sub(then.sent_bytes));
    let millis = time.as_millis();
    (bytes * 1000).checked_div(millis).map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
}

/// The counters in one line of at most 48 characters or so: bar and line fit an old terminal together.
fn line(reading: Reading, rate: u64, stage: Stage) -> String {
    let more = match stage {
        Stage::Scanning => "+",
        Stage::Working => "",
    };
    let mut text = format!("{}/{}{more} files", reading.finished, reading.found);
    if reading.sent_bytes > 0 {
        text += &format!(", {} sent", bytes(reading.sent_bytes));
    }
    if rate > 0 {
        text += &format!(", {}/s", bytes(rate));
    }
    // Bytes that were sent are behind us even while the cloud is still converting them.
    let behind = reading.finished_bytes.max(reading.sent_bytes);
    let left = reading.found_bytes.saturating_sub(behind);
    match (stage, left.checked_div(rate)) {
        (Stage::Working, Some(seconds)) if left > 0 => text += &format!(", {} left", time(seconds)),
        (Stage::Working, _) if reading.uploading == 0 && reading.sent_bytes > 0 && left == 0 => {
            if reading.finished < reading.found {
                text += ", converting";
            }
        }
        (Stage::Working | Stage::Scanning, _) => {}
    }
    text
}

/// A number of bytes for a person.
pub(super) fn bytes(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// A time to wait, in at most two units.
pub(super) fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_line_tells_files_bytes_rate_and_the_time_that_is_left() {
        let reading = Reading {
            found: 1_204,
            found_bytes: 900 * MIB,
            finished: 318,
            finished_bytes: 200 * MIB,
            sent_bytes: 210 * MIB,
            uploads: 300,
            uploading: 4,
        };
        assert_eq!(
            line(reading, 10 * MIB, Stage::Working),
            "318/1204 files, 210.0 MiB sent, 10.0 MiB/s, 1 min 9 s left"
        );
        assert_eq!(line(reading, 10 * MIB, Stage::Scanning), "318/1204+ files, 210.0 MiB sent, 10.0 MiB/s");
    }

    #[test]
    fn a_pass_that_sends_nothing_tells_no_rate() {
        let reading = Reading { found: 3, finished: 1, ..Reading::default() };
        assert_eq!(line(reading, 0, Stage::Working), "1/3 files");
    }

    #[test]
    fn when_every_byte_is_sent_the_rest_is_conversion() {
        let reading =
            Reading { found: 3, found_bytes: MIB, finished: 1, sent_bytes: MIB, ..Reading::default() };
        assert_eq!(line(reading, 0, Stage::Working), "1/3 files, 1.0 MiB sent, converting");
    }

    #[test]
    fn a_rate_is_bytes_over_time_and_nothing_over_no_time() {
        let then = Reading { sent_bytes: 10, ..Reading::default() };
        let now = Reading { sent_bytes: 110, ..Reading::default() };
        assert_eq!(rate(then, now, Duration::from_millis(500)), 200);
        assert_eq!(rate(then, now, Duration::ZERO), 0);
    }

    #[test]
    fn a_time_is_told_in_at_most_two_units() {
        assert_eq!([time(59), time(61), time(3 * 3600 + 120)], ["59 s", "1 min 1 s", "3 h 2 min"]);
    }
}
