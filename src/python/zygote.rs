//! A CPython on the only thread of its process, which forks others from it. They begin with all that is imported here.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use super::api;
use super::exception::Exception;
use super::find::{Found, locate};
use super::object::{Py, PyResult};
use super::start::{Startup, initialize, load};

/// Attached to the main interpreter of this process, or of one that was forked from it.
pub struct Zygote(PhantomData<*mut ()>);

impl Zygote {
    /// Finds a CPython and initialises it on this thread. The error says why not.
    pub fn start(python: Option<&Path>, startup: Startup) -> Result<Zygote, String> {
        let found = locate(python, &|name| std::env::var_os(name)).map_err(|error| error.to_string())?;
        if load(&found).map_err(|error| error.to_string())? {
            return Err("CPython is initialised in this process already".into());
        }
        let installation = match found {
            Found::OnDisk(installation) => Some(installation),
            Found::InProcess(loaded) => loaded.installation,
        };
        let installation = installation.ok_or("the standard library of this process's CPython was not found")?;
        initialize(&installation, startup).map_err(|error| error.to_string())?.attach();
        let zygote = Zygote(PhantomData);
        zygote.prepare().map_err(|_| zygote.raised())?;
        Ok(zygote)
    }

    fn py(&self) -> Py<'_> {
        // SAFETY: attached, and this value stays on the thread that is.
        unsafe { Py::attached(api()) }
    }

    fn raised(&self) -> String {
        Exception::take(self.py()).formatted
    }

    /// What every child needs, once for all of them. What is frozen the collector does not touch, so that children go on
    /// sharing its memory.
    fn prepare(&self) -> PyResult<()> {
        let py = self.py();
        // The first time it looks for what it needs to walk the stack of C.
        let faulthandler = py.import(&py.str("faulthandler")?)?;
        faulthandler.attr(c"enable")?.call(&[&py.int(libc::STDERR_FILENO.into())?])?;
        faulthandler.attr(c"disable")?.call(&[])?;
        let gc = py.import(&py.str("gc")?)?;
        gc.attr(c"collect")?.call(&[])?;
        gc.attr(c"freeze")?.call(&[])?;
        Ok(())
    }

    /// Forks this process: the child's id, or None in the child, which is attached as this thread is.
    pub fn fork(&self) -> io::Result<Option<i32>> {
        // SAFETY: attached, and there is no other thread whose locks the child would wait for.
        unsafe {
            (api().PyOS_BeforeFork)();
            let child = libc::fork();
            let error = io::Error::last_os_error();
            if child == 0 {
                (api().PyOS_AfterFork_Child)();
                return Ok(None);
            }
            (api().PyOS_AfterFork_Parent)();
            if child < 0 { Err(error) } else { Ok(Some(child)) }
        }
    }

    /// From now on a crash of this process writes where its threads were, into this descriptor.
    pub fn trace_to(&self, descriptor: BorrowedFd) -> Result<(), String> {
        let enable = || {
            let py = self.py();
            let faulthandler = py.import(&py.str("faulthandler")?)?;
            faulthandler.attr(c"enable")?.call(&[&py.int(descriptor.as_raw_fd().into())?])
        };
        enable().map(drop).map_err(|_| self.raised())
    }
}
