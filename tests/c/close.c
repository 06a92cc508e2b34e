/* close(): what it waits for, what it runs, what others get meanwhile. */
#include "guest.h"

static void idle(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  int64_t id = 0;
  OK(subpy_id(interp, &id, &error));
  OK(subpy_close(interp, &error));
  char message[64];
  snprintf(message, sizeof message, "unrecognized interpreter ID %" PRId64, id);
  subpy_value value = subpy_int(1);
  subpy_pair pair = {subpy_str("x", 1), subpy_int(1)};
  subpy_value names = subpy_dict(&pair, 1);
  const char *whence = "unset";
  int64_t no_id = 1;
  subpy_interp found = 1;
  subpy_thread thread = 1;
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_exec(interp, "", 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_eval(interp, "1", 1, &value, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_call(interp, "f", 1, NULL, 0, NULL, &value, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_prepare_main(interp, &names, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_id(interp, &no_id, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_whence(interp, &whence, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_find(id, &found, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_call_in_thread(interp, "f", 1, NULL, 0, NULL, &thread, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && no_id == 0 && !whence && found == 0 && thread == 0);
}

/* ---- atexit ---- */

static subpy_interp ending;
static int asked;

static void at_exit(void) {
  subpy_error *error = NULL;
  subpy_interp current = 0, other = 0;
  OK(subpy_get_current(&current, &error));
  CHECK(current == ending);
  FAILS(SUBPY_ERROR_BUSY, "interpreter is closing", subpy_exec(ending, "", 0, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the current interpreter", subpy_close(ending, &error));
  FAILS(SUBPY_ERROR_BUSY, "...", subpy_shutdown(&error));
  const char *whence = NULL;
  OK(subpy_whence(ending, &whence, &error));
  CHECK(strcmp(whence, in_processes() ? "process" : "C-API") == 0);
  /* The others work as ever. */
  OK(subpy_create(NULL, &other, &error));
  run(other, "x = 1");
  OK(subpy_close(other, &error));
  asked++;
}

static void close_printing(void) {
  subpy_error *error = NULL;
  OK(subpy_close(ending, &error));
}

static void runs_atexit_handlers(void) {
  ending = create();
  give_function(ending, "at_exit", "CFUNCTYPE", at_exit);
  run(ending, "import atexit\natexit.register(at_exit)");
  subpy_error *error = NULL;
  OK(subpy_close(ending, &error));
  CHECK(asked == 1);

  /* The last that was registered runs first; what they print is there when close returns. */
  ending = create();
  run(ending, "import atexit, sys\n"
              "def first(): print('first')\n"
              "def second(): print('second', end=' '); sys.stdout.flush()\n"
              "atexit.register(first); atexit.register(second)");
  char *text = capture(1, close_printing);
  CHECK(strcmp(text, "second first\n") == 0);
  free(text);

  /* Their errors are printed, not raised. */
  ending = create();
  run(ending, "import atexit\n"
              "@atexit.register\n"
              "def handler(): raise ValueError('too late')\n"
              "@atexit.register\n"
              "def leaves(): raise SystemExit(3)");
  text = capture(2, close_printing);
  CHECK(strstr(text, "ValueError: too late") && strstr(text, "handler"));
  free(text);
}

/* ---- waiting for threads ---- */

static subpy_interp waited_for;

static void *close_it(void *unused) {
  (void)unused;
  /* The questions of the other thread are runs, too; it asks until it sees this close. */
  for (;;) {
    subpy_error *error = NULL;
    subpy_status status = subpy_close(waited_for, &error);
    if (status == SUBPY_OK) return NULL;
    CHECK(status == SUBPY_ERROR_BUSY && strcmp(subpy_error_message(error, NULL), "interpreter running") == 0);
    subpy_error_free(error);
    sched_yield();
  }
}

static void waits_for_threads(void) {
  subpy_error *error = NULL;
  waited_for = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(waited_for, begun, end);
  run(waited_for, "import threading\n"
                  "thread = threading.Thread(target=block)\n"
                  "thread.start()");
  signal_wait(begun);
  pthread_t closer;
  CHECK(pthread_create(&closer, NULL, close_it, NULL) == 0);
  subpy_status status;
  do {
    sched_yield();
    status = subpy_exec(waited_for, "x = 1", SUBPY_AUTO_LEN, NULL);
  } while (status == SUBPY_OK);
  CHECK(status == SUBPY_ERROR_BUSY);

  FAILS(SUBPY_ERROR_BUSY, "interpreter is closing", subpy_exec(waited_for, "", 0, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter is closing", subpy_eval(waited_for, "1", 1, NULL, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter is closing",
        subpy_call(waited_for, "block", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter is closing", subpy_close(waited_for, &error));
  FAILS(SUBPY_ERROR_BUSY, "...is being closed", subpy_shutdown(&error));
  subpy_interp all[8] = {0};
  size_t count = 0;
  OK(subpy_list_all(all, 8, &count, &error));
  CHECK(count >= 2 && all[count - 1] == waited_for);
  subpy_interp found = 0;
  int64_t id = 0;
  OK(subpy_id(waited_for, &id, &error));
  OK(subpy_find(id, &found, &error));
  CHECK(found == waited_for);
  bool running = true;
  OK(subpy_is_running(waited_for, &running, &error));
  CHECK(!running);

  signal_send(end);
  CHECK(pthread_join(closer, NULL) == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_exec(waited_for, "", 0, &error));
  OK(subpy_list_all(all, 8, &count, &error));
  CHECK(all[count - 1] != waited_for);
}

/* Daemon threads are not waited for. */
static void leaves_daemons(void) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_ALLOW_DAEMON_THREADS};
  OK(subpy_create(&options, &interp, &error));
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  run(interp, "import threading\nthreading.Thread(target=block, daemon=True).start()");
  signal_wait(begun);
  OK(subpy_close(interp, &error));
  /* It never comes back from its read. */
}

/* ---- close while it is running ---- */

static void refused_while_running(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_BUSY, "...", subpy_shutdown(&error));
  end_block(thread, end);
  run(interp, "still = 'usable'");
  OK(subpy_close(interp, &error));
}

/* What a guest holds on to when its interpreter ends: cycles, finalizers, generators, threads' locals. */
static void full_of_things(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  run(interp, "import threading, weakref, sys, os, json, re, collections, contextvars\n"
              "class Finalized:\n"
              "  def __init__(self): self.me = self\n"
              "  def __del__(self): [].append(self)\n"
              "kept = [Finalized() for _ in range(1000)]\n"
              "local = threading.local()\n"
              "local.kept = Finalized()\n"
              "def generator():\n"
              "  try: yield\n"
              "  finally: kept.append(1)\n"
              "started = generator()\n"
              "next(started)\n"
              "variable = contextvars.ContextVar('variable')\n"
              "variable.set(Finalized())\n"
              "sys.modules['mine'] = Finalized()");
  OK(subpy_close(interp, &error));
}

/* A guest has the callbacks run early, in several ways: for the library that is no end, and the real one is still noticed. */
static void atexit_run_early(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create(), guest = create();
  run(interp, "import atexit\natexit._run_exitfuncs()\natexit._clear()\natexit._run_exitfuncs()");
  OK(subpy_call(interp, "atexit:_run_exitfuncs", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  CHECK(number(interp, "1 + 1") == 2);
  if (!in_processes()) CHECK(number(interp, "atexit._ncallbacks()") == 1); /* a process needs none */
  OK(subpy_close(interp, &error));
  if (in_processes()) return; /* no guest of another one sees it */
  interp = create();
  run(interp, "import atexit\natexit._run_exitfuncs()");
  int64_t id = 0;
  OK(subpy_id(interp, &id, &error));
  char code[80];
  snprintf(code, sizeof code, "import _interpreters\n_interpreters.destroy(%" PRId64 ")", id);
  run(guest, code);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(interp, "", 0, &error));
  OK(subpy_close(guest, &error));
}

/* Whoever looks whether it is closing runs something in it, and may be in the way. */
static void *closes(void *interp) {
  subpy_status status;
  while ((status = subpy_close(*(subpy_interp *)interp, NULL)) == SUBPY_ERROR_BUSY) usleep(1000);
  CHECK(status == SUBPY_OK);
  return NULL;
}

/* A guest cannot destroy what is being closed: it would be freed twice. */
static void not_destroyed_while_closing(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create(), guest = create();
  signal_pipe end = signal_new();
  char code[200];
  snprintf(code, sizeof code, "import os, threading\nthreading.Thread(target=os.read, args=(%d, 1)).start()", end.in);
  run(interp, code);
  int64_t id = 0;
  OK(subpy_id(interp, &id, &error));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, closes, &interp) == 0);
  while (subpy_exec(interp, "", 0, NULL) != SUBPY_ERROR_BUSY) usleep(1000);
  /* The close has to come to its wait: then CPython itself says that it runs. */
  snprintf(code, sizeof code,
           "import _interpreters, time\n"
           "while not _interpreters.is_running(%" PRId64 "): time.sleep(0.001)\n"
           "try: _interpreters.destroy(%" PRId64 ")\n"
           "except _interpreters.InterpreterError as error: refused = str(error)",
           id, id);
  run(guest, code);
  CHECK_EVAL(guest, "refused", "interpreter running");
  signal_send(end);
  CHECK(pthread_join(thread, NULL) == 0);
  OK(subpy_close(guest, &error));
}

int main(void) {
  idle();
  runs_atexit_handlers();
  waits_for_threads();
  leaves_daemons();
  refused_while_running();
  full_of_things();
  atexit_run_early();
  if (!in_processes()) not_destroyed_while_closing();
  shut_down();
  return 0;
}
