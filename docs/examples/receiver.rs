//! A webhook receiver: verifies, remembers the event, asks for the invoice, fulfils once.
#![expect(clippy::print_stdout, reason = "shipping is a line of text here")]
use anyhow::{Context as _, Result};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use std::{env, fs, path::Path, sync::Arc};

async fn hook(State(webhook): State<Arc<Webhook>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    // Over the bytes that arrived, before anything reads them as JSON.
    match webhook.verify(&body, &headers) {
        Err(_) => StatusCode::BAD_REQUEST,
        Ok(()) if receive(&body).await.is_ok() => StatusCode::OK,
        Ok(()) => StatusCode::INTERNAL_SERVER_ERROR, // and the event comes again
    }
}

async fn receive(body: &[u8]) -> Result<()> {
    let event: Value = serde_json::from_slice(body)?;
    let known = format!("kept/{}", event["id"].as_str().context("no id")?);
    if Path::new(&known).exists() {
        return Ok(());
    }
    if let Some(id) = event["data"]["invoice"]["id"].as_str() {
        fulfil(id).await?;
    }
    Ok(fs::write(known, "")?)
}

// What the event says may be old: what counts is what the invoice is now.
async fn fulfil(id: &str) -> Result<()> {
    let (http, key) = (reqwest::Client::new(), env::var("PAYWATCH_KEY")?);
    let url = format!("{}/v1/invoices/{id}", env::var("PAYWATCH_URL")?);
    let answer = http.get(&url).bearer_auth(&key).send().await?;
    let invoice: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
    let is_paid = invoice["status"] == "paid" || invoice["status"] == "overpaid";
    let order = format!("kept/{id}");
    if is_paid && !Path::new(&order).exists() {
        // Recorded before the goods leave, under a key that makes a second time the first one.
        let body = json!({ "description": format!("order {}", invoice["order_id"]) }).to_string();
        let request = http.post(url + "/fulfilments").bearer_auth(&key).body(body);
        let request = request.header("idempotency-key", format!("fulfil-{id}"));
        let request = request.header("content-type", "application/json");
        request.send().await?.error_for_status()?;
        fs::File::create_new(order)?;
        println!("shipped {}", invoice["order_id"]);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // what reqwest asks for
    fs::create_dir_all("kept")?; // a shop has two tables with primary keys instead
    let webhook = Arc::new(Webhook::new(&env::var("WEBHOOK_SECRET")?)?);
    let app = Router::new().route("/hook", post(hook));
    let listener = tokio::net::TcpListener::bind(env::var("LISTEN")?).await?;
    Ok(axum::serve(listener, app.with_state(webhook)).await?)
}
