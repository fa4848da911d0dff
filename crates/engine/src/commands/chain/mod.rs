//! What people ask of the worker of a chain: resume, rescan, scan for a wallet.
//!
//! The worker reaches the node, so a request is a row that it finds; the answer shows how far that is.

mod show;

use std::sync::Arc;

use paywatch_domain::{ChainName, ChainSpec, Entropy, RequestId, Task, UnixMillis, WalletId};
use paywatch_store::chains::{self, ChainRow};
use paywatch_store::requests::{self, NewRequest, Request};
use paywatch_store::{Conn, MerchantKey, Tx, audit, blocks};
use paywatch_wire::request::{Rescan, ScanWallet};
use paywatch_wire::{ChainRequest, json_text};

use super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::wallet::{check_seal, find as find_wallet};
use super::{Caller, Change, CommandError, CommandParts, Commands};
use show::show;

/// Requests of one merchant, or of the operators, to one chain that are open at one time.
const OPEN_OF_ONE_MAX: usize = 8;

/// What is asked, before it is known up to which block.
enum Wish {
    Resume,
    Rescan(Rescan),
    WalletScan(WalletId, ScanWallet),
}

struct AskWorker {
    parts: Arc<CommandParts>,
    caller: Caller,
    chain: ChainName,
    wish: Wish,
    id: RequestId,
    now: UnixMillis,
}

impl Effect for AskWorker {
    const NAME: &'static str = "ask_worker";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let rows = chains::all(tx).await?;
        let row = rows.iter().find(|row| row.chain == self.chain);
        let (merchant, task) = self.task(tx, row).await?;
        // Asking for the same again while it is not done changes nothing.
        let open = requests::open(tx, &self.chain).await?;
        let is_full = requests::OPEN_MAX <= open.len();
        let open: Vec<Request> = open.into_iter().flatten().collect();
        let same = open
            .iter()
            .find(|open| open.task == task && open.merchant == merchant);
        let request = match same {
            Some(same) => same.clone(),
            None => {
                check_room(&open, is_full, merchant, &task)?;
                self.insert(tx, merchant, task).await?
            }
        };
        Ok(Answer {
            status: 202,
            // What concerns a whole chain is asked by operators.
            body: json_text(&show(&request, request.merchant.is_none())),
        })
    }
}

impl AskWorker {
    /// What is to be done, and for whom: `None` for a whole chain.
    async fn task(
        &self,
        tx: &mut Tx,
        row: Option<&ChainRow>,
    ) -> Result<(Option<MerchantKey>, Task), CommandError> {
        match &self.wish {
            Wish::Resume => {
                if row.is_none_or(|row| row.halted.is_none()) {
                    let detail =
                        format!("{} is not halted; there is nothing to resume", self.chain);
                    return Err(CommandError::refused(409, "chain_not_halted", detail));
                }
                Ok((None, Task::Resume))
            }
            Wish::Rescan(rescan) => {
                let (from_height, to_height) =
                    self.heights(row, rescan.from_height, rescan.to_height)?;
                self.check_proven(tx, from_height).await?;
                let task = Task::Rescan {
                    from_height,
                    to_height,
                };
                Ok((None, task))
            }
            Wish::WalletScan(id, scan) => {
                let wallet = find_wallet(tx, &self.caller, *id).await?;
                check_seal(&self.parts, &self.caller, &wallet)?;
                let (from_height, to_height) = self.heights(row, scan.from_height, None)?;
                let task = Task::WalletScan {
                    merchant: self.caller.merchant_id,
                    wallet: *id,
                    from_height,
                    to_height,
                };
                Ok((Some(self.caller.merchant), task))
            }
        }
    }

    /// The blocks to read, all of which were read before.
    fn heights(
        &self,
        row: Option<&ChainRow>,
        from: u64,
        to: Option<u64>,
    ) -> Result<(u64, u64), CommandError> {
        let Some(cursor) = row.and_then(|row| row.cursor.as_ref()) else {
            let detail = format!("no block of {} was read yet", self.chain);
            return Err(CommandError::refused(409, "chain_not_read", detail));
        };
        let to = to.unwrap_or(cursor.height);
        let above = |pointer: &str| {
            let detail = format!(
                "must not be above {}, the last block of {} that was read",
                cursor.height, self.chain
            );
            CommandError::field(pointer, "height_invalid", detail)
        };
        if cursor.height < from {
            return Err(above("/from_height"));
        }
        if cursor.height < to {
            return Err(above("/to_height"));
        }
        Ok((from, to))
    }

    /// What nothing proves to be of the chain changes nothing that is stored.
    async fn check_proven(&self, tx: &mut Tx, from: u64) -> Result<(), CommandError> {
        match blocks::lowest(tx, &self.chain).await? {
            Some(lowest) if from < lowest => {
                let detail = format!(
                    "must not be below {lowest}: {} is followed from there, and nothing proves which blocks below belong to it",
                    self.chain
                );
                Err(CommandError::field(
                    "/from_height",
                    "height_invalid",
                    detail,
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        merchant: Option<MerchantKey>,
        task: Task,
    ) -> Result<Request, CommandError> {
        let new = NewRequest {
            id: self.id,
            merchant,
            chain: self.chain.clone(),
            task,
            actor: self.caller.actor.clone(),
            now: self.now,
        };
        requests::insert(tx, &new).await?;
        let stored = requests::get(tx, self.id).await?;
        let stored = stored.ok_or_else(|| unknown(self.id))?;
        self.record(tx, &stored).await?;
        Ok(stored)
    }

    /// What concerns a whole chain goes into the installation's log.
    async fn record(&self, tx: &mut Tx, request: &Request) -> Result<(), CommandError> {
        let (action, subject) = match &request.task {
            Task::Resume => ("chain.resume", self.chain.to_string()),
            Task::Rescan { .. } => ("chain.rescan", self.chain.to_string()),
            Task::WalletScan { wallet, .. } => ("wallet.scan", wallet.to_string()),
        };
        let change = Change {
            before: None,
            after: Some(json_text(&show(request, true))),
        };
        let mut entry = self.caller.did(action, &subject, change, self.now);
        entry.merchant = request.merchant.map(|_| self.caller.merchant_id);
        Ok(audit::append(tx, &self.parts.master, &entry).await?)
    }
}

fn unknown(id: RequestId) -> CommandError {
    let detail = format!("there is no request {id}");
    CommandError::refused(404, "request_unknown", detail)
}

/// One merchant's requests must not keep those of others waiting for long. A halted chain can always be
/// resumed.
fn check_room(
    open: &[Request],
    is_full: bool,
    merchant: Option<MerchantKey>,
    task: &Task,
) -> Result<(), CommandError> {
    if *task == Task::Resume {
        return Ok(());
    }
    if let Task::WalletScan { wallet, .. } = task {
        let scan = open.iter().find(
            |open| matches!(&open.task, Task::WalletScan { wallet: scanned, .. } if scanned == wallet),
        );
        if let Some(scan) = scan {
            let detail = format!(
                "wallet {wallet} is being scanned; wait for the request {}",
                scan.id
            );
            return Err(CommandError::refused(409, "scan_open", detail));
        }
    }
    let own = open.iter().filter(|open| open.merchant == merchant).count();
    if is_full || OPEN_OF_ONE_MAX <= own {
        let detail = "too many requests to this chain are not done yet; wait for one of them";
        return Err(CommandError::refused(409, "requests_open", detail));
    }
    Ok(())
}

impl Commands {
    /// Lets a halted chain go on with what its node says, however deep the chain was reorganised.
    pub async fn resume_chain(
        &self,
        caller: &Caller,
        chain: &str,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let chain = self.own_chain(caller, chain)?;
        self.ask(caller, chain, Wish::Resume, idempotent, now, entropy)
            .await
    }

    /// Reads blocks again; what they say becomes what is stored.
    pub async fn rescan_chain(
        &self,
        caller: &Caller,
        chain: &str,
        request: Rescan,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let chain = self.own_chain(caller, chain)?;
        self.ask(
            caller,
            chain,
            Wish::Rescan(request),
            idempotent,
            now,
            entropy,
        )
        .await
    }

    /// Looks for the highest index of a wallet that was ever paid, and hands out no index up to it.
    pub async fn scan_wallet(
        &self,
        caller: &Caller,
        id: WalletId,
        request: ScanWallet,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let wallet = find_wallet(&mut conn, caller, id).await?;
        let followed = followed(&mut conn).await?;
        drop(conn);
        let fits = |chain: &&ChainSpec| {
            chain.family == wallet.family
                && chain.mode == caller.mode
                && request
                    .chain
                    .as_ref()
                    .is_none_or(|named| *named == chain.name)
        };
        let chains = self.parts.catalogue.chains().filter(fits);
        let chains: Vec<&ChainName> = chains
            .map(|chain| &chain.name)
            .filter(|name| request.chain.is_some() || followed.contains(name))
            .collect();
        let chain = match chains.as_slice() {
            [chain] => (*chain).clone(),
            [] => {
                let detail = format!(
                    "this installation follows no such chain of the family {}",
                    wallet.family.as_str()
                );
                return Err(CommandError::field("/chain", "chain_unknown", detail));
            }
            several => {
                let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                let detail = format!("name one of {}", names.join(", "));
                return Err(CommandError::field("/chain", "required", detail));
            }
        };
        let wish = Wish::WalletScan(id, request);
        self.ask(caller, chain, wish, idempotent, now, entropy)
            .await
    }

    /// One request; `None` when there is none of this id that the caller may see. What concerns a whole
    /// chain is for operators.
    pub async fn chain_request(
        &self,
        caller: &Caller,
        is_operator: bool,
        id: RequestId,
    ) -> Result<Option<ChainRequest>, CommandError> {
        let found = requests::get(&mut self.parts.store.read().await?, id).await?;
        let visible = found.filter(|request| {
            let chain = self.parts.catalogue.chain(&request.chain);
            let is_own = match request.merchant {
                Some(merchant) => merchant == caller.merchant,
                None => is_operator,
            };
            is_own && chain.is_some_and(|chain| chain.mode == caller.mode)
        });
        Ok(visible.map(|request| show(&request, is_operator)))
    }

    /// The chain of this name, of the caller's mode.
    fn own_chain(&self, caller: &Caller, name: &str) -> Result<ChainName, CommandError> {
        let chains = self.parts.catalogue.chains();
        let mut own = chains.filter(|chain| chain.mode == caller.mode);
        let found = own.find(|chain| chain.name.as_str() == name);
        found.map(|chain| chain.name.clone()).ok_or_else(|| {
            let detail = "there is no such chain for this key; see /v1/chains";
            CommandError::refused(404, "chain_unknown", detail)
        })
    }

    async fn ask(
        &self,
        caller: &Caller,
        chain: ChainName,
        wish: Wish,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        let effect = AskWorker {
            parts: Arc::clone(parts),
            caller: caller.clone(),
            chain,
            wish,
            id: RequestId::random(entropy),
            now,
        };
        once(parts, caller, idempotent, now, entropy, effect).await
    }
}

/// The chains of which a block was read.
async fn followed(conn: &mut Conn) -> Result<Vec<ChainName>, CommandError> {
    let rows = chains::all(conn).await?.into_iter();
    let read = rows.filter(|row| row.cursor.is_some());
    Ok(read.map(|row| row.chain).collect())
}
