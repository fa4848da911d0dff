//! Debian packages, installed only when something that is needed is not there.

use crate::run;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Installs packages, as root or through sudo without a password; otherwise says what to type.
pub(crate) fn install(packages: &[&str], why: &str) -> Result<()> {
    let line = format!(
        "apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if crate::paths::on_path("apt-get").is_none() {
        bail!("{why} is missing and this is not Debian; install what `{line}` would install");
    }
    let Some(prefix) = privilege() else {
        bail!("{why} is missing and needs root; type: sudo apt-get update && sudo {line}");
    };
    eprintln!(
        "setup: installing Debian packages for {why}: {}",
        packages.join(" ")
    );
    let log = std::env::temp_dir().join(format!("paywatch-apt-{}.log", std::process::id()));
    run::logged(
        with(prefix, &["apt-get", "update"]).env("DEBIAN_FRONTEND", "noninteractive"),
        &log,
        |_| {},
    )?;
    let words: Vec<&str> = line.split(' ').collect();
    run::logged(
        with(prefix, &words).env("DEBIAN_FRONTEND", "noninteractive"),
        &log,
        |_| {},
    )?;
    std::fs::remove_file(log)?;
    Ok(())
}

/// What to put before a command that needs root: nothing as root, sudo where it asks nothing.
fn privilege() -> Option<&'static [&'static str]> {
    if Path::new("/proc/self").exists() && run::capture(Command::new("id").arg("-u")).ok()? == "0" {
        return Some(&[]);
    }
    let quiet = Command::new("sudo")
        .args(["-n", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet
        .is_ok_and(|status| status.success())
        .then_some(&["sudo", "-n"])
}

fn with(prefix: &[&str], words: &[&str]) -> Command {
    let mut all = prefix.iter().chain(words);
    let mut command = Command::new(all.next().copied().unwrap_or("true"));
    command.args(all);
    command
}
