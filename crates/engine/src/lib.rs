//! Follows chains and turns what they say into facts, statuses and events.

pub mod follower;
