//! The high-water mark of each index counter, kept outside the database.
//!
//! A database that is restored from a backup has forgotten which addresses were shown. The mark has
//! not, so no address is given out twice.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Remembers, for each node of public keys, the lowest index that was never used.
pub trait HighWater: Send + Sync {
    /// The lowest index that may be used; 0 for a node that is not known.
    fn read(&self, node: &str) -> io::Result<u32>;

    /// Says that every index below `next` may be in use. Durable when it returns; never lowers.
    fn raise(&self, node: &str, next: u32) -> io::Result<()>;
}

/// Held by the process that raises a mark. No node is named like this.
const LOCK: &str = ".lock";

/// Marks in a folder, one small file a node. Several processes may share it.
#[derive(Debug)]
pub struct HighWaterFolder {
    folder: PathBuf,
    writing: Mutex<()>,
}

impl HighWaterFolder {
    /// Marks in this folder, which is made when it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            writing: Mutex::new(()),
        })
    }

    fn path(&self, node: &str) -> io::Result<PathBuf> {
        if node.is_empty() || !node.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a node is hexadecimal",
            ));
        }
        Ok(self.folder.join(node))
    }
}

impl HighWater for HighWaterFolder {
    fn read(&self, node: &str) -> io::Result<u32> {
        let path = self.path(node)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        text.trim().parse().map_err(|_| {
            let detail = format!("{} does not hold a number", path.display());
            io::Error::new(io::ErrorKind::InvalidData, detail)
        })
    }

    fn raise(&self, node: &str, next: u32) -> io::Result<()> {
        // One writer at a time: among the threads of this process, and among processes.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = File::create(self.folder.join(LOCK))?;
        lock.lock()?;
        if next <= self.read(node)? {
            return Ok(());
        }
        let path = self.path(node)?;
        let draft = path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(next.to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_rises_survives_and_never_falls() {
        let folder = tempfile::tempdir().unwrap();
        let marks = HighWaterFolder::open(folder.path()).unwrap();
        assert_eq!(marks.read("ab12").unwrap(), 0);
        marks.raise("ab12", 7).unwrap();
        marks.raise("ab12", 3).unwrap();
        let again = HighWaterFolder::open(folder.path()).unwrap();
        assert_eq!(again.read("ab12").unwrap(), 7);
        assert!(again.raise("../ab", 1).is_err(), "a node is no path");
        fs::write(folder.path().join("cd"), "seven").unwrap();
        assert!(
            again.read("cd").is_err(),
            "a damaged mark is not taken for zero"
        );
    }
}
