//! The binary under test, run as its users run it.

use crate::{Process, SmallDisk, leaks, locate};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Finds and runs the built binary `paywatch`.
#[derive(Clone, Debug)]
pub struct Paywatch {
    program: PathBuf,
    /// What is run before the program to see a small disk.
    enter: Vec<String>,
}

impl Paywatch {
    /// `$PAYWATCH_EXE`, else the one that was built beside the running program.
    pub fn find() -> Result<Self> {
        let program = match locate::variable("PAYWATCH_EXE") {
            Some(given) => given,
            None => locate::built("paywatch")?,
        };
        if !program.is_file() {
            bail!(
                "there is no binary at {}; run: cargo build --bin paywatch",
                program.display()
            );
        }
        Ok(Self {
            program,
            enter: Vec::new(),
        })
    }

    /// The same binary, seeing a small disk where that was mounted.
    #[must_use]
    pub fn on(mut self, disk: &SmallDisk) -> Self {
        self.enter = disk.enter();
        self
    }

    /// The path of the binary.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A command in a folder with nothing of this process's `PAYWATCH_*` environment, so that only
    /// what a test says is in effect.
    pub fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut words = self.enter.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command
                    .args(words)
                    .arg(format!("--wdns={}", folder.display()));
                command.arg("--").arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PAYWATCH_") {
                command.env_remove(name);
            }
        }
        command.current_dir(folder).args(arguments);
        command
    }

    /// Runs a command to its end and gives status and outputs. A secret in what it complains about is an error.
    pub async fn run(
        &self,
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Output> {
        let mut command = self.command(folder, arguments);
        command.envs(environment.iter().copied());
        let line = format!("paywatch {}", arguments.join(" "));
        let output = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("start `{line}`"))?;
        leaks::note_all_in(&String::from_utf8_lossy(&output.stdout));
        let complaint = String::from_utf8_lossy(&output.stderr);
        leaks::expect_no_secret(&format!("`{line}`"), &complaint)?;
        Ok(output)
    }

    /// Starts a command that runs on, such as `serve`; its outputs go to the file `log`.
    pub fn spawn(
        &self,
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Result<Process> {
        let mut command = self.command(folder, arguments);
        command.envs(environment.iter().copied());
        Process::spawn("paywatch", &mut command, log)
    }
}
