//! What stands in `paywatch.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use paywatch_domain::{Finality, FinalityFault};
use paywatch_store::MasterKey;
use paywatch_wire::{Code, FinalityForm};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::Problem;

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Webhook settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhooks {
    /// Waits before each attempt, in seconds.
    pub(crate) schedule_s: Vec<u64>,
    /// How long an endpoint may take to answer.
    pub(crate) timeout_ms: u64,
    /// Whether plain http is allowed.
    pub(crate) allow_http: bool,
    /// Private networks that endpoints may live in.
    pub(crate) allow_networks: Vec<IpNet>,
    /// An endpoint that only failed for this long is switched off.
    pub(crate) disable_after_s: u64,
}

/// Settings that were read and found good.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The API.
    pub(crate) server: Server,
    /// The database, with a path that does not depend on the working folder.
    pub(crate) database_url: String,
    /// Connections of the pool.
    pub(crate) connections: u32,
    /// Seals addresses, encrypts secrets. Prints as a placeholder. `None` when there is none yet,
    /// which only commands that need no secret accept.
    pub(crate) master_key: Option<MasterKey>,
    /// Folder for what must survive a restored database.
    pub(crate) state_folder: PathBuf,
    /// Webhooks.
    pub(crate) webhooks: Webhooks,
    /// What is logged.
    pub(crate) filter: String,
    /// How it is logged.
    pub(crate) format: LogFormat,
}

/// The API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Proxies in front of it.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Requests of one key a second.
    pub(crate) requests_per_second: u32,
    /// Requests of one key at once after a rest.
    pub(crate) burst: u32,
}

impl Server {
    /// How often one key may ask.
    pub(crate) fn rate(&self) -> paywatch_api::Rate {
        paywatch_api::Rate {
            per_second: self.requests_per_second,
            burst: self.burst,
        }
    }
}

#[derive(Deserialize)]
struct Database {
    url: String,
    connections: u32,
}

#[derive(Deserialize)]
struct Secrets {
    master_key_file: PathBuf,
    retired_master_key_files: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct State {
    folder: PathBuf,
}

#[derive(Deserialize)]
struct ChainsFile {
    file: PathBuf,
}

#[derive(Deserialize)]
struct Telemetry {
    filter: String,
    format: LogFormat,
}

/// Reads a section key by key, so that one wrong value does not hide the next.
pub(super) fn section<T: DeserializeOwned>(
    table: &Table,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let value = table
        .get(name)
        .cloned()
        .unwrap_or_else(|| Value::Table(Table::new()));
    match value.clone().try_into() {
        Ok(section) => Some(section),
        Err(error) => {
            let detail = error.to_string().trim_end().replace('\n', "; ");
            let key = key_of_error(&value, &detail);
            problems.push(Problem {
                place: format!("{name}{key}"),
                detail,
            });
            None
        }
    }
}

/// The key that an error of the TOML reader speaks of.
fn key_of_error(section: &Value, detail: &str) -> String {
    let keys = section.as_table().into_iter().flat_map(Table::keys);
    let named = |key: &&String| detail.contains(&format!("`{key}`"));
    keys.into_iter()
        .find(named)
        .map_or_else(String::new, |key| format!(".{key}"))
}

pub(super) fn read(
    table: &Table,
    folder: &Path,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<Settings> {
    let server: Option<Server> = section(table, "server", problems);
    let database: Option<Database> = section(table, "database", problems);
    let secrets: Option<Secrets> = section(table, "secrets", problems);
    let state: Option<State> = section(table, "state", problems);
    let webhooks: Option<Webhooks> = section(table, "webhooks", problems);
    let telemetry: Option<Telemetry> = section(table, "telemetry", problems);
    let secrets = secrets?;
    let key_file = folder.join(secrets.master_key_file);
    let retired = secrets.retired_master_key_files.iter();
    let retired: Vec<MasterKey> = retired
        .filter_map(|file| retired_key(&folder.join(file), problems))
        .collect();
    let master_key = master_key(&key_file, environment, problems);
    let master_key = master_key.map(|key| key.with_retired(retired));
    let (database, telemetry, webhooks) = (database?, telemetry?, webhooks?);
    if webhooks.schedule_s.is_empty() {
        problems.push(Problem {
            place: "webhooks.schedule_s".to_owned(),
            detail: "needs at least one attempt, for example [0, 5, 300]".to_owned(),
        });
    }
    Some(Settings {
        server: server?,
        database_url: database_url(&database.url, folder),
        connections: database.connections,
        master_key,
        state_folder: folder.join(state?.folder),
        webhooks,
        filter: telemetry.filter,
        format: telemetry.format,
    })
}

/// The file with the chains.
pub(super) fn chains_file(
    table: &Table,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<PathBuf> {
    let chains: ChainsFile = section(table, "chains", problems)?;
    Some(folder.join(chains.file))
}

/// Makes a SQLite file relative to the configuration's folder.
fn database_url(url: &str, folder: &Path) -> String {
    match url.strip_prefix("sqlite:") {
        Some(file) if !file.starts_with('/') && file != ":memory:" => {
            format!("sqlite:{}", folder.join(file).display())
        }
        Some(_) | None => url.to_owned(),
    }
}

fn master_key(
    file: &Path,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<MasterKey> {
    let (place, text) = match environment.get("PAYWATCH_MASTER_KEY") {
        Some(text) => ("PAYWATCH_MASTER_KEY".to_owned(), text.clone()),
        None => match std::fs::read_to_string(file) {
            Ok(text) => (file.display().to_string(), text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                let detail = format!("the master key cannot be read: {error}");
                problems.push(Problem {
                    place: file.display().to_string(),
                    detail,
                });
                return None;
            }
        },
    };
    read_key(place, &text, problems)
}

/// A master key of before, which is only named while its file is there.
fn retired_key(file: &Path, problems: &mut Vec<Problem>) -> Option<MasterKey> {
    let place = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => read_key(place, &text, problems),
        Err(error) => {
            let detail = format!(
                "the retired master key cannot be read: {error}; take it out of \
                 secrets.retired_master_key_files once `paywatch reseal` has ended"
            );
            problems.push(Problem { place, detail });
            None
        }
    }
}

fn read_key(place: String, text: &str, problems: &mut Vec<Problem>) -> Option<MasterKey> {
    let key = text.trim().parse().ok();
    if key.is_none() {
        let detail = "the master key must be 32 random bytes in hexadecimal or base64; \
                      `paywatch init` makes one"
            .to_owned();
        problems.push(Problem { place, detail });
    }
    key
}

/// A finality as it is written, for example `{ depth = 3 }`. Each is read by itself, so that one that is
/// wrong hides no other.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct FinalityText(Value);

impl FinalityText {
    /// The finality; a problem when it cannot be read.
    pub(super) fn read(self, place: &str, problems: &mut Vec<Problem>) -> Option<Finality> {
        match self.0.try_into::<FinalityForm>() {
            Ok(form) => Some(form.into()),
            Err(error) => {
                let said = error.to_string().trim_end().replace('\n', "; ");
                let detail = format!(
                    "cannot be read ({said}); it is one of {{ depth = 3 }}, {{ tag = \"safe\" or \"finalized\" }}, \
                     {{ commitment = \"confirmed\" or \"finalized\" }}, {{ any = [..] }} and \
                     {{ unconfirmed = {{ max = {{ amount = \"20.00\", currency = \"USD\" }}, seen_s = 30 }} }}"
                );
                problems.push(Problem {
                    place: place.to_owned(),
                    detail,
                });
                None
            }
        }
    }
}

/// Notes what is wrong with a finality.
pub(super) fn note_fault(place: &str, fault: &FinalityFault, problems: &mut Vec<Problem>) {
    let place = match fault.alternative {
        Some(number) => format!("{place}.any[{number}]"),
        None => place.to_owned(),
    };
    let (code, error) = (Code::from(&fault.error), &fault.error);
    problems.push(Problem {
        place,
        detail: format!("{error} ({})", code.as_str()),
    });
}
