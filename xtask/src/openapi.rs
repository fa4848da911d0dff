//! `cargo xtask openapi`: writes `docs/openapi.json` anew, from the code and from a story that its tests tell.

use crate::{paths, run};
use anyhow::Result;
use std::process::ExitCode;

/// Tells the test that compares the file to write it.
const WRITES: &str = "PAYWATCH_WRITES_OPENAPI";
/// The test that does.
const TEST: &str =
    "document::every_api_operation_has_an_example_that_works_and_the_document_is_up_to_date";

/// `openapi`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    if !arguments.is_empty() {
        return crate::usage("openapi takes no arguments");
    }
    run::show(
        run::cargo()
            .args([
                "test",
                "--quiet",
                "--package",
                "paywatch-api",
                "--test",
                "it",
            ])
            .args(["--", "--exact", TEST])
            .env(WRITES, "1")
            .current_dir(paths::root()),
    )?;
    eprintln!("openapi: docs/openapi.json says what the code says");
    Ok(ExitCode::SUCCESS)
}
