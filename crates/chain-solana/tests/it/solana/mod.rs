//! One folder, so that the name of every test tells the family.

mod absent;
mod cluster;
mod identity;
mod lies;
mod links;
mod node;
mod payments;
mod support;
mod wait;
