//! What people ask of the worker of a chain: resume, rescan, scan for a wallet, attach a transaction to an
//! invoice, check an invoice.
//!
//! The worker reaches the node, so a request is a row that it finds; the answer shows how far that is.

mod cancel;
mod choose;
mod show;

pub use show::Sight;

use std::sync::Arc;

use paywatch_domain::{
    BlockHint, ChainName, Entropy, InvoiceId, RequestId, Task, TxId, UnixMillis, WalletId,
};
use paywatch_store::chains::{self, ChainRow};
use paywatch_store::requests::{self, NewRequest, Request};
use paywatch_store::{MerchantKey, Tx, audit, blocks};
use paywatch_wire::json_text;
use paywatch_wire::request::{AttachTransaction, CheckInvoice, Rescan, ScanWallet};

use super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::wallet::{check_seal, find as find_wallet, is_pool};
use super::{Caller, Change, CommandError, CommandParts, Commands};
use show::show;

/// Requests of one merchant, or of the operators, to one chain that are open at one time.
const OPEN_OF_ONE_MAX: usize = 8;

/// What somebody asks of the worker of a chain.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Let a halted chain, by its name, go on with what its node says, however deep it was reorganised.
    Resume(String),
    /// Read blocks of a chain, by its name, again; what they say becomes what is stored.
    Rescan(String, Rescan),
    /// Look for the highest index of a wallet that was ever paid, and hand out no index up to it.
    ScanWallet(WalletId, ScanWallet),
    /// Put a transaction on the record of an invoice that it pays.
    Attach(InvoiceId, AttachTransaction),
    /// Read the mempool and the blocks in which an invoice can have been paid.
    Check(InvoiceId, CheckInvoice),
}

/// What is asked, before it is known up to which block.
enum Wish {
    Resume,
    Rescan(Rescan),
    WalletScan(WalletId, ScanWallet),
    Attach {
        invoice: InvoiceId,
        tx_id: TxId,
        block: Option<BlockHint>,
    },
    Check {
        invoice: InvoiceId,
        from_height: u64,
    },
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
            .find(|open| is_same(&open.task, &task) && open.merchant == merchant);
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
                if is_pool(&wallet) {
                    let detail = "the addresses of a pool are handed out once, in their order; put only \
                                  new ones into it";
                    return Err(CommandError::refused(409, "wallet_not_scanned", detail));
                }
                let (from_height, to_height) = self.heights(row, scan.from_height, None)?;
                let task = Task::WalletScan {
                    merchant: self.caller.merchant_id,
                    wallet: *id,
                    from_height,
                    to_height,
                };
                Ok((Some(self.caller.merchant), task))
            }
            Wish::Attach {
                invoice,
                tx_id,
                block,
            } => {
                let task = Task::Attach {
                    invoice: *invoice,
                    tx_id: tx_id.clone(),
                    block: block.clone(),
                };
                Ok((Some(self.caller.merchant), task))
            }
            Wish::Check {
                invoice,
                from_height,
            } => {
                let (cursor, lowest) = (self.cursor(row)?, blocks::lowest(tx, &self.chain).await?);
                // What lies below the lowest header was never followed; nothing of it can be proven.
                let from_height = lowest.map_or(*from_height, |lowest| lowest.max(*from_height));
                let task = Task::Check {
                    invoice: *invoice,
                    from_height: from_height.min(cursor),
                    to_height: cursor,
                };
                Ok((Some(self.caller.merchant), task))
            }
        }
    }

    /// The height up to which the chain was read.
    fn cursor(&self, row: Option<&ChainRow>) -> Result<u64, CommandError> {
        let cursor = row.and_then(|row| row.cursor.as_ref());
        cursor.map(|cursor| cursor.height).ok_or_else(|| {
            let detail = format!("no block of {} was read yet", self.chain);
            CommandError::refused(409, "chain_not_read", detail)
        })
    }

    /// The blocks to read, all of which were read before.
    fn heights(
        &self,
        row: Option<&ChainRow>,
        from: u64,
        to: Option<u64>,
    ) -> Result<(u64, u64), CommandError> {
        let cursor = self.cursor(row)?;
        let to = to.unwrap_or(cursor);
        let above = |pointer: &str| {
            let detail = format!(
                "must not be above {cursor}, the last block of {} that was read",
                self.chain
            );
            CommandError::field(pointer, "height_invalid", detail)
        };
        if cursor < from {
            return Err(above("/from_height"));
        }
        if cursor < to {
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
            Task::Attach { invoice, .. } => ("invoice.attach", invoice.to_string()),
            Task::Check { invoice, .. } => ("invoice.check", invoice.to_string()),
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

/// Whether an open task does what another asks for. An invoice that is being checked is not checked again
/// because a block has come meanwhile: that was read as it came.
fn is_same(open: &Task, asked: &Task) -> bool {
    match (open, asked) {
        (Task::Check { invoice: open, .. }, Task::Check { invoice, .. }) => open == invoice,
        _ => open == asked,
    }
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
    /// Asks something of the worker of a chain; the answer is the request, which goes on by itself.
    pub async fn ask_worker(
        &self,
        caller: &Caller,
        ask: Ask,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        let (chain, wish) = choose::choose(parts, caller, ask).await?;
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
