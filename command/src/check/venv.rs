//! Virtual environments that are thrown away, and packages in them, by whatever the user has for that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::Result;
use crate::child::{self, End, Ended};

/// Downloads and builds take their time.
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);
const LIMIT: Duration = Duration::from_secs(120);

const MODULES: &str = include_str!("modules.py");

/// What installs packages.
pub enum Tool {
    Uv,
    /// The CPython brings pip into its environments.
    Own,
    /// The pip of this Python installs into the environments of others.
    Other(PathBuf),
}

/// pip can install for another Python since then.
const OLDEST_PIP: (u32, u32) = (22, 3);

impl Tool {
    pub fn find(python: &Path) -> Result<Tool> {
        if works(Command::new("uv").arg("--version")).is_some() {
            return Ok(Tool::Uv);
        }
        if works(Command::new(python).args(["-I", "-c", "import ensurepip, venv"])).is_some() {
            return Ok(Tool::Own);
        }
        for other in ["python3", "python"] {
            let version = works(Command::new(other).args(["-m", "pip", "--version"]));
            let version = version.as_deref().and_then(|text| text.split_whitespace().nth(1)).and_then(two_numbers);
            if version.is_some_and(|version| version >= OLDEST_PIP) {
                return Ok(Tool::Other(other.into()));
            }
        }
        Err(format!(
            "nothing is there to install packages with: {} has no ensurepip, and there is neither uv nor a python3 with \
             pip {}.{} or newer on PATH; install uv",
            python.display(),
            OLDEST_PIP.0,
            OLDEST_PIP.1
        ))
    }
}

/// What it prints, if it succeeds.
fn works(command: &mut Command) -> Option<String> {
    let ended = child::run(command, LIMIT).ok()?;
    (ended.end == End::Exited(0)).then_some(ended.stdout)
}

fn two_numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub struct Environment {
    pub path: PathBuf,
}

/// What can be imported.
#[derive(Debug, Clone, Deserialize)]
pub struct Installed {
    pub version: String,
    pub modules: Vec<String>,
    /// Its own extension modules.
    pub extensions: Vec<String>,
}

#[derive(Deserialize)]
struct Listed {
    date: String,
    packages: HashMap<String, Option<Installed>>,
}

impl Environment {
    pub fn make(path: PathBuf, python: &Path, tool: &Tool) -> Result<Environment> {
        let mut command = match tool {
            Tool::Uv => {
                let mut command = Command::new("uv");
                command.args(["venv", "--quiet", "--python"]).arg(python);
                command
            }
            Tool::Own | Tool::Other(_) => {
                let mut command = Command::new(python);
                command.args(["-I", "-m", "venv"]);
                if let Tool::Other(_) = tool {
                    command.arg("--without-pip");
                }
                command
            }
        };
        run(command.arg(&path), LIMIT).map_err(|why| format!("no virtual environment could be made: {why}"))?;
        Ok(Environment { path })
    }

    fn python(&self) -> PathBuf {
        self.path.join("bin/python")
    }

    /// `what`: requirements, or `-r` and a file of them.
    pub fn install(&self, what: &[String], tool: &Tool) -> Result<()> {
        let mut command = match tool {
            Tool::Uv => {
                let mut command = Command::new("uv");
                command.args(["pip", "install", "--quiet", "--python"]).arg(self.python());
                command
            }
            Tool::Own => {
                let mut command = Command::new(self.python());
                command.args(["-m", "pip", "install"]);
                command
            }
            Tool::Other(pip) => {
                let mut command = Command::new(pip);
                command.args(["-m", "pip", "--python"]).arg(self.python()).arg("install");
                command
            }
        };
        if !matches!(tool, Tool::Uv) {
            command.args(["--quiet", "--disable-pip-version-check", "--no-input"]);
            command.env("PIP_USER", "0").env("PIP_ROOT_USER_ACTION", "ignore");
        }
        run(command.args(what), INSTALL_LIMIT).map(drop)
    }

    /// The versions and modules of these packages, and the date.
    pub fn about(&self, names: &[&str]) -> Result<(HashMap<String, Option<Installed>>, String)> {
        let mut command = Command::new(self.python());
        let ended = run(command.args(["-I", "-c", MODULES]).args(names), LIMIT)?;
        let listed: Listed = serde_json::from_str(&ended.stdout).map_err(|error| error.to_string())?;
        Ok((listed.packages, listed.date))
    }
}

/// The error is what it said last.
fn run(command: &mut Command, limit: Duration) -> Result<Ended> {
    let program = command.get_program().display().to_string();
    let ended = child::run(command, limit).map_err(|error| format!("{program}: {error}"))?;
    if ended.end == End::Exited(0) {
        return Ok(ended);
    }
    let said = [&ended.stderr, &ended.stdout].into_iter().find(|text| !text.trim().is_empty());
    let lines: Vec<&str> = said.map(|text| text.lines().map(str::trim).collect()).unwrap_or_default();
    let is_error = |line: &&&str| line.to_lowercase().starts_with("error");
    let said = lines.iter().rfind(is_error).or(lines.last()).copied().unwrap_or_default();
    Err(format!("{program}: {}: {said}", ended.end))
}
