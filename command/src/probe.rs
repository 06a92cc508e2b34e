//! What may crash or hang, or depends on the environment: the command starts itself for it, so that the end of that process is
//! something to tell. Each prints one line of JSON.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use serde::{Deserialize, Serialize};
use subpy::{Interpreter, Options, ProcessOptions, RuntimeOptions, get_main};

use crate::cli::{Probe, Probed};
use crate::{Result, print};

/// What `search` prints.
#[derive(Debug, Serialize, Deserialize)]
pub struct Search {
    pub tried: Vec<Tried>,
    pub found: Result<Found, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tried {
    pub what: String,
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    pub version: String,
    pub library: Option<PathBuf>,
    pub executable: Option<PathBuf>,
    pub prefix: Option<PathBuf>,
}

/// What `start` prints.
#[derive(Debug, Serialize, Deserialize)]
pub struct Started {
    /// `sys.version`
    pub version: String,
    pub prefix: PathBuf,
    pub base_prefix: PathBuf,
    /// Those that are there.
    pub site_packages: Vec<PathBuf>,
    pub packages: usize,
    /// What kept an interpreter from being created, or from running.
    pub own_gil: Result<(), String>,
}

const ABOUT: &str = "
def about():
    import os, site, sys
    from importlib.metadata import distributions
    folders = [folder for folder in site.getsitepackages() if os.path.isdir(folder)]
    packages = len({item.name for item in distributions(path=folders)})
    return sys.version.split()[0], sys.prefix, sys.base_prefix, folders, packages
";

pub fn options(python: Option<&Path>) -> RuntimeOptions {
    python.map_or_else(RuntimeOptions::new, |python| RuntimeOptions::new().python(python))
}

pub fn search(python: Option<&Path>) -> Search {
    let search = subpy::find_python(&options(python));
    let tried = search.tried.into_iter().map(|tried| Tried { what: tried.what, reason: tried.reason }).collect();
    let found = search.found.map_err(|error| error.to_string()).map(|found| {
        let (major, minor, patch) = found.version;
        let version = format!("{major}.{minor}.{patch}");
        Found { version, library: found.library, executable: found.executable, prefix: found.prefix }
    });
    Search { tried, found }
}

pub fn probe(arguments: &Probe, python: Option<&Path>) -> Result<ExitCode> {
    end_with_parent();
    let line = match arguments.what {
        Probed::Search => json(&search(python)),
        Probed::Start => json(&start(python)),
        Probed::Process => json(&in_process(python, ProcessOptions::new())),
        Probed::Locked => json(&in_process(python, ProcessOptions::new().locked(true))),
    };
    print(&format!("{}\n", line?))?;
    Ok(ExitCode::SUCCESS)
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

/// Whoever has begun this process holds the other end of its stdin.
fn end_with_parent() {
    thread::spawn(|| {
        let mut stdin = std::io::stdin();
        while let Ok(1..) = stdin.read(&mut [0; 64]) {}
        let _ = kill(getpid(), Signal::SIGKILL);
    });
}

fn start(python: Option<&Path>) -> Result<Started, String> {
    let start = || -> subpy::Result<Started> {
        subpy::init(&options(python))?;
        let main = get_main()?;
        main.exec(ABOUT)?;
        type About = (String, String, String, Vec<String>, usize);
        let (version, prefix, base_prefix, site_packages, packages): About = main.call("about", ())?;
        let own_gil = || -> subpy::Result<()> {
            let interp = Interpreter::create()?;
            interp.exec("import json; json.dumps([1])")?;
            interp.close()
        };
        let own_gil = own_gil().map_err(|error| error.to_string());
        subpy::shutdown()?;
        Ok(Started {
            version,
            prefix: prefix.into(),
            base_prefix: base_prefix.into(),
            site_packages: site_packages.into_iter().map(PathBuf::from).collect(),
            packages,
            own_gil,
        })
    };
    start().map_err(|error| error.to_string())
}

fn in_process(python: Option<&Path>, process: ProcessOptions) -> Result<(), String> {
    let run = || -> subpy::Result<()> {
        subpy::init(&options(python))?;
        let interp = Interpreter::with_options(&Options::new().process(process))?;
        interp.exec("import json; json.dumps([1])")?;
        interp.close()?;
        subpy::shutdown()
    };
    run().map_err(|error| error.to_string())
}
