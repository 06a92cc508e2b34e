//! CPython's types as far as subpy uses them. Most are opaque: only CPython looks inside.
//!
//! Written out here rather than taken from pyo3-ffi, which wants a Python when it is built, of everyone who builds
//! subpy, and would be the only such crate of a program. The tests take its types instead of these, so that the
//! declarations of `api` are compared with its, and compare these with them in size, offset and value.

#[cfg(not(test))]
pub use own::*;
#[cfg(test)]
pub use pyo3_ffi::{
    _frozen, METH_KEYWORDS, METH_NOARGS, METH_O, METH_VARARGS, Py_CONSTANT_FALSE, Py_CONSTANT_TRUE, Py_READONLY,
    Py_RELATIVE_OFFSET, Py_T_OBJECT_EX, Py_T_PYSSIZET, Py_TPFLAGS_BASETYPE, Py_TPFLAGS_DISALLOW_INSTANTIATION,
    Py_TPFLAGS_HAVE_VECTORCALL, Py_TPFLAGS_IMMUTABLETYPE, Py_bf_getbuffer, Py_bf_releasebuffer, Py_buffer,
    Py_eval_input, Py_file_input, Py_ssize_t, Py_tp_call, Py_tp_dealloc, Py_tp_descr_get, Py_tp_free, Py_tp_members,
    Py_tp_methods, Py_tp_repr, Py_tp_token, PyBUF_ANY_CONTIGUOUS, PyBUF_C_CONTIGUOUS, PyBUF_F_CONTIGUOUS, PyBUF_FORMAT,
    PyBUF_FULL_RO, PyBUF_ND, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE, PyCFunction, PyCapsule_Destructor,
    PyCodeObject, PyCompilerFlags, PyFrameObject, PyInitConfig, PyInterpreterConfig, PyInterpreterConfig_OWN_GIL,
    PyInterpreterConfig_SHARED_GIL, PyInterpreterState, PyMemAllocatorDomain, PyMemAllocatorEx, PyMemberDef,
    PyMethodDef, PyMethodDefPointer, PyObject, PyObjectArenaAllocator, PyStatus, PyThreadState, PyType_Slot,
    PyType_Spec, PyTypeObject, PyUnicodeWriter, vectorcallfunc,
};
#[cfg(test)]
pub const PYMEM_DOMAIN_RAW: PyMemAllocatorDomain = PyMemAllocatorDomain::PYMEM_DOMAIN_RAW;

#[cfg_attr(test, allow(dead_code))]
#[allow(non_camel_case_types, non_upper_case_globals, non_snake_case)]
mod own {
    use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
    use std::marker::{PhantomData, PhantomPinned};

    pub type Py_ssize_t = isize;

    macro_rules! opaque {
        ($($name:ident)*) => { $(
            #[repr(C)]
            pub struct $name {
                bytes: [u8; 0],
                marker: PhantomData<(*mut u8, PhantomPinned)>,
            }
        )* };
    }

    opaque! { PyCodeObject PyFrameObject PyInitConfig PyInterpreterState PyObject PyThreadState PyTypeObject PyUnicodeWriter }

    // Include/cpython/pylifecycle.h
    #[repr(C)]
    pub struct PyInterpreterConfig {
        pub use_main_obmalloc: c_int,
        pub allow_fork: c_int,
        pub allow_exec: c_int,
        pub allow_threads: c_int,
        pub allow_daemon_threads: c_int,
        pub check_multi_interp_extensions: c_int,
        pub gil: c_int,
    }
    pub const PyInterpreterConfig_SHARED_GIL: c_int = 1;
    pub const PyInterpreterConfig_OWN_GIL: c_int = 2;

    // Include/cpython/initconfig.h
    #[repr(C)]
    pub struct PyStatus {
        pub _type: c_int,
        pub func: *const c_char,
        pub err_msg: *const c_char,
        pub exitcode: c_int,
    }

    // Include/cpython/objimpl.h
    #[repr(C)]
    pub struct PyObjectArenaAllocator {
        pub ctx: *mut c_void,
        pub alloc: Option<extern "C" fn(ctx: *mut c_void, size: usize) -> *mut c_void>,
        pub free: Option<extern "C" fn(ctx: *mut c_void, ptr: *mut c_void, size: usize)>,
    }

    // Include/cpython/pymem.h
    pub type PyMemAllocatorDomain = c_int;
    pub const PYMEM_DOMAIN_RAW: PyMemAllocatorDomain = 0;
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct PyMemAllocatorEx {
        pub ctx: *mut c_void,
        pub malloc: Option<extern "C" fn(ctx: *mut c_void, size: usize) -> *mut c_void>,
        pub calloc: Option<extern "C" fn(ctx: *mut c_void, nelem: usize, elsize: usize) -> *mut c_void>,
        pub realloc: Option<extern "C" fn(ctx: *mut c_void, ptr: *mut c_void, new_size: usize) -> *mut c_void>,
        pub free: Option<extern "C" fn(ctx: *mut c_void, ptr: *mut c_void)>,
    }

    // Include/pybuffer.h
    #[repr(C)]
    pub struct Py_buffer {
        pub buf: *mut c_void,
        pub obj: *mut PyObject,
        pub len: Py_ssize_t,
        pub itemsize: Py_ssize_t,
        pub readonly: c_int,
        pub ndim: c_int,
        pub format: *mut c_char,
        pub shape: *mut Py_ssize_t,
        pub strides: *mut Py_ssize_t,
        pub suboffsets: *mut Py_ssize_t,
        pub internal: *mut c_void,
    }
    pub const PyBUF_SIMPLE: c_int = 0;
    pub const PyBUF_WRITABLE: c_int = 1;
    pub const PyBUF_FORMAT: c_int = 4;
    pub const PyBUF_ND: c_int = 8;
    pub const PyBUF_STRIDES: c_int = 0x18;
    pub const PyBUF_C_CONTIGUOUS: c_int = 0x38;
    pub const PyBUF_F_CONTIGUOUS: c_int = 0x58;
    pub const PyBUF_ANY_CONTIGUOUS: c_int = 0x98;
    pub const PyBUF_FULL_RO: c_int = 0x11c;

    // Include/methodobject.h
    pub type PyCFunction = unsafe extern "C" fn(slf: *mut PyObject, argument: *mut PyObject) -> *mut PyObject;
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub union PyMethodDefPointer {
        pub PyCFunction: PyCFunction,
    }
    #[repr(C)]
    pub struct PyMethodDef {
        pub ml_name: *const c_char,
        pub ml_meth: PyMethodDefPointer,
        pub ml_flags: c_int,
        pub ml_doc: *const c_char,
    }
    pub const METH_VARARGS: c_int = 1;
    pub const METH_KEYWORDS: c_int = 2;
    pub const METH_NOARGS: c_int = 4;
    pub const METH_O: c_int = 8;

    // Include/cpython/object.h, Include/object.h
    pub type vectorcallfunc = unsafe extern "C" fn(
        callable: *mut PyObject,
        args: *const *mut PyObject,
        nargsf: usize,
        kwnames: *mut PyObject,
    ) -> *mut PyObject;
    #[repr(C)]
    pub struct PyType_Slot {
        pub slot: c_int,
        pub pfunc: *mut c_void,
    }
    #[repr(C)]
    pub struct PyType_Spec {
        pub name: *const c_char,
        pub basicsize: c_int,
        pub itemsize: c_int,
        pub flags: c_uint,
        pub slots: *mut PyType_Slot,
    }
    pub const Py_TPFLAGS_DISALLOW_INSTANTIATION: c_ulong = 1 << 7;
    pub const Py_TPFLAGS_IMMUTABLETYPE: c_ulong = 1 << 8;
    pub const Py_TPFLAGS_BASETYPE: c_ulong = 1 << 10;
    pub const Py_TPFLAGS_HAVE_VECTORCALL: c_ulong = 1 << 11;

    // Include/typeslots.h
    pub const Py_bf_getbuffer: c_int = 1;
    pub const Py_bf_releasebuffer: c_int = 2;
    pub const Py_tp_call: c_int = 50;
    pub const Py_tp_dealloc: c_int = 52;
    pub const Py_tp_descr_get: c_int = 54;
    pub const Py_tp_methods: c_int = 64;
    pub const Py_tp_repr: c_int = 66;
    pub const Py_tp_members: c_int = 72;
    pub const Py_tp_free: c_int = 74;
    pub const Py_tp_token: c_int = 83;

    // Include/descrobject.h
    #[repr(C)]
    pub struct PyMemberDef {
        pub name: *const c_char,
        pub type_code: c_int,
        pub offset: Py_ssize_t,
        pub flags: c_int,
        pub doc: *const c_char,
    }
    pub const Py_T_OBJECT_EX: c_int = 16;
    pub const Py_T_PYSSIZET: c_int = 19;
    pub const Py_READONLY: c_int = 1;
    pub const Py_RELATIVE_OFFSET: c_int = 8;

    // Include/pycapsule.h
    pub type PyCapsule_Destructor = unsafe extern "C" fn(capsule: *mut PyObject);

    // Include/cpython/compile.h, Include/compile.h
    #[repr(C)]
    pub struct PyCompilerFlags {
        pub cf_flags: c_int,
        pub cf_feature_version: c_int,
    }
    pub const Py_file_input: c_int = 257;
    pub const Py_eval_input: c_int = 258;

    // Include/cpython/import.h
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct _frozen {
        pub name: *const c_char,
        pub code: *const u8,
        pub size: c_int,
        pub is_package: c_int,
    }

    // Include/object.h
    pub const Py_CONSTANT_FALSE: c_uint = 1;
    pub const Py_CONSTANT_TRUE: c_uint = 2;
}

#[cfg(test)]
mod tests {
    use super::own;
    use std::mem::offset_of;

    macro_rules! same_layout {
        ($type:ident: $($field:ident)*) => {
            assert_eq!(size_of::<own::$type>(), size_of::<pyo3_ffi::$type>(), stringify!($type));
            assert_eq!(align_of::<own::$type>(), align_of::<pyo3_ffi::$type>(), stringify!($type));
            $( assert_eq!(
                offset_of!(own::$type, $field),
                offset_of!(pyo3_ffi::$type, $field),
                concat!(stringify!($type), ".", stringify!($field))
            ); )*
        };
    }

    macro_rules! same_value {
        ($($name:ident)*) => { $( assert_eq!(own::$name, pyo3_ffi::$name, stringify!($name)); )* };
    }

    #[test]
    fn the_types_are_those_of_pyo3_ffi() {
        same_layout!(PyInterpreterConfig: use_main_obmalloc allow_fork allow_exec allow_threads allow_daemon_threads
            check_multi_interp_extensions gil);
        same_layout!(PyStatus: _type func err_msg exitcode);
        same_layout!(PyObjectArenaAllocator: ctx alloc free);
        same_layout!(PyMemAllocatorEx: ctx malloc calloc realloc free);
        assert_eq!(size_of::<own::PyMemAllocatorDomain>(), size_of::<pyo3_ffi::PyMemAllocatorDomain>());
        assert_eq!(own::PYMEM_DOMAIN_RAW, pyo3_ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_RAW as i32);
        same_layout!(Py_buffer: buf obj len itemsize readonly ndim format shape strides suboffsets internal);
        same_layout!(PyMethodDef: ml_name ml_meth ml_flags ml_doc);
        same_layout!(PyMethodDefPointer: PyCFunction);
        same_layout!(_frozen: name code size is_package);
        same_layout!(PyCompilerFlags: cf_flags cf_feature_version);
        same_layout!(PyType_Slot: slot pfunc);
        same_layout!(PyType_Spec: name basicsize itemsize flags slots);
        same_layout!(PyMemberDef: name type_code offset flags doc);
        same_value!(METH_KEYWORDS Py_TPFLAGS_BASETYPE Py_tp_free Py_TPFLAGS_DISALLOW_INSTANTIATION Py_TPFLAGS_IMMUTABLETYPE Py_TPFLAGS_HAVE_VECTORCALL Py_tp_call
            Py_tp_dealloc Py_tp_descr_get Py_tp_members Py_tp_methods Py_tp_repr Py_tp_token Py_T_OBJECT_EX Py_T_PYSSIZET
            Py_READONLY Py_RELATIVE_OFFSET);
        let _: pyo3_ffi::vectorcallfunc = vectorcall;
        let _: own::vectorcallfunc = own_vectorcall;
        same_value!(PyInterpreterConfig_SHARED_GIL PyInterpreterConfig_OWN_GIL PyBUF_SIMPLE PyBUF_FULL_RO METH_VARARGS METH_NOARGS
            METH_O Py_file_input Py_eval_input Py_CONSTANT_FALSE Py_CONSTANT_TRUE);
        assert_eq!(size_of::<own::Py_ssize_t>(), size_of::<pyo3_ffi::Py_ssize_t>());
        let _: pyo3_ffi::PyCapsule_Destructor = capsule_destructor;
        let _: own::PyCapsule_Destructor = own_capsule_destructor;
    }

    unsafe extern "C" fn vectorcall(
        _: *mut pyo3_ffi::PyObject,
        _: *const *mut pyo3_ffi::PyObject,
        _: usize,
        _: *mut pyo3_ffi::PyObject,
    ) -> *mut pyo3_ffi::PyObject {
        std::ptr::null_mut()
    }
    unsafe extern "C" fn own_vectorcall(
        _: *mut own::PyObject,
        _: *const *mut own::PyObject,
        _: usize,
        _: *mut own::PyObject,
    ) -> *mut own::PyObject {
        std::ptr::null_mut()
    }

    unsafe extern "C" fn capsule_destructor(_: *mut pyo3_ffi::PyObject) {}
    unsafe extern "C" fn own_capsule_destructor(_: *mut own::PyObject) {}
}
