//! The folder of a check. It goes when the check ends, also by a signal; one that was killed leaves it to the next check.
//!
//! Whoever makes one holds a lock on it, which ends with the process, however that ends. The number of a process would say less:
//! another may have it by then, and in a container that shares the cache it is another's.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::{geteuid, mkdtemp};

use crate::{Result, cache, say, scratch};

const PREFIX: &str = "subpy-check-";
/// With --keep it is left on purpose.
const KEPT: &str = "subpy-kept-";

pub struct Folder {
    pub path: PathBuf,
    keep: bool,
    _lock: Option<Flock<File>>,
}

impl Folder {
    pub fn new(keep: bool) -> Result<Folder> {
        let parent = cache::folder().ok().filter(|folder| cache::unwritable(folder).is_none());
        let parent = parent.unwrap_or_else(std::env::temp_dir);
        fs::create_dir_all(&parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        remove_left(&parent);
        Folder::below(&parent, keep)
    }

    fn below(parent: &Path, keep: bool) -> Result<Folder> {
        let name = format!("{}XXXXXX", if keep { KEPT } else { PREFIX });
        loop {
            // One that nobody else has made, or can look into: what is in it is executed.
            let path = mkdtemp(&parent.join(&name))
                .map_err(|error| format!("no folder can be made in {}: {}", parent.display(), error.desc()))?;
            if !keep {
                scratch::remember(path.clone());
            }
            let lock = open(&path).and_then(|folder| Flock::lock(folder, FlockArg::LockExclusive).ok());
            // Before it was locked, another check may have taken it for one that is left. The lock was had when it was gone.
            if path.is_dir() {
                return Ok(Folder { path, keep, _lock: lock });
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        match self.keep {
            true => say(&format!("the environments stay in {}", self.path.display())),
            false => scratch::remove_all(),
        }
    }
}

/// The folder itself, never what a link leads to.
fn open(path: &Path) -> Option<File> {
    let flags = (OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
    OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

/// Removes what checks have left that were killed.
fn remove_left(parent: &Path) {
    if !is_of_this_user_alone(parent) {
        return;
    }
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_one && let Some(_lock) = left(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Nobody else can put something in the place of what this user has there.
fn is_of_this_user_alone(parent: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let is_safe = |found: fs::Metadata| {
        [0, geteuid().as_raw()].contains(&found.uid())
            && (found.mode() & OTHERS_WRITE == 0 || found.mode() & STICKY != 0)
    };
    fs::metadata(parent).is_ok_and(is_safe)
}

/// The lock of one that is this user's, as `Folder` makes it, and that nobody has any more.
fn left(path: &Path) -> Option<Flock<File>> {
    let folder = open(path)?;
    let found = folder.metadata().ok()?;
    if found.uid() != geteuid().as_raw() || found.mode() & 0o7777 != 0o700 {
        return None;
    }
    let lock = Flock::lock(folder, FlockArg::LockExclusiveNonblock).ok()?;
    let there = fs::symlink_metadata(path).ok()?;
    ((there.dev(), there.ino()) == (found.dev(), found.ino())).then_some(lock)
}
