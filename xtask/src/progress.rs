//! Progress of long work: a bar when a person looks, otherwise a plain line now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a plain line is printed when nobody looks at a terminal.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(10);
/// Width of the bar, in characters.
const BAR_WIDTH: usize = 30;

/// One piece of work in percent.
pub(crate) struct Progress {
    name: &'static str,
    started: Instant,
    printed: Option<(Instant, u8)>,
    terminal: bool,
}

impl Progress {
    /// Starts the clock of a piece of work.
    pub(crate) fn new(name: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            name,
            started: Instant::now(),
            printed: None,
            terminal,
        }
    }

    /// Shows how far the work is.
    pub(crate) fn percent(&mut self, percent: u8) {
        let now = Instant::now();
        let due = self.printed.is_none_or(|(at, last)| {
            last != percent && (self.terminal || now.duration_since(at) >= PLAIN_LINE_EVERY)
        });
        if !due {
            return;
        }
        self.printed = Some((now, percent));
        let elapsed = short(self.started.elapsed());
        if self.terminal {
            let full = BAR_WIDTH * usize::from(percent.min(100)) / 100;
            let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR_WIDTH - full));
            eprint!("\r  {} [{bar}] {percent:>3}%  {elapsed} ", self.name);
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("  {}: {percent}% after {elapsed}", self.name);
        }
    }

    /// Ends the bar and tells how long the work took.
    pub(crate) fn done(self) {
        let elapsed = short(self.started.elapsed());
        let start = if self.terminal { "\r\x1b[2K" } else { "" };
        eprintln!("{start}  {}: done in {elapsed}", self.name);
    }
}

/// A duration as `850 ms`, `12 s` or `3 min 05 s`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60.. => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}
