//! Descriptors. Those that can be waited for are sockets here: select() of winsock and of Python takes no others.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{self, PipeReader};
use std::net::UdpSocket;
use std::os::windows::fs::FileExt;
use std::os::windows::io::{AsRawHandle, AsRawSocket};
use std::path::Path;
use std::ptr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::system::{
    _errno, _get_osfhandle, _isatty, _write, FILE_TYPE_DISK, GetFileType, POLL_READ, PeekNamedPipe, PollSocket, WSAPoll,
};

/// By the names that the standard library has for them elsewhere.
pub mod fd {
    use std::marker::PhantomData;

    pub type RawFd = i32;

    /// No process is given one, so there is none.
    pub enum OwnedFd {}

    #[derive(Clone, Copy)]
    pub struct BorrowedFd<'a>(pub(super) RawFd, pub(super) PhantomData<&'a ()>);

    pub trait AsRawFd {
        fn as_raw_fd(&self) -> RawFd;
    }

    impl AsRawFd for OwnedFd {
        fn as_raw_fd(&self) -> RawFd {
            match *self {}
        }
    }

    impl AsRawFd for BorrowedFd<'_> {
        fn as_raw_fd(&self) -> RawFd {
            self.0
        }
    }
}

/// A descriptor that is readable or not: a socket that is connected to itself, in which there is something while it is
/// readable.
pub struct Event {
    socket: UdpSocket,
    pub(in crate::platform) readable: AtomicBool,
}

impl Event {
    /// The error is one of the system's.
    pub fn new() -> Result<Event, i32> {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(socket.local_addr()?)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = socket().map_err(|error: io::Error| error.raw_os_error().unwrap_or(libc::EIO))?;
        Ok(Event { socket, readable: AtomicBool::new(false) })
    }

    /// Numbers of sockets have 32 bits that count, as all handles have.
    pub fn descriptor(&self) -> i32 {
        self.socket.as_raw_socket() as i32
    }

    pub fn as_fd(&self) -> fd::BorrowedFd<'_> {
        fd::BorrowedFd(self.descriptor(), std::marker::PhantomData)
    }

    /// Makes it readable. It fails only when there is something in it.
    pub fn raise(&self) {
        let _ = self.socket.send(&[1]);
    }

    /// Makes it unreadable. False: that cannot be, it is no more: a guest has closed what is not its own.
    pub fn clear(&self) -> bool {
        let mut byte = [0];
        loop {
            match self.socket.recv(&mut byte) {
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// A descriptor that becomes readable, and stays it.
pub struct Ready(Event);

impl Ready {
    pub fn new() -> io::Result<Ready> {
        Event::new().map(Ready).map_err(io::Error::from_raw_os_error)
    }

    pub fn descriptor(&self) -> i32 {
        self.0.descriptor()
    }

    pub fn signal(&mut self) {
        self.0.set(true);
    }
}

/// What can be waited for until there is something to read.
pub trait Readable {
    /// False: there is nothing yet.
    fn is_readable(&self) -> bool;
}

impl Readable for PipeReader {
    fn is_readable(&self) -> bool {
        let mut available = 0;
        let (null, none) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a pipe that is open, and a place for the answer. That it fails means that there is nobody who writes.
        let there = unsafe { PeekNamedPipe(self.as_raw_handle().cast(), null, 0, none, &mut available, none) };
        there == 0 || available > 0
    }
}

impl Readable for fd::BorrowedFd<'_> {
    fn is_readable(&self) -> bool {
        let mut socket = PollSocket { socket: self.0 as usize, events: POLL_READ, returned: 0 };
        // SAFETY: one entry.
        unsafe { WSAPoll(&mut socket, 1, 0) != 0 }
    }
}

/// Waits until there is something to read, or the end. False: there was not, in that time.
pub fn wait_readable(what: &impl Readable, limit: Duration) -> bool {
    let deadline = Instant::now().checked_add(limit);
    loop {
        if what.is_readable() {
            return true;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nothing tells whether a pipe has room: who writes to a full one waits.
pub fn wait_writable(_: c_int, _: Duration) -> bool {
    true
}

/// How much is written at once.
pub const PIPE_BUF: usize = 4096;

pub fn is_terminal(descriptor: c_int) -> bool {
    // SAFETY: it takes any number.
    unsafe { _isatty(descriptor) != 0 }
}

/// A regular file.
pub fn is_file(descriptor: c_int) -> bool {
    // SAFETY: they take any number.
    unsafe { GetFileType(_get_osfhandle(descriptor) as *mut c_void) == FILE_TYPE_DISK }
}

/// Writes some of it, at least one byte. The error is an errno; the standard library would take it for another number.
pub fn write(descriptor: c_int, bytes: &[u8]) -> io::Result<usize> {
    let count = bytes.len().min(c_int::MAX as usize) as u32;
    // SAFETY: pointer and length of a slice; errno is this thread's own.
    unsafe {
        let written = _write(descriptor, bytes.as_ptr().cast(), count);
        usize::try_from(written).map_err(|_| match *_errno() {
            libc::EINTR => io::ErrorKind::Interrupted.into(),
            libc::EAGAIN => io::ErrorKind::WouldBlock.into(),
            errno => io::Error::from_raw_os_error(errno),
        })
    }
}

// ---- files

/// Opens a file to read it.
pub fn open_file(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// As many bytes of a file, from a place on.
pub fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_read(bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}
