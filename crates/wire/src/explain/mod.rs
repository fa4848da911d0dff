//! Why an invoice says what it says: in words, and as data.

mod awaited;
mod forms;
mod words;

use paywatch_domain::{
    Basis, Certainty, Dossier, Folded, LeftReason, OptionTerms, Place, Placement, RecordKind,
    Status, Transfer, TransferView, UnixMillis, Violation,
};

use crate::invoice::InvoiceTransfer;
use crate::record;
use crate::time::rfc3339;
pub use awaited::Awaited;
pub use forms::{ExplainedRule, ExplainedTransfer, Explanation, PlacementForm, Reason};
use words::{astray, so_far, when};

fn reason(code: &str, text: impl Into<String>) -> Reason {
    Reason {
        code: code.into(),
        text: text.into(),
    }
}

impl Explanation {
    /// Explains an invoice, as its fold says it. `history` holds the placements of all its transfers.
    ///
    /// # Errors
    /// A [`Violation`] when the dossier contradicts itself.
    pub fn render(
        dossier: &Dossier,
        folded: &Folded,
        history: &[Placement],
    ) -> Result<Self, Violation> {
        let options = dossier.terms.options.iter();
        Ok(Self {
            invoice_id: dossier.id.to_string(),
            object: "explanation".into(),
            status: folded.status.as_str().into(),
            next_action: next_action(folded),
            rules: options.map(|option| rule(dossier, option)).collect(),
            transfers: transfers(dossier, folded, history)?,
            awaited: folded.awaits.iter().map(Into::into).collect(),
            notes: record::all(dossier, RecordKind::Note),
            fulfilments: record::all(dossier, RecordKind::Fulfilment),
        })
    }
}

/// What the merchant does next: by the status alone, and by whether more money may come in time.
fn next_action(folded: &Folded) -> Reason {
    match folded.status {
        Status::Created => reason("show", "Show the payer how to pay."),
        Status::Detected => reason("wait", "Wait: the money has no block yet."),
        Status::Confirming => reason("wait", "Wait: the money is not final yet."),
        Status::Paid => reason("fulfil", "Fulfil the order."),
        Status::Overpaid => reason(
            "fulfil_and_decide",
            "Fulfil the order, and decide what to do with what was paid too much.",
        ),
        Status::Underpaid if folded.payable => reason(
            "ask_for_more",
            "Ask the payer for what is missing, or decide to take less.",
        ),
        Status::Underpaid => reason("decide", "Decide: take what came, or send it back."),
        Status::LatePaid => reason(
            "decide",
            "Decide: everything has come, but a part of it late.",
        ),
        Status::Expired => reason("cancel", "Cancel the order: nothing came in time."),
        Status::Canceled => reason("nothing", "Nothing: the invoice is canceled."),
        Status::Refunded => reason("close", "Close the order: everything was sent back."),
    }
}

/// Which rule holds for an option, and why.
fn rule(dossier: &Dossier, option: &OptionTerms) -> ExplainedRule {
    let (terms, policy) = (&dossier.terms, &dossier.terms.policy);
    let found = policy.rule(
        &option.asset,
        option.decimals,
        option.due,
        terms.price.as_ref(),
    );
    let found = found.ok().flatten();
    let named = policy.name.as_deref();
    let whose = named.map_or("the invoice's own policy".into(), |name| {
        format!("the policy {name}")
    });
    let due = format!(
        "{} {}",
        option.due.decimal(option.decimals),
        option.asset.symbol()
    );
    let (tier, basis) = found.map_or((None, Basis::Nothing), |rule| (Some(rule.tier), rule.basis));
    let held = match (basis, &terms.price) {
        (Basis::Price, Some(price)) => format!("the price {} {}", price.amount, price.currency),
        (Basis::Price | Basis::Due, _) => format!("what is due, {due},"),
        (Basis::Nothing, _) => String::new(),
    };
    let limit = |tier: usize| policy.tiers.get(tier).and_then(|tier| tier.up_to.as_ref());
    let up_to = tier.and_then(limit);
    let below = tier.and_then(|tier| tier.checked_sub(1)).and_then(limit);
    let why = match (tier, up_to, below) {
        (None, ..) => format!(
            "As {whose} has no tiers, the rule of the chain {} holds",
            option.asset.chain()
        ),
        (Some(tier), Some(limit), _) => format!(
            "Tier {} of {whose} holds, because {held} is not above {} {}",
            tier.saturating_add(1),
            limit.amount,
            limit.currency
        ),
        (Some(tier), None, Some(limit)) => format!(
            "Tier {} of {whose} holds, because {held} is above {} {}",
            tier.saturating_add(1),
            limit.amount,
            limit.currency
        ),
        (Some(_), None, None) => format!("The only tier of {whose} holds"),
    };
    ExplainedRule {
        option_id: option.id.to_string(),
        asset: option.asset.to_string(),
        policy: named.map(Into::into),
        tier: tier.map(|tier| tier.saturating_add(1)),
        basis: match basis {
            Basis::Price => "price",
            Basis::Due => "due",
            Basis::Nothing => "nothing",
        }
        .into(),
        up_to: up_to.map(Into::into),
        finality: (&option.finality).into(),
        text: format!("{why}: a payment is final {}.", when(&option.finality)),
    }
}

/// Every transfer with its reason and its history, in the order of the facts.
///
/// # Errors
/// A [`Violation`] when the dossier contradicts itself.
pub fn transfers(
    dossier: &Dossier,
    folded: &Folded,
    history: &[Placement],
) -> Result<Vec<ExplainedTransfer>, Violation> {
    let shown = InvoiceTransfer::all(dossier, folded)?;
    let facts = dossier.transfers.iter().zip(&folded.transfers).zip(shown);
    let explained = facts.map(|((transfer, view), shown)| {
        let own = history
            .iter()
            .filter(|placement| placement.transfer == transfer.id);
        let own: Vec<&Placement> = own.collect();
        let mut options = dossier.terms.options.iter();
        let option = options.find(|option| option.id == transfer.option);
        let option = option.ok_or(Violation::Foreign {
            transfer: transfer.id,
        })?;
        Ok(ExplainedTransfer {
            transfer: shown,
            reason: why(dossier, option, transfer, view, own.last().copied()),
            placements: own.into_iter().map(Into::into).collect(),
        })
    });
    explained.collect()
}

/// Why a transfer counts, or why it does not.
fn why(
    dossier: &Dossier,
    option: &OptionTerms,
    transfer: &Transfer,
    view: &TransferView,
    last: Option<&Placement>,
) -> Reason {
    if let Some((code, text)) = astray(option, transfer) {
        return reason(code, text);
    }
    let (sighted, terms) = (rfc3339(transfer.sighted_at), &dossier.terms);
    match (&transfer.place, view.certainty) {
        (None, _) | (_, Certainty::Gone) if transfer.position.is_of_balance() => {
            let text = "Not counted: blocks that were read again tell of this money, or its block left the chain.";
            return reason("told_otherwise", text);
        }
        (None, _) | (_, Certainty::Gone) => return gone(last),
        (Some(Place::Block(block)), _) if !view.stands => {
            let (at, from) = (block.height, option.created_height);
            let text = format!(
                "Not counted: its block {at} is below height {from}, from which the invoice counts."
            );
            return reason("below_creation", text);
        }
        (Some(_), _) if !view.counted => {
            let until = rfc3339(terms.late_until);
            let text = format!(
                "Not counted: it was first seen at {sighted}, after the late window ended at {until}."
            );
            return reason("after_window", text);
        }
        (Some(_), Certainty::Seen | Certainty::Confirming | Certainty::Final) => {}
    }
    let late = if view.in_time {
        String::new()
    } else {
        format!(
            " It is late: first seen at {sighted}, after the expiry at {}.",
            rfc3339(terms.expires_at)
        )
    };
    let dust = if transfer.amount < option.dust {
        let dust = option.dust.decimal(option.decimals);
        format!(" It is below {dust}, so it changes no status by itself.")
    } else {
        String::new()
    };
    let state = match view.certainty {
        Certainty::Final => "final".to_owned(),
        Certainty::Gone | Certainty::Seen | Certainty::Confirming => {
            format!("not final: {}", so_far(&view.progress))
        }
    };
    let source = if transfer.position.is_of_balance() {
        " The balance of the address told of it: a contract paid, and no transaction is known."
    } else {
        ""
    };
    let code = match (view.in_time, dust.is_empty(), view.certainty) {
        (_, false, _) => "dust",
        (false, ..) => "late",
        (true, true, Certainty::Final) => "final",
        (true, true, Certainty::Gone | Certainty::Seen | Certainty::Confirming) => "not_final",
    };
    reason(code, format!("Counted, and {state}.{source}{late}{dust}"))
}

/// Why a transfer stands nowhere.
fn gone(last: Option<&Placement>) -> Reason {
    match last.and_then(|placement| placement.left) {
        Some((_, LeftReason::Replaced)) => reason(
            "replaced",
            "Not counted: another transaction spends the same money and took its place.",
        ),
        Some((_, LeftReason::Conflicted)) => reason(
            "conflicted",
            "Not counted: a block holds another transaction that spends the same money.",
        ),
        Some((_, LeftReason::Evicted)) => reason(
            "evicted",
            "Not counted: the node dropped it from its mempool.",
        ),
        Some((_, LeftReason::Reorged)) => reason(
            "reorged",
            "Not counted: its block left the chain, and it stands in no other.",
        ),
        Some((_, LeftReason::Mined)) | None => reason("gone", "Not counted: it stands nowhere."),
    }
}

impl From<&Placement> for PlacementForm {
    fn from(placement: &Placement) -> Self {
        let block = match &placement.place {
            Place::Mempool => None,
            Place::Block(block) => Some(block),
        };
        let left = placement.left;
        let time = |(at, _): (UnixMillis, LeftReason)| rfc3339(at);
        Self {
            place: block.map_or("mempool", |_| "block").into(),
            block_height: block.map(|block| block.height),
            block_hash: block.map(|block| block.hash.to_string()),
            entered_at: rfc3339(placement.entered_at),
            left_at: left.map(time),
            left_reason: left.map(|(_, reason)| reason.as_str().into()),
        }
    }
}
