/* subpy_function_call_many beside other threads: the GIL is given away as in Python's loop, and nobody is in the way. */
#include "many.h"
#include "race.h"

/* ---- the GIL, exceptions from elsewhere ---- */

/* What a thread of the interpreter's counts meanwhile is seen from row to row. */
static void others_run(const char *name, const char *setup) {
  subpy_interp interp = create();
  run(interp, "import sys, threading\n"
              "sys.setswitchinterval(1e-5)\n"
              "box, end = [0], threading.Event()\n"
              "def count():\n"
              "  while not end.is_set(): box[0] += 1\n"
              "thread = threading.Thread(target=count)\n"
              "thread.start()");
  run(interp, setup);
  subpy_function function = function_in(interp, name);
  enum { ROWS = 1000000 };
  subpy_value *rows = calloc(ROWS, sizeof *rows);
  CHECK(rows);
  for (int i = 0; i < ROWS; i++) rows[i] = subpy_int(0);
  subpy_value list = many(function, rows, ROWS, 1, 0);
  CHECK(list.u.as_items[ROWS - 1].u.as_int > list.u.as_items[0].u.as_int);
  subpy_value_free(&list);
  run(interp, "end.set(); thread.join()");
  free(rows);
  OK(subpy_close(interp, &error));
}

/* An exception that another thread sends ends it, as it ends a loop in Python. */
static void interrupted(const char *name, uint32_t flags) {
  subpy_interp interp = 0;
  OK(subpy_get_main(&interp, &error));
  run(interp, "import ctypes, math, sys, threading, time\n"
              "def forever(number): return number\n"
              "class Forever:\n"
              "  def method(self, number): return number\n"
              "method = Forever().method\n"
              "def generator(number): yield number\n"
              "started = threading.Semaphore(0)\n"
              "def start(): started.release(); return threading.get_ident()\n"
              "def interrupt():\n"
              "  started.acquire()\n"
              "  send = ctypes.pythonapi.PyThreadState_SetAsyncExc\n"
              "  while not send(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt)): time.sleep(0.001)\n"
              "ident = threading.get_ident()\n"
              "def prepare():\n"
              "  global ident, thread\n"
              "  ident = threading.get_ident()\n"
              "  thread = threading.Thread(target=interrupt, daemon=False)\n"
              "  thread.start()");
  subpy_function function = function_in(interp, name);
  /* In a session, so that the exception, which is sent to a thread state, finds the one that it was sent to. */
  OK(subpy_enter(interp, &error));
  run(interp, "prepare()");
  run(interp, "started.release()");
  enum { ROWS = 1000 };
  static subpy_value rows[ROWS];
  for (int i = 0; i < ROWS; i++) rows[i] = subpy_float(2);
  subpy_status status = SUBPY_OK;
  while (status == SUBPY_OK) {
    subpy_value list = {0};
    status = subpy_function_call_many(function, rows, ROWS, 1, flags, flags ? &list : NULL, &error);
    subpy_value_free(&list);
  }
  CHECK(status == SUBPY_ERROR_EXECUTION_FAILED && strcmp(subpy_error_type_name(error, NULL), "KeyboardInterrupt") == 0);
  CHECK(subpy_error_row(error, NULL));
  subpy_error_free(error);
  error = NULL;
  run(interp, "thread.join()");
  OK(subpy_leave(interp, &error));
  subpy_function_free(function);
}

/* ---- from inside ---- */

static subpy_interp outer;
static subpy_function nested_function;
static int nested;

static void more_of_it(void) {
  subpy_value rows[] = {subpy_int(1), subpy_int(2)};
  subpy_value list = many(nested_function, rows, 2, 1, SUBPY_RETURN_ERRORS);
  CHECK(list.u.as_items[0].u.as_int == 10 && list.u.as_items[1].kind == SUBPY_KIND_ERROR);
  subpy_value_free(&list);
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the current interpreter", subpy_close(outer, &error));
  /* Freed while it is called: that goes on. */
  if (++nested == 2) subpy_function_free(nested_function);
}

static void from_inside(void) {
  outer = create();
  give_function(outer, "inner", "CFUNCTYPE", more_of_it);
  run(outer, "depth = 0\n"
             "def f(n):\n"
             "  global depth\n"
             "  if depth == 0:\n"
             "    depth += 1; inner(); depth -= 1\n"
             "  return 10 // (2 - n)");
  nested_function = function_in(outer, "f");
  subpy_value rows[] = {subpy_int(1), subpy_int(0), subpy_int(3)};
  subpy_value list = {0};
  rows[1] = subpy_int(12);
  OK(subpy_function_call_many(nested_function, rows, 2, 1, 0, &list, &error));
  CHECK(list.u.as_items[0].u.as_int == 10 && list.u.as_items[1].u.as_int == -1 && nested == 2);
  subpy_value_free(&list);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...it was freed", subpy_function_call_many(nested_function, rows, 1, 1, 0, &list, &error));
  OK(subpy_close(outer, &error));
}

/* ---- other threads ---- */

static _Atomic subpy_interp shared;
static _Atomic subpy_function shared_function;
static counter calls, refusals, gone;

static void *calls_many(void *number) {
  subpy_value rows[60];
  for (int i = 0; i < 60; i++) rows[i] = subpy_int(i);
  while (!race_over) {
    subpy_error *error = NULL;
    subpy_value list = {0};
    subpy_status status =
        subpy_function_call_many(shared_function, rows, 30, 2, (intptr_t)number % 2 ? SUBPY_RETURN_ERRORS : 0, &list, &error);
    for (size_t i = 0; status == SUBPY_OK && i < 30; i++) {
      bool failed = i % 10 == 3 && (intptr_t)number % 2;
      CHECK(list.u.as_items[i].kind == (failed ? SUBPY_KIND_ERROR : SUBPY_KIND_STR));
      if (failed) CHECK(row_is(list.u.as_items[i].u.as_error, i));
    }
    if (status == SUBPY_ERROR_EXECUTION_FAILED) CHECK((intptr_t)number % 2 == 0 && row_is(error, 3));
    (status == SUBPY_ERROR_BUSY ? &refusals : status == SUBPY_ERROR_NOT_FOUND ? &gone : &calls)[0]++;
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_EXECUTION_FAILED, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
    subpy_value_free(&list);
    usleep(100);
  }
  return NULL;
}

static int32_t policy;

static void make_shared(void) {
  subpy_interp_options options = {.size = sizeof options, .busy = policy};
  subpy_interp made = 0;
  OK(subpy_create(&options, &made, &error));
  run(made, "def f(a, b):\n"
            "  if a % 20 == 6: raise ValueError(a)\n"
            "  return str(a + b)");
  shared = made;
  shared_function = function_in(made, "f");
}

/* Frees the function, or closes its interpreter, whatever others do with it. */
static void *renews(void *unused) {
  (void)unused;
  for (int round = 0; !race_over; round++) {
    usleep(2000);
    if (round % 3 == 0) {
      subpy_function before = shared_function, again = 0;
      subpy_error *error = NULL;
      subpy_status status = subpy_function_new(shared, "f", SUBPY_AUTO_LEN, &again, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
      if (status != SUBPY_OK) continue;
      shared_function = again;
      subpy_function_free(before);
    } else if (subpy_close(shared, NULL) == SUBPY_OK) {
      subpy_function before = shared_function;
      make_shared();
      subpy_function_free(before);
    }
  }
  return NULL;
}

static void raced(void) {
  static const int32_t policies[] = {SUBPY_BUSY_SHARE, SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT};
  for (int i = 0; i < 3; i++) {
    policy = policies[i];
    make_shared();
    calls = refusals = gone = 0;
    race(1, (void *(*const[])(void *)){calls_many, calls_many, calls_many, renews}, 4);
    printf("policy %d: %ld calls, %ld refused, %ld after the end\n", (int)policy, calls, refusals, gone);
    CHECK(calls > 0);
  }
}

/* While a row runs, the interpreter is busy as in any run. */
static void busy(void) {
  subpy_interp interp = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  subpy_function function = 0;
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running", subpy_function_new(interp, "block", SUBPY_AUTO_LEN, &function, &error));
  end_block(thread, end);
  function = function_in(interp, "block");
  thread = block_in_thread(interp, begun);
  subpy_value list = {0};
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running",
        subpy_function_call_many(function, NULL, 2, 0, SUBPY_RETURN_ERRORS, &list, &error));
  end_block(thread, end);
  OK(subpy_close(interp, &error));
}

int main(void) {
  static const char *const forms[][2] = {
      {"box.__getitem__", ""},
      {"look", "def look(index): return box[index]"},
      {"partial", "import functools\npartial = functools.partial(box.__getitem__)"},
      {"looker.look", "class Looker:\n  def look(self, index): return box[index]\nlooker = Looker()"},
  };
  for (size_t i = 0; i < COUNT(forms); i++) others_run(forms[i][0], forms[i][1]);
  static const char *const endless[] = {"math:sqrt", "forever", "method", "builtins:float"};
  for (size_t i = 0; i < COUNT(endless); i++) {
    interrupted(endless[i], 0);
    interrupted(endless[i], SUBPY_RETURN_ERRORS);
  }
  interrupted("generator", 0);
  from_inside();
  busy();
  raced();
  shut_down();
  return 0;
}
