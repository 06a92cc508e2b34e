/*
 * subpy.h: many isolated CPython interpreters in one program: each with its own GIL, or in a process of its own.
 *
 * The interface of Python's `concurrent.interpreters`, for programs that are not Python. Generated from the library's
 * sources. Where to begin: docs/tour.md, docs/c.md; more about what follows: docs/abi.md, docs/errors.md,
 * docs/threads.md.
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
 *   Threads     Any function may be called from any thread at any time, unless its comment says otherwise. Nothing is
 *               kept for the calling thread (there is no "last error"), except between subpy_enter() and subpy_leave().
 *   Arguments   What a function acts on comes first, then inputs, then outputs, then the error.
 *   Errors      Every function that can fail returns a subpy_status. Its last parameter, a subpy_error **, may be NULL;
 *               otherwise it receives NULL on success and, on failure, an error to be freed with subpy_error_free().
 *               All of these functions can return SUBPY_ERROR_FORKED, SUBPY_ERROR_NO_MEMORY and SUBPY_ERROR_PANIC;
 *               their comments do not repeat them.
 *   Outputs     are written on success, and made zero or NULL on failure, so one clean-up path serves both. What they
 *               held before is not looked at. An output may be NULL if it is not wanted, unless its comment says
 *               otherwise.
 *   Text        In: UTF-8, with its length in bytes or SUBPY_AUTO_LEN. Text that has no length parameter ends with a
 *               NUL. Out: ends with a NUL, and is valid as long as what it belongs to.
 *   Ownership   What you pass in is borrowed until the function returns. What you receive is yours: the comment of the
 *               function that gives you an error, a result or a handle names the one that frees or closes it. The
 *               subpy_*_free() functions ignore NULL, 0 and empty values.
 *   Options     Structs begin with their own size in bytes, so that old programs work with new libraries. Set it with
 *               sizeof; zero is the default of every other field. Unknown flags, and fields that are set but do not
 *               apply, are SUBPY_ERROR_INVALID_ARGUMENT.
 *   Times       are in milliseconds. As a limit of what code may take, 0 is no limit. As a time to wait (for a thread, a
 *               queue, a close), 0 is not to wait, and -1 is no limit.
 *   Enums       are int32_t; their constants are #defined.
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
 * Stands before each function. It is empty except on Windows, where it says that the function is in a DLL; define
 * SUBPY_STATIC there when you link the static library.
 */
#ifndef SUBPY_API
#if defined(_WIN32) && !defined(SUBPY_STATIC)
#define SUBPY_API __declspec(dllimport)
#else
#define SUBPY_API
#endif
#endif

/*
 * Stands before each function that is called only for what it returns: the compiler warns when that is not used.
 * Functions that return a status do not have it, since a caller may look at the error instead.
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

/** A length that means: the text ends with a NUL. */
#define SUBPY_AUTO_LEN SIZE_MAX

/* ---------------------------------------------------------------------------------------------------------------------
 * Status codes and handles
 *
 * What all functions share.
 * --------------------------------------------------------------------------------------------------------------------- */

/** success */
#define SUBPY_OK 0
/** an argument is not valid; the message names it */
#define SUBPY_ERROR_INVALID_ARGUMENT (-1)
/** the handle stands for nothing: it was closed, freed or joined, or never existed (InterpreterNotFoundError) */
#define SUBPY_ERROR_NOT_FOUND (-2)
/**
 * an interpreter is running something, is closing or was entered by a thread, or a pool has no room; nothing was done
 * (but see SUBPY_BUFFER_LENT)
 */
#define SUBPY_ERROR_BUSY (-3)
/** Python code ended with an uncaught exception (ExecutionFailed) */
#define SUBPY_ERROR_EXECUTION_FAILED (-4)
/** a Python object cannot become a subpy_value; the message says which one (NotShareableError) */
#define SUBPY_ERROR_NOT_SHAREABLE (-5)
/** the interpreter does not allow that, or CPython or the system has failed; the message says what (InterpreterError) */
#define SUBPY_ERROR_INTERPRETER (-6)
/** the source does not compile; nothing ran */
#define SUBPY_ERROR_SYNTAX (-7)
/** no suitable CPython was found; the message lists what was tried */
#define SUBPY_ERROR_PYTHON_NOT_FOUND (-8)
/** the CPython that was named, or that is in the process already, is not suitable */
#define SUBPY_ERROR_PYTHON_UNSUPPORTED (-9)
/** the time is up: Python code was stopped, or what was waited for did not come in time; the message says which */
#define SUBPY_ERROR_TIMEOUT (-10)
/** the run or the wait was cancelled or interrupted, perhaps before any Python code began */
#define SUBPY_ERROR_INTERRUPTED (-11)
/** out of memory (but a MemoryError in Python code is SUBPY_ERROR_EXECUTION_FAILED) */
#define SUBPY_ERROR_NO_MEMORY (-12)
/** this is the child of a fork of a process in which Python ran: it can free what it holds, exit, or start a program */
#define SUBPY_ERROR_FORKED (-13)
/** not possible at this moment; the message says what has to happen first, or what is going on */
#define SUBPY_ERROR_WRONG_STATE (-14)
/** a bug in subpy; please report it */
#define SUBPY_ERROR_PANIC (-15)
/** the process of an interpreter (SUBPY_INTERP_PROCESS) has ended, and the interpreter with it; see subpy_error_crash() */
#define SUBPY_ERROR_CRASHED (-16)

/** The outcome of a function that can fail: SUBPY_OK or a negative SUBPY_ERROR_*. Later versions may add codes. */
typedef int32_t subpy_status;

/**
 * The handle of an interpreter. Handles (of interpreters, threads, functions, pools and so on) are numbers below 2^53,
 * never 0, and never used twice in a process. One that is stale or invented is SUBPY_ERROR_NOT_FOUND, never undefined
 * behaviour.
 */
typedef uint64_t subpy_interp;

/** The handle of a run on a thread of its own, or of a pool's task, until it is joined or freed. */
typedef uint64_t subpy_thread;

/** The handle of a prepared function, a callable that was looked up once, until it is freed. */
typedef uint64_t subpy_function;

/** The handle of a cancel token, until it is freed. */
typedef uint64_t subpy_cancel;

/** The handle of an object that stays in Python, until it is freed. Prepared functions are such objects too. */
typedef uint64_t subpy_object;

/** The handle of a queue, until it is freed. */
typedef uint64_t subpy_queue;

/** The handle of a pool of interpreters, until it is closed. */
typedef uint64_t subpy_pool;

/**
 * The name of a status code.
 *
 * @param status  any number
 * @return static text such as "SUBPY_ERROR_NOT_FOUND", never NULL; "SUBPY_ERROR_UNKNOWN" for a number that is not a
 *         status code. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_status_name(subpy_status status);

/* ---------------------------------------------------------------------------------------------------------------------
 * Errors
 *
 * What went wrong, as text and numbers. An error needs nothing else: it stays valid when its interpreter is closed,
 * and after subpy_shutdown(), until subpy_error_free(). It never changes, and any thread may read it.
 *
 * Texts are UTF-8, end with a NUL (and may contain others), and are valid until the error is freed. `len` receives the
 * length of the text in bytes; it may be NULL. All functions accept NULL as the error.
 *
 * SUBPY_ERROR_EXECUTION_FAILED and SUBPY_ERROR_SYNTAX have a Python exception, whose fields are those of
 * ExecutionFailed.excinfo in `concurrent.interpreters`; so have SUBPY_ERROR_TIMEOUT and SUBPY_ERROR_INTERRUPTED, if
 * Python code had begun. Other errors do not: the functions then return NULL, 0 or false. Only subpy_error_display() has
 * a text for SUBPY_ERROR_CRASHED too.
 * --------------------------------------------------------------------------------------------------------------------- */

/** An error, owned by whoever received it. */
typedef struct subpy_error subpy_error;

/** One frame of a traceback, filled in by subpy_error_frame(). Its texts belong to the error. */
typedef struct subpy_frame {
  /** sizeof(subpy_frame), set by the caller beforehand */
  size_t size;
  /** the name of the file that its code is from, such as "<script>" */
  const char *file;
  /** in bytes */
  size_t file_len;
  /** the function's name, "<module>" at the top level */
  const char *function;
  /** in bytes */
  size_t function_len;
  /** the source line, without its newline and without the indentation that exec removed; NULL when it is not known */
  const char *source;
  /** in bytes; 0 when `source` is NULL */
  size_t source_len;
  /** the line number, from 1; 0 when unknown */
  int32_t line;
  /** the line in which the expression that was being evaluated ends; 0 when unknown */
  int32_t end_line;
  /** where in `line` that expression begins, in characters, from 1; 0 when unknown, as it is without the source */
  int32_t column;
  /** the column after its last character, in `end_line`; 0 when unknown */
  int32_t end_column;
} subpy_frame;

/** The status that came with the error; SUBPY_OK for NULL. */
SUBPY_NODISCARD SUBPY_API subpy_status subpy_error_status(const struct subpy_error *error);

/** What went wrong, in one line, or in several for SUBPY_ERROR_PYTHON_NOT_FOUND. NULL only for a NULL error. */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_message(const struct subpy_error *error, size_t *len);

/** excinfo.type.__name__, such as "ValueError"; NULL when there is no Python exception. */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_type_name(const struct subpy_error *error, size_t *len);

/** excinfo.type.__qualname__; NULL when there is no Python exception. */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_type_qualname(const struct subpy_error *error, size_t *len);

/** excinfo.type.__module__, such as "builtins"; NULL when there is no Python exception. */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_type_module(const struct subpy_error *error, size_t *len);

/**
 * excinfo.msg: str(exception), which may be "", or "<exception str() failed>" when str() raised an exception itself;
 * NULL when there is no Python exception.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_exception_message(const struct subpy_error *error, size_t *len);

/**
 * excinfo.formatted: "module.Type: message", without the module for builtins and `__main__`; NULL when there is no
 * Python exception.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_formatted(const struct subpy_error *error, size_t *len);

/**
 * excinfo.errdisplay: the traceback that Python would print, without the final newline. For SUBPY_ERROR_CRASHED what
 * `faulthandler` wrote when the process ended, or the message if it wrote nothing. NULL for errors that are neither.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_error_display(const struct subpy_error *error, size_t *len);

/** How many frames the traceback has, at most 10,000: of a longer one the middle is left out. */
SUBPY_NODISCARD SUBPY_API size_t subpy_error_frame_count(const struct subpy_error *error);

/**
 * Get one frame of the traceback.
 *
 * A newer program may pass a longer struct: the fields that this library does not know are made zero.
 *
 * @param index  0 is the outermost frame
 * @param frame  receives the frame; its `size` must be set
 * @return true; or false, with nothing written, when there is no such frame, `frame` is NULL, or its `size` is less
 *         than 72 (on 64-bit systems) or more than 4096
 */
SUBPY_API bool subpy_error_frame(const struct subpy_error *error, size_t index, struct subpy_frame *frame);

/**
 * Where the source is wrong, for SUBPY_ERROR_SYNTAX. Each output may be NULL.
 *
 * @param line    the line number, from 1; 0 when unknown
 * @param column  in characters, from 1; 0 when unknown
 * @param text    the line itself, which belongs to the error; NULL when unknown
 * @return true; or false, with nothing written, for any other error
 */
SUBPY_API bool subpy_error_syntax(const struct subpy_error *error, int32_t *line, int32_t *column,
    const char **text);

/**
 * The exit status that a SystemExit asked for.
 *
 * @param status  its number; 0 when it had None, 1 when it had anything else that is not an int; may be NULL
 * @return true; or false, with nothing written, when the error is not a SystemExit
 */
SUBPY_API bool subpy_error_exit_status(const struct subpy_error *error, int32_t *status);

/**
 * How the process of an interpreter has ended, for SUBPY_ERROR_CRASHED. Each output may be NULL. subpy_error_display()
 * says where its threads were, and subpy_error_interp() which interpreter it was: that handle is stale.
 *
 * @param signal     the number of the signal that killed it, such as SIGSEGV; 0: none did
 * @param exit_code  its exit status, 0 to 255, if it ended by itself; otherwise -1. If `signal` is 0 then too, nobody
 *                   knows how it ended
 * @return true; or false, with nothing written, for any other error
 */
SUBPY_API bool subpy_error_crash(const struct subpy_error *error, int32_t *signal, int32_t *exit_code);

/** The interpreter that the error is about, or 0. The handle may be stale. */
SUBPY_NODISCARD SUBPY_API subpy_interp subpy_error_interp(const struct subpy_error *error);

/**
 * The row of subpy_function_call_many() that raised the exception, or whose result is not shareable.
 *
 * @param row  its index, from 0; may be NULL
 * @return true; or false, with nothing written, when the error is not about a row
 */
SUBPY_API bool subpy_error_row(const struct subpy_error *error, size_t *row);

/** The number that a host function gave, with subpy_context_tag(), to the exception that came out of the run; 0: none. */
SUBPY_NODISCARD SUBPY_API uint64_t subpy_error_tag(const struct subpy_error *error);

/**
 * Copy an error, to keep one that you do not own: one in results (SUBPY_KIND_ERROR), or one that a subpy_map_fn is
 * called with. The copy is to be freed with subpy_error_free(). NULL for NULL.
 */
SUBPY_NODISCARD SUBPY_API struct subpy_error *subpy_error_copy(const struct subpy_error *error);

/**
 * Free an error. NULL is ignored, and so is an error in results (SUBPY_KIND_ERROR), which is freed with them. Never
 * blocks and runs no Python; works after subpy_shutdown(). Any thread.
 */
SUBPY_API void subpy_error_free(struct subpy_error *error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Values
 *
 * What goes into Python and comes out of it, as a copy. None, bool, int, float, str, bytes, tuple, list and dict cross
 * exactly, in both directions. From Python, bytearray and memoryviews of bytes come out as BYTES. Anything else, an
 * instance of a subclass included, is SUBPY_ERROR_NOT_SHAREABLE, unless a flag asks for it
 * (SUBPY_INTERP_TAGGED_VALUES, SUBPY_RESULT_*). Only buffers, objects and queues (SUBPY_KIND_BUFFER, _OBJECT, _QUEUE)
 * are not copied. Values may be nested 1,000 levels deep.
 *
 * The constructors (subpy_int() and so on) allocate nothing and borrow what they are given, so there is nothing to
 * free. Only results own memory: see subpy_value.
 * --------------------------------------------------------------------------------------------------------------------- */

/** None: the union is not used */
#define SUBPY_KIND_NONE 0
/** bool: as_bool */
#define SUBPY_KIND_BOOL 1
/** an int that fits into 64 bits: as_int */
#define SUBPY_KIND_INT 2
/** any other int: as_str, hexadecimal text such as "-0x1ff", of any length */
#define SUBPY_KIND_BIGINT 3
/** float: as_float, bit for bit */
#define SUBPY_KIND_FLOAT 4
/** str: as_str, UTF-8, which may contain NUL characters */
#define SUBPY_KIND_STR 5
/** bytes: as_bytes */
#define SUBPY_KIND_BYTES 6
/** tuple: as_items */
#define SUBPY_KIND_TUPLE 7
/** list: as_items */
#define SUBPY_KIND_LIST 8
/** dict: as_pairs, in insertion order */
#define SUBPY_KIND_DICT 9
/** an object that stays in Python: as_object */
#define SUBPY_KIND_OBJECT 10
/** memory that is shared and not copied: as_buffer */
#define SUBPY_KIND_BUFFER 11
/** a queue: as_queue */
#define SUBPY_KIND_QUEUE 12
/** the error of a row, only in results of subpy_function_call_many(), never an argument: as_error */
#define SUBPY_KIND_ERROR 13
/**
 * set, as a LIST. This and the other tags are the low 8 bits of subpy_value.flags: what the value was in Python. A host
 * that does not know them reads the kind as ever. Results have them only in interpreters with
 * SUBPY_INTERP_TAGGED_VALUES; arguments may have them in any
 */
#define SUBPY_TAG_SET 1
/** frozenset, as a TUPLE */
#define SUBPY_TAG_FROZENSET 2
/** complex, as a TUPLE of two FLOAT */
#define SUBPY_TAG_COMPLEX 3
/** datetime.date, as a STR: isoformat() */
#define SUBPY_TAG_DATE 4
/** datetime.time, as a STR: isoformat() */
#define SUBPY_TAG_TIME 5
/** datetime.datetime, as a STR: isoformat() */
#define SUBPY_TAG_DATETIME 6
/** datetime.timedelta, as a TUPLE of three INT: days, seconds, microseconds */
#define SUBPY_TAG_TIMEDELTA 7
/** decimal.Decimal, as a STR: str() */
#define SUBPY_TAG_DECIMAL 8
/** uuid.UUID, as a STR: str() */
#define SUBPY_TAG_UUID 9
/** a member of an Enum, as a TUPLE: "module:qualname", its name, its value. Members of a Flag may have no name: "" */
#define SUBPY_TAG_ENUM 10
/** an instance of a dataclass, as a DICT: "__class__": "module:qualname", and then its fields */
#define SUBPY_TAG_DATACLASS 11
/** Python may write to the memory */
#define SUBPY_BUFFER_WRITABLE 1
/**
 * The memory is lent for one call: when the call returns, Python's views of it are revoked. If something still uses
 * the memory then, such as a slice, the call is SUBPY_ERROR_BUSY although the code ran; those views stay safe, and
 * `release` is called when they are gone
 */
#define SUBPY_BUFFER_LENT 2

/**
 * Called once, when the library has made its last call with this `userdata`, so that it may be freed. On any thread,
 * without a GIL and without a lock of the library's, so it may call any function; it must return, not unwind. NULL:
 * nothing is called.
 */
typedef void (*subpy_finalize_fn)(void *userdata);

/**
 * Memory that is shared and not copied: the host's, which Python sees as a memoryview, or an object's of Python, in a
 * result. Python's counterpart: Py_buffer.
 */
typedef struct subpy_buffer {
  /** sizeof(subpy_buffer) */
  size_t size;
  /**
   * the memory, which begins with the element that has the lowest address: with a negative stride that is not the
   * first element
   */
  void *data;
  /** how many bytes there are from `data` on: exactly what the elements need, or, with strides, at least that */
  size_t len;
  /** what the elements are, in the letters of Python's struct module; NULL: "B", bytes */
  const char *format;
  /** the size of an element in bytes; 0: what the format says */
  size_t itemsize;
  /** how many elements there are in each of `ndim` dimensions; NULL: one dimension, of len / itemsize elements */
  const size_t *shape;
  /** how many bytes there are from one element to the next in each dimension; NULL: C contiguous */
  const ptrdiff_t *strides;
  /** how many dimensions; 0: 1 */
  int32_t ndim;
  /** SUBPY_BUFFER_* */
  uint32_t flags;
  /**
   * called, once for each time that the buffer was passed, when Python has let go of the memory; NULL: the memory
   * must stay valid for ever
   */
  subpy_finalize_fn release;
  /** passed to `release` */
  void *userdata;
} subpy_buffer;

/** The payload of a subpy_value. BIGINT uses as_str; NONE uses nothing. */
typedef union subpy_value_data {
  /** INT */
  int64_t as_int;
  /** FLOAT */
  double as_float;
  /** STR: UTF-8, which ends with a NUL in results, but need not in arguments. BIGINT: hexadecimal, such as "-0x1ff" */
  const char *as_str;
  /** BYTES */
  const uint8_t *as_bytes;
  /** TUPLE and LIST */
  const struct subpy_value *as_items;
  /** OBJECT: its handle */
  uint64_t as_object;
  /** BUFFER */
  const struct subpy_buffer *as_buffer;
  /** QUEUE: its handle */
  uint64_t as_queue;
  /** BOOL: one byte is read, true unless 0; all eight are written */
  bool as_bool;
  /** DICT */
  const struct subpy_pair *as_pairs;
  /** ERROR: it belongs to the results, do not free it */
  const struct subpy_error *as_error;
} subpy_value_data;

/**
 * A value that crosses between the host and Python: 24 bytes on 64-bit systems. All bytes zero is None.
 *
 * Arguments are borrowed: what a value points to must not change until the call returns.
 *
 * A result is one block of memory, however deeply it is nested. It is owned by its root alone, the subpy_value that
 * the call has filled in: free that with subpy_value_free(). Its items and pairs are parts of it, and are gone with
 * it. If you copy the root, free only one of the copies.
 */
typedef struct subpy_value {
  /** one of SUBPY_KIND_* */
  int32_t kind;
  /**
   * one of SUBPY_TAG_* or 0; and in results the library's mark: a result may be passed as an argument, but any other
   * bit is an error
   */
  uint32_t flags;
  /** how many bytes (STR, BYTES, BIGINT), items (TUPLE, LIST) or pairs (DICT); ignored for the other kinds */
  size_t len;
  /** the payload: the member that belongs to the kind */
  union subpy_value_data u;
} subpy_value;

/** One entry of a DICT. */
typedef struct subpy_pair {
  /** any value that Python can hash: no LIST and no DICT */
  struct subpy_value key;
  /** any value */
  struct subpy_value value;
} subpy_pair;

/** None. Like all constructors, for any thread. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_none(void);

/** The bool `value`. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_bool(bool value);

/** The int `value`. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_int(int64_t value);

/** The float `value`. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_float(double value);

/** A str that borrows `text`, UTF-8, which is checked when the value is used. `len` in bytes, or SUBPY_AUTO_LEN. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_str(const char *text, size_t len);

/** A bytes object that borrows `len` bytes from `data`. SUBPY_AUTO_LEN is an error, reported when the value is used. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_bytes(const uint8_t *data, size_t len);

/** An int of any size that borrows `hex`, text such as "0x1ff" or "-0x1ff". `len` in bytes, or SUBPY_AUTO_LEN. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_bigint(const char *hex, size_t len);

/** A tuple that borrows `len` values, `items`. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_tuple(const struct subpy_value *items, size_t len);

/** A list that borrows `len` values, `items`. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_list(const struct subpy_value *items, size_t len);

/** A dict that borrows `len` pairs. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_dict(const struct subpy_pair *pairs, size_t len);

/**
 * A memoryview of the memory that `buffer` describes. The struct must not change until the call that gets the value
 * has returned; the memory must stay until `release` is called.
 */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_value_from_buffer(const struct subpy_buffer *buffer);

/** An object of Python's, to be passed to its own interpreter. The handle stays the caller's. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_value_from_object(subpy_object object);

/** A queue. The handle stays the caller's. */
SUBPY_NODISCARD SUBPY_API struct subpy_value subpy_value_from_queue(subpy_queue queue);

/**
 * Look up a STR key in a DICT. The pairs are compared one by one.
 *
 * @param dict  a DICT; in NULL and in values of other kinds nothing is found
 * @param key   in UTF-8
 * @param len   its length in bytes, or SUBPY_AUTO_LEN
 * @return the value, which is a part of the dict; NULL when there is no such key. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const struct subpy_value *subpy_value_get(const struct subpy_value *dict, const char *key,
    size_t len);

/**
 * The block of memory that a result owns. All its items, pairs and texts lie in it, so a binding can copy the block as
 * a whole instead of following pointers one by one. Errors (SUBPY_KIND_ERROR) do not lie in it: a copy of the block
 * points to them until the result is freed.
 *
 * @param value  a result
 * @param base   where the block begins; NULL when there is none; may be NULL
 * @param size   its size in bytes; 0 when there is none; may be NULL
 * @return whether the value owns a block. NONE, BOOL, INT and FLOAT do not, nor do parts of a result, nor values that
 *         are not results. Any thread.
 */
SUBPY_API bool subpy_value_block(const struct subpy_value *value, const void **base, size_t *size);

/**
 * Free a result, and the errors in it, and make it None.
 *
 * @param value  a result. NULL, a value from a constructor, a part of a result and a result that was freed are left as
 *               they are
 *
 * Never blocks and runs no Python; works after subpy_close() and subpy_shutdown() too. Any thread.
 */
SUBPY_API void subpy_value_free(struct subpy_value *value);

/* ---------------------------------------------------------------------------------------------------------------------
 * The runtime
 *
 * CPython in this process. It is started by the first function that needs an interpreter; subpy_init() is for choosing
 * which CPython, and how it starts. Shutting it down is up to the application, not to libraries that use subpy.
 * --------------------------------------------------------------------------------------------------------------------- */

/** The version that this header belongs to: major * 1000000 + minor * 1000 + patch. */
#define SUBPY_VERSION 1000
/** Heed PYTHONPATH and the other PYTHON* variables. By default CPython is isolated from the environment. */
#define SUBPY_RUNTIME_USE_ENVIRONMENT 1
/** Start without the site module: no site-packages, but interpreters are created in three fifths of the time. */
#define SUBPY_RUNTIME_NO_SITE 2
/**
 * Leave SIGPIPE as it is. Otherwise, if it has its default action, it is set to be ignored, as `python` does it:
 * Python code that writes to a closed pipe then gets a BrokenPipeError instead of ending the process.
 */
#define SUBPY_RUNTIME_KEEP_SIGPIPE 4
/** Runs that have begun, or wait for their turn, may finish. New ones are refused with SUBPY_ERROR_BUSY. */
#define SUBPY_CLOSE_DRAIN 1
/**
 * Runs that have begun get a KeyboardInterrupt, again and again until they end with SUBPY_ERROR_INTERRUPTED; those
 * that wait for their turn, and new ones, are refused with SUBPY_ERROR_BUSY. Python's own threads get a SystemExit,
 * which ends them silently; threading.Timer is cancelled, pools of threads drop what they have not begun, loops of
 * asyncio are woken. What is blocked in C code (time.sleep(), a lock, a socket) notices when that returns. With
 * SUBPY_CLOSE_DRAIN too, all this begins when half of the time is over, or at once if there is no limit.
 */
#define SUBPY_CLOSE_INTERRUPT 2

/** Options of subpy_init(). Zero is the default of every field. */
typedef struct subpy_runtime_options {
  /** sizeof(subpy_runtime_options) */
  size_t size;
  /**
   * path of an executable, of a libpython, or of the folder of an installation or a virtual environment, in UTF-8;
   * NULL: see subpy_init()
   */
  const char *python;
  /** SUBPY_RUNTIME_* */
  uint64_t flags;
  /**
   * path of the program that the processes of interpreters (SUBPY_INTERP_PROCESS) run, in UTF-8; NULL: the one that
   * is inside the library
   */
  const char *worker;
  /**
   * names of modules that are imported once for all interpreters with processes of their own (SUBPY_INTERP_PROCESS),
   * before the first of them: an array that ends with NULL, each name UTF-8 that ends with a NUL; may be NULL. A
   * module that starts threads when it is imported cannot be one of them
   */
  const char *const *preload;
} subpy_runtime_options;

/** Options of subpy_shutdown_with() and subpy_close_with(). */
typedef struct subpy_close_options {
  /** sizeof(subpy_close_options) */
  size_t size;
  /** milliseconds that everything may take; 0: wait for nothing; -1: no limit */
  int64_t timeout_ms;
  /** SUBPY_CLOSE_* */
  uint32_t flags;
  /** 0 */
  uint32_t reserved;
} subpy_close_options;

/**
 * Start the runtime, unless it runs already with the same options.
 *
 * CPython must be 3.14.1 or newer, with a shared libpython and with a GIL (not free-threaded). Which one is used:
 *
 * 1. If a CPython is in this process already, that one or none. If it is initialised too, it is adopted: it keeps its
 *    configuration, and its owner finalizes it.
 * 2. options->python, or else the environment variable SUBPY_PYTHON, which takes the same kinds of path.
 * 3. The first that is suitable: VIRTUAL_ENV; python3.14, newer ones, python3 and python on PATH; those in the folders
 *    of uv, pyenv and the system; one that tools/get-python of subpy's sources has downloaded.
 *
 * Relative paths in the environment are not followed. A program that runs with more rights than whoever started it (setuid,
 * file capabilities) ignores the environment altogether, SUBPY_RUNTIME_USE_ENVIRONMENT too, and looks in the system's own
 * folders alone.
 *
 * @param options  NULL for the defaults
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_INVALID_ARGUMENT    an option makes no sense
 *         SUBPY_ERROR_PYTHON_NOT_FOUND    none is suitable, or the path given in 2 does not exist; the message lists,
 *                                         line by line, what was tried and why it was refused
 *         SUBPY_ERROR_PYTHON_UNSUPPORTED  the one in the process (1), or the one that was named (2), is not suitable
 *         SUBPY_ERROR_WRONG_STATE         the runtime has other options or is being shut down, the process has used
 *                                         another CPython or failed to start one, or this thread's stack is too small
 *         SUBPY_ERROR_INTERPRETER         CPython did not start, or the process lacks open files, threads or memory to
 *                                         look for one; the message has the reason
 *
 * Any thread. CPython is started on a thread of the library's own.
 */
SUBPY_API subpy_status subpy_init(const struct subpy_runtime_options *options, subpy_error **error);

/**
 * Close every interpreter, including those that Python code created, and finalize CPython unless it was adopted.
 *
 * Waits, as subpy_close() does, for the threads that Python code started. All handles become SUBPY_ERROR_NOT_FOUND;
 * results and errors stay valid. Threads that were not joined are freed, and the errors of failed runs are printed.
 * Afterwards the runtime can be started again, with the same CPython.
 *
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, also when the runtime does not run;
 *         SUBPY_ERROR_BUSY         something is running or being created or closed, a thread has entered an
 *                                  interpreter (subpy_enter()), or this thread is inside one; everything stays as it
 *                                  was
 *         SUBPY_ERROR_WRONG_STATE  another thread is shutting down, this thread's stack is too small, or the Python
 *                                  that was adopted is being finalized
 *
 * Any thread, but not one that Python code started.
 */
SUBPY_API subpy_status subpy_shutdown(subpy_error **error);

/**
 * Close every interpreter and finalize CPython within a time, and end what still runs: subpy_close_with() for all of
 * them at the same time, main included. All or nothing: if not all have come to rest in time, all go on as before,
 * except for what was interrupted.
 *
 * Then they end, one after the other, and CPython is finalized unless it was adopted. In an adopted CPython only runs in
 * main are waited for or interrupted; its other threads are its owner's.
 *
 * If Python code cannot be made to end, exit() and _exit() still end the process: the library waits for nothing then.
 *
 * @param options  NULL: as if all bytes were zero, which waits for nothing
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, also when the runtime does not run; any error of subpy_shutdown();
 *         SUBPY_ERROR_BUSY              the message names what is still there, by interpreter; everything is as it was
 *         SUBPY_ERROR_TIMEOUT           all are ending, and have not ended in time; call it again to wait on. Until
 *                                       then no interpreter can be used or created
 *         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
 *
 * Any thread, but not one that Python code started.
 */
SUBPY_API subpy_status subpy_shutdown_with(const struct subpy_close_options *options, subpy_error **error);

/**
 * The version of the library: major * 1000000 + minor * 1000 + patch, so 1000 is 0.1.0. If you open the library at run
 * time, compare this with SUBPY_VERSION first. Any thread.
 */
SUBPY_NODISCARD SUBPY_API uint32_t subpy_version(void);

/** The version of the library as static text, such as "0.1.0". Any thread. */
SUBPY_NODISCARD SUBPY_API const char *subpy_version_string(void);

/**
 * The version of the CPython in use, such as "3.14.6"; NULL before the first start of the runtime. Valid until the
 * process exits. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_python_version(void);

/**
 * The path of the libpython in use; "" when CPython is part of the program itself; NULL before the first start of the
 * runtime. Valid until the process exits. Any thread.
 */
SUBPY_NODISCARD SUBPY_API const char *subpy_python_library(void);

/* ---------------------------------------------------------------------------------------------------------------------
 * Interpreters
 *
 * `concurrent.interpreters` of Python 3.14, operation by operation. An interpreter is isolated: it has its own
 * modules, its own `__main__` and, unless you choose otherwise, its own GIL, so interpreters run Python in parallel.
 * What belongs to the process is shared: working directory, environment, file descriptors, signals. Isolation guards
 * against accidents, not against hostile code.
 * --------------------------------------------------------------------------------------------------------------------- */

/** Its own GIL: runs in parallel with the others. */
#define SUBPY_GIL_OWN 0
/** Main's GIL: takes turns with the main interpreter and others that share it; see SUBPY_INTERP_NO_EXTENSION_CHECK. */
#define SUBPY_GIL_SHARED 1
/** While one thread runs something, a run of another thread is refused with SUBPY_ERROR_BUSY, as in Python. */
#define SUBPY_BUSY_REFUSE 0
/**
 * A run of another thread waits for its turn; its `timeout_ms` includes that wait. Turns are slices of a fifth of a
 * millisecond, not single runs: until a slice is over, a run that finds the interpreter free may overtake those that
 * wait. Then the one that has waited longest is next. So no run waits for ever as long as the others end.
 */
#define SUBPY_BUSY_WAIT 1
/** A run of another thread starts at once: the threads take turns with the GIL, as Python's own threads do. */
#define SUBPY_BUSY_SHARE 2
/**
 * Python code may call os.fork(). The child crashes until CPython is fixed (python/cpython#139759). Windows has no
 * os.fork(), and there this changes nothing.
 */
#define SUBPY_INTERP_ALLOW_FORK 1
/** Python code may call os.exec*(), which replaces the whole process. */
#define SUBPY_INTERP_ALLOW_EXEC 2
/** Python code may not start threads. */
#define SUBPY_INTERP_NO_THREADS 4
/**
 * Python code may start daemon threads. Closing does not wait for them. Python takes the threads of a host for
 * daemons, and a new thread inherits that: a threading.Thread that a run starts is a daemon too, unless made with
 * daemon=False.
 */
#define SUBPY_INTERP_ALLOW_DAEMON_THREADS 8
/**
 * Extension modules that do not declare support for several interpreters load too. Needs SUBPY_GIL_SHARED. Many of
 * them work in the first interpreter that imports them, and fail or misbehave in the next.
 */
#define SUBPY_INTERP_NO_EXTENSION_CHECK 16
/** What Python code prints is passed on at once, as `python -u` does it, and does not wait for the end of the run. */
#define SUBPY_INTERP_UNBUFFERED 32
/** sys.stdin is at its end: input() raises EOFError. Descriptor 0 stays what it is, for os.read(0) and child processes. */
#define SUBPY_INTERP_NO_STDIN 64
/**
 * Sets, complex numbers, dates and times, decimals, UUIDs, enums and dataclasses come out as tagged values (SUBPY_TAG_*),
 * where they are SUBPY_ERROR_NOT_SHAREABLE otherwise: in results, and as arguments of host functions.
 */
#define SUBPY_INTERP_TAGGED_VALUES 128
/**
 * The interpreter counts the memory that it uses: see subpy_memory(). Needs SUBPY_GIL_OWN. Not on Windows, where it is
 * SUBPY_ERROR_WRONG_STATE.
 */
#define SUBPY_INTERP_COUNT_MEMORY 256
/**
 * The interpreter is the main one of a process of its own. Extension modules that refuse other interpreters load in
 * it, and what would end or block a process ends or blocks that one alone: its end is SUBPY_ERROR_CRASHED, and a run
 * that cannot be interrupted is killed with it. Needs SUBPY_GIL_OWN; not together with
 * SUBPY_INTERP_NO_EXTENSION_CHECK. On Linux only; elsewhere it is SUBPY_ERROR_INTERPRETER.
 */
#define SUBPY_INTERP_PROCESS 512
/**
 * The interpreter's process is locked down: no network, no other programs, no other processes, no files but those that
 * Python itself needs and those in the folders `readable` and `writable`. Needs SUBPY_INTERP_PROCESS; not together
 * with SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC.
 */
#define SUBPY_INTERP_LOCKED 1024
/**
 * It is no error if the kernel lacks a part of what a lock needs (version 6 of Landlock, as in Linux 6.12, and filters
 * of system calls): the process is locked with what there is, and subpy_lock_get_info() says what that is. Needs
 * SUBPY_INTERP_LOCKED.
 */
#define SUBPY_INTERP_LOCK_BEST_EFFORT 2048

/** Options of subpy_create(). Zero is the default of every field, and what `concurrent.interpreters` does. */
typedef struct subpy_interp_options {
  /** sizeof(subpy_interp_options) */
  size_t size;
  /** SUBPY_GIL_* */
  int32_t gil;
  /** SUBPY_BUSY_*: what happens to a run while another thread runs something in the interpreter */
  int32_t busy;
  /** SUBPY_INTERP_* */
  uint64_t flags;
  /** `path_len` folders to put in front of sys.path, each UTF-8 that ends with a NUL; may be NULL when that is 0 */
  const char *const *path;
  /** how many */
  size_t path_len;
  /** how long each run in it may take, in milliseconds, unless its request has a `timeout_ms` of its own; 0: no limit */
  int64_t timeout_ms;
  /**
   * how much memory it may use, in bytes; 0: no limit. Code that goes beyond it gets a MemoryError, and can go on
   * when it has given memory back. With a limit the memory is counted, too (SUBPY_INTERP_COUNT_MEMORY)
   */
  uint64_t memory_limit;
  /**
   * how long code may go on, in milliseconds, after the exception that is to end its run (for a time limit or a
   * token); then its process is killed. 0: 100 ms. Needs SUBPY_INTERP_PROCESS, as the next three do
   */
  uint64_t grace_ms;
  /**
   * how much processor time its process may use in all, in milliseconds; then SIGXCPU ends it, which is
   * SUBPY_ERROR_CRASHED. 0: no limit
   */
  uint64_t cpu_limit_ms;
  /**
   * folders that it may read, with all that is below, besides those that Python needs: each an absolute path, UTF-8
   * that ends with a NUL, the last one followed by NULL; may be NULL. Needs SUBPY_INTERP_LOCKED, as the next one does
   */
  const char *const *readable;
  /** folders that it may read and write, likewise */
  const char *const *writable;
  /**
   * the folder of a virtual environment (PEP 405), UTF-8 that ends with a NUL: the interpreter has its packages
   * instead of those of the process. It must have been made for the same minor version of Python. NULL: the packages
   * of the process
   */
  const char *venv;
} subpy_interp_options;

/**
 * Create an interpreter. Starts the runtime if it is not running. Python: create().
 *
 * In this process that takes about six milliseconds, for a part of which it needs the main interpreter's GIL; an
 * interpreter takes about 2.3 MiB of memory. With SUBPY_INTERP_PROCESS it takes about one millisecond, after some 20 ms
 * for the first one, and about 1 MiB.
 *
 * @param options  NULL for the defaults
 * @param interp   the new interpreter, not NULL; to be closed with subpy_close(), or by subpy_shutdown()
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_init();
 *         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense, such as a memory_limit that is less than what a new
 *                                       interpreter uses, or needs another option, or `interp` is NULL
 *         SUBPY_ERROR_INTERPRETER       CPython did not create it; the message has the reason
 *         SUBPY_ERROR_WRONG_STATE       the runtime, or the Python that was adopted, is being shut down, or this
 *                                       thread's stack is too small, or memory cannot be counted with this CPython
 *
 * Any thread. Several threads may create interpreters at the same time.
 */
SUBPY_API subpy_status subpy_create(const struct subpy_interp_options *options, subpy_interp *interp,
    subpy_error **error);

/**
 * Finalize and destroy an interpreter. Python: Interpreter.close().
 *
 * Waits for the threads that Python code started in it with `threading` (not for daemons), without a time limit; then
 * runs its atexit handlers and frees it, together with interpreters that its code created and nobody else holds. While
 * it waits, the interpreter is still listed, and runs in it are SUBPY_ERROR_BUSY.
 *
 * @param interp  the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_BUSY         something is running in it, a thread has entered it (subpy_enter()), another thread
 *                                  is closing it, or this is called by a subpy_output_fn or subpy_finalize_fn of it;
 *                                  it stays as it was
 *         SUBPY_ERROR_INTERPRETER  it is the one that this thread is inside of, or main, or Python code created it
 *         SUBPY_ERROR_NOT_FOUND    no such interpreter; it may be closed already
 *         SUBPY_ERROR_WRONG_STATE  this thread's stack is too small, or the Python that was adopted is being finalized
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_close(subpy_interp interp, subpy_error **error);

/**
 * Finalize and destroy an interpreter within a time, and end what still runs in it.
 *
 * The interpreter must have come to rest: no run in it, no thread that has entered it (subpy_enter()), and no thread
 * alive that Python code started with `threading` (daemons do not count, nor the idle threads of a
 * `concurrent.futures` pool). Without flags only those threads are waited for, and a run is SUBPY_ERROR_BUSY at once, as
 * with subpy_close(). If the time is over before that, the interpreter goes on as before, but for what was interrupted.
 *
 * Then it ends. That cannot be taken back, and may run Python code: atexit handlers, `__del__`. With
 * SUBPY_CLOSE_INTERRUPT these get a KeyboardInterrupt too. Ending always gets a second, however short the time is;
 * after that it is SUBPY_ERROR_TIMEOUT, while a thread of the library's goes on with it. Call this function again to
 * wait on.
 *
 * @param interp   the interpreter
 * @param options  NULL: as if all bytes were zero, which waits for nothing
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_close();
 *         SUBPY_ERROR_BUSY              it has not come to rest in time; the message names each run and thread that is
 *                                       still there, and where its code is. The interpreter is as it was
 *         SUBPY_ERROR_TIMEOUT           it is ending, and has not ended in time
 *         SUBPY_ERROR_INTERPRETER       this thread is running something in it, perhaps further up its stack
 *         SUBPY_ERROR_WRONG_STATE       this CPython cannot be interrupted
 *         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_close_with(subpy_interp interp, const subpy_close_options *options,
    subpy_error **error);

/**
 * Bind names in the interpreter's `__main__`: all of them or, on failure, none. Python: Interpreter.prepare_main().
 *
 * @param interp  the interpreter
 * @param names   a DICT with at least one entry, whose keys are STR without NUL characters; copied
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_exec(); SUBPY_ERROR_INVALID_ARGUMENT says where `names` is wrong
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_prepare_main(subpy_interp interp, const subpy_value *names, subpy_error **error);

/**
 * Whether something is being run in the interpreter: a run of this library's or, in an interpreter that Python code
 * created, of that code's. Threads that Python code started do not count. Python: Interpreter.is_running().
 *
 * @param interp   the interpreter
 * @param running  receives the answer
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
 */
SUBPY_API subpy_status subpy_is_running(subpy_interp interp, bool *running, subpy_error **error);

/**
 * The id that CPython gave the interpreter: 0 for main, then ascending. CPython begins again with 0 after
 * subpy_shutdown(). Python: Interpreter.id.
 *
 * @param interp  the interpreter
 * @param id      receives the id
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
 */
SUBPY_API subpy_status subpy_id(subpy_interp interp, int64_t *id, subpy_error **error);

/**
 * Where the interpreter came from, in CPython's words: "runtime init" (main), "C-API" (subpy_create()),
 * "_interpreters module" (Python code), "legacy C-API", "cross-interpreter C-API" or "unknown"; and "process" for one
 * that has a process of its own (SUBPY_INTERP_PROCESS). Python: Interpreter.whence.
 *
 * @param interp  the interpreter
 * @param whence  receives static text
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
 */
SUBPY_API subpy_status subpy_whence(subpy_interp interp, const char **whence, subpy_error **error);

/**
 * List all interpreters by ascending id: main, yours, and those that Python code created. About the latter you can
 * ask, but nothing can be run in them. Starts the runtime if it is not running. Python: list_all().
 *
 * @param interps   room for `capacity` handles; may be NULL when that is 0; on failure nothing is written to it
 * @param capacity  how many handles to write at most
 * @param count     receives how many interpreters there are, whatever the capacity; may be NULL
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, even if there are more than fit; SUBPY_ERROR_INVALID_ARGUMENT; any error of subpy_init()
 *
 * Any thread. Others may create and close interpreters meanwhile.
 */
SUBPY_API subpy_status subpy_list_all(subpy_interp *interps, size_t capacity, size_t *count, subpy_error **error);

/**
 * The interpreter that the calling thread is inside of. In a C function that Python code calls, it is that Python
 * code's; on a thread of an adopted Python, it is main. Between runs a thread is in none. Python: get_current().
 *
 * @param interp  receives the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the thread is in none; in a process whose Python is to be adopted, any
 *         error of subpy_init(). Any thread.
 */
SUBPY_API subpy_status subpy_get_current(subpy_interp *interp, subpy_error **error);

/**
 * The main interpreter. Starts the runtime if it is not running. Python: get_main().
 *
 * Packages that refuse to load in other interpreters work in it. Its policy is SUBPY_BUSY_REFUSE, and it cannot be
 * closed. A long run in it delays the creation of interpreters, and the first import of an extension module in each of
 * them. A threading.Thread that a run in it starts is a daemon unless made with daemon=False, so subpy_shutdown() does
 * not wait for it.
 *
 * @param interp  receives the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK or any error of subpy_init(). Any thread.
 */
SUBPY_API subpy_status subpy_get_main(subpy_interp *interp, subpy_error **error);

/**
 * The interpreter with this id. Starts the runtime if it is not running. Python: Interpreter(id).
 *
 * @param id      CPython's id, see subpy_id()
 * @param interp  receives the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT for a negative id; any error of subpy_init().
 *         Any thread.
 */
SUBPY_API subpy_status subpy_find(int64_t id, subpy_interp *interp, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Output
 *
 * What Python code prints goes to the file descriptors 1 and 2, or to a function of yours: for an interpreter, or for
 * one run. Text comes at the end of the run, when 64 KiB have come together, on flush(), and at each line end of stderr
 * and when no run is active; with SUBPY_INTERP_UNBUFFERED at once. docs/output.md says more.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Takes text that Python code has printed.
 *
 * @param userdata  what was given with the function
 * @param interp    the interpreter
 * @param stream    1: stdout; 2: stderr
 * @param text      UTF-8, whole characters, with a NUL behind it; what was no UTF-8 is U+FFFD. Valid during the call
 * @param len       its length in bytes, never 0
 *
 * Called without a GIL, on the thread that printed or on one that passes on what has come together; never on two
 * threads at once for the same interpreter or run. It may call any function, and even run code that prints in the same
 * interpreter: that text comes when it has returned. It must not wait by other means, such as a mutex of the host's,
 * for a thread that prints there: that thread may be waiting for it. It must return, not unwind.
 */
typedef void (*subpy_output_fn)(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len);

/**
 * Give what an interpreter prints to a function. From then on all of its output goes there: that of its runs (but for
 * those that have `output` in their request), of threads that its code starts, and what comes between runs and while
 * it is closed. What was printed before goes where it went before.
 *
 * sys.stdout and sys.stderr stay what they are, but fileno() raises io.UnsupportedOperation and isatty() is False.
 * Child processes, and C code that writes to the descriptors itself, are not captured.
 *
 * @param interp    the interpreter
 * @param fn        NULL: back to the file descriptors
 * @param userdata  passed on to `fn`
 * @param finalize  optional; called with `userdata` when `fn` will not be called any more: it was replaced, the
 *                  interpreter has ended, or this function has failed
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_NOT_FOUND    no such interpreter
 *         SUBPY_ERROR_INTERPRETER  Python code created the interpreter, or it is the main interpreter of a host's own
 *                                  Python, whose streams are left alone
 *         SUBPY_ERROR_BUSY         it is closing, and has a process of its own; output goes where it went before
 *
 * Any thread, also from inside `fn`, and while something runs.
 */
SUBPY_API subpy_status subpy_set_output(subpy_interp interp, subpy_output_fn fn, void *userdata,
    subpy_finalize_fn finalize, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Running code
 *
 * Everything runs on the calling thread, in the interpreter's `__main__`, whose names last from run to run. By default
 * an interpreter runs one thing at a time (SUBPY_BUSY_REFUSE), but a thread that is inside already may run more in it.
 * What the code printed has been written when the function returns.
 * --------------------------------------------------------------------------------------------------------------------- */

/** exec: statements */
#define SUBPY_RUN_EXEC 1
/** eval: an expression */
#define SUBPY_RUN_EVAL 2
/** call: a callable by its name, with arguments */
#define SUBPY_RUN_CALL 3
/** call of a prepared function, with arguments */
#define SUBPY_RUN_FUNCTION 4
/** exec leaves indentation as it is, see subpy_exec() */
#define SUBPY_KEEP_INDENT 1
/**
 * For subpy_run_in_thread() and pools: when the run is stopped, whoever waits for it gets the error soon, even if the
 * code does not end because it is blocked in C or catches every exception. The code goes on all the same: its
 * interpreter stays busy, and subpy_shutdown() is SUBPY_ERROR_BUSY until it ends. What becomes of it then is reported
 * to nobody.
 */
#define SUBPY_ABANDON 2
/** the result stays in Python: a handle of the object comes back (SUBPY_KIND_OBJECT), whatever it is */
#define SUBPY_RESULT_OBJECT 4
/** what has no value, anywhere in the result, comes back as a handle of the object (SUBPY_KIND_OBJECT) */
#define SUBPY_RESULT_OBJECTS 8
/** bytes, bytearray, array, memoryview, any C contiguous buffer in the result is shared, not copied (SUBPY_KIND_BUFFER) */
#define SUBPY_RESULT_BUFFER 16
/**
 * lists and tuples that are not empty and have floats alone, or ints alone that fit 64 bits, come back as an array:
 * SUBPY_KIND_BUFFER of format "d" or "q"
 */
#define SUBPY_RESULT_ARRAY 32
/**
 * an awaitable that the code returns is run to its end on an event loop of asyncio, and its value is the result; anything
 * else is the result as it is. exec and eval: `await` may also stand outside of functions, as in `python -m asyncio`.
 *
 * The interpreter keeps the loop, and with it tasks that go on when the run has ended: they do so in the next run with this
 * flag. (The loop is the same one if no two threads run such code at the same time; a thread that has entered the
 * interpreter, see subpy_enter(), keeps its own.) It is closed with the interpreter, as asyncio.Runner does it. Inside of a
 * coroutine of such a run, on the same thread, an awaitable is SUBPY_ERROR_EXECUTION_FAILED with a RuntimeError: a thread
 * runs one loop at a time.
 *
 * A run that is to end (a time limit, a cancel token, subpy_interrupt()) has its task cancelled: it ends with an
 * asyncio.CancelledError. Only if that does not help is it interrupted as others are.
 */
#define SUBPY_RUN_ASYNC 64

/** What subpy_run() and subpy_run_in_thread() are to run. Fields that do not apply must be zero. */
typedef struct subpy_run_request {
  /** sizeof(subpy_run_request) */
  size_t size;
  /** where to run it; for a function: its interpreter, or 0 */
  subpy_interp interp;
  /** SUBPY_RUN_EXEC, _EVAL, _CALL or _FUNCTION */
  int32_t what;
  /** SUBPY_KEEP_INDENT, for exec; SUBPY_ABANDON, for subpy_run_in_thread(); SUBPY_RESULT_* and SUBPY_RUN_ASYNC */
  uint32_t flags;
  /** the source, expression or callable, in UTF-8; not for a function */
  const char *text;
  /** the length of `text` in bytes, or SUBPY_AUTO_LEN */
  size_t text_len;
  /** for a function: the function */
  subpy_function function;
  /** for calls: `nargs` positional arguments */
  const subpy_value *args;
  /** how many */
  size_t nargs;
  /** for calls: NULL, or a DICT with STR keys */
  const subpy_value *kwargs;
  /** for exec and eval: the file name for tracebacks, UTF-8 that ends with a NUL; NULL: "<script>" */
  const char *filename;
  /**
   * how long it may take, in milliseconds, including the wait for its turn; then it ends with SUBPY_ERROR_TIMEOUT.
   * 0: as long as the interpreter's options say
   */
  int64_t timeout_ms;
  /** a token that stops it with SUBPY_ERROR_INTERRUPTED when it is fired, or if it was fired before; 0: none */
  subpy_cancel cancel;
  /** takes what the run prints on its own thread, see subpy_output_fn; NULL: it goes where the interpreter's goes */
  subpy_output_fn output;
  /**
   * passed on to `output`, which is not called any more once the run has returned or, on a thread of its own, was
   * joined
   */
  void *output_data;
} subpy_run_request;

/**
 * Run statements. Python: Interpreter.exec().
 *
 * If the first line that is not blank is indented, the indentation that all lines share is removed first, as
 * `python -c` does it.
 *
 * @param interp  the interpreter
 * @param code    the source, in UTF-8, whatever a coding comment in it says
 * @param len     its length in bytes, or SUBPY_AUTO_LEN
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_INVALID_ARGUMENT  `code` is NULL, or not UTF-8
 *         SUBPY_ERROR_NOT_FOUND         no such interpreter
 *         SUBPY_ERROR_BUSY              it is running (see SUBPY_BUSY_*), or closing
 *         SUBPY_ERROR_SYNTAX            the source does not compile; nothing ran
 *         SUBPY_ERROR_EXECUTION_FAILED  an uncaught exception, or SystemExit: sys.exit() does not end the process
 *         SUBPY_ERROR_TIMEOUT           its time is up (`timeout_ms`)
 *         SUBPY_ERROR_INTERRUPTED       subpy_interrupt(), a close or a cancel token stopped it
 *         SUBPY_ERROR_CRASHED           its process has ended (SUBPY_INTERP_PROCESS)
 *         SUBPY_ERROR_INTERPRETER       Python code created the interpreter, so nothing can be run in it
 *         SUBPY_ERROR_WRONG_STATE       this thread's stack is too small for Python
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_exec(subpy_interp interp, const char *code, size_t len, subpy_error **error);

/**
 * Evaluate an expression, as eval() does.
 *
 * @param interp      the interpreter
 * @param expression  the expression, in UTF-8
 * @param len         its length in bytes, or SUBPY_AUTO_LEN
 * @param result      its value, to be freed with subpy_value_free(); NULL: the value is not converted at all
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_exec();
 *         SUBPY_ERROR_NOT_SHAREABLE  the code ran, but its value, or something in it, cannot become a subpy_value; the
 *                                    message names the path to it
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
 * @param kwargs    keyword arguments, copied too: a DICT with STR keys; NULL: none
 * @param result    what it returns, to be freed with subpy_value_free(); NULL: that is not converted at all
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_eval(). A name that does not exist, or cannot be called, is
 *         SUBPY_ERROR_EXECUTION_FAILED with an AttributeError, ModuleNotFoundError or TypeError
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_call(subpy_interp interp, const char *callable, size_t len, const subpy_value *args,
    size_t nargs, const subpy_value *kwargs, subpy_value *result, subpy_error **error);

/**
 * Run what the request says: exec, eval, or a call, with every option.
 *
 * @param request  what to run, and where
 * @param result   the value (None for exec), to be freed with subpy_value_free(); NULL: it is not converted at all
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_exec(), subpy_eval(), subpy_call() or subpy_function_call(); SUBPY_ERROR_INVALID_ARGUMENT also when
 *         `request` is NULL, or has a field set that does not apply
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_run(const struct subpy_run_request *request, subpy_value *result, subpy_error **error);

/**
 * Run what the request says on a new thread of its own. Everything the request points to is copied first.
 *
 * @param request  what to run, and where
 * @param thread   receives the thread, to be joined or freed; NULL: it is freed at once
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK when the thread was started;
 *         SUBPY_ERROR_INVALID_ARGUMENT  as for subpy_run()
 *         SUBPY_ERROR_NOT_FOUND         no such interpreter or function
 *         SUBPY_ERROR_INTERPRETER       no thread could be started
 *         SUBPY_ERROR_WRONG_STATE       the runtime is being shut down
 *
 * What becomes of the run, SUBPY_ERROR_BUSY included, is for subpy_thread_join() to say.
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_run_in_thread(const struct subpy_run_request *request, subpy_thread *thread,
    subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Prepared functions
 *
 * Callables that are looked up once and called many times. A function belongs to an interpreter: once that is closed,
 * a call of the function is SUBPY_ERROR_NOT_FOUND.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * For subpy_function_call_many(): go on after a row that fails, with its error among the results, as asyncio.gather()
 * does with return_exceptions.
 */
#define SUBPY_RETURN_ERRORS 1

/**
 * Look up a callable, to call it many times.
 *
 * The function holds the object that was found, even if its name is bound to something else later.
 *
 * @param interp    the interpreter
 * @param callable  "name" in `__main__`, or "package.module:attribute.attribute"
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @param function  receives the function, not NULL; to be freed with subpy_function_free(), before or after its
 *                  interpreter is closed
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_exec(). A name that does not exist, or cannot be called, is
 *         SUBPY_ERROR_EXECUTION_FAILED with an AttributeError, ModuleNotFoundError or TypeError
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
 * @param kwargs    keyword arguments, copied too: a DICT with STR keys; NULL: none
 * @param result    what it returns, to be freed with subpy_value_free(); NULL: that is not converted at all
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_call(); SUBPY_ERROR_NOT_FOUND when the function was freed, or its interpreter
 *         closed
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_function_call(subpy_function function, const subpy_value *args, size_t nargs,
    const subpy_value *kwargs, subpy_value *result, subpy_error **error);

/**
 * Call a function once for each row of arguments, one after the other. This takes a fraction of the time of as many
 * calls, because the interpreter is entered only once.
 *
 * Other threads get the interpreter's GIL meanwhile, and signals and exceptions sent to this thread arrive, as in a
 * loop that Python runs.
 *
 * All rows are checked before the first one runs. The first exception, or result that is not shareable, ends the call:
 * the rows before it have run, but there are no results, and the error has the index of the row, for subpy_error_row()
 * and in its message. With SUBPY_RETURN_ERRORS the call goes on, and the value of that row is an error: its kind is
 * SUBPY_KIND_ERROR. Only an exception that `except Exception` does not catch (SystemExit, KeyboardInterrupt) and a lack
 * of memory end the call then.
 *
 * @param function  the function
 * @param rows      `count * nargs` positional arguments, the first row first; may be NULL when that is 0
 * @param count     how many rows
 * @param nargs     how many arguments each has
 * @param flags     0 or SUBPY_RETURN_ERRORS, SUBPY_RESULT_*: the form of each value, and SUBPY_RUN_ASYNC: row by row
 * @param results   a LIST of `count` values, to be freed with subpy_value_free(), which frees the errors in it too;
 *                  NULL: what is returned is not converted at all (not with SUBPY_RETURN_ERRORS)
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_function_call()
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_function_call_many(subpy_function function, const subpy_value *rows, size_t count,
    size_t nargs, uint32_t flags, subpy_value *results, subpy_error **error);

/**
 * Free a function. Calls that are running go on. The reference to the Python object is dropped when the interpreter is
 * entered next.
 *
 * @param function  the function; 0, or one that was freed already, is ignored
 *
 * Never blocks and runs no Python; works after subpy_close() and subpy_shutdown() too. Any thread.
 */
SUBPY_API void subpy_function_free(subpy_function function);

/* ---------------------------------------------------------------------------------------------------------------------
 * Objects
 *
 * Objects that stay in Python. A handle holds a reference to the object; an object belongs to an interpreter, and once
 * that is closed, what is done with the object is SUBPY_ERROR_NOT_FOUND.
 *
 * A run gives such a handle with SUBPY_RESULT_OBJECT, and with SUBPY_RESULT_OBJECTS one for each part of its result
 * that has no value. These handles belong to the result, and go with subpy_value_free(): subpy_object_keep() makes one
 * that stays. A prepared function is an object, and what can be called is a function: their handles may be used for
 * each other.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Make another handle of an object, for example of one in a result, whose own handle is gone with the result.
 *
 * @param object  the object
 * @param own     another handle of the same object, not NULL; to be freed with subpy_object_free()
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `own` is NULL; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_NO_MEMORY
 *
 * Runs no Python. Any thread.
 */
SUBPY_API subpy_status subpy_object_keep(subpy_object object, subpy_object *own, subpy_error **error);

/**
 * Read an attribute. Python: getattr().
 *
 * @param object  the object
 * @param name    the attribute's name, in UTF-8
 * @param len     its length in bytes, or SUBPY_AUTO_LEN
 * @param flags   0 or SUBPY_RESULT_*
 * @param result  its value, to be freed with subpy_value_free(); NULL: it is not converted at all
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_eval(). No such attribute is SUBPY_ERROR_EXECUTION_FAILED with an AttributeError.
 *         SUBPY_ERROR_NOT_FOUND when the object was freed, or its interpreter closed
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_object_attr(subpy_object object, const char *name, size_t len, uint32_t flags,
    subpy_value *result, subpy_error **error);

/**
 * Read an item. Python: object[key].
 *
 * @param object  the object: a list, a dict, anything that can be subscripted
 * @param key     the index or key, not NULL
 * @param flags   0 or SUBPY_RESULT_*
 * @param result  the item's value, to be freed with subpy_value_free(); NULL: it is not converted at all
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_object_attr(); no such item is SUBPY_ERROR_EXECUTION_FAILED with a KeyError or an IndexError
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_object_item(subpy_object object, const subpy_value *key, uint32_t flags,
    subpy_value *result, subpy_error **error);

/**
 * Call an object, or a method of it.
 *
 * @param object  the object
 * @param method  the method's name, in UTF-8; NULL: the object itself is called
 * @param len     the length of the name in bytes, or SUBPY_AUTO_LEN; 0 when it is NULL
 * @param args    `nargs` positional arguments, copied into the interpreter; may be NULL when that is 0
 * @param nargs   how many
 * @param kwargs  keyword arguments, copied too: a DICT with STR keys; NULL: none
 * @param flags   0, SUBPY_RESULT_* and SUBPY_RUN_ASYNC
 * @param result  what it returns, to be freed with subpy_value_free(); NULL: that is not converted at all
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_object_attr(); any error of subpy_call()
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_object_call(subpy_object object, const char *method, size_t len,
    const subpy_value *args, size_t nargs, const subpy_value *kwargs, uint32_t flags, subpy_value *result,
    subpy_error **error);

/**
 * Make an iterator. Python: iter().
 *
 * @param object    the object: a list, a dict, a generator, anything that can be iterated over
 * @param iterator  receives the iterator, not NULL; for subpy_object_next(), and to be freed with subpy_object_free()
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_object_attr(); SUBPY_ERROR_EXECUTION_FAILED with a TypeError when it cannot be iterated over
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_object_iter(subpy_object object, subpy_object *iterator, subpy_error **error);

/**
 * Take the next element of an iterator: of a generator, say. Python: next().
 *
 * @param iterator  the iterator
 * @param flags     0 or SUBPY_RESULT_*
 * @param more      receives whether there was one, not NULL: false at the end, and on failure
 * @param result    the element, to be freed with subpy_value_free(), None at the end; NULL: it is not converted at all
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, also at the end; as subpy_object_attr(); SUBPY_ERROR_EXECUTION_FAILED with a TypeError when it is no
 *         iterator (subpy_object_iter()). An element that has no value is SUBPY_ERROR_NOT_SHAREABLE, and was taken
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_object_next(subpy_object iterator, uint32_t flags, bool *more, subpy_value *result,
    subpy_error **error);

/**
 * The value of an object, as runs have it: a copy.
 *
 * @param object  the object
 * @param flags   0 or SUBPY_RESULT_*; SUBPY_RUN_ASYNC: await the object, a coroutine for example, and give its result
 * @param result  the value, to be freed with subpy_value_free(); NULL: it is not converted at all
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_object_attr(); SUBPY_ERROR_NOT_SHAREABLE when it has none
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_object_value(subpy_object object, uint32_t flags, subpy_value *result,
    subpy_error **error);

/**
 * An object as text. Python: str().
 *
 * @param object  the object
 * @param text    a STR, to be freed with subpy_value_free(); NULL: it is made and thrown away
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_object_attr()
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_object_text(subpy_object object, subpy_value *text, subpy_error **error);

/**
 * The interpreter that an object belongs to.
 *
 * @param object  the object
 * @param interp  receives its interpreter, which may have been closed; 0 on failure; may be NULL
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND
 *
 * Runs no Python. Any thread.
 */
SUBPY_API subpy_status subpy_object_interp(subpy_object object, subpy_interp *interp, subpy_error **error);

/**
 * Free a handle. If it was the last one, the reference to the object is dropped when the interpreter is entered next.
 *
 * @param object  the object; 0, or one that was freed already, is ignored
 *
 * Never blocks and runs no Python; works after subpy_close() and subpy_shutdown() too. Any thread.
 */
SUBPY_API void subpy_object_free(subpy_object object);

/* ---------------------------------------------------------------------------------------------------------------------
 * Host functions
 *
 * Python code calls the host: a host function is an object like a builtin function.
 *
 * The interpreter's GIL is released while the host's code runs, which may call any function of the library: more of
 * the same interpreter, which goes on with the Python thread state that is there already (threading.local, context
 * variables), or of others. A run that is nested like this is never SUBPY_ERROR_BUSY, unless the interpreter is closing.
 *
 * A host function must return in the ordinary way. An exception of C++, a panic or longjmp() that leaves it is caught
 * by nobody: C++ exceptions and panics end the process, and a longjmp() past the library is undefined. Bindings catch
 * what their language can throw and pass it on with subpy_context_raise().
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * The GIL is kept while the host's code runs: for functions that take nanoseconds. They should not call the library.
 * What needs a GIL there releases this one meanwhile, and CPython parks a daemon thread that wants its GIL back when
 * its interpreter has ended: such a call never returns, and the function's `finalize` is not called.
 */
#define SUBPY_DEFINE_KEEP_GIL 1
/**
 * Only on the thread that calls subpy_define(): Python code on any other one gets a RuntimeError. For hosts whose code
 * must not run on threads that they do not know.
 */
#define SUBPY_DEFINE_CALLER_THREAD_ONLY 2

/**
 * One call of a host function. It stands for a number and is never dereferenced: to use one when the call is over, or
 * any that was made up, is SUBPY_ERROR_NOT_FOUND.
 */
typedef struct subpy_context subpy_context;

/**
 * What Python code calls.
 *
 * The arguments are valid until it returns, and must not be changed or freed. It says what Python gets with
 * subpy_context_return() or subpy_context_raise(); without either, that is None.
 *
 * @param userdata  what was given with the function
 * @param ctx       this call
 * @param args      the arguments by position
 * @param nargs     how many there are
 * @param kwargs    a DICT with STR keys; NULL when there are no keyword arguments
 *
 * The interpreter's GIL is not held, unless SUBPY_DEFINE_KEEP_GIL says so. Several threads may call it at the same time.
 */
typedef void (*subpy_host_fn)(void *userdata,
                              struct subpy_context *ctx,
                              const subpy_value *args,
                              size_t nargs,
                              const subpy_value *kwargs);

/** Options of subpy_define_with(). Zero is the default of every field. */
typedef struct subpy_define_options {
  /** sizeof(subpy_define_options) */
  size_t size;
  /** SUBPY_DEFINE_* */
  uint32_t flags;
  /** 0 */
  uint32_t reserved;
  /**
   * what inspect.signature() and help() show, such as "(a, b=0, *, c=None)", UTF-8 that ends with a NUL; NULL: none.
   * The arguments of calls are not checked against it
   */
  const char *signature;
  /** the docstring, likewise */
  const char *doc;
} subpy_define_options;

/**
 * Define a function that Python code can call.
 *
 * The function is put into the module of that name if there is one, imported already or not yet. Otherwise the module
 * and its parents are made, so that `import` finds them. A name that is bound already is bound anew.
 *
 * Defining is a run: it imports the module, and waits or is refused as SUBPY_BUSY_* says, but not on a thread that is
 * inside the interpreter already.
 *
 * `finalize(userdata)` is called exactly once: when Python has given the function up (it was redefined, say) and no
 * call of it is running, or else when the interpreter is closed or destroyed, the runtime is shut down, or the Python
 * of a host is finalized; and before subpy_define() returns when that fails. If a call is still running then, on a
 * daemon thread of Python's, `finalize` comes when it has returned, and nothing else waits for that.
 *
 * @param interp    the interpreter
 * @param name      "name" in `__main__`, or "package.module:name"
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @param flags     0 or SUBPY_DEFINE_*
 * @param fn        the function, not NULL
 * @param userdata  passed to `fn` and `finalize`; may be NULL
 * @param finalize  NULL, or what is to be called when the function is not needed any more
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_exec(); SUBPY_ERROR_INVALID_ARGUMENT for a name that makes no sense;
 *         SUBPY_ERROR_EXECUTION_FAILED when the module raises an exception while it is imported
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_define(subpy_interp interp, const char *name, size_t len, uint32_t flags,
    subpy_host_fn fn, void *userdata, subpy_finalize_fn finalize, subpy_error **error);

/**
 * Define a function that Python code can call, with a signature and a docstring.
 *
 * @param interp    the interpreter
 * @param name      "name" in `__main__`, or "package.module:name"
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @param options   NULL for the defaults
 * @param fn        the function, not NULL
 * @param userdata  passed to `fn` and `finalize`; may be NULL
 * @param finalize  NULL, or what is to be called when the function is not needed any more
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_define(); SUBPY_ERROR_INVALID_ARGUMENT also for an option that makes no sense
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_define_with(subpy_interp interp, const char *name, size_t len,
    const struct subpy_define_options *options, subpy_host_fn fn, void *userdata, subpy_finalize_fn finalize,
    subpy_error **error);

/**
 * Say what a call of a host function returns.
 *
 * The value is copied at once. Of several calls the last one counts, and none does if there is a
 * subpy_context_raise(). A value that makes no sense is raised in Python as a TypeError, and the status says so.
 *
 * @param ctx    the call
 * @param value  NULL: None
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the call is over; SUBPY_ERROR_INVALID_ARGUMENT; SUBPY_ERROR_NO_MEMORY
 *
 * Any thread, until the host function returns.
 */
SUBPY_API subpy_status subpy_context_return(struct subpy_context *ctx, const subpy_value *value);

/**
 * Have a call of a host function raise an exception when it returns. Of several the last one counts, and it wins over
 * subpy_context_return(), before or after.
 *
 * The class is called with the message, in Python. If there is no such class, or it is not an exception class, Python
 * gets a TypeError that says so and includes the message.
 *
 * @param ctx       the call
 * @param type      "ValueError", or any other builtin one, or "package.module:Type"
 * @param type_len  its length in bytes, or SUBPY_AUTO_LEN
 * @param message   the message
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the call is over; SUBPY_ERROR_INVALID_ARGUMENT for text that is not UTF-8;
 *         SUBPY_ERROR_NO_MEMORY
 *
 * Any thread, until the host function returns.
 */
SUBPY_API subpy_status subpy_context_raise(struct subpy_context *ctx, const char *type, size_t type_len,
    const char *message, size_t len);

/**
 * Add a note to the exception that a call of a host function is to raise, such as the host's own stack. Python shows
 * it below the traceback (PEP 678). Without subpy_context_raise() it has no effect.
 *
 * @param ctx   the call
 * @param text  the note, which may have several lines
 * @param len   its length in bytes, or SUBPY_AUTO_LEN
 * @return as subpy_context_raise(). Any thread, until the host function returns.
 */
SUBPY_API subpy_status subpy_context_note(struct subpy_context *ctx, const char *text, size_t len);

/**
 * Give the exception that a call of a host function is to raise a number. subpy_error_tag() has it when the exception
 * comes out of a run, so that the host recognises its own exception.
 *
 * @param ctx  the call
 * @param tag  any number; 0: none
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the call is over. Any thread, until the host function returns.
 */
SUBPY_API subpy_status subpy_context_tag(struct subpy_context *ctx, uint64_t tag);

/** The interpreter that `ctx`, a call of a host function, comes from; 0 when the call is over. Any thread. */
SUBPY_NODISCARD SUBPY_API subpy_interp subpy_context_interp(const struct subpy_context *ctx);

/**
 * Whether the run that `ctx`, a call of a host function, is a part of was cancelled, or its time is up: if so, the host
 * function should return soon. False when the call is over. Any thread.
 */
SUBPY_NODISCARD SUBPY_API bool subpy_context_cancelled(const struct subpy_context *ctx);

/* ---------------------------------------------------------------------------------------------------------------------
 * Sessions
 *
 * A thread that calls into an interpreter many times can enter it first, and leave it at the end. Its calls then cost
 * less, and what Python keeps for a thread (threading.local, contextvars, the decimal context) lasts from call to
 * call.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Keep this thread in an interpreter, until subpy_leave().
 *
 * The runs of this thread in the interpreter use one Python thread state from now on. The GIL is not held between
 * them: other threads get in as SUBPY_BUSY_* says, and subpy_is_running() is false. Calls nest, so each subpy_enter()
 * needs its subpy_leave(). A thread may have entered several interpreters at once. When it ends, it leaves them all.
 *
 * Until every thread has left, subpy_close() and subpy_shutdown() are SUBPY_ERROR_BUSY, on this thread too.
 *
 * @param interp  the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_NOT_FOUND    no such interpreter
 *         SUBPY_ERROR_BUSY         it is closing, or Python code of another interpreter is running something in it
 *         SUBPY_ERROR_INTERPRETER  Python code created it
 *         SUBPY_ERROR_WRONG_STATE  this thread's stack is too small, or this thread is ending
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_enter(subpy_interp interp, subpy_error **error);

/**
 * Undo one subpy_enter() of this thread.
 *
 * @param interp  the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_WRONG_STATE when this thread has not entered the interpreter, when it is still running
 *         something in it and this is the last leave, or when its stack is too small for the last leave
 *
 * The last leave waits for the GIL if another thread is running something, and runs the finalizers of what
 * threading.local held. Only the thread that entered.
 */
SUBPY_API subpy_status subpy_leave(subpy_interp interp, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Threads
 *
 * Runs on threads of their own, and tasks of pools. Each has one outcome, which goes to whoever joins it.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Called when the run of a thread has ended.
 *
 * @param userdata  what was given with the function
 *
 * Called on any thread, without a GIL and with nothing of the library locked, so it may call any function; but other
 * threads wait for it to return, so it should do no more than wake somebody. It must return, not unwind.
 */
typedef void (*subpy_notify_fn)(void *userdata);

/**
 * Call something by its name on a new thread of its own. The callable and the arguments are copied first. Python:
 * Interpreter.call_in_thread().
 *
 * @param interp    the interpreter
 * @param callable  as for subpy_call()
 * @param len       its length in bytes, or SUBPY_AUTO_LEN
 * @param args      `nargs` positional arguments; may be NULL when that is 0
 * @param nargs     how many
 * @param kwargs    keyword arguments: a DICT with STR keys; NULL: none
 * @param thread    receives the thread, to be joined or freed; NULL: it is freed at once
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_run_in_thread()
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_call_in_thread(subpy_interp interp, const char *callable, size_t len,
    const subpy_value *args, size_t nargs, const subpy_value *kwargs, subpy_thread *thread, subpy_error **error);

/**
 * Wait, without a limit, for a thread to end, and take the outcome of its run. This works once: the handle is gone
 * afterwards. subpy_thread_wait() waits with a limit.
 *
 * @param thread  the thread
 * @param result  the run's result, to be freed with subpy_value_free(); NULL: any result is fine
 * @param error   optional; the run's error, to be freed with subpy_error_free()
 * @return the status of the run, as subpy_run() would return it; SUBPY_ERROR_NOT_FOUND also when there is no such
 *         thread; SUBPY_ERROR_WRONG_STATE also when a thread joins itself
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_thread_join(subpy_thread thread, subpy_value *result, subpy_error **error);

/**
 * Wait until the run of a thread has ended, or a time has passed. The outcome stays: the thread is still to be joined
 * or freed.
 *
 * @param thread      the thread
 * @param timeout_ms  how long to wait at most, in milliseconds; 0: do not wait; -1: no limit
 * @param done        receives whether the run has ended; may be NULL
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, whether it has ended or not;
 *         SUBPY_ERROR_INVALID_ARGUMENT  `timeout_ms` is less than -1
 *         SUBPY_ERROR_NOT_FOUND         no such thread, or another thread has joined or freed it meanwhile
 *         SUBPY_ERROR_WRONG_STATE       a thread waits for itself
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_thread_wait(subpy_thread thread, int64_t timeout_ms, bool *done, subpy_error **error);

/**
 * Have a function called, once, when the run of a thread has ended or was given up (SUBPY_ABANDON). If it has already,
 * the function is called at once, before this returns. It is called even if the thread is joined or freed meanwhile.
 *
 * @param thread    the thread
 * @param fn        the function, not NULL
 * @param userdata  passed on to `fn`
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK: `fn` was called or will be; otherwise it will not:
 *         SUBPY_ERROR_INVALID_ARGUMENT  `fn` is NULL
 *         SUBPY_ERROR_NOT_FOUND         no such thread, or it was joined or freed
 *
 * Any thread. Each call adds one more function. Python: Future.add_done_callback().
 */
SUBPY_API subpy_status subpy_thread_notify(subpy_thread thread, subpy_notify_fn fn, void *userdata,
    subpy_error **error);

/**
 * A file descriptor that becomes readable when the run of a thread has ended, or was given up: for poll(), epoll and
 * event loops. On Windows it is a socket (SOCKET), for select() and WSAPoll().
 *
 * @param thread  the thread
 * @param fd      receives the descriptor. It belongs to the thread and is closed when that is joined or freed: do not
 *                read or close it
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK, with the same descriptor each time; `fd` is -1 otherwise:
 *         SUBPY_ERROR_NOT_FOUND    no such thread, or it was joined or freed
 *         SUBPY_ERROR_INTERPRETER  the process has no descriptor left
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_thread_fd(subpy_thread thread, int *fd, subpy_error **error);

/**
 * Forget a thread. Its run goes on; if it fails, or has failed, the traceback is printed to stderr, as Python does it
 * for its threads.
 *
 * @param thread  the thread; 0, or one that was joined or freed already, is ignored
 *
 * Does not wait for the run, and runs no Python; works after subpy_shutdown() too. Any thread.
 */
SUBPY_API void subpy_thread_free(subpy_thread thread);

/* ---------------------------------------------------------------------------------------------------------------------
 * Limits
 *
 * Python code is stopped with a KeyboardInterrupt, as Ctrl-C does it, in the runs that are meant and in nothing else:
 * not in the next run, nor in Python's own threads. What is blocked in C (`time.sleep`, a lock, a socket) is stopped
 * when that returns.
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Make a cancel token. It is given to runs with subpy_run_request.cancel: to any number of them, one after the other
 * or at the same time, in any interpreters.
 *
 * @param cancel  the new token, not NULL; to be freed with subpy_cancel_free()
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `cancel` is NULL
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_cancel_new(subpy_cancel *cancel, subpy_error **error);

/**
 * Stop the runs that have this token, and refuse those that are given it later: they end with
 * SUBPY_ERROR_INTERRUPTED. There is no way back: a token is fired for good.
 *
 * Python code gets a KeyboardInterrupt, again and again until the run ends: code that catches it is hit anew. So does
 * Python code that a host function runs inside of such a run on the same thread, in other interpreters too. A run that
 * waits for its turn is refused at once. Other runs, and runs that have ended, are never hit.
 *
 * @param cancel  the token; 0, or one that was freed already, is ignored
 *
 * Returns at once. Any thread, also inside of the run.
 */
SUBPY_API void subpy_cancel_fire(subpy_cancel cancel);

/**
 * Free a cancel token. Runs that have it go on, and nobody can fire it any more.
 *
 * @param cancel  the token; 0, or one that was freed already, is ignored
 *
 * Works after subpy_shutdown() too. Any thread, also while another one fires it.
 */
SUBPY_API void subpy_cancel_free(subpy_cancel cancel);

/**
 * Stop what runs in an interpreter now, whoever started it: each of these runs ends with SUBPY_ERROR_INTERRUPTED.
 *
 * Python code gets a KeyboardInterrupt, again and again until the run ends: code that catches it is hit anew. Returns
 * at once. When nothing runs nothing happens, and no later run is hit.
 *
 * @param interp  the interpreter
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_NOT_FOUND    no such interpreter
 *         SUBPY_ERROR_INTERPRETER  Python code created the interpreter
 *         SUBPY_ERROR_WRONG_STATE  this CPython cannot be interrupted
 *
 * Any thread, also inside of the interpreter.
 */
SUBPY_API subpy_status subpy_interrupt(subpy_interp interp, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Memory
 *
 * An interpreter can count its memory, with SUBPY_INTERP_COUNT_MEMORY, and have a limit to it, `memory_limit` of its
 * options. Counted is what CPython asks for on behalf of the interpreter; not what C libraries get from malloc().
 * --------------------------------------------------------------------------------------------------------------------- */

/** How much memory an interpreter uses, in bytes. */
typedef struct subpy_memory_info {
  /** sizeof(subpy_memory_info), set by the caller beforehand */
  size_t size;
  /** what it uses now */
  uint64_t used;
  /** the most that it has used since it was created */
  uint64_t peak;
  /** `memory_limit` of its options; 0: none */
  uint64_t limit;
  /** how often the limit has led to a MemoryError, or to a block of memory that CPython was not given */
  uint64_t refused;
} subpy_memory_info;

/**
 * How much memory an interpreter uses. Python has no such function.
 *
 * The numbers are those of this moment, and cost nothing: no lock is taken, and the interpreter may be running.
 *
 * @param interp  the interpreter
 * @param info    receives the numbers; its `size` must be set, and may be more than this library knows: then the rest
 *                is made zero. On failure all but `size` is zero
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_NOT_FOUND         no such interpreter
 *         SUBPY_ERROR_WRONG_STATE       it does not count its memory
 *         SUBPY_ERROR_INTERPRETER       Python code created it
 *         SUBPY_ERROR_BUSY              it is closing, and has a process of its own
 *         SUBPY_ERROR_INVALID_ARGUMENT  `info` is NULL, or its size makes no sense
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_memory(subpy_interp interp, struct subpy_memory_info *info, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Locks
 *
 * An interpreter in a process of its own can be locked, with SUBPY_INTERP_LOCKED, as far as the kernel can hold it.
 * --------------------------------------------------------------------------------------------------------------------- */

/** By what means a locked interpreter is held. */
typedef struct subpy_lock_info {
  /** sizeof(subpy_lock_info), set by the caller beforehand */
  size_t size;
  /**
   * the version of Landlock that keeps it from files; 0: Landlock is not in use. At most 6, and always 6 without
   * SUBPY_INTERP_LOCK_BEST_EFFORT
   */
  int32_t landlock;
  /** 1: its system calls are filtered (seccomp); 0: they are not */
  int32_t seccomp;
} subpy_lock_info;

/**
 * By what means a locked interpreter (SUBPY_INTERP_LOCKED) is held. Python has no such function.
 *
 * @param interp  the interpreter
 * @param info    receives it; its `size` must be set, and may be more than this library knows: then the rest is made
 *                zero. On failure all but `size` is zero
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_NOT_FOUND         no such interpreter
 *         SUBPY_ERROR_WRONG_STATE       it is not locked
 *         SUBPY_ERROR_INTERPRETER       Python code created it
 *         SUBPY_ERROR_BUSY              it is closing
 *         SUBPY_ERROR_CRASHED           its process has ended
 *         SUBPY_ERROR_INVALID_ARGUMENT  `info` is NULL, or its size makes no sense
 *
 * Any thread. It asks the interpreter's process, whatever runs there.
 */
SUBPY_API subpy_status subpy_lock_get_info(subpy_interp interp, struct subpy_lock_info *info, subpy_error **error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Memory for buffers
 *
 * Memory for buffers that interpreters in processes of their own (SUBPY_INTERP_PROCESS) see without a copy. All others
 * see it too. Other memory is copied to such a process if it is read-only, and refused if it is writable
 * (SUBPY_ERROR_NOT_SHAREABLE).
 * --------------------------------------------------------------------------------------------------------------------- */

/**
 * Allocate memory for a buffer, filled with zeros.
 *
 * The host and each interpreter that gets the memory see the same bytes, and see changes at once. Parts of it may be
 * passed as buffers of their own, with any format, shape and strides, and are not copied either. A result that shares
 * it (SUBPY_RESULT_BUFFER) is this memory as well. There is no lock: the host and its Python code have to agree on who
 * writes when.
 *
 * @param len     how many bytes; with 0 there is no memory
 * @param flags   0, or SUBPY_BUFFER_WRITABLE. Without it only the host can write to the memory, whatever code in a
 *                process does
 * @param buffer  receives the buffer, of bytes; format, itemsize, shape, strides and ndim, `release` and `userdata` are
 *                the caller's to change. On failure all of it is zero
 * @param error   optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_NO_MEMORY         there is not enough memory
 *         SUBPY_ERROR_INVALID_ARGUMENT  `buffer` is NULL, or an unknown flag
 *         SUBPY_ERROR_INTERPRETER       the process cannot open any more files: each takes one
 *
 * Takes time in proportion to `len`, because it allocates all pages at once. Needs no runtime. Any thread. Python's
 * counterpart: multiprocessing.shared_memory.
 */
SUBPY_API subpy_status subpy_buffer_new(size_t len, uint32_t flags, subpy_buffer *buffer, subpy_error **error);

/**
 * Free what subpy_buffer_new() made, and make its `data` NULL and its `len` 0.
 *
 * Results that share the memory keep it until they are freed, and so do interpreters in processes until they have let
 * go of it. Interpreters in this process do not: wait for `release` before you free it, as with any other memory.
 *
 * @param buffer  with the `data` that subpy_buffer_new() gave it. NULL, and memory that is not from there, is left as
 *                it is
 *
 * Any thread.
 */
SUBPY_API void subpy_buffer_free(subpy_buffer *buffer);

/* ---------------------------------------------------------------------------------------------------------------------
 * Queues
 *
 * Queues between the program and interpreters, and between interpreters. What is put in is copied, once; it is what
 * subpy_call() can pass, but for objects. Any number of threads may put and get at the same time, and each item comes
 * out once, in the order in which it went in. A queue belongs to no interpreter and to no runtime: it stays as it is
 * when these end, until its last handle or Python object is gone.
 *
 * In Python they are the Queue of the module `subpy_queues`: pass one as a value (subpy_value_from_queue()), with
 * subpy_prepare_main() for example. Python's counterpart: concurrent.interpreters.Queue.
 * --------------------------------------------------------------------------------------------------------------------- */

/** Options of subpy_queue_new(). Zero is the default of every field. */
typedef struct subpy_queue_options {
  /** sizeof(subpy_queue_options) */
  size_t size;
  /** how many items it holds at most; 0: as many as there is memory for */
  size_t capacity;
  /** 0 */
  uint64_t flags;
} subpy_queue_options;

/** What subpy_queue_get_info() says of a queue. */
typedef struct subpy_queue_info {
  /** sizeof(subpy_queue_info) */
  size_t size;
  /** the number that Python code knows it by, the same in each handle of the queue. Python: Queue.id */
  uint64_t id;
  /** how many items it holds at most; 0: as many as there is memory for. Python: Queue.maxsize */
  size_t capacity;
  /** how many items are in it. Others may change that at any time. Python: Queue.qsize() */
  size_t len;
  /** whether it was closed: 1, or 0. Python: Queue.closed */
  uint64_t closed;
} subpy_queue_info;

/**
 * Make a queue.
 *
 * @param options  NULL: the defaults
 * @param queue    the new queue, not NULL; to be freed with subpy_queue_free()
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `queue` is NULL, or an option makes no sense
 *
 * Any thread, also before subpy_init() and after subpy_shutdown(). Python's counterpart: subpy_queues.create().
 */
SUBPY_API subpy_status subpy_queue_new(const struct subpy_queue_options *options, subpy_queue *queue,
    subpy_error **error);

/**
 * Make another handle of a queue, for example of one in a result, whose own handle is gone with the result.
 *
 * @param queue  the queue
 * @param own    another handle of the same queue, not NULL; to be freed with subpy_queue_free()
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `own` is NULL; SUBPY_ERROR_NOT_FOUND
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_queue_keep(subpy_queue queue, subpy_queue *own, subpy_error **error);

/**
 * Put a copy of a value into a queue. When this is SUBPY_OK the value is in; otherwise it is not.
 *
 * While there is no room, this waits. The wait ends early if the run that this thread is inside of is stopped.
 *
 * @param queue       the queue
 * @param value       not NULL
 * @param timeout_ms  how long to wait for room at most, in milliseconds; 0: do not wait; -1: no limit
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_TIMEOUT           there was no room in time
 *         SUBPY_ERROR_WRONG_STATE       the queue is closed
 *         SUBPY_ERROR_INTERRUPTED       the run that this thread is in was cancelled
 *         SUBPY_ERROR_NOT_SHAREABLE     there is an object in the value
 *         SUBPY_ERROR_NOT_FOUND         no such queue
 *         SUBPY_ERROR_INVALID_ARGUMENT  a value that makes no sense, or a `timeout_ms` less than -1
 *         SUBPY_ERROR_NO_MEMORY
 *
 * Any thread. Python's counterpart: Queue.put().
 */
SUBPY_API subpy_status subpy_queue_put(subpy_queue queue, const subpy_value *value, int64_t timeout_ms,
    subpy_error **error);

/**
 * As subpy_queue_put(), with a cancel token that ends the wait.
 *
 * @param queue       as in subpy_queue_put()
 * @param value       likewise
 * @param timeout_ms  likewise
 * @param cancel      the token; 0: none
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_queue_put(); SUBPY_ERROR_INTERRUPTED when the token was fired, before or meanwhile;
 *         SUBPY_ERROR_NOT_FOUND when there is no such token
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_queue_put_with(subpy_queue queue, const subpy_value *value, int64_t timeout_ms,
    subpy_cancel cancel, subpy_error **error);

/**
 * Take the first item out of a queue. When this is SUBPY_OK the item is the caller's; otherwise none was taken.
 *
 * While there is none, this waits. The wait ends early if the run that this thread is inside of is stopped.
 *
 * @param queue       the queue
 * @param timeout_ms  how long to wait for an item at most, in milliseconds; 0: do not wait; -1: no limit
 * @param value       the item, not NULL; to be freed with subpy_value_free()
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK;
 *         SUBPY_ERROR_TIMEOUT           there was none in time
 *         SUBPY_ERROR_WRONG_STATE       the queue is closed, and empty
 *         SUBPY_ERROR_INTERRUPTED       the run that this thread is in was cancelled
 *         SUBPY_ERROR_NOT_FOUND         no such queue
 *         SUBPY_ERROR_INVALID_ARGUMENT  `value` is NULL, or `timeout_ms` is less than -1
 *
 * Any thread. Python's counterpart: Queue.get().
 */
SUBPY_API subpy_status subpy_queue_get(subpy_queue queue, int64_t timeout_ms, subpy_value *value,
    subpy_error **error);

/**
 * As subpy_queue_get(), with a cancel token that ends the wait.
 *
 * @param queue       as in subpy_queue_get()
 * @param timeout_ms  likewise
 * @param value       likewise
 * @param cancel      the token; 0: none
 * @param error       optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_queue_get(); SUBPY_ERROR_INTERRUPTED when the token was fired, before or meanwhile;
 *         SUBPY_ERROR_NOT_FOUND when there is no such token
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_queue_get_with(subpy_queue queue, int64_t timeout_ms, subpy_value *value,
    subpy_cancel cancel, subpy_error **error);

/**
 * How many items are in a queue. Others may change that at any time.
 *
 * @param queue  the queue
 * @param len    receives it; may be NULL
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND
 *
 * Any thread. Python's counterpart: Queue.qsize().
 */
SUBPY_API subpy_status subpy_queue_len(subpy_queue queue, size_t *len, subpy_error **error);

/**
 * Get facts about a queue. Two handles are of the same queue if the `id` is the same.
 *
 * @param queue  the queue
 * @param info   receives it; its `size` must be set, and may be more than this library knows: then the rest is made
 *               zero. On failure all but `size` is zero
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT when `info` is NULL, or its size makes no
 *         sense
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_queue_get_info(subpy_queue queue, struct subpy_queue_info *info, subpy_error **error);

/**
 * A descriptor for poll(), epoll and the event loops that are made of them: readable while there is something to get,
 * or the queue is closed. On Windows it is a socket (SOCKET), for select() and WSAPoll().
 *
 * Another thread may take the item first: then subpy_queue_get() with a `timeout_ms` of 0 is SUBPY_ERROR_TIMEOUT, and
 * the descriptor is not readable any more.
 *
 * @param queue  the queue
 * @param fd     receives the descriptor, the same one each time. It belongs to the queue, which closes it when it is
 *               freed itself: do not read it, write to it or close it. -1 on failure
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INTERPRETER when the system has none left
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_queue_fd(subpy_queue queue, int32_t *fd, subpy_error **error);

/**
 * As subpy_queue_fd(), for threads that put: readable while there is room, or the queue is closed.
 *
 * @param queue  the queue
 * @param fd     as for subpy_queue_fd(), but another one
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_queue_fd(). Any thread.
 */
SUBPY_API subpy_status subpy_queue_room_fd(subpy_queue queue, int32_t *fd, subpy_error **error);

/**
 * Close a queue: nothing goes in any more, and what is in it can still be taken out. Whoever waits is woken.
 *
 * @param queue  the queue; one that is closed stays so
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND
 *
 * Any thread. Python's counterpart: Queue.close().
 */
SUBPY_API subpy_status subpy_queue_close(subpy_queue queue, subpy_error **error);

/**
 * Free a handle. With the last one the queue and its items are freed, unless a value, an item of a queue or a Python
 * object still refers to it. Threads that wait for it go on waiting: close the queue to wake them.
 *
 * @param queue  the queue; 0, or a handle that was freed already, is ignored
 *
 * Works after subpy_shutdown() too. Any thread.
 */
SUBPY_API void subpy_queue_free(subpy_queue queue);

/* ---------------------------------------------------------------------------------------------------------------------
 * Pools
 *
 * A pool has a number of interpreters, each with a thread of its own, and runs tasks in them: requests as for
 * subpy_run(), whose outcomes are threads that can be waited for, joined, cancelled and freed. docs/pools.md says more.
 *
 * Tasks begin in the order in which they were submitted. Submitters, if there are several, take turns. An interpreter
 * is replaced when a run in it was interrupted, ran out of memory or was given up, because what it holds may be in any
 * state then; when its process has ended; and after `runs_per_worker` runs. One that was made in advance takes its
 * place, and no task waits while the old one is closed.
 * --------------------------------------------------------------------------------------------------------------------- */

/** A task for which there is no room is refused with SUBPY_ERROR_BUSY, and does not wait. */
#define SUBPY_POOL_REFUSE 1
/** No interpreter is made in advance: one that takes another's place is made when it is needed. */
#define SUBPY_POOL_NO_SPARES 2
/** Its interpreters live in this process, as their options say: with a GIL of their own, if those say nothing else. */
#define SUBPY_ISOLATION_OWN_GIL 0
/** Each interpreter has a process of its own (SUBPY_INTERP_PROCESS, which may be left out). */
#define SUBPY_ISOLATION_PROCESS 1
/**
 * As with SUBPY_ISOLATION_OWN_GIL until an extension module refuses to be imported like that, by the setup or by a
 * task; from then on all interpreters of the pool have processes of their own, and those without are replaced. A task
 * that ended with that ImportError is run again from its beginning, in a process: what it did before the import, it
 * does twice.
 */
#define SUBPY_ISOLATION_AUTO 2

/**
 * Prepares a new interpreter of a pool, before its setup runs: with subpy_define() or subpy_set_output(), say.
 *
 * @param userdata  what was given with the function
 * @param interp    the interpreter
 *
 * Called on a thread of the pool's, without a GIL; for several interpreters at the same time. It must return, not
 * unwind, and must not close the pool.
 */
typedef void (*subpy_prepare_fn)(void *userdata, subpy_interp interp);

/** Options of subpy_pool_new(). Zero is the default of every field. */
typedef struct subpy_pool_options {
  /** sizeof(subpy_pool_options) */
  size_t size;
  /** how many interpreters run tasks at the same time, 10,000 at most; 0: one per core */
  size_t workers;
  /** how many tasks may wait; 0: 16 per worker. Beyond that subpy_pool_submit() waits, see SUBPY_POOL_REFUSE */
  size_t backlog;
  /**
   * how many interpreters are ready to take the place of one that is replaced, 10,000 at most; 0: one, see
   * SUBPY_POOL_NO_SPARES
   */
  size_t spares;
  /** how the interpreters are created; NULL: the defaults */
  const subpy_interp_options *interp;
  /** statements that run once in each interpreter, in UTF-8; NULL: none */
  const char *setup;
  /** the length of `setup` in bytes, or SUBPY_AUTO_LEN */
  size_t setup_len;
  /** called with each new interpreter; NULL: nothing is */
  subpy_prepare_fn prepare;
  /** passed on to `prepare` and `finalize` */
  void *userdata;
  /**
   * called with `userdata` when `prepare` will not be called any more: the pool was closed, or subpy_pool_new() has
   * failed
   */
  subpy_finalize_fn finalize;
  /** how many runs there are in one interpreter before it is replaced; 0: any number */
  uint64_t runs_per_worker;
  /** SUBPY_POOL_* */
  uint64_t flags;
  /** SUBPY_ISOLATION_*: where the interpreters live */
  int32_t isolation;
  /** 0 */
  uint32_t reserved;
} subpy_pool_options;

/** What a pool has done, and has to do. The times are those of all tasks so far, each at most a sixteenth too large. */
typedef struct subpy_pool_stats {
  /** sizeof(subpy_pool_stats) */
  size_t size;
  /** interpreters that run tasks; one that is replaced at this moment is not among them */
  uint64_t workers;
  /** interpreters that are ready to take the place of one of those */
  uint64_t spares;
  /** tasks that wait */
  uint64_t queued;
  /** tasks that run */
  uint64_t running;
  /** tasks that were accepted: queued, running and done */
  uint64_t submitted;
  /** tasks that have ended, whatever their outcome */
  uint64_t done;
  /** those of them that ended with an error */
  uint64_t failed;
  /** those of them that ended with SUBPY_ERROR_INTERRUPTED */
  uint64_t cancelled;
  /** interpreters that were replaced */
  uint64_t replaced;
  /** how long tasks waited before they began, in microseconds: half of them no longer than this */
  uint64_t wait_p50_us;
  /** the same of nine of ten tasks */
  uint64_t wait_p90_us;
  /** the same of 99 of 100 tasks */
  uint64_t wait_p99_us;
  /** how long tasks ran, in microseconds: half of them no longer than this */
  uint64_t run_p50_us;
  /** the same of nine of ten tasks */
  uint64_t run_p90_us;
  /** the same of 99 of 100 tasks */
  uint64_t run_p99_us;
  /**
   * interpreters that were replaced and cannot be closed, because of threads that Python code has left in them. They
   * are tried again every few seconds, and when the pool is closed
   */
  uint64_t left;
  /** interpreters whose process has crashed, or was killed because a run did not end in time */
  uint64_t crashed;
  /** where its interpreters live now: SUBPY_ISOLATION_OWN_GIL or SUBPY_ISOLATION_PROCESS */
  int32_t isolation;
  /** 0 */
  uint32_t reserved;
  /**
   * with SUBPY_ISOLATION_AUTO, why the interpreters have processes: the message of the import that was refused,
   * UTF-8 that ends with a NUL, cut if it is longer; empty until then
   */
  char reason[200];
} subpy_pool_stats;

/**
 * Takes what became of one row of subpy_pool_map().
 *
 * @param userdata  what was given with the function
 * @param index     the row
 * @param result    what the call has returned; NULL after an error. It is freed when the function returns. To keep it,
 *                  copy the struct, set this one to subpy_none(), and free the copy with subpy_value_free()
 * @param error     NULL, or the error of the call, which is freed when the function returns
 * @return true: go on; false: what is left is cancelled
 *
 * Called on the thread that called subpy_pool_map(), without a GIL, with one row after the other. It must return, not
 * unwind.
 */
typedef bool (*subpy_map_fn)(void *userdata, size_t index, subpy_value *result, const subpy_error *error);

/**
 * Make a pool, and wait until all of its interpreters are ready. Starts the runtime if it is not running. Python:
 * InterpreterPoolExecutor.
 *
 * No thread is started in the process for pools before the first one is made. A pool has a thread for each worker, one
 * that makes spare interpreters, and one that closes old ones.
 *
 * @param options  NULL for the defaults
 * @param pool     the new pool, not NULL; to be closed with subpy_pool_close(), or by subpy_shutdown()
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; any error of subpy_create();
 *         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense, or `pool` is NULL
 *         and the error of the setup, if that fails
 *
 * If an interpreter cannot be made later, the workers that have one go on, and it is tried again. When no worker has
 * one, each task is such a try, and fails with its error if it fails.
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_pool_new(const struct subpy_pool_options *options, subpy_pool *pool,
    subpy_error **error);

/**
 * Have a pool run what the request says, as soon as a worker is free. Everything the request points to is copied first.
 *
 * The time of `timeout_ms` counts from when the run starts. A cancel token also takes a task out of the queue, and
 * ends the wait for room. With SUBPY_ABANDON a worker whose task was stopped and does not end is replaced: the pool
 * goes on, and the old thread ends when its code does. Objects in the result, if SUBPY_RESULT_* asks for them, belong
 * to the interpreter in which the task has run, and are gone when that is replaced or the pool is closed.
 *
 * Waits while the pool has no room, unless SUBPY_POOL_REFUSE says otherwise: until there is room, the pool is closed,
 * the token is fired, or the run that this thread is inside of is stopped. A task can submit others to its own pool.
 * If it waits for them, another worker has to be free to run them: when every worker waits like this, they wait until
 * they are stopped.
 *
 * @param pool     the pool
 * @param request  what to run: an exec, eval or call, with `interp` 0
 * @param outcome  receives the thread to be joined or freed; NULL: it is freed at once, and an error printed
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK when the task waits or runs;
 *         SUBPY_ERROR_INVALID_ARGUMENT  as for subpy_run(); also for a prepared function, and for an interpreter
 *         SUBPY_ERROR_NOT_FOUND         no such pool
 *         SUBPY_ERROR_BUSY              the pool has no room (SUBPY_POOL_REFUSE), or is closing
 *         SUBPY_ERROR_INTERRUPTED       cancelled while it waited for room
 *         SUBPY_ERROR_TIMEOUT           the run that this thread is inside of timed out while it waited for room
 *         SUBPY_ERROR_WRONG_STATE       the pool was closed
 *
 * Any thread. Python: Executor.submit().
 */
SUBPY_API subpy_status subpy_pool_submit(subpy_pool pool, const subpy_run_request *request, subpy_thread *outcome,
    subpy_error **error);

/**
 * As subpy_pool_submit(), for one of several submitters. Those that have tasks in the queue take turns, one task each,
 * so that one with many does not keep the others waiting. subpy_pool_submit() is for submitter 0.
 *
 * @param pool       the pool
 * @param submitter  any number
 * @param request    as for subpy_pool_submit()
 * @param outcome    as for subpy_pool_submit()
 * @param error      optional; set on failure, to be freed with subpy_error_free()
 * @return as subpy_pool_submit(). Any thread.
 */
SUBPY_API subpy_status subpy_pool_submit_as(subpy_pool pool, uint64_t submitter, const subpy_run_request *request,
    subpy_thread *outcome, subpy_error **error);

/**
 * What a pool has done, and has to do.
 *
 * @param pool   the pool
 * @param stats  `size` must be set; receives the rest, as far as it has room; what this library does not know, and all
 *               on failure, is made zero
 * @param error  optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT when `stats` is NULL, or its size makes no
 *         sense. Any thread.
 */
SUBPY_API subpy_status subpy_pool_get_stats(subpy_pool pool, struct subpy_pool_stats *stats, subpy_error **error);

/**
 * Close a pool and its interpreters, as subpy_close_with() closes one. Python: Executor.shutdown().
 *
 * With SUBPY_CLOSE_DRAIN the tasks that run or wait may finish, and new ones are SUBPY_ERROR_BUSY. With
 * SUBPY_CLOSE_INTERRUPT those that wait are cancelled and those that run are interrupted; when the time is over,
 * interpreters in processes of their own are killed if they still run something. If the time is over before that is
 * done, the pool goes on as before, but for what was cancelled or interrupted. A task that was given up
 * (SUBPY_ABANDON) is not waited for.
 *
 * Then the pool has ended: nothing can be submitted any more, and its threads are gone. If one of its interpreters
 * cannot be closed in time, the error says why; call this again to try again.
 *
 * @param pool     the pool
 * @param options  NULL: as if all bytes were zero, which waits for nothing
 * @param error    optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK: the handle is gone. Outcomes that were not joined can still be joined;
 *         SUBPY_ERROR_BUSY              tasks run or wait, or an interpreter has not come to rest; the message names them
 *         SUBPY_ERROR_TIMEOUT           an interpreter is ending, and has not ended in time
 *         SUBPY_ERROR_NOT_FOUND         no such pool; it may be closed already
 *         SUBPY_ERROR_WRONG_STATE       called from a task of the pool, or from what that has called; this CPython
 *                                       cannot be interrupted; or this thread's stack is too small
 *         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
 *
 * Any thread.
 */
SUBPY_API subpy_status subpy_pool_close(subpy_pool pool, const subpy_close_options *options, subpy_error **error);

/**
 * Call something once for each row of arguments, in all of the pool's interpreters, and take the results in the order
 * of the rows, as they come. Python: Executor.map().
 *
 * Each row is a run of its own, to which the request's limits, `kwargs` and output apply. A few tasks wait or run at
 * the same time, not all of them. A row that fails has an error, and the others go on.
 *
 * @param pool      the pool
 * @param request   what to call: SUBPY_RUN_CALL, `interp` 0, without `args` and SUBPY_ABANDON
 * @param rows      `count` times `nargs` values, row after row; copied as they are needed; may be NULL when there are none
 * @param count     how many rows
 * @param nargs     how many arguments in each
 * @param chunk     how many rows make a task: larger chunks cost less per row, and spread them less evenly; 0: 1
 * @param fn        takes the results; NULL: nobody does, and the first error ends it
 * @param userdata  passed on to `fn`
 * @param error     optional; set on failure, to be freed with subpy_error_free()
 * @return SUBPY_OK when all rows were passed on, or `fn` has returned false; any error of subpy_pool_submit();
 *         SUBPY_ERROR_INTERRUPTED  the request's token was fired, also for rows that have begun
 *
 * When this returns, all that it began has ended, whatever it returns. Any thread. In a task of the same pool it is a
 * wait for other workers, see subpy_pool_submit().
 */
SUBPY_API subpy_status subpy_pool_map(subpy_pool pool, const subpy_run_request *request, const subpy_value *rows,
    size_t count, size_t nargs, size_t chunk, subpy_map_fn fn, void *userdata, subpy_error **error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* SUBPY_H */
