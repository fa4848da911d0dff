//! The port between a chain and the engine: blocks in, transfers out
