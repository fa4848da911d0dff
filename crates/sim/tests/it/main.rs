//! The simulator itself.
//!
//! Goal: a hundred worlds are fine, a seed always gives the same world, and a damaged answer is noticed.
//! Method: the same campaign as `cargo xtask sim`, with the first seeds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use paywatch_sim::campaign::{self, Stage};
use paywatch_sim::scenario::{Cut, Scenario, Trouble};

/// Worlds of each test; four of them run side by side.
const SEEDS: u64 = 25;

fn are_fine(first: u64) {
    let total = campaign::run(first, SEEDS, 1, 1, |_| {}).unwrap();
    let failed: Vec<String> = total
        .failed
        .iter()
        .map(|(seed, violation)| format!("cargo xtask sim --seed {seed}: {violation}"))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(total.seeds, SEEDS);
    assert!(
        0 < total.crashes && SEEDS < total.faults,
        "nothing goes wrong in these worlds: {}",
        total.line()
    );
}

#[test]
fn the_first_worlds_are_fine() {
    are_fine(1);
}

#[test]
fn the_second_worlds_are_fine() {
    are_fine(26);
}

#[test]
fn the_third_worlds_are_fine() {
    are_fine(51);
}

#[test]
fn the_fourth_worlds_are_fine() {
    are_fine(76);
}

#[test]
fn a_seed_is_always_the_same_world() {
    let (one, other) = (Stage::set().unwrap(), Stage::set().unwrap());
    for seed in [3, 7, 11] {
        let first = one.run(seed, &Cut::default(), false).unwrap();
        let again = other.run(seed, &Cut::default(), false).unwrap();
        assert_eq!(first, again, "seed {seed}");
    }
    let different = one.run(4, &Cut::default(), false).unwrap();
    let first = one.run(3, &Cut::default(), false).unwrap();
    assert_ne!(different.trace, first.trace);
}

#[test]
fn what_is_left_out_does_not_happen() {
    let stage = Stage::set().unwrap();
    let cut = Cut {
        without: Trouble::ALL.into(),
        invoices: Some(2),
        hours: Some(1),
    };
    let report = stage.run(9, &cut, false).unwrap();
    assert_eq!((report.crashes, report.faults), (0, 0));
    assert_eq!(Scenario::draw(9, &cut).invoices, 2);
    assert!(cut.to_string().contains("--invoices 2 --hours 1"));
    for kind in Trouble::ALL {
        assert_eq!(Trouble::parse(kind.as_str()), Some(kind));
    }
}
