//! A SQLite database belongs to one serving process: a lock that the system takes back when the
//! process ends, however it ends.

use std::fs::{File, TryLockError};

use anyhow::{Context as _, bail};

/// Who the only process on a database is to its chains' leases. The same after each start, so that
/// a start after a crash need not wait for the lease of the process that is gone.
pub(crate) const HOLDER: &str = "sole";

/// The lock, held as long as this lives.
#[derive(Debug)]
pub(crate) struct SoleUse {
    _file: File,
}

impl SoleUse {
    /// Takes the lock of a SQLite file; `None` for a database that many processes may use.
    pub(crate) fn take(database_url: &str) -> anyhow::Result<Option<Self>> {
        let Some(path) = database_url.strip_prefix("sqlite:") else {
            return Ok(None);
        };
        let path = path.split('?').next().unwrap_or(path);
        if path == ":memory:" {
            return Ok(None);
        }
        let lock = format!("{path}.lock");
        let file = File::options().create(true).append(true).open(&lock);
        let file = file.with_context(|| format!("{lock} cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => bail!(
                "another paywatch serves {path}; a SQLite database belongs to one process, and \
                 Postgres to as many as you like"
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{lock} cannot be locked"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_a_file_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!(
            "sqlite:{}?mode=rwc",
            folder.path().join("a.sqlite").display()
        );
        let first = SoleUse::take(&url).unwrap();
        assert!(first.is_some());
        let error = SoleUse::take(&url).unwrap_err().to_string();
        assert!(error.contains("another paywatch serves"), "{error}");
        drop(first);
        assert!(SoleUse::take(&url).unwrap().is_some());
        for shared in ["sqlite::memory:", "postgres://localhost/paywatch"] {
            assert!(SoleUse::take(shared).unwrap().is_none(), "{shared}");
        }
    }
}
