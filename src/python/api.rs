//! The symbol table: every CPython function that subpy calls, as a pointer that `dlsym` filled.
//!
//! Nothing is linked, so one libsubpy serves every CPython from 3.14.1 on, and builds whose libpython cannot be linked
//! against. Each entry of `checked` is compared with pyo3-ffi's declaration of that function when tests are compiled.
//! Those of `declared` are missing there (or are inline functions that read object layouts) and were compared by hand
//! with CPython's headers. Only exported functions are used, never the inline macros: they depend on the version.

#![allow(non_snake_case)]

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};

use super::types::{
    _frozen, Py_buffer, PyCapsule_Destructor, PyCodeObject, PyCompilerFlags, PyFrameObject, PyInitConfig,
    PyInterpreterConfig, PyInterpreterState, PyMemAllocatorDomain, PyMemAllocatorEx, PyMethodDef, PyObject,
    PyObjectArenaAllocator, PyStatus, PyThreadState, PyType_Spec, PyTypeObject, PyUnicodeWriter,
};

/// C's `long`, which has 32 bits on Windows.
#[allow(clippy::unnecessary_cast)]
pub fn long(value: c_long) -> i64 {
    value as i64
}

type Ssize = super::types::Py_ssize_t;

/// Py_AuditHookFunction: the event's name, a tuple of its arguments, and what was registered with the hook.
pub type AuditHook = unsafe extern "C" fn(*const c_char, *mut PyObject, *mut c_void) -> c_int;

/// What CPython runs with the GIL of an interpreter; -1: the exception that it has set is raised there.
pub type PendingCall = unsafe extern "C" fn(*mut c_void) -> c_int;

/// _PyEval_AddPendingCall
pub type AddPendingCall =
    unsafe extern "C" fn(*mut PyInterpreterState, Option<PendingCall>, *mut c_void, c_int) -> c_int;

macro_rules! api {
    (
        checked { $( $(#[$only:meta])* fn $c:ident ( $($ct:ty),* $(,)? ) $(-> $cr:ty)?; )* }
        declared { $( fn $d:ident ( $($dt:ty),* $(,)? ) $(-> $dr:ty)?; )* }
        optional { $( fn $o:ident ( $($ot:ty),* $(,)? ) $(-> $or:ty)?; )* }
        data { $( $v:ident: $vt:ty; )* }
    ) => {
        /// CPython's functions and the objects that live as long as the process.
        pub struct Api {
            $( $(#[$only])* pub $c: unsafe extern "C" fn($($ct),*) $(-> $cr)?, )*
            $( pub $d: unsafe extern "C" fn($($dt),*) $(-> $dr)?, )*
            $( pub $o: Option<unsafe extern "C" fn($($ot),*) $(-> $or)?>, )*
            $( pub $v: $vt, )*
            /// See `type_of`.
            reads_types: bool,
        }

        // The signature check: the tests do not compile when an entry differs from pyo3-ffi. A constant links nothing.
        $( $(#[$only])* #[cfg(test)] const _: unsafe extern "C" fn($($ct),*) $(-> $cr)? = pyo3_ffi::$c; )*

        impl Api {
            /// Looks every symbol up. Fails with the name of the first one that is missing.
            ///
            /// # Safety
            /// `lookup` must return the address of that symbol of a CPython >= 3.14, or NULL.
            pub unsafe fn load(lookup: &dyn Fn(&CStr) -> *mut c_void) -> Result<Api, &'static str> {
                let required = |name: &'static str, symbol: &CStr| match lookup(symbol) {
                    address if address.is_null() => Err(name),
                    address => Ok(address),
                };
                // SAFETY: a function's address is turned into a pointer to a function of the type that pyo3-ffi
                // declares for it (checked above) or CPython's header does; a data symbol's into a pointer to its type.
                unsafe {
                    let mut api = Api {
                        $( $(#[$only])* $c: std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($ct),*) $(-> $cr)?>(
                            required(stringify!($c), symbol!($c))?), )*
                        $( $d: std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($dt),*) $(-> $dr)?>(
                            required(stringify!($d), symbol!($d))?), )*
                        $( $o: std::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($ot),*) $(-> $or)?>>(
                            lookup(symbol!($o))), )*
                        $( $v: <$vt>::at(required(stringify!($v), symbol!($v))?), )*
                        reads_types: false,
                    };
                    // Objects of three types, which are static and complete before CPython is initialised.
                    let objects = [api._Py_NoneStruct.0, api._Py_TrueStruct.0, api.PyLong_Type.0.cast()];
                    api.reads_types = types_are_where_expected(&objects, api.Py_TYPE);
                    Ok(api)
                }
            }
        }
    };
}

macro_rules! symbol {
    ($name:ident) => {
        // A C string made of the name: stringify! has no NUL and concat! adds one.
        match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
            Ok(symbol) => symbol,
            Err(_) => unreachable!(),
        }
    };
}

/// How an object begins in every build with a GIL and without Py_TRACE_REFS. Extension modules of the stable ABI were
/// compiled with it, so it stays (Include/object.h).
#[repr(C)]
struct Head {
    ob_refcnt: usize,
    ob_type: *mut PyTypeObject,
}

/// # Safety
/// The objects must be alive.
unsafe fn types_are_where_expected(
    objects: &[*mut PyObject],
    type_of: unsafe extern "C" fn(*mut PyObject) -> *mut PyTypeObject,
) -> bool {
    // SAFETY: promised by the caller; an object is at least as large in every build.
    objects.iter().all(|&object| unsafe { (*object.cast::<Head>()).ob_type == type_of(object) })
}

impl Api {
    /// `Py_TYPE`, without the call where the type is where it is expected.
    ///
    /// # Safety
    /// The object must be alive.
    #[inline(always)]
    pub unsafe fn type_of(&self, object: *mut PyObject) -> *mut PyTypeObject {
        // SAFETY: promised by the caller; see `types_are_where_expected`.
        unsafe { if self.reads_types { (*object.cast::<Head>()).ob_type } else { (self.Py_TYPE)(object) } }
    }
}

/// A static object (`_Py_NoneStruct`): it is immortal and shared by all interpreters.
#[derive(Clone, Copy)]
pub struct StaticObject(pub *mut PyObject);

impl StaticObject {
    unsafe fn at(symbol: *mut c_void) -> Self {
        StaticObject(symbol.cast())
    }
}

/// A static type object (`PyList_Type`): the symbol is the object itself.
#[derive(Clone, Copy)]
pub struct StaticType(pub *mut PyTypeObject);

impl StaticType {
    unsafe fn at(symbol: *mut c_void) -> Self {
        StaticType(symbol.cast())
    }
}

/// An exception class (`PyExc_ValueError`): the symbol is a variable that is set when CPython starts.
#[derive(Clone, Copy)]
pub struct ExceptionClass(*mut *mut PyObject);

impl ExceptionClass {
    unsafe fn at(symbol: *mut c_void) -> Self {
        ExceptionClass(symbol.cast())
    }

    /// The class, borrowed. It is immortal and shared by all interpreters.
    pub fn get(self) -> *mut PyObject {
        // SAFETY: the address of CPython's variable, which outlives the process's use of it (libpython is never
        // unloaded).
        unsafe { *self.0 }
    }
}

/// CPython's variable that points to the table of frozen modules.
#[derive(Clone, Copy)]
pub struct FrozenModules(pub *mut *const _frozen);

impl FrozenModules {
    unsafe fn at(symbol: *mut c_void) -> Self {
        FrozenModules(symbol.cast())
    }
}

// SAFETY: function pointers and addresses of CPython's static data; both are valid in every thread until the process
// ends.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

api! {
    checked {
        // starting and stopping
        fn PyInitConfig_Create() -> *mut PyInitConfig;
        fn PyInitConfig_Free(*mut PyInitConfig);
        fn PyInitConfig_SetInt(*mut PyInitConfig, *const c_char, u64) -> c_int;
        fn PyInitConfig_SetStr(*mut PyInitConfig, *const c_char, *const c_char) -> c_int;
        fn PyInitConfig_GetError(*mut PyInitConfig, *mut *const c_char) -> c_int;
        fn Py_InitializeFromInitConfig(*mut PyInitConfig) -> c_int;
        fn Py_IsInitialized() -> c_int;
        fn Py_FinalizeEx() -> c_int;
        fn Py_AddPendingCall(Option<extern "C" fn(*mut c_void) -> c_int>, *mut c_void) -> c_int;
        fn Py_NewInterpreterFromConfig(*mut *mut PyThreadState, *const PyInterpreterConfig) -> PyStatus;
        fn Py_EndInterpreter(*mut PyThreadState);
        fn PyObject_GetArenaAllocator(*mut PyObjectArenaAllocator);
        fn PyObject_SetArenaAllocator(*mut PyObjectArenaAllocator);
        fn PyMem_GetAllocator(PyMemAllocatorDomain, *mut PyMemAllocatorEx);
        fn PyMem_SetAllocator(PyMemAllocatorDomain, *mut PyMemAllocatorEx);
        // thread states
        fn PyThreadState_New(*mut PyInterpreterState) -> *mut PyThreadState;
        fn PyThreadState_Clear(*mut PyThreadState);
        fn PyThreadState_Delete(*mut PyThreadState);
        fn PyThreadState_Swap(*mut PyThreadState) -> *mut PyThreadState;
        fn PyThreadState_GetUnchecked() -> *mut PyThreadState;
        fn PyThreadState_GetInterpreter(*mut PyThreadState) -> *mut PyInterpreterState;
        fn PyInterpreterState_GetID(*mut PyInterpreterState) -> i64;
        fn PyInterpreterState_Main() -> *mut PyInterpreterState;
        fn PyInterpreterState_Head() -> *mut PyInterpreterState;
        fn PyInterpreterState_Next(*mut PyInterpreterState) -> *mut PyInterpreterState;
        fn PyInterpreterState_ThreadHead(*mut PyInterpreterState) -> *mut PyThreadState;
        fn PyThreadState_Next(*mut PyThreadState) -> *mut PyThreadState;
        fn PyThreadState_GetFrame(*mut PyThreadState) -> *mut PyFrameObject;
        fn PyFrame_GetBack(*mut PyFrameObject) -> *mut PyFrameObject;
        fn PyFrame_GetCode(*mut PyFrameObject) -> *mut PyCodeObject;
        fn PyFrame_GetLasti(*mut PyFrameObject) -> c_int;
        fn PyThreadState_SetAsyncExc(c_long, *mut PyObject) -> c_int;
        fn PyGILState_GetThisThreadState() -> *mut PyThreadState;
        fn PyEval_GetFrame() -> *mut PyFrameObject;
        fn PyEval_SaveThread() -> *mut PyThreadState;
        fn PyEval_RestoreThread(*mut PyThreadState);
        #[cfg(unix)]
        fn PyOS_BeforeFork();
        #[cfg(unix)]
        fn PyOS_AfterFork_Parent();
        #[cfg(unix)]
        fn PyOS_AfterFork_Child();
        fn Py_EnterRecursiveCall(*const c_char) -> c_int;
        fn Py_LeaveRecursiveCall();
        // objects
        fn Py_IncRef(*mut PyObject);
        fn Py_DecRef(*mut PyObject);
        fn PyUnstable_Object_IsUniquelyReferenced(*mut PyObject) -> c_int;
        fn Py_GetConstantBorrowed(c_uint) -> *mut PyObject;
        fn PyCallable_Check(*mut PyObject) -> c_int;
        fn PyObject_GetItem(*mut PyObject, *mut PyObject) -> *mut PyObject;
        fn PyObject_GetIter(*mut PyObject) -> *mut PyObject;
        fn PyIter_NextItem(*mut PyObject, *mut *mut PyObject) -> c_int;
        fn PyObject_Str(*mut PyObject) -> *mut PyObject;
        fn PyObject_GetAttr(*mut PyObject, *mut PyObject) -> *mut PyObject;
        fn PyObject_GetAttrString(*mut PyObject, *const c_char) -> *mut PyObject;
        fn PyObject_HasAttrStringWithError(*mut PyObject, *const c_char) -> c_int;
        fn PyObject_SetAttrString(*mut PyObject, *const c_char, *mut PyObject) -> c_int;
        fn PyObject_SetAttr(*mut PyObject, *mut PyObject, *mut PyObject) -> c_int;
        fn PyObject_GenericSetAttr(*mut PyObject, *mut PyObject, *mut PyObject) -> c_int;
        fn PyObject_RichCompareBool(*mut PyObject, *mut PyObject, c_int) -> c_int;
        fn PyObject_GenericGetDict(*mut PyObject, *mut c_void) -> *mut PyObject;
        fn PyObject_GetTypeData(*mut PyObject, *mut PyTypeObject) -> *mut c_void;
        fn PyObject_ClearWeakRefs(*mut PyObject);
        fn PyObject_Free(*mut c_void);
        fn PyObject_IsTrue(*mut PyObject) -> c_int;
        fn PyObject_Vectorcall(*mut PyObject, *const *mut PyObject, usize, *mut PyObject) -> *mut PyObject;
        fn PyObject_VectorcallMethod(*mut PyObject, *const *mut PyObject, usize, *mut PyObject) -> *mut PyObject;
        fn PyVectorcall_Call(*mut PyObject, *mut PyObject, *mut PyObject) -> *mut PyObject;
        fn PyObject_GetBuffer(*mut PyObject, *mut Py_buffer, c_int) -> c_int;
        fn PyMemoryView_FromObject(*mut PyObject) -> *mut PyObject;
        fn PyBuffer_Release(*mut Py_buffer);
        fn PyBuffer_ToContiguous(*mut c_void, *const Py_buffer, Ssize, c_char) -> c_int;
        fn PyBuffer_IsContiguous(*const Py_buffer, c_char) -> c_int;
        fn PyType_GetFlags(*mut PyTypeObject) -> std::ffi::c_ulong;
        fn PyType_IsSubtype(*mut PyTypeObject, *mut PyTypeObject) -> c_int;
        fn PyType_GetSlot(*mut PyTypeObject, c_int) -> *mut c_void;
        fn PyType_GetName(*mut PyTypeObject) -> *mut PyObject;
        fn PyType_GetQualName(*mut PyTypeObject) -> *mut PyObject;
        fn PyType_GetModuleName(*mut PyTypeObject) -> *mut PyObject;
        fn PyType_GetBaseByToken(*mut PyTypeObject, *mut c_void, *mut *mut PyTypeObject) -> c_int;
        fn PyType_GetDict(*mut PyTypeObject) -> *mut PyObject;
        fn PyType_FromSpec(*mut PyType_Spec) -> *mut PyObject;
        fn PyType_GenericAlloc(*mut PyTypeObject, Ssize) -> *mut PyObject;
        fn PyLong_FromLongLong(i64) -> *mut PyObject;
        fn PyLong_AsLongLongAndOverflow(*mut PyObject, *mut c_int) -> i64;
        fn PyLong_FromString(*const c_char, *mut *mut c_char, c_int) -> *mut PyObject;
        fn PyLong_AsNativeBytes(*mut PyObject, *mut c_void, Ssize, c_int) -> Ssize;
        fn PyFloat_FromDouble(f64) -> *mut PyObject;
        fn PyFloat_AsDouble(*mut PyObject) -> f64;
        fn PyComplex_FromDoubles(f64, f64) -> *mut PyObject;
        fn PyComplex_RealAsDouble(*mut PyObject) -> f64;
        fn PyComplex_ImagAsDouble(*mut PyObject) -> f64;
        fn PyUnicode_GetLength(*mut PyObject) -> Ssize;
        fn PyUnicode_DecodeUTF8(*const c_char, Ssize, *const c_char) -> *mut PyObject;
        fn PyUnicode_AsUTF8AndSize(*mut PyObject, *mut Ssize) -> *const c_char;
        fn PyUnicode_AsEncodedString(*mut PyObject, *const c_char, *const c_char) -> *mut PyObject;
        fn PyUnicode_InternInPlace(*mut *mut PyObject);
        fn PyUnicodeWriter_Create(Ssize) -> *mut PyUnicodeWriter;
        fn PyUnicodeWriter_Discard(*mut PyUnicodeWriter);
        fn PyUnicodeWriter_Finish(*mut PyUnicodeWriter) -> *mut PyObject;
        fn PyBytes_FromStringAndSize(*const c_char, Ssize) -> *mut PyObject;
        fn PyBytes_AsStringAndSize(*mut PyObject, *mut *mut c_char, *mut Ssize) -> c_int;
        fn PyByteArray_Size(*mut PyObject) -> Ssize;
        fn PyByteArray_AsString(*mut PyObject) -> *mut c_char;
        fn PyTuple_New(Ssize) -> *mut PyObject;
        fn PyTuple_Size(*mut PyObject) -> Ssize;
        fn PyTuple_GetItem(*mut PyObject, Ssize) -> *mut PyObject;
        fn PyTuple_SetItem(*mut PyObject, Ssize, *mut PyObject) -> c_int;
        fn PyList_New(Ssize) -> *mut PyObject;
        fn PyList_Size(*mut PyObject) -> Ssize;
        fn PyList_GetItem(*mut PyObject, Ssize) -> *mut PyObject;
        fn PyList_SetItem(*mut PyObject, Ssize, *mut PyObject) -> c_int;
        fn PyList_Insert(*mut PyObject, Ssize, *mut PyObject) -> c_int;
        fn PySequence_List(*mut PyObject) -> *mut PyObject;
        fn PySequence_Tuple(*mut PyObject) -> *mut PyObject;
        fn PySet_New(*mut PyObject) -> *mut PyObject;
        fn PyFrozenSet_New(*mut PyObject) -> *mut PyObject;
        fn PyDict_New() -> *mut PyObject;
        fn PyDict_Size(*mut PyObject) -> Ssize;
        fn PyDict_Next(*mut PyObject, *mut Ssize, *mut *mut PyObject, *mut *mut PyObject) -> c_int;
        fn PyDict_SetItem(*mut PyObject, *mut PyObject, *mut PyObject) -> c_int;
        fn PyDict_SetItemString(*mut PyObject, *const c_char, *mut PyObject) -> c_int;
        fn PyDict_GetItemRef(*mut PyObject, *mut PyObject, *mut *mut PyObject) -> c_int;
        fn PyWeakref_NewRef(*mut PyObject, *mut PyObject) -> *mut PyObject;
        fn PyWeakref_GetRef(*mut PyObject, *mut *mut PyObject) -> c_int;
        fn Py_AtExit(Option<extern "C" fn()>) -> c_int;
        fn PyCapsule_New(*mut c_void, *const c_char, Option<PyCapsule_Destructor>) -> *mut PyObject;
        fn PyCapsule_GetPointer(*mut PyObject, *const c_char) -> *mut c_void;
        // modules, code and calls
        fn PyImport_AddModuleRef(*const c_char) -> *mut PyObject;
        fn PyImport_GetModule(*mut PyObject) -> *mut PyObject;
        fn PyImport_ImportModuleLevelObject(*mut PyObject, *mut PyObject, *mut PyObject, *mut PyObject, c_int) -> *mut PyObject;
        fn PyModule_GetDict(*mut PyObject) -> *mut PyObject;
        fn PySys_GetObject(*const c_char) -> *mut PyObject;
        fn PySys_SetObject(*const c_char, *mut PyObject) -> c_int;
        fn Py_CompileStringObject(*const c_char, *mut PyObject, c_int, *mut PyCompilerFlags, c_int) -> *mut PyObject;
        fn Py_CompileStringExFlags(*const c_char, *const c_char, c_int, *mut PyCompilerFlags, c_int) -> *mut PyObject;
        fn PyEval_EvalCode(*mut PyObject, *mut PyObject, *mut PyObject) -> *mut PyObject;
        fn PyCMethod_New(*mut PyMethodDef, *mut PyObject, *mut PyObject, *mut PyTypeObject) -> *mut PyObject;
        fn PyMarshal_WriteObjectToString(*mut PyObject, c_int) -> *mut PyObject;
        fn PyMarshal_ReadObjectFromString(*const c_char, Ssize) -> *mut PyObject;
        // exceptions
        fn PyErr_Occurred() -> *mut PyObject;
        fn PyErr_CheckSignals() -> c_int;
        fn PyErr_Clear();
        fn PyErr_GetRaisedException() -> *mut PyObject;
        fn PyErr_SetRaisedException(*mut PyObject);
        fn PyErr_GivenExceptionMatches(*mut PyObject, *mut PyObject) -> c_int;
        fn PyErr_NoMemory() -> *mut PyObject;
        fn PyErr_SetInterrupt();
        fn PyErr_SetFromErrno(*mut PyObject) -> *mut PyObject;
        fn PyErr_SetNone(*mut PyObject);
        fn PyErr_SetObject(*mut PyObject, *mut PyObject);
        fn PyException_GetTraceback(*mut PyObject) -> *mut PyObject;
    }
    declared {
        // Inline in pyo3-ffi; exported functions since CPython 3.14 (Include/object.h).
        fn Py_TYPE(*mut PyObject) -> *mut PyTypeObject;
        // Missing in pyo3-ffi (Include/cpython/unicodeobject.h).
        fn PyUnicodeWriter_WriteASCII(*mut PyUnicodeWriter, *const c_char, Ssize) -> c_int;
        // Missing in pyo3-ffi (Include/cpython/sysmodule.h).
        fn PySys_AddAuditHook(Option<AuditHook>, *mut c_void) -> c_int;
        fn PySys_AuditTuple(*const c_char, *mut PyObject) -> c_int;
        // Missing in pyo3-ffi (Include/cpython/tracemalloc.h).
        fn PyTraceMalloc_Untrack(c_uint, usize) -> c_int;
        // Missing in pyo3-ffi (Include/cpython/code.h).
        fn PyCode_Addr2Location(*mut PyObject, c_int, *mut c_int, *mut c_int, *mut c_int, *mut c_int) -> c_int;
        // Missing in pyo3-ffi (Include/cpython/classobject.h).
        fn PyMethod_Function(*mut PyObject) -> *mut PyObject;
        // Since 3.14.1 (Include/cpython/pystate.h, gh-139653); asking for it refuses 3.14.0.
        fn PyUnstable_ThreadState_SetStackProtection(*mut PyThreadState, *mut c_void, usize) -> c_int;
    }
    optional {
        // Private and exported (Include/internal/pycore_interp.h, pycore_pystate.h): what is_running() in a
        // guest reads, and where an interpreter came from. Without them guests are told less; nothing else changes.
        fn _PyInterpreterState_SetRunningMain(*mut PyInterpreterState) -> c_int;
        fn _PyInterpreterState_SetNotRunningMain(*mut PyInterpreterState);
        fn _PyInterpreterState_IsRunningMain(*mut PyInterpreterState) -> c_int;
        fn _PyInterpreterState_GetWhence(*mut PyInterpreterState) -> c_long;
        // Private and exported (Include/internal/pycore_ceval.h). Without it nothing can be interrupted.
        fn _PyEval_AddPendingCall(*mut PyInterpreterState, Option<PendingCall>, *mut c_void, c_int) -> c_int;
        // Private and exported (Include/cpython/pylifecycle.h).
        fn _Py_IsInterpreterFinalizing(*mut PyInterpreterState) -> c_int;
    }
    data {
        // Of the stable ABI, though private by name: what Py_None, Py_True and Py_False are.
        _Py_NoneStruct: StaticObject;
        _Py_TrueStruct: StaticObject;
        _Py_FalseStruct: StaticObject;
        PyBool_Type: StaticType;
        PyLong_Type: StaticType;
        PyFloat_Type: StaticType;
        PyComplex_Type: StaticType;
        PyUnicode_Type: StaticType;
        PyBytes_Type: StaticType;
        PyByteArray_Type: StaticType;
        PyMemoryView_Type: StaticType;
        PyTuple_Type: StaticType;
        PyList_Type: StaticType;
        PyDict_Type: StaticType;
        PySet_Type: StaticType;
        PyFrozenSet_Type: StaticType;
        PyBaseObject_Type: StaticType;
        PyMemberDescr_Type: StaticType;
        PyCode_Type: StaticType;
        PyType_Type: StaticType;
        PyCoro_Type: StaticType;
        PyFunction_Type: StaticType;
        PyMethod_Type: StaticType;
        PyExc_AttributeError: ExceptionClass;
        PyExc_BaseException: ExceptionClass;
        PyExc_BufferError: ExceptionClass;
        PyExc_Exception: ExceptionClass;
        PyExc_KeyboardInterrupt: ExceptionClass;
        PyExc_ImportError: ExceptionClass;
        PyExc_MemoryError: ExceptionClass;
        PyExc_OSError: ExceptionClass;
        PyExc_RecursionError: ExceptionClass;
        PyExc_RuntimeError: ExceptionClass;
        PyExc_SyntaxError: ExceptionClass;
        PyExc_SystemError: ExceptionClass;
        PyExc_SystemExit: ExceptionClass;
        PyExc_TypeError: ExceptionClass;
        PyExc_ValueError: ExceptionClass;
        PyImport_FrozenModules: FrozenModules;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object of a build without the GIL, as far as it matters: something else lies where the type is expected.
    #[repr(C)]
    struct WithoutGil {
        ob_tid: usize,
        ob_flags: usize,
        ob_ref_shared: usize,
        ob_type: *mut PyTypeObject,
    }

    unsafe extern "C" fn with_gil(object: *mut PyObject) -> *mut PyTypeObject {
        // SAFETY: called for a Head.
        unsafe { (*object.cast::<Head>()).ob_type }
    }

    unsafe extern "C" fn without_gil(object: *mut PyObject) -> *mut PyTypeObject {
        // SAFETY: called for a WithoutGil.
        unsafe { (*object.cast::<WithoutGil>()).ob_type }
    }

    #[test]
    fn types_are_read_only_where_they_are_expected() {
        let (mut one, mut other) = (0u8, 0u8);
        let types: [*mut PyTypeObject; 2] = [(&raw mut one).cast(), (&raw mut other).cast()];
        let mut heads = types.map(|ob_type| Head { ob_refcnt: 1, ob_type });
        let heads = heads.each_mut().map(|head| (&raw mut *head).cast());
        let mut others = types.map(|ob_type| WithoutGil { ob_tid: 0, ob_flags: 1, ob_ref_shared: 1, ob_type });
        let others = others.each_mut().map(|object| (&raw mut *object).cast());
        // SAFETY: live objects of the kinds that the functions are for.
        unsafe {
            assert!(types_are_where_expected(&heads, with_gil));
            assert!(!types_are_where_expected(&others, without_gil));
        }
    }
}
