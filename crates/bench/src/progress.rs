//! What goes on, for people who wait.

use std::io::{IsTerminal, Write};

/// Says what begins now.
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}

/// Counts the steps of longer work: on a terminal in one line, elsewhere a line now and then.
pub(crate) struct Progress {
    name: String,
    total: u32,
}

impl Progress {
    /// Work of this many steps.
    pub(crate) fn new(name: impl Into<String>, total: u32) -> Self {
        let name = name.into();
        Self { name, total }
    }

    /// So many steps are done.
    pub(crate) fn done(&self, steps: u32) {
        let (name, total) = (&self.name, self.total);
        let is_last = steps == total;
        if std::io::stderr().is_terminal() {
            let end = if is_last { "\n" } else { "" };
            eprint!("\rbench: {name}: {steps} of {total}{end}");
            let _ = std::io::stderr().flush();
        } else if is_last || steps.is_multiple_of(total.div_ceil(4)) {
            eprintln!("bench: {name}: {steps} of {total}");
        }
    }
}
