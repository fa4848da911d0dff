//! Where `cargo xtask setup` put things, and the HTTP client that all parts share.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No call to a local node or process takes longer than this.
const HTTP_TIMEOUT: Duration = Duration::from_mins(1);

/// The folder of everything that is installed once, outside the checkout. It is the one that
/// `cargo xtask setup` fills: `$PAYWATCH_CACHE`, else `$XDG_CACHE_HOME/paywatch`, else
/// `~/.cache/paywatch`.
pub fn cache() -> Result<PathBuf> {
    if let Some(folder) = variable("PAYWATCH_CACHE") {
        return Ok(folder);
    }
    if let Some(folder) = variable("XDG_CACHE_HOME") {
        return Ok(folder.join("paywatch"));
    }
    Ok(variable("HOME")
        .context("set HOME or PAYWATCH_CACHE")?
        .join(".cache/paywatch"))
}

/// A client for plain HTTP to this machine: no proxy, no redirects, a bounded wait.
pub fn http_client() -> Result<reqwest::Client> {
    // The client wants a TLS provider even where it never uses it. An error here only means that
    // one was installed before, and any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        // A node that ends waits for its idle connections, up to half a minute.
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(HTTP_TIMEOUT)
        .build()
        .context("make an HTTP client")
}

/// A path from the environment; an empty variable counts as unset.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// A file that `cargo xtask setup` provides: from its variable, else at its place in the cache.
pub(crate) fn provided(what: &str, variable_name: &str, in_cache: &str) -> Result<PathBuf> {
    let path = match variable(variable_name) {
        Some(path) => path,
        None => cache()?.join(in_cache),
    };
    if !path.exists() {
        bail!(
            "{what} is missing at {}; run: cargo xtask setup",
            path.display()
        );
    }
    Ok(path)
}

/// The first file of this name in the folders of `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A program of this workspace, in the folder of built programs that holds the running one.
pub(crate) fn built(program: &str) -> Result<PathBuf> {
    beside_own(Path::new(program))?
        .with_context(|| format!("{program} is not built; run: cargo build --bin {program}"))
}

/// An example of this workspace, below the folder of built programs that holds the running one.
pub(crate) fn example(name: &str) -> Result<PathBuf> {
    beside_own(&Path::new("examples").join(name))?.with_context(|| {
        format!("the example {name} is not built; run: cargo build --example {name}")
    })
}

fn beside_own(file: &Path) -> Result<Option<PathBuf>> {
    let own = std::env::current_exe().context("find the path of the running program")?;
    let folders = own.ancestors().skip(1).take(3);
    Ok(folders
        .map(|folder| folder.join(file))
        .find(|file| file.is_file()))
}
