//! `paywatch-offline`: makes the keys of Solana wallets and signs sweeps of their addresses.
//!
//! Made for a machine without network. No code of the watcher is in it and it is in no part of the
//! watcher. What it reads and writes are files and lines; nothing here can send anything.

mod address;
mod extended;
mod file;
mod message;
mod plan;
mod pool;
mod signer;
mod standard;
mod sweep;
mod words;

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::extended::Account;
use crate::words::Words;

/// Makes keys for receiving on Solana, and signs what sweeps them. Run it on a machine without network.
#[derive(Parser)]
#[command(name = "paywatch-offline", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw a new root from the system's randomness and write its words. They are the money: whoever has
    /// them spends it.
    New {
        /// How many words: 12, 15, 18, 21 or 24.
        #[arg(long, default_value_t = 24)]
        count: usize,
        /// Write them to this new file, which nobody else can read, instead of printing them.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the public key of an account, for `paywatch wallet add --family solana`, and its first
    /// addresses, to be compared with what the watcher shows.
    Xpub {
        #[command(flatten)]
        root: Root,
        /// The account: m/44'/501'/ACCOUNT'.
        #[arg(long, default_value_t = 0)]
        account: u32,
    },
    /// Write a file of addresses for `paywatch wallet add --family solana --pool FILE`. Common wallets have
    /// the same addresses (m/44'/501'/INDEX'/0') when they get the words.
    Pool {
        #[command(flatten)]
        root: Root,
        /// How many addresses; a file holds at most 5000.
        #[arg(long)]
        count: u32,
        /// The first index; for a second file go on where the first one ended.
        #[arg(long, default_value_t = 0)]
        from: u32,
        /// Write to this new file instead of printing.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Sign transactions that send what stands at derived addresses to one address. Prints each in base64,
    /// one a line, as the RPC method sendTransaction takes it.
    Sweep {
        #[command(flatten)]
        root: Root,
        /// What is to be swept, as JSON; docs/solana-addresses.md describes it.
        #[arg(long, value_name = "FILE")]
        plan: PathBuf,
    },
}

#[derive(clap::Args)]
struct Root {
    /// The file that holds the words.
    #[arg(long, value_name = "FILE")]
    words: PathBuf,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::New { count, out } => {
            let words = Words::draw(count)?;
            put(out, &format!("{}\n", words.text()))
        }
        Command::Xpub { root, account } => {
            let account = Account::of(&Words::read(&root.words)?, account)?;
            let mut lines = vec![account.xpub()?];
            for index in 0..3 {
                let (path, address) = account.shown(index)?;
                lines.push(format!("  {path}  {address}"));
            }
            put(None, &(lines.join("\n") + "\n"))
        }
        Command::Pool {
            root,
            count,
            from,
            out,
        } => {
            let text = pool::file(&Words::read(&root.words)?, from, count)?;
            put(out, &text)
        }
        Command::Sweep { root, plan } => {
            let plan = plan::read(&plan)?;
            let swept = sweep::sign(&Words::read(&root.words)?, &plan)?;
            let mut said = io::stderr().lock();
            let mut text = String::new();
            for sweep in &swept {
                writeln!(said, "{}", sweep.summary)?;
                text.push_str(&sweep.base64);
                text.push('\n');
            }
            put(None, &text)
        }
    }
}

/// Writes to a new file that nobody else can read, or prints.
fn put(file: Option<PathBuf>, text: &str) -> Result<()> {
    match file {
        Some(path) => file::write_new(&path, text),
        None => {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            Ok(out.flush()?)
        }
    }
}
