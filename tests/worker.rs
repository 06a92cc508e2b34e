//! The program of processes for interpreters, with the library that it loads: that it starts and ends. The rest of what
//! it does is tested where it is (src/process/tests.rs).

mod support;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use support::{library_folder, python};

/// The numbers under which a host passes its socket and its process (src/process/launch.rs).
const SOCKET: i32 = 3;
const HOST: i32 = 4;

fn start(arguments: [&str; 3]) -> (Child, File) {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors, which are new.
    let (own, theirs) = unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()), 0);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    // SAFETY: a new descriptor.
    let host = unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) as i32) };
    let mut command = Command::new(concat!(env!("OUT_DIR"), "/subpy-worker"));
    command.arg0("subpy-zygote").arg(library_folder().join("libsubpy.so")).args(arguments).stdin(Stdio::null());
    let passed = [theirs.as_raw_fd(), host.as_raw_fd()];
    // SAFETY: system calls alone. The first moves make sure that none is overwritten before it is moved.
    unsafe {
        command.pre_exec(move || {
            libc::alarm(60);
            let [socket, host] = passed.map(|number| libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 16));
            let moved = libc::dup2(socket, SOCKET) == SOCKET && libc::dup2(host, HOST) == HOST;
            if moved { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
    (command.spawn().expect("it starts"), own.into())
}

fn says(socket: &mut File) -> Vec<u8> {
    let mut message = vec![0; 8192];
    let len = socket.read(&mut message).expect("a message");
    message.truncate(len);
    message
}

#[test]
fn it_starts_and_ends_with_its_host() {
    let python = python();
    let (mut zygote, mut socket) = start([env!("CARGO_PKG_VERSION"), python.to_str().expect("UTF-8"), "0"]);
    assert_eq!(says(&mut socket), [1], "it has started");
    drop(socket);
    assert_eq!(zygote.wait().expect("a status").code(), Some(0));
}

#[test]
fn it_refuses_a_host_of_another_version() {
    let (mut zygote, mut socket) = start(["0.0.1", "", "0"]);
    let said = String::from_utf8(says(&mut socket)).expect("UTF-8");
    let own = env!("CARGO_PKG_VERSION");
    assert!(said.ends_with(&format!("libsubpy.so is libsubpy {own}, and its host has 0.0.1")), "{said}");
    assert_eq!(zygote.wait().expect("a status").code(), Some(1));
}

#[test]
fn it_does_nothing_for_others() {
    let program = || Command::new(concat!(env!("OUT_DIR"), "/subpy-worker"));
    assert_eq!(program().status().expect("it starts").code(), Some(2));
    assert_eq!(program().arg(library_folder().join("libsubpy.so")).status().expect("it starts").code(), Some(2));
}
