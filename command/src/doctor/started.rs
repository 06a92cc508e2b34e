//! What comes of starting the CPython that was found, in processes that may crash.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::python::{Seen, shortage, venv};
use super::{Check, limits};
use crate::Result;
use crate::child::{self, End};
use crate::probe::Started;

const LIMIT: Duration = Duration::from_secs(60);

pub fn checks(seen: &Seen, python: Option<&Path>) -> Result<Vec<Check>> {
    const NAMES: [&str; 6] = ["start", "GIL", "site-packages", "own GIL", "process", "locked process"];
    if seen.found.is_err() {
        return Ok(NAMES.map(|name| Check::skipped(name, "there is no CPython")).into());
    }
    let [start, gil, packages, own_gil, process, locked] = NAMES;
    let started: Result<Started, Failure> = ask("start", python)?;
    let mut checks = match started {
        Ok(started) => vec![
            Check::ok(start, format!("CPython {} in {}", started.version, started.prefix.display())),
            Check::ok(gil, "this build has one, as it has to"),
            site_packages(packages, &started),
            match started.own_gil {
                Ok(()) => Check::ok(own_gil, "an interpreter with a GIL of its own works"),
                Err(why) => Failure { why, mended_by: None }.check(own_gil),
            },
        ],
        Err(failure) => {
            let mut checks = vec![failure.check(start)];
            checks.extend([gil, packages, own_gil].map(|name| Check::skipped(name, "CPython does not start")));
            checks
        }
    };
    checks.push(match ask::<()>("process", python)? {
        Ok(()) => Check::ok(process, "an interpreter in a process of its own works"),
        Err(failure) => failure.check(process),
    });
    checks.push(match ask::<()>("locked", python)? {
        Ok(()) => Check::ok(locked, "one that is locked works"),
        Err(failure) => {
            let known = failure.remedy_of_limits().or_else(limits::tight);
            let kernel =
                "run Linux 6.12 or newer with Landlock, or lock with what there is (SUBPY_INTERP_LOCK_BEST_EFFORT)";
            Check::warning(locked, failure.why, known.unwrap_or_else(|| kernel.to_owned()))
        }
    });
    Ok(checks)
}

struct Failure {
    why: String,
    /// For an end without a word.
    mended_by: Option<String>,
}

impl Failure {
    fn remedy_of_limits(&self) -> Option<String> {
        shortage(&self.why).map(str::to_owned).or_else(|| self.mended_by.clone())
    }

    fn check(self, name: &'static str) -> Check {
        let remedy = self.remedy_of_limits().unwrap_or_else(|| match limits::tight() {
            Some(remedy) => remedy,
            None => "subpy python install  # if this CPython itself does not start".to_owned(),
        });
        Check::error(name, self.why, remedy)
    }
}

/// Has a process of its own try it.
fn ask<T: DeserializeOwned>(what: &str, python: Option<&Path>) -> Result<Result<T, Failure>> {
    let mut command = child::own(&["probe", what])?;
    if let Some(python) = python {
        command.arg("--python").arg(python);
    }
    let ended = match child::run(&mut command, LIMIT) {
        Ok(ended) => ended,
        Err(error) => {
            return Ok(Err(Failure { why: format!("no process could be started: {error}"), mended_by: None }));
        }
    };
    if let Ok(answer) = serde_json::from_str::<Result<T, String>>(&ended.stdout) {
        return Ok(answer.map_err(|why| Failure { why, mended_by: None }));
    }
    let said = ended.stderr.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let how = match ended.end {
        End::Killed(_) => format!("it crashes with {}", ended.end),
        End::TimedOut => format!("it has not ended in {} s", LIMIT.as_secs()),
        End::Exited(_) => format!("it ends with {}", ended.end),
    };
    Ok(Err(Failure { why: format!("{how}{said}"), mended_by: limits::tight() }))
}

fn site_packages(name: &'static str, started: &Started) -> Check {
    let Started { site_packages, packages, .. } = started;
    let shown: Vec<String> = site_packages.iter().map(|folder| folder.display().to_string()).collect();
    match shown.is_empty() {
        true => Check::warning(
            name,
            "this CPython has none, so only the standard library can be imported",
            format!(
                "{} .venv && export SUBPY_PYTHON=$PWD/.venv",
                venv(&started.base_prefix.join("bin/python3"), &started.base_prefix)
            ),
        ),
        false => Check::ok(name, format!("{} with {packages} packages", shown.join(", "))),
    }
}
