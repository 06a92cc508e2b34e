/*
 * The plain C API with the recipe of raw.h: modes are "fresh" (a thread state an entry, the function looked up by name)
 * and "kept" (the thread keeps its thread state, and a reference to the function).
 *
 * It knows the shape of its data and goes straight for it, as a program would that is written for it. It leaves out
 * whatever a library cannot: no look at types, no list of who is in, no limit on depth.
 */
#define _GNU_SOURCE
#define HAS_DATA
#include "raw.h"
#include "worker.h"

enum { ID, NAME, PRICE, ACTIVE, FIELDS };

struct slot {
  raw_interp interp;
  PyObject *functions[FUNCTION_COUNT], *fields[FIELDS];
  unsigned long runner;
};

static bool keeps;
static __thread PyThreadState *kept;

static void start(const char *mode, const char *executable, const char *library) {
  keeps = strcmp(mode, "kept") == 0;
  raw_start(library, executable);
}

static inline raw_entry enter(const slot *at) {
  if (kept == NULL) return raw_enter(&at->interp);
  return (raw_entry){.state = kept, .previous = raw.PyThreadState_Swap(kept)};
}

static inline void leave(raw_entry entry) {
  if (kept == NULL) raw_leave(entry);
  else raw.PyThreadState_Swap(entry.previous);
}

static slot *slot_create(const char *kind) {
  (void)kind;
  slot *at = calloc(1, sizeof *at);
  at->interp = raw_create(true);
  return at;
}

static bool has_queue(void) { return false; }

static PyObject *checked(PyObject *object) {
  if (object != NULL) return object;
  raw.PyErr_Print();
  raw_fail("Python code");
  return NULL;
}

static PyObject *run(const slot *at, const char *source, int what) {
  PyObject *code = checked(raw.Py_CompileString(source, "<script>", what));
  PyObject *result = checked(raw.PyEval_EvalCode(code, at->interp.main_dict, at->interp.main_dict));
  raw.Py_DecRef(code);
  return result;
}

static void slot_exec(slot *at, const char *source) {
  raw_entry entry = enter(at);
  raw.Py_DecRef(run(at, source, FILE_INPUT));
  leave(entry);
}

static void slot_prepare(slot *at) {
  static raw_host sum = {host_sum, &host_data};
  raw_entry entry = enter(at);
  raw_define(&at->interp, "host", false, &sum);
  raw_define(&at->interp, "host_with_gil", true, &sum);
  for (int i = 0; i < FUNCTION_COUNT; i++) {
    at->functions[i] = checked(raw.PyDict_GetItemString(at->interp.main_dict, names[i]));
    raw.Py_IncRef(at->functions[i]);
  }
  static const char *const fields[FIELDS] = {"id", "name", "price", "active"};
  for (int i = 0; i < FIELDS; i++) at->fields[i] = raw.PyUnicode_InternFromString(fields[i]);
  leave(entry);
}

static void slot_close(slot *at) {
  raw_close(at->interp);
  free(at);
}

static void slot_begin(slot *at) {
  if (keeps) kept = raw_thread_state(&at->interp);
}

static void slot_end(slot *at) {
  (void)at;
  if (!keeps) return;
  raw_entry entry = {.state = kept, .previous = raw.PyThreadState_Swap(kept)};
  raw_leave(entry);
  kept = NULL;
}

static inline PyObject *callable_of(const slot *at, int function) {
  PyObject *callable = at->functions[function];
  if (!keeps) callable = raw.PyDict_GetItemString(at->interp.main_dict, names[function]);
  raw.Py_IncRef(callable);
  return callable;
}

/** In between enter() and leave(). Takes the argument over. */
static inline PyObject *call_with(const slot *at, int function, PyObject *arg) {
  PyObject *callable = callable_of(at, function);
  PyObject *result = raw.PyObject_Vectorcall(callable, &arg, arg != NULL, NULL);
  raw.Py_DecRef(callable);
  if (arg != NULL) raw.Py_DecRef(arg);
  return result;
}

static inline int64_t int_of(PyObject *result) {
  int64_t value = raw.PyLong_AsLongLong(checked(result));
  raw.Py_DecRef(result);
  return value;
}

static int64_t call_0(slot *at, int64_t count) {
  while (count-- > 0) {
    raw_entry entry = enter(at);
    raw.Py_DecRef(checked(call_with(at, F_nothing, NULL)));
    leave(entry);
  }
  return 0;
}

static int64_t call_2(slot *at, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *callable = callable_of(at, F_add);
    PyObject *args[] = {raw.PyLong_FromLongLong(1000), raw.PyLong_FromLongLong(2000)};
    value = int_of(raw.PyObject_Vectorcall(callable, args, 2, NULL));
    raw.Py_DecRef(args[1]);
    raw.Py_DecRef(args[0]);
    raw.Py_DecRef(callable);
    leave(entry);
  }
  return value;
}

static int64_t many(slot *at, int64_t rows, int64_t count) { return rows * call_2(at, rows * count); }

static int64_t texts(slot *at, const char *data, intptr_t length, int64_t count) {
  int64_t check = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *result = checked(call_with(at, F_same, raw.PyUnicode_FromStringAndSize(data, length)));
    intptr_t size;
    const char *from = raw.PyUnicode_AsUTF8AndSize(result, &size);
    char *copy = malloc((size_t)size + 1);
    memcpy(copy, from, (size_t)size + 1);
    raw.Py_DecRef(result);
    leave(entry);
    if (count == 0) check = memcmp(copy, data, (size_t)length) == 0 ? size : -1;
    free(copy);
  }
  return check;
}

static int64_t text(slot *at, int64_t count) { return texts(at, some_text, TEXT, count); }

static int64_t text_short(slot *at, int64_t count) { return texts(at, some_text, TEXT_SHORT, count); }

static int64_t text_wide(slot *at, int64_t count) { return texts(at, some_wide_text, TEXT, count); }

static int64_t bytes(slot *at, int64_t count) {
  int64_t check = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *result = checked(call_with(at, F_same, raw.PyBytes_FromStringAndSize((char *)some_bytes, BYTES)));
    intptr_t size;
    char *from;
    raw.PyBytes_AsStringAndSize(result, &from, &size);
    char *copy = malloc((size_t)size);
    memcpy(copy, from, (size_t)size);
    raw.Py_DecRef(result);
    leave(entry);
    if (count == 0) check = memcmp(copy, some_bytes, BYTES) == 0 ? size : -1;
    free(copy);
  }
  return check;
}

static int64_t list_in(slot *at, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *list = raw.PyList_New(NUMBERS);
    for (int i = 0; i < NUMBERS; i++) raw.PyList_SetItem(list, i, raw.PyLong_FromLongLong(some_numbers[i]));
    value = int_of(call_with(at, F_length, list));
    leave(entry);
  }
  return value;
}

static int64_t list_out(slot *at, int64_t count) {
  int64_t check = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *result = checked(call_with(at, F_numbers, NULL));
    intptr_t size = raw.PyList_Size(result);
    int64_t *copy = malloc((size_t)size * sizeof *copy);
    for (intptr_t i = 0; i < size; i++) copy[i] = raw.PyLong_AsLongLong(raw.PyList_GetItem(result, i));
    raw.Py_DecRef(result);
    leave(entry);
    if (count == 0) check = check_numbers(copy, (size_t)size);
    free(copy);
  }
  return check;
}

static int64_t floats(slot *at, int64_t count) {
  int64_t check = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *list = raw.PyList_New(NUMBERS);
    for (int i = 0; i < NUMBERS; i++) raw.PyList_SetItem(list, i, raw.PyFloat_FromDouble(some_floats[i]));
    PyObject *result = checked(call_with(at, F_same, list));
    intptr_t size = raw.PyList_Size(result);
    double *copy = malloc((size_t)size * sizeof *copy);
    for (intptr_t i = 0; i < size; i++) copy[i] = raw.PyFloat_AsDouble(raw.PyList_GetItem(result, i));
    raw.Py_DecRef(result);
    leave(entry);
    if (count == 0) check = check_floats(copy, (size_t)size);
    free(copy);
  }
  return check;
}

static void set(PyObject *dict, PyObject *key, PyObject *value) {
  raw.PyDict_SetItem(dict, key, value);
  raw.Py_DecRef(value);
}

static int64_t dict_in(slot *at, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *table = raw.PyDict_New();
    for (const row *from = some_rows; from < some_rows + ROWS; from++) {
      PyObject *fields = raw.PyDict_New(), *key = raw.PyUnicode_FromString(from->key);
      set(fields, at->fields[ID], raw.PyLong_FromLongLong(from->id));
      set(fields, at->fields[NAME], raw.PyUnicode_FromString(from->name));
      set(fields, at->fields[PRICE], raw.PyFloat_FromDouble(from->price));
      set(fields, at->fields[ACTIVE], raw.PyBool_FromLong(from->active));
      set(table, key, fields);
      raw.Py_DecRef(key);
    }
    value = int_of(call_with(at, F_length, table));
    leave(entry);
  }
  return value;
}

static void copy_text(char to[16], PyObject *from) {
  intptr_t size;
  const char *text_ = raw.PyUnicode_AsUTF8AndSize(from, &size);
  memcpy(to, text_, (size_t)size + 1);
}

static int64_t dict_out(slot *at, int64_t count) {
  int64_t check = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *table = checked(call_with(at, F_table, NULL)), *key, *fields;
    row *rows = malloc((size_t)raw.PyDict_Size(table) * sizeof *rows), *to = rows;
    for (intptr_t place = 0; raw.PyDict_Next(table, &place, &key, &fields); to++) {
      copy_text(to->key, key);
      to->id = raw.PyLong_AsLongLong(raw.PyDict_GetItem(fields, at->fields[ID]));
      copy_text(to->name, raw.PyDict_GetItem(fields, at->fields[NAME]));
      to->price = raw.PyFloat_AsDouble(raw.PyDict_GetItem(fields, at->fields[PRICE]));
      to->active = raw.PyObject_IsTrue(raw.PyDict_GetItem(fields, at->fields[ACTIVE]));
    }
    raw.Py_DecRef(table);
    leave(entry);
    for (row *from = rows; count == 0 && from < to; from++)
      check += check_row(strlen(from->key), strlen(from->name), from->id, from->price, from->active);
    free(rows);
  }
  return check;
}

static int64_t evals(slot *at, const char *expression, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    value = int_of(run(at, expression, EVAL_INPUT));
    leave(entry);
  }
  return value;
}

static int64_t print(slot *at, int64_t count) {
  raw_entry entry = enter(at);
  raw.Py_DecRef(checked(call_with(at, F_say, raw.PyLong_FromLongLong(count))));
  leave(entry);
  return 0;
}

/** What `concurrent.interpreters` renders: "".join(traceback.TracebackException.from_exception(error).format()) */
static char *traceback_of(PyObject *error) {
  PyObject *module = checked(raw.PyImport_ImportModule("traceback"));
  PyObject *type = raw.PyObject_GetAttrString(module, "TracebackException");
  PyObject *from_exception = raw.PyObject_GetAttrString(type, "from_exception");
  PyObject *summary = checked(raw.PyObject_Vectorcall(from_exception, &error, 1, NULL));
  PyObject *format = raw.PyObject_GetAttrString(summary, "format");
  PyObject *lines = checked(raw.PyObject_Vectorcall(format, NULL, 0, NULL));
  PyObject *nothing = raw.PyUnicode_FromString(""), *joined = checked(raw.PyUnicode_Join(nothing, lines));
  char *copy = strdup(raw.PyUnicode_AsUTF8AndSize(joined, NULL));
  PyObject *used[] = {joined, nothing, lines, format, summary, from_exception, type, module};
  for (size_t i = 0; i < sizeof used / sizeof *used; i++) raw.Py_DecRef(used[i]);
  return copy;
}

static int64_t exception(slot *at, int64_t count) {
  int64_t check = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    if (call_with(at, F_fail, NULL) != NULL) raw_fail("the exception");
    PyObject *error = raw.PyErr_GetRaisedException();
    char *display = traceback_of(error);
    raw.Py_DecRef(error);
    leave(entry);
    if (count == 0) check = check_traceback(display);
    free(display);
  }
  return check;
}

static int64_t spin(slot *at, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    value = int_of(call_with(at, F_spin, NULL));
    leave(entry);
  }
  return value;
}

static int64_t asks(slot *at, int function, int64_t count) {
  raw_entry entry = enter(at);
  int64_t value = int_of(call_with(at, function, raw.PyLong_FromLongLong(count)));
  leave(entry);
  return value;
}

static int64_t host(slot *at, int64_t count) { return asks(at, F_ask, count); }

static int64_t host_with_gil(slot *at, int64_t count) { return asks(at, F_ask_with_gil, count); }

/* There are no requests and no time limits: work.py does not ask. */
static int64_t run_2(slot *at, int64_t count) { return call_2(at, count); }

static int64_t run_2_limit(slot *at, int64_t count) { return call_2(at, count); }

static void run_cancelled(slot *at, int function, int begun) {
  raw_entry entry = enter(at);
  at->runner = raw.PyThread_get_thread_ident();
  PyObject *result = call_with(at, function, raw.PyLong_FromLongLong(begun));
  if ((result == NULL) != (function == F_forever)) die("the cancel");
  char *display = NULL;
  PyObject *error = NULL;
  if (result == NULL) display = traceback_of(error = raw.PyErr_GetRaisedException());
  raw.Py_DecRef(result == NULL ? error : result);
  leave(entry);
  free(display);
}

/** No thread but the one that is cancelled evaluates anything in that interpreter. */
static int interrupted(void *unused) {
  (void)unused;
  raw.PyErr_SetNone(*raw.PyExc_KeyboardInterrupt);
  return -1;
}

static void cancel(slot *at) {
  if (!keeps) {
    if (raw._PyEval_AddPendingCall(at->interp.state, interrupted, NULL, 0) != 0) die("_PyEval_AddPendingCall");
    return;
  }
  raw_entry entry = enter(at);
  raw.PyThreadState_SetAsyncExc(at->runner, *raw.PyExc_KeyboardInterrupt);
  leave(entry);
}

#include "raw_data.h"
