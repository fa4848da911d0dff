//! Registering public key material, and confirming it.

use std::sync::Arc;

use paywatch_chain::{ADDRESS_POOL, AddressPool, Derivation};
use paywatch_domain::{Entropy, Mode, UnixMillis, WalletId};
use paywatch_store::wallets::{self, NewWallet, Wallet as Row, WalletState};
use paywatch_store::{StoreError, Tx, audit, pool_addresses};
use paywatch_wire::audit::state_text;
use paywatch_wire::json_text;
use paywatch_wire::request::{CreateWallet, Material};

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, CommandParts, Commands};
use super::pool::append;
use super::show::render;
use super::{check_seal, derivation, find, key_error, pool_error, shown_chain, with_sealed};
use crate::seal::WalletFields;

/// What the effects of this file share.
struct Effects {
    parts: Arc<CommandParts>,
    caller: Caller,
}

struct InsertWallet {
    shared: Effects,
    wallet: NewWallet,
    /// The addresses of a pool; none of a wallet whose addresses are derived.
    addresses: Vec<String>,
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
        if self.has_twin(tx).await? {
            return Err(exists());
        }
        self.check_recipient(tx).await?;
        let key = match wallets::insert(tx, &self.wallet).await {
            Err(StoreError::Conflict("wallet_exists")) => return Err(exists()),
            inserted => inserted?,
        };
        let Effects { parts, caller } = &self.shared;
        let wallet = (key, self.wallet.id, self.wallet.family);
        append(tx, parts, caller, wallet, &self.addresses).await?;
        let row = find(tx, caller, self.wallet.id).await?;
        let body = json_text(&render(tx, parts, caller, &row).await?);
        let change = Change {
            before: None,
            after: Some(body.clone()),
        };
        let entry = caller.did("wallet.create", &self.wallet.id, change, self.wallet.now);
        audit::append(tx, &parts.master, &entry).await?;
        Ok(Answer { status: 201, body })
    }
}

impl InsertWallet {
    /// Where all money of a wallet comes to one address, that must not be somebody's already: each payment would
    /// count twice.
    async fn check_recipient(&self, tx: &mut Tx) -> Result<(), CommandError> {
        let (parts, wallet) = (&self.shared.parts, &self.wallet);
        let recipient = derivation(parts, wallet.family)?.recipient(&wallet.canonical);
        let Some(recipient) = recipient else {
            return Ok(());
        };
        if pool_addresses::is_given(tx, wallet.family, &recipient).await? {
            let detail = format!(
                "{recipient} stands in a pool or belongs to an invoice; a wallet that is paid with references \
                 needs an address of its own"
            );
            return Err(CommandError::field("/key", "address_known", detail));
        }
        Ok(())
    }

    /// Whether a wallet of this merchant has the same addresses, whatever text it was made from.
    /// Another script of the same key is a wallet of its own, which shares the counter. The addresses of
    /// a pool are compared one by one when they are stored.
    async fn has_twin(&self, tx: &mut Tx) -> Result<bool, CommandError> {
        let (Effects { parts, caller }, wallet) = (&self.shared, &self.wallet);
        let shown = shown_chain(parts, caller, wallet.family);
        let Some(chain) = shown.filter(|_| wallet.kind != ADDRESS_POOL) else {
            return Ok(false);
        };
        let derivation = derivation(parts, wallet.family)?;
        let own = derivation.derive(&wallet.canonical, 0, &chain.name);
        own.map_err(|error| key_error(&error))?;
        let known = wallets::keys_of_node(tx, wallet.merchant, wallet.mode, &wallet.node).await?;
        let is_same = |key: &String| derivation.is_same(&wallet.canonical, key, &chain.name);
        Ok(known.iter().any(|key| is_same(key) == Ok(true)))
    }
}

fn exists() -> CommandError {
    let detail = "this key is registered already; list the wallets to find it";
    CommandError::refused(409, "wallet_exists", detail)
}

struct ConfirmWallet {
    shared: Effects,
    id: WalletId,
    now: UnixMillis,
}

impl Effect for ConfirmWallet {
    const NAME: &'static str = "confirm_wallet";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let Effects { parts, caller } = &self.shared;
        let row = find(tx, caller, self.id).await?;
        check_seal(parts, caller, &row)?;
        match row.state {
            WalletState::Pending => self.confirm(tx, &row).await?,
            WalletState::Active => {}
            WalletState::Archived => {
                let detail = "an archived wallet cannot be confirmed";
                return Err(CommandError::refused(409, "wallet_archived", detail));
            }
        }
        let row = find(tx, caller, self.id).await?;
        let wallet = render(tx, parts, caller, &row).await?;
        Ok(Answer {
            status: 200,
            body: json_text(&wallet),
        })
    }
}

impl ConfirmWallet {
    async fn confirm(&self, tx: &mut Tx, row: &Row) -> Result<(), CommandError> {
        let Effects { parts, caller } = &self.shared;
        let active = Row {
            state: WalletState::Active,
            ..row.clone()
        };
        let seal = with_sealed(caller, &active, |fields| fields.seal(&parts.master));
        wallets::confirm(tx, row.key, &seal, self.now)
            .await
            .map_err(|error| match error {
                StoreError::Conflict("wallets_default") => {
                    let detail = "another wallet became the default at this moment; try again";
                    CommandError::refused(409, "wallet_default_changed", detail)
                }
                error => error.into(),
            })?;
        let change = Change {
            before: Some(state_text(row.state.as_str())),
            after: Some(state_text(active.state.as_str())),
        };
        let entry = caller.did("wallet.confirm", &self.id, change, self.now);
        Ok(audit::append(tx, &parts.master, &entry).await?)
    }
}

/// Reads what a merchant gave: a key, or all of a pool.
fn read(
    derivation: &dyn Derivation,
    material: &Material,
    mode: Mode,
    entropy: &mut dyn Entropy,
) -> Result<AddressPool, CommandError> {
    match material {
        Material::Pool(text) => derivation.pool(text).map_err(|error| pool_error(&error)),
        Material::Key(text) => {
            let text = derivation.completed(text, entropy);
            let key = derivation.parse(&text, mode == Mode::Test);
            Ok(AddressPool {
                key: key.map_err(|error| key_error(&error))?,
                addresses: Vec::new(),
            })
        }
    }
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
        let AddressPool { key, addresses } =
            read(derivation.as_ref(), &request.material, caller.mode, entropy)?;
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
        let effect = InsertWallet {
            shared,
            wallet,
            addresses,
        };
        once(parts, caller, idempotent, now, entropy, effect).await
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
        once(parts, caller, idempotent, now, entropy, effect).await
    }
}
