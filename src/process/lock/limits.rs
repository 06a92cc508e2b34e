//! How much of the machine a process can use.

use std::io;
use std::os::raw::c_int;
use std::ptr;
use std::time::Duration;

use super::super::system::check;

/// What is None is not limited.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes, beside those that it has now. Stacks of threads count whole; what is shared with the host does not.
    pub memory: Option<u64>,
    /// Time on processors, of all threads together.
    pub cpu: Option<Duration>,
    /// Open files.
    pub descriptors: Option<u64>,
    /// How long a file can become that it writes.
    pub file: Option<u64>,
}

/// Sets them for this process, for good: with /proc/self to be read, so before a lock.
pub fn limit(limits: &Limits) -> io::Result<()> {
    // What is in memory stays there.
    set(libc::RLIMIT_CORE, 0, 0)?;
    if let Some(most) = limits.descriptors {
        set(libc::RLIMIT_NOFILE, most, most)?;
    }
    if let Some(most) = limits.file {
        // SAFETY: a signal that would end the process, where write() says what is wrong.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        set(libc::RLIMIT_FSIZE, most, most)?;
    }
    if let Some(more) = limits.memory {
        let most = data()?.saturating_add(more);
        set(libc::RLIMIT_DATA, most, most)?;
    }
    limits.cpu.map_or(Ok(()), limit_cpu)?;
    // Who is in the way when the machine has no memory left: this one before its host. Not everybody may say so.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

fn set(what: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a struct that is read.
    check(unsafe { libc::setrlimit(what, &limit) }).map(drop)
}

/// What RLIMIT_DATA counts, now.
fn data() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.map(|kib: u64| kib * 1024).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// SIGXCPU when it is over, and SIGKILL at the next full second: RLIMIT_CPU counts in seconds, and code can ignore the
/// first, but set neither timer nor limit when it is locked.
fn limit_cpu(limit: Duration) -> io::Result<()> {
    // SAFETY: structs of numbers, filled in before they are read.
    unsafe {
        let mut used: libc::timespec = std::mem::zeroed();
        check(libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut used))?;
        let used = Duration::new(used.tv_sec as u64, used.tv_nsec as u32);
        let last = used.saturating_add(limit).as_secs().saturating_add(1);
        set(libc::RLIMIT_CPU, last, last)?;
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGXCPU;
        let mut timer: libc::timer_t = ptr::null_mut();
        check(libc::timer_create(libc::CLOCK_PROCESS_CPUTIME_ID, &mut event, &mut timer))?;
        let mut after: libc::itimerspec = std::mem::zeroed();
        after.it_value.tv_sec = limit.as_secs().try_into().unwrap_or(libc::time_t::MAX);
        // Zero would switch it off.
        after.it_value.tv_nsec = limit.subsec_nanos().max(u32::from(limit.is_zero())).into();
        check(libc::timer_settime(timer, 0, &after, ptr::null_mut()) as c_int).map(drop)
    }
}
