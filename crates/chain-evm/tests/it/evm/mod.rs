//! One folder, so that the name of every test tells the family.

mod addresses;
mod built;
mod lies;
mod recorded;
mod refused_keys;
mod source;
mod traces;
mod transfers;
