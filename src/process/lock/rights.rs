//! What a process gives up before it is locked: privileges, descriptors, its environment.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::super::system::check;

/// linux/capability.h: capabilities as two words of 32.
#[repr(C)]
struct Header {
    version: u32,
    process: c_int,
}
const VERSION: u32 = 0x2008_0522;
/// Effective, permitted, inheritable, twice.
type Capabilities = [u32; 6];

const CAPABILITIES: u32 = 64;

/// No program gives this process more rights than it has, which are none of root's.
pub fn drop_privileges() -> io::Result<()> {
    // SAFETY: numbers, and structs of the version that is said.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        // Those that are not there, and who may not drop them, has no way to get any.
        for capability in 0..CAPABILITIES {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        let header = Header { version: VERSION, process: 0 };
        let none: Capabilities = [0; 6];
        check(libc::syscall(libc::SYS_capset, &raw const header, &raw const none) as c_int)?;
        // Others of the same user cannot look into it, nor is what it had in memory written to a file.
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0)).map(drop)
    }
}

/// Closes all but these. The first three become /dev/null, unless they are among them.
pub fn close_others(kept: &[BorrowedFd]) -> io::Result<()> {
    let is_kept = |number: c_int| kept.iter().any(|descriptor| descriptor.as_raw_fd() == number);
    let flags = [libc::O_RDONLY, libc::O_WRONLY, libc::O_WRONLY];
    for (number, flags) in (0..).zip(flags).filter(|(number, _)| !is_kept(*number)) {
        // SAFETY: descriptors that nobody counts on any more.
        unsafe {
            let nothing = check(libc::open(c"/dev/null".as_ptr(), flags))?;
            if nothing != number {
                check(libc::dup2(nothing, number))?;
                libc::close(nothing);
            }
        }
    }
    let mut numbers: Vec<c_int> = kept.iter().map(|descriptor| descriptor.as_raw_fd()).filter(|it| *it > 2).collect();
    numbers.sort_unstable();
    let mut first = 3;
    for number in numbers {
        if first < number {
            close(first, number - 1)?;
        }
        first = first.max(number + 1);
    }
    close(first, c_int::MAX)
}

fn close(first: c_int, last: c_int) -> io::Result<()> {
    // SAFETY: descriptors that nobody counts on any more.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } as c_int).map(drop)
}

/// No environment, neither for C nor where the process has got it.
pub fn forget_environment() -> io::Result<()> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let place = place_of_environment(&stat).ok_or(io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel says where it has put the strings of the environment, on this process's stack; nobody has
    // pointers to them when the C library has forgotten them.
    unsafe {
        libc::clearenv();
        if !place.is_empty() {
            ptr::write_bytes(ptr::with_exposed_provenance_mut::<c_void>(place.start).cast::<u8>(), 0, place.len());
        }
    }
    Ok(())
}

/// Fields 50 and 51 of /proc/PID/stat.
fn place_of_environment(stat: &str) -> Option<std::ops::Range<usize>> {
    // The name of the program may have anything in it.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace().skip(47);
    let mut number = || fields.next()?.parse().ok();
    Some(number()?..number()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_found() {
        let fields: Vec<String> = (3..53).map(|field| field.to_string()).collect();
        assert_eq!(place_of_environment(&format!("1 (a) b) {}", fields.join(" "))), Some(50..51));
        assert_eq!(place_of_environment("1 (a) 3 4"), None);
    }
}
