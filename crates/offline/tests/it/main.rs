//! Runs the binary as people do, and reads what it writes with the watcher's code and with npm packages.

mod solana;
