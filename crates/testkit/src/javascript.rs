//! Scripts that ask libraries for Node.

use crate::locate;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::Path;
use tokio::process::Command;

/// Runs a script with the libraries that `cargo xtask setup` installs. It finds its work in the JSON
/// file that its first argument names, and prints its answer as JSON.
pub(crate) async fn ask(what: &str, script: &str, work: &Value) -> Result<Vec<u8>> {
    let modules = locate::provided(what, "PAYWATCH_NODE_MODULES", "node/node_modules")?;
    let folder = tempfile::Builder::new()
        .prefix("paywatch-node-")
        .tempdir()?;
    let file = folder.path().join("work.json");
    std::fs::write(&file, work.to_string())?;
    let output = Command::new("node")
        .args(["-e", script])
        .arg(&file)
        .env("NODE_PATH", modules)
        .output()
        .await
        .context("start node; it is installed by: cargo xtask setup")?;
    if !output.status.success() {
        bail!(
            "{what} ended with {}: {}\nwhat is missing is installed by: cargo xtask setup",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

/// Compiles the TypeScript in a folder, as its `tsconfig.json` says, to modules that import the libraries
/// that `cargo xtask setup` installs.
pub(crate) async fn compile(folder: &Path) -> Result<()> {
    let modules = locate::provided("TypeScript", "PAYWATCH_NODE_MODULES", "node/node_modules")?;
    std::os::unix::fs::symlink(modules, folder.join("node_modules"))?;
    let package = r#"{ "type": "module", "private": true }"#;
    std::fs::write(folder.join("package.json"), package)?;
    let output = Command::new("node")
        .args(["node_modules/typescript/bin/tsc", "--project", "."])
        .current_dir(folder)
        .output()
        .await
        .context("start node; it is installed by: cargo xtask setup")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let also = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "TypeScript refuses it: {said}{also}"
    );
    Ok(())
}
