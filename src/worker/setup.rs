//! What a worker does before it begins: it becomes what its host wants it to be.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::host;
use crate::manager::{self, Callback, Code, Config, Kind, Memory, Result, Venv};
use crate::process::lock::limits::{Limits, limit};
use crate::process::lock::usage::Usage;
use crate::process::lock::{self, Got, Lock};
use crate::process::settings::Settings;
use crate::process::zygote::Worker;
use crate::value::{OwnedValue, View, Wanted};

/// What is asked of it later.
pub struct Setup {
    /// None: nobody asks.
    usage: Option<Usage>,
    memory_limit: Option<u64>,
    /// What holds it. What it prints goes to the host then: it has no descriptors of its own for it.
    pub lock: Option<Got>,
}

/// On the only thread that there is.
pub fn set_up(worker: &Worker, main: u64) -> std::result::Result<Setup, String> {
    let settings =
        worker.settings().map_err(|error| format!("an interpreter's process was not told what to be: {error}"))?;
    configure(main, &settings).map_err(|error| error.to_string())?;
    let memory_limit = (settings.memory_limit > 0).then_some(settings.memory_limit);
    let counts = settings.count_memory || memory_limit.is_some();
    let usage = counts.then(Usage::open).transpose().map_err(|error| format!("memory cannot be counted: {error}"))?;
    let cpu = (settings.cpu_limit_ms > 0).then(|| std::time::Duration::from_millis(settings.cpu_limit_ms));
    if memory_limit.is_some() || cpu.is_some() || settings.locked {
        let limits = Limits { memory: memory_limit, cpu, ..Limits::default() };
        limit(&limits).map_err(|error| format!("limits were not set: {error}"))?;
    }
    let mut got = None;
    if settings.locked {
        got = Some(lock_up(worker, main, &settings, usage.as_ref())?);
        let callback: Callback = Box::new(|stream, text| host::output(false, stream, text));
        manager::set_output(main, Some(callback)).map_err(|error| error.to_string())?;
    }
    // Its own code may run when it gets its environment (.pth files): whatever holds it, holds that.
    use_venv(main, &settings).map_err(|error| error.to_string())?;
    Ok(Setup { usage, memory_limit, lock: got })
}

fn use_venv(main: u64, settings: &Settings) -> Result<()> {
    let Some(folder) = &settings.venv else { return Ok(()) };
    let venv = Venv { folder: folder.to_string_lossy().into_owned(), with_system: settings.venv_with_system };
    manager::configure(main, &Config { venv: Some(venv), ..Config::default() })
}

/// The folder of its virtual environment, which it reads when it is locked. What leads out of it is not read, so packages must
/// not be there.
fn folder_of(venv: &Path) -> std::result::Result<PathBuf, String> {
    let canonical = |path: &Path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
    let (folder, lib) = (canonical(venv)?, venv.join("lib"));
    let packages = canonical(&lib)?;
    if !packages.starts_with(&folder) {
        return Err(format!(
            "{} leads out of the virtual environment, to {}, where an interpreter that is locked does not look",
            lib.display(),
            packages.display()
        ));
    }
    Ok(folder)
}

fn configure(main: u64, settings: &Settings) -> Result<()> {
    let path = settings.path.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
    let Settings { unbuffered, no_stdin, tagged_values, .. } = *settings;
    let config = Config { unbuffered, no_stdin, tagged_values, path, ..Config::default() };
    manager::configure(main, &config)
}

fn lock_up(worker: &Worker, main: u64, settings: &Settings, usage: Option<&Usage>) -> std::result::Result<Got, String> {
    let mut python = OwnedValue::none();
    let code = Code::Eval { expression: &lock::prepare(), filename: None };
    manager::run_with(main, code, Wanted::value(Some(&mut python)), None, None).map_err(|error| error.to_string())?;
    let elements = (0..).map_while(|index| python.as_ref().element(index));
    let folders = elements.filter_map(|folder| match folder.view() {
        View::Str(folder) => Some(folder.into()),
        _ => None,
    });
    // What is behind the standard streams is the host's: a pipe can be opened again the other way.
    let mut descriptors = worker.descriptors().to_vec();
    descriptors.extend(usage.map(AsFd::as_fd));
    let venv = settings.venv.as_deref().map(folder_of).transpose()?;
    let lock = Lock {
        python: folders.chain(venv).collect(),
        readable: settings.readable.clone(),
        writable: settings.writable.clone(),
        descriptors,
        accept_less: settings.lock_best_effort,
    };
    lock::lock(&lock)
}

impl Setup {
    /// What holds it, as one word.
    pub fn lock_info(&self) -> u64 {
        self.lock.map_or(0, |got| u64::from(got.landlock) | u64::from(got.filter) << 32)
    }

    /// How much memory the process uses.
    pub fn memory(&self) -> Result<Memory> {
        let Some(usage) = &self.usage else {
            let message =
                "the interpreter's memory is not counted: that takes SUBPY_INTERP_COUNT_MEMORY or a memory_limit";
            return Err(Kind::WrongState(message.into()).into());
        };
        let (used, peak) =
            usage.read().map_err(|error| Kind::Interpreter(format!("memory cannot be counted: {error}")))?;
        // The system does not say how often it has refused some.
        Ok(Memory { used, peak, limit: self.memory_limit, refused: 0 })
    }
}
