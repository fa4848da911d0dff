//! Tests of the engine against its ports.

mod follower;
