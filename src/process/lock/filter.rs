//! seccomp (Linux): which system calls a thread, and those that it starts, can make from now on: a program in the
//! kernel's oldest language, that of packet filters. linux/seccomp.h, linux/filter.h.

use std::io;
use std::os::raw::c_int;

use super::calls::{Call, Check, NEWER, NOT_THERE, allowed};

type Program = Vec<libc::sock_filter>;

/// struct seccomp_data
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// linux/audit.h; x86-64 runs the calls of i386 as well, whose numbers mean something else.
#[cfg(target_arch = "x86_64")]
const OWN: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OWN: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("src/process/lock/filter.rs does not know this processor");

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_FROM: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

const fn fails(errno: c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

const REFUSE: u32 = fails(libc::EPERM);
const NO_SUCH_CALL: u32 = fails(libc::ENOSYS);

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Goes on with the next one if it is so, and else after so many.
fn unless(code: u32, k: u32, skip: usize) -> libc::sock_filter {
    let skip = u8::try_from(skip).expect("the table's conditions are few");
    libc::sock_filter { code: code as u16, jt: 0, jf: skip, k }
}

/// What becomes of the calls from a number on.
struct Range {
    from: u32,
    then: Then,
}

#[derive(PartialEq)]
enum Then {
    Returns(u32),
    /// The part of this number does, which ends in returns.
    Checks(usize),
}

/// The program, for a process with this id.
pub fn program(process: u32, writes: bool) -> Program {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        // Another one's calls are made by nobody by mistake.
        libc::sock_filter { code: IF_EQUAL as u16, jt: 1, jf: 0, k: OWN },
        statement(RETURN, KILL),
        statement(LOAD, NUMBER),
    ];
    let mut calls: Vec<&Call> = allowed(writes).collect();
    calls.sort_unstable_by_key(|call| call.number);
    let mut calls = calls.into_iter().peekable();
    let mut checks: Vec<Program> = Vec::new();
    let mut ranges: Vec<Range> = Vec::new();
    for number in 0..=NEWER {
        let then = match calls.next_if(|call| call.number as u32 == number) {
            Some(call) if call.with.is_empty() => Then::Returns(ALLOW),
            Some(call) => {
                checks.push(check(call, process));
                Then::Checks(checks.len() - 1)
            }
            None if number == NEWER || NOT_THERE.contains(&number.into()) => Then::Returns(NO_SUCH_CALL),
            None => Then::Returns(REFUSE),
        };
        if ranges.last().is_none_or(|last| last.then != then) {
            ranges.push(Range { from: number, then });
        }
    }
    search(&ranges, &checks, &mut program);
    program
}

/// A program that finds the range of a number. Half of them each time: the kernel asks for all numbers, once, and
/// remembers those that are always allowed.
fn search(ranges: &[Range], checks: &[Program], program: &mut Program) {
    match ranges {
        [] => {}
        [Range { then: Then::Returns(what), .. }] => program.push(statement(RETURN, *what)),
        [Range { then: Then::Checks(index), .. }] => program.extend(&checks[*index]),
        _ => {
            let (lower, upper) = ranges.split_at(ranges.len() / 2);
            program.push(unless(IF_FROM, upper[0].from, 1));
            let jump = program.len();
            program.push(statement(JUMP, 0));
            search(lower, checks, program);
            program[jump].k = (program.len() - jump - 1) as u32;
            search(upper, checks, program);
        }
    }
}

/// The part for a call with conditions.
fn check(call: &Call, process: u32) -> Program {
    let mut program = Program::new();
    for checks in call.with {
        let mut checked = Program::new();
        for check in checks.iter().rev() {
            let (argument, mask, value) = match *check {
                Check::Is { argument, mask, value } => (argument, mask, value),
                Check::Own { argument } => (argument, u32::MAX.into(), process.into()),
            };
            // The halves of a number come lower first on these processors.
            for half in [1, 0] {
                let part = |number: u64| (number >> (32 * half)) as u32;
                if part(mask) == 0 {
                    continue;
                }
                let mut one = vec![statement(LOAD, ARGUMENTS + 8 * u32::from(argument) + 4 * half)];
                if part(mask) != u32::MAX {
                    one.push(statement(AND, part(mask)));
                }
                // What follows, and the return.
                one.push(unless(IF_EQUAL, part(value), checked.len() + 1));
                checked.splice(0..0, one);
            }
        }
        program.extend(checked);
        program.push(statement(RETURN, ALLOW));
    }
    program.push(statement(RETURN, REFUSE));
    program
}

/// Whether the kernel has it.
pub fn is_there() -> bool {
    // SAFETY: a number that it looks at.
    unsafe {
        let action = ALLOW;
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0
    }
}

/// From now on it holds for this thread, which must have given up new privileges.
pub fn begin(writes: bool) -> io::Result<()> {
    let mut program = program(std::process::id(), writes);
    let own = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a program of that length, of which the kernel makes a copy.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const own) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
