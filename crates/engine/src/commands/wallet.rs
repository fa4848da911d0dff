//! Wallets: public key material, registered and then confirmed by a person.

use std::sync::Arc;

use paywatch_chain::{Derivation, KeyError};
use paywatch_domain::{ChainSpec, Entropy, Family, UnixMillis, WalletId};
use paywatch_store::wallets::{self, NewWallet, Wallet as Row, WalletState};
use paywatch_store::{Conn, Cursor, Listed, StoreError, Tx};
use paywatch_wire::json_text;
use paywatch_wire::request::CreateWallet;
use paywatch_wire::wallet::{Wallet, WalletAddress};

use super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::{Caller, CommandError, CommandParts, Commands};
use crate::seal::WalletFields;

/// Addresses that are shown for comparison with the wallet itself.
const SHOWN: u32 = 3;

/// What the effects of this file share.
struct Effects {
    parts: Arc<CommandParts>,
    caller: Caller,
}

struct InsertWallet {
    shared: Effects,
    wallet: NewWallet,
}

impl Effect for InsertWallet {
    const NAME: &'static str = "create_wallet";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let owners = wallets::owners_of_node(tx, &self.wallet.node).await?;
        if owners.iter().any(|owner| *owner != self.wallet.merchant) {
            let detail = "this key is registered by another merchant; a key belongs to one merchant, \
                          because it has one counter of addresses";
            return Err(CommandError::refused(409, "key_in_use", detail));
        }
        match wallets::insert(tx, &self.wallet).await {
            Err(StoreError::Conflict("wallet_exists")) => {
                let detail = "this key is registered already; list the wallets to find it";
                return Err(CommandError::refused(409, "wallet_exists", detail));
            }
            inserted => inserted?,
        };
        let row = find(tx, &self.shared.caller, self.wallet.id).await?;
        let wallet = render(&self.shared.parts, &self.shared.caller, &row)?;
        Ok(Answer {
            status: 201,
            body: json_text(&wallet),
        })
    }
}

struct ConfirmWallet {
    shared: Effects,
    id: WalletId,
    now: UnixMillis,
}

impl Effect for ConfirmWallet {
    const NAME: &'static str = "confirm_wallet";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let caller = &self.shared.caller;
        let row = find(tx, caller, self.id).await?;
        check_seal(&self.shared.parts, caller, &row)?;
        match row.state {
            WalletState::Pending => {
                let active = Row {
                    state: WalletState::Active,
                    ..row.clone()
                };
                let seal = with_sealed(caller, &active, |fields| {
                    fields.seal(&self.shared.parts.master)
                });
                wallets::confirm(tx, row.key, &seal, self.now)
                    .await
                    .map_err(|error| match error {
                        StoreError::Conflict("wallets_default") => {
                            let detail =
                                "another wallet became the default at this moment; try again";
                            CommandError::refused(409, "wallet_default_changed", detail)
                        }
                        error => error.into(),
                    })?;
            }
            WalletState::Active => {}
            WalletState::Archived => {
                let detail = "an archived wallet cannot be confirmed";
                return Err(CommandError::refused(409, "wallet_archived", detail));
            }
        }
        let wallet = render(
            &self.shared.parts,
            caller,
            &find(tx, caller, self.id).await?,
        )?;
        Ok(Answer {
            status: 200,
            body: json_text(&wallet),
        })
    }
}

async fn find(conn: &mut Conn, caller: &Caller, id: WalletId) -> Result<Row, CommandError> {
    let row = wallets::get(conn, caller.merchant, caller.mode, id).await?;
    row.ok_or_else(|| {
        CommandError::refused(404, "wallet_unknown", format!("there is no wallet {id}"))
    })
}

/// What the seal of a stored wallet covers.
fn with_sealed<T>(caller: &Caller, row: &Row, run: impl FnOnce(&WalletFields<'_>) -> T) -> T {
    let (merchant, wallet) = (caller.merchant_id.to_string(), row.id.to_string());
    run(&WalletFields {
        merchant: &merchant,
        wallet: &wallet,
        mode: row.mode.as_str(),
        family: row.family.as_str(),
        canonical: &row.canonical,
        node: &row.node,
        start_index: row.start_index,
        state: row.state,
    })
}

/// Refuses a wallet whose row was changed by somebody who does not have the master key.
pub(super) fn check_seal(
    parts: &CommandParts,
    caller: &Caller,
    row: &Row,
) -> Result<(), CommandError> {
    if with_sealed(caller, row, |fields| fields.holds(&parts.master, &row.seal)) {
        return Ok(());
    }
    let wallet = row.id.to_string();
    tracing::error!(
        wallet,
        "a wallet's seal does not fit: the database was changed from outside"
    );
    let detail = format!("wallet {wallet} was changed in the database; nothing is derived from it");
    Err(CommandError::refused(409, "wallet_seal_broken", detail))
}

pub(super) fn derivation(
    parts: &CommandParts,
    family: Family,
) -> Result<&Arc<dyn Derivation>, CommandError> {
    parts.derivations.get(&family).ok_or_else(|| {
        let detail = format!("no chain of the family {} is served here", family.as_str());
        CommandError::refused(422, "family_not_served", detail)
    })
}

fn key_error(error: &KeyError) -> CommandError {
    CommandError::field("/key", error.code(), error.to_string())
}

/// The chain in whose form a wallet's addresses are shown.
fn shown_chain<'a>(
    parts: &'a CommandParts,
    caller: &Caller,
    family: Family,
) -> Option<&'a ChainSpec> {
    parts
        .catalogue
        .chains()
        .find(|chain| chain.family == family && chain.mode == caller.mode)
}

/// A wallet as merchants see it, with its first addresses.
fn render(parts: &CommandParts, caller: &Caller, row: &Row) -> Result<Wallet, CommandError> {
    let mut first_addresses = Vec::new();
    if let Some(chain) = shown_chain(parts, caller, row.family) {
        let derivation = derivation(parts, row.family)?;
        for index in row.start_index..row.start_index.saturating_add(SHOWN) {
            let derived = derivation
                .derive(&row.canonical, index, &chain.name)
                .map_err(|error| key_error(&error))?;
            first_addresses.push(WalletAddress {
                index,
                address: derived.address,
                derivation_path: derived.path,
            });
        }
    }
    Ok(Wallet {
        id: row.id.to_string(),
        object: "wallet".into(),
        livemode: row.mode == paywatch_domain::Mode::Live,
        chain_family: row.family.as_str().into(),
        kind: row.kind.clone(),
        fingerprint: row.fingerprint.clone(),
        label: row.label.clone(),
        state: row.state.as_str().into(),
        default: row.is_default,
        start_index: row.start_index,
        next_index: row.next_index.max(row.start_index),
        first_addresses,
        created_at: paywatch_wire::time::rfc3339(row.created_at),
        confirmed_at: row.confirmed_at.map(paywatch_wire::time::rfc3339),
    })
}

impl Commands {
    /// Registers public key material; it waits for a person to compare its first addresses.
    pub async fn create_wallet(
        &self,
        caller: &Caller,
        request: CreateWallet,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        let derivation = derivation(parts, request.chain_family)?;
        let test = caller.mode == paywatch_domain::Mode::Test;
        let key = derivation
            .parse(&request.key, test)
            .map_err(|error| key_error(&error))?;
        if request.kind.as_ref().is_some_and(|kind| kind != key.kind) {
            let detail = format!("the key is of the kind {}", key.kind);
            return Err(CommandError::field("/kind", "kind_mismatch", detail));
        }
        let id = WalletId::random(entropy);
        let (merchant, wallet) = (caller.merchant_id.to_string(), id.to_string());
        let start_index = request.start_index.unwrap_or(0);
        let fields = WalletFields {
            merchant: &merchant,
            wallet: &wallet,
            mode: caller.mode.as_str(),
            family: request.chain_family.as_str(),
            canonical: &key.canonical,
            node: &key.node,
            start_index,
            state: WalletState::Pending,
        };
        let seal = fields.seal(&parts.master).to_vec();
        let wallet = NewWallet {
            id,
            merchant: caller.merchant,
            mode: caller.mode,
            family: request.chain_family,
            kind: key.kind.into(),
            canonical: key.canonical,
            node: key.node,
            fingerprint: key.fingerprint,
            label: request.label.unwrap_or_default(),
            state: WalletState::Pending,
            start_index,
            seal,
            now,
        };
        let shared = Effects {
            parts: Arc::clone(parts),
            caller: caller.clone(),
        };
        let effect = InsertWallet { shared, wallet };
        once(
            &parts.store,
            &parts.master,
            caller,
            idempotent,
            now,
            entropy,
            effect,
        )
        .await
    }

    /// Makes a wallet usable: its addresses were compared with what the merchant's own wallet shows.
    /// The first one of its family becomes the default.
    pub async fn confirm_wallet(
        &self,
        caller: &Caller,
        id: WalletId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        let shared = Effects {
            parts: Arc::clone(parts),
            caller: caller.clone(),
        };
        let effect = ConfirmWallet { shared, id, now };
        once(
            &parts.store,
            &parts.master,
            caller,
            idempotent,
            now,
            entropy,
            effect,
        )
        .await
    }

    /// One wallet; `None` when the caller has none of this id.
    pub async fn wallet(
        &self,
        caller: &Caller,
        id: WalletId,
    ) -> Result<Option<Wallet>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let row = wallets::get(&mut conn, caller.merchant, caller.mode, id).await?;
        row.map(|row| self.show_wallet(caller, &row)).transpose()
    }

    /// A stored wallet as merchants see it.
    pub fn show_wallet(&self, caller: &Caller, row: &Row) -> Result<Wallet, CommandError> {
        check_seal(&self.parts, caller, row)?;
        render(&self.parts, caller, row)
    }

    /// A page of the caller's wallets, newest first.
    pub async fn wallets(
        &self,
        caller: &Caller,
        cursor: &Cursor<WalletId>,
        limit: u32,
    ) -> Result<Listed<Wallet>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let (merchant, mode) = (caller.merchant, caller.mode);
        let page = wallets::list(&mut conn, merchant, mode, cursor, limit).await?;
        let rows = page.rows.iter().map(|row| self.show_wallet(caller, row));
        Ok(Listed {
            rows: rows.collect::<Result<_, _>>()?,
            has_more: page.has_more,
        })
    }
}

/// The wallet that an option is paid to: the one that was named, or the default of the family.
pub(super) async fn payee(
    conn: &mut Conn,
    parts: &CommandParts,
    caller: &Caller,
    family: Family,
    named: Option<WalletId>,
) -> Result<Row, CommandError> {
    const POINTER: &str = "/options/0/wallet_id";
    let found: Result<Option<Row>, StoreError> = match named {
        Some(id) => wallets::get(conn, caller.merchant, caller.mode, id).await,
        None => wallets::default_of(conn, caller.merchant, caller.mode, family).await,
    };
    let Some(row) = found? else {
        return Err(match named {
            Some(id) => CommandError::field(
                POINTER,
                "wallet_unknown",
                format!("there is no wallet {id}"),
            ),
            None => CommandError::refused(
                422,
                "wallet_missing",
                format!(
                    "there is no confirmed wallet for {} chains; register one and confirm it",
                    family.as_str()
                ),
            ),
        });
    };
    if row.family != family {
        let detail = format!("this wallet is for {} chains", row.family.as_str());
        return Err(CommandError::field(POINTER, "wallet_other_family", detail));
    }
    if row.state != WalletState::Active {
        let detail = "the wallet is not confirmed: compare its addresses and confirm it first";
        return Err(CommandError::field(POINTER, "wallet_not_active", detail));
    }
    check_seal(parts, caller, &row)?;
    Ok(row)
}
