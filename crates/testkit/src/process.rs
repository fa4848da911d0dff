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

/// A running program in a process group of its own. Dropping it kills the group; so does the death
/// of the test, even one that runs no destructors.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    guard: Child,
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
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}: {}", command.get_program().display()))?;
        match guard(child.id()) {
            Ok(guard) => Ok(Self {
                name: name.to_owned(),
                child,
                guard,
                log: log.to_owned(),
            }),
            Err(error) => {
                child.kill()?;
                Err(error)
            }
        }
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
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// Starts a shell that waits for the end of its input, which is the end of this process, and then
/// kills a process group. A test that is interrupted or runs out of time would leave its nodes
/// behind otherwise.
fn guard(group: u32) -> Result<Child> {
    Command::new("sh")
        .args([
            "-c",
            "read -r _; kill -s KILL -- \"-$1\"",
            "sh",
            &group.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("start the guard of a process")
}

/// A TCP port of this machine that nobody listens on at the moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("bind a free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Result<Process> {
        // The shell stays and has a child of its own: the whole group must go.
        let mut command = Command::new("sh");
        command.args(["-c", "echo started; sleep 1000; echo ended"]);
        let process = Process::spawn("sleeper", &mut command, &folder.join("log"))?;
        while !process.log_tail().contains("started") {
            std::thread::yield_now();
        }
        Ok(process)
    }

    #[test]
    fn a_process_dies_with_the_one_that_started_it() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut process = sleeper(folder.path())?;
        process.expect_running()?;
        // What the end of this process does to the pipe.
        drop(process.guard.stdin.take());
        assert!(
            process.wait_blocking(Duration::from_secs(10)),
            "the guard killed it"
        );
        let error = process.expect_running().unwrap_err().to_string();
        assert!(error.contains("sleeper ended with signal: 9"), "{error}");
        assert!(error.contains("started"), "the log is shown: {error}");
        Ok(())
    }

    #[test]
    fn a_dropped_process_is_gone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let process = sleeper(folder.path())?;
        let place = format!("/proc/{}", process.id());
        assert!(Path::new(&place).exists());
        drop(process);
        assert!(!Path::new(&place).exists());
        Ok(())
    }
}
