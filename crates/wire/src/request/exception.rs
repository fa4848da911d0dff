//! What merchants decide about exceptions, and the refunds that they record.

use paywatch_domain::{Action, OptionId, TxId, limits};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::fields::{Faults, Fields};
use super::{Body, Request};
use crate::field::Code;

/// Decides about an exception.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ResolveException {
    /// What is decided; `assign` decides nothing and names who takes care of it.
    #[schemars(with = "String", extend("enum" = action_names()))]
    pub action: Option<Action>,
    /// Why, in a word of the merchant's own; needed to ignore.
    pub reason: Option<String>,
    /// Anything else.
    pub note: Option<String>,
    /// Who takes care of it; needed to assign.
    pub owner: Option<String>,
    /// With `refund`: how much, in the asset's own unit; all that is at stake when nothing is said.
    pub amount: Option<String>,
    /// With `refund`: the transaction; none when it was set off in another way.
    #[schemars(with = "Option<String>")]
    pub tx_id: Option<TxId>,
}

/// Records money that was sent back.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields, transform = with_offset)]
pub struct RecordRefund {
    /// How much, in the asset's own unit.
    pub amount: String,
    /// The transaction; needed unless `offset` is true.
    #[schemars(with = "Option<String>")]
    pub tx_id: Option<TxId>,
    /// The option whose money it was; may be left out where only one option has final money.
    #[schemars(rename = "option_id", with = "Option<String>")]
    pub option: Option<OptionId>,
    /// Anything else.
    pub note: Option<String>,
}

/// What `action` may say.
fn action_names() -> Vec<&'static str> {
    let decisions = Action::ALL.iter().map(|action| action.as_str());
    decisions.chain([ASSIGN]).collect()
}

/// A refund without a transaction says so in a field that is not kept.
fn with_offset(schema: &mut Schema) {
    let offset = json!({
        "type": ["boolean", "null"],
        "description": "Set to true when the money was set off in another way: there is no transaction.",
    });
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("offset".into(), offset);
    }
}

/// Names who takes care of an exception, and decides nothing.
const ASSIGN: &str = "assign";

const ACTIONS: &str = "must be accept, accept_partial, refund, ignore or assign";

impl Request for ResolveException {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let text = fields.text("action", limits::TEXT_CHARS_MAX);
        let text = fields.require("action", text);
        let is_assign = text.as_deref() == Some(ASSIGN);
        let action = text.as_deref().and_then(Action::parse);
        if text.is_some() && action.is_none() && !is_assign {
            fields.refuse("action", Code::WordUnknown, ACTIONS);
        }
        let mut reason = fields.text("reason", limits::TEXT_CHARS_MAX);
        if action == Some(Action::Ignore) {
            reason = fields.require("reason", reason);
        }
        let note = fields.pasted("note", limits::NOTE_CHARS_MAX);
        let mut owner = fields.text("owner", limits::TEXT_CHARS_MAX);
        if is_assign {
            owner = fields.require("owner", owner);
        }
        let amount = fields.amount_text("amount");
        let tx_id = tx_id(&mut fields);
        if action != Some(Action::Refund) {
            let given = [("amount", amount.is_some()), ("tx_id", tx_id.is_some())];
            for (name, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                let detail = "belongs to the action `refund` only";
                fields.refuse(name, Code::WordUnknown, detail);
            }
        }
        fields.finish();
        Some(Self {
            action,
            reason,
            note,
            owner,
            amount,
            tx_id,
        })
    }
}

impl Request for RecordRefund {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let amount = fields.amount_text("amount");
        let amount = fields.require("amount", amount);
        let tx_id = tx_id(&mut fields);
        let is_offset = match fields.value("offset") {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(_) => {
                fields.refuse("offset", Code::TypeInvalid, "must be true or false");
                true
            }
        };
        if tx_id.is_some() == is_offset {
            let detail = "name the transaction, or say `\"offset\": true` when the money was set off \
                          in another way";
            fields.refuse("tx_id", Code::Required, detail);
        }
        let option = fields.text("option_id", limits::TEXT_CHARS_MAX);
        let option = option.and_then(|text| {
            let id = text.parse::<OptionId>().ok();
            if id.is_none() {
                fields.refuse("option_id", Code::IdInvalid, "must be the id of an option");
            }
            id
        });
        let note = fields.pasted("note", limits::NOTE_CHARS_MAX);
        fields.finish();
        Some(Self {
            amount: amount?,
            tx_id,
            option,
            note,
        })
    }
}

fn tx_id(fields: &mut Fields<'_>) -> Option<TxId> {
    let text = fields.text("tx_id", limits::TEXT_CHARS_MAX)?;
    Some(TxId::new(&text))
}
