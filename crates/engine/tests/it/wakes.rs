//! When the worker looks at its node.

use crate::house::House;
use crate::scenarios::stories;

stories!(what_changes_while_a_poll_is_recorded_is_looked_at_at_once);

/// An answer that arrives while the database is at work wakes nobody any more: the step that took it
/// must not end as one with nothing to do.
async fn what_changes_while_a_poll_is_recorded_is_looked_at_at_once(mut house: House) {
    house.settle().await;
    house.poll().await;
    let before = house.chain.node().polled;
    house.poll().await;
    assert_eq!(
        house.chain.node().polled,
        before + 1,
        "one look for each poll"
    );
    house.chain.change_meanwhile();
    house.poll().await;
    assert_eq!(
        house.chain.node().polled,
        before + 3,
        "and was looked at again"
    );
}
