//! Deriving addresses on one core, against the step on the curve alone.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::Secp256k1;
use paywatch_chain::Derivation as _;
use paywatch_chain_bitcoin::{BitcoinDerivation, Network};

use crate::progress::Progress;
use crate::shop;
use crate::table::{Goal, Row, median, per_second};

/// Addresses of a round.
const ADDRESSES: u32 = 10_000;

/// Addresses a second of a wallet that is known, and children a second of its key.
pub(crate) fn measure(rounds: u32) -> Result<Row> {
    let chain = shop::asset()?.chain().clone();
    let derivation = BitcoinDerivation::new([(chain.clone(), Network::Regtest)]);
    let descriptor = shop::descriptor()?;
    let parent = parent(&descriptor)?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let progress = Progress::new("deriving, round", rounds);
    for round in 1..=rounds {
        let started = Instant::now();
        for index in 0..ADDRESSES {
            let derived = derivation.derive(&descriptor, index, &chain)?;
            ensure!(!derived.address.is_empty(), "an address without text");
        }
        ours.push(started.elapsed());
        floor.push(children(&parent)?);
        progress.done(round);
    }
    let speed = |durations| per_second(ADDRESSES, median(durations));
    let goal = Goal::ValueAtLeast(30_000.0);
    let (value, baseline) = (speed(ours), speed(floor));
    Ok(Row::new("derivation", "addresses/s", value, baseline, goal))
}

/// The node whose children are addresses.
fn parent(canonical: &str) -> Result<Xpub> {
    let key = canonical.trim_start_matches("wpkh(").split('/').next();
    let key: Xpub = key.unwrap_or_default().parse()?;
    let curve = Secp256k1::verification_only();
    Ok(key.ckd_pub(&curve, ChildNumber::from_normal_idx(0)?)?)
}

fn children(parent: &Xpub) -> Result<Duration> {
    let curve = Secp256k1::verification_only();
    let started = Instant::now();
    for index in 0..ADDRESSES {
        let step = ChildNumber::from_normal_idx(index)?;
        std::hint::black_box(parent.ckd_pub(&curve, step)?);
    }
    Ok(started.elapsed())
}
