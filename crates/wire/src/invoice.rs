//! The invoice as merchants see it: the same object in answers, events and exports.

use paywatch_domain::{
    Dossier, Folded, Mode, OptionTally, OptionTerms, PaymentPlace, Place, RecordKind, Role, Status,
    Transfer, TransferView, Violation,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::exception::{ExceptionForm, RefundForm};
use crate::forms::{FinalityForm, PolicyForm, PriceForm};
use crate::progress::ProgressForm;
use crate::rate::RateForm;
use crate::record::{self, Fulfilment};
use crate::time::rfc3339;

/// An invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Invoice {
    /// `inv_…`.
    pub id: String,
    /// Always `invoice`.
    pub object: String,
    /// Whether real money moves.
    pub livemode: bool,
    /// The merchant's own reference.
    pub order_id: Option<String>,
    /// The status by the table of states.
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    pub status: String,
    /// What a payer is told.
    pub customer_status: String,
    /// A payment made now would be in time and is wanted.
    pub payable: bool,
    /// Chains that keep the invoice from a conclusion because they cannot be read.
    pub waiting_for: Vec<String>,
    /// The price, when there is one.
    pub price: Option<PriceForm>,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// In time means seen at or before this time.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    /// Late money counts up to this time.
    #[schemars(extend("format" = "date-time"))]
    pub late_until: String,
    /// The option that made it paid.
    pub paid_option: Option<String>,
    /// The ways to pay.
    pub options: Vec<InvoiceOption>,
    /// What was seen on chain.
    pub transfers: Vec<InvoiceTransfer>,
    /// What a person has or had to decide, in the order in which it was told.
    pub exceptions: Vec<ExceptionForm>,
    /// What the merchant sent back, in the order in which it was recorded.
    pub refunds: Vec<RefundForm>,
    /// What was given for the money, in the order in which it was recorded.
    #[serde(default)]
    pub fulfilments: Vec<Fulfilment>,
    /// The policy as it was at creation.
    pub policy: PolicyForm,
    /// Where a payer goes after paying.
    pub success_url: Option<String>,
    /// Where a payer goes who gives up.
    pub cancel_url: Option<String>,
    /// What the merchant attached, byte for byte.
    pub metadata: Metadata,
    /// Grows by one with each event; a receiver drops what is older than what it has.
    pub version: u64,
    /// Where a payer may be sent; `null` while there is no checkout page.
    pub checkout_url: Option<String>,
}

/// One way to pay an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceOption {
    /// `opt_…`.
    pub id: String,
    /// `symbol@chain`.
    pub asset: String,
    /// CAIP-19 id of the asset (<https://chainagnostic.org/CAIPs/caip-19>).
    pub caip19: String,
    /// Short name of the chain.
    pub chain: String,
    /// Whose key the address belongs to.
    pub wallet_id: String,
    /// Where to pay.
    pub address: String,
    /// The address's place below the wallet's root.
    pub derivation_path: String,
    /// What is due, in the asset's own unit.
    pub amount: String,
    /// What is due, in atomic units.
    pub amount_atomic: String,
    /// The locked rate; `null` when the request named the option's amount, or the price in this asset.
    pub rate: Option<RateForm>,
    /// What a QR code holds.
    pub payment_uri: String,
    /// What makes a transfer to it final.
    pub finality: FinalityForm,
    /// Its own status by the same table.
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    pub status: String,
    /// A payment to it made now would be in time and is wanted: no other option has received enough.
    pub payable: bool,
    /// Its sums.
    pub tally: Tally,
}

/// Sums of one option in the asset's own unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Everything in time, whatever its certainty.
    pub seen: String,
    /// In time, in blocks, not final.
    pub confirming: String,
    /// In time and final.
    #[serde(rename = "final")]
    pub finalized: String,
    /// Everything late, whatever its certainty.
    pub late: String,
    /// What is still to be paid in time, so that nobody is asked to pay twice.
    pub remaining: String,
    /// What was paid in time above what is due.
    pub excess: String,
}

/// One transfer to an address of the invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceTransfer {
    /// `trf_…`.
    pub id: String,
    /// The option whose key was paid.
    pub option_id: String,
    /// `payment`, or what never counts: `sibling` when it went to another form of the option's key,
    /// `wrong_asset` or `wrong_chain` when it is not what the option asks for, `unexplained` when the balance of
    /// the address differs by it and nothing tells why.
    pub role: String,
    /// The address that was paid.
    pub address: String,
    /// What was paid.
    pub asset: String,
    /// How much, in the asset's own unit.
    pub amount: String,
    /// How much, in atomic units.
    pub amount_atomic: String,
    /// The transaction.
    pub tx_id: String,
    /// Where in the transaction.
    pub position: String,
    /// The height of its block; `null` when it stands in none.
    pub block_height: Option<u64>,
    /// The hash of its block; `null` when it stands in none.
    pub block_hash: Option<String>,
    /// When it was first seen.
    #[schemars(extend("format" = "date-time"))]
    pub sighted_at: String,
    /// Whether that was at or before expiry.
    pub in_time: bool,
    /// When it was first said to be final; `null` before. Kept when a reorganisation takes it away again.
    #[schemars(extend("format" = "date-time"))]
    pub final_at: Option<String>,
    /// `seen`, `confirming`, `final`, or `gone` when it was replaced, evicted or reorganised away.
    pub certainty: String,
    /// Whether its amount is part of the sums.
    pub counted: bool,
    /// How far it is from final.
    pub finality: ProgressForm,
}

/// A JSON object of the merchant, kept byte for byte and never interpreted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Metadata(#[schemars(with = "Map<String, Value>")] Box<RawValue>);

impl Metadata {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Takes JSON text; `None` when it is not JSON.
    pub fn parse(text: &str) -> Option<Self> {
        RawValue::from_string(text.into()).ok().map(Self)
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Invoice {
    /// Shows what is known about an invoice, as its fold says it.
    ///
    /// `folded` must come from this dossier. `version` is the number of the last event that the
    /// reader of this form has been told with it: the dossier's own, or the next one for an event.
    ///
    /// # Errors
    /// A [`Violation`] when the dossier contradicts itself: no further claims about this invoice.
    pub fn render(dossier: &Dossier, folded: &Folded, version: u64) -> Result<Self, Violation> {
        let terms = &dossier.terms;
        let mut options = Vec::with_capacity(terms.options.len());
        for option in &terms.options {
            let place = dossier
                .places
                .iter()
                .find(|place| place.option == option.id);
            let tally = folded.options.iter().find(|tally| tally.id == option.id);
            let (Some(place), Some(tally)) = (place, tally) else {
                let detail = format!("option {} has no address or no sums", option.id);
                return Err(Violation::Damaged(detail));
            };
            options.push(InvoiceOption::render(option, place, tally)?);
        }
        let transfers = InvoiceTransfer::all(dossier, folded)?;
        let exceptions = dossier.exceptions.iter();
        let exceptions = exceptions.map(|exception| ExceptionForm::render(dossier, exception));
        let metadata = Metadata::parse(&dossier.metadata)
            .ok_or_else(|| Violation::Damaged("the metadata is not JSON".into()))?;
        Ok(Self {
            id: dossier.id.to_string(),
            object: "invoice".into(),
            livemode: dossier.mode == Mode::Live,
            order_id: dossier.order_id.as_deref().map(Into::into),
            status: folded.status.as_str().into(),
            customer_status: folded.status.customer().as_str().into(),
            payable: folded.payable,
            waiting_for: folded.waiting_for.iter().map(ToString::to_string).collect(),
            price: terms.price.as_ref().map(Into::into),
            created_at: rfc3339(terms.created_at),
            expires_at: rfc3339(terms.expires_at),
            late_until: rfc3339(terms.late_until),
            paid_option: folded.paid_option.map(|option| option.to_string()),
            options,
            transfers,
            exceptions: exceptions.collect::<Result<_, _>>()?,
            refunds: RefundForm::all(dossier),
            fulfilments: record::all(dossier, RecordKind::Fulfilment),
            policy: (&terms.policy).into(),
            success_url: terms.success_url.as_deref().map(Into::into),
            cancel_url: terms.cancel_url.as_deref().map(Into::into),
            metadata,
            version,
            checkout_url: None,
        })
    }
}

impl InvoiceOption {
    fn render(
        option: &OptionTerms,
        place: &PaymentPlace,
        tally: &OptionTally,
    ) -> Result<Self, Violation> {
        Ok(Self {
            id: option.id.to_string(),
            asset: option.asset.to_string(),
            caip19: place.caip19.to_string(),
            chain: option.asset.chain().to_string(),
            wallet_id: place.wallet.to_string(),
            address: place.address.to_string(),
            derivation_path: place.path.to_string(),
            amount: option.due.decimal(option.decimals),
            amount_atomic: option.due.to_string(),
            rate: option.rate.as_ref().map(Into::into),
            payment_uri: place.payment_uri.to_string(),
            finality: (&option.finality).into(),
            status: tally.status.as_str().into(),
            payable: tally.payable,
            tally: Tally::render(option, tally)?,
        })
    }
}

impl Tally {
    fn render(option: &OptionTerms, tally: &OptionTally) -> Result<Self, Violation> {
        let sums = &tally.sums;
        let in_time = sums.in_time()?;
        let text = |amount: paywatch_domain::Amount| amount.decimal(option.decimals);
        Ok(Self {
            seen: text(in_time),
            confirming: text(sums.confirming),
            finalized: text(sums.finalized),
            late: text(sums.late()?),
            remaining: text(option.due.saturating_sub(in_time)),
            excess: text(in_time.saturating_sub(option.due)),
        })
    }
}

impl InvoiceTransfer {
    /// Every transfer of an invoice, in the order of the facts.
    pub(crate) fn all(dossier: &Dossier, folded: &Folded) -> Result<Vec<Self>, Violation> {
        let terms = &dossier.terms;
        let mut transfers = Vec::with_capacity(dossier.transfers.len());
        for transfer in &dossier.transfers {
            let option = terms
                .options
                .iter()
                .find(|option| option.id == transfer.option);
            let view = folded.transfers.iter().find(|view| view.id == transfer.id);
            let (Some(option), Some(view)) = (option, view) else {
                let transfer = transfer.id;
                return Err(Violation::Foreign { transfer });
            };
            let place = dossier
                .places
                .iter()
                .find(|place| place.option == option.id);
            let address = place.map_or("", |place| &place.address);
            transfers.push(InvoiceTransfer::render(option, address, transfer, view));
        }
        Ok(transfers)
    }

    fn render(
        option: &OptionTerms,
        own_address: &str,
        transfer: &Transfer,
        view: &TransferView,
    ) -> Self {
        let block = match &transfer.place {
            Some(Place::Block(block)) => Some(block),
            Some(Place::Mempool) | None => None,
        };
        let is_at_home = transfer.asset.chain() == option.asset.chain();
        let (role, address, decimals) = match &transfer.role {
            Role::Payment if !transfer.is_payment() => {
                ("unexplained", own_address, option.decimals)
            }
            Role::Payment => ("payment", own_address, option.decimals),
            Role::Sibling { address, .. } => ("sibling", &**address, option.decimals),
            Role::Stray { decimals } if is_at_home => ("wrong_asset", own_address, *decimals),
            Role::Stray { decimals } => ("wrong_chain", own_address, *decimals),
        };
        Self {
            id: transfer.id.to_string(),
            option_id: transfer.option.to_string(),
            role: role.into(),
            address: address.into(),
            asset: transfer.asset.to_string(),
            amount: transfer.amount.decimal(decimals),
            amount_atomic: transfer.amount.to_string(),
            tx_id: transfer.tx_id.to_string(),
            position: transfer.position.to_string(),
            block_height: block.map(|block| block.height),
            block_hash: block.map(|block| block.hash.to_string()),
            sighted_at: rfc3339(transfer.sighted_at),
            in_time: view.in_time,
            final_at: view.final_at.map(rfc3339),
            certainty: view.certainty.as_str().into(),
            counted: view.counted,
            finality: (&view.progress).into(),
        }
    }
}
