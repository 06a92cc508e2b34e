//! `subpy python install`: fetches a CPython through what the user has, to where the search finds it. It says what it does before it
//! does it, and nothing else in the command fetches one.
//!
//! | file | what |
//! |---|---|
//! | `remedy` | what to do when it could not be fetched |

mod remedy;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::child::{self, End};
use crate::cli::{Install, Way};
use crate::probe::{self, Found, Search};
use crate::{Result, cache, print, say, scratch};
use remedy::remedy;

/// Of tools/python-embed: which module, and the hashes of all that belongs to it.
const MODULE: [(&str, &str); 3] = [
    ("go.mod", include_str!("../../../tools/python-embed/go.mod")),
    ("go.sum", include_str!("../../../tools/python-embed/go.sum")),
    ("main.go", include_str!("../../../tools/python-embed/main.go")),
];

const LIMIT: Duration = Duration::from_secs(120);
/// Networks may be slow.
const FETCH_LIMIT: Duration = Duration::from_secs(3600);

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
    scratch::end_all_on_signals()?;
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
            Err(Failed { why, remedy }) => say(&format!("{why}\n  mend: {remedy}")),
        }
    }
    Err("no CPython was installed, see above".to_owned())
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

/// Why it was not fetched, and a line that mends it.
struct Failed {
    why: String,
    remedy: String,
}

/// Its own folder is one that the search looks in.
fn by_uv(dry_run: bool) -> Result<Option<Found>, Failed> {
    say("uv python install 3.14: some 30 MB over the network, into the folder that `uv python dir` says");
    if dry_run {
        return Ok(None);
    }
    let mut command = Command::new("uv");
    // Not into a folder on PATH: nobody asked for a new command.
    command.args(["python", "install", "3.14"]).env("UV_PYTHON_INSTALL_BIN", "0");
    run(&mut command).map_err(|failed| {
        let place = child::run(Command::new("uv").args(["python", "dir"]), LIMIT);
        let place = place.map(|ended| ended.stdout.trim().to_owned()).ok().filter(|place| place.starts_with('/'));
        failed.told(Way::Uv, Path::new(place.as_deref().unwrap_or("the folder of `uv python dir`")))
    })?;
    let search = || -> Result<Search> {
        let mut search = child::own(&["probe", "search"])?;
        let ended = child::run(search.env_remove("SUBPY_PYTHON"), LIMIT).map_err(|error| error.to_string())?;
        serde_json::from_str(&ended.stdout).map_err(|error| error.to_string())
    };
    let found = search().and_then(|search| search.found).map_err(|why| Failed {
        why: format!("uv has installed one, and the search does not find it: {why}"),
        remedy: "export SUBPY_PYTHON=\"$(uv python find 3.14)\"".to_owned(),
    })?;
    remind(&found);
    Ok(Some(found))
}

/// As tools/get-python does it, into the same folder.
fn by_go(dry_run: bool) -> Result<Option<Found>, Failed> {
    let told = |folder: &Path| {
        let folder = folder.to_owned();
        move |why: String| Failed { remedy: remedy(Way::Go, &why, &folder), why }
    };
    let folder = cache::folder()
        .map_err(|why| Failed { why, remedy: "export SUBPY_CACHE=/a/folder/that/can/be/written/to".to_owned() })?;
    let tree = folder.join(tree_name().map_err(told(&folder))?);
    let is_there = || {
        let found = fitting(&tree).ok()?;
        say(&format!("{} is there already", tree.display()));
        remind(&found);
        Some(found)
    };
    if let Some(found) = is_there() {
        return Ok(Some(found));
    }
    say(&format!(
        "CPython {} as a Go module, some 150 MB over the network, checked by the hashes that this command has, into {}",
        version().unwrap_or_default(),
        tree.display()
    ));
    if dry_run {
        return Ok(None);
    }
    fs::create_dir_all(&folder).map_err(|error| told(&folder)(format!("{}: {error}", folder.display())))?;
    let lock = lock(&tree);
    if let Some(found) = is_there() {
        return Ok(Some(found));
    }
    if lock.is_some() {
        remove_left(&tree);
    }
    let temporary = beside(&tree, &format!(".tmp.{}", std::process::id()));
    scratch::remember(temporary.clone());
    let made = make(&temporary, &tree);
    scratch::remove_all();
    made.map_err(|failed| failed.told(Way::Go, &folder))?;
    let found = fitting(&tree).map_err(told(&folder))?;
    remind(&found);
    Ok(Some(found))
}

fn version() -> Option<&'static str> {
    MODULE[0].1.split_once("go-embed-python v0.0.0-").and_then(|(_, rest)| rest.lines().next())
}

/// Of the folder in the cache.
fn tree_name() -> Result<String> {
    let system = match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => "Linux-x86_64",
        ("linux", "aarch64") => "Linux-aarch64",
        ("macos", "x86_64") => "Darwin-x86_64",
        ("macos", "aarch64") => "Darwin-arm64",
        (os, arch) => return Err(format!("there is no CPython for {os} on {arch} in the Go module")),
    };
    Ok(format!("embed-{}-{system}", version().ok_or("go.mod names no version")?))
}

/// A path with this behind it.
fn beside(tree: &Path, suffix: &str) -> PathBuf {
    let mut path = tree.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// That of tools/get-python: whoever has it is the only one that makes this tree. None where there are no locks: then the first one
/// wins.
fn lock(tree: &Path) -> Option<Flock<File>> {
    let path = beside(tree, ".lock");
    let file = File::options().append(true).create(true).open(&path).ok()?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Some(lock),
        Err((file, Errno::EWOULDBLOCK)) => {
            say(&format!("waiting for another one that holds {}", path.display()));
            Flock::lock(file, FlockArg::LockExclusive).ok()
        }
        Err(_) => None,
    }
}

/// What was being made by one that was killed. It has the lock no more.
fn remove_left(tree: &Path) {
    let (Some(folder), Some(name)) = (tree.parent(), tree.file_name().and_then(|name| name.to_str())) else { return };
    let begins = format!("{name}.tmp.");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&begins)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Nobody ever sees half a tree: it is renamed into place.
fn make(temporary: &Path, tree: &Path) -> Result<(), Refused> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Refused::new(format!("{path}: {error}"))
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
    fitting(&new).map_err(Refused::new)?;
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

/// What has failed, and all that was said then.
struct Refused {
    why: String,
    said: String,
}

impl Refused {
    fn new(why: String) -> Refused {
        Refused { said: why.clone(), why }
    }

    fn told(self, way: Way, place: &Path) -> Failed {
        Failed { remedy: remedy(way, &self.said, place), why: self.why }
    }
}

/// With its own messages, on stderr.
fn run(command: &mut Command) -> Result<(), Refused> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ended = child::run_seen(command, FETCH_LIMIT).map_err(|error| Refused::new(format!("{program}: {error}")))?;
    match ended.end {
        End::Exited(0) => Ok(()),
        end => {
            let said = format!("{}\n{}", ended.stdout, ended.stderr);
            Err(Refused { why: format!("{program} could not do it ({end}), see above"), said })
        }
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
