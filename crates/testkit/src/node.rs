//! What private nodes share: a folder, and a process in it that is started, stopped and started again.

use crate::{Process, eventually};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// A node that starts on an empty folder needs less than a second; a busy machine needs more.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// Writing its files at the end may take its time.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// Another program can take a free port before the node does.
const START_ATTEMPTS: u32 = 3;

/// The process of a node, with a folder that outlives it. Both are gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    name: &'static str,
    process: Mutex<Option<Process>>,
    folder: TempDir,
}

/// Makes a node and launches it; another one, on another port, when it does not come up.
pub(crate) async fn started<N>(
    make: impl Fn() -> Result<N>,
    launch: impl AsyncFn(&N) -> Result<()>,
) -> Result<N> {
    let mut attempt = 1;
    loop {
        let node = make()?;
        match launch(&node).await {
            Ok(()) => return Ok(node),
            Err(error) if attempt == START_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

impl Node {
    /// A node of a program of this name, which does not run yet.
    pub(crate) fn new(name: &'static str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("paywatch-{name}-"))
            .tempdir()?;
        let process = Mutex::default();
        Ok(Self {
            name,
            process,
            folder,
        })
    }

    /// The folder with its data and its log.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id, while it runs.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// Starts the process and waits until `answers` does not fail.
    pub(crate) async fn launch(
        &self,
        command: &mut Command,
        answers: impl AsyncFn() -> Result<()>,
    ) -> Result<()> {
        let process = Process::spawn(self.name, command, &self.folder().join("output.log"))?;
        *self.process() = Some(process);
        let what = format!("{} to answer", self.name);
        let ready = eventually(&what, READY_LIMIT, async || {
            if let Some(process) = self.process().as_mut()
                && process.status()?.is_some()
            {
                return Ok(Some(false));
            }
            answers().await.map(|()| Some(true))
        });
        if !ready.await? {
            self.process()
                .as_mut()
                .with_context(|| format!("{} was started", self.name))?
                .expect_running()?;
        }
        Ok(())
    }

    /// Kills the process with no warning, as a power cut does.
    pub(crate) fn kill(&self) -> Result<()> {
        if let Some(mut process) = self.process().take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Asks the process to end and waits for it. Nothing happens when it does not run.
    pub(crate) async fn stop(&self) -> Result<()> {
        let Some(mut process) = self.process().take() else {
            return Ok(());
        };
        process.terminate()?;
        process.wait(STOP_LIMIT).await.map(drop)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
