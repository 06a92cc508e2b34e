//! Starts a program in a process that is no child of this one: a host may reap all its children, ignore SIGCHLD, or
//! handle it, and neither sees this process nor takes its status away.
//!
//! The process in between is cloned with no signal at its end, which only wait() with __WCLONE sees. It shares this
//! process's memory and descriptors while the calling thread waits, as with vfork(), so nothing is copied, and no other
//! thread's locks matter: it makes system calls alone. It starts the program and ends, and whoever adopts orphans gets
//! the program: the first process, or a subreaper, which may be the host itself.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::system::{check, status};
use crate::platform::NoSignals;

/// The descriptors that the program gets, from this number on, beside the first three. The first one is what it says
/// that it has started over (worker/main.rs).
pub const FIRST: c_int = 3;
/// At most so many: its socket, the host's process, and the library, when that is in memory.
const PASSED: usize = 3;

/// What that library is to the program.
pub const LIBRARY: &str = "/proc/self/fd/5";

/// Descriptors are moved out of the way of so many to this number and beyond: one more than what the program gets, so that there
/// is something between, and no more, as fcntl() calls a number invalid that the limit of open files does not allow. So many are
/// open anyway.
fn beyond(count: usize) -> c_int {
    FIRST + count as c_int + 1
}

/// As many as fit into the kernel's set of signals.
const LAST_SIGNAL: c_int = 64;

struct Plan {
    program: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    passed: [c_int; PASSED],
    /// How many of them there are.
    count: usize,
    /// Where the second clone begins its stack.
    stack: *mut c_void,
    /// What the kernel makes of the program's process: a pidfd.
    pidfd: c_int,
    /// errno of what failed.
    error: c_int,
}

/// How much stack each of the two has.
const STACK: usize = 64 << 10;

/// The stacks of the two processes, with a guard below each.
struct Stacks(*mut c_void);

const GUARD: usize = 64 << 10;
const STACKS: usize = 2 * (STACK + GUARD);

impl Stacks {
    fn new() -> io::Result<Stacks> {
        // SAFETY: a new mapping, and parts of it.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
            let memory = libc::mmap(ptr::null_mut(), STACKS, libc::PROT_NONE, flags, -1, 0);
            if memory == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let stacks = Stacks(memory);
            for index in 0..2 {
                let usable = memory.byte_add(index * (STACK + GUARD) + GUARD);
                check(libc::mprotect(usable, STACK, libc::PROT_READ | libc::PROT_WRITE))?;
            }
            Ok(stacks)
        }
    }

    /// The end of one: stacks grow down.
    fn top(&self, index: usize) -> *mut c_void {
        // SAFETY: within the mapping, or its end.
        unsafe { self.0.byte_add((index + 1) * (STACK + GUARD)) }
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; both processes have left it.
        unsafe { libc::munmap(self.0, STACKS) };
    }
}

/// Starts a program, with these descriptors and no other but the first three, with default signals, in a session of its
/// own: a Ctrl-C in the host's terminal is for the host. Gives the process.
pub fn launch(
    program: BorrowedFd,
    arguments: &[CString],
    environment: &[CString],
    passed: &[BorrowedFd],
) -> io::Result<OwnedFd> {
    let mut numbers = [-1; PASSED];
    for (number, descriptor) in numbers.iter_mut().zip(passed) {
        *number = descriptor.as_raw_fd();
    }
    let pointers =
        |texts: &[CString]| -> Vec<_> { texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect() };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let stacks = Stacks::new()?;
    let mut plan = Plan {
        program: program.as_raw_fd(),
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        passed: numbers,
        count: passed.len().min(PASSED),
        stack: stacks.top(1),
        pidfd: -1,
        error: 0,
    };
    // A handler of the host's would run in the process in between, where it has no business.
    let no_signals = NoSignals::new();
    // SAFETY: the plan and the stacks outlive both processes, because of CLONE_VFORK: this thread goes on when the one in
    // between has ended, which goes on when the program has begun, or the attempt has ended.
    unsafe {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
        let between = check(libc::clone(in_between, stacks.top(0), flags, (&raw mut plan).cast()))?;
        // A host that waits for clones, too, may have been faster.
        while libc::waitpid(between, ptr::null_mut(), libc::__WCLONE) < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    drop(no_signals);
    // SAFETY: the descriptor of the second clone, in the table that was shared.
    let process = (plan.pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(plan.pidfd) });
    match (process, plan.error) {
        (Some(process), 0) => Ok(process),
        (process, error) => {
            // In case that this process adopts orphans.
            process.map(|process| status(process.as_fd()));
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

extern "C" fn in_between(plan: *mut c_void) -> c_int {
    let plan = plan.cast::<Plan>();
    // SAFETY: the plan of `launch`, which waits. Descriptors are shared with it, so it gets the pidfd.
    unsafe {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        if libc::clone(become_program, (*plan).stack, flags, plan.cast(), &raw mut (*plan).pidfd) < 0 {
            (*plan).error = *libc::__errno_location();
        }
    }
    0
}

extern "C" fn become_program(plan: *mut c_void) -> c_int {
    let plan = plan.cast::<Plan>();
    // SAFETY: the plan of `launch`. Descriptors and dispositions of signals are this process's own, memory is not.
    unsafe {
        if execute(&*plan).is_none() {
            (*plan).error = *libc::__errno_location();
        }
        libc::_exit(127)
    }
}

/// None: errno says why not.
unsafe fn execute(plan: &Plan) -> Option<()> {
    let done = |result: c_int| (result >= 0).then_some(result);
    // SAFETY: system calls; the plan's pointers are to arrays that end with NULL.
    unsafe {
        // What is ignored would stay so. All zero: SIG_DFL. The C library would refuse two signals, which are its own.
        let default = [0u64; 4];
        for signal in 1..=LAST_SIGNAL {
            let nothing = ptr::null::<c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nothing, size_of::<u64>());
        }
        let program = done(libc::fcntl(plan.program, libc::F_DUPFD_CLOEXEC, beyond(plan.count)))?;
        let mut moved = [-1; PASSED];
        for (from, to) in plan.passed.iter().zip(&mut moved).take(plan.count) {
            *to = done(libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, beyond(plan.count)))?;
        }
        for (number, from) in (FIRST..).zip(moved).take(plan.count) {
            done(libc::dup2(from, number))?;
        }
        // One of the first three that is missing would be the next file that is opened.
        for number in 0..FIRST {
            let flags = libc::fcntl(number, libc::F_GETFD);
            if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
                let nothing = done(libc::open(c"/dev/null".as_ptr(), libc::O_RDWR))?;
                if nothing != number {
                    done(libc::dup2(nothing, number))?;
                    libc::close(nothing);
                }
            }
        }
        let close = |first: c_int, last: c_int| done(libc::syscall(libc::SYS_close_range, first, last, 0) as c_int);
        close(FIRST + plan.count as c_int, program - 1)?;
        close(program + 1, c_int::MAX)?;
        libc::setsid();
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        let (arguments, environment) = (plan.arguments, plan.environment);
        done(libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), arguments, environment, libc::AT_EMPTY_PATH)
            as c_int)?;
    }
    Some(())
}
