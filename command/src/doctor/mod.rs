//! `subpy doctor`: what works here, and a line to mend what does not.
//!
//! | file | what |
//! |---|---|
//! | `python` | the CPythons that were tried, the one in use, its virtual environment |
//! | `started` | what comes of starting it: interpreters of each kind, site-packages |
//! | `limits` | what the process may have: stack, descriptors, memory |

mod limits;
mod python;
mod started;

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::Doctor;
use crate::probe::Found;
use crate::{FAILED, Result, print, print_json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// It works, perhaps not as it is meant.
    Warning,
    Error,
    /// What it needs is not there.
    Skipped,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Error => "error",
            Status::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    found: String,
    /// One line that mends it, in words or for a shell.
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, status: Status::Ok, found: found.into(), remedy: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Check {
        Check { name, status: Status::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn error(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Check {
        Check { name, status: Status::Error, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn skipped(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, status: Status::Skipped, found: found.into(), remedy: None }
    }
}

/// A CPython that was looked at in vain.
#[derive(Debug, Serialize)]
struct Refused {
    what: String,
    reason: String,
    remedy: String,
}

#[derive(Debug, Serialize)]
struct Report {
    subpy: &'static str,
    /// Nothing is an error.
    works: bool,
    python: Option<Found>,
    checks: Vec<Check>,
    tried: Vec<Refused>,
}

pub fn doctor(arguments: &Doctor, python: Option<&Path>) -> Result<ExitCode> {
    let seen = python::look(python);
    let mut checks = vec![library(), seen.check(), python::environment()];
    checks.push(seen.virtual_env());
    checks.extend(started::checks(&seen, python)?);
    checks.extend(limits::checks());
    checks.push(cache());
    let works = checks.iter().all(|check| check.status != Status::Error);
    let tried = seen.refused();
    let report = Report { subpy: subpy::version(), works, python: seen.found.ok(), checks, tried };
    match arguments.json {
        true => print_json(&report)?,
        false => print(&text(&report))?,
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for Check { name, status, found, remedy } in &report.checks {
        let _ = writeln!(text, "{:<8} {name:<16} {found}", status.name());
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "{:<8} {:<16} mend: {remedy}", "", "");
        }
    }
    if !report.tried.is_empty() {
        text.push_str("\nCPythons that were tried and not taken:\n");
    }
    for Refused { what, reason, remedy } in &report.tried {
        let _ = writeln!(text, "  {what}: {reason}\n    mend: {remedy}");
    }
    text
}

fn library() -> Check {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let found = format!("subpy {}, for {os} on {arch}", subpy::version());
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Check::ok("library", found);
    }
    Check::warning(
        "library",
        format!("{found}: not a platform it is tested on"),
        "run it on Linux on x86_64 with glibc",
    )
}

fn cache() -> Check {
    const NAME: &str = "cache";
    let set = "export SUBPY_CACHE=/a/folder/that/can/be/written/to";
    let folder = match crate::cache::folder() {
        Ok(folder) => folder,
        Err(why) => return Check::warning(NAME, format!("{why}: `subpy python install` has no place for one"), set),
    };
    match crate::cache::unwritable(&folder) {
        Some(why) => Check::warning(NAME, format!("{}: {why}", folder.display()), set),
        None => Check::ok(NAME, folder.display().to_string()),
    }
}

/// For a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:=@%,".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
