//! `subpy run`: a function of a script over inputs, on several interpreters.

mod output;

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use signal_hook::consts::{SIGINT, SIGPIPE, SIGTERM};
use signal_hook::iterator::Signals;
use subpy::{Cancel, CloseOptions, Config, Error, Isolation, Kind, Limits, Options, Pool, PoolOptions, TaskOptions};

use crate::cli::Run;
use crate::{FAILED, Result, child, probe, say, tell};
use output::{Failure, Line, Output};

const SETUP: &str = include_str!("setup.py");

pub fn run(arguments: &Run, python: Option<&Path>) -> Result<ExitCode> {
    let script = arguments.script.canonicalize().map_err(|error| format!("{}: {error}", arguments.script.display()))?;
    let inputs = inputs(&arguments.inputs)?;
    let (mut output, done) = Output::open(arguments.output.as_deref())?;
    let is_to_do = |input: &String| done.get(input).is_none_or(|failed| *failed && arguments.retry);
    let (todo, skipped): (Vec<String>, Vec<String>) = inputs.into_iter().partition(is_to_do);
    let mut tally = Tally {
        skipped: skipped.len(),
        failed_before: skipped.iter().filter(|input| done.get(*input) == Some(&true)).count(),
        ..Tally::default()
    };
    let phase = Arc::new(Mutex::new(Phase::Loading));
    if !todo.is_empty() {
        let cancel = Cancel::new();
        heed_signals(&cancel, &phase)?;
        let pool = pool(arguments, python, &script, todo.len())?;
        *lock(&phase) = Phase::Working;
        let ended = work(arguments, &pool, todo, &cancel, &mut output, &mut tally);
        // Each line is written. What does not end now ends with this process.
        let close = CloseOptions::new().timeout(Duration::from_secs(1)).interrupt(true);
        if pool.close_with(close).is_ok() {
            let _ = subpy::shutdown_with(close);
        }
        std::mem::forget(pool);
        if !ended? {
            return Ok(by_signal(SIGPIPE));
        }
    }
    let signal = match *lock(&phase) {
        Phase::Stopped(signal) => Some(signal),
        Phase::Loading | Phase::Working => None,
    };
    say(&tally.told(signal));
    Ok(match signal {
        None if tally.failed + tally.failed_before == 0 => ExitCode::SUCCESS,
        None => ExitCode::from(FAILED),
        Some(signal) => by_signal(signal),
    })
}

/// As a shell has it.
fn by_signal(signal: i32) -> ExitCode {
    ExitCode::from(128 + u8::try_from(signal).unwrap_or(0))
}

/// How far it is, for a signal.
enum Phase {
    /// The script, in each interpreter. Nothing is lost when that ends.
    Loading,
    Working,
    /// What runs is being ended, by this signal.
    Stopped(i32),
}

fn lock(phase: &Mutex<Phase>) -> MutexGuard<'_, Phase> {
    phase.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Tally {
    good: usize,
    failed: usize,
    skipped: usize,
    /// Of those that were skipped.
    failed_before: usize,
    left: usize,
}

impl Tally {
    fn told(&self, signal: Option<i32>) -> String {
        let Tally { good, failed, skipped, failed_before, left } = self;
        let mut text = format!("{good} results, {failed} failed");
        if *skipped > 0 {
            text += &format!(", {skipped} were there before");
        }
        if *failed_before > 0 {
            text += &format!(", of which {failed_before} have failed (--retry does them again)");
        }
        if let Some(signal) = signal {
            text += &format!("; ended by {} with {left} left: run it again to go on", child::signal_name(signal));
        }
        text
    }
}

/// Each once, in their order; `-` stands for the lines of stdin.
fn inputs(named: &[String]) -> Result<Vec<String>> {
    let mut inputs = Vec::new();
    let mut seen = HashSet::new();
    let mut take = |input: String| {
        if seen.insert(input.clone()) {
            inputs.push(input);
        }
    };
    for name in named {
        if name != "-" {
            take(name.clone());
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| format!("stdin: {error}"))?;
            if !line.is_empty() {
                take(line);
            }
        }
    }
    Ok(inputs)
}

/// The first signal ends what runs, which is not counted as done; the second ends the process, and so does the first as long as
/// the script is being loaded.
fn heed_signals(cancel: &Cancel, phase: &Arc<Mutex<Phase>>) -> Result<()> {
    let told = |error: std::io::Error| format!("signals cannot be caught: {error}");
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(told)?;
    let (cancel, phase) = (cancel.clone(), Arc::clone(phase));
    let heed = move || {
        for signal in &mut signals {
            let mut phase = lock(&phase);
            match *phase {
                Phase::Working => *phase = Phase::Stopped(signal),
                // Held until the end, so that nothing is begun.
                Phase::Loading => {
                    let name = child::signal_name(signal);
                    say(&format!("ended by {name} while the script was being loaded: nothing was begun"));
                    std::process::exit(128 + signal);
                }
                Phase::Stopped(_) => std::process::exit(128 + signal),
            }
            drop(phase);
            cancel.fire();
        }
    };
    thread::Builder::new().spawn(heed).map_err(told)?;
    Ok(())
}

fn workers(arguments: &Run, tasks: usize) -> usize {
    arguments.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).clamp(1, tasks)
}

fn pool(arguments: &Run, python: Option<&Path>, script: &Path, tasks: usize) -> Result<Pool> {
    let cannot = |error: Error| cannot_load(&arguments.script, &error, arguments.process);
    subpy::init(&probe::options(python)).map_err(|error| error.to_string())?;
    let text = script.to_str().ok_or_else(|| format!("{}: its path is not UTF-8", script.display()))?;
    // A JSON string is one of Python's, too.
    let quoted = |text: &str| serde_json::to_string(text).map_err(|error| error.to_string());
    let setup = format!("{SETUP}\nload({}, {})\n", quoted(text)?, quoted(&arguments.function)?);
    let options = PoolOptions::new()
        .workers(workers(arguments, tasks))
        .spares(usize::from(arguments.timeout.is_some()))
        .interpreters(Options::new().config(Config::new().no_stdin(true)))
        .isolation(if arguments.process { Isolation::Process } else { Isolation::OwnGil })
        .setup(setup);
    Pool::with_options(options).map_err(cannot)
}

fn cannot_load(script: &Path, error: &Error, process: bool) -> String {
    let traceback = error.exception().map(|exception| format!("{}\n", traceback(&exception.display)));
    let mut text = format!("{}cannot run {}: {error}", traceback.unwrap_or_default(), script.display());
    if !process && text.contains("subinterpreters") {
        text += "; with --process every package loads";
    }
    text
}

/// As many threads as interpreters give these one input after the other; this one writes what comes of it. False: nobody reads that any
/// more.
fn work(
    arguments: &Run,
    pool: &Pool,
    todo: Vec<String>,
    cancel: &Cancel,
    output: &mut Output,
    tally: &mut Tally,
) -> Result<bool> {
    let bar = ProgressBar::new(u64::try_from(todo.len()).unwrap_or(u64::MAX));
    let style = "{bar:30} {pos}/{len}, {eta} left {msg}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let count = todo.len();
    let (workers, next) = (workers(arguments, count), Mutex::new(todo.into_iter()));
    let mut limits = Limits::new().cancel(cancel).abandon(!arguments.process);
    if let Some(timeout) = arguments.timeout {
        limits = limits.timeout(timeout);
    }
    let printed = bar.clone();
    let options = TaskOptions::new().limits(&limits).output(move |_, _, text| printed.suspend(|| tell(text)));
    let (sender, lines) = mpsc::channel();
    let is_read = thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, options, next) = (sender.clone(), options.clone(), &next);
            scope.spawn(move || {
                loop {
                    let Some(input) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
                    let outcome = pool.with(options.clone()).call::<String>("subpy_run", (input.as_str(),));
                    let Some(line) = line(input, outcome.and_then(subpy::Outcome::join)) else { break };
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for line in lines {
            let written = bar.suspend(|| output.write(&line));
            if !matches!(written, Ok(true)) {
                cancel.fire();
                return written;
            }
            match line.error {
                None => tally.good += 1,
                Some(_) => tally.failed += 1,
            }
            bar.inc(1);
            if tally.failed > 0 {
                bar.set_message(format!("{} failed", tally.failed));
            }
        }
        Ok(true)
    });
    tally.left = count - tally.good - tally.failed;
    bar.finish_and_clear();
    is_read
}

/// What became of an input; None when nothing did, because all is to end.
fn line(input: String, outcome: subpy::Result<String>) -> Option<Line> {
    let error = match outcome {
        Ok(text) => match RawValue::from_string(text) {
            Ok(result) => return Some(Line { input, result: Some(result), error: None }),
            Err(error) => return Some(failed(input, "result", None, format!("the result is not JSON: {error}"))),
        },
        Err(error) => error,
    };
    let mut line = match &error.kind {
        Kind::Interrupted(_) => return None,
        Kind::ExecutionFailed(exception) if exception.type_name == "NotJson" => {
            return Some(failed(input, "result", None, exception.message.to_string()));
        }
        Kind::ExecutionFailed(exception) => {
            failed(input, "exception", Some(exception.type_name.to_string()), exception.message.to_string())
        }
        Kind::Timeout(_) => failed(input, "timeout", None, error.to_string()),
        Kind::Crashed(crash) => {
            let mut line = failed(input, "crash", None, error.to_string());
            if let Some(failure) = &mut line.error {
                failure.signal = crash.signal.map(child::signal_name);
                failure.traceback = Some(crash.traceback.clone()).filter(|text| !text.is_empty());
            }
            line
        }
        _ => failed(input, "error", None, error.to_string()),
    };
    if let (Some(failure), Some(exception)) = (&mut line.error, error.exception()) {
        failure.traceback = Some(traceback(&exception.display));
    }
    Some(line)
}

fn failed(input: String, kind: &'static str, type_name: Option<String>, message: String) -> Line {
    Line { input, result: None, error: Some(Failure { kind, type_name, message, traceback: None, signal: None }) }
}

/// Without the frames of `setup.py`.
fn traceback(display: &str) -> String {
    let mut own = false;
    let is_shown = |line: &&str| {
        if line.starts_with("  File ") {
            own = line.starts_with("  File \"<setup>\"");
        } else if !line.starts_with("    ") {
            own = false;
        }
        !own
    };
    display.lines().filter(is_shown).collect::<Vec<_>>().join("\n")
}
