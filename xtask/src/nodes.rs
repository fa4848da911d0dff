//! `cargo xtask nodes up|down`: a regtest bitcoind in the background, to play with.

use crate::setup::{self, Purpose};
use crate::{paths, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The usual RPC port of regtest; fixed, so that a configuration file can name it.
const RPC_PORT: u16 = 18443;
const USER: &str = "paywatch";
const PASSWORD: &str = "paywatch";
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// An address that nobody owns, to mine to.
const NOBODY: &str = "bcrt1qwamhwamhwamhwamhwamhwamhwamhwamhje54fy";

/// `nodes up|down`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = paths::cache()?.join("nodes/bitcoin-regtest");
    match words[..] {
        ["up"] => up(&folder)?,
        ["down"] => down(&folder)?,
        _ => return crate::usage("expected: nodes up|down"),
    }
    Ok(ExitCode::SUCCESS)
}

fn up(folder: &Path) -> Result<()> {
    if let Some(process) = running(folder) {
        println!("bitcoind runs already, process {process}");
        explain(folder);
        return Ok(());
    }
    let environment = setup::ensure(Purpose::Nodes)?;
    let program = environment
        .iter()
        .find(|(name, _)| *name == "BITCOIND_EXE")
        .map(|(_, value)| PathBuf::from(value))
        .context("set-up names a bitcoind")?;
    std::fs::create_dir_all(folder)?;
    // -daemonwait comes back when the node answers, or says why it does not.
    run::capture(
        Command::new(program)
            .arg(format!("-datadir={}", folder.display()))
            .arg(format!("-pid={}", pid_file(folder).display()))
            .arg(format!("-rpcport={RPC_PORT}"))
            .arg(format!("-rpcuser={USER}"))
            .arg(format!("-rpcpassword={PASSWORD}"))
            .args([
                "-regtest",
                "-server=1",
                "-rest=1",
                "-listen=0",
                "-daemonwait",
            ])
            .args(["-dnsseed=0", "-fixedseeds=0", "-discover=0", "-natpmp=0"]),
    )?;
    let process = running(folder).context("bitcoind started and is gone")?;
    println!("bitcoind runs, process {process}");
    explain(folder);
    Ok(())
}

fn explain(folder: &Path) {
    println!(
        "data in {}

Let paywatch follow it: in chains.toml under [chains.bitcoin-regtest]

  url = \"http://127.0.0.1:{RPC_PORT}\"
  user = \"{USER}\"
  password_env = \"BITCOIN_REGTEST_PASSWORD\"

and in the shell

  export BITCOIN_REGTEST_PASSWORD={PASSWORD}

Mine a block; before its first block a new node counts as not synchronised:

  curl -s -u {USER}:{PASSWORD} http://127.0.0.1:{RPC_PORT}/ \\
    -d '{{\"method\":\"generatetoaddress\",\"params\":[1,\"{NOBODY}\"]}}'

Stop it: cargo xtask nodes down",
        folder.display()
    );
}

fn down(folder: &Path) -> Result<()> {
    let Some(process) = running(folder) else {
        println!("no bitcoind runs");
        return Ok(());
    };
    run::capture(Command::new("kill").args(["-TERM", &process.to_string()]))?;
    let started = Instant::now();
    while running(folder).is_some() {
        if started.elapsed() > STOP_LIMIT {
            bail!("bitcoind, process {process}, does not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("bitcoind ended; its data stays in {}", folder.display());
    Ok(())
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("bitcoind.pid")
}

/// The process id of our node. A number that another program took over in the meantime does not
/// count.
fn running(folder: &Path) -> Option<u32> {
    let process: u32 = std::fs::read_to_string(pid_file(folder))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let line = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line);
    line.contains(&format!("-datadir={}", folder.display()))
        .then_some(process)
}
