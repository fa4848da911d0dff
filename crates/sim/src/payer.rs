//! Payers: who pays an invoice how, and when. Everything is planned when the invoice is made.

use paywatch_domain::{AssetName, Position, TxId, UnixMillis};

use crate::chain::{Pay, Tx};
use crate::keys;
use crate::random::Random;

/// What a payer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Pays what is due.
    Exact,
    /// Pays it in parts.
    Split,
    /// Pays more.
    Over,
    /// Pays less.
    Under,
    /// Pays less and then the rest.
    TopUp,
    /// Pays after expiry.
    Late,
    /// Pays a trifle, and then perhaps what is due.
    Dust,
    /// Pays, and takes it back before it is mined.
    DoubleSpend,
    /// Pays, and raises the fee.
    FeeBump,
    /// Pays, and changes the amount before it is mined.
    Change,
    /// Pays another asset.
    WrongAsset,
    /// Pays on another chain of the family.
    WrongChain,
    /// Pays the other form of the address.
    OtherForm,
    /// Pays twice.
    Twice,
    /// Pays two parts in one transaction.
    TwoInOne,
    /// Does not pay.
    Nobody,
}

impl Habit {
    /// Every habit; the plain one first.
    pub const ALL: [Self; 16] = [
        Self::Exact,
        Self::Split,
        Self::Over,
        Self::Under,
        Self::TopUp,
        Self::Late,
        Self::Dust,
        Self::DoubleSpend,
        Self::FeeBump,
        Self::Change,
        Self::WrongAsset,
        Self::WrongChain,
        Self::OtherForm,
        Self::Twice,
        Self::TwoInOne,
        Self::Nobody,
    ];

    /// One by these weights.
    pub fn draw(weights: &[u64], random: &mut Random) -> Self {
        let total: u64 = weights.iter().sum();
        let mut left = random.below(total);
        for (habit, weight) in Self::ALL.into_iter().zip(weights) {
            if left < *weight {
                return habit;
            }
            left = left.saturating_sub(*weight);
        }
        Self::Exact
    }
}

/// What a payer knows of an option.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The number of the invoice.
    pub number: usize,
    /// The chain of the option.
    pub chain: usize,
    /// Whether its transactions spend coins.
    pub has_coins: bool,
    /// Where to pay.
    pub address: String,
    /// What is due.
    pub asset: AssetName,
    /// How much, in atomic units.
    pub due: u64,
    /// Below this it is a trifle.
    pub dust: u64,
    /// When the window closes.
    pub expires_at: UnixMillis,
    /// Another asset of the same chain.
    pub other_asset: Option<AssetName>,
    /// Another chain with the same addresses, and its coin.
    pub other_chain: Option<(usize, AssetName)>,
}

/// A transaction that will be sent.
#[derive(Clone, Debug)]
pub struct Payment {
    /// When, by the true time.
    pub at: UnixMillis,
    /// On which chain.
    pub chain: usize,
    /// What is sent.
    pub tx: Tx,
}

/// Plans payments of one bill.
struct Planner<'a> {
    bill: &'a Bill,
    random: &'a mut Random,
    payments: Vec<Payment>,
}

/// What somebody does about a bill from `now` on.
pub fn plan(
    bill: &Bill,
    habit: Habit,
    delay_ms: i64,
    now: UnixMillis,
    random: &mut Random,
) -> Vec<Payment> {
    let at = now.plus_ms(random.wait_ms(delay_ms));
    let mut planner = Planner {
        bill,
        random,
        payments: Vec::new(),
    };
    planner.act(habit, at, delay_ms);
    planner.payments
}

impl Planner<'_> {
    fn act(&mut self, habit: Habit, at: UnixMillis, delay_ms: i64) {
        let due = self.bill.due;
        let part = due / 4 + self.random.below(due / 2);
        // So little that a tolerance may cover it, or more than any.
        let margin = if self.random.is(500_000) {
            self.random.below(due / 25).saturating_add(1)
        } else {
            part
        };
        match habit {
            Habit::Exact => self.pay(at, due),
            Habit::Split => {
                let later = self.later(at, delay_ms / 2);
                self.pay(later, due.saturating_sub(part));
                self.pay(at, part);
            }
            Habit::Over => self.pay(at, due.saturating_add(margin)),
            Habit::Under => self.pay(at, due.saturating_sub(margin)),
            Habit::TopUp => {
                let later = self.later(at, delay_ms * 2);
                self.pay(at, part);
                self.pay(later, due.saturating_sub(part));
            }
            Habit::Late => {
                let late = self.later(self.bill.expires_at, delay_ms);
                self.pay(late, due);
            }
            Habit::Dust => {
                self.pay(at, self.bill.dust.saturating_sub(1).max(1));
                if self.random.is(500_000) {
                    let later = self.later(at, delay_ms);
                    self.pay(later, due);
                }
            }
            Habit::DoubleSpend => self.replace(at, due, None),
            Habit::FeeBump => self.replace(at, due, Some(due)),
            Habit::Change => self.replace(at, due, Some(part)),
            Habit::WrongAsset => {
                let asset = self.bill.other_asset.clone();
                self.astray(at, self.bill.chain, asset);
            }
            Habit::WrongChain => {
                if let Some((chain, asset)) = self.bill.other_chain.clone() {
                    self.astray(at, chain, Some(asset));
                }
            }
            Habit::OtherForm => {
                let address = keys::sibling(&self.bill.address);
                self.send(at, vec![(address, due)]);
            }
            Habit::Twice => {
                let later = self.later(at, delay_ms);
                self.pay(at, due);
                self.pay(later, due);
            }
            Habit::TwoInOne => {
                let address = self.bill.address.clone();
                let rest = due.saturating_sub(part);
                self.send(at, vec![(address.clone(), part), (address, rest)]);
            }
            Habit::Nobody => {}
        }
    }

    fn later(&mut self, at: UnixMillis, delay_ms: i64) -> UnixMillis {
        at.plus_ms(self.random.wait_ms(delay_ms))
    }

    fn pay(&mut self, at: UnixMillis, amount: u64) {
        let address = self.bill.address.clone();
        self.send(at, vec![(address, amount)]);
    }

    fn send(&mut self, at: UnixMillis, pays: Vec<(String, u64)>) {
        let (chain, asset) = (self.bill.chain, self.bill.asset.clone());
        let tx = self.tx(at, &asset, pays);
        self.payments.push(Payment { at, chain, tx });
    }

    /// Sends what is due as another asset, or on another chain.
    fn astray(&mut self, at: UnixMillis, chain: usize, asset: Option<AssetName>) {
        let Some(asset) = asset else {
            return;
        };
        let pays = vec![(self.bill.address.clone(), self.bill.due)];
        let tx = self.tx(at, &asset, pays);
        self.payments.push(Payment { at, chain, tx });
    }

    /// Pays, and soon afterwards spends the same otherwise.
    fn replace(&mut self, at: UnixMillis, amount: u64, instead: Option<u64>) {
        self.pay(at, amount);
        let Some(first) = self.payments.last().cloned() else {
            return;
        };
        let later = self.later(at, 300_000);
        let pays = instead.map(|amount| (self.bill.address.clone(), amount));
        let asset = self.bill.asset.clone();
        let mut tx = self.tx(later, &asset, pays.into_iter().collect());
        if self.bill.has_coins {
            tx.spends = first.tx.spends;
            self.payments.push(Payment {
                at: later,
                chain: first.chain,
                tx,
            });
        }
    }

    fn tx(&self, at: UnixMillis, asset: &AssetName, pays: Vec<(String, u64)>) -> Tx {
        let name = format!("tx-{}-{}", self.bill.number, self.payments.len());
        let spends = self.bill.has_coins.then(|| format!("{name}-coin:0").into());
        let pays = (0..).zip(pays).map(|(place, (address, amount))| Pay {
            key: address.into_bytes().into(),
            asset: asset.clone(),
            amount,
            position: Position::new(&format!("out:{place}")),
        });
        Tx {
            id: TxId::new(&name),
            spends: spends.into_iter().collect(),
            pays: pays.collect(),
            sent_at: at,
        }
    }
}
