//! One folder, so that the name of every test tells the family.

mod absent;
mod addresses;
mod identity;
mod lies;
mod links;
mod mentions;
mod node;
mod payments;
mod pools;
mod powers;
mod references;
mod refused_keys;
mod support;
mod versions;
mod wait;
