//! A client that others' programs generate from the description of the API.

use crate::locate;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use tokio::process::Command;

const CLIENT: &str = include_str!("../verifiers/client.ts");
const MODULES: &str = "node_modules";
const PACKAGE: &str = r#"{ "type": "module", "private": true }"#;
const COMPILER: &str = r#"{
  "compilerOptions": {
    "module": "nodenext", "target": "es2022", "lib": ["es2022", "dom", "dom.iterable"],
    "strict": true, "exactOptionalPropertyTypes": true, "skipLibCheck": true, "types": []
  },
  "files": ["client.ts"]
}"#;

/// Generates types from a description, compiles a client with them that makes an invoice and reads it, and runs
/// it with a key. Gives what it prints as JSON.
pub async fn generated_client(url: &str, document: &str, key: &str) -> Result<Value> {
    let modules = locate::provided(
        "the client's generator",
        "PAYWATCH_NODE_MODULES",
        "node/node_modules",
    )?;
    let folder = tempfile::Builder::new()
        .prefix("paywatch-client-")
        .tempdir()?;
    let at = folder.path();
    std::os::unix::fs::symlink(modules, at.join(MODULES))?;
    for (name, text) in [
        ("client.ts", CLIENT),
        ("package.json", PACKAGE),
        ("tsconfig.json", COMPILER),
    ] {
        std::fs::write(at.join(name), text)?;
    }
    let document = format!("{url}{document}");
    let generator = "node_modules/openapi-typescript/bin/cli.js";
    node(
        at,
        &[generator, &document, "--output", "paywatch.d.ts"],
        &[],
    )
    .await?;
    node(
        at,
        &["node_modules/typescript/bin/tsc", "--project", "."],
        &[],
    )
    .await?;
    let variables = [("PAYWATCH_URL", url), ("PAYWATCH_KEY", key)];
    let said = node(at, &["client.js"], &variables).await?;
    serde_json::from_str(&said).with_context(|| format!("the client said: {said}"))
}

async fn node(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    let output = Command::new("node")
        .args(arguments)
        .current_dir(folder)
        .envs(variables.iter().copied())
        .output()
        .await
        .context("start node; it is installed by: cargo xtask setup")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let also = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    ensure!(
        status.success(),
        "node {arguments:?} ended with {status}: {said}{also}"
    );
    Ok(said)
}
