//! The demo: real nodes pay real invoices, paywatch says what happens, a merchant's backend
//! verifies every webhook.

mod evm;
mod keep;
mod merchant;
mod play;
mod screen;
mod signature;
mod solana;
mod stage;
mod stories;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::play::{Count, Play};
use crate::screen::Screen;
use crate::stage::Stage;
use crate::stories::STORIES;

/// Invoices on a real Bitcoin node (regtest), on two real EVM nodes (anvil) and on a real Solana node (surfpool), from creation
/// to verified webhooks.
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// Leave everything running and print addresses, a key and lines to try, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new();
    match run(&arguments, &screen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.print(&format!("demo failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let stage = Stage::set(screen).await?;
    let mut invoices = Vec::new();
    for story in &STORIES {
        invoices.push(story.invoice(&stage.api).await?);
    }
    let play = Play {
        stage: &stage,
        screen,
        invoices: &invoices,
    };
    let Count {
        invoices: count,
        webhooks,
    } = tokio::select! {
        count = play.run() => count?,
        never = screen.follow(&stage.api, &stage.merchant, &invoices) => match never {},
    };
    screen.refresh(&stage.api, &stage.merchant, &invoices).await;
    screen.say("every invoice ended as it should");
    screen.print(&format!(
        "demo ok: {count} invoices, {webhooks} webhooks verified"
    ));
    if arguments.keep {
        keep::keep(stage, screen).await?;
    }
    Ok(())
}
