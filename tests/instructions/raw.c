/* What calls.c does that the plain C API can do as well, with the recipe of benches/raw.h: how many instructions that
 * takes, all in all. Arguments: a libpython, and its executable. */
#include <unistd.h>
#include <valgrind/callgrind.h>

#include "../../benches/raw.h"

static raw_interp interp;
static PyObject *add;
static PyThreadState *kept;

static PyObject *checked(PyObject *object) {
  if (object != NULL) return object;
  raw.PyErr_Print();
  raw_fail("Python code");
  return NULL;
}

static void run(const char *source) {
  raw_entry entry = raw_enter(&interp);
  PyObject *code = checked(raw.Py_CompileString(source, "<script>", FILE_INPUT));
  raw.Py_DecRef(checked(raw.PyEval_EvalCode(code, interp.main_dict, interp.main_dict)));
  raw.Py_DecRef(code);
  raw_leave(entry);
}

static void call_with(PyObject *callable, PyObject *const *args, size_t nargs) {
  raw.Py_IncRef(callable);
  raw.Py_DecRef(checked(raw.PyObject_Vectorcall(callable, args, nargs, NULL)));
  raw.Py_DecRef(callable);
}

static void add_numbers(PyObject *callable) {
  PyObject *args[] = {raw.PyLong_FromLongLong(1), raw.PyLong_FromLongLong(2000)};
  raw.Py_IncRef(callable);
  PyObject *sum = checked(raw.PyObject_Vectorcall(callable, args, 2, NULL));
  if (raw.PyLong_AsLongLong(sum) != 2001) raw_fail("add");
  PyObject *used[] = {sum, args[1], args[0], callable};
  for (size_t i = 0; i < sizeof used / sizeof *used; i++) raw.Py_DecRef(used[i]);
}

static void call_0(void) {
  raw_entry entry = raw_enter(&interp);
  call_with(raw.PyDict_GetItemString(interp.main_dict, "nothing"), NULL, 0);
  raw_leave(entry);
}

static void call_2(void) {
  raw_entry entry = raw_enter(&interp);
  add_numbers(raw.PyDict_GetItemString(interp.main_dict, "add"));
  raw_leave(entry);
}

static void call_kept(void) {
  PyThreadState *previous = raw.PyThreadState_Swap(kept);
  add_numbers(add);
  raw.PyThreadState_Swap(previous);
}

static void exec(void) { run("x = 1"); }

static int64_t sum(const void *userdata, int64_t a, int64_t b) { return a + b + *(const int64_t *)userdata; }

static void define(const char *name, bool with_gil) {
  static int64_t data;
  static raw_host host = {sum, &data};
  raw_entry entry = raw_enter(&interp);
  raw_define(&interp, name, with_gil, &host);
  raw_leave(entry);
}

static void call_host(const char *loop) {
  raw_entry entry = raw_enter(&interp);
  call_with(raw.PyDict_GetItemString(interp.main_dict, loop), NULL, 0);
  raw_leave(entry);
}

static void host_released(void) { call_host("loop_released"); }
static void host_kept(void) { call_host("loop_kept"); }

static void count(const char *name, void (*act)(void)) {
  for (int n = 0; n < 100; n++) act();
  CALLGRIND_ZERO_STATS;
  for (int n = 0; n < 200; n++) act();
  CALLGRIND_DUMP_STATS_AT(name);
}

int main(int argc, char **argv) {
  if (argc != 3) raw_fail("the command line");
  raw_start(argv[1], argv[2]);
  interp = raw_create(true);
  run("def nothing(): pass\ndef add(a, b): return a + b");
  count("call()", call_0);
  count("call(int, int)", call_2);
  count("exec x = 1", exec);
  define("released", false);
  define("kept", true);
  run("def loop_released():\n  for _ in range(100): released(1000, 2000)\n"
      "def loop_kept():\n  for _ in range(100): kept(1000, 2000)");
  count("host function(int, int), 100 times", host_released);
  count("host function(int, int) with the GIL, 100 times", host_kept);
  kept = raw_thread_state(&interp);
  PyThreadState *previous = raw.PyThreadState_Swap(kept);
  add = checked(raw.PyDict_GetItemString(interp.main_dict, "add"));
  raw.Py_IncRef(add);
  raw.PyThreadState_Swap(previous);
  count("function(int, int) in a session", call_kept);
  _exit(0);
}
