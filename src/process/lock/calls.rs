//! The system calls that a locked process can make. docs/security.md has the list too; `SUBPY_UPDATE_SECURITY=1` writes
//! it there (tests.rs).

use std::ffi::{c_int, c_long};

/// `argument & mask == value`
#[derive(Clone, Copy)]
pub enum Check {
    Is {
        argument: u8,
        mask: u64,
        value: u64,
    },
    /// This process's own id.
    Own {
        argument: u8,
    },
}

/// A call, and with which arguments: one of these, of which all must hold; none: any.
pub struct Call {
    pub name: &'static str,
    pub number: c_long,
    pub with: &'static [&'static [Check]],
    /// The same in words.
    pub only: &'static str,
}

const fn call(name: &'static str, number: c_long) -> Call {
    Call { name, number, with: &[], only: "" }
}

const fn checked(name: &'static str, number: c_long, only: &'static str, with: &'static [&'static [Check]]) -> Call {
    Call { name, number, with, only }
}

/// Calls by the names of their numbers.
macro_rules! calls {
    ($($number:ident)*) => { [$(call(stringify!($number), libc::$number)),*] };
}

/// The kernel looks at the lower half of an argument that is an int.
const INT: u64 = u32::MAX as u64;
const ALL: u64 = u64::MAX;

const fn is(argument: u8, mask: u64, value: u64) -> Check {
    Check::Is { argument, mask, value }
}

/// An int that has this value.
const fn int(argument: u8, value: c_int) -> Check {
    is(argument, INT, value as u32 as u64)
}

/// An int that has none of these bits.
const fn without(argument: u8, bits: c_int) -> Check {
    is(argument, bits as u32 as u64, 0)
}

/// A pointer that is NULL.
const fn null(argument: u8) -> Check {
    is(argument, ALL, 0)
}

/// Reading, what is open already, memory, threads, time, and waiting.
const PLAIN: &[Call] = &calls![
    SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_preadv2 SYS_pwritev2
    SYS_lseek SYS_close SYS_close_range SYS_dup SYS_dup3 SYS_pipe2 SYS_sendfile SYS_copy_file_range SYS_fadvise64
    SYS_fstat SYS_newfstatat SYS_statx SYS_faccessat SYS_faccessat2 SYS_readlinkat SYS_getdents64 SYS_getcwd SYS_chdir
    SYS_fchdir SYS_umask
    SYS_munmap SYS_mprotect SYS_mremap SYS_brk SYS_madvise SYS_msync SYS_membarrier
    SYS_futex_waitv SYS_set_robust_list SYS_rseq SYS_set_tid_address SYS_sched_yield SYS_sched_getaffinity
    SYS_gettid SYS_exit SYS_exit_group
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigpending SYS_rt_sigsuspend SYS_rt_sigtimedwait
    SYS_sigaltstack SYS_restart_syscall
    SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday
    SYS_getitimer SYS_setitimer
    SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_eventfd2 SYS_ppoll SYS_pselect6
    SYS_recvfrom SYS_recvmsg SYS_sendmsg SYS_shutdown SYS_getsockname SYS_getpeername SYS_getsockopt
    SYS_getpid SYS_getppid SYS_getpgid SYS_getsid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getresuid
    SYS_getresgid SYS_getgroups SYS_getrusage SYS_times SYS_uname SYS_sysinfo SYS_getcpu SYS_getrandom
];

/// The same in the words of old, which newer processors do not have.
#[cfg(target_arch = "x86_64")]
const OLD: &[Call] = &calls![
    SYS_stat SYS_lstat SYS_access SYS_readlink SYS_getdents SYS_dup2 SYS_pipe SYS_poll SYS_select SYS_epoll_create
    SYS_epoll_wait SYS_eventfd SYS_time SYS_getrlimit SYS_getpgrp SYS_pause SYS_alarm
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Call] = &[];

/// No `O_PATH`: what is opened so is checked by nobody.
const NOT_OPENED: c_int = libc::O_PATH;
const WRITES: c_int = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
/// Linux makes a file without a name with this bit, beside `O_DIRECTORY`.
const UNNAMED: c_int = libc::O_TMPFILE & !libc::O_DIRECTORY;
/// A new file that is executed as its owner would outlive the lock.
const SET_ID: c_int = 0o7000;

const READS: &str = "to read";
const CREATES: &str = "without `O_PATH`; new files without set-user-ID and the like";

const READ_ALONE: &[Call] =
    &[checked("SYS_openat", libc::SYS_openat, READS, &[&[without(2, NOT_OPENED | WRITES | UNNAMED)]])];

const READ_WRITE: &[Call] = &[
    checked(
        "SYS_openat",
        libc::SYS_openat,
        CREATES,
        &[&[without(2, NOT_OPENED | libc::O_CREAT | UNNAMED)], &[without(2, NOT_OPENED), without(3, SET_ID)]],
    ),
    checked("SYS_mkdirat", libc::SYS_mkdirat, "without set-group-ID and the like", &[&[without(2, SET_ID)]]),
    call("SYS_unlinkat", libc::SYS_unlinkat),
    call("SYS_renameat2", libc::SYS_renameat2),
    call("SYS_ftruncate", libc::SYS_ftruncate),
    call("SYS_truncate", libc::SYS_truncate),
    call("SYS_fallocate", libc::SYS_fallocate),
    call("SYS_fsync", libc::SYS_fsync),
    call("SYS_fdatasync", libc::SYS_fdatasync),
    call("SYS_flock", libc::SYS_flock),
];

#[cfg(target_arch = "x86_64")]
const OLD_READ_ALONE: &[Call] =
    &[checked("SYS_open", libc::SYS_open, READS, &[&[without(1, NOT_OPENED | WRITES | UNNAMED)]])];
#[cfg(target_arch = "x86_64")]
const OLD_READ_WRITE: &[Call] = &[
    checked(
        "SYS_open",
        libc::SYS_open,
        CREATES,
        &[&[without(1, NOT_OPENED | libc::O_CREAT | UNNAMED)], &[without(1, NOT_OPENED), without(2, SET_ID)]],
    ),
    checked("SYS_mkdir", libc::SYS_mkdir, "without set-group-ID and the like", &[&[without(1, SET_ID)]]),
    call("SYS_rmdir", libc::SYS_rmdir),
    call("SYS_unlink", libc::SYS_unlink),
    call("SYS_rename", libc::SYS_rename),
    call("SYS_renameat", libc::SYS_renameat),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_READ_ALONE: &[Call] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_READ_WRITE: &[Call] = &[];

const THREAD: c_int = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND;
const SPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PTRACE
    | libc::CLONE_PIDFD;

/// SOCK_NONBLOCK and SOCK_CLOEXEC are beside it.
const KIND: u64 = 0xf;
/// RLIMIT_DATA counts neither shared memory, MAP_ANONYMOUS with MAP_SHARED (1) or MAP_SHARED_VALIDATE (3), nor what grows
/// like a stack.
const SHARED: c_int = libc::MAP_SHARED;

/// Names for memory (linux/prctl.h).
const PR_SET_VMA: c_int = 0x53564d41;

/// FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME are beside it.
const DEED: u64 = 0x7f;

const fn deed(what: c_int) -> Check {
    is(1, DEED, what as u64)
}

const CHECKED: &[Call] = &[
    checked(
        "SYS_futex",
        libc::SYS_futex,
        "none that hands priorities on",
        &[
            &[deed(libc::FUTEX_WAIT)],
            &[deed(libc::FUTEX_WAKE)],
            &[deed(libc::FUTEX_WAIT_BITSET)],
            &[deed(libc::FUTEX_WAKE_BITSET)],
            &[deed(libc::FUTEX_REQUEUE)],
            &[deed(libc::FUTEX_CMP_REQUEUE)],
            &[deed(libc::FUTEX_WAKE_OP)],
        ],
    ),
    checked(
        "SYS_mmap",
        libc::SYS_mmap,
        "shared memory with a descriptor alone; without `MAP_GROWSDOWN`",
        &[&[without(3, libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN)], &[without(3, SHARED | libc::MAP_GROWSDOWN)]],
    ),
    checked(
        "SYS_clone",
        libc::SYS_clone,
        "threads of this process",
        &[&[is(0, (THREAD | SPACES) as u32 as u64, THREAD as u32 as u64)]],
    ),
    checked(
        "SYS_ioctl",
        libc::SYS_ioctl,
        "`FIONBIO`, `FIONREAD`, `FIOCLEX`, `FIONCLEX`, `TCGETS`, `TIOCGWINSZ`",
        &[
            &[is(1, INT, libc::FIONBIO as u32 as u64)],
            &[is(1, INT, libc::TCGETS as u32 as u64)],
            &[is(1, INT, libc::FIONREAD as u32 as u64)],
            &[is(1, INT, libc::FIOCLEX as u32 as u64)],
            &[is(1, INT, libc::FIONCLEX as u32 as u64)],
            &[is(1, INT, libc::TIOCGWINSZ as u32 as u64)],
        ],
    ),
    checked(
        "SYS_fcntl",
        libc::SYS_fcntl,
        "`F_DUPFD`, `F_DUPFD_CLOEXEC`, `F_GETFD`, `F_SETFD`, `F_GETFL`, `F_SETFL` without `O_ASYNC`, locks, `F_GET_SEALS`",
        &[
            &[int(1, libc::F_GETFD)],
            &[int(1, libc::F_SETFD)],
            &[int(1, libc::F_GETFL)],
            &[int(1, libc::F_SETFL), without(2, libc::O_ASYNC)],
            &[int(1, libc::F_DUPFD)],
            &[int(1, libc::F_DUPFD_CLOEXEC)],
            &[int(1, libc::F_GETLK)],
            &[int(1, libc::F_SETLK)],
            &[int(1, libc::F_SETLKW)],
            &[int(1, libc::F_GET_SEALS)],
        ],
    ),
    checked(
        "SYS_socketpair",
        libc::SYS_socketpair,
        "`AF_UNIX`; `SOCK_STREAM` and `SOCK_SEQPACKET`, over which nobody else can be named",
        &[
            &[int(0, libc::AF_UNIX), is(1, KIND, libc::SOCK_STREAM as u64)],
            &[int(0, libc::AF_UNIX), is(1, KIND, libc::SOCK_SEQPACKET as u64)],
        ],
    ),
    checked("SYS_sendto", libc::SYS_sendto, "without an address", &[&[null(4)]]),
    checked("SYS_kill", libc::SYS_kill, "this process", &[&[Check::Own { argument: 0 }]]),
    checked("SYS_tgkill", libc::SYS_tgkill, "threads of this process", &[&[Check::Own { argument: 0 }]]),
    checked("SYS_prlimit64", libc::SYS_prlimit64, "to ask, of this process", &[&[int(0, 0), null(2)]]),
    checked(
        "SYS_prctl",
        libc::SYS_prctl,
        "`PR_SET_NAME`, `PR_GET_NAME`, `PR_SET_VMA`",
        &[&[int(0, libc::PR_SET_NAME)], &[int(0, libc::PR_GET_NAME)], &[int(0, PR_SET_VMA)]],
    ),
];

/// What the C library tries first, and does without when it is told that there is no such call.
pub const NOT_THERE: [c_long; 3] = [libc::SYS_clone3, libc::SYS_openat2, libc::SYS_epoll_pwait2];
/// From this number on there is what came after this list was made (Linux 6.18), and the other numbers of x86-64 (x32).
/// They are not there either.
pub const NEWER: u32 = 470;

/// All, for a process that can or cannot write to files.
pub fn allowed(writes: bool) -> impl Iterator<Item = &'static Call> {
    let files = if writes { [READ_WRITE, OLD_READ_WRITE] } else { [READ_ALONE, OLD_READ_ALONE] };
    CHECKED.iter().chain(files.into_iter().flatten()).chain(PLAIN).chain(OLD)
}
