//! One folder, so that the name of every test tells the family.

mod addresses;
mod built;
mod chains;
mod lies;
mod recorded;
mod refused_keys;
mod shape;
mod source;
mod traces;
mod transfers;
