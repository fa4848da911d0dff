//! A copy of the checkout that may be changed.

use crate::{paths, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of the checkout that git knows, as they are now, in a folder that stays.
pub(super) struct Copy {
    folder: PathBuf,
}

impl Copy {
    /// Brings the copy up to date. What is the same is not written again, so that it is not built again.
    pub(super) fn of_checkout() -> Result<Self> {
        // xtask lies in the folder of a profile, in the target folder.
        let own = paths::built("xtask")?;
        let target = own.ancestors().nth(2).context("find the target folder")?;
        let copy = Self {
            folder: target.join("defects"),
        };
        let checkout = paths::root();
        let files = run::capture(
            Command::new("git")
                .args(["ls-files", "--cached", "--others", "--exclude-standard"])
                .current_dir(&checkout),
        )?;
        let before = copy.folder.join("files");
        for gone in fs::read_to_string(&before).unwrap_or_default().lines() {
            if !checkout.join(gone).is_file() {
                fs::remove_file(copy.root().join(gone)).ok();
            }
        }
        for file in files.lines() {
            let from = checkout.join(file);
            if from.is_file() {
                let bytes = fs::read(&from).with_context(|| format!("read {file}"))?;
                copy.write_if_new(file, &bytes)?;
            }
        }
        fs::write(before, files).context("keep the list of files")?;
        Ok(copy)
    }

    /// Where the copy is.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("checkout")
    }

    /// Where it is built.
    pub(super) fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    /// The text of a file.
    pub(super) fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.root().join(file)).with_context(|| format!("read {file}"))
    }

    /// Writes the text of a file.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        write(&self.root().join(file), text.as_bytes())
    }

    fn write_if_new(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let to = self.root().join(file);
        if fs::read(&to).is_ok_and(|before| before == bytes) {
            return Ok(());
        }
        write(&to, bytes)
    }
}

fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    fs::write(to, bytes).with_context(|| format!("write {}", to.display()))
}
