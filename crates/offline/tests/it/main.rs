//! Runs the binary as people do, and reads what it writes with the watcher's code and with npm packages.

#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod solana;
