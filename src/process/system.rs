//! System calls, with descriptors that close themselves.

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

/// What a call that gives -1 has to say.
pub fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// # Safety
/// The call's result must be a new descriptor, or -1.
unsafe fn descriptor(result: c_int) -> io::Result<OwnedFd> {
    // SAFETY: promised by the caller.
    check(result).map(|number| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Two ends over which messages go whole, with descriptors. An end is told when the other one is closed.
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors, which are new.
    unsafe {
        check(libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// The end to read from and the one to write to; neither waits.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors, which are new.
    unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Reads what is there, up to so many bytes, and as far as there is memory for it.
pub fn read_all(from: BorrowedFd, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    while bytes.len() < most {
        let room = part.len().min(most - bytes.len());
        // SAFETY: room for as many bytes.
        let read = unsafe { libc::read(from.as_raw_fd(), part.as_mut_ptr().cast(), room) };
        match usize::try_from(read) {
            Ok(0) => break,
            Ok(read) if bytes.try_reserve(read).is_err() => break,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    bytes
}

/// A process, as a descriptor that is readable when it has ended.
pub fn pidfd(process: i32) -> io::Result<OwnedFd> {
    // SAFETY: it touches no memory, and gives a new descriptor.
    unsafe { descriptor(libc::syscall(libc::SYS_pidfd_open, process, 0) as c_int) }
}

/// Kills it; fine when it has ended.
pub fn kill(pidfd: BorrowedFd) {
    // SAFETY: NULL stands for what kill() would send.
    unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, ptr::null::<c_void>(), 0);
    }
}

/// Kills those that are in the group which this process leads or has led. Before Linux 6.9 nobody can say that.
pub fn kill_group(pidfd: BorrowedFd) {
    // SAFETY: as above. The number of the group belongs to no other one as long as one is in it.
    unsafe {
        let (number, none) = (pidfd.as_raw_fd(), ptr::null::<c_void>());
        libc::syscall(libc::SYS_pidfd_send_signal, number, libc::SIGKILL, none, PIDFD_SIGNAL_PROCESS_GROUP);
    }
}

/// linux/pidfd.h
const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

/// How a process has ended, as wait() says it, if anybody can tell: its parent, who thereby reaps it, and from Linux 6.15
/// on the kernel, once it was reaped.
pub fn status(pidfd: BorrowedFd) -> Option<i32> {
    // SAFETY: room for what is asked; a number for its size (linux/pidfd.h).
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let number = pidfd.as_raw_fd() as libc::id_t;
        if libc::waitid(libc::P_PIDFD, number, &mut info, libc::WEXITED | libc::WNOHANG | libc::__WALL) == 0 {
            return (info.si_pid() != 0).then(|| match info.si_code {
                libc::CLD_EXITED => info.si_status() << 8,
                libc::CLD_DUMPED => info.si_status() | 0x80,
                _ => info.si_status(),
            });
        }
        let mut about = PidfdInfo { mask: PIDFD_INFO_EXIT, rest: [0; 13], exit_code: 0 };
        let told = libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut about) == 0;
        (told && about.mask & PIDFD_INFO_EXIT != 0).then_some(about.exit_code)
    }
}

/// struct pidfd_info, as it was at first (linux/pidfd.h).
#[repr(C)]
struct PidfdInfo {
    mask: u64,
    rest: [u32; 13],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// _IOWR(0xFF, 11, struct pidfd_info)
const PIDFD_GET_INFO: libc::Ioctl = 3 << 30 | (size_of::<PidfdInfo>() as libc::Ioctl) << 16 | 0xff << 8 | 11;

/// The working directory of this process, for another one.
pub fn working_directory() -> io::Result<OwnedFd> {
    // SAFETY: a C string; a new descriptor.
    unsafe { descriptor(libc::open(c".".as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC)) }
}

/// A file without a name that can be executed.
pub fn program(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: a C string; a new descriptor. Linux before 6.3 does not know MFD_EXEC and does not need it.
    let file = unsafe {
        descriptor(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_EXEC))
            .or_else(|_| descriptor(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC)))?
    };
    let mut file = std::fs::File::from(file);
    io::Write::write_all(&mut file, bytes)?;
    Ok(file.into())
}

/// A counter that is readable when it is not 0.
pub fn event() -> io::Result<OwnedFd> {
    // SAFETY: a new descriptor.
    unsafe { descriptor(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }
}

/// Makes an event readable.
pub fn set(event: BorrowedFd) {
    let one = 1u64;
    // SAFETY: eight bytes, as an event wants them. It fails only when it is readable already.
    unsafe { libc::write(event.as_raw_fd(), (&raw const one).cast(), 8) };
}

/// Makes an event unreadable.
pub fn reset(event: BorrowedFd) {
    let mut count = 0u64;
    // SAFETY: room for eight bytes.
    unsafe { libc::read(event.as_raw_fd(), (&raw mut count).cast(), 8) };
}

/// Waits until one of them has one of the events that it is waited for (POLLIN), or at most so long. What each has.
pub fn wait<const N: usize>(of: [(BorrowedFd, i16); N], until: Option<Instant>) -> io::Result<[i16; N]> {
    let mut polled = of.map(|(descriptor, events)| libc::pollfd { fd: descriptor.as_raw_fd(), events, revents: 0 });
    loop {
        let left = until.map_or(-1, |until| milliseconds(until.saturating_duration_since(Instant::now())));
        // SAFETY: as many structs as it says.
        match check(unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, left) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) if until.is_some_and(|until| until > Instant::now()) => {}
            Ok(_) => return Ok(polled.map(|polled| polled.revents)),
        }
    }
}

/// Rounded up, so that a wait does not end too early.
pub fn milliseconds(time: Duration) -> c_int {
    time.as_micros().div_ceil(1000).try_into().unwrap_or(c_int::MAX)
}

/// A process has ended. It takes no time to ask.
pub fn has_ended(pidfd: BorrowedFd) -> bool {
    wait([(pidfd, libc::POLLIN)], Some(Instant::now())).is_ok_and(|[events]| events != 0)
}

/// How many descriptors go with one message.
pub const MOST_DESCRIPTORS: usize = 4;

/// Room for the header of a control message and that many descriptors, aligned.
type ControlRoom = [u64; 8];

/// Sends a message, with descriptors of which the receiver gets copies. Does not wait: WouldBlock when there is no room.
pub fn send(socket: BorrowedFd, bytes: &[u8], descriptors: &[BorrowedFd]) -> io::Result<()> {
    debug_assert!(descriptors.len() <= MOST_DESCRIPTORS);
    let mut room: ControlRoom = [0; 8];
    // SAFETY: the message points to what is alive until it is sent, and the room is large enough for the descriptors.
    unsafe {
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        if !descriptors.is_empty() {
            let len = (descriptors.len() * size_of::<c_int>()) as u32;
            message.msg_control = room.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(len) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(len) as _;
            let place = libc::CMSG_DATA(header).cast::<c_int>();
            for (index, descriptor) in descriptors.iter().enumerate() {
                place.add(index).write_unaligned(descriptor.as_raw_fd());
            }
        }
        loop {
            let sent = libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// A message: its bytes, which are none when the other end is closed, and the descriptors that came with it.
pub type Received = (Vec<u8>, Vec<OwnedFd>);

/// The longest message; what is longer is refused.
const LONGEST: usize = 8192;

/// Takes a message that is there. Does not wait: WouldBlock when there is none.
pub fn receive(socket: BorrowedFd) -> io::Result<Received> {
    let mut bytes = [MaybeUninit::<u8>::uninit(); LONGEST];
    let mut room: ControlRoom = [0; 8];
    // SAFETY: as for `send`. What is received is written to as many bytes as it says, and the descriptors are new.
    unsafe {
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: LONGEST };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.as_mut_ptr().cast();
        message.msg_controllen = size_of::<ControlRoom>() as _;
        let len = loop {
            let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
            match libc::recvmsg(socket.as_raw_fd(), &mut message, flags) {
                len if len >= 0 => break len as usize,
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        };
        let mut descriptors = Vec::new();
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let count = ((*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<c_int>();
                let place = libc::CMSG_DATA(header).cast::<c_int>();
                for index in 0..count {
                    descriptors.push(OwnedFd::from_raw_fd(place.add(index).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
        // Descriptors that this process is short of are missing, which whoever wants them sees.
        if message.msg_flags & libc::MSG_TRUNC != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((bytes[..len].iter().map(|byte| byte.assume_init()).collect(), descriptors))
    }
}
