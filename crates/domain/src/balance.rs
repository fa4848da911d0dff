//! Balances: what came to an address without any block saying so.
//!
//! Where nodes do not tell what contracts pay, the balance of an address tells it: what is there, and what
//! left it by its own transactions, against what was there before and what blocks say that came. Nothing
//! that leaves an address lowers what it got.

use std::fmt::Write;

use crate::amount::Amount;
use crate::chain::{Position, TxId};

/// How transactions that nobody knows are called.
const BALANCE: &str = "balance:";
/// Where a difference stands that nothing explains.
const UNEXPLAINED: &str = "unexplained:";

/// What stood at an address at the end of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// How much of the chain's coin.
    pub balance: Amount,
    /// How many transactions it had sent.
    pub nonce: u64,
}

/// What blocks say of an address, from one look at its balance to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flows {
    /// What came to it.
    pub credited: Amount,
    /// How many transactions it sent.
    pub sent: u64,
    /// What these took from it, fees included; `None` when the blocks do not tell all of it.
    pub paid: Option<Amount>,
}

/// What a look at a balance found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What blocks explain.
    Expected,
    /// So much came besides.
    Came(Amount),
    /// It differs by so much, and nothing tells why.
    Unexplained(Amount),
    /// The number of sent transactions is needed to tell.
    Open,
}

impl Default for Flows {
    fn default() -> Self {
        Self {
            credited: Amount::ZERO,
            sent: 0,
            paid: Some(Amount::ZERO),
        }
    }
}

impl Flows {
    /// The same with something that came.
    #[must_use]
    pub fn credit(self, amount: Amount) -> Self {
        let credited = self.credited.checked_add(amount);
        Self {
            // All coins of a chain together are far below the largest number.
            credited: credited.unwrap_or(self.credited),
            ..self
        }
    }

    /// The same with a transaction that it sent, and what that took.
    #[must_use]
    pub fn outflow(self, amount: Option<Amount>) -> Self {
        let both = self.paid.zip(amount);
        Self {
            sent: self.sent.saturating_add(1),
            paid: both.and_then(|(paid, amount)| paid.checked_add(amount)),
            ..self
        }
    }

    /// What the balance must be after `before`, for those that sent nothing: then a balance tells all.
    pub fn expected(&self, before: Account) -> Option<Amount> {
        let had = before.balance.checked_add(self.credited);
        had.filter(|_| self.sent == 0)
    }

    /// Compares a balance with what was there before and what blocks say. `nonce` is the number of
    /// transactions that were sent by then, where it is known.
    pub fn judge(&self, before: Account, balance: Amount, nonce: Option<u64>) -> Verdict {
        let Some(had) = before.balance.checked_add(self.credited) else {
            return Verdict::Unexplained(balance);
        };
        let Some(has) = self.paid.and_then(|paid| balance.checked_add(paid)) else {
            // What was sent took something that no block tells; more than before is there by nothing known.
            return match balance.checked_sub(had) {
                Some(more) if !more.is_zero() => Verdict::Unexplained(more),
                _ => Verdict::Expected,
            };
        };
        if has == had {
            return Verdict::Expected;
        }
        let Some(nonce) = nonce else {
            return Verdict::Open;
        };
        let are_all_seen = before.nonce.checked_add(self.sent) == Some(nonce);
        match has.checked_sub(had) {
            Some(came) if are_all_seen => Verdict::Came(came),
            Some(more) => Verdict::Unexplained(more),
            None => Verdict::Unexplained(had.saturating_sub(has)),
        }
    }
}

/// The blocks between two looks at a balance: above one height, up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The height of the block after which it was looked at before.
    pub above: u64,
    /// The height of the block after which it was looked at then.
    pub to: u64,
}

impl Window {
    /// What stands for the transaction that brought a difference to the address with this key.
    pub fn tx_id(self, key: &[u8]) -> TxId {
        TxId::new(&format!(
            "{BALANCE}{}-{}:{}",
            self.above,
            self.to,
            hexadecimal(key)
        ))
    }

    /// The window of such a transaction; `None` for a real one.
    pub fn of(tx_id: &TxId) -> Option<Self> {
        let (heights, _) = tx_id.as_str().strip_prefix(BALANCE)?.split_once(':')?;
        let (above, to) = heights.split_once('-')?;
        Some(Self {
            above: above.parse().ok()?,
            to: to.parse().ok()?,
        })
    }

    /// Whether a block of this height is one of them.
    pub fn holds(self, height: u64) -> bool {
        self.above < height && height <= self.to
    }
}

impl Position {
    /// The place of what the balance of the address with this key shows to have come.
    pub fn of_balance(key: &[u8]) -> Self {
        Self::new(&format!("{BALANCE}{}", hexadecimal(key)))
    }

    /// The place of what is left of it, when blocks that were read again tell of the rest.
    pub fn of_balance_left(key: &[u8], left: Amount) -> Self {
        Self::new(&format!("{BALANCE}{}:{left}", hexadecimal(key)))
    }

    /// The place of a difference that nothing explains.
    pub fn of_unexplained(key: &[u8]) -> Self {
        Self::new(&format!("{UNEXPLAINED}{}", hexadecimal(key)))
    }

    /// Whether a balance tells of it, and no block.
    pub fn is_of_balance(&self) -> bool {
        self.as_str().starts_with(BALANCE) || self.is_unexplained()
    }

    /// Whether it is a difference that nothing explains; never credited.
    pub fn is_unexplained(&self) -> bool {
        self.as_str().starts_with(UNEXPLAINED)
    }
}

fn hexadecimal(key: &[u8]) -> String {
    let mut text = String::from("0x");
    for byte in key {
        // Writing to a text does not fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}
