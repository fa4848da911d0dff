//! Around a chain's lease: going on from what is stored, renewing, and stopping with a reason.

use std::collections::BTreeMap;

use paywatch_chain::{Source, WatchTable};
use paywatch_domain::UnixMillis;
use paywatch_store::blocks;
use paywatch_store::chains::Lease;
use paywatch_store::watched::WatchMark;

use super::balances::Balances;
use super::endpoints::Endpoints;
use super::following::{Asked, Following, turns};
use super::headers::KeptHeaders;
use super::line::Line;
use super::speed::Speed;
use super::{Fault, Parts};
use crate::follower::{Follower, Halt, Header};
use crate::units::{ClaimLease, HaltChain, ReleaseLease, RenewLease, ResumeChain};

/// A follower that goes on from where the chain was left.
fn follow_on(window: Vec<Header>, depth_max: u64, lease: &Lease) -> Result<Follower, Halt> {
    let follower = Follower::new(window, depth_max)?;
    if follower.cursor() != lease.cursor.as_ref() {
        return Err(Halt::Broken("the stored headers do not end at the cursor"));
    }
    Ok(if lease.is_resumed {
        follower.resumed()
    } else {
        follower
    })
}

/// Takes the lease of the chain; `None` while another process holds it, or the chain is halted and nobody
/// has asked to resume it.
async fn claim(parts: &Parts, now: UnixMillis) -> Result<Option<Lease>, Fault> {
    let chain = &parts.spec.name;
    let claim = ClaimLease {
        chain: chain.clone(),
        holder: parts.holder.clone(),
        now,
        lease_ms: parts.pace.lease_ms,
    };
    let Some(lease) = parts.store.write(claim).await? else {
        return Ok(None);
    };
    if lease.halted.is_none() {
        return Ok(Some(lease));
    }
    let resume = ResumeChain {
        chain: chain.clone(),
        fence: lease.fence,
        now,
    };
    if !parts.store.write(resume).await? {
        return Ok(None);
    }
    tracing::warn!(%chain, halted = ?lease.halted, "the chain goes on after an operator has looked");
    Ok(Some(Lease {
        halted: None,
        is_resumed: true,
        ..lease
    }))
}

/// Keeps the reason of a halt; the cursor stays.
async fn halt_chain(
    parts: &Parts,
    lease: &Lease,
    reason: &impl std::fmt::Display,
    now: UnixMillis,
) {
    let unit = HaltChain {
        chain: parts.spec.name.clone(),
        fence: lease.fence,
        reason: reason.to_string(),
        now,
    };
    if let Err(error) = parts.store.write(unit).await {
        tracing::error!(%error, "the halt could not be recorded; it will be found again");
    }
}

impl<S: Source> Following<S> {
    /// Takes the lease; `None` while another process holds it or the chain is halted.
    pub(super) async fn begin(parts: &mut Parts, now: UnixMillis) -> Result<Option<Self>, Fault> {
        let Some(lease) = claim(parts, now).await? else {
            return Ok(None);
        };
        let (chain, depth_max) = (&parts.spec.name, parts.spec.reorg_depth_max);
        // Below the window there are headers for a fork that only a resumed chain may look for.
        let lowest = match &lease.cursor {
            Some(cursor) if !lease.is_resumed => cursor.height.saturating_sub(depth_max),
            Some(_) | None => 0,
        };
        let mut conn = parts.store.read().await?;
        let first_height = blocks::lowest(&mut conn, chain).await?;
        let kept = blocks::from_height(&mut conn, chain, lowest).await?;
        drop(conn);
        let headers = kept.into_iter().map(|header| Header {
            at: header.at,
            parent: header.parent,
        });
        let follower = match follow_on(headers.collect(), depth_max, &lease) {
            Ok(follower) => follower,
            Err(halt) => {
                halt_chain(parts, &lease, &halt, now).await;
                return Err(halt.into());
            }
        };
        tracing::info!(%chain, cursor = ?lease.cursor.as_ref().map(|at| at.height), "following");
        Ok(Some(Self {
            lease_until: now.plus_ms(parts.pace.lease_ms),
            covered_at: lease.covered_until.unwrap_or(UnixMillis(0)),
            seen_at: lease.covered_until.unwrap_or(UnixMillis(0)),
            lease,
            follower,
            watched: WatchTable::new(parts.entropy.bits())
                .separated_by(parts.derivation.separator()),
            mark: WatchMark::START,
            round: 0,
            turns: turns(),
            blocks: BTreeMap::new(),
            hashes: BTreeMap::new(),
            asked: Asked::default(),
            poll_at: now,
            wake_from: now,
            polled_at: None,
            said: None,
            waiting_since: None,
            behind_since: None,
            has_advanced: false,
            reported: None,
            reported_tip: 0,
            reported_at: UnixMillis(0),
            first_height,
            speed: Speed::default(),
            branch: 0,
            reading: None,
            locating: None,
            line: Line::default(),
            reading_rounds: 0,
            looks: false,
            balances: Balances::default(),
            headers: KeptHeaders::default(),
            endpoints: Endpoints::default(),
        }))
    }

    pub(super) async fn renew(&mut self, parts: &mut Parts, now: UnixMillis) -> Result<(), Fault> {
        let half = parts.pace.lease_ms / 2;
        if now < self.lease_until.plus_ms(-half) {
            return Ok(());
        }
        let renew = RenewLease {
            lease: self.lease.clone(),
            now,
            lease_ms: parts.pace.lease_ms,
        };
        parts.store.write(renew).await?;
        self.lease_until = now.plus_ms(parts.pace.lease_ms);
        Ok(())
    }

    /// Keeps the reason of a halt; the cursor stays.
    pub(super) async fn halt(
        self,
        parts: &Parts,
        reason: &impl std::fmt::Display,
        now: UnixMillis,
    ) {
        halt_chain(parts, &self.lease, reason, now).await;
    }

    /// Gives the lease back.
    pub(super) async fn release(self, parts: &Parts) {
        let unit = ReleaseLease { lease: self.lease };
        if let Err(error) = parts.store.write(unit).await {
            tracing::warn!(%error, "the lease was not given back; it runs out by itself");
        }
    }
}
