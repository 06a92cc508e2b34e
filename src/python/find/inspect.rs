//! Whether one candidate fits, and what belongs to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names::{
    MINORS, check_name, check_version, dotted, file_name, is_library, is_named_free_threaded, library_name,
    named_version, names,
};
use super::{INSTALL, Installation, Refused, elf, pe, probe};
use crate::platform::real_path;

/// How long an executable may take to tell about itself.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// What the executable, folder or libpython at `path` offers, or why it does not fit.
pub(super) fn inspect(path: &Path) -> Result<Installation, Refused> {
    // The folder of the process may change before it is used, and CPython makes wrong prefixes of relative ones.
    let path = std::path::absolute(path)?;
    let kind = fs::metadata(&path)?.file_type();
    if !kind.is_dir() && !kind.is_file() {
        return Err("it is neither a file nor a folder".into());
    }
    match python_in(&path) {
        None if cfg!(windows) => Err("there is no python.exe in this folder".into()),
        None => Err("there is no bin/python in this folder".into()),
        Some(path) if is_library(&path) => inspect_library(&path),
        Some(path) => inspect_executable(&path),
    }
}

/// The python in a folder; a file itself.
pub(super) fn python_in(path: &Path) -> Option<PathBuf> {
    if !path.is_dir() {
        return Some(path.to_owned());
    }
    // On Windows, an installation has it at its top, and an environment does not.
    let folders = if cfg!(windows) { ["", "Scripts"].as_slice() } else { &["bin"] };
    let in_folder =
        |folder: &&str| names().iter().map(|name| path.join(folder).join(name)).find(|python| python.is_file());
    folders.iter().find_map(in_folder)
}

/// The version that is in the file of a library.
fn version_in(library: &Path) -> Result<(u8, u8, u8), Refused> {
    if cfg!(windows) { pe::python_version(library) } else { elf::python_version(library) }
}

fn inspect_executable(python: &Path) -> Result<Installation, Refused> {
    let real = real_path(python)?;
    check_name(&real)?;
    match probe::run(python, PROBE_LIMIT) {
        Ok(report) => from_report(&report),
        // Its libpython is where its linker does not look, but is perhaps where we do.
        Err(Refused::Unfit(reason)) if reason.contains("libpython") => {
            beside(python, &real)?.ok_or(Refused::Unfit(reason))
        }
        Err(refused) => Err(refused),
    }
}

pub(super) fn from_report(report: &probe::Report) -> Result<Installation, Refused> {
    if report.implementation != "cpython" {
        return Err(format!("it is {} and not CPython", report.implementation).into());
    }
    check_version(report.version, report.free_threaded)?;
    let prefix = real_path(&report.base_prefix).unwrap_or_else(|_| report.base_prefix.clone());
    if !has_stdlib(&prefix, report.version) {
        return Err(no_stdlib(&prefix, report.version).into());
    }
    let real = real_path(&report.executable).ok().filter(|real| real.is_file());
    let library = library_of(report, &prefix, real.as_deref())?;
    let in_environment = report.prefix != report.base_prefix && real.is_some();
    Ok(Installation {
        library,
        executable: if in_environment { Some(report.executable.clone()) } else { real },
        prefix,
        version: report.version,
    })
}

/// The libpython that belongs to an executable. What is found is compared by version, because the folder that a build
/// was configured for can be one of another machine, or hold the library of another build.
fn library_of(report: &probe::Report, prefix: &Path, executable: Option<&Path>) -> Result<PathBuf, Refused> {
    let (major, minor, _) = report.version;
    let is_shared = report.soname.contains(".so");
    let usual = library_name(major, minor);
    let name = if is_shared { file_name(Path::new(&report.soname)) } else { usual };
    let folders = library_folders(report, prefix, executable);
    let in_folders = folders.iter().map(|folder| folder.join(&name));
    let mut unfit = Vec::new();
    for library in std::iter::once(report.mapped.clone()).chain(in_folders).filter(|library| library.is_file()) {
        let library = real_library(&library)?;
        match version_in(&library) {
            Ok(version) if version == report.version => return Ok(library),
            Ok(version) => unfit.push(format!("{} is of {}", library.display(), dotted(version))),
            Err(Refused::Unfit(reason)) => unfit.push(format!("{}: {reason}", library.display())),
            Err(unseen) => return Err(unseen),
        }
    }
    if !unfit.is_empty() {
        let version = dotted(report.version);
        return Err(format!("it has no libpython of its version {version}: {}", unfit.join("; ")).into());
    }
    if is_shared {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(format!(
            "its {name} is not there (looked in {}); install it (Debian, Ubuntu: libpython{major}.{minor}), or: {INSTALL}",
            folders.join(", ")
        )
        .into());
    }
    if cfg!(windows) {
        return Err(format!("its {name} is not there; install another one: {INSTALL}").into());
    }
    Err(format!("it was built without a shared libpython; rebuild with --enable-shared, or: {INSTALL}").into())
}

/// Where builds put it; some at the top.
fn library_folders(report: &probe::Report, prefix: &Path, executable: Option<&Path>) -> Vec<PathBuf> {
    let mut folders = vec![prefix.join("lib"), prefix.to_owned()];
    if !report.multiarch.is_empty() {
        folders.push(prefix.join("lib").join(&report.multiarch));
    }
    folders.push(report.library_folder.clone());
    folders.extend(executable.and_then(|python| Some(python.parent()?.parent()?.join("lib"))));
    folders.retain(|folder| folder.is_absolute());
    folders.dedup();
    folders
}

/// For an executable that cannot be run: what is in the folder above it.
fn beside(python: &Path, real: &Path) -> Result<Option<Installation>, Refused> {
    let Some(top) = real.parent().and_then(Path::parent) else { return Ok(None) };
    let folders = [top.join("lib"), top.to_owned()];
    let names = MINORS.map(|minor| library_name(3, minor));
    let candidates = names.flat_map(|name| folders.iter().map(move |folder| folder.join(&name)).collect::<Vec<_>>());
    for library in candidates.filter(|path| path.is_file()) {
        match inspect_library(&library) {
            Ok(mut found) => {
                let in_environment = python.parent().and_then(Path::parent).map(|top| top.join("pyvenv.cfg").is_file());
                found.executable = Some(if in_environment == Some(true) { python.to_owned() } else { real.to_owned() });
                return Ok(Some(found));
            }
            Err(Refused::Unfit(_)) => {}
            Err(unseen) => return Err(unseen),
        }
    }
    Ok(None)
}

fn inspect_library(path: &Path) -> Result<Installation, Refused> {
    let library = real_library(path)?;
    let name = file_name(&library);
    if cfg!(windows) && name.eq_ignore_ascii_case("python3.dll") {
        return Err("it is only the stub for the limited API; name the python314.dll beside it".into());
    }
    if name.starts_with("libpython3.so") {
        return Err("it is only the stub for the limited API; name the libpython3.14.so.1.0 beside it".into());
    }
    check_name(&library)?;
    let version = version_in(&library)?;
    check_version(version, is_named_free_threaded(&name))?;
    Ok(around(&library, version)?)
}

/// What the folders above the file of a CPython offer.
pub(super) fn around(file: &Path, version: (u8, u8, u8)) -> Result<Installation, String> {
    let folder = file.parent().unwrap_or(file);
    let prefix = folder.ancestors().find(|folder| has_stdlib(folder, version));
    let prefix = prefix.ok_or_else(|| no_stdlib(folder, version))?;
    let (library, executable) = (file.to_owned(), executable_in(prefix, version));
    Ok(Installation { library, executable, prefix: prefix.to_owned(), version })
}

/// Not run, and not checked to be runnable: without any, CPython would take the first `python3` on `PATH` for its own.
fn executable_in(prefix: &Path, (major, minor, _): (u8, u8, u8)) -> Option<PathBuf> {
    let candidates = match cfg!(windows) {
        true => vec!["python.exe".to_owned()],
        false => vec![format!("bin/python{major}.{minor}"), format!("bin/python{major}")],
    };
    let mut candidates = candidates.iter().filter_map(|name| real_path(&prefix.join(name)).ok());
    candidates.find(|real| real.is_file() && named_version(real).is_none_or(|named| named == (major, minor)))
}

/// Without links, and with the full name where there is the short one for linkers beside it.
fn real_library(path: &Path) -> Result<PathBuf, Refused> {
    let real = real_path(path)?;
    let full = real.with_file_name(format!("{}.1.0", file_name(&real)));
    Ok(if file_name(&real).ends_with(".so") && full.is_file() { full } else { real })
}

/// The landmark by which CPython finds its standard library. Fedora and openSUSE keep it in `lib64`.
fn has_stdlib(prefix: &Path, (major, minor, _): (u8, u8, u8)) -> bool {
    if cfg!(windows) {
        return prefix.join("Lib").join("os.py").is_file();
    }
    ["lib", "lib64"].iter().any(|lib| prefix.join(format!("{lib}/python{major}.{minor}/os.py")).is_file())
}

fn no_stdlib(folder: &Path, (major, minor, _): (u8, u8, u8)) -> String {
    let place = folder.display();
    if cfg!(windows) {
        return format!(r"its standard library is missing: there is no Lib\os.py in or above {place}");
    }
    format!("its standard library is missing: there is no lib/python{major}.{minor}/os.py in or above {place}")
}
