//! Every invariant by its name.

use super::scene::Scene;
use super::{credits, exceptions, finality, ledgers, merchants};

/// One invariant: a sentence about what is wrong, if it is.
pub(super) type Check = fn(&Scene<'_>) -> Result<(), String>;

/// What is so at every moment between two steps.
pub(super) const ALWAYS: [(&str, Check); 17] = [
    (
        "the_cursor_stands_on_a_block",
        ledgers::the_cursor_stands_on_a_block,
    ),
    (
        "only_depth_halts_a_chain",
        ledgers::only_depth_halts_a_chain,
    ),
    ("marks_were_said", finality::marks_were_said),
    ("every_invoice_is_kept", ledgers::every_invoice_is_kept),
    ("an_order_is_one_invoice", ledgers::an_order_is_one_invoice),
    ("terms_are_as_asked_for", ledgers::terms_are_as_asked_for),
    (
        "credits_are_those_of_the_chain",
        credits::credits_are_those_of_the_chain,
    ),
    ("what_waits_exists", ledgers::what_waits_exists),
    ("sightings_are_possible", ledgers::sightings_are_possible),
    (
        "downtime_makes_nothing_late",
        ledgers::downtime_makes_nothing_late,
    ),
    (
        "sums_are_those_of_the_credits",
        ledgers::sums_are_those_of_the_credits,
    ),
    (
        "the_status_follows_the_rules",
        ledgers::the_status_follows_the_rules,
    ),
    ("versions_have_no_gaps", merchants::versions_have_no_gaps),
    (
        "what_is_stored_was_said",
        merchants::what_is_stored_was_said,
    ),
    (
        "a_fall_from_paid_is_reverted",
        merchants::a_fall_from_paid_is_reverted,
    ),
    ("nothing_expires_unread", merchants::nothing_expires_unread),
    (
        "shops_are_told_in_order",
        merchants::shops_are_told_in_order,
    ),
];

/// What is so when nothing is under way any more.
pub(super) const SETTLED: [(&str, Check); 7] = [
    ("every_chain_is_read", ledgers::every_chain_is_read),
    ("nothing_waits", ledgers::nothing_waits),
    (
        "exceptions_are_those_of_the_money",
        exceptions::exceptions_are_those_of_the_money,
    ),
    (
        "double_spends_were_seen",
        exceptions::double_spends_were_seen,
    ),
    (
        "every_event_has_its_deliveries",
        merchants::every_event_has_its_deliveries,
    ),
    ("every_event_arrives", merchants::every_event_arrives),
    ("merchants_know_the_end", merchants::merchants_know_the_end),
];
