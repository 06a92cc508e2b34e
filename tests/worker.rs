//! The program of processes for interpreters, with the library that it loads: a life from begin to end. What else can
//! happen to it is tested where it is (src/process/tests.rs), as are the messages (src/process/control.rs).

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use support::{build_folder, library_folder, python};

/// The numbers under which a host passes its socket and its process (src/process/launch.rs).
const SOCKET: i32 = 3;
const HOST: i32 = 4;

/// Two ends over which messages go whole.
fn sockets() -> (File, File) {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors, which are new.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()), 0);
        (OwnedFd::from_raw_fd(ends[0]).into(), OwnedFd::from_raw_fd(ends[1]).into())
    }
}

/// Sends a message with descriptors.
fn pass<const COUNT: usize>(socket: &File, message: &[u8], descriptors: [i32; COUNT]) {
    // SAFETY: the message points to what is alive until it is sent, and the room is aligned and large enough.
    unsafe {
        let mut room = [0u64; 8];
        let mut part = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&mut part, 1);
        let len = size_of_val(&descriptors) as u32;
        header.msg_control = room.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(len) as _;
        let control = libc::CMSG_FIRSTHDR(&header);
        (*control).cmsg_level = libc::SOL_SOCKET;
        (*control).cmsg_type = libc::SCM_RIGHTS;
        (*control).cmsg_len = libc::CMSG_LEN(len) as _;
        libc::CMSG_DATA(control).cast::<[i32; COUNT]>().write_unaligned(descriptors);
        assert_eq!(libc::sendmsg(socket.as_raw_fd(), &header, 0), message.len() as isize);
    }
}

fn start(arguments: [&str; 4]) -> (Child, File) {
    let (own, theirs) = sockets();
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
    (command.spawn().expect("it starts"), own)
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
    let (mut zygote, mut socket) = start([env!("CARGO_PKG_VERSION"), python.to_str().expect("UTF-8"), "0", "0"]);
    assert_eq!(says(&mut socket), [1], "it has started");
    let (mut worker, theirs) = sockets();
    let (trace, their_trace) = std::io::pipe().expect("a pipe");
    let folder = File::open("/").expect("a folder");
    // What it is to be: nothing special. Seven flags, two numbers, four empty lists (src/process/settings.rs).
    let settings = build_folder().join("settings");
    std::fs::write(&settings, [0; 7 + 2 * 8 + 4 * 8]).expect("a file");
    pass(&worker, &[13], [File::open(&settings).expect("a file").as_raw_fd()]);
    let descriptors = [theirs.as_raw_fd(), their_trace.as_raw_fd(), folder.as_raw_fd()];
    pass(&socket, &[2, 9, 0, 0, 0, 0, 0, 0, 0], descriptors);
    drop((theirs, their_trace));
    let mut said = [says(&mut worker), says(&mut worker)];
    said.sort();
    assert_eq!((said[0][0], said[1].as_slice()), (3, &[5][..]), "it is forked and ready, in any order");
    worker.write_all(&[6, 1, 2, 3, 4, 5, 6, 7, 8]).expect("it listens");
    assert_eq!(says(&mut worker), [7, 1, 2, 3, 4, 5, 6, 7, 8]);
    drop(worker);
    assert_eq!(
        says(&mut socket),
        [4, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        "it has ended with code 1: its host has gone"
    );
    drop((socket, trace));
    assert_eq!(zygote.wait().expect("a status").code(), Some(0));
}

#[test]
fn it_refuses_a_host_of_another_version() {
    let (mut zygote, mut socket) = start(["0.0.1", "", "0", "0"]);
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
