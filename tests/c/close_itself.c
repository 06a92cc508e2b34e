/* What would wait for itself is refused: a finalizer, or an output function, that closes what it is of or shuts down; a
 * thread of Python's that closes its interpreter from within another one. */
#include "closing.h"
#include "values.h"

#include <stdatomic.h>

static subpy_error *error;

/* What is to be closed, once. */
static subpy_interp its;
static int finalized;
static atomic_int tried;
static size_t printed;

static void refused(subpy_status status) {
  CHECK(status == SUBPY_ERROR_BUSY || status == SUBPY_ERROR_NOT_FOUND || status == SUBPY_ERROR_WRONG_STATE ||
        status == SUBPY_ERROR_INTERPRETER);
}

static void try_to_end(void) {
  subpy_interp interp = its;
  its = 0;
  if (interp == 0) return;
  refused(subpy_close(interp, NULL));
  refused(close_in(interp, -1, SUBPY_CLOSE_DRAIN, NULL));
  refused(close_in(interp, -1, SUBPY_CLOSE_INTERRUPT, NULL));
  refused(subpy_shutdown(NULL));
  refused(shut_down_in(-1, SUBPY_CLOSE_DRAIN, NULL));
  refused(shut_down_in(-1, SUBPY_CLOSE_INTERRUPT, NULL));
  tried++;
}

static void finalize(void *unused) {
  (void)unused;
  finalized++;
  try_to_end();
}

static void prints(void *ends, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)interp, (void)stream, (void)text;
  printed += len;
  if (ends) try_to_end();
}

static void called(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

/* A thread of Python's has printed the beginning of a line, which is passed on by whoever sets another function. */
static subpy_interp half_a_line(void *ends, subpy_finalize_fn told) {
  subpy_interp interp = create();
  OK(subpy_set_output(interp, prints, ends, told, &error));
  run(interp, "import atexit, sys, threading\n"
              "atexit.register(print, 'bye')");
  signal_pipe go = signal_new(), done = signal_new();
  char code[200];
  snprintf(code, sizeof code, "import os\ndef half():\n  os.read(%d, 1)\n  sys.stdout.write('half')\n  os.write(%d, b'.')", go.in, done.out);
  run(interp, code);
  run(interp, "threading.Thread(target=half, daemon=False).start()");
  signal_send(go);
  signal_wait(done);
  finalized = tried = 0;
  printed = 0;
  its = interp;
  return interp;
}

static void when_output_is_replaced(void) {
  subpy_interp interp = half_a_line(NULL, finalize);
  OK(subpy_set_output(interp, prints, NULL, finalize, &error));
  CHECK(finalized == 1 && tried == 1 && printed == 4);
  OK(subpy_close(interp, &error));
  CHECK(finalized == 2 && printed == 8);

  interp = half_a_line(&its, NULL);
  OK(subpy_set_output(interp, prints, NULL, finalize, &error));
  CHECK(tried == 1 && printed == 4);
  OK(subpy_close(interp, &error));
  CHECK(finalized == 1 && printed == 8);
}

/* A run that nobody joins for fails: the library prints that. */
static void when_a_run_has_failed(void) {
  subpy_interp interp = create();
  OK(subpy_set_output(interp, prints, &its, NULL, &error));
  tried = 0;
  its = interp;
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = "1/0", .text_len = 3};
  OK(subpy_run_in_thread(&request, NULL, &error));
  while (!tried) usleep(1000);
  OK(close_in(interp, -1, SUBPY_CLOSE_DRAIN, &error));
  CHECK(tried == 1);
}

static subpy_interp outer, inner;

static void goes_on(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  CHECK(subpy_exec(inner, "ends()", SUBPY_AUTO_LEN, NULL) == SUBPY_OK);
}

static void ends_outer(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the interpreter: this thread is running something in it", subpy_close(outer, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, "...", close_in(outer, -1, SUBPY_CLOSE_DRAIN, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, "...", close_in(outer, -1, SUBPY_CLOSE_INTERRUPT, &error));
  tried = 1;
}

/* No run is in the outer one: its thread has nothing but Python code there. */
static void from_within_another(void) {
  outer = create();
  inner = create();
  OK(subpy_define(outer, "goes_on", SUBPY_AUTO_LEN, 0, goes_on, NULL, NULL, &error));
  OK(subpy_define(inner, "ends", SUBPY_AUTO_LEN, 0, ends_outer, NULL, NULL, &error));
  tried = 0;
  run(outer, "import threading\nthreading.Thread(target=goes_on, daemon=False).start()");
  while (!tried) usleep(1000);
  OK(subpy_close(outer, &error));
  OK(subpy_close(inner, &error));
}

/* The end of the interpreter, or of everything: a host function's and that of an output. */
static void at_the_end(subpy_status (*end)(subpy_interp interp), bool of_output) {
  subpy_interp interp = create();
  finalized = tried = 0;
  if (of_output) OK(subpy_set_output(interp, prints, NULL, finalize, &error));
  OK(subpy_define(interp, "f", 1, 0, called, NULL, of_output ? NULL : finalize, &error));
  run(interp, "import ctypes\nctypes.pythonapi.Py_IncRef(ctypes.py_object(f))");
  its = interp;
  CHECK(end(interp) == SUBPY_OK);
  CHECK(finalized == 1 && tried == 1);
}

/* Main has no end but that of everything. */
static void at_the_end_of_main(bool within_a_time) {
  finalized = tried = 0;
  OK(subpy_get_main(&its, &error));
  OK(subpy_set_output(its, prints, NULL, finalize, &error));
  if (within_a_time) OK(shut_down_in(-1, SUBPY_CLOSE_DRAIN, &error));
  else shut_down();
  CHECK(finalized == 1 && tried == 1);
}

static subpy_status closes(subpy_interp interp) { return subpy_close(interp, NULL); }
static subpy_status closes_in(subpy_interp interp) { return close_in(interp, -1, SUBPY_CLOSE_DRAIN, NULL); }
static subpy_status shuts_down(subpy_interp interp) { return (void)interp, subpy_shutdown(NULL); }
static subpy_status shuts_down_in(subpy_interp interp) { return (void)interp, shut_down_in(-1, SUBPY_CLOSE_DRAIN, NULL); }

int main(void) {
  when_output_is_replaced();
  when_a_run_has_failed();
  from_within_another();
  subpy_status (*const ends[])(subpy_interp) = {closes, closes_in, shuts_down, shuts_down_in};
  for (size_t i = 0; i < COUNT(ends); i++) {
    at_the_end(ends[i], false);
    at_the_end(ends[i], true);
  }
  at_the_end_of_main(false);
  at_the_end_of_main(true);
  return 0;
}
