//! Files of memory, and where they are mapped. Nobody can make one of them shorter: reading where a file ends too early
//! would end the process.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use super::system::check;

const SIZE_STAYS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

/// Who may write to a new file, beside whoever has it mapped already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    All,
    /// Nobody else.
    None,
}

/// So much is allocated at once: a signal makes the kernel give back what it has allocated in one call.
const PIECE: usize = 2 << 20;

/// A new file, which can be sealed.
pub fn memory_file() -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Some systems insist on it (vm.memfd_noexec), and kernels before 6.3 do not know it.
    for flags in [flags | libc::MFD_NOEXEC_SEAL, flags] {
        // SAFETY: the name ends with NUL.
        match check(unsafe { libc::memfd_create(c"subpy".as_ptr(), flags) }) {
            // SAFETY: it is new, and nobody else knows it.
            Ok(file) => return Ok(unsafe { OwnedFd::from_raw_fd(file) }),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EINVAL))
}

/// So many bytes of zeros, all of which are there: whoever writes to them later is not ended because there are none.
/// They are mapped here, and cannot become fewer.
pub fn zeros(len: usize, writers: Writers) -> io::Result<(Mapping, OwnedFd)> {
    let file = memory_file()?;
    allocate(&file, len)?;
    let mapping = Mapping::new(&file, len, Access::Write)?;
    seal(&file, SIZE_STAYS)?;
    if writers == Writers::None {
        seal(&file, libc::F_SEAL_FUTURE_WRITE)?;
    }
    seal(&file, libc::F_SEAL_SEAL)?;
    Ok((mapping, file))
}

/// A copy of memory that nobody can change.
///
/// # Safety
/// There must be so many bytes to read. Others may write to them meanwhile.
pub unsafe fn copy(start: *const u8, len: usize) -> io::Result<OwnedFd> {
    leave_some(len)?;
    let file = memory_file()?;
    let mut done = 0;
    while done < len {
        // SAFETY: promised by the caller; the kernel reads there.
        let written = unsafe { libc::write(file.as_raw_fd(), start.add(done).cast(), len - done) };
        match written {
            written if written > 0 => done += written.unsigned_abs(),
            0 => return Err(io::ErrorKind::StorageFull.into()),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    seal(&file, SIZE_STAYS | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL)?;
    Ok(file)
}

/// What another process has copied: so many bytes, of which this process may change its own. An error when it is not
/// what `copy` makes, or does not have all of them: then reading it might end this process.
pub fn open_copy(file: &OwnedFd, len: usize) -> io::Result<Mapping> {
    const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_WRITE;
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    // SAFETY: structs of numbers, which are written to; what is no memory file has no seals.
    unsafe {
        let seals = check(libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS))?;
        let mut stat: libc::stat = std::mem::zeroed();
        check(libc::fstat(file.as_raw_fd(), &raw mut stat))?;
        let mut system: libc::statfs = std::mem::zeroed();
        check(libc::fstatfs(file.as_raw_fd(), &raw mut system))?;
        if seals & SEALS != SEALS {
            return Err(wrong("somebody may change it"));
        }
        // There are files of huge pages, too: of those there may be none left for what is written to here.
        if i128::from(system.f_type) != i128::from(libc::TMPFS_MAGIC) {
            return Err(wrong("it is not of ordinary memory"));
        }
        let has = |bytes: i64| usize::try_from(bytes).is_ok_and(|bytes| bytes >= len);
        if !has(stat.st_size) || !has(stat.st_blocks.saturating_mul(512)) {
            return Err(wrong("it does not have as many bytes as it says"));
        }
    }
    Mapping::new(file, len, Access::Own)
}

fn seal(file: &OwnedFd, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: a system call without pointers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(drop)
}

fn allocate(file: &OwnedFd, len: usize) -> io::Result<()> {
    leave_some(len)?;
    let mut done = 0;
    while done < len {
        let piece = PIECE.min(len - done);
        // SAFETY: a system call without pointers.
        let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, done as libc::off_t, piece as libc::off_t) };
        match check(result) {
            Ok(_) => done += piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The kernel would rather end a process than refuse memory of this kind, so what it does not have is refused here.
fn leave_some(len: usize) -> io::Result<()> {
    if isize::try_from(len).is_err() {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    if len < PIECE {
        return Ok(());
    }
    let about = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = about.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()
    };
    let free = kib("MemAvailable:").map(|free| free.saturating_add(kib("SwapFree:").unwrap_or(0)).saturating_mul(1024));
    if free.is_some_and(|free| len > free) { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
}

/// How a file is mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    /// What is written is seen by nobody else.
    Own,
}

/// Where a file is mapped, until this is dropped.
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it belongs to no thread, and nothing here reads it or writes to it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// At least one byte.
    pub fn new(file: &impl AsRawFd, len: usize, access: Access) -> io::Result<Mapping> {
        let (protection, how) = match access {
            Access::Read => (libc::PROT_READ, libc::MAP_SHARED),
            Access::Write => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED),
            Access::Own => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE),
        };
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, protection, how, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).expect("no mapping is at address 0 unless it is asked for");
        Ok(Mapping { start, len })
    }

    /// Where it begins.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// How far behind its begin so many bytes from this address on lie. None: they do not lie in it.
    pub fn offset_of(&self, address: usize, len: usize) -> Option<usize> {
        let offset = address.checked_sub(self.start.as_ptr().addr())?;
        (offset <= self.len && len <= self.len - offset).then_some(offset)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and whoever uses it keeps it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A file that another process has made so that this one may see it.
pub fn open(file: BorrowedFd, len: usize, writable: bool) -> io::Result<Mapping> {
    Mapping::new(&file, len, if writable { Access::Write } else { Access::Read })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::fd::AsFd;

    fn bytes(mapping: &Mapping) -> &[u8] {
        // SAFETY: it is mapped, and nobody writes to it here.
        unsafe { std::slice::from_raw_parts(mapping.start(), mapping.len()) }
    }

    /// What somebody who has the file may try. How much of it was done.
    fn attack(file: &OwnedFd) -> usize {
        let number = file.as_raw_fd();
        // SAFETY: system calls on a file; none of them touches memory.
        let results = unsafe {
            [
                libc::ftruncate(number, 0),
                libc::ftruncate(number, 1 << 30),
                libc::fcntl(number, libc::F_ADD_SEALS, libc::F_SEAL_WRITE),
            ]
        };
        results.iter().filter(|result| **result == 0).count()
    }

    #[test]
    fn both_see_it_and_nobody_takes_it_away() {
        let len = 3 * PIECE + 5;
        let (here, file) = zeros(len, Writers::All).unwrap();
        let there = open(file.as_fd(), len, true).unwrap();
        assert!(bytes(&there).iter().all(|byte| *byte == 0));
        // SAFETY: within the mappings.
        unsafe {
            here.start().write(1);
            there.start().add(len - 1).write(2);
        }
        assert_eq!((bytes(&there)[0], bytes(&here)[len - 1]), (1, 2));
        assert_eq!(attack(&file), 0);
        assert_eq!(
            (here.offset_of(here.start().addr(), len), here.offset_of(here.start().addr() + 1, len)),
            (Some(0), None)
        );
        assert_eq!(here.offset_of(here.start().addr() - 1, 1), None);
        assert_eq!(here.offset_of(here.start().addr() + len, 0), Some(len));
    }

    #[test]
    fn only_who_has_made_it_writes_to_what_is_read_only() {
        let (here, file) = zeros(100, Writers::None).unwrap();
        assert!(open(file.as_fd(), 100, true).is_err());
        let there = open(file.as_fd(), 100, false).unwrap();
        // SAFETY: within the mapping.
        unsafe { here.start().write(7) };
        assert_eq!(bytes(&there)[0], 7);
        // SAFETY: one byte to read.
        assert!(unsafe { libc::pwrite(file.as_raw_fd(), here.start().cast(), 1, 0) } < 0);
        assert_eq!(attack(&file), 0);
    }

    #[test]
    fn copies_are_what_they_were_and_the_readers_own() {
        let original: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        // SAFETY: the vector's bytes.
        let file = unsafe { copy(original.as_ptr(), original.len()) }.unwrap();
        let [one, other] = [(); 2].map(|()| open_copy(&file, original.len()).unwrap());
        assert_eq!(bytes(&one), original);
        // SAFETY: within the mapping.
        unsafe { one.start().write(99) };
        assert_eq!((bytes(&one)[0], bytes(&other)[0]), (99, 0));
        assert_eq!(attack(&file), 0);
        assert!(open_copy(&file, original.len() + 5000).is_err());
    }

    #[test]
    fn what_could_end_the_reader_is_refused() {
        const LEN: usize = 1 << 20;
        let refused = |file: &OwnedFd, why: &str| {
            let error = open_copy(file, LEN).err().expect("refused");
            assert!(error.to_string().contains(why), "{error}");
        };
        let write = |file: &OwnedFd, len: usize| {
            let zeros = vec![0_u8; len];
            // SAFETY: the vector's bytes.
            assert_eq!(unsafe { libc::write(file.as_raw_fd(), zeros.as_ptr().cast(), len) }, len as isize);
        };
        let all = SIZE_STAYS | libc::F_SEAL_WRITE;
        for seals in [0, SIZE_STAYS, libc::F_SEAL_WRITE, SIZE_STAYS | libc::F_SEAL_FUTURE_WRITE] {
            let file = memory_file().unwrap();
            write(&file, LEN);
            seal(&file, seals).unwrap();
            refused(&file, "somebody may change it");
        }
        // Nothing, too little, and a size of which there is not all.
        let (empty, short, sparse) = (memory_file().unwrap(), memory_file().unwrap(), memory_file().unwrap());
        write(&short, LEN - 1);
        write(&sparse, LEN / 2);
        // SAFETY: a system call without pointers.
        assert_eq!(unsafe { libc::ftruncate(sparse.as_raw_fd(), LEN as libc::off_t) }, 0);
        for file in [empty, short, sparse] {
            seal(&file, all).unwrap();
            refused(&file, "does not have as many bytes");
        }
        let pipe = super::super::system::pipe().unwrap().0;
        let file = OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap());
        assert!(open_copy(&pipe, LEN).is_err() && open_copy(&file, LEN).is_err());
    }

    #[test]
    fn there_is_not_so_much() {
        for len in [usize::MAX, isize::MAX as usize, 1 << 50] {
            assert_eq!(zeros(len, Writers::All).err().map(|error| error.kind()), Some(io::ErrorKind::OutOfMemory));
        }
    }
}
