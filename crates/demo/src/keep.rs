//! `--keep`: everything stays up to be played with, and a payer is at hand.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use paywatch_testkit::bitcoin::{Amount, Denomination};
use tokio::net::TcpListener;

use crate::screen::Screen;
use crate::stage::Stage;

/// Blocks that one request may mine.
const BLOCKS_MAX: u32 = 100;

type Answer = (StatusCode, String);

/// Prints what there is and waits for Ctrl-C.
pub(crate) async fn keep(stage: Stage, screen: &Screen) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("listen for the payer")?;
    let play = format!("http://{}", listener.local_addr()?);
    let stage = Arc::new(stage);
    let router = Router::new()
        .route("/pay/{address}/{amount}", post(pay))
        .route("/mine/{blocks}", post(mine))
        .with_state(Arc::clone(&stage));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    screen.print(&explain(&stage, &play));
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    server.abort();
    Ok(())
}

fn explain(stage: &Stage, play: &str) -> String {
    let (url, key) = (stage.watcher.url(), stage.api.key());
    let folder = stage.watcher.folder().display();
    format!(
        r#"
Everything stays up until Ctrl-C.

  API of paywatch     {url}
  key of the merchant {key}
  merchant's backend  {webhooks}
  Bitcoin node        {node} ({user}:{password})
  EVM node            {evm}
  folder of paywatch  {folder}

Try it:

  export PAYWATCH_URL={url} PAYWATCH_KEY={key}

  # all invoices, how far the chain was read, everything that was told
  curl -s -H "Authorization: Bearer $PAYWATCH_KEY" $PAYWATCH_URL/v1/invoices
  curl -s -H "Authorization: Bearer $PAYWATCH_KEY" $PAYWATCH_URL/v1/chains
  curl -s -H "Authorization: Bearer $PAYWATCH_KEY" $PAYWATCH_URL/v1/events

  # a new invoice; its address stands in options[0].address
  curl -s -H "Authorization: Bearer $PAYWATCH_KEY" -H "Content-Type: application/json" \
    -d '{{"options":[{{"asset":"btc@bitcoin-regtest","amount":"0.0015"}}],"expires_in_s":900}}' \
    $PAYWATCH_URL/v1/invoices

  # the demo's payer pays any address, and mines blocks
  curl -s -X POST {play}/pay/ADDRESS/0.0015
  curl -s -X POST {play}/mine/1

  # the EVM node's first account pays any address of that chain; the amount is in wei, in hexadecimal digits
  curl -s -H "Content-Type: application/json" -d '{{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction",
    "params":[{{"from":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","to":"ADDRESS","value":"0x470de4df820000"}}]}}' {evm}
"#,
        webhooks = stage.merchant.url(),
        node = stage.node.url(),
        evm = stage.ethereum.first.url(),
        user = stage.node.user(),
        password = stage.node.password(),
    )
}

async fn pay(
    State(stage): State<Arc<Stage>>,
    Path((address, amount)): Path<(String, String)>,
) -> Answer {
    let amount = match Amount::from_str_in(&amount, Denomination::Bitcoin) {
        Ok(amount) => amount.to_sat(),
        Err(error) => return refused(&error),
    };
    match stage.payer.pay(&[(&address, amount)]).await {
        Ok(txid) => (StatusCode::OK, format!("{txid}\n")),
        Err(error) => refused(&format!("{error:#}")),
    }
}

async fn mine(State(stage): State<Arc<Stage>>, Path(blocks): Path<u32>) -> Answer {
    match stage.node.mine(blocks.min(BLOCKS_MAX)).await {
        Ok(hashes) => (StatusCode::OK, format!("{}\n", hashes.join("\n"))),
        Err(error) => refused(&format!("{error:#}")),
    }
}

fn refused(reason: &impl ToString) -> Answer {
    (StatusCode::BAD_REQUEST, format!("{}\n", reason.to_string()))
}
