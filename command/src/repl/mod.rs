//! `subpy repl`: several interpreters to try things out in, and to switch between.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use subpy::{CloseOptions, Config, Interpreter, Kind, Options, ProcessOptions};

use crate::{Result, print, probe, tell};

const SETUP: &str = include_str!("setup.py");

const HELP: &str = "\
Python code runs in the interpreter whose number is in the prompt. Beside it there are:
  :new          another interpreter, with a GIL of its own
  :new shared   one that shares the main interpreter's GIL
  :new process  one in a process of its own
  :use N        go to interpreter N
  :list         all of them
  :close N      end interpreter N
  :help         this
Ctrl-C interrupts what runs, Ctrl-D ends.
";

struct Repl {
    interps: BTreeMap<usize, (&'static str, Interpreter)>,
    current: usize,
    /// The number of the next one: none is used twice.
    next: usize,
    /// What runs now, for Ctrl-C.
    running: Arc<Mutex<Option<Interpreter>>>,
}

fn lock(running: &Mutex<Option<Interpreter>>) -> MutexGuard<'_, Option<Interpreter>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn repl(python: Option<&Path>) -> Result<ExitCode> {
    subpy::init(&probe::options(python)).map_err(|error| error.to_string())?;
    let mut editor = DefaultEditor::new().map_err(|error| format!("the terminal cannot be used: {error}"))?;
    let mut repl = Repl { interps: BTreeMap::new(), current: 0, next: 1, running: Arc::default() };
    repl.new_one("own")?;
    repl.heed_ctrl_c()?;
    let version = subpy::python_version().unwrap_or_default();
    tell(&format!("subpy {}, CPython {version}; :help lists what there is beside Python\n", subpy::version()));
    let mut source = String::new();
    loop {
        let prompt = if source.is_empty() { format!("{}>>> ", repl.current) } else { "... ".to_owned() };
        match editor.readline(&prompt) {
            Ok(line) if source.is_empty() && line.starts_with(':') => {
                let _ = editor.add_history_entry(&line);
                if let Err(why) = repl.command(&line) {
                    tell(&format!("{why}\n"));
                }
            }
            Ok(line) => {
                let _ = editor.add_history_entry(&line);
                if !source.is_empty() {
                    source.push('\n');
                }
                source.push_str(&line);
                if !repl.takes(&mut source)? {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => source.clear(),
            Err(ReadlineError::Eof) => {
                // What was begun, and the input ends with: as if an empty line had followed.
                if !source.is_empty() {
                    source.push('\n');
                    repl.takes(&mut source)?;
                }
                break;
            }
            Err(error) => return Err(format!("the terminal cannot be read: {error}")),
        }
    }
    let close = CloseOptions::new().timeout(Duration::from_secs(2)).interrupt(true);
    subpy::shutdown_with(close).map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

impl Repl {
    fn heed_ctrl_c(&self) -> Result<()> {
        let mut signals = Signals::new([SIGINT]).map_err(|error| format!("signals cannot be caught: {error}"))?;
        let running = Arc::clone(&self.running);
        let heed = move || {
            for _ in &mut signals {
                let now = lock(&running).clone();
                if let Some(Err(error)) = now.map(|interp| interp.interrupt()) {
                    tell(&format!("{error}\n"));
                }
            }
        };
        thread::Builder::new().spawn(heed).map_err(|error| format!("signals cannot be caught: {error}"))?;
        Ok(())
    }

    fn new_one(&mut self, kind: &str) -> Result<()> {
        let config = Config::new().no_stdin(true);
        let (name, options) = match kind {
            "" | "own" => ("own GIL", Options::new().config(config)),
            "shared" => ("shared GIL", Options::new().config(config.shared_gil(true).no_extension_check(true))),
            "process" => {
                // Ctrl-C is not to cost what was made in it, if it can be helped.
                let process = ProcessOptions::new().grace(Duration::from_secs(2));
                ("process", Options::new().config(config).process(process))
            }
            other => return Err(format!(":new {other}: there are own, shared and process")),
        };
        let interp = Interpreter::with_options(&options).map_err(|error| error.to_string())?;
        interp.exec(SETUP).map_err(|error| error.to_string())?;
        self.interps.insert(self.next, (name, interp));
        self.current = self.next;
        self.next += 1;
        Ok(())
    }

    fn command(&mut self, line: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        let (command, argument) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match command {
            ":new" => self.new_one(argument),
            ":use" => {
                self.current = self.number(argument)?;
                Ok(())
            }
            ":list" => {
                let lines = self.interps.iter().map(|(number, (kind, _))| {
                    let mark = if *number == self.current { '*' } else { ' ' };
                    format!("{mark} {number}  {kind}\n")
                });
                print(&lines.collect::<String>())
            }
            ":close" => {
                let number = self.number(argument)?;
                let (_, interp) = &self.interps[&number];
                let close = CloseOptions::new().timeout(Duration::from_secs(2)).interrupt(true);
                interp.close_with(close).map_err(|error| error.to_string())?;
                self.forget(number)
            }
            ":help" => print(HELP),
            other => Err(format!("{other} is not known; :help lists what there is")),
        }
    }

    fn number(&self, text: &str) -> Result<usize> {
        let number = text.parse().ok().filter(|number| self.interps.contains_key(number));
        number.ok_or_else(|| format!("there is no interpreter {text:?}; :list shows those that there are"))
    }

    /// There is always one.
    fn forget(&mut self, number: usize) -> Result<()> {
        self.interps.remove(&number);
        match self.interps.keys().next() {
            Some(_) if self.current != number => Ok(()),
            Some(other) => {
                self.current = *other;
                Ok(())
            }
            None => self.new_one("own"),
        }
    }

    /// Runs it if it is complete. False: it ends the whole.
    fn takes(&mut self, source: &mut String) -> Result<bool> {
        let Some((_, interp)) = self.interps.get(&self.current) else { return Ok(false) };
        let interp = interp.clone();
        if let Ok(false) = interp.call::<bool>("_subpy_repl:is_complete", (source.as_str(),)) {
            return Ok(true);
        }
        let code = std::mem::take(source);
        *lock(&self.running) = Some(interp.clone());
        let ran = interp.call::<()>("_subpy_repl:run", (code,));
        *lock(&self.running) = None;
        let Err(error) = ran else { return Ok(true) };
        match &error.kind {
            Kind::ExecutionFailed(exception) if exception.type_name == "SystemExit" => return Ok(false),
            Kind::Interrupted(_) => tell("KeyboardInterrupt\n"),
            _ => tell(&format!("{error}\n")),
        }
        // A process that has ended.
        if interp.id().is_err() {
            tell(&format!("interpreter {} is gone\n", self.current));
            self.forget(self.current)?;
        }
        Ok(true)
    }
}
