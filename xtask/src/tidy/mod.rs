//! `cargo xtask tidy`: the rules of this repository that no other tool checks.
//!
//! Every text file is read once; each check looks at the whole tree and gives its findings. The
//! same runs as a test, so that no change gets past it.

mod documents;
mod layers;
mod migrations;
mod money;
mod sources;
mod tree;
mod words;

use crate::paths;
use anyhow::Result;
use std::fmt;
use std::process::ExitCode;
use tree::Tree;

/// Something that breaks a rule, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    advice: String,
}

impl Finding {
    fn new(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

/// `tidy`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    if !arguments.is_empty() {
        return crate::usage("tidy takes no arguments");
    }
    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    println!("tidy: {} findings", findings.len());
    Ok(ExitCode::FAILURE)
}

/// Everything that is wrong in this checkout, in the order of files and lines.
pub(crate) fn findings() -> Result<Vec<Finding>> {
    let tree = Tree::read(&paths::root())?;
    let mut findings = check(&tree);
    findings.sort();
    Ok(findings)
}

fn check(tree: &Tree) -> Vec<Finding> {
    let checks = [
        documents::check,
        layers::check,
        migrations::check,
        money::check,
        sources::check,
        words::check,
    ];
    checks.into_iter().flat_map(|check| check(tree)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        let findings = super::findings().unwrap();
        let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(list.is_empty(), "\n{}", list.join("\n"));
    }
}
