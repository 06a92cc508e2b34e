//! What a process for interpreters does: first it is the zygote, with a CPython that is initialised, and each fork of it
//! is a worker, which does in its main interpreter what its host asks for.
//!
//! | file | what |
//! |---|---|
//! | `control` | a thread that hears the host's notes: channels, stops |
//! | `stops` | runs that can be stopped |
//! | `line` | a thread's channel: what the host asks there, and what it is asked |
//! | `serve` | does what is asked |
//! | `values` | what stays in one of the two processes, and is a number in the other |
//! | `queues` | queues, which are the host's |
//! | `host` | the host's functions, and output that goes to it |

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::manager::{self, Code, RuntimeOptions, Startup, home};
use crate::process::executable::Main;
use crate::process::zygote::{Worker, Zygote};
use crate::value::{Args, Buffers, LIST, OwnedValue, STR, Wanted, subpy_value};
use control::Control;

mod control;
mod host;
mod line;
mod queues;
mod serve;
mod setup;
mod stops;
#[cfg(test)]
mod tests;
mod values;

/// The exit code when something is wrong with the arguments, or with what the host says, and after a panic. All other errors
/// go to the host.
const MISUSED: i32 = 2;
/// The exit code when the host has gone.
const ALONE: i32 = 1;

const THREADS: &str = "a module that Python imports when it starts (sitecustomize, a .pth file) has started a thread, so \
                       this process cannot be forked";

/// A process for interpreters.
pub struct Process;

impl Main for Process {
    fn main(arguments: &[OsString]) -> i32 {
        main(arguments)
    }
}

/// Does it, with the arguments that the host gave. The process's exit code.
pub fn main(arguments: &[OsString]) -> i32 {
    let Ok(zygote) = Zygote::new() else { return MISUSED };
    if let Err(why) = start(arguments, &zygote) {
        zygote.fails(&why);
        return 1;
    }
    match zygote.serve(home::fork) {
        None => 0,
        Some(worker) => work(Arc::new(worker)),
    }
}

fn start(arguments: &[OsString], zygote: &Zygote) -> Result<(), String> {
    let [_, library, version, python, flags, folders, texts @ ..] = arguments else {
        return Err("subpy-worker is started by libsubpy alone".into());
    };
    zygote.has_loaded(library);
    if version != env!("CARGO_PKG_VERSION") {
        let own = env!("CARGO_PKG_VERSION");
        return Err(format!("{} is libsubpy {own}, and its host has {}", library.display(), version.display()));
    }
    let flags = flags.to_str().and_then(|flags| flags.parse().ok()).ok_or("the flags are no number")?;
    let python = Some(PathBuf::from(python)).filter(|python| !python.as_os_str().is_empty());
    let options = RuntimeOptions { python, startup: Startup::from_flags(flags), ..RuntimeOptions::default() };
    manager::init_here(&options).map_err(|error| error.to_string())?;
    if zygote.has_other_threads() {
        return Err(THREADS.into());
    }
    let folders = folders.to_str().and_then(|folders| folders.parse().ok());
    let (path, preload) = folders.and_then(|folders| texts.split_at_checked(folders)).ok_or("the folders are fewer")?;
    if !path.is_empty() {
        set_path(path).map_err(|error| error.to_string())?;
    }
    for module in preload {
        import(&module.to_string_lossy(), zygote)?;
    }
    prepare().map_err(|error| error.to_string())
}

/// Makes `sys.path` this.
fn set_path(folders: &[OsString]) -> manager::Result<()> {
    let folders: Vec<Cow<str>> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
    let folders: Vec<subpy_value> =
        folders.iter().map(|folder| subpy_value::pointing(STR, folder.as_ptr(), folder.len())).collect();
    let list = [subpy_value::pointing(LIST, folders.as_ptr().cast(), folders.len())];
    for (callable, items) in [("sys:path.clear", &list[..0]), ("sys:path.extend", &list)] {
        let args = Args { items, kwargs: &[], buffers: Buffers::None };
        let code = Code::Call { callable, args };
        manager::run_with(manager::get_main()?, code, Wanted::value(None), None, None).map_err(|error| *error)?;
    }
    Ok(())
}

/// Imports a module that all workers have from the beginning.
fn import(module: &str, zygote: &Zygote) -> Result<(), String> {
    let failed = |error: manager::Error| format!("the module {module:?} was not preloaded: {error}");
    let name = [subpy_value::pointing(STR, module.as_ptr(), module.len())];
    let args = Args { items: &name, kwargs: &[], buffers: Buffers::None };
    let main = manager::get_main().map_err(failed)?;
    let import = Code::Call { callable: "importlib:import_module", args };
    manager::run_with(main, import, Wanted::value(None), None, None).map_err(|error| failed(*error))?;
    if zygote.has_other_threads() {
        return Err(format!(
            "the module {module:?} cannot be preloaded: it starts threads, and a process that has some cannot be forked"
        ));
    }
    Ok(())
}

/// What is done once in the zygote is done for all workers.
fn prepare() -> manager::Result<()> {
    let main = manager::get_main()?;
    // The first time each of them loads what it needs.
    for code in [
        Code::Exec { source: "pass", filename: None, keep_indent: false },
        Code::Eval { expression: "None", filename: None },
        Code::Call { callable: "builtins:str", args: Args { items: &[], kwargs: &[], buffers: Buffers::None } },
    ] {
        let mut result = OwnedValue::none();
        manager::run_with(main, code, Wanted::value(Some(&mut result)), None, None).map_err(|error| *error)?;
    }
    home::prepare_forks()
}

fn work(worker: Arc<Worker>) -> i32 {
    let started = begin(&worker);
    let control = started.as_ref().ok().cloned();
    if worker.starts(started.map(drop)).is_err() {
        return ALONE;
    }
    match control {
        Some(control) => line::serve_first(&control),
        None => 1,
    }
}

fn begin(worker: &Arc<Worker>) -> Result<Arc<Control>, String> {
    worker.settle().map_err(|error| format!("an interpreter's process could not be set up: {error}"))?;
    home::trace_to(worker.trace()).map_err(|error| error.to_string())?;
    let main = manager::get_main().map_err(|error| error.to_string())?;
    let setup = setup::set_up(worker, main)?;
    Control::start(Arc::clone(worker), main, setup).map_err(|error| format!("a thread could not be started: {error}"))
}
