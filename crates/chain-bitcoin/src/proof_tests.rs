//! Blocks made and mined here, damaged in every way that a node could damage them.

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header as FullHeader, Version};
use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, merkle_tree,
    transaction,
};
use paywatch_domain::{Position, TxId};
use proptest::prelude::*;

use super::*;

const HEIGHT: u64 = 7;

fn asset() -> AssetName {
    "btc@bitcoin-regtest".parse().unwrap()
}

fn script(number: u8) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_byte_array([number; 20]))
}

fn watching(numbers: &[u8]) -> WatchTable {
    let mut table = WatchTable::new(99);
    for number in numbers {
        table.insert(script(*number).as_bytes());
    }
    table
}

fn transaction(spends: OutPoint, outputs: &[(u8, u64)], witness: bool) -> Transaction {
    let mut input = TxIn {
        previous_output: spends,
        script_sig: ScriptBuf::from_bytes(vec![1, 7]),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    if witness {
        input.witness.push([9; 30]);
    }
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: outputs
            .iter()
            .map(|(number, satoshi)| TxOut {
                value: Amount::from_sat(*satoshi),
                script_pubkey: script(*number),
            })
            .collect(),
    }
}

fn earlier(number: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([number; 32]), number.into())
}

/// A coinbase and three payments: 1 gets 500 and nothing and 600, 2 gets 700.
fn transactions() -> Vec<Transaction> {
    vec![
        transaction(OutPoint::null(), &[(200, 5_000)], true),
        transaction(earlier(1), &[(201, 1), (1, 500), (1, 0)], true),
        transaction(earlier(2), &[(2, 700)], false),
        transaction(earlier(3), &[(1, 600), (202, 1)], true),
    ]
}

/// Serialises and mines a block of these transactions.
fn mined(transactions: &[Transaction], bits: u32) -> (BlockRef, Vec<u8>) {
    let ids = transactions
        .iter()
        .map(|transaction| transaction.compute_txid().to_raw_hash());
    let root = merkle_tree::calculate_root(ids).unwrap();
    let mut header = FullHeader {
        version: Version::TWO,
        prev_blockhash: bitcoin::BlockHash::from_byte_array([4; 32]),
        merkle_root: root.into(),
        time: 1_600_000_000,
        bits: CompactTarget::from_consensus(bits),
        nonce: 0,
    };
    let regtest = Network::Regtest.parameters().max_attainable_target;
    while !regtest.is_met_by(header.block_hash()) {
        header.nonce += 1;
    }
    let mut bytes = serialize(&header);
    bytes.push(u8::try_from(transactions.len()).unwrap());
    for transaction in transactions {
        bytes.extend(serialize(transaction));
    }
    let block = BlockRef {
        height: HEIGHT,
        hash: BlockHash::new(&header.block_hash().to_string()),
    };
    (block, bytes)
}

fn whole() -> (BlockRef, Vec<u8>) {
    mined(&transactions(), 0x207f_ffff)
}

fn scan(block: &BlockRef, bytes: &[u8]) -> Result<Block, String> {
    let fixed = Some(&Ancestry::Fixed);
    prove(
        Network::Regtest,
        &asset(),
        block,
        &Content::read(bytes.to_vec()),
        fixed,
        &watching(&[1, 2]),
    )
}

fn refused(block: &BlockRef, bytes: &[u8], words: &str) {
    let error = scan(block, bytes).unwrap_err();
    assert!(error.contains(words), "{error}");
}

#[test]
fn credits_of_a_whole_block() {
    let (block, bytes) = whole();
    let found = scan(&block, &bytes).unwrap();
    assert_eq!(found.at, block);
    assert_eq!(found.parent.as_str(), "04".repeat(32));
    assert_eq!(found.time, UnixMillis(1_600_000_000_000));
    assert_eq!(found.bytes, bytes.len());
    let transactions = transactions();
    let credit = |index: usize, output: u32, number: u8, satoshi: u64, spends: u8| Credit {
        key: script(number).to_bytes().into(),
        asset: asset(),
        amount: paywatch_domain::Amount::from_atomic(satoshi),
        tx_id: TxId::new(&transactions[index].compute_txid().to_string()),
        position: Position::new(&format!("vout:{output}")),
        maturity: 0,
        spends: [earlier(spends).to_string().into()].into(),
    };
    let expected = [
        credit(1, 1, 1, 500, 1),
        credit(2, 0, 2, 700, 2),
        credit(3, 0, 1, 600, 3),
    ];
    assert_eq!(found.credits, expected);
}

/// Whoever pays one address with many outputs of one transaction of many inputs costs their sum.
#[test]
fn the_credits_of_a_transaction_share_what_it_spends() {
    let mut wide = transaction(earlier(1), &vec![(1, 500); 1_600], false);
    let input = wide.input[0].clone();
    wide.input = (0..700)
        .map(|output| TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array([9; 32]), output),
            ..input.clone()
        })
        .collect();
    let coinbase = transaction(OutPoint::null(), &[(200, 5_000)], true);
    let (block, bytes) = mined(&[coinbase, wide], 0x207f_ffff);
    let credits = scan(&block, &bytes).unwrap().credits;
    assert_eq!((credits.len(), credits[0].spends.len()), (1_600, 700));
    let first = &credits[0].spends;
    assert!(
        credits
            .iter()
            .all(|credit| Arc::ptr_eq(&credit.spends, first))
    );
}

/// Two coinbase transactions that spent something would look as if they replaced each other.
#[test]
fn a_coinbase_payment_spends_nothing_and_matures_in_a_hundred_blocks() {
    let coinbase = transaction(OutPoint::null(), &[(1, 5_000)], true);
    let (block, bytes) = mined(&[coinbase], 0x207f_ffff);
    let found = scan(&block, &bytes).unwrap();
    let [credit] = found.credits.as_slice() else {
        panic!("{found:?}");
    };
    assert!(credit.spends.is_empty());
    assert_eq!(credit.maturity, 100);
}

/// Every single flipped bit is noticed, or changes nothing: witnesses are not committed to by what
/// is proven, and nothing of them is used.
#[test]
fn no_flipped_bit_changes_what_is_found() {
    let (block, bytes) = whole();
    let expected = scan(&block, &bytes).unwrap();
    let mut unnoticed = 0;
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            if let Ok(found) = scan(&block, &damaged) {
                assert_eq!(found, expected, "byte {place}");
                unnoticed += 1;
            }
        }
    }
    let witnesses = 3 * 30 * 8;
    assert!(unnoticed <= witnesses, "{unnoticed}");
}

#[test]
fn no_part_of_a_block_passes_for_the_block() {
    let (block, bytes) = whole();
    for length in 0..bytes.len() {
        let error = scan(&block, &bytes[..length]).unwrap_err();
        assert!(!error.is_empty());
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    refused(&block, &longer, "1 bytes too many");
}

#[test]
fn transactions_that_are_missing_swapped_or_repeated_are_noticed() {
    let (block, bytes) = whole();
    let header = &bytes[..HEADER_BYTES];
    let all = transactions();
    let shown = |transactions: &[&Transaction]| {
        let mut bytes = header.to_vec();
        bytes.push(u8::try_from(transactions.len()).unwrap());
        for transaction in transactions {
            bytes.extend(serialize(*transaction));
        }
        bytes
    };
    let root = "not those of its merkle root";
    refused(&block, &shown(&[&all[0], &all[1], &all[2]]), root);
    refused(&block, &shown(&[&all[0], &all[2], &all[1], &all[3]]), root);
    refused(&block, &shown(&[&all[1], &all[0]]), "coinbase");
    refused(&block, &shown(&[]), "coinbase");
}

/// CVE-2012-2459: three transactions and the last one twice have the same root.
#[test]
fn a_repeated_tail_is_refused_though_the_root_fits() {
    let all = transactions();
    let (block, bytes) = mined(&all[..3], 0x207f_ffff);
    scan(&block, &bytes).unwrap();
    let mut repeated = bytes;
    repeated[HEADER_BYTES] = 4;
    repeated.extend(serialize(&all[2]));
    refused(&block, &repeated, "repeats");
}

#[test]
fn the_header_must_be_of_that_block_and_have_the_right_difficulty() {
    let (block, bytes) = whole();
    let other = BlockRef {
        hash: BlockHash::new(Network::Regtest.genesis()),
        ..block.clone()
    };
    refused(&other, &bytes, "its header is that of block");
    let genesis = serialize(&bitcoin::constants::genesis_block(
        bitcoin::Network::Regtest,
    ));
    refused(&other, &genesis, "the first block and no other");
    let (easier, bytes) = mined(&transactions(), 0x2100_ffff);
    refused(
        &easier,
        &bytes,
        "its difficulty is 2100ffff and must be 207fffff",
    );
    let (block, bytes) = whole();
    let content = Content::read(bytes.clone());
    let prove_on = |network, ancestry: Option<&Ancestry>| {
        prove(
            network,
            &asset(),
            &block,
            &content,
            ancestry,
            &watching(&[1]),
        )
    };
    let error = prove_on(Network::Regtest, None).unwrap_err();
    assert!(error.contains("do not lead to it"), "{error}");
    let header = Header::read(&bytes).unwrap();
    let elsewhere = Ancestry::Inside {
        parent: header,
        ordinary_bits: header.bits,
    };
    let error = prove_on(Network::Mainnet, Some(&elsewhere)).unwrap_err();
    assert!(error.contains("stands on another block"), "{error}");
    let parent = Header {
        hash: header.parent,
        ..header
    };
    let on_parent = Ancestry::Inside {
        parent,
        ordinary_bits: header.bits,
    };
    let error = prove_on(Network::Mainnet, Some(&on_parent)).unwrap_err();
    assert!(error.contains("lacks proof of work"), "{error}");
}

#[test]
fn work_that_is_not_done_is_noticed() {
    let (_, mut bytes) = whole();
    // The next nonces: about half of them meet the lowest difficulty.
    let unworked = (0..64_u8).find_map(|nonce| {
        bytes[76] = nonce;
        let header = Header::read(&bytes)?;
        let hash = bitcoin::BlockHash::from_byte_array(*header.hash.as_bytes());
        let target = Network::Regtest.parameters().max_attainable_target;
        (!target.is_met_by(hash)).then_some(header.hash)
    });
    let block = BlockRef {
        height: HEIGHT,
        hash: BlockHash::new(&unworked.unwrap().to_string()),
    };
    refused(&block, &bytes, "lacks proof of work");
}

#[test]
fn the_checkpoint_is_the_only_block_at_its_height() {
    let (block, bytes) = whole();
    let (height, _) = Network::Mainnet.checkpoint();
    let block = BlockRef { height, ..block };
    let watched = watching(&[]);
    let fixed = Some(&Ancestry::Fixed);
    let error = prove(
        Network::Mainnet,
        &asset(),
        &block,
        &Content::read(bytes),
        fixed,
        &watched,
    )
    .unwrap_err();
    assert!(error.contains("the block at height"), "{error}");
}

#[test]
fn the_first_block_of_every_network_is_proven() {
    for network in Network::ALL {
        let bytes = serialize(&bitcoin::constants::genesis_block(network.library()));
        let block = BlockRef {
            height: 0,
            hash: BlockHash::new(network.genesis()),
        };
        let fixed = Some(&Ancestry::Fixed);
        let found = prove(
            network,
            &asset(),
            &block,
            &Content::read(bytes),
            fixed,
            &watching(&[]),
        )
        .unwrap();
        assert_eq!(found.parent.as_str(), "0".repeat(64));
        assert!(found.credits.is_empty());
    }
}

proptest! {
    /// Our merkle root is that of the `bitcoin` crate wherever we accept the list.
    #[test]
    fn merkle_roots_agree(ids in proptest::collection::vec(any::<[u8; 32]>(), 1..70)) {
        let ours = merkle_root(ids.iter().map(|id| Hash256::read(id).unwrap()).collect());
        let theirs = merkle_tree::calculate_root(
            ids.into_iter().map(bitcoin::hashes::sha256d::Hash::from_byte_array),
        );
        let theirs = theirs.unwrap().to_byte_array();
        prop_assert_eq!(ours, Ok(Hash256::read(&theirs).unwrap()));
    }

    /// Whatever a node answers, reading it ends with an error and not with a panic.
    #[test]
    fn garbage_behind_a_good_header_is_refused(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (block, bytes) = whole();
        let garbage = [&bytes[..HEADER_BYTES], tail.as_slice()].concat();
        prop_assert!(scan(&block, &garbage).is_err());
    }
}
