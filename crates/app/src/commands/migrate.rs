//! `paywatch migrate`: brings the database to this version's schema.

use paywatch_domain::Clock as _;
use serde_json::json;

use crate::config::Config;
use crate::output::Output;
use crate::system::SystemClock;

pub(crate) async fn run(output: Output, config: &Config) -> anyhow::Result<()> {
    let applied = paywatch_store::migrate(&config.settings.database_url, SystemClock.now()).await?;
    let names: Vec<&str> = applied.iter().map(|one| one.name).collect();
    output.say(&json!({ "applied": names }), || match names.as_slice() {
        [] => "the schema is up to date".to_owned(),
        names => format!("applied {}", names.join(", ")),
    });
    Ok(())
}
