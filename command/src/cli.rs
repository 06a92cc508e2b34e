//! The arguments. These comments are the help, the man pages and the completions.

use std::path::PathBuf;
use std::time::Duration;

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
    Check(Check),
    Run(Run),
    /// Python in one interpreter or several, to try things out: :help there lists how to switch between them
    Repl,
    /// What has to do with CPythons
    #[command(subcommand)]
    Python(Python),
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

/// Tries whether packages work in interpreters of each kind
///
/// Makes a virtual environment, which goes when it is done, installs the packages there, and imports each in an interpreter with a GIL
/// of its own, in a second one, in one that shares the GIL of the main interpreter, and in the main interpreter. Each import has a process
/// of its own: it works, is refused (by an ImportError), crashes, hangs or fails (by another exception).
///
/// Ends with 1 when a package does not work where --require says.
#[derive(Debug, Args)]
pub struct Check {
    /// What to install, as pip takes it: name, name==1.2
    #[arg(required_unless_present = "requirements", value_name = "PACKAGE")]
    pub packages: Vec<String>,
    /// A file with a package a line
    #[arg(short, long, value_name = "FILE")]
    pub requirements: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Also write a table in Markdown into this file, between its two lines for that
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// A virtual environment for each package, so that none changes the version of another
    #[arg(long)]
    pub separate: bool,
    /// Leave the virtual environments, and say where they are
    #[arg(long)]
    pub keep: bool,
    /// How many seconds an import may take
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Duration,
    /// How many imports at the same time; one a core if it is not given
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<usize>,
    /// Where each package has to work
    #[arg(long, default_value = "own", value_name = "WHERE")]
    pub require: Place,
}

/// An interpreter to import in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// One with a GIL of its own
    Own,
    /// A second one with a GIL of its own
    Second,
    /// One that shares the main interpreter's GIL
    Shared,
    /// The main interpreter, as in a process of its own
    Main,
}

impl Place {
    pub const ALL: [Place; 4] = [Place::Own, Place::Second, Place::Shared, Place::Main];

    pub fn name(self) -> &'static str {
        match self {
            Place::Own => "own",
            Place::Second => "second",
            Place::Shared => "shared",
            Place::Main => "main",
        }
    }
}

/// Calls a function of a script with each input, on several interpreters
///
/// The function gets a str, an input as it stands here, and what it returns becomes a line of JSON: {"input": ..., "result": ...}, or
/// {"input": ..., "error": {"kind": ..., "message": ...}} when there is no result. What it prints goes to stderr. With --output, inputs
/// that the file has already are left out, so a run that was ended goes on where it was.
///
/// Ends with 1 when an input has failed, with 2 when nothing could be run, and with 130 after Ctrl-C.
#[derive(Debug, Args)]
pub struct Run {
    /// How many interpreters; one a core if it is not given
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<usize>,
    /// The function's name
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub function: String,
    /// How many seconds a call may take, fractions too
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// The file that results are added to, instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Do inputs again that have failed before
    #[arg(long, requires = "output")]
    pub retry: bool,
    /// Each interpreter in a process of its own: every package loads there, a crash costs one input, and what hangs in C is killed
    #[arg(long)]
    pub process: bool,
    /// The script, which is loaded once in each interpreter
    pub script: PathBuf,
    /// What the function is called with; `-` stands for the lines of stdin
    #[arg(required = true, value_name = "FILES")]
    pub inputs: Vec<String>,
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=10_000) => Ok(jobs),
        _ => Err("it has to be a number from 1 to 10000".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| !seconds.is_zero()).ok_or_else(|| "it has to be a number of seconds above 0".to_owned())
}

#[derive(Debug, Subcommand)]
pub enum Python {
    Install(Install),
}

/// Fetches a CPython, to where the search finds it
///
/// Through uv, or else through a Go module whose hashes this command has, whichever is on PATH. Says first what it does. Prints the
/// python's path.
#[derive(Debug, Args)]
pub struct Install {
    /// Which of the two to use
    #[arg(long, value_name = "PROGRAM")]
    pub with: Option<Way>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    Uv,
    Go,
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
    #[command(subcommand)]
    pub what: Probed,
}

#[derive(Debug, Subcommand)]
pub enum Probed {
    /// Which CPython there is
    Search,
    /// Starts it, and an interpreter with a GIL of its own
    Start,
    /// Starts an interpreter in a process of its own
    Process,
    /// Starts one that is locked
    Locked,
    /// Imports modules
    Import {
        place: Place,
        modules: Vec<String>,
        /// Extension modules, which are tried too
        #[arg(long, value_name = "MODULE")]
        extension: Vec<String>,
    },
}
