//! What may crash or hang, or depends on the environment: the command starts itself for it, so that the end of that process is
//! something to tell. Each prints one line of JSON.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use subpy::{Config, Interpreter, Kind, Options, ProcessOptions, RuntimeOptions, get_main};

use crate::cli::{Place, Probed};
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

/// What `import` prints, behind a mark, as modules may print what they like.
#[derive(Debug, Serialize, Deserialize)]
pub enum Imported {
    Works(Loaded),
    Refused(String),
    Fails(String),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Loaded {
    /// The extension modules of site-packages that the import has loaded, whosoever they are.
    pub by_import: Vec<String>,
    /// Those of the package that are loaded then, or could be.
    pub own: Vec<String>,
    /// Those of the package that could not, and why.
    pub refused: Vec<(String, String)>,
}

const MARK: &str = "<subpy-probe>";

/// What an interpreter says when CPython does not load an extension module in it.
const NOT_HERE: &str = "does not support loading in subinterpreters";

const IMPORT: &str = "
def import_all(names, extensions):
    import importlib, sys
    for name in names:
        importlib.import_module(name)
    def is_extension(module):
        origin = getattr(getattr(module, '__spec__', None), 'origin', None)
        return isinstance(origin, str) and origin.endswith('.so') and '/site-packages/' in origin
    by_import = sorted(name for name, module in list(sys.modules.items()) if is_extension(module))
    own, refused = [], []
    for name in extensions:
        try:
            importlib.import_module(name)
        except BaseException as error:
            refused.append((name, str(error)))
        else:
            own.append(name)
    return by_import, own, refused
";

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

pub fn probe(what: &Probed, python: Option<&Path>) -> Result<ExitCode> {
    end_with_parent()?;
    let line = match what {
        Probed::Search => json(&search(python)),
        Probed::Start => json(&start(python)),
        Probed::Process => json(&in_process(python, ProcessOptions::new())),
        Probed::Locked => json(&in_process(python, ProcessOptions::new().locked(true))),
        Probed::Import { place, modules, extension } => return import(python, *place, modules, extension),
    };
    print(&format!("{}\n", line?))?;
    Ok(ExitCode::SUCCESS)
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

/// Whoever has begun this process holds the other end of its stdin.
fn end_with_parent() -> Result<()> {
    let wait = || {
        let mut stdin = std::io::stdin();
        while let Ok(1..) = stdin.read(&mut [0; 64]) {}
        let _ = kill(getpid(), Signal::SIGKILL);
    };
    thread::Builder::new().spawn(wait).map(drop).map_err(|error| format!("no thread could be started: {error}"))
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

/// The answer in what such a process has printed.
pub fn answer<T: DeserializeOwned>(printed: &str) -> Option<T> {
    let answer = printed.rsplit_once(MARK)?.1;
    serde_json::from_str(answer.lines().next()?).ok()
}

fn import(python: Option<&Path>, place: Place, modules: &[String], extensions: &[String]) -> Result<ExitCode> {
    let told = |error: subpy::Error| error.to_string();
    subpy::init(&options(python)).map_err(told)?;
    let shared = Config::new().shared_gil(true).no_extension_check(true);
    let interps = match place {
        Place::Own => vec![Interpreter::create()],
        Place::Second => vec![Interpreter::create(), Interpreter::create()],
        Place::Shared => vec![Interpreter::with_options(&Options::new().config(shared))],
        Place::Main => vec![get_main()],
    };
    let mut outcome = Imported::Fails("nothing was tried".to_owned());
    for interp in interps.iter() {
        let interp = interp.as_ref().map_err(|error| error.to_string())?;
        interp.exec(IMPORT).map_err(told)?;
        // What becomes of it in the last one counts.
        type Lists = (Vec<String>, Vec<String>, Vec<(String, String)>);
        outcome = match interp.call::<Lists>("import_all", (modules, extensions)) {
            Ok((by_import, own, refused)) => Imported::Works(Loaded { by_import, own, refused }),
            Err(error) => refusal(&error),
        };
    }
    print(&format!("\n{MARK}{}\n", json(&outcome)?))?;
    // How it ends is a part of the answer.
    drop(interps);
    subpy::shutdown().map_err(told)?;
    Ok(ExitCode::SUCCESS)
}

fn refusal(error: &subpy::Error) -> Imported {
    let Kind::ExecutionFailed(exception) = &error.kind else { return Imported::Fails(error.to_string()) };
    // A package may put it into an exception of its own.
    let by_python = exception.display.lines().find(|line| line.contains(NOT_HERE)).map(str::trim);
    match by_python {
        Some(line) => Imported::Refused(line.strip_prefix("ImportError: ").unwrap_or(line).to_owned()),
        None if exception.type_name == "ImportError" => Imported::Refused(exception.message.trim().to_owned()),
        None => Imported::Fails(exception.formatted.trim().to_owned()),
    }
}
