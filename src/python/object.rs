//! Safe handling of Python objects: a token that proves that the thread is attached, and references that count
//! themselves.

use std::ffi::{CStr, c_int, c_ulong, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::types::{self, PyObject, PyType_Slot, PyType_Spec, PyTypeObject};

use super::api::Api;
use crate::value::is_ascii;

/// Proof that this thread has an attached thread state, thus holds the GIL of that state's interpreter.
#[derive(Clone, Copy)]
pub struct Py<'py> {
    pub api: &'static Api,
    attached: PhantomData<(&'py (), *mut ())>,
}

/// A Python exception is set in the current thread state.
#[derive(Debug)]
pub struct Raised;

pub type PyResult<T> = Result<T, Raised>;

/// A strong reference, dropped with the value.
pub struct Obj<'py> {
    ptr: NonNull<PyObject>,
    py: Py<'py>,
}

impl Drop for Obj<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference is owned and the thread is attached to its interpreter (`py`).
        unsafe { (self.py.api.Py_DecRef)(self.ptr.as_ptr()) }
    }
}

impl<'py> Obj<'py> {
    /// The object, borrowed from this reference.
    #[inline]
    pub fn as_ptr(&self) -> *mut PyObject {
        self.ptr.as_ptr()
    }

    /// Hands the reference over to whoever takes the pointer.
    #[inline]
    pub fn into_ptr(self) -> *mut PyObject {
        let ptr = self.ptr.as_ptr();
        std::mem::forget(self);
        ptr
    }

    pub fn type_ptr(&self) -> *mut PyTypeObject {
        // SAFETY: a live object.
        unsafe { self.py.api.type_of(self.as_ptr()) }
    }

    pub fn is_none(&self) -> bool {
        self.as_ptr() == self.py.none()
    }

    /// `getattr(self, name)`
    pub fn attr(&self, name: &CStr) -> PyResult<Obj<'py>> {
        // SAFETY: a live object and a C string; the result is a new reference.
        unsafe { self.py.owned((self.py.api.PyObject_GetAttrString)(self.as_ptr(), name.as_ptr())) }
    }

    /// `getattr(self, name)` with a name that is a Python object.
    pub fn attr_object(&self, name: &Obj<'py>) -> PyResult<Obj<'py>> {
        // SAFETY: live objects; the result is a new reference.
        unsafe { self.py.owned((self.py.api.PyObject_GetAttr)(self.as_ptr(), name.as_ptr())) }
    }

    /// `setattr(self, name, value)`
    pub fn set_attr(&self, name: &CStr, value: &Obj<'py>) -> PyResult<()> {
        // SAFETY: live objects and a C string.
        self.py.check(unsafe { (self.py.api.PyObject_SetAttrString)(self.as_ptr(), name.as_ptr(), value.as_ptr()) })
    }

    /// `self(*args)`
    pub fn call(&self, args: &[&Obj<'py>]) -> PyResult<Obj<'py>> {
        let args: Vec<*mut PyObject> = args.iter().map(|arg| arg.as_ptr()).collect();
        // SAFETY: `args` holds that many live objects.
        unsafe {
            let none = std::ptr::null_mut();
            self.py.owned((self.py.api.PyObject_Vectorcall)(self.as_ptr(), args.as_ptr(), args.len(), none))
        }
    }

    /// `isinstance(self, class)` by the real type alone: no `__instancecheck__`, no `__class__`.
    pub fn is_instance(&self, class: *mut PyObject) -> bool {
        // SAFETY: `class` is one of CPython's exception classes, alive for good.
        unsafe { (self.py.api.PyType_IsSubtype)(self.type_ptr(), class.cast()) != 0 }
    }

    /// The text of a str, when it is one (or of a subclass), lone surrogates replaced by U+FFFD. What is longer than
    /// `most` bytes is cut before it is copied, and says so. None for anything else, and when there is no memory.
    /// Leaves no exception behind.
    pub fn to_text(&self, most: usize) -> Option<String> {
        // SAFETY: a live object; NULL with an exception for surrogates and for anything but a str. The bytes live as
        // long as their object, here and below.
        unsafe {
            let mut len = 0;
            let text = (self.py.api.PyUnicode_AsUTF8AndSize)(self.as_ptr(), &mut len);
            if !text.is_null() {
                return cut(std::slice::from_raw_parts(text.cast::<u8>(), len as usize), most);
            }
            self.py.clear();
            let encoded =
                (self.py.api.PyUnicode_AsEncodedString)(self.as_ptr(), c"utf-8".as_ptr(), c"surrogatepass".as_ptr());
            let Ok(bytes) = self.py.owned(encoded) else {
                self.py.clear();
                return None;
            };
            let (mut data, mut len) = (std::ptr::null_mut(), 0);
            if (self.py.api.PyBytes_AsStringAndSize)(bytes.as_ptr(), &mut data, &mut len) != 0 {
                self.py.clear();
                return None;
            }
            cut(std::slice::from_raw_parts(data.cast::<u8>(), len as usize), most)
        }
    }

    /// The value of an int that fits, when it is one. Leaves no exception behind.
    pub fn to_i64(&self) -> Option<i64> {
        let mut overflow = 0;
        // SAFETY: a live object; raises for anything that is no int.
        unsafe {
            let value = (self.py.api.PyLong_AsLongLongAndOverflow)(self.as_ptr(), &mut overflow);
            if value == -1 && !(self.py.api.PyErr_Occurred)().is_null() {
                self.py.clear();
                return None;
            }
            (overflow == 0).then_some(value)
        }
    }
}

/// A file of Python code, as C has its texts. It must end with a NUL.
pub const fn own_source(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("one NUL, at the end"),
    }
}

impl<'py> Py<'py> {
    /// # Safety
    /// The thread must be attached, and stay attached to that interpreter, for as long as the token lives.
    pub unsafe fn attached(api: &'static Api) -> Py<'py> {
        Py { api, attached: PhantomData }
    }

    /// Takes a new reference over; NULL is an exception that CPython has set.
    ///
    /// # Safety
    /// `ptr` must be NULL or a reference that the caller owns.
    #[inline]
    pub unsafe fn owned(self, ptr: *mut PyObject) -> PyResult<Obj<'py>> {
        NonNull::new(ptr).map(|ptr| Obj { ptr, py: self }).ok_or(Raised)
    }

    /// Makes a new reference of a borrowed one.
    ///
    /// # Safety
    /// `ptr` must be NULL or a live object.
    #[inline]
    pub unsafe fn borrowed(self, ptr: *mut PyObject) -> PyResult<Obj<'py>> {
        // SAFETY: as promised; Py_IncRef ignores NULL.
        unsafe {
            (self.api.Py_IncRef)(ptr);
            self.owned(ptr)
        }
    }

    /// Compiles Python code of the library's own: a whole file, or an expression (Py_eval_input).
    pub fn compile_own(self, source: &CStr, start: c_int) -> PyResult<Obj<'py>> {
        // SAFETY: attached; NUL-terminated texts; a new reference, or NULL with an exception.
        unsafe {
            let (name, flags) = (c"<subpy>".as_ptr(), ptr::null_mut());
            self.owned((self.api.Py_CompileStringExFlags)(source.as_ptr(), name, start, flags, -1))
        }
    }

    /// What the library's own source, run in a namespace of its own, calls by this name.
    pub fn run_own(self, source: &CStr, name: &str) -> PyResult<Obj<'py>> {
        let namespace = self.own_namespace()?;
        self.evaluate(&self.compile_own(source, types::Py_file_input)?, &namespace)?;
        let mut found = ptr::null_mut();
        // SAFETY: attached, with live objects; a new reference, or NULL.
        unsafe {
            (self.api.PyDict_GetItemRef)(namespace.as_ptr(), self.str(name)?.as_ptr(), &mut found);
            self.owned(found)
        }
    }

    /// A new dict for Python code of the library's own to run in.
    pub fn own_namespace(self) -> PyResult<Obj<'py>> {
        // SAFETY: attached; live objects.
        unsafe {
            let namespace = self.owned((self.api.PyDict_New)())?;
            let name = self.str("subpy")?;
            self.check((self.api.PyDict_SetItemString)(namespace.as_ptr(), c"__name__".as_ptr(), name.as_ptr()))?;
            Ok(namespace)
        }
    }

    /// Runs a code object.
    pub fn evaluate(self, code: &Obj<'py>, namespace: &Obj<'py>) -> PyResult<Obj<'py>> {
        // SAFETY: live objects; a new reference or NULL with an exception.
        unsafe { self.owned((self.api.PyEval_EvalCode)(code.as_ptr(), namespace.as_ptr(), namespace.as_ptr())) }
    }

    /// Turns C's -1 into the exception that it announces.
    pub fn check(self, status: c_int) -> PyResult<()> {
        if status < 0 { Err(Raised) } else { Ok(()) }
    }

    /// `None`, borrowed; it is immortal.
    #[inline]
    pub fn none(self) -> *mut PyObject {
        self.api._Py_NoneStruct.0
    }

    /// A str.
    pub fn str(self, text: &str) -> PyResult<Obj<'py>> {
        // A writer costs more than to decode a short text, and less than to decode a long one.
        const LONG: usize = 128;
        if text.len() >= LONG && is_ascii(text.as_bytes()) {
            return self.ascii(text);
        }
        // SAFETY: pointer and length of valid UTF-8; a Rust slice is never longer than isize::MAX.
        unsafe {
            self.owned((self.api.PyUnicode_DecodeUTF8)(text.as_ptr().cast(), text.len() as isize, c"strict".as_ptr()))
        }
    }

    /// A str that is interned: attributes are found by comparing pointers.
    pub fn interned(self, text: &str) -> PyResult<Obj<'py>> {
        let mut object = self.str(text)?.into_ptr();
        // SAFETY: attached; a str, whose reference is handed through.
        unsafe {
            (self.api.PyUnicode_InternInPlace)(&mut object);
            self.owned(object)
        }
    }

    /// A str of ASCII: copied, not decoded.
    fn ascii(self, text: &str) -> PyResult<Obj<'py>> {
        let len = text.len() as isize;
        // SAFETY: attached; pointer and length of ASCII. A writer is used up by either Finish or Discard.
        unsafe {
            let writer = (self.api.PyUnicodeWriter_Create)(len);
            if writer.is_null() {
                return Err(Raised);
            }
            if (self.api.PyUnicodeWriter_WriteASCII)(writer, text.as_ptr().cast(), len) < 0 {
                (self.api.PyUnicodeWriter_Discard)(writer);
                return Err(Raised);
            }
            self.owned((self.api.PyUnicodeWriter_Finish)(writer))
        }
    }

    /// An int.
    #[inline]
    pub fn int(self, value: i64) -> PyResult<Obj<'py>> {
        // SAFETY: attached.
        unsafe { self.owned((self.api.PyLong_FromLongLong)(value)) }
    }

    /// `importlib.import_module(name)`, by CPython's own import even when a guest has replaced `builtins.__import__`.
    pub fn import(self, name: &Obj<'py>) -> PyResult<Obj<'py>> {
        // SAFETY: live objects; NULL is allowed for globals, locals and fromlist.
        unsafe {
            let null = std::ptr::null_mut();
            // With an empty fromlist the import returns the top-level package; the module itself is in sys.modules.
            self.owned((self.api.PyImport_ImportModuleLevelObject)(name.as_ptr(), null, null, null, 0))?;
            let module = (self.api.PyImport_GetModule)(name.as_ptr());
            if module.is_null() && (self.api.PyErr_Occurred)().is_null() {
                // A module may remove itself from sys.modules; import_module() raises as well then.
                (self.api.PyErr_SetObject)(self.api.PyExc_AttributeError.get(), name.as_ptr());
            }
            self.owned(module)
        }
    }

    /// A new type that nobody can change, whose objects have room for `T`, beyond what their base has
    /// (PyObject_GetTypeData).
    ///
    /// # Safety
    /// The slots must be what CPython takes them for; what they point to stays as long as the type.
    pub unsafe fn new_type<T>(
        self,
        name: &'static CStr,
        flags: c_ulong,
        slots: &[(c_int, *const c_void)],
    ) -> PyResult<Obj<'py>> {
        let slot = |&(slot, pfunc): &(c_int, *const c_void)| PyType_Slot { slot, pfunc: pfunc.cast_mut() };
        let mut slots: Vec<_> = slots.iter().chain(&[(0, ptr::null())]).map(slot).collect();
        let mut spec = PyType_Spec {
            name: name.as_ptr(),
            basicsize: -(size_of::<T>() as c_int),
            itemsize: 0,
            flags: (flags | types::Py_TPFLAGS_IMMUTABLETYPE) as u32,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: promised by the caller; a specification that ends where it should, of which CPython copies what it
        // keeps. A new reference.
        unsafe { self.owned((self.api.PyType_FromSpec)(&mut spec)) }
    }

    /// `sys.<name>`, if it is there.
    pub fn sys(self, name: &CStr) -> Option<Obj<'py>> {
        // SAFETY: a C string; the result is borrowed or NULL without an exception.
        unsafe { self.borrowed((self.api.PySys_GetObject)(name.as_ptr())).ok() }
    }

    /// Sets an exception whose argument is this text.
    pub fn raise(self, class: *mut PyObject, message: &str) -> Raised {
        if let Ok(message) = self.str(message) {
            // SAFETY: a live class and a live str.
            unsafe { (self.api.PyErr_SetObject)(class, message.as_ptr()) }
        }
        Raised
    }

    /// MemoryError.
    #[cold]
    pub fn no_memory(self) -> Raised {
        // SAFETY: attached; it always returns NULL.
        unsafe { (self.api.PyErr_NoMemory)() };
        Raised
    }

    /// Forgets the exception that is set, if any.
    pub fn clear(self) {
        // SAFETY: attached.
        unsafe { (self.api.PyErr_Clear)() }
    }

    /// Takes the exception that is set.
    pub fn take_exception(self) -> Option<Obj<'py>> {
        // SAFETY: attached; the result is a new reference or NULL.
        unsafe { self.owned((self.api.PyErr_GetRaisedException)()).ok() }
    }

    /// Sets one that was taken, or made.
    pub fn set_exception(self, exception: Obj<'py>) -> Raised {
        // SAFETY: attached; a live exception, whose reference is handed over.
        unsafe { (self.api.PyErr_SetRaisedException)(exception.into_ptr()) };
        Raised
    }
}

/// What others have named is cut to this in a message.
pub const LONGEST_NAME: usize = 1000;

/// What is said of the rest of a text that was cut, and a NUL, have room in this.
const ROOM_BEHIND: usize = 48;

/// The first `most` bytes, and how many more there are. None: no memory. There is room for a NUL behind it.
pub fn cut(bytes: &[u8], most: usize) -> Option<String> {
    let continues = |at: usize| bytes[at] & 0xC0 == 0x80;
    let kept = if bytes.len() <= most { bytes.len() } else { (0..=most).rev().find(|&at| !continues(at))? };
    let mut text = String::new();
    text.try_reserve_exact(kept + ROOM_BEHIND).ok()?;
    push_without_surrogates(&mut text, &bytes[..kept]);
    if kept < bytes.len() {
        text.push_str(&format!("... ({} more bytes)", bytes.len() - kept));
    }
    Some(text)
}

/// UTF-8 in which lone surrogates were let through (as three bytes ED A0..BF xx): each becomes one U+FFFD, of as many
/// bytes.
fn push_without_surrogates(text: &mut String, bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => return text.push_str(valid),
            Err(error) => {
                let (valid, invalid) = rest.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(valid).unwrap_or_default());
                text.push('\u{FFFD}');
                let surrogate = invalid.len() >= 3 && invalid[0] == 0xED;
                rest = &invalid[if surrogate { 3 } else { 1 }..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn each_lone_surrogate_becomes_one_replacement_character() {
        let whole = |bytes| cut(bytes, 100).unwrap();
        assert_eq!(whole(b"plain \xc3\xa9"), "plain \u{e9}");
        assert_eq!(whole(b"a\xed\xa0\x80b"), "a\u{FFFD}b");
        assert_eq!(whole(b"\xed\xa0\x80\xed\xb0\x80"), "\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "ab\u{20ac}\u{20ac}".as_bytes();
        assert_eq!(cut(text, 8).unwrap(), "ab\u{20ac}\u{20ac}");
        assert_eq!(cut(text, 7).unwrap(), "ab\u{20ac}... (3 more bytes)");
        assert_eq!(cut(text, 4).unwrap(), "ab... (6 more bytes)");
        assert_eq!(cut(b"\xed\xa0\x80\xed\xb0\x80", 4).unwrap(), "\u{FFFD}... (3 more bytes)");
        assert_eq!(cut(b"abc", 0).unwrap(), "... (3 more bytes)");
    }
}
