//! How much memory a process uses.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// /proc/self/status, which cannot be opened any more when the process is locked.
#[derive(Debug)]
pub struct Usage(File);

impl AsFd for Usage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Usage {
    pub fn open() -> io::Result<Usage> {
        File::open("/proc/self/status").map(Usage)
    }

    /// The bytes that are its own now, and the most that were.
    pub fn read(&self) -> io::Result<(u64, u64)> {
        let mut text = [0; 4096];
        let len = self.0.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..len]);
        let field = |name| {
            let kib = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
            kib.map(|kib: u64| kib * 1024).ok_or(io::ErrorKind::InvalidData)
        };
        let used = field("RssAnon:")?;
        // What is of files was about as much then.
        let others = field("RssFile:")? + field("RssShmem:")?;
        Ok((used, field("VmHWM:")?.saturating_sub(others).max(used)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_seen_and_its_peak_stays() {
        let usage = Usage::open().unwrap();
        let (before, _) = usage.read().unwrap();
        let much = std::hint::black_box(vec![1_u8; 64 << 20]);
        let (meanwhile, _) = usage.read().unwrap();
        drop(much);
        let (_, peak) = usage.read().unwrap();
        assert!(meanwhile >= before + (60 << 20) && peak >= before + (60 << 20), "{before} {meanwhile} {peak}");
    }
}
