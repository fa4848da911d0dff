//! Small units of work around a chain's lease and the requests to its worker.

use paywatch_domain::{ChainName, UnixMillis};
use paywatch_store::chains::{self, Lease, News};
use paywatch_store::requests::{self, Progress};
use paywatch_store::{
    RequestKey, StoreError, Tx, Unit, WalletKey, chain_endpoints, counters, unseen, wallets,
};
use paywatch_wire::ChainEndpoint;

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
    pub(crate) now: UnixMillis,
}

impl Unit for HaltChain {
    type Output = ();
    type Error = EngineError;
    const NAME: &'static str = "halt_chain";

    async fn run(&self, tx: &mut Tx) -> Result<(), EngineError> {
        chains::halt(tx, &self.chain, self.fence, &self.reason).await?;
        requests::fail_resumes(tx, &self.chain, &self.reason, self.now).await?;
        Ok(())
    }
}

/// Lets a halted chain go on where somebody has asked for it; answers whether it does.
pub(crate) struct ResumeChain {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) now: UnixMillis,
}

impl Unit for ResumeChain {
    type Output = bool;
    type Error = EngineError;
    const NAME: &'static str = "resume_chain";

    async fn run(&self, tx: &mut Tx) -> Result<bool, EngineError> {
        if !requests::begin_resumes(tx, &self.chain, self.now).await? {
            return Ok(false);
        }
        Ok(chains::resume(tx, &self.chain, self.fence, self.now).await?)
    }
}

/// The highest index of a wallet that was ever paid.
pub(crate) struct Used {
    pub(crate) wallet: WalletKey,
    /// The node whose counter must not fall below it.
    pub(crate) node: String,
    pub(crate) highest: u32,
}

/// Records how far a request is, while the lease is held.
pub(crate) struct RecordRequest {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) request: RequestKey,
    pub(crate) progress: Progress,
    /// What the scan of a wallet found.
    pub(crate) used: Option<Used>,
    pub(crate) now: UnixMillis,
}

impl Unit for RecordRequest {
    type Output = ();
    type Error = EngineError;
    const NAME: &'static str = "record_request";

    async fn run(&self, tx: &mut Tx) -> Result<(), EngineError> {
        chains::hold(tx, &self.chain, self.fence, self.now).await?;
        if let Some(used) = &self.used {
            counters::raise(tx, &used.node, used.highest.saturating_add(1)).await?;
            wallets::scanned(tx, used.wallet, used.highest).await?;
        }
        requests::record(tx, self.request, &self.progress, self.now).await?;
        Ok(())
    }
}

/// Ends a request that cannot be carried out, while the lease is held.
pub(crate) struct FailRequest {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) request: RequestKey,
    pub(crate) why: String,
    pub(crate) now: UnixMillis,
}

impl Unit for FailRequest {
    type Output = ();
    type Error = EngineError;
    const NAME: &'static str = "fail_request";

    async fn run(&self, tx: &mut Tx) -> Result<(), EngineError> {
        chains::hold(tx, &self.chain, self.fence, self.now).await?;
        requests::fail(tx, self.request, &self.why, self.now).await?;
        Ok(())
    }
}

pub(crate) struct Report {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) news: News,
    pub(crate) now: UnixMillis,
}

impl Unit for Report {
    type Output = ();
    type Error = EngineError;
    const NAME: &'static str = "report_chain";

    async fn run(&self, tx: &mut Tx) -> Result<(), EngineError> {
        Ok(chains::report(tx, &self.chain, self.fence, &self.news, self.now).await?)
    }
}

/// Records up to when balances were looked at; `None` when blocks show everything, so that nobody has to.
pub(crate) struct RecordLook {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) until: Option<UnixMillis>,
}

impl Unit for RecordLook {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "record_look";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        match self.until {
            Some(until) => unseen::looked(tx, &self.chain, self.fence, until).await,
            None => unseen::forget(tx, &self.chain, self.fence).await,
        }
    }
}

/// Shows people how the endpoints of a chain are.
pub(crate) struct ShowEndpoints {
    pub(crate) chain: ChainName,
    pub(crate) fence: i64,
    pub(crate) endpoints: Vec<ChainEndpoint>,
}

impl Unit for ShowEndpoints {
    type Output = ();
    type Error = StoreError;
    const NAME: &'static str = "show_endpoints";

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        chain_endpoints::show(tx, &self.chain, self.fence, &self.endpoints).await
    }
}
