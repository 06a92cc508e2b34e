/* Host functions that call back into interpreters in processes of their own, however deep, on whatever thread, and what
 * becomes of them when a process ends. */
#include <stdatomic.h>

#include "deaths.h"

static subpy_error *error;

/* ---- two interpreters that call each other, with the host in between ---- */

static subpy_interp pair[2];
static int depth;
static atomic_int finalized, deepest;
static int64_t inner_timeout_ms;
static uint64_t grace_ms = 10000;

static void is_finalized(void *userdata) {
  (void)userdata;
  finalized++;
}

/* down(n): step(n - 1) in the other interpreter, and one more than what that returns. At 0 it is bottom() instead. */
static void down(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)nargs, (void)kwargs;
  subpy_interp from = subpy_context_interp(ctx), to = pair[from == pair[0]];
  CHECK(from == pair[0] || from == pair[1]);
  subpy_value less = subpy_int(args[0].u.as_int - 1), result = {0};
  subpy_error *failed = NULL;
  bool at_bottom = args[0].u.as_int == 0;
  deepest++;
  subpy_run_request request = {.size = sizeof request, .interp = to, .what = SUBPY_RUN_CALL,
                               .text = at_bottom ? "bottom" : "step", .text_len = SUBPY_AUTO_LEN,
                               .args = &less, .nargs = at_bottom ? 0 : 1,
                               .timeout_ms = at_bottom ? inner_timeout_ms : 0};
  subpy_status status = subpy_run(&request, &result, &failed);
  if (status == SUBPY_OK) {
    subpy_value more = subpy_int(result.u.as_int + 1);
    /* When the process that has called has ended, nobody is there to take it. */
    (void)subpy_context_return(ctx, &more);
  } else {
    (void)subpy_context_raise(ctx, "builtins:OSError", SUBPY_AUTO_LEN, subpy_error_message(failed, NULL), SUBPY_AUTO_LEN);
  }
  subpy_error_free(failed);
  subpy_value_free(&result);
  deepest--;
}

static void make_pair(bool second_is_process) {
  /* Enough for a slow machine: only what cannot be interrupted is killed. */
  pair[0] = create_process_with(SUBPY_BUSY_REFUSE, 0, grace_ms);
  pair[1] = second_is_process ? create_process_with(SUBPY_BUSY_REFUSE, 0, grace_ms) : create();
  for (int i = 0; i < 2; i++) {
    OK(subpy_define(pair[i], "host:down", SUBPY_AUTO_LEN, 0, down, NULL, is_finalized, &error));
    run(pair[i], "import host, os, ctypes\nsleep = ctypes.PyDLL(None).sleep\ndef step(n): return host.down(n)\ndef bottom(): return 0");
  }
  finalized = 0;
}

static subpy_status step(int levels, int64_t timeout_ms, subpy_value *result) {
  subpy_value n = subpy_int(levels);
  subpy_run_request request = {.size = sizeof request, .interp = pair[0], .what = SUBPY_RUN_CALL, .text = "step",
                               .text_len = SUBPY_AUTO_LEN, .args = &n, .nargs = 1, .timeout_ms = timeout_ms};
  return subpy_run(&request, result, &error);
}

static void end_pair(void) {
  for (int i = 0; i < 2; i++) {
    subpy_status status = subpy_close(pair[i], &error);
    CHECK(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND);
    subpy_error_free(error);
    error = NULL;
  }
  CHECK(finalized == 2 && deepest == 0);
}

static void nested(bool second_is_process) {
  make_pair(second_is_process);
  subpy_value result = {0};
  for (int i = 0; i < 3; i++) {
    OK(step(depth, 0, &result));
    CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == depth + 1);
  }
  end_pair();
}

/* The outermost run has the limit, and the code that does not end is so deep. */
static void limit_at(bool second_is_process, int levels) {
  make_pair(second_is_process);
  for (int i = 0; i < 2; i++) run(pair[i], "def bottom():\n  while True: pass");
  subpy_value result = {0};
  CHECK_STATUS(SUBPY_ERROR_TIMEOUT, step(levels, 150, &result));
  subpy_error_free(error);
  error = NULL;
  /* All are as they were. */
  for (int i = 0; i < 2; i++) run(pair[i], "def bottom(): return 0");
  OK(step(levels, 0, &result));
  CHECK(result.u.as_int == levels + 1);
  end_pair();
}

/* The innermost one has a limit, and its error comes out as an exception. */
static void inner_limit(bool second_is_process) {
  make_pair(second_is_process);
  for (int i = 0; i < 2; i++) run(pair[i], "def bottom():\n  while True: pass");
  subpy_value result = {0};
  inner_timeout_ms = 30;
  CHECK_STATUS(SUBPY_ERROR_EXECUTION_FAILED, step(4, 0, &result));
  CHECK(strstr(subpy_error_message(error, NULL), "timed out after 30 ms"));
  subpy_error_free(error);
  error = NULL;
  inner_timeout_ms = 0;
  end_pair();
}

/* What is innermost cannot be interrupted, and its process is killed: the outermost run, whose time is up, is told so. */
static void kill_at(bool second_is_process, int levels) {
  grace_ms = 50;
  make_pair(second_is_process);
  int dies = (levels + 1) % 2;
  CHECK(dies == 0 || second_is_process);
  run(pair[dies], "def bottom(): sleep(1000)");
  subpy_value result = {0};
  CHECK_STATUS(SUBPY_ERROR_TIMEOUT, step(levels, 150, &result));
  subpy_error_free(error);
  error = NULL;
  CHECK(subpy_exec(pair[dies], "pass", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(deepest == 0);
  end_pair();
  grace_ms = 10000;
}

/* What is innermost ends its process: all who wait for it hear it. */
static void crash_at(bool second_is_process, int levels) {
  make_pair(second_is_process);
  int dies = (levels + 1) % 2;
  if (dies == 1 && !second_is_process) dies = 0, levels++;
  run(pair[dies], "def bottom(): os.abort()");
  subpy_value result = {0};
  subpy_status status = step(levels, 0, &result);
  CHECK(status == (dies == 0 ? SUBPY_ERROR_CRASHED : SUBPY_ERROR_EXECUTION_FAILED));
  subpy_error_free(error);
  error = NULL;
  CHECK(subpy_exec(pair[dies], "pass", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_NOT_FOUND);
  run(pair[!dies], "x = 1");
  CHECK(deepest == 0);
  end_pair();
}

/* ---- threads of Python's; more of them in host_threads.c ---- */

static atomic_long ticks;

static void tick(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  ticks++;
}

/* They call while the interpreter is closed, or its process is killed. */
static void threads_while_it_ends(void) {
  for (int i = 0; i < 12; i++) {
    subpy_interp interp = create_process();
    finalized = 0;
    OK(subpy_define(interp, "tick", SUBPY_AUTO_LEN, 0, tick, NULL, is_finalized, &error));
    run(interp, "import threading, os\n"
                "def work():\n  while True: tick()\n"
                "for _ in range(4): threading.Thread(target=work, daemon=True).start()");
    long before = ticks;
    while (ticks < before + 20) usleep(100);
    if (i % 3 == 0) {
      OK(subpy_close(interp, &error));
    } else if (i % 3 == 1) {
      subpy_close_options options = {.size = sizeof options, .timeout_ms = 100, .flags = SUBPY_CLOSE_INTERRUPT};
      OK(subpy_close_with(interp, &options, &error));
    } else {
      CHECK_STATUS(SUBPY_ERROR_CRASHED, subpy_exec(interp, "os.abort()", SUBPY_AUTO_LEN, &error));
      subpy_error_free(error);
      error = NULL;
    }
    /* The last call may be running. */
    for (int wait = 0; wait < 5000 && finalized == 0; wait++) usleep(1000);
    CHECK(finalized == 1);
  }
}

/* ---- output that comes to a function which runs code ---- */

static atomic_int printed;

static void prints(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)userdata, (void)stream;
  if (len == 0 || text[0] != 'a') return;
  printed++;
  subpy_error *failed = NULL;
  subpy_value result = {0};
  CHECK(subpy_eval(interp, "seen()", SUBPY_AUTO_LEN, &result, &failed) == SUBPY_OK);
  CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == printed);
}

static void output_runs_code(void) {
  subpy_interp interp = create_process();
  OK(subpy_set_output(interp, prints, NULL, is_finalized, &error));
  finalized = 0;
  run(interp, "count = 0\n"
              "def seen():\n  global count\n  count += 1\n  print('b', flush=True)\n  return count\n"
              "for _ in range(50): print('a', flush=True)");
  CHECK(printed == 50 && number(interp, "count") == 50);
  OK(subpy_close(interp, &error));
  CHECK(finalized == 1);
}

/* ---- sessions ---- */

static void *ends_in_a_session(void *interp) {
  subpy_error *error = NULL;
  OK(subpy_enter((subpy_interp)(uintptr_t)interp, &error));
  CHECK(subpy_exec((subpy_interp)(uintptr_t)interp, "import os; os.abort()", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_CRASHED);
  return NULL;
}

static void sessions(void) {
  for (int killed = 0; killed < 2; killed++) {
    subpy_interp interp = create_process();
    OK(subpy_enter(interp, &error));
    OK(subpy_enter(interp, &error));
    run(interp, "import threading, os\nlocal = threading.local()\nlocal.x = 5");
    CHECK(number(interp, "local.x") == 5);
    if (killed) CHECK(kill((pid_t)number(interp, "os.getpid()"), SIGKILL) == 0);
    CHECK_STATUS(SUBPY_ERROR_CRASHED, subpy_exec(interp, "os._exit(3)", SUBPY_AUTO_LEN, &error));
    subpy_error_free(error);
    error = NULL;
    CHECK(subpy_exec(interp, "pass", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_NOT_FOUND);
    OK(subpy_leave(interp, &error));
    OK(subpy_leave(interp, &error));
    CHECK(subpy_leave(interp, NULL) == SUBPY_ERROR_WRONG_STATE);
  }
  pthread_t thread;
  subpy_interp interp = create_process();
  CHECK(pthread_create(&thread, NULL, ends_in_a_session, (void *)(uintptr_t)interp) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  /* Killed while the thread that has entered does nothing. */
  interp = create_process();
  OK(subpy_enter(interp, &error));
  CHECK(kill((pid_t)number(interp, "__import__('os').getpid()"), SIGKILL) == 0);
  OK(subpy_leave(interp, &error));
  CHECK(subpy_exec(interp, "pass", SUBPY_AUTO_LEN, NULL) != SUBPY_OK);
}

/* ---- a thread of Python's, while there is something to be given back ---- */

static subpy_function given_up;

static void gives_up(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  subpy_function_free(given_up);
  given_up = 0;
}

/* Nothing is asked of the process between the free and the thread's first call: its channel is for calls of the host's. */
static void given_back_beside_a_thread(void) {
  subpy_interp interp = create_process();
  OK(subpy_define(interp, "gives_up", SUBPY_AUTO_LEN, 0, gives_up, NULL, NULL, &error));
  OK(subpy_function_new(interp, "builtins:len", SUBPY_AUTO_LEN, &given_up, &error));
  run(interp, "import threading\n"
              "thread = threading.Thread(target=gives_up)\n"
              "gives_up()\n"
              "thread.start()\n"
              "thread.join()");
  CHECK(number(interp, "6 * 7") == 42);
  OK(subpy_close(interp, &error));
}

int main(int argc, char **argv) {
  mark_processes(argv, 200);
  const char *only = argc > 1 ? argv[1] : "";
  depth = 50;
  for (int both = 0; both < 2; both++) {
    if (!*only || strcmp(only, "nested") == 0) nested(both);
    for (int levels = 0; levels < 8 && (!*only || strcmp(only, "limit") == 0); levels++) limit_at(both, levels);
    if (!*only || strcmp(only, "inner") == 0) inner_limit(both);
    for (int levels = 1; levels < 6 && (!*only || strcmp(only, "kill") == 0); levels += 2 - both) kill_at(both, levels);
    for (int levels = 9; levels < 12 && (!*only || strcmp(only, "crash") == 0); levels++) crash_at(both, levels);
  }
  if (!*only || strcmp(only, "ends") == 0) threads_while_it_ends();
  if (!*only || strcmp(only, "output") == 0) output_runs_code();
  if (!*only || strcmp(only, "sessions") == 0) sessions();
  if (!*only || strcmp(only, "back") == 0) given_back_beside_a_thread();
  shut_down();
  until_processes(0);
  return 0;
}
