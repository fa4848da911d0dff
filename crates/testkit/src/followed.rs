//! A chain as a watcher's `chains.toml` has it.

use crate::{Anvil, Bitcoind, Surfnet, WatcherOptions};

/// A chain that the watcher follows.
#[derive(Clone, Debug)]
pub struct FollowedChain {
    /// Its name in the configuration.
    pub name: String,
    /// The addresses of its endpoints.
    urls: Vec<String>,
    agree: usize,
    login: Option<(String, String)>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Bitcoin,
    /// A chain with tokens.
    Accounts {
        /// What only its family has.
        keys: String,
        coin: &'static str,
        websocket: Option<String>,
        finality: Option<String>,
        tokens: Vec<Token>,
    },
}

#[derive(Clone, Debug)]
struct Token {
    symbol: String,
    decimals: u8,
    contract: String,
    /// What its mint may do, on Solana.
    allow: Vec<String>,
}

impl FollowedChain {
    /// The chain of a Bitcoin node (regtest).
    pub fn bitcoin(name: &str, node: &Bitcoind) -> Self {
        Self {
            name: name.into(),
            urls: vec![node.url()],
            agree: 1,
            login: Some((node.user().to_owned(), node.password().to_owned())),
            kind: Kind::Bitcoin,
        }
    }

    /// The chain of an EVM node. Its coin is called `eth`.
    pub fn evm(name: &str, node: &Anvil) -> Self {
        Self {
            name: name.into(),
            urls: vec![node.url()],
            agree: 1,
            login: None,
            kind: Kind::Accounts {
                keys: evm_keys(node.chain_id()),
                coin: ETH,
                websocket: Some(node.websocket_url()),
                finality: None,
                tokens: Vec::new(),
            },
        }
    }

    /// The chain of a Solana node. Its coin is called `sol`.
    pub fn solana(name: &str, node: &Surfnet) -> Self {
        Self::solana_at(name, &node.url(), Some(node.websocket_url()))
    }

    /// The chain of whatever speaks as a Solana node does at an address.
    pub fn solana_at(name: &str, url: &str, websocket: Option<String>) -> Self {
        Self {
            name: name.into(),
            urls: vec![url.to_owned()],
            agree: 1,
            login: None,
            kind: Kind::Accounts {
                keys: SOLANA.into(),
                coin: SOL,
                websocket,
                finality: None,
                tokens: Vec::new(),
            },
        }
    }

    /// The same as a cluster with another CAIP-2 id; nothing changes for chains of other families.
    #[must_use]
    pub fn of_cluster(mut self, id: &str) -> Self {
        if let Kind::Accounts { keys, .. } = &mut self.kind {
            *keys = keys.replace("solana:surfpool", id);
        }
        self
    }

    /// The same through another address, such as a relay's.
    #[must_use]
    pub fn through(self, url: &str) -> Self {
        let urls = vec![url.to_owned()];
        Self { urls, ..self }
    }

    /// The same with a further endpoint; so many of them all have to agree.
    #[must_use]
    pub fn and(mut self, url: &str, agree: usize) -> Self {
        self.urls.push(url.to_owned());
        Self { agree, ..self }
    }

    /// The same with a token; nothing changes for a chain that has none.
    #[must_use]
    pub fn with_token(self, symbol: &str, decimals: u8, contract: &str) -> Self {
        self.with_token_that_may(symbol, decimals, contract, &[])
    }

    /// The same with a token whose mint may do these things, by their names in `allow`.
    #[must_use]
    pub fn with_token_that_may(
        mut self,
        symbol: &str,
        decimals: u8,
        contract: &str,
        allow: &[&str],
    ) -> Self {
        if let Kind::Accounts { tokens, .. } = &mut self.kind {
            tokens.push(Token {
                symbol: symbol.into(),
                decimals,
                contract: contract.into(),
                allow: allow.iter().map(|&word| word.to_owned()).collect(),
            });
        }
        self
    }

    /// The same with a finality of its own, as `chains.toml` has it; nothing changes for Bitcoin.
    #[must_use]
    pub fn final_by(mut self, rule: &str) -> Self {
        if let Kind::Accounts { finality, .. } = &mut self.kind {
            *finality = Some(rule.into());
        }
        self
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.login.as_ref().map(|(_, password)| password.as_str())
    }

    pub(crate) fn password_file(&self) -> String {
        format!("{}.password", self.name)
    }

    /// Its section of `chains.toml`.
    pub(crate) fn section(&self, options: &WatcherOptions) -> String {
        let depth = format!("{{ depth = {} }}", options.depth);
        let (own, finality) = match &self.kind {
            Kind::Bitcoin => (BITCOIN.to_owned(), depth),
            Kind::Accounts { finality, .. } => {
                (self.account_keys(), finality.clone().unwrap_or(depth))
            }
        };
        format!(
            r#"[chains.{}]
mode = "test"
{own}agree = {}
endpoints = [{}]
poll_ms = {}
finality = {finality}
reorg_depth_max = {}
lag_ms_max = {}
"#,
            self.name,
            self.agree,
            self.endpoints(),
            options.poll_ms,
            options.reorg_depth_max,
            options.lag_ms_max,
        )
    }

    fn endpoints(&self) -> String {
        let websocket = match &self.kind {
            Kind::Accounts { websocket, .. } => websocket.as_deref(),
            Kind::Bitcoin => None,
        };
        let login = self.login.as_ref().map_or_else(String::new, |(user, _)| {
            let file = self.password_file();
            format!(r#", user = "{user}", password_file = "{file}""#)
        });
        let mut heard = websocket.map_or_else(String::new, |websocket| {
            format!(r#", websocket = "{websocket}""#)
        });
        let endpoints = self.urls.iter().map(|url| {
            // The first one alone tells of new blocks.
            let heard = std::mem::take(&mut heard);
            format!(r#"{{ url = "{url}"{login}{heard} }}"#)
        });
        endpoints.collect::<Vec<_>>().join(", ")
    }

    fn account_keys(&self) -> String {
        let Kind::Accounts {
            keys, coin, tokens, ..
        } = &self.kind
        else {
            return String::new();
        };
        let mut assets = vec![(*coin).to_owned()];
        assets.extend(tokens.iter().map(Token::entry));
        format!("{keys}assets = [{}]\n", assets.join(", "))
    }
}

impl Token {
    /// Its entry in `assets`.
    fn entry(&self) -> String {
        let Self {
            symbol,
            decimals,
            contract,
            allow,
        } = self;
        let allow = if allow.is_empty() {
            String::new()
        } else {
            format!(", allow = {allow:?}")
        };
        format!(
            r#"{{ symbol = "{symbol}", decimals = {decimals}, dust = "100", contract = "{contract}"{allow} }}"#
        )
    }
}

fn evm_keys(chain_id: u64) -> String {
    format!(
        r#"family = "evm"
caip2 = "eip155:{chain_id}"
evm.chain_id = {chain_id}
evm.tags = ["safe", "finalized"]
"#
    )
}

const ETH: &str = r#"{ symbol = "eth", decimals = 18, dust = "1000000000", slip44 = 1 }"#;
const SOL: &str = r#"{ symbol = "sol", decimals = 9, dust = "1000", slip44 = 1 }"#;

/// What is the same for every Solana chain of tests.
const SOLANA: &str = r#"family = "solana"
caip2 = "solana:surfpool"
"#;

/// What is the same for every Bitcoin chain of tests.
const BITCOIN: &str = r#"family = "bitcoin"
network = "regtest"
caip2 = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
rest = true
assets = [{ symbol = "btc", decimals = 8, dust = "546", slip44 = 1 }]
"#;
