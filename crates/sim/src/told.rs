//! What an event says, as somebody reads it who has nothing of paywatch but its documents.

use serde::Deserialize;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// When it was said, as RFC 3339 text.
    pub at: String,
    /// The invoice that it is about.
    pub invoice: Option<Shown>,
}

/// An invoice, as events and answers show it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// The merchant's own reference.
    pub order_id: Option<String>,
    /// The number of its last event.
    pub version: u64,
    /// Its status.
    pub status: String,
    /// Chains that it waits for.
    pub waiting_for: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// When its window closes.
    pub expires_at: String,
    /// When its late window closes.
    pub late_until: String,
    /// The ways to pay.
    pub options: Vec<ShownOption>,
    /// What was seen on chain.
    pub transfers: Vec<ShownTransfer>,
    /// What a person has or had to decide.
    pub exceptions: Vec<ShownException>,
}

/// Something that a person has or had to decide.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ShownException {
    /// What there is to decide.
    pub kind: String,
    /// `open` or `resolved`.
    pub state: String,
    /// The option that it is about.
    pub option_id: Option<String>,
    /// The address that it is about.
    pub address: Option<String>,
    /// What was paid.
    pub asset: Option<String>,
    /// What is at stake, in atomic units.
    pub amount_atomic: Option<String>,
}

/// An option of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ShownOption {
    /// Its id.
    pub id: String,
    /// What is to be paid.
    pub asset: String,
    /// Where.
    pub address: String,
    /// Its own status.
    pub status: String,
    /// Its sums.
    pub tally: ShownTally,
}

/// Sums of an option, as decimal texts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ShownTally {
    /// Everything in time.
    pub seen: String,
    /// In time, in blocks, not final.
    pub confirming: String,
    /// In time and final.
    #[serde(rename = "final")]
    pub finalized: String,
    /// Everything late.
    pub late: String,
}

/// A transfer of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ShownTransfer {
    /// Its id.
    pub id: String,
    /// Whose address was paid.
    pub option_id: String,
    /// `payment`, or what it is instead.
    pub role: String,
    /// What was paid.
    pub asset: String,
    /// How much, in atomic units.
    pub amount_atomic: String,
    /// The transaction.
    pub tx_id: String,
    /// Where in it.
    pub position: String,
    /// Its block.
    pub block_hash: Option<String>,
    /// When it was first seen.
    pub sighted_at: String,
    /// When it was first said to be final.
    pub final_at: Option<String>,
    /// `seen`, `confirming`, `final` or `gone`.
    pub certainty: String,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    invoice: Option<Shown>,
}

impl Told {
    /// Reads an event's body.
    pub fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let event: Event = serde_json::from_slice(body)?;
        Ok(Self {
            id: event.id,
            kind: event.kind,
            at: event.timestamp,
            invoice: event.data.invoice,
        })
    }
}
