//! `cargo xtask test`: every check and every test, one stage after the other.

use crate::progress::short;
use crate::run::{self, Environment};
use crate::setup::{self, Purpose};
use crate::{demo, paths, tidy};
use anyhow::{Result, bail};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Tells the tests to use the large numbers.
const FULL: &str = "PAYWATCH_TEST_FULL";

/// `test [FILTER] [--full]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let mut filter = None;
    let mut full = false;
    for argument in arguments {
        match argument.as_str() {
            "--full" => full = true,
            option if option.starts_with('-') => {
                return crate::usage(format!("test has no option {option}; only --full"));
            }
            name if filter.is_none() => filter = Some(name),
            _ => return crate::usage("test takes one FILTER"),
        }
    }
    let mut environment = setup::ensure(Purpose::Test)?;
    environment.push(("PAYWATCH_EXE", paths::built("paywatch")?.into()));
    if full {
        environment.push((FULL, "1".into()));
    }
    let mut stages = Stages {
        environment,
        done: Vec::new(),
        started: Instant::now(),
    };
    match filter {
        Some(name) => one(&mut stages, name),
        None => all(&mut stages),
    }
    Ok(stages.summary())
}

/// Only the tests whose name holds the filter.
fn one(stages: &mut Stages, filter: &str) {
    if stages.run("build", demo::build) {
        stages.nextest(&[filter]);
    }
}

fn all(stages: &mut Stages) {
    stages.cargo("format", &["fmt", "--all", "--check"]);
    stages.run("tidy", |_| tidy());
    stages.cargo(
        "licences",
        &["deny", "check", "licenses", "bans", "sources"],
    );
    stages.run("compose", compose);
    stages.cargo(
        "clippy",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    );
    stages
        .environment
        .push(("RUSTDOCFLAGS", "-D warnings".into()));
    stages.cargo("documents", &["doc", "--no-deps", "--workspace"]);
    stages.environment.pop();
    if stages.run("build", demo::build) {
        stages.nextest(&[]);
    }
    stages.cargo("doc tests", &["test", "--quiet", "--doc", "--workspace"]);
}

fn tidy() -> Result<()> {
    let findings = tidy::findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

/// Lets Docker Compose read each of its files.
fn compose(environment: &Environment) -> Result<()> {
    let folder = paths::root().join("docker");
    let mut files: Vec<_> = std::fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("{} holds no compose file", folder.display());
    }
    for file in files {
        let mut command: Command = setup::compose_program()?;
        command
            .arg("-f")
            .arg(&file)
            .args(["config", "-q"])
            .envs(environment.clone());
        run::show(&mut command)?;
    }
    Ok(())
}

/// The stages so far. A failed one does not hide what the others have to say.
struct Stages {
    environment: Environment,
    done: Vec<(&'static str, Duration, bool)>,
    started: Instant,
}

impl Stages {
    fn cargo(&mut self, name: &'static str, arguments: &[&str]) -> bool {
        self.run(name, |environment| {
            run::show(
                run::cargo()
                    .args(arguments)
                    .envs(environment.clone())
                    .current_dir(paths::root()),
            )
        })
    }

    /// The large numbers get the profile with more time.
    fn nextest(&mut self, filter: &[&str]) -> bool {
        let full = self.environment.iter().any(|(name, _)| *name == FULL);
        let profile = if full { "full" } else { "default" };
        let arguments = ["nextest", "run", "--workspace", "--profile", profile];
        self.cargo("tests", &[&arguments, filter].concat())
    }

    fn run(&mut self, name: &'static str, work: impl FnOnce(&Environment) -> Result<()>) -> bool {
        eprintln!("== {name}");
        let started = Instant::now();
        let result = work(&self.environment);
        let elapsed = started.elapsed();
        let passed = result.is_ok();
        match result {
            Ok(()) => eprintln!("== {name}: passed in {}", short(elapsed)),
            Err(error) => eprintln!("== {name}: FAILED after {}: {error:#}", short(elapsed)),
        }
        self.done.push((name, elapsed, passed));
        passed
    }

    fn summary(&self) -> ExitCode {
        eprintln!();
        for (name, elapsed, passed) in &self.done {
            let word = if *passed { "passed" } else { "FAILED" };
            eprintln!("  {name:<10} {word} {:>14}", short(*elapsed));
        }
        let failed = self.done.iter().filter(|(_, _, passed)| !passed).count();
        let elapsed = short(self.started.elapsed());
        if failed > 0 {
            eprintln!(
                "test: {failed} of {} stages failed ({elapsed})",
                self.done.len()
            );
            return ExitCode::FAILURE;
        }
        eprintln!("test: all {} stages passed ({elapsed})", self.done.len());
        ExitCode::SUCCESS
    }
}
