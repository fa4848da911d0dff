//! Reads a block in the mode `accounts`: what each transaction brought to whom, by balances before and after.
//!
//! No instruction is looked at, so it does not matter which programs moved the money, how often and through
//! whom. Keys and amounts are borrowed from the answer, and base58 is compared as text, as every key has one
//! text form; what nobody asks for is skipped over.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use paywatch_chain::rpc::Received;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::fault::Fault;
use crate::links::{Header, Links};

/// How many accounts a transaction has at most in most cases.
const ACCOUNTS: usize = 24;

/// A block as it was read: its links, and what its transactions brought.
#[derive(Debug)]
pub struct ReadBlock {
    /// Its links.
    pub header: Header,
    /// The answer, of which everything else is a part.
    answer: Received,
    brought: Brought<Span>,
}

/// Something of which an owner has more after a transaction than before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gain<T> {
    /// Which of the transactions that brought something.
    transaction: usize,
    pub(crate) owner: T,
    /// Of which token; `None` for lamports.
    pub(crate) mint: Option<T>,
    pub(crate) amount: u128,
}

/// A part of the answer.
type Span = Range<usize>;

/// What the transactions of a block brought, in its order; one that failed or brought nobody anything is left
/// out. The lists are long ones: a block has thousands of transactions.
#[derive(Debug)]
struct Brought<T> {
    transactions: Vec<Transaction<T>>,
    gains: Vec<Gain<T>>,
    /// Accounts that a transaction names without signing for them or changing them.
    references: Vec<T>,
}

#[derive(Debug)]
struct Transaction<T> {
    /// Its first signature.
    id: T,
    /// Which of the references are its own.
    references: Range<usize>,
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
    transactions: Transactions<'a>,
}

/// What the transactions brought. Each is forgotten before the next one is read.
struct Transactions<'a>(Result<Brought<&'a str>, Fault>);

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
    account_keys: List<KeyForm<'a>>,
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
    pre_balances: List<u64>,
    post_balances: List<u64>,
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

/// A list with an entry for each account, for which room is made once.
struct List<T>(Vec<T>);

/// Reads a field that must be there, also where it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IgnoredAny>, D::Error> {
    Option::deserialize(deserializer)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Walk<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list with an entry for each account")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut entries = Vec::with_capacity(ACCOUNTS);
                while let Some(entry) = list.next_element()? {
                    entries.push(entry);
                }
                Ok(List(entries))
            }
        }

        deserializer.deserialize_seq(Walk(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Transactions<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk<'a>(PhantomData<&'a str>);

        impl<'de: 'a, 'a> Visitor<'de> for Walk<'a> {
            type Value = Transactions<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of transactions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut brought = Brought {
                    transactions: Vec::new(),
                    gains: Vec::new(),
                    references: Vec::new(),
                };
                let (mut number, mut fault) = (0_usize, None);
                while let Some(form) = list.next_element()? {
                    if let (None, Err(detail)) = (&fault, brought.add(&form)) {
                        fault = Some(Fault::Transaction { number, detail });
                    }
                    number = number.saturating_add(1);
                }
                Ok(Transactions(fault.map_or(Ok(brought), Err)))
            }
        }

        deserializer.deserialize_seq(Walk(PhantomData))
    }
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
    let brought = block.transactions.0?;
    let brought = brought.map(|part| span_of(answer.text(), part));
    Ok(Some(ReadBlock {
        header,
        answer,
        brought,
    }))
}

impl ReadBlock {
    /// How many bytes the answer has.
    pub fn bytes(&self) -> usize {
        self.answer.text().len()
    }

    /// What its transactions brought to whom.
    pub(crate) fn gains(&self) -> impl Iterator<Item = Gain<&str>> {
        let gains = self.brought.gains.iter();
        gains.map(|gain| gain.map(|span| self.part(span)))
    }

    /// The first signature of the transaction that brought something, which is its id.
    pub(crate) fn id(&self, gain: &Gain<&str>) -> &str {
        let transaction = self.brought.transactions.get(gain.transaction);
        transaction.map_or("", |transaction| self.part(&transaction.id))
    }

    /// The accounts that this transaction names without signing for them or changing them, in its order.
    pub(crate) fn references(&self, gain: &Gain<&str>) -> impl Iterator<Item = &str> {
        let transaction = self.brought.transactions.get(gain.transaction);
        let which = transaction.map_or(0..0, |transaction| transaction.references.clone());
        let references = self.brought.references.get(which).unwrap_or_default();
        references.iter().map(|span| self.part(span))
    }

    fn part(&self, span: &Span) -> &str {
        self.answer.text().get(span.clone()).unwrap_or_default()
    }
}

impl<T> Gain<T> {
    fn map<'s, U>(&'s self, change: impl Fn(&'s T) -> U) -> Gain<U> {
        Gain {
            transaction: self.transaction,
            owner: change(&self.owner),
            mint: self.mint.as_ref().map(change),
            amount: self.amount,
        }
    }
}

impl<'a> Brought<&'a str> {
    /// Adds what a transaction brought.
    fn add(&mut self, form: &TransactionForm<'a>) -> Result<(), &'static str> {
        let (List(keys), meta) = (&form.transaction.account_keys, &form.meta);
        let (List(before), List(after)) = (&meta.pre_balances, &meta.post_balances);
        let id = form.transaction.signatures.first();
        let id = *id.ok_or("it has no signature")?;
        if before.len() != keys.len() || after.len() != keys.len() {
            return Err("it does not have two balances for each account");
        }
        if meta.err.is_some() {
            return Ok(());
        }
        let start = self.gains.len();
        self.add_tokens(meta)?;
        for (key, (before, after)) in keys.iter().zip(before.iter().zip(after)) {
            let more = after.checked_sub(*before).unwrap_or_default();
            self.gain(key.pubkey, None, more.into());
        }
        if start < self.gains.len() {
            let from = self.references.len();
            let references = keys.iter().filter(|key| !key.signer && !key.writable);
            self.references.extend(references.map(|key| key.pubkey));
            let references = from..self.references.len();
            self.transactions.push(Transaction { id, references });
        }
        Ok(())
    }

    /// Adds what owners have more of tokens: the sum over all their accounts of one mint. An account that was
    /// opened, closed or handed over stands in one of the lists only.
    fn add_tokens(&mut self, meta: &MetaForm<'a>) -> Result<(), &'static str> {
        let (before, after) = (&meta.pre_token_balances, &meta.post_token_balances);
        let mut entries = Vec::with_capacity(before.len().saturating_add(after.len()));
        for (is_after, balances) in [(false, before), (true, after)] {
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
        let of_one = |one: &(&str, &str, bool, u128), other: &(&str, &str, bool, u128)| {
            (one.0, one.1) == (other.0, other.1)
        };
        for entries in entries.chunk_by(of_one) {
            let sum = |side: bool| {
                let side = entries.iter().filter(move |entry| entry.2 == side);
                side.fold(0, |sum: u128, entry| sum.saturating_add(entry.3))
            };
            if let Some((owner, mint, ..)) = entries.first() {
                let more = sum(true).saturating_sub(sum(false));
                self.gain(owner, Some(mint), more);
            }
        }
        Ok(())
    }

    /// Adds what an owner got in the transaction that is added next, if it is anything.
    fn gain(&mut self, owner: &'a str, mint: Option<&'a str>, amount: u128) {
        if amount != 0 {
            self.gains.push(Gain {
                transaction: self.transactions.len(),
                owner,
                mint,
                amount,
            });
        }
    }

    fn map(self, span: impl Fn(&str) -> Span) -> Brought<Span> {
        let transactions = self.transactions.into_iter().map(|one| Transaction {
            id: span(one.id),
            references: one.references,
        });
        let gains = self.gains.iter().map(|gain| gain.map(|part| span(part)));
        Brought {
            transactions: transactions.collect(),
            gains: gains.collect(),
            references: self.references.into_iter().map(&span).collect(),
        }
    }
}

/// Where a part that was borrowed from a text stands in it.
fn span_of(text: &str, part: &str) -> Span {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start.saturating_add(part.len())
}
