//! Rust files: a module comment first, not too long, and no test that is switched off.

use super::Finding;
use super::tree::Tree;

/// Lines of a file without its tests. Longer files hold two things.
const MOST_LINES: usize = 400;
const IGNORED_TEST: &str = concat!("#[ign", "ore");

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.below("", ".rs") {
        if !file.text.starts_with("//!") {
            let advice = "begin with a //! line that says what the module is for";
            findings.push(Finding::new(&file.path, 1, advice));
        }
        let lines = lines_without_tests(&file.text);
        if !is_test(&file.path) && lines > MOST_LINES {
            let advice = format!("{lines} lines, split the file: at most {MOST_LINES}");
            findings.push(Finding::new(&file.path, MOST_LINES + 1, advice));
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.trim_start().starts_with(IGNORED_TEST) {
                let advice = "a test runs or does not exist; let the large one ask for --full";
                findings.push(Finding::new(&file.path, number, advice));
            }
        }
    }
    findings
}

/// Files of tests may be long: a table of cases reads best in one piece.
pub(super) fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs")
}

fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_file_needs_a_module_comment() {
        assert_eq!(lines_found("crates/a/src/b.rs", "use std::fmt;\n"), [1]);
        assert!(lines_found("crates/a/src/b.rs", "//! What it is for.\n").is_empty());
    }

    #[test]
    fn tests_do_not_count_as_lines() {
        let long = format!("//! A.\n{}", "// line\n".repeat(MOST_LINES));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// line\n".repeat(50));
        let short = long.lines().take(MOST_LINES).collect::<Vec<_>>().join("\n");
        assert_eq!(lines_found("crates/a/src/b.rs", &long), [MOST_LINES + 1]);
        assert!(lines_found("crates/a/src/b.rs", &format!("{short}\n{tests}")).is_empty());
        assert!(lines_found("crates/a/tests/b.rs", &long).is_empty());
        assert!(lines_found("tests/it/b.rs", &long).is_empty());
    }

    #[test]
    fn a_switched_off_test_is_found() {
        let text = format!("//! A.\n#[test]\n{IGNORED_TEST} = \"slow\"]\nfn a() {{}}\n");
        assert_eq!(lines_found("crates/a/tests/b.rs", &text), [3]);
    }
}
