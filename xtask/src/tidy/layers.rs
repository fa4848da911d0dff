//! Which crate of the workspace may use which. The folder of a crate is its role.

use super::Finding;
use super::tree::Tree;

/// Everything that the watcher is made of, for those who may use all of it.
const ALL: &[&str] = &[
    "domain",
    "wire",
    "chain",
    "chain-bitcoin",
    "chain-evm",
    "chain-solana",
    "store",
    "engine",
    "webhook",
    "rates",
    "api",
];

/// Each role with the roles it may use. Dependencies point downwards only.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("wire", &["domain"]),
    ("chain", &["domain"]),
    ("chain-bitcoin", &["domain", "chain"]),
    ("chain-evm", &["domain", "chain"]),
    ("chain-solana", &["domain", "chain"]),
    ("store", &["domain", "wire"]),
    ("engine", &["domain", "wire", "chain", "store"]),
    ("webhook", &["domain", "wire", "store"]),
    ("rates", &["domain", "store", "webhook"]),
    ("api", &["domain", "wire", "chain", "engine", "store"]),
    ("app", ALL),
    (
        "sim",
        &["domain", "wire", "chain", "store", "engine", "webhook"],
    ),
    ("testkit", &[]),
    ("demo", &["testkit"]),
    // It signs, on a machine without network: nothing of the watcher is in it, and it is in nothing.
    ("offline", &[]),
    (
        "bench",
        &[
            "domain",
            "wire",
            "chain",
            "chain-bitcoin",
            "chain-evm",
            "chain-solana",
            "store",
            "engine",
            "webhook",
            "api",
            "sim",
            "testkit",
        ],
    ),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.below("", "Cargo.toml") {
        let role = match manifest.path.split('/').collect::<Vec<_>>()[..] {
            ["crates", folder, _] => folder,
            ["xtask", _] => "xtask",
            _ => continue,
        };
        let allowed = ALLOWED
            .iter()
            .find(|(name, _)| *name == role)
            .map(|(_, allowed)| *allowed);
        if allowed.is_none() && role != "xtask" {
            let advice = format!("add the role {role} to the table in xtask/src/tidy/layers.rs");
            findings.push(Finding::new(&manifest.path, 1, advice));
            continue;
        }
        let package = if role == "app" {
            "paywatch".into()
        } else {
            format!("paywatch-{role}")
        };
        if role != "xtask" && !manifest.text.contains(&format!("name = \"{package}\"")) {
            let advice = format!("name the package {package}: the folder is the role");
            findings.push(Finding::new(&manifest.path, 1, advice));
        }
        let allowed = allowed.unwrap_or_default();
        for (line, section, used) in workspace_uses(&manifest.text) {
            // The API's tests try real keys, so they need a real derivation. What the offline tool makes,
            // the watcher must read.
            let real = [
                ("api", "chain-bitcoin"),
                ("api", "chain-solana"),
                ("offline", "chain-solana"),
                ("offline", "chain"),
            ];
            let for_tests = section == "dev-dependencies"
                && (used == "testkit" || real.contains(&(role, used.as_str())));
            if !for_tests && !allowed.contains(&used.as_str()) {
                let advice = format!("{role} must not use {used}; it may use {allowed:?}");
                findings.push(Finding::new(&manifest.path, line, advice));
            }
        }
    }
    findings
}

/// The crates of this workspace that a manifest names: line, section, role.
fn workspace_uses(manifest: &str) -> Vec<(usize, &str, String)> {
    let mut uses = Vec::new();
    let mut section = "";
    for (number, line) in (1..).zip(manifest.lines()) {
        let line = line.trim();
        let name = if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let (last, name) = match header.rsplit_once("dependencies.") {
                Some((start, name)) => (&header[..start.len() + "dependencies".len()], name),
                None => (header, ""),
            };
            section = last;
            name
        } else {
            line.split(['.', ' ', '=']).next().unwrap_or_default()
        };
        let role = match name.split_once('-') {
            Some(("paywatch", role)) => role,
            None if name == "paywatch" => "app",
            _ => continue,
        };
        if section.ends_with("dependencies") {
            uses.push((number, section, role.to_owned()));
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(path: &str, manifest: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, manifest)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_upward_dependency_is_found_in_every_notation() {
        let path = "crates/store/Cargo.toml";
        let good = "[package]\nname = \"paywatch-store\"\n[dependencies]\npaywatch-wire.workspace = true\n";
        assert!(advice(path, good).is_empty());
        for bad in [
            "paywatch-engine.workspace = true",
            "paywatch-engine = { path = \"../engine\" }",
            "[dependencies.paywatch-engine]",
            "[build-dependencies]\npaywatch-engine.workspace = true",
            "[target.'cfg(unix)'.dependencies]\npaywatch-engine.workspace = true",
            "[dev-dependencies]\npaywatch-engine.workspace = true",
        ] {
            let found = advice(path, &format!("{good}{bad}\n"));
            assert_eq!(found.len(), 1, "{bad}");
            assert!(found[0].contains("store must not use engine"), "{found:?}");
        }
    }

    #[test]
    fn tests_may_use_the_test_kit_and_programs_may_not() {
        let path = "crates/domain/Cargo.toml";
        let start = "[package]\nname = \"paywatch-domain\"\n";
        let uses = "paywatch-testkit.workspace = true\n";
        assert!(advice(path, &format!("{start}[dev-dependencies]\n{uses}")).is_empty());
        assert_eq!(
            advice(path, &format!("{start}[dependencies]\n{uses}")).len(),
            1
        );
        let demo =
            "[package]\nname = \"paywatch-demo\"\n[dependencies]\npaywatch.workspace = true\n";
        assert_eq!(advice("crates/demo/Cargo.toml", demo).len(), 1);
    }

    #[test]
    fn an_unknown_role_and_a_wrong_name_are_found() {
        assert_eq!(
            advice(
                "crates/new/Cargo.toml",
                "[package]\nname = \"paywatch-new\"\n"
            )
            .len(),
            1
        );
        assert_eq!(
            advice("crates/wire/Cargo.toml", "[package]\nname = \"wire\"\n").len(),
            1
        );
    }
}
