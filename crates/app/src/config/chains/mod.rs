//! What stands in `chains.toml`.

mod assets;
mod bitcoin;
mod endpoint;
mod evm;
mod solana;

use std::collections::BTreeMap;
use std::path::Path;

use paywatch_chain_bitcoin::Network;
use paywatch_domain::{
    Catalogue, ChainName, ChainSpec, Family, Finality, FinalityError, FinalityFault, Mode,
};
use serde::Deserialize;
use toml::{Table, Value};

use super::Problem;
use super::settings::{FinalityText, note_fault};
use assets::AssetForm;
use endpoint::{EndpointForm, Reached};

/// The shortest time between two polls, in milliseconds.
const POLL_MS_MIN: i64 = 50;

/// A chain that is followed: through which endpoints, and how.
#[derive(Debug)]
pub(crate) struct Followed {
    /// Which chain.
    pub(crate) chain: ChainName,
    /// Its nodes are asked at least this often, in milliseconds.
    pub(crate) poll_ms: i64,
    /// So many endpoints must have a block on their chain before it is read.
    pub(crate) agree: usize,
    /// What the adapter of its family needs for each endpoint.
    pub(crate) endpoints: Endpoints,
}

/// Endpoints by family.
#[derive(Debug)]
pub(crate) enum Endpoints {
    /// Of a Bitcoin chain.
    Bitcoin(Vec<paywatch_chain_bitcoin::Config>),
    /// Of an EVM chain.
    Evm(Vec<paywatch_chain_evm::Config>),
    /// Of a Solana cluster.
    Solana(Vec<paywatch_chain_solana::Config>),
}

/// Everything in the file.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    /// Every chain, those without an endpoint too.
    pub(crate) catalogue: Catalogue,
    /// The network of each Bitcoin chain.
    pub(crate) networks: BTreeMap<ChainName, Network>,
    /// The chain id of each EVM chain (EIP-155).
    pub(crate) chain_ids: BTreeMap<ChainName, u64>,
    /// The chains that are followed.
    pub(crate) followed: Vec<Followed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainForm {
    family: String,
    mode: String,
    caip2: String,
    /// Bitcoin.
    network: Option<String>,
    /// Bitcoin.
    rest: Option<bool>,
    /// EVM.
    evm: Option<evm::Form>,
    #[serde(default)]
    endpoints: Vec<EndpointForm>,
    #[serde(default = "one")]
    agree: usize,
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

fn one() -> usize {
    1
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
    fn chain(&mut self, name: &str, form: &ChainForm, chains: &mut Chains) -> Option<ChainSpec> {
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
        let family = Family::parse(&form.family);
        if family.is_none() {
            self.problem("family", "must be \"bitcoin\", \"evm\" or \"solana\"");
        }
        let family = family?;
        let finality = self.finality(form.finality.clone(), family);
        let assets = self.assets(&chain, family, form);
        let reached = self.endpoints(&form.endpoints);
        if !form.endpoints.is_empty() && !(1..=form.endpoints.len()).contains(&form.agree) {
            let count = form.endpoints.len();
            self.problem(
                "agree",
                format!("must be from 1 to {count}, the number of endpoints"),
            );
        }
        let endpoints = match family {
            Family::Bitcoin => {
                let network = self.network(form);
                chains
                    .networks
                    .extend(network.map(|network| (chain.clone(), network)));
                let configs = bitcoin::configs(&chain, form, network, &assets, &reached);
                configs.map(Endpoints::Bitcoin)
            }
            Family::Evm => {
                let rules = self.evm_form(form);
                let chain_id = rules.map(|rules| rules.chain_id);
                chains
                    .chain_ids
                    .extend(chain_id.map(|id| (chain.clone(), id)));
                let configs = self.evm_configs(&chain, rules, &assets, &reached);
                configs.map(Endpoints::Evm)
            }
            Family::Solana => {
                let configs = self.solana_configs(&chain, form, &assets, &reached);
                configs.map(Endpoints::Solana)
            }
        };
        if let Some(endpoints) = endpoints.filter(|_| !form.endpoints.is_empty()) {
            chains.followed.push(Followed {
                chain: chain.clone(),
                poll_ms: form.poll_ms.max(POLL_MS_MIN),
                agree: form.agree,
                endpoints,
            });
        }
        Some(ChainSpec {
            name: chain,
            caip2: form.caip2.as_str().into(),
            family,
            mode: mode?,
            enabled: !form.endpoints.is_empty(),
            finality: finality?,
            reorg_depth_max: form.reorg_depth_max,
            lag_ms_max: form.lag_ms_max,
            assets,
        })
    }

    /// Where the chain's nodes are; those about which something is wrong are left out.
    fn endpoints(&mut self, forms: &[EndpointForm]) -> Vec<Reached> {
        let mut reached = Vec::new();
        for (number, form) in forms.iter().enumerate() {
            reached.extend(self.endpoint(number, form));
        }
        reached
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
    let forms = match table.remove("chains") {
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
    let (mut chains, mut specs) = (Chains::default(), Vec::new());
    for (name, value) in forms {
        let mut reader = Reader {
            place: format!("{place}: chains.{name}"),
            folder,
            environment,
            problems,
        };
        if let Some(form) = reader.form(value) {
            specs.extend(reader.chain(&name, &form, &mut chains));
        }
    }
    chains.catalogue = Catalogue::new(specs);
    chains
}

impl Reader<'_> {
    /// The chain as it is written. A chain with one endpoint may have the keys of it among its own.
    fn form(&mut self, value: Value) -> Option<ChainForm> {
        let Value::Table(mut table) = value else {
            self.problem("", "must be a table");
            return None;
        };
        let own: Table = endpoint::KEYS
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), table.remove(*key)?)))
            .collect();
        let form: Option<ChainForm> = self.typed("", Value::Table(table));
        let mut form = form?;
        if own.is_empty() {
            return Some(form);
        }
        if !form.endpoints.is_empty() {
            let detail = "stands beside `endpoints`; put it into one of them";
            let keys: Vec<String> = own.keys().cloned().collect();
            self.problem(&keys.join(", "), detail);
        }
        let one: Option<EndpointForm> = self.typed("", Value::Table(own));
        form.endpoints.extend(one);
        Some(form)
    }

    fn typed<T: for<'de> Deserialize<'de>>(&mut self, key: &str, value: Value) -> Option<T> {
        match value.try_into() {
            Ok(form) => Some(form),
            Err(error) => {
                let detail = error.to_string().trim_end().replace('\n', "; ");
                let place = format!("{}{key}", self.place);
                self.problems.push(Problem { place, detail });
                None
            }
        }
    }
}
