//! One full Solana block, from the bytes of a node's answer to transfers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use paywatch_chain::WatchTable;
use paywatch_chain::rpc::Received;
use paywatch_chain_solana::{Assets, read_block, scan};
use paywatch_domain::{Amount, Asset, AssetKind, BlockHash, BlockRef, Entropy as _};
use paywatch_sim::machine::cpu_time;
use serde_json::Value;
use solana_transaction_status_client_types::{
    EncodedTransaction, EncodedTransactionWithStatusMeta, UiConfirmedBlock,
    UiTransactionTokenBalance, option_serializer::OptionSerializer,
};

use crate::numbers::Numbers;
use crate::progress::{Progress, say};
use crate::sim::alone;
use crate::table::{Goal, Row, in_ms, median, per_second};
use crate::watch::spoil_caches;

/// What the block holds: transactions that each name twelve accounts, pay lamports to one and tokens to another.
const TRANSACTIONS: usize = 1_200;
const ACCOUNTS: usize = 12;
/// One payment in so many is to one of ours.
const OURS_EVERY: usize = 40;
const OURS: usize = 2 * TRANSACTIONS / OURS_EVERY;
/// Keys of the large table and of the small one.
const LARGE: usize = 1_000_000;
const SMALL: usize = 1_000;
/// How often the block is read in a round.
const READS: u32 = 10;
const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const SLOT: u64 = 300_000_000;
/// The number of the request that is answered.
const ID: u64 = 7;

/// A block as a validator answers it, in the mode `accounts`, envelope and all.
struct Full {
    answer: Vec<u8>,
    assets: Assets,
    ours: Vec<String>,
}

/// Text that looks like a key, or with 88 letters like a signature.
fn base58(numbers: &mut Numbers, letters: usize) -> String {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let letter = |_| {
        let place = usize::try_from(numbers.next() % 58).unwrap_or_default();
        char::from(ALPHABET[place])
    };
    (0..letters).map(letter).collect()
}

fn key(numbers: &mut Numbers) -> String {
    base58(numbers, 44)
}

impl Full {
    fn made() -> Result<Self> {
        let mut numbers = Numbers(21);
        let mut ours = Vec::new();
        let mut transactions = Vec::new();
        for number in 0..TRANSACTIONS {
            let mut keys: Vec<String> = (0..ACCOUNTS).map(|_| key(&mut numbers)).collect();
            let mut owner = key(&mut numbers);
            if number % OURS_EVERY == 0 {
                ours.extend([keys[1].clone(), owner.clone()]);
            }
            transactions.push(transaction(&mut numbers, &mut keys, &mut owner));
        }
        let answer = format!(
            r#"{{"jsonrpc":"2.0","result":{{"blockHeight":280000000,"blockTime":1795300000,"blockhash":"{}","parentSlot":{},"previousBlockhash":"{}","transactions":[{}]}},"id":{ID}}}"#,
            key(&mut numbers),
            SLOT - 1,
            key(&mut numbers),
            transactions.join(",")
        );
        say(&format!("a block of {} kB", answer.len() / 1_000));
        let asset = |symbol: &str, kind| -> Result<Asset> {
            Ok(Asset {
                name: symbol.parse()?,
                kind,
                decimals: 6,
                dust: Amount::ZERO,
                caip19: "".into(),
            })
        };
        let assets = [
            asset("sol@solana", AssetKind::Native)?,
            asset("usdc@solana", AssetKind::Token(MINT.into()))?,
        ];
        Ok(Self {
            answer: answer.into_bytes(),
            assets: Assets::new(&assets, BTreeMap::new())?,
            ours,
        })
    }

    /// A table of so many keys, ours among them.
    fn table(&self, size: usize) -> WatchTable {
        let mut numbers = Numbers(22);
        let mut table = WatchTable::new(numbers.bits()).separated_by(Some(b'/'));
        for key in &self.ours {
            table.insert(key.as_bytes());
        }
        while table.len() < size {
            table.insert(key(&mut numbers).as_bytes());
        }
        table
    }

    /// Ours; says how long it took.
    fn read(&self, watched: &WatchTable) -> Result<Duration> {
        let body = self.answer.clone();
        let started = cpu_time();
        let answer = Received::new(body, ID, "getBlock").map_err(|error| anyhow!("{error}"))?;
        let block = read_block(SLOT, answer)?.context("null")?;
        let at = BlockRef {
            height: SLOT,
            hash: BlockHash::new(&block.header.hash),
        };
        let found = scan(&at, &block, &self.assets, watched).credits.len();
        let took = cpu_time().saturating_sub(started);
        ensure!(found == OURS, "{found} transfers found instead of {OURS}");
        Ok(took)
    }

    /// The same from a tree of JSON values.
    fn read_values(&self, watched: &WatchTable) -> Result<Duration> {
        let started = cpu_time();
        let answer: Value = serde_json::from_slice(&self.answer)?;
        let mut found = 0;
        for one in answer["result"]["transactions"]
            .as_array()
            .context("transactions")?
        {
            found += values_found(one, watched).context("a transaction")?;
        }
        drop(answer);
        let took = cpu_time().saturating_sub(started);
        ensure!(found == OURS, "{found} transfers found instead of {OURS}");
        Ok(took)
    }

    /// The same as Solana's own client reads it: a tree of JSON values, and of that its types
    /// (<https://github.com/anza-xyz/agave/blob/master/rpc-client/src/http_sender.rs>).
    fn read_typed(&self, watched: &WatchTable) -> Result<Duration> {
        let started = cpu_time();
        let mut answer: Value = serde_json::from_slice(&self.answer)?;
        let block: UiConfirmedBlock = serde_json::from_value(answer["result"].take())?;
        let mut found = 0;
        for one in block.transactions.as_ref().context("transactions")? {
            found += typed_found(one, watched).context("a transaction")?;
        }
        drop(block);
        let took = cpu_time().saturating_sub(started);
        ensure!(found == OURS, "{found} transfers found instead of {OURS}");
        Ok(took)
    }
}

/// A transaction whose payer pays lamports to the second account, and tokens to an owner.
fn transaction(numbers: &mut Numbers, keys: &mut [String], owner: &mut String) -> String {
    let mut accounts = Vec::new();
    for (place, key) in keys.iter().enumerate() {
        accounts.push(format!(
            r#"{{"pubkey":"{key}","signer":{},"source":"transaction","writable":{}}}"#,
            place == 0,
            place < ACCOUNTS / 2
        ));
    }
    let mut before: Vec<u64> = (0..ACCOUNTS)
        .map(|_| 1_000_000 + numbers.next() % 1_000_000_000_000)
        .collect();
    let list = |before: &[u64]| {
        let texts: Vec<String> = before.iter().map(u64::to_string).collect();
        texts.join(",")
    };
    let pre = list(&before);
    before[0] -= 5_000 + 7_000;
    before[1] += 7_000;
    let post = list(&before);
    let payer = key(numbers);
    let tokens = |payer_has: u64, owner_has: u64| {
        let mut text = String::new();
        for (place, owner, amount) in [(2, &payer, payer_has), (3, &*owner, owner_has)] {
            let _ = write!(
                text,
                r#"{}{{"accountIndex":{place},"mint":"{MINT}","owner":"{owner}","programId":"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA","uiTokenAmount":{{"amount":"{amount}","decimals":6,"uiAmount":{}.5,"uiAmountString":"{}.5"}}}}"#,
                if place == 2 { "" } else { "," },
                amount / 1_000_000,
                amount / 1_000_000
            );
        }
        text
    };
    format!(
        r#"{{"meta":{{"err":null,"fee":5000,"postBalances":[{post}],"postTokenBalances":[{}],"preBalances":[{pre}],"preTokenBalances":[{}],"status":{{"Ok":null}}}},"transaction":{{"accountKeys":[{}],"signatures":["{}"]}},"version":0}}"#,
        tokens(3_000_000, 9_000_000),
        tokens(5_000_000, 7_000_000),
        accounts.join(","),
        base58(numbers, 88)
    )
}

/// How many watched accounts and owners a transaction brings something.
fn values_found(one: &Value, watched: &WatchTable) -> Option<usize> {
    let meta = &one["meta"];
    if !meta["err"].is_null() {
        return Some(0);
    }
    let keys = one["transaction"]["accountKeys"].as_array()?.iter();
    let pre = meta["preBalances"].as_array()?.iter();
    let post = meta["postBalances"].as_array()?.iter();
    let mut found = 0;
    for ((key, pre), post) in keys.zip(pre).zip(post) {
        let has_more = pre.as_u64()? < post.as_u64()?;
        found += usize::from(has_more && watched.may_contain(key["pubkey"].as_str()?.as_bytes()));
    }
    let mut sums: BTreeMap<(&str, &str), i128> = BTreeMap::new();
    for (field, sign) in [("preTokenBalances", -1), ("postTokenBalances", 1)] {
        for one in meta[field].as_array()? {
            let amount: i128 = one["uiTokenAmount"]["amount"].as_str()?.parse().ok()?;
            let place = (one["owner"].as_str()?, one["mint"].as_str()?);
            *sums.entry(place).or_default() += sign * amount;
        }
    }
    Some(found + ours(&sums, watched))
}

fn typed_found(one: &EncodedTransactionWithStatusMeta, watched: &WatchTable) -> Option<usize> {
    let (EncodedTransaction::Accounts(list), Some(meta)) = (&one.transaction, &one.meta) else {
        return None;
    };
    if meta.err.is_some() {
        return Some(0);
    }
    let balances = meta.pre_balances.iter().zip(&meta.post_balances);
    let paid = list.account_keys.iter().zip(balances);
    let paid =
        paid.filter(|(key, (pre, post))| pre < post && watched.may_contain(key.pubkey.as_bytes()));
    let found = paid.count();
    let mut sums: BTreeMap<(&str, &str), i128> = BTreeMap::new();
    let sides: [(&OptionSerializer<Vec<UiTransactionTokenBalance>>, i128); 2] = [
        (&meta.pre_token_balances, -1),
        (&meta.post_token_balances, 1),
    ];
    for (side, sign) in sides {
        let OptionSerializer::Some(side) = side else {
            return None;
        };
        for one in side {
            let OptionSerializer::Some(owner) = &one.owner else {
                return None;
            };
            let amount: i128 = one.ui_token_amount.amount.parse().ok()?;
            *sums.entry((owner, &one.mint)).or_default() += sign * amount;
        }
    }
    Some(found + ours(&sums, watched))
}

fn ours(sums: &BTreeMap<(&str, &str), i128>, watched: &WatchTable) -> usize {
    let gains = sums.iter().filter(|(_, sum)| 0 < **sum);
    gains
        .filter(|((owner, _), _)| watched.may_contain(owner.as_bytes()))
        .count()
}

/// Blocks a second at a million keys, beside a tree of JSON values and the types of Solana's own client; and what a
/// thousand times more keys cost, with cold caches.
pub(crate) fn measure(rounds: u32) -> Result<Vec<Row>> {
    let full = Arc::new(Full::made()?);
    say("filling the watch tables");
    let tables = Arc::new([full.table(LARGE), full.table(SMALL)]);
    let mut took: [Vec<Duration>; 5] = Default::default();
    let progress = Progress::new("reading a block, round", rounds);
    for round in 1..=rounds {
        let (full, tables) = (Arc::clone(&full), Arc::clone(&tables));
        let of_round = alone(move || {
            let [large, small] = &*tables;
            let cold = |table| {
                spoil_caches();
                full.read(table)
            };
            let reads = (0..READS).map(|_| {
                Ok([
                    full.read(large)?,
                    full.read_values(large)?,
                    full.read_typed(large)?,
                    cold(large)?,
                    cold(small)?,
                ])
            });
            reads.collect::<Result<Vec<_>>>()
        })?;
        for times in of_round {
            for (all, time) in took.iter_mut().zip(times) {
                all.push(time);
            }
        }
        progress.done(round);
    }
    let [own, values, typed, large, small] = took.map(median);
    let speed = |duration| per_second(1, duration);
    let row = |name, baseline, least| {
        Row::new(
            name,
            "blocks/s",
            speed(own),
            speed(baseline),
            Goal::AtLeast(least),
        )
    };
    Ok(vec![
        row("solana_block", values, 5.0),
        row("solana_block_typed", typed, 3.0),
        Row::new(
            "solana_block_ms",
            "ms/block",
            in_ms(own),
            in_ms(typed),
            Goal::ValueAtMost(10.0),
        ),
        Row::new(
            "solana_watch",
            "ms/block",
            in_ms(large),
            in_ms(small),
            Goal::AtMost(1.2),
        ),
    ])
}
