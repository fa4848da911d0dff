//! The stored form of what was last said about an invoice.

use paywatch_domain::{OptionId, PoolNews, Said, Status, Sums, UnixMillis};
use serde::{Deserialize, Serialize};

use super::{StoredError, Values};

pub(super) const FORM: &str = "last saying";
const VALUES: Values = Values { form: FORM };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidForm {
    v: u32,
    status: String,
    closed: bool,
    waiting_for: Vec<String>,
    options: Vec<SumsForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<PoolForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolForm {
    since: i64,
    count: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SumsForm {
    id: String,
    seen: String,
    confirming: String,
    #[serde(rename = "final")]
    finalized: String,
    late_pending: String,
    late_final: String,
}

impl From<&Said> for SaidForm {
    fn from(said: &Said) -> Self {
        let options = said.options.iter();
        Self {
            v: super::VERSION,
            status: said.status.as_str().into(),
            closed: said.closed,
            waiting_for: said.waiting_for.iter().map(ToString::to_string).collect(),
            options: options.map(|(id, sums)| SumsForm::of(*id, sums)).collect(),
            pool: said.pool.map(|pool| PoolForm {
                since: pool.since.0,
                count: pool.count,
            }),
        }
    }
}

impl SaidForm {
    pub(super) fn into_domain(self) -> Result<Said, StoredError> {
        let waiting_for = self.waiting_for.iter();
        Ok(Said {
            status: Status::parse(&self.status)
                .ok_or_else(|| VALUES.damaged("status", &self.status))?,
            closed: self.closed,
            waiting_for: waiting_for
                .map(|chain| VALUES.parse("waiting_for", chain))
                .collect::<Result<_, _>>()?,
            options: self
                .options
                .iter()
                .map(SumsForm::to_domain)
                .collect::<Result<_, _>>()?,
            pool: self.pool.map(|pool| PoolNews {
                since: UnixMillis(pool.since),
                count: pool.count,
            }),
        })
    }
}

impl SumsForm {
    fn of(id: OptionId, sums: &Sums) -> Self {
        Self {
            id: id.to_string(),
            seen: sums.seen.to_string(),
            confirming: sums.confirming.to_string(),
            finalized: sums.finalized.to_string(),
            late_pending: sums.late_pending.to_string(),
            late_final: sums.late_finalized.to_string(),
        }
    }

    fn to_domain(&self) -> Result<(OptionId, Sums), StoredError> {
        let sums = Sums {
            seen: VALUES.amount("options.seen", &self.seen)?,
            confirming: VALUES.amount("options.confirming", &self.confirming)?,
            finalized: VALUES.amount("options.final", &self.finalized)?,
            late_pending: VALUES.amount("options.late_pending", &self.late_pending)?,
            late_finalized: VALUES.amount("options.late_final", &self.late_final)?,
        };
        Ok((VALUES.parse("options.id", &self.id)?, sums))
    }
}
