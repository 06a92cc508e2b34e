//! `subpy python install`: fetches a CPython through what the user has, to where the search finds it. It says what it does before it
//! does it, and nothing else in the command fetches one.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::cli::{Install, Way};
use crate::probe::{self, Found, Search};
use crate::{Result, cache, child, print};

/// Of tools/python-embed: which module, and the hashes of all that belongs to it.
const MODULE: [(&str, &str); 3] = [
    ("go.mod", include_str!("../../tools/python-embed/go.mod")),
    ("go.sum", include_str!("../../tools/python-embed/go.sum")),
    ("main.go", include_str!("../../tools/python-embed/main.go")),
];

const LIMIT: Duration = Duration::from_secs(120);

pub fn install(arguments: &Install) -> Result<ExitCode> {
    let ways = match arguments.with {
        Some(way) if !way.is_there() => {
            return Err(format!("{} is not on PATH; install it, or leave out --with", way.name()));
        }
        Some(way) => vec![way],
        None => [Way::Uv, Way::Go].into_iter().filter(|way| way.is_there()).collect(),
    };
    if ways.is_empty() {
        return Err(
            "neither uv nor go is on PATH: install uv (https://docs.astral.sh/uv), or Go 1.21 or newer, or a CPython \
                    3.14.1 or newer with a shared libpython from the system's packages"
                .to_owned(),
        );
    }
    let mut reasons = Vec::new();
    for way in ways {
        let result = match way {
            Way::Uv => by_uv(arguments.dry_run),
            Way::Go => by_go(arguments.dry_run),
        };
        match result {
            Ok(Some(found)) => {
                let place = found.executable.or(found.library).unwrap_or_default();
                print(&format!("{}\n", place.display()))?;
                return Ok(ExitCode::SUCCESS);
            }
            // Nothing was to be done.
            Ok(None) => return Ok(ExitCode::SUCCESS),
            Err(why) => {
                say(&why);
                reasons.push(why);
            }
        }
    }
    Err(format!("no CPython was installed: {}", reasons.join("; ")))
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "subpy: {text}");
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Uv => "uv",
            Way::Go => "go",
        }
    }

    fn is_there(self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(self.name()).is_file())
    }
}

/// Its own folder is one that the search looks in.
fn by_uv(dry_run: bool) -> Result<Option<Found>> {
    say("uv python install 3.14: some 30 MB over the network, into the folder that `uv python dir` says");
    if dry_run {
        return Ok(None);
    }
    let mut command = Command::new("uv");
    // Not into a folder on PATH: nobody asked for a new command.
    command.args(["python", "install", "3.14"]).env("UV_PYTHON_INSTALL_BIN", "0");
    run(&mut command)?;
    let mut search = child::own(&["probe", "search"])?;
    let ended = child::run(search.env_remove("SUBPY_PYTHON"), LIMIT).map_err(|error| error.to_string())?;
    let search: Search = serde_json::from_str(&ended.stdout).map_err(|error| error.to_string())?;
    let found = search.found.map_err(|why| format!("uv has installed one, and the search does not find it: {why}"))?;
    remind(&found);
    Ok(Some(found))
}

/// As tools/get-python does it, into the same folder.
fn by_go(dry_run: bool) -> Result<Option<Found>> {
    let folder = cache::folder()?;
    let version = MODULE[0].1.split_once("go-embed-python v0.0.0-").and_then(|(_, rest)| rest.lines().next());
    let version = version.ok_or("go.mod names no version")?;
    let system = match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => "Linux-x86_64",
        ("linux", "aarch64") => "Linux-aarch64",
        ("macos", "x86_64") => "Darwin-x86_64",
        ("macos", "aarch64") => "Darwin-arm64",
        (os, arch) => return Err(format!("there is no CPython for {os} on {arch} in the Go module")),
    };
    let tree = folder.join(format!("embed-{version}-{system}"));
    if let Ok(found) = fitting(&tree) {
        say(&format!("{} is there already", tree.display()));
        remind(&found);
        return Ok(Some(found));
    }
    say(&format!(
        "CPython {version} as a Go module, some 150 MB over the network, checked by the hashes that this command has, into {}",
        tree.display()
    ));
    if dry_run {
        return Ok(None);
    }
    let temporary = folder.join(format!("embed-{version}-{system}.tmp.{}", std::process::id()));
    let made = make(&temporary, &tree);
    let _ = fs::remove_dir_all(&temporary);
    made?;
    let found = fitting(&tree)?;
    remind(&found);
    Ok(Some(found))
}

/// Nobody ever sees half a tree: it is renamed into place.
fn make(temporary: &Path, tree: &Path) -> Result<()> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    let source = temporary.join("source");
    fs::create_dir_all(&source).map_err(told(&source))?;
    for (name, content) in MODULE {
        fs::write(source.join(name), content).map_err(told(&source))?;
    }
    let (extract, new) = (temporary.join("extract"), temporary.join("tree"));
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&extract).arg(".").current_dir(&source);
    // Go's caches would keep 400 MB of what is needed once. The settings of other projects stay out.
    build.env("GOMODCACHE", temporary.join("mod")).env("GOCACHE", temporary.join("build"));
    build.env("GOFLAGS", "-modcacherw -buildvcs=false").env("GOWORK", "off").env("CGO_ENABLED", "0");
    build.env_remove("GOOS").env_remove("GOARCH");
    if let Some(proxy) = proxy() {
        build.env("GOPROXY", proxy);
    }
    run(&mut build)?;
    run(Command::new(&extract).arg(&new))?;
    fitting(&new)?;
    if fitting(tree).is_ok() {
        // Another one was first, and may be in use.
        return Ok(());
    }
    if tree.exists() {
        // It was there and did not fit.
        fs::rename(tree, temporary.join("broken")).map_err(told(tree))?;
    }
    fs::rename(&new, tree).map_err(told(tree))
}

/// What the user's own module cache has is taken from there, as if it were a proxy.
fn proxy() -> Option<String> {
    let ended = child::run(Command::new("go").args(["env", "GOPROXY", "GOMODCACHE"]), LIMIT).ok()?;
    let mut lines = ended.stdout.lines();
    let (proxy, modules) = (lines.next()?, lines.next()?);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let usable = modules.starts_with('/') && modules.chars().all(is_plain);
    Some(if usable { format!("file://{modules}/cache/download,{proxy}") } else { proxy.to_owned() })
}

fn fitting(tree: &Path) -> Result<Found> {
    let python: PathBuf = tree.join("bin/python3");
    probe::search(Some(&python)).found
}

/// With its own messages, on stderr.
fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status.map_err(|error| format!("{program}: {error}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("{program} could not do it ({status}), see above")),
    }
}

/// What was named comes before what is found.
fn remind(found: &Found) {
    let Some(named) = env::var_os("SUBPY_PYTHON").filter(|named| !named.is_empty()) else { return };
    let place = found.executable.as_deref().or(found.library.as_deref()).unwrap_or(Path::new(""));
    if Path::new(&named) != place {
        say(&format!("SUBPY_PYTHON={} comes before it: unset SUBPY_PYTHON", named.display()));
    }
}
