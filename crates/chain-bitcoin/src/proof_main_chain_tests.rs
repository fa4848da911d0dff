//! A real block of the main chain, against a full decoder.

use bitcoin::Amount;

use super::*;

/// A credit: transaction, output, satoshi, what the transaction spends.
type Found = (String, usize, u64, Vec<String>);

fn naive(block: &bitcoin::Block, watched: &WatchTable) -> Vec<Found> {
    let mut expected = Vec::new();
    for transaction in &block.txdata {
        for (index, output) in transaction.output.iter().enumerate() {
            let ours = watched.may_contain(output.script_pubkey.as_bytes());
            if ours && output.value != Amount::ZERO {
                let inputs = transaction.input.iter();
                let spends: Vec<String> = inputs
                    .filter(|input| !input.previous_output.is_null())
                    .map(|input| input.previous_output.to_string())
                    .collect();
                let id = transaction.compute_txid().to_string();
                expected.push((id, index, output.value.to_sat(), spends));
            }
        }
    }
    expected
}

/// A real block of 2021: what is found in it is what a full decoder finds.
#[test]
fn a_block_of_the_main_chain() {
    let bytes = bitcoin_test_data::blocks::mainnet_702861();
    let decoded: bitcoin::Block = bitcoin::consensus::deserialize(bytes).unwrap();
    let header = Header::read(bytes).unwrap();
    let block = BlockRef {
        height: 702_861,
        hash: BlockHash::new(&decoded.block_hash().to_string()),
    };
    // Every seventh output is ours.
    let mut watched = WatchTable::new(5);
    let scripts = decoded
        .txdata
        .iter()
        .flat_map(|transaction| &transaction.output)
        .map(|output| &output.script_pubkey);
    for script in scripts.step_by(7) {
        watched.insert(script.as_bytes());
    }
    let expected = naive(&decoded, &watched);
    let parent = Header {
        hash: header.parent,
        ..header
    };
    let ancestry = Ancestry::Inside {
        parent,
        ordinary_bits: parent.bits,
    };
    let asset = "btc@bitcoin".parse().unwrap();
    let content = Content::read(bytes.to_vec());
    let found = prove(
        Network::Mainnet,
        &asset,
        &block,
        &content,
        Some(&ancestry),
        &watched,
    )
    .unwrap();
    assert_eq!(
        found.parent.as_str(),
        decoded.header.prev_blockhash.to_string()
    );
    assert_eq!(found.credits.len(), expected.len());
    assert!(500 < expected.len(), "{}", expected.len());
    for (credit, (id, index, satoshi, spends)) in found.credits.iter().zip(expected) {
        assert_eq!(credit.tx_id.as_str(), id);
        assert_eq!(credit.position.as_str(), format!("vout:{index}"));
        assert_eq!(credit.amount, paywatch_domain::Amount::from_atomic(satoshi));
        assert!(credit.spends.iter().map(|spent| &**spent).eq(spends));
    }
    // The same block under half the difficulty is not one of this period.
    let easier = Ancestry::Inside {
        parent: Header {
            bits: parent.bits + 1,
            ..parent
        },
        ordinary_bits: parent.bits,
    };
    let error = prove(
        Network::Mainnet,
        &asset,
        &block,
        &content,
        Some(&easier),
        &watched,
    );
    assert!(error.unwrap_err().contains("its difficulty is"));
}
