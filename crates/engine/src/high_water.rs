//! The high-water mark of each index counter, kept outside the database.
//!
//! A database that is restored from a backup has forgotten which addresses were shown. The mark has
//! not, so no address is given out twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt};

/// Remembers, for each node of public keys, the lowest index that was never used.
pub trait HighWater: Send + Sync {
    /// The lowest index that may be used; 0 for a node that is not known.
    fn read(&self, node: &str) -> io::Result<u32>;

    /// Says that every index below `next` may be in use, where they are taken already. Durable when it is ready;
    /// never lowers.
    fn raise<'a>(&'a self, node: &'a str, next: u32) -> BoxFuture<'a, io::Result<()>>;
}

/// Held by the process that raises a mark. No node is named like this.
const LOCK: &str = ".lock";

/// Marks in a folder, one small file a node. Several processes may share it.
#[derive(Debug)]
pub struct HighWaterFolder {
    files: Arc<Files>,
    /// How high each mark is wanted: whoever writes next, writes it for all who wait.
    wanted: Mutex<BTreeMap<String, u32>>,
    /// What was written here, held by whoever writes.
    written: tokio::sync::Mutex<BTreeMap<String, u32>>,
}

#[derive(Debug)]
struct Files {
    folder: PathBuf,
}

impl HighWaterFolder {
    /// Marks in this folder, which is made when it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = folder.to_owned();
        Ok(Self {
            files: Arc::new(Files { folder }),
            wanted: Mutex::default(),
            written: tokio::sync::Mutex::default(),
        })
    }

    fn want(&self, node: &str, next: u32) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = wanted.entry(node.to_owned()).or_insert(0);
        *wanted = next.max(*wanted);
    }

    fn wanted(&self, node: &str) -> u32 {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.get(node).copied().unwrap_or(0)
    }

    async fn write(&self, node: &str, next: u32) -> io::Result<()> {
        self.want(node, next);
        let mut written = self.written.lock().await;
        if written.get(node).is_some_and(|written| next <= *written) {
            return Ok(());
        }
        let (mark, name) = (self.wanted(node).max(next), node.to_owned());
        let files = Arc::clone(&self.files);
        // It waits for the disk, twice.
        let writing = tokio::task::spawn_blocking(move || files.raise(&name, mark));
        writing.await.map_err(io::Error::other)??;
        written.insert(node.to_owned(), mark);
        Ok(())
    }
}

impl HighWater for HighWaterFolder {
    fn read(&self, node: &str) -> io::Result<u32> {
        self.files.read(node)
    }

    fn raise<'a>(&'a self, node: &'a str, next: u32) -> BoxFuture<'a, io::Result<()>> {
        self.write(node, next).boxed()
    }
}

impl Files {
    fn path(&self, node: &str) -> io::Result<PathBuf> {
        if node.is_empty() || !node.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a node is hexadecimal",
            ));
        }
        Ok(self.folder.join(node))
    }

    fn read(&self, node: &str) -> io::Result<u32> {
        let path = self.path(node)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let numbers = text
            .split_whitespace()
            .map(|number| number.parse::<u32>().ok());
        let highest = numbers.reduce(|one, other| Some(one?.max(other?)));
        highest.flatten().ok_or_else(|| {
            let detail = format!("{} does not hold a number", path.display());
            io::Error::new(io::ErrorKind::InvalidData, detail)
        })
    }

    fn raise(&self, node: &str, next: u32) -> io::Result<()> {
        // One writer at a time among processes.
        let lock = File::create(self.folder.join(LOCK))?;
        lock.lock()?;
        if next <= self.read(node)? {
            return Ok(());
        }
        let path = self.path(node)?;
        if path.exists() {
            // In place, which costs one flush and touches no folder.
            let mut file = File::options().write(true).open(&path)?;
            file.write_all(written(next).as_bytes())?;
            return file.sync_data();
        }
        let draft = path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(written(next).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(&self.folder)?.sync_all()
    }
}

/// A mark as it is written: twice, and always as long. Should a power cut mix two marks in one place, the other one
/// is whole, and the highest counts.
fn written(next: u32) -> String {
    format!("{next:010}\n{next:010}\n")
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_mark_rises_survives_and_never_falls() {
        let folder = tempfile::tempdir().unwrap();
        let marks = HighWaterFolder::open(folder.path()).unwrap();
        assert_eq!(marks.read("ab12").unwrap(), 0);
        marks.raise("ab12", 7).await.unwrap();
        marks.raise("ab12", 3).await.unwrap();
        let again = HighWaterFolder::open(folder.path()).unwrap();
        assert_eq!(again.read("ab12").unwrap(), 7);
        let refused = again.raise("../ab", 1).await;
        assert!(refused.is_err(), "a node is no path");
        for damaged in ["seven", "", "0000000007\nx"] {
            fs::write(folder.path().join("cd"), damaged).unwrap();
            assert!(
                again.read("cd").is_err(),
                "a damaged mark is not taken for zero"
            );
        }
        for (text, mark) in [("12", 12), ("0000000199\n0000000200\n", 200)] {
            fs::write(folder.path().join("ef"), text).unwrap();
            assert_eq!(again.read("ef").unwrap(), mark);
            again.raise("ef", mark + 1).await.unwrap();
            assert_eq!(again.read("ef").unwrap(), mark + 1);
        }
    }

    /// Goal: whoever is told that its mark is kept can rely on it, however many raise it at the same time. Method:
    /// many raise one mark in two processes' places; after each the file is read.
    #[tokio::test]
    async fn a_mark_is_kept_for_each_of_many_who_raise_it() {
        let folder = tempfile::tempdir().unwrap();
        let marks = [0, 1].map(|_| Arc::new(HighWaterFolder::open(folder.path()).unwrap()));
        let raising = (1..=200_u32).map(|next| {
            let marks = Arc::clone(&marks[usize::from(next % 3 == 0)]);
            async move {
                marks.raise("ab", next).await.unwrap();
                assert!(next <= marks.read("ab").unwrap());
            }
        });
        join_all(raising).await;
        assert_eq!(marks[0].read("ab").unwrap(), 200, "and not above it");
    }
}
