//! The verifiers that merchants really use: the Standard Webhooks libraries for Python and Node.

use crate::{Received, javascript, locate};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::process::Command;

const PYTHON_SCRIPT: &str = include_str!("../verifiers/verify.py");
const ASYMMETRIC_SCRIPT: &str = include_str!("../verifiers/verify_asymmetric.cjs");
const NODE_SCRIPT: &str = include_str!("../verifiers/verify.cjs");

/// What a verifier looks at: headers and the body as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Header names in small letters, with their values.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl From<&Received> for Delivery {
    fn from(received: &Received) -> Self {
        Self {
            headers: received.headers.clone(),
            body: received.body.clone(),
        }
    }
}

/// A program of somebody else that checks signatures. The libraries refuse what is older than five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifier {
    /// The package `standardwebhooks` for Python.
    Python,
    /// The package `standardwebhooks` for Node.
    Node,
    /// Node's own ed25519, for `v1a`, which no such library knows; the secret is a public key (`whpk_..`).
    Asymmetric,
}

impl Verifier {
    /// The libraries of Standard Webhooks.
    pub const ALL: [Self; 2] = [Self::Python, Self::Node];

    /// Checks every delivery against one secret (`whsec_..`) and gives their number. The error
    /// lists each delivery that was refused, with the reason of the library.
    pub async fn verify(self, deliveries: &[Delivery], secret: &str) -> Result<usize> {
        let list: Vec<Value> = deliveries
            .iter()
            .map(|delivery| {
                json!({"headers": delivery.headers, "body": STANDARD.encode(&delivery.body)})
            })
            .collect();
        let work = json!({"secret": secret, "deliveries": list});
        let said = match self {
            Self::Python => python(&work).await?,
            Self::Node => javascript::ask("the JavaScript verifier", NODE_SCRIPT, &work).await?,
            Self::Asymmetric => {
                javascript::ask("Node's verifier", ASYMMETRIC_SCRIPT, &work).await?
            }
        };
        let answers: Vec<Option<String>> =
            serde_json::from_slice(&said).with_context(|| format!("read what {self:?} says"))?;
        self.judge(&answers, deliveries.len())
    }

    /// The scripts print a list with one element per delivery: null, or why it was refused.
    fn judge(self, answers: &[Option<String>], expected: usize) -> Result<usize> {
        if answers.len() != expected {
            bail!(
                "{self:?} looked at {} of {expected} deliveries",
                answers.len()
            );
        }
        let refused: Vec<String> = answers
            .iter()
            .enumerate()
            .filter_map(|(index, answer)| Some(format!("#{index}: {}", answer.as_ref()?)))
            .collect();
        if !refused.is_empty() {
            bail!(
                "{self:?} refused {} of {expected}: {}",
                refused.len(),
                refused.join("; ")
            );
        }
        Ok(answers.len())
    }
}

async fn python(work: &Value) -> Result<Vec<u8>> {
    let interpreter = locate::provided(
        "the Python verifier",
        "PAYWATCH_PYTHON",
        "python/bin/python",
    )?;
    let folder = tempfile::Builder::new()
        .prefix("paywatch-verify-")
        .tempdir()?;
    let file = folder.path().join("work.json");
    std::fs::write(&file, work.to_string())?;
    let mut command = Command::new(interpreter);
    let output = command.args(["-c", PYTHON_SCRIPT]).arg(&file).output();
    let output = output.await.context("start the Python verifier")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        bail!("the Python verifier ended with {status}: {}", said.trim());
    }
    Ok(output.stdout)
}
