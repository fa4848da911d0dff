//! Reads a block in the mode `accounts`: what each transaction brought to whom, by balances before and after.
//!
//! No instruction is looked at, so it does not matter which programs moved the money, how often and through
//! whom. Keys and amounts are borrowed from the answer, and base58 is compared as text, as every key has one
//! text form; what nobody asks for is skipped over.

use std::ops::Range;

use paywatch_chain::rpc::Received;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::fault::Fault;
use crate::links::{Header, Links};

/// A block as it was read: its links, and what its transactions brought.
#[derive(Debug)]
pub struct ReadBlock {
    /// Its links.
    pub header: Header,
    /// The answer, of which everything else is a part.
    answer: Received,
    transactions: Vec<Spans>,
}

/// What a transaction brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment<'a> {
    /// Its first signature, which is its id.
    pub(crate) id: &'a str,
    /// Who has more than before, and of what.
    pub(crate) gains: Vec<Gain<&'a str>>,
    /// Accounts that it names without signing for them or changing them, in its order.
    pub(crate) references: Vec<&'a str>,
}

/// What an owner has more than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gain<T> {
    pub(crate) owner: T,
    /// Of which token; `None` for lamports.
    pub(crate) mint: Option<T>,
    pub(crate) amount: u128,
}

/// A part of the answer.
type Span = Range<usize>;

#[derive(Debug)]
struct Spans {
    id: Span,
    gains: Vec<Gain<Span>>,
    references: Vec<Span>,
}

/// The links stand here again, so that the answer is walked once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockForm<'a> {
    #[serde(borrow)]
    blockhash: &'a str,
    previous_blockhash: &'a str,
    parent_slot: u64,
    block_time: Option<i64>,
    transactions: Vec<TransactionForm<'a>>,
}

#[derive(Deserialize)]
struct TransactionForm<'a> {
    #[serde(borrow)]
    transaction: KeysForm<'a>,
    meta: MetaForm<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeysForm<'a> {
    #[serde(borrow)]
    account_keys: Vec<KeyForm<'a>>,
    signatures: Vec<&'a str>,
}

#[derive(Deserialize)]
struct KeyForm<'a> {
    pubkey: &'a str,
    signer: bool,
    writable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaForm<'a> {
    #[serde(deserialize_with = "present")]
    err: Option<IgnoredAny>,
    pre_balances: Vec<u64>,
    post_balances: Vec<u64>,
    #[serde(borrow)]
    pre_token_balances: Vec<TokenForm<'a>>,
    post_token_balances: Vec<TokenForm<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenForm<'a> {
    mint: &'a str,
    owner: &'a str,
    #[serde(borrow)]
    ui_token_amount: AmountForm<'a>,
}

/// Only the raw count is read: the other forms are rounded, and scaled by what a mint says at the time.
#[derive(Deserialize)]
struct AmountForm<'a> {
    amount: &'a str,
}

/// Reads a field that must be there, also where it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IgnoredAny>, D::Error> {
    Option::deserialize(deserializer)
}

/// Reads an answer to `getBlock` of this slot with `transactionDetails` `accounts`; `None` where it is `null`.
pub fn read_block(slot: u64, answer: Received) -> Result<Option<ReadBlock>, Fault> {
    let Some(block) = answer.result::<Option<BlockForm<'_>>>()? else {
        return Ok(None);
    };
    let links = Links {
        blockhash: block.blockhash,
        previous_blockhash: block.previous_blockhash,
        parent_slot: block.parent_slot,
        block_time: block.block_time,
    };
    let header = Header::new(slot, &links);
    let transactions = block.transactions.iter().enumerate();
    let spans =
        transactions.filter_map(|(number, form)| spans(answer.text(), number, form).transpose());
    let transactions = spans.collect::<Result<_, _>>()?;
    Ok(Some(ReadBlock {
        header,
        answer,
        transactions,
    }))
}

impl ReadBlock {
    /// How many bytes the answer has.
    pub fn bytes(&self) -> usize {
        self.answer.text().len()
    }

    /// The transactions that brought something to somebody.
    pub(crate) fn payments(&self) -> impl Iterator<Item = Payment<'_>> {
        let part = |span: &Span| self.answer.text().get(span.clone()).unwrap_or_default();
        self.transactions.iter().map(move |spans| Payment {
            id: part(&spans.id),
            gains: spans
                .gains
                .iter()
                .map(|gain| Gain {
                    owner: part(&gain.owner),
                    mint: gain.mint.as_ref().map(part),
                    amount: gain.amount,
                })
                .collect(),
            references: spans.references.iter().map(part).collect(),
        })
    }
}

/// What a transaction brought; `None` for one that failed or brought nobody anything.
fn spans(text: &str, number: usize, form: &TransactionForm<'_>) -> Result<Option<Spans>, Fault> {
    let wrong = |detail| Fault::Transaction { number, detail };
    let (keys, meta) = (&form.transaction.account_keys, &form.meta);
    let id = form.transaction.signatures.first();
    let id = id.ok_or_else(|| wrong("it has no signature"))?;
    if meta.pre_balances.len() != keys.len() || meta.post_balances.len() != keys.len() {
        return Err(wrong("it does not have two balances for each account"));
    }
    if meta.err.is_some() {
        return Ok(None);
    }
    let mut gains = token_gains(meta).map_err(wrong)?;
    let lamports = meta.pre_balances.iter().zip(&meta.post_balances);
    for (key, (before, after)) in keys.iter().zip(lamports) {
        if let Some(more) = after.checked_sub(*before).filter(|more| *more != 0) {
            gains.push(Gain {
                owner: key.pubkey,
                mint: None,
                amount: more.into(),
            });
        }
    }
    if gains.is_empty() {
        return Ok(None);
    }
    let span = |part: &str| span_of(text, part);
    let references = keys.iter().filter(|key| !key.signer && !key.writable);
    Ok(Some(Spans {
        id: span(id),
        gains: gains
            .into_iter()
            .map(|gain| Gain {
                owner: span(gain.owner),
                mint: gain.mint.map(span),
                amount: gain.amount,
            })
            .collect(),
        references: references.map(|key| span(key.pubkey)).collect(),
    }))
}

/// What owners have more of tokens: the sum over all their accounts of one mint. An account that was opened,
/// closed or handed over stands in one of the lists only.
fn token_gains<'a>(meta: &MetaForm<'a>) -> Result<Vec<Gain<&'a str>>, &'static str> {
    let sides = [
        (false, &meta.pre_token_balances),
        (true, &meta.post_token_balances),
    ];
    let mut entries = Vec::new();
    for (is_after, balances) in sides {
        for balance in balances {
            let amount: u64 = balance
                .ui_token_amount
                .amount
                .parse()
                .map_err(|_| "a token balance is no number")?;
            entries.push((balance.owner, balance.mint, is_after, u128::from(amount)));
        }
    }
    entries.sort_unstable();
    let mut gains = Vec::new();
    let of_one = |one: &(&str, &str, bool, u128), other: &(&str, &str, bool, u128)| {
        (one.0, one.1) == (other.0, other.1)
    };
    for entries in entries.chunk_by(of_one) {
        let sum = |side: bool| {
            let side = entries.iter().filter(move |entry| entry.2 == side);
            side.fold(0, |sum: u128, entry| sum.saturating_add(entry.3))
        };
        let more = sum(true).saturating_sub(sum(false));
        if let (Some((owner, mint, ..)), true) = (entries.first(), more != 0) {
            gains.push(Gain {
                owner: *owner,
                mint: Some(*mint),
                amount: more,
            });
        }
    }
    Ok(gains)
}

/// Where a part that was borrowed from a text stands in it.
fn span_of(text: &str, part: &str) -> Span {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start.saturating_add(part.len())
}
