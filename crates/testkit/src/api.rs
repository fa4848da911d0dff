//! A client of the watcher's HTTP API that shows status, headers and body as they came.

use crate::{leaks, locate};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;

/// Calls `/v1` with one API key. Clones are the same client.
#[derive(Clone, Debug)]
pub struct Api {
    client: reqwest::Client,
    url: String,
    key: String,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers; names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub text: String,
}

impl Api {
    /// A client for an address such as `http://127.0.0.1:8080` and a key such as `pw_test_..`.
    pub fn new(url: &str, key: &str) -> Result<Self> {
        leaks::note_all_in(key);
        Ok(Self {
            client: locate::http_client()?,
            url: url.to_owned(),
            key: key.to_owned(),
        })
    }

    /// The API key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Reads a path, for example `/v1/chains`.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        let request = self.client.get(format!("{}{path}", self.url));
        self.send(request).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.post_bytes(path, body.to_string().into_bytes(), None)
            .await
    }

    /// Posts JSON with an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> Result<Answer> {
        self.post_bytes(path, body.to_string().into_bytes(), Some(key))
            .await
    }

    /// Posts any bytes as if they were JSON.
    pub async fn post_bytes(
        &self,
        path: &str,
        body: Vec<u8>,
        idempotency_key: Option<&str>,
    ) -> Result<Answer> {
        let mut request = self
            .client
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request
            .bearer_auth(&self.key)
            .send()
            .await
            .with_context(|| format!("call {}", self.url))?;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let answer = Answer {
            status: response.status().as_u16(),
            headers,
            text: response.text().await.context("read an answer of the API")?,
        };
        if answer.status < 400 {
            leaks::note_all_in(&answer.text);
        } else {
            leaks::expect_no_secret("a refusal of the API", &answer.text)?;
        }
        Ok(answer)
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text)
            .with_context(|| format!("the answer {} is not JSON: {}", self.status, self.text))
    }

    /// The body of a successful answer (2xx); otherwise an error with all of it.
    pub fn value(&self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("the API answered {}: {}", self.status, self.text);
        }
        self.json()
    }

    /// The rows of a successful answer that is a page of a list.
    pub fn rows(&self) -> Result<Vec<Value>> {
        let page = self.value()?;
        let rows = page["data"].as_array().context("a page holds a list")?;
        Ok(rows.clone())
    }

    /// The stable code of a problem; empty when there is none.
    pub fn code(&self) -> String {
        let code = self.json().ok();
        code.and_then(|problem| problem["code"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// A header by its name in small letters; empty when it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}
