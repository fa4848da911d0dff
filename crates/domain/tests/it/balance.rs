//! Balances against a model: what an address really got, and what blocks tell of it.

use paywatch_domain::balance::{Account, Flows, Verdict, Window};
use paywatch_domain::{Amount, Position, TxId};
use proptest::prelude::*;

fn amount(atomic: u64) -> Amount {
    Amount::from_atomic(atomic)
}

fn account(balance: u64, nonce: u64) -> Account {
    Account {
        balance: amount(balance),
        nonce,
    }
}

#[test]
fn a_balance_is_compared_with_what_blocks_explain() {
    let none = Flows::default();
    let got = none.credit(amount(5));
    let sent = got.outflow(Some(amount(12)));
    let unknown = got.outflow(None);
    let cases = [
        // (before, flows, balance, nonce): verdict
        ((account(0, 0), none, 0, None), Verdict::Expected),
        ((account(0, 0), none, 7, Some(0)), Verdict::Came(amount(7))),
        ((account(0, 0), none, 7, None), Verdict::Open),
        ((account(0, 0), got, 5, None), Verdict::Expected),
        ((account(0, 0), got, 9, Some(0)), Verdict::Came(amount(4))),
        (
            (account(0, 0), got, 4, Some(0)),
            Verdict::Unexplained(amount(1)),
        ),
        (
            (account(0, 0), got, 9, Some(1)),
            Verdict::Unexplained(amount(4)),
        ),
        // The merchant takes everything.
        ((account(7, 3), sent, 0, Some(4)), Verdict::Expected),
        ((account(7, 3), sent, 2, Some(4)), Verdict::Came(amount(2))),
        (
            (account(7, 3), sent, 2, Some(5)),
            Verdict::Unexplained(amount(2)),
        ),
        (
            (account(8, 3), sent, 0, Some(4)),
            Verdict::Unexplained(amount(1)),
        ),
        // What it took is not known: less than before is right, more is not.
        ((account(7, 3), unknown, 0, Some(4)), Verdict::Expected),
        ((account(7, 3), unknown, 12, Some(4)), Verdict::Expected),
        (
            (account(7, 3), unknown, 13, Some(4)),
            Verdict::Unexplained(amount(1)),
        ),
    ];
    for ((before, flows, balance, nonce), verdict) in cases {
        let found = flows.judge(before, amount(balance), nonce);
        assert_eq!(found, verdict, "{before:?} {flows:?} {balance} {nonce:?}");
    }
    assert_eq!(got.expected(account(7, 3)), Some(amount(12)));
    assert_eq!(sent.expected(account(7, 3)), None);
}

#[test]
fn what_stands_for_a_transaction_names_its_blocks() {
    let window = Window { above: 90, to: 164 };
    let tx_id = window.tx_id(&[0xab, 0x01]);
    assert_eq!(tx_id.as_str(), "balance:90-164:0xab01");
    assert_eq!(Window::of(&tx_id), Some(window));
    for other in [
        "",
        "0xab",
        "balance:",
        "balance:1:0x",
        "balance:x-2:0x",
        "withdrawal:7",
    ] {
        assert_eq!(Window::of(&TxId::new(other)), None, "{other}");
    }
    let held = [90, 91, 164, 165].map(|height| window.holds(height));
    assert_eq!(held, [false, true, true, false]);
    let kinds = [
        (Position::of_balance(&[1]), (true, false)),
        (Position::of_balance_left(&[1], amount(4)), (true, false)),
        (Position::of_unexplained(&[1]), (true, true)),
        (Position::new("native:0x01"), (false, false)),
    ];
    for (position, kind) in kinds {
        let found = (position.is_of_balance(), position.is_unexplained());
        assert_eq!(found, kind, "{position}");
    }
}

/// What may happen to an address.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A payment that a block tells of.
    Seen(u64),
    /// A payment by a contract.
    Unseen(u64),
    /// A transaction of its owner, of so much of what is there, in hundredths.
    Sent(u64),
    /// The owner's code on the address pays, and no transaction of the address tells it.
    Vanished(u64),
    /// Somebody looks.
    Look,
    /// Somebody looks, and forgets it in a crash.
    LookInVain,
}

fn happening(vanishes: bool) -> impl Strategy<Value = Happening> {
    let most = if vanishes { 6_u8 } else { 5 };
    (0..most, 1..1_000_u64).prop_map(|(kind, amount)| match kind {
        0 => Happening::Seen(amount),
        1 => Happening::Unseen(amount),
        2 => Happening::Sent(amount % 101),
        3 => Happening::Look,
        4 => Happening::LookInVain,
        _ => Happening::Vanished(amount % 101),
    })
}

/// What really is, and what was concluded.
#[derive(Default)]
struct World {
    balance: u64,
    nonce: u64,
    /// All that ever came, and what of it blocks and looks told.
    came: u64,
    told: u64,
    differences: usize,
    before: Account,
    flows: Flows,
}

impl World {
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Seen(amount) | Happening::Unseen(amount) => {
                self.balance += amount;
                self.came += amount;
                if let Happening::Seen(_) = happening {
                    self.told += amount;
                    self.flows = self.flows.credit(Amount::from_atomic(amount));
                }
            }
            Happening::Sent(share) => {
                let taken = self.balance * share / 100;
                self.balance -= taken;
                self.nonce += 1;
                self.flows = self.flows.outflow(Some(amount(taken)));
            }
            Happening::Vanished(share) => self.balance -= self.balance * share / 100,
            Happening::LookInVain => drop(self.look()),
            Happening::Look => {
                match self.look() {
                    Verdict::Came(more) => self.told += more.to_string().parse::<u64>().unwrap(),
                    Verdict::Unexplained(_) => self.differences += 1,
                    Verdict::Expected => {}
                    Verdict::Open => panic!("the nonce was given"),
                }
                self.before = account(self.balance, self.nonce);
                self.flows = Flows::default();
            }
        }
    }

    fn look(&self) -> Verdict {
        // As an adapter does: no nonce where the balance is what was expected.
        let expected = self.flows.expected(self.before) == Some(amount(self.balance));
        let nonce = (!expected).then_some(self.nonce);
        self.flows.judge(self.before, amount(self.balance), nonce)
    }
}

proptest! {
    /// Whatever comes and goes, looks and blocks together tell of exactly what came.
    #[test]
    fn everything_that_came_is_told_once(happenings in prop::collection::vec(happening(false), 0..60)) {
        let mut world = World::default();
        for happening in happenings {
            world.happen(happening);
        }
        world.happen(Happening::Look);
        prop_assert_eq!(world.told, world.came);
        prop_assert_eq!(world.differences, 0);
    }

    /// Never more is told than came, also when money leaves by ways that nobody sees.
    #[test]
    fn nothing_is_told_that_did_not_come(happenings in prop::collection::vec(happening(true), 0..60)) {
        let mut world = World::default();
        for happening in happenings {
            world.happen(happening);
            prop_assert!(world.told <= world.came);
        }
    }
}
