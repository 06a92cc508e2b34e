//! Values between C and Python: exact, iterative (no recursion: host threads can have small stacks), one block a result.
//!
//! From Python only exact types are taken: a subclass would lose its type or its overrides. Reading them runs no Python
//! code and never releases the GIL, so borrowed references stay valid while a value is read.

use std::collections::TryReserveError;
use std::ffi::{c_char, c_int};
use std::ptr;

use super::types::{PyObject, PyTypeObject};

use super::Failure;
use super::names::Names;
use super::object::{LONGEST_NAME, Obj, Py, PyResult, Raised, cut};
use crate::value::{self, Args, Builder, MAX_DEPTH, OwnedValue, subpy_pair, subpy_value};

/// Makes the Python object of a checked value.
#[inline]
pub fn to_python<'py>(py: Py<'py>, value: &subpy_value) -> PyResult<Obj<'py>> {
    match value.kind {
        value::INT => py.int(value.as_int()),
        value::TUPLE | value::LIST | value::DICT => container(py, value),
        _ => scalar(py, value),
    }
}

fn container<'py>(py: Py<'py>, value: &subpy_value) -> PyResult<Obj<'py>> {
    // The containers on the way from the root to the one that is being filled.
    let mut open = vec![Filling::new(py, *value)?];
    loop {
        let Some(top) = open.last_mut() else { unreachable!("the root returns") };
        if let Some(inner) = top.fill(py)? {
            open.push(Filling::new(py, inner)?);
            continue;
        }
        let done = open.pop().expect("the one that was filled").object;
        match open.last_mut() {
            Some(parent) => parent.put(py, done)?,
            None => return Ok(done),
        }
    }
}

/// A tuple, list or dict that is being filled.
struct Filling<'py> {
    value: subpy_value,
    object: Obj<'py>,
    filled: usize,
    /// A dict's key that waits for its value.
    key: Option<Obj<'py>>,
}

impl<'py> Filling<'py> {
    fn new(py: Py<'py>, value: subpy_value) -> PyResult<Filling<'py>> {
        let len = value.len as isize;
        // SAFETY: attached; new references.
        let object = unsafe {
            py.owned(match value.kind {
                value::TUPLE => (py.api.PyTuple_New)(len),
                value::LIST => (py.api.PyList_New)(len),
                _ => (py.api.PyDict_New)(),
            })?
        };
        Ok(Filling { value, object, filled: 0, key: None })
    }

    /// Puts elements in until there are no more, or one is a container itself: that one.
    fn fill(&mut self, py: Py<'py>) -> PyResult<Option<subpy_value>> {
        while let Some(element) = self.next_element() {
            let object = match element.kind {
                value::INT => py.int(element.as_int())?,
                value::TUPLE | value::LIST | value::DICT => return Ok(Some(*element)),
                _ => scalar(py, element)?,
            };
            self.put(py, object)?;
        }
        Ok(None)
    }

    #[inline]
    fn next_element<'a>(&self) -> Option<&'a subpy_value> {
        // SAFETY: the value was checked before the run began, and what it points to is borrowed until the run ends.
        unsafe {
            if self.value.kind != value::DICT {
                return self.value.items().get(self.filled);
            }
            let pair = self.value.pairs().get(self.filled)?;
            Some(if self.key.is_none() { &pair.key } else { &pair.value })
        }
    }

    #[inline]
    fn put(&mut self, py: Py<'py>, element: Obj<'py>) -> PyResult<()> {
        let at = self.filled as isize;
        // SAFETY: live objects; SetItem takes the reference over, also when it fails (a guest that got hold of the
        // half-filled list through the garbage collector may have shortened it).
        unsafe {
            match self.value.kind {
                value::TUPLE => py.check((py.api.PyTuple_SetItem)(self.object.as_ptr(), at, element.into_ptr()))?,
                value::LIST => py.check((py.api.PyList_SetItem)(self.object.as_ptr(), at, element.into_ptr()))?,
                _ => match self.key.take() {
                    None => {
                        self.key = Some(element);
                        return Ok(());
                    }
                    Some(key) => {
                        py.check((py.api.PyDict_SetItem)(self.object.as_ptr(), key.as_ptr(), element.as_ptr()))?;
                    }
                },
            }
        }
        self.filled += 1;
        Ok(())
    }
}

fn scalar<'py>(py: Py<'py>, value: &subpy_value) -> PyResult<Obj<'py>> {
    // SAFETY: attached; the value was checked, so its bytes are there and text is valid UTF-8. All but the constants
    // are new references.
    unsafe {
        let data = || value.pointer().cast::<c_char>();
        match value.kind {
            value::BOOL => {
                let constant =
                    if value.as_bool() { super::types::Py_CONSTANT_TRUE } else { super::types::Py_CONSTANT_FALSE };
                py.borrowed((py.api.Py_GetConstantBorrowed)(constant))
            }
            value::INT => py.int(value.as_int()),
            value::FLOAT => py.owned((py.api.PyFloat_FromDouble)(value.as_float())),
            value::STR if value.len == 0 => py.str(""),
            value::STR => py.owned((py.api.PyUnicode_DecodeUTF8)(data(), value.len as isize, ptr::null())),
            value::BYTES => py.owned((py.api.PyBytes_FromStringAndSize)(data(), value.len as isize)),
            value::BIGINT => {
                // PyLong_FromString wants a NUL behind the digits. Base 16 takes linear time.
                let mut text = Vec::new();
                text.try_reserve_exact(value.len + 1).map_err(|_| py.no_memory())?;
                text.extend_from_slice(value.bytes());
                text.push(0);
                py.owned((py.api.PyLong_FromString)(text.as_ptr().cast(), ptr::null_mut(), 16))
            }
            _ => py.borrowed(py.none()),
        }
    }
}

/// Most calls have few arguments; they need no allocation.
const FEW: usize = 8;

/// The arguments of a call: strong references in a row.
struct Arguments<'py, 'a> {
    py: Py<'py>,
    places: &'a mut [*mut PyObject],
    len: usize,
}

impl<'py> Arguments<'py, '_> {
    /// No more than there are places.
    #[inline]
    fn push(&mut self, object: Obj<'py>) {
        self.places[self.len] = object.into_ptr();
        self.len += 1;
    }
}

impl Drop for Arguments<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        for object in &self.places[..self.len] {
            // SAFETY: a reference that this owns, in the interpreter that the thread is attached to.
            unsafe { (self.py.api.Py_DecRef)(*object) }
        }
    }
}

/// Calls `callable(*args, **kwargs)`.
#[inline]
pub fn call<'py>(py: Py<'py>, names: &Names, callable: &Obj<'py>, args: Args) -> PyResult<Obj<'py>> {
    let count = args.items.len() + args.kwargs.len();
    if count <= FEW {
        call_with(py, names, callable, args, &mut [ptr::null_mut(); FEW])
    } else {
        let mut places = Vec::new();
        places.try_reserve_exact(count).map_err(|_| py.no_memory())?;
        places.resize(count, ptr::null_mut());
        call_with(py, names, callable, args, &mut places)
    }
}

#[inline]
fn call_with<'py>(
    py: Py<'py>,
    names: &Names,
    callable: &Obj<'py>,
    args: Args,
    places: &mut [*mut PyObject],
) -> PyResult<Obj<'py>> {
    let mut arguments = Arguments { py, places, len: 0 };
    for value in args.items {
        arguments.push(to_python(py, value)?);
    }
    let names = if args.kwargs.is_empty() { None } else { Some(keywords(py, names, args.kwargs, &mut arguments)?) };
    let names = names.as_ref().map_or(ptr::null_mut(), Obj::as_ptr);
    // SAFETY: live objects; first the positional arguments and then one for each of the names.
    unsafe {
        let arguments = arguments.places.as_ptr();
        py.owned((py.api.PyObject_Vectorcall)(callable.as_ptr(), arguments, args.items.len(), names))
    }
}

/// Adds the values, and returns a tuple of the names. Interned, as CPython's own are: parameters are then found by comparing
/// pointers.
fn keywords<'py>(
    py: Py<'py>,
    names: &Names,
    pairs: &[subpy_pair],
    arguments: &mut Arguments<'py, '_>,
) -> PyResult<Obj<'py>> {
    // SAFETY: attached; the keys are checked text; SetItem takes the reference to the key over.
    unsafe {
        // CPython relies on its callers for this.
        if let Some(twice) = twice(pairs).map_err(|_| py.no_memory())? {
            let twice = cut(twice.as_bytes(), LONGEST_NAME).unwrap_or_default();
            let message = format!("got multiple values for keyword argument '{twice}'");
            return Err(py.raise(py.api.PyExc_TypeError.get(), &message));
        }
        let tuple = py.owned((py.api.PyTuple_New)(pairs.len() as isize))?;
        for (index, pair) in pairs.iter().enumerate() {
            let name = names.get(py, text(pair))?;
            py.check((py.api.PyTuple_SetItem)(tuple.as_ptr(), index as isize, name.into_ptr()))?;
            arguments.push(to_python(py, &pair.value)?);
        }
        Ok(tuple)
    }
}

/// A name that is there twice.
fn twice(pairs: &[subpy_pair]) -> Result<Option<&str>, TryReserveError> {
    if pairs.len() <= FEW {
        let comes_again = |(index, name): (usize, &str)| pairs[index + 1..].iter().any(|pair| text(pair) == name);
        return Ok(pairs.iter().map(text).enumerate().find(|it| comes_again(*it)).map(|(_, name)| name));
    }
    let mut sorted: Vec<&str> = Vec::new();
    sorted.try_reserve_exact(pairs.len())?;
    sorted.extend(pairs.iter().map(text));
    sorted.sort_unstable();
    Ok(sorted.windows(2).find(|two| two[0] == two[1]).map(|two| two[0]))
}

fn text(pair: &subpy_pair) -> &str {
    // SAFETY: a checked key is UTF-8.
    unsafe { std::str::from_utf8_unchecked(pair.key.bytes()) }
}

/// Why an object has no value.
enum Refused {
    /// Not shareable, with what to say of it.
    Because(String),
    NoMemory,
}

/// Makes the value of a Python object. The result is None before.
#[inline]
pub fn from_python(py: Py, object: &Obj, result: &mut OwnedValue) -> Result<(), Box<Failure>> {
    // SAFETY: a live object.
    if let Some(value) = unsafe { int(py, object.as_ptr()) } {
        *result = OwnedValue::int(value);
    } else if !object.is_none() {
        *result = from_any(py, object)?;
    }
    Ok(())
}

/// The value of an int, when it is one that fits 64 bits: most of what is read.
///
/// # Safety
/// The object must be alive.
#[inline]
unsafe fn int(py: Py, object: *mut PyObject) -> Option<i64> {
    // SAFETY: promised by the caller; the getter is called for its exact type alone.
    unsafe {
        if (py.api.Py_TYPE)(object) != py.api.PyLong_Type.0 {
            return None;
        }
        let mut overflow: c_int = 0;
        let value = (py.api.PyLong_AsLongLongAndOverflow)(object, &mut overflow);
        (overflow == 0).then_some(value)
    }
}

fn from_any(py: Py, object: &Obj) -> Result<OwnedValue, Failure> {
    let mut builder = Builder::new();
    let reader = Reader { py };
    // SAFETY: `object` is a strong reference; see Reader.
    let root = match unsafe { reader.shallow(object.as_ptr(), &mut builder) } {
        Ok(root) => root,
        Err(refused) => return Err(failure(refused, "result")),
    };
    if !matches!(root.kind, value::TUPLE | value::LIST | value::DICT) {
        return builder.finish(root).ok_or(Failure::NoMemory);
    }
    let mut open = vec![Reading { object: object.as_ptr(), array: root.u_offset(), ..Reading::new(&root) }];
    while let Some(top) = open.last_mut() {
        // SAFETY: containers are alive: their root is, and nothing runs that could change them.
        match unsafe { reader.read(top, &mut builder) } {
            Ok(None) => drop(open.pop()),
            // SAFETY: as above.
            Ok(Some(_)) if open.len() == MAX_DEPTH => return Err(unsafe { reader.too_deep(&open) }),
            Ok(Some(inner)) => open.push(inner),
            // SAFETY: as above.
            Err(refused) => return Err(failure(refused, &unsafe { reader.path(&open) })),
        }
    }
    builder.finish(root).ok_or(Failure::NoMemory)
}

fn failure(refused: Refused, path: &str) -> Failure {
    match refused {
        Refused::Because(reason) => Failure::NotShareable(format!("{path}: {reason}")),
        Refused::NoMemory => Failure::NoMemory,
    }
}

impl subpy_value {
    /// Where the elements of a container lie in the block that is being built.
    fn u_offset(&self) -> usize {
        self.as_int() as usize
    }
}

/// A container that is being read.
struct Reading {
    object: *mut PyObject,
    kind: i32,
    /// Elements that there was room made for (a dict's keys and values count one each) and the ones that were read.
    len: usize,
    done: usize,
    /// Where its values go in the block.
    array: usize,
    /// PyDict_Next's position, and the value that belongs to the key that was read last.
    position: isize,
    value: *mut PyObject,
}

impl Reading {
    fn new(value: &subpy_value) -> Reading {
        let len = if value.kind == value::DICT { value.len * 2 } else { value.len };
        Reading {
            object: ptr::null_mut(),
            kind: value.kind,
            len,
            done: 0,
            array: 0,
            position: 0,
            value: ptr::null_mut(),
        }
    }
}

struct Reader<'py> {
    py: Py<'py>,
}

impl Reader<'_> {
    /// The next element of a container, borrowed.
    ///
    /// # Safety
    /// The container must be alive.
    #[inline]
    unsafe fn next(&self, reading: &mut Reading) -> Option<*mut PyObject> {
        if reading.done == reading.len {
            return None;
        }
        let api = self.py.api;
        let index = reading.done;
        reading.done += 1;
        // SAFETY: promised by the caller; the getters check the index and the type, and CPython's answer NULL (never
        // seen: nothing can shorten the container meanwhile) reads as None.
        let element = unsafe {
            match reading.kind {
                value::TUPLE => (api.PyTuple_GetItem)(reading.object, index as isize),
                value::LIST => (api.PyList_GetItem)(reading.object, index as isize),
                _ if !index.is_multiple_of(2) => reading.value,
                _ => {
                    let mut key = ptr::null_mut();
                    (api.PyDict_Next)(reading.object, &mut reading.position, &mut key, &mut reading.value);
                    key
                }
            }
        };
        Some(if element.is_null() { self.py.none() } else { element })
    }

    /// Reads elements until there are no more, or one is a container itself: that one, with room for its elements.
    ///
    /// # Safety
    /// The container must be alive.
    unsafe fn read(&self, top: &mut Reading, builder: &mut Builder) -> Result<Option<Reading>, Refused> {
        // SAFETY: promised by the caller; elements are borrowed from their container.
        unsafe {
            while let Some(element) = self.next(top) {
                let at = top.array + (top.done - 1) * size_of::<subpy_value>();
                if let Some(value) = int(self.py, element) {
                    builder.write(at, subpy_value::int(value));
                    continue;
                }
                let value = self.shallow(element, builder)?;
                builder.write(at, value);
                if matches!(value.kind, value::TUPLE | value::LIST | value::DICT) {
                    return Ok(Some(Reading { object: element, array: value.u_offset(), ..Reading::new(&value) }));
                }
            }
        }
        Ok(None)
    }

    /// The value of an object, a container's elements still None. Data goes into the block; pointers are offsets.
    ///
    /// # Safety
    /// The object must be alive.
    unsafe fn shallow(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let no_memory = |offset: Option<usize>| offset.ok_or(Refused::NoMemory);
        // SAFETY: promised by the caller; each getter is called for its exact type alone.
        unsafe {
            let kind = (api.Py_TYPE)(object);
            if kind == api.PyLong_Type.0 {
                return self.int(object, builder);
            }
            if kind == api.PyUnicode_Type.0 {
                return self.text(object, builder);
            }
            if kind == api.PyFloat_Type.0 {
                return Ok(subpy_value::float((api.PyFloat_AsDouble)(object)));
            }
            if object == self.py.none() {
                return Ok(subpy_value::none());
            }
            if kind == api.PyBool_Type.0 {
                return Ok(subpy_value::bool(object == (api.Py_GetConstantBorrowed)(super::types::Py_CONSTANT_TRUE)));
            }
            let container = |kind, len: isize, each: usize, builder: &mut Builder| {
                let len = usize::try_from(len).unwrap_or(0);
                let start = no_memory(len.checked_mul(each).and_then(|count| builder.array(count)))?;
                Ok(subpy_value::at_offset(kind, start, len))
            };
            if kind == api.PyList_Type.0 {
                return container(value::LIST, (api.PyList_Size)(object), 1, builder);
            }
            if kind == api.PyTuple_Type.0 {
                return container(value::TUPLE, (api.PyTuple_Size)(object), 1, builder);
            }
            if kind == api.PyDict_Type.0 {
                return container(value::DICT, (api.PyDict_Size)(object), 2, builder);
            }
            if kind == api.PyBytes_Type.0 {
                let (mut data, mut len) = (ptr::null_mut(), 0);
                (api.PyBytes_AsStringAndSize)(object, &mut data, &mut len);
                return bytes(data, len, builder);
            }
            if kind == api.PyByteArray_Type.0 {
                return bytes((api.PyByteArray_AsString)(object), (api.PyByteArray_Size)(object), builder);
            }
            if kind == api.PyMemoryView_Type.0 {
                return self.memoryview(object, builder);
            }
            Err(Refused::Because(self.why_not(object)))
        }
    }

    unsafe fn int(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let mut overflow: c_int = 0;
        // SAFETY: an exact int (`shallow`); NativeBytes is asked for the size first and then given that much room.
        unsafe {
            let value = (api.PyLong_AsLongLongAndOverflow)(object, &mut overflow);
            if overflow == 0 {
                return Ok(subpy_value::int(value));
            }
            // Big-endian two's complement (flags 0), from which hexadecimal takes linear time.
            let size = (api.PyLong_AsNativeBytes)(object, ptr::null_mut(), 0, 0);
            let len = usize::try_from(size).map_err(|_| Refused::NoMemory)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).map_err(|_| Refused::NoMemory)?;
            bytes.resize(len, 0u8);
            (api.PyLong_AsNativeBytes)(object, bytes.as_mut_ptr().cast(), size, 0);
            let text = hexadecimal(bytes, overflow < 0).map_err(|_| Refused::NoMemory)?;
            let start = builder.append(text.as_bytes(), false).ok_or(Refused::NoMemory)?;
            Ok(subpy_value::at_offset(value::BIGINT, start, text.len()))
        }
    }

    unsafe fn text(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let mut len = 0;
        // SAFETY: an exact str (`shallow`); the text lives as long as the object.
        unsafe {
            let data = (api.PyUnicode_AsUTF8AndSize)(object, &mut len);
            if data.is_null() {
                return Err(self.why_no_text());
            }
            let start = builder.append(std::slice::from_raw_parts(data.cast(), len as usize), false);
            Ok(subpy_value::at_offset(value::STR, start.ok_or(Refused::NoMemory)?, len as usize))
        }
    }

    /// The exception that PyUnicode_AsUTF8AndSize set: a lone surrogate, or no memory.
    fn why_no_text(&self) -> Refused {
        let Some(exception) = self.py.take_exception() else { return Refused::NoMemory };
        let position = exception.attr(c"start").ok().and_then(|start| start.to_i64());
        self.py.clear();
        match position {
            Some(position) => Refused::Because(format!(
                "str with a lone surrogate at index {position} cannot be shared, return text.encode('utf-8', 'surrogatepass')"
            )),
            None => Refused::NoMemory,
        }
    }

    unsafe fn memoryview(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        // SAFETY: an exact memoryview (`shallow`). All bytes zero is a Py_buffer that nothing was put into.
        unsafe {
            let mut view: super::types::Py_buffer = std::mem::zeroed();
            if (api.PyObject_GetBuffer)(object, &mut view, super::types::PyBUF_FULL_RO) != 0 {
                self.py.clear();
                return Err(Refused::Because("a released memoryview cannot be shared".into()));
            }
            let format = if view.format.is_null() { b"B" } else { std::ffi::CStr::from_ptr(view.format).to_bytes() };
            let fits = view.ndim == 1
                && (api.PyBuffer_IsContiguous)(&view, b'C' as c_char) != 0
                && matches!(format, b"B" | b"b" | b"c");
            let result = if fits {
                bytes(view.buf.cast(), view.len, builder)
            } else {
                Err(Refused::Because(format!(
                    "memoryview of format {:?} with {} dimension(s) cannot be shared, return bytes(view)",
                    cut(format, LONGEST_NAME).unwrap_or_default(),
                    view.ndim
                )))
            };
            (api.PyBuffer_Release)(&mut view);
            result
        }
    }

    /// What to say of an object of a type that has no value.
    unsafe fn why_not(&self, object: *mut PyObject) -> String {
        let api = self.py.api;
        // SAFETY: promised by the caller; a type is alive as long as its object.
        unsafe {
            let kind = (api.Py_TYPE)(object);
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
    unsafe fn type_name(&self, kind: *mut PyTypeObject) -> String {
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

    /// `result[3]['x']`: the way to the element that was read last.
    ///
    /// # Safety
    /// The containers must be alive.
    unsafe fn path(&self, open: &[Reading]) -> String {
        let mut path = String::from("result");
        for reading in open {
            let index = reading.done - 1;
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
    unsafe fn too_deep(&self, open: &[Reading]) -> Failure {
        for (depth, reading) in open.iter().enumerate() {
            if let Some(ancestor) = open[..depth].iter().position(|other| other.object == reading.object) {
                // SAFETY: promised by the caller.
                let (inner, outer) = unsafe { (self.path(&open[..depth]), self.path(&open[..ancestor])) };
                return Failure::NotShareable(format!("{inner}: is {outer} itself; a cycle cannot be shared"));
            }
        }
        Failure::NotShareable(format!("result: nested deeper than {MAX_DEPTH} levels"))
    }
}

/// A BYTES value.
unsafe fn bytes(data: *const c_char, len: isize, builder: &mut Builder) -> Result<subpy_value, Refused> {
    let len = if data.is_null() { 0 } else { len as usize };
    // SAFETY: CPython's pointer to that many bytes; it may be NULL when there are none.
    let data = unsafe { if len == 0 { &[] } else { std::slice::from_raw_parts(data.cast(), len) } };
    let start = builder.append(data, false).ok_or(Refused::NoMemory)?;
    Ok(subpy_value::at_offset(value::BYTES, start, len))
}

/// `-0x1ff` of a big-endian two's complement number.
fn hexadecimal(mut bytes: Vec<u8>, negative: bool) -> Result<String, TryReserveError> {
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (value, overflow) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (value, overflow);
        }
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).skip_while(|digit| *digit == 0);
    let mut text = String::new();
    text.try_reserve_exact(bytes.len() * 2 + 3)?;
    text.push_str(if negative { "-0x" } else { "0x" });
    text.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    Ok(text)
}

/// Raises what CPython raises for a name that is missing: used by those who look names up themselves.
pub fn no_attribute(py: Py, message: &str) -> Raised {
    py.raise(py.api.PyExc_AttributeError.get(), message)
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn twos_complement_becomes_signed_hexadecimal() {
        assert_eq!(hexadecimal(vec![0x00, 0x80, 0, 0, 0, 0, 0, 0, 0], false).unwrap(), "0x8000000000000000");
        assert_eq!(
            hexadecimal(vec![0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], true).unwrap(),
            "-0x8000000000000001"
        );
        assert_eq!(hexadecimal(vec![0xff, 0x00], true).unwrap(), "-0x100");
        assert_eq!(hexadecimal(vec![0x80, 0x00], true).unwrap(), "-0x8000");
    }
}
