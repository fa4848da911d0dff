//! What stands in `chains.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use paywatch_chain_bitcoin as bitcoin;
use paywatch_domain::{
    Amount, Asset, AssetKind, AssetName, Catalogue, ChainName, ChainSpec, Family, Finality,
    FinalityError, FinalityFault, Mode,
};
use serde::Deserialize;
use toml::{Table, Value};

use super::Problem;
use super::settings::{FinalityText, note_fault};

/// How to reach the node of one Bitcoin chain.
#[derive(Debug)]
pub(crate) struct BitcoinEndpoint {
    /// What the adapter needs.
    pub(crate) config: bitcoin::Config,
    /// The node is asked at least this often, in milliseconds.
    pub(crate) poll_ms: i64,
}

/// Everything in the file.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    /// Every chain, those without an endpoint too.
    pub(crate) catalogue: Catalogue,
    /// The Bitcoin chains that are followed.
    pub(crate) bitcoin: Vec<BitcoinEndpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetForm {
    symbol: String,
    decimals: u8,
    dust: String,
    slip44: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainForm {
    family: String,
    network: String,
    mode: String,
    caip2: String,
    url: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    cookie_file: Option<PathBuf>,
    #[serde(default = "yes")]
    rest: bool,
    #[serde(default = "poll_ms")]
    poll_ms: i64,
    finality: FinalityText,
    #[serde(default = "reorg_depth_max")]
    reorg_depth_max: u64,
    #[serde(default = "lag_ms_max")]
    lag_ms_max: i64,
    #[serde(default)]
    assets: Vec<AssetForm>,
}

fn yes() -> bool {
    true
}

fn poll_ms() -> i64 {
    1000
}

fn reorg_depth_max() -> u64 {
    100
}

fn lag_ms_max() -> i64 {
    7_200_000
}

/// Collects problems under one place.
struct Reader<'a> {
    place: String,
    folder: &'a Path,
    environment: &'a BTreeMap<String, String>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, key: &str, detail: impl Into<String>) {
        let place = format!("{}.{key}", self.place);
        self.problems.push(Problem {
            place,
            detail: detail.into(),
        });
    }

    /// Reads one chain; what is wrong with it goes to the problems.
    fn chain(
        &mut self,
        name: &str,
        form: ChainForm,
        chains: &mut Vec<ChainSpec>,
    ) -> Option<BitcoinEndpoint> {
        let chain: ChainName = match name.parse() {
            Ok(chain) => chain,
            Err(error) => {
                self.problem("name", format!("{error}"));
                return None;
            }
        };
        let mode = Mode::parse(&form.mode);
        if mode.is_none() {
            self.problem("mode", "must be \"live\" or \"test\"");
        }
        if Family::parse(&form.family) != Some(Family::Bitcoin) {
            self.problem(
                "family",
                "must be \"bitcoin\"; no other adapter is part of this version",
            );
            return None;
        }
        let network = bitcoin::Network::parse(&form.network);
        if network.is_none() {
            let known = "mainnet, testnet3, testnet4, signet, regtest";
            self.problem(
                "network",
                format!("{:?} is not one of {known}", form.network),
            );
        }
        let finality = self.finality(form.finality.clone(), Family::Bitcoin);
        let assets = self.assets(&chain, &form);
        let (mode, network, finality) = (mode?, network?, finality?);
        if network.caip2() != form.caip2 {
            self.problem(
                "caip2",
                format!("must be {:?} for this network", network.caip2()),
            );
        }
        let native = assets.iter().find(|asset| asset.kind == AssetKind::Native);
        let native = native.map(|asset| asset.name.clone());
        chains.push(ChainSpec {
            name: chain.clone(),
            caip2: form.caip2.as_str().into(),
            family: Family::Bitcoin,
            mode,
            enabled: form.url.is_some(),
            finality,
            reorg_depth_max: form.reorg_depth_max,
            lag_ms_max: form.lag_ms_max,
            assets,
        });
        let credentials = self.credentials(&form);
        let url = form.url?;
        Some(BitcoinEndpoint {
            config: bitcoin::Config {
                chain,
                network,
                asset: native?,
                url,
                credentials: credentials?,
                rest: form.rest,
            },
            poll_ms: form.poll_ms.max(50),
        })
    }

    /// What is final where no policy says otherwise.
    fn finality(&mut self, text: FinalityText, family: Family) -> Option<Finality> {
        let place = format!("{}.finality", self.place);
        let finality = text.read(&place, self.problems)?;
        let mut faults = finality.faults(Some(family));
        if faults.is_empty() && !finality.has_block_rule() {
            faults.push(FinalityFault {
                alternative: None,
                error: FinalityError::NeedsBlock,
            });
        }
        for fault in &faults {
            note_fault(&place, fault, self.problems);
        }
        Some(finality)
    }

    fn assets(&mut self, chain: &ChainName, form: &ChainForm) -> Vec<Asset> {
        if form.assets.len() != 1 {
            self.problem("assets", "a Bitcoin chain has exactly one asset, its coin");
        }
        let mut assets = Vec::new();
        for asset in &form.assets {
            let name = AssetName::new(&asset.symbol, chain.clone());
            let dust = Amount::parse_atomic(&asset.dust);
            match (name, dust) {
                (Ok(name), Ok(dust)) => assets.push(Asset {
                    name,
                    kind: AssetKind::Native,
                    decimals: asset.decimals,
                    dust,
                    caip19: format!("{}/slip44:{}", form.caip2, asset.slip44).into(),
                }),
                (Err(error), _) => self.problem("assets.symbol", format!("{error}")),
                (_, Err(error)) => self.problem("assets.dust", format!("{error}")),
            }
        }
        assets
    }

    fn credentials(&mut self, form: &ChainForm) -> Option<bitcoin::Credentials> {
        if let Some(file) = &form.cookie_file {
            return Some(bitcoin::Credentials::CookieFile(self.folder.join(file)));
        }
        let Some(user) = form.user.clone() else {
            return Some(bitcoin::Credentials::None);
        };
        let password = match (&form.password_file, &form.password_env) {
            (Some(file), _) => match std::fs::read_to_string(self.folder.join(file)) {
                Ok(text) => text.trim_end().to_owned(),
                Err(error) => {
                    self.problem(
                        "password_file",
                        format!("{} cannot be read: {error}", file.display()),
                    );
                    return None;
                }
            },
            (None, Some(variable)) => match self.environment.get(variable) {
                Some(text) => text.clone(),
                None => {
                    self.problem(
                        "password_env",
                        format!("the variable {variable} is not set"),
                    );
                    return None;
                }
            },
            (None, None) => {
                self.problem("user", "needs a password_file or a password_env beside it");
                return None;
            }
        };
        Some(bitcoin::Credentials::User { user, password })
    }
}

/// Reads the file with the chains; problems are collected.
pub(super) fn load(
    file: &Path,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Chains {
    let place = file.display().to_string();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let detail = format!("cannot be read: {error}; `paywatch init` writes one");
            problems.push(Problem { place, detail });
            return Chains::default();
        }
    };
    let mut table = super::merge::parse(&text, &place, problems);
    let chains = match table.remove("chains") {
        Some(Value::Table(chains)) => chains,
        Some(_) | None => Table::new(),
    };
    for key in table.keys() {
        let detail = "is not a known key; chains stand in [chains.NAME]".to_owned();
        problems.push(Problem {
            place: format!("{place}: {key}"),
            detail,
        });
    }
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let mut specs = Vec::new();
    let mut bitcoin = Vec::new();
    for (name, value) in chains {
        let place = format!("{place}: chains.{name}");
        match value.try_into::<ChainForm>() {
            Ok(form) => {
                let mut reader = Reader {
                    place,
                    folder,
                    environment,
                    problems,
                };
                bitcoin.extend(reader.chain(&name, form, &mut specs));
            }
            Err(error) => {
                let detail = error.to_string().trim_end().replace('\n', "; ");
                problems.push(Problem { place, detail });
            }
        }
    }
    Chains {
        catalogue: Catalogue::new(specs),
        bitcoin,
    }
}
