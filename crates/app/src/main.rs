//! The paywatch binary.
fn main() {}
