//! `paywatch init`: a commented configuration and a master key.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use paywatch_domain::Entropy as _;
use paywatch_store::MasterKey;
use serde_json::json;

use crate::config;
use crate::output::Output;
use crate::system::SystemEntropy;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where to write.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn run(output: Output, arguments: &Arguments) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut key = [0; 32];
    SystemEntropy.fill(&mut key);
    let key = MasterKey::from_bytes(key).to_hex();
    let mut lines = Vec::new();
    for (name, text, mode) in [
        (config::FILE, config::DEFAULT_SETTINGS, 0o644),
        ("chains.toml", config::DEFAULT_CHAINS, 0o644),
        ("master.key", key.as_str(), 0o600),
    ] {
        let path = folder.join(name);
        let written = write_new(&path, text, mode)?;
        lines.push((path.display().to_string(), written));
    }
    let files = lines
        .iter()
        .map(|(path, written)| json!({ "file": path, "written": written }));
    let value = json!({ "files": files.collect::<Vec<_>>() });
    output.say(&value, || {
        let mut said: Vec<String> = lines
            .iter()
            .map(|(path, written)| match written {
                true => format!("wrote {path}"),
                false => format!("kept  {path}, which was there"),
            })
            .collect();
        said.push(
            "Next: give a chain its url in chains.toml, keep a copy of master.key apart from the \
             database, then run `paywatch doctor` and `paywatch serve`."
                .to_owned(),
        );
        said.join("\n")
    });
    Ok(())
}

/// Writes a file unless it is there; never overwrites.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<bool> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    match file {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("{} cannot be written", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{} cannot be written", path.display())),
    }
}
