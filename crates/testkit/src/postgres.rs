//! A private Postgres: its own cluster in a temporary folder, on a free port.

use crate::{Process, eventually, free_port, locate};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The system user of Debian's package. Postgres refuses to run as root.
const SYSTEM_USER: &str = "postgres";
const READY_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Another program can take a free port before the server does.
const START_ATTEMPTS: u32 = 3;
/// Belongs to the name of the cached template; raise it with any change of [`INITDB_OPTIONS`].
const TEMPLATE_VERSION: u32 = 1;

/// Small log segments, because every cluster copies one.
const INITDB_OPTIONS: &[&str] = &[
    "--no-sync",
    "--auth=trust",
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--wal-segsize=1",
];

/// What a committed transaction promises stays as it is in production: `fsync` is on.
const SERVER_OPTIONS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=32MB",
    "max_connections=100",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// A running server. Dropping it ends the server and deletes its data.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    programs: Programs,
    folder: TempDir,
    port: u16,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server on an empty cluster and waits until it accepts connections.
    pub async fn start() -> Result<Self> {
        let programs = Programs::find()?;
        let folder = tempfile::Builder::new()
            .prefix("paywatch-postgres-")
            .tempdir()?;
        programs.hand_over(folder.path())?;
        programs.make_cluster(&folder.path().join("data"))?;
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            match launch(&programs, folder.path(), port).await {
                Ok(process) => {
                    let databases = AtomicU32::new(0);
                    return Ok(Self {
                        process,
                        programs,
                        folder,
                        port,
                        databases,
                    });
                }
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates an empty database and gives its URL.
    pub async fn create_database(&self) -> Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("paywatch_{number}");
        self.query("postgres", &format!("CREATE DATABASE {name}"))
            .await?;
        Ok(format!(
            "postgres://postgres@127.0.0.1:{}/{name}",
            self.port
        ))
    }

    /// Runs SQL in a database (a name or a URL of this server) with `psql`: rows as lines, columns
    /// split by `|`.
    pub async fn query(&self, database: &str, sql: &str) -> Result<String> {
        let name = database.rsplit('/').next().unwrap_or(database);
        let output = tokio::process::Command::new(self.programs.path("psql"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-X", "-q", "-A", "-t"])
            .args([
                "-v",
                "ON_ERROR_STOP=1",
                "-p",
                &self.port.to_string(),
                "-d",
                name,
                "-c",
                sql,
            ])
            .output()
            .await
            .context("start psql")?;
        if !output.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Kills the server with no warning, as a power cut does. [`Postgres::restart`] brings it back.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(|_| ())
    }

    /// Ends the server if it runs and starts it again: same data, same port.
    pub async fn restart(&mut self) -> Result<()> {
        // SIGINT is a fast shutdown: open transactions are rolled back, everything is written.
        self.process.signal(Signal::INT)?;
        self.process.wait(STOP_LIMIT).await?;
        // The children of a server that was killed end by themselves, and keep its memory until then.
        let (programs, folder) = (&self.programs, self.folder.path());
        let launched =
            eventually(
                "the old server's children to end",
                STOP_LIMIT,
                async || match launch(programs, folder, self.port).await {
                    Err(error) if error.to_string().contains("is still in use") => Ok(None),
                    launched => launched.map(Some),
                },
            );
        self.process = launched.await?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT ends the server and its children at once and frees their shared memory, which
        // SIGKILL would leave behind.
        if self.process.signal(Signal::QUIT).is_ok() {
            self.process.wait_blocking(STOP_LIMIT);
        }
    }
}

async fn launch(programs: &Programs, folder: &Path, port: u16) -> Result<Process> {
    let mut command = programs.as_server_user("postgres");
    command
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-p")
        .arg(port.to_string());
    for option in SERVER_OPTIONS {
        command.args(["-c", option]);
    }
    let mut process = Process::spawn("postgres", &mut command, &folder.join("output.log"))?;
    let ready = eventually("Postgres to accept connections", READY_LIMIT, async || {
        if process.status()?.is_some() {
            return Ok(Some(false));
        }
        let mut ask = tokio::process::Command::new(programs.path("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        Ok(ask.status().await?.success().then_some(true))
    });
    ready.await?;
    process.expect_running()?;
    Ok(process)
}

/// The server's programs and the user they have to run as.
#[derive(Debug)]
struct Programs {
    folder: PathBuf,
    /// User and group id of [`SYSTEM_USER`], when the tests run as root.
    owner: Option<(u32, u32)>,
}

impl Programs {
    fn find() -> Result<Self> {
        let folder = match locate::variable("POSTGRES_BIN") {
            Some(folder) => folder,
            None => newest().context("there is no Postgres server; run: cargo xtask setup")?,
        };
        let root = rustix::process::getuid().is_root();
        let owner = if root { Some(system_user()?) } else { None };
        Ok(Self { folder, owner })
    }

    fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// A program of the server, run as the server's user. It replaces `setpriv`, so that signals
    /// reach it.
    fn as_server_user(&self, program: &str) -> Command {
        let Some((user, group)) = self.owner else {
            return Command::new(self.path(program));
        };
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &user.to_string(), "--regid", &group.to_string()])
            .args(["--clear-groups", "--"])
            .arg(self.path(program))
            // The current folder may be one that the server's user cannot enter.
            .current_dir("/");
        command
    }

    fn hand_over(&self, folder: &Path) -> Result<()> {
        if let Some((user, group)) = self.owner {
            chown(folder, Some(user), Some(group))
                .with_context(|| format!("give {} to {SYSTEM_USER}", folder.display()))?;
        }
        Ok(())
    }

    /// Makes a cluster as a copy of a template, which takes a tenth of the time of `initdb`.
    fn make_cluster(&self, data: &Path) -> Result<()> {
        let version = run(Command::new(self.path("postgres")).arg("--version"))?;
        let version = version
            .split(' ')
            .nth(2)
            .unwrap_or("unknown")
            .trim()
            .to_owned();
        let user = rustix::process::getuid().as_raw();
        let name = format!("postgres-{version}-{TEMPLATE_VERSION}-{user}");
        let templates = locate::cache()?.join("templates");
        let template = templates.join(name);
        if !template.is_dir() {
            self.make_template(data, &templates, &template)?;
        }
        if !data.is_dir() {
            run(Command::new("cp").arg("-a").arg(&template).arg(data))?;
        }
        Ok(())
    }

    /// Runs `initdb` for this cluster and keeps a copy of it. Whoever else does the same at the
    /// same moment makes the same template; the first rename wins.
    fn make_template(&self, data: &Path, templates: &Path, template: &Path) -> Result<()> {
        run(self
            .as_server_user("initdb")
            .args(INITDB_OPTIONS)
            .arg("-D")
            .arg(data))?;
        std::fs::create_dir_all(templates)?;
        let copy = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(templates)?;
        run(Command::new("cp")
            .arg("-a")
            .arg(data)
            .arg(copy.path().join("data")))?;
        std::fs::set_permissions(copy.path(), std::fs::Permissions::from_mode(0o755))?;
        match std::fs::rename(copy.path().join("data"), template) {
            Err(error) if !template.is_dir() => Err(error).context("keep the template cluster"),
            _ => Ok(()),
        }
    }
}

/// The newest version that Debian installed.
fn newest() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").is_file().then_some((version, folder))
        })
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder)
}

fn system_user() -> Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    let ids = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, user, group, ..] = fields[..] else {
            return None;
        };
        (name == SYSTEM_USER).then_some((user.parse().ok()?, group.parse().ok()?))
    });
    ids.with_context(|| format!("there is no user {SYSTEM_USER}; run: cargo xtask setup"))
}

fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
