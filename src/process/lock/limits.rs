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
    /// Threads, with those that it has now. Not for root, of whom the kernel counts none.
    pub threads: Option<u64>,
}

/// How much more can be mapped than memory be used, for what is shared with the host, and what is only read. It bounds the
/// tables that the kernel has for it, a 512th.
const MAPPED: u64 = 64 << 30;
/// The first thread's stack grows by itself, which counts as no other memory does.
const STACK: u64 = 64 << 20;

/// Sets them for this process, for good: it needs /proc/self, so before a lock. Whether the threads are limited, which
/// not every system allows, is the result.
pub fn limit(limits: &Limits) -> io::Result<bool> {
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
        let [data, all] = memory()?.map(|now| now.saturating_add(more));
        set(libc::RLIMIT_DATA, data, data)?;
        let all = all.saturating_add(MAPPED);
        set(libc::RLIMIT_AS, all, all)?;
        let stack = get(libc::RLIMIT_STACK)?.min(STACK);
        set(libc::RLIMIT_STACK, stack, stack)?;
    }
    if let Some(time) = limits.cpu {
        limit_cpu(time)?;
    }
    // Who is in the way when the machine has no memory left: this one before its host. Not everybody may say so.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    limits.threads.map_or(Ok(false), limit_threads)
}

/// The kernel counts those of a user, everywhere; but those in a name space for users also by themselves.
fn limit_threads(most: u64) -> io::Result<bool> {
    // SAFETY: numbers. The process has one thread, as it must.
    let (user, group) = unsafe {
        let ids = (libc::getuid(), libc::getgid());
        if ids.0 == 0 || libc::unshare(libc::CLONE_NEWUSER) != 0 {
            return Ok(false);
        }
        ids
    };
    // The same names as before; where that is not allowed, it is nobody, which changes nothing else.
    let _ = std::fs::write("/proc/self/setgroups", "deny");
    let _ = std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"));
    let _ = std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"));
    set(libc::RLIMIT_NPROC, most, most).map(|()| true)
}

/// What the C library takes the name of a limit as.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = c_int;

fn set(what: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a struct that is read.
    check(unsafe { libc::setrlimit(what, &limit) }).map(drop)
}

/// The soft limit.
fn get(what: Resource) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: room for a struct.
    check(unsafe { libc::getrlimit(what, &mut limit) }).map(|_| limit.rlim_cur)
}

/// What RLIMIT_DATA and RLIMIT_AS count, now.
fn memory() -> io::Result<[u64; 2]> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let bytes = |name| {
        let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: u64| kib * 1024).ok_or(io::ErrorKind::InvalidData)
    };
    Ok([bytes("VmData:")?, bytes("VmSize:")?])
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
        after.it_value.tv_sec = limit.as_secs().try_into().unwrap_or(i32::MAX.into());
        // Zero would switch it off.
        after.it_value.tv_nsec = limit.subsec_nanos().max(u32::from(limit.is_zero())).into();
        check(libc::timer_settime(timer, 0, &after, ptr::null_mut()) as c_int).map(drop)
    }
}
