//! Libraries for Node: the verifier of Standard Webhooks, second implementations of addresses and the
//! reader of Solana Pay URIs, which the tests compare with, the compiler of their contracts, what their
//! Solana payer is made of, a generator of API clients, and what the example of a receiver is made of.

use super::{Part, debian};
use crate::{paths, run};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first one names the part; the tests are written against these releases.
const PACKAGES: [(&str, &str); 20] = [
    ("standardwebhooks", "1.1.1"),
    ("bitcoinjs-lib", "7.0.5"),
    ("bip32", "5.0.1"),
    ("@bitcoinerlab/secp256k1", "1.2.0"),
    ("ethers", "6.17.0"),
    ("solc", "0.8.37"),
    ("@solana/web3.js", "1.99.0"),
    ("@solana/spl-token", "0.4.15"),
    ("@stricahq/bip32ed25519", "1.1.2"),
    ("bech32", "2.0.0"),
    ("@solana/kit", "6.10.0"),
    ("@solana-program/system", "0.12.2"),
    ("@solana-program/token", "0.12.0"),
    ("@solana/pay", "1.0.16"),
    ("openapi-typescript", "7.13.0"),
    ("openapi-fetch", "0.17.0"),
    ("typescript", "5.9.3"),
    ("express", "5.3.0"),
    ("@types/express", "5.0.6"),
    ("@types/node", "22.20.5"),
];

/// Gives the folder `node_modules` that holds the packages.
pub(crate) fn ensure(cache: &Path) -> Result<(Part, PathBuf)> {
    ensure_npm()?;
    let folder = cache.join("node");
    let modules = folder.join("node_modules");
    let missing = || {
        let lacks = |(package, wanted): &&(&str, &str)| {
            version(&modules, package).as_deref() != Some(*wanted)
        };
        PACKAGES.iter().find(lacks)
    };
    if missing().is_some() {
        install(&folder, &PACKAGES)?;
    }
    if let Some((package, version)) = missing() {
        bail!("npm installed no {package} {version}");
    }
    let [(first, version), ..] = PACKAGES;
    let others = PACKAGES.len() - 1;
    let place = format!("{} ({first} and {others} more)", modules.display());
    Ok((Part::new("node", version, place), modules))
}

/// Installs packages of exactly these versions below a folder.
pub(super) fn install(folder: &Path, packages: &[(&str, &str)]) -> Result<()> {
    ensure_npm()?;
    let named = packages.iter();
    let named: Vec<String> = named
        .map(|(package, version)| format!("{package}@{version}"))
        .collect();
    eprintln!("setup: installing {} with npm", named.join(", "));
    std::fs::create_dir_all(folder)?;
    run::capture(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund"])
            .args(["--save-exact", "--prefix"])
            .arg(folder)
            .args(&named),
    )?;
    Ok(())
}

fn ensure_npm() -> Result<()> {
    if paths::on_path("node").is_none() || paths::on_path("npm").is_none() {
        debian::install(&["nodejs", "npm"], "what npm publishes")?;
    }
    Ok(())
}

/// The version in the manifest of an installed package.
pub(super) fn version(modules: &Path, package: &str) -> Option<String> {
    let manifest = std::fs::read_to_string(modules.join(package).join("package.json")).ok()?;
    let after = manifest.split_once("\"version\":")?.1;
    after.split('"').nth(1).map(str::to_owned)
}
