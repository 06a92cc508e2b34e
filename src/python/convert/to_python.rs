//! Values to Python objects.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use super::super::buffers::view;
use super::super::object::{Obj, Py, PyResult, Raised};
use super::super::own::Own;
use super::super::types::PyObject;
use super::super::{objects, queue};
use super::stand_in::StandIns;
use super::tagged;
use crate::value::{self, subpy_value};

/// Makes the Python object of a checked value.
#[inline]
pub fn to_python<'py>(py: Py<'py>, own: &Arc<Own>, value: &subpy_value) -> PyResult<Obj<'py>> {
    match value.kind {
        value::INT => py.int(value.as_int()),
        value::TUPLE | value::LIST | value::DICT => container(py, own, value),
        _ => other_scalar(py, own, value),
    }
}

fn container<'py>(py: Py<'py>, own: &Arc<Own>, root: &subpy_value) -> PyResult<Obj<'py>> {
    // The containers on the way from the root to the one that is being filled.
    let mut outer: Vec<Filling> = Vec::new();
    let mut filling = Filling::new(py, root)?;
    loop {
        let Ok(inner) = filling.fill(py, own) else { return Err(not_filled(py, filling, outer)) };
        if let Some(inner) = inner {
            outer.push(std::mem::replace(&mut filling, Filling::new(py, inner)?));
            continue;
        }
        if filling.tag != 0 {
            filling = restored(py, own, filling, &outer)?;
        }
        let Some(parent) = outer.pop() else { return Ok(filling.object) };
        let done = std::mem::replace(&mut filling, parent).object;
        filling.put(py, own, done)?;
    }
}

/// A container, now what it stands for.
#[cold]
#[inline(never)]
fn restored<'py, 'a>(
    py: Py<'py>,
    own: &Arc<Own>,
    filling: Filling<'py, 'a>,
    outer: &[Filling],
) -> PyResult<Filling<'py, 'a>> {
    let Filling { object, tag, .. } = filling;
    let object = StandIns { py, own }.restore(tag, object).map_err(|Raised| say_where(py, outer))?;
    Ok(Filling { object, key: None, ..filling })
}

#[cold]
#[inline(never)]
fn not_filled<'py, 'a>(py: Py<'py>, filling: Filling<'py, 'a>, mut outer: Vec<Filling<'py, 'a>>) -> Raised {
    // What has no tag does not depend on Python's opinion of it.
    if filling.element().is_some_and(|element| element.tag() != 0) {
        outer.push(filling);
        say_where(py, &outer);
    }
    Raised
}

/// Puts the way to a value, through these containers, in front of the exception's message.
#[cold]
fn say_where(py: Py, outer: &[Filling]) -> Raised {
    // SAFETY: all values were checked.
    tagged::say_where(py, || unsafe {
        value::path_of(outer.iter().map(|level| (level.kind, level.elements, level.place())))
    })
}

/// A tuple, list or dict that is being filled.
struct Filling<'py, 'a> {
    kind: i32,
    /// What the value stands for.
    tag: u32,
    object: Obj<'py>,
    /// What it is made of (a dict's are key, value, key, value...), and how much of that is in it.
    elements: &'a [subpy_value],
    filled: usize,
    /// A dict's key that is no str and waits for its value.
    key: Option<Obj<'py>>,
    /// The dict has such a key.
    mixed: bool,
}

impl<'py, 'a> Filling<'py, 'a> {
    fn new(py: Py<'py>, value: &'a subpy_value) -> PyResult<Filling<'py, 'a>> {
        let len = value.len as isize;
        // SAFETY: attached; new references. The value was checked before the run began, and what it points to is
        // borrowed until the run ends.
        let (object, elements) = unsafe {
            let object = match value.kind {
                value::TUPLE => (py.api.PyTuple_New)(len),
                value::LIST => (py.api.PyList_New)(len),
                _ => (py.api.PyDict_New)(),
            };
            (py.owned(object)?, value.elements())
        };
        Ok(Filling { kind: value.kind, tag: value.tag(), object, elements, filled: 0, key: None, mixed: false })
    }

    /// The place of the element that is to be put in.
    fn place(&self) -> usize {
        let has_key = || self.key.is_some() || self.elements.get(self.filled).is_some_and(is_text);
        self.filled + usize::from(self.kind == value::DICT && has_key())
    }

    fn element(&self) -> Option<&'a subpy_value> {
        self.elements.get(self.place())
    }

    /// Puts elements in until there are no more, or one is a container itself: that one.
    fn fill(&mut self, py: Py<'py>, own: &Arc<Own>) -> PyResult<Option<&'a subpy_value>> {
        match self.kind {
            value::DICT => self.fill_dict(py, own),
            _ => self.fill_row(py, own),
        }
    }

    fn fill_row(&mut self, py: Py<'py>, own: &Arc<Own>) -> PyResult<Option<&'a subpy_value>> {
        while let Some(element) = self.elements.get(self.filled) {
            // Rows of numbers come first.
            let object = match element.kind {
                value::INT => py.int(element.as_int())?,
                value::FLOAT => float(py, element)?,
                value::TUPLE | value::LIST | value::DICT => return Ok(Some(element)),
                _ => other_scalar(py, own, element)?,
            };
            self.put_row(py, object)?;
        }
        Ok(None)
    }

    #[inline]
    fn put_row(&mut self, py: Py<'py>, element: Obj<'py>) -> PyResult<()> {
        let set = if self.kind == value::TUPLE { py.api.PyTuple_SetItem } else { py.api.PyList_SetItem };
        // SAFETY: live objects; SetItem takes the reference over, also when it fails (a guest that got hold of the
        // half-filled list through the garbage collector may have shortened it).
        py.check(unsafe { set(self.object.as_ptr(), self.filled as isize, element.into_ptr()) })?;
        self.filled += 1;
        Ok(())
    }

    fn fill_dict(&mut self, py: Py<'py>, own: &Arc<Own>) -> PyResult<Option<&'a subpy_value>> {
        while let [key, value, ..] = &self.elements[self.filled..] {
            if is_text(key) && !self.mixed {
                if value.is_container() {
                    return Ok(Some(value));
                }
                // The key is looked up when its value is there, and the constants need not be counted.
                let (made, object) = match constant(py, value) {
                    Some(constant) => (None, constant),
                    None => {
                        let made = scalar(py, own, value)?;
                        let object = made.as_ptr();
                        (Some(made), object)
                    }
                };
                // SAFETY: a checked text; the object is alive as long as `made`, or for good.
                unsafe { own.names.set_item(py, &self.object, key.text(), object)? };
                drop(made);
                self.filled += 2;
                continue;
            }
            let element = if is_text(key) || self.key.is_some() { value } else { key };
            if element.is_container() {
                return Ok(Some(element));
            }
            self.put(py, own, scalar(py, own, element)?)?;
        }
        Ok(None)
    }

    /// Puts in what `fill` stopped at.
    fn put(&mut self, py: Py<'py>, own: &Arc<Own>, element: Obj<'py>) -> PyResult<()> {
        if self.kind != value::DICT {
            return self.put_row(py, element);
        }
        let key = &self.elements[self.filled];
        let key = match self.key.take() {
            Some(key) => key,
            // SAFETY: a checked text.
            None if is_text(key) => own.names.key(py, unsafe { key.text() })?,
            None => {
                (self.key, self.mixed) = (Some(element), true);
                return Ok(());
            }
        };
        // SAFETY: live objects.
        py.check(unsafe { (py.api.PyDict_SetItem)(self.object.as_ptr(), key.as_ptr(), element.as_ptr()) })?;
        self.filled += 2;
        Ok(())
    }
}

/// A str, and nothing else in the form of one. The root of a result is none either, which only takes longer then.
#[inline]
fn is_text(value: &subpy_value) -> bool {
    value.head() == value::STR as u64
}

/// None, True and False: borrowed and immortal.
#[inline]
fn constant(py: Py, value: &subpy_value) -> Option<*mut PyObject> {
    match value.kind {
        value::NONE => Some(py.none()),
        value::BOOL if value.as_bool() => Some(py.api._Py_TrueStruct.0),
        value::BOOL => Some(py.api._Py_FalseStruct.0),
        _ => None,
    }
}

#[inline(always)]
fn float<'py>(py: Py<'py>, value: &subpy_value) -> PyResult<Obj<'py>> {
    // SAFETY: attached; a new reference.
    unsafe { py.owned((py.api.PyFloat_FromDouble)(value.as_float())) }
}

#[inline(always)]
fn scalar<'py>(py: Py<'py>, own: &Arc<Own>, value: &subpy_value) -> PyResult<Obj<'py>> {
    // SAFETY: attached; the value was checked, so its bytes are there and text is valid UTF-8. All but the constants
    // are new references.
    unsafe {
        match value.kind {
            value::INT => py.int(value.as_int()),
            value::STR if value.tag() != 0 => tagged_text(py, own, value),
            value::STR => py.str(value.text()),
            value::FLOAT => py.owned((py.api.PyFloat_FromDouble)(value.as_float())),
            value::BYTES => {
                let data = value.pointer().cast::<c_char>();
                py.owned((py.api.PyBytes_FromStringAndSize)(data, value.len as isize))
            }
            value::BIGINT => bigint(py, value.text()),
            _ => match constant(py, value) {
                Some(constant) => py.borrowed(constant),
                None => handle(py, own, value),
            },
        }
    }
}

fn other_scalar<'py>(py: Py<'py>, own: &Arc<Own>, value: &subpy_value) -> PyResult<Obj<'py>> {
    scalar(py, own, value)
}

/// An object that a checked text stands for.
#[cold]
#[inline(never)]
fn tagged_text<'py>(py: Py<'py>, own: &Own, value: &subpy_value) -> PyResult<Obj<'py>> {
    // SAFETY: a checked text.
    let text = py.str(unsafe { value.text() })?;
    StandIns { py, own }.restore(value.tag(), text).map_err(|Raised| say_where(py, &[]))
}

/// What lies elsewhere.
#[cold]
fn handle<'py>(py: Py<'py>, own: &Arc<Own>, value: &subpy_value) -> PyResult<Obj<'py>> {
    if value.is_claimed() {
        // SAFETY: the library's own mark: the block is alive as long as the value is.
        return unsafe { view(py, own, value) };
    }
    if value.kind == value::QUEUE {
        return queue::to_python(py, value.as_int().cast_unsigned());
    }
    objects::to_python(py, own, value.as_int().cast_unsigned())
}

#[cold]
fn bigint<'py>(py: Py<'py>, digits: &str) -> PyResult<Obj<'py>> {
    // PyLong_FromString wants a NUL behind the digits. Base 16 takes linear time.
    let mut text = Vec::new();
    text.try_reserve_exact(digits.len() + 1).map_err(|_| py.no_memory())?;
    text.extend_from_slice(digits.as_bytes());
    text.push(0);
    // SAFETY: attached; digits that end with a NUL; a new reference.
    unsafe { py.owned((py.api.PyLong_FromString)(text.as_ptr().cast(), ptr::null_mut(), 16)) }
}
