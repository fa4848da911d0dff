//! The documents that a reader of the repository looks for.

use super::Finding;
use super::tree::Tree;

const DOCUMENTS: &[(&str, &str)] = &[
    ("README.md", "what it is and how to try it"),
    ("ARCHITECTURE.md", "the code map and the invariants"),
    ("CHANGELOG.md", "what changed for users"),
    ("CONTRIBUTING.md", "how to build, test and change it"),
    ("LICENSE-APACHE", "the text of the licence"),
    ("LICENSE-MIT", "the text of the licence"),
];

/// Less than this is a heading without a document.
const LEAST_BYTES: usize = 200;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    DOCUMENTS
        .iter()
        .filter(|(path, _)| tree.text(path).is_none_or(|text| text.len() < LEAST_BYTES))
        .map(|(path, content)| Finding::new(path, 1, format!("write this document: {content}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_an_empty_document_are_found() {
        let text = "x".repeat(LEAST_BYTES);
        let mut files: Vec<(&str, &str)> = DOCUMENTS
            .iter()
            .map(|(path, _)| (*path, text.as_str()))
            .collect();
        assert!(check(&Tree::of(&files)).is_empty());
        files[1].1 = "# Architecture";
        files.pop();
        let paths: Vec<String> = check(&Tree::of(&files))
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        assert_eq!(paths, ["ARCHITECTURE.md", "LICENSE-MIT"]);
    }
}
