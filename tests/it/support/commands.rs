//! The command line as an operator runs it beside a running watcher.

use super::House;
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Api, Paywatch, Watcher};
use serde_json::Value;

/// Runs a command against a house's watcher, with the key that may do everything; gives its status and
/// both outputs.
pub(crate) async fn command(house: &House, line: &str) -> Result<(Option<i32>, String, String)> {
    command_at(&house.watcher, &house.api, line).await
}

/// The same against any watcher, with the key of an API.
pub(crate) async fn command_at(
    watcher: &Watcher,
    api: &Api,
    line: &str,
) -> Result<(Option<i32>, String, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words_at(watcher, api, &words).await
}

/// The same with words that may hold spaces.
pub(crate) async fn words_at(
    watcher: &Watcher,
    api: &Api,
    words: &[&str],
) -> Result<(Option<i32>, String, String)> {
    let url = watcher.url();
    let environment = [("PAYWATCH_URL", &*url), ("PAYWATCH_KEY", api.key())];
    let output = Paywatch::find()?
        .run(watcher.folder(), words, &environment)
        .await?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).context("UTF-8");
    Ok((
        output.status.code(),
        text(output.stdout)?,
        text(output.stderr)?,
    ))
}

/// Runs a command that must end well; gives what it printed.
pub(crate) async fn run(house: &House, line: &str) -> Result<String> {
    let (status, said, complaint) = command(house, line).await?;
    ensure!(
        status == Some(0),
        "`{line}` ended with {status:?}: {complaint}"
    );
    Ok(said)
}

/// The same with `--json`; gives the document.
pub(crate) async fn run_json(house: &House, line: &str) -> Result<Value> {
    let said = run(house, &format!("--json {line}")).await?;
    serde_json::from_str(&said).with_context(|| format!("`{line}` prints JSON: {said}"))
}
