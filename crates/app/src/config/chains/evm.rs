//! What only EVM chains have in `chains.toml`.

use std::collections::BTreeSet;

use paywatch_chain_evm::{
    Assets, Config, ReceiptCheck, Rules, TraceKind, TransactionCheck, WithdrawalCheck,
};
use paywatch_domain::{Asset, BlockHash, ChainName, Mark};
use serde::Deserialize;

use super::endpoint::Reached;
use super::{ChainForm, Reader};

/// What is peculiar to an EVM chain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    pub(super) chain_id: u64,
    genesis: Option<String>,
    #[serde(default)]
    tags: BTreeSet<Tag>,
    #[serde(default)]
    transactions: Transactions,
    #[serde(default)]
    receipts: Receipts,
    #[serde(default)]
    withdrawals: Withdrawals,
    #[serde(default)]
    native_logs: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Tag {
    Safe,
    Finalized,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transactions {
    #[default]
    Root,
    Hash,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Receipts {
    #[default]
    Root,
    Bloom,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Withdrawals {
    #[default]
    Root,
    None,
}

impl Form {
    fn marks(&self) -> BTreeSet<Mark> {
        let mark = |tag: &Tag| match tag {
            Tag::Safe => Mark::Safe,
            Tag::Finalized => Mark::Finalized,
        };
        self.tags.iter().map(mark).collect()
    }

    fn rules(&self) -> Rules {
        Rules {
            transactions: match self.transactions {
                Transactions::Root => TransactionCheck::Root,
                Transactions::Hash => TransactionCheck::Hash,
            },
            receipts: match self.receipts {
                Receipts::Root => ReceiptCheck::Root,
                Receipts::Bloom => ReceiptCheck::Bloom,
            },
            withdrawals: match self.withdrawals {
                Withdrawals::Root => WithdrawalCheck::Root,
                Withdrawals::None => WithdrawalCheck::None,
            },
            native_logs: self.native_logs,
        }
    }
}

impl Reader<'_> {
    /// What is peculiar to the chain; its chain id must be that of its CAIP-2 id.
    pub(super) fn evm_form<'a>(&mut self, form: &'a ChainForm) -> Option<&'a Form> {
        for (key, is_given) in [
            ("network", form.network.is_some()),
            ("rest", form.rest.is_some()),
        ] {
            if is_given {
                self.problem(key, "belongs to chains of the family \"bitcoin\"");
            }
        }
        let Some(evm) = &form.evm else {
            self.problem("evm", "is missing; it holds the chain_id at least");
            return None;
        };
        let caip2 = format!("eip155:{}", evm.chain_id);
        if caip2 != form.caip2 {
            self.problem("caip2", format!("must be {caip2:?} for this evm.chain_id"));
        }
        let genesis = evm.genesis.as_deref();
        if genesis.is_some_and(|genesis| !is_hash(genesis)) {
            let detail = "must be the hash of block 0: 0x and 64 small hexadecimal digits";
            self.problem("evm.genesis", detail);
        }
        Some(evm)
    }

    /// What the adapter needs for each endpoint.
    pub(super) fn evm_configs(
        &mut self,
        chain: &ChainName,
        form: Option<&Form>,
        assets: &[Asset],
        endpoints: &[Reached],
    ) -> Option<Vec<Config>> {
        let form = form?;
        let assets = Assets::new(assets)
            .map_err(|error| self.problem("assets", error.to_string()))
            .ok()?;
        let configs = endpoints.iter().map(|endpoint| Config {
            chain: chain.clone(),
            chain_id: form.chain_id,
            genesis: form.genesis.as_deref().map(BlockHash::new),
            assets: assets.clone(),
            rules: form.rules(),
            marks: form.marks(),
            url: endpoint.url.clone(),
            websocket: endpoint.websocket.clone(),
            credentials: endpoint.credentials.clone(),
            budget: endpoint.budget.clone(),
            traces: TraceKind::ALL.into(),
        });
        Some(configs.collect())
    }
}

/// The canonical text of a token's contract.
pub(super) fn contract(text: &str) -> Result<String, String> {
    let address = paywatch_chain_evm::address::parse_address(text);
    let address = address.map_err(|error| error.to_string())?;
    Ok(paywatch_chain_evm::address::address_text(address))
}

fn is_hash(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(is_digit))
}
