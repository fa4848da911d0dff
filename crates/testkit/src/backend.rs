//! The receivers of `docs/examples`, run as merchants run them.

use crate::{Process, eventually, free_port, javascript, locate};
use anyhow::{Context, Result};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// An interpreter on a busy machine needs a while.
const START_LIMIT: Duration = Duration::from_mins(1);
const PYTHON: &str = include_str!("../../../docs/examples/receiver.py");
const TYPESCRIPT: &str = include_str!("../../../docs/examples/receiver.ts");
/// How the TypeScript one is compiled: as strictly as its README says.
const COMPILER: &str = r#"{
  "compilerOptions": {
    "module": "nodenext", "target": "es2022", "strict": true, "skipLibCheck": true, "types": ["node"]
  },
  "files": ["receiver.ts"]
}"#;

/// What an example is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// With axum.
    Rust,
    /// With Express.
    TypeScript,
    /// With `FastAPI`.
    Python,
}

/// A shop's backend on a free port, with a folder in which it keeps what it knows. It can be killed and
/// started again.
#[derive(Debug)]
pub struct Backend {
    language: Language,
    folder: TempDir,
    port: u16,
    client: reqwest::Client,
    process: Option<Process>,
}

impl Backend {
    /// Compiles what has to be compiled; nothing runs yet.
    pub async fn prepare(language: Language) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("paywatch-backend-")
            .tempdir()?;
        let at = folder.path();
        match language {
            Language::Rust => {}
            Language::Python => std::fs::write(at.join("receiver.py"), PYTHON)?,
            Language::TypeScript => {
                std::fs::write(at.join("receiver.ts"), TYPESCRIPT)?;
                std::fs::write(at.join("tsconfig.json"), COMPILER)?;
                javascript::compile(at).await?;
            }
        }
        Ok(Self {
            language,
            port: free_port()?,
            client: locate::http_client()?,
            process: None,
            folder,
        })
    }

    /// Where webhooks are sent to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Starts it with variables of the environment, and waits until it listens.
    pub async fn launch(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        let mut command = self.command()?;
        command
            .current_dir(self.folder.path())
            .env("PORT", self.port.to_string())
            .env("LISTEN", format!("127.0.0.1:{}", self.port))
            .envs(variables.iter().copied());
        let name = format!("the example in {:?}", self.language);
        let started = Process::spawn(&name, &mut command, &self.log_file())?;
        let process = self.process.insert(started);
        let port = self.port;
        eventually(&name, START_LIMIT, async || {
            process.expect_running()?;
            Ok(TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop))
        })
        .await
    }

    fn command(&self) -> Result<Command> {
        Ok(match self.language {
            Language::Rust => Command::new(locate::example("receiver")?),
            Language::TypeScript => {
                let mut command = Command::new("node");
                command.arg("receiver.js");
                command
            }
            Language::Python => {
                let place = "python/bin/python";
                let python = locate::provided("FastAPI", "PAYWATCH_PYTHON", place)?;
                let mut command = Command::new(python);
                command
                    .args(["-m", "uvicorn", "receiver:app", "--port"])
                    .arg(self.port.to_string());
                command
            }
        })
    }

    /// Kills it with no warning.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the example does not run")?;
        process.kill().map(drop)
    }

    /// Sends something to it as a webhook would come; gives the status of the answer.
    pub async fn receive(&self, headers: &BTreeMap<String, String>, body: Bytes) -> Result<u16> {
        let mut request = self.client.post(self.url()).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.context("call the example")?;
        Ok(answer.status().as_u16())
    }

    /// Everything that it printed so far, of all its runs.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("output.log")
    }
}
