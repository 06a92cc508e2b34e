//! Tagged values to Python objects. An object is made of the plain one that the value is without its tag.

use std::ffi::c_int;

use super::super::object::{LONGEST_NAME, Obj, Py, PyResult, Raised};
use super::classes::{Known, by_name, inherited, is_class, item, item_of};
use super::stand_in::{DataclassFields, StandIns};
use crate::value::tag;

/// Include/object.h
const PY_EQ: c_int = 2;

impl<'py> StandIns<'py, '_> {
    /// The object that a tag and a plain object stand for; an exception when they do not fit.
    #[cold]
    pub(super) fn restore(self, tag: u32, plain: Obj<'py>) -> PyResult<Obj<'py>> {
        let plain = &plain;
        let (py, api) = (self.py, self.py.api);
        let class = |known| self.own.classes.import(py, &self.own.names, known);
        let from_iso = |known| class(known)?.attr(c"fromisoformat")?.call(&[plain]);
        // SAFETY: attached; live objects; a checked COMPLEX is a tuple of two floats; new references.
        unsafe {
            match tag {
                tag::SET => py.owned((api.PySet_New)(plain.as_ptr())),
                tag::FROZENSET => py.owned((api.PyFrozenSet_New)(plain.as_ptr())),
                tag::COMPLEX => {
                    let part = |index| (api.PyFloat_AsDouble)((api.PyTuple_GetItem)(plain.as_ptr(), index));
                    py.owned((api.PyComplex_FromDoubles)(part(0), part(1)))
                }
                tag::DATE => from_iso(Known::Date),
                tag::TIME => from_iso(Known::Time),
                tag::DATETIME => from_iso(Known::DateTime),
                tag::TIMEDELTA => {
                    let [days, seconds, microseconds] = parts(py, plain)?;
                    class(Known::TimeDelta)?.call(&[&days, &seconds, &microseconds])
                }
                tag::DECIMAL => class(Known::Decimal)?.call(&[plain]),
                tag::UUID => class(Known::Uuid)?.call(&[plain]),
                tag::ENUM => self.member(plain),
                _ => self.instance(plain),
            }
        }
    }

    /// A member of an Enum, by its name; its value must be the one that came with it.
    fn member(self, plain: &Obj<'py>) -> PyResult<Obj<'py>> {
        let py = self.py;
        let [class_name, name, value] = parts(py, plain)?;
        let class = self.class(&class_name, "Enum")?;
        let shown = || format!("{}.{}", text(&class_name), text(&name));
        // SAFETY: a live class.
        let map = unsafe { inherited(py, &self.own.names, class.as_ptr().cast(), "_member_map_") };
        let Some(map) = map else { return Err(self.wrong(format!("{} is no Enum", text(&class_name)))) };
        let member = match item_of(py, &map, &name) {
            Some(member) => member,
            // Of a Flag also what no single name stands for is a member.
            // SAFETY: a live class.
            None if unsafe { inherited(py, &self.own.names, class.as_ptr().cast(), "_flag_mask_").is_some() } => {
                class.call(&[&value])?
            }
            None => return Err(self.wrong(format!("{} is not there", shown()))),
        };
        if member.type_ptr() != class.as_ptr().cast() {
            return Err(self.wrong(format!("{} is not there", shown())));
        }
        let of_member = |part| member.attr(part);
        let its_name = of_member(c"_name_")?;
        // An alias is another name of a member, and stands in its class's map: the name need not be the member's.
        let is_named = item_of(py, &map, &name).is_some() || text(&its_name) == text(&name);
        if !is_named || !self.same(&of_member(c"_value_")?, &value)? {
            return Err(self.wrong(format!("{} has another value", shown())));
        }
        Ok(member)
    }

    /// Equal and of one type; NaNs are the same here.
    fn same(self, one: &Obj<'py>, other: &Obj<'py>) -> PyResult<bool> {
        let py = self.py;
        if one.type_ptr() != other.type_ptr() {
            return Ok(false);
        }
        // SAFETY: live objects.
        let equal = |one: &Obj, other: &Obj| unsafe {
            let equal = (py.api.PyObject_RichCompareBool)(one.as_ptr(), other.as_ptr(), PY_EQ);
            py.check(equal).map(|()| equal != 0)
        };
        if equal(one, other)? {
            return Ok(true);
        }
        if one.type_ptr() != py.api.PyFloat_Type.0 {
            return Ok(false);
        }
        // SAFETY: exact floats.
        Ok([one, other].iter().all(|float| unsafe { (py.api.PyFloat_AsDouble)(float.as_ptr()) }.is_nan()))
    }

    /// An instance of a dataclass, made without its `__init__`, of a dict of its fields that has the class in front.
    fn instance(self, plain: &Obj<'py>) -> PyResult<Obj<'py>> {
        let (py, api) = (self.py, self.py.api);
        let Some(class_name) = item(py, &self.own.names, plain, tag::CLASS) else {
            return Err(self.wrong("no class".into()));
        };
        let class = self.class(&class_name, "dataclass")?;
        let Some(fields) = DataclassFields::of(self, class.as_ptr().cast()) else {
            return Err(self.wrong(format!("{} is no dataclass", text(&class_name))));
        };
        // SAFETY: a static class.
        let new = unsafe { py.borrowed(api.PyBaseObject_Type.0.cast()) }?.attr(c"__new__")?;
        let instance = new.call(&[&class])?;
        let mut count = 1;
        for name in fields.names(self) {
            let Some(value) = item_of(py, plain, &name) else {
                return Err(self.wrong(format!("field '{}' of {} is missing", text(&name), text(&class_name))));
            };
            count += 1;
            // SAFETY: live objects. As `object.__setattr__`: that of a frozen dataclass refuses.
            py.check(unsafe { (api.PyObject_GenericSetAttr)(instance.as_ptr(), name.as_ptr(), value.as_ptr()) })?;
        }
        // SAFETY: a live dict.
        let given = unsafe { (api.PyDict_Size)(plain.as_ptr()) };
        if given != count {
            let more = given - count;
            return Err(self.wrong(format!("{} has fewer fields: {more} of these are none", text(&class_name))));
        }
        Ok(instance)
    }

    /// The class of that name, of the modules that were imported.
    fn class(self, name: &Obj<'py>, what: &str) -> PyResult<Obj<'py>> {
        let text = text(name);
        let found = by_name(self.py, &self.own.names, &text).filter(|class| is_class(self.py, class));
        found.ok_or_else(|| {
            self.wrong(format!("there is no {what} {text} in the modules that were imported; a value imports none"))
        })
    }

    fn wrong(self, message: String) -> Raised {
        self.py.raise(self.py.api.PyExc_ValueError.get(), &message)
    }
}

fn text(name: &Obj) -> String {
    name.to_text(LONGEST_NAME).unwrap_or_default()
}

/// The items of a tuple that was checked to have three.
fn parts<'py>(py: Py<'py>, tuple: &Obj<'py>) -> PyResult<[Obj<'py>; 3]> {
    // SAFETY: a live tuple; its items are borrowed, or NULL with an exception.
    let part = |index| unsafe { py.borrowed((py.api.PyTuple_GetItem)(tuple.as_ptr(), index)) };
    Ok([part(0)?, part(1)?, part(2)?])
}

/// Turns the exception that is set into a ValueError (a TypeError stays one) that has the way to the value in front. What
/// means something else, such as MemoryError or an interrupt, stays as it is.
pub(super) fn say_where(py: Py, path: impl Fn() -> String) -> Raised {
    let Some(exception) = py.take_exception() else { return Raised };
    let api = py.api;
    let other = [api.PyExc_MemoryError, api.PyExc_RecursionError, api.PyExc_ImportError];
    if !exception.is_instance(api.PyExc_Exception.get()) || other.iter().any(|class| exception.is_instance(class.get()))
    {
        return py.set_exception(exception);
    }
    // SAFETY: a live object; a new reference, or NULL with an exception.
    let message = unsafe { py.owned((api.PyObject_Str)(exception.as_ptr())) };
    let message = message.ok().and_then(|message| message.to_text(LONGEST_NAME)).unwrap_or_default();
    py.clear();
    let is_type_error = exception.is_instance(api.PyExc_TypeError.get());
    let class = if is_type_error { api.PyExc_TypeError } else { api.PyExc_ValueError };
    // It may have been said already, of the value alone.
    let message = message.strip_prefix("value: ").unwrap_or(&message);
    py.raise(class.get(), &format!("value{}: {message}", path()))
}
