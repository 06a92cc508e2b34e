//! The folder in which the command and tools/get-python keep what they have fetched, and where the search looks.

use std::env;
use std::path::{Path, PathBuf};

/// `SUBPY_CACHE`, or below the cache of the user. As in tools/get-python and in the search, but for what is relative, which the
/// search does not follow.
pub fn folder() -> Result<PathBuf, String> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let below = |name: &str, folder: &str| named(name).map(|path| path.join(folder));
    let folder =
        named("SUBPY_CACHE").or_else(|| below("XDG_CACHE_HOME", "subpy")).or_else(|| below("HOME", ".cache/subpy"));
    match folder {
        Some(folder) if folder.is_absolute() => Ok(folder),
        Some(folder) => Err(format!("the cache {} is relative, so the search does not look there", folder.display())),
        None => Err("HOME is not set, and neither is SUBPY_CACHE".to_owned()),
    }
}

/// Why nothing can be written there, if so.
pub fn unwritable(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    if !there.is_dir() {
        return Some(format!("{} is not a folder", there.display()));
    }
    let access = nix::unistd::access(there, nix::unistd::AccessFlags::W_OK);
    access.err().map(|error| format!("{} cannot be written to: {}", there.display(), error.desc()))
}
