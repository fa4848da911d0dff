//! Mistakes that a watcher of payments may have, each as one change of text.
//!
//! Those of crates that few others use come first, as each change builds again whatever uses its crate.

use super::Defect;

/// Every defect, by crate.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        name: "refusal_is_success",
        why: "any answer of a merchant's server counts as delivered, also 429 and 500",
        file: "crates/webhook/src/verdict.rs",
        from: "Ok(answer) if (200..300).contains(&answer.status) =>",
        to: "Ok(answer) if (200..600).contains(&answer.status) =>",
    },
    Defect {
        name: "silence_is_success",
        why: "a webhook that nobody answered is not sent again",
        file: "crates/webhook/src/verdict.rs",
        from: "Err(failure) => Self {
                fate: again(),",
        to: "Err(failure) => Self {
                fate: Fate::Delivered,",
    },
    Defect {
        name: "reorg_keeps_a_block",
        why: "a reorganisation takes back everything but the first block above the fork",
        file: "crates/engine/src/apply/blocks.rs",
        from: "placements::close_above(tx, &self.chain, fork.height, self.now, LeftReason::Reorged)",
        to: "placements::close_above(tx, &self.chain, fork.height + 1, self.now, LeftReason::Reorged)",
    },
    Defect {
        name: "time_of_reading",
        why: "what is read after the watcher was down counts as sent when it was read",
        file: "crates/engine/src/apply/blocks.rs",
        from: "let at = block.time.max(self.all_seen_at).min(self.now);",
        to: "let at = self.now;",
    },
    Defect {
        name: "replaced_still_counts",
        why: "what was replaced in the mempool counts beside what took its place",
        file: "crates/engine/src/apply/poll.rs",
        from: "placements::close(tx, &closing, self.now)",
        to: "placements::close(tx, &closing[..0], self.now)",
    },
    Defect {
        name: "evicted_still_counts",
        why: "what the node has dropped from its mempool stays as if it were there",
        file: "crates/engine/src/apply/poll.rs",
        from: "(!was_forgotten || !is_recent).then_some(LeftReason::Evicted)",
        to: "(was_forgotten && !is_recent).then_some(LeftReason::Evicted)",
    },
    Defect {
        name: "covered_until_the_answer",
        why: "a chain counts as read up to when the poll was answered, not up to when it was asked",
        file: "crates/engine/src/apply/poll.rs",
        from: "chains::cover(tx, &self.chain, self.fence, self.begun_at, self.tip_height)",
        to: "chains::cover(tx, &self.chain, self.fence, self.now, self.tip_height)",
    },
    Defect {
        name: "any_asset_pays",
        why: "money of another asset counts when it goes to the address of an invoice",
        file: "crates/engine/src/apply/credits.rs",
        from: "if owner.asset == credit.asset {",
        to: "if owner.asset.chain() == credit.asset.chain() {",
    },
    Defect {
        name: "replacement_loses_its_time",
        why: "a payment whose fee is raised after expiry is late, though the first one was in time",
        file: "crates/engine/src/apply/credits.rs",
        from: "(first.origin.clone(), first.sighted_at.min(one.sighted_at))",
        to: "(first.origin.clone(), one.sighted_at)",
    },
    Defect {
        name: "parent_is_not_compared",
        why: "the next block is taken as it comes, whatever it stands on",
        file: "crates/engine/src/follower/mod.rs",
        from: "Some(top) if block.parent != top.hash =>",
        to: "Some(top) if block.at.hash == top.hash =>",
    },
    Defect {
        name: "watched_from_the_start_only",
        why: "blocks are scanned for the addresses that the last poll knew, not for those shown since",
        file: "crates/engine/src/worker/following.rs",
        from: "let mut fresh = false;",
        to: "let mut fresh = true;",
    },
    Defect {
        name: "first_number_is_kept",
        why: "of several events in one transaction the number of the first is stored as the last",
        file: "crates/engine/src/news.rs",
        from: ".events
                .last()",
        to: ".events
                .first()",
    },
    Defect {
        name: "question_stays_open",
        why: "an exception is told as resolved and stays open, though the money has returned",
        file: "crates/engine/src/news.rs",
        from: "exceptions::resolve(tx, &resolved, pass.now)",
        to: "exceptions::resolve(tx, &resolved[..0], pass.now)",
    },
    Defect {
        name: "retry_makes_another_invoice",
        why: "the idempotency key of a request is not stored with what it did",
        file: "crates/engine/src/commands/answer.rs",
        from: "let record = idempotent.map(|idempotent| {",
        to: "let record = idempotent.filter(|_| false).map(|idempotent| {",
    },
    Defect {
        name: "sighting_moves",
        why: "when a payment becomes final, the time of its first sighting is written over",
        file: "crates/store/src/transfers.rs",
        from: "UPDATE transfers SET final_at = $2",
        to: "UPDATE transfers SET final_at = $2, sighted_at = $2",
    },
    Defect {
        name: "delivered_before_sent",
        why: "a webhook is marked as delivered when it is taken to be sent",
        file: "crates/store/src/deliveries/mod.rs",
        from: "UPDATE deliveries SET claimed_until = $1",
        to: "UPDATE deliveries SET claimed_until = $1, state = 'delivered', due_at = NULL, finished_at = $1",
    },
    Defect {
        name: "newest_first",
        why: "of the events of an invoice that wait the newest is sent next",
        file: "crates/store/src/deliveries/record.rs",
        from: "(SELECT MIN(n.id) FROM deliveries AS n",
        to: "(SELECT MAX(n.id) FROM deliveries AS n",
    },
    Defect {
        name: "one_confirmation_too_few",
        why: "the depth of a payment is counted one block too high",
        file: "crates/domain/src/fold/judge.rs",
        from: "depth: above.saturating_add(1),",
        to: "depth: above.saturating_add(2),",
    },
    Defect {
        name: "woken_a_block_late",
        why: "an invoice is looked at again one block after its payment became final",
        file: "crates/domain/src/fold/judge.rs",
        from: "let above = u64::from(depth).saturating_sub(1);",
        to: "let above = u64::from(depth);",
    },
    Defect {
        name: "expired_by_the_clock",
        why: "an invoice expires when its time is over, whether or not its chains were read up to then",
        file: "crates/domain/src/fold/mod.rs",
        from: "let closed = terms.expires_at < now && uncovered.is_empty();",
        to: "let closed = terms.expires_at < now;",
    },
    Defect {
        name: "late_is_in_time",
        why: "what comes in the late window counts like what came before expiry",
        file: "crates/domain/src/fold/transfers.rs",
        from: "in_time: transfer.sighted_at <= terms.expires_at,",
        to: "in_time: transfer.sighted_at <= terms.late_until,",
    },
    Defect {
        name: "other_forms_pay",
        why: "money at another form of the address counts, which must only be told",
        file: "crates/domain/src/fold/transfers.rs",
        from: "let counted = transfer.is_payment() && stands && in_window;",
        to: "let counted = stands && in_window;",
    },
    Defect {
        name: "tolerances_are_mixed_up",
        why: "the margin above the amount is granted below it",
        file: "crates/domain/src/terms.rs",
        from: "let under = tolerance.under.of(due)",
        to: "let under = tolerance.over.of(due)",
    },
    Defect {
        name: "canceled_is_paid",
        why: "a canceled invoice becomes paid when enough money comes",
        file: "crates/domain/src/status.rs",
        from: "if self.canceled {",
        to: "if self.canceled && self.reached == Reached::Under {",
    },
    Defect {
        name: "fall_is_an_update",
        why: "that final money is taken away is told like any other change",
        file: "crates/domain/src/event.rs",
        from: "before.is_paid() && taken && before < now",
        to: "before.is_paid() && taken && now < before",
    },
];
