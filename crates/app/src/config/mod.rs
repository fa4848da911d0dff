//! Configuration: the compiled-in defaults, a file, the environment; all problems at once.

mod chains;
mod merge;
mod policies;
mod rates;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use paywatch_chain_bitcoin::Network;
use paywatch_domain::{Catalogue, ChainName, Policy};

pub(crate) use chains::{Chains, Endpoints, Followed};
pub(crate) use rates::RateSettings;
pub(crate) use settings::{LogFormat, Settings};

/// The commented defaults, which `init` writes out.
pub(crate) const DEFAULT_SETTINGS: &str = include_str!("../../../../paywatch.default.toml");
/// The chains that paywatch knows, which `init` writes out.
pub(crate) const DEFAULT_CHAINS: &str = include_str!("../../../../chains.toml");
/// The file that is read when no other is named.
pub(crate) const FILE: &str = "paywatch.toml";

/// One thing that is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// File and key, or the environment variable.
    pub(crate) place: String,
    /// What is wrong and what to do.
    pub(crate) detail: String,
}

/// Everything that is wrong with the configuration.
#[derive(Debug)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used:")?;
        for problem in &self.0 {
            write!(f, "\n  {}: {}", problem.place, problem.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A configuration that was read and found good.
#[derive(Debug)]
pub(crate) struct Config {
    /// What stands in `paywatch.toml`.
    pub(crate) settings: Settings,
    /// Chains and assets, those without an endpoint too.
    pub(crate) catalogue: Catalogue,
    /// The network of each Bitcoin chain.
    pub(crate) networks: BTreeMap<ChainName, Network>,
    /// The chain id of each EVM chain (EIP-155).
    pub(crate) chain_ids: BTreeMap<ChainName, u64>,
    /// The chains that are followed, with their endpoints.
    pub(crate) followed: Vec<Followed>,
    /// Policies by name.
    pub(crate) policies: BTreeMap<String, Policy>,
    /// Who says what assets are worth.
    pub(crate) rates: RateSettings,
}

/// Reads the configuration. `file` is what the command line names; a missing default file means the
/// defaults alone.
pub(crate) fn load(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Config, Problems> {
    let path = file.map_or_else(|| PathBuf::from(FILE), Path::to_owned);
    let mut problems = Vec::new();
    let mut table = merge::parse(DEFAULT_SETTINGS, "built-in defaults", &mut problems);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let place = path.display().to_string();
            let own = merge::parse(&text, &place, &mut problems);
            merge::overlay(&mut table, own, &place, &mut problems);
        }
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => problems.push(Problem {
            place: path.display().to_string(),
            detail: format!("cannot be read: {error}; `paywatch init` writes a commented one"),
        }),
    }
    merge::environment(&mut table, environment, &mut problems);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let settings = settings::read(&table, folder, environment, &mut problems);
    // Read even when other settings are wrong, so that all problems are said at once.
    let chains = match settings::chains_file(&table, folder, &mut problems) {
        Some(file) => chains::load(&file, environment, &mut problems),
        None => Chains::default(),
    };
    let policies = policies::policies(&table, &chains.catalogue, &mut problems);
    let rates = rates::read(
        &table,
        folder,
        environment,
        &chains.catalogue,
        &mut problems,
    );
    match settings {
        Some(settings) if problems.is_empty() => Ok(Config {
            settings,
            catalogue: chains.catalogue,
            networks: chains.networks,
            chain_ids: chains.chain_ids,
            followed: chains.followed,
            policies,
            rates,
        }),
        Some(_) | None => Err(Problems(problems)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(settings: &str, chains: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, settings).unwrap();
        std::fs::write(folder.path().join("chains.toml"), chains).unwrap();
        std::fs::write(folder.path().join("master.key"), "ab".repeat(32)).unwrap();
        (folder, file)
    }

    #[test]
    fn the_shipped_files_are_good_and_name_no_node() {
        let (_folder, file) = written(DEFAULT_SETTINGS, DEFAULT_CHAINS);
        let config = load(Some(&file), &BTreeMap::new()).unwrap();
        assert_eq!(config.followed.len(), 0);
        assert_eq!(config.catalogue.chains().count(), 14);
        assert!(config.policies.contains_key("default"));
        assert_eq!(config.settings.server.listen.port(), 8080);
    }

    #[test]
    fn all_problems_are_said_at_once() {
        let settings = "colour = 1\n[server]\nlisten = \"nowhere\"\nport = 1\n[webhooks]\ntimeout_ms = \"soon\"\n\
                        [policies.slow]\nchains = { dogecoin = { depth = 3 } }\n";
        let chains = "[chains.bitcoin]\nfamily = \"bitcoin\"\nnetwork = \"mainet\"\nmode = \"live\"\n\
                      caip2 = \"x\"\nfinality = { depth = 0 }\n";
        let (_folder, file) = written(settings, chains);
        let Problems(problems) = load(Some(&file), &BTreeMap::new()).unwrap_err();
        let said = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.detail));
        let said = said.collect::<Vec<_>>().join("\n");
        for needle in [
            "colour",
            "server.port",
            "server.listen",
            "webhooks.timeout_ms",
            "dogecoin",
            "mainet",
        ] {
            assert!(said.contains(needle), "{needle} is missing in\n{said}");
        }
    }

    #[test]
    fn a_policy_has_tiers_or_says_the_same_for_every_amount() {
        let settings = concat!(
            "[policies.careful]\n",
            "tiers = [\n",
            "  { up_to = { amount = \"100.00\", currency = \"USD\" }, chains = { bitcoin = { depth = 1 } } },\n",
            "  { chains = { bitcoin = { depth = 3 } } },\n",
            "]\n",
            "[policies.plain]\n",
            "assets = { \"btc@bitcoin\" = { depth = 6 } }\n",
        );
        let (_folder, file) = written(settings, DEFAULT_CHAINS);
        let config = load(Some(&file), &BTreeMap::new()).unwrap();
        let careful = &config.policies["careful"];
        let limit = careful.tiers[0].up_to.as_ref().unwrap();
        assert_eq!((&*limit.amount, &*limit.currency), ("100.00", "USD"));
        assert_eq!(
            (careful.tiers.len(), config.policies["plain"].tiers.len()),
            (2, 1)
        );

        let settings = concat!(
            "[policies.endless]\n",
            "tiers = [{ up_to = { amount = \"1\", currency = \"USD\" }, chains = { bitcoin = { depth = 1 } } }]\n",
            "[policies.both]\n",
            "chains = { bitcoin = { depth = 1 } }\n",
            "tiers = [{ chains = { bitcoin = { depth = 0 } } }]\n",
        );
        let (_folder, file) = written(settings, DEFAULT_CHAINS);
        let Problems(problems) = load(Some(&file), &BTreeMap::new()).unwrap_err();
        let places: Vec<&str> = problems.iter().map(|problem| &*problem.place).collect();
        assert_eq!(
            places,
            ["policies.both", "policies.endless.tiers[0]"],
            "{problems:?}"
        );
    }

    #[test]
    fn every_finality_that_cannot_be_is_said_at_once() {
        let settings = concat!(
            "[policies.wrong.chains]\n",
            "bitcoin = { tag = \"safe\" }\n",
            "bitcoin-testnet4 = { any = [{ depth = 1 }, { commitment = \"finalized\" }] }\n",
            "bitcoin-signet = { any = [] }\n",
            "bitcoin-regtest = { colour = \"red\" }\n",
            "[policies.tiered]\n",
            "tiers = [\n",
            "  { up_to = { amount = \"9\", currency = \"USD\" }, assets = { \"btc@bitcoin\" = { unconfirmed = { max = { amount = \"9\", currency = \"EUR\" } } } } },\n",
            "  { chains = { bitcoin = { depth = 0 } } },\n",
            "]\n",
        );
        let unconfirmed = "{ unconfirmed = { max = { amount = \"9\", currency = \"USD\" } } }";
        let chains = DEFAULT_CHAINS.replacen("{ depth = 2 }", unconfirmed, 1);
        let (_folder, file) = written(settings, &chains);
        let Problems(problems) = load(Some(&file), &BTreeMap::new()).unwrap_err();
        let said = |problem: &Problem| format!("{}: {}", problem.place, problem.detail);
        let said: Vec<String> = problems.iter().map(said).collect();
        let expected = [
            ("chains.bitcoin.finality", "finality_needs_block"),
            (
                "policies.tiered.tiers[0].assets.btc@bitcoin",
                "finality_cap_not_comparable",
            ),
            (
                "policies.tiered.tiers[1].chains.bitcoin",
                "finality_depth_invalid",
            ),
            ("policies.wrong.chains.bitcoin:", "finality_tag_unsupported"),
            (
                "policies.wrong.chains.bitcoin-testnet4.any[1]",
                "finality_commitment_unsupported",
            ),
            ("policies.wrong.chains.bitcoin-signet", "finality_any_empty"),
            (
                "policies.wrong.chains.bitcoin-regtest",
                "it is one of { depth = 3 }",
            ),
        ];
        for (place, detail) in expected {
            let is_said = |one: &String| one.contains(place) && one.contains(detail);
            assert!(
                said.iter().any(is_said),
                "{place} {detail} is missing in {said:#?}"
            );
        }
        // The chain whose own rule cannot be is still known to the policies.
        assert_eq!(said.len(), expected.len(), "{said:#?}");
    }

    #[test]
    fn every_kind_of_finality_is_read() {
        let settings = concat!(
            "[policies.cafe.chains]\n",
            "bitcoin = { any = [{ unconfirmed = { max = { amount = \"20.00\", currency = \"USD\" }, seen_s = 15 } }, { depth = 1 }] }\n",
        );
        let chains = DEFAULT_CHAINS.replacen(
            "{ depth = 2 }",
            "{ any = [{ unconfirmed = { max = { amount = \"0.0005\", currency = \"BTC\" } } }, { depth = 2 }] }",
            1,
        );
        let (_folder, file) = written(settings, &chains);
        let config = load(Some(&file), &BTreeMap::new()).unwrap();
        let cafe = config.policies["cafe"].tiers[0].chains.values().next();
        assert_eq!(cafe.unwrap().unconfirmed().unwrap().seen_s, 15);
        let bitcoin = config.catalogue.chain(&"bitcoin".parse().unwrap()).unwrap();
        assert_eq!(
            bitcoin.finality.unconfirmed().unwrap().seen_s,
            30,
            "by default"
        );
    }

    #[test]
    fn rates_come_from_tables_and_from_sources_with_secrets_by_file_or_environment() {
        let settings = concat!(
            "[rates]\nrefresh_s = 10\nspread_percent = \"1.5\"\n",
            "[rates.sources.fixed]\ntable = { \"usdc/USD\" = \"1\", \"btc/JPY\" = \"9800000\" }\n",
            "[rates.sources.bourse]\nurl = \"https://rates.example/all\"\n",
            "pointers = { \"btc/USD\" = \"/btc/usd\", \"eth/BTC\" = \"/eth/btc\" }\n",
            "times = { \"btc/USD\" = \"/btc/at\" }\n",
            "headers = { x-key = { env = \"BOURSE_KEY\" }, x-other = { file = \"other.key\" } }\n",
        );
        let (folder, file) = written(settings, DEFAULT_CHAINS);
        std::fs::write(folder.path().join("other.key"), "hidden-file\n").unwrap();
        let environment = BTreeMap::from([("BOURSE_KEY".to_owned(), "hidden-variable".to_owned())]);
        let config = load(Some(&file), &environment).unwrap();
        let plan = &config.rates.plan;
        assert_eq!(plan.rules.spread_millionths, 15_000);
        assert_eq!(
            (config.rates.refresh_ms, plan.rules.stale_after_ms),
            (10_000, 300_000)
        );
        let pairs: Vec<String> = plan.pairs.keys().map(ToString::to_string).collect();
        assert_eq!(pairs, ["btc/JPY", "btc/USD", "eth/BTC", "usdc/USD"]);
        let source = &config.rates.sources[0];
        assert_eq!((source.pointers.len(), source.times.len()), (2, 1));
        assert_eq!(source.headers["x-key"], "hidden-variable");
        assert_eq!(source.headers["x-other"], "hidden-file");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hidden-"), "secrets are never printed");
        assert!(!shown.contains("rates.example"), "an address may hold one");
    }

    #[test]
    fn every_source_of_rates_that_cannot_be_is_said_at_once() {
        let settings = concat!(
            "[rates]\nrefresh_s = 300\nmove_percent = \"a lot\"\n",
            "[rates.sources.both]\nurl = \"https://a.example\"\ntable = { \"btc/USD\" = \"1\" }\n",
            "[rates.sources.doge]\ntable = { \"doge/USD\" = \"1\", \"btc/ABC\" = \"1\", \"btc/EUR\" = \"0\", \"btc\" = \"1\" }\n",
            "[rates.sources.float]\ntable = { \"btc/USD\" = 64987.5 }\n",
            "[rates.sources.plain]\nurl = \"http://a.example\"\npointers = { \"btc/USD\" = \"/a\" }\n",
            "times = { \"btc/EUR\" = \"/t\", \"btc/USD\" = \"t\" }\n",
            "[rates.sources.inside]\nurl = \"https://10.0.0.1/a\"\npointers = { \"btc/USD\" = \"a\" }\n",
            "[rates.sources.lost]\nurl = { env = \"NOT_SET\" }\npointers = {}\n",
        );
        let (_folder, file) = written(settings, DEFAULT_CHAINS);
        let Problems(problems) = load(Some(&file), &BTreeMap::new()).unwrap_err();
        let places: Vec<&str> = problems.iter().map(|problem| &*problem.place).collect();
        let expected = [
            "rates.stale_after_s",
            "rates.move_percent",
            "rates.sources.both.form",
            "rates.sources.doge.table.btc",
            "rates.sources.doge.table.btc/ABC",
            "rates.sources.doge.table.btc/EUR",
            "rates.sources.doge.table.doge/USD",
            "rates.sources.float.form",
            "rates.sources.inside.pointers.btc/USD",
            "rates.sources.inside.url",
            "rates.sources.lost.pointers",
            "rates.sources.lost.url",
            "rates.sources.plain.times.btc/EUR",
            "rates.sources.plain.times.btc/USD",
            "rates.sources.plain.url",
        ];
        assert_eq!(places, expected, "{problems:#?}");
    }

    #[test]
    fn the_environment_comes_on_top_and_secrets_come_from_there_or_from_files() {
        let (_folder, file) = written("", DEFAULT_CHAINS);
        let environment = BTreeMap::from([
            (
                "PAYWATCH__SERVER__LISTEN".to_owned(),
                "127.0.0.1:9999".to_owned(),
            ),
            (
                "PAYWATCH__WEBHOOKS__SCHEDULE_S".to_owned(),
                "[0, 1]".to_owned(),
            ),
            ("PAYWATCH_MASTER_KEY".to_owned(), "cd".repeat(32)),
        ]);
        let config = load(Some(&file), &environment).unwrap();
        assert_eq!(config.settings.server.listen.port(), 9999);
        assert_eq!(config.settings.webhooks.schedule_s, vec![0, 1]);
        assert!(
            !format!("{config:?}").contains(&"cd".repeat(32)),
            "secrets are never printed"
        );
        let wrong = BTreeMap::from([("PAYWATCH__SERVER__LISTN".to_owned(), "x".to_owned())]);
        let Problems(problems) = load(Some(&file), &wrong).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}
