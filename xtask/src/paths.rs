//! Where things are: the checkout, the cache outside of it, the folder of built programs.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// The folder for everything that is installed or built once, outside the checkout.
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = if let Some(folder) = set("PAYWATCH_CACHE") {
        folder
    } else if let Some(folder) = set("XDG_CACHE_HOME") {
        folder.join("paywatch")
    } else {
        set("HOME")
            .context("set HOME or PAYWATCH_CACHE")?
            .join(".cache/paywatch")
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    folder
        .canonicalize()
        .with_context(|| format!("open {}", folder.display()))
}

/// The path of a program of this workspace. xtask itself lies beside it, in the same profile.
pub(crate) fn built(program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the path of xtask")?;
    let folder = own.parent().context("xtask lies in no folder")?;
    Ok(folder.join(program))
}

/// The first file of this name in the folders of `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A path from the environment; an empty variable counts as unset.
pub(crate) fn set(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
