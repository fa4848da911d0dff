//! Random histories, audited.
//!
//! Goal: after any history of blocks, forks, mempool changes, outages and restarts, what is said of every
//! invoice is what a naive auditor computes from the node's final chain. Method: random acts on the
//! chain in memory; the auditor sums the credits of the best chain and of the mempool itself.

use paywatch_chain::Credit;
use paywatch_domain::{Amount, InvoiceId};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::chain::payment;
use crate::house::{DEPTH, House, REORG_DEPTH_MAX, on_sqlite};
use crate::requests::finish;
use crate::scenarios::{select, tamper};

const PRICE: u64 = 100_000;
const INVOICES: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    /// A new payment of a share of the price appears in the mempool.
    Pay { invoice: usize, share: u64 },
    /// A block takes the first transactions of the mempool.
    Mine { take: usize },
    /// The highest blocks leave; their transactions go back to the mempool or are lost.
    Reorganise {
        undo: usize,
        mine: usize,
        lost: bool,
    },
    /// The node forgets a transaction.
    Evict,
    /// The node does not answer for a while.
    Outage,
    /// The process ends and starts again.
    Restart,
    /// The worker gets a turn.
    Poll,
}

fn act() -> impl Strategy<Value = Act> {
    let pay = (0..INVOICES, 1..=4_u64).prop_map(|(invoice, share)| Act::Pay { invoice, share });
    let reorganise = (1..4_usize, 0..6_usize, any::<bool>())
        .prop_map(|(undo, mine, lost)| Act::Reorganise { undo, mine, lost });
    prop_oneof![
        4 => pay,
        4 => (0..3_usize).prop_map(|take| Act::Mine { take }),
        2 => reorganise,
        1 => Just(Act::Evict),
        1 => Just(Act::Outage),
        1 => Just(Act::Restart),
        5 => Just(Act::Poll),
    ]
}

struct Story {
    house: House,
    invoices: Vec<(InvoiceId, Vec<u8>)>,
    payments: u32,
}

impl Story {
    async fn begin(mut house: House) -> Self {
        let mut invoices = Vec::new();
        for _ in 0..INVOICES {
            invoices.push(house.invoice(PRICE, 86_400).await);
        }
        for _ in 0..5 {
            house.mine(Vec::new()).await;
        }
        Self {
            house,
            invoices,
            payments: 0,
        }
    }

    async fn play(&mut self, act: Act) {
        let now = self.house.now;
        match act {
            Act::Pay { invoice, share } => {
                self.payments += 1;
                let (tx, spends) = (
                    format!("tx{}", self.payments),
                    format!("in:{}", self.payments),
                );
                let paid = payment(&tx, &self.invoices[invoice].1, PRICE / 4 * share, &spends);
                self.house.chain.node().pool.push(paid);
            }
            Act::Mine { take } => {
                let mut node = self.house.chain.node();
                let take = take.min(node.pool.len());
                let taken: Vec<Credit> = node.pool.drain(..take).collect();
                node.mine(taken, now);
            }
            Act::Reorganise { undo, mine, lost } => {
                let mut node = self.house.chain.node();
                let dropped = node.drop_blocks(undo);
                if !lost {
                    node.pool
                        .extend(dropped.into_iter().flat_map(|block| block.credits));
                }
                for _ in 0..mine {
                    node.mine(Vec::new(), now);
                }
            }
            Act::Evict => drop(self.house.chain.node().pool.pop()),
            Act::Outage => {
                self.house.chain.node().is_down = true;
                self.house.pass(3_000).await;
                self.house.chain.node().is_down = false;
            }
            Act::Restart => self.house.restart().await,
            Act::Poll => self.house.poll().await,
        }
        self.house.now = self.house.now.plus_ms(10);
    }

    /// What the auditor knows of an invoice: seen, confirming, final.
    fn audit(&self, key: &[u8]) -> [Amount; 3] {
        let node = self.house.chain.node();
        let height = node.blocks.len();
        let mut sums = [Amount::ZERO; 3];
        let mut add = |sum: usize, credit: &Credit| {
            if *credit.key == *key {
                sums[sum] = sums[sum].checked_add(credit.amount).unwrap();
            }
        };
        node.pool.iter().for_each(|credit| add(0, credit));
        for (below, block) in node.blocks.iter().enumerate() {
            let depth = height - below;
            let sum = if depth < usize::try_from(DEPTH).unwrap() {
                1
            } else {
                2
            };
            block.credits.iter().for_each(|credit| add(sum, credit));
        }
        sums
    }

    /// Reading all blocks again changes no row of what is known and told; and what is lost of the facts in
    /// blocks comes back from them as it was.
    async fn rescan(&mut self) {
        let before = facts(&self.house.url).await;
        self.read_again().await;
        assert_eq!(facts(&self.house.url).await, before, "nothing was wrong");
        let standing = transfers_in_blocks(&self.house.url).await;
        for damage in [
            "DELETE FROM placements WHERE height IS NOT NULL AND transfer % 2 = 0",
            "UPDATE placements SET block_hash = 'elsewhere' WHERE left_at IS NULL AND transfer % 3 = 0
                AND height IS NOT NULL",
            "DELETE FROM spends WHERE tx_id NOT IN (SELECT tx_id FROM transfers WHERE id IN
                (SELECT transfer FROM placements))",
            "DELETE FROM transfers WHERE id NOT IN (SELECT transfer FROM placements)",
        ] {
            tamper(&self.house.url, damage).await;
        }
        self.read_again().await;
        assert_eq!(transfers_in_blocks(&self.house.url).await, standing);
        self.check().await;
    }

    async fn read_again(&mut self) {
        let asked = self.house.rescan(0, None).await.unwrap();
        let done = finish(&mut self.house, &asked).await;
        assert_eq!(done.state, "done", "{done:?}");
    }

    async fn check(&mut self) {
        // A node that only lost blocks is behind until it has others.
        let now = self.house.now;
        self.house.chain.node().mine(Vec::new(), now);
        // Past every pause after an outage, and past the lease of a process that ended.
        for _ in 0..3 {
            self.house.pass(20_000).await;
            self.house.poll().await;
        }
        for (id, key) in &self.invoices {
            let [seen, confirming, finalized] = self.audit(key);
            let invoice = self.house.show(*id).await;
            let all = seen
                .checked_add(confirming)
                .unwrap()
                .checked_add(finalized)
                .unwrap();
            let tally = &invoice.options[0].tally;
            let told = (&*tally.seen, &*tally.confirming, &*tally.finalized);
            let expected = (all.decimal(8), confirming.decimal(8), finalized.decimal(8));
            assert_eq!(told, (&*expected.0, &*expected.1, &*expected.2), "{id}");
            let price = Amount::from_atomic(PRICE);
            let status = if price < finalized {
                "overpaid"
            } else if price == finalized {
                "paid"
            } else if !confirming.is_zero() {
                "confirming"
            } else if !seen.is_zero() {
                "detected"
            } else if !finalized.is_zero() {
                "underpaid"
            } else {
                "created"
            };
            assert_eq!(invoice.status, status, "{id}");
            let said = self.house.said(*id).await;
            assert_eq!(invoice.version, u64::try_from(said.len()).unwrap());
        }
    }
}

/// Every row of what is known of money and of what was told about it, by table.
async fn facts(url: &str) -> Vec<Vec<String>> {
    let mut tables = Vec::new();
    for rows in [
        "SELECT json_array(id, public_id, invoice, option, asset, amount, tx_id, position, sighted_at)
            FROM transfers ORDER BY id",
        "SELECT json_array(id, transfer, height, block_hash, entered_at, left_at, left_reason)
            FROM placements ORDER BY id",
        "SELECT json_array(tx_id, outpoint) FROM spends ORDER BY id",
        "SELECT json_array(id, status, said, version, window_closed, quarantined) FROM invoices
            ORDER BY id",
        "SELECT json_array(invoice, chain, kind, position) FROM awaited
            ORDER BY invoice, chain, kind, position",
        "SELECT json_array(seq, public_id, version, type, body) FROM events ORDER BY seq",
        "SELECT json_array(id, kind, opened_at, resolved_at) FROM exceptions ORDER BY id",
    ] {
        tables.push(select(url, rows).await);
    }
    tables
}

/// Which transfers stand in which blocks, without the ids that a new row has anew.
async fn transfers_in_blocks(url: &str) -> Vec<String> {
    let rows = "SELECT json_array(t.option, t.asset, t.amount, t.tx_id, t.position, p.height, p.block_hash)
        FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
        WHERE p.left_at IS NULL AND p.height IS NOT NULL
        ORDER BY p.height, t.tx_id, t.position, t.option";
    select(url, rows).await
}

#[test]
fn what_is_said_is_what_an_auditor_computes() {
    let cases = if std::env::var_os("PAYWATCH_TEST_FULL").is_some() {
        200
    } else {
        24
    };
    let config = Config {
        cases,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let histories = proptest::collection::vec(act(), 1..30);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runner.run(&histories, |acts| {
        // The limit is not what is tested here: forks may add up.
        let deep: usize = acts
            .iter()
            .map(|act| {
                if let Act::Reorganise { undo, .. } = act {
                    *undo
                } else {
                    0
                }
            })
            .sum();
        prop_assume!(deep < usize::try_from(REORG_DEPTH_MAX).unwrap().min(8));
        runtime.block_on(on_sqlite(async |house| {
            let mut story = Box::pin(Story::begin(house)).await;
            for act in acts {
                story.play(act).await;
            }
            story.check().await;
            story.rescan().await;
        }));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
