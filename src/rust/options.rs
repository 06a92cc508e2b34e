//! How interpreters and CPython are started: options that later versions can add to.

use std::path::PathBuf;
use std::time::Duration;

use crate::manager::{
    Busy, CloseOptions, Config, Kind, Options, ProcessOptions, Result, RuntimeOptions, Startup, Venv,
};

impl Options {
    /// The default: what `concurrent.interpreters` does.
    pub fn new() -> Options {
        Options::default()
    }

    /// What happens to a run while it is running.
    #[must_use]
    pub fn busy(self, busy: Busy) -> Options {
        Options { busy, ..self }
    }

    /// What it may do.
    #[must_use]
    pub fn config(self, config: Config) -> Options {
        Options { config, ..self }
    }

    /// How long each run in it may take, if it does not say so itself ([`Limits`](crate::Limits)).
    /// [`Duration::ZERO`] is no limit.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Options {
        Options { timeout: (!timeout.is_zero()).then_some(timeout), ..self }
    }

    /// How much memory it may use, in bytes. Beyond it its code gets a MemoryError, and goes on in full when it has given
    /// memory back. 0 is no limit. See [`Interpreter::memory`](crate::Interpreter::memory).
    #[must_use]
    pub fn memory_limit(self, bytes: u64) -> Options {
        Options { memory_limit: (bytes != 0).then_some(bytes), ..self }
    }

    /// It is the main interpreter of a process of its own. Extension modules that refuse other interpreters load in it,
    /// and what would end or block a process ends or blocks that one ([`Kind::Crashed`]). Not together with
    /// [`Config::shared_gil`] and [`Config::no_extension_check`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use subpy::{Options, ProcessOptions};
    ///
    /// let options = Options::new()
    ///     .timeout(Duration::from_secs(2))
    ///     .process(ProcessOptions::new().grace(Duration::from_millis(20)));
    /// ```
    #[must_use]
    pub fn process(self, process: ProcessOptions) -> Options {
        Options { process: Some(process), ..self }
    }

    /// What C's texts cannot say, Rust's can.
    pub(super) fn check(&self) -> Result<()> {
        no_nuls(self.config.path.iter().map(String::as_bytes), "Config.path")?;
        if let Some(venv) = &self.config.venv {
            no_nul(venv.folder.as_bytes(), "Config.venv")?;
        }
        let Some(ProcessOptions { readable, writable, .. }) = &self.process else { return Ok(()) };
        no_nuls(readable.iter().map(|folder| folder.as_os_str().as_encoded_bytes()), "ProcessOptions.readable")?;
        no_nuls(writable.iter().map(|folder| folder.as_os_str().as_encoded_bytes()), "ProcessOptions.writable")
    }
}

impl ProcessOptions {
    /// The default: a grace of 100 ms, no limit of processor time, not locked down.
    pub fn new() -> ProcessOptions {
        ProcessOptions::default()
    }

    /// How long code may go on after the exception that is to end its run (a time limit's, a [`Cancel`](crate::Cancel)'s);
    /// then the process is killed. [`Duration::ZERO`] is the default, 100 ms.
    #[must_use]
    pub fn grace(self, grace: Duration) -> ProcessOptions {
        ProcessOptions { grace: if grace.is_zero() { ProcessOptions::GRACE } else { grace }, ..self }
    }

    /// How much time of processors the process may use in all. [`Duration::ZERO`] is no limit.
    #[must_use]
    pub fn cpu_limit(self, limit: Duration) -> ProcessOptions {
        ProcessOptions { cpu_limit: (!limit.is_zero()).then_some(limit), ..self }
    }

    /// On a Linux that has less than what [`locked`](ProcessOptions::locked) takes, the process is locked with what there
    /// is, which [`Interpreter::lock_info`](crate::Interpreter::lock_info) tells. Without this it is an error.
    #[must_use]
    pub fn lock_best_effort(self, lock_best_effort: bool) -> ProcessOptions {
        ProcessOptions { lock_best_effort, ..self }
    }

    /// The process is locked down: no network, no other programs, no other processes, no files but those that Python itself
    /// needs and those in folders that are [`readable`](ProcessOptions::readable) or
    /// [`writable`](ProcessOptions::writable). Not together with [`Config::allow_fork`] and [`Config::allow_exec`].
    #[must_use]
    pub fn locked(self, locked: bool) -> ProcessOptions {
        ProcessOptions { locked, ..self }
    }

    /// Folders that it may read, with all that is below, instead of those that were given before: absolute paths. Only with
    /// [`locked`](ProcessOptions::locked).
    #[must_use]
    pub fn readable<T: Into<PathBuf>>(self, folders: impl IntoIterator<Item = T>) -> ProcessOptions {
        ProcessOptions { readable: folders.into_iter().map(Into::into).collect(), ..self }
    }

    /// Folders that it may read and write, likewise.
    #[must_use]
    pub fn writable<T: Into<PathBuf>>(self, folders: impl IntoIterator<Item = T>) -> ProcessOptions {
        ProcessOptions { writable: folders.into_iter().map(Into::into).collect(), ..self }
    }
}

impl Config {
    /// The default: as isolated as `concurrent.interpreters` makes it, with a GIL of its own.
    pub fn new() -> Config {
        Config::default()
    }

    /// It shares the main interpreter's GIL instead of having its own: it loads more extension modules, and runs when
    /// main and its like do not.
    #[must_use]
    pub fn shared_gil(self, shared_gil: bool) -> Config {
        Config { shared_gil, ..self }
    }

    /// Its code may call `os.fork()`.
    #[must_use]
    pub fn allow_fork(self, allow_fork: bool) -> Config {
        Config { allow_fork, ..self }
    }

    /// Its code may call `os.exec*()`, which replaces the process.
    #[must_use]
    pub fn allow_exec(self, allow_exec: bool) -> Config {
        Config { allow_exec, ..self }
    }

    /// Its code cannot start threads.
    #[must_use]
    pub fn no_threads(self, no_threads: bool) -> Config {
        Config { no_threads, ..self }
    }

    /// Its code may start daemon threads.
    #[must_use]
    pub fn allow_daemon_threads(self, allow_daemon_threads: bool) -> Config {
        Config { allow_daemon_threads, ..self }
    }

    /// It loads extension modules that do not say that they support interpreters; only with
    /// [`shared_gil`](Config::shared_gil).
    #[must_use]
    pub fn no_extension_check(self, no_extension_check: bool) -> Config {
        Config { no_extension_check, ..self }
    }

    /// What it prints is passed on at once, as `python -u` does it.
    #[must_use]
    pub fn unbuffered(self, unbuffered: bool) -> Config {
        Config { unbuffered, ..self }
    }

    /// Its `sys.stdin` is at its end: `input()` raises EOFError.
    #[must_use]
    pub fn no_stdin(self, no_stdin: bool) -> Config {
        Config { no_stdin, ..self }
    }

    /// It counts the memory that it uses, also without a limit ([`Interpreter::memory`](crate::Interpreter::memory)). It
    /// has to have a GIL of its own.
    #[must_use]
    pub fn count_memory(self, count_memory: bool) -> Config {
        Config { count_memory, ..self }
    }

    /// Sets, complex numbers, dates and times, decimals, UUIDs, enums and dataclasses come out as
    /// [`Value::Tagged`](crate::Value::Tagged).
    #[must_use]
    pub fn tagged_values(self, tagged_values: bool) -> Config {
        Config { tagged_values, ..self }
    }

    /// Folders to put in front of `sys.path`, instead of those that were given before.
    #[must_use]
    pub fn path<T: Into<String>>(self, folders: impl IntoIterator<Item = T>) -> Config {
        Config { path: folders.into_iter().map(Into::into).collect(), ..self }
    }

    /// The folder of a virtual environment (PEP 405): the interpreter has the packages of that one, and not those of the
    /// process. It must have been made for the same minor version of Python.
    #[must_use]
    pub fn venv(self, folder: impl Into<String>) -> Config {
        Config { venv: Some(Venv::new(folder.into())), ..self }
    }
}

impl RuntimeOptions {
    /// The default: the CPython that is found first, isolated from the environment.
    pub fn new() -> RuntimeOptions {
        RuntimeOptions::default()
    }

    /// Which CPython: an executable, a virtual environment's folder or a libpython. Otherwise one is searched for.
    #[must_use]
    pub fn python(self, path: impl Into<PathBuf>) -> RuntimeOptions {
        RuntimeOptions { python: Some(path.into()), ..self }
    }

    /// How CPython is initialised.
    #[must_use]
    pub fn startup(self, startup: Startup) -> RuntimeOptions {
        RuntimeOptions { startup, ..self }
    }

    /// The program that processes of interpreters ([`Options::process`]) begin with. Otherwise it is the one that is inside
    /// the library.
    #[must_use]
    pub fn worker(self, path: impl Into<PathBuf>) -> RuntimeOptions {
        RuntimeOptions { worker: Some(path.into()), ..self }
    }

    /// Modules that are imported once for all interpreters that get processes of their own, instead of those that were given
    /// before. One that starts threads when it is imported is not for this.
    #[must_use]
    pub fn preload<T: Into<String>>(self, modules: impl IntoIterator<Item = T>) -> RuntimeOptions {
        RuntimeOptions { preload: modules.into_iter().map(Into::into).collect(), ..self }
    }

    pub(super) fn check(&self) -> Result<()> {
        for (path, name) in [(&self.python, "RuntimeOptions.python"), (&self.worker, "RuntimeOptions.worker")] {
            no_nul(path.as_ref().map_or(&[], |path| path.as_os_str().as_encoded_bytes()), name)?;
        }
        no_nuls(self.preload.iter().map(String::as_bytes), "RuntimeOptions.preload")
    }
}

impl Startup {
    /// The default: isolated from the environment, with the site module, and SIGPIPE ignored if it is at its default.
    pub fn new() -> Startup {
        Startup::default()
    }

    /// Honour PYTHONPATH and the other PYTHON* variables.
    #[must_use]
    pub fn use_environment(self, use_environment: bool) -> Startup {
        Startup { use_environment, ..self }
    }

    /// Start without the site module: no site-packages, and interpreters are created a third faster.
    #[must_use]
    pub fn no_site(self, no_site: bool) -> Startup {
        Startup { no_site, ..self }
    }

    /// Leave SIGPIPE as it is. Without it, Python code that writes to a closed pipe gets BrokenPipeError, as in python,
    /// and with it, the signal's default ends the process.
    #[must_use]
    pub fn keep_sigpipe(self, keep_sigpipe: bool) -> Startup {
        Startup { keep_sigpipe, ..self }
    }
}

/// As in the C ABI when all bytes are zero: nothing is waited for.
impl Default for CloseOptions {
    fn default() -> CloseOptions {
        CloseOptions::new()
    }
}

impl CloseOptions {
    /// The default: nothing is waited for, and what runs is left alone.
    pub fn new() -> CloseOptions {
        CloseOptions { timeout: Some(Duration::ZERO), drain: false, interrupt: false }
    }

    /// All that has to be waited for may take so long.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> CloseOptions {
        CloseOptions { timeout: Some(timeout), ..self }
    }

    /// It may take as long as it does.
    #[must_use]
    pub fn no_timeout(self) -> CloseOptions {
        CloseOptions { timeout: None, ..self }
    }

    /// Runs that are in, or wait for their turn, may finish. Newcomers are refused with [`Kind::Busy`].
    #[must_use]
    pub fn drain(self, drain: bool) -> CloseOptions {
        CloseOptions { drain, ..self }
    }

    /// Runs that are in get a KeyboardInterrupt, again and again until they end, and Python's own threads a SystemExit.
    /// With [`drain`](CloseOptions::drain) too, that begins when half of the time is over.
    #[must_use]
    pub fn interrupt(self, interrupt: bool) -> CloseOptions {
        CloseOptions { interrupt, ..self }
    }
}

/// Python reads some texts up to a NUL.
pub(super) fn no_nul(text: &[u8], what: &str) -> Result<()> {
    if text.contains(&0) {
        return Err(Kind::InvalidArgument(format!("{what} has an embedded NUL character")).into());
    }
    Ok(())
}

fn no_nuls<'a>(texts: impl IntoIterator<Item = &'a [u8]>, what: &str) -> Result<()> {
    texts.into_iter().enumerate().try_for_each(|(index, text)| no_nul(text, &format!("{what}[{index}]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields that are not at their default, as `Debug` shows them.
    fn set(options: impl std::fmt::Debug) -> String {
        let text = format!("{options:#?}");
        let fields = text.lines().filter(|line| line.contains(": ")).map(|line| line.trim().trim_end_matches(','));
        let unset = |field: &&str| [": false", ": []", ": None"].iter().any(|end| field.ends_with(end));
        fields.filter(|field| !unset(field)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_method_sets_its_field() {
        assert_eq!(set(Config::new()), "");
        assert_eq!(set(Config::new().shared_gil(true)), "shared_gil: true");
        assert_eq!(set(Config::new().allow_fork(true)), "allow_fork: true");
        assert_eq!(set(Config::new().allow_exec(true)), "allow_exec: true");
        assert_eq!(set(Config::new().no_threads(true)), "no_threads: true");
        assert_eq!(set(Config::new().allow_daemon_threads(true)), "allow_daemon_threads: true");
        assert_eq!(set(Config::new().no_extension_check(true)), "no_extension_check: true");
        assert_eq!(set(Config::new().unbuffered(true)), "unbuffered: true");
        assert_eq!(set(Config::new().no_stdin(true)), "no_stdin: true");
        assert_eq!(set(Config::new().count_memory(true)), "count_memory: true");
        assert_eq!(Options::new().memory_limit(1).memory_limit, Some(1));
        assert_eq!(Options::new().memory_limit(0).memory_limit, None);
        assert_eq!(set(Config::new().no_threads(true).no_threads(false)), "");
        assert_eq!(Config::new().path(["a"]).path(["b", "c"]).path, ["b", "c"]);
        assert_eq!(Config::new().venv("/a").venv("/b").venv.map(|venv| venv.folder).as_deref(), Some("/b"));
        assert_eq!(set(Startup::new()), "");
        assert_eq!(set(Startup::new().use_environment(true)), "use_environment: true");
        assert_eq!(set(Startup::new().no_site(true)), "no_site: true");
        assert_eq!(set(Startup::new().keep_sigpipe(true)), "keep_sigpipe: true");
        let startup = Startup::new().no_site(true);
        let options =
            RuntimeOptions::new().python("/p").startup(startup).worker("/w").preload(["a"]).preload(["b", "c"]);
        assert_eq!((options.python, options.startup), (Some("/p".into()), startup));
        assert_eq!((options.worker, options.preload), (Some("/w".into()), vec!["b".into(), "c".into()]));
        let second = Duration::from_secs(1);
        assert_eq!(Options::new().process, None);
        let process = ProcessOptions::new();
        assert_eq!(Options::new().process(process.clone()).process, Some(process.clone()));
        assert_eq!(process.clone().grace(second).grace, second);
        assert_eq!(process.clone().grace(second).grace(Duration::ZERO), process);
        assert_eq!(process.clone().cpu_limit(second).cpu_limit, Some(second));
        assert_eq!(process.clone().cpu_limit(second).cpu_limit(Duration::ZERO), process);
        assert!(process.clone().locked(true).locked);
        assert!(process.clone().lock_best_effort(true).lock_best_effort);
        assert_eq!(process.clone().readable(["/a"]).readable(["/b"]).readable, [PathBuf::from("/b")]);
        assert_eq!(process.writable(["/a", "/b"]).writable, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(set(CloseOptions::new()), "timeout: Some(");
        assert_eq!(set(CloseOptions::new().no_timeout().drain(true)), "drain: true");
        assert_eq!(CloseOptions::default().timeout(second).timeout, Some(second));
        assert!(CloseOptions::new().interrupt(true).interrupt);
        let options = Options::new().busy(Busy::Wait).config(Config::new().no_threads(true));
        assert!(options.busy == Busy::Wait && options.config.no_threads);
    }
}
