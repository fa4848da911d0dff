//! The command line as a client of `/v1`.

use std::io::Write;

use anyhow::{Context as _, bail};
use clap::Args;
use paywatch_wire::Page;
use serde_json::Value;
use serde_json::value::RawValue;

/// Where the API is and who asks.
#[derive(Args, Clone)]
pub(crate) struct Connection {
    /// Address of the API.
    #[arg(
        id = "api_url",
        long = "url",
        env = "PAYWATCH_URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    url: String,
    /// API key; `paywatch keys create` makes one.
    #[arg(
        id = "api_key",
        long = "key",
        env = "PAYWATCH_KEY",
        hide_env_values = true,
        global = true
    )]
    key: Option<String>,
}

/// Sends requests to `/v1`.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Connection {
    pub(crate) fn open(self) -> anyhow::Result<Client> {
        let key = self.key.context(
            "an API key is needed: set PAYWATCH_KEY, or make one with `paywatch keys create`",
        )?;
        let http = reqwest::Client::builder()
            .build()
            .context("the HTTP client cannot be made")?;
        Ok(Client {
            http,
            url: self.url.trim_end_matches('/').to_owned(),
            key,
        })
    }
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.url));
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body.to_string());
        self.send(request).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .patch(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body.to_string());
        self.send(request).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.delete(format!("{}{path}", self.url));
        self.send(request).await
    }

    /// A page of events, each as the bytes that webhooks carry.
    pub(crate) async fn events(&self, query: &str) -> anyhow::Result<Page<Box<RawValue>>> {
        let request = self.http.get(format!("{}/v1/events?{query}", self.url));
        let answer = self.answer(request).await?;
        if !answer.status().is_success() {
            bail!("{}", problem(&json_of(answer).await?));
        }
        let body = answer.text().await.context("the answer broke off")?;
        serde_json::from_str(&body).context("the answer is not a list of events")
    }

    /// Writes an answer that is not JSON to `sink`, piece by piece.
    pub(crate) async fn copy(&self, path: &str, sink: &mut impl Write) -> anyhow::Result<()> {
        let request = self.http.get(format!("{}{path}", self.url));
        let mut answer = self.answer(request).await?;
        if !answer.status().is_success() {
            bail!("{}", problem(&json_of(answer).await?));
        }
        while let Some(piece) = answer.chunk().await.context("the answer broke off")? {
            sink.write_all(&piece)?;
        }
        Ok(sink.flush()?)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let answer = request.bearer_auth(&self.key).send().await;
        answer.with_context(|| {
            format!(
                "{} does not answer; is `paywatch serve` running there?",
                self.url
            )
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = self.answer(request).await?;
        let status = answer.status();
        let value = json_of(answer).await?;
        if status.is_success() {
            return Ok(value);
        }
        bail!("{}", problem(&value))
    }
}

async fn json_of(answer: reqwest::Response) -> anyhow::Result<Value> {
    let status = answer.status();
    let body = answer.text().await.context("the answer broke off")?;
    serde_json::from_str(&body)
        .with_context(|| format!("the answer ({status}) is not JSON; is this paywatch?"))
}

/// A problem document in words: one line, and one for each field.
fn problem(value: &Value) -> String {
    let line = |value: &Value, fields: [&str; 2]| {
        let [detail, code] = fields.map(|field| value[field].as_str().unwrap_or_default());
        format!("{detail} ({code})")
    };
    let fields = value["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| {
            let pointer = error["pointer"].as_str().unwrap_or_default();
            format!("  {pointer}: {}", line(error, ["detail", "code"]))
        });
    let fields: Vec<String> = fields.collect();
    match fields.as_slice() {
        [] => line(value, ["detail", "code"]),
        fields => format!("the request was refused\n{}", fields.join("\n")),
    }
}
