//! Schemathesis: a program of others that reads the description of an API and tries to catch it lying.

use crate::locate;
use anyhow::{Context, Result, bail};
use std::time::Duration;
use tokio::process::Command;

/// What is held against the description.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,\
                      ignored_auth";
/// How it is tried: the examples that are in it, its corners, random values, and calls that follow from each other.
const PHASES: &str = "examples,coverage,fuzzing,stateful";
/// A trial that takes longer does not end.
const LIMIT: Duration = Duration::from_mins(10);

/// Which operations a trial calls, by their names.
#[derive(Clone, Copy, Debug)]
pub enum Operations {
    /// All but these.
    AllBut(&'static [&'static str]),
    /// These alone.
    Only(&'static [&'static str]),
}

impl Operations {
    fn arguments(self) -> impl Iterator<Item = &'static str> {
        let (option, names) = match self {
            Self::AllBut(names) => ("--exclude-operation-id", names),
            Self::Only(names) => ("--include-operation-id", names),
        };
        names.iter().flat_map(move |name| [option, name])
    }
}

/// A trial of an API over its own description.
#[derive(Clone, Debug)]
pub struct ApiTrial {
    /// Where the API is.
    pub url: String,
    /// The path of its description.
    pub document: String,
    /// The key of every request.
    pub key: String,
    /// What all random values come from.
    pub seed: u32,
    /// The most random requests of each operation.
    pub examples_max: u32,
    /// Which operations are tried.
    pub operations: Operations,
}

impl ApiTrial {
    /// Runs the trial and gives what the program said. The error lists every finding.
    pub async fn run(&self) -> Result<String> {
        let interpreter = locate::provided("Schemathesis", "PAYWATCH_PYTHON", "python/bin/python")?;
        let folder = tempfile::Builder::new()
            .prefix("paywatch-trial-")
            .tempdir()?;
        let mut command = Command::new(interpreter);
        command
            .current_dir(folder.path())
            .args(["-m", "schemathesis.cli", "run"])
            .arg(format!("{}{}", self.url, self.document))
            .args(["--url", &self.url, "--phases", PHASES, "--checks", CHECKS])
            .args(["--seed", &self.seed.to_string()])
            .args(["--max-examples", &self.examples_max.to_string()])
            .args(["--header", &format!("Authorization: Bearer {}", self.key)])
            .args(self.operations.arguments())
            .args(["--generation-database", "none", "--workers", "2"])
            .args([
                "--request-timeout",
                "30",
                "--continue-on-failure",
                "--no-color",
            ])
            .kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output());
        let output = output
            .await
            .context("Schemathesis does not end")?
            .context("start Schemathesis; it is installed by: cargo xtask setup")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let also = String::from_utf8_lossy(&output.stderr);
            bail!("Schemathesis ended with {}: {said}\n{also}", output.status);
        }
        Ok(said)
    }
}
