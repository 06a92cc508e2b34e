//! `subpy check`: whether packages work in interpreters of each kind, each tried in a process of its own.
//!
//! | file | what |
//! |---|---|
//! | `folder` | where all of it is done, which goes with the check
//! | `venv` | virtual environments, and packages in them |
//! | `table` | what comes of it, to read |

mod folder;
mod table;
mod venv;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::child::{self, End};
use crate::cli::{Check, Place};
use crate::probe::{self, Imported, Loaded};
use crate::{FAILED, Result, print, print_json, scratch};
use folder::Folder;
use venv::{Environment, Installed, Tool};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Works,
    /// An ImportError: it says that it does not work there.
    Refused,
    Crashes,
    Hangs,
    /// Any other exception.
    Fails,
}

/// What became of an import.
#[derive(Debug, Clone, Serialize)]
struct Outcome {
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    /// Extension modules that it has in the main interpreter, and does without here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without: Vec<String>,
    #[serde(skip)]
    loaded: Loaded,
}

#[derive(Debug, Serialize)]
struct Outcomes {
    own: Outcome,
    second: Outcome,
    shared: Outcome,
    main: Outcome,
}

#[derive(Debug, Serialize)]
struct Checked {
    package: String,
    version: Option<String>,
    modules: Vec<String>,
    /// Why nothing was tried.
    error: Option<String>,
    #[serde(flatten)]
    outcomes: Option<Outcomes>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    subpy: &'static str,
    python: &'a str,
    date: &'a str,
    packages: &'a [Checked],
}

impl Outcome {
    fn new(verdict: Verdict, reason: Option<String>) -> Outcome {
        Outcome { verdict, reason, signal: None, without: Vec::new(), loaded: Loaded::default() }
    }

    /// What the main interpreter has loaded, and this one not. What the import has loaded there, it does without here. Of what is
    /// loaded later it is not known whether the package does without, so when nothing of that loads, the package is refused.
    fn compare(&mut self, main: &Loaded) {
        let is_here = |name: &&String| self.loaded.by_import.contains(name) || self.loaded.own.contains(name);
        self.without = main.by_import.iter().filter(|name| !is_here(name)).cloned().collect();
        let later: Vec<&String> = main.own.iter().filter(|name| !main.by_import.contains(name)).collect();
        let Some(first) = later.first().filter(|_| !main.own.iter().any(|name| is_here(&name))) else {
            self.without.extend(later.into_iter().filter(|name| !is_here(name)).cloned());
            return;
        };
        if self.without.is_empty() {
            let refused = self.loaded.refused.iter().find(|(name, _)| name == *first);
            let why = refused.map_or("it was not loaded", |(_, why)| why.as_str());
            let name = if why.contains(first.as_str()) { String::new() } else { format!("{first}: ") };
            self.reason = Some(format!("{name}{why} (the import of the package alone works)"));
            self.verdict = Verdict::Refused;
        }
    }

    fn short(&self) -> String {
        match (self.verdict, &self.signal) {
            (Verdict::Works, _) if !self.without.is_empty() => "works*".to_owned(),
            (Verdict::Works, _) => "works".to_owned(),
            (Verdict::Refused, _) => "refused".to_owned(),
            (Verdict::Crashes, Some(signal)) => signal.clone(),
            (Verdict::Crashes, None) => "crashes".to_owned(),
            (Verdict::Hangs, _) => "hangs".to_owned(),
            (Verdict::Fails, _) => "fails".to_owned(),
        }
    }

    fn cell(&self) -> String {
        match (self.verdict, &self.signal) {
            (Verdict::Works, _) if !self.without.is_empty() => "yes, without compiled parts".to_owned(),
            (Verdict::Works, _) => "yes".to_owned(),
            (Verdict::Refused, _) => "ImportError".to_owned(),
            (Verdict::Crashes, Some(signal)) => format!("crash ({signal})"),
            (Verdict::Crashes, None) => "crash".to_owned(),
            (Verdict::Hangs, _) => "hangs".to_owned(),
            (Verdict::Fails, _) => {
                let reason = self.reason.as_deref().unwrap_or_default();
                format!("`{}`", reason.split(':').next().unwrap_or_default())
            }
        }
    }
}

impl Checked {
    fn at(&self, place: Place) -> Option<&Outcome> {
        let outcomes = self.outcomes.as_ref()?;
        Some(match place {
            Place::Own => &outcomes.own,
            Place::Second => &outcomes.second,
            Place::Shared => &outcomes.shared,
            Place::Main => &outcomes.main,
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.error.iter().cloned().collect();
        for place in Place::ALL {
            let Some(outcome) = self.at(place) else { continue };
            if !outcome.without.is_empty() {
                notes.push(format!("{}: works*, without {}", place.name(), outcome.without.join(", ")));
            }
            if let Some(reason) = &outcome.reason {
                notes.push(format!("{}: {reason}", place.name()));
            }
        }
        notes
    }
}

/// What was asked for: a requirement, and the name in it.
struct Wanted {
    requirement: String,
    name: String,
}

pub fn check(arguments: &Check, python: Option<&Path>) -> Result<ExitCode> {
    let wanted = wanted(arguments)?;
    let found = probe::search(python).found?;
    let python = found.executable.ok_or_else(|| {
        let library = found.library.unwrap_or_default();
        format!("{} has no python beside it, which virtual environments need; name another CPython", library.display())
    })?;
    scratch::end_all_on_signals()?;
    let tool = Tool::find(&python)?;
    let folder = Folder::new(arguments.keep)?;
    let bar = ProgressBar::new_spinner();
    let asked = Asked { arguments, python: &python, tool: &tool, folder: &folder, bar: &bar };
    let (candidates, date) = asked.install(wanted)?;
    let checked = asked.import(candidates);
    bar.finish_and_clear();
    drop(folder);
    let report = Report { subpy: subpy::version(), python: &found.version, date: &date, packages: &checked };
    if let Some(page) = &arguments.table {
        let versions = format!("CPython {}, subpy {}, {date}:", report.python, report.subpy);
        table::write(page, &checked, &versions)?;
    }
    match arguments.json {
        true => print_json(&report)?,
        false => print(&table::text(&checked))?,
    }
    let works = |checked: &Checked| checked.at(arguments.require).is_some_and(|it| it.verdict == Verdict::Works);
    Ok(if checked.iter().all(works) { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The packages that were named, and those of the file.
fn wanted(arguments: &Check) -> Result<Vec<Wanted>> {
    let mut lines = arguments.packages.clone();
    if let Some(file) = &arguments.requirements {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        lines.extend(text.replace("\\\n", " ").lines().map(|line| {
            let line = line.split(" #").next().unwrap_or_default();
            line.split(" --").next().unwrap_or_default().trim().to_owned()
        }));
        lines.retain(|line| !line.is_empty() && !line.starts_with(['#', '-']));
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    for requirement in lines {
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let end = requirement.find(|letter| !is_of_name(letter)).unwrap_or(requirement.len());
        let name = requirement[..end].to_owned();
        let rest = requirement[end..].trim_start();
        if !name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            || !(rest.is_empty() || rest.starts_with(['=', '<', '>', '!', '~', '[', ';', '@', '(']))
        {
            return Err(format!("{requirement}: no name of a package; write name, name==version or name @ URL"));
        }
        if wanted.iter().all(|wanted| wanted.name != name) {
            wanted.push(Wanted { requirement, name });
        }
    }
    match wanted.is_empty() {
        true => Err("there is no package to check".to_owned()),
        false => Ok(wanted),
    }
}

/// A package, and where it is installed, or why not.
struct Candidate {
    name: String,
    installed: Result<(PathBuf, Installed)>,
}

struct Asked<'a> {
    arguments: &'a Check,
    python: &'a Path,
    tool: &'a Tool,
    folder: &'a Folder,
    bar: &'a ProgressBar,
}

impl Asked<'_> {
    /// In one environment, or each in its own.
    fn install(&self, wanted: Vec<Wanted>) -> Result<(Vec<Candidate>, String)> {
        if !self.arguments.separate {
            return self.install_together(&wanted);
        }
        let mut candidates = Vec::new();
        let mut date = String::new();
        for (index, wanted) in wanted.iter().enumerate() {
            self.bar.set_message(format!("installing {}", wanted.name));
            let environment = Environment::make(self.folder.path.join(index.to_string()), self.python, self.tool)?;
            let installed = environment.install(std::slice::from_ref(&wanted.requirement), self.tool);
            let (mut about, today) = environment.about(&[&wanted.name])?;
            date = today;
            let about = about.remove(&wanted.name).flatten();
            candidates.push(candidate(&wanted.name, installed, about, &environment));
        }
        Ok((candidates, date))
    }

    /// All at once, so that their versions fit each other. If that does not work, one by one, to see which do.
    fn install_together(&self, wanted: &[Wanted]) -> Result<(Vec<Candidate>, String)> {
        let names: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        self.bar.set_message(format!("installing {}", names.join(", ")));
        let environment = Environment::make(self.folder.path.join("venv"), self.python, self.tool)?;
        let mut all: Vec<String> = self.arguments.packages.clone();
        if let Some(file) = &self.arguments.requirements {
            all.extend(["-r".to_owned(), file.display().to_string()]);
        }
        let one_by_one = environment.install(&all, self.tool).is_err();
        let installed = wanted.iter().map(|wanted| match one_by_one {
            true => environment.install(std::slice::from_ref(&wanted.requirement), self.tool),
            false => Ok(()),
        });
        let installed: Vec<Result<()>> = installed.collect();
        let (mut about, date) = environment.about(&names)?;
        let candidates = names.iter().zip(installed).map(|(name, installed)| {
            let about = about.remove(*name).flatten();
            candidate(name, installed, about, &environment)
        });
        Ok((candidates.collect(), date))
    }

    fn import(&self, candidates: Vec<Candidate>) -> Vec<Checked> {
        let tasks = candidates.iter().enumerate().filter_map(|(index, candidate)| {
            let (environment, installed) = candidate.installed.as_ref().ok()?;
            (!installed.modules.is_empty()).then_some((index, environment, installed))
        });
        let mut tasks: Vec<_> = tasks
            .flat_map(|(index, environment, installed)| Place::ALL.map(|place| (index, place, environment, installed)))
            .collect();
        tasks.reverse();
        self.bar.set_message("importing");
        self.bar.set_length(u64::try_from(tasks.len()).unwrap_or(u64::MAX));
        let (tasks, outcomes) = (Mutex::new(tasks), Mutex::new(Vec::new()));
        let jobs = self.arguments.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    loop {
                        let Some((index, place, environment, installed)) = lock(&tasks).pop() else { break };
                        let outcome = import(environment, place, installed, self.arguments.timeout);
                        lock(&outcomes).push((index, place, outcome));
                        self.bar.inc(1);
                    }
                });
            }
        });
        let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let at = |wanted: usize, place: Place| {
            outcomes
                .iter()
                .find(|(index, at, _)| (*index, *at) == (wanted, place))
                .map(|(_, _, outcome)| outcome.clone())
        };
        let checked = candidates.into_iter().enumerate().map(|(index, candidate)| {
            let [own, second, shared, main] = Place::ALL.map(|place| at(index, place));
            let outcomes = match (own, second, shared, main) {
                (Some(own), Some(second), Some(shared), Some(main)) => Some(Outcomes { own, second, shared, main }),
                _ => None,
            };
            checked(candidate, outcomes)
        });
        checked.collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn candidate(name: &str, installed: Result<()>, about: Option<Installed>, environment: &Environment) -> Candidate {
    let installed = installed.map_err(|why| format!("it cannot be installed: {why}")).and_then(|()| {
        let about = about.ok_or_else(|| "it was installed by another name".to_owned())?;
        Ok((environment.path.clone(), about))
    });
    Candidate { name: name.to_owned(), installed }
}

fn checked(candidate: Candidate, outcomes: Option<Outcomes>) -> Checked {
    let (version, modules, error) = match candidate.installed {
        Ok((_, Installed { version, modules, .. })) => {
            let error = modules.is_empty().then(|| "it has nothing that can be imported".to_owned());
            (Some(version), modules, error)
        }
        Err(why) => (None, Vec::new(), Some(why)),
    };
    let outcomes = outcomes.map(|mut outcomes| {
        let main = outcomes.main.loaded.clone();
        for outcome in [&mut outcomes.own, &mut outcomes.second, &mut outcomes.shared] {
            if outcome.verdict == Verdict::Works {
                outcome.compare(&main);
            }
        }
        outcomes
    });
    Checked { package: candidate.name, version, modules, error, outcomes }
}

/// In a process of its own.
fn import(environment: &Path, place: Place, installed: &Installed, limit: Duration) -> Outcome {
    let fails = |why: String| Outcome::new(Verdict::Fails, Some(why));
    let mut command = match child::own(&["probe", "--python"]) {
        Ok(command) => command,
        Err(why) => return fails(why),
    };
    command.arg(environment).arg("import").arg(place.name()).args(&installed.modules);
    for extension in &installed.extensions {
        command.args(["--extension", extension]);
    }
    let ended = match child::run(&mut command, limit) {
        Ok(ended) => ended,
        Err(error) => return fails(format!("no process could be started: {error}")),
    };
    let imported = probe::answer::<Imported>(&ended.stdout);
    let at_end = if imported.is_some() { ", when it is closed" } else { "" };
    match (ended.end, imported) {
        (End::Killed(signal), _) => {
            let signal = child::signal_name(signal);
            let mut outcome = Outcome::new(Verdict::Crashes, Some(format!("{signal}{at_end}")));
            outcome.signal = Some(signal);
            outcome
        }
        (End::TimedOut, _) => {
            Outcome::new(Verdict::Hangs, Some(format!("it has not ended in {} s{at_end}", limit.as_secs_f64())))
        }
        (_, Some(Imported::Works(loaded))) => Outcome { loaded, ..Outcome::new(Verdict::Works, None) },
        (_, Some(Imported::Refused(why))) => Outcome::new(Verdict::Refused, Some(why)),
        (_, Some(Imported::Fails(why))) => fails(why),
        (end, None) => {
            let said = ended.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            fails(format!("it ends the process with {end}: {said}"))
        }
    }
}
