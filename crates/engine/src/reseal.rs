//! Sealing everything again after the master key was replaced, so that the key before it is not needed any
//! more.
//!
//! What is not as its old seal says stays as it is and is told of: it was changed by somebody without the
//! key, and a new seal would make it true. Seals over the terms of API keys are written when such a key is
//! used, as only then its text is known; the rows of the audit log keep theirs.

use std::sync::Arc;

use paywatch_store::invoices::{self, Loaded};
use paywatch_store::sealed::{self, NewSeal, Sealed, SealedEndpoint};
use paywatch_store::secrets::NONCE_BYTES;
use paywatch_store::wallets::WalletState;
use paywatch_store::{EndpointSecret, MasterKey, StoreError, Tx, Unit};

use crate::ids::Ids;
use crate::refold::trusted;
use crate::seal::{self, PoolFields, WalletFields};

/// Rows of one portion, which is one transaction.
const PORTION: u32 = 200;

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What addresses are derived from.
    Wallets,
    /// Addresses that were made elsewhere.
    PoolAddresses,
    /// What payers are shown, with the options.
    Invoices,
    /// The secrets that sign webhooks, which are encrypted.
    Endpoints,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Wallets,
        Self::PoolAddresses,
        Self::Invoices,
        Self::Endpoints,
    ];

    /// What rows of it are called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wallets => "wallets",
            Self::PoolAddresses => "pool addresses",
            Self::Invoices => "invoices",
            Self::Endpoints => "webhook endpoints",
        }
    }
}

/// A place among the rows of a kind; the first is `Place::default()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(i64, i64);

impl Default for Place {
    fn default() -> Self {
        Self(0, -1)
    }
}

/// Seals the next portion of one kind again.
pub struct Reseal {
    /// The new key, with those that it took the place of.
    pub master: Arc<MasterKey>,
    /// What is sealed.
    pub kind: Kind,
    /// Where the last portion ended.
    pub after: Place,
    /// Random bytes, other ones for each portion.
    pub seed: [u8; 32],
}

/// What became of a portion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// Where it ended; `None` when there was nothing more.
    pub end: Option<Place>,
    /// How many rows are sealed with the new key now.
    pub sealed: usize,
    /// Ids of rows that are not as their seals say, or cannot be read; they stay as they are.
    pub broken: Vec<String>,
}

impl Unit for Reseal {
    type Output = Portion;
    type Error = StoreError;
    const NAME: &'static str = "reseal";

    async fn run(&self, tx: &mut Tx) -> Result<Portion, StoreError> {
        match self.kind {
            Kind::Wallets => self.wallets(tx).await,
            Kind::PoolAddresses => self.pool_addresses(tx).await,
            Kind::Invoices => self.invoices(tx).await,
            Kind::Endpoints => self.endpoints(tx).await,
        }
    }
}

impl Reseal {
    async fn wallets(&self, tx: &mut Tx) -> Result<Portion, StoreError> {
        let rows = sealed::wallets(tx, self.after.0, PORTION).await?;
        let (mut portion, mut seals) = (Portion::default(), Vec::new());
        for row in &rows {
            portion.end = Some(Place(row.id, 0));
            let start_index = u32::try_from(row.start_index).ok();
            let fields = start_index.zip(WalletState::parse(&row.state));
            let fields = fields.map(|(start_index, state)| WalletFields {
                merchant: &row.merchant,
                wallet: &row.public_id,
                mode: &row.mode,
                family: &row.family,
                canonical: &row.key,
                node: &row.node,
                start_index,
                state,
            });
            match fields.filter(|fields| fields.holds(&self.master, &row.seal)) {
                Some(fields) => seals.push(new_seal(row.id, 0, fields.seal(&self.master))),
                None => portion.broken.push(row.public_id.clone()),
            }
        }
        self.write(tx, Sealed::Wallets, &seals, portion).await
    }

    async fn pool_addresses(&self, tx: &mut Tx) -> Result<Portion, StoreError> {
        let Place(wallet, position) = self.after;
        let rows = sealed::addresses(tx, (wallet, position), PORTION).await?;
        let (mut portion, mut seals) = (Portion::default(), Vec::new());
        for row in &rows {
            portion.end = Some(Place(row.wallet, row.position));
            let fields = u32::try_from(row.position).ok().map(|position| PoolFields {
                merchant: &row.merchant,
                wallet: &row.public_id,
                position,
                address: &row.address,
            });
            match fields.filter(|fields| fields.holds(&self.master, &row.seal)) {
                Some(fields) => {
                    let seal = fields.seal(&self.master);
                    seals.push(new_seal(row.wallet, row.position, seal));
                }
                None => {
                    let id = format!("{} of {}", row.position, row.public_id);
                    portion.broken.push(id);
                }
            }
        }
        self.write(tx, Sealed::Addresses, &seals, portion).await
    }

    async fn invoices(&self, tx: &mut Tx) -> Result<Portion, StoreError> {
        let keys = sealed::invoices(tx, self.after.0, PORTION).await?;
        let (mut portion, mut seals, mut options) = (Portion::default(), Vec::new(), Vec::new());
        portion.end = keys.last().map(|key| Place(key.0, 0));
        for loaded in invoices::load(tx, &keys).await? {
            let Ok(dossier) = trusted(&loaded, &self.master) else {
                portion.broken.push(id_of(&loaded));
                continue;
            };
            let key = loaded.key.0;
            seals.push(new_seal(key, 0, seal::invoice(&self.master, dossier)));
            let terms = dossier.terms.options.iter().zip(&dossier.places);
            for (position, (terms, place)) in (0..).zip(terms) {
                let seal = seal::option(&self.master, dossier, terms, place);
                options.push(new_seal(key, position, seal));
            }
        }
        sealed::seal(tx, Sealed::Options, &options).await?;
        self.write(tx, Sealed::Invoices, &seals, portion).await
    }

    async fn endpoints(&self, tx: &mut Tx) -> Result<Portion, StoreError> {
        let rows = sealed::endpoints(tx, self.after.0, PORTION).await?;
        let (mut portion, mut ids) = (Portion::default(), Ids::new(self.seed));
        for row in &rows {
            portion.end = Some(Place(row.id, 0));
            match self.encrypted_again(row, &mut ids) {
                Some(again) => {
                    sealed::seal_endpoint(tx, &again).await?;
                    portion.sealed = portion.sealed.saturating_add(1);
                }
                None => portion.broken.push(row.public_id.clone()),
            }
        }
        Ok(portion)
    }

    /// An endpoint's secrets under the new key; `None` when they cannot be read.
    fn encrypted_again(&self, row: &SealedEndpoint, ids: &mut Ids) -> Option<SealedEndpoint> {
        let endpoint = row.public_id.parse().ok()?;
        let mut again = |sealed: &[u8]| {
            let secret = EndpointSecret::open(&self.master, endpoint, sealed).ok()?;
            secret.seal(&self.master, endpoint, nonce(ids)).ok()
        };
        Some(SealedEndpoint {
            secret: again(&row.secret)?,
            old_secret: match &row.old_secret {
                Some(old) => Some(again(old)?),
                None => None,
            },
            ..row.clone()
        })
    }

    async fn write(
        &self,
        tx: &mut Tx,
        which: Sealed,
        seals: &[NewSeal],
        portion: Portion,
    ) -> Result<Portion, StoreError> {
        sealed::seal(tx, which, seals).await?;
        Ok(Portion {
            sealed: seals.len(),
            ..portion
        })
    }
}

fn new_seal(key: i64, position: i64, seal: [u8; 32]) -> NewSeal {
    NewSeal {
        key,
        position,
        seal: hex::encode(seal),
    }
}

fn id_of(loaded: &Loaded) -> String {
    match &loaded.dossier {
        Ok(dossier) => dossier.id.to_string(),
        Err(reason) => format!("invoice number {}: {reason}", loaded.key.0),
    }
}

fn nonce(ids: &mut Ids) -> [u8; NONCE_BYTES] {
    let bytes = [ids.bits().to_be_bytes(), ids.bits().to_be_bytes()].concat();
    let mut nonce = [0; NONCE_BYTES];
    for (to, from) in nonce.iter_mut().zip(bytes) {
        *to = from;
    }
    nonce
}
