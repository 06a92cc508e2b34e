//! Versions, and how they are written in the names of files.

use std::ffi::OsStr;
use std::path::Path;

/// Has `PyUnstable_ThreadState_SetStackProtection`, which 3.14.0 lacks.
pub(super) const OLDEST: (u8, u8, u8) = (3, 14, 1);
/// The minor versions whose names are looked for. A later one is still found as `python3`.
pub(super) const MINORS: std::ops::RangeInclusive<u8> = 14..=19;

pub(super) fn check_version(version: (u8, u8, u8), free_threaded: bool) -> Result<(), String> {
    if free_threaded {
        return Err("it is a free-threaded build (Py_GIL_DISABLED); subpy needs one with the GIL".to_owned());
    }
    match version {
        (3, 14, 0) => Err(format!("CPython 3.14.0 lacks API that came with {}, the oldest that works", dotted(OLDEST))),
        version if version < OLDEST => Err(too_old(&dotted(version))),
        _ => Ok(()),
    }
}

/// Most Pythons on a machine are too old by their names, which saves running them.
pub(super) fn check_name(file: &Path) -> Result<(), String> {
    match named_version(file) {
        Some((major, minor)) if (major, minor) < (OLDEST.0, OLDEST.1) => Err(too_old(&format!("{major}.{minor}"))),
        _ => Ok(()),
    }
}

fn too_old(version: &str) -> String {
    format!("CPython {version} is too old, {} or newer is needed", dotted(OLDEST))
}

pub(super) fn dotted((major, minor, patch): (u8, u8, u8)) -> String {
    format!("{major}.{minor}.{patch}")
}

/// 3.14 from `python3.14`, `libpython3.14d.so.1.0`; on Windows from `python314.dll`, too.
pub(super) fn named_version(path: &Path) -> Option<(u8, u8)> {
    let name = file_name(path);
    if cfg!(windows) && is_library(path) {
        let digits = name.to_ascii_lowercase();
        let digits = digits.strip_prefix("python3")?.trim_end_matches(".dll").trim_end_matches("t");
        return Some((3, digits.parse().ok()?));
    }
    let name = name.strip_prefix("lib").unwrap_or(&name);
    let (major, minor, _) = leading_version(name.strip_prefix("python")?)?;
    Some((major, minor))
}

/// `libpython3.14t.so.1.0`, `libpython3.14td.so.1.0`; on Windows `python314t.dll`.
pub(super) fn is_named_free_threaded(library: &str) -> bool {
    if cfg!(windows) {
        return library.to_ascii_lowercase().ends_with("t.dll");
    }
    let rest = library
        .trim_start_matches("libpython")
        .trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
    rest.starts_with('t')
}

/// 3.14.6 from `3.14.6-linux`, and 3.14.0 from `3.14-dev`.
pub(super) fn leading_version(text: &str) -> Option<(u8, u8, u8)> {
    let end = text.find(|letter: char| letter != '.' && !letter.is_ascii_digit()).unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
}

/// The names of executables, the best first.
pub(super) fn names() -> Vec<String> {
    let suffix = std::env::consts::EXE_SUFFIX;
    let mut names: Vec<String> = MINORS.map(|minor| format!("python3.{minor}{suffix}")).collect();
    names.extend([format!("python3{suffix}"), format!("python{suffix}")]);
    names
}

/// The name of a library: of its newest build, where there are several.
pub(super) fn library_name(major: u8, minor: u8) -> String {
    match cfg!(windows) {
        true => format!("python{major}{minor}.dll"),
        false => format!("libpython{major}.{minor}.so.1.0"),
    }
}

pub(super) fn is_library(path: &Path) -> bool {
    let name = file_name(path);
    if cfg!(windows) {
        return name.to_ascii_lowercase().ends_with(".dll");
    }
    name.starts_with("libpython") || name.ends_with(".so") || name.contains(".so.")
}
