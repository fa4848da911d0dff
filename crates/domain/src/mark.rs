//! Marks: up to which block a chain says that it will not go back.

use std::fmt;

/// Up to which block a chain says that it will not go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The tag `safe`.
    Safe,
    /// The commitment `confirmed`.
    Confirmed,
    /// The tag or the commitment `finalized`.
    Finalized,
}

/// Heights up to which a chain says that it will not go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of the tag `safe`.
    pub safe: Option<u64>,
    /// Of the commitment `confirmed`.
    pub confirmed: Option<u64>,
    /// Of the tag or the commitment `finalized`, which implies the others.
    pub finalized: Option<u64>,
}

impl Mark {
    /// Every mark.
    pub const ALL: [Self; 3] = [Self::Safe, Self::Confirmed, Self::Finalized];

    /// The name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Marks {
    /// The height of a mark; what is finalized is safe and confirmed too.
    pub fn get(self, mark: Mark) -> Option<u64> {
        match mark {
            Mark::Safe => self.safe.max(self.finalized),
            Mark::Confirmed => self.confirmed.max(self.finalized),
            Mark::Finalized => self.finalized,
        }
    }

    /// The same with one mark at this height.
    #[must_use]
    pub fn with(self, mark: Mark, height: u64) -> Self {
        let height = Some(height);
        match mark {
            Mark::Safe => Self {
                safe: height,
                ..self
            },
            Mark::Confirmed => Self {
                confirmed: height,
                ..self
            },
            Mark::Finalized => Self {
                finalized: height,
                ..self
            },
        }
    }

    /// The higher of both, mark by mark: what was said to be final stays so.
    #[must_use]
    pub fn raised_to(self, other: Self) -> Self {
        Self {
            safe: self.safe.max(other.safe),
            confirmed: self.confirmed.max(other.confirmed),
            finalized: self.finalized.max(other.finalized),
        }
    }

    /// The marks of a chain that has only the blocks up to `height` of what they were said of.
    #[must_use]
    pub fn cut_to(self, height: u64) -> Self {
        let cut = |mark: Option<u64>| mark.map(|mark| mark.min(height));
        Self {
            safe: cut(self.safe),
            confirmed: cut(self.confirmed),
            finalized: cut(self.finalized),
        }
    }
}
