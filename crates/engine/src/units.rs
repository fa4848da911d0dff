//! Small units of work around a chain's lease.

use paywatch_domain::{ChainName, UnixMillis};
use paywatch_store::chains::{self, Lease, Problem};
use paywatch_store::{StoreError, Tx, Unit};

use crate::error::EngineError;

pub(crate) struct ClaimLease {
    pub(crate) chain: ChainName,
    pub(crate) holder: String,
    pub(crate) now: UnixMillis,
    pub(crate) lease_ms: i64,
}

impl Unit for ClaimLease {
    type Output = Option<Lease>;
    type Error = StoreError;
    const NAME: &'static str = "claim_lease";

    async fn run(&self, tx: &mut Tx) -> Result<Option<Lease>, StoreError> {
        chains::claim(tx, &self.chain, &self.holder, self.now, self.lease_ms).await
    }
}

pub(crate) struct RenewLease {
    pub(crate) lease: Lease,
    pub(crate) now: UnixMillis,
    pub(crate) lease_ms: i64,
}

impl Unit for RenewLease {
    type Output = ();
    type Error = EngineError;
    const NAME: &'static str = "renew_lease";

    async fn run(&self, tx: &mut Tx) -> Result<(), EngineError> {
        let held = chains::renew(tx, &self.lease, self.now, self.lease_ms).await?;
        if held {
            Ok(())
        } else {
            Err(EngineError::LeaseLost)
        }
    }
}

pub(crate) struct ReleaseLease {
    pub(crate) lease: Lease,
}

impl Unit for ReleaseLease {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "release_lease";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        chains::release(tx, &self.lease).await
    }
}

pub(crate) struct HaltChain {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) reason: String,
}

impl Unit for HaltChain {
    type Output = ();
    type Error = EngineError;
    const NAME: &'static str = "halt_chain";

    async fn run(&self, tx: &mut Tx) -> Result<(), EngineError> {
        Ok(chains::halt(tx, &self.chain, self.fence, &self.reason).await?)
    }
}

pub(crate) struct Report {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) tip_height: Option<u64>,
    pub(crate) problem: Option<Problem>,
    pub(crate) now: UnixMillis,
}

impl Unit for Report {
    type Output = ();
    type Error = EngineError;
    const NAME: &'static str = "report_chain";

    async fn run(&self, tx: &mut Tx) -> Result<(), EngineError> {
        let problem = self.problem.as_ref();
        Ok(chains::report(
            tx,
            &self.chain,
            self.fence,
            self.tip_height,
            problem,
            self.now,
        )
        .await?)
    }
}
