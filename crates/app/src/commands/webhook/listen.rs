//! `paywatch webhook listen`: a backend on this machine gets webhooks without an address that others reach.
//!
//! It pulls `/v1/events`, which holds the same bytes, and sends each as the deliverer would, once.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use paywatch_domain::{Clock as _, Entropy as _};
use paywatch_webhook::{Envelope, Request, Secret, Signer};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use url::Url;

use crate::client::Client;
use crate::output::Output;
use crate::system::{SystemClock, SystemEntropy};

/// New events are looked for this often.
const POLL: Duration = Duration::from_millis(500);
/// How long the backend may take.
const ANSWER: Duration = Duration::from_secs(20);

#[derive(Args)]
pub(super) struct Arguments {
    /// Where the backend takes webhooks.
    #[arg(long)]
    forward_to: Url,
    /// From this place in the stream on instead of what is said from now on; 0 for everything.
    #[arg(long, default_value = "latest")]
    after: String,
    /// Sign with this secret (`whsec_..`) instead of a new one.
    #[arg(long, env = "PAYWATCH_LISTEN_SECRET", hide_env_values = true)]
    secret: Option<Secret>,
}

/// What is shown of an event.
#[derive(Deserialize)]
struct Head {
    id: String,
    r#type: String,
}

/// Forwards until interrupted. What the backend does not take is shown, and not sent again by itself.
pub(super) async fn run(
    output: Output,
    client: &Client,
    arguments: Arguments,
) -> anyhow::Result<()> {
    let secret = arguments.secret.unwrap_or_else(|| {
        let mut random = [0; 32];
        SystemEntropy.fill(&mut random);
        Secret::generate(random)
    });
    let place = format!("after={}&limit=100", arguments.after);
    // Where the stream is now: before anybody is told that it is listened to.
    let mut page = client.events(&place).await?;
    let begun = json!({ "secret": secret.reveal(), "forward_to": arguments.forward_to.as_str() });
    output.say(&begun, || {
        let (secret, to) = (secret.reveal(), &arguments.forward_to);
        format!("forwarding events to {to}, signed with\n  {secret}\nend with Ctrl-C")
    });
    let backend = reqwest::Client::builder()
        .timeout(ANSWER)
        .build()
        .context("the HTTP client cannot be made")?;
    let forward = async {
        loop {
            for event in &page.data {
                send(output, &backend, &arguments.forward_to, &secret, event).await?;
            }
            if !page.has_more {
                tokio::time::sleep(POLL).await;
            }
            let after = page.next_cursor.as_deref().unwrap_or("0");
            page = client.events(&format!("after={after}&limit=100")).await?;
        }
    };
    tokio::select! {
        ended = forward => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// Sends one event and shows what came back.
async fn send(
    output: Output,
    backend: &reqwest::Client,
    to: &Url,
    secret: &Secret,
    event: &RawValue,
) -> anyhow::Result<()> {
    let head: Head = serde_json::from_str(event.get()).context("an event without an id")?;
    let envelope = Envelope {
        id: &head.id,
        timestamp_s: SystemClock.now().0.div_euclid(1000),
        request_id: None,
        signers: &[Signer::Shared(secret.clone())],
    };
    let body = Bytes::copy_from_slice(event.get().as_bytes());
    let request = Request::signed(to.clone(), &envelope, body, ANSWER)?;
    let mut sent = backend.post(request.url).body(request.body);
    for (name, value) in request.headers {
        sent = sent.header(name, value);
    }
    let begun = Instant::now();
    let answer = match sent.send().await {
        Ok(answer) => answer.status().to_string(),
        Err(error) => format!("{:#}", anyhow::Error::new(error.without_url())),
    };
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Head { id, r#type: kind } = head;
    let shown = json!({ "event": id, "type": kind, "answer": answer, "duration_ms": took_ms });
    output.say(&shown, || {
        format!("{id}  {kind}  ->  {answer}  ({took_ms} ms)")
    });
    Ok(())
}
