//! Why an object has no value, in words: what it is, where it is, what could be returned instead. Nothing here runs
//! when everything converts.

use std::fmt::Arguments;
use std::ptr;

use super::super::Failure;
use super::super::object::LONGEST_NAME;
use super::super::types::{PyObject, PyTypeObject};
use super::asked::Refused;
use super::from_python::Reader;
use super::reading::Reading;
use crate::value::{self, MAX_DEPTH};

impl Reader<'_> {
    /// The exception that PyUnicode_AsUTF8AndSize set: a lone surrogate, or no memory.
    #[cold]
    pub(super) fn why_no_text(self) -> Refused {
        let Some(exception) = self.py.take_exception() else { return Refused::NO_MEMORY };
        let position = exception.attr(c"start").ok().and_then(|start| start.to_i64());
        self.py.clear();
        match position {
            Some(position) => Refused::because(format!(
                "str with a lone surrogate at index {position} cannot be shared, return text.encode('utf-8', 'surrogatepass')"
            )),
            None => Refused::NO_MEMORY,
        }
    }

    /// What to say of an object of a type that has no value.
    pub(super) unsafe fn why_not(&self, object: *mut PyObject) -> String {
        let api = self.py.api;
        // SAFETY: promised by the caller; a type is alive as long as its object.
        unsafe {
            let kind = api.type_of(object);
            let name = self.type_name(kind);
            if kind == api.PyCoro_Type.0 {
                return format!("{name} cannot be shared, call a function that runs it: return asyncio.run(...)");
            }
            let bases = [
                (api.PyLong_Type, "int", "return int(...)"),
                (api.PyFloat_Type, "float", "return float(...)"),
                (api.PyUnicode_Type, "str", "return str(...)"),
                (api.PyBytes_Type, "bytes", "return bytes(...)"),
                (api.PyByteArray_Type, "bytearray", "return bytes(...)"),
                (api.PyTuple_Type, "tuple", "return tuple(...)"),
                (api.PyList_Type, "list", "return list(...)"),
                (api.PyDict_Type, "dict", "return dict(...)"),
            ];
            for (base, base_name, hint) in bases {
                if (api.PyType_IsSubtype)(kind, base.0) != 0 {
                    return format!("{name} is a subclass of {base_name}, {hint}");
                }
            }
            format!("{name} cannot be shared")
        }
    }

    /// `module.qualname`, without the module for builtins and `__main__`.
    ///
    /// # Safety
    /// A live type.
    pub(super) unsafe fn type_name(&self, kind: *mut PyTypeObject) -> String {
        let api = self.py.api;
        // SAFETY: promised by the caller: a live type; new references, or NULL with an exception.
        let (module, name) = unsafe {
            let text = |object| {
                let text = self.py.owned(object).ok().and_then(|object| object.to_text(LONGEST_NAME));
                self.py.clear();
                text
            };
            (text((api.PyType_GetModuleName)(kind)), text((api.PyType_GetQualName)(kind)))
        };
        let name = name.unwrap_or_else(|| "object of a nameless type".into());
        match module.as_deref() {
            None | Some("builtins" | "__main__") => name,
            Some(module) => format!("{module}.{name}"),
        }
    }

    /// `result[3]['x']`: the way to the element that was read last, in what is called `name`.
    ///
    /// # Safety
    /// The containers must be alive.
    pub(super) unsafe fn path(&self, open: &[Reading], name: Arguments) -> String {
        let mut path = name.to_string();
        for reading in open {
            let index = reading.done() - 1;
            if reading.kind != value::DICT {
                path.push_str(&format!("[{index}]"));
            } else if index.is_multiple_of(2) {
                path.push_str(&format!(" key {}", index / 2));
            } else {
                // SAFETY: promised by the caller.
                path.push_str(&unsafe { self.key_text(reading.object, index / 2) });
            }
        }
        path
    }

    /// The n-th key of a dict as a subscript.
    unsafe fn key_text(&self, dict: *mut PyObject, n: usize) -> String {
        let api = self.py.api;
        let (mut position, mut key, mut unused) = (0, ptr::null_mut(), ptr::null_mut());
        // SAFETY: promised by the caller; only keys of exact types are looked into, which runs no Python code.
        unsafe {
            for _ in 0..=n {
                (api.PyDict_Next)(dict, &mut position, &mut key, &mut unused);
            }
            let Ok(key) = self.py.borrowed(key) else { return "[?]".into() };
            if key.type_ptr() == api.PyUnicode_Type.0 {
                return format!("['{}']", value::printable(&key.to_text(LONGEST_NAME).unwrap_or_default()));
            }
            if key.type_ptr() == api.PyLong_Type.0 {
                return key.to_i64().map_or_else(|| "[<int>]".into(), |value| format!("[{value}]"));
            }
            format!("[<{}>]", self.type_name(key.type_ptr()))
        }
    }

    /// The depth limit was reached: by a cycle, if a container is among its own ancestors.
    pub(super) unsafe fn too_deep(&self, open: &[Reading], name: Arguments) -> Failure {
        for (depth, reading) in open.iter().enumerate() {
            if let Some(ancestor) = open[..depth].iter().position(|other| other.object == reading.object) {
                // SAFETY: promised by the caller.
                let (inner, outer) = unsafe { (self.path(&open[..depth], name), self.path(&open[..ancestor], name)) };
                return Failure::NotShareable(format!("{inner}: is {outer} itself; a cycle cannot be shared"));
            }
        }
        Failure::NotShareable(format!("{name}: nested deeper than {MAX_DEPTH} levels"))
    }
}
