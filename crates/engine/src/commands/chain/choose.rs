//! On which chain something is to be done, and what exactly.

use paywatch_domain::{
    BlockHash, BlockHint, ChainName, ChainSpec, Dossier, InvoiceId, OptionTerms, TxId, WalletId,
};
use paywatch_store::{Conn, chains, invoices};
use paywatch_wire::request::{AttachTransaction, ScanWallet};

use super::super::wallet::{derivation, find as find_wallet};
use super::super::{Caller, CommandError, CommandParts};
use super::{Ask, Wish};
use crate::refold::claimable;

/// The chain whose worker is asked, and for what.
pub(super) async fn choose(
    parts: &CommandParts,
    caller: &Caller,
    ask: Ask,
) -> Result<(ChainName, Wish), CommandError> {
    let mut conn = parts.store.read().await?;
    match ask {
        Ask::Resume(chain) => Ok((own_chain(parts, caller, &chain)?, Wish::Resume)),
        Ask::Rescan(chain, rescan) => Ok((own_chain(parts, caller, &chain)?, Wish::Rescan(rescan))),
        Ask::ScanWallet(id, scan) => {
            let chain = chain_of_wallet(&mut conn, parts, caller, id, &scan).await?;
            Ok((chain, Wish::WalletScan(id, scan)))
        }
        Ask::Attach(id, attach) => {
            let dossier = claimed(&mut conn, parts, caller, id).await?;
            let option = attach.option_id.as_deref();
            let options = options(&dossier, option, attach.chain.as_ref())?;
            let chain = only_chain(&options)?;
            let wish = Wish::Attach {
                invoice: id,
                tx_id: tx_id(parts, &chain, &attach.tx_id)?,
                block: block_hint(attach),
            };
            Ok((chain, wish))
        }
        Ask::Check(id, check) => {
            let dossier = claimed(&mut conn, parts, caller, id).await?;
            let options = options(&dossier, None, check.chain.as_ref())?;
            let chain = only_chain(&options)?;
            let made = options.iter().map(|option| option.created_height).min();
            let wish = Wish::Check {
                invoice: id,
                from_height: made.unwrap_or_default(),
            };
            Ok((chain, wish))
        }
    }
}

/// The chain of this name, of the caller's mode.
fn own_chain(parts: &CommandParts, caller: &Caller, name: &str) -> Result<ChainName, CommandError> {
    let mut own = parts
        .catalogue
        .chains()
        .filter(|chain| chain.mode == caller.mode);
    let found = own.find(|chain| chain.name.as_str() == name);
    found.map(|chain| chain.name.clone()).ok_or_else(|| {
        let detail = "there is no such chain for this key; see /v1/chains";
        CommandError::refused(404, "chain_unknown", detail)
    })
}

async fn chain_of_wallet(
    conn: &mut Conn,
    parts: &CommandParts,
    caller: &Caller,
    id: WalletId,
    request: &ScanWallet,
) -> Result<ChainName, CommandError> {
    let wallet = find_wallet(conn, caller, id).await?;
    let followed = followed(conn).await?;
    let fits = |chain: &&ChainSpec| {
        chain.family == wallet.family
            && chain.mode == caller.mode
            && request
                .chain
                .as_ref()
                .is_none_or(|named| *named == chain.name)
    };
    let chains = parts.catalogue.chains().filter(fits);
    let chains = chains
        .map(|chain| &chain.name)
        .filter(|name| request.chain.is_some() || followed.contains(name));
    only(chains, || {
        let family = wallet.family.as_str();
        format!("this installation follows no such chain of the family {family}")
    })
}

/// The chains of which a block was read.
async fn followed(conn: &mut Conn) -> Result<Vec<ChainName>, CommandError> {
    let rows = chains::all(conn).await?.into_iter();
    let read = rows.filter(|row| row.cursor.is_some());
    Ok(read.map(|row| row.chain).collect())
}

/// The only one of these chains; where there are several, one has to be named.
fn only<'a>(
    chains: impl Iterator<Item = &'a ChainName>,
    none: impl FnOnce() -> String,
) -> Result<ChainName, CommandError> {
    let mut names: Vec<&ChainName> = chains.collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [chain] => Ok((*chain).clone()),
        [] => Err(CommandError::field("/chain", "chain_unknown", none())),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            let detail = format!("name one of {}", names.join(", "));
            Err(CommandError::field("/chain", "required", detail))
        }
    }
}

/// An invoice of the caller about which claims may be made.
async fn claimed(
    conn: &mut Conn,
    parts: &CommandParts,
    caller: &Caller,
    id: InvoiceId,
) -> Result<Dossier, CommandError> {
    let found = invoices::find(conn, caller.merchant, caller.mode, id).await?;
    let loaded = match found {
        Some(key) => invoices::load(conn, &[key]).await?.pop(),
        None => None,
    };
    let loaded = loaded.ok_or_else(|| {
        CommandError::refused(404, "invoice_unknown", format!("there is no invoice {id}"))
    })?;
    match claimable(&loaded, &parts.master) {
        Ok(dossier) => Ok(dossier.clone()),
        Err(violation) => Err(super::super::invoice::untrusted(&violation)),
    }
}

/// The options that are meant.
fn options<'a>(
    dossier: &'a Dossier,
    option: Option<&str>,
    chain: Option<&ChainName>,
) -> Result<Vec<&'a OptionTerms>, CommandError> {
    let all = dossier.terms.options.iter();
    let meant = all.filter(|one| {
        option.is_none_or(|option| one.id.to_string() == option)
            && chain.is_none_or(|chain| one.asset.chain() == chain)
    });
    let meant: Vec<&OptionTerms> = meant.collect();
    if meant.is_empty() {
        let (pointer, code) = match option {
            Some(_) => ("/option_id", "option_unknown"),
            None => ("/chain", "chain_unknown"),
        };
        let detail = "the invoice has no such way to pay";
        return Err(CommandError::field(pointer, code, detail));
    }
    Ok(meant)
}

fn only_chain(options: &[&OptionTerms]) -> Result<ChainName, CommandError> {
    only(options.iter().map(|option| option.asset.chain()), || {
        "the invoice has no such way to pay".into()
    })
}

/// A transaction's id in the form of its chain.
fn tx_id(parts: &CommandParts, chain: &ChainName, text: &str) -> Result<TxId, CommandError> {
    let family = parts.catalogue.chain(chain).map(|chain| chain.family);
    let read = match family {
        Some(family) => derivation(parts, family)?.transaction_id(text),
        None => None,
    };
    read.ok_or_else(|| {
        let detail = format!("this is not the id of a transaction of {chain}");
        CommandError::field("/tx_id", "tx_id_invalid", detail)
    })
}

fn block_hint(attach: AttachTransaction) -> Option<BlockHint> {
    let hash = attach.block_hash.map(|hash| hash.to_ascii_lowercase());
    let hash = hash.map(|hash| BlockHint::Hash(BlockHash::new(&hash)));
    attach.block_height.map(BlockHint::Height).or(hash)
}
