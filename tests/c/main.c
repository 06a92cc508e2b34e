/* The main interpreter: it can be run in, never closed. */
#include "guest.h"

static subpy_interp main_one;

static void check_current(void) {
  subpy_error *error = NULL;
  subpy_interp current = 0;
  OK(subpy_get_current(&current, &error));
  CHECK(current == main_one);
  run(main_one, "x += 1");
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the main interpreter, subpy_shutdown() ends it",
        subpy_close(main_one, &error));
  FAILS(SUBPY_ERROR_BUSY, "cannot shut down from inside an interpreter", subpy_shutdown(&error));
  subpy_interp other = create();
  run(other, "x = 1");
  OK(subpy_get_current(&current, &error));
  CHECK(current == main_one);
  OK(subpy_close(other, &error));
}

static void runs(void) {
  subpy_error *error = NULL;
  subpy_value value = {0}, argument = subpy_int(-4);
  run(main_one, "x = 1\nimport sys, threading");
  CHECK(number(main_one, "x") == 1);
  CHECK_EVAL(main_one, "__name__", "__main__");
  OK(subpy_call(main_one, "builtins:abs", SUBPY_AUTO_LEN, &argument, 1, NULL, &value, &error));
  CHECK(value.u.as_int == 4);
  subpy_pair pair = {subpy_str("bound", SUBPY_AUTO_LEN), subpy_int(9)};
  subpy_value names = subpy_dict(&pair, 1);
  OK(subpy_prepare_main(main_one, &names, &error));
  CHECK(number(main_one, "bound") == 9);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "SystemExit: 3", subpy_exec(main_one, "sys.exit(3)", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "KeyboardInterrupt: ",
        subpy_exec(main_one, "raise KeyboardInterrupt", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "MemoryError: ",
        subpy_exec(main_one, "raise MemoryError", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: invalid syntax (<script>, line 1)",
        subpy_exec(main_one, "= =", SUBPY_AUTO_LEN, &error));
  /* Names are its own. */
  subpy_interp other = create();
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "NameError: name 'bound' is not defined",
        subpy_exec(other, "bound", SUBPY_AUTO_LEN, &error));
  OK(subpy_close(other, &error));
  call_from_python(main_one, "CFUNCTYPE", check_current);
  call_from_python(main_one, "PYFUNCTYPE", check_current);
  CHECK(number(main_one, "x") == 3);
}

static void busy(void) {
  subpy_error *error = NULL;
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(main_one, begun, end);
  subpy_thread thread = block_in_thread(main_one, begun);
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running", subpy_exec(main_one, "", 0, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the main interpreter, subpy_shutdown() ends it",
        subpy_close(main_one, &error));
  FAILS(SUBPY_ERROR_BUSY, "...is running block", subpy_shutdown(&error));
  /* Others are created and run meanwhile: a run that waits gives the GIL away. */
  subpy_interp other = create();
  run(other, "import _datetime");
  OK(subpy_close(other, &error));
  end_block(thread, end);
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the main interpreter, subpy_shutdown() ends it",
        subpy_close(main_one, &error));
  run(main_one, "x = 1");
}

static signal_pipe done;

static void shut_down_from_a_thread(void) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_BUSY, "cannot shut down from inside an interpreter", subpy_shutdown(&error));
  signal_send(done);
}

/* It would wait for itself: main's threads are waited for at the end, too. */
static void threads_of_main(void) {
  done = signal_new();
  char code[200];
  snprintf(code, sizeof code,
           "import ctypes, threading\n"
           "threading.Thread(target=ctypes.CFUNCTYPE(None)(%" PRIuPTR ")).start()",
           (uintptr_t)shut_down_from_a_thread);
  run(main_one, code);
  signal_wait(done);
}

static void print_at_the_end(void) {
  subpy_error *error = NULL;
  OK(subpy_get_main(&main_one, &error));
  run(main_one, "import atexit, threading, time\n"
                "def late():\n"
                "  time.sleep(0.01)\n"
                "  print('thread')\n"
                /* Python takes the host's thread for a daemon, which its threads would be, too. */
                "threading.Thread(target=late, daemon=False).start()\n"
                "@atexit.register\n"
                "def handler(): print('atexit')");
  shut_down();
}

int main(void) {
  subpy_error *error = NULL;
  OK(subpy_get_main(&main_one, &error));
  runs();
  busy();
  threads_of_main();
  shut_down();
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 0", subpy_exec(main_one, "", 0, &error));

  char *text = capture(1, print_at_the_end);
  CHECK(strcmp(text, "thread\natexit\n") == 0);
  free(text);
  return 0;
}
