//! One file a subcommand.

pub(crate) mod audit;
pub(crate) mod chains;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod exceptions;
pub(crate) mod init;
pub(crate) mod invoice;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod request;
pub(crate) mod reseal;
pub(crate) mod serve;
pub(crate) mod wallet;
pub(crate) mod webhook;
