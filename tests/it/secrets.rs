//! Secrets: none of them is logged or told, whatever goes wrong.
//!
//! Every test with a watcher looks for what it knows of secrets when the watcher ends (`testkit::leaks`).

use crate::support::House;
use anyhow::{Context, Result, ensure};

/// Goal: a watcher that logs a secret fails its test. Method: a line is added to its log.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_in_a_log_is_found() -> Result<()> {
    let house = House::new().await?;
    house.watcher.expect_no_leak()?;
    let file = house.watcher.folder().join("output.log");
    let log = std::fs::read_to_string(&file)?;
    let master = std::fs::read_to_string(house.watcher.folder().join("master.key"))?;
    for secret in [
        house.api.key(),
        &house.secret,
        master.trim(),
        house.node.password(),
    ] {
        std::fs::write(&file, format!("{log}INFO key={secret}\n"))?;
        let found = house.watcher.expect_no_leak();
        std::fs::write(&file, &log)?;
        let error = found.err().context("it is found")?.to_string();
        ensure!(!error.contains(secret), "and not told again: {error}");
    }
    Ok(())
}
