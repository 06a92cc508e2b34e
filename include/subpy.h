/*
 * subpy.h: many isolated CPython interpreters in one process, each with its own GIL.
 *
 * The interface of Python's `concurrent.interpreters`, for programs that are not Python. Generated from the library's
 * sources; documentation: docs/abi.md, docs/errors.md, docs/threads.md.
 *
 *   #include <stdio.h>
 *   #include "subpy.h"
 *
 *   int main(void) {
 *     subpy_interp interp = 0;
 *     subpy_error *error = NULL;
 *     subpy_value args[] = {subpy_float(2.0)}, root = {0};
 *     if (subpy_create(NULL, &interp, &error) == SUBPY_OK &&
 *         subpy_exec(interp, "print('hello from Python')", SUBPY_AUTO_LEN, &error) == SUBPY_OK &&
 *         subpy_call(interp, "math:sqrt", SUBPY_AUTO_LEN, args, 1, NULL, &root, &error) == SUBPY_OK)
 *       printf("the square root of 2 is %.15f\n", root.u.as_float);
 *     else
 *       fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
 *     subpy_value_free(&root);
 *     subpy_error_free(error);
 *     return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
 *   }
 *
 * Conventions
 *   Threads     Any function may be called from any thread at any time, unless its comment says otherwise. There is no
 *               thread-local state: no "last error".
 *   Arguments   What a function acts on comes first, then inputs, then outputs, then the error.
 *   Errors      Every function that can fail returns a subpy_status and takes a subpy_error **, which may be NULL. On
 *               failure it receives an error to be freed with subpy_error_free(), on success NULL.
 *   Outputs     are written on success, and made zero or NULL on failure: one clean-up path serves both. An output that
 *               is not wanted may be NULL.
 *   Text        in: UTF-8 and a length in bytes, or SUBPY_AUTO_LEN when it ends with a NUL. Out: valid as long as its
 *               owner, with a NUL behind it.
 *   Ownership   What you pass is borrowed until the function returns. What you receive is yours: values, errors, threads
 *               and interpreters have a function to free or close them. subpy_*_free() takes NULL, 0 and empty values.
 *   Options     Structs begin with their size (sizeof), so that old programs work with new libraries; {0} plus the size
 *               is the default. Unknown flags, and fields that do not apply, are SUBPY_ERROR_INVALID_ARGUMENT.
 *   Enums       are int32_t with #define'd constants.
 */

#ifndef SUBPY_H
#define SUBPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Before each function: nothing, but on Windows, where it says that the function is in a DLL. Define SUBPY_STATIC when
 * you link the static library there.
 */
#ifndef SUBPY_API
#if defined(_WIN32) && !defined(SUBPY_STATIC)
#define SUBPY_API __declspec(dllimport)
#else
#define SUBPY_API
#endif
#endif

/*
 * Before each function that does nothing but return something: the compiler warns when that is thrown away. Functions
 * that return a status do not have it, since a caller may look at the error instead.
 */
#ifndef SUBPY_NODISCARD
#if (defined(__cplusplus) && __cplusplus >= 201703L) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
#define SUBPY_NODISCARD [[nodiscard]]
#elif defined(__GNUC__)
#define SUBPY_NODISCARD __attribute__((warn_unused_result))
#else
#define SUBPY_NODISCARD
#endif
#endif

/** As the length of a text: it ends with a NUL. */
#define SUBPY_AUTO_LEN SIZE_MAX

/* ---------------------------------------------------------------------------------------------------------------------
 * Status codes and handles
 *
 * What all functions share: lengths, status codes, handles.
 * --------------------------------------------------------------------------------------------------------------------- */

/** done */
#define SUBPY_OK 0
/** an argument makes no sense; the message names it */
#define SUBPY_ERROR_INVALID_ARGUMENT (-1)
/** no such interpreter or thread: closed, joined, freed, or never there (InterpreterNotFoundError) */
#define SUBPY_ERROR_NOT_FOUND (-2)
/** the interpreter is running already, or is running and cannot be closed */
#define SUBPY_ERROR_BUSY (-3)
/** Python code ended with an uncaught exception (ExecutionFailed) */
#define SUBPY_ERROR_EXECUTION_FAILED (-4)
/** a Python object has no subpy_value; the message names the path to it (NotShareableError) */
#define SUBPY_ERROR_NOT_SHAREABLE (-5)
/** any other InterpreterError */
#define SUBPY_ERROR_INTERPRETER (-6)
/** the source does not compile; nothing ran */
#define SUBPY_ERROR_SYNTAX (-7)
/** no CPython that fits was found; the message lists what was tried */
#define SUBPY_ERROR_PYTHON_NOT_FOUND (-8)
/** the CPython that was asked for, or that is in the process already, does not fit */
#define SUBPY_ERROR_PYTHON_UNSUPPORTED (-9)
/** out of memory */
#define SUBPY_ERROR_NO_MEMORY (-12)
/** this process was forked from one in which Python runs; it can use nothing of subpy, and exit normally */
#define SUBPY_ERROR_FORKED (-13)
/** not now: the message says what has to come before, or what is going on */
#define SUBPY_ERROR_WRONG_STATE (-14)
/** a bug in subpy; please report it */
#define SUBPY_ERROR_PANIC (-15)

/** The outcome of a function that can fail: SUBPY_OK or a negative SUBPY_ERROR_*. Values are only ever added. */
typedef int32_t subpy_status;

/**
 * An interpreter. Handles are numbers below 2^53, never 0 and never used twice in a process: one that is stale or
 * invented is an error, never undefined behaviour.
 */
typedef uint64_t subpy_interp;

/** A run on a thread of its own, until it is joined or freed. */
typedef uint64_t subpy_thread;

/** A callable that was looked up (a prepared function), until it is freed. */
typedef uint64_t subpy_function;

/**
 * The name of a status code.
 *
 * @param status  any number
 * @return "SUBPY_ERROR_NOT_FOUND" and the like; "SUBPY_ERROR_UNKNOWN" for a number that is none. Static text, never
 *         NULL. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_status_name(subpy_status status);

/* ---------------------------------------------------------------------------------------------------------------------
 * Errors
 *
 * What went wrong, as text and numbers, complete without the interpreter that it happened in. A subpy_error is
 * immutable, may be used from any thread, outlives everything, and is freed with subpy_error_free(). Texts are UTF-8,
 * NUL-terminated (and may hold NUL characters too), valid until the error is freed. All functions take NULL for an error.
 *
 * The fields of a Python exception are those of ExecutionFailed.excinfo in `concurrent.interpreters`.
 * --------------------------------------------------------------------------------------------------------------------- */

/** An error, owned by whoever received it. */
typedef struct subpy_error subpy_error;

/**
 * One frame of a traceback, for subpy_error_frame(). Texts are as all of an error's: UTF-8, NUL-terminated, valid until it
 * is freed.
 */
typedef struct subpy_frame {
  /** sizeof(subpy_frame), set by the caller */
  size_t size;
  /** the file name of its code, such as "<script>" */
  const char *file;
  /** in bytes */
  size_t file_len;
  /** the function's name, "<module>" at the top level */
  const char *function;
  /** in bytes */
  size_t function_len;
  /** the source line, without its newline and without the margin that exec removed; NULL when it is not known */
  const char *source;
  /** in bytes; 0 when it is NULL */
  size_t source_len;
  /** the line, from 1; 0 when unknown */
  int32_t line;
  /** the line in which the expression that was being evaluated ends; 0 when unknown */
  int32_t end_line;
  /** where in `line` that expression begins, in characters from 1; 0 when unknown, as it is without the source */
  int32_t column;
  /** the column behind its last character, in `end_line`; 0 when unknown */
  int32_t end_column;
} subpy_frame;

/** The status that came with the error; SUBPY_OK for NULL. */
SUBPY_NODISCARD SUBPY_API subpy_status subpy_error_status(const struct subpy_error *error);

/**
 * What went wrong, in one line; for SUBPY_ERROR_PYTHON_NOT_FOUND several. `len` (may be NULL) receives its length in
 * bytes. NULL only for a NULL error.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_message(const struct subpy_error *error, size_t *len);

/** excinfo.type.__name__, such as "ValueError"; NULL when there is no Python exception. */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_type_name(const struct subpy_error *error, size_t *len);

/** excinfo.type.__qualname__; NULL when there is no Python exception. */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_type_qualname(const struct subpy_error *error, size_t *len);

/** excinfo.type.__module__, such as "builtins"; NULL when there is no Python exception. */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_type_module(const struct subpy_error *error, size_t *len);

/**
 * excinfo.msg: str(exception), "" when it says nothing, "<exception str() failed>" when that raised; NULL when there is no
 * Python exception.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_exception_message(const struct subpy_error *error, size_t *len);

/**
 * excinfo.formatted: "module.Type: message", without the module for builtins and `__main__`; NULL when there is no Python
 * exception.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_formatted(const struct subpy_error *error, size_t *len);

/**
 * excinfo.errdisplay: the traceback that Python would print, without the final newline; NULL when there is no Python
 * exception.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_display(const struct subpy_error *error, size_t *len);

/** How many frames the traceback has; of more than 10,000 the middle is left out. */
SUBPY_NODISCARD SUBPY_API size_t subpy_error_frame_count(const struct subpy_error *error);

/**
 * One frame of the traceback.
 *
 * In the longer struct of a newer program, what this library does not know is made zero.
 *
 * @param index  from 0, the outermost
 * @param frame  receives it; its `size` must be set
 * @return false, and nothing is written, when there is no such frame, when `frame` is NULL, and when its size was not set:
 *         less than that of the first version (72 on 64-bit systems), or more than 4096.
 */
SUBPY_API bool subpy_error_frame(const struct subpy_error *error, size_t index, struct subpy_frame *frame);

/**
 * Where the source is wrong, for SUBPY_ERROR_SYNTAX.
 *
 * @param line    from 1; 0 when unknown; may be NULL, as the next two
 * @param column  in characters from 1; 0 when unknown
 * @param text    the line itself; NULL when unknown
 * @return false, and nothing is written, for any other error.
 */
SUBPY_API bool subpy_error_syntax(const struct subpy_error *error, int32_t *line, int32_t *column,
    const char **text);

/**
 * The status that SystemExit asked for: 0 for None, 1 for anything that is no int.
 *
 * @param status  may be NULL
 * @return false, and nothing is written, when the error is no SystemExit.
 */
SUBPY_API bool subpy_error_exit_status(const struct subpy_error *error, int32_t *status);

/** The interpreter that the error is about, 0 when none. The handle may be stale. */
SUBPY_NODISCARD SUBPY_API subpy_interp subpy_error_interp(const struct subpy_error *error);

/** Free an error; NULL is ignored. Never blocks and runs no Python; works after subpy_shutdown(). */
SUBPY_API void subpy_error_free(struct subpy_error *error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Values
 *
 * What goes into Python and comes out of it, always as a copy. None, bool, int, float, str, bytes, tuple, list and
 * dict cross exactly, in both directions (from Python also bytearray and memoryviews of bytes). Anything else, and any
 * subclass of these, is SUBPY_ERROR_NOT_SHAREABLE. Values may be nested 1,000 levels deep.
 *
 * The constructors borrow what they point to and allocate nothing: there is nothing to free. Only results own memory.
 * --------------------------------------------------------------------------------------------------------------------- */

/** None; the union is not used */
#define SUBPY_KIND_NONE 0
/** bool: as_bool */
#define SUBPY_KIND_BOOL 1
/** an int that fits 64 bits: as_int */
#define SUBPY_KIND_INT 2
/** any other int: as_str, hexadecimal text such as "-0x1ff", of any length */
#define SUBPY_KIND_BIGINT 3
/** float: as_float, bit for bit */
#define SUBPY_KIND_FLOAT 4
/** str: as_str, UTF-8, may hold NUL characters */
#define SUBPY_KIND_STR 5
/** bytes: as_bytes */
#define SUBPY_KIND_BYTES 6
/** tuple: as_items */
#define SUBPY_KIND_TUPLE 7
/** list: as_items */
#define SUBPY_KIND_LIST 8
/** dict: as_pairs, in insertion order */
#define SUBPY_KIND_DICT 9

/** The payload of a subpy_value. BIGINT uses as_str; NONE uses nothing. */
typedef union subpy_value_data {
  /** INT */
  int64_t as_int;
  /** FLOAT */
  double as_float;
  /** STR: UTF-8, not necessarily NUL-terminated on input, always in results. BIGINT: hexadecimal, "-0x1ff" */
  const char *as_str;
  /** BYTES */
  const uint8_t *as_bytes;
  /** TUPLE and LIST */
  const struct subpy_value *as_items;
  /** BOOL: one byte is read, any but 0 is true; all eight are written */
  bool as_bool;
  /** DICT */
  const struct subpy_pair *as_pairs;
} subpy_value_data;

/**
 * A value that crosses between the host and Python: 24 bytes on 64-bit systems; all bytes zero is None.
 *
 * Arguments are borrowed: what a value points to must stay as it is until the call returns. A result is one block of
 * memory however deeply it is nested, owned by its root alone: free the root with subpy_value_free(). Copying the
 * struct moves the ownership, so free one of the copies.
 */
typedef struct subpy_value {
  /** one of SUBPY_KIND_* */
  int32_t kind;
  /** zero; the library marks a result here, so a result is fine as an argument too. Any other bit is an error */
  uint32_t flags;
  /** bytes (STR, BYTES, BIGINT), items (TUPLE, LIST) or pairs (DICT); ignored for the other kinds */
  size_t len;
  /** the member that belongs to the kind */
  union subpy_value_data u;
} subpy_value;

/** One entry of a DICT. */
typedef struct subpy_pair {
  /** any value that is hashable in Python */
  struct subpy_value key;
  /** any value */
  struct subpy_value value;
} subpy_pair;

/** None. Any thread; so are all constructors. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_none(void);

/** A bool. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_bool(bool value);

/** An int. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_int(int64_t value);

/** A float. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_float(double value);

/** A str that borrows `text`: UTF-8, checked when it is used. `len` in bytes, or SUBPY_AUTO_LEN. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_str(const char *text, size_t len);

/** A bytes object that borrows `data`. SUBPY_AUTO_LEN is an error, reported when the value is used. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_bytes(const uint8_t *data, size_t len);

/** An int of any size that borrows `hex`, hexadecimal text: "0x1ff", "-0x1ff". `len` in bytes, or SUBPY_AUTO_LEN. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_bigint(const char *hex, size_t len);

/** A tuple that borrows `len` values. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_tuple(const struct subpy_value *items, size_t len);

/** A list that borrows `len` values. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_list(const struct subpy_value *items, size_t len);

/** A dict that borrows `len` pairs. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_dict(const struct subpy_pair *pairs, size_t len);

/**
 * The value that a dict has for a str key. Looks at the pairs one by one.
 *
 * @param dict  a DICT; NULL or anything else has no keys
 * @param key   UTF-8
 * @param len   its length in bytes, or SUBPY_AUTO_LEN
 * @return the value, part of the dict; NULL when there is none. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const struct subpy_value *subpy_value_get(const struct subpy_value *dict, const char *key,
    size_t len);

/**
 * The memory that a result points into: its items, pairs and texts, however deeply nested, all lie in one block. For
 * bindings that read a block at once instead of following pointers one by one.
 *
 * @param value  a result
 * @param base   where the block begins; NULL when there is none; may be NULL
 * @param size   its size in bytes; 0 when there is none; may be NULL
 * @return whether the value owns a block: not when it is None, a bool, an INT or a FLOAT, nor when it is no result or a
 *         part of one. Any thread.
 */
SUBPY_API bool subpy_value_block(const struct subpy_value *value, const void **base, size_t *size);

/**
 * Free a result and make it None.
 *
 * @param value  a result; NULL, a value made by a constructor, a part of a result, and one that was freed are left alone
 *
 * Never blocks and runs no Python; works after the interpreter was closed and after subpy_shutdown(). Any thread.
 */
SUBPY_API void subpy_value_free(struct subpy_value *value);

/* ---------------------------------------------------------------------------------------------------------------------
 * The runtime
 *
 * CPython in this process. It starts by itself on the first use of an interpreter; subpy_init() is for choosing which
 * CPython, and how. Only the application shuts it down; a library that uses subpy never has to.
 * --------------------------------------------------------------------------------------------------------------------- */

/** The version that this header belongs to: major * 1000000 + minor * 1000 + patch. */
#define SUBPY_VERSION 1000
/** Honour PYTHONPATH and the other PYTHON* variables. By default CPython starts isolated from the environment. */
#define SUBPY_RUNTIME_USE_ENVIRONMENT 1
/** Start without the site module: no site-packages, and interpreters are created a third faster. */
#define SUBPY_RUNTIME_NO_SITE 2
/**
 * Leave SIGPIPE as it is. By default, when SIGPIPE is at its default action, it is set to be ignored, as `python` does:
 * Python code that writes to a closed pipe then gets BrokenPipeError, instead of ending the process.
 */
#define SUBPY_RUNTIME_KEEP_SIGPIPE 4

/** Options of subpy_init(). Zero is the default of every field. */
typedef struct subpy_runtime_options {
  /** sizeof(subpy_runtime_options) */
  size_t size;
  /** path of an executable, of a virtual environment's folder or of a libpython; NULL: search, see subpy_init() */
  const char *python;
  /** SUBPY_RUNTIME_* */
  uint64_t flags;
} subpy_runtime_options;

/**
 * Start the runtime, or make sure that it runs.
 *
 * The CPython is the first of: options->python; the environment variable SUBPY_PYTHON (the same three kinds of path); a
 * CPython that is in this process already (adopted when it is initialised: it keeps its configuration, and its owner
 * finalizes it); VIRTUAL_ENV; python3.14, newer ones, python3 and python on PATH; uv's, pyenv's and the system's
 * folders; what tools/get-python of subpy's sources has downloaded. It must be CPython 3.14.1 or newer with a shared
 * libpython, and with a GIL (not free-threaded). Relative paths in the environment are not followed.
 *
 * @param options  NULL for the defaults
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, also when the runtime runs with the same options;
 *         SUBPY_ERROR_PYTHON_NOT_FOUND    nothing fits; the message lists, line by line, what was tried and why it was
 *                                         refused
 *         SUBPY_ERROR_PYTHON_UNSUPPORTED  the one that was asked for, or is in the process, does not fit
 *         SUBPY_ERROR_WRONG_STATE         it runs with other options, or another CPython was used before, or this
 *                                         thread's stack is too small
 *         SUBPY_ERROR_INTERPRETER         CPython did not start, or the process has no more files, threads or memory to
 *                                         look for it; the message has the reason
 *
 * Any thread. CPython is started on a thread of the library's own.
 */
SUBPY_API subpy_status subpy_init(const struct subpy_runtime_options *options, subpy_error **error);

/**
 * Close every interpreter, also those that Python code created, and finalize CPython.
 *
 * Waits, as subpy_close() does, for the threads that Python code started. All handles become SUBPY_ERROR_NOT_FOUND;
 * results and errors stay valid. Threads that were not joined are freed; if their runs failed, that is printed.
 * subpy_init() works again afterwards, with the same CPython. A CPython that was adopted is not finalized.
 *
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, also when the runtime does not run;
 *         SUBPY_ERROR_BUSY         something is running or being created; everything stays as it was
 *         SUBPY_ERROR_WRONG_STATE  another thread is shutting down, or this thread's stack is too small
 *
 * Any thread that is not inside an interpreter.
 */
SUBPY_API subpy_status subpy_shutdown(subpy_error **error);

/**
 * The version of the library: major * 1000000 + minor * 1000 + patch, so 1000 is 0.1.0. Compare it with SUBPY_VERSION
 * when the library is opened at run time. Any thread.
 */
SUBPY_NODISCARD SUBPY_API uint32_t subpy_version(void);

/** The version of the library as text, "0.1.0". Static. Any thread. */
SUBPY_NODISCARD SUBPY_API const char *subpy_version_string(void);

/**
 * The version of the CPython in use, "3.14.6". NULL before the first start of the runtime; valid until the process
 * exits. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_python_version(void);

/**
 * The path of the libpython in use; "" when a host program brought CPython inside itself. NULL before the first start of
 * the runtime; valid until the process exits. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_python_library(void);

/* ---------------------------------------------------------------------------------------------------------------------
 * Interpreters
 *
 * `concurrent.interpreters` of Python 3.14, operation by operation. An interpreter is isolated: it has its own modules,
 * its own `__main__` and, unless asked otherwise, its own GIL, so interpreters run Python in parallel. They share what
 * belongs to the process: working directory, environment, file descriptors, signals. Isolation guards against accidents,
 * not against hostile code.
 * --------------------------------------------------------------------------------------------------------------------- */

/** Its own GIL: runs in parallel with the others. */
#define SUBPY_GIL_OWN 0
/** The main interpreter's GIL: more extension modules load; it takes turns with main and the others that share it. */
#define SUBPY_GIL_SHARED 1
/** While the interpreter is running, another run is refused with SUBPY_ERROR_BUSY, as in Python. */
#define SUBPY_BUSY_REFUSE 0
/** Another run waits until it is its turn; first come, first served. */
#define SUBPY_BUSY_WAIT 1
/** Another run starts at once: the threads take turns with the GIL, as Python's own threads do. */
#define SUBPY_BUSY_SHARE 2
/** Python code may call os.fork(). The child crashes, until CPython has a fix (python/cpython#139759). */
#define SUBPY_INTERP_ALLOW_FORK 1
/** Python code may call os.exec*(), which replaces the whole process. */
#define SUBPY_INTERP_ALLOW_EXEC 2
/** Python code may not start threads. */
#define SUBPY_INTERP_NO_THREADS 4
/**
 * Python code may start daemon threads. Python takes a thread of the host for a daemon, so threading.Thread makes daemons
 * there unless it is told daemon=False; closing does not wait for those.
 */
#define SUBPY_INTERP_ALLOW_DAEMON_THREADS 8
/**
 * Extension modules that do not declare support for sub-interpreters load too. Needs SUBPY_GIL_SHARED. Many of them work
 * in the first interpreter that imports them, and fail or misbehave in the next.
 */
#define SUBPY_INTERP_NO_EXTENSION_CHECK 16

/** Options of subpy_create(). Zero is the default of every field, and what `concurrent.interpreters` does. */
typedef struct subpy_interp_options {
  /** sizeof(subpy_interp_options) */
  size_t size;
  /** SUBPY_GIL_* */
  int32_t gil;
  /** SUBPY_BUSY_*: what happens to a run while the interpreter is running */
  int32_t busy;
  /** SUBPY_INTERP_* */
  uint64_t flags;
  /** folders to put in front of sys.path, `path_len` of them */
  const char *const *path;
  /** how many; 0: none */
  size_t path_len;
} subpy_interp_options;

/**
 * Create an interpreter. Starts the runtime when it is not running. Python: create().
 *
 * Takes about ten milliseconds, and 2 MiB of memory while it lives. The main interpreter's GIL is needed for some of it.
 *
 * @param options  NULL for the defaults
 * @param interp   the new interpreter, not NULL; to be closed with subpy_close(), or by subpy_shutdown()
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_init();
 *         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
 *         SUBPY_ERROR_INTERPRETER       CPython did not create it
 *         SUBPY_ERROR_WRONG_STATE       the runtime is being shut down, or this thread's stack is too small
 *
 * Any thread; several threads create in parallel.
 */
SUBPY_API subpy_status subpy_create(const struct subpy_interp_options *options, subpy_interp *interp,
    subpy_error **error);

/**
 * Finalize and destroy an interpreter. Python: Interpreter.close().
 *
 * Waits for the threads that Python code started in it (not for daemons), runs its atexit handlers and frees it, with the
 * interpreters that its code created and nobody else holds. While it waits the interpreter is still listed, and runs in
 * it are SUBPY_ERROR_BUSY. A thread that never ends is waited for without end.
 *
 * @param interp  the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_BUSY         something is running in it, or another thread is closing it; it stays as it was
 *         SUBPY_ERROR_INTERPRETER  called from inside the interpreter itself; or it is main, or Python code created it
 *         SUBPY_ERROR_NOT_FOUND    no such interpreter (closed already)
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_close(subpy_interp interp, subpy_error **error);

/**
 * Bind names in the interpreter's `__main__`. Python: Interpreter.prepare_main(). All or nothing.
 *
 * @param interp  the interpreter
 * @param names   a DICT that is not empty, with STR keys without NUL
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT, naming the path to what is wrong; any error of subpy_exec()
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_prepare_main(subpy_interp interp, const subpy_value *names, subpy_error **error);

/**
 * Whether something is being run in the interpreter by this library. Threads that Python code left behind do not count.
 * Python: Interpreter.is_running().
 *
 * @param running  the answer
 * @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
 */
SUBPY_API subpy_status subpy_is_running(subpy_interp interp, bool *running, subpy_error **error);

/**
 * The id that CPython gave the interpreter: 0 for main, then ascending, never used twice between subpy_init() and
 * subpy_shutdown(). Python: Interpreter.id.
 *
 * @param id  the id
 * @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
 */
SUBPY_API subpy_status subpy_id(subpy_interp interp, int64_t *id, subpy_error **error);

/**
 * Where the interpreter came from, in CPython's words: "runtime init" (main), "C-API" (subpy_create()),
 * "_interpreters module" (Python code), "legacy C-API", "cross-interpreter C-API" or "unknown". Python:
 * Interpreter.whence.
 *
 * @param whence  static text
 * @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
 */
SUBPY_API subpy_status subpy_whence(subpy_interp interp, const char **whence, subpy_error **error);

/**
 * All interpreters by ascending id: main, yours, and those that Python code created, which can be asked about but not
 * run in. Starts the runtime when it is not running. Python: list_all().
 *
 * @param interps   room for `capacity` handles; may be NULL when that is 0
 * @param capacity  how many to write at most
 * @param count     how many there are, whatever the capacity; may be NULL
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, also when there are more than fit; any error of subpy_init()
 *
 * Any thread. Others may create and close meanwhile.
 */
SUBPY_API subpy_status subpy_list_all(subpy_interp *interps, size_t capacity, size_t *count, subpy_error **error);

/**
 * The interpreter that the calling thread is in: when Python code calls a C function, that Python code's. Python:
 * get_current().
 *
 * @param interp  the interpreter
 * @return SUBPY_OK, or SUBPY_ERROR_NOT_FOUND when it is in none. Any thread.
 */
SUBPY_API subpy_status subpy_get_current(subpy_interp *interp, subpy_error **error);

/**
 * The main interpreter. Starts the runtime when it is not running. Python: get_main().
 *
 * Code can be run in it: packages that refuse other interpreters work there. It cannot be closed. A long run in it delays
 * the creation of interpreters, and the first import of an extension module in each. Threads that code in it starts are
 * daemons unless told daemon=False, so subpy_shutdown() does not wait for them.
 *
 * @param interp  the interpreter
 * @return SUBPY_OK or any error of subpy_init(). Any thread.
 */
SUBPY_API subpy_status subpy_get_main(subpy_interp *interp, subpy_error **error);

/**
 * The interpreter with this id. Starts the runtime when it is not running. Python: Interpreter(id).
 *
 * @param id      CPython's id, see subpy_id()
 * @param interp  the interpreter
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT for a negative id; any error of subpy_init().
 *         Any thread.
 */
SUBPY_API subpy_status subpy_find(int64_t id, subpy_interp *interp, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Running code
 *
 * Everything runs in the interpreter's `__main__`, whose names last from run to run, on the calling thread.
 * By default an interpreter runs one thing at a time; a thread that is inside already may run more in it. What the code
 * printed has been written when the function returns.
 * --------------------------------------------------------------------------------------------------------------------- */

/** exec: statements */
#define SUBPY_RUN_EXEC 1
/** eval: an expression */
#define SUBPY_RUN_EVAL 2
/** call: a callable by its name, with arguments */
#define SUBPY_RUN_CALL 3
/** call of a prepared function, with arguments */
#define SUBPY_RUN_FUNCTION 4
/** exec does not take the common indentation off. */
#define SUBPY_KEEP_INDENT 1

/** What subpy_run() and subpy_run_in_thread() run. Zero is the default of every field that may be left out. */
typedef struct subpy_run_request {
  /** sizeof(subpy_run_request) */
  size_t size;
  /** where; for a function 0 or its interpreter */
  subpy_interp interp;
  /** SUBPY_RUN_EXEC, _EVAL, _CALL or _FUNCTION */
  int32_t what;
  /** SUBPY_KEEP_INDENT, for exec */
  uint32_t flags;
  /** source, expression or callable, in UTF-8; for a function NULL */
  const char *text;
  /** its length in bytes, or SUBPY_AUTO_LEN */
  size_t text_len;
  /** for a function: which; otherwise 0 */
  subpy_function function;
  /** for calls: `nargs` positional arguments */
  const subpy_value *args;
  /** how many */
  size_t nargs;
  /** for calls: NULL, or a DICT with STR keys */
  const subpy_value *kwargs;
  /** for exec and eval: the file name in tracebacks, NUL-terminated; NULL: "<script>" */
  const char *filename;
} subpy_run_request;

/**
 * Run statements. Python: Interpreter.exec().
 *
 * Indentation that all lines share is taken off first when the first line that is not blank is indented, as
 * `python -c` does it.
 *
 * @param interp  the interpreter
 * @param code    the source, in UTF-8; a coding cookie says nothing
 * @param len     its length in bytes, or SUBPY_AUTO_LEN
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_INVALID_ARGUMENT  NULL, or not UTF-8
 *         SUBPY_ERROR_NOT_FOUND         no such interpreter
 *         SUBPY_ERROR_BUSY              it is running (see SUBPY_BUSY_*), or closing
 *         SUBPY_ERROR_SYNTAX            the source does not compile; nothing ran
 *         SUBPY_ERROR_EXECUTION_FAILED  an uncaught exception, SystemExit included: sys.exit() does not exit
 *         SUBPY_ERROR_INTERPRETER       Python code created the interpreter, it cannot be driven
 *         SUBPY_ERROR_WRONG_STATE       this thread's stack is too small for Python
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_exec(subpy_interp interp, const char *code, size_t len, subpy_error **error);

/**
 * Evaluate an expression, as eval() does.
 *
 * @param interp      the interpreter
 * @param expression  in UTF-8
 * @param len         its length in bytes, or SUBPY_AUTO_LEN
 * @param result      its value, to be freed with subpy_value_free(); NULL: not converted at all
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_exec();
 *         SUBPY_ERROR_NOT_SHAREABLE  the result, or something in it, has no subpy_value; the message names the path to it
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_eval(subpy_interp interp, const char *expression, size_t len, subpy_value *result,
    subpy_error **error);

/**
 * Call something by its name. Python: Interpreter.call().
 *
 * @param interp    the interpreter
 * @param callable  "name" in `__main__`, or "package.module:attribute.attribute"; looked up at each call
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @param args      `nargs` positional arguments, copied into the interpreter; may be NULL when that is 0
 * @param nargs     how many
 * @param kwargs    NULL, or a DICT with STR keys
 * @param result    what it returned, to be freed with subpy_value_free(); NULL: not converted at all
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_eval(); a name that does not exist, or cannot be called, is
 *         SUBPY_ERROR_EXECUTION_FAILED with AttributeError, ModuleNotFoundError or TypeError
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_call(subpy_interp interp, const char *callable, size_t len, const subpy_value *args,
    size_t nargs, const subpy_value *kwargs, subpy_value *result, subpy_error **error);

/**
 * Run what the request says: exec, eval and call with every option.
 *
 * @param request  what to run, and where
 * @param result   the value (None for exec), to be freed with subpy_value_free(); NULL: not converted at all
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_exec(), subpy_eval() and subpy_call(); SUBPY_ERROR_INVALID_ARGUMENT also for a field that is set and
 *         does not apply
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_run(const struct subpy_run_request *request, subpy_value *result, subpy_error **error);

/**
 * Run what the request says on a new thread of its own. Everything the request points to is copied first.
 *
 * @param request  what to run, and where
 * @param thread   the thread, to be joined or freed; NULL: freed at once
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INTERPRETER when no thread could be
 *         started. Everything else, SUBPY_ERROR_BUSY too, comes from subpy_thread_join()
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_run_in_thread(const struct subpy_run_request *request, subpy_thread *thread,
    subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Prepared functions
 *
 * Callables that are looked up once and called many times. A function belongs to its interpreter: when that is closed,
 * its functions are SUBPY_ERROR_NOT_FOUND.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Look a callable up, to call it many times.
 *
 * The function holds the object that was found: binding the name to something else later does not change it.
 *
 * @param interp    the interpreter
 * @param callable  "name" in `__main__`, or "package.module:attribute.attribute"
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @param function  the function, not NULL; to be freed with subpy_function_free(), before or after its interpreter is
 *                  closed
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_exec(); a name that does not exist, or cannot be called, is
 *         SUBPY_ERROR_EXECUTION_FAILED with AttributeError, ModuleNotFoundError or TypeError
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_function_new(subpy_interp interp, const char *callable, size_t len,
    subpy_function *function, subpy_error **error);

/**
 * Call a function, in its interpreter.
 *
 * @param function  the function
 * @param args      `nargs` positional arguments, copied into the interpreter; may be NULL when that is 0
 * @param nargs     how many
 * @param kwargs    NULL, or a DICT with STR keys
 * @param result    what it returned, to be freed with subpy_value_free(); NULL: not converted at all
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_call(); SUBPY_ERROR_NOT_FOUND when the function was freed or its interpreter was
 *         closed
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_function_call(subpy_function function, const subpy_value *args, size_t nargs,
    const subpy_value *kwargs, subpy_value *result, subpy_error **error);

/**
 * Free a function. Calls that are running finish. The Python object is given back when the interpreter is entered next.
 *
 * @param function  the function; 0, or one that was freed, is ignored
 *
 * Never blocks and runs no Python; works after the interpreter was closed and after subpy_shutdown(). Any thread.
 */
SUBPY_API void subpy_function_free(subpy_function function);

/* ---------------------------------------------------------------------------------------------------------------------
 * Sessions
 *
 * A thread that calls into an interpreter many times can stay in it. That makes a call cheaper, and what Python keeps for
 * a thread (threading.local, contextvars, the decimal context) lasts from call to call instead of being new in each.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Keep this thread in an interpreter, until subpy_leave().
 *
 * Runs of this thread use one Python thread state from now on. The GIL is not held between them: other threads get in,
 * as SUBPY_BUSY_* says, and subpy_is_running() is false. Nests: as many subpy_leave() as subpy_enter(). A thread may have
 * entered several interpreters at once. When it ends, it leaves them.
 *
 * @param interp  the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_BUSY when it is closing; SUBPY_ERROR_INTERPRETER when Python code
 *         created it; SUBPY_ERROR_WRONG_STATE when this thread's stack is too small; SUBPY_ERROR_NO_MEMORY
 *
 * Until all have left, subpy_close() and subpy_shutdown() are SUBPY_ERROR_BUSY, on this thread too. Any thread.
 */
SUBPY_API subpy_status subpy_enter(subpy_interp interp, subpy_error **error);

/**
 * Undo one subpy_enter() of this thread.
 *
 * @param interp  the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_WRONG_STATE when this thread has not entered it, or when it is the last leave and this
 *         thread is running something in it
 *
 * The last one waits for the GIL, if another thread is running something, and runs finalizers of what threading.local
 * held. The thread that entered.
 */
SUBPY_API subpy_status subpy_leave(subpy_interp interp, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Threads
 *
 * Runs on threads of their own. Each has one outcome, for the one who joins.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Call something by its name on a new thread of its own. Everything the arguments point to is copied first. Python:
 * Interpreter.call_in_thread().
 *
 * @param interp    the interpreter
 * @param callable  as for subpy_call()
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @param args      `nargs` positional arguments; may be NULL when that is 0
 * @param nargs     how many
 * @param kwargs    NULL, or a DICT with STR keys
 * @param thread    the thread, to be joined or freed; NULL: freed at once
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_run_in_thread()
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_call_in_thread(subpy_interp interp, const char *callable, size_t len,
    const subpy_value *args, size_t nargs, const subpy_value *kwargs, subpy_thread *thread, subpy_error **error);

/**
 * Wait for a thread to end and take the outcome of its run. Once: afterwards the handle is SUBPY_ERROR_NOT_FOUND.
 *
 * @param thread  the thread
 * @param result  the run's result, to be freed with subpy_value_free(); may be NULL
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return what the run returned; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_WRONG_STATE for a thread that joins itself
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_thread_join(subpy_thread thread, subpy_value *result, subpy_error **error);

/**
 * Wait until the run of a thread has ended, or a time has passed. Takes nothing: the thread is still to be joined or freed.
 *
 * @param thread      the thread
 * @param timeout_ms  how long to wait at most, in milliseconds; 0: only look; -1: as long as it takes
 * @param done        whether the run has ended; may be NULL
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, whether it has ended or not; SUBPY_ERROR_INVALID_ARGUMENT for another negative time;
 *         SUBPY_ERROR_NOT_FOUND, also when the thread is joined or freed meanwhile; SUBPY_ERROR_WRONG_STATE for a thread
 *         that waits for itself
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_thread_wait(subpy_thread thread, int64_t timeout_ms, bool *done, subpy_error **error);

/**
 * Forget a thread. It goes on by itself; if its run fails, the traceback is printed to stderr, as Python's threads do.
 *
 * @param thread  the thread; 0, or one that was joined or freed, is ignored
 *
 * Never blocks. Any thread.
 */
SUBPY_API void subpy_thread_free(subpy_thread thread);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* SUBPY_H */
