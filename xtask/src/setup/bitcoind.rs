//! bitcoind: a given one, one on `PATH`, or one built once from vendored source.
//!
//! Bitcoin Core publishes no Debian package and the project downloads no binaries. The package
//! `libbitcoinkernel-sys` carries the whole source tree of Core with its checksum in the lock file
//! of a tiny manifest, so cargo fetches it and cmake builds it, without a wallet and without a GUI.

use super::{Part, debian};
use crate::progress::Progress;
use crate::{paths, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package whose archive holds the source of Bitcoin Core 31.
const SOURCE_PACKAGE: &str = "libbitcoinkernel-sys";
const SOURCE_VERSION: &str = "0.4.1";
/// The folder in the cache; its number is the major version of Bitcoin Core.
const FOLDER: &str = "bitcoind-31";

/// Everything that a regtest node for tests does without. `-O1` halves the time to build.
const CMAKE_OPTIONS: &[&str] = &[
    "-DCMAKE_BUILD_TYPE=Release",
    "-DAPPEND_CXXFLAGS=-O1",
    "-DBUILD_BITCOIN_BIN=OFF",
    "-DBUILD_BENCH=OFF",
    "-DBUILD_CLI=OFF",
    "-DBUILD_FUZZ_BINARY=OFF",
    "-DBUILD_GUI=OFF",
    "-DBUILD_KERNEL_LIB=OFF",
    "-DBUILD_TESTS=OFF",
    "-DBUILD_TX=OFF",
    "-DBUILD_UTIL=OFF",
    "-DBUILD_UTIL_CHAINSTATE=OFF",
    "-DENABLE_EXTERNAL_SIGNER=OFF",
    "-DENABLE_IPC=OFF",
    "-DENABLE_WALLET=OFF",
    "-DINSTALL_MAN=OFF",
    "-DWITH_CCACHE=OFF",
    "-DWITH_EMBEDDED_ASMAP=OFF",
    "-DWITH_ZMQ=OFF",
];

/// Finds or builds bitcoind.
pub(crate) fn ensure(cache: &Path) -> Result<(Part, PathBuf)> {
    if let Some(given) = paths::set("BITCOIND_EXE") {
        let version = version(&given).context("BITCOIND_EXE names no working bitcoind")?;
        return Ok((part(&version, &given, "from BITCOIND_EXE"), given));
    }
    if let Some(found) = paths::on_path("bitcoind")
        && let Ok(version) = version(&found)
    {
        return Ok((part(&version, &found, "from PATH"), found));
    }
    let target = cache.join(FOLDER).join("bitcoind");
    if let Ok(version) = version(&target) {
        return Ok((part(&version, &target, "built from source"), target));
    }
    build(cache, &target)?;
    let version = version(&target).context("the built bitcoind does not answer")?;
    Ok((part(&version, &target, "built from source"), target))
}

fn part(version: &str, program: &Path, origin: &str) -> Part {
    Part::new(
        "bitcoind",
        version,
        format!("{} ({origin})", program.display()),
    )
}

/// What `bitcoind -version` says: `Bitcoin Core daemon version v31.99.0-unk bitcoind`.
fn version(program: &Path) -> Result<String> {
    let text = run::capture(Command::new(program).arg("-version"))?;
    let line = text.lines().next().unwrap_or_default();
    let Some((_, version)) = line.split_once("daemon version ") else {
        bail!("{} answers {line:?} to -version", program.display());
    };
    // Source outside of git calls itself unknown, which says nothing here.
    let version = version.split(' ').next().unwrap_or_default();
    Ok(version.trim_end_matches("-unk").to_owned())
}

fn build(cache: &Path, target: &Path) -> Result<()> {
    install_compiler()?;
    let folder = cache.join(FOLDER);
    let source = fetch_source(&folder.join("source"))?;
    let tree = folder.join("build");
    std::fs::create_dir_all(&tree)?;
    let log = folder.join("build.log");
    let mut progress = Progress::new("build bitcoind");
    eprintln!(
        "setup: building bitcoind once, about 7 minutes on 2 cores; log: {}",
        log.display()
    );
    progress.percent(0);
    run::logged(
        Command::new("cmake")
            .args(["-G", "Unix Makefiles", "-S"])
            .arg(&source)
            .arg("-B")
            .arg(&tree)
            .args(CMAKE_OPTIONS),
        &log,
        |_| {},
    )?;
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    run::logged(
        Command::new("cmake").arg("--build").arg(&tree).args([
            "--target",
            "bitcoind",
            "--parallel",
            &jobs.to_string(),
        ]),
        &log,
        |line| {
            if let Some(percent) = percent_of(line) {
                progress.percent(percent);
            }
        },
    )?;
    let built = tree.join("bin").join("bitcoind");
    let stripped = folder.join(format!("bitcoind.{}", std::process::id()));
    run::capture(Command::new("strip").arg("-o").arg(&stripped).arg(&built))?;
    // The rename is the commit: whoever finds the file finds the whole of it.
    std::fs::rename(&stripped, target)?;
    std::fs::remove_dir_all(&tree)?;
    progress.done();
    Ok(())
}

fn install_compiler() -> Result<()> {
    let mut packages: Vec<&str> = ["cmake", "g++", "make"]
        .into_iter()
        .filter(|program| paths::on_path(program).is_none())
        .collect();
    if !Path::new("/usr/include/boost/version.hpp").exists() {
        packages.push("libboost-dev");
    }
    if packages.is_empty() {
        return Ok(());
    }
    debian::install(&packages, "building bitcoind")
}

/// Lets cargo fetch and check the archive, and gives the folder of its source tree.
fn fetch_source(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder.join("src"))?;
    let manifest = folder.join("Cargo.toml");
    std::fs::write(folder.join("src/lib.rs"), "")?;
    std::fs::write(
        &manifest,
        format!(
            "[package]\nname = \"bitcoin-source\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n[dependencies]\n{SOURCE_PACKAGE} = \"={SOURCE_VERSION}\"\n"
        ),
    )?;
    run::show(
        run::cargo()
            .args(["fetch", "--quiet", "--manifest-path"])
            .arg(&manifest),
    )?;
    let metadata = run::capture(
        run::cargo()
            .args([
                "metadata",
                "--offline",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(&manifest),
    )?;
    let ending = format!("{SOURCE_PACKAGE}-{SOURCE_VERSION}/Cargo.toml\"");
    let place = metadata
        .split_once(&ending)
        .and_then(|(before, _)| before.rsplit_once('"'))
        .map(|(_, parent)| format!("{parent}{SOURCE_PACKAGE}-{SOURCE_VERSION}"))
        .with_context(|| format!("cargo metadata does not name {SOURCE_PACKAGE}"))?;
    let tree = Path::new(&place).join("bitcoin");
    if !tree.join("CMakeLists.txt").is_file() {
        bail!("{} holds no source of Bitcoin Core", tree.display());
    }
    Ok(tree)
}

/// The percentage at the start of a line of make: `[ 42%] Building ..`.
fn percent_of(line: &str) -> Option<u8> {
    line.strip_prefix('[')?
        .split_once('%')?
        .0
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::percent_of;

    #[test]
    fn percent_is_read_from_lines_of_make() {
        assert_eq!(percent_of("[  7%] Building CXX object"), Some(7));
        assert_eq!(percent_of("[100%] Built target bitcoind"), Some(100));
        assert_eq!(percent_of("-- Configuring done"), None);
    }
}
