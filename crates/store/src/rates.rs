//! What sources said about rates: the last of each, sealed, because a rate decides how much is asked for.

use paywatch_domain::{Pair, RateValue, Told, UnixMillis};
use serde::Serialize;

use crate::column::{list, parsed};
use crate::secrets::MasterKey;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    TOLD = "SELECT pair, source, rate, read_at, problem, seal FROM rates
        WHERE pair IN (SELECT value->>'pair' FROM json_each($1)) ORDER BY pair, source";
    HEARD = "INSERT INTO rates (pair, source, rate, read_at, seal) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (pair, source) DO UPDATE SET rate = $3, read_at = $4, seal = $5, problem = NULL";
    FAILED = "INSERT INTO rates (pair, source, problem) VALUES ($1, $2, $3)
        ON CONFLICT (pair, source) DO UPDATE SET problem = $3";
}

const PURPOSE: &str = "rate-seal";
/// The source of the last rate that was believed; no source has an empty name.
const BELIEVED: &str = "";
/// What is said of a row that somebody else wrote.
const SEAL_BROKEN: &str = "seal_broken";

#[derive(Serialize)]
struct PairRow {
    pair: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    pair: String,
    source: String,
    rate: Option<String>,
    read_at: Option<i64>,
    problem: Option<String>,
    seal: Option<Vec<u8>>,
}

/// What is known of these pairs. A rate whose seal does not hold is left out, and its row says so.
pub async fn told<'a>(
    conn: &mut Conn,
    master: &MasterKey,
    pairs: impl IntoIterator<Item = &'a Pair>,
) -> Result<Vec<Told>, StoreError> {
    let wanted = list(pairs.into_iter().map(|pair| PairRow {
        pair: pair.to_string(),
    }));
    let rows = conn.fetch::<Row>(TOLD, &[(&wanted).into()]).await?;
    rows.into_iter().map(|row| row.told(master)).collect()
}

impl Row {
    fn told(self, master: &MasterKey) -> Result<Told, StoreError> {
        let pair: Pair = parsed("rates.pair", &self.pair)?;
        let mut problem = self.problem;
        let value = match (&self.rate, self.read_at) {
            (Some(rate), Some(read_at)) => {
                let value: RateValue = parsed("rates.rate", rate)?;
                let at = UnixMillis(read_at);
                let seal = self.seal.unwrap_or_default();
                let is_whole = with_fields(&pair, &self.source, value, at, |fields| {
                    master.verify(PURPOSE, fields, &seal)
                });
                if !is_whole {
                    tracing::error!(%pair, source = self.source, "the seal of a stored rate is broken");
                    problem = Some(SEAL_BROKEN.to_owned());
                }
                is_whole.then_some((value, at))
            }
            (None, _) | (_, None) => None,
        };
        Ok(Told {
            pair,
            source: (self.source != BELIEVED).then(|| self.source.into()),
            value,
            problem: problem.map(Into::into),
        })
    }
}

/// Keeps what a source said, or, without a source, the rate that is believed now.
pub async fn heard(
    tx: &mut Tx,
    master: &MasterKey,
    pair: &Pair,
    source: Option<&str>,
    (value, at): (RateValue, UnixMillis),
) -> Result<(), StoreError> {
    let source = source.unwrap_or(BELIEVED);
    let seal = with_fields(pair, source, value, at, |fields| {
        master.mac(PURPOSE, fields)
    });
    let (pair, value) = (pair.to_string(), value.to_string());
    let binds = [
        (&pair).into(),
        source.into(),
        (&value).into(),
        at.into(),
        seal.as_slice().into(),
    ];
    tx.execute(HEARD, &binds).await?;
    Ok(())
}

/// Keeps what was wrong with a source's last answer, as a stable word. What it said before stays.
pub async fn failed(
    tx: &mut Tx,
    pair: &Pair,
    source: &str,
    problem: &str,
) -> Result<(), StoreError> {
    let pair = pair.to_string();
    tx.execute(FAILED, &[(&pair).into(), source.into(), problem.into()])
        .await?;
    Ok(())
}

fn with_fields<T>(
    pair: &Pair,
    source: &str,
    value: RateValue,
    at: UnixMillis,
    run: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    let (pair, value) = (pair.to_string(), value.to_string());
    run(&[
        pair.as_bytes(),
        source.as_bytes(),
        value.as_bytes(),
        &at.0.to_be_bytes(),
    ])
}
