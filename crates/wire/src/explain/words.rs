//! Finality and how far a transfer is from it, and why money is no payment, in words.

use paywatch_domain::{Finality, OptionTerms, Progress, Role, Transfer};

/// When a payment is final, in words.
pub(super) fn when(finality: &Finality) -> String {
    match finality {
        Finality::Depth(1) => "with 1 block".into(),
        Finality::Depth(depth) => format!("with {depth} blocks"),
        Finality::Tag(tag) => format!("when the tag {} reaches its block", tag.as_str()),
        Finality::Commitment(commitment) => {
            format!(
                "when the commitment {} reaches its block",
                commitment.as_str()
            )
        }
        Finality::Unconfirmed(rule) => format!(
            "without a block up to {} {} after {} seconds in the mempool, when its transaction keeps the \
             rules for that",
            rule.max.amount, rule.max.currency, rule.seen_s
        ),
        Finality::Any(alternatives) => {
            let words: Vec<String> = alternatives.iter().map(when).collect();
            words.join(", or ")
        }
    }
}

/// How far a transfer is from final, in words.
pub(super) fn so_far(progress: &Progress) -> String {
    let mark = |name: &str, have: &Option<u64>, need: &Option<u64>| match (have, need) {
        (_, None) => "it has no block".to_owned(),
        (None, Some(need)) => format!("{name} is not known, and its block is {need}"),
        (Some(have), Some(need)) => format!("{name} is at {have}, and its block is {need}"),
    };
    match progress {
        Progress::Depth { have, need } => format!("it has {have} of {need} blocks"),
        Progress::Tag { tag, have, need } => mark(&format!("the tag {}", tag.as_str()), have, need),
        Progress::Commitment {
            commitment,
            have,
            need,
        } => mark(
            &format!("the commitment {}", commitment.as_str()),
            have,
            need,
        ),
        Progress::Unconfirmed {
            have_s,
            need_s,
            refusals,
        } if refusals.is_empty() => {
            format!("it has been seen for {have_s} of {need_s} seconds")
        }
        Progress::Unconfirmed { refusals, .. } => {
            let words: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            format!(
                "it is not accepted without a block, because {}",
                words.join(" and ")
            )
        }
        Progress::Any(alternatives) => {
            let words: Vec<String> = alternatives.iter().map(so_far).collect();
            words.join(", and ")
        }
    }
}

/// Why money at a key of an option is no payment of it, with a stable word; `None` when it is one.
pub(super) fn astray(option: &OptionTerms, transfer: &Transfer) -> Option<(&'static str, String)> {
    let (paid, wanted) = (&transfer.asset, &option.asset);
    match &transfer.role {
        Role::Payment if !transfer.is_payment() => {
            let text = "Not counted: the balance of the address differs by this amount, and nothing tells why.";
            Some(("unexplained", text.to_owned()))
        }
        Role::Payment => None,
        Role::Sibling { form, .. } => {
            let text = format!(
                "Not counted: it went to another form of the key ({form}), which is never credited."
            );
            Some(("other_form", text))
        }
        Role::Stray { .. } if paid.chain() == wanted.chain() => {
            let text = format!(
                "Not counted: it is {paid}, and {wanted} is asked for; another asset is never credited."
            );
            Some(("wrong_asset", text))
        }
        Role::Stray { .. } => {
            let text = format!(
                "Not counted: it came on {}, and {wanted} is asked for; another chain is never credited.",
                paid.chain()
            );
            Some(("wrong_chain", text))
        }
    }
}
