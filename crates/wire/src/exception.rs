//! Exceptions as merchants see them: what a person has to decide about an invoice.

use paywatch_domain::{
    Action, AssetName, Dossier, Exception, ExceptionId, ExceptionKind, Finding, OperatorFact,
    OptionTerms, Place, Quarantine, Subject, Transfer, UnixMillis, Violation, limits,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::rfc3339;

/// Something that a person has to decide about an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExceptionForm {
    /// `exc_…`.
    pub id: String,
    /// Always `exception`.
    pub object: String,
    /// What there is to decide, for example `underpaid`.
    pub kind: String,
    /// `open`, or `resolved` when there is nothing to decide any more.
    pub state: String,
    /// The invoice.
    pub invoice_id: String,
    /// The option that it is about; `null` when it is about the invoice as a whole, as the five below are.
    pub option_id: Option<String>,
    /// The address that it is about.
    pub address: Option<String>,
    /// Which other form of the key that is, for example `p2tr`; `null` for the option's own address.
    pub address_form: Option<String>,
    /// What was paid, `symbol@chain`; for a wrong asset or chain not what the option asks for.
    pub asset: Option<String>,
    /// What is at stake, in the asset's own unit: however many transfers it is about.
    pub amount: Option<String>,
    /// The same in atomic units.
    pub amount_atomic: Option<String>,
    /// What happened and what can be done, for people.
    pub detail: String,
    /// For money that never counts, the transactions that brought it, the first at most 20; else empty.
    pub tx_ids: Vec<String>,
    /// For money that never counts, when the first of it was seen; else `null`.
    #[schemars(extend("format" = "date-time"))]
    pub sighted_at: Option<String>,
    /// When it was told.
    #[schemars(extend("format" = "date-time"))]
    pub opened_at: String,
    /// What may be decided: `accept`, `accept_partial`, `refund`, `ignore`.
    pub actions: Vec<String>,
    /// Who takes care of it; `null` when nobody said so.
    pub owner: Option<String>,
    /// When it was told that nothing has to be decided any more; `null` while it is open.
    #[schemars(extend("format" = "date-time"))]
    pub resolved_at: Option<String>,
    /// What was decided last; `null` when nothing was, or when it closed because its reason went away.
    pub resolution: Option<Resolution>,
}

/// A decision about an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// `accept`, `accept_partial`, `refund` or `ignore`.
    pub action: String,
    /// How much it is about, in the asset's own unit; `null` for the invoice as a whole.
    pub amount: Option<String>,
    /// Why, in a word of the merchant's own; may be empty.
    pub reason: String,
    /// Anything else; may be empty.
    pub note: String,
    /// The transaction that sent it back; `null` where there is none.
    pub tx_id: Option<String>,
    /// Who decided, for example `key_…`.
    pub actor: String,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

/// Money that was sent back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundForm {
    /// The option whose money it was.
    pub option_id: String,
    /// How much, in the asset's own unit.
    pub amount: String,
    /// The same in atomic units.
    pub amount_atomic: String,
    /// The transaction; `null` when it was set off in another way.
    pub tx_id: Option<String>,
    /// What the merchant wrote to it; may be empty.
    pub note: String,
    /// Who recorded it, for example `key_…`.
    pub actor: String,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

impl RefundForm {
    /// Shows the refunds of an invoice, in the order in which they were recorded.
    pub(crate) fn all(dossier: &Dossier) -> Vec<Self> {
        let shown = dossier.decisions.iter().filter_map(|fact| {
            let OperatorFact::Refunded(refund) = fact else {
                return None;
            };
            let mut options = dossier.terms.options.iter();
            let option = options.find(|option| option.id == refund.option)?;
            Some(Self {
                option_id: option.id.to_string(),
                amount: refund.amount.decimal(option.decimals),
                amount_atomic: refund.amount.to_string(),
                tx_id: refund.tx_id.as_ref().map(ToString::to_string),
                note: refund.note.to_string(),
                actor: refund.actor.to_string(),
                at: rfc3339(refund.at),
            })
        });
        shown.collect()
    }
}

impl ExceptionForm {
    /// Shows an exception of an invoice.
    ///
    /// # Errors
    /// A [`Violation`] when it is about no option of the invoice.
    pub fn render(dossier: &Dossier, exception: &Exception) -> Result<Self, Violation> {
        let finding = &exception.finding;
        let mut options = dossier.terms.options.iter();
        let option = options
            .find(|option| option.id == finding.subject.option())
            .ok_or_else(|| {
                let detail = format!("exception {} is about no option of it", exception.id);
                Violation::Damaged(detail)
            })?;
        let stake = Stake::of(dossier, option, finding).ok_or_else(|| {
            let detail = format!("exception {} is about no money of it", exception.id);
            Violation::Damaged(detail)
        })?;
        let brought = stake.brought(dossier);
        Ok(Self {
            id: exception.id.to_string(),
            object: "exception".into(),
            kind: finding.kind.as_str().into(),
            state: state(exception.resolved_at).into(),
            invoice_id: dossier.id.to_string(),
            option_id: Some(option.id.to_string()),
            address: Some(stake.address.into()),
            address_form: stake.form.map(Into::into),
            asset: Some(stake.asset.to_string()),
            amount: Some(finding.amount.decimal(stake.decimals)),
            amount_atomic: Some(finding.amount.to_string()),
            detail: stake.detail(),
            sighted_at: brought.iter().map(|one| one.sighted_at).min().map(rfc3339),
            tx_ids: tx_ids(&brought),
            opened_at: rfc3339(exception.opened_at),
            actions: actions(finding.kind),
            owner: owner(&dossier.decisions, exception.id).map(Into::into),
            resolved_at: exception.resolved_at.map(rfc3339),
            resolution: resolution(dossier, stake.decimals, exception),
        })
    }

    /// Shows that no claims are made about an invoice, with what people said to that.
    pub fn quarantined(quarantine: &Quarantine, notes: &[OperatorFact]) -> Self {
        let kind = ExceptionKind::Quarantined;
        Self {
            id: quarantine.id.to_string(),
            object: "exception".into(),
            kind: kind.as_str().into(),
            state: state(quarantine.resolved_at).into(),
            invoice_id: quarantine.invoice_id.to_string(),
            option_id: None,
            address: None,
            address_form: None,
            asset: None,
            amount: None,
            amount_atomic: None,
            detail: format!(
                "No claims are made about this invoice: {}. Payments to it are still recorded. Repair what \
                 is stored, then resolve this by ignore: the invoice is read again and comes back.",
                quarantine.violation
            ),
            tx_ids: Vec::new(),
            sighted_at: None,
            opened_at: rfc3339(quarantine.opened_at),
            actions: actions(kind),
            owner: owner(notes, quarantine.id).map(Into::into),
            resolved_at: quarantine.resolved_at.map(rfc3339),
            resolution: notes.iter().rev().find_map(released),
        }
    }
}

/// Whether there is still something to decide.
fn state(resolved_at: Option<UnixMillis>) -> &'static str {
    if resolved_at.is_none() {
        "open"
    } else {
        "resolved"
    }
}

fn actions(kind: ExceptionKind) -> Vec<String> {
    let actions = kind.actions().iter();
    actions.map(|action| action.as_str().into()).collect()
}

/// Who was last said to take care of it.
fn owner(decisions: &[OperatorFact], exception: ExceptionId) -> Option<&str> {
    let mut owners = decisions.iter().filter_map(|fact| match fact {
        OperatorFact::Assigned {
            exception: id,
            owner,
            ..
        } if *id == exception => Some(&**owner),
        _ => None,
    });
    owners.next_back()
}

fn released(fact: &OperatorFact) -> Option<Resolution> {
    let OperatorFact::Released(release) = fact else {
        return None;
    };
    Some(Resolution {
        action: Action::Ignore.as_str().into(),
        amount: None,
        reason: release.reason.to_string(),
        note: release.note.to_string(),
        tx_id: None,
        actor: release.actor.to_string(),
        at: rfc3339(release.at),
    })
}

fn resolution(dossier: &Dossier, decimals: u8, exception: &Exception) -> Option<Resolution> {
    let mut settled = dossier.decisions.iter().filter_map(|fact| match fact {
        OperatorFact::Settled(settled) if settled.exception == exception.id => Some(settled),
        _ => None,
    });
    let settled = settled.next_back()?;
    Some(Resolution {
        action: settled.action.as_str().into(),
        amount: Some(settled.amount.decimal(decimals)),
        reason: settled.reason.to_string(),
        note: settled.note.to_string(),
        tx_id: settled.tx_id.as_ref().map(ToString::to_string),
        actor: settled.actor.to_string(),
        at: rfc3339(settled.at),
    })
}

/// The transactions of these transfers, each once.
fn tx_ids(brought: &[&Transfer]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for transfer in brought {
        let id = transfer.tx_id.to_string();
        if limits::EXCEPTION_TRANSACTIONS_MAX <= ids.len() {
            break;
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The money that an exception is about.
struct Stake<'a> {
    option: &'a OptionTerms,
    finding: &'a Finding,
    asset: &'a AssetName,
    decimals: u8,
    address: &'a str,
    /// Which other form of the option's key that is the address of.
    form: Option<&'a str>,
    /// The path of the option's key.
    path: &'a str,
}

impl<'a> Stake<'a> {
    fn of(dossier: &'a Dossier, option: &'a OptionTerms, finding: &'a Finding) -> Option<Self> {
        let (asset, decimals) = dossier.asset_of(&finding.subject)?;
        let mut places = dossier.places.iter();
        let place = places.find(|place| place.option == option.id);
        let own = place.map_or("", |place| &place.address);
        let (address, form) = match &finding.subject {
            Subject::Option(_) | Subject::Stray { .. } => (own, None),
            Subject::Address { form, address, .. } => (&**address, Some(&**form)),
        };
        Some(Self {
            option,
            finding,
            asset,
            decimals,
            address,
            form,
            path: place.map_or("", |place| &place.path),
        })
    }

    /// The transfers that brought it, where it is money that never counts: those that left the chain too.
    fn brought(&self, dossier: &'a Dossier) -> Vec<&'a Transfer> {
        let brought = dossier.transfers_of(&self.finding.subject);
        let from = self.option.created_height;
        let is_meant = |transfer: &&Transfer| match self.finding.kind {
            ExceptionKind::Recoverable | ExceptionKind::WrongAsset | ExceptionKind::WrongChain => {
                true
            }
            ExceptionKind::Unattributed => {
                let is_older =
                    matches!(&transfer.place, Some(Place::Block(block)) if block.height < from);
                is_older || transfer.position.is_unexplained()
            }
            _ => false,
        };
        brought.filter(is_meant).collect()
    }

    fn detail(&self) -> String {
        let Self {
            option,
            address,
            path,
            ..
        } = self;
        let form = self.form.unwrap_or_default();
        let amount = self.finding.amount.decimal(self.decimals);
        let (symbol, paid_on) = (self.asset.symbol(), self.asset.chain());
        let due = option.due.decimal(option.decimals);
        match self.finding.kind {
            ExceptionKind::Underpaid => format!(
                "{amount} of {due} {symbol} came in time, and nothing more is on its way. Accept it as \
             enough, or send it back."
            ),
            ExceptionKind::Overpaid => {
                format!("{amount} {symbol} came above what is wanted. Keep it, or send it back.")
            }
            ExceptionKind::Late => {
                format!("{amount} {symbol} came after expiry. Accept it, or send it back.")
            }
            ExceptionKind::AfterWindow => format!(
                "{amount} {symbol} came after the late window. It does not count for this invoice. Send \
             it back, or keep it and say why."
            ),
            ExceptionKind::PaidAfterCancel => format!(
                "{amount} {symbol} is final at this canceled invoice. Accept it, or send it back."
            ),
            ExceptionKind::OtherOption => format!(
                "{amount} {symbol} is final at this option, and another option of the invoice leads. It \
             does not count there. Send it back, or keep it and say why."
            ),
            ExceptionKind::Recoverable => format!(
                "{amount} {symbol} went to {address}, the {form} form of the same key ({path}). It does \
             not count for this invoice. Your wallet can spend it when it is given the key in that \
             form."
            ),
            ExceptionKind::WrongAsset => format!(
                "{amount} {symbol} came to {address} on {paid_on}, where {} is asked for. It does not count for \
             this invoice. Your wallet can spend it: send it back, or keep it and say why.",
                option.asset
            ),
            ExceptionKind::WrongChain => format!(
                "{amount} {symbol} came to {address} on {paid_on}, and {} is asked for. It does not count for \
             this invoice. Your wallet can spend it on that chain: send it back, or keep it and say why.",
                option.asset
            ),
            ExceptionKind::Unattributed => format!(
                "{amount} {symbol} at {address} belongs to no invoice: it stands in a block from before this one, \
             or the balance differs by it and nothing tells why. Send it back, or keep it and say why."
            ),
            ExceptionKind::Reverted => format!(
                "{amount} {symbol} that was final left the chain. Hold back what is not shipped; this \
             closes itself when the money returns."
            ),
            ExceptionKind::DoubleSpent => format!(
                "{amount} {symbol} that was on its way will not come: its sender spent the money in \
             another transaction. Do not ship for it."
            ),
            ExceptionKind::Stuck => format!(
                "{amount} {symbol} came in time and is still not final. It may need a higher fee; wait, \
             or ask the payer."
            ),
            // No fold finds it.
            ExceptionKind::Quarantined => "No claims are made about this invoice.".into(),
        }
    }
}
