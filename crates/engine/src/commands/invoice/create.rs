//! Making an invoice: terms, an address of its own, seals, and the first event.

use std::sync::Arc;

use paywatch_chain::DerivedAddress;
use paywatch_domain::{
    ChainSpec, Dossier, Entropy, InvoiceId, OptionId, OptionTerms, PaymentPlace, Terms, TermsError,
    UnixMillis,
};
use paywatch_store::chains::ChainRow;
use paywatch_store::counters::TakeIndex;
use paywatch_store::invoices::{self, NewInvoice, NewOption, NewSibling};
use paywatch_store::wallets::Wallet;
use paywatch_store::{MerchantKey, Tx, chains};
use paywatch_wire::request::{CreateInvoice, Draft, DraftOption};

use super::super::answer::{Answer, Answered, Effect, Idempotent, answered_before, once};
use super::super::wallet::{derivation, payee};
use super::super::{Caller, CommandError, CommandParts, Commands};
use super::conclude;
use crate::seal;

struct InsertInvoice {
    parts: Arc<CommandParts>,
    invoice: Composed,
    now: UnixMillis,
    seed: [u8; 32],
}

impl Effect for InsertInvoice {
    const NAME: &'static str = "create_invoice";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let new = NewInvoice {
            dossier: &self.invoice.dossier,
            merchant: self.invoice.merchant,
            seal: &self.invoice.seal,
            options: self.invoice.options.clone(),
        };
        let key = invoices::insert(tx, &new).await?;
        conclude(tx, &self.parts, key, self.now, self.seed, 201).await
    }
}

/// An invoice that is ready to be stored.
struct Composed {
    dossier: Dossier,
    merchant: MerchantKey,
    seal: [u8; 32],
    options: Vec<NewOption>,
}

/// An option with its wallet and its own address.
struct Placed {
    terms: OptionTerms,
    place: PaymentPlace,
    wallet: Wallet,
    siblings: Vec<NewSibling>,
}

impl Commands {
    /// Makes an invoice: every option gets an address that was never given out.
    ///
    /// The index is taken in a transaction of its own before; should the rest fail, an index is skipped
    /// and never used twice.
    pub async fn create_invoice(
        &self,
        caller: &Caller,
        request: CreateInvoice,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        let draft = request
            .check(&parts.catalogue, &parts.policies, caller.mode)
            .map_err(CommandError::Fields)?;
        let (store, master) = (&parts.store, &parts.master);
        if let Some(before) = answered_before(store, master, caller, idempotent.as_ref()).await? {
            return Ok(before);
        }
        let mut placed = Vec::with_capacity(draft.options.len());
        for option in &draft.options {
            let id = OptionId::random(entropy);
            placed.push(self.place(caller, option, id, now).await?);
        }
        let invoice = compose(
            parts,
            caller,
            draft,
            &placed,
            InvoiceId::random(entropy),
            now,
        )?;
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let effect = InsertInvoice {
            parts: Arc::clone(parts),
            invoice,
            now,
            seed,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }

    /// Gives an option its address.
    async fn place(
        &self,
        caller: &Caller,
        option: &DraftOption,
        id: OptionId,
        now: UnixMillis,
    ) -> Result<Placed, CommandError> {
        let parts = &self.parts;
        let name = &option.asset.name;
        let chain = parts.catalogue.chain(name.chain()).ok_or_else(|| {
            CommandError::field(
                "/options/0/asset",
                "chain_unknown",
                "there is no such chain",
            )
        })?;
        let (wallet, created_height) = {
            let mut conn = parts.store.read().await?;
            let height = counting_height(&chains::all(&mut conn).await?, chain, now)?;
            (
                payee(&mut conn, parts, caller, chain.family, option.wallet).await?,
                height,
            )
        };
        let (index, derived) = self.fresh_address(&wallet, chain).await?;
        let amount = option.due.decimal(option.asset.decimals);
        let derivation = derivation(parts, chain.family)?;
        let payment_uri = derivation.payment_uri(&chain.name, &derived.address, &amount);
        let siblings = derivation
            .siblings(&wallet.canonical, index, &chain.name)
            .map_err(|error| CommandError::refused(409, error.code(), error.to_string()))?;
        let siblings = siblings.into_iter().map(|sibling| NewSibling {
            form: sibling.form,
            address: sibling.address,
            key: sibling.key,
        });
        let terms = OptionTerms {
            id,
            asset: name.clone(),
            decimals: option.asset.decimals,
            due: option.due,
            minimum: option.minimum,
            maximum: option.maximum,
            dust: option.asset.dust,
            finality: option.finality.clone(),
            created_height,
        };
        let place = PaymentPlace {
            option: id,
            wallet: wallet.id,
            address: derived.address.into(),
            key: derived.key.into(),
            index,
            path: derived.path.into(),
            caip19: option.asset.caip19.clone(),
            payment_uri: payment_uri.into(),
        };
        Ok(Placed {
            terms,
            place,
            wallet,
            siblings: siblings.collect(),
        })
    }

    /// Takes the next index of the wallet's node, durably, and derives its address.
    async fn fresh_address(
        &self,
        wallet: &Wallet,
        chain: &ChainSpec,
    ) -> Result<(u32, DerivedAddress), CommandError> {
        let parts = &self.parts;
        let mark = parts.high_water.read(&wallet.node)?;
        let take = TakeIndex {
            node: wallet.node.clone(),
            at_least: wallet.start_index.max(mark),
        };
        let index = parts.store.write(take).await?;
        parts
            .high_water
            .raise(&wallet.node, index.saturating_add(1))?;
        let derived = derivation(parts, chain.family)?
            .derive(&wallet.canonical, index, &chain.name)
            .map_err(|error| CommandError::refused(409, error.code(), error.to_string()))?;
        Ok((index, derived))
    }
}

/// The height from which transfers count, or the reason why nothing can be promised on this chain now.
///
/// A reorganisation may put a payment below the block that was the highest at creation, so what counts
/// begins where reorganisations end. Older blocks are read on demand only, and what they hold does not
/// count.
fn counting_height(
    rows: &[ChainRow],
    chain: &ChainSpec,
    now: UnixMillis,
) -> Result<u64, CommandError> {
    let row = rows
        .iter()
        .find(|row| row.chain == chain.name && row.halted.is_none());
    let covered = row.and_then(|row| row.covered_until);
    let fresh = covered.is_some_and(|covered| now.ms_since(covered) <= chain.lag_ms_max);
    match row.and_then(|row| row.cursor.as_ref()) {
        Some(cursor) if fresh => Ok(cursor.height.saturating_sub(chain.reorg_depth_max)),
        Some(_) | None => {
            let detail = format!(
                "{} cannot be read at present, so no payment on it could be confirmed; try again, or \
                 see /v1/chains",
                chain.name
            );
            Err(CommandError::refused(503, "chain_unavailable", detail))
        }
    }
}

fn compose(
    parts: &CommandParts,
    caller: &Caller,
    draft: Draft,
    placed: &[Placed],
    id: InvoiceId,
    now: UnixMillis,
) -> Result<Composed, CommandError> {
    let expires_at = now.plus_s(draft.expires_in_s);
    let terms = Terms {
        price: draft.price,
        created_at: now,
        expires_at,
        late_until: expires_at.plus_s(draft.late_window_s),
        tolerance: draft.tolerance,
        policy: draft.policy,
        success_url: draft.success_url,
        cancel_url: draft.cancel_url,
        options: placed.iter().map(|option| option.terms.clone()).collect(),
    };
    terms.check().map_err(|error| terms_error(&error))?;
    let dossier = Dossier {
        id,
        merchant: caller.merchant_id,
        mode: caller.mode,
        order_id: draft.order_id,
        metadata: draft.metadata,
        terms,
        places: placed.iter().map(|option| option.place.clone()).collect(),
        transfers: Vec::new(),
        exceptions: Vec::new(),
        decisions: Vec::new(),
        version: 0,
        said: None,
        quarantined: None,
    };
    let options = placed.iter().map(|option| NewOption {
        family: option.wallet.family,
        wallet: option.wallet.key,
        seal: seal::option(&parts.master, &dossier, &option.terms, &option.place).to_vec(),
        siblings: option.siblings.clone(),
    });
    let options = options.collect();
    let seal = seal::invoice(&parts.master, &dossier);
    Ok(Composed {
        dossier,
        merchant: caller.merchant,
        seal,
        options,
    })
}

fn terms_error(error: &TermsError) -> CommandError {
    let (pointer, code) = match error {
        TermsError::NothingDue => ("/options/0/amount", "amount_zero"),
        TermsError::BelowDust { .. } => ("/options/0/amount", "amount_below_dust"),
        TermsError::ToleranceTooWide => ("/tolerance", "tolerance_too_wide"),
        TermsError::TooLarge => ("/options/0/amount", "amount_too_large"),
        TermsError::Depth => ("/policy", "finality_invalid"),
        TermsError::NoOption => ("/options", "options_required"),
        TermsError::Policy { .. } => ("/policy", "policy_invalid"),
        TermsError::Times => ("/expires_in_s", "expires_in_invalid"),
    };
    CommandError::field(pointer, code, error.to_string())
}
