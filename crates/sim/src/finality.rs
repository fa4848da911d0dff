//! What makes money final: drawn for chains and for invoices, and as the API is told of it.

use paywatch_domain::{Commitment, Family, Finality, Tag};
use serde_json::{Value, json};

use crate::random::Random;
use crate::scenario::ChainPlan;

/// Draws a rule that a chain can keep.
pub fn draw(plan: &ChainPlan, random: &mut Random) -> Finality {
    let depth_max = i64::from(plan.depth);
    let depth = u32::try_from(random.between(1, depth_max)).unwrap_or(1);
    let (deep, shallow) = (Finality::Depth(plan.depth), Finality::Depth(depth));
    let marks = match plan.family {
        Family::Evm => [Tag::Safe, Tag::Finalized].map(Finality::Tag),
        Family::Solana => [Commitment::Confirmed, Commitment::Finalized].map(Finality::Commitment),
        Family::Bitcoin => return shallow,
    };
    if plan.marks.is_empty() {
        return shallow;
    }
    let [early, late] = marks;
    let rules = [
        shallow.clone(),
        early.clone(),
        late.clone(),
        Finality::Any(vec![shallow, early]),
        Finality::Any(vec![late, deep]),
    ];
    random
        .pick(&rules)
        .cloned()
        .unwrap_or(Finality::Depth(depth))
}

/// The rule as a request has it.
pub fn form(finality: &Finality) -> Value {
    match finality {
        Finality::Depth(depth) => json!({ "depth": depth }),
        Finality::Tag(tag) => json!({ "tag": tag.as_str() }),
        Finality::Commitment(commitment) => json!({ "commitment": commitment.as_str() }),
        Finality::Any(all) => json!({ "any": all.iter().map(form).collect::<Vec<_>>() }),
        // Nothing is accepted without a block in these worlds yet.
        Finality::Unconfirmed(_) => Value::Null,
    }
}
