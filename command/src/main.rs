//! The command `subpy`: looks at a machine, at packages and at scripts with the library subpy.
//!
//! | file | what |
//! |---|---|
//! | `cli` | the arguments: clap makes the help, the man pages and the completions of it |
//! | `doctor` | `subpy doctor`: what works here, and a line to mend what does not |
//! | `check` | `subpy check`: whether packages work in interpreters of each kind |
//! | `run` | `subpy run`: a function over inputs, on several interpreters |
//! | `install` | `subpy python install`: fetches a CPython, and says what to do where it cannot |
//! | `repl` | `subpy repl`: interpreters to try things out in |
//! | `probe` | what the command starts itself for: things that may crash or hang |
//! | `child` | processes with a time limit |
//! | `cache` | the folder for what is kept and what is thrown away
//! | `scratch` | what a signal is not to leave behind |
//! | `generate` | man pages and completions |

mod cache;
mod check;
mod child;
mod cli;
mod doctor;
mod generate;
mod install;
mod probe;
mod repl;
mod run;
mod scratch;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser;
use signal_hook::consts::SIGCHLD;

use cli::{Cli, Command, Python};

/// What went wrong, as it is to be read.
type Result<T, E = String> = std::result::Result<T, E>;

/// The statuses with which the command ends, besides 0.
const FAILED: u8 = 1;
const UNUSABLE: u8 = 2;

/// More than the main thread may have: a small one is what the doctor is asked about.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    // A program that ignores SIGCHLD has those that it starts ignore it too, and to them nobody says how their children have ended.
    // With a handler somebody does; what it is told is not needed.
    let _ = signal_hook::flag::register(SIGCHLD, Arc::default());
    let thread = thread::Builder::new().stack_size(STACK).spawn(|| command(Cli::parse()));
    let ended = thread.map_err(|error| format!("no thread could be started: {error}; ulimit -u 4096 allows more"));
    match ended.map(|thread| thread.join().unwrap_or(Err("it panicked, see above".to_owned()))) {
        Ok(Ok(code)) => code,
        Ok(Err(why)) | Err(why) => {
            say(&why);
            ExitCode::from(UNUSABLE)
        }
    }
}

fn command(cli: Cli) -> Result<ExitCode> {
    let python = cli.python;
    match cli.command {
        Command::Doctor(arguments) => doctor::doctor(&arguments, python.as_deref()),
        Command::Check(arguments) => check::check(&arguments, python.as_deref()),
        Command::Run(arguments) => run::run(&arguments, python.as_deref()),
        Command::Python(Python::Install(arguments)) => install::install(&arguments),
        Command::Repl => repl::repl(python.as_deref()),
        Command::Generate(arguments) => generate::generate(&arguments),
        Command::Probe(arguments) => probe::probe(&arguments.what, python.as_deref()),
    }
}

/// To stderr, which may be closed.
fn tell(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// A line of it that says whose it is.
fn say(text: &str) {
    tell(&format!("subpy: {text}\n"));
}

/// To stdout. Whoever reads it may have seen enough.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("stdout cannot be written to: {error}")),
        _ => Ok(()),
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    print(&format!("{text}\n"))
}
