//! Running other programs: with their output shown, captured, or kept in a log.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// How many lines of a log are shown when its program failed.
const LOG_TAIL_LINES: usize = 25;

/// Environment variables for the programs that xtask runs.
pub(crate) type Environment = Vec<(&'static str, OsString)>;

/// The cargo that runs xtask, so that toolchain and version are the same.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program, shows its output, and fails when it fails.
pub(crate) fn show(command: &mut Command) -> Result<()> {
    let line = line_of(command);
    let status = command
        .status()
        .with_context(|| format!("start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a program and gives its standard output; the error holds what it said.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let line = line_of(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{line}` ended with {}: {}",
            output.status,
            tail(said.trim())
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program with both outputs in a log file. Each line goes to `watch` as well.
pub(crate) fn logged(command: &mut Command, log: &Path, mut watch: impl FnMut(&str)) -> Result<()> {
    let line = line_of(command);
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("open {}", log.display()))?;
    writeln!(file, "$ {line}")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file.try_clone()?)
        .spawn()
        .with_context(|| format!("start `{line}`"))?;
    let stdout = child.stdout.take().context("the output is a pipe")?;
    for text in BufReader::new(stdout).lines() {
        let text = text.with_context(|| format!("read the output of `{line}`"))?;
        writeln!(file, "{text}")?;
        watch(&text);
    }
    let status = child.wait()?;
    if !status.success() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        bail!(
            "`{line}` ended with {status}; the end of {}:\n{}",
            log.display(),
            tail(&said)
        );
    }
    Ok(())
}

/// The command line as a person would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
