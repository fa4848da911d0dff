//! A small disk that one program sees and that can be full.

use crate::{Process, eventually};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MOUNT_LIMIT: Duration = Duration::from_secs(10);
/// The file that takes all the space.
const FILLER: &str = "filler";
/// Written at a time; what remains free is less.
const PIECE_BYTES: usize = 512;

/// A file system in memory, mounted at a folder in a namespace of its own: who enters that sees it,
/// everybody else sees the folder below it. It needs no rights. Gone when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Process,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes at a folder.
    pub async fn mount(folder: &Path, bytes: u64) -> Result<Self> {
        let log = folder.with_extension("log");
        let script =
            "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && echo mounted && exec sleep infinity";
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .args(["sh", &bytes.to_string()])
            .arg(folder);
        let mut holder = Process::spawn("a small disk", &mut command, &log)?;
        eventually("a small disk", MOUNT_LIMIT, async || {
            if holder.status()?.is_some() {
                return Ok(Some(()));
            }
            Ok(holder.log_tail().contains("mounted").then_some(()))
        })
        .await?;
        holder.expect_running()?;
        Ok(Self {
            holder,
            folder: folder.to_owned(),
        })
    }

    /// What is run before a program that shall see the disk.
    pub(crate) fn enter(&self) -> Vec<String> {
        let target = format!("--target={}", self.holder.id());
        let words = ["nsenter", &target, "--user", "--mount"];
        let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        words.push("--preserve-credentials".to_owned());
        words
    }

    /// Takes all the space there is.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.path(FILLER))
            .context("open the filler")?;
        let piece = [0; PIECE_BYTES];
        loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => bail!("fill the disk: {error}"),
            }
        }
    }

    /// Gives the space back.
    pub fn free(&self) -> Result<()> {
        std::fs::remove_file(self.path(FILLER)).context("remove the filler")
    }

    /// A file of the disk as it is reached from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.folder.strip_prefix("/").unwrap_or(&self.folder);
        root.join(inside).join(name)
    }
}
