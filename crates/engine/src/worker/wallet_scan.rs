//! Which of a wallet's keys were ever paid.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywatch_chain::{Block, Derivation, KeyError, WatchTable};
use paywatch_domain::{ChainName, MerchantId, Mode, Task, WalletId, limits};
use paywatch_store::requests::Request;
use paywatch_store::wallets::{self, Wallet};
use paywatch_store::{MerchantKey, WalletKey};

use super::{Fault, Parts};
use crate::seal::WalletFields;
use crate::units::Used;

/// The keys of a wallet from where it begins, or goes on, to some way beyond the highest one that was paid.
pub(super) struct WalletScan {
    derivation: Arc<dyn Derivation>,
    chain: ChainName,
    canonical: String,
    wallet: WalletKey,
    /// The node whose children the keys are.
    node: String,
    /// The wallet's first index.
    first: u32,
    table: WatchTable,
    indexes: BTreeMap<Vec<u8>, u32>,
    /// The lowest index that is not in the table.
    next: u32,
    /// The highest index that was paid.
    highest: Option<u32>,
}

impl WalletScan {
    /// What a request scans for; `None` when that is no wallet. Answers a sentence when it cannot be done.
    pub(super) async fn of(
        parts: &mut Parts,
        request: &Request,
    ) -> Result<Result<Option<Self>, String>, Fault> {
        let Task::WalletScan {
            merchant, wallet, ..
        } = &request.task
        else {
            return Ok(Ok(None));
        };
        let findings = request.progress.findings.unwrap_or_default();
        let known = findings.highest_index;
        let scan = Self::open(parts, request.merchant, *merchant, *wallet, known).await?;
        Ok(scan.map(Some))
    }

    /// Looks for a wallet's keys, from what an earlier process has found. Answers a sentence when that
    /// cannot be done.
    async fn open(
        parts: &mut Parts,
        merchant: Option<MerchantKey>,
        owner: MerchantId,
        id: WalletId,
        highest: Option<u32>,
    ) -> Result<Result<Self, String>, Fault> {
        let Some(merchant) = merchant else {
            return Ok(Err("it names no merchant".into()));
        };
        let mut conn = parts.store.read().await?;
        let wallet = wallets::get(&mut conn, merchant, parts.spec.mode, id).await?;
        drop(conn);
        let Some(wallet) = wallet else {
            return Ok(Err(format!("there is no wallet {id}")));
        };
        if !is_trusted(parts, owner, &wallet) {
            tracing::error!(wallet = %id, "a wallet's seal does not fit: the database was changed from outside");
            return Ok(Err(format!(
                "wallet {id} was changed in the database; nothing is derived from it"
            )));
        }
        let mut scan = Self {
            derivation: Arc::clone(&parts.derivation),
            chain: parts.spec.name.clone(),
            canonical: wallet.canonical,
            wallet: wallet.key,
            node: wallet.node,
            first: wallet.start_index,
            table: WatchTable::new(parts.entropy.bits()).separated_by(parts.derivation.separator()),
            indexes: BTreeMap::new(),
            // What is below the highest index that is known changes nothing.
            next: highest.map_or(wallet.start_index, |highest| {
                wallet.start_index.max(highest.saturating_add(1))
            }),
            highest,
        };
        Ok(match scan.widen() {
            Ok(()) => Ok(scan),
            Err(error) => Err(error.to_string()),
        })
    }

    /// What is known so far; `None` when no key was ever paid.
    pub(super) fn used(&self) -> Option<Used> {
        Some(Used {
            wallet: self.wallet,
            node: self.node.clone(),
            highest: self.highest?,
        })
    }

    /// What blocks are scanned for.
    pub(super) fn table(&self) -> &WatchTable {
        &self.table
    }

    /// Takes the credits of a block; each hit of the table is confirmed.
    pub(super) fn note(&mut self, block: &Block) {
        let paid = block.credits.iter();
        let paid = paid.filter_map(|credit| self.indexes.get(&*credit.key).copied());
        let Some(paid) = paid.max().filter(|paid| self.highest < Some(*paid)) else {
            return;
        };
        self.highest = Some(paid);
        if let Err(error) = self.widen() {
            tracing::warn!(%error, "no further keys of the wallet can be derived");
        }
    }

    /// Adds keys up to a gap beyond the highest one that was paid, or beyond the wallet's first: never more
    /// than a gap's number of them, however far a scan has come.
    fn widen(&mut self) -> Result<(), KeyError> {
        let used = self.highest.map_or(self.first, |highest| {
            self.first.max(highest.saturating_add(1))
        });
        while self.next < used.saturating_add(limits::SCAN_GAP) {
            let derived = self
                .derivation
                .derive(&self.canonical, self.next, &self.chain)?;
            self.table.insert(&derived.key);
            self.indexes.insert(derived.key, self.next);
            self.next = self.next.saturating_add(1);
        }
        Ok(())
    }
}

fn is_trusted(parts: &Parts, owner: MerchantId, row: &Wallet) -> bool {
    let (merchant, wallet) = (owner.to_string(), row.id.to_string());
    let mode: Mode = row.mode;
    let fields = WalletFields {
        merchant: &merchant,
        wallet: &wallet,
        mode: mode.as_str(),
        family: row.family.as_str(),
        canonical: &row.canonical,
        node: &row.node,
        start_index: row.start_index,
        state: row.state,
    };
    row.family == parts.spec.family && fields.holds(&parts.master, &row.seal)
}
