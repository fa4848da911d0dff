//! Another implementation in another language, on a thousand indexes of every form.

use anyhow::Result;
use paywatch_chain::Derivation;
use paywatch_chain_bitcoin::Network;
use paywatch_testkit::{AddressQuestion, other_addresses};

use crate::derivation::{TPUB, XPUB, XPUB_44, XPUB_86, chain, derivation};

/// The first indexes, which are handed out, and others up to the last.
fn indexes() -> Vec<u32> {
    let spread = (0..500).map(|step| 0x7fff_ffff - step * 4_294_967);
    (0..500).chain(spread).collect()
}

#[tokio::test]
async fn bitcoinjs_derives_the_same_addresses() -> Result<()> {
    let indexes = indexes();
    let cases: [(&str, &[&str], Network); 6] = [
        ("pkh", &[XPUB_44], Network::Mainnet),
        ("wpkh", &[XPUB], Network::Mainnet),
        ("sh(wpkh)", &[TPUB], Network::Regtest),
        ("tr", &[XPUB_86], Network::Mainnet),
        ("tr", &[TPUB], Network::Regtest),
        (
            "wsh(sortedmulti)",
            &[XPUB, XPUB_44, XPUB_86],
            Network::Mainnet,
        ),
    ];
    let questions = cases.map(|(form, keys, network)| AddressQuestion {
        form,
        keys,
        threshold: 2,
        network: match network {
            Network::Mainnet => "bitcoin",
            _ => "regtest",
        },
        indexes: &indexes,
    });
    let theirs = other_addresses(&questions).await?;
    let derivation = derivation();
    for ((form, keys, network), theirs) in cases.into_iter().zip(theirs) {
        let keys: Vec<String> = keys.iter().map(|key| format!("{key}/0/*")).collect();
        let keys = keys.join(",");
        let text = match form {
            "sh(wpkh)" => format!("sh(wpkh({keys}))"),
            "wsh(sortedmulti)" => format!("wsh(sortedmulti(2,{keys}))"),
            form => format!("{form}({keys})"),
        };
        let canonical = derivation.parse(&text, network.is_test())?.canonical;
        assert_eq!(theirs.len(), indexes.len());
        for (index, theirs) in indexes.iter().zip(theirs) {
            let ours = derivation.derive(&canonical, *index, &chain(network))?;
            assert_eq!(ours.address, theirs, "{form} {index}");
        }
    }
    Ok(())
}
