//! The classes behind tagged values: those of the standard library, found once an interpreter, and classes by name. They
//! are looked for in dicts alone, where finding them runs no Python code.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::ptr;

use super::super::names::Names;
use super::super::object::{LONGEST_NAME, Obj, Py, PyResult};
use super::super::types::{self, PyObject, PyTypeObject};

/// A class of the standard library, or something else in a module.
#[derive(Clone, Copy)]
pub(super) enum Known {
    Date,
    Time,
    DateTime,
    TimeDelta,
    TimeZone,
    Decimal,
    Uuid,
    EnumType,
    Field,
    /// What says that a field is one, and no pseudo-field.
    IsField,
}

impl Known {
    /// The module that has it, and its name there.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Known::Date => ("_datetime", "date"),
            Known::Time => ("_datetime", "time"),
            Known::DateTime => ("_datetime", "datetime"),
            Known::TimeDelta => ("_datetime", "timedelta"),
            Known::TimeZone => ("_datetime", "timezone"),
            Known::Decimal => ("_decimal", "Decimal"),
            Known::Uuid => ("uuid", "UUID"),
            Known::EnumType => ("enum", "EnumType"),
            Known::Field => ("dataclasses", "Field"),
            Known::IsField => ("dataclasses", "_FIELD"),
        }
    }

    /// The class is CPython's own, in C: its methods run no Python code, and nobody can change them.
    fn is_native(self) -> bool {
        !matches!(self, Known::Uuid | Known::EnumType | Known::Field | Known::IsField)
    }
}

const KNOWN: usize = Known::IsField as usize + 1;

/// What one interpreter has found of it: strong references.
pub struct Classes(UnsafeCell<[*mut PyObject; KNOWN]>);

impl Default for Classes {
    fn default() -> Classes {
        Classes(UnsafeCell::new([ptr::null_mut(); KNOWN]))
    }
}

// SAFETY: used with the GIL of the interpreter alone, and borrowed only while nothing runs that could give it away or
// come back here.
unsafe impl Send for Classes {}
// SAFETY: as above.
unsafe impl Sync for Classes {}

impl Classes {
    /// Borrowed, until the interpreter ends; None when its module was not imported yet. Leaves no exception behind.
    pub(super) fn find(&self, py: Py, names: &Names, known: Known) -> Option<*mut PyObject> {
        // SAFETY: the GIL is held, and reading a pointer gives it to nobody.
        let found = unsafe { (*self.0.get())[known as usize] };
        if !found.is_null() {
            return Some(found);
        }
        self.search(py, names, known)
    }

    #[cold]
    fn search(&self, py: Py, names: &Names, known: Known) -> Option<*mut PyObject> {
        let (module, name) = known.place();
        let found = in_module(py, names, module, name)?;
        // SAFETY: the flags of a class, when it is one. The table is borrowed only to write a pointer.
        unsafe {
            let native = || (py.api.PyType_GetFlags)(found.as_ptr().cast()) & types::Py_TPFLAGS_IMMUTABLETYPE != 0;
            if known.is_native() && !(is_class(py, &found) && native()) {
                return None;
            }
            let found = found.into_ptr();
            let before = std::mem::replace(&mut (&mut *self.0.get())[known as usize], found);
            (py.api.Py_DecRef)(before);
            Some(found)
        }
    }

    /// The same; its module is imported if it was not yet.
    pub(super) fn import<'py>(&self, py: Py<'py>, names: &Names, known: Known) -> PyResult<Obj<'py>> {
        let mut found = self.find(py, names, known);
        if found.is_none() {
            let module = match known.place().0 {
                "_datetime" => "datetime",
                "_decimal" => "decimal",
                module => module,
            };
            py.import(&names.get(py, module)?)?;
            found = self.find(py, names, known);
        }
        match found {
            // SAFETY: alive until the interpreter ends.
            Some(found) => unsafe { py.borrowed(found) },
            None => {
                let (module, name) = known.place();
                Err(py.raise(py.api.PyExc_ImportError.get(), &format!("{module}.{name} is not what CPython has there")))
            }
        }
    }

    /// Gives all back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        // SAFETY: the GIL is held; references that were kept, or NULL, which Py_DecRef ignores.
        unsafe {
            let all = std::mem::replace(&mut *self.0.get(), [ptr::null_mut(); KNOWN]);
            all.into_iter().for_each(|kept| (py.api.Py_DecRef)(kept));
        }
    }
}

/// What an imported module has by that name, without `__getattr__`. Leaves no exception behind.
fn in_module<'py>(py: Py<'py>, names: &Names, module: &str, name: &str) -> Option<Obj<'py>> {
    let modules = py.sys(c"modules")?;
    let module = item(py, names, &modules, module)?;
    // SAFETY: a live object; the dict is borrowed from the module, and NULL with an exception if it is none.
    let dict = unsafe { py.borrowed((py.api.PyModule_GetDict)(module.as_ptr())) };
    match dict {
        Ok(dict) => item(py, names, &dict, name),
        Err(_) => {
            py.clear();
            None
        }
    }
}

/// `dict[key]`, if it is there, and if that is a dict. Leaves no exception behind.
pub(super) fn item<'py>(py: Py<'py>, names: &Names, dict: &Obj<'py>, key: &str) -> Option<Obj<'py>> {
    let key = names.get(py, key).map_err(|_| py.clear()).ok()?;
    item_of(py, dict, &key)
}

/// The same with a key that is an object: a str.
pub(super) fn item_of<'py>(py: Py<'py>, dict: &Obj<'py>, key: &Obj<'py>) -> Option<Obj<'py>> {
    if dict.type_ptr() != py.api.PyDict_Type.0 {
        return None;
    }
    // SAFETY: a live dict and a live str; a new reference, or NULL.
    unsafe {
        let mut found = ptr::null_mut();
        if (py.api.PyDict_GetItemRef)(dict.as_ptr(), key.as_ptr(), &mut found) < 0 {
            py.clear();
        }
        py.owned(found).ok()
    }
}

pub(super) fn is_class(py: Py, object: &Obj) -> bool {
    // SAFETY: live types.
    unsafe { (py.api.PyType_IsSubtype)(object.type_ptr(), py.api.PyType_Type.0) != 0 }
}

/// What a class itself, not its bases, has by that name.
///
/// # Safety
/// The class must be alive.
unsafe fn in_class<'py>(py: Py<'py>, class: *mut PyTypeObject, name: &Obj<'py>) -> Option<Obj<'py>> {
    // SAFETY: promised by the caller; a new reference.
    match unsafe { py.owned((py.api.PyType_GetDict)(class)) } {
        Ok(dict) => item_of(py, &dict, name),
        Err(_) => {
            py.clear();
            None
        }
    }
}

/// What a class or one of its bases has by that name, as it lies there.
///
/// # Safety
/// The class must be alive.
pub(super) unsafe fn inherited<'py>(
    py: Py<'py>,
    names: &Names,
    class: *mut PyTypeObject,
    name: &str,
) -> Option<Obj<'py>> {
    let name = names.get(py, name).map_err(|_| py.clear()).ok()?;
    // SAFETY: promised by the caller. `type.__mro__` is read by CPython's own descriptor: a metaclass could have
    // another. The tuple's items are borrowed from it.
    unsafe {
        let mro = names.get(py, "__mro__").map_err(|_| py.clear()).ok()?;
        let mro = in_class(py, py.api.PyType_Type.0, &mro)?;
        let mro = get(py, &mro, class.cast())?;
        let len = (py.api.PyTuple_Size)(mro.as_ptr());
        (0..len).find_map(|index| in_class(py, (py.api.PyTuple_GetItem)(mro.as_ptr(), index).cast(), &name))
    }
}

/// What a slot of an object holds: the value of a member descriptor, which is C's. None for any other descriptor, and
/// when it holds nothing. Leaves no exception behind.
///
/// # Safety
/// The object must be alive.
pub(super) unsafe fn member<'py>(py: Py<'py>, descriptor: &Obj<'py>, object: *mut PyObject) -> Option<Obj<'py>> {
    // SAFETY: promised by the caller.
    if is_member(py, descriptor) { unsafe { get(py, descriptor, object) } } else { None }
}

/// What a descriptor of C's gives for an object. Leaves no exception behind.
///
/// # Safety
/// The object must be alive.
unsafe fn get<'py>(py: Py<'py>, descriptor: &Obj<'py>, object: *mut PyObject) -> Option<Obj<'py>> {
    // SAFETY: promised by the caller; a descriptor has this function, of this type (Include/object.h: descrgetfunc),
    // which checks what it is given and returns a new reference, or NULL with an exception.
    unsafe {
        type Get = unsafe extern "C" fn(*mut PyObject, *mut PyObject, *mut PyObject) -> *mut PyObject;
        let get = (py.api.PyType_GetSlot)(descriptor.type_ptr(), types::Py_tp_descr_get as c_int);
        let get = std::mem::transmute::<*mut std::ffi::c_void, Option<Get>>(get)?;
        let found = get(descriptor.as_ptr(), object, py.api.type_of(object).cast());
        py.owned(found).map_err(|_| py.clear()).ok()
    }
}

pub(super) fn is_member(py: Py, descriptor: &Obj) -> bool {
    descriptor.type_ptr() == py.api.PyMemberDescr_Type.0
}

/// `module:qualname` of a class. None: it has no such names.
///
/// # Safety
/// The class must be alive.
pub(super) unsafe fn name_of(py: Py, class: *mut PyTypeObject) -> Option<String> {
    // SAFETY: promised by the caller; new references, or NULL with an exception.
    unsafe {
        let text = |object| {
            let text = py.owned(object).ok().and_then(|object| object.to_text(LONGEST_NAME));
            py.clear();
            text
        };
        let module = text((py.api.PyType_GetModuleName)(class))?;
        let name = text((py.api.PyType_GetQualName)(class))?;
        Some(format!("{module}:{name}"))
    }
}

/// The class of that name, in a module that was imported; nothing is imported for it.
pub(super) fn by_name<'py>(py: Py<'py>, names: &Names, name: &str) -> Option<Obj<'py>> {
    let (module, path) = name.split_once(':')?;
    let mut parts = path.split('.');
    let mut class = in_module(py, names, module, parts.next()?)?;
    for part in parts {
        if !is_class(py, &class) {
            return None;
        }
        let part = names.get(py, part).map_err(|_| py.clear()).ok()?;
        // SAFETY: a live class.
        class = unsafe { in_class(py, class.as_ptr().cast(), &part)? };
    }
    is_class(py, &class).then_some(class)
}
