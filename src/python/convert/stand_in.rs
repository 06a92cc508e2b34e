//! Objects of the standard library's classes as what stands for them: a tag, and an object that has a value. Runs no
//! Python code, as all that reads objects: only C functions of CPython's own classes are called.

use std::ptr;

use super::super::object::{LONGEST_NAME, Obj, Py, PyResult};
use super::super::own::Own;
use super::super::types::{PyObject, PyTypeObject};
use super::asked::Refused;
use super::classes::{Known, by_name, inherited, is_class, is_member, item, item_of, member, name_of};
use super::from_python::Reader;
use crate::value::tag;

/// What stands for an object.
pub(super) struct StandIn<'py> {
    pub(super) tag: u32,
    pub(super) object: Obj<'py>,
}

/// Finds what stands for objects of one interpreter.
#[derive(Clone, Copy)]
pub(super) struct StandIns<'py, 'a> {
    pub(super) py: Py<'py>,
    pub(super) own: &'a Own,
}

/// What stands for objects of a value that is being read.
pub(super) struct Standing<'py, 'a> {
    stand_ins: StandIns<'py, 'a>,
    /// Those that are being read, and how many containers are around each.
    held: Vec<(usize, Obj<'py>)>,
}

impl<'py, 'a> Standing<'py, 'a> {
    pub(super) fn new(stand_ins: StandIns<'py, 'a>) -> Standing<'py, 'a> {
        Standing { stand_ins, held: Vec::new() }
    }

    /// What is to be read in place of an element, and its tag; the element itself when nothing stands for it. `depth`
    /// containers are around the one that it is in. Alive until the element next to it is looked for, or `is_read` of a
    /// container.
    ///
    /// # Safety
    /// The object must be alive.
    pub(super) unsafe fn find(&mut self, object: *mut PyObject, depth: usize) -> Result<(*mut PyObject, u32), Refused> {
        // Those of elements next to this one have been read.
        self.is_read(depth + 1);
        // SAFETY: promised by the caller.
        let Some(StandIn { tag, object: stand_in }) = (unsafe { self.stand_ins.find(object)? }) else {
            return Ok((object, 0));
        };
        self.held.try_reserve(1).map_err(|_| Refused::NO_MEMORY)?;
        let found = stand_in.as_ptr();
        self.held.push((depth + 1, stand_in));
        Ok((found, tag))
    }

    /// The container with `depth` around it was read. Whether anything stood for it, or for something in it.
    pub(super) fn is_read(&mut self, depth: usize) -> bool {
        let before = self.held.len();
        while self.held.pop_if(|(around, _)| *around >= depth).is_some() {}
        self.held.len() < before
    }
}

type Found<'py> = Result<StandIn<'py>, Refused>;

impl<'py> StandIns<'py, '_> {
    /// What stands for an object; None when nothing does.
    ///
    /// # Safety
    /// The object must be alive.
    pub(super) unsafe fn find(self, object: *mut PyObject) -> Result<Option<StandIn<'py>>, Refused> {
        let api = self.py.api;
        // SAFETY: promised by the caller.
        let kind = unsafe { api.type_of(object) };
        let have_kinds = [
            api.PyDict_Type,
            api.PyList_Type,
            api.PyTuple_Type,
            api.PyUnicode_Type,
            api.PyLong_Type,
            api.PyFloat_Type,
            api.PyBool_Type,
            api.PyBytes_Type,
            api.PyByteArray_Type,
            api.PyMemoryView_Type,
        ];
        if object == self.py.none() || have_kinds.iter().any(|has_kind| has_kind.0 == kind) {
            return Ok(None);
        }
        // SAFETY: promised by the caller; a type is alive as long as its object.
        unsafe { self.search(object, kind).map_err(|refused| refused.of(|| Reader { py: self.py }.type_name(kind))) }
    }

    /// The same for an object of another type.
    unsafe fn search(self, object: *mut PyObject, kind: *mut PyTypeObject) -> Result<Option<StandIn<'py>>, Refused> {
        let (py, api) = (self.py, self.py.api);
        // SAFETY: promised by the caller; new references.
        unsafe {
            if kind == api.PySet_Type.0 {
                return self.made(tag::SET, py.owned((api.PySequence_List)(object))).map(Some);
            }
            if kind == api.PyFrozenSet_Type.0 {
                return self.made(tag::FROZENSET, py.owned((api.PySequence_Tuple)(object))).map(Some);
            }
            if kind == api.PyComplex_Type.0 {
                let parts = [(api.PyComplex_RealAsDouble)(object), (api.PyComplex_ImagAsDouble)(object)];
                let parts = parts.map(|part| py.owned((api.PyFloat_FromDouble)(part)));
                return self.made(tag::COMPLEX, tuple(py, parts)).map(Some);
            }
            let of = |known| self.own.classes.find(py, &self.own.names, known) == Some(kind.cast());
            let object = py.borrowed(object).map_err(|_| Refused::NO_MEMORY)?;
            if of(Known::DateTime) {
                self.refuse_lossy(&object)?;
                self.iso(tag::DATETIME, &object).map(Some)
            } else if of(Known::Date) {
                self.iso(tag::DATE, &object).map(Some)
            } else if of(Known::Time) {
                self.refuse_lossy(&object)?;
                self.iso(tag::TIME, &object).map(Some)
            } else if of(Known::TimeDelta) {
                let parts = [c"days", c"seconds", c"microseconds"].map(|name| object.attr(name));
                self.made(tag::TIMEDELTA, tuple(py, parts)).map(Some)
            } else if of(Known::Decimal) {
                self.made(tag::DECIMAL, py.owned((api.PyObject_Str)(object.as_ptr()))).map(Some)
            } else if of(Known::Uuid) {
                self.uuid(&object).map(Some)
            } else if self.is_enum(kind) {
                self.member_of_enum(&object, kind).map(Some)
            } else {
                self.dataclass(&object, kind)
            }
        }
    }

    /// What was made, unless there was no memory for it; nothing else can go wrong with these classes.
    fn made(self, tag: u32, object: PyResult<Obj<'py>>) -> Found<'py> {
        match object {
            Ok(object) => Ok(StandIn { tag, object }),
            Err(_) => {
                self.py.clear();
                Err(Refused::NO_MEMORY)
            }
        }
    }

    fn iso(self, tag: u32, object: &Obj<'py>) -> Found<'py> {
        self.made(tag, object.attr(c"isoformat").and_then(|function| function.call(&[])))
    }

    /// ISO 8601 has no word for fold, nor for zones that are more than an offset.
    fn refuse_lossy(self, object: &Obj<'py>) -> Result<(), Refused> {
        let zone = object.attr(c"tzinfo").map_err(|_| self.failed())?;
        if !zone.is_none() {
            let plain =
                self.own.classes.find(self.py, &self.own.names, Known::TimeZone) == Some(zone.type_ptr().cast());
            if !plain {
                // SAFETY: the type of a live object.
                let name = unsafe { name_of(self.py, zone.type_ptr()) }.unwrap_or_default();
                return Err(Refused::because(format!(
                    "its tzinfo is a {}, of which the offset alone would be left, return value.astimezone(datetime.timezone.utc)",
                    name.replace(':', ".")
                )));
            }
            let parts = zone.attr(c"__getinitargs__").and_then(|function| function.call(&[]));
            let parts = parts.map_err(|_| self.failed())?;
            // SAFETY: a live tuple: the offset, and the name when it has one of its own.
            if unsafe { (self.py.api.PyTuple_Size)(parts.as_ptr()) } != 1 {
                return Err(Refused::because(
                    "its tzinfo has a name, which would be lost, use datetime.timezone(offset)".into(),
                ));
            }
            if self.is_tiny(&parts)? {
                return Err(Refused::because(
                    "its offset is less than a second, which Python reads as UTC, return value.astimezone(datetime.timezone.utc)"
                        .into(),
                ));
            }
        }
        let fold = object.attr(c"fold").map_err(|_| self.failed())?.to_i64();
        if fold != Some(0) {
            return Err(Refused::because("its fold is 1, which would be lost, return value.replace(fold=0)".into()));
        }
        Ok(())
    }

    /// The offset, a timedelta in a tuple, is a part of a second: fromisoformat() takes that for none.
    fn is_tiny(self, parts: &Obj<'py>) -> Result<bool, Refused> {
        // SAFETY: a live tuple; its item is borrowed.
        let offset = unsafe { self.py.borrowed((self.py.api.PyTuple_GetItem)(parts.as_ptr(), 0)) };
        let offset = offset.map_err(|_| self.failed())?;
        let part = |name| offset.attr(name).ok().and_then(|part| part.to_i64()).ok_or_else(|| self.failed());
        let seconds = part(c"days")? * 86400 + part(c"seconds")?;
        Ok(matches!(seconds, 0 | -1) && part(c"microseconds")? != 0)
    }

    fn failed(self) -> Refused {
        self.py.clear();
        Refused::NO_MEMORY
    }

    /// The class is Python code, but its number lies in a slot.
    fn uuid(self, object: &Obj<'py>) -> Found<'py> {
        let py = self.py;
        // SAFETY: live objects; the number goes into as many bytes as it has.
        unsafe {
            let slot = inherited(py, &self.own.names, object.type_ptr(), "int");
            let number = slot.and_then(|slot| member(py, &slot, object.as_ptr()));
            let number = number.filter(|number| number.type_ptr() == py.api.PyLong_Type.0);
            let Some(number) = number else { return Err(Refused::because("a UUID without its number".into())) };
            // Big-endian (0), and 17 bytes, so that the first says whether the number fits 16.
            let mut bytes = [0u8; 17];
            let size = (py.api.PyLong_AsNativeBytes)(number.as_ptr(), bytes.as_mut_ptr().cast(), 17, 0);
            if !(0..=17).contains(&size) || bytes[0] != 0 {
                py.clear();
                return Err(Refused::because("a UUID whose number has more than 128 bits".into()));
            }
            let hex = bytes[1..].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let text = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
            self.made(tag::UUID, py.str(&text))
        }
    }

    /// # Safety
    /// The class must be alive.
    unsafe fn is_enum(self, class: *mut PyTypeObject) -> bool {
        let Some(enum_type) = self.own.classes.find(self.py, &self.own.names, Known::EnumType) else { return false };
        // SAFETY: promised by the caller; classes are objects.
        unsafe { (self.py.api.PyType_IsSubtype)(self.py.api.type_of(class.cast()), enum_type.cast()) != 0 }
    }

    /// # Safety
    /// The class must be alive.
    unsafe fn member_of_enum(self, object: &Obj<'py>, class: *mut PyTypeObject) -> Found<'py> {
        let py = self.py;
        // SAFETY: promised by the caller.
        let class = unsafe { self.class_text(class)? };
        let dict = self.dict_of(object);
        let part = |name| dict.as_ref().and_then(|dict| item(py, &self.own.names, dict, name));
        let (Some(name), Some(value)) = (part("_name_"), part("_value_")) else {
            return Err(Refused::because("a member of an Enum without name and value".into()));
        };
        // Members of a Flag that no single name stands for may have none.
        let name = if name.is_none() { py.str("") } else { Ok(name) };
        self.made(tag::ENUM, tuple(py, [Ok(class), name, Ok(value)]))
    }

    /// What stands for an instance of a dataclass; None when it is none.
    ///
    /// # Safety
    /// The class must be alive.
    unsafe fn dataclass(self, object: &Obj<'py>, class: *mut PyTypeObject) -> Result<Option<StandIn<'py>>, Refused> {
        let (py, api) = (self.py, self.py.api);
        // Without its module there is no dataclass.
        let Some(fields) = DataclassFields::of(self, class) else { return Ok(None) };
        // SAFETY: promised by the caller; a new dict, in which only strs are keys.
        unsafe {
            let bases = [
                api.PyLong_Type,
                api.PyFloat_Type,
                api.PyUnicode_Type,
                api.PyBytes_Type,
                api.PyByteArray_Type,
                api.PyTuple_Type,
                api.PyList_Type,
                api.PyDict_Type,
                api.PySet_Type,
                api.PyFrozenSet_Type,
                api.PyComplex_Type,
            ];
            let is_more = bases.iter().any(|base| (api.PyType_IsSubtype)(class, base.0) != 0);
            if is_more || object.is_instance(api.PyExc_BaseException.get()) || is_class(py, object) {
                return Ok(None);
            }
            let class_text = self.class_text(class)?;
            let values = py.owned((api.PyDict_New)()).map_err(|_| self.failed())?;
            let set = |key: &Obj, value: &Obj| {
                py.check((api.PyDict_SetItem)(values.as_ptr(), key.as_ptr(), value.as_ptr())).map_err(|_| self.failed())
            };
            let key = self.own.names.get(py, tag::CLASS).map_err(|_| self.failed())?;
            set(&key, &class_text)?;
            let dict = self.dict_of(object);
            for name in fields.names(self) {
                let value = dict.as_ref().and_then(|dict| item_of(py, dict, &name));
                let value = match value {
                    Some(value) => value,
                    None => self.shared_value(object, class, &name)?,
                };
                set(&name, &value)?;
            }
            Ok(Some(StandIn { tag: tag::DATACLASS, object: values }))
        }
    }

    /// A field's value that is not in the instance's dict: it is in a slot, or is the default, which is the class's.
    ///
    /// # Safety
    /// The class must be alive.
    unsafe fn shared_value(
        self,
        object: &Obj<'py>,
        class: *mut PyTypeObject,
        name: &Obj<'py>,
    ) -> Result<Obj<'py>, Refused> {
        let text = name.to_text(LONGEST_NAME).unwrap_or_default();
        // SAFETY: promised by the caller.
        unsafe {
            let Some(there) = inherited(self.py, &self.own.names, class, &text) else {
                return Err(Refused::because(format!("its field '{text}' has no value")));
            };
            if is_member(self.py, &there) {
                let value = member(self.py, &there, object.as_ptr());
                return value.ok_or_else(|| Refused::because(format!("its field '{text}' has no value")));
            }
            if inherited(self.py, &self.own.names, there.type_ptr(), "__get__").is_some() {
                return Err(Refused::because(format!(
                    "its field '{text}' is a descriptor, whose code would have to run"
                )));
            }
            Ok(there)
        }
    }

    /// `module:qualname`, when the class is found by it again.
    ///
    /// # Safety
    /// The class must be alive.
    unsafe fn class_text(self, class: *mut PyTypeObject) -> Result<Obj<'py>, Refused> {
        // SAFETY: promised by the caller.
        let Some(name) = (unsafe { name_of(self.py, class) }) else {
            return Err(Refused::because("its class has no name".into()));
        };
        if by_name(self.py, &self.own.names, &name).is_none_or(|found| found.as_ptr() != class.cast()) {
            return Err(Refused::because(format!(
                "its class is not found as {name}, define it at the top of a module or of the script"
            )));
        }
        self.py.str(&name).map_err(|_| self.failed())
    }

    /// The attributes of an instance, if it has a dict. Leaves no exception behind.
    fn dict_of(self, object: &Obj<'py>) -> Option<Obj<'py>> {
        // SAFETY: a live object; a new reference, or NULL with an exception when it has no dict.
        let dict = unsafe { self.py.owned((self.py.api.PyObject_GenericGetDict)(object.as_ptr(), ptr::null_mut())) };
        dict.map_err(|_| self.py.clear()).ok()
    }
}

/// The fields of a dataclass.
pub(super) struct DataclassFields<'py> {
    /// `__dataclass_fields__`: names to fields, some of which are pseudo-fields (ClassVar, InitVar).
    all: Obj<'py>,
    /// Where a field says what it is, and what it says when it is one.
    kind: Obj<'py>,
    is_field: *mut PyObject,
}

impl<'py> DataclassFields<'py> {
    /// None when the class is no dataclass. The class must be alive.
    pub(super) fn of(from: StandIns<'py, '_>, class: *mut PyTypeObject) -> Option<DataclassFields<'py>> {
        let StandIns { py, own: Own { names, classes, .. } } = from;
        let is_field = classes.find(py, names, Known::IsField)?;
        let field = classes.find(py, names, Known::Field)?;
        // SAFETY: a live class, and one that is kept.
        let (all, kind) = unsafe {
            let all = inherited(py, names, class, "__dataclass_fields__")?;
            (all, inherited(py, names, field.cast(), "_field_type")?)
        };
        (all.type_ptr() == py.api.PyDict_Type.0 && is_member(py, &kind)).then_some(DataclassFields {
            all,
            kind,
            is_field,
        })
    }

    /// The names of the fields, in their order.
    pub(super) fn names(&self, from: StandIns<'py, '_>) -> impl Iterator<Item = Obj<'py>> {
        let py = from.py;
        let mut position = 0;
        std::iter::from_fn(move || {
            loop {
                let (mut name, mut field) = (ptr::null_mut(), ptr::null_mut());
                // SAFETY: a live dict, whose entries are borrowed; the descriptor checks the field's type.
                unsafe {
                    if (py.api.PyDict_Next)(self.all.as_ptr(), &mut position, &mut name, &mut field) == 0 {
                        return None;
                    }
                    let (name, field) = (py.borrowed(name).ok()?, py.borrowed(field).ok()?);
                    let kind = member(py, &self.kind, field.as_ptr());
                    let is_field = kind.is_some_and(|kind| kind.as_ptr() == self.is_field);
                    if is_field && name.type_ptr() == py.api.PyUnicode_Type.0 {
                        return Some(name);
                    }
                }
            }
        })
    }
}

/// A tuple of objects, or the first exception.
fn tuple<'py, const N: usize>(py: Py<'py>, parts: [PyResult<Obj<'py>>; N]) -> PyResult<Obj<'py>> {
    // SAFETY: attached; a new tuple; SetItem takes the references over.
    unsafe {
        let tuple = py.owned((py.api.PyTuple_New)(N as isize))?;
        for (index, part) in parts.into_iter().enumerate() {
            py.check((py.api.PyTuple_SetItem)(tuple.as_ptr(), index as isize, part?.into_ptr()))?;
        }
        Ok(tuple)
    }
}
