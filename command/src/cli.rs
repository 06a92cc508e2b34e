//! The arguments. These comments are the help, the man pages and the completions.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Many isolated CPython interpreters in one program: looks at a machine, at packages and at scripts
#[derive(Debug, Parser)]
#[command(name = "subpy", version, max_term_width = 100)]
pub struct Cli {
    /// The CPython to use: an executable, a virtual environment's folder or a libpython. Without it SUBPY_PYTHON, or the first
    /// that is found
    #[arg(long, global = true, value_name = "PATH")]
    pub python: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Doctor(Doctor),
    #[command(hide = true)]
    Generate(Generate),
    #[command(hide = true)]
    Probe(Probe),
}

/// Says what works here, and has a line to mend what does not
///
/// Looks at the library, at each CPython that the search comes to, at the virtual environment, at site-packages and at the limits of
/// the process, and starts interpreters of each kind. Ends with 1 when something is wrong that keeps subpy from working.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Writes the man pages and the completions of shells
#[derive(Debug, Args)]
pub struct Generate {
    /// The folder; it gets `man` and `completions`
    pub folder: PathBuf,
}

/// Tries something that may crash or hang, for the other commands, and prints JSON
#[derive(Debug, Args)]
pub struct Probe {
    pub what: Probed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Probed {
    /// Which CPython there is
    Search,
    /// Starts it, and an interpreter with a GIL of its own
    Start,
    /// Starts an interpreter in a process of its own
    Process,
    /// Starts one that is locked
    Locked,
}
