//! One pass over invoices that are folded again.

use paywatch_domain::{Cause, UnixMillis};
use paywatch_store::MasterKey;

use crate::ids::Ids;

/// What all invoices of one pass share.
pub(crate) struct Pass<'a> {
    /// Checks seals.
    pub(crate) master: &'a MasterKey,
    /// The time of the pass.
    pub(crate) now: UnixMillis,
    /// What set the pass off.
    pub(crate) cause: &'a Cause,
    /// Where new ids come from.
    pub(crate) ids: &'a mut Ids,
}
