//! Making an invoice: terms, an address for each option, seals, and the first event.

use std::sync::Arc;

use paywatch_chain::{DerivedAddress, KeyError};
use paywatch_domain::{
    Dossier, Entropy, InvoiceId, OptionId, OptionTerms, PaymentPlace, Rates, Terms, TermsError,
    UnixMillis,
};
use paywatch_store::invoices::{self, NewInvoice, NewOption, NewSibling};
use paywatch_store::wallets::Wallet;
use paywatch_store::{MerchantKey, Tx};
use paywatch_wire::request::{CreateInvoice, Draft, DraftOption};
use paywatch_wire::{Code, FieldError};

use super::super::answer::{Answer, Answered, Effect, Idempotent, answered_before, once};
use super::super::rates::told;
use super::super::wallet::{address_at, derivation, derived, is_pool};
use super::super::{Caller, CommandError, CommandParts, Commands};
use super::payee::Payee;
use super::{conclude, lost};
use crate::seal;

struct InsertInvoice {
    parts: Arc<CommandParts>,
    invoice: Composed,
    now: UnixMillis,
    seed: [u8; 32],
}

impl Effect for InsertInvoice {
    const NAME: &'static str = "create_invoice";
    const TOGETHER: bool = true;

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        insert(&[self], tx).await?.pop().ok_or_else(lost)
    }

    async fn run_together(effects: &[&Self], tx: &mut Tx) -> Option<Vec<Answer>> {
        let inserted = insert(effects, tx).await;
        inserted
            .inspect_err(|error| tracing::debug!(%error, "invoices are not stored as one"))
            .ok()
    }
}

/// Stores invoices and says so. The events bear the time of the latest.
async fn insert(effects: &[&InsertInvoice], tx: &mut Tx) -> Result<Vec<Answer>, CommandError> {
    let new = effects.iter().map(|effect| NewInvoice {
        dossier: &effect.invoice.dossier,
        merchant: effect.invoice.merchant,
        seal: &effect.invoice.seal,
        options: effect.invoice.options.clone(),
    });
    let new: Vec<NewInvoice<'_>> = new.collect();
    let keys = invoices::insert_all(tx, &new).await?;
    let latest = effects.iter().max_by_key(|effect| effect.now);
    let InsertInvoice {
        parts, now, seed, ..
    } = latest.ok_or_else(lost)?;
    conclude(tx, parts, &keys, *now, *seed, 201).await
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
    /// The indexes are taken in a transaction of its own before, and only when every option can be served;
    /// should the rest fail, indexes are skipped and never used twice.
    pub async fn create_invoice(
        &self,
        caller: &Caller,
        request: CreateInvoice,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        let mut conn = parts.store.read().await?;
        let known = idempotent.as_ref();
        // Before the check: what could be priced then need not be priced now.
        if let Some(before) = answered_before(&mut conn, &parts.master, caller, known).await? {
            return Ok(before);
        }
        let told = told(&mut conn, parts, request.currency_to_convert()).await?;
        let rates = Rates::new(&parts.rates, &told, now);
        let draft = request
            .check(&parts.catalogue, &parts.policies, &rates, caller.mode)
            .map_err(refused)?;
        let payees = self.payees(&mut conn, caller, &draft, now).await?;
        drop(conn);
        let indexes = self.fresh_indexes(&payees).await?;
        let mut placed = Vec::with_capacity(draft.options.len());
        for ((option, payee), index) in draft.options.iter().zip(payees).zip(indexes) {
            let id = OptionId::random(entropy);
            let derived = self.address(caller, &payee, index).await?;
            placed.push(self.place(option, payee, index, id, derived)?);
        }
        let id = InvoiceId::random(entropy);
        let invoice = compose(parts, caller, draft, &placed, id, now)?;
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

    /// The address of a payee at an index that is its own.
    async fn address(
        &self,
        caller: &Caller,
        payee: &Payee<'_>,
        index: u32,
    ) -> Result<DerivedAddress, CommandError> {
        let (parts, wallet, chain) = (&self.parts, &payee.wallet, &payee.chain.name);
        if !is_pool(wallet) {
            return derived(parts, wallet, index, chain);
        }
        let mut conn = parts.store.read().await?;
        address_at(&mut conn, parts, caller, wallet, index, chain).await
    }

    /// Gives an option its address.
    fn place(
        &self,
        option: &DraftOption,
        payee: Payee<'_>,
        index: u32,
        id: OptionId,
        derived: DerivedAddress,
    ) -> Result<Placed, CommandError> {
        let Payee {
            chain,
            wallet,
            created_height,
            ..
        } = payee;
        let derivation = derivation(&self.parts, chain.family)?;
        let refused = |error: KeyError| CommandError::refused(409, error.code(), error.to_string());
        let siblings = if is_pool(&wallet) {
            Vec::new()
        } else {
            let siblings = derivation.siblings(&wallet.canonical, index, &chain.name);
            siblings.map_err(refused)?
        };
        let siblings = siblings.into_iter().map(|sibling| NewSibling {
            form: sibling.form,
            address: sibling.address,
            key: sibling.key,
        });
        let payment_uri = derivation.payment_uri(&option.asset, &derived.address, option.due);
        let terms = OptionTerms {
            id,
            asset: option.asset.name.clone(),
            decimals: option.asset.decimals,
            due: option.due,
            rate: option.rate.clone(),
            minimum: option.minimum,
            maximum: option.maximum,
            tolerance: option.tolerance,
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
}

/// A request that would stand if its rates could be trusted may stand later.
fn refused(errors: Vec<FieldError>) -> CommandError {
    let untrusted = Code::RateUntrusted.as_str();
    if errors.iter().all(|error| error.code == untrusted) {
        CommandError::Unavailable(errors)
    } else {
        CommandError::Fields(errors)
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
        policy: draft.policy,
        success_url: draft.success_url,
        cancel_url: draft.cancel_url,
        options: placed.iter().map(|option| option.terms.clone()).collect(),
    };
    terms
        .check()
        .map_err(|(place, error)| terms_error(place, &error))?;
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

/// The check of the request has found all of these already; this is for requests that are made in code.
fn terms_error(place: Option<usize>, error: &TermsError) -> CommandError {
    let pointer = match (place, error) {
        (Some(place), _) => format!("/options/{place}"),
        (None, TermsError::Policy { .. }) => "/policy".into(),
        (None, TermsError::Times) => "/expires_in_s".into(),
        (None, _) => "/options".into(),
    };
    CommandError::field(&pointer, Code::from(error).as_str(), error.to_string())
}
