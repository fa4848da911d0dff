//! A child process that cannot outlive its owner, with its output in a file.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How many lines of a log an error message shows.
const LOG_TAIL_LINES: usize = 30;

/// A running program in a process group of its own. Dropping it kills the group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program. Both of its outputs are appended to the file `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}: {}", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the process has ended.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("ask for the status of {}", self.name))
    }

    /// An error with the end of the log, if the process has ended although it should run.
    pub fn expect_running(&mut self) -> Result<()> {
        if let Some(status) = self.status()? {
            bail!(
                "{} ended with {status}; the end of its log:\n{}",
                self.name,
                self.log_tail()
            );
        }
        Ok(())
    }

    /// The last lines of both outputs.
    pub fn log_tail(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// The file with both outputs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Asks the process to end (SIGTERM), as an operator or an init system does.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills the whole group with no warning (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status()? {
            return Ok(status);
        }
        if let Some(group) = self.pid() {
            // The group can only be missing when the process ended a moment ago.
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.child
            .wait()
            .with_context(|| format!("wait for {} after SIGKILL", self.name))
    }

    /// Waits until the process has ended by itself, at most for `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        crate::eventually(&what, limit, async || self.status()).await
    }

    /// Sends a signal to the process itself, not to its group.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.status()?.is_none()
            && let Some(pid) = self.pid()
        {
            kill_process(pid, signal).with_context(|| format!("signal {}", self.name))?;
        }
        Ok(())
    }

    /// Waits without an async runtime, for use in `drop`.
    pub(crate) fn wait_blocking(&mut self, limit: Duration) -> bool {
        let started = std::time::Instant::now();
        while started.elapsed() < limit {
            if matches!(self.status(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A TCP port of this machine that nobody listens on at the moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("bind a free port")?;
    Ok(listener.local_addr()?.port())
}
