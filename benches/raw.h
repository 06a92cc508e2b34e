/*
 * The limit that subpy is measured against: the fastest way we know to use many interpreters through the plain C API.
 *
 * Each entry makes a thread state, as subpy does (why: src/python/tstate.rs), with the thread's stack bounds and the
 * 16 KiB data-stack block taken from caches. No Python.h and nothing linked: like libsubpy, it works with every
 * libpython, also with those that cannot be linked against.
 */
#ifndef RAW_H
#define RAW_H

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct PyObject PyObject;
typedef struct PyThreadState PyThreadState;
typedef struct PyInterpreterState PyInterpreterState;
typedef struct PyInitConfig PyInitConfig;
/* Include/cpython/pylifecycle.h and initconfig.h, the same in 3.14 and 3.15. */
typedef struct {
  int use_main_obmalloc, allow_fork, allow_exec, allow_threads, allow_daemon_threads, check_multi_interp_extensions;
  int gil;
} PyInterpreterConfig;
typedef struct {
  int type;
  const char *func, *err_msg;
  int exitcode;
} PyStatus;
typedef struct {
  void *ctx;
  void *(*alloc)(void *ctx, size_t size);
  void (*free)(void *ctx, void *block, size_t size);
} PyObjectArenaAllocator;
/* Include/methodobject.h */
typedef struct {
  const char *name;
  PyObject *(*function)(PyObject *self, PyObject *const *args, intptr_t nargs);
  int flags;
  const char *doc;
} PyMethodDef;
enum { METH_FASTCALL = 0x80 };
/* Include/pybuffer.h, a part of the stable ABI. */
typedef struct {
  void *buf;
  PyObject *obj;
  intptr_t len, itemsize;
  int readonly, ndim;
  char *format;
  intptr_t *shape, *strides, *suboffsets;
  void *internal;
} Py_buffer;
enum { PyBUF_READ = 0x100, PyBUF_SIMPLE = 0 };
enum { OWN_GIL = 2, FILE_INPUT = 257, EVAL_INPUT = 258 };

#define RAW_FUNCTIONS(X)                                                                    \
  X(PyInitConfig *, PyInitConfig_Create, (void))                                            \
  X(void, PyInitConfig_Free, (PyInitConfig *))                                              \
  X(int, PyInitConfig_SetInt, (PyInitConfig *, const char *, int64_t))                      \
  X(int, PyInitConfig_SetStr, (PyInitConfig *, const char *, const char *))                 \
  X(int, Py_InitializeFromInitConfig, (PyInitConfig *))                                     \
  X(PyStatus, Py_NewInterpreterFromConfig, (PyThreadState **, const PyInterpreterConfig *)) \
  X(void, Py_EndInterpreter, (PyThreadState *))                                             \
  X(void, PyObject_GetArenaAllocator, (PyObjectArenaAllocator *))                           \
  X(void, PyObject_SetArenaAllocator, (PyObjectArenaAllocator *))                           \
  X(PyThreadState *, PyThreadState_New, (PyInterpreterState *))                             \
  X(void, PyThreadState_Clear, (PyThreadState *))                                           \
  X(void, PyThreadState_Delete, (PyThreadState *))                                          \
  X(PyThreadState *, PyThreadState_Swap, (PyThreadState *))                                 \
  X(PyInterpreterState *, PyThreadState_GetInterpreter, (PyThreadState *))                  \
  X(int, PyUnstable_ThreadState_SetStackProtection, (PyThreadState *, void *, size_t))      \
  X(PyThreadState *, PyEval_SaveThread, (void))                                             \
  X(void, PyEval_RestoreThread, (PyThreadState *))                                          \
  X(PyObject *, PyCMethod_New, (PyMethodDef *, PyObject *, PyObject *, PyObject *))         \
  X(int, PyDict_SetItemString, (PyObject *, const char *, PyObject *))                      \
  X(PyObject *, PyImport_AddModuleRef, (const char *))                                      \
  X(PyObject *, PyImport_ImportModule, (const char *))                                      \
  X(PyObject *, PyModule_GetDict, (PyObject *))                                             \
  X(PyObject *, PyObject_GetAttrString, (PyObject *, const char *))                         \
  X(PyObject *, PyObject_Vectorcall, (PyObject *, PyObject *const *, size_t, PyObject *))   \
  X(PyObject *, PyObject_VectorcallMethod,                                                  \
    (PyObject *, PyObject *const *, size_t, PyObject *))                                    \
  X(PyObject *, PyMemoryView_FromMemory, (char *, intptr_t, int))                           \
  X(int, PyObject_GetBuffer, (PyObject *, Py_buffer *, int))                                \
  X(void, PyBuffer_Release, (Py_buffer *))                                                  \
  X(PyObject *, Py_CompileString, (const char *, const char *, int))                        \
  X(PyObject *, PyEval_EvalCode, (PyObject *, PyObject *, PyObject *))                      \
  X(PyObject *, PyErr_GetRaisedException, (void))                                           \
  X(void, PyErr_Print, (void))                                                              \
  X(void, PyErr_Clear, (void))                                                              \
  X(PyObject *, PyErr_Occurred, (void))                                                     \
  X(void, PyErr_SetNone, (PyObject *))                                                      \
  X(void, PyErr_SetString, (PyObject *, const char *))                                      \
  X(PyObject *, PyCapsule_New, (void *, const char *, void (*)(PyObject *)))                \
  X(void *, PyCapsule_GetPointer, (PyObject *, const char *))                               \
  X(unsigned long, PyThread_get_thread_ident, (void))                                       \
  X(int, PyThreadState_SetAsyncExc, (unsigned long, PyObject *))                            \
  X(int, _PyEval_AddPendingCall, (PyInterpreterState *, int (*)(void *), void *, int))      \
  X(PyObject *, PyLong_FromLongLong, (long long))                                           \
  X(long long, PyLong_AsLongLong, (PyObject *))                                             \
  X(PyObject *, PyFloat_FromDouble, (double))                                               \
  X(double, PyFloat_AsDouble, (PyObject *))                                                 \
  X(PyObject *, PyBool_FromLong, (long))                                                    \
  X(int, PyObject_IsTrue, (PyObject *))                                                     \
  X(PyObject *, PyUnicode_FromString, (const char *))                                       \
  X(PyObject *, PyUnicode_FromStringAndSize, (const char *, intptr_t))                      \
  X(const char *, PyUnicode_AsUTF8AndSize, (PyObject *, intptr_t *))                        \
  X(PyObject *, PyUnicode_InternFromString, (const char *))                                 \
  X(PyObject *, PyUnicode_Join, (PyObject *, PyObject *))                                   \
  X(PyObject *, PyBytes_FromStringAndSize, (const char *, intptr_t))                        \
  X(int, PyBytes_AsStringAndSize, (PyObject *, char **, intptr_t *))                        \
  X(PyObject *, PyList_New, (intptr_t))                                                     \
  X(int, PyList_SetItem, (PyObject *, intptr_t, PyObject *))                                \
  X(PyObject *, PyList_GetItem, (PyObject *, intptr_t))                                     \
  X(intptr_t, PyList_Size, (PyObject *))                                                    \
  X(PyObject *, PyDict_New, (void))                                                         \
  X(int, PyDict_SetItem, (PyObject *, PyObject *, PyObject *))                              \
  X(PyObject *, PyDict_GetItem, (PyObject *, PyObject *))                                   \
  X(PyObject *, PyDict_GetItemString, (PyObject *, const char *))                           \
  X(int, PyDict_Next, (PyObject *, intptr_t *, PyObject **, PyObject **))                   \
  X(intptr_t, PyDict_Size, (PyObject *))                                                    \
  X(void, Py_IncRef, (PyObject *))                                                          \
  X(void, Py_DecRef, (PyObject *))

static struct {
#define X(type, name, arguments) type(*name) arguments;
  RAW_FUNCTIONS(X)
#undef X
  PyObject **PyExc_KeyboardInterrupt, **PyExc_TypeError;
} raw;

static void raw_fail(const char *what) {
  fprintf(stderr, "raw: %s failed\n", what);
  exit(1);
}

/** Fills the table from a libpython that is in the process. */
static inline void raw_load(void *library) {
  /* POSIX's way from an object pointer to a function pointer. */
#define X(type, name, arguments)                  \
  *(void **)&raw.name = dlsym(library, #name);    \
  if (raw.name == NULL) raw_fail(#name);
  RAW_FUNCTIONS(X)
#undef X
  raw.PyExc_KeyboardInterrupt = dlsym(library, "PyExc_KeyboardInterrupt");
  raw.PyExc_TypeError = dlsym(library, "PyExc_TypeError");
  if (raw.PyExc_KeyboardInterrupt == NULL || raw.PyExc_TypeError == NULL) raw_fail("exceptions");
}

typedef struct {
  PyInterpreterState *state;
  PyObject *main_dict;
} raw_interp;

typedef struct {
  PyThreadState *state, *previous;
} raw_entry;

static __thread struct {
  void *base;
  size_t size;
} raw_stack;

/** A thread state for this thread, not attached. */
static inline PyThreadState *raw_thread_state(const raw_interp *interp) {
  if (raw_stack.base == NULL) {
    pthread_attr_t attributes;
    size_t guard;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getguardsize(&attributes, &guard);
    pthread_attr_getstack(&attributes, &raw_stack.base, &raw_stack.size);
    pthread_attr_destroy(&attributes);
    raw_stack.base = (char *)raw_stack.base + guard;
    raw_stack.size -= guard;
  }
  PyThreadState *state = raw.PyThreadState_New(interp->state);
  raw.PyUnstable_ThreadState_SetStackProtection(state, raw_stack.base, raw_stack.size);
  return state;
}

static inline raw_entry raw_enter(const raw_interp *interp) {
  raw_entry entry = {.state = raw_thread_state(interp)};
  entry.previous = raw.PyThreadState_Swap(entry.state);
  return entry;
}

static inline void raw_leave(raw_entry entry) {
  raw.PyErr_Clear();
  raw.PyThreadState_Clear(entry.state);
  raw.PyThreadState_Swap(entry.previous);
  raw.PyThreadState_Delete(entry.state);
}

/**
 * An interpreter's struct holds room for one thread state. `take_room` keeps it from use, so that states come from the
 * heap, as subpy does (src/python/interp.rs: a Python thread that outlives the interpreter would use freed memory).
 */
static inline raw_interp raw_create(bool take_room) {
  PyInterpreterConfig config = {.allow_threads = 1, .check_multi_interp_extensions = 1, .gil = OWN_GIL};
  PyThreadState *first = NULL, *previous = raw.PyThreadState_Swap(NULL);
  raw.Py_NewInterpreterFromConfig(&first, &config);
  if (first == NULL) raw_fail("Py_NewInterpreterFromConfig");
  raw_interp interp = {.state = raw.PyThreadState_GetInterpreter(first)};
  PyObject *module = raw.PyImport_AddModuleRef("__main__");
  interp.main_dict = raw.PyModule_GetDict(module);
  raw.Py_IncRef(interp.main_dict);
  raw.Py_DecRef(module);
  raw.PyThreadState_Clear(first);
  raw.PyThreadState_Swap(previous);
  raw.PyThreadState_Delete(first);
  if (take_room) raw.PyThreadState_New(interp.state);
  return interp;
}

static inline void raw_close(raw_interp interp) {
  raw_entry entry = raw_enter(&interp);
  raw.Py_DecRef(interp.main_dict);
  raw.Py_EndInterpreter(entry.state);
  raw.PyThreadState_Swap(entry.previous);
}

/* Functions of the host: Python calls what a pointer says, with data of the host's own, as a library has it. */

typedef struct {
  int64_t (*call)(const void *userdata, int64_t a, int64_t b);
  const void *userdata;
} raw_host;

static inline bool raw_host_args(PyObject *const *args, intptr_t nargs, int64_t values[2]) {
  if (nargs != 2) {
    raw.PyErr_SetString(*raw.PyExc_TypeError, "two ints are needed");
    return false;
  }
  for (int i = 0; i < 2; i++) {
    values[i] = raw.PyLong_AsLongLong(args[i]);
    if (values[i] == -1 && raw.PyErr_Occurred() != NULL) return false;
  }
  return true;
}

static inline PyObject *raw_call_host(PyObject *self, PyObject *const *args, intptr_t nargs) {
  const raw_host *host = raw.PyCapsule_GetPointer(self, NULL);
  int64_t values[2];
  if (host == NULL || !raw_host_args(args, nargs, values)) return NULL;
  PyThreadState *state = raw.PyEval_SaveThread();
  int64_t result = host->call(host->userdata, values[0], values[1]);
  raw.PyEval_RestoreThread(state);
  return raw.PyLong_FromLongLong(result);
}

static inline PyObject *raw_call_host_with_gil(PyObject *self, PyObject *const *args, intptr_t nargs) {
  const raw_host *host = raw.PyCapsule_GetPointer(self, NULL);
  int64_t values[2];
  if (host == NULL || !raw_host_args(args, nargs, values)) return NULL;
  return raw.PyLong_FromLongLong(host->call(host->userdata, values[0], values[1]));
}

/** In between raw_enter() and raw_leave(). The host stays for good. */
static inline void raw_define(const raw_interp *interp, const char *name, bool with_gil, raw_host *host) {
  static PyMethodDef definitions[] = {{"host", raw_call_host, METH_FASTCALL, NULL},
                                      {"host", raw_call_host_with_gil, METH_FASTCALL, NULL}};
  PyObject *self = raw.PyCapsule_New(host, NULL, NULL);
  PyObject *function = raw.PyCMethod_New(&definitions[with_gil], self, NULL, NULL);
  if (function == NULL || raw.PyDict_SetItemString(interp->main_dict, name, function) != 0) raw_fail(name);
  raw.Py_DecRef(function);
  raw.Py_DecRef(self);
}

/* The cache of data-stack blocks. */

enum { RAW_CHUNK = 16384, RAW_KEPT = 4 };

static PyObjectArenaAllocator raw_original;
static __thread void *raw_chunks[RAW_KEPT];
static __thread int raw_kept;

static inline void *raw_chunk_alloc(void *ctx, size_t size) {
  return size == RAW_CHUNK && raw_kept > 0 ? raw_chunks[--raw_kept] : raw_original.alloc(ctx, size);
}

static inline void raw_chunk_free(void *ctx, void *block, size_t size) {
  if (block == NULL) return;
  if (size == RAW_CHUNK && raw_kept < RAW_KEPT) raw_chunks[raw_kept++] = block;
  else raw_original.free(ctx, block, size);
}

/** Starts CPython with subpy's default options, on the calling thread, and leaves it detached. */
static inline void raw_start(const char *library, const char *executable) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  if (handle == NULL) raw_fail(library);
  raw_load(handle);
  raw.PyObject_GetArenaAllocator(&raw_original);
  PyObjectArenaAllocator cached = {raw_original.ctx, raw_chunk_alloc, raw_chunk_free};
  raw.PyObject_SetArenaAllocator(&cached);
  PyInitConfig *config = raw.PyInitConfig_Create();
  raw.PyInitConfig_SetInt(config, "utf8_mode", 1);
  raw.PyInitConfig_SetInt(config, "install_signal_handlers", 0);
  raw.PyInitConfig_SetInt(config, "site_import", 1);
  raw.PyInitConfig_SetStr(config, "executable", executable);
  if (raw.Py_InitializeFromInitConfig(config) < 0) raw_fail("Py_InitializeFromInitConfig");
  raw.PyInitConfig_Free(config);
  raw.PyEval_SaveThread();
}

#endif
