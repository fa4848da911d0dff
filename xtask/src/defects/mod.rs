//! `cargo xtask sim --defects [NAME ...]`: proves that the simulator finds bugs.
//!
//! Each defect is put into a copy of the workspace, and the simulator of the copy must fail. The checkout is
//! never changed. The copy and what is built of it stay in the target folder, so that the next defect
//! builds only what it changes.

mod copy;
mod list;

use crate::run;
use anyhow::{Context, Result, bail};
use copy::Copy;
use std::process::{Command, ExitCode, Stdio};

/// In so many worlds each defect must be found, unless told.
const SEEDS: u64 = 2_000;
/// So many worlds run at a time, unless told.
const JOBS: u64 = 2;
/// Where cargo puts what it builds without optimisation. A change is built soonest so, and most defects are
/// found in the first worlds; the same seed is the same world in every profile.
const PROFILE_FOLDER: &str = "debug";

/// A mistake that people make, as one change of text.
struct Defect {
    /// What it is called.
    name: &'static str,
    /// What is wrong then.
    why: &'static str,
    /// The file that is changed, from the root of the checkout.
    file: &'static str,
    /// What stands there; once in the file.
    from: &'static str,
    /// What stands there instead.
    to: &'static str,
}

/// What the simulator of a copy says.
enum Said {
    /// No world fails.
    Fine,
    /// The first seed that fails, and the check that found it.
    Failed { seed: u64, check: String },
}

/// What was asked for.
struct Plan {
    defects: Vec<&'static Defect>,
    seeds: u64,
    jobs: u64,
}

/// `sim --defects [NAME ...] [--seeds N] [--jobs J]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let plan = Plan::read(arguments)?;
    let copy = Copy::of_checkout()?;
    let (mut missed, mut latest) = (Vec::new(), 0);
    for defect in &plan.defects {
        eprintln!("{}: {}", defect.name, defect.why);
        match said_of(&copy, defect, &plan)? {
            Said::Failed { seed, check } => {
                println!("{:28} seed {seed:4}  {check}", defect.name);
                latest = latest.max(seed);
            }
            Said::Fine => {
                println!("{:28} not caught", defect.name);
                missed.push(defect.name);
            }
        }
    }
    // What fails without any defect proves nothing.
    if let Said::Failed { seed, check } = simulate(&copy, latest.max(1), plan.jobs)? {
        bail!("seed {seed} fails without any defect: {check}");
    }
    let count = plan.defects.len();
    let caught = count - missed.len();
    if missed.is_empty() {
        println!("defects ok: {caught} of {count} caught, at seed {latest} at the latest");
        return Ok(ExitCode::SUCCESS);
    }
    let missed = missed.join(", ");
    println!("defects FAILED: {caught} of {count} caught; not: {missed}");
    Ok(ExitCode::FAILURE)
}

impl Plan {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut plan = Self {
            defects: Vec::new(),
            seeds: SEEDS,
            jobs: JOBS,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--seeds" => plan.seeds = number(argument, rest.next())?,
                "--jobs" => plan.jobs = number(argument, rest.next())?,
                name => plan.defects.push(named(name)?),
            }
        }
        if plan.defects.is_empty() {
            plan.defects = list::DEFECTS.iter().collect();
        }
        Ok(plan)
    }
}

fn number(option: &str, text: Option<&String>) -> Result<u64> {
    let number = text.and_then(|text| text.parse().ok());
    match number.filter(|number| *number > 0) {
        Some(number) => Ok(number),
        None => crate::usage(format!("{option} needs a number above 0")),
    }
}

fn named(name: &str) -> Result<&'static Defect> {
    match list::DEFECTS.iter().find(|defect| defect.name == name) {
        Some(defect) => Ok(defect),
        None => crate::usage(format!(
            "there is no defect {name:?}; docs/simulator.md lists them"
        )),
    }
}

/// What the simulator says while the defect is in the copy.
fn said_of(copy: &Copy, defect: &Defect, plan: &Plan) -> Result<Said> {
    let sound = copy.read(defect.file)?;
    copy.write(defect.file, &spoiled(defect, &sound)?)?;
    let said = simulate(copy, plan.seeds, plan.jobs);
    copy.write(defect.file, &sound)?;
    said.with_context(|| format!("try the defect {}", defect.name))
}

/// The text of its file with the defect in it.
fn spoiled(defect: &Defect, sound: &str) -> Result<String> {
    let Defect {
        name,
        file,
        from,
        to,
        ..
    } = defect;
    match sound.matches(from).count() {
        1 if from != to => Ok(sound.replacen(from, to, 1)),
        1 => bail!("the defect {name} changes nothing"),
        count => {
            bail!("what the defect {name} changes stands {count} times in {file} and must once")
        }
    }
}

/// Builds the simulator of the copy, and runs so many seeds up to the first that fails.
fn simulate(copy: &Copy, seeds: u64, jobs: u64) -> Result<Said> {
    let target = copy.target();
    run::capture(
        run::cargo()
            .args(["build", "--quiet", "--package", "paywatch-sim"])
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .current_dir(copy.root()),
    )?;
    let output = Command::new(target.join(PROFILE_FOLDER).join("sim"))
        .arg("--first")
        .args(["--seeds", &seeds.to_string(), "--jobs", &jobs.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start the simulator")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(Said::Fine);
    }
    let failed = text.lines().find_map(failed_seed);
    failed.with_context(|| format!("the simulator ended with {}: {text}", output.status))
}

/// Reads `seed 7 fails: check: what is wrong`.
fn failed_seed(line: &str) -> Option<Said> {
    let (seed, rest) = line.strip_prefix("seed ")?.split_once(" fails: ")?;
    let (check, _) = rest.split_once(':')?;
    Some(Said::Failed {
        seed: seed.parse().ok()?,
        check: check.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;
    use std::collections::BTreeSet;

    #[test]
    fn every_defect_fits_the_code() {
        for defect in list::DEFECTS {
            let sound = std::fs::read_to_string(paths::root().join(defect.file));
            let sound = sound.expect(defect.file);
            let spoiled = spoiled(defect, &sound).expect(defect.name);
            assert_ne!(spoiled, sound, "{}", defect.name);
        }
    }

    #[test]
    fn every_defect_has_a_name_of_its_own_and_is_documented() {
        let text = std::fs::read_to_string(paths::root().join("docs/simulator.md"));
        let text = text.expect("docs/simulator.md");
        let mut names = BTreeSet::new();
        for defect in list::DEFECTS {
            assert!(names.insert(defect.name), "{} is there twice", defect.name);
            let row = format!("| `{}` |", defect.name);
            assert!(text.contains(&row), "{} is not documented", defect.name);
        }
        assert!(10 <= names.len());
    }

    #[test]
    fn a_change_that_does_not_fit_is_refused() {
        let defect = |from, to| Defect {
            name: "a",
            why: "b",
            file: "c",
            from,
            to,
        };
        assert_eq!(spoiled(&defect("x", "y"), "a x b").expect("fits"), "a y b");
        for (from, to) in [("x", "x"), ("z", "y"), ("a", "y")] {
            assert!(spoiled(&defect(from, to), "a x a").is_err(), "{from} {to}");
        }
    }

    #[test]
    fn what_the_simulator_says_is_read() {
        let said = failed_seed("seed 7 fails: nothing_waits: order 3 is detected: None");
        assert!(matches!(said, Some(Said::Failed { seed: 7, check }) if check == "nothing_waits"));
        assert!(failed_seed("sim ok: 7 seeds, 0 violations").is_none());
    }
}
