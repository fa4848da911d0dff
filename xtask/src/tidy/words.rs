//! Words that must not stand in the repository: places of one machine, hosts of registries.

use super::Finding;
use super::tree::Tree;

/// Each in two pieces, so that this file does not find itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        concat!("/wo", "rk/"),
        "name a path that exists on other machines",
    ),
    (
        concat!("/ro", "ot/"),
        "name a path that exists on other machines",
    ),
    (
        concat!("/ho", "me/"),
        "name a path that exists on other machines",
    ),
    (
        concat!("crates", ".io"),
        "leave the choice of the registry to cargo",
    ),
    (
        concat!("pypi", ".org"),
        "leave the choice of the registry to pip",
    ),
    (
        concat!("registry", ".npmjs"),
        "leave the choice of the registry to npm",
    ),
    (
        concat!("art", "ifactory"),
        "leave the choice of the registry to its client",
    ),
    (
        concat!("TO", "DO"),
        "do it, or write down for users what is missing",
    ),
    (concat!("FIX", "ME"), "mend it"),
];

/// Written by cargo.
const SKIPPED: &[&str] = &["Cargo.lock"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| !SKIPPED.contains(&file.path.as_str()))
    {
        for (number, line) in (1..).zip(file.text.lines()) {
            for (word, advice) in FORBIDDEN.iter().filter(|(word, _)| line.contains(word)) {
                let advice = format!("{word:?} stands here; {advice}");
                findings.push(Finding::new(&file.path, number, advice));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_word_is_found_with_its_line() {
        for (word, _) in FORBIDDEN {
            let text = format!("first line\nhere is {word} in a line\n");
            let findings = check(&Tree::of(&[("docs/a.md", &text), ("Cargo.lock", &text)]));
            assert_eq!(findings.len(), 1);
            assert_eq!(
                (findings[0].path.as_str(), findings[0].line),
                ("docs/a.md", 2)
            );
        }
    }
}
