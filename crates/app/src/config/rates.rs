//! Sources of rates: tables of the configuration, and what is asked over HTTP.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use paywatch_domain::{Amount, Catalogue, Pair, RatePlan, RateRules, RateValue, limits};
use paywatch_rates::{Pointer, Source};
use paywatch_webhook::{EgressRules, Guard, UrlRefused};
use serde::Deserialize;
use toml::{Table, Value};

use super::Problem;
use super::settings::section;

/// A percentage with four decimals, without its point, is a count of millionths.
const PERCENT_DECIMALS: u8 = 4;
/// The longest that a source may take, in milliseconds.
const TIMEOUT_MS_MAX: u64 = 60_000;

/// Rates as they are configured.
#[derive(Debug, Default)]
pub(crate) struct RateSettings {
    /// Who says what assets are worth, and when that is believed.
    pub(crate) plan: Arc<RatePlan>,
    /// Who is asked over HTTP.
    pub(crate) sources: Vec<Source>,
    /// From one question to the next, in milliseconds.
    pub(crate) refresh_ms: i64,
    /// How long a whole answer may take.
    pub(crate) timeout: Duration,
    /// Where questions may go.
    pub(crate) egress: EgressRules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    refresh_s: u32,
    stale_after_s: u32,
    spread_percent: String,
    move_percent: String,
    timeout_ms: u64,
    allow_http: bool,
    allow_networks: Vec<IpNet>,
    sources: BTreeMap<String, Value>,
}

/// A source as it is written: a table, or a question over HTTP.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SourceForm {
    table: Option<BTreeMap<String, String>>,
    url: Option<Kept>,
    pointers: Option<BTreeMap<String, String>>,
    times: BTreeMap<String, String>,
    headers: BTreeMap<String, Kept>,
}

/// A text that may be a secret: as it is written, or by where it stands.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Plain(String),
    File { file: PathBuf },
    Variable { env: String },
}

/// Reads the section and holds it against the assets that there are.
pub(super) fn read(
    table: &Table,
    folder: &Path,
    environment: &BTreeMap<String, String>,
    catalogue: &Catalogue,
    problems: &mut Vec<Problem>,
) -> RateSettings {
    let Some(section) = section::<Section>(table, "rates", problems) else {
        return RateSettings::default();
    };
    let egress = EgressRules {
        networks_allowed: section.allow_networks.clone(),
        http_allowed: section.allow_http,
    };
    let mut reader = Reader {
        folder,
        environment,
        catalogue,
        guard: Guard::new(egress.clone()),
        place: "rates".to_owned(),
        problems,
    };
    let rules = reader.rules(&section);
    let mut plan = RatePlan {
        rules,
        pairs: BTreeMap::new(),
    };
    let mut sources = Vec::new();
    if limits::RATE_SOURCES_MAX < section.sources.len() {
        let most = limits::RATE_SOURCES_MAX;
        reader.problem("sources", &format!("at most {most} sources are possible"));
    }
    for (name, form) in section.sources {
        reader.place = format!("rates.sources.{name}");
        sources.extend(reader.source(&name, form, &mut plan));
    }
    RateSettings {
        plan: Arc::new(plan),
        sources,
        refresh_ms: i64::from(section.refresh_s).saturating_mul(1000),
        timeout: Duration::from_millis(section.timeout_ms),
        egress,
    }
}

/// Reads one part of the section; what is wrong goes to the problems.
struct Reader<'a> {
    folder: &'a Path,
    environment: &'a BTreeMap<String, String>,
    catalogue: &'a Catalogue,
    guard: Guard,
    place: String,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, key: &str, detail: &str) {
        self.problems.push(Problem {
            place: format!("{}.{key}", self.place),
            detail: detail.to_owned(),
        });
    }

    fn rules(&mut self, section: &Section) -> RateRules {
        if section.refresh_s == 0 {
            self.problem("refresh_s", "must be at least 1");
        }
        if section.stale_after_s <= section.refresh_s {
            let detail =
                "must be longer than refresh_s, or every rate would be stale before the next";
            self.problem("stale_after_s", detail);
        }
        if !(1..=TIMEOUT_MS_MAX).contains(&section.timeout_ms) {
            let detail = format!("must be from 1 to {TIMEOUT_MS_MAX}");
            self.problem("timeout_ms", &detail);
        }
        RateRules {
            stale_after_ms: i64::from(section.stale_after_s).saturating_mul(1000),
            spread_millionths: self.percent("spread_percent", &section.spread_percent),
            move_millionths: self.percent("move_percent", &section.move_percent),
        }
    }

    fn percent(&mut self, key: &str, text: &str) -> u32 {
        let millionths = Amount::parse(text, PERCENT_DECIMALS).ok();
        let millionths = millionths.and_then(|millionths| millionths.to_string().parse().ok());
        let millionths = millionths.filter(|millionths| *millionths <= 10_000_000);
        if millionths.is_none() {
            let detail =
                "must be a decimal text from 0 to 1000 with at most four decimals, such as \"2\"";
            self.problem(key, detail);
        }
        millionths.unwrap_or_default()
    }

    /// Adds a source to the plan; one that is asked over HTTP is the answer.
    fn source(&mut self, name: &str, form: Value, plan: &mut RatePlan) -> Option<Source> {
        if name.is_empty() || limits::TEXT_CHARS_MAX < name.len() || name.contains(char::is_control)
        {
            self.problem("name", "a source needs a short name");
            return None;
        }
        let form = match form.try_into::<SourceForm>() {
            Ok(form) => form,
            Err(error) => {
                let said = error.to_string().trim_end().replace('\n', "; ");
                self.problem("form", &said);
                return None;
            }
        };
        match (form.table, form.url, form.pointers) {
            (Some(table), None, None) if form.headers.is_empty() && form.times.is_empty() => {
                for (pair, value) in table {
                    self.table_row(name, &pair, &value, plan);
                }
                None
            }
            (None, Some(url), Some(pointers)) => {
                let pointers = self.pointers(name, pointers, plan);
                let times = self.times(form.times, &pointers);
                let url = self.kept("url", url).and_then(|url| self.url(&url));
                let headers = self.headers(form.headers);
                Some(Source {
                    name: name.into(),
                    url: url?,
                    headers,
                    pointers,
                    times,
                })
            }
            _ => {
                self.problem(
                    "form",
                    "a source has either a table, or a url with pointers",
                );
                None
            }
        }
    }

    fn table_row(&mut self, name: &str, pair: &str, value: &str, plan: &mut RatePlan) {
        let key = format!("table.{pair}");
        let found = self.pair(&key, pair);
        let value = RateValue::parse(value);
        if let Err(error) = &value {
            self.problem(&key, &error.to_string());
        }
        if let (Some(pair), Ok(value)) = (found, value) {
            let sources = plan.pairs.entry(pair).or_default();
            sources.insert(name.into(), Some(value));
        }
    }

    fn pointers(
        &mut self,
        name: &str,
        pointers: BTreeMap<String, String>,
        plan: &mut RatePlan,
    ) -> BTreeMap<Pair, Pointer> {
        if pointers.is_empty() || limits::RATE_PAIRS_MAX < pointers.len() {
            let most = limits::RATE_PAIRS_MAX;
            self.problem("pointers", &format!("must name from 1 to {most} pairs"));
        }
        let mut read = BTreeMap::new();
        for (pair, pointer) in pointers {
            let key = format!("pointers.{pair}");
            let found = self.pair(&key, &pair);
            let pointer = pointer.parse::<Pointer>();
            if let Err(error) = &pointer {
                self.problem(&key, &error.to_string());
            }
            if let (Some(pair), Ok(pointer)) = (found, pointer) {
                let sources = plan.pairs.entry(pair.clone()).or_default();
                sources.insert(name.into(), None);
                read.insert(pair, pointer);
            }
        }
        read
    }

    /// Where a source says from when its rates are.
    fn times(
        &mut self,
        times: BTreeMap<String, String>,
        pointers: &BTreeMap<Pair, Pointer>,
    ) -> BTreeMap<Pair, Pointer> {
        let mut read = BTreeMap::new();
        for (pair, pointer) in times {
            let key = format!("times.{pair}");
            let known = pair.parse().ok();
            match (
                known.filter(|pair| pointers.contains_key(pair)),
                pointer.parse::<Pointer>(),
            ) {
                (Some(pair), Ok(pointer)) => drop(read.insert(pair, pointer)),
                (None, _) => self.problem(&key, "names no pair of the source's pointers"),
                (_, Err(error)) => self.problem(&key, &error.to_string()),
            }
        }
        read
    }

    /// A pair whose asset and currency exist.
    fn pair(&mut self, key: &str, text: &str) -> Option<Pair> {
        let pair = match text.parse::<Pair>() {
            Ok(pair) => pair,
            Err(error) => {
                self.problem(key, &error.to_string());
                return None;
            }
        };
        let mut assets = self.catalogue.chains().flat_map(|chain| &chain.assets);
        let is_known = assets.any(|asset| {
            asset.name.symbol() == pair.asset() || asset.name.to_string() == pair.asset()
        });
        if !is_known {
            let detail = format!("no asset {} in the chains file", pair.asset());
            self.problem(key, &detail);
        }
        let has_currency = self.catalogue.price_decimals(pair.currency()).is_some();
        if !has_currency {
            let currency = pair.currency();
            let detail = format!(
                "{currency} is neither a currency of ISO 4217 nor the symbol of an asset in capitals"
            );
            self.problem(key, &detail);
        }
        (is_known && has_currency).then_some(pair)
    }

    fn url(&mut self, text: &str) -> Option<url::Url> {
        let refused = match self.guard.read_url(text) {
            Ok(url) => return Some(url),
            Err(refused) => refused,
        };
        // The address may hold a secret and is not repeated.
        self.problem("url", match refused {
            UrlRefused::Malformed(_) => "is no URL such as https://rates.example/btc",
            UrlRefused::Scheme => {
                "must begin with https://, unless rates.allow_http or rates.allow_networks allow http"
            }
            UrlRefused::Credentials => {
                "must not hold a user name or password; put them into a header"
            }
            UrlRefused::Blocked(_) => {
                "leads to an address that is not public; rates.allow_networks allows its network"
            }
        });
        None
    }

    fn headers(&mut self, headers: BTreeMap<String, Kept>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, kept) in headers {
            let key = format!("headers.{name}");
            let Some(text) = self.kept(&key, kept) else {
                continue;
            };
            let name = HeaderName::from_bytes(name.as_bytes());
            let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(&text)) else {
                self.problem(&key, "is no header that can be sent");
                continue;
            };
            value.set_sensitive(true);
            map.insert(name, value);
        }
        map
    }

    /// A text from a file, from the environment, or as it is written.
    fn kept(&mut self, key: &str, kept: Kept) -> Option<String> {
        let read = match kept {
            Kept::Plain(text) => Ok(text),
            Kept::File { file } => std::fs::read_to_string(self.folder.join(&file))
                .map(|text| text.trim_end().to_owned())
                .map_err(|error| format!("{} cannot be read: {error}", file.display())),
            Kept::Variable { env } => self
                .environment
                .get(&env)
                .cloned()
                .ok_or_else(|| format!("the variable {env} is not set")),
        };
        if let Err(detail) = &read {
            self.problem(key, detail);
        }
        read.ok()
    }
}
