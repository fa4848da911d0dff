//! The server programs of Postgres. The tests start private clusters with them.

use super::{Part, debian};
use crate::{paths, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian keeps one folder per major version.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// Gives the folder with `initdb` and `postgres`.
pub(crate) fn ensure() -> Result<(Part, PathBuf)> {
    if find().is_none() {
        debian::install(&["postgresql"], "Postgres")?;
    }
    let folder = find().context("the package postgresql brought no server programs")?;
    let text = run::capture(Command::new(folder.join("postgres")).arg("--version"))?;
    let version = text.split(' ').nth(2).unwrap_or_default().to_owned();
    Ok((
        Part::new("postgres", version, folder.display().to_string()),
        folder,
    ))
}

fn find() -> Option<PathBuf> {
    if let Some(given) = paths::set("POSTGRES_BIN") {
        return complete(&given).then_some(given);
    }
    let versions = std::fs::read_dir(DEBIAN_FOLDER).ok()?;
    versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .map(|version| {
            (
                version,
                Path::new(DEBIAN_FOLDER)
                    .join(version.to_string())
                    .join("bin"),
            )
        })
        .filter(|(_, folder)| complete(folder))
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder)
}

fn complete(folder: &Path) -> bool {
    ["initdb", "postgres", "psql"]
        .iter()
        .all(|program| folder.join(program).is_file())
}
