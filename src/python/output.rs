//! Where sys.stdout and sys.stderr go: a sink for each, in the library's own memory.
//!
//! Text is passed on to the file descriptor when a run ends, when much has come together, at each line end on a
//! terminal (always for stderr, as CPython does), at once when no run is active, and on flush(). So a host that exits
//! without shutting down loses nothing, and print() costs about what it costs with CPython's own buffer.

use std::ffi::CStr;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::types::{PyMethodDef, PyMethodDefPointer, PyObject};

use super::api::Api;
use super::attach::detached;
use super::object::{LONGEST_NAME, Obj, Py, PyResult, Raised};
use super::{Count, api, lock};

/// What comes together before it is passed on.
const FULL: usize = 64 * 1024;

/// The two sinks of an interpreter.
#[derive(Clone)]
pub struct Output {
    pub stdout: Arc<Sink>,
    pub stderr: Arc<Sink>,
}

impl Output {
    pub fn new() -> Output {
        let runs = Arc::new(Count::default());
        let sink = |fd, errors, each_line| {
            // SAFETY: isatty takes any number.
            let each_line = each_line || unsafe { libc::isatty(fd) } == 1;
            let (text, waiting, writing) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
            Arc::new(Sink { fd, errors, each_line, text, waiting, writing, runs: Arc::clone(&runs) })
        };
        Output { stdout: sink(1, c"surrogateescape", false), stderr: sink(2, c"backslashreplace", true) }
    }

    /// From now on a run is active: text may wait for its end.
    pub fn run_begins(&self) {
        self.stdout.runs.up();
    }

    pub fn run_ends(&self) {
        self.stdout.runs.down();
    }

    /// Passes on what the run printed. On failure the exception is set (such as BrokenPipeError).
    #[inline]
    pub fn flush(&self, py: Py) -> PyResult<()> {
        let stdout = self.stdout.flush(py);
        self.stderr.flush(py).and(stdout)
    }
}

pub struct Sink {
    fd: i32,
    errors: &'static CStr,
    each_line: bool,
    text: Mutex<Vec<u8>>,
    /// There is text, or some is still on its way out. Changed with the lock of `text`; whoever has the GIL sees
    /// without it what was printed before.
    waiting: AtomicBool,
    /// Held while text goes out, so that pieces keep their order. Never waited for with the GIL.
    writing: Mutex<()>,
    /// Active runs in the interpreter.
    runs: Arc<Count>,
}

impl Sink {
    /// Appends, and passes on when it is time. `data` belongs to a Python object that the caller holds.
    fn write(&self, py: Py, data: &[u8]) -> PyResult<()> {
        let length = {
            let mut text = lock(&self.text);
            self.waiting.store(true, Ordering::Relaxed);
            // What is large, or has no room, goes out from where it is.
            if data.len() >= FULL || text.try_reserve(data.len()).is_err() {
                drop(text);
                return self.pass_on(py, data);
            }
            text.extend_from_slice(data);
            text.len()
        };
        let line = || self.each_line && data.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        if length >= FULL || self.runs.get() == 0 || line() {
            return self.flush(py);
        }
        Ok(())
    }

    #[inline]
    fn flush(&self, py: Py) -> PyResult<()> {
        if self.waiting.load(Ordering::Relaxed) { self.pass_on(py, &[]) } else { Ok(()) }
    }

    /// Passes on what has come together, and then `more`.
    fn pass_on(&self, py: Py, more: &[u8]) -> PyResult<()> {
        let written = detached(Some(py.api), || {
            let _order = lock(&self.writing);
            let text = std::mem::take(&mut *lock(&self.text));
            let result = write_all(self.fd, &text).and_then(|()| write_all(self.fd, more));
            self.written(text);
            // errno is the thread's own, but attaching again may change it.
            result.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
        });
        written.map_err(|errno| {
            // SAFETY: sets errno of this thread and raises the OSError that belongs to it.
            unsafe {
                *libc::__errno_location() = errno;
                (py.api.PyErr_SetFromErrno)(py.api.PyExc_OSError.get());
            }
            Raised
        })
    }

    /// Not before now, because a run whose text another thread passes on has to wait for it. The buffer is used again,
    /// if nobody has begun a new one and it did not grow beyond reason.
    fn written(&self, mut used: Vec<u8>) {
        let mut text = lock(&self.text);
        self.waiting.store(!text.is_empty(), Ordering::Relaxed);
        if text.capacity() == 0 && used.capacity() <= 2 * FULL {
            used.clear();
            *text = used;
        }
    }
}

fn write_all(fd: i32, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        // SAFETY: pointer and length of a slice.
        let written = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
        if written >= 0 {
            text = &text[written as usize..];
            continue;
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => wait_writable(fd),
            _ => return Err(error),
        }
    }
    Ok(())
}

/// For a descriptor that the host has made non-blocking.
fn wait_writable(fd: i32) {
    let mut wanted = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&mut wanted, 1, -1) };
}

// ---- the functions that Python calls ----

const CAPSULE: &CStr = c"subpy.sink";

/// The write function of text, the one of bytes, and flush, as a tuple.
pub fn functions<'py>(py: Py<'py>, sink: &Arc<Sink>) -> PyResult<Obj<'py>> {
    // SAFETY: the capsule owns one count of the sink, which its destructor gives back; each function owns a reference
    // to the capsule. The definitions are static and never written to. SetItem takes the references over.
    unsafe {
        let pointer = Arc::into_raw(Arc::clone(sink));
        let capsule = (py.api.PyCapsule_New)(pointer.cast_mut().cast(), CAPSULE.as_ptr(), Some(drop_sink));
        if capsule.is_null() {
            drop(Arc::from_raw(pointer));
        }
        let capsule = py.owned(capsule)?;
        let tuple = py.owned((py.api.PyTuple_New)(DEFINITIONS.0.len() as isize))?;
        for (index, definition) in DEFINITIONS.0.iter().enumerate() {
            let definition = ptr::from_ref(definition).cast_mut();
            let (null, no_class) = (ptr::null_mut(), ptr::null_mut());
            let function = py.owned((py.api.PyCMethod_New)(definition, capsule.as_ptr(), null, no_class))?;
            py.check((py.api.PyTuple_SetItem)(tuple.as_ptr(), index as isize, function.into_ptr()))?;
        }
        Ok(tuple)
    }
}

struct Definitions([PyMethodDef; 3]);

// SAFETY: constant data: names, addresses of functions, numbers.
unsafe impl Sync for Definitions {}

static DEFINITIONS: Definitions = Definitions([
    definition(c"write", write_text, super::types::METH_O),
    definition(c"write", write_bytes, super::types::METH_O),
    definition(c"flush", flush, super::types::METH_NOARGS),
]);

pub const fn definition(name: &'static CStr, function: super::types::PyCFunction, flags: i32) -> PyMethodDef {
    let ml_meth = PyMethodDefPointer { PyCFunction: function };
    PyMethodDef { ml_name: name.as_ptr(), ml_meth, ml_flags: flags, ml_doc: ptr::null() }
}

unsafe extern "C" fn drop_sink(capsule: *mut PyObject) {
    // SAFETY: CPython destroys the capsule that `functions` made, once.
    unsafe {
        let pointer = (api().PyCapsule_GetPointer)(capsule, CAPSULE.as_ptr());
        drop(Arc::from_raw(pointer.cast::<Sink>()));
    }
}

/// What a C function that Python calls does: find its sink, do it, give the result or NULL.
unsafe fn called<'py>(capsule: *mut PyObject, act: impl FnOnce(Py<'py>, &Sink) -> PyResult<Obj<'py>>) -> *mut PyObject {
    let api: &'static Api = api();
    // SAFETY: Python calls with the GIL; the capsule is the function's own and keeps the sink alive.
    unsafe {
        let py = Py::attached(api);
        let sink = (api.PyCapsule_GetPointer)(capsule, CAPSULE.as_ptr()).cast::<Sink>();
        if sink.is_null() {
            return ptr::null_mut();
        }
        act(py, &*sink).map_or(ptr::null_mut(), Obj::into_ptr)
    }
}

unsafe extern "C" fn write_text(capsule: *mut PyObject, text: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a live argument.
    unsafe {
        called(capsule, |py, sink| {
            if (py.api.PyType_IsSubtype)((py.api.Py_TYPE)(text), py.api.PyUnicode_Type.0) == 0 {
                let name = py.owned((py.api.PyType_GetName)((py.api.Py_TYPE)(text)))?;
                let name = name.to_text(LONGEST_NAME).unwrap_or_default();
                let message = format!("write() argument must be str, not {name}");
                return Err(py.raise(py.api.PyExc_TypeError.get(), &message));
            }
            let mut len = 0;
            let data = (py.api.PyUnicode_AsUTF8AndSize)(text, &mut len);
            if data.is_null() {
                py.clear();
                // A lone surrogate: one that stands for a byte is that byte on stdout; stderr shows it as \udc80.
                let encoded = (py.api.PyUnicode_AsEncodedString)(text, c"utf-8".as_ptr(), sink.errors.as_ptr());
                let encoded = py.owned(encoded)?;
                let (mut data, mut len) = (ptr::null_mut(), 0);
                py.check((py.api.PyBytes_AsStringAndSize)(encoded.as_ptr(), &mut data, &mut len))?;
                sink.write(py, std::slice::from_raw_parts(data.cast(), len as usize))?;
            } else {
                sink.write(py, std::slice::from_raw_parts(data.cast(), len as usize))?;
            }
            py.int((py.api.PyUnicode_GetLength)(text) as i64)
        })
    }
}

unsafe extern "C" fn write_bytes(capsule: *mut PyObject, data: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a live argument; the buffer is released after its last use.
    unsafe {
        called(capsule, |py, sink| {
            let mut view: super::types::Py_buffer = std::mem::zeroed();
            py.check((py.api.PyObject_GetBuffer)(data, &mut view, super::types::PyBUF_SIMPLE))?;
            let len = view.len as usize;
            let bytes = if len == 0 { &[] } else { std::slice::from_raw_parts(view.buf.cast::<u8>(), len) };
            let written = sink.write(py, bytes);
            (py.api.PyBuffer_Release)(&mut view);
            written?;
            py.int(len as i64)
        })
    }
}

unsafe extern "C" fn flush(capsule: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python.
    unsafe {
        called(capsule, |py, sink| {
            sink.flush(py)?;
            py.borrowed(py.none())
        })
    }
}

/// Writes straight to the descriptor of stderr: for what no interpreter can say any more. Parts of a text, which may be
/// larger than there is memory for it as a whole.
pub fn print_error(parts: &[&str]) {
    // A closed stderr leaves nobody to tell.
    let _ = parts.iter().try_for_each(|part| write_all(2, part.as_bytes()));
}
