/* Python code that calls back into the library: more runs on a thread that is inside, and what is refused there. */
#include "guest.h"

static subpy_interp outer, inner;
static const char *type = "CFUNCTYPE";
static int depth, called;

static void check_current(subpy_interp expected) {
  subpy_error *error = NULL;
  subpy_interp current = 0;
  OK(subpy_get_current(&current, &error));
  CHECK(current == expected);
}

/* ---- more runs in the interpreter that the thread is in ---- */

static void more_of_the_same(void) {
  subpy_error *error = NULL;
  check_current(outer);
  run(outer, "x += 1");
  CHECK(number(outer, "x") == 2);
  subpy_value value = {0}, argument = subpy_int(-5);
  OK(subpy_call(outer, "builtins:abs", SUBPY_AUTO_LEN, &argument, 1, NULL, &value, &error));
  CHECK(value.u.as_int == 5);
  subpy_pair pair = {subpy_str("bound", SUBPY_AUTO_LEN), subpy_int(3)};
  subpy_value names = subpy_dict(&pair, 1);
  OK(subpy_prepare_main(outer, &names, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: inside",
        subpy_exec(outer, "raise ValueError('inside')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_SYNTAX, "...SyntaxError: ", subpy_exec(outer, "= =", SUBPY_AUTO_LEN, &error));
  bool running = false;
  OK(subpy_is_running(outer, &running, &error));
  CHECK(running);
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the current interpreter", subpy_close(outer, &error));
  FAILS(SUBPY_ERROR_BUSY, "cannot shut down from inside an interpreter", subpy_shutdown(&error));

  /* Another thread is not inside, though this one is. */
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(outer, "builtins:abs", SUBPY_AUTO_LEN, &argument, 1, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running", subpy_thread_join(thread, NULL, &error));
  check_current(outer);
  called++;
}

static void deeper(void) {
  if (++depth < 20) call_from_python(outer, type, deeper);
  depth--;
  check_current(outer);
  called++;
}

static void same_interpreter(void) {
  subpy_error *error = NULL;
  for (int32_t busy = SUBPY_BUSY_REFUSE; busy <= SUBPY_BUSY_WAIT; busy++) {
    subpy_interp_options options = {.size = sizeof options, .busy = busy};
    OK(subpy_create(&options, &outer, &error));
    run(outer, "x = 1");
    called = 0;
    if (busy == SUBPY_BUSY_REFUSE) {
      call_from_python(outer, type, more_of_the_same);
      CHECK(called == 1 && number(outer, "x") == 2 && number(outer, "bound") == 3);
    }
    called = 0;
    call_from_python(outer, type, deeper);
    CHECK(called == 20);
    bool running = true;
    OK(subpy_is_running(outer, &running, &error));
    CHECK(!running);
    FAILS(SUBPY_ERROR_NOT_FOUND, "this thread is in no interpreter", subpy_get_current(NULL, &error));
    OK(subpy_close(outer, &error));
  }
}

/* ---- runs in another interpreter, and back ---- */

static void back_in_outer(void) {
  subpy_error *error = NULL;
  check_current(outer);
  run(outer, "x += 10");
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(inner, &error));
  called++;
}

static void in_inner(void) {
  subpy_error *error = NULL;
  check_current(inner);
  run(inner, "y = 5");
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(outer, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the current interpreter", subpy_close(inner, &error));
  call_from_python(outer, type, back_in_outer);
  check_current(inner);
  called++;
}

static void from_outer(void) {
  subpy_error *error = NULL;
  inner = create();
  check_current(outer);
  call_from_python(inner, type, in_inner);
  CHECK(number(inner, "y") == 5);
  check_current(outer);
  OK(subpy_close(inner, &error));
  check_current(outer);
  subpy_interp all[8], found = 0;
  size_t count = 0;
  OK(subpy_list_all(all, 8, &count, &error));
  CHECK(count == 2 && all[1] == outer);
  OK(subpy_get_main(&found, &error));
  run(found, "x = 1");
  check_current(outer);
  OK(subpy_init(NULL, &error));
  called++;
}

static void another_interpreter(void) {
  subpy_error *error = NULL;
  outer = create();
  run(outer, "x = 1\nimport threading\nlocal = threading.local()\nlocal.x = 'kept'");
  called = 0;
  call_from_python(outer, type, from_outer);
  CHECK(called == 3 && number(outer, "x") == 11);
  OK(subpy_close(outer, &error));
}

/* ---- an exception on its way, threading.local, PyGILState ---- */

static void run_quietly(void) { run(outer, "try: 1 / 0\nexcept ZeroDivisionError: pass"); }

static void state_of_the_outer_run(void) {
  subpy_error *error = NULL;
  outer = create();
  char code[700];
  snprintf(code, sizeof code,
           "import ctypes, sys, threading, decimal\n"
           "back = ctypes.%s(None)(%" PRIuPTR ")\n"
           "local = threading.local()\n"
           "local.x = 1\n"
           "decimal.getcontext().prec = 7\n"
           "def f():\n"
           "  try: raise KeyError('mine')\n"
           "  except KeyError as e:\n"
           "    back()\n"
           "    assert sys.exception() is e\n"
           "    assert local.x == 1 and decimal.getcontext().prec == 7\n"
           "  g = (back() for _ in range(3))\n"
           "  assert list(g) == [None] * 3\n"
           "  assert sorted([3, 1, 2], key=lambda it: back() or it) == [1, 2, 3]\n"
           "f()",
           type, (uintptr_t)run_quietly);
  run(outer, code);
  OK(subpy_close(outer, &error));
}

/* ---- waiting in a host function, with or without the GIL ---- */

static void join_from_inside(void) {
  subpy_error *error = NULL;
  subpy_thread thread = 0;
  subpy_value argument = subpy_int(-5), value = {0};
  OK(subpy_call_in_thread(outer, "builtins:abs", SUBPY_AUTO_LEN, &argument, 1, NULL, &thread, &error));
  OK(subpy_thread_join(thread, &value, &error));
  CHECK(value.u.as_int == 5);
  called++;
}

static void waiting_lets_the_gil_go(void) {
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  OK(subpy_create(&options, &outer, &error));
  called = 0;
  call_from_python(outer, type, join_from_inside);
  CHECK(called == 1);
  OK(subpy_close(outer, &error));
}

/* ---- a thread that Python code started is inside its interpreter, too ---- */

static signal_pipe done;

static void in_pythons_thread(void) {
  subpy_error *error = NULL;
  check_current(outer);
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the current interpreter", subpy_close(outer, &error));
  /* It would wait for this thread without end. */
  FAILS(SUBPY_ERROR_BUSY, "cannot shut down from inside an interpreter", subpy_shutdown(&error));
  subpy_interp other = create();
  run(other, "x = 1");
  OK(subpy_close(other, &error));
  check_current(outer);
  signal_send(done);
}

static void from_a_thread_of_python(void) {
  subpy_error *error = NULL;
  outer = create();
  signal_pipe end = signal_new();
  done = signal_new();
  char code[300];
  snprintf(code, sizeof code,
           "import ctypes, os, threading\n"
           "function = ctypes.%s(None)(%" PRIuPTR ")\n"
           "def main():\n"
           "  os.read(%d, 1)\n"
           "  function()\n"
           "thread = threading.Thread(target=main)\n"
           "thread.start()",
           type, (uintptr_t)in_pythons_thread, end.in);
  run(outer, code);
  signal_send(end); /* no run is active when it calls */
  signal_wait(done);
  OK(subpy_close(outer, &error));
}

int main(void) {
  /* ctypes releases the GIL for the one, and keeps it for the other. */
  const char *types[] = {"CFUNCTYPE", "PYFUNCTYPE"};
  for (int index = 0; index < 2; index++) {
    type = types[index];
    same_interpreter();
    another_interpreter();
    state_of_the_outer_run();
    waiting_lets_the_gil_go();
    from_a_thread_of_python();
  }
  shut_down();
  return 0;
}
