//! Waiting for what a chain's worker was asked to do, with its progress for people.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::client::Client;
use crate::output::text;

/// How often the API is asked.
const POLL: Duration = Duration::from_millis(300);
/// How often a line is printed where nobody looks at a terminal.
const LINE: Duration = Duration::from_secs(5);

/// Waits until a request is done; answers it as it is then. Progress goes to standard error: a bar on a
/// terminal, lines elsewhere.
pub(crate) async fn wait(client: &Client, asked: Value) -> anyhow::Result<Value> {
    let id = text(&asked, "/id");
    let mut shown = Shown::new(&asked);
    let mut request = asked;
    loop {
        match request["state"].as_str() {
            Some("done") => {
                shown.end();
                return Ok(request);
            }
            Some("failed") => {
                shown.end();
                bail!("{id} failed: {}", text(&request, "/error"));
            }
            Some("canceled") => {
                shown.end();
                bail!("{id} was canceled");
            }
            Some(_) | None => shown.show(&request),
        }
        tokio::time::sleep(POLL).await;
        let answer = client.get(&format!("/v1/requests/{id}")).await;
        request = answer.with_context(|| {
            format!("{id} goes on without this command; /v1/requests/{id} shows how far it is")
        })?;
    }
}

/// Where progress is shown.
struct Shown {
    name: String,
    /// `None` where nobody looks.
    bar: Option<ProgressBar>,
    /// When the first block was seen done, and how many were.
    since: Option<(Instant, u64)>,
    printed_at: Option<Instant>,
}

impl Shown {
    fn new(request: &Value) -> Self {
        let name = format!("{} of {}", text(request, "/kind"), text(request, "/chain"));
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            let template = "{prefix} [{bar:30}] {pos}/{len} blocks, {per_sec}, {eta} left {msg}";
            // A template that cannot be read leaves the plain bar.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.clone());
            bar
        });
        Self {
            name,
            bar,
            since: None,
            printed_at: None,
        }
    }

    fn show(&mut self, request: &Value) {
        let done = request["blocks_done"].as_u64().unwrap_or(0);
        let total = request["blocks_total"].as_u64();
        let problem = request["error"].as_str().unwrap_or_default();
        if let Some(bar) = &self.bar {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
            bar.set_message(problem.to_owned());
            return;
        }
        let (begun_at, begun) = *self.since.get_or_insert_with(|| (Instant::now(), done));
        if self.printed_at.is_some_and(|at| at.elapsed() < LINE) {
            return;
        }
        self.printed_at = Some(Instant::now());
        let speed = pace(done.saturating_sub(begun), total, done, begun_at.elapsed());
        let line = match total {
            Some(total) => format!("{}: {done} of {total} blocks{speed}", self.name),
            None => format!("{}: {}", self.name, text(request, "/state")),
        };
        let problem = if problem.is_empty() {
            String::new()
        } else {
            format!("; waits: {problem}")
        };
        say(&format!("{line}{problem}"));
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How fast it goes and how long it will take, in words; nothing before that can be said.
fn pace(read: u64, total: Option<u64>, done: u64, elapsed: Duration) -> String {
    let Ok(elapsed_ms) = u64::try_from(elapsed.as_millis()) else {
        return String::new();
    };
    let left = total.unwrap_or(done).saturating_sub(done);
    let per_minute = read.saturating_mul(60_000).checked_div(elapsed_ms);
    match (
        per_minute,
        left.saturating_mul(elapsed_ms).checked_div(read),
    ) {
        (Some(per_minute), Some(left_ms)) => format!(
            ", {per_minute} blocks a minute, about {} s left",
            left_ms.div_ceil(1_000)
        ),
        (None, _) | (_, None) => String::new(),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "progress is for people, beside what a command prints"
)]
fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_said_as_soon_as_it_is_known() {
        for (read, elapsed_ms, expected) in [
            (0, 0, ""),
            (0, 5_000, ""),
            (50, 0, ""),
            (50, 5_000, ", 600 blocks a minute, about 35 s left"),
        ] {
            let elapsed = Duration::from_millis(elapsed_ms);
            assert_eq!(
                pace(read, Some(400), 50, elapsed),
                expected,
                "{read} in {elapsed:?}"
            );
        }
    }
}
