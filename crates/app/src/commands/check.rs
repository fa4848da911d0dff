//! `paywatch check`: all problems of the configuration at once.

use serde_json::json;

use crate::config::{Config, Problems};
use crate::output::Output;

pub(crate) fn run(output: Output, loaded: Result<Config, Problems>) -> anyhow::Result<()> {
    let config = match loaded {
        Ok(config) => config,
        Err(Problems(problems)) if output.json => {
            let list = problems
                .iter()
                .map(|problem| json!({ "place": problem.place, "detail": problem.detail }));
            output.say(
                &json!({ "ok": false, "problems": list.collect::<Vec<_>>() }),
                String::new,
            );
            anyhow::bail!("the configuration cannot be used");
        }
        Err(problems) => return Err(problems.into()),
    };
    let followed = config.followed.iter();
    let followed: Vec<String> = followed
        .map(|followed| followed.chain.to_string())
        .collect();
    let value = json!({ "ok": true, "followed": followed });
    output.say(&value, || match followed.as_slice() {
        [] => "the configuration is good, but no chain has a url, so none is followed".to_owned(),
        chains => format!("the configuration is good; followed: {}", chains.join(", ")),
    });
    Ok(())
}
